/* SPDX-License-Identifier: MIT */
/* Rates are of what came back while counting, over the time that was counted. The fields of the JSON object
 * are documented in the manual page; they are added to and never change their meaning. */
#include "programs/jabiru-load/report.h"

#include "programs/jabiru-load/modes.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

void report_progress(struct load *load)
{
    static const char *const names[] = { "logging in", "settling", "warming up", "counting",
                                         "draining",   "leaving",  "over" };
    const struct tally *tally = &load->tally;
    if (!isatty(STDERR_FILENO))
        return;
    uint64_t since = tally->all_received - load->progress_received;
    load->progress_received = tally->all_received;
    fprintf(stderr, "\r\033[K%s: %u users in, %" PRIu64 " %s/s, %" PRIu64 " errors", names[load->phase],
            load->online, since, load->options.mode->unit, tally->errors);
    if (load->phase >= PHASE_LEAVE)
        fputs("\r\033[K", stderr);
    fflush(stderr);
}

static double micros(const struct histogram *latency, unsigned per_mille)
{
    return (double)histogram_quantile(latency, per_mille) / 1000;
}

static uint64_t lost(const struct load *load)
{
    const struct tally *tally = &load->tally;
    return tally->all_expected > tally->all_received ? tally->all_expected - tally->all_received : 0;
}

static double settled_seconds(const struct load *load)
{
    return load->settled ? (double)(load->settled - load->settling) / 1e9 : 0;
}

static void print_json(const struct load *load, double seconds, double rate)
{
    const struct tally *tally = &load->tally;
    const struct histogram *latency = &tally->latency;
    printf("{\"mode\": \"%s\", \"users\": %u, \"seconds\": %.3f, \"sent\": %" PRIu64
           ", \"received\": %" PRIu64 ", \"lost\": %" PRIu64 ", \"rate_per_s\": %.1f, ",
           load->options.mode->name, load->options.users, seconds, tally->sent, tally->received, lost(load),
           rate);
    printf(
        "\"latency_us\": {\"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, \"max\": %.1f}, \"late\": %" PRIu64
        ", \"errors\": %" PRIu64 ", \"doubled\": %" PRIu64 ", \"held\": %" PRIu64 ", \"settled_s\": %.3f}\n",
        micros(latency, 500), micros(latency, 900), micros(latency, 990), (double)tally->latency.max / 1000,
        tally->late, tally->errors, tally->doubled, tally->held, settled_seconds(load));
}

static void print_table(const struct load *load, double seconds, double rate)
{
    const struct tally *tally = &load->tally;
    const struct histogram *latency = &tally->latency;
    const struct mode *mode = load->options.mode;
    printf("%-10s %u users, %.1f s\n", mode->name, load->options.users, seconds);
    if (load->settled)
        printf("%-10s after %.2f s\n", "all in", settled_seconds(load));
    if (!mode->holds) {
        printf("%-10s %.0f %s/s (%" PRIu64 " sent, %" PRIu64 " received)\n", "rate", rate, mode->unit,
               tally->sent, tally->received);
        printf("%-10s p50 %.0f µs, p90 %.0f µs, p99 %.0f µs, max %.0f µs\n", "latency", micros(latency, 500),
               micros(latency, 900), micros(latency, 990), (double)tally->latency.max / 1000);
        printf("%-10s %" PRIu64 "\n", "lost", lost(load));
        if (tally->doubled)
            printf("%-10s %" PRIu64 "\n", "doubled", tally->doubled);
    }
    if (load->options.rate)
        printf("%-10s %" PRIu64 " sent more than 1 ms behind schedule, %" PRIu64
               " held back at full connections\n",
               "late", tally->late, tally->held);
    printf("%-10s %" PRIu64 "\n", "errors", tally->errors);
}

void report_stretch(struct load *load)
{
    struct stretch *stretch = &load->stretch;
    const struct tally *tally = &load->tally;
    const struct histogram *latency = &stretch->latency;
    uint64_t now = load_now();
    printf("{\"stretch\": %u, \"seconds\": %.3f, \"online\": %u, \"received\": %" PRIu64
           ", \"errors\": %" PRIu64 ", \"doubled\": %" PRIu64 ", ",
           ++stretch->number, (double)(now - stretch->began) / 1e9, load->online,
           tally->received - stretch->received, tally->errors - stretch->errors, tally->doubled);
    printf("\"latency_us\": {\"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, \"max\": %.1f}}\n",
           micros(latency, 500), micros(latency, 900), micros(latency, 990), (double)latency->max / 1000);
    fflush(stdout);
    *stretch = (struct stretch){
        .number = stretch->number, .began = now, .received = tally->received, .errors = tally->errors
    };
}

void report_result(const struct load *load)
{
    double seconds = (double)(load->count_ended - load->count_began) / 1e9;
    double rate = seconds > 0 ? (double)load->tally.received / seconds : 0;
    if (load->options.json)
        print_json(load, seconds, rate);
    else
        print_table(load, seconds, rate);
}
