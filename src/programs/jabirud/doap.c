/* SPDX-License-Identifier: MIT */
/* jabiru.doap (XEP-0453), made from the same descriptors that the server runs by, so that it claims no more
 * than is there. A specification that several parts implement is complete only if each says so. */
#include "doap.h"

#include "server/xeps.h"

#include <stdlib.h>

enum { XEPS_MAX = 512 };

static const char head[] =
    "<?xml version='1.0' encoding='UTF-8'?>\n"
    "<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#' xmlns='http://usefulinc.com/ns/doap#'\n"
    "         xmlns:xmpp='https://linkmauve.fr/ns/xmpp-doap#'>\n"
    "  <Project>\n"
    "    <name>Jabiru</name>\n"
    "    <shortdesc xml:lang='en'>XMPP server</shortdesc>\n"
    "    <description xml:lang='en'>A complete XMPP system in C: small, fast, and loses "
    "nothing</description>\n"
    "    <license rdf:resource='https://spdx.org/licenses/MIT'/>\n"
    "    <programming-language>C</programming-language>\n"
    "    <os>Linux</os>\n"
    "    <category rdf:resource='https://linkmauve.fr/ns/xmpp-doap#category-server'/>\n";

static const char *const rfcs[] = { "5802", "6120", "6121", "7590", "7622", "7677" };

static size_t gather(const struct ext_xep *from, struct ext_xep *to, size_t count)
{
    for (; from && from->number && count < XEPS_MAX; from++)
        to[count++] = *from;
    return count;
}

static int by_number(const void *a, const void *b)
{
    const struct ext_xep *one = a, *other = b;
    return (one->number > other->number) - (one->number < other->number);
}

static void print_xep(FILE *file, const struct ext_xep *xep, bool partial)
{
    fprintf(file,
            "    <implements>\n"
            "      <xmpp:SupportedXep>\n"
            "        <xmpp:xep rdf:resource='https://xmpp.org/extensions/xep-%04u.html'/>\n"
            "        <xmpp:status>%s</xmpp:status>\n"
            "        <xmpp:version>%s</xmpp:version>\n"
            "        <xmpp:since>" JABIRU_VERSION "</xmpp:since>\n"
            "      </xmpp:SupportedXep>\n"
            "    </implements>\n",
            xep->number, partial ? "partial" : "complete", xep->version);
}

void doap_print(FILE *file, const struct ext *const *extensions)
{
    struct ext_xep *all = xcalloc(XEPS_MAX, sizeof *all);
    size_t count = gather(server_xeps, all, 0);
    for (; *extensions; extensions++) {
        if ((*extensions)->xep.number && count < XEPS_MAX)
            all[count++] = (*extensions)->xep;
        count = gather((*extensions)->more, all, count);
    }
    qsort(all, count, sizeof *all, by_number);
    fputs(head, file);
    for (size_t i = 0; i < COUNT_OF(rfcs); i++)
        fprintf(file, "    <implements rdf:resource='https://www.rfc-editor.org/rfc/rfc%s.html'/>\n",
                rfcs[i]);
    for (size_t i = 0; i < count;) {
        bool partial = false;
        size_t first = i;
        for (; i < count && all[i].number == all[first].number; i++)
            partial |= all[i].partial;
        print_xep(file, &all[first], partial);
    }
    fputs("  </Project>\n</rdf:RDF>\n", file);
    free(all);
}
