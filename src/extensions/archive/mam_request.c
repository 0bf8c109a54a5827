/* SPDX-License-Identifier: MIT */
/* XEP-0313 1.1.3 §4 and §6, XEP-0059, XEP-0431 0.2: the form, the page, and the rest of a query.
 *
 * A field that we do not know is refused (§4.1.5), since its answer would be wrong. Times become bounds of
 * ids, because the time is in the id. An id that we could not have given is not there, as one that was never
 * given. Both `before` and `after` of a page: it lies between them, and is counted from the front. */
#include "extensions/archive/mam_request.h"

#include "xmpp/form.h"
#include "xmpp/rsm.h"

#include <stdlib.h>

#define FULLTEXT_FIELD "{" NS_FULLTEXT "}fulltext"

struct reading {
    const struct mam_archive *archive;
    struct arena *arena;
    struct mam_request *request;
    const char *why;
};

static int by_id(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

/* Bounds that hold beside those that are there; 0: none. */
static void narrow(struct mam_request *request, uint64_t after, uint64_t before)
{
    if (after > request->after)
        request->after = after;
    if (before && (!request->before || before < request->before))
        request->before = before;
}

/* An id that has to be there; empty: none. */
static enum stanza_error read_id(struct reading *reading, str text, uint64_t *ret)
{
    struct mam_request *request = reading->request;
    if (!text.len)
        return STANZA_ERROR_NONE;
    if (!mam_id_read(text, ret))
        return STANZA_ERROR_ITEM_NOT_FOUND;
    request->must_be[request->must_be_count++] = *ret;
    return STANZA_ERROR_NONE;
}

static enum stanza_error read_bounds(struct reading *reading, str after, str before)
{
    uint64_t after_id = 0, before_id = 0;
    enum stanza_error error = read_id(reading, after, &after_id);
    if (!error)
        error = read_id(reading, before, &before_id);
    narrow(reading->request, after_id, before_id);
    return error;
}

static enum stanza_error read_ids(struct reading *reading, struct form *form)
{
    struct mam_request *request = reading->request;
    struct form_texts texts;
    if (!form_texts(form, "ids", &texts) || !texts.count)
        return STANZA_ERROR_NONE;
    if (texts.count > MAM_IDS_MAX) {
        reading->why = "too many ids at once";
        return STANZA_ERROR_POLICY_VIOLATION;
    }
    uint64_t *ids = arena_alloc(reading->arena, texts.count * sizeof *ids);
    for (size_t i = 0; i < texts.count; i++)
        if (!mam_id_read(texts.list[i], &ids[i]))
            return STANZA_ERROR_ITEM_NOT_FOUND;
    qsort(ids, texts.count, sizeof *ids, by_id);
    for (size_t i = 0; i < texts.count; i++)
        if (!i || ids[i] != ids[request->id_count - 1])
            ids[request->id_count++] = ids[i];
    request->ids = ids;
    return STANZA_ERROR_NONE;
}

/* Both are included (§4.1.2). */
static void read_times(struct mam_request *request, struct form *form)
{
    int64_t ms;
    if (form_stamp(form, "start", &ms) && append_id_from(ms))
        narrow(request, append_id_from(ms) - 1, 0);
    if (form_stamp(form, "end", &ms))
        narrow(request, 0, ms < 0 ? 1 : append_id_from(ms + 1));
}

static bool all_known(const struct form *form)
{
    for (size_t i = 0; i < form->count; i++)
        if (!form->fields[i].known && !str_is(form->fields[i].name, "FORM_TYPE"))
            return false;
    return true;
}

static enum stanza_error read_fields(struct reading *reading, struct form *form)
{
    struct mam_request *request = reading->request;
    str after = str_none, before = str_none, text;
    bool groupchat; /* there is none in an archive of ours: both answers are the same */
    form_text(form, "after-id", &after);
    form_text(form, "before-id", &before);
    form_jid(form, "with", &request->with);
    form_bool(form, "include-groupchat", &groupchat);
    read_times(request, form);
    if (reading->archive->searches && form_text(form, FULLTEXT_FIELD, &text) && text.len)
        request->text = text;
    enum stanza_error error = read_ids(reading, form);
    if (!error && !all_known(form))
        error = STANZA_ERROR_FEATURE_NOT_IMPLEMENTED;
    if (!error && form->why) {
        reading->why = form->why;
        error = STANZA_ERROR_BAD_REQUEST;
    }
    return error ? error : read_bounds(reading, after, before);
}

static enum stanza_error read_form(struct reading *reading, const struct xml_node *query)
{
    struct form form;
    enum err err = form_read_child(query, reading->arena, &form);
    if (err == ERR_NOT_FOUND)
        return STANZA_ERROR_NONE;
    if (err || form.type != FORM_SUBMIT || !form_is(&form, NS_MAM)) {
        reading->why = "not a form of " NS_MAM;
        return STANZA_ERROR_BAD_REQUEST;
    }
    return read_fields(reading, &form);
}

static enum stanza_error read_page(struct reading *reading, const struct xml_node *query)
{
    struct mam_request *request = reading->request;
    struct rsm rsm;
    enum stanza_error error = rsm_read(query, reading->arena, &rsm);
    if (!error && rsm.has_index)
        error = STANZA_ERROR_FEATURE_NOT_IMPLEMENTED; /* XEP-0059 §2.6 */
    if (!error)
        error = read_bounds(reading, rsm.after, rsm.before);
    if (error)
        return error;
    request->backwards = rsm_is_backwards(&rsm);
    request->only_count = rsm.has_max && !rsm.max;
    request->limit = rsm_limit(&rsm, reading->archive->page, reading->archive->page_max);
    return STANZA_ERROR_NONE;
}

enum stanza_error mam_request_read(const struct xml_node *query, const struct mam_archive *archive,
                                   struct arena *arena, struct mam_request *ret, const char **ret_why)
{
    struct reading reading = { .archive = archive, .arena = arena, .request = ret };
    struct xml_node child;
    *ret = (struct mam_request){ .text = str_none };
    ret->queryid = xml_attr(query, STR("queryid"), arena);
    ret->flip = xml_child(query, STR("flip-page"), STR(NS_MAM), &child);
    enum stanza_error error =
        xml_attr(query, STR("node"), arena).p ? STANZA_ERROR_ITEM_NOT_FOUND : read_form(&reading, query);
    if (!error)
        error = read_page(&reading, query);
    *ret_why = reading.why;
    return error;
}
