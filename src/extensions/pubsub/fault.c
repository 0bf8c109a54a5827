/* SPDX-License-Identifier: MIT */
/* Errors of pubsub, a table; and the stanza made of one. The types are those of XEP-0060's examples: it gives
 * forbidden to be "auth", a policy violation to "wait", and an unexpected request twice differently. A
 * condition that stands in the table is one that some section of the XEP asks for by name. */
#include "extensions/pubsub/fault.h"

#include "xmpp/ns.h"

#define X(name, error, type, condition, feature)                                                             \
    const struct fault fault_##name = { STANZA_ERROR_##error, type, condition, feature };
FAULTS(X)
#undef X

static void write_condition(struct buf *xml, const struct fault *fault)
{
    if (!fault->condition)
        return;
    buf_addf(xml, "<%s xmlns='" NS_PUBSUB_ERRORS "'", fault->condition);
    if (fault->feature)
        buf_addf(xml, " feature='%s'", fault->feature);
    buf_lit(xml, "/>");
}

/* The code that XEP-0086 (deprecated) gives to the condition, for the one place where it is needed: there are
 * clients that publish their first list of keys (XEP-0384) only if this is why there is no list yet. */
static const char *code_of(const struct fault *fault)
{
    return fault->error == STANZA_ERROR_ITEM_NOT_FOUND ? " code='404'" : "";
}

void fault_answer(struct iq_event *event, const struct fault *fault, str before, const char *text)
{
    struct arena *arena = &event->shard->arena;
    struct stanza *answer = ARENA_NEW(arena, struct stanza);
    struct buf xml;
    buf_init(&xml, 1 << 20);
    buf_add(&xml, before);
    buf_addf(&xml, "<error type='%s'%s><%s xmlns='" NS_STANZA_ERRORS "'/>", fault->type, code_of(fault),
             stanza_error_name(fault->error));
    if (text)
        buf_addf(&xml, "<text xmlns='" NS_STANZA_ERRORS "' xml:lang='en'>%s</text>", text);
    write_condition(&xml, fault);
    buf_lit(&xml, "</error>");
    *answer = stanza_error_reply(event->iq, fault->error, NULL, arena);
    answer->node.content = arena_str(arena, buf_str(&xml));
    buf_fini(&xml);
    event->shard->counters.errors_out++;
    route_answer(event->shard, answer);
}
