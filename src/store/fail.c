/* SPDX-License-Identifier: MIT */
/* A backend that fails as it is told and hands everything else on to the backend that it wraps.
 *
 * A call that is to fail does not reach the wrapped backend: a failed commit is one that never happened, and
 * the rollback that the front then asks for (rollbacks never fail) undoes it there. What this cannot show is
 * a commit that happened although an error was reported; no caller may rely on either. */
#include "store/fail.h"
#include "store/driver.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

struct fail {
    struct store_db db;
    struct store_db *inner;
    pthread_mutex_t lock; /* over the plan and the count */
    enum store_fail_call call;
    unsigned left; /* 1: the next one fails; 0: none does */
    bool stays;
    enum err err;
    bool paused;
    unsigned calls, failures;
    bool held; /* the pace: set by the test's thread alone */
    unsigned delay_ms;
};

struct fail_conn {
    struct store_conn conn;
    struct store_conn *inner;
};

/* Counts a call and tells what it shall answer. */
static enum err told(struct store_db *db, enum store_fail_call call)
{
    struct fail *fail = (struct fail *)db;
    enum err err = OK;
    pthread_mutex_lock(&fail->lock);
    fail->calls += !fail->paused;
    if (!fail->paused && fail->left && (fail->call == FAIL_ANY || fail->call == call)) {
        if (fail->left == 1)
            err = fail->err;
        fail->failures += err != OK;
        if (fail->left > 1 || !fail->stays)
            fail->left--;
    }
    pthread_mutex_unlock(&fail->lock);
    return err;
}

static struct store_conn *inner_of(struct store_conn *conn)
{
    return ((struct fail_conn *)conn)->inner;
}

static enum err fail_connect(struct store_db *db, bool writes, struct store_conn **ret_conn)
{
    struct store_db *inner = ((struct fail *)db)->inner;
    struct store_conn *conn;
    enum err err = told(db, FAIL_CONNECT);
    if (!err)
        err = inner->driver->connect(inner, writes, &conn);
    if (err)
        return err;
    struct fail_conn *fc = NEW(struct fail_conn);
    fc->conn.db = db;
    fc->inner = conn;
    *ret_conn = &fc->conn;
    return OK;
}

static void fail_disconnect(struct store_conn *conn)
{
    struct store_conn *inner = inner_of(conn);
    inner->db->driver->disconnect(inner);
    free(conn);
}

static enum err fail_begin(struct store_conn *conn)
{
    struct store_conn *inner = inner_of(conn);
    enum err err = told(conn->db, FAIL_BEGIN);
    return err ? err : inner->db->driver->begin(inner);
}

static enum err fail_apply(struct store_conn *conn, const struct store_batch *batch)
{
    struct store_conn *inner = inner_of(conn);
    enum err err = told(conn->db, FAIL_APPLY);
    return err ? err : inner->db->driver->apply(inner, batch);
}

static enum err fail_commit(struct store_conn *conn)
{
    struct store_conn *inner = inner_of(conn);
    enum err err = told(conn->db, FAIL_COMMIT);
    return err ? err : inner->db->driver->commit(inner);
}

static void fail_rollback(struct store_conn *conn)
{
    struct store_conn *inner = inner_of(conn);
    inner->db->driver->rollback(inner);
}

static enum err fail_read(struct store_conn *conn, const struct store_request *request,
                          struct store_read *read)
{
    struct store_conn *inner = inner_of(conn);
    enum err err = told(conn->db, FAIL_READ);
    return err ? err : inner->db->driver->read(inner, request, read);
}

/* ---- Opening: the plan in the url ---- */

static enum err err_named(str name)
{
    static const struct {
        const char *name;
        enum err err;
    } names[] = { { "io", ERR_IO }, { "full", ERR_FULL }, { "timeout", ERR_TIMEOUT } };
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (str_eq(name, str_from(names[i].name)))
            return names[i].err;
    return ERR_IO;
}

/* Reads "n=3,err=io:" if it is there; returns where the wrapped url begins. */
static const char *read_plan(struct fail *fail, const char *place)
{
    str plan = str_sub(str_from(place), 0, str_find(str_from(place), ':'));
    size_t plan_len = plan.len;
    if (str_find(plan, '=') == plan.len)
        return place;
    fail->err = ERR_IO;
    while (plan.p) {
        str value = str_cut(&plan, ','), name = str_cut(&value, '=');
        uint64_t number;
        if (str_is(name, "n") && str_to_u64(value, UINT32_MAX, &number))
            fail->left = (unsigned)number;
        if (str_is(name, "err"))
            fail->err = err_named(value);
    }
    return place + plan_len + (place[plan_len] == ':');
}

static enum err fail_open(const char *place, char *why, size_t why_room, struct store_db **ret_db)
{
    struct fail *fail = NEW(struct fail);
    const char *url = read_plan(fail, place);
    enum err err = store_db_open(url, why, why_room, &fail->inner);
    if (err) {
        free(fail);
        return err;
    }
    fail->db.driver = &store_fail;
    pthread_mutex_init(&fail->lock, NULL);
    *ret_db = &fail->db;
    return OK;
}

static void fail_close(struct store_db *db)
{
    struct fail *fail = (struct fail *)db;
    fail->inner->driver->close(fail->inner);
    pthread_mutex_destroy(&fail->lock);
    free(fail);
}

static void fail_rest(struct store_conn *conn)
{
    struct store_conn *inner = inner_of(conn);
    if (inner->db->driver->rest)
        inner->db->driver->rest(inner);
}

static int64_t fail_newest_ms(struct store_conn *conn)
{
    struct store_conn *inner = ((struct fail_conn *)conn)->inner;
    return inner->db->driver->newest_ms ? inner->db->driver->newest_ms(inner) : 0;
}

const struct store_driver store_fail = {
    .scheme = "fail:",
    .open = fail_open,
    .close = fail_close,
    .connect = fail_connect,
    .disconnect = fail_disconnect,
    .begin = fail_begin,
    .apply = fail_apply,
    .commit = fail_commit,
    .rollback = fail_rollback,
    .read = fail_read,
    .rest = fail_rest,
    .newest_ms = fail_newest_ms,
};

/* ---- Control ---- */

static struct fail *fail_of(struct store *store)
{
    struct store_db *db = store_db_of(store);
    assert(db->driver == &store_fail);
    return (struct fail *)db;
}

static void set_plan(struct store *store, enum store_fail_call call, unsigned n, enum err err, bool stays)
{
    struct fail *fail = fail_of(store);
    pthread_mutex_lock(&fail->lock);
    fail->call = call;
    fail->left = n;
    fail->err = err;
    fail->stays = stays;
    pthread_mutex_unlock(&fail->lock);
}

void store_fail_nth(struct store *store, enum store_fail_call call, unsigned n, enum err err)
{
    set_plan(store, call, n, err, false);
}

void store_fail_from(struct store *store, enum store_fail_call call, unsigned n, enum err err)
{
    set_plan(store, call, n, err, true);
}

unsigned store_fail_calls(struct store *store)
{
    struct fail *fail = fail_of(store);
    pthread_mutex_lock(&fail->lock);
    unsigned calls = fail->calls;
    pthread_mutex_unlock(&fail->lock);
    return calls;
}

void store_fail_pause(struct store *store, bool pause)
{
    struct fail *fail = fail_of(store);
    pthread_mutex_lock(&fail->lock);
    fail->paused = pause;
    pthread_mutex_unlock(&fail->lock);
}

unsigned store_fail_failures(struct store *store)
{
    struct fail *fail = fail_of(store);
    pthread_mutex_lock(&fail->lock);
    unsigned failures = fail->failures;
    pthread_mutex_unlock(&fail->lock);
    return failures;
}

static void set_pace(struct store *store, bool held, unsigned delay_ms)
{
    struct fail *fail = fail_of(store);
    fail->held = held;
    fail->delay_ms = delay_ms;
    store_pace(store, held, delay_ms);
}

void store_fail_hold(struct store *store, bool hold)
{
    set_pace(store, hold, fail_of(store)->delay_ms);
}

void store_fail_delay(struct store *store, unsigned delay_ms)
{
    set_pace(store, fail_of(store)->held, delay_ms);
}
