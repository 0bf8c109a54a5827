/* SPDX-License-Identifier: MIT */
/* jabirud: the server as a process. Reads its configuration, opens the store, starts a thread for each shard,
 * and then only waits for signals: SIGHUP reads the configuration again, SIGTERM and SIGINT end it in order.
 */
#include "base/log.h"
#include "base/mem.h"
#include "confine.h"
#include "doap.h"
#include "extensions/list.h"
#include "server/budget.h"
#include "server/config/config.h"
#include "server/control/control.h"
#include "server/ext.h"
#include "server/server.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { EXIT_USAGE = 1, EXIT_CONFIG = 2, EXIT_START = 3, CONFIGS_MAX = 1024 };

static const char usage[] =
    "usage: jabirud [--config FILE]\n"
    "Serves XMPP. Runs in the foreground and logs to standard error unless the configuration says "
    "otherwise.\n\n"
    "  -c, --config FILE           configuration (default: /etc/jabiru/jabiru.conf)\n"
    "      --check-config          say what is wrong in it, and exit\n"
    "      --print-default-config  print a configuration file with every key, and exit\n"
    "      --print-config-reference  print the list of all keys as Markdown, and exit\n"
    "      --print-doap            print what is implemented as a DOAP file, and exit\n"
    "      --version               print the version, and exit\n"
    "  -h, --help                  print this, and exit\n\n"
    "Signals: SIGHUP reloads configuration and certificates, SIGTERM and SIGINT stop in order.\n"
    "Exit codes: 0 stopped in order, 1 wrong usage, 2 wrong configuration, 3 could not start.\n";

static struct {
    const char *config_path;
    const struct config *configs[CONFIGS_MAX]; /* those of before a reload live on: hosts point into them */
    size_t config_count;
    struct server *server;
    pthread_mutex_t reloading;
} state = { .config_path = "/etc/jabiru/jabiru.conf", .reloading = PTHREAD_MUTEX_INITIALIZER };

/* ---- Configuration
 * ------------------------------------------------------------------------------------------------------ */

static void apply_log(const struct config *config)
{
    if (!log_open(config->log.file, config->log.format))
        log_error(main, "the log file %s can't be opened; going on as before", config->log.file);
    log_set_level(LOG_AREA_COUNT, config->log.level);
    for (size_t i = 0; i < config->log.areas.count; i++) {
        str level = str_from(config->log.areas.items[i]);
        str area = str_cut(&level, '=');
        log_set_level((enum log_area)log_area_named(area), (enum log_level)log_level_named(level));
    }
}

/* What is wrong is printed to `problems`; NULL then. */
static const struct config *load(FILE *problems)
{
    const struct config *config = NULL;
    struct config_errors errors;
    config_errors_init(&errors);
    if (config_load_file(state.config_path, ext_configs(extension_list), &errors, &config) != OK)
        config_errors_print(&errors, problems);
    config_errors_fini(&errors);
    return config;
}

static bool check_files(const struct config *config)
{
    struct config_errors errors;
    config_errors_init(&errors);
    bool good = config_check_files(config, state.config_path, &errors);
    config_errors_print(&errors, stderr);
    config_errors_fini(&errors);
    return good;
}

static void warn_of_restart(const struct config *config)
{
    struct buf names;
    buf_init(&names, 1024);
    if (config_needs_restart(state.configs[0], config, &names))
        log_warn(config, "these changes need a restart: %.*s", STR_ARGS(buf_str(&names)));
    buf_fini(&names);
}

static enum err reload_locked(char *why, size_t why_room)
{
    char *problems = NULL;
    size_t length = 0;
    FILE *to = open_memstream(&problems, &length);
    const struct config *config = state.config_count < CONFIGS_MAX ? load(to) : NULL;
    fclose(to);
    enum err err = ERR_INVALID;
    if (config)
        err = server_reload(state.server, config, why, why_room);
    else
        str_copy(str_from(problems), why, why_room);
    free(problems);
    if (err != OK) {
        log_error(config, "not reloaded, the old configuration stays: %s", why);
        config_unref(config);
        return err;
    }
    state.configs[state.config_count++] = config;
    apply_log(config);
    warn_of_restart(config);
    log_info(config, "reloaded %s", state.config_path);
    return OK;
}

static enum err reload(char *why, size_t why_room)
{
    pthread_mutex_lock(&state.reloading);
    enum err err = reload_locked(why, why_room);
    pthread_mutex_unlock(&state.reloading);
    return err;
}

static void stop(void)
{
    kill(getpid(), SIGTERM);
}

/* ---- The supervisor's socket (sd_notify(3))
 * ------------------------------------------------------------------------------- */

static void notify(const char *text)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    size_t length = path ? strlen(path) : 0;
    if (!length || length >= sizeof address.sun_path)
        return;
    memcpy(address.sun_path, path, length);
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    if (sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&address, size) < 0)
        log_warn(main, "the service manager could not be told: %s", text);
    close(fd);
}

/* ---- Running
 * ----------------------------------------------------------------------------------------------------------------
 */

static void *run_loop(void *loop)
{
    loop_run(loop);
    return NULL;
}

/* A stop that ran out of time leaves answers of the store on their way to shards: they are not taken down
 * under them. What was handed to the store is on disk by now. */
static void leave_if_late(const struct server *server, int code)
{
    if (!server || !atomic_load(&server->commits))
        return;
    log_warn(main, "stopped before everything was answered; what the store was given is on disk");
    _exit(code);
}

/* Until a signal says to stop. */
static void wait_for_signals(const sigset_t *signals)
{
    for (;;) {
        int number = 0;
        char why[512];
        sigwait(signals, &number);
        if (number == SIGHUP) {
            notify("RELOADING=1");
            reload(why, sizeof why);
            notify("READY=1");
            continue;
        }
        log_info(main, "stopping");
        notify("STOPPING=1");
        return;
    }
}

static unsigned shard_count(const struct config *config)
{
    cpu_set_t cores; /* those that this process may use, which may be fewer than there are */
    if (config->shards)
        return config->shards;
    return sched_getaffinity(0, sizeof cores, &cores) == 0 ? (unsigned)CPU_COUNT(&cores) : 1;
}

static void harden(void)
{
    struct rlimit files;
    umask(077);
    prctl(PR_SET_DUMPABLE, 0); /* no core dump: it would hold keys and messages */
    signal(SIGPIPE, SIG_IGN);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

static int serve(const struct config *config, struct store *store, const sigset_t *signals)
{
    unsigned count = shard_count(config);
    struct loop **loops = xcalloc(count, sizeof(struct loop *));
    pthread_t *threads = xcalloc(count, sizeof *threads);
    struct control *control = NULL;
    struct budget *budget = NULL;
    char why[512] = "";
    int code = EXIT_START;
    for (unsigned i = 0; i < count; i++)
        loops[i] = loop_new();
    struct server *server = server_new(config, extension_list, store, loops, count, why, sizeof why);
    state.server = server;
    if (!server || server_read_key(server, why, sizeof why) != OK || !confine_raise() ||
        server_listen(server, why, sizeof why) != OK) {
        log_error(main, "%s", why);
        goto out;
    }
    if (!confine_drop(config))
        goto out;
    server->stop = stop;
    struct control_calls calls = { .reload = reload, .stop = stop };
    if (control_open(server, config->control, &calls, &control) != OK)
        log_error(main, "the control socket %s can't be opened; jabiructl will not work", config->control);
    budget = budget_start(server);
    for (unsigned i = 0; i < count; i++)
        pthread_create(&threads[i], NULL, run_loop, loops[i]);
    if (config->confine)
        confine_calls(confine_has_tools());
    log_info(main, "jabirud " JABIRU_VERSION " ready: %zu hosts, %u shards, port %u, TLS port %u",
             config->host_count, count, config->c2s.port, config->c2s.tls_port);
    notify("READY=1");
    wait_for_signals(signals);
    server_stop(server);
    for (unsigned i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    code = EXIT_SUCCESS;
out:
    control_close(control);
    budget_free(budget);
    store_close(store);
    leave_if_late(server, code);
    if (server)
        server_free(server);
    for (unsigned i = 0; i < count; i++)
        loop_free(loops[i]);
    free(loops);
    free(threads);
    return code;
}

/* Two servers on one data folder would each believe to be the only one. The lock goes with the process. */
static bool lock_data(const struct config *config)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/lock", config->data);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
        return true;
    log_error(main, "%s: %s; another jabirud may be serving this data folder", path, strerror(errno));
    return false;
}

static int start(void)
{
    struct store *store;
    char why[512] = "";
    sigset_t signals;
    const struct config *config = load(stderr);
    if (!config || !check_files(config))
        return EXIT_CONFIG;
    state.configs[state.config_count++] = config;
    harden();
    if (!confine_user(config))
        return EXIT_START;
    apply_log(config);
    if (config->confine)
        confine_files(config, state.config_path);
    sigemptyset(&signals);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    if (!lock_data(config))
        return EXIT_START;
    if (store_open(config->store, NULL, why, sizeof why, &store) != OK) {
        log_error(store, "%s", why);
        return EXIT_START;
    }
    int code = serve(config, store, &signals);
    log_info(main, "stopped");
    for (size_t i = 0; i < state.config_count; i++)
        config_unref(state.configs[i]);
    return code;
}

static int check(void)
{
    const struct config *config = load(stderr);
    bool good = config && check_files(config);
    if (good)
        printf("%s is in order\n", state.config_path);
    config_unref(config);
    return good ? EXIT_SUCCESS : EXIT_CONFIG;
}

int main(int argc, char **argv)
{
    enum { CHECK = 256, DEFAULTS, REFERENCE, DOAP, VERSION };
    static const struct option options[] = {
        { "config", required_argument, NULL, 'c' },
        { "check-config", no_argument, NULL, CHECK },
        { "print-default-config", no_argument, NULL, DEFAULTS },
        { "print-config-reference", no_argument, NULL, REFERENCE },
        { "print-doap", no_argument, NULL, DOAP },
        { "version", no_argument, NULL, VERSION },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    int option, action = 0;
    while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        if (option == 'c')
            state.config_path = optarg;
        else if (option == '?')
            return fputs("try jabirud --help\n", stderr), EXIT_USAGE;
        else
            action = option;
    }
    if (optind < argc)
        return fprintf(stderr, "jabirud takes no such argument: %s; try jabirud --help\n", argv[optind]),
               EXIT_USAGE;
    switch (action) {
    case CHECK:
        return check();
    case DEFAULTS:
        return config_print_default(stdout, ext_configs(extension_list)), EXIT_SUCCESS;
    case REFERENCE:
        return config_print_markdown(stdout, ext_configs(extension_list)), EXIT_SUCCESS;
    case DOAP:
        return doap_print(stdout, extension_list), EXIT_SUCCESS;
    case VERSION:
        return puts("jabirud " JABIRU_VERSION), EXIT_SUCCESS;
    case 'h':
        return fputs(usage, stdout), EXIT_SUCCESS;
    default:
        return start();
    }
}
