/* SPDX-License-Identifier: BSD-2-Clause */
/* When a lease is to be renewed and when it ends, on the boot clock. Pure. */
#ifndef VS_GATE_LEASE_H
#define VS_GATE_LEASE_H

#include <stdint.h>

#include "vouchsafe/err.h"

enum {
	VS_LEASE_GRACE_MAX_MS = 5000,
	VS_LEASE_BACKOFF_FIRST_MS = 1000,
	VS_LEASE_BACKOFF_MAX_MS = 10000
};

struct vs_lease_limits {
	int64_t now_boot_ns; /* when the attempt began: the oldest thing the lease rests on */
	int64_t now_wall_unix; /* at the same moment */
	int64_t token_exp_unix; /* of the attestation token */
	int64_t max_lease_s; /* setting */
	uint32_t jitter; /* random */
};

struct vs_lease {
	int64_t granted_boot_ns;
	int64_t renew_boot_ns; /* half, with a tenth of jitter both ways */
	int64_t valid_boot_ns; /* no new operation from here */
	int64_t end_boot_ns; /* operations already begun finish until here */
};

/* Error: REFUSED_CLAIMS when nothing is left of the token's time. */
VS_RC vs_lease_make(const struct vs_lease_limits *limits, struct vs_lease *ret, struct vs_err *err);
/* Pause after the n-th failure in a row (1, 2, ...): doubling, with up to a quarter of jitter. */
int64_t vs_lease_backoff_ms(unsigned n, uint32_t jitter);

#endif
