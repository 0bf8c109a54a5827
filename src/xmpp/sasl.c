/* SPDX-License-Identifier: MIT */
/* The words of SASL: names of mechanisms and failures, and the form in which an offer is hashed. */
#include "xmpp/sasl.h"

static const char *const mechanism_names[] = {
#define X(id, name) name,
    SASL_MECHANISMS(X)
#undef X
};

static const char *const failure_names[] = {
#define X(id, name) name,
    SASL_FAILURES(X)
#undef X
};

const char *sasl_mechanism_name(enum sasl_mechanism mechanism)
{
    return mechanism_names[mechanism];
}

int sasl_mechanism_named(str name)
{
    for (int i = 0; i < SASL_MECHANISM_COUNT; i++)
        if (str_eq(name, str_from(mechanism_names[i])))
            return i;
    return -1;
}

const char *sasl_failure_name(enum sasl_failure failure)
{
    return failure_names[failure];
}

str sasl_offer(const str *names, size_t count, struct arena *arena)
{
    str *sorted = arena_alloc(arena, (count + 1) * sizeof *sorted);
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        size_t at = i;
        for (; at > 0 && str_cmp(names[i], sorted[at - 1]) < 0; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = names[i];
        len += names[i].len + 1;
    }
    char *text = arena_alloc(arena, len + 1), *to = text;
    for (size_t i = 0; i < count; i++) {
        if (i)
            *to++ = 0x1E;
        memcpy(to, sorted[i].p, sorted[i].len);
        to += sorted[i].len;
    }
    return str_of(text, (size_t)(to - text));
}
