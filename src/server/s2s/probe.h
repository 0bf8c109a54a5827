/* SPDX-License-Identifier: MIT */
/* A test of the way to another domain, for the administrator: what DNS says, which addresses answer, what
 * certificate is shown there, what the server offers, and whether it believes us; with a verdict. It goes the
 * way that a stanza would go, by the same resolver, certificates and policy, but sends none.
 *
 * On one shard; everything is bounded by the times of the section `s2s`. */
#ifndef SERVER_PROBE_H
#define SERVER_PROBE_H

#include "base/buf.h"
#include "net/dial.h"
#include "server/s2s/s2s.h"

struct probe;

/* How far the test of one address came. */
enum probe_stage {
    PROBE_CONNECTING,
    PROBE_OPENING,      /* waits for a stream header */
    PROBE_FEATURES,     /* waits for features */
    PROBE_STARTING_TLS, /* asked for TLS */
    PROBE_SECURING,     /* TLS handshake */
    PROBE_READY,        /* as secure as it gets; what it offers is known */
    PROBE_DIALBACK,     /* our key is being checked */
};

/* The test of one address. */
struct probe_stream {
    struct probe *probe;
    struct dial dial;
    struct conn conn;
    struct scanner scanner;
    struct buf in;
    struct timer timer;
    size_t endpoint; /* of the lookup */
    size_t heard;    /* bytes */
    enum probe_stage stage;
    bool connected; /* `conn` is in use */
    bool leaving;   /* our end tag is sent */
    bool over;
    uint64_t since_us;
    unsigned connect_ms;
    str id; /* of the stream */
    /* what was found; texts are in the probe's arena */
    enum err err;           /* of the connection */
    enum stream_error told; /* the error with which the server ended the stream */
    bool late;              /* it did not answer in time */
    bool garbage;           /* what it sends is no stream */
    bool secure, no_tls, header_dialback, certified;
    struct posh_asker posh;
    bool asked_posh, by_posh; /* whether its web server was asked, and vouches for the certificate */
    const char *tls_version, *tls_cipher;
    const struct tls_certificate *certificate;
    str names;         /* in the certificate */
    const char *fault; /* of the certificate; NULL: none */
    enum tls_dane dane;
    struct peer_features features;
    bool tried_dialback, answered_dialback;
    enum dialback_type dialback; /* the answer */
    enum stanza_error dialback_error;
};

struct probe {
    void (*done)(struct probe *probe); /* once, from the loop, within an event of the shard */
    struct shard *shard;
    struct arena arena;
    str ours, theirs, ascii;
    struct s2s_policy policy;
    struct dns *dns; /* a resolver of its own, which remembers nothing */
    struct dns_lookup lookup;
    struct probe_stream *streams; /* one for each endpoint */
    size_t left;                  /* that are not over */
    bool dialback_taken;          /* one of them tries dialback */
};

/* Begins; `probe` is zeroed but for `done`, and ended with probe_stop(). ERR_FULL: too many tests are under
 * way; ERR_INVALID: that can't be asked for. */
enum err probe_start(struct probe *probe, struct shard *shard, str ours, str theirs);

/* Ends it, whether or not it is done. Nothing happens if it was not begun. */
void probe_stop(struct probe *probe);

/* Writes what was found, what is wrong and what to do. Returns whether stanzas would get through. */
bool probe_report(struct probe *probe, struct buf *out);

/* ---- probe_stream.c */

void probe_stream_start(struct probe_stream *stream, struct probe *probe, size_t endpoint);
void probe_stream_stop(struct probe_stream *stream);
void probe_stream_over(struct probe_stream *stream); /* probe.c: it has ended */

#endif
