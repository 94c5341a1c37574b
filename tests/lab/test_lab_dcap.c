/* SPDX-License-Identifier: BSD-2-Clause */
/* Quotes of real processors at the lab's verifier: genuine ones pass, anything changed does not. */
#include "unit/unit.h"

#include "base/codec.h"
#include "lab/lab_dcap.h"
#include "lab/lab_fixture.h"

static struct vs_buf
sgx_quote(void)
{
	return fixture_file("evidence/intel/sgx-v3/sgx_quote");
}

static void
genuine_quotes_verify(void **state)
{
	static const struct {
		const char *file;
		bool tdx;
		unsigned version;
		size_t body;
	} rows[] = {
		{"evidence/intel/sgx-v3/sgx_quote", false, 3, LAB_SGX_BODY},
		{"evidence/intel/sgx-v3-debug-occlum/occlum_quote.dat", false, 3, LAB_SGX_BODY},
		{"evidence/intel/tdx-v4-collateral/tdx_quote", true, 4, LAB_TD_BODY},
		{"maa/evidence/td_quote_v4.dat", true, 4, LAB_TD_BODY},
		{"evidence/intel/tdx-v5/tdx_quote_5.dat", true, 5, LAB_TD15_BODY},
		{"evidence/intel/tdx-v5-oe/tdx_quote_v5.bin", true, 5, LAB_TD15_BODY},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		VS_CLEANUP(vs_buf_done) struct vs_buf b = fixture_file(rows[i].file);
		struct lab_quote q;
		struct lab_refusal why = {0};
		if (!lab_dcap_verify(vs_buf_view(&b), &q, &why))
			fail_msg("%s: %s", rows[i].file, why.text);
		assert_int_equal(q.tdx, rows[i].tdx);
		assert_int_equal(q.version, rows[i].version);
		assert_int_equal(q.body.n, rows[i].body);
	}
}

static enum lab_check
check_of(struct vs_bytes quote)
{
	struct lab_quote q;
	struct lab_refusal why = {0};
	return lab_dcap_verify(quote, &q, &why) ? LAB_CHECK_NONE : why.check;
}

/* Each part is guarded by a check of its own. */
static void
changed_parts_are_refused_by_name(void **state)
{
	static const struct {
		size_t at;
		enum lab_check check;
	} rows[] = {
		{0, LAB_CHECK_DCAP_FORM}, /* version */
		{2, LAB_CHECK_DCAP_FORM}, /* kind of key */
		{4, LAB_CHECK_DCAP_FORM}, /* technology */
		{12, LAB_CHECK_DCAP_FORM}, /* vendor */
		{30, LAB_CHECK_DCAP_SIGNATURE}, /* user data */
		{48, LAB_CHECK_DCAP_SIGNATURE}, /* CPU */
		{48 + 64, LAB_CHECK_DCAP_SIGNATURE}, /* MRENCLAVE */
		{48 + 48, LAB_CHECK_DCAP_SIGNATURE}, /* debug attribute */
		{48 + 320, LAB_CHECK_DCAP_SIGNATURE}, /* report data */
		{432, LAB_CHECK_DCAP_FORM}, /* length */
		{436, LAB_CHECK_DCAP_SIGNATURE}, {500, LAB_CHECK_QE_BINDING}, /* attestation key */
		{564, LAB_CHECK_QE_SIGNATURE}, /* report of the quoting enclave */
		{564 + 128, LAB_CHECK_QE_SIGNATURE}, /* its signer */
		{564 + 384, LAB_CHECK_QE_SIGNATURE},
		{564 + 384 + 64, LAB_CHECK_DCAP_FORM}, /* length of authentication data */
		{564 + 384 + 66, LAB_CHECK_QE_BINDING}, /* authentication data */
	};
	VS_CLEANUP(vs_buf_done) struct vs_buf b = sgx_quote();
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		b.p[rows[i].at] ^= 2;
		const enum lab_check check = check_of(vs_buf_view(&b));
		if (check != rows[i].check)
			fail_msg("byte %zu: %s", rows[i].at, lab_check_name(check));
		b.p[rows[i].at] ^= 2;
	}
	assert_int_equal(check_of(vs_buf_view(&b)), LAB_CHECK_NONE);
}

static void
every_changed_byte_is_refused(void **state)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf b = sgx_quote();
	(void)state;
	/* The last bytes of a PEM text may be blanks that carry nothing. */
	for (size_t i = 0; i < b.n - 16; i += 13) {
		b.p[i] ^= 1;
		const bool line = b.p[i] == '\v' || (b.p[i] ^ 1) == '\n';
		if (check_of(vs_buf_view(&b)) == LAB_CHECK_NONE && !line)
			fail_msg("byte %zu of %zu does not matter", i, b.n);
		b.p[i] ^= 1;
	}
}

static void
cut_and_grown_quotes_are_refused(void **state)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf b = sgx_quote();
	struct vs_err err = {0};
	(void)state;
	for (size_t n = 0; n < b.n; n += 61)
		assert_int_equal(check_of(vs_bytes_of(b.p, n)), LAB_CHECK_DCAP_FORM);
	assert_int_equal(check_of(vs_bytes_of(b.p, b.n - 1)), LAB_CHECK_DCAP_FORM);
	assert_ok(vs_buf_add(&b, "\0", 1, &err), &err);
	assert_int_equal(check_of(vs_buf_view(&b)), LAB_CHECK_DCAP_FORM);
	VS_CLEANUP(vs_buf_done) struct vs_buf td = fixture_file("maa/evidence/td_quote_v4.dat");
	VS_CLEANUP(vs_buf_done)
	struct vs_buf more = fixture_file("evidence/intel/tdx-v4-spr/tdx_prod_quote_SPR_E4.dat");
	assert_int_equal(check_of(vs_buf_view(&more)), LAB_CHECK_DCAP_FORM); /* text behind it */
	td.p[td.n - 1] ^= 1; /* behind the quote: only zeros may stand there */
	assert_int_equal(check_of(vs_buf_view(&td)), LAB_CHECK_DCAP_FORM);
}

/* Certificates of another platform, in good order, over a report that they did not sign. */
static void
another_platforms_chain_is_refused(void **state)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf a = sgx_quote();
	VS_CLEANUP(vs_buf_done)
	struct vs_buf b = fixture_file("evidence/intel/sgx-v3-debug-occlum/occlum_quote.dat");
	VS_CLEANUP(vs_buf_done) struct vs_buf mixed = {0};
	struct vs_err err = {0};
	const size_t auth_a = 436 + 64 + 64 + 384 + 64;
	const size_t chain_a = auth_a + 2 + a.p[auth_a] + 2, chain_b = auth_a + 2 + b.p[auth_a] + 2;
	(void)state;
	assert_ok(vs_buf_add(&mixed, a.p, chain_a, &err), &err);
	assert_ok(vs_buf_add(&mixed, b.p + chain_b, b.n - chain_b, &err), &err);
	const size_t n = mixed.n - 436;
	for (size_t i = 0; i < 4; i++)
		mixed.p[432 + i] = (uint8_t)(n >> (8 * i));
	assert_int_equal(check_of(vs_buf_view(&mixed)), LAB_CHECK_QE_SIGNATURE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(genuine_quotes_verify),
		cmocka_unit_test(changed_parts_are_refused_by_name),
		cmocka_unit_test(every_changed_byte_is_refused),
		cmocka_unit_test(cut_and_grown_quotes_are_refused),
		cmocka_unit_test(another_platforms_chain_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
