/* SPDX-License-Identifier: MIT */
/* XEP-0050 1.3.0 at a room: what its owners and admins can do beyond the protocol of rooms. A command is
 * asked for, answered with a form, and done when the form comes; who knows the form may send it at once.
 * Nothing lasts between the two, so the id of the session is only said back. */
#include "room_command.h"

#include "base/rand.h"
#include "occupant.h"
#include "xml/write.h"

#define NS_DISCO_INFO  "http://jabber.org/protocol/disco#info"
#define NS_DISCO_ITEMS "http://jabber.org/protocol/disco#items"

enum { XML_MAX = 1 << 20, SESSION_MAX = 100 };

static const struct room_command *const tables[] = { room_hat_commands, room_log_commands };

static const struct room_command *find(str node)
{
    for (size_t i = 0; i < COUNT_OF(tables); i++)
        for (const struct room_command *at = tables[i]; at->node; at++)
            if (str_eq(node, str_from(at->node)))
                return at;
    return NULL;
}

static bool may_run(const struct room_request *request, const struct room_command *command)
{
    const struct room *room = request->room;
    return affiliation_of(room, &request->iq->from) >= command->least ||
           (command->least <= AFFILIATION_MEMBER && seat_find(room, &request->iq->from));
}

/* ---- Answers ---- */

str room_command_answer(struct room_request *request, const char *status, str payload)
{
    struct arena *arena = room_arena(request->room);
    str session = xml_attr(&request->child, STR("sessionid"), arena);
    char fresh[25];
    struct buf xml;
    if (!session.len || session.len > SESSION_MAX) {
        rand_token(fresh, sizeof fresh);
        session = str_from(fresh);
    }
    buf_init(&xml, XML_MAX);
    buf_lit(&xml, "<command xmlns='" NS_COMMANDS "' xml:lang='en'");
    xml_write_attr(&xml, "node", xml_attr(&request->child, STR("node"), arena));
    xml_write_attr(&xml, "sessionid", session);
    buf_addf(&xml, " status='%s'>", status);
    buf_add(&xml, payload);
    buf_lit(&xml, "</command>");
    str text = buf_failed(&xml) ? STR("") : arena_str(arena, buf_str(&xml));
    buf_fini(&xml);
    return text;
}

static void answer(struct room_request *request, const char *status, str payload)
{
    route_result(room_shard(request->room), request->iq, room_command_answer(request, status, payload));
}

void room_command_done(struct room_request *request, str payload)
{
    answer(request, "completed", payload);
}

void room_command_refuse(struct room_request *request, const char *text)
{
    room_error(request, STANZA_ERROR_BAD_REQUEST, text);
}

static void ask(struct room_request *request, const struct room_command *command)
{
    struct buf xml;
    buf_init(&xml, XML_MAX);
    buf_lit(&xml, "<actions execute='complete'><complete/></actions>");
    command->ask(request, &xml);
    if (buf_failed(&xml))
        room_error(request, STANZA_ERROR_RESOURCE_CONSTRAINT, NULL);
    else
        answer(request, "executing", arena_str(room_arena(request->room), buf_str(&xml)));
    buf_fini(&xml);
}

/* ---- Running ---- */

static void submit(struct room_request *request, const struct room_command *command)
{
    struct form form;
    enum err err = form_read_child(&request->child, room_arena(request->room), &form);
    if (err == ERR_NOT_FOUND)
        ask(request, command);
    else if (err != OK)
        room_command_refuse(request, "the form can't be read");
    else if (form.type == FORM_CANCEL)
        answer(request, "canceled", str_none);
    else
        command->run(request, &form);
}

void room_command(struct room_request *request)
{
    struct room *room = request->room;
    struct arena *arena = room_arena(room);
    const struct room_command *command = find(xml_attr(&request->child, STR("node"), arena));
    str action = xml_attr(&request->child, STR("action"), arena);
    if (!command || (room->is_locked && !seat_find(room, &request->iq->from)))
        room_error(request, STANZA_ERROR_ITEM_NOT_FOUND, NULL);
    else if (!may_run(request, command))
        room_error(request, STANZA_ERROR_FORBIDDEN, NULL);
    else if (str_is(action, "cancel"))
        answer(request, "canceled", str_none);
    else if (action.len && !str_is(action, "execute") && !str_is(action, "complete"))
        room_command_refuse(request, "there is one form, and nothing before or behind it");
    else if (command->ask)
        submit(request, command);
    else
        command->run(request, NULL);
}

/* ---- Discovery ---- */

bool room_command_items(struct room_request *request, str node)
{
    struct jid room = room_jid(request->room);
    struct buf xml;
    if (!str_is(node, NS_COMMANDS))
        return false;
    buf_init(&xml, XML_MAX);
    buf_lit(&xml, "<query xmlns='" NS_DISCO_ITEMS "' node='" NS_COMMANDS "'>");
    for (size_t i = 0; i < COUNT_OF(tables); i++) {
        for (const struct room_command *at = tables[i]; at->node; at++) {
            if (!may_run(request, at))
                continue;
            buf_lit(&xml, "<item");
            xml_write_attr(&xml, "jid", room.full);
            xml_write_attr(&xml, "node", str_from(at->node));
            xml_write_attr(&xml, "name", str_from(at->name));
            buf_lit(&xml, "/>");
        }
    }
    buf_lit(&xml, "</query>");
    room_result(request, &xml);
    buf_fini(&xml);
    return true;
}

bool room_command_info(struct room_request *request, str node)
{
    const struct room_command *command = find(node);
    bool is_list = str_is(node, NS_COMMANDS);
    struct buf xml;
    if (!is_list && !command)
        return false;
    if (command && !may_run(request, command)) {
        room_error(request, STANZA_ERROR_FORBIDDEN, NULL);
        return true;
    }
    buf_init(&xml, XML_MAX);
    buf_lit(&xml, "<query xmlns='" NS_DISCO_INFO "'");
    xml_write_attr(&xml, "node", node);
    buf_addf(&xml, "><identity category='automation' type='%s'", is_list ? "command-list" : "command-node");
    xml_write_attr(&xml, "name", is_list ? STR("Commands") : str_from(command->name));
    buf_lit(&xml, "/><feature var='" NS_COMMANDS "'/>");
    if (command)
        buf_lit(&xml, "<feature var='" NS_FORM "'/>");
    buf_lit(&xml, "</query>");
    room_result(request, &xml);
    buf_fini(&xml);
    return true;
}
