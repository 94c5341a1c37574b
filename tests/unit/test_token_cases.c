/* SPDX-License-Identifier: BSD-2-Clause */
/* Every case of the catalogue is refused by its own rule, or accepted. */
#include "unit/token_cases.h"
#include "unit/tokenkit.h"

static int
setup(void **state)
{
	(void)state;
	token_cases_init();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	token_cases_done();
	return 0;
}

static void
every_case_gets_its_verdict(void **state)
{
	size_t wrong = 0;
	VS_CLEANUP(vs_buf_done) struct vs_buf hex = {.max = 1 << 16};
	(void)state;
	for (size_t i = 0; i < token_cases_n; i++) {
		char rules[256];
		struct vs_validate_in in = {0};
		token_case_inputs(&token_cases[i], &in, &hex);
		kit_rules(&in, rules, sizeof rules);
		const size_t n = strcspn(rules, " ");
		if (n == strlen(token_cases[i].expect) &&
			strncmp(rules, token_cases[i].expect, n) == 0)
			continue;
		wrong++;
		print_error("%s: refused by \"%s\", expected \"%s\"\n", token_cases[i].name, rules,
			token_cases[i].expect);
	}
	assert_int_equal(wrong, 0);
}

static void
the_catalogue_is_as_large_as_it_says(void **state)
{
	size_t good = 0;
	(void)state;
	for (size_t i = 0; i < token_cases_n; i++)
		good += token_cases[i].expect[0] == '\0';
	print_message("%zu refused, %zu accepted\n", token_cases_n - good, good);
	assert_true(token_cases_n - good >= 700);
	assert_true(good >= 110);
}

static void
verdicts_are_the_same_on_every_run(void **state)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf hex = {.max = 1 << 16};
	(void)state;
	for (size_t i = 0; i < token_cases_n; i += 7) {
		struct vs_err err = {0};
		struct vs_verdict one = {0}, two = {0};
		VS_CLEANUP(vs_token_facts_done) struct vs_token_facts f1 = {0};
		VS_CLEANUP(vs_token_facts_done) struct vs_token_facts f2 = {0};
		struct vs_validate_in in = {0};
		token_case_inputs(&token_cases[i], &in, &hex);
		const vs_rc r1 = vs_validate(&in, &f1, &one, NULL, &err);
		const vs_rc r2 = vs_validate(&in, &f2, &two, NULL, &err);
		assert_int_equal(r1.code, r2.code);
		assert_int_equal(one.n_checks, two.n_checks);
		for (size_t k = 0; k < one.n_checks; k++) {
			assert_int_equal(one.checks[k].passed, two.checks[k].passed);
			assert_string_equal(one.checks[k].seen, two.checks[k].seen);
		}
	}
}

static void
all_later_checks_run_after_a_refusal(void **state)
{
	struct vs_err err = {0};
	struct vs_verdict verdict = {0};
	struct vs_policy_report report = {0};
	VS_CLEANUP(vs_token_facts_done) struct vs_token_facts facts = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf hex = {.max = 1 << 16};
	struct vs_validate_in in = {0};
	const struct claim bad[] = {{"exp", "1"}, {"aud", "\"x\""}, {"x-ms-ver", "\"9\""},
		{"dbgstat", "\"enabled\""}, {"x-ms-isolation-tee", "{}"}, {"x-ms-runtime", "{}"}};
	struct token_case c = token_cases[1];
	(void)state;
	c.token = signed_token(HEADER, claims_with(bad, 6));
	token_case_inputs(&c, &in, &hex);
	assert_code(vs_validate(&in, &facts, &verdict, &report, &err), REFUSED_CLAIMS);
	char rules[256] = "";
	for (size_t i = 0; i < verdict.n_checks; i++)
		if (!verdict.checks[i].passed)
			strncat(rules, verdict.checks[i].rule, 10);
	assert_string_equal(rules, "A11A11A12A13A14A15T-A2A16A16");
	assert_true(report.n > 0 && !report.allowed);
	vs_policy_report_done(&report);
}

static void
each_condition_that_is_not_met_has_its_line(void **state)
{
	struct vs_err err = {0};
	struct vs_verdict verdict = {0};
	VS_CLEANUP(vs_token_facts_done) struct vs_token_facts facts = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf hex = {.max = 1 << 16};
	struct vs_validate_in in = {0};
	char many[16000] =
		"{\"version\":\"1.0.0\",\"anyOf\":[{\"authority\":\"" ISSUER "\",\"allOf\":[";
	size_t failed = 0;
	(void)state;
	for (int i = 0; i < 120; i++)
		snprintf(many + strlen(many), sizeof many - strlen(many),
			"%s{\"claim\":\"none.%d\",\"equals\":%d}", i > 0 ? "," : "", i, i);
	snprintf(many + strlen(many), sizeof many - strlen(many), "]}]}");
	token_case_inputs(&token_cases[0], &in, &hex);
	in.policy = policy_of(many);
	assert_code(vs_validate(&in, &facts, &verdict, NULL, &err), REFUSED_POLICY);
	assert_int_equal(verdict.n_checks, VS_VERDICT_CHECKS_MAX);
	for (size_t i = 0; i < verdict.n_checks; i++) {
		char expected[64];
		if (verdict.checks[i].passed)
			continue;
		snprintf(expected, sizeof expected, "none.%zu equals %zu", failed, failed);
		assert_string_equal(verdict.checks[i].expected, expected);
		assert_string_equal(verdict.checks[i].seen, "absent");
		failed++;
	}
	assert_true(failed > 10);
	assert_non_null(strstr(err.frames[0].text, "none.0 equals 0 is not met"));
}

static void
nothing_of_the_claims_is_looked_at_before_the_signature(void **state)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf hex = {.max = 1 << 16};
	struct vs_validate_in in = {0};
	char rules[256];
	(void)state;
	struct vs_buf b = forge_token(
		expand(HEADER), vs_bytes_str("{\"exp\":1,\"exp\":"), FORGE_FOREIGN, FORGE_RS256);
	struct token_case c = token_cases[0];
	c.token = vs_buf_view(&b);
	token_case_inputs(&c, &in, &hex);
	assert_string_equal(kit_rules(&in, rules, sizeof rules), "A9");
	vs_buf_done(&b);
}

static void
without_policy_keys_or_nonce_everything_is_refused(void **state)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf hex = {.max = 1 << 16};
	struct vs_validate_in in = {0};
	char rules[256];
	(void)state;
	token_case_inputs(&token_cases[0], &in, &hex);
	in.policy = NULL;
	assert_string_equal(kit_rules(&in, rules, sizeof rules), "A16");
	token_case_inputs(&token_cases[0], &in, &hex);
	in.jwks = NULL;
	assert_string_equal(kit_rules(&in, rules, sizeof rules), "A8");
	token_case_inputs(&token_cases[0], &in, &hex);
	in.nonce = in.nonce_alt = in.nonce_text = (struct vs_bytes){0};
	assert_string_equal(kit_rules(&in, rules, sizeof rules), "A14");
}

static void
the_allowance_is_never_more_than_a_minute(void **state)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf hex = {.max = 1 << 16};
	struct vs_validate_in in = {0};
	char rules[256];
	(void)state;
	token_case_inputs(&token_cases[0], &in, &hex);
	in.at_unix = EXP + 60;
	in.skew_s = 3600;
	assert_string_equal(kit_rules(&in, rules, sizeof rules), "A11");
	in.at_unix = EXP;
	in.skew_s = 0;
	assert_string_equal(kit_rules(&in, rules, sizeof rules), "A11");
	in.skew_s = -1000000;
	in.at_unix = EXP - 1;
	assert_string_equal(kit_rules(&in, rules, sizeof rules), "");
}

static void
facts_are_those_of_the_token(void **state)
{
	struct vs_err err = {0};
	struct vs_verdict verdict = {0};
	VS_CLEANUP(vs_token_facts_done) struct vs_token_facts facts = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf hex = {.max = 1 << 16};
	struct vs_validate_in in = {0};
	char kid[64];
	(void)state;
	token_case_inputs(&token_cases[0], &in, &hex);
	assert_ok(vs_validate(&in, &facts, &verdict, NULL, &err), &err);
	assert_string_equal(facts.issuer, ISSUER);
	assert_string_equal(facts.kid, KID);
	assert_string_equal(facts.type, "azurevm");
	assert_string_equal(facts.jti, "6a3b");
	assert_int_equal(facts.iat_unix, IAT);
	assert_int_equal(facts.exp_unix, EXP);
	assert_int_equal(strlen(facts.token_sha256), 64);
	assert_true(vs_bytes_eq(vs_buf_view(&facts.claims), good_claims()));
	assert_ok(vs_token_peek_kid(in.token, kid, sizeof kid, &err), &err);
	assert_string_equal(kid, KID);
	assert_code(vs_token_peek_kid(in.token, kid, 5, &err), REFUSED_SIGNATURE);
	assert_code(vs_token_peek_kid(vs_bytes_str("a.b"), kid, sizeof kid, &err), REFUSED_FORM);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_case_gets_its_verdict),
		cmocka_unit_test(the_catalogue_is_as_large_as_it_says),
		cmocka_unit_test(verdicts_are_the_same_on_every_run),
		cmocka_unit_test(all_later_checks_run_after_a_refusal),
		cmocka_unit_test(each_condition_that_is_not_met_has_its_line),
		cmocka_unit_test(nothing_of_the_claims_is_looked_at_before_the_signature),
		cmocka_unit_test(without_policy_keys_or_nonce_everything_is_refused),
		cmocka_unit_test(the_allowance_is_never_more_than_a_minute),
		cmocka_unit_test(facts_are_those_of_the_token),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
