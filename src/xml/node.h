/* SPDX-License-Identifier: MIT */
/* A cursor over elements in bytes that the scanner has passed: no tree, no copy. A node is a view of one
 * element; its children are found by walking the bytes. Since everything was checked before, nothing here
 * fails but by "not there". */
#ifndef XML_NODE_H
#define XML_NODE_H

#include "base/arena.h"
#include "base/str.h"

struct xml_node {
    str bytes;   /* the whole element, from '<' to '>' (for a stream header: the start tag alone) */
    str prefix;  /* of the name, "" if none */
    str name;    /* local name */
    str ns;      /* namespace, resolved; "" if none. Raw: references in it are not decoded, xml_is() sees
                    through them */
    str attrs;   /* the start tag between the name and '>' or '/>' */
    str content; /* between the tags; empty for <x/> */
    const struct xml_node *parent; /* for namespaces; must live as long as the node; NULL at first level */
    str inherited; /* first level only: declarations of the stream header (a default namespace among them), as
                      in a start tag, with a space before each; from xml_parse() its `ns` alone */
};

/* Whether the node has this local name and namespace. */
bool xml_is(const struct xml_node *node, str name, str ns);

/* The first child element, false if there is none. `parent` must outlive `*ret`. */
bool xml_first(const struct xml_node *parent, struct xml_node *ret);

/* Moves to the next sibling element; false (and the node is left alone) at the end. */
bool xml_next(struct xml_node *node);

/* The first child of this name and namespace; an empty `ns` slice with NULL pointer (str_none) takes any. */
bool xml_child(const struct xml_node *parent, str name, str ns, struct xml_node *ret);

/* One attribute of a start tag. */
struct xml_attr {
    str prefix;
    str name;
    str raw;   /* the value as it stands, between the quotes */
    str bytes; /* the whole attribute: name="value" */
};

/* Walks the attributes, namespace declarations among them (prefix "xmlns", or name "xmlns"). `*at` starts at
 * 0. */
bool xml_attr_next(const struct xml_node *node, size_t *at, struct xml_attr *ret);

/* Copies a first-level element, its bytes and all, into the arena. */
void xml_keep(const struct xml_node *node, struct arena *arena, struct xml_node *ret);

/* The value of the attribute without a prefix, decoded (in the arena if it has references, else a slice of
 * the bytes); str_none if it is not there. */
str xml_attr(const struct xml_node *node, str name, struct arena *arena);

/* The value of xml:lang, as xml_attr. */
str xml_lang(const struct xml_node *node, struct arena *arena);

/* The character data directly in the node, references and CDATA decoded, line ends as XML wants them; in the
 * arena unless it is one plain piece. Never NULL: "" if there is none. */
str xml_text(const struct xml_node *node, struct arena *arena);

/* The text of the first child of this name and namespace, or str_none. */
str xml_child_text(const struct xml_node *parent, str name, str ns, struct arena *arena);

/* Decodes the five entities, character references, and white space in an attribute's raw value as XML 1.0
 * §3.3.3 wants. */
str xml_decode_attr(str raw, struct arena *arena);

/* The namespace bound to a prefix ("" for the default) at this node, raw; str_none if the prefix is not
 * declared,
 * "" if there is no default namespace. */
str xml_ns_of(const struct xml_node *node, str prefix);

/* Reads one element out of bytes that we wrote or checked ourselves (a store's value, a test): it is run
 * through the scanner with `ns` as the default namespace (str_none: without one; it must live as long as the
 * node and does not begin with a space). False if it is not exactly one well-formed element. */
bool xml_parse(str bytes, str ns, struct xml_node *ret);

#endif
