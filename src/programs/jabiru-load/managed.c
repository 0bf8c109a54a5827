/* SPDX-License-Identifier: MIT */
/* The server is asked for an acknowledgement with each stanza, so that little is kept: this is for clients
 * that say something now and then. What comes is acknowledged when the server asks, and before an orderly
 * end. */
#include "programs/jabiru-load/managed.h"

#include <stdio.h>
#include <stdlib.h>

struct managed_stanza {
    struct list link;
    uint32_t tag;
    uint32_t len;
    char bytes[];
};

void managed_init(struct managed *managed)
{
    *managed = (struct managed){ .enabled = false };
    list_init(&managed->unacknowledged);
}

static struct managed_stanza *first(const struct managed *managed)
{
    return CONTAINER_OF(managed->unacknowledged.next, struct managed_stanza, link);
}

static void drop_first(struct managed *managed)
{
    free(CONTAINER_OF(list_shift(&managed->unacknowledged), struct managed_stanza, link));
}

/* The server has handled so many, modulo 2^32 (§4). A count of what was never sent takes nothing away. */
static void acknowledged(struct managed *managed, uint32_t count)
{
    while (managed->dropped != count && !list_empty(&managed->unacknowledged)) {
        drop_first(managed);
        managed->dropped++;
    }
}

static void ask(struct client *client)
{
    client_send(client, STR("<r xmlns='" NS_SM "'/>"));
}

static void send_again(struct managed *managed, struct client *client,
                       void (*resent)(struct managed *, uint32_t tag))
{
    acknowledged(managed, managed->resumption.acknowledged);
    list_each (link, &managed->unacknowledged) {
        struct managed_stanza *stanza = CONTAINER_OF(link, struct managed_stanza, link);
        client_send(client, str_of(stanza->bytes, stanza->len));
        resent(managed, stanza->tag);
    }
    ask(client);
}

void managed_ready(struct managed *managed, struct client *client,
                   void (*resent)(struct managed *, uint32_t tag))
{
    if (managed->resumption.resumed) {
        send_again(managed, client, resent);
        return;
    }
    managed_init(managed);
    client_send(client, STR("<enable xmlns='" NS_SM "' resume='true'/>"));
}

void managed_send(struct managed *managed, struct client *client, str stanza, uint32_t tag)
{
    struct managed_stanza *kept = xmalloc(sizeof *kept + stanza.len);
    kept->tag = tag;
    kept->len = (uint32_t)stanza.len;
    memcpy(kept->bytes, stanza.p, stanza.len);
    list_append(&managed->unacknowledged, &kept->link);
    client_send(client, stanza);
    ask(client);
}

static void enabled(struct managed *managed, const struct xml_node *node)
{
    struct arena arena;
    arena_init(&arena, 64);
    if (!str_copy(xml_attr(node, STR("id"), &arena), managed->resumption.id, sizeof managed->resumption.id))
        *managed->resumption.id = '\0';
    arena_fini(&arena);
    managed->resumption.handled = 0;
    managed->enabled = true;
}

static void answered(struct managed *managed, const struct xml_node *node)
{
    struct arena arena;
    uint64_t count;
    arena_init(&arena, 64);
    if (str_to_u64(xml_attr(node, STR("h"), &arena), UINT32_MAX, &count))
        acknowledged(managed, (uint32_t)count);
    arena_fini(&arena);
}

bool managed_element(struct managed *managed, struct client *client, const struct xml_node *node)
{
    if (!str_is(node->ns, NS_SM)) {
        managed->resumption.handled += managed->enabled;
        return false;
    }
    if (str_is(node->name, "r"))
        managed_acknowledge(managed, client);
    else if (str_is(node->name, "a"))
        answered(managed, node);
    else if (str_is(node->name, "enabled"))
        enabled(managed, node);
    return true;
}

void managed_acknowledge(const struct managed *managed, struct client *client)
{
    char text[64];
    snprintf(text, sizeof text, "<a xmlns='" NS_SM "' h='%u'/>", managed->resumption.handled);
    client_send(client, str_from(text));
}

void managed_drop(struct managed *managed, void (*lost)(struct managed *, uint32_t tag))
{
    while (!list_empty(&managed->unacknowledged)) {
        uint32_t tag = first(managed)->tag;
        drop_first(managed);
        if (lost)
            lost(managed, tag);
    }
    *managed->resumption.id = '\0';
}
