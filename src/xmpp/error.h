/* SPDX-License-Identifier: MIT */
/* Stanza errors (RFC 6120 §8.3). */
#ifndef XMPP_ERROR_H
#define XMPP_ERROR_H

#include "xmpp/stanza.h"

/* The defined conditions with the type that §8.3.3 gives them. */
#define STANZA_ERRORS(X)                                                                                     \
    X(BAD_REQUEST, "bad-request", "modify")                                                                  \
    X(CONFLICT, "conflict", "cancel")                                                                        \
    X(FEATURE_NOT_IMPLEMENTED, "feature-not-implemented", "cancel")                                          \
    X(FORBIDDEN, "forbidden", "auth")                                                                        \
    X(GONE, "gone", "cancel")                                                                                \
    X(INTERNAL_SERVER_ERROR, "internal-server-error", "cancel")                                              \
    X(ITEM_NOT_FOUND, "item-not-found", "cancel")                                                            \
    X(JID_MALFORMED, "jid-malformed", "modify")                                                              \
    X(NOT_ACCEPTABLE, "not-acceptable", "modify")                                                            \
    X(NOT_ALLOWED, "not-allowed", "cancel")                                                                  \
    X(NOT_AUTHORIZED, "not-authorized", "auth")                                                              \
    X(POLICY_VIOLATION, "policy-violation", "modify")                                                        \
    X(RECIPIENT_UNAVAILABLE, "recipient-unavailable", "wait")                                                \
    X(REDIRECT, "redirect", "modify")                                                                        \
    X(REGISTRATION_REQUIRED, "registration-required", "auth")                                                \
    X(REMOTE_SERVER_NOT_FOUND, "remote-server-not-found", "cancel")                                          \
    X(REMOTE_SERVER_TIMEOUT, "remote-server-timeout", "wait")                                                \
    X(RESOURCE_CONSTRAINT, "resource-constraint", "wait")                                                    \
    X(SERVICE_UNAVAILABLE, "service-unavailable", "cancel")                                                  \
    X(SUBSCRIPTION_REQUIRED, "subscription-required", "auth")                                                \
    X(UNDEFINED_CONDITION, "undefined-condition", "cancel")                                                  \
    X(UNEXPECTED_REQUEST, "unexpected-request", "wait")

enum stanza_error {
    STANZA_ERROR_NONE,
#define X(id, name, type) STANZA_ERROR_##id,
    STANZA_ERRORS(X)
#undef X
};

const char *stanza_error_name(enum stanza_error error);

/* The condition of an <error/> element; STANZA_ERROR_UNDEFINED_CONDITION if it is none that we know. */
enum stanza_error stanza_error_read(const struct xml_node *error);

/* The error stanza that answers `stanza`: same kind and id, addresses swapped, an <error/> with the condition
 * and, if not NULL, a text for people. The caller must not answer an error with an error: see
 * stanza_may_bounce(). In the arena. */
struct stanza stanza_error_reply(const struct stanza *stanza, enum stanza_error error, const char *text,
                                 struct arena *arena);

/* Writes an <error/> in the namespace around it. */
void stanza_error_write(struct buf *out, enum stanza_error error);

/* The same, said by somebody (RFC 6120 §8.3.1: the `by` attribute; str_none for none) and of another type
 * than that of the condition (NULL for that one). */
struct stanza stanza_error_by(const struct stanza *stanza, enum stanza_error error, const char *type, str by,
                              const char *text, struct arena *arena);

/* Whether an error may be sent in answer (§8.3.1: never for an error; nor for an iq result). */
bool stanza_may_bounce(const struct stanza *stanza);

/* The <result/> of an iq with this payload. In the arena. */
struct stanza stanza_iq_result(const struct stanza *iq, str payload, struct arena *arena);

#endif
