/* SPDX-License-Identifier: MIT */
/* What to do with a peer's features. TLS comes first whenever both ends can, then SASL EXTERNAL if the peer
 * believes our certificate (it offers it only then, XEP-0178 §3), and else dialback. A peer that offers SASL
 * and did not announce dialback may still take it: many do, so it is tried when its header declared the
 * namespace. */
#include "xmpp/peer.h"

#include "xmpp/ns.h"

static bool offers_external(const struct xml_node *mechanisms, struct arena *arena)
{
    struct xml_node child;
    for (bool more = xml_first(mechanisms, &child); more; more = xml_next(&child))
        if (xml_is(&child, STR("mechanism"), STR(NS_SASL)) &&
            str_is(str_trim(xml_text(&child, arena)), "EXTERNAL"))
            return true;
    return false;
}

static uint32_t read_limit(const struct xml_node *limits, struct arena *arena)
{
    uint64_t bytes = 0;
    str text = xml_child_text(limits, STR("max-bytes"), STR(NS_STREAM_LIMITS), arena);
    return str_to_u64(str_trim(text), UINT32_MAX, &bytes) ? (uint32_t)bytes : 0;
}

struct peer_features peer_features_read(const struct xml_node *node, struct arena *arena)
{
    struct peer_features features = { 0 };
    struct xml_node child, errors;
    for (bool more = xml_first(node, &child); more; more = xml_next(&child)) {
        if (xml_is(&child, STR("starttls"), STR(NS_TLS)))
            features.starttls = true;
        else if (xml_is(&child, STR("mechanisms"), STR(NS_SASL)))
            features.external = offers_external(&child, arena);
        else if (xml_is(&child, STR("bidi"), STR(NS_BIDI_FEATURE)))
            features.bidi = true;
        else if (xml_is(&child, STR("sm"), STR("urn:xmpp:sm:3")))
            features.sm = true;
        else if (xml_is(&child, STR("limits"), STR(NS_STREAM_LIMITS)))
            features.max_bytes = read_limit(&child, arena);
        else if (xml_is(&child, STR("dialback"), STR(NS_DIALBACK_FEATURE))) {
            features.dialback = true;
            features.dialback_errors = xml_child(&child, STR("errors"), str_none, &errors);
        }
    }
    return features;
}

enum peer_move peer_next(const struct peer_features *features, const struct peer_standing *standing)
{
    if (!standing->secure) {
        /* RFC 7590 §3.1: somebody between us may have taken the feature away, so it is tried without, too */
        if (standing->can_tls && (features->starttls || (standing->require_tls && !features->is_old)))
            return PEER_STARTTLS;
        if (standing->require_tls)
            return PEER_NO_TLS;
    }
    if (standing->authenticated)
        return PEER_READY;
    if (features->external && standing->may_external && standing->secure)
        return PEER_EXTERNAL;
    if (standing->may_dialback && (features->dialback || standing->header_dialback))
        return PEER_DIALBACK;
    return PEER_NO_WAY;
}

const char *peer_move_name(enum peer_move move)
{
    static const char *const names[] = { "starttls", "external", "dialback", "ready", "no TLS", "no way" };
    return names[move];
}
