/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as what Intel states about a platform: length (2) | TCB information | identity of the
 * quoting enclave, judged for a real quote. Nobody but Intel can sign them: signature and chain are
 * taken as good here, so that what stands behind them is reached, and the certificates are read
 * once.
 */
#include <stdio.h>
#include <string.h>

#include "evidence/check.h"
#include "evidence/dcap.h"
#include "evidence/ev_crypto.h"
#include "evidence/roots.h"
#include "fuzz/fuzz.h"

#define SET VS_TEST_SRCDIR "/tests/data/evidence/intel/tdx-v4-collateral/"
enum { AT_UNIX = 1750500000 }; /* when the statements of the set were current */

static struct vs_roots roots;
static struct vs_buf quote_bytes, chain;
static struct vs_dcap_quote quote;
static struct vs_dcap_pck pck;

static struct vs_ev_certs signers;

vs_rc __wrap_vs_ev_ecdsa_verify_key(enum vs_ev_curve curve, struct evp_pkey_st *key,
	struct vs_bytes data, struct vs_bytes sig, struct vs_err *err);
vs_rc __wrap_vs_ev_cert_chain(const struct vs_ev_cert *leaf, const struct vs_ev_certs *helpers,
	const struct vs_ev_certs *anchors, int64_t at_unix, struct vs_ev_path *ret,
	struct vs_err *err);
vs_rc __real_vs_ev_certs_pem(struct vs_bytes pem, struct vs_ev_certs *ret, struct vs_err *err);
vs_rc __wrap_vs_ev_certs_pem(struct vs_bytes pem, struct vs_ev_certs *ret, struct vs_err *err);
void __wrap_vs_ev_certs_done(struct vs_ev_certs *certs);

vs_rc
__wrap_vs_ev_ecdsa_verify_key(enum vs_ev_curve curve, struct evp_pkey_st *key, struct vs_bytes data,
	struct vs_bytes sig, struct vs_err *err)
{
	(void)data;
	(void)err;
	FUZZ_MUST(curve == VS_EV_P256 && key != NULL && sig.n == 64);
	return VS_OK;
}

vs_rc
__wrap_vs_ev_cert_chain(const struct vs_ev_cert *leaf, const struct vs_ev_certs *helpers,
	const struct vs_ev_certs *anchors, int64_t at_unix, struct vs_ev_path *ret,
	struct vs_err *err)
{
	(void)ret;
	(void)err;
	FUZZ_MUST(leaf == signers.v[0] && helpers->n == signers.n && at_unix == AT_UNIX &&
		anchors == &roots.intel);
	return VS_OK;
}

vs_rc
__wrap_vs_ev_certs_pem(struct vs_bytes pem, struct vs_ev_certs *ret, struct vs_err *err)
{
	if (signers.n == 0)
		return __real_vs_ev_certs_pem(pem, ret, err);
	FUZZ_MUST(pem.p == chain.p);
	*ret = signers;
	return VS_OK;
}

void
__wrap_vs_ev_certs_done(struct vs_ev_certs *certs)
{
	certs->n = 0;
}

static void
read_file(const char *path, struct vs_buf *out)
{
	uint8_t bytes[32768];
	FILE *f = fopen(path, "rb");
	FUZZ_MUST(f != NULL);
	const size_t n = fread(bytes, 1, sizeof bytes, f);
	fclose(f);
	FUZZ_MUST(n != 0 && !vs_failed(vs_buf_set(out, bytes, n, NULL)));
}

static void
set_up(void)
{
	struct vs_ev_certs certs = {.n = 0};
	if (chain.n != 0)
		return;
	read_file(SET "tdx_quote", &quote_bytes);
	read_file(VS_TEST_SRCDIR "/tests/fuzz/seeds/evcert/tcb-signing.pem", &chain);
	FUZZ_MUST(!vs_failed(vs_roots_production(&roots, NULL)));
	FUZZ_MUST(!vs_failed(vs_dcap_parse(vs_buf_view(&quote_bytes), &quote, NULL)));
	FUZZ_MUST(!vs_failed(vs_ev_certs_pem(quote.certs, &certs, NULL)));
	FUZZ_MUST(vs_dcap_pck_read(certs.v[0], &pck));
	FUZZ_MUST(!vs_failed(__real_vs_ev_certs_pem(vs_buf_view(&chain), &signers, NULL)));
	while (certs.n > 0)
		vs_ev_cert_free(certs.v[--certs.n]);
}

static const struct vs_check *
find_check(const struct vs_verdict *v, const char *name)
{
	for (size_t i = 0; i < v->n_checks; i++)
		if (strcmp(v->checks[i].name, name) == 0)
			return &v->checks[i];
	return NULL;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t sig[64];
	struct vs_reader r = vs_reader_of(vs_bytes_of(data, size));
	struct vs_verdict v = {.n_checks = 0};
	set_up();
	const struct vs_bytes info = vs_get_bytes(&r, vs_get_be16(&r));
	if (r.bad)
		return 0;
	const struct vs_dcap_collateral c = {.tcb_info = info,
		.tcb_info_sig = vs_bytes_of(sig, sizeof sig),
		.qe_identity = vs_get_bytes(&r, r.left),
		.qe_identity_sig = vs_bytes_of(sig, sizeof sig),
		.chain_pem = vs_buf_view(&chain)};
	const struct vs_dcap_expect x = {
		.at_unix = AT_UNIX, .roots = &roots.intel, .collateral = &c};
	FUZZ_MUST(!vs_failed(vs_dcap_check_tcb(&quote, &pck, &x, &v, NULL)));
	vs_check_finish(&v);
	/* Only the best status is allowed, and for that the platform has to be meant. */
	const struct vs_check *platform = find_check(&v, "platform TCB");
	if (platform != NULL && platform->passed)
		FUZZ_MUST(strcmp(platform->seen, "UpToDate") == 0);
	if (v.passed)
		FUZZ_MUST(platform != NULL && find_check(&v, "quoting enclave TCB") != NULL &&
			memmem(info.p, info.n, "UpToDate", 8) != NULL);
	return 0;
}
