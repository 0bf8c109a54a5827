/* SPDX-License-Identifier: MIT */
/* An account's avatar as its nodes have it (XEP-0084). */
#ifndef EXTENSIONS_PUBSUB_AVATAR_H
#define EXTENSIONS_PUBSUB_AVATAR_H

#include "extensions/pubsub/pubsub.h"
#include "server/ext_op.h"

#define NS_AVATAR_DATA     "urn:xmpp:avatar:data"
#define NS_AVATAR_METADATA "urn:xmpp:avatar:metadata"

/* The SHA-1 of the image in hexadecimal digits, as long as nothing changes; str_none if there is no avatar,
 * or one that is only elsewhere (at a URL). */
str avatar_hash(const struct pubsub *of);

/* Whether `who` may read both nodes. */
bool avatar_is_for(const struct pubsub *of, const struct jid *who);

/* Reads the image (XEP-0398 §3.1): asks the store for the item of the data node of this hash. */
void avatar_read(const struct pubsub *of, str hash, struct ext_op *op, ext_step *step);

/* What the item says: base64, without white space, of bytes that hash to `hash`; and its type by its first
 * bytes. False if it is not so. Results in the arena. */
bool avatar_take(str payload, str hash, struct arena *arena, str *ret_base64, const char **ret_type);

/* Publishes an image: the data, then the metadata (XEP-0398 §3.2). False: there is no room for it, and
 * nothing was done. */
bool avatar_publish(struct pubsub *of, str bytes, str type, const struct stanza *cause);

/* Says that there is none any more (XEP-0084 §4.4), if there is one. */
void avatar_disable(struct pubsub *of, const struct stanza *cause);

#endif
