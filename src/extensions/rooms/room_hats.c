/* SPDX-License-Identifier: MIT */
/* Hats (XEP-0317 0.3.1): titles that a room gives to people, such as "Teacher". Owners make and end them,
 * admins put them on people and take them off, by commands; who wears one shows it in his presence, and
 * nobody can show one that the room has not given him (occupant.c).
 *
 * A hat is known by its URI; people by their bare JIDs, whether they are in or not. Rows of a persistent
 * room: kind `hat`, key: the URI, value: <hat title='' hue=''/>; kind `hat-wearer`, key: a bare JID, value:
 * the URIs with LF between them. */
#include "base/base64.h"
#include "base/digest.h"
#include "occupant.h"
#include "room_command.h"
#include "xml/write.h"
#include "xmpp/form_table.h"

#include <stdlib.h>

#define NS_HAT_COMMANDS "urn:xmpp:hats:commands"

enum {
    HATS_MAX = 50,   /* of a room */
    WEARS_MAX = 10,  /* of one person */
    TITLE_MAX = 200, /* bytes */
    URI_MAX = 500,   /* bytes */
    HUE_MAX = 10,    /* bytes */
    HUE_DEGREES = 360,
    XML_MAX = 1 << 20
};

struct hat {
    struct map_node _node;
    str uri, title, hue; /* hue: "" for none */
    char text[];
};

struct wearer {
    struct map_node _node;
    str jid, uris;
    char text[];
};

static str hat_key(const struct map_node *node)
{
    return CONTAINER_OF(node, struct hat, _node)->uri;
}

static str wearer_key(const struct map_node *node)
{
    return CONTAINER_OF(node, struct wearer, _node)->jid;
}

void hats_init(struct room *room)
{
    map_init(&room->hats, hat_key);
    map_init(&room->wearers, wearer_key);
}

void hats_fini(struct room *room)
{
    struct map_walk hats = { 0 }, wearers = { 0 };
    struct map_node *node;
    while ((node = map_next(&room->hats, &hats)))
        free(CONTAINER_OF(node, struct hat, _node));
    while ((node = map_next(&room->wearers, &wearers)))
        free(CONTAINER_OF(node, struct wearer, _node));
    map_fini(&room->hats);
    map_fini(&room->wearers);
}

/* ---- In memory ---- */

static str put(char **at, str s)
{
    str copy = { *at, s.len };
    if (s.len)
        memcpy(*at, s.p, s.len);
    *at += s.len;
    return copy;
}

static struct hat *hat_find(const struct room *room, str uri)
{
    return MAP_ITEM(map_get(&room->hats, uri), struct hat, _node);
}

static struct wearer *wearer_find(const struct room *room, str jid)
{
    return MAP_ITEM(map_get(&room->wearers, jid), struct wearer, _node);
}

static void take_hat(struct room *room, str uri)
{
    struct hat *hat = hat_find(room, uri);
    if (!hat)
        return;
    map_remove(&room->hats, &hat->_node);
    free(hat);
}

static void keep_hat(struct room *room, str uri, str title, str hue)
{
    struct hat *hat = xcalloc(1, sizeof *hat + uri.len + title.len + hue.len);
    char *at = hat->text;
    hat->uri = put(&at, uri);
    hat->title = put(&at, title);
    hat->hue = put(&at, hue);
    take_hat(room, uri);
    map_put(&room->hats, &hat->_node);
}

static void keep_wearer(struct room *room, str jid, str uris)
{
    struct wearer *old = wearer_find(room, jid);
    struct wearer *wearer = xcalloc(1, sizeof *wearer + jid.len + uris.len);
    char *at = wearer->text;
    wearer->jid = put(&at, jid);
    wearer->uris = put(&at, uris);
    if (old)
        map_remove(&room->wearers, &old->_node);
    free(old);
    if (uris.len)
        map_put(&room->wearers, &wearer->_node);
    else
        free(wearer);
}

static bool wears(const struct wearer *wearer, str uri)
{
    str uris = wearer ? wearer->uris : str_none;
    while (uris.p)
        if (str_eq(str_cut(&uris, '\n'), uri))
            return true;
    return false;
}

/* All that he wears but this one; in the arena. */
static str without(const struct room *room, const struct wearer *wearer, str uri)
{
    str uris = wearer ? wearer->uris : str_none, rest = STR("");
    while (uris.p) {
        str one = str_cut(&uris, '\n');
        if (!str_eq(one, uri))
            rest = arena_printf(room_arena(room), "%.*s%s%.*s", STR_ARGS(rest), rest.len ? "\n" : "",
                                STR_ARGS(one));
    }
    return rest;
}

/* ---- Rows ---- */

static void write_hat_element(struct buf *xml, const struct hat *hat, bool with_uri)
{
    buf_lit(xml, "<hat");
    xml_write_attr(xml, "title", hat->title);
    if (with_uri)
        xml_write_attr(xml, "uri", hat->uri);
    if (hat->hue.len)
        xml_write_attr(xml, "hue", hat->hue);
    buf_lit(xml, "/>");
}

static void save_hat(const struct room *room, const struct hat *hat, struct store_batch *batch)
{
    struct buf xml;
    buf_init(&xml, XML_MAX);
    write_hat_element(&xml, hat, false);
    store_put(batch, actor_bare(&room->actor), STR("hat"), hat->uri, buf_str(&xml));
    buf_fini(&xml);
}

void hats_save(const struct room *room, struct store_batch *batch)
{
    struct map_walk hats = { 0 }, wearers = { 0 };
    struct map_node *node;
    while ((node = map_next(&room->hats, &hats)))
        save_hat(room, CONTAINER_OF(node, struct hat, _node), batch);
    while ((node = map_next(&room->wearers, &wearers))) {
        const struct wearer *wearer = CONTAINER_OF(node, struct wearer, _node);
        store_put(batch, actor_bare(&room->actor), STR("hat-wearer"), wearer->jid, wearer->uris);
    }
}

bool hats_load(struct room *room, const struct store_row *row)
{
    struct arena *arena = room_arena(room);
    struct xml_node node;
    if (str_is(row->kind, "hat-wearer")) {
        keep_wearer(room, row->key, row->value);
        return true;
    }
    if (!xml_parse(row->value, str_none, &node))
        return false;
    str hue = xml_attr(&node, STR("hue"), arena);
    keep_hat(room, row->key, xml_attr(&node, STR("title"), arena), hue.p ? hue : STR(""));
    return true;
}

/* ---- What is shown ---- */

void hats_write(struct buf *to, const struct occupant *occupant)
{
    const struct room *room = occupant->room;
    if (!room->wearers.count)
        return;
    const struct wearer *wearer = wearer_find(room, jid_bare(&occupant_seat(occupant)->jid));
    str uris = wearer ? wearer->uris : str_none;
    if (!wearer)
        return;
    buf_lit(to, "<hats xmlns='" NS_HATS "'>");
    while (uris.p) {
        const struct hat *hat = hat_find(room, str_cut(&uris, '\n'));
        if (hat)
            write_hat_element(to, hat, true);
    }
    buf_lit(to, "</hats>");
}

static int by_uri(const void *a, const void *b)
{
    return str_cmp((*(const struct hat *const *)a)->uri, (*(const struct hat *const *)b)->uri);
}

static const struct hat **sorted(const struct room *room)
{
    const struct hat **all = arena_alloc(room_arena(room), (room->hats.count + 1) * sizeof *all);
    struct map_walk walk = { 0 };
    struct map_node *node;
    size_t count = 0;
    while ((node = map_next(&room->hats, &walk)))
        all[count++] = CONTAINER_OF(node, struct hat, _node);
    qsort(all, count, sizeof *all, by_uri);
    all[count] = NULL;
    return all;
}

str hats_hash(const struct room *room)
{
    unsigned char hash[DIGEST_MAX_SIZE];
    struct buf text;
    if (!room->hats.count)
        return str_none;
    buf_init(&text, XML_MAX);
    for (const struct hat **at = sorted(room); *at; at++)
        buf_addf(&text, "%.*s\n%.*s\n%.*s\n", STR_ARGS((*at)->uri), STR_ARGS((*at)->title),
                 STR_ARGS((*at)->hue));
    digest_hash(DIGEST_SHA1, buf_str(&text), hash);
    buf_clear(&text);
    hex_encode(&text, str_of((const char *)hash, digest_size(DIGEST_SHA1)));
    str hex = arena_str(room_arena(room), buf_str(&text));
    buf_fini(&text);
    return hex;
}

/* Shows those anew who are in and whose hats are other ones: of one person, or all who wear one hat. */
static void show(struct room *room, str jid, str uri)
{
    list_each (at, &room->order) {
        struct occupant *occupant = OCCUPANT_OF(at);
        str own = jid_bare(&occupant_seat(occupant)->jid);
        if (jid.p ? !str_eq(own, jid) : !wears(wearer_find(room, own), uri))
            continue;
        occupant_refresh(occupant);
        occupant_announce(occupant, 0, str_none, str_none);
    }
}

/* ---- Commands ---- */

struct wish {
    str title, uri, hue;
    struct jid jid;
};

#define ROW_TITLE                                                                                            \
    {                                                                                                        \
        "hats#title", FIELD_TEXT_SINGLE, "Hat title", FORM_TEXT(struct wish, title)                          \
    }
#define ROW_URI                                                                                              \
    {                                                                                                        \
        "hats#uri", FIELD_TEXT_SINGLE, "Hat URI", FORM_TEXT(struct wish, uri)                                \
    }
#define ROW_HUE                                                                                              \
    {                                                                                                        \
        "hats#hue", FIELD_TEXT_SINGLE, "Hat hue", FORM_TEXT(struct wish, hue)                                \
    }
#define ROW_JID                                                                                              \
    {                                                                                                        \
        "hats#jid", FIELD_JID_SINGLE, "User address", FORM_JID(struct wish, jid)                             \
    }

static const struct form_row create_rows[] = { ROW_TITLE, ROW_URI, ROW_HUE };
static const struct form_row person_rows[] = { ROW_JID, ROW_URI };
static const struct form_row list_rows[] = { ROW_TITLE, ROW_URI, ROW_HUE };
static const struct form_row assigned_rows[] = { ROW_JID, ROW_URI, ROW_TITLE, ROW_HUE };

static const struct form_table create_form = { NS_HAT_COMMANDS, FORM_ROWS(create_rows),
                                               .title = "Making a hat",
                                               .instructions = "The URI is the hat's name for programs. One "
                                                               "that is there already is changed." };
static const struct form_table person_form = { NS_HAT_COMMANDS, FORM_ROWS(person_rows) };
static const struct form_table list_form = { NS_HAT_COMMANDS, FORM_ROWS(list_rows) };
static const struct form_table assigned_form = { NS_HAT_COMMANDS, FORM_ROWS(assigned_rows) };

/* Reads what was submitted; answers if it can't be. */
static bool read_wish(struct room_request *request, struct form *form, struct wish *ret)
{
    *ret = (struct wish){ 0 };
    if (form_apply(&create_form, form, ret) && form_apply(&person_form, form, ret))
        return true;
    room_command_refuse(request, form->why ? form->why : "this is another form");
    return false;
}

static struct store_batch *batch_of(struct room_request *request)
{
    struct room *room = request->room;
    return room->is_stored ? actor_write(&room->actor, request->iq) : NULL;
}

static void ask_create(struct room_request *request, struct buf *xml)
{
    (void)request;
    form_write(xml, &create_form, FORM_ASKS, NULL);
}

/* A number of degrees (XEP-0392). */
static bool is_hue(str hue)
{
    str rest = hue, whole = str_cut(&rest, '.');
    uint64_t degrees, fraction;
    return !hue.len || (hue.len <= HUE_MAX && str_to_u64(whole, HUE_DEGREES, &degrees) &&
                        (!rest.p || str_to_u64(rest, UINT64_MAX, &fraction)));
}

static void create(struct room_request *request, struct form *form)
{
    struct room *room = request->room;
    struct wish wish;
    if (!read_wish(request, form, &wish))
        return;
    bool is_new = !hat_find(room, wish.uri);
    if (!wish.title.len || wish.title.len > TITLE_MAX || wish.uri.len > URI_MAX ||
        str_find(wish.uri, ':') >= wish.uri.len || str_find(wish.uri, '\n') < wish.uri.len) {
        room_command_refuse(request, "a hat needs a title and a URI");
        return;
    }
    if (!is_hue(wish.hue)) {
        room_command_refuse(request, "a hue is a number of degrees");
        return;
    }
    if (is_new && room->hats.count >= HATS_MAX) {
        room_error(request, STANZA_ERROR_RESOURCE_CONSTRAINT, "the room has too many hats");
        return;
    }
    struct store_batch *batch = batch_of(request);
    keep_hat(room, wish.uri, wish.title, wish.hue.p ? wish.hue : STR(""));
    if (batch)
        save_hat(room, hat_find(room, wish.uri), batch);
    room_log(room, request->iq, "hat", str_none, wish.title, wish.uri);
    room_command_done(request, str_none);
    show(room, str_none, wish.uri);
    room_say_status(room, STATUS_104);
}

/* The hats there are, as options. */
static void write_choice(const struct room *room, struct buf *xml)
{
    form_field_open(xml, "hats#uri", FIELD_LIST_SINGLE, true, "The hat");
    buf_lit(xml, "<required/>");
    for (const struct hat **at = sorted(room); *at; at++) {
        buf_lit(xml, "<option");
        xml_write_attr(xml, "label", (*at)->title);
        buf_add_char(xml, '>');
        form_value(xml, (*at)->uri);
        buf_lit(xml, "</option>");
    }
    form_field_close(xml);
}

static void ask_destroy(struct room_request *request, struct buf *xml)
{
    form_open(xml, FORM_ASKS);
    form_title(xml, "Ending a hat", "Nobody wears it any more.");
    form_ns(xml, NS_HAT_COMMANDS);
    write_choice(request->room, xml);
    form_close(xml);
}

static void ask_person(struct room_request *request, struct buf *xml)
{
    form_open(xml, FORM_ASKS);
    form_title(xml, "A person's hat", "Say who, and which hat.");
    form_ns(xml, NS_HAT_COMMANDS);
    form_field_open(xml, "hats#jid", FIELD_JID_SINGLE, true, "User address");
    buf_lit(xml, "<required/>");
    form_field_close(xml);
    write_choice(request->room, xml);
    form_close(xml);
}

/* Another set of hats for a person; written, if the room is. */
static void dress(struct room *room, str jid, str uris, struct store_batch *batch)
{
    if (batch && uris.len)
        store_put(batch, actor_bare(&room->actor), STR("hat-wearer"), jid, uris);
    else if (batch)
        store_del(batch, actor_bare(&room->actor), STR("hat-wearer"), jid);
    keep_wearer(room, jid, uris);
}

/* Those who wear it, in the arena; NULL at the end. */
static str *wearers_of(const struct room *room, str uri)
{
    str *all = arena_alloc(room_arena(room), (room->wearers.count + 1) * sizeof *all);
    struct map_walk walk = { 0 };
    struct map_node *node;
    size_t count = 0;
    while ((node = map_next(&room->wearers, &walk))) {
        const struct wearer *wearer = CONTAINER_OF(node, struct wearer, _node);
        if (wears(wearer, uri))
            all[count++] = arena_str(room_arena(room), wearer->jid);
    }
    all[count] = str_none;
    return all;
}

static void destroy(struct room_request *request, struct form *form)
{
    struct room *room = request->room;
    struct wish wish;
    if (!read_wish(request, form, &wish))
        return;
    if (!hat_find(room, wish.uri)) {
        room_error(request, STANZA_ERROR_ITEM_NOT_FOUND, "there is no such hat");
        return;
    }
    struct store_batch *batch = batch_of(request);
    str *who = wearers_of(room, wish.uri);
    if (batch)
        store_del(batch, actor_bare(&room->actor), STR("hat"), wish.uri);
    take_hat(room, wish.uri);
    for (str *at = who; at->p; at++)
        dress(room, *at, without(room, wearer_find(room, *at), wish.uri), batch);
    room_log(room, request->iq, "no-hat", str_none, str_none, wish.uri);
    room_command_done(request, str_none);
    for (str *at = who; at->p; at++)
        show(room, *at, str_none);
    room_say_status(room, STATUS_104);
}

/* Reads whose hat; answers if there is something wrong. */
static bool read_person(struct room_request *request, struct form *form, struct wish *ret)
{
    if (!read_wish(request, form, ret))
        return false;
    if (!ret->jid.local_len) {
        room_command_refuse(request, "whose hat?");
        return false;
    }
    ret->jid = jid_to_bare(&ret->jid);
    if (hat_find(request->room, ret->uri))
        return true;
    room_error(request, STANZA_ERROR_ITEM_NOT_FOUND, "there is no such hat");
    return false;
}

static unsigned count_lines(str text)
{
    unsigned count = 0;
    for (; text.p; count++)
        str_cut(&text, '\n');
    return count;
}

static void assign(struct room_request *request, struct form *form)
{
    struct room *room = request->room;
    struct wish wish;
    if (!read_person(request, form, &wish))
        return;
    const struct wearer *wearer = wearer_find(room, wish.jid.full);
    if ((wearer && !wears(wearer, wish.uri) && count_lines(wearer->uris) >= WEARS_MAX) ||
        (!wearer && room->wearers.count >= room_settings(room)->max_affiliations)) {
        room_error(request, STANZA_ERROR_RESOURCE_CONSTRAINT, "too many hats");
        return;
    }
    str rest = without(room, wearer, wish.uri);
    dress(room, wish.jid.full,
          arena_printf(room_arena(room), "%.*s%s%.*s", STR_ARGS(rest), rest.len ? "\n" : "",
                       STR_ARGS(wish.uri)),
          batch_of(request));
    room_log(room, request->iq, "hat", wish.jid.full, str_none, wish.uri);
    room_command_done(request, str_none);
    show(room, wish.jid.full, str_none);
}

static void unassign(struct room_request *request, struct form *form)
{
    struct room *room = request->room;
    struct wish wish;
    if (!read_person(request, form, &wish))
        return;
    if (!wears(wearer_find(room, wish.jid.full), wish.uri)) {
        room_error(request, STANZA_ERROR_ITEM_NOT_FOUND, "that hat is not worn");
        return;
    }
    dress(room, wish.jid.full, without(room, wearer_find(room, wish.jid.full), wish.uri), batch_of(request));
    room_log(room, request->iq, "no-hat", wish.jid.full, str_none, wish.uri);
    room_command_done(request, str_none);
    show(room, wish.jid.full, str_none);
}

/* ---- Lists ---- */

static void show_list(struct room_request *request, const struct form_table *table, const struct wish *items,
                      size_t count)
{
    struct buf xml;
    buf_init(&xml, XML_MAX);
    form_open(&xml, FORM_RESULT);
    form_ns(&xml, NS_HAT_COMMANDS);
    form_write_reported(&xml, table);
    for (size_t i = 0; i < count; i++)
        form_write_item(&xml, table, &items[i]);
    form_close(&xml);
    if (buf_failed(&xml))
        room_error(request, STANZA_ERROR_RESOURCE_CONSTRAINT, NULL);
    else
        room_command_done(request, arena_str(room_arena(request->room), buf_str(&xml)));
    buf_fini(&xml);
}

static struct wish wish_of(const struct hat *hat)
{
    return (struct wish){ .title = hat->title, .uri = hat->uri, .hue = hat->hue.len ? hat->hue : str_none };
}

static void list(struct room_request *request, struct form *form)
{
    const struct room *room = request->room;
    struct wish *items = arena_alloc(room_arena(room), (room->hats.count + 1) * sizeof *items);
    size_t count = 0;
    (void)form;
    for (const struct hat **at = sorted(room); *at; at++)
        items[count++] = wish_of(*at);
    show_list(request, &list_form, items, count);
}

static void list_assigned(struct room_request *request, struct form *form)
{
    const struct room *room = request->room;
    struct arena *arena = room_arena(room);
    struct wish *items = arena_alloc(arena, (room->wearers.count * WEARS_MAX + 1) * sizeof *items);
    struct map_walk walk = { 0 };
    struct map_node *node;
    size_t count = 0;
    (void)form;
    while ((node = map_next(&room->wearers, &walk))) {
        const struct wearer *wearer = CONTAINER_OF(node, struct wearer, _node);
        str uris = wearer->uris;
        while (uris.p) {
            const struct hat *hat = hat_find(room, str_cut(&uris, '\n'));
            if (!hat)
                continue;
            items[count] = wish_of(hat);
            if (jid_parse(wearer->jid, arena, &items[count].jid) == OK)
                count++;
        }
    }
    show_list(request, &assigned_form, items, count);
}

const struct room_command room_hat_commands[] = {
    { NS_HAT_COMMANDS ":create", "Make or change a hat", AFFILIATION_OWNER, ask_create, create },
    { NS_HAT_COMMANDS ":destroy", "End a hat", AFFILIATION_OWNER, ask_destroy, destroy },
    { NS_HAT_COMMANDS ":list", "List hats", AFFILIATION_MEMBER, NULL, list },
    { NS_HAT_COMMANDS ":assign", "Give a hat to somebody", AFFILIATION_ADMIN, ask_person, assign },
    { NS_HAT_COMMANDS ":unassign", "Take a hat from somebody", AFFILIATION_ADMIN, ask_person, unassign },
    { NS_HAT_COMMANDS ":list-assigned", "List who has which hat", AFFILIATION_ADMIN, NULL, list_assigned },
    { 0 },
};
