/* SPDX-License-Identifier: MIT */
/* XEP-0441 0.2: what a user wants to be archived: a default, and lists of addresses that override it. One row
 * (kind `archive-prefs`), the <prefs/> as it is told, in memory while the user is awake. An address in both
 * lists is never archived: who wants no trace is hurt more by a mistake. */
#include "extensions/archive/archive.h"

#include "base/log.h"
#include "extensions/archive/mam.h"
#include "xml/write.h"

#include <stdlib.h>

enum { XML_MAX = 1 << 28 /* the number of items is what is limited */ };

static const char *const defaults[] = { "always", "roster", "never" };

/* ---- Asking
 * ------------------------------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool contains(char *const *list, unsigned count, str jid)
{
    unsigned low = 0, high = count;
    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        int order = str_cmp(str_from(list[middle]), jid);
        if (!order)
            return true;
        low = order < 0 ? middle + 1 : low;
        high = order < 0 ? high : middle;
    }
    return false;
}

/* §6.1: a bare JID in the list stands for all of its resources. */
static bool is_listed(char *const *list, unsigned count, const struct jid *peer)
{
    return count && (contains(list, count, peer->full) || contains(list, count, jid_bare(peer)));
}

bool archive_prefs_allow(struct user *user, const struct jid *peer)
{
    const struct archive_prefs *prefs = archive_user(user)->prefs;
    unsigned otherwise = prefs ? prefs->default_ : archive_settings(user->actor.host)->default_;
    if (prefs && is_listed(prefs->never, prefs->never_count, peer))
        return false;
    if (prefs && is_listed(prefs->always, prefs->always_count, peer))
        return true;
    if (otherwise != ARCHIVE_ROSTER)
        return otherwise == ARCHIVE_ALWAYS;
    const struct roster_item *item = roster_find(&user->roster, jid_bare(peer));
    return item && (item->flags & ROSTER_LISTED);
}

/* ---- Reading and writing
 * ------------------------------------------------------------------------------------------ */

void archive_prefs_free(struct archive_prefs *prefs)
{
    if (!prefs)
        return;
    for (unsigned i = 0; i < prefs->always_count; i++)
        free(prefs->always[i]);
    for (unsigned i = 0; i < prefs->never_count; i++)
        free(prefs->never[i]);
    free(prefs->always);
    free(prefs->never);
    free(prefs);
}

/* In order and each once: no duplicate is told back. */
static unsigned tidy(char **list, unsigned count)
{
    unsigned kept = 0;
    if (count)
        qsort(list, count, sizeof *list, compare);
    for (unsigned i = 0; i < count; i++) {
        if (kept && !strcmp(list[i], list[kept - 1]))
            free(list[i]);
        else
            list[kept++] = list[i];
    }
    return kept;
}

/* The <jid/> children of an element; what was read until an error is in the list too. */
static enum stanza_error read_list(const struct xml_node *prefs, const char *name, unsigned most,
                                   struct arena *arena, char ***ret, unsigned *ret_count)
{
    struct xml_node list, child;
    struct jid jid;
    enum stanza_error error = STANZA_ERROR_NONE;
    bool more = xml_child(prefs, str_from(name), STR(NS_MAM), &list) && xml_first(&list, &child);
    for (; more && !error; more = xml_next(&child)) {
        if (!xml_is(&child, STR("jid"), STR(NS_MAM)))
            continue;
        if (*ret_count == most)
            error = STANZA_ERROR_RESOURCE_CONSTRAINT;
        else if (jid_parse(str_trim(xml_text(&child, arena)), arena, &jid) != OK)
            error = STANZA_ERROR_JID_MALFORMED;
        if (error)
            break;
        *ret = xrealloc(*ret, (*ret_count + 1) * sizeof **ret);
        (*ret)[(*ret_count)++] = str_dup(jid.full);
    }
    *ret_count = tidy(*ret, *ret_count);
    return error;
}

static enum stanza_error read_prefs(const struct xml_node *node, unsigned most, struct arena *arena,
                                    struct archive_prefs **ret)
{
    struct archive_prefs *prefs = NEW(struct archive_prefs);
    str word = xml_attr(node, STR("default"), arena);
    enum stanza_error error = STANZA_ERROR_BAD_REQUEST;
    for (unsigned i = 0; i < COUNT_OF(defaults); i++) {
        if (!str_eq(word, str_from(defaults[i])))
            continue;
        prefs->default_ = (enum archive_default)i;
        error = STANZA_ERROR_NONE;
    }
    if (!error)
        error = read_list(node, "always", most, arena, &prefs->always, &prefs->always_count);
    if (!error)
        error = read_list(node, "never", most, arena, &prefs->never, &prefs->never_count);
    if (error)
        archive_prefs_free(prefs);
    else
        *ret = prefs;
    return error;
}

static void write_list(struct buf *xml, const char *name, char *const *list, unsigned count)
{
    buf_addf(xml, "<%s>", name);
    for (unsigned i = 0; i < count; i++)
        xml_write_element(xml, "jid", str_none, str_from(list[i]));
    buf_addf(xml, "</%s>", name);
}

static void write_prefs(struct buf *xml, const struct archive_prefs *prefs)
{
    buf_addf(xml, "<prefs xmlns='" NS_MAM "' default='%s'>", defaults[prefs->default_]);
    write_list(xml, "always", prefs->always, prefs->always_count);
    write_list(xml, "never", prefs->never, prefs->never_count);
    buf_lit(xml, "</prefs>");
}

void archive_prefs_load(struct user *user, const struct store_row *row)
{
    struct archive_user *archive = archive_user(user);
    struct xml_node node;
    if (!xml_parse(row->value, str_none, &node) ||
        read_prefs(&node, UINT32_MAX, &user->actor.shard->arena, &archive->prefs) != STANZA_ERROR_NONE)
        log_error(user, "archive preferences of %s can't be read", user->actor.bare);
}

/* ---- Requests (§2)
 * ------------------------------------------------------------------------------------------------ */

static void tell(struct iq_event *event)
{
    const struct archive_prefs *prefs = archive_user(event->user)->prefs;
    const struct archive_prefs of_host = { .default_ = archive_settings(event->host)->default_ };
    struct buf xml;
    buf_init(&xml, XML_MAX);
    write_prefs(&xml, prefs ? prefs : &of_host);
    ext_result(event, &xml);
    buf_fini(&xml);
}

void archive_prefs_get(struct iq_event *event)
{
    if (event->session)
        tell(event);
    else
        ext_error(event, ext_may_see(event) ? STANZA_ERROR_FORBIDDEN : STANZA_ERROR_SERVICE_UNAVAILABLE,
                  NULL);
}

void archive_prefs_set(struct iq_event *event)
{
    struct user *user = event->user;
    struct archive_user *archive = archive_user(user);
    struct archive_prefs *prefs;
    struct buf row;
    enum stanza_error error = STANZA_ERROR_NONE;
    if (!event->session)
        error = ext_may_see(event) ? STANZA_ERROR_FORBIDDEN : STANZA_ERROR_SERVICE_UNAVAILABLE;
    else if (user->anonymous)
        error = STANZA_ERROR_NOT_ALLOWED;
    if (!error)
        error = read_prefs(&event->child, archive_settings(event->host)->prefs_items, &event->shard->arena,
                           &prefs);
    if (error) {
        ext_error(event, error, NULL);
        return;
    }
    archive_prefs_free(archive->prefs);
    archive->prefs = prefs;
    buf_init(&row, XML_MAX);
    write_prefs(&row, prefs);
    store_put(user_write(user, event->iq), user_bare(user), STR(ARCHIVE_PREFS), STR(""), buf_str(&row));
    buf_fini(&row);
    tell(event);
}
