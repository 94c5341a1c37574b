/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a kernel's resource manager does for guests that have gone: their keys and sessions are
 * flushed. A guest is a process; the lab remembers who made which handle, and cleans up when the
 * TPM has no room left.
 */
#ifndef LAB_LAB_RM_H
#define LAB_LAB_RM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"

struct lab_tpm;

enum { LAB_RM_HANDLES = 32 };

struct lab_rm {
	size_t n;
	struct {
		uint32_t handle;
		pid_t owner;
	} held[LAB_RM_HANDLES];
};

/* Note what a command of owner made or flushed. */
void lab_rm_note(struct lab_rm *rm, pid_t owner, struct vs_bytes cmd, struct vs_bytes rsp);
/* The TPM says that it has no room for another object or session. */
bool lab_rm_full(struct vs_bytes rsp);
/* Flush what belongs to processes that are gone; how many. */
size_t lab_rm_clean(struct lab_rm *rm, struct lab_tpm *tpm);

#endif
