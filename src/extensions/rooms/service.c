/* SPDX-License-Identifier: MIT */
/* XEP-0045 1.35.5: multi-user chat. The descriptor of the extension, its settings, and the service's own
 * address: what it is (§6.2), which rooms it has (§6.3, in pages of XEP-0059), and names for new ones
 * (XEP-0307). All else is a room's (room.h).
 *
 * The list of rooms is the service's own actor, at home where its domain is: a sorted array in memory. Rooms
 * tell it when they open, change or end. Those that sleep stand in the store, a row `public-room` of the
 * service for each, which is read when the service is first asked or told something; then it stays awake. */
#include "occupant.h"

#include "base/rand.h"
#include "xml/write.h"
#include "xmpp/rsm.h"
#include "xmpp/vcard.h"

#include <stdlib.h>

#define NS_INFO   "http://jabber.org/protocol/disco#info"
#define NS_ITEMS  "http://jabber.org/protocol/disco#items"
#define NS_UNIQUE NS_MUC "#unique"

enum { PAGE = 100, PAGE_MAX = 1000, XML_MAX = 4 << 20 };

/* ---- Settings ---- */

#define IN(member) CONFIG_FIELD(struct rooms_settings, member)

static const struct config_key keys[] = {
    { .name = "domain",
      .type = CONFIG_STRING,
      .effect = ON_RESTART,
      IN(domain),
      .default_text = "",
      .help = "The domain of the rooms; empty: conference. and the host's name." },
    { .name = "name",
      .type = CONFIG_STRING,
      IN(name),
      .default_text = "Rooms",
      .help = "What clients show as the service's name." },
    { .name = "creators",
      .type = CONFIG_LIST,
      IN(creators),
      .default_text = "",
      .help = "Who may make rooms: users (bare JIDs) and domains; empty: everybody." },
    { .name = "admins",
      .type = CONFIG_LIST,
      IN(admins),
      .default_text = "",
      .help = "Users (bare JIDs) who count as owners of every room." },
    { .name = "lock-new-rooms",
      .type = CONFIG_BOOL,
      IN(locks),
      .default_text = "true",
      .help = "Whether a new room is closed to others until its owner has configured it, or has said that\n"
              "the defaults are right (XEP-0045 section 10.1)." },
    { .name = "max-occupants",
      .type = CONFIG_INT,
      IN(max_occupants),
      .default_text = "10000",
      .min = 1,
      .max = 1000000,
      .unit = "clients",
      .help = "In one room. Owners can set less." },
    { .name = "max-extra",
      .type = CONFIG_INT,
      IN(max_extra),
      .default_text = "20",
      .max = 10000,
      .unit = "clients",
      .help = "So many more may be in a full room if they are its admins or owners." },
    { .name = "max-affiliations",
      .type = CONFIG_INT,
      IN(max_affiliations),
      .default_text = "20000",
      .min = 10,
      .max = 1000000,
      .unit = "users",
      .help = "Owners, admins, members and banned users of one room, together." },
    { .name = "nick",
      .type = CONFIG_SIZE,
      IN(nick_bytes),
      .default_text = "128",
      .min = 8,
      .max = 1023,
      .help = "The longest nickname." },
    { .name = "presence",
      .type = CONFIG_SIZE,
      IN(presence_bytes),
      .default_text = "4096",
      .min = 256,
      .max = 64 << 10,
      .help = "The largest presence that is shown to a room." },
    { .name = "quiet-size",
      .type = CONFIG_INT,
      IN(quiet_size),
      .default_text = "1000",
      .max = 1000000,
      .unit = "occupants",
      .help = "Who enters a room of more than so many is shown to its moderators only, if he is not one "
              "himself;\n"
              "0: everybody is always shown." },
    { .name = "user-rate",
      .type = CONFIG_INT,
      IN(user_rate),
      .default_text = "5",
      .max = 10000,
      .unit = "a second",
      .help =
          "So much one user may say or change in a room, on average; then his client is read more slowly, "
          "and\n"
          "at last refused. 0: without a limit." },
    { .name = "user-burst",
      .type = CONFIG_INT,
      IN(user_burst),
      .default_text = "30",
      .min = 1,
      .max = 100000,
      .help = "So much at once." },
    { .name = "room-rate",
      .type = CONFIG_INT,
      IN(room_rate),
      .default_text = "50000",
      .max = 100000000,
      .unit = "deliveries a second",
      .help =
          "So much one room may hand out: messages and presences, times its occupants. Who talks much is\n"
          "refused first. 0: without a limit." },
    { .name = "moderation-log",
      .type = CONFIG_INT,
      IN(log_entries),
      .default_text = "1000",
      .max = 100000,
      .unit = "entries",
      .help = "What a persistent room keeps for its owners of who did what to whom. 0: nothing." },
    { .name = "moderation-log-days",
      .type = CONFIG_INT,
      IN(log_days),
      .default_text = "180",
      .min = 1,
      .max = 36500,
      .unit = "days",
      .help = "So long at most." },
    { .name = "ban-lists",
      .type = CONFIG_LIST,
      IN(ban_lists),
      .default_text = "",
      .help = "Rooms whose bans hold in every room of the service, five at most; for rooms that wake or are\n"
              "configured after a reload." },
    { .name = "same-text-rooms",
      .type = CONFIG_INT,
      IN(same_text_rooms),
      .default_text = "4",
      .max = 30,
      .unit = "rooms",
      .help =
          "Strangers' texts of some length are refused when they were sent to more rooms than this within "
          "a\n"
          "minute. 0: not looked at." },
    { 0 },
};

static const struct config_extension config = { "rooms", "Multi-user chat (XEP-0045).",
                                                sizeof(struct rooms_settings), keys };

static struct ext_slot slot;

const struct rooms_settings *room_settings(const struct room *room)
{
    return ext_settings(room->actor.host, &slot);
}

struct rooms_shard *rooms_shard(struct shard *shard)
{
    return ext_shard(shard, &slot);
}

static bool is_named(const struct config_list *list, const struct jid *who)
{
    for (size_t i = 0; i < list->count; i++) {
        str entry = str_from(list->items[i]);
        if (str_eq(entry, jid_bare(who)) || str_eq(entry, jid_domain(who)))
            return true;
    }
    return false;
}

bool service_is_admin(const struct room *room, const struct jid *who)
{
    return who->local_len && is_named(&room_settings(room)->admins, who);
}

bool service_may_create(const struct room *room, const struct jid *who)
{
    const struct rooms_settings *settings = room_settings(room);
    return !settings->creators.count || is_named(&settings->creators, who) || service_is_admin(room, who);
}

/* ---- The list of rooms ---- */

struct listed {
    struct map_node _node;
    str jid, name;
    char text[];
};

struct service {
    struct actor actor;
    struct map rooms;
    struct listed **sorted; /* NULL: to be made */
};

#define SERVICE_OF(base) CONTAINER_OF(base, struct service, actor)

static str listed_key(const struct map_node *node)
{
    return CONTAINER_OF(node, struct listed, _node)->jid;
}

static void unlist(struct service *service, str jid)
{
    struct listed *listed = MAP_ITEM(map_get(&service->rooms, jid), struct listed, _node);
    if (!listed)
        return;
    map_remove(&service->rooms, &listed->_node);
    free(listed);
    free(service->sorted);
    service->sorted = NULL;
}

static void enlist(struct service *service, str jid, str name)
{
    unlist(service, jid);
    struct listed *listed = xcalloc(1, sizeof *listed + jid.len + name.len);
    memcpy(listed->text, jid.p, jid.len);
    if (name.len)
        memcpy(listed->text + jid.len, name.p, name.len);
    listed->jid = str_of(listed->text, jid.len);
    listed->name = str_of(listed->text + jid.len, name.len);
    map_put(&service->rooms, &listed->_node);
    free(service->sorted);
    service->sorted = NULL;
}

static int by_jid(const void *a, const void *b)
{
    return str_cmp((*(struct listed *const *)a)->jid, (*(struct listed *const *)b)->jid);
}

static struct listed **sorted(struct service *service)
{
    struct map_walk walk = { 0 };
    struct map_node *node;
    size_t count = 0;
    if (service->sorted)
        return service->sorted;
    service->sorted = xcalloc(service->rooms.count + 1, sizeof(struct listed *));
    while ((node = map_next(&service->rooms, &walk)))
        service->sorted[count++] = CONTAINER_OF(node, struct listed, _node);
    qsort(service->sorted, count, sizeof(struct listed *), by_jid);
    return service->sorted;
}

/* What a room tells the service. */
struct listing {
    struct shard_call call;
    struct parked parked;
    struct host *host;
    bool is_listed;
    uint32_t jid_len, name_len;
    char text[];
};

static struct actor *service_wake(struct shard *shard, struct host *host);

static void run_listing(struct actor *actor, struct parked *parked)
{
    struct listing *listing = CONTAINER_OF(parked, struct listing, parked);
    str jid = str_of(listing->text, listing->jid_len);
    if (listing->is_listed)
        enlist(SERVICE_OF(actor), jid, str_of(listing->text + jid.len, listing->name_len));
    else
        unlist(SERVICE_OF(actor), jid);
    free(listing);
}

static void drop_listing(struct actor *actor, struct parked *parked)
{
    (void)actor;
    free(CONTAINER_OF(parked, struct listing, parked));
}

static void take_listing(struct shard *shard, struct shard_call *call)
{
    struct listing *listing = CONTAINER_OF(call, struct listing, call);
    listing->parked = (struct parked){ .run = run_listing, .drop = drop_listing };
    actor_when_ready(service_wake(shard, listing->host), &listing->parked);
}

void service_list_room(struct room *room)
{
    struct jid jid = room_jid(room);
    str name = room->config->name;
    struct listing *listing = xcalloc(1, sizeof *listing + jid.full.len + name.len);
    listing->host = room->actor.host;
    listing->is_listed = !room->has_ended && !room->is_locked && room->config->is_public;
    listing->jid_len = (uint32_t)jid.full.len;
    listing->name_len = (uint32_t)name.len;
    memcpy(listing->text, jid.full.p, jid.full.len);
    if (name.len)
        memcpy(listing->text + jid.full.len, name.p, name.len);
    listing->call.run = take_listing;
    shard_post(server_home(room_shard(room)->server, jid_domain(&jid)), &listing->call);
}

/* ---- Requests to the service ---- */

struct service_request {
    struct service *service;
    const struct stanza *iq;
    struct xml_node child;
};

static struct shard *shard_of(const struct service_request *request)
{
    return request->service->actor.shard;
}

static void answer(struct service_request *request, struct buf *xml)
{
    struct shard *shard = shard_of(request);
    if (buf_failed(xml))
        route_error(shard, request->iq, STANZA_ERROR_RESOURCE_CONSTRAINT, NULL);
    else
        route_result(shard, request->iq, arena_str(&shard->arena, buf_str(xml)));
    buf_fini(xml);
}

static void info(struct service_request *request)
{
    static const char *const features[] = { NS_INFO,        NS_ITEMS, NS_MUC,   NS_MUC "#stable_id",
                                            NS_UNIQUE,      NS_RSM,   NS_VCARD, "urn:xmpp:occupant-id:0",
                                            "urn:xmpp:ping" };
    const struct rooms_settings *settings = ext_settings(request->service->actor.host, &slot);
    struct buf xml;
    if (xml_attr(&request->child, STR("node"), &shard_of(request)->arena).len) {
        route_error(shard_of(request), request->iq, STANZA_ERROR_ITEM_NOT_FOUND, NULL);
        return;
    }
    buf_init(&xml, XML_MAX);
    buf_lit(&xml, "<query xmlns='" NS_INFO "'><identity category='conference' type='text'");
    xml_write_attr(&xml, "name", str_from(settings->name));
    buf_lit(&xml, "/>");
    for (size_t i = 0; i < COUNT_OF(features); i++)
        buf_addf(&xml, "<feature var='%s'/>", features[i]);
    buf_lit(&xml, "</query>");
    answer(request, &xml);
}

/* The place of the first room behind (or, if `or_same`, at) a JID. */
static size_t place_of(struct service *service, str jid, bool or_same)
{
    struct listed **all = sorted(service);
    size_t low = 0, high = service->rooms.count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = str_cmp(all[middle]->jid, jid);
        if (order < 0 || (order == 0 && !or_same))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* [first, first + count) of the sorted rooms. */
static size_t choose(struct service *service, const struct rsm *rsm, size_t *ret_count)
{
    size_t total = service->rooms.count, begin = 0, end = total, limit = rsm_limit(rsm, PAGE, PAGE_MAX);
    if (rsm->has_index)
        begin = rsm->index < total ? rsm->index : total;
    if (rsm->after.p)
        begin = place_of(service, rsm->after, false);
    if (rsm->before.p)
        end = place_of(service, rsm->before, true);
    if (end < begin)
        end = begin;
    if (end - begin > limit) {
        if (rsm_is_backwards(rsm))
            begin = end - limit;
        else
            end = begin + limit;
    }
    *ret_count = end - begin;
    return begin;
}

static void items(struct service_request *request)
{
    struct service *service = request->service;
    struct arena *arena = &shard_of(request)->arena;
    struct rsm rsm;
    struct buf xml;
    size_t count;
    if (xml_attr(&request->child, STR("node"), arena).len || /* nodes: none but our own */
        rsm_read(&request->child, arena, &rsm) != STANZA_ERROR_NONE) {
        route_error(shard_of(request), request->iq,
                    xml_attr(&request->child, STR("node"), arena).len ? STANZA_ERROR_ITEM_NOT_FOUND
                                                                      : STANZA_ERROR_BAD_REQUEST,
                    NULL);
        return;
    }
    struct listed **all = sorted(service);
    size_t first = choose(service, &rsm, &count);
    struct rsm_page page = { .has_count = true, .count = service->rooms.count };
    buf_init(&xml, XML_MAX);
    buf_lit(&xml, "<query xmlns='" NS_ITEMS "'>");
    for (size_t i = first; i < first + count; i++) {
        buf_lit(&xml, "<item");
        xml_write_attr(&xml, "jid", all[i]->jid);
        if (all[i]->name.len)
            xml_write_attr(&xml, "name", all[i]->name);
        buf_lit(&xml, "/>");
    }
    if (count) {
        page.first = all[first]->jid;
        page.last = all[first + count - 1]->jid;
        page.has_index = true;
        page.index = first;
    }
    if (rsm.is_there || count < service->rooms.count)
        rsm_write(&xml, &page);
    buf_lit(&xml, "</query>");
    answer(request, &xml);
}

/* XEP-0307: a name that nobody else will think of. */
static void unique(struct service_request *request)
{
    char name[25];
    struct buf xml;
    rand_token(name, sizeof name);
    for (char *at = name; *at; at++)
        if (*at >= 'A' && *at <= 'Z') /* localparts know no upper case */
            *at = (char)(*at - 'A' + 'a');
    buf_init(&xml, XML_MAX);
    xml_write_element(&xml, "unique", STR(NS_UNIQUE), str_from(name));
    answer(request, &xml);
}

static void pong(struct service_request *request)
{
    route_result(shard_of(request), request->iq, STR(""));
}

static const struct {
    const char *name, *ns;
    void (*handle)(struct service_request *request);
} requests[] = {
    { "query", NS_INFO, info },
    { "query", NS_ITEMS, items },
    { "unique", NS_UNIQUE, unique },
    { "ping", "urn:xmpp:ping", pong },
};

static void receive(struct actor *actor, const struct delivery *delivery)
{
    struct service_request request = { .service = SERVICE_OF(actor), .iq = delivery->stanza };
    const struct stanza *stanza = delivery->stanza;
    if (stanza->kind == STANZA_PRESENCE || !stanza_may_bounce(stanza))
        return;
    if (stanza->kind == STANZA_IQ && stanza->type == TYPE_GET && xml_first(&stanza->node, &request.child)) {
        for (size_t i = 0; i < COUNT_OF(requests); i++) {
            if (!xml_is(&request.child, str_from(requests[i].name), str_from(requests[i].ns)))
                continue;
            requests[i].handle(&request);
            return;
        }
    }
    route_error(actor->shard, stanza, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
}

/* ---- As an actor ---- */

static const char *rows(const struct actor *actor)
{
    (void)actor;
    return "public-room";
}

static void load_row(struct actor *actor, const struct store_row *row)
{
    enlist(SERVICE_OF(actor), row->key, row->value);
}

static void loaded(struct actor *actor, bool ok)
{
    actor->exists = ok;
}

static void refuse(struct actor *actor, const struct delivery *delivery)
{
    route_error(actor->shard, delivery->stanza, STANZA_ERROR_RESOURCE_CONSTRAINT, NULL);
}

static void forget(struct actor *actor)
{
    struct service *service = SERVICE_OF(actor);
    struct map_walk walk = { 0 };
    struct map_node *node;
    while ((node = map_next(&service->rooms, &walk)))
        free(CONTAINER_OF(node, struct listed, _node));
    map_fini(&service->rooms);
    map_init(&service->rooms, listed_key);
    free(service->sorted);
    service->sorted = NULL;
}

static bool may_sleep(const struct actor *actor)
{
    return !actor->exists; /* temporary rooms are nowhere else */
}

static void service_free(struct actor *actor)
{
    map_fini(&SERVICE_OF(actor)->rooms);
    free(SERVICE_OF(actor));
}

static const struct actor_kind kind = {
    .rows = rows,
    .load_row = load_row,
    .loaded = loaded,
    .receive = receive,
    .refuse = refuse,
    .forget = forget,
    .may_sleep = may_sleep,
    .free = service_free,
};

static struct actor *service_wake(struct shard *shard, struct host *host)
{
    str name = str_from(host->name);
    struct jid jid = { name, 0, (uint16_t)name.len };
    struct actor *actor = actor_awake(shard, name);
    if (actor)
        return actor;
    struct service *service = NEW(struct service);
    map_init(&service->rooms, listed_key);
    actor_start(&service->actor, &kind, shard, host, &jid, true);
    return &service->actor;
}

static void deliver(struct shard *shard, struct host *host, const struct delivery *delivery)
{
    if (delivery->how != DELIVER_ROUTE && delivery->how != DELIVER_BROADCAST)
        return;
    if (delivery->to.local_len)
        room_deliver(shard, host, delivery);
    else
        actor_deliver(service_wake(shard, host), delivery);
}

static const char *domain(const void *settings)
{
    return ((const struct rooms_settings *)settings)->domain;
}

static const struct ext_service service = { .prefix = "conference", .domain = domain, .deliver = deliver };

extern const struct ext ext_rooms;
const struct ext ext_rooms = {
    .slot = &slot,
    .name = "rooms",
    .title = "Multi-User Chat",
    .xep = { 45, "1.35.5" },
    .more = (const struct ext_xep[]){ { 249, "1.2" },
                                      { 307, "0.1" },
                                      { 317, "0.3.1" },
                                      { 410, "1.1.0" },
                                      { 421, "1.0.1" },
                                      { 424, "0.4.2" },
                                      { 425, "0.3.0" },
                                      { 486, "0.1.0" },
                                      { 500, "0.1.1" },
                                      { 502, "0.1.0" },
                                      { 513, "0.1.0" },
                                      { 0 } },
    .service = &service,
    .shard_size = sizeof(struct rooms_shard),
    .shard_fini = bans_fini_shard,
    .config = &config,
};
