/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tokens that the real service issued, against its real key sets. With a folder as argument the
 * same is done for recordings that may not be distributed.
 */
#include "unit/tokenkit.h"

struct real {
	const char *token, *jwks, *issuer;
	int64_t at;
	const char *nonce;
	const char *policy_claim, *policy_value;
	const char *refused; /* rules, "" for accepted */
};

static const char wus[] = "https://sharedwus.wus.attest.azure.net";
static const char eus[] = "https://sharedeus.eus.attest.azure.net";
#define TEE "x-ms-isolation-tee.x-ms-attestation-type"
#define LINUX "tokens/azurevm-linux-snp-sharedwus-2022-09-07.jwt"
#define WUS "jwks/sharedwus-2022-11.json"
#define EUS "jwks/sharedeus-2023-09.json"

static const struct real cases[] = {
	{LINUX, WUS, wus, 1662584747, "1234", TEE, "sevsnpvm", ""},
	{LINUX, WUS, "https://sharedwus.wus.attest.azure.net/", 1662584747, "1234", TEE, "sevsnpvm",
		""},
	{LINUX, WUS, wus, 1662584747, "31323334", TEE, "sevsnpvm", ""},
	{LINUX, WUS, wus, 1662613487 + 59, "1234", TEE, "sevsnpvm", ""},
	{LINUX, WUS, wus, 1662613487 + 60, "1234", TEE, "sevsnpvm", "A11"},
	{LINUX, WUS, wus, 1662584687 - 60, "1234", TEE, "sevsnpvm", ""},
	{LINUX, WUS, wus, 1662584687 - 61, "1234", TEE, "sevsnpvm", "A11 A11"},
	{LINUX, WUS, wus, 1662584747, "1235", TEE, "sevsnpvm", "A14"},
	{LINUX, WUS, wus, 1662584747, "MTIzNA==", TEE, "sevsnpvm", "A14"},
	{LINUX, WUS, wus, 1662584747, "1234", TEE, "tdxvm", "A16"},
	{LINUX, WUS, wus, 1662584747, "1234", "x-ms-compliance-status", "azure-compliant-cvm",
		"A16"},
	{LINUX, WUS, eus, 1662584747, "1234", TEE, "sevsnpvm", "A6"},
	{LINUX, EUS, wus, 1662584747, "1234", TEE, "sevsnpvm", "A8"},
	{LINUX, "jwks/2020-get.certs.response.body.json", wus, 1662584747, "1234", TEE, "sevsnpvm",
		"A8"},
	/* real tokens without a nonce of the caller's are never good enough */
	{"tokens/sgx-sharedwus-2022-11.jwt", WUS, wus, 1668649308, "x", "tee", "sgx", "A14 A15"},
	{"tokens/sgx-runtimejson-sharedwus-2022-11.jwt", WUS, wus, 1668649311, "x", "tee", "sgx",
		"A14 A15"},
	{"tokens/sgx-sharedeus-2023-09-26.jwt", EUS, eus, 1695737807, "x", "tee", "sgx", "A14"},
	{"tokens/sgx-sharedeus-2023-09-26.jwt", WUS, eus, 1695737807, "x", "tee", "sgx", "A8"},
	{"tokens/sgx-draftpolicy-algnone-2022-11.jwt", WUS, wus, 1668649310, "x", "tee", "sgx",
		"A2"},
	{"tokens/azurevm-windows-trustedlaunch-sharedeus2-2022-04-14.jwt", WUS,
		"https://sharedeus2.eus2.attest.azure.net", 1649979840, "x", "secureboot", "true",
		"A8"},
	{"tokens/azurevm-windows-snp-sharedweu-2023-03-30.jwt", WUS,
		"https://sharedweu.weu.attest.azure.net", 1680173434, "ADE0101", TEE, "sevsnpvm",
		"A8"},
	{"tokens/sevsnpvm-sharedweu.test-2025-04.jwt", WUS,
		"https://sharedweu.weu.test.attest.azure.net", 1744085760, "x",
		"x-ms-attestation-type", "sevsnpvm", "A8"},
	{"tokens/tpm-x5c-chain-2025.jwt", WUS, "https://prakharnoauthtest.eus.attest.azure.net",
		1738083096, "UkVQTEFDRSBXSVRIIFJQIE5PTkNF", "nonce", "x", "A4"},
};

/* Only in the folder of recordings without an open licence. */
static const struct real more[] = {
	{"tokens/azurevm-windows-snp-sharedweu-2023-03-30.jwt",
		"jwks/public-keys-weu-2025.jwk.json", "https://sharedweu.weu.attest.azure.net",
		1680173434, "ADE0101", TEE, "sevsnpvm", ""},
	{"tokens/tdxvm-bound-sharedwus-2026-10-08.jwt", WUS, wus, 1791499336, "x",
		"x-ms-attestation-type", "tdxvm", "A14"},
};

static const char *folder;

static void
run(const struct real *c)
{
	char path[1024], text[1024], rules[256];
	struct vs_err err = {0};
	struct vs_validate_in in = {.issuer = c->issuer, .at_unix = c->at, .skew_s = 60};
	VS_CLEANUP(vs_buf_done) struct vs_buf hex = {0};
	VS_CLEANUP(vs_jwks_unrefp) struct vs_jwks *jwks = NULL;
	VS_CLEANUP(vs_policy_unrefp) struct vs_policy *policy = NULL;

	snprintf(path, sizeof path, "%s/%s", folder, c->token);
	VS_CLEANUP(vs_buf_done) struct vs_buf token = kit_file(path);
	snprintf(path, sizeof path, "%s/%s", folder, c->jwks);
	VS_CLEANUP(vs_buf_done) struct vs_buf keys = kit_file(path);
	snprintf(text, sizeof text,
		"{\"version\":\"1.0.0\",\"anyOf\":[{\"authority\":\"%s\",\"allOf\":"
		"[{\"claim\":\"%s\",\"equals\":\"%s\"}]}]}",
		c->issuer, c->policy_claim, c->policy_value);
	assert_ok(vs_jwks_parse(vs_buf_view(&keys), &jwks, &err), &err);
	assert_ok(vs_policy_parse(vs_bytes_str(text), &policy, &err), &err);
	assert_ok(vs_nonce_from_text(c->nonce, &hex, &in, &err), &err);
	in.token = vs_buf_view(&token);
	in.jwks = jwks;
	in.policy = policy;
	kit_rules(&in, rules, sizeof rules);
	if (strcmp(rules, c->refused) != 0)
		fail_msg("%s at %lld with nonce %s: refused by \"%s\", expected \"%s\"", c->token,
			(long long)c->at, c->nonce, rules, c->refused);
}

static void
real_tokens_get_the_verdicts_of_the_profile(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		run(&cases[i]);
}

static void
every_changed_byte_of_a_real_token_is_refused(void **state)
{
	(void)state;
	char path[1024], rules[256];
	struct vs_err err = {0};
	struct vs_validate_in in = {.issuer = wus, .at_unix = 1662584747, .skew_s = 60};
	VS_CLEANUP(vs_buf_done) struct vs_buf hex = {0};
	VS_CLEANUP(vs_jwks_unrefp) struct vs_jwks *jwks = NULL;
	VS_CLEANUP(vs_policy_unrefp) struct vs_policy *policy = NULL;
	snprintf(path, sizeof path, "%s/%s", folder, LINUX);
	VS_CLEANUP(vs_buf_done) struct vs_buf token = kit_file(path);
	snprintf(path, sizeof path, "%s/%s", folder, WUS);
	VS_CLEANUP(vs_buf_done) struct vs_buf keys = kit_file(path);
	assert_ok(vs_jwks_parse(vs_buf_view(&keys), &jwks, &err), &err);
	assert_ok(vs_policy_parse(
			  vs_bytes_str("{\"version\":\"1.0.0\",\"anyOf\":[{\"authority\":"
				       "\"https://sharedwus.wus.attest.azure.net/\",\"allOf\":[{"
				       "\"claim\":\"secureboot\",\"equals\":true}]}]}"),
			  &policy, &err),
		&err);
	assert_ok(vs_nonce_from_text("1234", &hex, &in, &err), &err);
	in.jwks = jwks;
	in.policy = policy;
	in.token = vs_buf_view(&token);
	assert_string_equal(kit_rules(&in, rules, sizeof rules), "");
	for (size_t i = 0; i < token.n; i++) {
		token.p[i] ^= 0x01;
		if (kit_rules(&in, rules, sizeof rules)[0] == '\0')
			fail_msg("accepted with byte %zu changed", i);
		token.p[i] ^= 0x01;
		in.token.n = i;
		if (kit_rules(&in, rules, sizeof rules)[0] == '\0')
			fail_msg("accepted when cut at %zu", i);
		in.token.n = token.n;
	}
}

static void
recordings_outside_the_tree_get_their_verdicts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof more / sizeof more[0]; i++)
		run(&more[i]);
}

int
main(int argc, char **argv)
{
	static char own[1024];
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(real_tokens_get_the_verdicts_of_the_profile),
		cmocka_unit_test(every_changed_byte_of_a_real_token_is_refused),
	};
	const struct CMUnitTest outside[] = {
		cmocka_unit_test(real_tokens_get_the_verdicts_of_the_profile),
		cmocka_unit_test(recordings_outside_the_tree_get_their_verdicts),
	};
	snprintf(own, sizeof own, "%s/tests/data/maa", VS_TEST_SRCDIR);
	folder = argc > 1 ? argv[1] : own;
	return argc > 1 ? cmocka_run_group_tests(outside, NULL, NULL)
			: cmocka_run_group_tests(tests, NULL, NULL);
}
