/* SPDX-License-Identifier: MIT */
/* From root to a user of its own. The effective ids change first, before the store is opened, so that all
 * files are the user's; the saved ones stay root's until the ports are open. The C library changes the ids of
 * all threads. The user is looked up once: when the ports are open, the list of users can't be read any more
 * (confine_files.c). */
#include "base/log.h"
#include "confine.h"

#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

static struct {
    uid_t uid;
    gid_t gid;
} becoming; /* who root will be for good */

bool confine_user(const struct config *config)
{
    const struct passwd *user = *config->user ? getpwnam(config->user) : NULL;
    if (!*config->user) {
        if (geteuid() == 0)
            log_warn(main,
                     "running as root; name a user of its own in the configuration (user = \"jabiru\")");
        return true;
    }
    if (!user) {
        log_error(main, "there is no user \"%s\"", config->user);
        return false;
    }
    if (geteuid() == user->pw_uid)
        return true;
    if (geteuid() != 0) {
        log_error(main, "only root can become \"%s\"; start it as root, or as that user", config->user);
        return false;
    }
    if (initgroups(config->user, user->pw_gid) || setegid(user->pw_gid) || seteuid(user->pw_uid)) {
        log_error(main, "can't become \"%s\"", config->user);
        return false;
    }
    becoming.uid = user->pw_uid;
    becoming.gid = user->pw_gid;
    return true;
}

bool confine_raise(void)
{
    return getuid() != 0 || seteuid(0) == 0;
}

bool confine_drop(const struct config *config)
{
    if (!*config->user || getuid() != 0)
        return true;
    if (becoming.uid == 0 || setresgid(becoming.gid, becoming.gid, becoming.gid) ||
        setresuid(becoming.uid, becoming.uid, becoming.uid) || seteuid(0) == 0) {
        log_error(main, "can't become \"%s\" for good", config->user);
        return false;
    }
    log_info(main, "running as %s", config->user);
    return true;
}
