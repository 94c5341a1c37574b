/* SPDX-License-Identifier: BSD-2-Clause */
/* Lists of revoked certificates and Intel's statements: on Intel's own of 2025, and on made ones.
 */
#include "unit/pkikit.h"
#include "unit/unit.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/codec.h"
#include "evidence/collateral.h"
#include "evidence/data.h"
#include "evidence/roots.h"
#include "evidence/verify.h"

static struct pki root, ca, leaf, stranger;
static struct vs_ev_certs roots, helpers; /* borrowed */

static int
set_up(void **state)
{
	(void)state;
	root = pki_make(&(struct pki_cert){.cn = "Root", .serial = 1, .ca = true});
	ca = pki_make(&(struct pki_cert){.cn = "CA", .issuer = &root, .serial = 2, .ca = true});
	leaf = pki_make(&(struct pki_cert){.cn = "Leaf", .issuer = &ca, .serial = 3});
	stranger = pki_make(&(struct pki_cert){.cn = "Root", .serial = 1, .ca = true});
	roots = (struct vs_ev_certs){.n = 1, .v = {root.cert}};
	helpers = (struct vs_ev_certs){.n = 1, .v = {ca.cert}};
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	pki_done(&leaf);
	pki_done(&ca);
	pki_done(&root);
	pki_done(&stranger);
	return 0;
}

/* What the check says of the made chain with these lists. */
static struct vs_check
ask(const struct vs_ev_crls *crls, bool required, size_t from)
{
	struct vs_ev_path path = {.n = 0};
	struct vs_verdict v = {.n_checks = 0};
	struct vs_err err = {0};
	const struct vs_revocation x = {crls, required};
	assert_ok(vs_ev_cert_chain(leaf.cert, &helpers, &roots, PKI_AT, &path, &err), &err);
	assert_int_equal(path.n, 3);
	assert_ptr_equal(path.v[0], leaf.cert);
	assert_ptr_equal(path.v[1], ca.cert);
	assert_ptr_equal(path.v[2], root.cert);
	vs_revocation_check(&path, from, &x, PKI_AT, "revocation", &v);
	assert_int_equal(v.n_checks, 1);
	const vs_rc rc = vs_revocation_require(&path, from, &x, PKI_AT, &err);
	assert_int_equal(!vs_failed(rc), v.checks[0].passed);
	return v.checks[0];
}

struct crl_case {
	struct pki_crl of_root, of_ca; /* no issuer: no such list */
	const char *says; /* part of what is refused; NULL: accepted */
};

static void
each_list_is_asked_about_its_own(void **state)
{
	(void)state;
	const struct pki *const r = &root, *const c = &ca;
	const struct crl_case cases[] = {
		{{.issuer = r}, {.issuer = c}, NULL},
		{{.issuer = r, .pem = true}, {.issuer = c, .pem = true}, NULL},
		{{.issuer = r, .serials = {3, 7}}, {.issuer = c, .serials = {2, 4}}, NULL},
		{{.issuer = r, .serials = {2}}, {.issuer = c}, "\"CA\" is revoked"},
		{{.issuer = r, .serials = {9, 2, 8}}, {.issuer = c}, "\"CA\" is revoked"},
		{{.issuer = r}, {.issuer = c, .serials = {3}}, "\"Leaf\" is revoked"},
		{{.issuer = r, .from = -9 * 86400, .until = -1}, {.issuer = c}, "not of this time"},
		{{.issuer = r, .from = 1, .until = 86400}, {.issuer = c}, "not of this time"},
		{{.issuer = r, .no_until = true}, {.issuer = c}, "not of this time"},
		{{.issuer = r}, {.issuer = c, .from = -9 * 86400, .until = -1}, "not of this time"},
		/* A serial that an old list names stays revoked. */
		{{.issuer = r, .from = -9 * 86400, .until = -1, .serials = {2}}, {.issuer = c},
			"\"CA\" is revoked"},
		{{.issuer = r, .sign_with = stranger.key}, {.issuer = c}, "not signed by it"},
		{{.issuer = r, .sign_with = ca.key}, {.issuer = c}, "not signed by it"},
		{{.issuer = r}, {.issuer = c, .sign_with = root.key}, "not signed by it"},
		/* A stranger's list revokes nothing either. */
		{{.issuer = r, .sign_with = stranger.key, .serials = {2}}, {.issuer = c},
			"not signed by it"},
		{{.issuer = r, .md = EVP_sha1()}, {.issuer = c}, "algorithm"},
		{{.issuer = r, .idp = true}, {.issuer = c}, "only about some"},
		{{.issuer = r, .delta = true}, {.issuer = c}, "only about some"},
		{{.issuer = r, .unknown = true}, {.issuer = c}, "only about some"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct vs_ev_crls crls = {.n = 0};
		pki_add_crl(&cases[i].of_root, &crls);
		pki_add_crl(&cases[i].of_ca, &crls);
		for (int required = 0; required < 2; required++) {
			const struct vs_check said = ask(&crls, required, 0);
			if (said.passed != (cases[i].says == NULL) ||
				(cases[i].says != NULL && strstr(said.seen, cases[i].says) == NULL))
				fail_msg("case %zu: %s", i, said.seen);
		}
		vs_ev_crls_done(&crls);
	}
}

static void
a_list_that_is_not_there_refuses_only_where_it_is_required(void **state)
{
	(void)state;
	struct vs_ev_crls crls = {.n = 0};
	struct vs_check c = ask(&crls, false, 0);
	assert_true(c.passed && vs_check_skipped(&c));
	c = ask(NULL, false, 0);
	assert_true(c.passed && vs_check_skipped(&c));
	assert_false(ask(NULL, true, 0).passed);
	pki_add_crl(&(struct pki_crl){.issuer = &root}, &crls);
	c = ask(&crls, false, 0);
	assert_true(c.passed && vs_check_skipped(&c));
	c = ask(&crls, true, 0);
	assert_false(c.passed);
	assert_non_null(strstr(c.seen, "no list of \"CA\""));
	/* AMD lists no leaves. */
	c = ask(&crls, true, 1);
	assert_true(c.passed && !vs_check_skipped(&c));
	pki_add_crl(&(struct pki_crl){.issuer = &ca, .serials = {3}}, &crls);
	assert_false(ask(&crls, true, 1).passed);
	vs_ev_crls_done(&crls);
}

static void
an_old_list_beside_a_new_one_does_no_harm(void **state)
{
	(void)state;
	struct vs_ev_crls crls = {.n = 0};
	pki_add_crl(&(struct pki_crl){.issuer = &root, .from = -99, .until = -9}, &crls);
	pki_add_crl(&(struct pki_crl){.issuer = &root}, &crls);
	pki_add_crl(&(struct pki_crl){.issuer = &root, .sign_with = stranger.key}, &crls);
	pki_add_crl(&(struct pki_crl){.issuer = &ca}, &crls);
	const struct vs_check c = ask(&crls, true, 0);
	if (!c.passed)
		fail_msg("%s", c.seen);
	vs_ev_crls_done(&crls);
}

/* An issuer that may sign certificates, but no lists. */
static void
a_ca_that_may_not_sign_lists_has_none(void **state)
{
	(void)state;
	struct pki other = pki_make(&(struct pki_cert){
		.cn = "Other", .serial = 1, .ca = true, .key_usage = "critical,keyCertSign"});
	struct vs_ev_crls crls = {.n = 0};
	struct vs_err err = {0};
	pki_add_crl(&(struct pki_crl){.issuer = &other}, &crls);
	assert_code(vs_ev_crl_check(crls.v[0], other.cert, PKI_AT, &err), REFUSED_EVIDENCE);
	assert_non_null(strstr(err.frames[0].text, "may not sign lists"));
	vs_ev_crls_done(&crls);
	pki_done(&other);
}

static void
changed_and_cut_lists_are_never_believed(void **state)
{
	(void)state;
	VS_CLEANUP(vs_buf_done) struct vs_buf b = {0};
	pki_crl(&(struct pki_crl){.issuer = &root, .serials = {7, 9}}, &b);
	for (size_t at = 0; at < b.n; at++) {
		static const int how[] = {-1, 0x00, 0xFF};
		const uint8_t was = b.p[at];
		for (size_t k = 0; k < 3; k++) {
			struct vs_ev_crls crls = {.n = 0};
			b.p[at] = how[k] < 0 ? was ^ 1 : (uint8_t)how[k];
			if (b.p[at] != was &&
				!vs_failed(vs_ev_crls_add(&crls, vs_buf_view(&b), NULL)) &&
				!vs_failed(vs_ev_crl_check(crls.v[0], root.cert, PKI_AT, NULL)))
				fail_msg("byte %zu as %02x", at, b.p[at]);
			vs_ev_crls_done(&crls);
		}
		b.p[at] = was;
	}
	for (size_t n = 0; n < b.n; n++) {
		struct vs_ev_crls crls = {.n = 0};
		uint8_t *copy = malloc(n != 0 ? n : 1);
		memcpy(copy, b.p, n);
		assert_code(vs_ev_crls_add(&crls, vs_bytes_of(copy, n), NULL), FORMAT);
		assert_int_equal(crls.n, 0);
		free(copy);
	}
	static const char *const junk[] = {"-----BEGIN X509 CRL-----\n", "-----BEGIN", "x"};
	for (size_t i = 0; i < 3; i++) {
		struct vs_ev_crls crls = {.n = 0};
		assert_code(vs_ev_crls_add(&crls, vs_bytes_str(junk[i]), NULL), FORMAT);
	}
}

static void
nothing_may_stand_behind_a_list_and_not_too_many_beside_it(void **state)
{
	(void)state;
	for (int pem = 0; pem < 2; pem++) {
		VS_CLEANUP(vs_buf_done) struct vs_buf b = {0};
		struct vs_ev_crls crls = {.n = 0};
		struct vs_err err = {0};
		pki_crl(&(struct pki_crl){.issuer = &root, .pem = pem}, &b);
		assert_ok(vs_ev_crls_add(&crls, vs_buf_view(&b), &err), &err);
		for (int i = 1; i < VS_EV_CRLS_MAX; i++)
			assert_ok(vs_ev_crls_add(&crls, vs_buf_view(&b), &err), &err);
		assert_code(vs_ev_crls_add(&crls, vs_buf_view(&b), &err), LIMIT);
		vs_ev_crls_done(&crls);
		assert_ok(vs_buf_add_str(&b, "x", &err), &err);
		assert_code(vs_ev_crls_add(&crls, vs_buf_view(&b), &err), FORMAT);
	}
}

/* ---- Intel's own ---------------------------------------------------------------------------- */

static void
add_hex(struct vs_collateral *c, enum vs_collateral_part part, const struct vs_json *v)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf b = {0};
	struct vs_bytes text;
	struct vs_err err = {0};
	assert_true(vs_json_bytes(v, &text));
	assert_ok(vs_hex_decode(text, &b, &err), &err);
	assert_ok(vs_collateral_add(c, part, vs_buf_view(&b), &err), &err);
}

/* As Intel's service answers: the object, then its signature. */
static void
add_statement(struct vs_collateral *c, enum vs_collateral_part part, const char *name,
	const struct vs_json *text, const struct vs_json *signature)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf b = {0};
	const char *t = NULL, *s = NULL;
	struct vs_err err = {0};
	assert_true(vs_json_string(text, &t) && vs_json_string(signature, &s));
	assert_ok(vs_buf_addf(&b, &err, "{\"%s\":%s,\"signature\":\"%s\"}", name, t, s), &err);
	assert_ok(vs_collateral_add(c, part, vs_buf_view(&b), &err), &err);
}

static void
intel_collateral(const char *path, unsigned without, struct vs_collateral *c)
{
	struct vs_json *j = data_json(path);
	struct vs_bytes chain;
	struct vs_err err = {0};
	if ((without & 1U << VS_COLL_CRL_INTEL_ROOT) == 0)
		add_hex(c, VS_COLL_CRL_INTEL_ROOT, vs_json_get(j, "root_ca_crl"));
	if ((without & 1U << VS_COLL_CRL_INTEL_PLATFORM) == 0)
		add_hex(c, VS_COLL_CRL_INTEL_PLATFORM, vs_json_get(j, "pck_crl"));
	if ((without & 1U << VS_COLL_TDX_TCB_INFO) == 0)
		add_statement(c, VS_COLL_TDX_TCB_INFO, "tcbInfo", vs_json_get(j, "tcb_info"),
			vs_json_get(j, "tcb_info_signature"));
	if ((without & 1U << VS_COLL_TDX_QE_IDENTITY) == 0)
		add_statement(c, VS_COLL_TDX_QE_IDENTITY, "enclaveIdentity",
			vs_json_get(j, "qe_identity"), vs_json_get(j, "qe_identity_signature"));
	assert_true(vs_json_bytes(vs_json_get(j, "tcb_info_issuer_chain"), &chain));
	if ((without & 1U << VS_COLL_INTEL_TCB_CHAIN) == 0)
		assert_ok(vs_collateral_add(c, VS_COLL_INTEL_TCB_CHAIN, chain, &err), &err);
	vs_json_free(j);
}

#define TDX_JSON "intel/tdx-v4-collateral/tdx_quote_collateral.json"

static struct vs_verdict
judge_tdx(const struct vs_collateral *c, bool required, int64_t at)
{
	VS_CLEANUP(vs_roots_done) struct vs_roots vendors = {.amd = {.n = 0}};
	struct vs_buf b = data_load("intel/tdx-v4-collateral/tdx_quote");
	struct vs_dcap_collateral statements;
	struct vs_verdict v = {.n_checks = 0};
	struct vs_dcap_quote q;
	struct vs_err err = {0};
	uint8_t sig[2][64];
	bool has = false;
	assert_ok(vs_roots_production(&vendors, &err), &err);
	assert_ok(vs_dcap_parse(vs_buf_view(&b), &q, &err), &err);
	assert_ok(vs_collateral_intel(c, sig, &statements, &has, &err), &err);
	const struct vs_dcap_expect x = {.at_unix = at,
		.roots = &vendors.intel,
		.collateral = has ? &statements : NULL,
		.collateral_required = required,
		.crls = &c->crls};
	assert_ok(vs_dcap_verify(&q, &x, &v, &err), &err);
	vs_check_finish(&v);
	vs_buf_done(&b);
	return v;
}

static void
intels_own_collateral_is_enough_for_a_real_quote(void **state)
{
	(void)state;
	struct vs_collateral c = {.has = 0};
	intel_collateral(TDX_JSON, 0, &c);
	const struct vs_verdict v = judge_tdx(&c, true, AT_2025);
	data_print(&v);
	assert_true(v.passed);
	for (size_t i = 0; i < v.n_checks; i++)
		assert_false(vs_check_skipped(&v.checks[i]));
	/* A year later all of it is old, and old is not good enough even where none is required. */
	const struct vs_verdict late = judge_tdx(&c, false, AT_2026);
	assert_false(data_check(&late, "PCK certificate revocation")->passed);
	assert_false(data_check(&late, "TCB information")->passed);
	vs_collateral_done(&c);
}

static void
each_part_of_the_collateral_that_is_missing_refuses_where_it_is_required(void **state)
{
	(void)state;
	static const struct {
		enum vs_collateral_part part;
		const char *check;
	} cases[] = {{VS_COLL_CRL_INTEL_ROOT, "PCK certificate revocation"},
		{VS_COLL_CRL_INTEL_PLATFORM, "PCK certificate revocation"},
		{VS_COLL_TDX_TCB_INFO, "TCB level"}, {VS_COLL_TDX_QE_IDENTITY, "TCB level"},
		{VS_COLL_INTEL_TCB_CHAIN, "TCB level"}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct vs_collateral c = {.has = 0};
		intel_collateral(TDX_JSON, 1U << cases[i].part, &c);
		const struct vs_verdict v = judge_tdx(&c, true, AT_2025);
		assert_false(v.passed);
		assert_string_equal(vs_check_first_failed(&v)->name, cases[i].check);
		const struct vs_verdict lax = judge_tdx(&c, false, AT_2025);
		assert_true(lax.passed);
		assert_true(vs_check_skipped(data_check(&lax, cases[i].check)));
		vs_collateral_done(&c);
	}
}

static void
statements_about_another_platform_are_refused(void **state)
{
	(void)state;
	struct vs_collateral c = {.has = 0};
	intel_collateral("intel/sgx-v3/sgx_quote_collateral.json", 0, &c);
	const struct vs_verdict v = judge_tdx(&c, false, AT_2025);
	assert_false(v.passed);
	assert_false(data_check(&v, "TCB information is about this platform")->passed);
	vs_collateral_done(&c);
}

static void
every_changed_byte_of_a_statement_is_refused(void **state)
{
	(void)state;
	struct vs_collateral c = {.has = 0};
	intel_collateral(TDX_JSON, 0, &c);
	struct vs_buf *const parts[] = {&c.tcb_info, &c.qe_identity};
	for (size_t k = 0; k < 2; k++) {
		for (size_t at = 0; at < parts[k]->n;
			at += at < 64 || at + 160 > parts[k]->n ? 1 : 9) {
			struct vs_dcap_collateral statements;
			uint8_t sig[2][64];
			bool has = false;
			parts[k]->p[at] ^= 1;
			if (!vs_failed(vs_collateral_intel(&c, sig, &statements, &has, NULL))) {
				const struct vs_verdict v = judge_tdx(&c, false, AT_2025);
				if (v.passed)
					fail_msg("part %zu, byte %zu", k, at);
			}
			parts[k]->p[at] ^= 1;
		}
	}
	assert_true(judge_tdx(&c, true, AT_2025).passed);
	vs_collateral_done(&c);
}

/* ---- folder --------------------------------------------------------------------------------- */

static void
put(const char *dir, const char *name, struct vs_bytes content)
{
	char path[256];
	struct vs_err err = {0};
	snprintf(path, sizeof path, "%s/%s", dir, name);
	assert_ok(vs_file_replace(path, 0600, content, &err), &err);
}

static void
a_folder_gives_what_it_has_and_damaged_files_are_errors(void **state)
{
	(void)state;
	char dir[] = "/tmp/vs-collateral.XXXXXX", command[64];
	struct vs_collateral c = {.has = 0};
	struct vs_err err = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf b = {0};
	assert_non_null(mkdtemp(dir));
	assert_ok(vs_collateral_load(dir, VS_FILE_TRUSTED, &c, &err), &err);
	assert_int_equal(c.has, 0);
	pki_crl(&(struct pki_crl){.issuer = &root}, &b);
	put(dir, "amd-milan.crl", vs_buf_view(&b));
	put(dir, "tdx-tcb-info.json", vs_bytes_str("{}"));
	assert_ok(vs_collateral_load(dir, VS_FILE_TRUSTED, &c, &err), &err);
	assert_int_equal(c.has, 1U << VS_COLL_CRL_AMD_MILAN | 1U << VS_COLL_TDX_TCB_INFO);
	assert_int_equal(c.crls.n, 1);
	vs_collateral_done(&c);
	assert_code(vs_collateral_load("/nonexistent", VS_FILE_ANY, &c, &err), CONFIG_FILE);
	put(dir, "intel-root.crl", vs_bytes_str("x"));
	assert_code(vs_collateral_load(dir, VS_FILE_TRUSTED, &c, &err), FORMAT);
	vs_err_sentence(&err, command, sizeof command);
	put(dir, "intel-root.crl", vs_buf_view(&b));
	char path[64];
	snprintf(path, sizeof path, "%s/intel-root.crl", dir);
	assert_int_equal(chmod(path, 0666), 0);
	assert_code(vs_collateral_load(dir, VS_FILE_TRUSTED, &c, &err), CONFIG_FILE);
	static const char *const names[] = {"amd-milan.crl", "tdx-tcb-info.json", "intel-root.crl"};
	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, names[i]);
		assert_int_equal(unlink(path), 0);
	}
	assert_int_equal(rmdir(dir), 0);
}

static void
each_part_has_its_own_file(void **state)
{
	(void)state;
	for (int i = 0; i < VS_COLL_COUNT_; i++) {
		for (int k = 0; k < i; k++)
			assert_string_not_equal(vs_collateral_file((enum vs_collateral_part)i),
				vs_collateral_file((enum vs_collateral_part)k));
	}
}

/* ---- Azure's virtual TPMs ------------------------------------------------------------------- */

/*
 * leaf <- "… CA - 11" <- "… CA 2025" <- root, as newer machines have it: two intermediates, which
 * no certificate brings along. With them the chain is complete, without them it is not.
 */
static void
intermediates_of_newer_machines_complete_the_chain(void **state)
{
	(void)state;
	struct pki top = pki_make(
		&(struct pki_cert){.cn = "vTPM Root", .serial = 1, .ca = true, .rsa = true});
	struct pki upper = pki_make(&(struct pki_cert){
		.cn = "Cloud CA 2025", .issuer = &top, .serial = 2, .ca = true, .rsa = true});
	struct pki lower = pki_make(&(struct pki_cert){
		.cn = "Cloud CA - 11", .issuer = &upper, .serial = 3, .ca = true, .rsa = true});
	struct pki ak = pki_make(&(struct pki_cert){.cn = "0123.TrustedVM.Azure.windows.net",
		.issuer = &lower,
		.serial = 4,
		.rsa = true,
		.key_usage = "critical,digitalSignature",
		.eku = "2.23.133.8.3"});
	const struct vs_roots r = {.vtpm = {.n = 1, .v = {top.cert}}};
	const struct vs_ev_certs lists[] = {{.n = 0}, {.n = 1, .v = {lower.cert}},
		{.n = 1, .v = {upper.cert}}, {.n = 2, .v = {lower.cert, upper.cert}},
		{.n = 2, .v = {upper.cert, lower.cert}}};
	VS_CLEANUP(vs_buf_done) struct vs_buf der = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf n = {0};
	struct vs_err err = {0};
	pki_der(&ak, &der);
	assert_ok(vs_ev_cert_rsa_n(ak.cert, &n, &err), &err);
	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
		for (int needed = 0; needed < 2; needed++) {
			struct vs_verdict v = {.n_checks = 0};
			assert_ok(vs_akcert_check(vs_buf_view(&der), vs_buf_view(&n), &r, &lists[i],
					  PKI_AT, needed, &v, &err),
				&err);
			vs_check_finish(&v);
			const struct vs_check *c = data_check(&v, "AK certificate chain");
			if (i >= 3)
				assert_true(v.passed && !vs_check_skipped(c));
			else if (needed || i == 1)
				assert_false(v.passed);
			else
				assert_true(vs_check_skipped(c));
		}
	}
	pki_done(&ak);
	pki_done(&lower);
	pki_done(&upper);
	pki_done(&top);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_list_is_asked_about_its_own),
		cmocka_unit_test(a_list_that_is_not_there_refuses_only_where_it_is_required),
		cmocka_unit_test(an_old_list_beside_a_new_one_does_no_harm),
		cmocka_unit_test(a_ca_that_may_not_sign_lists_has_none),
		cmocka_unit_test(changed_and_cut_lists_are_never_believed),
		cmocka_unit_test(nothing_may_stand_behind_a_list_and_not_too_many_beside_it),
		cmocka_unit_test(intels_own_collateral_is_enough_for_a_real_quote),
		cmocka_unit_test(
			each_part_of_the_collateral_that_is_missing_refuses_where_it_is_required),
		cmocka_unit_test(statements_about_another_platform_are_refused),
		cmocka_unit_test(every_changed_byte_of_a_statement_is_refused),
		cmocka_unit_test(a_folder_gives_what_it_has_and_damaged_files_are_errors),
		cmocka_unit_test(each_part_has_its_own_file),
		cmocka_unit_test(intermediates_of_newer_machines_complete_the_chain),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
