/* SPDX-License-Identifier: MIT */
/* Users stand in blocks of --roster + 1 neighbours who all know each other, and say by their capabilities
 * (XEP-0115) that they want to be told of a node. Each publishes an item there, on its own account
 * (XEP-0163), and again when all of its neighbours have been told. Notifications are counted, but not those
 * to the user itself. The time of publishing stands in the item. */
#include "base/base64.h"
#include "base/digest.h"
#include "programs/jabiru-load/blocks.h"
#include "programs/jabiru-load/modes.h"
#include "programs/jabiru-load/stamp.h"

#define NS_PUBSUB "http://jabber.org/protocol/pubsub"
#define NS_EVENT  NS_PUBSUB "#event"
#define NS_INFO   "http://jabber.org/protocol/disco#info"
#define NS_CAPS   "http://jabber.org/protocol/caps"
#define NODE      "urn:example:load"
#define CLIENT    "https://jabiru.example/load"
/* XEP-0115 §5.1: identity and features, in order. */
#define CAPABILITIES "client/bot//jabiru-load<" NS_INFO "<" NODE "+notify<"

#define BEFORE_STAMP                                                                                         \
    "<iq type='set' id='pep'><pubsub xmlns='" NS_PUBSUB "'><publish node='" NODE                             \
    "'><item id='current'><at xmlns='" NODE "'>"
#define BEHIND_STAMP "</at></item></publish></pubsub></iq>"

enum { SHA1_SIZE = 20 };

static unsigned block_size(const struct load *load)
{
    return load->options.roster + 1;
}

static unsigned contacts(const struct load *load, unsigned index)
{
    return block_count(load, index, block_size(load)) - 1;
}

static void ready(struct user *user)
{
    struct arena *arena = &user->load->arena;
    unsigned char hash[DIGEST_MAX_SIZE];
    arena_reset(arena);
    digest_hash(DIGEST_SHA1, STR(CAPABILITIES), hash);
    str version = base64_encode_arena(arena, str_of((const char *)hash, SHA1_SIZE));
    client_send(&user->client, arena_printf(arena,
                                            "<presence><c xmlns='" NS_CAPS "' hash='sha-1' node='" CLIENT
                                            "' ver='%.*s'/></presence>",
                                            STR_ARGS(version)));
}

static void publish(struct user *user, uint64_t now)
{
    load_sent(user->load, contacts(user->load, user->index));
    load_send_stamped(user, sizeof BEFORE_STAMP - 1, now);
}

static void prepare(struct load *load)
{
    (void)load;
}

static void begin(struct load *load)
{
    unsigned window = load->options.window ? load->options.window : 1;
    for (unsigned i = 0; i < load->options.users; i++) {
        struct user *user = &load->users[i];
        user->text = str_dup(STR(BEFORE_STAMP STAMP_BLANK BEHIND_STAMP));
        user->text_len = sizeof BEFORE_STAMP STAMP_BLANK BEHIND_STAMP - 1;
        user->waiting = contacts(load, i);
        for (unsigned n = 0; n < window && user->waiting; n++)
            publish(user, load_now());
    }
}

/* XEP-0030 §3.1: what we are, asked by the server. */
static void tell_capabilities(struct user *user, const struct xml_node *iq)
{
    struct xml_node query;
    struct arena *arena = &user->load->arena;
    if (!xml_child(iq, STR("query"), STR(NS_INFO), &query))
        return;
    str node = xml_attr(&query, STR("node"), arena), id = xml_attr(iq, STR("id"), arena);
    str to = xml_attr(iq, STR("from"), arena);
    client_send(
        &user->client,
        arena_printf(arena,
                     "<iq type='result' id='%.*s' to='%.*s'><query xmlns='" NS_INFO "' node='%.*s'>"
                     "<identity category='client' type='bot' name='jabiru-load'/><feature var='" NS_INFO
                     "'/><feature var='" NODE "+notify'/></query></iq>",
                     STR_ARGS(id), STR_ARGS(to), STR_ARGS(node)));
}

static uint64_t read_stamp(const struct xml_node *message, uint64_t now, struct arena *arena)
{
    struct xml_node event, items, item;
    if (!xml_child(message, STR("event"), STR(NS_EVENT), &event) ||
        !xml_child(&event, STR("items"), STR(NS_EVENT), &items) ||
        !xml_child(&items, STR("item"), STR(NS_EVENT), &item))
        return 0;
    return stamp_read(xml_child_text(&item, STR("at"), STR(NODE), arena), now);
}

static void told(struct user *publisher, uint64_t stamp, uint64_t now)
{
    struct load *load = publisher->load;
    load_received(load, stamp, now);
    if (--publisher->waiting)
        return;
    publisher->waiting = contacts(load, publisher->index);
    if (load_working(load))
        publish(publisher, now);
}

static void message(struct user *user, const struct xml_node *node)
{
    struct load *load = user->load;
    uint64_t now = load_now(), stamp = read_stamp(node, now, &load->arena);
    struct user *from = block_user(load, xml_attr(node, STR("from"), &load->arena));
    if (stamp && from && from != user && from->waiting && load->phase >= PHASE_WARM)
        told(from, stamp, now);
}

static void stanza(struct user *user, const struct xml_node *node)
{
    arena_reset(&user->load->arena);
    if (str_is(node->name, "message"))
        message(user, node);
    if (!str_is(node->name, "iq"))
        return;
    struct head head = load_read_head(node);
    user->load->tally.errors += str_is(head.type, "error");
    if (str_is(head.type, "get"))
        tell_capabilities(user, node);
}

const struct mode mode_pep = {
    .name = "pep",
    .help = "each user publishes to its contacts, again when all have been told",
    .unit = "notifications",
    .answers = true,
    .settles = true,
    .prepare = prepare,
    .begin = begin,
    .stanza = stanza,
    .ready = ready,
};
