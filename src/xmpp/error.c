/* SPDX-License-Identifier: MIT */
/* Answers to stanzas: errors and results, with the addresses swapped. */
#include "xmpp/error.h"

#include "xmpp/ns.h"

static const struct {
    const char *name, *type;
} errors[] = { { "undefined-condition", "cancel" },
#define X(id, name, type) { name, type },
               STANZA_ERRORS(X)
#undef X
};

const char *stanza_error_name(enum stanza_error error)
{
    return errors[error].name;
}

bool stanza_may_bounce(const struct stanza *stanza)
{
    return stanza->type != TYPE_ERROR && stanza->type != TYPE_RESULT;
}

static struct stanza reply(const struct stanza *stanza, enum stanza_type type, str payload,
                           struct arena *arena)
{
    struct stanza answer = stanza_make(stanza->kind, type, stanza->id, payload, arena);
    answer.from = stanza->to;
    answer.to = stanza->from;
    return answer;
}

struct stanza stanza_error_reply(const struct stanza *stanza, enum stanza_error error, const char *text,
                                 struct arena *arena)
{
    str words = text ? arena_printf(arena, "<text xmlns='" NS_STANZA_ERRORS "' xml:lang='en'>%s</text>", text)
                     : STR("");
    str payload = arena_printf(arena, "<error type='%s'><%s xmlns='" NS_STANZA_ERRORS "'/>%.*s</error>",
                               errors[error].type, errors[error].name, STR_ARGS(words));
    return reply(stanza, TYPE_ERROR, payload, arena);
}

struct stanza stanza_iq_result(const struct stanza *iq, str payload, struct arena *arena)
{
    return reply(iq, TYPE_RESULT, payload, arena);
}
