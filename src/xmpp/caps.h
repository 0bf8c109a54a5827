/* SPDX-License-Identifier: MIT */
/* What an entity can do (a disco#info result, XEP-0030), and the hashes that stand for it (XEP-0115,
 * XEP-0390). */
#ifndef XMPP_CAPS_H
#define XMPP_CAPS_H

#include "base/digest.h"
#include "xmpp/form.h"

#define NS_DISCO_INFO  "http://jabber.org/protocol/disco#info"
#define NS_DISCO_ITEMS "http://jabber.org/protocol/disco#items"
#define NS_CAPS        "http://jabber.org/protocol/caps"
#define NS_CAPS2       "urn:xmpp:caps"
#define NS_HASHES      "urn:xmpp:hashes:2"
#define CAPS2_NODE     "urn:xmpp:caps#"

enum { CAPS_IDENTITIES_MAX = 64, CAPS_FEATURES_MAX = 1024, CAPS_FORMS_MAX = 16 };

struct caps_identity {
    str category, type;
    str lang; /* its own xml:lang; str_none if not given */
    str name; /* str_none if not given */
};

/* Lists in any order. Made by caps_read(), or by hand for what we are ourselves: zeroed but for what is
 * there. */
struct caps_info {
    struct caps_identity *identities;
    size_t identity_count;
    str *features;
    size_t feature_count;
    struct form *forms; /* XEP-0128 */
    size_t form_count;
    str lang;         /* what identities without xml:lang inherit; XEP-0390 alone counts that */
    bool is_extended; /* something in it that XEP-0390 §4.1 cannot hash */
};

/* Reads a <query/> of disco#info. `lang`: the language it inherits from stanza and stream, or str_none.
 * ERR_SYNTAX: ill-formed by XEP-0115 §5.4 (an identity, feature or FORM_TYPE twice) or with a '<' in a place
 * that would let one list pass for another; its hash proves nothing. ERR_LIMIT: more than above. Forms
 * without a hidden FORM_TYPE are left out, and make it `is_extended`. */
enum err caps_read(const struct xml_node *query, str lang, struct arena *arena, struct caps_info *ret);

/* Whether a feature is among them. */
bool caps_has(const struct caps_info *info, str feature);

/* XEP-0115 §5.1: the verification string, base64 in the arena. */
str caps_ver(const struct caps_info *info, enum digest digest, struct arena *arena);

/* XEP-0390 §4.1-4.2: the hash, base64 in the arena; str_none when there can be none (is_extended). */
str caps_hash(const struct caps_info *info, enum digest digest, struct arena *arena);

/* What goes into the hash: for tests, and for who looks for an error. */
void caps_ver_input(const struct caps_info *info, struct arena *arena, struct buf *to);
void caps_hash_input(const struct caps_info *info, struct arena *arena, struct buf *to);

/* A digest's name in XEP-0300 and in the `hash` of XEP-0115: "sha-1", "sha-256", "sha-512". */
const char *caps_algorithm(enum digest digest);
/* The digest of a name; false if we do not have it. */
bool caps_digest(str algorithm, enum digest *ret);

/* Appends a <query/>: identities, features, forms. `node`: its attribute, or str_none. */
void caps_write(struct buf *to, const struct caps_info *info, str node);
/* The same without the <query> around it. */
void caps_write_content(struct buf *to, const struct caps_info *info);

#endif
