/* SPDX-License-Identifier: MIT */
/* Accounts, as the administrator makes and removes them. Only salted keys are kept of a password; they are
 * computed on the pool. */
#include "server/control_request.h"

#include "base/rand.h"
#include "server/user.h"

#include <stdio.h>

enum { PAGE = 500 };

/* ---- user add, user passwd
 * --------------------------------------------------------------------------------------------- */

static void written(struct store_commit *commit)
{
    struct request *request = CONTAINER_OF(commit, struct request, commit);
    shard_commit_ended(request->shard);
    mem_wipe(&request->keys, sizeof request->keys);
    if (commit->err == ERR_EXISTS)
        request_done(request, "the account exists already");
    else
        request_done(request, commit->err == OK ? NULL : err_text(commit->err));
}

static void write_keys(struct request *request)
{
    struct store_batch *batch = store_batch_new();
    str keys = scram_keys_write(&request->keys, &request->arena);
    if (request->must_exist)
        store_put(batch, request->jid.full, STR("account"), STR(""), keys);
    else
        store_put_new(batch, request->jid.full, STR("account"), STR(""), keys);
    request->commit.done = written;
    shard_commit_began(request->shard);
    store_commit(request->shard->server->store, request->shard->loop, batch, &request->commit);
}

static void hash(struct work *work)
{
    struct request *request = CONTAINER_OF(work, struct request, work);
    unsigned char salt[SCRAM_SALT_SIZE];
    const struct config *config = request->shard->server->config;
    rand_bytes(salt, sizeof salt);
    scram_keys_make(request->password, str_of((char *)salt, sizeof salt), config->c2s.scram_iterations,
                    &request->keys);
}

static void hashed(struct work *work)
{
    struct request *request = CONTAINER_OF(work, struct request, work);
    shard_commit_ended(request->shard);
    mem_wipe((char *)request->password.p, request->password.len);
    write_keys(request);
}

static void start_hash(struct request *request)
{
    request->work = (struct work){ .run = hash, .done = hashed };
    shard_commit_began(request->shard); /* a stop waits for it, as for a write */
    loop_work(request->shard->loop, &request->work);
}

/* Reads the address of an account on one of our hosts; answers the request and returns false if it is none.
 */
static bool read_account(struct request *request)
{
    if (jid_parse(request->word, &request->arena, &request->jid) != OK || !request->jid.local_len ||
        !jid_is_bare(&request->jid)) {
        request_done(request, "that is no address of an account: write it as name@host");
        return false;
    }
    if (!server_host(request->shard->server, jid_domain(&request->jid))) {
        request_done(request, "that host is not served here: see the host sections of the configuration");
        return false;
    }
    return true;
}

static bool read_password(struct request *request)
{
    if (jid_prepare_password(request->extra, &request->arena, &request->password) == OK &&
        request->password.len) {
        request->password = arena_str(&request->arena, request->password);
        return true;
    }
    request_done(request, "the password is empty or has characters that are not allowed in one");
    return false;
}

void control_user_add(struct request *request)
{
    if (read_account(request) && read_password(request))
        request_in_turn(request, start_hash);
}

static void account_read(struct store_read *read)
{
    struct request *request = CONTAINER_OF(read, struct request, read);
    bool there = read->err == OK && read->count == 1;
    const char *error = read->err == OK ? "there is no such account" : err_text(read->err);
    store_read_fini(read);
    if (there)
        start_hash(request);
    else
        request_done(request, error);
}

static void look_for_change(struct request *request)
{
    request->must_exist = true;
    request->read.done = account_read;
    store_get(request->shard->server->store, request->shard->loop, request->jid.full, STR("account"), STR(""),
              &request->read);
}

void control_user_passwd(struct request *request)
{
    if (read_account(request) && read_password(request))
        request_in_turn(request, look_for_change);
}

/* ---- user del
 * -------------------------------------------------------------------------------------------------------------
 */

static void delete_all(struct request *request, void (*done)(struct store_commit *commit))
{
    struct store_batch *batch = store_batch_new();
    store_del_all(batch, request->jid.full, STR(""));
    request->commit.done = done;
    shard_commit_began(request->shard);
    store_commit(request->shard->server->store, request->shard->loop, batch, &request->commit);
}

static void removed_again(struct store_commit *commit)
{
    struct request *request = CONTAINER_OF(commit, struct request, commit);
    shard_commit_ended(request->shard);
    request_done(request, commit->err == OK ? NULL : err_text(commit->err));
}

/* The user was awake until now, and may have written behind the deletion: a later owner of the name must not
 * find that. */
static void back_deleted(struct shard *shard, struct shard_call *call)
{
    (void)shard;
    delete_all(CONTAINER_OF(call, struct request, call), removed_again);
}

/* At the user's home: its sessions end, and what is in memory goes. */
static void forget(struct shard *shard, struct shard_call *call)
{
    struct request *request = CONTAINER_OF(call, struct request, call);
    struct user *user = user_awake(shard, request->jid.full);
    if (user)
        user_removed(user);
    request->call.run = back_deleted;
    shard_post(request->shard, &request->call);
}

static void removed(struct store_commit *commit)
{
    struct request *request = CONTAINER_OF(commit, struct request, commit);
    shard_commit_ended(request->shard);
    if (commit->err != OK) {
        request_done(request, err_text(commit->err));
        return;
    }
    request->call.run = forget;
    shard_post(server_home(request->shard->server, request->jid.full), &request->call);
}

static void found_for_removal(struct store_read *read)
{
    struct request *request = CONTAINER_OF(read, struct request, read);
    bool there = read->err == OK && read->count == 1;
    store_read_fini(read);
    if (!there) {
        request_done(request, "there is no such account");
        return;
    }
    delete_all(request, removed);
}

static void look_for_removal(struct request *request)
{
    request->read.done = found_for_removal;
    store_get(request->shard->server->store, request->shard->loop, request->jid.full, STR("account"), STR(""),
              &request->read);
}

void control_user_del(struct request *request)
{
    if (read_account(request))
        request_in_turn(request, look_for_removal);
}

/* ---- user list
 * ------------------------------------------------------------------------------------------------------------
 */

static void ask_page(struct request *request, str after);

static void page_read(struct store_read *read)
{
    struct request *request = CONTAINER_OF(read, struct request, read);
    str last = str_of("", 0);
    for (size_t i = 0; i < read->count; i++) {
        buf_add(&request->answer, read->rows[i].owner);
        buf_add_char(&request->answer, '\n');
        last = read->rows[i].owner;
    }
    bool more = read->err == OK && read->count == PAGE && !buf_failed(&request->answer);
    const char *error = read->err == OK ? NULL : err_text(read->err);
    last = arena_str(&request->arena, last);
    store_read_fini(read);
    if (more)
        ask_page(request, last);
    else
        request_done(request, error);
}

static void ask_page(struct request *request, str after)
{
    request->read.done = page_read;
    store_owners(request->shard->server->store, request->shard->loop, STR("account"), STR(""), after, PAGE,
                 &request->read);
}

void control_user_list(struct request *request)
{
    ask_page(request, STR(""));
}
