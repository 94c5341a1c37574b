/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A LUKS2 header is written by whoever holds the disk. It is copied once, judged, and the volume is
 * activated from the copy (threat model T-K6). Needs no libcryptsetup.
 */
#ifndef TOOLS_VOLUME_HEADER_H
#define TOOLS_VOLUME_HEADER_H

#include "base/buf.h"
#include "vouchsafe/err.h"

enum {
	VS_VOLUME_HEADER_MAX = 16 << 20, /* what is copied: both headers and all key slots */
	VS_VOLUME_JSON_MAX = 4 << 20,
};

/*
 * Copy the beginning of an open device or image into a sealed memory file that nobody can change.
 * Errors: USAGE (no LUKS2 header there), REFUSED_FORM (a header that is larger), FILE.
 */
VS_RC vs_volume_copy(int fd, const char *what, int *ret_fd, struct vs_err *err);

/*
 * Judge the metadata of a LUKS2 header: one encrypted segment with an allowed cipher, key size and
 * sector size and nothing else, no re-encryption in any form, no requirement, key slots and digest
 * of allowed kinds, the digest covers the segment. Appends to canonical what of it decides what is
 * opened (UUID, segment, digest; key slots and tokens may be added), for a fingerprint.
 * Error: REFUSED_FORM with what was expected and seen.
 */
VS_RC vs_volume_judge(
	struct vs_bytes json, const char *uuid, struct vs_buf *canonical, struct vs_err *err);

/* Our entry among the header's tokens. */
struct vs_volume_entry {
	int number; /* of the LUKS2 token, -1: there is none */
	int slot;
	uint32_t begun; /* not 0: of an enrolment that has come to no end, the slot's iterations */
	char token[33], key[128], version[65];
	struct vs_buf wrapped;
};
void vs_volume_entry_done(struct vs_volume_entry *e);
/* Errors: NOT_FOUND (no volume of ours), REFUSED_FORM (an entry, but not of this form). */
VS_RC vs_volume_entry_read(struct vs_bytes json, struct vs_volume_entry *ret, struct vs_err *err);
VS_RC
vs_volume_entry_write(const struct vs_volume_entry *e, struct vs_buf *json, struct vs_err *err);

#endif
