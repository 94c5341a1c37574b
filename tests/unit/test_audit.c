/* SPDX-License-Identifier: BSD-2-Clause */
/* The audit log: form of the records, torn ends (T-U1, T-U3, T-U7). */
#include <sys/stat.h>
#include <unistd.h>

#include "unit/audit_world.h"

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

/* ---- the TPM's clock, and records together ---------------------------------------------------
 */

struct tpm {
	bool there;
	uint64_t clock_ms;
	uint32_t resets, restarts;
};

static bool
read_tpm(void *self, struct vs_audit_tpm_time *ret)
{
	const struct tpm *t = self;

	*ret = (struct vs_audit_tpm_time){.known = t->there,
		.clock_ms = t->clock_ms,
		.resets = t->resets,
		.restarts = t->restarts,
		.read_boot_ns = 77};
	return t->there;
}

static void
records_carry_the_tpms_clock_where_there_is_one(void **state)
{
	struct world *w = *state;
	struct tpm tpm = {.there = true, .clock_ms = UINT64_MAX, .resets = 3, .restarts = 4};

	w->env.tpm = (struct vs_audit_tpm){.self = &tpm, .read = read_tpm};
	struct vs_audit *a = open_log(w);
	assert_true(log_has(w,
		"\"tpm_clock_ms\":18446744073709551615,\"tpm_resets\":3,\"tpm_restarts\":4,"
		"\"tpm_boot_ns\":77,\"prev\""));
	tpm.clock_ms = 5000;
	tpm.resets = 4;
	add_n(a, 1);
	assert_true(log_has(w, "\"tpm_clock_ms\":5000,\"tpm_resets\":4"));
	assert_int_equal(report_of(w).n_tpm_back, 0);
	/* Its clock or its counts go back: another TPM, or a cleared one. */
	tpm.clock_ms = 4000;
	add_n(a, 1);
	assert_int_equal(report_of(w).n_tpm_back, 1);
	tpm.clock_ms = 9000;
	tpm.resets = 2;
	add_n(a, 1);
	assert_int_equal(report_of(w).n_tpm_back, 2);
	tpm.there = false;
	add_n(a, 1);
	vs_audit_close(a);
	assert_whole(w, 5);
	struct vs_buf b = contents(w->path);
	const uint8_t *last = (uint8_t *)memrchr(b.p, '\n', b.n - 1) + 1;
	assert_null(memmem(last, (size_t)(b.p + b.n - last), "tpm_", 4));
	vs_buf_done(&b);
}

static struct vs_audit_rec *
record(struct vs_audit *a, int64_t n)
{
	struct vs_audit_rec *r = NULL;
	struct vs_err err = {0};

	assert_ok(vs_audit_begin(a, "uses", &r, &err), &err);
	vs_audit_int(r, "n", n);
	return r;
}

static void
records_that_belong_together_are_written_all_or_none(void **state)
{
	struct world *w = *state;
	struct vs_audit *a = open_log(w);
	struct vs_err err = {0};
	struct vs_audit_rec *recs[5];

	for (int i = 0; i < 5; i++)
		recs[i] = record(a, i);
	assert_ok(vs_audit_commit_all(a, recs, 5, in_ms(5000), &err), &err);
	assert_whole(w, 6);
	assert_true(log_has(w, "\"seq\":6"));
	for (int i = 0; i < 5; i++)
		recs[i] = record(a, 100 + i);
	vs_audit_int(recs[3], "n", 4); /* spoilt: the name comes twice */
	assert_code(vs_audit_commit_all(a, recs, 5, in_ms(5000), &err), INTERNAL);
	assert_whole(w, 6);
	assert_false(log_has(w, "\"n\":10"));
	add_n(a, 1);
	vs_audit_close(a);
	assert_whole(w, 7);
}

static void
checkpoints_are_due_by_records_but_not_too_often(void **state)
{
	struct world *w = *state;
	struct vs_audit *a = open_log(w);

	add_n(a, 6);
	assert_false(vs_audit_take_due(a));
	add_n(a, 1); /* the eighth record */
	assert_true(vs_audit_take_due(a));
	assert_false(vs_audit_take_due(a));
	add_n(a, 200);
	assert_false(vs_audit_take_due(a));
	w->boot_ahead_ns = VS_AUDIT_CHECKPOINT_PAUSE_S * INT64_C(1000000000) + 1;
	assert_true(vs_audit_take_due(a));
	add_n(a, 10);
	assert_false(vs_audit_take_due(a));
	vs_audit_close(a);
	/* Another process is due by what it writes itself. */
	a = open_log(w);
	add_n(a, 64);
	assert_true(vs_audit_take_due(a));
	vs_audit_close(a);
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

/* What the run before left beside the log. */
static void
drop_torn(struct world *w)
{
	static const char *const ends[] = {"torn-1", "lock"};
	char name[128];

	for (int i = 0; i < 2; i++) {
		(void)snprintf(name, sizeof name, "%s.%s", w->path, ends[i]);
		(void)unlink(name);
	}
}

/* Whatever is left of the file: what was whole stays, the rest is kept, and the loss is told. */
static void
every_prefix_of_a_log_is_recovered(void **state)
{
	struct world *w = *state;
	struct vs_audit *a = open_log(w);
	struct vs_audit_known known;

	add_n(a, 3);
	assert_true(vs_audit_head(a, &known));
	vs_audit_close(a);
	w->env.known = &known;
	struct vs_buf whole = contents(w->path);
	for (size_t cut = 0; cut <= whole.n; cut++) {
		size_t records = 0, end = 0;
		for (size_t i = 0; i < cut; i++)
			if (whole.p[i] == '\n') {
				records++;
				end = i + 1;
			}
		overwrite(w->path, vs_bytes_of(whole.p, cut));
		a = open_log(w);
		add_n(a, 1);
		vs_audit_close(a);
		const struct vs_audit_report r = report_of(w);
		if (!r.ok)
			fail_msg("cut at %zu: line %lu: %s", cut, (unsigned long)r.bad_line,
				r.reason);
		struct vs_buf now = contents(w->path);
		assert_true(now.n > end && memcmp(now.p, whole.p, end) == 0);
		vs_buf_done(&now);
		assert_int_equal(r.n_recoveries, cut > end);
		assert_int_equal(log_has(w, "\"event\":\"loss\""), records > 0 && cut < whole.n);
		assert_int_equal(log_has(w, "\"after_seq\":4"), records == 0);
		assert_int_equal(r.n_records,
			(records == 0 ? 1 : records) + (cut > end) +
				(records > 0 && cut < whole.n) + 1);
		drop_torn(w);
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

#define LOG_TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LOG_TEST(a_new_log_begins_with_a_record_of_its_own),
		LOG_TEST(foreign_text_is_escaped_into_plain_ascii),
		LOG_TEST(a_verdict_is_written_with_every_check),
		LOG_TEST(a_name_twice_or_reserved_spoils_the_record),
		LOG_TEST(a_record_that_is_too_long_is_refused),
		LOG_TEST(records_carry_the_tpms_clock_where_there_is_one),
		LOG_TEST(records_that_belong_together_are_written_all_or_none),
		LOG_TEST(checkpoints_are_due_by_records_but_not_too_often),
		LOG_TEST(a_tail_torn_at_any_byte_is_kept_and_continued),
		LOG_TEST(every_prefix_of_a_log_is_recovered),
		LOG_TEST(zeros_of_a_lost_block_are_a_torn_tail),
		LOG_TEST(a_log_whose_first_record_is_torn_starts_again),
		LOG_TEST(a_file_that_is_no_log_is_not_touched),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
