/* SPDX-License-Identifier: MIT */
/* Nearness of names by Levenshtein's distance, in one row of memory. A third of the letters may differ, or
 * two of a short name; what is further away would be a guess that misleads.
 *
 * What not: it does not know which names there are; config.c walks over those that fit the place. */
#include "server/config/config_suggest.h"

#include <stdint.h>
#include <string.h>

enum { NAME_MAX_BYTES = 63 };

static bool same_letter(char a, char b)
{
    bool dashes = (a == '-' || a == '_') && (b == '-' || b == '_');
    return a == b || dashes;
}

static size_t least(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

size_t config_name_distance(const char *a, const char *b)
{
    size_t a_len = strlen(a), b_len = strlen(b), row[NAME_MAX_BYTES + 1];
    if (a_len > NAME_MAX_BYTES || b_len > NAME_MAX_BYTES)
        return SIZE_MAX;
    for (size_t j = 0; j <= b_len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t above = row[j];
            size_t changed = diagonal + !same_letter(a[i - 1], b[j - 1]);
            row[j] = least(above + 1, row[j - 1] + 1, changed);
            diagonal = above;
        }
    }
    return row[b_len];
}

bool config_name_is_near(const char *name, size_t distance)
{
    size_t length = strlen(name), allowed = length / 3 > 2 ? length / 3 : 2;
    return distance <= allowed && distance < length;
}
