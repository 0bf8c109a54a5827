/* SPDX-License-Identifier: MIT */
/* Any bytes on the control socket: the head is found as soon as it is there and not before, whatever comes
 * behind it, and a command is taken only with the words and the body that it may have. */
#include "server/control/control_request.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct control_command commands[] = {
    { .name = "user add", .words = true },
    { .name = "user list" },
    { .name = "user import-one", .words = true, .body = true },
    { .name = "stop" },
    { 0 },
};

static void must(bool good)
{
    if (!good)
        abort();
}

static void check_line(str line)
{
    str words;
    size_t body = 0;
    const struct control_command *command = control_command_named(commands, line, &words);
    if (!command)
        return;
    str name = str_from(command->name);
    must(str_starts(line, name) && str_eq(words, str_trim(words)));
    must(str_eq(str_trim(str_sub(line, name.len, line.len)), words));
    if (control_command_fault(command, words, &body))
        return;
    must(command->words == (words.len > 0) && command->body == (body > 0) && body <= CONTROL_BODY_MAX);
}

static void check_head(str in, const struct control_head *head)
{
    struct control_head same;
    must(head->len >= 2 && head->len <= in.len && str_ends(str_sub(in, 0, head->len), STR("\n\n")));
    must(str_find(head->line, '\n') == head->line.len && str_find(head->extra, '\n') == head->extra.len);
    must(head->line.len + head->extra.len + 2 <= head->len);
    must(!control_head_read(str_sub(in, 0, head->len - 1), &same));
    must(control_head_read(str_sub(in, 0, head->len), &same) && same.len == head->len);
    must(str_eq(same.line, head->line) && str_eq(same.extra, head->extra));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str in = str_of((const char *)data, size);
    struct control_head head;
    if (!control_head_read(in, &head)) {
        for (size_t i = 1; i < size; i++)
            must(data[i - 1] != '\n' || data[i] != '\n');
        return 0;
    }
    check_head(in, &head);
    check_line(head.line);
    return 0;
}
