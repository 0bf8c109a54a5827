/* SPDX-License-Identifier: MIT */
/* What the files about offline messages share: whose log it is, and what belongs there. */
#ifndef SERVER_USER_OFFLINE_H
#define SERVER_USER_OFFLINE_H

#include "server/hooks.h"

#define OFFLINE_KIND "offline"

/* The owner of the log: a view of the user's bare JID. */
str offline_owner(const struct user *user);

/* XEP-0160 §3: chat states alone are of no use later. */
bool offline_is_worth_keeping(const struct stanza *message);

#endif
