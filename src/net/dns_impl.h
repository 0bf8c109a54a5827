/* SPDX-License-Identifier: MIT */
/* What the resolver's files share: private to them. */
#ifndef NET_DNS_IMPL_H
#define NET_DNS_IMPL_H

#include "base/list.h"
#include "base/map.h"
#include "net/dns.h"
#include "net/dns_message.h"

/* What was answered to a question: kept in the cache and by who asked, and never changed. */
struct dns_answer {
    unsigned refs;
    enum err err; /* OK, ERR_NOT_FOUND, or why there is no answer */
    bool secure;  /* validated with DNSSEC; also that there is nothing */
    size_t count;
    struct dns_record records[]; /* behind them is what their `data` points to */
};

/* One question, in the asker's memory. */
struct dns_question {
    void (*answered)(struct dns_question *question); /* once, from the loop; `answer` is set */
    const struct dns_answer *answer;                 /* given back with dns_answer_unref() */
    struct dns *_dns;
    struct list _link;
    struct task _task;
    enum dns_type _type;
    char _name[DNS_NAME_MAX];
};

struct dns {
    struct loop *loop;
    struct dns_settings settings;
    struct list questions; /* under way */
    struct map cache;
    struct list by_age; /* cached answers, the oldest first */
    struct dns_ares *ares;
};

/* dns_cache.c */
void dns_ask(struct dns *dns, const char *name, enum dns_type type, struct dns_question *question);
void dns_answer_unref(const struct dns_answer *answer);
/* An answer has come for a question: it is kept, and told in the same turn of the loop. */
void dns_answered(struct dns_question *question, enum err err, bool secure, const struct dns_record *records,
                  size_t count);
void dns_cache_init(struct dns *dns);
void dns_cache_fini(struct dns *dns);

/* dns_ares.c: asks a name server. */
struct dns_ares *dns_ares_new(struct dns *dns); /* NULL: the server's address can't be used */
void dns_ares_free(struct dns_ares *ares);
void dns_ares_ask(struct dns_ares *ares, struct dns_question *question);

/* dns_sim.c: asks a simulation. */
void dns_sim_ask(struct dns *dns, struct dns_question *question);

/* dns_srv.c */
struct dns_service {
    struct dns_record record;
    bool direct_tls;
};

/* Puts services into the order in which to try them (RFC 2782): by priority, and among equals at random by
 * weight. `draw` gives a number from 0 to `below` - 1. */
void dns_srv_order(struct dns_service *services, size_t count, uint64_t (*draw)(void *arg, uint64_t below),
                   void *arg);

#endif
