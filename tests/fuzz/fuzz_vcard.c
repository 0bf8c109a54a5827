/* SPDX-License-Identifier: MIT */
/* Any element as a vCard, and any text as an avatar's data: a photo that was read is the same when it is
 * written and read again, and becomes an avatar that hashes to its id and back; taking photos out and putting
 * one in leaves everything else as it was. */
#include "extensions/pubsub/avatar.h"
#include "xml/write.h"
#include "xmpp/vcard.h"

#include "base/base64.h"

#include <stdlib.h>

enum { ROOM = 4 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good)
{
    if (!good)
        abort();
}

static str taken(struct buf *out, struct arena *arena)
{
    must(!buf_failed(out));
    str text = arena_str(arena, buf_str(out));
    buf_fini(out);
    return text;
}

/* The photos of the card counted, and the other children put one behind the other. */
static str others(const struct xml_node *card, struct arena *arena, unsigned *ret_photos)
{
    struct xml_node child;
    struct buf out;
    buf_init(&out, ROOM);
    *ret_photos = 0;
    for (bool more = xml_first(card, &child); more; more = xml_next(&child)) {
        if (xml_is(&child, STR("PHOTO"), STR(NS_VCARD)))
            ++*ret_photos;
        else
            buf_add(&out, child.bytes);
    }
    return taken(&out, arena);
}

static struct xml_node *with_photo(const struct xml_node *card, str photo, struct arena *arena)
{
    struct xml_node *again = ARENA_NEW(arena, struct xml_node);
    unsigned before, after;
    struct buf out;
    buf_init(&out, ROOM);
    vcard_write(&out, card, photo, arena);
    must(xml_parse(taken(&out, arena), STR(NS_VCARD), again));
    must(str_eq(again->name, card->name) && str_eq(again->ns, card->ns));
    must(str_eq(again->attrs, card->attrs));
    must(str_eq(others(card, arena, &before), others(again, arena, &after)) && after == (photo.len > 0));
    return again;
}

static void as_avatar(str bytes, struct arena *arena)
{
    str hash = vcard_hash(bytes, arena), base64;
    const char *type;
    struct buf out;
    buf_init(&out, ROOM);
    buf_lit(&out, "<data xmlns='" NS_AVATAR_DATA "'>");
    base64_encode(&out, bytes);
    buf_lit(&out, "</data>");
    str data = taken(&out, arena);
    must(avatar_take(data, hash, arena, &base64, &type) && type == vcard_image_type(bytes));
    must(str_eq(base64, base64_encode_arena(arena, bytes)));
    must(!avatar_take(data, STR("da39a3ee5e6b4b0d3255bfef95601890afd80709"), arena, &base64, &type));
}

static void check_photo(const struct xml_node *card, const struct vcard_photo *photo, struct arena *arena)
{
    struct vcard_photo same;
    struct buf out;
    const char *type = vcard_image_type(photo->bytes);
    must(photo->bytes.len > 0);
    buf_init(&out, ROOM);
    vcard_photo_write(&out, base64_encode_arena(arena, photo->bytes), type);
    const struct xml_node *again = with_photo(card, taken(&out, arena), arena);
    must(vcard_photo_read(again, arena, &same) == VCARD_PHOTO && str_eq(same.bytes, photo->bytes));
    must(str_eq(same.type, str_from(type)));
    as_avatar(photo->bytes, arena);
}

static void check_hashes(const struct xml_node *card, const struct vcard_photo *photo, struct arena *arena)
{
    struct buf out;
    buf_init(&out, VCARD_PHOTOS_MAX * (VCARD_HASH_LEN + 1));
    if (vcard_hashes(card, arena, &out)) {
        str hashes = taken(&out, arena);
        must(!hashes.len || hashes.len % (VCARD_HASH_LEN + 1) == VCARD_HASH_LEN);
        must(!photo || str_starts(hashes, vcard_hash(photo->bytes, arena)));
    }
    buf_fini(&out);
}

static void check_card(const struct xml_node *card, struct arena *arena)
{
    struct vcard_photo photo;
    bool has_photo = vcard_photo_read(card, arena, &photo) == VCARD_PHOTO;
    const struct xml_node *without = with_photo(card, STR(""), arena);
    check_hashes(card, has_photo ? &photo : NULL, arena);
    if (has_photo)
        check_photo(card, &photo, arena);
    must(vcard_photo_read(without, arena, &photo) == VCARD_NO_PHOTO);
}

static void check_data(str text, struct arena *arena)
{
    str base64, bytes, same;
    const char *type;
    if (!avatar_take(text, STR("356a192b7913b04c54574d18c28d46e6395428ab"), arena, &base64, &type))
        return;
    must(vcard_decode(base64, arena, &bytes) && base64_decode(arena, base64, &same) && str_eq(bytes, same));
    must(str_is(bytes, "1")); /* nothing else has that hash */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str text = str_of((const char *)data, size);
    struct xml_node card;
    struct arena arena;
    arena_init(&arena, 4096);
    check_data(text, &arena);
    if (xml_parse(text, STR(NS_VCARD), &card))
        check_card(&card, &arena);
    arena_fini(&arena);
    return 0;
}
