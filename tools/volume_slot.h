/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The key slot of an enrolment and the entry that describes it, in a header on a disk that may lose
 * power at any moment. LUKS2 writes one of them at a time, so the entry comes first, as begun, with
 * the slot's number and its count of iterations; then the slot; then the entry as it stays. What
 * was begun and has come to no end is known by its entry and taken back by the next enrolment.
 */
#ifndef TOOLS_VOLUME_SLOT_H
#define TOOLS_VOLUME_SLOT_H

#include "base/secret.h"
#include "tools/volume_header.h"

struct crypt_device;

/* A header that libcryptsetup has loaded. */
struct vs_volume_disk {
	struct crypt_device *cd;
	const char *device; /* for sentences */
	char words[256]; /* the library's last error */
};

/* r is libcryptsetup's negative errno. */
vs_rc vs_volume_disk_failed(struct vs_volume_disk *d, int r, const char *what, struct vs_err *err);

/*
 * Does typed open a key slot? Changes nothing. Errors: PIN, FILE, REFUSED_FORM (it opens the slot
 * that begun, if not NULL, wants to be taken back).
 */
VS_RC vs_volume_slot_try(struct vs_volume_disk *d, const struct vs_secret *typed,
	const struct vs_volume_entry *begun, struct vs_err *err);

/*
 * Take back what was begun: the slot, if it is the one that was begun (another may have come there
 * since), then the entry. Errors: FILE.
 */
VS_RC vs_volume_slot_undo(
	struct vs_volume_disk *d, const struct vs_volume_entry *begun, struct vs_err *err);

/*
 * Add a slot for fresh, and e, whose number and slot are set. After an error neither is there, or
 * they are begun. Errors: PIN, LIMIT (no free slot), FILE.
 */
VS_RC vs_volume_slot_add(struct vs_volume_disk *d, const struct vs_secret *typed,
	const struct vs_secret *fresh, struct vs_volume_entry *e, struct vs_err *err);

#endif
