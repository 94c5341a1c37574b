/* SPDX-License-Identifier: BSD-2-Clause */
#include "lab/lab_rm.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "lab/lab_tpm.h"

enum {
	CC_CREATE_PRIMARY = 0x131,
	CC_LOAD = 0x157,
	CC_CONTEXT_LOAD = 0x161,
	CC_FLUSH_CONTEXT = 0x165,
	CC_LOAD_EXTERNAL = 0x167,
	CC_START_AUTH_SESSION = 0x176,
	CC_CREATE_LOADED = 0x191,
	RC_OBJECT_MEMORY = 0x902,
	RC_SESSION_MEMORY = 0x903,
	RC_SESSION_HANDLES = 0x905,
	RC_OBJECT_HANDLES = 0x906,
};

static uint32_t
be32_at(struct vs_bytes b, size_t at)
{
	struct vs_reader r = vs_reader_of(b);
	(void)vs_get_bytes(&r, at);
	return vs_get_be32(&r);
}

static void
forget(struct lab_rm *rm, uint32_t handle)
{
	for (size_t i = 0; i < rm->n; i++) {
		if (rm->held[i].handle == handle) {
			rm->held[i] = rm->held[--rm->n];
			return;
		}
	}
}

void
lab_rm_note(struct lab_rm *rm, pid_t owner, struct vs_bytes cmd, struct vs_bytes rsp)
{
	if (be32_at(rsp, 6) != 0)
		return;
	switch (be32_at(cmd, 6)) {
	case CC_CREATE_PRIMARY:
	case CC_LOAD:
	case CC_CONTEXT_LOAD:
	case CC_LOAD_EXTERNAL:
	case CC_START_AUTH_SESSION:
	case CC_CREATE_LOADED:
		forget(rm, be32_at(rsp, 10));
		if (rm->n == LAB_RM_HANDLES)
			memmove(rm->held, rm->held + 1, --rm->n * sizeof *rm->held);
		rm->held[rm->n].handle = be32_at(rsp, 10);
		rm->held[rm->n++].owner = owner;
		break;
	case CC_FLUSH_CONTEXT: forget(rm, be32_at(cmd, 10)); break;
	default: break;
	}
}

bool
lab_rm_full(struct vs_bytes rsp)
{
	const uint32_t rc = be32_at(rsp, 6);
	return rc == RC_OBJECT_MEMORY || rc == RC_SESSION_MEMORY || rc == RC_SESSION_HANDLES ||
		rc == RC_OBJECT_HANDLES;
}

static bool
gone(pid_t pid)
{
	return pid > 0 && kill(pid, 0) != 0 && errno == ESRCH;
}

size_t
lab_rm_clean(struct lab_rm *rm, struct lab_tpm *tpm)
{
	size_t flushed = 0;
	for (size_t i = rm->n; i > 0; i--) {
		const uint32_t h = rm->held[i - 1].handle;
		if (!gone(rm->held[i - 1].owner))
			continue;
		const uint8_t cmd[] = {0x80, 0x01, 0, 0, 0, 14, 0, 0, CC_FLUSH_CONTEXT >> 8,
			CC_FLUSH_CONTEXT & 0xff, (uint8_t)(h >> 24), (uint8_t)(h >> 16),
			(uint8_t)(h >> 8), (uint8_t)h};
		uint8_t rsp[64];
		size_t n = sizeof rsp;
		if (vs_failed(lab_tpm_exchange(tpm, cmd, sizeof cmd, rsp, &n, NULL)))
			return flushed;
		forget(rm, h);
		flushed++;
	}
	return flushed;
}
