/* SPDX-License-Identifier: MIT */
/* The client's streams and what comes over them. It is strict where a mistake of the server would show (an
 * element that it does not expect ends its connection and fails the run), and forgiving where a server that
 * has no disk, or is about to stop, may say no: then it comes again later.
 *
 * XEP-0198 from the client's side: what we sent and was not acknowledged is kept in a list, in order; after
 * <resumed/> what lies behind `h` is sent again. When there is no such session any more, what `h` of
 * <failed/> does not cover is sent again in the new one, marked as something that may come twice. */
#include "device.h"

#include "base/base64.h"
#include "chance.h"
#include "rosters.h"
#include "xml/node.h"
#include "xmpp/ns.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define NS_OF_SM     "urn:xmpp:sm:3"
#define NS_OF_SASL   "urn:ietf:params:xml:ns:xmpp-sasl"
#define NS_OF_STREAM "http://etherx.jabber.org/streams"

enum { BYTES_MAX = 4 << 20, SILENCE_MS = 40 * 1000, ASK_MS = 500, ANSWER_MS = 20 * 1000 };

static const struct scan_limits limits = {
    .element_bytes = 1 << 20, .depth = 64, .attributes = 64, .name_bytes = 256
};

/* A stanza that was not acknowledged yet. */
struct sent {
    struct list link;
    uint32_t number;
    uint32_t told;         /* h that went out before it */
    struct letter *letter; /* or NULL */
    char *text;
};

static uint64_t now_us(const struct device *device)
{
    return sim_now_us(device->world->sim);
}

static void enter(struct device *device, enum device_state state)
{
    device->state = state;
    device->since_us = now_us(device);
}

static void sent_free(struct sent *sent)
{
    free(sent->text);
    free(sent);
}

/* ---- Bytes ---- */

static void ready(struct socket_owner *owner, unsigned events);

static void flush(struct device *device)
{
    while (device->socket && device->out.len) {
        struct iovec piece = { device->out.p, device->out.len };
        size_t taken = 0;
        if (socket_write(device->socket, &piece, 1, &taken) != OK)
            break; /* if it is broken, reading tells */
        buf_consume(&device->out, taken);
    }
    if (device->socket)
        socket_want(device->socket, &device->owner,
                    (device->deaf ? 0u : SOCKET_READABLE) | (device->out.len ? SOCKET_WRITABLE : 0u));
}

static void write_bytes(struct device *device, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void write_bytes(struct device *device, const char *format, ...)
{
    char text[2048];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    buf_add(&device->out, str_of(text, (size_t)length));
    flush(device);
}

static void open_stream(struct device *device, enum device_state state)
{
    scanner_fini(&device->scanner);
    scanner_init(&device->scanner, &limits); /* what has come behind <success/> is of the new one already */
    enter(device, state);
    write_bytes(device,
                "<?xml version='1.0'?><stream:stream to='%s' version='1.0' xmlns='jabber:client' "
                "xmlns:stream='" NS_OF_STREAM "'>",
                device->person->place->domain);
}

/* ---- Life ---- */

void device_init(struct device *device, struct world *world, struct ledger *ledger, struct person *person,
                 const char *resource)
{
    *device = (struct device){ .world = world, .ledger = ledger, .person = person, .owner.ready = ready };
    str_copy(str_from(resource), device->resource, sizeof device->resource);
    snprintf(device->full, sizeof device->full, "%s/%s", person->bare, resource);
    buf_init(&device->in, BYTES_MAX);
    buf_init(&device->out, BYTES_MAX);
    scanner_init(&device->scanner, &limits);
    list_init(&device->unacked);
    list_init(&device->waiting);
}

static void free_all(struct list *sents)
{
    struct list *link;
    while ((link = list_shift(sents)))
        sent_free(LIST_ITEM(link, struct sent, link));
}

void device_fini(struct device *device)
{
    socket_close(device->socket);
    scanner_fini(&device->scanner);
    buf_fini(&device->in);
    buf_fini(&device->out);
    free_all(&device->unacked);
    free_all(&device->waiting);
}

/* What the server has is out of our hands; letters that it may not have are sent again, or given up. */
static void end_visit(struct device *device, bool lost)
{
    struct list *link;
    struct visit *visit = device->visit;
    if (!visit)
        return;
    trace("%s: visit %u is over%s", device->full, visit->serial, lost ? ", lost" : "");
    visit->over = true;
    visit->lost = lost;
    visit->over_us = now_us(device);
    while ((link = list_shift(&device->unacked))) {
        struct sent *sent = LIST_ITEM(link, struct sent, link);
        if (sent->letter && !sent->letter->sent_again && chance_percent(50)) {
            sent->letter->sent_again = true;
            list_append(&device->waiting, link);
        } else {
            sent_free(sent);
        }
    }
    device->visit = NULL;
    device->sm_id[0] = '\0';
}

/* It asked for a session and never heard whether it got one. */
static void doubt(struct device *device)
{
    struct visit *visit = ledger_visit(device->ledger, device, now_us(device));
    visit->over = visit->lost = true;
}

static void gone(struct device *device)
{
    if (device->state == DEVICE_BINDING)
        doubt(device);
    bool closed = device->state == DEVICE_CLOSING;
    bool in_order = closed && device->closed;
    socket_close(device->socket);
    device->socket = NULL;
    device->deaf = device->asked = false;
    buf_clear(&device->out);
    enter(device, DEVICE_OFF);
    device->again_us = now_us(device) + chance_between(0, device->tries++ < 2 ? 3000 : 8000) * 1000;
    if (!device->sm_id[0] || closed)
        end_visit(device, !in_order);
    device->closed = false;
}

void device_cut(struct device *device)
{
    if (!device->socket)
        return;
    trace("%s: cut", device->full);
    sim_cut(device->socket);
    gone(device);
}

void device_connect(struct device *device)
{
    if (device->socket)
        return;
    device->again_us = 0;
    buf_clear(&device->in);
    trace("%s connects", device->full);
    if (socket_connect(device->world->clients, device->person->place->address, 5222, &device->owner,
                       &device->socket) != OK)
        abort();
    open_stream(device, DEVICE_OPENING);
}

void device_forget(struct device *device)
{
    device_cut(device);
    end_visit(device, true);
}

void device_close(struct device *device)
{
    if (device->state != DEVICE_ON || !list_empty(&device->unacked) || device->asked)
        return;
    trace("%s closes", device->full);
    enter(device, DEVICE_CLOSING);
    write_bytes(device, "</stream:stream>");
}

void device_deafen(struct device *device, bool deaf)
{
    device->deaf = deaf;
    flush(device);
}

/* Something that no fault explains. */
static void protest(struct device *device, const char *what, str bytes)
{
    ledger_fail(device->ledger, "%s got %s: %.*s", device->full, what,
                (int)(bytes.len < 300 ? bytes.len : 300), bytes.p);
    device->broken = true;
}

/* ---- Sending ---- */

static void send_stanza(struct device *device, const char *text, struct letter *letter)
{
    if (device->visit && device->visit->sm) {
        struct sent *sent = NEW(struct sent);
        sent->number = ++device->out_count;
        sent->told = device->told;
        sent->letter = letter;
        sent->text = str_dup(str_from(text));
        list_append(&device->unacked, &sent->link);
    }
    device->said_us = now_us(device);
    write_bytes(device, "%s", text);
}

void device_say(struct device *device, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    trace("%s says %s", device->full, text);
    send_stanza(device, text, NULL);
}

void device_write_letter(struct device *device, struct person *to, const char *resource)
{
    char text[512];
    struct letter *letter = ledger_letter(device->ledger, device->visit, to);
    letter->resource = resource;
    snprintf(text, sizeof text, "<message type='chat' to='%s%s%s' id='m%u'><body>#%u#</body></message>",
             to->bare, resource ? "/" : "", resource ? resource : "", letter->number, letter->number);
    trace("%s writes letter %u to %s", device->full, letter->number, to->bare);
    send_stanza(device, text, letter);
}

void device_show(struct device *device, int priority)
{
    device->priority = priority;
    device->visit->hid |= priority < 0;
    if (priority < -128)
        device_say(device, "<presence type='unavailable'/>");
    else
        device_say(device, "<presence><priority>%d</priority></presence>", priority);
}

/* Some ping when letters have come: if that is acknowledged, their acknowledgement was heard (take_ack()). */
static void ask(struct device *device)
{
    device->asked = true;
    device->asked_us = now_us(device);
    device->told = device->visit->in;
    write_bytes(device, "<a xmlns='" NS_OF_SM "' h='%u'/>", device->told);
    if (device->has_read && chance_percent(50))
        device_say(device, "<iq type='get' id='ping'><ping xmlns='urn:xmpp:ping'/></iq>");
    device->has_read = false;
    write_bytes(device, "<r xmlns='" NS_OF_SM "'/>");
}

/* Who has handled a stanza has read what stood before it. An <a/> alone says less: it may be a second answer
 * to an earlier <r/>, given when more was safe. */
static void take_ack(struct device *device, uint32_t h)
{
    uint32_t heard = 0;
    if (h > device->out_count) {
        protest(device, "more acknowledged than it sent", STR(""));
        return;
    }
    while (!list_empty(&device->unacked)) {
        struct sent *sent = LIST_ITEM(device->unacked.next, struct sent, link);
        if (sent->number > h)
            break;
        if (sent->letter && !sent->letter->acked) {
            sent->letter->acked = true;
            trace("%s: letter %u is acknowledged", device->full, sent->letter->number);
        }
        heard = sent->told > heard ? sent->told : heard;
        list_remove(&sent->link);
        sent_free(sent);
    }
    if (heard)
        ledger_proven(device->ledger, device->visit, heard, now_us(device));
}

/* ---- Logging in ---- */

static void log_in(struct device *device)
{
    char plain[64];
    struct buf text;
    int length = snprintf(plain, sizeof plain, "%c%s%csecret", 0, device->person->name, 0);
    buf_init(&text, 256);
    base64_encode(&text, str_of(plain, (size_t)length));
    enter(device, DEVICE_LOGGING_IN);
    write_bytes(device, "<auth xmlns='" NS_OF_SASL "' mechanism='PLAIN'>%.*s</auth>",
                STR_ARGS(buf_str(&text)));
    buf_fini(&text);
}

static void bind_resource(struct device *device)
{
    enter(device, DEVICE_BINDING);
    write_bytes(
        device,
        "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>%s</resource>"
        "</bind></iq>",
        device->resource);
}

static void resume_or_bind(struct device *device)
{
    if (!device->sm_id[0]) {
        bind_resource(device);
        return;
    }
    enter(device, DEVICE_RESUMING);
    device->told = device->visit->in;
    write_bytes(device, "<resume xmlns='" NS_OF_SM "' h='%u' previd='%s'/>", device->visit->in,
                device->sm_id);
}

static void fetch_roster(struct device *device)
{
    enter(device, DEVICE_FETCHING);
    send_stanza(device, "<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>", NULL);
}

static void bound(struct device *device)
{
    device->visit = ledger_visit(device->ledger, device, now_us(device));
    device->out_count = device->told = 0;
    trace("%s: visit %u begins", device->full, device->visit->serial);
    if (!device->wants_sm) {
        fetch_roster(device);
        return;
    }
    enter(device, DEVICE_ENABLING);
    write_bytes(device, "<enable xmlns='" NS_OF_SM "' resume='true'/>");
}

static void send_waiting(struct device *device)
{
    struct list *link;
    while ((link = list_shift(&device->waiting))) {
        struct sent *sent = LIST_ITEM(link, struct sent, link);
        trace("%s writes letter %u again", device->full, sent->letter->number);
        sent->letter->sendings++;
        send_stanza(device, sent->text, sent->letter);
        sent_free(sent);
    }
}

static void is_on(struct device *device)
{
    enter(device, DEVICE_ON);
    device->tries = 0;
    device->visit->began = true;
    if (device->wants_carbons)
        device_say(device, "<iq type='set' id='carbons'><enable xmlns='urn:xmpp:carbons:2'/></iq>");
    if (device->priority >= -128)
        device_show(device, device->priority);
    send_waiting(device);
}

/* They are counted in the order in which they go out now. */
static void turn_round(struct device *device)
{
    struct list turned, *link;
    uint32_t number = device->out_count + 1;
    list_init(&turned);
    while ((link = list_shift(&device->unacked))) {
        list_prepend(&turned, link);
        number--;
    }
    while ((link = list_shift(&turned))) {
        struct sent *sent = LIST_ITEM(link, struct sent, link);
        sent->number = number++;
        if (sent->letter)
            sent->letter->turned = true;
        list_append(&device->unacked, link);
    }
}

static void resumed(struct device *device, uint32_t h)
{
    ledger_proven(device->ledger, device->visit, device->told, now_us(device));
    device->ledger->resumed++;
    device->asked = false;
    take_ack(device, h);
    enter(device, DEVICE_ON);
    device->tries = 0;
    trace("%s resumes visit %u, h=%u", device->full, device->visit->serial, h);
    if (device->turns_round)
        turn_round(device);
    list_each (at, &device->unacked) {
        const struct sent *sent = LIST_ITEM(at, struct sent, link);
        if (sent->letter)
            ledger_again(sent->letter);
        write_bytes(device, "%s", sent->text);
    }
    if (!device->visit->began) /* the answer may have got lost in a crash */
        fetch_roster(device);
}

/* ---- What comes ---- */

static uint32_t number_of(const struct xml_node *node, str name, struct arena *arena)
{
    uint64_t value = 0;
    str_to_u64(xml_attr(node, name, arena), UINT32_MAX, &value);
    return (uint32_t)value;
}

static void sm_element(struct device *device, const struct xml_node *node, struct arena *arena)
{
    if (str_is(node->name, "r")) {
        device->told = device->visit ? device->visit->in : 0;
        write_bytes(device, "<a xmlns='" NS_OF_SM "' h='%u'/>", device->told);
    } else if (str_is(node->name, "a")) {
        device->asked = false;
        take_ack(device, number_of(node, STR("h"), arena));
    } else if (str_is(node->name, "enabled") && device->state == DEVICE_ENABLING) {
        str_copy(xml_attr(node, STR("id"), arena), device->sm_id, sizeof device->sm_id);
        device->visit->sm = true;
        device->visit->in = 0; /* what came before does not count */
        fetch_roster(device);
    } else if (str_is(node->name, "resumed") && device->state == DEVICE_RESUMING) {
        resumed(device, number_of(node, STR("h"), arena));
    } else if (str_is(node->name, "failed") && device->state == DEVICE_RESUMING) {
        trace("%s can't resume", device->full);
        take_ack(device, number_of(node, STR("h"), arena));
        end_visit(device, true);
        bind_resource(device);
    } else {
        protest(device, "an element of stream management that it does not expect", node->bytes);
    }
}

static bool has_child(const struct xml_node *node, str name, str ns)
{
    struct xml_node child;
    return xml_child(node, name, ns, &child);
}

/* The letter that a message is, or NULL. */
static struct letter *letter_in(struct device *device, const struct xml_node *message, struct arena *arena)
{
    str body = xml_child_text(message, STR("body"), str_none, arena);
    uint64_t number;
    if (body.len < 3 || !str_to_u64(str_sub(body, 1, body.len - 1), UINT32_MAX, &number))
        return NULL;
    return ledger_find(device->ledger, (unsigned)number);
}

static void bounce_came(struct device *device, const struct xml_node *node, struct arena *arena)
{
    str id = xml_attr(node, STR("id"), arena);
    uint64_t number = 0;
    struct letter *letter = NULL;
    if (str_starts(id, STR("m")) && str_to_u64(str_sub(id, 1, id.len), UINT32_MAX, &number))
        letter = ledger_find(device->ledger, (unsigned)number);
    if (!letter || letter->from->device != device) {
        protest(device, "an error for what it did not send", node->bytes);
        return;
    }
    trace("%s: letter %u bounced", device->full, letter->number);
    letter->bounces++;
}

static void message_came(struct device *device, const struct xml_node *node, struct arena *arena)
{
    struct xml_node copy, forwarded, inner;
    bool is_error = str_is(xml_attr(node, STR("type"), arena), "error");
    bool is_copy = xml_child(node, STR("received"), STR("urn:xmpp:carbons:2"), &copy) ||
                   xml_child(node, STR("sent"), STR("urn:xmpp:carbons:2"), &copy);
    const struct xml_node *message = node;
    if (is_error) {
        if (!is_copy) /* of what another device sent */
            bounce_came(device, node, arena);
        return;
    }
    if (is_copy && xml_child(&copy, STR("forwarded"), STR("urn:xmpp:forward:0"), &forwarded) &&
        xml_child(&forwarded, STR("message"), STR("jabber:client"), &inner))
        message = &inner;
    struct letter *letter = letter_in(device, message, arena);
    if (!letter) {
        protest(device, "a message that nobody sent", node->bytes);
        return;
    }
    device->has_read = true;
    bool stamped = has_child(node, STR("delay"), STR("urn:xmpp:delay"));
    trace("%s gets letter %u%s%s (%u)", device->full, letter->number, is_copy ? ", a copy" : "",
          stamped ? ", late" : "", device->visit->in);
    ledger_arrived(device->ledger, device->visit, letter, stamped, is_copy, now_us(device));
}

static void answer_came(struct device *device, str id, bool ok, const struct xml_node *node)
{
    if (str_is(id, "bind") && device->state == DEVICE_BINDING) {
        if (ok)
            bound(device);
        else
            device_cut(device); /* the disk, or too many: later */
    } else if (str_is(id, "roster") && device->state == DEVICE_FETCHING) {
        if (ok)
            is_on(device);
        else
            device_cut(device);
    } else if (str_is(id, "bind")) {
        protest(device, "an answer that it does not expect", node->bytes);
    }
}

static void iq_came(struct device *device, const struct xml_node *node, struct arena *arena)
{
    str type = xml_attr(node, STR("type"), arena), id = xml_attr(node, STR("id"), arena);
    str from = xml_attr(node, STR("from"), arena);
    bool result = str_is(type, "result");
    if (result || str_is(type, "error"))
        answer_came(device, id, result, node);
    else if (from.len)
        device_say(device, "<iq type='result' id='%.*s' to='%.*s'/>", STR_ARGS(id), STR_ARGS(from));
    else
        device_say(device, "<iq type='result' id='%.*s'/>", STR_ARGS(id));
}

/* Its own presence, which comes back when its server has taken note of it. */
static void own_came(struct device *device, const struct xml_node *node, struct arena *arena)
{
    str priority = xml_child_text(node, STR("priority"), str_none, arena);
    device->visit->open = !xml_attr(node, STR("type"), arena).len && !str_starts(priority, STR("-"));
}

static void presence_came(struct device *device, const struct xml_node *node, struct arena *arena)
{
    if (str_eq(xml_attr(node, STR("from"), arena), str_from(device->full)))
        own_came(device, node, arena);
    if (device->state == DEVICE_ON && str_is(xml_attr(node, STR("type"), arena), "subscribe"))
        rosters_asked(device, xml_attr(node, STR("from"), arena));
}

static void stanza_came(struct device *device, const struct xml_node *node, struct arena *arena)
{
    if (device->visit)
        device->visit->in++;
    if (str_is(node->name, "message") && device->visit)
        message_came(device, node, arena);
    else if (str_is(node->name, "iq"))
        iq_came(device, node, arena);
    else if (str_is(node->name, "presence") && device->visit)
        presence_came(device, node, arena);
    else
        protest(device, "a stanza that it does not expect", node->bytes);
}

static void element_came(struct device *device, const struct xml_node *node, struct arena *arena)
{
    if (xml_is(node, STR("features"), STR(NS_OF_STREAM))) {
        if (device->state == DEVICE_OPENING)
            log_in(device);
        else if (device->state == DEVICE_REOPENING)
            resume_or_bind(device);
    } else if (str_is(node->ns, NS_OF_SASL)) {
        if (str_is(node->name, "success"))
            open_stream(device, DEVICE_REOPENING);
        else
            device_cut(device);
    } else if (str_is(node->ns, NS_OF_SM)) {
        sm_element(device, node, arena);
    } else if (str_is(node->ns, "jabber:client")) {
        stanza_came(device, node, arena);
    } else if (xml_is(node, STR("error"), STR(NS_OF_STREAM))) {
        trace("%s: stream error %.*s", device->full, STR_ARGS(node->bytes));
    } else {
        protest(device, "an element that it does not expect", node->bytes);
    }
}

/* False when no more can be read for now. */
static bool next_event(struct device *device)
{
    struct xml_node node;
    struct arena arena;
    size_t used = 0;
    enum scan_event event = scanner_next(&device->scanner, buf_str(&device->in), &used, &node);
    bool element = event == SCAN_ELEMENT;
    if (event == SCAN_ERROR)
        protest(device, "bytes that are no stream", buf_str(&device->in));
    if (event == SCAN_CLOSE) {
        device->closed = true;
        gone(device);
    }
    if (element) { /* the buffer may be cleared by what is done about it */
        arena_init(&arena, 2048);
        struct xml_node kept;
        xml_keep(&node, &arena, &kept);
        buf_consume(&device->in, used);
        element_came(device, &kept, &arena);
        arena_fini(&arena);
    } else if (event != SCAN_CLOSE) {
        buf_consume(&device->in, used);
    }
    return (element || event == SCAN_OPEN) && device->socket && !device->broken;
}

static void ready(struct socket_owner *owner, unsigned events)
{
    struct device *device = CONTAINER_OF(owner, struct device, owner);
    char bytes[8192];
    size_t len;
    enum err err;
    if (events & SOCKET_WRITABLE)
        flush(device);
    while ((err = socket_read(device->socket, bytes, sizeof bytes, &len)) == OK) {
        buf_add(&device->in, str_of(bytes, len));
        while (next_event(device)) {
        }
        if (!device->socket)
            return;
    }
    if (err != ERR_AGAIN) {
        trace("%s: its connection has gone", device->full);
        gone(device);
    }
}

/* ---- Time ---- */

bool device_is_on(const struct device *device)
{
    return device->state == DEVICE_ON;
}

bool device_is_quiet(const struct device *device)
{
    return device->state == DEVICE_ON && list_empty(&device->unacked) && list_empty(&device->waiting) &&
           !device->asked && !device->out.len;
}

void device_tend(struct device *device, bool hurry)
{
    uint64_t now = now_us(device);
    if (device->state == DEVICE_OFF) {
        if (hurry || (device->again_us && device->again_us <= now))
            device_connect(device);
        return;
    }
    bool silent = device->state != DEVICE_ON && now - device->since_us > SILENCE_MS * 1000ull;
    if (silent || (device->asked && now - device->asked_us > ANSWER_MS * 1000ull)) {
        trace("%s gives up on a silent server", device->full);
        device_cut(device);
        return;
    }
    if (device->state == DEVICE_ON && device->visit->sm && !device->asked &&
        (!list_empty(&device->unacked) || device->told < device->visit->in) &&
        now - device->said_us > ASK_MS * 1000ull)
        ask(device);
}
