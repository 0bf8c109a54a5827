/* SPDX-License-Identifier: MIT */
/* Node configuration as two tables: the settings that are kept in bits, and the texts that few nodes have.
 * Both are one form outside (XEP-0060 §8.2, §16.4.4 of its registry), submitted in a configuration, checked
 * as a precondition (§7.1.5), and stored with the node.
 *
 * Fields that would promise what we do not do are not offered: purge_offline, presence_based_delivery (a
 * notification of type headline reaches only who is online), tempsub, body_xslt and dataform_xslt,
 * collections. A configuration that names them is taken without them (XEP-0004 §3.1); a precondition that
 * names them fails. */
#include "extensions/pubsub/options.h"

#include <stdlib.h>

static const struct form_option access_models[] = {
    { "open", "Anyone" },
    { "presence", "Those who see the owner's presence" },
    { "roster", "Those in some groups of the owner's roster" },
    { "authorize", "Those whom the owner approves" },
    { "whitelist", "Those on the list of members" },
    { 0 },
};
static const struct form_option publish_models[] = {
    { "publishers", "Publishers" },
    { "subscribers", "Publishers and subscribers" },
    { "open", "Anyone" },
    { 0 },
};
static const struct form_option send_last[] = {
    { "never", "Never" },
    { "on_sub", "To new subscribers" },
    { "on_sub_and_presence", "To new subscribers and to those who come online" },
    { 0 },
};
static const struct form_option when_full[] = {
    { "retract-oldest", "Retract the oldest item" },
    { "discard-oldest", "Drop the oldest item silently" },
    { "reject", "Refuse the new item" },
    { 0 },
};
static const struct form_option replies[] = {
    { "owner", "To the owner" },
    { "publisher", "To the publisher, who is named" },
    { "none", "To nobody" },
    { 0 },
};
static const struct form_option notifications[] = {
    { "normal", "Messages that may be stored" },
    { "headline", "Messages for who is online" },
    { 0 },
};
static const struct form_option node_types[] = { { "leaf", "Leaf" }, { 0 } };

enum { NUMBER_MAX = UINT32_MAX - 1 };

static const struct form_row setting_rows[] = {
    { "pubsub#access_model", FIELD_LIST_SINGLE, "Who may subscribe and retrieve items",
      FORM_CHOICE(struct options, access), .options = access_models },
    { "pubsub#publish_model", FIELD_LIST_SINGLE, "Who may publish",
      FORM_CHOICE(struct options, publish_model), .options = publish_models },
    { "pubsub#persist_items", FIELD_BOOLEAN, "Keep items", FORM_BOOL(struct options, persist) },
    { "pubsub#max_items", FIELD_TEXT_SINGLE, "How many items to keep; `max`: as many as the server does",
      FORM_NUMBER(struct options, max_items), .min = 1, .max = NUMBER_MAX, .word = "max" },
    { "pubsub#item_expire", FIELD_TEXT_SINGLE, "Seconds after which items go; `max`: never",
      FORM_NUMBER(struct options, item_expire), .min = 1, .max = NUMBER_MAX, .word = "max" },
    { "pubsub#max_payload_size", FIELD_TEXT_SINGLE, "The largest payload, in bytes",
      FORM_NUMBER(struct options, max_payload), .max = NUMBER_MAX, .word = "max" },
    { "pubsub#send_last_published_item", FIELD_LIST_SINGLE, "When to send the last item",
      FORM_CHOICE(struct options, send_last), .options = send_last },
    { "pubsub#publish_node_full", FIELD_LIST_SINGLE, "What to do when there is no room for an item",
      FORM_CHOICE(struct options, when_full), .options = when_full },
    { "pubsub#deliver_notifications", FIELD_BOOLEAN, "Notify subscribers",
      FORM_BOOL(struct options, notify) },
    { "pubsub#deliver_payloads", FIELD_BOOLEAN, "Send payloads with notifications",
      FORM_BOOL(struct options, payloads) },
    { "pubsub#notify_config", FIELD_BOOLEAN, "Notify subscribers of a new configuration",
      FORM_BOOL(struct options, notify_config) },
    { "pubsub#notify_delete", FIELD_BOOLEAN, "Notify subscribers when the node is deleted",
      FORM_BOOL(struct options, notify_delete) },
    { "pubsub#notify_retract", FIELD_BOOLEAN, "Notify subscribers when items are removed",
      FORM_BOOL(struct options, notify_retract) },
    { "pubsub#notify_sub", FIELD_BOOLEAN, "Tell owners who subscribes and unsubscribes",
      FORM_BOOL(struct options, notify_sub) },
    { "pubsub#subscribe", FIELD_BOOLEAN, "Allow subscriptions", FORM_BOOL(struct options, subscribe) },
    { "pubsub#itemreply", FIELD_LIST_SINGLE, "To whom replies to items go",
      FORM_CHOICE(struct options, item_reply), .options = replies },
    { "pubsub#notification_type", FIELD_LIST_SINGLE, "The kind of notifications",
      FORM_CHOICE(struct options, notification), .options = notifications },
    { "pubsub#node_type", FIELD_LIST_SINGLE, "The kind of node", FORM_CHOICE(struct options, node_type),
      .options = node_types },
};
static const struct form_table setting_table = { NULL, FORM_ROWS(setting_rows) };

static const struct form_row text_rows[] = {
    { "pubsub#title", FIELD_TEXT_SINGLE, "A short name", FORM_TEXT(struct options, title) },
    { "pubsub#description", FIELD_TEXT_SINGLE, "A description", FORM_TEXT(struct options, description) },
    { "pubsub#type", FIELD_TEXT_SINGLE, "The namespace of payloads", FORM_TEXT(struct options, type) },
    { "pubsub#language", FIELD_TEXT_SINGLE, "The language", FORM_TEXT(struct options, language) },
    { "pubsub#contact", FIELD_JID_MULTI, "Whom to ask", FORM_JIDS(struct options, contacts) },
    { "pubsub#roster_groups_allowed", FIELD_TEXT_MULTI, "Roster groups that may subscribe",
      FORM_TEXTS(struct options, groups) },
};
static const struct form_table text_table = { NULL, FORM_ROWS(text_rows) };

enum { TEXTS_MAX = 64 * 1024 };

const char *access_name(enum access access)
{
    return access_models[access].value;
}

const char *publish_model_name(enum publish_model model)
{
    return publish_models[model].value;
}

/* ---- Small and large
 * ---------------------------------------------------------------------------------------------- */

void settings_fini(struct settings *settings)
{
    free(settings->texts);
    settings->texts = NULL;
}

static uint64_t grown(uint32_t number)
{
    return number == UINT32_MAX ? UINT64_MAX : number;
}

static uint32_t shrunk(uint64_t number)
{
    return number > UINT32_MAX ? UINT32_MAX : (uint32_t)number;
}

/* A field without a value gives "": as if nobody had set it. */
static void forget_empty(struct options *options)
{
    str *texts[] = { &options->title, &options->description, &options->type, &options->language };
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (!texts[i]->len)
            *texts[i] = str_none;
}

static void texts_of(const struct settings *settings, struct arena *arena, struct options *options)
{
    struct xml_node *x = ARENA_NEW(arena, struct xml_node);
    struct form form;
    if (settings->texts && xml_parse(arena_str(arena, str_from(settings->texts)), str_none, x) &&
        form_read(x, arena, &form) == OK)
        form_apply(&text_table, &form, options);
    forget_empty(options);
}

void options_of(const struct settings *settings, struct arena *arena, struct options *ret)
{
    *ret = (struct options){
        .access = settings->access,
        .publish_model = settings->publish_model,
        .send_last = settings->send_last,
        .when_full = settings->when_full,
        .item_reply = settings->item_reply,
        .notification = settings->notification,
        .persist = settings->persist,
        .notify = settings->notify,
        .payloads = settings->payloads,
        .subscribe = settings->subscribe,
        .notify_config = settings->notify_config,
        .notify_delete = settings->notify_delete,
        .notify_retract = settings->notify_retract,
        .notify_sub = settings->notify_sub,
        .max_items = grown(settings->max_items),
        .max_payload = grown(settings->max_payload),
        .item_expire = grown(settings->item_expire),
    };
    texts_of(settings, arena, ret);
}

static bool has_texts(const struct options *options)
{
    return options->title.len || options->description.len || options->type.len || options->language.len ||
           options->contacts.count || options->groups.count;
}

static char *keep_texts(const struct options *options)
{
    struct buf xml;
    if (!has_texts(options))
        return NULL;
    buf_init(&xml, TEXTS_MAX);
    form_open(&xml, FORM_SUBMIT);
    form_write_rows(&xml, &text_table, FORM_SUBMIT, options);
    form_close(&xml);
    char *texts = buf_failed(&xml) ? NULL : buf_take(&xml);
    buf_fini(&xml);
    return texts;
}

void options_keep(const struct options *options, struct settings *settings)
{
    char *texts = keep_texts(options); /* the options may point into the old ones */
    settings_fini(settings);
    *settings = (struct settings){
        .access = options->access & 7,
        .publish_model = options->publish_model & 3,
        .send_last = options->send_last & 3,
        .when_full = options->when_full & 3,
        .item_reply = options->item_reply & 3,
        .notification = options->notification & 1,
        .persist = options->persist,
        .notify = options->notify,
        .payloads = options->payloads,
        .subscribe = options->subscribe,
        .notify_config = options->notify_config,
        .notify_delete = options->notify_delete,
        .notify_retract = options->notify_retract,
        .notify_sub = options->notify_sub,
        .max_items = shrunk(options->max_items),
        .max_payload = shrunk(options->max_payload),
        .item_expire = shrunk(options->item_expire),
        .texts = texts,
    };
}

/* ---- Forms
 * -------------------------------------------------------------------------------------------------------- */

/* The tables have no FORM_TYPE of their own: who calls has looked at it. */
static bool apply_both(struct form *form, struct options *options)
{
    bool good = form_apply(&setting_table, form, options);
    return form_apply(&text_table, form, options) && good;
}

static bool only_known(const struct form *form)
{
    for (size_t i = 0; i < form->count; i++)
        if (!form->fields[i].known && !str_is(form->fields[i].name, "FORM_TYPE"))
            return false;
    return true;
}

/* An access model that is none, or that is not to be had here, has an error of its own (§8.1.2). */
static const struct fault *check_access(const struct form *form, bool presence)
{
    const struct form_field *field = form_find(form, "pubsub#access_model");
    if (!field || !field->count)
        return NULL;
    str wanted = field->values[0];
    for (unsigned i = 0; access_models[i].value; i++)
        if (str_eq(wanted, str_from(access_models[i].value)))
            return (i == ACCESS_PRESENCE || i == ACCESS_ROSTER) && !presence ? &fault_unsupported_access_model
                                                                             : NULL;
    return &fault_unsupported_access_model;
}

static const struct fault *check_type(const struct form *form)
{
    const struct form_field *field = form_find(form, "pubsub#node_type");
    return field && field->count && str_is(field->values[0], "collection") ? &fault_no_collections : NULL;
}

static const struct fault *apply(struct form *form, bool presence, struct options *options,
                                 const char **ret_why)
{
    const struct fault *fault = check_access(form, presence);
    *ret_why = NULL;
    if (!fault)
        fault = check_type(form);
    if (!fault && !apply_both(form, options)) {
        *ret_why = form->why;
        fault = &fault_not_acceptable;
    }
    struct settings kept = { 0 };
    if (!fault && has_texts(options) && !(kept.texts = keep_texts(options))) {
        *ret_why = "the texts are too long";
        fault = &fault_not_acceptable;
    }
    settings_fini(&kept);
    return fault;
}

const struct fault *options_apply(struct form *form, bool presence, struct options *options,
                                  const char **ret_why)
{
    *ret_why = NULL;
    if (form->type != FORM_SUBMIT || (form->ns.p && !form_is(form, NS_NODE_CONFIG)))
        return &fault_bad_request;
    return apply(form, presence, options, ret_why);
}

const struct fault *options_apply_publish(struct form *form, bool presence, struct options *options,
                                          const char **ret_why)
{
    const struct fault *fault;
    *ret_why = NULL;
    if (form->type != FORM_SUBMIT || !form_is(form, NS_PUBLISH_OPTION))
        return &fault_bad_request;
    fault = apply(form, presence, options, ret_why);
    return fault || only_known(form) ? fault : &fault_precondition;
}

const struct fault *options_check(struct form *form, const struct options *options)
{
    if (form->type != FORM_SUBMIT || !form_is(form, NS_PUBLISH_OPTION))
        return &fault_bad_request;
    bool differs = form_differs(&setting_table, form, options) != NULL;
    differs = form_differs(&text_table, form, options) != NULL || differs;
    return differs || form->why || !only_known(form) ? &fault_precondition : NULL;
}

void options_write(struct buf *xml, enum form_type type, const struct options *options)
{
    form_open(xml, type);
    form_ns(xml, NS_NODE_CONFIG);
    form_write_rows(xml, &setting_table, type, options);
    form_write_rows(xml, &text_table, type, options);
    form_close(xml);
}
