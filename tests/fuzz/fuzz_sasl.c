/* SPDX-License-Identifier: MIT */
/* Any bytes as the messages of an exchange. The first byte chooses mechanism and end; lines are messages.
 * Nobody may log in: no password is known to the input. */
#include "xmpp/sasl.h"

#include "base/mem.h"
#include "xmpp/scram.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static str binding(struct sasl_server *server, str type)
{
    (void)server;
    return str_is(type, "tls-exporter") ? STR("data") : str_none;
}

static void serve(enum sasl_mechanism mechanism, bool plus, str input, struct arena *arena)
{
    str addresses[] = { STR("alice@example.com"), STR("bob@elsewhere.example") };
    struct sasl_server server = {
        .mechanism = mechanism,
        .certificate_addresses = addresses,
        .certificate_address_count = COUNT_OF(addresses),
        .host = STR("example.com"),
        .nonce = STR("0123456789abcdefgh"),
        .plus_offered = plus,
        .offered_mechanisms = STR("PLAIN"),
        .binding = binding,
        .arena = arena,
    };
    enum sasl_status status = sasl_server_start(&server, true, str_cut(&input, '\n'));
    for (int round = 0; round < 4 && status != SASL_FAILED && status != SASL_DONE; round++) {
        struct scram_keys keys;
        if (status == SASL_WANT_KEYS) {
            scram_keys_fake(STR("secret"), server.authcid, 1, &keys);
            status = sasl_server_keys(&server, &keys, true);
        } else if (status == SASL_WANT_TOKENS) {
            size_t which;
            status = sasl_server_tokens(&server, &(str)STR_INIT("a token that nobody has"), 1, &which);
        } else if (status == SASL_WANT_WORK) {
            sasl_server_work(&server);
            status = sasl_server_worked(&server);
        } else {
            status = sasl_server_response(&server, str_cut(&input, '\n'));
        }
    }
    bool needs_nothing = mechanism == SASL_ANONYMOUS;
    bool is_owner = mechanism == SASL_EXTERNAL && str_is(server.authcid, "alice");
    if (status == SASL_DONE && !needs_nothing && !is_owner)
        abort();
}

static void answer(enum sasl_mechanism mechanism, str input, struct arena *arena)
{
    bool is_scram = mechanism <= SASL_SCRAM_SHA_1, is_token = sasl_is_token(mechanism);
    struct scram_client_cache cache = { .iterations = 4096, .salt_len = 1, .salt = "a" };
    if (is_scram)
        cache.digest = scram_digest(mechanism);
    struct sasl_client client = {
        .mechanism = mechanism,
        .user = STR("alice"),
        .password = is_token ? STR("a token") : str_none,
        .nonce = STR("abc"),
        .binding_type = STR("tls-exporter"),
        .binding = STR("data"),
        .offered_mechanisms = STR("PLAIN"),
        .cache = &cache, /* and no other password: so nothing slow is done */
        .arena = arena,
    };
    enum sasl_status status = sasl_client_start(&client);
    while (status == SASL_CHALLENGE && input.p && str_find(input, '\n') < input.len)
        status = sasl_client_challenge(&client, str_cut(&input, '\n'));
    if (status == SASL_CHALLENGE && (is_scram || is_token) &&
        sasl_client_success(&client, input.p != NULL, input) == SASL_DONE)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct scram_keys keys;
    if (!size)
        return 0;
    str input = str_of((const char *)data + 1, size - 1);
    enum sasl_mechanism mechanism = (enum sasl_mechanism)((data[0] & 15) % SASL_MECHANISM_COUNT);
    arena_init(&arena, 4096);
    if (data[0] & 64)
        answer(mechanism, input, &arena);
    else
        serve(mechanism, data[0] & 32, input, &arena);
    if (scram_keys_read(input, &keys) && !scram_keys_read(scram_keys_write(&keys, &arena), &keys))
        abort();
    arena_fini(&arena);
    return 0;
}
