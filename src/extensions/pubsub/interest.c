/* SPDX-License-Identifier: MIT */
/* From the hash in a presence to the nodes that its sender wants to hear of.
 *
 * A hash is looked up in the shard's memory, then in the store (owner "", kind `caps`), and only then is a
 * client asked, one of those that sent it, by disco#info (XEP-0115 §6.2, XEP-0390 §6.1). What it answers
 * counts for all who send this hash only if it hashes to it; else for this one device alone, and the next one
 * is asked (XEP-0115 §5.4: the cache can't be poisoned). Of an answer only the names before "+notify" are
 * kept.
 *
 * Bounds: of sets that nobody uses now a shard keeps some hundred. The store has a fixed number of places
 * for all; a hash has one of them, and takes it from whoever had it. A client that does not answer holds up
 * nobody for long: when it leaves, or some time later, the next one is asked. */
#include "extensions/pubsub/interest.h"

#include "base/rand.h"
#include "xml/write.h"
#include "xmpp/caps.h"
#include "xmpp/ns.h"

#include <stdlib.h>

enum {
    NAMES_MAX = 128,
    NAME_MAX_BYTES = 256,
    IDLE_MAX = 256,
    STORED_MAX = 4096,
    PATIENCE_US = 30 * 1000 * 1000,
    SEEKERS_MAX = 1000,
    KEY_MAX = 256,
};

/* One who waits for a set. */
struct seeker {
    struct list link;
    interest_found *found;
    char *user, *who; /* bare, full */
};

struct interest {
    struct map_node node;
    struct list link; /* in _idle or _asked */
    struct shard *shard;
    char *key; /* XEP, algorithm and hash, with spaces between */
    unsigned refs;
    bool ready, is_own; /* is_own: of one device, whose answer was not what its hash said */
    uint16_t count;
    char **names; /* sorted */
    struct list seekers;
    unsigned seeker_count;
    struct store_read read;
    char *asked, *id; /* whom, and with which id */
    uint64_t asked_us;
};

static void ask_next(struct interest *interest);

static str key_of(const struct map_node *node)
{
    return str_from(CONTAINER_OF(node, struct interest, node)->key);
}

static struct interest_cache *cache_of(struct shard *shard)
{
    struct interest_cache *cache = interest_cache_of(shard);
    if (!cache->_made) {
        map_init(&cache->_map, key_of);
        list_init(&cache->_idle);
        list_init(&cache->_asked);
        cache->_made = true;
    }
    return cache;
}

/* ---- Sets
 * ---------------------------------------------------------------------------------------------------------
 */

static struct interest *interest_new(struct shard *shard, str key)
{
    struct interest *interest = NEW(struct interest);
    interest->shard = shard;
    interest->key = str_dup(key);
    list_init(&interest->link);
    list_init(&interest->seekers);
    return interest;
}

static void seeker_free(struct seeker *seeker)
{
    free(seeker->user);
    free(seeker->who);
    free(seeker);
}

static void interest_free(struct interest *interest)
{
    struct list *link;
    while ((link = list_shift(&interest->seekers)))
        seeker_free(LIST_ITEM(link, struct seeker, link));
    for (uint16_t i = 0; i < interest->count; i++)
        free(interest->names[i]);
    free(interest->names);
    free(interest->key);
    free(interest->asked);
    free(interest->id);
    free(interest);
}

static void forget(struct interest *interest)
{
    list_remove(&interest->link);
    if (!interest->is_own)
        map_remove(&cache_of(interest->shard)->_map, &interest->node);
    interest_free(interest);
}

void interest_cache_fini(struct interest_cache *cache)
{
    struct map_walk walk = { 0 };
    struct map_node *node;
    if (!cache->_made)
        return;
    while ((node = map_next(&cache->_map, &walk)))
        interest_free(CONTAINER_OF(node, struct interest, node));
    map_fini(&cache->_map);
    cache->_made = false;
}

struct interest *interest_ref(struct interest *interest)
{
    if (interest->refs++ == 0 && !list_empty(&interest->link)) {
        list_remove(&interest->link);
        cache_of(interest->shard)->_idle_count--;
    }
    return interest;
}

void interest_unref(struct shard *shard, struct interest *interest)
{
    struct interest_cache *cache = cache_of(shard);
    if (!interest || --interest->refs)
        return;
    if (interest->is_own) {
        forget(interest);
        return;
    }
    list_append(&cache->_idle, &interest->link);
    if (++cache->_idle_count <= IDLE_MAX)
        return;
    cache->_idle_count--;
    forget(LIST_ITEM(cache->_idle.next, struct interest, link));
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void add_name(struct interest *interest, str name)
{
    if (!name.len || name.len > NAME_MAX_BYTES || interest->count == NAMES_MAX)
        return;
    interest->names = xrealloc(interest->names, (interest->count + 1u) * sizeof(char *));
    interest->names[interest->count++] = str_dup(name);
}

static void sort_names(struct interest *interest)
{
    if (interest->count)
        qsort(interest->names, interest->count, sizeof(char *), by_name);
}

bool interest_has(const struct interest *interest, str node)
{
    for (uint16_t i = 0; interest && i < interest->count; i++)
        if (str_eq(str_from(interest->names[i]), node))
            return true;
    return false;
}

bool interest_wants(struct session *session, str node)
{
    return interest_has(*interest_of(session), node);
}

size_t interest_count(const struct interest *interest)
{
    return interest ? interest->count : 0;
}

str interest_name(const struct interest *interest, size_t index)
{
    return str_from(interest->names[index]);
}

/* ---- Telling those who wait
 * ------------------------------------------------------------------------------------------- */

/* What waits for a user that is busy. */
struct telling {
    struct parked parked;
    struct seeker *seeker;
    struct interest *interest;
};

static void telling_free(struct actor *actor, struct telling *telling)
{
    interest_unref(actor->shard, telling->interest);
    seeker_free(telling->seeker);
    free(telling);
}

static void telling_run(struct actor *actor, struct parked *parked)
{
    struct telling *telling = CONTAINER_OF(parked, struct telling, parked);
    struct arena *arena = &actor->shard->arena;
    struct jid who;
    if (jid_parse(arena_str(arena, str_from(telling->seeker->who)), arena, &who) == OK)
        telling->seeker->found(USER_OF(actor), &who, telling->interest);
    telling_free(actor, telling);
}

static void telling_drop(struct actor *actor, struct parked *parked)
{
    telling_free(actor, CONTAINER_OF(parked, struct telling, parked));
}

static void tell(struct interest *interest, struct seeker *seeker)
{
    struct user *user = user_awake(interest->shard, str_from(seeker->user));
    if (!user) {
        seeker_free(seeker);
        return;
    }
    struct telling *telling = NEW(struct telling);
    telling->parked = (struct parked){ .run = telling_run, .drop = telling_drop };
    telling->seeker = seeker;
    telling->interest = interest_ref(interest);
    actor_when_ready(&user->actor, &telling->parked);
}

static void become_ready(struct interest *interest)
{
    struct list *link;
    sort_names(interest);
    interest->ready = true;
    list_remove(&interest->link);
    interest_ref(interest); /* while they are told */
    while ((link = list_shift(&interest->seekers)))
        tell(interest, LIST_ITEM(link, struct seeker, link));
    interest_unref(interest->shard, interest);
}

/* ---- The store
 * -------------------------------------------------------------------------------------------------------- */

static str place_of(const char *key, struct arena *arena)
{
    return arena_printf(arena, "%u", (unsigned)(hash_stable(str_from(key)) % STORED_MAX));
}

static void looked_up(struct store_read *read)
{
    struct interest *interest = CONTAINER_OF(read, struct interest, read);
    struct shard *shard = interest->shard;
    shard_enter(shard);
    shard_commit_ended(shard);
    str lines = read->err == OK && read->count ? read->rows[0].value : str_none;
    bool found = lines.p && str_eq(str_cut(&lines, '\n'), str_from(interest->key));
    while (found && lines.p)
        add_name(interest, str_cut(&lines, '\n'));
    store_read_fini(read);
    if (found)
        become_ready(interest);
    else
        ask_next(interest);
    shard_leave(shard);
}

static void look_up(struct interest *interest)
{
    struct shard *shard = interest->shard;
    interest->read.done = looked_up;
    shard_commit_began(shard);
    store_get(shard->server->store, shard->loop, str_of("", 0), STR("caps"),
              place_of(interest->key, &shard->arena), &interest->read);
}

struct keeping {
    struct store_commit commit;
    struct shard *shard;
};

static void kept(struct store_commit *commit)
{
    struct keeping *keeping = CONTAINER_OF(commit, struct keeping, commit);
    shard_commit_ended(keeping->shard); /* if it failed, somebody is asked again one day */
    free(keeping);
}

static void keep(const struct interest *interest)
{
    struct shard *shard = interest->shard;
    struct keeping *keeping = NEW(struct keeping);
    struct store_batch *batch = store_batch_new();
    struct buf lines;
    buf_init(&lines, 64 * 1024);
    buf_add(&lines, str_from(interest->key));
    for (uint16_t i = 0; i < interest->count; i++)
        buf_addf(&lines, "\n%s", interest->names[i]);
    keeping->commit.done = kept;
    keeping->shard = shard;
    shard_commit_began(shard);
    store_put(batch, str_of("", 0), STR("caps"), place_of(interest->key, &shard->arena), buf_str(&lines));
    store_commit(shard->server->store, shard->loop, batch, &keeping->commit);
    buf_fini(&lines);
}

/* ---- Asking a client
 * ------------------------------------------------------------------------------------------------ */

static str disco_node(const struct interest *interest, struct arena *arena)
{
    str hash = str_from(interest->key), xep = str_cut(&hash, ' '), algorithm = str_cut(&hash, ' ');
    if (str_is(xep, "390"))
        return arena_printf(arena, CAPS2_NODE "%.*s.%.*s", STR_ARGS(algorithm), STR_ARGS(hash));
    size_t space = str_find_last(hash, ' '); /* XEP-0115: the software's name stands in the key, too */
    str node = str_sub(hash, space + 1, hash.len);
    return arena_printf(arena, "%.*s#%.*s", STR_ARGS(node), STR_ARGS(str_sub(hash, 0, space)));
}

static bool is_there(struct shard *shard, const struct seeker *seeker, const struct jid *who)
{
    struct user *user = user_awake(shard, str_from(seeker->user));
    if (!user)
        return false;
    return !str_eq(jid_bare(who), user_bare(user)) || session_find(user, jid_resource(who));
}

static bool ask(struct interest *interest, const struct seeker *seeker)
{
    struct shard *shard = interest->shard;
    struct arena *arena = &shard->arena;
    struct stanza *iq = arena_alloc(arena, sizeof *iq);
    struct jid who, user;
    struct buf xml;
    char token[20];
    if (jid_parse(arena_str(arena, str_from(seeker->who)), arena, &who) != OK ||
        jid_parse(arena_str(arena, str_from(seeker->user)), arena, &user) != OK ||
        !is_there(shard, seeker, &who))
        return false;
    rand_token(token, sizeof token);
    buf_init(&xml, 16 * 1024);
    buf_lit(&xml, "<query xmlns='" NS_DISCO_INFO "'");
    xml_write_attr(&xml, "node", disco_node(interest, arena));
    buf_lit(&xml, "/>");
    *iq = stanza_make(STANZA_IQ, TYPE_GET, arena_str(arena, str_from(token)), arena_str(arena, buf_str(&xml)),
                      arena);
    buf_fini(&xml);
    iq->from = user;
    iq->to = who;
    free(interest->asked);
    free(interest->id);
    interest->asked = str_dup(who.full);
    interest->id = str_dup(str_from(token));
    interest->asked_us = loop_now_us(shard->loop);
    route_to(shard, iq, &who, server_host(shard->server, jid_domain(&who)) ? DELIVER_SESSION : DELIVER_ROUTE);
    return true;
}

/* Those who are there no more are passed over; nobody left: the set is not needed. */
static void ask_next(struct interest *interest)
{
    list_remove(&interest->link);
    list_append(&cache_of(interest->shard)->_asked, &interest->link);
    while (!list_empty(&interest->seekers)) {
        struct seeker *first = LIST_ITEM(interest->seekers.next, struct seeker, link);
        if (ask(interest, first))
            return;
        list_remove(&first->link);
        interest->seeker_count--;
        seeker_free(first);
    }
    forget(interest);
}

static void take_features(struct interest *interest, const struct caps_info *info)
{
    str suffix = STR("+notify");
    for (size_t i = 0; i < info->feature_count; i++)
        if (str_ends(info->features[i], suffix))
            add_name(interest, str_sub(info->features[i], 0, info->features[i].len - suffix.len));
}

/* Whether the answer is what the hash stands for. */
static bool is_true(const struct interest *interest, const struct caps_info *info, struct arena *arena)
{
    enum digest digest;
    str hash = str_from(interest->key), xep = str_cut(&hash, ' '), algorithm = str_cut(&hash, ' ');
    if (!caps_digest(algorithm, &digest))
        return false;
    if (str_is(xep, "390"))
        return str_eq(caps_hash(info, digest, arena), hash);
    return str_eq(caps_ver(info, digest, arena), str_sub(hash, 0, str_find_last(hash, ' ')));
}

/* The one who was asked has a set of its own; the others wait on. */
static void answer_alone(struct interest *interest, const struct caps_info *info)
{
    struct seeker *first = LIST_ITEM(list_shift(&interest->seekers), struct seeker, link);
    struct interest *own = interest_new(interest->shard, str_from(interest->key));
    own->is_own = true;
    interest->seeker_count--;
    take_features(own, info);
    list_append(&own->seekers, &first->link);
    become_ready(own);
    ask_next(interest);
}

static struct interest *asked_with(struct shard *shard, const struct stanza *iq)
{
    list_each (at, &cache_of(shard)->_asked) {
        struct interest *interest = LIST_ITEM(at, struct interest, link);
        if (interest->id && str_eq(iq->id, str_from(interest->id)) &&
            str_eq(iq->from.full, str_from(interest->asked)))
            return interest;
    }
    return NULL;
}

bool interest_answer(struct shard *shard, const struct stanza *iq)
{
    struct arena *arena = &shard->arena;
    struct interest *interest = iq->id.len ? asked_with(shard, iq) : NULL;
    struct caps_info info = { 0 };
    struct xml_node query;
    if (!interest)
        return false;
    bool good = iq->type == TYPE_RESULT && xml_child(&iq->node, STR("query"), STR(NS_DISCO_INFO), &query) &&
                caps_read(&query, xml_lang(&iq->node, arena), arena, &info) == OK;
    if (good && is_true(interest, &info, arena)) {
        take_features(interest, &info);
        keep(interest);
        become_ready(interest);
    } else {
        if (!good)
            info = (struct caps_info){ 0 };
        answer_alone(interest, &info);
    }
    return true;
}

/* Where the one who has gone announced this set. To ask in his name again would be to ask for ever: whoever
 * is asked next goes to the end of the list that is walked through. */
static void drop_seekers_for(struct interest *interest, str full)
{
    list_each_safe (at, &interest->seekers) {
        struct seeker *seeker = LIST_ITEM(at, struct seeker, link);
        if (!str_eq(full, str_from(seeker->who)))
            continue;
        list_remove(&seeker->link);
        interest->seeker_count--;
        seeker_free(seeker);
    }
}

void interest_lost(struct shard *shard, str full)
{
    list_each_safe (at, &cache_of(shard)->_asked) {
        struct interest *interest = LIST_ITEM(at, struct interest, link);
        if (!interest->asked || !str_eq(full, str_from(interest->asked)))
            continue;
        drop_seekers_for(interest, full);
        ask_next(interest);
    }
}

/* ---- Seeking
 * ------------------------------------------------------------------------------------------------------------
 */

/* XEP-0390 §4.3: the first hash that we can make. */
static str read_caps2(const struct stanza *presence, struct arena *arena)
{
    struct xml_node c, hash;
    enum digest digest;
    if (!xml_child(&presence->node, STR("c"), STR(NS_CAPS2), &c) || !xml_first(&c, &hash))
        return str_none;
    do {
        str algorithm = xml_attr(&hash, STR("algo"), arena);
        if (xml_is(&hash, STR("hash"), STR(NS_HASHES)) && caps_digest(algorithm, &digest))
            return arena_printf(arena, "390 %.*s %.*s", STR_ARGS(algorithm),
                                STR_ARGS(str_trim(xml_text(&hash, arena))));
    } while (xml_next(&hash));
    return str_none;
}

static bool has_space(str text)
{
    return str_find(text, ' ') < text.len || str_find(text, '\n') < text.len;
}

static str read_caps(const struct stanza *presence, struct arena *arena)
{
    struct xml_node c;
    str key = read_caps2(presence, arena);
    enum digest digest;
    if (key.p || !xml_child(&presence->node, STR("c"), STR(NS_CAPS), &c))
        return key;
    str algorithm = xml_attr(&c, STR("hash"), arena), ver = xml_attr(&c, STR("ver"), arena),
        node = xml_attr(&c, STR("node"), arena);
    if (!caps_digest(algorithm, &digest) || !ver.len || has_space(ver) || has_space(node))
        return str_none;
    return arena_printf(arena, "115 %.*s %.*s %.*s", STR_ARGS(algorithm), STR_ARGS(ver), STR_ARGS(node));
}

static void wait_for(struct interest *interest, struct user *user, const struct jid *who,
                     interest_found *found)
{
    if (interest->seeker_count >= SEEKERS_MAX)
        return;
    struct seeker *seeker = NEW(struct seeker);
    seeker->found = found;
    seeker->user = str_dup(user_bare(user));
    seeker->who = str_dup(who->full);
    list_append(&interest->seekers, &seeker->link);
    interest->seeker_count++;
    bool late = interest->asked && loop_now_us(user->actor.shard->loop) - interest->asked_us > PATIENCE_US;
    if (!late)
        return;
    list_append(&interest->seekers, list_shift(&interest->seekers)); /* who does not answer goes last */
    ask_next(interest);
}

void interest_seek(struct user *user, const struct jid *who, const struct stanza *presence,
                   const struct interest *known, interest_found *found)
{
    struct shard *shard = user->actor.shard;
    struct interest_cache *cache = cache_of(shard);
    str key = read_caps(presence, &shard->arena);
    if (!key.p || key.len > KEY_MAX || (known && str_eq(key, str_from(known->key))))
        return;
    struct map_node *node = map_get(&cache->_map, key);
    struct interest *interest = MAP_ITEM(node, struct interest, node);
    if (interest && interest->ready) {
        interest_ref(interest);
        found(user, who, interest);
        interest_unref(shard, interest);
        return;
    }
    if (!interest) {
        interest = interest_new(shard, key);
        map_put(&cache->_map, &interest->node);
        wait_for(interest, user, who, found);
        look_up(interest);
    } else {
        wait_for(interest, user, who, found);
    }
}
