/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The provider and local verification against the lab's machine: an honest one is accepted, and
 * each thing that an attacker at its console can do is refused by the check that is about it.
 */
#include "unit/unit.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/codec.h"
#include "base/file.h"
#include "evidence/data.h"
#include "evidence/ev_azguest.h"
#include "evidence/ev_crypto.h"
#include "evidence/swtpm.h"
#include "evidence/verify.h"
#include "lab/lab_roots.h"
#include "lab_fixture.h"
#include "unit/pkikit.h"

static struct fixture fx;
static struct vs_roots roots;

static void
add_lab_cert(X509 *x, struct vs_ev_certs *to)
{
	struct vs_buf der = {0};
	struct vs_ev_cert *cert = NULL;
	struct vs_err err = {0};
	assert_ok(lab_hwcert_der(x, &der, &err), &err);
	assert_ok(vs_ev_cert_der(vs_buf_view(&der), &cert, &err), &err);
	assert_ok(vs_ev_certs_add(to, cert, &err), &err);
	vs_buf_done(&der);
}

/* What the metadata service says; the evidence gets VCEK and chain as one PEM text. */
static void
add_chain(struct lab_machine *m, struct vs_evidence *ev)
{
	struct vs_buf text = {0};
	struct vs_json *j = NULL;
	struct vs_err err = {0};
	const char *vcek = NULL, *chain = NULL;
	assert_ok(lab_machine_thim(m, &text, &err), &err);
	assert_ok(vs_json_load_object(vs_buf_view(&text), 1 << 20, "THIM", &j, &err), &err);
	assert_true(vs_json_string(vs_json_get(j, "vcekCert"), &vcek));
	assert_true(vs_json_string(vs_json_get(j, "certificateChain"), &chain));
	vs_buf_reset(&ev->vcek_chain_pem);
	assert_ok(vs_buf_add_str(&ev->vcek_chain_pem, vcek, &err), &err);
	assert_ok(vs_buf_add_str(&ev->vcek_chain_pem, chain, &err), &err);
	vs_json_free(j);
	vs_buf_done(&text);
}

static const char *ima_log; /* NULL: not asked for */

static vs_rc
collect(struct lab_machine *m, int64_t ms, struct vs_evidence *ev, struct vs_err *err)
{
	const struct vs_clock clock = vs_clock_system();
	const struct vs_rng rng = vs_rng_system();
	const struct vs_azguest_env env = {.tcti = lab_machine_tcti(m),
		.event_log = lab_machine_event_log(m),
		.ima_log = ima_log,
		.clock = clock,
		.rng = rng};
	struct vs_evidence_src src;
	uint8_t nonce[VS_NONCE_BYTES];
	VS_TRY(rng.ops->fill(rng.self, nonce, sizeof nonce, err));
	VS_TRY(vs_azguest_open(&env, &src, err));
	const vs_rc rc = src.ops->collect(
		src.self, nonce, clock.ops->boot_ns(clock.self) + ms * 1000000, ev, err);
	src.ops->close(src.self);
	if (!vs_failed(rc))
		add_chain(m, ev);
	return rc;
}

static struct vs_evidence_expect
expectations(const struct vs_evidence *ev)
{
	return (struct vs_evidence_expect){.at_unix = vs_clock_system().ops->wall_unix(NULL),
		.roots = &roots,
		.nonce = vs_bytes_of(ev->nonce, sizeof ev->nonce),
		.pcr_mask = 0xFF,
		.require_event_log = true,
		.vm_id = fx.lab.vm_id};
}

static void
an_honest_machine_is_accepted(void **state)
{
	(void)state;
	struct vs_evidence ev = {0};
	struct vs_verdict v;
	struct vs_err err = {0};
	assert_ok(collect(fx.lab.machine, 20000, &ev, &err), &err);
	const struct vs_evidence_expect x = expectations(&ev);
	const vs_rc rc = vs_evidence_verify(&ev, &x, &v, &err);
	data_print(&v);
	assert_ok(rc, &err);
	assert_true(v.n_checks > 35);
	static const char *const made[] = {"report is fresh", "SNP report signature",
		"SNP certificate chain", "AK certificate chain", "quote's signature",
		"transport key's policy", "certified name", "event log explains the PCRs",
		"Secure Boot: log and hardware agree", "PCR 6 names this machine"};
	for (size_t i = 0; i < sizeof made / sizeof *made; i++)
		assert_true(data_check(&v, made[i])->passed);
	vs_evidence_done(&ev);
}

static void
a_lab_machine_is_nothing_to_the_production_roots(void **state)
{
	(void)state;
	struct vs_evidence ev = {0};
	struct vs_verdict v;
	struct vs_err err = {0};
	struct vs_roots production = {.amd = {.n = 0}};
	assert_ok(vs_roots_production(&production, &err), &err);
	assert_ok(collect(fx.lab.machine, 20000, &ev, &err), &err);
	struct vs_evidence_expect x = expectations(&ev);
	x.roots = &production;
	assert_code(vs_evidence_verify(&ev, &x, &v, &err), REFUSED_EVIDENCE);
	assert_false(data_check(&v, "SNP certificate chain")->passed);
	vs_roots_done(&production);
	vs_evidence_done(&ev);
}

/* Another genuine machine of the same cloud, asked with our nonce. */
static void
evidence_of_another_machine_is_refused(void **state)
{
	(void)state;
	struct vs_evidence a = {0}, b = {0};
	struct vs_verdict v;
	struct vs_err err = {0};
	fixture_start_beside(&fx);
	assert_ok(collect(fx.lab.machine, 20000, &a, &err), &err);
	assert_ok(collect(fx.beside, 20000, &b, &err), &err);
	struct vs_evidence_expect x = expectations(&b);
	assert_code(vs_evidence_verify(&b, &x, &v, &err), REFUSED_EVIDENCE);
	assert_false(data_check(&v, "virtual machine")->passed);
	x.vm_id = NULL;
	assert_ok(vs_evidence_verify(&b, &x, &v, &err), &err);
	/* Its report with our quote, its transport key with ours. */
	x = expectations(&a);
	struct vs_buf *const parts[][2] = {{&a.hcl, &b.hcl}, {&a.quote, &b.quote},
		{&a.enc_public_2b, &b.enc_public_2b}, {&a.enc_certify, &b.enc_certify},
		{&a.enc_certify_sig, &b.enc_certify_sig}, {&a.ak_cert, &b.ak_cert},
		{&a.ak_public_2b, &b.ak_public_2b}, {&a.enc_n, &b.enc_n},
		{&a.vcek_chain_pem, &b.vcek_chain_pem}, {&a.runtime_json, &b.runtime_json}};
	assert_ok(vs_evidence_verify(&a, &x, &v, &err), &err);
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		const struct vs_buf t = *parts[i][0];
		*parts[i][0] = *parts[i][1];
		*parts[i][1] = t;
		if (vs_evidence_verify(&a, &x, &v, &err).code != VS_E_REFUSED_EVIDENCE)
			fail_msg("part %zu of another machine is accepted", i);
		*parts[i][1] = *parts[i][0];
		*parts[i][0] = t;
	}
	/* The whole transport key of the other one, with its certification. */
	for (size_t i = 2; i < 5; i++) {
		const struct vs_buf t = *parts[i][0];
		*parts[i][0] = *parts[i][1];
		*parts[i][1] = t;
	}
	assert_code(vs_evidence_verify(&a, &x, &v, &err), REFUSED_EVIDENCE);
	assert_false(data_check(&v, "transport key's certification")->passed);
	vs_evidence_done(&a);
	vs_evidence_done(&b);
}

/* A transport key of this very TPM, but without the policy: certified, and refused. */
static void
any_changed_byte_of_the_transport_key_is_refused(void **state)
{
	(void)state;
	struct vs_evidence ev = {0};
	struct vs_verdict v;
	struct vs_err err = {0};
	assert_ok(collect(fx.lab.machine, 20000, &ev, &err), &err);
	const struct vs_evidence_expect x = expectations(&ev);
	struct vs_buf *const parts[] = {&ev.enc_public_2b, &ev.enc_certify, &ev.enc_certify_sig,
		&ev.enc_n, &ev.ak_public_2b};
	for (size_t i = 0; i < 5; i++) {
		for (size_t at = 0; at < parts[i]->n; at++) {
			parts[i]->p[at] ^= 0x41;
			if (vs_evidence_verify(&ev, &x, &v, &err).code != VS_E_REFUSED_EVIDENCE)
				fail_msg("byte %zu of part %zu", at, i);
			parts[i]->p[at] ^= 0x41;
		}
	}
	vs_evidence_done(&ev);
}

static void
each_tampering_is_refused_by_its_check(void **state)
{
	(void)state;
	static const struct {
		const char *words, *check; /* NULL: collect itself refuses, the evidence is stale */
	} cases[] = {
		{"pcr 4", "event log explains the PCRs"},
		{"pcr 7", "event log explains the PCRs"},
		{"secure-boot off", "Secure Boot in the runtime data"},
		{"secure-boot off", "Secure Boot in the event log"},
		{"ak", "attestation key of this TPM"},
		{"ak", "quote's signature"},
		{"ak unrestricted", "attestation key is restricted"},
		{"ak uncertified", "attestation key of this TPM"},
		{"debug-bit", "SNP debug"},
		{"stale-report", NULL},
		{"foreign-report", "virtual machine"},
		{"event-log data", "Secure Boot in the event log"},
		{"event-log digest", "event log explains the PCRs"},
		{"event-log drop", "event log explains the PCRs"},
		{"ak-cert", "AK certificate's key"},
		{"ak-cert-foreign", "AK certificate chain"},
		{"vcek", "SNP report signature"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct vs_evidence ev = {0};
		struct vs_verdict v = {.n_checks = 0};
		struct vs_err err = {0};
		fixture_tamper(&fx, cases[i].words);
		vs_rc rc =
			collect(fx.lab.machine, cases[i].check != NULL ? 20000 : 1500, &ev, &err);
		if (cases[i].check == NULL) {
			assert_code(rc, EVIDENCE_STALE);
		} else {
			assert_ok(rc, &err);
			const struct vs_evidence_expect x = expectations(&ev);
			rc = vs_evidence_verify(&ev, &x, &v, &err);
			if (rc.code != VS_E_REFUSED_EVIDENCE ||
				data_check(&v, cases[i].check)->passed) {
				data_print(&v);
				fail_msg("%s: %s, not refused by \"%s\"", cases[i].words,
					vs_code_name(rc.code), cases[i].check);
			}
		}
		vs_evidence_done(&ev);
		fixture_tamper(&fx, "undo");
	}
	struct vs_evidence ev = {0};
	struct vs_verdict v;
	struct vs_err err = {0};
	assert_ok(collect(fx.lab.machine, 20000, &ev, &err), &err);
	const struct vs_evidence_expect x = expectations(&ev);
	assert_ok(vs_evidence_verify(&ev, &x, &v, &err), &err);
	vs_evidence_done(&ev);
}

/* What the processors' maker says of its own certificates, on a whole machine. */
static void
a_revoked_certificate_of_the_processors_maker_is_refused(void **state)
{
	(void)state;
	const struct lab_roots *r = lab_machine_roots(fx.lab.machine);
	const struct pki ark = {.x = r->ark.cert, .key = r->ark.key};
	const long ask = ASN1_INTEGER_get(X509_get0_serialNumber(r->ask.cert));
	const int64_t now = vs_clock_system().ops->wall_unix(NULL);
	const struct {
		struct pki_crl crl;
		bool passed;
	} cases[] = {
		{{.issuer = &ark, .at = now, .pss = true}, true},
		{{.issuer = &ark, .at = now, .pss = true, .serials = {ask}}, false},
		{{.issuer = &ark, .at = now, .pss = true, .from = -99, .until = -9}, false},
		{{.issuer = &ark, .at = now, .pss = true, .sign_with = r->vtpm_root.key}, false},
	};
	struct vs_evidence ev = {0};
	struct vs_verdict v;
	struct vs_err err = {0};
	assert_ok(collect(fx.lab.machine, 20000, &ev, &err), &err);
	struct vs_evidence_expect x = expectations(&ev);
	x.collateral_required = true;
	assert_code(vs_evidence_verify(&ev, &x, &v, &err), REFUSED_EVIDENCE);
	assert_false(data_check(&v, "SNP certificate revocation")->passed);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		VS_CLEANUP(vs_collateral_done) struct vs_collateral c = {.has = 0};
		pki_add_crl(&cases[i].crl, &c.crls);
		x.collateral = &c;
		const vs_rc rc = vs_evidence_verify(&ev, &x, &v, &err);
		if (!vs_failed(rc) != cases[i].passed)
			fail_msg("case %zu: %s", i, vs_code_name(rc.code));
		assert_int_equal(
			data_check(&v, "SNP certificate revocation")->passed, cases[i].passed);
		/* A list that is there counts, also where none is required. */
		x.collateral_required = false;
		assert_int_equal(
			!vs_failed(vs_evidence_verify(&ev, &x, &v, &err)), cases[i].passed);
		x.collateral_required = true;
	}
	vs_evidence_done(&ev);
}

/* ---- measured files ------------------------------------------------------------------------- */

/* An entry "ima-ng" of this file appended to the list; extended: as the kernel measured it. */
static void
measure(const char *path, bool extended, struct vs_buf *list)
{
	static const char digest[] = "sha256:\0"
				     "0123456789abcdef0123456789abcdef";
	VS_CLEANUP(vs_buf_done) struct vs_buf data = {0};
	struct vs_err err = {0};
	uint8_t hash[32];
	char hex[65], command[256];
	const uint8_t pcr[4] = {10}, name[10] = {6, 0, 0, 0, 'i', 'm', 'a', '-', 'n', 'g'};
	const uint8_t a[4] = {sizeof digest - 1}, b[4] = {(uint8_t)(strlen(path) + 1)};
	assert_ok(vs_buf_add(&data, a, 4, &err), &err);
	assert_ok(vs_buf_add(&data, digest, sizeof digest - 1, &err), &err);
	assert_ok(vs_buf_add(&data, b, 4, &err), &err);
	assert_ok(vs_buf_add(&data, path, strlen(path) + 1, &err), &err);
	const struct vs_bytes view = vs_buf_view(&data);
	const uint8_t n[4] = {(uint8_t)data.n, (uint8_t)(data.n >> 8)};
	assert_ok(vs_ev_hash(VS_HASH_SHA1, &view, 1, hash, &err), &err);
	assert_ok(vs_buf_add(list, pcr, 4, &err), &err);
	assert_ok(vs_buf_add(list, hash, 20, &err), &err);
	assert_ok(vs_buf_add(list, name, sizeof name, &err), &err);
	assert_ok(vs_buf_add(list, n, 4, &err), &err);
	assert_ok(vs_buf_add(list, data.p, data.n, &err), &err);
	if (!extended)
		return;
	struct swtpm t = {.pid = 0};
	assert_ok(vs_ev_sha256(view, hash, &err), &err);
	vs_hex_str(hash, sizeof hash, hex, sizeof hex);
	snprintf(t.direct, sizeof t.direct, "%s", lab_machine_tcti(fx.lab.machine));
	snprintf(command, sizeof command, "tpm2_pcrextend 10:sha256=%s", hex);
	swtpm_sh(&t, command);
}

/* The list is longer than what was quoted, as it is on a machine that lives. */
static void
measured_files_are_held_against_a_quote_of_pcr_10(void **state)
{
	(void)state;
	char path[] = "/tmp/vs-ima.XXXXXX";
	struct vs_buf list = {0};
	struct vs_evidence ev = {0};
	struct vs_verdict v;
	struct vs_err err = {0};
	const struct vs_ev_certs none = {.n = 0};
	const int fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	measure("boot_aggregate", true, &list);
	measure("/bin/a", true, &list);
	measure("/bin/b", true, &list);
	measure("/bin/later", false, &list);
	assert_ok(vs_file_replace(path, 0600, vs_buf_view(&list), &err), &err);
	ima_log = path;
	assert_ok(collect(fx.lab.machine, 20000, &ev, &err), &err);
	ima_log = NULL;
	assert_int_equal(ev.ima_list.n, list.n);
	struct vs_evidence_expect x = expectations(&ev);
	x.ima = VS_IMA_LIST;
	const vs_rc rc = vs_evidence_verify(&ev, &x, &v, &err);
	data_print(&v);
	assert_ok(rc, &err);
	assert_string_equal(data_check(&v, "PCR 10 is the list's")->seen, "3 of 4 entries");
	/* Nobody signed these files. */
	x.ima = VS_IMA_SIGNED;
	x.ima_keys.certs = &none;
	assert_code(vs_evidence_verify(&ev, &x, &v, &err), REFUSED_EVIDENCE);
	assert_false(data_check(&v, "measured files are signed")->passed);
	x.ima = VS_IMA_LIST;
	/*
	 * Every byte of what was quoted; the last entry is not part of it. The name of a template
	 * is covered by no hash: nothing is concluded from it.
	 */
	struct vs_buf *const parts[] = {&ev.ima_list, &ev.ima_quote, &ev.ima_quote_sig};
	const size_t last = list.n - (list.n + 6) / 4;
	for (size_t i = 0; i < 3; i++) {
		for (size_t at = 0; at < (i == 0 ? last : parts[i]->n); at++) {
			const uint8_t *p = parts[i]->p;
			bool name = false;
			for (size_t k = 0; i == 0 && k < 6; k++)
				name = name || (at >= k && memcmp(p + at - k, "ima-ng", 6) == 0);
			parts[i]->p[at] ^= 0x41;
			const vs_rc changed = vs_evidence_verify(&ev, &x, &v, &err);
			if (name ? vs_failed(changed) : changed.code != VS_E_REFUSED_EVIDENCE)
				fail_msg("byte %zu of part %zu", at, i);
			parts[i]->p[at] ^= 0x41;
		}
	}
	for (size_t i = 0; i < 3; i++) {
		const size_t n = parts[i]->n;
		parts[i]->n = 0;
		assert_code(vs_evidence_verify(&ev, &x, &v, &err), REFUSED_EVIDENCE);
		parts[i]->n = n;
	}
	/* The quote of the boot PCRs is genuine, fresh, and not one of PCR 10. */
	struct vs_buf *const quotes[][2] = {
		{&ev.quote, &ev.ima_quote}, {&ev.quote_sig, &ev.ima_quote_sig}};
	for (size_t i = 0; i < 2; i++)
		assert_ok(vs_buf_set(quotes[i][1], quotes[i][0]->p, quotes[i][0]->n, &err), &err);
	assert_code(vs_evidence_verify(&ev, &x, &v, &err), REFUSED_EVIDENCE);
	assert_false(data_check(&v, "quote of PCR 10: selection")->passed);
	vs_evidence_done(&ev);
	vs_buf_done(&list);
	assert_int_equal(unlink(path), 0);
}

static int
set_up(void **state)
{
	(void)state;
	fixture_start(&fx, "evidence");
	const struct lab_roots *r = lab_machine_roots(fx.lab.machine);
	add_lab_cert(r->ark.cert, &roots.amd);
	add_lab_cert(r->ask.cert, &roots.amd_helpers);
	add_lab_cert(r->vtpm_root.cert, &roots.vtpm);
	add_lab_cert(r->vtpm_ca.cert, &roots.vtpm_helpers);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	vs_roots_done(&roots);
	fixture_stop(&fx);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_honest_machine_is_accepted),
		cmocka_unit_test(a_lab_machine_is_nothing_to_the_production_roots),
		cmocka_unit_test(evidence_of_another_machine_is_refused),
		cmocka_unit_test(any_changed_byte_of_the_transport_key_is_refused),
		cmocka_unit_test(a_revoked_certificate_of_the_processors_maker_is_refused),
		cmocka_unit_test(measured_files_are_held_against_a_quote_of_pcr_10),
		cmocka_unit_test(each_tampering_is_refused_by_its_check),
	};
	if (!swtpm_available())
		return 77;
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
