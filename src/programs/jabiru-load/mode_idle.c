/* SPDX-License-Identifier: MIT */
/* Users log in and hold their sessions. With --sm they enable stream management (XEP-0198) first and answer
 * the server's requests for acknowledgement; with --pep each publishes one item at each of so many nodes of
 * its account (XEP-0163), of the size of a list of OMEMO devices: when all are there, --parallel of them at a
 * time. What that takes is over when it is counted. */
#include "programs/jabiru-load/managed.h"
#include "programs/jabiru-load/modes.h"

#include <stdlib.h>

#define NS_PUBSUB "http://jabber.org/protocol/pubsub"

static struct {
    struct managed *managed; /* of each user; NULL without --sm */
    uint64_t next;           /* which publication is begun next */
    uint64_t published;      /* answers */
} idle;

static void open_idle(struct load *load)
{
    if (!load->options.sm)
        return;
    idle.managed = xcalloc(load->options.users, sizeof *idle.managed);
    for (unsigned i = 0; i < load->options.users; i++)
        managed_init(&idle.managed[i]);
}

static void close_idle(struct load *load)
{
    for (unsigned i = 0; idle.managed && i < load->options.users; i++)
        managed_drop(&idle.managed[i], NULL);
    free(idle.managed);
}

static void say(struct user *user, str stanza)
{
    if (idle.managed)
        managed_send(&idle.managed[user->index], &user->client, stanza, MANAGED_UNTAGGED);
    else
        client_send(&user->client, stanza);
}

static uint64_t publications(const struct load *load)
{
    return (uint64_t)load->options.users * load->options.pep;
}

static void publish_next(struct load *load)
{
    if (idle.next >= publications(load))
        return;
    uint64_t number = idle.next++;
    arena_reset(&load->arena);
    say(&load->users[number / load->options.pep],
        arena_printf(&load->arena,
                     "<iq type='set' id='pep'><pubsub xmlns='" NS_PUBSUB "'><publish "
                     "node='urn:example:load:%u'><item id='current'><list xmlns='urn:example:load'>"
                     "<device id='1234567890'/><device id='234567890'/><device id='34567890'/></list></item>"
                     "</publish></pubsub></iq>",
                     (unsigned)(number % load->options.pep)));
}

static void ready(struct user *user)
{
    if (idle.managed)
        managed_ready(&idle.managed[user->index], &user->client, NULL);
    if (!user->load->options.no_presence)
        say(user, STR("<presence/>"));
}

static void stanza(struct user *user, const struct xml_node *node)
{
    if (idle.managed && managed_element(&idle.managed[user->index], &user->client, node))
        return;
    struct head head = load_read_head(node);
    if (!str_is(node->name, "iq") || !str_is(head.id, "pep"))
        return;
    idle.published++;
    user->load->tally.errors += str_is(head.type, "error");
    publish_next(user->load);
}

static void prepare(struct load *load)
{
    for (unsigned i = 0; i < load->options.parallel; i++)
        publish_next(load);
}

static bool is_settled(const struct load *load)
{
    return idle.published == publications(load);
}

const struct mode mode_idle = {
    .name = "idle",
    .help = "log in and hold the sessions",
    .unit = "stanzas",
    .holds = true,
    .settles = true,
    .open = open_idle,
    .prepare = prepare,
    .is_settled = is_settled,
    .close = close_idle,
    .stanza = stanza,
    .ready = ready,
};
