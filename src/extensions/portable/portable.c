/* SPDX-License-Identifier: MIT */
/* XEP-0227 1.1: accounts as a document that other servers read, and back. jabiructl reads and writes the
 * file, account by account; here is what it asks for each:
 *   user export-one JID     answers with the length of the element <user/>, and with the element
 *   user import-one LENGTH  a document <server-data/> with one host and one user follows; an account is
 *                           made of it, whole or not at all
 *   user export-archive JID [ID]  answers with the length of what follows and the id to go on from, or `-`,
 *                           and with a page of the archive: <result/> elements
 *   user import-archive LENGTH  the same document with a part of the <archive/>, before the account is made
 * In the second line of a request stands `first` with the first part of an archive, and with the account
 * `archive` if its archive has come.
 *
 * So neither end holds more than one account, or a page of its archive, and an import can be repeated: who is
 * there already is left alone, and an archive without an account is begun anew.
 *
 * In both directions: SCRAM credentials, roster, subscription requests, offline messages, private XML, vCard,
 * nodes (PEP) with configuration, affiliations, subscriptions and items, the blocklist as a privacy list, and
 * the archive. Left out: push registrations, sessions that wait to be resumed, open invitations; times and
 * publishers of items, for which the format has no place. What is met and not understood is reported. */
#include "extensions/portable/portable.h"

const char *const portable_mechanisms[3] = { "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512" };

static const struct control_command commands[] = {
    { .name = "user export-one",
      .words = true,
      .run = portable_export,
      .help = "user export-one JID   (used by user export)" },
    { .name = "user import-one",
      .words = true,
      .body = true,
      .run = portable_import,
      .help = "user import-one BYTES (used by user import)" },
    { .name = "user export-archive",
      .words = true,
      .run = portable_export_archive,
      .help = "user export-archive JID [ID]  (used by user export)" },
    { .name = "user import-archive",
      .words = true,
      .body = true,
      .run = portable_import_archive,
      .help = "user import-archive BYTES  (used by user import)" },
    { 0 },
};

extern const struct ext ext_portable;
static struct ext_slot slot;
const struct ext ext_portable = {
    .slot = &slot,
    .name = "portable",
    .title = "Portable Import/Export Format",
    .xep = { 227, "1.1" },
    .commands = commands,
};
