/* SPDX-License-Identifier: MIT */
/* The second server. It is as real as the first one; its store is never made to fail. */
#include "neighbour.h"

#include "base/mem.h"
#include "server/ext.h"
#include "try.h"

#include <stdio.h>
#include <stdlib.h>

enum { STOP_MS = 15000, CONFIG_MAX = 64 * 1024 };

static const char config_base[] =
    "c2s {\n listen = {\"" NEIGHBOUR_ADDRESS "\"}\n port = \"6222\"\n tls-port = \"0\"\n "
    "require-tls = \"false\"\n insecure-login = \"true\"\n}\n"
    "archive {\n default = \"never\"\n}\n"
    "host \"" NEIGHBOUR_HOST "\" {}\n";

struct neighbour {
    struct store *store;
    struct loop *store_loop;
    struct loop *loops[STAGE_SHARDS_MAX];
    const struct config *config;
    struct server *server;
};

bool neighbour_has(str jid)
{
    str_cut(&jid, '@');
    return jid.p && str_eq(str_cut(&jid, '/'), STR(NEIGHBOUR_HOST));
}

struct store *neighbour_store_of(const struct stage *stage, str jid)
{
    return stage->neighbour && neighbour_has(jid) ? stage->neighbour->store : stage->store;
}

static bool read_config(struct stage *stage, const char *more)
{
    struct buf text;
    struct config_errors errors;
    config_errors_init(&errors);
    buf_init(&text, CONFIG_MAX);
    buf_add(&text, str_from(config_base));
    buf_add(&text, str_from(more));
    bool ok = config_load_text("neighbour", buf_str(&text), ext_configs(try_extensions()), &errors,
                               &stage->neighbour->config) == OK;
    if (!ok)
        snprintf(stage->why, sizeof stage->why, "%s", errors.lines[0]);
    config_errors_fini(&errors);
    buf_fini(&text);
    return ok;
}

bool neighbour_raise(struct stage *stage, const char *more)
{
    struct neighbour *self = stage->neighbour;
    if (!self) {
        self = stage->neighbour = NEW(struct neighbour);
        self->store_loop = sim_loop_new(stage->sim);
        if (store_open("fail:memory:", self->store_loop, stage->why, sizeof stage->why, &self->store) != OK)
            abort();
    }
    if (!read_config(stage, more))
        return false;
    for (unsigned i = 0; i < stage->shards; i++)
        self->loops[i] = sim_loop_new(stage->sim);
    self->server = server_new(self->config, try_extensions(), self->store, self->loops, stage->shards,
                              stage->why, sizeof stage->why);
    return self->server && server_listen(self->server, stage->why, sizeof stage->why) == OK;
}

bool neighbour_strike(struct stage *stage)
{
    struct neighbour *self = stage->neighbour;
    if (!self || !self->server)
        return true;
    server_stop(self->server);
    stage_settle(stage);
    sim_advance(stage->sim, STOP_MS);
    stage_settle(stage);
    bool clean = !self->server->connections && !self->server->s2s_connections && !self->server->commits;
    if (!clean)
        snprintf(stage->why, sizeof stage->why,
                 "the neighbour stopped with %u connections, %u of servers, %u commits",
                 self->server->connections, self->server->s2s_connections, self->server->commits);
    server_free(self->server);
    self->server = NULL;
    for (unsigned i = 0; i < stage->shards; i++)
        loop_free(self->loops[i]);
    config_unref(self->config);
    self->config = NULL;
    return clean;
}

void neighbour_free(struct stage *stage)
{
    struct neighbour *self = stage->neighbour;
    if (!self)
        return;
    store_close(self->store);
    loop_free(self->store_loop);
    free(self);
    stage->neighbour = NULL;
}
