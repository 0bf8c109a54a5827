/* SPDX-License-Identifier: MIT */
/* Occupants and their seats.
 *
 * The view of a seat is written when its client's presence comes, or when something changes that the room
 * says of it, and not when it is shown: in a big room it is shown a thousand times as often as it changes.
 * Memory that was shown may stand in the queue of the event at hand, so it is given back at the event's end.
 *
 * A client's presence goes through as it is but for what a room alone may say (XEP-0045 §16.3, XEP-0421 §5,
 * XEP-0317): forged roles, ids and hats. */
#include "occupant.h"

#include "base/base64.h"
#include "base/digest.h"
#include "xml/write.h"
#include "xmpp/ns.h"

#include <stdlib.h>

enum { ID_BYTES = 20, VIEW_MAX = 1 << 20 };

static str nick_key(const struct map_node *node)
{
    return occupant_nick(CONTAINER_OF(node, struct occupant, _in_room));
}

static str jid_key(const struct map_node *node)
{
    return CONTAINER_OF(node, struct seat, _in_room)->jid.full;
}

void occupants_init(struct room *room)
{
    map_init(&room->occupants, nick_key);
    map_init(&room->seats, jid_key);
    list_init(&room->order);
    list_init(&room->departed);
}

/* Of one who has left for good. */
static void seat_free(struct seat *seat)
{
    struct occupant *occupant = seat->occupant;
    struct shard *shard = room_shard(occupant->room);
    shard_free_later(shard, seat->view);
    shard_free_later(shard, seat);
    if (--occupant->seats_kept)
        return;
    shard_free_later(shard, (char *)occupant->jid.full.p);
    shard_free_later(shard, occupant);
}

void occupants_part(struct room *room)
{
    struct list *link;
    while ((link = list_shift(&room->departed)))
        seat_free(SEAT_OF(link));
}

static void sit_down(struct seat *seat)
{
    struct occupant *occupant = seat->occupant;
    struct room *room = occupant->room;
    if (list_empty(&occupant->seats)) {
        map_put(&room->occupants, &occupant->_in_room);
        list_append(&room->order, &occupant->_in_order);
    }
    list_append(&occupant->seats, &seat->_in_occupant);
    map_put(&room->seats, &seat->_in_room);
    crowds_changed(room);
}

void occupants_return(struct room *room)
{
    struct list *link;
    while ((link = list_shift(&room->departed)))
        sit_down(SEAT_OF(link));
}

void occupants_fini(struct room *room)
{
    occupants_part(room);
    list_each_safe (at, &room->order) {
        struct occupant *occupant = OCCUPANT_OF(at);
        list_each_safe (seat, &occupant->seats)
            seat_leave(SEAT_OF(seat)); /* the last one frees the occupant */
    }
    crowds_changed(room);
    free(room->_crowds);
    map_fini(&room->occupants);
    map_fini(&room->seats);
}

struct occupant *occupant_find(const struct room *room, str nick)
{
    return MAP_ITEM(map_get(&room->occupants, nick), struct occupant, _in_room);
}

struct seat *seat_find(const struct room *room, const struct jid *full)
{
    return MAP_ITEM(map_get(&room->seats, full->full), struct seat, _in_room);
}

/* U+00A0 and its kind were mapped to a space before. */
static bool is_visible(str nick)
{
    for (size_t i = 0; i < nick.len; i++)
        if (nick.p[i] != ' ')
            return true;
    return false;
}

bool nick_is_good(const struct room *room, str nick)
{
    return is_visible(nick) && nick.len <= room_settings(room)->nick_bytes;
}

bool nick_is_free(const struct room *room, str nick, const struct jid *who)
{
    const struct occupant *other = occupant_find(room, nick);
    const struct affiliated *owner = affiliation_with_nick(room, nick);
    return !(other && !jid_eq_bare(&occupant_seat(other)->jid, who)) &&
           !(owner && !str_eq(owner->jid, jid_bare(who)));
}

/* ---- Coming and going ---- */

static void set_nick(struct occupant *occupant, str nick)
{
    struct room *room = occupant->room;
    struct jid of_room = room_jid(room);
    size_t bare = of_room.full.len;
    char *text = xmalloc(bare + 1 + nick.len);
    memcpy(text, of_room.full.p, bare);
    text[bare] = '/';
    memcpy(text + bare + 1, nick.p, nick.len);
    if (occupant->jid.full.p)
        shard_free_later(room_shard(room), (char *)occupant->jid.full.p);
    occupant->jid = of_room;
    occupant->jid.full = str_of(text, bare + 1 + nick.len);
}

void occupant_id(const struct room *room, const struct jid *who, char ret[OCCUPANT_ID_SIZE])
{
    unsigned char hash[DIGEST_MAX_SIZE];
    struct buf hex;
    digest_hmac(DIGEST_SHA256, str_from(room->secret), jid_bare(who), hash);
    buf_init(&hex, OCCUPANT_ID_SIZE);
    hex_encode(&hex, str_of((char *)hash, ID_BYTES));
    str_copy(buf_str(&hex), ret, OCCUPANT_ID_SIZE);
    buf_fini(&hex);
}

static struct occupant *occupant_new(struct room *room, str nick, const struct jid *who,
                                     enum affiliation affiliation, enum role role)
{
    struct occupant *occupant = NEW(struct occupant);
    occupant->room = room;
    occupant->number = ++room->last_number;
    occupant->affiliation = affiliation;
    occupant->role = role;
    list_init(&occupant->seats);
    set_nick(occupant, nick);
    occupant_id(room, who, occupant->id);
    return occupant;
}

struct seat *seat_take(struct room *room, str nick, const struct jid *jid, enum affiliation affiliation,
                       enum role role)
{
    struct server *server = room_shard(room)->server;
    struct occupant *occupant = occupant_find(room, nick);
    if (!occupant)
        occupant = occupant_new(room, nick, jid, affiliation, role);
    struct seat *seat = xcalloc(1, sizeof *seat + jid->full.len);
    memcpy(seat->text, jid->full.p, jid->full.len);
    seat->jid = *jid;
    seat->jid.full.p = seat->text;
    seat->occupant = occupant;
    seat->number = ++room->last_number;
    struct host *host = server_domain(server, jid_domain(jid));
    seat->is_local = host && !host->service && jid->local_len;
    seat->shard = seat->is_local ? server_home(server, jid_bare(jid))->index : 0;
    occupant->seats_kept++;
    sit_down(seat);
    return seat;
}

void seat_leave(struct seat *seat)
{
    struct occupant *occupant = seat->occupant;
    struct room *room = occupant->room;
    map_remove(&room->seats, &seat->_in_room);
    list_remove(&seat->_in_occupant);
    crowds_changed(room);
    if (list_empty(&occupant->seats)) {
        map_remove(&room->occupants, &occupant->_in_room);
        list_remove(&occupant->_in_order);
    }
    if (actor_is_writing(&room->actor))
        list_append(&room->departed, &seat->_in_occupant);
    else
        seat_free(seat);
}

void occupant_become(struct occupant *occupant, enum affiliation affiliation, enum role role)
{
    occupant->role_before = occupant->role;
    occupant->affiliation = affiliation;
    occupant->role = role;
}

void occupant_rename(struct occupant *occupant, str nick)
{
    struct room *room = occupant->room;
    map_remove(&room->occupants, &occupant->_in_room);
    set_nick(occupant, nick);
    map_put(&room->occupants, &occupant->_in_room);
}

/* ---- What is shown ---- */

static bool is_the_rooms_to_say(const struct payload_filter *filter, const struct xml_node *child,
                                struct arena *arena)
{
    (void)filter;
    (void)arena;
    return str_is(child->ns, NS_MUC) || str_is(child->ns, NS_MUC_USER) || str_is(child->ns, NS_OCCUPANT_ID) ||
           str_is(child->ns, NS_HATS);
}

str presence_filter(const struct stanza *presence, struct arena *arena)
{
    static const struct payload_filter filter = { is_the_rooms_to_say };
    return payload_without(&presence->node, &filter, arena);
}

static void write_tail(struct buf *to, const struct seat *seat, bool with_jid)
{
    const struct occupant *occupant = seat->occupant;
    buf_addf(to, "<x xmlns='" NS_MUC_USER "'><item affiliation='%s' role='%s'",
             room_affiliation_name(occupant->affiliation), role_name(occupant->role));
    if (with_jid)
        xml_write_attr(to, "jid", seat->jid.full);
    buf_addf(to, "/></x><occupant-id xmlns='" NS_OCCUPANT_ID "' id='%s'/>", occupant->id);
    hats_write(to, occupant);
}

static void make_view(struct seat *seat, str attrs, str own)
{
    struct room *room = seat->occupant->room;
    struct buf text;
    uint32_t len[CLASSES];
    buf_init(&text, VIEW_MAX);
    buf_add(&text, attrs);
    for (enum room_class class = 0; class < CLASSES; class ++) {
        size_t begin = text.len;
        buf_add(&text, own);
        write_tail(&text, seat, class == CLASS_MODERATORS || room->config->whois == WHOIS_ANYONE);
        len[class] = (uint32_t)(text.len - begin);
    }
    struct view *view = xmalloc(sizeof *view + text.len);
    *view = (struct view){ .attrs_len = (uint32_t)attrs.len, .own_len = (uint32_t)own.len };
    memcpy(view->len, len, sizeof len);
    memcpy(view->text, text.p, text.len);
    buf_fini(&text);
    if (seat->view)
        shard_free_later(room_shard(room), seat->view);
    seat->view = view;
}

void seat_show(struct seat *seat, const struct stanza *presence)
{
    make_view(seat, presence->attrs, presence_filter(presence, room_arena(seat->occupant->room)));
    list_remove(&seat->_in_occupant);
    list_prepend(&seat->occupant->seats, &seat->_in_occupant);
}

void occupant_refresh(struct occupant *occupant)
{
    list_each (at, &occupant->seats) {
        struct seat *seat = SEAT_OF(at);
        const struct view *view = seat->view;
        make_view(seat, str_of(view->text, view->attrs_len),
                  str_of(view->text + view->attrs_len, view->own_len));
    }
}

const struct stanza *occupant_presence(const struct occupant *occupant, enum room_class class)
{
    const struct view *view = occupant_seat(occupant)->view;
    struct stanza *stanza = ARENA_NEW(room_arena(occupant->room), struct stanza);
    size_t at = view->attrs_len + (class == CLASS_MODERATORS ? view->len[CLASS_PLAIN] : 0);
    stanza->kind = STANZA_PRESENCE;
    stanza->from = occupant->jid;
    stanza->attrs = str_of(view->text, view->attrs_len);
    stanza->node = (struct xml_node){
        .prefix = STR(""),
        .name = STR("presence"),
        .ns = STR(NS_CLIENT),
        .attrs = stanza->attrs,
        .content = str_of(view->text + at, view->len[class]),
        .inherited = STR(" xmlns='" NS_CLIENT "'"),
    };
    return stanza;
}

/* ---- Roles ---- */

enum role role_at_door(struct room *room, const struct jid *who, enum affiliation affiliation)
{
    const struct watched *known = room_watch_known(&room->watch, who);
    enum role role = role_by_default(room, affiliation);
    return known && known->role && role < ROLE_MODERATOR ? (enum role)known->role : role;
}

void role_remember(struct room *room, const struct jid *who, enum role role)
{
    uint64_t now = loop_now_us(room_shard(room)->loop);
    room_watch_user(&room->watch, who, now)->role = role < ROLE_MODERATOR ? role : ROLE_NONE;
}

enum role role_by_default(const struct room *room, enum affiliation affiliation)
{
    if (affiliation >= AFFILIATION_ADMIN)
        return ROLE_MODERATOR;
    if (affiliation == AFFILIATION_MEMBER)
        return ROLE_PARTICIPANT;
    return room->config->is_moderated ? ROLE_VISITOR : ROLE_PARTICIPANT;
}

static uint32_t role_bit(enum role role)
{
    return role == ROLE_MODERATOR     ? ROLE_BIT_MODERATOR
           : role == ROLE_PARTICIPANT ? ROLE_BIT_PARTICIPANT
                                      : ROLE_BIT_VISITOR;
}

/* §7.2.2: presence that is not broadcast, by the room's configuration. */
uint64_t room_quiet_size(const struct room *room)
{
    uint64_t own = room->config->quiet_size;
    return own == UINT64_MAX ? room_settings(room)->quiet_size : own;
}

bool occupant_may_be_shown(const struct occupant *occupant)
{
    const struct room *room = occupant->room;
    uint64_t quiet = room_quiet_size(room);
    if (!(room->config->broadcast & role_bit(occupant->role)))
        return false;
    return occupant->is_shown || occupant->role == ROLE_MODERATOR || !quiet || room->occupants.count <= quiet;
}
