/* SPDX-License-Identifier: MIT */
/* Stream management (XEP-0198 1.6.3) of a stream between servers: what goes out is kept until the peer has
 * acknowledged it; when the stream breaks, the next one begins with the question how much of it had come, and
 * what had not is sent again. What nobody can tell is answered with an error to its sender. */
#ifndef SERVER_S2S_SM_H
#define SERVER_S2S_SM_H

#include "server/s2s/remote.h"
#include "xml/node.h"

struct receipt;
struct s2s_sm;
struct waiting;

/* For the initiating end, when stanzas could go: begins stream management if the peer has it. True: an older
 * stream is to be resumed first; pair_may_send() is called again when that is settled. */
bool s2s_sm_begin(struct s2s *s2s);

/* Whether there is room for one more that is not acknowledged. */
bool s2s_sm_has_room(const struct s2s_sm *sm);

/* A stanza was written: keeps it (it is in no list) until it is acknowledged. */
void s2s_sm_keep(struct s2s_sm *sm, struct waiting *waiting);

/* A stanza has come: its receipt, held once, or NULL without stream management. False: it had come already,
 * before the stream was resumed, and is counted; there is nothing to do. */
bool s2s_sm_receive(struct s2s *s2s, const struct stanza *stanza, struct receipt **ret_receipt);

/* Whether all that came is done with. A stream that ends before leaves the rest to the peer, which sends it
 * again. */
bool s2s_sm_is_done(const struct s2s *s2s);

/* An element of stream management. False: it is none. */
bool s2s_sm_element(struct s2s *s2s, const struct xml_node *node);

/* Asks the peer for an acknowledgement, which also shows that it is alive: without an answer the stream ends.
 * False: there is no stream management. */
bool s2s_sm_ask(struct s2s *s2s);

/* Whether the peers of the shard's streams have acknowledged all; who has not is asked. */
bool s2s_sm_all_acked(struct shard *shard);

/* Before the end tag is written: the last acknowledgement. */
void s2s_sm_farewell(struct s2s *s2s);

/* The stream ends: by us in order, by the peer in order, or it broke. Of what we have not seen acknowledged
 * when we end it the senders are told. */
enum s2s_end { S2S_ENDED_BY_US, S2S_ENDED_BY_PEER, S2S_BROKEN };
void s2s_sm_leave(struct s2s *s2s, enum s2s_end how);

/* ---- Of streams that are gone, and may be resumed: remote->past */

/* Whether stanzas of this pair wait for an older stream to be resumed: by us, or by the peer. */
bool s2s_sm_is_ours_to_resume(const struct pair *pair);
bool s2s_sm_holds_back(const struct pair *pair);

/* No stream can be had for this pair, or the server stops (NULL: all pairs, and those of the peer): what is
 * not acknowledged is answered with an error. */
void s2s_sm_give_up(struct remote *remote, const struct pair *pair, enum stanza_error error, const char *why);

/* Frees all without a word. */
void s2s_sm_drop_all(struct remote *remote);

#endif
