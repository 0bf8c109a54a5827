/* SPDX-License-Identifier: MIT */
/* Subscribing (XEP-0060 §6.1-§6.4) and what an owner says to it (§8.6). Each JID has one subscription at a
 * node, so there are no subscription ids: one that is given is ignored (§6.2.3.5), and who subscribes again
 * hears how things stand (§6.1.6).
 *
 * Two options can be had: whether to deliver, and when the lease ends (§12.18); a body is not offered, since
 * no payload is understood (§12.7), and no digest. */
#include "extensions/pubsub/pubsub.h"

#include "xml/write.h"

struct sub_options {
    bool deliver;
    int64_t expire_ms;
};

static const struct form_row option_rows[] = {
    { "pubsub#deliver", FIELD_BOOLEAN, "Send notifications", FORM_BOOL(struct sub_options, deliver) },
    { "pubsub#expire", FIELD_TEXT_SINGLE, "When the subscription ends",
      FORM_STAMP(struct sub_options, expire_ms) },
};
static const struct form_table option_table = { NS_SUB_OPTIONS, FORM_ROWS(option_rows) };

static const struct sub_options option_defaults = { true, INT64_MIN };

/* ---- Which JID
 * ------------------------------------------------------------------------------------------------------ */

/* The `jid` that a request is about, which must be of the asker's own account. */
static const struct fault *read_jid(struct pubsub_request *request, const struct fault *not_own,
                                    struct jid *ret)
{
    struct arena *arena = &request->of->shard->arena;
    str text = xml_attr(&request->action, STR("jid"), arena);
    if (!text.len)
        return &fault_jid_required;
    if (jid_parse(text, arena, ret) != OK)
        return &fault_invalid_jid;
    return jid_eq_bare(ret, &request->from) ? NULL : not_own;
}

/* ---- Answers
 * ---------------------------------------------------------------------------------------------------------
 */

static void write_subscription(struct buf *xml, str node, str jid, const char *state)
{
    buf_lit(xml, "<subscription");
    xml_write_attr(xml, "node", node);
    xml_write_attr(xml, "jid", jid);
    buf_addf(xml, " subscription='%s'/>", state);
}

static void answer_state(struct pubsub_request *request, str jid, const char *state,
                         const struct sub_options *options)
{
    struct buf xml;
    buf_init(&xml, 64 * 1024);
    buf_lit(&xml, "<pubsub xmlns='" NS_PUBSUB "'>");
    write_subscription(&xml, request->name, jid, state);
    if (options) {
        buf_lit(&xml, "<options>");
        form_write(&xml, &option_table, FORM_RESULT, options);
        buf_lit(&xml, "</options>");
    }
    buf_lit(&xml, "</pubsub>");
    ext_result(request->event, &xml);
    buf_fini(&xml);
}

/* ---- Changing
 * ------------------------------------------------------------------------------------------------------------
 */

static void store(struct pubsub *of, const struct node *node, str jid, const struct stanza *cause)
{
    node_store_subscription(actor_write(of->actor, cause), actor_bare(of->actor), node, jid,
                            &of->shard->arena);
}

void subscribe_change(struct pubsub *of, struct node *node, str jid, bool subscribed,
                      const struct stanza *cause)
{
    struct arena *arena = &of->shard->arena;
    struct subscriber *subscriber = node_find_subscriber(node, jid);
    struct jid to;
    bool was = subscriber && subscriber->state == SUBSCRIPTION_SUBSCRIBED;
    jid = arena_str(arena, jid);
    if (subscribed)
        node_add_subscriber(node, jid)->state = SUBSCRIPTION_SUBSCRIBED;
    else if (subscriber)
        node_remove_subscriber(node, subscriber);
    store(of, node, jid, cause);
    notify_subscription(of, node, jid, subscribed ? "subscribed" : "none");
    if (subscribed && !was && node->settings.send_last != SEND_LAST_NEVER && jid_parse(jid, arena, &to) == OK)
        notify_last(of, node, &to);
}

static void forget_expired(struct pubsub *of, struct node *node, const struct stanza *cause)
{
    for (uint32_t i = node->subscribers.count; i-- > 0;) {
        struct subscriber *subscriber = node->subscribers.at[i];
        if (subscriber_is_live(of, subscriber))
            continue;
        str jid = arena_str(&of->shard->arena, subscriber_jid(subscriber));
        node_remove_subscriber(node, subscriber);
        store(of, node, jid, cause);
    }
}

/* XEP-0163 §7.1 */
void subscribe_review(struct pubsub *of, struct node *node, const struct stanza *cause)
{
    for (uint32_t i = node->subscribers.count; i-- > 0;) {
        const struct subscriber *subscriber = node->subscribers.at[i];
        struct jid who;
        bool pending;
        str text = arena_str(&of->shard->arena, subscriber_jid(subscriber));
        if (jid_parse(text, &of->shard->arena, &who) == OK && access_subscribe(of, node, &who, &pending))
            subscribe_change(of, node, text, false, cause);
    }
}

void subscribe_affiliated(struct pubsub *of, struct node *node, str bare, const struct stanza *cause)
{
    struct arena *arena = &of->shard->arena;
    enum affiliation affiliation = node_affiliation(node, bare);
    for (uint32_t i = node->subscribers.count; i-- > 0;) {
        const struct subscriber *subscriber = node->subscribers.at[i];
        str jid = arena_str(arena, subscriber_jid(subscriber));
        struct jid who;
        bool pending;
        if (jid_parse(jid, arena, &who) != OK || !str_eq(jid_bare(&who), bare))
            continue;
        if (access_subscribe(of, node, &who, &pending))
            subscribe_change(of, node, jid, false, cause);
        else if (subscriber->state == SUBSCRIPTION_PENDING && affiliation >= AFFILIATION_MEMBER)
            subscribe_change(of, node, jid, true, cause);
    }
}

/* ---- What owners hear
 * -------------------------------------------------------------------------------------------------- */

static void to_owners(struct pubsub *of, const struct node *node, enum stanza_type type, str payload)
{
    struct arena *arena = &of->shard->arena;
    struct jid jid = pubsub_jid(of);
    if (of->user)
        notify_send(of, &jid, type, payload);
    for (uint32_t i = 0; i < node->affiliates.count; i++) {
        const struct affiliate *affiliate = node->affiliates.at[i];
        str text = arena_str(arena, str_of(affiliate->jid, affiliate->jid_len));
        if (affiliate->affiliation == AFFILIATION_OWNER && jid_parse(text, arena, &jid) == OK)
            notify_send(of, &jid, type, payload);
    }
}

void subscribe_ask_owners(struct pubsub *of, const struct node *node, const struct subscriber *subscriber)
{
    struct buf xml;
    buf_init(&xml, 64 * 1024);
    form_open(&xml, FORM_ASKS);
    form_title(&xml, "Subscription request", "Somebody wants to subscribe to a node of yours.");
    form_ns(&xml, NS_SUB_APPROVE);
    form_add(&xml, "pubsub#node", FIELD_TEXT_SINGLE, "Node", node_name(node));
    form_add(&xml, "pubsub#subscriber_jid", FIELD_JID_SINGLE, "Who", subscriber_jid(subscriber));
    form_add(&xml, "pubsub#allow", FIELD_BOOLEAN, "Allow it?", STR("0"));
    form_close(&xml);
    to_owners(of, node, TYPE_NONE, arena_str(&of->shard->arena, buf_str(&xml)));
    buf_fini(&xml);
}

/* pubsub#notify_sub */
static void tell_owners(struct pubsub *of, const struct node *node, str jid, const char *state)
{
    struct buf xml;
    if (!node->settings.notify_sub)
        return;
    buf_init(&xml, 16 * 1024);
    buf_lit(&xml, "<event xmlns='" NS_PUBSUB_EVENT "'>");
    write_subscription(&xml, node_name(node), jid, state);
    buf_lit(&xml, "</event>");
    to_owners(of, node, TYPE_HEADLINE, arena_str(&of->shard->arena, buf_str(&xml)));
    buf_fini(&xml);
}

/* ---- Subscribing (§6.1)
 * ---------------------------------------------------------------------------------------------- */

/* The <options/> behind a <subscribe/> (§6.3.7). */
static const struct fault *read_subscribe_options(struct pubsub_request *request, struct sub_options *options,
                                                  bool *ret_there)
{
    struct arena *arena = &request->of->shard->arena;
    struct xml_node next = request->action;
    struct form form;
    *ret_there = false;
    if (!xml_next(&next))
        return NULL;
    if (!xml_is(&next, STR("options"), STR(NS_PUBSUB)) || xml_attr(&next, STR("node"), arena).p ||
        xml_attr(&next, STR("jid"), arena).p || form_read_child(&next, arena, &form) != OK)
        return &fault_bad_request;
    *ret_there = true;
    return form.type == FORM_SUBMIT && form_apply(&option_table, &form, options) ? NULL
                                                                                 : &fault_invalid_options;
}

static const struct fault *may_subscribe(struct pubsub_request *request, const struct jid *jid,
                                         bool *ret_pending)
{
    const struct node *node = request->node;
    const struct subscriber *old = node_find_subscriber(node, jid->full);
    const struct fault *fault = access_subscribe(request->of, node, &request->from, ret_pending);
    if (fault)
        return fault;
    if (!node->settings.subscribe)
        return &fault_no_subscribe;
    if (old)
        return old->state == SUBSCRIPTION_PENDING && *ret_pending ? &fault_pending : NULL;
    return node->subscribers.count >= request->of->limits->subscriptions ? &fault_too_many_subscriptions
                                                                         : NULL;
}

static void do_subscribe(struct pubsub_request *request, const struct jid *jid, bool pending,
                         const struct sub_options *options, bool has_options)
{
    struct pubsub *of = request->of;
    struct node *node = request->node;
    const struct stanza *iq = request->event->iq;
    bool was = node_find_subscriber(node, jid->full) != NULL;
    struct subscriber *subscriber = node_add_subscriber(node, jid->full);
    bool is_new = !was || (subscriber->state == SUBSCRIPTION_PENDING && !pending);
    if (has_options || is_new) {
        subscriber->deliver = options->deliver;
        subscriber->expire_ms = options->expire_ms;
    }
    if (is_new)
        subscriber->state = pending ? SUBSCRIPTION_PENDING : SUBSCRIPTION_SUBSCRIBED;
    const char *state = subscription_name((enum subscription_state)subscriber->state);
    store(of, node, jid->full, iq);
    answer_state(request, jid->full, state, has_options ? options : NULL);
    if (!is_new)
        return;
    if (pending)
        subscribe_ask_owners(of, node, subscriber);
    else if (node->settings.send_last != SEND_LAST_NEVER)
        notify_last(of, node, jid); /* §6.1.7 */
    tell_owners(of, node, jid->full, state);
}

void subscribe(struct pubsub_request *request)
{
    struct sub_options options = option_defaults;
    bool pending = false, has_options = false;
    struct jid jid;
    forget_expired(request->of, request->node, request->event->iq);
    const struct fault *fault = read_jid(request, &fault_invalid_jid, &jid);
    if (!fault)
        fault = may_subscribe(request, &jid, &pending);
    if (!fault)
        fault = read_subscribe_options(request, &options, &has_options);
    if (fault)
        fault_answer(request->event, fault, str_none, NULL);
    else
        do_subscribe(request, &jid, pending, &options, has_options);
}

/* ---- Unsubscribing (§6.2)
 * -------------------------------------------------------------------------------------------- */

void unsubscribe(struct pubsub_request *request)
{
    struct pubsub *of = request->of;
    struct jid jid;
    const struct fault *fault = read_jid(request, &fault_forbidden, &jid);
    struct subscriber *subscriber = fault ? NULL : node_find_subscriber(request->node, jid.full);
    if (!fault && !subscriber)
        fault = &fault_not_subscriber;
    if (fault) {
        fault_answer(request->event, fault, str_none, NULL);
        return;
    }
    node_remove_subscriber(request->node, subscriber);
    store(of, request->node, jid.full, request->event->iq);
    answer_state(request, jid.full, "none", NULL);
    tell_owners(of, request->node, jid.full, "none");
}

/* ---- Options (§6.3, §6.4)
 * ------------------------------------------------------------------------------------------ */

static const struct fault *find_options(struct pubsub_request *request, struct jid *ret_jid,
                                        struct subscriber **ret)
{
    const struct fault *fault = read_jid(request, &fault_forbidden, ret_jid);
    if (fault)
        return fault;
    *ret = node_find_subscriber(request->node, ret_jid->full);
    return *ret ? NULL : &fault_no_options_of;
}

static void answer_options(struct pubsub_request *request, const char *element, str jid, enum form_type type,
                           const struct sub_options *options)
{
    struct buf xml;
    buf_init(&xml, 64 * 1024);
    buf_addf(&xml, "<pubsub xmlns='" NS_PUBSUB "'><%s", element);
    xml_write_attr(&xml, "node", request->name);
    xml_write_attr(&xml, "jid", jid);
    buf_add_char(&xml, '>');
    form_write(&xml, &option_table, type, options);
    buf_addf(&xml, "</%s></pubsub>", element);
    ext_result(request->event, &xml);
    buf_fini(&xml);
}

void subscribe_get_options(struct pubsub_request *request)
{
    struct jid jid;
    struct subscriber *subscriber = NULL;
    const struct fault *fault = find_options(request, &jid, &subscriber);
    if (fault) {
        fault_answer(request->event, fault, str_none, NULL);
        return;
    }
    struct sub_options options = { subscriber->deliver, subscriber->expire_ms };
    answer_options(request, "options", jid.full, FORM_ASKS, &options);
}

void subscribe_set_options(struct pubsub_request *request)
{
    struct pubsub *of = request->of;
    struct subscriber *subscriber = NULL;
    struct jid jid;
    struct form form;
    const struct fault *fault = find_options(request, &jid, &subscriber);
    if (!fault)
        fault = pubsub_form(&request->action, &of->shard->arena, &form);
    if (fault) {
        fault_answer(request->event, fault, str_none, NULL);
        return;
    }
    struct sub_options options = { subscriber->deliver, subscriber->expire_ms };
    if (form.type == FORM_SUBMIT && !form_apply(&option_table, &form, &options)) {
        fault_answer(request->event, &fault_invalid_options, str_none, form.why);
        return;
    }
    subscriber->deliver = options.deliver;
    subscriber->expire_ms = options.expire_ms;
    store(of, request->node, jid.full, request->event->iq);
    route_result(of->shard, request->event->iq, str_of("", 0));
}

void subscribe_get_default(struct pubsub_request *request)
{
    if (request->name.p && !request->node)
        fault_answer(request->event, &fault_item_not_found, str_none, NULL);
    else
        answer_options(request, "default", str_none, FORM_RESULT, &option_defaults);
}

/* ---- What an owner decides (§8.6)
 * ----------------------------------------------------------------------------------- */

static void decide(struct pubsub *of, struct form *form, const struct stanza *message)
{
    str name;
    bool allow;
    struct jid who;
    if (!form_text(form, "pubsub#node", &name) || !form_bool(form, "pubsub#allow", &allow) ||
        !form_jid(form, "pubsub#subscriber_jid", &who))
        return;
    struct node *node = nodes_find(of->nodes, name);
    if (!node || !access_is_owner(of, node, &message->from))
        return;
    const struct subscriber *subscriber = node_find_subscriber(node, who.full);
    if (subscriber && subscriber->state == SUBSCRIPTION_PENDING)
        subscribe_change(of, node, who.full, allow, message);
}

bool subscribe_decide(struct pubsub *of, const struct stanza *message)
{
    struct form form;
    if (message->type == TYPE_ERROR || form_read_child(&message->node, &of->shard->arena, &form) != OK ||
        !form_is(&form, NS_SUB_APPROVE) || (form.type != FORM_SUBMIT && form.type != FORM_CANCEL))
        return false;
    if (form.type == FORM_SUBMIT)
        decide(of, &form, message);
    return true; /* a cancelled one leaves things as they are */
}
