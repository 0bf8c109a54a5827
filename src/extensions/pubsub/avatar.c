/* SPDX-License-Identifier: MIT */
/* An avatar is two nodes (XEP-0084 1.1.4): the image, and behind it the metadata, whose item bears the
 * image's hash as its id. So who has an avatar, and which, is known by the ids alone, which are in memory;
 * the image is on disk and is asked for. There is one copy of it: the photo of a vCard (XEP-0054) and the
 * hash in a presence (XEP-0153) are made from these nodes, and a photo that comes with a vCard is published
 * here.
 *
 * Metadata that names images at URLs only has an id that is not an item of the data node: then there is
 * nothing that a vCard could show (XEP-0398 §3.1). What an image says to be is not believed: it must hash to
 * its id, and its type is told by its first bytes. */
#include "extensions/pubsub/avatar.h"

#include "base/base64.h"
#include "base/rand.h"
#include "xml/write.h"
#include "xmpp/vcard.h"

enum { IMAGE_MAX = 64 << 20 };

/* ---- What there is
 * ----------------------------------------------------------------------------------------------------- */

static bool is_hash(str id)
{
    bool good = id.len == VCARD_HASH_LEN;
    for (size_t i = 0; good && i < id.len; i++)
        good = (id.p[i] >= '0' && id.p[i] <= '9') || (id.p[i] >= 'a' && id.p[i] <= 'f');
    return good;
}

static bool has_live(const struct pubsub *of, const struct node *node, str id)
{
    uint32_t index = node_find_item(node, id);
    return index < node->items.count && item_is_live(of, node, node_item(node, index));
}

str avatar_hash(const struct pubsub *of)
{
    const struct node *metadata = nodes_find(of->nodes, STR(NS_AVATAR_METADATA));
    const struct node *data = nodes_find(of->nodes, STR(NS_AVATAR_DATA));
    if (!metadata || !data || !metadata->items.count)
        return str_none;
    str id = item_id(node_item(metadata, metadata->items.count - 1));
    return is_hash(id) && has_live(of, metadata, id) && has_live(of, data, id) ? id : str_none;
}

bool avatar_is_for(const struct pubsub *of, const struct jid *who)
{
    const struct node *metadata = nodes_find(of->nodes, STR(NS_AVATAR_METADATA));
    const struct node *data = nodes_find(of->nodes, STR(NS_AVATAR_DATA));
    return metadata && data && !access_retrieve(of, metadata, who) && !access_retrieve(of, data, who);
}

void avatar_read(const struct pubsub *of, str hash, struct ext_op *op, ext_step *step)
{
    const struct node *data = nodes_find(of->nodes, STR(NS_AVATAR_DATA));
    str kind = node_item_kind(data, &of->shard->arena);
    store_get(ext_op_store(op), of->shard->loop, ext_op_owner(op), kind, hash, ext_op_read(op, step));
}

/* ---- Images
 * -------------------------------------------------------------------------------------------------------- */

bool avatar_take(str payload, str hash, struct arena *arena, str *ret_base64, const char **ret_type)
{
    struct xml_node data;
    str bytes;
    if (!xml_parse(payload, str_none, &data) || !xml_is(&data, STR("data"), STR(NS_AVATAR_DATA)) ||
        !vcard_decode(xml_text(&data, arena), arena, &bytes) || !str_eq(vcard_hash(bytes, arena), hash))
        return false;
    *ret_base64 = base64_encode_arena(arena, bytes);
    *ret_type = vcard_image_type(bytes);
    return true;
}

/* ---- Publishing
 * ---------------------------------------------------------------------------------------------------- */

static str data_payload(str bytes, struct arena *arena)
{
    struct buf xml;
    buf_init(&xml, IMAGE_MAX);
    buf_lit(&xml, "<data xmlns='" NS_AVATAR_DATA "'>");
    base64_encode(&xml, bytes);
    buf_lit(&xml, "</data>");
    str payload = arena_str(arena, buf_str(&xml));
    buf_fini(&xml);
    return payload;
}

static str metadata_payload(str bytes, str hash, str type, struct arena *arena)
{
    struct buf xml;
    buf_init(&xml, 16 * 1024);
    buf_addf(&xml, "<metadata xmlns='" NS_AVATAR_METADATA "'><info bytes='%zu' id='%.*s'", bytes.len,
             STR_ARGS(hash));
    xml_write_attr(&xml, "type", type);
    buf_lit(&xml, "/></metadata>");
    str payload = arena_str(arena, buf_str(&xml));
    buf_fini(&xml);
    return payload;
}

bool avatar_publish(struct pubsub *of, str bytes, str type, const struct stanza *cause)
{
    struct arena *arena = &of->shard->arena;
    str hash = vcard_hash(bytes, arena), data = data_payload(bytes, arena);
    const char *seen = vcard_image_type(bytes);
    str metadata = metadata_payload(bytes, hash, type.len || !seen ? type : str_from(seen), arena);
    if (str_eq(avatar_hash(of), hash))
        return true;
    bool both_are_new =
        !nodes_find(of->nodes, STR(NS_AVATAR_DATA)) && !nodes_find(of->nodes, STR(NS_AVATAR_METADATA));
    if (!own_has_room(of, STR(NS_AVATAR_DATA), data.len) ||
        !own_has_room(of, STR(NS_AVATAR_METADATA), metadata.len) ||
        (both_are_new && of->nodes->count + 2 > of->limits->nodes))
        return false;
    return own_publish(of, STR(NS_AVATAR_DATA), OWN_OPEN, hash, data, cause) &&
           own_publish(of, STR(NS_AVATAR_METADATA), OWN_OPEN, hash, metadata, cause);
}

void avatar_disable(struct pubsub *of, const struct stanza *cause)
{
    char token[24];
    if (!avatar_hash(of).p)
        return;
    rand_token(token, sizeof token);
    own_publish(of, STR(NS_AVATAR_METADATA), OWN_OPEN, arena_str(&of->shard->arena, str_from(token)),
                STR("<metadata xmlns='" NS_AVATAR_METADATA "'/>"), cause);
}
