/* SPDX-License-Identifier: MIT */
/* What the process gives up, so that whoever takes it over gains little: root, files that are not its own,
 * programs, other processes, odd sockets. Each step says in the log what it did, or why it could not; the
 * order is that of the start (main.c). Linux only. */
#ifndef JABIRUD_CONFINE_H
#define JABIRUD_CONFINE_H

#include "server/config/config.h"

/* Becomes the configured user if it was started as root, for everything but opening ports; before any file is
 * made and any thread is started. False: it can't, and must not go on. */
bool confine_user(const struct config *config);

/* For the moment of opening ports: root once more, if it was; then not ever again. False as above. */
bool confine_raise(void);
bool confine_drop(const struct config *config);

/* From now on only files below the folders that the configuration names can be opened (Landlock); before any
 * thread is started, since it holds for this one and those that it starts. */
void confine_files(const struct config *config, const char *config_path);

/* From now on only the system calls that a server needs do anything, in all threads (seccomp). `tools`: those
 * that sanitizers need at the end, too. False: the kernel does not do it. */
bool confine_calls(bool tools);

/* Whether this build needs them. */
bool confine_has_tools(void);

#endif
