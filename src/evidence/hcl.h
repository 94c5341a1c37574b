/* SPDX-License-Identifier: BSD-2-Clause */
/* The paravisor's report in NV 0x01400001, and the runtime data that the hardware vouches for. */
#ifndef VS_EVIDENCE_HCL_H
#define VS_EVIDENCE_HCL_H

#include "vouchsafe/provider.h"

enum {
	VS_HCL_MAX = 16 * 1024,
	VS_SNP_REPORT_BYTES = 1184,
	VS_TD_REPORT_BYTES = 1024,
	VS_USER_DATA_BYTES = 64,
	VS_RUNTIME_MAX = 8 * 1024,
	VS_RSA_N_MAX = 512,
};

/* Views into the caller's bytes. Nothing outside report and json is vouched for by anything. */
struct vs_hcl {
	uint32_t version; /* 1 or 2 */
	enum vs_tee tee; /* SNP or TDX */
	struct vs_bytes report; /* 1184 bytes, or the TDREPORT's 1024 */
	struct vs_bytes json; /* exact bytes that the report's data is the hash of */
};

/* Bounds, known versions and types, lengths that agree, zero padding. Error: FORMAT. */
VS_RC vs_hcl_parse(struct vs_bytes nv, struct vs_hcl *ret, struct vs_err *err);
/* The 64 bytes that the guest or paravisor had put into the hardware report. */
struct vs_bytes vs_hcl_report_data(const struct vs_hcl *hcl);
/* Report data = SHA-256 of json, then zeros. Error: REFUSED_EVIDENCE. */
VS_RC vs_hcl_check_binding(const struct vs_hcl *hcl, struct vs_err *err);

enum vs_tristate { VS_UNKNOWN = 0, VS_NO, VS_YES };

/* What we use of the runtime data. */
struct vs_runtime {
	uint8_t ak_n[VS_RSA_N_MAX];
	size_t ak_n_bytes; /* 0: no HCLAkPub */
	uint32_t ak_e;
	bool has_user_data;
	uint8_t user_data[VS_USER_DATA_BYTES];
	char vm_id[37]; /* vmUniqueId as written; empty if none */
	enum vs_tristate secure_boot, console, tpm_enabled, tpm_persisted;
};

/* Strict JSON; call vs_hcl_check_binding first where it matters. Errors: FORMAT, MEMORY. */
VS_RC vs_runtime_parse(struct vs_bytes json, struct vs_runtime *ret, struct vs_err *err);

#endif
