/* SPDX-License-Identifier: MIT */
/* Forms that peers send, and forms as data. */
#include "xmpp/form_table.h"

#include "xmpp/test_text.h"

#define SUBMIT(fields)      "<x xmlns='jabber:x:data' type='submit'>" fields "</x>"
#define FIELD(name, values) "<field var='" name "'>" values "</field>"
#define V(value)            "<value>" value "</value>"

static struct form read_form(const char *xml)
{
    struct xml_node x = parse(xml);
    struct form form;
    assert_int_equal(form_read(&x, &arena, &form), OK);
    return form;
}

static enum err fault_of(const char *xml)
{
    struct xml_node x = parse(xml);
    struct form form;
    return form_read(&x, &arena, &form);
}

/* ---- Reading ---- */

/* XEP-0004 §5.1 */
static void a_submitted_form(void **state)
{
    (void)state;
    struct form form = read_form(SUBMIT("<field type='hidden' var='FORM_TYPE'>" V(
        "jabber:bot") "</field>"
                      "<field type='text-single' var='botname'>" V(
                          "The Jabber &amp; Bot") "</field>"
                                                  "<field type='fixed'>" V(
                                                      "Section 1") "</field>"
                                                                   "<field type='text-multi' "
                                                                   "var='description'>" V("one") V("two") V("") V(
                                                                       "four") "</field>"
                                                                               "<field type='boolean' "
                                                                               "var='public'>" V(
                                                                                   "0") "</field>" FIELD("pas"
                                                                                                         "swo"
                                                                                                         "rd",
                                                                                                         V("v"
                                                                                                           "3"
                                                                                                           "r"
                                                                                                           "0"
                                                                                                           "n"
                                                                                                           "a"))
                                                                                   FIELD("features",
                                                                                         V("news")
                                                                                             V("search"))
                                                                                       FIELD("maxsubs",
                                                                                             V("50"))
                                                                                           FIELD(
                                                                                               "invitelist",
                                                                                               V("Juliet@"
                                                                                                 "capulet."
                                                                                                 "com") V("be"
                                                                                                          "nv"
                                                                                                          "ol"
                                                                                                          "io"
                                                                                                          "@"
                                                                                                          "mo"
                                                                                                          "nt"
                                                                                                          "ag"
                                                                                                          "ue"
                                                                                                          "."
                                                                                                          "ne"
                                                                                                          "t")
                                                                                                   V("juliet@"
                                                                                                     "capulet"
                                                                                                     ".co"
                                                                                                     "m"))));
    str text;
    bool yes = true;
    uint64_t number;
    struct form_jids jids;
    struct form_texts texts;
    assert_int_equal(form.type, FORM_SUBMIT);
    assert_true(form_is(&form, "jabber:bot"));
    assert_false(form_is(&form, "jabber:bo"));
    assert_true(form_text(&form, "botname", &text));
    same_text(text, "The Jabber & Bot");
    assert_true(form_lines(&form, "description", &text));
    same_text(text, "one\ntwo\n\nfour");
    assert_true(form_bool(&form, "public", &yes));
    assert_false(yes);
    assert_true(form_u64(&form, "maxsubs", 1, 100, &number));
    assert_int_equal(number, 50);
    assert_true(form_jids(&form, "invitelist", &jids));
    assert_int_equal(jids.count, 2);
    same_text(jids.list[0].full, "juliet@capulet.com");
    assert_true(form_texts(&form, "features", &texts));
    assert_int_equal(texts.count, 2);
    assert_null(form.why);
    assert_false(form_find(&form, "password")->known);
    assert_true(form_find(&form, "features")->known);
    assert_null(form_find(&form, "nothing"));
}

static void what_is_not_there_is_left_alone(void **state)
{
    (void)state;
    struct form form = read_form("<x xmlns='jabber:x:data' type='cancel'/>");
    str text = STR("kept");
    bool yes = true;
    uint64_t number = 7;
    assert_int_equal(form.type, FORM_CANCEL);
    assert_false(form_text(&form, "a", &text) || form_bool(&form, "a", &yes) ||
                 form_u64(&form, "a", 0, 9, &number));
    same_text(text, "kept");
    assert_true(yes && number == 7 && !form.why && !form.ns.p);
}

static void bad_values_are_named(void **state)
{
    (void)state;
    bool yes = true;
    uint64_t number = 7;
    int64_t ms;
    str text;
    unsigned choice;
    struct jid one;
    struct form_jids jids;
    static const struct form_option options[] = { { "a", NULL }, { NULL, NULL } };
    struct form form = read_form(SUBMIT(FIELD("b", V("maybe"))));
    assert_false(form_bool(&form, "b", &yes));
    assert_string_equal(form.why, "b must be true or false");
    assert_false(form_u64(&form, "b", 0, 9, &number));
    assert_string_equal(form.why, "b must be true or false");
    assert_true(yes && number == 7);
    form.why = NULL;
    assert_false(form_u64(&form, "b", 1, 9, &number));
    assert_string_equal(form.why, "b must be a number from 1 to 9");
    form.why = NULL;
    assert_false(form_stamp(&form, "b", &ms) || !form.why);
    form.why = NULL;
    assert_false(form_choice(&form, "b", options, &choice) || !form.why);
    form = read_form(SUBMIT(FIELD("n", V("10")) FIELD("j", V("a@@b")) FIELD("two", V("1") V("1"))));
    assert_false(form_u64(&form, "n", 1, 9, &number) || !form.why);
    form.why = NULL;
    assert_false(form_jid(&form, "j", &one) || !form.why);
    form.why = NULL;
    assert_false(form_jids(&form, "j", &jids) || !form.why);
    form.why = NULL;
    assert_false(form_text(&form, "two", &text));
    assert_string_equal(form.why, "two must have one value");
}

static void empty_values(void **state)
{
    (void)state;
    struct form form = read_form(SUBMIT(FIELD("none", "") FIELD("empty", V(""))));
    str text = str_none;
    struct jid one = { .domain_len = 3 };
    struct form_jids jids;
    assert_true(form_text(&form, "none", &text) && text.p && !text.len);
    assert_true(form_text(&form, "empty", &text) && !text.len);
    assert_true(form_lines(&form, "none", &text) && !text.len);
    assert_true(form_jid(&form, "empty", &one) && jid_is_none(&one));
    assert_true(form_jids(&form, "empty", &jids) && jids.count == 0);
    assert_null(form.why);
}

static void forms_that_are_none(void **state)
{
    (void)state;
    struct form form;
    struct xml_node query = parse("<query><x xmlns='other'/></query>");
    assert_int_equal(fault_of("<y xmlns='jabber:x:data' type='submit'/>"), ERR_SYNTAX);
    assert_int_equal(fault_of("<x xmlns='other' type='submit'/>"), ERR_SYNTAX);
    assert_int_equal(fault_of("<x xmlns='jabber:x:data' type='wish'/>"), ERR_SYNTAX);
    assert_int_equal(fault_of("<x xmlns='jabber:x:data'/>"), ERR_SYNTAX);
    assert_int_equal(fault_of(SUBMIT("<field/>")), ERR_SYNTAX);
    assert_int_equal(fault_of(SUBMIT("<field var=''/>")), ERR_SYNTAX);
    assert_int_equal(fault_of(SUBMIT(FIELD("a", "") FIELD("a", ""))), ERR_SYNTAX);
    assert_int_equal(form_read_child(&query, &arena, &form), ERR_NOT_FOUND);
    query = parse("<query><y/>" SUBMIT(FIELD("a", "")) "</query>");
    assert_int_equal(form_read_child(&query, &arena, &form), OK);
    assert_int_equal(form.count, 1);
}

static void forms_are_bounded(void **state)
{
    (void)state;
    struct buf xml;
    buf_init(&xml, 1000000);
    buf_lit(&xml, "<x xmlns='jabber:x:data' type='submit'>");
    for (unsigned i = 0; i < FORM_FIELDS_MAX; i++)
        buf_addf(&xml, "<field var='f%u'/>", i);
    size_t full = xml.len;
    buf_lit(&xml, "</x>");
    assert_int_equal(fault_of(arena_str(&arena, buf_str(&xml)).p), OK);
    xml.len = full;
    buf_lit(&xml, "<field var='g'/></x>");
    assert_int_equal(fault_of(arena_str(&arena, buf_str(&xml)).p), ERR_LIMIT);
    buf_clear(&xml);
    buf_lit(&xml, "<x xmlns='jabber:x:data' type='submit'><field var='f'>");
    for (unsigned i = 0; i <= FORM_VALUES_MAX; i++)
        buf_lit(&xml, "<value/>");
    buf_lit(&xml, "</field></x>");
    assert_int_equal(fault_of(arena_str(&arena, buf_str(&xml)).p), ERR_LIMIT);
    buf_fini(&xml);
}

/* ---- Tables ---- */

enum whois { WHOIS_MODERATORS, WHOIS_ANYONE };

struct room {
    bool is_public;
    uint64_t most;
    enum whois whois;
    uint32_t broadcast;
    str name, about, password;
    int64_t since_ms;
    struct jid owner;
    struct form_jids admins;
    struct form_texts tags;
};

static const struct form_option whois[] = { { "moderators", "Moderators" },
                                            { "anyone", "All & sundry" },
                                            { NULL, NULL } };
static const struct form_option roles[] = {
    { "moderator", NULL }, { "participant", NULL }, { "visitor", NULL }, { NULL, NULL }
};
static const struct form_option sizes[] = { { "10", NULL }, { "none", "No limit" }, { NULL, NULL } };

static const struct form_row rows[] = {
    { "room#name", FIELD_TEXT_SINGLE, "Name", FORM_TEXT(struct room, name) },
    { "room#about", FIELD_TEXT_MULTI, "About", FORM_LINES(struct room, about) },
    { NULL, FIELD_FIXED, "Access" },
    { "room#public", FIELD_BOOLEAN, "Public?", FORM_BOOL(struct room, is_public), .required = true },
    { "room#most", FIELD_LIST_SINGLE, "Occupants", FORM_NUMBER(struct room, most), .min = 1, .max = 100,
      .word = "none", .options = sizes, .desc = "How many may be in <it>" },
    { "room#whois", FIELD_LIST_SINGLE, NULL, FORM_CHOICE(struct room, whois), .options = whois },
    { "room#broadcast", FIELD_LIST_MULTI, NULL, FORM_CHOICES(struct room, broadcast), .options = roles },
    { "room#since", FIELD_TEXT_SINGLE, NULL, FORM_STAMP(struct room, since_ms) },
    { "room#owner", FIELD_JID_SINGLE, NULL, FORM_JID(struct room, owner) },
    { "room#admins", FIELD_JID_MULTI, NULL, FORM_JIDS(struct room, admins) },
    { "room#tags", FIELD_TEXT_MULTI, NULL, FORM_TEXTS(struct room, tags) },
    { "room#password", FIELD_TEXT_PRIVATE, NULL, FORM_TEXT(struct room, password) },
};
static const struct form_table table = { "room", FORM_ROWS(rows), .title = "The <room>",
                                         .instructions = "Fill in" };

static struct room a_room(void)
{
    static struct jid admins[2];
    static str tags[] = { STR_INIT("x"), STR_INIT("y") };
    admins[0] = jid("a@x");
    admins[1] = jid("b@x");
    return (struct room){ .is_public = true,
                          .most = UINT64_MAX,
                          .whois = WHOIS_ANYONE,
                          .broadcast = 5,
                          .name = STR("R&D"),
                          .about = STR("one\ntwo"),
                          .since_ms = 1500,
                          .owner = jid("o@x"),
                          .admins = { admins, 2 },
                          .tags = { tags, 2 } };
}

static void a_table_asks(void **state)
{
    (void)state;
    struct room room = a_room();
    struct buf xml;
    buf_init(&xml, 10000);
    form_write(&xml, &table, FORM_ASKS, &room);
    same_built(
        &xml,
        "<x xmlns='jabber:x:data' type='form'>"
        "<title>The &lt;room&gt;</title><instructions>Fill in</instructions>"
        "<field var='FORM_TYPE' type='hidden'><value>room</value></field>"
        "<field var='room#name' type='text-single' label='Name'><value>R&amp;D</value></field>"
        "<field var='room#about' type='text-multi' label='About'><value>one</value><value>two</value></field>"
        "<field type='fixed'><value>Access</value></field>"
        "<field var='room#public' type='boolean' label='Public?'><required/><value>1</value></field>"
        "<field var='room#most' type='list-single' label='Occupants'><desc>How many may be in "
        "&lt;it&gt;</desc>"
        "<value>none</value><option><value>10</value></option>"
        "<option label='No limit'><value>none</value></option></field>"
        "<field var='room#whois' type='list-single'><value>anyone</value>"
        "<option label='Moderators'><value>moderators</value></option>"
        "<option label='All &amp; sundry'><value>anyone</value></option></field>"
        "<field var='room#broadcast' type='list-multi'><value>moderator</value><value>visitor</value>"
        "<option><value>moderator</value></option><option><value>participant</value></option>"
        "<option><value>visitor</value></option></field>"
        "<field var='room#since' type='text-single'><value>1970-01-01T00:00:01.500Z</value></field>"
        "<field var='room#owner' type='jid-single'><value>o@x</value></field>"
        "<field var='room#admins' type='jid-multi'><value>a@x</value><value>b@x</value></field>"
        "<field var='room#tags' type='text-multi'><value>x</value><value>y</value></field>"
        "<field var='room#password' type='text-private'></field></x>");
}

static void a_table_tells(void **state)
{
    (void)state;
    struct room room = { .most = 10, .since_ms = INT64_MIN };
    struct buf xml;
    struct form_table some = table;
    some.count = 5;
    buf_init(&xml, 10000);
    form_write(&xml, &some, FORM_SUBMIT, &room);
    same_built(&xml, "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' "
                     "type='hidden'><value>room</value></field>"
                     "<field var='room#name'></field><field var='room#about'></field>"
                     "<field var='room#public'><value>0</value></field><field "
                     "var='room#most'><value>10</value></field></x>");
    some.rows += 3;
    some.count = 2;
    form_write_reported(&xml, &some);
    form_write_item(&xml, &some, &room);
    same_built(&xml, "<reported><field var='room#public' type='boolean' label='Public?'></field>"
                     "<field var='room#most' type='list-single' label='Occupants'></field></reported>"
                     "<item><field var='room#public'><value>0</value></field>"
                     "<field var='room#most'><value>10</value></field></item>");
}

static struct form written(const struct room *room, enum form_type type)
{
    struct buf xml;
    buf_init(&xml, 10000);
    form_write(&xml, &table, type, room);
    str text = arena_str(&arena, buf_str(&xml));
    buf_fini(&xml);
    return read_form(text.p);
}

static void what_a_table_writes_it_reads(void **state)
{
    (void)state;
    struct room room = a_room(), again = { 0 };
    struct form form = written(&room, FORM_ASKS);
    room.password = STR("");
    assert_true(form_apply(&table, &form, &again));
    assert_null(form_differs(&table, &form, &room));
    assert_true(again.is_public && again.most == UINT64_MAX && again.whois == WHOIS_ANYONE &&
                again.broadcast == 5);
    assert_int_equal(again.since_ms, 1500);
    same_text(again.about, "one\ntwo");
    assert_int_equal(again.admins.count, 2);
    for (size_t i = 0; i < form.count; i++)
        assert_true(form.fields[i].known);
}

static void only_what_is_submitted_changes(void **state)
{
    (void)state;
    struct room room = a_room();
    struct form form = read_form(SUBMIT(FIELD("room#public", V("false")) FIELD("room#most", V("7")) FIELD(
        "new", "") FIELD("room#admins", "") FIELD("room#since", V(""))));
    assert_true(form_apply(&table, &form, &room));
    assert_true(!room.is_public && room.most == 7 && room.admins.count == 0 && room.since_ms == INT64_MIN);
    same_text(room.name, "R&D");
    same_text(room.owner.full, "o@x");
    assert_false(form_find(&form, "new")->known);
}

static void bad_submissions(void **state)
{
    (void)state;
    static const struct {
        const char *fields, *why;
    } cases[] = {
        { FIELD("room#name", V("x")), "room#public is required" },
        { FIELD("room#public", V("2")), "room#public must be true or false" },
        { FIELD("room#public", V("1")) FIELD("room#most", V("101")),
          "room#most must be a number from 1 to 100" },
        { FIELD("room#public", V("1")) FIELD("room#most", V("any")),
          "room#most must be a number from 1 to 100" },
        { FIELD("room#public", V("1")) FIELD("room#whois", V("me")),
          "room#whois must be one of the options" },
        { FIELD("room#public", V("1")) FIELD("room#broadcast", V("visitor") V("x")),
          "room#broadcast must be one of the options" },
        { FIELD("FORM_TYPE", V("other")) FIELD("room#public", V("1")), "FORM_TYPE is that of another form" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct room room = a_room();
        struct form form = read_form(
            arena_printf(&arena, "<x xmlns='jabber:x:data' type='submit'>%s</x>", cases[i].fields).p);
        assert_false(form_apply(&table, &form, &room));
        assert_string_equal(form.why, cases[i].why);
    }
}

static void preconditions(void **state)
{
    (void)state;
    struct room room = a_room();
    struct form form = read_form(SUBMIT(FIELD("room#most", V("none")) FIELD("room#admins", V("b@x") V("A@x"))
                                            FIELD("room#tags", V("y") V("x"))));
    assert_null(form_differs(&table, &form, &room));
    form = read_form(SUBMIT(FIELD("room#most", V("none")) FIELD("room#tags", V("y"))));
    assert_string_equal(form_differs(&table, &form, &room)->name, "room#tags");
    form = read_form(SUBMIT(FIELD("room#most", V("5"))));
    assert_string_equal(form_differs(&table, &form, &room)->name, "room#most");
    form = read_form(SUBMIT(FIELD("room#whois", V("?"))));
    assert_null(form_differs(&table, &form, &room));
    assert_non_null(form.why);
}

static void data_is_written_as_it_is(void **state)
{
    (void)state;
    const char *xml = "<x xmlns='jabber:x:data' type='result'>"
                      "<field var='FORM_TYPE' type='hidden'><value>n</value></field>"
                      "<field var='a'><value>&lt;</value><value></value></field></x>";
    struct form form = read_form(xml);
    struct buf out;
    buf_init(&out, 1000);
    form_write_data(&out, &form);
    same_built(&out, xml);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_submitted_form),
        TEST(what_is_not_there_is_left_alone),
        TEST(bad_values_are_named),
        TEST(empty_values),
        TEST(forms_that_are_none),
        TEST(forms_are_bounded),
        TEST(a_table_asks),
        TEST(a_table_tells),
        TEST(what_a_table_writes_it_reads),
        TEST(only_what_is_submitted_changes),
        TEST(bad_submissions),
        TEST(preconditions),
        TEST(data_is_written_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
