/* SPDX-License-Identifier: MIT */
/* The photo of a vCard (XEP-0054), and what an image is. Pure: where cards and images are kept is the
 * extensions' matter. */
#ifndef XMPP_VCARD_H
#define XMPP_VCARD_H

#include "base/arena.h"
#include "base/buf.h"
#include "xml/node.h"

#define NS_VCARD "vcard-temp"

enum { VCARD_PHOTOS_MAX = 10, VCARD_HASH_LEN = 40 };

enum vcard_photo_state {
    VCARD_NO_PHOTO,
    VCARD_EMPTY_PHOTO, /* which says that there is none (XEP-0153 §3.2) */
    VCARD_PHOTO,       /* bytes, not none */
    VCARD_OTHER_PHOTO, /* at a URL, or nothing that can be read */
};

struct vcard_photo {
    str bytes;
    str type; /* as the card calls it, e.g. "image/png"; may be empty or wrong */
};

/* The first photo of the card, in the arena; `*ret` is set for VCARD_PHOTO. */
enum vcard_photo_state vcard_photo_read(const struct xml_node *card, struct arena *arena,
                                        struct vcard_photo *ret);

/* A <PHOTO/> of these bytes in base64; `type` may be NULL. */
void vcard_photo_write(struct buf *out, str base64, const char *type);

/* The card with these elements (of vcard_photo_write(), or none) in place of all its photos. */
void vcard_write(struct buf *out, const struct xml_node *card, str photo, struct arena *arena);

/* The SHA-1 (vcard_hash) of each photo that has bytes, spaces in between. False if one can't be read or there
 * are more than VCARD_PHOTOS_MAX; what was written is then of no use. */
bool vcard_hashes(const struct xml_node *card, struct arena *arena, struct buf *out);

/* Base64 as people send it: white space is nothing. */
bool vcard_decode(str text, struct arena *arena, str *ret_bytes);

/* SHA-1 in VCARD_HASH_LEN hexadecimal digits (XEP-0153 §3.1, XEP-0084 §4.2), in the arena. */
str vcard_hash(str bytes, struct arena *arena);

/* The media type of an image by its first bytes; NULL if they are of none that we know. */
const char *vcard_image_type(str bytes);

#endif
