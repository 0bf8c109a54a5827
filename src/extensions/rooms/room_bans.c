/* SPDX-License-Identifier: MIT */
/* Ban lists that rooms share. A persistent room whose owner lets others see its bans is a list, and rooms of
 * the same service can follow it: who is banned there, and has no affiliation of his own here, is banned here
 * too. The administrator can name lists that hold in every room (`ban-lists`).
 *
 * Each shard keeps one copy of a list for all rooms that follow it there, read from the store when the first
 * of them wakes: that one waits for it, so that nobody slips in. When a ban has changed and is on disk the
 * list's room tells it to all shards; one that is just reading reads again. Nothing is copied into the rooms
 * that follow: a ban that is lifted is lifted everywhere. */
#include "base/log.h"
#include "occupant.h"

#include <stdlib.h>

enum { LISTS_MAX = 5 /* of one room */ };

struct banned {
    struct map_node _node;
    str jid, reason;
    char text[];
};

struct banlist {
    struct list link; /* of the shard's */
    struct shard *shard;
    struct store_read read;
    struct map banned;     /* struct banned by jid */
    struct list followers; /* struct following */
    bool is_known, is_reading, again;
    bool is_telling; /* who follows may stop following on being told */
    char *jid;
};

struct following {
    struct list of_list, of_room;
    struct banlist *list;
    struct room *room;
    bool waits; /* the room does, for the list */
};

static str banned_key(const struct map_node *node)
{
    return CONTAINER_OF(node, struct banned, _node)->jid;
}

/* ---- A list in memory ---- */

static void lift(struct banlist *list, str jid)
{
    struct banned *banned = MAP_ITEM(map_get(&list->banned, jid), struct banned, _node);
    if (!banned)
        return;
    map_remove(&list->banned, &banned->_node);
    free(banned);
}

static void ban(struct banlist *list, str jid, str reason)
{
    lift(list, jid);
    struct banned *banned = xcalloc(1, sizeof *banned + jid.len + reason.len);
    memcpy(banned->text, jid.p, jid.len);
    if (reason.len)
        memcpy(banned->text + jid.len, reason.p, reason.len);
    banned->jid = str_of(banned->text, jid.len);
    banned->reason = str_of(banned->text + jid.len, reason.len);
    map_put(&list->banned, &banned->_node);
}

static void empty(struct banlist *list)
{
    struct map_walk walk = { 0 };
    struct map_node *node;
    while ((node = map_next(&list->banned, &walk)))
        free(CONTAINER_OF(node, struct banned, _node));
    map_fini(&list->banned);
    map_init(&list->banned, banned_key);
}

static void list_free(struct banlist *list)
{
    list_remove(&list->link);
    empty(list);
    map_fini(&list->banned);
    free(list->jid);
    free(list);
}

static struct list *lists_of(struct shard *shard)
{
    struct rooms_shard *all = rooms_shard(shard);
    if (!all->is_ready)
        list_init(&all->banlists);
    all->is_ready = true;
    return &all->banlists;
}

static struct banlist *list_find(struct shard *shard, str jid)
{
    list_each (at, lists_of(shard))
        if (str_eq(str_from(LIST_ITEM(at, struct banlist, link)->jid), jid))
            return LIST_ITEM(at, struct banlist, link);
    return NULL;
}

static struct banlist *list_of(struct shard *shard, str jid)
{
    struct banlist *list = list_find(shard, jid);
    if (list)
        return list;
    list = NEW(struct banlist);
    list->shard = shard;
    list->jid = str_dup(jid);
    map_init(&list->banned, banned_key);
    list_init(&list->followers);
    list_append(lists_of(shard), &list->link);
    return list;
}

void bans_fini_shard(struct shard *shard)
{
    list_each_safe (at, lists_of(shard))
        list_free(LIST_ITEM(at, struct banlist, link));
}

/* ---- What it means for a room ---- */

static const struct banned *ban_of(const struct room *room, const struct jid *who)
{
    list_each (at, &room->follows) {
        const struct map *map = &LIST_ITEM(at, struct following, of_room)->list->banned;
        const struct map_node *node = map_get(map, jid_bare(who));
        if (!node)
            node = map_get(map, jid_domain(who));
        if (node)
            return CONTAINER_OF(node, struct banned, _node);
    }
    return NULL;
}

bool bans_hold(const struct room *room, const struct jid *who)
{
    return !list_empty(&room->follows) && ban_of(room, who);
}

/* Those who are in and are banned by what has come go, as by a ban of the room's own (§9.1). */
static void apply(struct room *room)
{
    bool has_removed = false;
    list_each_safe (at, &room->order) {
        struct occupant *occupant = OCCUPANT_OF(at);
        const struct jid *who = &occupant_seat(occupant)->jid;
        if (occupant->affiliation != AFFILIATION_NONE || affiliation_of(room, who) != AFFILIATION_OUTCAST)
            continue;
        const struct banned *banned = ban_of(room, who);
        struct notice notice = { .type = TYPE_UNAVAILABLE,
                                 .role = ROLE_NONE,
                                 .status = STATUS_301,
                                 .reason = banned && banned->reason.len
                                               ? arena_str(room_arena(room), banned->reason)
                                               : str_none };
        occupant_become(occupant, AFFILIATION_OUTCAST, occupant->role);
        occupant_remove_own(occupant, &notice);
        occupant_remove_others(occupant, &notice);
        has_removed = true;
    }
    if (has_removed)
        room_emptied(room, NULL);
}

static void run_apply(struct actor *actor, struct parked *parked)
{
    free(parked);
    apply(ROOM_OF(actor));
    actor_handled(actor);
}

static void drop_apply(struct actor *actor, struct parked *parked)
{
    (void)actor;
    free(parked);
}

/* Frees the list if nobody follows it any more. */
static void tell_followers(struct banlist *list)
{
    list->is_telling = true;
    list_each_safe (at, &list->followers) {
        struct following *following = LIST_ITEM(at, struct following, of_list);
        struct room *room = following->room;
        if (following->waits) {
            following->waits = false;
            room_let_go(room);
            continue;
        }
        struct parked *parked = NEW(struct parked);
        *parked = (struct parked){ .run = run_apply, .drop = drop_apply };
        actor_when_ready(&room->actor, parked);
    }
    list->is_telling = false;
    if (list_empty(&list->followers))
        list_free(list);
}

/* ---- Reading a list ---- */

static bool shares(const struct store_read *read, struct arena *arena)
{
    struct room_config *config = room_config_new();
    bool ok = false;
    for (size_t i = 0; i < read->count; i++)
        if (str_is(read->rows[i].kind, "room") && !read->rows[i].key.len)
            ok = room_config_load(read->rows[i].value, config, arena) && config->shares_bans;
    room_config_free(config);
    return ok;
}

static void take_rows(struct banlist *list)
{
    struct arena *arena = &list->shard->arena;
    struct store_read *read = &list->read;
    empty(list);
    if (!shares(read, arena))
        return;
    for (size_t i = 0; i < read->count; i++) {
        struct xml_node item;
        enum affiliation affiliation;
        if (str_is(read->rows[i].kind, "affiliation") && xml_parse(read->rows[i].value, str_none, &item) &&
            room_affiliation_named(xml_attr(&item, STR("affiliation"), arena), &affiliation) &&
            affiliation == AFFILIATION_OUTCAST)
            ban(list, read->rows[i].key, xml_text(&item, arena));
    }
}

static void read_list(struct banlist *list);

static void has_read(struct store_read *read)
{
    struct banlist *list = CONTAINER_OF(read, struct banlist, read);
    struct shard *shard = list->shard;
    shard_enter(shard);
    list->is_reading = false;
    if (read->err == OK)
        take_rows(list);
    else
        log_error(store, "the ban list %s can't be read: %s", list->jid, err_text(read->err));
    store_read_fini(read);
    if (list->again) {
        read_list(list);
    } else {
        list->is_known = true;
        tell_followers(list);
    }
    shard_leave(shard);
}

static void read_list(struct banlist *list)
{
    list->again = list->is_reading;
    if (list->is_reading)
        return;
    list->is_reading = true;
    list->read.done = has_read;
    store_get_all(list->shard->server->store, list->shard->loop, str_from(list->jid), STR("affiliation,room"),
                  &list->read);
}

/* ---- Following ---- */

static void unfollow(struct following *following)
{
    struct banlist *list = following->list;
    list_remove(&following->of_list);
    list_remove(&following->of_room);
    free(following);
    if (list_empty(&list->followers) && !list->is_reading && !list->is_telling)
        list_free(list);
}

static void follow(struct room *room, str jid, bool may_wait)
{
    struct following *following = NEW(struct following);
    following->room = room;
    following->list = list_of(room_shard(room), jid);
    list_append(&following->list->followers, &following->of_list);
    list_append(&room->follows, &following->of_room);
    if (following->list->is_known)
        return;
    following->waits = may_wait;
    if (may_wait)
        room_hold(room);
    if (!following->list->is_reading)
        read_list(following->list);
}

void bans_unfollow(struct room *room)
{
    struct list *link;
    while ((link = room->follows.next) != &room->follows)
        unfollow(LIST_ITEM(link, struct following, of_room));
}

/* The lists of its configuration and the service's, each once, and not itself. */
static size_t wanted(const struct room *room, str *ret)
{
    const struct config_list *all = &room_settings(room)->ban_lists;
    str lines = room->config->ban_lists;
    size_t count = 0;
    for (size_t i = 0; i < all->count && count < LISTS_MAX; i++)
        ret[count++] = str_from(all->items[i]);
    while (lines.p && count < 2 * LISTS_MAX) {
        str jid = str_cut(&lines, '\n');
        if (jid.len)
            ret[count++] = jid;
    }
    return count;
}

static bool is_followed(const struct room *room, str jid)
{
    list_each (at, &room->follows)
        if (str_eq(str_from(LIST_ITEM(at, struct following, of_room)->list->jid), jid))
            return true;
    return false;
}

void bans_follow(struct room *room, bool may_wait)
{
    str lists[2 * LISTS_MAX];
    size_t count = wanted(room, lists);
    list_each_safe (at, &room->follows) {
        struct following *following = LIST_ITEM(at, struct following, of_room);
        bool stays = false;
        for (size_t i = 0; i < count; i++)
            stays = stays || str_eq(str_from(following->list->jid), lists[i]);
        if (!stays && !following->waits)
            unfollow(following);
    }
    for (size_t i = 0; i < count; i++)
        if (!is_followed(room, lists[i]) && !str_eq(lists[i], actor_bare(&room->actor)))
            follow(room, lists[i], may_wait);
    if (!may_wait)
        apply(room);
}

const char *bans_fault(const struct room *room, struct room_config *config)
{
    struct arena *arena = &config->arena;
    struct jid own = room_jid(room), jid;
    str lines = config->ban_lists, all = str_none;
    size_t count = 0;
    while (lines.p) {
        str line = str_trim(str_cut(&lines, '\n'));
        if (!line.len)
            continue;
        if (jid_parse(line, arena, &jid) != OK || !jid.local_len ||
            !str_eq(jid_domain(&jid), jid_domain(&own)))
            return "a ban list is a room of this service";
        if (++count > LISTS_MAX)
            return "there are too many ban lists";
        all = arena_printf(arena, "%.*s%s%.*s", STR_ARGS(all), all.len ? "\n" : "", STR_ARGS(jid_bare(&jid)));
    }
    config->ban_lists = all;
    return NULL;
}

/* ---- Being a list ---- */

struct ban_news {
    struct shard_call call;
    struct list link; /* of the room's, until it is on disk */
    bool is_all, is_banned;
    uint32_t list_len, jid_len, reason_len;
    char text[];
};

static struct ban_news *news_new(const struct room *room, str jid, bool is_banned, str reason)
{
    str list = actor_bare(&room->actor);
    struct ban_news *news = xcalloc(1, sizeof *news + list.len + jid.len + reason.len);
    memcpy(news->text, list.p, list.len);
    if (jid.len)
        memcpy(news->text + list.len, jid.p, jid.len);
    if (reason.len)
        memcpy(news->text + list.len + jid.len, reason.p, reason.len);
    news->list_len = (uint32_t)list.len;
    news->jid_len = (uint32_t)jid.len;
    news->reason_len = (uint32_t)reason.len;
    news->is_banned = is_banned;
    news->is_all = !jid.len;
    return news;
}

void bans_changed(struct room *room, str jid, bool is_banned, str reason)
{
    list_append(&room->ban_news, &news_new(room, jid, is_banned, reason)->link);
}

void bans_drop_news(struct room *room)
{
    struct list *link;
    while ((link = list_shift(&room->ban_news)))
        free(LIST_ITEM(link, struct ban_news, link));
}

static void take_news(struct shard *shard, struct shard_call *call)
{
    struct ban_news *news = CONTAINER_OF(call, struct ban_news, call);
    struct banlist *list = list_find(shard, str_of(news->text, news->list_len));
    str jid = str_of(news->text + news->list_len, news->jid_len);
    if (list && (news->is_all || list->is_reading || !list->is_known)) {
        read_list(list);
    } else if (list && news->is_banned) {
        ban(list, jid, str_of(jid.p + jid.len, news->reason_len));
        tell_followers(list);
    } else if (list) {
        lift(list, jid);
    }
    free(news);
}

void bans_tell_news(struct room *room)
{
    struct server *server = room_shard(room)->server;
    struct list *link;
    while ((link = list_shift(&room->ban_news))) {
        struct ban_news *news = LIST_ITEM(link, struct ban_news, link);
        str jid = str_of(news->text + news->list_len, news->jid_len);
        str reason = str_of(jid.p + jid.len, news->reason_len);
        for (unsigned i = 0; i < server->shard_count; i++) {
            struct ban_news *copy = news_new(room, jid, news->is_banned, reason);
            copy->call.run = take_news;
            shard_post(server->shards[i], &copy->call);
        }
        free(news);
    }
}
