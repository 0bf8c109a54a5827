/* SPDX-License-Identifier: MIT */
/* Whether a certificate is one of a domain: RFC 6120 §13.7.1.2 and RFC 9525. Taken are, in subjectAltName, a
 * dNSName (also with a wildcard as its whole left-most label, for one label), an SRVName of the service
 * xmpp-server, and an xmppAddr. The common name is not looked at (RFC 9525 §2). Whether the chain is trusted
 * says OpenSSL; with DANE it is trusted as DNS says, and the name of the server that DNSSEC vouches for is as
 * good as the domain's (RFC 7673 §4.2). A certificate that is not good by these rules is when the domain's
 * web server says so (posh.h). */
#include "server/s2s/s2s.h"

static bool dns_covers(str name, str domain, struct arena *arena)
{
    str ascii;
    if (jid_domain_to_ascii(domain, arena, &ascii) != OK)
        return false;
    if (str_eq_nocase(name, ascii))
        return true;
    size_t dot = str_find(ascii, '.');
    str rest = str_sub(ascii, dot, ascii.len); /* from the first dot on */
    bool many_labels = rest.len > 1 && memchr(rest.p + 1, '.', rest.len - 1);
    return str_starts(name, STR("*.")) && many_labels && dot > 0 &&
           str_eq_nocase(str_sub(name, 1, name.len), rest);
}

bool s2s_name_covers(const struct tls_name *name, str domain, struct arena *arena)
{
    return s2s_name_covers_service(name, STR("_xmpp-server."), domain, arena);
}

bool s2s_name_covers_service(const struct tls_name *name, str service, str domain, struct arena *arena)
{
    struct jid jid;
    switch (name->kind) {
    case TLS_NAME_DNS:
        return dns_covers(name->text, domain, arena);
    case TLS_NAME_SRV:
        return str_eq_nocase(str_sub(name->text, 0, service.len), service) &&
               name->text.len > service.len + 2 && name->text.p[service.len] != '*' &&
               dns_covers(str_sub(name->text, service.len, name->text.len), domain, arena);
    case TLS_NAME_XMPP:
        return jid_parse(name->text, arena, &jid) == OK && str_eq(jid.full, domain);
    }
    return false;
}

bool s2s_conn_is_certified(struct conn *conn, str domain, const char *target, struct arena *arena,
                           const char **ret_why)
{
    enum tls_dane dane = conn_peer_dane(conn);
    size_t count;
    *ret_why = conn_peer_fault(conn);
    if (*ret_why)
        return false;
    if (dane == TLS_DANE_SERVER)
        return true;
    struct tls_name *names = conn_peer_names(conn, arena, &count);
    for (size_t i = 0; i < count; i++)
        if (s2s_name_covers(&names[i], domain, arena) ||
            (dane == TLS_DANE_CHAIN && target && names[i].kind == TLS_NAME_DNS &&
             s2s_name_covers(&names[i], str_from(target), arena)))
            return true;
    *ret_why = "it is the certificate of another domain";
    return false;
}

bool s2s_is_certified(struct s2s *s2s, str domain, const char **ret_why)
{
    struct shard *shard = s2s->link.shard;
    return s2s_conn_is_certified(&s2s->conn, domain, s2s->target, &shard->arena, ret_why) ||
           (conn_peer_dane(&s2s->conn) != TLS_DANE_FAILED &&
            posh_vouches(shard, &s2s->conn, domain, &shard->arena));
}

/* The web server of a domain can't overrule what DNSSEC says of it. */
bool s2s_must_ask(struct s2s *s2s, str domain)
{
    struct shard *shard = s2s->link.shard;
    const char *why;
    if (!shard->posh || !conn_peer_der(&s2s->conn, &shard->arena).p ||
        conn_peer_dane(&s2s->conn) == TLS_DANE_FAILED || s2s_is_ours(shard->server, domain) ||
        s2s_policy_for(s2s_config(s2s), domain).refused || s2s_is_certified(s2s, domain, &why))
        return false;
    s2s->asks_posh = posh_ask(shard, domain, &s2s->posh);
    return s2s->asks_posh;
}
