/* SPDX-License-Identifier: MIT */
/* One connection's compression (XEP-0138's "zlib").
 *
 * What a peer sends may become a thousand times as much, so it is inflated in small steps, each handed on
 * before the next is made: whoever reads the plain bytes has its limits looked at in between, and the rest
 * stays small. Beyond that each byte that comes in pays for a limited number of bytes that come out. What was
 * not used is credit for later, up to a limit, so that one stanza of a thousand spaces is no crime.
 *
 * Output is deflated at the end of a turn, all of the turn's stanzas together, with one partial flush behind
 * them (XEP-0138, implementation notes): that costs two bytes, and everything can be read at the other end.
 *
 * Memory: a window and tables for each direction as long as the connection lives, since the peer refers to
 * what was sent before; how much for the way out is a setting, for the way in the peer decides (at most 32
 * KiB and the tables). Queues hold memory only while there is something in them.
 *
 * Not here: when compression begins and with whom (the owner's business), sockets, TLS (conn.c). */
#include "net/zip_layer.h"

#include "base/mem.h"
#include "net/outbox.h"

#include <assert.h>
#include <stdlib.h>

enum {
    WRITE_STEP = 2048, /* room for each step of deflating: a turn of a few stanzas fits */
    UNREAD_MAX = 1 << 20,
};

static void must(int result)
{
    if (result != Z_OK)
        abort(); /* out of memory: the parameters are checked by the configuration */
}

struct zip_layer *zip_layer_new(const struct zip_settings *settings, size_t wire_max)
{
    struct zip_layer *layer = NEW(struct zip_layer);
    layer->settings = *settings;
    layer->credit = settings->burst;
    buf_init(&layer->wire, wire_max);
    buf_init(&layer->unread, UNREAD_MAX);
    must(deflateInit2(&layer->out, settings->level, Z_DEFLATED, settings->window_bits, settings->memory_level,
                      Z_DEFAULT_STRATEGY));
    must(inflateInit2(&layer->in, MAX_WBITS));
    return layer;
}

void zip_layer_free(struct zip_layer *layer)
{
    if (!layer)
        return;
    if (layer->gone)
        *layer->gone = true;
    task_cancel(&layer->again);
    deflateEnd(&layer->out);
    inflateEnd(&layer->in);
    outbox_drop(&layer->wire, &layer->wire_sent);
    buf_fini(&layer->unread);
    free(layer);
}

void zip_layer_leave(struct zip_layer *layer)
{
    task_cancel(&layer->again);
    if (!layer->gone)
        return;
    *layer->gone = true;
    layer->gone = NULL;
    buf_add(&layer->unread, layer->arrived);
    layer->arrived = str_none;
}

/* Each byte in pays for so many out; what is left over is kept up to a limit. */
static bool charge(struct zip_layer *layer, size_t in, size_t out)
{
    layer->credit += (int64_t)in * layer->settings.ratio - (int64_t)out;
    if (layer->credit > layer->settings.burst)
        layer->credit = layer->settings.burst;
    return layer->credit >= 0;
}

static enum err fail(struct zip_layer *layer, enum err err)
{
    layer->ended = err;
    layer->more = false;
    return err;
}

enum err zip_layer_read(struct zip_layer *layer, str *input, char *room, size_t *ret_len)
{
    z_stream *in = &layer->in;
    *ret_len = 0;
    if (layer->ended)
        return layer->ended;
    in->next_in = (Bytef *)input->p;
    in->avail_in = (uInt)input->len;
    in->next_out = (Bytef *)room;
    in->avail_out = ZIP_STEP;
    int result = inflate(in, Z_SYNC_FLUSH);
    size_t used = input->len - in->avail_in, len = ZIP_STEP - in->avail_out;
    in->next_in = NULL;
    *input = str_sub(*input, used, input->len);
    *ret_len = len;
    if (result == Z_MEM_ERROR)
        abort();
    layer->more = !in->avail_out && result != Z_STREAM_END;
    /* Z_BUF_ERROR: there was nothing more to say without further input. */
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
        return fail(layer, ERR_SYNTAX);
    if (!charge(layer, used, len))
        return fail(layer, ERR_LIMIT);
    if (result == Z_STREAM_END)
        layer->ended = ERR_SYNTAX; /* whatever comes behind it */
    return OK;
}

enum err zip_layer_write(struct zip_layer *layer, str plain, bool flush)
{
    z_stream *out = &layer->out;
    outbox_open(&layer->wire);
    out->next_in = (Bytef *)plain.p;
    out->avail_in = (uInt)plain.len;
    do {
        if (!buf_reserve(&layer->wire, WRITE_STEP))
            return ERR_LIMIT;
        out->next_out = (Bytef *)layer->wire.p + layer->wire.len;
        out->avail_out = WRITE_STEP;
        int result = deflate(out, flush ? Z_PARTIAL_FLUSH : Z_NO_FLUSH);
        assert(result == Z_OK || result == Z_BUF_ERROR); /* the latter: the last step ended exactly full */
        (void)result;
        layer->wire.len += WRITE_STEP - out->avail_out;
    } while (!out->avail_out);
    assert(!out->avail_in);
    out->next_in = NULL;
    return OK;
}
