/* SPDX-License-Identifier: MIT */
/* Hashed tokens (draft-schmaus-kitten-sasl-ht-09: HT-SHA-256-NONE, -UNIQ, -ENDP, -EXPR), for both ends. The
 * client's one message is its name, a NUL, and HMAC(token, "Initiator" and the channel binding's data); the
 * server proves that it knows the token with HMAC(token, "Responder" and the same data).
 *
 * There is no challenge, so without channel binding who has seen one message can send it again: the
 * mechanisms are for tokens that a client got over TLS, and the owner judges what a token is good for
 * (XEP-0484). Not here: which tokens there are, their ends and counters. */
#include "xmpp/sasl_mechanisms.h"

#include "base/mem.h"
#include "xmpp/jid.h"

enum { MAC_SIZE = 32 };

str sasl_ht_binding(enum sasl_mechanism mechanism)
{
    switch (mechanism) {
    case SASL_HT_SHA_256_EXPR:
        return STR("tls-exporter");
    case SASL_HT_SHA_256_ENDP:
        return STR("tls-server-end-point");
    case SASL_HT_SHA_256_UNIQ:
        return STR("tls-unique");
    default:
        return STR("");
    }
}

static void mac(str token, const char *role, str binding, struct arena *arena, unsigned char *ret)
{
    size_t role_len = strlen(role);
    char *text = arena_alloc(arena, role_len + binding.len + 1);
    memcpy(text, role, role_len);
    if (binding.len)
        memcpy(text + role_len, binding.p, binding.len);
    digest_hmac(DIGEST_SHA256, token, str_of(text, role_len + binding.len), ret);
}

enum sasl_status sasl_ht_first(struct sasl_server *server, str message)
{
    str proof = message, type = sasl_ht_binding(server->mechanism);
    str authcid = str_cut(&proof, '\0');
    if (!authcid.len || proof.len != MAC_SIZE)
        return sasl_server_fail(server, SASL_MALFORMED_REQUEST);
    if (jid_prepare_local(authcid, server->arena, &server->authcid) != OK) {
        server->authcid = STR("");
        return sasl_server_fail(server, SASL_NOT_AUTHORIZED);
    }
    server->authcid = arena_str(server->arena, server->authcid);
    server->_gs2 = type.len ? server->binding(server, type) : STR("");
    if (type.len && !server->_gs2.len)
        return sasl_server_fail(server, SASL_NOT_AUTHORIZED);
    server->_first_bare = arena_str(server->arena, proof);
    server->_state = SASL_STATE_KEYS;
    return SASL_WANT_TOKENS;
}

enum sasl_status sasl_ht_tokens(struct sasl_server *server, const str *tokens, size_t count,
                                size_t *ret_index)
{
    unsigned char wanted[MAC_SIZE], answer[MAC_SIZE];
    bool found = false;
    for (size_t i = 0; i < count; i++) {
        mac(tokens[i], "Initiator", server->_gs2, server->arena, wanted);
        bool same = mem_equal_secret(wanted, server->_first_bare.p, MAC_SIZE);
        mac(tokens[i], "Responder", server->_gs2, server->arena, wanted);
        if (!same || found)
            continue;
        found = true;
        *ret_index = i;
        memcpy(answer, wanted, MAC_SIZE);
    }
    mem_wipe(wanted, sizeof wanted);
    if (!found)
        return sasl_server_fail(server, SASL_NOT_AUTHORIZED);
    server->out = arena_str(server->arena, str_of((const char *)answer, MAC_SIZE));
    server->has_out = true;
    return SASL_DONE;
}

/* ---- The client's end
 * ------------------------------------------------------------------------------------------- */

bool sasl_ht_client_start(struct sasl_client *client)
{
    str data = sasl_ht_binding(client->mechanism).len ? client->binding : STR("");
    size_t name = client->user.len;
    if (!name || !client->password.len || memchr(client->user.p, '\0', name) ||
        (sasl_ht_binding(client->mechanism).len && !data.len))
        return false;
    char *out = arena_alloc(client->arena, name + 1 + MAC_SIZE);
    memcpy(out, client->user.p, name);
    out[name] = '\0';
    mac(client->password, "Initiator", data, client->arena, (unsigned char *)out + name + 1);
    mac(client->password, "Responder", data, client->arena, client->_server_signature);
    client->out = str_of(out, name + 1 + MAC_SIZE);
    return true;
}

bool sasl_ht_client_proved(const struct sasl_client *client, str data)
{
    return data.len == MAC_SIZE && mem_equal_secret(data.p, client->_server_signature, MAC_SIZE);
}
