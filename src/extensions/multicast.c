/* SPDX-License-Identifier: MIT */
/* XEP-0033 1.2.1: one stanza to a host, with the addresses of many inside of it.
 *
 * Another server (or a component, or a service of ours) reaches accounts of the host that it has written to,
 * and nobody else: an address elsewhere is answered with forbidden, and then nobody gets anything, so nobody
 * can use us to write to third parties. What each address gets is what it would have got by a stanza of its
 * own: nothing is decided here that the receiver's own rules do not decide again. Users of ours may write to
 * fewer, but anywhere; and no presence, which would have to be taken back some day for them (§ Directed
 * Presence): they have directed presence for that.
 *
 * What is sent in this way to other servers is in server/s2s/remote_many.c. */
#include "server/ext.h"
#include "xml/write.h"
#include "xmpp/ns.h"

enum {
    MARK_ROOM = 32,      /* more than a mark of delivery takes */
    SPREAD_MAX = 4 << 20 /* bytes that one stanza may become */
};

static struct ext_slot slot;

struct settings {
    uint32_t addresses, local_addresses;
};

struct target {
    struct jid jid;
    str blind; /* its own element, if it is of type bcc */
};

/* A stanza that is taken apart. */
struct mailing {
    const struct stanza *stanza;
    struct host *host;
    struct arena *arena;
    bool is_own; /* its sender has an account here */
    uint32_t limit;
    struct xml_node list;
    struct target *targets;
    uint32_t count, elements;
    bool has_any;     /* to, cc or bcc, also one that others have served */
    struct buf shown; /* what all see of the addresses */
};

/* ---- Reading ---- */

static bool find_list(const struct stanza *stanza, struct xml_node *ret, bool *ret_twice)
{
    struct xml_node child;
    bool found = false;
    *ret_twice = false;
    for (bool more = xml_first(&stanza->node, &child); more; more = xml_next(&child)) {
        if (!xml_is(&child, STR("addresses"), STR(NS_ADDRESS)))
            continue;
        *ret_twice = found;
        if (!found)
            *ret = child;
        found = true;
    }
    return found;
}

static bool is_target(const struct mailing *mailing, const struct jid *jid)
{
    for (uint32_t i = 0; i < mailing->count; i++)
        if (jid_eq(&mailing->targets[i].jid, jid))
            return true;
    return false;
}

/* The element, with a mark that its address is served. */
static void show(struct mailing *mailing, const struct xml_node *address, bool marked)
{
    const char *attrs_end = address->attrs.p + address->attrs.len;
    struct buf *out = &mailing->shown;
    buf_add(out, str_of(address->bytes.p, (size_t)(attrs_end - address->bytes.p)));
    if (marked)
        buf_lit(out, " delivered='true'");
    buf_add(out, str_of(attrs_end, address->bytes.len - (size_t)(attrs_end - address->bytes.p)));
}

static enum stanza_error read_target(struct mailing *mailing, const struct xml_node *address, bool blind)
{
    str text = xml_attr(address, STR("jid"), mailing->arena);
    struct jid jid;
    if (!text.p)
        return xml_attr(address, STR("uri"), mailing->arena).p ? STANZA_ERROR_JID_MALFORMED
                                                               : STANZA_ERROR_BAD_REQUEST;
    if (jid_parse(text, mailing->arena, &jid) != OK)
        return STANZA_ERROR_JID_MALFORMED;
    if (!mailing->is_own && !str_eq(jid_domain(&jid), str_from(mailing->host->name)))
        return STANZA_ERROR_FORBIDDEN;
    if (!jid.local_len && str_eq(jid.full, str_from(mailing->host->name)))
        return STANZA_ERROR_FORBIDDEN; /* it would come here again */
    if (!is_target(mailing, &jid))
        mailing->targets[mailing->count++] = (struct target){ jid, blind ? address->bytes : str_none };
    return STANZA_ERROR_NONE;
}

static enum stanza_error read_address(struct mailing *mailing, const struct xml_node *address)
{
    str type = xml_attr(address, STR("type"), mailing->arena);
    str delivered = xml_attr(address, STR("delivered"), mailing->arena);
    bool blind = str_is(type, "bcc");
    bool is_receiver = blind || str_is(type, "to") || str_is(type, "cc");
    mailing->has_any |= is_receiver;
    if (!type.len)
        return STANZA_ERROR_BAD_REQUEST;
    if (!is_receiver || delivered.p) {
        if (!blind) /* by others, or none to write to */
            show(mailing, address, false);
        return STANZA_ERROR_NONE;
    }
    enum stanza_error error = read_target(mailing, address, blind);
    if (!blind)
        show(mailing, address, true);
    return error;
}

static enum stanza_error read_list(struct mailing *mailing)
{
    struct xml_node address;
    mailing->targets = arena_alloc(mailing->arena, mailing->limit * sizeof *mailing->targets);
    for (bool more = xml_first(&mailing->list, &address); more; more = xml_next(&address)) {
        if (!xml_is(&address, STR("address"), STR(NS_ADDRESS)))
            continue;
        if (mailing->elements++ >= mailing->limit)
            return STANZA_ERROR_NOT_ACCEPTABLE;
        enum stanza_error error = read_address(mailing, &address);
        if (error != STANZA_ERROR_NONE)
            return error;
    }
    return STANZA_ERROR_NONE;
}

/* ---- Sending ---- */

/* The payload for one of them: all of it, with the addresses that it may see. */
static str payload_for(const struct mailing *mailing, const struct target *target)
{
    str all = stanza_payload(mailing->stanza), list = mailing->list.bytes;
    size_t before = (size_t)(list.p - all.p), after = before + list.len;
    const char *tag_end = mailing->list.content.p;
    struct buf xml;
    buf_init(&xml, all.len + mailing->shown.len);
    buf_add(&xml, str_sub(all, 0, before));
    if (mailing->shown.len || target->blind.p) {
        size_t close = (size_t)(tag_end - list.p) + mailing->list.content.len;
        buf_add(&xml, str_of(list.p, (size_t)(tag_end - list.p)));
        buf_add(&xml, buf_str(&mailing->shown));
        buf_add(&xml, target->blind);
        buf_add(&xml, str_sub(list, close, list.len));
    }
    buf_add(&xml, str_sub(all, after, all.len));
    str payload = xml.len ? arena_str(mailing->arena, buf_str(&xml)) : STR("");
    buf_fini(&xml);
    return payload;
}

static void send_all(struct shard *shard, const struct mailing *mailing)
{
    for (uint32_t i = 0; i < mailing->count; i++) {
        struct stanza *copy = arena_alloc(mailing->arena, sizeof *copy);
        *copy = *mailing->stanza;
        copy->to = mailing->targets[i].jid;
        copy->node.content = payload_for(mailing, &mailing->targets[i]);
        copy->node.bytes = str_none;
        route(shard, copy);
    }
    shard->counters.many_in++;
}

static enum stanza_error spread(struct shard *shard, struct mailing *mailing, bool twice)
{
    const struct stanza *stanza = mailing->stanza;
    bool plain = stanza->kind == STANZA_MESSAGE || stanza->type == TYPE_NONE ||
                 stanza->type == TYPE_UNAVAILABLE || stanza->type == TYPE_PROBE;
    if (mailing->is_own && (stanza->kind == STANZA_PRESENCE || !mailing->limit))
        return STANZA_ERROR_FORBIDDEN;
    if (twice || !plain) /* who asks for a subscription asks one */
        return STANZA_ERROR_BAD_REQUEST;
    enum stanza_error error = read_list(mailing);
    if (error != STANZA_ERROR_NONE)
        return error;
    if (!mailing->has_any)
        return STANZA_ERROR_BAD_REQUEST;
    if (mailing->count > SPREAD_MAX / (stanza_payload(stanza).len + 1))
        return STANZA_ERROR_NOT_ACCEPTABLE;
    send_all(shard, mailing);
    return STANZA_ERROR_NONE;
}

static enum hook_ret came(struct host *host, struct stanza_event *event)
{
    static const char *const why[] = {
        [STANZA_ERROR_FORBIDDEN] = "nothing is passed on to these addresses",
        [STANZA_ERROR_NOT_ACCEPTABLE] = "too many addresses, or too much for so many",
    };
    const struct settings *settings = ext_settings(host, &slot);
    const struct stanza *stanza = event->stanza;
    struct mailing mailing = { .stanza = stanza, .host = host, .arena = &event->shard->arena };
    bool twice;
    if (stanza->type == TYPE_ERROR || !jid_is_bare(&event->to) || !find_list(stanza, &mailing.list, &twice))
        return HOOK_NEXT;
    mailing.is_own = stanza->from.local_len && server_host(host->server, jid_domain(&stanza->from));
    mailing.limit = mailing.is_own ? settings->local_addresses : settings->addresses;
    buf_init(&mailing.shown, mailing.list.bytes.len + mailing.limit * (size_t)MARK_ROOM);
    enum stanza_error error = spread(event->shard, &mailing, twice);
    buf_fini(&mailing.shown);
    if (error != STANZA_ERROR_NONE)
        route_error(event->shard, stanza, error, error < COUNT_OF(why) ? why[error] : NULL);
    return HOOK_DONE;
}

static const struct ext_hook hooks[] = { HOOK(message_to_host, PHASE_DELIVER, came),
                                         HOOK(presence_to_host, PHASE_DELIVER, came),
                                         { 0 } };

static const struct config_key keys[] = {
    { .name = "addresses",
      .type = CONFIG_INT,
      CONFIG_FIELD(struct settings, addresses),
      .default_text = "99",
      .min = 21,
      .max = 500,
      .unit = "addresses",
      .help = "How many addresses of the host a stanza of another server may be for." },
    { .name = "local-addresses",
      .type = CONFIG_INT,
      CONFIG_FIELD(struct settings, local_addresses),
      .default_text = "25",
      .max = 500,
      .unit = "addresses",
      .help =
          "How many addresses, here or elsewhere, a message of a user of this server may be for. 0: none." },
    { 0 },
};

static const struct config_extension config = {
    .name = "multicast",
    .help = "One stanza for many receivers (XEP-0033).",
    .size = sizeof(struct settings),
    .keys = keys,
};

extern const struct ext ext_multicast;
const struct ext ext_multicast = {
    .slot = &slot,
    .name = "multicast",
    .title = "Extended Stanza Addressing",
    .xep = { 33, "1.2.1", .partial = true },
    .features = (const char *const[]){ NS_ADDRESS, NULL },
    .hooks = hooks,
    .config = &config,
};
