/* SPDX-License-Identifier: MIT */
/* Reading an account's document: whose it is, which rows come of it, and what is told of the rest. */
#include "extensions/portable/import.h"
#include "store/driver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { ANSWER_MAX = 65536, ROSTER_MAX = 2 };

struct scene {
    struct arena arena;
    struct buf answer;
    struct importing importing;
};

static void read_user(struct scene *scene, const char *content)
{
    struct import_document *document = ARENA_NEW(&scene->arena, struct import_document);
    str address;
    str text = arena_printf(&scene->arena,
                            "<server-data xmlns='" NS_PIE "'><host jid='a.example'>"
                            "<user name='Juliet'>%s</user></host></server-data>",
                            content);
    assert_null(import_document_read(text, &scene->arena, document, &address));
    assert_true(str_is(address, "juliet@a.example"));
    assert_int_equal(jid_parse(address, &scene->arena, &scene->importing.jid), OK);
    import_user(&scene->importing, &document->user);
}

static int set_up(void **state)
{
    struct scene *scene = NEW(struct scene);
    arena_init(&scene->arena, 4096);
    buf_init(&scene->answer, ANSWER_MAX);
    scene->importing = (struct importing){ .arena = &scene->arena,
                                           .answer = &scene->answer,
                                           .batch = store_batch_new(),
                                           .roster_max = ROSTER_MAX,
                                           .now_ms = 1800000000000 };
    *state = scene;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *scene = *state;
    nodes_fini(&scene->importing.nodes);
    store_batch_free(scene->importing.batch);
    buf_fini(&scene->answer);
    arena_fini(&scene->arena);
    free(scene);
    return 0;
}

static unsigned rows(const struct scene *scene, const char *kind)
{
    unsigned count = 0;
    for (const struct store_change *row = scene->importing.batch->first; row; row = row->next)
        count += str_eq(row->kind, str_from(kind));
    return count;
}

static void what_is_no_user_is_refused(void **state)
{
    struct scene *scene = *state;
    struct import_document document;
    str address;
    static const char *const texts[] = {
        "",
        "<server-data xmlns='urn:xmpp:pie:0'>",
        "<server-data xmlns='urn:xmpp:pie:1'><host jid='a'><user name='b'/></host></server-data>",
        "<server-data xmlns='urn:xmpp:pie:0'><host jid='a'/></server-data>",
        "<server-data xmlns='urn:xmpp:pie:0'><host><user name='b'/></host></server-data>",
        "<server-data xmlns='urn:xmpp:pie:0'><host jid='a'><user name='b@c'/></host></server-data>",
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        assert_non_null(import_document_read(str_from(texts[i]), &scene->arena, &document, &address));
}

static void a_roster_has_its_limit(void **state)
{
    struct scene *scene = *state;
    read_user(scene, "<query xmlns='jabber:iq:roster'><item jid='a.example'/><item jid='b.example'/>"
                     "<item jid='c.example'/></query>");
    assert_int_equal(rows(scene, "roster"), ROSTER_MAX);
    assert_true(str_is(buf_str(&scene->answer), "juliet@a.example: left out the contact c.example\n"));
}

/* The answer goes line by line, and to a terminal. */
static void what_is_left_out_is_told_on_a_line(void **state)
{
    struct scene *scene = *state;
    read_user(scene, "<query xmlns='jabber:iq:roster'><item jid='&#10;ok&#x9b;2J&#x7f;\xc3\xa4@'/></query>");
    assert_int_equal(rows(scene, "roster"), 0);
    assert_true(
        str_is(buf_str(&scene->answer), "juliet@a.example: left out the contact ?ok??2J?\xc3\xa4@\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_no_user_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_roster_has_its_limit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_left_out_is_told_on_a_line, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
