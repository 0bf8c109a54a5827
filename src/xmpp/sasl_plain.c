/* SPDX-License-Identifier: MIT */
/* PLAIN (RFC 4616), the server's end. Only salted keys are stored, so the password is hashed with the salt
 * and iterations of the account's strongest key and compared: the same work for a name that nobody has. The
 * hash takes milliseconds, so it is a step of its own (sasl_server_work) for another thread.
 *
 * The message is three parts with exactly two NULs. The password is kept in a copy that is wiped as soon as
 * it was hashed; the message itself lies in memory of the owner, who wipes that. */
#include "xmpp/sasl_mechanisms.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "xmpp/jid.h"
#include "xmpp/scram.h"

enum sasl_status sasl_plain_first(struct sasl_server *server, str message)
{
    str rest = message;
    str authzid = str_cut(&rest, '\0');
    str authcid = str_cut(&rest, '\0');
    str password = rest;
    if (!authcid.len || !password.len || memchr(password.p, '\0', password.len) || !utf8_valid(message))
        return sasl_server_fail(server, SASL_MALFORMED_REQUEST);
    str prepared;
    if (jid_prepare_local(authcid, server->arena, &server->authcid) != OK ||
        jid_prepare_password(password, server->arena, &prepared) != OK) {
        server->authcid = STR("");
        return sasl_server_fail(server, SASL_NOT_AUTHORIZED);
    }
    server->authcid = arena_str(server->arena, server->authcid);
    server->_password = prepared.p == password.p ? arena_str(server->arena, prepared) : prepared;
    if (authzid.len && !sasl_server_may_act_as(server, authzid))
        return sasl_server_fail(server, SASL_INVALID_AUTHZID);
    server->_state = SASL_STATE_KEYS;
    return SASL_WANT_KEYS;
}

static int strongest(const struct scram_keys *keys)
{
    for (int digest = DIGEST_SHA512; digest >= DIGEST_SHA1; digest--)
        if (keys->key[digest].iterations)
            return digest;
    return -1;
}

enum sasl_status sasl_plain_keys(struct sasl_server *server)
{
    if (strongest(&server->_keys) < 0)
        return sasl_server_fail(server, SASL_NOT_AUTHORIZED);
    server->_state = SASL_STATE_WORK;
    return SASL_WANT_WORK;
}

void sasl_server_work(struct sasl_server *server)
{
    int digest = strongest(&server->_keys);
    if (server->_state != SASL_STATE_WORK || digest < 0 || !server->_password.len)
        return;
    const struct scram_key *key = &server->_keys.key[digest];
    unsigned char salted[DIGEST_MAX_SIZE], stored_key[DIGEST_MAX_SIZE], server_key[DIGEST_MAX_SIZE];
    digest_pbkdf2((enum digest)digest, server->_password, str_of((const char *)key->salt, key->salt_len),
                  key->iterations, salted);
    scram_derive((enum digest)digest, salted, stored_key, server_key);
    bool equal = mem_equal_secret(stored_key, key->stored_key, digest_size((enum digest)digest));
    server->_matched = equal & server->_keys_known;
    mem_wipe((char *)server->_password.p, server->_password.len);
    server->_password = str_none;
    mem_wipe(salted, sizeof salted);
    mem_wipe(stored_key, sizeof stored_key);
    mem_wipe(server_key, sizeof server_key);
}
