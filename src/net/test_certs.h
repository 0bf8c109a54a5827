/* SPDX-License-Identifier: MIT */
/* For tests: certificates made on the spot (ECDSA P-256) in a folder of their own that goes away again. */
#ifndef NET_TEST_CERTS_H
#define NET_TEST_CERTS_H

#include "net/tls.h"

#include <openssl/pem.h>
#include <openssl/x509.h>

enum { CERTS_PATH_MAX = 128 };

struct certs {
    char folder[64];
    EVP_PKEY *ca_key;
    X509 *ca;
    long serial;
};

/* A folder with a new CA in ca.pem. Ends the process when that can't be made. */
void certs_open(struct certs *certs);

/* Removes the folder with all that is in it. */
void certs_close(struct certs *certs);

/* Path of a file in the folder. */
void certs_path(const struct certs *certs, const char *name, char path[CERTS_PATH_MAX]);

/* Makes NAME.pem and NAME.key for these alternative names (OpenSSL's notation, such as "DNS:example.org" or
 * "otherName:1.3.6.1.5.5.7.8.5;UTF8:romeo@example.net"), valid for `days` from now. */
void certs_issue(struct certs *certs, const char *name, const char *alternative_names, int days);

/* The same with a further extension, in OpenSSL's notation. */
void certs_issue_with(struct certs *certs, const char *name, const char *alternative_names, int days, int nid,
                      const char *value);

/* Writes FILE: a list of what the CA has revoked, NAME's certificate (NULL: none), good for `days`. */
void certs_revoke(const struct certs *certs, const char *name, const char *file, int days);

/* A server's context with that pair; asks for client certificates of the CA when `ask` is set. */
struct tls_context *certs_server(const struct certs *certs, const char *name, bool ask);

/* A client's context that trusts the CA. */
struct tls_context *certs_client(const struct certs *certs);

#endif
