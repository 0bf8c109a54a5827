/* SPDX-License-Identifier: MIT */
/* Shards and the routing between them.
 *
 * Inside a shard a stanza is handed on by pointer: the bytes that the client sent are still in the read
 * buffer when its receiver writes them. Only what leaves the shard, waits for an actor to load, or waits for
 * the disk is copied. A fan-out to another shard is one mail with one copy of the stanza and a list of
 * addresses.
 *
 * RFC 6120 §10 (routing), RFC 6121 §8. What a user does with a stanza is in user_deliver.c, what a host does
 * in host.c. */
#include "server/shard.h"

#include "base/log.h"
#include "server/actor.h"
#include "server/component.h"
#include "server/ext.h"
#include "server/host.h"
#include "server/receipt.h"
#include "server/remote.h"
#include "server/s2s.h"
#include "server/user.h"

#include <stdlib.h>

struct recipient {
    struct jid to;
    enum deliver how;
    struct receipt *receipt;
};

struct shard_mail {
    struct mail mail;
    struct shard *shard;
    const struct stanza *source; /* what the copy was made of, while the event lasts */
    struct stanza *stanza;
    struct recipient *recipients;
    size_t count, room;
};

struct held {
    struct list link;
    struct stanza *stanza;
    struct jid to;
    enum deliver how;
    char text[];
};

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
    slab_init(&shard->user_slab, server->user_size);
    slab_init(&shard->session_slab, server->session_size);
    slab_init(&shard->c2s_slab, c2s_size());
    return shard;
}

void shard_free(struct shard *shard)
{
    shard_enter(shard);
    actors_drop_all(shard);
    remotes_drop_all(shard);
    shard_leave(shard);
    ext_shard_fini(shard);
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
    free(shard->_queue);
    shard_close_ports(shard);
    free(shard);
}

/* ---- The queue of an event
 * -------------------------------------------------------------------------------------- */

static void enqueue(struct shard *shard, const struct stanza *stanza, const struct jid *to, enum deliver how)
{
    if (shard->_queue_len == shard->_queue_room) {
        shard->_queue_room = shard->_queue_room ? shard->_queue_room * 2 : 64;
        shard->_queue = xrealloc(shard->_queue, shard->_queue_room * sizeof *shard->_queue);
    }
    shard->_queue[shard->_queue_len++] = (struct delivery){ stanza, *to, how, receipt_hold(shard) };
}

static void deliver(struct shard *shard, const struct delivery *delivery)
{
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

void shard_drain(struct shard *shard)
{
    while (shard->_queue_head < shard->_queue_len) {
        struct delivery next = shard->_queue[shard->_queue_head++];
        struct receipt *before = receipt_enter(shard, next.receipt);
        deliver(shard, &next);
        receipt_leave(shard, before);
        receipt_release(shard, next.receipt);
    }
    shard->_queue_head = shard->_queue_len = 0;
    if (shard->_queue_room > 4096) {
        free(shard->_queue);
        shard->_queue = NULL;
        shard->_queue_room = 0;
    }
}

static void post_outgoing(struct shard *shard)
{
    for (unsigned i = 0; i < shard->server->shard_count; i++) {
        struct shard_mail *mail = shard->_outgoing[i];
        shard->_outgoing[i] = NULL;
        if (mail)
            loop_post(mail->shard->loop, &mail->mail);
    }
}

struct later {
    struct later *next;
    void *memory;
};

void shard_free_later(struct shard *shard, void *memory)
{
    struct later *later = arena_alloc(&shard->arena, sizeof *later);
    *later = (struct later){ shard->_later, memory };
    shard->_later = later;
}

static void free_all_later(struct shard *shard)
{
    for (; shard->_later; shard->_later = shard->_later->next)
        free(shard->_later->memory);
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

static void deliver_mail(struct mail *base)
{
    struct shard_mail *mail = CONTAINER_OF(base, struct shard_mail, mail);
    struct shard *shard = mail->shard;
    shard_enter(shard);
    for (size_t i = 0; i < mail->count; i++) {
        const struct recipient *recipient = &mail->recipients[i];
        receipt_enter(shard, recipient->receipt);
        enqueue(shard, mail->stanza, &recipient->to, recipient->how);
        receipt_leave(shard, NULL);
        receipt_release(shard, recipient->receipt);
    }
    shard_leave(shard);
    for (size_t i = 0; i < mail->count; i++)
        free((char *)mail->recipients[i].to.full.p);
    free(mail->recipients);
    free(mail->stanza);
    free(mail);
}

static void send_away(struct shard *shard, struct shard *home, const struct stanza *stanza,
                      const struct jid *to, enum deliver how)
{
    struct shard_mail *mail = shard->_outgoing[home->index];
    if (mail && mail->source != stanza) {
        loop_post(home->loop, &mail->mail);
        mail = NULL;
    }
    if (!mail) {
        mail = NEW(struct shard_mail);
        mail->mail.deliver = deliver_mail;
        mail->shard = home;
        mail->source = stanza;
        mail->stanza = stanza_copy(stanza);
        shard->_outgoing[home->index] = mail;
        shard->counters.mails_out++;
    }
    if (mail->count == mail->room) {
        mail->room = mail->room ? mail->room * 2 : 4;
        mail->recipients = xrealloc(mail->recipients, mail->room * sizeof *mail->recipients);
    }
    struct jid copy = *to;
    copy.full = str_of(str_dup(to->full), to->full.len);
    mail->recipients[mail->count++] = (struct recipient){ copy, how, receipt_hold(shard) };
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

static void hold_add(struct hold *hold, const struct stanza *stanza, const struct jid *to, enum deliver how)
{
    struct held *held = xmalloc(sizeof *held + to->full.len);
    held->stanza = stanza_copy(stanza);
    held->to = *to;
    held->how = how;
    memcpy(held->text, to->full.p, to->full.len);
    held->to.full.p = held->text;
    list_append(&hold->_entries, &held->link);
}

static void held_free(struct held *held)
{
    free(held->stanza);
    free(held);
}

void hold_release(struct shard *shard, struct hold *hold)
{
    struct list *link;
    while ((link = list_shift(&hold->_entries))) {
        struct held *held = LIST_ITEM(link, struct held, link);
        struct jid to = jid_copy(&held->to, &shard->arena);
        route_to(shard, stanza_copy_arena(held->stanza, &shard->arena), &to, held->how);
        held_free(held);
    }
}

void hold_drop(struct hold *hold)
{
    struct list *link;
    while ((link = list_shift(&hold->_entries)))
        held_free(LIST_ITEM(link, struct held, link));
}

/* ---- Routing
 * ---------------------------------------------------------------------------------------------------- */

void route_to(struct shard *shard, const struct stanza *stanza, const struct jid *to, enum deliver how)
{
    if (shard->_hold) {
        hold_add(shard->_hold, stanza, to, how);
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
    if (home == shard)
        enqueue(shard, stanza, to, how);
    else
        send_away(shard, home, stanza, to, how);
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
