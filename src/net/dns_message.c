/* SPDX-License-Identifier: MIT */
/* Reading DNS answers. The bytes come from the network, so each step looks where it goes: a cursor with a
 * sticky failure, and names whose pointers may only lead backwards, so that they end.
 *
 * Who is named as an answer's owner is not looked at: a resolver follows aliases (CNAME) by itself and puts
 * the whole chain into one answer. Names with other characters than those of host names are left out. RFC
 * 1035 §4.1, RFC 2782, RFC 3596, RFC 6698 §2.1. */
#include "net/dns_message.h"

#include <arpa/inet.h>
#include <stdio.h>

enum { HEADER_SIZE = 12, RCODE_NAME_ERROR = 3, POINTERS_MAX = 32, CLASS_IN = 1, FLAG_AUTHENTIC = 0x20 };

struct cursor {
    str message;
    size_t at;
    bool failed;
};

static unsigned take8(struct cursor *cursor)
{
    if (cursor->at >= cursor->message.len) {
        cursor->failed = true;
        return 0;
    }
    return (unsigned char)cursor->message.p[cursor->at++];
}

static unsigned take16(struct cursor *cursor)
{
    unsigned high = take8(cursor);
    return high << 8 | take8(cursor);
}

static uint32_t take32(struct cursor *cursor)
{
    uint32_t high = take16(cursor);
    return high << 16 | take16(cursor);
}

static bool is_of_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* One label to the end of the text; false when it has characters that no host name has, or no room. */
static bool add_label(struct cursor *cursor, unsigned len, char name[DNS_NAME_MAX], size_t *used)
{
    bool good = *used + len + 2 <= DNS_NAME_MAX;
    if (good && *used)
        name[(*used)++] = '.';
    for (unsigned i = 0; i < len; i++) {
        char c = (char)take8(cursor);
        c = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
        good = good && is_of_name(c);
        if (good)
            name[(*used)++] = c;
    }
    return good;
}

/* Reads a name and leaves the cursor behind it; false when it is not one of a host. */
static bool take_name(struct cursor *cursor, char name[DNS_NAME_MAX])
{
    struct cursor from = *cursor;
    size_t used = 0, pointers = 0;
    bool good = true;
    for (;;) {
        unsigned len = take8(&from);
        if (from.failed || !len)
            break;
        if (len < 0x40) {
            good = add_label(&from, len, name, &used) && good;
            continue;
        }
        size_t target = (len & 0x3f) << 8 | take8(&from);
        if (!pointers)
            cursor->at = from.at;
        if (len < 0xc0 || target >= from.at - 2 || ++pointers > POINTERS_MAX) {
            from.failed = true;
            break;
        }
        from.at = target;
    }
    name[used] = '\0';
    if (!pointers)
        cursor->at = from.at;
    cursor->failed = from.failed;
    return good && !from.failed;
}

static bool take_address(struct cursor *cursor, enum dns_type type, size_t size, struct dns_record *record)
{
    unsigned char bytes[16];
    if (size != (type == DNS_A ? 4u : 16u))
        return false;
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)take8(cursor);
    return inet_ntop(type == DNS_A ? AF_INET : AF_INET6, bytes, record->name, sizeof record->name) != NULL;
}

static bool take_service(struct cursor *cursor, struct dns_record *record)
{
    record->priority = (uint16_t)take16(cursor);
    record->weight = (uint16_t)take16(cursor);
    record->port = (uint16_t)take16(cursor);
    return take_name(cursor, record->name);
}

static bool take_association(struct cursor *cursor, size_t size, struct dns_record *record)
{
    record->usage = (uint8_t)take8(cursor);
    record->selector = (uint8_t)take8(cursor);
    record->matching = (uint8_t)take8(cursor);
    if (size <= 3 || size - 3 > DNS_DATA_MAX || cursor->failed)
        return false;
    record->data = str_sub(cursor->message, cursor->at, cursor->at + size - 3);
    return true;
}

/* The next record of the message; false when it is not of the wanted kind, or not usable. */
static bool take_record(struct cursor *cursor, enum dns_type wanted, struct dns_record *record)
{
    char owner[DNS_NAME_MAX];
    *record = (struct dns_record){ 0 };
    take_name(cursor, owner);
    unsigned type = take16(cursor), class = take16(cursor);
    record->ttl_s = take32(cursor);
    size_t size = take16(cursor);
    if (cursor->failed || size > cursor->message.len - cursor->at) {
        cursor->failed = true;
        return false;
    }
    struct cursor data = { str_sub(cursor->message, 0, cursor->at + size), cursor->at, false };
    cursor->at += size;
    if (type != wanted || class != CLASS_IN)
        return false;
    if (wanted == DNS_TLSA)
        return take_association(&data, size, record);
    return wanted == DNS_SRV ? take_service(&data, record) : take_address(&data, wanted, size, record);
}

bool dns_message_is_secure(str message)
{
    return message.len >= HEADER_SIZE && (message.p[3] & FLAG_AUTHENTIC);
}

enum err dns_message_read(str message, enum dns_type type, struct dns_record records[DNS_RECORDS_MAX],
                          size_t *ret_count)
{
    struct cursor cursor = { message, 2, false };
    char name[DNS_NAME_MAX];
    size_t count = 0;
    unsigned flags = take16(&cursor), questions = take16(&cursor), answers = take16(&cursor);
    unsigned rcode = flags & 15;
    cursor.at = HEADER_SIZE;
    if (message.len < HEADER_SIZE || !(flags & 0x8000))
        return ERR_SYNTAX;
    if (rcode)
        return rcode == RCODE_NAME_ERROR ? ERR_NOT_FOUND : ERR_IO;
    for (unsigned i = 0; i < questions && !cursor.failed; i++) {
        take_name(&cursor, name);
        take32(&cursor);
    }
    for (unsigned i = 0; i < answers && !cursor.failed && count < DNS_RECORDS_MAX; i++)
        count += take_record(&cursor, type, &records[count]);
    if (cursor.failed)
        return ERR_SYNTAX;
    if (!count)
        return ERR_NOT_FOUND;
    *ret_count = count;
    return OK;
}
