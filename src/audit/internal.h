/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VS_AUDIT_INTERNAL_H
#define VS_AUDIT_INTERNAL_H

#include <pthread.h>

#include "audit/audit.h"
#include "audit/chain.h"

enum { RECORD_NAMES_MAX = 64 };

struct vs_audit_rec {
	struct vs_buf body; /* "event":.. and further members, without braces */
	size_t n_names;
	char names[RECORD_NAMES_MAX][72];
	vs_rc rc; /* first failure of a setter */
	struct vs_err err;
};

struct vs_audit {
	char *path, *lock_path, *writer;
	bool lab;
	struct vs_clock clock;
	struct vs_rng rng;
	struct vs_log log;
	struct vs_audit_tpm tpm;
	struct vs_ossl *o;
	char boot_id[40];
	pthread_mutex_t mutex; /* what follows */
	int fd, lock_fd; /* -1: not open */
	bool known; /* last: a record of this chain that we have seen */
	bool due; /* a checkpoint */
	int64_t due_boot_ns; /* not before; 0: at once */
	bool hearsay; /* last was noted by another process; the file may have been rotated since */
	struct vs_chain_link last;
	struct vs_audit_tpm_time tpm_time; /* for the records being written */
};

/* ---- lock.c: the mutex is held ----------------------------------------------------------- */

/* On success the file of this name is open, and the lock is ours. Error: AUDIT. */
VS_RC vs_audit_lock(struct vs_audit *a, int64_t deadline_boot_ns, struct vs_err *err);
void vs_audit_unlock(struct vs_audit *a);
void vs_audit_forget_file(struct vs_audit *a);
/* Before the next try for what somebody else holds. Error: AUDIT when the deadline has passed. */
VS_RC
vs_audit_pause(struct vs_audit *a, int64_t deadline_boot_ns, const char *what, struct vs_err *err);
void vs_audit_sync_directory(const char *path);
/* The lock is held. a->last is the last record: for whoever starts the next file. */
void vs_audit_note_place(struct vs_audit *a, bool durable);
/* What was noted last; log id, seq, hash. False: nothing that could be one. */
bool vs_audit_read_place(const struct vs_audit *a, struct vs_chain_link *ret);

/* ---- tail.c ------------------------------------------------------------------------------ */

/* The end of a log: its last good record, and what stands behind it. */
struct vs_audit_tail {
	bool found; /* a good record */
	struct vs_chain_link link;
	int64_t end; /* octets of the file up to and with that record */
	int64_t size; /* octets of the file; larger than end: a torn tail */
};

/*
 * Look for the last good record, at most a few records' length from the end. Errors: AUDIT (cannot
 * be read; or the file is not empty and no good record is near its end), MEMORY.
 */
VS_RC vs_audit_read_tail(
	struct vs_ossl *o, int fd, const char *path, struct vs_audit_tail *ret, struct vs_err *err);

#endif
