/* SPDX-License-Identifier: MIT */
/* XEP-0050 1.3.0: ad-hoc commands of the host, from the tables of all extensions.
 *
 * A session is what lasts between the stages: it belongs to one full JID and one command, keeps the forms
 * that were submitted (the values point into them), and is forgotten after ten minutes, or when the same
 * account begins too many others. While a step runs the session belongs to the operation, so that nobody can
 * submit the same form twice; what was submitted is wiped at the end, there may be passwords in it. Sessions
 * live on the shard where the request came up, which for a local user is always the same.
 *
 * Commands of accounts and of service domains are not here, only those of hosts. Texts are in English
 * (xml:lang='en'). Sections in comments are of XEP-0050. */
#include "extensions/adhoc.h"

#include "base/rand.h"
#include "xml/write.h"
#include "xmpp/ns.h"

#include <stdlib.h>

enum {
    SESSIONS_MAX = 1000, /* of a shard */
    OF_ONE_MAX = 10,     /* of an account */
    SUBMITTED_MAX = 20,  /* forms in one session: who goes back and forth for ever is not served */
    LIFE_MS = 10 * 60 * 1000,
    XML_MAX = 8 << 20,
};

extern const struct ext ext_adhoc;
static struct ext_slot slot;

struct submitted {
    struct submitted *next;
    struct stanza *iq;
};

struct session_of {
    struct list link; /* of the shard's, oldest first */
    struct shard *shard;
    const struct adhoc_command *command;
    struct timer timer;
    struct arena arena;
    struct submitted *submitted;
    unsigned submitted_count, stage;
    void *values;
    char *owner; /* full JID */
    char id[25];
};

struct sessions {
    struct list list;
    size_t count;
    bool ready;
};

struct adhoc {
    struct ext_op op;
    struct session_of *session; /* NULL once it is put back */
};

/* ---- Sessions
 * ------------------------------------------------------------------------------------------------------ */

static struct sessions *sessions_of(struct shard *shard)
{
    struct sessions *sessions = ext_shard(shard, &slot);
    if (!sessions->ready)
        list_init(&sessions->list);
    sessions->ready = true;
    return sessions;
}

static void session_free(struct session_of *session)
{
    struct submitted *next;
    for (struct submitted *at = session->submitted; at; at = next) {
        next = at->next;
        mem_wipe(at->iq, stanza_copy_size(at->iq));
        free(at->iq);
        free(at);
    }
    timer_stop(&session->timer);
    mem_wipe(session->values, session->command->size);
    arena_fini(&session->arena);
    free(session->values);
    free(session->owner);
    free(session);
}

static void take_out(struct session_of *session)
{
    timer_stop(&session->timer);
    list_remove(&session->link);
    sessions_of(session->shard)->count--;
}

static void timed_out(struct timer *timer)
{
    struct session_of *session = CONTAINER_OF(timer, struct session_of, timer);
    take_out(session);
    session_free(session);
}

static struct session_of *session_new(struct iq_event *event, const struct adhoc_command *command)
{
    struct session_of *session = NEW(struct session_of);
    session->shard = event->shard;
    session->command = command;
    session->timer.fired = timed_out;
    session->values = xcalloc(1, command->size ? command->size : 1);
    session->owner = str_dup(event->iq->from.full);
    rand_token(session->id, sizeof session->id);
    arena_init(&session->arena, 1024);
    return session;
}

static bool same_account(const struct session_of *a, const struct session_of *b)
{
    str x = str_from(a->owner), y = str_from(b->owner);
    return str_eq(str_sub(x, 0, str_find(x, '/')), str_sub(y, 0, str_find(y, '/')));
}

/* Waits for the next request. The account's oldest makes room; a shard that is full takes no more. */
static bool put_in(struct session_of *session)
{
    struct sessions *sessions = sessions_of(session->shard);
    struct session_of *oldest = NULL;
    unsigned count = 0;
    list_each (at, &sessions->list) {
        struct session_of *other = LIST_ITEM(at, struct session_of, link);
        if (!same_account(other, session))
            continue;
        count++;
        oldest = oldest ? oldest : other;
    }
    if (count >= OF_ONE_MAX) {
        take_out(oldest);
        session_free(oldest);
    }
    if (sessions->count >= SESSIONS_MAX)
        return false;
    list_append(&sessions->list, &session->link);
    sessions->count++;
    timer_start(session->shard->loop, &session->timer, LIFE_MS);
    return true;
}

static struct session_of *find(struct shard *shard, str id, str owner)
{
    struct sessions *sessions = sessions_of(shard);
    list_each (at, &sessions->list) {
        struct session_of *session = LIST_ITEM(at, struct session_of, link);
        if (str_eq(str_from(session->id), id) && str_eq(str_from(session->owner), owner))
            return session;
    }
    return NULL;
}

static void shard_fini(struct shard *shard)
{
    struct sessions *sessions = sessions_of(shard);
    struct list *link;
    while ((link = list_shift(&sessions->list)))
        session_free(LIST_ITEM(link, struct session_of, link));
}

/* ---- Answers
 * ------------------------------------------------------------------------------------------------------- */

/* §3.4: an error with a condition of its own. */
static void answer_error(struct iq_event *event, enum stanza_error error, const char *type,
                         const char *condition, const char *text)
{
    struct shard *shard = event->shard;
    struct stanza *answer = ARENA_NEW(&shard->arena, struct stanza);
    struct buf xml;
    buf_init(&xml, 4096);
    buf_addf(&xml, "<error type='%s'><%s xmlns='" NS_STANZA_ERRORS "'/>", type, stanza_error_name(error));
    if (text)
        xml_write_element(&xml, "text", STR(NS_STANZA_ERRORS), str_from(text));
    buf_addf(&xml, "<%s xmlns='" NS_COMMANDS "'/></error>", condition);
    *answer = stanza_error_reply(event->iq, error, NULL, &shard->arena);
    answer->node.content = arena_str(&shard->arena, buf_str(&xml));
    buf_fini(&xml);
    shard->counters.errors_out++;
    route_to(shard, answer, &answer->to, jid_is_bare(&answer->to) ? DELIVER_ROUTE : DELIVER_SESSION);
}

static void bad_request(struct iq_event *event, const char *condition, const char *text)
{
    answer_error(event, STANZA_ERROR_BAD_REQUEST, "modify", condition, text);
}

static void expired(struct iq_event *event)
{
    answer_error(event, STANZA_ERROR_NOT_ALLOWED, "cancel", "session-expired", NULL);
}

void adhoc_refuse(struct iq_event *event, const char *text)
{
    bad_request(event, "bad-payload", text);
}

static void open_command(struct buf *xml, const struct session_of *session, const char *status)
{
    buf_lit(xml, "<command xmlns='" NS_COMMANDS "' xml:lang='en'");
    xml_write_attr(xml, "node", str_from(session->command->node));
    xml_write_attr(xml, "sessionid", str_from(session->id));
    buf_addf(xml, " status='%s'>", status);
}

static void complete(struct iq_event *event, struct ext_op *op, const char *note_type, const char *note,
                     const struct buf *payload)
{
    struct buf xml;
    buf_init(&xml, XML_MAX);
    open_command(&xml, CONTAINER_OF(op, struct adhoc, op)->session, "completed");
    if (note) {
        buf_addf(&xml, "<note type='%s'>", note_type);
        xml_write_text(&xml, str_from(note));
        buf_lit(&xml, "</note>");
    }
    if (payload)
        buf_add(&xml, buf_str(payload));
    buf_lit(&xml, "</command>");
    if (buf_failed(&xml) || (payload && buf_failed(payload)))
        ext_error(event, STANZA_ERROR_RESOURCE_CONSTRAINT, "the answer is too long");
    else
        ext_result(event, &xml);
    buf_fini(&xml);
}

void adhoc_done(struct iq_event *event, struct ext_op *op, const struct buf *payload)
{
    complete(event, op, NULL, NULL, payload);
}

void adhoc_note(struct iq_event *event, struct ext_op *op, const char *text)
{
    complete(event, op, "info", text, NULL);
}

void adhoc_failed(struct iq_event *event, struct ext_op *op, const char *text)
{
    complete(event, op, "error", text, NULL);
}

static bool is_last(const struct session_of *session)
{
    return !session->command->forms[session->stage + 1];
}

/* §3.2, §4.4: the actions that are allowed here, "execute" being the way forward. */
static void write_actions(struct buf *xml, const struct session_of *session)
{
    const char *forward = is_last(session) ? "complete" : "next";
    buf_addf(xml, "<actions execute='%s'>%s<%s/></actions>", forward, session->stage ? "<prev/>" : "",
             forward);
}

/* Shows the form of the session's stage, and lets the session wait for it. */
static void show(struct iq_event *event, struct session_of *session)
{
    struct buf xml;
    buf_init(&xml, XML_MAX);
    open_command(&xml, session, "executing");
    write_actions(&xml, session);
    form_write(&xml, session->command->forms[session->stage], FORM_ASKS, session->values);
    buf_lit(&xml, "</command>");
    if (put_in(session)) {
        ext_result(event, &xml);
    } else {
        session_free(session);
        ext_error(event, STANZA_ERROR_RESOURCE_CONSTRAINT, "too many commands are being run");
    }
    buf_fini(&xml);
}

/* ---- Running
 * ------------------------------------------------------------------------------------------------------- */

void *adhoc_values(struct ext_op *op)
{
    return CONTAINER_OF(op, struct adhoc, op)->session->values;
}

const struct adhoc_command *adhoc_command(const struct ext_op *op)
{
    return CONTAINER_OF(op, struct adhoc, op)->session->command;
}

void adhoc_ask(struct ext_op *op, struct iq_event *event)
{
    struct adhoc *adhoc = CONTAINER_OF(op, struct adhoc, op);
    struct session_of *session = adhoc->session;
    adhoc->session = NULL;
    show(event, session);
}

static void op_fini(struct ext_op *op)
{
    struct adhoc *adhoc = CONTAINER_OF(op, struct adhoc, op);
    if (adhoc->session)
        session_free(adhoc->session);
}

/* The session is the operation's from here on. */
static void operate(struct iq_event *event, struct session_of *session, ext_step *step)
{
    struct adhoc *adhoc = ext_op_new(event, sizeof *adhoc);
    adhoc->op.fini = op_fini;
    adhoc->session = session;
    ext_op_start(&adhoc->op, event, step);
}

static void begin(struct iq_event *event, const struct adhoc_command *command)
{
    struct session_of *session = session_new(event, command);
    if (!command->forms)
        operate(event, session, command->run);
    else if (command->begin)
        operate(event, session, command->begin);
    else
        show(event, session);
}

/* Keeps the request, and reads the form of the stage in it into the values; false: it was refused. */
static bool submit(struct iq_event *event, struct session_of *session)
{
    const struct form_table *table = session->command->forms[session->stage];
    struct submitted *kept = NEW(struct submitted);
    struct xml_node command;
    struct form form;
    kept->iq = stanza_copy(event->iq);
    kept->next = session->submitted;
    session->submitted = kept;
    if (++session->submitted_count > SUBMITTED_MAX || !xml_first(&kept->iq->node, &command)) {
        bad_request(event, "bad-action", "too many forms were submitted");
        return false;
    }
    struct xml_node *home = ARENA_NEW(&session->arena, struct xml_node);
    *home = command;
    enum err err = form_read_child(home, &session->arena, &form);
    if (err == ERR_NOT_FOUND) {
        bad_request(event, "bad-payload", "the form is missing");
        return false;
    }
    if (err != OK || !form_apply(table, &form, session->values)) {
        bad_request(event, "bad-payload", err == OK ? form.why : "the form can't be read");
        return false;
    }
    return true;
}

static void go_forward(struct iq_event *event, struct session_of *session)
{
    if (!submit(event, session)) { /* another try */
        if (session->submitted_count > SUBMITTED_MAX || !put_in(session))
            session_free(session);
        return;
    }
    if (is_last(session)) {
        operate(event, session, session->command->run);
        return;
    }
    session->stage++;
    show(event, session);
}

static void cancel(struct iq_event *event, struct session_of *session)
{
    struct buf xml;
    buf_init(&xml, 4096);
    open_command(&xml, session, "canceled");
    buf_lit(&xml, "</command>");
    ext_result(event, &xml);
    buf_fini(&xml);
    session_free(session);
}

/* §4.1, §4.4 */
static void go_on(struct iq_event *event, const struct adhoc_command *command, str id, str action)
{
    struct session_of *session = find(event->shard, id, event->iq->from.full);
    if (!session) {
        expired(event);
        return;
    }
    if (session->command != command) {
        bad_request(event, "bad-sessionid", NULL);
        return;
    }
    bool next = str_is(action, "next"), full = str_is(action, "complete"), prev = str_is(action, "prev");
    if ((next && is_last(session)) || (full && !is_last(session)) || (prev && !session->stage)) {
        bad_request(event, "bad-action", NULL);
        return;
    }
    take_out(session);
    if (str_is(action, "cancel")) {
        cancel(event, session);
    } else if (prev) {
        session->stage--;
        show(event, session);
    } else {
        go_forward(event, session);
    }
}

/* ---- Requests
 * ------------------------------------------------------------------------------------------------------ */

/* On the shard that is home to the account, where its sessions are. */
static bool has_account(struct iq_event *event)
{
    const struct jid *from = &event->iq->from;
    if (!from->local_len || !str_eq(jid_domain(from), str_from(event->host->name)))
        return false;
    const struct user *user = user_awake(event->shard, jid_bare(from));
    return user && user->actor.exists && !user->anonymous;
}

static bool may_run(struct iq_event *event, const struct adhoc_command *command)
{
    return command->who == ADHOC_ADMINS ? host_is_admin(event->host, &event->iq->from) : has_account(event);
}

typedef bool visit_command(void *arg, const struct adhoc_command *command);

/* Calls `visit` for each command that is on, until it says true. */
static const struct adhoc_command *each(const struct host *host, visit_command *visit, void *arg)
{
    for (const struct ext *const *ext = host->server->extensions; *ext; ext++) {
        const struct adhoc_command *row = ext_is_on(host, *ext) ? (*ext)->adhoc : NULL;
        for (; row && row->node; row++)
            if ((!row->is_on || row->is_on(host)) && visit(arg, row))
                return row;
    }
    return NULL;
}

static bool has_node(void *node, const struct adhoc_command *command)
{
    return str_eq(str_from(command->node), *(str *)node);
}

static bool is_action(str action)
{
    return !action.len || str_is(action, "execute") || str_is(action, "next") || str_is(action, "prev") ||
           str_is(action, "complete") || str_is(action, "cancel");
}

static void execute(struct iq_event *event)
{
    struct arena *arena = &event->shard->arena;
    str node = xml_attr(&event->child, STR("node"), arena);
    str id = xml_attr(&event->child, STR("sessionid"), arena);
    str action = xml_attr(&event->child, STR("action"), arena);
    const struct adhoc_command *command = each(event->host, has_node, &node);
    if (!node.len)
        ext_error(event, STANZA_ERROR_BAD_REQUEST, "a command without a node");
    else if (!command)
        ext_error(event, STANZA_ERROR_ITEM_NOT_FOUND, NULL);
    else if (!may_run(event, command))
        ext_error(event, STANZA_ERROR_FORBIDDEN, NULL);
    else if (!is_action(action))
        bad_request(event, "malformed-action", NULL);
    else if (id.p)
        go_on(event, command, id, action);
    else if (action.len && !str_is(action, "execute"))
        bad_request(event, "bad-action", NULL);
    else
        begin(event, command);
}

static const struct ext_iq iqs[] = { { TYPE_SET, TO_HOST, "command", NS_COMMANDS, execute }, { 0 } };

/* ---- Discovery (§2.1, §2.2)
 * ---------------------------------------------------------------------------------------- */

static bool list_one(void *arg, const struct adhoc_command *command)
{
    struct disco_event *event = arg;
    if (!may_run(event->request, command))
        return false;
    xml_write_open(event->xml, "item", str_none);
    xml_write_attr(event->xml, "jid", str_from(event->request->host->name));
    xml_write_attr(event->xml, "node", str_from(command->node));
    xml_write_attr(event->xml, "name", str_from(command->name));
    buf_lit(event->xml, "/>");
    return false;
}

static enum hook_ret items(struct host *host, struct disco_event *event)
{
    if (event->request->user || !str_is(event->node, NS_COMMANDS))
        return HOOK_NEXT;
    event->known = true;
    each(host, list_one, event);
    return HOOK_DONE;
}

static void write_identity(struct buf *xml, const char *type, const char *name)
{
    xml_write_open(xml, "identity", str_none);
    buf_addf(xml, " category='automation' type='%s'", type);
    xml_write_attr(xml, "name", str_from(name));
    buf_lit(xml, "/><feature var='" NS_COMMANDS "'/><feature var='" NS_FORM "'/>");
}

static enum hook_ret info(struct host *host, struct disco_event *event)
{
    if (event->request->user || !event->node.len)
        return HOOK_NEXT;
    bool is_list = str_is(event->node, NS_COMMANDS);
    const struct adhoc_command *command = is_list ? NULL : each(host, has_node, &event->node);
    if (!is_list && !command)
        return HOOK_NEXT;
    event->known = true;
    if (command && !may_run(event->request, command))
        event->error = STANZA_ERROR_FORBIDDEN;
    else
        write_identity(event->xml, is_list ? "command-list" : "command-node",
                       is_list ? "Commands" : command->name);
    return HOOK_DONE;
}

static const struct ext_hook hooks[] = { HOOK(disco_items, PHASE_DELIVER, items),
                                         HOOK(disco_info, PHASE_DELIVER, info),
                                         { 0 } };

const struct ext ext_adhoc = {
    .slot = &slot,
    .name = "adhoc",
    .title = "Ad-Hoc Commands",
    .xep = { 50, "1.3.0" },
    .features = (const char *const[]){ NS_COMMANDS, NULL },
    .iqs = iqs,
    .hooks = hooks,
    .shard_size = sizeof(struct sessions),
    .shard_fini = shard_fini,
};
