/* SPDX-License-Identifier: MIT */
/* The configuration of a room as data: one row a field, from which the form is written, a submission read and
 * the row of the store made. Names are those of the XMPP registrar (XEP-0045 §15.5.3); those of XEP-0500 and
 * of archives follow. Lists of admins and owners are in the form alone: who they are stands in the table of
 * affiliations (room.h). */
#include "room_config.h"

#include "base/mem.h"

#include <stdlib.h>

enum {
    SAVED_MAX = 64 * 1024,
    HISTORY_MAX = 1000,
    OCCUPANTS_MAX = 1000000,
    SLOW_MODE_MAX = 86400,
    JOINS_MAX = 60000,
    NEWCOMER_MAX = 100000
};

static const struct form_option pm_options[] = {
    { "anyone", "Anyone" },
    { "participants", "Anyone with voice" },
    { "moderators", "Moderators only" },
    { "none", "Nobody" },
    { 0 },
};

static const struct form_option registration_options[] = {
    { "open", "Anybody" },
    { "approval", "Whom an admin or owner approves" },
    { "closed", "Nobody" },
    { 0 },
};

static const struct form_option whois_options[] = {
    { "moderators", "Moderators only" },
    { "anyone", "Anyone" },
    { 0 },
};

static const struct form_option role_options[] = {
    { "moderator", "Moderator" },
    { "participant", "Participant" },
    { "visitor", "Visitor" },
    { 0 },
};

static const struct form_option size_options[] = {
    { "10", "10" },
    { "20", "20" },
    { "50", "50" },
    { "100", "100" },
    { "500", "500" },
    { "1000", "1000" },
    { "5000", "5000" },
    { "none", "As many as the service allows" },
    { 0 },
};

#define TEXT(member) FORM_TEXT(struct room_config, member)
#define BOOL(member) FORM_BOOL(struct room_config, member)

static const struct form_row rows[] = {
    { "muc#roomconfig_roomname", FIELD_TEXT_SINGLE, "Name of the room", TEXT(name) },
    { "muc#roomconfig_roomdesc", FIELD_TEXT_SINGLE, "What it is about", TEXT(description) },
    { "muc#roomconfig_lang", FIELD_TEXT_SINGLE, "Language of the discussion", TEXT(language) },
    { "muc#roomconfig_pubsub", FIELD_TEXT_SINGLE, "URI of the pubsub node that belongs to it", TEXT(pubsub) },
    { "muc#roomconfig_publicroom", FIELD_BOOLEAN, "Show it in the list of rooms?", BOOL(is_public) },
    { "muc#roomconfig_persistentroom", FIELD_BOOLEAN, "Keep it when nobody is in?", BOOL(is_persistent) },
    { "muc#roomconfig_moderatedroom", FIELD_BOOLEAN, "Must newcomers be given voice?", BOOL(is_moderated) },
    { "muc#roomconfig_membersonly", FIELD_BOOLEAN, "Members only?", BOOL(is_members_only) },
    { "muc#roomconfig_passwordprotectedroom", FIELD_BOOLEAN, "Is a password needed to enter?",
      BOOL(has_password) },
    { "muc#roomconfig_roomsecret", FIELD_TEXT_PRIVATE, "The password", TEXT(password) },
    { "muc#roomconfig_whois", FIELD_LIST_SINGLE, "Who may see real addresses",
      FORM_CHOICE(struct room_config, whois), .options = whois_options },
    { "muc#roomconfig_changesubject", FIELD_BOOLEAN, "May occupants change the subject?",
      BOOL(may_change_subject) },
    { "muc#roomconfig_allowinvites", FIELD_BOOLEAN, "May members invite others?", BOOL(may_invite) },
    { "muc#roomconfig_allowpm", FIELD_LIST_SINGLE, "Who may send private messages",
      FORM_CHOICE(struct room_config, allow_pm), .options = pm_options },
    { "muc#roomconfig_maxusers", FIELD_LIST_SINGLE, "Most occupants",
      FORM_NUMBER(struct room_config, max_occupants), .options = size_options, .min = 1, .max = OCCUPANTS_MAX,
      .word = "none" },
    { "muc#roomconfig_presencebroadcast", FIELD_LIST_MULTI, "Roles whose presence everybody is shown",
      FORM_CHOICES(struct room_config, broadcast), .options = role_options },
    { "muc#roomconfig_getmemberlist", FIELD_LIST_MULTI, "Roles that may ask for the list of members",
      FORM_CHOICES(struct room_config, member_list), .options = role_options },
    { "muc#roomconfig_enablelogging", FIELD_BOOLEAN, "Is the discussion logged in public?", BOOL(is_logged) },
    { "muc#roomconfig_enablearchiving", FIELD_BOOLEAN, "Keep an archive for those who may enter?",
      BOOL(is_archived) },
    { "muc#maxhistoryfetch", FIELD_TEXT_SINGLE, "Most messages to show on entering",
      FORM_NUMBER(struct room_config, history), .max = HISTORY_MAX },
    { "x-jabiru_registration", FIELD_LIST_SINGLE, "Who may become a member by registering",
      FORM_CHOICE(struct room_config, registration), .options = registration_options },
    { "x-jabiru_logs", FIELD_TEXT_SINGLE, "Where public logs are (a URL)", TEXT(logs) },
    { "x-jabiru_quiet_size", FIELD_TEXT_SINGLE,
      "Occupants from which on newcomers are shown to moderators only (0: shown always)",
      FORM_NUMBER(struct room_config, quiet_size), .max = OCCUPANTS_MAX, .word = "service" },
    { "muc#roomconfig_slow_mode_duration", FIELD_TEXT_SINGLE,
      "Seconds between two messages of one occupant (0: any)", FORM_NUMBER(struct room_config, slow_mode_s),
      .max = SLOW_MODE_MAX },
    { "x-jabiru_share_bans", FIELD_BOOLEAN, "May other rooms follow the bans of this one?",
      BOOL(shares_bans) },
    { "x-jabiru_ban_lists", FIELD_JID_MULTI, "Rooms whose bans hold here too",
      FORM_LINES(struct room_config, ban_lists) },
    { "x-jabiru_joins", FIELD_TEXT_SINGLE, "Strangers who may enter in a minute (0: any number)",
      FORM_NUMBER(struct room_config, joins_a_minute), .max = JOINS_MAX },
    { "x-jabiru_newcomer_minutes", FIELD_TEXT_SINGLE, "Minutes in which a stranger may send no links",
      FORM_NUMBER(struct room_config, newcomer_minutes), .max = NEWCOMER_MAX },
    { "x-jabiru_words", FIELD_TEXT_MULTI, "Words that strangers may not say",
      FORM_LINES(struct room_config, words) },
    { "muc#roomconfig_roomadmins", FIELD_JID_MULTI, "Administrators", FORM_JIDS(struct room_config, admins) },
    { "muc#roomconfig_roomowners", FIELD_JID_MULTI, "Owners", FORM_JIDS(struct room_config, owners) },
};

const struct form_table room_config_form = {
    NS_MUC_CONFIG,
    FORM_ROWS(rows),
    .title = "Configuration of the room",
    .instructions = "Complete this form to change the room.",
};

enum { SAVED_ROWS = COUNT_OF(rows) - 2 /* without the lists of people */ };

static const struct form_table saved_form = { NS_MUC_CONFIG, rows, SAVED_ROWS };

struct room_config *room_config_new(void)
{
    struct room_config *config = NEW(struct room_config);
    arena_init(&config->arena, 256);
    config->is_public = true;
    config->is_archived = true;
    config->broadcast = config->member_list = ROLE_BITS;
    config->max_occupants = config->quiet_size = UINT64_MAX;
    config->history = 20;
    return config;
}

static str *text_of(struct room_config *config, unsigned number)
{
    str *const texts[] = { &config->name, &config->description, &config->language, &config->pubsub,
                           &config->logs, &config->password,    &config->words,    &config->ban_lists };
    return number < COUNT_OF(texts) ? texts[number] : NULL;
}

void room_config_own(struct room_config *config)
{
    struct arena old = config->arena;
    str *text;
    arena_init(&config->arena, 256);
    for (unsigned i = 0; (text = text_of(config, i)); i++)
        *text = arena_str(&config->arena, *text);
    config->admins = config->owners = (struct form_jids){ 0 };
    arena_fini(&old);
}

struct room_config *room_config_copy(const struct room_config *config)
{
    struct room_config *copy = NEW(struct room_config);
    *copy = *config;
    arena_init(&copy->arena, 256);
    room_config_own(copy);
    return copy;
}

void room_config_free(struct room_config *config)
{
    if (!config)
        return;
    arena_fini(&config->arena);
    free(config);
}

const char *room_config_fault(const struct room_config *config)
{
    if (config->has_password && !config->password.len)
        return "a room that needs a password must have one";
    if (config->name.len > 200 || config->description.len > 2000 || config->password.len > 1000)
        return "a text is too long";
    if (config->words.len > 10000)
        return "there are too many words";
    if (config->language.len > 100 || config->pubsub.len > 3000 || config->logs.len > 3000)
        return "a text is too long";
    return NULL;
}

void room_config_save(const struct room_config *config, struct buf *to)
{
    buf_init(to, SAVED_MAX);
    form_write(to, &saved_form, FORM_SUBMIT, config);
}

bool room_config_load(str text, struct room_config *config, struct arena *arena)
{
    struct xml_node node;
    struct form form;
    if (!xml_parse(text, str_none, &node) || form_read(&node, arena, &form) != OK)
        return false;
    bool ok = form_apply(&saved_form, &form, config);
    room_config_own(config);
    return ok;
}
