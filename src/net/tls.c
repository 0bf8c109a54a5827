/* SPDX-License-Identifier: MIT */
/* TLS contexts: policy in one place, certificates from files, and the choice of a virtual host's context.
 *
 * Policy (RFC 7590, RFC 9325): TLS 1.3, or 1.2 with ECDHE and AEAD; the server's order of ciphers; no
 * compression, no renegotiation. X25519 first, P-256 next.
 *
 * Sessions: no cache in memory, which would cost as much as the connections; clients may resume by a ticket
 * that they keep, one a handshake. A ticket is good for the context that gave it alone (its session id
 * context is random): otherwise a certificate verified for one virtual host would speak for another.
 *
 * The name of the virtual host (SNI) is read from the ClientHello itself and not in OpenSSL's later callback
 * for names, because by then OpenSSL has already decided about resumption.
 *
 * Client certificates: asked for, never demanded; the handshake goes on whatever is wrong with one, and
 * its result is looked at when somebody wants to log in with it (tls_facts.c). */
#include "net/tls.h"

#include "base/mem.h"
#include "base/rand.h"
#include "net/tls_layer.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

enum { SESSION_ID_SIZE = 32, SNI_MAX = 255 };

static const char ciphers_12[] = "ECDHE+AESGCM:ECDHE+CHACHA20";
static const char ciphers_13[] = "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384";

/* ---- Callbacks of OpenSSL */

/* A key under a passphrase is an error: without this OpenSSL would ask for it on the terminal. */
static int no_passphrase(char *to, int room, int writing, void *arg)
{
    (void)to, (void)room, (void)writing, (void)arg;
    return -1;
}

/* The handshake goes on, and what was wrong is kept. That a CA publishes no list of what it has revoked, or
 * that the administrator has not fetched it, is no fault of the certificate; what was found before then
 * counts again. */
static int take_any_certificate(int good, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls_layer *layer = SSL_get_app_data(ssl);
    int error = X509_STORE_CTX_get_error(store);
    if (!good && error == X509_V_ERR_UNABLE_TO_GET_CRL)
        X509_STORE_CTX_set_error(store, layer->fault);
    else if (!good && layer->fault == X509_V_OK)
        layer->fault = error;
    return 1;
}

static int choose_alpn(SSL *ssl, const unsigned char **ret, unsigned char *ret_len,
                       const unsigned char *offered, unsigned offered_len, void *arg)
{
    const struct tls_layer *layer = SSL_get_app_data(ssl);
    (void)arg;
    if (!layer->alpn)
        return SSL_TLSEXT_ERR_NOACK;
    str wanted = str_from(layer->alpn);
    for (unsigned at = 0; at < offered_len; at += 1u + offered[at]) {
        unsigned len = offered[at];
        if (len > offered_len - at - 1)
            break;
        if (str_eq(wanted, str_of((const char *)offered + at + 1, len))) {
            *ret = offered + at + 1;
            *ret_len = (unsigned char)len;
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL; /* RFC 7301 §3.2: no_application_protocol */
}

/* The one host_name of a server_name extension (RFC 6066 §3); str_none when there is none in proper form. */
static str sni_of_hello(SSL *ssl)
{
    const unsigned char *p;
    size_t len;
    if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &p, &len) || len < 5)
        return str_none;
    size_t list_len = (size_t)p[0] << 8 | p[1], name_len = (size_t)p[3] << 8 | p[4];
    if (list_len + 2 != len || p[2] != TLSEXT_NAMETYPE_host_name || name_len + 5 > len || !name_len ||
        name_len > SNI_MAX || memchr(p + 5, 0, name_len))
        return str_none;
    return str_of((const char *)p + 5, name_len);
}

static void use_context(SSL *ssl, struct tls_layer *layer, struct tls_context *context)
{
    SSL_set_SSL_CTX(ssl, context->ssl);
    /* What SSL_set_SSL_CTX() leaves as it was. */
    SSL_set_verify(ssl, SSL_CTX_get_verify_mode(context->ssl), SSL_CTX_get_verify_callback(context->ssl));
    tls_context_unref(layer->context);
    layer->context = context;
}

static int on_hello(SSL *ssl, int *ret_alert, void *arg)
{
    struct tls_context *listener = arg;
    struct tls_layer *layer = SSL_get_app_data(ssl);
    str name = sni_of_hello(ssl);
    (void)ret_alert;
    if (!name.len || layer->sni)
        return SSL_CLIENT_HELLO_SUCCESS;
    layer->sni = str_dup(name);
    for (char *c = layer->sni; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c + ('a' - 'A'));
    struct tls_context *chosen =
        listener->choose ? listener->choose(listener->choose_arg, str_from(layer->sni)) : NULL;
    if (chosen)
        use_context(ssl, layer, chosen);
    return SSL_CLIENT_HELLO_SUCCESS;
}

/* OpenSSL answers a wish to renegotiate with a warning and goes on; RFC 6120 §5.3.5 wants the connection to
 * end. */
static void on_progress(const SSL *ssl, int where, int what)
{
    struct tls_layer *layer = SSL_get_app_data(ssl);
    if ((where & SSL_CB_WRITE_ALERT) == SSL_CB_WRITE_ALERT && (what & 0xff) == SSL_AD_NO_RENEGOTIATION)
        layer->asked_anew = true;
}

/* ---- Making contexts */

static SSL_CTX *new_ssl(const SSL_METHOD *tls_method)
{
    SSL_CTX *ssl = SSL_CTX_new(tls_method);
    if (!ssl)
        abort(); /* out of memory */
    SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
    SSL_CTX_set_options(ssl, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_info_callback(ssl, on_progress);
    if (!SSL_CTX_set_cipher_list(ssl, ciphers_12) || !SSL_CTX_set_ciphersuites(ssl, ciphers_13) ||
        !SSL_CTX_set1_groups_list(ssl, "X25519:P-256:P-384"))
        abort(); /* an OpenSSL that has none of these can't be used */
    SSL_CTX_set_default_passwd_cb(ssl, no_passphrase);
    return ssl;
}

static struct tls_context *wrap(SSL_CTX *ssl)
{
    struct tls_context *context = NEW(struct tls_context);
    context->ssl = ssl;
    atomic_init(&context->refs, 1);
    return context;
}

/* Says why a file can't be used; for the administrator. */
static enum err complain(char *why, size_t room, const char *what, const char *file, enum err err)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    if (err == ERR_INVALID)
        snprintf(why, room, "%s %s: %s", what, file, reason ? reason : "not usable");
    else
        snprintf(why, room, "%s %s: %s", what, file, err_text(err));
    ERR_clear_error();
    return err;
}

/* OpenSSL's errors about files are vague, so it is tried first whether the file opens. */
static enum err check_readable(const char *file)
{
    if (!file)
        return ERR_NOT_FOUND;
    FILE *stream = fopen(file, "re");
    if (!stream)
        return errno == ENOENT || errno == ENOTDIR ? ERR_NOT_FOUND : err_from_errno(errno);
    fclose(stream);
    return OK;
}

static enum err load_pair(SSL_CTX *ssl, const struct tls_settings *settings, char *why, size_t room)
{
    enum err err = check_readable(settings->certificate);
    if (!err && SSL_CTX_use_certificate_chain_file(ssl, settings->certificate) != 1)
        err = ERR_INVALID;
    if (err)
        return complain(why, room, "certificate", settings->certificate ? settings->certificate : "", err);
    err = check_readable(settings->key);
    if (!err && SSL_CTX_use_PrivateKey_file(ssl, settings->key, SSL_FILETYPE_PEM) != 1)
        err = ERR_INVALID;
    if (!err && SSL_CTX_check_private_key(ssl) != 1)
        err = ERR_INVALID;
    return err ? complain(why, room, "key", settings->key ? settings->key : "", err) : OK;
}

static enum err load_client_ca(SSL_CTX *ssl, const char *ca, char *why, size_t room)
{
    enum err err = check_readable(ca);
    if (!err && SSL_CTX_load_verify_file(ssl, ca) != 1)
        err = ERR_INVALID;
    if (err)
        return complain(why, room, "CA", ca, err);
    SSL_CTX_set_client_CA_list(ssl, SSL_load_client_CA_file(ca));
    return OK;
}

/* What was revoked (RFC 5280 §6.3), all the way up the chain. */
static enum err load_crl(SSL_CTX *ssl, const char *crl, char *why, size_t room)
{
    X509_STORE *store = SSL_CTX_get_cert_store(ssl);
    X509_LOOKUP *lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
    enum err err = check_readable(crl);
    if (!err && (!lookup || X509_load_crl_file(lookup, crl, X509_FILETYPE_PEM) < 1))
        err = ERR_INVALID;
    if (err)
        return complain(why, room, "list of revoked certificates", crl, err);
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    return OK;
}

/* Whom the certificates of other servers must chain to. Few of them are made for clients too, so what a
 * certificate is for is not looked at. */
static enum err load_trust(SSL_CTX *ssl, const char *ca, char *why, size_t room)
{
    enum err err = ca ? check_readable(ca) : OK;
    if (!err && (ca ? SSL_CTX_load_verify_file(ssl, ca) : SSL_CTX_set_default_verify_paths(ssl)) != 1)
        err = ERR_INVALID;
    if (err)
        return complain(why, room, "CA", ca ? ca : "of the system", err);
    SSL_CTX_set_purpose(ssl, X509_PURPOSE_ANY);
    return OK;
}

static int days_left(SSL_CTX *ssl)
{
    int days = 0, seconds;
    ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(SSL_CTX_get0_certificate(ssl)));
    return days;
}

enum err tls_server_context(const struct tls_settings *settings, char *why, size_t why_room,
                            struct tls_context **ret)
{
    unsigned char session_id[SESSION_ID_SIZE];
    SSL_CTX *ssl = new_ssl(TLS_server_method());
    enum err err = load_pair(ssl, settings, why, why_room);
    if (!err && settings->between_servers)
        err = load_trust(ssl, settings->ca, why, why_room);
    else if (!err && settings->ca)
        err = load_client_ca(ssl, settings->ca, why, why_room);
    if (!err && settings->crl)
        err = load_crl(ssl, settings->crl, why, why_room);
    if (err) {
        SSL_CTX_free(ssl);
        return err;
    }
    struct tls_context *context = wrap(ssl);
    context->days_left = days_left(ssl);
    rand_bytes(session_id, sizeof session_id);
    SSL_CTX_set_session_id_context(ssl, session_id, sizeof session_id);
    SSL_CTX_set_num_tickets(ssl, 1);
    SSL_CTX_set_alpn_select_cb(ssl, choose_alpn, NULL);
    SSL_CTX_set_client_hello_cb(ssl, on_hello, context);
    if (settings->request_client_certificate)
        SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, take_any_certificate);
    *ret = context;
    return OK;
}

enum err tls_client_context(const char *ca, bool verify, char *why, size_t why_room, struct tls_context **ret)
{
    SSL_CTX *ssl = new_ssl(TLS_client_method());
    enum err err = OK;
    if (verify && ca) {
        err = check_readable(ca);
        if (!err && SSL_CTX_load_verify_file(ssl, ca) != 1)
            err = ERR_INVALID;
    } else if (verify && SSL_CTX_set_default_verify_paths(ssl) != 1) {
        err = ERR_INVALID;
    }
    if (err) {
        SSL_CTX_free(ssl);
        return complain(why, why_room, "CA", ca ? ca : "of the system", err);
    }
    SSL_CTX_set_verify(ssl, verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    *ret = wrap(ssl);
    (*ret)->verify = verify;
    return OK;
}

enum err tls_initiator_context(const struct tls_settings *settings, char *why, size_t why_room,
                               struct tls_context **ret)
{
    SSL_CTX *ssl = new_ssl(TLS_client_method());
    enum err err = load_trust(ssl, settings->ca, why, why_room);
    if (!err && settings->crl)
        err = load_crl(ssl, settings->crl, why, why_room);
    if (!err && settings->certificate && *settings->certificate)
        err = load_pair(ssl, settings, why, why_room);
    if (err) {
        SSL_CTX_free(ssl);
        return err;
    }
    if (SSL_CTX_dane_enable(ssl) <= 0)
        abort(); /* out of memory */
    SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, take_any_certificate);
    *ret = wrap(ssl);
    return OK;
}

struct tls_context *tls_context_ref(struct tls_context *context)
{
    atomic_fetch_add_explicit(&context->refs, 1, memory_order_relaxed);
    return context;
}

void tls_context_unref(struct tls_context *context)
{
    if (!context || atomic_fetch_sub_explicit(&context->refs, 1, memory_order_acq_rel) != 1)
        return;
    SSL_CTX_free(context->ssl);
    free(context);
}

void tls_context_on_sni(struct tls_context *context, struct tls_context *(*choose)(void *arg, str name),
                        void *arg)
{
    context->choose = choose;
    context->choose_arg = arg;
}

struct tls_name *tls_context_names(const struct tls_context *context, struct arena *arena, size_t *ret_count)
{
    return tls_names_of(SSL_CTX_get0_certificate(context->ssl), arena, ret_count);
}

int tls_context_days_left(const struct tls_context *context)
{
    return context->days_left;
}
