/* SPDX-License-Identifier: BSD-2-Clause */
/* The audit log when the world is against it (T-U2 .. T-U6), and what it says happened last. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit/audit_world.h"

/* ---- trouble ----------------------------------------------------------------------------- */

static void
a_full_disk_denies_and_leaves_nothing_behind(void **state)
{
	struct world *w = *state;
	struct rlimit old, small;
	struct vs_audit *a = open_log(w);
	struct vs_err err = {0};
	struct stat before, after;

	add_n(a, 2);
	assert_int_equal(stat(w->path, &before), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
	for (rlim_t room = 0; room < 400; room += 37) {
		small = old;
		small.rlim_cur = (rlim_t)before.st_size + room;
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
		const vs_rc rc = add_attempt(a, "t", "granted", &err);
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
		assert_code(rc, AUDIT);
		assert_int_equal(stat(w->path, &after), 0);
		assert_int_equal(after.st_size, before.st_size);
		assert_whole(w, 3);
	}
	/* and goes on without a restart when there is room again */
	add_n(a, 1);
	(void)signal(SIGXFSZ, handler);
	vs_audit_close(a);
	assert_whole(w, 4);
}

static void
a_write_that_kills_us_is_recovered_by_the_next(void **state)
{
	struct world *w = *state;
	struct vs_audit *a = open_log(w);
	struct stat st;

	add_n(a, 2);
	assert_int_equal(stat(w->path, &st), 0);
	const pid_t child = fork();
	if (child == 0) {
		/* The kernel writes what fits and kills in the middle of the record. */
		const struct rlimit one = {
			.rlim_cur = (rlim_t)st.st_size + 100, .rlim_max = (rlim_t)st.st_size + 100};
		const struct rlimit none = {0};
		(void)setrlimit(RLIMIT_CORE, &none);
		(void)signal(SIGXFSZ, SIG_DFL);
		(void)setrlimit(RLIMIT_FSIZE, &one);
		struct vs_err err = {0};
		(void)add_attempt(a, "killed", "granted", &err).code;
		(void)add_attempt(a, "killed", "granted", &err).code;
		_exit(0);
	}
	int status = 0;
	assert_int_equal(waitpid(child, &status, 0), child);
	add_n(a, 1);
	vs_audit_close(a);
	const struct vs_audit_report r = report_of(w);
	assert_true(r.ok);
	assert_false(log_has(w, "killed"));
}

static void
a_device_or_writable_by_all_is_refused(void **state)
{
	struct world *w = *state;
	struct vs_audit *a = NULL;
	struct vs_err err = {0};

	w->env.path = "/dev/full";
	assert_code(vs_audit_open(&w->env, &a, &err), AUDIT);
	w->env.path = "/nonexistent/dir/log";
	assert_code(vs_audit_open(&w->env, &a, &err), AUDIT);
	assert_int_equal(err.frames[0].foreign, ENOENT);
	w->env.path = w->path;
	overwrite(w->path, vs_bytes_str(""));
	assert_int_equal(chmod(w->path, 0666), 0);
	assert_code(vs_audit_open(&w->env, &a, &err), AUDIT);
}

static void
a_lock_held_by_somebody_blocks_no_longer_than_the_deadline(void **state)
{
	struct world *w = *state;
	struct vs_audit *a = open_log(w);
	struct vs_audit_rec *r = NULL;
	struct vs_err err = {0};
	char lock[128];

	(void)snprintf(lock, sizeof lock, "%s.lock", w->path);
	const int fd = open(lock, O_RDONLY | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_ok(vs_audit_begin(a, "attempt", &r, &err), &err);
	const int64_t start = real_boot(NULL);
	assert_code(vs_audit_commit(a, r, in_ms(100), &err), AUDIT);
	const int64_t waited = real_boot(NULL) - start;
	assert_true(waited >= 90 * INT64_C(1000000) && waited < 3000 * INT64_C(1000000));
	assert_int_equal(close(fd), 0);
	add_n(a, 1);
	vs_audit_close(a);
	assert_whole(w, 2);
}

/* Whoever may read the log can open it, and so lock it: that is of no consequence. */
static void
a_reader_that_locks_the_log_stalls_nobody(void **state)
{
	struct world *w = *state;
	struct vs_audit *a = open_log(w);
	char lock[128];
	struct stat st;
	const int fd = open(w->path, O_RDONLY | O_CLOEXEC);

	assert_int_equal(flock(fd, LOCK_EX), 0);
	const int64_t start = real_boot(NULL);
	add_n(a, 3);
	assert_true(real_boot(NULL) - start < 3000 * INT64_C(1000000));
	assert_int_equal(close(fd), 0);
	vs_audit_close(a);
	assert_whole(w, 4);
	(void)snprintf(lock, sizeof lock, "%s.lock", w->path);
	assert_int_equal(stat(lock, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	/* Made readable by somebody: the next writer closes it again. */
	assert_int_equal(chmod(lock, 0644), 0);
	vs_audit_close(open_log(w));
	assert_int_equal(stat(lock, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	/* Made by root beside somebody else's log: the log's owner can use it. */
	if (geteuid() == 0) {
		assert_int_equal(unlink(lock), 0);
		assert_int_equal(chown(w->path, 65534, 65534), 0);
		vs_audit_close(open_log(w));
		assert_int_equal(stat(lock, &st), 0);
		assert_int_equal(st.st_uid, 65534);
		assert_int_equal(st.st_mode & 07777, 0600);
		assert_int_equal(chown(w->path, 0, 0), 0);
	}
	/* Those who may write the log by their group may lock it by their group. */
	assert_int_equal(chmod(w->path, 0660), 0);
	vs_audit_close(open_log(w));
	assert_int_equal(stat(lock, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
}

static void
a_lock_that_is_removed_or_no_file_does_not_break_the_chain(void **state)
{
	struct world *w = *state;
	struct vs_audit *a = open_log(w);
	struct vs_audit *b = open_log(w);
	char lock[128];

	(void)snprintf(lock, sizeof lock, "%s.lock", w->path);
	add_n(a, 1);
	assert_int_equal(unlink(lock), 0);
	add_n(b, 1);
	add_n(a, 1);
	assert_int_equal(access(lock, F_OK), 0);
	vs_audit_close(b);
	assert_whole(w, 4);
	/* Somebody who may write the folder puts something else there: denied, not followed. */
	assert_int_equal(unlink(lock), 0);
	assert_int_equal(symlink("/dev/null", lock), 0);
	struct vs_err err = {0};
	assert_code(add_attempt(a, "t", "granted", &err), AUDIT);
	assert_int_equal(unlink(lock), 0);
	assert_int_equal(mkfifo(lock, 0600), 0);
	assert_code(add_attempt(a, "t", "granted", &err), AUDIT);
	assert_int_equal(unlink(lock), 0);
	add_n(a, 1);
	vs_audit_close(a);
	assert_whole(w, 5);
}

static void
a_rotated_log_is_continued_in_a_new_file_that_names_the_old(void **state)
{
	struct world *w = *state;
	char old[128], text[160];
	struct vs_audit *a = open_log(w);

	add_n(a, 2);
	const struct vs_audit_report before = report_of(w);
	(void)snprintf(old, sizeof old, "%s/old", w->dir);
	assert_int_equal(rename(w->path, old), 0);
	add_n(a, 1);
	assert_whole(w, 2);
	(void)snprintf(text, sizeof text,
		"\"after_log\":\"%s\",\"after_seq\":3,\"after_hash\":\"%s\"", before.log_id,
		before.last_hash);
	assert_true(log_has(w, text));
	/* deleted: the same */
	assert_int_equal(unlink(w->path), 0);
	add_n(a, 1);
	vs_audit_close(a);
	assert_whole(w, 2);
	assert_true(log_has(w, "\"after_seq\":2"));
}

static void
a_log_deleted_under_a_running_writer_is_followed_by_one_that_says_so(void **state)
{
	struct world *w = *state;
	struct vs_audit *a = open_log(w);

	add_n(a, 2);
	assert_int_equal(unlink(w->path), 0);
	add_n(a, 1);
	vs_audit_close(a);
	assert_true(log_has(w, "\"after_seq\":3"));
	assert_true(report_of(w).has_after);
	assert_whole(w, 2);
}

static void
a_log_cut_under_a_running_writer_is_noted(void **state)
{
	struct world *w = *state;
	char text[160];
	struct vs_audit *a = open_log(w);

	add_n(a, 2);
	struct vs_buf early = contents(w->path);
	add_n(a, 2);
	const struct vs_audit_report before = report_of(w);
	overwrite(w->path, vs_buf_view(&early)); /* an older copy comes back */
	vs_buf_done(&early);
	add_n(a, 1);
	vs_audit_close(a);
	(void)snprintf(text, sizeof text,
		"\"event\":\"loss\",\"lost_log\":\"%s\",\"lost_seq\":5,\"lost_hash\":\"%s\"",
		before.log_id, before.last_hash);
	assert_true(log_has(w, text));
	assert_whole(w, 5);
}

static void
a_clock_that_goes_back_is_recorded(void **state)
{
	struct world *w = *state;
	struct vs_audit *a = open_log(w);

	add_n(a, 1);
	assert_false(log_has(w, "clock_back_s"));
	w->wall -= 7200;
	add_n(a, 1);
	vs_audit_close(a);
	assert_true(log_has(w, "\"clock_back_s\":7200,\"prev\""));
	assert_whole(w, 3);
}

static void
lab_and_production_do_not_share_a_log(void **state)
{
	struct world *w = *state;
	struct vs_audit *a = NULL;
	struct vs_err err = {0};

	w->env.lab = true;
	a = open_log(w);
	add_n(a, 1);
	vs_audit_close(a);
	assert_true(log_has(w, "\"lab\":true,\"event\":\"attempt\""));
	assert_true(report_of(w).lab);
	w->env.lab = false;
	assert_code(vs_audit_open(&w->env, &a, &err), AUDIT);
	assert_whole(w, 2);
}

/* ---- many writers ------------------------------------------------------------------------ */

enum { PROCESSES = 64, RECORDS = 1000 };

static int
member(const char *line, const char *name)
{
	const char *p = strstr(line, name);
	assert_non_null(p);
	return (int)strtoul(p + strlen(name), NULL, 10);
}

/* None is there twice in the place of one that is missing, none overtook another of its writer. */
static void
assert_each_once_and_in_order(const char *path)
{
	int next[PROCESSES] = {0};
	char *line = NULL;
	size_t size = 0;
	FILE *f = fopen(path, "re");
	assert_non_null(f);
	while (getline(&line, &size, f) > 0) {
		if (strstr(line, "\"event\":\"attempt\"") == NULL)
			continue;
		const int child = member(line, "\"child\":");
		assert_in_range(child, 0, PROCESSES - 1);
		assert_int_equal(member(line, "\"k\":"), next[child]++);
	}
	for (int i = 0; i < PROCESSES; i++)
		assert_int_equal(next[i], RECORDS);
	free(line);
	(void)fclose(f);
}

static void
many_processes_keep_one_chain(void **state)
{
	struct world *w = *state;
	pid_t children[PROCESSES];

	for (int i = 0; i < PROCESSES; i++) {
		children[i] = fork();
		assert_true(children[i] >= 0);
		if (children[i] != 0)
			continue;
		struct vs_audit *a = NULL;
		struct vs_err err = {0};
		struct vs_audit_rec *r = NULL;
		if (vs_failed(vs_audit_open(&w->env, &a, &err)))
			_exit(1);
		for (int k = 0; k < RECORDS; k++) {
			if (vs_failed(vs_audit_begin(a, "attempt", &r, &err)))
				_exit(2);
			vs_audit_int(r, "child", i);
			vs_audit_int(r, "k", k);
			if (vs_failed(vs_audit_commit(a, r, in_ms(120000), &err)))
				_exit(3);
		}
		_exit(0);
	}
	for (int i = 0; i < PROCESSES; i++) {
		int status = 0;
		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
	assert_whole(w, 1 + PROCESSES * RECORDS);
	assert_each_once_and_in_order(w->path);
}

/* ---- what happened last ------------------------------------------------------------------ */

static void
the_newest_decision_about_a_token_is_found(void **state)
{
	struct world *w = *state;
	struct vs_audit *a = open_log(w);
	struct vs_audit_last last;
	struct vs_err err = {0}, why = {0};
	struct vs_audit_rec *r = NULL;

	assert_ok(vs_audit_last_verdict(w->path, "data-keys", &last, &err), &err);
	assert_false(last.found);
	assert_ok(add_attempt(a, "data-keys", "granted", &err), &err);
	assert_ok(vs_audit_begin(a, "attempt", &r, &err), &err);
	vs_audit_str(r, "token", "other");
	vs_audit_str(r, "result", "refused");
	(void)vs_err_put(&why, VS_E_REFUSED_FLOOR, "f", 1, 0, "secure boot is off").code;
	vs_audit_err(r, &why);
	assert_ok(vs_audit_commit(a, r, in_ms(1000), &err), &err);
	vs_audit_close(a);

	assert_ok(vs_audit_last_verdict(w->path, "data-keys", &last, &err), &err);
	assert_true(last.found && last.granted);
	assert_int_equal(last.seq, 2);
	assert_string_equal(last.time, "2026-09-21T14:13:20Z");
	assert_ok(vs_audit_last_verdict(w->path, NULL, &last, &err), &err);
	assert_true(last.found);
	assert_false(last.granted);
	assert_string_equal(last.token, "other");
	assert_string_equal(last.code, "REFUSED_FLOOR");
	assert_string_equal(last.sentence, "secure boot is off");
	assert_ok(vs_audit_last_verdict(w->path, "third", &last, &err), &err);
	assert_false(last.found);
	assert_code(vs_audit_last_verdict("/nonexistent", NULL, &last, &err), FILE);
}

#define LOG_TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LOG_TEST(a_full_disk_denies_and_leaves_nothing_behind),
		LOG_TEST(a_write_that_kills_us_is_recovered_by_the_next),
		LOG_TEST(a_device_or_writable_by_all_is_refused),
		LOG_TEST(a_lock_held_by_somebody_blocks_no_longer_than_the_deadline),
		LOG_TEST(a_reader_that_locks_the_log_stalls_nobody),
		LOG_TEST(a_lock_that_is_removed_or_no_file_does_not_break_the_chain),
		LOG_TEST(a_rotated_log_is_continued_in_a_new_file_that_names_the_old),
		LOG_TEST(a_log_deleted_under_a_running_writer_is_followed_by_one_that_says_so),
		LOG_TEST(a_log_cut_under_a_running_writer_is_noted),
		LOG_TEST(a_clock_that_goes_back_is_recorded),
		LOG_TEST(lab_and_production_do_not_share_a_log),
		LOG_TEST(many_processes_keep_one_chain),
		LOG_TEST(the_newest_decision_about_a_token_is_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
