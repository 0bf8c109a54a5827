/* SPDX-License-Identifier: MIT */
/* Trees of XML, by expat with namespaces. Names are "namespace|local" inside of expat's reach and are taken
 * apart here; prefixes and the order of attributes mean nothing and are not kept. A script's " ..." in a tag
 * becomes an attribute that no XML name can have a namespace like. */
#include "tree.h"

#include "base/mem.h"
#include "recall.h"

#include <expat.h>
#include <stdlib.h>

enum { TEXT_MAX = 16 << 20 };
#define ANY_ATTRIBUTES "scenario.any"
#define XML_LANG       "http://www.w3.org/XML/1998/namespace|lang"

/* ---- Making
 * ---------------------------------------------------------------------------------------------------------
 */

static void start(void *arg, const char *name, const char **attrs)
{
    struct tree_reader *reader = arg;
    struct tree *tree = NEW(struct tree);
    const char *bar = strrchr(name, '|');
    tree->ns = str_dup(bar ? str_of(name, (size_t)(bar - name)) : STR(""));
    tree->name = str_dup(str_from(bar ? bar + 1 : name));
    tree->parent = reader->_at;
    buf_init(&tree->text, TEXT_MAX);
    struct tree_attr **tail = &tree->attrs;
    for (; *attrs; attrs += 2) {
        *tail = NEW(struct tree_attr);
        (*tail)->name = str_dup(str_from(attrs[0]));
        (*tail)->value = str_dup(str_from(attrs[1]));
        tail = &(*tail)->next;
    }
    if (!reader->_root)
        reader->_root = tree;
    else if (reader->_at->last)
        reader->_at->last = reader->_at->last->next = tree;
    else
        reader->_at->first = reader->_at->last = tree;
    reader->_at = tree;
    if (tree == reader->_root && reader->events->opened)
        reader->events->opened(reader, tree);
}

static void end(void *arg, const char *name)
{
    struct tree_reader *reader = arg;
    struct tree *tree = reader->_at;
    (void)name;
    reader->_at = tree->parent;
    if (!tree->parent && reader->events->closed)
        reader->events->closed(reader);
    if (tree->parent != reader->_root || !tree->parent)
        return;
    reader->_root->first = reader->_root->last = NULL;
    tree->parent = NULL;
    reader->events->element(reader, tree);
}

static void text(void *arg, const char *p, int len)
{
    struct tree_reader *reader = arg;
    if (reader->_at)
        buf_add(&reader->_at->text, str_of(p, (size_t)len));
}

void tree_reader_init(struct tree_reader *reader, const struct tree_events *events)
{
    XML_Parser parser = XML_ParserCreateNS(NULL, '|');
    *reader = (struct tree_reader){ .events = events, ._parser = parser };
    XML_SetUserData(parser, reader);
    XML_SetElementHandler(parser, start, end);
    XML_SetCharacterDataHandler(parser, text);
}

void tree_reader_fini(struct tree_reader *reader)
{
    if (reader->_parser)
        XML_ParserFree(reader->_parser);
    tree_free(reader->_root);
    *reader = (struct tree_reader){ 0 };
}

const char *tree_reader_feed(struct tree_reader *reader, str bytes)
{
    if (XML_Parse(reader->_parser, bytes.p, (int)bytes.len, 0) == XML_STATUS_OK)
        return NULL;
    return XML_ErrorString(XML_GetErrorCode(reader->_parser));
}

struct tree *tree_head(const struct tree *tree)
{
    struct tree *copy = NEW(struct tree);
    struct tree_attr **tail = &copy->attrs;
    copy->ns = str_dup(str_from(tree->ns));
    copy->name = str_dup(str_from(tree->name));
    buf_init(&copy->text, TEXT_MAX);
    for (const struct tree_attr *attr = tree->attrs; attr; attr = attr->next, tail = &(*tail)->next) {
        *tail = NEW(struct tree_attr);
        (*tail)->name = str_dup(str_from(attr->name));
        (*tail)->value = str_dup(str_from(attr->value));
    }
    return copy;
}

void tree_free(struct tree *tree)
{
    if (!tree)
        return;
    for (struct tree *child = tree->first; child;) {
        struct tree *next = child->next;
        tree_free(child);
        child = next;
    }
    for (struct tree_attr *attr = tree->attrs; attr;) {
        struct tree_attr *next = attr->next;
        free(attr->name);
        free(attr->value);
        free(attr);
        attr = next;
    }
    free(tree->ns);
    free(tree->name);
    buf_fini(&tree->text);
    free(tree);
}

/* ---- The script's side
 * ------------------------------------------------------------------------------------------------ */

struct gathered {
    struct tree_reader reader;
    struct tree *first, *last;
};

static void gather(struct tree_reader *reader, struct tree *tree)
{
    struct gathered *all = CONTAINER_OF(reader, struct gathered, reader);
    if (all->last)
        all->last = all->last->next = tree;
    else
        all->first = all->last = tree;
}

static void write_dots_as_attribute(struct buf *out, str text)
{
    for (size_t i = 0; i < text.len; i++) {
        str rest = str_sub(text, i, text.len);
        if (str_starts(rest, STR(" ...>")) || str_starts(rest, STR(" .../>"))) {
            buf_lit(out, " " ANY_ATTRIBUTES "=''");
            i += 3;
        } else {
            buf_add_char(out, text.p[i]);
        }
    }
}

struct tree *tree_parse(str text, const char *ns, const char **why)
{
    static const struct tree_events events = { .element = gather };
    struct gathered all = { 0 };
    struct buf whole;
    buf_init(&whole, TEXT_MAX);
    buf_addf(&whole, "<all xmlns='%s' xmlns:stream='http://etherx.jabber.org/streams'>", ns);
    write_dots_as_attribute(&whole, text);
    buf_lit(&whole, "</all>");
    tree_reader_init(&all.reader, &events);
    *why = tree_reader_feed(&all.reader, buf_str(&whole));
    tree_reader_fini(&all.reader);
    buf_fini(&whole);
    return all.first;
}

/* ---- Comparing
 * -------------------------------------------------------------------------------------------------------- */

const char *tree_attr(const struct tree *tree, const char *name)
{
    for (const struct tree_attr *attr = tree->attrs; attr; attr = attr->next)
        if (!strcmp(attr->name, name))
            return attr->value;
    return NULL;
}

bool tree_is(const struct tree *tree, const char *ns, const char *name)
{
    return !strcmp(tree->ns, ns) && !strcmp(tree->name, name);
}

static bool attributes_match(const struct tree *expected, const struct tree *got)
{
    bool any = tree_attr(expected, ANY_ATTRIBUTES) != NULL;
    for (const struct tree_attr *want = expected->attrs; want; want = want->next) {
        const char *value = tree_attr(got, want->name);
        if (strcmp(want->name, ANY_ATTRIBUTES) &&
            (!value || !recall_matches(str_from(want->value), str_from(value))))
            return false;
    }
    for (const struct tree_attr *attr = got->attrs; attr && !any; attr = attr->next)
        if (!tree_attr(expected, attr->name) && strcmp(attr->name, XML_LANG))
            return false;
    return true;
}

/* "...": other children may stand before, between and behind. */
static bool children_match(const struct tree *expected, const struct tree *got, bool others)
{
    const struct tree *a = expected->first, *b = got->first;
    for (; a && b; b = b->next) {
        bool same = tree_matches(a, b);
        if (!same && !others)
            return false;
        if (same)
            a = a->next;
    }
    return !a && (!b || others);
}

bool tree_matches(const struct tree *expected, const struct tree *got)
{
    str wanted = str_trim(buf_str(&expected->text));
    if (strcmp(expected->name, got->name) || strcmp(expected->ns, got->ns) ||
        !attributes_match(expected, got))
        return false;
    if (str_is(wanted, "*"))
        return true;
    bool others = str_is(wanted, "...");
    if (!others && !recall_matches(wanted, str_trim(buf_str(&got->text))))
        return false;
    return children_match(expected, got, others);
}

/* ---- Showing
 * ----------------------------------------------------------------------------------------------------------
 */

void tree_write(struct buf *out, const struct tree *tree, unsigned indent)
{
    buf_addf(out, "%*s<%s", (int)(4 * indent), "", tree->name);
    if (!tree->parent || strcmp(tree->parent->ns, tree->ns))
        buf_addf(out, " xmlns='%s'", tree->ns);
    for (const struct tree_attr *attr = tree->attrs; attr; attr = attr->next)
        buf_addf(out, " %s='%s'", attr->name, attr->value);
    str words = str_trim(buf_str(&tree->text));
    buf_addf(out, "%s%.*s", tree->first || words.len ? ">" : "/>", (int)words.len, words.len ? words.p : "");
    for (const struct tree *child = tree->first; child; child = child->next) {
        buf_lit(out, "\n");
        tree_write(out, child, indent + 1);
    }
    if (tree->first)
        buf_addf(out, "\n%*s", (int)(4 * indent), "");
    if (tree->first || words.len)
        buf_addf(out, "</%s>", tree->name);
}
