/* SPDX-License-Identifier: BSD-2-Clause */
/* Certificate chains that a small authority of the test's own issues, right and wrong. */
#include "jose/x509.h"

#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/codec.h"
#include "jose/jose.h"
#include "jose/json.h"
#include "unit/forge.h"
#include "unit/unit.h"

enum { T0 = 1790000000, DAY = 86400 };

/* What one certificate is; fields that are NULL or 0 get the usual. */
struct spec {
	const char *name;
	enum forge_key key;
	bool ca;
	const char *basic; /* basicConstraints, overrides ca */
	const char *usage; /* keyUsage */
	const char *eku, *san;
	int64_t from, to; /* days from T0 */
	const EVP_MD *md;
};

static void
extend(X509 *x, int nid, const char *value)
{
	X509V3_CTX ctx;
	if (value == NULL)
		return;
	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert_non_null(e);
	assert_int_equal(X509_add_ext(x, e, -1), 1);
	X509_EXTENSION_free(e);
}

static void
set_name(X509_NAME *name, const char *cn)
{
	assert_int_equal(X509_NAME_add_entry_by_txt(
				 name, "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1, 0),
		1);
}

/* Signed by issuer's key and named after it; NULL: by itself. */
static struct vs_cert *
issue(const struct spec *s, const struct spec *issuer)
{
	static long serial = 1;
	struct vs_err err = {0};
	struct vs_cert *cert = NULL;
	unsigned char *der = NULL;
	X509 *x = X509_new();
	const struct spec *by = issuer != NULL ? issuer : s;
	const char *basic = s->basic != NULL ? s->basic : s->ca ? "critical,CA:TRUE" : "CA:FALSE";
	assert_int_equal(X509_set_version(x, 2), 1);
	assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(x), serial++), 1);
	assert_non_null(ASN1_TIME_set(
		X509_getm_notBefore(x), (time_t)(T0 + (s->from != 0 ? s->from : -30) * DAY)));
	assert_non_null(ASN1_TIME_set(
		X509_getm_notAfter(x), (time_t)(T0 + (s->to != 0 ? s->to : 300) * DAY)));
	set_name(X509_get_subject_name(x), s->name);
	set_name(X509_get_issuer_name(x), by->name);
	assert_int_equal(X509_set_pubkey(x, forge_pkey(s->key)), 1);
	extend(x, NID_basic_constraints, basic);
	extend(x, NID_key_usage,
		s->usage != NULL ? s->usage
			: s->ca  ? "critical,keyCertSign,cRLSign"
				 : NULL);
	extend(x, NID_ext_key_usage, s->eku);
	extend(x, NID_subject_alt_name, s->san);
	assert_true(X509_sign(x, forge_pkey(by->key), s->md != NULL ? s->md : EVP_sha256()) > 0);
	const int n = i2d_X509(x, &der);
	assert_true(n > 0);
	assert_ok(vs_cert_from_der(vs_bytes_of(der, (size_t)n), &cert, &err), &err);
	OPENSSL_free(der);
	X509_free(x);
	return cert;
}

#define ROOT \
	{ \
		.name = "Root", .key = FORGE_GOOD, .ca = true \
	}
#define MIDDLE \
	{ \
		.name = "Middle", .key = FORGE_BIG, .ca = true \
	}
#define LEAF \
	{ \
		.name = "leaf", .key = FORGE_FOREIGN, .eku = "serverAuth", \
		.san = "DNS:vault.example,DNS:*.wild.example" \
	}
static const struct spec root = ROOT, middle = MIDDLE, leaf = LEAF;

static struct vs_certs *
list_of(struct vs_cert *a, struct vs_cert *b)
{
	struct vs_err err = {0};
	struct vs_certs *l = NULL;
	assert_ok(vs_certs_new(&l, &err), &err);
	if (a != NULL)
		assert_ok(vs_certs_add(l, a, &err), &err);
	if (b != NULL)
		assert_ok(vs_certs_add(l, b, &err), &err);
	return l;
}

/* ---- chains ------------------------------------------------------------------------------- */

static const struct {
	const char *what;
	struct spec root, middle, leaf;
	const char *host;
	enum vs_purpose purpose;
	int days;
	bool ok;
} chains[] = {
	{"as it should be", ROOT, MIDDLE, LEAF, "vault.example", VS_PURPOSE_TLS_SERVER, 0, true},
	{"other case", ROOT, MIDDLE, LEAF, "VAULT.Example", VS_PURPOSE_TLS_SERVER, 0, true},
	{"wildcard", ROOT, MIDDLE, LEAF, "a.wild.example", VS_PURPOSE_TLS_SERVER, 0, true},
	{"no name asked", ROOT, MIDDLE, LEAF, NULL, VS_PURPOSE_TLS_SERVER, 0, true},
	{"any purpose", ROOT, MIDDLE, LEAF, NULL, VS_PURPOSE_ANY, 0, true},
	{"last day", ROOT, MIDDLE, LEAF, "vault.example", VS_PURPOSE_TLS_SERVER, 299, true},
	{"first day", ROOT, MIDDLE, LEAF, "vault.example", VS_PURPOSE_TLS_SERVER, -30, true},
	{"after the end", ROOT, MIDDLE, LEAF, "vault.example", VS_PURPOSE_TLS_SERVER, 301, false},
	{"before the start", ROOT, MIDDLE, LEAF, "vault.example", VS_PURPOSE_TLS_SERVER, -31,
		false},
	{"other host", ROOT, MIDDLE, LEAF, "vault.example.org", VS_PURPOSE_TLS_SERVER, 0, false},
	{"prefix of the host", ROOT, MIDDLE, LEAF, "vault.exampl", VS_PURPOSE_TLS_SERVER, 0, false},
	{"below the host", ROOT, MIDDLE, LEAF, "a.vault.example", VS_PURPOSE_TLS_SERVER, 0, false},
	{"wildcard two levels down", ROOT, MIDDLE, LEAF, "a.b.wild.example", VS_PURPOSE_TLS_SERVER,
		0, false},
	{"wildcard itself", ROOT, MIDDLE, LEAF, "wild.example", VS_PURPOSE_TLS_SERVER, 0, false},
	{"name of the subject", ROOT, MIDDLE, LEAF, "leaf", VS_PURPOSE_TLS_SERVER, 0, false},
	{"empty host", ROOT, MIDDLE, LEAF, "", VS_PURPOSE_TLS_SERVER, 0, false},
	{"wildcard inside a label", ROOT, MIDDLE,
		{.name = "leaf", .key = FORGE_FOREIGN, .san = "DNS:v*t.example"}, "vault.example",
		VS_PURPOSE_TLS_SERVER, 0, false},
	{"no names", ROOT, MIDDLE, {.name = "vault.example", .key = FORGE_FOREIGN}, "vault.example",
		VS_PURPOSE_TLS_SERVER, 0, false},
	{"for clients", ROOT, MIDDLE,
		{.name = "leaf",
			.key = FORGE_FOREIGN,
			.eku = "clientAuth",
			.san = "DNS:vault.example"},
		"vault.example", VS_PURPOSE_TLS_SERVER, 0, false},
	{"for clients, any purpose", ROOT, MIDDLE,
		{.name = "leaf",
			.key = FORGE_FOREIGN,
			.eku = "clientAuth",
			.san = "DNS:vault.example"},
		"vault.example", VS_PURPOSE_ANY, 0, true},
	{"leaf expired", ROOT, MIDDLE,
		{.name = "leaf", .key = FORGE_FOREIGN, .san = "DNS:vault.example", .to = -1},
		"vault.example", VS_PURPOSE_TLS_SERVER, 0, false},
	{"middle expired", ROOT, {.name = "Middle", .key = FORGE_BIG, .ca = true, .to = -1}, LEAF,
		"vault.example", VS_PURPOSE_TLS_SERVER, 0, false},
	{"root expired", {.name = "Root", .key = FORGE_GOOD, .ca = true, .to = -1}, MIDDLE, LEAF,
		"vault.example", VS_PURPOSE_TLS_SERVER, 0, false},
	{"middle not yet", ROOT, {.name = "Middle", .key = FORGE_BIG, .ca = true, .from = 1}, LEAF,
		"vault.example", VS_PURPOSE_TLS_SERVER, 0, false},
	{"middle is no authority", ROOT, {.name = "Middle", .key = FORGE_BIG}, LEAF,
		"vault.example", VS_PURPOSE_TLS_SERVER, 0, false},
	{"middle may not sign", ROOT,
		{.name = "Middle",
			.key = FORGE_BIG,
			.ca = true,
			.usage = "critical,digitalSignature"},
		LEAF, "vault.example", VS_PURPOSE_TLS_SERVER, 0, false},
	{"path too long",
		{.name = "Root",
			.key = FORGE_GOOD,
			.ca = true,
			.basic = "critical,CA:TRUE,pathlen:0"},
		MIDDLE, LEAF, "vault.example", VS_PURPOSE_TLS_SERVER, 0, false},
	{"short leaf key", ROOT, MIDDLE,
		{.name = "leaf", .key = FORGE_WEAK, .san = "DNS:vault.example"}, "vault.example",
		VS_PURPOSE_TLS_SERVER, 0, false},
	{"short middle key", ROOT, {.name = "Middle", .key = FORGE_WEAK, .ca = true}, LEAF,
		"vault.example", VS_PURPOSE_TLS_SERVER, 0, false},
	{"leaf signed with SHA-1", ROOT, MIDDLE,
		{.name = "leaf",
			.key = FORGE_FOREIGN,
			.san = "DNS:vault.example",
			.md = NULL,
			.basic = "CA:FALSE,pathlen:7"},
		"vault.example", VS_PURPOSE_TLS_SERVER, 0, false},
	{"EC leaf", ROOT, MIDDLE, {.name = "leaf", .key = FORGE_EC, .san = "DNS:vault.example"},
		"vault.example", VS_PURPOSE_TLS_SERVER, 0, true},
};

static void
chains_are_judged(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof chains / sizeof chains[0]; i++) {
		struct vs_err err = {0};
		struct spec l = chains[i].leaf;
		if (strstr(chains[i].what, "SHA-1") != NULL) {
			l.md = EVP_sha1();
			l.basic = NULL;
		}
		VS_CLEANUP(vs_cert_unrefp) struct vs_cert *r = issue(&chains[i].root, NULL);
		VS_CLEANUP(vs_cert_unrefp)
		struct vs_cert *m = issue(&chains[i].middle, &chains[i].root);
		VS_CLEANUP(vs_cert_unrefp) struct vs_cert *c = issue(&l, &chains[i].middle);
		VS_CLEANUP(vs_certs_freep) struct vs_certs *anchors = list_of(r, NULL);
		VS_CLEANUP(vs_certs_freep) struct vs_certs *sent = list_of(m, NULL);
		const struct vs_chain_req req = {.anchors = anchors,
			.intermediates = sent,
			.at_unix = T0 + (int64_t)chains[i].days * DAY,
			.purpose = chains[i].purpose,
			.host = chains[i].host};
		const vs_rc rc = vs_cert_chain(c, &req, &err);
		if (vs_failed(rc) == chains[i].ok)
			fail_msg("%s: %s", chains[i].what,
				vs_failed(rc) ? err.frames[0].text : "accepted");
		assert_true(!vs_failed(rc) || rc.code == VS_E_REFUSED_SIGNATURE);
	}
}

static void
only_configured_anchors_are_trusted(void **state)
{
	struct vs_err err = {0};
	static const struct spec other_root = {.name = "Root", .key = FORGE_TRANSPORT, .ca = true};
	VS_CLEANUP(vs_cert_unrefp) struct vs_cert *r = issue(&root, NULL);
	VS_CLEANUP(vs_cert_unrefp) struct vs_cert *other = issue(&other_root, NULL);
	VS_CLEANUP(vs_cert_unrefp) struct vs_cert *m = issue(&middle, &root);
	VS_CLEANUP(vs_cert_unrefp) struct vs_cert *c = issue(&leaf, &middle);
	VS_CLEANUP(vs_cert_unrefp) struct vs_cert *self = issue(&leaf, NULL);
	VS_CLEANUP(vs_certs_freep) struct vs_certs *none = list_of(NULL, NULL);
	VS_CLEANUP(vs_certs_freep) struct vs_certs *ours = list_of(r, NULL);
	VS_CLEANUP(vs_certs_freep) struct vs_certs *theirs = list_of(other, NULL);
	VS_CLEANUP(vs_certs_freep) struct vs_certs *pinned = list_of(m, NULL);
	VS_CLEANUP(vs_certs_freep) struct vs_certs *with_root = list_of(m, r);
	VS_CLEANUP(vs_certs_freep) struct vs_certs *only_root = list_of(r, NULL);
	struct vs_chain_req req = {.anchors = ours,
		.intermediates = pinned,
		.at_unix = T0,
		.purpose = VS_PURPOSE_TLS_SERVER,
		.host = "vault.example"};
	(void)state;
	assert_ok(vs_cert_chain(c, &req, &err), &err);
	req.intermediates = with_root; /* a sent root is ignored, not harmful */
	assert_ok(vs_cert_chain(c, &req, &err), &err);
	req.anchors = none;
	assert_code(vs_cert_chain(c, &req, &err), REFUSED_SIGNATURE);
	req.anchors = NULL;
	assert_code(vs_cert_chain(c, &req, &err), REFUSED_SIGNATURE);
	req.anchors = theirs; /* same name, other key; and the real root only sent along */
	assert_code(vs_cert_chain(c, &req, &err), REFUSED_SIGNATURE);
	assert_code(vs_cert_chain(self, &req, &err), REFUSED_SIGNATURE);
	req.anchors = ours;
	req.intermediates = only_root; /* the middle is missing */
	assert_code(vs_cert_chain(c, &req, &err), REFUSED_SIGNATURE);
	req.intermediates = NULL;
	assert_code(vs_cert_chain(c, &req, &err), REFUSED_SIGNATURE);
	req.anchors = pinned; /* pinning an intermediate is allowed */
	assert_ok(vs_cert_chain(c, &req, &err), &err);
	assert_code(vs_cert_chain(self, &req, &err), REFUSED_SIGNATURE);
	req.purpose = VS_PURPOSE_NONE;
	assert_code(vs_cert_chain(c, &req, &err), INTERNAL);
}

/* ---- reading ------------------------------------------------------------------------------ */

static void
changed_and_cut_certificates_are_never_accepted(void **state)
{
	VS_CLEANUP(vs_cert_unrefp) struct vs_cert *r = issue(&root, NULL);
	VS_CLEANUP(vs_cert_unrefp) struct vs_cert *m = issue(&middle, &root);
	VS_CLEANUP(vs_cert_unrefp) struct vs_cert *c = issue(&leaf, &middle);
	VS_CLEANUP(vs_certs_freep) struct vs_certs *ours = list_of(r, NULL);
	VS_CLEANUP(vs_certs_freep) struct vs_certs *sent = list_of(m, NULL);
	const struct vs_chain_req req = {.anchors = ours,
		.intermediates = sent,
		.at_unix = T0,
		.purpose = VS_PURPOSE_TLS_SERVER,
		.host = "vault.example"};
	const struct vs_bytes der = vs_cert_der(c);
	uint8_t copy[4096];
	(void)state;
	assert_true(der.n < sizeof copy);
	memcpy(copy, der.p, der.n);
	copy[der.n] = 0;
	for (size_t i = 0; i < der.n; i++) {
		struct vs_err err = {0};
		VS_CLEANUP(vs_cert_unrefp) struct vs_cert *bad = NULL;
		struct vs_cert *cut = NULL;
		copy[i] ^= 0x04;
		if (!vs_failed(vs_cert_from_der(vs_bytes_of(copy, der.n), &bad, &err)))
			assert_true(vs_failed(vs_cert_chain(bad, &req, &err)));
		copy[i] ^= 0x04;
		assert_code(vs_cert_from_der(vs_bytes_of(copy, i), &cut, &err), FORMAT);
	}
	struct vs_err err = {0};
	struct vs_cert *longer = NULL;
	assert_code(vs_cert_from_der(vs_bytes_of(copy, der.n + 1), &longer, &err), FORMAT);
}

static void
bundles_are_read_whole_or_not_at_all(void **state)
{
	struct vs_err err = {0};
	VS_CLEANUP(vs_cert_unrefp) struct vs_cert *r = issue(&root, NULL);
	const char *b64 = forge_b64(vs_cert_der(r).p, vs_cert_der(r).n);
	const struct forge_var v[] = {{"c", b64}, {"B", "-----BEGIN CERTIFICATE-----\n"},
		{"E", "\n-----END CERTIFICATE-----\n"}, {"half", forge_keep(b64, 100)}};
	static const struct {
		const char *text;
		size_t n; /* 0: refused */
	} rows[] = {
		{"$B$$c$$E$", 1},
		{"# words\n$B$$c$$E$more\n$B$$c$$E$", 2},
		{"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n$B$$c$$E$", 1},
		{"", 0},
		{"words\n", 0},
		{"$B$", 0},
		{"$B$$c$", 0},
		{"$B$$half$$E$", 0},
		{"$B$$c$$E$$B$$half$$E$", 0},
		{"$B$$c$AAAA$E$", 0},
		{"$B$!!!!$E$", 0},
		{"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", 0},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		VS_CLEANUP(vs_certs_freep) struct vs_certs *l = NULL;
		const vs_rc rc = vs_certs_from_pem(forge_expand(rows[i].text, v, 4), &l, &err);
		if (vs_failed(rc) != (rows[i].n == 0) || vs_certs_count(l) != rows[i].n)
			fail_msg("bundle #%zu: %zu certificates", i, vs_certs_count(l));
	}
}

static void
subjects_and_dates_are_told(void **state)
{
	char text[64];
	VS_CLEANUP(vs_cert_unrefp) struct vs_cert *r = issue(&root, NULL);
	(void)state;
	assert_string_equal(vs_cert_subject(r, text, sizeof text), "CN=Root");
	assert_int_equal(vs_cert_not_before(r), T0 - 30 * (int64_t)DAY);
	assert_int_equal(vs_cert_not_after(r), T0 + 300 * (int64_t)DAY);
	assert_true(vs_cert_valid_at(r, T0));
	assert_true(vs_cert_valid_at(r, vs_cert_not_after(r)));
	assert_false(vs_cert_valid_at(r, vs_cert_not_after(r) + 1));
	assert_false(vs_cert_valid_at(r, vs_cert_not_before(r) - 1));
	assert_int_equal(strlen(vs_cert_subject(r, text, 4)) < 4, 1);
}

/* ---- release answers ---------------------------------------------------------------------- */

/* $L$ leaf, $M$ middle, $R$ root, all as x5c strings. */
static const struct {
	const char *header;
	enum forge_key key;
	enum forge_alg alg;
	bool ok;
} answers[] = {
	{"{\"alg\":\"RS256\",\"x5c\":[\"$L$\",\"$M$\",\"$R$\"]}", FORGE_FOREIGN, FORGE_RS256, true},
	{"{\"alg\":\"RS256\",\"x5c\":[\"$L$\",\"$M$\"],\"kid\":\"x\",\"typ\":\"JWT\",\"x5t\":"
	 "\"y\"}",
		FORGE_FOREIGN, FORGE_RS256, true},
	{"{\"alg\":\"RS256\",\"x5c\":[\"$L$\"]}", FORGE_FOREIGN, FORGE_RS256, false},
	{"{\"alg\":\"RS256\",\"x5c\":[\"$M$\",\"$L$\"]}", FORGE_FOREIGN, FORGE_RS256, false},
	{"{\"alg\":\"RS256\",\"x5c\":[\"$M$\",\"$L$\"]}", FORGE_BIG, FORGE_RS256, false},
	{"{\"alg\":\"RS256\",\"x5c\":[\"$L$\",\"$M$\"]}", FORGE_TRANSPORT, FORGE_RS256, false},
	{"{\"alg\":\"RS256\",\"x5c\":[\"$L$\",\"$M$\"]}", FORGE_FOREIGN, FORGE_RS512, false},
	{"{\"alg\":\"RS256\",\"x5c\":[\"$L$\",\"$M$\"]}", FORGE_FOREIGN, FORGE_PS256, false},
	{"{\"alg\":\"PS256\",\"x5c\":[\"$L$\",\"$M$\"]}", FORGE_FOREIGN, FORGE_PS256, false},
	{"{\"alg\":\"none\",\"x5c\":[\"$L$\",\"$M$\"]}", FORGE_FOREIGN, FORGE_RS256, false},
	{"{\"x5c\":[\"$L$\",\"$M$\"]}", FORGE_FOREIGN, FORGE_RS256, false},
	{"{\"alg\":\"RS256\"}", FORGE_FOREIGN, FORGE_RS256, false},
	{"{\"alg\":\"RS256\",\"x5c\":[]}", FORGE_FOREIGN, FORGE_RS256, false},
	{"{\"alg\":\"RS256\",\"x5c\":\"$L$\"}", FORGE_FOREIGN, FORGE_RS256, false},
	{"{\"alg\":\"RS256\",\"x5c\":[\"$L$\",\"$M$\",5]}", FORGE_FOREIGN, FORGE_RS256, false},
	{"{\"alg\":\"RS256\",\"x5c\":[\"$L$\",\"$M$\",\"AAAA\"]}", FORGE_FOREIGN, FORGE_RS256,
		false},
	{"{\"alg\":\"RS256\",\"x5c\":[\"$L$\\n\",\"$M$\"]}", FORGE_FOREIGN, FORGE_RS256, false},
	{"{\"alg\":\"RS256\",\"x5c\":[\"$M$\"]}", FORGE_BIG, FORGE_RS256, false},
	{"{\"alg\":\"RS256\",\"x5c\":[\"$R$\"]}", FORGE_GOOD, FORGE_RS256, false},
	{"{\"alg\":\"RS256\",\"x5c\":[\"$L$\",\"$M$\"],\"crit\":[\"x\"]}", FORGE_FOREIGN,
		FORGE_RS256, false},
	{"{\"alg\":\"RS256\",\"x5c\":[\"$L$\",\"$M$\"],\"jku\":\"https://vault.example/\"}",
		FORGE_FOREIGN, FORGE_RS256, false},
	{"{\"alg\":\"RS256\",\"x5c\":[\"$L$\",\"$M$\"],\"jwk\":{}}", FORGE_FOREIGN, FORGE_RS256,
		false},
	{"{\"alg\":\"RS256\",\"x5c\":[\"$L$\",\"$M$\"],\"x5u\":\"x\"}", FORGE_FOREIGN, FORGE_RS256,
		false},
	{"{\"alg\":\"RS256\",\"x5c\":[\"$L$\",\"$M$\"],\"typ\":\"x\"}", FORGE_FOREIGN, FORGE_RS256,
		false},
	{"{\"alg\":\"RS256\",\"alg\":\"RS256\",\"x5c\":[\"$L$\",\"$M$\"]}", FORGE_FOREIGN,
		FORGE_RS256, false},
	{"[]", FORGE_FOREIGN, FORGE_RS256, false},
};

static void
release_answers_are_believed_only_with_their_chain(void **state)
{
	VS_CLEANUP(vs_cert_unrefp) struct vs_cert *r = issue(&root, NULL);
	VS_CLEANUP(vs_cert_unrefp) struct vs_cert *m = issue(&middle, &root);
	VS_CLEANUP(vs_cert_unrefp) struct vs_cert *c = issue(&leaf, &middle);
	VS_CLEANUP(vs_certs_freep) struct vs_certs *anchors = list_of(r, NULL);
	const struct forge_var v[] = {{"L", forge_b64(vs_cert_der(c).p, vs_cert_der(c).n)},
		{"M", forge_b64(vs_cert_der(m).p, vs_cert_der(m).n)},
		{"R", forge_b64(vs_cert_der(r).p, vs_cert_der(r).n)}};
	(void)state;
	for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
		struct vs_err err = {0};
		VS_CLEANUP(vs_buf_done) struct vs_buf payload = {0};
		VS_CLEANUP(vs_buf_done)
		struct vs_buf jws = forge_token(forge_expand(answers[i].header, v, 3),
			vs_bytes_str("{\"a\":1}"), answers[i].key, answers[i].alg);
		const vs_rc rc = vs_jws_open_x5c(
			vs_buf_view(&jws), anchors, "vault.example", T0, &payload, &err);
		if (vs_failed(rc) == answers[i].ok)
			fail_msg("answer #%zu: %s", i,
				vs_failed(rc) ? err.frames[0].text : "accepted");
		assert_true(!vs_failed(rc) || rc.code == VS_E_REFUSED_ANSWER);
		assert_int_equal(payload.n > 0, answers[i].ok);
		if (answers[i].ok)
			assert_string_equal(vs_buf_cstr(&payload), "{\"a\":1}");
	}
}

static int
setup(void **state)
{
	(void)state;
	forge_init();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	forge_done();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chains_are_judged),
		cmocka_unit_test(only_configured_anchors_are_trusted),
		cmocka_unit_test(changed_and_cut_certificates_are_never_accepted),
		cmocka_unit_test(bundles_are_read_whole_or_not_at_all),
		cmocka_unit_test(subjects_and_dates_are_told),
		cmocka_unit_test(release_answers_are_believed_only_with_their_chain),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
