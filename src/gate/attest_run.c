/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One attestation as a graph: while the TPM works, the identity token, the hardware certificates
 * and the provider's keys are on their way; then one call to the provider; then the decision here.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attest/validate.h"
#include "base/log.h"
#include "evidence/check.h"
#include "gate/attempt_impl.h"

#define PREFETCH_NS (INT64_C(1500) * 1000000)

/* ---- what goes on beside the TPM ------------------------------------------------------------- */

struct side {
	struct vs_services *s;
	struct vs_provider *provider;
	int64_t deadline_boot_ns;
	struct vs_buf amd_chain;
	vs_rc rc;
	struct vs_err err;
	pthread_t thread;
	bool running;
};

/* Only so that it is at hand when the release needs it; its failure shows there. */
static void *
fetch_identity(void *arg)
{
	struct side *x = arg;
	VS_CLEANUP(vs_secret_done) struct vs_secret token = {0};
	const struct vs_cred *cred = &x->s->cred;

	x->rc = cred->ops->get(cred->self, x->s->env.token->vault_resource, false,
		x->deadline_boot_ns, &token, &x->err);
	return NULL;
}

static void *
fetch_amd_chain(void *arg)
{
	struct side *x = arg;

	/* Machines of other kinds have none: no patience before it is known that this one needs it.
	 */
	x->rc = vs_maa_amd_chain(&x->s->net, x->s->env.conf->imds, &vs_http_retry_none,
		x->deadline_boot_ns, &x->amd_chain, &x->err);
	return NULL;
}

/* A provider that is away must not hold up the next one: what is late is fetched when needed. */
static void *
fetch_signers(void *arg)
{
	struct side *x = arg;
	const struct vs_clock *clock = &x->s->env.clock;
	const int64_t soon = clock->ops->boot_ns(clock->self) + PREFETCH_NS;

	x->rc = vs_trust_prefetch(x->provider->trust,
		soon < x->deadline_boot_ns ? soon : x->deadline_boot_ns, &x->err);
	return NULL;
}

static void
start(struct side *x, void *(*fn)(void *))
{
	x->running = pthread_create(&x->thread, NULL, fn, x) == 0;
	if (!x->running)
		fn(x);
}

static void
finish(struct side *x)
{
	if (x->running)
		pthread_join(x->thread, NULL);
	x->running = false;
}

static void
side_done(struct side *x)
{
	finish(x);
	vs_buf_done(&x->amd_chain);
}

/* ---- one try with one provider ----------------------------------------------------------------
 */

struct run {
	struct vs_services *s;
	struct vs_provider *provider;
	int64_t deadline_boot_ns;
	struct side *amd;
	struct vs_evidence_src src; /* behind a lock */
	struct vs_evidence evidence;
	struct vs_buf token;
	char request_id[80];
	struct vs_own_collateral collateral;
	struct vs_verdict own; /* what was checked here beside the token */
};

static void
run_freep(struct run **p)
{
	struct run *r = *p;

	if (r == NULL)
		return;
	if (r->src.ops != NULL)
		r->src.ops->close(r->src.self);
	vs_evidence_done(&r->evidence);
	vs_attempt_collateral_done(&r->collateral);
	vs_buf_done(&r->token);
	free(r);
}

static VS_RC
collect(struct run *r, struct vs_err *err)
{
	struct vs_services *s = r->s;
	struct vs_evidence_src bare = {0};
	uint8_t nonce[VS_NONCE_BYTES];

	VS_TRY(s->env.rng.ops->fill(s->env.rng.self, nonce, sizeof nonce, err));
	VS_TRY(vs_attempt_open_source(s, &bare, err));
	VS_TRY(vs_attempt_lock_source(&bare, &r->src, err));
	VS_TRY(r->src.ops->collect(r->src.self, nonce, r->deadline_boot_ns, &r->evidence, err));
	VS_REQUIRE(err, memcmp(r->evidence.nonce, nonce, sizeof nonce) == 0);
	return VS_OK;
}

/* What the hardware report needs beside it, by kind of machine. */
static VS_RC
complete_evidence(struct run *r, struct vs_err *err)
{
	struct vs_evidence *ev = &r->evidence;

	if (ev->tee == VS_TEE_TDX)
		return vs_maa_td_quote(&r->s->net, r->s->env.conf->imds,
			vs_buf_view(&ev->hw_report), r->deadline_boot_ns, &ev->td_quote, err);
	if (ev->tee != VS_TEE_SNP)
		return VS_OK;
	finish(r->amd);
	if (vs_failed(r->amd->rc)) {
		const vs_rc rc = vs_maa_amd_chain(&r->s->net, r->s->env.conf->imds,
			&vs_http_retry_imds, r->deadline_boot_ns, &r->amd->amd_chain, err);
		if (vs_failed(rc))
			return vs_err_while(
				rc, err, "fetching the AMD certificates of this machine");
		r->amd->rc = VS_OK;
	}
	const struct vs_bytes pem = vs_buf_view(&r->amd->amd_chain);
	return vs_buf_set(&ev->vcek_chain_pem, pem.p, pem.n, err);
}

static VS_RC
ask_provider(struct run *r, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf body = {.max = VS_MAA_REQUEST_MAX};
	VS_CLEANUP(vs_buf_done) struct vs_buf envelope = {0};
	struct vs_services *s = r->s;

	VS_TRY(vs_maa_request(&r->evidence, &s->os, &body, err));
	VS_TRY(vs_maa_attest(&s->net, r->provider->origin, vs_buf_view(&body), r->deadline_boot_ns,
		&envelope, r->request_id, err));
	return vs_maa_open(s->ossl, vs_buf_view(&envelope), &r->src, s->env.arena, &r->token, err);
}

static void
unref_jwks(struct vs_jwks **set)
{
	vs_jwks_unref(*set);
}

static VS_RC
judge(struct run *r, struct vs_token_facts *facts, struct vs_verdict *verdict, struct vs_err *err)
{
	VS_CLEANUP(unref_jwks) struct vs_jwks *jwks = NULL;
	const struct vs_services_env *env = &r->s->env;
	const struct vs_evidence *ev = &r->evidence;
	const uint8_t e[4] = {(uint8_t)(ev->enc_e >> 24), (uint8_t)(ev->enc_e >> 16),
		(uint8_t)(ev->enc_e >> 8), (uint8_t)ev->enc_e};
	struct vs_rsa_num key = {0};
	char kid[256] = "";

	VS_TRY(vs_rsa_num_set(vs_buf_view(&ev->enc_n), vs_bytes_of(e, sizeof e), &key, err));
	/* Without a kid the validation refuses; here it only tells whether newer keys are needed.
	 */
	if (vs_failed(vs_token_peek_kid(vs_buf_view(&r->token), kid, sizeof kid, NULL)))
		kid[0] = '\0';
	VS_TRY(vs_trust_keys(
		r->provider->trust, vs_bytes_str(kid), r->deadline_boot_ns, &jwks, err));
	const struct vs_validate_in in = {
		.token = vs_buf_view(&r->token),
		.jwks = jwks,
		.issuer = r->provider->origin,
		.policy = r->s->policy,
		.nonce = vs_bytes_of(ev->nonce, sizeof ev->nonce),
		.at_unix = env->clock.ops->wall_unix(env->clock.self),
		.skew_s = env->conf->clock_skew_s,
		.world = env->conf->lab ? VS_WORLD_LAB : VS_WORLD_PRODUCTION,
		.key = &key,
	};
	VS_TRY(vs_validate(&in, facts, verdict, NULL, err));
	VS_TRY(vs_attempt_service_evidence(
		r->s, vs_buf_view(&r->token), jwks, &r->collateral.c, verdict, err));
	vs_check_finish(verdict);
	return VS_OK;
}

/* The decision on the token, and whatever came before it, in one verdict. */
static VS_RC
judge_all(
	struct run *r, struct vs_token_facts *facts, struct vs_verdict *verdict, struct vs_err *err)
{
	const vs_rc rc = judge(r, facts, verdict, err);

	vs_check_append(verdict, &r->own, false);
	verdict->passed =
		!vs_failed(rc) && verdict->passed && vs_check_first_failed(verdict) == NULL;
	VS_TRY(rc);
	VS_REQUIRE(err, verdict->passed);
	return VS_OK;
}

static VS_RC
make_result(struct run *r, struct vs_token_facts *facts, const struct vs_verdict *verdict,
	struct vs_attestation **ret, struct vs_err *err)
{
	struct vs_attested *x = calloc(1, sizeof *x);

	if (x == NULL)
		VS_FAIL(err, MEMORY, "no memory for an attestation");
	struct vs_attestation *a = &x->pub;
	a->refs = 1;
	vs_buf_move(&a->token, &r->token);
	vs_buf_move(&a->claims, &facts->claims);
	a->verdict = *verdict;
	(void)snprintf(a->issuer, sizeof a->issuer, "%s", facts->issuer);
	(void)snprintf(a->kid, sizeof a->kid, "%s", facts->kid);
	(void)snprintf(a->jti, sizeof a->jti, "%s", facts->jti);
	(void)snprintf(a->policy_sha256, sizeof a->policy_sha256, "%s",
		vs_policy_text_sha256(r->s->policy));
	(void)snprintf(a->service_policy_hash, sizeof a->service_policy_hash, "%s",
		facts->service_policy_hash);
	(void)snprintf(a->token_sha256, sizeof a->token_sha256, "%s", facts->token_sha256);
	(void)snprintf(a->request_id, sizeof a->request_id, "%s", r->request_id);
	a->iat_unix = facts->iat_unix;
	a->exp_unix = facts->exp_unix;
	a->policy_max_lease_s = vs_policy_max_lease_s(r->s->policy);
	a->made_boot_ns = r->s->env.clock.ops->boot_ns(r->s->env.clock.self);
	a->reset_count = r->evidence.reset_count;
	a->restart_count = r->evidence.restart_count;
	x->wrap_bytes = r->evidence.enc_n.n;
	a->evidence = r->src;
	r->src = (struct vs_evidence_src){0};
	*ret = a;
	return VS_OK;
}

static bool
all_good(const struct vs_verdict *v)
{
	for (size_t i = 0; i < v->n_checks; i++) {
		if (!v->checks[i].passed)
			return false;
	}
	return v->n_checks != 0;
}

/* A fresh nonce, a fresh transport key and fresh evidence for each provider that is tried. */
static VS_RC
try_provider(struct vs_services *s, struct vs_provider *provider, struct side *amd,
	int64_t deadline_boot_ns, struct vs_attestation **ret, struct vs_verdict *verdict,
	struct vs_err *err)
{
	VS_CLEANUP(run_freep) struct run *r = calloc(1, sizeof *r);
	VS_CLEANUP(vs_token_facts_done) struct vs_token_facts facts = {0};
	VS_CLEANUP(side_done)
	struct side signers = {.s = s, .provider = provider, .deadline_boot_ns = deadline_boot_ns};

	*verdict = (struct vs_verdict){0};
	if (r == NULL)
		VS_FAIL(err, MEMORY, "no memory for an attestation");
	r->s = s;
	r->provider = provider;
	r->deadline_boot_ns = deadline_boot_ns;
	r->amd = amd;
	start(&signers, fetch_signers);
	VS_TRY(collect(r, err));
	VS_TRY(complete_evidence(r, err));
	VS_TRY(vs_attempt_collateral(s, &r->evidence, deadline_boot_ns, &r->collateral, err));
	const vs_rc own =
		vs_attempt_local_evidence(s, &r->evidence, &r->collateral.c, &r->own, err);
	*verdict = r->own;
	VS_TRY(own);
	/* With warn a failed check does not end the attempt, and nothing is kept either. */
	if (all_good(&r->own))
		vs_attempt_collateral_keep(s, &r->collateral);
	VS_TRY(ask_provider(r, err));
	finish(&signers);
	VS_TRY(judge_all(r, &facts, verdict, err));
	return make_result(r, &facts, verdict, ret, err);
}

/* ---- all providers ----------------------------------------------------------------------------
 */

static bool
may_fall_back(vs_rc rc)
{
	return rc.code == VS_E_CONNECT || rc.code == VS_E_TIMEOUT || rc.code == VS_E_UNAVAILABLE;
}

/* No document, no access: said before anything is sent anywhere. */
static VS_RC
need_policy(struct vs_services *s, struct vs_verdict *verdict, struct vs_err *err)
{
	struct vs_check *c = &verdict->checks[0];
	const vs_rc rc = vs_attempt_policy(s, err);

	if (!vs_failed(rc) && s->policy != NULL)
		return VS_OK;
	*c = (struct vs_check){.rule = "policy", .name = "local policy"};
	(void)snprintf(c->expected, sizeof c->expected, "a policy document");
	(void)snprintf(c->seen, sizeof c->seen, "%s", vs_failed(rc) ? "unreadable" : "none");
	verdict->n_checks = 1;
	if (vs_failed(rc))
		return rc;
	VS_FAIL(err, REFUSED_POLICY,
		"[token %s] has no policy, which denies; set policy to a release policy document",
		s->env.token->label);
}

vs_rc
vs_services_attest(struct vs_services *s, int64_t deadline_boot_ns, struct vs_attestation **ret,
	struct vs_verdict *ret_verdict, struct vs_err *err)
{
	VS_CLEANUP(side_done) struct side identity = {.s = s, .deadline_boot_ns = deadline_boot_ns};
	VS_CLEANUP(side_done) struct side amd = {.s = s, .deadline_boot_ns = deadline_boot_ns};
	vs_rc rc = VS_OK;

	*ret_verdict = (struct vs_verdict){0};
	VS_TRY(need_policy(s, ret_verdict, err));
	start(&identity, fetch_identity);
	start(&amd, fetch_amd_chain);
	for (size_t i = 0; i < s->n_providers; i++) {
		const int64_t now = s->env.clock.ops->boot_ns(s->env.clock.self);
		/* A provider that hangs leaves their share of the time to those after it. */
		const int64_t share = (deadline_boot_ns - now) / (int64_t)(s->n_providers - i);
		rc = try_provider(s, &s->providers[i], &amd, now + share, ret, ret_verdict, err);
		if (!may_fall_back(rc))
			return rc;
		vs_log(&s->env.log, VS_LOG_WARN, "gate", "%s cannot be used now (%s)%s",
			s->providers[i].origin, vs_code_text(rc.code),
			i + 1 < s->n_providers ? "; trying the next provider" : "");
	}
	return rc;
}
