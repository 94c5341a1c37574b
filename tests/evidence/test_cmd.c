/* SPDX-License-Identifier: BSD-2-Clause */
/* The built `vouchsafe evidence`: exit codes and what is printed. */
#include "unit/unit.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "evidence/data.h"

#define SNP "tests/data/evidence/azure/snp-milan-challenge "
#define TDX "tests/data/evidence/azure/tdx-challenge "
#define RIGHT "--nonce challenge --user-data any --no-transport-key --at 1786752000 "

extern char **environ;
static char output[64 * 1024];

static int
run(const char *args)
{
	char line[1024];
	const char *top = getenv("VS_SRCDIR"), *build = getenv("VS_BUILDDIR");
	snprintf(line, sizeof line, "cd %s && %s/vouchsafe evidence %s 2>&1",
		top != NULL ? top : VS_TEST_SRCDIR, build != NULL ? build : VS_TEST_BUILDDIR, args);
	int pipe_fd[2], status = 0;
	pid_t pid = -1;
	char sh[] = "sh", c[] = "-c";
	char *const argv[] = {sh, c, line, NULL};
	posix_spawn_file_actions_t actions;
	assert_int_equal(pipe(pipe_fd), 0);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, pipe_fd[1], 1);
	posix_spawn_file_actions_addclose(&actions, pipe_fd[0]);
	assert_int_equal(posix_spawn(&pid, "/bin/sh", &actions, NULL, argv, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	close(pipe_fd[1]);
	size_t n = 0;
	for (ssize_t k = 1; k > 0; n += k > 0 ? (size_t)k : 0)
		k = read(pipe_fd[0], output + n, sizeof output - 1 - n);
	output[n] = '\0';
	close(pipe_fd[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
exit_codes_say_what_happened(void **state)
{
	(void)state;
	static const struct {
		const char *args;
		int code;
		const char *says;
	} cases[] = {
		{"verify " SNP RIGHT, 0, "accepted"},
		{"verify " TDX RIGHT, 0, "accepted"},
		{"verify " SNP RIGHT "--nonce 6368616c6c656e6765", 0, "accepted"},
		{"verify " SNP RIGHT "--pcrs 0-23", 0, "accepted"},
		{"verify " SNP RIGHT "--vm-id 26f8bc30-774e-4290-8e7a-535f3b672aee", 0, "accepted"},
		{"verify " SNP RIGHT "--roots conf/roots", 0, "not by the vendors'"},
		{"verify " SNP RIGHT "--nonce other", 1, "nonce in the quote"},
		{"verify " SNP RIGHT "--pcrs 0-7", 1, "PCR selection"},
		{"verify " SNP RIGHT "--user-data hash", 1, "report is fresh"},
		{"verify " SNP RIGHT "--vm-id x", 1, "virtual machine"},
		{"verify " SNP RIGHT "--require-log", 1, "event log"},
		{"verify " SNP RIGHT "--at 2000000000", 1, "SNP certificate chain"},
		{"verify " SNP "--nonce challenge --user-data any --at 1786752000", 1,
			"transport key"},
		{"verify " SNP RIGHT "--require-collateral", 1, "no list of \"ARK-Milan\""},
		{"verify " TDX RIGHT "--require-collateral", 1, "PCK certificate revocation"},
		{"verify " SNP RIGHT "--collateral tests", 0, "accepted"},
		{"verify " SNP RIGHT "--ima list", 1, "list of measured files"},
		{"verify " SNP RIGHT "--collateral /nonexistent", 2, "no directory of collateral"},
		{"verify " SNP RIGHT "--ima signed", 2, "--ima"},
		{"verify " SNP RIGHT "--ima maybe", 2, "--ima"},
		{"verify " SNP RIGHT "--ima signed --ima-keys /nonexistent", 2, "/nonexistent"},
		{"verify " SNP RIGHT "--tcb UpToDate,Revoked", 2, "--tcb"},
		{"verify " SNP RIGHT "--tcb UpToDate,SWHardeningNeeded", 0, "accepted"},
		{"verify " SNP RIGHT "--tcb UpToDate,", 2, "--tcb"},
		{"verify " SNP RIGHT "--pcrs 7-0", 2, "--pcrs"},
		{"verify " SNP RIGHT "--pcrs 24", 2, "--pcrs"},
		{"verify " SNP RIGHT "--at soon", 2, "--at"},
		{"verify " SNP RIGHT "--user-data maybe", 2, "--user-data"},
		{"verify " SNP RIGHT "--roots tests", 2, "no root certificate"},
		{"verify " SNP RIGHT "--colour", 2, "is not known"},
		{"verify /nonexistent", 2, "quote.msg"},
		{"verify", 2, "show or verify"},
		{"show --config /nonexistent", 2, "/nonexistent"},
		{"", 2, "show or verify"},
		{"--help", 0, "usage: vouchsafe evidence"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const int code = run(cases[i].args);
		if (code != cases[i].code || strstr(output, cases[i].says) == NULL)
			fail_msg("%s: %d, %s", cases[i].args, code, output);
	}
}

static void
what_was_not_evaluated_is_not_called_ok(void **state)
{
	(void)state;
	assert_int_equal(run("verify " SNP RIGHT), 0);
	assert_non_null(strstr(output, "\n--   T-A5  event log"));
	assert_non_null(strstr(output, "\n--   T-A8  report is fresh"));
	assert_non_null(strstr(output, "\nok   T-A4  quote's signature"));
	assert_int_equal(run("verify " SNP RIGHT "--json"), 0);
	struct vs_json *j = NULL;
	struct vs_err err = {0};
	bool accepted = false, evaluated = true;
	assert_ok(vs_json_load_object(vs_bytes_str(output), 1 << 20, "report", &j, &err), &err);
	assert_true(vs_json_bool(vs_json_get(j, "accepted"), &accepted) && accepted);
	const struct vs_json *list = vs_json_get(j, "checks");
	assert_true(vs_json_count(list) > 30);
	for (size_t i = 0; i < vs_json_count(list); i++) {
		const struct vs_json *c = vs_json_at(list, i);
		if (vs_json_is_string(vs_json_get(c, "name"), "event log"))
			assert_true(vs_json_bool(vs_json_get(c, "evaluated"), &evaluated));
	}
	assert_false(evaluated);
	vs_json_free(j);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exit_codes_say_what_happened),
		cmocka_unit_test(what_was_not_evaluated_is_not_called_ok),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
