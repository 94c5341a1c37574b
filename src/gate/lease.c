/* SPDX-License-Identifier: BSD-2-Clause */
#include "gate/lease.h"

#define SECOND_NS INT64_C(1000000000)

VS_RC
vs_lease_make(const struct vs_lease_limits *l, struct vs_lease *ret, struct vs_err *err)
{
	VS_REQUIRE(err, l->now_boot_ns >= 0 && l->max_lease_s > 0 && l->max_lease_s <= 30 * 86400);
	if (l->token_exp_unix <= l->now_wall_unix)
		VS_FAIL(err, REFUSED_CLAIMS,
			"the attestation token ends before the lease can begin");
	const int64_t left_s = l->token_exp_unix - l->now_wall_unix;
	const int64_t lease_ns = (left_s < l->max_lease_s ? left_s : l->max_lease_s) * SECOND_NS;
	const int64_t grace_max_ns = VS_LEASE_GRACE_MAX_MS * INT64_C(1000000);
	const int64_t grace_ns = lease_ns / 10 < grace_max_ns ? lease_ns / 10 : grace_max_ns;
	/* 0.45 to 0.55 of the lease. */
	const int64_t renew_ns =
		lease_ns / 100 * 45 + lease_ns / 100 * (int64_t)(l->jitter % 1024) / 1024 * 10;
	*ret = (struct vs_lease){
		.granted_boot_ns = l->now_boot_ns,
		.renew_boot_ns = l->now_boot_ns + renew_ns,
		.valid_boot_ns = l->now_boot_ns + lease_ns - grace_ns,
		.end_boot_ns = l->now_boot_ns + lease_ns,
	};
	return VS_OK;
}

int64_t
vs_lease_backoff_ms(unsigned n, uint32_t jitter)
{
	int64_t ms = VS_LEASE_BACKOFF_FIRST_MS;
	for (; n > 1 && ms < VS_LEASE_BACKOFF_MAX_MS; n--)
		ms *= 2;
	if (ms > VS_LEASE_BACKOFF_MAX_MS)
		ms = VS_LEASE_BACKOFF_MAX_MS;
	return ms + ms / 4 * (int64_t)(jitter % 1024) / 1024;
}
