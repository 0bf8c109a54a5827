/* SPDX-License-Identifier: MIT */
/* Stream headers and stream errors (RFC 6120 §4). The order of checks is that of how little can be believed:
 * first whether it is a stream at all, then its namespaces, then its version, then its addresses. */
#include "xmpp/stream.h"

#include "xml/write.h"
#include "xmpp/ns.h"

static const char *const error_names[] = { "undefined-condition",
#define X(id, name) name,
                                           STREAM_ERRORS(X)
#undef X
};

const char *stream_error_name(enum stream_error error)
{
    return error_names[error];
}

enum stream_error stream_error_of_scan(enum scan_error error)
{
    switch (error) {
    case SCAN_ERROR_NOT_WELL_FORMED:
        return STREAM_ERROR_NOT_WELL_FORMED;
    case SCAN_ERROR_RESTRICTED_XML:
        return STREAM_ERROR_RESTRICTED_XML;
    case SCAN_ERROR_ENCODING:
        return STREAM_ERROR_UNSUPPORTED_ENCODING;
    case SCAN_ERROR_TOO_LARGE:
    case SCAN_ERROR_LIMIT:
        return STREAM_ERROR_POLICY_VIOLATION;
    case SCAN_ERROR_TEXT:
        return STREAM_ERROR_BAD_FORMAT;
    }
    return STREAM_ERROR_INTERNAL_SERVER_ERROR;
}

/* §4.7.5: a higher major version is answered with ours; only a version below 1.0, which is one that is absent
 * or 0.x, cannot be served. */
static bool version_is_served(str version)
{
    uint64_t major, minor;
    str rest = version;
    str head = str_cut(&rest, '.');
    return str_to_u64(head, UINT32_MAX, &major) && str_to_u64(rest, UINT32_MAX, &minor) && major >= 1;
}

static bool read_address(const struct xml_node *node, str name, struct arena *arena, struct jid *ret)
{
    str text = xml_attr(node, name, arena);
    return !text.p || jid_parse(text, arena, ret) == OK;
}

enum stream_error stream_header_read_as(const struct xml_node *node, str content_ns, struct arena *arena,
                                        struct stream_header *ret)
{
    *ret = (struct stream_header){ 0 };
    ret->lang = xml_lang(node, arena);
    if (!str_is(node->ns, NS_STREAMS))
        return STREAM_ERROR_INVALID_NAMESPACE;
    if (!str_is(node->name, "stream"))
        return STREAM_ERROR_BAD_FORMAT;
    if (!str_is(node->prefix, "stream")) /* §4.8.5 */
        return STREAM_ERROR_BAD_NAMESPACE_PREFIX;
    if (!read_address(node, STR("to"), arena, &ret->to))
        return STREAM_ERROR_HOST_UNKNOWN;
    if (!read_address(node, STR("from"), arena, &ret->from))
        return STREAM_ERROR_INVALID_FROM;
    if (!str_eq(xml_ns_of(node, STR("")), content_ns))
        return STREAM_ERROR_INVALID_NAMESPACE;
    return STREAM_ERROR_NONE;
}

enum stream_error stream_header_read(const struct xml_node *node, struct arena *arena,
                                     struct stream_header *ret)
{
    enum stream_error error = stream_header_read_as(node, STR(NS_CLIENT), arena, ret);
    if (error != STREAM_ERROR_NONE)
        return error;
    if (!version_is_served(xml_attr(node, STR("version"), arena)))
        return STREAM_ERROR_UNSUPPORTED_VERSION;
    return STREAM_ERROR_NONE;
}

/* A domain and nothing else: servers have no localpart. */
static bool is_domain(const struct jid *jid)
{
    return jid_is_none(jid) || (!jid->local_len && jid_is_bare(jid));
}

enum stream_error stream_header_read_server(const struct xml_node *node, struct arena *arena,
                                            struct stream_header *ret)
{
    enum stream_error error = stream_header_read_as(node, STR(NS_SERVER), arena, ret);
    if (error != STREAM_ERROR_NONE)
        return error;
    str version = xml_attr(node, STR("version"), arena);
    ret->id = xml_attr(node, STR("id"), arena);
    ret->is_old = !version_is_served(version);
    ret->has_dialback = str_eq(xml_ns_of(node, STR("db")), STR(NS_DIALBACK));
    if (ret->is_old && version.p && !str_starts(version, STR("0.")))
        return STREAM_ERROR_UNSUPPORTED_VERSION;
    if (!is_domain(&ret->to))
        return STREAM_ERROR_HOST_UNKNOWN;
    return is_domain(&ret->from) ? STREAM_ERROR_NONE : STREAM_ERROR_INVALID_FROM;
}

void stream_header_write_server(struct buf *out, str from, str to, str id)
{
    buf_lit(out, "<?xml version='1.0'?><stream:stream xmlns='" NS_SERVER "' xmlns:stream='" NS_STREAMS
                 "' xmlns:db='" NS_DIALBACK "' version='1.0' xml:lang='en'");
    xml_write_attr(out, "from", from);
    xml_write_attr(out, "to", to);
    xml_write_attr(out, "id", id);
    buf_add_char(out, '>');
}

bool stream_is_language(str lang)
{
    for (size_t i = 0; i < lang.len; i++) {
        char c = lang.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && c != '-')
            return false;
    }
    return lang.len > 0 && lang.len < 36;
}

enum stream_error stream_error_read(const struct xml_node *node)
{
    struct xml_node child;
    for (bool more = xml_first(node, &child); more; more = xml_next(&child))
        for (size_t i = 1; i < sizeof error_names / sizeof error_names[0]; i++)
            if (xml_is(&child, str_from(error_names[i]), STR(NS_STREAM_ERRORS)))
                return (enum stream_error)i;
    return STREAM_ERROR_UNDEFINED_CONDITION;
}

void stream_header_write(struct buf *out, str from, str to, str id, str lang)
{
    buf_lit(out, "<?xml version='1.0'?><stream:stream xmlns='" NS_CLIENT "' xmlns:stream='" NS_STREAMS
                 "' version='1.0'");
    xml_write_attr(out, "from", from);
    xml_write_attr(out, "to", to);
    xml_write_attr(out, "id", id);
    xml_write_attr(out, "xml:lang", lang.p ? lang : STR("en"));
    buf_add_char(out, '>');
}

void stream_error_write(struct buf *out, enum stream_error error, const char *text)
{
    stream_error_write_with(out, error, text, str_none);
}

void stream_error_write_with(struct buf *out, enum stream_error error, const char *text, str detail)
{
    buf_addf(out, "<stream:error><%s xmlns='" NS_STREAM_ERRORS "'/>", error_names[error]);
    if (text) {
        buf_lit(out, "<text xmlns='" NS_STREAM_ERRORS "' xml:lang='en'>");
        xml_write_text(out, str_from(text));
        buf_lit(out, "</text>");
    }
    buf_add(out, detail);
    buf_lit(out, "</stream:error>" STREAM_CLOSE_TAG);
}
