/* SPDX-License-Identifier: MIT */
/* Which nodes those have who sleep: so that who asks for last items wakes nobody who has none. */
#ifndef EXTENSIONS_PUBSUB_SLEEPERS_H
#define EXTENSIONS_PUBSUB_SLEEPERS_H

#include "server/ext.h"

struct sleeper_note;

/* With each shard; zeroed. */
struct sleepers {
    struct sleeper_note *_notes; /* a table of fixed size; NULL until it is needed */
    unsigned _looking;           /* reads under way */
};
void sleepers_fini(struct sleepers *sleepers);

/* Somebody who sleeps is asked for nodes (the content of `names`: elements with a name each). True: it has
 * none of them, or that is going to be looked up, and the probe comes again if it has. False: wake it. */
bool sleepers_spare(struct shard *shard, const struct jid *who, const struct stanza *probe,
                    const struct xml_node *names);

/* The account gets a node. */
void sleepers_forget(struct shard *shard, str bare);

/* Where the extension keeps it (pep.c). */
struct sleepers *sleepers_of(struct shard *shard);

#endif
