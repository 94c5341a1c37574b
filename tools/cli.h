/* SPDX-License-Identifier: BSD-2-Clause */
/* What all sub-commands share: options, exit codes, messages, the world of an in-process tool. */
#ifndef TOOLS_CLI_H
#define TOOLS_CLI_H

#include <stdbool.h>
#include <stdio.h>

#include "audit/audit.h"
#include "client/client.h"
#include "conf/conf.h"
#include "gate/attempt.h"
#include "net/http_curl.h"
#include "tools/cmd.h"
#include "vouchsafe/err.h"

/* DESIGN 11, by a table over categories. */
int vs_cli_exit_code(enum vs_code code);
/* "vouchsafe: sentence" on stderr, and the code's remedy on the next line; returns the exit code.
 */
int vs_cli_fail(vs_rc rc, const struct vs_err *err);
/* "vouchsafe NAME: ..." and where to find help, one line; returns VS_EXIT_USAGE. */
/* After getopt_long() said '?' or ':' with opterr = 0: names the option. */
int vs_cli_bad_option(const char *command, char **argv);
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
	struct vs_tpmtime *tpmtime; /* for its records */
	struct vs_clock clock;
	struct vs_rng rng;
	struct vs_log log;
};
/* config NULL: the default path. */
VS_RC vs_cli_world_open(const char *config, struct vs_cli_world *ret, struct vs_err *err);
/* The same in steps: settings and memory; HTTP beside them; HTTP and the audit log. */
VS_RC vs_cli_world_base(const char *config, struct vs_cli_world *ret, struct vs_err *err);
VS_RC vs_cli_world_http(struct vs_cli_world *w, struct vs_err *err);
VS_RC vs_cli_world_talk(struct vs_cli_world *w, struct vs_err *err);
void vs_cli_world_done(struct vs_cli_world *w);
/* The token with this label; NULL label: the only one, else an error that lists the labels. */
VS_RC vs_cli_token(const struct vs_conf *conf, const char *label, const struct vs_conf_token **ret,
	struct vs_err *err);
VS_RC vs_cli_services(struct vs_cli_world *w, const struct vs_conf_token *token,
	struct vs_services **ret, struct vs_err *err);
/* One "attempt" record; nothing where no log is configured. kind: "tool", "gate". */
VS_RC vs_cli_record(struct vs_cli_world *w, const char *label, const char *kind, vs_rc outcome,
	const struct vs_verdict *v, const struct vs_err *why, struct vs_err *err);

/* A connection to the machine's agent; never starts one. The file is VOUCHSAFE_CONF's. */
struct vs_cli_agent {
	struct vs_profile *profile;
	struct vs_client *client;
};
VS_RC vs_cli_agent_open(struct vs_arena *arena, struct vs_cli_agent *ret, struct vs_err *err);
void vs_cli_agent_done(struct vs_cli_agent *a);
/* Position of a label in the profile. Error: NOT_FOUND. */
VS_RC vs_cli_agent_index(
	const struct vs_cli_agent *a, const char *label, size_t *ret, struct vs_err *err);
/* --config for what reads the environment only (the client's reader of the file). */
bool vs_cli_use_config(const char *config);
/* Undo what main() did to this process and its children would inherit; before exec. */
void vs_cli_soften(void);

#endif
