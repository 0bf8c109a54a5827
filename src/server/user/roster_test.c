/* SPDX-License-Identifier: MIT */
/* Rosters in memory: sorted, found, changed, removed, the same before and after they are packed. */
#include "server/user/roster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { ITEMS = 100 };

static str jid_of(unsigned number)
{
    static char text[64];
    snprintf(text, sizeof text, "contact%u@example.org", number);
    return str_from(text);
}

/* Each with a name or without, some asked for. */
static void fill(struct roster *roster)
{
    for (unsigned i = 0; i < ITEMS; i++) {
        unsigned number = i * 37 % ITEMS;
        str name = number % 3 ? STR(" name='x'") : str_none;
        str groups = number % 5 ? str_none : STR("<group>g</group>");
        struct roster_item *item =
            roster_set(roster, jid_of(number), name, groups, ROSTER_LISTED | ROSTER_TO);
        if (number % 7 == 0)
            roster_set_request(item, STR("<presence type='subscribe'/>"));
    }
}

static str written(const struct roster *roster, struct buf *out)
{
    buf_clear(out);
    for (uint32_t i = 0; i < roster->count; i++) {
        roster_item_write(out, roster->items[i]);
        buf_add(out, str_from(roster->items[i]->request));
    }
    return buf_str(out);
}

static void same(const struct roster *one, const struct roster *other)
{
    struct buf left, right;
    buf_init(&left, 1 << 20);
    buf_init(&right, 1 << 20);
    assert_int_equal(one->count, other->count);
    assert_int_equal(one->listed, other->listed);
    assert_true(str_eq(written(one, &left), written(other, &right)));
    buf_fini(&left);
    buf_fini(&right);
}

static void change(struct roster *roster, unsigned seed)
{
    for (unsigned i = 0; i < ITEMS; i++) {
        unsigned number = (i * 61 + seed) % ITEMS;
        struct roster_item *item = roster_find(roster, jid_of(number));
        if (item && i % 3 == 0)
            roster_remove(roster, jid_of(number));
        else if (i % 3 == 1)
            roster_set(roster, jid_of(number), STR(" name='another'"), str_none, ROSTER_LISTED);
        else if (item)
            roster_set_request(item, i % 2 ? STR("<presence/>") : str_none);
    }
}

static void a_packed_roster_is_the_same(void **state)
{
    struct roster packed = { 0 }, plain = { 0 };
    (void)state;
    roster_pack(&packed); /* of nothing */
    fill(&packed);
    fill(&plain);
    for (unsigned seed = 0; seed < 5; seed++) {
        same(&packed, &plain);
        roster_pack(&packed);
        same(&packed, &plain);
        for (unsigned i = 0; i < ITEMS; i++)
            assert_int_equal(!roster_find(&packed, jid_of(i)), !roster_find(&plain, jid_of(i)));
        change(&packed, seed);
        change(&plain, seed);
    }
    same(&packed, &plain);
    roster_fini(&packed);
    roster_fini(&plain);
    assert_int_equal(packed.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_packed_roster_is_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
