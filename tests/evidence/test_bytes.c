/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every byte of every captured quote, signature, PCR value, report, runtime data, certificate and
 * statement: see bytes.h, and uncovered.txt for what no check covers. Logs: test_bytes_log.c.
 */
#include "unit/unit.h"

#include "base/codec.h"
#include "evidence/bytes.h"
#include "evidence/ev_crypto.h"
#include "evidence/hcl.h"
#include "evidence/sets.h"

enum { SAMPLE = 6, NAME = 80 };

static struct set sets[SETS_MAX];
static size_t n_sets;

static int
set_up(void **state)
{
	(void)state;
	bytes_open("uncovered.txt");
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

/* ---- whole sets ----------------------------------------------------------------------------- */

static bool
accepts_set(void *arg)
{
	return set_accepts(arg);
}

static void
try_set(struct set *s)
{
	const struct {
		const char *file;
		void *p;
		size_t n;
	} parts[] = {{"quote.msg", s->ev.quote.p, s->ev.quote.n},
		{"quote.sig", s->ev.quote_sig.p, s->ev.quote_sig.n},
		{"pcrs", s->ev.pcr, set_pcr_bytes(s)}, {"hcl.bin", s->ev.hcl.p, s->ev.hcl.n},
		{"vcek.pem", s->ev.vcek_chain_pem.p, s->ev.vcek_chain_pem.n},
		{"td_quote.bin", s->ev.td_quote.p, s->ev.td_quote.n},
		{"ak_cert.der", s->ev.ak_cert.p, s->ev.ak_cert.n},
		{"ak.tpm2b", s->ev.ak_public_2b.p, s->ev.ak_public_2b.n}};
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		char part[NAME];
		snprintf(part, sizeof part, "%s/%s", s->name, parts[i].file);
		if (parts[i].n != 0)
			bytes_part(part, parts[i].p, parts[i].n, SAMPLE, accepts_set, s);
	}
}

static void
whole_sets(void **state)
{
	(void)state;
	for (size_t i = 0; i < n_sets; i++)
		try_set(&sets[i]);
}

/* The certificate of a key that another key's quote came with is good for its own key. */
struct ak {
	struct vs_buf der, n;
};

static bool
accepts_ak(void *arg)
{
	struct ak *ak = arg;
	struct vs_verdict v = {.n_checks = 0};
	struct vs_err err = {0};
	assert_ok(vs_akcert_check(vs_buf_view(&ak->der), vs_buf_view(&ak->n), sets[0].x.roots, NULL,
			  AT_2026, true, &v, &err),
		&err);
	vs_check_finish(&v);
	return v.passed;
}

static void
an_attestation_keys_certificate(void **state)
{
	(void)state;
	struct ak ak = {.der = data_load("azure/trusted-launch-inguest-ak/akcert_0x01C101D0.der")};
	struct vs_ev_cert *cert = NULL;
	struct vs_err err = {0};
	assert_ok(vs_ev_cert_der(vs_buf_view(&ak.der), &cert, &err), &err);
	assert_ok(vs_ev_cert_rsa_n(cert, &ak.n, &err), &err);
	vs_ev_cert_free(cert);
	bytes_part("azure/trusted-launch-inguest-ak/akcert.der", ak.der.p, ak.der.n, SAMPLE,
		accepts_ak, &ak);
	vs_buf_done(&ak.der);
	vs_buf_done(&ak.n);
}

/* ---- runtime data of reports whose processor's certificate was not captured ------------------ */

static bool
accepts_binding(void *arg)
{
	const struct vs_buf *nv = arg;
	struct vs_hcl hcl;
	struct vs_runtime rt;
	return !vs_failed(vs_hcl_parse(vs_buf_view(nv), &hcl, NULL)) &&
		!vs_failed(vs_hcl_check_binding(&hcl, NULL)) &&
		!vs_failed(vs_runtime_parse(hcl.json, &rt, NULL));
}

static void
runtime_data_without_their_processor(void **state)
{
	(void)state;
	static const char *const files[] = {"azure/snp-hcl-old-2048/hcl-report-snp.bin",
		"azure/tdx-hcl-secureboot-off/hcl-report-tdx.bin"};
	for (size_t i = 0; i < 2; i++) {
		struct vs_buf nv = data_load(files[i]);
		struct vs_hcl hcl;
		struct vs_err err = {0};
		char part[NAME];
		assert_ok(vs_hcl_parse(vs_buf_view(&nv), &hcl, &err), &err);
		struct vs_bytes data = vs_hcl_report_data(&hcl);
		snprintf(part, sizeof part, "%s/report_data", files[i]);
		bytes_part(part, nv.p + (data.p - nv.p), data.n, SAMPLE, accepts_binding, &nv);
		/* What stands before the text says how long it is, what stands behind it is zero.
		 */
		uint8_t *behind = nv.p + (hcl.report.p - nv.p) + VS_SNP_REPORT_BYTES;
		snprintf(part, sizeof part, "%s/runtime", files[i]);
		bytes_part(
			part, behind, (size_t)(nv.p + nv.n - behind), SAMPLE, accepts_binding, &nv);
		vs_buf_done(&nv);
	}
}

/* ---- quotes over other banks ---------------------------------------------------------------- */

/* Not what a machine of ours sends, so only what the attestation key vouches for is asked. */
struct bank {
	struct vs_buf msg, sig;
	struct vs_bytes n;
};

static bool
accepts_bank(void *arg)
{
	const struct bank *b = arg;
	struct vs_tpm_attest a;
	return !vs_failed(vs_tpm_attest_parse(vs_buf_view(&b->msg), &a, NULL)) &&
		a.type == VS_ATTEST_QUOTE &&
		!vs_failed(vs_ev_rsa_verify(
			b->n, 65537, vs_buf_view(&b->msg), vs_buf_view(&b->sig), NULL));
}

static void
quotes_over_other_banks(void **state)
{
	(void)state;
	static const struct {
		const char *quote, *key; /* the key: a set's */
	} cases[] = {{"tcg/gce-cos85-nonce9009/quote-sha1", "tcg/gce-cos85-nonce9009"},
		{"tcg/gce-cos85-nonce9009/quote-sha384", "tcg/gce-cos85-nonce9009"},
		{"boot/on/quote-banks", "boot/on"}, {"boot/off/quote-banks", "boot/off"}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char path[NAME];
		struct bank b = {.msg = {0}};
		for (size_t k = 0; k < n_sets; k++) {
			const struct vs_buf *ak = &sets[k].ev.ak_public_2b;
			if (strcmp(sets[k].name, cases[i].key) == 0)
				b.n = vs_bytes_of(ak->p + ak->n - 256, 256);
		}
		snprintf(path, sizeof path, "%s.sig", cases[i].quote);
		b.sig = data_load(path);
		snprintf(path, sizeof path, "%s.msg", cases[i].quote);
		b.msg = data_load(path);
		bytes_part(path, b.msg.p, b.msg.n, SAMPLE, accepts_bank, &b);
		snprintf(path, sizeof path, "%s.sig", cases[i].quote);
		bytes_part(path, b.sig.p, b.sig.n, SAMPLE, accepts_bank, &b);
		vs_buf_done(&b.msg);
		vs_buf_done(&b.sig);
	}
}

static void
the_written_list_is_exact(void **state)
{
	(void)state;
	bytes_close(100000, 500);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_sets),
		cmocka_unit_test(an_attestation_keys_certificate),
		cmocka_unit_test(runtime_data_without_their_processor),
		cmocka_unit_test(quotes_over_other_banks),
		cmocka_unit_test(the_written_list_is_exact),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
