/* SPDX-License-Identifier: MIT */
/* What keeps a room usable: who may come in now, and who may say what, how fast.
 *
 * Speed: each user has a bucket (the service's `user-rate`), and each room one for all that it hands out,
 * counted in deliveries (`room-rate`): so a room costs the server no more for being flooded, and others on
 * the same thread keep their share. Of the room's bucket those who talk much get only the lower half: who has
 * been quiet is heard also while others flood. Whoever comes near his limit is read more slowly first
 * (server/slow.h), and refused only beyond it. Slow mode (XEP-0500) is the room's own rule on top.
 *
 * Content, for those without an affiliation: no links by newcomers, no word of the owner's list, no text that
 * goes through many rooms at once. What is refused is told so (policy-violation), so that a person can put it
 * in another way; moderators are not asked any of this.
 *
 * All is counted for bare JIDs (room_watch.c). Not here: what takes judgement. That is for bots, which see
 * all that is said, and kick as moderators. */
#include "occupant.h"
#include "server/slow.h"
#include "xmpp/ns.h"

enum { SECOND_US = 1000000, MINUTE_US = 60 * SECOND_US, REFUSED_MS = 1000, SAME_TEXT_MIN = 20 };

struct say {
    struct room *room;
    struct seat *seat;
    const struct stanza *stanza;
    struct watched *user;
    uint64_t now_us;
};

static uint64_t now_of(const struct room *room)
{
    return loop_now_us(room_shard(room)->loop);
}

static bool refuse(const struct say *say, const char *type, const char *text)
{
    room_refuse(say->room, say->stanza, STANZA_ERROR_POLICY_VIOLATION, type, text);
    return false;
}

/* ---- Speed ---- */

/* Near the limit the client is read at the rate that is his; he has lost nothing yet. */
static void brake(const struct say *say, uint64_t price_us, uint64_t depth_us)
{
    if (debt_unpaid_us(&say->user->said, say->now_us) > depth_us / 2)
        slow_down(room_shard(say->room), &say->stanza->from, (uint32_t)(price_us / 1000));
}

/* What was read already comes all the same: for that his client is not asked to wait again. */
static void hold_back(const struct say *say)
{
    if (say->now_us < say->user->held_us)
        return;
    say->user->held_us = say->now_us + REFUSED_MS * UINT64_C(1000);
    slow_down(room_shard(say->room), &say->stanza->from, REFUSED_MS);
}

static bool may_user_speak(const struct say *say)
{
    const struct rooms_settings *settings = room_settings(say->room);
    if (!settings->user_rate)
        return true;
    uint64_t price = SECOND_US / settings->user_rate, depth = price * settings->user_burst;
    if (debt_add(&say->user->said, say->now_us, price, depth)) {
        brake(say, price, depth);
        return true;
    }
    hold_back(say);
    return false;
}

/* One second of the room's rate may be ahead; who has said nothing lately may add another one. */
static bool may_room_hear(const struct say *say)
{
    struct room *room = say->room;
    uint64_t rate = room_settings(room)->room_rate;
    bool is_quiet = debt_unpaid_us(&say->user->said, say->now_us) <= SECOND_US;
    if (!rate)
        return true;
    if (debt_add(&room->handed_out, say->now_us, room->seats.count * (uint64_t)SECOND_US / rate,
                 is_quiet ? 2 * SECOND_US : SECOND_US))
        return true;
    hold_back(say);
    return false;
}

/* XEP-0500 */
static bool is_slow_enough(const struct say *say)
{
    uint64_t pause_s = say->room->config->slow_mode_s;
    if (!pause_s || say->stanza->type != TYPE_GROUPCHAT || !(payload_facts(say->stanza) & PAYLOAD_BODY) ||
        say->seat->occupant->affiliation >= AFFILIATION_ADMIN)
        return true;
    if (say->user->wrote_us && say->now_us - say->user->wrote_us < pause_s * SECOND_US)
        return refuse(say, "wait",
                      arena_printf(room_arena(say->room),
                                   "wait %llu seconds between two messages in this room",
                                   (unsigned long long)pause_s)
                          .p);
    say->user->wrote_us = say->now_us;
    return true;
}

/* ---- Content ---- */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Whatever its case, as far as ASCII knows one. */
static bool contains(str text, str word)
{
    for (size_t i = 0; word.len && i + word.len <= text.len; i++) {
        size_t n = 0;
        while (n < word.len && lower(text.p[i + n]) == lower(word.p[n]))
            n++;
        if (n == word.len)
            return true;
    }
    return false;
}

static bool has_link(const struct say *say, str body)
{
    static const char *const signs[] = { "://", "www.", "xmpp:", "mailto:", "magnet:" };
    struct xml_node node;
    for (size_t i = 0; i < COUNT_OF(signs); i++)
        if (contains(body, str_from(signs[i])))
            return true;
    return xml_child(&say->stanza->node, STR("x"), STR("jabber:x:oob"), &node);
}

static bool is_newcomer(const struct say *say)
{
    uint64_t us = say->room->config->newcomer_minutes * MINUTE_US;
    return say->now_us - say->user->came_us < us;
}

static bool has_bad_word(const struct room *room, str body)
{
    str words = room->config->words;
    while (words.len) {
        size_t end = str_find(words, '\n');
        if (contains(body, str_sub(words, 0, end)))
            return true;
        words = str_sub(words, end + 1, words.len);
    }
    return false;
}

static bool is_content_good(const struct say *say)
{
    struct room *room = say->room;
    if (say->seat->occupant->role == ROLE_MODERATOR || say->seat->occupant->affiliation > AFFILIATION_NONE ||
        !(payload_facts(say->stanza) & PAYLOAD_BODY))
        return true;
    str body = xml_child_text(&say->stanza->node, STR("body"), STR(NS_CLIENT), room_arena(room));
    if (has_bad_word(room, body))
        return refuse(say, NULL, "this room does not allow one of these words");
    if (is_newcomer(say) && has_link(say, body))
        return refuse(say, NULL, "who is new here may not send links yet");
    if (body.len >= SAME_TEXT_MIN && spam_is_everywhere(room, body))
        return refuse(say, NULL, "this text was sent to many rooms");
    return true;
}

/* ---- The questions ---- */

static struct say say_of(struct seat *seat, const struct stanza *stanza)
{
    struct room *room = seat->occupant->room;
    uint64_t now = now_of(room);
    return (struct say){ room, seat, stanza, room_watch_user(&room->watch, &stanza->from, now), now };
}

bool guard_lets_say(struct seat *seat, const struct stanza *message)
{
    struct say say = say_of(seat, message);
    bool is_for_all = message->type == TYPE_GROUPCHAT;
    if (!is_slow_enough(&say))
        return false;
    if (!may_user_speak(&say))
        return refuse(&say, "wait", "you are sending too much");
    if (is_for_all && !may_room_hear(&say))
        return refuse(&say, "wait", "too much is said in this room");
    return is_content_good(&say);
}

bool guard_lets_show(struct seat *seat, const struct stanza *presence)
{
    struct say say = say_of(seat, presence);
    return may_user_speak(&say) && may_room_hear(&say);
}

/* How many came in the last minute, as a bucket: each one costs his part of it. */
static bool are_few_coming(struct room *room, uint64_t now)
{
    uint64_t most = room->config->joins_a_minute;
    return !most || debt_add(&room->came_in, now, MINUTE_US / most, MINUTE_US);
}

bool guard_lets_in(struct room *room, const struct stanza *presence, enum affiliation affiliation)
{
    const struct rooms_settings *settings = room_settings(room);
    uint64_t now = now_of(room), price = settings->user_rate ? SECOND_US / settings->user_rate : 0;
    struct watched *user = room_watch_user(&room->watch, &presence->from, now);
    if (affiliation > AFFILIATION_NONE)
        return true;
    if (price && !debt_add(&user->said, now, price, price * settings->user_burst)) {
        slow_down(room_shard(room), &presence->from, REFUSED_MS);
        room_refuse(room, presence, STANZA_ERROR_POLICY_VIOLATION, "wait", "you come and go too often");
        return false;
    }
    if (!are_few_coming(room, now)) {
        room_refuse(room, presence, STANZA_ERROR_RESOURCE_CONSTRAINT, "wait",
                    "too many are coming to this room at once");
        return false;
    }
    return true;
}
