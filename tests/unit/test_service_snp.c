/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The SEV-SNP form of the service's evidence: a certificate made here as the service has made its
 * own since 2025, around a report of an emulated processor; then each thing about it that is wrong.
 */
#include "unit/cosekit.h"
#include "unit/unit.h"

#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

#include "base/codec.h"
#include "evidence/check.h"
#include "gate/service_evidence.h"
#include "lab/lab_report.h"
#include "lab/lab_roots.h"

static struct lab_roots *lab;
static struct lab_chip *chip, *other_chip;
static struct vs_roots roots;
static EVP_PKEY *key, *other_key;
static char measurement[97], host_data[65];
static struct pki uvm_root, uvm_leaf;
static char uvm_did[160], uvm_payload[256];
static const struct vs_collateral *collateral;
static char *const expected[] = {host_data, measurement, NULL};

/* What is made, and how it is spoilt. */
struct spoilt {
	EVP_PKEY *bound_to; /* NULL: the key of the certificate */
	EVP_PKEY *sign_with;
	uint64_t policy;
	uint32_t vmpl;
	const char *paravisor, *kind, *json; /* json: a whole other text */
	const struct lab_chip *vcek_of;
	bool der_long; /* a length that is not the shortest */
	bool no_kind;
	const struct cose *uvm; /* an endorsement, encoded; NULL: none */
	const char *endorsements; /* another JSON text in its place */
	bool behind; /* something behind the text */
};

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
up(void **state)
{
	struct vs_err err = {0};
	uint8_t digest[48];
	(void)state;
	assert_ok(lab_roots_new(&lab, &err), &err);
	assert_ok(lab_chip_new(lab, &chip, &err), &err);
	assert_ok(lab_chip_new(lab, &other_chip, &err), &err);
	add_cert(lab->ark.cert, &roots.amd);
	key = EVP_RSA_gen(2048);
	other_key = EVP_RSA_gen(2048);
	SHA384((const uint8_t *)LAB_PARAVISOR, strlen(LAB_PARAVISOR), digest);
	vs_hex_str(digest, sizeof digest, measurement, sizeof measurement);
	memset(host_data, '0', 64);
	uvm_root = pki_make(
		&(struct pki_cert){.cn = "UVM root", .serial = 1, .ca = true, .rsa = true});
	uvm_leaf = pki_make(&(struct pki_cert){.cn = "UVM",
		.issuer = &uvm_root,
		.serial = 2,
		.rsa = true,
		.eku = "1.3.6.1.4.1.311.76.59.1.2"});
	cose_did(&uvm_root, "1.3.6.1.4.1.311.76.59.1.2", uvm_did);
	snprintf(uvm_payload, sizeof uvm_payload,
		"{\"x-ms-sevsnpvm-guestsvn\":\"100\","
		"\"x-ms-sevsnpvm-launchmeasurement\":\"%s\"}",
		measurement);
	return 0;
}

static int
down(void **state)
{
	(void)state;
	vs_roots_done(&roots);
	pki_done(&uvm_leaf);
	pki_done(&uvm_root);
	lab_chip_free(chip);
	lab_chip_free(other_chip);
	lab_roots_free(lab);
	EVP_PKEY_free(key);
	EVP_PKEY_free(other_key);
	return 0;
}

/* PEM text of a public key with the NUL behind it, by libcrypto's own writer. */
static void
key_text(EVP_PKEY *k, struct vs_buf *out)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *p = NULL;
	struct vs_err err = {0};
	assert_int_equal(PEM_write_bio_PUBKEY(bio, k), 1);
	const long n = BIO_get_mem_data(bio, &p);
	assert_ok(vs_buf_add(out, p, (size_t)n, &err), &err);
	assert_ok(vs_buf_add_u8(out, 0, &err), &err);
	BIO_free(bio);
}

/* base64url of {"Uvm":["<base64url of COSE>"]} */
static void
put_endorsements(const struct spoilt *s, struct vs_buf *out)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf cose = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf json = {0};
	struct vs_err err = {0};
	if (s->uvm != NULL) {
		cose_make(s->uvm, &cose);
		assert_ok(vs_b64url_encode(vs_buf_view(&cose), &text, &err), &err);
		assert_ok(vs_buf_addf(&json, &err, "{\"Uvm\":[\"%s\"]}", vs_buf_cstr(&text)), &err);
	} else {
		assert_ok(vs_buf_add_str(
				  &json, s->endorsements != NULL ? s->endorsements : "{}", &err),
			&err);
	}
	assert_ok(vs_b64url_encode(vs_buf_view(&json), out, &err), &err);
}

static void
make_json(const struct spoilt *s, struct vs_buf *out)
{
	static const uint8_t report_id[32] = {7};
	VS_CLEANUP(vs_buf_done) struct vs_buf bound = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf chain = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf a = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf b = {0};
	uint8_t report[LAB_SNP_SIZE];
	struct vs_err err = {0};
	key_text(s->bound_to != NULL ? s->bound_to : key, &bound);
	const struct lab_snp snp = {.chip = chip,
		.sign_with = s->sign_with,
		.policy = s->policy != 0 ? s->policy : LAB_SNP_POLICY,
		.vmpl = s->vmpl,
		.paravisor = s->paravisor != NULL ? s->paravisor : LAB_PARAVISOR,
		.runtime_json = vs_buf_view(&bound),
		.report_id = report_id};
	assert_ok(lab_snp_report(&snp, report, &err), &err);
	const struct lab_chip *c = s->vcek_of != NULL ? s->vcek_of : chip;
	assert_ok(lab_hwcert_pem(c->vcek, &chain, &err), &err);
	assert_ok(lab_hwcert_pem(lab->ask.cert, &chain, &err), &err);
	assert_ok(lab_hwcert_pem(lab->ark.cert, &chain, &err), &err);
	assert_ok(vs_b64url_encode(vs_bytes_of(report, sizeof report), &a, &err), &err);
	assert_ok(vs_b64url_encode(vs_buf_view(&chain), &b, &err), &err);
	VS_CLEANUP(vs_buf_done) struct vs_buf e = {0};
	put_endorsements(s, &e);
	assert_ok(vs_buf_addf(out, &err,
			  "{\"Endorsements\":\"%s\",\"SnpReport\":\"%s\",\"VcekCertChain\":\"%s\"}",
			  vs_buf_cstr(&e), vs_buf_cstr(&a), vs_buf_cstr(&b)),
		&err);
}

static void
put_utf8(struct vs_bytes text, bool der_long, bool behind, struct vs_buf *out)
{
	struct vs_err err = {0};
	assert_ok(vs_buf_add_u8(out, 0x0c, &err), &err);
	if (der_long || text.n > 0xffff) {
		assert_ok(vs_buf_add_u8(out, 0x83, &err), &err);
		assert_ok(vs_buf_add_u8(out, (uint8_t)(text.n >> 16), &err), &err);
		assert_ok(vs_buf_add_be16(out, (uint16_t)text.n, &err), &err);
	} else if (text.n > 0xff) {
		assert_ok(vs_buf_add_u8(out, 0x82, &err), &err);
		assert_ok(vs_buf_add_be16(out, (uint16_t)text.n, &err), &err);
	} else if (text.n > 0x7f) {
		assert_ok(vs_buf_add_u8(out, 0x81, &err), &err);
		assert_ok(vs_buf_add_u8(out, (uint8_t)text.n, &err), &err);
	} else {
		assert_ok(vs_buf_add_u8(out, (uint8_t)text.n, &err), &err);
	}
	assert_ok(vs_buf_add(out, text.p, text.n, &err), &err);
	if (behind)
		assert_ok(vs_buf_add_u8(out, 0, &err), &err);
}

static void
make(const struct spoilt *s, struct vs_buf *der, struct vs_buf *kid)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf json = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf value = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf word = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {0};
	struct vs_err err = {0};
	uint8_t digest[32];
	X509 *cert = NULL;
	if (s->json != NULL)
		assert_ok(vs_buf_add_str(&json, s->json, &err), &err);
	else
		make_json(s, &json);
	put_utf8(vs_buf_view(&json), s->der_long, s->behind, &value);
	put_utf8(vs_bytes_str(s->kind != NULL ? s->kind : "acisevsnp"), false, false, &word);
	const struct lab_ext ext[] = {
		{.oid = "1.3.6.1.4.1.311.105.1000.1", .der = vs_buf_view(&value)},
		{.oid = s->no_kind ? NULL : "1.3.6.1.4.1.311.105.1000.2",
			.der = vs_buf_view(&word)},
		{0},
	};
	assert_ok(lab_hwcert_new(&(struct lab_hwcert){.cn = "https://service.lab.invalid",
					 .key = key,
					 .serial = 1,
					 .ext = ext},
			  &cert, &err),
		&err);
	vs_buf_reset(der);
	assert_ok(lab_hwcert_der(cert, der, &err), &err);
	X509_free(cert);
	key_text(key, &text);
	SHA256(text.p, text.n, digest);
	vs_buf_reset(kid);
	assert_ok(vs_b64_encode(vs_bytes_of(digest, sizeof digest), kid, &err), &err);
}

static struct vs_verdict
check(const struct spoilt *s, char *const *list)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf der = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf kid = {0};
	const struct vs_service_expect x = {.at_unix = time(NULL),
		.roots = &roots,
		.measurements = list,
		.collateral = collateral,
		.uvm = {.issuer = uvm_did, .min_svn = 100}};
	struct vs_verdict v = {0};
	struct vs_err err = {0};
	make(s, &der, &kid);
	assert_ok(vs_service_cert_check(vs_buf_view(&der), vs_buf_view(&kid), &x, &v, &err), &err);
	vs_check_finish(&v);
	return v;
}

static void
a_service_in_a_known_container_is_accepted(void **state)
{
	(void)state;
	const struct vs_verdict v = check(&(struct spoilt){0}, expected);
	const struct vs_check *c = vs_check_first_failed(&v);
	if (c != NULL)
		fail_msg("%s: expected %s, seen %s", c->name, c->expected, c->seen);
	assert_true(v.passed);
	assert_true(v.n_checks >= 15);
}

/* The host alone says what HOST_DATA is: without a known image anybody's machine could say it. */
static void
host_data_without_a_known_measurement_is_refused(void **state)
{
	char *const lists[][2] = {{host_data, NULL}, {measurement, NULL}};
	static const char *const missing[] = {
		"service container's measurement", "service container's host data"};
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		const struct vs_verdict v = check(&(struct spoilt){0}, lists[i]);
		assert_false(v.passed);
		assert_string_equal(vs_check_first_failed(&v)->name, missing[i]);
	}
	const struct vs_verdict v = check(&(struct spoilt){0}, NULL);
	assert_false(v.passed);
}

static struct cose
endorsement(void)
{
	return (struct cose){.chain = {&uvm_leaf, &uvm_root},
		.did = uvm_did,
		.feed = VS_UVM_FEED,
		.payload = uvm_payload};
}

static void
a_measurement_that_is_endorsed_need_not_be_listed(void **state)
{
	char *const only_host_data[] = {host_data, NULL};
	const struct cose e = endorsement();
	(void)state;
	const struct vs_verdict v = check(&(struct spoilt){.uvm = &e}, only_host_data);
	const struct vs_check *c = vs_check_first_failed(&v);
	if (c != NULL)
		fail_msg("%s: expected %s, seen %s", c->name, c->expected, c->seen);
	assert_true(v.passed);
	/* The policy of the container is the host's word all the same. */
	char *const other[] = {measurement, NULL};
	assert_false(check(&(struct spoilt){.uvm = &e}, other).passed);
}

static void
a_wrong_endorsement_refuses_whatever_is_listed(void **state)
{
	struct cose bad[5];
	char old[256], another[256];
	(void)state;
	for (size_t i = 0; i < 5; i++)
		bad[i] = endorsement();
	snprintf(old, sizeof old, "%s", uvm_payload);
	memcpy(strstr(old, "100"), "099", 3);
	snprintf(another, sizeof another, "%s", uvm_payload);
	char *digit = strstr(another, measurement);
	*digit = *digit == '0' ? '1' : '0';
	bad[0].payload = old;
	bad[1].payload = another;
	bad[2].sign_with = uvm_root.key;
	bad[3].did = VS_UVM_ISSUER;
	bad[4].behind = true;
	for (size_t i = 0; i < 5; i++) {
		const struct vs_verdict v = check(&(struct spoilt){.uvm = &bad[i]}, expected);
		assert_false(v.passed);
		assert_string_equal(vs_check_first_failed(&v)->name,
			i == 1 ? "service container's measurement"
			       : "service container's endorsement");
	}
	static const char *const texts[] = {"[]", "{\"Uvm\":[]}", "{\"Uvm\":[1]}", "{\"Uvm\":{}}",
		"{\"Uvm\":[\"AA\",\"AA\"]}", "{\"Uvm\":[\"=\"]}", "x"};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		const struct vs_verdict v =
			check(&(struct spoilt){.endorsements = texts[i]}, expected);
		assert_false(v.passed);
		assert_string_equal(vs_check_first_failed(&v)->name, "service evidence's form");
	}
}

/* What AMD's list says of the certificate between the chip's and the root. */
static void
a_revoked_certificate_of_the_processors_maker_is_refused(void **state)
{
	const struct pki ark = {.x = lab->ark.cert, .key = lab->ark.key};
	const long ask = ASN1_INTEGER_get(X509_get0_serialNumber(lab->ask.cert));
	const int64_t now = time(NULL);
	const struct {
		struct pki_crl crl;
		bool passed;
	} cases[] = {
		{{.issuer = &ark, .at = now, .pss = true}, true},
		{{.issuer = &ark, .at = now, .pss = true, .serials = {ask + 1}}, true},
		{{.issuer = &ark, .at = now, .pss = true, .serials = {ask}}, false},
		{{.issuer = &ark, .at = now, .pss = true, .from = -99, .until = -9}, false},
		{{.issuer = &ark, .at = now, .pss = true, .sign_with = uvm_root.key}, false},
		{{.issuer = &ark, .at = now, .pss = true, .md = EVP_sha256()}, false},
	};
	(void)state;
	assert_true(ask > 0);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		VS_CLEANUP(vs_collateral_done) struct vs_collateral c = {.has = 0};
		pki_add_crl(&cases[i].crl, &c.crls);
		collateral = &c;
		const struct vs_verdict v = check(&(struct spoilt){0}, expected);
		collateral = NULL;
		if (v.passed != cases[i].passed)
			fail_msg("case %zu", i);
		if (!v.passed)
			assert_string_equal(
				vs_check_first_failed(&v)->name, "SNP certificate revocation");
	}
}

static void
each_thing_that_is_wrong_is_refused_for_its_own_reason(void **state)
{
	const struct {
		struct spoilt s;
		const char *check;
	} cases[] = {
		{{.bound_to = other_key}, "service evidence names the key"},
		{{.sign_with = other_chip->vcek_key}, "SNP report signature"},
		{{.vcek_of = other_chip}, "SNP chip"},
		{{.policy = LAB_SNP_POLICY | LAB_SNP_POLICY_DEBUG}, "SNP debug"},
		{{.policy = LAB_SNP_POLICY | LAB_SNP_POLICY_MIGRATE}, "SNP migration"},
		{{.vmpl = 1}, "SNP privilege level"},
		{{.paravisor = "another"}, "service container's measurement"},
		{{.kind = "acisevsnq"}, "service evidence's kind"},
		{{.no_kind = true}, "service evidence's kind"},
		{{.der_long = true}, "service evidence's form"},
		{{.behind = true}, "service evidence's form"},
		{{.json = "{}"}, "service evidence's form"},
		{{.json = "[]"}, "service evidence's form"},
		{{.json = ""}, "service evidence's form"},
		{{.json = "{\"SnpReport\":\"AA\",\"VcekCertChain\":\"AA\"}"}, "service report"},
		{{.json = "{\"SnpReport\":\"A\",\"VcekCertChain\":\"AA\"}"},
			"service evidence's form"},
		{{.json = "{\"SnpReport\":1,\"VcekCertChain\":\"AA\"}"}, "service evidence's form"},
		{{.json = "{\"SnpReport\":\"AA\",\"SnpReport\":\"AA\",\"VcekCertChain\":\"AA\"}"},
			"service evidence's form"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const struct vs_verdict v = check(&cases[i].s, expected);
		const struct vs_check *c = vs_check_first_failed(&v);
		assert_non_null(c);
		if (strcmp(c->name, cases[i].check) != 0)
			fail_msg("case %zu: %s: expected %s, seen %s", i, c->name, c->expected,
				c->seen);
	}
}

static void
reports_of_nobody_known_are_refused(void **state)
{
	(void)state;
	VS_CLEANUP(vs_buf_done) struct vs_buf der = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf kid = {0};
	VS_CLEANUP(vs_roots_done) struct vs_roots vendors = {.amd = {.n = 0}};
	struct vs_verdict v = {0};
	struct vs_err err = {0};
	assert_ok(vs_roots_production(&vendors, &err), &err);
	const struct vs_service_expect x = {
		.at_unix = time(NULL), .roots = &vendors, .measurements = expected};
	make(&(struct spoilt){0}, &der, &kid);
	assert_ok(vs_service_cert_check(vs_buf_view(&der), vs_buf_view(&kid), &x, &v, &err), &err);
	vs_check_finish(&v);
	assert_string_equal(vs_check_first_failed(&v)->name, "SNP certificate chain");
}

/* What of the report no signature covers is zero and must be; the key's own signature is left out.
 */
static void
any_changed_byte_of_report_and_signature_is_refused(void **state)
{
	(void)state;
	VS_CLEANUP(vs_buf_done) struct vs_buf json = {0};
	make_json(&(struct spoilt){0}, &json);
	char *const at = strstr((char *)(uintptr_t)vs_buf_cstr(&json), "SnpReport\":\"");
	assert_non_null(at);
	char *const text = at + strlen("SnpReport\":\"");
	const size_t n = strcspn(text, "\"");
	for (size_t i = 0; i < n; i += i < 16 || i + 16 > n ? 1 : 7) {
		const char was = text[i];
		text[i] = was == 'A' ? 'B' : 'A';
		const struct vs_verdict v =
			check(&(struct spoilt){.json = vs_buf_cstr(&json)}, expected);
		if (v.passed)
			fail_msg("letter %zu", i);
		text[i] = was;
	}
	assert_true(check(&(struct spoilt){.json = vs_buf_cstr(&json)}, expected).passed);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_service_in_a_known_container_is_accepted),
		cmocka_unit_test(host_data_without_a_known_measurement_is_refused),
		cmocka_unit_test(a_measurement_that_is_endorsed_need_not_be_listed),
		cmocka_unit_test(a_wrong_endorsement_refuses_whatever_is_listed),
		cmocka_unit_test(a_revoked_certificate_of_the_processors_maker_is_refused),
		cmocka_unit_test(each_thing_that_is_wrong_is_refused_for_its_own_reason),
		cmocka_unit_test(reports_of_nobody_known_are_refused),
		cmocka_unit_test(any_changed_byte_of_report_and_signature_is_refused),
	};

	return cmocka_run_group_tests(tests, up, down);
}
