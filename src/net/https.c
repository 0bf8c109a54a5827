/* SPDX-License-Identifier: MIT */
/* An answer is its status line, fields, an empty line and a body. Of the fields two matter: a Content-Length,
 * which tells whether all has come, and a Transfer-Encoding, which nobody may answer HTTP/1.0 with (RFC 9112
 * §6.1). Without a length the body ends with the connection; that nobody cut it short is then known by TLS's
 * close_notify or, since what is asked for is JSON, by its last brace.
 *
 * Why not a library: libcurl brings some twenty others into the process, and reads its certificates from
 * files at times when the server has locked itself up; DNS, TLS, times and limits are here already. */
#include "net/https.h"

#include <stdlib.h>

enum { HEAD_MAX = 8 * 1024, HTTPS_PORT = 443 };

/* ---- URLs */

static bool is_host(str host)
{
    bool any = false;
    for (size_t i = 0; i < host.len; i++) {
        char c = host.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
        any |= letter;
        if (!letter && !(c >= '0' && c <= '9') && c != '.')
            return false;
    }
    return any; /* only digits and points: an address */
}

/* What may stand in a request line, without a fragment. */
static bool is_path(str path)
{
    for (size_t i = 0; i < path.len; i++)
        if (path.p[i] <= ' ' || path.p[i] > '~' || path.p[i] == '#')
            return false;
    return path.len > 0;
}

bool https_url_read(str text, struct https_url *ret)
{
    struct https_url url = { .port = HTTPS_PORT };
    uint64_t port;
    if (!str_eq_nocase(str_sub(text, 0, 8), STR("https://")))
        return false;
    text = str_sub(text, 8, text.len);
    size_t slash = str_find(text, '/');
    str host = str_sub(text, 0, slash);
    str path = slash < text.len ? str_sub(text, slash, text.len) : STR("/");
    size_t colon = str_find(host, ':');
    if (colon < host.len) {
        if (!str_to_u64(str_sub(host, colon + 1, host.len), UINT16_MAX, &port) || !port)
            return false;
        url.port = (uint16_t)port;
        host = str_sub(host, 0, colon);
    }
    if (!is_host(host) || !is_path(path) || !str_copy(host, url.host, sizeof url.host) ||
        !str_copy(path, url.path, sizeof url.path))
        return false;
    *ret = url;
    return true;
}

/* ---- Answers */

static str cut_line(str *rest)
{
    return str_trim(str_cut(rest, '\n'));
}

/* The fields of a head; false when they make the body unreadable. */
static bool read_fields(str head, uint64_t *ret_length)
{
    *ret_length = UINT64_MAX;
    while (head.p && head.len) {
        str line = cut_line(&head), value = line;
        str name = str_cut(&value, ':');
        if (str_eq_nocase(name, STR("transfer-encoding")) || str_eq_nocase(name, STR("content-encoding")))
            return false;
        if (!str_eq_nocase(name, STR("content-length")))
            continue;
        if (*ret_length != UINT64_MAX || !str_to_u64(str_trim(value), UINT32_MAX, ret_length))
            return false;
    }
    return true;
}

/* Where the empty line ends; 0: it has not come. */
static size_t head_end(str answer)
{
    for (size_t i = 0; i + 1 < answer.len; i++) {
        if (answer.p[i] != '\n')
            continue;
        if (answer.p[i + 1] == '\n')
            return i + 2;
        if (answer.p[i + 1] == '\r' && i + 2 < answer.len && answer.p[i + 2] == '\n')
            return i + 3;
    }
    return 0;
}

enum err https_answer_read(str answer, bool ended, str *ret_body)
{
    size_t end = head_end(answer);
    uint64_t length;
    if (!str_starts(STR("HTTP/1."), str_sub(answer, 0, 7)))
        return ERR_SYNTAX;
    if (!end && !ended)
        return answer.len > HEAD_MAX ? ERR_LIMIT : ERR_AGAIN;
    str head = str_sub(answer, 0, end), body = str_sub(answer, end, answer.len);
    str status = cut_line(&head);
    if (!end || status.len < 12 || status.p[8] != ' ')
        return ERR_SYNTAX;
    if (!str_is(str_sub(status, 9, 12), "200"))
        return ERR_NOT_FOUND;
    if (!read_fields(head, &length))
        return ERR_SYNTAX;
    if (body.len > HTTPS_BODY_MAX || (length != UINT64_MAX && length > HTTPS_BODY_MAX))
        return ERR_LIMIT;
    if (length != UINT64_MAX && body.len < length)
        return ended ? ERR_CLOSED : ERR_AGAIN;
    if (length == UINT64_MAX && !ended)
        return ERR_AGAIN;
    *ret_body = str_sub(body, 0, length < body.len ? (size_t)length : body.len);
    return OK;
}

/* ---- The way there */

static void tell(struct task *task)
{
    struct https_get *get = CONTAINER_OF(task, struct https_get, _told);
    get->done(get);
}

static void let_go(struct https_get *get)
{
    timer_stop(&get->_timer);
    dns_cancel(&get->_lookup);
    dns_forget(&get->_lookup);
    dial_cancel(&get->_dial);
    if (get->_is_connected)
        conn_fini(&get->_conn);
    get->_is_connected = false;
    tls_context_unref(get->_tls);
    get->_tls = NULL;
}

static void end(struct https_get *get, enum err err)
{
    if (get->_is_over)
        return;
    get->_is_over = true;
    get->err = err;
    let_go(get);
    loop_defer(get->_loop, &get->_told);
}

static void look(struct https_get *get, bool ended)
{
    enum err err =
        buf_failed(&get->_in) ? ERR_LIMIT : https_answer_read(buf_str(&get->_in), ended, &get->body);
    if (err != ERR_AGAIN)
        end(get, err);
}

static void data(struct conn *conn, str bytes)
{
    struct https_get *get = CONTAINER_OF(conn, struct https_get, _conn);
    buf_add(&get->_in, bytes);
    look(get, false);
}

static void closed(struct conn *conn, enum err why)
{
    struct https_get *get = CONTAINER_OF(conn, struct https_get, _conn);
    if (why == ERR_CLOSED && get->_in.len)
        look(get, true);
    end(get, why == OK ? ERR_CLOSED : why);
}

static void secured(struct conn *conn)
{
    struct https_get *get = CONTAINER_OF(conn, struct https_get, _conn);
    struct buf *out = conn_out(conn);
    buf_addf(out, "GET %s HTTP/1.0\r\nHost: %s", get->_url.path, get->_url.host);
    if (get->_url.port != HTTPS_PORT)
        buf_addf(out, ":%u", get->_url.port);
    buf_addf(out, "\r\nAccept: application/json\r\nUser-Agent: jabiru/%s\r\nConnection: close\r\n\r\n",
             JABIRU_VERSION);
    conn_wrote(conn);
}

static const struct conn_events events = { .data = data, .secured = secured, .closed = closed };

static void dialled(struct dial *dial)
{
    struct https_get *get = CONTAINER_OF(dial, struct https_get, _dial);
    struct socket *socket = dial->socket;
    dial->socket = NULL;
    if (dial->err) {
        end(get, dial->err);
        return;
    }
    conn_init(&get->_conn, get->_loop, socket, &events, 64 * 1024);
    get->_is_connected = true;
    conn_start_tls(&get->_conn, get->_tls, get->_url.host, "http/1.1");
}

static void looked_up(struct dns_lookup *lookup)
{
    struct https_get *get = CONTAINER_OF(lookup, struct https_get, _lookup);
    if (lookup->err) {
        end(get, lookup->err);
        return;
    }
    get->_dial.done = dialled;
    dial_start(&get->_dial, get->_loop, lookup->endpoints, 0, lookup->count, 60 * 1000);
}

static void too_late(struct timer *timer)
{
    end(CONTAINER_OF(timer, struct https_get, _timer), ERR_TIMEOUT);
}

void https_start(struct https_get *get, struct loop *loop, struct dns *dns, struct tls_context *tls,
                 const struct https_url *url, unsigned timeout_ms)
{
    get->_url = *url;
    get->_loop = loop;
    get->_tls = tls_context_ref(tls);
    get->_is_over = false;
    get->body = str_none;
    get->_told.run = tell;
    get->_timer.fired = too_late;
    get->_lookup.done = looked_up;
    buf_init(&get->_in, HEAD_MAX + HTTPS_BODY_MAX + 1);
    timer_start(loop, &get->_timer, timeout_ms);
    dns_find_host(dns, get->_url.host, get->_url.port, &get->_lookup);
}

void https_fini(struct https_get *get)
{
    let_go(get);
    task_cancel(&get->_told);
    buf_fini(&get->_in);
    get->body = str_none;
}
