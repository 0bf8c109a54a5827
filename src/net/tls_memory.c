/* SPDX-License-Identifier: MIT */
/* Prints the heap bytes that an idle server side of a TLS connection holds: `tls_memory [connections]`.
 *
 * Clients and servers shake hands in memory and say a word to each other; then the clients are freed, and
 * what the allocator still counts, above what it counted before, belongs to the servers. Run it without
 * sanitizers. */
#include "base/mem.h"
#include "net/test_certs.h"
#include "net/tls_layer.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

static char plain_room[TLS_PLAIN_MAX];

static bool carry(struct tls_layer *from, struct tls_layer *to)
{
    struct buf wire = from->wire;
    size_t len;
    buf_init(&from->wire, wire._max);
    if (wire.len && tls_layer_read(to, buf_str(&wire), plain_room, &len))
        abort();
    bool any = wire.len != 0;
    buf_fini(&wire);
    return any;
}

static void talk(struct tls_layer *client, struct tls_layer *server)
{
    bool any = true;
    while (any) {
        any = carry(client, server);
        any |= carry(server, client);
    }
}

static size_t heap_bytes(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static void measure(struct certs *certs, int version, size_t count)
{
    struct tls_context *server_context = certs_server(certs, "one", false),
                       *client_context = certs_client(certs);
    struct tls_layer **servers = xcalloc(count, sizeof *servers);
    SSL_CTX_set_max_proto_version(client_context->ssl, version);
    size_t before = 0;
    for (size_t i = 0; i <= count; i++) {
        struct tls_layer *client = tls_layer_new(client_context, "one.example", NULL, 1 << 20);
        struct tls_layer *server = tls_layer_new(server_context, NULL, NULL, 1 << 20);
        if (tls_layer_start(client))
            abort();
        talk(client, server);
        if (!server->secured || tls_layer_write(client, STR("ping")) || tls_layer_write(server, STR("pong")))
            abort();
        talk(client, server);
        tls_layer_free(client);
        if (i == 0) { /* the first one warms caches that all share */
            tls_layer_free(server);
            before = heap_bytes();
        } else {
            servers[i - 1] = server;
        }
    }
    printf("%s: %zu bytes each\n", version == TLS1_3_VERSION ? "TLS 1.3" : "TLS 1.2",
           (heap_bytes() - before) / count);
    for (size_t i = 0; i < count; i++)
        tls_layer_free(servers[i]);
    free(servers);
    tls_context_unref(server_context);
    tls_context_unref(client_context);
}

int main(int argc, char **argv)
{
    struct certs certs;
    uint64_t count = 1000;
    if (argc > 1 && !str_to_u64(str_from(argv[1]), 1000000, &count))
        return 2;
    certs_open(&certs);
    certs_issue(&certs, "one", "DNS:one.example", 3);
    measure(&certs, TLS1_3_VERSION, count);
    measure(&certs, TLS1_2_VERSION, count);
    certs_close(&certs);
    return 0;
}
