/* SPDX-License-Identifier: MIT */
/* What people and programs are told of a run. */
#ifndef JABIRU_LOAD_REPORT_H
#define JABIRU_LOAD_REPORT_H

struct load;

/* One line that replaces the last, on the standard error if that is a terminal. */
void report_progress(struct load *load);

/* The stretch that ends now, as a JSON object on the standard output; a new one begins. */
void report_stretch(struct load *load);

/* The result on the standard output: a table, or one JSON object. */
void report_result(const struct load *load);

#endif
