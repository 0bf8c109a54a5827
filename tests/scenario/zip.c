/* SPDX-License-Identifier: MIT */
#include "zip.h"

#include "base/mem.h"

#include <stdlib.h>
#include <zlib.h>

struct zip {
    z_stream in, out;
};

struct zip *zip_new(void)
{
    struct zip *zip = NEW(struct zip);
    if (deflateInit(&zip->out, 9) != Z_OK || inflateInit(&zip->in) != Z_OK)
        abort();
    return zip;
}

void zip_free(struct zip *zip)
{
    if (!zip)
        return;
    deflateEnd(&zip->out);
    inflateEnd(&zip->in);
    free(zip);
}

static bool pump(z_stream *stream, int (*step)(z_stream *, int), int flush, str bytes, struct buf *out)
{
    char room[4096];
    stream->next_in = (Bytef *)bytes.p;
    stream->avail_in = (uInt)bytes.len;
    do {
        stream->next_out = (Bytef *)room;
        stream->avail_out = sizeof room;
        int result = step(stream, flush);
        if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
            return false;
        buf_add(out, str_of(room, sizeof room - stream->avail_out));
    } while (!stream->avail_out);
    return !stream->avail_in;
}

void zip_deflate(struct zip *zip, str bytes, struct buf *out)
{
    if (!pump(&zip->out, deflate, Z_SYNC_FLUSH, bytes, out))
        abort();
}

bool zip_inflate(struct zip *zip, str bytes, struct buf *out)
{
    return pump(&zip->in, inflate, Z_SYNC_FLUSH, bytes, out);
}
