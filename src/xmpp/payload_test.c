/* SPDX-License-Identifier: MIT */
/* What messages are, and what is taken out of them: facts, hints, stanza ids, delays. */
#include "xmpp/payload.h"

#include "xmpp/delay.h"
#include "xmpp/hint.h"
#include "xmpp/sid.h"
#include "xmpp/test_text.h"

#include <stdlib.h>

#define TO_BARE  "<message to='b@x' type='chat'>"
#define TO_FULL  "<message to='b@x/r' type='chat'>"
#define TO_ERROR "<message to='b@x/r' type='error'>"
#define END      "</message>"
#define STATE    "<active xmlns='http://jabber.org/protocol/chatstates'/>"
#define HINT(h)  "<" h " xmlns='urn:xmpp:hints'/>"

static void each_child_has_its_meaning(void **state)
{
    (void)state;
    static const struct {
        const char *child;
        uint32_t facts;
    } cases[] = {
        { "", 0 },
        { "text alone", 0 },
        { "<body>hi</body>", PAYLOAD_BODY },
        { "<body/>", PAYLOAD_BODY },
        { "<body xmlns='http://jabber.org/protocol/xhtml-im'/>", PAYLOAD_OTHER },
        { "<subject/>", PAYLOAD_SUBJECT },
        { "<thread>t</thread>", PAYLOAD_THREAD },
        { "<error type='cancel'/>", PAYLOAD_ERROR },
        { STATE, PAYLOAD_CHAT_STATE },
        { "<s:composing xmlns:s='http://jabber.org/protocol/chatstates'/>", PAYLOAD_CHAT_STATE },
        { "<gone xmlns='http://jabber.org/protocol/chat&#115;tates'/>", PAYLOAD_CHAT_STATE },
        { "<request xmlns='urn:xmpp:receipts'/>", PAYLOAD_RECEIPT_REQUEST },
        { "<received xmlns='urn:xmpp:receipts' id='1'/>", PAYLOAD_RECEIPT },
        { "<markable xmlns='urn:xmpp:chat-markers:0'/>", PAYLOAD_MARKABLE },
        { "<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>", PAYLOAD_MARKER },
        { "<encrypted xmlns='eu.siacs.conversations.axolotl'/>", PAYLOAD_ENCRYPTED },
        { "<encrypted xmlns='urn:xmpp:omemo:2'/>", PAYLOAD_ENCRYPTED },
        { "<encryption xmlns='urn:xmpp:eme:0' namespace='x'/>", PAYLOAD_ENCRYPTED },
        { HINT("no-store"), PAYLOAD_NO_STORE },
        { HINT("no-permanent-store"), PAYLOAD_NO_PERMANENT_STORE },
        { HINT("no-copy"), PAYLOAD_NO_COPY },
        { HINT("store"), PAYLOAD_STORE },
        { HINT("unheard-of"), PAYLOAD_OTHER },
        { "<x xmlns='http://jabber.org/protocol/muc#user'/>", PAYLOAD_ROOM },
        { "<x xmlns='http://jabber.org/protocol/muc#user'><invite from='a@x'/></x>",
          PAYLOAD_ROOM | PAYLOAD_ROOM_INVITE },
        { "<x xmlns='jabber:x:conference' jid='r@m'/>", PAYLOAD_ROOM_INVITE },
        { "<delay xmlns='urn:xmpp:delay' stamp='2002-09-10T23:08:25Z'/>", PAYLOAD_DELAY },
        { "<sent xmlns='urn:xmpp:carbons:2'/>", PAYLOAD_CARBON },
        { "<received xmlns='urn:xmpp:carbons:2'/>", PAYLOAD_CARBON },
        { "<private xmlns='urn:xmpp:carbons:2'/>", PAYLOAD_PRIVATE },
        { "<stanza-id xmlns='urn:xmpp:sid:0' by='a@x' id='1'/>", PAYLOAD_STANZA_ID },
        { "<origin-id xmlns='urn:xmpp:sid:0' id='1'/>", PAYLOAD_ORIGIN_ID },
        { "<replace xmlns='urn:xmpp:message-correct:0' id='1'/>", PAYLOAD_CORRECTION },
        { "<retract xmlns='urn:xmpp:message-retract:1' id='1'/>", PAYLOAD_RETRACTION },
        { "<reactions xmlns='urn:xmpp:reactions:0' id='1'/>", PAYLOAD_REACTIONS },
        { "<propose xmlns='urn:xmpp:jingle-message:0' id='1'/>", PAYLOAD_CALL },
        { "<event xmlns='http://jabber.org/protocol/pubsub#event'/>", PAYLOAD_EVENT },
        { "<result xmlns='urn:xmpp:mam:2'/>", PAYLOAD_ARCHIVED },
        { "<body>a</body>" STATE "<thread/><y xmlns='z'/>",
          PAYLOAD_BODY | PAYLOAD_CHAT_STATE | PAYLOAD_THREAD | PAYLOAD_OTHER },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct stanza message = read_stanza(arena_printf(&arena, TO_BARE "%s" END, cases[i].child).p);
        if (payload_facts(&message) != cases[i].facts)
            fail_msg("'%s' is %x", cases[i].child, (unsigned)payload_facts(&message));
    }
}

static void chat_states_alone(void **state)
{
    (void)state;
    static const struct {
        const char *children;
        bool alone;
    } cases[] = {
        { STATE, true },
        { STATE "<thread>t</thread>" HINT("no-store"), true },
        { STATE "<x xmlns='http://jabber.org/protocol/muc#user'/>", true },
        { STATE "<x xmlns='http://jabber.org/protocol/muc#user'><invite/></x>", false },
        { STATE "<body>b</body>", false },
        { STATE "<y xmlns='z'/>", false },
        { STATE HINT("store"), false },
        { "<thread/>", false },
        { "", false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct stanza message = read_stanza(arena_printf(&arena, TO_BARE "%s" END, cases[i].children).p);
        assert_int_equal(payload_is_chat_state_only(&message), cases[i].alone);
    }
}

static void facts_follow_the_payload(void **state)
{
    (void)state;
    struct stanza message = read_stanza(TO_BARE "<body>a</body>" END);
    assert_int_equal(payload_facts(&message), PAYLOAD_BODY);
    struct stanza *copy = stanza_copy(&message);
    assert_int_equal(payload_facts(copy), PAYLOAD_BODY);
    message.node.content = STR("<subject>a</subject>");
    assert_int_equal(payload_facts(&message), PAYLOAD_SUBJECT);
    message.node.content = STR("");
    assert_int_equal(payload_facts(&message), 0);
    assert_int_equal(payload_facts(copy), PAYLOAD_BODY);
    free(copy);
    struct stanza made = stanza_make(STANZA_MESSAGE, TYPE_CHAT, str_none, STR("<body/>"), &arena);
    assert_int_equal(payload_facts(&made), PAYLOAD_BODY);
}

static void children_are_taken_out(void **state)
{
    (void)state;
    struct stanza message =
        read_stanza(TO_BARE " <a xmlns='n'/>1<b xmlns='n'/>2<a xmlns='n'><a/></a><a xmlns='m'/> " END);
    str content = message.node.content;
    same_text(payload_without_child(&message.node, STR("a"), STR("n"), &arena),
              " 1<b xmlns='n'/>2<a xmlns='m'/> ");
    str same = payload_without_child(&message.node, STR("c"), STR("n"), &arena);
    assert_ptr_equal(same.p, content.p);
    assert_int_equal(same.len, content.len);
    message = read_stanza(TO_BARE "<a xmlns='n'/>" END);
    assert_int_equal(payload_without_child(&message.node, STR("a"), STR("n"), &arena).len, 0);
}

static void hints_have_rules(void **state)
{
    (void)state;
    struct stanza message = read_stanza(TO_FULL HINT("no-store") HINT("no-copy") HINT("store") END);
    assert_true(hint_forbids_store(&message) && hint_forbids_archive(&message) &&
                hint_forbids_copy(&message));
    assert_false(hint_wants_store(&message));
    message = read_stanza(TO_BARE HINT("no-permanent-store") HINT("no-copy") HINT("store") END);
    assert_true(hint_forbids_archive(&message) && hint_wants_store(&message));
    assert_false(hint_forbids_store(&message) || hint_forbids_copy(&message));
    message = read_stanza(TO_ERROR HINT("no-store") HINT("no-copy") HINT("store") END);
    assert_false(hint_forbids_store(&message) || hint_forbids_archive(&message) ||
                 hint_forbids_copy(&message) || hint_wants_store(&message));
}

static void stanza_ids_of_others_stay(void **state)
{
    (void)state;
    struct jid by = jid("alice@example.org");
    struct stanza message = read_stanza(
        TO_BARE "<stanza-id xmlns='urn:xmpp:sid:0' id='1' by='Alice@EXAMPLE.org'/><body/>"
                "<stanza-id xmlns='urn:xmpp:sid:0' id='2' by='room@example.org'/>"
                "<s:stanza-id xmlns:s='urn:xmpp:sid:0' id='3' by='&#97;lice@example.org'>x</s:stanza-id>"
                "<stanza-id xmlns='urn:xmpp:sid:0' id='4' by='alice@example.org/phone'/>"
                "<stanza-id xmlns='urn:xmpp:sid:0' id='5'/>"
                "<origin-id xmlns='urn:xmpp:sid:0' id='o'/>" END);
    same_text(sid_read(&message.node, &by, &arena), "1");
    same_text(sid_read_origin(&message.node, &arena), "o");
    message.node.content = sid_strip(&message, &by, &arena);
    same_text(message.node.content, "<body/><stanza-id xmlns='urn:xmpp:sid:0' id='2' by='room@example.org'/>"
                                    "<stanza-id xmlns='urn:xmpp:sid:0' id='4' by='alice@example.org/phone'/>"
                                    "<stanza-id xmlns='urn:xmpp:sid:0' id='5'/>"
                                    "<origin-id xmlns='urn:xmpp:sid:0' id='o'/>");
    assert_null(sid_read(&message.node, &by, &arena).p);
    str again = sid_strip(&message, &by, &arena);
    assert_ptr_equal(again.p, message.node.content.p);
}

static void stanza_ids_are_written(void **state)
{
    (void)state;
    struct jid by = jid("room@example.org/o'neil");
    struct buf xml;
    buf_init(&xml, 1000);
    sid_write(&xml, &by, STR("i<d"));
    same_built(&xml, "<stanza-id xmlns='urn:xmpp:sid:0' by='room@example.org/o&apos;neil' id='i&lt;d'/>");
}

static void delays_there_and_back(void **state)
{
    (void)state;
    struct buf xml;
    struct delay delay;
    buf_init(&xml, 1000);
    buf_lit(&xml, "<message><delay xmlns='urn:xmpp:delay' stamp='yesterday'/>");
    delay_write(&xml, STR("capulet.com"), 1031699305250);
    buf_lit(&xml, "</message>");
    str text = arena_str(&arena, buf_str(&xml));
    buf_fini(&xml);
    struct stanza message = read_stanza(text.p);
    assert_true(delay_read(&message.node, &arena, &delay));
    assert_int_equal(delay.ms, 1031699305250);
    same_text(delay.from.full, "capulet.com");
    same_text(
        text,
        "<message><delay xmlns='urn:xmpp:delay' stamp='yesterday'/>"
        "<delay xmlns='urn:xmpp:delay' from='capulet.com' stamp='2002-09-10T23:08:25.250Z'/></message>");
    message = read_stanza("<message><body/><delay xmlns='urn:xmpp:delay'/></message>");
    assert_false(delay_read(&message.node, &arena, &delay));
}

static void forged_delays_are_taken_out(void **state)
{
    (void)state;
    struct jid host = jid("capulet.com");
    struct stanza message =
        read_stanza(TO_BARE "<delay xmlns='urn:xmpp:delay' from='CAPULET.com' stamp='x'/>"
                            "<delay xmlns='urn:xmpp:delay' from='a@capulet.com' stamp='x'/>"
                            "<delay xmlns='urn:xmpp:delay' stamp='x'/>" END);
    same_text(delay_strip(&message, &host, &arena), "<delay xmlns='urn:xmpp:delay' from='a@capulet.com' "
                                                    "stamp='x'/><delay xmlns='urn:xmpp:delay' stamp='x'/>");
    message = read_stanza(TO_BARE "<body/>" END);
    assert_ptr_equal(delay_strip(&message, &host, &arena).p, message.node.content.p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_child_has_its_meaning), TEST(chat_states_alone),     TEST(facts_follow_the_payload),
        TEST(children_are_taken_out),     TEST(hints_have_rules),      TEST(stanza_ids_of_others_stay),
        TEST(stanza_ids_are_written),     TEST(delays_there_and_back), TEST(forged_delays_are_taken_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
