/* SPDX-License-Identifier: MIT */
/* Users stand in blocks of --roster + 1 neighbours who all know each other. Each changes its presence, and
 * again when all of its neighbours have seen as many changes as there are neighbours. Deliveries are counted,
 * but not those to the user itself. The time of the change stands in the status. With --subscribe the blocks
 * are made first, by asking for subscriptions and granting all (RFC 6121 section 3). */
#include "programs/jabiru-load/blocks.h"
#include "programs/jabiru-load/modes.h"
#include "programs/jabiru-load/stamp.h"

#include <stdio.h>

#define CHANGE "<presence><status>" STAMP_BLANK "</status></presence>"

enum { STAMP_AT = sizeof "<presence><status>" - 1 };

static unsigned block_size(const struct load *load)
{
    return load->options.roster + 1;
}

static unsigned contacts(const struct load *load, unsigned index)
{
    return block_count(load, index, block_size(load)) - 1;
}

static void change(struct user *user, uint64_t now)
{
    load_sent(user->load, contacts(user->load, user->index));
    load_send_stamped(user, STAMP_AT, now);
}

static void prepare(struct load *load)
{
    char text[256];
    unsigned size = block_size(load);
    if (!load->options.subscribe)
        return;
    for (unsigned i = 0; i < load->options.users; i++) {
        for (unsigned other = block_begin(i, size); other < block_end(load, i, size); other++) {
            if (other == i)
                continue;
            snprintf(text, sizeof text, "<presence type='subscribe' to='%s@%s'/>", load->users[other].name,
                     load->options.domain);
            client_send(&load->users[i].client, str_from(text));
        }
    }
}

static void begin(struct load *load)
{
    unsigned window = load->options.window ? load->options.window : 1;
    for (unsigned i = 0; i < load->options.users; i++) {
        struct user *user = &load->users[i];
        user->text = str_dup(STR(CHANGE));
        user->text_len = sizeof CHANGE - 1;
        user->waiting = contacts(load, i);
        for (unsigned n = 0; n < window && user->waiting; n++)
            change(user, load_now());
    }
}

static void grant(struct user *user, const struct user *asker)
{
    char text[256];
    snprintf(text, sizeof text, "<presence type='subscribed' to='%s@%s'/>", asker->name,
             user->load->options.domain);
    client_send(&user->client, str_from(text));
}

static void delivered(struct user *changer, uint64_t stamp, uint64_t now)
{
    struct load *load = changer->load;
    load_received(load, stamp, now);
    if (--changer->waiting)
        return;
    changer->waiting = contacts(load, changer->index);
    if (load_working(load))
        change(changer, now);
}

static void stanza(struct user *user, const struct xml_node *node)
{
    struct load *load = user->load;
    if (!str_is(node->name, "presence"))
        return;
    arena_reset(&load->arena);
    struct user *from = block_user(load, xml_attr(node, STR("from"), &load->arena));
    str type = xml_attr(node, STR("type"), &load->arena);
    if (!from || from == user)
        return;
    if (str_is(type, "subscribe") && load->options.subscribe)
        grant(user, from);
    if (type.p || load->phase < PHASE_WARM)
        return;
    uint64_t now = load_now();
    str status = xml_child_text(node, STR("status"), str_none, &load->arena);
    uint64_t stamp = stamp_read(status, now);
    if (stamp && from->waiting)
        delivered(from, stamp, now);
}

const struct mode mode_presence = {
    .name = "presence",
    .help = "each user changes its presence, and all of its contacts see it",
    .unit = "deliveries",
    .with_presence = true,
    .settles = true,
    .prepare = prepare,
    .begin = begin,
    .stanza = stanza,
};
