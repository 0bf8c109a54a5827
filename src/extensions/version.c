/* SPDX-License-Identifier: MIT */
/* XEP-0092 1.1: software version of the server. The operating system is nobody's business and is left out, as
 * the XEP allows. */
#include "server/ext.h"

static void version(struct iq_event *event)
{
    struct buf xml;
    buf_init(&xml, 256);
    buf_lit(&xml, "<query xmlns='jabber:iq:version'><name>Jabiru</name><version>" JABIRU_VERSION
                  "</version></query>");
    ext_result(event, &xml);
    buf_fini(&xml);
}

static const struct ext_iq iqs[] = {
    { TYPE_GET, TO_HOST, "query", "jabber:iq:version", version },
    { 0 },
};

extern const struct ext ext_version;
static struct ext_slot slot;
const struct ext ext_version = {
    .slot = &slot,
    .name = "version",
    .title = "Software Version",
    .xep = { 92, "1.1" },
    .features = (const char *const[]){ "jabber:iq:version", NULL },
    .iqs = iqs,
};
