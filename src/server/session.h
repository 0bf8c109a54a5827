/* SPDX-License-Identifier: MIT */
/* A session: one bound resource of a user (RFC 6120 §7), and the link that carries it. */
#ifndef SERVER_SESSION_H
#define SERVER_SESSION_H

#include "base/list.h"
#include "server/link.h"
#include "server/sm/sm.h"
#include "xmpp/stanza.h"

struct user;

/* A presence as it was broadcast, in one heap block. */
struct presence {
    uint32_t attrs_len, payload_len;
    char text[];
};

struct session {
    struct list _in_user;
    struct user *user;
    struct link *link; /* NULL: it waits for a resumption (sm.h), or is being taken down */
    struct sm *sm;     /* stream management, or NULL */
    struct slow *slow; /* it is not read for a while (slow.h), or NULL */
    char *full;        /* the full JID's text */
    uint16_t full_len;
    int8_t priority;
    bool available;
    bool closing;              /* is being taken down */
    bool interested;           /* asked for the roster (RFC 6121 §2.2) */
    struct presence *presence; /* last broadcast while available, else NULL */
    char **directed;           /* who got directed presence (§4.6), or NULL */
    uint16_t directed_count;
    uint64_t bound_us;
    uint64_t client;     /* stands for the client's own id (XEP-0388); 0: none is known */
    uint64_t got_serial; /* see session_got() */
    bool strayed;        /* somebody who gets its broadcasts may have got other presence since the last one */
    bool tapped;         /* an extension wants to see what is sent to it (the hook stanza_to_session) */
    /* what extensions keep for it follows (ext_session()) */
};

/* Binds a resource (prepared) for a ready user: makes the session; takes no notice of conflicts. */
struct session *session_open(struct user *user, str resource, struct link *link);

/* Ends a session, if available with the unavailable presence that is due (RFC 6121 §4.5.4), and frees it. Its
 * link is not told. */
void session_close(struct session *session);

/* The link has gone without a word of the client: the session is kept for a while if it may be resumed, or
 * closed. */
void session_lost(struct session *session);

/* Another link takes over a session that may be resumed and has no link, of which the client has got `h`
 * stanzas. */
void session_resume(struct session *session, struct link *link, uint32_t h);

/* It is done: the client has been told. `restarted`: the server was, in between. For sm.c. */
void session_resumed(struct session *session, bool restarted);

/* What it waited for may be over: its link tries again. */
void session_go_on(struct session *session);

/* Something that must survive a restart is different: tells the store, if the session does. Presence is told
 * by itself; extensions call this for what they add in the hook session_save. */
void session_changed(struct session *session);

/* The server ends: frees it without a word to anybody but the extensions. */
void session_drop(struct session *session);

/* The session of this resource, or NULL. */
struct session *session_find(struct user *user, str resource);

struct jid session_jid(const struct session *session);
str session_resource(const struct session *session);

/* Sends a stanza to the session's client; `to` as in stanza_write(). */
void session_send(struct session *session, const struct stanza *stanza, const struct jid *to);

/* Whether it was given the message that is at hand in the hook message_delivered. */
bool session_got(const struct session *session);

/* What the link calls with an element of its client that is no stanza; as session_stanza(). Sets `*ret_known`
 * if an extension took it. */
bool session_element(struct session *session, const struct xml_node *element, bool *ret_known);

/* Keeps a broadcast presence, and gives it back as a stanza in the arena (from: the session, to: none). */
void session_keep_presence(struct session *session, const struct stanza *presence);
/* Whether a presence says what the kept one says: all of it but its id. There must be a kept one. */
bool session_says_again(const struct session *session, const struct stanza *presence);
const struct stanza *session_presence(const struct session *session, struct arena *arena);

/* What the c2s link calls with each stanza of its client. False: the user or the store is busy; come
 * again when link_ops.resume is called. */
bool session_stanza(struct session *session, const struct stanza *stanza);

/* Who leads from a link in the user's list to its session. */
#define SESSION_OF(list_link) LIST_ITEM(list_link, struct session, _in_user)

#endif
