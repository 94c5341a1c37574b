/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/token_cases.h"

#include "base/codec.h"

enum { CASES_MAX = 4000, KEPT_MAX = 1000 };

struct token_case *token_cases;
size_t token_cases_n;

static struct vs_jwks *jwks_kept[KEPT_MAX];
static struct vs_policy *policy_kept[KEPT_MAX];
static struct vs_bytes jwks_texts[KEPT_MAX], policy_texts[KEPT_MAX];
static size_t n_jwks, n_policies;
static struct vs_jwks *good_jwks;
static struct vs_policy *good_policy;
static struct vs_bytes good_token;
static struct vs_rsa_num transport;
static struct forge_var vars[40];
static size_t n_vars;

static const char good_policy_text[] =
	"{\"version\":\"1.0.0\",\"anyOf\":[{\"authority\":\"" ISSUER "/\",\"allOf\":["
	"{\"claim\":\"x-ms-isolation-tee.x-ms-attestation-type\",\"equals\":\"sevsnpvm\"},"
	"{\"claim\":\"x-ms-isolation-tee.x-ms-compliance-status\",\"equals\":\"azure-compliant-"
	"cvm\"}]}]}";

static const struct claim base[] = {
	{"exp", "1790028800"},
	{"iat", "1790000000"},
	{"iss", "\"" ISSUER "\""},
	{"jti", "\"6a3b\""},
	{"nbf", "1790000000"},
	{"secureboot", "true"},
	{"x-ms-attestation-type", "\"azurevm\""},
	{"x-ms-azurevm-attested-pcrs", "[0,1,2,3,4,5,6,7]"},
	{"x-ms-azurevm-osversion-major", "12"},
	{"x-ms-azurevm-osdistro", "\"Debian\""},
	{"x-ms-isolation-tee",
		"{\"x-ms-attestation-type\":\"sevsnpvm\",\"x-ms-compliance-status\":\"azure-"
		"compliant-cvm\","
		"\"x-ms-runtime\":{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"HCLAkPub\",\"key_ops\":["
		"\"encrypt\"],"
		"\"n\":\"$n_foreign$\",\"e\":\"AQAB\"}]},"
		"\"x-ms-sevsnpvm-is-debuggable\":false,\"x-ms-sevsnpvm-migration-allowed\":false,"
		"\"x-ms-sevsnpvm-vmpl\":0,\"x-ms-sevsnpvm-guestsvn\":65549}"},
	{"x-ms-policy-hash", "\"wm9mHlvTU82e8UqoOy1Yj1FBRSNkfe99-69IYDq9eWs\""},
	{"x-ms-runtime",
		"{\"client-payload\":{\"nonce\":\"" NONCE_B64
		"\"},\"keys\":[{\"e\":\"AQAB\",\"key_ops\":"
		"[\"encrypt\"],\"kid\":\"TpmEphemeralEncryptionKey\",\"kty\":\"RSA\",\"n\":\"$n_"
		"transport$\"}]}"},
	{"x-ms-ver", "\"1.0\""},
};
enum { N_BASE = sizeof base / sizeof base[0] };

static void
var(const char *name, const char *value)
{
	assert_true(n_vars < sizeof vars / sizeof vars[0]);
	vars[n_vars++] = (struct forge_var){name, value};
}

struct vs_bytes
expand(const char *text)
{
	return forge_expand(text, vars, n_vars);
}

/* Numbers that nobody has a private part for: only their form matters. */
static const char *
odd_number(size_t bytes, uint8_t first, uint8_t last)
{
	uint8_t n[1100];
	memset(n, 0x5a, sizeof n);
	n[0] = first;
	n[bytes - 1] = last;
	return forge_b64url(n, bytes);
}

static void
make_vars(void)
{
	static const uint8_t e_even[] = {1, 0, 2}, e_one[] = {1},
			     e_long[] = {1, 0, 0, 0, 0, 0, 0, 0, 1};
	static const uint8_t e_64[] = {0xff, 0, 0, 0, 0, 0, 0, 1}, e_zeros[] = {0, 0, 1, 0, 1};
	var("n", forge_number(FORGE_GOOD, "n"));
	var("e", forge_number(FORGE_GOOD, "e"));
	var("n_foreign", forge_number(FORGE_FOREIGN, "n"));
	var("n_transport", forge_number(FORGE_TRANSPORT, "n"));
	var("n_big", forge_number(FORGE_BIG, "n"));
	var("n_weak", forge_number(FORGE_WEAK, "n"));
	var("n_e3", forge_number(FORGE_E3, "n"));
	var("e3", forge_number(FORGE_E3, "e"));
	var("n_e17", forge_number(FORGE_E17BIT, "n"));
	var("e17", forge_number(FORGE_E17BIT, "e"));
	var("n_even", odd_number(256, 0xc5, 0x5a));
	var("n_2047", odd_number(256, 0x7f, 0x5b));
	var("n_8192", odd_number(1024, 0xc5, 0x5b));
	var("n_8200", odd_number(1025, 0xc5, 0x5b));
	var("e_even", forge_b64url(e_even, sizeof e_even));
	var("e_one", forge_b64url(e_one, sizeof e_one));
	var("e_72", forge_b64url(e_long, sizeof e_long));
	var("e_64", forge_b64url(e_64, sizeof e_64));
	var("e_zeros", forge_b64url(e_zeros, sizeof e_zeros));
	var("cert", forge_cert(FORGE_GOOD, IAT - 1000, IAT + 100000));
	var("cert_old", forge_cert(FORGE_GOOD, IAT - 1000, NOW - 1));
	var("cert_until_now", forge_cert(FORGE_GOOD, IAT - 1000, NOW));
	var("cert_from_now", forge_cert(FORGE_GOOD, NOW, IAT + 100000));
	var("cert_new", forge_cert(FORGE_GOOD, NOW + 1, IAT + 100000));
	var("cert_foreign", forge_cert(FORGE_FOREIGN, IAT - 1000, IAT + 100000));
	var("cert_weak", forge_cert(FORGE_WEAK, IAT - 1000, IAT + 100000));
	var("cert_ec", forge_cert(FORGE_EC, IAT - 1000, IAT + 100000));
	var("cert_e3", forge_cert(FORGE_E3, IAT - 1000, IAT + 100000));
	const struct vs_bytes plus = expand("AAAA$cert$");
	var("cert_shifted", (const char *)plus.p);
	const char *cert = (const char *)expand("$cert$").p;
	var("cert_cut", forge_keep(cert, strlen(cert) - 8));
	struct vs_err err = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf der = {0};
	assert_ok(vs_b64_decode(vs_bytes_str(cert), &der, &err), &err);
	assert_ok(vs_buf_add_u8(&der, 0, &err), &err);
	var("cert_trailing", forge_b64(der.p, der.n));
}

struct vs_bytes
keep_buf(struct vs_buf *b)
{
	const struct vs_bytes kept = vs_bytes_of(forge_keep((char *)b->p, b->n), b->n);
	vs_buf_done(b);
	return kept;
}

struct vs_bytes
claims_with(const struct claim *changes, size_t n)
{
	struct vs_err err = {0};
	struct vs_buf out = {0};
	bool used[8] = {false};
	const char *comma = "";
	assert_true(n <= 8);
	assert_ok(vs_buf_add_str(&out, "{", &err), &err);
	for (size_t i = 0; i < N_BASE + n; i++) {
		struct claim c = i < N_BASE ? base[i] : changes[i - N_BASE];
		if (i >= N_BASE && used[i - N_BASE])
			continue;
		for (size_t k = 0; i < N_BASE && k < n; k++) {
			if (strcmp(changes[k].name, c.name) != 0)
				continue;
			c = changes[k];
			used[k] = true;
		}
		if (c.value == NULL)
			continue;
		assert_ok(vs_buf_addf(&out, &err, "%s\"%s\":%s", comma, c.name, c.value), &err);
		comma = ",";
	}
	assert_ok(vs_buf_add_str(&out, "}", &err), &err);
	const struct vs_bytes text = expand(vs_buf_cstr(&out));
	vs_buf_done(&out);
	return text;
}

struct vs_bytes
good_claims(void)
{
	return claims_with(NULL, 0);
}

struct vs_bytes
signed_token(const char *header, struct vs_bytes claims)
{
	struct vs_buf b = forge_token(expand(header), claims, FORGE_GOOD, FORGE_RS256);
	return keep_buf(&b);
}

struct vs_jwks *
jwks_of(const char *text)
{
	struct vs_err err = {0};
	assert_true(n_jwks < KEPT_MAX);
	jwks_texts[n_jwks] = expand(text);
	assert_ok(vs_jwks_parse(jwks_texts[n_jwks], &jwks_kept[n_jwks], &err), &err);
	return jwks_kept[n_jwks++];
}

struct vs_policy *
policy_of(const char *text)
{
	struct vs_err err = {0};
	assert_true(n_policies < KEPT_MAX);
	policy_texts[n_policies] = expand(text);
	assert_ok(vs_policy_parse(policy_texts[n_policies], &policy_kept[n_policies], &err), &err);
	return policy_kept[n_policies++];
}

struct vs_bytes
jwks_text(const struct vs_jwks *jwks)
{
	for (size_t i = 0; i < n_jwks; i++)
		if (jwks_kept[i] == jwks)
			return jwks_texts[i];
	fail_msg("a key set of nobody's");
	return (struct vs_bytes){0};
}

struct vs_bytes
policy_text(const struct vs_policy *policy)
{
	for (size_t i = 0; i < n_policies; i++)
		if (policy_kept[i] == policy)
			return policy_texts[i];
	fail_msg("a policy of nobody's");
	return (struct vs_bytes){0};
}

const char *
numbered(const char *what, size_t i)
{
	char text[160];
	const int n = snprintf(text, sizeof text, "%s #%zu", what, i);
	return forge_keep(text, (size_t)n);
}

void
case_add(struct token_case c)
{
	assert_true(token_cases_n < CASES_MAX);
	if (c.token.p == NULL)
		c.token = good_token;
	if (c.jwks == NULL)
		c.jwks = good_jwks;
	if (c.policy == NULL)
		c.policy = good_policy;
	if (c.issuer == NULL)
		c.issuer = ISSUER;
	if (c.nonce == NULL)
		c.nonce = NONCE_HEX;
	if (c.at == 0)
		c.at = NOW;
	token_cases[token_cases_n++] = c;
}

void
token_cases_init(void)
{
	struct vs_err err = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf n = {0};
	static const uint8_t e[] = {1, 0, 1};
	forge_init();
	make_vars();
	token_cases = calloc(CASES_MAX, sizeof *token_cases);
	assert_non_null(token_cases);
	good_jwks = jwks_of(
		"{\"keys\":[{\"alg\":\"RS256\",\"kty\":\"RSA\",\"use\":\"sig\",\"kid\":\"" KID
		"\",\"n\":\"$n$\",\"e\":\"$e$\"}]}");
	good_policy = policy_of(good_policy_text);
	good_token = signed_token(HEADER, good_claims());
	assert_ok(vs_b64url_decode(expand("$n_transport$"), &n, &err), &err);
	assert_ok(vs_rsa_num_set(vs_buf_view(&n), vs_bytes_of(e, 3), &transport, &err), &err);
	case_add((struct token_case){.name = "the good token", .expect = ""});
	case_add((struct token_case){
		.name = "the good token for our key", .expect = "", .ask_key = true});
	cases_form();
	cases_signature();
	cases_header();
	cases_keys();
	cases_claims();
	cases_policy();
}

void
token_cases_done(void)
{
	for (size_t i = 0; i < n_jwks; i++)
		vs_jwks_unref(jwks_kept[i]);
	for (size_t i = 0; i < n_policies; i++)
		vs_policy_unref(policy_kept[i]);
	n_jwks = n_policies = n_vars = 0;
	free(token_cases);
	token_cases = NULL;
	token_cases_n = 0;
	forge_done();
}

void
token_case_inputs(const struct token_case *c, struct vs_validate_in *in, struct vs_buf *hex)
{
	struct vs_err err = {0};
	*in = (struct vs_validate_in){
		.token = c->token,
		.jwks = c->jwks,
		.issuer = c->issuer,
		.policy = c->policy,
		.at_unix = c->at,
		.skew_s = 60,
		.world = c->world,
		.key = c->ask_key ? &transport : NULL,
	};
	vs_buf_reset(hex);
	assert_ok(vs_nonce_from_text(c->nonce, hex, in, &err), &err);
}
