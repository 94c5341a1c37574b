/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SNP reports of every generation of processors, signed by chip and by provider keys, in every
 * known version: made here, because captures exist of some combinations only (Milan, Turin). Each
 * is accepted as it should be and refused with one thing wrong.
 */
#include "unit/unit.h"

#include <openssl/ecdsa.h>
#include <openssl/sha.h>

#include "evidence/check.h"
#include "evidence/snp.h"
#include "lab/lab_report.h"
#include "lab/lab_roots.h"

static struct lab_roots *lab;
static struct vs_ev_certs roots, helpers;
static EVP_PKEY *key, *other_key;

struct gen {
	enum vs_snp_gen gen;
	const char *product; /* in a VCEK */
	uint8_t family, model;
	uint8_t tcb[8]; /* as the report has them */
	struct vs_snp_tcb parts;
	size_t hwid; /* bytes of the chip identifier that the certificate names */
};

static const struct gen gens[] = {
	{VS_SNP_MILAN, "Milan-B0", 0x19, 0x01, {3, 1, 0, 0, 0, 0, 8, 115},
		{.boot_loader = 3, .tee = 1, .snp = 8, .microcode = 115}, 64},
	{VS_SNP_GENOA, "Genoa", 0x19, 0x11, {9, 2, 0, 0, 0, 0, 22, 72},
		{.boot_loader = 9, .tee = 2, .snp = 22, .microcode = 72}, 64},
	{VS_SNP_GENOA, "Genoa-B1", 0x19, 0xA0, {9, 2, 0, 0, 0, 0, 22, 200},
		{.boot_loader = 9, .tee = 2, .snp = 22, .microcode = 200}, 64},
	{VS_SNP_TURIN, "Turin-B0", 0x1A, 0x02, {1, 2, 3, 4, 0, 0, 0, 81},
		{.fmc = 1, .boot_loader = 2, .tee = 3, .snp = 4, .microcode = 81}, 8},
};

enum wrong {
	NOTHING,
	TCB_BOOT_LOADER,
	TCB_TEE,
	TCB_SNP,
	TCB_MICROCODE,
	TCB_FMC,
	PRODUCT,
	CHIP,
	KIND,
	SIGNER,
	SIGNED_BYTE,
	CURRENT_BELOW,
	WRONG_COUNT_,
};

/* The check that says so. A version 2 report does not name its processor: the TCB gives it away. */
static const char *const checks[WRONG_COUNT_] = {
	[TCB_BOOT_LOADER] = "SNP TCB of the certificate",
	[TCB_TEE] = "SNP TCB of the certificate",
	[TCB_SNP] = "SNP TCB of the certificate",
	[TCB_MICROCODE] = "SNP TCB of the certificate",
	[TCB_FMC] = "SNP TCB of the certificate",
	[PRODUCT] = "SNP product",
	[CHIP] = "SNP chip",
	[KIND] = "SNP certificate kind",
	[SIGNER] = "SNP report signature",
	[SIGNED_BYTE] = "SNP report signature",
	[CURRENT_BELOW] = "SNP TCB order",
};

/* A DER INTEGER of one byte. */
static struct vs_bytes
der_int(uint8_t v, uint8_t out[4])
{
	const uint8_t with_zero[] = {2, 2, 0, v}, bare[] = {2, 1, v};
	memcpy(out, v >= 0x80 ? with_zero : bare, v >= 0x80 ? 4 : 3);
	return vs_bytes_of(out, v >= 0x80 ? 4 : 3);
}

static struct vs_ev_cert *
make_cert(const struct gen *g, bool vlek, enum wrong w)
{
	static const uint8_t provider[] = {0x16, 5, 'A', 'z', 'u', 'r', 'e'};
	struct vs_snp_tcb t = g->parts;
	uint8_t tcb[5][4], product[32] = {0x16}, hwid[64];
	VS_CLEANUP(vs_buf_done) struct vs_buf der = {0};
	struct vs_ev_cert *cert = NULL;
	struct vs_err err = {0};
	X509 *x = NULL;
	t.boot_loader = (uint8_t)(t.boot_loader + (w == TCB_BOOT_LOADER));
	t.tee = (uint8_t)(t.tee + (w == TCB_TEE));
	t.snp = (uint8_t)(t.snp + (w == TCB_SNP));
	t.microcode = (uint8_t)(t.microcode - (w == TCB_MICROCODE));
	t.fmc = (uint8_t)(t.fmc + (w == TCB_FMC));
	const char *word =
		w == PRODUCT ? (g->gen == VS_SNP_MILAN ? "Genoa" : "Milan-B0") : g->product;
	/* Provider keys name the generation without a stepping. */
	const size_t n = vlek ? strcspn(word, "-") : strlen(word);
	product[1] = (uint8_t)n;
	memcpy(product + 2, word, n);
	memset(hwid, 0x5A, sizeof hwid);
	hwid[g->hwid - 1] ^= w == CHIP;
	const bool fmc = g->gen == VS_SNP_TURIN;
	const struct lab_ext ext[] = {
		{.oid = "1.3.6.1.4.1.3704.1.2", .der = {product, n + 2}},
		{.oid = "1.3.6.1.4.1.3704.1.3.1", .der = der_int(t.boot_loader, tcb[0])},
		{.oid = "1.3.6.1.4.1.3704.1.3.2", .der = der_int(t.tee, tcb[1])},
		{.oid = "1.3.6.1.4.1.3704.1.3.3", .der = der_int(t.snp, tcb[2])},
		{.oid = "1.3.6.1.4.1.3704.1.3.8", .der = der_int(t.microcode, tcb[3])},
		{.oid = vlek ? "1.3.6.1.4.1.3704.1.5" : "1.3.6.1.4.1.3704.1.4",
			.der = vlek ? vs_bytes_of(provider, sizeof provider)
				    : vs_bytes_of(hwid, g->hwid)},
		{.oid = fmc ? "1.3.6.1.4.1.3704.1.3.9" : NULL, .der = der_int(t.fmc, tcb[4])},
		{0},
	};
	const bool named_vlek = w == KIND ? !vlek : vlek;
	assert_ok(lab_hwcert_new(&(struct lab_hwcert){.cn = named_vlek ? "SEV-VLEK" : "SEV-VCEK",
					 .key = w == SIGNER ? other_key : key,
					 .issuer = &lab->ask,
					 .serial = 0,
					 .pss = true,
					 .ext = ext},
			  &x, &err),
		&err);
	assert_ok(lab_hwcert_der(x, &der, &err), &err);
	assert_ok(vs_ev_cert_der(vs_buf_view(&der), &cert, &err), &err);
	X509_free(x);
	return cert;
}

static void
sign(uint8_t b[LAB_SNP_SIZE])
{
	uint8_t der[256], digest[48], half[72];
	size_t n = sizeof der;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	SHA384(b, LAB_SNP_SIGNED, digest);
	assert_int_equal(EVP_PKEY_sign_init(ctx), 1);
	assert_int_equal(EVP_PKEY_sign(ctx, der, &n, digest, sizeof digest), 1);
	EVP_PKEY_CTX_free(ctx);
	const uint8_t *p = der;
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &p, (long)n);
	assert_non_null(sig);
	assert_int_equal(BN_bn2lebinpad(ECDSA_SIG_get0_r(sig), half, 72), 72);
	memcpy(b + LAB_SNP_SIGNED, half, 72);
	assert_int_equal(BN_bn2lebinpad(ECDSA_SIG_get0_s(sig), half, 72), 72);
	memcpy(b + LAB_SNP_SIGNED + 72, half, 72);
	ECDSA_SIG_free(sig);
}

static void
make_report(const struct gen *g, uint8_t version, bool vlek, enum wrong w, uint8_t b[LAB_SNP_SIZE])
{
	memset(b, 0, LAB_SNP_SIZE);
	b[0] = version;
	b[4] = 2;
	b[8] = 0x1f;
	b[10] = 3; /* policy 3001f */
	b[0x34] = 1;
	b[0x48] = vlek ? 4 : 0;
	memcpy(b + 0x38, g->tcb, 8);
	memcpy(b + 0x180, g->tcb, 8);
	memcpy(b + 0x1e0, g->tcb, 8);
	memcpy(b + 0x1f0, g->tcb, 8);
	b[0x38 + 7] = (uint8_t)(b[0x38 + 7] - (w == CURRENT_BELOW));
	if (version >= 3) {
		b[0x188] = g->family;
		b[0x189] = g->model;
	}
	if (version >= 5)
		b[0x1f8] = 1;
	if (!vlek)
		memset(b + 0x1a0, 0x5A, g->hwid);
	sign(b);
	b[0x90] ^= w == SIGNED_BYTE;
}

static void
run(const struct gen *g, uint8_t version, bool vlek, bool allow_vlek, enum wrong w,
	struct vs_verdict *v)
{
	uint8_t b[LAB_SNP_SIZE];
	struct vs_snp_report r;
	struct vs_err err = {0};
	struct vs_ev_cert *cert = make_cert(g, vlek, w);
	const struct vs_snp_expect x = {.at_unix = time(NULL),
		.roots = &roots,
		.helpers = &helpers,
		.allow_vlek = allow_vlek};
	*v = (struct vs_verdict){.n_checks = 0};
	make_report(g, version, vlek, w, b);
	assert_ok(vs_snp_parse(vs_bytes_of(b, sizeof b), &r, &err), &err);
	assert_int_equal(r.gen, version >= 3 ? g->gen : VS_SNP_GEN_NONE);
	assert_ok(vs_snp_verify(&r, cert, &x, v, &err), &err);
	vs_check_finish(v);
	vs_ev_cert_free(cert);
}

static void
every_generation_signer_and_version_is_verified(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof gens / sizeof gens[0]; i++) {
		for (uint8_t version = 2; version <= 5; version++) {
			for (int vlek = 0; vlek < 2; vlek++) {
				struct vs_verdict v;
				run(&gens[i], version, vlek, vlek, NOTHING, &v);
				const struct vs_check *c = vs_check_first_failed(&v);
				if (c != NULL)
					fail_msg("%s version %u vlek %d: %s: expected %s, seen %s",
						gens[i].product, version, vlek, c->name,
						c->expected, c->seen);
				assert_true(v.passed);
				/* A provider's key where a chip's is asked for. */
				if (vlek) {
					run(&gens[i], version, true, false, NOTHING, &v);
					assert_string_equal(
						vs_check_first_failed(&v)->name, "SNP signing key");
				}
			}
		}
	}
}

static void
one_thing_wrong_is_refused_by_the_check_that_is_about_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof gens / sizeof gens[0]; i++) {
		for (int vlek = 0; vlek < 2; vlek++) {
			for (int w = NOTHING + 1; w < WRONG_COUNT_; w++) {
				struct vs_verdict v;
				const bool fmc = gens[i].gen == VS_SNP_TURIN;
				if ((w == TCB_FMC && !fmc) || (w == CHIP && vlek))
					continue;
				run(&gens[i], 3, vlek, vlek, (enum wrong)w, &v);
				const struct vs_check *c = vs_check_first_failed(&v);
				if (c == NULL || strcmp(c->name, checks[w]) != 0)
					fail_msg("%s vlek %d wrong %d: %s", gens[i].product, vlek,
						w, c != NULL ? c->name : "accepted");
			}
		}
	}
}

static void
versions_and_processors_that_are_not_known_are_refused(void **state)
{
	(void)state;
	static const uint8_t versions[] = {0, 1, 6, 255};
	static const uint8_t processors[][2] = {{0x18, 1}, {0x19, 0x20}, {0x19, 0x9F}, {0x19, 0xB0},
		{0x1A, 0x12}, {0x1B, 0}, {0, 0}};
	uint8_t b[LAB_SNP_SIZE];
	struct vs_snp_report r;
	for (size_t i = 0; i < sizeof versions; i++) {
		make_report(&gens[0], 3, false, NOTHING, b);
		b[0] = versions[i];
		assert_code(vs_snp_parse(vs_bytes_of(b, sizeof b), &r, NULL), FORMAT);
	}
	for (size_t i = 0; i < sizeof processors / sizeof processors[0]; i++) {
		make_report(&gens[0], 5, false, NOTHING, b);
		b[0x188] = processors[i][0];
		b[0x189] = processors[i][1];
		assert_code(vs_snp_parse(vs_bytes_of(b, sizeof b), &r, NULL), FORMAT);
	}
}

static void
add_cert(X509 *x, struct vs_ev_certs *to)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf der = {0};
	struct vs_ev_cert *cert = NULL;
	struct vs_err err = {0};
	assert_ok(lab_hwcert_der(x, &der, &err), &err);
	assert_ok(vs_ev_cert_der(vs_buf_view(&der), &cert, &err), &err);
	assert_ok(vs_ev_certs_add(to, cert, &err), &err);
}

static int
set_up(void **state)
{
	struct vs_err err = {0};
	(void)state;
	assert_ok(lab_roots_new(&lab, &err), &err);
	add_cert(lab->ark.cert, &roots);
	add_cert(lab->ask.cert, &helpers);
	key = EVP_EC_gen("P-384");
	other_key = EVP_EC_gen("P-384");
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	vs_ev_certs_done(&roots);
	vs_ev_certs_done(&helpers);
	EVP_PKEY_free(key);
	EVP_PKEY_free(other_key);
	lab_roots_free(lab);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_generation_signer_and_version_is_verified),
		cmocka_unit_test(one_thing_wrong_is_refused_by_the_check_that_is_about_it),
		cmocka_unit_test(versions_and_processors_that_are_not_known_are_refused),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
