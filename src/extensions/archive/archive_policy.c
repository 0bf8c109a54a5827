/* SPDX-License-Identifier: MIT */
/* XEP-0313 §9.1.1: what a user's archive keeps. Messages that people wrote (type normal or chat, with a body,
 * encrypted or not), and what changes or answers such a message: receipts, markers, corrections, retractions,
 * reactions; invitations and calls. Not: what is said in rooms (the room has an archive of its own),
 * headlines, errors, events of nodes, chat states alone; and what hints forbid (XEP-0334). Who writes
 * something that we do not know, and wants it kept, says <store/>. */
#include "extensions/archive/archive.h"

#include "xmpp/hint.h"
#include "xmpp/payload.h"

enum {
    WORTH_KEEPING = PAYLOAD_BODY | PAYLOAD_ENCRYPTED | PAYLOAD_RECEIPT | PAYLOAD_MARKER | PAYLOAD_CORRECTION |
                    PAYLOAD_RETRACTION | PAYLOAD_REACTIONS | PAYLOAD_ROOM_INVITE | PAYLOAD_CALL,
};

bool archive_policy(const struct stanza *message)
{
    enum stanza_type type = message->type;
    uint32_t facts = payload_facts(message);
    if (type != TYPE_NONE && type != TYPE_NORMAL && type != TYPE_CHAT && type != TYPE_UNKNOWN)
        return false;
    if ((facts & (PAYLOAD_CARBON | PAYLOAD_ARCHIVED)) || hint_forbids_archive(message))
        return false;
    return (facts & WORTH_KEEPING) || hint_wants_store(message);
}
