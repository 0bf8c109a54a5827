/* SPDX-License-Identifier: MIT */
/* Questions and the answers that are kept for them. An answer is kept for the least TTL of its records, at
 * least a few seconds (so that a burst asks once) and at most an hour; that there is nothing, for a minute;
 * that nobody could say, for some seconds only. When the cache is full the oldest answer goes.
 *
 * An answer never arrives inside the call that asked: it is told by a task of the loop. */
#include "base/mem.h"
#include "net/dns_impl.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    CACHE_MAX = 4096,
    TTL_MIN_S = 5,
    TTL_MAX_S = 3600,
    TTL_NOTHING_S = 60,
    TTL_FAILURE_S = 5,
    KEY_MAX = DNS_NAME_MAX + 8,
};

struct cached {
    struct map_node node;
    struct list link;
    struct dns_answer *answer;
    uint64_t ends_us;
    char key[KEY_MAX];
};

static str cached_key(const struct map_node *node)
{
    return str_from(CONTAINER_OF(node, struct cached, node)->key);
}

static str make_key(const struct dns_question *question, char key[KEY_MAX])
{
    int len = snprintf(key, KEY_MAX, "%d %s", (int)question->_type, question->_name);
    return str_of(key, (size_t)len);
}

void dns_cache_init(struct dns *dns)
{
    map_init(&dns->cache, cached_key);
    list_init(&dns->by_age);
}

static void drop(struct dns *dns, struct cached *cached)
{
    map_remove(&dns->cache, &cached->node);
    list_remove(&cached->link);
    dns_answer_unref(cached->answer);
    free(cached);
}

void dns_cache_fini(struct dns *dns)
{
    struct list *link;
    while ((link = dns->by_age.next) != &dns->by_age)
        drop(dns, LIST_ITEM(link, struct cached, link));
    map_fini(&dns->cache);
}

size_t dns_cached(const struct dns *dns)
{
    return dns->cache.count;
}

static struct dns_answer *answer_new(enum err err, bool secure, const struct dns_record *records,
                                     size_t count)
{
    size_t data = 0;
    for (size_t i = 0; i < count; i++)
        data += records[i].data.len;
    struct dns_answer *answer = xmalloc(sizeof *answer + count * sizeof *records + data);
    char *at = (char *)(answer->records + count);
    *answer = (struct dns_answer){ .refs = 1, .err = err, .secure = secure, .count = count };
    for (size_t i = 0; i < count; i++) {
        answer->records[i] = records[i];
        if (!records[i].data.len)
            continue;
        memcpy(at, records[i].data.p, records[i].data.len);
        answer->records[i].data.p = at;
        at += records[i].data.len;
    }
    return answer;
}

void dns_answer_unref(const struct dns_answer *answer)
{
    struct dns_answer *own = (struct dns_answer *)answer;
    if (own && --own->refs == 0)
        free(own);
}

static uint32_t keep_s(const struct dns_answer *answer)
{
    uint32_t least = TTL_MAX_S;
    if (answer->err)
        return answer->err == ERR_NOT_FOUND ? TTL_NOTHING_S : TTL_FAILURE_S;
    for (size_t i = 0; i < answer->count; i++)
        if (answer->records[i].ttl_s < least)
            least = answer->records[i].ttl_s;
    return least < TTL_MIN_S ? TTL_MIN_S : least;
}

static struct cached *find(struct dns *dns, str key)
{
    struct map_node *node = map_get(&dns->cache, key);
    struct cached *cached = MAP_ITEM(node, struct cached, node);
    if (cached && cached->ends_us <= loop_now_us(dns->loop)) {
        drop(dns, cached);
        return NULL;
    }
    return cached;
}

static void keep(struct dns *dns, const struct dns_question *question, struct dns_answer *answer)
{
    struct cached *cached = NEW(struct cached);
    str key = make_key(question, cached->key);
    struct cached *old = find(dns, key);
    if (old)
        drop(dns, old);
    else if (dns->cache.count >= CACHE_MAX)
        drop(dns, LIST_ITEM(dns->by_age.next, struct cached, link));
    answer->refs++;
    cached->answer = answer;
    cached->ends_us = loop_now_us(dns->loop) + keep_s(answer) * UINT64_C(1000000);
    map_put(&dns->cache, &cached->node);
    list_append(&dns->by_age, &cached->link);
}

static void tell(struct task *task)
{
    struct dns_question *question = CONTAINER_OF(task, struct dns_question, _task);
    list_remove(&question->_link);
    question->answered(question);
}

static void set_answer(struct dns_question *question, struct dns_answer *answer)
{
    answer->refs++;
    question->answer = answer;
    question->_task.run = tell;
    loop_defer(question->_dns->loop, &question->_task);
}

void dns_answered(struct dns_question *question, enum err err, bool secure, const struct dns_record *records,
                  size_t count)
{
    struct dns_answer *answer = answer_new(err, secure, records, count);
    if (err != ERR_CANCELED)
        keep(question->_dns, question, answer);
    set_answer(question, answer);
    dns_answer_unref(answer);
}

void dns_ask(struct dns *dns, const char *name, enum dns_type type, struct dns_question *question)
{
    char key[KEY_MAX];
    question->_dns = dns;
    question->_type = type;
    str_copy(str_from(name), question->_name, sizeof question->_name);
    list_append(&dns->questions, &question->_link);
    struct cached *cached = find(dns, make_key(question, key));
    if (cached)
        set_answer(question, cached->answer);
    else if (dns->ares)
        dns_ares_ask(dns->ares, question);
    else
        dns_sim_ask(dns, question);
}
