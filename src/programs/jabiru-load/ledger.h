/* SPDX-License-Identifier: MIT */
/* What was sent under a number, and whether it came: once, never, or too often. */
#ifndef JABIRU_LOAD_LEDGER_H
#define JABIRU_LOAD_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

enum ledger_note {
    LEDGER_MAY_MISS = 4,   /* it may get lost: a session ended of which is not known how much arrived */
    LEDGER_MAY_REPEAT = 8, /* it may come again: nobody knows that it was got */
    LEDGER_SENT_AGAIN = 16 /* it was sent more than once: how long it took says nothing */
};

/* Zeroed memory is an empty one. */
struct ledger {
    uint8_t *entries;
    uint32_t count, room;
    uint32_t awaited;  /* not come, and not excused */
    uint32_t came;     /* at least once */
    uint32_t doubled;  /* came more than once without an excuse */
    uint32_t excused;  /* may miss, and have not come */
    uint32_t repeated; /* came again, excused */
};

void ledger_fini(struct ledger *ledger);

/* A new number, of something that is to come once. */
uint32_t ledger_open(struct ledger *ledger);

/* Adds a note. Harmless for a number that is none. */
void ledger_note(struct ledger *ledger, uint32_t number, enum ledger_note note);

bool ledger_has(const struct ledger *ledger, uint32_t number, enum ledger_note note);

/* It came. True if for the first time. */
bool ledger_came(struct ledger *ledger, uint32_t number);

#endif
