/* SPDX-License-Identifier: MIT */
/* Any bytes as an answer of a name server. The first byte chooses the type that is looked for. */
#include "net/dns_message.h"
#include "net/network.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum dns_type types[] = { DNS_A, DNS_AAAA, DNS_SRV };
    struct dns_record records[DNS_RECORDS_MAX];
    struct network network;
    unsigned char address[16];
    size_t count = 0;
    if (!size)
        return 0;
    enum dns_type type = types[data[0] % 3];
    str message = str_of((const char *)data + 1, size - 1);
    if (dns_message_read(message, type, records, &count) != OK)
        count = 0;
    if (count > DNS_RECORDS_MAX)
        abort();
    for (size_t i = 0; i < count; i++) {
        if (strnlen(records[i].name, DNS_NAME_MAX) == DNS_NAME_MAX)
            abort();
        if (type != DNS_SRV && inet_pton(type == DNS_A ? AF_INET : AF_INET6, records[i].name, address) != 1)
            abort();
    }
    if (network_parse(message, &network) && (network.bits > 128 || !network_has(&network, &network)))
        abort();
    return 0;
}
