/* SPDX-License-Identifier: MIT */
/* The engine of XEP-0060, the same for an account's nodes (XEP-0163) and for a service of its own. */
#ifndef EXTENSIONS_PUBSUB_PUBSUB_H
#define EXTENSIONS_PUBSUB_PUBSUB_H

#include "extensions/pubsub/node.h"
#include "extensions/pubsub/write_payload.h"

#define NS_PUBSUB_OWNER NS_PUBSUB "#owner"
#define NS_PUBSUB_EVENT NS_PUBSUB "#event"
#define NS_SUB_OPTIONS  NS_PUBSUB "#subscribe_options"
#define NS_SUB_APPROVE  NS_PUBSUB "#subscribe_authorization"

enum {
    PUBSUB_NAME_MAX = 1023, /* bytes of a node's or an item's name */
};

/* Limits, from the configuration. */
struct pubsub_limits {
    uint32_t nodes, items, item_bytes, subscriptions, affiliations, result_bytes;
};

/* Whose nodes: an account or a service, while one event lasts. */
struct pubsub {
    struct shard *shard;
    struct host *host;
    struct actor *actor;
    struct user *user; /* the account; NULL: a service */
    struct nodes *nodes;
    const struct pubsub_limits *limits;
    const struct options *defaults;                                     /* of new nodes */
    bool (*may_create)(const struct pubsub *of, const struct jid *who); /* of a service */
};

/* A request at hand. */
struct pubsub_request {
    struct pubsub *of;
    struct iq_event *event;
    struct jid from;        /* who asks, full */
    struct xml_node action; /* the child of <pubsub/> that says what to do */
    str name;               /* its `node`, str_none if it has none */
    struct node *node;      /* the node of that name, or NULL */
};

/* Answers a request with a <pubsub/> of either namespace. */
void pubsub_handle(struct pubsub *of, struct iq_event *event);

/* The address of the owner of all, bare; in the arena. */
struct jid pubsub_jid(const struct pubsub *of);
int64_t pubsub_now_ms(const struct pubsub *of);

/* An event of a handler again after a wait (of an account or a service); false if it is gone. */
bool pubsub_of(struct iq_event *event, struct pubsub *ret);

/* The data form among the children of `element`; fault if it is there and cannot be read, or not there. */
const struct fault *pubsub_form(const struct xml_node *element, struct arena *arena, struct form *ret);

/* ---- access.c: who may do what (§4.1, §4.5) ---- */

enum affiliation access_affiliation(const struct pubsub *of, const struct node *node, const struct jid *who);
bool access_is_owner(const struct pubsub *of, const struct node *node, const struct jid *who);
/* Any live subscription of this bare JID. */
bool access_is_subscribed(const struct pubsub *of, const struct node *node, const struct jid *who);
bool subscriber_is_live(const struct pubsub *of, const struct subscriber *subscriber);
/* NULL: yes. `*ret_pending`: only when an owner approves. */
const struct fault *access_subscribe(const struct pubsub *of, const struct node *node, const struct jid *who,
                                     bool *ret_pending);
const struct fault *access_retrieve(const struct pubsub *of, const struct node *node, const struct jid *who);
bool access_publish(const struct pubsub *of, const struct node *node, const struct jid *who);

/* ---- publish.c (§7) ---- */

void publish_item(struct pubsub_request *request);
void retract_item(struct pubsub_request *request);
/* Makes a node; the caller has looked whether it may be, and stores what `cause` asked for with it. */
struct node *publish_make_node(struct pubsub *of, str name, const struct options *options,
                               const struct jid *creator, const struct stanza *cause);
/* Puts an item (with a payload that stands alone, or "") on a node and tells who is to know. */
void publish_put(struct pubsub *of, struct node *node, str id, const struct jid *publisher, str payload,
                 const struct stanza *cause);
/* Takes one away; `tell`: subscribers are told. */
void publish_remove(struct pubsub *of, struct node *node, uint32_t index, bool tell,
                    const struct stanza *cause);
bool item_is_live(const struct pubsub *of, const struct node *node, const struct item *item);

/* ---- retrieve.c (§6.5) ---- */

void retrieve_items(struct pubsub_request *request);

/* ---- describe.c (§5) ---- */

void describe_subscriptions(struct pubsub_request *request);
void describe_affiliations(struct pubsub_request *request);
/* For disco: false if the node is not there, or not for who asks. */
bool describe_info(struct pubsub *of, str name, const struct jid *who, struct buf *xml);
bool describe_items(struct pubsub *of, str name, const struct jid *who, struct buf *xml);
/* Features of both kinds of services (§10). */
#define PUBSUB_FEATURES                                                                                      \
    NS_PUBSUB, NS_PUBSUB "#config-node", NS_PUBSUB "#create-and-configure", NS_PUBSUB "#create-nodes",       \
        NS_PUBSUB "#delete-items", NS_PUBSUB "#delete-nodes", NS_PUBSUB "#instant-nodes",                    \
        NS_PUBSUB "#item-ids", NS_PUBSUB "#leased-subscription", NS_PUBSUB "#manage-subscriptions",          \
        NS_PUBSUB "#member-affiliation", NS_PUBSUB "#meta-data", NS_PUBSUB "#modify-affiliations",           \
        NS_PUBSUB "#multi-items", NS_PUBSUB "#outcast-affiliation", NS_PUBSUB "#persistent-items",           \
        NS_PUBSUB "#publish", NS_PUBSUB "#publish-node-full", NS_PUBSUB "#publish-only-affiliation",         \
        NS_PUBSUB "#publish-options", NS_PUBSUB "#publisher-affiliation", NS_PUBSUB "#purge-nodes",          \
        NS_PUBSUB "#retract-items", NS_PUBSUB "#retrieve-affiliations", NS_PUBSUB "#retrieve-default",       \
        NS_PUBSUB "#retrieve-default-sub", NS_PUBSUB "#retrieve-items", NS_PUBSUB "#retrieve-subscriptions", \
        NS_PUBSUB "#rsm", NS_PUBSUB "#subscribe", NS_PUBSUB "#subscription-notifications",                   \
        NS_PUBSUB "#subscription-options"
extern const char *const pubsub_features[];

/* ---- subscribe.c (§6.1-§6.4) ---- */

void subscribe(struct pubsub_request *request);
void unsubscribe(struct pubsub_request *request);
void subscribe_get_options(struct pubsub_request *request);
void subscribe_set_options(struct pubsub_request *request);
void subscribe_get_default(struct pubsub_request *request);
/* A form that an owner sends back (§8.6); false if it is none. */
bool subscribe_decide(struct pubsub *of, const struct stanza *message);
/* Who has lost access goes. */
void subscribe_review(struct pubsub *of, struct node *node, const struct stanza *cause);
/* Subscriptions of who is turned away by its affiliation, or let in. */
void subscribe_affiliated(struct pubsub *of, struct node *node, str bare, const struct stanza *cause);
void subscribe_change(struct pubsub *of, struct node *node, str jid, bool subscribed,
                      const struct stanza *cause);
/* Sends the owners a form for each pending subscription. */
void subscribe_ask_owners(struct pubsub *of, const struct node *node, const struct subscriber *subscriber);

/* ---- owner.c, owner_lists.c (§8) ---- */

void owner_create(struct pubsub_request *request);
void owner_get_config(struct pubsub_request *request);
void owner_set_config(struct pubsub_request *request);
void owner_get_default(struct pubsub_request *request);
void owner_delete(struct pubsub_request *request);
void owner_purge(struct pubsub_request *request);
void owner_get_subscriptions(struct pubsub_request *request);
void owner_set_subscriptions(struct pubsub_request *request);
void owner_get_affiliations(struct pubsub_request *request);
void owner_set_affiliations(struct pubsub_request *request);
/* The common beginning: a node that is there and whom the asker owns; answers if not. */
bool owner_allowed(struct pubsub_request *request);

/* ---- notify.c (§12.2-§12.4, XEP-0163 §4) ---- */

/* Tells all who get the node's events. `event`: what stands in the <event/>. */
void notify_all(struct pubsub *of, const struct node *node, str event);
/* The same to subscribers alone, also to those who are pending (§8.4.2). */
void notify_deleted(struct pubsub *of, const struct node *node, str event);
/* Sends the last item, if there is one, with the time of its publication. */
void notify_last(struct pubsub *of, const struct node *node, const struct jid *to);
/* Sends it to all of a local account's sessions that ask for it. */
void notify_last_to_contact(struct pubsub *of, const struct node *node, const struct jid *contact);
/* Tells of a subscription's state (§12.13); to whoever it concerns. */
void notify_subscription(struct pubsub *of, const struct node *node, str jid, const char *state);
/* A message in the owner's name. */
void notify_send(struct pubsub *of, const struct jid *to, enum stanza_type type, str payload);

/* ---- pep.c ---- */

/* Whether a contact of the account is who gets events by its presence. */
bool pep_is_audience(const struct pubsub *of, const struct node *node, const struct jid *contact);
struct pubsub pep_of(struct user *user);
/* Whether accounts of the host have nodes. */
bool pep_is_on(const struct host *host);

/* ---- own.c: what the server itself publishes in an account's name ---- */

enum own_kind {
    OWN_OPEN,    /* one item, for everybody */
    OWN_CURRENT, /* one item, for the account alone (XEP-0223) */
    OWN_LIST,    /* as many as there may be, for the account alone; nobody is sent the last one */
};
/* Whether own_publish() would find room for a payload of this size. */
bool own_has_room(const struct pubsub *of, str name, size_t size);
/* Publishes an item; a node that is not there is made. False: there is no room, and nothing was done. */
bool own_publish(struct pubsub *of, str name, enum own_kind kind, str id, str payload,
                 const struct stanza *cause);
/* Configures a node, if it is there, so that it keeps what such data needs and lets nobody in but the
 * account, whatever its owner had configured. Not for OWN_OPEN. */
void own_make_fit(struct pubsub *of, str name, enum own_kind kind, const struct stanza *cause);

/* What a new node of an account is like; `node`: its name. */
struct options pep_defaults(str node);
static inline struct options pubsub_defaults(const struct pubsub *of, str node)
{
    return of->user ? pep_defaults(node) : *of->defaults;
}
/* Something changed at one of the account's nodes, by whomever: what is kept in step with it follows. */
void pep_published(struct pubsub *of, struct node *node, const struct item *item, str payload,
                   const struct stanza *cause);
void pep_retracted(struct pubsub *of, struct node *node, str id, const struct stanza *cause);

/* ---- service.c ---- */

bool service_of(struct iq_event *event, struct pubsub *ret);

#endif
