/* SPDX-License-Identifier: MIT */
/* The writer: copies runs of plain text, and puts references for what XML reads otherwise. CR is written as a
 * reference, since a reader makes LF of it (XML 1.0 §2.11), and so are tab and line ends in attributes, since
 * a reader makes spaces of them (§3.3.3). "]]>" cannot appear, since '>' is always escaped. Nothing is
 * checked: text that is not legal XML is the caller's fault. */
#include "xml/write.h"

static const char *const text_escapes[256] = {
    ['&'] = "&amp;",
    ['<'] = "&lt;",
    ['>'] = "&gt;",
    ['\r'] = "&#13;",
};

static const char *const attr_escapes[256] = {
    ['&'] = "&amp;",  ['<'] = "&lt;",  ['>'] = "&gt;",   ['\''] = "&apos;",
    ['"'] = "&quot;", ['\t'] = "&#9;", ['\n'] = "&#10;", ['\r'] = "&#13;",
};

static void escape(struct buf *to, str text, const char *const *escapes)
{
    size_t start = 0;
    for (size_t i = 0; i < text.len; i++) {
        const char *escaped = escapes[(uint8_t)text.p[i]];
        if (!escaped)
            continue;
        buf_add(to, str_of(text.p + start, i - start));
        buf_add(to, str_from(escaped));
        start = i + 1;
    }
    if (start < text.len)
        buf_add(to, str_of(text.p + start, text.len - start));
}

void xml_write_text(struct buf *to, str text)
{
    escape(to, text, text_escapes);
}

void xml_write_attr(struct buf *to, const char *name, str value)
{
    if (!value.p)
        return;
    buf_add_char(to, ' ');
    buf_add(to, str_from(name));
    buf_lit(to, "='");
    escape(to, value, attr_escapes);
    buf_add_char(to, '\'');
}

void xml_write_open(struct buf *to, const char *name, str ns)
{
    buf_add_char(to, '<');
    buf_add(to, str_from(name));
    xml_write_attr(to, "xmlns", ns);
}

void xml_write_element(struct buf *to, const char *name, str ns, str text)
{
    xml_write_open(to, name, ns);
    buf_add_char(to, '>');
    xml_write_text(to, text);
    buf_lit(to, "</");
    buf_add(to, str_from(name));
    buf_add_char(to, '>');
}
