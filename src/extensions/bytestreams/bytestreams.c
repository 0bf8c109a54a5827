/* SPDX-License-Identifier: MIT */
/* XEP-0065 1.8.2: a proxy for SOCKS5 bytestreams (file transfers of clients that can't reach each other), at
 * a domain of its own, proxy.HOST by default, and a port; there is none until the port is configured. This
 * file answers requests: what it is, where it listens (§4), and that a stream shall begin (§6.3.5). The
 * streams are in relay.c.
 *
 * Who may use it: accounts of the host, or anyone, so many streams each. A stream is charged to who activates
 * it. That is counted here, where the domain is at home; a permit goes to the home of the stream and comes
 * back at its end. There is no UDP (§8), which is optional. */
#include "extensions/bytestreams/relay.h"

#include "xml/write.h"

#include <arpa/inet.h>
#include <stdlib.h>

#define NS_BYTESTREAMS "http://jabber.org/protocol/bytestreams"
#define NS_INFO        "http://jabber.org/protocol/disco#info"
#define NS_ITEMS       "http://jabber.org/protocol/disco#items"

enum { XML_MAX = 4096 };

extern const struct ext ext_bytestreams;
static struct ext_slot slot;

const struct bytestreams_settings *bytestreams_settings(const struct host *host)
{
    return ext_settings(host, &slot);
}

/* ---- Customers ---- */

/* An account with permits. */
struct customer {
    struct map_node node;
    char *jid;
    unsigned permits;
};

static str customer_key(const struct map_node *node)
{
    return str_from(CONTAINER_OF(node, struct customer, node)->jid);
}

struct bytestreams_shard *bytestreams_shard(struct shard *shard)
{
    struct bytestreams_shard *state = ext_shard(shard, &slot);
    if (!state->is_ready) {
        map_init(&state->relays, relay_key);
        map_init(&state->customers, customer_key);
        list_init(&state->ends);
        state->is_ready = true;
    }
    return state;
}

atomic_uint *bytestreams_connections(const struct server *server)
{
    return &((struct bytestreams_shard *)ext_shard(server->shards[0], &slot))->connections;
}

static struct map *customers(struct shard *shard)
{
    return &bytestreams_shard(shard)->customers;
}

static struct customer *customer_of(struct shard *shard, str jid)
{
    struct customer *customer = MAP_ITEM(map_get(customers(shard), jid), struct customer, node);
    if (customer)
        return customer;
    customer = NEW(struct customer);
    customer->jid = str_dup(jid);
    map_put(customers(shard), &customer->node);
    return customer;
}

static void customer_free(struct customer *customer)
{
    free(customer->jid);
    free(customer);
}

/* At the home of the proxy's domain. */
static void take_back(struct shard *shard, struct shard_call *call)
{
    struct permit *permit = CONTAINER_OF(call, struct permit, call);
    struct customer *customer = permit->customer;
    free(permit);
    if (--customer->permits)
        return;
    map_remove(customers(shard), &customer->node);
    customer_free(customer);
}

void permit_return(struct shard *shard, struct permit *permit)
{
    if (shard->stopping || shard->server->over) { /* it need not arrive */
        free(permit);
        return;
    }
    permit->call.run = take_back;
    shard_post(server_home(shard->server, str_from(permit->host->name)), &permit->call);
}

static void shard_fini(struct shard *shard)
{
    struct map_walk walk = { 0 };
    struct map_node *node;
    relay_end_all(shard);
    while ((node = map_next(customers(shard), &walk)))
        customer_free(CONTAINER_OF(node, struct customer, node));
    map_fini(customers(shard));
}

/* ---- Requests ---- */

struct request {
    struct shard *shard;
    struct host *host;
    const struct stanza *iq;
    struct xml_node child;
};

static void answer(const struct request *request, struct buf *xml)
{
    route_result(request->shard, request->iq, arena_str(&request->shard->arena, buf_str(xml)));
    buf_fini(xml);
}

static void fail(const struct request *request, enum stanza_error error, const char *text)
{
    route_error(request->shard, request->iq, error, text);
}

static bool is_about_node(const struct request *request)
{
    if (!xml_attr(&request->child, STR("node"), &request->shard->arena).len)
        return false;
    fail(request, STANZA_ERROR_ITEM_NOT_FOUND, NULL);
    return true;
}

static void info(const struct request *request)
{
    struct buf xml;
    if (is_about_node(request))
        return;
    buf_init(&xml, XML_MAX);
    buf_lit(&xml, "<query xmlns='" NS_INFO "'><identity category='proxy' type='bytestreams'");
    xml_write_attr(&xml, "name", str_from(bytestreams_settings(request->host)->name));
    buf_lit(&xml, "/><feature var='" NS_BYTESTREAMS "'/><feature var='" NS_INFO "'/><feature var='" NS_ITEMS
                  "'/></query>");
    answer(request, &xml);
}

static void items(const struct request *request)
{
    struct buf xml;
    if (is_about_node(request))
        return;
    buf_init(&xml, XML_MAX);
    buf_lit(&xml, "<query xmlns='" NS_ITEMS "'/>");
    answer(request, &xml);
}

/* §4: who has no permission is told so. */
static bool may_use(const struct request *request)
{
    const struct jid *from = &request->iq->from;
    if (bytestreams_settings(request->host)->allow == ALLOW_ANYONE ||
        (from->local_len && str_eq(jid_domain(from), str_from(request->host->parent->name))))
        return true;
    fail(request, STANZA_ERROR_FORBIDDEN, NULL);
    return false;
}

/* §4: the address. */
static void tell_address(const struct request *request)
{
    const struct bytestreams_settings *settings = bytestreams_settings(request->host);
    struct buf xml;
    if (!may_use(request))
        return;
    if (request->shard->stopping || !relay_has_room(request->host)) {
        fail(request, STANZA_ERROR_NOT_ALLOWED, "the proxy takes no more connections now");
        return;
    }
    buf_init(&xml, XML_MAX);
    buf_lit(&xml, "<query xmlns='" NS_BYTESTREAMS "'><streamhost");
    xml_write_attr(&xml, "host",
                   str_from(*settings->address ? settings->address : request->host->parent->name));
    xml_write_attr(&xml, "jid", str_from(request->host->name));
    buf_addf(&xml, " port='%u'/></query>", settings->port);
    answer(request, &xml);
}

/* §6.3.5: what the request says of the stream; false after an answer. */
static bool read_stream(const struct request *request, str *ret_sid, struct jid *ret_target)
{
    struct arena *arena = &request->shard->arena;
    struct xml_node activate;
    *ret_sid = xml_attr(&request->child, STR("sid"), arena);
    if (!ret_sid->len || !xml_child(&request->child, STR("activate"), STR(NS_BYTESTREAMS), &activate))
        fail(request, STANZA_ERROR_BAD_REQUEST, "a sid and the target's address are wanted");
    else if (jid_parse(str_trim(xml_text(&activate, arena)), arena, ret_target) != OK)
        fail(request, STANZA_ERROR_JID_MALFORMED, NULL);
    else
        return true;
    return false;
}

static void activate(const struct request *request)
{
    const struct stanza *iq = request->iq;
    struct jid target;
    str sid;
    if (!may_use(request) || !read_stream(request, &sid, &target))
        return;
    struct customer *customer = customer_of(request->shard, jid_bare(&iq->from));
    if (customer->permits >= bytestreams_settings(request->host)->streams) {
        fail(request, STANZA_ERROR_RESOURCE_CONSTRAINT, "too many bytestreams at once");
        return;
    }
    struct permit *permit = NEW(struct permit);
    customer->permits++;
    permit->customer = customer;
    permit->host = request->host;
    permit->iq = stanza_copy(iq);
    socks5_name(sid, iq->from.full, target.full, permit->name);
    relay_activate(permit);
}

static const struct {
    enum stanza_type type;
    str name, ns;
    void (*handle)(const struct request *request);
} handlers[] = {
    { TYPE_GET, STR_INIT("query"), STR_INIT(NS_INFO), info },
    { TYPE_GET, STR_INIT("query"), STR_INIT(NS_ITEMS), items },
    { TYPE_GET, STR_INIT("query"), STR_INIT(NS_BYTESTREAMS), tell_address },
    { TYPE_SET, STR_INIT("query"), STR_INIT(NS_BYTESTREAMS), activate },
};

static void answer_iq(struct request *request)
{
    const struct stanza *iq = request->iq;
    if (iq->type != TYPE_GET && iq->type != TYPE_SET)
        return;
    if (xml_first(&iq->node, &request->child) && ext_is_on(request->host, request->host->service))
        for (size_t i = 0; i < COUNT_OF(handlers); i++)
            if (handlers[i].type == iq->type && xml_is(&request->child, handlers[i].name, handlers[i].ns)) {
                handlers[i].handle(request);
                return;
            }
    fail(request, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
}

static void deliver(struct shard *shard, struct host *host, const struct delivery *delivery)
{
    struct request request = { .shard = shard, .host = host, .iq = delivery->stanza };
    if (delivery->how != DELIVER_ROUTE || request.iq->kind == STANZA_PRESENCE)
        return;
    if (request.iq->kind == STANZA_IQ && !delivery->to.local_len)
        answer_iq(&request);
    else if (request.iq->type != TYPE_HEADLINE)
        fail(&request, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
}

/* Guests come under new addresses as often as they like: nothing would bound them (XEP-0175 §3). */
static enum hook_ret guest_asks(struct host *host, struct stanza_event *event)
{
    const struct stanza *iq = event->stanza;
    const struct host *to = server_domain(host->server, jid_domain(&event->to));
    struct xml_node child;
    if (!event->user->anonymous || iq->kind != STANZA_IQ || !to || to->service != &ext_bytestreams ||
        bytestreams_settings(to)->allow == ALLOW_ANYONE || !xml_first(&iq->node, &child) ||
        !xml_is(&child, STR("query"), STR(NS_BYTESTREAMS)))
        return HOOK_NEXT;
    route_error(event->shard, iq, STANZA_ERROR_FORBIDDEN, NULL);
    return HOOK_DONE;
}

/* ---- As an extension ---- */

static const char *domain(const void *settings)
{
    return ((const struct bytestreams_settings *)settings)->domain;
}

static bool is_wanted(const void *settings)
{
    return ((const struct bytestreams_settings *)settings)->port;
}

static const struct ext_service service = {
    .prefix = "proxy", .domain = domain, .is_wanted = is_wanted, .deliver = deliver
};

static void where(const void *base, const struct config_list **ret_addresses, unsigned *ret_number)
{
    const struct bytestreams_settings *settings = base;
    *ret_addresses = &settings->listen;
    *ret_number = settings->port;
}

static const struct ext_port port = { .where = where, .accepted = relay_accept };

/* §4: an IPv6 address must be written as RFC 5952 says; that is how it is printed. */
static const char *check_told(const char *value)
{
    unsigned char address[16];
    char text[INET6_ADDRSTRLEN];
    bool is_v6 = inet_pton(AF_INET6, value, address) == 1;
    if (is_v6 && inet_ntop(AF_INET6, address, text, sizeof text) && !strcmp(text, value))
        return NULL;
    if (!is_v6 && !strpbrk(value, " :[]/"))
        return NULL;
    return "write a name or an IP address; IPv6 in its short form, without brackets: \"2001:db8::1\"";
}

#define SETTING(member) CONFIG_FIELD(struct bytestreams_settings, member)

static const struct config_key keys[] = {
    { .name = "port",
      .type = CONFIG_INT,
      .effect = ON_RESTART,
      SETTING(port),
      .default_text = "0",
      .max = 65535,
      .help = "The TCP port of the proxy; 0: there is none. Hosts may share one. 7777 is usual." },
    { .name = "listen",
      .type = CONFIG_LIST,
      .effect = ON_RESTART,
      SETTING(listen),
      .default_text = "\"\"",
      .check = config_check_address,
      .help = "The IP addresses to listen on; an empty one means all, IPv4 and IPv6." },
    { .name = "address",
      .type = CONFIG_STRING,
      SETTING(address),
      .default_text = "",
      .check = check_told,
      .help = "Where clients are told to connect: a name or an IP address; empty: the host's name." },
    { .name = "domain",
      .type = CONFIG_STRING,
      .effect = ON_RESTART,
      SETTING(domain),
      .default_text = "",
      .help = "The proxy's domain; empty: proxy. and the host's name." },
    { .name = "name",
      .type = CONFIG_STRING,
      SETTING(name),
      .default_text = "File transfers",
      .help = "What clients show as the proxy's name." },
    { .name = "allow",
      .type = CONFIG_CHOICE,
      SETTING(allow),
      .default_text = "local",
      .choices = "local anyone",
      .help =
          "Who may have a stream relayed: accounts of the host, or anyone. The other end may be anybody." },
    { .name = "streams",
      .type = CONFIG_INT,
      SETTING(streams),
      .default_text = "10",
      .min = 1,
      .max = 100000,
      .unit = "streams",
      .help = "So many one account may have relayed at once." },
    { .name = "connections",
      .type = CONFIG_INT,
      SETTING(connections),
      .default_text = "1000",
      .min = 2,
      .max = 1000000,
      .unit = "connections",
      .help = "So many the proxy takes at once; two make a stream, which holds up to 320 KiB." },
    { .name = "rate",
      .type = CONFIG_SIZE,
      SETTING(rate),
      .default_text = "2M",
      .max = UINT32_MAX,
      .help = "So much a stream carries each way in a second; 0: without a limit." },
    { .name = "size",
      .type = CONFIG_SIZE,
      SETTING(size),
      .default_text = "4G",
      .help =
          "So much a stream carries at all, both ways together, before it is ended; 0: without a limit." },
    { .name = "wait",
      .type = CONFIG_DURATION,
      SETTING(wait_ms),
      .default_text = "1m",
      .min = 1000,
      .max = 3600000,
      .help = "So long a connection may wait for its stream to be activated." },
    { .name = "idle",
      .type = CONFIG_DURATION,
      SETTING(idle_ms),
      .default_text = "5m",
      .min = 1000,
      .max = 86400000,
      .help =
          "A stream that carries nothing for so long is ended. What waits for one end when the other has\n"
          "closed gets so long, too." },
    { 0 },
};

static const struct config_extension config = {
    .name = "bytestreams",
    .help = "A proxy for file transfers between clients that can't reach each other (XEP-0065).",
    .size = sizeof(struct bytestreams_settings),
    .keys = keys,
};

static const struct ext_hook hooks[] = { HOOK(stanza_from_user, PHASE_GUARD, guest_asks), { 0 } };

const struct ext ext_bytestreams = {
    .slot = &slot,
    .name = "bytestreams",
    .title = "SOCKS5 Bytestreams",
    .xep = { 65, "1.8.2" },
    .service = &service,
    .port = &port,
    .hooks = hooks,
    .config = &config,
    .shard_size = sizeof(struct bytestreams_shard),
    .shard_fini = shard_fini,
};
