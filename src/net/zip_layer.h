/* SPDX-License-Identifier: MIT */
/* Compression between a connection's bytes and those of its socket or TLS (zlib, RFC 1950, both ways):
 * private to src/net, and the only place that knows zlib. Bytes in, bytes out, no I/O. */
#ifndef NET_ZIP_LAYER_H
#define NET_ZIP_LAYER_H

#include "base/buf.h"
#include "base/err.h"
#include "loop/loop.h"
#include "net/conn.h"

#include <zlib.h>

enum {
    ZIP_STEP = 16 * 1024, /* what one zip_layer_read() may write */
    ZIP_TURN = 64 * 1024, /* what one connection may inflate before others have their turn */
};

struct zip_layer {
    z_stream in, out;
    struct zip_settings settings;
    struct conn *conn; /* on whose loop `again` runs */
    int64_t credit;    /* bytes that may still be inflated before more must come in */
    struct task again; /* to go on with `unread` after the others' turn */
    struct buf wire;   /* deflated, to be sent or encrypted */
    uint32_t wire_sent;
    bool more;         /* the last step filled its room: there may be more without further input */
    enum err ended;    /* what all further input is answered with; OK while the peer's stream goes on */
    bool *gone;        /* set when the layer is freed or leaves while a callback of its connection runs */
    str arrived;       /* deflated bytes that wait for that callback to end */
    struct buf unread; /* deflated bytes that wait */
};

/* `wire_max`: bytes that the wire queue may hold. */
struct zip_layer *zip_layer_new(const struct zip_settings *settings, size_t wire_max);
void zip_layer_free(struct zip_layer *layer);

/* The connection leaves its loop, maybe from within a callback. */
void zip_layer_leave(struct zip_layer *layer);

/* Inflates the begin of *input, at most to ZIP_STEP bytes at `room`, and takes what it has used off *input.
 * To be called while there is input, or `more`. ERR_SYNTAX: that is no zlib stream, or stands behind its end.
 * ERR_LIMIT: it becomes more than the settings allow. After an error there is nothing but that error. */
enum err zip_layer_read(struct zip_layer *layer, str *input, char *room, size_t *ret_len);

/* Deflates bytes into the wire queue, with a flush behind them if nothing follows for now. ERR_LIMIT when the
 * queue is full. */
enum err zip_layer_write(struct zip_layer *layer, str plain, bool flush);

#endif
