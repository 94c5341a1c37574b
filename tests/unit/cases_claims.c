/* SPDX-License-Identifier: BSD-2-Clause */
/* Classes 8 to 10: issuer, times, audience, kind, nonce, floor, our key, lab or production. */
#include <inttypes.h>

#include "unit/token_cases.h"

#define P53 "9007199254740992"

/* One claim changed; value NULL: without it. */
static const struct {
	const char *claim, *value, *expect;
} changed[] = {
	/* issuer */
	{"iss", NULL, "A10"},
	{"iss", "null", "A10"},
	{"iss", "5", "A10"},
	{"iss", "[\"" ISSUER "\"]", "A10"},
	{"iss", "{\"iss\":\"" ISSUER "\"}", "A10"},
	{"iss", "\"\"", "A10"},
	{"iss", "\"" ISSUER "/\"", "A10"},
	{"iss", "\"" ISSUER "//\"", "A10"},
	{"iss", "\" " ISSUER "\"", "A10"},
	{"iss", "\"" ISSUER " \"", "A10"},
	{"iss", "\"" ISSUER "\\n\"", "A10"},
	{"iss", "\"https://LAB7.weu.attest.example\"", "A10"},
	{"iss", "\"HTTPS://lab7.weu.attest.example\"", "A10"},
	{"iss", "\"http://lab7.weu.attest.example\"", "A10"},
	{"iss", "\"https://lab7.weu.attest.example:443\"", "A10"},
	{"iss", "\"https://lab7.weu.attest.example.\"", "A10"},
	{"iss", "\"https://lab7.weu.attest.exampl\"", "A10"},
	{"iss", "\"https://lab7.weu.attest.example.evil.test\"", "A10"},
	{"iss", "\"https://evil.test/https://lab7.weu.attest.example\"", "A10"},
	{"iss", "\"lab7.weu.attest.example\"", "A10"},
	{"iss", "\"https://other.weu.attest.example\"", "A10"},
	{"iss", "\"https://lab7.weu.attest.examp\\u006ce\"", ""},
	{"iss", "\"https:\\/\\/lab7.weu.attest.example\"", ""},
	/* expiry: now is 1790000100 */
	{"exp", NULL, "A11"},
	{"exp", "null", "A11"},
	{"exp", "\"1790028800\"", "A11"},
	{"exp", "1790028800.0", "A11"},
	{"exp", "1.7900288e9", "A11"},
	{"exp", "true", "A11"},
	{"exp", "[1790028800]", "A11"},
	{"exp", "0", "A11"},
	{"exp", "-1", "A11"},
	{"exp", "-1790028800", "A11"},
	{"exp", "1790000040", "A11"},
	{"exp", "1790000041", ""},
	{"exp", "1790000099", ""},
	{"exp", "1", "A11"},
	{"exp", P53, "A11"},
	{"exp", "9007199254740991", "A11"},
	{"exp", "9223372036854775807", "A11"},
	{"exp", "1790028800000", "A11"},
	{"exp", "4294967296", "A11"},
	{"exp", "1790086400", ""},
	{"exp", "1790086401", "A11"},
	{"exp", "1790000000", "A11"},
	/* not before */
	{"nbf", NULL, "A11"},
	{"nbf", "null", "A11"},
	{"nbf", "\"1790000000\"", "A11"},
	{"nbf", "1790000000.5", "A11"},
	{"nbf", "false", "A11"},
	{"nbf", "{}", "A11"},
	{"nbf", "0", "A11"},
	{"nbf", "-5", "A11"},
	{"nbf", "1", ""},
	{"nbf", "1790000160", ""},
	{"nbf", "1790000161", "A11"},
	{"nbf", "1790028800", "A11"},
	{"nbf", "9223372036854775807", "A11"},
	{"nbf", P53, "A11"},
	/* time of issue */
	{"iat", NULL, "A11"},
	{"iat", "null", "A11"},
	{"iat", "\"1790000000\"", "A11"},
	{"iat", "1790000000.0", "A11"},
	{"iat", "true", "A11"},
	{"iat", "[]", "A11"},
	{"iat", "0", "A11"},
	{"iat", "-1790000000", "A11"},
	{"iat", "1790000160", ""},
	{"iat", "1790000161", "A11"},
	{"iat", "1789942400", ""},
	{"iat", "1789942399", "A11"},
	{"iat", "1", "A11"},
	{"iat", P53, "A11"},
	{"iat", "9223372036854775807", "A11"},
	/* audience */
	{"aud", "\"https://vault.azure.net\"", "A12"},
	{"aud", "\"\"", "A12"},
	{"aud", "null", "A12"},
	{"aud", "[]", "A12"},
	{"aud", "[\"" ISSUER "\"]", "A12"},
	{"aud", "\"" ISSUER "\"", "A12"},
	{"aud", "false", "A12"},
	{"AUD", "\"x\"", ""},
	{"sub", "\"x\"", ""},
	/* kind */
	{"x-ms-attestation-type", NULL, "A13"},
	{"x-ms-attestation-type", "\"\"", "A13"},
	{"x-ms-attestation-type", "null", "A13"},
	{"x-ms-attestation-type", "5", "A13"},
	{"x-ms-attestation-type", "[\"azurevm\"]", "A13"},
	{"x-ms-attestation-type", "{}", "A13"},
	{"x-ms-ver", NULL, "A13"},
	{"x-ms-ver", "null", "A13"},
	{"x-ms-ver", "\"\"", "A13"},
	{"x-ms-ver", "\"1\"", "A13"},
	{"x-ms-ver", "\"1.0 \"", "A13"},
	{"x-ms-ver", "\"1.1\"", "A13"},
	{"x-ms-ver", "\"2.0\"", "A13"},
	{"x-ms-ver", "1.0", "A13"},
	{"x-ms-ver", "1", "A13"},
	{"x-ms-ver", "[\"1.0\"]", "A13"},
	/* another type looks for its nonce elsewhere */
	{"x-ms-attestation-type", "\"sevsnpvm\"", "A14"},
	{"x-ms-attestation-type", "\"AzureVM\"", "A14"},
	{"x-ms-attestation-type", "\"azurevm \"", "A14"},
	/* claims that do not matter */
	{"jti", NULL, ""},
	{"x-ms-policy-hash", NULL, ""},
	{"x-ms-policy", "{\"a\":1}", ""},
	{"secureboot", "\"false\"", ""},
	/* hardware claims that are no object */
	{"x-ms-isolation-tee", "null", "A15"},
	{"x-ms-isolation-tee", "\"sevsnpvm\"", "A15"},
	{"x-ms-isolation-tee", "[{\"x-ms-attestation-type\":\"sevsnpvm\"}]", "A15"},
	{"x-ms-isolation-tee", "true", "A15"},
	{"x-ms-isolation-tee", NULL, "A16"},
	{"x-ms-isolation-tee", "{}", "A16"},
};

static void
add_claims(const char *name, size_t i, const struct claim *c, size_t n, const char *expect)
{
	case_add((struct token_case){.name = numbered(name, i),
		.expect = expect,
		.token = signed_token(HEADER, claims_with(c, n))});
}

static void
changed_cases(void)
{
	for (size_t i = 0; i < sizeof changed / sizeof changed[0]; i++) {
		const struct claim c = {changed[i].claim, changed[i].value};
		add_claims(changed[i].claim, i, &c, 1, changed[i].expect);
	}
	/* an answer of the policy service: right key, right issuer, another kind of statement */
	const struct claim management[] = {{"x-ms-attestation-type", NULL},
		{"x-ms-isolation-tee", NULL}, {"x-ms-runtime", NULL},
		{"x-ms-policy-result", "\"Updated\""}, {"exp", "1790003600"}};
	add_claims("policy management", 0, management, 5, "A13");
	/* the same where everything else would fit */
	const struct claim untyped[] = {
		{"x-ms-attestation-type", NULL}, {"nonce", "\"" NONCE_HEX "\""}};
	add_claims("no type, but a nonce", 0, untyped, 2, "A13");
	const struct claim stranger = {"iss", "\"https://stranger.attest.example\""};
	case_add((struct token_case){.name = "a stranger's provider with the same key",
		.expect = "A10",
		.token = signed_token(
			"{\"alg\":\"RS256\",\"kid\":\"" KID "\"}", claims_with(&stranger, 1)),
		.policy = policy_of(
			"{\"version\":\"1.0.0\",\"anyOf\":[{\"authority\":"
			"\"https://stranger.attest.example\",\"allOf\":[{\"claim\":\"secureboot\","
			"\"equals\":true}]}]}")});
	const struct claim no_object = {"x-ms-isolation-tee", "[]"};
	case_add((struct token_case){.name = "hardware claims are a list",
		.expect = "A15",
		.token = signed_token(HEADER, claims_with(&no_object, 1)),
		.policy =
			policy_of("{\"version\":\"1.0.0\",\"anyOf\":[{\"authority\":\"" ISSUER
				  "\",\"allOf\":[{\"claim\":\"secureboot\",\"equals\":true}]}]}")});
	const struct claim twisted[] = {
		{"nbf", "1790000050"}, {"iat", "1790000050"}, {"exp", "1790000050"}};
	add_claims("times that are the same", 0, twisted, 3, "A11");
	const struct claim backwards[] = {{"nbf", "1790000060"}, {"exp", "1790000050"}};
	add_claims("expiry before not-before", 0, backwards, 2, "A11");
}

/* Edges of the allowance, seen from the clock's side; and what the caller configured. */
static void
clock_cases(void)
{
	static const struct {
		int64_t at;
		const char *expect;
	} rows[] = {{IAT - 61, "A11"}, {IAT - 60, ""}, {IAT, ""}, {EXP - 1, ""}, {EXP, ""},
		{EXP + 59, ""}, {EXP + 60, "A11"}, {1, "A11"}, {-1, "A11"}, {INT64_MAX, "A11"},
		{INT64_MIN, "A11"}, {EXP + 4294967296, "A11"}};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		case_add((struct token_case){
			.name = numbered("clock", i), .expect = rows[i].expect, .at = rows[i].at});
	static const struct {
		const char *issuer, *expect;
	} issuers[] = {{ISSUER "/", ""}, {ISSUER "//", "A10"}, {ISSUER "/x", "A10"}, {"", "A6"},
		{"/", "A6"}, {"https://other.attest.example", "A6"},
		{"https://LAB7.weu.attest.example", "A10"},
		{"http://lab7.weu.attest.example", "A6"}};
	for (size_t i = 0; i < sizeof issuers / sizeof issuers[0]; i++)
		case_add((struct token_case){.name = numbered("configured issuer", i),
			.expect = issuers[i].expect,
			.issuer = issuers[i].issuer});
}

/* ---- nonce -------------------------------------------------------------------------------- */

/* The whole of x-ms-runtime for an azurevm token. */
static const struct {
	const char *runtime, *nonce, *expect;
} nonces[] = {
	{"{\"client-payload\":{\"nonce\":\"" NONCE_B64 "\"}}", NONCE_HEX, ""},
	{"{\"client-payload\":{\"nonce\":\"" NONCE_B64 "\",\"more\":\"eA==\"}}", NONCE_HEX, ""},
	{"{\"client-payload\":{\"nonce\":\"MTIzNA==\"}}", "1234", ""},
	{"{\"client-payload\":{\"nonce\":\"EjQ=\"}}", "1234", ""},
	{"{\"client-payload\":{\"nonce\":\"EjQ=\"}}", "1234 ", "A14"},
	{"{\"client-payload\":{\"nonce\":\"q83v\"}}", "abcdef", ""},
	{"{\"client-payload\":{\"nonce\":\"q83v\"}}", "ABCDEF", ""},
	{"{\"client-payload\":{\"nonce\":\"YWJjZGVm\"}}", "abcdef", ""},
	{"{\"client-payload\":{\"nonce\":\"YWJjZGVm\"}}", "ABCDEF", "A14"},
	{"{\"client-payload\":{\"nonce\":\"YWJj\"}}", "abc", ""},
	{"{\"client-payload\":{\"nonce\":\"q8==\"}}", "abc", "A14"},
	{"{\"client-payload\":{\"nonce\":\"c29tZSB0ZXh0\"}}", "some text", ""},
	{"{\"client-payload\":{\"nonce\":\"c29tZSB0ZXh0\"}}", "some text2", "A14"},
	{"{\"client-payload\":{\"nonce\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh4=\"}}",
		NONCE_HEX, "A14"},
	{"{\"client-payload\":{\"nonce\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==\"}}",
		NONCE_HEX, "A14"},
	{"{\"client-payload\":{\"nonce\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8A\"}}",
		NONCE_HEX, "A14"},
	{"{\"client-payload\":{\"nonce\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\"}}",
		NONCE_HEX, "A14"},
	{"{\"client-payload\":{\"nonce\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=\"}}",
		NONCE_HEX, "A14"},
	{"{\"client-payload\":{\"nonce\":\"" NONCE_B64 "\\n\"}}", NONCE_HEX, "A14"},
	{"{\"client-payload\":{\"nonce\":\" " NONCE_B64 "\"}}", NONCE_HEX, "A14"},
	{"{\"client-payload\":{\"nonce\":\"" NONCE_HEX "\"}}", NONCE_HEX, "A14"},
	{"{\"client-payload\":{\"nonce\":\"--__\"}}", "fbefff", "A14"},
	{"{\"client-payload\":{\"nonce\":\"++//\"}}", "fbefff", ""},
	{"{\"client-payload\":{\"nonce\":\"\"}}", NONCE_HEX, "A14"},
	{"{\"client-payload\":{\"nonce\":null}}", NONCE_HEX, "A14"},
	{"{\"client-payload\":{\"nonce\":5}}", NONCE_HEX, "A14"},
	{"{\"client-payload\":{\"nonce\":[\"" NONCE_B64 "\"]}}", NONCE_HEX, "A14"},
	{"{\"client-payload\":{\"nonce\":{\"nonce\":\"" NONCE_B64 "\"}}}", NONCE_HEX, "A14"},
	{"{\"client-payload\":{\"Nonce\":\"" NONCE_B64 "\"}}", NONCE_HEX, "A14"},
	{"{\"client-payload\":{}}", NONCE_HEX, "A14"},
	{"{\"client-payload\":\"" NONCE_B64 "\"}", NONCE_HEX, "A14"},
	{"{\"client-payload\":[{\"nonce\":\"" NONCE_B64 "\"}]}", NONCE_HEX, "A14"},
	{"{\"client-payload\":null}", NONCE_HEX, "A14"},
	{"{\"nonce\":\"" NONCE_B64 "\"}", NONCE_HEX, "A14"},
	{"{\"client-payload.nonce\":\"" NONCE_B64 "\"}", NONCE_HEX, "A14"},
	{"{}", NONCE_HEX, "A14"},
	{"null", NONCE_HEX, "A14"},
	{"\"" NONCE_B64 "\"", NONCE_HEX, "A14"},
	{"[{\"client-payload\":{\"nonce\":\"" NONCE_B64 "\"}}]", NONCE_HEX, "A14"},
	{NULL, NONCE_HEX, "A14"},
};

/* The top-level nonce of another type, and the argument. */
static const struct {
	const char *value, *nonce, *expect;
} other_nonces[] = {
	{"\"" NONCE_HEX "\"", NONCE_HEX, ""},
	{"\"n-1\"", "n-1", ""},
	{"\"ABCD\"", "ABCD", ""},
	{"\"ABCD\"", "abcd", "A14"},
	{"\"\\u0041BCD\"", "ABCD", ""},
	{"\"n-1 \"", "n-1", "A14"},
	{"\"n-\"", "n-1", "A14"},
	{"\"" NONCE_B64 "\"", NONCE_HEX, "A14"},
	{"\"q80=\"", "abcd", "A14"},
	{"\"\"", "n-1", "A14"},
	{"null", "n-1", "A14"},
	{"1234", "1234", "A14"},
	{"[\"n-1\"]", "n-1", "A14"},
	{NULL, "n-1", "A14"},
};

static void
nonce_cases(void)
{
	for (size_t i = 0; i < sizeof nonces / sizeof nonces[0]; i++) {
		const struct claim c = {"x-ms-runtime", nonces[i].runtime};
		case_add((struct token_case){.name = numbered("nonce", i),
			.expect = nonces[i].expect,
			.nonce = nonces[i].nonce,
			.token = signed_token(HEADER, claims_with(&c, 1))});
	}
	/* the nonce in places where nobody may look */
	const struct claim top[] = {{"x-ms-runtime", "{}"}, {"nonce", "\"" NONCE_B64 "\""},
		{"client-payload", "{\"nonce\":\"" NONCE_B64 "\"}"}};
	add_claims("nonce elsewhere", 0, top, 3, "A14");
	const struct claim tee[] = {{"x-ms-runtime", "{}"},
		{"x-ms-isolation-tee",
			"{\"x-ms-attestation-type\":\"sevsnpvm\",\"x-ms-compliance-status\":"
			"\"azure-compliant-cvm\",\"x-ms-runtime\":{\"client-payload\":{\"nonce\":"
			"\"" NONCE_B64 "\"}}}"}};
	add_claims("nonce elsewhere", 1, tee, 2, "A14");
	for (size_t i = 0; i < sizeof other_nonces / sizeof other_nonces[0]; i++) {
		const struct claim c[] = {{"x-ms-attestation-type", "\"sevsnpvm\""},
			{"nonce", other_nonces[i].value}};
		case_add((struct token_case){.name = numbered("nonce of another type", i),
			.expect = other_nonces[i].expect,
			.nonce = other_nonces[i].nonce,
			.token = signed_token(HEADER, claims_with(c, 2))});
	}
	/* an old exchange's token */
	case_add((struct token_case){.name = "stale token",
		.expect = "A14",
		.nonce = "1f1e1d1c1b1a191817161514131211100f0e0d0c0b0a09080706050403020100"});
}

/* ---- floor -------------------------------------------------------------------------------- */

static const struct {
	const char *claim, *good;
	const char *bad[12];
} floors[] = {
	{"x-ms-sevsnpvm-is-debuggable", "false",
		{"true", "null", "0", "1", "\"false\"", "\"true\"", "\"\"", "[]", "[false]", "{}"}},
	{"x-ms-sevsnpvm-migration-allowed", "false",
		{"true", "null", "0", "1", "\"false\"", "\"\"", "[]", "{}"}},
	{"tdx_td_attributes_debug", "false",
		{"true", "null", "0", "1", "\"false\"", "\"\"", "[]", "{}"}},
	{"x-ms-sgx-is-debuggable", "false",
		{"true", "null", "0", "1", "\"false\"", "\"\"", "[]", "{}"}},
	{"x-ms-sevsnpvm-vmpl", "0",
		{"1", "2", "3", "-1", "4294967296", "0.0", "false", "null", "\"0\"", "\"\"", "[0]",
			"{}"}},
	{"dbgstat", "\"disabled\"",
		{"\"enabled\"", "\"Disabled\"", "\"disabled \"", "\"disabled-since-boot\"", "\"\"",
			"false", "0", "null", "[\"disabled\"]", "{}"}},
};

static void
add_floor(const char *claim, const char *value, bool tee, const char *expect)
{
	char text[400];
	snprintf(text, sizeof text,
		"{\"x-ms-attestation-type\":\"sevsnpvm\",\"x-ms-compliance-status\":"
		"\"azure-compliant-cvm\",\"%s\":%s}",
		claim, value);
	const struct claim c = {tee ? "x-ms-isolation-tee" : claim, tee ? text : value};
	add_claims(tee ? "floor, hardware" : "floor", 0, &c, 1, expect);
}

static void
floor_cases(void)
{
	for (size_t i = 0; i < sizeof floors / sizeof floors[0]; i++) {
		for (int tee = 0; tee < 2; tee++) {
			add_floor(floors[i].claim, floors[i].good, tee != 0, "");
			for (size_t k = 0; k < 12 && floors[i].bad[k] != NULL; k++)
				add_floor(floors[i].claim, floors[i].bad[k], tee != 0, "A15");
		}
	}
}

/* ---- our key ------------------------------------------------------------------------------ */

#define OURS "\"kty\":\"RSA\",\"n\":\"$n_transport$\",\"e\":\"AQAB\""
#define THEIRS "\"kty\":\"RSA\",\"n\":\"$n_foreign$\",\"e\":\"AQAB\""
static const struct {
	const char *keys, *expect;
} own_keys[] = {
	{"[{" OURS ",\"key_ops\":[\"encrypt\"]}]", ""},
	{"[{" OURS ",\"use\":\"enc\"}]", ""},
	{"[{" OURS ",\"key_use\":\"enc\"}]", ""},
	{"[{" OURS ",\"key_ops\":[\"encrypt\",\"verify\"],\"kid\":\"TpmEphemeralEncryptionKey\"}]",
		""},
	{"[{" THEIRS ",\"key_ops\":[\"sign\"]},{" OURS ",\"key_ops\":[\"encrypt\"]}]", ""},
	{"[{\"kty\":\"EC\",\"key_ops\":[\"encrypt\"]},{" OURS ",\"use\":\"enc\"}]", ""},
	{"[{" THEIRS ",\"key_ops\":[\"encrypt\"]}]", "T-A2"},
	{"[{" THEIRS ",\"key_ops\":[\"encrypt\"]},{" OURS ",\"key_ops\":[\"encrypt\"]}]", "T-A2"},
	{"[{" OURS ",\"key_ops\":[\"encrypt\"]},{" THEIRS ",\"key_ops\":[\"encrypt\"]}]", "T-A2"},
	{"[{" OURS ",\"key_ops\":[\"encrypt\"]},{" THEIRS ",\"use\":\"enc\"}]", "T-A2"},
	{"[{" OURS ",\"key_ops\":[\"encrypt\"]},{" OURS ",\"key_ops\":[\"encrypt\"]}]", "T-A2"},
	{"[{" OURS "}]", "T-A2"},
	{"[{" OURS ",\"key_ops\":[\"sign\"]}]", "T-A2"},
	{"[{" OURS ",\"key_ops\":[\"Encrypt\"]}]", "T-A2"},
	{"[{" OURS ",\"key_ops\":\"encrypt\"}]", "T-A2"},
	{"[{" OURS ",\"use\":\"sig\"}]", "T-A2"},
	{"[{\"kty\":\"RSA\",\"n\":\"$n_transport$\",\"e\":\"$e17$\",\"use\":\"enc\"}]", "T-A2"},
	{"[{\"kty\":\"RSA\",\"n\":\"$n_transport$\",\"use\":\"enc\"}]", "T-A2"},
	{"[{\"kty\":\"RSA\",\"n\":\"$n_transport$=\",\"e\":\"AQAB\",\"use\":\"enc\"}]", "T-A2"},
	{"[{\"kty\":\"RSA\",\"n\":5,\"e\":\"AQAB\",\"use\":\"enc\"}]", "T-A2"},
	{"[{\"kty\":\"RSA\",\"n\":\"$n_weak$\",\"e\":\"AQAB\",\"use\":\"enc\"}]", "T-A2"},
	{"[{\"kty\":\"EC\",\"n\":\"$n_transport$\",\"e\":\"AQAB\",\"use\":\"enc\"}]", "T-A2"},
	{"[]", "T-A2"},
	{"{}", "T-A2"},
	{"null", "T-A2"},
	{"\"$n_transport$\"", "T-A2"},
	{"{\"0\":{" OURS ",\"use\":\"enc\"}}", "T-A2"},
	{"[[{" OURS ",\"use\":\"enc\"}]]", "T-A2"},
};

static void
own_key_cases(void)
{
	for (size_t i = 0; i < sizeof own_keys / sizeof own_keys[0]; i++) {
		const struct forge_var v[] = {{"keys", own_keys[i].keys}};
		const struct vs_bytes runtime = forge_expand(
			"{\"client-payload\":{\"nonce\":\"" NONCE_B64 "\"},\"keys\":$keys$}", v, 1);
		const struct claim c = {"x-ms-runtime", (const char *)runtime.p};
		case_add((struct token_case){.name = numbered("our key", i),
			.ask_key = true,
			.expect = own_keys[i].expect,
			.token = signed_token(HEADER, claims_with(&c, 1))});
	}
	const struct claim none = {
		"x-ms-runtime", "{\"client-payload\":{\"nonce\":\"" NONCE_B64 "\"}}"};
	case_add((struct token_case){.name = "no keys in the token",
		.ask_key = true,
		.expect = "T-A2",
		.token = signed_token(HEADER, claims_with(&none, 1))});
}

/* ---- lab or production -------------------------------------------------------------------- */

static void
world_cases(void)
{
	static const struct {
		const char *claim, *value;
		enum vs_token_world world;
		const char *expect;
	} rows[] = {
		{"vouchsafe-lab", "true", VS_WORLD_PRODUCTION, "T-L1"},
		{"vouchsafe-lab", "false", VS_WORLD_PRODUCTION, "T-L1"},
		{"vouchsafe-lab", "null", VS_WORLD_PRODUCTION, "T-L1"},
		{"x-ms-policy", "{\"vouchsafe-lab\":true}", VS_WORLD_PRODUCTION, "T-L1"},
		{"x-ms-policy", "{\"vouchsafe-lab\":0}", VS_WORLD_PRODUCTION, "T-L1"},
		{"x-ms-policy", "{\"other\":true}", VS_WORLD_PRODUCTION, ""},
		{"vouchsafe-lab", "true", VS_WORLD_LAB, ""},
		{"vouchsafe-lab", "true", VS_WORLD_EITHER, ""},
		{"vouchsafe-lab", "false", VS_WORLD_LAB, "T-L1"},
		{"vouchsafe-lab", "\"true\"", VS_WORLD_LAB, "T-L1"},
		{"vouchsafe-lab", "1", VS_WORLD_LAB, "T-L1"},
		{"x-ms-policy", "{\"vouchsafe-lab\":true}", VS_WORLD_LAB, "T-L1"},
		{"vouchsafe-lab", NULL, VS_WORLD_LAB, "T-L1"},
		{"vouchsafe-lab", NULL, VS_WORLD_EITHER, ""},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct claim c = {rows[i].claim, rows[i].value};
		case_add((struct token_case){.name = numbered("lab or production", i),
			.expect = rows[i].expect,
			.world = rows[i].world,
			.token = signed_token(HEADER, claims_with(&c, 1))});
	}
}

void
cases_claims(void)
{
	changed_cases();
	clock_cases();
	nonce_cases();
	floor_cases();
	own_key_cases();
	world_cases();
}
