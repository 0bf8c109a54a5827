/* SPDX-License-Identifier: MIT */
/* A session that comes online asks each contact of this server for the last items that it wants. Most
 * contacts sleep, and to wake one means to read all its rows and to keep them in memory for a minute
 * (measured: 85 microseconds and 38 KB with a roster of 50). So a shard remembers of accounts that sleep
 * which nodes they have: as 64 bits, one for each hash of a name. Whose bits are not those that are asked for
 * is not woken. Of whom nothing is known the names alone are read.
 *
 * It is a cache: a table of fixed size in which a newcomer takes the place of whoever had it. What it says is
 * never less than what there is: nodes are made while their owner is awake, and then the note is dropped; one
 * that is deleted only leaves a bit too many. */
#include "extensions/pubsub/sleepers.h"

#include <stdlib.h>

enum {
    NOTES = 16 * 1024,   /* 256 KB a shard */
    LOOKING_MAX = 10000, /* reads under way; beyond that, sleepers are woken */
    NODES_MAX = 1000,    /* more than that: all bits */
};

struct sleeper_note {
    uint64_t who, names; /* who: 0 for none */
};

struct look {
    struct store_read read;
    struct shard *shard;
    struct stanza *probe;
    char *to;
};

static struct sleeper_note *note_of(struct sleepers *sleepers, str bare, uint64_t *ret_who)
{
    uint64_t hash = hash_keyed(bare);
    *ret_who = hash ? hash : 1;
    if (!sleepers->_notes)
        sleepers->_notes = xcalloc(NOTES, sizeof *sleepers->_notes);
    return &sleepers->_notes[(hash >> 16) % NOTES];
}

void sleepers_fini(struct sleepers *sleepers)
{
    free(sleepers->_notes);
}

void sleepers_forget(struct shard *shard, str bare)
{
    struct sleepers *sleepers = sleepers_of(shard);
    uint64_t who;
    if (!sleepers->_notes)
        return;
    struct sleeper_note *note = note_of(sleepers, bare, &who);
    if (note->who == who)
        note->who = 0;
}

static uint64_t bit_of(str name)
{
    return UINT64_C(1) << (hash_keyed(name) & 63);
}

/* ---- Looking it up
 * ----------------------------------------------------------------------------------------------------- */

/* One who has woken meanwhile may have made a node; it is asked then. */
static void remember(struct look *look)
{
    uint64_t who;
    struct sleeper_note *note = note_of(sleepers_of(look->shard), str_from(look->to), &who);
    if (look->read.err != OK || user_awake(look->shard, str_from(look->to)))
        return;
    *note = (struct sleeper_note){ .who = who };
    for (size_t i = 0; i < look->read.count; i++)
        note->names |= bit_of(look->read.rows[i].key);
    if (look->read.count == NODES_MAX)
        note->names = UINT64_MAX;
}

static void looked(struct store_read *read)
{
    struct look *look = CONTAINER_OF(read, struct look, read);
    struct shard *shard = look->shard;
    struct arena *arena = &shard->arena;
    struct jid to;
    shard_enter(shard);
    shard_commit_ended(shard);
    sleepers_of(shard)->_looking--;
    remember(look);
    if (read->err == OK && read->count && jid_parse(arena_str(arena, str_from(look->to)), arena, &to) == OK)
        route_to(shard, stanza_copy_arena(look->probe, arena), &to, DELIVER_INSIDE);
    store_read_fini(read);
    free(look->probe);
    free(look->to);
    free(look);
    shard_leave(shard);
}

static void look_up(struct shard *shard, str bare, const struct stanza *probe)
{
    struct store_map_query query = { .limit = NODES_MAX, .keys_only = true };
    struct look *look = NEW(struct look);
    look->read.done = looked;
    look->shard = shard;
    look->probe = stanza_copy(probe);
    look->to = str_dup(bare);
    sleepers_of(shard)->_looking++;
    shard_commit_began(shard);
    store_get_range(shard->server->store, shard->loop, bare, STR("pubsub"), &query, &look->read);
}

bool sleepers_spare(struct shard *shard, const struct jid *who, const struct stanza *probe,
                    const struct xml_node *names)
{
    struct sleepers *sleepers = sleepers_of(shard);
    struct xml_node name;
    uint64_t key, wanted = 0;
    str bare = jid_bare(who);
    const struct sleeper_note *note = note_of(sleepers, bare, &key);
    for (bool more = xml_first(names, &name); more; more = xml_next(&name))
        wanted |= bit_of(xml_text(&name, &shard->arena));
    if (note->who == key)
        return !(note->names & wanted);
    if (sleepers->_looking >= LOOKING_MAX)
        return false;
    look_up(shard, bare, probe);
    return true;
}
