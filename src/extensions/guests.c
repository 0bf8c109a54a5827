/* SPDX-License-Identifier: MIT */
/* XEP-0175 1.2: who has logged in by SASL ANONYMOUS, without an account, speaks to people and services of
 * this server only, unless the configuration lets guests go further (§3). They may answer whoever asks them
 * from elsewhere. That nothing is kept for guests is each extension's business; that nobody can log in so
 * unless a host says `anonymous = true`, c2s's. */
#include "server/component.h"
#include "server/ext.h"

extern const struct ext ext_guests;
static struct ext_slot slot;

struct settings {
    bool remote;
};

static bool is_ours(const struct server *server, str domain)
{
    return server_domain(server, domain) || component_domain_named(server, domain);
}

static bool is_answer(const struct stanza *stanza)
{
    return stanza->type == TYPE_ERROR || (stanza->kind == STANZA_IQ && stanza->type == TYPE_RESULT);
}

static enum hook_ret leaving(struct host *host, struct stanza_event *event)
{
    const struct settings *settings = ext_settings(host, &slot);
    if (!event->user->anonymous || settings->remote || jid_is_none(&event->to) || is_answer(event->stanza) ||
        is_ours(host->server, jid_domain(&event->to)))
        return HOOK_NEXT;
    route_error(event->shard, event->stanza, STANZA_ERROR_FORBIDDEN,
                "guests speak to people of this server only");
    return HOOK_DONE;
}

static const struct ext_hook hooks[] = { HOOK(stanza_from_user, PHASE_GUARD, leaving), { 0 } };

static const struct config_key keys[] = {
    { .name = "remote",
      .type = CONFIG_BOOL,
      CONFIG_FIELD(struct settings, remote),
      .default_text = "false",
      .help = "Whether guests may write to other servers." },
    { 0 },
};

static const struct config_extension config = {
    .name = "guests",
    .help = "Those who log in without an account, where a host lets them (XEP-0175).",
    .size = sizeof(struct settings),
    .keys = keys,
};

const struct ext ext_guests = {
    .slot = &slot,
    .name = "guests",
    .title = "Best Practices for Use of SASL ANONYMOUS",
    .xep = { 175, "1.2" },
    .hooks = hooks,
    .config = &config,
};
