/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit.h"

#include "gate/gate.h"
#include "gate/keyring.h"
#include "gate/lease.h"
#include "gate/sentence.h"

#define S(x) VS_GATE_##x
#define A(x) VS_GATE_##x

/* The architecture's table, written down a second time: next state and actions by name. */
struct row {
	enum vs_gate_state state;
	enum vs_gate_event event;
	enum vs_gate_state next;
	uint32_t actions;
};

static const uint32_t bug = A(CANCEL) | A(REVOKE) | A(WIPE) | A(ANSWER_ERROR) | A(REPORT);

static const struct row rows[] = {
	{S(LOCKED), A(NEED), S(ATTESTING), A(START) | A(JOIN)},
	{S(LOCKED), A(NEED_HELD), S(LOCKED), A(STORED)},
	{S(LOCKED), A(RESET), S(LOCKED), 0},
	{S(ATTESTING), A(NEED), S(ATTESTING), A(JOIN)},
	{S(ATTESTING), A(NEED_HELD), S(ATTESTING), A(JOIN)},
	{S(ATTESTING), A(GRANTED), S(UNLOCKED), A(NEW_LEASE) | A(ANSWER_GRANT)},
	{S(ATTESTING), A(REFUSED), S(DENIED), A(REVOKE) | A(HOLD) | A(ANSWER_ERROR)},
	{S(ATTESTING), A(UNREACHABLE), S(LOCKED), A(BACKOFF) | A(ANSWER_ERROR)},
	{S(ATTESTING), A(RESET), S(LOCKED), A(CANCEL) | A(REVOKE) | A(ANSWER_ERROR)},
	{S(UNLOCKED), A(NEED), S(UNLOCKED), A(GRANT)},
	{S(UNLOCKED), A(NEED_HELD), S(UNLOCKED), A(GRANT)},
	{S(UNLOCKED), A(HALF), S(RENEWING), A(START)},
	{S(UNLOCKED), A(END), S(EXPIRED), A(FADE) | A(WIPE)},
	{S(UNLOCKED), A(RESET), S(LOCKED), A(REVOKE) | A(WIPE)},
	{S(RENEWING), A(NEED), S(RENEWING), A(GRANT)},
	{S(RENEWING), A(NEED_HELD), S(RENEWING), A(GRANT)},
	{S(RENEWING), A(GRANTED), S(UNLOCKED), A(EXTEND)},
	{S(RENEWING), A(REFUSED), S(DENIED), A(REVOKE) | A(WIPE) | A(HOLD) | A(ANSWER_ERROR)},
	{S(RENEWING), A(UNREACHABLE), S(UNLOCKED), A(BACKOFF)},
	{S(RENEWING), A(HALF), S(RENEWING), 0},
	{S(RENEWING), A(END), S(EXPIRED), A(FADE) | A(WIPE)},
	{S(RENEWING), A(RESET), S(LOCKED), A(CANCEL) | A(REVOKE) | A(WIPE) | A(ANSWER_ERROR)},
	{S(EXPIRED), A(NEED), S(ATTESTING), A(START) | A(JOIN)},
	{S(EXPIRED), A(NEED_HELD), S(EXPIRED), A(STORED)},
	{S(EXPIRED), A(GRANTED), S(UNLOCKED), A(NEW_LEASE) | A(ANSWER_GRANT)},
	{S(EXPIRED), A(REFUSED), S(DENIED), A(REVOKE) | A(HOLD) | A(ANSWER_ERROR)},
	{S(EXPIRED), A(UNREACHABLE), S(LOCKED), A(BACKOFF) | A(ANSWER_ERROR)},
	{S(EXPIRED), A(END), S(EXPIRED), 0},
	{S(EXPIRED), A(RESET), S(LOCKED), A(CANCEL) | A(REVOKE) | A(ANSWER_ERROR)},
	{S(DENIED), A(NEED), S(ATTESTING), A(START) | A(JOIN)},
	{S(DENIED), A(NEED_HELD), S(DENIED), A(STORED)},
	{S(DENIED), A(RESET), S(LOCKED), 0},
};

static const struct row *
find_row(enum vs_gate_state s, enum vs_gate_event e)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (rows[i].state == s && rows[i].event == e)
			return &rows[i];
	return NULL;
}

static void
every_state_and_event_gives_what_the_architecture_says(void **state)
{
	(void)state;
	for (int s = 0; s < VS_GATE_STATE_COUNT_; s++)
		for (int e = 0; e < VS_GATE_EVENT_COUNT_; e++) {
			const struct vs_gate_step step =
				vs_gate_step((enum vs_gate_state)s, (enum vs_gate_event)e);
			const struct row *row =
				find_row((enum vs_gate_state)s, (enum vs_gate_event)e);
			if (step.next != (row ? row->next : VS_GATE_LOCKED) ||
				step.actions != (row ? row->actions : bug))
				fail_msg("state %d event %d: next %d actions %x", s, e, step.next,
					step.actions);
		}
}

static void
numbers_out_of_range_deny(void **state)
{
	(void)state;
	struct vs_gate_step step = vs_gate_step((enum vs_gate_state)77, VS_GATE_NEED);
	assert_int_equal(step.next, VS_GATE_LOCKED);
	assert_int_equal(step.actions, bug);
	step = vs_gate_step(VS_GATE_UNLOCKED, (enum vs_gate_event)(-1));
	assert_int_equal(step.next, VS_GATE_LOCKED);
	assert_string_equal(vs_gate_state_name((enum vs_gate_state)99), "UNKNOWN");
}

static void
no_event_but_granted_opens_a_closed_gate(void **state)
{
	(void)state;
	for (int s = 0; s < VS_GATE_STATE_COUNT_; s++)
		for (int e = 0; e < VS_GATE_EVENT_COUNT_; e++) {
			const struct vs_gate_step step =
				vs_gate_step((enum vs_gate_state)s, (enum vs_gate_event)e);
			if (vs_gate_open(step.next) && !vs_gate_open((enum vs_gate_state)s))
				assert_int_equal(e, VS_GATE_GRANTED);
			if (!vs_gate_open(step.next) && vs_gate_open((enum vs_gate_state)s))
				assert_true(step.actions & VS_GATE_WIPE);
			if (!vs_gate_open((enum vs_gate_state)s))
				assert_false(step.actions & (VS_GATE_GRANT | VS_GATE_EXTEND));
			/* Whoever asks gets exactly one fate. */
			if (e == VS_GATE_NEED || e == VS_GATE_NEED_HELD) {
				const uint32_t fate = step.actions &
					(VS_GATE_JOIN | VS_GATE_GRANT | VS_GATE_STORED);
				assert_true(fate == VS_GATE_JOIN || fate == VS_GATE_GRANT ||
					fate == VS_GATE_STORED);
			}
		}
}

static void
only_a_service_that_cannot_be_had_keeps_a_lease(void **state)
{
	(void)state;
	assert_int_equal(vs_gate_event_of(VS_E_OK), VS_GATE_GRANTED);
#define CASE(name, cat, number, text) \
	{ \
		const enum vs_cat c = VS_CAT_##cat; \
		const bool keeps = c == VS_CAT_REMOTE || c == VS_CAT_IO || c == VS_CAT_EVIDENCE || \
			c == VS_CAT_PROTOCOL || c == VS_CAT_RESOURCE || c == VS_CAT_STATE; \
		assert_int_equal(vs_gate_event_of(VS_E_##name), \
			keeps ? VS_GATE_UNREACHABLE : VS_GATE_REFUSED); \
	}
	VS_ERR_LIST(CASE)
#undef CASE
}

/* ---- lease ---------------------------------------------------------------------------------- */

#define NS INT64_C(1000000000)

static void
a_lease_ends_at_the_earliest_limit(void **state)
{
	(void)state;
	struct vs_err err = {0};
	struct vs_lease l;
	struct vs_lease_limits in = {.now_boot_ns = 100 * NS,
		.now_wall_unix = 1000,
		.token_exp_unix = 1000 + 28800,
		.max_lease_s = 3600};
	assert_ok(vs_lease_make(&in, &l, &err), &err);
	assert_int_equal(l.end_boot_ns, 3700 * NS);
	assert_int_equal(l.valid_boot_ns, 3695 * NS);
	in.token_exp_unix = 1000 + 20;
	assert_ok(vs_lease_make(&in, &l, &err), &err);
	assert_int_equal(l.end_boot_ns, 120 * NS);
	assert_int_equal(l.valid_boot_ns, 118 * NS);
	in.token_exp_unix = 1000;
	assert_code(vs_lease_make(&in, &l, NULL), REFUSED_CLAIMS);
	in.token_exp_unix = 1;
	assert_code(vs_lease_make(&in, &l, NULL), REFUSED_CLAIMS);
	in.token_exp_unix = 2000;
	in.max_lease_s = 0;
	assert_code(vs_lease_make(&in, &l, NULL), INTERNAL);
}

static void
renewal_is_at_half_with_jitter_and_before_the_end(void **state)
{
	(void)state;
	int64_t lowest = INT64_MAX, highest = 0;
	for (uint32_t jitter = 0; jitter < 5000; jitter++) {
		const struct vs_lease_limits in = {.now_wall_unix = 1,
			.token_exp_unix = 99999,
			.max_lease_s = 1000,
			.jitter = jitter * 2654435761u};
		struct vs_lease l;
		assert_false(vs_failed(vs_lease_make(&in, &l, NULL)));
		assert_in_range(l.renew_boot_ns, 450 * NS, 550 * NS);
		assert_true(l.renew_boot_ns < l.valid_boot_ns);
		lowest = l.renew_boot_ns < lowest ? l.renew_boot_ns : lowest;
		highest = l.renew_boot_ns > highest ? l.renew_boot_ns : highest;
	}
	assert_true(highest - lowest > 90 * NS);
}

static void
backoff_doubles_up_to_its_limit(void **state)
{
	(void)state;
	assert_int_equal(vs_lease_backoff_ms(1, 0), 1000);
	assert_int_equal(vs_lease_backoff_ms(2, 0), 2000);
	assert_int_equal(vs_lease_backoff_ms(3, 0), 4000);
	assert_int_equal(vs_lease_backoff_ms(1000000, 0), VS_LEASE_BACKOFF_MAX_MS);
	for (unsigned n = 0; n < 20; n++)
		assert_in_range(
			vs_lease_backoff_ms(n, 0xffffffff), 1000, VS_LEASE_BACKOFF_MAX_MS * 5 / 4);
}

/* ---- keyring -------------------------------------------------------------------------------- */

static struct vs_cat_entry
entry_named(const char *name)
{
	static const uint8_t id[20] = {9};
	return (struct vs_cat_entry){.name = vs_bytes_str(name),
		.version = vs_bytes_str("v1"),
		.id = vs_bytes_of(id, 20),
		.type = VS_KEY_AES,
		.bits = 256};
}

static void
keys_are_found_by_name_and_version_and_keep_their_number(void **state)
{
	(void)state;
	struct vs_err err = {0};
	struct vs_keyring ring = {0};
	struct vs_ring_key *a = NULL, *b = NULL;
	char name[] = "aes-a";
	struct vs_cat_entry e = entry_named(name);
	assert_ok(vs_keyring_add(&ring, &e, &a, &err), &err);
	e = entry_named("aes-b");
	assert_ok(vs_keyring_add(&ring, &e, &b, &err), &err);
	memset(name, 'x', 3); /* the ring has copies */
	assert_ptr_equal(vs_keyring_find(&ring, vs_bytes_str("aes-a"), vs_bytes_str("v1")), a);
	assert_ptr_equal(vs_keyring_find(&ring, vs_bytes_str("aes-b"), vs_bytes_str("v1")), b);
	assert_null(vs_keyring_find(&ring, vs_bytes_str("aes-b"), vs_bytes_str("v2")));
	assert_null(vs_keyring_find(&ring, vs_bytes_str("aes"), vs_bytes_str("v1")));
	assert_int_equal(a->no, 0);
	assert_int_equal(b->no, 1);
	assert_ptr_equal(vs_keyring_at(&ring, 1), b);
	assert_null(vs_keyring_at(&ring, 2));
	assert_int_equal(vs_keyring_live(&ring), 0);
	vs_keyring_done(&ring);
	assert_int_equal(ring.n, 0);
}

static void
the_ring_is_bounded(void **state)
{
	(void)state;
	struct vs_keyring ring = {0};
	struct vs_ring_key *k = NULL;
	char name[16];
	for (int i = 0; i < VS_RING_KEYS_MAX; i++) {
		snprintf(name, sizeof name, "k%d", i);
		const struct vs_cat_entry e = entry_named(name);
		assert_false(vs_failed(vs_keyring_add(&ring, &e, &k, NULL)));
	}
	const struct vs_cat_entry e = entry_named("one-more");
	assert_code(vs_keyring_add(&ring, &e, &k, NULL), LIMIT);
	vs_keyring_done(&ring);
}

static void
wiping_the_ring_wipes_the_keys(void **state)
{
	(void)state;
	struct vs_err err = {0};
	struct vs_arena *arena = NULL;
	struct vs_keyring ring = {0};
	struct vs_ring_key *k = NULL;
	const struct vs_cat_entry e = entry_named("aes");
	assert_ok(vs_arena_new(65536, 65536, VS_LOCK_WARN, &arena, &err), &err);
	assert_ok(vs_keyring_add(&ring, &e, &k, &err), &err);
	assert_ok(vs_secret_from(arena, "0123456789abcdef0123456789abcdef", 32, &k->secret, &err),
		&err);
	k->state = VS_RING_LIVE;
	assert_int_equal(vs_keyring_live(&ring), 1);
	const volatile uint8_t *bytes = k->secret.p;
	assert_int_equal(bytes[31], 'f');
	vs_keyring_done(&ring);
	for (int i = 0; i < 32; i++)
		assert_int_equal(bytes[i], 0);
	vs_arena_free(arena);
}

/* ---- sentence ------------------------------------------------------------------------------- */

static struct vs_verdict
verdict_of(size_t n, bool long_texts)
{
	struct vs_verdict v = {0};
	for (size_t i = 0; i < n; i++) {
		struct vs_check *c = &v.checks[v.n_checks++];
		c->rule = "A11";
		c->name = i % 2 ? "token expiry" : "secure boot";
		c->passed = i == 1;
		memset(c->expected, 'e', long_texts ? 150 : 3);
		memset(c->seen, 's', long_texts ? 150 : 3);
	}
	return v;
}

static void
the_sentence_names_every_failed_check_and_no_other(void **state)
{
	(void)state;
	char out[320];
	struct vs_verdict v = verdict_of(3, false);
	vs_verdict_sentence(&v, out, sizeof out);
	assert_string_equal(out,
		"secure boot (A11): expected eee, seen sss; secure boot (A11): expected eee, seen "
		"sss");
	v = verdict_of(12, true);
	vs_verdict_sentence(&v, out, sizeof out);
	size_t names = 0;
	for (const char *p = out; (p = strstr(p, "(A11)")); p++)
		names++;
	assert_int_equal(names, 11);
	v = (struct vs_verdict){0};
	vs_verdict_sentence(&v, out, sizeof out);
	assert_string_equal(out, "");
	v = verdict_of(48, true);
	vs_verdict_sentence(&v, out, sizeof out);
	assert_int_equal(strlen(out), sizeof out - 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_state_and_event_gives_what_the_architecture_says),
		cmocka_unit_test(numbers_out_of_range_deny),
		cmocka_unit_test(no_event_but_granted_opens_a_closed_gate),
		cmocka_unit_test(only_a_service_that_cannot_be_had_keeps_a_lease),
		cmocka_unit_test(a_lease_ends_at_the_earliest_limit),
		cmocka_unit_test(renewal_is_at_half_with_jitter_and_before_the_end),
		cmocka_unit_test(backoff_doubles_up_to_its_limit),
		cmocka_unit_test(keys_are_found_by_name_and_version_and_keep_their_number),
		cmocka_unit_test(the_ring_is_bounded),
		cmocka_unit_test(wiping_the_ring_wipes_the_keys),
		cmocka_unit_test(the_sentence_names_every_failed_check_and_no_other),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
