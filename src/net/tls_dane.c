/* SPDX-License-Identifier: MIT */
/* What DNS says of a server's certificate (RFC 6698, RFC 7671), handed to OpenSSL, which compares it with
 * what the server shows: keys and certificates, as they are or digested, of the server itself or of a CA
 * above it.
 *
 * Names are not OpenSSL's matter here, since it knows none of XMPP's: who asks looks at them, but for usage 3
 * (DANE-EE), where they and the times of the certificate do not count (RFC 7671 §5.1). That the records can
 * be trusted is for the resolver to know. */
#include "net/tls_layer.h"

#include <openssl/err.h>

enum { USAGE_DANE_EE = 3 };

void tls_layer_expect(struct tls_layer *layer, const char *server_name, const struct tls_tlsa *records,
                      size_t count)
{
    if (!count || SSL_dane_enable(layer->ssl, server_name) <= 0)
        return;
    SSL_set1_host(layer->ssl, NULL);
    SSL_dane_set_flags(layer->ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
    for (size_t i = 0; i < count; i++) {
        const struct tls_tlsa *record = &records[i];
        /* 0 and less: not usable (RFC 6698 §4.1), as if it were not there */
        if (SSL_dane_tlsa_add(layer->ssl, record->usage, record->selector, record->matching,
                              (const unsigned char *)record->data.p, record->data.len) > 0)
            layer->expects = true;
    }
    ERR_clear_error();
}

enum tls_dane tls_layer_dane(struct tls_layer *layer)
{
    uint8_t usage = 0;
    if (!layer->expects || !layer->secured)
        return TLS_DANE_NONE;
    if (SSL_get0_dane_authority(layer->ssl, NULL, NULL) < 0 ||
        SSL_get0_dane_tlsa(layer->ssl, &usage, NULL, NULL, NULL, NULL) < 0)
        return TLS_DANE_FAILED;
    return usage == USAGE_DANE_EE ? TLS_DANE_SERVER : TLS_DANE_CHAIN;
}
