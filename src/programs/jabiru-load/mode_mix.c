/* SPDX-License-Identifier: MIT */
/* What a server sees on a day: messages, some of them to users who are away; presence; rooms that are
 * entered, talked in and left; pings; connections that break and are resumed (XEP-0198), or are not, and
 * users who leave and come again. --rate such acts leave each second, by users chosen at random; every fourth
 * user goes to a room, of --room occupants.
 *
 * Each message, each word in a room (as its speaker gets it back) and each ping has a number, which must come
 * once. Only where the protocol itself can't promise that there is an excuse: a session that was given up
 * without a word may have lost what it had not got acknowledged, and may get the last messages again. Time is
 * taken of messages that were sent once to a session that stood all the while.
 *
 * Sections: numbers, saying, acts, coming and going, what comes, the run. */
#include "programs/jabiru-load/ledger.h"
#include "programs/jabiru-load/managed.h"
#include "programs/jabiru-load/modes.h"
#include "programs/jabiru-load/pace.h"
#include "programs/jabiru-load/stamp.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define NS_MUC "http://jabber.org/protocol/muc"

enum {
    ROOM_GOERS = 4, /* every fourth user is one */
    REMEMBERED = 32,
    TRIES = 8,
    SECOND_MS = 1000,
    CALLED_BACK_MS = 5 * SECOND_MS,
    COMPLAINTS_MAX = 20,
};

/* The last numbers of a kind, the oldest of which is forgotten. */
struct recent {
    uint32_t numbers[REMEMBERED];
    uint32_t count;
};

struct member {
    struct managed managed;
    struct timer back;   /* away: when it comes again */
    uint64_t since;      /* the session stands since then, ns */
    struct recent own;   /* numbers that come back to it: pings, words in its room */
    struct recent heard; /* messages that it got */
    uint32_t away_at;    /* its place among those who are away */
    bool away;           /* it has no session */
};

static struct {
    struct load *load;
    struct member *members;
    uint32_t *away, away_count; /* indexes of users */
    struct ledger ledger;
    struct pace pace;
    uint64_t random;
    unsigned goers, entered; /* who goes to rooms; how many have, while all begins */
    unsigned complaints;
} mix;

static uint32_t random_below(uint32_t bound)
{
    mix.random = mix.random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((mix.random >> 32) * bound >> 32);
}

/* How long somebody is away, at most; a connection that broke is resumed sooner. */
static unsigned away_ms(void)
{
    return mix.load->options.away * SECOND_MS;
}

static struct member *member_of(const struct user *user)
{
    return &mix.members[user->index];
}

static struct user *user_of(const struct member *member)
{
    return &mix.load->users[member - mix.members];
}

static void complain(const struct user *user, const char *what, str detail)
{
    mix.load->tally.errors++;
    if (mix.complaints++ < COMPLAINTS_MAX)
        fprintf(stderr, "jabiru-load: %s: %s: %.*s\n", user->name, what, STR_ARGS(detail));
}

/* ---- Numbers ---- */

static void remember(struct recent *recent, uint32_t number)
{
    recent->numbers[recent->count++ % REMEMBERED] = number;
}

static void note(uint32_t number, enum ledger_note what)
{
    uint32_t before = mix.ledger.awaited;
    ledger_note(&mix.ledger, number, what);
    mix.load->tally.all_expected -= before - mix.ledger.awaited;
}

static void note_recent(const struct recent *recent, enum ledger_note what)
{
    for (uint32_t i = 0; i < recent->count && i < REMEMBERED; i++)
        note(recent->numbers[i], what);
}

/* The session is over. */
static void forget(struct member *member)
{
    member->own.count = member->heard.count = 0;
}

static void may_be_lost(struct managed *managed, uint32_t tag)
{
    (void)managed;
    note(tag, LEDGER_MAY_MISS);
}

static void was_resent(struct managed *managed, uint32_t tag)
{
    (void)managed;
    note(tag, LEDGER_SENT_AGAIN);
}

/* The session is over, and nobody said goodbye. */
static void excuse(struct member *member)
{
    managed_drop(&member->managed, may_be_lost);
    note_recent(&member->own, LEDGER_MAY_MISS);
    note_recent(&member->own, LEDGER_MAY_REPEAT);
    note_recent(&member->heard, LEDGER_MAY_REPEAT);
    forget(member);
}

/* A new number and its id: the time and the number. */
static str new_id(uint32_t *ret_number)
{
    char stamp[STAMP_LEN];
    load_sent(mix.load, 1);
    *ret_number = ledger_open(&mix.ledger);
    stamp_write(stamp, load_now());
    return arena_printf(&mix.load->arena, "%.*s-%u", STAMP_LEN, stamp, *ret_number);
}

/* ---- Saying ---- */

static void say(struct user *user, str stanza, uint32_t number)
{
    managed_send(&member_of(user)->managed, &user->client, stanza, number);
}

/* Never the same: a room may take what is said in many rooms at once for abuse. */
static str body(void)
{
    unsigned len = mix.load->options.body;
    char *text = arena_alloc(&mix.load->arena, len + 1);
    for (unsigned i = 0; i < len; i++)
        text[i] = (char)('a' + random_below(26));
    return str_of(text, len);
}

static void say_message(struct user *user, const char *type, str to, uint32_t number, str id)
{
    str text = body();
    say(user,
        arena_printf(&mix.load->arena, "<message id='%.*s' type='%s' to='%.*s'><body>%.*s</body></message>",
                     STR_ARGS(id), type, STR_ARGS(to), STR_ARGS(text)),
        number);
}

static bool goes_to_room(const struct user *user)
{
    return user->index % ROOM_GOERS == 0;
}

static unsigned room_number(const struct user *user)
{
    return user->index / ROOM_GOERS / mix.load->options.room;
}

/* The first of a room makes it. */
static bool is_founder(const struct user *user)
{
    return goes_to_room(user) && user->index / ROOM_GOERS % mix.load->options.room == 0;
}

static str room_of(const struct user *user)
{
    const struct options *options = &mix.load->options;
    return arena_printf(&mix.load->arena, "mix-%d-%u@%s%s", (int)getpid(), room_number(user),
                        options->service ? "" : "conference.",
                        options->service ? options->service : options->domain);
}

static void say_to_room(struct user *user, const char *attributes, const char *inside)
{
    str room = room_of(user);
    say(user,
        arena_printf(&mix.load->arena, "<presence to='%.*s/%s'%s>%s</presence>", STR_ARGS(room), user->name,
                     attributes, inside),
        MANAGED_UNTAGGED);
}

static void enter_room(struct user *user)
{
    say_to_room(user, "", "<x xmlns='" NS_MUC "'><history maxstanzas='0'/></x>");
}

/* XEP-0045 §10.1.3; the room stays when all have left. */
static void open_room(struct user *user)
{
    str room = room_of(user);
    say(user,
        arena_printf(&mix.load->arena,
                     "<iq type='set' id='open' to='%.*s'><query xmlns='" NS_MUC "#owner'>"
                     "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>" NS_MUC
                     "#roomconfig</value></field><field var='muc#roomconfig_persistentroom'><value>1</value>"
                     "</field></x></query></iq>",
                     STR_ARGS(room)),
        MANAGED_UNTAGGED);
}

/* ---- Acts ---- */

static void write_to(struct user *user, const struct user *to)
{
    uint32_t number;
    str id = new_id(&number);
    str jid = arena_printf(&mix.load->arena, "%s@%s", to->name, mix.load->options.domain);
    if (!to->online)
        note(number, LEDGER_SENT_AGAIN); /* it waits for its receiver */
    say_message(user, "chat", jid, number, id);
}

static void act_message(struct user *user)
{
    write_to(user, &mix.load->users[random_below(mix.load->options.users)]);
}

static void act_message_away(struct user *user)
{
    if (mix.away_count)
        write_to(user, &mix.load->users[mix.away[random_below(mix.away_count)]]);
}

static void act_presence(struct user *user)
{
    static const char *const shows[] = { "away", "chat", "dnd", "xa" };
    say(user,
        arena_printf(&mix.load->arena, "<presence><show>%s</show><status>%u</status></presence>",
                     shows[random_below(COUNT_OF(shows))], random_below(1000)),
        MANAGED_UNTAGGED);
}

static void act_room(struct user *user)
{
    uint32_t number;
    if (!user->is_in_room)
        return;
    str id = new_id(&number);
    remember(&member_of(user)->own, number);
    say_message(user, "groupchat", room_of(user), number, id);
}

static void act_move(struct user *user)
{
    if (!goes_to_room(user))
        return;
    if (!user->is_in_room) {
        enter_room(user);
        return;
    }
    user->is_in_room = false;
    say_to_room(user, " type='unavailable'", "");
}

static void act_ping(struct user *user)
{
    uint32_t number;
    str id = new_id(&number);
    remember(&member_of(user)->own, number);
    say(user,
        arena_printf(&mix.load->arena, "<iq type='get' id='%.*s' to='%s'><ping xmlns='urn:xmpp:ping'/></iq>",
                     STR_ARGS(id), mix.load->options.domain),
        number);
}

static void come_back_within(struct member *member, unsigned ms)
{
    timer_start(mix.load->loop, &member->back, 1 + random_below(ms));
}

static void set_away(struct member *member, bool away)
{
    if (member->away == away)
        return;
    member->away = away;
    if (away) {
        member->away_at = mix.away_count;
        mix.away[mix.away_count++] = user_of(member)->index;
        return;
    }
    uint32_t last = mix.away[--mix.away_count];
    mix.away[member->away_at] = last;
    mix.members[last].away_at = member->away_at;
}

static void act_cut(struct user *user)
{
    load_cut(user);
    come_back_within(member_of(user), away_ms() / 6);
}

static void act_drop(struct user *user)
{
    struct member *member = member_of(user);
    load_cut(user);
    excuse(member);
    set_away(member, true);
    come_back_within(member, away_ms());
}

/* What it was sent and has read is acknowledged, what it has not read stays with the server. */
static void act_leave(struct user *user)
{
    struct member *member = member_of(user);
    managed_acknowledge(&member->managed, &user->client);
    managed_drop(&member->managed, NULL);
    note_recent(&member->own, LEDGER_MAY_MISS);
    forget(member);
    set_away(member, true);
    client_close(&user->client);
}

/* In thousandths of all that is done. */
static const struct act {
    unsigned weight;
    bool in_room; /* of those who go to rooms */
    void (*act)(struct user *user);
} acts[] = {
    { 480, false, act_message }, { 60, false, act_message_away }, { 120, false, act_presence },
    { 120, true, act_room },     { 30, true, act_move },          { 130, false, act_ping },
    { 30, false, act_cut },      { 20, false, act_leave },        { 10, false, act_drop },
};

static const struct act *choose_act(void)
{
    uint32_t at = random_below(1000);
    const struct act *act = acts;
    for (; at >= act->weight; act++)
        at -= act->weight;
    return act;
}

static void due(struct pace *pace, uint64_t now, uint64_t scheduled)
{
    struct load *load = mix.load;
    const struct act *act = choose_act();
    (void)pace;
    load->tally.late += load->phase == PHASE_COUNT && now - scheduled > LATE_NS;
    for (int i = 0; i < TRIES; i++) {
        uint32_t index = random_below(load->options.users);
        struct user *user = &load->users[act->in_room ? index - index % ROOM_GOERS : index];
        if (!user->online || member_of(user)->away)
            continue;
        arena_reset(&load->arena);
        act->act(user);
        return;
    }
}

/* ---- Coming and going ---- */

static void came_back(struct timer *timer)
{
    struct member *member = CONTAINER_OF(timer, struct member, back);
    if (mix.load->phase < PHASE_LEAVE)
        load_start_user(mix.load, user_of(member));
}

static void ready(struct user *user)
{
    struct member *member = member_of(user);
    bool resumed = member->managed.resumption.resumed;
    if (!resumed)
        excuse(member);
    managed_ready(&member->managed, &user->client, was_resent);
    member->since = load_now();
    set_away(member, false);
    if (resumed)
        return;
    arena_reset(&mix.load->arena);
    user->is_in_room = false;
    say(user, STR("<presence/>"), MANAGED_UNTAGGED);
    if (goes_to_room(user) && mix.load->phase > PHASE_SETTLE)
        enter_room(user);
}

/* After act_leave(); or the server, or the network, has ended it. */
static void closed(struct user *user, enum err why)
{
    struct load *load = mix.load;
    if (load->phase <= PHASE_SETTLE) {
        load_fail(load, user, why);
        return;
    }
    if (why)
        fprintf(stderr, "jabiru-load: %s: %s: %s\n", user->name, err_text(why), client_reason(&user->client));
    come_back_within(member_of(user), why || load->phase > PHASE_COUNT ? SECOND_MS : away_ms());
}

/* ---- What comes ---- */

static bool read_number(str id, uint64_t now, uint64_t *ret_stamp, uint32_t *ret_number)
{
    uint64_t number;
    *ret_stamp = stamp_read(str_sub(id, 0, STAMP_LEN), now);
    if (!*ret_stamp || id.len <= STAMP_LEN || id.p[STAMP_LEN] != '-' ||
        !str_to_u64(str_sub(id, STAMP_LEN + 1, id.len), UINT32_MAX, &number))
        return false;
    *ret_number = (uint32_t)number;
    return true;
}

static void came(struct user *user, bool is_timed, uint64_t stamp, uint32_t number, uint64_t now)
{
    struct load *load = mix.load;
    uint32_t awaited = mix.ledger.awaited, doubled = mix.ledger.doubled;
    bool stood = stamp > member_of(user)->since && !ledger_has(&mix.ledger, number, LEDGER_SENT_AGAIN);
    ledger_came(&mix.ledger, number);
    load->tally.doubled += mix.ledger.doubled - doubled;
    if (mix.ledger.doubled > doubled && mix.complaints++ < COMPLAINTS_MAX)
        fprintf(
            stderr, "jabiru-load: %s: number %u, sent %.3f s ago, came again; its session is %.3f s old\n",
            user->name, number, (double)(now - stamp) / 1e9, (double)(now - member_of(user)->since) / 1e9);
    if (mix.ledger.awaited == awaited)
        return; /* not for the first time, or not expected any more */
    if (is_timed && stood)
        load_received(load, stamp, now);
    else
        load_received_untimed(load);
}

static void message(struct user *user, const struct xml_node *node, const struct head *head)
{
    uint64_t now = load_now(), stamp;
    uint32_t number;
    bool in_room = str_is(head->type, "groupchat");
    str nick = str_sub(head->from, str_find(head->from, '/') + 1, head->from.len);
    if (str_is(head->type, "error")) {
        complain(user, "a message came back", node->bytes);
        return;
    }
    if (!read_number(head->id, now, &stamp, &number) || (in_room && !str_eq(nick, str_from(user->name))))
        return;
    if (!in_room)
        remember(&member_of(user)->heard, number);
    came(user, true, stamp, number, now);
}

static void presence(struct user *user, const struct xml_node *node, const struct head *head)
{
    str nick = str_sub(head->from, str_find(head->from, '/') + 1, head->from.len);
    if (str_is(head->type, "error")) {
        complain(user, "presence was refused", node->bytes);
        return;
    }
    if (head->type.p || !str_starts(head->from, STR("mix-")) || !str_eq(nick, str_from(user->name)) ||
        user->is_in_room)
        return;
    user->is_in_room = true;
    mix.entered++;
    if (mix.load->phase == PHASE_SETTLE && is_founder(user))
        open_room(user);
}

static void room_opened(const struct user *founder)
{
    for (uint32_t i = founder->index + ROOM_GOERS; i < mix.load->options.users; i += ROOM_GOERS) {
        struct user *user = &mix.load->users[i];
        if (room_number(user) != room_number(founder))
            return;
        enter_room(user);
    }
}

static void iq(struct user *user, const struct xml_node *node, const struct head *head)
{
    uint64_t now = load_now(), stamp;
    uint32_t number;
    if (str_is(head->type, "error")) {
        complain(user, "an error", node->bytes);
    } else if (str_is(head->type, "get") || str_is(head->type, "set")) {
        str to = head->from.p ? arena_printf(&mix.load->arena, " to='%.*s'", STR_ARGS(head->from)) : STR("");
        say(user,
            arena_printf(&mix.load->arena, "<iq type='result' id='%.*s'%.*s/>", STR_ARGS(head->id),
                         STR_ARGS(to)),
            MANAGED_UNTAGGED);
    } else if (str_is(head->id, "open")) {
        room_opened(user);
    } else if (read_number(head->id, now, &stamp, &number)) {
        came(user, false, stamp, number, now);
    }
}

static void stanza(struct user *user, const struct xml_node *node)
{
    if (managed_element(&member_of(user)->managed, &user->client, node))
        return;
    struct head head = load_read_head(node);
    arena_reset(&mix.load->arena);
    if (str_is(node->name, "message"))
        message(user, node, &head);
    else if (str_is(node->name, "presence"))
        presence(user, node, &head);
    else if (str_is(node->name, "iq"))
        iq(user, node, &head);
}

/* ---- The run ---- */

static void open_mix(struct load *load)
{
    mix.load = load;
    mix.random = load->options.seed;
    mix.members = xcalloc(load->options.users, sizeof *mix.members);
    mix.away = xcalloc(load->options.users, sizeof *mix.away);
    mix.goers = (load->options.users + ROOM_GOERS - 1) / ROOM_GOERS;
    for (unsigned i = 0; i < load->options.users; i++) {
        managed_init(&mix.members[i].managed);
        mix.members[i].back.fired = came_back;
        load->users[i].client.resumption = &mix.members[i].managed.resumption;
    }
}

static void prepare(struct load *load)
{
    for (unsigned i = 0; i < load->options.users; i += ROOM_GOERS) {
        arena_reset(&load->arena);
        if (is_founder(&load->users[i]))
            enter_room(&load->users[i]);
    }
}

static bool is_settled(const struct load *load)
{
    (void)load;
    return mix.entered == mix.goers;
}

static void begin(struct load *load)
{
    mix.pace.due = due;
    if (pace_start(&mix.pace, load->loop, load->options.rate ? load->options.rate : 100))
        abort();
}

/* Nobody goes any more, and who is away is called back, for what waits for him. */
static void end(struct load *load)
{
    pace_stop(&mix.pace);
    for (unsigned i = 0; i < load->options.users; i++) {
        struct member *member = &mix.members[i];
        if (timer_running(&member->back) && load->phase == PHASE_DRAIN)
            come_back_within(member, CALLED_BACK_MS);
        else if (load->phase > PHASE_DRAIN)
            timer_stop(&member->back);
    }
}

static bool is_whole(const struct load *load)
{
    return load->online == load->options.users && !mix.away_count;
}

static void close_mix(struct load *load)
{
    (void)load;
    for (unsigned i = 0; i < load->options.users; i++)
        managed_drop(&mix.members[i].managed, NULL);
    ledger_fini(&mix.ledger);
    free(mix.members);
    free(mix.away);
}

const struct mode mode_mix = {
    .name = "mix",
    .help = "a bit of everything, with connections that break; nothing may be lost or come twice",
    .unit = "stanzas",
    .takes_rate = true,
    .answers = true,
    .settles = true,
    .open = open_mix,
    .prepare = prepare,
    .is_settled = is_settled,
    .begin = begin,
    .end = end,
    .is_whole = is_whole,
    .close = close_mix,
    .stanza = stanza,
    .ready = ready,
    .closed = closed,
};
