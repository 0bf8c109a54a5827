/* SPDX-License-Identifier: MIT */
/* The randomness of a run. The scripts draw from a generator of their own, so that what the server draws does
 * not change what clients do; and rand_bytes() and rand_token() of src/base stand here instead of those that
 * ask the kernel: the linker takes these, since they are objects of the program and those are in an archive.
 * So nothing in the server knows that its ids can be foretold, and no other program can have it that way. */
#include "chance.h"

#include "base/map.h"
#include "base/rand.h"
#include "loop/loop_sim.h"

#include <stdarg.h>
#include <stdio.h>

static struct {
    uint64_t script, server, hash;
    const struct sim *sim;
    bool verbose;
} now;

/* splitmix64 */
static uint64_t draw(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

void chance_begin(uint64_t seed, bool verbose)
{
    now.script = seed * 2;
    now.server = seed * 2 + 1;
    draw(&now.script); /* neighbouring seeds part here */
    now.script = draw(&now.script);
    now.server = draw(&now.server);
    now.hash = seed;
    now.verbose = verbose;
}

void trace_world(const struct sim *sim)
{
    now.sim = sim;
}

uint64_t chance(uint64_t below)
{
    return below ? draw(&now.script) % below : 0;
}

uint64_t chance_between(uint64_t least, uint64_t most)
{
    return least + chance(most - least + 1);
}

bool chance_percent(unsigned percent)
{
    return chance(100) < percent;
}

void trace(const char *format, ...)
{
    char text[2048];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    uint64_t us = now.sim ? sim_now_us(now.sim) : 0;
    str bytes = str_of(text, (size_t)length < sizeof text ? (size_t)length : sizeof text - 1);
    now.hash = (now.hash ^ hash_stable(bytes) ^ us) * 0x9e3779b97f4a7c15;
    now.hash ^= now.hash >> 29;
    if (now.verbose)
        printf("%9.3f %s\n", (double)us / 1e6, text);
}

uint64_t trace_hash(void)
{
    return now.hash;
}

/* ---- In place of base/rand.c ---- */

void rand_bytes(void *to, size_t size)
{
    unsigned char *at = to;
    for (size_t i = 0; i < size; i++)
        at[i] = (unsigned char)(draw(&now.server) >> 32);
}

void rand_token(char *to, size_t size)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    for (size_t i = 0; i + 1 < size; i++)
        to[i] = letters[draw(&now.server) % 62];
    to[size - 1] = '\0';
}
