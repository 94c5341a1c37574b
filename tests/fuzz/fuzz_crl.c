/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as a list of revoked certificates, held against Intel's root: good is only what Intel
 * signed, which is the one of the seeds.
 */
#include <stdio.h>
#include <string.h>

#include "evidence/check.h"
#include "evidence/ev_crl.h"
#include "fuzz/fuzz.h"

#define SEEDS VS_TEST_SRCDIR "/tests/fuzz/seeds/"
enum { AT_UNIX = 1750500000 }; /* when the list of the seeds was current */

static struct vs_ev_certs chain; /* a certificate and the root that signed it */
static uint8_t genuine[8192];
static size_t genuine_n;

static size_t
read_file(const char *path, uint8_t *out, size_t size)
{
	FILE *f = fopen(path, "rb");
	FUZZ_MUST(f != NULL);
	const size_t n = fread(out, 1, size, f);
	fclose(f);
	FUZZ_MUST(n != 0 && n < size);
	return n;
}

static void
set_up(void)
{
	uint8_t pem[8192];
	if (chain.n != 0)
		return;
	const size_t n = read_file(SEEDS "evcert/tcb-signing.pem", pem, sizeof pem);
	FUZZ_MUST(!vs_failed(vs_ev_certs_pem(vs_bytes_of(pem, n), &chain, NULL)) && chain.n == 2);
	genuine_n = read_file(SEEDS "crl/intel-root.der", genuine, sizeof genuine);
}

static void
use(const struct vs_ev_crls *crls)
{
	const struct vs_ev_path path = {.n = 2, .v = {chain.v[0], chain.v[1]}};
	const struct vs_revocation x = {.crls = crls, .required = true};
	struct vs_verdict v = {.n_checks = 0};
	const vs_rc rc = vs_revocation_require(&path, 0, &x, AT_UNIX, NULL);
	vs_revocation_check(&path, 0, &x, AT_UNIX, "revocation", &v);
	FUZZ_MUST(v.n_checks == 1 && v.checks[0].passed == !vs_failed(rc));
	FUZZ_MUST(vs_failed(rc) ||
		!vs_failed(vs_ev_crl_check(crls->v[0], chain.v[1], AT_UNIX, NULL)));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	VS_CLEANUP(vs_ev_crls_done) struct vs_ev_crls crls = {.n = 0};
	char name[VS_EV_CERT_NAME_MAX];
	set_up();
	if (vs_failed(vs_ev_crls_add(&crls, vs_bytes_of(data, size), NULL))) {
		FUZZ_MUST(crls.n == 0);
		return 0;
	}
	FUZZ_MUST(crls.n == 1 && strlen(vs_ev_crl_issuer(crls.v[0], name)) < sizeof name);
	/* All that is signed stands between the first head and the algorithm of the signature. */
	if (!vs_failed(vs_ev_crl_check(crls.v[0], chain.v[1], AT_UNIX, NULL)) && data[0] == 0x30) {
		FUZZ_MUST(vs_ev_crl_is_current(crls.v[0], AT_UNIX));
		FUZZ_MUST(
			size >= genuine_n / 2 && memcmp(data + 4, genuine + 4, genuine_n / 2) == 0);
	}
	use(&crls);
	return 0;
}
