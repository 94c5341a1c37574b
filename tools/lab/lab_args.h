/* SPDX-License-Identifier: BSD-2-Clause */
/* Words of a command line: positional ones and --options, checked against a list. */
#ifndef LAB_LAB_ARGS_H
#define LAB_LAB_ARGS_H

#include "vouchsafe/err.h"

enum { LAB_WORDS_MAX = 16, LAB_OPTIONS_MAX = 12 };

struct lab_args {
	size_t n_words;
	const char *words[LAB_WORDS_MAX + 1]; /* NULL-terminated */
	size_t n_options;
	struct {
		const char *name; /* without dashes */
		const char *value; /* "" for a flag */
	} options[LAB_OPTIONS_MAX];
};

/*
 * allowed: names separated by blanks, "=" at the end for those with a value: "type= immutable".
 * "--name value" and "--name=value" are the same. Error: USAGE naming the option.
 */
VS_RC lab_args_parse(const char *const *words, size_t n, const char *allowed, struct lab_args *ret,
	struct vs_err *err);
/* Value, "" for a flag that is there, NULL when absent. */
const char *lab_args_option(const struct lab_args *args, const char *name);
/* A decimal number. Error: USAGE. */
VS_RC lab_args_number(const struct lab_args *args, const char *name, unsigned otherwise,
	unsigned *ret, struct vs_err *err);

#endif
