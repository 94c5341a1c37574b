/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The attestation service's own evidence: its signing certificate carries an SGX quote (to 2023) or
 * an SEV-SNP report (since 2025) whose report data is the hash of the signing key. Verified offline
 * to Intel's or AMD's root, for exactly the key that signed a token. Pure.
 */
#ifndef VS_GATE_SERVICE_EVIDENCE_H
#define VS_GATE_SERVICE_EVIDENCE_H

#include "evidence/collateral.h"
#include "evidence/roots.h"
#include "evidence/uvm.h"
#include "jose/jose.h"
#include "vouchsafe/provider.h"

struct vs_service_expect {
	int64_t at_unix;
	const struct vs_roots *roots;
	/*
	 * Lower-case hex, NULL-terminated: an enclave's MRSIGNER; a container's HOST_DATA and, with
	 * 96 digits, its MEASUREMENT. Old and new values stand side by side during a rotation. NULL
	 * or empty: nothing is accepted. A MEASUREMENT may be endorsed instead of listed.
	 */
	char *const *measurements;
	bool allow_debug; /* only for certificates of before 2022 */
	const struct vs_collateral *collateral; /* lists of revoked certificates; NULL: none */
	struct vs_uvm_expect uvm; /* whose endorsements of a utility VM count */
};

/*
 * One signing certificate (DER) for a key that is called kid. Adds its checks to v.
 * Errors: MEMORY, CRYPTO, INTERNAL; a refusal is in v.
 */
VS_RC vs_service_cert_check(struct vs_bytes der, struct vs_bytes kid,
	const struct vs_service_expect *x, struct vs_verdict *v, struct vs_err *err);

/*
 * The certificate of the key in the set that verifies this token's signature; what other keys of
 * the set bring with them is of no interest. Adds to v. Errors as above.
 */
VS_RC vs_service_evidence_check(struct vs_bytes token, const struct vs_jwks *jwks,
	const struct vs_service_expect *x, struct vs_verdict *v, struct vs_err *err);

#endif
