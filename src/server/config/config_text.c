/* SPDX-License-Identifier: MIT */
/* A walk over the words of a configuration before libconfuse sees it.
 *
 * Why: libconfuse 3.3 counts lines wrongly after a comment, takes a comment within a list for a value, skips
 * characters that it does not know, lets a section end with the file, and after a quote that is not closed
 * its global lexer begins the next file inside that quote, which a reload must not meet. All of that goes
 * away when comments are blanks and the rest is known to be whole. It also stops at the first key that it
 * does not know; blanking that statement lets the reader go on and find the others.
 *
 * What not: no grammar. What a word means is libconfuse's business; this only cuts words where its lexer
 * does. Line ends always stay, so that every line keeps its number. */
#include "server/config/config_text.h"

#include "base/mem.h"

enum token_kind { TOKEN_END, TOKEN_BAD, TOKEN_COMMENT, TOKEN_WORD, TOKEN_QUOTED, TOKEN_MARK };

struct token {
    enum token_kind kind;
    size_t from, to;
    unsigned line;   /* where it begins */
    const char *why; /* TOKEN_BAD: what is wrong and what to write */
};

struct walk {
    const char *text;
    size_t at;
    unsigned line;
};

static struct token token_to(struct walk *walk, struct token token, enum token_kind kind, size_t to)
{
    for (; walk->at < to; walk->at++)
        walk->line += walk->text[walk->at] == '\n';
    token.kind = kind;
    token.to = to;
    return token;
}

static struct token bad_token(struct token token, const char *why)
{
    token.kind = TOKEN_BAD;
    token.to = token.from;
    token.why = why;
    return token;
}

/* The length of "${NAME}" at `text`; 0 when it is not closed within the word or line. */
static size_t variable_length(const char *text)
{
    size_t length = strcspn(text, "}\"'\n");
    return text[length] == '}' ? length + 1 : 0;
}

#define WHY_VARIABLE "a variable that is not closed: write ${NAME} on one line"

static struct token quoted_token(struct walk *walk, struct token token)
{
    const char *text = walk->text;
    char quote = text[token.from];
    for (size_t at = token.from + 1; text[at]; at++) {
        if (text[at] == quote)
            return token_to(walk, token, TOKEN_QUOTED, at + 1);
        if (quote == '"' && text[at] == '$' && text[at + 1] == '{') {
            size_t length = variable_length(text + at);
            if (!length)
                return bad_token(token, WHY_VARIABLE);
            at += length - 1;
        }
        if (text[at] != '\\')
            continue;
        at++;
        if (!text[at])
            break;
        if (quote == '"' && text[at] >= '0' && text[at] <= '9')
            return bad_token(token, "a backslash before a digit: write \\x and two hexadecimal digits");
    }
    return bad_token(token, "a text whose quote is not closed: end it with the same quote");
}

static struct token comment_token(struct walk *walk, struct token token)
{
    const char *begin = walk->text + token.from;
    if (begin[0] == '#' || begin[1] == '/')
        return token_to(walk, token, TOKEN_COMMENT, token.from + strcspn(begin, "\n"));
    const char *end = strstr(begin + 2, "*/");
    if (!end)
        return bad_token(token, "a comment that is not closed: end it with */");
    return token_to(walk, token, TOKEN_COMMENT, (size_t)(end + 2 - walk->text));
}

static struct token word_token(struct walk *walk, struct token token)
{
    const char *begin = walk->text + token.from;
    size_t length = strcspn(begin, " #\"'\t\n\r={}()+,*");
    if (begin[0] == '$' && begin[1] == '{') {
        length = variable_length(begin);
        if (!length)
            return bad_token(token, WHY_VARIABLE);
    }
    return token_to(walk, token, TOKEN_WORD, token.from + length);
}

static struct token next_token(struct walk *walk)
{
    struct token token = { 0 };
    size_t blanks = strspn(walk->text + walk->at, " \t\r\n");
    token_to(walk, token, TOKEN_WORD, walk->at + blanks);
    token.from = walk->at;
    token.line = walk->line;
    const char *c = walk->text + token.from;
    if (!*c)
        return token_to(walk, token, TOKEN_END, token.from);
    if (*c == '#' || (*c == '/' && (c[1] == '/' || c[1] == '*')))
        return comment_token(walk, token);
    if (*c == '"' || *c == '\'')
        return quoted_token(walk, token);
    if (strchr("{}()=,", *c))
        return token_to(walk, token, TOKEN_MARK, token.from + 1);
    if (*c == '+' && c[1] == '=')
        return token_to(walk, token, TOKEN_MARK, token.from + 2);
    if (*c == '+' || *c == '*')
        return bad_token(token, "a + or * outside of quotes: write the value in quotes");
    return word_token(walk, token);
}

static void blank(char *text, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        if (text[i] != '\n')
            text[i] = ' ';
}

bool config_text_prepare(char *text, const char *file, struct config_errors *errors)
{
    struct walk walk = { text, 0, 1 };
    unsigned opened[8]; /* lines of the braces that are open */
    size_t depth = 0;
    for (;;) {
        struct token token = next_token(&walk);
        char mark = token.kind == TOKEN_MARK ? text[token.from] : 0;
        if (token.kind == TOKEN_END)
            break;
        if (token.kind == TOKEN_BAD) {
            config_errors_add(errors, file, token.line, "%s", token.why);
            return false;
        }
        if (token.kind == TOKEN_COMMENT)
            blank(text, token.from, token.to);
        if (mark == '{' && depth == COUNT_OF(opened)) {
            config_errors_add(errors, file, token.line,
                              "too many braces within each other: close some with }");
            return false;
        }
        if (mark == '{')
            opened[depth++] = token.line;
        if (mark == '}' && depth > 0)
            depth--;
    }
    if (depth > 0)
        config_errors_add(errors, file, opened[depth - 1],
                          "this { is not closed: write } after what belongs to it");
    return depth == 0;
}

static bool is_mark(const char *text, struct token token, const char *marks)
{
    return token.kind == TOKEN_MARK && strchr(marks, text[token.from]);
}

static bool is_text(struct token token)
{
    return token.kind == TOKEN_WORD || token.kind == TOKEN_QUOTED;
}

/* Where the braces close that `walk` has just entered. */
static size_t end_of_braces(struct walk *walk)
{
    for (size_t depth = 1;;) {
        struct token token = next_token(walk);
        if (token.kind == TOKEN_END || token.kind == TOKEN_BAD)
            return token.from;
        if (is_mark(walk->text, token, "{"))
            depth++;
        if (is_mark(walk->text, token, "}") && --depth == 0)
            return token.to;
    }
}

/* The end of the statement whose name `walk` has just passed; 0 when no statement follows. */
static size_t end_of_statement(struct walk walk)
{
    struct token token = next_token(&walk);
    if (is_mark(walk.text, token, "{"))
        return end_of_braces(&walk);
    bool assigned = is_mark(walk.text, token, "=+");
    if (!assigned && !is_text(token))
        return 0;
    token = next_token(&walk);
    if (is_mark(walk.text, token, "{"))
        return end_of_braces(&walk);
    return assigned && is_text(token) ? token.to : 0;
}

bool config_text_blank(char *text, unsigned line, const char *name)
{
    struct walk walk = { text, 0, 1 };
    struct token token;
    do {
        token = next_token(&walk);
        if (token.line != line || !is_text(token))
            continue;
        size_t quote = token.kind == TOKEN_QUOTED;
        str found = str_of(text + token.from + quote, token.to - token.from - 2 * quote);
        size_t end = str_eq(found, str_from(name)) ? end_of_statement(walk) : 0;
        if (end) {
            blank(text, token.from, end);
            return true;
        }
    } while (token.kind != TOKEN_END && token.kind != TOKEN_BAD && token.line <= line);
    return false;
}

void config_text_section_lines(const char *text, const char *name, unsigned *lines, size_t room)
{
    struct walk walk = { text, 0, 1 };
    bool is_value = false;
    while (room > 0) {
        struct token token = next_token(&walk);
        if (token.kind == TOKEN_END || token.kind == TOKEN_BAD)
            return;
        str word = str_of(text + token.from, token.to - token.from);
        if (is_text(token) && !is_value && str_eq(word, str_from(name))) {
            *lines++ = token.line;
            room--;
        }
        is_value = is_mark(text, token, "=+");
        if (is_mark(text, token, "{"))
            end_of_braces(&walk);
    }
}
