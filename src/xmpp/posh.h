/* SPDX-License-Identifier: MIT */
/* What a domain says, at a well-known place of its web server, of the certificates that its XMPP servers show
 * (POSH, RFC 7711): fingerprints, or another place where they are. */
#ifndef XMPP_POSH_H
#define XMPP_POSH_H

#include "base/digest.h"
#include "base/err.h"

enum { POSH_PRINTS_MAX = 16, POSH_URL_MAX = 1100 };

#define POSH_PATH_SERVER "/.well-known/posh/xmpp-server.json"

struct posh_print {
    enum digest digest; /* of the certificate in DER: SHA-256 or SHA-512 */
    unsigned char bytes[DIGEST_MAX_SIZE];
};

struct posh {
    uint32_t expires_s;     /* so long may it be kept; not 0 */
    char url[POSH_URL_MAX]; /* where the fingerprints are; "": here */
    size_t count;
    struct posh_print prints[POSH_PRINTS_MAX];
};

/* Reads a document. ERR_SYNTAX: it is none, says nothing that we know of, or has expired by its own word. */
enum err posh_read(str json, struct posh *ret);

/* Whether one of the fingerprints is that of a certificate, in DER. In constant time for each. */
bool posh_has(const struct posh *posh, str certificate);

#endif
