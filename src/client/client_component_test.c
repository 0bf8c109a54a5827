/* SPDX-License-Identifier: MIT */
/* A component's stream against a server that plays a script: what it sends, and how it takes the answers. */
#include "client/client.h"
#include "loop/test_world.h"
#include "xmpp/ns.h"

#define SERVER_HEADER                                                                                        \
    "<stream:stream xmlns='jabber:component:accept' xmlns:stream='" NS_STREAMS "' from='irc.localhost' "     \
    "id='3BF96D32'>"
#define PROOF "<handshake>aaee83c26aeeafcbabeabfcbcd50df997e0a2a1e</handshake>" /* XEP-0114 §3: "test" */

/* The scripted server, and what the component saw. */
struct play {
    struct world world;
    struct listener listener;
    struct conn server;
    bool accepted;
    const char *after_header, *after_proof; /* what the server says then */
    struct buf heard;                       /* by the server */
    struct client client;
    unsigned ready, stanzas;
    enum err why;
    bool closed;
    char reason[40];
};

static struct play *playing;

static bool heard(const struct play *play, const char *words)
{
    str all = buf_str(&play->heard), wanted = str_from(words);
    for (size_t i = 0; i + wanted.len <= all.len; i++)
        if (str_starts(str_sub(all, i, all.len), wanted))
            return true;
    return false;
}

static void say(struct play *play, const char **what)
{
    if (*what)
        conn_write(&play->server, str_from(*what));
    *what = NULL;
}

static void server_data(struct conn *conn, str bytes)
{
    struct play *play = CONTAINER_OF(conn, struct play, server);
    buf_add(&play->heard, bytes);
    if (heard(play, "to='irc.localhost'>"))
        say(play, &play->after_header);
    if (heard(play, "</handshake>"))
        say(play, &play->after_proof);
}

static void server_closed(struct conn *conn, enum err why)
{
    struct play *play = CONTAINER_OF(conn, struct play, server);
    (void)why;
    conn_fini(conn);
    play->accepted = false;
}

static const struct conn_events server_events = { .data = server_data, .closed = server_closed };

static void accepted(struct listener *listener, struct socket *socket)
{
    struct play *play = CONTAINER_OF(listener, struct play, listener);
    conn_init(&play->server, play->world.loop, socket, &server_events, 1 << 20);
    play->accepted = true;
}

static void ready(struct client *client)
{
    playing->ready++;
    assert_string_equal(client_jid(client), "irc.localhost");
    client_send(client, STR("<message from='a@irc.localhost' to='b@localhost'/>"));
}

static void stanza(struct client *client, const struct xml_node *node)
{
    playing->stanzas++;
    assert_true(xml_is(node, STR("message"), STR(NS_COMPONENT)));
    client_close(client);
}

static void closed(struct client *client, enum err why)
{
    playing->closed = true;
    playing->why = why;
    str_copy(str_from(client_reason(client)), playing->reason, sizeof playing->reason);
    world_done(&playing->world);
}

static const struct client_events client_events = { ready, stanza, closed };

static void act(struct play *play, const char *after_header, const char *after_proof)
{
    struct client_settings settings;
    *play = (struct play){ .after_header = after_header, .after_proof = after_proof };
    playing = play;
    world_open(&play->world, true, 1);
    buf_init(&play->heard, 1 << 16);
    play->listener.accepted = accepted;
    assert_int_equal(listener_open(&play->listener, play->world.loop, "127.0.0.1", 5347), OK);
    client_settings_init(&settings, play->world.loop);
    settings.port = 5347;
    settings.domain = "irc.localhost";
    settings.component = true;
    settings.login_timeout_ms = 2000;
    play->client.password = STR("test");
    client_start(&play->client, &settings, &client_events);
    world_run(&play->world);
    if (play->accepted)
        conn_fini(&play->server);
    listener_close(&play->listener);
    sim_advance(play->world.sim, 10);
    world_close(&play->world);
}

static void it_proves_itself_and_speaks(void **state)
{
    struct play play;
    (void)state;
    act(&play, SERVER_HEADER, "<handshake/><message from='b@localhost' to='a@irc.localhost'/>");
    assert_int_equal(play.ready, 1);
    assert_int_equal(play.stanzas, 1);
    assert_int_equal(play.why, OK);
    assert_true(heard(&play, "<stream:stream xmlns='jabber:component:accept'"));
    assert_true(heard(&play, PROOF "<message from='a@irc.localhost' to='b@localhost'/></stream:stream>"));
    buf_fini(&play.heard);
}

static void ends_with(const char *after_header, const char *after_proof, enum err why, const char *reason)
{
    struct play play;
    act(&play, after_header, after_proof);
    assert_int_equal(play.ready, 0);
    assert_int_equal(play.why, why);
    assert_string_equal(play.reason, reason);
    buf_fini(&play.heard);
}

#define STREAM_ERROR(name)                                                                                   \
    "<stream:error><" name " xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>"

static void it_is_refused_with_a_reason(void **state)
{
    (void)state;
    ends_with(SERVER_HEADER STREAM_ERROR("host-unknown"), NULL, ERR_REFUSED, "host-unknown");
    ends_with(SERVER_HEADER, STREAM_ERROR("not-authorized"), ERR_REFUSED, "not-authorized");
    ends_with(SERVER_HEADER, STREAM_ERROR("conflict"), ERR_REFUSED, "conflict");
}

static void it_takes_nothing_else(void **state)
{
    (void)state;
    ends_with(SERVER_HEADER, "<message from='b@localhost' to='a@irc.localhost'/>", ERR_SYNTAX,
              "unexpected-element");
    ends_with(SERVER_HEADER, "<handshake xmlns='jabber:client'/>", ERR_SYNTAX, "unexpected-element");
    ends_with(SERVER_HEADER, "</stream:stream>", ERR_CLOSED, "stream-closed");
    ends_with(SERVER_HEADER, NULL, ERR_TIMEOUT, "login-timeout");
    ends_with("HTTP/1.1 400 Bad Request", NULL, ERR_SYNTAX, "not-well-formed");
    ends_with("<stream:stream xmlns='jabber:component:accept' xmlns:stream='" NS_STREAMS "'>", NULL,
              ERR_TIMEOUT, "login-timeout");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_proves_itself_and_speaks),
        cmocka_unit_test(it_is_refused_with_a_reason),
        cmocka_unit_test(it_takes_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
