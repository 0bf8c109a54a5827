/* SPDX-License-Identifier: MIT */
/* jabiructl: the administrator's tool. Sends one command to the server's local socket and prints the answer.
 * Passwords are read from standard input, without echo when that is a terminal, so that they stand neither in
 * the list of processes nor in the shell's history. */
#include "door.h"
#include "transfer.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum { REQUEST_MAX = 8192 };

static const char usage[] =
    "usage: jabiructl [--socket PATH] COMMAND\n\n"
    "  user add JID          make an account; the password is read from standard input\n"
    "  user passwd JID       change a password\n"
    "  user del JID          remove an account with all that is kept for it\n"
    "  user disable JID      end its sessions, and let nobody log in until it is enabled\n"
    "  user enable JID       let it log in again\n"
    "  user list             list all accounts\n"
    "  user export FILE      write all accounts with what is kept for them (XEP-0227); - for standard "
    "output\n"
    "  user import FILE      make the accounts of such a file, from any server; - for standard input\n"
    "  sessions list         list all sessions: JID, priority, age, address, security\n"
    "  sessions kick JID     end the sessions of a bare JID, or the one of a full JID\n"
    "  components list       list the external components: domain, address, age\n"
    "  components close JID  end the stream of a component\n"
    "  invite [NAME@]HOST    make an invitation for a new account, of this name or any\n"
    "  announce HOST TEXT    send a message to who is online; HOST may be all\n"
    "  help                  list the commands of this server, those of extensions among them\n"
    "  s2s list              list the streams with other servers, both ways, and how secure they are\n"
    "  s2s show DOMAIN       what is known of another domain: policy, DNS, streams, what is wrong\n"
    "  s2s test DOMAIN       try the way to another domain, and say what is wrong and what to do\n"
    "  status                what the server does, in numbers\n"
    "  reload                read the configuration and the certificates again\n"
    "  stop                  end all streams, write everything, stop\n\n"
    "  -s, --socket PATH     the server's control socket (default: $JABIRU_CONTROL or "
    "/var/lib/jabiru/control)\n"
    "  -h, --help            print this, and exit\n"
    "      --version         print the version, and exit\n\n"
    "Exit codes: 0 done, 1 the server refused, 2 wrong usage, 3 no server to talk to.\n";

static bool read_line(char *to, size_t room)
{
    if (!fgets(to, (int)room, stdin))
        return false;
    to[strcspn(to, "\r\n")] = '\0';
    return *to;
}

static bool read_password(char *to, size_t room)
{
    struct termios before, silent;
    bool terminal = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &before) == 0;
    if (terminal) {
        silent = before;
        silent.c_lflag &= (tcflag_t)~ECHO;
        fputs("Password: ", stderr);
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    }
    bool got = read_line(to, room);
    if (terminal) {
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
        fputc('\n', stderr);
    }
    return got;
}

/* Prints the answer; its last line says how it went. */
static int print_answer(int fd)
{
    char line[4096];
    FILE *from = fdopen(fd, "r");
    while (from && fgets(line, sizeof line, from)) {
        if (!strcmp(line, "ok\n"))
            return fclose(from), EXIT_SUCCESS;
        if (!strncmp(line, "error: ", 7))
            return fprintf(stderr, "jabiructl: %s", line + 7), fclose(from), EXIT_REFUSED;
        fputs(line, stdout);
    }
    if (from)
        fclose(from);
    fputs("jabiructl: the server ended the connection without an answer\n", stderr);
    return EXIT_NO_SERVER;
}

static int send_command(const char *path, int count, char **words)
{
    char request[REQUEST_MAX] = "", password[1024] = "";
    size_t used = 0;
    for (int i = 0; i < count; i++) {
        if (used + strlen(words[i]) + 2 > sizeof request / 2 || strchr(words[i], '\n'))
            return fputs("jabiructl: the command is too long\n", stderr), EXIT_USAGE;
        used += (size_t)snprintf(request + used, sizeof request - used, "%s%s", i ? " " : "", words[i]);
    }
    bool wants_password =
        count == 3 && !strcmp(words[0], "user") && (!strcmp(words[1], "add") || !strcmp(words[1], "passwd"));
    if (wants_password && !read_password(password, sizeof password))
        return fputs("jabiructl: no password was given on standard input\n", stderr), EXIT_USAGE;
    used += (size_t)snprintf(request + used, sizeof request - used, wants_password ? "\n%s\n\n" : "\n\n%s",
                             password);
    explicit_bzero(password, sizeof password);
    int fd = door_connect(path);
    if (fd < 0)
        return EXIT_NO_SERVER;
    bool sent = door_write(fd, request, used);
    explicit_bzero(request, sizeof request);
    return sent ? print_answer(fd) : EXIT_NO_SERVER;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "socket", required_argument, NULL, 's' },
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, 'v' },
        { NULL, 0, NULL, 0 },
    };
    const char *path = getenv("JABIRU_CONTROL");
    int option;
    path = path ? path : "/var/lib/jabiru/control";
    while ((option = getopt_long(argc, argv, "+s:h", options, NULL)) != -1) {
        if (option == 's')
            path = optarg;
        else if (option == 'h')
            return fputs(usage, stdout), EXIT_SUCCESS;
        else if (option == 'v')
            return puts("jabiructl " JABIRU_VERSION), EXIT_SUCCESS;
        else
            return fputs("try jabiructl --help\n", stderr), EXIT_USAGE;
    }
    if (optind == argc)
        return fputs(usage, stderr), EXIT_USAGE;
    argc -= optind;
    argv += optind;
    if (argc == 3 && !strcmp(argv[0], "user") && !strcmp(argv[1], "export"))
        return transfer_export(path, argv[2]);
    if (argc == 3 && !strcmp(argv[0], "user") && !strcmp(argv[1], "import"))
        return transfer_import(path, argv[2]);
    return send_command(path, argc, argv);
}
