/* SPDX-License-Identifier: MIT */
/* The proof of an external component (XEP-0114 §3): what both ends compute. Pure. */
#ifndef XMPP_HANDSHAKE_H
#define XMPP_HANDSHAKE_H

#include "base/str.h"

enum { HANDSHAKE_LEN = 40 };

/* SHA-1 of the stream's id with the secret behind it, as lower-case hexadecimal digits and a NUL. The result
 * is as good as the secret for this stream: wipe it. */
void handshake_make(str stream_id, str secret, char ret[HANDSHAKE_LEN + 1]);

#endif
