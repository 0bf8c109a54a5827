/* SPDX-License-Identifier: MIT */
/* Connect, log in, send presence, close, and again: --window at a time, over all users in turn, so that none
 * is logged in twice. Latency is from the start of the connection to the bound session. */
#include "programs/jabiru-load/modes.h"

enum { AT_A_TIME = 16 };

static unsigned slots(const struct load *load)
{
    unsigned wanted = load->options.window ? load->options.window : AT_A_TIME;
    return wanted < load->options.users ? wanted : load->options.users;
}

static void start(struct user *user)
{
    user->stamp = load_now();
    load_sent(user->load, 1);
    load_start_user(user->load, user);
}

static void begin(struct load *load)
{
    for (unsigned i = 0; i < slots(load); i++)
        start(&load->users[i]);
}

static void ready(struct user *user)
{
    load_received(user->load, user->stamp, load_now());
    load_send_presence(user);
    client_close(&user->client);
}

static void closed(struct user *user, enum err why)
{
    struct load *load = user->load;
    unsigned step = slots(load), next = user->index + step;
    load->heard++;
    if (why && !load->tally.all_received)
        load_fail(load, user, why);
    if (!load_working(load))
        return;
    start(&load->users[next < load->options.users ? next : user->index % step]);
}

const struct mode mode_logins = {
    .name = "logins",
    .help = "log in, send presence and close, again and again",
    .unit = "logins",
    .logs_in_itself = true,
    .with_presence = true,
    .begin = begin,
    .ready = ready,
    .closed = closed,
};
