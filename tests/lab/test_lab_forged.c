/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A forger with the best tools there are: a key of its own that the lab's CA was made to certify
 * (CVE-2025-49707), so that it can sign whatever structure it likes. Every field that a verifier
 * might forget is wrong once (T-A4), and in the end the hardware report stops it.
 */
#include "unit/unit.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>

#include "lab/lab_fixture.h"
#include "lab/lab_roots.h"

static struct fixture f;
static json_t *genuine;
static EVP_PKEY *key;
static uint8_t name[34], signer[34];

/* TPM2B_PUBLIC of the forger's key with the attributes of a genuine one. */
static struct vs_buf
public_of(EVP_PKEY *k)
{
	static const uint8_t head[] = {0x01, 0x18, 0x00, 0x01, 0x00, 0x0b, 0x00, 0x05, 0x04, 0x72,
		0x00, 0x00, 0x00, 0x10, 0x00, 0x14, 0x00, 0x0b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00,
		0x01, 0x00};
	struct vs_buf out = {0};
	uint8_t n[256];
	BIGNUM *bn = NULL;
	assert_int_equal(EVP_PKEY_get_bn_param(k, "n", &bn), 1);
	assert_int_equal(BN_bn2binpad(bn, n, 256), 256);
	BN_free(bn);
	assert_false(vs_failed(vs_buf_add(&out, head, sizeof head, NULL)));
	assert_false(vs_failed(vs_buf_add(&out, n, 256, NULL)));
	return out;
}

static int
start(void **state)
{
	(void)state;
	fixture_start(&f, "forged");
	genuine = fixture_collect(f.lab.machine, &(struct lab_guest_options){0});
	key = EVP_RSA_gen(2048);
	VS_CLEANUP(vs_buf_done) struct vs_buf pub = public_of(key);
	uint8_t text[38] = {0x40, 0, 0, 0x0b};
	name[1] = signer[1] = 0x0b;
	SHA256(pub.p + 2, pub.n - 2, name + 2);
	memcpy(text + 4, name, 34);
	SHA256(text, sizeof text, signer + 2);
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	json_decref(genuine);
	EVP_PKEY_free(key);
	fixture_stop(&f);
	return 0;
}

static void
sign_as(json_t *tpm, const char *what, const char *sig_name, struct vs_bytes text)
{
	uint8_t sig[256];
	size_t n = sizeof sig;
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	assert_int_equal(EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, key), 1);
	assert_int_equal(EVP_DigestSign(md, sig, &n, text.p, text.n), 1);
	EVP_MD_CTX_free(md);
	fixture_set(tpm, what, text);
	fixture_set(tpm, sig_name, vs_bytes_of(sig, n));
}

/* The genuine structure in the forger's name. */
static struct vs_buf
retold(const json_t *tpm, const char *what)
{
	struct vs_buf b = fixture_get(tpm, what);
	assert_int_equal(b.p[7], 34); /* magic 4, type 2, size 2, qualified signer */
	memcpy(b.p + 8, signer, 34);
	return b;
}

/* Everything of the TPM made anew with the forger's key; only the hardware is missing. */
static json_t *
forge(json_t **tpm)
{
	json_t *info = json_deep_copy(genuine);
	*tpm = json_object_get(info, "TpmInfo");
	VS_CLEANUP(vs_buf_done) struct vs_buf der = {0}, pub = public_of(key);
	struct vs_err err = {0};
	assert_ok(lab_roots_ak_cert(lab_machine_roots(f.lab.machine), key, &der, &err), &err);
	fixture_set(*tpm, "AikCert", vs_buf_view(&der));
	fixture_set(*tpm, "AikPub", vs_buf_view(&pub));
	VS_CLEANUP(vs_buf_done) struct vs_buf quote = retold(*tpm, "PcrQuote");
	VS_CLEANUP(vs_buf_done) struct vs_buf certify = retold(*tpm, "EncKeyCertifyInfo");
	sign_as(*tpm, "PcrQuote", "PcrSignature", vs_buf_view(&quote));
	sign_as(*tpm, "EncKeyCertifyInfo", "EncKeyCertifyInfoSignature", vs_buf_view(&certify));
	return info;
}

static void
refuses_a_perfect_forgery_because_of_the_hardware_report(void **state)
{
	(void)state;
	json_t *tpm = NULL, *info = forge(&tpm);
	fixture_expect(&f, info, LAB_CHECK_HCL_AK);
	json_decref(info);
}

/* Change bytes of a signed structure and sign again. */
struct change {
	const char *what, *sig;
	size_t at; /* from the end when from_end */
	bool from_end;
	uint8_t with;
	enum lab_check check;
};

static void
refuses_each_wrong_field_under_a_good_signature(void **state)
{
	(void)state;
	static const char q[] = "PcrQuote", qs[] = "PcrSignature";
	static const char c[] = "EncKeyCertifyInfo", cs[] = "EncKeyCertifyInfoSignature";
	/* End of a quote: count 4, hash 2, size 1, bitmap 3, digest size 2, digest 32. */
	const struct change changes[] = {
		{q, qs, 0, false, 0xfe, LAB_CHECK_QUOTE_FORM}, /* magic */
		{q, qs, 3, false, 0x48, LAB_CHECK_QUOTE_FORM},
		{q, qs, 5, false, 0x17, LAB_CHECK_QUOTE_FORM}, /* certify */
		{q, qs, 5, false, 0x14, LAB_CHECK_QUOTE_FORM}, /* NV certify */
		{q, qs, 5, false, 0x19, LAB_CHECK_QUOTE_FORM}, /* time */
		{q, qs, 7, false, 33, LAB_CHECK_QUOTE_FORM}, /* a shorter name shifts the rest */
		{q, qs, 10, false, 0x55, LAB_CHECK_QUOTE_SIGNER},
		{q, qs, 44, true, 0, LAB_CHECK_QUOTE_SELECTION}, /* no selection at all */
		{q, qs, 41, true, 2, LAB_CHECK_QUOTE_SELECTION}, /* two selections */
		{q, qs, 39, true, 0x04, LAB_CHECK_QUOTE_SELECTION}, /* SHA-1 */
		{q, qs, 38, true, 2, LAB_CHECK_QUOTE_SELECTION}, /* shorter bitmap */
		{q, qs, 37, true, 0x7f, LAB_CHECK_QUOTE_SELECTION}, /* without PCR 7 */
		{q, qs, 37, true, 0x00, LAB_CHECK_QUOTE_SELECTION}, /* empty */
		{q, qs, 35, true, 0x80, LAB_CHECK_QUOTE_SELECTION}, /* more than PcrSet */
		{q, qs, 33, true, 31, LAB_CHECK_QUOTE_FORM}, /* digest shorter, a byte left over */
		{q, qs, 1, true, 0x00, LAB_CHECK_QUOTE_DIGEST},
		{c, cs, 0, false, 0xfe, LAB_CHECK_CERTIFY_FORM},
		{c, cs, 5, false, 0x18, LAB_CHECK_CERTIFY_FORM},
		{c, cs, 1, true, 0x00, LAB_CHECK_NONE}, /* qualified name: not compared */
		{c, cs, 37, true, 0x00, LAB_CHECK_CERTIFY_NAME},
	};
	for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
		const struct change *ch = &changes[i];
		json_t *tpm = NULL, *info = forge(&tpm);
		VS_CLEANUP(vs_buf_done) struct vs_buf b = fixture_get(tpm, ch->what);
		const size_t at = ch->from_end ? b.n - ch->at : ch->at;
		b.p[at] = b.p[at] == ch->with ? (uint8_t)~ch->with : ch->with;
		sign_as(tpm, ch->what, ch->sig, vs_buf_view(&b));
		struct lab_facts facts;
		struct lab_refusal why;
		const enum lab_check check = fixture_verify(&f, info, &facts, &why);
		const enum lab_check expected =
			ch->check == LAB_CHECK_NONE ? LAB_CHECK_HCL_AK : ch->check;
		if (check != expected)
			fail_msg("change %zu: %s: %s", i, lab_check_name(check), why.text);
		json_decref(info);
	}
}

static void
refuses_structures_that_are_too_short_or_too_long(void **state)
{
	(void)state;
	for (size_t cut = 0; cut < 112; cut += 3) {
		json_t *tpm = NULL, *info = forge(&tpm);
		struct lab_facts facts;
		struct lab_refusal why;
		VS_CLEANUP(vs_buf_done) struct vs_buf b = fixture_get(tpm, "PcrQuote");
		if (cut == 0)
			assert_false(vs_failed(vs_buf_add_u8(&b, 0, NULL)));
		else
			b.n -= cut;
		sign_as(tpm, "PcrQuote", "PcrSignature", vs_buf_view(&b));
		const enum lab_check check = fixture_verify(&f, info, &facts, &why);
		assert_true(check == LAB_CHECK_QUOTE_FORM || check == LAB_CHECK_QUOTE_SELECTION ||
			check == LAB_CHECK_QUOTE_SIGNER);
		json_decref(info);
	}
}

static void
refuses_certificates_that_are_not_for_attestation_keys(void **state)
{
	(void)state;
	static const struct lab_ext wrong[3][4] = {
		{{.oid = "keyUsage", .conf = "critical,digitalSignature"},
			{.oid = "extendedKeyUsage", .conf = "serverAuth"}},
		{{.oid = "keyUsage", .conf = "critical,keyEncipherment"},
			{.oid = "extendedKeyUsage", .conf = "2.23.133.8.3"}},
		{{.oid = "basicConstraints", .conf = "critical,CA:TRUE"},
			{.oid = "keyUsage", .conf = "critical,digitalSignature,keyCertSign"},
			{.oid = "extendedKeyUsage", .conf = "2.23.133.8.3"}},
	};
	const struct lab_roots *roots = lab_machine_roots(f.lab.machine);
	for (size_t i = 0; i < 4; i++) {
		json_t *tpm = NULL, *info = forge(&tpm);
		struct vs_err err = {0};
		VS_CLEANUP(vs_buf_done) struct vs_buf der = {0};
		X509 *cert = NULL;
		static const struct lab_ext good[] = {
			{.oid = "keyUsage", .conf = "critical,digitalSignature"},
			{.oid = "extendedKeyUsage", .conf = "2.23.133.8.3"}, {0}};
		const struct lab_hwcert spec = {.cn = "LAB",
			.key = key,
			.issuer = &roots->vtpm_ca,
			.serial = -1,
			.not_before = i == 3 ? 1 : 0,
			.not_after = i == 3 ? 86400 : 0,
			.ext = i == 3 ? good : wrong[i]};
		assert_ok(lab_hwcert_new(&spec, &cert, &err), &err);
		assert_ok(lab_hwcert_der(cert, &der, &err), &err);
		X509_free(cert);
		fixture_set(tpm, "AikCert", vs_buf_view(&der));
		fixture_expect(&f, info, LAB_CHECK_AIK_CERT_CHAIN);
		json_decref(info);
	}
}

/* The processor's root is not a root for TPMs, although the same lab made it. */
static void
refuses_a_certificate_from_the_wrong_vendor(void **state)
{
	(void)state;
	json_t *tpm = NULL, *info = forge(&tpm);
	struct vs_err err = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf der = {0};
	struct lab_roots crossed = *lab_machine_roots(f.lab.machine);
	crossed.vtpm_ca = crossed.firmware;
	assert_ok(lab_roots_ak_cert(&crossed, key, &der, &err), &err);
	fixture_set(tpm, "AikCert", vs_buf_view(&der));
	fixture_expect(&f, info, LAB_CHECK_AIK_CERT_CHAIN);
	json_decref(info);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_a_perfect_forgery_because_of_the_hardware_report),
		cmocka_unit_test(refuses_each_wrong_field_under_a_good_signature),
		cmocka_unit_test(refuses_structures_that_are_too_short_or_too_long),
		cmocka_unit_test(refuses_certificates_that_are_not_for_attestation_keys),
		cmocka_unit_test(refuses_a_certificate_from_the_wrong_vendor),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
