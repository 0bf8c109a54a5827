/* SPDX-License-Identifier: MIT */
/* Serving the control socket: lines in, a command from the table, text out. What a command does with accounts
 * stands in control_users.c, what it asks of all shards in control_shards.c. One request a connection; it
 * lives until its answer is complete, whether or not the asker still listens. */
#include "server/control/control_request.h"

#include "base/log.h"
#include "server/ext.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { HEAD_MAX = 16 * 1024, READ_MAX = 64 * 1024, ANSWER_MAX = (64 << 20) + 1024, FINISH_MS = 5000 };

struct control {
    struct listener listener;
    struct server *server;
    struct control_calls calls;
    struct list requests;
    char *path;
};

/* ---- Answers
 * ------------------------------------------------------------------------------------------------------- */

void request_done(struct request *request, const char *error)
{
    if (error)
        buf_addf(&request->answer, "error: %s\n", error);
    else
        buf_lit(&request->answer, "ok\n");
    request->busy = false;
    if (request->gone) {
        request_free(request);
        return;
    }
    conn_write(&request->conn, buf_str(&request->answer));
    request->answered = true;
    conn_finish(&request->conn, FINISH_MS);
}

void request_free(struct request *request)
{
    if (request->busy && request->cancel)
        request->cancel(request);
    if (!request->gone)
        conn_fini(&request->conn);
    list_remove(&request->link);
    if (request->in.len)
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

static void do_help(struct request *request);

static const struct control_command commands[] = {
    { "user add", true, control_user_add,
      "user add JID          make an account; the password is read from standard input" },
    { "user passwd", true, control_user_passwd, "user passwd JID       change a password" },
    { "user del", true, control_user_del,
      "user del JID          remove an account with all that is kept for it" },
    { "user disable", true, control_user_disable,
      "user disable JID      end its sessions, and let nobody log in until it is enabled" },
    { "user enable", true, control_user_enable, "user enable JID       let it log in again" },
    { "user list", false, control_user_list, "user list             list all accounts" },
    { "sessions list", false, control_sessions_list,
      "sessions list         list all sessions: JID, priority, age, address, security" },
    { "sessions kick", true, control_sessions_kick,
      "sessions kick JID     end the sessions of a bare JID, or the one of a full JID" },
    { "components list", false, control_components_list,
      "components list       list the external components: domain, address, age" },
    { "components close", true, control_components_close,
      "components close JID  end the stream of a component" },
    { "s2s list", false, control_s2s_list,
      "s2s list              list the streams with other servers, both ways, and how secure they are" },
    { "s2s show", true, control_s2s_show,
      "s2s show DOMAIN       what is known of another domain: policy, DNS, streams, what is wrong" },
    { "s2s test", true, control_s2s_test,
      "s2s test DOMAIN       try the way to another domain, and say what is wrong and what to do" },
    { "status", false, control_status, "status                what the server does, in numbers" },
    { "reload", false, do_reload, "reload                read the configuration and the certificates again" },
    { "stop", false, do_stop, "stop                  end all streams, write everything, stop" },
    { "help", false, do_help, "help                  list the commands of this server" },
    { 0 },
};

static void list(struct buf *out, const struct control_command *row)
{
    for (; row && row->name; row++)
        buf_addf(out, "  %s\n", row->help);
}

/* Unlike `jabiructl --help` it knows what the extensions add. */
static void do_help(struct request *request)
{
    list(&request->answer, commands);
    for (const struct ext *const *ext = request->control->server->extensions; *ext; ext++)
        list(&request->answer, (*ext)->commands);
    request_done(request, NULL);
}

static const struct control_command *find(struct request *request, str line)
{
    const struct control_command *found = control_command_named(commands, line, &request->word);
    for (const struct ext *const *ext = request->control->server->extensions; !found && *ext; ext++)
        found = control_command_named((*ext)->commands, line, &request->word);
    return found;
}

static void begin(struct request *request, const struct control_head *head)
{
    request->extra = arena_str(&request->arena, head->extra);
    request->command = find(request, arena_str(&request->arena, head->line));
    const char *fault = request->command
                            ? control_command_fault(request->command, request->word, &request->body_len)
                            : "no such command; jabiructl help lists them";
    if (fault)
        request_done(request, fault);
}

/* ---- The connection
 * --------------------------------------------------------------------------------------------------- */

/* Takes the head off what came, if it is all there. */
static void take_head(struct request *request)
{
    str in = buf_str(&request->in);
    struct control_head head;
    struct buf rest;
    if (!control_head_read(in, &head))
        return;
    begin(request, &head);
    buf_init(&rest, request->body_len);
    buf_add(&rest, str_sub(in, head.len, head.len + request->body_len));
    mem_wipe(request->in.p, request->in.len);
    buf_fini(&request->in);
    request->in = rest;
}

static void data(struct conn *conn, str bytes)
{
    struct request *request = CONTAINER_OF(conn, struct request, conn);
    struct shard *shard = request->shard;
    if (request->busy || request->answered)
        return;
    shard_enter(shard);
    buf_add(&request->in, bytes);
    if (!request->command && !buf_failed(&request->in))
        take_head(request);
    if (buf_failed(&request->in) || (!request->command && !request->answered && request->in.len > HEAD_MAX)) {
        request_done(request, "the request is too long");
    } else if (request->command && !request->answered && request->in.len == request->body_len) {
        request->body = buf_str(&request->in);
        request->busy = true;
        request->command->run(request);
    }
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
    buf_init(&request->in, HEAD_MAX + READ_MAX); /* a part of the body may come with the head */
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
