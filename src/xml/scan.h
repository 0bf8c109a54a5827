/* SPDX-License-Identifier: MIT */
/* The stream scanner: one pass over the bytes of an XMPP stream that checks everything a strict reader checks
 * (RFC 6120 §11: well-formed by XML 1.0 and its namespaces, legal UTF-8 and characters, no DTD, comment,
 * processing instruction, CDATA is fine, no entity but the five; limits) and finds where each first-level
 * element begins and ends, with a small index of it.
 *
 * It copies nothing. The caller hands in bytes that begin where the element at hand begins; when they end in
 * its middle it says SCAN_MORE and remembers how far it came, so each byte is looked at once however it is
 * cut. Between elements it holds no memory. */
#ifndef XML_SCAN_H
#define XML_SCAN_H

#include "base/str.h"
#include "xml/node.h"

enum scan_event {
    SCAN_MORE,    /* needs more bytes: call again with the unused ones first and the new ones behind them */
    SCAN_OPEN,    /* the stream's start tag (with the XML declaration before it, if any) */
    SCAN_ELEMENT, /* a whole first-level element */
    SCAN_CLOSE,   /* the stream's end tag */
    SCAN_ERROR,   /* see scanner_error(); the scanner stays in this state */
};

enum scan_error {
    SCAN_ERROR_NOT_WELL_FORMED, /* not-well-formed, RFC 6120 §4.9.3.13 */
    SCAN_ERROR_RESTRICTED_XML,  /* DTD, comment, PI, other entity, §4.9.3.18 */
    SCAN_ERROR_ENCODING, /* an encoding other than UTF-8 is declared or shown by a byte-order mark, §4.9.3.22
                          */
    SCAN_ERROR_TOO_LARGE, /* more bytes than the limit: policy-violation, §4.9.3.14 */
    SCAN_ERROR_LIMIT,     /* too deep, too many attributes or too long a name: policy-violation */
    SCAN_ERROR_TEXT,      /* character data between first-level elements other than white space: bad-format,
                             §4.9.3.1 */
};

/* What no limit exceeds: a higher one counts as this. Prefixes are those declared by the stream header and in
 * scope within one first-level element, together; more of them is SCAN_ERROR_LIMIT. */
enum { SCAN_DEPTH_MAX = 256, SCAN_ATTRIBUTES_MAX = 256, SCAN_PREFIXES_MAX = 64 };

struct scan_limits {
    uint32_t element_bytes; /* the stream header, and each first-level element */
    uint16_t depth;         /* of elements within one first-level element, itself being 1 */
    uint16_t attributes;    /* of one element, namespace declarations among them */
    uint16_t name_bytes;    /* of an element's or attribute's name with its prefix */
};

struct scan_saved;  /* the stack of open elements of an element that is not complete yet */
struct scan_header; /* the declarations of a stream's start tag */

struct scanner {
    const struct scan_limits *limits; /* may be replaced between elements (after authentication) */
    struct scan_saved *_saved;
    const struct scan_header *_header; /* what the stream's start tag left; constant in the usual case */
    uint32_t _at;                      /* bytes of the element at hand that were scanned already */
    uint8_t _state, _error;
};

/* A scanner at the beginning of a stream. `limits` must outlive it. */
void scanner_init(struct scanner *scanner, const struct scan_limits *limits);

/* Frees what it holds; usable again after scanner_init(). */
void scanner_fini(struct scanner *scanner);

/* Begins a new stream on the same connection (after TLS, after SASL). */
void scanner_restart(struct scanner *scanner);

/* Looks for the next event in `input`. `*ret_used` is set to the bytes to drop from the input's front before
 * the next call: white space between elements, an XML declaration, and the element itself; all with
 * SCAN_ERROR. With SCAN_OPEN and SCAN_ELEMENT `*ret_node` is filled; its slices point into `input` and are
 * valid as long as these bytes are, but for `inherited` (and namespaces from there), which is the scanner's
 * until scanner_fini() or scanner_restart(). */
enum scan_event scanner_next(struct scanner *scanner, str input, size_t *ret_used, struct xml_node *ret_node);

enum scan_error scanner_error(const struct scanner *scanner);

/* Whether an element has begun and is not complete: the connection holds a part of it. */
bool scanner_in_element(const struct scanner *scanner);

/* The namespace declarations with prefixes of the stream header, as they would stand in a start tag (with a
 * space before each), which an element that leaves this stream must be given if it uses one of the prefixes;
 * "" in the usual case that there are none besides `stream`. */
str scanner_header_declarations(const struct scanner *scanner);

#endif
