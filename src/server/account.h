/* SPDX-License-Identifier: MIT */
/* What is done to accounts: made, given another password, switched off and on, removed. All ways to do it
 * (jabiructl, registration, administration by commands, import) come here, so its rules stand in one place.
 *
 * A job does one thing to one account and completes once, on the shard that asked, never inside the call.
 * Everything happens at the account's home, one job after the other and not beside a stanza: so nothing is
 * brought back to life by a late write. */
#ifndef SERVER_ACCOUNT_H
#define SERVER_ACCOUNT_H

#include "server/user/user.h"
#include "xmpp/sasl.h"

/* In front of the keys of an account that is switched off: it then has no keys that a login could find. */
#define ACCOUNT_DISABLED "disabled "

enum account_task { ACCOUNT_MAKE, ACCOUNT_PASSWORD, ACCOUNT_REMOVE, ACCOUNT_DISABLE, ACCOUNT_ENABLE };

struct account_job {
    /* What is wanted; only for the call, but for `shard` and `host`. */
    struct shard *shard; /* who asks */
    struct host *host;   /* the virtual host of the account */
    struct jid jid;      /* bare; from here until `done` has returned the job has its own copy of it */
    str password;        /* to make one or change it: prepared (jid_prepare_password) */
    str keys;            /* instead of a password: keys as scram_keys_write() wrote them; else str_none */
    struct store_batch *rows; /* to make one: what is written with it, or NULL; the job takes it */
    bool rows_kept;           /* `rows` has some that a user keeps in memory: it is loaded from them */
    /* A new password ends all other sessions but that of this resource; str_none: ends none. */
    bool end_sessions;
    str keep;
    /* To remove one, at its home: it is gone from the disk, and its sessions are about to end. What is routed
     * here reaches them. May be NULL. */
    void (*gone)(struct shard *shard, struct account_job *job);
    /* An event of `shard`. The job's memory is the caller's again. */
    void (*done)(struct account_job *job);
    /* OK; ERR_EXISTS: to make one, there is such an account, or a row that had to be new was not;
     * ERR_NOT_FOUND: no such account; ERR_LIMIT: too much waits for it; or the store's error. */
    enum err err;

    enum account_task _task;
    struct user *_user; /* at home, while it is blocked */
    char *_bare, *_password, *_keep, *_keys;
    struct scram_keys _hashed;
    struct work _work;
    struct shard_call _call;
    struct parked _parked;
    struct store_read _read;
    struct store_commit _commit;
};

/* Begins. */
void account_start(struct account_job *job, enum account_task task);

/* Whether a value of the row `account` is that of an account that is switched off. */
static inline bool account_is_disabled(str value)
{
    return str_starts(value, STR(ACCOUNT_DISABLED));
}

#endif
