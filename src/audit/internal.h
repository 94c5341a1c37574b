/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VS_AUDIT_INTERNAL_H
#define VS_AUDIT_INTERNAL_H

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
