/* SPDX-License-Identifier: BSD-2-Clause */
#include "gate/attempt.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/codec.h"
#include "base/file.h"
#include "base/log.h"
#include "crypto/ossl.h"
#include "evidence/ev_azguest.h"
#include "gate/attempt_impl.h"
#include "jose/jose.h"
#include "jose/x509.h"
#include "keys/cred.h"
#include "keys/release.h"

enum { ROOTS_FILE_MAX = 8 << 20 };

/* ---- a source of evidence ------------------------------------------------------------------- */

vs_rc
vs_attempt_open_source(struct vs_services *s, struct vs_evidence_src *ret, struct vs_err *err)
{
	const struct vs_azguest_env env = {
		.tcti = s->env.conf->tcti,
		.lock_path = s->tpm_lock,
		.event_log = s->env.conf->event_log,
		.ima_log = s->env.token->ima != VS_CONF_IMA_OFF ? s->env.conf->ima_log : NULL,
		.pcr_mask = s->env.token->pcr_mask,
		.clock = s->env.clock,
		.rng = s->env.rng,
		.log = s->env.log,
	};

	return vs_azguest_open(&env, ret, err);
}

struct locked {
	struct vs_evidence_src inner;
	pthread_mutex_t lock;
};

static vs_rc
locked_collect(void *self, const uint8_t nonce[VS_NONCE_BYTES], int64_t deadline_boot_ns,
	struct vs_evidence *ret, struct vs_err *err)
{
	struct locked *l = self;

	pthread_mutex_lock(&l->lock);
	const vs_rc rc = l->inner.ops->collect(l->inner.self, nonce, deadline_boot_ns, ret, err);
	pthread_mutex_unlock(&l->lock);
	return rc;
}

static vs_rc
locked_unwrap(void *self, enum vs_unwrap scheme, struct vs_bytes ciphertext, struct vs_arena *arena,
	struct vs_secret *ret, struct vs_err *err)
{
	struct locked *l = self;

	pthread_mutex_lock(&l->lock);
	const vs_rc rc = l->inner.ops->unwrap(l->inner.self, scheme, ciphertext, arena, ret, err);
	pthread_mutex_unlock(&l->lock);
	return rc;
}

static vs_rc
locked_counts(void *self, uint32_t *ret_reset, uint32_t *ret_restart, struct vs_err *err)
{
	struct locked *l = self;

	pthread_mutex_lock(&l->lock);
	const vs_rc rc = l->inner.ops->counts(l->inner.self, ret_reset, ret_restart, err);
	pthread_mutex_unlock(&l->lock);
	return rc;
}

static void
locked_close(void *self)
{
	struct locked *l = self;

	if (l == NULL)
		return;
	l->inner.ops->close(l->inner.self);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

vs_rc
vs_attempt_lock_source(struct vs_evidence_src *src, struct vs_evidence_src *ret, struct vs_err *err)
{
	static const struct vs_evidence_ops ops = {
		.name = "locked",
		.version = 1,
		.collect = locked_collect,
		.unwrap = locked_unwrap,
		.counts = locked_counts,
		.close = locked_close,
	};
	struct locked *l = calloc(1, sizeof *l);

	if (l == NULL) {
		src->ops->close(src->self);
		*src = (struct vs_evidence_src){0};
		VS_FAIL(err, MEMORY, "no memory for an attestation");
	}
	l->inner = *src;
	*src = (struct vs_evidence_src){0};
	pthread_mutex_init(&l->lock, NULL);
	*ret = (struct vs_evidence_src){.ops = &ops, .self = l};
	return VS_OK;
}

struct vs_attestation *
vs_attestation_ref(struct vs_attestation *a)
{
	__atomic_add_fetch(&a->refs, 1, __ATOMIC_RELAXED);
	return a;
}

void
vs_attestation_unref(struct vs_attestation *a)
{
	if (a == NULL || __atomic_sub_fetch(&a->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	if (a->evidence.ops != NULL)
		a->evidence.ops->close(a->evidence.self);
	vs_buf_done(&a->token);
	vs_buf_done(&a->claims);
	free((struct vs_attested *)(void *)a);
}

/* ---- making and freeing --------------------------------------------------------------------- */

static VS_RC
check_settings(const struct vs_services_env *env, struct vs_err *err)
{
	const struct vs_conf_token *t = env->token;

	if (t->evidence != VS_EVIDENCE_AUTO && t->evidence != VS_EVIDENCE_AZURE_GUEST)
		VS_FAIL(err, CONFIG_VALUE,
			"[token %s]: this kind of evidence is not available; use azure-guest",
			t->label);
	if (t->attestation == NULL)
		VS_FAIL(err, CONFIG_MISSING, "[token %s]: attestation is not set", t->label);
	if (t->service_evidence == VS_REQUIRE_ON && t->service_measurements == NULL)
		VS_FAIL(err, CONFIG_MISSING,
			"[token %s]: service-evidence = require needs service-measurements",
			t->label);
	return VS_OK;
}

/* policy_lock held. */
static VS_RC
read_policy(struct vs_services *s, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {0};
	const char *path = s->env.token->policy;

	if (path == NULL || s->policy != NULL)
		return VS_OK;
	VS_TRY(vs_file_read(path, VS_POLICY_TEXT_MAX, VS_FILE_TRUSTED, &text, err));
	const vs_rc rc = vs_policy_parse(vs_buf_view(&text), &s->policy, err);
	return vs_failed(rc) ? vs_err_while(rc, err, "reading the policy %s", path) : rc;
}

VS_RC
vs_attempt_policy(struct vs_services *s, struct vs_err *err)
{
	pthread_mutex_lock(&s->policy_lock);
	const vs_rc rc = read_policy(s, err);
	pthread_mutex_unlock(&s->policy_lock);
	return rc;
}

static VS_RC
read_anchors(struct vs_services *s, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf pem = {.max = ROOTS_FILE_MAX};
	const struct vs_conf *conf = s->env.conf;
	const char *path = conf->release_roots != NULL ? conf->release_roots : conf->ca_bundle;

	VS_TRY(vs_file_read(path, ROOTS_FILE_MAX, VS_FILE_TRUSTED, &pem, err));
	const vs_rc rc = vs_certs_from_pem(vs_buf_view(&pem), &s->release_anchors, err);
	return vs_failed(rc) ? vs_err_while(rc, err, "reading the roots in %s", path) : rc;
}

static VS_RC
add_provider(struct vs_services *s, const char *origin, struct vs_err *err)
{
	const struct vs_trust_env env = {.issuer = origin, .net = s->net};

	if (s->n_providers == VS_PROVIDERS_MAX)
		VS_FAIL(err, CONFIG_VALUE, "[token %s]: more than %d fallback providers",
			s->env.token->label, VS_PROVIDERS_MAX - 1);
	struct vs_provider *p = &s->providers[s->n_providers];
	VS_TRY(vs_trust_new(&env, &p->trust, err));
	p->origin = origin;
	s->n_providers++;
	return VS_OK;
}

static VS_RC
build(struct vs_services *s, struct vs_err *err)
{
	const struct vs_conf_token *t = s->env.token;

	VS_TRY(check_settings(&s->env, err));
	s->net = (struct vs_net){
		.http = s->env.http,
		.clock = s->env.clock,
		.rng = s->env.rng,
		.log = s->env.log,
	};
	const int n =
		snprintf(s->tpm_lock, sizeof s->tpm_lock, "%s/tpm.lock", s->env.conf->state_dir);
	if (n < 0 || (size_t)n >= sizeof s->tpm_lock)
		VS_FAIL(err, CONFIG_VALUE, "state-dir is too long");
	vs_maa_os_read(&s->os);
	VS_TRY(vs_ossl_new(&s->ossl, err));
	VS_TRY(read_anchors(s, err));
	VS_TRY(vs_attempt_roots(s, err));
	VS_TRY(add_provider(s, t->attestation, err));
	for (char *const *f = t->attestation_fallback; f != NULL && *f != NULL; f++)
		VS_TRY(add_provider(s, *f, err));
	const struct vs_cred_env cred = {
		.conf = s->env.conf, .token = t, .arena = s->env.arena, .net = s->net};
	VS_TRY(vs_cred_new(&cred, &s->cred, err));
	const struct vs_akv_env akv = {.token = t, .net = s->net, .cred = s->cred};
	return vs_akv_new(&akv, &s->akv, err);
}

vs_rc
vs_services_new(const struct vs_services_env *env, struct vs_services **ret, struct vs_err *err)
{
	struct vs_services *s = calloc(1, sizeof *s);

	if (s == NULL)
		VS_FAIL(err, MEMORY, "no memory for the services of a token");
	s->env = *env;
	pthread_mutex_init(&s->said_lock, NULL);
	pthread_mutex_init(&s->policy_lock, NULL);
	const vs_rc rc = build(s, err);
	if (vs_failed(rc)) {
		vs_services_free(s);
		return rc;
	}
	*ret = s;
	return VS_OK;
}

void
vs_services_free(struct vs_services *s)
{
	if (s == NULL)
		return;
	vs_akv_free(s->akv);
	if (s->cred.ops != NULL)
		s->cred.ops->free(s->cred.self);
	for (size_t i = 0; i < s->n_providers; i++)
		vs_trust_free(s->providers[i].trust);
	vs_certs_free(s->release_anchors);
	vs_roots_done(&s->roots);
	vs_ev_certs_done(&s->ima_keys);
	vs_policy_unref(s->policy);
	vs_ossl_unref(s->ossl);
	pthread_mutex_destroy(&s->said_lock);
	pthread_mutex_destroy(&s->policy_lock);
	free(s);
}

/* ---- catalog, counts ------------------------------------------------------------------------ */

vs_rc
vs_services_catalog(struct vs_services *s, int64_t deadline_boot_ns, struct vs_catalog_data **ret,
	struct vs_err *err)
{
	return vs_akv_catalog(s->akv, deadline_boot_ns, ret, err);
}

vs_rc
vs_services_tpm_counts(
	struct vs_services *s, uint32_t *ret_reset, uint32_t *ret_restart, struct vs_err *err)
{
	struct vs_evidence_src src = {0};

	VS_TRY(vs_attempt_open_source(s, &src, err));
	const vs_rc rc = src.ops->counts(src.self, ret_reset, ret_restart, err);
	src.ops->close(src.self);
	return rc;
}

/* ---- release -------------------------------------------------------------------------------- */

static bool
is_our_authority(const struct vs_services *s, const char *authority)
{
	size_t n = strlen(authority);

	while (n > 0 && authority[n - 1] == '/')
		n--;
	for (size_t i = 0; i < s->n_providers; i++) {
		if (strlen(s->providers[i].origin) == n &&
			strncasecmp(s->providers[i].origin, authority, n) == 0)
			return true;
	}
	return false;
}

/* Renewals would say the same again and again: each sentence is logged once. */
__attribute__((format(printf, 2, 3))) static void
warn_once(struct vs_services *s, const char *fmt, ...)
{
	uint64_t hash = UINT64_C(14695981039346656037);
	char line[800];
	bool known = false;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	for (const char *p = line; *p != '\0'; p++)
		hash = (hash ^ (uint8_t)*p) * UINT64_C(1099511628211);
	pthread_mutex_lock(&s->said_lock);
	for (size_t i = 0; i < s->n_said && !known; i++)
		known = s->said[i] == hash;
	if (!known && s->n_said < VS_SAID_MAX)
		s->said[s->n_said++] = hash;
	pthread_mutex_unlock(&s->said_lock);
	if (!known)
		vs_log(&s->env.log, VS_LOG_WARN, "keys", "%s", line);
}

/* A release policy may be weaker than its owner believes (T-K4). */
static void
weigh_policy(
	struct vs_services *s, const struct vs_release_facts *facts, struct vs_release_info *info)
{
	VS_CLEANUP(vs_policy_unrefp) struct vs_policy *policy = NULL;

	if (!facts->policy_immutable)
		warn_once(s, "the release policy of %s can be changed in the vault (not immutable)",
			facts->kid);
	if (vs_failed(vs_policy_parse(vs_buf_view(&facts->policy), &policy, NULL))) {
		uint8_t digest[32];
		warn_once(s, "the release policy of %s is of a form that is not known", facts->kid);
		if (!vs_failed(vs_sha256(vs_buf_view(&facts->policy), digest, NULL)))
			vs_hex_str(digest, sizeof digest, info->policy_sha256,
				sizeof info->policy_sha256);
		return;
	}
	info->policy_known = true;
	(void)snprintf(
		info->policy_sha256, sizeof info->policy_sha256, "%s", vs_policy_sha256(policy));
	for (size_t i = 0; i < vs_policy_authorities(policy); i++) {
		const char *authority = vs_policy_authority(policy, i);
		if (!is_our_authority(s, authority))
			warn_once(s,
				"the release policy of %s also believes %.120s, which is not "
				"configured here",
				facts->kid, authority);
	}
	if (!vs_policy_demands_tee(policy))
		warn_once(s, "the release policy of %s can be met without any TEE", facts->kid);
}

vs_rc
vs_services_release(struct vs_services *s, struct vs_attestation *a,
	const struct vs_cat_entry *entry, int64_t deadline_boot_ns, struct vs_secret *ret,
	struct vs_release_info *ret_info, struct vs_err *err)
{
	const struct vs_attested *attested = (const struct vs_attested *)(const void *)a;
	VS_CLEANUP(vs_buf_done) struct vs_buf jws = {0};
	VS_CLEANUP(vs_release_facts_done) struct vs_release_facts facts = {0};
	struct vs_release_info info = {0};

	VS_TRY(vs_akv_release(s->akv, entry, vs_buf_view(&a->token), deadline_boot_ns, &jws,
		info.request_id, err));
	const struct vs_release_want want = {
		.entry = entry,
		.vault = s->env.token->vault,
		.enc = vs_akv_enc_name(s->env.token->wrap),
		.anchors = s->release_anchors,
		.now_unix = s->env.clock.ops->wall_unix(s->env.clock.self),
		.wrap_bytes = attested->wrap_bytes,
		.ossl = s->ossl,
		.log = s->env.log,
	};
	VS_TRY(vs_release_open(
		&want, vs_buf_view(&jws), &a->evidence, s->env.arena, ret, &facts, err));
	(void)snprintf(info.kid, sizeof info.kid, "%s", facts.kid);
	(void)snprintf(info.enc, sizeof info.enc, "%s", facts.enc);
	info.policy_immutable = facts.policy_immutable;
	weigh_policy(s, &facts, &info);
	*ret_info = info;
	return VS_OK;
}
