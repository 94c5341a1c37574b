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
	bool lab;
	uint64_t n_recoveries; /* recovery records: each stands for a torn tail kept beside the file
				*/
	/* When not ok, the first bad record: */
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
