/* SPDX-License-Identifier: MIT */
/* What a request on the control socket asks for, read from its first lines. Pure. */
#include "server/control/control_request.h"

bool control_head_read(str in, struct control_head *ret)
{
    const char *end = in.len ? memmem(in.p, in.len, "\n\n", 2) : NULL;
    if (!end)
        return false;
    str lines = str_sub(in, 0, (size_t)(end - in.p) + 1);
    ret->len = lines.len + 1;
    ret->line = str_trim(str_cut(&lines, '\n'));
    ret->extra = str_cut(&lines, '\n');
    return true;
}

static bool match(str line, str name, str *ret_rest)
{
    if (!str_starts(line, name) || (line.len > name.len && line.p[name.len] != ' '))
        return false;
    *ret_rest = str_trim(str_sub(line, name.len, line.len));
    return true;
}

const struct control_command *control_command_named(const struct control_command *table, str line,
                                                    str *ret_words)
{
    for (; table && table->name; table++)
        if (match(line, str_from(table->name), ret_words))
            return table;
    return NULL;
}

const char *control_command_fault(const struct control_command *command, str words, size_t *ret_body_len)
{
    uint64_t length = 0;
    if (command->words != (words.len > 0))
        return command->words ? "an address is missing" : "this command takes no words";
    if (command->body && (!str_to_u64(words, CONTROL_BODY_MAX, &length) || !length))
        return "that is too long, or no length";
    *ret_body_len = (size_t)length;
    return NULL;
}
