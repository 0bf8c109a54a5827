/* SPDX-License-Identifier: MIT */
/* Any element in front of the reader of dialback: what it takes has domains in normal form and is the same
 * when it is written and read again; the answer to it goes back to where it came from; and no key is right
 * but the one that was made. */
#include "xmpp/dialback.h"

#include "xmpp/ns.h"

#include <stdlib.h>

enum { ROOM = 4 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct dialback written_and_read(const struct dialback *dialback, struct arena *arena)
{
    struct xml_node stream, *node = ARENA_NEW(arena, struct xml_node);
    struct dialback again;
    struct buf out;
    buf_init(&out, ROOM);
    buf_lit(&out, "<stream xmlns:db='" NS_DIALBACK "'>");
    dialback_write(&out, dialback);
    buf_lit(&out, "</stream>");
    str text = arena_str(arena, buf_str(&out));
    if (buf_failed(&out) || !xml_parse(text, STR(NS_SERVER), &stream) || !xml_first(&stream, node) ||
        dialback_read(node, arena, &again) != DIALBACK_OK)
        abort();
    buf_fini(&out);
    return again;
}

static void check_same(const struct dialback *a, const struct dialback *b)
{
    if (a->kind != b->kind || a->type != b->type || a->error != b->error || !str_eq(a->from, b->from) ||
        !str_eq(a->to, b->to) || !str_eq(a->key, b->key))
        abort();
    if (a->kind == DIALBACK_VERIFY && !str_eq(a->id, b->id))
        abort();
}

static void check_domain(str domain, struct arena *arena)
{
    str again;
    if (jid_prepare_domain(domain, arena, &again) != OK || !str_eq(domain, again))
        abort();
}

static void check_key(const struct dialback *dialback)
{
    const str secret = STR("s3cr3tf0rd14lb4ck");
    char key[DIALBACK_KEY_SIZE];
    dialback_key(secret, dialback->to, dialback->from, dialback->id, key);
    if (!dialback_key_is(secret, dialback->to, dialback->from, dialback->id, str_from(key)) ||
        dialback_key_is(secret, dialback->to, dialback->from, dialback->id, dialback->key) !=
            str_eq(dialback->key, str_from(key)))
        abort();
}

static void check(const struct dialback *dialback, struct arena *arena)
{
    check_domain(dialback->from, arena);
    check_domain(dialback->to, arena);
    struct dialback again = written_and_read(dialback, arena);
    check_same(dialback, &again);
    for (enum dialback_type type = DIALBACK_VALID; type <= DIALBACK_ERROR; type++) {
        enum stanza_error error = type == DIALBACK_ERROR ? STANZA_ERROR_ITEM_NOT_FOUND : STANZA_ERROR_NONE;
        struct dialback reply = dialback_reply(dialback, type, error);
        if (!str_eq(reply.from, dialback->to) || !str_eq(reply.to, dialback->from))
            abort();
        again = written_and_read(&reply, arena);
        check_same(&reply, &again);
    }
    check_key(dialback);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct xml_node node;
    struct dialback dialback;
    arena_init(&arena, 4096);
    if (xml_parse(str_of((const char *)data, size), STR(NS_DIALBACK), &node) &&
        dialback_read(&node, &arena, &dialback) == DIALBACK_OK)
        check(&dialback, &arena);
    arena_fini(&arena);
    return 0;
}
