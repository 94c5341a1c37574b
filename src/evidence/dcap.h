/* SPDX-License-Identifier: BSD-2-Clause */
/* Intel DCAP quotes: TDX versions 4 and 5, SGX version 3. Pure. */
#ifndef VS_EVIDENCE_DCAP_H
#define VS_EVIDENCE_DCAP_H

#include "evidence/ev_crl.h"
#include "vouchsafe/provider.h"

enum vs_dcap_tee { VS_DCAP_NONE = 0, VS_DCAP_SGX, VS_DCAP_TDX };

enum { VS_DCAP_QUOTE_MAX = 16 * 1024, VS_DCAP_RTMRS = 4 };

/* An SGX report body of 384 bytes: an enclave's, or the quoting enclave's. */
struct vs_sgx_report {
	struct vs_bytes all, cpusvn, miscselect, attributes, mrenclave, mrsigner, report_data;
	uint16_t prod_id, svn;
};

/* Views into the caller's bytes. */
struct vs_dcap_quote {
	uint16_t version;
	enum vs_dcap_tee tee;
	struct vs_bytes signed_bytes, sig, key; /* header and body; r, s; x, y */
	struct vs_bytes qe_auth, qe_sig, certs; /* certs: PEM text */
	struct vs_sgx_report qe;
	struct vs_bytes report_data;
	struct vs_sgx_report sgx; /* SGX: */
	/* TDX: */
	struct vs_bytes tcb_svn, mrseam, mrsignerseam, seam_attributes, td_attributes, xfam, mrtd;
	struct vs_bytes mrconfigid, mrowner, mrownerconfig, rtmr[VS_DCAP_RTMRS];
};

/* Lengths, known versions and types. Bytes behind the quote are ignored. Error: FORMAT. */
VS_RC vs_dcap_parse(struct vs_bytes quote, struct vs_dcap_quote *ret, struct vs_err *err);

/* Intel's statements about versions; JSON exactly as signed. Empty: not evaluated. */
struct vs_dcap_collateral {
	struct vs_bytes tcb_info, tcb_info_sig; /* the object's bytes; r, s: 64 bytes */
	struct vs_bytes qe_identity, qe_identity_sig;
	struct vs_bytes chain_pem; /* TCB signing certificate and what is above it */
};

/* The inner object of {"tcbInfo":{...},"signature":"..."} as raw bytes, and the signature. */
VS_RC vs_dcap_split_collateral(struct vs_bytes response, const char *name, struct vs_bytes *ret,
	uint8_t ret_sig[64], struct vs_err *err);

/*
 * Is such an answer about this time, and, with fmspc, about this platform? Says nothing about its
 * signature: whether it is worth keeping, not whether it is true.
 */
bool vs_dcap_statement_current(
	struct vs_bytes response, const char *name, const uint8_t fmspc[6], int64_t at_unix);

enum vs_tcb_status {
	VS_TCB_NONE = 0, /* not evaluated, or no level matches */
	VS_TCB_UP_TO_DATE,
	VS_TCB_SW_HARDENING,
	VS_TCB_CONFIGURATION,
	VS_TCB_CONFIGURATION_AND_SW_HARDENING,
	VS_TCB_OUT_OF_DATE,
	VS_TCB_OUT_OF_DATE_CONFIGURATION,
	VS_TCB_REVOKED,
	VS_TCB_COUNT_,
};
const char *vs_tcb_status_name(enum vs_tcb_status s);

struct vs_dcap_expect {
	int64_t at_unix;
	const struct vs_ev_certs *roots; /* Intel's root */
	bool allow_debug;
	bool allow_migration; /* TDX: a migration TD, which the quote does not name */
	const struct vs_dcap_collateral *collateral; /* NULL: TCB is not evaluated, and v says so */
	bool collateral_required; /* without it, and without lists, the quote is refused */
	const struct vs_ev_crls *crls; /* Intel's lists; NULL: none */
	uint32_t allowed_status; /* bit mask of 1 << vs_tcb_status; 0: only UP_TO_DATE */
};

/* Add to v: quote signature, quoting enclave, chain to the root, debug, TCB. Error: MEMORY. */
VS_RC vs_dcap_verify(const struct vs_dcap_quote *quote, const struct vs_dcap_expect *expect,
	struct vs_verdict *v, struct vs_err *err);

/*
 * What the TDREPORT that a quote was made from says: same measurements, attributes, report data,
 * and the hashes inside it fit. Adds to v.
 */
void vs_td_report_check(
	struct vs_bytes td_report, const struct vs_dcap_quote *quote, struct vs_verdict *v);

/* For dcap_tcb.c: the platform's levels as its PCK certificate names them. */
struct vs_dcap_pck {
	uint8_t fmspc[6], pce_id[2];
	uint8_t svn[16];
	uint16_t pce_svn;
};
bool vs_dcap_pck_read(const struct vs_ev_cert *pck, struct vs_dcap_pck *ret);
VS_RC vs_dcap_check_tcb(const struct vs_dcap_quote *quote, const struct vs_dcap_pck *pck,
	const struct vs_dcap_expect *expect, struct vs_verdict *v, struct vs_err *err);

#endif
