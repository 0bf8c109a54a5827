/* SPDX-License-Identifier: MIT */
/* What the administrator wants of another domain: lists of names in the configuration, looked through when a
 * stream is made. They are for exceptions, and short. */
#include "server/s2s/s2s.h"

bool s2s_listed(const struct config_list *list, str domain)
{
    for (size_t i = 0; i < list->count; i++) {
        str item = str_from(list->items[i]);
        if (str_is(item, "*") || str_eq_nocase(item, domain))
            return true;
        if (str_starts(item, STR("*.")) && domain.len > item.len - 1 &&
            str_eq_nocase(str_sub(domain, domain.len - (item.len - 1), domain.len),
                          str_sub(item, 1, item.len)))
            return true;
    }
    return false;
}

struct s2s_policy s2s_policy_for(const struct config *config, str domain)
{
    const struct config_s2s *s2s = &config->s2s;
    bool allowed = !s2s->allow.count || s2s_listed(&s2s->allow, domain);
    bool certificate = s2s->require_certificate || s2s_listed(&s2s->with_certificate, domain);
    return (struct s2s_policy){
        .refused = !allowed || s2s_listed(&s2s->block, domain),
        .require_tls = certificate || (s2s->require_tls && !s2s_listed(&s2s->without_tls, domain)),
        .require_certificate = certificate,
        /* With DANE a server whose certificate no CA has signed may still prove itself: who is asked about
         * its key has to show a good certificate then (s2s_out.c). */
        .dialback = s2s->dialback && (!certificate || s2s->dane),
    };
}
