/* SPDX-License-Identifier: MIT */
/* Any bytes as what a web server says of a domain's certificates: as an answer, as a document, as a URL. */
#include "net/https.h"
#include "xmpp/posh.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_document(str text)
{
    struct https_url url;
    struct posh posh;
    if (posh_read(text, &posh) != OK)
        return;
    if (!posh.expires_s || posh.count > POSH_PRINTS_MAX || (!posh.count && !posh.url[0]))
        abort();
    (void)posh_has(&posh, text);
    (void)https_url_read(str_from(posh.url), &url);
}

static void read_url(str text)
{
    struct https_url url;
    if (!https_url_read(text, &url))
        return;
    if (!url.port || url.path[0] != '/' || !url.host[0] || strpbrk(url.path, " \r\n#") ||
        strpbrk(url.host, "/:@"))
        abort();
}

/* What is said of a part must not be taken back when more has come. */
static void read_answer(str text)
{
    str body = str_none;
    enum err err = https_answer_read(text, false, &body);
    if (err == OK && (body.len > HTTPS_BODY_MAX || body.p < text.p || body.p + body.len > text.p + text.len))
        abort();
    if (err == OK)
        read_document(body);
    if (https_answer_read(text, true, &body) == ERR_AGAIN)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str text = str_of((const char *)data, size);
    read_answer(text);
    read_document(text);
    read_url(text);
    return 0;
}
