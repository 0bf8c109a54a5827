/* SPDX-License-Identifier: MIT */
/* Accounts in the format of XEP-0227: what export.c, import.c and their descriptor share. */
#ifndef EXTENSIONS_PORTABLE_H
#define EXTENSIONS_PORTABLE_H

#include "extensions/pubsub/pubsub.h"
#include "server/control/control_request.h"
#include "xmpp/sasl.h"

#define NS_PIE       "urn:xmpp:pie:0"
#define NS_PIE_SCRAM "urn:xmpp:pie:0#scram"
#define NS_PIE_MAM   "urn:xmpp:pie:0#mam"
#define NS_OURS      "urn:xmpp:jabiru:account:0" /* what the XEP has no word for */

/* The mechanism's name of each hash in struct scram_keys. */
extern const char *const portable_mechanisms[3];

/* Commands of jabiructl; see portable.c. */
void portable_export(struct request *request);
void portable_import(struct request *request);
void portable_export_archive(struct request *request);
void portable_import_archive(struct request *request);

#endif
