/* SPDX-License-Identifier: MIT */
/* Any bytes of a SOCKS5 client, in pieces whose lengths the first bytes say: it must not matter how they
 * come, and what is taken for a request must be one, read from its end. */
#include "xmpp/socks5.h"

#include <stdlib.h>

enum { PIECES = 4, OUT_MAX = 64, REQUEST_LEN = 5 + SOCKS5_NAME_LEN + 2 };

struct result {
    struct socks5 socks5;
    enum socks5_state state;
    size_t taken;
    struct buf out;
};

static void feed(struct result *result, const str *pieces, size_t count)
{
    *result = (struct result){ .state = SOCKS5_TALKING };
    buf_init(&result->out, OUT_MAX);
    for (size_t i = 0; i < count && result->state == SOCKS5_TALKING; i++) {
        str piece = pieces[i];
        result->state = socks5_read(&result->socks5, &piece, &result->out);
        result->taken += pieces[i].len - piece.len;
    }
    if (buf_failed(&result->out))
        abort();
}

static void check_request(const struct result *result, str input)
{
    if (result->taken < REQUEST_LEN)
        abort();
    str request = str_sub(input, result->taken - REQUEST_LEN, result->taken);
    str name = str_sub(request, 5, 5 + SOCKS5_NAME_LEN);
    if (!str_starts(request, STR("\5\1\0\3\50")) || !str_ends(request, str_of("\0", 2)) ||
        !str_eq(name, str_of(result->socks5.name, SOCKS5_NAME_LEN)) ||
        !str_eq(buf_str(&result->out), str_of("\5\0", 2)))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct result whole, parts;
    str pieces[PIECES], input;
    if (size < PIECES - 1)
        return 0;
    input = str_of((const char *)data + PIECES - 1, size - (PIECES - 1));
    str rest = input;
    for (size_t i = 0; i < PIECES; i++) {
        pieces[i] = i == PIECES - 1 ? rest : str_sub(rest, 0, data[i]);
        rest = str_sub(rest, pieces[i].len, rest.len);
    }
    feed(&whole, &input, 1);
    feed(&parts, pieces, PIECES);
    if (whole.state != parts.state || whole.taken != parts.taken ||
        !str_eq(buf_str(&whole.out), buf_str(&parts.out)))
        abort();
    if (whole.state == SOCKS5_ASKED)
        check_request(&whole, input);
    buf_fini(&whole.out);
    buf_fini(&parts.out);
    return 0;
}
