/* SPDX-License-Identifier: MIT */
#include "programs/jabiru-load/blocks.h"

struct user *block_user(struct load *load, str name)
{
    str prefix = str_from(load->options.user_prefix);
    uint64_t index;
    if (!str_starts(name, prefix) ||
        !str_to_u64(str_sub(name, prefix.len, str_find(name, '@')), UINT32_MAX, &index) ||
        index - load->options.first >= load->options.users) /* one below the first is far above the last */
        return NULL;
    return &load->users[index - load->options.first];
}
