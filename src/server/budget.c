/* SPDX-License-Identifier: MIT */
/* See budget.h. What counts is what the allocator has given out, not what the kernel has mapped: that falls
 * at once when something is freed, so that nobody is ended for memory that is free already.
 *
 * Two tours of the shards: the first puts all holders into bins by the power of two of what they hold; from
 * these follows the bar, the bin in which enough has been gathered from the top. The second ends all above
 * the bar, and of those in its bin as many as are needed. Ending a session with stream management loses
 * nothing: what was not acknowledged goes where it goes when such a session ends (sm_end.c).
 *
 * What was freed the allocator keeps, however long, if something that is in use lies behind it: after
 * thousands of logins at once that was twice what is in use. So when more is free than the last time, by an
 * eighth of what is in use, the pages are given back to the kernel. That takes milliseconds, so it is done on
 * the pool, and takes at most a hundredth of the time, for shards that allocate meanwhile may have to wait.
 */
#include "server/budget.h"

#include "base/log.h"
#include "base/mem.h"
#include "net/conn.h"
#include "server/link.h"
#include "server/sm/sm.h"
#include "server/tour.h"
#include "server/user/user.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FREE_MIN = 1 << 20, FREE_PART = 8, TRIM_PAUSE_US = 5000000, TRIM_SHARE = 100 };
enum { TIDY_US = 2000000, TICK_MS = 200, BIN_FIRST = 16, BINS = 16, VICTIMS_MAX = 1000 };

struct budget {
    struct server *server;
    struct timer timer;
    struct tour tour;
    bool is_touring;
    size_t too_much;   /* bytes */
    size_t bins[BINS]; /* bytes of those who hold 64 KiB and more, 128 KiB and more, ... */
    unsigned bar;
    size_t from_bar; /* bytes that those in the bar's bin must give */
    struct tour tidying;
    bool is_tidying;
    uint64_t next_tidy_us;
    struct work trim;
    bool is_trimming;
    uint64_t trim_began_us, next_trim_us;
    size_t kept_free; /* bytes that were free when the pages were last given back, or fewer, if fewer were
                         since */
    size_t spare;     /* bytes that were free all the time since it was last looked whether to do that */
};

/* One who holds memory: a link or, if that is NULL, a session with stream management. */
struct holder {
    struct link *link;
    struct sm *sm;
    size_t bytes;
};

/* ---- How much there is */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
size_t __sanitizer_get_current_allocated_bytes(void); /* their allocator is another one */

size_t budget_used(void)
{
    return __sanitizer_get_current_allocated_bytes();
}

static size_t heap_free(void)
{
    return 0;
}
#else
size_t budget_used(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static size_t heap_free(void)
{
    return mallinfo2().fordblks;
}
#endif

static size_t read_number(const char *path)
{
    unsigned long long number = 0;
    FILE *file = fopen(path, "r");
    if (!file)
        return SIZE_MAX;
    if (fscanf(file, "%llu", &number) != 1) /* "max" */
        number = SIZE_MAX;
    fclose(file);
    return (size_t)number;
}

/* Of the machine, or of the control group if that has less; as they were when it is first asked. */
static size_t available(void)
{
    static _Atomic size_t known;
    if (known)
        return known;
    size_t least = (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE);
    const size_t groups[] = { read_number("/sys/fs/cgroup/memory.max"),
                              read_number("/sys/fs/cgroup/memory/memory.limit_in_bytes") };
    for (size_t i = 0; i < COUNT_OF(groups); i++)
        least = groups[i] < least ? groups[i] : least;
    known = least;
    return least;
}

size_t budget_limit(const struct server *server)
{
    uint64_t limit = server->config->limits.memory;
    return limit ? (size_t)limit : available() / 4 * 3;
}

/* ---- Who holds it */

static unsigned bin_of(size_t bytes)
{
    unsigned bin = 0;
    while (bin < BINS - 1 && bytes >> (BIN_FIRST + 1 + bin))
        bin++;
    return bin;
}

typedef void (*visitor)(struct budget *budget, const struct holder *holder);

static void visit_holder(struct budget *budget, struct holder holder, visitor visit)
{
    if (holder.bytes >> BIN_FIRST)
        visit(budget, &holder);
}

static void visit_links(struct budget *budget, struct list *links, visitor visit)
{
    list_each (at, links) {
        struct link *link = LIST_ITEM(at, struct link, _in_shard);
        if (link->ops->weight)
            visit_holder(budget, (struct holder){ link, NULL, link->ops->weight(link) }, visit);
    }
}

static void visit_users(struct budget *budget, struct shard *shard, visitor visit)
{
    struct map_walk walk = { 0 };
    struct map_node *node;
    while ((node = map_next(&shard->actors, &walk))) {
        struct user *user = user_awake(shard, actor_key(node));
        if (!user)
            continue;
        list_each (at, &user->sessions) {
            struct session *session = SESSION_OF(at);
            if (session->sm)
                visit_holder(budget, (struct holder){ NULL, session->sm, sm_weight(session->sm) }, visit);
        }
    }
}

static void visit_shard(struct budget *budget, struct shard *shard, visitor visit)
{
    visit_users(budget, shard, visit);
    visit_links(budget, &shard->links, visit);
    visit_links(budget, &shard->s2s_links, visit);
}

/* ---- The first tour: how much is to be had from whom */

static void weigh(struct budget *budget, const struct holder *holder)
{
    budget->bins[bin_of(holder->bytes)] += holder->bytes;
}

static void weigh_shard(struct shard *shard, struct tour *tour)
{
    visit_shard(CONTAINER_OF(tour, struct budget, tour), shard, weigh);
}

/* ---- The second tour: they are ended */

/* Of one shard, on its thread. */
static _Thread_local struct {
    struct holder list[VICTIMS_MAX];
    size_t count;
} victims;

static void choose(struct budget *budget, const struct holder *holder)
{
    unsigned bin = bin_of(holder->bytes);
    if (bin < budget->bar || victims.count == VICTIMS_MAX || (bin == budget->bar && !budget->from_bar))
        return;
    if (bin == budget->bar)
        budget->from_bar -= holder->bytes < budget->from_bar ? holder->bytes : budget->from_bar;
    victims.list[victims.count++] = *holder;
}

static void end(struct shard *shard, const struct holder *holder)
{
    shard->counters.ended_for_memory++;
    if (holder->link) {
        str who = holder->link->ops->describe(holder->link, &shard->arena);
        log_warn(main, "memory is short: the connection %.*s ends, for which %zu KiB were kept",
                 STR_ARGS(who), holder->bytes / 1024);
        holder->link->ops->drop(holder->link);
        return;
    }
    log_warn(main, "memory is short: the session %s ends, for which %zu KiB were kept", sm_name(holder->sm),
             holder->bytes / 1024);
    sm_overflow(holder->sm);
}

static void relieve_shard(struct shard *shard, struct tour *tour)
{
    victims.count = 0;
    visit_shard(CONTAINER_OF(tour, struct budget, tour), shard, choose);
    /* sessions come first in the list: they only note their end, while a link may take its session along */
    for (size_t i = 0; i < victims.count; i++)
        end(shard, &victims.list[i]);
}

/* ---- The watch */

static void relieved(struct tour *tour)
{
    CONTAINER_OF(tour, struct budget, tour)->is_touring = false;
}

static void weighed(struct tour *tour)
{
    struct budget *budget = CONTAINER_OF(tour, struct budget, tour);
    size_t above = 0;
    for (budget->bar = BINS - 1; budget->bar > 0 && above + budget->bins[budget->bar] < budget->too_much;
         budget->bar--)
        above += budget->bins[budget->bar];
    budget->from_bar = above < budget->too_much ? budget->too_much - above : 0;
    budget->tour.visit = relieve_shard;
    budget->tour.done = relieved;
    tour_start(&budget->tour);
}

static void begin(struct budget *budget)
{
    memset(budget->bins, 0, sizeof budget->bins);
    budget->is_touring = true;
    budget->tour.home = budget->server->shards[0];
    budget->tour.visit = weigh_shard;
    budget->tour.done = weighed;
    tour_start(&budget->tour);
}

/* ---- What is free */

static void run_trim(struct work *work)
{
    (void)work;
    malloc_trim(0);
}

static void trimmed(struct work *work)
{
    struct budget *budget = CONTAINER_OF(work, struct budget, trim);
    uint64_t now_us = loop_now_us(budget->server->shards[0]->loop);
    uint64_t rest_us = (now_us - budget->trim_began_us) * TRIM_SHARE;
    budget->next_trim_us = now_us + (rest_us > TRIM_PAUSE_US ? rest_us : TRIM_PAUSE_US);
    budget->is_trimming = false;
    budget->kept_free = heap_free();
    shard_commit_ended(budget->server->shards[0]);
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Only if much was free all the time: what a burst needs every second would be taken from the kernel each
 * time, page by page, and that takes longer than the burst. A stop waits until it is done. */
static void give_back(struct budget *budget, size_t used)
{
    struct shard *shard = budget->server->shards[0];
    size_t unused = heap_free();
    budget->kept_free = smaller(budget->kept_free, unused);
    budget->spare = smaller(budget->spare, unused);
    uint64_t now_us = loop_now_us(shard->loop);
    if (budget->is_trimming || now_us < budget->next_trim_us)
        return;
    size_t spare = budget->spare;
    budget->spare = unused;
    budget->next_trim_us = now_us + TRIM_PAUSE_US;
    if (spare < budget->kept_free + used / FREE_PART + FREE_MIN)
        return;
    budget->is_trimming = true;
    budget->trim_began_us = now_us;
    shard_commit_began(shard);
    loop_work(shard->loop, &budget->trim);
}

static void tidy_shard(struct shard *shard, struct tour *tour)
{
    (void)shard;
    (void)tour;
    conn_tidy();
}

static void tidied(struct tour *tour)
{
    CONTAINER_OF(tour, struct budget, tidying)->is_tidying = false;
}

static void tidy(struct budget *budget)
{
    struct shard *shard = budget->server->shards[0];
    uint64_t now_us = loop_now_us(shard->loop);
    if (budget->is_tidying || now_us < budget->next_tidy_us)
        return;
    budget->is_tidying = true;
    budget->next_tidy_us = now_us + TIDY_US;
    budget->tidying.home = shard;
    budget->tidying.visit = tidy_shard;
    budget->tidying.done = tidied;
    tour_start(&budget->tidying);
}

static void tick(struct timer *timer)
{
    struct budget *budget = CONTAINER_OF(timer, struct budget, timer);
    struct server *server = budget->server;
    struct shard *shard = server->shards[0];
    size_t used = budget_used(), limit = budget_limit(server);
    bool is_short = used > limit;
    if (shard->stopping)
        return;
    shard_enter(shard);
    if (is_short != atomic_load(&server->is_short_of_memory))
        log_warn(main, "memory is %s: %zu KiB of %zu KiB are in use", is_short ? "short" : "enough again",
                 used / 1024, limit / 1024);
    atomic_store(&server->is_short_of_memory, is_short);
    budget->too_much = is_short ? used - limit : 0;
    if (is_short && !budget->is_touring)
        begin(budget);
    tidy(budget);
    give_back(budget, used);
    timer_start(shard->loop, timer, TICK_MS);
    shard_leave(shard);
}

struct budget *budget_start(struct server *server)
{
    struct budget *budget = NEW(struct budget);
    budget->server = server;
    budget->timer.fired = tick;
    budget->trim.run = run_trim;
    budget->trim.done = trimmed;
    timer_start(server->shards[0]->loop, &budget->timer, TICK_MS);
    return budget;
}

void budget_free(struct budget *budget)
{
    if (!budget)
        return;
    timer_stop(&budget->timer);
    free(budget);
}
