/* SPDX-License-Identifier: MIT */
/* What a finished handshake says: channel bindings, and the names in the peer's certificate.
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
#include <time.h>

enum { EXPORTER_SIZE = 32, ADDRESSES_MAX = 16, NAMES_MAX = 256, ADDRESS_MAX = 3071 };

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
    char *out = arena_alloc(arena, EVP_MAX_MD_SIZE);
    bool ours = (SSL_is_server(ssl) != 0) == (SSL_session_reused(ssl) != 0);
    size_t len =
        ours ? SSL_get_finished(ssl, out, EVP_MAX_MD_SIZE) : SSL_get_peer_finished(ssl, out, EVP_MAX_MD_SIZE);
    return len ? str_of(out, len) : str_none;
}

static X509 *server_certificate(const SSL *ssl)
{
    return SSL_is_server(ssl) ? SSL_get_certificate(ssl) : SSL_get0_peer_certificate(ssl);
}

/* The digest of a certificate's signature, or of RFC 5929 §4.1 in its place. NULL where the signature names
 * none, e.g. Ed25519. */
static const EVP_MD *end_point_digest(X509 *certificate)
{
    int digest;
    if (!certificate || !X509_get_signature_info(certificate, &digest, NULL, NULL, NULL))
        return NULL;
    return EVP_get_digestbynid(digest == NID_md5 || digest == NID_sha1 ? NID_sha256 : digest);
}

static str server_end_point(SSL *ssl, struct arena *arena)
{
    X509 *certificate = server_certificate(ssl);
    const EVP_MD *md = end_point_digest(certificate);
    unsigned char *out = arena_alloc(arena, EVP_MAX_MD_SIZE);
    unsigned len;
    if (!md || X509_digest(certificate, md, out, &len) != 1)
        return str_none;
    return str_of((char *)out, len);
}

bool tls_layer_has_binding(const struct tls_layer *layer, enum channel_binding kind)
{
    SSL *ssl = layer->ssl;
    if (!layer->secured)
        return false;
    bool is_13 = SSL_version(ssl) >= TLS1_3_VERSION;
    switch (kind) {
    case BINDING_TLS_EXPORTER:
        return is_13 || SSL_get_extms_support(ssl) == 1;
    case BINDING_TLS_UNIQUE:
        return SSL_version(ssl) == TLS1_2_VERSION && SSL_get_extms_support(ssl) == 1;
    case BINDING_TLS_SERVER_END_POINT:
        return end_point_digest(server_certificate(ssl)) != NULL;
    case BINDING_NONE:
        break;
    }
    return false;
}

str tls_layer_binding(struct tls_layer *layer, enum channel_binding kind, struct arena *arena)
{
    if (!tls_layer_has_binding(layer, kind))
        return str_none;
    switch (kind) {
    case BINDING_TLS_EXPORTER:
        return exporter(layer->ssl, arena);
    case BINDING_TLS_UNIQUE:
        return unique(layer->ssl, arena);
    case BINDING_TLS_SERVER_END_POINT:
        return server_end_point(layer->ssl, arena);
    case BINDING_NONE:
        break;
    }
    return str_none;
}

/* The text of another name of this kind; str_none of any other, or when its text is no text. */
static str text_of_name(const ASN1_STRING *text)
{
    str bytes = str_of((const char *)ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text));
    if (!bytes.len || bytes.len > ADDRESS_MAX || !utf8_valid(bytes) || memchr(bytes.p, 0, bytes.len))
        return str_none;
    return bytes;
}

static str other_name(const GENERAL_NAME *name, int nid, int type)
{
    if (name->type != GEN_OTHERNAME || OBJ_obj2nid(name->d.otherName->type_id) != nid ||
        name->d.otherName->value->type != type)
        return str_none;
    return text_of_name(name->d.otherName->value->value.asn1_string);
}

static struct tls_name read_name(const GENERAL_NAME *name)
{
    if (name->type == GEN_DNS)
        return (struct tls_name){ TLS_NAME_DNS, text_of_name(name->d.dNSName) };
    str service = other_name(name, NID_SRVName, V_ASN1_IA5STRING);
    if (service.len)
        return (struct tls_name){ TLS_NAME_SRV, service };
    return (struct tls_name){ TLS_NAME_XMPP, other_name(name, NID_XmppAddr, V_ASN1_UTF8STRING) };
}

struct tls_name *tls_layer_peer_names(struct tls_layer *layer, struct arena *arena, size_t *ret_count)
{
    return tls_names_of(layer->secured ? SSL_get0_peer_certificate(layer->ssl) : NULL, arena, ret_count);
}

struct tls_name *tls_names_of(X509 *certificate, struct arena *arena, size_t *ret_count)
{
    *ret_count = 0;
    if (!certificate)
        return NULL;
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    struct tls_name *list = arena_alloc(arena, NAMES_MAX * sizeof *list);
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && *ret_count < NAMES_MAX; i++) {
        struct tls_name name = read_name(sk_GENERAL_NAME_value(names, i));
        if (!name.text.len)
            continue;
        name.text = arena_str(arena, name.text);
        list[(*ret_count)++] = name;
    }
    GENERAL_NAMES_free(names);
    return list;
}

/* Text of a name for people: what is no printable ASCII is written in hexadecimal. */
static str name_text(const X509_NAME *name, struct arena *arena)
{
    int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
    const ASN1_STRING *common = at < 0 ? NULL : X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
    BIO *bio = BIO_new(BIO_s_mem());
    char *text;
    if (!bio)
        return STR("?");
    if (common)
        ASN1_STRING_print_ex(bio, common, ASN1_STRFLGS_RFC2253);
    else
        X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253);
    long len = BIO_get_mem_data(bio, &text);
    str copy = arena_str(arena, str_of(text, len > 0 && len <= ADDRESS_MAX ? (size_t)len : 0));
    BIO_free(bio);
    return copy.len ? copy : STR("?");
}

const struct tls_certificate *tls_layer_peer_certificate(struct tls_layer *layer, struct arena *arena)
{
    X509 *certificate = layer->secured ? SSL_get0_peer_certificate(layer->ssl) : NULL;
    struct tm end;
    int seconds;
    if (!certificate)
        return NULL;
    struct tls_certificate *facts = ARENA_NEW(arena, struct tls_certificate);
    facts->issuer = name_text(X509_get_issuer_name(certificate), arena);
    facts->self_signed = X509_self_signed(certificate, 0) == 1;
    ASN1_TIME_diff(&facts->days_left, &seconds, NULL, X509_get0_notAfter(certificate));
    if (facts->days_left == 0 && seconds < 0)
        facts->days_left = -1;
    if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) == 1)
        strftime(facts->ends, sizeof facts->ends, "%Y-%m-%d", &end);
    return facts;
}

str tls_layer_peer_der(struct tls_layer *layer, struct arena *arena)
{
    X509 *certificate = layer->secured ? SSL_get0_peer_certificate(layer->ssl) : NULL;
    int size = certificate ? i2d_X509(certificate, NULL) : 0;
    if (size <= 0)
        return str_none;
    unsigned char *bytes = arena_alloc(arena, (size_t)size), *at = bytes;
    i2d_X509(certificate, &at);
    return str_of((char *)bytes, (size_t)size);
}

/* What RFC 6120 §13.7.1.1 wants of the certificate of an end, and OpenSSL does not look at. One that signs
 * itself is trusted by name, whatever it says. */
static const char *rule_fault(X509 *certificate)
{
    if (X509_get_extension_flags(certificate) & EXFLAG_CA && X509_self_signed(certificate, 0) != 1)
        return "it is the certificate of a CA";
    if (!(X509_get_key_usage(certificate) & (KU_DIGITAL_SIGNATURE | KU_KEY_AGREEMENT)))
        return "its key is not made for this use";
    return NULL;
}

const char *tls_layer_peer_fault(struct tls_layer *layer)
{
    X509 *certificate = layer->secured ? SSL_get0_peer_certificate(layer->ssl) : NULL;
    if (!certificate)
        return "no certificate";
    long result = layer->fault != X509_V_OK ? layer->fault : SSL_get_verify_result(layer->ssl);
    if (tls_layer_dane(layer) == TLS_DANE_FAILED)
        return "it is not the one that DNS names (DANE)";
    if (result != X509_V_OK)
        return X509_verify_cert_error_string(result);
    return tls_layer_dane(layer) == TLS_DANE_SERVER ? NULL : rule_fault(certificate);
}

str *tls_layer_client_addresses(struct tls_layer *layer, struct arena *arena, size_t *ret_count)
{
    size_t count;
    *ret_count = 0;
    if (!SSL_is_server(layer->ssl) || tls_layer_peer_fault(layer))
        return NULL;
    struct tls_name *names = tls_layer_peer_names(layer, arena, &count);
    str *addresses = arena_alloc(arena, ADDRESSES_MAX * sizeof *addresses);
    for (size_t i = 0; i < count && *ret_count < ADDRESSES_MAX; i++)
        if (names[i].kind == TLS_NAME_XMPP)
            addresses[(*ret_count)++] = names[i].text;
    return addresses;
}
