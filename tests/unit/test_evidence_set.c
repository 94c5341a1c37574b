/* SPDX-License-Identifier: BSD-2-Clause */
/* Whole sets of evidence of Azure machines: accepted as they are, refused when anything is changed.
 */
#include "unit/unit.h"

#include <unistd.h>

#include "base/codec.h"
#include "evidence/check.h"
#include "evidence/data.h"
#include "evidence/ev_crypto.h"
#include "evidence/hcl.h"
#include "evidence/verify.h"

static struct vs_roots roots;

struct set {
	const char *name, *nonce; /* text, or "hex:..." */
	enum vs_user_data_rule user_data;
	const char *failed[3]; /* checks that must fail as the set is */
};

static const struct set sets[] = {
	{"snp-milan-challenge", "challenge", VS_USER_DATA_ANY, {NULL}},
	{"snp-milan-userdata", NULL, VS_USER_DATA_RAW, {NULL}},
	{"snp-milan-no-nonce", "challenge", VS_USER_DATA_ANY, {"nonce in the quote"}},
	{"snp-milan-v2-tcbdiff", "challenge", VS_USER_DATA_ANY, {NULL}},
	{"tdx-challenge", "challenge", VS_USER_DATA_ANY, {NULL}},
};
enum { N_SETS = sizeof sets / sizeof *sets };

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
load(const char *name, struct vs_evidence *ev)
{
	char rel[128], path[512];
	struct vs_err err = {0};
	snprintf(rel, sizeof rel, "azure/%s", name);
	assert_ok(vs_evidence_load(data_path(rel, path, sizeof path), ev, &err), &err);
}

/* The nonce of the second set is 48 bytes of its own; it stands in its expect.json. */
static void
expect(const struct set *s, struct vs_buf *nonce, struct vs_evidence_expect *x)
{
	struct vs_err err = {0};
	if (s->nonce != NULL) {
		assert_ok(vs_buf_add_str(nonce, s->nonce, &err), &err);
	} else {
		char rel[128];
		struct vs_bytes text;
		snprintf(rel, sizeof rel, "azure/%s/expect.json", s->name);
		struct vs_json *j = data_json(rel);
		assert_true(vs_json_bytes(vs_json_path(j, "quote.extraData"), &text));
		assert_ok(vs_hex_decode(text, nonce, &err), &err);
		vs_json_free(j);
	}
	*x = (struct vs_evidence_expect){.at_unix = AT_2026,
		.roots = &roots,
		.nonce = vs_buf_view(nonce),
		.user_data = s->user_data,
		.pcr_mask = 0xFFFFFF,
		.no_transport_key = true};
}

static bool
named(const char *const *list, const char *name)
{
	for (size_t i = 0; i < 3 && list[i] != NULL; i++) {
		if (strcmp(list[i], name) == 0)
			return true;
	}
	return false;
}

static void
captured_sets_conclude_as_expected(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_SETS; i++) {
		struct vs_evidence ev = {0};
		struct vs_evidence_expect x;
		struct vs_verdict v;
		struct vs_err err = {0};
		struct vs_buf nonce = {0};
		load(sets[i].name, &ev);
		expect(&sets[i], &nonce, &x);
		const vs_rc rc = vs_evidence_verify(&ev, &x, &v, &err);
		for (size_t k = 0; k < v.n_checks; k++) {
			if (v.checks[k].passed == named(sets[i].failed, v.checks[k].name))
				fail_msg("%s: \"%s\": expected %s, seen %s", sets[i].name,
					v.checks[k].name, v.checks[k].expected, v.checks[k].seen);
		}
		assert_int_equal(vs_failed(rc), sets[i].failed[0] != NULL);
		assert_int_equal(v.passed, sets[i].failed[0] == NULL);
		assert_true(data_check(&v, "PCR 6 names this machine")->passed);
		assert_true(data_check(&v, "signer's qualified name")->passed);
		vs_buf_done(&nonce);
		vs_evidence_done(&ev);
	}
}

static void
each_expectation_is_enforced(void **state)
{
	(void)state;
	struct vs_evidence ev = {0};
	struct vs_buf nonce = {0};
	struct vs_verdict v;
	struct vs_err err = {0};
	struct vs_evidence_expect good;
	load(sets[0].name, &ev);
	expect(&sets[0], &nonce, &good);
	good.vm_id = "26f8bc30-774e-4290-8e7a-535f3b672aee";
	assert_ok(vs_evidence_verify(&ev, &good, &v, &err), &err);
	for (int i = 0; i < 8; i++) {
		static const char *const names[] = {"nonce in the quote", "nonce in the quote",
			"report is fresh", "PCR selection", "SNP certificate chain",
			"transport key's public area", "event log", "virtual machine"};
		struct vs_evidence_expect x = good;
		struct vs_roots empty = {.amd = {.n = 0}};
		switch (i) {
		case 0: x.nonce = vs_bytes_str("challengE"); break;
		case 1: x.nonce = (struct vs_bytes){NULL, 0}; break;
		case 2: x.user_data = VS_USER_DATA_HASH; break;
		case 3: x.pcr_mask = 0xFF; break;
		case 4: x.roots = &empty; break;
		case 5: x.no_transport_key = false; break;
		case 6: x.require_event_log = true; break;
		case 7: x.vm_id = "26f8bc30-774e-4290-8e7a-535f3b672aef"; break;
		}
		err = (struct vs_err){0};
		assert_code(vs_evidence_verify(&ev, &x, &v, &err), REFUSED_EVIDENCE);
		assert_false(v.passed);
		assert_false(data_check(&v, names[i])->passed);
	}
	struct vs_evidence_expect late = good;
	late.at_unix = 2000000000; /* after the VCEK's end */
	assert_code(vs_evidence_verify(&ev, &late, &v, &err), REFUSED_EVIDENCE);
	vs_buf_done(&nonce);
	vs_evidence_done(&ev);
}

/* ---- lengths; every byte: tests/evidence/test_bytes.c; every mix: test_mixes.c --------------
 */

static void
wrong_lengths_are_refused(void **state)
{
	(void)state;
	struct vs_evidence ev = {0};
	struct vs_evidence_expect x;
	struct vs_buf nonce = {0};
	struct vs_verdict v;
	struct vs_err err = {0};
	load(sets[4].name, &ev);
	expect(&sets[4], &nonce, &x);
	vs_buf_done(&ev.hw_report);
	vs_buf_done(&ev.runtime_json);
	struct vs_buf *parts[] = {&ev.quote, &ev.quote_sig, &ev.hcl, &ev.td_quote};
	for (size_t i = 0; i < 4; i++) {
		const size_t full = parts[i]->n;
		/* Behind the TD quote stands padding. */
		const size_t end = i == 3 ? full - 71 : full;
		for (size_t n = 0; n < end; n += i < 2 ? 1 : 31) {
			/* Padding of the report may be missing: all that follows are zeros. */
			if (i == 2 && n >= 2437)
				break;
			parts[i]->n = n;
			assert_code(vs_evidence_verify(&ev, &x, &v, &err), REFUSED_EVIDENCE);
		}
		parts[i]->n = full;
	}
	assert_ok(vs_evidence_verify(&ev, &x, &v, &err), &err);
	assert_ok(vs_buf_add_u8(&ev.quote, 0, &err), &err);
	assert_code(vs_evidence_verify(&ev, &x, &v, &err), REFUSED_EVIDENCE);
	vs_buf_done(&nonce);
	vs_evidence_done(&ev);
}

/* ---- parts of others
 * ----------------------------------------------------------------------------- */

static void
swap_bufs(struct vs_buf *a, struct vs_buf *b)
{
	const struct vs_buf t = *a;
	*a = *b;
	*b = t;
}

static void
copies_that_differ_from_the_report_are_refused(void **state)
{
	(void)state;
	struct vs_evidence ev = {0};
	struct vs_evidence_expect x;
	struct vs_buf nonce = {0};
	struct vs_verdict v;
	struct vs_err err = {0};
	load(sets[0].name, &ev);
	expect(&sets[0], &nonce, &x);
	ev.runtime_json.p[5] ^= 1;
	assert_code(vs_evidence_verify(&ev, &x, &v, &err), REFUSED_EVIDENCE);
	assert_false(data_check(&v, "copies of the report")->passed);
	ev.runtime_json.p[5] ^= 1;
	ev.tee = VS_TEE_TDX;
	assert_code(vs_evidence_verify(&ev, &x, &v, &err), REFUSED_EVIDENCE);
	vs_buf_done(&nonce);
	vs_evidence_done(&ev);
}

/* ---- odd machines --------------------------------------------------------------------------- */

static void
the_oldest_report_is_bound_but_not_of_the_chip_of_that_certificate(void **state)
{
	(void)state;
	struct vs_buf nv = data_load("azure/snp-hcl-old-2048/hcl-report-snp.bin");
	struct vs_evidence ev = {0};
	struct vs_evidence_expect x;
	struct vs_buf nonce = {0};
	struct vs_verdict v;
	struct vs_runtime rt;
	struct vs_hcl hcl;
	struct vs_err err = {0};
	assert_ok(vs_hcl_parse(vs_buf_view(&nv), &hcl, &err), &err);
	assert_ok(vs_hcl_check_binding(&hcl, &err), &err);
	assert_ok(vs_runtime_parse(hcl.json, &rt, &err), &err);
	assert_false(rt.has_user_data);
	assert_int_equal(rt.ak_n_bytes, 256);
	/* A quote with the right nonce, by a key that is not this machine's. */
	load(sets[0].name, &ev);
	vs_buf_done(&ev.hw_report);
	vs_buf_done(&ev.runtime_json);
	swap_bufs(&ev.hcl, &nv);
	vs_buf_done(&ev.vcek_chain_pem);
	ev.vcek_chain_pem = data_load("azure/snp-hcl-old-2048/certs.pem");
	expect(&sets[0], &nonce, &x);
	assert_code(vs_evidence_verify(&ev, &x, &v, &err), REFUSED_EVIDENCE);
	assert_true(data_check(&v, "runtime data binding")->passed);
	assert_true(data_check(&v, "SNP certificate chain")->passed);
	assert_false(data_check(&v, "SNP chip")->passed);
	assert_false(data_check(&v, "SNP report signature")->passed);
	assert_false(data_check(&v, "quote's signature")->passed);
	vs_buf_done(&nv);
	vs_buf_done(&nonce);
	vs_evidence_done(&ev);
}

static void
secure_boot_off_in_the_hardware_report_is_refused(void **state)
{
	(void)state;
	struct vs_buf nv = data_load("azure/tdx-hcl-secureboot-off/hcl-report-tdx.bin");
	struct vs_evidence ev = {0};
	struct vs_evidence_expect x;
	struct vs_buf nonce = {0};
	struct vs_verdict v;
	struct vs_err err = {0};
	load(sets[4].name, &ev);
	vs_buf_done(&ev.hw_report);
	vs_buf_done(&ev.runtime_json);
	swap_bufs(&ev.hcl, &nv);
	expect(&sets[4], &nonce, &x);
	assert_code(vs_evidence_verify(&ev, &x, &v, &err), REFUSED_EVIDENCE);
	assert_true(data_check(&v, "runtime data binding")->passed);
	assert_false(data_check(&v, "Secure Boot in the runtime data")->passed);
	assert_false(data_check(&v, "TD quote is of this TD report")->passed);
	vs_buf_done(&nv);
	vs_buf_done(&nonce);
	vs_evidence_done(&ev);
}

static void
a_foreign_quote_fits_no_machine(void **state)
{
	(void)state;
	struct vs_buf quote = data_load("azure/foreign-quote/tpm-quote.msg");
	struct vs_buf sig = data_load("azure/foreign-quote/tpm-quote.sig");
	for (size_t i = 0; i < N_SETS; i++) {
		struct vs_evidence ev = {0};
		struct vs_runtime rt;
		struct vs_err err = {0};
		load(sets[i].name, &ev);
		assert_ok(vs_runtime_parse(vs_buf_view(&ev.runtime_json), &rt, &err), &err);
		const struct vs_bytes n = {rt.ak_n, rt.ak_n_bytes};
		assert_code(
			vs_ev_rsa_verify(n, rt.ak_e, vs_buf_view(&quote), vs_buf_view(&sig), &err),
			REFUSED_EVIDENCE);
		assert_ok(vs_ev_rsa_verify(n, rt.ak_e, vs_buf_view(&ev.quote),
				  vs_buf_view(&ev.quote_sig), &err),
			&err);
		vs_evidence_done(&ev);
	}
	vs_buf_done(&quote);
	vs_buf_done(&sig);
}

/* A Trusted Launch machine whose guest made its own key: quote good, certificate for another key.
 */
static void
a_key_that_the_guest_made_is_refused_by_the_platform_certificate(void **state)
{
	(void)state;
	struct vs_buf der = data_load("azure/trusted-launch-inguest-ak/akcert_0x01C101D0.der");
	struct vs_ev_cert *cert = NULL;
	struct vs_buf n = {0};
	struct vs_err err = {0};
	struct vs_verdict good = {.n_checks = 0}, other = {.n_checks = 0}, late = {.n_checks = 0};
	assert_ok(vs_ev_cert_der(vs_buf_view(&der), &cert, &err), &err);
	assert_ok(vs_ev_cert_rsa_n(cert, &n, &err), &err);
	assert_ok(vs_akcert_check(vs_buf_view(&der), vs_buf_view(&n), &roots, NULL, AT_2026, true,
			  &good, &err),
		&err);
	vs_check_finish(&good);
	data_print(&good);
	assert_true(good.passed);
	n.p[100] ^= 1;
	assert_ok(vs_akcert_check(vs_buf_view(&der), vs_buf_view(&n), &roots, NULL, AT_2026, true,
			  &other, &err),
		&err);
	assert_false(data_check(&other, "AK certificate's key")->passed);
	assert_ok(vs_akcert_check(vs_buf_view(&der), vs_buf_view(&n), &roots, NULL, 1900000000,
			  true, &late, &err),
		&err);
	assert_false(data_check(&late, "AK certificate chain")->passed);
	/* No certificate of this vendor is for attestation keys but that one. */
	struct vs_verdict ca = {.n_checks = 0};
	struct vs_buf pem = data_load("../../../conf/roots/amd-ark.pem");
	assert_ok(vs_akcert_check(vs_buf_view(&pem), vs_buf_view(&n), &roots, NULL, AT_2026, true,
			  &ca, &err),
		&err);
	assert_false(data_check(&ca, "AK certificate")->passed);
	vs_buf_done(&pem);
	vs_ev_cert_free(cert);
	vs_buf_done(&n);
	vs_buf_done(&der);
}

static void
without_a_hardware_report_a_machine_is_not_confidential(void **state)
{
	(void)state;
	struct vs_evidence ev = {0};
	struct vs_evidence_expect x;
	struct vs_buf nonce = {0};
	struct vs_verdict v;
	struct vs_err err = {0};
	load(sets[0].name, &ev);
	vs_buf_done(&ev.hcl);
	expect(&sets[0], &nonce, &x);
	assert_code(vs_evidence_verify(&ev, &x, &v, &err), REFUSED_EVIDENCE);
	assert_false(data_check(&v, "kind of machine")->passed);
	/* Allowed, it still needs the key and its certificate. */
	x.allow_trusted_launch = true;
	assert_code(vs_evidence_verify(&ev, &x, &v, &err), REFUSED_EVIDENCE);
	assert_true(data_check(&v, "kind of machine")->passed);
	assert_false(data_check(&v, "AK certificate")->passed);
	/* Which machine it is stands in the report alone: asked for, it is not passed over. */
	x.vm_id = "26f8bc30-774e-4290-8e7a-535f3b672aee";
	assert_code(vs_evidence_verify(&ev, &x, &v, &err), REFUSED_EVIDENCE);
	assert_false(data_check(&v, "virtual machine")->passed);
	vs_buf_done(&nonce);
	vs_evidence_done(&ev);
}

/* What was seen may be foreign text of any length: the words stay text, or JSON would lack them. */
static void
a_check_says_text_wherever_it_is_cut(void **state)
{
	(void)state;
	struct vs_verdict v = {.n_checks = 0};
	char euros[400];
	for (size_t i = 0; i + 3 < sizeof euros; i += 3)
		memcpy(euros + i, "\xe2\x82\xac", 4);
	for (int pad = 0; pad < 4; pad++)
		vs_check_add(
			&v, "R", "name", false, euros + 3 * (size_t)pad, "%*s%s", pad, "", euros);
	for (size_t i = 0; i < v.n_checks; i++) {
		assert_true(vs_utf8_ok(vs_bytes_str(v.checks[i].seen)));
		assert_true(vs_utf8_ok(vs_bytes_str(v.checks[i].expected)));
	}
}

static void
runtime_data_are_read_strictly(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"",
		"[]",
		"{}",
		"{\"keys\":{}}",
		"{\"keys\":[],\"keys\":[]}",
		"{\"keys\":[{\"kid\":\"HCLAkPub\",\"kty\":\"EC\"}]}",
		"{\"keys\":[{\"kid\":\"HCLAkPub\",\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"AAAA\"}]}",
		"{\"keys\":[],\"user-data\":\"0\"}",
		"{\"keys\":[],\"user-data\":\"zz\"}",
		"{\"keys\":[],\"user-data\":1}",
		"{\"keys\":[],\"vm-configuration\":{\"vmUniqueId\":\"x\"}}",
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct vs_runtime rt;
		struct vs_err err = {0};
		assert_code(vs_runtime_parse(vs_bytes_str(bad[i]), &rt, &err), FORMAT);
	}
	static const char *const ids[] = {
		"00000000-0000-4000-8000-00000000000g",
		"0000000000000-4000-8000-000000000000",
		"00000000-0000-4000-8000-00000000000",
	};
	for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
		char json[128];
		struct vs_runtime rt;
		snprintf(json, sizeof json,
			"{\"keys\":[],\"vm-configuration\":{\"vmUniqueId\":\"%s\"}}", ids[i]);
		assert_code(vs_runtime_parse(vs_bytes_str(json), &rt, NULL), FORMAT);
	}
	/* A string where a boolean belongs says nothing. */
	struct vs_runtime rt;
	struct vs_err err = {0};
	assert_ok(vs_runtime_parse(
			  vs_bytes_str(
				  "{\"keys\":[],\"vm-configuration\":{\"secure-boot\":\"true\"}}"),
			  &rt, &err),
		&err);
	assert_int_equal(rt.secure_boot, VS_UNKNOWN);
}

static void
sets_are_saved_and_loaded_again(void **state)
{
	(void)state;
	char dir[] = "/tmp/vs-saved.XXXXXX", path[64], line[96];
	struct vs_evidence a = {0}, b = {0};
	struct vs_err err = {0};
	load(sets[4].name, &a);
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/set", dir);
	assert_ok(vs_evidence_save(path, &a, &err), &err);
	assert_code(vs_evidence_save(path, &a, &err), FILE);
	assert_ok(vs_evidence_load(path, &b, &err), &err);
	assert_true(vs_bytes_eq(vs_buf_view(&a.hcl), vs_buf_view(&b.hcl)));
	assert_true(vs_bytes_eq(vs_buf_view(&a.td_quote), vs_buf_view(&b.td_quote)));
	assert_memory_equal(a.pcr, b.pcr, sizeof a.pcr);
	assert_int_equal(a.pcr_mask, b.pcr_mask);
	vs_evidence_done(&b);
	snprintf(line, sizeof line, "%s/pcrs.sha256", path);
	static const char *const bad[] = {"0 00\n", "24 %064d\n", "x\n", "0 %064d\n0 %064d\n"};
	for (size_t i = 0; i < 4; i++) {
		FILE *f = fopen(line, "w");
		char hex[65];
		memset(hex, '0', 64);
		hex[64] = '\0';
		if (i == 0 || i == 2)
			fputs(bad[i], f);
		else if (i == 1)
			fprintf(f, "24 %s\n", hex);
		else
			fprintf(f, "0 %s\n0 %s\n", hex, hex);
		fclose(f);
		assert_code(vs_evidence_load(path, &b, &err), FORMAT);
	}
	static const char *const files[] = {
		"quote.msg", "quote.sig", "hcl.bin", "td_quote.bin", "nonce.bin", "pcrs.sha256"};
	for (size_t i = 0; i < 6; i++) {
		snprintf(line, sizeof line, "%s/%s", path, files[i]);
		assert_int_equal(unlink(line), 0);
	}
	assert_code(vs_evidence_load(path, &b, &err), CONFIG_FILE);
	rmdir(path);
	rmdir(dir);
	vs_evidence_done(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(captured_sets_conclude_as_expected),
		cmocka_unit_test(each_expectation_is_enforced),
		cmocka_unit_test(wrong_lengths_are_refused),
		cmocka_unit_test(copies_that_differ_from_the_report_are_refused),
		cmocka_unit_test(
			the_oldest_report_is_bound_but_not_of_the_chip_of_that_certificate),
		cmocka_unit_test(secure_boot_off_in_the_hardware_report_is_refused),
		cmocka_unit_test(a_foreign_quote_fits_no_machine),
		cmocka_unit_test(a_key_that_the_guest_made_is_refused_by_the_platform_certificate),
		cmocka_unit_test(without_a_hardware_report_a_machine_is_not_confidential),
		cmocka_unit_test(a_check_says_text_wherever_it_is_cut),
		cmocka_unit_test(runtime_data_are_read_strictly),
		cmocka_unit_test(sets_are_saved_and_loaded_again),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
