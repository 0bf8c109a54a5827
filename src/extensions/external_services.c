/* SPDX-License-Identifier: MIT */
/* XEP-0215 1.0.0: which STUN and TURN servers (and others) a client may use, from the configuration, and
 * credentials for those that are restricted.
 *
 * Credentials are made on the spot, and nothing of them is kept: the name is the time of their end and a
 * pseudonym of the account, the password the base64 of HMAC-SHA1 of that name under a secret that the TURN
 * server has too. coturn calls that use-auth-secret. The pseudonym is the same for an account each time, so
 * that quotas work, and tells nobody on the way who it is.
 *
 * Only who has an account here is told anything. There are no pushes (§3.2): what a client has been told
 * stays good until it expires. Sections are of XEP-0215. */
#include "server/ext.h"

#include "base/base64.h"
#include "base/digest.h"
#include "xml/write.h"
#include "xmpp/stamp.h"

#include <string.h>

#define NS_EXTDISCO "urn:xmpp:extdisco:2"

enum { XML_MAX = 256 * 1024, PSEUDONYM_BYTES = 8 };

extern const struct ext ext_external_services;
static struct ext_slot slot;

struct settings {
    struct config_list services;
    const char *secret;
    uint64_t life_ms;
};

/* TYPE:HOST:PORT:TRANSPORT */
struct service {
    str type, host, port, transport;
};

static bool read_service(str text, struct service *ret)
{
    struct service service;
    uint64_t port;
    service.type = str_cut(&text, ':');
    if (text.p && str_starts(text, STR("["))) {
        size_t end = str_find(text, ']');
        service.host = str_sub(text, 1, end);
        text = str_sub(text, end + 1, text.len);
        if (!str_starts(text, STR(":")))
            return false;
        text = str_sub(text, 1, text.len);
    } else {
        service.host = text.p ? str_cut(&text, ':') : str_none;
    }
    service.port = text.p ? str_cut(&text, ':') : str_none;
    service.transport = text;
    if (!service.type.len || !service.host.len || !service.port.p ||
        !str_to_u64(service.port, UINT16_MAX, &port) || !port ||
        !(str_is(text, "udp") || str_is(text, "tcp")))
        return false;
    *ret = service;
    return true;
}

static const char *check_service(const char *value)
{
    struct service service;
    return read_service(str_from(value), &service)
               ? NULL
               : "TYPE:HOST:PORT:udp or :tcp, such as turn:turn.example.org:3478:udp";
}

static bool is_restricted(const struct settings *settings, const struct service *service)
{
    return *settings->secret && (str_is(service->type, "turn") || str_is(service->type, "turns"));
}

/* ---- Credentials (§3.3)
 * ------------------------------------------------------------------------------------------ */

struct credentials {
    const char *expires;
    str username, password;
};

static void make_credentials(struct iq_event *event, struct credentials *ret)
{
    const struct settings *settings = ext_settings(event->host, &slot);
    struct arena *arena = &event->shard->arena;
    unsigned char mac[DIGEST_MAX_SIZE];
    struct buf hex;
    str secret = str_from(settings->secret);
    int64_t end_ms = loop_wall_ms(event->shard->loop) + (int64_t)settings->life_ms;
    digest_hmac(DIGEST_SHA1, secret, jid_bare(&event->iq->from), mac);
    buf_init(&hex, 64);
    hex_encode(&hex, str_of((char *)mac, PSEUDONYM_BYTES));
    ret->username = arena_printf(arena, "%lld:%.*s", (long long)(end_ms / 1000), STR_ARGS(buf_str(&hex)));
    buf_fini(&hex);
    digest_hmac(DIGEST_SHA1, secret, ret->username, mac);
    ret->password = base64_encode_arena(arena, str_of((char *)mac, digest_size(DIGEST_SHA1)));
    ret->expires = stamp_seconds(end_ms, arena);
}

static void write_service(struct buf *out, const struct settings *settings, const struct service *service,
                          const struct credentials *credentials)
{
    buf_lit(out, "<service");
    xml_write_attr(out, "type", service->type);
    xml_write_attr(out, "host", service->host);
    xml_write_attr(out, "port", service->port);
    xml_write_attr(out, "transport", service->transport);
    if (is_restricted(settings, service)) {
        buf_lit(out, " restricted='1'");
        xml_write_attr(out, "username", credentials->username);
        xml_write_attr(out, "password", credentials->password);
        xml_write_attr(out, "expires", str_from(credentials->expires));
    }
    buf_lit(out, "/>");
}

/* ---- Requests
 * ---------------------------------------------------------------------------------------------------- */

/* Whether it comes from an account of the host (who is awake, and at home here, since it asks). */
static bool may_ask(struct iq_event *event)
{
    struct user *user = user_awake(event->shard, jid_bare(&event->iq->from));
    if (user && !user->anonymous && user->actor.host == event->host)
        return true;
    ext_error(event, STANZA_ERROR_FORBIDDEN, NULL);
    return false;
}

/* §3.1, §3.2 */
static void list_services(struct iq_event *event)
{
    const struct settings *settings = ext_settings(event->host, &slot);
    struct credentials credentials;
    struct service service;
    struct buf out;
    if (!may_ask(event))
        return;
    str type = xml_attr(&event->child, STR("type"), &event->shard->arena);
    make_credentials(event, &credentials);
    buf_init(&out, XML_MAX);
    buf_lit(&out, "<services xmlns='" NS_EXTDISCO "'");
    xml_write_attr(&out, "type", type);
    buf_add_char(&out, '>');
    for (size_t i = 0; i < settings->services.count; i++)
        if (read_service(str_from(settings->services.items[i]), &service) &&
            (!type.p || str_eq(type, service.type)))
            write_service(&out, settings, &service, &credentials);
    buf_lit(&out, "</services>");
    ext_result(event, &out);
    buf_fini(&out);
}

static bool is_meant(const struct xml_node *wanted, const struct service *service, struct arena *arena)
{
    str port = xml_attr(wanted, STR("port"), arena);
    return str_eq(xml_attr(wanted, STR("host"), arena), service->host) &&
           str_eq(xml_attr(wanted, STR("type"), arena), service->type) &&
           (!port.p || str_eq(port, service->port));
}

/* §3.3 */
static void give_credentials(struct iq_event *event)
{
    const struct settings *settings = ext_settings(event->host, &slot);
    struct arena *arena = &event->shard->arena;
    struct credentials credentials;
    struct service service;
    struct xml_node wanted;
    struct buf out;
    bool any = false;
    if (!may_ask(event))
        return;
    if (!xml_child(&event->child, STR("service"), STR(NS_EXTDISCO), &wanted) ||
        !xml_attr(&wanted, STR("host"), arena).p || !xml_attr(&wanted, STR("type"), arena).p) {
        ext_error(event, STANZA_ERROR_BAD_REQUEST, "a service with host and type is wanted");
        return;
    }
    make_credentials(event, &credentials);
    buf_init(&out, XML_MAX);
    buf_lit(&out, "<credentials xmlns='" NS_EXTDISCO "'>");
    for (size_t i = 0; i < settings->services.count; i++) {
        if (!read_service(str_from(settings->services.items[i]), &service) ||
            !is_meant(&wanted, &service, arena) || !is_restricted(settings, &service))
            continue;
        write_service(&out, settings, &service, &credentials);
        any = true;
    }
    buf_lit(&out, "</credentials>");
    if (any)
        ext_result(event, &out);
    else
        ext_error(event, STANZA_ERROR_ITEM_NOT_FOUND, NULL);
    buf_fini(&out);
}

/* Where nothing is configured the feature is not there. */
static enum hook_ret disco_info(struct host *host, struct disco_event *event)
{
    const struct settings *settings = ext_settings(host, &slot);
    if (!event->request->user && !event->node.len && settings->services.count)
        buf_lit(event->xml, "<feature var='" NS_EXTDISCO "'/>");
    return HOOK_NEXT;
}

static const struct config_key keys[] = {
    { .name = "services",
      .type = CONFIG_LIST,
      CONFIG_FIELD(struct settings, services),
      .default_text = "",
      .check = check_service,
      .help = "Services outside of XMPP, each as TYPE:HOST:PORT:TRANSPORT, such as "
              "turn:turn.example.org:3478:udp. Types: stun, stuns, turn, turns and others." },
    { .name = "secret",
      .type = CONFIG_STRING,
      CONFIG_FIELD(struct settings, secret),
      .default_text = "",
      .secret = true,
      .help = "Shared with the TURN servers (coturn: static-auth-secret). Empty: no credentials are given." },
    { .name = "life",
      .type = CONFIG_DURATION,
      CONFIG_FIELD(struct settings, life_ms),
      .default_text = "12h",
      .min = 60000,
      .max = 30 * UINT64_C(86400000),
      .help = "How long credentials are good." },
    { 0 },
};

static const struct config_extension config = { "external_services",
                                                "STUN, TURN and other services for clients (XEP-0215).",
                                                sizeof(struct settings), keys };

static const struct ext_iq iqs[] = {
    { TYPE_GET, TO_HOST, "services", NS_EXTDISCO, list_services },
    { TYPE_GET, TO_HOST, "credentials", NS_EXTDISCO, give_credentials },
    { 0 },
};

static const struct ext_hook hooks[] = { HOOK(disco_info, PHASE_DELIVER, disco_info), { 0 } };

const struct ext ext_external_services = {
    .slot = &slot,
    .name = "external_services",
    .title = "External Service Discovery",
    .xep = { 215, "1.0.0" },
    .iqs = iqs,
    .hooks = hooks,
    .config = &config,
};
