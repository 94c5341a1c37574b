/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tamper-evident log of attestation events: canonical JSON lines, hash-chained, one write(2)
 * per record under an advisory lock (on PATH.lock), fsync before the caller goes on. Several
 * processes may write one file. Never a secret in here: tokens appear as a hash.
 */
#ifndef VS_AUDIT_AUDIT_H
#define VS_AUDIT_AUDIT_H

#include "base/buf.h"
#include "vouchsafe/ports.h"
#include "vouchsafe/provider.h"

struct vs_audit;
struct vs_audit_rec;

/* What the TPM's clock said, and when it was asked. */
struct vs_audit_tpm_time {
	bool known;
	uint64_t clock_ms; /* runs while the TPM has power */
	uint32_t resets, restarts;
	int64_t read_boot_ns;
};

/* Asks for it; false: there is none. May answer from memory; blocks for a moment only. */
struct vs_audit_tpm {
	void *self;
	bool (*read)(void *self, struct vs_audit_tpm_time *ret);
};

/* It is time for a checkpoint behind record 8 and behind each 64th. */
enum {
	VS_AUDIT_CHECKPOINT_FIRST = 8,
	VS_AUDIT_CHECKPOINT_EVERY = 64,
	/* Of one process: memory in a TPM wears out, and many keys make many records. */
	VS_AUDIT_CHECKPOINT_PAUSE_S = 300,
};

/* A record that was noted outside the file. */
struct vs_audit_known {
	char log_id[33];
	uint64_t seq;
	char hash[65];
};

struct vs_audit_env {
	const char *path;
	/*
	 * NULL, or what an earlier process noted: an empty file then says what it comes after, and
	 * a file of the same log that does not have the record gets a "loss".
	 */
	const struct vs_audit_known *known;
	struct vs_audit_tpm tpm; /* read may be NULL */
	bool lab; /* every record says so */
	const char *writer; /* "vouchsafe-agent", "vouchsafe" */
	struct vs_clock clock;
	struct vs_rng rng;
	struct vs_log log;
};

/*
 * Opens or creates (0640, O_APPEND) the file, recovers a torn tail with a recovery record. A file
 * that is deleted or rotated under us is noticed at the next append.
 * A record that we know to have been there and that is gone is noted ("loss"), a torn tail is kept
 * as PATH.torn-N ("recovery"), an empty file starts a chain ("log").
 * A program that sets a limit on file sizes ignores SIGXFSZ, so that a full limit is an error here.
 * Errors: AUDIT (foreign = errno), MEMORY.
 */
VS_RC vs_audit_open(const struct vs_audit_env *env, struct vs_audit **ret, struct vs_err *err);
void vs_audit_close(struct vs_audit *a);
/* The last record that this process has seen or written. False: none. */
bool vs_audit_head(struct vs_audit *a, struct vs_audit_known *ret);
/*
 * Whether this process has written a record that a checkpoint should follow; once for each, but
 * not before the pause since the last one is over.
 */
bool vs_audit_take_due(struct vs_audit *a);

/*
 * Build a record. Names of members are a-z, 0-9, - and _, each once, and none that every record has
 * (audit/chain.h). Setters remember the first failure and commit reports it.
 */
VS_RC vs_audit_begin(
	struct vs_audit *a, const char *event, struct vs_audit_rec **ret, struct vs_err *err);
void vs_audit_str(struct vs_audit_rec *r, const char *name, const char *value);
void vs_audit_int(struct vs_audit_rec *r, const char *name, int64_t value);
void vs_audit_bool(struct vs_audit_rec *r, const char *name, bool value);
/* "accepted" and "checks": every check with rule, name, expected, seen, passed. */
void vs_audit_verdict(struct vs_audit_rec *r, const struct vs_verdict *v);
void vs_audit_err(struct vs_audit_rec *r, const struct vs_err *err); /* "code", "sentence" */
/* Append durably and free r, also on failure. Waits for the lock at most until the deadline. */
VS_RC vs_audit_commit(
	struct vs_audit *a, struct vs_audit_rec *r, int64_t deadline_boot_ns, struct vs_err *err);
/* All of them in this order or none, with one fsync; frees all. */
VS_RC vs_audit_commit_all(struct vs_audit *a, struct vs_audit_rec *const *recs, size_t n,
	int64_t deadline_boot_ns, struct vs_err *err);
void vs_audit_drop(struct vs_audit_rec *r);

#endif
