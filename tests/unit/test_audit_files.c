/* SPDX-License-Identifier: BSD-2-Clause */
/* Logs of several files, what was noted outside of them, and the TPM's counter beside them. */
#include <unistd.h>

#include "unit/audit_world.h"

/* Two rotated files and a live one, written by one process: W/1, W/2, W/log. */
struct three {
	char path[3][128];
	const char *list[3];
};

static void
rotate(struct world *w, const char *to)
{
	assert_int_equal(rename(w->path, to), 0);
}

static void
checkpoint_record(struct vs_audit *a, int64_t counter, bool fresh)
{
	struct vs_audit_rec *r = NULL;
	struct vs_err err = {0};
	assert_ok(vs_audit_begin(a, "checkpoint", &r, &err), &err);
	vs_audit_int(r, "counter", counter);
	vs_audit_bool(r, "new", fresh);
	assert_ok(vs_audit_commit(a, r, in_ms(5000), &err), &err);
}

static void
make_three(struct world *w, struct three *t)
{
	struct vs_audit *a = open_log(w);
	for (int i = 0; i < 3; i++) {
		(void)snprintf(t->path[i], sizeof t->path[i], "%s/%d", w->dir, i + 1);
		t->list[i] = t->path[i];
		add_n(a, 5);
		if (i < 2)
			rotate(w, t->path[i]);
	}
	(void)snprintf(t->path[2], sizeof t->path[2], "%s", w->path);
	vs_audit_close(a);
}

static void
drop_three(struct three *t)
{
	for (int i = 0; i < 2; i++)
		(void)unlink(t->path[i]);
}

static struct vs_audit_report
verify(const char *const *paths, size_t n, const struct vs_audit_checkpoint *cp)
{
	struct vs_audit_report r = {0};
	struct vs_err err = {0};
	assert_ok(vs_audit_verify_files(paths, n, cp, &r, &err), &err);
	return r;
}

static void
rotated_files_are_one_chain(void **state)
{
	struct world *w = *state;
	struct three t;
	make_three(w, &t);
	const struct vs_audit_report r = verify(t.list, 3, NULL);
	if (!r.ok)
		fail_msg("%zu: %s", r.bad_file, r.reason);
	assert_int_equal(r.n_records, 5 + 5 + 5 + 3);
	assert_false(r.has_after);
	/* Each alone is whole, too; the later ones say that something was before. */
	for (size_t i = 0; i < 3; i++) {
		const struct vs_audit_report one = verify(&t.list[i], 1, NULL);
		assert_true(one.ok);
		assert_int_equal(one.has_after, i > 0);
	}
	drop_three(&t);
}

static void
a_missing_doubled_or_swapped_file_is_found(void **state)
{
	static const size_t orders[][3] = {{0, 2, 2}, {1, 0, 2}, {0, 0, 1}, {2, 1, 0}, {0, 2, 1}};
	struct world *w = *state;
	struct three t;
	make_three(w, &t);
	for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
		const char *const list[] = {
			t.path[orders[i][0]], t.path[orders[i][1]], t.path[orders[i][2]]};
		assert_false(verify(list, 3, NULL).ok);
	}
	const char *const without_middle[] = {t.path[0], t.path[2]};
	const struct vs_audit_report r = verify(without_middle, 2, NULL);
	assert_false(r.ok);
	assert_int_equal(r.bad_file, 1);
	assert_non_null(strstr(r.reason, "comes after another one"));
	drop_three(&t);
}

/* The next file knows which record was the last one: a cut end is found without any checkpoint. */
/* A rotation is seen by each writer at its own time, and by a new one not at all. */
static void
whoever_writes_first_after_a_rotation_names_the_last_record(void **state)
{
	struct world *w = *state;
	struct three t;
	struct vs_audit *a = open_log(w), *b = open_log(w);

	for (int i = 0; i < 3; i++) {
		(void)snprintf(t.path[i], sizeof t.path[i], "%s/%d", w->dir, i + 1);
		t.list[i] = t.path[i];
	}
	(void)snprintf(t.path[2], sizeof t.path[2], "%s", w->path);
	add_n(a, 2);
	add_n(b, 1);
	rotate(w, t.path[0]);
	add_n(b, 2); /* first, and knows more of the old file than the other */
	add_n(a, 1);
	assert_false(log_has(w, "\"event\":\"loss\""));
	rotate(w, t.path[1]);
	struct vs_audit *c = open_log(w); /* knows nothing of its own */
	add_n(c, 1);
	add_n(b, 1);
	add_n(a, 1);
	assert_false(log_has(w, "\"event\":\"loss\""));
	const struct vs_audit_report r = verify(t.list, 3, NULL);
	if (!r.ok)
		fail_msg("file %zu line %llu: %s", r.bad_file, (unsigned long long)r.bad_line,
			r.reason);
	vs_audit_close(a);
	vs_audit_close(b);
	vs_audit_close(c);
	drop_three(&t);
}

static void
the_end_of_a_rotated_file_is_proven_by_the_next_one(void **state)
{
	struct world *w = *state;
	struct three t;
	make_three(w, &t);
	struct vs_buf b = contents(t.path[1]);
	size_t n = b.n - 1;
	while (b.p[n - 1] != '\n')
		n--;
	overwrite(t.path[1], vs_bytes_of(b.p, n));
	assert_true(verify(&t.list[1], 1, NULL).ok);
	const struct vs_audit_report r = verify(t.list, 3, NULL);
	assert_false(r.ok);
	assert_int_equal(r.bad_file, 1);
	assert_non_null(strstr(r.reason, "end is missing"));
	overwrite(t.path[1], vs_bytes_of(b.p, 0));
	assert_false(verify(t.list, 3, NULL).ok);
	vs_buf_done(&b);
	drop_three(&t);
}

/* Whoever may write can go on with a chain: what nobody named later is told. */
static void
records_added_to_a_rotated_file_are_told(void **state)
{
	struct world *w = *state;
	struct three t;
	make_three(w, &t);
	assert_int_equal(verify(t.list, 3, NULL).n_unnamed, 0);
	const char *live = w->env.path;
	w->env.path = t.path[1];
	struct vs_audit *a = open_log(w);
	add_n(a, 2);
	vs_audit_close(a);
	w->env.path = live;
	const struct vs_audit_report r = verify(t.list, 3, NULL);
	assert_true(r.ok);
	assert_int_equal(r.n_unnamed, 2);
	char lock[160];
	(void)snprintf(lock, sizeof lock, "%s.lock", t.path[1]);
	(void)unlink(lock);
	drop_three(&t);
}

static void
a_checkpoint_is_of_the_last_file(void **state)
{
	struct world *w = *state;
	struct three t;
	make_three(w, &t);
	struct vs_audit_report r = verify(t.list, 3, NULL);
	struct vs_audit_checkpoint cp = {.seq = r.last_seq};
	memcpy(cp.hash, r.last_hash, sizeof cp.hash);
	r = verify(t.list, 3, &cp);
	assert_true(r.ok && r.tail_proven);
	cp.seq++;
	assert_false(verify(t.list, 3, &cp).ok);
	drop_three(&t);
}

/* What a process notes and the next one gets told. */
static void
what_was_noted_earlier_is_looked_for(void **state)
{
	struct world *w = *state;
	struct vs_audit_known known;
	char old[128];
	(void)snprintf(old, sizeof old, "%s/old", w->dir);
	struct vs_audit *a = open_log(w);
	add_n(a, 3);
	struct vs_buf before = contents(w->path);
	add_n(a, 3);
	assert_true(vs_audit_head(a, &known));
	assert_int_equal(known.seq, 7);
	vs_audit_close(a);
	w->env.known = &known;
	/* It is there: nothing to say. */
	vs_audit_close(open_log(w));
	assert_whole(w, 7);
	/* An old copy in its place. */
	overwrite(w->path, vs_buf_view(&before));
	vs_audit_close(open_log(w));
	assert_true(log_has(w, "\"event\":\"loss\""));
	assert_true(log_has(w, "\"lost_seq\":7"));
	assert_true(report_of(w).ok);
	/* Rotated away: the new file says what it comes after. */
	overwrite(w->path, vs_buf_view(&before));
	rotate(w, old);
	vs_audit_close(open_log(w));
	assert_true(log_has(w, "\"after_seq\":7"));
	/* Another one has begun a new file meanwhile: that is no loss. */
	w->env.known = NULL;
	assert_int_equal(unlink(w->path), 0);
	vs_audit_close(open_log(w));
	w->env.known = &known;
	vs_audit_close(open_log(w));
	assert_false(log_has(w, "\"event\":\"loss\""));
	vs_buf_done(&before);
}

static void
the_tpms_counter_finds_a_cut_end_and_an_old_copy(void **state)
{
	struct world *w = *state;
	struct vs_audit *a = open_log(w);
	add_n(a, 2);
	checkpoint_record(a, 7, true);
	add_n(a, 2);
	struct vs_buf old = contents(w->path);
	checkpoint_record(a, 8, false);
	vs_audit_close(a);
	struct vs_audit_report r = report_of(w);
	assert_int_equal(r.n_checkpoints, 2);
	assert_int_equal(r.counter, 8);
	assert_false(r.counter_older);
	vs_audit_compare_counter(&r, 8);
	assert_true(r.ok && r.tail_proven);
	/* The raise behind the last record did not come about: nothing is hidden by that. */
	r = report_of(w);
	vs_audit_compare_counter(&r, 7);
	assert_true(r.ok);
	assert_false(r.tail_proven);
	r = report_of(w);
	vs_audit_compare_counter(&r, 9);
	assert_false(r.ok);
	assert_non_null(strstr(r.reason, "old copy"));
	r = report_of(w);
	vs_audit_compare_counter(&r, 6);
	assert_false(r.ok);
	assert_non_null(strstr(r.reason, "another machine"));
	overwrite(w->path, vs_buf_view(&old));
	r = report_of(w);
	assert_true(r.ok);
	vs_audit_compare_counter(&r, 8);
	assert_false(r.ok);
	assert_false(r.tail_proven);
	vs_buf_done(&old);
}

static void
a_log_without_checkpoints_is_not_the_one_that_the_tpm_counted(void **state)
{
	struct world *w = *state;
	struct vs_audit *a = open_log(w);
	add_n(a, 2);
	struct vs_audit_report r = report_of(w);
	vs_audit_compare_counter(&r, 1);
	assert_false(r.ok);
	/* A counter that was there before this log, without a word of what came before. */
	checkpoint_record(a, 2, false);
	vs_audit_close(a);
	r = report_of(w);
	assert_true(r.counter_older);
	vs_audit_compare_counter(&r, 2);
	assert_true(r.ok);
}

static void
a_clock_that_goes_backwards_is_recorded(void **state)
{
	struct world *w = *state;
	struct vs_audit *a = open_log(w);
	add_n(a, 1);
	w->wall -= 3600;
	add_n(a, 1);
	w->wall += 7200;
	add_n(a, 1);
	vs_audit_close(a);
	assert_true(log_has(w, "\"clock_back_s\":3600"));
	const struct vs_audit_report r = report_of(w);
	assert_true(r.ok);
	assert_int_equal(r.n_clock_back, 1);
}

int
main(void)
{
#define LOG_TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		LOG_TEST(rotated_files_are_one_chain),
		LOG_TEST(a_missing_doubled_or_swapped_file_is_found),
		LOG_TEST(whoever_writes_first_after_a_rotation_names_the_last_record),
		LOG_TEST(the_end_of_a_rotated_file_is_proven_by_the_next_one),
		LOG_TEST(records_added_to_a_rotated_file_are_told),
		LOG_TEST(a_checkpoint_is_of_the_last_file),
		LOG_TEST(what_was_noted_earlier_is_looked_for),
		LOG_TEST(the_tpms_counter_finds_a_cut_end_and_an_old_copy),
		LOG_TEST(a_log_without_checkpoints_is_not_the_one_that_the_tpm_counted),
		LOG_TEST(a_clock_that_goes_backwards_is_recorded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
