/* SPDX-License-Identifier: BSD-2-Clause */
/* A measured boot that did not happen, written down as firmware would: a crypto-agile TCG log. */
#ifndef LAB_LAB_LOG_H
#define LAB_LAB_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tss2/tss2_tpm2_types.h>

#include "base/buf.h"
#include "vouchsafe/err.h"

struct lab_roots;

enum { LAB_BOOT_EVENTS_MAX = 64 };

struct lab_boot_event {
	uint32_t pcr;
	size_t at, n; /* of its record in the log */
	size_t data_at, data_n; /* of its data in the log */
	TPML_DIGEST_VALUES digests;
};

struct lab_boot {
	struct vs_buf log;
	size_t n;
	struct lab_boot_event events[LAB_BOOT_EVENTS_MAX]; /* those that extend a PCR */
};

struct lab_boot_spec {
	const struct lab_roots *roots;
	bool secure_boot;
	const char *vm_id_upper; /* PCR 6 names the machine */
	const uint16_t *algs; /* active banks */
	size_t n_algs;
};

VS_RC lab_boot_make(const struct lab_boot_spec *spec, struct lab_boot *ret, struct vs_err *err);
void lab_boot_done(struct lab_boot *b);
/* Bytes of a digest; 0 for an algorithm that is not known here. */
size_t lab_bank_size(uint16_t alg);

#endif
