/* SPDX-License-Identifier: MIT */
/* The rules that are looked at when a letter comes, and at the end. In words: README.md. */
#include "ledger.h"

#include "chance.h"
#include "device.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ledger_init(struct ledger *ledger)
{
    *ledger = (struct ledger){ 0 };
    list_init(&ledger->visits);
}

void ledger_fini(struct ledger *ledger)
{
    struct list *link;
    for (size_t i = 0; i < ledger->count; i++) {
        while ((link = list_shift(&ledger->letters[i]->arrivals)))
            free(LIST_ITEM(link, struct arrival, link));
        free(ledger->letters[i]);
    }
    free(ledger->letters);
    while ((link = list_shift(&ledger->visits)))
        free(LIST_ITEM(link, struct visit, link));
}

struct visit *ledger_visit(struct ledger *ledger, struct device *device, uint64_t now_us)
{
    struct visit *visit = NEW(struct visit);
    visit->device = device;
    visit->serial = ++ledger->visit_count;
    visit->bound_us = now_us;
    list_append(&ledger->visits, &visit->link);
    return visit;
}

struct letter *ledger_letter(struct ledger *ledger, struct visit *from, struct person *to)
{
    struct letter *letter = NEW(struct letter);
    letter->number = (unsigned)ledger->count;
    letter->from = from;
    letter->to = to;
    letter->sendings = 1;
    letter->runs = from->device->person->place->runs;
    list_init(&letter->arrivals);
    ledger->letters = xrealloc(ledger->letters, (ledger->count + 1) * sizeof(struct letter *));
    ledger->letters[ledger->count++] = letter;
    return letter;
}

struct letter *ledger_find(const struct ledger *ledger, unsigned number)
{
    return number < ledger->count ? ledger->letters[number] : NULL;
}

void ledger_fail(struct ledger *ledger, const char *format, ...)
{
    char text[sizeof ledger->wrong];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    trace("BROKEN: %s", text);
    if (ledger_is_good(ledger))
        memcpy(ledger->wrong, text, sizeof text);
}

/* ---- When one arrives ---- */

/* Whether the server can't know that this arrival took place. */
static bool may_be_unknown(const struct arrival *arrival)
{
    return !arrival->proven_us;
}

void ledger_proven(struct ledger *ledger, const struct visit *visit, uint32_t count, uint64_t now_us)
{
    for (size_t i = 0; i < ledger->count; i++) {
        list_each (at, &ledger->letters[i]->arrivals) {
            struct arrival *arrival = LIST_ITEM(at, struct arrival, link);
            if (arrival->visit == visit && !arrival->plain && arrival->position <= count &&
                !arrival->proven_us)
                arrival->proven_us = now_us;
        }
    }
}

/* Who resumes says once more what it has; who does not, may get it again. */
void ledger_killed(struct ledger *ledger, const struct place *place, uint64_t lost_us)
{
    for (size_t i = 0; i < ledger->count; i++) {
        list_each (at, &ledger->letters[i]->arrivals) {
            struct arrival *arrival = LIST_ITEM(at, struct arrival, link);
            if (arrival->visit->device->person->place == place && arrival->proven_us >= lost_us)
                arrival->proven_us = 0;
        }
    }
}

static bool has_plain_device(const struct person *person);
static bool came_too_early(const struct ledger *ledger, const struct letter *letter);

/* What a crash left half done is known where the message is kept for its receiver in the same batch of the
 * same store: of a receiver elsewhere, and of one whose devices keep nothing, it is not. */
void ledger_again(struct letter *letter)
{
    const struct place *place = letter->from->device->person->place;
    if (letter->runs != place->runs && (letter->to->place != place || has_plain_device(letter->to)))
        letter->sent_again = letter->repeated = true;
    letter->resent |= letter->runs != place->runs;
}

/* A session that has not enabled stream management yet keeps nothing either. */
static bool came_to_newcomer(const struct ledger *ledger, const struct letter *letter)
{
    list_each (at, &letter->arrivals)
        if (LIST_ITEM(at, struct arrival, link)->plain)
            return true;
    return came_too_early(ledger, letter);
}

bool ledger_is_unsure(const struct ledger *ledger, const struct letter *letter)
{
    return letter->repeated || (letter->resent && came_to_newcomer(ledger, letter));
}

bool ledger_may_double(const struct ledger *ledger, const struct letter *letter)
{
    return letter->sent_again || ledger_is_unsure(ledger, letter);
}

/* What a disk has refused was handed on all the same where somebody was there to take it; after a restart
 * nobody knows of that. */
static bool is_torn(const struct place *place)
{
    return disk_failures(place->disk) && place->runs > 1;
}

bool ledger_is_torn(const struct letter *letter)
{
    return is_torn(letter->to->place) || is_torn(letter->from->device->person->place);
}

/* After a restart nobody knows any more that two devices had the same message: if one of them has
 * acknowledged it and the other one never comes back, it is delivered again. */
static bool may_have_been_shared(const struct visit *visit)
{
    const struct person *person = visit->device->person;
    return person->count > 1 && person->place->runs > 1;
}

static void check_twice(struct ledger *ledger, const struct visit *visit, const struct letter *letter)
{
    list_each (at, &letter->arrivals) {
        const struct arrival *before = LIST_ITEM(at, struct arrival, link);
        const struct device *device = before->visit->device;
        if (before->copy)
            continue;
        if (may_have_been_shared(visit))
            ledger->twice++;
        else if (before->visit == visit && visit->sm)
            ledger_fail(ledger, "letter %u came twice to %s within one session", letter->number,
                        device->full);
        else if (device == visit->device && !may_be_unknown(before))
            ledger_fail(ledger, "letter %u came again to %s, which had acknowledged it", letter->number,
                        device->full);
        else if (device == visit->device)
            ledger->twice++;
    }
}

/* What was on its way to a device that hid itself and never acknowledged it comes when its session has ended,
 * and the store has taken more meanwhile. */
static bool has_hidden(const struct ledger *ledger, const struct device *device)
{
    list_each (at, &ledger->visits) {
        const struct visit *visit = LIST_ITEM(at, struct visit, link);
        if (visit->device == device && visit->hid && visit->over)
            return true;
    }
    return false;
}

static bool has_come_to(const struct visit *visit, const struct letter *letter)
{
    list_each (at, &letter->arrivals) {
        const struct arrival *before = LIST_ITEM(at, struct arrival, link);
        if (before->visit == visit && !before->copy)
            return true;
    }
    return false;
}

static void overtaken(struct letter *letter, struct visit *visit, unsigned by)
{
    trace("letter %u came behind letter %u of the same sender", letter->number, by);
    letter->overtaken_in = visit;
    letter->overtaken_by = by;
}

/* Letters that came from this visit to that one before, and were written later. What another device has not
 * acknowledged before it went for good comes late, and may come behind what was written after it. */
static void check_order(struct ledger *ledger, struct visit *visit, struct letter *letter, bool stamped)
{
    if (letter->turned ||
        (stamped && (visit->device->person->count > 1 || has_hidden(ledger, visit->device))))
        return;
    for (size_t i = letter->number + 1; i < ledger->count; i++) {
        const struct letter *later = ledger->letters[i];
        if (later->from != letter->from || later->to != letter->to || later->turned ||
            ledger_may_double(ledger, later) || later->resource != letter->resource)
            continue;
        list_each (at, &later->arrivals) {
            const struct arrival *before = LIST_ITEM(at, struct arrival, link);
            if (before->visit == visit && !before->copy && !before->early && before->stamped == stamped)
                overtaken(letter, visit, later->number);
        }
    }
}

void ledger_arrived(struct ledger *ledger, struct visit *visit, struct letter *letter, bool stamped,
                    bool copy, uint64_t now_us)
{
    if (!copy && letter->to != visit->device->person)
        ledger_fail(ledger, "letter %u came to %s, to whom it was not sent", letter->number,
                    visit->device->full);
    if (!copy && !ledger_may_double(ledger, letter) && !letter->bounces && !ledger_is_torn(letter)) {
        check_twice(ledger, visit, letter);
        if (!has_come_to(visit, letter))
            check_order(ledger, visit, letter, stamped);
    }
    struct arrival *arrival = NEW(struct arrival);
    *arrival = (struct arrival){
        .visit = visit,
        .position = visit->in,
        .at_us = now_us,
        .stamped = stamped,
        .copy = copy,
        .plain = !visit->sm,
    };
    arrival->early = letter->resource && !visit->open;
    list_append(&letter->arrivals, &arrival->link);
    ledger->arrived += !copy;
}

/* ---- At the end ---- */

static bool has_arrived(const struct letter *letter)
{
    list_each (at, &letter->arrivals)
        if (!LIST_ITEM(at, struct arrival, link)->copy)
            return true;
    return false;
}

/* Someone who may lose what was written to a connection that was dead: the archive is for that. */
static bool has_plain_device(const struct person *person)
{
    for (unsigned i = 0; i < person->count; i++)
        if (!person->devices[i]->wants_sm)
            return true;
    return false;
}

/* It was sent to a full JID while that had no stream management yet, between binding (of which the client may
 * not even have heard) and <enable/>, and then the connection broke. */
static bool came_too_early(const struct ledger *ledger, const struct letter *letter)
{
    list_each (at, &ledger->visits) {
        const struct visit *visit = LIST_ITEM(at, struct visit, link);
        if (letter->resource && visit->device->person == letter->to && visit->lost && !visit->sm &&
            !strcmp(visit->device->resource, letter->resource))
            return true;
    }
    return false;
}

/* Promise 3 of docs/reliability.md. */
static bool was_given_up(const struct letter *letter)
{
    return letter->from->device->person->place != letter->to->place && world_given_up(letter->to->place);
}

/* An error for it may have been on its way: it was held for lost when it came. */
static void close_order(struct ledger *ledger)
{
    for (size_t i = 0; i < ledger->count; i++) {
        const struct letter *letter = ledger->letters[i];
        if (letter->overtaken_in && !letter->bounces)
            ledger_fail(ledger, "letter %u came to %s after letter %u of the same sender", letter->number,
                        letter->overtaken_in->device->full, letter->overtaken_by);
    }
}

void ledger_close(struct ledger *ledger, unsigned (*archived)(const struct letter *letter, void *arg),
                  void *arg)
{
    close_order(ledger);
    for (size_t i = 0; i < ledger->count; i++) {
        struct letter *letter = ledger->letters[i];
        ledger->bounced += letter->bounces > 0;
        if (!letter->acked)
            continue;
        ledger->acked++;
        if (has_arrived(letter) || letter->bounces)
            continue;
        unsigned kept = archived(letter, arg);
        if (has_plain_device(letter->to) && (kept || disk_failures(letter->to->place->disk)))
            continue; /* the archive has it, unless the disk refused that too */
        if (letter->from->over ||
            came_too_early(ledger, letter)) { /* the error may have been for a session that is gone */
            ledger->excused++;
            continue;
        }
        if (was_given_up(letter)) {
            ledger->given_up++;
            continue;
        }
        ledger_fail(ledger, "letter %u of %s to %s was acknowledged and has not come%s", letter->number,
                    letter->from->device->full, letter->to->bare, kept ? " (but is archived)" : "");
    }
}
