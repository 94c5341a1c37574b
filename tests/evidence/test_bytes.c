/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every byte of captured evidence, flipped in one bit, as 00 and as FF: refused, or on the written
 * list of bytes that no check covers (tests/evidence/uncovered.txt). `make check-bytes` tries all
 * of that and compares the list exactly: a byte that is covered now and stands there is as wrong as
 * one that does not stand there; VS_BYTES=write prints the list as it is. Without VS_BYTES every
 * byte is flipped, every eighth one set to 00 and FF, and what is accepted must stand in the list.
 */
#include "unit/unit.h"

#include "base/codec.h"
#include "base/file.h"
#include "evidence/data.h"
#include "evidence/verify.h"

enum { NAME_MAX_CHARS = 64 };

static struct vs_roots roots;
static struct vs_buf list; /* what was found, as the file has it */
static size_t n_tried, n_accepted;
static bool full, *listed; /* listed: bytes of this part by the file */
static struct vs_buf file;

static int
set_up(void **state)
{
	(void)state;
	list.max = 1 << 20;
	full = getenv("VS_BYTES") != NULL;
	file = data_load("../../evidence/uncovered.txt");
	return vs_failed(vs_roots_production(&roots, NULL));
}

static int
tear_down(void **state)
{
	(void)state;
	vs_roots_done(&roots);
	vs_buf_done(&list);
	vs_buf_done(&file);
	return 0;
}

/* Is the evidence still accepted, or as much of it as was before? */
typedef bool accept_fn(void *arg);

static void
add_range(const char *name, size_t from, size_t to)
{
	struct vs_err err = {0};
	assert_ok(
		vs_buf_addf(&list, &err, from == to ? "%s %zu\n" : "%s %zu-%zu\n", name, from, to),
		&err);
}

/* "name from-to" or "name at" */
static void
read_listed(const char *name, size_t n)
{
	const size_t name_n = strlen(name);
	listed = calloc(n, sizeof *listed);
	assert_non_null(listed);
	for (const char *p = vs_buf_cstr(&file); *p != '\0';) {
		const size_t line = strcspn(p, "\n");
		if (line > name_n && memcmp(p, name, name_n) == 0 && p[name_n] == ' ') {
			char *end = NULL;
			const size_t from = strtoul(p + name_n, &end, 10);
			const size_t to = *end == '-' ? strtoul(end + 1, &end, 10) : from;
			assert_true(from <= to && to < n);
			memset(listed + from, 1, to - from + 1);
		}
		p += line + (p[line] == '\n');
	}
}

static void
try_part(const char *name, void *p, size_t n, accept_fn *accepts, void *arg)
{
	uint8_t *b = p;
	size_t from = n; /* of the open range */
	assert_true(n != 0 && accepts(arg));
	read_listed(name, n);
	for (size_t at = 0; at < n; at++) {
		const uint8_t was = b[at];
		const uint8_t values[] = {was ^ 1, 0x00, 0xFF};
		bool open = false;
		for (size_t k = 0; k < 3 && !open; k++) {
			if (values[k] == was || (!full && k != 0 && at % 8 != 0))
				continue;
			b[at] = values[k];
			open = accepts(arg);
			n_tried++;
		}
		b[at] = was;
		n_accepted += open;
		if (open && !full && !listed[at])
			fail_msg("%s: byte %zu is not covered, and not on the list", name, at);
		if (open && from == n)
			from = at;
		if (!open && from != n) {
			add_range(name, from, at - 1);
			from = n;
		}
	}
	if (from != n)
		add_range(name, from, n - 1);
	free(listed);
	listed = NULL;
	assert_true(accepts(arg));
}

/* ---- whole sets ----------------------------------------------------------------------------- */

struct whole {
	struct vs_evidence ev;
	struct vs_evidence_expect x;
};

static bool
whole_accepts(void *arg)
{
	struct whole *w = arg;
	struct vs_verdict v;
	const vs_rc rc = vs_evidence_verify(&w->ev, &w->x, &v, NULL);
	if (vs_failed(rc) && rc.code != VS_E_REFUSED_EVIDENCE)
		fail_msg("%s", vs_code_name(rc.code));
	return !vs_failed(rc);
}

static void
load_whole(const char *name, struct whole *w)
{
	char rel[128], path[512];
	struct vs_err err = {0};
	snprintf(rel, sizeof rel, "azure/%s", name);
	assert_ok(vs_evidence_load(data_path(rel, path, sizeof path), &w->ev, &err), &err);
	/* Copies beside the report would catch what the report's own checks must catch. */
	vs_buf_done(&w->ev.hw_report);
	vs_buf_done(&w->ev.runtime_json);
	w->x = (struct vs_evidence_expect){.at_unix = AT_2026,
		.roots = &roots,
		.nonce = vs_bytes_str("challenge"),
		.user_data = VS_USER_DATA_ANY,
		.pcr_mask = 0xFFFFFF,
		.no_transport_key = true};
}

static void
try_whole(const char *name)
{
	struct whole w = {.ev = {0}};
	char label[NAME_MAX_CHARS];
	load_whole(name, &w);
	const struct {
		const char *file;
		void *p;
		size_t n;
	} parts[] = {{"quote.msg", w.ev.quote.p, w.ev.quote.n},
		{"quote.sig", w.ev.quote_sig.p, w.ev.quote_sig.n},
		{"pcrs", w.ev.pcr, sizeof w.ev.pcr}, {"hcl.bin", w.ev.hcl.p, w.ev.hcl.n},
		{"vcek.pem", w.ev.vcek_chain_pem.p, w.ev.vcek_chain_pem.n},
		{"td_quote.bin", w.ev.td_quote.p, w.ev.td_quote.n}};
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		snprintf(label, sizeof label, "%s/%s", name, parts[i].file);
		if (parts[i].n != 0)
			try_part(label, parts[i].p, parts[i].n, whole_accepts, &w);
	}
	vs_evidence_done(&w.ev);
}

static void
bytes_of_an_snp_machine(void **state)
{
	(void)state;
	try_whole("snp-milan-challenge");
}

static void
bytes_of_a_tdx_machine(void **state)
{
	(void)state;
	try_whole("tdx-challenge");
}

/* ---- the certificate of an attestation key -------------------------------------------------- */

struct ak {
	struct vs_buf der, n;
};

static bool
ak_accepts(void *arg)
{
	struct ak *ak = arg;
	struct vs_verdict v = {.n_checks = 0};
	struct vs_err err = {0};
	assert_ok(vs_akcert_check(vs_buf_view(&ak->der), vs_buf_view(&ak->n), &roots, NULL, AT_2026,
			  true, &v, &err),
		&err);
	vs_check_finish(&v);
	return v.passed;
}

static void
bytes_of_an_attestation_keys_certificate(void **state)
{
	(void)state;
	struct ak ak = {.der = data_load("azure/trusted-launch-inguest-ak/akcert_0x01C101D0.der")};
	struct vs_ev_cert *cert = NULL;
	struct vs_err err = {0};
	assert_ok(vs_ev_cert_der(vs_buf_view(&ak.der), &cert, &err), &err);
	assert_ok(vs_ev_cert_rsa_n(cert, &ak.n, &err), &err);
	vs_ev_cert_free(cert);
	try_part("trusted-launch-inguest-ak/akcert.der", ak.der.p, ak.der.n, ak_accepts, &ak);
	vs_buf_done(&ak.der);
	vs_buf_done(&ak.n);
}

/* ---- event log ------------------------------------------------------------------------------ */

/* A machine of another cloud: all but its attestation key's certificate is as ours. */
static bool
log_accepts(void *arg)
{
	struct whole *w = arg;
	struct vs_verdict v;
	(void)!vs_evidence_verify(&w->ev, &w->x, &v, NULL).code;
	for (size_t i = 0; i < v.n_checks; i++) {
		const struct vs_check *c = &v.checks[i];
		if (!c->passed && strncmp(c->name, "AK certificate", 14) != 0)
			return false;
	}
	return data_check(&v, "event log explains the PCRs")->passed &&
		data_check(&v, "Secure Boot in the event log")->passed;
}

static void
read_pcrs(const char *path, struct vs_evidence *ev)
{
	struct vs_buf text = data_load(path);
	const char *p = vs_buf_cstr(&text);
	for (char *end = NULL; *p != '\0'; p = strchr(p, '\n') + 1) {
		const unsigned long i = strtoul(p, &end, 10);
		VS_CLEANUP(vs_buf_done) struct vs_buf value = {.max = 32};
		assert_true(i < VS_PCRS_MAX && *end == ' ');
		assert_false(vs_failed(vs_hex_decode(vs_bytes_of(end + 1, 64), &value, NULL)));
		memcpy(ev->pcr[i], value.p, 32);
		ev->pcr_mask |= 1U << i;
	}
	vs_buf_done(&text);
}

static void
bytes_of_an_event_log(void **state)
{
	(void)state;
	static const uint8_t nonce[] = {0x90, 0x09};
#define GCE "tcg/gce-cos85-nonce9009/"
	struct whole w = {.ev = {.tee = VS_TEE_TRUSTED_LAUNCH}};
	struct vs_buf ak = data_load(GCE "ak.tpmt");
	struct vs_err err = {0};
	w.ev.event_log = data_load(GCE "eventlog.bin");
	w.ev.quote = data_load(GCE "quote-sha256.msg");
	w.ev.quote_sig = data_load(GCE "quote-sha256.sig");
	w.ev.ak_cert = data_load(GCE "akcert.der");
	read_pcrs(GCE "pcrs.sha256", &w.ev);
	assert_ok(vs_buf_add_be16(&w.ev.ak_public_2b, (uint16_t)ak.n, &err), &err);
	assert_ok(vs_buf_add(&w.ev.ak_public_2b, ak.p, ak.n, &err), &err);
	w.x = (struct vs_evidence_expect){.at_unix = AT_2026,
		.roots = &roots,
		.nonce = vs_bytes_of(nonce, sizeof nonce),
		.pcr_mask = w.ev.pcr_mask,
		.allow_trusted_launch = true,
		.no_transport_key = true,
		.require_event_log = true};
	try_part("gce-cos85-nonce9009/eventlog.bin", w.ev.event_log.p, w.ev.event_log.n,
		log_accepts, &w);
	vs_buf_done(&ak);
	vs_evidence_done(&w.ev);
}

/* ---- the list ------------------------------------------------------------------------------- */

/* Lines that begin with # say why. */
static void
the_written_list_of_uncovered_bytes_is_exact(void **state)
{
	(void)state;
	VS_CLEANUP(vs_buf_done) struct vs_buf bare = {.max = 1 << 20};
	struct vs_err err = {0};
	for (const char *p = vs_buf_cstr(&file); *p != '\0';) {
		const size_t n = strcspn(p, "\n");
		if (*p != '#' && n != 0)
			assert_ok(vs_buf_addf(&bare, &err, "%.*s\n", (int)n, p), &err);
		p += n + (p[n] == '\n');
	}
	print_message("%zu changes tried, %zu bytes uncovered\n", n_tried, n_accepted);
	assert_true(n_tried > (full ? 80000 : 30000));
	if (!full)
		return;
	if (strcmp(getenv("VS_BYTES"), "write") == 0)
		printf("%s", vs_buf_cstr(&list));
	if (!vs_bytes_eq(vs_buf_view(&bare), vs_buf_view(&list)))
		fail_msg("tests/evidence/uncovered.txt is not the list of uncovered bytes; see "
			 "VS_BYTES=write");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_of_an_snp_machine),
		cmocka_unit_test(bytes_of_a_tdx_machine),
		cmocka_unit_test(bytes_of_an_attestation_keys_certificate),
		cmocka_unit_test(bytes_of_an_event_log),
		cmocka_unit_test(the_written_list_of_uncovered_bytes_is_exact),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
