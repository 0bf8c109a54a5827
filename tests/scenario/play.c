/* SPDX-License-Identifier: MIT */
/* The language of scenarios: one table of what a line can begin with and one of what a client can do, each
 * with its function. Clients that a line names need no declaration unless they log in. After each thing that
 * is sent the simulation is driven until it is quiet, so "gets" never waits. */
#include "play.h"
#include "fill.h"
#include "neighbour.h"

#include "base/mem.h"
#include "recall.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { SHOWN_MAX = 1 << 20 };

bool play_fail(struct play *play, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s:%u (%u shards%s): ", play->script->file, play->step ? play->step->line : 0,
            play->stage.shards, play->stage.crumbs ? ", crumbs" : "");
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    play->failed = true;
    return false;
}

static void show(const char *what, const struct tree *trees)
{
    struct buf out;
    buf_init(&out, SHOWN_MAX);
    for (; trees; trees = trees->next) {
        tree_write(&out, trees, 1);
        buf_lit(&out, "\n");
    }
    fprintf(stderr, "  %s:\n%.*s", what, (int)out.len, out.len ? out.p : "");
    if (!out.len)
        fputs("    nothing\n", stderr);
    buf_fini(&out);
}

static void free_all(struct tree *trees)
{
    while (trees) {
        struct tree *next = trees->next;
        tree_free(trees);
        trees = next;
    }
}

/* ---- What a client does
 * ------------------------------------------------------------------------------------------------ */

static bool does_send(struct play *play, struct player *player, str what)
{
    struct buf filled, bytes;
    if (!player->socket)
        return play->rough || play_fail(play, "%s is not connected", player->name);
    buf_init(&filled, 16 * SHOWN_MAX);
    buf_init(&bytes, 16 * SHOWN_MAX);
    recall_fill(&filled, what);
    fill_in(play, player, &bytes, buf_str(&filled));
    if (!player->is_component && !player->is_server)
        watch_sent(&player->watch, buf_str(&filled));
    player_send(player, buf_str(&bytes));
    buf_fini(&filled);
    buf_fini(&bytes);
    return true;
}

static int hex(char c)
{
    return isdigit((unsigned char)c) ? c - '0' : (tolower((unsigned char)c) - 'a' + 10) & 15;
}

/* \n, \\ and \xHH are bytes that a script can't hold or show; \*N* repeats the character before it N times in
 * all. */
static void unescape(struct buf *out, str text)
{
    for (size_t i = 0; i < text.len; i++) {
        str rest = str_sub(text, i, text.len);
        uint64_t times;
        if (str_starts(rest, STR("\\n"))) {
            buf_add_char(out, '\n');
            i++;
        } else if (str_starts(rest, STR("\\\\"))) {
            buf_add_char(out, '\\');
            i++;
        } else if (str_starts(rest, STR("\\x")) && rest.len >= 4) {
            buf_add_char(out, (char)(hex(rest.p[2]) * 16 + hex(rest.p[3])));
            i += 3;
        } else if (str_starts(rest, STR("\\*")) && out->len) {
            str count = str_sub(rest, 2, rest.len);
            count = str_cut(&count, '*');
            char c = out->p[out->len - 1];
            i += count.len + 2;
            for (times = str_to_u64(count, SHOWN_MAX, &times) ? times : 1; times > 1; times--)
                buf_add_char(out, c);
        } else {
            buf_add_char(out, text.p[i]);
        }
    }
}

static bool send_raw(struct play *play, struct player *player, str what,
                     void (*send)(struct player *player, str bytes))
{
    struct buf bytes;
    buf_init(&bytes, 4 * SHOWN_MAX);
    unescape(&bytes, what);
    bool ok = player->socket || play->rough || play_fail(play, "%s is not connected", player->name);
    send(player, buf_str(&bytes));
    buf_fini(&bytes);
    return ok;
}

static bool does_send_raw(struct play *play, struct player *player, str what)
{
    return send_raw(play, player, what, player_send);
}

static bool does_send_uncompressed(struct play *play, struct player *player, str what)
{
    return send_raw(play, player, what, player_send_as_is);
}

/* "100 times: TEXT": that many after another. */
static bool write_times(struct play *play, const struct player *player, str what, struct buf *all)
{
    str count = str_cut(&what, ' ');
    uint64_t times;
    buf_init(all, 16 * SHOWN_MAX);
    if (!str_to_u64(count, 10000, &times) || !str_starts(what, STR("times:")))
        return play_fail(play, "how often? write: 100 times: TEXT");
    struct buf once;
    buf_init(&once, SHOWN_MAX);
    unescape(&once, str_trim(str_sub(what, strlen("times:"), what.len)));
    while (times--)
        buf_add(all, buf_str(&once));
    buf_fini(&once);
    return player->socket || play->rough || play_fail(play, "%s is not connected", player->name);
}

static bool does_send_times(struct play *play, struct player *player, str what)
{
    struct buf all;
    bool ok = write_times(play, player, what, &all);
    player_send(player, buf_str(&all));
    buf_fini(&all);
    return ok;
}

static bool does_write_times(struct play *play, struct player *player, str what)
{
    struct buf all;
    bool ok = write_times(play, player, what, &all);
    if (ok && !player_write(player, buf_str(&all)))
        ok = play_fail(play, "the network does not hold so much");
    buf_fini(&all);
    return ok;
}

static bool expected_of(struct play *play, const struct player *player, str what, struct tree **ret)
{
    const char *why;
    *ret = tree_parse(what, player_ns(player), &why);
    if (!*ret || why) {
        free_all(*ret);
        return play_fail(play, "what is expected can't be read: %s", why ? why : "there is no element");
    }
    return true;
}

static bool mismatch(struct play *play, struct player *player, struct tree *expected)
{
    play_fail(play, "%s got something else%s%s", player->name, player->wrong[0] ? "; not XML: " : "",
              player->wrong);
    show("expected", expected);
    show("got", player->first);
    if (!player->socket)
        fputs("    (the connection is closed)\n", stderr);
    return false;
}

static bool does_get(struct play *play, struct player *player, str what)
{
    struct tree *all, *at;
    if (!expected_of(play, player, what, &all))
        return false;
    for (at = all; at; at = at->next) {
        if (!player->first || !tree_matches(at, player->first))
            break;
        struct tree *got = player_take(player);
        free(player->last_id);
        player->last_id = tree_attr(got, "id") ? str_dup(str_from(tree_attr(got, "id"))) : NULL;
        tree_free(got);
    }
    bool ok = !at || mismatch(play, player, at);
    free_all(all);
    return ok;
}

/* Takes the first of what came that matches out of what came; the caller's to free. */
static struct tree *take_match(struct player *player, const struct tree *expected)
{
    struct tree *before = NULL;
    for (struct tree *at = player->first; at; before = at, at = at->next) {
        if (!tree_matches(expected, at))
            continue;
        if (before)
            before->next = at->next;
        else
            player->first = at->next;
        if (player->last == at)
            player->last = before;
        return at;
    }
    return NULL;
}

static void send_answer(struct player *player, const struct tree *request, const char *type, str payload)
{
    struct buf out;
    const char *id = tree_attr(request, "id"), *from = tree_attr(request, "from");
    const char *to = tree_attr(request, "to");
    buf_init(&out, SHOWN_MAX);
    buf_addf(&out, "<iq type='%s' id='%s' to='%s'", type, id ? id : "", from ? from : "");
    if (player->is_component) /* has many addresses */
        buf_addf(&out, " from='%s'", to ? to : "");
    buf_addf(&out, ">%.*s</iq>", STR_ARGS(payload));
    player_send(player, buf_str(&out));
    buf_fini(&out);
}

/* Gets one request, and answers it. */
static bool answer(struct play *play, struct player *player, str what, const char *type, str payload)
{
    struct tree *expected, *request = NULL;
    if (!expected_of(play, player, what, &expected))
        return false;
    if (play->rough || (player->first && tree_matches(expected, player->first)))
        request = take_match(player, expected);
    bool ok = request || play->rough || mismatch(play, player, expected);
    if (request)
        send_answer(player, request, type, payload);
    tree_free(request);
    free_all(expected);
    return ok;
}

/* Cuts what follows "with:" at the beginning of a line off; "" if there is no such line. */
static str cut_payload(str *what)
{
    static const char word[] = "\nwith:";
    const char *found = memmem(what->p, what->len, word, strlen(word));
    if (!found)
        return STR("");
    str payload = str_sub(*what, (size_t)(found - what->p) + strlen(word), what->len);
    what->len = (size_t)(found - what->p);
    return str_trim(payload);
}

static bool does_answer(struct play *play, struct player *player, str what)
{
    str payload = cut_payload(&what);
    return answer(play, player, what, "result", payload);
}

static bool does_refuse(struct play *play, struct player *player, str what)
{
    return answer(play, player, what, "error",
                  STR("<error type='odd'><no-such-condition xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
                      "<x xmlns='urn:x'/></error>"));
}

static bool does_get_in_any_order(struct play *play, struct player *player, str what)
{
    struct tree *all, *at, *match;
    if (!expected_of(play, player, what, &all))
        return false;
    for (at = all; at && (match = take_match(player, at)); at = at->next)
        tree_free(match);
    bool ok = !at || mismatch(play, player, at);
    free_all(all);
    return ok;
}

/* "300: XML": the element is among the next so many. */
static bool does_get_within(struct play *play, struct player *player, str what)
{
    struct tree *expected;
    uint64_t most, place = 0;
    if (!str_to_u64(str_cut(&what, ':'), UINT32_MAX, &most) || !expected_of(play, player, what, &expected))
        return play->failed || play_fail(play, "within what? write: gets within 300: XML");
    const struct tree *at = player->first;
    for (; at && !tree_matches(expected, at); at = at->next)
        place++;
    bool ok = (at && place < most) ||
              play_fail(play, "%s got it in place %llu", player->name, (unsigned long long)place);
    if (at)
        tree_free(take_match(player, expected));
    free_all(expected);
    return ok;
}

static bool does_get_nothing(struct play *play, struct player *player, str what)
{
    (void)what;
    if (player->port && player->incoming.len)
        return play_fail(play, "%s got %zu bytes", player->name, player->incoming.len);
    return (!player->first && !player->wrong[0]) || mismatch(play, player, NULL);
}

/* Of a connection that is no stream. */
static bool does_get_bytes(struct play *play, struct player *player, str what)
{
    struct buf wanted;
    buf_init(&wanted, 4 * SHOWN_MAX);
    unescape(&wanted, what);
    bool ok = str_starts(buf_str(&player->incoming), buf_str(&wanted)) ||
              play_fail(play, "%s got other bytes, %zu of them", player->name, player->incoming.len);
    buf_consume(&player->incoming, wanted.len);
    buf_fini(&wanted);
    return ok;
}

static bool does_get_header(struct play *play, struct player *player, str what)
{
    struct tree *expected = NULL;
    if (!player->header)
        return mismatch(play, player, NULL);
    if (what.len && !expected_of(play, player, what, &expected))
        return false;
    bool ok = !expected || tree_matches(expected, player->header);
    if (!ok) {
        play_fail(play, "%s got another stream header", player->name);
        show("expected", expected);
        show("got", player->header);
    }
    free_all(expected);
    return ok;
}

static bool does_get_features(struct play *play, struct player *player, str what)
{
    return does_get(play, player, what.len ? what : STR("<stream:features>*</stream:features>"));
}

static bool is_over(struct play *play, struct player *player)
{
    if (player->first)
        return mismatch(play, player, NULL);
    if (!player->stream_ended)
        return play_fail(play, "%s got no </stream:stream>%s%s", player->name,
                         player->wrong[0] ? "; not XML: " : "", player->wrong);
    return !player->socket || play_fail(play, "the connection of %s is still open", player->name);
}

/* A condition, and perhaps a text behind it (§4.9.2). */
static bool is_stream_error(const struct tree *error, const struct tree *condition)
{
    static const char ns[] = "urn:ietf:params:xml:ns:xmpp-streams";
    if (!error || !tree_is(error, "http://etherx.jabber.org/streams", "error") || !error->first ||
        !tree_is(error->first, ns, condition->name))
        return false;
    const struct tree *text = error->first->next;
    return !text || (tree_is(text, ns, "text") && !text->next && text->text.len);
}

/* `what` is the condition. */
static bool does_get_stream_error(struct play *play, struct player *player, str what)
{
    struct tree *expected;
    if (!expected_of(play, player, what, &expected))
        return false;
    bool ok = is_stream_error(player->first, expected);
    ok = ok || mismatch(play, player, expected);
    free_all(expected);
    if (!ok)
        return false;
    tree_free(player_take(player));
    return is_over(play, player);
}

static bool is_closed(struct play *play, struct player *player, str what)
{
    (void)what;
    return is_over(play, player);
}

static bool does_close(struct play *play, struct player *player, str what)
{
    (void)what;
    bool there = player->socket != NULL;
    player_send(player, STR("</stream:stream>"));
    if (play->rough)
        player_forget(player);
    /* what does not know that it is not logged in sends a header too many, and can't read the answer */
    return (play->rough && (!there || player->wrong[0])) || is_over(play, player);
}

/* The connection is ended before a stream begins. */
static bool is_refused(struct play *play, struct player *player, str what)
{
    (void)what;
    return (!player->socket && !player->header) || play_fail(play, "%s was not refused", player->name);
}

static bool does_stop_reading(struct play *play, struct player *player, str what)
{
    (void)play;
    (void)what;
    if (player->socket)
        socket_want(player->socket, &player->owner, 0);
    return true;
}

static bool does_read_on(struct play *play, struct player *player, str what)
{
    (void)what;
    if (player->socket)
        socket_want(player->socket, &player->owner, SOCKET_READABLE);
    stage_settle(&play->stage);
    return true;
}

static bool does_cut(struct play *play, struct player *player, str what)
{
    (void)play;
    (void)what;
    player_cut(player);
    return true;
}

static bool does_open(struct play *play, struct player *player, str what)
{
    char *host = str_dup(what.len ? what : STR("localhost"));
    bool ok = login_open(play, player, host);
    free(host);
    return ok || play->rough;
}

static bool is_a_server(struct play *play, struct player *player, str what)
{
    (void)play, (void)what;
    player->is_server = true;
    return true;
}

/* "127.0.0.3:5269" */
static bool does_listen(struct play *play, struct player *player, str what)
{
    uint64_t port = 0;
    char *address = str_dup(str_cut(&what, ':'));
    bool ok = str_to_u64(what, UINT16_MAX, &port) && player_listen(player, address, (uint16_t)port);
    free(address);
    return ok || play_fail(play, "%s can't listen there", player->name);
}

/* "to 7777": that is no port for streams. */
static bool does_open_raw(struct play *play, struct player *player, str what)
{
    uint64_t port = 0;
    if (str_starts(what, STR("to ")) && !str_to_u64(str_sub(what, 3, what.len), UINT16_MAX, &port))
        return play_fail(play, "which port?");
    player->port = (uint16_t)port;
    return player_connect(player) || play_fail(play, "%s can't connect", player->name);
}

static bool does_open_component(struct play *play, struct player *player, str what)
{
    player->is_component = true;
    return login_open_component(play, player, what);
}

static bool does_open_to_components(struct play *play, struct player *player, str what)
{
    (void)what;
    player->is_component = true;
    return does_open_raw(play, player, str_none);
}

static bool does_prove(struct play *play, struct player *player, str what)
{
    return login_handshake(play, player, what);
}

static bool does_send_header(struct play *play, struct player *player, str what)
{
    player_expect_header(player);
    return does_send_raw(play, player,
                         what.len ? what
                                  : STR("<stream:stream to='localhost' version='1.0' xmlns='jabber:client' "
                                        "xmlns:stream='http://etherx.jabber.org/streams'>"));
}

static bool does_log_in(struct play *play, struct player *player, str what)
{
    return login_authenticate(play, player, what, STR("secret")) || play->rough;
}

static bool does_compress(struct play *play, struct player *player, str what)
{
    (void)what;
    return login_compress(play, player, "localhost") || play->rough;
}

static bool does_compress_always(struct play *play, struct player *player, str what)
{
    (void)play;
    (void)what;
    player->wants_zip = true;
    return true;
}

/* A new connection, and the resumption of the session (XEP-0198 §5) of which it has got so many stanzas. */
static bool does_resume(struct play *play, struct player *player, str h)
{
    struct buf text;
    player_leave(player);
    if (!login_again(play, player))
        return false;
    buf_init(&text, 4000);
    buf_addf(&text, "<resume xmlns='urn:xmpp:sm:3' previd='{sm %s}' h='%.*s'/>", player->name, STR_ARGS(h));
    bool ok = does_send(play, player, buf_str(&text));
    buf_fini(&text);
    return ok;
}

static bool is_address(struct play *play, struct player *player, str what)
{
    (void)play;
    free(player->jid);
    player->jid = str_dup(what);
    return true;
}

/* The longer of two that begin alike comes first. */
static const struct {
    str words;
    bool (*act)(struct play *play, struct player *player, str what);
    bool looks; /* does nothing but compare */
} acts[] = {
    { STR_INIT("="), is_address, false },
    { STR_INIT("sends:"), does_send, false },
    { STR_INIT("sends raw:"), does_send_raw, false },
    { STR_INIT("sends uncompressed:"), does_send_uncompressed, false },
    { STR_INIT("sends header:"), does_send_header, false },
    { STR_INIT("sends header"), does_send_header, false },
    { STR_INIT("sends "), does_send_times, false },
    { STR_INIT("writes "), does_write_times, false },
    { STR_INIT("gets:"), does_get, true },
    { STR_INIT("answers:"), does_answer, false },
    { STR_INIT("refuses:"), does_refuse, false },
    { STR_INIT("gets in any order:"), does_get_in_any_order, true },
    { STR_INIT("gets within "), does_get_within, true },
    { STR_INIT("gets bytes:"), does_get_bytes, true },
    { STR_INIT("gets nothing"), does_get_nothing, true },
    { STR_INIT("gets stream header:"), does_get_header, true },
    { STR_INIT("gets stream header"), does_get_header, true },
    { STR_INIT("gets features:"), does_get_features, true },
    { STR_INIT("gets features"), does_get_features, true },
    { STR_INIT("gets stream error:"), does_get_stream_error, true },
    { STR_INIT("is closed with"), does_get_stream_error, true },
    { STR_INIT("is closed"), is_closed, true },
    { STR_INIT("is refused"), is_refused, true },
    { STR_INIT("is a server"), is_a_server, false },
    { STR_INIT("listens at"), does_listen, false },
    { STR_INIT("closes"), does_close, false },
    { STR_INIT("compresses its streams"), does_compress_always, false },
    { STR_INIT("compresses"), does_compress, false },
    { STR_INIT("cuts"), does_cut, false },
    { STR_INIT("stops reading"), does_stop_reading, false },
    { STR_INIT("reads on"), does_read_on, false },
    { STR_INIT("opens raw to components"), does_open_to_components, false },
    { STR_INIT("opens raw"), does_open_raw, false },
    { STR_INIT("opens component"), does_open_component, false },
    { STR_INIT("proves"), does_prove, false },
    { STR_INIT("opens to"), does_open, false },
    { STR_INIT("opens"), does_open, false },
    { STR_INIT("logs in as"), does_log_in, false },
    { STR_INIT("resumes from"), does_resume, false },
};

/* The store fails: what came is not judged, but the words in it are wanted later. */
static bool only_remember(struct play *play, struct player *player, str what)
{
    struct tree *all;
    if (str_find(what, '{') == what.len || !expected_of(play, player, what, &all))
        return true;
    for (const struct tree *at = all; at; at = at->next)
        for (const struct tree *got = player->first; got; got = got->next)
            if (tree_matches(at, got))
                break;
    free_all(all);
    return true;
}

static bool act(struct play *play, str text)
{
    str rest = str_trim(text);
    size_t space = str_find(rest, ' ');
    str name = str_sub(rest, 0, space);
    rest = str_trim(str_sub(rest, space, rest.len));
    for (size_t i = 0; i < COUNT_OF(acts); i++)
        if (str_starts(rest, acts[i].words)) {
            struct player *player = player_of(&play->stage, name);
            rest = str_trim(str_sub(rest, acts[i].words.len, rest.len));
            return play->rough && acts[i].looks ? only_remember(play, player, rest)
                                                : acts[i].act(play, player, rest);
        }
    return play_fail(play, "no such step: %.*s", STR_ARGS(text));
}

/* ---- What happens on the stage
 * ------------------------------------------------------------------------------------------ */

static bool accounts(struct play *play, str list)
{
    while (list.len)
        stage_add_account(&play->stage, str_trim(str_cut(&list, ',')));
    return true;
}

static bool each_client(struct play *play, str list, bool (*does)(struct play *, struct player *))
{
    bool ok = true;
    while (ok && list.len)
        ok = does(play, player_of(&play->stage, str_trim(str_cut(&list, ','))));
    return ok;
}

/* One failure of the store may cost one try to log in, and no more. */
static bool connects_one(struct play *play, struct player *player)
{
    return login_connect(play, player) ||
           (play->rough && (login_connect(play, player) || play_fail(play, "%s can't log in", player->name)));
}

static bool brings_online(struct play *play, struct player *player)
{
    return login_online(play, player) ||
           (play->rough && (login_online(play, player) || play_fail(play, "%s can't log in", player->name)));
}

static bool connects(struct play *play, str list)
{
    return each_client(play, list, connects_one);
}

static bool comes_online(struct play *play, str list)
{
    return each_client(play, list, brings_online);
}

/* "x = irc.localhost secret s" */
static bool component(struct play *play, str rest)
{
    str name = str_trim(str_cut(&rest, '='));
    rest = str_trim(rest);
    str domain = str_cut(&rest, ' ');
    if (!rest.p || !str_starts(rest, STR("secret ")))
        return play_fail(play, "write component NAME = DOMAIN secret SECRET");
    struct player *player = player_of(&play->stage, name);
    player->is_component = true;
    return login_open_component(play, player, domain) &&
           login_handshake(play, player, str_trim(str_sub(rest, strlen("secret "), rest.len))) &&
           (play->rough || does_get(play, player, STR("<handshake/>")));
}

/* "_xmpp-server._tcp.example.org SRV 0 0 5269 xmpp.example.org" */
static bool dns(struct play *play, str rest)
{
    bool silent = str_is(rest, "is silent");
    if (silent || str_is(rest, "answers")) {
        sim_set_dns_silent(play->stage.sim, silent);
        return true;
    }
    char *name = str_dup(str_cut(&rest, ' ')), *type = str_dup(str_cut(&rest, ' ')),
         *data = str_dup(str_trim(rest));
    sim_record_add(play->stage.sim, name, type, data, 60);
    free(name);
    free(type);
    free(data);
    return true;
}

static bool neighbour_stops(struct play *play, str rest)
{
    (void)rest;
    return neighbour_strike(&play->stage) || play_fail(play, "%s", play->stage.why);
}

static bool ignores(struct play *play, struct player *player)
{
    (void)play;
    player_forget(player);
    return true;
}

static bool ignore(struct play *play, str list)
{
    return each_client(play, list, ignores);
}

static bool waits(struct play *play, str time)
{
    uint64_t count, unit_ms = str_ends(time, STR("ms"))  ? 1
                              : str_ends(time, STR("s")) ? 1000
                              : str_ends(time, STR("m")) ? 60000
                                                         : 3600000;
    if (!str_to_u64(str_sub(time, 0, time.len - (unit_ms == 1 ? 2 : 1)), 1000000, &count))
        return play_fail(play, "how long? write 10ms, 10s, 10m or 10h");
    sim_advance(play->stage.sim, count * unit_ms);
    stage_settle(&play->stage);
    return true;
}

/* The server is stopped; the next step starts another one on the same store. */
static bool stop(struct play *play, str rest)
{
    (void)rest;
    if (!promises_kept(play))
        return false;
    return stage_strike(&play->stage) || play_fail(play, "%s", play->stage.why);
}

static bool restart(struct play *play, str rest)
{
    if (!stop(play, rest))
        return false;
    list_each (at, &play->stage.players)
        player_forget(LIST_ITEM(at, struct player, link));
    return true;
}

static bool nobody_gets_anything(struct play *play, str rest)
{
    bool ok = true;
    (void)rest;
    stage_settle(&play->stage);
    list_each (at, &play->stage.players)
        ok = (play->rough || does_get_nothing(play, LIST_ITEM(at, struct player, link), str_none)) && ok;
    return ok;
}

/* OWNER KIND KEY: VALUE, straight into the store. */
static bool adds_row(struct play *play, str rest)
{
    str owner = str_cut(&rest, ' '), kind = str_cut(&rest, ' ');
    size_t end = 0; /* a key may have a colon, too */
    while (end + 1 < rest.len && (rest.p[end] != ':' || (rest.p[end + 1] != ' ' && rest.p[end + 1] != '\n')))
        end++;
    stage_add_row(&play->stage, owner, kind, str_sub(rest, 0, end),
                  str_trim(str_sub(rest, end + 1, rest.len)));
    return true;
}

static bool store_fails(struct play *play, str which)
{
    str nth = which, what = str_cut(&nth, ' ');
    enum store_fail_call call = str_is(what, "read") ? FAIL_READ : FAIL_COMMIT;
    uint64_t number = 1;
    if (which.len && !str_is(what, "read") && !str_is(what, "write"))
        return play_fail(play, "what fails: read, or write?");
    if (nth.len && !str_to_u64(nth, 1000, &number))
        return play_fail(play, "which one fails? write 2 for the second");
    if (play->rough)
        return true;
    if (which.len)
        store_fail_nth(play->stage.store, call, (unsigned)number, ERR_IO);
    else
        store_fail_from(play->stage.store, FAIL_ANY, 1, ERR_IO);
    return true;
}

/* 0ms: at once again. */
static bool store_takes(struct play *play, str time)
{
    uint64_t ms;
    if (!str_ends(time, STR("ms")) || !str_to_u64(str_sub(time, 0, time.len - 2), 1000000, &ms))
        return play_fail(play, "how long? write 100ms");
    store_fail_delay(play->stage.store, (unsigned)ms);
    return true;
}

static bool store_works(struct play *play, str rest)
{
    (void)rest;
    if (!play->rough)
        store_fail_nth(play->stage.store, FAIL_ANY, 0, OK);
    return true;
}

static const struct {
    str words;
    bool (*happen)(struct play *play, str rest);
} happenings[] = {
    { STR_INIT("dns "), dns },
    { STR_INIT("neighbour stops"), neighbour_stops },
    { STR_INIT("account "), accounts },
    { STR_INIT("component "), component },
    { STR_INIT("connect "), connects },
    { STR_INIT("online "), comes_online },
    { STR_INIT("ignore "), ignore },
    { STR_INIT("wait "), waits },
    { STR_INIT("row "), adds_row },
    { STR_INIT("store fails"), store_fails },
    { STR_INIT("store works"), store_works },
    { STR_INIT("store takes "), store_takes },
    { STR_INIT("restart"), restart },
    { STR_INIT("stop"), stop },
    { STR_INIT("nobody gets anything"), nobody_gets_anything },
};

bool play_step(struct play *play, const struct step *step)
{
    str text = str_from(step->text ? step->text : "");
    play->step = step;
    if (step->is_neighbour)
        return neighbour_raise(&play->stage, text.p) ||
               play_fail(play, "the neighbour does not start: %s", play->stage.why);
    if (step->is_config) {
        buf_clear(&play->stage.config_more);
        buf_add(&play->stage.config_more, text);
        return !play->stage.server ||
               play_fail(play, "a config must stand before the first step, or after a restart");
    }
    if (!stage_raise(&play->stage))
        return play_fail(play, "the server does not start: %s", play->stage.why);
    for (size_t i = 0; i < COUNT_OF(happenings); i++)
        if (str_starts(text, happenings[i].words))
            return happenings[i].happen(play, str_trim(str_sub(text, happenings[i].words.len, text.len)));
    return act(play, text);
}

bool play_end(struct play *play)
{
    return nobody_gets_anything(play, str_none) && promises_kept(play) &&
           (!play->rough || promises_answer(play));
}
