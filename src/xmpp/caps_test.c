/* SPDX-License-Identifier: MIT */
/* Capability hashes: the examples of XEP-0115 and XEP-0390, and lists that must not have a hash. */
#include "xmpp/caps.h"

#include "xmpp/test_text.h"

#define QUERY(children) "<query xmlns='" NS_DISCO_INFO "'>" children "</query>"

/* XEP-0115 §5.3 */
static const char psi[] =
    QUERY("<identity xml:lang='en' category='client' name='Psi 0.11' type='pc'/>"
          "<identity xml:lang='el' category='client' name='&#936; 0.11' type='pc'/>"
          "<feature var='http://jabber.org/protocol/caps'/>"
          "<feature var='http://jabber.org/protocol/disco#info'/>"
          "<feature var='http://jabber.org/protocol/disco#items'/>"
          "<feature var='http://jabber.org/protocol/muc'/>"
          "<x xmlns='jabber:x:data' type='result'>"
          "<field var='FORM_TYPE' type='hidden'><value>urn:xmpp:dataforms:softwareinfo</value></field>"
          "<field var='ip_version' type='text-multi'><value>ipv6</value><value>ipv4</value></field>"
          "<field var='os'><value>Mac</value></field>"
          "<field var='software_version'><value>0.11</value></field>"
          "<field var='software'><value>Psi</value></field>"
          "<field var='os_version'><value>10.5.1</value></field>"
          "</x>");

/* XEP-0390 §4.5.1 */
static const char bombus[] = "<query xmlns='http://jabber.org/protocol/disco#info'>"
                             "<identity category='client' name='BombusMod' type='mobile'/>"
                             "<feature var='http://jabber.org/protocol/si'/>"
                             "<feature var='http://jabber.org/protocol/bytestreams'/>"
                             "<feature var='http://jabber.org/protocol/chatstates'/>"
                             "<feature var='http://jabber.org/protocol/disco#info'/>"
                             "<feature var='http://jabber.org/protocol/disco#items'/>"
                             "<feature var='urn:xmpp:ping'/>"
                             "<feature var='jabber:iq:time'/>"
                             "<feature var='jabber:iq:privacy'/>"
                             "<feature var='jabber:iq:version'/>"
                             "<feature var='http://jabber.org/protocol/rosterx'/>"
                             "<feature var='urn:xmpp:time'/>"
                             "<feature var='jabber:x:oob'/>"
                             "<feature var='http://jabber.org/protocol/ibb'/>"
                             "<feature var='http://jabber.org/protocol/si/profile/file-transfer'/>"
                             "<feature var='urn:xmpp:receipts'/>"
                             "<feature var='jabber:iq:roster'/>"
                             "<feature var='jabber:iq:last'/>"
                             "</query>";

/* XEP-0390 §4.5.2 */
static const char tkabber[] =
    "<query xmlns='http://jabber.org/protocol/disco#info'>"
    "<identity category='client' name='Tkabber' type='pc' xml:lang='en'/>"
    "<identity category='client' name='Ткаббер' type='pc' xml:lang='ru'/>"
    "<feature var='games:board'/>"
    "<feature var='http://jabber.org/protocol/activity'/>"
    "<feature var='http://jabber.org/protocol/activity+notify'/>"
    "<feature var='http://jabber.org/protocol/bytestreams'/>"
    "<feature var='http://jabber.org/protocol/chatstates'/>"
    "<feature var='http://jabber.org/protocol/commands'/>"
    "<feature var='http://jabber.org/protocol/disco#info'/>"
    "<feature var='http://jabber.org/protocol/disco#items'/>"
    "<feature var='http://jabber.org/protocol/evil'/>"
    "<feature var='http://jabber.org/protocol/feature-neg'/>"
    "<feature var='http://jabber.org/protocol/geoloc'/>"
    "<feature var='http://jabber.org/protocol/geoloc+notify'/>"
    "<feature var='http://jabber.org/protocol/ibb'/>"
    "<feature var='http://jabber.org/protocol/iqibb'/>"
    "<feature var='http://jabber.org/protocol/mood'/>"
    "<feature var='http://jabber.org/protocol/mood+notify'/>"
    "<feature var='http://jabber.org/protocol/rosterx'/>"
    "<feature var='http://jabber.org/protocol/si'/>"
    "<feature var='http://jabber.org/protocol/si/profile/file-transfer'/>"
    "<feature var='http://jabber.org/protocol/tune'/>"
    "<feature var='http://www.facebook.com/xmpp/messages'/>"
    "<feature var='http://www.xmpp.org/extensions/xep-0084.html#ns-metadata+notify'/>"
    "<feature var='jabber:iq:avatar'/>"
    "<feature var='jabber:iq:browse'/>"
    "<feature var='jabber:iq:dtcp'/>"
    "<feature var='jabber:iq:filexfer'/>"
    "<feature var='jabber:iq:ibb'/>"
    "<feature var='jabber:iq:inband'/>"
    "<feature var='jabber:iq:jidlink'/>"
    "<feature var='jabber:iq:last'/>"
    "<feature var='jabber:iq:oob'/>"
    "<feature var='jabber:iq:privacy'/>"
    "<feature var='jabber:iq:roster'/>"
    "<feature var='jabber:iq:time'/>"
    "<feature var='jabber:iq:version'/>"
    "<feature var='jabber:x:data'/>"
    "<feature var='jabber:x:event'/>"
    "<feature var='jabber:x:oob'/>"
    "<feature var='urn:xmpp:avatar:metadata+notify'/>"
    "<feature var='urn:xmpp:ping'/>"
    "<feature var='urn:xmpp:receipts'/>"
    "<feature var='urn:xmpp:time'/>"
    "<x xmlns='jabber:x:data' type='result'>"
    "<field type='hidden' var='FORM_TYPE'>"
    "<value>urn:xmpp:dataforms:softwareinfo</value>"
    "</field>"
    "<field var='software'>"
    "<value>Tkabber</value>"
    "</field>"
    "<field var='software_version'>"
    "<value>0.11.1-svn-20111216-mod (Tcl/Tk 8.6b2)</value>"
    "</field>"
    "<field var='os'>"
    "<value>Windows</value>"
    "</field>"
    "<field var='os_version'>"
    "<value>XP</value>"
    "</field>"
    "</x>"
    "</query>";

static struct caps_info info_of(const char *xml)
{
    struct xml_node *query = arena_alloc(&arena, sizeof *query);
    struct caps_info info;
    *query = parse(xml);
    assert_int_equal(caps_read(query, str_none, &arena, &info), OK);
    return info;
}

static enum err fault_of(const char *xml)
{
    struct xml_node query = parse(xml);
    struct caps_info info;
    return caps_read(&query, str_none, &arena, &info);
}

static void the_simple_example_of_xep_0115(void **state)
{
    (void)state;
    struct caps_identity exodus = { .category = STR("client"),
                                    .type = STR("pc"),
                                    .name = STR("Exodus 0.9.1") };
    str features[] = { STR("http://jabber.org/protocol/muc"), STR(NS_DISCO_ITEMS), STR(NS_DISCO_INFO),
                       STR(NS_CAPS) };
    struct caps_info info = {
        .identities = &exodus, .identity_count = 1, .features = features, .feature_count = 4
    };
    same_text(caps_ver(&info, DIGEST_SHA1, &arena), "QgayPKawpkPSDYmwT/WM94uAlu0=");
    assert_true(caps_has(&info, STR(NS_CAPS)));
    assert_false(caps_has(&info, STR("urn:xmpp:ping")));
}

static void the_complex_example_of_xep_0115(void **state)
{
    (void)state;
    struct caps_info info = info_of(psi);
    struct buf input;
    buf_init(&input, 10000);
    caps_ver_input(&info, &arena, &input);
    same_built(&input,
               "client/pc/el/\u03a8 0.11<client/pc/en/Psi 0.11<http://jabber.org/protocol/caps<"
               "http://jabber.org/protocol/disco#info<http://jabber.org/protocol/disco#items<"
               "http://jabber.org/protocol/muc<urn:xmpp:dataforms:softwareinfo<ip_version<ipv4<ipv6<os<Mac<"
               "os_version<10.5.1<software<Psi<software_version<0.11<");
    same_text(caps_ver(&info, DIGEST_SHA1, &arena), "q07IKJEyjvHSyhy//CH0CxmKi8w=");
}

static void the_examples_of_xep_0390(void **state)
{
    (void)state;
    struct caps_info info = info_of(bombus);
    same_text(caps_hash(&info, DIGEST_SHA256, &arena), "kzBZbkqJ3ADrj7v08reD1qcWUwNGHaidNUgD7nHpiw8=");
    info = info_of(tkabber);
    same_text(caps_hash(&info, DIGEST_SHA256, &arena), "u79ZroNJbdSWhdSp311mddz44oHHPsEBntQ5b1jqBSY=");
}

static void languages_are_inherited_in_xep_0390(void **state)
{
    (void)state;
    struct xml_node query = parse(QUERY("<identity category='a' type='b'/>"));
    struct caps_info info, plain;
    struct buf input;
    assert_int_equal(caps_read(&query, STR("fr"), &arena, &info), OK);
    assert_int_equal(caps_read(&query, str_none, &arena, &plain), OK);
    buf_init(&input, 1000);
    caps_hash_input(&info, &arena, &input);
    same_built(&input, "\x1c"
                       "a\x1f"
                       "b\x1f"
                       "fr\x1f\x1f\x1e\x1c\x1c");
    str one = caps_ver(&info, DIGEST_SHA1, &arena), other = caps_ver(&plain, DIGEST_SHA1, &arena);
    assert_true(str_eq(one, other));
}

static void what_is_written_has_the_same_hashes(void **state)
{
    (void)state;
    static const char *const examples[] = { psi, bombus, tkabber };
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        struct caps_info info = info_of(examples[i]);
        struct buf xml;
        buf_init(&xml, 10000);
        caps_write(&xml, &info, STR("n#1"));
        str text = arena_str(&arena, buf_str(&xml));
        buf_fini(&xml);
        struct caps_info again = info_of(text.p);
        same_text(caps_ver(&again, DIGEST_SHA1, &arena), caps_ver(&info, DIGEST_SHA1, &arena).p);
        same_text(caps_hash(&again, DIGEST_SHA512, &arena), caps_hash(&info, DIGEST_SHA512, &arena).p);
    }
}

#define IDENTITY "<identity category='client' type='pc' name='x'/>"
#define FORM(type, fields)                                                                                   \
    "<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE'" type "><value>t</value></field>" fields  \
    "</x>"
#define HIDDEN " type='hidden'"

static void ill_formed_lists(void **state)
{
    (void)state;
    assert_int_equal(fault_of(QUERY(IDENTITY IDENTITY)), ERR_SYNTAX);
    assert_int_equal(fault_of(QUERY("<feature var='a'/><feature var='b'/><feature var='a'/>")), ERR_SYNTAX);
    assert_int_equal(fault_of(QUERY("<feature/>")), ERR_SYNTAX);
    assert_int_equal(fault_of(QUERY(FORM(HIDDEN, "") FORM(HIDDEN, ""))), ERR_SYNTAX);
    assert_int_equal(
        fault_of(QUERY("<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'>"
                       "<value>a</value><value>b</value></field></x>")),
        ERR_SYNTAX);
    assert_int_equal(fault_of(QUERY("<identity category='client' type='pc' name='x&lt;feature'/>")),
                     ERR_SYNTAX);
    assert_int_equal(fault_of(QUERY("<feature var='a&lt;b'/>")), ERR_SYNTAX);
    assert_int_equal(fault_of(QUERY(FORM(HIDDEN, "<field var='a'><value>b&lt;c</value></field>"))),
                     ERR_SYNTAX);
}

static void odd_forms_are_passed_over(void **state)
{
    (void)state;
    struct caps_info plain = info_of(QUERY(IDENTITY));
    struct caps_info odd = info_of(QUERY(IDENTITY FORM("", "")));
    same_text(caps_ver(&odd, DIGEST_SHA1, &arena), caps_ver(&plain, DIGEST_SHA1, &arena).p);
    assert_true(plain.is_extended == false && odd.is_extended);
    assert_null(caps_hash(&odd, DIGEST_SHA256, &arena).p);
    struct caps_info foreign = info_of(QUERY(IDENTITY "<other xmlns='n'/>"));
    assert_null(caps_hash(&foreign, DIGEST_SHA256, &arena).p);
    struct caps_info table = info_of(QUERY(FORM(HIDDEN, "<item/>")));
    assert_null(caps_hash(&table, DIGEST_SHA256, &arena).p);
}

static void lists_are_bounded(void **state)
{
    (void)state;
    struct buf xml;
    buf_init(&xml, 100000);
    buf_lit(&xml, "<query xmlns='" NS_DISCO_INFO "'>");
    for (unsigned i = 0; i < CAPS_FEATURES_MAX + 1; i++)
        buf_addf(&xml, "<feature var='f%u'/>", i);
    buf_lit(&xml, "</query>");
    str text = arena_str(&arena, buf_str(&xml));
    buf_fini(&xml);
    assert_int_equal(fault_of(text.p), ERR_LIMIT);
}

static void algorithms_have_names(void **state)
{
    (void)state;
    enum digest digest;
    assert_true(caps_digest(STR("sha-256"), &digest));
    assert_int_equal(digest, DIGEST_SHA256);
    assert_string_equal(caps_algorithm(DIGEST_SHA1), "sha-1");
    assert_false(caps_digest(STR("md5"), &digest));
    assert_false(caps_digest(str_none, &digest));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_simple_example_of_xep_0115),
        TEST(the_complex_example_of_xep_0115),
        TEST(the_examples_of_xep_0390),
        TEST(languages_are_inherited_in_xep_0390),
        TEST(what_is_written_has_the_same_hashes),
        TEST(ill_formed_lists),
        TEST(odd_forms_are_passed_over),
        TEST(lists_are_bounded),
        TEST(algorithms_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
