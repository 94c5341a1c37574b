/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Microsoft's signed statement about a utility VM of confidential containers: which launch
 * measurement it has and how new it is. COSE_Sign1 (RFC 9052) with a chain of certificates in its
 * header and an issuer as did:x509, which names the hash of the chain's root. Pure.
 */
#ifndef VS_EVIDENCE_UVM_H
#define VS_EVIDENCE_UVM_H

#include "base/buf.h"

enum { VS_UVM_MAX = 64 * 1024, VS_UVM_MEASUREMENT_BYTES = 48 };

/* Who endorses the utility VM of Azure's confidential containers, and as what. */
#define VS_UVM_ISSUER \
	"did:x509:0:sha256:I__iuL25oXEVFdTP_aBLx_eT1RPHbCQ_ECBQfYZpt9s::eku:" \
	"1.3.6.1.4.1.311.76.59.1.2"
#define VS_UVM_FEED "ContainerPlat-AMD-UVM"

struct vs_uvm_expect {
	const char *issuer; /* exactly; NULL: VS_UVM_ISSUER */
	const char *feed; /* exactly; NULL: VS_UVM_FEED */
	uint32_t min_svn;
};

struct vs_uvm {
	uint8_t measurement[VS_UVM_MEASUREMENT_BYTES];
	uint32_t svn;
	int64_t signed_unix; /* when the signer says it signed */
};

/*
 * The form; issuer and feed; each certificate signed by the next, the last one's hash that of the
 * issuer, the first with the issuer's extended key usage; PS384 over header and payload; then what
 * the payload says. The certificates are judged at the time of signing, which only the signer
 * vouches for (these statements outlive them); the time stamp in the unprotected header is not
 * looked at. Errors: REFUSED_EVIDENCE with the reason, FORMAT, MEMORY, CRYPTO.
 */
VS_RC vs_uvm_verify(struct vs_bytes cose, const struct vs_uvm_expect *x, struct vs_uvm *ret,
	struct vs_err *err);

#endif
