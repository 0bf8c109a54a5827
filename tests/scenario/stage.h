/* SPDX-License-Identifier: MIT */
/* The stage that scenarios are played on: a simulated world with the real server, its store in memory, and
 * named clients. */
#ifndef SCENARIO_STAGE_H
#define SCENARIO_STAGE_H

#include "base/list.h"
#include "fill.h"
#include "loop/loop_sim.h"
#include "server/server.h"
#include "store/fail.h"
#include "tree.h"
#include "watch.h"
#include "zip.h"

enum { STAGE_SHARDS_MAX = 8 };

struct neighbour;

struct stage {
    struct sim *sim;
    struct loop *client_loop, *store_loop;
    struct loop *loops[STAGE_SHARDS_MAX];
    unsigned shards;
    bool crumbs;
    unsigned failures;     /* of the store, known when it is closed */
    struct buf stream_ids; /* of all streams so far, each between spaces */
    bool stream_id_wrong;  /* one was missing, or came twice */
    struct store *store;
    const struct config *config;
    struct server *server;
    struct neighbour *neighbour; /* neighbour.h; NULL: there is none */
    struct buf config_more;      /* of the scenario */
    char *keys;                  /* account rows: everybody's password is "secret" */
    struct list players;
    char why[512]; /* of what just failed */
};

/* What goes wrong in a world. */
struct stage_faults {
    bool crumbs;               /* the network hands over a few bytes at a time */
    enum store_fail_call call; /* the nth of these calls to the store fails; nth 0: none does */
    unsigned nth;
    bool stays; /* and all such calls after it */
};

/* A named client: what it is called, and its connection if it has one. */
struct player {
    struct list link;
    struct stage *stage;
    char *name, *jid;         /* jid: NULL if it was not given one */
    bool is_component;        /* connects to the port of components, and speaks in their namespace */
    bool is_server;           /* the same for another server */
    uint16_t port;            /* it connects there, and what comes is no XML; 0: to a port for streams */
    struct listener listener; /* where it is waiting to be connected to */
    bool listens, was_called;
    char *last_id; /* of the last element that it was to get; or NULL */
    struct socket_owner owner;
    struct socket *socket;
    struct zip *zip;     /* the stream is compressed, or NULL */
    bool wants_zip;      /* it is to be, at each login */
    struct buf incoming; /* bytes that came and were not read as XML yet */
    struct tree_reader reader;
    struct tree *first, *last; /* elements that came and were not looked at */
    struct tree *header;       /* the server's last stream header, without children, or NULL */
    bool stream_ended;         /* its end tag has come */
    bool bound;                /* its resource; set by login.c */
    struct noted noted;
    char wrong[128]; /* what was not XML */
    struct watch watch;
};

/* `faults` may be NULL. */
void stage_open(struct stage *stage, unsigned shards, const struct stage_faults *faults);
/* Everything is taken down; false, with why, if the server keeps anything of clients that are gone. */
bool stage_close(struct stage *stage);

/* Makes the server, if there is none; false with why. */
bool stage_raise(struct stage *stage);
/* An orderly stop of the server; its store stays. */
bool stage_strike(struct stage *stage);

void stage_settle(struct stage *stage);
/* One more row of the store, under whatever users are awake. */
void stage_add_row(struct stage *stage, str owner, str kind, str key, str value);
void stage_add_account(struct stage *stage, str bare);

/* The namespace of the player's stanzas. */
const char *player_ns(const struct player *player);
struct player *player_of(struct stage *stage, str name); /* made if it is not there */
bool player_connect(struct player *player);
/* Waits at an address and port; who connects there becomes its connection. */
bool player_listen(struct player *player, const char *address, uint16_t port);
void player_send(struct player *player, str bytes);
bool player_write(struct player *player, str bytes);      /* the simulation stands still; false: too much */
void player_send_as_is(struct player *player, str bytes); /* uncompressed in any case */
void player_compress(struct player *player);              /* from here on, both ways */
void player_cut(struct player *player);                   /* both ends see a reset */
void player_leave(struct player *player);                 /* the socket is closed; what came is kept */
struct tree *player_take(struct player *player); /* the next element, or NULL; the caller's to free */
void player_forget(struct player *player);       /* drops all that came */
/* What comes next begins with a stream header: the client is about to send its own. */
void player_expect_header(struct player *player);

#endif
