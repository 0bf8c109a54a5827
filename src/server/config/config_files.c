/* SPDX-License-Identifier: MIT */
/* What a configuration points to: a look at files and folders, for `jabirud --check-config` and for a start
 * that fails with a sentence. It blocks, so it is no part of loading. Whether a certificate fits its key is
 * judged where it is used (net/tls.h). */
#include "server/config/config.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

struct check {
    const struct config *config;
    const char *file;
    struct config_errors *errors;
};

static void can_read(struct check *check, const struct config_host *host, const char *key, const char *path)
{
    struct stat status;
    if (!*path)
        return;
    if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
        config_errors_add(check->errors, check->file, host->_line,
                          "host \"%s\": %s is a folder, %s: name a file", host->name, key, path);
    else if (access(path, R_OK) != 0)
        config_errors_add(
            check->errors, check->file, host->_line,
            "host \"%s\": %s can't be read, %s (%s): correct the path, or let the server's user read it",
            host->name, key, path, err_text(err_from_errno(errno)));
}

static void can_write_folder(struct check *check, const char *what, const char *path)
{
    if (access(path, W_OK | X_OK) == 0)
        return;
    config_errors_add(check->errors, check->file, 0,
                      "%s can't be written, %s (%s): make the folder and give it to the server's user", what,
                      path, err_text(err_from_errno(errno)));
}

static void can_write_beside(struct check *check, const char *what, const char *path)
{
    char folder[4096];
    str whole = str_from(path);
    size_t slash = str_find_last(whole, '/');
    if (!*path)
        return;
    str_copy(slash == whole.len ? STR(".") : str_sub(whole, 0, slash ? slash : 1), folder, sizeof folder);
    if (strcmp(folder, check->config->data) != 0) /* which is looked at by itself */
        can_write_folder(check, what, folder);
}

static bool takes_clients(const struct config *config)
{
    return config->c2s.port || config->c2s.tls_port;
}

bool config_check_files(const struct config *config, const char *file, struct config_errors *errors)
{
    struct check check = { config, file, errors };
    size_t before = errors->count + errors->dropped;
    if (str_starts(str_from(config->store), STR("sqlite:")))
        can_write_beside(&check, "the folder of store", config->store + strlen("sqlite:"));
    can_write_folder(&check, "data", config->data);
    can_write_beside(&check, "the folder of control", config->control);
    can_write_beside(&check, "the folder of log.file", config->log.file);
    if (*config->s2s.ca && access(config->s2s.ca, R_OK) != 0)
        config_errors_add(errors, file, 0,
                          "s2s.ca can't be read, %s (%s): correct the path, or let the server's user read it",
                          config->s2s.ca, err_text(err_from_errno(errno)));
    if (*config->s2s.crl && access(config->s2s.crl, R_OK) != 0)
        config_errors_add(
            errors, file, 0,
            "s2s.crl can't be read, %s (%s): correct the path, or let the server's user read it",
            config->s2s.crl, err_text(err_from_errno(errno)));
    for (const struct config_host *host = config->hosts; host < config->hosts + config->host_count; host++) {
        can_read(&check, host, "certificate", host->certificate);
        can_read(&check, host, "key", host->key);
        can_read(&check, host, "client-ca", host->client_ca);
        can_read(&check, host, "client-crl", host->client_crl);
        if (!*host->certificate && config->c2s.require_tls && takes_clients(config))
            config_errors_add(errors, file, host->_line,
                              "host \"%s\" has no certificate, so nobody can log in: set certificate and key",
                              host->name);
    }
    return errors->count + errors->dropped == before;
}
