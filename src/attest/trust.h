/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The key set of one attestation provider, fetched from the configured issuer's own address only
 * (never from a token's jku), kept in memory only, for 24 hours; refreshed at most once for a kid
 * that is not known and no more often than every five minutes (T-N10). Thread-safe, single flight.
 */
#ifndef VS_ATTEST_TRUST_H
#define VS_ATTEST_TRUST_H

#include <stdint.h>

#include "jose/jose.h"
#include "net/http.h"

enum { VS_TRUST_AGE_S = 24 * 3600, VS_TRUST_REFRESH_S = 300, VS_TRUST_ASKED_MAX = 32 };

struct vs_trust;

struct vs_trust_env {
	const char *issuer; /* https origin without trailing slash; copied */
	struct vs_net net;
};

/* No network. Errors: CONFIG_VALUE, MEMORY. */
VS_RC vs_trust_new(const struct vs_trust_env *env, struct vs_trust **ret, struct vs_err *err);
void vs_trust_free(struct vs_trust *trust);

/*
 * The set at hand, fetched if there is none or it is too old. kid (n = 0: none) is what a token
 * names: a set in which no key of that name may be used is refreshed within the limits, and the set
 * at hand is given back all the same if it may not be; then the validation refuses the kid. One
 * reference in *ret. Waits for another thread's fetch, not past the deadline. Errors: CONNECT,
 * TIMEOUT, TLS, THROTTLED, UNAVAILABLE, ANSWER, LIMIT, MEMORY.
 */
VS_RC vs_trust_keys(struct vs_trust *trust, struct vs_bytes kid, int64_t deadline_boot_ns,
	struct vs_jwks **ret, struct vs_err *err);
/* Fetch now unless a good set is at hand: to overlap with other work. */
VS_RC vs_trust_prefetch(struct vs_trust *trust, int64_t deadline_boot_ns, struct vs_err *err);

#endif
