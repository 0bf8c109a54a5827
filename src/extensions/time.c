/* SPDX-License-Identifier: MIT */
/* XEP-0202 2.0: entity time. The server's zone is UTC. */
#include "server/ext.h"
#include "xmpp/stamp.h"

static void tell_time(struct iq_event *event)
{
    struct arena *arena = &event->shard->arena;
    struct buf xml;
    buf_init(&xml, 256);
    buf_addf(&xml, "<time xmlns='urn:xmpp:time'><tzo>+00:00</tzo><utc>%s</utc></time>",
             stamp_seconds(loop_wall_ms(event->shard->loop), arena));
    ext_result(event, &xml);
    buf_fini(&xml);
}

static const struct ext_iq iqs[] = {
    { TYPE_GET, TO_HOST, "time", "urn:xmpp:time", tell_time },
    { 0 },
};

extern const struct ext ext_time;
static struct ext_slot slot;
const struct ext ext_time = {
    .slot = &slot,
    .name = "time",
    .title = "Entity Time",
    .xep = { 202, "2.0" },
    .features = (const char *const[]){ "urn:xmpp:time", NULL },
    .iqs = iqs,
};
