/* SPDX-License-Identifier: MIT */
/* XEP-0334 1.0.0: the rules about the four hints. Where the elements are found, see payload.c. A message that
 * says both `store` and `no-store` is not stored: who wants no trace is hurt more by a mistake. */
#include "xmpp/hint.h"

static bool has(const struct stanza *message, uint32_t facts)
{
    return message->type != TYPE_ERROR && (payload_facts(message) & facts) != 0;
}

bool hint_forbids_store(const struct stanza *message)
{
    return has(message, PAYLOAD_NO_STORE);
}

bool hint_forbids_archive(const struct stanza *message)
{
    return has(message, PAYLOAD_NO_STORE | PAYLOAD_NO_PERMANENT_STORE);
}

bool hint_forbids_copy(const struct stanza *message)
{
    return !jid_is_bare(&message->to) && has(message, PAYLOAD_NO_COPY);
}

bool hint_wants_store(const struct stanza *message)
{
    return has(message, PAYLOAD_STORE) && !hint_forbids_store(message);
}
