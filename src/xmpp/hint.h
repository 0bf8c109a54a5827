/* SPDX-License-Identifier: MIT */
/* Message processing hints (XEP-0334): what the sender would like to be done with a message, and when that
 * is heard. Hints in an error are those of the message that it answers, and mean nothing (§5). */
#ifndef XMPP_HINT_H
#define XMPP_HINT_H

#include "xmpp/payload.h"

/* It shall not be kept at all, not even for a client that is offline (§4.2). */
bool hint_forbids_store(const struct stanza *message);

/* It shall not be kept for good, as in an archive (§4.1, §4.2); the offline store is another matter. */
bool hint_forbids_archive(const struct stanza *message);

/* No copies to others than whom it is addressed to (§4.3). Heard only for a full JID: copies to the devices
 * behind a bare JID, and to the occupants of a room, are delivery. */
bool hint_forbids_copy(const struct stanza *message);

/* It shall be kept though it does not look worth it (§4.4), and nothing in it says the contrary. */
bool hint_wants_store(const struct stanza *message);

#endif
