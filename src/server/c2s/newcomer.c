/* SPDX-License-Identifier: MIT */
/* See newcomer.h. It is counted, since a request may outlive the stream that it came on. */
#include "server/c2s/newcomer.h"

#include "server/link.h"

#include <arpa/inet.h>
#include <stdlib.h>

struct newcomer *newcomer_new(struct link *link, struct host *host)
{
    struct newcomer *newcomer = NEW(struct newcomer);
    newcomer->link = link;
    newcomer->shard = link->shard;
    newcomer->host = host;
    newcomer->_refs = 1;
    return newcomer;
}

static void let_go(struct newcomer *newcomer)
{
    if (--newcomer->_refs)
        return;
    if (newcomer->token)
        mem_wipe(newcomer->token, strlen(newcomer->token));
    free(newcomer->token);
    free(newcomer);
}

void newcomer_leave(struct newcomer *newcomer)
{
    if (!newcomer)
        return;
    newcomer->link = NULL;
    let_go(newcomer);
}

/* The stream has no JID for it yet: answers carry no `to` (RFC 6120 §8.1.1.1). */
static void answer(struct newcomer *newcomer, struct stanza *made)
{
    struct jid nobody = { .full = str_none };
    if (!newcomer->link)
        return;
    made->to = nobody;
    made->from = (struct jid){ str_from(newcomer->host->name), 0, (uint16_t)strlen(newcomer->host->name) };
    newcomer->link->ops->send(newcomer->link, made, NULL);
}

void newcomer_result(struct newcomer *newcomer, const struct stanza *iq, str payload)
{
    struct stanza made = stanza_iq_result(iq, payload, &newcomer->shard->arena);
    answer(newcomer, &made);
}

void newcomer_error(struct newcomer *newcomer, const struct stanza *iq, enum stanza_error error,
                    const char *text)
{
    struct stanza made = stanza_error_reply(iq, error, text, &newcomer->shard->arena);
    newcomer->shard->counters.errors_out++;
    answer(newcomer, &made);
}

void newcomer_wait(struct newcomer *newcomer)
{
    newcomer->waiting = true;
    newcomer->_refs++;
}

void newcomer_go_on(struct newcomer *newcomer)
{
    newcomer->waiting = false;
    if (newcomer->link)
        newcomer->link->ops->resume(newcomer->link);
    let_go(newcomer);
}

str newcomer_network(const char *address, struct arena *arena)
{
    struct in6_addr six;
    str text = str_from(address);
    text = str_sub(text, 0, str_find_last(text, ':'));
    if (!text.len || text.p[0] != '[')
        return arena_str(arena, text);
    text = arena_str(arena, str_sub(text, 1, text.len - 1));
    if (inet_pton(AF_INET6, text.p, &six) != 1)
        return text;
    if (IN6_IS_ADDR_V4MAPPED(&six))
        return str_sub(text, str_find_last(text, ':') + 1, text.len);
    for (size_t i = 8; i < sizeof six.s6_addr; i++)
        six.s6_addr[i] = 0;
    char network[INET6_ADDRSTRLEN] = "";
    inet_ntop(AF_INET6, &six, network, sizeof network);
    return arena_printf(arena, "%s", network);
}
