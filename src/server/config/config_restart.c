/* SPDX-License-Identifier: MIT */
/* What a reload can't change: a comparison of two configurations by the rows of the table. It only names
 * keys; that the rest is applied is the reload's duty (server.c). Extensions' keys are compared by whoever
 * owns them. */
#include "server/config/config.h"
#include "server/config/config_value.h"

static size_t add_name(struct buf *names, const char *section, const char *dot, const char *key)
{
    buf_addf(names, "%s%s%s%s", names->len ? ", " : "", section, dot, key);
    return 1;
}

static size_t missing_hosts(const struct config *from, const struct config *in, struct buf *names)
{
    size_t count = 0;
    for (size_t i = 0; i < from->host_count; i++) {
        if (config_host_named(in, str_from(from->hosts[i].name)))
            continue;
        buf_addf(names, "%shost \"%s\"", names->len ? ", " : "", from->hosts[i].name);
        count++;
    }
    return count;
}

static size_t changed_keys(const struct config_section *section, const void *old, const void *new,
                           struct buf *names)
{
    size_t count = 0;
    for (const struct config_key *key = section->keys; key->name; key++)
        if (key->effect == ON_RESTART && !config_value_equal(key, old, new))
            count += add_name(names, section->name, *section->name ? "." : "", key->name);
    return count;
}

size_t config_needs_restart(const struct config *old, const struct config *new, struct buf *names)
{
    size_t count = 0;
    for (const struct config_section *section = config_sections; section->name; section++)
        count += changed_keys(section, old, new, names);
    for (size_t i = 0; i < old->host_count; i++) {
        const struct config_host *same = config_host_named(new, str_from(old->hosts[i].name));
        if (same)
            count += changed_keys(&config_host_section, &old->hosts[i], same, names);
    }
    if (!old->component_count && new->component_count) /* their port is not open */
        count += add_name(names, "component", "", "");
    return count + missing_hosts(old, new, names) + missing_hosts(new, old, names);
}
