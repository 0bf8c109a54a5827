/* SPDX-License-Identifier: MIT */
/* Each user pings the server (XEP-0199), with --window pings in flight, or, with --rate, so many a second in
 * all and in turn, whatever comes back. An error is an answer too, and
 * counted as such: what is measured is the way to the server and back. The time of sending stands in the id.
 */
#include "programs/jabiru-load/modes.h"
#include "programs/jabiru-load/pace.h"
#include "programs/jabiru-load/stamp.h"

#include <stdlib.h>

#define BEFORE_STAMP "<iq id='"

static void send_ping(struct user *user, uint64_t now)
{
    load_sent(user->load, 1);
    load_send_stamped(user, sizeof BEFORE_STAMP - 1, now);
}

static struct {
    struct pace pace;
    struct load *load;
    unsigned turn;
} open_loop;

static void due(struct pace *pace, uint64_t now, uint64_t scheduled)
{
    struct load *load = open_loop.load;
    (void)pace;
    load->tally.late += load->phase == PHASE_COUNT && now - scheduled > LATE_NS;
    send_ping(&load->users[open_loop.turn], now);
    open_loop.turn = (open_loop.turn + 1) % load->options.users;
}

static void begin(struct load *load)
{
    unsigned window = load->options.window ? load->options.window : 1;
    for (unsigned i = 0; i < load->options.users; i++) {
        struct user *user = &load->users[i];
        struct buf text;
        buf_init(&text, 4096);
        buf_addf(&text, BEFORE_STAMP STAMP_BLANK "' type='get' to='%s'><ping xmlns='urn:xmpp:ping'/></iq>",
                 load->options.domain);
        user->text_len = (uint32_t)text.len;
        user->text = buf_take(&text);
        for (unsigned n = 0; n < window && !load->options.rate; n++)
            send_ping(user, load_now());
    }
    open_loop.load = load;
    open_loop.pace.due = due;
    if (load->options.rate && pace_start(&open_loop.pace, load->loop, load->options.rate))
        abort();
}

static void end(struct load *load)
{
    (void)load;
    pace_stop(&open_loop.pace);
}

static void stanza(struct user *user, const struct xml_node *node)
{
    struct load *load = user->load;
    uint64_t now = load_now();
    struct head head = load_read_head(node);
    uint64_t stamp = stamp_read(head.id, now);
    if (!str_is(node->name, "iq") || !stamp)
        return;
    load->tally.errors += str_is(head.type, "error");
    load_received(load, stamp, now);
    if (!load->options.rate && load_working(load))
        send_ping(user, now);
}

const struct mode mode_ping = {
    .name = "ping",
    .help = "each user pings the server",
    .unit = "pings",
    .takes_rate = true,
    .begin = begin,
    .end = end,
    .stanza = stanza,
};
