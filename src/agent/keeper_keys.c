/* SPDX-License-Identifier: BSD-2-Clause */
/* Keys of a live lease: one release at a time per key, and a record of who gets which. */
#include <stdlib.h>
#include <string.h>

#include "agent/keeper_impl.h"
#include "agent/watch.h"
#include "base/log.h"

/* ---- events that nobody waits for ----------------------------------------------------------- */

struct note {
	struct vs_job job;
	struct vs_core *core;
	const struct vs_conf_token *token;
	const char *event;
	struct vs_who who;
	char lease_hex[2 * VS_LEASE_ID_BYTES + 1];
	struct vs_err reason;
};

static void
note_run(struct vs_job *job)
{
	struct note *n = (struct note *)job;
	/* A failure is logged where it happens; what is told here has happened already. */
	(void)!vs_failed(vs_record_event(n->core, n->event, n->token,
		n->lease_hex[0] ? n->lease_hex : NULL, n->who, &n->reason, NULL));
}

static void
note_done(struct vs_job *job)
{
	free(job);
}

void
vs_keeper_note(
	struct vs_keeper *k, const char *event, struct vs_who who, const struct vs_err *reason)
{
	struct vs_err err = {0};
	vs_log(vs_core_log(k->core), VS_LOG_INFO, "gate", "%s: %s", k->token->label, event);
	struct note *n = calloc(1, sizeof *n);
	if (!n)
		return;
	*n = (struct note){.job = {.run = note_run, .done = note_done},
		.core = k->core,
		.token = k->token,
		.event = event,
		.who = who};
	memcpy(n->lease_hex, k->lease_hex, sizeof n->lease_hex);
	if (reason)
		n->reason = *reason;
	if (!vs_failed(vs_work_post(k->work, &n->job, &err)))
		return;
	/* No worker takes it (the agent ends): then here. */
	note_run(&n->job);
	free(n);
}

/* ---- one job for a release, or for a hand-over ---------------------------------------------- */

struct vs_key_job {
	struct vs_job job;
	struct vs_keeper *keeper;
	struct vs_core *core;
	const struct vs_conf_token *token;
	struct vs_key_ask *ask; /* hand-over: NULL once it was cancelled */
	bool last; /* hand-over: what follows is only counted */
	struct vs_attestation *attestation; /* release */
	struct vs_catalog_data *item;
	uint32_t no;
	uint64_t lease_serial;
	char lease_hex[2 * VS_LEASE_ID_BYTES + 1];
	struct vs_who who;
	int64_t deadline_boot_ns;
	struct vs_secret secret;
	struct vs_release_info info;
	vs_rc rc;
	struct vs_err err;
};

static void
key_job_free(struct vs_key_job *j)
{
	if (!j)
		return;
	vs_attestation_unref(j->attestation);
	vs_catalog_data_free(j->item);
	vs_secret_done(&j->secret);
	free(j);
}

static void
key_job_cleanup(struct vs_key_job **j)
{
	key_job_free(*j);
}

static void
unlink_ask(struct vs_key_ask *ask)
{
	if (!ask->keeper)
		return;
	for (struct vs_key_ask **p = &ask->keeper->asks; *p; p = &(*p)->next)
		if (*p == ask) {
			*p = ask->next;
			break;
		}
	if (ask->job)
		ask->job->ask = NULL;
	ask->job = NULL;
	ask->keeper = NULL;
	ask->next = NULL;
	vs_timer_clear(&ask->timer);
}

static void
answer_ask(struct vs_key_ask *ask, vs_rc rc, const struct vs_err *err)
{
	const uint32_t no = ask->no;
	unlink_ask(ask);
	ask->fn(ask, rc, err, no, NULL, -1);
}

void
vs_key_ask_cancel(struct vs_key_ask *ask)
{
	unlink_ask(ask);
}

void
vs_keeper_fail_asks(struct vs_keeper *k, vs_rc rc, const struct vs_err *err)
{
	while (k->asks)
		answer_ask(k->asks, rc, err);
}

static VS_RC
key_job_new(struct vs_keeper *k, const struct vs_ring_key *key, struct vs_who who,
	struct vs_key_job **ret, struct vs_err *err)
{
	VS_CLEANUP(key_job_cleanup) struct vs_key_job *j = calloc(1, sizeof *j);
	if (!j)
		VS_FAIL(err, MEMORY, "out of memory");
	j->keeper = k;
	j->core = k->core;
	j->token = k->token;
	j->no = key->no;
	j->lease_serial = k->lease_serial;
	j->who = who;
	memcpy(j->lease_hex, k->lease_hex, sizeof j->lease_hex);
	VS_TRY(vs_catalog_item(&key->item->entries[0], &j->item, err));
	*ret = VS_TAKE(j);
	return VS_OK;
}

/* ---- hand-over ------------------------------------------------------------------------------ */

static void
handover_run(struct vs_job *job)
{
	struct vs_key_job *j = (struct vs_key_job *)job;
	j->rc = vs_record_handover(
		j->core, j->token, j->lease_hex, j->who, &j->item->entries[0], j->last, &j->err);
}

static struct vs_uses_who
asker(const struct vs_keeper *k, const struct vs_key_ask *ask)
{
	return (struct vs_uses_who){.who = ask->who,
		.pid_fd = ask->pid_fd,
		.peer = ask->peer,
		.lease_serial = k->lease_serial,
		.lease_hex = k->lease_hex};
}

/* The key with the counters of its process. */
static void
give(struct vs_keeper *k, struct vs_key_ask *ask, const struct vs_ring_key *key, bool counted)
{
	const struct vs_uses_who w = asker(k, ask);
	struct vs_err err = {0};
	int fd = -1;
	const vs_rc rc =
		vs_uses_give(k->uses, &w, key->no, &key->item->entries[0], counted, &fd, &err);
	if (vs_failed(rc)) {
		answer_ask(ask, rc, &err);
		return;
	}
	const uint32_t no = ask->no;
	unlink_ask(ask);
	ask->fn(ask, VS_OK, NULL, no, &key->secret, fd);
}

static void
handover_done(struct vs_job *job)
{
	struct vs_key_job *j = (struct vs_key_job *)job;
	struct vs_key_ask *ask = j->ask;
	vs_uses_recorded(j->keeper->uses, j->who.uid, !vs_failed(j->rc));
	if (ask) {
		ask->job = NULL;
		const struct vs_ring_key *key = vs_keyring_at(&j->keeper->ring, j->no);
		/* An ask that is still here belongs to the lease: ending it answers all. */
		if (vs_failed(j->rc))
			answer_ask(ask, j->rc, &j->err);
		else if (!key || key->state != VS_RING_LIVE)
			answer_ask(ask, (vs_rc){.code = VS_E_KEY_GONE}, key ? &key->err : &j->err);
		else
			give(j->keeper, ask, key, false);
	}
	key_job_free(j);
}

/* One record for each process, key and lease; and no user fills the disk with processes. */
static void
hand_over(struct vs_keeper *k, struct vs_key_ask *ask, const struct vs_ring_key *key)
{
	struct vs_err err = {0};
	struct vs_key_job *j = NULL;
	const struct vs_uses_who w = asker(k, ask);
	const enum vs_uses_note note = vs_uses_note(k->uses, &w, key->no);
	if (note == VS_USES_KNOWN || note == VS_USES_COUNT) {
		give(k, ask, key, note == VS_USES_COUNT);
		return;
	}
	vs_rc rc = key_job_new(k, key, ask->who, &j, &err);
	if (!vs_failed(rc)) {
		j->last = note == VS_USES_RECORD_LAST;
		j->job.run = handover_run;
		j->job.done = handover_done;
		rc = vs_work_post(k->work, &j->job, &err);
	}
	if (vs_failed(rc)) {
		vs_uses_recorded(k->uses, ask->who.uid, false);
		key_job_free(j);
		answer_ask(ask, rc, &err);
		return;
	}
	j->ask = ask;
	ask->job = j;
}

/* ---- release -------------------------------------------------------------------------------- */

static void
release_run(struct vs_job *job)
{
	struct vs_key_job *j = (struct vs_key_job *)job;
	struct vs_services *services = NULL;
	const struct vs_cat_entry *entry = &j->item->entries[0];
	struct vs_err unrecorded = {0};
	j->rc = vs_core_services(j->core, j->token, &services, &j->err);
	if (!vs_failed(j->rc))
		j->rc = vs_services_release(services, j->attestation, entry, j->deadline_boot_ns,
			&j->secret, &j->info, &j->err);
	const vs_rc recorded = vs_record_release(j->core, j->token, j->lease_hex, j->who, entry,
		j->rc, &j->err, &j->info, &unrecorded);
	if (vs_failed(recorded) && !vs_failed(j->rc)) {
		vs_secret_done(&j->secret);
		j->rc = recorded;
		j->err = unrecorded;
	}
}

/* All who wait for this key. */
static void
answer_key(struct vs_keeper *k, const struct vs_ring_key *key)
{
	struct vs_key_ask *next = NULL;
	for (struct vs_key_ask *ask = k->asks; ask; ask = next) {
		next = ask->next;
		if (ask->no != key->no || ask->job)
			continue;
		if (key->state == VS_RING_LIVE)
			hand_over(k, ask, key);
		else
			answer_ask(ask, (vs_rc){.code = key->err.frames[0].code}, &key->err);
	}
}

static void
release_failed(struct vs_keeper *k, struct vs_ring_key *key, vs_rc rc, const struct vs_err *err)
{
	key->state = rc.code == VS_E_KEY_GONE ? VS_RING_GONE : VS_RING_FAILED;
	key->err = *err;
	const bool refused =
		key->state == VS_RING_GONE || vs_gate_event_of(rc.code) == VS_GATE_REFUSED;
	/* An outage is asked about again soon, but not as often as anybody likes: each is a record.
	 */
	const int64_t hold_ms =
		refused ? vs_core_conf(k->core)->refusal_hold_ms : VS_LEASE_BACKOFF_FIRST_MS;
	key->held_until_boot_ns = vs_boot_now_ns() + hold_ms * INT64_C(1000000);
	vs_log_err(vs_core_log(k->core), VS_LOG_WARN, "keys", k->token->label, err);
}

/*
 * The transport key does not open under other PCRs: the machine is not in the state any more that
 * was attested, so nothing that rests on the attestation goes on (T-A9). Who asked is told that
 * the lease has ended, asks again, and gets a new attestation's verdict.
 */
static void
machine_changed(struct vs_keeper *k, const struct vs_err *why)
{
	struct vs_err err = {0};
	char s[VS_ERR_TEXT_MAX];
	vs_keeper_remember(k, why, NULL);
	vs_err_sentence(why, s, sizeof s);
	const vs_rc rc = vs_err_put(&err, VS_E_LEASE_ENDED, __func__, __LINE__, 0, "%s", s);
	vs_keeper_feed(k, VS_GATE_RESET, rc, &err);
}

static void
release_done(struct vs_job *job)
{
	struct vs_key_job *j = (struct vs_key_job *)job;
	struct vs_keeper *k = j->keeper;
	struct vs_ring_key *key = vs_keyring_at(&k->ring, j->no);
	vs_watch_release(k->watch, j->token, j->rc);
	const bool ours = j->lease_serial == k->lease_serial && vs_gate_open(k->state) && key;
	if (ours && j->rc.code == VS_E_REFUSED_BINDING) {
		machine_changed(k, &j->err);
		key_job_free(j);
		return;
	}
	/* A key of a lease that is over is wiped with the job. */
	if (ours) {
		if (vs_failed(j->rc)) {
			release_failed(k, key, j->rc, &j->err);
		} else {
			vs_secret_move(&key->secret, &j->secret);
			key->info = j->info;
			key->state = VS_RING_LIVE;
			vs_lease_page_key(k->page, key->no, VS_PAGE_KEY_LIVE);
		}
		answer_key(k, key);
	}
	key_job_free(j);
}

static VS_RC
start_release(struct vs_keeper *k, struct vs_ring_key *key, struct vs_who who, struct vs_err *err)
{
	VS_CLEANUP(key_job_cleanup) struct vs_key_job *j = NULL;
	VS_TRY(key_job_new(k, key, who, &j, err));
	j->job.run = release_run;
	j->job.done = release_done;
	j->attestation = vs_attestation_ref(k->attestation);
	j->deadline_boot_ns =
		vs_boot_now_ns() + vs_core_conf(k->core)->operation_timeout_ms * INT64_C(1000000);
	VS_TRY(vs_work_post(k->work, &j->job, err));
	j = NULL;
	key->state = VS_RING_RELEASING;
	return VS_OK;
}

static void
ask_timed_out(void *arg)
{
	struct vs_key_ask *ask = arg;
	struct vs_err err = {0};
	const vs_rc rc = vs_err_put(
		&err, VS_E_TIMEOUT, __func__, __LINE__, 0, "the key was not released in time");
	answer_ask(ask, rc, &err);
}

static VS_RC
find_or_add(struct vs_keeper *k, const struct vs_key_ask *ask, const struct vs_cat_entry *entry,
	struct vs_ring_key **ret, struct vs_err *err)
{
	struct vs_ring_key *key = vs_keyring_find(&k->ring, entry->name, entry->version);
	if (!key) {
		VS_TRY(vs_keyring_add(&k->ring, entry, &key, err));
		key->state = VS_RING_FAILED; /* until its release is on the way */
		(void)vs_err_put(
			&key->err, VS_E_STATE, __func__, __LINE__, 0, "the key was not released");
	}
	/* A key that was gone may be enabled again: the vault is asked anew, not the memory. */
	const bool retry = key->state == VS_RING_FAILED || key->state == VS_RING_GONE;
	if (retry && vs_boot_now_ns() >= key->held_until_boot_ns)
		VS_TRY(start_release(k, key, ask->who, err));
	*ret = key;
	return VS_OK;
}

void
vs_keeper_peer_gone(struct vs_keeper *k, const void *peer)
{
	vs_uses_peer_gone(k->uses, peer);
}

void
vs_keeper_flush_uses(struct vs_keeper *k)
{
	vs_uses_flush(k->uses);
}

void
vs_keeper_key(struct vs_keeper *k, struct vs_key_ask *ask, const struct vs_cat_entry *entry)
{
	struct vs_err err = {0};
	struct vs_ring_key *key = NULL;
	vs_rc rc = VS_OK;
	ask->keeper = k;
	ask->next = k->asks;
	k->asks = ask;
	ask->timer.fn = ask_timed_out;
	ask->timer.arg = ask;
	vs_timer_set(k->loop, &ask->timer, ask->deadline_boot_ns);
	if (!vs_gate_open(k->state) || vs_boot_now_ns() >= k->lease.valid_boot_ns ||
		memcmp(ask->lease_id, k->lease_id, sizeof k->lease_id) != 0)
		rc = vs_err_put(
			&err, VS_E_LEASE_ENDED, __func__, __LINE__, 0, "the lease has ended");
	else
		rc = find_or_add(k, ask, entry, &key, &err);
	if (vs_failed(rc)) {
		answer_ask(ask, rc, &err);
		return;
	}
	ask->no = key->no;
	if (key->state == VS_RING_LIVE)
		hand_over(k, ask, key);
	else if (key->state != VS_RING_RELEASING)
		answer_ask(ask, (vs_rc){.code = key->err.frames[0].code}, &key->err);
}

/* ---- renewal -------------------------------------------------------------------------------- */

void
vs_keeper_take_keys(struct vs_keeper *k, struct vs_attempt *a)
{
	for (size_t i = 0; i < a->n_keys; i++) {
		struct vs_rekey *r = &a->keys[i];
		struct vs_ring_key *key = vs_keyring_at(&k->ring, r->no);
		vs_watch_release(k->watch, k->token, r->rc);
		if (!key || key->state != VS_RING_LIVE)
			continue;
		if (vs_failed(r->rc)) {
			vs_lease_page_key(k->page, key->no, VS_PAGE_KEY_GONE);
			vs_secret_done(&key->secret);
			key->state = VS_RING_GONE;
			key->err = r->err;
			vs_log_err(vs_core_log(k->core), VS_LOG_WARN, "keys", k->token->label,
				&r->err);
			continue;
		}
		/* Equal bytes stay where they are. */
		if (!vs_secret_eq(&key->secret, &r->secret))
			vs_secret_move(&key->secret, &r->secret);
		key->info = r->info;
	}
}
