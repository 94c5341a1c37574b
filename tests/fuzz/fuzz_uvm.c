/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as a signed statement about a utility VM. Signature and chain are taken as good, so
 * that what stands behind them is reached; the root is pinned by its hash, which nothing but the
 * real one has.
 */
#include <string.h>

#include "base/codec.h"
#include "evidence/cbor.h"
#include "evidence/ev_cert.h"
#include "evidence/ev_crypto.h"
#include "evidence/uvm.h"
#include "fuzz/fuzz.h"

vs_rc __wrap_vs_ev_cert_chain(const struct vs_ev_cert *leaf, const struct vs_ev_certs *helpers,
	const struct vs_ev_certs *roots, int64_t at_unix, struct vs_ev_path *ret,
	struct vs_err *err);
vs_rc __wrap_vs_ev_pss384_verify(
	struct evp_pkey_st *key, struct vs_bytes data, struct vs_bytes sig, struct vs_err *err);

vs_rc
__wrap_vs_ev_cert_chain(const struct vs_ev_cert *leaf, const struct vs_ev_certs *helpers,
	const struct vs_ev_certs *roots, int64_t at_unix, struct vs_ev_path *ret,
	struct vs_err *err)
{
	(void)at_unix;
	(void)err;
	FUZZ_MUST(leaf == helpers->v[0] && roots->n == 1 && helpers->n <= VS_EV_PATH_MAX);
	for (ret->n = 0; ret->n < helpers->n; ret->n++)
		ret->v[ret->n] = helpers->v[ret->n];
	return VS_OK;
}

vs_rc
__wrap_vs_ev_pss384_verify(
	struct evp_pkey_st *key, struct vs_bytes data, struct vs_bytes sig, struct vs_err *err)
{
	(void)sig;
	(void)err;
	FUZZ_MUST(key != NULL && data.n > 12 && memcmp(data.p, "\x84\x6aSignature1", 12) == 0);
	return VS_OK;
}

/* What was skipped over can be walked over, and nothing is read twice. */
static void
try_cbor(struct vs_bytes in)
{
	struct vs_reader r = vs_reader_of(in);
	for (size_t left = r.left; vs_cbor_skip(&r) && r.left > 0; left = r.left)
		FUZZ_MUST(r.left < left);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct vs_uvm_expect x = {.min_svn = 1};
	struct vs_uvm out = {.svn = 0};
	char hex[2 * VS_UVM_MEASUREMENT_BYTES + 1];
	const struct vs_bytes in = vs_bytes_of(data, size);
	try_cbor(in);
	if (vs_failed(vs_uvm_verify(in, &x, &out, NULL))) {
		FUZZ_MUST(out.svn == 0 && out.signed_unix == 0);
		return 0;
	}
	FUZZ_MUST(out.svn >= x.min_svn && out.signed_unix >= 0);
	vs_hex_str(out.measurement, sizeof out.measurement, hex, sizeof hex);
	FUZZ_MUST(memmem(data, size, VS_UVM_ISSUER, sizeof VS_UVM_ISSUER - 1) != NULL);
	FUZZ_MUST(memmem(data, size, VS_UVM_FEED, sizeof VS_UVM_FEED - 1) != NULL);
	FUZZ_MUST(strlen(hex) == 2 * VS_UVM_MEASUREMENT_BYTES);
	return 0;
}
