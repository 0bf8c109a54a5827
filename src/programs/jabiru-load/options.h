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
    uint16_t port, far_port; /* 0: none */
    const char *far_domain;
    enum client_tls tls;
    unsigned mechanisms;    /* as in struct client_settings */
    unsigned users, window; /* window 0: the mode's own default */
    unsigned rate;          /* messages a second in all; 0: closed loop */
    unsigned first;         /* number of the first user */
    unsigned every;         /* seconds of a stretch that is reported; 0: none */
    unsigned seed;          /* of what is chosen at random */
    unsigned away;          /* seconds */
    unsigned seconds, body, roster, room, flood, parallel;
    unsigned pep; /* idle: nodes that each publishes */
    bool relay, subscribe, no_presence, instant, compress, sm, json;
};

/* Reads the command line. Prints help or what is wrong and ends the process if there is nothing to do. */
void options_read(int argc, char **argv, struct options *ret);

#endif
