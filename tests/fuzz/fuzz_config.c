/* SPDX-License-Identifier: MIT */
/* Any bytes as a configuration: it is taken, or there is a bounded list of printable lines that say why not;
 * and libconfuse's lexer, which is global, remembers nothing: a good text is good afterwards. */
#include "server/config/config.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

static enum err load(str text)
{
    const struct config *config = NULL;
    struct config_errors errors;
    config_errors_init(&errors);
    enum err err = config_load_text("f", text, NULL, &errors, &config);
    must((err == OK) == (config != NULL) && (err == OK) == (errors.count == 0));
    must(err != OK || (config->host_count > 0 && *config->hosts[0].name));
    for (size_t i = 0; i < errors.count; i++)
        for (const char *c = errors.lines[i]; *c; c++)
            must((unsigned char)*c >= ' ');
    config_errors_fini(&errors);
    config_unref(config);
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    load(str_of((const char *)data, size));
    must(load(STR("shards = 2\nc2s { port = 1 }\nhost \"a.example\" { }\n")) == OK);
    return 0;
}
