/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/tpmtime.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "evidence/tpm.h"

#define NS_PER_S INT64_C(1000000000)

struct vs_tpmtime {
	const struct vs_conf *conf;
	struct vs_clock clock;
	char lock_path[1100];
	pthread_mutex_t mutex; /* what follows */
	struct vs_audit_tpm_time last;
	int64_t again_boot_ns; /* not before */
};

vs_rc
vs_tpmtime_new(const struct vs_conf *conf, struct vs_clock clock, struct vs_tpmtime **ret,
	struct vs_err *err)
{
	struct vs_tpmtime *t = calloc(1, sizeof *t);

	if (t == NULL || pthread_mutex_init(&t->mutex, NULL) != 0) {
		free(t);
		VS_FAIL(err, MEMORY, "out of memory");
	}
	t->conf = conf;
	t->clock = clock;
	const int n = snprintf(t->lock_path, sizeof t->lock_path, "%s/tpm.lock", conf->state_dir);
	if (n < 0 || (size_t)n >= sizeof t->lock_path) {
		vs_tpmtime_free(t);
		VS_FAIL(err, CONFIG_VALUE, "state-dir is too long");
	}
	*ret = t;
	return VS_OK;
}

void
vs_tpmtime_free(struct vs_tpmtime *t)
{
	if (t == NULL)
		return;
	(void)pthread_mutex_destroy(&t->mutex);
	free(t);
}

static VS_RC
ask(const struct vs_tpmtime *t, int64_t now_boot_ns, struct vs_audit_tpm_time *ret)
{
	const struct vs_tpm_env env = {
		.tcti = t->conf->tcti, .lock_path = t->lock_path, .clock = t->clock};
	struct vs_tpm *tpm = NULL;
	struct vs_audit_tpm_time now = {.known = true};

	VS_TRY(vs_tpm_open(&env, now_boot_ns + VS_TPMTIME_WAIT_MS * INT64_C(1000000), &tpm, NULL));
	const vs_rc rc = vs_tpm_clock(tpm, &now.clock_ms, &now.resets, &now.restarts, NULL);
	vs_tpm_close(tpm);
	VS_TRY(rc);
	now.read_boot_ns = t->clock.ops->boot_ns(t->clock.self);
	*ret = now;
	return VS_OK;
}

/*
 * A TPM that is busy gives its last reading, whose age the record tells. Who waits here waits for
 * what the first one asks, and asks no more.
 */
static bool
read_time(void *self, struct vs_audit_tpm_time *ret)
{
	struct vs_tpmtime *t = self;

	(void)pthread_mutex_lock(&t->mutex);
	const int64_t now = t->clock.ops->boot_ns(t->clock.self);
	if (now >= t->again_boot_ns) {
		const vs_rc rc = ask(t, now, &t->last);
		if (rc.code == VS_E_TPM_ABSENT)
			t->last.known = false;
		t->again_boot_ns = t->clock.ops->boot_ns(t->clock.self) +
			(t->last.known ? VS_TPMTIME_FRESH_S : VS_TPMTIME_RETRY_S) * NS_PER_S;
	}
	*ret = t->last;
	(void)pthread_mutex_unlock(&t->mutex);
	return ret->known;
}

struct vs_audit_tpm
vs_tpmtime_port(struct vs_tpmtime *t)
{
	return (struct vs_audit_tpm){.self = t, .read = read_time};
}
