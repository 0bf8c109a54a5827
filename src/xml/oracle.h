/* SPDX-License-Identifier: MIT */
/* For tests and fuzzing only: the same input through the scanner and through expat, each giving a verdict and
 * a transcript of what it read. The two must be equal, but for what oracle.c explains. */
#ifndef XML_ORACLE_H
#define XML_ORACLE_H

#include "base/buf.h"
#include "xml/scan.h"

struct verdict {
    enum scan_event last;  /* SCAN_MORE: fine so far; SCAN_CLOSE: fine and ended; or SCAN_ERROR */
    enum scan_error error; /* the scanner's, with SCAN_ERROR */
    size_t judged;         /* expat's, without SCAN_ERROR: where the token begins that it waits to be whole */
};

/* Limits so wide that the inputs of tests keep within them, but for depth, attributes and prefixes. */
extern const struct scan_limits oracle_limits;

/* Feeds the scanner `first` bytes and then `step` bytes at a time, always in memory that ends where the input
 * ends and that moves between calls. Adds to the transcript one entry for the stream's start tag and for each
 * first-level element, as the cursor sees it. */
struct verdict oracle_scan(str input, size_t first, size_t step, const struct scan_limits *limits,
                           struct buf *transcript);

/* Feeds expat the whole. */
struct verdict oracle_expat(str input, struct buf *transcript);

/* Whether scanner and expat agree on the input; if not, says why on stderr. `first` and `step` as above. */
bool oracle_agrees(str input, size_t first, size_t step);

#endif
