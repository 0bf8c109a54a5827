/* SPDX-License-Identifier: MIT */
/* Any bytes as one element of a stream. If it is a stanza, what is written of it is read as the same one
 * again: to a client, across the border to servers and components and back, and within another stanza. What
 * it says in the name of somebody else (ids, times) is gone once it was taken out. */
#include "xmpp/delay.h"
#include "xmpp/forward.h"
#include "xmpp/inner.h"
#include "xmpp/ns.h"
#include "xmpp/payload.h"
#include "xmpp/rescope.h"
#include "xmpp/sid.h"
#include "xmpp/stanza.h"

#include <stdlib.h>

enum { ROOM = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same_jid(const struct jid *a, const struct jid *b)
{
    return jid_is_none(a) ? jid_is_none(b) : !jid_is_none(b) && jid_eq(a, b);
}

static void expect_same(const struct stanza *a, const struct stanza *b)
{
    if (a->kind != b->kind || a->type != b->type || !same_jid(&a->from, &b->from) ||
        !same_jid(&a->to, &b->to) || !str_eq(a->id, b->id))
        abort();
}

/* Read again from what was written, in a namespace of its own. */
static void read_again(const struct stanza *stanza, str written, str ns, struct arena *arena)
{
    struct xml_node node;
    struct stanza again;
    if (!xml_parse(written, ns, &node))
        abort();
    enum stanza_fault fault = str_eq(ns, STR(NS_CLIENT))
                                  ? stanza_read(&node, str_none, str_none, arena, &again)
                                  : rescope_read(&node, ns, str_none, str_none, arena, &again);
    if (fault == STANZA_OK)
        expect_same(stanza, &again);
    else if (fault != STANZA_BAD_REQUEST) /* it may have grown too much */
        abort();
}

static void write_and_read(const struct stanza *stanza, struct arena *arena)
{
    static const char *const others[] = { NS_SERVER, NS_COMPONENT };
    struct buf out;
    int priority;
    buf_init(&out, ROOM);
    stanza_write(&out, stanza, NULL);
    if (!buf_failed(&out))
        read_again(stanza, buf_str(&out), STR(NS_CLIENT), arena);
    buf_clear(&out);
    for (size_t i = 0; i < 2; i++) {
        if (rescope_write(&out, stanza, NULL, str_from(others[i]), arena) && !buf_failed(&out))
            read_again(stanza, buf_str(&out), str_from(others[i]), arena);
        buf_clear(&out);
    }
    struct stanza *copy = stanza_copy(stanza);
    expect_same(stanza, copy);
    if (stanza->kind == STANZA_PRESENCE)
        (void)stanza_priority(stanza, arena, &priority);
    free(copy);
    buf_fini(&out);
}

/* Whether a child of this name says that it is from, or by, this address. */
static bool has_claim(const struct xml_node *node, str name, str ns, str attr, const struct jid *who,
                      struct arena *arena)
{
    struct xml_node child;
    struct jid jid;
    for (bool more = xml_first(node, &child); more; more = xml_next(&child))
        if (xml_is(&child, name, ns) && jid_parse(xml_attr(&child, attr, arena), arena, &jid) == OK &&
            jid_eq(&jid, who))
            return true;
    return false;
}

/* What others say in our name does not stay. */
static void strip(struct stanza stanza, struct arena *arena)
{
    struct jid who;
    struct xml_node node;
    struct buf out;
    if (jid_parse(STR("juliet@b\xc3\xbc.example"), arena, &who) != OK)
        abort();
    stanza.node.content = sid_strip(&stanza, &who, arena);
    stanza.node.content = delay_strip(&stanza, &who, arena);
    buf_init(&out, ROOM);
    stanza_write(&out, &stanza, NULL);
    if (!buf_failed(&out) &&
        (!xml_parse(buf_str(&out), STR(NS_CLIENT), &node) ||
         has_claim(&node, STR("stanza-id"), STR(NS_SID), STR("by"), &who, arena) ||
         has_claim(&node, STR("delay"), STR("urn:xmpp:delay"), STR("from"), &who, arena) ||
         sid_read(&node, &who, arena).len))
        abort();
    buf_fini(&out);
}

/* The same as a stanza within a stanza. */
static void forward(const struct stanza *stanza, struct arena *arena)
{
    struct xml_node wrapper, forwarded, node;
    struct stanza again;
    struct buf out;
    buf_init(&out, ROOM);
    buf_lit(&out, "<x>");
    forward_write(&out, stanza);
    buf_lit(&out, "</x>");
    if (!buf_failed(&out) && xml_parse(buf_str(&out), STR(NS_CLIENT), &wrapper)) {
        if (!forward_read(&wrapper, &forwarded, &node) || inner_read(&node, arena, &again) != STANZA_OK)
            abort();
        expect_same(stanza, &again);
    }
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct xml_node node;
    struct stanza stanza;
    str input = str_of((const char *)data, size);
    arena_init(&arena, 4096);
    if (xml_parse(input, STR(NS_CLIENT), &node) &&
        stanza_read(&node, str_none, STR("en"), &arena, &stanza) == STANZA_OK) {
        write_and_read(&stanza, &arena);
        strip(stanza, &arena);
        forward(&stanza, &arena);
    }
    arena_fini(&arena);
    return 0;
}
