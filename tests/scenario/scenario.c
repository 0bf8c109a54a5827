/* SPDX-License-Identifier: MIT */
/* Plays scenarios: scripts of who sends what and who gets what (README.md), against the real server in a
 * simulated world. Each is played with one shard, with three, since what crosses shards takes other paths,
 * and with three and a network that hands over and takes a few bytes at a time. Not here: TLS, real sockets
 * and real disks, which the tests of those parts and the end-to-end tests have.
 *
 *     scenario FILE.scn... */
#include "play.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

static bool play(const struct script *script, unsigned shards, bool crumbs)
{
    struct play play = { .script = script };
    stage_open(&play.stage, shards, crumbs);
    for (size_t i = 0; i < script->count && !play.failed; i++)
        play_step(&play, &script->steps[i]);
    if (!play.failed)
        play_end(&play);
    if (!stage_close(&play.stage) && !play.failed)
        play_fail(&play, "%s", play.stage.why);
    return !play.failed;
}

int main(int argc, char **argv)
{
    bool ok = argc > 1;
    log_set_level(LOG_AREA_COUNT, LOG_WARN);
    for (int i = 1; i < argc; i++) {
        struct script script;
        if (!script_read(argv[i], &script)) {
            ok = false;
            continue;
        }
        ok = play(&script, 1, false) && ok;
        ok = play(&script, 3, false) && ok;
        ok = play(&script, 3, true) && ok;
        script_free(&script);
    }
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
