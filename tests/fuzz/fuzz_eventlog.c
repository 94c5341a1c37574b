/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as an event log: replayed in two banks, asked for Secure Boot. */
#include "evidence/eventlog.h"
#include "fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum vs_hash banks[] = {VS_HASH_SHA1, VS_HASH_SHA256};
	for (size_t i = 0; i < 2; i++) {
		struct vs_replay r;
		struct vs_secure_boot sb;
		const struct vs_bytes log = vs_bytes_of(data, size);
		const vs_rc rc = vs_eventlog_replay(log, banks[i], &r, NULL);
		if (!vs_failed(rc)) {
			FUZZ_MUST(r.end <= size && r.n_events <= VS_EVENTLOG_EVENTS_MAX);
			FUZZ_MUST(r.has_bank || r.touched == 0);
			FUZZ_MUST(r.touched >> VS_PCRS_MAX == 0);
		}
		if (!vs_failed(vs_eventlog_secure_boot(log, banks[i], &sb, NULL))) {
			/* Whoever says "on" had the variable measured, first of all. */
			FUZZ_MUST(sb.state != VS_YES || vs_failed(rc) || (r.touched >> 7 & 1) != 0);
			FUZZ_MUST(sb.authority_data.n == 0 ||
				(sb.authority_data.p >= data &&
					sb.authority_data.p + sb.authority_data.n <= data + size));
		}
	}
	return 0;
}
