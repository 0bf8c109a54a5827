/* SPDX-License-Identifier: MIT */
/* What other extensions may ask of client state indication (XEP-0352). */
#ifndef EXTENSIONS_CLIENT_STATE_H
#define EXTENSIONS_CLIENT_STATE_H

#include "server/session.h"

/* Whether the session's client says that nobody looks at it. */
bool client_state_is_inactive(const struct session *session);

#endif
