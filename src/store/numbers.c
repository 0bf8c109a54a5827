/* SPDX-License-Identifier: MIT */
/* The key of a node is the realm, a NUL (which no text of the store has in it) and the text. To forget
 * everything when it is full is crude, and cheap: what is in use comes back with one look-up each. */
#include "store/numbers.h"

#include "base/mem.h"

#include <stdlib.h>

enum { NUMBERS_MAX = 16384, KEY_MAX = 4096 /* longer ones are not remembered */ };

struct number {
    struct map_node node;
    int64_t number;
    size_t len;
    char key[];
};

static str key_of(const struct map_node *node)
{
    const struct number *number = CONTAINER_OF(node, struct number, node);
    return str_of(number->key, number->len);
}

void numbers_init(struct numbers *numbers)
{
    map_init(&numbers->_map, key_of);
}

void numbers_clear(struct numbers *numbers)
{
    struct map_walk walk = { 0 };
    struct map_node *node;
    while ((node = map_next(&numbers->_map, &walk)))
        free(CONTAINER_OF(node, struct number, node));
    map_fini(&numbers->_map);
    map_init(&numbers->_map, key_of);
}

static str join(str of, str text, char to[KEY_MAX])
{
    if (of.len + 1 + text.len > KEY_MAX)
        return str_none;
    memcpy(to, of.p, of.len);
    to[of.len] = '\0';
    memcpy(to + of.len + 1, text.p, text.len);
    return str_of(to, of.len + 1 + text.len);
}

int64_t numbers_get(const struct numbers *numbers, str of, str text)
{
    char space[KEY_MAX];
    str key = join(of, text, space);
    struct map_node *node = key.p ? map_get(&numbers->_map, key) : NULL;
    return node ? CONTAINER_OF(node, struct number, node)->number : 0;
}

void numbers_put(struct numbers *numbers, str of, str text, int64_t number)
{
    char space[KEY_MAX];
    str key = join(of, text, space);
    if (!key.p)
        return;
    if (numbers->_map.count >= NUMBERS_MAX)
        numbers_clear(numbers);
    struct number *new = xmalloc(sizeof *new + key.len);
    new->number = number;
    new->len = key.len;
    memcpy(new->key, key.p, key.len);
    map_put(&numbers->_map, &new->node);
}
