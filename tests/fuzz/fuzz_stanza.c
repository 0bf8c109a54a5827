/* SPDX-License-Identifier: MIT */
/* Any bytes as one element of a stream. If it is a stanza, what is written of it is read as the same one
 * again: to a client, and across the border to servers and components and back. If it is of dialback, the
 * same. */
#include "xmpp/dialback.h"
#include "xmpp/ns.h"
#include "xmpp/payload.h"
#include "xmpp/rescope.h"
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

static void dialback(str input, struct arena *arena)
{
    struct xml_node node, same;
    struct dialback read, again;
    struct buf out;
    if (!xml_parse(input, STR(NS_SERVER), &node) || dialback_read(&node, arena, &read) != DIALBACK_OK)
        return;
    buf_init(&out, ROOM);
    buf_lit(&out, "<x xmlns:db='" NS_DIALBACK "'>");
    dialback_write(&out, &read);
    buf_lit(&out, "</x>");
    if (!xml_parse(buf_str(&out), STR(NS_SERVER), &node) || !xml_first(&node, &same) ||
        dialback_read(&same, arena, &again) != DIALBACK_OK || again.kind != read.kind ||
        again.type != read.type || !str_eq(again.from, read.from) || !str_eq(again.to, read.to))
        abort();
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
        stanza_read(&node, str_none, STR("en"), &arena, &stanza) == STANZA_OK)
        write_and_read(&stanza, &arena);
    dialback(input, &arena);
    arena_fini(&arena);
    return 0;
}
