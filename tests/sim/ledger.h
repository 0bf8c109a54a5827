/* SPDX-License-Identifier: MIT */
/* What was said in a run, what became of it, and whether that is what is promised (README.md has the rules).
 *
 * A *letter* is a message with a number; a *visit* is what a device knows as one session: from a binding
 * until it was closed or could not be resumed. */
#ifndef SIM_LEDGER_H
#define SIM_LEDGER_H

#include "base/list.h"

#include <stdint.h>

struct device;
struct ledger;
struct person;
struct place;

struct visit {
    struct list link; /* ledger->visits */
    struct device *device;
    unsigned serial;
    bool began;      /* it has shown itself */
    bool open;       /* its server knows that it wants letters: it has sent it its own presence back */
    bool hid;        /* it has taken that back, or said that it wants no letters, while it was there */
    bool sm;         /* with stream management that can resume */
    bool over, lost; /* lost: it ended without the client having closed it */
    uint32_t in;     /* stanzas that came, since it was enabled */
    uint64_t bound_us, over_us;
};

/* A letter came to a device. */
struct arrival {
    struct list link; /* letter->arrivals */
    struct visit *visit;
    uint32_t position; /* visit->in of then */
    uint64_t at_us;
    uint64_t proven_us; /* when it was clear that the server knows of it; 0: it is not */
    bool stamped, copy;
    bool early; /* to the full JID of a session that did not want letters then */
    bool plain; /* without stream management: it is not counted */
};

struct letter {
    unsigned number;
    struct visit *from;
    struct person *to;
    const char *resource; /* to which of its devices; NULL: to the bare JID */
    unsigned runs;        /* of the sender's server, when it was first written */
    unsigned sendings;    /* in different sessions; what a resumed one sends once more is none */
    bool acked;
    bool sent_again; /* since nobody knew whether it had come: it may come twice */
    bool repeated;   /* by the rules of XEP-0198, where the server can't know of the first time */
    bool resent;     /* to a server that may not know of the first time; see ledger_may_double() */
    bool turned;     /* its sender has sent it again behind later ones */
    unsigned bounces;
    struct visit *overtaken_in; /* it came there behind a later one; NULL: nowhere */
    unsigned overtaken_by;      /* the number of that */
    struct list arrivals;
};

struct ledger {
    struct letter **letters;
    size_t count;
    struct list visits;
    unsigned visit_count;
    char wrong[512]; /* the first promise that was broken; "" */
    /* what was seen, so that a run in which nothing is promised does not pass for a good one */
    unsigned long acked, arrived, bounced, resumed, excused, given_up, twice, subscribed, one_sided;
};

void ledger_init(struct ledger *ledger);
void ledger_fini(struct ledger *ledger);

struct visit *ledger_visit(struct ledger *ledger, struct device *device, uint64_t now_us);
struct letter *ledger_letter(struct ledger *ledger, struct visit *from, struct person *to);
struct letter *ledger_find(const struct ledger *ledger, unsigned number);

/* A promise is broken. */
void ledger_fail(struct ledger *ledger, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline bool ledger_is_good(const struct ledger *ledger)
{
    return !ledger->wrong[0];
}

/* Something with this letter in it came to the device of a visit. Looks whether it may. */
void ledger_arrived(struct ledger *ledger, struct visit *visit, struct letter *letter, bool stamped,
                    bool copy, uint64_t now_us);

/* A disk has failed on its way, and a server was started again: it may have come twice, or late. */
bool ledger_is_torn(const struct letter *letter);

/* The server has heard, and its device knows that, that what came as the first `count` stanzas has come. */
void ledger_proven(struct ledger *ledger, const struct visit *visit, uint32_t count, uint64_t now_us);

/* A server was killed, and what it has handed to its disk from then on is lost. */
void ledger_killed(struct ledger *ledger, const struct place *place, uint64_t lost_us);

/* It may come twice, since it was sent again and no server could know of the first time. */
bool ledger_may_double(const struct ledger *ledger, const struct letter *letter);

/* The same, but not for having been sent in another session: of each sending there may be two. */
bool ledger_is_unsure(const struct ledger *ledger, const struct letter *letter);

/* Its sender has resumed a session, and sends it once more by the rules of XEP-0198. */
void ledger_again(struct letter *letter);

/* At the end: whether each acknowledged letter has arrived, was answered with an error, or (what `archived`
 * says of one) is in the receiver's archive where that is enough. */
void ledger_close(struct ledger *ledger, unsigned (*archived)(const struct letter *letter, void *arg),
                  void *arg);

#endif
