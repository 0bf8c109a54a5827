/* SPDX-License-Identifier: MIT */
/* Who is on a stream of ours and has not logged in: requests that are allowed there (XEP-0077, XEP-0445), by
 * the hook newcomer_request. A handler answers with newcomer_result() or newcomer_error(), at once; or after
 * newcomer_wait(), which ends with newcomer_go_on(): meanwhile the stream is not read. */
#ifndef SERVER_NEWCOMER_H
#define SERVER_NEWCOMER_H

#include "server/shard.h"

enum { NEWCOMER_ADDRESS_MAX = 56 }; /* SOCKET_ADDRESS_MAX */

struct newcomer {
    struct link *link; /* NULL: it has left, or is logged in */
    struct shard *shard;
    struct host *host;
    char address[NEWCOMER_ADDRESS_MAX]; /* with its port */
    char *token;                        /* of the invitation that it has shown, accepted; or NULL */
    unsigned made, failures;            /* accounts it has made, tokens it has guessed wrong */
    bool waiting;                       /* a request of its is being worked on */
    unsigned _refs;
};

struct newcomer_event {
    struct shard *shard;
    struct newcomer *newcomer;
    const struct stanza *iq;
    struct xml_node child; /* the one child of the request */
};

/* Answers; nothing happens if it has left. The payload must live for the call. */
void newcomer_result(struct newcomer *newcomer, const struct stanza *iq, str payload);
void newcomer_error(struct newcomer *newcomer, const struct stanza *iq, enum stanza_error error,
                    const char *text);

/* The request needs time: holds the newcomer, and its stream. */
void newcomer_wait(struct newcomer *newcomer);
/* The request is answered: goes on with the stream if it is still there, and lets go. In an event. */
void newcomer_go_on(struct newcomer *newcomer);

/* For the link: makes one, held once; the link has gone or is logged in; lets go. */
struct newcomer *newcomer_new(struct link *link, struct host *host);
void newcomer_leave(struct newcomer *newcomer);

/* A key for limits: the IPv4 address, or the network (/64) of an IPv6 one. In the arena. */
str newcomer_network(const char *address, struct arena *arena);

#endif
