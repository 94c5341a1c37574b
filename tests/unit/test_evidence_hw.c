/* SPDX-License-Identifier: BSD-2-Clause */
/* Hardware evidence: SNP reports and DCAP quotes, on captures. */
#include "unit/unit.h"

#include "base/codec.h"
#include "evidence/data.h"
#include "evidence/dcap.h"
#include "evidence/ev_crypto.h"
#include "evidence/roots.h"
#include "evidence/snp.h"

static struct vs_roots roots;

static int
set_up(void **state)
{
	(void)state;
	return vs_failed(vs_roots_production(&roots, NULL));
}

static int
tear_down(void **state)
{
	(void)state;
	vs_roots_done(&roots);
	return 0;
}

static void
assert_hex(const char *what, const struct vs_json *expected, struct vs_bytes seen)
{
	struct vs_bytes text;
	struct vs_buf b = {.max = 4096};
	assert_true(vs_json_bytes(expected, &text));
	assert_false(vs_failed(vs_hex_decode(text, &b, NULL)));
	/* Long values are cut in the files. */
	if (b.n > seen.n || memcmp(b.p, seen.p, b.n) != 0)
		fail_msg("%s differs", what);
	vs_buf_done(&b);
}

static int64_t
number(const struct vs_json *v)
{
	int64_t x = -1;
	const char *s = NULL;
	if (vs_json_int(v, &x))
		return x;
	assert_true(vs_json_string(v, &s));
	return (int64_t)strtoull(s, NULL, 16);
}

/* ---- roots ---------------------------------------------------------------------------------- */

static void
compiled_certificates_are_those_of_the_folder(void **state)
{
	(void)state;
	static const char *const files[] = {"../../../conf/roots/amd-ark.pem",
		"../../../conf/roots/amd-ask.pem", "../../../conf/roots/intel-sgx-root.pem",
		"../../../conf/roots/azure-vtpm-root.pem", "../../../conf/roots/azure-vtpm-ca.pem"};
	const struct vs_ev_certs *lists[] = {
		&roots.amd, &roots.amd_helpers, &roots.intel, &roots.vtpm, &roots.vtpm_helpers};
	for (size_t i = 0; i < 5; i++) {
		struct vs_buf pem = data_load(files[i]);
		struct vs_ev_certs certs = {.n = 0};
		struct vs_err err = {0};
		assert_ok(vs_ev_certs_pem(vs_buf_view(&pem), &certs, &err), &err);
		assert_int_equal(certs.n, lists[i]->n);
		for (size_t k = 0; k < certs.n; k++)
			assert_true(vs_ev_cert_same(certs.v[k], lists[i]->v[k]));
		vs_ev_certs_done(&certs);
		vs_buf_done(&pem);
	}
}

static void
roots_are_self_signed_and_helpers_lead_to_them(void **state)
{
	(void)state;
	struct vs_err err = {0};
	const struct vs_ev_certs none = {.n = 0};
	const struct vs_ev_certs *pinned[] = {&roots.amd, &roots.intel, &roots.vtpm};
	for (size_t i = 0; i < 3; i++) {
		for (size_t k = 0; k < pinned[i]->n; k++)
			assert_ok(vs_ev_cert_chain(
					  pinned[i]->v[k], &none, pinned[i], AT_2026, NULL, &err),
				&err);
	}
	for (size_t i = 0; i < roots.amd_helpers.n; i++) {
		const struct vs_ev_cert *ask = roots.amd_helpers.v[i];
		assert_ok(vs_ev_cert_chain(ask, &none, &roots.amd, AT_2026, NULL, &err), &err);
		assert_true(vs_ev_cert_signed_pss384(ask));
		assert_code(vs_ev_cert_chain(ask, &none, &roots.intel, AT_2026, NULL, &err),
			REFUSED_EVIDENCE);
		assert_code(
			vs_ev_cert_chain(ask, &none, &none, AT_2026, NULL, &err), REFUSED_EVIDENCE);
	}
	const struct vs_ev_cert *ca = roots.vtpm_helpers.v[0];
	assert_ok(vs_ev_cert_chain(ca, &none, &roots.vtpm, AT_2026, NULL, &err), &err);
	/* Valid until 2027-04-24. */
	assert_code(
		vs_ev_cert_chain(ca, &none, &roots.vtpm, 1830000000, NULL, &err), REFUSED_EVIDENCE);
	assert_false(vs_ev_cert_signed_pss384(ca));
}

/* ---- SNP ------------------------------------------------------------------------------------ */

struct snp_case {
	const char *report, *cert, *expect;
	const char *failed[4]; /* checks that must fail; the others must pass */
};

static const struct snp_case snp_cases[] = {
	{"amd/snp-milan-v2/test-report.bin", "amd/snp-milan-v2/test-vcek.der",
		"amd/snp-milan-v2/expect.json", {NULL}},
	{"amd/snp-turin-v5-aci/report.bin", "amd/snp-turin-v5-aci/vcek.pem",
		"amd/snp-turin-v5-aci/expect.json", {NULL}},
	{"amd/aci-uvm/snp_report.bin", "amd/aci-uvm/uvm_host_amd_certificate.pem",
		"amd/aci-uvm/expect.json", {NULL}},
	{"amd/snp-milan-debug/attestation.bin", "amd/snp-milan-debug/vcek.der",
		"amd/snp-milan-debug/expect.json", {"SNP debug"}},
	{"amd/snp-milan-vlek-v3/test-vlek-report.bin", "amd/snp-milan-vlek-v3/test-vlek.der",
		"amd/snp-milan-vlek-v3/expect.json",
		{"SNP certificate chain", "SNP signing key", "SNP privilege level"}},
};

static struct vs_ev_cert *
load_cert(const char *path)
{
	struct vs_buf b = data_load(path);
	struct vs_ev_cert *cert = NULL;
	struct vs_ev_certs certs = {.n = 0};
	struct vs_err err = {0};
	if (strstr(path, ".pem") != NULL) {
		assert_ok(vs_ev_certs_pem(vs_buf_view(&b), &certs, &err), &err);
		cert = certs.v[0];
		certs.v[0] = certs.v[--certs.n];
		vs_ev_certs_done(&certs);
	} else {
		assert_ok(vs_ev_cert_der(vs_buf_view(&b), &cert, &err), &err);
	}
	vs_buf_done(&b);
	return cert;
}

/* The folder's ASKs and the one ASVK that comes with the tests. */
static void
fill_expect(struct vs_snp_expect *x, struct vs_ev_certs *helpers)
{
	struct vs_buf pem = data_load("amd/ca/ask_ark_milan_vlek.pem");
	struct vs_err err = {0};
	assert_ok(vs_ev_certs_pem(vs_buf_view(&pem), helpers, &err), &err);
	vs_buf_done(&pem);
	pem = data_load("../../../conf/roots/amd-ask.pem");
	assert_ok(vs_ev_certs_pem(vs_buf_view(&pem), helpers, &err), &err);
	vs_buf_done(&pem);
	*x = (struct vs_snp_expect){.at_unix = AT_2026, .roots = &roots.amd, .helpers = helpers};
}

static bool
named(const char *const *list, const char *name)
{
	for (size_t i = 0; i < 4 && list[i] != NULL; i++) {
		if (strcmp(list[i], name) == 0)
			return true;
	}
	return false;
}

static void
snp_captures_conclude_as_expected(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof snp_cases / sizeof *snp_cases; i++) {
		const struct snp_case *c = &snp_cases[i];
		struct vs_buf b = data_load(c->report);
		struct vs_ev_cert *cert = load_cert(c->cert);
		struct vs_json *j = data_json(c->expect);
		const struct vs_json *e = vs_json_get(j, "snp") != NULL ? vs_json_get(j, "snp") : j;
		struct vs_snp_report r;
		struct vs_err err = {0};
		struct vs_verdict v = {.n_checks = 0};
		struct vs_snp_expect x;
		struct vs_ev_certs helpers = {.n = 0};
		fill_expect(&x, &helpers);
		assert_ok(vs_snp_parse(vs_buf_view(&b), &r, &err), &err);
		assert_int_equal(r.version, number(vs_json_get(e, "version")));
		assert_int_equal(r.guest_svn, number(vs_json_get(e, "guest_svn")));
		assert_int_equal(r.policy, number(vs_json_get(e, "policy")));
		assert_int_equal(r.vmpl, number(vs_json_get(e, "vmpl")));
		assert_hex("measurement", vs_json_get(e, "measurement"), r.measurement);
		assert_hex("chip", vs_json_get(e, "chip_id"), r.chip_id);
		assert_hex("id key", vs_json_get(e, "id_key_digest"), r.id_key_digest);
		assert_hex("reported TCB", vs_json_get(e, "reported_tcb"), r.reported_tcb);
		assert_ok(vs_snp_verify(&r, cert, &x, &v, &err), &err);
		for (size_t k = 0; k < v.n_checks; k++) {
			if (v.checks[k].passed == named(c->failed, v.checks[k].name))
				fail_msg("%s: check \"%s\": expected %s, seen %s", c->report,
					v.checks[k].name, v.checks[k].expected, v.checks[k].seen);
		}
		vs_ev_certs_done(&helpers);
		vs_json_free(j);
		vs_ev_cert_free(cert);
		vs_buf_done(&b);
	}
}

static void
vlek_is_accepted_only_where_allowed_and_in_its_time(void **state)
{
	(void)state;
	struct vs_buf b = data_load(snp_cases[4].report);
	struct vs_ev_cert *cert = load_cert(snp_cases[4].cert);
	struct vs_snp_report r;
	struct vs_err err = {0};
	struct vs_verdict v = {.n_checks = 0};
	struct vs_snp_expect x;
	struct vs_ev_certs helpers = {.n = 0};
	fill_expect(&x, &helpers);
	x.allow_vlek = true;
	x.at_unix = AT_2025;
	assert_ok(vs_snp_parse(vs_buf_view(&b), &r, &err), &err);
	assert_ok(vs_snp_verify(&r, cert, &x, &v, &err), &err);
	vs_check_finish(&v);
	data_print(&v);
	assert_true(v.passed);
	vs_ev_certs_done(&helpers);
	vs_ev_cert_free(cert);
	vs_buf_done(&b);
}

static void
refuses_look_alike_and_foreign_chip_certificates(void **state)
{
	(void)state;
	struct vs_buf b = data_load("amd/snp-milan-v2/test-report.bin");
	struct vs_snp_report r;
	struct vs_err err = {0};
	struct vs_snp_expect x;
	struct vs_ev_certs helpers = {.n = 0};
	fill_expect(&x, &helpers);
	assert_ok(vs_snp_parse(vs_buf_view(&b), &r, &err), &err);

	struct vs_verdict fake = {.n_checks = 0};
	struct vs_ev_cert *cert = load_cert("amd/vcek-invalid-legacy/test-vcek-invalid-legacy.der");
	assert_ok(vs_snp_verify(&r, cert, &x, &fake, &err), &err);
	assert_false(data_check(&fake, "SNP certificate chain")->passed);
	vs_ev_cert_free(cert);

	struct vs_verdict other = {.n_checks = 0};
	cert = load_cert("amd/snp-milan-debug/vcek.der");
	assert_ok(vs_snp_verify(&r, cert, &x, &other, &err), &err);
	assert_true(data_check(&other, "SNP certificate chain")->passed);
	assert_false(data_check(&other, "SNP chip")->passed);
	assert_false(data_check(&other, "SNP report signature")->passed);
	vs_ev_cert_free(cert);

	struct vs_verdict turin = {.n_checks = 0};
	cert = load_cert("amd/vcek-turin/vcek_turin.der");
	assert_ok(vs_snp_verify(&r, cert, &x, &turin, &err), &err);
	assert_true(data_check(&turin, "SNP certificate chain")->passed);
	assert_false(data_check(&turin, "SNP chip")->passed);
	vs_ev_cert_free(cert);

	/* The ASK itself in place of the VCEK. */
	struct vs_verdict ask = {.n_checks = 0};
	assert_ok(vs_snp_verify(&r, roots.amd_helpers.v[0], &x, &ask, &err), &err);
	assert_false(data_check(&ask, "SNP certificate kind")->passed);
	assert_false(data_check(&ask, "SNP report signature")->passed);
	vs_ev_certs_done(&helpers);
	vs_buf_done(&b);
}

static void
snp_expectations_are_enforced_one_by_one(void **state)
{
	(void)state;
	struct vs_buf b = data_load("amd/snp-turin-v5-aci/report.bin");
	struct vs_ev_cert *cert = load_cert("amd/snp-turin-v5-aci/vcek.pem");
	struct vs_snp_report r;
	struct vs_err err = {0};
	struct vs_snp_expect x;
	struct vs_ev_certs helpers = {.n = 0};
	uint8_t right[1][48], wrong[1][48] = {{1}};
	fill_expect(&x, &helpers);
	assert_ok(vs_snp_parse(vs_buf_view(&b), &r, &err), &err);
	memcpy(right[0], r.measurement.p, 48);
	uint8_t id[1][48];
	memcpy(id[0], r.id_key_digest.p, 48);

	struct vs_verdict good = {.n_checks = 0};
	x.n_measurements = x.n_id_keys = 1;
	x.measurements = (const uint8_t(*)[48])right;
	x.id_keys = (const uint8_t(*)[48])id;
	x.min_guest_svn = r.guest_svn;
	x.has_min_tcb = true;
	x.min_tcb = vs_snp_tcb_of(VS_SNP_TURIN, r.reported_tcb);
	x.host_data = r.host_data;
	assert_ok(vs_snp_verify(&r, cert, &x, &good, &err), &err);
	vs_check_finish(&good);
	data_print(&good);
	assert_true(good.passed);

	struct vs_verdict bad = {.n_checks = 0};
	x.measurements = x.id_keys = (const uint8_t(*)[48])wrong;
	x.min_guest_svn++;
	x.min_tcb.microcode++;
	x.host_data = r.report_id;
	assert_ok(vs_snp_verify(&r, cert, &x, &bad, &err), &err);
	static const char *const names[] = {"SNP measurement", "SNP identity key",
		"SNP guest version", "SNP minimum TCB", "SNP host data"};
	for (size_t i = 0; i < 5; i++)
		assert_false(data_check(&bad, names[i])->passed);
	vs_ev_certs_done(&helpers);
	vs_ev_cert_free(cert);
	vs_buf_done(&b);
}

/* Every byte of a report is either signed, or part of the signature, or must be zero. */
static void
any_changed_byte_of_a_report_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct vs_buf b = data_load(snp_cases[i].report);
		struct vs_ev_cert *cert = load_cert(snp_cases[i].cert);
		struct vs_err err = {0};
		for (size_t at = 0; at < b.n; at++) {
			const uint8_t was = b.p[at];
			const uint8_t values[] = {was ^ 1, 0, 0xFF};
			for (size_t k = 0; k < 3; k++) {
				struct vs_snp_report r;
				if (values[k] == was)
					continue;
				b.p[at] = values[k];
				if (vs_failed(vs_snp_parse(vs_buf_view(&b), &r, &err)))
					continue;
				uint8_t sig[96];
				bool large = false;
				for (size_t n = 0; n < 48; n++) {
					sig[n] = r.sig_r.p[47 - n];
					sig[48 + n] = r.sig_s.p[47 - n];
				}
				for (size_t n = 48; n < 72; n++)
					large = large || r.sig_r.p[n] != 0 || r.sig_s.p[n] != 0;
				if (!large &&
					!vs_failed(vs_ev_ecdsa_verify_key(VS_EV_P384,
						vs_ev_cert_key(cert), r.signed_bytes,
						(struct vs_bytes){sig, 96}, &err)))
					fail_msg("%s: byte %zu", snp_cases[i].report, at);
			}
			b.p[at] = was;
		}
		vs_ev_cert_free(cert);
		vs_buf_done(&b);
	}
}

/* Every byte of a VCEK is signed by the ASK, or is the signature. */
static void
any_changed_byte_of_a_certificate_is_refused(void **state)
{
	(void)state;
	struct vs_buf der = data_load("amd/snp-milan-v2/test-vcek.der");
	struct vs_buf b = data_load("amd/snp-milan-v2/test-report.bin");
	struct vs_snp_report r;
	struct vs_snp_expect x;
	struct vs_ev_certs helpers = {.n = 0};
	struct vs_err err = {0};
	unsigned readable = 0;
	fill_expect(&x, &helpers);
	assert_ok(vs_snp_parse(vs_buf_view(&b), &r, &err), &err);
	for (size_t at = 0; at < der.n; at++) {
		struct vs_ev_cert *cert = NULL;
		struct vs_verdict v = {.n_checks = 0};
		der.p[at] ^= 1;
		if (!vs_failed(vs_ev_cert_der(vs_buf_view(&der), &cert, &err))) {
			assert_ok(vs_snp_verify(&r, cert, &x, &v, &err), &err);
			vs_check_finish(&v);
			if (v.passed)
				fail_msg("byte %zu", at);
			readable++;
		}
		vs_ev_cert_free(cert);
		der.p[at] ^= 1;
	}
	assert_in_range(readable, 500, der.n);
	vs_ev_certs_done(&helpers);
	vs_buf_done(&der);
	vs_buf_done(&b);
}

static void
refuses_reports_of_wrong_length(void **state)
{
	(void)state;
	struct vs_buf b = data_load("amd/snp-milan-v2/test-report.bin");
	struct vs_snp_report r;
	struct vs_err err = {0};
	for (size_t n = 0; n < b.n; n += 37)
		assert_code(vs_snp_parse((struct vs_bytes){b.p, n}, &r, &err), FORMAT);
	assert_ok(vs_buf_add_u8(&b, 0, &err), &err);
	assert_code(vs_snp_parse(vs_buf_view(&b), &r, &err), FORMAT);
	vs_buf_done(&b);
}

/* ---- DCAP ----------------------------------------------------------------------------------- */

struct dcap_case {
	const char *quote, *expect;
	enum vs_dcap_tee tee;
	bool debug;
	int64_t at_unix;
};

static const struct dcap_case dcap_cases[] = {
	{"intel/tdx-v4-gce-cos113/cos-113-tdx-quote.dat", "intel/tdx-v4-gce-cos113/expect.json",
		VS_DCAP_TDX, false, AT_2026},
	{"intel/tdx-v4-spr/tdx_prod_quote_SPR_E4.dat", "intel/tdx-v4-spr/expect.json", VS_DCAP_TDX,
		false, AT_2023},
	{"intel/tdx-v4-debug/tdx_quote_4.dat", "intel/tdx-v4-debug/expect.json", VS_DCAP_TDX, true,
		AT_2026},
	{"intel/tdx-v5/tdx_quote_5.dat", "intel/tdx-v5/expect.json", VS_DCAP_TDX, false, AT_2026},
	{"intel/tdx-v5-oe/tdx_quote_v5.bin", "intel/tdx-v5-oe/expect.json", VS_DCAP_TDX, false,
		AT_2026},
	{"intel/tdx-v4-collateral/tdx_quote", "intel/tdx-v4-collateral/expect.json", VS_DCAP_TDX,
		false, AT_2025},
	{"intel/sgx-v3/sgx_quote", "intel/sgx-v3/expect.json", VS_DCAP_SGX, false, AT_2025},
	{"intel/sgx-v3-debug-occlum/occlum_quote.dat", "intel/sgx-v3-debug-occlum/expect.json",
		VS_DCAP_SGX, true, AT_2026},
};

static void
compare_dcap(const struct vs_dcap_quote *q, const struct vs_json *e, const struct dcap_case *c)
{
	assert_int_equal(q->version, number(vs_json_get(e, "version")));
	assert_int_equal(q->tee, c->tee);
	assert_int_equal(q->qe.prod_id, number(vs_json_get(e, "qe_isvprodid")));
	assert_int_equal(q->qe.svn, number(vs_json_get(e, "qe_isvsvn")));
	assert_hex("qe signer", vs_json_get(e, "qe_mrsigner"), q->qe.mrsigner);
	assert_hex("report data", vs_json_get(e, "reportdata"), q->report_data);
	if (c->tee == VS_DCAP_SGX) {
		assert_hex("mrenclave", vs_json_get(e, "mrenclave"), q->sgx.mrenclave);
		assert_hex("mrsigner", vs_json_get(e, "mrsigner"), q->sgx.mrsigner);
		assert_hex("attributes", vs_json_get(e, "attributes"), q->sgx.attributes);
		return;
	}
	assert_hex("tcb svn", vs_json_get(e, "tee_tcb_svn"), q->tcb_svn);
	assert_hex("mrseam", vs_json_get(e, "mrseam"), q->mrseam);
	assert_hex("td attributes", vs_json_get(e, "td_attr"), q->td_attributes);
	assert_hex("xfam", vs_json_get(e, "xfam"), q->xfam);
	assert_hex("mrtd", vs_json_get(e, "mrtd"), q->mrtd);
	for (size_t i = 0; i < 4; i++)
		assert_hex("rtmr", vs_json_at(vs_json_get(e, "rtmr"), i), q->rtmr[i]);
}

static void
dcap_captures_conclude_as_expected(void **state)
{
	static const char migratable_one[] = "intel/tdx-v5-oe/tdx_quote_v5.bin";
	(void)state;
	for (size_t i = 0; i < sizeof dcap_cases / sizeof *dcap_cases; i++) {
		const struct dcap_case *c = &dcap_cases[i];
		const bool migratable = strcmp(c->quote, migratable_one) == 0;
		struct vs_buf b = data_load(c->quote);
		struct vs_json *e = data_json(c->expect);
		struct vs_dcap_quote q;
		struct vs_err err = {0};
		struct vs_verdict v = {.n_checks = 0}, lax = {.n_checks = 0};
		struct vs_dcap_expect x = {.at_unix = c->at_unix, .roots = &roots.intel};
		assert_ok(vs_dcap_parse(vs_buf_view(&b), &q, &err), &err);
		compare_dcap(&q, e, c);
		assert_ok(vs_dcap_verify(&q, &x, &v, &err), &err);
		vs_check_finish(&v);
		if (v.passed == (c->debug || migratable))
			data_print(&v);
		assert_int_equal(v.passed, !c->debug && !migratable);
		assert_int_equal(
			data_check(&v, c->tee == VS_DCAP_TDX ? "TD debug" : "enclave debug")
				->passed,
			!c->debug);
		if (c->tee == VS_DCAP_TDX)
			assert_int_equal(data_check(&v, "TD migration")->passed, !migratable);
		x.allow_debug = true;
		assert_ok(vs_dcap_verify(&q, &x, &lax, &err), &err);
		vs_check_finish(&lax);
		assert_int_equal(lax.passed, !migratable);
		/* Nothing else is wrong with that one. */
		x.allow_migration = true;
		lax = (struct vs_verdict){.n_checks = 0};
		assert_ok(vs_dcap_verify(&q, &x, &lax, &err), &err);
		vs_check_finish(&lax);
		assert_true(lax.passed);
		assert_non_null(strstr(data_check(&lax, "TCB level")->seen, "not evaluated"));
		vs_json_free(e);
		vs_buf_done(&b);
	}
}

/* The byte of the attributes that says "under debug", whole, and the bit for a migration TD. */
static void
each_attribute_that_lets_others_into_a_td_is_refused(void **state)
{
	enum { ATTRIBUTES_AT = 48 + 120 };
	(void)state;
	struct vs_buf b = data_load("intel/tdx-v4-collateral/tdx_quote");
	struct vs_err err = {0};
	for (unsigned bit = 0; bit < 64; bit++) {
		struct vs_dcap_quote q;
		struct vs_verdict v = {.n_checks = 0};
		const struct vs_dcap_expect x = {.at_unix = AT_2025, .roots = &roots.intel};
		b.p[ATTRIBUTES_AT + bit / 8] ^= (uint8_t)(1U << bit % 8);
		assert_ok(vs_dcap_parse(vs_buf_view(&b), &q, &err), &err);
		assert_ok(vs_dcap_verify(&q, &x, &v, &err), &err);
		assert_int_equal(data_check(&v, "TD debug")->passed, bit >= 8);
		assert_int_equal(data_check(&v, "TD migration")->passed, bit != 29);
		assert_false(data_check(&v, "DCAP quote signature")->passed);
		b.p[ATTRIBUTES_AT + bit / 8] ^= (uint8_t)(1U << bit % 8);
	}
	vs_buf_done(&b);
}

/* Offset of what follows the signature data; up to there every byte is bound to the root. */
static void
any_changed_byte_of_a_dcap_quote_is_refused(void **state)
{
	(void)state;
	/*
	 * Not covered by any signature, and looked at by nothing: in version 3 the QE and PCE
	 * versions of the header are signed; in all versions the white space of the PEM text is
	 * free, and so are letters in it that do not change a certificate (there are none in
	 * canonical base64).
	 */
	struct vs_buf b = data_load("intel/tdx-v4-collateral/tdx_quote");
	struct vs_dcap_quote q;
	struct vs_err err = {0};
	assert_ok(vs_dcap_parse(vs_buf_view(&b), &q, &err), &err);
	const size_t certs_at = (size_t)(q.certs.p - b.p), end = certs_at + q.certs.n;
	for (size_t at = 0; at < end; at++) {
		/* The chain costs most: every seventh byte of it. */
		if (at > certs_at && at % 7 != 0)
			continue;
		const uint8_t was = b.p[at];
		struct vs_verdict v = {.n_checks = 0};
		const struct vs_dcap_expect x = {.at_unix = AT_2025, .roots = &roots.intel};
		b.p[at] ^= 1;
		if (!vs_failed(vs_dcap_parse(vs_buf_view(&b), &q, &err))) {
			assert_ok(vs_dcap_verify(&q, &x, &v, &err), &err);
			vs_check_finish(&v);
			const bool free_text =
				at >= certs_at && (was == '\n' || was == '\r' || was == '\0');
			/* The last certificate is a copy of the root: ours is used in its place. */
			const bool root_copy = at >= certs_at + q.certs.n * 2 / 3;
			if (v.passed && !free_text && !root_copy)
				fail_msg("byte %zu (%02x)", at, was);
		}
		b.p[at] = was;
	}
	vs_buf_done(&b);
}

static void
refuses_cut_dcap_quotes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof dcap_cases / sizeof *dcap_cases; i++) {
		struct vs_buf b = data_load(dcap_cases[i].quote);
		struct vs_dcap_quote q;
		struct vs_err err = {0};
		assert_ok(vs_dcap_parse(vs_buf_view(&b), &q, &err), &err);
		const size_t end = (size_t)(q.certs.p - b.p) + q.certs.n;
		for (size_t n = 0; n < end; n += n < 700 ? 1 : 13) {
			/* On the heap, so that a read behind the end is seen. */
			uint8_t *copy = malloc(n != 0 ? n : 1);
			memcpy(copy, b.p, n);
			assert_code(vs_dcap_parse((struct vs_bytes){copy, n}, &q, &err), FORMAT);
			free(copy);
		}
		vs_buf_done(&b);
	}
}

static void
fill_collateral(const struct vs_json *j, struct vs_dcap_collateral *c, uint8_t sigs[2][64])
{
	static const char *const names[] = {"tcb_info_signature", "qe_identity_signature"};
	assert_true(vs_json_bytes(vs_json_get(j, "tcb_info"), &c->tcb_info));
	assert_true(vs_json_bytes(vs_json_get(j, "qe_identity"), &c->qe_identity));
	assert_true(vs_json_bytes(vs_json_get(j, "tcb_info_issuer_chain"), &c->chain_pem));
	for (size_t i = 0; i < 2; i++) {
		struct vs_bytes text;
		struct vs_buf b = {.max = 64};
		assert_true(vs_json_bytes(vs_json_get(j, names[i]), &text));
		assert_false(vs_failed(vs_hex_decode(text, &b, NULL)));
		memcpy(sigs[i], b.p, 64);
		vs_buf_done(&b);
	}
	c->tcb_info_sig = vs_bytes_of(sigs[0], 64);
	c->qe_identity_sig = vs_bytes_of(sigs[1], 64);
}

static void
collateral_gives_the_tcb_level(void **state)
{
	(void)state;
	static const struct {
		const char *quote, *collateral, *platform;
		uint32_t allowed;
		bool passed;
	} cases[] = {
		{"intel/tdx-v4-collateral/tdx_quote",
			"intel/tdx-v4-collateral/tdx_quote_collateral.json", "UpToDate", 0, true},
		{"intel/sgx-v3/sgx_quote", "intel/sgx-v3/sgx_quote_collateral.json",
			"ConfigurationAndSWHardeningNeeded", 0, false},
		{"intel/sgx-v3/sgx_quote", "intel/sgx-v3/sgx_quote_collateral.json",
			"ConfigurationAndSWHardeningNeeded",
			1U << VS_TCB_CONFIGURATION_AND_SW_HARDENING | 1U << VS_TCB_UP_TO_DATE,
			true},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct vs_buf b = data_load(cases[i].quote);
		struct vs_json *j = data_json(cases[i].collateral);
		struct vs_dcap_quote q;
		struct vs_dcap_collateral c = {.tcb_info = {NULL, 0}};
		struct vs_err err = {0};
		struct vs_verdict v = {.n_checks = 0}, late = {.n_checks = 0},
				  forged = {.n_checks = 0};
		uint8_t sigs[2][64];
		fill_collateral(j, &c, sigs);
		struct vs_dcap_expect x = {.at_unix = AT_2025,
			.roots = &roots.intel,
			.collateral = &c,
			.allowed_status = cases[i].allowed};
		assert_ok(vs_dcap_parse(vs_buf_view(&b), &q, &err), &err);
		assert_ok(vs_dcap_verify(&q, &x, &v, &err), &err);
		vs_check_finish(&v);
		assert_string_equal(data_check(&v, "platform TCB")->seen, cases[i].platform);
		if (v.passed != cases[i].passed)
			data_print(&v);
		assert_int_equal(v.passed, cases[i].passed);
		x.at_unix = AT_2026;
		assert_ok(vs_dcap_verify(&q, &x, &late, &err), &err);
		assert_false(data_check(&late, "TCB information")->passed);
		x.at_unix = AT_2025;
		sigs[0][10] ^= 1;
		sigs[1][10] ^= 1;
		assert_ok(vs_dcap_verify(&q, &x, &forged, &err), &err);
		assert_false(data_check(&forged, "TCB information")->passed);
		assert_false(data_check(&forged, "quoting enclave statement")->passed);
		vs_json_free(j);
		vs_buf_done(&b);
	}
}

static void
collateral_of_another_platform_is_refused(void **state)
{
	(void)state;
	struct vs_buf b = data_load("intel/tdx-v4-collateral/tdx_quote");
	struct vs_json *j = data_json("intel/sgx-v3/sgx_quote_collateral.json");
	struct vs_dcap_quote q;
	struct vs_dcap_collateral c = {.tcb_info = {NULL, 0}};
	struct vs_err err = {0};
	struct vs_verdict v = {.n_checks = 0};
	uint8_t sigs[2][64];
	fill_collateral(j, &c, sigs);
	const struct vs_dcap_expect x = {.at_unix = AT_2025,
		.roots = &roots.intel,
		.collateral = &c,
		.allowed_status = UINT32_MAX};
	assert_ok(vs_dcap_parse(vs_buf_view(&b), &q, &err), &err);
	assert_ok(vs_dcap_verify(&q, &x, &v, &err), &err);
	assert_false(data_check(&v, "TCB information is about this platform")->passed);
	assert_false(data_check(&v, "platform TCB")->passed);
	assert_false(data_check(&v, "quoting enclave's identity")->passed);
	vs_json_free(j);
	vs_buf_done(&b);
}

static void
splits_signed_collateral_and_refuses_it_outside_its_time(void **state)
{
	(void)state;
	struct vs_buf b = data_load("intel/tdx-v4-spr/tdx_prod_quote_SPR_E4.dat");
	struct vs_buf info = data_load("intel/tdx-v4-spr/sample_tcbInfo_response");
	struct vs_buf id = data_load("intel/tdx-v4-spr/sample_qeIdentity_response");
	struct vs_json *j = data_json("intel/tdx-v4-collateral/tdx_quote_collateral.json");
	struct vs_dcap_quote q;
	struct vs_dcap_collateral c = {.tcb_info = {NULL, 0}};
	struct vs_err err = {0};
	struct vs_verdict v = {.n_checks = 0};
	uint8_t sigs[2][64];
	fill_collateral(j, &c, sigs);
	assert_ok(
		vs_dcap_split_collateral(vs_buf_view(&info), "tcbInfo", &c.tcb_info, sigs[0], &err),
		&err);
	assert_ok(vs_dcap_split_collateral(
			  vs_buf_view(&id), "enclaveIdentity", &c.qe_identity, sigs[1], &err),
		&err);
	assert_code(vs_dcap_split_collateral(
			    vs_buf_view(&info), "enclaveIdentity", &c.qe_identity, sigs[1], &err),
		FORMAT);
	info.n -= 3;
	struct vs_bytes cut;
	uint8_t scratch[64];
	assert_code(vs_dcap_split_collateral(vs_buf_view(&info), "tcbInfo", &cut, scratch, &err),
		FORMAT);
	struct vs_dcap_expect x = {.at_unix = AT_2023,
		.roots = &roots.intel,
		.collateral = &c,
		.allowed_status = UINT32_MAX};
	/* The signing certificate at hand is of 2025: not valid yet when the statement was made. */
	assert_ok(vs_dcap_parse(vs_buf_view(&b), &q, &err), &err);
	assert_ok(vs_dcap_verify(&q, &x, &v, &err), &err);
	assert_non_null(strstr(data_check(&v, "TCB information")->seen, "not yet valid"));
	/* Same key: the signature is good, and the statement too old. */
	x.at_unix = AT_2025;
	v = (struct vs_verdict){.n_checks = 0};
	assert_ok(vs_dcap_verify(&q, &x, &v, &err), &err);
	assert_non_null(strstr(data_check(&v, "TCB information")->seen, "not of this time"));
	assert_false(data_check(&v, "TCB information")->passed);
	vs_json_free(j);
	vs_buf_done(&id);
	vs_buf_done(&info);
	vs_buf_done(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(compiled_certificates_are_those_of_the_folder),
		cmocka_unit_test(roots_are_self_signed_and_helpers_lead_to_them),
		cmocka_unit_test(snp_captures_conclude_as_expected),
		cmocka_unit_test(vlek_is_accepted_only_where_allowed_and_in_its_time),
		cmocka_unit_test(refuses_look_alike_and_foreign_chip_certificates),
		cmocka_unit_test(snp_expectations_are_enforced_one_by_one),
		cmocka_unit_test(any_changed_byte_of_a_report_is_refused),
		cmocka_unit_test(any_changed_byte_of_a_certificate_is_refused),
		cmocka_unit_test(refuses_reports_of_wrong_length),
		cmocka_unit_test(dcap_captures_conclude_as_expected),
		cmocka_unit_test(each_attribute_that_lets_others_into_a_td_is_refused),
		cmocka_unit_test(any_changed_byte_of_a_dcap_quote_is_refused),
		cmocka_unit_test(refuses_cut_dcap_quotes),
		cmocka_unit_test(collateral_gives_the_tcb_level),
		cmocka_unit_test(collateral_of_another_platform_is_refused),
		cmocka_unit_test(splits_signed_collateral_and_refuses_it_outside_its_time),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
