/* SPDX-License-Identifier: MIT */
/* The description of the project that XEP-0453 asks for. */
#ifndef JABIRUD_DOAP_H
#define JABIRUD_DOAP_H

#include "server/ext.h"

#include <stdio.h>

/* Prints jabiru.doap: what the server and these extensions implement, by number. */
void doap_print(FILE *file, const struct ext *const *extensions);

#endif
