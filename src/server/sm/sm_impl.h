/* SPDX-License-Identifier: MIT */
/* What the files sm*.c share. */
#ifndef SERVER_SM_IMPL_H
#define SERVER_SM_IMPL_H

#include "server/receipt.h"
#include "server/session.h"
#include "server/sm/sm.h"
#include "server/user/user.h"

enum { SM_ID_SIZE = 25, SM_ARCHIVE_PAGE = 50, SM_ARCHIVE_PAGES = 20 };

/* A stanza as it was written to a client, counted by the sessions that still wait for its acknowledgement.
 * All on the user's home shard. */
struct sm_body {
    unsigned refs;
    bool safe; /* need not be delivered again: another device has it, or the offline store */
    uint8_t kind;
    uint32_t len;
    int64_t time_ms;
    char text[];
};

struct sm_entry {
    struct list link;
    struct sm_body *body;
    struct receipt *receipt; /* of a message that could not be stored: complete when it is acknowledged */
    uint64_t number;
    bool logged; /* goes to the store before it goes out */
};

/* A stanza of the client's, until the store knows that so many are handled. It is found again by its digest
 * when the client sends it once more (sm.c). */
struct sm_item {
    struct receipt receipt;
    struct list link; /* sm->received or sm->known */
    struct sm *sm;
    uint64_t number; /* among those of the client */
    uint64_t digest;
    uint64_t row_number; /* of its row: when it came first */
    uint32_t row_turn;
    bool done;       /* its receipt is complete */
    bool stored;     /* its row is on disk */
    bool unarchived; /* its sender's archive lacks it: a crash, or the disk (sm_archive.c) */
};

/* Numbers are of 64 bits here, and of 32 on the wire. A struct sm lives as long as its session or any receipt
 * of a stanza that it has received. */
struct sm {
    struct list link;        /* of one that has ended: shard->_sm_ending, then shard->_sm_remains */
    struct session *session; /* NULL when it has ended */
    struct shard *shard;
    const struct sm_limits *limits;
    unsigned refs;
    uint32_t resume_ms;
    char id[SM_ID_SIZE];
    int64_t began_ms; /* wall time; 0: restored, of a build that did not note it */
    char *owner;      /* bare JID of what is stored; NULL: nothing is */
    bool over;        /* past its limits: about to end */
    bool restored;    /* read from the store, and not resumed since */
    bool restoring;   /* it is being read: its user takes nothing meanwhile */
    bool ended;       /* for good: what is stored of it is to be removed */
    bool row_stored;  /* the store has its row; maybe an older one */
    bool leaving;     /* a write that does so is under way */
    bool firming;     /* a write of `firm` is under way */
    bool resuming;    /* <resumed/> waits until all that has come is firm */
    uint32_t got;     /* what the client that resumes has got */

    /* sm.c: from the client. firm <= safe <= in */
    uint64_t in;             /* stanzas that it sent */
    uint64_t safe;           /* up to here all are safe */
    uint64_t firm;           /* up to here the store knows that they are */
    uint64_t counted;        /* up to here it has one number for all, and from there to `firm` rows */
    uint64_t owed;           /* an answer is due when so many are; 0: none */
    uint32_t turn;           /* how often it was counted anew from `firm` */
    uint32_t counted_turn;   /* that of `counted` and of those rows */
    bool turned;             /* it was done for the resumption that is under way */
    struct list received;    /* struct sm_item: firm + 1 .. in */
    struct list *unsafe;     /* the first one behind `safe`, or &received */
    struct list known;       /* struct sm_item: came on an earlier link, and may come again */
    uint64_t archived_from;  /* entries of the archive below it are of stanzas up to `firm` */
    struct list unnoted;     /* restored: entries of stanzas that may come again (sm_archive.c) */
    struct task resume_task; /* of one for which all has become firm */
    struct timer late;       /* the answer can't wait any longer */

    /* sm_out.c: to the client. acked <= sent <= out */
    uint64_t out;      /* stanzas for it */
    uint64_t before;   /* restored: those up to here are of before the restart */
    unsigned epoch;    /* how often all were given new numbers */
    uint64_t durable;  /* of those that are logged, the last one that is on disk */
    uint64_t sent;     /* written to the link */
    uint64_t acked;    /* acknowledged */
    uint64_t stamp_to; /* up to here they were delayed by a lost link */
    uint64_t asked;    /* as many were sent when we last asked with <r/> */
    struct list queue; /* struct sm_entry: acked + 1 .. out */
    struct list *next; /* the first one that is not written, or &queue */
    size_t queue_bytes, sent_bytes;
    struct timer timer;   /* with a link: to ask; without: its end */
    struct task end_task; /* of one that is over its limits */
    struct list again;    /* sm_end.c: messages of one that has ended, on their second way */
};

/* sm.c */
struct sm *sm_new(struct session *session, unsigned resume_ms, const struct sm_limits *limits);
void sm_ref(struct sm *sm);
void sm_unref(struct sm *sm);
/* Of one that was handled before a restart: it has a row with this turn, number and digest; and the entry of
 * its sender's archive, or 0. */
void sm_restore_item(struct sm *sm, uint32_t turn, uint64_t number, uint64_t digest, uint64_t archived);
void sm_restored(struct sm *sm, uint32_t turn, uint64_t in); /* those were all; so many the store counts */
void sm_items_fini(struct sm *sm);
void sm_wait(struct sm *sm, uint64_t ms);                /* for its client */
void sm_firm(struct sm *sm, uint32_t turn, uint64_t to); /* the store knows so many, counted in this turn */

/* sm_archive.c: the user's archive and what is noted of the client's stanzas */
void sm_archive_counted(struct sm *sm, const struct sm_item *item); /* it is firm now */
/* The least id that an entry of a stanza behind the first `to` can have. */
uint64_t sm_archive_from(const struct sm *sm, uint64_t to);
/* After the notes (sm_restore_item()), entries of the archive from sm->archived_from on, the last page first.
 * When all pages were read: `first` is the id of the first entry of them; 0: there are no others. */
void sm_archive_page(struct sm *sm, const struct store_read *page);
void sm_archive_restored(struct sm *sm, uint64_t first);
/* The entry of a stanza that has come again; 0: there is none. */
uint64_t sm_archive_take(struct sm *sm, uint64_t digest);
void sm_archive_fini(struct sm *sm);

/* sm_out.c */
void sm_out_init(struct sm *sm);
void sm_out_fini(struct sm *sm);
void sm_out_flush(struct sm *sm);              /* writes what may be written now */
void sm_out_acked(struct sm *sm, uint64_t to); /* up to this number */
void sm_out_rewind(struct sm *sm);             /* all that is not acknowledged is to be sent again */
uint64_t sm_out_number(const struct sm *sm, uint32_t h); /* the number that a client means */
/* An entry that was read from the store. */
void sm_out_restore(struct sm *sm, uint64_t number, str text, int64_t time_ms);
void sm_out_restored(struct sm *sm); /* that was the last one */
/* After a restart: the client has got `h`; what it has not got is counted from there. */
void sm_out_renumber(struct sm *sm, uint32_t h);
/* The message with this number is on disk; or it could not be stored: then it is sent all the same, and its
 * receipt, which is given over, waits for the acknowledgement. */
void sm_out_stored(struct sm *sm, uint64_t number);
void sm_out_not_stored(struct sm *sm, uint64_t number, struct receipt *receipt);
/* The stanza again, in the arena: a message is stamped with its time (XEP-0203). False: it can't be read. */
bool sm_body_read(const struct sm_body *body, const struct user *user, struct stanza *ret);
struct sm_body *sm_body_new(str text, enum stanza_kind kind, int64_t time_ms);
void sm_body_unref(struct sm_body *body);

/* sm_end.c: the message with this number is on its second way and could not be stored on its first: its
 * receipt, which is given over, waits for the second. False: it is not. */
bool sm_again_waits(struct sm *sm, uint64_t number, struct receipt *receipt);

/* sm_store.c: what survives a crash; nothing of it does anything for a session of which nothing is stored */
void sm_store_row(struct sm *sm); /* the session as it is now */
/* That so many are counted, in this turn; the rows of those are removed. sm_firm() follows. */
void sm_store_firm(struct sm *sm, uint32_t turn, uint64_t to);
void sm_store_mark(const struct sm_item *item, struct store_batch *batch);
void sm_store_unmark(const struct sm_item *item, struct store_batch *batch);
/* A message; sm_out_stored() follows. `primary`: it is the delivery of the stanza at hand, no copy. */
void sm_store_message(struct sm *sm, uint64_t number, const struct sm_body *body, bool primary);
void sm_store_forget(struct sm *sm, uint64_t to); /* messages up to this number */
void sm_store_forget_one(const struct sm *sm, uint64_t number, struct store_batch *batch);
void sm_store_gone(struct sm *sm); /* all of the session; tried again if the disk refuses */
/* Whether a session with this id has ended, though the store has it still. */
bool sm_store_is_gone(const struct shard *shard, str id);

#endif
