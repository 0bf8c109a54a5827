/* SPDX-License-Identifier: MIT */
/* The course of a run. Some time of trouble, in which people talk, come and go while servers, disks and
 * connections fail as the seed has it. Then all faults end, everybody comes back, and within a bounded time
 * everything must have come to rest and every promise must have been kept. At last all go, and the servers
 * must keep nothing of them. */
#include "run.h"

#include "archives.h"
#include "chance.h"
#include "device.h"
#include "rosters.h"
#include "store/driver.h"
#include "world.h"
#include "xmpp/sasl.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    PERSONS_MAX = 6,
    TROUBLE_STEPS = 160,
    REST_MS = 10 * 60 * 1000, /* everything must have come to rest after it */
    EMPTY_MS = 6 * 60 * 1000, /* longer than anything is kept in memory for nobody */
};

struct play {
    struct world world;
    struct ledger ledger;
    struct person persons[PERSONS_MAX];
    unsigned person_count;
    struct device devices[PERSONS_MAX * DEVICES_MAX];
    unsigned device_count;
    unsigned odds[16]; /* how often what happens */
    bool may_fail_disk, may_kill, may_stop, may_part;
    unsigned slow_ms;
};

/* ---- The people ---- */

static char *account_keys(void)
{
    static char *made;
    struct scram_keys keys;
    struct arena arena;
    if (made)
        return made;
    arena_init(&arena, 1024);
    scram_keys_make(STR("secret"), STR("0123456789abcdef"), 1, &keys);
    made = str_dup(scram_keys_write(&keys, &arena));
    arena_fini(&arena);
    return made;
}

static void add_person(struct play *play, unsigned index, struct place *place)
{
    static const char *const names[PERSONS_MAX] = { "ann", "ben", "cat", "dan", "eve", "fay" };
    static const char *const resources[DEVICES_MAX] = { "phone", "desk" };
    struct person *person = &play->persons[index];
    person->place = place;
    str_copy(str_from(names[index]), person->name, sizeof person->name);
    snprintf(person->bare, sizeof person->bare, "%s@%s", names[index], person->place->domain);
    world_add_row(&play->world, person->place, person->bare, "account", "", account_keys());
    person->count = 1 + chance_percent(50);
    for (unsigned i = 0; i < person->count; i++) {
        struct device *device = &play->devices[play->device_count++];
        device_init(device, &play->world, &play->ledger, person, resources[i]);
        device->wants_sm = !person->place->archive || chance_percent(75);
        device->wants_carbons = chance_percent(40);
        device->turns_round = chance_percent(20);
        device->priority = chance_percent(80) ? 0 : (int)chance_between(0, 4) - 1;
        device->again_us = 1 + chance(8000000);
        person->devices[i] = device;
        trace("%s, %s", device->full,
              device->wants_sm ? device->turns_round ? "resumes, in reverse" : "resumes" : "plain");
    }
}

static struct device *some_device(struct play *play)
{
    return &play->devices[chance(play->device_count)];
}

/* ---- What people do ---- */

static void talk(struct play *play)
{
    struct device *device = some_device(play);
    struct person *to = &play->persons[chance(play->person_count)];
    const char *resource = chance_percent(20) ? to->devices[chance(to->count)]->resource : NULL;
    if (!device_is_on(device) || to == device->person)
        return;
    for (uint64_t count = chance_between(1, 4); count && device_is_on(device); count--)
        device_write_letter(device, to, resource);
}

static void break_off(struct play *play)
{
    device_cut(some_device(play));
}

static void forget(struct play *play)
{
    device_forget(some_device(play));
}

static void leave(struct play *play)
{
    device_close(some_device(play));
}

static void show(struct play *play)
{
    struct device *device = some_device(play);
    if (device_is_on(device))
        device_show(device, chance_percent(30) ? -200 : (int)chance_between(0, 4) - 1);
}

static void befriend(struct play *play)
{
    struct device *device = some_device(play);
    const struct person *other = &play->persons[chance(play->person_count)];
    if (device_is_on(device) && other != device->person)
        rosters_change(device, other);
}

static void be_deaf(struct play *play)
{
    struct device *device = some_device(play);
    device_deafen(device, !device->deaf);
}

/* ---- What befalls them ---- */

static struct place *some_place(struct play *play)
{
    return &play->world.places[chance(play->world.count)];
}

static void strike_connection(struct play *play)
{
    size_t count = sim_connections(play->world.sim);
    if (!count)
        return;
    struct socket *socket = sim_connection(play->world.sim, chance(count), chance_percent(50));
    bool cut = chance_percent(50);
    trace(cut ? "a connection is reset" : "a connection is silent in one direction");
    if (cut)
        sim_cut(socket);
    else
        sim_stall(socket, true);
}

static void restore_connections(struct play *play)
{
    sim_stall_none(play->world.sim);
}

static void dns_fails(struct play *play)
{
    sim_set_dns_silent(play->world.sim, chance_percent(50));
}

static void kill_server(struct play *play, struct place *place)
{
    uint64_t lost_us = world_kill(&play->world, place, chance_percent(50));
    ledger_killed(&play->ledger, place, lost_us);
}

static void strike_server(struct play *play)
{
    struct place *place = some_place(play);
    if (!place->process)
        return;
    if (play->may_kill && chance_percent(70))
        kill_server(play, place);
    else if (!play->may_stop)
        return;
    else if (!world_stop(&play->world, place))
        ledger_fail(&play->ledger, "%s", play->world.why);
    place->up_us = sim_now_us(play->world.sim) + (chance_percent(50) ? 0 : chance(20000)) * 1000;
}

static void strike_disk(struct play *play)
{
    struct place *place = some_place(play);
    struct disk_faults faults = { 0 };
    if (!play->may_fail_disk)
        return;
    if (chance_percent(50)) {
        faults.err = chance_percent(50) ? ERR_FULL : ERR_IO;
        faults.write_permille = (unsigned)(chance_percent(30) ? 1000 : chance(300));
        faults.read_permille = (unsigned)(chance_percent(50) ? 0 : chance(300));
    }
    trace("the disk of %s: %u of 1000 writes, %u reads fail", place->domain, faults.write_permille,
          faults.read_permille);
    disk_set_faults(place->disk, &faults);
}

static void slow_disk(struct play *play)
{
    struct place *place = some_place(play);
    unsigned delay_ms = chance_percent(50) ? 0 : (unsigned)chance(play->slow_ms);
    if (place->process)
        store_pace(place->process->store, false, delay_ms);
}

static void weather(struct play *play)
{
    struct sim_faults faults = { 0 };
    if (chance_percent(60))
        faults = (struct sim_faults){
            .delay_ms_max = (unsigned)chance(chance_percent(70) ? 50 : 2000),
            .chunk_max = chance_percent(50) ? 0 : (unsigned)chance_between(20, 600),
            .short_write_percent = (unsigned)chance(30),
            .reset_per_million = chance_percent(70) ? 0 : (unsigned)chance(8000),
        };
    sim_set_faults(play->world.sim, &faults);
}

static const struct {
    void (*happens)(struct play *play);
    unsigned odds;
} events[] = {
    { talk, 60 },
    { break_off, 6 },
    { forget, 3 },
    { leave, 3 },
    { show, 5 },
    { befriend, 6 },
    { be_deaf, 3 },
    { weather, 3 },
    { strike_disk, 3 },
    { slow_disk, 4 },
    { strike_server, 2 },
    { dns_fails, 2 },
    { strike_connection, 3 },
    { restore_connections, 3 },
};

/* ---- The course ---- */

static void draw_odds(struct play *play)
{
    for (size_t i = 0; i < COUNT_OF(events); i++)
        play->odds[i] = i == 0 ? events[i].odds : (unsigned)(events[i].odds * chance(5) / 2);
    play->may_fail_disk = chance_percent(30);
    play->may_kill = chance_percent(60);
    play->may_stop = chance_percent(50);
    play->slow_ms = chance_percent(50) ? 200 : 3000;
}

static void something_happens(struct play *play)
{
    unsigned sum = 0;
    for (size_t i = 0; i < COUNT_OF(events); i++)
        sum += play->odds[i];
    uint64_t drawn = chance(sum);
    for (size_t i = 0; i < COUNT_OF(events); i++) {
        if (drawn < play->odds[i]) {
            events[i].happens(play);
            return;
        }
        drawn -= play->odds[i];
    }
}

static void tend(struct play *play, bool hurry)
{
    world_tend(&play->world);
    for (unsigned i = 0; i < play->device_count; i++)
        device_tend(&play->devices[i], hurry);
}

static void trouble(struct play *play)
{
    uint64_t steps = chance_between(20, TROUBLE_STEPS);
    for (uint64_t i = 0; i < steps && ledger_is_good(&play->ledger); i++) {
        if (chance_percent(30))
            sim_settle(play->world.sim, (unsigned)chance(6)); /* in the middle of what goes on */
        else
            sim_advance(play->world.sim, chance(chance_percent(80) ? 400 : 5000));
        tend(play, false);
        something_happens(play);
    }
}

/* ---- Three servers, and three faults ---- */

static void live(struct play *play, unsigned seconds, void (*meanwhile)(struct play *play))
{
    uint64_t end_us = sim_now_us(play->world.sim) + seconds * 1000000ull;
    while (sim_now_us(play->world.sim) < end_us && ledger_is_good(&play->ledger)) {
        sim_advance(play->world.sim, chance(1500));
        if (meanwhile)
            meanwhile(play);
        tend(play, false);
        if (chance_percent(80))
            talk(play);
        else
            (chance_percent(50) ? befriend : show)(play);
    }
}

static void link_is_cut(struct play *play)
{
    world_cut_link(&play->world, &play->world.places[0], &play->world.places[1]);
}

static void three_faults(struct play *play)
{
    struct place *last = &play->world.places[2];
    live(play, 20, NULL);
    trace("a link is cut");
    live(play, 60, link_is_cut);
    trace("the link is back");
    live(play, 20, NULL);
    kill_server(play, last);
    last->up_us = sim_now_us(play->world.sim) + chance(20000) * 1000;
    live(play, 40, NULL);
    trace("the name server is silent");
    sim_set_dns_silent(play->world.sim, true);
    live(play, 60, NULL);
    trace("the name server answers");
    sim_set_dns_silent(play->world.sim, false);
    live(play, 20, NULL);
}

/* ---- Coming to rest ---- */

static void end_faults(struct play *play)
{
    trace("all faults end");
    sim_set_faults(play->world.sim, &(struct sim_faults){ 0 });
    sim_set_dns_silent(play->world.sim, false);
    sim_stall_none(play->world.sim);
    for (unsigned i = 0; i < play->world.count; i++) {
        struct place *place = &play->world.places[i];
        place->up_us = 0;
        disk_set_faults(place->disk, &(struct disk_faults){ 0 });
        if (place->process)
            store_pace(place->process->store, false, 0);
    }
    for (unsigned i = 0; i < play->device_count; i++)
        if (play->devices[i].deaf)
            device_deafen(&play->devices[i], false);
}

static bool all_quiet(const struct play *play)
{
    for (unsigned i = 0; i < play->device_count; i++)
        if (!device_is_quiet(&play->devices[i]))
            return false;
    return true;
}

/* Everybody goes, and comes again. */
static void show_anew(struct play *play)
{
    int priorities[PERSONS_MAX * DEVICES_MAX];
    for (unsigned i = 0; i < play->device_count; i++) {
        priorities[i] = play->devices[i].priority;
        if (device_is_on(&play->devices[i]))
            device_show(&play->devices[i], -200);
    }
    sim_advance(play->world.sim, 5 * 1000);
    for (unsigned i = 0; i < play->device_count; i++)
        if (device_is_on(&play->devices[i]))
            device_show(&play->devices[i], priorities[i] < 0 ? 0 : priorities[i]);
    sim_advance(play->world.sim, 40 * 1000);
}

/* Who is there says something new of himself: a subscription that one side alone has comes to light. */
static void show_change(struct play *play)
{
    for (unsigned i = 0; i < play->device_count; i++)
        if (device_is_on(&play->devices[i]))
            device_show(&play->devices[i], play->devices[i].priority + 1);
    sim_advance(play->world.sim, 40 * 1000);
}

/* Everybody is there, shows himself, and has nothing to wait for. */
static void come_to_rest(struct play *play)
{
    uint64_t end_us = sim_now_us(play->world.sim) + REST_MS * 1000ull;
    bool shown = false;
    end_faults(play);
    for (;;) {
        sim_advance(play->world.sim, 500);
        tend(play, true);
        if (!ledger_is_good(&play->ledger))
            return;
        if (sim_now_us(play->world.sim) > end_us)
            break;
        if (!all_quiet(play))
            continue;
        if (shown)
            return;
        shown = true;
        sim_advance(play->world.sim, 90 * 1000); /* sessions that nobody resumes end, and hand over */
        show_anew(
            play); /* the first time for all that went wrong before: requests are asked again, and answered */
        show_anew(play);
        show_change(play);
    }
    for (unsigned i = 0; i < play->device_count; i++)
        if (!device_is_quiet(&play->devices[i]))
            ledger_fail(&play->ledger, "%s has not come to rest: state %d, %s unacknowledged",
                        play->devices[i].full, play->devices[i].state,
                        list_empty(&play->devices[i].unacked) ? "nothing" : "something");
}

/* ---- Looking ---- */

static unsigned archived(const struct letter *letter, void *arg)
{
    return archives_have(arg, letter->to, letter);
}

static void look_at_what_was_said(struct play *play)
{
    struct archives archives;
    archives_read(&play->world, play->persons, play->person_count, &archives);
    ledger_close(&play->ledger, archived, &archives);
    if (play->world.places[0].archive)
        archives_check(&archives, &play->ledger);
    archives_fini(&archives);
}

/* All go, and nothing may be left of them. */
static void all_leave(struct play *play)
{
    for (unsigned i = 0; i < play->device_count; i++)
        device_close(&play->devices[i]);
    sim_advance(play->world.sim, EMPTY_MS);
    for (unsigned i = 0; i < play->device_count; i++)
        if (play->devices[i].state != DEVICE_OFF)
            ledger_fail(&play->ledger, "the stream of %s was not closed", play->devices[i].full);
    for (unsigned i = 0; i < play->world.count && ledger_is_good(&play->ledger); i++)
        if (!world_is_empty(&play->world, &play->world.places[i]))
            ledger_fail(&play->ledger, "%s", play->world.why);
}

static void count_up(const struct play *play, struct run_result *ret)
{
    const struct ledger *ledger = &play->ledger;
    ret->letters = ledger->count;
    ret->acked = ledger->acked;
    ret->arrived = ledger->arrived;
    ret->bounced = ledger->bounced;
    ret->resumed = ledger->resumed;
    ret->excused = ledger->excused;
    ret->given_up = ledger->given_up;
    ret->twice = ledger->twice;
    ret->subscribed = ledger->subscribed;
    ret->one_sided = ledger->one_sided;
    for (unsigned i = 0; i < play->world.count; i++) {
        ret->kills += play->world.places[i].kills;
        ret->stops += play->world.places[i].stops;
        ret->failures += disk_failures(play->world.places[i].disk);
    }
}

static void set_the_scene(struct play *play, const struct run_plan *plan)
{
    unsigned servers = plan->servers ? plan->servers : 1 + (unsigned)chance(chance_percent(50) ? 1 : 3);
    if (plan->three_faults)
        servers = 3;
    ledger_init(&play->ledger);
    world_open(&play->world, plan->seed, servers);
    world_tend(&play->world);
    draw_odds(play);
    play->person_count = plan->three_faults ? PERSONS_MAX : (unsigned)chance_between(2, PERSONS_MAX);
    for (unsigned i = 0; i < play->person_count; i++)
        add_person(play, i, &play->world.places[plan->three_faults ? i % servers : chance(servers)]);
}

void run(const struct run_plan *plan, struct run_result *ret)
{
    static struct play play;
    play = (struct play){ 0 };
    *ret = (struct run_result){ 0 };
    chance_begin(plan->seed, plan->verbose);
    set_the_scene(&play, plan);
    (plan->three_faults ? three_faults : trouble)(&play);
    if (ledger_is_good(&play.ledger))
        come_to_rest(&play);
    if (ledger_is_good(&play.ledger)) {
        look_at_what_was_said(&play);
        rosters_check(&play.world, &play.ledger, play.persons, play.person_count);
    }
    if (ledger_is_good(&play.ledger))
        all_leave(&play);
    count_up(&play, ret);
    for (unsigned i = 0; i < play.device_count; i++)
        device_fini(&play.devices[i]);
    if (!world_close(&play.world))
        ledger_fail(&play.ledger, "%s", play.world.why);
    memcpy(ret->wrong, play.ledger.wrong, sizeof ret->wrong);
    ret->hash = trace_hash();
    ledger_fini(&play.ledger);
}
