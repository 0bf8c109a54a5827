/* SPDX-License-Identifier: MIT */
/* What is read out of features, and what is done with it. */
#include "xmpp/peer.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define STREAM_NS "http://etherx.jabber.org/streams"

static struct peer_features read(const char *inner)
{
    struct arena arena;
    struct xml_node node;
    arena_init(&arena, 1024);
    str text = arena_printf(&arena, "<stream:features xmlns:stream='" STREAM_NS "'>%.*s</stream:features>",
                            (int)strlen(inner), inner);
    assert_true(xml_parse(text, STR("jabber:server"), &node));
    struct peer_features features = peer_features_read(&node, &arena);
    arena_fini(&arena);
    return features;
}

static void features(void **state)
{
    struct peer_features none = read(""), all;
    (void)state;
    assert_false(none.starttls || none.external || none.dialback || none.dialback_errors || none.bidi);
    all = read("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>"
               "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>OTHER</mechanism>"
               "<mechanism>EXTERNAL</mechanism></mechanisms><bidi xmlns='urn:xmpp:features:bidi'/>"
               "<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback><unknown xmlns='urn:x'/>");
    assert_true(all.starttls && all.external && all.dialback && all.dialback_errors && all.bidi);
    all =
        read("<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms>"
             "<dialback xmlns='urn:xmpp:features:dialback'/>");
    assert_true(all.dialback && !all.external && !all.dialback_errors);
    assert_int_equal(all.max_bytes, 0);
    all = read("<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes> 10000 </max-bytes></limits>");
    assert_int_equal(all.max_bytes, 10000);
    all = read("<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>many</max-bytes></limits>");
    assert_int_equal(all.max_bytes, 0);
}

#define F(...)                                                                                               \
    (struct peer_features)                                                                                   \
    {                                                                                                        \
        __VA_ARGS__                                                                                          \
    }
#define S(...)                                                                                               \
    (struct peer_standing)                                                                                   \
    {                                                                                                        \
        __VA_ARGS__                                                                                          \
    }

static void moves(void **state)
{
    const struct {
        struct peer_features features;
        struct peer_standing standing;
        enum peer_move move;
    } table[] = {
        { F(.starttls = true), S(.can_tls = true), PEER_STARTTLS },
        { F(.starttls = true, .dialback = true), S(.can_tls = true, .may_dialback = true), PEER_STARTTLS },
        { F(.dialback = true), S(.can_tls = true, .require_tls = true, .may_dialback = true), PEER_STARTTLS },
        { F(.dialback = true), S(.can_tls = true, .may_dialback = true), PEER_DIALBACK },
        { F(.is_old = true), S(.can_tls = true, .require_tls = true, .may_dialback = true), PEER_NO_TLS },
        { F(.starttls = true), S(.require_tls = true), PEER_NO_TLS },
        { F(.dialback = true), S(.may_dialback = true), PEER_DIALBACK },
        { F(.starttls = true), S(.may_dialback = true, .header_dialback = true), PEER_DIALBACK },
        { F(0), S(.may_dialback = true), PEER_NO_WAY },
        { F(.external = true), S(.secure = true, .may_external = true), PEER_EXTERNAL },
        { F(.external = true), S(.may_external = true), PEER_NO_WAY },
        { F(.external = true, .dialback = true), S(.secure = true, .may_dialback = true), PEER_DIALBACK },
        { F(.external = true), S(.secure = true), PEER_NO_WAY },
        { F(.dialback = true), S(.secure = true), PEER_NO_WAY },
        { F(0), S(.secure = true, .authenticated = true), PEER_READY },
        { F(.external = true), S(.secure = true, .authenticated = true, .may_external = true), PEER_READY },
        { F(.starttls = true),
          S(.secure = true, .can_tls = true, .may_dialback = true, .header_dialback = true), PEER_DIALBACK },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        assert_string_equal(peer_move_name(peer_next(&table[i].features, &table[i].standing)),
                            peer_move_name(table[i].move));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(features), cmocka_unit_test(moves) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
