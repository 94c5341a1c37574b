/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checkpoints of the audit log outside of it (T-U2): a counter in the TPM that can only grow, and a
 * note in state-dir. A "checkpoint" record says what the counter is raised to right behind it; so a
 * log whose end was cut off, or an old copy of it, has fewer than the TPM. Records behind the last
 * checkpoint are not proven. Who owns the TPM and rewrites the whole log and the note can forge it.
 */
#ifndef VS_CORE_CHECKPOINT_H
#define VS_CORE_CHECKPOINT_H

#include "audit/audit.h"
#include "conf/conf.h"

struct vs_checkpoint_env {
	const struct vs_conf *conf;
	struct vs_clock clock;
	struct vs_log log;
};

struct vs_checkpoint_made {
	struct vs_audit_known at; /* the record */
	uint64_t counter;
	uint32_t index;
};

/* The NV index of this log's counter, by the log's path: 0x01815600 to 0x018156FF. */
VS_RC vs_checkpoint_index(const struct vs_conf *conf, uint32_t *ret, struct vs_err *err);
/* *ret_exists is false where this log never had a checkpoint. Errors: TPM, TPM_ABSENT, EVIDENCE. */
VS_RC vs_checkpoint_counter(
	const struct vs_checkpoint_env *env, bool *ret_exists, uint64_t *ret, struct vs_err *err);
/* Blocks: a record, a raise, the note. Errors: AUDIT, TPM, TPM_ABSENT, EVIDENCE, FILE, MEMORY. */
VS_RC vs_checkpoint_make(const struct vs_checkpoint_env *env, struct vs_audit *audit,
	struct vs_checkpoint_made *ret, struct vs_err *err);
/* What the last checkpoint noted in state-dir. False: nothing, or nothing that can be read. */
bool vs_checkpoint_known(const struct vs_conf *conf, struct vs_audit_known *ret);
/*
 * Note in state-dir how far the log has come, so that the next process can say what a new file
 * comes after: always, or only if it is another log than the one noted. A failure is a line in the
 * log.
 */
void vs_checkpoint_note(
	const struct vs_conf *conf, const struct vs_log *log, struct vs_audit *audit, bool always);
/* After a record: a checkpoint if it is time for one. A failure is a line in the log. */
void vs_checkpoint_perhaps(const struct vs_checkpoint_env *env, struct vs_audit *audit);

#endif
