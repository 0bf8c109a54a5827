/* SPDX-License-Identifier: MIT */
/* user export, user import: all accounts to and from one file (XEP-0227). Both return an exit code. */
#ifndef JABIRUCTL_TRANSFER_H
#define JABIRUCTL_TRANSFER_H

/* `file`: "-" for standard output and input. */
int transfer_export(const char *socket, const char *file);
int transfer_import(const char *socket, const char *file);

#endif
