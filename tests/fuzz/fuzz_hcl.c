/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as the paravisor's report; what it contains as runtime data; any bytes as those. */
#include "evidence/hcl.h"
#include "fuzz/fuzz.h"

static void
try_runtime(struct vs_bytes json)
{
	struct vs_runtime rt;
	if (vs_failed(vs_runtime_parse(json, &rt, NULL)))
		return;
	FUZZ_MUST(rt.ak_n_bytes <= sizeof rt.ak_n);
	FUZZ_MUST(rt.ak_n_bytes == 0 || rt.ak_n_bytes >= 256);
	FUZZ_MUST(rt.vm_id[sizeof rt.vm_id - 1] == '\0');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vs_hcl hcl;
	try_runtime(vs_bytes_of(data, size));
	if (vs_failed(vs_hcl_parse(vs_bytes_of(data, size), &hcl, NULL)))
		return 0;
	FUZZ_MUST(hcl.tee == VS_TEE_SNP || hcl.tee == VS_TEE_TDX);
	FUZZ_MUST(hcl.json.p >= data && hcl.json.p + hcl.json.n <= data + size);
	FUZZ_MUST(hcl.report.p + hcl.report.n <= hcl.json.p);
	FUZZ_MUST(vs_hcl_report_data(&hcl).n == 64);
	(void)vs_failed(vs_hcl_check_binding(&hcl, NULL));
	try_runtime(hcl.json);
	return 0;
}
