/* SPDX-License-Identifier: MIT */
/* A request of the administrator while it is being answered: what the control*.c files share. */
#ifndef SERVER_CONTROL_REQUEST_H
#define SERVER_CONTROL_REQUEST_H

#include "net/conn.h"
#include "server/account.h"
#include "server/control/control.h"
#include "server/tour.h"

struct request {
    struct list link;
    struct conn conn;
    struct control *control;
    struct shard *shard; /* the first: where requests live */
    struct arena arena;
    struct buf in, answer;
    str word, extra;                       /* what follows the command's name; the request's second line */
    str body;                              /* of a command that takes one: what came behind the empty line */
    const struct control_command *command; /* NULL until its line is there */
    size_t body_len;
    bool busy, gone, answered;
    void *own; /* of the command, in the arena */
    void (*cancel)(
        struct request *request); /* when the server stops before it is done; NULL: nothing to do */
    /* of commands about users */
    struct jid jid;
    str password;
    struct store_read read;
    struct account_job job;
    /* of commands to all shards */
    struct shard_call call;
    struct tour tour;
    void (*visit)(struct shard *shard, struct request *request);
    void (*visited)(struct request *request);
    struct shard_counters sum;
    size_t users, sessions, links;
};

/* A command, of the server itself or of an extension (ext.commands). */
struct control_command {
    const char *name;                     /* a NULL name ends a list */
    bool words;                           /* whether words follow the name: request->word */
    void (*run)(struct request *request); /* ends, now or later, with request_done() */
    const char *help;                     /* a line: name and words up to column 22, then what it does */
    bool body; /* bytes follow the empty line, request->body; the one word is their number */
};

enum { CONTROL_BODY_MAX = 64 << 20 };

/* The head of a request: two lines (more are let pass) and an empty one. */
struct control_head {
    str line;   /* the command and its words */
    str extra;  /* the second line, or empty */
    size_t len; /* of it all; behind it stands the body */
};

/* Takes the head from the begin of what came; false if it is not all there. Slices of it. */
bool control_head_read(str in, struct control_head *ret);

/* The command that the line names, of a table (or NULL), and the words that follow. NULL if it is none of
 * these. */
const struct control_command *control_command_named(const struct control_command *table, str line,
                                                    str *ret_words);

/* What is wrong with these words for this command, or NULL; then `*ret_body_len` is the length of the body
 * that follows: 0 without one. */
const char *control_command_fault(const struct control_command *command, str words, size_t *ret_body_len);

/* Ends a request: "ok", or "error: ..." . On the first shard; the request may be gone afterwards. */
void request_done(struct request *request, const char *error);
void request_free(struct request *request);

/* Reads the word as the address of an account on one of our hosts into request->jid; answers the request and
 * returns false if it is none. */
bool request_account(struct request *request);

/* Calls `visit` on every shard in turn, on its thread, and then `visited` on the first. */
void request_travel(struct request *request, void (*visit)(struct shard *, struct request *),
                    void (*visited)(struct request *));

void control_user_add(struct request *request);
void control_user_passwd(struct request *request);
void control_user_del(struct request *request);
void control_user_disable(struct request *request);
void control_user_enable(struct request *request);
void control_user_list(struct request *request);
void control_sessions_list(struct request *request);
void control_sessions_kick(struct request *request);
void control_components_list(struct request *request);
void control_components_close(struct request *request);
void control_s2s_list(struct request *request);
void control_s2s_show(struct request *request);
void control_s2s_test(struct request *request);
void control_status(struct request *request);

#endif
