/* SPDX-License-Identifier: MIT */
/* Presence to a thousand contacts of one domain, an event of a node, what is said in a room: the same stanza
 * to many addresses, in one event. Such deliveries are gathered per pair until the event is over, and if the
 * other server takes it they become one stanza for up to ADDRESSES of them (XEP-0033, all of type bcc). So
 * nobody who sends to many has to know of it, and nothing waits: until it is known what the other server can
 * do, and if it can't, they go out one by one.
 *
 * The question is a disco#info to the domain, once for each domain, when there is something to gain; what is
 * known is forgotten after an hour, and with a new stream.
 *
 * Errors of single receivers come from them, as always. An error of the domain itself means that nobody got
 * the stanza: the last ones are kept to be sent again, to fewer at a time if there were too many addresses,
 * else one by one, and then this way is not taken again for an hour. What fails on our side (a domain that
 * can't be reached) is answered for each receiver (remote_queue.c).
 *
 * Not gathered: requests, messages between people, subscriptions: what is said to one. */
#include "server/s2s/remote_many.h"

#include "base/log.h"
#include "base/rand.h"
#include "server/receipt.h"
#include "server/s2s/remote_queue.h"
#include "server/s2s/s2s.h"
#include "xml/write.h"
#include "xmpp/ns.h"

#include <stdlib.h>

enum {
    ADDRESSES = 99,      /* XEP-0033 §9: limits should be below 100 */
    ADDRESSES_FEW = 20,  /* and above 20 */
    BATCH_BYTES = 9000,  /* payload and addresses: any server takes stanzas of 10,000 (RFC 6120 §13.12) */
    PAYLOAD_MAX = 4500,  /* a larger one leaves no room */
    GATHERED_MAX = 4096, /* then they go out, and the next ones are gathered anew */
    KNOWN_MS = 60 * 60 * 1000,
    ASKED_MS = 60 * 1000,
    KEPT_MAX = 32,
    KEPT_MS = 60 * 1000,
};

#define NS_DISCO_INFO "http://jabber.org/protocol/disco#info"

enum many_state { MANY_UNKNOWN, MANY_ASKED, MANY_NO, MANY_YES };

struct gathering {
    struct list link; /* shard->gatherings */
    struct pair *pair;
    const struct stanza *stanza; /* lives as long as the event */
    enum deliver how;
    struct receipt *receipt;
    struct jid *to; /* as do their texts */
    uint32_t count, room;
};

/* One that was sent, for the case that it is refused. */
struct kept {
    struct list link;
    struct pair *pair;
    struct stanza *stanza; /* as it goes to one */
    enum deliver how;
    uint64_t since_us;
    struct crowd *crowd;
};

struct many {
    enum many_state state;
    uint64_t until_us;
    uint32_t addresses;
    char id[25];      /* of the question */
    struct list kept; /* the oldest first */
    unsigned kept_count;
};

static struct many *many_of(struct remote *remote)
{
    if (!remote->many) {
        remote->many = NEW(struct many);
        remote->many->addresses = ADDRESSES;
        list_init(&remote->many->kept);
    }
    return remote->many;
}

static uint64_t now_us(const struct remote *remote)
{
    return loop_now_us(remote->shard->loop);
}

static void settle(struct remote *remote, enum many_state state, uint64_t for_ms)
{
    struct many *many = many_of(remote);
    many->state = state;
    many->until_us = now_us(remote) + for_ms * 1000;
}

void many_forget(struct remote *remote)
{
    if (remote->many && remote->many->state != MANY_ASKED)
        remote->many->state = MANY_UNKNOWN;
}

/* ---- What was sent
 * ---------------------------------------------------------------------------------------------- */

static void kept_free(struct many *many, struct kept *kept)
{
    list_remove(&kept->link);
    many->kept_count--;
    crowd_unref(kept->crowd);
    free(kept->stanza);
    free(kept);
}

static void keep(struct pair *pair, const struct gathering *gathering, struct crowd *crowd)
{
    struct many *many = many_of(pair->remote);
    uint64_t now = now_us(pair->remote);
    while (many->kept_count) {
        struct kept *oldest = LIST_ITEM(many->kept.next, struct kept, link);
        if (many->kept_count < KEPT_MAX && oldest->since_us + KEPT_MS * UINT64_C(1000) > now)
            break;
        kept_free(many, oldest);
    }
    struct kept *kept = NEW(struct kept);
    kept->pair = pair;
    kept->stanza = stanza_copy(gathering->stanza);
    kept->how = gathering->how;
    kept->since_us = now;
    kept->crowd = crowd_ref(crowd);
    list_append(&many->kept, &kept->link);
    many->kept_count++;
}

void many_remote_fini(struct remote *remote)
{
    while (remote->many && remote->many->kept_count)
        kept_free(remote->many, LIST_ITEM(remote->many->kept.next, struct kept, link));
    free(remote->many);
    remote->many = NULL;
}

/* ---- The question
 * ----------------------------------------------------------------------------------------------- */

static void ask(struct pair *pair)
{
    struct shard *shard = pair->remote->shard;
    struct many *many = many_of(pair->remote);
    struct stanza *iq = ARENA_NEW(&shard->arena, struct stanza);
    settle(pair->remote, MANY_ASKED, ASKED_MS);
    rand_token(many->id, sizeof many->id);
    *iq = stanza_make(STANZA_IQ, TYPE_GET, arena_str(&shard->arena, str_from(many->id)),
                      STR("<query xmlns='" NS_DISCO_INFO "'/>"), &shard->arena);
    iq->from = jid_make(str_none, str_from(pair->ours), str_none, &shard->arena);
    iq->to = jid_make(str_none, str_from(pair->remote->domain), str_none, &shard->arena);
    struct receipt *before = receipt_enter(shard, NULL);
    route(shard, iq);
    receipt_leave(shard, before);
}

/* Whether they may go together; asks if that is not known. */
static bool takes_many(struct pair *pair)
{
    struct remote *remote = pair->remote;
    struct many *many = many_of(remote);
    if (many->state != MANY_UNKNOWN && many->until_us <= now_us(remote))
        many->state = MANY_UNKNOWN;
    if (many->state == MANY_UNKNOWN && remote->dead_until_us <= now_us(remote) && !remote->shard->stopping)
        ask(pair);
    return many->state == MANY_YES;
}

static bool has_feature(const struct stanza *iq, struct arena *arena)
{
    struct xml_node query, child;
    if (iq->type != TYPE_RESULT || !xml_child(&iq->node, STR("query"), STR(NS_DISCO_INFO), &query))
        return false;
    for (bool more = xml_first(&query, &child); more; more = xml_next(&child))
        if (xml_is(&child, STR("feature"), STR(NS_DISCO_INFO)) &&
            str_is(xml_attr(&child, STR("var"), arena), NS_ADDRESS))
            return true;
    return false;
}

bool many_answered(struct remote *remote, const struct stanza *iq)
{
    struct many *many = remote->many;
    if (!many || many->state != MANY_ASKED || !str_eq(iq->id, str_from(many->id)))
        return false;
    many->addresses = ADDRESSES;
    settle(remote, has_feature(iq, &remote->shard->arena) ? MANY_YES : MANY_NO, KNOWN_MS);
    log_debug(s2s, "%s %s one stanza for many", remote->domain,
              many->state == MANY_YES ? "takes" : "does not take");
    return true;
}

/* ---- Gathering
 * -------------------------------------------------------------------------------------------------- */

static bool may_be_shared(const struct pair *pair, const struct delivery *delivery)
{
    const struct stanza *stanza = delivery->stanza;
    str payload = stanza_payload(stanza);
    bool fits =
        stanza->kind == STANZA_PRESENCE
            ? stanza->type == TYPE_NONE || stanza->type == TYPE_UNAVAILABLE || stanza->type == TYPE_PROBE
            : stanza->kind == STANZA_MESSAGE &&
                  (stanza->type == TYPE_HEADLINE || stanza->type == TYPE_GROUPCHAT);
    return fits && delivery->how <= DELIVER_BROADCAST && !delivery->crowd && delivery->to.local_len &&
           payload.len <= PAYLOAD_MAX && pair->remote->shard->server->config->s2s.multicast &&
           (!payload.len || !memmem(payload.p, payload.len, NS_ADDRESS, sizeof NS_ADDRESS - 1));
}

static bool says_the_same(const struct gathering *gathering, const struct delivery *delivery)
{
    const struct stanza *a = gathering->stanza, *b = delivery->stanza;
    if (gathering->how != delivery->how || gathering->receipt != delivery->receipt)
        return false;
    return a == b || (a->kind == b->kind && a->type == b->type && jid_eq(&a->from, &b->from) &&
                      str_eq(a->attrs, b->attrs) && str_eq(stanza_payload(a), stanza_payload(b)));
}

static void add(struct gathering *gathering, const struct jid *to)
{
    if (gathering->count == gathering->room) {
        gathering->room = gathering->room ? gathering->room * 2 : 16;
        gathering->to = xrealloc(gathering->to, gathering->room * sizeof *gathering->to);
    }
    gathering->to[gathering->count++] = *to;
}

bool many_gather(struct pair *pair, const struct delivery *delivery)
{
    struct gathering *gathering = pair->gathering;
    struct shard *shard = pair->remote->shard;
    if (!may_be_shared(pair, delivery))
        return false;
    if (gathering && (gathering->count >= GATHERED_MAX || !says_the_same(gathering, delivery))) {
        many_flush(pair);
        gathering = NULL;
    }
    if (!gathering) {
        gathering = pair->gathering = NEW(struct gathering);
        gathering->pair = pair;
        gathering->stanza = delivery->stanza;
        gathering->how = delivery->how;
        gathering->receipt = receipt_hold(shard);
        list_append(&shard->gatherings, &gathering->link);
    }
    add(gathering, &delivery->to);
    return true;
}

/* ---- Sending
 * ---------------------------------------------------------------------------------------------------- */

static void send_one(const struct gathering *gathering, const struct jid *to)
{
    const struct delivery one = {
        .stanza = gathering->stanza, .to = *to, .how = gathering->how, .receipt = gathering->receipt
    };
    pair_deliver(gathering->pair, &one);
}

/* The addresses from `first` on that fit into one stanza, into `xml`; returns how many. */
static uint32_t write_addresses(const struct gathering *gathering, uint32_t first, struct buf *xml)
{
    uint32_t at = first, limit = gathering->pair->remote->many->addresses;
    buf_lit(xml, "<addresses xmlns='" NS_ADDRESS "'>");
    for (; at < gathering->count && at - first < limit; at++) {
        size_t before = xml->len;
        buf_lit(xml, "<address type='bcc'");
        xml_write_attr(xml, "jid", gathering->to[at].full);
        buf_lit(xml, "/>");
        if (at == first || xml->len <= BATCH_BYTES)
            continue;
        xml->len = before;
        break;
    }
    buf_lit(xml, "</addresses>");
    return at - first;
}

static struct crowd *crowd_of(const struct gathering *gathering, uint32_t first, uint32_t count)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < count; i++)
        bytes += gathering->to[first + i].full.len;
    struct crowd *crowd = crowd_new(gathering->pair->remote->shard->index, count, bytes);
    for (uint32_t i = 0; i < count; i++)
        crowd_add(crowd, &gathering->to[first + i], 0);
    return crowd;
}

/* Returns how many were served. */
static uint32_t send_batch(const struct gathering *gathering, uint32_t first)
{
    struct pair *pair = gathering->pair;
    struct arena *arena = &pair->remote->shard->arena;
    struct buf xml;
    buf_init(&xml, 8 * BATCH_BYTES);
    buf_add(&xml, stanza_payload(gathering->stanza));
    uint32_t count = write_addresses(gathering, first, &xml);
    if (count > 1 && !buf_failed(&xml)) {
        struct stanza *stanza = ARENA_NEW(arena, struct stanza);
        *stanza = *gathering->stanza;
        stanza->node.content = arena_str(arena, buf_str(&xml));
        stanza->node.bytes = str_none;
        struct delivery batch = { .stanza = stanza,
                                  .to = jid_make(str_none, str_from(pair->remote->domain), str_none, arena),
                                  .how = gathering->how,
                                  .receipt = gathering->receipt,
                                  .crowd = crowd_of(gathering, first, count) };
        keep(pair, gathering, batch.crowd);
        pair->remote->shard->counters.many_out++;
        pair_deliver(pair, &batch);
        crowd_unref(batch.crowd);
    } else {
        send_one(gathering, &gathering->to[first]);
        count = 1;
    }
    buf_fini(&xml);
    return count;
}

static struct gathering *take(struct pair *pair)
{
    struct gathering *gathering = pair->gathering;
    list_remove(&gathering->link);
    pair->gathering = NULL;
    return gathering;
}

static void gathering_free(struct gathering *gathering)
{
    receipt_release(gathering->pair->remote->shard, gathering->receipt);
    free(gathering->to);
    free(gathering);
}

void many_flush(struct pair *pair)
{
    if (!pair->gathering)
        return;
    struct gathering *gathering = take(pair);
    struct shard *shard = pair->remote->shard;
    struct receipt *before = receipt_enter(shard, gathering->receipt);
    bool together = gathering->count > 1 && takes_many(pair);
    for (uint32_t at = 0; at < gathering->count;) {
        if (together) {
            at += send_batch(gathering, at);
            continue;
        }
        send_one(gathering, &gathering->to[at++]);
    }
    receipt_leave(shard, before);
    gathering_free(gathering);
}

bool many_flush_all(struct shard *shard)
{
    bool any = !list_empty(&shard->gatherings);
    while (!list_empty(&shard->gatherings))
        many_flush(LIST_ITEM(shard->gatherings.next, struct gathering, link)->pair);
    return any;
}

void many_pair_fini(struct pair *pair)
{
    if (pair->gathering)
        gathering_free(take(pair));
}

/* ---- Refused
 * ---------------------------------------------------------------------------------------------------- */

static struct kept *kept_for(struct remote *remote, const struct stanza *error)
{
    if (!remote->many)
        return NULL;
    list_each (at, &remote->many->kept) {
        struct kept *kept = LIST_ITEM(at, struct kept, link);
        if (jid_eq(&kept->stanza->from, &error->to) && str_eq(kept->stanza->id, error->id) &&
            kept->stanza->kind == error->kind)
            return kept;
    }
    return NULL;
}

static void send_again(struct kept *kept)
{
    struct pair *pair = kept->pair;
    struct shard *shard = pair->remote->shard;
    const struct stanza *stanza = stanza_copy_arena(kept->stanza, &shard->arena);
    for (uint32_t i = 0; i < kept->crowd->count; i++) {
        struct delivery one = { .stanza = stanza,
                                .to = jid_copy(&kept->crowd->members[i].to, &shard->arena),
                                .how = kept->how };
        if (!many_gather(pair, &one))
            pair_deliver(pair, &one);
    }
}

bool many_refused(struct remote *remote, const struct stanza *stanza)
{
    struct kept *kept = kept_for(remote, stanza);
    struct receipt *before = receipt_enter(remote->shard, NULL);
    if (kept) {
        struct xml_node error;
        bool too_many = xml_child(&stanza->node, STR("error"), STR(NS_CLIENT), &error) &&
                        stanza_error_read(&error) == STANZA_ERROR_NOT_ACCEPTABLE &&
                        kept->crowd->count > ADDRESSES_FEW;
        remote->many->addresses = ADDRESSES_FEW;
        if (!too_many)
            settle(remote, MANY_NO, KNOWN_MS);
        log_info(s2s, "%s has refused a stanza for %u addresses", remote->domain, kept->crowd->count);
        send_again(kept);
        kept_free(remote->many, kept);
    }
    receipt_leave(remote->shard, before);
    return kept != NULL;
}
