/* SPDX-License-Identifier: MIT */
/* Values below 32 have a bucket each. Above, a value's highest bit chooses a row and the five bits behind it
 * a bucket in that row, so a bucket is never wider than a 32nd of what it holds, and finding it takes a
 * shift. No floating point, nothing to allocate, nothing to sort. */
#include "programs/jabiru-load/histogram.h"

enum { ROW = 1 << HISTOGRAM_SUB_BITS };

static unsigned bucket_of(uint64_t value)
{
    if (value < ROW)
        return (unsigned)value;
    if (value >> HISTOGRAM_TOP_BITS)
        return HISTOGRAM_BUCKETS - 1;
    unsigned shift = 63 - (unsigned)__builtin_clzll(value) - HISTOGRAM_SUB_BITS;
    return (shift << HISTOGRAM_SUB_BITS) + (unsigned)(value >> shift);
}

/* The largest value of a bucket. */
static uint64_t bucket_end(unsigned bucket)
{
    if (bucket < 2 * ROW)
        return bucket;
    unsigned shift = (bucket >> HISTOGRAM_SUB_BITS) - 1;
    uint64_t lead = (bucket & (ROW - 1)) + ROW;
    return ((lead + 1) << shift) - 1;
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
    histogram->count++;
    histogram->buckets[bucket_of(value)]++;
    if (value > histogram->max)
        histogram->max = value;
}

uint64_t histogram_quantile(const struct histogram *histogram, unsigned per_mille)
{
    uint64_t wanted = (histogram->count * per_mille + 999) / 1000, seen = 0;
    if (!histogram->count)
        return 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS - 1; i++) {
        seen += histogram->buckets[i];
        if (seen >= wanted && seen > 0)
            return bucket_end(i) < histogram->max ? bucket_end(i) : histogram->max;
    }
    return histogram->max;
}
