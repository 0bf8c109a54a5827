/* SPDX-License-Identifier: MIT */
/* Which files there are for the process (Landlock, landlock(7)). Below the data folder, and the folders of
 * the log and of the control socket, everything; below the folders of the configuration, of certificates and
 * keys: reading; of the system: what the libraries look up. A reload finds new files in these folders, and
 * none elsewhere.
 *
 * The calls have no wrappers in the C library. Rights that this kernel does not know are left out. */
#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "confine.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Newer than the headers of Debian 12. */
#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13)
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif

enum { ABI_REFER = 2, ABI_TRUNCATE = 3 };

static const uint64_t reading = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
static const uint64_t all =
    LANDLOCK_ACCESS_FS_TRUNCATE | (LANDLOCK_ACCESS_FS_TRUNCATE - 1); /* the first fifteen */
static const uint64_t never = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
                              LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM |
                              LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_REFER;
static const uint64_t of_files =
    LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE;

struct ruleset {
    int fd;
    uint64_t handled;
};

/* What is not there needs no rule. */
static void allow(const struct ruleset *ruleset, const char *path, uint64_t access)
{
    struct stat status;
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return;
    if (fstat(fd, &status) == 0 && !S_ISDIR(status.st_mode))
        access &= of_files;
    struct landlock_path_beneath_attr rule = { .allowed_access = access & ruleset->handled, .parent_fd = fd };
    if (syscall(SYS_landlock_add_rule, ruleset->fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0))
        log_warn(main, "%s can't be allowed: %s", path, strerror(errno));
    close(fd);
}

/* The folder that a file is in, "" for none. */
static void allow_folder_of(const struct ruleset *ruleset, const char *path, uint64_t access)
{
    char copy[PATH_MAX];
    if (!*path || strlen(path) >= sizeof copy)
        return;
    memcpy(copy, path, strlen(path) + 1);
    allow(ruleset, dirname(copy), access);
    if (realpath(path, copy)) /* certificates are often links into the folder of what fetches them */
        allow(ruleset, dirname(copy), access);
}

static void allow_system(const struct ruleset *ruleset)
{
    static const char *const paths[] = {
        "/etc/resolv.conf",
        "/etc/hosts",
        "/etc/host.conf",
        "/etc/nsswitch.conf",
        "/etc/gai.conf",
        "/etc/localtime",
        "/etc/ssl",
        "/etc/ld.so.cache",
        "/lib",
        "/lib64",
        "/usr/lib",
        "/usr/lib64",
        "/usr/share/zoneinfo",
        "/usr/share/ca-certificates",
        "/usr/local/share/ca-certificates",
        "/sys/devices/system/cpu",
        "/sys/fs/cgroup",
        "/proc/self",
        "/proc/meminfo",
        "/proc/stat",
        "/proc/sys/vm/overcommit_memory",
        "/dev/urandom",
    };
    char target[PATH_MAX];
    for (size_t i = 0; i < COUNT_OF(paths); i++)
        allow(ruleset, paths[i], reading);
    allow(ruleset, "/dev/null", reading | LANDLOCK_ACCESS_FS_WRITE_FILE);
    if (realpath("/etc/resolv.conf", target) && strcmp(target, "/etc/resolv.conf") != 0)
        allow_folder_of(ruleset, target, reading); /* written anew when the network changes */
    if (getenv("SSL_CERT_FILE"))
        allow_folder_of(ruleset, getenv("SSL_CERT_FILE"), reading);
    if (getenv("SSL_CERT_DIR"))
        allow(ruleset, getenv("SSL_CERT_DIR"), reading);
}

static void allow_own(const struct ruleset *ruleset, const struct config *config, const char *config_path)
{
    const uint64_t own = all & ~never;
    allow(ruleset, config->data, own);
    allow_folder_of(ruleset, config->control, own);
    allow_folder_of(ruleset, config->log.file, own);
    allow_folder_of(ruleset, config->c2s.token_key, own);
    if (str_starts(str_from(config->store), STR("sqlite:")))
        allow_folder_of(ruleset, config->store + strlen("sqlite:"), own);
    allow_folder_of(ruleset, config_path, reading);
    allow_folder_of(ruleset, config->s2s.ca, reading);
    for (size_t i = 0; i < config->host_count; i++) {
        allow_folder_of(ruleset, config->hosts[i].certificate, reading);
        allow_folder_of(ruleset, config->hosts[i].key, reading);
        allow_folder_of(ruleset, config->hosts[i].client_ca, reading);
    }
}

void confine_files(const struct config *config, const char *config_path)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi < 1) {
        log_warn(main, "this kernel can't confine files (Landlock): %s", strerror(errno));
        return;
    }
    struct ruleset ruleset = { .handled = all };
    if (abi < ABI_REFER)
        ruleset.handled &= ~LANDLOCK_ACCESS_FS_REFER;
    if (abi < ABI_TRUNCATE)
        ruleset.handled &= ~LANDLOCK_ACCESS_FS_TRUNCATE;
    struct landlock_ruleset_attr attributes = { .handled_access_fs = ruleset.handled };
    ruleset.fd = (int)syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0);
    if (ruleset.fd >= 0) {
        allow_system(&ruleset);
        allow_own(&ruleset, config, config_path);
    }
    if (ruleset.fd < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
        syscall(SYS_landlock_restrict_self, ruleset.fd, 0))
        log_warn(main, "files can't be confined: %s", strerror(errno));
    else
        log_info(main, "files are confined (Landlock %ld)", abi);
    if (ruleset.fd >= 0)
        close(ruleset.fd);
}
