/* SPDX-License-Identifier: MIT */
/* The descriptors against each other: what is answered is advertised, at what answers it, and what is
 * advertised is there. Exceptions stand here, each with its reason. */
#include "extensions/list.h"

#include "server/ext.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct exception {
    const char *name;
    enum ext_target target;
    const char *why;
};

/* Namespaces of requests that no feature stands for in the tables. */
static const struct exception not_told[] = {
    { "urn:xmpp:extdisco:2", TO_HOST, "told by a hook, only where services are configured" },
    { "jabber:iq:privacy", TO_ACCOUNT, "a view for old clients that do not ask (privacy.c)" },
    { "http://jabber.org/protocol/pubsub#owner", TO_ACCOUNT, "told one by one (PUBSUB_FEATURES)" },
    { NULL, 0, NULL },
};

/* Features that no request or element stands for in the tables. */
static const struct exception not_asked[] = {
    { "http://jabber.org/protocol/caps", TO_HOST, "in the features of streams" },
    { "urn:xmpp:caps", TO_HOST, "the same" },
    { "msgoffline", TO_HOST, "what happens to messages (XEP-0160)" },
    { "urn:xmpp:delegation:2", TO_HOST, "said to components" },
    { "urn:xmpp:sid:0", TO_ACCOUNT, "stamped on messages" },
    { "urn:xmpp:message-retract:1", TO_ACCOUNT, "what happens to messages (XEP-0424)" },
    { "urn:xmpp:carbons:rules:0", TO_HOST, "which messages are copied" },
    { "urn:xmpp:reporting:1", TO_HOST, "within requests to block" },
    { "urn:xmpp:pep-vcard-conversion:0", TO_ACCOUNT, "what happens to avatars" },
    { "urn:xmpp:bookmarks:1#compat", TO_ACCOUNT, "what happens to bookmarks" },
    { "urn:xmpp:bookmarks:1#compat-pep", TO_ACCOUNT, "the same" },
    { "urn:xmpp:bookmarks-conversion:0", TO_ACCOUNT, "the same" },
    { "urn:xmpp:mds:server-assist:0", TO_ACCOUNT, "within messages" },
    { "http://jabber.org/protocol/address", TO_HOST, "within messages" },
    { NULL, 0, NULL },
};

static bool is_exception(const struct exception *list, const char *name, enum ext_target target)
{
    for (; list->name; list++)
        if (!strcmp(list->name, name) && list->target == target)
            return true;
    return false;
}

static const char *const *features_of(const struct ext *ext, enum ext_target target)
{
    return target == TO_HOST ? ext->features : ext->account_features;
}

static const char *target_name(enum ext_target target)
{
    return target == TO_HOST ? "hosts" : "accounts";
}

/* A feature is a namespace, or one with something behind a '#'. */
static bool is_about(const char *feature, const char *ns)
{
    size_t length = strlen(ns);
    return !strncmp(feature, ns, length) && (!feature[length] || feature[length] == '#');
}

static bool is_told_at(const char *ns, enum ext_target target)
{
    for (const struct ext *const *ext = extension_list; *ext; ext++)
        for (const char *const *at = features_of(*ext, target); at && *at; at++)
            if (is_about(*at, ns))
                return true;
    return false;
}

/* What accounts can do is often told by their server. */
static bool is_told(const char *ns, enum ext_target target)
{
    return is_told_at(ns, target) || (target == TO_ACCOUNT && is_told_at(ns, TO_HOST));
}

static void what_is_answered_is_told(void **state)
{
    unsigned wrong = 0;
    (void)state;
    for (const struct ext *const *ext = extension_list; *ext; ext++)
        for (const struct ext_iq *row = (*ext)->iqs; row && row->name; row++) {
            if (is_told(row->ns, row->target) || is_exception(not_told, row->ns, row->target))
                continue;
            wrong++;
            print_error("%s answers %s at %s, and tells nobody\n", (*ext)->name, row->ns,
                        target_name(row->target));
        }
    assert_int_equal(wrong, 0);
}

static bool is_answered(const char *feature, enum ext_target target)
{
    for (const struct ext *const *ext = extension_list; *ext; ext++) {
        for (const struct ext_iq *row = (*ext)->iqs; row && row->name; row++)
            if ((row->target == target || target == TO_HOST) && is_about(feature, row->ns))
                return true;
        for (const struct ext_nonza *row = (*ext)->nonzas; row && row->name; row++)
            if (is_about(feature, row->ns))
                return true;
    }
    return false;
}

static unsigned count_unanswered(const struct ext *ext, enum ext_target target)
{
    unsigned wrong = 0;
    for (const char *const *at = features_of(ext, target); at && *at; at++) {
        if (is_answered(*at, target) || is_exception(not_asked, *at, target))
            continue;
        wrong++;
        print_error("%s tells of %s at %s, and nothing answers that\n", ext->name, *at, target_name(target));
    }
    return wrong;
}

static void what_is_told_is_answered(void **state)
{
    unsigned wrong = 0;
    (void)state;
    for (const struct ext *const *ext = extension_list; *ext; ext++)
        wrong += count_unanswered(*ext, TO_HOST) + count_unanswered(*ext, TO_ACCOUNT);
    assert_int_equal(wrong, 0);
}

static unsigned count_told(const char *feature, enum ext_target target)
{
    unsigned count = 0;
    for (const struct ext *const *ext = extension_list; *ext; ext++)
        for (const char *const *at = features_of(*ext, target); at && *at; at++)
            count += !strcmp(*at, feature);
    return count;
}

static void nothing_is_told_twice(void **state)
{
    (void)state;
    for (enum ext_target target = TO_HOST; target <= TO_ACCOUNT; target++)
        for (const struct ext *const *ext = extension_list; *ext; ext++)
            for (const char *const *at = features_of(*ext, target); at && *at; at++)
                if (count_told(*at, target) != 1)
                    fail_msg("%s tells of %s at %s, and another one does", (*ext)->name, *at,
                             target_name(target));
}

static void each_says_what_it_is(void **state)
{
    (void)state;
    for (const struct ext *const *ext = extension_list; *ext; ext++) {
        const char *name = (*ext)->name;
        if (!name || !*name || !(*ext)->title || !*(*ext)->title || !(*ext)->slot)
            fail_msg("%s lacks a name, a title or a slot", name ? name : "an extension");
        if (!(*ext)->xep.number || !(*ext)->xep.version)
            fail_msg("%s names no XEP with a version", name);
        if ((*ext)->config && strcmp((*ext)->config->name, name) != 0)
            fail_msg("%s calls its section of the configuration %s", name, (*ext)->config->name);
        for (const struct ext *const *other = ext + 1; *other; other++)
            if (!strcmp((*other)->name, name))
                fail_msg("two extensions are called %s", name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_answered_is_told),
        cmocka_unit_test(what_is_told_is_answered),
        cmocka_unit_test(nothing_is_told_twice),
        cmocka_unit_test(each_says_what_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
