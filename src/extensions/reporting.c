/* SPDX-License-Identifier: MIT */
/* XEP-0377 0.4.1: a reason that a user gives to the server's people while blocking an address (XEP-0191).
 *
 * A report is kept among the host's rows (kind `report`, the key says who reports whom: a second one of the
 * same replaces the first, so there are never more than there are blocks), in the write that makes the block.
 * Whoever is named in the configuration gets a message. Nothing is passed on to other servers, whether or not
 * the user allows that (§5: MAY). A report without a reason is none; the address is blocked all the same. */
#include "server/ext.h"

#include "base/utf8.h"
#include "xml/write.h"
#include "xmpp/ns.h"
#include "xmpp/stamp.h"

#define NS_REPORTING "urn:xmpp:reporting:1"
#define NS_SID       "urn:xmpp:sid:0"

enum { TEXT_MAX = 4096, REASON_MAX = 256, IDS_MAX = 50, XML_MAX = 64 * 1024 };

struct settings {
    struct config_list notify;
};

static struct ext_slot slot;

struct report {
    struct xml_node node;
    str reason, text;
};

static bool read_report(const struct blocked_event *event, struct report *ret)
{
    struct arena *arena = &event->user->actor.shard->arena;
    struct xml_node node;
    if (!xml_child(event->item, STR("report"), STR(NS_REPORTING), &node))
        return false;
    ret->node = node;
    ret->reason = xml_attr(&node, STR("reason"), arena);
    ret->text = utf8_cut(xml_child_text(&ret->node, STR("text"), STR(NS_REPORTING), arena), TEXT_MAX);
    return ret->reason.len && ret->reason.len <= REASON_MAX;
}

static void write_ids(struct buf *xml, const struct report *report, struct arena *arena)
{
    struct xml_node child;
    size_t count = 0;
    for (bool more = xml_first(&report->node, &child); more && count < IDS_MAX; more = xml_next(&child)) {
        if (!xml_is(&child, STR("stanza-id"), STR(NS_SID)))
            continue;
        buf_lit(xml, "<stanza-id xmlns='" NS_SID "'");
        xml_write_attr(xml, "by", xml_attr(&child, STR("by"), arena));
        xml_write_attr(xml, "id", xml_attr(&child, STR("id"), arena));
        buf_lit(xml, "/>");
        count++;
    }
}

static void store(struct blocked_event *event, const struct report *report)
{
    struct user *user = event->user;
    struct shard *shard = user->actor.shard;
    struct arena *arena = &shard->arena;
    str reporter = user_bare(user);
    struct buf xml;
    buf_init(&xml, XML_MAX);
    buf_lit(&xml, "<report xmlns='" NS_REPORTING "'");
    xml_write_attr(&xml, "reason", report->reason);
    xml_write_attr(&xml, "by", reporter);
    xml_write_attr(&xml, "jid", event->jid.full);
    xml_write_attr(&xml, "stamp", str_from(stamp_seconds(loop_wall_ms(shard->loop), arena)));
    buf_lit(&xml, ">");
    write_ids(&xml, report, arena);
    if (report->text.len)
        xml_write_element(&xml, "text", str_none, report->text);
    buf_lit(&xml, "</report>");
    if (!buf_failed(&xml))
        store_put(user_write(user, event->iq), str_from(user->actor.host->name), STR("report"),
                  arena_printf(arena, "%.*s %.*s", STR_ARGS(reporter), STR_ARGS(event->jid.full)),
                  buf_str(&xml));
    buf_fini(&xml);
}

/* To one of the server's people. */
static void tell(struct blocked_event *event, const char *address, str body)
{
    struct user *user = event->user;
    struct arena *arena = &user->actor.shard->arena;
    struct stanza *message = arena_alloc(arena, sizeof *message);
    const char *name = user->actor.host->name;
    *message = stanza_make(STANZA_MESSAGE, TYPE_NONE, str_none, body, arena);
    message->from = (struct jid){ str_from(name), 0, (uint16_t)strlen(name) };
    if (jid_parse(str_from(address), arena, &message->to) == OK)
        route(user->actor.shard, message);
}

static void notify(struct blocked_event *event, const struct report *report)
{
    struct host *host = event->user->actor.host;
    const struct settings *settings = ext_settings(host, &slot);
    struct arena *arena = &event->user->actor.shard->arena;
    str reporter = user_bare(event->user);
    struct buf xml;
    buf_init(&xml, XML_MAX);
    buf_lit(&xml, "<body>");
    xml_write_text(&xml, reporter);
    buf_lit(&xml, " reports ");
    xml_write_text(&xml, event->jid.full);
    buf_lit(&xml, " (");
    xml_write_text(&xml, report->reason);
    buf_lit(&xml, ")");
    if (report->text.len)
        buf_lit(&xml, ": ");
    xml_write_text(&xml, report->text);
    buf_lit(&xml, "</body>");
    str body = arena_str(arena, buf_str(&xml));
    for (size_t i = 0; !buf_failed(&xml) && i < settings->notify.count; i++)
        tell(event, settings->notify.items[i], body);
    buf_fini(&xml);
}

static enum hook_ret blocked(struct host *host, struct blocked_event *event)
{
    struct report report;
    (void)host;
    if (!read_report(event, &report))
        return HOOK_NEXT;
    if (!event->user->anonymous)
        store(event, &report);
    notify(event, &report);
    return HOOK_NEXT;
}

/* ---- The extension
 * ------------------------------------------------------------------------------------------------ */

static const char *check_address(const char *value)
{
    return *value && !strchr(value, ' ') ? NULL : "write an address such as \"admin@example.org\"";
}

static const struct ext_hook hooks[] = { HOOK(contact_blocked, PHASE_OBSERVE, blocked), { 0 } };

static const struct config_key keys[] = {
    { .name = "notify",
      .type = CONFIG_LIST,
      CONFIG_FIELD(struct settings, notify),
      .default_text = "",
      .check = check_address,
      .help = "The addresses that get a message for each report, such as \"admin@example.org\"." },
    { 0 },
};

static const struct config_extension config = {
    .name = "reporting",
    .help = "Reports of spam and abuse (XEP-0377).",
    .size = sizeof(struct settings),
    .keys = keys,
};

extern const struct ext ext_reporting;
const struct ext ext_reporting = {
    .slot = &slot,
    .name = "reporting",
    .title = "Spam Reporting",
    .xep = { 377, "0.4.1" },
    .features = (const char *const[]){ NS_REPORTING, NULL },
    .hooks = hooks,
    .config = &config,
};
