/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/cli.h"

#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/checkpoint.h"
#include "tools/remedy.h"
#include "core/tpmtime.h"
#include "gate/gate.h"

static const int cat_exit[VS_CAT_COUNT_] = {
	[VS_CAT_NONE] = VS_EXIT_OK,
	[VS_CAT_USAGE] = VS_EXIT_USAGE,
	[VS_CAT_CONFIG] = VS_EXIT_USAGE,
	[VS_CAT_RESOURCE] = VS_EXIT_TEMPORARY,
	[VS_CAT_IO] = VS_EXIT_TEMPORARY,
	[VS_CAT_REMOTE] = VS_EXIT_TEMPORARY,
	[VS_CAT_PROTOCOL] = VS_EXIT_TEMPORARY,
	[VS_CAT_CRYPTO] = VS_EXIT_REFUSED,
	[VS_CAT_EVIDENCE] = VS_EXIT_TEMPORARY,
	[VS_CAT_POLICY] = VS_EXIT_REFUSED,
	[VS_CAT_STATE] = VS_EXIT_TEMPORARY,
	[VS_CAT_GONE] = VS_EXIT_REFUSED,
	[VS_CAT_INTERNAL] = VS_EXIT_USAGE,
};

int
vs_cli_exit_code(enum vs_code code)
{
	/* A file that cannot be read is the caller's, an agent that is not there is passing. */
	if (code == VS_E_FILE)
		return VS_EXIT_USAGE;
	return cat_exit[vs_code_cat(code)];
}

int
vs_cli_fail(vs_rc rc, const struct vs_err *err)
{
	char s[2048];
	vs_err_sentence(err, s, sizeof s);
	(void)fprintf(stderr, "vouchsafe: %s\n", *s ? s : vs_code_text(rc.code));
	vs_remedy_print(NULL, rc.code);
	const int code = vs_cli_exit_code(rc.code);
	return code == VS_EXIT_OK ? VS_EXIT_USAGE : code;
}

int
vs_cli_usage(const char *command, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	(void)fprintf(stderr, "vouchsafe %s: ", command);
	(void)vfprintf(stderr, fmt, ap);
	(void)fprintf(stderr, "; 'vouchsafe %s --help' says how it is used\n", command);
	va_end(ap);
	return VS_EXIT_USAGE;
}

int
vs_cli_bad_option(const char *command, char **argv)
{
	/* A long one that is not known leaves 0 or the value of its struct option. */
	if (optopt > ' ' && optopt < 0x7f && optind > 0 && strncmp(argv[optind - 1], "--", 2) != 0)
		return vs_cli_usage(command, "there is no option -%c", optopt);
	return vs_cli_usage(command, "the option %.60s is not known, lacks its value or has none",
		optind > 0 ? argv[optind - 1] : "");
}

int
vs_cli_help(const char *text)
{
	(void)fputs(text, stdout);
	return vs_cli_done(VS_EXIT_OK);
}

int
vs_cli_done(int exit_code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return exit_code;
	(void)fprintf(stderr, "vouchsafe: the output could not be written\n");
	return exit_code == VS_EXIT_OK ? VS_EXIT_USAGE : exit_code;
}

void
vs_cli_world_done(struct vs_cli_world *w)
{
	vs_audit_close(w->audit);
	vs_tpmtime_free(w->tpmtime);
	vs_http_curl_free(w->curl);
	vs_arena_free(w->arena);
	vs_conf_free(w->conf);
	*w = (struct vs_cli_world){0};
}

static VS_RC
open_audit(struct vs_cli_world *w, struct vs_err *err)
{
	if (!w->conf->audit_log && w->conf->audit_required)
		VS_FAIL(err, AUDIT, "%s: audit = required, but there is no audit-log",
			w->conf->path);
	if (!w->conf->audit_log)
		return VS_OK;
	struct vs_audit_known known;
	VS_TRY(vs_tpmtime_new(w->conf, w->clock, &w->tpmtime, err));
	const struct vs_audit_env env = {
		.known = w->conf->audit_checkpoint && vs_checkpoint_known(w->conf, &known) ? &known
											   : NULL,
		.path = w->conf->audit_log,
		.tpm = vs_tpmtime_port(w->tpmtime),
		.lab = w->conf->lab,
		.writer = "vouchsafe",
		.clock = w->clock,
		.rng = w->rng,
		.log = w->log,
	};
	struct vs_err why = {0};
	const vs_rc rc = vs_audit_open(&env, &w->audit, &why);
	if (!vs_failed(rc)) {
		vs_checkpoint_note(w->conf, &w->log, w->audit, false);
		return VS_OK;
	}
	if (w->conf->audit_required) {
		if (err)
			*err = why;
		return vs_err_while(
			rc, err, "and audit = required, so nothing may be attested without it");
	}
	vs_log_err(&w->log, VS_LOG_WARN, "audit", "going on without the audit log", &why);
	return VS_OK;
}

VS_RC
vs_cli_world_base(const char *config, struct vs_cli_world *ret, struct vs_err *err)
{
	VS_CLEANUP(vs_cli_world_done)
	struct vs_cli_world w = {.clock = vs_clock_system(),
		.rng = vs_rng_system(),
		.log = vs_log_stderr(VS_LOG_WARN)};
	VS_TRY(vs_conf_load(config ? config : vs_conf_default_path(), &w.conf, err));
	const enum vs_lock_mode lock =
		w.conf->memory_lock_required ? VS_LOCK_REQUIRED : VS_LOCK_WARN;
	VS_TRY(vs_arena_new(256 * 1024, 4 << 20, lock, &w.arena, err));
	*ret = w;
	w = (struct vs_cli_world){0};
	return VS_OK;
}

VS_RC
vs_cli_world_http(struct vs_cli_world *w, struct vs_err *err)
{
	const struct vs_http_curl_env env = {
		.ca_bundle = w->conf->ca_bundle,
		.proxy = w->conf->proxy,
		.connect_timeout_ms = w->conf->connect_timeout_ms,
		.request_timeout_ms = w->conf->request_timeout_ms,
		.clock = w->clock,
		.log = w->log,
	};
	return w->curl ? VS_OK : vs_http_curl_new(&env, &w->curl, err);
}

VS_RC
vs_cli_world_talk(struct vs_cli_world *w, struct vs_err *err)
{
	VS_TRY(vs_cli_world_http(w, err));
	return w->audit ? VS_OK : open_audit(w, err);
}

VS_RC
vs_cli_world_open(const char *config, struct vs_cli_world *ret, struct vs_err *err)
{
	VS_CLEANUP(vs_cli_world_done) struct vs_cli_world w = {0};
	VS_TRY(vs_cli_world_base(config, &w, err));
	VS_TRY(vs_cli_world_talk(&w, err));
	*ret = w;
	w = (struct vs_cli_world){0};
	return VS_OK;
}

VS_RC
vs_cli_token(const struct vs_conf *conf, const char *label, const struct vs_conf_token **ret,
	struct vs_err *err)
{
	if (conf->n_tokens == 0)
		VS_FAIL(err, CONFIG_MISSING, "%s: there is no [token LABEL] section", conf->path);
	const struct vs_conf_token *t = conf->n_tokens == 1 ? &conf->tokens[0] : NULL;
	if (label)
		t = vs_conf_token_find(conf, label);
	if (t) {
		*ret = t;
		return VS_OK;
	}
	char labels[200] = "";
	size_t n = 0;
	for (size_t i = 0; i < conf->n_tokens && n < sizeof labels; i++)
		n += (size_t)snprintf(labels + n, sizeof labels - n, "%s%s", i ? ", " : "",
			conf->tokens[i].label);
	VS_FAIL(err, NOT_FOUND, "%s; the tokens of %s are: %s",
		label ? "there is no such token" : "say which token (--token LABEL)", conf->path,
		labels);
}

VS_RC
vs_cli_services(struct vs_cli_world *w, const struct vs_conf_token *token, struct vs_services **ret,
	struct vs_err *err)
{
	const struct vs_services_env env = {
		.conf = w->conf,
		.token = token,
		.arena = w->arena,
		.clock = w->clock,
		.rng = w->rng,
		.log = w->log,
		.http = vs_http_curl_port(w->curl),
	};
	return vs_services_new(&env, ret, err);
}

VS_RC
vs_cli_record(struct vs_cli_world *w, const char *label, const char *kind, vs_rc outcome,
	const struct vs_verdict *v, const struct vs_err *why, struct vs_err *err)
{
	struct vs_audit_rec *rec = NULL;
	if (!w->audit)
		return VS_OK;
	const enum vs_gate_event event = vs_gate_event_of(outcome.code);
	const char *const result = event == VS_GATE_GRANTED ? "granted"
		: event == VS_GATE_UNREACHABLE              ? "unreachable"
							    : "refused";
	VS_TRY(vs_audit_begin(w->audit, "attempt", &rec, err));
	vs_audit_str(rec, "token", label);
	vs_audit_str(rec, "kind", kind);
	vs_audit_str(rec, "result", result);
	vs_audit_verdict(rec, v);
	if (vs_failed(outcome))
		vs_audit_err(rec, why);
	VS_TRY(vs_audit_commit(
		w->audit, rec, w->clock.ops->boot_ns(w->clock.self) + INT64_C(5000000000), err));
	const struct vs_checkpoint_env env = {.conf = w->conf, .clock = w->clock, .log = w->log};
	vs_checkpoint_perhaps(&env, w->audit);
	return VS_OK;
}

/* ---- the machine's agent -------------------------------------------------------------------- */

void
vs_cli_agent_done(struct vs_cli_agent *a)
{
	vs_client_free(a->client);
	vs_profile_free(a->profile);
	*a = (struct vs_cli_agent){0};
}

VS_RC
vs_cli_agent_open(struct vs_arena *arena, struct vs_cli_agent *ret, struct vs_err *err)
{
	VS_CLEANUP(vs_cli_agent_done) struct vs_cli_agent a = {0};
	VS_TRY(vs_profile_load(&a.profile, err));
	/* Looking must not change anything: an agent that does not run is not started. */
	a.profile->agent_program[0] = '\0';
	VS_TRY(vs_client_new(a.profile, arena, &a.client, err));
	*ret = a;
	a = (struct vs_cli_agent){0};
	return VS_OK;
}

VS_RC
vs_cli_agent_index(const struct vs_cli_agent *a, const char *label, size_t *ret, struct vs_err *err)
{
	for (size_t i = 0; i < a->profile->n_tokens; i++) {
		if (strcmp(a->profile->tokens[i].label, label) == 0) {
			*ret = i;
			return VS_OK;
		}
	}
	VS_FAIL(err, NOT_FOUND, "there is no token %.64s", label);
}

bool
vs_cli_use_config(const char *config)
{
	return !config || setenv("VOUCHSAFE_CONF", config, 1) == 0;
}

void
vs_cli_soften(void)
{
	struct rlimit core = {0};
	(void)signal(SIGPIPE, SIG_DFL);
	if (getrlimit(RLIMIT_CORE, &core) == 0) {
		core.rlim_cur = core.rlim_max;
		(void)setrlimit(RLIMIT_CORE, &core);
	}
}
