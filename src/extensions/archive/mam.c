/* SPDX-License-Identifier: MIT */
/* XEP-0313 1.1.3: a query in steps, in the order of the functions below.
 *
 *     mam_query    reads the request
 *     look_up      are the ids there that the request names?        (only if it names some)
 *     ask          a slice of the log; again until the page is full (gather)
 *     answer       the results as messages, then the iq's result
 *
 * A page is gathered in slices, because entries are chosen here that the store cannot choose (a full JID),
 * and so that neither a page of large messages nor a long search holds much memory. It ends early when it has
 * PAGE_BYTES: the asker is told that there is more, as with any limit (§6.1).
 *
 * What was appended and is not on disk yet must be seen too: somebody who sends a message and asks at once
 * expects it. So the query waits for those writes first.
 *
 * Not here: who may ask, and what is in an archive (archive.c); the counting of results, which costs a walk
 * through all of them, but when nothing else is asked for (XEP-0059 §2.7). */
#include "extensions/archive/mam_request.h"

#include "xml/write.h"
#include "xmpp/form.h"
#include "xmpp/forward.h"
#include "xmpp/ns.h"
#include "xmpp/rsm.h"
#include "xmpp/stamp.h"

#include <stdlib.h>

enum { SLICE = 100, PAGE_BYTES = 512 * 1024, RESULT_MAX = 1 << 23, ARENA_BLOCK = 4096 };

/* ---- Ids as text: thirteen letters and digits, the first bits first
 * ------------------------------------------------------- */

static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";

str mam_id_write(uint64_t id, char to[MAM_ID_SIZE])
{
    for (int i = MAM_ID_SIZE - 2; i >= 0; i--, id >>= 5)
        to[i] = digits[id & 31];
    to[MAM_ID_SIZE - 1] = '\0';
    return str_of(to, MAM_ID_SIZE - 1);
}

bool mam_id_read(str text, uint64_t *ret)
{
    uint64_t id = 0;
    if (text.len != MAM_ID_SIZE - 1 || text.p[0] > '7')
        return false;
    for (size_t i = 0; i < text.len; i++) {
        const char *digit = text.p[i] ? strchr(digits, text.p[i]) : NULL;
        if (!digit)
            return false;
        id = id << 5 | (uint64_t)(digit - digits);
    }
    if (!id)
        return false;
    *ret = id;
    return true;
}

/* ---- A query
 * --------------------------------------------------------------------------------------------------- */

struct query {
    struct ext_op op;
    struct mam_archive archive;
    struct jid jid;
    struct mam_request request;
    struct arena arena;          /* of all that it keeps */
    struct store_entry *entries; /* the page, in the order of gathering; room for limit + 1 */
    size_t count, bytes;
    uint64_t after, before; /* what is still to be looked at lies between */
    bool all;               /* nothing is */
    bool counted;
    uint64_t total;
};

static void query_fini(struct ext_op *op)
{
    arena_fini(&CONTAINER_OF(op, struct query, op)->arena);
}

static struct query *query_new(struct iq_event *event, const struct mam_archive *archive)
{
    struct query *query = ext_op_new(event, sizeof *query);
    arena_init(&query->arena, ARENA_BLOCK);
    query->op.fini = query_fini;
    query->archive = *archive;
    query->archive.owner = arena_str(&query->arena, archive->owner);
    query->jid = jid_copy(archive->jid, &query->arena);
    query->archive.jid = &query->jid;
    return query;
}

static void failed(struct iq_event *event)
{
    ext_error(event, STANZA_ERROR_INTERNAL_SERVER_ERROR, "the archive can't be read; try again later");
}

/* Runs the step now, or when all that was appended before is on disk. */
static void after_appends(struct query *query, struct iq_event *event, ext_step *step)
{
    struct shard *shard = event->shard;
    if (appends_are_done(shard, query->archive.serial)) {
        step(&query->op, event);
        return;
    }
    appends_flush(shard);
    ext_op_write(&query->op, store_batch_new(), step);
}

static void find(struct query *query, const struct store_log_query *what, ext_step *step)
{
    store_log_find(ext_op_store(&query->op), query->op.shard->loop, query->archive.owner, query->archive.kind,
                   what, ext_op_read(&query->op, step));
}

/* ---- The results
 * ----------------------------------------------------------------------------------------------- */

static void send_result(struct query *query, struct iq_event *event, const struct store_entry *entry)
{
    struct arena *arena = &event->shard->arena;
    struct buf xml;
    char id[MAM_ID_SIZE];
    buf_init(&xml, RESULT_MAX);
    xml_write_open(&xml, "result", STR(NS_MAM));
    xml_write_attr(&xml, "queryid", query->request.queryid);
    xml_write_attr(&xml, "id", mam_id_write(entry->id, id));
    buf_add_char(&xml, '>');
    str shown = query->archive.show ? query->archive.show(event, entry) : entry->value;
    forward_write_text(&xml, shown, str_none, append_id_ms(entry->id));
    buf_lit(&xml, "</result>");
    struct stanza *message = arena_alloc(arena, sizeof *message);
    *message = stanza_make(STANZA_MESSAGE, TYPE_NONE, str_none, arena_str(arena, buf_str(&xml)), arena);
    buf_fini(&xml);
    message->from = jid_copy(&query->jid, arena);
    message->to = event->iq->from;
    route_answer(event->shard, message);
}

static void send_fin(struct query *query, struct iq_event *event, const struct mam_page *page)
{
    struct rsm_page rsm = { .first = str_none, .last = str_none };
    char first[MAM_ID_SIZE], last[MAM_ID_SIZE];
    struct buf xml;
    if (page->first) {
        rsm.first = mam_id_write(page->first, first);
        rsm.last = mam_id_write(page->last, last);
    }
    rsm.has_count = query->counted;
    rsm.count = query->total;
    buf_init(&xml, RESULT_MAX);
    buf_lit(&xml, "<fin xmlns='" NS_MAM "'");
    if (query->all)
        buf_lit(&xml, " complete='true'");
    buf_add_char(&xml, '>');
    rsm_write(&xml, &rsm);
    buf_lit(&xml, "</fin>");
    ext_result(event, &xml);
    buf_fini(&xml);
}

static void reverse(struct store_entry *entries, size_t count)
{
    for (size_t i = 0; i < count / 2; i++) {
        struct store_entry entry = entries[i];
        entries[i] = entries[count - 1 - i];
        entries[count - 1 - i] = entry;
    }
}

/* The page goes out in the order of the archive, or flipped; what is said of it is the same both ways (§6.3).
 */
static void answer(struct query *query, struct iq_event *event)
{
    const struct mam_request *request = &query->request;
    struct mam_page page = { .after = request->after, .before = request->before };
    page.filtered = request->with.full.len || request->text.p || request->ids;
    if (request->backwards)
        reverse(query->entries, query->count);
    if (query->count) {
        page.first = query->entries[0].id;
        page.last = query->entries[query->count - 1].id;
    }
    if (!query->all && request->backwards)
        page.after = page.first ? page.first - 1 : page.before;
    else if (!query->all)
        page.before = page.last + 1;
    if (request->flip)
        reverse(query->entries, query->count);
    for (size_t i = 0; i < query->count; i++)
        send_result(query, event, &query->entries[i]);
    if (query->archive.told)
        query->archive.told(event, &page);
    send_fin(query, event, &page);
}

/* ---- Gathering a page
 * ------------------------------------------------------------------------------------------ */

/* What the store does not look at: a resource (§4.1.1), and bounds when ids were asked for. */
static bool is_wanted(const struct query *query, const struct store_entry *entry, struct arena *arena)
{
    const struct mam_request *request = &query->request;
    struct xml_node node;
    struct jid jid;
    if (entry->id <= request->after || (request->before && entry->id >= request->before))
        return false;
    if (!request->with.full.len)
        return true;
    if (!str_eq(entry->peer, jid_bare(&request->with)))
        return false;
    if (jid_is_bare(&request->with))
        return true;
    if (!xml_parse(entry->value, STR(NS_CLIENT), &node))
        return false;
    return (jid_parse(xml_attr(&node, STR("from"), arena), arena, &jid) == OK &&
            jid_eq(&jid, &request->with)) ||
           (jid_parse(xml_attr(&node, STR("to"), arena), arena, &jid) == OK && jid_eq(&jid, &request->with));
}

static bool is_full(const struct query *query)
{
    return query->count > query->request.limit || (query->count && query->bytes > PAGE_BYTES);
}

static void take(struct query *query, const struct store_entry *entry, struct arena *arena)
{
    if (!is_wanted(query, entry, arena))
        return;
    struct store_entry *kept = &query->entries[query->count++];
    *kept = *entry;
    kept->value = arena_str(&query->arena, entry->value);
    kept->peer = arena_str(&query->arena, entry->peer);
    query->bytes += entry->value.len;
}

/* In the direction of the page, until it is full; false when there was more than it takes. */
static bool take_all(struct query *query, const struct store_entry *entries, size_t count,
                     struct arena *arena)
{
    for (size_t i = 0; i < count; i++) {
        if (is_full(query))
            return false;
        take(query, &entries[query->request.backwards ? count - 1 - i : i], arena);
    }
    return true;
}

/* The one too many was only to show that there is one. */
static void finish(struct query *query, struct iq_event *event, bool exhausted)
{
    query->all = exhausted && query->count <= query->request.limit;
    if (query->count > query->request.limit)
        query->count = query->request.limit;
    answer(query, event);
}

static void ask(struct query *query);

static void gather(struct ext_op *op, struct iq_event *event)
{
    struct query *query = CONTAINER_OF(op, struct query, op);
    const struct store_read *read = &op->read;
    if (read->err) {
        failed(event);
        return;
    }
    bool took_all = take_all(query, read->entries, read->count, &event->shard->arena);
    if (!took_all || read->count < SLICE || is_full(query)) {
        finish(query, event, took_all && read->count < SLICE);
        return;
    }
    if (query->request.backwards)
        query->before = read->entries[0].id;
    else
        query->after = read->entries[read->count - 1].id;
    ask(query);
}

static struct store_log_query bounds(const struct query *query)
{
    const struct mam_request *request = &query->request;
    return (struct store_log_query){
        .after_id = query->after,
        .before_id = query->before,
        .peer = request->with.full.len ? jid_bare(&request->with) : str_none,
        .text = request->text,
        .last = request->backwards,
    };
}

static void ask(struct query *query)
{
    struct store_log_query what = bounds(query);
    what.limit = SLICE;
    find(query, &what, gather);
}

static void counted(struct ext_op *op, struct iq_event *event)
{
    struct query *query = CONTAINER_OF(op, struct query, op);
    if (op->read.err) {
        failed(event);
        return;
    }
    query->counted = true;
    query->total = op->read.total;
    finish(query, event, !query->total);
}

static void start(struct query *query)
{
    struct mam_request *request = &query->request;
    query->after = request->after;
    query->before = request->before;
    query->entries = arena_alloc(&query->arena, (request->limit + 1) * sizeof *query->entries);
    struct store_log_query what = bounds(query);
    what.count = true;
    bool by_resource = request->with.full.len && !jid_is_bare(&request->with);
    if (request->only_count && !by_resource)
        find(query, &what, counted);
    else
        ask(query);
}

/* ---- Ids that have to be there (§4.1.3, §6.1)
 * ------------------------------------------------------------------ */

static int by_id(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

/* How many different ones there are; in order afterwards. */
static size_t sort(uint64_t *ids, size_t count)
{
    size_t kept = 0;
    qsort(ids, count, sizeof *ids, by_id);
    for (size_t i = 0; i < count; i++)
        if (!i || ids[i] != ids[kept - 1])
            ids[kept++] = ids[i];
    return kept;
}

static size_t named_ids(const struct query *query, uint64_t *ids)
{
    const struct mam_request *request = &query->request;
    size_t count = 0;
    for (size_t i = 0; i < request->must_be_count; i++)
        ids[count++] = request->must_be[i];
    for (size_t i = 0; i < request->id_count; i++)
        ids[count++] = request->ids[i];
    return sort(ids, count);
}

static bool is_one_of(const struct mam_request *request, uint64_t id)
{
    return bsearch(&id, request->ids, request->id_count, sizeof id, by_id) != NULL;
}

/* The entries were read to see whether they are there: those that were asked for by id are the results. */
static void answer_ids(struct query *query, struct iq_event *event)
{
    const struct store_read *read = &query->op.read;
    struct store_entry *named = arena_alloc(&event->shard->arena, (read->count + 1) * sizeof *named);
    size_t count = 0;
    for (size_t i = 0; i < read->count; i++)
        if (is_one_of(&query->request, read->entries[i].id))
            named[count++] = read->entries[i];
    query->entries = arena_alloc(&query->arena, (query->request.limit + 1) * sizeof *query->entries);
    bool all = take_all(query, named, count, &event->shard->arena);
    finish(query, event, all);
}

static void looked_up(struct ext_op *op, struct iq_event *event)
{
    struct query *query = CONTAINER_OF(op, struct query, op);
    uint64_t ids[MAM_IDS_MAX + 4];
    if (op->read.err)
        failed(event);
    else if (op->read.count < named_ids(query, ids))
        ext_error(event, STANZA_ERROR_ITEM_NOT_FOUND, NULL);
    else if (query->request.ids)
        answer_ids(query, event);
    else
        start(query);
}

static void look_up(struct ext_op *op, struct iq_event *event)
{
    struct query *query = CONTAINER_OF(op, struct query, op);
    uint64_t ids[MAM_IDS_MAX + 4];
    size_t count = named_ids(query, ids);
    (void)event;
    if (count)
        find(query,
             &(struct store_log_query){ .peer = str_none, .ids = ids, .id_count = count, .limit = count },
             looked_up);
    else
        start(query);
}

void mam_query(struct iq_event *event, const struct mam_archive *archive)
{
    struct query *query = query_new(event, archive);
    struct mam_request *request = &query->request;
    const char *why = NULL;
    enum stanza_error error = mam_request_read(&event->child, archive, &query->arena, request, &why);
    request->queryid = arena_str(&query->arena, request->queryid);
    request->text = arena_str(&query->arena, request->text);
    request->with = jid_copy(&request->with, &query->arena);
    if (error) {
        ext_error(event, error, why);
        ext_op_free(&query->op);
        return;
    }
    after_appends(query, event, look_up);
}

/* ---- The form (§4.1.5)
 * ----------------------------------------------------------------------------------------- */

static void write_field(struct buf *xml, const char *name, enum field_type type)
{
    form_field_open(xml, name, type, true, NULL);
    form_field_close(xml);
}

void mam_form(struct iq_event *event, const struct mam_archive *archive)
{
    struct buf xml;
    buf_init(&xml, RESULT_MAX);
    buf_lit(&xml, "<query xmlns='" NS_MAM "'>");
    form_open(&xml, FORM_ASKS);
    form_ns(&xml, NS_MAM);
    write_field(&xml, "with", FIELD_JID_SINGLE);
    write_field(&xml, "start", FIELD_TEXT_SINGLE);
    write_field(&xml, "end", FIELD_TEXT_SINGLE);
    write_field(&xml, "before-id", FIELD_TEXT_SINGLE);
    write_field(&xml, "after-id", FIELD_TEXT_SINGLE);
    form_field_open(&xml, "ids", FIELD_LIST_MULTI, true, NULL);
    buf_lit(&xml, "<validate xmlns='http://jabber.org/protocol/xdata-validate' datatype='xs:string'><open/>"
                  "</validate>");
    form_field_close(&xml);
    write_field(&xml, "include-groupchat", FIELD_BOOLEAN);
    if (archive->searches)
        write_field(&xml, "{" NS_FULLTEXT "}fulltext", FIELD_TEXT_SINGLE);
    form_close(&xml);
    buf_lit(&xml, "</query>");
    ext_result(event, &xml);
    buf_fini(&xml);
}

/* ---- Metadata (§7)
 * --------------------------------------------------------------------------------------------- */

static void write_end(struct buf *xml, const char *name, uint64_t id, struct arena *arena)
{
    char text[MAM_ID_SIZE];
    mam_id_write(id, text);
    buf_addf(xml, "<%s id='%s' timestamp='%s'/>", name, text, stamp_millis(append_id_ms(id), arena));
}

void mam_metadata_write(struct buf *xml, uint64_t first, uint64_t last, struct arena *arena)
{
    buf_lit(xml, "<metadata xmlns='" NS_MAM "'>");
    if (first) {
        write_end(xml, "start", first, arena);
        write_end(xml, "end", last, arena);
    }
    buf_lit(xml, "</metadata>");
}

static void end_read(struct ext_op *op, struct iq_event *event)
{
    struct query *query = CONTAINER_OF(op, struct query, op);
    struct buf xml;
    if (op->read.err) {
        failed(event);
        return;
    }
    buf_init(&xml, RESULT_MAX);
    mam_metadata_write(&xml, op->read.count ? query->after : 0, op->read.count ? op->read.entries[0].id : 0,
                       &event->shard->arena);
    ext_result(event, &xml);
    buf_fini(&xml);
}

static void start_read(struct ext_op *op, struct iq_event *event)
{
    struct query *query = CONTAINER_OF(op, struct query, op);
    if (op->read.err) {
        failed(event);
        return;
    }
    query->after = op->read.count ? op->read.entries[0].id : 0;
    find(query, &(struct store_log_query){ .peer = str_none, .limit = 1, .last = true }, end_read);
}

static void read_start(struct ext_op *op, struct iq_event *event)
{
    (void)event;
    find(CONTAINER_OF(op, struct query, op), &(struct store_log_query){ .peer = str_none, .limit = 1 },
         start_read);
}

void mam_metadata(struct iq_event *event, const struct mam_archive *archive)
{
    after_appends(query_new(event, archive), event, read_start);
}
