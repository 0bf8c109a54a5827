/* SPDX-License-Identifier: MIT */
/* Accounts, as the administrator makes, changes and removes them: what is asked for becomes a job
 * (account.h). */
#include "server/control/control_request.h"

enum { PAGE = 500 };

/* ---- user add, user passwd, user del, user disable, user enable
 * ---------------------------------------------------------------------- */

static const char *explain(enum err err)
{
    return err == OK              ? NULL
           : err == ERR_EXISTS    ? "the account exists already"
           : err == ERR_NOT_FOUND ? "there is no such account"
                                  : err_text(err);
}

static void job_done(struct account_job *job)
{
    struct request *request = CONTAINER_OF(job, struct request, job);
    request_done(request, explain(job->err));
}

static void start(struct request *request, enum account_task task)
{
    request->job =
        (struct account_job){ .shard = request->shard,
                              .host = server_host(request->shard->server, jid_domain(&request->jid)),
                              .jid = request->jid,
                              .password = request->password,
                              .done = job_done };
    account_start(&request->job, task);
    if (request->password.len)
        mem_wipe((char *)request->password.p, request->password.len);
}

bool request_account(struct request *request)
{
    if (jid_parse(request->word, &request->arena, &request->jid) != OK || !request->jid.local_len ||
        !jid_is_bare(&request->jid)) {
        request_done(request, "that is no address of an account: write it as name@host");
        return false;
    }
    if (!server_host(request->shard->server, jid_domain(&request->jid))) {
        request_done(request, "that host is not served here: see the host sections of the configuration");
        return false;
    }
    return true;
}

static bool read_password(struct request *request)
{
    if (jid_prepare_password(request->extra, &request->arena, &request->password) == OK &&
        request->password.len) {
        request->password = arena_str(&request->arena, request->password);
        return true;
    }
    request_done(request, "the password is empty or has characters that are not allowed in one");
    return false;
}

void control_user_add(struct request *request)
{
    if (request_account(request) && read_password(request))
        start(request, ACCOUNT_MAKE);
}

void control_user_passwd(struct request *request)
{
    if (request_account(request) && read_password(request))
        start(request, ACCOUNT_PASSWORD);
}

void control_user_del(struct request *request)
{
    if (request_account(request))
        start(request, ACCOUNT_REMOVE);
}

void control_user_disable(struct request *request)
{
    if (request_account(request))
        start(request, ACCOUNT_DISABLE);
}

void control_user_enable(struct request *request)
{
    if (request_account(request))
        start(request, ACCOUNT_ENABLE);
}

/* ---- user list
 * ------------------------------------------------------------------------------------------------------------
 */

static void ask_page(struct request *request, str after);

static void page_read(struct store_read *read)
{
    struct request *request = CONTAINER_OF(read, struct request, read);
    str last = str_of("", 0);
    for (size_t i = 0; i < read->count; i++) {
        buf_add(&request->answer, read->rows[i].owner);
        buf_add_char(&request->answer, '\n');
        last = read->rows[i].owner;
    }
    bool more = read->err == OK && read->count == PAGE && !buf_failed(&request->answer);
    const char *error = read->err == OK ? NULL : err_text(read->err);
    last = arena_str(&request->arena, last);
    store_read_fini(read);
    if (more)
        ask_page(request, last);
    else
        request_done(request, error);
}

static void ask_page(struct request *request, str after)
{
    request->read.done = page_read;
    store_owners(request->shard->server->store, request->shard->loop, STR("account"), STR(""), after, PAGE,
                 &request->read);
}

void control_user_list(struct request *request)
{
    ask_page(request, STR(""));
}
