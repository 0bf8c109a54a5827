/* SPDX-License-Identifier: MIT */
/* Counts of durations in buckets that grow with what they hold (log-linear): any number of samples in
 * constant memory, each known to within 1/32 of its size. */
#ifndef JABIRU_LOAD_HISTOGRAM_H
#define JABIRU_LOAD_HISTOGRAM_H

#include <stdint.h>

/* 32 buckets for each power of two, up to 2^40 ns (18 minutes); what is longer counts as that. */
enum { HISTOGRAM_SUB_BITS = 5, HISTOGRAM_TOP_BITS = 40 };
enum { HISTOGRAM_BUCKETS = (HISTOGRAM_TOP_BITS - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS };

/* Zeroed memory is an empty one. */
struct histogram {
    uint64_t count;
    uint64_t max; /* exact */
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t value);

/* The smallest value that at least `per_mille` of 1000 samples do not exceed, rounded up to the end of its
 * bucket and never above the maximum; 0 when there are no samples. */
uint64_t histogram_quantile(const struct histogram *histogram, unsigned per_mille);

#endif
