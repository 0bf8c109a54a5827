/* SPDX-License-Identifier: MIT */
/* What the server makes of the list of extensions when it starts: a place for each in users, sessions and the
 * configuration, the hooks in the order of their phases, and the kinds of rows that a waking user loads. */
#include "server/ext.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Handlers of one hook, in their order. */
struct hook_row {
    const struct ext *ext;
    const struct ext_hook *hook;
};

struct hook_list {
    struct hook_row *rows;
    size_t count;
};

struct ext_features {
    struct ext_features *older;
    size_t len;
    char text[];
};

enum { FEATURES_BYTES_MAX = 64 * 1024 };

const struct config_extension *const *ext_configs(const struct ext *const *list)
{
    static const struct config_extension *configs[EXT_MAX + 1];
    unsigned count = 0, index = 0;
    for (; list[index]; index++) {
        assert(index < EXT_MAX);
        list[index]->slot->index = index;
        if (!list[index]->config)
            continue;
        list[index]->slot->config = count;
        configs[count++] = list[index]->config;
    }
    configs[count] = NULL;
    return configs;
}

/* Not for the widest type that there is: that would cost every session some bytes for each extension. */
static size_t aligned(size_t size)
{
    size_t unit = _Alignof(uint64_t);
    return (size + unit - 1) / unit * unit;
}

static void lay_out(struct server *server)
{
    struct buf rows;
    size_t user = aligned(sizeof(struct user)), session = aligned(sizeof(struct session)),
           shard = aligned(sizeof(struct shard));
    buf_init(&rows, 4096);
    buf_lit(&rows, "account,request,roster");
    for (const struct ext *const *ext = server->extensions; *ext; ext++) {
        (*ext)->slot->user = user;
        (*ext)->slot->session = session;
        (*ext)->slot->shard = shard;
        user += aligned((*ext)->user_size);
        session += aligned((*ext)->session_size);
        shard += aligned((*ext)->shard_size);
        if ((*ext)->user_rows)
            buf_addf(&rows, ",%s", (*ext)->user_rows);
    }
    server->user_size = user;
    server->session_size = session;
    server->shard_size = shard;
    server->user_rows = str_dup(buf_str(&rows));
    buf_fini(&rows);
}

static void add_hooks(struct server *server, const struct ext *ext, enum hook_phase phase)
{
    for (const struct ext_hook *hook = ext->hooks; hook && hook->id; hook++) {
        struct hook_list *list = &server->hooks[hook->id];
        if (hook->phase != phase)
            continue;
        list->rows = xrealloc(list->rows, (list->count + 1) * sizeof *list->rows);
        list->rows[list->count++] = (struct hook_row){ ext, hook };
    }
}

void ext_set_up(struct server *server)
{
    ext_configs(server->extensions);
    lay_out(server);
    server->hooks = xcalloc(HOOK_COUNT, sizeof *server->hooks);
    for (enum hook_phase phase = PHASE_GUARD; phase <= PHASE_OBSERVE; phase++)
        for (const struct ext *const *ext = server->extensions; *ext; ext++)
            add_hooks(server, *ext, phase);
}

void ext_shard_fini(struct shard *shard)
{
    for (const struct ext *const *ext = shard->server->extensions; *ext; ext++)
        if ((*ext)->shard_fini)
            (*ext)->shard_fini(shard);
}

void ext_set_fini(struct server *server)
{
    for (size_t i = 0; server->hooks && i < HOOK_COUNT; i++)
        free(server->hooks[i].rows);
    free(server->hooks);
    free(server->user_rows);
}

/* Those of before a reload stay: another shard may be writing them right now. */
static void write_features(struct host *host)
{
    struct ext_features *older = atomic_load(&host->_features);
    struct buf out;
    buf_init(&out, FEATURES_BYTES_MAX);
    for (const struct ext *const *ext = host->server->extensions; *ext; ext++)
        if ((*ext)->stream_features && ext_is_on(host, *ext))
            (*ext)->stream_features(host, &out);
    if (!older || !str_eq(buf_str(&out), ext_features(host))) {
        struct ext_features *fresh = xmalloc(sizeof *fresh + out.len);
        *fresh = (struct ext_features){ .older = older, .len = out.len };
        if (out.len)
            memcpy(fresh->text, out.p, out.len);
        atomic_store(&host->_features, fresh);
    }
    buf_fini(&out);
}

str ext_features(const struct host *host)
{
    const struct ext_features *features = atomic_load_explicit(&host->_features, memory_order_acquire);
    return (str){ features->text, features->len };
}

void ext_host_fini(struct host *host)
{
    struct ext_features *older;
    for (struct ext_features *at = atomic_load(&host->_features); at; at = older) {
        older = at->older;
        free(at);
    }
}

void ext_switch(struct host *host)
{
    const struct config_list *off = &host->config->extensions_off;
    uint64_t bits = 0;
    for (const struct ext *const *ext = host->server->extensions; *ext; ext++)
        for (size_t i = 0; i < off->count; i++)
            if (!strcmp(off->items[i], (*ext)->name))
                bits |= UINT64_C(1) << (*ext)->slot->index;
    atomic_store(&host->ext_off, bits);
    write_features(host);
}

#define X(name, event)                                                                                       \
    enum hook_ret fire_##name(struct host *host, event *data)                                                \
    {                                                                                                        \
        const struct hook_list *list = &host->server->hooks[HOOK_##name];                                    \
        for (size_t i = 0; i < list->count; i++)                                                             \
            if (ext_is_on(host, list->rows[i].ext) &&                                                        \
                list->rows[i].hook->call.name(host, data) == HOOK_DONE)                                      \
                return HOOK_DONE;                                                                            \
        return HOOK_NEXT;                                                                                    \
    }
HOOKS(X)
#undef X
