/* SPDX-License-Identifier: MIT */
/* Plays scenarios: scripts of who sends what and who gets what (README.md), against the real server in a
 * simulated world. Each is played with one shard, with three, since what crosses shards takes other paths,
 * and with three and a network that hands over and takes a few bytes at a time. Not here: TLS, real sockets
 * and real disks, which the tests of those parts and the end-to-end tests have.
 *
 *     scenario FILE.scn...
 *
 * With --faults each is played again and again while the store fails: the first write, the second, ... until
 * the script has no more; then the same with reads; then with a disk that is full from the first write on,
 * from the second, ... What the script says clients get is not compared then; what must hold all the same is
 * in promises.c.
 *
 *     scenario --faults FILE.scn... */
#include "play.h"
#include "recall.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

enum { FAULTS_MAX = 500 };

/* Right after the failure memory has to be what the disk is; later steps might cover the traces. */
static void play_steps(struct play *play)
{
    bool failed = false;
    for (size_t i = 0; i < play->script->count && !play->failed; i++) {
        play_step(play, &play->script->steps[i]);
        if (play->rough && !play->failed && !failed && store_fail_failures(play->stage.store)) {
            failed = true;
            promises_kept(play);
        }
    }
}

/* Returns whether all went well; how often the store failed on the way goes to `ret_failures`. */
static bool play(const struct script *script, unsigned shards, const struct stage_faults *faults,
                 unsigned *ret_failures)
{
    recall_reset();
    struct play play = { .script = script, .rough = faults && faults->nth };
    stage_open(&play.stage, shards, faults);
    play_steps(&play);
    if (!play.failed)
        play_end(&play);
    if (!stage_close(&play.stage) && !play.failed)
        play_fail(&play, "%s", play.stage.why);
    *ret_failures = play.stage.failures;
    return !play.failed;
}

static bool play_in_all_worlds(const struct script *script)
{
    static const struct stage_faults crumbs = { .crumbs = true };
    unsigned failures;
    bool ok = play(script, 1, NULL, &failures);
    ok = play(script, 3, NULL, &failures) && ok;
    return play(script, 3, &crumbs, &failures) && ok;
}

/* The first call of this kind fails, then the second, ... until there is none left. */
static bool play_failing(const struct script *script, unsigned shards, struct stage_faults faults,
                         const char *name)
{
    unsigned failures = 1;
    bool ok = true;
    for (faults.nth = 1; ok && failures && faults.nth <= FAULTS_MAX; faults.nth++)
        ok = play(script, shards, &faults, &failures);
    if (!ok)
        fprintf(stderr, "  (the store failed at %s %u)\n", name, faults.nth - 1);
    return ok;
}

static bool play_in_bad_worlds(const struct script *script)
{
    bool ok = true;
    for (unsigned shards = 1; shards <= 3; shards += 2) {
        ok = play_failing(script, shards, (struct stage_faults){ .call = FAIL_COMMIT }, "write") && ok;
        ok = play_failing(script, shards, (struct stage_faults){ .call = FAIL_READ }, "read") && ok;
    }
    return play_failing(script, 1, (struct stage_faults){ .call = FAIL_COMMIT, .stays = true },
                        "every write from") &&
           ok;
}

int main(int argc, char **argv)
{
    bool ok = argc > 1, faults = argc > 1 && !strcmp(argv[1], "--faults");
    log_set_level(LOG_AREA_COUNT, getenv("SCN_DEBUG") ? LOG_DEBUG : LOG_WARN);
    for (int i = 1 + faults; i < argc; i++) {
        struct script script;
        if (!script_read(argv[i], &script)) {
            ok = false;
            continue;
        }
        ok = (faults ? play_in_bad_worlds(&script) : play_in_all_worlds(&script)) && ok;
        script_free(&script);
    }
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
