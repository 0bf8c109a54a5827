/* SPDX-License-Identifier: MIT */
/* Users stand in blocks of --room; each block enters a room of its own (XEP-0045), under the users' names.
 * The first of a block makes the room and opens it; then the others enter, --parallel of them at a time. How
 * long it takes until the last one has seen himself in his room is reported.
 *
 * Then in each room --window of its occupants speak, one message at a time: the next goes when all who are in
 * the room have the last one. Deliveries are counted, those to the speaker too. The time of sending stands in
 * the message's id.
 *
 * With --flood nobody waits: the first --flood of each room keep their connections full of messages. What
 * arrives of that is counted, and what is refused is no error, since that is what is hoped for. */
#include "programs/jabiru-load/blocks.h"
#include "programs/jabiru-load/modes.h"
#include "programs/jabiru-load/stamp.h"

#include <stdio.h>
#include <unistd.h>

#define NS_MUC       "http://jabber.org/protocol/muc"
#define BEFORE_STAMP "<message id='"

enum { STAMP_AT = sizeof BEFORE_STAMP - 1, FLOOD_BYTES = 64 * 1024 };

static unsigned next_to_enter; /* who has not been told to enter yet; the first of a block makes it wait */

static unsigned occupants(const struct load *load, unsigned index)
{
    return block_count(load, index, load->options.room);
}

/* room@service of a user. */
static str room_of(const struct user *user)
{
    struct load *load = user->load;
    const struct options *options = &load->options;
    unsigned number = user->index / options->room;
    if (options->service)
        return arena_printf(&load->arena, "load-%d-%u@%s", (int)getpid(), number, options->service);
    return arena_printf(&load->arena, "load-%d-%u@conference.%s", (int)getpid(), number, options->domain);
}

/* ---- Entering ---- */

static void enter_room(struct user *user)
{
    str room = room_of(user);
    client_send(&user->client, arena_printf(&user->load->arena,
                                            "<presence to='%.*s/%s'><x xmlns='" NS_MUC "'><history "
                                            "maxstanzas='0'/></x></presence>",
                                            STR_ARGS(room), user->name));
}

/* XEP-0045 §10.1.2 */
static void open_room(struct user *user)
{
    str room = room_of(user);
    client_send(&user->client,
                arena_printf(&user->load->arena,
                             "<iq type='set' id='open' to='%.*s'><query xmlns='" NS_MUC "#owner'>"
                             "<x xmlns='jabber:x:data' type='submit'/></query></iq>",
                             STR_ARGS(room)));
}

static void enter_next(struct load *load)
{
    struct user *first;
    if (next_to_enter >= load->options.users)
        return;
    first = &load->users[block_begin(next_to_enter, load->options.room)];
    if (first->index != next_to_enter && !first->room_is_open)
        return;
    enter_room(&load->users[next_to_enter++]);
}

static void prepare(struct load *load)
{
    arena_reset(&load->arena);
    enter_next(load);
}

static bool is_settled(const struct load *load)
{
    return load->entered == load->options.users;
}

static void opened(struct user *first)
{
    first->room_is_open = true;
    for (unsigned i = 0; i < first->load->options.parallel; i++)
        enter_next(first->load);
}

static void entered(struct user *user)
{
    struct load *load = user->load;
    user->is_in_room = true;
    load->entered++;
    if (is_settled(load))
        load->settled = load_now();
    if (block_begin(user->index, load->options.room) == user->index)
        open_room(user);
    else
        enter_next(load);
}

/* ---- Talking ---- */

static void write_message(struct user *user)
{
    struct buf text;
    buf_init(&text, 128 * 1024);
    buf_lit(&text, BEFORE_STAMP STAMP_BLANK "' type='groupchat' to='");
    buf_add(&text, room_of(user));
    buf_lit(&text, "'><body>");
    for (unsigned i = 0; i < user->load->options.body; i++)
        buf_add_char(&text, (char)('a' + i % 26));
    buf_lit(&text, "</body></message>");
    user->text_len = (uint32_t)text.len;
    user->text = buf_take(&text);
}

static void speak(struct user *user, uint64_t now)
{
    user->waiting = occupants(user->load, user->index);
    load_sent(user->load, user->waiting);
    load_send_stamped(user, STAMP_AT, now);
}

static void flood(struct load *load)
{
    for (unsigned i = 0; i < load->options.users; i++) {
        struct user *user = &load->users[i];
        if (i - block_begin(i, load->options.room) >= load->options.flood)
            continue;
        while (user->online && client_out(&user->client)->len < FLOOD_BYTES)
            load_send_stamped(user, STAMP_AT, load_now());
    }
}

static void begin(struct load *load)
{
    unsigned window = load->options.window ? load->options.window : 1;
    if (load->options.flood)
        window = load->options.flood;
    arena_reset(&load->arena);
    for (unsigned first = 0; first < load->options.users; first += load->options.room) {
        for (unsigned n = 0; n < window && n < occupants(load, first); n++) {
            struct user *user = &load->users[first + n];
            write_message(user);
            if (!load->options.flood)
                speak(user, load_now());
        }
    }
}

/* ---- What comes ---- */

static str nick_of(const struct head *head)
{
    return str_sub(head->from, str_find(head->from, '/') + 1, head->from.len);
}

static void presence(struct user *user, const struct head *head)
{
    if (user->is_in_room || !str_eq(nick_of(head), str_from(user->name)))
        return;
    if (str_is(head->type, "error"))
        load_fail(user->load, user, ERR_REFUSED);
    else if (!head->type.p)
        entered(user);
}

static void message(struct user *user, const struct head *head)
{
    struct load *load = user->load;
    uint64_t now = load_now(), stamp = stamp_read(head->id, now);
    if (!stamp)
        return;
    struct user *speaker = block_user(load, nick_of(head));
    if (str_is(head->type, "error")) {
        load->tally.errors += !load->options.flood;
        return;
    }
    if (load->options.flood) {
        load->tally.received += load->phase == PHASE_COUNT;
        return;
    }
    if (!speaker || !speaker->waiting)
        return;
    load_received(load, stamp, now);
    if (--speaker->waiting == 0 && load_working(load))
        speak(speaker, now);
}

static void stanza(struct user *user, const struct xml_node *node)
{
    struct head head = load_read_head(node);
    if (str_is(node->name, "message")) {
        message(user, &head);
        return;
    }
    arena_reset(&user->load->arena);
    if (str_is(node->name, "presence"))
        presence(user, &head);
    else if (str_is(head.id, "open") && !user->room_is_open)
        opened(user);
}

const struct mode mode_rooms = {
    .name = "rooms",
    .help = "users enter rooms, and some of each room speak to all in it",
    .unit = "deliveries",
    .with_presence = true,
    .settles = true,
    .prepare = prepare,
    .is_settled = is_settled,
    .begin = begin,
    .tick = flood,
    .stanza = stanza,
};
