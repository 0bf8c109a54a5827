/* SPDX-License-Identifier: MIT */
/* User 2k sends messages to user 2k+1. Closed loop: --window of them are in flight for each pair, and each
 * that arrives lets the next go. Open loop: --rate of them leave each second, in turn over the pairs,
 * whatever arrives; but a connection that is full, since the server does not read it, takes none, and it is
 * counted how many were held back so. The time of sending stands in the id. */
#include "programs/jabiru-load/modes.h"
#include "programs/jabiru-load/pace.h"
#include "programs/jabiru-load/stamp.h"

#include <stdio.h>
#include <stdlib.h>

#define BEFORE_STAMP "<message id='"

enum { HELD_BYTES = 64 * 1024 };

static struct {
    struct pace pace;
    struct load *load;
    unsigned turn;
} open_loop;

static void send_message(struct user *sender, uint64_t now)
{
    load_sent(sender->load, 1);
    load_send_stamped(sender, sizeof BEFORE_STAMP - 1, now);
}

static void write_message(struct user *sender, const struct user *receiver)
{
    struct buf text;
    const char *jid = client_jid(&receiver->client);
    buf_init(&text, 128 * 1024);
    buf_lit(&text, BEFORE_STAMP STAMP_BLANK "' type='chat' to='");
    if (*jid)
        buf_add(&text, str_from(jid));
    else
        buf_addf(&text, "%s@%s/load", receiver->name, sender->load->options.domain);
    buf_lit(&text, "'><body>");
    for (unsigned i = 0; i < sender->load->options.body; i++)
        buf_add_char(&text, (char)('a' + i % 26));
    buf_lit(&text, "</body></message>");
    sender->text_len = (uint32_t)text.len;
    sender->text = buf_take(&text);
}

static void due(struct pace *pace, uint64_t now, uint64_t scheduled)
{
    struct load *load = open_loop.load;
    (void)pace;
    struct user *sender = &load->users[open_loop.turn];
    load->tally.late += load->phase == PHASE_COUNT && now - scheduled > LATE_NS;
    if (sender->online && client_out(&sender->client)->len > HELD_BYTES)
        load->tally.held += load->phase == PHASE_COUNT;
    else
        send_message(sender, now);
    open_loop.turn = (open_loop.turn + 2) % load->options.users;
}

static void begin(struct load *load)
{
    uint64_t now = load_now();
    unsigned window = load->options.window ? load->options.window : 1;
    for (unsigned i = 0; i < load->options.users; i += 2)
        write_message(&load->users[i], &load->users[i + 1]);
    if (load->options.rate) {
        open_loop.load = load;
        open_loop.pace.due = due;
        if (pace_start(&open_loop.pace, load->loop, load->options.rate))
            abort();
        return;
    }
    for (unsigned i = 0; i < load->options.users; i += 2)
        for (unsigned n = 0; n < window; n++)
            send_message(&load->users[i], now);
}

static void end(struct load *load)
{
    (void)load;
    pace_stop(&open_loop.pace);
}

static void stanza(struct user *user, const struct xml_node *node)
{
    struct load *load = user->load;
    bool at_sender = user->index % 2 == 0;
    if (!str_is(node->name, "message"))
        return;
    struct head head = load_read_head(node);
    uint64_t now = load_now(), stamp = stamp_read(head.id, now);
    if (!stamp)
        return;
    if (str_is(head.type, "error"))
        load->tally.errors++;
    else if (at_sender)
        return;
    else
        load_received(load, stamp, now);
    if (!load->options.rate && load_working(load))
        send_message(at_sender ? user : user - 1, now);
}

const struct mode mode_pairs = {
    .name = "pairs",
    .help = "user 2k sends messages to user 2k+1",
    .unit = "messages",
    .in_pairs = true,
    .takes_rate = true,
    .begin = begin,
    .end = end,
    .stanza = stanza,
};
