/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "evidence/tpm.h"
#include "jose/jose.h"

#define INDEX_FIRST 0x01815600u
#define NS_PER_S INT64_C(1000000000)

enum { DEADLINE_S = 5, NOTE_MAX = 256, PATH_BYTES = 1100 };

vs_rc
vs_checkpoint_index(const struct vs_conf *conf, uint32_t *ret, struct vs_err *err)
{
	uint8_t digest[32];

	if (conf->audit_log == NULL)
		VS_FAIL(err, CONFIG_MISSING, "there is no audit log: set audit-log");
	VS_TRY(vs_sha256(vs_bytes_str(conf->audit_log), digest, err));
	*ret = INDEX_FIRST | digest[0];
	return VS_OK;
}

static VS_RC
note_path(const struct vs_conf *conf, char out[PATH_BYTES], struct vs_err *err)
{
	uint32_t index = 0;

	VS_TRY(vs_checkpoint_index(conf, &index, err));
	const int n = snprintf(
		out, PATH_BYTES, "%s/audit-checkpoint-%08x", conf->state_dir, (unsigned)index);
	if (n < 0 || n >= PATH_BYTES)
		VS_FAIL(err, CONFIG_VALUE, "state-dir is too long");
	return VS_OK;
}

static void
closep(struct vs_tpm **tpm)
{
	vs_tpm_close(*tpm);
}

static VS_RC
open_tpm(const struct vs_checkpoint_env *env, struct vs_tpm **ret, struct vs_err *err)
{
	char lock[PATH_BYTES];
	const int n = snprintf(lock, sizeof lock, "%s/tpm.lock", env->conf->state_dir);

	if (n < 0 || (size_t)n >= sizeof lock)
		VS_FAIL(err, CONFIG_VALUE, "state-dir is too long");
	const struct vs_tpm_env tpm = {
		.tcti = env->conf->tcti, .lock_path = lock, .clock = env->clock};
	return vs_tpm_open(
		&tpm, env->clock.ops->boot_ns(env->clock.self) + DEADLINE_S * NS_PER_S, ret, err);
}

vs_rc
vs_checkpoint_counter(
	const struct vs_checkpoint_env *env, bool *ret_exists, uint64_t *ret, struct vs_err *err)
{
	VS_CLEANUP(closep) struct vs_tpm *tpm = NULL;
	uint32_t index = 0;

	VS_TRY(vs_checkpoint_index(env->conf, &index, err));
	VS_TRY(open_tpm(env, &tpm, err));
	return vs_tpm_counter_read(tpm, index, ret_exists, ret, err);
}

static VS_RC
write_note(const struct vs_conf *conf, const struct vs_checkpoint_made *m, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {.max = NOTE_MAX};
	char path[PATH_BYTES];

	VS_TRY(note_path(conf, path, err));
	VS_TRY(vs_buf_addf(&text, err, "%s %llu %s %llu\n", m->at.log_id,
		(unsigned long long)m->at.seq, m->at.hash, (unsigned long long)m->counter));
	return vs_file_replace(path, 0640, vs_buf_view(&text), err);
}

void
vs_checkpoint_note(
	const struct vs_conf *conf, const struct vs_log *log, struct vs_audit *audit, bool always)
{
	struct vs_checkpoint_made made = {0};
	struct vs_audit_known known;
	struct vs_err why = {0};

	if (!conf->audit_checkpoint || audit == NULL || !vs_audit_head(audit, &made.at))
		return;
	if (!always && vs_checkpoint_known(conf, &known) &&
		strcmp(known.log_id, made.at.log_id) == 0)
		return;
	if (vs_failed(write_note(conf, &made, &why)))
		vs_log_err(
			log, VS_LOG_INFO, "audit", "how far the log has come is not noted", &why);
}

bool
vs_checkpoint_known(const struct vs_conf *conf, struct vs_audit_known *ret)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {.max = NOTE_MAX};
	char path[PATH_BYTES], seq[21];

	*ret = (struct vs_audit_known){0};
	if (vs_failed(note_path(conf, path, NULL)) ||
		vs_failed(vs_file_read(path, NOTE_MAX - 1, VS_FILE_TRUSTED, &text, NULL)) ||
		memchr(text.p, '\0', text.n) != NULL)
		return false;
	if (sscanf(vs_buf_cstr(&text), "%32[0-9a-f] %20[0-9] %64[0-9a-f]", ret->log_id, seq,
		    ret->hash) != 3 ||
		strlen(ret->log_id) != 32 || strlen(ret->hash) != 64)
		return false;
	ret->seq = strtoull(seq, NULL, 10);
	return ret->seq != 0;
}

/*
 * The TPM's lock is held from reading to raising, so that checkpoints of several processes come one
 * after the other. First the record, then the raise: a crash between leaves one record too many,
 * which hides nothing.
 */
vs_rc
vs_checkpoint_make(const struct vs_checkpoint_env *env, struct vs_audit *audit,
	struct vs_checkpoint_made *ret, struct vs_err *err)
{
	VS_CLEANUP(closep) struct vs_tpm *tpm = NULL;
	struct vs_checkpoint_made made = {0};
	struct vs_audit_rec *rec = NULL;
	uint64_t before = 0, after = 0;
	bool exists = false;
	char nv[16];

	VS_TRY(vs_checkpoint_index(env->conf, &made.index, err));
	VS_TRY(open_tpm(env, &tpm, err));
	VS_TRY(vs_tpm_counter_read(tpm, made.index, &exists, &before, err));
	const bool fresh = !exists;
	if (fresh) {
		/* The first raise tells where it starts. */
		VS_TRY(vs_tpm_counter_raise(tpm, made.index, err));
		VS_TRY(vs_tpm_counter_read(tpm, made.index, &exists, &before, err));
	}
	if (!exists || before >= INT64_MAX)
		VS_FAIL(err, TPM, "the TPM's counter in NV 0x%08X is not to be had", made.index);
	made.counter = before + 1;
	(void)snprintf(nv, sizeof nv, "%08x", (unsigned)made.index);
	VS_TRY(vs_audit_begin(audit, "checkpoint", &rec, err));
	vs_audit_int(rec, "counter", (int64_t)made.counter);
	vs_audit_str(rec, "nv", nv);
	vs_audit_bool(rec, "new", fresh);
	VS_TRY(vs_audit_commit(
		audit, rec, env->clock.ops->boot_ns(env->clock.self) + DEADLINE_S * NS_PER_S, err));
	(void)vs_audit_head(audit, &made.at);
	VS_TRY(vs_tpm_counter_raise(tpm, made.index, err));
	VS_TRY(vs_tpm_counter_read(tpm, made.index, &exists, &after, err));
	if (!exists || after != made.counter)
		VS_FAIL(err, TPM, "the TPM's counter is %llu after a raise, %llu was expected",
			(unsigned long long)after, (unsigned long long)made.counter);
	VS_TRY(write_note(env->conf, &made, err));
	*ret = made;
	return VS_OK;
}

void
vs_checkpoint_perhaps(const struct vs_checkpoint_env *env, struct vs_audit *audit)
{
	struct vs_checkpoint_made made;
	struct vs_err why = {0};

	if (!env->conf->audit_checkpoint || !vs_audit_take_due(audit))
		return;
	if (vs_failed(vs_checkpoint_make(env, audit, &made, &why)))
		vs_log_err(&env->log, VS_LOG_WARN, "audit", "no checkpoint was made", &why);
}
