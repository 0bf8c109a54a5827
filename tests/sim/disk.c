/* SPDX-License-Identifier: MIT */
/* A driver of the store (store/driver.h) in front of the one in memory. Each store on the disk is a handle;
 * the memory behind them is the disk. A handle that has lost the disk answers ERR_IO to all. */
#include "disk.h"

#include "chance.h"
#include "store/driver.h"

#include <stdio.h>
#include <stdlib.h>

struct disk {
    struct store_db *memory;
    struct disk_faults faults;
    unsigned failures;
};

struct handle {
    struct store_db db;
    struct disk *disk;
    bool lost;
};

struct disk_conn {
    struct store_conn conn;
    struct store_conn *inner;
};

static struct handle *handle_of(struct store_conn *conn)
{
    return CONTAINER_OF(conn->db, struct handle, db);
}

static struct store_conn *inner_of(struct store_conn *conn)
{
    return CONTAINER_OF(conn, struct disk_conn, conn)->inner;
}

static enum err fate(struct store_conn *conn, unsigned permille, enum err err)
{
    struct handle *handle = handle_of(conn);
    if (handle->lost)
        return ERR_IO;
    if (!permille || chance(1000) >= permille)
        return OK;
    handle->disk->failures++;
    trace("the disk fails: %s", err_text(err));
    return err;
}

static enum err disk_connect(struct store_db *db, bool writes, struct store_conn **ret_conn)
{
    struct handle *handle = CONTAINER_OF(db, struct handle, db);
    struct store_db *memory = handle->disk->memory;
    struct disk_conn *conn = NEW(struct disk_conn);
    conn->conn.db = db;
    *ret_conn = &conn->conn;
    return memory->driver->connect(memory, writes, &conn->inner);
}

static void disk_disconnect(struct store_conn *conn)
{
    struct store_conn *inner = inner_of(conn);
    inner->db->driver->disconnect(inner);
    free(conn);
}

static enum err disk_begin(struct store_conn *conn)
{
    struct store_conn *inner = inner_of(conn);
    const struct disk_faults *faults = &handle_of(conn)->disk->faults;
    enum err err = fate(conn, faults->write_permille, faults->err);
    return err ? err : inner->db->driver->begin(inner);
}

static enum err disk_apply(struct store_conn *conn, const struct store_batch *batch)
{
    struct store_conn *inner = inner_of(conn);
    return inner->db->driver->apply(inner, batch);
}

static enum err disk_commit(struct store_conn *conn)
{
    struct store_conn *inner = inner_of(conn);
    const struct disk_faults *faults = &handle_of(conn)->disk->faults;
    enum err err = fate(conn, faults->write_permille, faults->err);
    return err ? err : inner->db->driver->commit(inner);
}

static void disk_rollback(struct store_conn *conn)
{
    struct store_conn *inner = inner_of(conn);
    inner->db->driver->rollback(inner);
}

static enum err disk_read(struct store_conn *conn, const struct store_request *request,
                          struct store_read *read)
{
    struct store_conn *inner = inner_of(conn);
    enum err err = fate(conn, handle_of(conn)->disk->faults.read_permille, ERR_IO);
    return err ? err : inner->db->driver->read(inner, request, read);
}

static int64_t disk_newest_ms(struct store_conn *conn)
{
    struct store_conn *inner = inner_of(conn);
    return inner->db->driver->newest_ms ? inner->db->driver->newest_ms(inner) : 0;
}

static void disk_close(struct store_db *db)
{
    free(CONTAINER_OF(db, struct handle, db));
}

static const struct store_driver driver = {
    .scheme = "disk:",
    .close = disk_close,
    .connect = disk_connect,
    .disconnect = disk_disconnect,
    .begin = disk_begin,
    .apply = disk_apply,
    .commit = disk_commit,
    .rollback = disk_rollback,
    .read = disk_read,
    .newest_ms = disk_newest_ms,
};

struct disk *disk_new(void)
{
    char why[128];
    struct disk *disk = NEW(struct disk);
    if (store_db_open("memory:", why, sizeof why, &disk->memory) != OK)
        abort();
    return disk;
}

void disk_free(struct disk *disk)
{
    disk->memory->driver->close(disk->memory);
    free(disk);
}

struct store *disk_store(struct disk *disk, struct loop *loop)
{
    struct store *store;
    struct handle *handle = NEW(struct handle);
    handle->db.driver = &driver;
    handle->disk = disk;
    if (store_open_db(&handle->db, loop, &store) != OK)
        abort();
    return store;
}

void disk_set_faults(struct disk *disk, const struct disk_faults *faults)
{
    disk->faults = *faults;
}

uint64_t disk_lose(struct disk *disk, struct store *store, unsigned batches)
{
    struct disk_faults faults = disk->faults;
    disk->faults = (struct disk_faults){ 0 };
    store_serve(store, batches);
    disk->faults = faults;
    CONTAINER_OF(store_db_of(store), struct handle, db)->lost = true;
    return store_oldest_us(store);
}

unsigned disk_failures(const struct disk *disk)
{
    return disk->failures;
}
