/* SPDX-License-Identifier: MIT */
/* A command of three stages (XEP-0050 §2.4.2's "config": a service, how it is to be, and whether that is
 * meant), at the host try.example alone. Nothing but the steps between the forms is of interest. */
#include "try.h"

#include "extensions/adhoc.h"
#include "extensions/list.h"
#include "server/ext.h"

#include <string.h>

struct values {
    str service, state;
    bool sure;
};

static bool is_here(const struct host *host)
{
    return !strcmp(host->name, "try.example");
}

static void run(struct ext_op *op, struct iq_event *event)
{
    const struct values *values = adhoc_values(op);
    str text = arena_printf(&event->shard->arena, "%.*s is %.*s%s", STR_ARGS(values->service),
                            STR_ARGS(values->state), values->sure ? "" : ", perhaps");
    adhoc_note(event, op, text.p);
}

static const struct form_row service_rows[] = {
    { "service", FIELD_TEXT_SINGLE, "Service", FORM_TEXT(struct values, service), .required = true },
};
static const struct form_row state_rows[] = {
    { "state", FIELD_TEXT_SINGLE, "State", FORM_TEXT(struct values, state), .required = true },
};
static const struct form_row sure_rows[] = { { "sure", FIELD_BOOLEAN, "Sure?",
                                               FORM_BOOL(struct values, sure) } };

static const struct form_table service_form = { NULL, FORM_ROWS(service_rows), .title = "Which" };
static const struct form_table state_form = { NULL, FORM_ROWS(state_rows), .title = "How" };
static const struct form_table sure_form = { NULL, FORM_ROWS(sure_rows), .title = "Sure" };
static const struct form_table *const forms[] = { &service_form, &state_form, &sure_form, NULL };

static const struct adhoc_command commands[] = {
    { .node = "config",
      .name = "Configure",
      .size = sizeof(struct values),
      .forms = forms,
      .is_on = is_here,
      .run = run },
    { 0 },
};

static struct ext_slot slot;
static const struct ext ext_try = {
    .slot = &slot, .name = "try", .title = "For scenarios", .adhoc = commands
};

const struct ext *const *try_extensions(void)
{
    static const struct ext *all[EXT_MAX + 1];
    size_t count = 0;
    for (; extension_list[count]; count++)
        all[count] = extension_list[count];
    all[count] = &ext_try;
    return all;
}
