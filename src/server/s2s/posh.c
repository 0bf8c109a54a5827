/* SPDX-License-Identifier: MIT */
/* A page for each domain that was asked. Who connects can name any domain and so make us ask its web server;
 * so few are asked at a time, each once for all who wait, always for the same path at the same port, and an
 * answer of any kind is kept for a while. A reference to another place is followed once (RFC 7711 §3.2), to a
 * name, over HTTPS, at that port; nothing that is read there is told to anybody.
 *
 * What the certificate says of itself, when it ends and who signed it, does not count then: the domain, which
 * has proved itself to us by its web server's certificate, says that this one is its own (RFC 7711 §3.3). */
#include "server/s2s/posh.h"

#include "base/log.h"
#include "net/https.h"
#include "xmpp/posh.h"

#include <stdlib.h>

enum { PAGES_MAX = 1000, ASKED_MAX = 20, PATIENCE_MS = 10 * 1000, FAILED_S = 300, KEPT_MAX_S = 7 * 86400 };

struct posh_book {
    struct shard *shard;
    struct tls_context *tls;
    struct map pages;
    struct list by_age; /* the oldest first */
    unsigned asked;
};

struct fetch {
    struct https_get get;
    struct page *page;
};

struct page {
    struct map_node _node;
    struct list age;
    struct posh_book *book;
    char *domain;
    struct posh *said; /* NULL: nothing of use */
    uint64_t until_us;
    struct fetch *fetch;  /* NULL: it is not being asked */
    uint32_t reference_s; /* for how long a reference that is followed is good; 0: none was */
    struct list askers;
};

static str key_of(const struct map_node *node)
{
    return str_from(CONTAINER_OF(node, struct page, _node)->domain);
}

struct posh_book *posh_book_new(struct shard *shard, struct tls_context *tls)
{
    struct posh_book *book = NEW(struct posh_book);
    book->shard = shard;
    book->tls = tls_context_ref(tls);
    map_init(&book->pages, key_of);
    list_init(&book->by_age);
    return book;
}

/* ---- Pages */

static void stop_asking(struct page *page)
{
    if (!page->fetch)
        return;
    https_fini(&page->fetch->get);
    free(page->fetch);
    page->fetch = NULL;
    page->book->asked--;
}

static void page_free(struct page *page)
{
    stop_asking(page);
    while (list_shift(&page->askers))
        ;
    map_remove(&page->book->pages, &page->_node);
    list_remove(&page->age);
    free(page->said);
    free(page->domain);
    free(page);
}

void posh_book_free(struct posh_book *book)
{
    if (!book)
        return;
    while (!list_empty(&book->by_age))
        page_free(LIST_ITEM(book->by_age.next, struct page, age));
    map_fini(&book->pages);
    tls_context_unref(book->tls);
    free(book);
}

static struct page *page_of(const struct posh_book *book, str domain)
{
    struct map_node *node = map_get(&book->pages, domain);
    return MAP_ITEM(node, struct page, _node);
}

static bool is_fresh(const struct page *page)
{
    return page->until_us > loop_now_us(page->book->shard->loop);
}

/* The oldest makes room. NULL: it is needed. */
static struct page *page_new(struct posh_book *book, str domain)
{
    if (book->pages.count >= PAGES_MAX) {
        struct page *oldest = LIST_ITEM(book->by_age.next, struct page, age);
        if (oldest->fetch)
            return NULL;
        page_free(oldest);
    }
    struct page *page = NEW(struct page);
    page->book = book;
    page->domain = str_dup(domain);
    list_init(&page->askers);
    list_append(&book->by_age, &page->age);
    map_put(&book->pages, &page->_node);
    return page;
}

/* ---- Answers */

static void tell(struct page *page)
{
    struct list *link;
    while ((link = list_shift(&page->askers))) {
        struct posh_asker *asker = LIST_ITEM(link, struct posh_asker, _link);
        asker->done(asker);
    }
}

static void settle(struct page *page, const struct posh *said, uint32_t kept_s)
{
    struct shard *shard = page->book->shard;
    stop_asking(page);
    if (kept_s > KEPT_MAX_S)
        kept_s = KEPT_MAX_S;
    page->until_us = loop_now_us(shard->loop) + (uint64_t)kept_s * 1000000;
    if (said) {
        page->said = NEW(struct posh);
        *page->said = *said;
    }
    shard_enter(shard);
    tell(page);
    shard_leave(shard);
}

static void begin(struct page *page, const struct https_url *url)
{
    struct posh_book *book = page->book;
    https_start(&page->fetch->get, book->shard->loop, book->shard->dns, book->tls, url, PATIENCE_MS);
}

/* The time for which it may be kept is the shorter one. */
static bool follow(struct page *page, const struct posh *said)
{
    struct https_url url;
    if (page->reference_s || !https_url_read(str_from(said->url), &url) ||
        url.port != page->book->shard->server->config->s2s.posh_port)
        return false;
    page->reference_s = said->expires_s;
    https_fini(&page->fetch->get);
    begin(page, &url);
    return true;
}

static void answered(struct https_get *get)
{
    struct page *page = CONTAINER_OF(get, struct fetch, get)->page;
    struct posh said;
    enum err err = get->err == OK ? posh_read(get->body, &said) : get->err;
    if (err == OK && !said.count) {
        if (follow(page, &said))
            return;
        err = ERR_INVALID;
    }
    if (err != OK) {
        log_info(s2s, "%s says nothing of its certificates (POSH): %s", page->domain, err_text(err));
        settle(page, NULL, FAILED_S);
        return;
    }
    log_info(s2s, "%s names %zu certificates (POSH)", page->domain, said.count);
    bool is_shorter = page->reference_s && page->reference_s < said.expires_s;
    settle(page, &said, is_shorter ? page->reference_s : said.expires_s);
}

/* ---- Questions */

static bool start(struct page *page, struct arena *arena)
{
    struct posh_book *book = page->book;
    struct https_url url;
    str ascii;
    if (book->asked >= ASKED_MAX || jid_domain_to_ascii(str_from(page->domain), arena, &ascii) != OK ||
        !https_url_read(arena_printf(arena, "https://%.*s:%u" POSH_PATH_SERVER, STR_ARGS(ascii),
                                     (unsigned)book->shard->server->config->s2s.posh_port),
                        &url))
        return false;
    free(page->said);
    page->said = NULL;
    page->reference_s = 0;
    page->fetch = NEW(struct fetch);
    page->fetch->get.done = answered;
    page->fetch->page = page;
    book->asked++;
    list_remove(&page->age);
    list_append(&book->by_age, &page->age);
    begin(page, &url);
    return true;
}

void posh_leave(struct posh_asker *asker)
{
    if (asker->_link.next)
        list_remove(&asker->_link);
}

bool posh_ask(struct shard *shard, str domain, struct posh_asker *asker)
{
    struct posh_book *book = shard->posh;
    if (!book)
        return false;
    struct page *page = page_of(book, domain);
    if (!page && !(page = page_new(book, domain)))
        return false;
    if (!page->fetch && (is_fresh(page) || !start(page, &shard->arena)))
        return false;
    list_append(&page->askers, &asker->_link);
    return true;
}

bool posh_vouches(struct shard *shard, struct conn *conn, str domain, struct arena *arena)
{
    struct page *page = shard->posh ? page_of(shard->posh, domain) : NULL;
    if (!page || !page->said || !is_fresh(page))
        return false;
    str certificate = conn_peer_der(conn, arena);
    return certificate.p && posh_has(page->said, certificate);
}
