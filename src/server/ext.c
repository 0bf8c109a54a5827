/* SPDX-License-Identifier: MIT */
/* Finding the handler of a request in the extensions' tables. The tables are short and requests are few
 * beside messages, so this is a walk; namespaces differ early. */
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

bool ext_is_on(const struct host *host, const struct ext *ext)
{
    const struct config_list *off = &host->config->extensions_off;
    for (size_t i = 0; i < off->count; i++)
        if (!strcmp(off->items[i], ext->name))
            return false;
    return true;
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
