/* SPDX-License-Identifier: MIT */
/* Streams (RFC 6120 §4): headers, errors, and the words for them. Pure: what to say, not when. */
#ifndef XMPP_STREAM_H
#define XMPP_STREAM_H

#include "base/buf.h"
#include "xml/node.h"
#include "xml/scan.h"
#include "xmpp/jid.h"

/* RFC 6120 §4.9.3 */
#define STREAM_ERRORS(X)                                                                                     \
    X(BAD_FORMAT, "bad-format")                                                                              \
    X(BAD_NAMESPACE_PREFIX, "bad-namespace-prefix")                                                          \
    X(CONFLICT, "conflict")                                                                                  \
    X(CONNECTION_TIMEOUT, "connection-timeout")                                                              \
    X(HOST_GONE, "host-gone")                                                                                \
    X(HOST_UNKNOWN, "host-unknown")                                                                          \
    X(IMPROPER_ADDRESSING, "improper-addressing")                                                            \
    X(INTERNAL_SERVER_ERROR, "internal-server-error")                                                        \
    X(INVALID_FROM, "invalid-from")                                                                          \
    X(INVALID_NAMESPACE, "invalid-namespace")                                                                \
    X(INVALID_XML, "invalid-xml")                                                                            \
    X(NOT_AUTHORIZED, "not-authorized")                                                                      \
    X(NOT_WELL_FORMED, "not-well-formed")                                                                    \
    X(POLICY_VIOLATION, "policy-violation")                                                                  \
    X(REMOTE_CONNECTION_FAILED, "remote-connection-failed")                                                  \
    X(RESET, "reset")                                                                                        \
    X(RESOURCE_CONSTRAINT, "resource-constraint")                                                            \
    X(RESTRICTED_XML, "restricted-xml")                                                                      \
    X(SEE_OTHER_HOST, "see-other-host")                                                                      \
    X(SYSTEM_SHUTDOWN, "system-shutdown")                                                                    \
    X(UNDEFINED_CONDITION, "undefined-condition")                                                            \
    X(UNSUPPORTED_ENCODING, "unsupported-encoding")                                                          \
    X(UNSUPPORTED_FEATURE, "unsupported-feature")                                                            \
    X(UNSUPPORTED_STANZA_TYPE, "unsupported-stanza-type")                                                    \
    X(UNSUPPORTED_VERSION, "unsupported-version")

enum stream_error {
    STREAM_ERROR_NONE,
#define X(id, name) STREAM_ERROR_##id,
    STREAM_ERRORS(X)
#undef X
};

const char *stream_error_name(enum stream_error error);

/* The stream error for what the scanner found. */
enum stream_error stream_error_of_scan(enum scan_error error);

struct stream_header {
    struct jid to, from; /* none if absent */
    str lang;            /* raw value of xml:lang; str_none if absent */
    str id;              /* of a server's header; str_none if absent */
    bool is_old;         /* of a server's header: no version, so no features will follow */
    bool has_dialback;   /* of a server's header: declares the namespace of dialback */
};

/* Checks a stream header that a client sent (§4.7, §4.8): the element, its namespace and prefix, the content
 * namespace, the version, the addresses. Returns STREAM_ERROR_NONE, or the error to close the stream with;
 * `*ret` is filled as far as it could be read. */
enum stream_error stream_header_read(const struct xml_node *node, struct arena *arena,
                                     struct stream_header *ret);

/* The same for a stream with another content namespace, and whatever version: the caller judges that. */
enum stream_error stream_header_read_as(const struct xml_node *node, str content_ns, struct arena *arena,
                                        struct stream_header *ret);

/* Writes our header of a stream to a client (§4.7.1-4.7.5): `from` is the domain that answers; `to`, `id` and
 * `lang` may be str_none. */
void stream_header_write(struct buf *out, str from, str to, str id, str lang);

/* The same for a header that a server sent, the one that opens a stream or the one that answers it: in
 * jabber:server, and with or without a version (XEP-0220 is older than versions). */
enum stream_error stream_header_read_server(const struct xml_node *node, struct arena *arena,
                                            struct stream_header *ret);

/* Writes our header of a stream to a server, either way; `id` is str_none in the one that opens the stream.
 */
void stream_header_write_server(struct buf *out, str from, str to, str id);

/* Whether it is a tag that may be written into stanzas as it is (RFC 5646: letters, digits and hyphens). */
bool stream_is_language(str lang);

/* The condition of a <stream:error/>; STREAM_ERROR_UNDEFINED_CONDITION if it is none that we know. */
enum stream_error stream_error_read(const struct xml_node *node);

/* Writes <stream:error/> with a text for people (NULL for none), and the end tag of the stream (§4.9.1). */
void stream_error_write(struct buf *out, enum stream_error error, const char *text);

/* The same with an element of an application's own (RFC 6120 §4.9.4). */
void stream_error_write_with(struct buf *out, enum stream_error error, const char *text, str detail);

#define STREAM_CLOSE_TAG "</stream:stream>"

#endif
