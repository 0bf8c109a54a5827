/* SPDX-License-Identifier: MIT */
/* Devices of an account's contacts at other servers, and what they want to hear of: known by their presence
 * alone, while the account is awake. */
#ifndef EXTENSIONS_PUBSUB_AUDIENCE_H
#define EXTENSIONS_PUBSUB_AUDIENCE_H

#include "extensions/pubsub/interest.h"
#include "extensions/pubsub/pubsub.h"

struct listener {
    struct interest *interest; /* NULL: not known yet */
    char *full;
};

struct audience {
    struct listener *list;
    uint32_t count;
};

/* Forgets all. */
void audience_fini(struct shard *shard, struct audience *audience);

/* A presence of a contact elsewhere. */
void audience_presence(struct user *user, const struct stanza *presence);

/* Sends an event of a node to the devices of a contact that want it; its last item. */
void audience_send(struct pubsub *of, const struct node *node, const struct jid *contact,
                   const struct stanza *message);
void audience_send_last(struct pubsub *of, const struct node *node, const struct jid *contact);

/* Where the account keeps it (pep.c). */
struct audience *audience_of(struct user *user);

/* Sends a device the last items of all nodes that it may see, wants now, and did not want before. */
void pep_send_all_last(struct user *user, const struct jid *who, const struct interest *before,
                       const struct interest *now);

#endif
