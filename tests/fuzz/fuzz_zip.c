/* SPDX-License-Identifier: MIT */
/* Compression from both ends. What the first bytes say: the settings, what is done, and where it is cut.
 * Inflating any bytes makes progress in each step or ends, gives no more than a step may, nor in all more
 * than the settings pay for, stays at its first error, and does not care how the bytes come in. What was
 * deflated comes out again as it was; damaged on the way it is as good as any other bytes. */
#include "net/zip_layer.h"

#include <stdlib.h>

enum { PIECES = 4, HEAD = 3 + PIECES, OUT_MAX = 8 << 20, FLUSHES = 1, INFLATES = 2, DAMAGES = 4 };

struct result {
    enum err err;
    struct buf plain;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct zip_settings settings_of(uint8_t byte)
{
    return (struct zip_settings){ .level = (uint8_t)(1 + byte % 9),
                                  .window_bits = (uint8_t)(9 + byte % 7),
                                  .memory_level = (uint8_t)(1 + byte / 9 % 9),
                                  .ratio = 50,
                                  .burst = 65536 };
}

static void cut(str whole, const uint8_t *lengths, str pieces[PIECES])
{
    for (size_t i = 0; i < PIECES; i++) {
        pieces[i] = i == PIECES - 1 ? whole : str_sub(whole, 0, lengths[i]);
        whole = str_sub(whole, pieces[i].len, whole.len);
    }
}

static enum err read_piece(struct zip_layer *layer, str piece, struct buf *plain)
{
    char room[ZIP_STEP];
    enum err err = OK;
    while (!err && (piece.len || layer->more)) {
        size_t len, before = piece.len;
        err = zip_layer_read(layer, &piece, room, &len);
        if (len > ZIP_STEP || (!err && before == piece.len && !len && (piece.len || layer->more)))
            abort();
        buf_add(plain, str_of(room, len));
    }
    return err;
}

static void check_end(struct zip_layer *layer, enum err err)
{
    char room[ZIP_STEP];
    str more = STR("more");
    size_t len;
    if (err && (layer->more || zip_layer_read(layer, &more, room, &len) != err || len || more.len != 4))
        abort();
}

static struct result inflated(const struct zip_settings *settings, const str *pieces, size_t count)
{
    struct zip_layer *layer = zip_layer_new(settings, OUT_MAX);
    struct result result = { .err = OK };
    size_t taken = 0;
    buf_init(&result.plain, OUT_MAX);
    for (size_t i = 0; i < count && !result.err; i++) {
        result.err = read_piece(layer, pieces[i], &result.plain);
        taken += pieces[i].len;
    }
    size_t paid = settings->burst + taken * settings->ratio;
    if (buf_failed(&result.plain) || result.plain.len > paid + (result.err ? ZIP_STEP : 0))
        abort();
    check_end(layer, result.err);
    zip_layer_free(layer);
    return result;
}

/* How much may come at once depends on how much came before: only who stays below it is the same. */
static struct result inflate_both_ways(const struct zip_settings *settings, str wire, const uint8_t *lengths)
{
    str pieces[PIECES];
    cut(wire, lengths, pieces);
    struct result whole = inflated(settings, &wire, 1), parts = inflated(settings, pieces, PIECES);
    if (whole.err != ERR_LIMIT && parts.err != ERR_LIMIT &&
        (whole.err != parts.err || !str_eq(buf_str(&whole.plain), buf_str(&parts.plain))))
        abort();
    buf_fini(&parts.plain);
    return whole;
}

static struct zip_layer *deflated(const struct zip_settings *settings, str plain, const uint8_t *lengths,
                                  bool flushes)
{
    struct zip_layer *layer = zip_layer_new(settings, OUT_MAX);
    str pieces[PIECES];
    cut(plain, lengths, pieces);
    for (size_t i = 0; i < PIECES; i++)
        if (zip_layer_write(layer, pieces[i], flushes || i == PIECES - 1) != OK)
            abort();
    return layer;
}

static void there_and_back(const struct zip_settings *settings, str plain, const uint8_t *lengths,
                           uint8_t what, uint8_t at)
{
    struct zip_layer *from = deflated(settings, plain, lengths, what & FLUSHES);
    if (what & DAMAGES)
        from->wire.p[at % from->wire.len] ^= (char)(what >> 3 | 1);
    struct result result = inflate_both_ways(settings, buf_str(&from->wire), lengths);
    if (!(what & DAMAGES) && result.err != ERR_LIMIT &&
        (result.err != OK || !str_eq(buf_str(&result.plain), plain)))
        abort();
    buf_fini(&result.plain);
    zip_layer_free(from);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < HEAD)
        return 0;
    struct zip_settings settings = settings_of(data[0]);
    str rest = str_of((const char *)data + HEAD, size - HEAD);
    if (data[1] & INFLATES) {
        struct result result = inflate_both_ways(&settings, rest, data + 3);
        buf_fini(&result.plain);
    } else {
        there_and_back(&settings, rest, data + 3, data[1], data[2]);
    }
    return 0;
}
