/* SPDX-License-Identifier: MIT */
/* Any bytes as the subjectAltName of a certificate: what is read from it is text, of bounded number and
 * length, and speaks for a domain only if it is that domain's name by the rules of RFC 6120 §13.7.1.2. */
#include "net/tls_layer.h"
#include "server/s2s/s2s.h"

#include "base/utf8.h"

#include <openssl/x509v3.h>
#include <stdlib.h>

enum { NAMES_MAX = 256, LENGTH_MAX = 3071 };

static const str domain = STR_INIT("im.example.net");

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_dns_name(str text)
{
    return str_eq_nocase(text, domain) || str_eq_nocase(text, STR("*.example.net"));
}

static bool may_cover(const struct tls_name *name)
{
    switch (name->kind) {
    case TLS_NAME_DNS:
        return is_dns_name(name->text);
    case TLS_NAME_SRV:
        return str_eq_nocase(name->text, STR("_xmpp-server.im.example.net"));
    case TLS_NAME_XMPP: /* in any spelling */
        return !memchr(name->text.p, '@', name->text.len) && !memchr(name->text.p, '/', name->text.len);
    }
    return false;
}

static void check_name(const struct tls_name *name, struct arena *arena)
{
    bool covers = s2s_name_covers(name, domain, arena);
    if (!name->text.len || name->text.len > LENGTH_MAX || !utf8_valid(name->text) ||
        memchr(name->text.p, 0, name->text.len))
        abort();
    if (covers && !may_cover(name))
        abort();
    if (name->kind == TLS_NAME_DNS && is_dns_name(name->text) && !covers)
        abort();
}

static X509 *certificate_with(const uint8_t *names, size_t size)
{
    X509 *certificate = X509_new();
    ASN1_OCTET_STRING *bytes = ASN1_OCTET_STRING_new();
    ASN1_OCTET_STRING_set(bytes, names, (int)size);
    X509_EXTENSION *extension = X509_EXTENSION_create_by_NID(NULL, NID_subject_alt_name, 0, bytes);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
    ASN1_OCTET_STRING_free(bytes);
    return certificate;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    X509 *certificate = certificate_with(data, size);
    struct arena arena;
    size_t count;
    arena_init(&arena, 16 * 1024);
    struct tls_name *names = tls_names_of(certificate, &arena, &count);
    if (count > NAMES_MAX)
        abort();
    for (size_t i = 0; i < count; i++)
        check_name(&names[i], &arena);
    arena_fini(&arena);
    X509_free(certificate);
    return 0;
}
