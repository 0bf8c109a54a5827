/* SPDX-License-Identifier: MIT */
/* Serving the control socket: lines in, a command from the table, text out. What a command does with accounts
 * stands in control_users.c, what it asks of all shards in control_shards.c. One request a connection; it
 * lives until its answer is complete, whether or not the asker still listens. */
#include "server/control_request.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { REQUEST_MAX = 16 * 1024, ANSWER_MAX = 64 << 20, FINISH_MS = 5000 };

struct control {
    struct listener listener;
    struct server *server;
    struct control_calls calls;
    struct list requests;
    char *path;
};

/* ---- One command at a time for an account
 * ----------------------------------------------------------------------------- */

static void take_turn(struct request *request, void (*go)(struct request *request))
{
    request->in_turn = NULL;
    request->has_turn = true;
    go(request);
}

void request_in_turn(struct request *request, void (*go)(struct request *request))
{
    list_each (at, &request->control->requests) {
        const struct request *other = LIST_ITEM(at, struct request, link);
        if (other->has_turn && jid_eq(&other->jid, &request->jid)) {
            request->in_turn = go;
            return;
        }
    }
    take_turn(request, go);
}

/* Who waits for the account of this request that is done; or NULL. */
static struct request *next_in_turn(struct request *done)
{
    if (!done->has_turn)
        return NULL;
    done->has_turn = false;
    list_each (at, &done->control->requests) {
        struct request *other = LIST_ITEM(at, struct request, link);
        if (other->in_turn && jid_eq(&other->jid, &done->jid))
            return other;
    }
    return NULL;
}

/* ---- Answers
 * ------------------------------------------------------------------------------------------------------- */

static void answer(struct request *request)
{
    request->busy = false;
    if (request->gone) {
        request_free(request);
        return;
    }
    conn_write(&request->conn, buf_str(&request->answer));
    request->answered = true;
    conn_finish(&request->conn, FINISH_MS);
}

void request_done(struct request *request, const char *error)
{
    struct request *next = next_in_turn(request);
    if (error)
        buf_addf(&request->answer, "error: %s\n", error);
    else
        buf_lit(&request->answer, "ok\n");
    answer(request);
    if (next)
        take_turn(next, next->in_turn);
}

void request_free(struct request *request)
{
    if (!request->gone)
        conn_fini(&request->conn);
    list_remove(&request->link);
    mem_wipe(request->in.p, request->in.len);
    buf_fini(&request->in);
    buf_fini(&request->answer);
    arena_fini(&request->arena);
    free(request);
}

/* ---- Commands
 * ------------------------------------------------------------------------------------------------------- */

static void do_reload(struct request *request)
{
    char why[512] = "";
    enum err err = request->control->calls.reload(why, sizeof why);
    request_done(request, err == OK ? NULL : *why ? why : err_text(err));
}

static void do_stop(struct request *request)
{
    request->control->calls.stop();
    request_done(request, NULL);
}

static const struct {
    const char *name;
    unsigned words; /* that follow the name */
    void (*run)(struct request *request);
    const char *help;
} commands[] = {
    { "user add", 1, control_user_add,
      "user add JID          make an account; the password is read from standard input" },
    { "user passwd", 1, control_user_passwd, "user passwd JID       change a password" },
    { "user del", 1, control_user_del,
      "user del JID          remove an account with all that is kept for it" },
    { "user list", 0, control_user_list, "user list             list all accounts" },
    { "sessions list", 0, control_sessions_list,
      "sessions list         list all sessions: JID, priority, age, address, security" },
    { "sessions kick", 1, control_sessions_kick,
      "sessions kick JID     end the sessions of a bare JID, or the one of a full JID" },
    { "components list", 0, control_components_list,
      "components list       list the external components: domain, address, age" },
    { "components close", 1, control_components_close,
      "components close JID  end the stream of a component" },
    { "status", 0, control_status, "status                what the server does, in numbers" },
    { "reload", 0, do_reload, "reload                read the configuration and the certificates again" },
    { "stop", 0, do_stop, "stop                  end all streams, write everything, stop" },
};

const char *control_help(void)
{
    static char text[2048];
    size_t used = 0;
    for (size_t i = 0; i < COUNT_OF(commands); i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "  %s\n", commands[i].help);
    return text;
}

/* Takes the command's name off the line; what follows are its words. */
static bool match(str line, const char *name, str *ret_rest)
{
    str wanted = str_from(name);
    if (!str_starts(line, wanted) || (line.len > wanted.len && line.p[wanted.len] != ' '))
        return false;
    *ret_rest = str_trim(str_sub(line, wanted.len, line.len));
    return true;
}

static void run(struct request *request)
{
    str rest, text = arena_str(&request->arena, buf_str(&request->in));
    str line = str_trim(str_cut(&text, '\n'));
    request->extra = str_cut(&text, '\n');
    request->busy = true;
    for (size_t i = 0; i < COUNT_OF(commands); i++) {
        if (!match(line, commands[i].name, &rest))
            continue;
        request->word = rest;
        if (!commands[i].words != !rest.len)
            request_done(request,
                         commands[i].words ? "an address is missing" : "this command takes no words");
        else
            commands[i].run(request);
        return;
    }
    request_done(request, "no such command; jabiructl --help lists them");
}

/* ---- The connection
 * --------------------------------------------------------------------------------------------------- */

static void data(struct conn *conn, str bytes)
{
    struct request *request = CONTAINER_OF(conn, struct request, conn);
    struct shard *shard = request->shard;
    if (request->busy || request->answered)
        return;
    buf_add(&request->in, bytes);
    str in = buf_str(&request->in);
    shard_enter(shard);
    if (buf_failed(&request->in))
        request_done(request, "the request is too long");
    else if (str_ends(in, STR("\n\n")))
        run(request);
    shard_leave(shard);
}

static void closed(struct conn *conn, enum err why)
{
    struct request *request = CONTAINER_OF(conn, struct request, conn);
    (void)why;
    conn_fini(&request->conn);
    request->gone = true;
    if (!request->busy)
        request_free(request);
}

static const struct conn_events events = { .data = data, .closed = closed };

static void accepted(struct listener *listener, struct socket *socket)
{
    struct control *control = CONTAINER_OF(listener, struct control, listener);
    struct request *request = NEW(struct request);
    request->control = control;
    request->shard = control->server->shards[0];
    arena_init(&request->arena, 1024);
    buf_init(&request->in, REQUEST_MAX);
    buf_init(&request->answer, ANSWER_MAX);
    conn_init(&request->conn, request->shard->loop, socket, &events, ANSWER_MAX);
    list_append(&control->requests, &request->link);
}

enum err control_open(struct server *server, const char *path, const struct control_calls *calls,
                      struct control **ret)
{
    struct control *control = NEW(struct control);
    control->server = server;
    control->calls = *calls;
    control->path = str_dup(str_from(path));
    control->listener.accepted = accepted;
    list_init(&control->requests);
    enum err err = listener_open(&control->listener, server->shards[0]->loop, path, 0);
    if (err != OK) {
        free(control->path);
        free(control);
        return err;
    }
    *ret = control;
    return OK;
}

void control_close(struct control *control)
{
    struct list *link;
    if (!control)
        return;
    while ((link = control->requests.next) != &control->requests)
        request_free(LIST_ITEM(link, struct request, link));
    listener_close(&control->listener);
    unlink(control->path);
    free(control->path);
    free(control);
}
