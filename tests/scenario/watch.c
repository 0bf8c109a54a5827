/* SPDX-License-Identifier: MIT */
/* Looks at what a client sends and gets, beside the script. Requests count if the server itself has to answer
 * them: those to nobody, to a domain or to a bare address (RFC 6120 §8.2.3), not those to another client. The
 * roster is put together from the result and the pushes as a client does it (RFC 6121 §2.1.6). */
#include "watch.h"

#include "base/mem.h"

#include <stdlib.h>

#define NS_OF_ROSTER "jabber:iq:roster"

enum { ITEM_MAX = 1 << 20 };

static void forget_roster(struct watch *watch)
{
    for (size_t i = 0; i < watch->item_count; i++) {
        free(watch->items[i].jid);
        free(watch->items[i].text);
    }
    free(watch->items);
    watch->items = NULL;
    watch->item_count = 0;
}

void watch_fini(struct watch *watch)
{
    for (size_t i = 0; i < watch->request_count; i++)
        free(watch->requests[i].id);
    free(watch->requests);
    forget_roster(watch);
    *watch = (struct watch){ 0 };
}

/* ---- Requests ---- */

static bool has_type(const struct tree *iq, const char *one, const char *other)
{
    const char *type = tree_attr(iq, "type");
    return tree_is(iq, "jabber:client", "iq") && type && (!strcmp(type, one) || !strcmp(type, other));
}

static struct watch_request *request_of(struct watch *watch, const char *id)
{
    for (size_t i = 0; id && i < watch->request_count; i++)
        if (!strcmp(watch->requests[i].id, id))
            return &watch->requests[i];
    return NULL;
}

static void asked(struct watch *watch, const struct tree *iq)
{
    const char *id = tree_attr(iq, "id"), *to = tree_attr(iq, "to");
    struct watch_request *request = request_of(watch, id);
    if (!id || !has_type(iq, "get", "set") || (to && strchr(to, '/')))
        return;
    if (!request) {
        watch->requests = xrealloc(watch->requests, (watch->request_count + 1) * sizeof *watch->requests);
        request = &watch->requests[watch->request_count++];
        *request = (struct watch_request){ .id = str_dup(str_from(id)) };
    }
    request->asked++;
}

void watch_sent(struct watch *watch, str xml)
{
    const char *why;
    struct tree *all = tree_parse(xml, "jabber:client", &why);
    while (all) {
        struct tree *next = all->next;
        if (!why)
            asked(watch, all);
        tree_free(all);
        all = next;
    }
}

const char *watch_unanswered(const struct watch *watch)
{
    for (size_t i = 0; i < watch->request_count; i++)
        if (watch->requests[i].asked != watch->requests[i].answered)
            return watch->requests[i].id;
    return NULL;
}

/* ---- The roster ---- */

static char *item_text(const struct tree *item)
{
    struct buf out;
    buf_init(&out, ITEM_MAX);
    tree_write(&out, item, 0);
    return buf_take(&out);
}

static void set_item(struct watch *watch, const struct tree *item)
{
    const char *jid = tree_attr(item, "jid"), *subscription = tree_attr(item, "subscription");
    size_t at = 0;
    while (at < watch->item_count && strcmp(watch->items[at].jid, jid))
        at++;
    if (at < watch->item_count) {
        free(watch->items[at].jid);
        free(watch->items[at].text);
        watch->items[at] = watch->items[--watch->item_count];
    }
    if (!strcmp(subscription, "remove"))
        return;
    watch->items = xrealloc(watch->items, (watch->item_count + 1) * sizeof *watch->items);
    watch->items[watch->item_count++] = (struct watch_item){ str_dup(str_from(jid)), item_text(item) };
}

static void roster_came(struct watch *watch, const struct tree *iq)
{
    const struct tree *query = iq->first;
    bool whole = !strcmp(tree_attr(iq, "type"), "result");
    if (!query || !tree_is(query, NS_OF_ROSTER, "query") || tree_attr(iq, "from"))
        return;
    if (whole)
        forget_roster(watch);
    watch->knows_roster |= whole;
    for (const struct tree *item = query->first; item && watch->knows_roster; item = item->next)
        set_item(watch, item);
}

bool watch_has_item(const struct watch *watch, str item_xml)
{
    struct buf whole;
    const char *why;
    buf_init(&whole, ITEM_MAX);
    buf_lit(&whole, "<query xmlns='" NS_OF_ROSTER "'>");
    buf_add(&whole, item_xml);
    buf_lit(&whole, "</query>");
    struct tree *query = tree_parse(buf_str(&whole), "jabber:client", &why);
    char *text = query && query->first ? item_text(query->first) : NULL;
    bool found = false;
    for (size_t i = 0; text && i < watch->item_count; i++)
        found |= !strcmp(watch->items[i].text, text);
    free(text);
    tree_free(query);
    buf_fini(&whole);
    return found;
}

void watch_came(struct watch *watch, const struct tree *tree)
{
    if (has_type(tree, "result", "error")) {
        struct watch_request *request = request_of(watch, tree_attr(tree, "id"));
        if (request)
            request->answered++;
    }
    if (has_type(tree, "result", "set"))
        roster_came(watch, tree);
}
