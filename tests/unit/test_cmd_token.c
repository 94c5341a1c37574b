/* SPDX-License-Identifier: BSD-2-Clause */
/* vouchsafe token verify as people call it: exit status, one line, no contents (A18). */
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include "jose/json.h"
#include "tools/cmd.h"
#include "unit/clirun.h"
#include "unit/token_cases.h"

static struct cli_result r;

static size_t
lines(const char *text)
{
	size_t n = 0;
	for (; *text != '\0'; text++)
		n += *text == '\n';
	return n;
}

static void
verify(const char *jwks, const char *issuer, const char *policy, const char *nonce, const char *at,
	const char *token)
{
	const char *const words[] = {"token", "verify", "--jwks", jwks, "--issuer", issuer,
		"--policy", policy, "--nonce", nonce, "--at", at, token, NULL};
	cli_run(vs_cmd_token, words, &r);
}

static void
run_case(const struct token_case *c)
{
	char at[32];
	snprintf(at, sizeof at, "%" PRId64, c->at);
	verify(cli_file("jwks", jwks_text(c->jwks)), c->issuer,
		cli_file("policy", policy_text(c->policy)), c->nonce, at,
		cli_file("token", c->token));
}

/* What a file by hand can say; the other cases need an exchange or a configuration. */
static bool
can_be_called(const struct token_case *c)
{
	return c->world == VS_WORLD_PRODUCTION && !c->ask_key && c->issuer[0] != '\0' &&
		c->at > 0 && c->at < INT64_C(1) << 53;
}

static void
every_case_of_the_catalogue_ends_with_its_status(void **state)
{
	size_t called = 0, wrong = 0;
	(void)state;
	for (size_t i = 0; i < token_cases_n; i++) {
		const struct token_case *c = &token_cases[i];
		char rule[32];
		if (!can_be_called(c))
			continue;
		called++;
		run_case(c);
		snprintf(rule, sizeof rule, " by %s ", c->expect);
		const bool good = c->expect[0] == '\0';
		const bool right = good
			? r.exit_code == 0 && r.err[0] == '\0' && strcmp(r.out, "accepted\n") == 0
			: r.exit_code == 1 && r.out[0] == '\0' && lines(r.err) == 1 &&
				strstr(r.err, rule) != NULL;
		if (right)
			continue;
		wrong++;
		print_error(
			"%s: status %d, %s, expected %s\n", c->name, r.exit_code, r.err, c->expect);
	}
	assert_int_equal(wrong, 0);
	assert_true(called > 1000);
}

static void
lines_on_stderr_carry_nothing_of_the_token(void **state)
{
	(void)state;
	for (size_t i = 0; i < token_cases_n; i += 3) {
		const struct token_case *c = &token_cases[i];
		if (!can_be_called(c) || c->expect[0] == '\0' || c->token.n < 100)
			continue;
		run_case(c);
		const char *part = forge_keep((const char *)c->token.p + c->token.n / 2, 12);
		assert_null(strstr(r.err, part));
		assert_null(strstr(r.err, c->nonce));
		assert_null(strstr(r.err, NONCE_B64));
		assert_null(strstr(r.err, "6a3b"));
	}
}

/* ---- status 2 ----------------------------------------------------------------------------- */

static const char *jwks, *policy, *token;

static void
make_files(void)
{
	const struct token_case *c = &token_cases[0];
	jwks = cli_file("jwks", jwks_text(c->jwks));
	policy = cli_file("policy", policy_text(c->policy));
	token = cli_file("token", c->token);
}

static void
missing_empty_and_doubled_options_are_usage_errors(void **state)
{
	const char *all[] = {"token", "verify", "--jwks", "", "--issuer", ISSUER, "--policy", "",
		"--nonce", NONCE_HEX, "--at", "1790000100", "", NULL};
	(void)state;
	make_files();
	all[3] = jwks;
	all[7] = policy;
	all[12] = token;
	cli_run(vs_cmd_token, all, &r);
	assert_int_equal(r.exit_code, 0);
	for (size_t skip = 2; skip < 12; skip += 2) {
		const char *words[16] = {NULL};
		size_t n = 0;
		for (size_t i = 0; all[i] != NULL; i++)
			if (i != skip && i != skip + 1)
				words[n++] = all[i];
		cli_run(vs_cmd_token, words, &r);
		assert_int_equal(r.exit_code, 2);
		assert_int_equal(lines(r.err), 2); /* and the remedy */
		assert_non_null(strstr(r.err, all[skip]));
		const char *value = all[skip + 1];
		all[skip + 1] = "";
		cli_run(vs_cmd_token, all, &r);
		assert_int_equal(r.exit_code, 2);
		all[skip + 1] = value;
		const char *twice[20] = {NULL};
		for (n = 0; all[n] != NULL; n++)
			twice[n] = all[n];
		twice[n] = all[skip];
		twice[n + 1] = value;
		cli_run(vs_cmd_token, twice, &r);
		assert_int_equal(r.exit_code, 2);
		assert_non_null(strstr(r.err, "twice"));
	}
}

static void
other_usage_errors_end_with_two(void **state)
{
	static const char *const rows[][8] = {
		{"token", NULL},
		{"token", "check", NULL},
		{"token", "verify", NULL},
		{"token", "verify", "--jwks", NULL},
		{"token", "verify", "--insecure", "x", NULL},
		{"token", "verify", "-k", "x", NULL},
		{"token", "verify", "a", "b", NULL},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		cli_run(vs_cmd_token, rows[i], &r);
		assert_int_equal(r.exit_code, 2);
		assert_true(lines(r.err) <= 2); /* and the remedy */
		assert_string_equal(r.out, "");
	}
	cli_run(vs_cmd_token, (const char *const[]){"token", "verify", "-h", NULL}, &r);
	assert_int_equal(r.exit_code, 0);
	assert_non_null(strstr(r.out, "usage: vouchsafe token verify"));
	cli_run(vs_cmd_token, (const char *const[]){"token", "--help", NULL}, &r);
	assert_int_equal(r.exit_code, 0);
}

static void
times_are_decimal_seconds(void **state)
{
	static const char *const bad[] = {"abc", "-1", "+1", "1.5", "1e9", " 1790000100",
		"1790000100 ", "0x6ab1", "99999999999999999999", "1790000100x", "now"};
	(void)state;
	make_files();
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		verify(jwks, ISSUER, policy, NONCE_HEX, bad[i], token);
		assert_int_equal(r.exit_code, 2);
	}
	verify(jwks, ISSUER, policy, NONCE_HEX, "0", token);
	assert_int_equal(r.exit_code, 1);
	verify(jwks, ISSUER, policy, NONCE_HEX, "0001790000100", token);
	assert_int_equal(r.exit_code, 0);
}

static void
files_that_cannot_be_used_end_with_two(void **state)
{
	(void)state;
	make_files();
	const char *none = "/nonexistent/file";
	verify(none, ISSUER, policy, NONCE_HEX, "1790000100", token);
	assert_int_equal(r.exit_code, 2);
	verify(jwks, ISSUER, none, NONCE_HEX, "1790000100", token);
	assert_int_equal(r.exit_code, 2);
	verify(jwks, ISSUER, policy, NONCE_HEX, "1790000100", none);
	assert_int_equal(r.exit_code, 2);
	verify(jwks, ISSUER, policy, NONCE_HEX, "1790000100", "/tmp");
	assert_int_equal(r.exit_code, 2);
	verify("/tmp", ISSUER, policy, NONCE_HEX, "1790000100", token);
	assert_int_equal(r.exit_code, 2);
	static const char *const bad_sets[] = {
		"", "{}", "[]", "{\"keys\":{}}", "{\"keys\":[]", "x"};
	for (size_t i = 0; i < sizeof bad_sets / sizeof bad_sets[0]; i++) {
		verify(cli_file("bad", vs_bytes_str(bad_sets[i])), ISSUER, policy, NONCE_HEX,
			"1790000100", token);
		assert_int_equal(r.exit_code, 2);
		assert_int_equal(lines(r.err), 2); /* and the remedy */
	}
	static const char *const bad_policies[] = {"", "{}", "[]", "{\"version\":\"1.0.0\"}", "x",
		"{\"version\":\"1.0.0\",\"anyOf\":[{\"authority\":\"" ISSUER
		"\",\"anyOf\":[{\"claim\":\"secureboot\",\"equals\":true},{\"claim\":\"a\","
		"\"equal\":1}]}]}"};
	for (size_t i = 0; i < sizeof bad_policies / sizeof bad_policies[0]; i++) {
		verify(jwks, ISSUER, cli_file("bad", vs_bytes_str(bad_policies[i])), NONCE_HEX,
			"1790000100", token);
		assert_int_equal(r.exit_code, 2);
		assert_int_equal(lines(r.err), 2); /* and the remedy */
	}
	assert_non_null(strstr(r.err, "did you mean \"equals\""));
}

/* ---- more --------------------------------------------------------------------------------- */

static void
json_shows_every_check(void **state)
{
	struct vs_err err = {0};
	bool b = true;
	int64_t n = 0;
	(void)state;
	make_files();
	const char *words[] = {"token", "verify", "--json", "--jwks", jwks, "--issuer", ISSUER,
		"--policy", policy, "--nonce", NONCE_HEX, "--at", "1790000100", token, NULL};
	cli_run(vs_cmd_token, words, &r);
	assert_int_equal(r.exit_code, 0);
	VS_CLEANUP(vs_json_freep) struct vs_json *v = NULL;
	assert_ok(vs_json_load(vs_bytes_str(r.out), CLI_TEXT_MAX, "output", &v, &err), &err);
	assert_true(vs_json_bool(vs_json_get(v, "accepted"), &b) && b);
	assert_true(vs_json_int(vs_json_path(v, "token.expires"), &n) && n == EXP);
	words[12] = "1890000100";
	cli_run(vs_cmd_token, words, &r);
	assert_int_equal(r.exit_code, 1);
	assert_int_equal(lines(r.err), 1);
	VS_CLEANUP(vs_json_freep) struct vs_json *w = NULL;
	assert_ok(vs_json_load(vs_bytes_str(r.out), CLI_TEXT_MAX, "output", &w, &err), &err);
	assert_true(vs_json_bool(vs_json_get(w, "accepted"), &b) && !b);
	assert_null(vs_json_get(w, "token"));
	const struct vs_json *checks = vs_json_get(w, "checks");
	size_t failed = 0;
	for (size_t i = 0; i < vs_json_count(checks); i++) {
		assert_true(vs_json_bool(vs_json_get(vs_json_at(checks, i), "passed"), &b));
		failed += !b;
	}
	assert_int_equal(failed, 1);
	assert_true(vs_json_count(checks) > 15);
}

static void
lab_tokens_are_for_lab_issuers(void **state)
{
	static const char lab[] = "https://localhost:7443";
	const struct forge_var v[] = {{"i", lab}};
	const struct claim marked[] = {
		{"iss", "\"https://localhost:7443\""}, {"vouchsafe-lab", "true"}};
	const struct vs_bytes text =
		signed_token("{\"alg\":\"RS256\",\"kid\":\"" KID "\"}", claims_with(marked, 2));
	(void)state;
	make_files();
	const char *p = cli_file("lab-policy",
		forge_expand("{\"version\":\"1.0.0\",\"anyOf\":[{\"authority\":"
			     "\"$i$\",\"allOf\":[{\"claim\":\"secureboot\",\"equals\":true}]}]}",
			v, 1));
	verify(jwks, lab, p, NONCE_HEX, "1790000100", cli_file("lab-token", text));
	assert_int_equal(r.exit_code, 0);
	const struct claim smuggled = {"vouchsafe-lab", "true"};
	verify(jwks, ISSUER, policy, NONCE_HEX, "1790000100",
		cli_file("lab-token", signed_token(HEADER, claims_with(&smuggled, 1))));
	assert_int_equal(r.exit_code, 1);
	assert_non_null(strstr(r.err, "T-L1"));
	/* looks like a loopback address and is none */
	const struct claim near[] = {
		{"iss", "\"https://localhost.evil.example\""}, {"vouchsafe-lab", "true"}};
	verify(jwks, "https://localhost.evil.example", policy, NONCE_HEX, "1790000100",
		cli_file("lab-token",
			signed_token(
				"{\"alg\":\"RS256\",\"kid\":\"" KID "\"}", claims_with(near, 2))));
	assert_int_equal(r.exit_code, 1);
	assert_non_null(strstr(r.err, "T-L1"));
}

static void
a_token_may_come_on_standard_input(void **state)
{
	(void)state;
	make_files();
	const int saved = dup(0);
	for (int i = 0; i < 2; i++) {
		const int fd = open(i == 0 ? token : "/dev/null", O_RDONLY | O_CLOEXEC);
		assert_true(fd >= 0 && dup2(fd, 0) == 0);
		close(fd);
		verify(jwks, ISSUER, policy, NONCE_HEX, "1790000100", "-");
		assert_int_equal(r.exit_code, i);
	}
	assert_non_null(strstr(r.err, "by A1 "));
	close(0);
	verify(jwks, ISSUER, policy, NONCE_HEX, "1790000100", "-");
	assert_int_equal(r.exit_code, 2);
	assert_int_equal(dup2(saved, 0), 0);
	close(saved);
}

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
	cli_done();
	token_cases_done();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_case_of_the_catalogue_ends_with_its_status),
		cmocka_unit_test(lines_on_stderr_carry_nothing_of_the_token),
		cmocka_unit_test(missing_empty_and_doubled_options_are_usage_errors),
		cmocka_unit_test(other_usage_errors_end_with_two),
		cmocka_unit_test(times_are_decimal_seconds),
		cmocka_unit_test(files_that_cannot_be_used_end_with_two),
		cmocka_unit_test(json_shows_every_check),
		cmocka_unit_test(lab_tokens_are_for_lab_issuers),
		cmocka_unit_test(a_token_may_come_on_standard_input),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
