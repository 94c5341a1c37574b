/* SPDX-License-Identifier: BSD-2-Clause */
#include "evidence/sets.h"

#include "unit/unit.h"

#include "base/codec.h"
#include "evidence/hcl.h"

#define GCE "tcg/gce-cos85-nonce9009/"

static struct vs_roots azure, gce;

static const char *const as_it_should[] = {NULL};
static const char *const stale[] = {"nonce in the quote", NULL};
/* Of another cloud, whose certificates do not say what they are for. */
static const char *const other_cloud[] = {"AK certificate's use", NULL};
static const char *const other_cloud_stale[] = {"AK certificate's use", "nonce in the quote", NULL};
/* Its own key quoted; the platform's certificate is for another one. */
static const char *const own_key[] = {"AK certificate's key", NULL};
static const char *const no_certificate[] = {"AK certificate", NULL};
/* A quote of a machine of which nothing else is known but its attestation key. */
static const char *const nothing_but_the_key[] = {"AK certificate", NULL};

static void load_azure(const char *name, struct set *s);
static void load_own_key(const char *name, struct set *s);
static void load_gce(const char *name, struct set *s);
static void load_boot(const char *name, struct set *s);
static void load_swtpm(const char *name, struct set *s);
static void load_bincode(const char *name, struct set *s);

static const struct {
	const char *name;
	void (*load)(const char *name, struct set *s);
	const char *nonce; /* NULL: the loader's */
	enum vs_user_data_rule user_data;
	uint32_t pcr_mask;
	bool confidential, log;
	const char *const *failed;
} table[] = {
	{"azure/snp-milan-challenge", load_azure, "challenge", VS_USER_DATA_ANY, 0xFFFFFF, true,
		false, as_it_should},
	{"azure/snp-milan-userdata", load_azure, NULL, VS_USER_DATA_RAW, 0xFFFFFF, true, false,
		as_it_should},
	{"azure/snp-milan-no-nonce", load_azure, "challenge", VS_USER_DATA_ANY, 0xFFFFFF, true,
		false, stale},
	{"azure/snp-milan-v2-tcbdiff", load_azure, "challenge", VS_USER_DATA_ANY, 0xFFFFFF, true,
		false, as_it_should},
	{"azure/tdx-challenge", load_azure, "challenge", VS_USER_DATA_ANY, 0xFFFFFF, true, false,
		as_it_should},
	{"azure/trusted-launch-inguest-ak", load_own_key, NULL, VS_USER_DATA_ANY, 0xFF, false,
		false, own_key},
	{"azure/snp-hcl-old-2048", load_bincode, "challenge", VS_USER_DATA_ANY, 0xFFFFFF, false,
		false, nothing_but_the_key},
	{"tcg/gce-cos85-nonce9009", load_gce, "\x90\x09", VS_USER_DATA_ANY, 0xFFFFFF, false, true,
		other_cloud},
	{"tcg/gce-cos85-no-nonce", load_gce, "\x90\x09", VS_USER_DATA_ANY, 0xFFFFFF, false, true,
		other_cloud_stale},
	{"boot/on", load_boot, NULL, VS_USER_DATA_ANY, 0xFF, false, true, no_certificate},
	{"boot/off", load_boot, NULL, VS_USER_DATA_ANY, 0xFF, false, true, no_certificate},
	{"tpm/swtpm-trustee", load_swtpm, NULL, VS_USER_DATA_ANY, 0xFFFFFF, false, false,
		no_certificate},
};
#define N (sizeof table / sizeof *table)
_Static_assert(N <= SETS_MAX, "sets");

static void
load_folder(const char *name, struct set *s)
{
	char path[512];
	struct vs_err err = {0};
	assert_ok(vs_evidence_load(data_path(name, path, sizeof path), &s->ev, &err), &err);
	/* Copies beside the report would catch what the report's own checks must catch. */
	vs_buf_done(&s->ev.hw_report);
	vs_buf_done(&s->ev.runtime_json);
}

static struct vs_buf
load_file(const char *folder, const char *name)
{
	char path[256];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	return data_load(path);
}

static void
nonce_hex(const char *text, size_t n, struct set *s)
{
	struct vs_err err = {0};
	assert_ok(vs_hex_decode(vs_bytes_of(text, n), &s->nonce, &err), &err);
}

static void
load_azure(const char *name, struct set *s)
{
	char path[256];
	struct vs_bytes text;
	load_folder(name, s);
	snprintf(path, sizeof path, "%s/expect.json", name);
	struct vs_json *j = data_json(path);
	if (s->x.user_data == VS_USER_DATA_RAW) {
		assert_true(vs_json_bytes(vs_json_path(j, "quote.extraData"), &text));
		nonce_hex((const char *)text.p, text.n, s);
	}
	vs_json_free(j);
}

/* The public area that such a key of Azure's has, around a captured modulus. */
static void
public_around(struct vs_bytes n, struct vs_buf *ret)
{
	static const uint8_t head[] = {1, 24, 0, 1, 0, 0xb, 0, 5, 4, 0x72, 0, 0, 0, 0x10, 0, 0x14,
		0, 0xb, 8, 0, 0, 0, 0, 0, 1, 0};
	struct vs_err err = {0};
	assert_int_equal(n.n, 256);
	assert_ok(vs_buf_add(ret, head, sizeof head, &err), &err);
	assert_ok(vs_buf_add(ret, n.p, n.n, &err), &err);
}

/* The modulus in a SubjectPublicKeyInfo of an RSA-2048 key, the exponent 65537 behind it. */
static struct vs_bytes
modulus(const struct vs_buf *spki)
{
	static const uint8_t exponent[] = {2, 3, 1, 0, 1};
	assert_int_equal(spki->n, 294);
	assert_memory_equal(spki->p + 289, exponent, sizeof exponent);
	return vs_bytes_of(spki->p + 33, 256);
}

static void
public_of_pem(const char *folder, const char *name, struct vs_buf *ret)
{
	struct vs_buf pem = load_file(folder, name), text = {0}, der = {0};
	struct vs_err err = {0};
	const char *p = strchr(vs_buf_cstr(&pem), '\n'), *end = NULL;
	assert_non_null(p);
	end = strstr(p, "\n-----END");
	assert_non_null(end);
	for (; p < end; p++) {
		if (*p != '\n')
			assert_ok(vs_buf_add(&text, p, 1, &err), &err);
	}
	assert_ok(vs_b64_decode(vs_buf_view(&text), &der, &err), &err);
	public_around(modulus(&der), ret);
	vs_buf_done(&pem);
	vs_buf_done(&text);
	vs_buf_done(&der);
}

static void
load_nonce_file(const char *name, struct set *s)
{
	struct vs_buf hex = load_file(name, "nonce.hex");
	nonce_hex(vs_buf_cstr(&hex), 64, s);
	vs_buf_done(&hex);
}

static void
load_own_key(const char *name, struct set *s)
{
	load_folder(name, s);
	load_nonce_file(name, s);
	s->ev.ak_cert = load_file(name, "akcert_0x01C101D0.der");
	public_of_pem(name, "ak.pub", &s->ev.ak_public_2b);
}

/* Both quotes are of one machine: same log, key and certificate. */
static void
load_gce(const char *name, struct set *s)
{
	struct vs_buf ak = data_load(GCE "ak.tpmt"), text = data_load(GCE "pcrs.sha256");
	struct vs_err err = {0};
	const char *p = vs_buf_cstr(&text);
	s->x.roots = &gce;
	s->ev.quote = load_file(name, "quote-sha256.msg");
	s->ev.quote_sig = load_file(name, "quote-sha256.sig");
	s->ev.event_log = data_load(GCE "eventlog.bin");
	s->ev.ak_cert = data_load(GCE "akcert.der");
	assert_ok(vs_buf_add_be16(&s->ev.ak_public_2b, (uint16_t)ak.n, &err), &err);
	assert_ok(vs_buf_add(&s->ev.ak_public_2b, ak.p, ak.n, &err), &err);
	for (char *end = NULL; *p != '\0'; p = strchr(p, '\n') + 1) {
		const unsigned long i = strtoul(p, &end, 10);
		VS_CLEANUP(vs_buf_done) struct vs_buf value = {.max = 32};
		assert_true(i < VS_PCRS_MAX && *end == ' ');
		assert_ok(vs_hex_decode(vs_bytes_of(end + 1, 64), &value, &err), &err);
		memcpy(s->ev.pcr[i], value.p, 32);
		s->ev.pcr_mask |= 1U << i;
	}
	vs_buf_done(&ak);
	vs_buf_done(&text);
}

static void
load_boot(const char *name, struct set *s)
{
	char path[256];
	load_folder(name, s);
	load_nonce_file(name, s);
	/* What is off must be known to be off. */
	s->x.allow_insecure_boot = strcmp(name, "boot/off") == 0;
	snprintf(path, sizeof path, "../lab/%s.bin", name);
	s->ev.event_log = data_load(path);
}

static void
load_swtpm(const char *name, struct set *s)
{
	struct vs_buf der = load_file(name, "ak.der");
	struct vs_tpm_attest a;
	struct vs_err err = {0};
	load_folder(name, s);
	public_around(modulus(&der), &s->ev.ak_public_2b);
	/* What it was asked for is known only from the quote. */
	assert_ok(vs_tpm_attest_parse(vs_buf_view(&s->ev.quote), &a, &err), &err);
	assert_ok(vs_buf_add(&s->nonce, a.extra.p, a.extra.n, &err), &err);
	vs_buf_done(&der);
}

/* A length of 8 bytes before signature, quote and list of PCRs. */
static void
load_bincode(const char *name, struct set *s)
{
	struct vs_buf b = load_file(name, "quote.bin");
	struct vs_err err = {0};
	struct vs_reader r = vs_reader_of(vs_buf_view(&b));
	struct vs_bytes part = vs_get_bytes(&r, (size_t)vs_get_le64(&r));
	assert_ok(vs_buf_add(&s->ev.quote_sig, part.p, part.n, &err), &err);
	part = vs_get_bytes(&r, (size_t)vs_get_le64(&r));
	assert_ok(vs_buf_add(&s->ev.quote, part.p, part.n, &err), &err);
	assert_int_equal(vs_get_le64(&r), VS_PCRS_MAX);
	part = vs_get_bytes(&r, sizeof s->ev.pcr);
	assert_true(vs_reader_done(&r));
	memcpy(s->ev.pcr, part.p, sizeof s->ev.pcr);
	public_of_pem(name, "akpub.pem", &s->ev.ak_public_2b);
	s->ev.pcr_mask = 0xFFFFFF;
	vs_buf_done(&b);
}

static void
load_roots(void)
{
	static const char *const files[] = {
		"tcg/gce-ca/tpm_ek_root_1.cer", "tcg/gce-ca/tpm_ek_intermediate_2.crt"};
	struct vs_err err = {0};
	assert_ok(vs_roots_production(&azure, &err), &err);
	for (size_t i = 0; i < 2; i++) {
		struct vs_buf der = data_load(files[i]);
		struct vs_ev_cert *cert = NULL;
		assert_ok(vs_ev_cert_der(vs_buf_view(&der), &cert, &err), &err);
		assert_ok(
			vs_ev_certs_add(i == 0 ? &gce.vtpm : &gce.vtpm_helpers, cert, &err), &err);
		vs_buf_done(&der);
	}
}

static bool
may_fail(const struct set *s, const char *check)
{
	for (const char *const *p = s->failed; *p != NULL; p++) {
		if (strcmp(*p, check) == 0)
			return true;
	}
	return false;
}

static void
assert_concludes(const struct set *s)
{
	struct vs_verdict v;
	size_t failed = 0;
	(void)!vs_evidence_verify(&s->ev, &s->x, &v, NULL).code;
	for (size_t i = 0; i < v.n_checks; i++) {
		const struct vs_check *c = &v.checks[i];
		if (c->passed == may_fail(s, c->name))
			fail_msg("%s: %s: expected %s, seen %s", s->name, c->name, c->expected,
				c->seen);
		failed += !c->passed;
	}
	assert_int_equal(v.passed, failed == 0);
	for (const char *const *p = s->failed; *p != NULL; p++)
		assert_false(data_check(&v, *p)->passed);
}

size_t
sets_load(struct set ret[SETS_MAX])
{
	struct vs_err err = {0};
	load_roots();
	for (size_t i = 0; i < N; i++) {
		struct set *s = &ret[i];
		*s = (struct set){.name = table[i].name, .failed = table[i].failed};
		s->x = (struct vs_evidence_expect){.at_unix = AT_2026,
			.roots = &azure,
			.user_data = table[i].user_data,
			.pcr_mask = table[i].pcr_mask,
			.allow_trusted_launch = !table[i].confidential,
			.no_transport_key = true,
			.require_event_log = table[i].log};
		if (table[i].nonce != NULL)
			assert_ok(vs_buf_add_str(&s->nonce, table[i].nonce, &err), &err);
		table[i].load(s->name, s);
		s->x.nonce = vs_buf_view(&s->nonce);
		assert_concludes(s);
	}
	return N;
}

void
sets_done(struct set *sets, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		vs_evidence_done(&sets[i].ev);
		vs_buf_done(&sets[i].nonce);
	}
	vs_roots_done(&azure);
	vs_roots_done(&gce);
}

bool
set_accepts_as(const struct set *s, const struct vs_evidence *ev)
{
	struct vs_verdict v;
	const vs_rc rc = vs_evidence_verify(ev, &s->x, &v, NULL);
	bool ok = true;
	if (vs_failed(rc) && rc.code != VS_E_REFUSED_EVIDENCE)
		fail_msg("%s: %s", s->name, vs_code_name(rc.code));
	for (size_t i = 0; i < v.n_checks; i++)
		ok = ok && (v.checks[i].passed || may_fail(s, v.checks[i].name));
	/* What says that all is well must be the checks, and the other way round. */
	if (!vs_failed(rc) != v.passed || (v.passed && !ok))
		fail_msg("%s: verdict and checks differ", s->name);
	return ok;
}

bool
set_accepts(const struct set *s)
{
	return set_accepts_as(s, &s->ev);
}

size_t
set_pcr_bytes(const struct set *s)
{
	size_t n = 0;
	while (n < VS_PCRS_MAX && (s->x.pcr_mask >> n & 1) != 0)
		n++;
	return 32 * n;
}
