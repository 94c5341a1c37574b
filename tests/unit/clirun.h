/* SPDX-License-Identifier: BSD-2-Clause */
/* Calls a sub-command in this process and catches what it prints. */
#ifndef TESTS_CLIRUN_H
#define TESTS_CLIRUN_H

#include "base/buf.h"

enum { CLI_TEXT_MAX = 1 << 16 };

struct cli_result {
	int exit_code;
	char out[CLI_TEXT_MAX], err[CLI_TEXT_MAX];
};

/* words ends with NULL; words[0] is the command's own name. */
void
cli_run(int (*command)(int argc, char **argv), const char *const *words, struct cli_result *ret);
/* A file in this test's own folder, which cli_done removes; the path lives until then. */
const char *cli_file(const char *name, struct vs_bytes text);
void cli_done(void);

#endif
