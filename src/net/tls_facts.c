/* SPDX-License-Identifier: MIT */
/* What a finished handshake says: channel bindings and the client's addresses.
 *
 * tls-exporter (RFC 9266) is on every version; on TLS 1.2 only with the extended master secret (RFC 7627),
 * without which neither it nor tls-unique binds anything. tls-unique (RFC 5929 §3) does not exist on TLS 1.3.
 * tls-server-end-point (RFC 5929 §4) is a digest of the server's certificate.
 *
 * Addresses are read only from a certificate whose chain OpenSSL has verified to the CA of the context:
 * id-on-xmppAddr in subjectAltName (RFC 6120 §13.7.1.4), never the text of a common name. Whether they are
 * well-formed JIDs is for the caller to see. */
#include "base/utf8.h"
#include "net/tls_layer.h"

#include <openssl/x509v3.h>

enum { EXPORTER_SIZE = 32, ADDRESSES_MAX = 16, ADDRESS_MAX = 3071 };

static str exporter(SSL *ssl, struct arena *arena)
{
    static const char label[] = "EXPORTER-Channel-Binding";
    unsigned char *out = arena_alloc(arena, EXPORTER_SIZE);
    if (SSL_export_keying_material(ssl, out, EXPORTER_SIZE, label, sizeof label - 1,
                                   (const unsigned char *)"", 0, 1) != 1)
        return str_none;
    return str_of((char *)out, EXPORTER_SIZE);
}

/* The first Finished message: the client's in a full handshake, the server's when a session was resumed. */
static str unique(SSL *ssl, struct arena *arena)
{
    if (SSL_version(ssl) != TLS1_2_VERSION)
        return str_none;
    char *out = arena_alloc(arena, EVP_MAX_MD_SIZE);
    bool ours = (SSL_is_server(ssl) != 0) == (SSL_session_reused(ssl) != 0);
    size_t len =
        ours ? SSL_get_finished(ssl, out, EVP_MAX_MD_SIZE) : SSL_get_peer_finished(ssl, out, EVP_MAX_MD_SIZE);
    return len ? str_of(out, len) : str_none;
}

static str server_end_point(SSL *ssl, struct arena *arena)
{
    X509 *certificate = SSL_is_server(ssl) ? SSL_get_certificate(ssl) : SSL_get0_peer_certificate(ssl);
    int digest;
    if (!certificate || !X509_get_signature_info(certificate, &digest, NULL, NULL, NULL))
        return str_none; /* e.g. Ed25519, whose signature names no digest */
    if (digest == NID_md5 || digest == NID_sha1)
        digest = NID_sha256;
    const EVP_MD *md = EVP_get_digestbynid(digest);
    unsigned char *out = arena_alloc(arena, EVP_MAX_MD_SIZE);
    unsigned len;
    if (!md || X509_digest(certificate, md, out, &len) != 1)
        return str_none;
    return str_of((char *)out, len);
}

str tls_layer_binding(struct tls_layer *layer, enum channel_binding kind, struct arena *arena)
{
    SSL *ssl = layer->ssl;
    if (!layer->secured)
        return str_none;
    bool bound = SSL_version(ssl) >= TLS1_3_VERSION || SSL_get_extms_support(ssl) == 1;
    switch (kind) {
    case BINDING_TLS_EXPORTER:
        return bound ? exporter(ssl, arena) : str_none;
    case BINDING_TLS_UNIQUE:
        return bound ? unique(ssl, arena) : str_none;
    case BINDING_TLS_SERVER_END_POINT:
        return server_end_point(ssl, arena);
    case BINDING_NONE:
        break;
    }
    return str_none;
}

/* The text of a name that is an XMPP address; str_none of another, or when its text is no text. */
static str xmpp_address(const GENERAL_NAME *name)
{
    if (name->type != GEN_OTHERNAME || OBJ_obj2nid(name->d.otherName->type_id) != NID_XmppAddr ||
        name->d.otherName->value->type != V_ASN1_UTF8STRING)
        return str_none;
    const ASN1_STRING *text = name->d.otherName->value->value.utf8string;
    str address = str_of((const char *)ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text));
    if (!address.len || address.len > ADDRESS_MAX || !utf8_valid(address) ||
        memchr(address.p, 0, address.len))
        return str_none;
    return address;
}

static str *addresses_of(X509 *certificate, struct arena *arena, size_t *ret_count)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    str *addresses = arena_alloc(arena, ADDRESSES_MAX * sizeof *addresses);
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && *ret_count < ADDRESSES_MAX; i++) {
        str address = xmpp_address(sk_GENERAL_NAME_value(names, i));
        if (address.len)
            addresses[(*ret_count)++] = arena_str(arena, address);
    }
    GENERAL_NAMES_free(names);
    return addresses;
}

str *tls_layer_client_addresses(struct tls_layer *layer, struct arena *arena, size_t *ret_count)
{
    *ret_count = 0;
    if (!layer->secured || !SSL_is_server(layer->ssl))
        return NULL;
    X509 *certificate = SSL_get0_peer_certificate(layer->ssl);
    if (!certificate || SSL_get_verify_result(layer->ssl) != X509_V_OK)
        return NULL;
    return addresses_of(certificate, arena, ret_count);
}
