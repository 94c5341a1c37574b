/* SPDX-License-Identifier: BSD-2-Clause */
/* Counters in NV, in a real swtpm: they only grow, whatever their owner does. */
#include "unit/unit.h"

#include "base/clock.h"
#include "evidence/swtpm.h"
#include "evidence/tpm.h"

#define INDEX 0x018156AAu
#define OTHER 0x018156ABu

static struct swtpm machine;

static struct vs_tpm *
open_tpm(void)
{
	const struct vs_clock clock = vs_clock_system();
	const struct vs_tpm_env env = {.tcti = machine.direct, .clock = clock};
	struct vs_tpm *tpm = NULL;
	struct vs_err err = {0};
	assert_ok(vs_tpm_open(
			  &env, clock.ops->boot_ns(clock.self) + INT64_C(20000000000), &tpm, &err),
		&err);
	return tpm;
}

static bool
look(uint32_t index, uint64_t *ret)
{
	struct vs_tpm *tpm = open_tpm();
	struct vs_err err = {0};
	bool exists = true;
	assert_ok(vs_tpm_counter_read(tpm, index, &exists, ret, &err), &err);
	vs_tpm_close(tpm);
	return exists;
}

static void
raise_it(uint32_t index)
{
	struct vs_tpm *tpm = open_tpm();
	struct vs_err err = {0};
	assert_ok(vs_tpm_counter_raise(tpm, index, &err), &err);
	vs_tpm_close(tpm);
}

static void
a_counter_is_made_at_its_first_raise_and_grows_by_one(void **state)
{
	uint64_t first = 0, now = 0;
	(void)state;
	assert_false(look(INDEX, &first));
	raise_it(INDEX);
	assert_true(look(INDEX, &first));
	for (uint64_t i = 1; i <= 5; i++) {
		raise_it(INDEX);
		assert_true(look(INDEX, &now));
		assert_true(now == first + i);
	}
	assert_false(look(OTHER, &now));
}

/* Whoever owns the TPM may remove the index, and gets no lower value by that. */
static void
a_counter_that_was_removed_starts_above_all_that_was_counted(void **state)
{
	uint64_t before = 0, after = 0;
	(void)state;
	assert_true(look(INDEX, &before));
	swtpm_sh(&machine, "tpm2_nvundefine -Q -C o 0x018156AA");
	assert_false(look(INDEX, &after));
	raise_it(INDEX);
	assert_true(look(INDEX, &after));
	assert_true(after > before);
}

static void
an_index_that_is_no_counter_is_left_alone(void **state)
{
	static const char *const kinds[] = {
		"tpm2_nvdefine -Q -C o -s 8 -a 'ownerread|ownerwrite' 0x018156AB",
		"tpm2_nvdefine -Q -C o -s 32 -a 'ownerread|ownerwrite' 0x018156AB",
		"tpm2_nvdefine -Q -C o -a 'authread|authwrite|nt=counter' 0x018156AB",
		"tpm2_nvdefine -Q -C o -a 'ownerread|ownerwrite|nt=bits' 0x018156AB",
	};
	(void)state;
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		uint64_t value = 1;
		bool exists = true;
		swtpm_sh(&machine, kinds[i]);
		struct vs_tpm *tpm = open_tpm();
		assert_code(vs_tpm_counter_read(tpm, OTHER, &exists, &value, NULL), EVIDENCE);
		assert_false(exists);
		assert_code(vs_tpm_counter_raise(tpm, OTHER, NULL), EVIDENCE);
		vs_tpm_close(tpm);
		swtpm_sh(&machine, "tpm2_nvundefine -Q -C o 0x018156AB");
	}
}

static int
up(void **state)
{
	(void)state;
	swtpm_start(&machine, false);
	return 0;
}

static int
down(void **state)
{
	(void)state;
	swtpm_stop(&machine);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_counter_is_made_at_its_first_raise_and_grows_by_one),
		cmocka_unit_test(a_counter_that_was_removed_starts_above_all_that_was_counted),
		cmocka_unit_test(an_index_that_is_no_counter_is_left_alone),
	};

	if (!swtpm_available())
		return 77;
	return cmocka_run_group_tests(tests, up, down);
}
