/* SPDX-License-Identifier: MIT */
/* Bugs that are planted on purpose, to see that the simulation (tests/sim) finds them. They can be switched
 * on, one at a time, in builds with AddressSanitizer alone; in any other PLANTED() is the constant 0 and the
 * compiler leaves nothing of them. */
#ifndef BASE_PLANTED_H
#define BASE_PLANTED_H

enum planted {
    PLANTED_NONE,
    PLANTED_EARLY_ACK,      /* stream management acknowledges what was only read */
    PLANTED_REORDER,        /* what waits for an actor is taken last in, first out */
    PLANTED_LOST_TAIL,      /* after a resumption, what was written to the dead connection counts as got */
    PLANTED_LEAKED_ACTOR,   /* a user for whom a message was put into the offline store never sleeps again */
    PLANTED_DOUBLE,         /* what a client sends again after a resumption is handled again */
    PLANTED_SILENT_BOUNCE,  /* nobody is told that another server could not be reached */
    PLANTED_ARCHIVED_TWICE, /* what a client sends again after a crash is archived again */
    PLANTED_COUNT,
};

#if defined(__SANITIZE_ADDRESS__)
#define PLANTED_BUGS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PLANTED_BUGS 1
#endif
#endif

#ifdef PLANTED_BUGS
extern enum planted planted_now; /* set before loops run */
#define PLANTED(bug) (planted_now == (bug))
#else
#define PLANTED_BUGS 0
#define PLANTED(bug) 0
#endif

#endif
