/* SPDX-License-Identifier: MIT */
/* A page of an account's archive as XEP-0227 wants it (§ Message Archive): a <result/> for each message, the
 * oldest first. */
#include "extensions/archive/archive.h"
#include "extensions/archive/mam.h"
#include "extensions/portable/portable.h"

#include "xml/write.h"
#include "xmpp/forward.h"

enum { PAGE = 100, PAGE_MAX = 64 << 20 };

static void write_result(struct buf *xml, const struct store_entry *entry)
{
    char id[MAM_ID_SIZE];
    xml_write_open(xml, "result", STR(NS_MAM));
    xml_write_attr(xml, "id", mam_id_write(entry->id, id));
    buf_add_char(xml, '>');
    forward_write_text(xml, entry->value, str_none, append_id_ms(entry->id));
    buf_lit(xml, "</result>\n");
}

static void page_read(struct store_read *read)
{
    struct request *request = CONTAINER_OF(read, struct request, read);
    struct shard *shard = request->shard;
    enum err err = read->err;
    char next[MAM_ID_SIZE] = "-";
    struct buf xml;
    shard_enter(shard);
    buf_init(&xml, PAGE_MAX);
    for (size_t i = 0; i < read->count; i++)
        write_result(&xml, &read->entries[i]);
    if (read->count == PAGE)
        mam_id_write(read->entries[PAGE - 1].id, next);
    buf_addf(&request->answer, "%zu %s\n", xml.len, next);
    buf_add(&request->answer, buf_str(&xml));
    bool fits = !buf_failed(&xml) && !buf_failed(&request->answer);
    buf_fini(&xml);
    store_read_fini(read);
    if (err != OK || !fits)
        buf_clear(&request->answer);
    shard_commit_ended(shard);
    request_done(request, err != OK ? err_text(err) : fits ? NULL : "messages are too large");
    shard_leave(shard);
}

void portable_export_archive(struct request *request)
{
    struct shard *shard = request->shard;
    struct store_log_query query = { .limit = PAGE };
    str words = request->word;
    request->word = str_cut(&words, ' ');
    if (words.p && !mam_id_read(words, &query.after_id)) {
        request_done(request, "that is no id of a message");
        return;
    }
    if (!request_account(request))
        return;
    request->read = (struct store_read){ .done = page_read };
    shard_commit_began(shard);
    store_log_find(shard->server->store, shard->loop, request->jid.full, STR(ARCHIVE_KIND), &query,
                   &request->read);
}
