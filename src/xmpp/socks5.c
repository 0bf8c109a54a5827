/* SPDX-License-Identifier: MIT */
/* A byte at a time, so that it does not matter how they come: a table of steps, each of which looks at one
 * byte and says which comes next. Nothing is kept but the name.
 *
 * Who speaks no SOCKS5 is not answered, since nobody knows what he would understand; what is refused is
 * answered as RFC 1928 §3 and §6 say, as soon as that is known. */
#include "xmpp/socks5.h"

#include "base/base64.h"
#include "base/digest.h"

#include <ctype.h>

enum {
    VERSION = 5,
    NO_AUTHENTICATION = 0,
    NO_ACCEPTABLE_METHOD = 0xFF,
    CONNECT = 1,
    DOMAINNAME = 3,
    IPV4 = 1
};

enum step {
    STEP_VERSION,
    STEP_METHOD_COUNT,
    STEP_METHOD,
    STEP_REQUEST_VERSION,
    STEP_COMMAND,
    STEP_RESERVED,
    STEP_ADDRESS_TYPE,
    STEP_NAME_LENGTH,
    STEP_NAME,
    STEP_PORT,
    STEP_DONE,
    STEP_NO_SOCKS5,
    STEP_NO_METHOD,
    STEP_REFUSED,
};

static enum step refuse(struct socks5 *socks5, enum socks5_reply reply)
{
    socks5->_reply = (uint8_t)reply;
    return STEP_REFUSED;
}

static enum step expect(struct socks5 *socks5, enum step step, uint8_t bytes)
{
    socks5->_left = bytes;
    return step;
}

/* RFC 1928 §3 */
static enum step read_method(struct socks5 *socks5, uint8_t method)
{
    socks5->_takes_any |= method == NO_AUTHENTICATION;
    if (--socks5->_left)
        return STEP_METHOD;
    return socks5->_takes_any ? STEP_REQUEST_VERSION : STEP_NO_METHOD;
}

static enum step read_name(struct socks5 *socks5, char c)
{
    if (!isxdigit((unsigned char)c))
        return refuse(socks5, SOCKS5_NOT_ALLOWED);
    socks5->name[SOCKS5_NAME_LEN - socks5->_left] = c;
    return --socks5->_left ? STEP_NAME : expect(socks5, STEP_PORT, 2);
}

static enum step read_port(struct socks5 *socks5, uint8_t byte)
{
    if (byte)
        return refuse(socks5, SOCKS5_NOT_ALLOWED);
    return --socks5->_left ? STEP_PORT : STEP_DONE;
}

static enum step read_byte(struct socks5 *socks5, uint8_t byte)
{
    switch ((enum step)socks5->_step) {
    case STEP_VERSION:
        return byte == VERSION ? STEP_METHOD_COUNT : STEP_NO_SOCKS5;
    case STEP_METHOD_COUNT:
        return byte ? expect(socks5, STEP_METHOD, byte) : STEP_NO_METHOD;
    case STEP_METHOD:
        return read_method(socks5, byte);
    case STEP_REQUEST_VERSION: /* §4 */
        return byte == VERSION ? STEP_COMMAND : STEP_NO_SOCKS5;
    case STEP_COMMAND:
        return byte == CONNECT ? STEP_RESERVED : refuse(socks5, SOCKS5_COMMAND_NOT_SUPPORTED);
    case STEP_RESERVED:
        return byte ? refuse(socks5, SOCKS5_GENERAL_FAILURE) : STEP_ADDRESS_TYPE;
    case STEP_ADDRESS_TYPE:
        return byte == DOMAINNAME ? STEP_NAME_LENGTH : refuse(socks5, SOCKS5_ADDRESS_TYPE_NOT_SUPPORTED);
    case STEP_NAME_LENGTH:
        return byte == SOCKS5_NAME_LEN ? expect(socks5, STEP_NAME, byte) : refuse(socks5, SOCKS5_NOT_ALLOWED);
    case STEP_NAME:
        return read_name(socks5, (char)byte);
    case STEP_PORT:
        return read_port(socks5, byte);
    default:
        return STEP_NO_SOCKS5;
    }
}

static void write_method(uint8_t method, struct buf *out)
{
    const char answer[] = { VERSION, (char)method };
    buf_add(out, str_of(answer, sizeof answer));
}

/* There may be no name yet: then the address is that of nobody. */
static void write_refusal(enum socks5_reply reply, struct buf *out)
{
    const char answer[] = { VERSION, (char)reply, 0, IPV4, 0, 0, 0, 0, 0, 0 };
    buf_add(out, str_of(answer, sizeof answer));
}

void socks5_answer(const struct socks5 *socks5, enum socks5_reply reply, struct buf *out)
{
    const char head[] = { VERSION, (char)reply, 0, DOMAINNAME, SOCKS5_NAME_LEN };
    buf_add(out, str_of(head, sizeof head));
    buf_add(out, str_of(socks5->name, sizeof socks5->name));
    buf_add(out, str_of("\0", 2));
}

static enum socks5_state conclude(const struct socks5 *socks5, struct buf *out)
{
    if (socks5->_step == STEP_DONE)
        return SOCKS5_ASKED;
    if (socks5->_step == STEP_NO_METHOD)
        write_method(NO_ACCEPTABLE_METHOD, out);
    if (socks5->_step == STEP_REFUSED)
        write_refusal((enum socks5_reply)socks5->_reply, out);
    return SOCKS5_REFUSED;
}

enum socks5_state socks5_read(struct socks5 *socks5, str *bytes, struct buf *out)
{
    while (bytes->len) {
        bool in_methods = socks5->_step == STEP_METHOD;
        socks5->_step = (uint8_t)read_byte(socks5, (uint8_t)*bytes->p);
        *bytes = str_sub(*bytes, 1, bytes->len);
        if (in_methods && socks5->_step == STEP_REQUEST_VERSION)
            write_method(NO_AUTHENTICATION, out);
        if (socks5->_step >= STEP_DONE)
            return conclude(socks5, out);
    }
    return SOCKS5_TALKING;
}

void socks5_name(str sid, str requester, str target, char ret[SOCKS5_NAME_LEN + 1])
{
    unsigned char hash[DIGEST_MAX_SIZE];
    struct buf text, hex;
    buf_init(&text, sid.len + requester.len + target.len + 1);
    buf_init(&hex, SOCKS5_NAME_LEN);
    buf_add(&text, sid);
    buf_add(&text, requester);
    buf_add(&text, target);
    digest_hash(DIGEST_SHA1, buf_str(&text), hash);
    hex_encode(&hex, str_of((char *)hash, digest_size(DIGEST_SHA1)));
    str_copy(buf_str(&hex), ret, SOCKS5_NAME_LEN + 1);
    buf_fini(&text);
    buf_fini(&hex);
}
