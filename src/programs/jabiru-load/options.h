/* SPDX-License-Identifier: MIT */
/* The command line. */
#ifndef JABIRU_LOAD_OPTIONS_H
#define JABIRU_LOAD_OPTIONS_H

#include "client/client.h"

struct mode;

enum exit_code { EXIT_OK, EXIT_USAGE, EXIT_NO_LOGIN, EXIT_LOSSES };

struct options {
    const struct mode *mode;
    const char *host, *domain, *service, *user_prefix, *password, *ca;
    uint16_t port;
    enum client_tls tls;
    unsigned mechanisms;    /* as in struct client_settings */
    unsigned users, window; /* window 0: the mode's own default */
    unsigned rate;          /* messages a second in all; 0: closed loop */
    unsigned first;         /* number of the first user */
    unsigned seconds, body, roster, room, flood, parallel;
    bool relay, subscribe, no_presence, instant, compress, json;
};

/* Reads the command line. Prints help or what is wrong and ends the process if there is nothing to do. */
void options_read(int argc, char **argv, struct options *ret);

#endif
