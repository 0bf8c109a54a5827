/* SPDX-License-Identifier: MIT */
/* One connection's TLS, on OpenSSL with a BIO of our own.
 *
 * OpenSSL's memory BIOs would keep two buffers a connection. Ours keeps none: it reads from the slice that
 * the connection has just read from its socket (a buffer that all connections of the thread share), and
 * writes to the wire queue, whose memory is borrowed while there is something in it. One BIO serves all
 * connections of a thread, since it is in use only inside a call of this file; such a call first points it at
 * its layer.
 *
 * Input is always digested whole: OpenSSL keeps an unfinished record by itself. So nothing is ever left over
 * in the shared buffer when a call ends. While a layer is idle OpenSSL holds no buffers
 * (SSL_MODE_RELEASE_BUFFERS).
 *
 * Not here: policy and certificates (tls.c), channel bindings and names (tls_facts.c), sockets (conn.c). */
#include "net/tls_layer.h"

#include "base/log.h"
#include "base/mem.h"
#include "net/outbox.h"

#include <arpa/inet.h>
#include <assert.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <threads.h>

/* ---- The BIO */

static _Thread_local BIO *thread_bio;
static BIO_METHOD *method;
static tss_t bio_key;
static once_flag once = ONCE_FLAG_INIT;

static int bio_read(BIO *bio, char *to, size_t room, size_t *ret_len)
{
    struct tls_layer *layer = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (!layer->_input.len) {
        BIO_set_retry_read(bio);
        return 0;
    }
    size_t count = room < layer->_input.len ? room : layer->_input.len;
    memcpy(to, layer->_input.p, count);
    layer->_input = str_sub(layer->_input, count, layer->_input.len);
    *ret_len = count;
    return 1;
}

static int bio_write(BIO *bio, const char *from, size_t len, size_t *ret_len)
{
    struct tls_layer *layer = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    outbox_open(&layer->wire);
    buf_add(&layer->wire, str_of(from, len));
    if (buf_failed(&layer->wire))
        return 0; /* a peer that makes us talk and does not listen */
    *ret_len = len;
    return 1;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH || command == BIO_CTRL_PUSH || command == BIO_CTRL_POP;
}

static int bio_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

static void bio_gone(void *bio)
{
    BIO_free(bio);
}

static void make_method(void)
{
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "connection");
    if (!method || tss_create(&bio_key, bio_gone) != thrd_success)
        abort();
    BIO_meth_set_read_ex(method, bio_read);
    BIO_meth_set_write_ex(method, bio_write);
    BIO_meth_set_ctrl(method, bio_control);
    BIO_meth_set_create(method, bio_create);
}

/* This thread's BIO, with a reference for the thread. */
static BIO *bio_of_thread(void)
{
    if (thread_bio)
        return thread_bio;
    call_once(&once, make_method);
    thread_bio = BIO_new(method);
    if (!thread_bio)
        abort();
    tss_set(bio_key, thread_bio);
    return thread_bio;
}

/* To be called before each call of OpenSSL that may read or write. */
static void enter(struct tls_layer *layer)
{
    BIO_set_data(thread_bio, layer);
    /* SSL_get_error() looks at the thread's queue of errors: what others left there is not ours. */
    if (ERR_peek_error())
        ERR_clear_error();
}

void tls_layer_settle(struct tls_layer *layer)
{
    BIO *bio = bio_of_thread();
    BIO_up_ref(bio);
    BIO_up_ref(bio);
    SSL_set0_rbio(layer->ssl, bio);
    SSL_set0_wbio(layer->ssl, bio);
}

/* ---- Life */

/* A client sends the name it wants to talk to and verifies it. IP literals are no names for SNI (RFC 6066
 * §3). */
static bool set_server_name(SSL *ssl, const char *name, bool verify)
{
    unsigned char address[sizeof(struct in6_addr)];
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    bool literal = inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
    if (literal)
        return !verify || X509_VERIFY_PARAM_set1_ip_asc(param, name);
    if (!SSL_set_tlsext_host_name(ssl, name))
        return false;
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return !verify || SSL_set1_host(ssl, name);
}

static bool offer_alpn(SSL *ssl, const char *alpn)
{
    unsigned char list[256];
    size_t length = strlen(alpn);
    if (length > 255)
        return false;
    list[0] = (unsigned char)length;
    memcpy(list + 1, alpn, length);
    return SSL_set_alpn_protos(ssl, list, (unsigned)length + 1) == 0; /* 0 is success, for once */
}

static bool prepare(struct tls_layer *layer, const char *server_name, const char *alpn)
{
    if (!server_name) {
        SSL_set_accept_state(layer->ssl);
        layer->alpn = alpn ? str_dup(str_from(alpn)) : NULL;
        return true;
    }
    SSL_set_connect_state(layer->ssl);
    return set_server_name(layer->ssl, server_name, layer->context->verify) &&
           (!alpn || offer_alpn(layer->ssl, alpn));
}

struct tls_layer *tls_layer_new(struct tls_context *context, const char *server_name, const char *alpn,
                                size_t wire_max)
{
    struct tls_layer *layer = NEW(struct tls_layer);
    layer->context = tls_context_ref(context);
    buf_init(&layer->wire, wire_max);
    buf_init(&layer->unread, TLS_PLAIN_MAX);
    layer->ssl = SSL_new(context->ssl);
    if (!layer->ssl)
        abort(); /* out of memory */
    SSL_set_app_data(layer->ssl, layer);
    tls_layer_settle(layer);
    if (prepare(layer, server_name, alpn))
        return layer;
    tls_layer_free(layer);
    return NULL;
}

void tls_layer_free(struct tls_layer *layer)
{
    if (!layer)
        return;
    if (layer->gone)
        *layer->gone = true;
    SSL_free(layer->ssl);
    tls_context_unref(layer->context);
    outbox_drop(&layer->wire, &layer->wire_sent);
    buf_fini(&layer->unread);
    free(layer->sni);
    free(layer->alpn);
    free(layer);
}

/* ---- Bytes */

static enum err failure(struct tls_layer *layer, int result)
{
    switch (SSL_get_error(layer->ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return ERR_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return ERR_CLOSED;
    default:
        if (log_wants(LOG_tls, LOG_DEBUG)) {
            const char *reason = ERR_reason_error_string(ERR_peek_error());
            log_write(LOG_tls, LOG_DEBUG, "TLS failed: %s", reason ? reason : "no reason given");
        }
        ERR_clear_error();
        return ERR_TLS;
    }
}

/* ERR_AGAIN: more from the peer is needed. */
static enum err shake_hands(struct tls_layer *layer)
{
    int result = SSL_do_handshake(layer->ssl);
    if (result != 1)
        return failure(layer, result);
    layer->secured = true;
    free(layer->alpn);
    layer->alpn = NULL;
    return OK;
}

enum err tls_layer_start(struct tls_layer *layer)
{
    enter(layer);
    enum err err = shake_hands(layer);
    return err == ERR_AGAIN ? OK : err;
}

static enum err decrypt(struct tls_layer *layer, char *plain, size_t *ret_len)
{
    size_t len = 0, count;
    enum err err = OK;
    do {
        assert(len < TLS_PLAIN_MAX);
        int result = SSL_read_ex(layer->ssl, plain + len, TLS_PLAIN_MAX - len, &count);
        if (result == 1)
            len += count;
        else
            err = failure(layer, result);
        if (layer->asked_anew)
            err = ERR_TLS;
    } while (!err && layer->_input.len);
    *ret_len = len;
    return err == ERR_AGAIN ? OK : err;
}

enum err tls_layer_read(struct tls_layer *layer, str input, char *plain, size_t *ret_len)
{
    enum err err = OK;
    assert(input.len <= TLS_INPUT_MAX);
    *ret_len = 0;
    enter(layer);
    layer->_input = input;
    if (!layer->secured)
        err = shake_hands(layer);
    if (!err && layer->_input.len)
        err = decrypt(layer, plain, ret_len);
    layer->_input = str_none;
    return err == ERR_AGAIN ? OK : err;
}

enum err tls_layer_write(struct tls_layer *layer, str plain)
{
    size_t count = 0;
    enter(layer);
    for (size_t done = 0; done < plain.len; done += count) {
        int result = SSL_write_ex(layer->ssl, plain.p + done, plain.len - done, &count);
        if (result != 1) {
            failure(layer, result);
            return ERR_TLS;
        }
    }
    return OK;
}

void tls_layer_finish(struct tls_layer *layer)
{
    if (layer->finished || !layer->secured)
        return;
    layer->finished = true;
    enter(layer);
    (void)SSL_shutdown(layer->ssl); /* 0: sent, and we do not wait for the answer */
}
