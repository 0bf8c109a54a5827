/* SPDX-License-Identifier: MIT */
/* The server's end of SASL: which step may follow which, for every mechanism, and the two mechanisms that
 * need no password (EXTERNAL, ANONYMOUS). All mechanisms here let the client speak first, so a start without
 * an initial response is answered with an empty challenge (RFC 4422 §3, RFC 6120 §6.4.2).
 *
 * A message out of turn fails the exchange; so does one longer than SASL_MESSAGE_MAX. Whatever the end, keys
 * and password are wiped here. Counting tries, delays and timeouts are the owner's. */
#include "xmpp/sasl.h"

#include "base/mem.h"
#include "xmpp/jid.h"
#include "xmpp/sasl_mechanisms.h"

static bool is_scram(const struct sasl_server *server)
{
    return server->mechanism <= SASL_SCRAM_SHA_1;
}

static enum sasl_status finish(struct sasl_server *server, enum sasl_status status)
{
    if (status == SASL_DONE || status == SASL_FAILED) {
        mem_wipe(&server->_keys, sizeof server->_keys);
        if (server->_password.p)
            mem_wipe((char *)server->_password.p, server->_password.len);
        server->_password = str_none;
        server->_state = SASL_STATE_ENDED;
    }
    return status;
}

enum sasl_status sasl_server_fail(struct sasl_server *server, enum sasl_failure failure)
{
    server->failure = failure;
    server->out = str_none;
    server->has_out = false;
    return SASL_FAILED;
}

bool sasl_server_may_act_as(struct sasl_server *server, str authzid)
{
    struct jid jid;
    return jid_parse(authzid, server->arena, &jid) == OK && jid_is_bare(&jid) &&
           str_eq(jid_local(&jid), server->authcid) && str_eq(jid_domain(&jid), server->host);
}

static enum sasl_status first(struct sasl_server *server, str message)
{
    switch (server->mechanism) {
    case SASL_PLAIN:
        return sasl_plain_first(server, message);
    case SASL_EXTERNAL:
        return sasl_external_first(server, message);
    case SASL_ANONYMOUS:
        return sasl_anonymous_first(server, message);
    case SASL_HT_SHA_256_EXPR:
    case SASL_HT_SHA_256_ENDP:
    case SASL_HT_SHA_256_UNIQ:
    case SASL_HT_SHA_256_NONE:
        return sasl_ht_first(server, message);
    default:
        return sasl_scram_first(server, message);
    }
}

enum sasl_status sasl_server_start(struct sasl_server *server, bool has_initial, str initial)
{
    server->_state = SASL_STATE_FIRST;
    server->_keys_known = server->_matched = false;
    server->_password = str_none;
    server->authcid = STR("");
    server->out = str_none;
    server->has_out = false;
    if (has_initial)
        return sasl_server_response(server, initial);
    server->out = STR("");
    server->has_out = true;
    return SASL_CHALLENGE;
}

enum sasl_status sasl_server_response(struct sasl_server *server, str response)
{
    uint8_t state = server->_state;
    server->out = str_none;
    server->has_out = false;
    if (response.len <= SASL_MESSAGE_MAX && state == SASL_STATE_FIRST)
        return finish(server, first(server, response));
    if (response.len <= SASL_MESSAGE_MAX && state == SASL_STATE_RESPONSE)
        return finish(server, sasl_scram_final(server, response));
    return finish(server, sasl_server_fail(server, SASL_MALFORMED_REQUEST));
}

enum sasl_status sasl_server_keys(struct sasl_server *server, const struct scram_keys *keys, bool known)
{
    if (server->_state != SASL_STATE_KEYS || sasl_is_token(server->mechanism))
        return finish(server, sasl_server_fail(server, SASL_MALFORMED_REQUEST));
    server->_keys = *keys;
    server->_keys_known = known;
    return finish(server, is_scram(server) ? sasl_scram_keys(server) : sasl_plain_keys(server));
}

enum sasl_status sasl_server_tokens(struct sasl_server *server, const str *tokens, size_t count,
                                    size_t *ret_index)
{
    if (server->_state != SASL_STATE_KEYS || !sasl_is_token(server->mechanism))
        return finish(server, sasl_server_fail(server, SASL_MALFORMED_REQUEST));
    return finish(server, sasl_ht_tokens(server, tokens, count, ret_index));
}

enum sasl_status sasl_server_worked(struct sasl_server *server)
{
    if (server->_state != SASL_STATE_WORK || !server->_matched)
        return finish(server, sasl_server_fail(server, SASL_NOT_AUTHORIZED));
    return finish(server, SASL_DONE);
}

/* ---- EXTERNAL (RFC 4422 appendix A, RFC 6120 §13.7.2, XEP-0178) ------------------------------------------
 */

static bool is_account(const struct sasl_server *server, str address, struct jid *ret)
{
    return jid_parse(address, server->arena, ret) == OK && jid_is_bare(ret) && ret->local_len &&
           str_eq(jid_domain(ret), server->host);
}

static enum sasl_status external_as(struct sasl_server *server, str authzid)
{
    struct jid wanted;
    if (!is_account(server, authzid, &wanted))
        return sasl_server_fail(server, SASL_INVALID_AUTHZID);
    for (size_t i = 0; i < server->certificate_address_count; i++) {
        if (!str_eq(server->certificate_addresses[i], wanted.full))
            continue;
        server->authcid = arena_str(server->arena, jid_local(&wanted));
        return SASL_DONE;
    }
    return sasl_server_fail(server, SASL_INVALID_AUTHZID);
}

enum sasl_status sasl_external_first(struct sasl_server *server, str authzid)
{
    struct jid jid;
    size_t count = 0;
    if (!server->certificate_address_count)
        return sasl_server_fail(server, SASL_NOT_AUTHORIZED);
    if (authzid.len)
        return external_as(server, authzid);
    str local = str_none;
    for (size_t i = 0; i < server->certificate_address_count; i++) {
        if (!is_account(server, server->certificate_addresses[i], &jid) || str_eq(jid_local(&jid), local))
            continue;
        local = jid_local(&jid);
        count++;
    }
    if (count != 1)
        return sasl_server_fail(server, count ? SASL_INVALID_AUTHZID : SASL_NOT_AUTHORIZED);
    server->authcid = arena_str(server->arena, local);
    return SASL_DONE;
}

/* ---- ANONYMOUS (RFC 4505, XEP-0175): the trace is not looked at ------------------------------------------
 */

enum sasl_status sasl_anonymous_first(struct sasl_server *server, str trace)
{
    (void)trace;
    server->authcid = STR("");
    return SASL_DONE;
}
