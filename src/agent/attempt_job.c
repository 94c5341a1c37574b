/* SPDX-License-Identifier: BSD-2-Clause */
/* One attempt on a worker: attest, release again what is in use, record; then tell the keeper. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/keeper_impl.h"
#include "agent/watch.h"
#include "base/codec.h"
#include "base/log.h"
#include "gate/sentence.h"

void
vs_attempt_free(struct vs_attempt *a)
{
	if (!a)
		return;
	for (size_t i = 0; i < a->n_keys; i++) {
		vs_catalog_data_free(a->keys[i].item);
		vs_secret_done(&a->keys[i].secret);
	}
	free(a->keys);
	vs_attestation_unref(a->attestation);
	free(a);
}

/* A refusal names every failed check; the whole text is kept for `status`. */
static void
name_failed_checks(struct vs_attempt *a)
{
	char text[VS_ERR_TEXT_MAX];
	vs_err_sentence(&a->err, a->sentence, sizeof a->sentence);
	if (vs_code_cat(a->rc.code) != VS_CAT_POLICY)
		return;
	vs_verdict_sentence(&a->verdict, text, sizeof text);
	if (text[0] == '\0')
		return;
	(void)vs_err_put(&a->err, a->rc.code, __func__, __LINE__, 0, "%s", text);
	vs_verdict_sentence(&a->verdict, a->sentence, sizeof a->sentence);
}

static VS_RC
attest(struct vs_attempt *a, struct vs_services **services, struct vs_err *err)
{
	const struct vs_clock clock = vs_core_clock(a->core);
	struct vs_lease_limits limits = {
		.now_boot_ns = clock.ops->boot_ns(clock.self),
		.now_wall_unix = clock.ops->wall_unix(clock.self),
		.max_lease_s = a->token->max_lease_s,
		.jitter = a->jitter,
	};
	VS_TRY(vs_core_services(a->core, a->token, services, err));
	VS_TRY(vs_services_attest(
		*services, a->deadline_boot_ns, &a->attestation, &a->verdict, err));
	VS_REQUIRE(err, a->attestation != NULL && a->verdict.passed);
	limits.token_exp_unix = a->attestation->exp_unix;
	const int64_t policy_s = a->attestation->policy_max_lease_s;
	if (policy_s > 0 && policy_s < limits.max_lease_s)
		limits.max_lease_s = policy_s;
	return vs_lease_make(&limits, &a->lease, err);
}

static void
run(struct vs_job *job)
{
	struct vs_attempt *a = (struct vs_attempt *)job;
	struct vs_services *services = NULL;
	struct vs_err unrecorded = {0};
	a->rc = attest(a, &services, &a->err);
	if (!vs_failed(a->rc))
		a->rc = vs_attempt_release_again(a, services, &a->err);
	/* What nobody will get must not be recorded as granted. */
	if (!vs_failed(a->rc) && atomic_load(&a->cancelled))
		a->rc = vs_err_put(&a->err, VS_E_STATE, __func__, __LINE__, 0,
			"the attempt was given up before it ended");
	if (vs_failed(a->rc))
		name_failed_checks(a);
	const struct vs_attempt_note note = {
		.token = a->token,
		.kind = a->renewal ? VS_ATTEMPT_RENEWAL : VS_ATTEMPT_NEED,
		.who = a->who,
		.lease = a->renewal ? a->lease_hex : a->fresh_hex,
		.lease_after = a->renewal ? a->fresh_hex : NULL,
		.lease_s = (a->lease.end_boot_ns - a->lease.granted_boot_ns) / 1000000000,
		.rc = a->rc,
		.err = &a->err,
		.verdict = &a->verdict,
		.attestation = a->attestation,
	};
	const vs_rc recorded = vs_record_attempt(a->core, &note, &unrecorded);
	/* No record, no grant. */
	if (vs_failed(recorded) && !vs_failed(a->rc)) {
		a->rc = recorded;
		a->err = unrecorded;
		name_failed_checks(a);
	}
}

static void
done(struct vs_job *job)
{
	struct vs_attempt *a = (struct vs_attempt *)job;
	if (a->keeper)
		vs_keeper_attempt_done(a->keeper, a);
	vs_attempt_free(a);
}

static VS_RC
list_keys(struct vs_keeper *k, struct vs_attempt *a, struct vs_err *err)
{
	a->keys = calloc(k->ring.n + 1, sizeof *a->keys);
	if (!a->keys)
		VS_FAIL(err, MEMORY, "out of memory");
	for (size_t i = 0; i < k->ring.n; i++) {
		const struct vs_ring_key *key = k->ring.keys[i];
		if (key->state != VS_RING_LIVE)
			continue;
		struct vs_rekey *r = &a->keys[a->n_keys];
		VS_TRY(vs_catalog_item(&key->item->entries[0], &r->item, err));
		r->no = key->no;
		a->n_keys++;
	}
	return VS_OK;
}

static void
attempt_cleanup(struct vs_attempt **a)
{
	vs_attempt_free(*a);
}

VS_RC
vs_attempt_start(
	struct vs_keeper *k, struct vs_who who, struct vs_attempt **ret, struct vs_err *err)
{
	VS_CLEANUP(attempt_cleanup) struct vs_attempt *a = calloc(1, sizeof *a);
	if (!a)
		VS_FAIL(err, MEMORY, "out of memory");
	const struct vs_rng rng = vs_core_rng(k->core);
	a->job = (struct vs_job){.run = run, .done = done};
	a->keeper = k;
	a->core = k->core;
	a->token = k->token;
	a->who = who;
	a->renewal = k->state == VS_GATE_RENEWING;
	a->jitter = vs_core_random(k->core);
	a->deadline_boot_ns =
		vs_boot_now_ns() + vs_core_conf(k->core)->operation_timeout_ms * INT64_C(1000000);
	VS_TRY(rng.ops->fill(rng.self, a->fresh_id, sizeof a->fresh_id, err));
	vs_hex_str(a->fresh_id, sizeof a->fresh_id, a->fresh_hex, sizeof a->fresh_hex);
	snprintf(a->lease_hex, sizeof a->lease_hex, "%s", k->lease_hex);
	if (a->renewal)
		VS_TRY(list_keys(k, a, err));
	VS_TRY(vs_work_post(k->work, &a->job, err));
	*ret = VS_TAKE(a);
	return VS_OK;
}

void
vs_keeper_tell_watch(const struct vs_keeper *k, const struct vs_attempt *a)
{
	const int64_t began = a->deadline_boot_ns -
		vs_core_conf(k->core)->operation_timeout_ms * INT64_C(1000000);
	const struct vs_watch_attempt told = {.token = k->token,
		.renewal = a->renewal,
		.rc = a->rc,
		.sentence = a->sentence,
		.verdict = &a->verdict,
		.took_ns = vs_boot_now_ns() - began};
	vs_watch_attempt(k->watch, &told);
}
