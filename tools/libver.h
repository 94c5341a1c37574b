/* SPDX-License-Identifier: BSD-2-Clause */
/* Versions of libraries, and ranges of them with defects that matter to this program. */
#ifndef TOOLS_LIBVER_H
#define TOOLS_LIBVER_H

#include <stdbool.h>
#include <stddef.h>

struct vs_lib_range {
	const char *library;
	const char *first, *last; /* both included */
	const char *why;
};
extern const struct vs_lib_range vs_lib_ranges[];
extern const size_t vs_n_lib_ranges;

/* By numbers, each of the first four: -1, 0, 1. What is no number counts as 0. */
int vs_version_compare(const char *a, const char *b);
/* The first range that this version lies in; NULL: none. */
const struct vs_lib_range *vs_lib_bad(const char *library, const char *version);

#endif
