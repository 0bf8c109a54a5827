/* SPDX-License-Identifier: MIT */
/* What can be wrong with a request, as XEP-0060 says it: a stanza error with its type, and the condition in
 * pubsub's own namespace that goes with it. */
#ifndef EXTENSIONS_PUBSUB_FAULT_H
#define EXTENSIONS_PUBSUB_FAULT_H

#include "server/ext.h"

#define NS_PUBSUB_ERRORS "http://jabber.org/protocol/pubsub#errors"

struct fault {
    enum stanza_error error;
    const char *type;      /* as the XEP has it, which is not always that of RFC 6120 */
    const char *condition; /* of pubsub#errors, or NULL */
    const char *feature;   /* of <unsupported/>, or NULL */
};

#define FAULTS(X)                                                                                            \
    X(bad_request, BAD_REQUEST, "modify", NULL, NULL)                                                        \
    X(nodeid_required, BAD_REQUEST, "modify", "nodeid-required", NULL)                                       \
    X(jid_required, BAD_REQUEST, "modify", "jid-required", NULL)                                             \
    X(invalid_jid, BAD_REQUEST, "modify", "invalid-jid", NULL)                                               \
    X(invalid_options, BAD_REQUEST, "modify", "invalid-options", NULL)                                       \
    X(invalid_payload, BAD_REQUEST, "modify", "invalid-payload", NULL)                                       \
    X(item_required, BAD_REQUEST, "modify", "item-required", NULL)                                           \
    X(item_forbidden, BAD_REQUEST, "modify", "item-forbidden", NULL)                                         \
    X(payload_required, BAD_REQUEST, "modify", "payload-required", NULL)                                     \
    X(payload_too_big, NOT_ACCEPTABLE, "modify", "payload-too-big", NULL)                                    \
    X(not_acceptable, NOT_ACCEPTABLE, "modify", NULL, NULL)                                                  \
    X(unsupported_access_model, NOT_ACCEPTABLE, "modify", "unsupported-access-model", NULL)                  \
    X(item_not_found, ITEM_NOT_FOUND, "cancel", NULL, NULL)                                                  \
    X(forbidden, FORBIDDEN, "auth", NULL, NULL)                                                              \
    X(conflict, CONFLICT, "cancel", NULL, NULL)                                                              \
    X(node_full, CONFLICT, "cancel", "node-full", NULL)                                                      \
    X(max_nodes, CONFLICT, "cancel", "max-nodes-exceeded", NULL)                                             \
    X(precondition, CONFLICT, "cancel", "precondition-not-met", NULL)                                        \
    X(closed_node, NOT_ALLOWED, "cancel", "closed-node", NULL)                                               \
    X(not_allowed, NOT_ALLOWED, "cancel", NULL, NULL)                                                        \
    X(presence_required, NOT_AUTHORIZED, "auth", "presence-subscription-required", NULL)                     \
    X(not_in_group, NOT_AUTHORIZED, "auth", "not-in-roster-group", NULL)                                     \
    X(pending, NOT_AUTHORIZED, "auth", "pending-subscription", NULL)                                         \
    X(may_not_retrieve, NOT_AUTHORIZED, "auth", "not-subscribed", NULL)                                      \
    X(not_subscriber, UNEXPECTED_REQUEST, "cancel", "not-subscribed", NULL)                                  \
    X(no_options_of, UNEXPECTED_REQUEST, "modify", "not-subscribed", NULL)                                   \
    X(too_many_subscriptions, POLICY_VIOLATION, "wait", "too-many-subscriptions", NULL)                      \
    X(no_persistence, FEATURE_NOT_IMPLEMENTED, "cancel", "unsupported", "persistent-items")                  \
    X(no_subscribe, FEATURE_NOT_IMPLEMENTED, "cancel", "unsupported", "subscribe")                           \
    X(no_collections, FEATURE_NOT_IMPLEMENTED, "cancel", "unsupported", "collections")                       \
    X(unknown_action, FEATURE_NOT_IMPLEMENTED, "cancel", NULL, NULL)                                         \
    X(no_account, SERVICE_UNAVAILABLE, "cancel", NULL, NULL)

#define X(name, error, type, condition, feature) extern const struct fault fault_##name;
FAULTS(X)
#undef X

/* Answers the request with it. `before`: XML that stands before the <error/>, or str_none. `text`: words for
 * people, the program's own, or NULL. */
void fault_answer(struct iq_event *event, const struct fault *fault, str before, const char *text);

#endif
