/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the keeper share. */
#ifndef VS_AGENT_KEEPER_IMPL_H
#define VS_AGENT_KEEPER_IMPL_H

#include <stdatomic.h>

#include "agent/keeper.h"
#include "agent/uses.h"
#include "gate/keyring.h"
#include "gate/lease.h"

enum { VS_KEEPER_OVERDUE_MS = 5000, VS_KEEPER_COUNTS_NS = 1000000000, VS_SENTENCE_BYTES = 1024 };

struct vs_attempt;
struct vs_counts;

struct vs_keeper {
	struct vs_core *core;
	struct vs_loop *loop;
	struct vs_work *work;
	struct vs_watch *watch;
	const struct vs_conf_token *token;
	enum vs_gate_state state;
	/* Lease: valid while the gate is open. */
	struct vs_lease lease;
	uint64_t lease_serial; /* of leases; results for an older one are dropped */
	uint8_t lease_id[VS_LEASE_ID_BYTES];
	char lease_hex[2 * VS_LEASE_ID_BYTES + 1];
	struct vs_lease_page *page;
	struct vs_lease_page *fading; /* ended, but in its grace */
	int64_t fade_boot_ns;
	struct vs_attestation *attestation;
	struct vs_keyring ring;
	/* Attempt in flight and who waits for it. */
	struct vs_attempt *attempt;
	struct vs_need *waiters;
	int64_t overdue_boot_ns;
	/* TPM counts being read, and who waits for them. */
	struct vs_counts *counts;
	struct vs_need *counted;
	int64_t counted_boot_ns;
	struct vs_key_ask *asks;
	struct vs_uses_book *uses;
	unsigned n_holders;
	/* Last error, and until when it stands. */
	struct vs_err last;
	int64_t last_wall_unix;
	char sentence[VS_SENTENCE_BYTES];
	unsigned n_failures;
	int64_t hold_boot_ns, retry_boot_ns;
	struct vs_timer timer;
};

/* ---- attempt.c: on a worker ------------------------------------------------------------------ */

struct vs_rekey {
	uint32_t no;
	struct vs_catalog_data *item;
	vs_rc rc;
	struct vs_err err;
	struct vs_secret secret;
	struct vs_release_info info;
};

struct vs_attempt {
	struct vs_job job;
	struct vs_keeper *keeper; /* NULL: nobody wants the result any more */
	_Atomic bool cancelled; /* the same for the worker */
	struct vs_core *core;
	const struct vs_conf_token *token;
	bool renewal;
	struct vs_who who;
	int64_t deadline_boot_ns;
	uint32_t jitter;
	uint8_t fresh_id[VS_LEASE_ID_BYTES];
	char fresh_hex[2 * VS_LEASE_ID_BYTES + 1];
	char lease_hex[2 * VS_LEASE_ID_BYTES + 1];
	size_t n_keys;
	struct vs_rekey *keys; /* in use, to be released again */
	/* Results. */
	vs_rc rc;
	struct vs_err err;
	struct vs_verdict verdict;
	char sentence[VS_SENTENCE_BYTES];
	struct vs_attestation *attestation;
	struct vs_lease lease;
};
/* Start one; vs_keeper_attempt_done() is told its end. */
VS_RC vs_attempt_start(
	struct vs_keeper *k, struct vs_who who, struct vs_attempt **ret, struct vs_err *err);
void vs_keeper_tell_watch(const struct vs_keeper *k, const struct vs_attempt *a);
void vs_attempt_free(struct vs_attempt *a);
/* rekey.c: the vault has to agree again for each key in use. On the attempt's worker. */
VS_RC
vs_attempt_release_again(struct vs_attempt *a, struct vs_services *services, struct vs_err *err);

/* ---- keeper.c ------------------------------------------------------------------------------- */

void vs_keeper_attempt_done(struct vs_keeper *k, struct vs_attempt *a);
/* Feed one event; reason for those that end something. */
void vs_keeper_feed(
	struct vs_keeper *k, enum vs_gate_event event, vs_rc rc, const struct vs_err *reason);
void vs_keeper_rearm(struct vs_keeper *k);
void vs_keeper_remember(struct vs_keeper *k, const struct vs_err *err, const char *sentence);
/* Always an error: the TPM was reset. */
VS_RC vs_keeper_reset_error(struct vs_err *err);
void vs_keeper_unlink_need(struct vs_need *need);
void vs_keeper_answer_need(
	struct vs_need *need, vs_rc rc, const struct vs_err *err, const struct vs_lease_page *page);
void vs_keeper_enlist_need(struct vs_keeper *k, struct vs_need *need, struct vs_need **list);
/* By the gate, without looking at the TPM first. */
void vs_keeper_need_now(struct vs_keeper *k, struct vs_need *need);

/* ---- keeper_counts.c ------------------------------------------------------------------------ */

/* Who waits is in k->counted. */
VS_RC vs_keeper_start_counts(struct vs_keeper *k, struct vs_err *err);

/* ---- keeper_keys.c -------------------------------------------------------------------------- */

/* All who wait for keys of the lease that ends. */
void vs_keeper_fail_asks(struct vs_keeper *k, vs_rc rc, const struct vs_err *err);
/* Take over what a renewal released again. */
void vs_keeper_take_keys(struct vs_keeper *k, struct vs_attempt *a);

#endif
