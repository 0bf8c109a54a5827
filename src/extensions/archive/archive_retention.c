/* SPDX-License-Identifier: MIT */
/* How long the messages of one user stay, when it is not as long as those of all (the setting `keep`): a row
 * of the user, seconds, that an administrator writes and that archive_expiry.c reads. It goes with the
 * account. */
#include "extensions/archive/archive.h"

#include "server/control/control_request.h"

#include <inttypes.h>

enum { DAYS_MAX = 36525 };

static const struct {
    const char *unit;
    uint64_t seconds;
} units[] = { { "d", 86400 }, { "h", 3600 }, { "m", 60 }, { "s", 1 } };

void archive_retention_read(str value, uint64_t *keep_ms)
{
    uint64_t seconds;
    if (str_to_u64(value, DAYS_MAX * UINT64_C(86400), &seconds))
        *keep_ms = seconds * 1000;
}

/* A number and a unit; or 0. */
static bool read_time(str text, uint64_t *ret_seconds)
{
    uint64_t count;
    if (str_is(text, "0")) {
        *ret_seconds = 0;
        return true;
    }
    for (size_t i = 0; i < COUNT_OF(units) && text.len > 1; i++)
        if (text.p[text.len - 1] == *units[i].unit &&
            str_to_u64(str_of(text.p, text.len - 1), DAYS_MAX * UINT64_C(86400) / units[i].seconds, &count) &&
            count) {
            *ret_seconds = count * units[i].seconds;
            return true;
        }
    return false;
}

static void say(struct request *request, uint64_t seconds, const char *whose)
{
    size_t i = 0;
    while (i + 1 < COUNT_OF(units) && seconds % units[i].seconds)
        i++;
    if (seconds)
        buf_addf(&request->answer, "%" PRIu64 "%s (%s)\n", seconds / units[i].seconds, units[i].unit, whose);
    else
        buf_addf(&request->answer, "for ever (%s)\n", whose);
}

struct change {
    struct request *request;
    struct store_commit commit;
    str time; /* none: only to be told */
    uint64_t seconds;
};

static void written(struct store_commit *commit)
{
    struct request *request = CONTAINER_OF(commit, struct change, commit)->request;
    shard_commit_ended(request->shard);
    request_done(request, commit->err == OK ? NULL : err_text(commit->err));
}

static void write_row(struct change *change)
{
    struct request *request = change->request;
    struct shard *shard = request->shard;
    struct store_batch *batch = store_batch_new();
    if (str_is(change->time, "default"))
        store_del(batch, request->jid.full, STR(ARCHIVE_RETENTION), STR(""));
    else
        store_put(batch, request->jid.full, STR(ARCHIVE_RETENTION), STR(""),
                  arena_printf(&request->arena, "%" PRIu64, change->seconds));
    change->commit.done = written;
    shard_commit_began(shard);
    store_commit(shard->server->store, shard->loop, batch, &change->commit);
}

static void tell(struct request *request, const struct store_read *read)
{
    const struct host *host = server_host(request->shard->server, jid_domain(&request->jid));
    uint64_t keep_ms = archive_settings(host)->keep_ms;
    const char *whose = "as at the host";
    for (size_t i = 0; i < read->count; i++)
        if (str_is(read->rows[i].kind, ARCHIVE_RETENTION)) {
            archive_retention_read(read->rows[i].value, &keep_ms);
            whose = "of this user";
        }
    say(request, keep_ms / 1000, whose);
}

static void rows_read(struct store_read *read)
{
    struct request *request = CONTAINER_OF(read, struct request, read);
    struct change *change = request->own;
    struct shard *shard = request->shard;
    bool is_there = false;
    enum err err = read->err;
    shard_enter(shard);
    for (size_t i = 0; err == OK && i < read->count; i++)
        is_there = is_there || (str_is(read->rows[i].kind, "account") && !read->rows[i].key.len);
    if (is_there && !change->time.len)
        tell(request, read);
    store_read_fini(read);
    if (is_there && change->time.len)
        write_row(change);
    else
        request_done(request, err != OK ? err_text(err) : is_there ? NULL : "there is no such account");
    shard_leave(shard);
}

/* archive keep JID, or archive keep JID TIME. */
static void keep(struct request *request)
{
    struct change *change = arena_zalloc(&request->arena, sizeof *change);
    str time = request->word;
    request->word = str_cut(&time, ' ');
    request->own = change;
    change->request = request;
    change->time = str_trim(time);
    if (change->time.len && !str_is(change->time, "default") && !read_time(change->time, &change->seconds)) {
        request_done(request, "write a time such as 30d or 12h, 0 for ever, or default");
        return;
    }
    if (!request_account(request))
        return;
    request->read = (struct store_read){ .done = rows_read };
    store_get_all(request->shard->server->store, request->shard->loop, request->jid.full,
                  STR("account," ARCHIVE_RETENTION), &request->read);
}

const struct control_command archive_commands[] = {
    { .name = "archive keep",
      .words = true,
      .run = keep,
      .help = "archive keep JID [TIME]  tell, or set, how long an account's messages stay: 30d, 0 (for "
              "ever), default" },
    { 0 },
};
