/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as an SNP report, verified with a certificate that never signed it unless it did. */
#include "evidence/check.h"
#include "evidence/roots.h"
#include "evidence/snp.h"
#include "fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct vs_roots roots;
	if (roots.amd.n == 0)
		FUZZ_MUST(!vs_failed(vs_roots_production(&roots, NULL)));
	struct vs_snp_report r;
	if (vs_failed(vs_snp_parse(vs_bytes_of(data, size), &r, NULL)))
		return 0;
	FUZZ_MUST(size == 1184 && r.version >= 2 && r.version <= 5);
	const struct vs_snp_expect x = {
		.at_unix = 1786752000, .roots = &roots.amd, .helpers = &roots.amd_helpers};
	struct vs_verdict v = {.n_checks = 0};
	/* An ASK in place of the VCEK: RSA, so nothing can verify. */
	FUZZ_MUST(!vs_failed(vs_snp_verify(&r, roots.amd_helpers.v[0], &x, &v, NULL)));
	vs_check_finish(&v);
	FUZZ_MUST(!v.passed);
	return 0;
}
