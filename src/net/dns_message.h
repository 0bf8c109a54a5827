/* SPDX-License-Identifier: MIT */
/* DNS answers as bytes (RFC 1035 §4): private to the resolver. Pure. */
#ifndef NET_DNS_MESSAGE_H
#define NET_DNS_MESSAGE_H

#include "base/err.h"
#include "base/str.h"

enum dns_type { DNS_A = 1, DNS_AAAA = 28, DNS_SRV = 33, DNS_TLSA = 52 };

enum { DNS_RECORDS_MAX = 16, DNS_NAME_MAX = 254, DNS_DATA_MAX = 4096 };

struct dns_record {
    uint32_t ttl_s;
    uint16_t priority, weight, port;   /* of SRV */
    char name[DNS_NAME_MAX];           /* the target of an SRV record, "" for the root; an address as text */
    uint8_t usage, selector, matching; /* of TLSA (RFC 6698 §2.1) */
    str data;                          /* of TLSA, at most DNS_DATA_MAX bytes; points into the message */
};

/* Whether the name server says that it has validated all of an answer with DNSSEC (the AD bit, RFC 4035
 * §3.2.3). It is worth as much as the way to that server. */
bool dns_message_is_secure(str message);

/* Takes the records of a type out of the answer section of a message; more than there is room for are left
 * away. OK with *ret_count > 0; ERR_NOT_FOUND when the answer says that there is none; ERR_IO when the server
 * says that it failed; ERR_SYNTAX when it is no proper answer. */
enum err dns_message_read(str message, enum dns_type type, struct dns_record records[DNS_RECORDS_MAX],
                          size_t *ret_count);

#endif
