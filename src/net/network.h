/* SPDX-License-Identifier: MIT */
/* Networks: IP addresses with the number of their leading bits that matter, such as "10.0.0.0/8" or "::1". An
 * IPv4 address is kept as the IPv6 address that stands for it (RFC 4291 §2.5.5.2), so there is one kind only.
 */
#ifndef NET_NETWORK_H
#define NET_NETWORK_H

#include "base/str.h"

struct network {
    unsigned char bytes[16]; /* those beyond the bits are zero */
    unsigned bits;           /* of 128 */
};

/* "ADDRESS" or "ADDRESS/BITS". False if it is none. */
bool network_parse(str text, struct network *ret);

/* The address of a peer, as socket_peer() writes it. False for what is no IP address. */
bool network_of_peer(const char *peer, struct network *ret);

bool network_has(const struct network *network, const struct network *address);

/* Whom an address belongs to, as far as that can be told: an IPv4 address to itself, an IPv6 address to the
 * network of its first `bits_v6` bits. */
void network_widen(struct network *address, unsigned bits_v6);

#endif
