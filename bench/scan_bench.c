/* SPDX-License-Identifier: MIT */
/* The scanner beside expat with namespaces, on the same stanzas: what a server reads from its clients, each
 * case a stream of one kind of stanza in reads of 16 KB. Prints MB/s of each (the best of some interleaved
 * rounds, since the machine may be shared) and the ratio.
 *
 *   scan_bench [rounds] */
#include "base/buf.h"
#include "xml/scan.h"

#include <expat.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { STREAM_BYTES = 4 << 20, READ_BYTES = 16 << 10 };

#define HEADER                                                                                               \
    "<?xml version='1.0'?><stream:stream xmlns='jabber:client' "                                             \
    "xmlns:stream='http://etherx.jabber.org/streams' to='capulet.example' version='1.0'>"

/* In a stanza, * stands for a word and # for a sentence, of a length that changes from one to the next: else
 * the processor would learn the stanza by heart. */
static const struct kind {
    const char *name, *stanza;
} kinds[] = {
    { "message, short", "<message to='*@example.org' type='chat'><body>#</body></message>" },
    { "message",
      "<message to='*@montague.example/*' id='*' type='chat' xml:lang='en'><body>##</body></message>" },
    { "message with chat state and receipt",
      "<message to='*@montague.example/*' id='*' type='chat'><body># &amp; #</body>"
      "<active xmlns='http://jabber.org/protocol/chatstates'/><request xmlns='urn:xmpp:receipts'/>"
      "<origin-id xmlns='urn:xmpp:sid:0' id='*'/></message>" },
    { "message in Russian",
      "<message to='*@montague.example/*' id='*' type='chat'><body>* Роза пахнет розой, * "
      "хоть розой назови её, хоть нет. *</body></message>" },
    { "presence with capabilities",
      "<presence><show>*</show><priority>1</priority><c "
      "xmlns='http://jabber.org/protocol/caps' hash='sha-1' "
      "node='http://*.example/*' ver='QgayPKawpkPSDYmwT/WM94uAlu0='/></presence>" },
    { "ping",
      "<iq from='*@*.example/*' to='*.example' id='*' type='get'><ping xmlns='urn:xmpp:ping'/></iq>" },
    { "message, 2 KB of text",
      "<message to='*@example.org' type='chat'><body>################################</body></message>" },
};

static uint64_t random_state = 88172645463325252u;

static unsigned random_below(unsigned limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned)(random_state % limit);
}

static void add_stanza(struct buf *to, const char *stanza)
{
    static const str letters = STR_INIT("whatsinanamethatwhichwecallarosebyanyothernamewouldsmellassweet"),
                     words = STR_INIT(
                         "What's in a name? That which we call a rose by any other name would smell as "
                         "sweet; so Romeo would, were he not Romeo called.");
    for (; *stanza; stanza++) {
        unsigned from = random_below(48);
        if (*stanza == '*')
            buf_add(to, str_sub(letters, from, from + 3 + random_below(13)));
        else if (*stanza == '#')
            buf_add(to, str_sub(words, 0, 10 + random_below(110)));
        else
            buf_add_char(to, *stanza);
    }
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static size_t elements;

/* As a connection does it: what is left of a read stands before the next one. */
static void run_scanner(str stream)
{
    static const struct scan_limits limits = { 1 << 20, 64, 64, 256 };
    struct scanner scanner;
    scanner_init(&scanner, &limits);
    size_t at = 0, end = 0;
    while (end < stream.len) {
        end = end + READ_BYTES < stream.len ? end + READ_BYTES : stream.len;
        for (;;) {
            size_t used;
            struct xml_node node;
            enum scan_event event = scanner_next(&scanner, str_of(stream.p + at, end - at), &used, &node);
            at += used;
            elements += event == SCAN_ELEMENT;
            if (event == SCAN_ERROR)
                abort();
            if (event == SCAN_MORE)
                break;
        }
    }
    scanner_fini(&scanner);
}

static void on_start(void *depth, const char *name, const char **attrs)
{
    (void)name, (void)attrs;
    ++*(int *)depth;
}

static void on_end(void *depth, const char *name)
{
    (void)name;
    elements += --*(int *)depth == 1;
}

static void on_text(void *depth, const char *text, int len)
{
    (void)depth, (void)text, (void)len;
}

static void run_expat(str stream)
{
    int depth = 0;
    XML_Parser parser = XML_ParserCreateNS("UTF-8", '\f');
    XML_SetUserData(parser, &depth);
    XML_SetElementHandler(parser, on_start, on_end);
    XML_SetCharacterDataHandler(parser, on_text);
    for (size_t at = 0; at < stream.len; at += READ_BYTES) {
        size_t piece = stream.len - at < READ_BYTES ? stream.len - at : READ_BYTES;
        if (XML_Parse(parser, stream.p + at, (int)piece, 0) != XML_STATUS_OK)
            abort();
    }
    XML_ParserFree(parser);
}

static double rate(void (*run)(str), str stream)
{
    double start = now();
    run(stream);
    return (double)stream.len / (now() - start) / 1e6;
}

static void measure(const struct kind *kind, int rounds)
{
    struct buf stream;
    buf_init(&stream, STREAM_BYTES + 16384);
    buf_lit(&stream, HEADER);
    size_t count = 0;
    for (; stream.len < STREAM_BYTES; count++)
        add_stanza(&stream, kind->stanza);
    double scanner = 0, expat = 0;
    for (int i = 0; i < rounds; i++) {
        double s = rate(run_scanner, buf_str(&stream)), e = rate(run_expat, buf_str(&stream));
        scanner = s > scanner ? s : scanner;
        expat = e > expat ? e : expat;
    }
    printf("%-36s %5zu %8.0f %8.0f %6.1f\n", kind->name, stream.len / count, scanner, expat, scanner / expat);
    buf_fini(&stream);
}

int main(int argc, char **argv)
{
    uint64_t rounds = 10;
    if (argc > 1 && !str_to_u64(str_from(argv[1]), 10000, &rounds))
        return 2;
    printf("%-36s %5s %8s %8s %6s\n", "stanza", "bytes", "MB/s", "expat", "ratio");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        measure(&kinds[i], (int)rounds);
    return elements == 0;
}
