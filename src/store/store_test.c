/* SPDX-License-Identifier: MIT */
/* The conformance suite: what store.h promises, asked of every backend, with threads and inline. */
#include "store/fail.h"
#include "store/testkit.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct kit_config configs[] = {
    { "memory threads", "memory:", false },         { "memory inline", "memory:", true },
    { "sqlite threads", "sqlite:", false },         { "sqlite inline", "sqlite:", true },
    { "fail memory inline", "fail:memory:", true },
};

static int set_up(void **state)
{
    struct kit *kit = NEW(struct kit);
    kit_init(kit, *state);
    *state = kit;
    return 0;
}

static int tear_down(void **state)
{
    kit_fini(*state);
    free(*state);
    return 0;
}

/* ---- Maps ---- */

static void a_value_is_set_replaced_and_removed(void **state)
{
    struct kit *kit = *state;
    assert_true(kit_has(kit, "a@x", "vcard", "", NULL));
    assert_int_equal(kit_put(kit, "a@x", "vcard", "", "<one/>"), OK);
    assert_true(kit_has(kit, "a@x", "vcard", "", "<one/>"));
    assert_int_equal(kit_put(kit, "a@x", "vcard", "", ""), OK);
    assert_true(kit_has(kit, "a@x", "vcard", "", ""));
    assert_true(kit_has(kit, "a@x", "vcard", "k", NULL));
    assert_true(kit_has(kit, "b@x", "vcard", "", NULL));
    struct store_batch *batch = store_batch_new();
    store_del(batch, STR("a@x"), STR("vcard"), STR(""));
    store_del(batch, STR("a@x"), STR("vcard"), STR("never was"));
    assert_int_equal(kit_commit(kit, batch), OK);
    assert_true(kit_has(kit, "a@x", "vcard", "", NULL));
}

static void an_empty_batch_is_fine(void **state)
{
    assert_int_equal(kit_commit(*state, store_batch_new()), OK);
    store_batch_free(store_batch_new());
    store_batch_free(NULL);
}

static void expect_row(const struct store_row *row, const char *kind, const char *key, const char *value)
{
    assert_true(str_eq(row->owner, STR("a@x")));
    assert_true(str_eq(row->kind, str_from(kind)));
    assert_true(str_eq(row->key, str_from(key)));
    assert_true(str_eq(row->value, str_from(value)));
}

static void all_kinds_asked_for_come_in_order(void **state)
{
    struct kit *kit = *state;
    struct kit_read read;
    kit_put(kit, "a@x", "roster", "z@y", "3");
    kit_put(kit, "a@x", "roster", "b", "2");
    kit_put(kit, "a@x", "roster", "", "1");
    kit_put(kit, "a@x", "account", "", "0");
    kit_put(kit, "a@x", "roster2", "", "no");
    kit_put(kit, "a@x2", "roster", "", "no");
    kit_put(kit, "a@", "roster", "", "no");
    kit_get_all(kit, "a@x", "roster, account,none,,roster", &read);
    assert_int_equal(read.read.err, OK);
    assert_int_equal(read.read.count, 4);
    expect_row(&read.read.rows[0], "account", "", "0");
    expect_row(&read.read.rows[1], "roster", "", "1");
    expect_row(&read.read.rows[2], "roster", "b", "2");
    expect_row(&read.read.rows[3], "roster", "z@y", "3");
    store_read_fini(&read.read);
    kit_get_all(kit, "a@x", "", &read);
    assert_int_equal(read.read.count, 0);
    store_read_fini(&read.read);
}

static void odd_bytes_are_kept(void **state)
{
    struct kit *kit = *state;
    static const char *const odd[] = { "\xc3\xa9\xf0\x9f\x90\xa6",
                                       "'; DROP TABLE map; --",
                                       "a%_*?[\\\"",
                                       "\1\x7f\t\r\n",
                                       "a b/c,d",
                                       "\xef\xbf\xbd" };
    for (size_t i = 0; i < COUNT_OF(odd); i++)
        for (size_t j = 0; j < COUNT_OF(odd); j++)
            assert_int_equal(kit_put(kit, odd[i], "kind", odd[j], odd[(i + j) % COUNT_OF(odd)]), OK);
    for (size_t i = 0; i < COUNT_OF(odd); i++)
        for (size_t j = 0; j < COUNT_OF(odd); j++)
            assert_true(kit_has(kit, odd[i], "kind", odd[j], odd[(i + j) % COUNT_OF(odd)]));
    assert_int_equal(kit_put(kit, "", "server", "k", "v"), OK);
    assert_true(kit_has(kit, "", "server", "k", "v"));
}

static void a_value_of_a_mebibyte_is_kept(void **state)
{
    struct kit *kit = *state;
    size_t size = 1024 * 1024;
    char *value = xmalloc(size + 1);
    for (size_t i = 0; i < size; i++)
        value[i] = (char)('a' + i * 7 % 26);
    value[size] = '\0';
    assert_int_equal(kit_put(kit, "a@x", "big", "k", value), OK);
    assert_true(kit_has(kit, "a@x", "big", "k", value));
    free(value);
}

static void what_cannot_be_kept_is_refused(void **state)
{
    struct kit *kit = *state;
    struct store_entry entry = { .id = 0, .value = STR("v"), .peer = STR("") };
    struct store_batch *batch = store_batch_new();
    store_put(batch, STR("a@x"), STR("k"), STR("before"), STR("v"));
    store_put(batch, STR("a@x"), STR("k"), STR("a\0b"), STR("v"));
    assert_int_equal(kit_commit(kit, batch), ERR_INVALID);
    assert_true(kit_has(kit, "a@x", "k", "before", NULL));
    assert_int_equal(kit_put(kit, "a@x", "", "key", "v"), ERR_INVALID);
    batch = store_batch_new();
    store_append(batch, STR("a@x"), STR("k"), &entry);
    assert_int_equal(kit_commit(kit, batch), ERR_INVALID);
    entry.id = (uint64_t)INT64_MAX + 1;
    batch = store_batch_new();
    store_append(batch, STR("a@x"), STR("k"), &entry);
    assert_int_equal(kit_commit(kit, batch), ERR_INVALID);
}

/* ---- Batches ---- */

static void a_batch_that_meets_a_key_leaves_nothing(void **state)
{
    struct kit *kit = *state;
    struct kit_commit commits[3];
    struct store_entry entry = { .id = 7, .peer = STR(""), .value = STR("v") };
    kit_put(kit, "a@x", "k", "there", "old");
    kit_put(kit, "a@x", "k", "other", "old");
    struct store_batch *before = store_batch_new(), *batch = store_batch_new(), *after = store_batch_new();
    store_put(before, STR("a@x"), STR("k"), STR("before"), STR("v"));
    store_put(batch, STR("a@x"), STR("k"), STR("new"), STR("v"));
    store_put(batch, STR("a@x"), STR("k"), STR("other"), STR("v"));
    store_append(batch, STR("a@x"), STR("k"), &entry);
    store_del(batch, STR("a@x"), STR("k"), STR("before"));
    store_put_new(batch, STR("a@x"), STR("k"), STR("fresh"), STR("v"));
    store_put_new(batch, STR("a@x"), STR("k"), STR("there"), STR("v"));
    store_put(after, STR("a@x"), STR("k"), STR("after"), STR("v"));
    kit_commit_start(kit, &commits[0], before);
    kit_commit_start(kit, &commits[1], batch);
    kit_commit_start(kit, &commits[2], after);
    kit_wait(kit);
    assert_int_equal(commits[0].commit.err, OK);
    assert_int_equal(commits[1].commit.err, ERR_EXISTS);
    assert_int_equal(commits[2].commit.err, OK);
    assert_true(kit_has(kit, "a@x", "k", "before", "v"));
    assert_true(kit_has(kit, "a@x", "k", "new", NULL));
    assert_true(kit_has(kit, "a@x", "k", "fresh", NULL));
    assert_true(kit_has(kit, "a@x", "k", "other", "old"));
    assert_true(kit_has(kit, "a@x", "k", "there", "old"));
    assert_true(kit_has(kit, "a@x", "k", "after", "v"));
    struct kit_read read;
    struct store_log_query query = { .limit = 10 };
    kit_read_start(kit, &read);
    store_log_find(kit->store, kit->loop, STR("a@x"), STR("k"), &query, &read.read);
    kit_wait(kit);
    assert_int_equal(read.read.count, 0);
    store_read_fini(&read.read);
}

static void a_key_is_new_after_it_was_removed(void **state)
{
    struct kit *kit = *state;
    kit_put(kit, "a@x", "k", "key", "old");
    struct store_batch *batch = store_batch_new();
    store_del(batch, STR("a@x"), STR("k"), STR("key"));
    store_put_new(batch, STR("a@x"), STR("k"), STR("key"), STR("new"));
    assert_int_equal(kit_commit(kit, batch), OK);
    assert_true(kit_has(kit, "a@x", "k", "key", "new"));
    batch = store_batch_new();
    store_put_new(batch, STR("a@x"), STR("k"), STR("twice"), STR("1"));
    store_put_new(batch, STR("a@x"), STR("k"), STR("twice"), STR("2"));
    assert_int_equal(kit_commit(kit, batch), ERR_EXISTS);
    assert_true(kit_has(kit, "a@x", "k", "twice", NULL));
}

static void batches_are_applied_in_order(void **state)
{
    struct kit *kit = *state;
    enum { COUNT = 300 };
    static struct kit_commit commits[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        char value[16];
        snprintf(value, sizeof value, "%u", i);
        struct store_batch *batch = store_batch_new();
        store_put(batch, STR("a@x"), STR("k"), STR("last"), str_from(value));
        if (i % 3 == 0)
            store_put_new(batch, STR("a@x"), STR("k"), str_from(value), STR(""));
        kit_commit_start(kit, &commits[i], batch);
    }
    kit_wait(kit);
    for (unsigned i = 0; i < COUNT; i++)
        assert_int_equal(commits[i].commit.err, OK);
    assert_true(kit_has(kit, "a@x", "k", "last", "299"));
}

/* Each done puts the next and looks for the last: what was answered is seen. */
struct chain {
    struct store_commit commit;
    struct store_read read;
    struct kit *kit;
    unsigned at, seen;
};

enum { CHAIN_LENGTH = 50 };

static void chain_put(struct chain *chain);

static void chain_read_done(struct store_read *read)
{
    struct chain *chain = CONTAINER_OF(read, struct chain, read);
    chain->seen += read->err == OK && read->count == 1;
    store_read_fini(read);
    if (++chain->at < CHAIN_LENGTH)
        chain_put(chain);
    else if (--chain->kit->pending == 0 && !chain->kit->sim)
        loop_stop(chain->kit->loop);
}

static str chain_key(struct chain *chain, char room[16])
{
    snprintf(room, 16, "%u", chain->at);
    return str_from(room);
}

static void chain_commit_done(struct store_commit *commit)
{
    struct chain *chain = CONTAINER_OF(commit, struct chain, commit);
    char room[16];
    assert_int_equal(commit->err, OK);
    chain->read.done = chain_read_done;
    store_get(chain->kit->store, chain->kit->loop, STR("a@x"), STR("k"), chain_key(chain, room),
              &chain->read);
}

static void chain_put(struct chain *chain)
{
    char room[16];
    struct store_batch *batch = store_batch_new();
    store_put(batch, STR("a@x"), STR("k"), chain_key(chain, room), STR("v"));
    chain->commit.done = chain_commit_done;
    store_commit(chain->kit->store, chain->kit->loop, batch, &chain->commit);
}

static void a_read_sees_what_was_answered(void **state)
{
    struct kit *kit = *state;
    struct chain chain = { .kit = kit };
    kit->pending++;
    chain_put(&chain);
    kit_wait(kit);
    assert_int_equal(chain.seen, CHAIN_LENGTH);
}

/* ---- Owners ---- */

static void read_owners(struct kit *kit, const char *key, const char *after, size_t limit,
                        struct kit_read *read)
{
    kit_read_start(kit, read);
    KIT_ASK(kit, store_owners(kit->store, kit->loop, STR("account"), str_from(key), str_from(after), limit,
                              &read->read));
    kit_wait(kit);
    assert_int_equal(read->read.err, OK);
}

static void page_through_owners(struct kit *kit, const char *key, unsigned count)
{
    char after[32] = "", expected[32];
    unsigned seen = 0;
    for (unsigned page = 0; page <= count / 7 + 1; page++) {
        struct kit_read read;
        read_owners(kit, key, after, 7, &read);
        assert_true(read.read.count <= 7);
        for (size_t i = 0; i < read.read.count; i++, seen++) {
            snprintf(expected, sizeof expected, "user%04u@x", seen);
            assert_true(str_eq(read.read.rows[i].owner, str_from(expected)));
            assert_true(str_eq(read.read.rows[i].key, str_from(key)));
            str_copy(read.read.rows[i].owner, after, sizeof after);
        }
        store_read_fini(&read.read);
    }
    assert_int_equal(seen, count);
}

static void owners_are_paged_through(void **state)
{
    struct kit *kit = *state;
    enum { OWNERS = 200 };
    struct store_batch *batch = store_batch_new();
    for (unsigned i = 0; i < OWNERS; i++) {
        char owner[32];
        snprintf(owner, sizeof owner, "user%04u@x", (i * 37) % OWNERS);
        store_put(batch, str_from(owner), STR("account"), STR(""), STR("v"));
        store_put(batch, str_from(owner), STR("account"), STR("named"), STR("v"));
        store_put(batch, str_from(owner), STR("roster"), STR(""), STR("v"));
        snprintf(owner, sizeof owner, "user%04u@x\1", i);
        store_put(batch, str_from(owner), STR("other"), STR(""), STR("v"));
    }
    assert_int_equal(kit_commit(kit, batch), OK);
    page_through_owners(kit, "", OWNERS);
    page_through_owners(kit, "named", OWNERS);
    page_through_owners(kit, "nobody has it", 0);
}

/* ---- Removing ---- */

static void fill(struct kit *kit, const char *owner, const char *kind)
{
    struct store_entry entry = { .id = 1, .peer = STR("p"), .value = STR("v") };
    struct store_batch *batch = store_batch_new();
    store_put(batch, str_from(owner), str_from(kind), STR(""), STR("v"));
    store_put(batch, str_from(owner), str_from(kind), STR("k"), STR("v"));
    store_append(batch, str_from(owner), str_from(kind), &entry);
    assert_int_equal(kit_commit(kit, batch), OK);
}

static unsigned left(struct kit *kit, const char *owner, const char *kind)
{
    struct kit_read map, log;
    struct store_log_query query = { .limit = 10 };
    kit_get_all(kit, owner, kind, &map);
    kit_read_start(kit, &log);
    store_log_find(kit->store, kit->loop, str_from(owner), str_from(kind), &query, &log.read);
    kit_wait(kit);
    unsigned count = (unsigned)(map.read.count + log.read.count);
    store_read_fini(&map.read);
    store_read_fini(&log.read);
    return count;
}

static void a_kind_or_an_owner_is_removed_whole(void **state)
{
    struct kit *kit = *state;
    fill(kit, "a@x", "k");
    fill(kit, "a@x", "kk");
    fill(kit, "a@x", "j");
    fill(kit, "a@xx", "k");
    struct store_batch *batch = store_batch_new();
    store_del_all(batch, STR("a@x"), STR("k"));
    assert_int_equal(kit_commit(kit, batch), OK);
    assert_int_equal(left(kit, "a@x", "k"), 0);
    assert_int_equal(left(kit, "a@x", "kk"), 3);
    assert_int_equal(left(kit, "a@xx", "k"), 3);
    batch = store_batch_new();
    store_del_all(batch, STR("a@x"), STR(""));
    store_put(batch, STR("a@x"), STR("j"), STR("after"), STR("v"));
    assert_int_equal(kit_commit(kit, batch), OK);
    assert_int_equal(left(kit, "a@x", "kk"), 0);
    assert_int_equal(left(kit, "a@x", "j"), 1);
    assert_int_equal(left(kit, "a@xx", "k"), 3);
}

/* ---- Logs ---- */

static void find(struct kit *kit, struct store_log_query query, struct kit_read *read)
{
    kit_read_start(kit, read);
    KIT_ASK(kit, store_log_find(kit->store, kit->loop, STR("a@x"), STR("archive"), &query, &read->read));
    kit_wait(kit);
    assert_int_equal(read->read.err, OK);
}

/* Expects exactly these ids, ended by 0. */
static void expect_ids(struct kit *kit, struct store_log_query query, const uint64_t *ids)
{
    struct kit_read read;
    size_t count = 0;
    if (!query.limit)
        query.limit = 1000;
    find(kit, query, &read);
    for (; ids[count]; count++) {
        assert_true(count < read.read.count);
        assert_int_equal(read.read.entries[count].id, ids[count]);
    }
    assert_int_equal(read.read.count, count);
    store_read_fini(&read.read);
}

#define IDS(...) ((const uint64_t[]){ __VA_ARGS__ })

static void append_one(struct store_batch *batch, uint64_t id, int64_t time_ms, const char *peer,
                       const char *value)
{
    struct store_entry entry = {
        .id = id, .time_ms = time_ms, .peer = str_from(peer), .value = str_from(value)
    };
    store_append(batch, STR("a@x"), STR("archive"), &entry);
}

/* Ids 10, 20 ... 100; time 1000 + id, but for 50, which was late; peers b, c, none in turn. */
static void fill_log(struct kit *kit)
{
    static const char *const peers[] = { "b@x", "c@x", "" };
    struct store_batch *batch = store_batch_new();
    for (uint64_t id = 10; id <= 100; id += 10)
        append_one(batch, id, id == 50 ? 1005 : 1000 + (int64_t)id, peers[id / 10 % 3], "<v/>");
    assert_int_equal(kit_commit(kit, batch), OK);
}

static void a_log_keeps_entries_by_id(void **state)
{
    struct kit *kit = *state;
    struct kit_read read;
    fill_log(kit);
    struct store_batch *batch = store_batch_new();
    append_one(batch, 100, 5, "other", "again");
    append_one(batch, INT64_MAX, -5, "b@x", "last");
    assert_int_equal(kit_commit(kit, batch), OK);
    find(kit, (struct store_log_query){ .after_id = 90, .limit = 10 }, &read);
    assert_int_equal(read.read.count, 2);
    struct store_entry *entries = read.read.entries;
    assert_true(entries[0].id == 100 && entries[0].time_ms == 1100);
    assert_true(str_is(entries[0].peer, "c@x") && str_is(entries[0].value, "<v/>"));
    assert_true(entries[1].id == INT64_MAX && entries[1].time_ms == -5);
    store_read_fini(&read.read);
    expect_ids(kit, (struct store_log_query){ .after_id = INT64_MAX }, IDS(0));
    expect_ids(kit, (struct store_log_query){ .after_id = UINT64_MAX }, IDS(0));
    expect_ids(kit, (struct store_log_query){ .after_id = 100, .before_id = UINT64_MAX }, IDS(INT64_MAX, 0));
    expect_ids(kit, (struct store_log_query){ .after_id = 100, .before_id = INT64_MAX }, IDS(0));
}

static enum err append_all(struct kit *kit, const uint64_t *ids, const char *key)
{
    struct store_batch *batch = store_batch_new();
    for (; *ids; ids++)
        append_one(batch, *ids, 1, "b@x", "v");
    if (key)
        store_put_new(batch, STR("a@x"), STR("k"), str_from(key), STR("v"));
    return kit_commit(kit, batch);
}

/* Also of ids below the highest, above one that was undone, and of entries that were removed meanwhile. */
static void an_id_is_kept_once_in_any_order(void **state)
{
    struct kit *kit = *state;
    struct store_batch *batch = store_batch_new();
    assert_int_equal(append_all(kit, IDS(50, 30, 50, 40, 30, 0), NULL), OK);
    expect_ids(kit, (struct store_log_query){ 0 }, IDS(30, 40, 50, 0));
    kit_put(kit, "a@x", "k", "there", "v");
    assert_int_equal(append_all(kit, IDS(45, 70, 0), "there"), ERR_EXISTS);
    assert_int_equal(append_all(kit, IDS(70, 45, 60, 60, 0), NULL), OK);
    expect_ids(kit, (struct store_log_query){ 0 }, IDS(30, 40, 45, 50, 60, 70, 0));
    store_log_del(batch, STR("a@x"), STR("archive"), 60, 70);
    assert_int_equal(kit_commit(kit, batch), OK);
    assert_int_equal(append_all(kit, IDS(60, 50, 60, 0), NULL), OK);
    expect_ids(kit, (struct store_log_query){ 0 }, IDS(30, 40, 45, 50, 60, 0));
    batch = store_batch_new();
    store_del_all(batch, STR("a@x"), STR("archive"));
    append_one(batch, 40, 1, "b@x", "v");
    assert_int_equal(kit_commit(kit, batch), OK);
    assert_int_equal(append_all(kit, IDS(30, 40, 50, 0), NULL), OK);
    expect_ids(kit, (struct store_log_query){ 0 }, IDS(30, 40, 50, 0));
}

/* What was there when the store was opened counts too. */
static void an_id_is_kept_once_after_a_restart(void **state)
{
    struct kit *kit = *state;
    if (strncmp(kit->config->scheme, "sqlite:", 7) != 0)
        return;
    assert_int_equal(append_all(kit, IDS(20, 50, 0), NULL), OK);
    kit_reopen(kit);
    assert_int_equal(append_all(kit, IDS(20, 30, 50, 60, 0), NULL), OK);
    expect_ids(kit, (struct store_log_query){ 0 }, IDS(20, 30, 50, 60, 0));
}

static void a_log_is_asked_by_id_and_paged(void **state)
{
    struct kit *kit = *state;
    fill_log(kit);
    typedef struct store_log_query query;
    expect_ids(kit, (query){ 0 }, IDS(10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 0));
    expect_ids(kit, (query){ .limit = 3 }, IDS(10, 20, 30, 0));
    expect_ids(kit, (query){ .limit = 3, .after_id = 30 }, IDS(40, 50, 60, 0));
    expect_ids(kit, (query){ .limit = 3, .after_id = 90 }, IDS(100, 0));
    expect_ids(kit, (query){ .limit = 3, .after_id = 100 }, IDS(0));
    expect_ids(kit, (query){ .limit = 3, .last = true }, IDS(80, 90, 100, 0));
    expect_ids(kit, (query){ .limit = 3, .last = true, .before_id = 80 }, IDS(50, 60, 70, 0));
    expect_ids(kit, (query){ .limit = 3, .last = true, .before_id = 20 }, IDS(10, 0));
    expect_ids(kit, (query){ .after_id = 25, .before_id = 60 }, IDS(30, 40, 50, 0));
    expect_ids(kit, (query){ .after_id = 60, .before_id = 60 }, IDS(0));
    expect_ids(kit, (query){ .before_id = 1 }, IDS(0));
}

static void a_log_is_asked_by_time_and_peer(void **state)
{
    struct kit *kit = *state;
    fill_log(kit);
    typedef struct store_log_query query;
    expect_ids(kit, (query){ .from_ms = 1080 }, IDS(80, 90, 100, 0));
    expect_ids(kit, (query){ .to_ms = 1030 }, IDS(10, 20, 30, 50, 0));
    expect_ids(kit, (query){ .from_ms = 1040, .to_ms = 1060 }, IDS(40, 60, 0));
    expect_ids(kit, (query){ .from_ms = 1040, .limit = 2 }, IDS(40, 60, 0));
    expect_ids(kit, (query){ .to_ms = 1040, .limit = 2, .last = true }, IDS(40, 50, 0));
    expect_ids(kit, (query){ .to_ms = 1040, .after_id = 20, .before_id = 50 }, IDS(30, 40, 0));
    expect_ids(kit, (query){ .peer = STR("b@x") }, IDS(30, 60, 90, 0));
    expect_ids(kit, (query){ .peer = STR("b@x"), .limit = 2, .last = true }, IDS(60, 90, 0));
    expect_ids(kit, (query){ .peer = STR("b@x"), .limit = 1, .after_id = 30 }, IDS(60, 0));
    expect_ids(kit, (query){ .peer = STR("c@x"), .from_ms = 1020 }, IDS(40, 70, 100, 0));
    expect_ids(kit, (query){ .peer = STR("c@x"), .to_ms = 1070, .after_id = 10 }, IDS(40, 70, 0));
    expect_ids(kit, (query){ .peer = STR("") }, IDS(20, 50, 80, 0));
    expect_ids(kit, (query){ .peer = STR("nobody") }, IDS(0));
}

static void expect_total(struct kit *kit, struct store_log_query query, unsigned total, unsigned count)
{
    struct kit_read read;
    query.count = true;
    find(kit, query, &read);
    assert_int_equal(read.read.total, total);
    assert_int_equal(read.read.count, count);
    store_read_fini(&read.read);
}

static void a_log_counts_what_matches(void **state)
{
    struct kit *kit = *state;
    expect_total(kit, (struct store_log_query){ .limit = 3 }, 0, 0);
    fill_log(kit);
    expect_total(kit, (struct store_log_query){ .limit = 3 }, 10, 3);
    expect_total(kit, (struct store_log_query){ .limit = 3, .last = true, .after_id = 80 }, 2, 2);
    expect_total(kit, (struct store_log_query){ .limit = 1, .peer = STR("b@x") }, 3, 1);
    expect_total(kit, (struct store_log_query){ .limit = 1, .peer = STR("b@x"), .from_ms = 1050 }, 2, 1);
    expect_total(kit, (struct store_log_query){ .limit = 9, .to_ms = 1030 }, 4, 4);
}

static void entries_are_removed_by_range(void **state)
{
    struct kit *kit = *state;
    fill_log(kit);
    struct store_batch *batch = store_batch_new();
    store_log_del(batch, STR("a@x"), STR("archive"), 15, 40);
    store_log_del(batch, STR("a@x"), STR("archive"), 100, UINT64_MAX);
    store_log_del(batch, STR("a@x"), STR("archive"), UINT64_MAX, UINT64_MAX);
    store_log_del(batch, STR("a@x"), STR("archive"), 90, 80);
    assert_int_equal(kit_commit(kit, batch), OK);
    expect_ids(kit, (struct store_log_query){ 0 }, IDS(10, 50, 60, 70, 80, 90, 0));
    batch = store_batch_new();
    store_log_del(batch, STR("a@x"), STR("archive"), 0, UINT64_MAX);
    append_one(batch, 5, 1, "", "v");
    assert_int_equal(kit_commit(kit, batch), OK);
    expect_ids(kit, (struct store_log_query){ 0 }, IDS(5, 0));
}

static void old_entries_are_removed(void **state)
{
    struct kit *kit = *state;
    fill_log(kit);
    struct store_batch *batch = store_batch_new();
    store_log_expire(batch, STR("a@x"), STR("archive"), 1030);
    store_log_expire(batch, STR("a@x"), STR("other"), INT64_MAX);
    store_log_expire(batch, STR("b@x"), STR("archive"), INT64_MAX);
    assert_int_equal(kit_commit(kit, batch), OK);
    expect_ids(kit, (struct store_log_query){ 0 }, IDS(30, 40, 60, 70, 80, 90, 100, 0));
    batch = store_batch_new();
    store_log_expire(batch, STR("a@x"), STR("archive"), INT64_MAX);
    assert_int_equal(kit_commit(kit, batch), OK);
    expect_ids(kit, (struct store_log_query){ 0 }, IDS(0));
}

static void entries_are_found_by_a_list_of_ids(void **state)
{
    struct kit *kit = *state;
    fill_log(kit);
    typedef struct store_log_query query;
    const uint64_t ids[] = { 70, 10, 55, 10, UINT64_MAX, 0, 40 };
    expect_ids(kit, (query){ .ids = ids, .id_count = COUNT_OF(ids) }, IDS(10, 40, 70, 0));
    expect_ids(kit, (query){ .ids = ids, .id_count = COUNT_OF(ids), .limit = 2 }, IDS(10, 40, 0));
    expect_ids(kit, (query){ .ids = ids, .id_count = 0 }, IDS(0));
}

static void counting_reads_no_entry(void **state)
{
    struct kit *kit = *state;
    fill_log(kit);
    struct kit_read read;
    find(kit, (struct store_log_query){ .count = true }, &read);
    assert_int_equal(read.read.count, 0);
    assert_int_equal(read.read.total, 10);
    store_read_fini(&read.read);
}

static void append_words(struct store_batch *batch, const char *owner, uint64_t id, const char *peer,
                         const char *text)
{
    struct store_entry entry = { .id = id,
                                 .time_ms = 1000 + (int64_t)id,
                                 .peer = str_from(peer),
                                 .value = STR("<v/>"),
                                 .text = str_from(text) };
    store_append(batch, str_from(owner), STR("archive"), &entry);
}

static void entries_are_found_by_their_words(void **state)
{
    struct kit *kit = *state;
    struct store_batch *batch = store_batch_new();
    append_words(batch, "a@x", 1, "b@x", "Meet me at the Harbour, at noon");
    append_words(batch, "a@x", 2, "c@x", "which harbour?");
    append_words(batch, "a@x", 3, "b@x", "\"NOON\" (sharp)");
    append_words(batch, "a@x", 4, "b@x", "");
    append_words(batch, "a@x", 5, "b@x", "harbours at noon");
    append_words(batch, "b@x", 6, "a@x", "the harbour at noon");
    append_words(batch, "a@x", 1, "b@x", "twice: zebra");
    assert_int_equal(kit_commit(kit, batch), OK);
    typedef struct store_log_query query;
    expect_ids(kit, (query){ .text = STR("harbour") }, IDS(1, 2, 0));
    expect_ids(kit, (query){ .text = STR("noon HARBOUR") }, IDS(1, 0));
    expect_ids(kit, (query){ .text = STR("noon") }, IDS(1, 3, 5, 0));
    expect_ids(kit, (query){ .text = STR("noon"), .limit = 2 }, IDS(1, 3, 0));
    expect_ids(kit, (query){ .text = STR("noon"), .limit = 2, .last = true }, IDS(3, 5, 0));
    expect_ids(kit, (query){ .text = STR("noon"), .after_id = 1, .before_id = 5 }, IDS(3, 0));
    expect_ids(kit, (query){ .text = STR("noon"), .to_ms = 1003 }, IDS(1, 3, 0));
    expect_ids(kit, (query){ .text = STR("harbour"), .peer = STR("c@x") }, IDS(2, 0));
    expect_ids(kit, (query){ .text = STR("zebra") }, IDS(0));
    expect_ids(kit, (query){ .text = STR("x\" OR noon*:-(") }, IDS(0));
    expect_ids(kit, (query){ .text = STR(" ?! ") }, IDS(0));
    expect_ids(kit, (query){ .text = STR("") }, IDS(0));
    expect_total(kit, (query){ .text = STR("noon"), .limit = 1 }, 3, 1);
    batch = store_batch_new();
    store_log_del(batch, STR("a@x"), STR("archive"), 1, 3);
    assert_int_equal(kit_commit(kit, batch), OK);
    expect_ids(kit, (query){ .text = STR("noon") }, IDS(5, 0));
}

static void owners_of_logs_are_paged_through(void **state)
{
    struct kit *kit = *state;
    struct kit_read read;
    struct store_batch *batch = store_batch_new();
    struct store_entry entry = { .id = 1, .value = STR("v") };
    store_append(batch, STR("a@x"), STR("archive"), &entry);
    store_append(batch, STR("b@x"), STR("other"), &entry);
    store_append(batch, STR("c@x"), STR("archive"), &entry);
    store_append(batch, STR("d@x"), STR("archive"), &entry);
    store_put(batch, STR("e@x"), STR("archive"), STR(""), STR("v"));
    assert_int_equal(kit_commit(kit, batch), OK);
    kit_read_start(kit, &read);
    KIT_ASK(kit, store_log_owners(kit->store, kit->loop, STR("archive"), STR(""), 2, &read.read));
    kit_wait(kit);
    assert_int_equal(read.read.count, 2);
    assert_true(str_is(read.read.rows[0].owner, "a@x") && str_is(read.read.rows[1].owner, "c@x"));
    store_read_fini(&read.read);
    kit_read_start(kit, &read);
    KIT_ASK(kit, store_log_owners(kit->store, kit->loop, STR("archive"), STR("c@x"), 2, &read.read));
    kit_wait(kit);
    assert_int_equal(read.read.count, 1);
    assert_true(str_is(read.read.rows[0].owner, "d@x"));
    store_read_fini(&read.read);
}

/* ---- Ranges of keys ---- */

/* Expects these keys, with spaces between them. */
static void expect_keys(struct kit *kit, struct store_map_query query, const char *keys, unsigned total)
{
    struct kit_read read;
    str rest = keys[0] ? str_from(keys) : str_none;
    query.count = true;
    kit_read_start(kit, &read);
    KIT_ASK(kit, store_get_range(kit->store, kit->loop, STR("a@x"), STR("item"), &query, &read.read));
    kit_wait(kit);
    assert_int_equal(read.read.err, OK);
    for (size_t i = 0; i < read.read.count; i++) {
        str key = str_cut(&rest, ' ');
        assert_true(key.p && str_eq(read.read.rows[i].key, key));
        assert_true(str_is(read.read.rows[i].value, "v") == !query.keys_only);
    }
    assert_null(rest.p);
    assert_int_equal(read.read.total, total);
    store_read_fini(&read.read);
}

static void fill_keys(struct kit *kit)
{
    static const char *const keys[] = { "n", "n/1", "n/2", "n/3", "n/\xc3\xa9", "n0", "m/1", "" };
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        kit_put(kit, "a@x", "item", keys[i], "v");
    kit_put(kit, "a@x", "items", "n/9", "v");
    kit_put(kit, "a@x", "ite", "n/9", "v");
    kit_put(kit, "b@x", "item", "n/9", "v");
}

static void keys_are_paged_through(void **state)
{
    struct kit *kit = *state;
    typedef struct store_map_query query;
    fill_keys(kit);
    expect_keys(kit, (query){ .prefix = STR("n/"), .limit = 9 }, "n/1 n/2 n/3 n/\xc3\xa9", 4);
    expect_keys(kit, (query){ .prefix = STR("n/"), .limit = 9, .keys_only = true }, "n/1 n/2 n/3 n/\xc3\xa9",
                4);
    expect_keys(kit, (query){ .prefix = STR("n/"), .limit = 2 }, "n/1 n/2", 4);
    expect_keys(kit, (query){ .prefix = STR("n/"), .limit = 2, .after = STR("n/1") }, "n/2 n/3", 3);
    expect_keys(kit, (query){ .prefix = STR("n/"), .limit = 2, .last = true, .before = STR("n/3") },
                "n/1 n/2", 2);
    expect_keys(kit, (query){ .prefix = STR("n/"), .limit = 1, .last = true, .before = STR("n/3") }, "n/2",
                2);
    expect_keys(kit, (query){ .prefix = STR("n/"), .after = STR("m/1"), .limit = 1 }, "n/1", 4);
    expect_keys(kit, (query){ .prefix = STR("n/"), .after = STR("n0"), .limit = 9 }, "", 0);
    expect_keys(kit, (query){ .prefix = STR("n/"), .before = STR("m"), .limit = 9 }, "", 0);
    expect_keys(kit, (query){ .prefix = STR("n/") }, "", 4);
    expect_keys(kit, (query){ .after = STR("n/3"), .limit = 9 }, "n/\xc3\xa9 n0", 2);
    expect_keys(kit, (query){ .limit = 100, .before = STR("n"), .after = STR("a") }, "m/1", 1);
    expect_keys(kit, (query){ .prefix = STR("none"), .limit = 9 }, "", 0);
}

static void keys_are_removed_by_prefix(void **state)
{
    struct kit *kit = *state;
    fill_keys(kit);
    struct store_batch *batch = store_batch_new();
    store_del_prefix(batch, STR("a@x"), STR("item"), STR("n/"));
    assert_int_equal(kit_commit(kit, batch), OK);
    expect_keys(kit, (struct store_map_query){ .after = STR("a"), .limit = 9 }, "m/1 n n0", 3);
    assert_true(kit_has(kit, "a@x", "items", "n/9", "v"));
    assert_true(kit_has(kit, "b@x", "item", "n/9", "v"));
}

/* ---- Many at once ---- */

static void many_reads_at_once_all_come_back(void **state)
{
    struct kit *kit = *state;
    enum { READS = 200 };
    static struct kit_read reads[READS];
    kit_put(kit, "a@x", "k", "key", "v");
    for (unsigned i = 0; i < READS; i++) {
        kit_read_start(kit, &reads[i]);
        KIT_ASK(kit, store_get(kit->store, kit->loop, STR("a@x"), STR("k"), i % 2 ? STR("key") : STR("none"),
                               &reads[i].read));
    }
    kit_wait(kit);
    struct store_stats stats;
    store_stats(kit->store, &stats);
    assert_int_equal(stats.reads, READS);
    assert_int_equal(stats.queued_reads, 0);
    for (unsigned i = 0; i < READS; i++) {
        assert_int_equal(reads[i].read.err, OK);
        assert_int_equal(reads[i].read.count, i % 2);
        store_read_fini(&reads[i].read);
    }
}

static void what_was_asked_before_closing_is_completed(void **state)
{
    struct kit *kit = *state;
    enum { COUNT = 100 };
    static struct kit_commit commits[COUNT];
    struct kit_read read;
    for (unsigned i = 0; i < COUNT; i++) {
        struct store_batch *batch = store_batch_new();
        store_put(batch, STR("a@x"), STR("k"), STR("key"), STR("v"));
        kit_commit_start(kit, &commits[i], batch);
    }
    kit_read_start(kit, &read);
    store_get(kit->store, kit->loop, STR("a@x"), STR("k"), STR("key"), &read.read);
    store_close(kit->store);
    kit->store = NULL;
    kit_wait(kit);
    for (unsigned i = 0; i < COUNT; i++)
        assert_true(commits[i].done && commits[i].commit.err == OK);
    assert_true(read.done);
    assert_int_equal(read.read.err, OK);
    store_read_fini(&read.read);
}

/* A loop of its own on a thread of its own, beside the test's. */
struct other {
    struct kit kit;
    unsigned failed;
};

enum { OTHER_COMMITS = 300 };

static void commit_many(struct kit *kit, const char *owner, unsigned *failed)
{
    struct kit_commit *commits = xcalloc(OTHER_COMMITS, sizeof *commits);
    for (unsigned i = 0; i < OTHER_COMMITS; i++) {
        char key[16];
        snprintf(key, sizeof key, "%u", i);
        struct store_batch *batch = store_batch_new();
        store_put(batch, str_from(owner), STR("k"), str_from(key), STR("v"));
        store_put(batch, str_from(owner), STR("k"), STR("last"), str_from(key));
        kit_commit_start(kit, &commits[i], batch);
        if (i % 20 == 19)
            kit_wait(kit);
    }
    kit_wait(kit);
    for (unsigned i = 0; i < OTHER_COMMITS; i++)
        *failed += commits[i].commit.err != OK;
    free(commits);
}

static void *other_main(void *arg)
{
    struct other *other = arg;
    other->kit.loop = loop_new();
    commit_many(&other->kit, "other@x", &other->failed);
    loop_free(other->kit.loop);
    return NULL;
}

static void two_loops_commit_at_once(void **state)
{
    struct kit *kit = *state;
    if (kit->sim)
        skip();
    struct other other = { .kit = { .store = kit->store } };
    struct kit_read read;
    unsigned failed = 0;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, other_main, &other), 0);
    commit_many(kit, "mine@x", &failed);
    pthread_join(thread, NULL);
    assert_int_equal(failed + other.failed, 0);
    assert_true(kit_has(kit, "other@x", "k", "last", "299"));
    assert_true(kit_has(kit, "mine@x", "k", "last", "299"));
    kit_get_all(kit, "other@x", "k", &read);
    assert_int_equal(read.read.count, OTHER_COMMITS + 1);
    store_read_fini(&read.read);
    struct store_stats stats;
    store_stats(kit->store, &stats);
    assert_int_equal(stats.batches, 2 * OTHER_COMMITS);
    assert_int_equal(stats.queued_batches, 0);
    assert_int_equal(stats.queued_bytes, 0);
}

static const struct {
    const char *name;
    CMUnitTestFunction run;
} cases[] = {
#define CASE(name)                                                                                           \
    {                                                                                                        \
#name, name                                                                                          \
    }
    CASE(a_value_is_set_replaced_and_removed),
    CASE(an_empty_batch_is_fine),
    CASE(all_kinds_asked_for_come_in_order),
    CASE(odd_bytes_are_kept),
    CASE(a_value_of_a_mebibyte_is_kept),
    CASE(what_cannot_be_kept_is_refused),
    CASE(a_batch_that_meets_a_key_leaves_nothing),
    CASE(a_key_is_new_after_it_was_removed),
    CASE(batches_are_applied_in_order),
    CASE(a_read_sees_what_was_answered),
    CASE(owners_are_paged_through),
    CASE(a_kind_or_an_owner_is_removed_whole),
    CASE(a_log_keeps_entries_by_id),
    CASE(an_id_is_kept_once_in_any_order),
    CASE(an_id_is_kept_once_after_a_restart),
    CASE(a_log_is_asked_by_id_and_paged),
    CASE(a_log_is_asked_by_time_and_peer),
    CASE(a_log_counts_what_matches),
    CASE(entries_are_removed_by_range),
    CASE(old_entries_are_removed),
    CASE(entries_are_found_by_a_list_of_ids),
    CASE(counting_reads_no_entry),
    CASE(entries_are_found_by_their_words),
    CASE(owners_of_logs_are_paged_through),
    CASE(keys_are_paged_through),
    CASE(keys_are_removed_by_prefix),
    CASE(many_reads_at_once_all_come_back),
    CASE(what_was_asked_before_closing_is_completed),
    CASE(two_loops_commit_at_once),
};

int main(void)
{
    struct CMUnitTest tests[COUNT_OF(cases)];
    int failed = 0;
    for (size_t c = 0; c < COUNT_OF(configs); c++) {
        for (size_t i = 0; i < COUNT_OF(cases); i++)
            tests[i] = (struct CMUnitTest){ .name = cases[i].name,
                                            .test_func = cases[i].run,
                                            .setup_func = set_up,
                                            .teardown_func = tear_down,
                                            .initial_state = (void *)&configs[c] };
        failed += _cmocka_run_group_tests(configs[c].name, tests, COUNT_OF(tests), NULL, NULL);
    }
    return failed;
}
