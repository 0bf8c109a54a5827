/* SPDX-License-Identifier: MIT */
/* Logging in with a token (XEP-0484): reads the client's tokens with the account's keys and lets the exchange
 * judge the proof. There are always two tokens to compare with, made up where the client has none, so that
 * an account, a client or a token that does not exist looks like a wrong proof.
 *
 * What was proved here is looked at once more at the user's home before it changes anything
 * (c2s_sasl2_home.c): two logins may come at once on two shards. */
#include "server/c2s/c2s_auth.h"

#include "base/log.h"
#include "base/rand.h"

#include <stdlib.h>

struct fast_rules c2s_fast_rules(const struct c2s *c2s)
{
    const struct config_c2s *config = &c2s_config(c2s)->c2s;
    struct fast_rules rules = { .now_s = loop_wall_ms(c2s->link.shard->loop) / 1000,
                                .lifetime_s = (int64_t)(config->token_lifetime_ms / 1000),
                                .renewal_s = (int64_t)(config->token_renewal_ms / 1000) };
    rand_token(rules.salt, sizeof rules.salt);
    return rules;
}

size_t c2s_fast_offer(struct c2s *c2s, const char **names)
{
    const char *types[3];
    size_t count = 0;
    if (!c2s_config(c2s)->c2s.token_lifetime_ms)
        return 0;
    size_t type_count = c2s_binding_types(c2s, types);
    for (size_t i = 0; i < type_count; i++)
        for (enum sasl_mechanism mechanism = SASL_HT_SHA_256_EXPR; mechanism < SASL_HT_SHA_256_NONE;
             mechanism++)
            if (str_eq(sasl_ht_binding(mechanism), str_from(types[i])))
                names[count++] = sasl_mechanism_name(mechanism);
    names[count++] = sasl_mechanism_name(SASL_HT_SHA_256_NONE);
    return count;
}

void c2s_note_account(struct sasl2 *request, str row)
{
    request->has_account = scram_keys_read(row, &request->keys);
    request->account = arena_str(&request->arena, row);
    fast_seal(&request->keys, request->seal);
}

void c2s_token_text(const struct server *server, const struct jid *bare, const struct sasl2 *request,
                    const struct fast_token *token, char *ret)
{
    struct fast_origin origin = { .secret = str_of((const char *)server->token_key, sizeof server->token_key),
                                  .bare = bare->full,
                                  .client = str_from(request->fast.client),
                                  .seal = request->seal };
    fast_text(&origin, token, ret);
}

/* ---- Judging a proof
 * ---------------------------------------------------------------------------------------------- */

static struct jid account_of(const struct c2s *c2s)
{
    struct c2s_login *login = c2s->login;
    return jid_make(login->sasl.authcid, str_from(c2s->host->name), str_of("", 0), &login->arena);
}

static void take_rows(struct c2s *c2s, const struct store_read *read)
{
    struct sasl2 *request = c2s->sasl2;
    struct fast_client *tokens = &c2s->login->tokens;
    for (size_t i = 0; i < read->count; i++) {
        const struct store_row *row = &read->rows[i];
        if (str_is(row->kind, "account") && !row->key.len)
            c2s_note_account(request, row->value);
        else if (str_is(row->kind, "fast") && str_eq(row->key, str_from(request->fast.client)) &&
                 !fast_read(row->value, tokens))
            *tokens = (struct fast_client){ 0 };
    }
    if (!request->has_account)
        *tokens = (struct fast_client){ 0 };
}

/* XEP-0484 §4.2.2: what is not trusted any more has expired, for who can prove that it had it. */
static void judge(struct c2s *c2s)
{
    struct c2s_login *login = c2s->login;
    struct sasl2 *request = c2s->sasl2;
    struct jid jid = account_of(c2s);
    struct fast_rules rules = c2s_fast_rules(c2s);
    struct fast_token *tokens[2] = { &login->tokens.fresh, &login->tokens.current };
    char texts[2][FAST_TOKEN_SIZE];
    str candidates[2];
    size_t which = 0;
    for (size_t i = 0; i < 2; i++) {
        c2s_token_text(c2s->link.shard->server, &jid, request, tokens[i], texts[i]);
        candidates[i] = str_from(texts[i]);
    }
    enum sasl_status status = sasl_server_tokens(&login->sasl, candidates, 2, &which);
    mem_wipe(texts, sizeof texts);
    enum err verdict = status == SASL_DONE
                           ? fast_judge(tokens[which], login->sasl.mechanism, &request->fast, rules.now_s)
                           : ERR_PERMISSION;
    if (verdict != OK) {
        c2s_auth_failed(c2s, verdict == ERR_TIMEOUT ? SASL_CREDENTIALS_EXPIRED : SASL_NOT_AUTHORIZED);
        return;
    }
    memcpy(request->fast.salt, tokens[which]->salt, sizeof request->fast.salt);
    request->must_settle |= fast_is_change(&request->fast, &login->tokens, &rules);
    c2s_auth_advance(c2s, status);
}

static void rows_read(struct store_read *read)
{
    struct c2s_login *login = CONTAINER_OF(read, struct c2s_login, read);
    struct c2s *c2s = login->c2s;
    shard_commit_ended(login->shard);
    login->away = false;
    if (!c2s) {
        store_read_fini(read);
        c2s_login_free(login);
        return;
    }
    struct shard *shard = c2s->link.shard;
    shard_enter(shard);
    if (read->err == OK)
        take_rows(c2s, read);
    bool broken = read->err != OK;
    store_read_fini(read);
    if (broken)
        c2s_auth_failed(c2s, SASL_TEMPORARY_AUTH_FAILURE);
    else
        judge(c2s);
    c2s_go_on(c2s);
    shard_leave(shard);
}

void c2s_want_tokens(struct c2s *c2s)
{
    struct c2s_login *login = c2s->login;
    struct shard *shard = c2s->link.shard;
    struct jid jid = account_of(c2s);
    login->guessed = true;
    login->away = c2s->busy = true;
    shard_commit_began(shard);
    login->read = (struct store_read){ .done = rows_read };
    store_get_all(shard->server->store, shard->loop, jid.full, STR("account,fast"), &login->read);
}
