/* SPDX-License-Identifier: MIT */
/* Compression: the layer by itself, split at every offset, and bombs that reach a connection. */
#include "loop/test_world.h"
#include "net/conn.h"
#include "net/zip_layer.h"

enum { OUT_MAX = 1 << 20, ROOM = 1 << 20 };

static const struct zip_settings settings = {
    .level = 6, .window_bits = 13, .memory_level = 5, .ratio = 50, .burst = 65536
};

/* Zlib itself as the other end: level 9 and its whole window. */
static str deflated(str plain, int flush, char *room)
{
    z_stream out = {
        .next_in = (Bytef *)plain.p, .avail_in = (uInt)plain.len, .next_out = (Bytef *)room, .avail_out = ROOM
    };
    assert_int_equal(deflateInit(&out, 9), Z_OK);
    assert_true(deflate(&out, flush) >= 0);
    size_t len = ROOM - out.avail_out;
    deflateEnd(&out);
    return str_of(room, len);
}

/* Inflates all of `input`; what comes out is added to `plain`. */
static enum err read_all(struct zip_layer *layer, str input, struct buf *plain)
{
    char room[ZIP_STEP];
    size_t len;
    enum err err = OK;
    while (!err && (input.len || layer->more)) {
        err = zip_layer_read(layer, &input, room, &len);
        assert_true(len <= ZIP_STEP);
        buf_add(plain, str_of(room, len));
    }
    return err;
}

static str some_text(char *room, size_t len)
{
    static const char words[] = "<message to='romeo@example.net'><body>wherefore art thou</body></message>";
    for (size_t i = 0; i < len; i++)
        room[i] = words[(i * i / 97) % (sizeof words - 1)];
    return str_of(room, len);
}

static str noise(char *room, size_t len, unsigned values)
{
    unsigned seed = 7;
    for (size_t i = 0; i < len; i++)
        room[i] = (char)(((seed = seed * 1103515245u + 12345u) >> 16) % values);
    return str_of(room, len);
}

/* ---- The layer */

static void bytes_survive_any_split(void **state)
{
    (void)state;
    static char text_room[700], room[ROOM];
    str text = some_text(text_room, sizeof text_room);
    str input = deflated(text, Z_PARTIAL_FLUSH, room);
    for (size_t at = 0; at <= input.len; at++) {
        struct zip_layer *layer = zip_layer_new(&settings, OUT_MAX);
        struct buf plain;
        buf_init(&plain, ROOM);
        assert_int_equal(read_all(layer, str_sub(input, 0, at), &plain), OK);
        assert_int_equal(read_all(layer, str_sub(input, at, input.len), &plain), OK);
        assert_true(str_eq(buf_str(&plain), text));
        buf_fini(&plain);
        zip_layer_free(layer);
    }
}

static void what_is_written_can_be_read_at_once(void **state)
{
    (void)state;
    static char text_room[100000];
    struct zip_layer *here = zip_layer_new(&settings, 2 * OUT_MAX),
                     *there = zip_layer_new(&settings, OUT_MAX);
    struct buf plain;
    buf_init(&plain, ROOM);
    for (size_t len = 1; len < sizeof text_room; len = len * 3 + 1) {
        str text = some_text(text_room, len);
        for (size_t first = 0; first <= len; first += len / 3 + 1) {
            assert_int_equal(zip_layer_write(here, str_sub(text, 0, first), false), OK);
            assert_int_equal(zip_layer_write(here, str_sub(text, first, len), true), OK);
            assert_int_equal(read_all(there, buf_str(&here->wire), &plain), OK);
            assert_true(str_eq(buf_str(&plain), text));
            buf_clear(&plain);
            here->wire.len = 0;
        }
    }
    buf_fini(&plain);
    zip_layer_free(here);
    zip_layer_free(there);
}

static void a_full_queue_is_told(void **state)
{
    (void)state;
    static char room[8192];
    struct zip_layer *layer = zip_layer_new(&settings, 4096);
    assert_int_equal(zip_layer_write(layer, noise(room, sizeof room, 256), true), ERR_LIMIT);
    zip_layer_free(layer);
}

static void what_is_no_zlib_stream_is_refused(void **state)
{
    (void)state;
    static char room[ROOM];
    char dictionary[64];
    str whole = deflated(STR("all that was to be said"), Z_FINISH, room);
    str cases[] = { STR("<stream:stream>"), STR("\x1f\x8b\x08\x00\x00\x00\x00\x00"), str_none,
                    STR("\x78\x9c\xff\xff\xff\xff") };
    z_stream out = { .next_in = (Bytef *)"x",
                     .avail_in = 1,
                     .next_out = (Bytef *)dictionary,
                     .avail_out = sizeof dictionary };
    assert_int_equal(deflateInit(&out, 9), Z_OK);
    assert_int_equal(deflateSetDictionary(&out, (const Bytef *)"message", 7), Z_OK);
    assert_true(deflate(&out, Z_FINISH) >= 0);
    cases[2] = str_of(dictionary, sizeof dictionary - out.avail_out);
    deflateEnd(&out);
    for (size_t i = 0; i < COUNT_OF(cases) + 1; i++) {
        struct zip_layer *layer = zip_layer_new(&settings, OUT_MAX);
        struct buf plain;
        buf_init(&plain, ROOM);
        if (i < COUNT_OF(cases)) {
            assert_int_equal(read_all(layer, cases[i], &plain), ERR_SYNTAX);
        } else { /* an end in order, and something behind it */
            assert_int_equal(read_all(layer, whole, &plain), OK);
            assert_int_equal(read_all(layer, STR("x"), &plain), ERR_SYNTAX);
        }
        buf_fini(&plain);
        zip_layer_free(layer);
    }
}

/* Spaces become a thousandth: more than one byte in pays for, and more than the credit at the beginning. */
static void bombs_are_limited(void **state)
{
    (void)state;
    static char spaces[ROOM], room[ROOM];
    memset(spaces, ' ', sizeof spaces);
    static const struct {
        size_t len;
        enum err err;
    } cases[] = { { 60000, OK }, { 66000, OK }, { 80000, ERR_LIMIT }, { ROOM, ERR_LIMIT } };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct zip_layer *layer = zip_layer_new(&settings, OUT_MAX);
        struct buf plain;
        buf_init(&plain, 2 * ROOM);
        str input = deflated(str_of(spaces, cases[i].len), Z_PARTIAL_FLUSH, room);
        assert_true(input.len < 1200);
        assert_int_equal(read_all(layer, input, &plain), cases[i].err);
        /* never more than one step beyond what the bytes pay for */
        assert_true(plain.len <= settings.burst + input.len * settings.ratio + ZIP_STEP);
        buf_fini(&plain);
        zip_layer_free(layer);
    }
}

/* More input would pay for what was too much. */
static void an_error_stays(void **state)
{
    (void)state;
    static char spaces[ROOM], room[ROOM], more_room[ROOM], noise_room[4096];
    memset(spaces, ' ', sizeof spaces);
    str bomb = deflated(str_of(spaces, 100000), Z_PARTIAL_FLUSH, room);
    str more = deflated(noise(noise_room, sizeof noise_room, 256), Z_PARTIAL_FLUSH, more_room);
    struct zip_layer *layer = zip_layer_new(&settings, OUT_MAX);
    struct buf plain;
    buf_init(&plain, ROOM);
    assert_int_equal(read_all(layer, bomb, &plain), ERR_LIMIT);
    assert_false(layer->more);
    buf_clear(&plain);
    assert_int_equal(read_all(layer, str_sub(more, 2, more.len), &plain), ERR_LIMIT);
    assert_int_equal(plain.len, 0);
    buf_fini(&plain);
    zip_layer_free(layer);
}

/* Who has said little for long may not say very much at once. */
static void credit_does_not_grow_for_ever(void **state)
{
    (void)state;
    static char text_room[200000], spaces[ROOM], room[ROOM], dense[ROOM];
    noise(text_room, sizeof text_room, 256);
    memset(spaces, ' ', sizeof spaces);
    z_stream out = { .next_in = (Bytef *)text_room,
                     .avail_in = sizeof text_room,
                     .next_out = (Bytef *)dense,
                     .avail_out = ROOM };
    assert_int_equal(deflateInit(&out, 9), Z_OK);
    assert_true(deflate(&out, Z_PARTIAL_FLUSH) >= 0);
    size_t first = ROOM - out.avail_out;
    out.next_in = (Bytef *)spaces;
    out.avail_in = 200000;
    out.next_out = (Bytef *)room;
    out.avail_out = ROOM;
    assert_true(deflate(&out, Z_PARTIAL_FLUSH) >= 0);
    size_t second = ROOM - out.avail_out;
    deflateEnd(&out);
    struct zip_layer *layer = zip_layer_new(&settings, OUT_MAX);
    struct buf plain;
    buf_init(&plain, 2 * ROOM);
    assert_int_equal(read_all(layer, str_of(dense, first), &plain), OK);
    assert_int_equal(plain.len, sizeof text_room);
    assert_int_equal(read_all(layer, str_of(room, second), &plain), ERR_LIMIT);
    buf_fini(&plain);
    zip_layer_free(layer);
}

/* ---- A connection */

struct scene {
    struct world world;
    struct listener listener;
    struct socket_owner owner;
    struct socket *client;
    struct conn server;
    str input;
    size_t sent, told, pieces, largest, turns;
    bool pauses, ends;
    unsigned garbled, closed;
    struct timer later;
    enum err why;
};

static void goes_on(struct timer *timer)
{
    struct scene *scene = CONTAINER_OF(timer, struct scene, later);
    conn_pause(&scene->server, false);
}

static void server_data(struct conn *conn, str bytes)
{
    struct scene *scene = CONTAINER_OF(conn, struct scene, server);
    assert_int_equal(scene->garbled + scene->closed, 0);
    scene->told += bytes.len;
    scene->pieces++;
    if (bytes.len > scene->largest)
        scene->largest = bytes.len;
    if (!scene->pauses)
        return;
    conn_pause(conn, true);
    timer_start(scene->world.loop, &scene->later, 1);
}

static void server_garbled(struct conn *conn, enum err why)
{
    struct scene *scene = CONTAINER_OF(conn, struct scene, server);
    scene->garbled++;
    scene->why = why;
    conn_write(conn, STR("bad"));
    conn_finish(conn, 1000);
}

static void server_closed(struct conn *conn, enum err why)
{
    struct scene *scene = CONTAINER_OF(conn, struct scene, server);
    (void)why;
    scene->closed++;
    conn_fini(conn);
    world_done(&scene->world);
}

static const struct conn_events server_events = { .data = server_data,
                                                  .garbled = server_garbled,
                                                  .closed = server_closed };

static void accepted(struct listener *listener, struct socket *socket)
{
    struct scene *scene = CONTAINER_OF(listener, struct scene, listener);
    conn_init(&scene->server, scene->world.loop, socket, &server_events, OUT_MAX);
    conn_compress(&scene->server, &settings, str_none);
}

static void client_ready(struct socket_owner *owner, unsigned events)
{
    struct scene *scene = CONTAINER_OF(owner, struct scene, owner);
    struct iovec piece = { (char *)scene->input.p + scene->sent, scene->input.len - scene->sent };
    size_t taken = 0;
    if (events & SOCKET_READABLE) {
        char answer[100];
        enum err err = socket_read(scene->client, answer, sizeof answer, &taken);
        if (err && err != ERR_AGAIN) {
            socket_want(scene->client, owner, 0);
            socket_shutdown(scene->client);
        }
        return;
    }
    if (socket_write(scene->client, &piece, 1, &taken) == OK)
        scene->sent += taken;
    if (scene->sent < scene->input.len)
        return;
    if (scene->ends)
        socket_shutdown(scene->client);
    socket_want(scene->client, owner, SOCKET_READABLE);
}

/* A client that ends at once after all was sent; but not if the server pauses: then an end is told first. */
static void play(struct scene *scene, str input, bool pauses)
{
    *scene = (struct scene){ .listener.accepted = accepted,
                             .owner.ready = client_ready,
                             .later.fired = goes_on,
                             .input = input,
                             .pauses = pauses,
                             .ends = !pauses };
    world_open(&scene->world, true, 1);
    assert_int_equal(listener_open(&scene->listener, scene->world.loop, "127.0.0.1", 0), OK);
    assert_int_equal(socket_connect(scene->world.loop, "127.0.0.1", listener_port(&scene->listener),
                                    &scene->owner, &scene->client),
                     OK);
    world_run(&scene->world);
    assert_int_equal(scene->closed, 1);
    socket_close(scene->client);
    timer_stop(&scene->later);
    listener_close(&scene->listener);
    world_close(&scene->world);
}

static void a_bomb_ends_the_connection(void **state)
{
    (void)state;
    static char spaces[ROOM], room[ROOM];
    memset(spaces, ' ', sizeof spaces);
    str bomb = deflated(str_of(spaces, sizeof spaces), Z_PARTIAL_FLUSH, room);
    for (int pauses = 0; pauses < 2; pauses++) {
        struct scene scene;
        play(&scene, bomb, pauses);
        assert_int_equal(scene.garbled, 1);
        assert_true(scene.told <= settings.burst + bomb.len * settings.ratio);
        assert_true(scene.largest <= ZIP_STEP);
        assert_int_equal(scene.why, ERR_LIMIT);
    }
}

/* What became of the last bytes is told before the end is. */
static void much_comes_in_pieces_and_before_the_end(void **state)
{
    (void)state;
    static char text[ROOM], room[ROOM];
    str input = deflated(noise(text, 300000, 16), Z_PARTIAL_FLUSH, room);
    struct scene scene;
    play(&scene, input, false);
    assert_int_equal(scene.garbled, 0);
    assert_int_equal(scene.told, 300000);
    assert_true(scene.pieces >= 300000 / ZIP_STEP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_survive_any_split),
        cmocka_unit_test(what_is_written_can_be_read_at_once),
        cmocka_unit_test(a_full_queue_is_told),
        cmocka_unit_test(what_is_no_zlib_stream_is_refused),
        cmocka_unit_test(bombs_are_limited),
        cmocka_unit_test(an_error_stays),
        cmocka_unit_test(credit_does_not_grow_for_ever),
        cmocka_unit_test(a_bomb_ends_the_connection),
        cmocka_unit_test(much_comes_in_pieces_and_before_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
