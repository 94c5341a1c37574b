/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The evidence in the attestation service's signing certificates. Every captured key set is
 * accepted; every changed byte of what a certificate carries is refused, a sample of them by
 * default and all of them with VS_TEST_EVERY_BYTE=1.
 */
#include "unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/x509.h>

#include "base/codec.h"
#include "base/file.h"
#include "evidence/check.h"
#include "gate/service_evidence.h"
#include "jose/json.h"

#define OID_SGX "1.3.6.1.4.1.311.105.1"
#define OID_SGX_OLD "1.2.840.113556.10.1.1"
#define AT_2020 1600000000
#define AT_2022 1668600000
#define AT_2023 1695700000
#define AT_2026 1786752000

static struct vs_roots roots;
static char signer_2020[] = "5e5410aaf99a32e32df2a97d579e65f8310f274816ec4f34cedeeb1be410a526";
static char signer_2021[] = "74ba5fba208571cf99e1f7158e6536a05bbb6ce7807eef8f6a97f64a7af64b83";
static char *const both_signers[] = {signer_2020, signer_2021, NULL};

static const struct captured {
	const char *set;
	size_t index;
	const char *oid;
	int64_t at_unix;
	bool debug;
} captured[] = {
	{"2020-get.certs.response.body.json", 0, OID_SGX_OLD, AT_2020, true},
	{"sharedwus-2022-11.json", 0, OID_SGX, AT_2022, false},
	{"sharedeus-2023-09.json", 0, OID_SGX, AT_2023, false},
	{"sharedeus-2023-09.json", 2, OID_SGX, AT_2023, false},
	/* Answers to GET /certs of providers of their own; the shared one's is the second above. */
	{"../exchanges/attest-openenclave-isolated.json", 0, OID_SGX, AT_2022, false},
	{"../exchanges/attest-openenclave-runtimedata-json-aad.json", 0, OID_SGX, AT_2022, false},
};
enum { N_CAPTURED = sizeof captured / sizeof *captured };

static struct vs_buf
load(const char *folder, const char *name)
{
	char path[1024];
	struct vs_buf b = {0};
	struct vs_err err = {0};
	const char *src = getenv("VS_SRCDIR");
	(void)snprintf(path, sizeof path, "%s/tests/data/maa/%s/%s", src != NULL ? src : ".",
		folder, name);
	assert_ok(vs_file_read(path, 1 << 20, VS_FILE_TRUSTED, &b, &err), &err);
	return b;
}

static void
load_cert(const struct captured *c, struct vs_buf *der, struct vs_buf *kid)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf text = load("jwks", c->set);
	VS_CLEANUP(vs_json_freep) struct vs_json *j = NULL;
	struct vs_err err = {0};
	struct vs_bytes b = {0};
	assert_ok(vs_json_load_object(vs_buf_view(&text), 1 << 20, "set", &j, &err), &err);
	const struct vs_json *recorded = vs_json_at(vs_json_get(j, "Entries"), 0);
	const struct vs_json *set = recorded != NULL ? vs_json_get(recorded, "ResponseBody") : j;
	const struct vs_json *key = vs_json_at(vs_json_get(set, "keys"), c->index);
	assert_true(vs_json_bytes(vs_json_at(vs_json_get(key, "x5c"), 0), &b));
	assert_ok(vs_b64_decode(b, der, &err), &err);
	assert_true(vs_json_bytes(vs_json_get(key, "kid"), &b));
	assert_ok(vs_buf_add(kid, b.p, b.n, &err), &err);
}

static struct vs_verdict
check(struct vs_bytes der, struct vs_bytes kid, const struct vs_service_expect *x)
{
	struct vs_verdict v = {0};
	struct vs_err err = {0};
	assert_ok(vs_service_cert_check(der, kid, x, &v, &err), &err);
	vs_check_finish(&v);
	return v;
}

static void
print_failed(const struct vs_verdict *v)
{
	for (size_t i = 0; i < v->n_checks; i++)
		if (!v->checks[i].passed)
			print_message("  %s: expected %s, seen %s\n", v->checks[i].name,
				v->checks[i].expected, v->checks[i].seen);
}

/* The only check that fails is this one. */
static void
assert_only(const struct vs_verdict *v, const char *name)
{
	assert_false(v->passed);
	for (size_t i = 0; i < v->n_checks; i++)
		if (v->checks[i].passed != (strcmp(v->checks[i].name, name) != 0)) {
			print_failed(v);
			fail_msg("not only %s", name);
		}
}

static struct vs_service_expect
expect(const struct captured *c)
{
	return (struct vs_service_expect){.at_unix = c->at_unix,
		.roots = &roots,
		.measurements = both_signers,
		.allow_debug = c->debug};
}

static int
up(void **state)
{
	struct vs_err err = {0};
	(void)state;
	assert_ok(vs_roots_production(&roots, &err), &err);
	return 0;
}

static int
down(void **state)
{
	(void)state;
	vs_roots_done(&roots);
	return 0;
}

static void
every_captured_key_set_is_accepted(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_CAPTURED; i++) {
		VS_CLEANUP(vs_buf_done) struct vs_buf der = {0};
		VS_CLEANUP(vs_buf_done) struct vs_buf kid = {0};
		const struct vs_service_expect x = expect(&captured[i]);
		load_cert(&captured[i], &der, &kid);
		const struct vs_verdict v = check(vs_buf_view(&der), vs_buf_view(&kid), &x);
		if (!v.passed)
			print_failed(&v);
		assert_true(v.passed);
		assert_true(v.n_checks >= 15);
	}
}

static void
what_is_expected_of_it_decides(void **state)
{
	char *const other[] = {signer_2020, NULL};
	char *const none[] = {NULL};
	(void)state;
	VS_CLEANUP(vs_buf_done) struct vs_buf der = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf kid = {0};
	load_cert(&captured[1], &der, &kid);
	struct vs_service_expect x = expect(&captured[1]);
	x.measurements = other;
	struct vs_verdict v = check(vs_buf_view(&der), vs_buf_view(&kid), &x);
	assert_only(&v, "service enclave's signer");
	x.measurements = none;
	v = check(vs_buf_view(&der), vs_buf_view(&kid), &x);
	assert_only(&v, "service enclave's signer");
	x.measurements = NULL;
	v = check(vs_buf_view(&der), vs_buf_view(&kid), &x);
	assert_only(&v, "service enclave's signer");
	x = expect(&captured[1]);
	v = check(vs_buf_view(&der), vs_bytes_str("another"), &x);
	assert_only(&v, "service key's identifier");
	x.at_unix = INT64_C(4102444800); /* 2100 */
	v = check(vs_buf_view(&der), vs_buf_view(&kid), &x);
	assert_only(&v, "PCK certificate chain");
}

static void
a_debuggable_enclave_is_refused(void **state)
{
	(void)state;
	VS_CLEANUP(vs_buf_done) struct vs_buf der = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf kid = {0};
	struct vs_service_expect x = expect(&captured[0]);
	load_cert(&captured[0], &der, &kid);
	x.allow_debug = false;
	const struct vs_verdict v = check(vs_buf_view(&der), vs_buf_view(&kid), &x);
	assert_only(&v, "enclave debug");
}

static void
foreign_roots_accept_nothing(void **state)
{
	const struct vs_roots empty = {.amd = {.n = 0}};
	(void)state;
	VS_CLEANUP(vs_buf_done) struct vs_buf der = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf kid = {0};
	struct vs_service_expect x = expect(&captured[1]);
	load_cert(&captured[1], &der, &kid);
	x.roots = &empty;
	const struct vs_verdict v = check(vs_buf_view(&der), vs_buf_view(&kid), &x);
	assert_false(v.passed);
	assert_non_null(vs_check_first_failed(&v));
	assert_string_equal(vs_check_first_failed(&v)->name, "PCK certificate chain");
}

/* ---- certificates made here around the captured evidence --------------------------------------
 */

static EVP_PKEY *own_key;

/* The captured certificate with another key, signed again: everything else is as it was. */
static void
with_key(struct vs_bytes der, EVP_PKEY *key, struct vs_buf *ret)
{
	const unsigned char *p = der.p;
	struct vs_err err = {0};
	unsigned char *out = NULL;
	X509 *cert = d2i_X509(NULL, &p, (long)der.n);
	assert_non_null(cert);
	X509 *again = X509_new();
	assert_true(X509_set_version(again, 2) && X509_set_pubkey(again, key) &&
		X509_set_subject_name(again, X509_get_subject_name(cert)) &&
		X509_set_issuer_name(again, X509_get_subject_name(cert)) &&
		X509_set1_notBefore(again, X509_get0_notBefore(cert)) &&
		X509_set1_notAfter(again, X509_get0_notAfter(cert)));
	for (int i = 0; i < X509_get_ext_count(cert); i++)
		assert_true(X509_add_ext(again, X509_get_ext(cert, i), -1));
	assert_true(X509_sign(again, key, EVP_sha256()) > 0);
	const int n = i2d_X509(again, &out);
	assert_true(n > 0);
	vs_buf_reset(ret);
	assert_ok(vs_buf_add(ret, out, (size_t)n, &err), &err);
	OPENSSL_free(out);
	X509_free(again);
	X509_free(cert);
}

static int
key_up(void **state)
{
	(void)state;
	own_key = EVP_RSA_gen(2048);
	return own_key == NULL;
}

static int
key_down(void **state)
{
	(void)state;
	EVP_PKEY_free(own_key);
	return 0;
}

static void
evidence_of_another_key_is_refused(void **state)
{
	(void)state;
	VS_CLEANUP(vs_buf_done) struct vs_buf der = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf kid = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf forged = {0};
	const struct vs_service_expect x = expect(&captured[1]);
	load_cert(&captured[1], &der, &kid);
	with_key(vs_buf_view(&der), own_key, &forged);
	const struct vs_verdict v = check(vs_buf_view(&forged), vs_buf_view(&kid), &x);
	assert_false(v.passed);
	bool named = false;
	for (size_t i = 0; i < v.n_checks; i++)
		named = named ||
			(!v.checks[i].passed &&
				strcmp(v.checks[i].name, "service evidence names the key") == 0);
	assert_true(named);
}

static void
a_certificate_without_or_with_two_kinds_of_evidence_is_refused(void **state)
{
	(void)state;
	VS_CLEANUP(vs_buf_done) struct vs_buf der = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf kid = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf out = {0};
	const struct vs_service_expect x = expect(&captured[1]);
	load_cert(&captured[1], &der, &kid);
	for (int twice = 0; twice < 2; twice++) {
		const unsigned char *p = der.p;
		unsigned char *raw = NULL;
		struct vs_err err = {0};
		X509 *cert = d2i_X509(NULL, &p, (long)der.n);
		ASN1_OBJECT *sgx = OBJ_txt2obj(OID_SGX, 1), *old = OBJ_txt2obj(OID_SGX_OLD, 1);
		const int at = X509_get_ext_by_OBJ(cert, sgx, -1);
		assert_true(at >= 0);
		X509_EXTENSION *e = X509_EXTENSION_dup(X509_get_ext(cert, at));
		if (twice) {
			assert_true(X509_EXTENSION_set_object(e, old));
			assert_true(X509_add_ext(cert, e, -1));
		} else {
			X509_EXTENSION_free(X509_delete_ext(cert, at));
		}
		X509_EXTENSION_free(e);
		assert_true(i2d_re_X509_tbs(cert, NULL) > 0);
		const int n = i2d_X509(cert, &raw);
		vs_buf_reset(&out);
		assert_ok(vs_buf_add(&out, raw, (size_t)n, &err), &err);
		OPENSSL_free(raw);
		ASN1_OBJECT_free(sgx);
		ASN1_OBJECT_free(old);
		X509_free(cert);
		const struct vs_verdict v = check(vs_buf_view(&out), vs_buf_view(&kid), &x);
		const struct vs_check *last = &v.checks[v.n_checks - 1];
		assert_string_equal(last->name, "service's evidence");
		assert_false(last->passed);
		assert_string_equal(last->seen, twice ? "several" : "none");
	}
}

/* ---- every byte -------------------------------------------------------------------------------
 */

/* Where the extension's value stands in the certificate. */
static size_t
find_evidence(struct vs_bytes der, const char *oid, size_t *ret_n)
{
	const unsigned char *p = der.p;
	X509 *cert = d2i_X509(NULL, &p, (long)der.n);
	ASN1_OBJECT *o = OBJ_txt2obj(oid, 1);
	const ASN1_OCTET_STRING *s =
		X509_EXTENSION_get_data(X509_get_ext(cert, X509_get_ext_by_OBJ(cert, o, -1)));
	*ret_n = (size_t)ASN1_STRING_length(s);
	size_t at = 0;
	while (memcmp(der.p + at, ASN1_STRING_get0_data(s), *ret_n) != 0)
		at++;
	ASN1_OBJECT_free(o);
	X509_free(cert);
	return at;
}

/*
 * The signature of the certificate itself would refuse every change: here it is left out of the
 * judgement, so that the evidence must stand on its own. No byte of it is without a check.
 */
static void
any_changed_byte_of_the_evidence_is_refused(void **state)
{
	const bool all = getenv("VS_TEST_EVERY_BYTE") != NULL;
	(void)state;
	for (size_t i = 0; i < N_CAPTURED; i++) {
		VS_CLEANUP(vs_buf_done) struct vs_buf der = {0};
		VS_CLEANUP(vs_buf_done) struct vs_buf kid = {0};
		const struct vs_service_expect x = expect(&captured[i]);
		size_t n = 0, tried = 0, bad = 0;
		load_cert(&captured[i], &der, &kid);
		const size_t at = find_evidence(vs_buf_view(&der), captured[i].oid, &n);
		for (size_t k = 0; k < n; k += all || k < 32 || k + 32 > n ? 1 : 23) {
			const uint8_t was = der.p[at + k];
			const uint8_t now[] = {was ^ 1, was ^ 0x80, 0, 0xff};
			for (size_t m = 0; m < (all ? 4 : 1); m++) {
				if (now[m] == was)
					continue;
				der.p[at + k] = now[m];
				const struct vs_verdict v =
					check(vs_buf_view(&der), vs_buf_view(&kid), &x);
				const struct vs_check *c = NULL;
				for (size_t j = 0; j < v.n_checks && c == NULL; j++)
					if (!v.checks[j].passed &&
						strcmp(v.checks[j].name,
							"service certificate's signature") != 0)
						c = &v.checks[j];
				tried++;
				if (c == NULL) {
					print_message("%s: byte %zu: %02x -> %02x\n",
						captured[i].set, k, was, now[m]);
					bad++;
				}
			}
			der.p[at + k] = was;
		}
		print_message("%s: %zu changes of %zu bytes\n", captured[i].set, tried, n);
		assert_int_equal(bad, 0);
		assert_true(tried > 200);
	}
}

static void
any_changed_byte_of_the_certificate_is_refused(void **state)
{
	const bool all = getenv("VS_TEST_EVERY_BYTE") != NULL;
	(void)state;
	for (size_t i = 0; i < N_CAPTURED; i++) {
		VS_CLEANUP(vs_buf_done) struct vs_buf der = {0};
		VS_CLEANUP(vs_buf_done) struct vs_buf kid = {0};
		const struct vs_service_expect x = expect(&captured[i]);
		load_cert(&captured[i], &der, &kid);
		for (size_t k = i; k < der.n; k += all ? 1 : 61) {
			const uint8_t was = der.p[k];
			const uint8_t now[] = {was ^ 1, 0, 0xff};
			for (size_t m = 0; m < (all ? 3 : 1); m++) {
				if (now[m] == was)
					continue;
				der.p[k] = now[m];
				const struct vs_verdict v =
					check(vs_buf_view(&der), vs_buf_view(&kid), &x);
				if (v.passed)
					fail_msg("%s: byte %zu", captured[i].set, k);
			}
			der.p[k] = was;
		}
	}
}

static void
a_certificate_that_is_cut_anywhere_is_refused(void **state)
{
	(void)state;
	VS_CLEANUP(vs_buf_done) struct vs_buf der = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf kid = {0};
	const struct vs_service_expect x = expect(&captured[1]);
	load_cert(&captured[1], &der, &kid);
	for (size_t n = 0; n < der.n; n++) {
		const struct vs_verdict v = check(vs_bytes_of(der.p, n), vs_buf_view(&kid), &x);
		assert_only(&v, "service certificate");
	}
}

/* ---- tokens -------------------------------------------------------------------------------------
 */

static struct vs_verdict
check_token(const char *set, const char *token, int64_t at_unix)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf text = load("jwks", set);
	VS_CLEANUP(vs_buf_done) struct vs_buf jwt = load("tokens", token);
	VS_CLEANUP(vs_jwks_unrefp) struct vs_jwks *jwks = NULL;
	const struct vs_service_expect x = {
		.at_unix = at_unix, .roots = &roots, .measurements = both_signers};
	struct vs_verdict v = {0};
	struct vs_err err = {0};
	assert_ok(vs_jwks_parse(vs_buf_view(&text), &jwks, &err), &err);
	assert_ok(vs_service_evidence_check(vs_buf_view(&jwt), jwks, &x, &v, &err), &err);
	vs_check_finish(&v);
	return v;
}

static void
the_key_that_signed_a_real_token_has_its_evidence(void **state)
{
	(void)state;
	struct vs_verdict v = check_token(
		"sharedwus-2022-11.json", "azurevm-linux-snp-sharedwus-2022-09-07.jwt", AT_2022);
	if (!v.passed)
		print_failed(&v);
	assert_true(v.passed);
	v = check_token("sharedeus-2023-09.json", "sgx-sharedeus-2023-09-26.jwt", AT_2023);
	assert_true(v.passed);
	for (size_t i = 0; i < v.n_checks; i++)
		assert_string_equal(v.checks[i].rule, "service");
}

static void
a_key_set_of_another_region_has_nothing_to_say(void **state)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf text = load("jwks", "sharedeus-2023-09.json");
	VS_CLEANUP(vs_buf_done)
	struct vs_buf jwt = load("tokens", "azurevm-linux-snp-sharedwus-2022-09-07.jwt");
	VS_CLEANUP(vs_jwks_unrefp) struct vs_jwks *jwks = NULL;
	const struct vs_service_expect x = {
		.at_unix = AT_2023, .roots = &roots, .measurements = both_signers};
	struct vs_verdict v = {0};
	struct vs_err err = {0};
	(void)state;
	assert_ok(vs_jwks_parse(vs_buf_view(&text), &jwks, &err), &err);
	assert_code(vs_service_evidence_check(vs_buf_view(&jwt), jwks, &x, &v, &err),
		REFUSED_SIGNATURE);
	assert_int_equal(v.n_checks, 0);
}

/*
 * An attacker's key beside the genuine one, under the genuine one's name: the evidence of the
 * genuine one does not speak for a token that the other signed.
 */
static void
evidence_of_a_neighbour_with_the_same_name_does_not_count(void **state)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf der = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf kid = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf forged = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf a64 = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf b64 = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf set = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf token = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf head = {0};
	VS_CLEANUP(vs_jwks_unrefp) struct vs_jwks *jwks = NULL;
	const struct vs_service_expect x = expect(&captured[1]);
	struct vs_verdict v = {0};
	struct vs_err err = {0};
	uint8_t sig[256];
	size_t n = sizeof sig;
	(void)state;
	load_cert(&captured[1], &der, &kid);
	with_key(vs_buf_view(&der), own_key, &forged);
	assert_ok(vs_b64_encode(vs_buf_view(&der), &a64, &err), &err);
	assert_ok(vs_b64_encode(vs_buf_view(&forged), &b64, &err), &err);
	assert_ok(
		vs_buf_addf(&set, &err,
			"{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"%s\",\"x5c\":[\"%s\"]},"
			"{\"kty\":\"RSA\",\"kid\":\"%s\",\"x5c\":[\"%s\"]}]}",
			vs_buf_cstr(&kid), vs_buf_cstr(&a64), vs_buf_cstr(&kid), vs_buf_cstr(&b64)),
		&err);
	assert_ok(vs_jwks_parse(vs_buf_view(&set), &jwks, &err), &err);
	assert_ok(vs_buf_addf(&head, &err, "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"%s\"}",
			  vs_buf_cstr(&kid)),
		&err);
	assert_ok(vs_b64url_encode(vs_buf_view(&head), &token, &err), &err);
	assert_ok(vs_buf_add_str(&token, ".e30", &err), &err);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, own_key), 1);
	assert_int_equal(EVP_DigestSign(ctx, sig, &n, token.p, token.n), 1);
	EVP_MD_CTX_free(ctx);
	assert_ok(vs_buf_add_str(&token, ".", &err), &err);
	assert_ok(vs_b64url_encode(vs_bytes_of(sig, n), &token, &err), &err);
	assert_ok(vs_service_evidence_check(vs_buf_view(&token), jwks, &x, &v, &err), &err);
	vs_check_finish(&v);
	assert_false(v.passed);
	assert_string_equal(vs_check_first_failed(&v)->name, "service key's identifier");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_captured_key_set_is_accepted),
		cmocka_unit_test(what_is_expected_of_it_decides),
		cmocka_unit_test(a_debuggable_enclave_is_refused),
		cmocka_unit_test(foreign_roots_accept_nothing),
		cmocka_unit_test_setup_teardown(
			evidence_of_another_key_is_refused, key_up, key_down),
		cmocka_unit_test(a_certificate_without_or_with_two_kinds_of_evidence_is_refused),
		cmocka_unit_test(any_changed_byte_of_the_evidence_is_refused),
		cmocka_unit_test(any_changed_byte_of_the_certificate_is_refused),
		cmocka_unit_test(a_certificate_that_is_cut_anywhere_is_refused),
		cmocka_unit_test(the_key_that_signed_a_real_token_has_its_evidence),
		cmocka_unit_test(a_key_set_of_another_region_has_nothing_to_say),
		cmocka_unit_test_setup_teardown(
			evidence_of_a_neighbour_with_the_same_name_does_not_count, key_up,
			key_down),
	};

	return cmocka_run_group_tests(tests, up, down);
}
