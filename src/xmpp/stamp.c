/* SPDX-License-Identifier: MIT */
/* XEP-0082 1.1.1: dates and times, both ways. Only the DateTime profile: no extension that we know sends the
 * others to a server.
 *
 * The calendar is computed here, not asked from libc: the C library reads years and offsets more freely than
 * a strict reader may, and the rules are short. Days are counted by "years that begin in March", so that the
 * leap day is the last of its year. */
#include "xmpp/stamp.h"

enum { DAY_MS = 24 * 60 * 60 * 1000, OFFSET_MAX_MINUTES = 14 * 60 };

/* The first and the last millisecond of four-digit years. */
#define FIRST_MS (-62167219200000)
#define LAST_MS  (253402300799999)

/* ---- The calendar ---- */

struct date {
    unsigned year, month, day;
};

/* Days from 1970-01-01 to a date of the Gregorian calendar. */
static int64_t days_of(struct date date)
{
    /* March is month 0; the days before month m are (153m + 2) / 5 */
    int64_t year = (int64_t)date.year - (date.month <= 2);
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t of_era = year - era * 400;
    int64_t month = (date.month + 9) % 12;
    int64_t of_year = (153 * month + 2) / 5 + date.day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static struct date date_of(int64_t days)
{
    int64_t since = days + 719468;
    int64_t era = (since >= 0 ? since : since - 146096) / 146097;
    int64_t of_era = since - era * 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * of_year + 2) / 153;
    unsigned number = (unsigned)(month < 10 ? month + 3 : month - 9);
    return (struct date){ (unsigned)(year + era * 400 + (number <= 2)), number,
                          (unsigned)(of_year - (153 * month + 2) / 5 + 1) };
}

static bool date_exists(struct date date)
{
    static const unsigned char lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    if (date.month < 1 || date.month > 12 || date.day < 1)
        return false;
    bool leap = date.year % 4 == 0 && (date.year % 100 != 0 || date.year % 400 == 0);
    return date.day <= lengths[date.month - 1] + (date.month == 2 && leap ? 1u : 0u);
}

/* ---- Writing ---- */

static str write_stamp(int64_t ms, bool millis, struct arena *arena)
{
    if (ms < FIRST_MS)
        ms = FIRST_MS;
    if (ms > LAST_MS)
        ms = LAST_MS;
    int64_t days = (ms >= 0 ? ms : ms - DAY_MS + 1) / DAY_MS;
    unsigned of_day = (unsigned)(ms - days * DAY_MS);
    struct date date = date_of(days);
    str seconds = arena_printf(arena, "%04u-%02u-%02uT%02u:%02u:%02u%s", date.year, date.month, date.day,
                               of_day / 3600000, of_day / 60000 % 60, of_day / 1000 % 60, millis ? "" : "Z");
    return millis ? arena_printf(arena, "%s.%03uZ", seconds.p, of_day % 1000) : seconds;
}

const char *stamp_seconds(int64_t ms, struct arena *arena)
{
    return write_stamp(ms, false, arena).p;
}

const char *stamp_millis(int64_t ms, struct arena *arena)
{
    return write_stamp(ms, true, arena).p;
}

/* ---- Reading ---- */

/* Takes exactly `digits` digits off the front. */
static bool take_number(str *text, unsigned digits, unsigned *ret)
{
    uint64_t value;
    if (text->len < digits || !str_to_u64(str_sub(*text, 0, digits), 9999, &value))
        return false;
    *text = str_sub(*text, digits, text->len);
    *ret = (unsigned)value;
    return true;
}

static bool take_char(str *text, char c)
{
    if (!text->len || text->p[0] != c)
        return false;
    *text = str_sub(*text, 1, text->len);
    return true;
}

static bool take_date(str *text, int64_t *ret_days)
{
    struct date date;
    if (!take_number(text, 4, &date.year) || !take_char(text, '-') || !take_number(text, 2, &date.month) ||
        !take_char(text, '-') || !take_number(text, 2, &date.day) || !date_exists(date))
        return false;
    *ret_days = days_of(date);
    return true;
}

/* The fraction behind the seconds, if there is one. */
static bool take_fraction(str *text, unsigned *ret_ms)
{
    unsigned digits = 0, ms = 0;
    *ret_ms = 0;
    if (!take_char(text, '.'))
        return true;
    for (; text->len && text->p[0] >= '0' && text->p[0] <= '9'; digits++) {
        if (digits < 3)
            ms = ms * 10 + (unsigned)(text->p[0] - '0');
        *text = str_sub(*text, 1, text->len);
    }
    for (unsigned i = digits; i < 3; i++)
        ms *= 10;
    *ret_ms = ms;
    return digits > 0;
}

static bool take_time(str *text, int64_t *ret_ms)
{
    unsigned hour, minute, second, ms;
    if (!take_number(text, 2, &hour) || !take_char(text, ':') || !take_number(text, 2, &minute) ||
        !take_char(text, ':') || !take_number(text, 2, &second) || !take_fraction(text, &ms))
        return false;
    if (minute > 59 || second > 59 || hour > 24 || (hour == 24 && (minute || second || ms)))
        return false;
    *ret_ms = (int64_t)hour * 3600000 + minute * 60000 + second * 1000 + ms;
    return true;
}

static bool take_zone(str *text, int64_t *ret_ms)
{
    unsigned hours, minutes;
    if (take_char(text, 'Z')) {
        *ret_ms = 0;
        return true;
    }
    bool behind = take_char(text, '-');
    if (!behind && !take_char(text, '+'))
        return false;
    if (!take_number(text, 2, &hours) || !take_char(text, ':') || !take_number(text, 2, &minutes))
        return false;
    if (minutes > 59 || hours * 60 + minutes > OFFSET_MAX_MINUTES)
        return false;
    *ret_ms = (behind ? -60000 : 60000) * (int64_t)(hours * 60 + minutes);
    return true;
}

bool stamp_read(str text, int64_t *ret_ms)
{
    int64_t days, of_day, ahead;
    if (!take_date(&text, &days) || !take_char(&text, 'T') || !take_time(&text, &of_day) ||
        !take_zone(&text, &ahead) || text.len)
        return false;
    *ret_ms = days * DAY_MS + of_day - ahead;
    return true;
}
