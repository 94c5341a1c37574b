/* SPDX-License-Identifier: BSD-2-Clause */
/* The log line by line, for those who look at records. Whether it is whole says audit/verify.h. */
#ifndef VS_AUDIT_READ_H
#define VS_AUDIT_READ_H

#include "audit/chain.h"

struct vs_audit_line {
	const char *path;
	uint64_t number; /* of the line in its file, from 1 */
	int64_t end; /* octets of the file up to and with this line */
	struct vs_bytes text; /* without newline */
	bool good; /* a record whose hash fits */
	struct vs_chain_link link; /* when good */
	char reason[VS_CHAIN_REASON_MAX]; /* when not */
};

/* *ret_stop: look at no more lines of this file. */
typedef VS_RC
vs_audit_line_fn(void *arg, const struct vs_audit_line *line, bool *ret_stop, struct vs_err *err);

/*
 * fn for every line of the file, in order; memory does not grow with it. A line longer than a
 * record may be is told once and ends the file; so does a torn end. Errors: FILE, MEMORY, fn's.
 */
VS_RC
vs_audit_read_file(const char *path, vs_audit_line_fn *fn, void *arg, struct vs_err *err);

#endif
