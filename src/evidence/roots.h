/* SPDX-License-Identifier: BSD-2-Clause */
/* Whom evidence must lead to. Owned; empty with vs_roots_done. */
#ifndef VS_EVIDENCE_ROOTS_H
#define VS_EVIDENCE_ROOTS_H

#include "evidence/ev_cert.h"

struct vs_roots {
	struct vs_ev_certs amd, intel, vtpm; /* pinned */
	struct vs_ev_certs amd_helpers,
		vtpm_helpers; /* intermediates, never trusted by themselves */
};

/* AMD's ARKs, Intel's SGX root, Azure's virtual TPM root. Errors: MEMORY, CRYPTO. */
VS_RC vs_roots_production(struct vs_roots *ret, struct vs_err *err);
/*
 * Others instead, for a lab: amd-ark.pem, amd-ask.pem, intel-sgx-root.pem, azure-vtpm-root.pem,
 * azure-vtpm-ca.pem in a directory; what is missing there stays empty and accepts nothing.
 * Errors: CONFIG_FILE, FORMAT, LIMIT, MEMORY.
 */
VS_RC vs_roots_load(const char *dir, struct vs_roots *ret, struct vs_err *err);
void vs_roots_done(struct vs_roots *roots);

#endif
