/* SPDX-License-Identifier: MIT */
/* A token bucket: how much somebody may use of something in the long run, and how much at once. */
#ifndef BASE_BUCKET_H
#define BASE_BUCKET_H

#include <stdint.h>

struct bucket {
    uint64_t _used;  /* in millionths of the unit; 0: full */
    uint64_t _at_us; /* when that was so */
};

/* Takes `amount` out, whether or not there is enough. `rate`: units that come back each second (0: no limit);
 * `burst`: as many as may be taken at once. Returns after how many milliseconds there is enough again: 0 if
 * there is now. A zeroed bucket is full. `now_us` never goes back. */
uint64_t bucket_take(struct bucket *bucket, uint32_t amount, uint32_t rate, uint64_t burst, uint64_t now_us);

#endif
