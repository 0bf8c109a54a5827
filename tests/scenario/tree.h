/* SPDX-License-Identifier: MIT */
/* Little XML trees for the scenarios, made by expat so that our own scanner is not its own judge; and the
 * comparison of what a script expects with what a server sent. */
#ifndef SCENARIO_TREE_H
#define SCENARIO_TREE_H

#include "base/buf.h"

struct tree_attr {
    struct tree_attr *next;
    char *name; /* "namespace|local", or "local" */
    char *value;
};

struct tree {
    struct tree *next;
    struct tree *parent, *first, *last;
    char *ns, *name;
    struct tree_attr *attrs;
    struct buf text; /* all text that stands directly in it */
};

/* Called at each start and end tag of a stream, with the element as far as it is known. */
struct tree_reader;
struct tree_events {
    void (*opened)(struct tree_reader *reader,
                   struct tree *root); /* the outermost start tag; the tree stays the reader's */
    void (*element)(struct tree_reader *reader,
                    struct tree *tree);         /* a whole element of the first level, now the receiver's */
    void (*closed)(struct tree_reader *reader); /* the outermost end tag */
};

/* Reads a stream as its bytes come. */
struct tree_reader {
    const struct tree_events *events;
    void *_parser;
    struct tree *_root, *_at;
};

void tree_reader_init(struct tree_reader *reader, const struct tree_events *events);
void tree_reader_fini(struct tree_reader *reader);
/* NULL, or what is wrong with the XML. */
const char *tree_reader_feed(struct tree_reader *reader, str bytes);

/* The elements in a script's text, in the namespace `ns` unless they say otherwise; "stream" is bound. A
 * tag that ends in " ..." may have other attributes. NULL with a sentence in `why`, or when there are none.
 */
struct tree *tree_parse(str text, const char *ns, const char **why);
/* A copy without children and text. */
struct tree *tree_head(const struct tree *tree);
void tree_free(struct tree *tree); /* with its children; not its siblings */

/* Whether what was got is what was expected: README.md has the rules. */
bool tree_matches(const struct tree *expected, const struct tree *got);

const char *tree_attr(const struct tree *tree, const char *name);
bool tree_is(const struct tree *tree, const char *ns, const char *name);

/* Readable text. */
void tree_write(struct buf *out, const struct tree *tree, unsigned indent);

#endif
