/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/core.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/checkpoint.h"
#include "core/record.h"
#include "core/tpmtime.h"
#include "net/http_curl.h"

struct vs_core {
	struct vs_conf *conf;
	struct vs_clock clock;
	struct vs_rng rng;
	struct vs_log log;
	char *writer;
	struct vs_arena *arena;
	struct vs_http_curl *http;
	struct vs_tpmtime *tpmtime;
	pthread_mutex_t lock; /* of what follows; leaves only below it */
	struct vs_audit *audit;
	struct vs_services **services; /* by position of the token in conf */
};

static void
core_cleanup(struct vs_core **core)
{
	vs_core_close(*core);
}

static VS_RC
make_http(struct vs_core *core, struct vs_err *err)
{
	const struct vs_http_curl_env env = {
		.ca_bundle = core->conf->ca_bundle,
		.proxy = core->conf->proxy,
		.connect_timeout_ms = core->conf->connect_timeout_ms,
		.request_timeout_ms = core->conf->request_timeout_ms,
		.clock = core->clock,
		.log = core->log,
	};
	return vs_http_curl_new(&env, &core->http, err);
}

VS_RC
vs_core_open(const struct vs_core_env *env, struct vs_core **ret, struct vs_err *err)
{
	VS_CLEANUP(core_cleanup) struct vs_core *core = calloc(1, sizeof *core);
	if (!core)
		VS_FAIL(err, MEMORY, "out of memory");
	(void)pthread_mutex_init(&core->lock, NULL);
	core->clock = vs_clock_system();
	core->rng = vs_rng_system();
	core->log = env->log;
	core->writer = strdup(env->writer);
	if (!core->writer)
		VS_FAIL(err, MEMORY, "out of memory");
	VS_TRY(vs_conf_load(env->conf_path, &core->conf, err));
	if (env->log_from_conf)
		core->log.max = (enum vs_log_level)core->conf->log_level;
	VS_TRY(vs_arena_new(VS_CORE_ARENA_FIRST_BYTES, VS_CORE_ARENA_MAX_BYTES,
		core->conf->memory_lock_required ? VS_LOCK_REQUIRED : VS_LOCK_WARN, &core->arena,
		err));
	VS_TRY(make_http(core, err));
	VS_TRY(vs_tpmtime_new(core->conf, core->clock, &core->tpmtime, err));
	core->services = calloc(core->conf->n_tokens + 1, sizeof(struct vs_services *));
	if (!core->services)
		VS_FAIL(err, MEMORY, "out of memory");
	*ret = VS_TAKE(core);
	return VS_OK;
}

void
vs_core_close(struct vs_core *core)
{
	if (!core)
		return;
	for (size_t i = 0; core->services && i < core->conf->n_tokens; i++)
		vs_services_free(core->services[i]);
	free(core->services);
	vs_http_curl_free(core->http);
	if (core->audit)
		vs_checkpoint_note(core->conf, &core->log, core->audit, true);
	vs_audit_close(core->audit);
	vs_tpmtime_free(core->tpmtime);
	vs_arena_free(core->arena);
	vs_conf_free(core->conf);
	free(core->writer);
	(void)pthread_mutex_destroy(&core->lock);
	free(core);
}

const struct vs_conf *
vs_core_conf(const struct vs_core *core)
{
	return core->conf;
}

const char *
vs_core_agent_socket(const struct vs_core *core)
{
	return core->conf->agent_socket;
}

struct vs_arena *
vs_core_arena(const struct vs_core *core)
{
	return core->arena;
}

struct vs_clock
vs_core_clock(const struct vs_core *core)
{
	return core->clock;
}

struct vs_rng
vs_core_rng(const struct vs_core *core)
{
	return core->rng;
}

const struct vs_log *
vs_core_log(const struct vs_core *core)
{
	return &core->log;
}

uint32_t
vs_core_random(const struct vs_core *core)
{
	uint32_t n = 0;
	/* For jitter only: without random bytes there is none. */
	return vs_failed(core->rng.ops->fill(core->rng.self, &n, sizeof n, NULL)) ? 0 : n;
}

/* Lock held. */
static VS_RC
make_services(struct vs_core *core, const struct vs_conf_token *token, size_t i, struct vs_err *err)
{
	const struct vs_services_env env = {
		.conf = core->conf,
		.token = token,
		.arena = core->arena,
		.clock = core->clock,
		.rng = core->rng,
		.log = core->log,
		.http = vs_http_curl_port(core->http),
	};
	return vs_services_new(&env, &core->services[i], err);
}

VS_RC
vs_core_services(struct vs_core *core, const struct vs_conf_token *token, struct vs_services **ret,
	struct vs_err *err)
{
	const size_t i = (size_t)(token - core->conf->tokens);
	VS_REQUIRE(err, i < core->conf->n_tokens);
	(void)pthread_mutex_lock(&core->lock);
	const vs_rc rc = core->services[i] ? VS_OK : make_services(core, token, i, err);
	if (!vs_failed(rc))
		*ret = core->services[i];
	(void)pthread_mutex_unlock(&core->lock);
	return rc;
}

/* Lock held. */
static VS_RC
open_audit(struct vs_core *core, struct vs_err *err)
{
	struct vs_audit_known known;
	const struct vs_audit_env env = {
		.known = core->conf->audit_checkpoint && vs_checkpoint_known(core->conf, &known)
			? &known
			: NULL,
		.path = core->conf->audit_log,
		.tpm = vs_tpmtime_port(core->tpmtime),
		.lab = core->conf->lab,
		.writer = core->writer,
		.clock = core->clock,
		.rng = core->rng,
		.log = core->log,
	};
	if (!env.path)
		VS_FAIL(err, AUDIT, "there is no audit log: set audit-log, or audit = best-effort");
	VS_TRY(vs_audit_open(&env, &core->audit, err));
	vs_checkpoint_note(core->conf, &core->log, core->audit, false);
	return VS_OK;
}

VS_RC
vs_core_audit(struct vs_core *core, struct vs_audit **ret, struct vs_err *err)
{
	struct vs_err local = {0};
	(void)pthread_mutex_lock(&core->lock);
	const vs_rc rc = core->audit ? VS_OK : open_audit(core, &local);
	*ret = core->audit;
	(void)pthread_mutex_unlock(&core->lock);
	if (!vs_failed(rc))
		return VS_OK;
	if (!core->conf->audit_required) {
		vs_log_err(&core->log, VS_LOG_WARN, "audit", "no record is written", &local);
		return VS_OK;
	}
	if (err)
		*err = local;
	return rc;
}

/* ---- in the caller's own process ------------------------------------------------------------ */

static VS_RC
find_token(const struct vs_core *core, const char *label, const struct vs_conf_token **ret,
	struct vs_err *err)
{
	*ret = vs_conf_token_find(core->conf, label);
	if (!*ret)
		VS_FAIL(err, NOT_FOUND, "%s has no section [token %.64s]", core->conf->path, label);
	return VS_OK;
}

VS_RC
vs_core_attest(struct vs_core *core, const char *label, int64_t deadline_boot_ns,
	struct vs_attestation **ret, struct vs_verdict *ret_verdict, struct vs_err *err)
{
	const struct vs_conf_token *token = NULL;
	struct vs_services *services = NULL;
	struct vs_attestation *a = NULL;
	struct vs_err local = {0};
	*ret_verdict = (struct vs_verdict){0};
	VS_TRY(find_token(core, label, &token, err));
	vs_rc rc = vs_core_services(core, token, &services, &local);
	if (!vs_failed(rc))
		rc = vs_services_attest(services, deadline_boot_ns, &a, ret_verdict, &local);
	const struct vs_attempt_note note = {.token = token,
		.kind = VS_ATTEMPT_TOOL,
		.who = vs_who_self(),
		.rc = rc,
		.err = &local,
		.verdict = ret_verdict,
		.attestation = a};
	const vs_rc recorded = vs_record_attempt(core, &note, vs_failed(rc) ? NULL : &local);
	if (!vs_failed(rc))
		rc = recorded;
	if (vs_failed(rc)) {
		vs_attestation_unref(a);
		if (err)
			*err = local;
		return rc;
	}
	*ret = a;
	return VS_OK;
}

VS_RC
vs_core_catalog(struct vs_core *core, const char *label, int64_t deadline_boot_ns,
	struct vs_catalog_data **ret, struct vs_err *err)
{
	const struct vs_conf_token *token = NULL;
	struct vs_services *services = NULL;
	VS_TRY(find_token(core, label, &token, err));
	VS_TRY(vs_core_services(core, token, &services, err));
	return vs_services_catalog(services, deadline_boot_ns, ret, err);
}

VS_RC
vs_core_release(struct vs_core *core, const char *label, struct vs_attestation *attestation,
	const struct vs_cat_entry *entry, int64_t deadline_boot_ns, struct vs_secret *ret,
	struct vs_release_info *ret_info, struct vs_err *err)
{
	const struct vs_conf_token *token = NULL;
	struct vs_services *services = NULL;
	struct vs_release_info info = {0};
	struct vs_err local = {0};
	VS_CLEANUP(vs_secret_done) struct vs_secret secret = {0};
	VS_TRY(find_token(core, label, &token, err));
	VS_TRY(vs_core_services(core, token, &services, err));
	vs_rc rc = vs_services_release(
		services, attestation, entry, deadline_boot_ns, &secret, &info, &local);
	const vs_rc recorded = vs_record_release(core, token, NULL, vs_who_self(), entry, rc,
		&local, &info, vs_failed(rc) ? NULL : &local);
	if (!vs_failed(rc))
		rc = recorded;
	if (vs_failed(rc)) {
		if (err)
			*err = local;
		return rc;
	}
	vs_secret_move(ret, &secret);
	*ret_info = info;
	return VS_OK;
}
