/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as a DCAP quote, verified; any bytes as Intel's signed statements. */
#include "evidence/check.h"
#include "evidence/dcap.h"
#include "evidence/roots.h"
#include "fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct vs_roots roots;
	if (roots.intel.n == 0)
		FUZZ_MUST(!vs_failed(vs_roots_production(&roots, NULL)));
	const struct vs_bytes in = vs_bytes_of(data, size);
	struct vs_bytes object;
	struct vs_dcap_quote q;
	uint8_t sig[64];
	if (!vs_failed(vs_dcap_split_collateral(in, "tcbInfo", &object, sig, NULL)))
		FUZZ_MUST(object.p >= data && object.p + object.n <= data + size);
	if (vs_failed(vs_dcap_parse(in, &q, NULL)))
		return 0;
	FUZZ_MUST(q.certs.p >= data && q.certs.p + q.certs.n <= data + size);
	FUZZ_MUST(q.report_data.n == 64 && q.key.n == 64 && q.sig.n == 64);
	const struct vs_dcap_expect x = {.at_unix = 1786752000, .roots = &roots.intel};
	struct vs_verdict v = {.n_checks = 0};
	(void)vs_failed(vs_dcap_verify(&q, &x, &v, NULL));
	vs_td_report_check(vs_bytes_of(data, size < 1024 ? size : 1024), &q, &v);
	vs_check_finish(&v);
	FUZZ_MUST(!v.passed);
	return 0;
}
