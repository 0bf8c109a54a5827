/* SPDX-License-Identifier: MIT */
/* XEP-0313 1.1.3: each user's messages, kept at the server for all of the user's devices; with XEP-0359
 * (stanza ids), XEP-0441 (preferences) and XEP-0431 (search).
 *
 * A message is kept twice: in its sender's archive when it is sent, on the sender's shard, and in its
 * receiver's when it is accepted for delivery, on the receiver's. One to oneself is kept once, as received.
 * Writing makes nobody wait (appends.h): the id is given here, and the message goes on with it at once; but
 * stream management acknowledges it only when both archives are on disk. The receiver's entry and what keeps
 * the message for the receiver's devices are one write, so a crash in between leaves none that is sent again.
 * What a crash left of the sender's is told from the notes of the sender's session (server/sm/sm_archive.c).
 *
 * An append that fails is logged. Its sender is told only if nobody got the message, and that is said by the
 * offline store, which keeps what was not delivered: what is archived was delivered, or is there too.
 *
 * A client that has asked for its archive before it became available has what waits in the offline store: of
 * that it is not sent again what it has seen (§9.1.1). Each session remembers one stretch of ids that it has
 * seen whole; pages that touch it make it longer.
 *
 * In its own files: what is kept (archive_policy.c), what users want (archive_prefs.c), how old messages go
 * (archive_expiry.c), and the queries (mam.c). */
#include "extensions/archive/archive.h"

#include "extensions/archive/mam.h"
#include "xmpp/payload.h"
#include "xmpp/sid.h"

#include <stdlib.h>

enum { STANZA_MAX = 1 << 23, SID_MAX = 64 * 1024 };

struct ext_slot archive_slot;

/* ---- Keeping
 * ------------------------------------------------------------------------------------------------------ */

str archive_words(const struct stanza *message, struct arena *arena)
{
    if (payload_facts(message) & PAYLOAD_ENCRYPTED)
        return str_none;
    return xml_child_text(&message->node, STR("body"), message->node.ns, arena);
}

/* Gives it an id, and sends it off to the disk. `waiter` may be NULL. */
static uint64_t keep(struct user *user, const struct stanza *message, const struct jid *peer,
                     struct append_waiter *waiter)
{
    struct shard *shard = user->actor.shard;
    struct archive_user *archive = archive_user(user);
    struct buf value;
    uint64_t id = append_id(shard, archive->last_id);
    buf_init(&value, STANZA_MAX);
    stanza_write(&value, message, NULL);
    struct store_entry entry = {
        .id = id, .time_ms = append_id_ms(id), .peer = jid_bare(peer), .value = buf_str(&value)
    };
    if (archive_settings(user->actor.host)->search)
        entry.text = archive_words(message, &shard->arena);
    archive->serial = appends_add(shard, user_bare(user), STR(ARCHIVE_KIND), &entry, waiter);
    archive->last_id = id;
    if (archive->ends_known && !archive->first_id)
        archive->first_id = id;
    buf_fini(&value);
    shard->counters.archived++;
    return id;
}

static str id_text(struct shard *shard, uint64_t id)
{
    char text[MAM_ID_SIZE];
    return arena_str(&shard->arena, mam_id_write(id, text));
}

static bool is_kept(struct user *user, const struct stanza *message, const struct jid *peer)
{
    return !user->anonymous && archive_policy(message) && archive_prefs_allow(user, peer);
}

/* XEP-0359 §3, rule 2: an id in our name that is not ours goes, whether we give one or not. */
static void strip_forged(struct stanza_event *event)
{
    struct arena *arena = &event->shard->arena;
    struct jid own = user_jid(event->user);
    str content = sid_strip(event->stanza, &own, arena);
    if (content.p == event->stanza->node.content.p)
        return;
    struct stanza *honest = arena_alloc(arena, sizeof *honest);
    *honest = *event->stanza;
    honest->node.content = content;
    event->stanza = honest;
}

/* §5.1.3: who gets it is told under which id it is in his archive. */
static void add_id(struct stanza_event *event)
{
    struct arena *arena = &event->shard->arena;
    struct jid own = user_jid(event->user);
    struct stanza *told = arena_alloc(arena, sizeof *told);
    struct buf xml;
    buf_init(&xml, event->stanza->node.content.len + SID_MAX);
    buf_add(&xml, event->stanza->node.content);
    sid_write(&xml, &own, event->archive_id);
    *told = *event->stanza;
    told->node.content = arena_str(arena, buf_str(&xml));
    buf_fini(&xml);
    event->stanza = told;
}

static void sent_kept(struct shard *shard, struct append_waiter *waiter, enum err err)
{
    if (err != OK)
        receipt_unarchived(shard);
    free(waiter);
}

/* After a crash the client sends again what is archived already. */
static uint64_t keep_once(struct stanza_event *event)
{
    struct append_waiter *waiter = NULL;
    if (event->archived)
        return event->archived;
    if (receipt_at_hand(event->shard)) {
        waiter = NEW(struct append_waiter);
        waiter->done = sent_kept;
    }
    event->archived = keep(event->user, event->stanza, &event->to, waiter);
    return event->archived;
}

static enum hook_ret sent(struct host *host, struct stanza_event *event)
{
    struct jid own = user_jid(event->user);
    (void)host;
    strip_forged(event);
    if (!jid_eq_bare(&event->to, &own) && is_kept(event->user, event->stanza, &event->to))
        event->archive_id = id_text(event->shard, keep_once(event));
    return HOOK_NEXT;
}

static enum hook_ret received(struct host *host, struct stanza_event *event)
{
    (void)host;
    strip_forged(event);
    if (message_is_refused(event->user, event) || !is_kept(event->user, event->stanza, &event->stanza->from))
        return HOOK_NEXT;
    event->archive_id = id_text(event->shard, keep(event->user, event->stanza, &event->stanza->from, NULL));
    add_id(event);
    return HOOK_NEXT;
}

/* ---- What a client has seen
 * --------------------------------------------------------------------------------------- */

/* `told` comes after a page whose entries are all that the archive has between page->after and page->before.
 */
static void told(struct iq_event *event, const struct mam_page *page)
{
    if (!event->session || page->filtered || !page->first)
        return;
    struct archive_session *session = ext_session(event->session, &archive_slot);
    bool touches = session->seen_last && page->after <= session->seen_last &&
                   (!page->before || page->before >= session->seen_first);
    if (!touches) {
        session->seen_first = page->first;
        session->seen_last = page->last;
        return;
    }
    if (page->first < session->seen_first)
        session->seen_first = page->first;
    if (page->last > session->seen_last)
        session->seen_last = page->last;
}

static enum hook_ret kept(struct host *host, struct kept_event *event)
{
    struct archive_session *session = ext_session(event->session, &archive_slot);
    struct arena *arena = &event->user->actor.shard->arena;
    struct jid own = user_jid(event->user);
    uint64_t id;
    (void)host;
    if (!session->seen_last || event->stanza->kind != STANZA_MESSAGE ||
        !mam_id_read(sid_read(&event->stanza->node, &own, arena), &id))
        return HOOK_NEXT;
    return id >= session->seen_first && id <= session->seen_last ? HOOK_DONE : HOOK_NEXT;
}

/* ---- Requests
 * ----------------------------------------------------------------------------------------------------- */

/* A user's archive is the user's own (§11.1). A stranger is not told that there is one. */
static bool may_ask(struct iq_event *event)
{
    if (event->session)
        return true;
    ext_error(event, ext_may_see(event) ? STANZA_ERROR_FORBIDDEN : STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
    return false;
}

static void serve(struct iq_event *event, void (*how)(struct iq_event *, const struct mam_archive *))
{
    const struct archive_settings *settings = archive_settings(event->host);
    struct jid own = user_jid(event->user);
    const struct mam_archive archive = {
        .owner = user_bare(event->user),
        .kind = STR(ARCHIVE_KIND),
        .jid = &own,
        .serial = archive_user(event->user)->serial,
        .page = settings->page,
        .page_max = settings->page_max,
        .searches = settings->search,
        .told = told,
    };
    if (may_ask(event))
        how(event, &archive);
}

static void query(struct iq_event *event)
{
    serve(event, mam_query);
}

static void form(struct iq_event *event)
{
    serve(event, mam_form);
}

static void metadata(struct iq_event *event)
{
    serve(event, mam_metadata);
}

static enum hook_ret disco(struct host *host, struct disco_event *event)
{
    if (event->request->user && !event->node.len && archive_settings(host)->search)
        buf_lit(event->xml, "<feature var='" NS_FULLTEXT "'/>");
    return HOOK_NEXT;
}

/* ---- The extension
 * ------------------------------------------------------------------------------------------------ */

static enum hook_ret bound(struct host *host, struct session_event *event)
{
    (void)host;
    archive_expiry_start(event->user->actor.shard);
    return HOOK_NEXT;
}

/* An import that was broken off may have left something under the name. */
static enum hook_ret being_made(struct host *host, struct account_event *event)
{
    (void)host;
    store_del_all(event->batch, event->jid.full, STR(ARCHIVE_KIND));
    return HOOK_NEXT;
}

static void reset(struct user *user)
{
    archive_prefs_free(archive_user(user)->prefs);
}

static const struct ext_iq iqs[] = {
    { TYPE_SET, TO_ACCOUNT, "query", NS_MAM, query },
    { TYPE_GET, TO_ACCOUNT, "query", NS_MAM, form },
    { TYPE_GET, TO_ACCOUNT, "metadata", NS_MAM, metadata },
    { TYPE_GET, TO_ACCOUNT, "prefs", NS_MAM, archive_prefs_get },
    { TYPE_SET, TO_ACCOUNT, "prefs", NS_MAM, archive_prefs_set },
    { 0 },
};

static const struct ext_hook hooks[] = {
    HOOK(message_from_user, PHASE_ARCHIVE, sent),        HOOK(message_unarchived, PHASE_ARCHIVE, sent),
    HOOK(message_to_user, PHASE_ARCHIVE, received),      HOOK(kept_stanza, PHASE_OBSERVE, kept),
    HOOK(session_bound, PHASE_OBSERVE, bound),           HOOK(disco_info, PHASE_OBSERVE, disco),
    HOOK(account_being_made, PHASE_OBSERVE, being_made), { 0 },
};

static const struct config_key keys[] = {
    { .name = "keep",
      .type = CONFIG_DURATION,
      CONFIG_FIELD(struct archive_settings, keep_ms),
      .default_text = "365d",
      .max = UINT64_C(100) * 365 * 24 * 60 * 60 * 1000,
      .help = "How long messages stay; 0: for ever." },
    { .name = "default",
      .type = CONFIG_CHOICE,
      CONFIG_FIELD(struct archive_settings, default_),
      .default_text = "always",
      .choices = "always roster never",
      .help = "Whose messages are kept of users who have not chosen: everybody's, those of "
              "contacts, nobody's." },
    { .name = "search",
      .type = CONFIG_BOOL,
      CONFIG_FIELD(struct archive_settings, search),
      .default_text = "true",
      .help = "Messages can be found by their words (XEP-0431)." },
    { .name = "page",
      .type = CONFIG_INT,
      CONFIG_FIELD(struct archive_settings, page),
      .default_text = "50",
      .min = 1,
      .max = 250,
      .unit = "messages",
      .help = "How many a client gets at once when it does not say." },
    { .name = "page-max",
      .type = CONFIG_INT,
      CONFIG_FIELD(struct archive_settings, page_max),
      .default_text = "250",
      .min = 1,
      .max = 1000,
      .unit = "messages",
      .help = "How many it gets at once at most." },
    { .name = "addresses",
      .type = CONFIG_INT,
      CONFIG_FIELD(struct archive_settings, prefs_items),
      .default_text = "1000",
      .max = 10000,
      .unit = "addresses",
      .help = "How long each list of a user's preferences can be." },
    { 0 },
};

static const struct config_extension config = {
    .name = "archive",
    .help = "Messages kept for the devices of their users (XEP-0313).",
    .size = sizeof(struct archive_settings),
    .keys = keys,
};

extern const struct ext ext_archive;
const struct ext ext_archive = {
    .slot = &archive_slot,
    .name = "archive",
    .title = "Message Archive Management",
    .xep = { 313, "1.1.3" },
    .more =
        (const struct ext_xep[]){
            { 359, "0.7.0" }, { 441, "0.2.0" }, { 431, "0.2.0" }, { 59, "1.0" }, { 0 } },
    .account_features =
        (const char *const[]){ NS_MAM, NS_MAM "#extended", NS_MAM "#groupchat-field", NS_SID,
                               "urn:xmpp:message-retract:1" /* XEP-0424 §2: they are archived */, NULL },
    .iqs = iqs,
    .bind2 = (const struct ext_bind2[]){ { NULL, NULL, NULL, archive_bind_tell }, { 0 } },
    .bind2_read = archive_bind_read,
    .hooks = hooks,
    .commands = archive_commands,
    .config = &config,
    .user_size = sizeof(struct archive_user),
    .session_size = sizeof(struct archive_session),
    .shard_size = sizeof(struct archive_expiry),
    .shard_fini = archive_expiry_fini,
    .user_rows = ARCHIVE_PREFS,
    .load_row = archive_prefs_load,
    .user_reset = reset,
};
