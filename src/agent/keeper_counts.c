/* SPDX-License-Identifier: BSD-2-Clause */
/* TPM reset counts, read at most once a second and before a grant is handed out (T-A9). */
#include <stdlib.h>

#include "agent/keeper_impl.h"

/* ---- TPM counts, at most once a second, before a grant is handed out (T-A9) -------------------
 */

struct vs_counts {
	struct vs_job job;
	struct vs_keeper *keeper;
	struct vs_core *core;
	const struct vs_conf_token *token;
	uint64_t lease_serial;
	uint32_t reset, restart;
	vs_rc rc;
	struct vs_err err;
};

static void
counts_run(struct vs_job *job)
{
	struct vs_counts *c = (struct vs_counts *)job;
	struct vs_services *services = NULL;
	c->rc = vs_core_services(c->core, c->token, &services, &c->err);
	if (!vs_failed(c->rc))
		c->rc = vs_services_tpm_counts(services, &c->reset, &c->restart, &c->err);
}

static void
counts_done(struct vs_job *job)
{
	struct vs_counts *c = (struct vs_counts *)job;
	struct vs_keeper *k = c->keeper;
	k->counts = NULL;
	const bool same_lease = c->lease_serial == k->lease_serial && k->attestation;
	if (!vs_failed(c->rc) && same_lease) {
		k->counted_boot_ns = vs_boot_now_ns();
		if (c->reset != k->attestation->reset_count ||
			c->restart != k->attestation->restart_count) {
			struct vs_err err = {0};
			const vs_rc rc = vs_keeper_reset_error(&err);
			vs_keeper_remember(k, &err, NULL);
			vs_keeper_feed(k, VS_GATE_RESET, rc, &err);
		}
	}
	while (k->counted) {
		struct vs_need *need = k->counted;
		if (vs_failed(c->rc) && same_lease) {
			vs_keeper_answer_need(need, c->rc, &c->err, NULL);
			continue;
		}
		vs_keeper_unlink_need(need);
		vs_keeper_need_now(k, need);
	}
	vs_keeper_rearm(k);
	free(c);
}

VS_RC
vs_keeper_start_counts(struct vs_keeper *k, struct vs_err *err)
{
	struct vs_counts *c = calloc(1, sizeof *c);
	if (!c)
		VS_FAIL(err, MEMORY, "out of memory");
	*c = (struct vs_counts){.job = {.run = counts_run, .done = counts_done},
		.keeper = k,
		.core = k->core,
		.token = k->token,
		.lease_serial = k->lease_serial};
	const vs_rc rc = vs_work_post(k->work, &c->job, err);
	if (vs_failed(rc))
		free(c);
	else
		k->counts = c;
	return rc;
}
