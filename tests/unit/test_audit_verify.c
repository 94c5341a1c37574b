/* SPDX-License-Identifier: BSD-2-Clause */
/* Verification finds every kind of damage and names the first bad record (T-U1, T-U2). */
#include <sys/mman.h>
#include <unistd.h>

#include "audit/audit.h"
#include "audit/verify.h"
#include "base/clock.h"
#include "base/file.h"
#include "unit/unit.h"

enum { RECORDS = 8 };

static char dir[64], path[96], other_path[96];
static int file; /* in memory; path leads to it */
static struct vs_buf good;
static size_t line_at[RECORDS + 2]; /* start of line i+1 */
static struct vs_audit_report good_report;

static void
make_log(const char *p)
{
	struct vs_err err = {0};
	struct vs_audit *a = NULL;
	struct vs_audit_rec *r = NULL;
	const struct vs_clock clock = vs_clock_system();
	const struct vs_audit_env env = {
		.path = p, .writer = "test", .clock = clock, .rng = vs_rng_system()};

	assert_ok(vs_audit_open(&env, &a, &err), &err);
	for (int i = 1; i < RECORDS; i++) {
		assert_ok(vs_audit_begin(a, "attempt", &r, &err), &err);
		vs_audit_str(r, "token", "data-keys \xc3\xa9");
		vs_audit_int(r, "i", i);
		assert_ok(vs_audit_commit(
				  a, r, clock.ops->boot_ns(clock.self) + INT64_C(5000000000), &err),
			&err);
	}
	vs_audit_close(a);
}

static void
put(struct vs_bytes b)
{
	assert_int_equal(ftruncate(file, 0), 0);
	assert_int_equal(pwrite(file, b.p, b.n, 0), b.n);
}

static struct vs_audit_report
check(const struct vs_audit_checkpoint *cp)
{
	struct vs_audit_report r;
	struct vs_err err = {0};
	assert_ok(vs_audit_verify_file(path, cp, &r, &err), &err);
	return r;
}

/* The lines of the good log in another order; numbers from 1, ends with 0. */
static void
put_lines(const int *lines)
{
	struct vs_buf b = {.max = 1 << 20};
	for (; *lines != 0; lines++)
		assert_false(vs_failed(vs_buf_add(&b, good.p + line_at[*lines - 1],
			line_at[*lines] - line_at[*lines - 1], NULL)));
	put(vs_buf_view(&b));
	vs_buf_done(&b);
}

static void
drop_lock(const char *log)
{
	char lock[sizeof path + 8];

	(void)snprintf(lock, sizeof lock, "%s.lock", log);
	assert_int_equal(unlink(lock), 0);
}

static int
group_setup(void **state)
{
	struct vs_err err = {0};
	size_t n = 0;

	(void)state;
	(void)snprintf(dir, sizeof dir, "/tmp/vs-verify-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return 1;
	(void)snprintf(path, sizeof path, "%s/log", dir);
	(void)snprintf(other_path, sizeof other_path, "%s/other", dir);
	make_log(path);
	make_log(other_path);
	good = (struct vs_buf){.max = 1 << 20};
	assert_ok(vs_file_read(path, 1 << 20, VS_FILE_ANY, &good, &err), &err);
	line_at[n++] = 0;
	for (size_t i = 0; i < good.n; i++)
		if (good.p[i] == '\n')
			line_at[n++] = i + 1;
	assert_int_equal(n, RECORDS + 1);
	assert_int_equal(unlink(path), 0);
	drop_lock(path);
	drop_lock(other_path);
	file = memfd_create("log", MFD_CLOEXEC);
	assert_true(file >= 0);
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", file);
	put(vs_buf_view(&good));
	good_report = check(NULL);
	return good_report.ok ? 0 : 1;
}

static int
group_teardown(void **state)
{
	(void)state;
	vs_buf_done(&good);
	(void)close(file);
	(void)unlink(other_path);
	return rmdir(dir);
}

static void
every_changed_byte_is_found_in_its_record(void **state)
{
	static const uint8_t flips[] = {0x01, 0x20, 0x80};
	(void)state;
	for (size_t i = 0; i < good.n; i++) {
		size_t line = 1;
		while (line_at[line] <= i)
			line++;
		for (size_t f = 0; f < sizeof flips; f++) {
			good.p[i] ^= flips[f];
			put(vs_buf_view(&good));
			good.p[i] ^= flips[f];
			const struct vs_audit_report r = check(NULL);
			if (r.ok || r.bad_line != line)
				fail_msg("octet %zu of line %zu: ok=%d, line %llu: %s", i, line,
					r.ok, (unsigned long long)r.bad_line, r.reason);
			assert_true(r.reason[0] != 0);
		}
	}
}

static void
every_dropped_record_is_found(void **state)
{
	(void)state;
	for (int drop = 1; drop < RECORDS; drop++) {
		int lines[RECORDS + 1] = {0}, n = 0;
		for (int i = 1; i <= RECORDS; i++)
			if (i != drop)
				lines[n++] = i;
		put_lines(lines);
		const struct vs_audit_report r = check(NULL);
		assert_false(r.ok);
		assert_int_equal(r.bad_line, drop);
		assert_int_equal(r.bad_seq, drop + 1);
		assert_non_null(strstr(r.reason, "missing"));
	}
}

static void
every_doubled_record_is_found(void **state)
{
	(void)state;
	for (int twice = 1; twice <= RECORDS; twice++) {
		int lines[RECORDS + 2] = {0}, n = 0;
		for (int i = 1; i <= RECORDS; i++) {
			lines[n++] = i;
			if (i == twice)
				lines[n++] = i;
		}
		put_lines(lines);
		const struct vs_audit_report r = check(NULL);
		assert_false(r.ok);
		assert_int_equal(r.bad_line, twice + 1);
		assert_int_equal(r.bad_seq, twice);
	}
}

static void
every_swapped_pair_is_found(void **state)
{
	(void)state;
	for (int a = 1; a <= RECORDS; a++) {
		for (int b = a + 1; b <= RECORDS; b++) {
			int lines[RECORDS + 1] = {0};
			for (int i = 1; i <= RECORDS; i++)
				lines[i - 1] = i == a ? b : i == b ? a : i;
			put_lines(lines);
			const struct vs_audit_report r = check(NULL);
			assert_false(r.ok);
			assert_int_equal(r.bad_line, a);
		}
	}
}

static void
a_record_of_another_log_is_found(void **state)
{
	struct vs_buf other = {.max = 1 << 20}, mixed = {.max = 1 << 20};
	struct vs_err err = {0};

	(void)state;
	assert_ok(vs_file_read(other_path, 1 << 20, VS_FILE_ANY, &other, &err), &err);
	const uint8_t *line = other.p;
	for (int i = 1; i < 4; i++)
		line = (const uint8_t *)memchr(line, '\n', 4096) + 1;
	const uint8_t *end = (const uint8_t *)memchr(line, '\n', 4096) + 1;
	assert_ok(vs_buf_add(&mixed, good.p, line_at[3], &err), &err);
	assert_ok(vs_buf_add(&mixed, line, (size_t)(end - line), &err), &err);
	assert_ok(vs_buf_add(&mixed, good.p + line_at[4], good.n - line_at[4], &err), &err);
	put(vs_buf_view(&mixed));
	const struct vs_audit_report r = check(NULL);
	assert_false(r.ok);
	assert_int_equal(r.bad_line, 4);
	assert_non_null(strstr(r.reason, "another log"));
	vs_buf_done(&other);
	vs_buf_done(&mixed);
}

static void
a_cut_tail_is_proven_only_by_a_checkpoint(void **state)
{
	struct vs_audit_checkpoint cp = {.seq = RECORDS};

	(void)state;
	(void)snprintf(cp.hash, sizeof cp.hash, "%s", good_report.last_hash);
	for (size_t cut = 0; cut <= good.n; cut++) {
		put(vs_bytes_of(good.p, cut));
		const struct vs_audit_report plain = check(NULL), checked = check(&cp);
		bool at_record = false;
		for (size_t i = 1; i <= RECORDS; i++)
			at_record = at_record || cut == line_at[i];
		assert_int_equal(plain.ok, at_record);
		assert_false(plain.tail_proven);
		assert_int_equal(plain.torn_tail, !at_record && cut != 0);
		assert_int_equal(checked.ok, cut == good.n);
		assert_int_equal(checked.tail_proven, cut == good.n);
		if (at_record && cut != good.n)
			assert_non_null(strstr(checked.reason, "the end is missing"));
	}
}

static void
a_rewritten_log_does_not_fit_the_checkpoint(void **state)
{
	struct vs_audit_checkpoint cp = {.seq = 5};
	struct vs_buf other = {.max = 1 << 20};
	struct vs_err err = {0};

	(void)state;
	(void)snprintf(cp.hash, sizeof cp.hash, "%s", good_report.last_hash);
	assert_ok(vs_file_read(other_path, 1 << 20, VS_FILE_ANY, &other, &err), &err);
	put(vs_buf_view(&other));
	vs_buf_done(&other);
	assert_true(check(NULL).ok);
	const struct vs_audit_report r = check(&cp);
	assert_false(r.ok);
	assert_int_equal(r.bad_seq, 5);
	assert_non_null(strstr(r.reason, "rewritten"));
}

static void
a_checkpoint_in_the_middle_does_not_prove_the_tail(void **state)
{
	struct vs_audit_checkpoint cp = {.seq = 3};

	(void)state;
	put(vs_bytes_of(good.p, line_at[3]));
	(void)snprintf(cp.hash, sizeof cp.hash, "%s", check(NULL).last_hash);
	put(vs_buf_view(&good));
	const struct vs_audit_report r = check(&cp);
	assert_true(r.ok);
	assert_false(r.tail_proven);
}

static void
lines_in_other_forms_are_refused(void **state)
{
	static const char *const lines[] = {"\n", "{}\n", "[]\n", "null\n", "{\"v\":1}\n",
		" {\"v\":1,\"log\":\"\"}\n", "{\"v\":01,\"seq\":1}\n", "{\"v\":1,\"v\":1}\n",
		"{\"v\":-0}\n", "{\"v\":1.0}\n", "{\"v\":\"\\n\"}\n", "{\"v\":\"\\u00C9\"}\n",
		"{\"v\":[[[[[[1]]]]]]}\n", "{\"v\":\"\xc3\xa9\"}\n"};

	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		put(vs_bytes_str(lines[i]));
		const struct vs_audit_report r = check(NULL);
		assert_false(r.ok);
		assert_int_equal(r.bad_line, 1);
		assert_non_null(strstr(r.reason, "canonical"));
	}
}

static void
a_line_without_end_does_not_eat_memory(void **state)
{
	struct vs_buf b = {.max = 2 << 20};
	uint8_t *p = NULL;
	struct vs_err err = {0};

	(void)state;
	assert_ok(vs_buf_room(&b, 1 << 20, &p, &err), &err);
	memset(p, 'x', 1 << 20);
	put(vs_bytes_of(p, 1 << 20));
	vs_buf_done(&b);
	const struct vs_audit_report r = check(NULL);
	assert_false(r.ok);
	assert_non_null(strstr(r.reason, "longer than"));
	assert_code(vs_audit_verify_file(dir, NULL, &good_report, &err), FILE);
	assert_code(vs_audit_verify_file("/nonexistent", NULL, &good_report, &err), FILE);
}

/* As it was written before records named their writer's user. */
static const char old_log[] =
	"{\"v\":1,\"log\":\"00112233445566778899aabbccddeeff\",\"seq\":1,"
	"\"time\":\"2026-11-21T22:23:01Z\",\"wall\":1795299781,"
	"\"boot_id\":\"9e44f36f-3e7d-47c9-a1e5-c1efad2e4249\",\"boot_ns\":11,"
	"\"writer\":\"vouchsafe-agent\",\"writer_pid\":7,\"event\":\"log\","
	"\"prev\":\"0000000000000000000000000000000000000000000000000000000000000000\","
	"\"hash\":\"0c9ec87dd1365e7d3605695fb2a570a9356bba9a17cde1c29f646621b4f20136\"}\n"
	"{\"v\":1,\"log\":\"00112233445566778899aabbccddeeff\",\"seq\":2,"
	"\"time\":\"2026-11-21T22:23:01Z\",\"wall\":1795299781,"
	"\"boot_id\":\"9e44f36f-3e7d-47c9-a1e5-c1efad2e4249\",\"boot_ns\":12,"
	"\"writer\":\"vouchsafe-agent\",\"writer_pid\":7,\"event\":\"grant\","
	"\"token\":\"a\","
	"\"prev\":\"0c9ec87dd1365e7d3605695fb2a570a9356bba9a17cde1c29f646621b4f20136\","
	"\"hash\":\"0410b6523b950f7bb46f3a7aa728a2aa64ce85131733dc261e0e5bce7fad1976\"}\n"
	"{\"v\":1,\"log\":\"00112233445566778899aabbccddeeff\",\"seq\":3,"
	"\"time\":\"2026-11-21T22:23:01Z\",\"wall\":1795299781,"
	"\"boot_id\":\"9e44f36f-3e7d-47c9-a1e5-c1efad2e4249\",\"boot_ns\":13,"
	"\"writer\":\"vouchsafe-agent\",\"writer_pid\":7,\"event\":\"release\","
	"\"token\":\"a\",\"key\":\"k\","
	"\"prev\":\"0410b6523b950f7bb46f3a7aa728a2aa64ce85131733dc261e0e5bce7fad1976\","
	"\"hash\":\"004a98e4dabae8c0f7260100b6bb498910e6696b07ebe979f65d0de28e8630e4\"}\n";

static void
an_older_log_is_whole_and_is_continued(void **state)
{
	struct vs_err err = {0};
	struct vs_audit *a = NULL;
	struct vs_audit_rec *r = NULL;
	struct vs_audit_report report = {0};
	char old[sizeof dir + 8], user[40];
	const struct vs_clock clock = vs_clock_system();
	const struct vs_audit_env env = {
		.path = old, .writer = "test", .clock = clock, .rng = vs_rng_system()};
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {.max = 1 << 20};
	(void)state;
	(void)snprintf(old, sizeof old, "%s/old", dir);
	assert_ok(vs_file_replace(old, 0600, vs_bytes_str(old_log), &err), &err);
	assert_ok(vs_audit_verify_file(old, NULL, &report, &err), &err);
	assert_true(report.ok);
	assert_ok(vs_audit_open(&env, &a, &err), &err);
	assert_ok(vs_audit_begin(a, "attempt", &r, &err), &err);
	assert_ok(vs_audit_commit(a, r, clock.ops->boot_ns(clock.self) + INT64_C(5000000000), &err),
		&err);
	vs_audit_close(a);
	assert_ok(vs_audit_verify_file(old, NULL, &report, &err), &err);
	assert_true(report.ok);
	assert_ok(vs_file_read(old, text.max, VS_FILE_ANY, &text, &err), &err);
	(void)snprintf(
		user, sizeof user, ",\"writer_uid\":%u,\"event\":\"attempt\"", (unsigned)geteuid());
	assert_non_null(strstr(vs_buf_cstr(&text), user));
	drop_lock(old);
	(void)unlink(old);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_changed_byte_is_found_in_its_record),
		cmocka_unit_test(every_dropped_record_is_found),
		cmocka_unit_test(every_doubled_record_is_found),
		cmocka_unit_test(every_swapped_pair_is_found),
		cmocka_unit_test(a_record_of_another_log_is_found),
		cmocka_unit_test(a_cut_tail_is_proven_only_by_a_checkpoint),
		cmocka_unit_test(a_rewritten_log_does_not_fit_the_checkpoint),
		cmocka_unit_test(a_checkpoint_in_the_middle_does_not_prove_the_tail),
		cmocka_unit_test(lines_in_other_forms_are_refused),
		cmocka_unit_test(a_line_without_end_does_not_eat_memory),
		cmocka_unit_test(an_older_log_is_whole_and_is_continued),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
