/* SPDX-License-Identifier: MIT */
/* Answers to stanzas: errors and results, with the addresses swapped. */
#include "xmpp/error.h"

#include "base/mem.h"
#include "xml/write.h"
#include "xmpp/ns.h"

enum { TEXT_MAX = 4096 };

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

enum stanza_error stanza_error_read(const struct xml_node *error)
{
    struct xml_node child;
    for (bool more = xml_first(error, &child); more; more = xml_next(&child))
        for (size_t i = 1; i < COUNT_OF(errors); i++)
            if (xml_is(&child, str_from(errors[i].name), STR(NS_STANZA_ERRORS)))
                return (enum stanza_error)i;
    return STANZA_ERROR_UNDEFINED_CONDITION;
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

/* Escaped: some of it may be quoted from the stanza. */
static str words_of(const char *text, struct arena *arena)
{
    struct buf xml;
    buf_init(&xml, TEXT_MAX);
    buf_lit(&xml, "<text xmlns='" NS_STANZA_ERRORS "' xml:lang='en'>");
    xml_write_text(&xml, str_from(text));
    buf_lit(&xml, "</text>");
    str words = buf_failed(&xml) ? STR("") : arena_str(arena, buf_str(&xml));
    buf_fini(&xml);
    return words;
}

/* ` by='...'`, or nothing. */
static str by_attribute(str by, struct arena *arena)
{
    struct buf xml;
    buf_init(&xml, TEXT_MAX);
    xml_write_attr(&xml, "by", by);
    str attribute = xml.len ? arena_str(arena, buf_str(&xml)) : STR("");
    buf_fini(&xml);
    return attribute;
}

struct stanza stanza_error_by(const struct stanza *stanza, enum stanza_error error, const char *type, str by,
                              const char *text, struct arena *arena)
{
    str words = text ? words_of(text, arena) : STR(""), who = by_attribute(by, arena);
    str payload =
        arena_printf(arena, "<error%.*s type='%s'><%s xmlns='" NS_STANZA_ERRORS "'/>%.*s</error>",
                     STR_ARGS(who), type ? type : errors[error].type, errors[error].name, STR_ARGS(words));
    return reply(stanza, TYPE_ERROR, payload, arena);
}

struct stanza stanza_error_reply(const struct stanza *stanza, enum stanza_error error, const char *text,
                                 struct arena *arena)
{
    return stanza_error_by(stanza, error, NULL, str_none, text, arena);
}

void stanza_error_write(struct buf *out, enum stanza_error error)
{
    buf_addf(out, "<error type='%s'><%s xmlns='" NS_STANZA_ERRORS "'/></error>", errors[error].type,
             errors[error].name);
}

struct stanza stanza_iq_result(const struct stanza *iq, str payload, struct arena *arena)
{
    return reply(iq, TYPE_RESULT, payload, arena);
}
