/* SPDX-License-Identifier: MIT */
/* Crowds: one block of memory, addresses first and their bytes behind. The count of references is the only
 * thing in it that changes, so it is read by several threads at once without a lock. */
#include "server/crowd.h"

#include "base/mem.h"

#include <stdlib.h>

struct crowd *crowd_new(unsigned shard, uint32_t count, size_t bytes)
{
    struct crowd *crowd = xmalloc(sizeof *crowd + count * sizeof(struct crowd_member) + bytes);
    atomic_init(&crowd->_refs, 1);
    crowd->shard = shard;
    crowd->count = 0;
    crowd->_text = (char *)&crowd->members[count];
    return crowd;
}

void crowd_add(struct crowd *crowd, const struct jid *to, uint32_t group)
{
    struct crowd_member *member = &crowd->members[crowd->count++];
    *member = (struct crowd_member){ *to, group };
    memcpy(crowd->_text, to->full.p, to->full.len);
    member->to.full.p = crowd->_text;
    crowd->_text += to->full.len;
}

struct crowd *crowd_ref(struct crowd *crowd)
{
    atomic_fetch_add_explicit(&crowd->_refs, 1, memory_order_relaxed);
    return crowd;
}

void crowd_unref(struct crowd *crowd)
{
    if (crowd && atomic_fetch_sub_explicit(&crowd->_refs, 1, memory_order_acq_rel) == 1)
        free(crowd);
}
