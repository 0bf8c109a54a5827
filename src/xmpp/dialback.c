/* SPDX-License-Identifier: MIT */
/* Dialback: a server proves that it speaks for a domain by a key that the server found by DNS under that
 * domain's name says to be its own.
 *
 * The key is HMAC-SHA-256, under the hexadecimal SHA-256 of a secret, of the two domains and the stream's id
 * (XEP-0185 §3): so the one who verifies needs to remember nothing. XEP-0220 §2. */
#include "xmpp/dialback.h"

#include "base/base64.h"
#include "base/digest.h"
#include "base/mem.h"
#include "xml/write.h"
#include "xmpp/ns.h"

enum { SHA256_SIZE = 32 };

static const char *const kind_names[] = { "result", "verify" };
static const char *const type_names[] = { NULL, "valid", "invalid", "error" };

static void to_hex(const unsigned char bytes[SHA256_SIZE], char ret[DIALBACK_KEY_SIZE])
{
    struct buf text;
    buf_init(&text, 2 * SHA256_SIZE);
    hex_encode(&text, str_of((const char *)bytes, SHA256_SIZE));
    str_copy(buf_str(&text), ret, DIALBACK_KEY_SIZE);
    mem_wipe(text.p, text.len);
    buf_fini(&text);
}

void dialback_key(str secret, str receiving, str originating, str stream_id, char ret[DIALBACK_KEY_SIZE])
{
    unsigned char digest[DIGEST_MAX_SIZE];
    char hashed[DIALBACK_KEY_SIZE];
    struct buf text;
    digest_hash(DIGEST_SHA256, secret, digest);
    to_hex(digest, hashed);
    buf_init(&text, receiving.len + originating.len + stream_id.len + 2);
    buf_add(&text, receiving);
    buf_add_char(&text, ' ');
    buf_add(&text, originating);
    buf_add_char(&text, ' ');
    buf_add(&text, stream_id);
    digest_hmac(DIGEST_SHA256, str_from(hashed), buf_str(&text), digest);
    to_hex(digest, ret);
    buf_fini(&text);
    mem_wipe(hashed, sizeof hashed);
    mem_wipe(digest, sizeof digest);
}

bool dialback_key_is(str secret, str receiving, str originating, str stream_id, str key)
{
    char right[DIALBACK_KEY_SIZE];
    dialback_key(secret, receiving, originating, stream_id, right);
    bool same = key.len == DIALBACK_KEY_SIZE - 1 && mem_equal_secret(right, key.p, key.len);
    mem_wipe(right, sizeof right);
    return same;
}

static bool read_domain(const struct xml_node *node, str name, struct arena *arena, str *ret)
{
    str text = xml_attr(node, name, arena);
    return text.p && jid_prepare_domain(text, arena, ret) == OK;
}

static bool read_type(const struct xml_node *node, struct arena *arena, enum dialback_type *ret)
{
    str text = xml_attr(node, STR("type"), arena);
    *ret = DIALBACK_REQUEST;
    if (!text.p)
        return true;
    for (size_t i = DIALBACK_VALID; i < COUNT_OF(type_names); i++) {
        if (str_eq(text, str_from(type_names[i]))) {
            *ret = (enum dialback_type)i;
            return true;
        }
    }
    return false;
}

enum dialback_fault dialback_read(const struct xml_node *node, struct arena *arena, struct dialback *ret)
{
    struct xml_node error;
    *ret = (struct dialback){ 0 };
    if (xml_is(node, STR("verify"), STR(NS_DIALBACK)))
        ret->kind = DIALBACK_VERIFY;
    else if (!xml_is(node, STR("result"), STR(NS_DIALBACK)))
        return DIALBACK_OTHER;
    if (!read_domain(node, STR("from"), arena, &ret->from) || !read_domain(node, STR("to"), arena, &ret->to))
        return DIALBACK_BAD_ADDRESS;
    ret->id = xml_attr(node, STR("id"), arena);
    if (!read_type(node, arena, &ret->type) || (ret->kind == DIALBACK_VERIFY && !ret->id.len))
        return DIALBACK_BAD_FORM;
    if (ret->type == DIALBACK_REQUEST)
        ret->key = str_trim(xml_text(node, arena));
    if (ret->type == DIALBACK_ERROR)
        ret->error = xml_child(node, STR("error"), str_none, &error) ? stanza_error_read(&error)
                                                                     : STANZA_ERROR_UNDEFINED_CONDITION;
    return DIALBACK_OK;
}

void dialback_write(struct buf *out, const struct dialback *dialback)
{
    const char *name = kind_names[dialback->kind];
    buf_addf(out, "<db:%s", name);
    xml_write_attr(out, "from", dialback->from);
    xml_write_attr(out, "to", dialback->to);
    if (dialback->kind == DIALBACK_VERIFY)
        xml_write_attr(out, "id", dialback->id);
    xml_write_attr(out, "type", str_from(type_names[dialback->type]));
    if (dialback->type == DIALBACK_VALID || dialback->type == DIALBACK_INVALID) {
        buf_lit(out, "/>");
        return;
    }
    buf_add_char(out, '>');
    if (dialback->type == DIALBACK_REQUEST)
        xml_write_text(out, dialback->key);
    else
        stanza_error_write(out, dialback->error);
    buf_addf(out, "</db:%s>", name);
}

struct dialback dialback_reply(const struct dialback *request, enum dialback_type type,
                               enum stanza_error error)
{
    return (struct dialback){ .kind = request->kind,
                              .type = type,
                              .from = request->to,
                              .to = request->from,
                              .id = request->id,
                              .error = error };
}
