/* SPDX-License-Identifier: BSD-2-Clause */
/* One verification in progress: what verify.c and verify_boot.c share. */
#ifndef VS_EVIDENCE_VERIFY_IMPL_H
#define VS_EVIDENCE_VERIFY_IMPL_H

#include "evidence/hcl.h"
#include "evidence/verify.h"

struct vs_verify {
	const struct vs_evidence *ev;
	const struct vs_evidence_expect *x;
	struct vs_verdict *v;
	bool confidential;
	struct vs_hcl hcl;
	struct vs_runtime rt;
	struct vs_bytes ak_n; /* the key that must have signed; empty if none is known */
	uint32_t ak_e;
	bool selection_ok, pcrs_ok; /* ev->pcr may be believed where the mask says */
	uint8_t pcr_digest[32];
};

/* PCR 6, event log, Secure Boot, IMA: what the quoted values mean. */
VS_RC vs_verify_boot(struct vs_verify *s, struct vs_err *err);

#endif
