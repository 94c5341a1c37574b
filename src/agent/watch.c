/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/watch.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "jose/json.h"
#include "proto/page.h"

enum { CHECKS_MAX = 256, SOON_MS = 500, OFTEN_MS = 15000, BUCKETS = 8, TEXT_MAX = 1 << 20 };

enum result { GRANTED = 0, REFUSED, UNREACHABLE, RESULTS };
static const char *const result_words[RESULTS] = {"granted", "refused", "unreachable"};
static const double bounds_s[BUCKETS] = {0.25, 0.5, 1, 2, 4, 8, 16, 32};

struct numbers {
	uint64_t attempts[RESULTS], releases[RESULTS];
	uint64_t took[BUCKETS]; /* not cumulated */
	uint64_t took_n, took_ns;
};

struct check_count {
	size_t token;
	const char *check; /* string constant: a rule, or the name of an error */
	uint64_t n;
};

struct file_job {
	struct vs_job job;
	struct vs_watch *watch;
	const char *path;
	struct vs_buf text;
	vs_rc rc;
	struct vs_err err;
};

struct hook_job {
	struct vs_job job;
	struct vs_watch *watch;
	const char *program;
	struct vs_buf text;
	vs_rc rc;
	struct vs_err err;
};

struct vs_watch {
	struct vs_watch_env env;
	const struct vs_conf *conf;
	struct numbers *tokens;
	size_t n_checks;
	struct check_count checks[CHECKS_MAX];
	struct vs_timer timer;
	bool writing, failed, hooking, stopped;
	uint64_t hook_dropped;
	_Atomic bool stop;
};

static enum result
result_of(vs_rc rc)
{
	const enum vs_gate_event e = vs_gate_event_of(rc.code);
	return e == VS_GATE_GRANTED ? GRANTED : e == VS_GATE_UNREACHABLE ? UNREACHABLE : REFUSED;
}

/* ---- the file ------------------------------------------------------------------------------- */

/* A label's value: backslash, quote and newline are escaped. */
static VS_RC
add_label(struct vs_buf *out, const char *name, const char *value, struct vs_err *err)
{
	VS_TRY(vs_buf_addf(out, err, "%s=\"", name));
	for (; *value; value++) {
		if (*value == '\n')
			VS_TRY(vs_buf_add_str(out, "\\n", err));
		else if (*value == '"' || *value == '\\')
			VS_TRY(vs_buf_addf(out, err, "\\%c", *value));
		else
			VS_TRY(vs_buf_add(out, value, 1, err));
	}
	return vs_buf_add_str(out, "\"", err);
}

/* NAME{token="...",LABEL="..."} VALUE */
static VS_RC
add_value(struct vs_buf *out, const char *name, const char *token, const char *label,
	const char *value, double number, struct vs_err *err)
{
	VS_TRY(vs_buf_addf(out, err, "%s{", name));
	VS_TRY(add_label(out, "token", token, err));
	if (label) {
		VS_TRY(vs_buf_add_str(out, ",", err));
		VS_TRY(add_label(out, label, value, err));
	}
	return vs_buf_addf(out, err, "} %.15g\n", number);
}

static VS_RC
add_head(struct vs_buf *out, const char *name, const char *type, const char *help,
	struct vs_err *err)
{
	return vs_buf_addf(out, err, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static VS_RC
add_histogram(const struct vs_watch *w, struct vs_buf *out, struct vs_err *err)
{
	static const char name[] = "vouchsafe_attestation_duration_seconds";
	VS_TRY(add_head(
		out, name, "histogram", "Time an attestation took, whatever its end.", err));
	for (size_t i = 0; i < w->conf->n_tokens; i++) {
		const struct numbers *n = &w->tokens[i];
		const char *token = w->conf->tokens[i].label;
		uint64_t sum = 0;
		for (size_t b = 0; b < BUCKETS; b++) {
			char le[16];
			sum += n->took[b];
			(void)snprintf(le, sizeof le, "%g", bounds_s[b]);
			VS_TRY(add_value(out, "vouchsafe_attestation_duration_seconds_bucket",
				token, "le", le, (double)sum, err));
		}
		VS_TRY(add_value(out, "vouchsafe_attestation_duration_seconds_bucket", token, "le",
			"+Inf", (double)n->took_n, err));
		VS_TRY(add_value(out, "vouchsafe_attestation_duration_seconds_sum", token, NULL,
			NULL, (double)n->took_ns / 1e9, err));
		VS_TRY(add_value(out, "vouchsafe_attestation_duration_seconds_count", token, NULL,
			NULL, (double)n->took_n, err));
	}
	return VS_OK;
}

static VS_RC
add_counters(const struct vs_watch *w, struct vs_buf *out, struct vs_err *err)
{
	VS_TRY(add_head(
		out, "vouchsafe_attestations_total", "counter", "Attestations by their end.", err));
	for (size_t i = 0; i < w->conf->n_tokens; i++)
		for (int r = 0; r < RESULTS; r++)
			VS_TRY(add_value(out, "vouchsafe_attestations_total",
				w->conf->tokens[i].label, "result", result_words[r],
				(double)w->tokens[i].attempts[r], err));
	VS_TRY(add_head(
		out, "vouchsafe_releases_total", "counter", "Key releases by their end.", err));
	for (size_t i = 0; i < w->conf->n_tokens; i++)
		for (int r = 0; r < RESULTS; r++)
			VS_TRY(add_value(out, "vouchsafe_releases_total", w->conf->tokens[i].label,
				"result", result_words[r], (double)w->tokens[i].releases[r], err));
	VS_TRY(add_head(out, "vouchsafe_refusals_total", "counter",
		"Checks that failed, by rule of the check or name of the error.", err));
	for (size_t i = 0; i < w->n_checks; i++)
		VS_TRY(add_value(out, "vouchsafe_refusals_total",
			w->conf->tokens[w->checks[i].token].label, "check", w->checks[i].check,
			(double)w->checks[i].n, err));
	return VS_OK;
}

static VS_RC
add_gauges(struct vs_watch *w, struct vs_buf *out, bool *ret_open, struct vs_err *err)
{
	const struct vs_clock clock = vs_core_clock(w->env.core);
	VS_TRY(add_head(out, "vouchsafe_lease_seconds_left", "gauge",
		"Seconds until the lease ends; 0: none.", err));
	for (size_t i = 0; i < w->conf->n_tokens; i++) {
		struct vs_keeper_status s = {.lease_left_s = -1};
		if (!w->stopped)
			w->env.status(w->env.arg, i, &s);
		*ret_open = *ret_open || s.lease_left_s >= 0;
		VS_TRY(add_value(out, "vouchsafe_lease_seconds_left", w->conf->tokens[i].label,
			NULL, NULL, s.lease_left_s > 0 ? (double)s.lease_left_s : 0, err));
	}
	VS_TRY(add_head(out, "vouchsafe_agent_up", "gauge", "1 while the agent serves.", err));
	VS_TRY(vs_buf_addf(out, err, "vouchsafe_agent_up %d\n", w->stopped ? 0 : 1));
	VS_TRY(add_head(out, "vouchsafe_lab", "gauge", "1: a lab, which protects nothing.", err));
	VS_TRY(vs_buf_addf(out, err, "vouchsafe_lab %d\n", w->conf->lab ? 1 : 0));
	VS_TRY(add_head(out, "vouchsafe_written_timestamp_seconds", "gauge",
		"When this was written.", err));
	return vs_buf_addf(out, err, "vouchsafe_written_timestamp_seconds %lld\n",
		(long long)clock.ops->wall_unix(clock.self));
}

static VS_RC
render(struct vs_watch *w, struct vs_buf *out, bool *ret_open, struct vs_err *err)
{
	out->max = TEXT_MAX;
	VS_TRY(add_counters(w, out, err));
	VS_TRY(add_histogram(w, out, err));
	return add_gauges(w, out, ret_open, err);
}

static void
file_run(struct vs_job *job)
{
	struct file_job *j = (struct file_job *)job;
	j->rc = vs_file_replace(j->path, 0644, vs_buf_view(&j->text), &j->err);
}

static void
file_done(struct vs_job *job)
{
	struct file_job *j = (struct file_job *)job;
	struct vs_watch *w = j->watch;
	w->writing = false;
	/* Once, not every time. */
	if (vs_failed(j->rc) && !w->failed)
		vs_log_err(vs_core_log(w->env.core), VS_LOG_WARN, "agent",
			"the file of numbers cannot be written", &j->err);
	w->failed = vs_failed(j->rc);
	vs_buf_done(&j->text);
	free(j);
}

static void
arm(struct vs_watch *w, int64_t ms)
{
	const int64_t at = vs_boot_now_ns() + ms * INT64_C(1000000);
	if (w->stopped || !w->conf->metrics_file || w->env.private_agent)
		return;
	if (!w->timer.link || w->timer.at_boot_ns > at)
		vs_timer_set(w->env.loop, &w->timer, at);
}

static void
on_timer(void *arg)
{
	struct vs_watch *w = arg;
	struct vs_err err = {0};
	bool open = false;
	if (w->writing) {
		arm(w, SOON_MS);
		return;
	}
	struct file_job *j = calloc(1, sizeof *j);
	if (!j)
		return;
	j->job = (struct vs_job){.run = file_run, .done = file_done};
	j->watch = w;
	j->path = w->conf->metrics_file;
	if (vs_failed(render(w, &j->text, &open, &err)) ||
		vs_failed(vs_work_post(w->env.work, &j->job, &err))) {
		vs_buf_done(&j->text);
		free(j);
	} else {
		w->writing = true;
	}
	/* Only a lease runs down by itself; with nothing open nothing wakes. */
	if (open)
		arm(w, OFTEN_MS);
}

void
vs_watch_touch(struct vs_watch *w)
{
	if (w)
		arm(w, SOON_MS);
}

/* ---- the program ---------------------------------------------------------------------------- */

static VS_RC
add_checks(struct vs_json *root, const struct vs_verdict *v, struct vs_err *err)
{
	struct vs_json *list = NULL;
	VS_TRY(vs_json_new_array(&list, err));
	for (size_t i = 0; i < v->n_checks; i++) {
		const struct vs_check *c = &v->checks[i];
		struct vs_json *o = NULL;
		vs_rc rc = vs_json_new_object(&o, err);
		if (!vs_failed(rc))
			rc = vs_json_set_string(o, "rule", c->rule, err);
		if (!vs_failed(rc))
			rc = vs_json_set_string(o, "name", c->name, err);
		if (!vs_failed(rc))
			rc = vs_json_set_string(o, "expected", c->expected, err);
		if (!vs_failed(rc))
			rc = vs_json_set_string(o, "seen", c->seen, err);
		if (!vs_failed(rc))
			rc = vs_json_set_bool(o, "passed", c->passed, err);
		if (vs_failed(rc))
			vs_json_free(o);
		else
			rc = vs_json_append(list, o, err);
		if (vs_failed(rc)) {
			vs_json_free(list);
			return rc;
		}
	}
	return vs_json_set(root, "checks", list, err);
}

static VS_RC
tell(struct vs_watch *w, const struct vs_watch_attempt *a, struct vs_buf *out, struct vs_err *err)
{
	VS_CLEANUP(vs_json_freep) struct vs_json *o = NULL;
	const struct vs_clock clock = vs_core_clock(w->env.core);
	VS_TRY(vs_json_new_object(&o, err));
	VS_TRY(vs_json_set_string(o, "event", "refused", err));
	VS_TRY(vs_json_set_string(o, "token", a->token->label, err));
	VS_TRY(vs_json_set_string(o, "kind", a->renewal ? "renewal" : "need", err));
	VS_TRY(vs_json_set_bool(o, "lab", w->conf->lab, err));
	VS_TRY(vs_json_set_int(o, "time", clock.ops->wall_unix(clock.self), err));
	VS_TRY(vs_json_set_string(o, "code", vs_code_name(a->rc.code), err));
	VS_TRY(vs_json_set_int(o, "number", (int64_t)a->rc.code, err));
	VS_TRY(vs_json_set_string(o, "sentence", a->sentence, err));
	VS_TRY(vs_json_set_int(o, "untold", (int64_t)w->hook_dropped, err));
	VS_TRY(add_checks(o, a->verdict, err));
	VS_TRY(vs_json_dump(o, out, err));
	return vs_buf_add_str(out, "\n", err);
}

static void
hook_run(struct vs_job *job)
{
	struct hook_job *j = (struct hook_job *)job;
	j->rc = vs_hook_run(j->program, vs_buf_view(&j->text), &j->watch->stop, &j->err);
}

static void
hook_done(struct vs_job *job)
{
	struct hook_job *j = (struct hook_job *)job;
	j->watch->hooking = false;
	if (vs_failed(j->rc))
		vs_log_err(vs_core_log(j->watch->env.core), VS_LOG_WARN, "agent", "refusal-hook",
			&j->err);
	vs_buf_done(&j->text);
	free(j);
}

/* One at a time: while it runs, further refusals are counted, and told with the next. */
static void
call_hook(struct vs_watch *w, const struct vs_watch_attempt *a)
{
	struct vs_err err = {0};
	if (!w->conf->refusal_hook || w->stopped)
		return;
	if (w->hooking) {
		w->hook_dropped++;
		return;
	}
	struct hook_job *j = calloc(1, sizeof *j);
	if (!j)
		return;
	j->job = (struct vs_job){.run = hook_run, .done = hook_done};
	j->watch = w;
	j->program = w->conf->refusal_hook;
	vs_rc rc = tell(w, a, &j->text, &err);
	if (!vs_failed(rc))
		rc = vs_work_post(w->env.work, &j->job, &err);
	if (vs_failed(rc)) {
		vs_log_err(vs_core_log(w->env.core), VS_LOG_WARN, "agent", "refusal-hook", &err);
		vs_buf_done(&j->text);
		free(j);
		return;
	}
	w->hooking = true;
	w->hook_dropped = 0;
}

/* ---- events --------------------------------------------------------------------------------- */

static void
count_check(struct vs_watch *w, size_t token, const char *check)
{
	for (size_t i = 0; i < w->n_checks; i++) {
		struct check_count *c = &w->checks[i];
		if (c->token == token && strcmp(c->check, check) == 0) {
			c->n++;
			return;
		}
	}
	if (w->n_checks < CHECKS_MAX)
		w->checks[w->n_checks++] =
			(struct check_count){.token = token, .check = check, .n = 1};
}

void
vs_watch_attempt(struct vs_watch *w, const struct vs_watch_attempt *a)
{
	if (!w)
		return;
	const size_t i = (size_t)(a->token - w->conf->tokens);
	struct numbers *n = &w->tokens[i];
	const enum result r = result_of(a->rc);
	const double s = (double)a->took_ns / 1e9;
	n->attempts[r]++;
	n->took_n++;
	n->took_ns += (uint64_t)(a->took_ns > 0 ? a->took_ns : 0);
	for (size_t b = 0; b < BUCKETS; b++)
		if (s <= bounds_s[b]) {
			n->took[b]++;
			break;
		}
	if (r == REFUSED) {
		bool named = false;
		for (size_t k = 0; k < a->verdict->n_checks; k++)
			if (!a->verdict->checks[k].passed) {
				count_check(w, i, a->verdict->checks[k].rule);
				named = true;
			}
		if (!named)
			count_check(w, i, vs_code_name(a->rc.code));
		call_hook(w, a);
	}
	vs_watch_touch(w);
}

void
vs_watch_release(struct vs_watch *w, const struct vs_conf_token *token, vs_rc rc)
{
	if (!w)
		return;
	const size_t i = (size_t)(token - w->conf->tokens);
	const enum result r = result_of(rc);
	w->tokens[i].releases[r]++;
	if (r == REFUSED)
		count_check(w, i, vs_code_name(rc.code));
	vs_watch_touch(w);
}

/* ---- life ----------------------------------------------------------------------------------- */

VS_RC
vs_watch_new(const struct vs_watch_env *env, struct vs_watch **ret, struct vs_err *err)
{
	struct vs_watch *w = calloc(1, sizeof *w);
	if (!w)
		VS_FAIL(err, MEMORY, "out of memory");
	w->env = *env;
	w->conf = vs_core_conf(env->core);
	w->timer = (struct vs_timer){.fn = on_timer, .arg = w};
	w->tokens = calloc(w->conf->n_tokens + 1, sizeof *w->tokens);
	if (!w->tokens) {
		free(w);
		VS_FAIL(err, MEMORY, "out of memory");
	}
	*ret = w;
	return VS_OK;
}

void
vs_watch_stop(struct vs_watch *w)
{
	if (!w)
		return;
	vs_timer_clear(&w->timer);
	w->stopped = true;
	atomic_store(&w->stop, true);
}

void
vs_watch_free(struct vs_watch *w)
{
	if (!w)
		return;
	/* The last word: nothing is served any more. */
	if (w->conf->metrics_file && !w->env.private_agent) {
		VS_CLEANUP(vs_buf_done) struct vs_buf text = {0};
		bool open = false;
		if (!vs_failed(render(w, &text, &open, NULL)))
			(void)vs_failed(vs_file_replace(
				w->conf->metrics_file, 0644, vs_buf_view(&text), NULL));
	}
	free(w->tokens);
	free(w);
}
