/* SPDX-License-Identifier: MIT */
/* A request of the administrator while it is being answered: what the control*.c files share. */
#ifndef SERVER_CONTROL_REQUEST_H
#define SERVER_CONTROL_REQUEST_H

#include "net/conn.h"
#include "server/control.h"
#include "server/shard.h"
#include "xmpp/sasl.h"

struct request {
    struct list link;
    struct conn conn;
    struct control *control;
    struct shard *shard; /* the first: where requests live */
    struct arena arena;
    struct buf in, answer;
    str word, extra; /* what follows the command's name; the request's second line */
    bool busy, gone, answered;
    /* of commands about users */
    struct jid jid;
    str password;
    struct scram_keys keys;
    struct work work;
    struct store_read read;
    struct store_commit commit;
    bool must_exist;
    bool has_turn;                            /* no other command about this account is under way */
    void (*in_turn)(struct request *request); /* waits for its turn; or NULL */
    /* of commands to all shards */
    struct shard_call call;
    unsigned at; /* the shard that is asked */
    void (*visit)(struct shard *shard, struct request *request);
    void (*visited)(struct request *request);
    struct shard_counters sum;
    size_t users, sessions, links;
};

/* Ends a request: "ok", or "error: ..." . On the first shard; the request may be gone afterwards. */
void request_done(struct request *request, const char *error);
void request_free(struct request *request);

/* Calls `go` when no other command about the account request->jid is under way: now, or when those before it
 * are done. For commands that change an account in several steps. */
void request_in_turn(struct request *request, void (*go)(struct request *request));

/* Calls `visit` on every shard in turn, on its thread, and then `visited` on the first. */
void request_travel(struct request *request, void (*visit)(struct shard *, struct request *),
                    void (*visited)(struct request *));

void control_user_add(struct request *request);
void control_user_passwd(struct request *request);
void control_user_del(struct request *request);
void control_user_list(struct request *request);
void control_sessions_list(struct request *request);
void control_sessions_kick(struct request *request);
void control_components_list(struct request *request);
void control_components_close(struct request *request);
void control_status(struct request *request);

#endif
