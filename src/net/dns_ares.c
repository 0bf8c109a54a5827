/* SPDX-License-Identifier: MIT */
/* Questions to a name server, by c-ares. It opens sockets and keeps the time of retries by itself; we watch
 * its sockets with our loop, and one timer tells it when its next deadline has come. Only the transport is
 * used: answers are read by dns_message.c, which also tells their TTL. */
#include "base/mem.h"
#include "base/rand.h"
#include "loop/watch.h"
#include "net/dns_impl.h"

#include <ares.h>
#include <stdlib.h>
#include <threads.h>

enum {
    SOCKETS_MAX = 16,
    TRIES = 3,
    SHARES = 7 /* 1 + 2 + 4: each try takes twice as long */,
    EDNS_SIZE = 1232,
    INTERNET = 1, /* class IN */
    FLAG_AUTHENTIC = 0x20,
};

struct server_socket {
    struct watch watch;
    struct dns_ares *ares;
    ares_socket_t fd; /* ARES_SOCKET_BAD: free */
};

struct dns_ares {
    struct dns *dns;
    ares_channel channel;
    struct timer timer;
    struct server_socket sockets[SOCKETS_MAX];
};

static once_flag once = ONCE_FLAG_INIT;

static void init_library(void)
{
    if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS)
        abort(); /* out of memory */
}

static void arm(struct dns_ares *ares)
{
    struct timeval left;
    if (!ares_timeout(ares->channel, NULL, &left)) {
        timer_stop(&ares->timer);
        return;
    }
    timer_start(ares->dns->loop, &ares->timer,
                (uint64_t)left.tv_sec * 1000 + (uint64_t)left.tv_usec / 1000 + 1);
}

static void time_passed(struct timer *timer)
{
    struct dns_ares *ares = CONTAINER_OF(timer, struct dns_ares, timer);
    ares_process_fd(ares->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    arm(ares);
}

static void socket_ready(struct watch *watch, unsigned events)
{
    struct server_socket *socket = CONTAINER_OF(watch, struct server_socket, watch);
    struct dns_ares *ares = socket->ares;
    ares_socket_t fd = socket->fd; /* may be closed on the way */
    ares_process_fd(ares->channel, events & SOCKET_READABLE ? fd : ARES_SOCKET_BAD,
                    events & SOCKET_WRITABLE ? fd : ARES_SOCKET_BAD);
    arm(ares);
}

static struct server_socket *socket_of(struct dns_ares *ares, ares_socket_t fd)
{
    for (size_t i = 0; i < SOCKETS_MAX; i++)
        if (ares->sockets[i].fd == fd)
            return &ares->sockets[i];
    return NULL;
}

static void socket_wants(void *arg, ares_socket_t fd, int readable, int writable)
{
    struct dns_ares *ares = arg;
    struct server_socket *socket = socket_of(ares, fd);
    if (!readable && !writable) {
        if (!socket)
            return;
        watch_stop(&socket->watch);
        socket->fd = ARES_SOCKET_BAD;
        return;
    }
    if (!socket && !(socket = socket_of(ares, ARES_SOCKET_BAD)))
        return; /* more than one a server and protocol: its question runs into its timeout */
    socket->fd = fd;
    watch_start(ares->dns->loop, &socket->watch, fd,
                (readable ? SOCKET_READABLE : 0u) | (writable ? SOCKET_WRITABLE : 0u));
}

static enum err open_channel(struct dns_ares *ares)
{
    const struct dns_settings *settings = &ares->dns->settings;
    struct ares_options options = {
        .flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_EDNS | ARES_FLAG_STAYOPEN,
        .timeout = (int)(settings->timeout_ms / SHARES),
        .tries = TRIES,
        .ednspsz = EDNS_SIZE,
        .sock_state_cb = socket_wants,
        .sock_state_cb_data = ares,
    };
    int mask =
        ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_EDNSPSZ | ARES_OPT_SOCK_STATE_CB;
    if (ares_init_options(&ares->channel, &options, mask) != ARES_SUCCESS)
        return ERR_IO;
    if (!*settings->server || ares_set_servers_ports_csv(ares->channel, settings->server) == ARES_SUCCESS)
        return OK;
    ares_destroy(ares->channel);
    return ERR_INVALID;
}

struct dns_ares *dns_ares_new(struct dns *dns)
{
    struct dns_ares *ares = NEW(struct dns_ares);
    call_once(&once, init_library);
    ares->dns = dns;
    ares->timer.fired = time_passed;
    for (size_t i = 0; i < SOCKETS_MAX; i++)
        ares->sockets[i] = (struct server_socket){ { .ready = socket_ready }, ares, ARES_SOCKET_BAD };
    if (open_channel(ares) == OK)
        return ares;
    free(ares);
    return NULL;
}

void dns_ares_free(struct dns_ares *ares)
{
    if (!ares)
        return;
    ares_destroy(ares->channel); /* answers what is under way with ARES_EDESTRUCTION */
    timer_stop(&ares->timer);
    for (size_t i = 0; i < SOCKETS_MAX; i++)
        watch_stop(&ares->sockets[i].watch);
    free(ares);
}

static enum err err_of(int status)
{
    switch (status) {
    case ARES_ENOTFOUND:
    case ARES_ENODATA:
    case ARES_EBADNAME:
        return ERR_NOT_FOUND;
    case ARES_ETIMEOUT:
    case ARES_ECONNREFUSED:
        return ERR_TIMEOUT;
    case ARES_EDESTRUCTION:
    case ARES_ECANCELLED:
        return ERR_CANCELED;
    default:
        return ERR_IO;
    }
}

static void answer_came(void *arg, int status, int timeouts, unsigned char *bytes, int len)
{
    struct dns_question *question = arg;
    struct dns_record records[DNS_RECORDS_MAX];
    size_t count = 0;
    (void)timeouts;
    str message = status == ARES_SUCCESS ? str_of((char *)bytes, (size_t)len) : str_none;
    enum err err = message.p ? dns_message_read(message, question->_type, records, &count) : err_of(status);
    bool said = err == OK || err == ERR_NOT_FOUND;
    dns_answered(question, err, said && message.p && dns_message_is_secure(message), records, count);
}

void dns_ares_ask(struct dns_ares *ares, struct dns_question *question)
{
    unsigned char *message;
    unsigned short id;
    int len;
    rand_bytes(&id, sizeof id);
    int status =
        ares_create_query(question->_name, INTERNET, (int)question->_type, id, 1, &message, &len, EDNS_SIZE);
    if (status != ARES_SUCCESS) {
        answer_came(question, status, 0, NULL, 0);
        return;
    }
    message[3] |= FLAG_AUTHENTIC; /* RFC 6840 §5.7: we want to know whether the answer is authentic */
    ares_send(ares->channel, message, len, answer_came, question);
    ares_free_string(message);
    arm(ares);
}
