/* SPDX-License-Identifier: BSD-2-Clause */
/* vouchsafe gate: nothing behind it starts before this machine has proved what it is. */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "conf/value.h"
#include "tools/cli.h"

enum { PAUSE_FIRST_MS = 500, PAUSE_MAX_MS = 8000, TIMEOUT_MAX_MS = 24 * 3600 * 1000 };

static const char help[] =
	"usage: vouchsafe gate [--token LABEL]... [--timeout T] [--agent] [--lab] [--json]\n"
	"                      [--config FILE] [--then COMMAND [ARGUMENT...]]\n\n"
	"Wait until this machine has proved what it is, for each named token (default: all of the\n"
	"configuration), then exit with 0, or become COMMAND. The machine's agent is asked where "
	"one\n"
	"listens; else this process attests by itself. Releases no key.\n\n"
	"  --token LABEL   this token; may be given more than once\n"
	"  --timeout T     give up after T (a number with ms, s, m or h; default 2m)\n"
	"  --agent         ask the machine's agent only, and wait for it to come up\n"
	"  --lab           needed with a configuration of the lab, whose grants protect nothing\n"
	"  --json          the outcome as JSON on standard output (not with --then)\n"
	"  --config FILE   this configuration\n"
	"  --then          what follows is the command to become; it inherits everything\n"
	"  --help          this text\n\n"
	"What cannot be reached is tried again with growing pauses until T is over; a refusal is "
	"not.\n"
	"The gate is a safeguard for operators: who may start COMMAND otherwise goes around it. "
	"Only\n"
	"keys that are released to attested machines alone enforce anything.\n"
	"Exit status: 0 granted, 1 refused, 2 usage or configuration, 3 not in time.\n";

struct options {
	const char *config;
	const char *labels[64];
	size_t n_labels;
	int64_t timeout_ms;
	bool agent_only, lab, json;
	char **then; /* NULL: exit */
};

struct outcome {
	const struct vs_conf_token *token;
	vs_rc rc;
	struct vs_err err;
	struct vs_verdict verdict; /* n_checks is 0 when the agent decided */
	unsigned tries;
	bool by_agent;
};

/*
 * At once, also in the middle of an attempt: a record is one write, and the TPM's resource manager
 * clears up after us. A handler, since without one a container's first process hears nothing.
 */
static void
on_signal(int sig)
{
	_exit(128 + sig);
}

/* ---- one try -------------------------------------------------------------------------------- */

/* False: no agent listens. */
static bool
try_agent(struct vs_cli_world *w, int64_t deadline, struct outcome *o)
{
	VS_CLEANUP(vs_cli_agent_done) struct vs_cli_agent agent = {0};
	struct vs_grant *grant = NULL;
	size_t index = 0;
	o->by_agent = true;
	o->rc = vs_cli_agent_open(w->arena, &agent, &o->err);
	if (!vs_failed(o->rc))
		o->rc = vs_cli_agent_index(&agent, o->token->label, &index, &o->err);
	if (!vs_failed(o->rc))
		o->rc = vs_client_need(agent.client, index, NULL, 0, deadline, &grant, &o->err);
	if (!vs_failed(o->rc))
		vs_grant_unref(grant);
	return o->rc.code != VS_E_AGENT;
}

static void
try_here(struct vs_cli_world *w, int64_t deadline, struct outcome *o)
{
	struct vs_services *services = NULL;
	struct vs_attestation *a = NULL;
	struct vs_err audit_err = {0};
	o->by_agent = false;
	o->err = (struct vs_err){0};
	/* Who asks an agent needs none of this: no log, no roots, no policy. */
	o->rc = vs_cli_world_talk(w, &o->err);
	if (vs_failed(o->rc))
		return;
	o->rc = vs_cli_services(w, o->token, &services, &o->err);
	if (!vs_failed(o->rc))
		o->rc = vs_services_attest(services, deadline, &a, &o->verdict, &o->err);
	vs_attestation_unref(a);
	vs_services_free(services);
	const vs_rc recorded =
		vs_cli_record(w, o->token->label, "gate", o->rc, &o->verdict, &o->err, &audit_err);
	/* No record, no grant. */
	if (vs_failed(recorded) && !vs_failed(o->rc) && w->conf->audit_required) {
		o->rc = recorded;
		o->err = audit_err;
	}
}

static void
try_once(struct vs_cli_world *w, const struct options *opt, int64_t deadline, struct outcome *o)
{
	const int64_t now = w->clock.ops->boot_ns(w->clock.self);
	const int64_t one = now + w->conf->operation_timeout_ms * 1000000;
	o->tries++;
	o->err = (struct vs_err){0};
	o->verdict = (struct vs_verdict){0};
	if (one < deadline)
		deadline = one;
	if (!try_agent(w, deadline, o) && !opt->agent_only)
		try_here(w, deadline, o);
}

/* ---- waiting -------------------------------------------------------------------------------- */

/* What time can mend. A refusal is final; a configuration does not change by waiting. */
static bool
may_pass(vs_rc rc)
{
	return vs_cli_exit_code(rc.code) == VS_EXIT_TEMPORARY;
}

static void
pause_ms(int64_t ms)
{
	const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
	(void)nanosleep(&t, NULL);
}

static int64_t
jitter_ms(struct vs_cli_world *w, int64_t ms)
{
	uint32_t n = 0;
	if (vs_failed(w->rng.ops->fill(w->rng.self, &n, sizeof n, NULL)))
		return ms;
	return ms / 2 + (int64_t)(n % (uint32_t)(ms / 2 + 1)) + ms / 4;
}

static void
wait_for(struct vs_cli_world *w, const struct options *opt, int64_t deadline, struct outcome *o)
{
	char why[1200];
	for (int64_t pause = PAUSE_FIRST_MS;;
		pause = pause * 2 < PAUSE_MAX_MS ? pause * 2 : PAUSE_MAX_MS) {
		try_once(w, opt, deadline, o);
		if (!vs_failed(o->rc) || !may_pass(o->rc))
			return;
		const int64_t left =
			(deadline - w->clock.ops->boot_ns(w->clock.self)) / INT64_C(1000000);
		if (left <= 0)
			return;
		const int64_t ms = jitter_ms(w, pause);
		vs_err_sentence(&o->err, why, sizeof why);
		(void)fprintf(stderr, "vouchsafe gate: %s: waiting, try %u, %lld s left: %s\n",
			o->token->label, o->tries, (long long)(left / 1000), why);
		pause_ms(ms < left ? ms : left);
	}
}

/* ---- telling -------------------------------------------------------------------------------- */

static void
tell(const struct vs_conf *conf, const struct outcome *o)
{
	char s[2048];
	if (!vs_failed(o->rc)) {
		(void)fprintf(stderr, "vouchsafe gate: %s: granted%s%s\n", o->token->label,
			o->by_agent ? " (agent)" : "", conf->lab ? " [LAB: protects nothing]" : "");
		return;
	}
	vs_err_sentence(&o->err, s, sizeof s);
	(void)fprintf(stderr, "vouchsafe gate: %s: %s: %s\n", o->token->label,
		may_pass(o->rc) ? "not in time" : "refused", s);
	for (size_t i = 0; i < o->verdict.n_checks; i++) {
		const struct vs_check *c = &o->verdict.checks[i];
		if (!c->passed && !c->advisory)
			(void)fprintf(stderr, "  %s %s: expected %s, seen %s\n", c->rule, c->name,
				c->expected, c->seen);
	}
}

static int
tell_json(const struct vs_conf *conf, const struct outcome *all, size_t n)
{
	json_t *list = json_array();
	for (size_t i = 0; i < n; i++) {
		char s[2048];
		vs_err_sentence(&all[i].err, s, sizeof s);
		(void)json_array_append_new(list,
			json_pack("{s:s, s:b, s:s, s:s, s:i, s:b}", "token", all[i].token->label,
				"granted", !vs_failed(all[i].rc), "code",
				vs_failed(all[i].rc) ? vs_code_name(all[i].rc.code) : "",
				"sentence", s, "tries", (int)all[i].tries, "by_agent",
				all[i].by_agent));
	}
	json_t *o = json_pack("{s:b, s:o}", "lab", conf->lab, "tokens", list);
	const bool ok = o && json_dumpf(o, stdout, JSON_COMPACT) == 0;
	json_decref(o);
	(void)printf("\n");
	return ok ? VS_EXIT_OK : VS_EXIT_USAGE;
}

/* ---- all of it ------------------------------------------------------------------------------ */

/* T-L1: nobody passes by a lab grant without having said so, and nobody takes production for lab.
 */
static VS_RC
check_mode(const struct vs_conf *conf, bool lab, struct vs_err *err)
{
	if (conf->lab && !lab)
		VS_FAIL(err, CONFIG_MODE,
			"%s is of the lab, whose grants protect nothing; to pass all the same, "
			"say --lab",
			conf->path);
	if (!conf->lab && lab)
		VS_FAIL(err, CONFIG_MODE, "--lab was given, but %s is for production", conf->path);
	return VS_OK;
}

static VS_RC
choose(const struct vs_conf *conf, const struct options *opt, struct outcome *all, size_t *ret_n,
	struct vs_err *err)
{
	if (conf->n_tokens == 0)
		VS_FAIL(err, CONFIG_MISSING, "%s: there is no [token LABEL] section", conf->path);
	const size_t n = opt->n_labels ? opt->n_labels : conf->n_tokens;
	for (size_t i = 0; i < n; i++) {
		all[i].token = &conf->tokens[i];
		if (opt->n_labels)
			VS_TRY(vs_cli_token(conf, opt->labels[i], &all[i].token, err));
	}
	*ret_n = n;
	return VS_OK;
}

static int
gate(const struct options *opt)
{
	static struct outcome all[64];
	VS_CLEANUP(vs_cli_world_done) struct vs_cli_world w = {0};
	struct vs_err err = {0};
	size_t n = 0;
	vs_rc rc = vs_cli_world_base(opt->config, &w, &err);
	if (!vs_failed(rc))
		rc = check_mode(w.conf, opt->lab, &err);
	if (!vs_failed(rc))
		rc = choose(w.conf, opt, all, &n, &err);
	if (vs_failed(rc))
		return vs_cli_fail(rc, &err);
	const int64_t deadline =
		w.clock.ops->boot_ns(w.clock.self) + opt->timeout_ms * INT64_C(1000000);
	int code = VS_EXIT_OK;
	size_t done = 0;
	while (done < n && code == VS_EXIT_OK) {
		struct outcome *o = &all[done++];
		wait_for(&w, opt, deadline, o);
		tell(w.conf, o);
		code = vs_cli_exit_code(o->rc.code);
	}
	if (opt->json && tell_json(w.conf, all, done) != VS_EXIT_OK && code == VS_EXIT_OK)
		code = VS_EXIT_USAGE;
	return vs_cli_done(code);
}

static void
watch_signals(void)
{
	struct sigaction act = {.sa_handler = on_signal};
	(void)sigaction(SIGINT, &act, NULL);
	(void)sigaction(SIGTERM, &act, NULL);
}

static int
become(char **then)
{
	(void)signal(SIGINT, SIG_DFL);
	(void)signal(SIGTERM, SIG_DFL);
	vs_cli_soften();
	(void)execvp(then[0], then);
	(void)fprintf(
		stderr, "vouchsafe gate: %s cannot be started: %s\n", then[0], strerror(errno));
	return VS_EXIT_USAGE;
}

/* -1: go on. */
static int
read_options(int argc, char **argv, struct options *opt)
{
	static const struct option options[] = {{"help", no_argument, NULL, 'h'},
		{"json", no_argument, NULL, 'j'}, {"token", required_argument, NULL, 't'},
		{"config", required_argument, NULL, 'c'}, {"timeout", required_argument, NULL, 'T'},
		{"agent", no_argument, NULL, 'a'}, {"lab", no_argument, NULL, 'l'},
		{"then", no_argument, NULL, 'x'}, {0}};
	optind = 0;
	opterr = 0;
	for (int c; !opt->then && (c = getopt_long(argc, argv, "+h", options, NULL)) != -1;) {
		switch (c) {
		case 'h': return vs_cli_help(help);
		case 'j': opt->json = true; break;
		case 'a': opt->agent_only = true; break;
		case 'l': opt->lab = true; break;
		case 'c': opt->config = optarg; break;
		case 'x': opt->then = argv + optind; break;
		case 't':
			if (opt->n_labels == sizeof opt->labels / sizeof opt->labels[0])
				return vs_cli_usage("gate", "too many tokens");
			opt->labels[opt->n_labels++] = optarg;
			break;
		case 'T':
			if (!vs_duration_parse(optarg, &opt->timeout_ms) ||
				opt->timeout_ms > TIMEOUT_MAX_MS)
				return vs_cli_usage("gate",
					"--timeout is a number with unit ms, s, m or h, at most "
					"24h");
			break;
		default: return vs_cli_bad_option("gate", argv);
		}
	}
	if (opt->then && !opt->then[0])
		return vs_cli_usage("gate", "--then needs a command behind it");
	if (opt->then && opt->json)
		return vs_cli_usage("gate", "--json and --then exclude each other");
	if (!opt->then && optind != argc)
		return vs_cli_usage("gate", "'%.60s' is one word too many", argv[optind]);
	if (!vs_cli_use_config(opt->config))
		return vs_cli_usage("gate", "out of memory");
	return -1;
}

int
vs_cmd_gate(int argc, char **argv)
{
	struct options opt = {.timeout_ms = 120000};
	int code = read_options(argc, argv, &opt);
	if (code >= 0)
		return code;
	watch_signals();
	code = gate(&opt);
	return code == VS_EXIT_OK && opt.then ? become(opt.then) : code;
}
