/* SPDX-License-Identifier: MIT */
/* Answers out of a simulation's records, in the form that a name server would give them. When the simulated
 * name server is silent, a question fails as one does whose retries have run out, but at once. */
#include "loop/loop_sim.h"
#include "net/dns_impl.h"

static const char *type_name(enum dns_type type)
{
    return type == DNS_A ? "A" : type == DNS_AAAA ? "AAAA" : type == DNS_SRV ? "SRV" : "TLSA";
}

static uint16_t number(str *rest)
{
    uint64_t value = 0;
    str_to_u64(str_cut(rest, ' '), UINT16_MAX, &value);
    return (uint16_t)value;
}

/* "USAGE SELECTOR MATCHING TEXT"; the text stands for the bytes. */
static struct dns_record read_association(const struct sim_record *from)
{
    struct dns_record record = { .ttl_s = from->ttl_s };
    str data = str_from(from->data);
    record.usage = (uint8_t)number(&data);
    record.selector = (uint8_t)number(&data);
    record.matching = (uint8_t)number(&data);
    record.data = data;
    return record;
}

static struct dns_record read_record(const struct sim_record *from, enum dns_type type)
{
    struct dns_record record = { .ttl_s = from->ttl_s };
    str data = str_from(from->data);
    if (type == DNS_TLSA)
        return read_association(from);
    if (type == DNS_SRV) {
        record.priority = number(&data);
        record.weight = number(&data);
        record.port = number(&data);
    }
    str_copy(str_is(data, ".") ? STR("") : data, record.name, sizeof record.name);
    return record;
}

void dns_sim_ask(struct dns *dns, struct dns_question *question)
{
    struct dns_record records[DNS_RECORDS_MAX];
    const struct sim_record *found = NULL;
    size_t count = 0;
    str name = str_from(question->_name), type = str_from(type_name(question->_type));
    if (sim_dns_is_silent(dns->loop)) {
        dns_answered(question, ERR_TIMEOUT, false, NULL, 0);
        return;
    }
    while (count < DNS_RECORDS_MAX && (found = sim_record_next(dns->loop, found, name, type))) {
        if (str_is(str_from(found->data), SIM_DNS_FAILS)) {
            dns_answered(question, ERR_IO, false, NULL, 0);
            return;
        }
        records[count++] = read_record(found, question->_type);
    }
    dns_answered(question, count ? OK : ERR_NOT_FOUND, sim_dns_is_signed(dns->loop, name), records, count);
}
