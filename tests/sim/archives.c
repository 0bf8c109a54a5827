/* SPDX-License-Identifier: MIT */
/* A letter is in two archives: its sender's and its receiver's. What the sender was told (an acknowledgement)
 * must be true of both; and none may have more than was sent.
 *
 * Where a disk has refused something, an entry may be missing: that is logged, and the message is delivered
 * all the same. */
#include "archives.h"

#include "chance.h"

#include <stdlib.h>
#include <string.h>

enum { TURNS_MAX = 100000, ENTRIES_MAX = 100000 };

/* ---- Reading ---- */

struct entries {
    struct store_read read;
    bool done;
};

static void entries_read(struct store_read *read)
{
    CONTAINER_OF(read, struct entries, read)->done = true;
}

/* Of <body>#NUMBER#</body>; anything else is no letter. */
static bool number_in(str value, unsigned *ret_number)
{
    static const char mark[] = "<body>#";
    const char *at = memmem(value.p, value.len, mark, sizeof mark - 1);
    if (!at)
        return false;
    *ret_number = (unsigned)strtoul(at + sizeof mark - 1, NULL, 10);
    return true;
}

static void read_one(struct world *world, const struct person *person, struct archive *ret)
{
    struct entries entries = { .read.done = entries_read };
    const struct store_log_query query = { .peer = str_none, .limit = ENTRIES_MAX };
    store_log_find(person->place->process->store, world->clients, str_from(person->bare), STR("archive"),
                   &query, &entries.read);
    sim_settle(world->sim, TURNS_MAX);
    if (!entries.done || entries.read.err != OK)
        abort();
    *ret = (struct archive){ .person = person,
                             .numbers = xcalloc(entries.read.count + 1, sizeof *ret->numbers) };
    for (size_t i = 0; i < entries.read.count; i++)
        if (number_in(entries.read.entries[i].value, &ret->numbers[ret->count]))
            ret->count++;
    store_read_fini(&entries.read);
}

void archives_read(struct world *world, const struct person *persons, unsigned count, struct archives *ret)
{
    ret->count = count;
    for (unsigned i = 0; i < count; i++)
        read_one(world, &persons[i], &ret->all[i]);
}

void archives_fini(struct archives *archives)
{
    for (unsigned i = 0; i < archives->count; i++)
        free(archives->all[i].numbers);
    archives->count = 0;
}

static const struct archive *archive_of(const struct archives *archives, const struct person *person)
{
    unsigned i = 0;
    while (archives->all[i].person != person)
        i++;
    return &archives->all[i];
}

unsigned archives_have(const struct archives *archives, const struct person *person,
                       const struct letter *letter)
{
    const struct archive *archive = archive_of(archives, person);
    unsigned count = 0;
    for (size_t i = 0; i < archive->count; i++)
        count += archive->numbers[i] == letter->number;
    return count;
}

/* ---- The rules ---- */

static void check_sender(struct ledger *ledger, const struct letter *letter, unsigned count)
{
    const struct person *person = letter->from->device->person;
    if (count > letter->sendings)
        ledger_fail(ledger, "letter %u was sent %u times, and is %u times in the archive of its sender %s",
                    letter->number, letter->sendings, count, person->bare);
    if (!count && letter->acked && !disk_failures(person->place->disk))
        ledger_fail(ledger, "letter %u was acknowledged, and is not in the archive of its sender %s",
                    letter->number, person->bare);
}

static void check_receiver(struct ledger *ledger, const struct letter *letter, unsigned count)
{
    if (letter->bounces || ledger_is_torn(letter))
        return;
    if (count > letter->sendings && !ledger_is_unsure(ledger, letter))
        ledger_fail(ledger, "letter %u was sent %u times, and is %u times in the archive of %s",
                    letter->number, letter->sendings, count, letter->to->bare);
    if (!count && letter->acked && !letter->from->over && !disk_failures(letter->to->place->disk))
        ledger_fail(ledger, "letter %u was acknowledged, and is not in the archive of %s", letter->number,
                    letter->to->bare);
}

/* Whether something else than the order in which it was written decides where it stands. An entry that the
 * disk of its sender has refused is made when the letter is sent again. */
static bool has_own_place(const struct ledger *ledger, const struct letter *letter)
{
    return disk_failures(letter->from->device->person->place->disk) || letter->turned || letter->bounces ||
           ledger_may_double(ledger, letter) || ledger_is_torn(letter);
}

/* Letters of one session to one address stand as they were written. */
static void check_order(struct ledger *ledger, const struct archive *archive)
{
    for (size_t i = 1; i < archive->count; i++) {
        const struct letter *letter = ledger_find(ledger, archive->numbers[i]);
        if (has_own_place(ledger, letter))
            continue;
        for (size_t k = 0; k < i; k++) {
            const struct letter *before = ledger_find(ledger, archive->numbers[k]);
            if (before->number > letter->number && before->from == letter->from && before->to == letter->to &&
                !has_own_place(ledger, before))
                ledger_fail(ledger, "letter %u stands behind letter %u in the archive of %s", letter->number,
                            before->number, archive->person->bare);
        }
    }
}

void archives_check(const struct archives *archives, struct ledger *ledger)
{
    for (size_t i = 0; i < ledger->count; i++) {
        const struct letter *letter = ledger->letters[i];
        check_sender(ledger, letter, archives_have(archives, letter->from->device->person, letter));
        check_receiver(ledger, letter, archives_have(archives, letter->to, letter));
    }
    for (unsigned i = 0; i < archives->count; i++)
        check_order(ledger, &archives->all[i]);
}
