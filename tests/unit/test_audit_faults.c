/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Each system call under the log fails once, with each errno that matters (T-U4): no record means
 * an error, an error means no record, and the next record goes on as if nothing had been.
 */
#include <errno.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit/audit_world.h"

enum call {
	CALL_NONE = 0,
	CALL_OPEN,
	CALL_WRITE,
	CALL_FSYNC,
	CALL_FTRUNCATE,
	CALL_PREAD,
	CALL_FLOCK,
	CALL_COUNT_
};

static enum call armed;
static int armed_n, armed_errno;
static bool short_write, no_truncation, fired;

static bool
fail_now(enum call c)
{
	if (armed != c || armed_n-- != 0)
		return false;
	errno = armed_errno;
	fired = true;
	return true;
}

int __real_open(const char *path, int flags, ...);
ssize_t __real_write(int fd, const void *p, size_t n);
int __real_fsync(int fd);
int __real_ftruncate(int fd, off_t n);
ssize_t __real_pread(int fd, void *p, size_t n, off_t at);
int __real_flock(int fd, int op);
int __wrap_open(const char *path, int flags, ...);
ssize_t __wrap_write(int fd, const void *p, size_t n);
int __wrap_fsync(int fd);
int __wrap_ftruncate(int fd, off_t n);
ssize_t __wrap_pread(int fd, void *p, size_t n, off_t at);
int __wrap_flock(int fd, int op);

int
__wrap_open(const char *path, int flags, ...)
{
	va_list ap;

	va_start(ap, flags);
	const unsigned mode = va_arg(ap, unsigned);
	va_end(ap);
	return fail_now(CALL_OPEN) ? -1 : __real_open(path, flags, mode);
}

ssize_t
__wrap_write(int fd, const void *p, size_t n)
{
	if (!fail_now(CALL_WRITE))
		return __real_write(fd, p, n);
	return short_write ? __real_write(fd, p, n / 2) : -1;
}

int
__wrap_fsync(int fd)
{
	return fail_now(CALL_FSYNC) ? -1 : __real_fsync(fd);
}

int
__wrap_ftruncate(int fd, off_t n)
{
	return no_truncation || fail_now(CALL_FTRUNCATE) ? -1 : __real_ftruncate(fd, n);
}

ssize_t
__wrap_pread(int fd, void *p, size_t n, off_t at)
{
	return fail_now(CALL_PREAD) ? -1 : __real_pread(fd, p, n, at);
}

int
__wrap_flock(int fd, int op)
{
	return fail_now(CALL_FLOCK) ? -1 : __real_flock(fd, op);
}

static vs_rc
add_with(struct vs_audit *a, enum call c, int n, int e, struct vs_err *err)
{
	armed = c;
	armed_n = n;
	armed_errno = e;
	fired = false;
	const vs_rc rc = add_attempt(a, "failing", "granted", err);
	armed = CALL_NONE;
	return rc;
}

static int64_t
size_of(struct world *w)
{
	struct stat st;
	assert_int_equal(stat(w->path, &st), 0);
	return st.st_size;
}

static void
each_failing_call_denies_and_leaves_no_record(void **state)
{
	static const struct {
		enum call call;
		int error;
	} rows[] = {{CALL_WRITE, ENOSPC}, {CALL_WRITE, EIO}, {CALL_WRITE, EDQUOT},
		{CALL_WRITE, EROFS}, {CALL_FSYNC, EIO}, {CALL_FSYNC, ENOSPC}, {CALL_PREAD, EIO},
		{CALL_FLOCK, ENOLCK}};
	struct world *w = *state;
	struct vs_audit *a = open_log(w);
	uint64_t records = 3;

	add_n(a, 2);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct vs_err err = {0};
		const int64_t before = size_of(w);
		assert_code(add_with(a, rows[i].call, 0, rows[i].error, &err), AUDIT);
		assert_true(fired);
		assert_int_equal(err.frames[0].foreign, rows[i].error);
		assert_int_equal(size_of(w), before);
		assert_whole(w, records);
		add_n(a, 1);
		assert_whole(w, ++records);
	}
	vs_audit_close(a);
	assert_false(log_has(w, "failing"));
}

/* The n-th write of several records fails: none of them stays, also not those before it. */
static void
a_failing_write_among_several_records_takes_all_back(void **state)
{
	enum { TOGETHER = 4 };
	struct world *w = *state;
	struct vs_audit *a = open_log(w);
	uint64_t records = 2;

	add_n(a, 1);
	for (int k = 0; k <= TOGETHER; k++) {
		struct vs_audit_rec *recs[TOGETHER];
		struct vs_err err = {0};
		const int64_t before = size_of(w);
		for (int i = 0; i < TOGETHER; i++)
			assert_ok(vs_audit_begin(a, "failing", &recs[i], &err), &err);
		armed = k < TOGETHER ? CALL_WRITE : CALL_FSYNC;
		armed_n = k < TOGETHER ? k : 0;
		armed_errno = EIO;
		fired = false;
		const vs_rc rc = vs_audit_commit_all(a, recs, TOGETHER, in_ms(5000), &err);
		armed = CALL_NONE;
		assert_code(rc, AUDIT);
		assert_true(fired);
		assert_int_equal(size_of(w), before);
		add_n(a, 1);
		assert_whole(w, ++records);
	}
	vs_audit_close(a);
	assert_false(log_has(w, "failing"));
}

static void
a_short_write_is_taken_back(void **state)
{
	struct world *w = *state;
	struct vs_audit *a = open_log(w);
	struct vs_err err = {0};

	add_n(a, 1);
	const int64_t before = size_of(w);
	short_write = true;
	assert_code(add_with(a, CALL_WRITE, 0, 0, &err), AUDIT);
	short_write = false;
	assert_int_equal(err.frames[0].foreign, ENOSPC);
	assert_int_equal(size_of(w), before);
	add_n(a, 1);
	vs_audit_close(a);
	assert_whole(w, 3);
}

/* The disk does not even let us take back: the next one recognises the torn end. */
static void
what_cannot_be_taken_back_is_recovered(void **state)
{
	struct world *w = *state;
	struct vs_audit *a = open_log(w);
	struct vs_err err = {0};

	add_n(a, 1);
	const int64_t before = size_of(w);
	short_write = no_truncation = true;
	assert_code(add_with(a, CALL_WRITE, 0, 0, &err), AUDIT);
	short_write = no_truncation = false;
	assert_true(size_of(w) > before);
	assert_false(report_of(w).ok);
	add_n(a, 1);
	vs_audit_close(a);
	assert_whole(w, 4);
	assert_int_equal(report_of(w).n_recoveries, 1);
	assert_false(log_has(w, "failing"));
}

static void
an_interrupted_lock_or_write_is_tried_again(void **state)
{
	struct world *w = *state;
	struct vs_audit *a = open_log(w);
	struct vs_err err = {0};

	assert_ok(add_with(a, CALL_WRITE, 0, EINTR, &err), &err);
	assert_true(fired);
	assert_ok(add_with(a, CALL_FLOCK, 0, EINTR, &err), &err);
	assert_true(fired);
	assert_ok(add_with(a, CALL_PREAD, 0, EINTR, &err), &err);
	assert_true(fired);
	vs_audit_close(a);
	assert_whole(w, 4);
}

static void
a_log_that_cannot_be_opened_again_denies(void **state)
{
	struct world *w = *state;
	struct vs_audit *a = open_log(w);
	struct vs_err err = {0};

	add_n(a, 1);
	assert_int_equal(unlink(w->path), 0);
	assert_code(add_with(a, CALL_OPEN, 0, EACCES, &err), AUDIT);
	assert_true(fired);
	assert_int_equal(err.frames[0].foreign, EACCES);
	add_n(a, 1);
	vs_audit_close(a);
	assert_whole(w, 2);
}

/* Keeping the torn end beside the file fails: then nothing is cut off and nothing is written. */
static void
a_torn_end_that_cannot_be_kept_stays_where_it_is(void **state)
{
	static const struct {
		enum call call;
		int n;
	} rows[] = {{CALL_OPEN, 1}, {CALL_WRITE, 0}, {CALL_FSYNC, 0}, {CALL_FTRUNCATE, 0}};
	struct world *w = *state;
	struct vs_audit *a = open_log(w);

	add_n(a, 1);
	vs_audit_close(a);
	struct vs_buf torn = contents(w->path);
	assert_false(vs_failed(vs_buf_add_str(&torn, "{\"v\":1,\"lo", NULL)));
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct vs_err err = {0};
		overwrite(w->path, vs_buf_view(&torn));
		armed = rows[i].call;
		armed_n = rows[i].n;
		armed_errno = ENOSPC;
		fired = false;
		a = NULL;
		assert_code(vs_audit_open(&w->env, &a, &err), AUDIT);
		armed = CALL_NONE;
		assert_true(fired);
		struct vs_buf now = contents(w->path);
		assert_true(vs_bytes_eq(vs_buf_view(&now), vs_buf_view(&torn)));
		vs_buf_done(&now);
	}
	vs_buf_done(&torn);
	a = open_log(w);
	add_n(a, 1);
	vs_audit_close(a);
	assert_whole(w, 4);
}

#define LOG_TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LOG_TEST(each_failing_call_denies_and_leaves_no_record),
		LOG_TEST(a_failing_write_among_several_records_takes_all_back),
		LOG_TEST(a_short_write_is_taken_back),
		LOG_TEST(what_cannot_be_taken_back_is_recovered),
		LOG_TEST(an_interrupted_lock_or_write_is_tried_again),
		LOG_TEST(a_log_that_cannot_be_opened_again_denies),
		LOG_TEST(a_torn_end_that_cannot_be_kept_stays_where_it_is),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
