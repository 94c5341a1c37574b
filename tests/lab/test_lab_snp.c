/* SPDX-License-Identifier: BSD-2-Clause */
/* The lab's reading of hardware reports, measured on a real one of a Milan machine. */
#include "unit/unit.h"

#include <openssl/pem.h>

#include "lab/lab_fixture.h"

static struct vs_buf report, runtime, chain;
static X509 *ark;
enum { CAPTURED = 1767225600 }; /* within the validity of all three certificates */

static X509 *
nth_cert(const char *pem, int n)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *cert = NULL;
	for (int i = 0; i <= n; i++) {
		X509_free(cert);
		cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	}
	BIO_free(bio);
	assert_non_null(cert);
	return cert;
}

static int
start(void **state)
{
	(void)state;
	report = fixture_file("lab/snp/snp_report.bin");
	runtime = fixture_file("lab/snp/runtime.json");
	VS_CLEANUP(vs_buf_done) struct vs_buf der = fixture_file("lab/snp/vcek.der");
	VS_CLEANUP(vs_buf_done) struct vs_buf ca = fixture_file("lab/snp/ask_ark_milan.pem");
	const unsigned char *p = der.p;
	X509 *vcek = d2i_X509(NULL, &p, (long)der.n);
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL;
	assert_int_equal(PEM_write_bio_X509(bio, vcek), 1);
	const long n = BIO_get_mem_data(bio, &text);
	assert_false(vs_failed(vs_buf_add(&chain, text, (size_t)n, NULL)));
	assert_false(vs_failed(vs_buf_add(&chain, ca.p, ca.n, NULL)));
	BIO_free(bio);
	X509_free(vcek);
	ark = nth_cert(vs_buf_cstr(&ca), 1);
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	vs_buf_done(&report);
	vs_buf_done(&runtime);
	vs_buf_done(&chain);
	X509_free(ark);
	return 0;
}

static enum lab_check
verify(int64_t now, bool *compliant)
{
	struct lab_refusal why = {0};
	const struct lab_anchors anchors = {.ark = ark, .now = now};
	const bool ok = lab_verify_snp(vs_buf_view(&report), vs_buf_view(&chain),
		vs_buf_view(&runtime), &anchors, compliant, &why);
	assert_true(ok == (why.check == LAB_CHECK_NONE));
	return why.check;
}

static void
accepts_a_real_report(void **state)
{
	(void)state;
	bool compliant = true;
	assert_string_equal(lab_check_name(verify(CAPTURED, &compliant)), "None");
	assert_false(compliant); /* the lab's paravisor it is not */
}

static void
refuses_a_real_report_at_another_time_or_root(void **state)
{
	(void)state;
	bool compliant = false;
	assert_int_equal(verify(CAPTURED + 40LL * 365 * 86400, &compliant), LAB_CHECK_VCEK_CHAIN);
	assert_int_equal(verify(1, &compliant), LAB_CHECK_VCEK_CHAIN);
	X509 *root = ark;
	EVP_PKEY *key = EVP_EC_gen("P-256");
	ark = X509_dup(root); /* the same name with another key */
	assert_int_equal(X509_set_pubkey(ark, key), 1);
	EVP_PKEY_free(key);
	assert_int_equal(verify(CAPTURED, &compliant), LAB_CHECK_VCEK_CHAIN);
	X509_free(ark);
	ark = root;
}

static void
refuses_every_changed_field_of_a_real_report(void **state)
{
	(void)state;
	bool compliant = false;
	static const struct {
		size_t at;
		enum lab_check check;
	} cases[] = {
		{0x000, LAB_CHECK_REPORT_FORM}, /* version 3 becomes 131 */
		{0x00a, LAB_CHECK_REPORT_SIGNATURE}, /* policy */
		{0x030, LAB_CHECK_REPORT_SIGNATURE}, /* VMPL */
		{0x034, LAB_CHECK_REPORT_FORM}, /* algorithm */
		{0x050, LAB_CHECK_REPORT_SIGNATURE}, /* report data */
		{0x090, LAB_CHECK_REPORT_SIGNATURE}, /* measurement */
		{0x180, LAB_CHECK_REPORT_SIGNATURE}, /* TCB */
		{0x1a0, LAB_CHECK_REPORT_SIGNATURE}, /* chip */
		{0x29f, LAB_CHECK_REPORT_SIGNATURE}, /* last signed byte */
		{0x2a0, LAB_CHECK_REPORT_SIGNATURE},
		{0x2d0, LAB_CHECK_REPORT_SIGNATURE}, /* beyond 48 bytes of R */
		{0x2e8, LAB_CHECK_REPORT_SIGNATURE},
		{0x330, LAB_CHECK_REPORT_FORM},
		{0x49f, LAB_CHECK_REPORT_FORM},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		report.p[cases[i].at] ^= 0x80;
		const enum lab_check check = verify(CAPTURED, &compliant);
		if (check != cases[i].check)
			fail_msg("offset 0x%03zx: %s", cases[i].at, lab_check_name(check));
		report.p[cases[i].at] ^= 0x80;
	}
	report.n--;
	assert_int_equal(verify(CAPTURED, &compliant), LAB_CHECK_REPORT_FORM);
	report.n++;
}

static void
refuses_other_claims_than_the_report_covers(void **state)
{
	(void)state;
	bool compliant = false;
	runtime.n--;
	assert_int_equal(verify(CAPTURED, &compliant), LAB_CHECK_REPORT_DATA);
	runtime.n++;
	runtime.p[100] ^= 0x20;
	assert_int_equal(verify(CAPTURED, &compliant), LAB_CHECK_REPORT_DATA);
	runtime.p[100] ^= 0x20;
}

static void
refuses_a_chain_in_another_order(void **state)
{
	(void)state;
	bool compliant = false;
	struct vs_buf whole = chain;
	const char *second = strstr(vs_buf_cstr(&whole) + 1, "-----BEGIN");
	memset(&chain, 0, sizeof chain);
	assert_false(vs_failed(vs_buf_add_str(&chain, second, NULL)));
	assert_int_equal(verify(CAPTURED, &compliant), LAB_CHECK_VCEK_CHAIN);
	vs_buf_reset(&chain);
	assert_false(vs_failed(vs_buf_add_str(&chain, "no certificates here", NULL)));
	assert_int_equal(verify(CAPTURED, &compliant), LAB_CHECK_VCEK_CHAIN);
	vs_buf_done(&chain);
	chain = whole;
	assert_int_equal(verify(CAPTURED, &compliant), LAB_CHECK_NONE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts_a_real_report),
		cmocka_unit_test(refuses_a_real_report_at_another_time_or_root),
		cmocka_unit_test(refuses_every_changed_field_of_a_real_report),
		cmocka_unit_test(refuses_other_claims_than_the_report_covers),
		cmocka_unit_test(refuses_a_chain_in_another_order),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
