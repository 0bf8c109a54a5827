/* SPDX-License-Identifier: MIT */
/* user export: asks for the list of accounts, then for one after the other, and puts them together, host by
 * host; into each its archive, which is asked for page by page. All is copied through in pieces as it comes.
 * The file appears under its name when it is complete, and only its owner may read it: it has everybody's
 * credentials. */
#include "base/buf.h"
#include "door.h"
#include "transfer.h"
#include "xml/write.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define USER_END "</user>"

enum { LIST_MAX = 128 << 20, LINE_MAX_BYTES = 4096, ID_BYTES = 32 };

struct out {
    const char *socket;
    FILE *file;
    struct buf list; /* a JID a line */
    size_t total, done, failed;
};

static FILE *ask(const char *socket, const char *command, str word)
{
    char line[LINE_MAX_BYTES];
    int fd = door_connect(socket);
    if (fd < 0)
        return NULL;
    int length = snprintf(line, sizeof line, "%s%s%.*s\n\n", command, word.len ? " " : "", STR_ARGS(word));
    if (door_write(fd, line, (size_t)length))
        return fdopen(fd, "r");
    close(fd);
    return NULL;
}

static bool read_list(struct out *out)
{
    char line[LINE_MAX_BYTES];
    FILE *from = ask(out->socket, "user list", str_none);
    bool ended = false;
    buf_init(&out->list, LIST_MAX);
    while (from && !ended && fgets(line, sizeof line, from)) {
        if (!strncmp(line, "error: ", 7))
            break;
        ended = !strcmp(line, "ok\n");
        if (!ended)
            buf_add(&out->list, str_from(line));
        out->total += !ended;
    }
    if (from)
        fclose(from);
    return ended && !buf_failed(&out->list);
}

/* What stands behind the '@'; an address of an account has one. */
static str domain_of(str jid)
{
    return str_sub(jid, str_find(jid, '@') + 1, jid.len);
}

static bool copy(FILE *from, FILE *to, size_t length)
{
    char bytes[65536];
    while (length) {
        size_t got = fread(bytes, 1, length < sizeof bytes ? length : sizeof bytes, from);
        if (!got || fwrite(bytes, 1, got, to) != got)
            return false;
        length -= got;
    }
    return true;
}

/* The answer to the end. */
static bool is_ok(FILE *from)
{
    char line[LINE_MAX_BYTES];
    return fgets(line, sizeof line, from) && !strcmp(line, "ok\n");
}

/* A page of the archive behind `after` ("": from the first), and where the next one begins ("-": it was the
 * last). */
static bool write_page(struct out *out, str jid, bool *begun, char after[ID_BYTES])
{
    char line[LINE_MAX_BYTES], words[LINE_MAX_BYTES];
    uint64_t length;
    snprintf(words, sizeof words, "%.*s %s", STR_ARGS(jid), after);
    FILE *from = ask(out->socket, "user export-archive", str_trim(str_from(words)));
    bool good = from && fgets(line, sizeof line, from);
    str next = str_trim(str_from(good ? line : "")), number = str_cut(&next, ' ');
    good = good && str_to_u64(number, SIZE_MAX / 2, &length) && str_copy(next, after, ID_BYTES);
    if (good && length && !*begun)
        *begun = fputs("<archive xmlns='urn:xmpp:pie:0#mam'>\n", out->file) != EOF;
    good = good && copy(from, out->file, (size_t)length) && is_ok(from);
    if (from)
        fclose(from);
    return good;
}

static bool write_archive(struct out *out, str jid)
{
    char after[ID_BYTES] = "";
    bool good = true, begun = false;
    while (good && strcmp(after, "-") != 0)
        good = write_page(out, jid, &begun, after);
    return good && (!begun || fputs("</archive>", out->file) != EOF);
}

/* The element but for its end, where the archive is put in. */
static bool copy_user(FILE *from, FILE *to, uint64_t length)
{
    char end[sizeof USER_END];
    return length >= sizeof end && copy(from, to, (size_t)length - strlen(USER_END)) &&
           fread(end, 1, strlen(USER_END), from) == strlen(USER_END) &&
           !memcmp(end, USER_END, strlen(USER_END)) && is_ok(from);
}

/* False if the file is spoilt: the account is there in part. One that is refused is left out. */
static bool write_user(struct out *out, str jid)
{
    char line[LINE_MAX_BYTES] = "";
    uint64_t length;
    FILE *from = ask(out->socket, "user export-one", jid);
    bool good = from && fgets(line, sizeof line, from);
    if (good && !strncmp(line, "error: ", 7)) {
        fprintf(stderr, "jabiructl: %.*s: %s", STR_ARGS(jid), line + 7);
        out->failed++;
    } else {
        good = good && str_to_u64(str_trim(str_from(line)), SIZE_MAX / 2, &length) &&
               copy_user(from, out->file, length) && write_archive(out, jid) &&
               fputs(USER_END "\n", out->file) != EOF;
    }
    if (from)
        fclose(from);
    out->done++;
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r%zu of %zu accounts", out->done, out->total);
    return good;
}

static bool write_host(struct out *out, str domain)
{
    struct buf tag;
    str rest = buf_str(&out->list);
    buf_init(&tag, LINE_MAX_BYTES);
    xml_write_open(&tag, "host", str_none);
    xml_write_attr(&tag, "jid", domain);
    fprintf(out->file, "%.*s>\n", STR_ARGS(buf_str(&tag)));
    buf_fini(&tag);
    while (rest.len) {
        str jid = str_cut(&rest, '\n');
        if (str_eq(domain_of(jid), domain) && !write_user(out, jid))
            return false;
    }
    return fputs("</host>\n", out->file) != EOF;
}

/* Whether the domain of the line at `at` stands in an earlier line. */
static bool is_earlier(const struct buf *seen, str domain)
{
    str rest = buf_str(seen);
    while (rest.len)
        if (str_eq(str_cut(&rest, '\n'), domain))
            return true;
    return false;
}

static bool write_all(struct out *out)
{
    struct buf seen;
    bool good = true;
    str rest = buf_str(&out->list);
    buf_init(&seen, LIST_MAX);
    fputs("<?xml version='1.0' encoding='UTF-8'?>\n<server-data xmlns='urn:xmpp:pie:0'>\n", out->file);
    while (good && rest.len) {
        str domain = domain_of(str_cut(&rest, '\n'));
        if (is_earlier(&seen, domain))
            continue;
        buf_add(&seen, domain);
        buf_add_char(&seen, '\n');
        good = write_host(out, domain);
    }
    buf_fini(&seen);
    if (out->done && isatty(STDERR_FILENO))
        fputc('\n', stderr);
    return good && fputs("</server-data>\n", out->file) != EOF;
}

/* Where it is written until it is complete. */
static FILE *open_part(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        fprintf(stderr, "jabiructl: %s can't be written: %s\n", path, strerror(errno));
    return fd < 0 ? NULL : fdopen(fd, "w");
}

static bool close_part(struct out *out, const char *part, const char *file, bool good)
{
    good = good && fflush(out->file) == 0 && (out->file == stdout || fsync(fileno(out->file)) == 0);
    if (out->file == stdout)
        return good;
    good = fclose(out->file) == 0 && good && rename(part, file) == 0;
    if (!good)
        unlink(part);
    return good;
}

int transfer_export(const char *socket, const char *file)
{
    struct out out = { .socket = socket };
    bool good = false;
    char part[LINE_MAX_BYTES];
    snprintf(part, sizeof part, "%s.part", file);
    if (!read_list(&out)) {
        fputs("jabiructl: the list of accounts can't be had\n", stderr);
        buf_fini(&out.list);
        return EXIT_NO_SERVER;
    }
    out.file = strcmp(file, "-") ? open_part(part) : stdout;
    if (out.file) {
        good = write_all(&out);
        good = close_part(&out, part, file, good);
        if (!good)
            fputs("jabiructl: the export is not complete\n", stderr);
    }
    buf_fini(&out.list);
    return good && !out.failed ? EXIT_SUCCESS : EXIT_REFUSED;
}
