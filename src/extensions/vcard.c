/* SPDX-License-Identifier: MIT */
/* XEP-0054 1.3.0: an account's vCard, which anybody may read; and XEP-0398 1.0.0: its photo and the avatar of
 * XEP-0084 are one thing.
 *
 * The vCard is one row (kind `vcard`), read when it is asked for. Its photo does not stand in it: it is taken
 * out, published as an avatar, and put back in when somebody asks who may read the avatar (§5.2's second
 * way); so an avatar that a client publishes is at once the photo, and there is nothing to keep in step. A
 * photo that cannot be an avatar (at a URL, too large for a node, no base64) stays in the row as it is, and
 * the avatar is disabled, since what was set is what is to be seen.
 *
 * Who has no vCard and does not exist get the same answer (XEP-0054 §3.3). */
#include "xmpp/vcard.h"
#include "extensions/pubsub/avatar.h"

#include <stdlib.h>

extern const struct ext ext_vcard;
static struct ext_slot slot;

struct vcard_settings {
    uint32_t size;
};

/* ---- Reading
 * -------------------------------------------------------------------------------------------------------- */

struct reading {
    struct ext_op op;
    char *card;    /* the row, or NULL */
    char hash[41]; /* of the avatar, or "" */
};

static void got_card(struct ext_op *op, struct iq_event *event); /* -> got_photo */
static void got_photo(struct ext_op *op, struct iq_event *event);

static void reading_fini(struct ext_op *op)
{
    free(((struct reading *)op)->card);
}

static void get(struct iq_event *event)
{
    struct reading *reading = ext_op_new(event, sizeof *reading);
    reading->op.fini = reading_fini;
    store_get(ext_op_store(&reading->op), event->shard->loop, ext_op_owner(&reading->op), STR("vcard"),
              STR(""), ext_op_read(&reading->op, got_card));
}

static bool is_own(const struct iq_event *event)
{
    struct jid own = user_jid(event->user);
    return jid_eq_bare(&event->iq->from, &own);
}

static void answer(struct reading *reading, struct iq_event *event, str photo)
{
    struct xml_node card;
    struct buf xml;
    str stored = str_from(reading->card);
    if (!stored.p && !photo.p) {
        ext_error(event, is_own(event) ? STANZA_ERROR_ITEM_NOT_FOUND : STANZA_ERROR_SERVICE_UNAVAILABLE,
                  NULL);
        return;
    }
    if (!stored.p || !xml_parse(stored, str_none, &card))
        xml_parse(STR("<vCard xmlns='" NS_VCARD "'/>"), str_none, &card);
    buf_init(&xml, SIZE_MAX / 2);
    if (photo.p)
        vcard_write(&xml, &card, photo, &event->shard->arena);
    else
        buf_add(&xml, card.bytes);
    ext_result(event, &xml);
    buf_fini(&xml);
}

static void got_card(struct ext_op *op, struct iq_event *event)
{
    struct reading *reading = (struct reading *)op;
    struct pubsub of = pep_of(event->user);
    str hash = pep_is_on(event->host) ? avatar_hash(&of) : str_none;
    if (op->read.err != OK) {
        ext_error(event, STANZA_ERROR_RESOURCE_CONSTRAINT, NULL);
        return;
    }
    if (op->read.count)
        reading->card = str_dup(op->read.rows[0].value);
    if (!hash.p || !avatar_is_for(&of, &event->iq->from)) {
        answer(reading, event, str_none);
        return;
    }
    str_copy(hash, reading->hash, sizeof reading->hash);
    avatar_read(&of, hash, op, got_photo);
}

static void got_photo(struct ext_op *op, struct iq_event *event)
{
    struct reading *reading = (struct reading *)op;
    const char *type;
    str base64;
    struct buf photo;
    if (op->read.err != OK) {
        ext_error(event, STANZA_ERROR_RESOURCE_CONSTRAINT, NULL);
        return;
    }
    if (!op->read.count ||
        !avatar_take(op->read.rows[0].value, str_from(reading->hash), &event->shard->arena, &base64, &type)) {
        answer(reading, event, str_none);
        return;
    }
    buf_init(&photo, SIZE_MAX / 2);
    vcard_photo_write(&photo, base64, type);
    answer(reading, event, buf_str(&photo));
    buf_fini(&photo);
}

/* ---- Setting
 * -------------------------------------------------------------------------------------------------------- */

/* Publishes the photo of the card, if there is one that can be an avatar; then it need not be kept. */
static bool publish_photo(struct iq_event *event, const struct xml_node *card)
{
    struct arena *arena = &event->shard->arena;
    struct pubsub of = pep_of(event->user);
    struct vcard_photo photo;
    enum vcard_photo_state state = vcard_photo_read(card, arena, &photo);
    if (state == VCARD_PHOTO && avatar_publish(&of, photo.bytes, photo.type, event->iq))
        return true;
    avatar_disable(&of, event->iq);
    return state == VCARD_EMPTY_PHOTO;
}

static void keep(struct iq_event *event, const struct xml_node *card)
{
    struct arena *arena = &event->shard->arena;
    struct store_batch *batch = user_write(event->user, event->iq);
    struct buf xml;
    route_result(event->shard, event->iq, str_of("", 0));
    bool published = pep_is_on(event->host) && publish_photo(event, card);
    buf_init(&xml, SIZE_MAX / 2);
    if (published)
        vcard_write(&xml, card, STR(""), arena);
    else
        buf_add(&xml, card->bytes);
    store_put(batch, actor_bare(event->actor), STR("vcard"), STR(""), buf_str(&xml));
    buf_fini(&xml);
}

static void set(struct iq_event *event)
{
    const struct vcard_settings *settings = ext_settings(event->host, &slot);
    struct xml_node card;
    struct buf xml;
    if (!event->session) {
        ext_error(event, STANZA_ERROR_FORBIDDEN, NULL);
        return;
    }
    if (event->user->anonymous) { /* nothing is kept for it */
        ext_error(event, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
        return;
    }
    if (event->child.bytes.len > settings->size) {
        ext_error(event, STANZA_ERROR_NOT_ACCEPTABLE, "the vCard is too large");
        return;
    }
    buf_init(&xml, SIZE_MAX / 2);
    pubsub_write_payload(&xml, &event->child, &event->shard->arena);
    if (xml_parse(arena_str(&event->shard->arena, buf_str(&xml)), str_none, &card))
        keep(event, &card);
    else
        ext_error(event, STANZA_ERROR_BAD_REQUEST, NULL);
    buf_fini(&xml);
}

/* ---- As an extension
 * ------------------------------------------------------------------------------------------------ */

static const struct ext_iq iqs[] = {
    { TYPE_GET, TO_ACCOUNT, "vCard", NS_VCARD, get },
    { TYPE_SET, TO_ACCOUNT, "vCard", NS_VCARD, set },
    { 0 },
};

static const struct config_key keys[] = {
    { .name = "size",
      .type = CONFIG_SIZE,
      CONFIG_FIELD(struct vcard_settings, size),
      .default_text = "128K",
      .min = 1024,
      .max = 16 << 20,
      .help = "The largest vCard, with its photo." },
    { 0 },
};

static const struct config_extension config = {
    .name = "vcard",
    .help = "vCards of accounts (XEP-0054).",
    .size = sizeof(struct vcard_settings),
    .keys = keys,
};

const struct ext ext_vcard = {
    .slot = &slot,
    .name = "vcard",
    .title = "vcard-temp",
    .xep = { 54, "1.3.0" },
    .more = (const struct ext_xep[]){ { 84, "1.1.4" }, { 398, "1.0.0" }, { 0 } },
    .features = (const char *const[]){ NS_VCARD, NULL },
    .account_features = (const char *const[]){ NS_VCARD, "urn:xmpp:pep-vcard-conversion:0", NULL },
    .iqs = iqs,
    .config = &config,
};
