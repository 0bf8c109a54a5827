/* SPDX-License-Identifier: MIT */
/* See network.h. */
#include "net/network.h"

#include <arpa/inet.h>
#include <string.h>

enum { TEXT_MAX = 64 };

static const unsigned char v4_prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF };

static void clear_behind(struct network *network)
{
    for (unsigned bit = network->bits; bit < 128; bit++)
        network->bytes[bit / 8] &= (unsigned char)~(0x80u >> bit % 8);
}

/* Returns how many bits the family has, or 0. */
static unsigned read_address(str text, unsigned char bytes[16])
{
    char copy[TEXT_MAX];
    if (!text.len || text.len >= sizeof copy)
        return 0;
    memcpy(copy, text.p, text.len);
    copy[text.len] = '\0';
    if (inet_pton(AF_INET6, copy, bytes) == 1)
        return 128;
    memcpy(bytes, v4_prefix, sizeof v4_prefix);
    return inet_pton(AF_INET, copy, bytes + sizeof v4_prefix) == 1 ? 32 : 0;
}

bool network_parse(str text, struct network *ret)
{
    struct network network;
    uint64_t bits = 0;
    str address = str_cut(&text, '/');
    unsigned room = read_address(address, network.bytes);
    if (!room || (text.p && !str_to_u64(text, room, &bits)))
        return false;
    network.bits = text.p ? (unsigned)bits + (128 - room) : 128;
    clear_behind(&network);
    *ret = network;
    return true;
}

bool network_of_peer(const char *peer, struct network *ret)
{
    const char *end = strrchr(peer, ':');
    if (!end)
        return false;
    str address = str_of(peer, (size_t)(end - peer));
    if (address.len > 2 && address.p[0] == '[' && address.p[address.len - 1] == ']')
        address = str_sub(address, 1, address.len - 1);
    ret->bits = 128;
    return read_address(address, ret->bytes) != 0;
}

bool network_has(const struct network *network, const struct network *address)
{
    struct network same = *address;
    if (address->bits < network->bits)
        return false;
    same.bits = network->bits;
    clear_behind(&same);
    return !memcmp(same.bytes, network->bytes, sizeof same.bytes);
}

void network_widen(struct network *address, unsigned bits_v6)
{
    if (!memcmp(address->bytes, v4_prefix, sizeof v4_prefix) || address->bits < bits_v6)
        return;
    address->bits = bits_v6;
    clear_behind(address);
}
