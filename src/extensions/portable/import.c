/* SPDX-License-Identifier: MIT */
/* An account made of XEP-0227's <user/>, which import_user.c reads: its rows are written with the account
 * (account.h), so that it comes whole or not at all, and never over one that is there.
 *
 * A user without credentials gets a password that nobody knows. */
#include "extensions/portable/import.h"

#include "base/rand.h"

enum { PASSWORD_SIZE = 33 };

static struct host *host_of(const struct request *request)
{
    return server_host(request->shard->server, jid_domain(&request->jid));
}

static void made(struct account_job *job)
{
    struct request *request = CONTAINER_OF(job, struct request, job);
    request_done(request, job->err == OK           ? NULL
                          : job->err == ERR_EXISTS ? "the account exists already"
                                                   : err_text(job->err));
}

static void start(struct request *request, struct importing *importing, const struct xml_node *user)
{
    struct arena *arena = importing->arena;
    str given = xml_attr(user, STR("password"), arena), prepared;
    char random[PASSWORD_SIZE];
    request->job = (struct account_job){ .shard = request->shard,
                                         .host = host_of(request),
                                         .jid = request->jid,
                                         .rows = importing->batch,
                                         .rows_kept = true,
                                         .done = made };
    store_del_all(importing->batch, import_owner(importing), STR("reserved"));
    if (importing->has_keys) {
        request->job.keys = scram_keys_write(&importing->keys, arena);
        if (importing->disabled)
            request->job.keys = arena_printf(arena, ACCOUNT_DISABLED "%.*s", STR_ARGS(request->job.keys));
    } else if (given.len && jid_prepare_password(given, arena, &prepared) == OK) {
        request->job.password = prepared;
    } else {
        rand_token(random, sizeof random);
        request->job.password = str_from(random);
        buf_addf(&request->answer, "%.*s: has no password: jabiructl user passwd sets one\n",
                 STR_ARGS(import_owner(importing)));
    }
    account_start(&request->job, ACCOUNT_MAKE);
    mem_wipe(random, sizeof random);
    mem_wipe(&importing->keys, sizeof importing->keys);
}

bool import_begin(struct request *request, struct import_document *document, struct importing *ret)
{
    const struct server *server = request->shard->server;
    const char *fault = import_document_read(request->body, &request->arena, document, &request->word);
    if (fault) {
        request_done(request, fault);
        return false;
    }
    if (!request_account(request))
        return false;
    *ret = (struct importing){ .arena = &request->arena,
                               .jid = request->jid,
                               .answer = &request->answer,
                               .now_ms = loop_wall_ms(request->shard->loop),
                               .roster_max = server->config->limits.roster_items,
                               .has_search = archive_settings(host_of(request))->search };
    return true;
}

void portable_import(struct request *request)
{
    struct import_document document;
    struct importing importing;
    if (!import_begin(request, &document, &importing))
        return;
    importing.batch = store_batch_new();
    if (!str_is(request->extra, "archive")) /* else it came before */
        store_del_all(importing.batch, request->jid.full, STR(ARCHIVE_KIND));
    import_user(&importing, &document.user);
    start(request, &importing, &document.user);
    nodes_fini(&importing.nodes);
}
