/* SPDX-License-Identifier: MIT */
/* The life of a room: it wakes with its rows and what was said last, lives on memory, writes what is to stay,
 * and sleeps when nobody is in it.
 *
 * A room that is not in the store begins to exist when somebody enters it (XEP-0045 §10.1), temporary and
 * locked until its owner has said what it shall be. When a write fails the actor reads the rows again: who is
 * in the room stays there, and gets the affiliations that the disk knows. A room that had no rows yet keeps
 * the configuration of before. */
#include "room.h"

#include "base/log.h"
#include "base/rand.h"
#include "occupant.h"
#include "xml/write.h"
#include "xmpp/stamp.h"

#include <stdlib.h>

static const char *const role_names[] = { "none", "visitor", "participant", "moderator" };
static const char *const affiliation_names[] = { "outcast", "none", "member", "admin", "owner" };

const char *role_name(enum role role)
{
    return role_names[role];
}

const char *room_affiliation_name(enum affiliation affiliation)
{
    return affiliation_names[affiliation];
}

bool role_named(str name, enum role *ret)
{
    for (unsigned i = 0; i < COUNT_OF(role_names); i++) {
        if (!str_eq(name, str_from(role_names[i])))
            continue;
        *ret = (enum role)i;
        return true;
    }
    return false;
}

bool room_affiliation_named(str name, enum affiliation *ret)
{
    for (unsigned i = 0; i < COUNT_OF(affiliation_names); i++) {
        if (!str_eq(name, str_from(affiliation_names[i])))
            continue;
        *ret = (enum affiliation)i;
        return true;
    }
    return false;
}

/* ---- Rows ---- */

static const char *rows(const struct actor *actor)
{
    (void)actor;
    return "affiliation,hat,hat-wearer,room";
}

static void free_subject(struct room *room)
{
    free((char *)room->subject.xml.p);
    free((char *)room->subject.nick.p);
    room->subject = (struct subject){ 0 };
}

void room_set_avatar(struct room *room, str hashes)
{
    free(room->avatar);
    room->avatar = hashes.len ? str_dup(hashes) : NULL;
}

/* <subject nick='' stamp=''>payload</subject>: what was said, and by whom. */
static void load_subject(struct room *room, str value)
{
    struct arena *arena = room_arena(room);
    struct xml_node node;
    if (!xml_parse(value, str_none, &node))
        return;
    free_subject(room);
    str nick = xml_attr(&node, STR("nick"), arena);
    str stamp = xml_attr(&node, STR("stamp"), arena);
    room->subject.xml = str_of(str_dup(node.content), node.content.len);
    room->subject.nick = str_of(str_dup(nick), nick.len);
    if (!stamp.p || !stamp_read(stamp, &room->subject.set_ms))
        room->subject.set_ms = 0;
}

static void load_row(struct actor *actor, const struct store_row *row)
{
    struct room *room = ROOM_OF(actor);
    bool ok = true;
    if (str_is(row->kind, "affiliation"))
        ok = affiliation_load(room, row);
    else if (str_starts(row->kind, STR("hat")))
        ok = hats_load(room, row);
    else if (str_is(row->key, "subject"))
        load_subject(room, row->value);
    else if (str_is(row->key, "avatar"))
        room_set_avatar(room, row->value);
    else if (str_is(row->key, "secret"))
        str_copy(row->value, room->secret, sizeof room->secret);
    else if (row->key.len == 0)
        ok = actor->exists = room->is_stored =
            room_config_load(row->value, room->config, &actor->shard->arena);
    if (!ok)
        log_error(ext, "room %s: the row %.*s %.*s can't be read", actor->bare, STR_ARGS(row->kind),
                  STR_ARGS(row->key));
}

static void write_subject(const struct room *room, struct store_batch *batch)
{
    struct buf xml;
    if (!room->subject.xml.p)
        return;
    buf_init(&xml, 1 << 20);
    buf_lit(&xml, "<subject");
    xml_write_attr(&xml, "nick", room->subject.nick);
    xml_write_attr(&xml, "stamp", str_from(stamp_millis(room->subject.set_ms, room_arena(room))));
    buf_add_char(&xml, '>');
    buf_add(&xml, room->subject.xml);
    buf_lit(&xml, "</subject>");
    store_put(batch, actor_bare(&room->actor), STR("room"), STR("subject"), buf_str(&xml));
    buf_fini(&xml);
}

static void write_config(const struct room *room, struct store_batch *batch)
{
    struct buf xml;
    room_config_save(room->config, &xml);
    store_put(batch, actor_bare(&room->actor), STR("room"), STR(""), buf_str(&xml));
    buf_fini(&xml);
}

/* The row by which the service finds it while it sleeps. */
static void write_listed(const struct room *room, struct store_batch *batch)
{
    struct jid jid = room_jid(room);
    str service = jid_domain(&jid), name = room->config->name;
    if (room->config->is_public && room->config->is_persistent)
        store_put(batch, service, STR("public-room"), jid.full, name.p ? name : STR(""));
    else
        store_del(batch, service, STR("public-room"), jid.full);
}

static void write_away(const struct room *room, struct store_batch *batch)
{
    struct jid jid = room_jid(room);
    store_del_all(batch, jid.full, str_of("", 0));
    store_del(batch, jid_domain(&jid), STR("public-room"), jid.full);
}

static void write_whole(struct room *room, struct store_batch *batch)
{
    write_config(room, batch);
    write_subject(room, batch);
    store_put(batch, actor_bare(&room->actor), STR("room"), STR("secret"), str_from(room->secret));
    affiliations_save(room, batch);
    hats_save(room, batch);
}

void room_save_config(struct room *room, const struct stanza *cause)
{
    bool keep = room->config->is_persistent && !room->is_locked;
    if (!keep && !room->is_stored)
        return;
    struct store_batch *batch = actor_write(&room->actor, cause);
    if (!keep)
        write_away(room, batch);
    else if (room->is_stored)
        write_config(room, batch);
    else
        write_whole(room, batch);
    if (keep)
        write_listed(room, batch);
    else
        room_set_avatar(room, str_none); /* went with all the rest */
    room->is_stored = keep;
}

void room_save_subject(struct room *room, const struct stanza *cause)
{
    if (room->is_stored)
        write_subject(room, actor_write(&room->actor, cause));
}

/* ---- Beginning and end ---- */

void room_create(struct room *room)
{
    rand_token(room->secret, sizeof room->secret);
    room->actor.exists = true;
    room->has_ended = false;
    room->is_locked = room_settings(room)->locks;
    bans_follow(room, false);
}

void room_end(struct room *room, const struct stanza *cause)
{
    if (room->is_stored) {
        appends_flush(room_shard(room)); /* what was said is written before, and goes too */
        write_away(room, actor_write(&room->actor, cause));
        if (room->config->shares_bans)
            bans_changed(room, str_none, false, str_none);
    }
    room->is_stored = false;
    room->has_ended = true;
    room->actor.exists = false;
    bans_unfollow(room);
    service_list_room(room);
    room_config_free(room->config);
    room->config = room_config_new();
    affiliations_fini(room);
    affiliations_init(room);
    hats_fini(room);
    hats_init(room);
    free_subject(room);
    room_set_avatar(room, str_none);
    history_fini(room);
}

void room_hold(struct room *room)
{
    if (!room->holds++)
        actor_block(&room->actor);
}

void room_let_go(struct room *room)
{
    if (!--room->holds)
        actor_unblock(&room->actor);
}

void room_unlock(struct room *room)
{
    room->is_locked = false;
}

/* ---- As an actor ---- */

/* After rows were read again: who is in gets what they say. Nobody has heard that it was to be other. */
static void recall_affiliations(struct room *room)
{
    list_each (at, &room->order) {
        struct occupant *occupant = OCCUPANT_OF(at);
        enum affiliation now = affiliation_of(room, &occupant_seat(occupant)->jid);
        if (now != occupant->affiliation)
            occupant_become(occupant, now, occupant->role_before);
        occupant_refresh(occupant);
    }
    crowds_changed(room);
}

static void remove_all(struct room *room)
{
    struct notice notice = { .type = TYPE_UNAVAILABLE, .role = ROLE_NONE, .status = STATUS_332 };
    list_each_safe (at, &room->order) {
        struct occupant *occupant = OCCUPANT_OF(at);
        notice_to_own(occupant, &notice);
        list_each_safe (seat, &occupant->seats)
            seat_leave(SEAT_OF(seat));
    }
}

static void loaded(struct actor *actor, bool ok)
{
    struct room *room = ROOM_OF(actor);
    if (!ok) {
        actor->exists = false;
        room->is_stored = false;
        occupants_return(room);
        remove_all(room);
        return;
    }
    occupants_return(room);
    if (!actor->exists && room->occupants.count)
        actor->exists = true; /* it was never stored: it goes on in memory */
    room->_was_stored = room->is_stored;
    bans_follow(room, true);
    recall_affiliations(room);
    if (room->occupants.count)
        service_list_room(room);
    if (room->is_stored && !room->history)
        history_load(room);
}

/* On the way to being read again, or freed. What is in memory alone stays as it was before the write. */
static void forget(struct actor *actor)
{
    struct room *room = ROOM_OF(actor);
    bool is_inhabited = room->occupants.count || !list_empty(&room->departed);
    room->has_ended = false;
    bans_drop_news(room);
    if (!room->_was_stored && is_inhabited) {
        room->is_locked = room->_was_locked;
        if (room->_config_before) {
            room_config_free(room->config);
            room->config = room->_config_before;
            room->_config_before = NULL;
        }
        room->is_stored = false;
        return;
    }
    actor->exists = room->is_stored = false;
    room_config_free(room->config);
    room->config = room_config_new();
    affiliations_fini(room);
    affiliations_init(room);
    hats_fini(room);
    hats_init(room);
    free_subject(room);
    room_set_avatar(room, str_none);
}

static void written(struct actor *actor)
{
    struct room *room = ROOM_OF(actor);
    occupants_part(room);
    room->_was_stored = room->is_stored;
    room_config_free(room->_config_before);
    room->_config_before = NULL;
    bans_tell_news(room);
}

/* XEP-0045 §11.2: they go while they can hear of it. */
static void stopping(struct actor *actor)
{
    remove_all(ROOM_OF(actor));
}

static bool may_sleep(const struct actor *actor)
{
    const struct room *room = ROOM_OF(actor);
    return !room->occupants.count && !room->is_reading_history && !room->holds;
}

static void room_free(struct actor *actor)
{
    struct room *room = ROOM_OF(actor);
    occupants_fini(room);
    room_watch_fini(&room->watch);
    affiliations_fini(room);
    hats_fini(room);
    bans_unfollow(room);
    bans_drop_news(room);
    history_fini(room);
    room_config_free(room->config);
    room_config_free(room->_config_before);
    free_subject(room);
    room_set_avatar(room, str_none);
    free(room);
}

static void receive(struct actor *actor, const struct delivery *delivery)
{
    struct room *room = ROOM_OF(actor);
    switch (delivery->stanza->kind) {
    case STANZA_PRESENCE:
        room_presence(room, delivery);
        return;
    case STANZA_MESSAGE:
        room_message(room, delivery);
        return;
    case STANZA_IQ:
        room_iq(room, delivery);
        return;
    }
}

static bool wants_to_enter(const struct delivery *delivery, struct xml_node *ret)
{
    const struct stanza *stanza = delivery->stanza;
    return stanza->kind == STANZA_PRESENCE && stanza->type == TYPE_NONE &&
           xml_child(&stanza->node, STR("x"), STR(NS_MUC), ret);
}

/* There is no such room: who enters makes it; all else finds nothing (§7.2.11, §16.2). */
static void refuse(struct actor *actor, const struct delivery *delivery)
{
    struct room *room = ROOM_OF(actor);
    const struct stanza *stanza = delivery->stanza;
    struct xml_node muc;
    if (actor->state != ACTOR_READY) {
        room_refuse(room, stanza, STANZA_ERROR_RESOURCE_CONSTRAINT, NULL, NULL);
    } else if (wants_to_enter(delivery, &muc) || stanza->kind == STANZA_PRESENCE) {
        room_presence(room, delivery);
        actor_handled(actor);
    } else {
        room_refuse(room, stanza, STANZA_ERROR_ITEM_NOT_FOUND, NULL, NULL);
    }
}

static const struct actor_kind kind = {
    .rows = rows,
    .load_row = load_row,
    .loaded = loaded,
    .receive = receive,
    .refuse = refuse,
    .forget = forget,
    .written = written,
    .stopping = stopping,
    .may_sleep = may_sleep,
    .free = room_free,
    .takes_turns = true,
};

static struct room *room_new(struct shard *shard, struct host *host, const struct jid *jid)
{
    struct room *room = NEW(struct room);
    room->config = room_config_new();
    affiliations_init(room);
    hats_init(room);
    occupants_init(room);
    list_init(&room->follows);
    list_init(&room->ban_news);
    room_watch_init(&room->watch);
    room->actor.shard = shard;
    activity_begin(room);
    actor_start(&room->actor, &kind, shard, host, jid, true);
    return room;
}

static bool matters_to_sleeper(const struct stanza *stanza)
{
    if (stanza->type == TYPE_ERROR || stanza->type == TYPE_RESULT)
        return false;
    return stanza->kind != STANZA_PRESENCE || stanza->type == TYPE_NONE;
}

void room_deliver(struct shard *shard, struct host *host, const struct delivery *delivery)
{
    struct actor *actor = actor_awake(shard, jid_bare(&delivery->to));
    if (!actor && !matters_to_sleeper(delivery->stanza))
        return;
    actor_deliver(actor ? actor : &room_new(shard, host, &delivery->to)->actor, delivery);
}

void room_refuse(struct room *room, const struct stanza *stanza, enum stanza_error error, const char *type,
                 const char *text)
{
    struct shard *shard = room_shard(room);
    struct stanza *answer;
    if (!stanza_may_bounce(stanza))
        return;
    shard->counters.errors_out++;
    answer = ARENA_NEW(&shard->arena, struct stanza);
    *answer = stanza_error_by(stanza, error, type, actor_bare(&room->actor), text, &shard->arena);
    if (stanza->kind == STANZA_PRESENCE)
        answer->node.content =
            arena_printf(&shard->arena, "<x xmlns='" NS_MUC "'/>%.*s", STR_ARGS(answer->node.content));
    route(shard, answer);
}
