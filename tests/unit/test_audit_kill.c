/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kill -9 before each system call of opening and writing the log (T-U3). Whatever the moment: the
 * next writer goes on, every record that was acknowledged is there, nothing is silently rewritten.
 */
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit/audit_world.h"

enum { CALLS_MAX = 20000, RECORDS = 2, BUFFERED = 7 };

struct shared {
	int started; /* the writer is about to begin */
	int acknowledged; /* records whose commit has returned */
	int failed;
};

static struct shared *shared;
static char rotated[128]; /* not empty: the writer moves the log there before its last record */

static void
write_records(struct world *w)
{
	struct vs_audit *a = NULL;
	struct vs_err err = {0};
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
		_exit(100);
	(void)raise(SIGSTOP);
	shared->started = 1;
	bool ok = !vs_failed(vs_audit_open(&w->env, &a, &err));
	for (int i = 0; ok && i < RECORDS; i++) {
		if (rotated[0] != '\0' && i == RECORDS - 1)
			ok = rename(w->path, rotated) == 0;
		ok = ok && !vs_failed(add_attempt(a, "t", "granted", &err));
		shared->acknowledged += ok;
	}
	shared->failed = !ok;
	_exit(ok ? 0 : 1);
}

/* Let it make so many system calls and kill it before the next one. False: it has come to its end.
 */
static bool
run_until(struct world *w, int n_calls)
{
	int status = 0;
	*shared = (struct shared){0};
	const pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		write_records(w);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFSTOPPED(status))
		fail_msg("this machine does not allow to trace a child");
	assert_int_equal(
		ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL), 0);
	bool entering = true;
	for (int calls = 0;;) {
		assert_int_equal(ptrace(PTRACE_SYSCALL, pid, NULL, NULL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (WIFEXITED(status)) {
			assert_int_equal(WEXITSTATUS(status), 0);
			return false;
		}
		assert_true(WIFSTOPPED(status));
		if (WSTOPSIG(status) != (SIGTRAP | 0x80))
			continue;
		if (entering && shared->started && calls++ == n_calls) {
			assert_int_equal(kill(pid, SIGKILL), 0);
			assert_int_equal(waitpid(pid, &status, 0), pid);
			assert_true(WIFSIGNALED(status));
			return true;
		}
		entering = !entering;
	}
}

static size_t
count(struct world *w, const char *text)
{
	struct vs_buf b = contents(w->path);
	size_t n = 0;
	for (const char *p = vs_buf_cstr(&b); (p = strstr(p, text)) != NULL; p++)
		n++;
	vs_buf_done(&b);
	return n;
}

static void
go_on(struct world *w, int calls)
{
	const int acknowledged = shared->acknowledged;
	struct vs_audit *a = NULL;
	struct vs_err err = {0};
	assert_ok(vs_audit_open(&w->env, &a, &err), &err);
	assert_ok(add_attempt(a, "after", "granted", &err), &err);
	vs_audit_close(a);
	const struct vs_audit_report r = report_of(w);
	if (!r.ok)
		fail_msg("killed before call %d: line %lu: %s", calls, (unsigned long)r.bad_line,
			r.reason);
	const size_t mine = count(w, "\"token\":\"t\"");
	if (mine < (size_t)acknowledged || mine > (size_t)acknowledged + 1)
		fail_msg("killed before call %d: %zu records, %d acknowledged", calls, mine,
			acknowledged);
	assert_int_equal(count(w, "\"token\":\"after\""), 1);
}

static void
a_writer_killed_before_any_system_call_costs_no_acknowledged_record(void **state)
{
	struct world *w = *state;
	int calls = 0;
	for (; calls < CALLS_MAX; calls++) {
		(void)unlink(w->path);
		const bool killed = run_until(w, calls);
		if (!killed)
			break;
		go_on(w, calls);
	}
	print_message("killed before each of %d system calls\n", calls);
	assert_true(calls > 20 && calls < CALLS_MAX);
	assert_int_equal(shared->acknowledged, RECORDS);
}

/* One of the files beside the log holds all of the torn end. */
static bool
kept(struct world *w, const char *torn)
{
	bool whole = false;
	for (int i = 1; i <= 2 && !whole; i++) {
		char name[128];
		(void)snprintf(name, sizeof name, "%s.torn-%d", w->path, i);
		if (access(name, R_OK) != 0)
			continue;
		struct vs_buf b = contents(name);
		whole = vs_bytes_eq_str(vs_buf_view(&b), torn);
		vs_buf_done(&b);
	}
	return whole;
}

/* A log with a torn end: now the recovery is what is being killed. */
static void
a_recovery_killed_before_any_system_call_is_done_again(void **state)
{
	static const char torn[] = "{\"v\":1,\"log\":\"half a rec";
	struct world *w = *state;
	struct vs_audit *a = open_log(w);
	struct vs_err err = {0};
	int calls = 0;
	add_n(a, 3);
	vs_audit_close(a);
	struct vs_buf b = contents(w->path);
	assert_ok(vs_buf_add(&b, torn, sizeof torn - 1, &err), &err);
	for (; calls < CALLS_MAX; calls++) {
		overwrite(w->path, vs_buf_view(&b));
		for (int i = 1; i <= BUFFERED; i++) {
			char name[128];
			(void)snprintf(name, sizeof name, "%s.torn-%d", w->path, i);
			(void)unlink(name);
		}
		if (!run_until(w, calls))
			break;
		go_on(w, calls);
		/* A kill between cutting and recording leaves only the kept file to tell of it. */
		assert_true(kept(w, torn));
	}
	print_message("killed before each of %d system calls\n", calls);
	assert_true(calls > 20 && calls < CALLS_MAX);
	assert_true(log_has(w, "\"event\":\"recovery\""));
	vs_buf_done(&b);
}

static size_t
count_in_both(struct world *w, const char *text)
{
	size_t n = count(w, text);
	struct world old = *w;
	(void)snprintf(old.path, sizeof old.path, "%s/old", w->dir);
	if (access(old.path, F_OK) == 0)
		n += count(&old, text);
	return n;
}

/* The log is rotated in between: both files stay one chain, whenever the writer is killed. */
static void
a_rotation_under_a_writer_that_is_killed_leaves_one_chain(void **state)
{
	struct world *w = *state;
	struct vs_audit_known known;
	struct vs_err err = {0};
	int calls = 0, with_both = 0;
	struct vs_audit *a = open_log(w);
	add_n(a, 1);
	assert_true(vs_audit_head(a, &known));
	vs_audit_close(a);
	struct vs_buf b = contents(w->path);
	/* As state-dir has it: a record of the log from before. */
	w->env.known = &known;
	(void)snprintf(rotated, sizeof rotated, "%s/old", w->dir);
	for (; calls < CALLS_MAX; calls++) {
		(void)unlink(rotated);
		overwrite(w->path, vs_buf_view(&b));
		const bool killed = run_until(w, calls);
		const int acknowledged = shared->acknowledged;
		assert_ok(vs_audit_open(&w->env, &a, &err), &err);
		assert_ok(add_attempt(a, "after", "granted", &err), &err);
		vs_audit_close(a);
		const bool both = access(rotated, F_OK) == 0;
		const char *const files[] = {both ? rotated : w->path, w->path};
		struct vs_audit_report r = {0};
		assert_ok(vs_audit_verify_files(files, both ? 2 : 1, NULL, &r, &err), &err);
		if (!r.ok)
			fail_msg("killed before call %d: file %zu, line %lu: %s", calls, r.bad_file,
				(unsigned long)r.bad_line, r.reason);
		const size_t mine = count_in_both(w, "\"token\":\"t\"");
		if (mine < (size_t)acknowledged || mine > (size_t)acknowledged + 1)
			fail_msg("killed before call %d: %zu records, %d acknowledged", calls, mine,
				acknowledged);
		with_both += both;
		if (!killed)
			break;
	}
	rotated[0] = '\0';
	print_message("killed before each of %d system calls, %d of them after the rotation\n",
		calls, with_both);
	assert_true(calls > 20 && calls < CALLS_MAX && with_both > 10);
	vs_buf_done(&b);
}

static int
up(void **state)
{
	(void)state;
	shared = mmap(
		NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return shared == MAP_FAILED;
}

int
main(void)
{
#define LOG_TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		LOG_TEST(a_writer_killed_before_any_system_call_costs_no_acknowledged_record),
		LOG_TEST(a_rotation_under_a_writer_that_is_killed_leaves_one_chain),
		LOG_TEST(a_recovery_killed_before_any_system_call_is_done_again),
	};

	return cmocka_run_group_tests(tests, up, NULL);
}
