/* SPDX-License-Identifier: MIT */
/* XEP-0199 2.0.1: XMPP ping. The server answers for itself (§4.1, §4.2 of the XEP) and for accounts; it sends
 * pings of its own only where it must know that a client has read what was sent (see the offline store). */
#include "server/ext.h"

static void ping(struct iq_event *event)
{
    struct buf nothing = { 0 };
    ext_result(event, &nothing);
}

static const struct ext_iq iqs[] = {
    { TYPE_GET, TO_HOST, "ping", "urn:xmpp:ping", ping },
    { TYPE_GET, TO_ACCOUNT, "ping", "urn:xmpp:ping", ping },
    { 0 },
};

extern const struct ext ext_ping;
static struct ext_slot slot;
const struct ext ext_ping = {
    .slot = &slot,
    .name = "ping",
    .title = "XMPP Ping",
    .xep = { 199, "2.0.1" },
    .features = (const char *const[]){ "urn:xmpp:ping", NULL },
    .account_features = (const char *const[]){ "urn:xmpp:ping", NULL },
    .iqs = iqs,
};
