/* SPDX-License-Identifier: MIT */
/* Any element in front of every reader of payloads: data forms and each of their getters, pages (XEP-0059),
 * capabilities (whose hash must not change when they are written and read), archive queries, features of
 * servers. */
#include "extensions/archive/mam_request.h"
#include "xmpp/caps.h"
#include "xmpp/delay.h"
#include "xmpp/form.h"
#include "xmpp/ns.h"
#include "xmpp/peer.h"
#include "xmpp/rsm.h"
#include "xmpp/stream.h"

#include <stdlib.h>

enum { ROOM = 4 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask_form(struct form *form)
{
    static const struct form_option options[] = { { "a", NULL }, { "b", "B" }, { NULL, NULL } };
    struct form_jids jids;
    struct form_texts texts;
    struct jid jid;
    uint64_t number;
    int64_t moment;
    uint32_t set;
    unsigned which;
    bool yes;
    str text;
    for (size_t i = 0; i < form->count; i++) {
        char *name = str_dup(form->fields[i].name);
        form_text(form, name, &text);
        form_lines(form, name, &text);
        form_bool(form, name, &yes);
        if (form_u64(form, name, 5, 10, &number) && (number < 5 || number > 10))
            abort();
        form_stamp(form, name, &moment);
        form_jid(form, name, &jid);
        form_jids(form, name, &jids);
        form_texts(form, name, &texts);
        form_choices(form, name, options, &set);
        if (form_choice(form, name, options, &which) && which > 1)
            abort();
        free(name);
    }
}

static void caps(const struct xml_node *node, struct arena *arena)
{
    struct caps_info info, again;
    struct xml_node same;
    struct buf out;
    if (caps_read(node, STR("en"), arena, &info) != OK)
        return;
    buf_init(&out, ROOM);
    caps_write(&out, &info, str_none);
    if (!buf_failed(&out)) {
        if (!xml_parse(buf_str(&out), str_none, &same) || caps_read(&same, STR("en"), arena, &again) != OK)
            abort();
        if (!str_eq(caps_ver(&info, DIGEST_SHA1, arena), caps_ver(&again, DIGEST_SHA1, arena)))
            abort();
        if (!info.is_extended &&
            !str_eq(caps_hash(&info, DIGEST_SHA256, arena), caps_hash(&again, DIGEST_SHA256, arena)))
            abort();
    }
    buf_fini(&out);
}

static void archive_query(const struct xml_node *node, struct arena *arena)
{
    static const struct mam_archive archive = { .page = 50, .page_max = 100, .searches = true };
    struct mam_request request;
    const char *why = NULL;
    if (mam_request_read(node, &archive, arena, &request, &why) != STANZA_ERROR_NONE)
        return;
    if (request.limit > archive.page_max || request.id_count > MAM_IDS_MAX || request.must_be_count > 4)
        abort();
}

static void read_all(const struct xml_node *node, struct arena *arena)
{
    struct form form;
    struct rsm rsm;
    struct stream_header header;
    if (form_read(node, arena, &form) == OK)
        ask_form(&form);
    if (form_read_child(node, arena, &form) == OK)
        ask_form(&form);
    if (rsm_read(node, arena, &rsm) == STANZA_ERROR_NONE && rsm_limit(&rsm, 10, 100) > 100)
        abort();
    caps(node, arena);
    archive_query(node, arena);
    (void)peer_features_read(node, arena);
    (void)stream_header_read(node, arena, &header);
    (void)stream_header_read_server(node, arena, &header);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct xml_node node;
    arena_init(&arena, 4096);
    if (xml_parse(str_of((const char *)data, size), STR(NS_CLIENT), &node))
        read_all(&node, &arena);
    arena_fini(&arena);
    return 0;
}
