/* SPDX-License-Identifier: MIT */
/* What extensions that know vCards have in common: the photo is read as it comes (its label is not believed,
 * XEP-0153 §4.4, and white space is let pass), and put in or taken out without a look at the rest. */
#include "xmpp/vcard.h"

#include "base/base64.h"
#include "base/digest.h"
#include "xmpp/payload.h"

static str binval(const struct xml_node *photo, struct arena *arena)
{
    return xml_child_text(photo, STR("BINVAL"), STR(NS_VCARD), arena);
}

enum vcard_photo_state vcard_photo_read(const struct xml_node *card, struct arena *arena,
                                        struct vcard_photo *ret)
{
    struct xml_node photo;
    str bytes, base64;
    if (!xml_child(card, STR("PHOTO"), STR(NS_VCARD), &photo))
        return VCARD_NO_PHOTO;
    base64 = binval(&photo, arena);
    if (!base64.p || !vcard_decode(base64, arena, &bytes))
        return VCARD_OTHER_PHOTO;
    if (!bytes.len)
        return VCARD_EMPTY_PHOTO;
    ret->bytes = bytes;
    ret->type = str_trim(xml_child_text(&photo, STR("TYPE"), STR(NS_VCARD), arena));
    return VCARD_PHOTO;
}

void vcard_photo_write(struct buf *out, str base64, const char *type)
{
    buf_lit(out, "<PHOTO xmlns='" NS_VCARD "'>");
    if (type)
        buf_addf(out, "<TYPE>%s</TYPE>", type);
    buf_lit(out, "<BINVAL>");
    buf_add(out, base64);
    buf_lit(out, "</BINVAL></PHOTO>");
}

void vcard_write(struct buf *out, const struct xml_node *card, str photo, struct arena *arena)
{
    size_t name_end = (size_t)(card->attrs.p - card->bytes.p);
    buf_add(out, str_sub(card->bytes, 0, name_end + card->attrs.len));
    buf_add_char(out, '>');
    buf_add(out, payload_without_child(card, STR("PHOTO"), STR(NS_VCARD), arena));
    buf_add(out, photo);
    buf_addf(out, "</%.*s>", STR_ARGS(str_sub(card->bytes, 1, name_end)));
}

bool vcard_hashes(const struct xml_node *card, struct arena *arena, struct buf *out)
{
    struct xml_node photo;
    unsigned count = 0;
    for (bool more = xml_first(card, &photo); more; more = xml_next(&photo)) {
        str bytes;
        if (!xml_is(&photo, STR("PHOTO"), STR(NS_VCARD)))
            continue;
        str base64 = binval(&photo, arena);
        if (!base64.p) /* one at a URL has no hash */
            continue;
        if (++count > VCARD_PHOTOS_MAX || !vcard_decode(base64, arena, &bytes) || !bytes.len)
            return false;
        if (out->len)
            buf_add_char(out, ' ');
        buf_add(out, vcard_hash(bytes, arena));
    }
    return true;
}

bool vcard_decode(str text, struct arena *arena, str *ret_bytes)
{
    char *packed = arena_alloc(arena, text.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.p[i];
        if (c != ' ' && c != '\t' && c != '\r' && c != '\n')
            packed[len++] = c;
    }
    return base64_decode(arena, str_of(packed, len), ret_bytes);
}

str vcard_hash(str bytes, struct arena *arena)
{
    unsigned char sha1[DIGEST_MAX_SIZE];
    struct buf hex;
    digest_hash(DIGEST_SHA1, bytes, sha1);
    buf_init(&hex, VCARD_HASH_LEN);
    hex_encode(&hex, str_of((const char *)sha1, digest_size(DIGEST_SHA1)));
    str text = arena_str(arena, buf_str(&hex));
    buf_fini(&hex);
    return text;
}

const char *vcard_image_type(str bytes)
{
    if (str_starts(bytes, STR("\x89PNG\r\n")))
        return "image/png";
    if (str_starts(bytes, STR("\xff\xd8\xff")))
        return "image/jpeg";
    if (str_starts(bytes, STR("GIF8")))
        return "image/gif";
    if (str_starts(bytes, STR("RIFF")) && str_eq(str_sub(bytes, 8, 12), STR("WEBP")))
        return "image/webp";
    return NULL;
}
