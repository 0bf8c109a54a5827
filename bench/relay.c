/* SPDX-License-Identifier: MIT */
/* relay: a bare TCP relay, the practical limit that servers are compared with.
 *
 * Any server that passes messages from one connection to another must at least read the bytes from one socket
 * and write them to the other. This program does only that: one thread, one epoll, one read and one write for
 * all the bytes that wait, no look at what they mean. What it reaches on a machine is what the kernel (and,
 * with TLS, OpenSSL) leaves to be reached by one core.
 *
 * A client says hello with one line, "PAIR n\n" with 0 <= n < 65536. The first two connections that name the
 * same n are joined; from then on each receives what the other sends, including what came behind the hello.
 * When one of them closes, both are closed and n is free again; bytes that were still on the way are dropped.
 * Later connections that name an n in use are closed.
 *
 * Memory is bounded: a connection that cannot take more bytes holds at most one buffer of them, and nothing
 * is read for it until that buffer is empty. Epoll is level-triggered; interest changes only when a
 * connection fills up or empties, so that the usual message costs a read, a write and its share of an
 * epoll_wait.
 *
 * TLS is 1.2 or 1.3 with the certificate given, and without session tickets. Buffers are not released between
 * records, because this is a limit of speed and not of memory.
 *
 * Not here: XMPP, several threads, IPv6, any address but 127.0.0.1. */
#include "base/list.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BUFFER_BYTES = 64 * 1024,
    HELLO_BYTES = 128,
    PAIRS_MAX = 65536,
    EVENTS_MAX = 512,
    ACCEPTS_MAX = 64, /* connections taken in a row from one listener */
    READS_MAX = 8,    /* full buffers taken in a row from one connection */
};

enum role { LISTENER_PLAIN, LISTENER_TLS, CLIENT };

struct end {
    enum role role;
    int fd;
    SSL *ssl; /* NULL on plain connections */
    struct end *other;
    int pair; /* -1 until the hello is read */
    char hello[HELLO_BYTES];
    size_t hello_len;
    char *held; /* bytes that fd did not take yet; BUFFER_BYTES once it exists */
    size_t held_len;
    bool again; /* unread bytes may wait inside OpenSSL, where epoll does not see them */
    bool dead;
    uint32_t interest;
    struct list link; /* in live or in dead */
};

struct relay {
    int epoll;
    SSL_CTX *tls;
    struct end *waiting[PAIRS_MAX]; /* greeted, and without the other end yet */
    bool taken[PAIRS_MAX];
    struct list live;
    struct list dead; /* freed after the batch of events, which may still name them */
    char buffer[BUFFER_BYTES];
};

struct options {
    int port;
    int tls_port; /* -1: no TLS */
    const char *cert;
    const char *key;
};

static volatile sig_atomic_t stop_asked;

static void on_stop(int signal_number)
{
    (void)signal_number;
    stop_asked = 1;
}

static void die(const char *what)
{
    fprintf(stderr, "relay: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void set_interest(struct relay *relay, struct end *end, uint32_t interest)
{
    if (end->dead || end->interest == interest)
        return;
    struct epoll_event event = { .events = interest, .data.ptr = end };
    if (epoll_ctl(relay->epoll, EPOLL_CTL_MOD, end->fd, &event) < 0)
        die("epoll_ctl");
    end->interest = interest;
}

/* An end is read only while the other one has taken all that came before. */
static bool may_read(const struct end *end)
{
    return end->pair < 0 || (end->other && end->other->held_len == 0);
}

static void update_interest(struct relay *relay, struct end *end)
{
    uint32_t interest = may_read(end) ? EPOLLIN : 0;
    if (!end->other)
        interest |= EPOLLRDHUP; /* who leaves before the other end comes must not keep the number */
    /* A writable socket wakes at once: that is how unread bytes inside OpenSSL get their turn. */
    if (end->held_len > 0 || (end->again && may_read(end)))
        interest |= EPOLLOUT;
    set_interest(relay, end, interest);
}

static struct end *end_new(struct relay *relay, int fd, enum role role)
{
    struct end *end = xcalloc(1, sizeof *end);
    end->role = role;
    end->fd = fd;
    end->pair = -1;
    end->interest = EPOLLIN;
    list_append(&relay->live, &end->link);
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = end };
    if (epoll_ctl(relay->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        die("epoll_ctl");
    return end;
}

static void end_kill(struct relay *relay, struct end *end)
{
    if (end->dead)
        return;
    end->dead = true;
    close(end->fd);
    list_remove(&end->link);
    list_append(&relay->dead, &end->link);
}

static void bury_dead(struct relay *relay)
{
    struct list *link;
    while ((link = list_shift(&relay->dead))) {
        struct end *end = LIST_ITEM(link, struct end, link);
        SSL_free(end->ssl);
        free(end->held);
        free(end);
    }
}

static void pair_close(struct relay *relay, struct end *end)
{
    if (end->pair >= 0) {
        relay->waiting[end->pair] = NULL;
        relay->taken[end->pair] = false;
    }
    if (end->other)
        end_kill(relay, end->other);
    end_kill(relay, end);
}

/* Reads once: the count of bytes, 0 when none wait, -1 when the end is gone. */
static ssize_t read_once(struct end *end, char *to, size_t size)
{
    if (!end->ssl) {
        ssize_t got = recv(end->fd, to, size, 0);
        if (got > 0)
            return got;
        return got < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
    }
    ERR_clear_error();
    int got = SSL_read(end->ssl, to, (int)size);
    if (got > 0)
        return got;
    int why = SSL_get_error(end->ssl, got);
    end->again = why == SSL_ERROR_WANT_WRITE;
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

/* Reads until the buffer is full or OpenSSL has nothing left; a TLS read gives one record, so several fill a
 * buffer. What still waits in the socket wakes epoll again, so no read is spent on asking. */
static ssize_t read_batch(struct end *end, char *to, size_t size)
{
    if (!end->ssl)
        return read_once(end, to, size);
    size_t filled = 0;
    do {
        ssize_t got = read_once(end, to + filled, size - filled);
        if (got < 0 && filled > 0)
            end->again = true; /* pass on what came; the next read tells of the end again */
        if (got <= 0)
            return filled > 0 ? (ssize_t)filled : got;
        filled += (size_t)got;
        end->again = SSL_has_pending(end->ssl);
    } while (end->again && filled < size);
    return (ssize_t)filled;
}

/* Writes what the socket takes: the count of bytes, -1 when the end is gone. */
static ssize_t write_batch(struct end *end, const char *from, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t put;
        if (end->ssl) {
            ERR_clear_error();
            put = SSL_write(end->ssl, from + done, (int)(size - done));
            if (put <= 0 && SSL_get_error(end->ssl, (int)put) != SSL_ERROR_WANT_WRITE)
                return -1;
        } else {
            put = send(end->fd, from + done, size - done, MSG_NOSIGNAL);
            if (put < 0 && errno != EAGAIN && errno != EINTR)
                return -1;
        }
        if (put <= 0)
            break;
        done += (size_t)put;
    }
    return (ssize_t)done;
}

/* Sends or holds; the caller has made sure that nothing is held yet. False when the end is gone. */
static bool deliver(struct end *to, const char *bytes, size_t size)
{
    ssize_t put = write_batch(to, bytes, size);
    if (put < 0)
        return false;
    size_t left = size - (size_t)put;
    if (left == 0)
        return true;
    if (!to->held)
        to->held = xmalloc(BUFFER_BYTES);
    memcpy(to->held, bytes + put, left);
    to->held_len = left;
    return true;
}

static bool flush_held(struct end *end)
{
    ssize_t put = write_batch(end, end->held, end->held_len);
    if (put < 0)
        return false;
    end->held_len -= (size_t)put;
    memmove(end->held, end->held + put, end->held_len);
    return true;
}

static bool forward(struct relay *relay, struct end *from)
{
    for (int i = 0; i < READS_MAX && may_read(from); i++) {
        ssize_t got = read_batch(from, relay->buffer, BUFFER_BYTES);
        if (got < 0)
            return false;
        if (got == 0)
            return true;
        if (!deliver(from->other, relay->buffer, (size_t)got))
            return false;
        if (got < BUFFER_BYTES && !from->again)
            return true;
    }
    return true;
}

/* The number in "PAIR n" (without its line end), or -1. */
static int parse_hello(const char *line)
{
    char *end;
    if (strncmp(line, "PAIR ", 5) != 0)
        return -1;
    errno = 0;
    long n = strtol(line + 5, &end, 10);
    return end == line + 5 || *end || errno || n < 0 || n >= PAIRS_MAX ? -1 : (int)n;
}

/* Joins the end with the one that waits under its number, or lets it wait. False when the number is in use.
 */
static bool join(struct relay *relay, struct end *end, int pair)
{
    if (relay->taken[pair])
        return false;
    end->pair = pair;
    struct end *first = relay->waiting[pair];
    relay->waiting[pair] = first ? NULL : end;
    if (!first)
        return true;
    relay->taken[pair] = true;
    end->other = first;
    first->other = end;
    return deliver(end, first->hello, first->hello_len) && deliver(first, end->hello, end->hello_len) &&
           forward(relay, first);
}

static bool greet(struct relay *relay, struct end *end)
{
    ssize_t got = read_once(end, end->hello + end->hello_len, HELLO_BYTES - 1 - end->hello_len);
    if (got <= 0)
        return got == 0;
    end->hello_len += (size_t)got;
    end->again = end->ssl != NULL;
    char *line_end = memchr(end->hello, '\n', end->hello_len);
    if (!line_end)
        return end->hello_len < HELLO_BYTES - 1;
    *line_end = 0;
    int pair = parse_hello(end->hello);
    if (pair < 0)
        return false;
    end->hello_len -= (size_t)(line_end + 1 - end->hello);
    memmove(end->hello, line_end + 1, end->hello_len);
    return join(relay, end, pair);
}

static bool client_work(struct relay *relay, struct end *end, uint32_t events)
{
    if (events & EPOLLERR || (!may_read(end) && events & (EPOLLHUP | EPOLLRDHUP)))
        return false;
    if (end->pair < 0 && !greet(relay, end))
        return false;
    if (!end->other)
        return true;
    if (end->held_len > 0 && (!flush_held(end) || !forward(relay, end->other)))
        return false;
    return forward(relay, end);
}

static void client_event(struct relay *relay, struct end *end, uint32_t events)
{
    if (!client_work(relay, end, events)) {
        pair_close(relay, end);
        return;
    }
    update_interest(relay, end);
    if (end->other)
        update_interest(relay, end->other);
}

static void listener_event(struct relay *relay, const struct end *listener)
{
    for (int i = 0; i < ACCEPTS_MAX; i++) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && (errno == EAGAIN || errno == ECONNABORTED || errno == EINTR))
            return;
        if (fd < 0)
            die("accept");
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct end *client = end_new(relay, fd, CLIENT);
        if (listener->role != LISTENER_TLS)
            continue;
        client->ssl = SSL_new(relay->tls);
        if (!client->ssl || !SSL_set_fd(client->ssl, fd))
            abort();
        SSL_set_accept_state(client->ssl);
    }
}

static void listen_on(struct relay *relay, int port, enum role role, const char *name)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(fd, (struct sockaddr *)&address, length) < 0 || listen(fd, 4096) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) < 0)
        die("listen");
    printf("%s %d\n", name, ntohs(address.sin_port));
    fflush(stdout);
    end_new(relay, fd, role);
}

static SSL_CTX *tls_new(const char *cert, const char *key)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    if (!tls)
        abort();
    if (SSL_CTX_use_certificate_chain_file(tls, cert) != 1 ||
        SSL_CTX_use_PrivateKey_file(tls, key, SSL_FILETYPE_PEM) != 1) {
        ERR_print_errors_fp(stderr);
        exit(1);
    }
    SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION);
    SSL_CTX_set_options(tls, SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(tls, 1); /* a record's head and body with one system call */
    SSL_CTX_set_num_tickets(tls, 0);
    return tls;
}

static void serve(struct relay *relay, const sigset_t *while_waiting)
{
    static struct epoll_event events[EVENTS_MAX];
    while (!stop_asked) {
        int count = epoll_pwait(relay->epoll, events, EVENTS_MAX, -1, while_waiting);
        if (count < 0 && errno != EINTR)
            die("epoll_pwait");
        for (int i = 0; i < count; i++) {
            struct end *end = events[i].data.ptr;
            if (end->dead)
                continue;
            if (end->role == CLIENT)
                client_event(relay, end, events[i].events);
            else
                listener_event(relay, end);
        }
        bury_dead(relay);
    }
}

/* Stop signals are let in only inside epoll_pwait, so none is missed between the check and the wait. */
static sigset_t prepare_process(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    struct sigaction action = { .sa_handler = on_stop };
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
    sigset_t blocked, before;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigaddset(&blocked, SIGINT);
    sigprocmask(SIG_BLOCK, &blocked, &before);
    return before;
}

static int parse_port(const char *text)
{
    char *end;
    long port = strtol(text, &end, 10);
    if (end == text || *end || port < 0 || port > 65535) {
        fprintf(stderr, "relay: not a port: %s\n", text);
        exit(2);
    }
    return (int)port;
}

static void usage(FILE *to)
{
    fputs("usage: relay [--port N] [--tls-port N --cert FILE --key FILE]\n"
          "Copies bytes between two TCP connections that sent the same line 'PAIR n' (0 <= n < 65536).\n\n"
          "  --port N       plain port on 127.0.0.1 (default 0: a free one)\n"
          "  --tls-port N   TLS port on 127.0.0.1 (0: a free one; default: no TLS)\n"
          "  --cert FILE    PEM certificate chain for TLS\n"
          "  --key FILE     PEM private key for TLS\n"
          "  --help         this text\n\n"
          "Prints 'port N' and 'tls-port N' when it listens; ends on SIGTERM or SIGINT.\n",
          to);
}

static struct options parse_options(int argc, char **argv)
{
    static const struct option known[] = {
        { "port", required_argument, NULL, 'p' }, { "tls-port", required_argument, NULL, 't' },
        { "cert", required_argument, NULL, 'c' }, { "key", required_argument, NULL, 'k' },
        { "help", no_argument, NULL, 'h' },       { NULL, 0, NULL, 0 },
    };
    struct options options = { .port = 0, .tls_port = -1 };
    int c;
    while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (c) {
        case 'p':
            options.port = parse_port(optarg);
            break;
        case 't':
            options.tls_port = parse_port(optarg);
            break;
        case 'c':
            options.cert = optarg;
            break;
        case 'k':
            options.key = optarg;
            break;
        case 'h':
            usage(stdout);
            exit(0);
        default:
            usage(stderr);
            exit(2);
        }
    }
    if (optind < argc || (options.tls_port >= 0 && (!options.cert || !options.key))) {
        usage(stderr);
        exit(2);
    }
    return options;
}

int main(int argc, char **argv)
{
    struct options options = parse_options(argc, argv);
    sigset_t while_waiting = prepare_process();
    struct relay *relay = xcalloc(1, sizeof *relay);
    relay->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (relay->epoll < 0)
        die("epoll_create1");
    list_init(&relay->live);
    list_init(&relay->dead);
    listen_on(relay, options.port, LISTENER_PLAIN, "port");
    if (options.tls_port >= 0) {
        relay->tls = tls_new(options.cert, options.key);
        listen_on(relay, options.tls_port, LISTENER_TLS, "tls-port");
    }
    serve(relay, &while_waiting);
    list_each_safe (link, &relay->live)
        end_kill(relay, LIST_ITEM(link, struct end, link));
    bury_dead(relay);
    SSL_CTX_free(relay->tls);
    close(relay->epoll);
    free(relay);
    return 0;
}
