/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What vendors publish beside their certificates: lists of revoked ones, Intel's statements about
 * versions, intermediates. All of it is signed, and believed only where a check has seen that.
 */
#ifndef VS_EVIDENCE_COLLATERAL_H
#define VS_EVIDENCE_COLLATERAL_H

#include "base/file.h"
#include "evidence/dcap.h"
#include "evidence/ev_crl.h"

/* Owned; empty with vs_collateral_done. */
struct vs_collateral {
	unsigned has; /* bit 1 << part: it was added */
	struct vs_ev_crls crls;
	struct vs_ev_certs vtpm_helpers; /* intermediates of Azure's virtual TPMs */
	struct vs_buf tcb_info, qe_identity; /* answers of Intel's service, as sent */
	struct vs_buf tcb_chain; /* PEM: the certificate that signs both, and those above it */
};

/* The parts by file name. */
enum vs_collateral_part {
	VS_COLL_CRL_AMD_MILAN = 0,
	VS_COLL_CRL_AMD_GENOA,
	VS_COLL_CRL_AMD_TURIN,
	VS_COLL_CRL_AMD_MILAN_VLEK,
	VS_COLL_CRL_AMD_GENOA_VLEK,
	VS_COLL_CRL_AMD_TURIN_VLEK,
	VS_COLL_CRL_INTEL_ROOT,
	VS_COLL_CRL_INTEL_PLATFORM,
	VS_COLL_CRL_INTEL_PROCESSOR,
	VS_COLL_TDX_TCB_INFO,
	VS_COLL_TDX_QE_IDENTITY,
	VS_COLL_INTEL_TCB_CHAIN,
	VS_COLL_VTPM_CA,
	VS_COLL_COUNT_,
};
/* "amd-milan.crl", "tdx-tcb-info.json" ... */
const char *vs_collateral_file(enum vs_collateral_part part);

/*
 * Every part that the directory has; what it does not have is not evaluated later.
 * Errors: CONFIG_FILE (no such directory, a file that cannot be read), FORMAT, LIMIT, MEMORY.
 */
VS_RC vs_collateral_load(
	const char *dir, enum vs_file_check check, struct vs_collateral *ret, struct vs_err *err);
/* One part from memory. A statement or a chain replaces the one before. Errors as above. */
VS_RC vs_collateral_add(struct vs_collateral *c, enum vs_collateral_part part,
	struct vs_bytes content, struct vs_err *err);
void vs_collateral_done(struct vs_collateral *c);

/*
 * Intel's statements as views into c and sig, which gets their signatures. *ret_has: all three
 * parts are there. Error: FORMAT.
 */
VS_RC vs_collateral_intel(const struct vs_collateral *c, uint8_t sig[2][64],
	struct vs_dcap_collateral *ret, bool *ret_has, struct vs_err *err);

#endif
