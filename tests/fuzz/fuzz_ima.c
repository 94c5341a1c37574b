/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as a list of measured files. */
#include "evidence/ima.h"
#include "fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vs_reader r = vs_reader_of(vs_bytes_of(data, size));
	struct vs_ima_replay out;
	const uint8_t quoted[32] = {0};
	for (;;) {
		struct vs_ima_entry e;
		bool end = false;
		if (vs_failed(vs_ima_next(&r, &e, &end, NULL)) || end)
			break;
		for (size_t i = 0; i < 4; i++) {
			const struct vs_bytes f = vs_ima_field(&e, i);
			FUZZ_MUST(f.n == 0 || (f.p >= data && f.p + f.n <= data + size));
		}
		(void)vs_ima_hash_fits(&e);
	}
	if (!vs_failed(vs_ima_replay(vs_bytes_of(data, size), VS_HASH_SHA256,
		    vs_bytes_of(quoted, sizeof quoted), &out, NULL)))
		FUZZ_MUST(out.n_covered <= out.n_entries && !out.matched);
	return 0;
}
