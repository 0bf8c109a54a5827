/* SPDX-License-Identifier: MIT */
/* Certificates for tests. Nothing secret and nothing that lasts: keys are made for one run and removed after
 * it, so that no test depends on a file that runs out one day. Any failure ends the process: a test can't do
 * without. */
#include "net/test_certs.h"

#include <dirent.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void must(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "test certificates: %s failed\n", what);
    abort();
}

void certs_path(const struct certs *certs, const char *name, char path[CERTS_PATH_MAX])
{
    snprintf(path, CERTS_PATH_MAX, "%s/%s", certs->folder, name);
}

static void add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    must(extension && X509_add_ext(certificate, extension, -1), value);
    X509_EXTENSION_free(extension);
}

static X509 *new_certificate(struct certs *certs, EVP_PKEY *key, const char *name, int days)
{
    X509 *certificate = X509_new();
    X509_NAME *subject = X509_get_subject_name(certificate);
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++certs->serial);
    X509_time_adj_ex(X509_getm_notBefore(certificate), -2, 0, NULL);
    X509_time_adj_ex(X509_getm_notAfter(certificate), days, 60, NULL);
    X509_set_pubkey(certificate, key);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(certificate, certs->ca ? X509_get_subject_name(certs->ca) : subject);
    return certificate;
}

static void save(const struct certs *certs, const char *name, const char *ending, X509 *certificate,
                 EVP_PKEY *key)
{
    char path[CERTS_PATH_MAX], file[64];
    snprintf(file, sizeof file, "%s%s", name, ending);
    certs_path(certs, file, path);
    FILE *stream = fopen(path, "we");
    must(stream, path);
    must(certificate ? PEM_write_X509(stream, certificate)
                     : PEM_write_PrivateKey(stream, key, NULL, NULL, 0, NULL, NULL),
         path);
    fclose(stream);
}

void certs_open(struct certs *certs)
{
    *certs = (struct certs){ .folder = "/tmp/certificates-XXXXXX" };
    must(mkdtemp(certs->folder), "mkdtemp");
    certs->ca_key = EVP_EC_gen("P-256");
    must(certs->ca_key, "making a key");
    /* each has a name of its own: a list of revoked certificates is found by it */
    X509 *ca = new_certificate(certs, certs->ca_key, certs->folder + strlen("/tmp/"), 10);
    add_extension(ca, ca, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(ca, ca, NID_key_usage, "critical,keyCertSign,cRLSign");
    must(X509_sign(ca, certs->ca_key, EVP_sha256()), "signing");
    certs->ca = ca;
    save(certs, "ca", ".pem", ca, NULL);
}

void certs_close(struct certs *certs)
{
    DIR *folder = opendir(certs->folder);
    for (struct dirent *entry; folder && (entry = readdir(folder));)
        if (entry->d_name[0] != '.')
            unlinkat(dirfd(folder), entry->d_name, 0);
    if (folder)
        closedir(folder);
    rmdir(certs->folder);
    X509_free(certs->ca);
    EVP_PKEY_free(certs->ca_key);
}

void certs_issue(struct certs *certs, const char *name, const char *alternative_names, int days)
{
    certs_issue_with(certs, name, alternative_names, days, NID_undef, NULL);
}

static void add_revoked(const struct certs *certs, X509_CRL *crl, const char *name)
{
    char path[CERTS_PATH_MAX], file[64];
    snprintf(file, sizeof file, "%s.pem", name);
    certs_path(certs, file, path);
    FILE *stream = fopen(path, "re");
    X509 *certificate = stream ? PEM_read_X509(stream, NULL, NULL, NULL) : NULL;
    must(certificate, path);
    fclose(stream);
    X509_REVOKED *revoked = X509_REVOKED_new();
    X509_REVOKED_set_serialNumber(revoked, X509_get_serialNumber(certificate));
    X509_REVOKED_set_revocationDate(revoked, (ASN1_TIME *)X509_get0_notBefore(certificate));
    must(X509_CRL_add0_revoked(crl, revoked), "revoking");
    X509_free(certificate);
}

void certs_revoke(const struct certs *certs, const char *name, const char *file, int days)
{
    char path[CERTS_PATH_MAX];
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *now = X509_time_adj_ex(NULL, -2, 0, NULL), *end = X509_time_adj_ex(NULL, days, 60, NULL);
    X509_CRL_set_version(crl, X509_CRL_VERSION_2);
    X509_CRL_set_issuer_name(crl, X509_get_subject_name(certs->ca));
    X509_CRL_set1_lastUpdate(crl, now);
    X509_CRL_set1_nextUpdate(crl, end);
    if (name)
        add_revoked(certs, crl, name);
    X509_CRL_sort(crl);
    must(X509_CRL_sign(crl, certs->ca_key, EVP_sha256()), "signing");
    certs_path(certs, file, path);
    FILE *stream = fopen(path, "we");
    must(stream && PEM_write_X509_CRL(stream, crl), path);
    fclose(stream);
    ASN1_TIME_free(now), ASN1_TIME_free(end);
    X509_CRL_free(crl);
}

void certs_issue_with(struct certs *certs, const char *name, const char *alternative_names, int days, int nid,
                      const char *value)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    must(key, "making a key");
    X509 *certificate = new_certificate(certs, key, name, days);
    if (alternative_names)
        add_extension(certificate, certs->ca, NID_subject_alt_name, alternative_names);
    if (value)
        add_extension(certificate, certs->ca, nid, value);
    must(X509_sign(certificate, certs->ca_key, EVP_sha256()), "signing");
    save(certs, name, ".pem", certificate, NULL);
    save(certs, name, ".key", NULL, key);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

struct tls_context *certs_server(const struct certs *certs, const char *name, bool ask)
{
    char certificate[CERTS_PATH_MAX], key[CERTS_PATH_MAX], ca[CERTS_PATH_MAX], file[64], why[256];
    struct tls_context *context;
    snprintf(file, sizeof file, "%s.pem", name);
    certs_path(certs, file, certificate);
    snprintf(file, sizeof file, "%s.key", name);
    certs_path(certs, file, key);
    certs_path(certs, "ca.pem", ca);
    struct tls_settings settings = {
        .certificate = certificate, .key = key, .ca = ask ? ca : NULL, .request_client_certificate = ask
    };
    enum err err = tls_server_context(&settings, why, sizeof why, &context);
    must(!err, err ? why : "");
    return context;
}

struct tls_context *certs_client(const struct certs *certs)
{
    char ca[CERTS_PATH_MAX], why[256];
    struct tls_context *context;
    certs_path(certs, "ca.pem", ca);
    enum err err = tls_client_context(ca, true, why, sizeof why, &context);
    must(!err, err ? why : "");
    return context;
}
