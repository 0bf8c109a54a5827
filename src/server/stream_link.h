/* SPDX-License-Identifier: MIT */
/* A stream of XML over a connection, as a link of a shard, whatever is spoken on it: bytes to elements, what
 * is not complete kept, an orderly end (RFC 6120 §4.4), and the move to another shard. What the elements mean
 * is its owner's business: components now (component.c).
 *
 * Thread affinity: its shard's. The owner embeds it; every callback is part of an event of the shard. */
#ifndef SERVER_STREAM_LINK_H
#define SERVER_STREAM_LINK_H

#include "net/conn.h"
#include "server/link.h"
#include "server/shard.h"
#include "xml/scan.h"

struct stream_link;

struct stream_link_events {
    /* The peer's stream header has come. */
    void (*opened)(struct stream_link *stream, const struct xml_node *header);
    /* A first-level element has come. */
    void (*element)(struct stream_link *stream, const struct xml_node *node);
    /* Writes our stream header into the connection's queue: an error must stand in a stream (§4.9.1.2). */
    void (*write_header)(struct stream_link *stream);
    /* The stream is about to end, by whomever: lets go of all that belongs to it. Comes once. */
    void (*ending)(struct stream_link *stream);
    /* `leaving` was set and the event's bytes are handled: packs the stream, and frees its memory. */
    void (*depart)(struct stream_link *stream);
    /* The connection is gone, after `ending`: calls stream_link_fini() and frees its memory. */
    void (*gone)(struct stream_link *stream);
};

struct stream_link {
    struct link link;
    struct conn conn;
    const struct stream_link_events *events;
    struct scanner scanner;
    struct buf in;     /* bytes of an element that is not complete, or that must wait */
    uint64_t heard_us; /* when the last bytes came */
    bool header_sent;  /* ours; set by the owner */
    bool waiting;      /* set by the owner: takes nothing until stream_link_go_on() */
    bool leaving;      /* set by the owner: goes to another shard when the event is over */
    bool _closing;
};

/* A stream on its way to another shard. */
struct stream_parcel {
    struct conn_parcel *conn;
    struct scanner scanner;
    struct buf in;
    bool header_sent;
};

#define STREAM_LINK_OF(link_pointer) CONTAINER_OF(link_pointer, struct stream_link, link)

/* Begins on a socket that a listener has accepted, before any byte. `limits` are those of its elements and
 * must outlive it (scanner.limits may be replaced between elements). The memory is zeroed or new. */
void stream_link_open(struct stream_link *stream, struct shard *shard, struct socket *socket,
                      const struct link_ops *ops, const struct stream_link_events *events,
                      const struct scan_limits *limits);

/* Lets go of everything at once. */
void stream_link_fini(struct stream_link *stream);

void stream_link_write(struct stream_link *stream, str bytes);

/* Ends the stream with an error, or without one. Does nothing when it is ending already. */
void stream_link_fail(struct stream_link *stream, enum stream_error error, const char *text);
void stream_link_end(struct stream_link *stream);
bool stream_link_is_ending(const struct stream_link *stream);

/* For its owner's link_ops. */
size_t stream_link_weight(struct link *link);
void stream_link_drop(struct link *link);

/* No longer `waiting`: handles what has come meanwhile. */
void stream_link_go_on(struct stream_link *stream);

/* In `depart`: takes all but the memory out of the stream, which is no link of the shard any more. */
void stream_link_pack(struct stream_link *stream, struct stream_parcel *ret);

/* On the new shard: a stream in zeroed memory goes on, and is `waiting`. */
void stream_link_unpack(struct stream_link *stream, struct shard *shard, struct stream_parcel *parcel,
                        const struct link_ops *ops, const struct stream_link_events *events);

#endif
