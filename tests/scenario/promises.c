/* SPDX-License-Identifier: MIT */
/* What holds at the end of every script, and when the server stops in the middle of one: who is still
 * connected has an answer to each request, and the roster that a client was told, by result and pushes, is
 * what the store has of it. This is looked at also, and above all, when the store failed on the way. */
#include "neighbour.h"
#include "play.h"

#include <stdlib.h>

static bool is_connected(const struct player *player)
{
    return player->socket && !player->stream_ended;
}

static bool all_answered(struct play *play, struct player *player)
{
    const char *id = watch_unanswered(&player->watch);
    return !id || play_fail(play, "the request %s of %s was not answered once", id, player->name);
}

struct rows {
    struct store_read read;
    bool done;
};

static void rows_read(struct store_read *read)
{
    CONTAINER_OF(read, struct rows, read)->done = true;
}

static bool same_roster(const struct watch *watch, const struct store_read *kept)
{
    bool same = kept->count == watch->item_count;
    for (size_t i = 0; i < kept->count; i++)
        same = same && watch_has_item(watch, kept->rows[i].value);
    return same;
}

static bool roster_is_kept(struct play *play, struct player *player)
{
    struct rows rows = { .read.done = rows_read };
    str bare = str_from(player->jid);
    bare = str_cut(&bare, '/');
    struct store *store = neighbour_store_of(&play->stage, bare);
    store_fail_pause(store, true);
    store_get_all(store, play->stage.store_loop, bare, STR("roster"), &rows.read);
    stage_settle(&play->stage);
    store_fail_pause(store, false);
    bool same = rows.done && rows.read.err == OK && same_roster(&player->watch, &rows.read);
    store_read_fini(&rows.read);
    return same || play_fail(play, "%s was told another roster than is kept", player->name);
}

bool promises_kept(struct play *play)
{
    bool ok = true;
    store_fail_delay(play->stage.store, 0);
    stage_settle(&play->stage);
    list_each (at, &play->stage.players) {
        struct player *player = LIST_ITEM(at, struct player, link);
        if (!is_connected(player))
            continue;
        ok = all_answered(play, player) && ok;
        if (player->bound && player->watch.knows_roster)
            ok = roster_is_kept(play, player) && ok;
    }
    return ok;
}

bool promises_answer(struct play *play)
{
    static const char request[] = "<iq type='get' id='are-you-there'><ping xmlns='urn:xmpp:ping'/></iq>";
    bool ok = true;
    list_each (at, &play->stage.players) {
        struct player *player = LIST_ITEM(at, struct player, link);
        if (!is_connected(player) || !player->bound)
            continue;
        watch_sent(&player->watch, str_from(request));
        player_send(player, str_from(request));
        ok = all_answered(play, player) && ok;
    }
    return ok;
}
