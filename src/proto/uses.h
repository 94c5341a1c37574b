/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How often a process used each key of a lease: a sealed memfd that the agent makes, one for each
 * process and lease, and gives along with a key. The process counts by one atomic addition; no
 * system call, no message. The agent reads it each minute, and once more when the process has
 * ended, however it ended. What stands here is what the process says of itself; it has no part in
 * what others say. Threads of different stripes write no common cache line.
 */
#ifndef VS_PROTO_USES_H
#define VS_PROTO_USES_H

#include <stdatomic.h>
#include <stdint.h>

enum {
	VS_USES_STRIPES = 8,
	VS_USES_LINE = 8, /* counters of one stripe that share a cache line */
	VS_USES_KEYS_MAX = 1024, /* key numbers of a lease */
	VS_USES_BYTES = VS_USES_KEYS_MAX * VS_USES_STRIPES * 8,
};

struct vs_uses {
	_Atomic uint64_t n[VS_USES_KEYS_MAX / VS_USES_LINE][VS_USES_STRIPES][VS_USES_LINE];
};
_Static_assert(sizeof(struct vs_uses) == VS_USES_BYTES, "layout of the counters");

/* One more use. u may be NULL; any number may be a stripe. */
void vs_uses_add(struct vs_uses *u, uint32_t key, uint32_t stripe);
/* Of all stripes, modulo 2^64. */
uint64_t vs_uses_sum(const struct vs_uses *u, uint32_t key);

#endif
