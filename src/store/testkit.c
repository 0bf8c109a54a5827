/* SPDX-License-Identifier: MIT */
/* See testkit.h. Scratch folders stand below $TMPDIR. Waiting is running the loop: there are no sleeps. */
#include "store/testkit.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { TURNS_MAX = 100000 };

static void open_store(struct kit *kit)
{
    char why[256] = "";
    enum err err = store_open(kit->url, kit->sim ? kit->loop : NULL, why, sizeof why, &kit->store);
    if (err)
        fail_msg("%s: %s", err_text(err), why);
}

void kit_init(struct kit *kit, const struct kit_config *config)
{
    const char *tmp = getenv("TMPDIR");
    *kit = (struct kit){ .config = config };
    snprintf(kit->folder, sizeof kit->folder, "%.40s/store-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(kit->folder));
    bool has_file = str_ends(str_from(config->scheme), STR("sqlite:"));
    snprintf(kit->url, sizeof kit->url, "%s%s%s", config->scheme, has_file ? kit->folder : "",
             has_file ? "/store.db" : "");
    kit->sim = config->inlined ? sim_new(1) : NULL;
    kit->loop = kit->sim ? sim_loop_new(kit->sim) : loop_new();
    open_store(kit);
}

static void remove_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        if (entry->d_name[0] != '.')
            assert_int_equal(unlinkat(dirfd(dir), entry->d_name, 0), 0);
    closedir(dir);
    assert_int_equal(rmdir(folder), 0);
}

void kit_fini(struct kit *kit)
{
    store_close(kit->store);
    loop_free(kit->loop);
    if (kit->sim)
        sim_free(kit->sim);
    remove_folder(kit->folder);
}

void kit_reopen(struct kit *kit)
{
    store_close(kit->store);
    kit->store = NULL;
    open_store(kit);
}

static void completed(struct kit *kit)
{
    assert_false(kit->calling);
    assert_true(kit->pending > 0);
    if (--kit->pending == 0 && !kit->sim)
        loop_stop(kit->loop);
}

static void commit_done(struct store_commit *commit)
{
    struct kit_commit *mine = CONTAINER_OF(commit, struct kit_commit, commit);
    assert_false(mine->done);
    mine->done = true;
    completed(mine->kit);
}

static void read_done(struct store_read *read)
{
    struct kit_read *mine = CONTAINER_OF(read, struct kit_read, read);
    assert_false(mine->done);
    mine->done = true;
    completed(mine->kit);
}

void kit_commit_start(struct kit *kit, struct kit_commit *commit, struct store_batch *batch)
{
    *commit = (struct kit_commit){ .kit = kit, .commit.done = commit_done };
    kit->pending++;
    KIT_ASK(kit, store_commit(kit->store, kit->loop, batch, &commit->commit));
}

struct store_read *kit_read_start(struct kit *kit, struct kit_read *read)
{
    *read = (struct kit_read){ .kit = kit, .read.done = read_done };
    kit->pending++;
    return &read->read;
}

void kit_wait(struct kit *kit)
{
    if (!kit->pending)
        return;
    if (!kit->sim)
        loop_run(kit->loop);
    else
        assert_true(sim_settle(kit->sim, TURNS_MAX));
    assert_int_equal(kit->pending, 0);
}

enum err kit_commit(struct kit *kit, struct store_batch *batch)
{
    struct kit_commit commit;
    kit_commit_start(kit, &commit, batch);
    kit_wait(kit);
    return commit.commit.err;
}

enum err kit_put(struct kit *kit, const char *owner, const char *kind, const char *key, const char *value)
{
    struct store_batch *batch = store_batch_new();
    store_put(batch, str_from(owner), str_from(kind), str_from(key), str_from(value));
    return kit_commit(kit, batch);
}

void kit_get(struct kit *kit, const char *owner, const char *kind, const char *key, struct kit_read *read)
{
    kit_read_start(kit, read);
    KIT_ASK(kit,
            store_get(kit->store, kit->loop, str_from(owner), str_from(kind), str_from(key), &read->read));
    kit_wait(kit);
}

void kit_get_all(struct kit *kit, const char *owner, const char *kinds, struct kit_read *read)
{
    kit_read_start(kit, read);
    KIT_ASK(kit, store_get_all(kit->store, kit->loop, str_from(owner), str_from(kinds), &read->read));
    kit_wait(kit);
}

bool kit_has(struct kit *kit, const char *owner, const char *kind, const char *key, const char *value)
{
    struct kit_read read;
    kit_get(kit, owner, kind, key, &read);
    assert_int_equal(read.read.err, OK);
    bool has = value ? read.read.count == 1 && str_eq(read.read.rows[0].value, str_from(value))
                     : read.read.count == 0;
    store_read_fini(&read.read);
    return has;
}
