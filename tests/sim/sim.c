/* SPDX-License-Identifier: MIT */
/* Plays simulated runs, one seed after the other, and prints each that broke a promise with the command that
 * plays it again.
 *
 *     sim [--seed N] [--runs K] [--servers 1..3 | --three-faults] [--jobs J] [--verbose] [--twice]
 *
 * --twice plays each seed twice, and what happens must be the same. --jobs 0: a process for each core.
 *
 *     sim --find BUG [--seed N] [--runs K]
 *
 * switches on one of the bugs that are planted in the server for this (base/planted.h), and succeeds if one
 * of the seeds finds it, and finds it again when it is replayed, and does not without the bug. */
#include "run.h"

#include "base/log.h"
#include "base/map.h"
#include "base/planted.h"
#include "chance.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { JOBS_MAX = 64, PRINTED_MAX = 100 };

struct options {
    uint64_t seed, runs;
    unsigned servers, jobs;
    bool three_faults, verbose, twice;
    unsigned bug; /* to be found */
};

/* What the processes that play tell the one that waits. */
struct board {
    uint64_t playing[JOBS_MAX];
    _Atomic unsigned long runs, broken, letters, acked, arrived, bounced, resumed, excused, given_up, twice,
        kills, stops, failures, subscribed, one_sided;
};

static void usage(void)
{
    fprintf(stderr, "usage: sim [--seed N] [--runs K] [--servers 1..3 | --three-faults] [--jobs J] "
                    "[--verbose] [--twice]\n"
                    "       sim --find BUG [--seed N] [--runs K]\n");
    exit(2);
}

static uint64_t number(const char *text, uint64_t max)
{
    uint64_t value;
    if (!str_to_u64(str_from(text), max, &value))
        usage();
    return value;
}

static struct options read_options(int argc, char **argv)
{
    static const struct option known[] = {
        { "seed", 1, NULL, 's' }, { "runs", 1, NULL, 'r' },         { "servers", 1, NULL, 'n' },
        { "jobs", 1, NULL, 'j' }, { "verbose", 0, NULL, 'v' },      { "twice", 0, NULL, 't' },
        { "find", 1, NULL, 'f' }, { "three-faults", 0, NULL, '3' }, { 0 }
    };
    struct options options = { .seed = 1, .runs = 1, .jobs = 1 };
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (option == 's')
            options.seed = number(optarg, UINT64_MAX);
        else if (option == 'r')
            options.runs = number(optarg, UINT32_MAX);
        else if (option == 'n')
            options.servers = (unsigned)number(optarg, 3);
        else if (option == 'j')
            options.jobs = (unsigned)number(optarg, JOBS_MAX);
        else if (option == 'f')
            options.bug = (unsigned)number(optarg, PLANTED_COUNT - 1);
        else if (option == '3')
            options.three_faults = true;
        else if (option == 'v')
            options.verbose = true;
        else if (option == 't')
            options.twice = true;
        else
            usage();
    }
    if (!options.jobs)
        options.jobs = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    return options;
}

static void tell(const struct options *options, uint64_t seed, const char *what)
{
    char servers[32] = "";
    if (options->three_faults)
        snprintf(servers, sizeof servers, " --three-faults");
    else if (options->servers)
        snprintf(servers, sizeof servers, " --servers %u", options->servers);
    printf("seed %" PRIu64 ": %s\n  replay: sim --seed %" PRIu64 "%s --verbose\n", seed, what, seed, servers);
    fflush(stdout);
}

static void add_up(struct board *board, const struct run_result *result)
{
    board->runs++;
    board->letters += result->letters;
    board->acked += result->acked;
    board->arrived += result->arrived;
    board->bounced += result->bounced;
    board->resumed += result->resumed;
    board->excused += result->excused;
    board->given_up += result->given_up;
    board->twice += result->twice;
    board->subscribed += result->subscribed;
    board->one_sided += result->one_sided;
    board->kills += result->kills;
    board->stops += result->stops;
    board->failures += result->failures;
}

static void play_one(const struct options *options, struct board *board, uint64_t seed)
{
    struct run_plan plan = { .seed = seed,
                             .servers = options->servers,
                             .three_faults = options->three_faults,
                             .verbose = options->verbose };
    struct run_result result, again;
    run(&plan, &result);
    if (options->twice) {
        run(&plan, &again);
        if (again.hash != result.hash && !result.wrong[0])
            snprintf(result.wrong, sizeof result.wrong, "played again it went another way");
    }
    add_up(board, &result);
    if (!result.wrong[0])
        return;
    if (board->broken++ < PRINTED_MAX)
        tell(options, seed, result.wrong);
}

static void play_all(const struct options *options, struct board *board, unsigned job)
{
    for (uint64_t i = job; i < options->runs; i += options->jobs) {
        board->playing[job] = options->seed + i;
        play_one(options, board, options->seed + i);
    }
}

/* The seed that a process died of is counted, and the rest of its seeds played by a new one. */
static void play_in_processes(const struct options *options, struct board *board)
{
    pid_t pids[JOBS_MAX];
    for (unsigned job = 0; job < options->jobs; job++) {
        fflush(stdout);
        pids[job] = fork();
        if (!pids[job]) {
            play_all(options, board, job);
            fflush(stdout);
            exit(0); /* with the look at leaks that exit brings */
        }
    }
    for (unsigned job = 0; job < options->jobs; job++) {
        int status = 0;
        waitpid(pids[job], &status, 0);
        if (WIFEXITED(status) && !WEXITSTATUS(status))
            continue;
        board->broken++;
        tell(options, board->playing[job],
             "the program died (the rest of this process's seeds was not played)");
    }
}

/* ---- Planted bugs ---- */

#if PLANTED_BUGS
static void play_quietly(const struct options *options, uint64_t seed, enum planted bug,
                         struct run_result *ret)
{
    struct run_plan plan = { .seed = seed, .servers = options->servers };
    planted_now = bug;
    run(&plan, ret);
    planted_now = PLANTED_NONE;
}

static int find_bug(const struct options *options)
{
    struct run_result found, again, without;
    for (uint64_t i = 0; i < options->runs; i++) {
        uint64_t seed = options->seed + i;
        play_quietly(options, seed, options->bug, &found);
        if (!found.wrong[0])
            continue;
        play_quietly(options, seed, options->bug, &again);
        play_quietly(options, seed, PLANTED_NONE, &without);
        printf("bug %u is found by seed %" PRIu64 ": %s\n  replay: sim --find %u --seed %" PRIu64 "\n",
               options->bug, seed, found.wrong, options->bug, seed);
        bool replays = !strcmp(found.wrong, again.wrong) && found.hash == again.hash;
        if (!replays || without.wrong[0])
            printf(replays ? "but without it the run is broken too\n" : "but not when it is played again\n");
        return replays && !without.wrong[0] ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    printf("bug %u is not found\n", options->bug);
    return EXIT_FAILURE;
}
#else
static int find_bug(const struct options *options)
{
    printf("bug %u is not planted in this build\n", options->bug);
    return EXIT_FAILURE;
}
#endif

int main(int argc, char **argv)
{
    struct options options = read_options(argc, argv);
    struct board *board =
        mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (board == MAP_FAILED)
        abort();
    log_set_level(LOG_AREA_COUNT, getenv("SIM_DEBUG") ? LOG_DEBUG : LOG_ERROR);
    if (!getenv("SIM_DEBUG"))
        log_open("/dev/null", LOG_TEXT);
    setenv("SSL_CERT_FILE", "/dev/null",
           1); /* no server here needs those of the machine, and each reads them */
    chance_begin(0, false);
    hash_keyed(STR("")); /* its key is drawn once, here: no run may depend on the one before it */
    if (options.bug)
        return find_bug(&options);
    if (options.jobs > 1)
        play_in_processes(&options, board);
    else
        play_all(&options, board, 0);
    printf("%lu runs, %lu broken: %lu letters, %lu acknowledged, %lu arrivals (%lu again), %lu bounced, %lu "
           "lost with their sender, %lu given up; %lu subscriptions, %lu one-sided; %lu resumptions, %lu "
           "kills, %lu stops, %lu "
           "failures of "
           "disks\n",
           board->runs, board->broken, board->letters, board->acked, board->arrived, board->twice,
           board->bounced, board->excused, board->given_up, board->subscribed, board->one_sided,
           board->resumed, board->kills, board->stops, board->failures);
    return board->broken ? EXIT_FAILURE : EXIT_SUCCESS;
}
