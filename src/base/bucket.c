/* SPDX-License-Identifier: MIT */
/* Token buckets, counted the other way round: what is used, which melts away with time. So a zeroed one is
 * full, and what was taken beyond the burst is a debt that is waited for. In millionths, so that nothing is
 * lost by rounding however often it is asked. */
#include "base/bucket.h"

uint64_t bucket_take(struct bucket *bucket, uint32_t amount, uint32_t rate, uint64_t burst, uint64_t now_us)
{
    uint64_t passed_us = now_us - bucket->_at_us;
    if (!rate)
        return 0;
    if (passed_us > bucket->_used / rate)
        bucket->_used = 0;
    else
        bucket->_used -= passed_us * rate;
    bucket->_at_us = now_us;
    bucket->_used += (uint64_t)amount * 1000000;
    if (bucket->_used <= burst * 1000000)
        return 0;
    return (bucket->_used - burst * 1000000) / rate / 1000 + 1;
}
