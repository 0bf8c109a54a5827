/* SPDX-License-Identifier: MIT */
/* XEP-0357 0.4.1: a client names a service that wakes it up, and when a message comes that it does not see,
 * because it is gone, waits to resume, or says that nobody looks (XEP-0352), the service is told.
 *
 * A row of the account (kind `push`, key: the service's JID and node) has the resource of the client that
 * asked, and its publish-options as they came. What a notification says of the message is the
 * administrator's choice alone (`summary`; §9: not to be changed in-band). It is sent from the account's bare
 * JID, with an id that can be made again and that nobody can guess: so an error is known to be one of ours
 * also after the user has slept in between. An error ends the service (§7.1), but for those that say `wait`,
 * of which it takes some in a row.
 *
 * Not here: that a service ends its service by itself (§8), which is noticed at the next error. */
#include "base/digest.h"
#include "extensions/client_state.h"
#include "extensions/pubsub/pubsub.h"
#include "server/ext.h"
#include "xml/write.h"
#include "xmpp/form.h"
#include "xmpp/payload.h"

#include <stdio.h>
#include <stdlib.h>

#define NS_PUSH    "urn:xmpp:push:0"
#define NS_PUBSUB  "http://jabber.org/protocol/pubsub"
#define NS_OPTIONS "http://jabber.org/protocol/pubsub#publish-options"

enum {
    OPTIONS_MAX = 4096,
    NODE_MAX = 1024,
    BODY_MAX = 400,
    WAITS_MAX = 5,
    NOTICE_MAX = 16 * 1024,
    ID_SIZE = 38
};

enum summary { SUMMARY_NONE, SUMMARY_COUNT, SUMMARY_SENDER, SUMMARY_BODY };

struct push_settings {
    int summary;
    uint32_t services;
};

struct service {
    struct service *next;
    char *key, *resource, *options;
    unsigned count; /* messages since its client was there */
    unsigned waits; /* errors in a row that may pass */
};

struct push_user {
    struct service *first;
};

extern const struct ext ext_push;
static struct ext_slot slot;

static struct push_user *of(struct user *user)
{
    return ext_user(user, &slot);
}

/* ---- In memory
 * ------------------------------------------------------------------------------------------------- */

static void service_free(struct service *service)
{
    free(service->key);
    free(service->resource);
    free(service->options);
    free(service);
}

static struct service **find(struct user *user, str key)
{
    struct service **at = &of(user)->first;
    while (*at && !str_eq(str_from((*at)->key), key))
        at = &(*at)->next;
    return at;
}

static void forget(struct service **at)
{
    struct service *service = *at;
    *at = service->next;
    service_free(service);
}

static void add(struct user *user, str key, str value)
{
    struct service **at = find(user, key);
    str options = value, resource = str_cut(&options, '\n');
    if (*at)
        forget(at);
    struct service *service = NEW(struct service);
    service->key = str_dup(key);
    service->resource = str_dup(resource);
    service->options = str_dup(options.p ? options : str_of("", 0));
    service->next = of(user)->first;
    of(user)->first = service;
}

static void load_row(struct user *user, const struct store_row *row)
{
    add(user, row->key, row->value);
}

static void reset(struct user *user)
{
    while (of(user)->first)
        forget(&of(user)->first);
}

/* ---- Enabling and disabling (§5, §6)
 * ---------------------------------------------------------------------------------- */

static str read_key(struct iq_event *event, struct jid *ret_jid)
{
    struct arena *arena = &event->shard->arena;
    str jid = xml_attr(&event->child, STR("jid"), arena), node = xml_attr(&event->child, STR("node"), arena);
    if (!jid.len || jid_parse(jid, arena, ret_jid) != OK || node.len > NODE_MAX)
        return str_none;
    return arena_printf(arena, "%.*s %.*s", STR_ARGS(ret_jid->full), STR_ARGS(node.p ? node : STR("")));
}

/* The form of publish-options as it came; "" if there is none. False: something else. */
static bool read_options(struct iq_event *event, str *ret)
{
    struct arena *arena = &event->shard->arena;
    struct xml_node x;
    struct form form;
    struct buf text;
    *ret = STR("");
    if (!xml_child(&event->child, STR("x"), STR("jabber:x:data"), &x))
        return true;
    if (form_read(&x, arena, &form) != OK || !form_is(&form, NS_OPTIONS))
        return false;
    buf_init(&text, OPTIONS_MAX);
    pubsub_write_payload(&text, &x, arena);
    bool ok = !buf_failed(&text);
    if (ok)
        *ret = arena_str(arena, buf_str(&text));
    buf_fini(&text);
    return ok;
}

static size_t service_count(struct user *user)
{
    size_t count = 0;
    for (const struct service *at = of(user)->first; at; at = at->next)
        count++;
    return count;
}

static bool may_change(struct iq_event *event)
{
    if (event->session && !event->user->anonymous)
        return true;
    ext_error(event, event->session ? STANZA_ERROR_NOT_ALLOWED : STANZA_ERROR_FORBIDDEN, NULL);
    return false;
}

static void enable(struct iq_event *event)
{
    const struct push_settings *settings = ext_settings(event->host, &slot);
    struct user *user = event->user;
    struct jid jid;
    str options;
    if (!may_change(event))
        return;
    str key = read_key(event, &jid);
    if (!key.p || !read_options(event, &options)) {
        ext_error(event, STANZA_ERROR_BAD_REQUEST, NULL);
        return;
    }
    if (!*find(user, key) && service_count(user) >= settings->services) {
        ext_error(event, STANZA_ERROR_RESOURCE_CONSTRAINT, "too many services are enabled");
        return;
    }
    str resource = session_resource(event->session);
    str value = arena_printf(&event->shard->arena, "%.*s\n%.*s", STR_ARGS(resource), STR_ARGS(options));
    store_put(user_write(user, event->iq), user_bare(user), STR("push"), key, value);
    add(user, key, value);
    route_result(event->shard, event->iq, str_of("", 0));
}

static void disable(struct iq_event *event)
{
    struct user *user = event->user;
    struct arena *arena = &event->shard->arena;
    struct jid jid;
    if (!may_change(event))
        return;
    str key = read_key(event, &jid);
    if (!key.p) {
        ext_error(event, STANZA_ERROR_BAD_REQUEST, NULL);
        return;
    }
    bool all = !xml_attr(&event->child, STR("node"), arena).p; /* §6: of this service */
    str prefix = arena_printf(arena, "%.*s ", STR_ARGS(jid.full));
    for (struct service **at = &of(user)->first; *at;) {
        str has = str_from((*at)->key);
        if (!str_eq(has, key) && !(all && str_starts(has, prefix))) {
            at = &(*at)->next;
            continue;
        }
        store_del(user_write(user, event->iq), user_bare(user), STR("push"), has);
        forget(at);
    }
    route_result(event->shard, event->iq, str_of("", 0));
}

/* ---- Publishing (§7)
 * --------------------------------------------------------------------------------------------------- */

static void make_id(const struct user *user, const struct service *service, char *ret)
{
    const struct server *server = user->actor.shard->server;
    unsigned char mac[DIGEST_MAX_SIZE];
    struct arena *arena = &user->actor.shard->arena;
    str text = arena_printf(arena, "push %s %s", user->actor.bare, service->key);
    digest_hmac(DIGEST_SHA256, str_of((const char *)server->token_key, sizeof server->token_key), text, mac);
    memcpy(ret, "push-", 5);
    for (size_t i = 0; i < (ID_SIZE - 6) / 2; i++)
        snprintf(ret + 5 + 2 * i, 3, "%02x", mac[i]);
}

static void write_summary(struct buf *out, const struct service *service, const struct stanza *message,
                          enum summary summary, struct arena *arena)
{
    char count[16];
    if (summary == SUMMARY_NONE)
        return;
    snprintf(count, sizeof count, "%u", service->count);
    form_open(out, FORM_RESULT);
    form_ns(out, "urn:xmpp:push:summary");
    form_add(out, "message-count", FIELD_TEXT_SINGLE, NULL, str_from(count));
    if (summary >= SUMMARY_SENDER)
        form_add(out, "last-message-sender", FIELD_JID_SINGLE, NULL, message->from.full);
    str body = xml_child_text(&message->node, STR("body"), str_none, arena);
    if (summary >= SUMMARY_BODY && body.len && body.len <= BODY_MAX)
        form_add(out, "last-message-body", FIELD_TEXT_SINGLE, NULL, body);
    form_close(out);
}

static void publish(struct user *user, const struct service *service, const struct stanza *message)
{
    const struct push_settings *settings = ext_settings(user->actor.host, &slot);
    struct shard *shard = user->actor.shard;
    struct arena *arena = &shard->arena;
    char id[ID_SIZE];
    struct buf xml;
    str node = str_from(service->key), jid = str_cut(&node, ' ');
    make_id(user, service, id);
    buf_init(&xml, NOTICE_MAX);
    buf_lit(&xml, "<pubsub xmlns='" NS_PUBSUB "'><publish");
    xml_write_attr(&xml, "node", node.len ? node : str_none);
    buf_lit(&xml, "><item><notification xmlns='" NS_PUSH "'>");
    write_summary(&xml, service, message, (enum summary)settings->summary, arena);
    buf_lit(&xml, "</notification></item></publish>");
    if (*service->options)
        buf_addf(&xml, "<publish-options>%s</publish-options>", service->options);
    buf_lit(&xml, "</pubsub>");
    struct stanza *iq = ARENA_NEW(arena, struct stanza);
    *iq = stanza_make(STANZA_IQ, TYPE_SET, arena_str(arena, str_from(id)), arena_str(arena, buf_str(&xml)),
                      arena);
    bool ok = !buf_failed(&xml) && jid_parse(arena_str(arena, jid), arena, &iq->to) == OK;
    buf_fini(&xml);
    struct jid own = user_jid(user);
    iq->from = jid_copy(&own, arena);
    if (ok)
        route(shard, iq);
}

/* Whether its client has seen the message: it is here, and somebody looks. */
static bool is_seen(struct user *user, const struct service *service)
{
    const struct session *session = session_find(user, str_from(service->resource));
    return session && session->link && !client_state_is_inactive(session);
}

/* What somebody wants to be woken up for. */
static bool is_worth_it(struct user *user, const struct stanza_event *event)
{
    const struct stanza *message = event->stanza;
    struct jid own = user_jid(user);
    return message->type != TYPE_ERROR && message->type != TYPE_HEADLINE &&
           payload_facts(message) & (PAYLOAD_BODY | PAYLOAD_ENCRYPTED | PAYLOAD_CALL) &&
           !jid_eq_bare(&message->from, &own) && !message_is_refused(user, event);
}

static enum hook_ret delivered(struct host *host, struct stanza_event *event)
{
    struct user *user = event->user;
    (void)host;
    if (!of(user)->first || !is_worth_it(user, event))
        return HOOK_NEXT;
    for (struct service *at = of(user)->first; at; at = at->next) {
        if (is_seen(user, at)) {
            at->count = 0;
            continue;
        }
        at->count++;
        publish(user, at, event->stanza);
    }
    return HOOK_NEXT;
}

/* ---- Answers (§7.1)
 * ---------------------------------------------------------------------------------------------------- */

static bool may_pass(const struct stanza *error, struct shard *shard)
{
    struct xml_node child;
    return xml_child(&error->node, STR("error"), str_none, &child) &&
           str_is(xml_attr(&child, STR("type"), &shard->arena), "wait");
}

static struct service **answered(struct user *user, const struct stanza *answer)
{
    struct service **at = &of(user)->first;
    char id[ID_SIZE];
    for (; *at; at = &(*at)->next) {
        str rest = str_from((*at)->key);
        make_id(user, *at, id);
        if (str_eq(str_cut(&rest, ' '), answer->from.full) && str_eq(answer->id, str_from(id)))
            break;
    }
    return at;
}

static enum hook_ret arrived(struct host *host, struct stanza_event *event)
{
    struct user *user = event->user;
    const struct stanza *answer = event->stanza;
    (void)host;
    if (answer->kind != STANZA_IQ || (answer->type != TYPE_RESULT && answer->type != TYPE_ERROR) ||
        !str_starts(answer->id, STR("push-")) || !jid_is_bare(&event->to))
        return HOOK_NEXT;
    struct service **at = answered(user, answer);
    if (!*at)
        return HOOK_NEXT;
    if (answer->type == TYPE_RESULT) {
        (*at)->waits = 0;
    } else if (!may_pass(answer, event->shard) || ++(*at)->waits >= WAITS_MAX) {
        store_del(user_write(user, NULL), user_bare(user), STR("push"), str_from((*at)->key));
        forget(at);
    }
    return HOOK_DONE;
}

/* ---- The extension
 * ------------------------------------------------------------------------------------------------ */

static const struct ext_iq iqs[] = {
    { TYPE_SET, TO_ACCOUNT, "enable", NS_PUSH, enable },
    { TYPE_SET, TO_ACCOUNT, "disable", NS_PUSH, disable },
    { 0 },
};

static const struct ext_hook hooks[] = {
    HOOK(message_delivered, PHASE_OBSERVE, delivered),
    HOOK(stanza_to_user, PHASE_DELIVER, arrived),
    { 0 },
};

static const struct config_key keys[] = {
    { .name = "summary",
      .type = CONFIG_CHOICE,
      CONFIG_FIELD(struct push_settings, summary),
      .default_text = "count",
      .choices = "none count sender body",
      .help =
          "What a push service is told of a message: nothing, how many wait, and from whom, and its text.\n"
          "Whatever is told leaves this server." },
    { .name = "services",
      .type = CONFIG_INT,
      CONFIG_FIELD(struct push_settings, services),
      .default_text = "10",
      .min = 1,
      .max = 100,
      .unit = "services",
      .help = "Push services of one account." },
    { 0 },
};

static const struct config_extension config = {
    .name = "push",
    .help = "Push notifications (XEP-0357): services that wake up clients.",
    .size = sizeof(struct push_settings),
    .keys = keys,
};

const struct ext ext_push = {
    .slot = &slot,
    .name = "push",
    .title = "Push Notifications",
    .xep = { 357, "0.4.1" },
    .account_features = (const char *const[]){ NS_PUSH, NULL },
    .iqs = iqs,
    .hooks = hooks,
    .config = &config,
    .user_size = sizeof(struct push_user),
    .user_rows = "push",
    .load_row = load_row,
    .user_reset = reset,
};
