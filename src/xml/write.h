/* SPDX-License-Identifier: MIT */
/* Writing XML into a builder: escaping, and start tags in small calls. What it writes is well-formed if the
 * calls are balanced; text is expected to be legal XML characters (what came from a scanner is). */
#ifndef XML_WRITE_H
#define XML_WRITE_H

#include "base/buf.h"

/* Character data: escapes & < > (and CR, so that it survives reading). */
void xml_write_text(struct buf *to, str text);

/* A space, the name, and the value in single quotes with & < > ' " and white space other than space escaped.
 * A value of str_none writes nothing. */
void xml_write_attr(struct buf *to, const char *name, str value);

/* "<name" and, if not str_none, the namespace; the tag stays open for attributes. */
void xml_write_open(struct buf *to, const char *name, str ns);

/* <name xmlns='ns'>text</name>; ns may be str_none. */
void xml_write_element(struct buf *to, const char *name, str ns, str text);

#endif
