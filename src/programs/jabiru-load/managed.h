/* SPDX-License-Identifier: MIT */
/* The client's end of stream management (XEP-0198): stanzas counted both ways, those kept that the server has
 * not acknowledged, and a session that goes on after its connection broke. */
#ifndef JABIRU_LOAD_MANAGED_H
#define JABIRU_LOAD_MANAGED_H

#include "base/list.h"
#include "client/client.h"

enum { MANAGED_UNTAGGED = UINT32_MAX };

struct managed {
    struct client_resumption resumption; /* the client's */
    struct list unacknowledged;          /* struct managed_stanza, as they were sent */
    uint32_t dropped;                    /* how many the server has acknowledged, of this session */
    bool enabled;                        /* the server has answered */
};

void managed_init(struct managed *managed);

/* `ready`: enables it on a new stream, after which everything sent must go through managed_send(); or, when
 * the session was resumed, sends again what the server does not have. `resent` is told of each, by its tag.
 * What an old session had not got acknowledged must have been taken away by managed_drop(). */
void managed_ready(struct managed *managed, struct client *client,
                   void (*resent)(struct managed *, uint32_t tag));

/* Sends one stanza, keeps it, and asks for an acknowledgement. `tag` is the caller's word for it. */
void managed_send(struct managed *managed, struct client *client, str stanza, uint32_t tag);

/* Something came: true if it was about stream management, else it was counted as a stanza. */
bool managed_element(struct managed *managed, struct client *client, const struct xml_node *node);

/* Acknowledges all that came so far. */
void managed_acknowledge(const struct managed *managed, struct client *client);

/* The session is given up: `lost` is told of each stanza of which is not known whether the server has it. May
 * be NULL. */
void managed_drop(struct managed *managed, void (*lost)(struct managed *, uint32_t tag));

#endif
