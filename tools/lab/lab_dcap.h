/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Quotes of Intel's quoting enclaves: SGX version 3, TDX versions 4 and 5, read and verified up to
 * Intel's root key with code of the lab's own (T-L2). Two things are left open, and the tokens say
 * so: certificates are judged at the time when the platform's one was issued, so that captured
 * quotes stay useful; and there is no collateral, so nothing is known about the TCB's standing.
 */
#ifndef LAB_LAB_DCAP_H
#define LAB_LAB_DCAP_H

#include "lab/lab_evidence.h"

enum {
	LAB_SGX_BODY = 384,
	LAB_TD_BODY = 584,
	LAB_TD15_BODY = 648,
	LAB_QUOTE_MAX = 64 * 1024,
};

struct lab_quote {
	bool tdx;
	unsigned version;
	struct vs_bytes body; /* the enclave's or domain's report; in the caller's bytes */
};

/* On false why names the check. */
bool lab_dcap_verify(struct vs_bytes quote, struct lab_quote *ret, struct lab_refusal *why);

#endif
