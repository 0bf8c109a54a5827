/* SPDX-License-Identifier: MIT */
/* Values of the configuration, one at a time. A number of any kind becomes a uint64_t first, is held against
 * the bounds of its row, and is then stored at the width of its field; so a new width or unit is one line
 * here. Suffixes are those that people write: K, M and G are of 1024; a duration without a suffix is in
 * seconds.
 *
 * Files, lines and errors are not known here: config.c has them. */
#include "server/config/config_value.h"

#include "base/mem.h"

static const struct unit {
    enum config_type type;
    const char *suffix;
    uint64_t factor;
} units[] = {
    /* the largest first, for printing; "ms" before "m" and "s", for reading */
    { CONFIG_SIZE, "G", 1 << 30 },   { CONFIG_SIZE, "M", 1 << 20 },      { CONFIG_SIZE, "K", 1 << 10 },
    { CONFIG_DURATION, "ms", 1 },    { CONFIG_DURATION, "d", 86400000 }, { CONFIG_DURATION, "h", 3600000 },
    { CONFIG_DURATION, "m", 60000 }, { CONFIG_DURATION, "s", 1000 },
};

bool config_value_is_number(const struct config_key *key)
{
    return key->type == CONFIG_BOOL || key->type == CONFIG_INT || key->type == CONFIG_SIZE ||
           key->type == CONFIG_DURATION || key->type == CONFIG_CHOICE;
}

static uint64_t largest(const struct config_key *key)
{
    if (key->max)
        return key->max;
    return key->width >= 8 ? INT64_MAX : (1ull << (8 * key->width)) - 1;
}

static bool parse_amount(const struct config_key *key, str text, uint64_t *ret)
{
    uint64_t factor = key->type == CONFIG_DURATION ? 1000 : 1, count;
    for (size_t i = 0; i < COUNT_OF(units); i++) {
        str suffix = str_from(units[i].suffix);
        if (units[i].type != key->type || !str_ends(text, suffix))
            continue;
        factor = units[i].factor;
        text = str_sub(text, 0, text.len - suffix.len);
        break;
    }
    if (!str_to_u64(text, UINT64_MAX / factor, &count))
        return false;
    if (count * factor < key->min || count * factor > largest(key))
        return false;
    *ret = count * factor;
    return true;
}

static bool parse_bool(str text, uint64_t *ret)
{
    bool yes = str_is(text, "true") || str_is(text, "yes") || str_is(text, "on");
    bool no = str_is(text, "false") || str_is(text, "no") || str_is(text, "off");
    if (yes || no)
        *ret = yes;
    return yes || no;
}

static bool parse_choice(const struct config_key *key, str text, uint64_t *ret)
{
    str rest = str_from(key->choices), choice;
    for (uint64_t i = 0; config_value_next_item(&rest, &choice); i++) {
        if (!str_eq(choice, text))
            continue;
        *ret = i;
        return true;
    }
    return false;
}

bool config_value_parse(const struct config_key *key, str text, uint64_t *ret)
{
    if (key->type == CONFIG_BOOL)
        return parse_bool(text, ret);
    if (key->type == CONFIG_CHOICE)
        return parse_choice(key, text, ret);
    return parse_amount(key, text, ret);
}

/* memcpy of the low bytes would do on one kind of machine only. */
void config_value_set(const struct config_key *key, void *base, uint64_t number)
{
    void *field = (char *)base + key->offset;
    switch (key->width) {
    case 1:
        *(uint8_t *)field = (uint8_t)number;
        break;
    case 2:
        *(uint16_t *)field = (uint16_t)number;
        break;
    case 4:
        *(uint32_t *)field = (uint32_t)number;
        break;
    default:
        *(uint64_t *)field = number;
        break;
    }
}

uint64_t config_value_get(const struct config_key *key, const void *base)
{
    const void *field = (const char *)base + key->offset;
    switch (key->width) {
    case 1:
        return *(const uint8_t *)field;
    case 2:
        return *(const uint16_t *)field;
    case 4:
        return *(const uint32_t *)field;
    default:
        return *(const uint64_t *)field;
    }
}

static bool lists_equal(const struct config_list *a, const struct config_list *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(a->items[i], b->items[i]) != 0)
            return false;
    return true;
}

bool config_value_equal(const struct config_key *key, const void *a, const void *b)
{
    if (config_value_is_number(key))
        return config_value_get(key, a) == config_value_get(key, b);
    const void *left = (const char *)a + key->offset, *right = (const char *)b + key->offset;
    if (key->type == CONFIG_LIST)
        return lists_equal(left, right);
    return strcmp(*(const char *const *)left, *(const char *const *)right) == 0;
}

static void add_amount(const struct config_key *key, uint64_t amount, struct buf *out)
{
    for (size_t i = 0; i < COUNT_OF(units) && amount; i++) {
        bool fits = units[i].type == key->type && units[i].factor > 1 && amount % units[i].factor == 0;
        if (!fits)
            continue;
        buf_addf(out, "%llu%s", (unsigned long long)(amount / units[i].factor), units[i].suffix);
        return;
    }
    buf_addf(out, "%llu%s", (unsigned long long)amount, amount && key->type == CONFIG_DURATION ? "ms" : "");
}

static void add_choices(const struct config_key *key, struct buf *out)
{
    str rest = str_from(key->choices), choice;
    for (size_t i = 0; config_value_next_item(&rest, &choice); i++)
        buf_addf(out, "%s%.*s", i ? " or " : "", STR_ARGS(choice));
}

void config_value_add_range(const struct config_key *key, struct buf *out)
{
    static const char *const words[] = {
        [CONFIG_STRING] = "a text",         [CONFIG_PATH] = "a path",
        [CONFIG_DATA_PATH] = "a path",      [CONFIG_BOOL] = "true or false",
        [CONFIG_INT] = "a number from ",    [CONFIG_SIZE] = "a size from ",
        [CONFIG_DURATION] = "a time from ", [CONFIG_CHOICE] = "",
        [CONFIG_LIST] = "a list",
    };
    buf_add(out, str_from(words[key->type]));
    if (key->type == CONFIG_CHOICE)
        add_choices(key, out);
    if (key->type != CONFIG_INT && key->type != CONFIG_SIZE && key->type != CONFIG_DURATION)
        return;
    add_amount(key, key->min, out);
    buf_lit(out, " to ");
    add_amount(key, largest(key), out);
}

bool config_value_next_item(str *rest, str *ret)
{
    if (rest->len == 0)
        return false;
    str item = str_cut(rest, ' ');
    *ret = str_is(item, "\"\"") ? STR("") : item;
    return true;
}

void config_value_add_default(const struct config_key *key, struct buf *out)
{
    str rest = str_from(key->default_text), item;
    if (key->type == CONFIG_LIST) {
        buf_lit(out, "{");
        for (size_t i = 0; config_value_next_item(&rest, &item); i++)
            buf_addf(out, "%s\"%.*s\"", i ? ", " : "", STR_ARGS(item));
        buf_lit(out, "}");
        return;
    }
    bool bare = config_value_is_number(key);
    buf_addf(out, bare ? "%s" : "\"%s\"", key->default_text);
}
