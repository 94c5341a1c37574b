/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/keeper.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/keeper_impl.h"
#include "base/codec.h"
#include "base/log.h"

/* ---- waiters -------------------------------------------------------------------------------- */

void
vs_keeper_unlink_need(struct vs_need *need)
{
	if (!need->list)
		return;
	for (struct vs_need **p = need->list; *p; p = &(*p)->next)
		if (*p == need) {
			*p = need->next;
			break;
		}
	need->list = NULL;
	need->next = NULL;
	vs_timer_clear(&need->timer);
}

void
vs_keeper_answer_need(
	struct vs_need *need, vs_rc rc, const struct vs_err *err, const struct vs_lease_page *page)
{
	vs_keeper_unlink_need(need);
	need->fn(need, rc, err, page);
}

static void
need_timed_out(void *arg)
{
	struct vs_need *need = arg;
	struct vs_err err = {0};
	const vs_rc rc = vs_err_put(&err, VS_E_TIMEOUT, __func__, __LINE__, 0,
		"the attestation for \"%.64s\" was not finished in time",
		need->keeper->token->label);
	vs_keeper_answer_need(need, rc, &err, NULL);
}

void
vs_keeper_enlist_need(struct vs_keeper *k, struct vs_need *need, struct vs_need **list)
{
	need->list = list;
	need->next = *list;
	*list = need;
	need->timer.fn = need_timed_out;
	need->timer.arg = need;
	vs_timer_set(k->loop, &need->timer, need->deadline_boot_ns);
}

void
vs_need_cancel(struct vs_need *need)
{
	vs_keeper_unlink_need(need);
}

static void
answer_all(
	struct vs_keeper *k, vs_rc rc, const struct vs_err *err, const struct vs_lease_page *page)
{
	while (k->waiters)
		vs_keeper_answer_need(k->waiters, rc, err, page);
}

/* ---- actions -------------------------------------------------------------------------------- */

void
vs_keeper_remember(struct vs_keeper *k, const struct vs_err *err, const char *sentence)
{
	const struct vs_clock clock = vs_core_clock(k->core);
	k->last = *err;
	k->last_wall_unix = clock.ops->wall_unix(clock.self);
	if (sentence && sentence[0])
		vs_msg_sentence(vs_bytes_str(sentence), k->sentence, sizeof k->sentence);
	else
		vs_err_sentence(err, k->sentence, sizeof k->sentence);
}

static void
cancel_attempt(struct vs_keeper *k)
{
	if (k->attempt) {
		k->attempt->keeper = NULL;
		atomic_store(&k->attempt->cancelled, true);
	}
	k->attempt = NULL;
}

static void
drop_fading(struct vs_keeper *k)
{
	vs_lease_page_free(k->fading);
	k->fading = NULL;
}

static void
revoke(struct vs_keeper *k, const struct vs_err *reason)
{
	const enum vs_code code = reason->n_frames > 0 ? reason->frames[0].code : VS_E_REVOKED;
	if (k->page)
		vs_lease_page_revoke(k->page, code);
	if (k->fading)
		vs_lease_page_revoke(k->fading, code);
	if (k->page || k->fading)
		vs_keeper_note(k, "revocation", (struct vs_who){0}, reason);
	vs_lease_page_free(k->page);
	k->page = NULL;
	drop_fading(k);
}

static void
wipe(struct vs_keeper *k, vs_rc rc, const struct vs_err *err)
{
	vs_uses_lease(k->uses, ++k->lease_serial);
	vs_keyring_done(&k->ring);
	vs_attestation_unref(k->attestation);
	k->attestation = NULL;
	vs_keeper_fail_asks(k, rc, err);
}

static void
fade(struct vs_keeper *k)
{
	drop_fading(k);
	k->fading = k->page;
	k->page = NULL;
	k->fade_boot_ns = k->lease.end_boot_ns;
	vs_keeper_note(k, "expiry", (struct vs_who){0}, NULL);
}

static VS_RC
new_lease(struct vs_keeper *k, struct vs_attempt *a, struct vs_err *err)
{
	struct vs_lease_page *page = NULL;
	VS_TRY(vs_lease_page_new(
		a->fresh_id, a->lease.valid_boot_ns, a->lease.end_boot_ns, &page, err));
	vs_keyring_done(&k->ring);
	vs_attestation_unref(k->attestation);
	vs_lease_page_free(k->page);
	k->page = page;
	k->attestation = VS_TAKE(a->attestation);
	k->lease = a->lease;
	vs_uses_lease(k->uses, ++k->lease_serial);
	memcpy(k->lease_id, a->fresh_id, sizeof k->lease_id);
	snprintf(k->lease_hex, sizeof k->lease_hex, "%s", a->fresh_hex);
	k->n_failures = 0;
	k->retry_boot_ns = 0;
	k->counted_boot_ns = vs_boot_now_ns();
	vs_log(vs_core_log(k->core), VS_LOG_INFO, "gate", "%s: granted for %lld s", k->token->label,
		(long long)((a->lease.end_boot_ns - a->lease.granted_boot_ns) / 1000000000));
	return VS_OK;
}

static void
extend(struct vs_keeper *k, struct vs_attempt *a)
{
	vs_keeper_take_keys(k, a);
	vs_attestation_unref(k->attestation);
	k->attestation = VS_TAKE(a->attestation);
	k->lease.renew_boot_ns = a->lease.renew_boot_ns;
	if (a->lease.valid_boot_ns > k->lease.valid_boot_ns) {
		k->lease.valid_boot_ns = a->lease.valid_boot_ns;
		k->lease.end_boot_ns = a->lease.end_boot_ns;
	}
	vs_lease_page_extend(k->page, k->lease.valid_boot_ns, k->lease.end_boot_ns);
	k->n_failures = 0;
	k->retry_boot_ns = 0;
	k->counted_boot_ns = vs_boot_now_ns();
	vs_log(vs_core_log(k->core), VS_LOG_INFO, "gate", "%s: renewed", k->token->label);
}

static void
back_off(struct vs_keeper *k)
{
	k->n_failures++;
	k->retry_boot_ns = vs_boot_now_ns() +
		vs_lease_backoff_ms(k->n_failures, vs_core_random(k->core)) * INT64_C(1000000);
}

/* ---- the machine ---------------------------------------------------------------------------- */

static struct vs_who
who_asks(const struct vs_keeper *k, const struct vs_need *need)
{
	if (need)
		return need->who;
	return k->waiters ? k->waiters->who : (struct vs_who){0};
}

static VS_RC
start(struct vs_keeper *k, const struct vs_need *need, struct vs_err *err)
{
	if (k->attempt)
		return VS_OK;
	VS_TRY(vs_attempt_start(k, who_asks(k, need), &k->attempt, err));
	k->overdue_boot_ns = k->attempt->deadline_boot_ns + VS_KEEPER_OVERDUE_MS * INT64_C(1000000);
	return VS_OK;
}

/* What ends something; reason is set whenever one of these actions is. */
static void
act_on_end(struct vs_keeper *k, uint32_t actions, vs_rc rc, const struct vs_err *reason)
{
	if (actions & VS_GATE_REPORT)
		vs_log(vs_core_log(k->core), VS_LOG_ERROR, "gate",
			"%s: an impossible event was met by locking; this is a bug",
			k->token->label);
	if (actions & VS_GATE_CANCEL)
		cancel_attempt(k);
	if (actions & VS_GATE_REVOKE)
		revoke(k, reason);
	if (actions & VS_GATE_FADE)
		fade(k);
	if (actions & VS_GATE_WIPE)
		wipe(k, rc, reason);
}

/* One event with everything it may carry: the asker, or the attempt that has ended. */
static void
step(struct vs_keeper *k, enum vs_gate_event event, struct vs_need *need, struct vs_attempt *a,
	vs_rc rc, const struct vs_err *reason)
{
	const struct vs_gate_step s = vs_gate_step(k->state, event);
	const uint32_t actions = s.actions;
	struct vs_err failed = {0};
	vs_rc made = VS_OK;
	struct vs_err bug = {0};
	/* Whatever ends or denies needs a reason that is an error: success must not be told by
	 * mistake. */
	if ((actions & (VS_GATE_REVOKE | VS_GATE_WIPE | VS_GATE_ANSWER_ERROR)) &&
		(!vs_failed(rc) || !reason || reason->n_frames == 0)) {
		rc = vs_err_put(
			&bug, VS_E_INTERNAL, __func__, __LINE__, 0, "the gate was locked by a bug");
		reason = &bug;
	}
	k->state = s.next;
	act_on_end(k, actions, rc, reason);
	if (actions & VS_GATE_NEW_LEASE)
		made = new_lease(k, a, &failed);
	if (vs_failed(made)) {
		/* As if the attempt had found nobody: nothing was published. */
		k->state = VS_GATE_LOCKED;
		vs_keeper_remember(k, &failed, NULL);
		back_off(k);
		answer_all(k, made, &failed, NULL);
		return;
	}
	if (actions & VS_GATE_EXTEND)
		extend(k, a);
	if (actions & VS_GATE_HOLD)
		k->hold_boot_ns = vs_boot_now_ns() +
			vs_core_conf(k->core)->refusal_hold_ms * INT64_C(1000000);
	if (actions & VS_GATE_BACKOFF)
		back_off(k);
	if (actions & VS_GATE_ANSWER_GRANT)
		answer_all(k, VS_OK, NULL, k->page);
	if (actions & VS_GATE_ANSWER_ERROR)
		answer_all(k, rc, reason, NULL);
	if (actions & VS_GATE_START)
		made = start(k, need, &failed);
	if (actions & VS_GATE_JOIN)
		vs_keeper_enlist_need(k, need, &k->waiters);
	if (actions & VS_GATE_GRANT)
		vs_keeper_answer_need(need, VS_OK, NULL, k->page);
	if (actions & VS_GATE_STORED)
		vs_keeper_answer_need(
			need, (vs_rc){.code = k->last.frames[0].code}, &k->last, NULL);
	if (need && !(actions & (VS_GATE_JOIN | VS_GATE_GRANT | VS_GATE_STORED)))
		vs_keeper_answer_need(need, rc, reason, NULL);
	if (vs_failed(made)) {
		vs_keeper_remember(k, &failed, NULL);
		step(k, VS_GATE_UNREACHABLE, NULL, NULL, made, &failed);
	}
}

void
vs_keeper_feed(struct vs_keeper *k, enum vs_gate_event event, vs_rc rc, const struct vs_err *reason)
{
	step(k, event, NULL, NULL, rc, reason);
	vs_keeper_rearm(k);
}

static bool
tpm_was_reset(const struct vs_keeper *k, const struct vs_attestation *now)
{
	return k->attestation &&
		(now->reset_count != k->attestation->reset_count ||
			now->restart_count != k->attestation->restart_count);
}

VS_RC
vs_keeper_reset_error(struct vs_err *err)
{
	VS_FAIL(err, REVOKED, "the TPM was reset or restarted since the keys were released");
}

void
vs_keeper_attempt_done(struct vs_keeper *k, struct vs_attempt *a)
{
	enum vs_gate_event event = vs_gate_event_of(a->rc.code);
	k->attempt = NULL;
	vs_keeper_tell_watch(k, a);
	if (event == VS_GATE_GRANTED && vs_gate_open(k->state) &&
		tpm_was_reset(k, a->attestation)) {
		struct vs_err err = {0};
		const vs_rc rc = vs_keeper_reset_error(&err);
		vs_keeper_remember(k, &err, NULL);
		vs_keeper_feed(k, VS_GATE_RESET, rc, &err);
		return;
	}
	if (event != VS_GATE_GRANTED) {
		vs_keeper_remember(k, &a->err, a->sentence);
		vs_log(vs_core_log(k->core), VS_LOG_WARN, "gate", "%s: %s: %s", k->token->label,
			event == VS_GATE_REFUSED ? "refused" : "no answer", k->sentence);
	}
	step(k, event, NULL, a, a->rc, &a->err);
	vs_keeper_rearm(k);
}

static void
overdue(struct vs_keeper *k)
{
	struct vs_err err = {0};
	const vs_rc rc = vs_err_put(&err, VS_E_TIMEOUT, __func__, __LINE__, 0,
		"an attestation did not end within its time");
	cancel_attempt(k);
	vs_keeper_remember(k, &err, NULL);
	vs_keeper_feed(k, VS_GATE_UNREACHABLE, rc, &err);
}

static int64_t
renew_at(const struct vs_keeper *k)
{
	return k->lease.renew_boot_ns > k->retry_boot_ns ? k->lease.renew_boot_ns
							 : k->retry_boot_ns;
}

static void
on_timer(void *arg)
{
	struct vs_keeper *k = arg;
	const int64_t now = vs_boot_now_ns();
	if (k->fading && now >= k->fade_boot_ns) {
		vs_lease_page_end(k->fading);
		drop_fading(k);
	}
	if (vs_gate_open(k->state) && now >= k->lease.valid_boot_ns) {
		struct vs_err err = {0};
		const vs_rc rc = vs_err_put(
			&err, VS_E_LEASE_ENDED, __func__, __LINE__, 0, "the lease has ended");
		vs_keeper_feed(k, VS_GATE_END, rc, &err);
	} else if (k->state == VS_GATE_UNLOCKED && k->n_holders > 0 && now >= renew_at(k)) {
		vs_keeper_feed(k, VS_GATE_HALF, VS_OK, NULL);
	}
	if (k->attempt && now >= k->overdue_boot_ns)
		overdue(k);
	vs_keeper_rearm(k);
}

void
vs_keeper_rearm(struct vs_keeper *k)
{
	int64_t at = INT64_MAX;
	if (k->fading)
		at = k->fade_boot_ns;
	if (vs_gate_open(k->state) && k->lease.valid_boot_ns < at)
		at = k->lease.valid_boot_ns;
	if (k->state == VS_GATE_UNLOCKED && k->n_holders > 0 && renew_at(k) < at)
		at = renew_at(k);
	if (k->attempt && k->overdue_boot_ns < at)
		at = k->overdue_boot_ns;
	if (at == INT64_MAX)
		vs_timer_clear(&k->timer);
	else
		vs_timer_set(k->loop, &k->timer, at);
}

/* ---- need ----------------------------------------------------------------------------------- */

void
vs_keeper_need_now(struct vs_keeper *k, struct vs_need *need)
{
	const int64_t now = vs_boot_now_ns();
	bool held = false;
	if (vs_gate_open(k->state) && now >= k->lease.valid_boot_ns)
		on_timer(k);
	if (k->state == VS_GATE_DENIED)
		held = now < k->hold_boot_ns;
	else if (k->state == VS_GATE_LOCKED || k->state == VS_GATE_EXPIRED)
		held = now < k->retry_boot_ns && k->last.n_frames > 0;
	step(k, held ? VS_GATE_NEED_HELD : VS_GATE_NEED, need, NULL, VS_OK, NULL);
}

void
vs_keeper_need(struct vs_keeper *k, struct vs_need *need)
{
	need->keeper = k;
	if (vs_gate_open(k->state) &&
		vs_boot_now_ns() - k->counted_boot_ns >= VS_KEEPER_COUNTS_NS) {
		struct vs_err err = {0};
		const vs_rc rc = k->counts ? VS_OK : vs_keeper_start_counts(k, &err);
		if (vs_failed(rc))
			vs_keeper_answer_need(need, rc, &err, NULL);
		else
			vs_keeper_enlist_need(k, need, &k->counted);
		return;
	}
	vs_keeper_need_now(k, need);
	vs_keeper_rearm(k);
}

/* ---- the rest ------------------------------------------------------------------------------- */

VS_RC
vs_keeper_new(const struct vs_keeper_env *env, struct vs_keeper **ret, struct vs_err *err)
{
	struct vs_keeper *k = calloc(1, sizeof *k);
	if (!k)
		VS_FAIL(err, MEMORY, "out of memory");
	k->core = env->core;
	k->loop = env->loop;
	k->work = env->work;
	k->token = env->token;
	k->watch = env->watch;
	k->timer.fn = on_timer;
	k->timer.arg = k;
	const struct vs_uses_env uses = {
		.core = env->core, .loop = env->loop, .work = env->work, .token = env->token};
	const vs_rc rc = vs_uses_new(&uses, &k->uses, err);
	if (vs_failed(rc)) {
		free(k);
		return rc;
	}
	*ret = k;
	return VS_OK;
}

void
vs_keeper_free(struct vs_keeper *k)
{
	if (!k)
		return;
	vs_timer_clear(&k->timer);
	vs_uses_free(k->uses);
	vs_keyring_done(&k->ring);
	vs_attestation_unref(k->attestation);
	vs_lease_page_free(k->page);
	drop_fading(k);
	free(k);
}

void
vs_keeper_reset(struct vs_keeper *k, const struct vs_err *reason)
{
	const vs_rc rc = {.code = reason->frames[0].code};
	vs_keeper_remember(k, reason, NULL);
	while (k->counted)
		vs_keeper_answer_need(k->counted, rc, reason, NULL);
	vs_keeper_feed(k, VS_GATE_RESET, rc, reason);
}

void
vs_keeper_hold(struct vs_keeper *k, int change)
{
	if (change > 0)
		k->n_holders++;
	else if (k->n_holders > 0)
		k->n_holders--;
	vs_keeper_rearm(k);
}

void
vs_keeper_status(const struct vs_keeper *k, struct vs_keeper_status *ret)
{
	const int64_t left = k->lease.valid_boot_ns - vs_boot_now_ns();
	*ret = (struct vs_keeper_status){.state = k->state,
		.lease_left_s = vs_gate_open(k->state) ? (left > 0 ? left / 1000000000 : 0) : -1,
		.n_keys = (uint32_t)vs_keyring_live(&k->ring),
		.n_holders = k->n_holders,
		.code = k->last.n_frames > 0 ? (uint32_t)k->last.frames[0].code : 0,
		.wall_unix = k->last_wall_unix,
		.sentence = k->sentence};
}

const struct vs_conf_token *
vs_keeper_token(const struct vs_keeper *k)
{
	return k->token;
}
