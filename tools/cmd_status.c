/* SPDX-License-Identifier: BSD-2-Clause */
#include <getopt.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "audit/verify.h"
#include "client/client.h"
#include "conf/value.h"
#include "proto/msg.h"
#include "tools/cli.h"

static const char help[] =
	"usage: vouchsafe status [--config FILE] [--json] [--agent] [--watch] [--interval T]\n\n"
	"One paragraph for each token: state, lease left, last verdict in words. Asks the "
	"machine's agent;\n"
	"where none runs, tells the last verdict from the audit log.\n\n"
	"  --config FILE  this configuration\n"
	"  --json         one JSON object on a line\n"
	"  --agent        only the agent's word counts: status 3 where none answers (for probes)\n"
	"  --watch        again and again until interrupted; with --json one line each time\n"
	"  --interval T   with --watch: pause between (200ms to 1h; default 2s)\n"
	"  --help         this text\n\n"
	"Exit status: 0 every token is usable or untried, 1 a token was refused, 2 configuration,\n"
	"3 a token's services were unreachable.\n";

/* What one token's report is made of: from the agent, or from the audit log. */
struct report {
	const struct vs_conf_token *token;
	bool from_agent;
	struct vs_token_status agent;
	struct vs_audit_last last;
};

static void
clock_text(int64_t unix_s, char *out, size_t out_size)
{
	struct tm tm;
	const time_t t = (time_t)unix_s;
	if (!gmtime_r(&t, &tm) || !strftime(out, out_size, "%Y-%m-%dT%H:%M:%SZ", &tm))
		out[0] = '\0';
}

static int
report_exit(const struct report *r)
{
	if (r->from_agent && r->agent.last_code && strcmp(r->agent.state, "UNLOCKED") != 0)
		return vs_cli_exit_code(vs_code_from_number(r->agent.last_code));
	if (!r->from_agent && r->last.found && !r->last.granted)
		return VS_EXIT_REFUSED;
	return VS_EXIT_OK;
}

static void
print_agent(const struct vs_token_status *s)
{
	(void)printf("  state      %s", s->state);
	if (s->lease_left_s >= 0)
		(void)printf(", lease ends in %lld s", (long long)s->lease_left_s);
	(void)printf("\n  in use     %u keys released, %u users\n", s->n_keys_released, s->n_peers);
	if (!s->last_code)
		return;
	char when[32];
	clock_text(s->last_wall_unix, when, sizeof when);
	(void)printf("  last       %s %s (%u): %s\n", when,
		vs_code_name(vs_code_from_number(s->last_code)), s->last_code, s->last_sentence);
}

static void
print_report(const struct report *r, bool lab)
{
	(void)printf("%s%s\n", r->token->label, lab ? "  [LAB: protects nothing]" : "");
	if (r->from_agent) {
		print_agent(&r->agent);
	} else if (!r->last.found) {
		(void)printf(
			"  no agent runs, and the audit log has no verdict about this token\n");
	} else {
		/* A file's words: no control characters reach the terminal. */
		char code[sizeof r->last.code], sentence[sizeof r->last.sentence];
		vs_msg_sentence(vs_bytes_str(r->last.code), code, sizeof code);
		vs_msg_sentence(vs_bytes_str(r->last.sentence), sentence, sizeof sentence);
		(void)printf(
			"  no agent runs; last verdict in the audit log (record %llu, %s): %s\n",
			(unsigned long long)r->last.seq, r->last.time,
			r->last.granted ? "granted" : code);
		if (!r->last.granted)
			(void)printf("  %s\n", sentence);
	}
}

static json_t *
report_json(const struct report *r)
{
	json_t *o = json_pack("{s:s, s:b}", "token", r->token->label, "agent", r->from_agent);
	if (r->from_agent) {
		const struct vs_token_status *s = &r->agent;
		(void)json_object_update_new(o,
			json_pack("{s:s, s:I, s:i, s:i, s:i, s:s, s:s}", "state", s->state,
				"lease_left_s", (json_int_t)s->lease_left_s, "keys_released",
				(int)s->n_keys_released, "users", (int)s->n_peers, "last_code",
				(int)s->last_code, "last_name",
				s->last_code ? vs_code_name(vs_code_from_number(s->last_code)) : "",
				"last_sentence", s->last_sentence));
	} else if (r->last.found) {
		(void)json_object_update_new(o,
			json_pack("{s:b, s:s, s:I, s:s, s:s}", "granted", r->last.granted, "time",
				r->last.time, "record", (json_int_t)r->last.seq, "last_name",
				r->last.code, "last_sentence", r->last.sentence));
	}
	return o;
}

/* The agent's word on every token; false when there is no agent to ask. */
static bool
ask_agent(const struct vs_conf *conf, struct vs_arena *arena, struct report *reports)
{
	struct vs_err err = {0};
	VS_CLEANUP(vs_cli_agent_done) struct vs_cli_agent agent = {0};
	if (vs_failed(vs_cli_agent_open(arena, &agent, &err)))
		return false;
	bool ok = true;
	for (size_t i = 0; ok && i < conf->n_tokens; i++) {
		size_t index = 0;
		ok = !vs_failed(vs_cli_agent_index(&agent, conf->tokens[i].label, &index, &err)) &&
			!vs_failed(vs_client_status(agent.client, index,
				vs_boot_now_ns() + INT64_C(3000000000), &reports[i].agent, &err));
		reports[i].from_agent = ok;
	}
	return ok;
}

static int
print_all(const struct vs_conf *conf, const struct report *reports, bool json)
{
	int code = VS_EXIT_OK;
	json_t *list = json_array();
	for (size_t i = 0; i < conf->n_tokens; i++) {
		const int one = report_exit(&reports[i]);
		if (one == VS_EXIT_REFUSED || (one != VS_EXIT_OK && code == VS_EXIT_OK))
			code = one;
		if (json)
			(void)json_array_append_new(list, report_json(&reports[i]));
		else
			print_report(&reports[i], conf->lab);
	}
	if (json) {
		json_t *o = json_pack("{s:b, s:O}", "lab", conf->lab, "tokens", list);
		if (!o || json_dumpf(o, stdout, JSON_COMPACT) != 0)
			code = VS_EXIT_USAGE;
		json_decref(o);
		(void)printf("\n");
	}
	json_decref(list);
	return vs_cli_done(code);
}

struct options {
	const char *config;
	bool json, agent_only, watch;
	int64_t interval_ms;
};

static volatile sig_atomic_t interrupted;

static void
on_signal(int sig)
{
	interrupted = sig;
}

static int
look(const struct vs_conf *conf, struct vs_arena *arena, const struct options *o)
{
	static struct report reports[64];
	struct vs_err err = {0};
	memset(reports, 0, sizeof reports);
	for (size_t i = 0; i < conf->n_tokens; i++)
		reports[i].token = &conf->tokens[i];
	if (ask_agent(conf, arena, reports))
		return print_all(conf, reports, o->json);
	if (o->agent_only) {
		(void)fprintf(stderr, "vouchsafe: no agent answers at %s\n", conf->agent_socket);
		return VS_EXIT_TEMPORARY;
	}
	for (size_t i = 0; i < conf->n_tokens; i++) {
		reports[i].from_agent = false;
		if (conf->audit_log)
			(void)vs_failed(vs_audit_last_verdict(
				conf->audit_log, conf->tokens[i].label, &reports[i].last, &err));
	}
	return print_all(conf, reports, o->json);
}

/* A terminal is redrawn; a file or pipe gets one report after the other. */
static int
look_again(const struct vs_conf *conf, struct vs_arena *arena, const struct options *o)
{
	const struct sigaction act = {.sa_handler = on_signal};
	const struct timespec pause = {
		.tv_sec = o->interval_ms / 1000, .tv_nsec = o->interval_ms % 1000 * 1000000};
	const bool draw = isatty(STDOUT_FILENO) && !o->json;
	int code = VS_EXIT_OK;
	(void)sigaction(SIGINT, &act, NULL);
	(void)sigaction(SIGTERM, &act, NULL);
	while (!interrupted) {
		char now[32];
		clock_text((int64_t)time(NULL), now, sizeof now);
		if (draw)
			(void)fputs("\033[H\033[2J", stdout);
		if (!o->json)
			(void)printf("%s  %s\n", now, conf->path);
		code = look(conf, arena, o);
		if (vs_cli_done(VS_EXIT_OK) != VS_EXIT_OK)
			return VS_EXIT_USAGE;
		if (!interrupted)
			(void)nanosleep(&pause, NULL);
	}
	return code;
}

static int
status(const struct options *o)
{
	struct vs_err err = {0};
	struct vs_conf *conf = NULL;
	struct vs_arena *arena = NULL;
	vs_rc rc = vs_conf_load(o->config ? o->config : vs_conf_default_path(), &conf, &err);
	if (!vs_failed(rc))
		rc = vs_arena_new(64 * 1024, 1 << 20, VS_LOCK_WARN, &arena, &err);
	const int code = vs_failed(rc) ? vs_cli_fail(rc, &err)
		: o->watch             ? look_again(conf, arena, o)
				       : look(conf, arena, o);
	vs_arena_free(arena);
	vs_conf_free(conf);
	return code;
}

int
vs_cmd_status(int argc, char **argv)
{
	static const struct option options[] = {{"help", no_argument, NULL, 'h'},
		{"json", no_argument, NULL, 'j'}, {"config", required_argument, NULL, 'c'},
		{"agent", no_argument, NULL, 'a'}, {"watch", no_argument, NULL, 'w'},
		{"interval", required_argument, NULL, 'i'}, {0}};
	struct options o = {.interval_ms = 2000};
	optind = 0;
	opterr = 0;
	for (int c; (c = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
		switch (c) {
		case 'h': return vs_cli_help(help);
		case 'j': o.json = true; break;
		case 'a': o.agent_only = true; break;
		case 'w': o.watch = true; break;
		case 'c': o.config = optarg; break;
		case 'i':
			if (!vs_duration_parse(optarg, &o.interval_ms) || o.interval_ms < 200 ||
				o.interval_ms > 3600000)
				return vs_cli_usage("status",
					"--interval is a number with unit ms, s, m or h, from "
					"200ms to 1h");
			break;
		default: return vs_cli_bad_option("status", argv);
		}
	}
	/* The client's reader of the file knows the environment only. */
	if (!vs_cli_use_config(o.config))
		return vs_cli_usage("status", "out of memory");
	if (optind != argc)
		return vs_cli_usage("status", "'%.60s' is one word too many", argv[optind]);
	return status(&o);
}
