/* SPDX-License-Identifier: MIT */
/* What carries sessions, seen from above: c2s now, WebSocket and BOSH later. */
#ifndef SERVER_LINK_H
#define SERVER_LINK_H

#include "base/list.h"
#include "xmpp/stanza.h"
#include "xmpp/stream.h"

struct link;
struct shard;

struct link_ops {
    /* Queues a stanza for the client; never fails (a link that overflows ends by itself, later). */
    void (*send)(struct link *link, const struct stanza *stanza, const struct jid *to);
    /* Ends the stream with an error (STREAM_ERROR_NONE: just ends it). The link forgets its session before:
     * it will not call it any more. */
    void (*close)(struct link *link, enum stream_error error, const char *text);
    /* Ends the stream as close() does, but leaves the session alone: another link takes it over. */
    void (*part)(struct link *link, enum stream_error error, const char *text);
    /* Writes bytes that are no stanza, or one that was written before. */
    void (*write)(struct link *link, str bytes);
    /* The session was resumed, which this element says to the client; before anything else is sent. */
    void (*resumed)(struct link *link, str element);
    /* The user was busy and is ready: go on with the client's stanzas. Called as a part of an event. */
    void (*resume)(struct link *link);
    /* Bytes that are kept for the peer: output that it does not read, an element that it does not end. */
    size_t (*weight)(struct link *link);
    /* Ends it at once, without a word, as if the connection had broken, and frees it. */
    void (*drop)(struct link *link);
    /* A line about it for people: address, security. In the arena. */
    str (*describe)(struct link *link, struct arena *arena);
};

struct link {
    const struct link_ops *ops;
    struct shard *shard;
    struct list _in_shard; /* shard->links */
    bool waiting;          /* has stanzas that wait for its user to be ready */
    bool is_behind;        /* half of what may wait to be sent does: its client reads too slowly */
    uint8_t careful;       /* was slowed down: so many stanzas of its client are taken one in a turn */
};

/* c2s.c: for the shard's slab; a link's socket as it comes from a listener. */
size_t c2s_size(void);
struct socket;
struct tls_context;
void c2s_accept(struct shard *shard, struct socket *socket, bool direct_tls);

#endif
