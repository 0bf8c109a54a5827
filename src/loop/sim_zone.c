/* SPDX-License-Identifier: MIT */
/* The names of a simulated world: a list of DNS records that a test has written. What a resolver makes of
 * them (their order, caching, time) is its own matter: here is only what a name server would know. */
#include "loop/sim_impl.h"

#include <stdlib.h>

void sim_record_add(struct sim *sim, const char *name, const char *type, const char *data, uint32_t ttl_s)
{
    struct sim_record *record = NEW(struct sim_record);
    *record = (struct sim_record){ .name = str_dup(str_from(name)),
                                   .type = str_dup(str_from(type)),
                                   .data = str_dup(str_from(data)),
                                   .ttl_s = ttl_s,
                                   ._next = sim->records };
    sim->records = record;
}

void sim_records_clear(struct sim *sim)
{
    while (sim->records) {
        struct sim_record *record = sim->records;
        sim->records = record->_next;
        free(record->name);
        free(record->type);
        free(record->data);
        free(record);
    }
}

void sim_set_dns_silent(struct sim *sim, bool silent)
{
    sim->dns_silent = silent;
}

bool sim_dns_is_silent(struct loop *loop)
{
    return sim_of(loop)->sim->dns_silent;
}

void sim_set_dns_signed(struct sim *sim, const char *ending)
{
    sim->dns_signed = ending;
}

bool sim_dns_is_signed(struct loop *loop, str name)
{
    const char *ending = sim_of(loop)->sim->dns_signed;
    return ending && str_ends(name, str_from(ending));
}

const struct sim_record *sim_record_next(struct loop *loop, const struct sim_record *after, str name,
                                         str type)
{
    const struct sim_record *record = after ? after->_next : sim_of(loop)->sim->records;
    while (record && !(str_eq(str_from(record->name), name) && str_eq(str_from(record->type), type)))
        record = record->_next;
    return record;
}
