/* SPDX-License-Identifier: MIT */
/* Shards and the routing between them.
 *
 * Inside a shard a stanza is handed on by pointer: the bytes that the client sent are still in the read
 * buffer when its receiver writes them. Only what leaves the shard, waits for an actor to load, or waits for
 * the disk is copied. All that an event says to another shard is one mail, and a stanza that goes to many
 * there is copied into it once.
 *
 * RFC 6120 §10 (routing), RFC 6121 §8. What a user does with a stanza is in user_deliver.c, what a host does
 * in host.c. */
#include "server/shard.h"
#include "server/user/user_again.h"

#include "base/log.h"
#include "server/actor.h"
#include "server/component.h"
#include "server/ext.h"
#include "server/host.h"
#include "server/receipt.h"
#include "server/s2s/posh.h"
#include "server/s2s/remote.h"
#include "server/s2s/remote_many.h"
#include "server/s2s/s2s.h"
#include "server/user/user.h"

#include <stdlib.h>

/* What one event says to another shard. All of it is in the arena but the crowds. When it was delivered, it
 * goes back to where it came from, and is used again. */
struct shard_mail {
    struct mail mail;
    struct shard *from, *shard;
    struct shard_mail *next; /* among those that may be used again */
    struct arena arena;
    const struct stanza *source; /* what the last stanza was copied of, while the event lasts */
    const struct stanza *stanza;
    struct letter *first, **end;
};

struct letter {
    struct letter *next;
    struct delivery delivery;
};

struct held {
    struct list link;
    struct stanza *stanza;
    struct jid to;
    enum deliver how;
    struct crowd *crowd;
    uint32_t except;
    struct receipt *receipt;
    char text[];
};

enum { MAIL_BYTES = 2048, SPARE_MAX = 512 * 1024 };

static void mail_free(struct shard_mail *mail)
{
    arena_fini(&mail->arena);
    free(mail);
}

static void free_spare(struct shard_mail *mail)
{
    while (mail) {
        struct shard_mail *next = mail->next;
        mail_free(mail);
        mail = next;
    }
}

struct shard *shard_new(struct server *server, struct loop *loop, unsigned index)
{
    struct shard *shard = xcalloc(1, server->shard_size);
    shard->server = server;
    shard->loop = loop;
    shard->index = index;
    shard->_outgoing = xcalloc(server->shard_count, sizeof *shard->_outgoing);
    arena_init(&shard->arena, 16 * 1024);
    map_init(&shard->actors, actor_key);
    map_init(&shard->remotes, remote_key);
    map_init(&shard->s2s_ids, s2s_key);
    list_init(&shard->links);
    list_init(&shard->s2s_links);
    list_init(&shard->gatherings);
    list_init(&shard->_sm_ending);
    list_init(&shard->_sm_remains);
    list_init(&shard->_again);
    appends_init(shard);
    pace_init(shard);
    slab_init(&shard->user_slab, server->user_size);
    slab_init(&shard->session_slab, server->session_size);
    slab_init(&shard->c2s_slab, c2s_size());
    return shard;
}

void shard_end(struct shard *shard)
{
    shard_enter(shard);
    appends_drop(shard);
    pace_fini(shard);
    actors_drop_all(shard);
    again_fini(shard);
    remotes_drop_all(shard);
    shard_leave(shard);
}

void shard_free(struct shard *shard)
{
    ext_shard_fini(shard);
    posh_book_free(shard->posh);
    dns_free(shard->dns);
    map_fini(&shard->remotes);
    map_fini(&shard->s2s_ids);
    timer_stop(&shard->stop_timer);
    map_fini(&shard->actors);
    arena_fini(&shard->arena);
    slab_fini(&shard->user_slab);
    slab_fini(&shard->session_slab);
    slab_fini(&shard->c2s_slab);
    free(shard->_outgoing);
    free_spare(shard->_spare);
    free_spare(atomic_load(&shard->_returned));
    free(shard->_queue);
    shard_close_ports(shard);
    free(shard);
}

/* ---- The queue of an event
 * -------------------------------------------------------------------------------------- */

static void count_work(struct shard *shard, const struct delivery *delivery)
{
    shard->work += delivery->how == DELIVER_CROWD ? delivery->crowd->count : 1;
    shard->broadcasts += delivery->how == DELIVER_BROADCAST;
}

/* It holds the receipt of the stanza at hand. */
static void enqueue(struct shard *shard, const struct delivery *delivery)
{
    if (shard->_queue_len == shard->_queue_room) {
        shard->_queue_room = shard->_queue_room ? shard->_queue_room * 2 : 64;
        shard->_queue = xrealloc(shard->_queue, shard->_queue_room * sizeof *shard->_queue);
    }
    struct delivery *queued = &shard->_queue[shard->_queue_len++];
    *queued = *delivery;
    queued->receipt = receipt_hold(shard);
    count_work(shard, delivery);
}

struct later {
    struct later *next;
    void *memory;
    struct crowd *crowd;
};

void shard_free_later(struct shard *shard, void *memory)
{
    struct later *later = ARENA_NEW(&shard->arena, struct later);
    *later = (struct later){ .next = shard->_later, .memory = memory };
    shard->_later = later;
}

/* Handlers may have sent something in the name of an address in it. */
static void unref_later(struct shard *shard, struct crowd *crowd)
{
    struct later *later = ARENA_NEW(&shard->arena, struct later);
    *later = (struct later){ .next = shard->_later, .crowd = crowd };
    shard->_later = later;
}

static void deliver(struct shard *shard, const struct delivery *delivery)
{
    if (delivery->how == DELIVER_CROWD) {
        user_deliver_crowd(shard, delivery);
        unref_later(shard, delivery->crowd);
        return;
    }
    struct host *host = server_domain(shard->server, jid_domain(&delivery->to));
    if (!host) {
        struct component_domain *domain = component_domain_named(shard->server, jid_domain(&delivery->to));
        if (domain)
            component_deliver(shard, domain, delivery);
        else if (shard->dns)
            remote_deliver(shard, delivery);
        return;
    }
    if (host->service)
        host->service->service->deliver(shard, host, delivery);
    else if (delivery->to.local_len)
        user_deliver(shard, host, delivery);
    else
        host_deliver(shard, host, delivery);
}

static void deliver_queued(struct shard *shard)
{
    while (shard->_queue_head < shard->_queue_len) {
        struct delivery next = shard->_queue[shard->_queue_head++];
        struct receipt *before = receipt_enter(shard, next.receipt);
        shard->to_many = next.how == DELIVER_CROWD || next.how == DELIVER_BROADCAST;
        deliver(shard, &next);
        shard->to_many = false;
        receipt_leave(shard, before);
        receipt_release(shard, next.receipt);
    }
}

void shard_drain(struct shard *shard)
{
    do
        deliver_queued(shard);
    while (many_flush_all(shard));
    shard->_queue_head = shard->_queue_len = 0;
    shard->is_for_service = false;
    if (shard->_queue_room > 4096) {
        free(shard->_queue);
        shard->_queue = NULL;
        shard->_queue_room = 0;
    }
}

/* Nobody is there any more to get it. */
static void drop_mail(struct shard *shard, struct shard_mail *mail)
{
    for (const struct letter *letter = mail->first; letter; letter = letter->next) {
        receipt_release(shard, letter->delivery.receipt);
        crowd_unref(letter->delivery.crowd);
    }
    arena_fini(&mail->arena);
    free(mail);
}

static void post_outgoing(struct shard *shard)
{
    for (unsigned i = 0; i < shard->server->shard_count; i++) {
        struct shard_mail *mail = shard->_outgoing[i];
        shard->_outgoing[i] = NULL;
        if (mail && shard->server->over)
            drop_mail(shard, mail);
        else if (mail)
            loop_post(mail->shard->loop, &mail->mail);
    }
}

static void free_all_later(struct shard *shard)
{
    for (; shard->_later; shard->_later = shard->_later->next) {
        free(shard->_later->memory);
        crowd_unref(shard->_later->crowd);
    }
}

void shard_enter(struct shard *shard)
{
    shard->_depth++;
}

void shard_leave(struct shard *shard)
{
    if (shard->_depth == 1) {
        shard_drain(shard);
        if (shard->server->shard_count > 1)
            post_outgoing(shard);
        free_all_later(shard);
        arena_reset(&shard->arena);
    }
    shard->_depth--;
}

/* ---- Mail between shards
 * ---------------------------------------------------------------------------------------- */

/* On the thread that got it. Who gave it takes all at once, so the list has no trouble with what comes and
 * goes meanwhile. */
static void give_back(struct shard_mail *mail)
{
    struct shard *from = mail->from;
    arena_reset(&mail->arena);
    size_t bytes = arena_size(&mail->arena);
    if (atomic_load_explicit(&from->_spare_bytes, memory_order_relaxed) + bytes > SPARE_MAX) {
        mail_free(mail);
        return;
    }
    atomic_fetch_add_explicit(&from->_spare_bytes, bytes, memory_order_relaxed);
    mail->next = atomic_load_explicit(&from->_returned, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&from->_returned, &mail->next, mail, memory_order_release,
                                                  memory_order_relaxed))
        ;
}

static struct shard_mail *mail_new(struct shard *shard)
{
    if (!shard->_spare)
        shard->_spare = atomic_exchange_explicit(&shard->_returned, NULL, memory_order_acquire);
    struct shard_mail *mail = shard->_spare;
    if (mail) {
        shard->_spare = mail->next;
        atomic_fetch_sub_explicit(&shard->_spare_bytes, arena_size(&mail->arena), memory_order_relaxed);
        return mail;
    }
    mail = NEW(struct shard_mail);
    arena_init(&mail->arena, MAIL_BYTES);
    return mail;
}

static void deliver_mail(struct mail *base)
{
    struct shard_mail *mail = CONTAINER_OF(base, struct shard_mail, mail);
    struct shard *shard = mail->shard;
    shard_enter(shard);
    for (const struct letter *letter = mail->first; letter; letter = letter->next) {
        struct receipt *receipt = letter->delivery.receipt;
        receipt_enter(shard, receipt);
        enqueue(shard, &letter->delivery);
        receipt_leave(shard, NULL);
        receipt_release(shard, receipt);
    }
    shard_leave(shard);
    give_back(mail);
}

static struct shard_mail *mail_to(struct shard *shard, struct shard *home)
{
    struct shard_mail *mail = shard->_outgoing[home->index];
    if (mail)
        return mail;
    mail = mail_new(shard);
    mail->mail.deliver = deliver_mail;
    mail->from = shard;
    mail->shard = home;
    mail->source = NULL;
    mail->first = NULL;
    mail->end = &mail->first;
    shard->_outgoing[home->index] = mail;
    shard->counters.mails_out++;
    return mail;
}

/* The bytes of a stanza stay where they are as long as the event lasts, so one that was copied need not be
 * copied again. A crowd keeps the reference that it came with. */
static void send_away(struct shard *shard, struct shard *home, const struct delivery *delivery)
{
    struct shard_mail *mail = mail_to(shard, home);
    count_work(shard, delivery);
    struct letter *letter = arena_alloc(&mail->arena, sizeof *letter);
    if (mail->source != delivery->stanza) {
        mail->source = delivery->stanza;
        mail->stanza = stanza_copy_arena(delivery->stanza, &mail->arena);
    }
    letter->next = NULL;
    letter->delivery = *delivery;
    letter->delivery.stanza = mail->stanza;
    letter->delivery.to = jid_copy(&delivery->to, &mail->arena);
    letter->delivery.receipt = receipt_hold(shard);
    *mail->end = letter;
    mail->end = &letter->next;
}

static void run_call(struct mail *mail)
{
    struct shard_call *call = CONTAINER_OF(mail, struct shard_call, _mail);
    struct shard *shard = call->_shard;
    shard_enter(shard);
    call->run(shard, call);
    shard_leave(shard);
}

void shard_post(struct shard *shard, struct shard_call *call)
{
    call->_shard = shard;
    call->_mail.deliver = run_call;
    loop_post(shard->loop, &call->_mail);
}

/* ---- Holding
 * ---------------------------------------------------------------------------------------------------- */

void hold_init(struct hold *hold)
{
    list_init(&hold->_entries);
}

static void hold_add(struct shard *shard, struct hold *hold, const struct delivery *delivery)
{
    str to = delivery->to.full;
    struct held *held = xmalloc(sizeof *held + to.len);
    held->stanza = stanza_copy(delivery->stanza);
    held->to = delivery->to;
    held->how = delivery->how;
    held->crowd = delivery->crowd;
    held->except = delivery->except;
    held->receipt = receipt_hold(shard);
    if (to.len)
        memcpy(held->text, to.p, to.len);
    held->to.full.p = held->text;
    list_append(&hold->_entries, &held->link);
}

static void held_free(struct shard *shard, struct held *held)
{
    crowd_unref(held->crowd);
    receipt_release(shard, held->receipt);
    free(held->stanza);
    free(held);
}

void hold_release(struct shard *shard, struct hold *hold)
{
    struct list *link;
    while ((link = list_shift(&hold->_entries))) {
        struct held *held = LIST_ITEM(link, struct held, link);
        struct jid to = jid_copy(&held->to, &shard->arena);
        const struct stanza *stanza = stanza_copy_arena(held->stanza, &shard->arena);
        struct receipt *before = receipt_enter(shard, held->receipt);
        if (held->how == DELIVER_CROWD)
            route_crowd(shard, stanza, held->crowd, held->except);
        else
            route_to(shard, stanza, &to, held->how);
        receipt_leave(shard, before);
        held_free(shard, held);
    }
}

void hold_drop(struct shard *shard, struct hold *hold)
{
    struct list *link;
    while ((link = list_shift(&hold->_entries)))
        held_free(shard, LIST_ITEM(link, struct held, link));
}

/* ---- Routing
 * ---------------------------------------------------------------------------------------------------- */

void route_to(struct shard *shard, const struct stanza *stanza, const struct jid *to, enum deliver how)
{
    struct delivery delivery = { .stanza = stanza, .to = *to, .how = how };
    if (shard->_hold) {
        hold_add(shard, shard->_hold, &delivery);
        return;
    }
    struct host *host = server_domain(shard->server, jid_domain(to));
    struct component_domain *domain = host ? NULL : component_domain_named(shard->server, jid_domain(to));
    if (!host && !domain && !shard->dns) {
        /* RFC 6120 §10.4: without federation no other domain is to be found */
        if (how == DELIVER_ROUTE && !(stanza->kind == STANZA_PRESENCE && stanza->type == TYPE_UNAVAILABLE))
            route_error(shard, stanza, STANZA_ERROR_REMOTE_SERVER_NOT_FOUND, NULL);
        return;
    }
    struct shard *home = shard;
    if (domain)
        home = component_home(shard->server, domain);
    else if (!host)
        home = server_home(shard->server, jid_domain(to));
    else if (to->local_len || host->service)
        home = server_home(shard->server, jid_bare(to));
    if (home == shard) {
        shard->is_for_service |= host && host->service;
        enqueue(shard, &delivery);
        return;
    }
    send_away(shard, home, &delivery);
}

void route_crowd(struct shard *shard, const struct stanza *stanza, struct crowd *crowd, uint32_t except)
{
    struct shard *home = shard->server->shards[crowd->shard];
    struct delivery delivery = {
        .stanza = stanza, .how = DELIVER_CROWD, .crowd = crowd_ref(crowd), .except = except
    };
    if (shard->_hold)
        hold_add(shard, shard->_hold, &delivery);
    else if (home == shard)
        enqueue(shard, &delivery);
    else
        send_away(shard, home, &delivery);
}

void route(struct shard *shard, const struct stanza *stanza)
{
    route_to(shard, stanza, &stanza->to, DELIVER_ROUTE);
}

void route_answer(struct shard *shard, const struct stanza *answer)
{
    if (!jid_is_none(&answer->to))
        route_to(shard, answer, &answer->to, jid_is_bare(&answer->to) ? DELIVER_ROUTE : DELIVER_SESSION);
}

static void route_made(struct shard *shard, struct stanza made)
{
    struct stanza *answer = arena_alloc(&shard->arena, sizeof *answer);
    *answer = made;
    route_answer(shard, answer);
}

void route_error(struct shard *shard, const struct stanza *stanza, enum stanza_error error, const char *text)
{
    if (!stanza_may_bounce(stanza))
        return;
    shard->counters.errors_out++;
    route_made(shard, stanza_error_reply(stanza, error, text, &shard->arena));
}

void route_result(struct shard *shard, const struct stanza *iq, str payload)
{
    route_made(shard, stanza_iq_result(iq, payload, &shard->arena));
}
