/* SPDX-License-Identifier: MIT */
/* The parts of the archive extension, one file each. */
#ifndef ARCHIVE_ARCHIVE_H
#define ARCHIVE_ARCHIVE_H

#include "server/control/control_request.h"
#include "server/ext.h"

#define ARCHIVE_KIND      APPENDS_ARCHIVE /* of the log */
#define ARCHIVE_PREFS     "archive-prefs" /* of the row */
#define ARCHIVE_RETENTION "archive-keep"  /* the same: seconds; 0 for ever */

enum archive_default { ARCHIVE_ALWAYS, ARCHIVE_ROSTER, ARCHIVE_NEVER };

struct archive_settings {
    uint64_t keep_ms; /* 0: for ever */
    unsigned page, page_max, prefs_items;
    unsigned default_; /* enum archive_default */
    bool search;
};

/* What a user has chosen (XEP-0441). */
struct archive_prefs {
    enum archive_default default_;
    char **always, **never; /* addresses, sorted */
    unsigned always_count, never_count;
};

struct archive_user {
    uint64_t last_id, serial;    /* of the last append; 0: none since the user woke */
    uint64_t first_id;           /* of all, while somebody binds (archive_bind.c) */
    bool ends_known;             /* the same: first_id and last_id are those of the log */
    struct archive_prefs *prefs; /* NULL: what the host's configuration says */
};

/* Ids of a stretch of the archive that the client has seen whole; 0, 0: none. */
struct archive_session {
    uint64_t seen_first, seen_last;
};

extern struct ext_slot archive_slot;

static inline struct archive_user *archive_user(struct user *user)
{
    return ext_user(user, &archive_slot);
}

static inline const struct archive_settings *archive_settings(const struct host *host)
{
    return ext_settings(host, &archive_slot);
}

/* archive.c: the words by which a message can be found; what is encrypted has none. */
str archive_words(const struct stanza *message, struct arena *arena);

/* archive_policy.c: whether a message is worth keeping, whoever it is from or for. */
bool archive_policy(const struct stanza *message);

/* archive_prefs.c: whether the user wants messages to or from this address kept; requests; and the row. */
bool archive_prefs_allow(struct user *user, const struct jid *peer);
void archive_prefs_get(struct iq_event *event);
void archive_prefs_set(struct iq_event *event);
void archive_prefs_load(struct user *user, const struct store_row *row);
void archive_prefs_free(struct archive_prefs *prefs);

/* archive_bind.c: what a client that binds by XEP-0386 is told. */
void archive_bind_read(struct bind2_wait *wait);
void archive_bind_tell(struct bind2_event *event);

/* archive_retention.c: how long a user's messages stay, by jabiructl; and such a row, into *keep_ms. */
extern const struct control_command archive_commands[];
void archive_retention_read(str value, uint64_t *keep_ms);

/* archive_expiry.c: old messages go, in the shard's own time. Of the shard: its memory. */
struct archive_expiry {
    struct timer timer;
    struct store_read read, row; /* owners; and what is set for the one at hand */
    struct store_commit commit;
    struct store_batch *batch;
    struct shard *shard;
    size_t at;   /* of the owners */
    char *after; /* the owner up to which this round has come */
    bool busy;
};

void archive_expiry_start(struct shard *shard); /* does nothing when it runs */
void archive_expiry_fini(struct shard *shard);

#endif
