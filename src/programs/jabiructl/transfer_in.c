/* SPDX-License-Identifier: MIT */
/* user import: reads XEP-0227's document with the scanner of the server's own streams, which holds one
 * element at a time: the start tags of <server-data/> and <host/> are taken for headers of streams, so that
 * what is held is one <user/>. Each is sent to the server alone, in a document of its own.
 *
 * Files that are named by XInclude are read for hosts and users, below the folder of the file that names
 * them; not below users. Comments and a DTD are refused, as on a stream. */
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
#define NS_XINCLUDE "http://www.w3.org/2001/XInclude"

enum { USER_MAX = 64 << 20, READ = 65536, PATH_BYTES = 4096, ANSWER_LINE = 4096 };

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

/* ---- One user
 * ----------------------------------------------------------------------------------------------------------
 */

/* Reads the answer; true if the account was made. */
static bool read_answer(struct in *in, int fd)
{
    char line[ANSWER_LINE];
    FILE *from = fdopen(fd, "r");
    bool made = false;
    in->unreachable = true; /* until the last line is there */
    while (from && in->unreachable && fgets(line, sizeof line, from)) {
        made = !strcmp(line, "ok\n");
        in->unreachable = !made && strncmp(line, "error: ", 7) != 0;
        if (!made)
            fprintf(stderr, "%s%s", in->unreachable ? "" : "jabiructl: ", line);
    }
    if (from)
        fclose(from);
    return made;
}

/* `declarations`: of prefixes that the user's element may use. False if there is no sense in going on. */
static bool send_user(struct in *in, str host, str declarations, str user)
{
    struct buf body, head;
    buf_init(&body, USER_MAX);
    buf_init(&head, ANSWER_LINE);
    buf_lit(&body, "<server-data xmlns='" NS_PIE "'><host");
    xml_write_attr(&body, "jid", host);
    buf_add(&body, declarations);
    buf_add_char(&body, '>');
    buf_add(&body, user);
    buf_lit(&body, "</host></server-data>");
    buf_addf(&head, "user import-one %zu\n\n", body.len);
    int fd = buf_failed(&body) ? -1 : door_connect(in->socket);
    bool sent = fd >= 0 && door_write(fd, head.p, head.len) && door_write(fd, body.p, body.len);
    in->unreachable = fd < 0;
    bool made = fd >= 0 && read_answer(in, fd);
    in->made += made;
    in->failed += !made;
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r%zu accounts made, %zu not%s", in->made, in->failed, sent ? "" : "\n");
    if (body.len)
        mem_wipe(body.p, body.len);
    buf_fini(&body);
    buf_fini(&head);
    return !in->unreachable;
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
    size_t folder = str_find_last(str_from(from), '/'), length = 0;
    if (folder < strlen(from))
        length = folder + 1;
    if (!href.len || href.p[0] == '/' || length + href.len >= PATH_BYTES || str_find(href, ':') < href.len)
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
    return !strstr(to + (folder < strlen(from) ? folder + 1 : 0), "..");
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

/* A file that is one <user/>. */
static bool import_user_file(struct in *in, const char *path, str host)
{
    struct source source;
    struct xml_node user;
    bool going = true;
    bool good = open_source(in, path, &source);
    while (good && read_more(&source))
        continue;
    str bytes = str_trim(buf_str(&source.bytes));
    if (str_starts(bytes, STR("<?xml")))
        bytes = str_trim(str_sub(bytes, str_find(bytes, '>') + 1, bytes.len));
    if (good && xml_parse(bytes, STR(NS_PIE), &user))
        going = send_user(in, host, str_none, user.bytes);
    else
        in->failed += complain(path, "is no <user/>") ? 0 : 1;
    close_source(&source);
    return going;
}

/* ---- Hosts
 * --------------------------------------------------------------------------------------------------------------
 */

struct host {
    struct source *source;
    str name, declarations;
};

/* An element within a host. */
static bool take(const struct host *host, const struct xml_node *node)
{
    char path[PATH_BYTES];
    if (is_include(node))
        return !path_of(host->source, node, path) || import_user_file(host->source->in, path, host->name);
    if (xml_is(node, STR("user"), STR(NS_PIE)))
        return send_user(host->source->in, host->name, host->declarations, node->bytes);
    complain(host->source->path, "an element that is no <user/> was left out");
    return true;
}

/* The scanner stands behind the start tag of <host/>. */
static bool import_host(struct source *source, struct scanner *scanner, const struct xml_node *tag)
{
    struct arena arena;
    struct xml_node node;
    enum scan_event event;
    size_t used;
    arena_init(&arena, 1024);
    struct host host = { source, arena_str(&arena, xml_attr(tag, STR("jid"), &arena)),
                         arena_str(&arena, scanner_header_declarations(scanner)) };
    bool going = true;
    while ((event = next(source, scanner, &used, &node)) == SCAN_ELEMENT && going) {
        going = take(&host, &node);
        buf_consume(&source->bytes, used);
    }
    if (event == SCAN_CLOSE)
        buf_consume(&source->bytes, used);
    else if (going)
        going = complain(source->path, "is not well-formed, or no file in the format of XEP-0227");
    arena_fini(&arena);
    return going;
}

/* Length of the start tag at the front, if it is one of <host> with something in it; else 0. */
static size_t host_tag(struct source *source)
{
    char quote = 0;
    for (size_t i = 0;; i++) {
        while (i >= source->bytes.len)
            if (!read_more(source))
                return 0;
        char c = source->bytes.p[i];
        if (i < 5 && c != "<host"[i])
            return 0;
        if (i == 5 && !strchr(" \t\r\n>", c))
            return 0;
        if (quote ? c == quote : c == '"' || c == '\'')
            quote = quote ? 0 : c;
        else if (!quote && c == '>')
            return source->bytes.p[i - 1] == '/' ? 0 : i + 1;
    }
}

/* A host within <server-data/>, as a stream of its own, on whose header stands what the outer one declares.
 */
static bool import_inner(struct source *source, const struct scanner *outer, size_t tag_length)
{
    struct scanner scanner;
    struct xml_node tag;
    struct buf header;
    size_t used;
    bool going;
    str rest = str_sub(buf_str(&source->bytes), 5, tag_length);
    bool declares = memmem(rest.p, rest.len, "xmlns", 5) != NULL;
    buf_init(&header, USER_MAX);
    buf_lit(&header, "<host");
    if (!declares) {
        buf_lit(&header, " xmlns='" NS_PIE "'");
        buf_add(&header, scanner_header_declarations(outer));
    }
    buf_add(&header, rest);
    buf_consume(&source->bytes, tag_length);
    scanner_init(&scanner, &limits);
    if (scanner_next(&scanner, buf_str(&header), &used, &tag) == SCAN_OPEN)
        going = import_host(source, &scanner, &tag);
    else
        going = complain(source->path, "the start tag of a <host/> is not well-formed");
    scanner_fini(&scanner);
    buf_fini(&header);
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

static void skip_space(struct source *source)
{
    do {
        size_t count = 0;
        while (count < source->bytes.len && memchr(" \t\r\n", source->bytes.p[count], 4))
            count++;
        buf_consume(&source->bytes, count);
    } while (!source->bytes.len && read_more(source));
}

static bool import_hosts(struct source *source, struct scanner *scanner)
{
    struct xml_node node;
    size_t used;
    for (bool going = true; going;) {
        skip_space(source);
        size_t tag = host_tag(source);
        if (tag) {
            going = import_inner(source, scanner, tag);
            continue;
        }
        enum scan_event event = next(source, scanner, &used, &node);
        if (event == SCAN_CLOSE)
            return true;
        if (event != SCAN_ELEMENT)
            return complain(source->path, "is not well-formed, or no file in the format of XEP-0227");
        going = take_outer(source, &node);
        buf_consume(&source->bytes, used);
    }
    return false;
}

/* `top`: it may be a whole document; else it is that of one host. */
static bool import_file(struct in *in, const char *path, bool top)
{
    struct source source;
    struct scanner scanner;
    struct xml_node root;
    size_t used;
    bool going = false;
    scanner_init(&scanner, &limits);
    if (open_source(in, path, &source)) {
        if (next(&source, &scanner, &used, &root) != SCAN_OPEN) {
            complain(path, "is not well-formed, or no file in the format of XEP-0227");
        } else if (top && xml_is(&root, STR("server-data"), STR(NS_PIE))) {
            buf_consume(&source.bytes, used);
            going = import_hosts(&source, &scanner);
        } else if (xml_is(&root, STR("host"), STR(NS_PIE))) {
            struct buf tag; /* the bytes move while the rest is read */
            buf_init(&tag, USER_MAX);
            buf_add(&tag, root.attrs);
            root.attrs = buf_str(&tag);
            buf_consume(&source.bytes, used);
            going = import_host(&source, &scanner, &root);
            buf_fini(&tag);
        } else {
            complain(path, "is no file in the format of XEP-0227");
        }
    }
    scanner_fini(&scanner);
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
