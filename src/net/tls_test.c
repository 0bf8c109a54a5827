/* SPDX-License-Identifier: MIT */
/* TLS without sockets: two layers that hand their bytes to each other, in pieces of any size. */
#include "base/mem.h"
#include "net/test_certs.h"
#include "net/tls_layer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static struct certs certs;
static struct tls_context *server_context, *client_context;
static char plain_room[TLS_PLAIN_MAX];

struct pair {
    struct tls_layer *client, *server;
    enum err client_err, server_err;
    struct buf client_got, server_got;
    size_t piece; /* bytes handed over at a time; 0: all */
};

static void pair_open(struct pair *pair, struct tls_context *client, const char *name,
                      const char *client_alpn, struct tls_context *server, const char *server_alpn)
{
    *pair = (struct pair){ .client = tls_layer_new(client, name, client_alpn, 1 << 20),
                           .server = tls_layer_new(server, NULL, server_alpn, 1 << 20) };
    buf_init(&pair->client_got, 1 << 22);
    buf_init(&pair->server_got, 1 << 22);
    assert_non_null(pair->client);
}

static void pair_close(struct pair *pair)
{
    tls_layer_free(pair->client);
    tls_layer_free(pair->server);
    buf_fini(&pair->client_got);
    buf_fini(&pair->server_got);
}

/* Hands what `from` has to say to `to`. Returns whether it had anything. */
static bool carry(struct tls_layer *from, struct tls_layer *to, size_t piece, struct buf *got, enum err *err)
{
    struct buf wire = from->wire;
    buf_init(&from->wire, wire._max);
    for (size_t at = 0; at < wire.len && !*err;) {
        size_t part = piece && piece < wire.len - at ? piece : wire.len - at, len;
        if (part > TLS_INPUT_MAX)
            part = TLS_INPUT_MAX;
        *err = tls_layer_read(to, str_of(wire.p + at, part), plain_room, &len);
        buf_add(got, str_of(plain_room, len));
        at += part;
    }
    bool any = wire.len != 0;
    buf_fini(&wire);
    return any;
}

static void talk(struct pair *pair)
{
    bool any = true;
    while (any) {
        any = carry(pair->client, pair->server, pair->piece, &pair->server_got, &pair->server_err);
        any |= carry(pair->server, pair->client, pair->piece, &pair->client_got, &pair->client_err);
    }
}

static void shake(struct pair *pair)
{
    assert_int_equal(tls_layer_start(pair->client), OK);
    talk(pair);
}

static void assert_secured(const struct pair *pair)
{
    assert_int_equal(pair->client_err, OK);
    assert_int_equal(pair->server_err, OK);
    assert_true(pair->client->secured && pair->server->secured);
}

static struct tls_context *client_up_to(int version)
{
    struct tls_context *context = certs_client(&certs);
    SSL_CTX_set_max_proto_version(context->ssl, version);
    return context;
}

static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

/* ---- Bytes */

static void bytes_survive_any_cut(void **state)
{
    (void)state;
    static const size_t pieces[] = { 0, 1, 7, 1000, 16384, 40000 };
    char *bytes = malloc(300000);
    for (size_t i = 0; i < 300000; i++)
        bytes[i] = (char)(i * 31 + i / 997);
    for (size_t i = 0; i < COUNT_OF(pieces) * COUNT_OF(versions); i++) {
        struct tls_context *context = client_up_to(versions[i % 2]);
        struct pair pair;
        pair_open(&pair, context, "one.example", NULL, server_context, NULL);
        pair.piece = pieces[i / 2];
        shake(&pair);
        assert_secured(&pair);
        for (size_t at = 0; at < 300000; at += 60000)
            assert_int_equal(tls_layer_write(pair.client, str_of(bytes + at, 60000)), OK);
        assert_int_equal(tls_layer_write(pair.server, str_of(bytes, 3)), OK);
        talk(&pair);
        assert_true(str_eq(buf_str(&pair.server_got), str_of(bytes, 300000)));
        assert_true(str_eq(buf_str(&pair.client_got), str_of(bytes, 3)));
        tls_layer_finish(pair.client);
        tls_layer_finish(pair.client);
        talk(&pair);
        assert_int_equal(pair.server_err, ERR_CLOSED);
        pair_close(&pair);
        tls_context_unref(context);
    }
    free(bytes);
}

static void a_wire_that_nobody_empties_is_limited(void **state)
{
    (void)state;
    struct pair pair;
    static const char zeros[60000];
    pair_open(&pair, client_context, "one.example", NULL, server_context, NULL);
    shake(&pair);
    enum err err = OK;
    for (int i = 0; i < 100 && !err; i++)
        err = tls_layer_write(pair.server, str_of(zeros, sizeof zeros));
    assert_int_equal(err, ERR_TLS);
    assert_true(buf_failed(&pair.server->wire));
    pair_close(&pair);
}

/* ---- Failures */

static void noise_is_no_handshake(void **state)
{
    (void)state;
    struct pair pair;
    size_t len;
    pair_open(&pair, client_context, "one.example", NULL, server_context, NULL);
    assert_int_equal(tls_layer_read(pair.server, STR("GET / HTTP/1.1\r\n\r\n"), plain_room, &len), ERR_TLS);
    assert_int_equal(len, 0);
    assert_false(pair.server->secured);
    pair_close(&pair);
}

static void changed_bytes_are_noticed(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, client_context, "one.example", NULL, server_context, NULL);
    shake(&pair);
    tls_layer_write(pair.client, STR("hello"));
    pair.client->wire.p[pair.client->wire.len - 1] ^= 1;
    talk(&pair);
    assert_int_equal(pair.server_err, ERR_TLS);
    assert_int_equal(pair.server_got.len, 0);
    pair_close(&pair);
}

static void clients_verify(void **state)
{
    (void)state;
    struct certs strangers;
    struct pair pair;
    pair_open(&pair, client_context, "other.example", NULL, server_context, NULL);
    shake(&pair);
    assert_int_equal(pair.client_err, ERR_TLS); /* the certificate is of one.example */
    pair_close(&pair);

    certs_open(&strangers);
    struct tls_context *context = certs_client(&strangers);
    pair_open(&pair, context, "one.example", NULL, server_context, NULL);
    shake(&pair);
    assert_int_equal(pair.client_err, ERR_TLS); /* of another CA */
    assert_int_equal(pair.server_err, ERR_TLS); /* the alert has arrived */
    pair_close(&pair);
    tls_context_unref(context);
    certs_close(&strangers);

    struct tls_context *credulous;
    char why[200];
    assert_int_equal(tls_client_context(NULL, false, why, sizeof why, &credulous), OK);
    pair_open(&pair, credulous, "other.example", NULL, server_context, NULL);
    shake(&pair);
    assert_secured(&pair);
    pair_close(&pair);
    tls_context_unref(credulous);
}

static void literals_are_verified_as_addresses(void **state)
{
    (void)state;
    struct pair pair;
    certs_issue(&certs, "address", "IP:127.0.0.1", 3);
    struct tls_context *context = certs_server(&certs, "address", false);
    pair_open(&pair, client_context, "127.0.0.1", NULL, context, NULL);
    shake(&pair);
    assert_secured(&pair);
    assert_null(pair.server->sni);
    pair_close(&pair);
    pair_open(&pair, client_context, "127.0.0.2", NULL, context, NULL);
    shake(&pair);
    assert_int_equal(pair.client_err, ERR_TLS);
    pair_close(&pair);
    tls_context_unref(context);
}

static void old_versions_are_refused(void **state)
{
    (void)state;
    struct tls_context *context = certs_client(&certs);
    struct pair pair;
    SSL_CTX_set_min_proto_version(context->ssl, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(context->ssl, TLS1_1_VERSION);
    SSL_CTX_set_security_level(context->ssl, 0);
    SSL_CTX_set_cipher_list(context->ssl, "ALL:@SECLEVEL=0");
    pair_open(&pair, context, "one.example", NULL, server_context, NULL);
    (void)tls_layer_start(pair.client);
    talk(&pair);
    assert_int_equal(pair.server_err, ERR_TLS);
    pair_close(&pair);
    tls_context_unref(context);
}

/* RFC 6120 §5.3.5 */
static void who_negotiates_anew_is_left(void **state)
{
    (void)state;
    struct tls_context *server = certs_server(&certs, "one", false), *client = client_up_to(TLS1_2_VERSION);
    struct pair pair;
    pair_open(&pair, client, "one.example", NULL, server, NULL);
    shake(&pair);
    assert_secured(&pair);
    SSL_clear_options(pair.client->ssl, SSL_OP_NO_RENEGOTIATION);
    assert_int_equal(SSL_renegotiate(pair.client->ssl), 1);
    (void)SSL_do_handshake(pair.client->ssl);
    talk(&pair);
    assert_int_equal(pair.server_err, ERR_TLS);
    pair_close(&pair);
    tls_context_unref(client);
    tls_context_unref(server);
}

static void ciphers_without_forward_secrecy_are_refused(void **state)
{
    (void)state;
    struct tls_context *context = client_up_to(TLS1_2_VERSION);
    struct pair pair;
    SSL_CTX_set_cipher_list(context->ssl,
                            "ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA384:AES128-GCM-SHA256");
    pair_open(&pair, context, "one.example", NULL, server_context, NULL);
    shake(&pair);
    assert_int_equal(pair.server_err, ERR_TLS);
    pair_close(&pair);
    tls_context_unref(context);
}

/* ---- Names and protocols */

static void alpn_is_chosen_or_refused(void **state)
{
    (void)state;
    static const struct {
        const char *offered, *accepted;
        bool good, answered;
    } cases[] = {
        { "xmpp-client", "xmpp-client", true, true },  { NULL, "xmpp-client", true, false },
        { "xmpp-client", NULL, true, false },          { "http/1.1", "xmpp-client", false, false },
        { "xmpp-clien", "xmpp-client", false, false },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct pair pair;
        const unsigned char *chosen;
        unsigned len;
        pair_open(&pair, client_context, "one.example", cases[i].offered, server_context, cases[i].accepted);
        shake(&pair);
        assert_int_equal(pair.server_err, cases[i].good ? OK : ERR_TLS);
        assert_int_equal(pair.client_err, cases[i].good ? OK : ERR_TLS);
        SSL_get0_alpn_selected(pair.client->ssl, &chosen, &len);
        assert_int_equal(len, cases[i].answered ? strlen(cases[i].offered) : 0);
        pair_close(&pair);
    }
}

static struct tls_context *two_context;
static char asked_for[64];

static struct tls_context *choose(void *arg, str name)
{
    assert_ptr_equal(arg, &certs);
    str_copy(name, asked_for, sizeof asked_for);
    return str_is(name, "two.example") ? tls_context_ref(two_context) : NULL;
}

static void a_name_chooses_the_certificate(void **state)
{
    (void)state;
    struct pair pair;
    struct tls_context *listener = certs_server(&certs, "one", false);
    two_context = certs_server(&certs, "two", false);
    tls_context_on_sni(listener, choose, &certs);
    for (size_t i = 0; i < COUNT_OF(versions); i++) {
        struct tls_context *client = client_up_to(versions[i]);
        pair_open(&pair, client, "Two.EXAMPLE", NULL, listener, NULL);
        shake(&pair);
        assert_secured(&pair);
        assert_string_equal(asked_for, "two.example");
        assert_string_equal(pair.server->sni, "two.example");
        pair_close(&pair);
        pair_open(&pair, client, "one.example", NULL, listener, NULL);
        shake(&pair);
        assert_secured(&pair);
        assert_string_equal(pair.server->sni, "one.example");
        pair_close(&pair);
        tls_context_unref(client);
    }
    tls_context_unref(two_context);
    tls_context_unref(listener);
}

/* The virtual host's context asks for client certificates though the listener's does not. */
static void the_chosen_context_decides_about_client_certificates(void **state)
{
    (void)state;
    struct pair pair;
    struct arena arena;
    size_t count;
    char certificate[CERTS_PATH_MAX], key[CERTS_PATH_MAX];
    struct tls_context *listener = certs_server(&certs, "one", false), *client = certs_client(&certs);
    two_context = certs_server(&certs, "two", true);
    tls_context_on_sni(listener, choose, &certs);
    certs_path(&certs, "romeo.pem", certificate);
    certs_path(&certs, "romeo.key", key);
    SSL_CTX_use_certificate_file(client->ssl, certificate, SSL_FILETYPE_PEM);
    SSL_CTX_use_PrivateKey_file(client->ssl, key, SSL_FILETYPE_PEM);
    arena_init(&arena, 4096);
    for (int i = 0; i < 2; i++) {
        pair_open(&pair, client, i ? "two.example" : "one.example", NULL, listener, NULL);
        shake(&pair);
        assert_secured(&pair);
        tls_layer_client_addresses(pair.server, &arena, &count);
        assert_int_equal(count, i ? 2 : 0);
        pair_close(&pair);
    }
    arena_fini(&arena);
    tls_context_unref(two_context);
    tls_context_unref(listener);
    tls_context_unref(client);
}

/* ---- Sessions */

static SSL_SESSION *kept;

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    (void)ssl;
    SSL_SESSION_free(kept);
    kept = session;
    return 1;
}

/* Whether a session that was begun for one name is resumed for another. */
static bool resumes(int version, struct tls_context *listener, const char *first, const char *second)
{
    struct tls_context *client = client_up_to(version);
    struct pair pair;
    SSL_CTX_set_session_cache_mode(client->ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(client->ssl, keep_session);
    pair_open(&pair, client, first, NULL, listener, NULL);
    shake(&pair);
    assert_secured(&pair);
    tls_layer_finish(pair.client); /* a session of a connection that just breaks off is not resumed */
    pair_close(&pair);
    assert_non_null(kept);
    pair_open(&pair, client, second, NULL, listener, NULL);
    SSL_set_session(pair.client->ssl, kept);
    shake(&pair);
    assert_secured(&pair);
    bool resumed = SSL_session_reused(pair.server->ssl) == 1;
    if (resumed && version == TLS1_2_VERSION) {
        struct arena arena;
        arena_init(&arena, 256);
        str a = tls_layer_binding(pair.client, BINDING_TLS_UNIQUE, &arena);
        str b = tls_layer_binding(pair.server, BINDING_TLS_UNIQUE, &arena);
        assert_true(a.len && str_eq(a, b));
        arena_fini(&arena);
    }
    pair_close(&pair);
    SSL_SESSION_free(kept);
    kept = NULL;
    tls_context_unref(client);
    return resumed;
}

static void tickets_resume_at_their_own_host_only(void **state)
{
    (void)state;
    struct tls_context *listener = certs_server(&certs, "one", false);
    two_context = certs_server(&certs, "two", true);
    tls_context_on_sni(listener, choose, &certs);
    for (size_t i = 0; i < COUNT_OF(versions); i++) {
        assert_true(resumes(versions[i], listener, "one.example", "one.example"));
        assert_true(resumes(versions[i], listener, "two.example", "two.example"));
        assert_false(resumes(versions[i], listener, "one.example", "two.example"));
        assert_false(resumes(versions[i], listener, "two.example", "one.example"));
    }
    tls_context_unref(two_context);
    tls_context_unref(listener);
}

/* ---- Facts */

static void assert_binding(struct pair *pair, enum channel_binding kind, size_t len)
{
    struct arena arena;
    arena_init(&arena, 256);
    str ours = tls_layer_binding(pair->client, kind, &arena);
    str theirs = tls_layer_binding(pair->server, kind, &arena);
    assert_int_equal(ours.len, len);
    assert_true(str_eq(ours, theirs));
    assert_int_equal(ours.p == NULL, len == 0);
    assert_int_equal(tls_layer_has_binding(pair->client, kind), len > 0);
    assert_int_equal(tls_layer_has_binding(pair->server, kind), len > 0);
    arena_fini(&arena);
}

static void channel_bindings_agree(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(versions); i++) {
        struct tls_context *client = client_up_to(versions[i]);
        struct pair pair;
        bool old = versions[i] == TLS1_2_VERSION;
        pair_open(&pair, client, "one.example", NULL, server_context, NULL);
        assert_binding(&pair, BINDING_TLS_EXPORTER, 0);
        assert_binding(&pair, BINDING_TLS_SERVER_END_POINT, 0);
        shake(&pair);
        assert_binding(&pair, BINDING_TLS_EXPORTER, 32);
        assert_binding(&pair, BINDING_TLS_UNIQUE, old ? 12 : 0);
        assert_binding(&pair, BINDING_TLS_SERVER_END_POINT, 32);
        assert_binding(&pair, BINDING_NONE, 0);
        pair_close(&pair);
        tls_context_unref(client);
    }
}

/* Without the extended master secret (RFC 7627) two connections can be made to look alike. */
static void no_binding_without_extended_master_secret(void **state)
{
    (void)state;
    struct tls_context *client = client_up_to(TLS1_2_VERSION);
    struct pair pair;
    SSL_CTX_set_options(client->ssl, SSL_OP_NO_EXTENDED_MASTER_SECRET);
    pair_open(&pair, client, "one.example", NULL, server_context, NULL);
    shake(&pair);
    assert_secured(&pair);
    assert_binding(&pair, BINDING_TLS_EXPORTER, 0);
    assert_binding(&pair, BINDING_TLS_UNIQUE, 0);
    assert_binding(&pair, BINDING_TLS_SERVER_END_POINT, 32);
    pair_close(&pair);
    tls_context_unref(client);
}

static size_t addresses_of(struct certs *issuer, const char *name, char *text, size_t room)
{
    char certificate[CERTS_PATH_MAX], key[CERTS_PATH_MAX], file[64];
    struct tls_context *client = certs_client(&certs), *server = certs_server(&certs, "one", true);
    struct pair pair;
    struct arena arena;
    size_t count;
    snprintf(file, sizeof file, "%s.pem", name);
    certs_path(issuer, file, certificate);
    snprintf(file, sizeof file, "%s.key", name);
    certs_path(issuer, file, key);
    assert_int_equal(SSL_CTX_use_certificate_file(client->ssl, certificate, SSL_FILETYPE_PEM), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(client->ssl, key, SSL_FILETYPE_PEM), 1);
    pair_open(&pair, client, "one.example", NULL, server, NULL);
    shake(&pair);
    assert_secured(&pair);
    arena_init(&arena, 256);
    str *addresses = tls_layer_client_addresses(pair.server, &arena, &count);
    text[0] = '\0';
    for (size_t i = 0; i < count; i++)
        snprintf(text + strlen(text), room - strlen(text), "%.*s ", STR_ARGS(addresses[i]));
    arena_fini(&arena);
    pair_close(&pair);
    tls_context_unref(client);
    tls_context_unref(server);
    return count;
}

static void client_addresses_need_a_good_certificate(void **state)
{
    (void)state;
    struct certs strangers;
    char text[256];
    assert_int_equal(addresses_of(&certs, "romeo", text, sizeof text), 2);
    assert_string_equal(text, "romeo@montague.example romeo@one.example ");
    assert_int_equal(addresses_of(&certs, "one", text, sizeof text), 0);
    certs_issue(&certs, "late", "otherName:1.3.6.1.5.5.7.8.5;UTF8:late@one.example", -1);
    assert_int_equal(addresses_of(&certs, "late", text, sizeof text), 0);
    certs_open(&strangers);
    certs_issue(&strangers, "mallory", "otherName:1.3.6.1.5.5.7.8.5;UTF8:romeo@one.example", 3);
    assert_int_equal(addresses_of(&strangers, "mallory", text, sizeof text), 0);
    certs_close(&strangers);
}

/* ---- Contexts */

static enum err try_settings(const char *certificate, const char *key, char *why, size_t room)
{
    char certificate_path[CERTS_PATH_MAX], key_path[CERTS_PATH_MAX];
    struct tls_context *context = NULL;
    certs_path(&certs, certificate, certificate_path);
    certs_path(&certs, key, key_path);
    struct tls_settings settings = { .certificate = certificate_path, .key = key_path };
    why[0] = '\0';
    enum err err = tls_server_context(&settings, why, room, &context);
    tls_context_unref(context);
    return err;
}

static void bad_files_are_explained(void **state)
{
    (void)state;
    char why[300], path[CERTS_PATH_MAX];
    assert_int_equal(try_settings("one.pem", "one.key", why, sizeof why), OK);
    assert_int_equal(try_settings("none.pem", "one.key", why, sizeof why), ERR_NOT_FOUND);
    assert_non_null(strstr(why, "none.pem"));
    assert_int_equal(try_settings("one.pem", "none.key", why, sizeof why), ERR_NOT_FOUND);
    assert_non_null(strstr(why, "none.key"));
    assert_int_equal(try_settings("one.key", "one.key", why, sizeof why), ERR_INVALID);
    assert_int_equal(try_settings("one.pem", "one.pem", why, sizeof why), ERR_INVALID);
    assert_int_equal(try_settings("one.pem", "two.key", why, sizeof why), ERR_INVALID);
    assert_non_null(strstr(why, "two.key"));
    certs_path(&certs, "locked.key", path);
    FILE *stream = fopen(path, "we");
    EVP_PKEY *key = EVP_EC_gen("P-256");
    PEM_write_PrivateKey(stream, key, EVP_aes_128_cbc(), (unsigned char *)"secret", 6, NULL, NULL);
    fclose(stream);
    EVP_PKEY_free(key);
    assert_int_equal(try_settings("one.pem", "locked.key", why, sizeof why), ERR_INVALID);
    assert_int_equal(tls_context_days_left(server_context), 3);
}

/* A reload replaces the context; connections that began with the old one live on. */
static void connections_outlive_their_context(void **state)
{
    (void)state;
    struct tls_context *old = certs_server(&certs, "one", false);
    struct pair pair, young;
    pair_open(&pair, client_context, "one.example", NULL, old, NULL);
    pair_open(&young, client_context, "one.example", NULL, old, NULL);
    shake(&pair);
    tls_context_unref(old);
    shake(&young);
    assert_secured(&young);
    tls_layer_write(pair.server, STR("still here"));
    talk(&pair);
    assert_true(str_is(buf_str(&pair.client_got), "still here"));
    pair_close(&pair);
    pair_close(&young);
}

/* ---- DANE (RFC 6698, RFC 7671) */

static str der_of(X509 *certificate, unsigned selector, struct arena *arena)
{
    unsigned char *der = NULL;
    int len =
        selector ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der) : i2d_X509(certificate, &der);
    assert_true(len > 0);
    str copy = arena_str(arena, str_of((char *)der, (size_t)len));
    OPENSSL_free(der);
    return copy;
}

static struct tls_tlsa record_of(X509 *certificate, unsigned usage, unsigned selector, unsigned matching,
                                 struct arena *arena)
{
    str data = der_of(certificate, selector, arena);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    if (matching) {
        EVP_Digest(data.p, data.len, digest, &len, matching == 2 ? EVP_sha512() : EVP_sha256(), NULL);
        data = arena_str(arena, str_of((char *)digest, len));
    }
    return (struct tls_tlsa){ (uint8_t)usage, (uint8_t)selector, (uint8_t)matching, data };
}

static X509 *read_certificate(const struct certs *from, const char *file)
{
    char path[CERTS_PATH_MAX];
    certs_path(from, file, path);
    FILE *stream = fopen(path, "re");
    assert_non_null(stream);
    X509 *certificate = PEM_read_X509(stream, NULL, NULL, NULL);
    fclose(stream);
    assert_non_null(certificate);
    return certificate;
}

static void append(const struct certs *from, const char *file, X509 *certificate)
{
    char path[CERTS_PATH_MAX];
    certs_path(from, file, path);
    FILE *stream = fopen(path, "ae");
    assert_non_null(stream);
    assert_int_equal(PEM_write_X509(stream, certificate), 1);
    fclose(stream);
}

/* A handshake of an initiator that trusts the CA of `trusted` with the server; what it says of the records.
 */
static enum tls_dane expecting(const struct certs *trusted, struct tls_context *server,
                               const struct tls_tlsa *records, size_t count, const char **ret_fault)
{
    struct tls_context *initiator;
    struct pair pair;
    char ca[CERTS_PATH_MAX], why[256];
    certs_path(trusted, "ca.pem", ca);
    const struct tls_settings settings = { .ca = ca, .between_servers = true };
    assert_int_equal(tls_initiator_context(&settings, why, sizeof why, &initiator), OK);
    pair_open(&pair, initiator, "service.example", NULL, server, NULL);
    tls_layer_expect(pair.client, "service.example", records, count);
    shake(&pair);
    assert_true(pair.client->secured);
    enum tls_dane dane = tls_layer_dane(pair.client);
    *ret_fault = tls_layer_peer_fault(pair.client);
    pair_close(&pair);
    tls_context_unref(initiator);
    return dane;
}

static void what_dns_says_of_a_certificate(void **state)
{
    struct certs other;
    struct arena arena;
    const char *fault;
    (void)state;
    certs_open(&other);
    arena_init(&arena, 4096);
    certs_issue(&certs, "dane", "DNS:elsewhere.example", 5);
    X509 *ca = read_certificate(&certs, "ca.pem"), *leaf = read_certificate(&certs, "dane.pem");
    X509 *stranger = read_certificate(&other, "ca.pem");
    append(&certs, "dane.pem", ca); /* DANE-TA needs the CA to be sent (RFC 7671 §5.2.2) */
    struct tls_context *server = certs_server(&certs, "dane", false);
    const struct {
        X509 *of;
        unsigned usage, selector, matching;
        bool trusted;
        enum tls_dane dane;
    } table[] = {
        { leaf, 3, 1, 1, false, TLS_DANE_SERVER },    { leaf, 3, 0, 1, false, TLS_DANE_SERVER },
        { leaf, 3, 1, 2, false, TLS_DANE_SERVER },    { leaf, 3, 0, 0, false, TLS_DANE_SERVER },
        { leaf, 3, 1, 0, false, TLS_DANE_SERVER },    { ca, 3, 1, 1, true, TLS_DANE_FAILED },
        { ca, 2, 0, 1, false, TLS_DANE_CHAIN },       { ca, 2, 1, 2, false, TLS_DANE_CHAIN },
        { ca, 2, 0, 0, false, TLS_DANE_CHAIN },       { stranger, 2, 0, 1, true, TLS_DANE_FAILED },
        { leaf, 1, 1, 1, true, TLS_DANE_CHAIN },      { leaf, 1, 1, 1, false, TLS_DANE_FAILED },
        { ca, 0, 0, 1, true, TLS_DANE_CHAIN },        { ca, 0, 0, 1, false, TLS_DANE_FAILED },
        { stranger, 1, 1, 1, true, TLS_DANE_FAILED },
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct tls_tlsa record =
            record_of(table[i].of, table[i].usage, table[i].selector, table[i].matching, &arena);
        enum tls_dane dane = expecting(table[i].trusted ? &certs : &other, server, &record, 1, &fault);
        if (dane != table[i].dane || (fault != NULL) != (dane == TLS_DANE_FAILED))
            fail_msg("row %zu: %d, %s", i, (int)dane, fault ? fault : "no fault");
    }
    const struct tls_tlsa either[] = { record_of(stranger, 3, 1, 1, &arena),
                                       record_of(leaf, 3, 1, 1, &arena) };
    assert_int_equal(expecting(&other, server, either, 2, &fault), TLS_DANE_SERVER);
    tls_context_unref(server);
    X509_free(ca), X509_free(leaf), X509_free(stranger);
    arena_fini(&arena);
    certs_close(&other);
}

/* Records that nobody can use are as if they were not there (RFC 6698 §4.1): CAs count again. */
static void useless_records(void **state)
{
    const struct tls_tlsa useless[] = { { 9, 1, 1, STR_INIT("01234567890123456789012345678901") },
                                        { 3, 7, 1, STR_INIT("01234567890123456789012345678901") },
                                        { 3, 1, 9, STR_INIT("0123") },
                                        { 3, 1, 1, STR_INIT("too short") },
                                        { 3, 0, 0, STR_INIT("no certificate") } };
    struct certs other;
    const char *fault;
    (void)state;
    certs_open(&other);
    certs_issue(&certs, "plain", "DNS:service.example", 5);
    struct tls_context *server = certs_server(&certs, "plain", false);
    assert_int_equal(expecting(&certs, server, useless, COUNT_OF(useless), &fault), TLS_DANE_NONE);
    assert_null(fault);
    assert_int_equal(expecting(&other, server, useless, COUNT_OF(useless), &fault), TLS_DANE_NONE);
    assert_non_null(fault);
    tls_context_unref(server);
    certs_close(&other);
}

/* RFC 7671 §5.1: neither names nor times of the certificate count then. */
static void an_expired_certificate_that_dns_names(void **state)
{
    struct arena arena;
    const char *fault;
    (void)state;
    arena_init(&arena, 4096);
    certs_issue(&certs, "old", "DNS:service.example", -1);
    X509 *leaf = read_certificate(&certs, "old.pem");
    struct tls_context *server = certs_server(&certs, "old", false);
    struct tls_tlsa record = record_of(leaf, 3, 1, 1, &arena);
    assert_int_equal(expecting(&certs, server, NULL, 0, &fault), TLS_DANE_NONE);
    assert_string_equal(fault, "certificate has expired");
    assert_int_equal(expecting(&certs, server, &record, 1, &fault), TLS_DANE_SERVER);
    assert_null(fault);
    tls_context_unref(server);
    X509_free(leaf);
    arena_fini(&arena);
}

/* ---- Revocation, and what a certificate is made for */

/* What an initiator that trusts the CA of `trusted`, and knows this list (NULL: none), finds with the
 * certificate. */
static const char *found_with(const struct certs *trusted, const char *crl, const char *name)
{
    struct tls_context *initiator, *server = certs_server(&certs, name, false);
    struct pair pair;
    char ca[CERTS_PATH_MAX], list[CERTS_PATH_MAX], why[256];
    certs_path(trusted, "ca.pem", ca);
    certs_path(&certs, crl ? crl : "", list);
    const struct tls_settings settings = { .ca = ca, .crl = crl ? list : NULL, .between_servers = true };
    assert_int_equal(tls_initiator_context(&settings, why, sizeof why, &initiator), OK);
    pair_open(&pair, initiator, "service.example", NULL, server, NULL);
    shake(&pair);
    const char *fault = tls_layer_peer_fault(pair.client);
    pair_close(&pair);
    tls_context_unref(initiator);
    tls_context_unref(server);
    return fault ? fault : "nothing";
}

static void revoked_certificates(void **state)
{
    struct certs other;
    (void)state;
    certs_open(&other);
    certs_issue(&certs, "revoked", "DNS:service.example", 5);
    certs_issue(&certs, "good", "DNS:service.example", 5);
    certs_revoke(&certs, "revoked", "crl.pem", 3);
    certs_revoke(&certs, NULL, "old.pem", -1);
    certs_revoke(&other, NULL, "other.pem", 3);
    char from[CERTS_PATH_MAX], to[CERTS_PATH_MAX];
    certs_path(&other, "other.pem", from);
    certs_path(&certs, "other.pem", to);
    assert_int_equal(rename(from, to), 0);
    assert_string_equal(found_with(&certs, NULL, "revoked"), "nothing");
    assert_string_equal(found_with(&certs, "crl.pem", "revoked"), "certificate revoked");
    assert_string_equal(found_with(&certs, "crl.pem", "good"), "nothing");
    assert_string_equal(found_with(&certs, "old.pem", "good"), "CRL has expired");
    assert_string_equal(found_with(&certs, "other.pem", "good"), "nothing"); /* a CA without a list */
    /* that there is no list must not hide what else is wrong */
    assert_string_not_equal(found_with(&other, "crl.pem", "good"), "nothing");
    assert_string_not_equal(found_with(&other, "other.pem", "good"), "nothing");
    certs_issue(&certs, "late", "DNS:service.example", -1);
    assert_string_equal(found_with(&certs, "other.pem", "late"), "certificate has expired");
    certs_close(&other);
}

static void clients_with_revoked_certificates(void **state)
{
    char ca[CERTS_PATH_MAX], crl[CERTS_PATH_MAX], certificate[CERTS_PATH_MAX], key[CERTS_PATH_MAX], why[256];
    struct tls_context *server, *client = certs_client(&certs);
    struct pair pair;
    (void)state;
    certs_issue(&certs, "thief", "otherName:1.3.6.1.5.5.7.8.5;UTF8:romeo@one.example", 5);
    certs_revoke(&certs, "thief", "crl.pem", 3);
    certs_path(&certs, "ca.pem", ca);
    certs_path(&certs, "crl.pem", crl);
    certs_path(&certs, "one.pem", certificate);
    certs_path(&certs, "one.key", key);
    const struct tls_settings settings = {
        .certificate = certificate, .key = key, .ca = ca, .crl = crl, .request_client_certificate = true
    };
    assert_int_equal(tls_server_context(&settings, why, sizeof why, &server), OK);
    certs_path(&certs, "thief.pem", certificate);
    certs_path(&certs, "thief.key", key);
    assert_int_equal(SSL_CTX_use_certificate_chain_file(client->ssl, certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(client->ssl, key, SSL_FILETYPE_PEM), 1);
    pair_open(&pair, client, "one.example", NULL, server, NULL);
    shake(&pair);
    assert_string_equal(tls_layer_peer_fault(pair.server), "certificate revoked");
    pair_close(&pair);
    tls_context_unref(client);
    tls_context_unref(server);
}

/* RFC 6120 §13.7.1.1 */
static void certificates_for_something_else(void **state)
{
    (void)state;
    certs_issue_with(&certs, "ca-like", "DNS:service.example", 5, NID_basic_constraints, "critical,CA:TRUE");
    assert_string_equal(found_with(&certs, NULL, "ca-like"), "it is the certificate of a CA");
    certs_issue_with(&certs, "signer", "DNS:service.example", 5, NID_key_usage, "critical,cRLSign");
    assert_string_equal(found_with(&certs, NULL, "signer"), "its key is not made for this use");
    certs_issue_with(&certs, "usual", "DNS:service.example", 5, NID_key_usage, "critical,digitalSignature");
    assert_string_equal(found_with(&certs, NULL, "usual"), "nothing");
}

/* RFC 6120 §13.7.1.4: in whatever notation it was asked for, the address is the same in the certificate. */
static void notations_of_an_address(void **state)
{
    static const char *const notations[] = { "otherName:1.3.6.1.5.5.7.8.5;UTF8:x@one.example",
                                             "otherName:id-on-xmppAddr;UTF8:x@one.example" };
    char text[256];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(notations); i++) {
        certs_issue(&certs, "notation", notations[i], 5);
        assert_int_equal(addresses_of(&certs, "notation", text, sizeof text), 1);
        assert_string_equal(text, "x@one.example ");
    }
}

static void names_of_a_context(void **state)
{
    struct tls_context *context;
    struct arena arena;
    size_t count;
    (void)state;
    arena_init(&arena, 1024);
    certs_issue(&certs, "names", "DNS:one.example,otherName:1.3.6.1.5.5.7.8.7;IA5:_xmpp-client.one.example",
                5);
    context = certs_server(&certs, "names", false);
    const struct tls_name *names = tls_context_names(context, &arena, &count);
    assert_int_equal(count, 2);
    assert_int_equal(names[0].kind, TLS_NAME_DNS);
    assert_int_equal(names[1].kind, TLS_NAME_SRV);
    assert_true(str_is(names[1].text, "_xmpp-client.one.example"));
    tls_context_unref(context);
    arena_fini(&arena);
}

static int make_certificates(void **state)
{
    (void)state;
    certs_open(&certs);
    certs_issue(&certs, "one", "DNS:one.example", 3);
    certs_issue(&certs, "two", "DNS:two.example", 3);
    certs_issue(&certs, "romeo",
                "otherName:1.3.6.1.5.5.7.8.5;UTF8:romeo@montague.example,DNS:montague.example,"
                "otherName:1.3.6.1.5.5.7.8.5;UTF8:romeo@one.example,"
                "otherName:1.3.6.1.5.5.7.8.7;IA5STRING:_xmpp-client.one.example",
                3);
    server_context = certs_server(&certs, "one", false);
    client_context = certs_client(&certs);
    return 0;
}

static int drop_certificates(void **state)
{
    (void)state;
    tls_context_unref(server_context);
    tls_context_unref(client_context);
    certs_close(&certs);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_survive_any_cut),
        cmocka_unit_test(a_wire_that_nobody_empties_is_limited),
        cmocka_unit_test(noise_is_no_handshake),
        cmocka_unit_test(changed_bytes_are_noticed),
        cmocka_unit_test(clients_verify),
        cmocka_unit_test(literals_are_verified_as_addresses),
        cmocka_unit_test(old_versions_are_refused),
        cmocka_unit_test(who_negotiates_anew_is_left),
        cmocka_unit_test(ciphers_without_forward_secrecy_are_refused),
        cmocka_unit_test(alpn_is_chosen_or_refused),
        cmocka_unit_test(a_name_chooses_the_certificate),
        cmocka_unit_test(the_chosen_context_decides_about_client_certificates),
        cmocka_unit_test(tickets_resume_at_their_own_host_only),
        cmocka_unit_test(channel_bindings_agree),
        cmocka_unit_test(no_binding_without_extended_master_secret),
        cmocka_unit_test(client_addresses_need_a_good_certificate),
        cmocka_unit_test(what_dns_says_of_a_certificate),
        cmocka_unit_test(useless_records),
        cmocka_unit_test(an_expired_certificate_that_dns_names),
        cmocka_unit_test(revoked_certificates),
        cmocka_unit_test(clients_with_revoked_certificates),
        cmocka_unit_test(certificates_for_something_else),
        cmocka_unit_test(notations_of_an_address),
        cmocka_unit_test(names_of_a_context),
        cmocka_unit_test(bad_files_are_explained),
        cmocka_unit_test(connections_outlive_their_context),
    };
    return cmocka_run_group_tests(tests, make_certificates, drop_certificates);
}
