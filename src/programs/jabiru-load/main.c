/* SPDX-License-Identifier: MIT */
/* jabiru-load: many clients of an XMPP server in one process, to see what the server does under work. The run
 * is load.c, each kind of work a file mode_*.c. */
#include "programs/jabiru-load/load.h"

#include <signal.h>

int main(int argc, char **argv)
{
    struct options options;
    options_read(argc, argv, &options);
    signal(SIGPIPE, SIG_IGN);
    return load_run(&options);
}
