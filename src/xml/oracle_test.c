/* SPDX-License-Identifier: MIT */
/* The scanner and its cursor against expat: on the streams of the corpus, on many random mutations of them,
 * each cut at random, and on every character in names. The random numbers have a fixed seed: each run is the
 * same. Arguments: the corpus folder, and how many mutations. */
#include "xml/oracle.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "xml/chars.h"

#include <dirent.h>
#include <expat.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { FILES_MAX = 200, FILE_BYTES = 1 << 16, MUTANT_BYTES = 1 << 14 };

static const char *folder = "tests/fuzz/corpus/scan";
static uint64_t mutations = 200000;

static str corpus[FILES_MAX];
static size_t corpus_len;

static int load(void **state)
{
    (void)state;
    struct dirent **names;
    int count = scandir(folder, &names, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name);
        FILE *file = names[i]->d_name[0] == '.' || corpus_len == FILES_MAX ? NULL : fopen(path, "rb");
        free(names[i]);
        if (!file)
            continue;
        char *bytes = xmalloc(FILE_BYTES);
        corpus[corpus_len++] = str_of(bytes, fread(bytes, 1, FILE_BYTES, file));
        fclose(file);
    }
    if (count >= 0)
        free(names);
    return corpus_len ? 0 : -1;
}

static int unload(void **state)
{
    (void)state;
    while (corpus_len)
        free((char *)corpus[--corpus_len].p);
    return 0;
}

static uint64_t random_state;

static size_t random_below(size_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return limit ? (size_t)((random_state >> 11) % limit) : 0;
}

static const str tokens[] = {
    STR_INIT("<"),
    STR_INIT(">"),
    STR_INIT("/"),
    STR_INIT("/>"),
    STR_INIT("</"),
    STR_INIT("="),
    STR_INIT("'"),
    STR_INIT("\""),
    STR_INIT("&"),
    STR_INIT(";"),
    STR_INIT(":"),
    STR_INIT(" "),
    STR_INIT("\r\n"),
    STR_INIT("\t"),
    STR_INIT("]"),
    STR_INIT("]]"),
    STR_INIT("]]>"),
    STR_INIT("<![CDATA["),
    STR_INIT("<!--"),
    STR_INIT("-->"),
    STR_INIT("<?"),
    STR_INIT("?>"),
    STR_INIT("<?xml version='1.0'?>"),
    STR_INIT("<!DOCTYPE a>"),
    STR_INIT("&amp;"),
    STR_INIT("&lt;"),
    STR_INIT("&#58;"),
    STR_INIT("&#x"),
    STR_INIT("&#0;"),
    STR_INIT("&#xD800;"),
    STR_INIT("&b;"),
    STR_INIT(" xmlns=''"),
    STR_INIT(" xmlns='u'"),
    STR_INIT(" xmlns:p='u'"),
    STR_INIT(" xmlns:q='&#117;'"),
    STR_INIT(" xmlns:p=''"),
    STR_INIT(" p:a=''"),
    STR_INIT(" q:a=''"),
    STR_INIT(" a=''"),
    STR_INIT("p:"),
    STR_INIT("xml:"),
    STR_INIT("xmlns:"),
    STR_INIT("<p:a/>"),
    STR_INIT("<a>"),
    STR_INIT("</a>"),
    STR_INIT("<a b='c'/>"),
    STR_INIT("http://www.w3.org/XML/1998/namespace"),
    STR_INIT("http://www.w3.org/2000/xmlns/"),
    STR_INIT("\0"),
    STR_INIT("\x1F"),
    STR_INIT("\x7F"),
    STR_INIT("\x80"),
    STR_INIT("\xC3\xA9"),
    STR_INIT("\xC3"),
    STR_INIT("\xCC\x80"),
    STR_INIT("\xE2\x82\xAC"),
    STR_INIT("\xE0\x80"),
    STR_INIT("\xED\xA0\x80"),
    STR_INIT("\xEF\xBF\xBE"),
    STR_INIT("\xEF\xBB\xBF"),
    STR_INIT("\xF0\x9F\x98\x80"),
    STR_INIT("\xF4\x90\x80\x80"),
};

static str some_token(void)
{
    return tokens[random_below(COUNT_OF(tokens))];
}

/* A stretch of a stream of the corpus. */
static str some_stretch(void)
{
    str file = corpus[random_below(corpus_len)];
    size_t at = random_below(file.len);
    return str_sub(file, at, at + 1 + random_below(40));
}

/* `from` with one change, in `to`. */
static void mutate(str from, struct buf *to)
{
    char byte = (char)random_below(256);
    size_t at = random_below(from.len + 1), cut = 0;
    str piece = str_none;
    switch (random_below(8)) {
    case 0:
        cut = 1 + random_below(8);
        break;
    case 1:
        cut = 1;
        piece = str_of(&byte, 1);
        break;
    case 2:
        piece = str_sub(from, at, at + 1 + random_below(60));
        break;
    case 3:
        piece = some_stretch();
        break;
    case 4:
        cut = random_below(10);
        piece = some_token();
        break;
    default:
        piece = some_token();
    }
    buf_clear(to);
    buf_add(to, str_sub(from, 0, at));
    buf_add(to, piece);
    buf_add(to, str_sub(from, at + cut, from.len));
}

static void agrees_on_the_corpus(void **state)
{
    (void)state;
    for (size_t i = 0; i < corpus_len; i++)
        for (size_t cut = 1; cut <= corpus[i].len; cut++)
            if (!oracle_agrees(corpus[i], cut, corpus[i].len) ||
                !oracle_agrees(str_sub(corpus[i], 0, cut), 1, 1))
                fail_msg("file %zu, cut at %zu", i, cut);
}

static void agrees_on_mutations(void **state)
{
    (void)state;
    random_state = 20260;
    struct buf one, other;
    buf_init(&one, MUTANT_BYTES);
    buf_init(&other, MUTANT_BYTES);
    for (uint64_t i = 0; i < mutations; i++) {
        mutate(corpus[random_below(corpus_len)], &one);
        for (size_t more = random_below(4); more-- > 0;) {
            struct buf swap = one;
            mutate(buf_str(&one), &other);
            one = other;
            other = swap;
        }
        size_t first = 1 + random_below(one.len), step = random_below(3) ? 1 + random_below(one.len) : 1;
        if (one.len && !oracle_agrees(buf_str(&one), first, step))
            fail_msg("mutation %llu", (unsigned long long)i);
    }
    buf_fini(&one);
    buf_fini(&other);
}

static bool expat_takes(XML_Parser parser, const char *document)
{
    XML_ParserReset(parser, "UTF-8");
    return XML_Parse(parser, document, (int)strlen(document), XML_TRUE) == XML_STATUS_OK;
}

/* Each code point, as the first character of a name and as a later one. */
static void agrees_on_every_character_of_names(void **state)
{
    (void)state;
    XML_Parser parser = XML_ParserCreateNS("UTF-8", '\f');
    for (uint32_t code = 0x80; code <= 0x10FFFF; code += code < 0x11000 ? 1 : 0x101) {
        char alone[16] = "<", behind[16] = "<a", character[4];
        if (code >= 0xD800 && code < 0xE000)
            continue;
        size_t len = utf8_put(character, code);
        memcpy(alone + 1, character, len);
        memcpy(behind + 2, character, len);
        strncat(alone, "/>", 3);
        strncat(behind, "/>", 3);
        const char *end = character + len;
        if ((chars_name_utf8(character, end, true) > 0) != expat_takes(parser, alone) ||
            (chars_name_utf8(character, end, false) > 0) != expat_takes(parser, behind))
            fail_msg("U+%04X", (unsigned)code);
    }
    XML_ParserFree(parser);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        folder = argv[1];
    if (argc > 2 && !str_to_u64(str_from(argv[2]), UINT64_MAX, &mutations))
        return 2;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_on_the_corpus),
        cmocka_unit_test(agrees_on_mutations),
        cmocka_unit_test(agrees_on_every_character_of_names),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
