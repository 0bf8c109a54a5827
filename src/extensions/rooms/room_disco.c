/* SPDX-License-Identifier: MIT */
/* What a room says of itself (XEP-0045 §6.4-6.5, §7.12, §17.1.1; XEP-0128): identity, features of its kind,
 * and its description as a form. Who its occupants are it tells only those who are in.
 *
 * A room that is for members and hidden says the same to a stranger; what must not be known is its subject
 * and how many are in, which a room that is not public keeps to its occupants (§13.5). */
#include "extensions/archive/mam.h"
#include "occupant.h"
#include "room_command.h"
#include "xml/write.h"
#include "xmpp/vcard.h"

#define NS_INFO  "http://jabber.org/protocol/disco#info"
#define NS_ITEMS "http://jabber.org/protocol/disco#items"

enum { XML_MAX = 256 * 1024 };

static const char *const features[] = {
    NS_INFO,
    NS_ITEMS,
    NS_MUC,
    NS_MUC "#request",
    NS_MUC "#self-ping-optimization",
    NS_MUC "#stable_id",
    NS_MUC_CONFIG,
    NS_MUC "#roominfo",
    "jabber:iq:register",
    "urn:xmpp:occupant-id:0",
    "urn:xmpp:ping",
    "urn:xmpp:sid:0",
    NS_MODERATE,
    NS_RETRACT,
    NS_VCARD,
    NS_HATS,
    NS_COMMANDS,
};

static const char *const archive_features[] = { NS_MAM, NS_MAM "#extended", NS_RETRACT "#tombstone" };

static void write_feature(struct buf *xml, const char *name)
{
    buf_addf(xml, "<feature var='%s'/>", name);
}

static void write_features(const struct room *room, struct buf *xml)
{
    const struct room_config *config = room->config;
    for (size_t i = 0; i < COUNT_OF(features); i++)
        write_feature(xml, features[i]);
    for (size_t i = 0; room_is_archived(room) && i < COUNT_OF(archive_features); i++)
        write_feature(xml, archive_features[i]);
    write_feature(xml, config->has_password ? "muc_passwordprotected" : "muc_unsecured");
    write_feature(xml, config->is_public ? "muc_public" : "muc_hidden");
    write_feature(xml, config->is_persistent ? "muc_persistent" : "muc_temporary");
    write_feature(xml, config->is_members_only ? "muc_membersonly" : "muc_open");
    write_feature(xml, config->is_moderated ? "muc_moderated" : "muc_unmoderated");
    write_feature(xml, config->whois == WHOIS_ANYONE ? "muc_nonanonymous" : "muc_semianonymous");
}

/* What muc#roominfo tells. */
struct room_info {
    str description, language, subject, pubsub, logs;
    struct form_jids contacts;
    uint64_t occupants, history, slow_mode_s, quiet_size;
    bool may_change_subject;
};

static const struct form_row rows[] = {
    { "muc#roominfo_description", FIELD_TEXT_SINGLE, "Description",
      FORM_TEXT(struct room_info, description) },
    { "muc#roominfo_contactjid", FIELD_JID_MULTI, "Contact addresses",
      FORM_JIDS(struct room_info, contacts) },
    { "muc#roominfo_lang", FIELD_TEXT_SINGLE, "Language", FORM_TEXT(struct room_info, language) },
    { "muc#roominfo_subject", FIELD_TEXT_SINGLE, "Subject", FORM_TEXT(struct room_info, subject) },
    { "muc#roominfo_occupants", FIELD_TEXT_SINGLE, "Number of occupants",
      FORM_NUMBER(struct room_info, occupants) },
    { "muc#roominfo_subjectmod", FIELD_BOOLEAN, "May occupants change the subject?",
      FORM_BOOL(struct room_info, may_change_subject) },
    { "muc#roomconfig_changesubject", FIELD_BOOLEAN, "May occupants change the subject?",
      FORM_BOOL(struct room_info, may_change_subject) },
    { "muc#maxhistoryfetch", FIELD_TEXT_SINGLE, "Most messages shown on entering",
      FORM_NUMBER(struct room_info, history) },
    { "muc#roomconfig_pubsub", FIELD_TEXT_SINGLE, "Pubsub node", FORM_TEXT(struct room_info, pubsub) },
    { "muc#roominfo_logs", FIELD_TEXT_SINGLE, "Where public logs are", FORM_TEXT(struct room_info, logs) },
    { "x-jabiru_quiet_size", FIELD_TEXT_SINGLE, "Occupants from which on newcomers are not shown",
      FORM_NUMBER(struct room_info, quiet_size) },
    { "muc#roominfo_slow_mode_duration", FIELD_TEXT_SINGLE, "Seconds between two messages of one occupant",
      FORM_NUMBER(struct room_info, slow_mode_s) },
};

static const struct form_table form = { NS_MUC "#roominfo", FORM_ROWS(rows) };

static str subject_text(const struct room *room)
{
    struct arena *arena = room_arena(room);
    struct xml_node node;
    if (!room->subject.xml.len ||
        !xml_parse(arena_printf(arena, "<m xmlns='jabber:client'>%.*s</m>", STR_ARGS(room->subject.xml)),
                   str_none, &node))
        return STR("");
    str text = xml_child_text(&node, STR("subject"), STR("jabber:client"), arena);
    return text.p ? text : STR("");
}

static struct form_jids owners(const struct room *room)
{
    struct arena *arena = room_arena(room);
    struct form_jids all = { arena_alloc(arena, (room->owners + 1) * sizeof(struct jid)), 0 };
    struct map_walk walk = { 0 };
    struct map_node *node;
    while ((node = map_next(&room->affiliations, &walk))) {
        const struct affiliated *row = CONTAINER_OF(node, struct affiliated, _node);
        struct jid jid;
        if (row->affiliation == AFFILIATION_OWNER && all.count < room->owners &&
            jid_parse(row->jid, arena, &jid) == OK)
            all.list[all.count++] = jid;
    }
    return all;
}

/* XEP-0486 §3.3, XEP-0502 §3.1: they are there only with a value. */
static void write_avatar(const struct room *room, struct buf *xml)
{
    str hashes = str_from(room->avatar);
    if (!hashes.p)
        return;
    form_field_open(xml, "muc#roominfo_avatarhash", FIELD_TEXT_MULTI, true, "Avatar hash");
    while (hashes.p)
        form_value(xml, str_cut(&hashes, ' '));
    form_field_close(xml);
}

static void write_activity(struct room *room, struct buf *xml)
{
    const struct room_config *config = room->config;
    double rate = activity_rate(room);
    if (rate < 0 || !config->is_public || !config->is_persistent || config->is_members_only ||
        config->has_password)
        return;
    form_add(xml, "{urn:xmpp:muc-activity}message-activity", FIELD_TEXT_SINGLE, "Messages per hour",
             arena_printf(room_arena(room), "%.2f", rate));
}

static void write_info(struct room *room, bool is_insider, struct buf *xml)
{
    const struct room_config *config = room->config;
    struct room_info info = {
        .description = config->description.p ? config->description : STR(""),
        .language = config->language.p ? config->language : STR(""),
        .subject = is_insider ? subject_text(room) : str_none,
        .pubsub = config->pubsub.p ? config->pubsub : STR(""),
        .occupants = is_insider ? room->occupants.count : 0,
        .history = config->history,
        .logs = config->logs.p ? config->logs : STR(""),
        .slow_mode_s = config->slow_mode_s,
        .quiet_size = room_quiet_size(room),
        .may_change_subject = config->may_change_subject,
    };
    if (config->whois == WHOIS_ANYONE) /* else nobody may know who they are */
        info.contacts = owners(room);
    form_open(xml, FORM_RESULT);
    form_ns(xml, form.ns);
    form_write_rows(xml, &form, FORM_RESULT, &info);
    write_avatar(room, xml);
    write_activity(room, xml);
    if (room->hats.count) /* XEP-0317 §2 */
        form_add(xml, "hats#hash", FIELD_TEXT_SINGLE, "Hats hash", hats_hash(room));
    form_close(xml);
}

static void write_room(struct room_request *request, struct buf *xml)
{
    struct room *room = request->room;
    bool is_insider = room->config->is_public || seat_find(room, &request->iq->from) ||
                      affiliation_of(room, &request->iq->from) >= AFFILIATION_MEMBER;
    buf_lit(xml, "<query xmlns='" NS_INFO "'><identity category='conference' type='text'");
    xml_write_attr(xml, "name", room->config->name.len ? room->config->name : str_none);
    buf_lit(xml, "/>");
    write_features(room, xml);
    write_info(room, is_insider, xml);
    buf_lit(xml, "</query>");
}

/* §7.12 */
static void write_nick(struct room_request *request, struct buf *xml)
{
    const struct affiliated *row = affiliation_find(request->room, jid_bare(&request->iq->from));
    buf_lit(xml, "<query xmlns='" NS_INFO "' node='x-roomuser-item'>");
    if (row && row->nick.len) {
        buf_lit(xml, "<identity category='conference' type='text'");
        xml_write_attr(xml, "name", row->nick);
        buf_lit(xml, "/>");
    }
    buf_lit(xml, "</query>");
}

void room_info(struct room_request *request)
{
    str node = xml_attr(&request->child, STR("node"), room_arena(request->room));
    struct buf xml;
    buf_init(&xml, XML_MAX);
    if (request->room->is_locked && !seat_find(request->room, &request->iq->from)) {
        room_error(request, STANZA_ERROR_ITEM_NOT_FOUND, NULL);
    } else if (!node.len) {
        write_room(request, &xml);
        room_result(request, &xml);
    } else if (room_command_info(request, node)) {
        /* it has answered */
    } else if (str_is(node, "x-roomuser-item")) {
        write_nick(request, &xml);
        room_result(request, &xml);
    } else if (str_is(node, NS_MUC "#traffic")) { /* nothing is kept back */
        room_error(request, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
    } else {
        room_error(request, STANZA_ERROR_ITEM_NOT_FOUND, NULL);
    }
    buf_fini(&xml);
}

void room_items(struct room_request *request)
{
    struct room *room = request->room;
    const struct seat *asker = seat_find(room, &request->iq->from);
    struct buf xml;
    str node = xml_attr(&request->child, STR("node"), room_arena(room));
    if (node.len && !(room->is_locked && !asker)) {
        if (!room_command_items(request, node))
            room_error(request, STANZA_ERROR_ITEM_NOT_FOUND, NULL);
        return;
    }
    buf_init(&xml, 16 << 20);
    buf_lit(&xml, "<query xmlns='" NS_ITEMS "'>");
    list_each (at, &room->order) {
        const struct occupant *occupant = OCCUPANT_OF(at);
        if (!asker || (!occupant->is_shown && class_of(asker->occupant) != CLASS_MODERATORS))
            continue;
        buf_lit(&xml, "<item");
        xml_write_attr(&xml, "jid", occupant->jid.full);
        buf_lit(&xml, "/>");
    }
    buf_lit(&xml, "</query>");
    if (room->is_locked && !asker)
        room_error(request, STANZA_ERROR_ITEM_NOT_FOUND, NULL);
    else
        room_result(request, &xml);
    buf_fini(&xml);
}
