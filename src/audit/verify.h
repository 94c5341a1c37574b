/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading the audit log: is it whole, and what happened last. */
#ifndef VS_AUDIT_VERIFY_H
#define VS_AUDIT_VERIFY_H

#include "base/buf.h"
#include "vouchsafe/err.h"

enum { VS_AUDIT_LINE_MAX = 256 * 1024 }; /* octets of one record with its newline */

/* A point of the chain that was noted outside the file. Zero: none. */
struct vs_audit_checkpoint {
	uint64_t seq;
	char hash[65];
};

struct vs_audit_report {
	bool ok; /* every record is in its place, and the checkpoint (if any) is in the chain */
	bool tail_proven; /* the last record is the checkpoint's: nothing was cut off behind it */
	bool torn_tail; /* bytes without newline at the end: a write was interrupted */
	uint64_t n_records;
	uint64_t first_seq, last_seq;
	char log_id[33];
	char last_hash[65]; /* note this one as a checkpoint */
	char last_log_id[33]; /* of the last file */
	bool lab;
	/* The last "checkpoint" record: what the TPM's counter was raised to behind it. */
	uint64_t n_checkpoints, counter, counter_seq;
	char counter_log_id[33];
	bool counter_older; /* the first one found the counter in use, and no earlier file was given
			     */
	/* Of the first record: the record of an earlier file that the first file comes after. */
	bool has_after;
	/*
	 * Records at the end of files but the last that come after the one which the next file
	 * names: those a crash made forgotten, or that were added later.
	 */
	uint64_t n_unnamed;
	uint64_t n_clock_back; /* records that say the clock went backwards */
	uint64_t n_tpm_back; /* records whose TPM's counts or clock are lower than before */
	uint64_t n_recoveries; /* recovery records: each stands for a torn tail kept beside the file
				*/
	/* When not ok, the first bad record: */
	size_t bad_file; /* which of the files, from 0 */
	uint64_t bad_line; /* counted from 1 */
	uint64_t bad_seq; /* as it says of itself, or as expected if that cannot be read */
	char reason[256]; /* a sentence for people */
};

/*
 * Read the whole file once and check every record; memory does not grow with the file. A log that
 * is not whole is not an error of this function: ret->ok is false. Errors: FILE, MEMORY.
 */
VS_RC vs_audit_verify_file(const char *path, const struct vs_audit_checkpoint *checkpoint,
	struct vs_audit_report *ret, struct vs_err *err);

/*
 * Several files of one log that was rotated, oldest first: each is whole and says that it comes
 * after a record of the one before it. checkpoint is of the last file.
 */
VS_RC vs_audit_verify_files(const char *const *paths, size_t n,
	const struct vs_audit_checkpoint *checkpoint, struct vs_audit_report *ret,
	struct vs_err *err);

/*
 * Compare with what the TPM's counter is now: fewer raises in the log than in the TPM mean that its
 * end is missing or that it is an old copy. One more is an interrupted checkpoint.
 */
void vs_audit_compare_counter(struct vs_audit_report *r, uint64_t counter);

/* The newest decision about one token. */
struct vs_audit_last {
	bool found;
	bool granted;
	uint64_t seq;
	char time[40]; /* RFC 3339, UTC */
	char event[48]; /* attempt, release (refused) or revocation */
	char token[128];
	char code[48]; /* when not granted */
	char sentence[1400]; /* when not granted */
};

/*
 * For `vouchsafe status` without an agent: newest "grant" or "refusal" record whose "token" is this
 * label (NULL: any). Looks only at the chain links it walks over, not at the whole file's
 * integrity.
 */
VS_RC vs_audit_last_verdict(
	const char *path, const char *token, struct vs_audit_last *ret, struct vs_err *err);

#endif
