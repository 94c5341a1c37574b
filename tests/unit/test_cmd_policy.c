/* SPDX-License-Identifier: BSD-2-Clause */
/* vouchsafe policy test, hash, diff, record, on real tokens and policies. */
#include "base/codec.h"
#include "tools/cmd.h"
#include "unit/clirun.h"
#include "unit/tokenkit.h"

static struct cli_result r;
static char token[512];

static void
run(const char *a, const char *b, const char *c, const char *d)
{
	const char *const words[] = {"policy", a, b, c, d, NULL};
	cli_run(vs_cmd_policy, words, &r);
}

static const char *
text_file(const char *name, const char *text)
{
	return cli_file(name, vs_bytes_str(text));
}

static void
a_recorded_policy_is_met_by_its_token(void **state)
{
	static const char *const tokens[] = {"azurevm-linux-snp-sharedwus-2022-09-07.jwt",
		"azurevm-windows-snp-sharedweu-2023-03-30.jwt", "sgx-sharedeus-2023-09-26.jwt",
		"sevsnpvm-sharedweu.test-2025-04.jwt"};
	(void)state;
	for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
		char path[512];
		snprintf(path, sizeof path, "%s/tests/data/maa/tokens/%s", VS_TEST_SRCDIR,
			tokens[i]);
		for (int m = 0; m < 2; m++) {
			/* A draft is valid nowhere, whatever is asked of it. */
			run("record", path, m == 0 ? NULL : "--measurements", NULL);
			assert_int_equal(r.exit_code, 0);
			assert_non_null(strstr(r.err, "this is a draft"));
			const char *draft = text_file("draft", r.out);
			run("test", path, "--policy", draft);
			assert_int_equal(r.exit_code, 2);
			assert_non_null(strstr(r.err, "draft that nobody has reviewed"));
			run("record", path, "--reviewed", m == 0 ? NULL : "--measurements");
			assert_int_equal(r.exit_code, 0);
			assert_null(strstr(r.err, "this is a draft"));
			const char *policy = text_file("recorded", r.out);
			run("test", path, "--policy", policy);
			assert_int_equal(r.exit_code, 0);
			assert_non_null(strstr(r.out, "result: met"));
			assert_null(strstr(r.out, "NOT MET"));
			assert_null(strstr(r.out, "warning"));
			/* and by no other's */
			run("test", strcmp(path, token) == 0 ? path : token, "--policy", policy);
			assert_int_equal(r.exit_code, strcmp(path, token) == 0 ? 0 : 1);
		}
	}
}

static void
what_is_left_out_of_a_recorded_policy_is_said_with_the_reason(void **state)
{
	static const char *const lines[] = {"left out: iat: it changes with every token\n",
		"left out: jti: it changes with every token\n",
		"left out: x-ms-runtime: the machine itself chooses what stands there\n",
		"left out: x-ms-isolation-tee.x-ms-sevsnpvm-reportdata: it changes",
		"left out: x-ms-isolation-tee.x-ms-sevsnpvm-snpfw-svn: it grows with updates",
		"x-ms-sevsnpvm-launchmeasurement: it changes with every update; --measurements",
		"left out: x-ms-azurevm-vmid: it is of this one machine\n",
		"left out: x-ms-azurevm-attested-pcrs: no policy can compare a list\n",
		"left out: x-ms-azurevm-osdistro: nobody has said"};
	(void)state;
	run("record", token, NULL, NULL);
	assert_int_equal(r.exit_code, 0);
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		if (strstr(r.err, lines[i]) == NULL)
			fail_msg("no line: %s in\n%s", lines[i], r.err);
	}
	assert_null(strstr(r.err, "left out: secureboot:"));
	assert_null(strstr(r.out, "x-ms-runtime"));
	run("record", token, "--measurements", NULL);
	assert_null(strstr(r.err, "sevsnpvm-launchmeasurement"));
	assert_non_null(strstr(r.out, "sevsnpvm-launchmeasurement"));
}

/* Trust on first use would write a weakness down as the norm. */
static void
a_machine_that_is_not_healthy_is_not_recorded(void **state)
{
	static const char *const bad[] = {"\"secureboot\":false", "\"secureboot\":\"true\"",
		"\"x-ms-azurevm-debuggersdisabled\":false",
		"\"x-ms-azurevm-testsigning-enabled\":true", "\"x-ms-sevsnpvm-is-debuggable\":true",
		"\"x-ms-sevsnpvm-vmpl\":1", "\"tdx_td_attributes_debug\":true",
		"\"x-ms-sgx-is-debuggable\":true",
		"\"x-ms-isolation-tee\":{\"x-ms-sevsnpvm-is-debuggable\":true}",
		"\"x-ms-isolation-tee\":{\"x-ms-sevsnpvm-vmpl\":2}",
		"\"x-ms-sevsnpvm-migration-allowed\":true", "\"tdx_td_attributes_migratable\":true",
		"\"tdx_td_attributes_perf_prof\":true",
		"\"x-ms-isolation-tee\":{\"tdx_td_attributes_migratable\":true}",
		"\"x-ms-isolation-tee\":{\"tdx_td_attributes_pmt_prof\":\"false\"}",
		"\"x-ms-isolation-tee\":{\"tdx_td_attributes_hgs_plus_prof\":true}"};
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		char claims[512];
		snprintf(claims, sizeof claims,
			"{\"iss\":\"https://a.example\",\"x-ms-attestation-type\":\"sevsnpvm\",%s}",
			bad[i]);
		for (int k = 0; k < 2; k++) {
			run("record", text_file("claims", claims), k ? "--reviewed" : NULL, NULL);
			assert_int_equal(r.exit_code, 1);
			assert_string_equal(r.out, "");
			assert_non_null(strstr(r.err, "would ask every machine for that"));
		}
	}
}

static void
conditions_that_are_not_met_are_shown_with_what_was_seen(void **state)
{
	(void)state;
	const char *policy = text_file("policy",
		"{\"version\":\"1.0.0\",\"anyOf\":[{\"authority\":\"https://"
		"sharedwus.wus.attest.azure.net/\","
		"\"allOf\":[{\"claim\":\"secureboot\",\"equals\":false},{\"claim\":\"none.such\","
		"\"equals\":\"x\"},"
		"{\"claim\":\"x-ms-runtime.client-payload.nonce\",\"equals\":\"MTIzNA==\"}]}]}");
	run("test", token, "--policy", policy);
	assert_int_equal(r.exit_code, 1);
	assert_non_null(strstr(r.out, "NOT MET    secureboot: expected false, seen true"));
	assert_non_null(strstr(r.out, "NOT MET    none.such: expected \"x\", seen absent"));
	assert_non_null(strstr(r.out, "met        x-ms-runtime.client-payload.nonce"));
	assert_non_null(strstr(r.out, "is chosen by the machine"));
	assert_non_null(strstr(r.out, "without a TEE"));
	const char *other = text_file("policy",
		"{\"version\":\"1.0.0\",\"anyOf\":[{\"authority\":\"https://other.example\","
		"\"allOf\":[{\"claim\":\"secureboot\",\"equals\":true}]}]}");
	run("test", token, "--policy", other);
	assert_int_equal(r.exit_code, 1);
	assert_non_null(strstr(r.out, "no entry names this token's issuer"));
	const char *claims =
		text_file("claims", "{\"iss\":\"https://other.example\",\"secureboot\":\"true\"}");
	run("test", claims, "--policy", other);
	assert_int_equal(r.exit_code, 1);
	assert_non_null(strstr(r.out, "expected true, seen \"true\""));
}

static void
hashes_are_those_of_the_service(void **state)
{
	(void)state;
	const char *p = text_file("maa", "version= 1.0;authorizationrules{=> permit();};");
	run("hash", p, NULL, NULL);
	assert_int_equal(r.exit_code, 0);
	assert_non_null(strstr(r.out, "9NY0VnTQ-IiBriBplVUpFbczcDaEBUwsiFYAzHu_gco"));
	assert_non_null(
		strstr(r.out, "9c84d6a4a3ddffd92281fd3142cd07bcc69097f0e6444c3254db77173c0fae56"));
	assert_null(strstr(r.out, "canonical"));
	const char *a = text_file("a",
		"{\"version\":\"1.0.0\",\"anyOf\":[{\"authority\":\"https://a/"
		"\",\"allOf\":[{\"claim\":\"c\",\"equals\":1}]}]}");
	run("hash", a, "--json", NULL);
	assert_int_equal(r.exit_code, 0);
	const char *canonical = strstr(r.out, "\"canonical_sha256\":\"");
	assert_non_null(canonical);
	char one[65] = "";
	memcpy(one, canonical + strlen("\"canonical_sha256\":\""), 64);
	const char *b = text_file("b",
		"{ \"anyOf\": [ { \"allOf\": [ { \"equals\": 1, \"claim\": \"c\" } ],\n "
		"\"authority\": \"https://a\" } ], \"version\": \"1.0.0\" }");
	run("hash", b, NULL, NULL);
	assert_non_null(strstr(r.out, one));
}

static void
the_vaults_copy_is_compared_by_structure(void **state)
{
	static const char local[] = "{\"version\":\"1.0.0\",\"anyOf\":[{\"authority\":\"https://a/"
				    "\",\"allOf\":[{\"claim\":\"c\",\"equals\":\"x\"},{\"claim\":"
				    "\"d\",\"equals\":true}]}]}";
	static const char stored[] =
		"{\"anyOf\":[{\"allOf\":[{\"claim\":\"d\",\"equals\":true},{\"claim\":\"c\","
		"\"equals\":\"x\"}],\"authority\":\"https://a\"}],\"version\":\"1.0.0\"}";
	static const char weaker[] = "{\"anyOf\":[{\"allOf\":[{\"claim\":\"d\",\"equals\":true}],"
				     "\"authority\":\"https://a\"}],\"version\":\"1.0.0\"}";
	static const char *const texts[] = {stored, weaker};
	(void)state;
	const char *mine = text_file("mine", local);
	for (int i = 0; i < 2; i++) {
		struct vs_err err = {0};
		VS_CLEANUP(vs_buf_done) struct vs_buf data = {0};
		char bundle[2000];
		assert_ok(vs_b64url_encode(vs_bytes_str(texts[i]), &data, &err), &err);
		static const char *const shapes[] = {
			"{\"key\":{},\"release_policy\":{\"contentType\":\"x\",\"data\":\"%s\"}}",
			"{\"releasePolicy\":{\"encodedPolicy\":\"%s\"}}", "{\"data\":\"%s\"}"};
		for (size_t s = 0; s < 3; s++) {
			const char *percent = strstr(shapes[s], "%s");
			snprintf(bundle, sizeof bundle, "%.*s%s%s", (int)(percent - shapes[s]),
				shapes[s], vs_buf_cstr(&data), percent + 2);
			run("diff", mine, text_file("bundle", bundle), NULL);
			assert_int_equal(r.exit_code, i);
			assert_string_equal(
				r.out, i == 0 ? "" : "- https://a: \"c\" equals \"x\"\n");
		}
	}
}

/* No control character, of either kind, and no line that the document wrote itself. */
static void
assert_clean(const char *text)
{
	for (const char *c = text; *c != '\0'; c++) {
		const unsigned char b = (unsigned char)*c, next = (unsigned char)c[1];
		if ((b < 0x20 && b != '\n') || b == 0x7f || (b == 0xc2 && next < 0xa0))
			fail_msg("byte %02x in\n%s", b, text);
	}
	assert_null(strstr(text, "\nresult: met"));
}

static void
a_policy_writes_nothing_to_the_terminal_but_words(void **state)
{
#define EVIL "\\u001b[2J\\nresult: met\\n\\u007f\\u009b31m\xc2\x9b"
	(void)state;
	const char *evil = text_file("evil",
		"{\"version\":\"1.0.0\",\"anyOf\":[{\"authority\":\"https://a" EVIL
		"/\",\"allOf\":[{\"claim\":\"x-ms-runtime." EVIL "\",\"equals\":\"" EVIL "\"}]}]}");
	const char *other = text_file("other",
		"{\"version\":\"1.0.0\",\"anyOf\":[{\"authority\":\"https://a" EVIL
		"/\",\"allOf\":[{\"claim\":\"" EVIL "\",\"equals\":\"x\"}]}]}");
	run("test", token, "--policy", evil);
	assert_int_equal(r.exit_code, 1);
	assert_clean(r.out);
	assert_non_null(strstr(r.out, "\nresult: not met"));
	run("diff", evil, other, NULL);
	assert_int_equal(r.exit_code, 1);
	assert_clean(r.out);
	/* One entry more, so that whole entries are told. */
	const char *two = text_file("two",
		"{\"version\":\"1.0.0\",\"anyOf\":[{\"authority\":\"https://a" EVIL
		"/\",\"allOf\":[{\"claim\":\"" EVIL "\",\"equals\":\"x\"}]},{\"authority\":\"b\","
		"\"allOf\":[{\"claim\":\"" EVIL "\",\"equals\":1}]}]}");
	run("diff", evil, two, NULL);
	assert_int_equal(r.exit_code, 1);
	assert_clean(r.out);
#undef EVIL
}

static void
mistakes_end_with_two(void **state)
{
	(void)state;
	const char *good = text_file("good",
		"{\"version\":\"1.0.0\",\"anyOf\":[{\"authority\":\"https://a/"
		"\",\"allOf\":[{\"claim\":\"c\",\"equals\":1}]}]}");
	const char *bad = text_file("bad",
		"{\"version\":\"1.0.0\",\"anyOf\":[{\"authority\":\"https://a/"
		"\",\"allOf\":[{\"clam\":\"c\",\"equals\":1}]}]}");
	run("test", token, "--policy", bad);
	assert_int_equal(r.exit_code, 2);
	assert_non_null(strstr(
		r.err, "anyOf[0].allOf[0]: \"clam\" is not known here; did you mean \"claim\"?"));
	run("hash", bad, NULL, NULL);
	assert_int_equal(r.exit_code, 2);
	run("diff", good, bad, NULL);
	assert_int_equal(r.exit_code, 2);
	run("diff", good, NULL, NULL);
	assert_int_equal(r.exit_code, 2);
	run("test", token, NULL, NULL);
	assert_int_equal(r.exit_code, 2);
	run("test", "/nonexistent", "--policy", good);
	assert_int_equal(r.exit_code, 2);
	run("record", text_file("claims", "{\"iss\":\"https://a\"}"), NULL, NULL);
	assert_int_equal(r.exit_code, 2);
	run("record", text_file("claims", "{\"secureboot\":true}"), NULL, NULL);
	assert_int_equal(r.exit_code, 2);
	run("record", text_file("claims", "a.b"), NULL, NULL);
	assert_int_equal(r.exit_code, 2);
	run("publish", NULL, NULL, NULL);
	assert_int_equal(r.exit_code, 2);
	run(NULL, NULL, NULL, NULL);
	assert_int_equal(r.exit_code, 2);
	run("test", "--wrong", token, NULL);
	assert_int_equal(r.exit_code, 2);
	run("-h", NULL, NULL, NULL);
	assert_int_equal(r.exit_code, 0);
	run("diff", "-h", NULL, NULL);
	assert_int_equal(r.exit_code, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_recorded_policy_is_met_by_its_token),
		cmocka_unit_test(what_is_left_out_of_a_recorded_policy_is_said_with_the_reason),
		cmocka_unit_test(a_machine_that_is_not_healthy_is_not_recorded),
		cmocka_unit_test(conditions_that_are_not_met_are_shown_with_what_was_seen),
		cmocka_unit_test(hashes_are_those_of_the_service),
		cmocka_unit_test(the_vaults_copy_is_compared_by_structure),
		cmocka_unit_test(a_policy_writes_nothing_to_the_terminal_but_words),
		cmocka_unit_test(mistakes_end_with_two),
	};
	snprintf(token, sizeof token,
		"%s/tests/data/maa/tokens/azurevm-linux-snp-sharedwus-2022-09-07.jwt",
		VS_TEST_SRCDIR);
	const int failed = cmocka_run_group_tests(tests, NULL, NULL);
	cli_done();
	return failed;
}
