/* SPDX-License-Identifier: MIT */
/* Finding the handler of a request, of an element or of a row in the extensions' tables. The tables are short
 * and requests are few beside messages, so this is a walk; namespaces differ early. */
#include "server/ext.h"

void ext_result(struct iq_event *event, const struct buf *payload)
{
    route_result(event->shard, event->iq, arena_str(&event->shard->arena, buf_str(payload)));
}

void ext_error(struct iq_event *event, enum stanza_error error, const char *text)
{
    route_error(event->shard, event->iq, error, text);
}

bool ext_may_see(const struct iq_event *event)
{
    const struct user *user = event->user;
    struct jid own = user_jid(user);
    if (event->session || jid_eq_bare(&event->iq->from, &own))
        return true;
    const struct roster_item *item = roster_find(&user->roster, jid_bare(&event->iq->from));
    return item && (item->flags & ROSTER_FROM);
}

static const struct ext_iq *find(const struct ext *ext, const struct iq_event *event, enum ext_target target)
{
    for (const struct ext_iq *row = ext->iqs; row && row->name; row++)
        if (row->target == target && row->type == event->iq->type &&
            xml_is(&event->child, str_from(row->name), str_from(row->ns)))
            return row;
    return NULL;
}

void ext_dispatch(struct iq_event *event, enum ext_target target)
{
    const struct ext *const *all = event->shard->server->extensions;
    for (size_t i = 0; all[i]; i++) {
        const struct ext_iq *row = find(all[i], event, target);
        if (row && ext_is_on(event->host, all[i])) {
            row->handle(event);
            return;
        }
    }
    ext_error(event, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
}

static const struct ext_nonza *find_nonza(const struct host *host, const struct xml_node *element)
{
    for (const struct ext *const *ext = host->server->extensions; *ext; ext++)
        for (const struct ext_nonza *row = (*ext)->nonzas; row && row->name; row++)
            if (ext_is_on(host, *ext) && xml_is(element, str_from(row->name), str_from(row->ns)))
                return row;
    return NULL;
}

bool ext_nonza(struct session *session, const struct xml_node *element)
{
    const struct ext_nonza *row = find_nonza(session->user->actor.host, element);
    if (row)
        row->handle(session, element);
    return row != NULL;
}

bool ext_takes(const struct host *host, const struct xml_node *element)
{
    return find_nonza(host, element) != NULL;
}

/* Whether a kind is one of those named with commas between. */
static bool names_kind(const char *kinds, str kind)
{
    str rest = str_from(kinds ? kinds : "");
    while (rest.len) {
        size_t end = str_find(rest, ',');
        if (str_eq(str_sub(rest, 0, end), kind))
            return true;
        rest = str_sub(rest, end < rest.len ? end + 1 : end, rest.len);
    }
    return false;
}

bool ext_load_row(struct user *user, const struct store_row *row)
{
    for (const struct ext *const *ext = user->actor.host->server->extensions; *ext; ext++) {
        if (!names_kind((*ext)->user_rows, row->kind))
            continue;
        (*ext)->load_row(user, row);
        return true;
    }
    return false;
}

void ext_user_reset(struct user *user)
{
    for (const struct ext *const *ext = user->actor.host->server->extensions; *ext; ext++) {
        if ((*ext)->user_reset)
            (*ext)->user_reset(user);
        if ((*ext)->user_size)
            memset(ext_user(user, (*ext)->slot), 0, (*ext)->user_size);
    }
}

bool ext_bind2_read(struct bind2_wait *wait, struct user *user, void (*ready)(struct bind2_wait *wait))
{
    struct host *host = user->actor.host;
    *wait = (struct bind2_wait){ .user = user, ._ready = ready };
    for (const struct ext *const *ext = host->server->extensions; *ext; ext++) {
        if (!(*ext)->bind2_read || !ext_is_on(host, *ext))
            continue;
        wait->_pending++;
        (*ext)->bind2_read(wait);
    }
    return wait->_pending;
}

void bind2_was_read(struct bind2_wait *wait)
{
    if (!--wait->_pending)
        wait->_ready(wait);
}

void ext_bind2(struct session *session, const struct xml_node *bind, struct buf *bound)
{
    struct host *host = session->user->actor.host;
    for (const struct ext *const *ext = host->server->extensions; *ext; ext++) {
        for (const struct ext_bind2 *row = (*ext)->bind2; row && row->handle; row++) {
            struct xml_node child;
            struct bind2_event event = { .session = session, .bound = bound };
            if (!ext_is_on(host, *ext))
                continue;
            if (row->name && xml_child(bind, str_from(row->name), str_from(row->ns), &child))
                event.element = &child;
            if (event.element || !row->name)
                row->handle(&event);
        }
    }
}
