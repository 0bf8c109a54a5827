/* SPDX-License-Identifier: MIT */
/* Subscriptions (RFC 6121 §3). They are looked at where they are kept: in the stores of both sides. */
#include "rosters.h"

#include "chance.h"
#include "server/user/roster.h"

#include <stdlib.h>

enum { TURNS_MAX = 100000 };

void rosters_change(struct device *device, const struct person *other)
{
    static const struct {
        const char *type;
        unsigned percent;
    } words[] = { { "subscribe", 45 }, { "unsubscribe", 15 }, { "unsubscribed", 15 }, { "subscribed", 15 } };
    uint64_t drawn = chance(100);
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (drawn < words[i].percent) {
            device_say(device, "<presence to='%s' type='%s'/>", other->bare, words[i].type);
            return;
        }
        drawn -= words[i].percent;
    }
    device_say(device,
               "<iq type='set' id='gone'><query xmlns='jabber:iq:roster'><item jid='%s' "
               "subscription='remove'/></query></iq>",
               other->bare);
}

void rosters_asked(struct device *device, str from)
{
    uint64_t drawn = chance(10);
    if (drawn < 6)
        device_say(device, "<presence to='%.*s' type='subscribed'/>", STR_ARGS(from));
    if (drawn < 3)
        device_say(device, "<presence to='%.*s' type='subscribe'/>", STR_ARGS(from));
    if (drawn == 6)
        device_say(device, "<presence to='%.*s' type='unsubscribed'/>", STR_ARGS(from));
}

/* ---- At the end ---- */

struct rows {
    struct store_read read;
    bool done;
};

static void rows_read(struct store_read *read)
{
    CONTAINER_OF(read, struct rows, read)->done = true;
}

/* The roster that is kept of a person. */
static void read_roster(struct world *world, const struct person *person, struct roster *ret)
{
    struct rows rows = { .read.done = rows_read };
    struct arena arena;
    *ret = (struct roster){ 0 };
    store_get_all(person->place->process->store, world->clients, str_from(person->bare),
                  STR("roster,request"), &rows.read);
    sim_settle(world->sim, TURNS_MAX);
    if (!rows.done || rows.read.err != OK)
        abort();
    arena_init(&arena, 4096);
    for (size_t i = 0; i < rows.read.count; i++) {
        const struct store_row *row = &rows.read.rows[i];
        if (str_is(row->kind, "roster") && !roster_item_read(ret, row->key, row->value, &arena))
            abort();
    }
    for (size_t i = 0; i < rows.read.count; i++) {
        const struct store_row *row = &rows.read.rows[i];
        if (!str_is(row->kind, "request"))
            continue;
        struct roster_item *item = roster_find(ret, row->key);
        if (!item)
            item = roster_set(ret, row->key, str_none, str_none, 0);
        roster_set_flags(ret, item, item->flags | ROSTER_PENDING_IN);
    }
    arena_fini(&arena);
    store_read_fini(&rows.read);
}

static uint8_t flags_of(const struct roster *roster, const struct person *other)
{
    const struct roster_item *item = roster_find(roster, str_from(other->bare));
    return item ? item->flags : 0;
}

/* `one` sees `other`, or has asked to. Who shows himself to somebody at another server who has turned away
 * from him is only counted: RFC 6121 has no word that would tell him once a first one got lost, or has
 * crossed with his own. */
static void check_pair(struct ledger *ledger, const struct person *one, uint8_t mine,
                       const struct person *other, uint8_t yours)
{
    bool sees = mine & ROSTER_TO, shows = yours & ROSTER_FROM;
    bool waits = (mine & ROSTER_ASK) && !(yours & ROSTER_PENDING_IN);
    if (sees && shows)
        ledger->subscribed++;
    if (sees == shows && !waits)
        return;
    if (!sees && !waits && one->place != other->place) {
        ledger->one_sided++;
        return;
    }
    ledger_fail(ledger, "the rosters do not agree: %s has%s%s of %s, who has%s%s", one->bare,
                sees ? " to" : " no to", mine & ROSTER_ASK ? " and asks" : "", other->bare,
                shows ? " from" : " no from", yours & ROSTER_PENDING_IN ? " and is asked" : "");
}

void rosters_check(struct world *world, struct ledger *ledger, const struct person *persons, unsigned count)
{
    struct roster *rosters = xcalloc(count, sizeof *rosters);
    for (unsigned i = 0; i < count; i++)
        read_roster(world, &persons[i], &rosters[i]);
    for (unsigned i = 0; i < count; i++)
        for (unsigned j = 0; j < count; j++)
            if (i != j)
                check_pair(ledger, &persons[i], flags_of(&rosters[i], &persons[j]), &persons[j],
                           flags_of(&rosters[j], &persons[i]));
    for (unsigned i = 0; i < count; i++)
        roster_fini(&rosters[i]);
    free(rosters);
}
