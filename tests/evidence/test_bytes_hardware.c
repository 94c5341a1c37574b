/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every byte of what processors and their makers signed, set by set: SNP reports with their
 * certificates, TDX and SGX quotes, Intel's statements and lists. See bytes.h; what no check covers
 * is in uncovered-hardware.txt.
 */
#include "unit/unit.h"

#include "base/codec.h"
#include "evidence/bytes.h"
#include "evidence/collateral.h"
#include "evidence/data.h"
#include "evidence/dcap.h"
#include "evidence/roots.h"
#include "evidence/snp.h"

enum { SAMPLE = 8, NAME = 96 };

static struct vs_roots roots;

static int
set_up(void **state)
{
	struct vs_buf pem = {0};
	struct vs_err err = {0};
	(void)state;
	bytes_open("uncovered-hardware.txt");
	assert_ok(vs_roots_production(&roots, &err), &err);
	/* The one ASVK that comes with the tests. */
	pem = data_load("amd/ca/ask_ark_milan_vlek.pem");
	assert_ok(vs_ev_certs_pem(vs_buf_view(&pem), &roots.amd_helpers, &err), &err);
	vs_buf_done(&pem);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	vs_roots_done(&roots);
	return 0;
}

/* ---- SNP ------------------------------------------------------------------------------------ */

struct snp {
	const char *report_file, *certs_file;
	int64_t at_unix;
	bool vlek, debug;
	struct vs_buf report, certs; /* certs: DER of one, or PEM with the processor's first */
};

static bool
accepts_snp(void *arg)
{
	const struct snp *s = arg;
	struct vs_snp_report r;
	struct vs_ev_certs certs = {.n = 0}, helpers = {.n = 0};
	struct vs_ev_cert *one = NULL;
	struct vs_verdict v = {.n_checks = 0};
	struct vs_err err = {0};
	const bool pem = strstr(s->certs_file, ".pem") != NULL;
	if (pem && vs_failed(vs_ev_certs_pem(vs_buf_view(&s->certs), &certs, NULL))) {
		vs_ev_certs_done(&certs);
		return false;
	}
	if (!pem && !vs_failed(vs_ev_cert_der(vs_buf_view(&s->certs), &one, NULL)))
		assert_ok(vs_ev_certs_add(&certs, one, &err), &err);
	if (certs.n != 0 && !vs_failed(vs_snp_parse(vs_buf_view(&s->report), &r, NULL))) {
		for (size_t i = 1; i < certs.n; i++)
			helpers.v[helpers.n++] = certs.v[i];
		for (size_t i = 0; i < roots.amd_helpers.n && helpers.n < VS_EV_CERTS_MAX; i++)
			helpers.v[helpers.n++] = roots.amd_helpers.v[i];
		const struct vs_snp_expect x = {.at_unix = s->at_unix,
			.roots = &roots.amd,
			.helpers = &helpers,
			.allow_vlek = s->vlek,
			.allow_debug = s->debug};
		assert_ok(vs_snp_verify(&r, certs.v[0], &x, &v, &err), &err);
	}
	vs_check_finish(&v);
	vs_ev_certs_done(&certs);
	return v.passed;
}

static void
try_snp(struct snp *s)
{
	bytes_part(s->report_file, s->report.p, s->report.n, SAMPLE, accepts_snp, s);
	bytes_part(s->certs_file, s->certs.p, s->certs.n, SAMPLE, accepts_snp, s);
	vs_buf_done(&s->report);
	vs_buf_done(&s->certs);
}

static void
snp_reports(void **state)
{
	(void)state;
	struct snp cases[] = {
		{.report_file = "amd/snp-milan-v2/test-report.bin",
			.certs_file = "amd/snp-milan-v2/test-vcek.der",
			.at_unix = AT_2026},
		{.report_file = "amd/snp-milan-debug/attestation.bin",
			.certs_file = "amd/snp-milan-debug/vcek.der",
			.at_unix = AT_2026,
			.debug = true},
		{.report_file = "amd/snp-milan-vlek-v3/test-vlek-report.bin",
			.certs_file = "amd/snp-milan-vlek-v3/test-vlek.der",
			.at_unix = AT_2025,
			.vlek = true},
		{.report_file = "amd/snp-turin-v5-aci/report.bin",
			.certs_file = "amd/snp-turin-v5-aci/vcek.pem",
			.at_unix = AT_2026},
		{.report_file = "amd/aci-uvm/snp_report.bin",
			.certs_file = "amd/aci-uvm/uvm_host_amd_certificate.pem",
			.at_unix = AT_2026},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		cases[i].report = data_load(cases[i].report_file);
		cases[i].certs = data_load(cases[i].certs_file);
		try_snp(&cases[i]);
	}
}

static void
decoded(const struct vs_json *v, struct vs_buf *ret)
{
	struct vs_bytes text;
	struct vs_err err = {0};
	assert_true(vs_json_bytes(v, &text));
	assert_ok(vs_b64url_decode(text, ret, &err), &err);
}

/* As it is sent to the attestation service: base64url of JSON of base64url. */
static void
an_snp_report_that_was_sent_to_the_service(void **state)
{
	(void)state;
	struct snp s = {.report_file = "maa/sevsnpvm-2025-04/report",
		.certs_file = "maa/sevsnpvm-2025-04/certs.pem",
		.at_unix = AT_2026};
	struct vs_buf text = data_load("../maa/evidence/sevsnpvm-2025-04.report.b64url"),
		      json = {0};
	struct vs_json *j = NULL;
	struct vs_err err = {0};
	while (text.n != 0 && text.p[text.n - 1] == '\n')
		text.n--;
	assert_ok(vs_b64url_decode(vs_buf_view(&text), &json, &err), &err);
	assert_ok(vs_json_load(vs_buf_view(&json), 1 << 16, "evidence", &j, &err), &err);
	decoded(vs_json_get(j, "SnpReport"), &s.report);
	decoded(vs_json_get(j, "VcekCertChain"), &s.certs);
	try_snp(&s);
	vs_json_free(j);
	vs_buf_done(&json);
	vs_buf_done(&text);
}

/* ---- DCAP ----------------------------------------------------------------------------------- */

struct dcap {
	struct vs_buf quote;
	int64_t at_unix;
	bool debug;
	const char *failed; /* a check that the untouched quote does not pass, or NULL */
	/* Intel's statements; tcb_info empty: none. */
	struct vs_collateral c;
	struct vs_buf lists[2]; /* root's, platform's */
	bool with_lists;
	uint32_t allowed_status;
};

static bool
accepts_dcap(void *arg)
{
	struct dcap *d = arg;
	struct vs_dcap_quote q;
	struct vs_dcap_collateral statements;
	struct vs_ev_crls crls = {.n = 0};
	struct vs_verdict v = {.n_checks = 0};
	struct vs_err err = {0};
	uint8_t sig[2][64];
	bool has = false;
	for (size_t i = 0; d->with_lists && i < 2; i++) {
		if (vs_failed(vs_ev_crls_add(&crls, vs_buf_view(&d->lists[i]), NULL))) {
			vs_ev_crls_done(&crls);
			return false;
		}
	}
	if (!vs_failed(vs_dcap_parse(vs_buf_view(&d->quote), &q, NULL)) &&
		!vs_failed(vs_collateral_intel(&d->c, sig, &statements, &has, NULL))) {
		const struct vs_dcap_expect x = {.at_unix = d->at_unix,
			.roots = &roots.intel,
			.allow_debug = d->debug,
			.collateral = has ? &statements : NULL,
			.collateral_required = d->with_lists,
			.crls = d->with_lists ? &crls : NULL,
			.allowed_status = d->allowed_status};
		assert_ok(vs_dcap_verify(&q, &x, &v, &err), &err);
	}
	vs_ev_crls_done(&crls);
	for (size_t i = 0; i < v.n_checks; i++) {
		const struct vs_check *check = &v.checks[i];
		if (!check->passed && (d->failed == NULL || strcmp(check->name, d->failed) != 0))
			return false;
	}
	return v.n_checks != 0;
}

static void
dcap_quotes(void **state)
{
	(void)state;
	static const struct {
		const char *file;
		int64_t at_unix;
		bool debug;
		const char *failed;
	} cases[] = {
		{"intel/tdx-v4-gce-cos113/cos-113-tdx-quote.dat", AT_2026, false, NULL},
		{"intel/tdx-v4-spr/tdx_prod_quote_SPR_E4.dat", AT_2023, false, NULL},
		{"intel/tdx-v4-debug/tdx_quote_4.dat", AT_2026, true, NULL},
		{"intel/tdx-v5/tdx_quote_5.dat", AT_2026, false, NULL},
		{"intel/tdx-v5-oe/tdx_quote_v5.bin", AT_2026, false, "TD migration"},
		{"intel/sgx-v3-debug-occlum/occlum_quote.dat", AT_2026, true, NULL},
		{"../maa/evidence/td_quote_v4.dat", AT_2026, false, NULL},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct dcap d = {.quote = data_load(cases[i].file),
			.at_unix = cases[i].at_unix,
			.debug = cases[i].debug,
			.failed = cases[i].failed};
		bytes_part(cases[i].file, d.quote.p, d.quote.n, SAMPLE, accepts_dcap, &d);
		vs_buf_done(&d.quote);
	}
}

/* The other one of that folder is cut in the middle of its chain. */
static void
an_sgx_quote_that_was_sent_to_the_service(void **state)
{
	(void)state;
	struct vs_json *j = data_json("../maa/evidence/sgx-intel-sdk.enclave.info.release.json");
	struct dcap d = {.at_unix = AT_2023};
	struct vs_bytes text;
	struct vs_err err = {0};
	assert_true(vs_json_bytes(vs_json_get(j, "QuoteHex"), &text));
	assert_ok(vs_hex_decode(text, &d.quote, &err), &err);
	bytes_part("maa/sgx-intel-sdk/quote", d.quote.p, d.quote.n, SAMPLE, accepts_dcap, &d);
	vs_json_free(j);
	vs_buf_done(&d.quote);
}

static void
put_hex(const struct vs_json *j, const char *name, struct vs_buf *ret)
{
	struct vs_bytes text;
	struct vs_err err = {0};
	assert_true(vs_json_bytes(vs_json_get(j, name), &text));
	assert_ok(vs_hex_decode(text, ret, &err), &err);
}

/* As Intel's service answers: the object, then its signature. */
static void
put_statement(const struct vs_json *j, const char *outer, const char *name, const char *signature,
	struct vs_collateral *c, enum vs_collateral_part part)
{
	struct vs_buf b = {0};
	const char *t = NULL, *s = NULL;
	struct vs_err err = {0};
	assert_true(vs_json_string(vs_json_get(j, name), &t) &&
		vs_json_string(vs_json_get(j, signature), &s));
	assert_ok(vs_buf_addf(&b, &err, "{\"%s\":%s,\"signature\":\"%s\"}", outer, t, s), &err);
	assert_ok(vs_collateral_add(c, part, vs_buf_view(&b), &err), &err);
	vs_buf_done(&b);
}

static void
load_collateral(const char *path, struct dcap *d)
{
	struct vs_json *j = data_json(path);
	struct vs_bytes chain;
	struct vs_err err = {0};
	put_hex(j, "root_ca_crl", &d->lists[0]);
	put_hex(j, "pck_crl", &d->lists[1]);
	d->with_lists = true;
	put_statement(j, "tcbInfo", "tcb_info", "tcb_info_signature", &d->c, VS_COLL_TDX_TCB_INFO);
	put_statement(j, "enclaveIdentity", "qe_identity", "qe_identity_signature", &d->c,
		VS_COLL_TDX_QE_IDENTITY);
	assert_true(vs_json_bytes(vs_json_get(j, "tcb_info_issuer_chain"), &chain));
	assert_ok(vs_collateral_add(&d->c, VS_COLL_INTEL_TCB_CHAIN, chain, &err), &err);
	vs_json_free(j);
}

static void
quotes_with_intels_statements_and_lists(void **state)
{
	(void)state;
	static const struct {
		const char *quote, *collateral;
		uint32_t allowed;
	} cases[] = {
		{"intel/tdx-v4-collateral/tdx_quote",
			"intel/tdx-v4-collateral/tdx_quote_collateral.json", 0},
		{"intel/sgx-v3/sgx_quote", "intel/sgx-v3/sgx_quote_collateral.json",
			1U << VS_TCB_CONFIGURATION_AND_SW_HARDENING | 1U << VS_TCB_UP_TO_DATE},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct dcap d = {.quote = data_load(cases[i].quote),
			.at_unix = AT_2025,
			.allowed_status = cases[i].allowed};
		load_collateral(cases[i].collateral, &d);
		const struct {
			const char *name;
			struct vs_buf *b;
		} parts[] = {{"quote", &d.quote}, {"tcb-info", &d.c.tcb_info},
			{"qe-identity", &d.c.qe_identity}, {"tcb-chain", &d.c.tcb_chain},
			{"root-crl", &d.lists[0]}, {"pck-crl", &d.lists[1]}};
		for (size_t k = 0; k < sizeof parts / sizeof *parts; k++) {
			char part[NAME];
			snprintf(part, sizeof part, "%.*s/%s",
				(int)(strrchr(cases[i].quote, '/') - cases[i].quote),
				cases[i].quote, parts[k].name);
			bytes_part(part, parts[k].b->p, parts[k].b->n, SAMPLE, accepts_dcap, &d);
		}
		vs_collateral_done(&d.c);
		vs_buf_done(&d.lists[0]);
		vs_buf_done(&d.lists[1]);
		vs_buf_done(&d.quote);
	}
}

static void
the_written_list_is_exact(void **state)
{
	(void)state;
	bytes_close(150000, 400);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(snp_reports),
		cmocka_unit_test(an_snp_report_that_was_sent_to_the_service),
		cmocka_unit_test(dcap_quotes),
		cmocka_unit_test(an_sgx_quote_that_was_sent_to_the_service),
		cmocka_unit_test(quotes_with_intels_statements_and_lists),
		cmocka_unit_test(the_written_list_is_exact),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
