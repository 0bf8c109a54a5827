/* SPDX-License-Identifier: MIT */
/* A byte for each number: how often it came, up to three times, and notes. */
#include "programs/jabiru-load/ledger.h"

#include "base/mem.h"

#include <stdlib.h>

enum { TIMES = 3, ROOM_MIN = 1024 };

void ledger_fini(struct ledger *ledger)
{
    free(ledger->entries);
    *ledger = (struct ledger){ .entries = NULL };
}

uint32_t ledger_open(struct ledger *ledger)
{
    if (ledger->count == ledger->room) {
        ledger->room = ledger->room ? 2 * ledger->room : ROOM_MIN;
        ledger->entries = xrealloc(ledger->entries, ledger->room);
    }
    ledger->entries[ledger->count] = 0;
    ledger->awaited++;
    return ledger->count++;
}

void ledger_note(struct ledger *ledger, uint32_t number, enum ledger_note note)
{
    if (number >= ledger->count)
        return;
    uint8_t *entry = &ledger->entries[number];
    if (note == LEDGER_MAY_MISS && !(*entry & (TIMES | LEDGER_MAY_MISS))) {
        ledger->awaited--;
        ledger->excused++;
    }
    *entry |= (uint8_t)note;
}

bool ledger_has(const struct ledger *ledger, uint32_t number, enum ledger_note note)
{
    return number < ledger->count && ledger->entries[number] & note;
}

static void came_again(struct ledger *ledger, uint8_t *entry)
{
    if (*entry & LEDGER_MAY_REPEAT)
        ledger->repeated++;
    else
        ledger->doubled++;
    if ((*entry & TIMES) < TIMES)
        ++*entry;
}

bool ledger_came(struct ledger *ledger, uint32_t number)
{
    if (number >= ledger->count)
        return false;
    uint8_t *entry = &ledger->entries[number];
    if (*entry & TIMES) {
        came_again(ledger, entry);
        return false;
    }
    ++*entry;
    ledger->came++;
    if (*entry & LEDGER_MAY_MISS)
        ledger->excused--;
    else
        ledger->awaited--;
    return true;
}
