/* SPDX-License-Identifier: MIT */
/* The words in braces:
 *   {id}            the id of the last element that the player was to get
 *   {sm x}          the id of x's session (XEP-0198)
 *   {token x}       base64 of x's proof of its last token by HT-SHA-256-NONE (XEP-0484), as the user of x
 *   {former x}      the same with the token that x was given before
 *   {salted HASH}   base64 of the password, salted for the upgrade task at hand (XEP-0480); SHA-256, SHA-512
 */
#include "fill.h"
#include "play.h"

#include "base/base64.h"
#include "base/digest.h"
#include "base/mem.h"

#include <stdlib.h>

enum { TEXT_MAX = 8192 };

void noted_fini(struct noted *noted)
{
    free(noted->sm_id);
    free(noted->token);
    free(noted->before);
    free(noted->salt);
}

static void keep(char **text, str value)
{
    free(*text);
    *text = str_dup(value);
}

void fill_note(struct noted *noted, const struct tree *tree)
{
    const char *id = tree_attr(tree, "id"), *token = tree_attr(tree, "token");
    if (tree_is(tree, "urn:xmpp:sm:3", "enabled") && id)
        keep(&noted->sm_id, str_from(id));
    if (tree_is(tree, "urn:xmpp:fast:0", "token") && token) {
        free(noted->before);
        noted->before = noted->token;
        noted->token = str_dup(str_from(token));
    }
    if (tree_is(tree, "urn:xmpp:scram-upgrade:0", "salt")) {
        uint64_t iterations = 0;
        keep(&noted->salt, buf_str(&tree->text));
        str_to_u64(str_from(tree_attr(tree, "iterations")), 1000000, &iterations);
        noted->iterations = (unsigned)iterations;
    }
    for (const struct tree *child = tree->first; child; child = child->next)
        fill_note(noted, child);
}

static void add_proof(struct buf *out, const struct player *player, const char *token)
{
    unsigned char mac[DIGEST_MAX_SIZE];
    struct buf message;
    str jid = str_from(player->jid ? player->jid : "");
    buf_init(&message, TEXT_MAX);
    digest_hmac(DIGEST_SHA256, str_from(token ? token : "none"), STR("Initiator"), mac);
    buf_add(&message, str_cut(&jid, '@'));
    buf_add_char(&message, '\0');
    buf_add(&message, str_of((const char *)mac, digest_size(DIGEST_SHA256)));
    base64_encode(out, buf_str(&message));
    buf_fini(&message);
}

static void add_salted(struct buf *out, const struct noted *noted, str hash)
{
    unsigned char salted[DIGEST_MAX_SIZE];
    struct arena arena;
    enum digest digest = str_is(hash, "SHA-512") ? DIGEST_SHA512 : DIGEST_SHA256;
    str salt;
    arena_init(&arena, TEXT_MAX);
    if (noted->salt && noted->iterations && base64_decode(&arena, str_from(noted->salt), &salt)) {
        digest_pbkdf2(digest, STR("secret"), salt, noted->iterations, salted);
        base64_encode(out, str_of((const char *)salted, digest_size(digest)));
    }
    arena_fini(&arena);
}

/* False: these are no words of ours. */
static bool add_words(struct play *play, const struct player *player, struct buf *out, str words)
{
    str rest = words, first = str_cut(&rest, ' ');
    if (str_is(words, "id")) {
        buf_add(out, str_from(player->last_id ? player->last_id : ""));
        return true;
    }
    if (!rest.p)
        return false;
    if (str_is(first, "salted")) {
        add_salted(out, &player->noted, rest);
        return true;
    }
    bool sm = str_is(first, "sm"), token = str_is(first, "token"), former = str_is(first, "former");
    if (!sm && !token && !former)
        return false;
    const struct player *other = player_of(&play->stage, rest);
    if (sm)
        buf_add(out, str_from(other->noted.sm_id ? other->noted.sm_id : "none"));
    else
        add_proof(out, other, token ? other->noted.token : other->noted.before);
    return true;
}

void fill_in(struct play *play, const struct player *player, struct buf *out, str text)
{
    size_t at = 0;
    while (at < text.len) {
        str rest = str_sub(text, at + 1, text.len);
        size_t end = str_find(rest, '}');
        if (text.p[at] == '{' && end < rest.len && add_words(play, player, out, str_sub(rest, 0, end)))
            at += end + 2;
        else
            buf_add_char(out, text.p[at++]);
    }
}
