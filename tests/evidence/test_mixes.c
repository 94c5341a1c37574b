/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two genuine captures taken apart and put together again in every way: refused, unless what came
 * out is one of the two. VS_BYTES=all tries every mix of every two; otherwise each part alone in
 * and alone left, and some more by chance.
 */
#include "unit/unit.h"

#include "base/codec.h"
#include "evidence/bytes.h"
#include "evidence/check.h"
#include "evidence/collateral.h"
#include "evidence/hcl.h"
#include "evidence/sets.h"

static struct set sets[SETS_MAX];
static size_t n_sets, n_tried, n_same;

static int
set_up(void **state)
{
	(void)state;
	bytes_open("uncovered.txt"); /* for its seed */
	n_sets = sets_load(sets);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	sets_done(sets, n_sets);
	return 0;
}

/* Some of all masks of n bits but none and all; *state from 0 on. */
static bool
next_mask(unsigned n, unsigned *state, unsigned *ret)
{
	enum { BY_CHANCE = 4 };
	const unsigned full = (1U << n) - 1, i = (*state)++;
	if (bytes_all()) {
		*ret = i + 1;
		return *ret < full;
	}
	if (i < n)
		*ret = 1U << i;
	else if (i < 2 * n)
		*ret = full & ~(1U << (i - n));
	else
		*ret = 1 + (unsigned)bytes_random(full - 1);
	return n > 1 && i < 2 * n + BY_CHANCE;
}

/* ---- whole sets ----------------------------------------------------------------------------- */

/* The paravisor's NV index has two parts: what the hardware signed, and what it signed it about. */
enum part {
	QUOTE,
	QUOTE_SIG,
	PCRS,
	REPORT,
	RUNTIME,
	VCEK,
	TD_QUOTE,
	AK_CERT,
	AK_PUBLIC,
	LOG,
	PARTS
};

struct parts {
	struct vs_bytes v[PARTS];
	uint32_t pcr_mask;
};

static struct parts
take_apart(const struct vs_evidence *ev)
{
	struct parts p = {.pcr_mask = ev->pcr_mask};
	p.v[QUOTE] = vs_buf_view(&ev->quote);
	p.v[QUOTE_SIG] = vs_buf_view(&ev->quote_sig);
	p.v[PCRS] = vs_bytes_of(ev->pcr, sizeof ev->pcr);
	if (ev->hcl.n != 0) {
		/* The head, the room for a report, then length and text of the runtime data. */
		const size_t behind = 32 + VS_SNP_REPORT_BYTES;
		assert_true(ev->hcl.n > behind);
		p.v[REPORT] = vs_bytes_of(ev->hcl.p, behind);
		p.v[RUNTIME] = vs_bytes_of(ev->hcl.p + behind, ev->hcl.n - behind);
	}
	p.v[VCEK] = vs_buf_view(&ev->vcek_chain_pem);
	p.v[TD_QUOTE] = vs_buf_view(&ev->td_quote);
	p.v[AK_CERT] = vs_buf_view(&ev->ak_cert);
	p.v[AK_PUBLIC] = vs_buf_view(&ev->ak_public_2b);
	p.v[LOG] = vs_buf_view(&ev->event_log);
	return p;
}

static void
put(struct vs_buf *to, struct vs_bytes from)
{
	struct vs_err err = {0};
	if (from.n != 0)
		assert_ok(vs_buf_add(to, from.p, from.n, &err), &err);
}

static void
put_together(const struct parts *p, struct vs_evidence *ev)
{
	put(&ev->quote, p->v[QUOTE]);
	put(&ev->quote_sig, p->v[QUOTE_SIG]);
	memcpy(ev->pcr, p->v[PCRS].p, sizeof ev->pcr);
	ev->pcr_mask = p->pcr_mask;
	put(&ev->hcl, p->v[REPORT]);
	put(&ev->hcl, p->v[RUNTIME]);
	put(&ev->vcek_chain_pem, p->v[VCEK]);
	put(&ev->td_quote, p->v[TD_QUOTE]);
	put(&ev->ak_cert, p->v[AK_CERT]);
	put(&ev->ak_public_2b, p->v[AK_PUBLIC]);
	put(&ev->event_log, p->v[LOG]);
}

/* Certificates of another kind of processor beside a report are not looked at. */
static bool
looked_at(const struct set *s, unsigned part)
{
	const bool tdx = s->ev.td_quote.n != 0, snp = s->ev.vcek_chain_pem.n != 0;
	return (part != TD_QUOTE || tdx) && (part != VCEK || snp);
}

static bool
equals(const struct set *s, const struct parts *genuine, const struct parts *mix)
{
	for (unsigned i = 0; i < PARTS; i++) {
		if (looked_at(s, i) && !vs_bytes_eq(genuine->v[i], mix->v[i]))
			return false;
	}
	return genuine->pcr_mask == mix->pcr_mask;
}

static void
mix_sets(const struct set *a, const struct set *b)
{
	const struct parts pa = take_apart(&a->ev), pb = take_apart(&b->ev);
	unsigned differ[PARTS], n = 0, state = 0, mask = 0;
	for (unsigned i = 0; i < PARTS; i++) {
		if (!vs_bytes_eq(pa.v[i], pb.v[i]))
			differ[n++] = i;
	}
	assert_true(n >= 2);
	while (next_mask(n, &state, &mask)) {
		struct parts mix = pa;
		struct vs_evidence ev = {.tee = a->ev.tee};
		for (unsigned k = 0; k < n; k++) {
			if ((mask >> k & 1) == 0)
				continue;
			mix.v[differ[k]] = pb.v[differ[k]];
			if (differ[k] == PCRS)
				mix.pcr_mask = pb.pcr_mask;
		}
		put_together(&mix, &ev);
		const bool accepted = set_accepts_as(a, &ev);
		n_tried++;
		if (equals(a, &pa, &mix)) {
			n_same++;
			assert_true(accepted);
		} else if (accepted && !equals(b, &pb, &mix)) {
			fail_msg("%s with parts %x of %s is accepted", a->name, mask, b->name);
		}
		vs_evidence_done(&ev);
	}
}

static void
no_mix_of_two_machines_is_accepted(void **state)
{
	(void)state;
	n_tried = n_same = 0;
	for (size_t i = 0; i < n_sets; i++) {
		for (size_t k = 0; k < n_sets; k++) {
			if (i != k)
				mix_sets(&sets[i], &sets[k]);
		}
	}
	print_message("%zu mixes, %zu of them with nothing that counts\n", n_tried, n_same);
	assert_true(n_tried > (bytes_all() ? 20000U : 2000U) && n_same * 8 < n_tried);
}

/* ---- reports and certificates of processors -------------------------------------------------- */

static void
no_report_is_accepted_with_another_chips_certificate(void **state)
{
	(void)state;
	static const struct {
		const char *report, *cert;
		int64_t at_unix;
	} cases[] = {
		{"amd/snp-milan-v2/test-report.bin", "amd/snp-milan-v2/test-vcek.der", AT_2026},
		{"amd/snp-milan-debug/attestation.bin", "amd/snp-milan-debug/vcek.der", AT_2026},
		{"amd/snp-milan-vlek-v3/test-vlek-report.bin",
			"amd/snp-milan-vlek-v3/test-vlek.der", AT_2025},
		{"amd/snp-turin-v5-aci/report.bin", "amd/snp-turin-v5-aci/vcek.pem", AT_2026},
		{"amd/aci-uvm/snp_report.bin", "amd/aci-uvm/uvm_host_amd_certificate.pem", AT_2026},
	};
	enum { N = sizeof cases / sizeof *cases };
	struct vs_ev_certs helpers = {.n = 0}, certs[N] = {{.n = 0}};
	struct vs_buf reports[N], pem = data_load("amd/ca/ask_ark_milan_vlek.pem");
	struct vs_err err = {0};
	assert_ok(vs_ev_certs_pem(vs_buf_view(&pem), &helpers, &err), &err);
	for (size_t i = 0; i < sets[0].x.roots->amd_helpers.n; i++)
		helpers.v[helpers.n++] = sets[0].x.roots->amd_helpers.v[i];
	for (size_t i = 0; i < N; i++) {
		struct vs_buf b = data_load(cases[i].cert);
		struct vs_ev_cert *cert = NULL;
		reports[i] = data_load(cases[i].report);
		if (strstr(cases[i].cert, ".pem") != NULL) {
			assert_ok(vs_ev_certs_pem(vs_buf_view(&b), &certs[i], &err), &err);
		} else {
			assert_ok(vs_ev_cert_der(vs_buf_view(&b), &cert, &err), &err);
			assert_ok(vs_ev_certs_add(&certs[i], cert, &err), &err);
		}
		vs_buf_done(&b);
	}
	for (size_t i = 0; i < N; i++) {
		for (size_t k = 0; k < N; k++) {
			struct vs_verdict v = {.n_checks = 0};
			struct vs_snp_report r;
			const struct vs_snp_expect x = {.at_unix = cases[k].at_unix,
				.roots = &sets[0].x.roots->amd,
				.helpers = &helpers,
				.allow_vlek = true,
				.allow_debug = true};
			assert_ok(vs_snp_parse(vs_buf_view(&reports[i]), &r, &err), &err);
			assert_ok(vs_snp_verify(&r, certs[k].v[0], &x, &v, &err), &err);
			vs_check_finish(&v);
			if (v.passed != (i == k))
				fail_msg("%s with %s", cases[i].report, cases[k].cert);
			assert_int_equal(data_check(&v, "SNP report signature")->passed, i == k);
		}
	}
	for (size_t i = 0; i < N; i++) {
		vs_buf_done(&reports[i]);
		vs_ev_certs_done(&certs[i]);
	}
	helpers.n -= sets[0].x.roots->amd_helpers.n; /* borrowed */
	vs_ev_certs_done(&helpers);
	vs_buf_done(&pem);
}

/* ---- inside a quote ------------------------------------------------------------------------- */

/* What each signature in it is over, and by. */
enum { BODY, SIG, KEY, QE_AUTH, QE, QE_SIG, CERTS, PIECES };

static struct vs_bytes
piece(const struct vs_dcap_quote *q, unsigned i)
{
	switch (i) {
	case BODY: return q->signed_bytes;
	case SIG: return q->sig;
	case KEY: return q->key;
	case QE_AUTH: return q->qe_auth;
	case QE: return q->qe.all;
	case QE_SIG: return q->qe_sig;
	default: return q->certs;
	}
}

static void
exchange(struct vs_dcap_quote *q, const struct vs_dcap_quote *from, unsigned i)
{
	switch (i) {
	case BODY: {
		/* All that was read from it comes with it. */
		struct vs_dcap_quote n = *from;
		n.sig = q->sig;
		n.key = q->key;
		n.qe_auth = q->qe_auth;
		n.qe = q->qe;
		n.qe_sig = q->qe_sig;
		n.certs = q->certs;
		*q = n;
		break;
	}
	case SIG: q->sig = from->sig; break;
	case KEY: q->key = from->key; break;
	case QE_AUTH: q->qe_auth = from->qe_auth; break;
	case QE: q->qe = from->qe; break;
	case QE_SIG: q->qe_sig = from->qe_sig; break;
	default: q->certs = from->certs; break;
	}
}

static bool
accepts_quote(const struct vs_dcap_quote *q)
{
	struct vs_verdict v = {.n_checks = 0};
	struct vs_err err = {0};
	const struct vs_dcap_expect x = {
		.at_unix = AT_2025, .roots = &sets[0].x.roots->intel, .allow_debug = true};
	assert_ok(vs_dcap_verify(q, &x, &v, &err), &err);
	for (size_t i = 0; i < v.n_checks; i++) {
		/* One of them is of a TD that may be migrated; that is no matter of mixing. */
		if (!v.checks[i].passed && strcmp(v.checks[i].name, "TD migration") != 0)
			return false;
	}
	return v.n_checks != 0;
}

static void
mix_quotes(const struct vs_dcap_quote *a, const struct vs_dcap_quote *b)
{
	unsigned differ[PIECES], n = 0, state = 0, mask = 0;
	for (unsigned i = 0; i < PIECES; i++) {
		if (!vs_bytes_eq(piece(a, i), piece(b, i)))
			differ[n++] = i;
	}
	while (n > 1 && next_mask(n, &state, &mask)) {
		struct vs_dcap_quote q = *a;
		for (unsigned k = 0; k < n; k++) {
			if ((mask >> k & 1) != 0)
				exchange(&q, b, differ[k]);
		}
		n_tried++;
		if (accepts_quote(&q))
			fail_msg("a mix %x of two quotes is accepted", mask);
	}
}

static void
no_mix_of_two_quotes_is_accepted(void **state)
{
	(void)state;
	static const char *const files[] = {"intel/tdx-v4-gce-cos113/cos-113-tdx-quote.dat",
		"intel/tdx-v4-spr/tdx_prod_quote_SPR_E4.dat", "intel/tdx-v4-debug/tdx_quote_4.dat",
		"intel/tdx-v5/tdx_quote_5.dat", "intel/tdx-v5-oe/tdx_quote_v5.bin",
		"intel/tdx-v4-collateral/tdx_quote", "intel/sgx-v3/sgx_quote",
		"intel/sgx-v3-debug-occlum/occlum_quote.dat", "azure/tdx-challenge/td_quote.bin",
		"../maa/evidence/td_quote_v4.dat"};
	enum { N = sizeof files / sizeof *files };
	struct vs_buf b[N];
	struct vs_dcap_quote q[N];
	struct vs_err err = {0};
	n_tried = 0;
	for (size_t i = 0; i < N; i++) {
		b[i] = data_load(files[i]);
		assert_ok(vs_dcap_parse(vs_buf_view(&b[i]), &q[i], &err), &err);
		assert_true(accepts_quote(&q[i]));
	}
	for (size_t i = 0; i < N; i++) {
		for (size_t k = 0; k < N; k++)
			mix_quotes(&q[i], &q[k]);
	}
	print_message("%zu mixes\n", n_tried);
	assert_true(n_tried > (bytes_all() ? 4000U : 1000U));
	for (size_t i = 0; i < N; i++)
		vs_buf_done(&b[i]);
}

/* ---- quotes and Intel's statements ----------------------------------------------------------- */

enum { STATEMENTS_QUOTE, TCB_INFO, QE_IDENTITY, N_STATEMENTS };

struct stated {
	struct vs_buf quote, lists[2];
	struct vs_json *j;
};

static void
load_stated(const char *quote, const char *json, struct stated *s)
{
	static const char *const names[] = {"root_ca_crl", "pck_crl"};
	struct vs_bytes text;
	struct vs_err err = {0};
	s->quote = data_load(quote);
	s->j = data_json(json);
	for (size_t i = 0; i < 2; i++) {
		assert_true(vs_json_bytes(vs_json_get(s->j, names[i]), &text));
		assert_ok(vs_hex_decode(text, &s->lists[i], &err), &err);
	}
}

static struct vs_bytes
signed_text(const struct stated *s, const char *name, const char *sig_name, struct vs_buf *sig)
{
	struct vs_bytes text = {NULL, 0}, hex = {NULL, 0};
	struct vs_err err = {0};
	assert_true(vs_json_bytes(vs_json_get(s->j, name), &text) &&
		vs_json_bytes(vs_json_get(s->j, sig_name), &hex));
	assert_ok(vs_hex_decode(hex, sig, &err), &err);
	return text;
}

/* The lists and the chain are Intel's for everybody: they come with the quote. */
static bool
accepts_stated(const struct stated *of[N_STATEMENTS])
{
	VS_CLEANUP(vs_buf_done) struct vs_buf tcb_sig = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf qe_sig = {0};
	const struct stated *q = of[STATEMENTS_QUOTE];
	struct vs_dcap_collateral c = {0};
	struct vs_ev_crls crls = {.n = 0};
	struct vs_verdict v = {.n_checks = 0};
	struct vs_dcap_quote quote;
	struct vs_err err = {0};
	c.tcb_info = signed_text(of[TCB_INFO], "tcb_info", "tcb_info_signature", &tcb_sig);
	c.tcb_info_sig = vs_buf_view(&tcb_sig);
	c.qe_identity =
		signed_text(of[QE_IDENTITY], "qe_identity", "qe_identity_signature", &qe_sig);
	c.qe_identity_sig = vs_buf_view(&qe_sig);
	assert_true(vs_json_bytes(vs_json_get(q->j, "tcb_info_issuer_chain"), &c.chain_pem));
	for (size_t i = 0; i < 2; i++)
		assert_ok(vs_ev_crls_add(&crls, vs_buf_view(&q->lists[i]), &err), &err);
	const struct vs_dcap_expect x = {.at_unix = AT_2025,
		.roots = &sets[0].x.roots->intel,
		.collateral = &c,
		.collateral_required = true,
		.crls = &crls,
		.allowed_status = UINT32_MAX};
	assert_ok(vs_dcap_parse(vs_buf_view(&q->quote), &quote, &err), &err);
	assert_ok(vs_dcap_verify(&quote, &x, &v, &err), &err);
	vs_check_finish(&v);
	vs_ev_crls_done(&crls);
	return v.passed;
}

static void
statements_are_good_for_their_own_platform_only(void **state)
{
	(void)state;
	struct stated s[2] = {{.j = NULL}};
	load_stated("intel/tdx-v4-collateral/tdx_quote",
		"intel/tdx-v4-collateral/tdx_quote_collateral.json", &s[0]);
	load_stated("intel/sgx-v3/sgx_quote", "intel/sgx-v3/sgx_quote_collateral.json", &s[1]);
	for (unsigned mask = 0; mask < 1U << N_STATEMENTS; mask++) {
		const struct stated *of[N_STATEMENTS];
		for (unsigned i = 0; i < N_STATEMENTS; i++)
			of[i] = &s[mask >> i & 1];
		const bool same = mask == 0 || mask == (1U << N_STATEMENTS) - 1;
		if (accepts_stated(of) != same)
			fail_msg("mix %x", mask);
	}
	for (size_t i = 0; i < 2; i++) {
		vs_buf_done(&s[i].quote);
		vs_buf_done(&s[i].lists[0]);
		vs_buf_done(&s[i].lists[1]);
		vs_json_free(s[i].j);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_mix_of_two_machines_is_accepted),
		cmocka_unit_test(no_report_is_accepted_with_another_chips_certificate),
		cmocka_unit_test(no_mix_of_two_quotes_is_accepted),
		cmocka_unit_test(statements_are_good_for_their_own_platform_only),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
