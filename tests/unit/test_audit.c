/* SPDX-License-Identifier: BSD-2-Clause */
/* The audit log: writing, tearing, recovering (T-U1 .. T-U7). Verification has its own program. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "audit/audit.h"
#include "audit/verify.h"
#include "base/clock.h"
#include "base/file.h"
#include "unit/unit.h"

struct world {
	char dir[64], path[96];
	int64_t wall; /* 0: the real clock */
	struct vs_audit_env env;
};

static int64_t
hand_wall(void *self)
{
	return ((struct world *)self)->wall;
}

static int64_t
real_boot(void *self)
{
	(void)self;
	const struct vs_clock c = vs_clock_system();
	return c.ops->boot_ns(c.self);
}

static const struct vs_clock_ops hand_clock = {
	.name = "hand", .version = 1, .wall_unix = hand_wall, .boot_ns = real_boot};

static int
setup(void **state)
{
	struct world *w = calloc(1, sizeof *w);

	assert_non_null(w);
	(void)snprintf(w->dir, sizeof w->dir, "/tmp/vs-audit-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	(void)snprintf(w->path, sizeof w->path, "%s/log", w->dir);
	w->wall = 1790000000;
	w->env = (struct vs_audit_env){
		.path = w->path,
		.writer = "test",
		.clock = {.ops = &hand_clock, .self = w},
		.rng = vs_rng_system(),
	};
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;
	char path[128];

	(void)unlink(w->path);
	(void)snprintf(path, sizeof path, "%s/old", w->dir);
	(void)unlink(path);
	for (int i = 1; i < 100; i++) {
		(void)snprintf(path, sizeof path, "%s.torn-%d", w->path, i);
		(void)unlink(path);
	}
	assert_int_equal(rmdir(w->dir), 0);
	free(w);
	return 0;
}

static struct vs_audit *
open_log(struct world *w)
{
	struct vs_audit *a = NULL;
	struct vs_err err = {0};
	assert_ok(vs_audit_open(&w->env, &a, &err), &err);
	return a;
}

static int64_t
in_ms(int ms)
{
	return real_boot(NULL) + ms * INT64_C(1000000);
}

static vs_rc
add(struct vs_audit *a, const char *token, const char *result, struct vs_err *err)
{
	struct vs_audit_rec *r = NULL;
	VS_TRY(vs_audit_begin(a, "attempt", &r, err));
	vs_audit_str(r, "token", token);
	vs_audit_str(r, "result", result);
	vs_audit_int(r, "lease-s", -3600);
	vs_audit_bool(r, "odd", true);
	return vs_audit_commit(a, r, in_ms(5000), err);
}

static void
add_n(struct vs_audit *a, int n)
{
	struct vs_err err = {0};
	for (int i = 0; i < n; i++)
		assert_ok(add(a, "data-keys", "granted", &err), &err);
}

static struct vs_audit_report
report_of(struct world *w)
{
	struct vs_audit_report r;
	struct vs_err err = {0};
	assert_ok(vs_audit_verify_file(w->path, NULL, &r, &err), &err);
	return r;
}

static void
assert_whole(struct world *w, uint64_t n)
{
	const struct vs_audit_report r = report_of(w);
	if (!r.ok)
		fail_msg("line %llu: %s", (unsigned long long)r.bad_line, r.reason);
	assert_int_equal(r.n_records, n);
	assert_int_equal(r.last_seq, n);
	assert_false(r.tail_proven);
}

static struct vs_buf
contents(const char *path)
{
	struct vs_buf b = {.max = 16 << 20};
	struct vs_err err = {0};
	assert_ok(vs_file_read(path, 16 << 20, VS_FILE_ANY, &b, &err), &err);
	return b;
}

static void
overwrite(const char *path, struct vs_bytes b)
{
	const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, b.p, b.n), b.n);
	assert_int_equal(close(fd), 0);
}

static bool
log_has(struct world *w, const char *text)
{
	struct vs_buf b = contents(w->path);
	const bool found = strstr(vs_buf_cstr(&b), text) != NULL;
	vs_buf_done(&b);
	return found;
}

/* ---- form -------------------------------------------------------------------------------- */

static void
a_new_log_begins_with_a_record_of_its_own(void **state)
{
	struct world *w = *state;
	struct stat st;
	const mode_t old = umask(077);
	struct vs_audit *a = open_log(w);

	(void)umask(old);
	add_n(a, 3);
	vs_audit_close(a);
	assert_whole(w, 4);
	assert_int_equal(stat(w->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_true(log_has(w, "\"event\":\"log\""));
	assert_true(log_has(w, "\"time\":\"2026-09-21T14:13:20Z\",\"wall\":1790000000,"));
	assert_false(log_has(w, "\"lab\""));
}

static void
foreign_text_is_escaped_into_plain_ascii(void **state)
{
	struct world *w = *state;
	struct vs_audit *a = open_log(w);
	struct vs_audit_rec *r = NULL;
	struct vs_err err = {0};

	assert_ok(vs_audit_begin(a, "attempt", &r, &err), &err);
	vs_audit_str(r, "token",
		"a\"b\\c\n\x1b[31m\x7f \xc3\xa9 \xf0\x9f\x94\x91 \xff\xc0\xaf\xed\xa0\x80");
	assert_ok(vs_audit_commit(a, r, in_ms(1000), &err), &err);
	vs_audit_close(a);
	assert_whole(w, 2);
	assert_true(log_has(w,
		"\"a\\\"b\\\\c\\u000a\\u001b[31m\\u007f \\u00e9 \\ud83d\\udd11 "
		"\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\""));
	struct vs_buf b = contents(w->path);
	for (size_t i = 0; i < b.n; i++)
		assert_true((b.p[i] >= 0x20 && b.p[i] < 0x7f) || b.p[i] == '\n');
	vs_buf_done(&b);
	struct vs_audit_last last;
	assert_ok(vs_audit_last_verdict(w->path, NULL, &last, &err), &err);
	assert_string_equal(last.token,
		"a\"b\\c\n\x1b[31m\x7f \xc3\xa9 \xf0\x9f\x94\x91 "
		"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
}

static void
a_verdict_is_written_with_every_check(void **state)
{
	struct world *w = *state;
	static struct vs_verdict v = {.passed = false};
	struct vs_audit *a = open_log(w);
	struct vs_audit_rec *r = NULL;
	struct vs_err err = {0};

	v.n_checks = VS_VERDICT_CHECKS_MAX;
	for (size_t i = 0; i < v.n_checks; i++) {
		v.checks[i] =
			(struct vs_check){.rule = "A11", .name = "token expiry", .passed = i != 7};
		memset(v.checks[i].expected, 0x01, sizeof v.checks[i].expected - 1);
		memset(v.checks[i].seen, 'x', sizeof v.checks[i].seen - 1);
	}
	assert_ok(vs_audit_begin(a, "attempt", &r, &err), &err);
	vs_audit_verdict(r, &v);
	assert_ok(vs_audit_commit(a, r, in_ms(1000), &err), &err);
	vs_audit_close(a);
	assert_whole(w, 2);
	assert_true(log_has(w,
		"\"accepted\":false,\"checks\":[{\"rule\":\"A11\",\"name\":\"token "
		"expiry\",\"expected\":"));
}

static void
a_name_twice_or_reserved_spoils_the_record(void **state)
{
	struct world *w = *state;
	static const char *const names[] = {
		"token", "hash", "seq", "event", "Big", "with space", ""};
	struct vs_audit *a = open_log(w);

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct vs_audit_rec *r = NULL;
		struct vs_err err = {0};
		assert_ok(vs_audit_begin(a, "attempt", &r, &err), &err);
		vs_audit_str(r, "token", "x");
		vs_audit_str(r, names[i], "y");
		vs_audit_str(r, "later", "z");
		assert_code(vs_audit_commit(a, r, in_ms(1000), &err), INTERNAL);
	}
	vs_audit_close(a);
	assert_whole(w, 1);
}

static void
a_record_that_is_too_long_is_refused(void **state)
{
	struct world *w = *state;
	static char text[8000];
	struct vs_audit *a = open_log(w);
	struct vs_audit_rec *r = NULL;
	struct vs_err err = {0};
	char name[16];

	memset(text, 'x', sizeof text - 1);
	assert_ok(vs_audit_begin(a, "attempt", &r, &err), &err);
	for (int i = 0; i < 60; i++) {
		(void)snprintf(name, sizeof name, "m%d", i);
		vs_audit_str(r, name, text);
	}
	assert_true(vs_failed(vs_audit_commit(a, r, in_ms(1000), &err)));
	add_n(a, 1);
	vs_audit_close(a);
	assert_whole(w, 2);
}

/* ---- tearing ----------------------------------------------------------------------------- */

static void
a_tail_torn_at_any_byte_is_kept_and_continued(void **state)
{
	struct world *w = *state;
	struct vs_audit *a = open_log(w);

	add_n(a, 2);
	vs_audit_close(a);
	struct vs_buf whole = contents(w->path);
	const size_t second_end =
		(size_t)((uint8_t *)memrchr(whole.p, '\n', whole.n - 1) - whole.p) + 1;
	for (size_t cut = second_end + 1; cut < whole.n; cut++) {
		char torn[128];
		overwrite(w->path, vs_bytes_of(whole.p, cut));
		assert_false(report_of(w).ok);
		assert_true(report_of(w).torn_tail);
		a = open_log(w);
		add_n(a, 1);
		vs_audit_close(a);
		assert_whole(w, 4); /* log, attempt, recovery, attempt */
		assert_int_equal(report_of(w).n_recoveries, 1);
		(void)snprintf(torn, sizeof torn, "%s.torn-1", w->path);
		struct vs_buf kept = contents(torn);
		assert_int_equal(kept.n, cut - second_end);
		assert_memory_equal(kept.p, whole.p + second_end, kept.n);
		vs_buf_done(&kept);
		assert_int_equal(unlink(torn), 0);
	}
	vs_buf_done(&whole);
}

static void
zeros_of_a_lost_block_are_a_torn_tail(void **state)
{
	struct world *w = *state;
	static const uint8_t zeros[4096];
	struct vs_audit *a = open_log(w);

	add_n(a, 2);
	struct vs_buf b = contents(w->path);
	assert_false(vs_failed(vs_buf_add(&b, zeros, sizeof zeros, NULL)));
	overwrite(w->path, vs_buf_view(&b));
	vs_buf_done(&b);
	add_n(a, 1); /* noticed by a process that has the log open, too */
	vs_audit_close(a);
	assert_whole(w, 5);
	assert_int_equal(report_of(w).n_recoveries, 1);
}

static void
a_log_whose_first_record_is_torn_starts_again(void **state)
{
	struct world *w = *state;

	overwrite(w->path, vs_bytes_str("{\"v\":1,\"log\":\"0123"));
	struct vs_audit *a = open_log(w);
	add_n(a, 1);
	vs_audit_close(a);
	assert_whole(w, 3);
	assert_int_equal(report_of(w).n_recoveries, 1);
}

static void
a_file_that_is_no_log_is_not_touched(void **state)
{
	struct world *w = *state;
	struct vs_audit *a = NULL;
	struct vs_err err = {0};
	struct vs_buf b = {.max = 4 << 20};

	for (int i = 0; i < 60000; i++)
		assert_false(vs_failed(
			vs_buf_add_str(&b, "this is somebody's mailbox, really\n", NULL)));
	overwrite(w->path, vs_buf_view(&b));
	assert_code(vs_audit_open(&w->env, &a, &err), AUDIT);
	struct vs_buf after = contents(w->path);
	assert_true(vs_bytes_eq(vs_buf_view(&b), vs_buf_view(&after)));
	vs_buf_done(&b);
	vs_buf_done(&after);
}

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
		const vs_rc rc = add(a, "t", "granted", &err);
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
		(void)add(a, "killed", "granted", &err).code;
		(void)add(a, "killed", "granted", &err).code;
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
	const int fd = open(w->path, O_RDONLY | O_CLOEXEC);

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

static void
many_processes_keep_one_chain(void **state)
{
	enum { PROCESSES = 64, RECORDS = 25 };
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
	assert_ok(add(a, "data-keys", "granted", &err), &err);
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

#define LOG_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LOG_TEST(a_new_log_begins_with_a_record_of_its_own),
		LOG_TEST(foreign_text_is_escaped_into_plain_ascii),
		LOG_TEST(a_verdict_is_written_with_every_check),
		LOG_TEST(a_name_twice_or_reserved_spoils_the_record),
		LOG_TEST(a_record_that_is_too_long_is_refused),
		LOG_TEST(a_tail_torn_at_any_byte_is_kept_and_continued),
		LOG_TEST(zeros_of_a_lost_block_are_a_torn_tail),
		LOG_TEST(a_log_whose_first_record_is_torn_starts_again),
		LOG_TEST(a_file_that_is_no_log_is_not_touched),
		LOG_TEST(a_full_disk_denies_and_leaves_nothing_behind),
		LOG_TEST(a_write_that_kills_us_is_recovered_by_the_next),
		LOG_TEST(a_device_or_writable_by_all_is_refused),
		LOG_TEST(a_lock_held_by_somebody_blocks_no_longer_than_the_deadline),
		LOG_TEST(a_rotated_log_is_continued_in_a_new_file_that_names_the_old),
		LOG_TEST(a_log_cut_under_a_running_writer_is_noted),
		LOG_TEST(a_clock_that_goes_back_is_recorded),
		LOG_TEST(lab_and_production_do_not_share_a_log),
		LOG_TEST(many_processes_keep_one_chain),
		LOG_TEST(the_newest_decision_about_a_token_is_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
