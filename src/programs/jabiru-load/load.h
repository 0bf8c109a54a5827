/* SPDX-License-Identifier: MIT */
/* A run: users that log in, work in the way of a mode, are counted for a while, and leave.
 *
 * LOGIN -> SETTLE (a mode that asks for it) -> WARM -> COUNT -> DRAIN -> LEAVE */
#ifndef JABIRU_LOAD_LOAD_H
#define JABIRU_LOAD_LOAD_H

#include "base/arena.h"
#include "client/client.h"
#include "programs/jabiru-load/histogram.h"
#include "programs/jabiru-load/options.h"

enum phase { PHASE_LOGIN, PHASE_SETTLE, PHASE_WARM, PHASE_COUNT, PHASE_DRAIN, PHASE_LEAVE, PHASE_OVER };

/* What is sent and what has come back, in all and while counting. */
struct tally {
    uint64_t sent, received;                       /* while counting */
    uint64_t all_sent, all_expected, all_received; /* from the first to the last */
    uint64_t doubled;                              /* came more often than it was sent */
    uint64_t held;            /* not sent, since the connection was full, in an open loop */
    uint64_t late;            /* sent more than a millisecond behind the schedule of an open loop */
    uint64_t errors;          /* answers of type error, connections lost, logins failed */
    struct histogram latency; /* nanoseconds */
};

/* The same of the stretch at hand, with --every. */
struct stretch {
    unsigned number;
    uint64_t began, received, errors; /* the counters as it began; ns */
    struct histogram latency;
};

struct user {
    struct client client;
    struct scram_client_cache cache;
    struct load *load;
    uint64_t stamp;                 /* logins: when it began */
    struct client_instant *instant; /* with --instant */
    char *text;                     /* the stanza that it sends again and again; its own */
    uint32_t text_len;
    uint32_t index;
    uint32_t waiting; /* presence: deliveries until the next change */
    bool online, is_in_room, room_is_open, waits_for_last;
    char name[48];
};

struct load {
    struct options options;
    struct loop *loop;
    struct client_settings settings, far_settings; /* the latter with --far-port: of users with odd numbers */
    struct scram_client_cache last_cache; /* of the last login: helps where all accounts have one salt */
    struct user *users;
    unsigned started, ready, online;
    unsigned entered;    /* rooms: who is in */
    unsigned unanswered; /* draining: users whose last ping has not come back */
    enum phase phase;
    struct tally tally;
    struct stretch stretch;
    uint64_t count_began, count_ended; /* ns */
    uint64_t settling, settled;        /* when the mode began to settle, and said that it has; ns */
    uint64_t heard, heard_before;      /* elements received: to see that all is quiet */
    unsigned quiet, ticks;             /* ticks without any; ticks of this phase */
    uint64_t progress_received;        /* when progress was last shown */
    struct arena arena;                /* of one callback */
    str password;                      /* prepared */
    struct arena keep;                 /* of the run */
    struct timer tick;
    enum exit_code exit_code;
};

/* Runs the whole; returns the exit code. */
enum exit_code load_run(const struct options *options);

/* Nanoseconds of a clock that never goes back. */
uint64_t load_now(void);

/* Whether new work is to be sent now. */
static inline bool load_working(const struct load *load)
{
    return load->phase == PHASE_WARM || load->phase == PHASE_COUNT;
}

/* Starts the client of a user. */
void load_start_user(struct load *load, struct user *user);

/* The initial presence, unless the options say no. */
void load_send_presence(struct user *user);

/* Counts something that was sent and is to come back `expected` times. */
static inline void load_sent(struct load *load, unsigned expected)
{
    load->tally.all_sent++;
    load->tally.all_expected += expected;
    load->tally.sent += load->phase == PHASE_COUNT;
}

/* Counts something that came back, sent at `stamp`. */
static inline void load_received(struct load *load, uint64_t stamp, uint64_t now)
{
    load->tally.all_received++;
    if (load->phase != PHASE_COUNT)
        return;
    load->tally.received++;
    histogram_add(&load->tally.latency, now - stamp);
    if (load->options.every)
        histogram_add(&load->stretch.latency, now - stamp);
}

/* The same of what is not timed. */
static inline void load_received_untimed(struct load *load)
{
    load->tally.all_received++;
    load->tally.received += load->phase == PHASE_COUNT;
}

/* Lets go of a user's connection at once, without a word. */
void load_cut(struct user *user);

/* Sends the user's text with the time written at `at`. Does nothing for a user who is not there any more. */
void load_send_stamped(struct user *user, size_t at, uint64_t now);

/* What the modes want of a stanza, as it was written (our names need no escapes); str_none: it is not there.
 */
struct head {
    str id, type, from;
};

struct head load_read_head(const struct xml_node *node);

/* Gives up: says why and ends the run. */
void load_fail(struct load *load, const struct user *user, enum err why);

#endif
