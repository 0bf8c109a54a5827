/* SPDX-License-Identifier: MIT */
/* What a confined process can't do any more, tried by children that are confined, and what it still can. */
#include "base/mem.h"
#include "confine.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { SKIPPED = 77, DEADLY = -SIGSYS };

static const char *outside = "/etc/passwd";
static char folder[] = "/tmp/confine-XXXXXX";

/* Runs it in a child; returns its exit code, or the signal that ended it, negative. */
static int in_child(int (*body)(void))
{
    int status = 0;
    fflush(NULL);
    pid_t child = fork();
    if (!child) {
        alarm(30);
        _exit(body());
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* ---- System calls */

static int starts_a_program(void)
{
    char name[] = "true";
    char *const words[] = { name, NULL };
    if (!confine_calls(false))
        return SKIPPED;
    execve("/bin/true", words, NULL);
    return 1;
}

static int looks_into_another(void)
{
    if (!confine_calls(false))
        return SKIPPED;
    ptrace(PTRACE_ATTACH, getppid(), NULL, NULL);
    return 1;
}

static int mounts(void)
{
    return confine_calls(false) ? (int)syscall(SYS_mount, "none", "/mnt", "tmpfs", 0, NULL) : SKIPPED;
}

static int becomes_root(void)
{
    return confine_calls(false) ? setuid(0) : SKIPPED;
}

static int forks(void)
{
    if (!confine_calls(false))
        return SKIPPED;
    return fork() < 0 && errno == ENOSYS ? 0 : 1;
}

static int opens_an_odd_socket(void)
{
    if (!confine_calls(false))
        return SKIPPED;
    int packet = socket(AF_PACKET, SOCK_RAW, 0), raw = socket(AF_INET, SOCK_RAW, 1),
        good = socket(AF_INET, SOCK_STREAM, 0);
    return packet < 0 && raw < 0 && good >= 0 ? 0 : 1;
}

static int makes_code(void)
{
    if (!confine_calls(false))
        return SKIPPED;
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void *data = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page != MAP_FAILED || data == MAP_FAILED)
        return 1;
    return mprotect(data, 4096, PROT_READ | PROT_EXEC) ? 0 : 1;
}

static int signals_another(void)
{
    if (!confine_calls(false))
        return SKIPPED;
    return kill(getppid(), 0) < 0 && kill(getpid(), 0) == 0 ? 0 : 1;
}

static int asks_for_what_nobody_knows(void)
{
    if (!confine_calls(false))
        return SKIPPED;
    return syscall(SYS_io_uring_setup, 1, NULL) < 0 && errno == ENOSYS ? 0 : 1;
}

static atomic_int done;

static void *write_a_line(void *unused)
{
    (void)unused;
    done = write(STDERR_FILENO, "", 0) == 0;
    return NULL;
}

static int starts_a_thread(void)
{
    pthread_t thread;
    if (!confine_calls(false))
        return SKIPPED;
    return pthread_create(&thread, NULL, write_a_line, NULL) || pthread_join(thread, NULL) || !done;
}

static void calls(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int (*body)(void);
        int result;
    } rows[] = {
        { "exec", starts_a_program, DEADLY },
        { "ptrace", looks_into_another, DEADLY },
        { "mount", mounts, DEADLY },
        { "setuid", becomes_root, DEADLY },
        { "fork", forks, 0 },
        { "sockets", opens_an_odd_socket, 0 },
        { "code", makes_code, 0 },
        { "signals", signals_another, 0 },
        { "unknown", asks_for_what_nobody_knows, 0 },
        { "threads", starts_a_thread, 0 },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int result = in_child(rows[i].body);
        if (result == SKIPPED)
            skip();
        if (result != rows[i].result)
            fail_msg("%s: %d", rows[i].name, result);
    }
}

/* ---- Files */

static const struct config *configured(void)
{
    char text[500];
    const struct config *config = NULL;
    struct config_errors errors;
    snprintf(text, sizeof text,
             "data = \"%s/data\"\nhost \"a.example\" { certificate = \"%s/keys/a.pem\" key = "
             "\"%s/keys/a.key\" }\n",
             folder, folder, folder);
    config_errors_init(&errors);
    enum err err = config_load_text("test", str_from(text), NULL, &errors, &config);
    config_errors_print(&errors, stderr);
    config_errors_fini(&errors);
    return err == OK ? config : NULL;
}

static bool can_open(const char *name, int flags)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, flags, 0600);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static int opens_files(void)
{
    const struct config *config = configured();
    char name[] = "true";
    char *const words[] = { name, NULL };
    if (!config || syscall(SYS_landlock_create_ruleset, NULL, 0, 1) < 1)
        return config ? SKIPPED : 1;
    confine_files(config, "/etc/jabiru/jabiru.conf");
    if (open(outside, O_RDONLY) >= 0 || errno != EACCES || can_open("secret", O_RDONLY))
        return 2;
    if (!can_open("data/new", O_RDWR | O_CREAT) || !can_open("keys/a.pem", O_RDONLY))
        return 3;
    if (can_open("keys/a.pem", O_RDWR) || can_open("keys/new", O_RDWR | O_CREAT) ||
        can_open("data/../secret", O_RDONLY))
        return 4;
    execve("/bin/true", words, NULL);
    return errno == EACCES ? 0 : 5;
}

static void make(const char *name, bool is_folder)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = is_folder ? mkdir(path, 0700) : open(path, O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0);
    if (!is_folder)
        close(fd);
}

static void files(void **state)
{
    (void)state;
    static const char *const made[] = { "data/new", "keys/a.pem", "secret", "data", "keys", "" };
    char path[200];
    assert_non_null(mkdtemp(folder));
    make("data", true);
    make("keys", true);
    make("keys/a.pem", false);
    make("secret", false);
    int result = in_child(opens_files);
    for (size_t i = 0; i < COUNT_OF(made); i++) {
        snprintf(path, sizeof path, "%s/%s", folder, made[i]);
        remove(path);
    }
    if (result == SKIPPED)
        skip();
    assert_int_equal(result, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls),
        cmocka_unit_test(files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
