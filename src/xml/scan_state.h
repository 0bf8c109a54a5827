/* SPDX-License-Identifier: MIT */
/* What the parts of the scanner share while they walk through one element: scan.c (the calls, and what stands
 * between elements), scan_step.c (byte by byte), scan_plain.c (fast), scan_tag.c (the end of a tag, names and
 * namespaces), scan_header.c (what is kept of the stream's start tag). Private to src/xml.
 *
 * Positions are offsets from the front of the element at hand, since the bytes may move between two calls. */
#ifndef XML_SCAN_STATE_H
#define XML_SCAN_STATE_H

#include "xml/chars.h"
#include "xml/scan.h"

/* Where a stream stands. */
enum stream_place {
    AT_START,  /* nothing came yet: a byte-order mark or a declaration may */
    AT_MARK,   /* a byte-order mark came: a declaration may */
    IN_DECL,   /* within the XML declaration */
    IN_PROLOG, /* white space or a declaration came, or the stream's start tag has begun */
    IN_STREAM,
    IN_EMPTY_STREAM, /* the start tag was <.../>: the end is to be told */
    AT_END,
    AT_ERROR,
};

/* Where the walk stands inside of markup. The order is that of the table in scan_step.c. */
enum scan_place {
    IN_CONTENT,   /* between tags */
    IN_MARKUP,    /* behind < */
    IN_NAME,      /* the name of a start tag */
    IN_TAG,       /* behind that name or a value: white space, / or > must come */
    IN_TAG_SPACE, /* behind white space: an attribute may come too */
    IN_EMPTY,     /* behind the / that ends an empty element's tag */
    IN_ATTR_NAME,
    IN_ATTR_EQUAL, /* behind an attribute's name */
    IN_ATTR_QUOTE, /* behind = */
    IN_ATTR_VALUE,
    IN_REF,      /* behind & */
    IN_REF_HASH, /* behind &# */
    IN_REF_DEC,
    IN_REF_HEX,
    IN_END_NAME,  /* behind </ */
    IN_END_SPACE, /* behind the name of an end tag */
    IN_BANG,      /* behind <! */
    IN_QUESTION,  /* behind <? */
    IN_CDATA,
};

/* An open element. */
struct scan_open {
    uint32_t name;     /* where its name begins */
    uint16_t len;      /* of it, with its prefix */
    uint16_t bindings; /* prefixes that were in scope before its start tag */
};

/* A prefix in scope. */
struct scan_binding {
    uint32_t prefix, value; /* where they begin: in the header's declarations if `inherited`, else as above */
    uint32_t value_len;
    uint32_t hash; /* of what the value means */
    uint16_t prefix_len;
    uint8_t id; /* the lowest binding in scope that means the same namespace */
    bool inherited;
};

/* What is remembered of an element that is not complete. */
struct scan_core {
    uint32_t tag;                    /* where the tag at hand begins */
    uint32_t name;                   /* where its name begins */
    uint32_t word;                   /* where the name at hand begins: the tag's or an attribute's */
    uint32_t colon;                  /* behind the colon in the name at hand; 0 if there was none yet */
    uint32_t number;                 /* of the character reference at hand */
    uint32_t first_end;              /* behind the start tag of the first-level element (or of the stream) */
    uint32_t first_ns, first_ns_len; /* the default namespace that it declares */
    uint16_t first_prefix;           /* length of its name's prefix */
    uint16_t first_name;             /* length of its name, with prefix and colon */
    uint16_t name_len, prefix_len;   /* of the tag's name */
    uint16_t attrs;                  /* met in the tag at hand */
    uint16_t matched;                /* bytes of the end tag's name that were compared */
    uint16_t depth;                  /* open elements */
    uint16_t bindings;               /* prefixes in scope */
    uint8_t place;                   /* enum scan_place */
    uint8_t back;                    /* where a reference returns to */
    char quote;                      /* around the value at hand */
    bool first_has_ns;
    bool digits; /* the reference at hand has some */
    bool empty;  /* the stream's start tag is an empty element's */
};

/* The stream header's legacy: its declarations, in memory that the stream owns or that is constant. */
struct scan_header {
    str name;       /* of the stream's start tag, with its prefix */
    str inherited;  /* all its declarations: those of `declared`, the default namespace, xmlns:stream */
    str declared;   /* the first part of it: prefixes besides the usual `stream` */
    str default_ns; /* "" if there is none */
    const struct scan_binding *bindings;
    uint16_t count;
    bool on_heap;
};

/* One attribute, while its tag is looked at. */
struct scan_attr {
    const char *name, *value;
    uint32_t value_len;
    uint16_t name_len;
    uint16_t prefix_len; /* 0: none */
};

/* The attributes of one tag. Left unset: only the first `count` entries mean anything. */
struct scan_attrs {
    unsigned count;
    bool special;  /* a prefix or a declaration is among them */
    bool twins;    /* two names may be equal */
    uint64_t seen; /* a bit for each name, by a poor but quick hash */
    struct scan_attr list[SCAN_ATTRIBUTES_MAX];
};

struct scan {
    struct scan_core core;
    const char *base;                 /* the front of the element at hand */
    const struct scan_header *header; /* NULL while the stream's start tag is read */
    enum scan_event event;            /* SCAN_MORE while the walk goes on */
    enum scan_error error;
    bool starved; /* the few bytes that are left cannot be judged without those behind them */
    uint16_t depth_max, attrs_max, name_max;
    struct scan_open open[SCAN_DEPTH_MAX];
    struct scan_binding binding[SCAN_PREFIXES_MAX];
};

static inline uint32_t scan_at(const struct scan *s, const char *p)
{
    return (uint32_t)(p - s->base);
}

/* Ends the walk with an error; returns `p` for the caller to return. */
static inline const char *scan_fail(struct scan *s, enum scan_error error, const char *p)
{
    s->event = SCAN_ERROR;
    s->error = error;
    return p;
}

/* Each of the following takes the place of the walk and the end of the input, p < end, and returns the new
 * place. */

/* Passes text, plain tags and end tags as long as all is in order and in sight, and stops before what is not;
 * from IN_CONTENT to IN_CONTENT. */
const char *scan_plain(struct scan *s, const char *p, const char *end);

/* Takes the next step, whatever comes. It moves on, ends the walk, or sets s->starved. */
const char *scan_step(struct scan *s, const char *p, const char *end);

static inline void scan_attrs_clear(struct scan_attrs *attrs)
{
    attrs->count = 0;
    attrs->special = attrs->twins = false;
    attrs->seen = 0;
}

/* Notes the attribute that was written to attrs->list[attrs->count]. */
static inline void scan_attrs_add(struct scan_attrs *attrs)
{
    const struct scan_attr *attr = &attrs->list[attrs->count++];
    unsigned hash =
        (uint8_t)attr->name[0] * 5u + (uint8_t)attr->name[attr->name_len - 1] * 3u + attr->name_len;
    uint64_t bit = (uint64_t)1 << (hash & 63);
    attrs->twins |= (attrs->seen & bit) != 0;
    attrs->seen |= bit;
    attrs->special |= attr->prefix_len || (attr->name_len == 5 && memcmp(attr->name, "xmlns", 5) == 0);
}

/* The start tag from core.tag to `p` (behind its '>') is complete; core.name and name_len are set. Checks
 * what can only be checked now, and enters the element. */
const char *scan_tag_done(struct scan *s, const struct scan_attrs *attrs, bool empty, const char *p);

/* The end tag of the innermost element is complete. */
const char *scan_tag_close(struct scan *s, const char *p);

/* Puts the stream in error. */
enum scan_event scanner_fail(struct scanner *scanner, enum scan_error error);

/* The length of the white space that `s` begins with. */
static inline size_t scan_space(str s)
{
    size_t at = 0;
    while (at < s.len && chars_is(s.p[at], CHAR_SPACE))
        at++;
    return at;
}

/* At AT_START, AT_MARK or IN_DECL: passes what may stand before the stream's start tag, sets the bytes that
 * are done with, and moves on to another place, unless it wants more bytes. SCAN_MORE or SCAN_ERROR. */
enum scan_event scan_prolog(struct scanner *scanner, str rest, size_t *ret_len);

/* What is to be kept of the stream header that was just read: a constant in the usual case. */
const struct scan_header *scan_header_keep(const struct scan *s, const struct xml_node *node);

void scan_header_free(const struct scan_header *header);

/* Reads one first-level element as if it stood in a stream whose header left `header`. */
bool scan_alone(str bytes, const struct scan_header *header, struct xml_node *ret);

#endif
