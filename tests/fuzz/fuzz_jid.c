/* SPDX-License-Identifier: MIT */
/* Any bytes as an address: what is accepted is within limits and comes out of a second reading unchanged. */
#include "base/utf8.h"
#include "xmpp/jid.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct jid once, twice;
    str password;
    arena_init(&arena, 4096);
    if (jid_parse(str_of((const char *)data, size), &arena, &once) == OK) {
        must(utf8_valid(once.full) && once.full.len <= JID_MAX && once.domain_len > 0);
        must(jid_local(&once).len <= JID_PART_MAX && jid_resource(&once).len <= JID_PART_MAX);
        must(jid_parse(once.full, &arena, &twice) == OK && jid_eq(&once, &twice));
        must(once.local_len == twice.local_len && once.domain_len == twice.domain_len);
    }
    if (jid_prepare_password(str_of((const char *)data, size), &arena, &password) == OK) {
        str again;
        must(jid_prepare_password(password, &arena, &again) == OK && str_eq(password, again));
    }
    arena_fini(&arena);
    return 0;
}
