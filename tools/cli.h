/* SPDX-License-Identifier: BSD-2-Clause */
/* What all sub-commands share: options, exit codes, messages, the world of an in-process tool. */
#ifndef TOOLS_CLI_H
#define TOOLS_CLI_H

#include <stdbool.h>
#include <stdio.h>

#include "audit/audit.h"
#include "conf/conf.h"
#include "gate/attempt.h"
#include "net/http_curl.h"
#include "tools/cmd.h"
#include "vouchsafe/err.h"

/* DESIGN 11, by a table over categories. */
int vs_cli_exit_code(enum vs_code code);
/* "vouchsafe: sentence" on stderr; returns the exit code. */
int vs_cli_fail(vs_rc rc, const struct vs_err *err);
/* "vouchsafe NAME: ..." and where to find help; returns VS_EXIT_USAGE. */
__attribute__((format(printf, 2, 3))) int vs_cli_usage(const char *command, const char *fmt, ...);
/* Prints text (a whole help page) on stdout; VS_EXIT_USAGE when stdout cannot take it. */
int vs_cli_help(const char *text);
/* Flushes stdout: a report that nobody got is a failure. */
int vs_cli_done(int exit_code);

/* Everything that an in-process attestation hangs off. */
struct vs_cli_world {
	struct vs_conf *conf;
	struct vs_arena *arena;
	struct vs_http_curl *curl;
	struct vs_audit *audit; /* NULL when the configuration names no log */
	struct vs_clock clock;
	struct vs_rng rng;
	struct vs_log log;
};
/* config NULL: the default path. */
VS_RC vs_cli_world_open(const char *config, struct vs_cli_world *ret, struct vs_err *err);
void vs_cli_world_done(struct vs_cli_world *w);
/* The token with this label; NULL label: the only one, else an error that lists the labels. */
VS_RC vs_cli_token(const struct vs_conf *conf, const char *label, const struct vs_conf_token **ret,
	struct vs_err *err);
VS_RC vs_cli_services(struct vs_cli_world *w, const struct vs_conf_token *token,
	struct vs_services **ret, struct vs_err *err);

#endif
