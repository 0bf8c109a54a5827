/* SPDX-License-Identifier: MIT */
/* user import: reads XEP-0227's document with the scanner of the server's own streams, which holds one
 * element at a time: the start tags of <server-data/>, <host/>, <user/> and <archive/> are taken for headers
 * of streams, so that what is held is one user but for its archive. That is sent to the server in parts as it
 * comes, and then the user, each in a document of its own.
 *
 * Files that are named by XInclude are read for hosts, users and children of users, below the folder of the
 * file that names them. Comments and a DTD are refused, as on a stream. Elements whose names have prefixes
 * are read whole. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "door.h"
#include "transfer.h"
#include "xml/scan.h"
#include "xml/write.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NS_PIE      "urn:xmpp:pie:0"
#define NS_PIE_MAM  "urn:xmpp:pie:0#mam"
#define NS_XINCLUDE "http://www.w3.org/2001/XInclude"

enum { USER_MAX = 64 << 20, PART = 256 * 1024, READ = 65536, PATH_BYTES = 4096, ANSWER_LINE = 4096 };

static const struct scan_limits limits = { USER_MAX, SCAN_DEPTH_MAX, SCAN_ATTRIBUTES_MAX, UINT16_MAX };

struct in {
    const char *socket;
    size_t made, failed;
    bool unreachable;
};

/* A file that is being read. */
struct source {
    struct in *in;
    const char *path;
    FILE *file;
    struct buf bytes;
    bool end;
};

static bool complain(const char *path, const char *what)
{
    fprintf(stderr, "jabiructl: %s: %s\n", path, what);
    return false;
}

/* ---- To the server
 * ---------------------------------------------------------------------------------------------------------
 */

/* Reads the answer; true if it is good. */
static bool read_answer(struct in *in, int fd)
{
    char line[ANSWER_LINE];
    FILE *from = fdopen(fd, "r");
    bool good = false;
    in->unreachable = true; /* until the last line is there */
    while (from && in->unreachable && fgets(line, sizeof line, from)) {
        good = !strcmp(line, "ok\n");
        in->unreachable = !good && strncmp(line, "error: ", 7) != 0;
        if (!good)
            fprintf(stderr, "%s%s", in->unreachable ? "" : "jabiructl: ", line);
    }
    if (from)
        fclose(from);
    return good;
}

/* Sends a document with one host; false if the server did not take it. */
static bool send_document(struct in *in, const char *command, const char *extra, const struct buf *body)
{
    struct buf head;
    bool taken = false;
    buf_init(&head, ANSWER_LINE);
    buf_addf(&head, "%s %zu\n%s%s\n", command, body->len, extra, *extra ? "\n" : "");
    int fd = buf_failed(body) ? -1 : door_connect(in->socket);
    in->unreachable = fd < 0 && !buf_failed(body);
    if (buf_failed(body))
        fputs("jabiructl: an account is too large\n", stderr);
    if (fd >= 0) {
        bool sent = door_write(fd, head.p, head.len) && door_write(fd, body->p, body->len);
        taken = read_answer(in, fd) && sent;
    }
    buf_fini(&head);
    return taken;
}

/* `declarations`: of prefixes that what follows may use. */
static void begin_document(struct buf *body, str host, str declarations)
{
    buf_init(body, USER_MAX);
    buf_lit(body, "<server-data xmlns='" NS_PIE "'><host");
    xml_write_attr(body, "jid", host);
    buf_add(body, declarations);
    buf_add_char(body, '>');
}

static void wipe(struct buf *buf)
{
    if (buf->len)
        mem_wipe(buf->p, buf->len);
    buf_fini(buf);
}

/* Counts an account. False if there is no sense in going on. */
static bool count(struct in *in, bool made)
{
    in->made += made;
    in->failed += !made;
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r%zu accounts made, %zu not", in->made, in->failed);
    return !in->unreachable;
}

/* A whole <user/>. `extra`: "archive" if that came before. */
static bool send_user(struct in *in, str host, str declarations, str user, const char *extra)
{
    struct buf body;
    begin_document(&body, host, declarations);
    buf_add(&body, user);
    buf_lit(&body, "</host></server-data>");
    bool made = send_document(in, "user import-one", extra, &body);
    wipe(&body);
    return count(in, made);
}

/* ---- Reading
 * ------------------------------------------------------------------------------------------------------------
 */

static bool read_more(struct source *source)
{
    if (source->end || !buf_reserve(&source->bytes, READ))
        return false;
    size_t got = fread(source->bytes.p + source->bytes.len, 1, READ, source->file);
    source->bytes.len += got;
    source->end = got == 0;
    return got > 0;
}

static enum scan_event next(struct source *source, struct scanner *scanner, size_t *ret_used,
                            struct xml_node *ret)
{
    for (;;) {
        enum scan_event event = scanner_next(scanner, buf_str(&source->bytes), ret_used, ret);
        if (event != SCAN_MORE)
            return event;
        buf_consume(&source->bytes, *ret_used);
        if (!read_more(source))
            return SCAN_ERROR;
    }
}

static bool open_source(struct in *in, const char *path, struct source *ret)
{
    *ret = (struct source){ .in = in, .path = path };
    ret->file = strcmp(path, "-") ? fopen(path, "re") : stdin;
    buf_init(&ret->bytes, USER_MAX + 2 * READ);
    return ret->file || complain(path, strerror(errno));
}

static void close_source(struct source *source)
{
    if (source->bytes.len)
        mem_wipe(source->bytes.p, source->bytes.len);
    buf_fini(&source->bytes);
    if (source->file && source->file != stdin)
        fclose(source->file);
}

/* ---- XInclude
 * ---------------------------------------------------------------------------------------------------------
 */

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* The path of what is included: a relative reference without steps upwards. */
static bool included_path(const char *from, str href, char to[PATH_BYTES])
{
    size_t slash = str_find_last(str_from(from), '/');
    size_t folder = slash < strlen(from) ? slash + 1 : 0, length = folder;
    if (!href.len || length + href.len >= PATH_BYTES || str_find(href, ':') < href.len)
        return false;
    memcpy(to, from, length);
    for (size_t i = 0; i < href.len; i++, length++) {
        bool escaped =
            href.p[i] == '%' && i + 2 < href.len && hex(href.p[i + 1]) >= 0 && hex(href.p[i + 2]) >= 0;
        to[length] = escaped ? (char)(hex(href.p[i + 1]) * 16 + hex(href.p[i + 2])) : href.p[i];
        i += escaped ? 2 : 0;
        if (!to[length])
            return false;
    }
    to[length] = '\0';
    return to[folder] != '/' && !strstr(to + folder, "..");
}

static bool is_include(const struct xml_node *node)
{
    return xml_is(node, STR("include"), STR(NS_XINCLUDE));
}

static bool path_of(const struct source *source, const struct xml_node *include, char to[PATH_BYTES])
{
    struct arena arena;
    arena_init(&arena, 256);
    bool plain = !xml_attr(include, STR("parse"), &arena).p && !xml_attr(include, STR("xpointer"), &arena).p;
    bool good = plain && included_path(source->path, xml_attr(include, STR("href"), &arena), to);
    arena_fini(&arena);
    return good || complain(source->path, "an xi:include that is not supported was left out");
}

/* ---- Elements that are read as streams
 * ---------------------------------------------------------------------------------- */

static void skip_space(struct source *source)
{
    do {
        size_t count = 0;
        while (count < source->bytes.len && memchr(" \t\r\n", source->bytes.p[count], 4))
            count++;
        buf_consume(&source->bytes, count);
    } while (!source->bytes.len && read_more(source));
}

/* Length of the start tag at the front, if it is one of that name (such as "<host") with something in it;
 * else 0. */
static size_t start_tag(struct source *source, str name)
{
    char quote = 0;
    for (size_t i = 0;; i++) {
        while (i >= source->bytes.len)
            if (!read_more(source))
                return 0;
        char c = source->bytes.p[i];
        if (i < name.len && c != name.p[i])
            return 0;
        if (i == name.len && !memchr(" \t\r\n>", c, 5))
            return 0;
        if (quote ? c == quote : c == '"' || c == '\'')
            quote = quote ? 0 : c;
        else if (!quote && c == '>')
            return source->bytes.p[i - 1] == '/' ? 0 : i + 1;
    }
}

/* An element as a stream of its own, on whose header stands what the outer one declares. */
struct inner {
    struct source *source;
    struct scanner scanner;
    struct buf header; /* its start tag, which stands alone */
    struct xml_node tag;
};

/* Enters the element whose start tag, of this name and length, is at the front. `outer` may be NULL. False
 * after a message. */
static bool enter(struct source *source, const struct scanner *outer, str name, size_t length,
                  struct inner *ret)
{
    size_t used;
    str rest = str_sub(buf_str(&source->bytes), name.len, length);
    ret->source = source;
    buf_init(&ret->header, USER_MAX);
    buf_add(&ret->header, name);
    if (!memmem(rest.p, rest.len, "xmlns=", 6))
        buf_lit(&ret->header, " xmlns='" NS_PIE "'");
    if (outer && !memmem(rest.p, rest.len, "xmlns:", 6))
        buf_add(&ret->header, scanner_header_declarations(outer));
    buf_add(&ret->header, rest);
    buf_consume(&source->bytes, length);
    scanner_init(&ret->scanner, &limits);
    return scanner_next(&ret->scanner, buf_str(&ret->header), &used, &ret->tag) == SCAN_OPEN ||
           complain(source->path, "a start tag is not well-formed");
}

static void leave(struct inner *inner)
{
    scanner_fini(&inner->scanner);
    wipe(&inner->header);
}

/* The next child, to be dropped with drop(); false at the end of the element, or, with *ret_going, of what
 * can be read. */
static bool next_child(struct inner *inner, size_t *ret_used, struct xml_node *ret, bool *ret_going)
{
    enum scan_event event = next(inner->source, &inner->scanner, ret_used, ret);
    if (event == SCAN_ELEMENT)
        return true;
    if (event == SCAN_CLOSE)
        buf_consume(&inner->source->bytes, *ret_used);
    else
        *ret_going =
            complain(inner->source->path, "is not well-formed, or no file in the format of XEP-0227");
    return false;
}

static void drop(struct inner *inner, size_t used)
{
    buf_consume(&inner->source->bytes, used);
}

/* ---- Users
 * ----------------------------------------------------------------------------------------------------------
 */

struct host {
    struct source *source;
    str name, declarations;
};

struct user {
    const struct host *host;
    str tag;          /* its start tag */
    struct buf parts; /* its children but for the archive */
    bool has_archive; /* some of it is at the server */
    bool is_refused;
};

/* A part of the archive, with the start tags that it stands in. */
static void send_results(struct user *user, str tag, struct buf *results)
{
    struct in *in = user->host->source->in;
    struct buf body;
    if (user->is_refused)
        buf_clear(results);
    if (!results->len)
        return;
    begin_document(&body, user->host->name, user->host->declarations);
    buf_add(&body, user->tag);
    buf_add(&body, tag);
    buf_add(&body, buf_str(results));
    buf_lit(&body, "</archive></user></host></server-data>");
    user->is_refused = !send_document(in, "user import-archive", user->has_archive ? "" : "first", &body);
    user->has_archive = true;
    wipe(&body);
    buf_clear(results);
}

/* What is not read any more is skipped. False if there is no sense in going on. */
static bool import_archive(struct user *user, struct source *source, const struct scanner *outer,
                           size_t length)
{
    struct inner inner;
    struct xml_node node;
    struct buf results;
    size_t used;
    bool going = enter(source, outer, STR("<archive"), length, &inner);
    bool is_one = going && xml_is(&inner.tag, STR("archive"), STR(NS_PIE_MAM));
    if (going && !is_one)
        complain(source->path, "an <archive/> of another kind was left out");
    buf_init(&results, USER_MAX);
    while (going && next_child(&inner, &used, &node, &going)) {
        if (is_one)
            buf_add(&results, node.bytes);
        drop(&inner, used);
        if (results.len >= PART)
            send_results(user, buf_str(&inner.header), &results);
        going = !source->in->unreachable;
    }
    if (going)
        send_results(user, buf_str(&inner.header), &results);
    wipe(&results);
    leave(&inner);
    return going && !source->in->unreachable;
}

/* The rest of a file as one element. False after a message. */
static bool read_whole(struct source *source, struct xml_node *ret)
{
    while (read_more(source))
        continue;
    return xml_parse(str_trim(buf_str(&source->bytes)), STR(NS_PIE), ret) ||
           complain(source->path, "is not well-formed");
}

/* Opens a file, and reads up to its root element. */
static bool open_included(struct in *in, const char *path, struct source *ret)
{
    if (!open_source(in, path, ret))
        return false;
    skip_space(ret);
    while (ret->bytes.len < 5 && read_more(ret))
        continue;
    if (!str_starts(buf_str(&ret->bytes), STR("<?xml")))
        return true;
    while (str_find(buf_str(&ret->bytes), '>') == ret->bytes.len && read_more(ret))
        continue;
    buf_consume(&ret->bytes, str_find(buf_str(&ret->bytes), '>') + 1);
    skip_space(ret);
    return true;
}

/* A file that is one child of a user. */
static bool import_child_file(struct user *user, const char *path)
{
    struct source source;
    struct xml_node node;
    bool going = true;
    if (open_included(user->host->source->in, path, &source)) {
        size_t length = start_tag(&source, STR("<archive"));
        if (length)
            going = import_archive(user, &source, NULL, length);
        else if (read_whole(&source, &node))
            buf_add(&user->parts, node.bytes);
        else
            user->is_refused = true;
    } else {
        user->is_refused = true;
    }
    close_source(&source);
    return going;
}

static bool take_child(struct user *user, struct source *source, const struct xml_node *node)
{
    char path[PATH_BYTES];
    if (!is_include(node)) {
        buf_add(&user->parts, node->bytes);
        return true;
    }
    return !path_of(source, node, path) || import_child_file(user, path);
}

/* The children of a user up to its end. */
static bool take_children(struct user *user, struct source *source, struct inner *inner)
{
    struct xml_node node;
    size_t used;
    for (bool going = true; going;) {
        skip_space(source);
        size_t length = start_tag(source, STR("<archive"));
        if (length) {
            going = import_archive(user, source, &inner->scanner, length);
            continue;
        }
        if (!next_child(inner, &used, &node, &going))
            return going;
        going = take_child(user, source, &node);
        drop(inner, used);
    }
    return false;
}

static bool finish_user(struct user *user)
{
    struct in *in = user->host->source->in;
    struct buf whole;
    if (user->is_refused)
        return count(in, false);
    buf_init(&whole, USER_MAX);
    buf_add(&whole, user->tag);
    buf_add(&whole, buf_str(&user->parts));
    buf_lit(&whole, "</user>");
    if (buf_failed(&whole) || buf_failed(&user->parts)) {
        wipe(&whole);
        fputs("jabiructl: an account is too large\n", stderr);
        return count(in, false);
    }
    bool going = send_user(in, user->host->name, user->host->declarations, buf_str(&whole),
                           user->has_archive ? "archive" : "");
    wipe(&whole);
    return going;
}

/* A user whose start tag is at the front. */
static bool import_user(const struct host *host, struct source *source, const struct scanner *outer,
                        size_t length)
{
    struct user user = { .host = host };
    struct inner inner;
    bool going = enter(source, outer, STR("<user"), length, &inner);
    buf_init(&user.parts, USER_MAX);
    user.tag = buf_str(&inner.header);
    if (going)
        going = take_children(&user, source, &inner);
    if (going)
        going = finish_user(&user);
    wipe(&user.parts);
    leave(&inner);
    return going;
}

/* A file that is one <user/>. */
static bool import_user_file(const struct host *host, const char *path)
{
    struct in *in = host->source->in;
    struct source source;
    struct xml_node node;
    bool going = true;
    if (open_included(in, path, &source)) {
        size_t length = start_tag(&source, STR("<user"));
        if (length)
            going = import_user(host, &source, NULL, length);
        else if (read_whole(&source, &node))
            going = send_user(in, host->name, str_none, node.bytes, "");
        else
            in->failed++;
    } else {
        in->failed++;
    }
    close_source(&source);
    return going;
}

/* ---- Hosts
 * --------------------------------------------------------------------------------------------------------------
 */

/* An element within a host. */
static bool take(const struct host *host, const struct xml_node *node)
{
    char path[PATH_BYTES];
    if (is_include(node))
        return !path_of(host->source, node, path) || import_user_file(host, path);
    if (xml_is(node, STR("user"), STR(NS_PIE)))
        return send_user(host->source->in, host->name, host->declarations, node->bytes, "");
    complain(host->source->path, "an element that is no <user/> was left out");
    return true;
}

static bool take_users(const struct host *host, struct inner *inner)
{
    struct xml_node node;
    size_t used;
    for (bool going = true; going;) {
        skip_space(host->source);
        size_t length = start_tag(host->source, STR("<user"));
        if (length) {
            going = import_user(host, host->source, &inner->scanner, length);
            continue;
        }
        if (!next_child(inner, &used, &node, &going))
            return going;
        going = take(host, &node);
        drop(inner, used);
    }
    return false;
}

/* A host whose start tag is at the front. */
static bool import_host(struct source *source, const struct scanner *outer, size_t length)
{
    struct inner inner;
    struct arena arena;
    bool going = enter(source, outer, STR("<host"), length, &inner);
    arena_init(&arena, 1024);
    if (going && !xml_is(&inner.tag, STR("host"), STR(NS_PIE)))
        going = complain(source->path, "is no file in the format of XEP-0227");
    if (going) {
        struct host host = { source, arena_str(&arena, xml_attr(&inner.tag, STR("jid"), &arena)),
                             arena_str(&arena, scanner_header_declarations(&inner.scanner)) };
        going = take_users(&host, &inner);
    }
    arena_fini(&arena);
    leave(&inner);
    return going;
}

static bool import_file(struct in *in, const char *path, bool top);

/* An element within <server-data/> that is no host with users in it. */
static bool take_outer(struct source *source, const struct xml_node *node)
{
    char path[PATH_BYTES];
    if (is_include(node))
        return !path_of(source, node, path) || import_file(source->in, path, false);
    if (!xml_is(node, STR("host"), STR(NS_PIE)))
        complain(source->path, "an element that is no <host/> was left out");
    return true;
}

static bool take_hosts(struct inner *inner)
{
    struct source *source = inner->source;
    struct xml_node node;
    size_t used;
    for (bool going = true; going;) {
        skip_space(source);
        size_t length = start_tag(source, STR("<host"));
        if (length) {
            going = import_host(source, &inner->scanner, length);
            continue;
        }
        if (!next_child(inner, &used, &node, &going))
            return going;
        going = take_outer(source, &node);
        drop(inner, used);
    }
    return false;
}

static bool import_hosts(struct source *source)
{
    struct inner inner = { .source = source };
    size_t used;
    bool going = false;
    scanner_init(&inner.scanner, &limits);
    if (next(source, &inner.scanner, &used, &inner.tag) != SCAN_OPEN)
        complain(source->path, "is not well-formed, or no file in the format of XEP-0227");
    else if (!xml_is(&inner.tag, STR("server-data"), STR(NS_PIE)))
        complain(source->path, "is no file in the format of XEP-0227");
    else {
        drop(&inner, used);
        going = take_hosts(&inner);
    }
    scanner_fini(&inner.scanner);
    return going;
}

/* `top`: it may be a whole document; else it is that of one host. */
static bool import_file(struct in *in, const char *path, bool top)
{
    struct source source;
    bool going = false;
    if (open_included(in, path, &source)) {
        size_t length = start_tag(&source, STR("<host"));
        if (length)
            going = import_host(&source, NULL, length);
        else if (top)
            going = import_hosts(&source);
        else
            complain(path, "is no file in the format of XEP-0227");
    }
    close_source(&source);
    return going;
}

int transfer_import(const char *socket, const char *file)
{
    struct in in = { .socket = socket };
    bool whole = import_file(&in, file, true);
    if (isatty(STDERR_FILENO))
        fputc('\n', stderr);
    printf("%zu accounts made, %zu not\n", in.made, in.failed);
    return in.unreachable ? EXIT_NO_SERVER : whole && !in.failed ? EXIT_SUCCESS : EXIT_REFUSED;
}
