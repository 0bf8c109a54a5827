/* SPDX-License-Identifier: MIT */
/* The archive of an account that is about to be made, part by part: only where there is no account yet, so
 * that nothing else is written to it meanwhile. What an import that was broken off has left is removed by the
 * first part of the next one, or when somebody else makes the account (archive.c).
 *
 * A message keeps its id if that is one of ours and says the same time; else it gets a new one, of its time.
 * Ids rise as the messages come, oldest first (XEP-0227 § Message Archive): one that is older than the one
 * before it counts as of the same moment. */
#include "extensions/portable/import.h"

#include "base/rand.h"
#include "extensions/archive/mam.h"
#include "xmpp/delay.h"
#include "xmpp/forward.h"
#include "xmpp/ns.h"
#include "xmpp/sid.h"

/* What stamps without fractions of a second may be off. */
enum { TOLERANCE_MS = 1000 };

static uint64_t id_of(struct importing *importing, const struct xml_node *result, int64_t ms)
{
    uint64_t id;
    uint32_t bits;
    int64_t newest_ms = importing->now_ms - 1; /* what the account gets from now on comes behind */
    if (ms > newest_ms)
        ms = newest_ms;
    if (!mam_id_read(xml_attr(result, STR("id"), importing->arena), &id) ||
        append_id_ms(id) > ms + TOLERANCE_MS || append_id_ms(id) < ms - TOLERANCE_MS ||
        append_id_ms(id) > newest_ms) {
        rand_bytes(&bits, sizeof bits);
        id = append_id_from(ms) | (bits & ((1u << APPEND_ID_BITS) - 1));
    }
    if (id <= importing->last_archive)
        id = importing->last_archive + 1;
    importing->last_archive = id;
    return id;
}

/* The other one: whom it is from, or to if the user has sent it. */
static str peer_of(const struct importing *importing, const struct stanza *message)
{
    bool is_own = str_eq(jid_bare(&message->from), import_owner(importing));
    return jid_bare(is_own && !jid_is_none(&message->to) ? &message->to : &message->from);
}

static bool take_result(struct importing *importing, const struct xml_node *result)
{
    struct xml_node forwarded, inner;
    struct stanza message;
    struct delay delay;
    if (!xml_is(result, STR("result"), STR(NS_MAM)) || !forward_read(result, &forwarded, &inner) ||
        !delay_read(&forwarded, importing->arena, &delay) || delay.ms <= 0 ||
        !import_stanza(importing, &inner, STANZA_MESSAGE, &message))
        return false;
    message.node.content = sid_strip(&message, &importing->jid, importing->arena);
    uint64_t id = id_of(importing, result, delay.ms);
    struct store_entry entry = { .id = id,
                                 .time_ms = append_id_ms(id),
                                 .peer = peer_of(importing, &message),
                                 .value = import_row(importing, &message, NULL) };
    if (importing->has_search)
        entry.text = archive_words(&message, importing->arena);
    store_append(importing->batch, import_owner(importing), STR(ARCHIVE_KIND), &entry);
    return true;
}

void import_archive(struct importing *importing, const struct xml_node *archive)
{
    struct xml_node child;
    for (bool more = xml_first(archive, &child); more; more = xml_next(&child))
        if (!take_result(importing, &child))
            import_note(importing,
                        "a message of the archive:", xml_attr(&child, STR("id"), importing->arena));
}

/* ---- A part of it by itself ---- */

struct part {
    struct request *request;
    struct importing importing;
    struct store_read read;
    struct store_commit commit;
    struct import_document document;
    struct xml_node archive;
};

static void finish(struct part *part, const char *error)
{
    struct request *request = part->request;
    shard_commit_ended(request->shard);
    request_done(request, error);
}

static void written(struct store_commit *commit)
{
    struct part *part = CONTAINER_OF(commit, struct part, commit);
    struct shard *shard = part->request->shard;
    shard_enter(shard);
    finish(part, commit->err == OK ? NULL : err_text(commit->err));
    shard_leave(shard);
}

static void write(struct part *part, bool is_first)
{
    struct importing *importing = &part->importing;
    struct shard *shard = part->request->shard;
    importing->batch = store_batch_new();
    if (is_first)
        store_del_all(importing->batch, import_owner(importing), STR(ARCHIVE_KIND));
    import_archive(importing, &part->archive);
    part->commit.done = written;
    store_commit(shard->server->store, shard->loop, importing->batch, &part->commit);
}

/* The last message of the parts before. */
static void last_read(struct store_read *read)
{
    struct part *part = CONTAINER_OF(read, struct part, read);
    struct shard *shard = part->request->shard;
    enum err err = read->err;
    shard_enter(shard);
    if (read->count)
        part->importing.last_archive = read->entries[0].id;
    store_read_fini(read);
    if (err == OK)
        write(part, false);
    else
        finish(part, err_text(err));
    shard_leave(shard);
}

static void account_read(struct store_read *read)
{
    struct part *part = CONTAINER_OF(read, struct part, read);
    struct request *request = part->request;
    struct shard *shard = request->shard;
    struct store_log_query last = { .limit = 1, .last = true };
    enum err err = read->err;
    bool is_there = read->count;
    shard_enter(shard);
    store_read_fini(read);
    if (err != OK || is_there) {
        finish(part, err != OK ? err_text(err) : "the account exists already");
    } else if (str_is(request->extra, "first")) {
        write(part, true);
    } else {
        part->read = (struct store_read){ .done = last_read };
        store_log_find(shard->server->store, shard->loop, request->jid.full, STR(ARCHIVE_KIND), &last,
                       &part->read);
    }
    shard_leave(shard);
}

void portable_import_archive(struct request *request)
{
    struct shard *shard = request->shard;
    struct part *part = ARENA_NEW(&request->arena, struct part);
    part->request = request;
    part->read.done = account_read;
    if (!import_begin(request, &part->document, &part->importing))
        return;
    if (!xml_child(&part->document.user, STR("archive"), STR(NS_PIE_MAM), &part->archive)) {
        request_done(request, "that is no archive in the format of XEP-0227");
        return;
    }
    shard_commit_began(shard);
    store_get(shard->server->store, shard->loop, request->jid.full, STR("account"), STR(""), &part->read);
}
