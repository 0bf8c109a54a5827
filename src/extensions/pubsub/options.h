/* SPDX-License-Identifier: MIT */
/* What an owner can set of a node (XEP-0060 §8.2, the form pubsub#node_config), and the same small, as it is
 * kept in memory. */
#ifndef EXTENSIONS_PUBSUB_OPTIONS_H
#define EXTENSIONS_PUBSUB_OPTIONS_H

#include "extensions/pubsub/fault.h"
#include "xmpp/form_table.h"

#define NS_PUBSUB         "http://jabber.org/protocol/pubsub"
#define NS_NODE_CONFIG    NS_PUBSUB "#node_config"
#define NS_META_DATA      NS_PUBSUB "#meta-data"
#define NS_PUBLISH_OPTION NS_PUBSUB "#publish-options"

enum access { ACCESS_OPEN, ACCESS_PRESENCE, ACCESS_ROSTER, ACCESS_AUTHORIZE, ACCESS_WHITELIST };
enum publish_model { PUBLISH_PUBLISHERS, PUBLISH_SUBSCRIBERS, PUBLISH_OPEN };
enum send_last { SEND_LAST_NEVER, SEND_LAST_ON_SUB, SEND_LAST_ON_PRESENCE };
enum when_full { FULL_RETRACT_OLDEST, FULL_DISCARD_OLDEST, FULL_REJECT };
enum item_reply { REPLY_OWNER, REPLY_PUBLISHER, REPLY_NONE };
enum notification { NOTIFICATION_NORMAL, NOTIFICATION_HEADLINE };

/* As the form has it. Numbers of UINT64_MAX: as much as the server allows ("max"). */
struct options {
    unsigned access, publish_model, send_last, when_full, item_reply, notification, node_type;
    bool persist, notify, payloads, subscribe;
    bool notify_config, notify_delete, notify_retract, notify_sub;
    uint64_t max_items, max_payload, item_expire;
    str title, description, type, language;
    struct form_texts groups;  /* roster groups that the access model "roster" lets in */
    struct form_jids contacts; /* whom to ask */
};

/* The same as it is kept: 24 bytes, and a string where somebody set a text. Numbers of UINT32_MAX: "max". */
struct settings {
    uint32_t max_items, max_payload, item_expire;
    unsigned access : 3, publish_model : 2, send_last : 2, when_full : 2, item_reply : 2, notification : 1;
    unsigned persist : 1, notify : 1, payloads : 1, subscribe : 1;
    unsigned notify_config : 1, notify_delete : 1, notify_retract : 1, notify_sub : 1;
    char *texts; /* the form's text fields as a submitted form; NULL: none is set */
};

void settings_fini(struct settings *settings);

/* From one to the other; what options_of() gives stands in the arena. */
void options_of(const struct settings *settings, struct arena *arena, struct options *ret);
void options_keep(const struct options *options, struct settings *settings);

/* Reads a submitted form of node_config into `options`; fields that are not there stay. Returns what is wrong
 * with it (and `*ret_why` says more, or is NULL), or NULL. `options` is changed in part if it is wrong.
 * `presence`: whether the access models presence and roster can be had. */
const struct fault *options_apply(struct form *form, bool presence, struct options *options,
                                  const char **ret_why);

/* Checks a form of publish-options (§7.1.5) field by field: each must be known, and be as it is in
 * `options`. */
const struct fault *options_check(struct form *form, const struct options *options);

/* The same form for a node that is going to be made: its fields are set. */
const struct fault *options_apply_publish(struct form *form, bool presence, struct options *options,
                                          const char **ret_why);

/* Appends the form. */
void options_write(struct buf *xml, enum form_type type, const struct options *options);

/* Whether who has to say something about a subscription wants the value of this enum, as its word. */
const char *access_name(enum access access);
const char *publish_model_name(enum publish_model model);

#endif
