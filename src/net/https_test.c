/* SPDX-License-Identifier: MIT */
/* URLs, answers in whole and in every part, and a document from a server in the simulated network. */
#include "loop/test_world.h"
#include "net/https.h"
#include "net/test_certs.h"

#include <stdio.h>

static struct certs certs;
static struct tls_context *server_context, *client_context;

/* ---- URLs */

static void urls(void **state)
{
    struct https_url url;
    (void)state;
    assert_true(https_url_read(STR("https://Example.org"), &url));
    assert_string_equal(url.host, "Example.org");
    assert_string_equal(url.path, "/");
    assert_int_equal(url.port, 443);
    assert_true(https_url_read(STR("HTTPS://xn--d1acufc.example:8443/a/b.json?c=d"), &url));
    assert_string_equal(url.host, "xn--d1acufc.example");
    assert_string_equal(url.path, "/a/b.json?c=d");
    assert_int_equal(url.port, 8443);
}

static void no_urls(void **state)
{
    static const char *const texts[] = {
        "",
        "https://",
        "https:///path",
        "http://example.org/",
        "https://user@example.org/",
        "https://example.org:0/",
        "https://example.org:65536/",
        "https://example.org:/",
        "https://example.org:443x/",
        "https://127.0.0.1/",
        "https://2130706433/",
        "https://[::1]/",
        "https://example.org/a b",
        "https://example.org/a\r\nHost: x",
        "https://example.org/a#b",
        "https://ex\xc3\xa4mple.org/",
    };
    char long_text[2 * HTTPS_PATH_MAX];
    struct https_url url;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (https_url_read(str_from(texts[i]), &url))
            fail_msg("%s was taken", texts[i]);
    snprintf(long_text, sizeof long_text, "https://example.org/%0*d", HTTPS_PATH_MAX, 0);
    assert_false(https_url_read(str_from(long_text), &url));
    snprintf(long_text, sizeof long_text, "https://%0*da/", DNS_NAME_MAX, 0);
    assert_false(https_url_read(str_from(long_text), &url));
}

/* ---- Answers */

#define OK_LINE "HTTP/1.1 200 OK\r\n"

static void an_answer_in_parts(void **state)
{
    static const char text[] = OK_LINE "Server: x\r\nContent-Length: 5\r\n\r\nhello";
    str body;
    (void)state;
    for (size_t i = 0; i < sizeof text - 1; i++) {
        assert_int_equal(https_answer_read(str_of(text, i), false, &body), ERR_AGAIN);
        if (i > 8)
            assert_int_not_equal(https_answer_read(str_of(text, i), true, &body), OK);
    }
    assert_int_equal(https_answer_read(str_from(text), false, &body), OK);
    assert_true(str_is(body, "hello"));
    assert_int_equal(https_answer_read(STR(OK_LINE "content-length:2\r\n\r\nhello"), false, &body), OK);
    assert_true(str_is(body, "he"));
}

static void an_answer_as_long_as_the_connection(void **state)
{
    str body;
    (void)state;
    assert_int_equal(https_answer_read(STR("HTTP/1.0 200 OK\n\nhello"), false, &body), ERR_AGAIN);
    assert_int_equal(https_answer_read(STR("HTTP/1.0 200 OK\n\nhello"), true, &body), OK);
    assert_true(str_is(body, "hello"));
}

static void no_answers(void **state)
{
    static const struct {
        const char *text;
        enum err err;
    } cases[] = {
        { "", ERR_SYNTAX },
        { "hello", ERR_SYNTAX },
        { "HTTP/2 200 OK\r\n\r\n", ERR_SYNTAX },
        { OK_LINE, ERR_SYNTAX },
        { "HTTP/1.1\r\n\r\n", ERR_SYNTAX },
        { "HTTP/1.1 404 Not Found\r\n\r\n", ERR_NOT_FOUND },
        { "HTTP/1.1 302 Found\r\nLocation: https://elsewhere.example/\r\n\r\n", ERR_NOT_FOUND },
        { OK_LINE "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", ERR_SYNTAX },
        { OK_LINE "Content-Encoding: gzip\r\n\r\nx", ERR_SYNTAX },
        { OK_LINE "Content-Length: x\r\n\r\nx", ERR_SYNTAX },
        { OK_LINE "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", ERR_SYNTAX },
        { OK_LINE "Content-Length: 2\r\n\r\nx", ERR_CLOSED },
        { OK_LINE "Content-Length: 1000000\r\n\r\nx", ERR_LIMIT },
    };
    str body;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_int_equal(https_answer_read(str_from(cases[i].text), true, &body), cases[i].err);
}

static void too_long(void **state)
{
    static char text[32 * 1024];
    str body;
    (void)state;
    memset(text, 'x', sizeof text);
    memcpy(text, OK_LINE "A: ", sizeof OK_LINE "A: " - 1);
    assert_int_equal(https_answer_read(str_of(text, sizeof text), false, &body), ERR_LIMIT);
    memcpy(text, OK_LINE "\r\n", sizeof OK_LINE "\r\n" - 1);
    assert_int_equal(https_answer_read(str_of(text, sizeof text), false, &body), ERR_LIMIT);
}

/* ---- A server */

struct scene {
    struct world world;
    struct dns *dns;
    struct listener listener;
    struct conn conn;
    bool is_connected;
    const char *answer; /* NULL: none */
    char asked[512];
    struct https_get get;
    unsigned told;
};

static void server_data(struct conn *conn, str bytes)
{
    struct scene *scene = CONTAINER_OF(conn, struct scene, conn);
    str_copy(bytes, scene->asked, sizeof scene->asked);
    if (!scene->answer)
        return;
    conn_write(conn, str_from(scene->answer));
    conn_finish(conn, 1000);
}

static void server_closed(struct conn *conn, enum err why)
{
    struct scene *scene = CONTAINER_OF(conn, struct scene, conn);
    (void)why;
    conn_fini(conn);
    scene->is_connected = false;
}

static const struct conn_events server_events = { .data = server_data, .closed = server_closed };

static void accepted(struct listener *listener, struct socket *socket)
{
    struct scene *scene = CONTAINER_OF(listener, struct scene, listener);
    conn_init(&scene->conn, scene->world.loop, socket, &server_events, 1 << 20);
    conn_start_tls(&scene->conn, server_context, NULL, NULL);
    scene->is_connected = true;
}

static void done(struct https_get *get)
{
    struct scene *scene = CONTAINER_OF(get, struct scene, get);
    scene->told++;
    world_done(&scene->world);
}

static void scene_open(struct scene *scene, const char *answer)
{
    static const struct dns_settings settings = { .server = "", .timeout_ms = 1000 };
    memset(scene, 0, sizeof *scene);
    world_open(&scene->world, true, 1);
    scene->dns = dns_new(scene->world.loop, &settings);
    scene->answer = answer;
    scene->listener.accepted = accepted;
    scene->get.done = done;
    assert_int_equal(listener_open(&scene->listener, scene->world.loop, "127.0.0.1", 8443), OK);
    sim_record_add(scene->world.sim, "web.example", "A", "127.0.0.1", 60);
    sim_record_add(scene->world.sim, "other.example", "A", "127.0.0.1", 60);
}

static void scene_close(struct scene *scene)
{
    https_fini(&scene->get);
    listener_close(&scene->listener);
    for (int i = 0; i < 3000 && scene->is_connected; i++)
        sim_advance(scene->world.sim, 1);
    assert_false(scene->is_connected);
    dns_free(scene->dns);
    world_close(&scene->world);
}

static void get(struct scene *scene, const char *text)
{
    struct https_url url;
    unsigned told = scene->told;
    assert_true(https_url_read(str_from(text), &url));
    https_start(&scene->get, scene->world.loop, scene->dns, client_context, &url, 5000);
    assert_int_equal(scene->told, told);
    world_run(&scene->world);
    assert_int_equal(scene->told, told + 1);
}

static void a_document(void **state)
{
    struct scene scene;
    (void)state;
    scene_open(&scene, OK_LINE "Content-Type: application/json\r\n\r\n{}");
    get(&scene, "https://web.example:8443/a.json");
    assert_int_equal(scene.get.err, OK);
    assert_true(str_is(scene.get.body, "{}"));
    assert_non_null(strstr(scene.asked, "GET /a.json HTTP/1.0\r\nHost: web.example:8443\r\n"));
    https_fini(&scene.get);
    get(&scene, "https://web.example:8443/again");
    assert_int_equal(scene.get.err, OK);
    scene_close(&scene);
}

static void another_name_than_its_certificate(void **state)
{
    struct scene scene;
    (void)state;
    scene_open(&scene, OK_LINE "\r\n{}");
    get(&scene, "https://other.example:8443/a.json");
    assert_int_equal(scene.get.err, ERR_TLS);
    assert_string_equal(scene.asked, "");
    scene_close(&scene);
}

static void nobody_there(void **state)
{
    struct scene scene;
    (void)state;
    scene_open(&scene, NULL);
    get(&scene, "https://nowhere.example:8443/a.json");
    assert_int_equal(scene.get.err, ERR_NOT_FOUND);
    https_fini(&scene.get);
    get(&scene, "https://web.example:8444/a.json");
    assert_int_not_equal(scene.get.err, OK);
    https_fini(&scene.get);
    get(&scene, "https://web.example:8443/silent");
    assert_int_equal(scene.get.err, ERR_TIMEOUT);
    scene_close(&scene);
}

static void given_up(void **state)
{
    struct https_url url;
    struct scene scene;
    (void)state;
    scene_open(&scene, OK_LINE "\r\n{}");
    assert_true(https_url_read(STR("https://web.example:8443/"), &url));
    for (int after = 0; after < 20; after++) {
        https_start(&scene.get, scene.world.loop, scene.dns, client_context, &url, 5000);
        for (int i = 0; i < after; i++)
            sim_advance(scene.world.sim, 1);
        https_fini(&scene.get);
        for (int i = 0; i < 3000 && scene.is_connected; i++)
            sim_advance(scene.world.sim, 1);
    }
    scene_close(&scene);
}

static int set_up(void **state)
{
    (void)state;
    certs_open(&certs);
    certs_issue(&certs, "web", "DNS:web.example", 30);
    server_context = certs_server(&certs, "web", false);
    client_context = certs_client(&certs);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tls_context_unref(server_context);
    tls_context_unref(client_context);
    certs_close(&certs);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls),
        cmocka_unit_test(no_urls),
        cmocka_unit_test(an_answer_in_parts),
        cmocka_unit_test(an_answer_as_long_as_the_connection),
        cmocka_unit_test(no_answers),
        cmocka_unit_test(too_long),
        cmocka_unit_test(a_document),
        cmocka_unit_test(another_name_than_its_certificate),
        cmocka_unit_test(nobody_there),
        cmocka_unit_test(given_up),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
