/* SPDX-License-Identifier: MIT */
/* The server's end of what XEP-0065 §6.3.2 leaves of SOCKS5 (RFC 1928): no authentication, CONNECT, and as
 * the destination the name of a bytestream, which is 40 hexadecimal digits, at port 0. */
#ifndef XMPP_SOCKS5_H
#define XMPP_SOCKS5_H

#include "base/buf.h"

enum { SOCKS5_NAME_LEN = 40 };

/* RFC 1928 §6 */
enum socks5_reply {
    SOCKS5_SUCCEEDED = 0,
    SOCKS5_GENERAL_FAILURE = 1,
    SOCKS5_NOT_ALLOWED = 2,
    SOCKS5_COMMAND_NOT_SUPPORTED = 7,
    SOCKS5_ADDRESS_TYPE_NOT_SUPPORTED = 8,
};

enum socks5_state {
    SOCKS5_TALKING, /* more bytes are needed */
    SOCKS5_ASKED,   /* for a bytestream: `name`; to be answered with socks5_answer() */
    SOCKS5_REFUSED, /* the connection is to be ended, when the answer is sent */
};

/* Zeroed memory is the beginning of a connection. */
struct socks5 {
    char name[SOCKS5_NAME_LEN]; /* as it came, with letters of either case */
    uint8_t _step, _left, _reply;
    bool _takes_any;
};

/* Takes the next bytes of the client off `*bytes`, and appends what is to be sent to it. What comes behind
 * the request is left. Not to be called again once it has said another state than SOCKS5_TALKING. */
enum socks5_state socks5_read(struct socks5 *socks5, str *bytes, struct buf *out);

/* Appends the answer to a request; BND.ADDR and BND.PORT are those that were asked for (XEP-0065 §6.3.2). */
void socks5_answer(const struct socks5 *socks5, enum socks5_reply reply, struct buf *out);

/* The name of a bytestream in lower case: the SHA-1 of the three texts (XEP-0065 §6.3.2); the JIDs in normal
 * form. */
void socks5_name(str sid, str requester, str target, char ret[SOCKS5_NAME_LEN + 1]);

#endif
