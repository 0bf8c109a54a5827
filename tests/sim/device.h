/* SPDX-License-Identifier: MIT */
/* A client: one device of a person, small and well-behaved. It logs in, enables stream management, sends
 * letters, acknowledges, answers, comes back when its connection breaks and resumes, and keeps what was not
 * acknowledged. What befalls it (cut connections, silence, coming back without a memory) is run.c's doing. */
#ifndef SIM_DEVICE_H
#define SIM_DEVICE_H

#include "base/buf.h"
#include "ledger.h"
#include "loop/socket.h"
#include "world.h"
#include "xml/scan.h"

enum { DEVICES_MAX = 2 };

enum device_state {
    DEVICE_OFF,
    DEVICE_OPENING, /* the first stream */
    DEVICE_LOGGING_IN,
    DEVICE_REOPENING, /* the second */
    DEVICE_RESUMING,
    DEVICE_BINDING,
    DEVICE_ENABLING,
    DEVICE_FETCHING, /* its roster */
    DEVICE_ON,
    DEVICE_CLOSING,
};

struct person {
    char name[16], bare[NAME_MAX_LEN];
    struct place *place;
    struct device *devices[DEVICES_MAX];
    unsigned count;
};

struct device {
    struct world *world;
    struct ledger *ledger;
    struct person *person;
    char resource[16], full[NAME_MAX_LEN + 16];
    bool wants_sm, wants_carbons;
    bool turns_round; /* sends again in reverse order what was not acknowledged, as aioxmpp does */
    int priority;     /* of its presence */

    enum device_state state;
    struct socket_owner owner;
    struct socket *socket;
    struct scanner scanner;
    struct buf in, out;
    bool deaf;         /* does not read for a while */
    uint64_t since_us; /* in this state */
    uint64_t again_us; /* OFF: when it connects again; 0: not by itself */
    unsigned tries;

    struct visit *visit; /* NULL: none */
    char sm_id[64];      /* of the visit; "": it can't be resumed */
    uint32_t out_count;  /* stanzas of ours */
    struct list unacked; /* struct sent */
    struct list waiting; /* letters to be sent again when there is a new visit */
    bool asked;          /* <r/> is out */
    uint64_t asked_us, said_us;
    uint32_t told; /* h that we sent */
    bool has_read; /* letters, since it asked */
    bool closed;   /* the server's end tag has come */
    bool broken;   /* it is the server's fault that it can't go on */
};

void device_init(struct device *device, struct world *world, struct ledger *ledger, struct person *person,
                 const char *resource);
void device_fini(struct device *device);

void device_connect(struct device *device);
void device_cut(struct device *device);    /* the connection breaks, and it knows */
void device_close(struct device *device);  /* ends its stream in order, if nothing is unacknowledged */
void device_forget(struct device *device); /* the next time it binds anew instead of resuming */
void device_deafen(struct device *device, bool deaf);
/* What is due by now: connecting again, asking for acknowledgement, giving up on a server that is silent. */
void device_tend(struct device *device, bool hurry);

bool device_is_on(const struct device *device);
/* Nothing is under way. */
bool device_is_quiet(const struct device *device);

/* Sends a letter; `resource` NULL: to the bare JID. */
void device_write_letter(struct device *device, struct person *to, const char *resource);
void device_show(struct device *device, int priority); /* presence; below -128: unavailable */
/* A stanza that is no letter. */
void device_say(struct device *device, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
