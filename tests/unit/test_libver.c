/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/libver.h"

#include "unit/unit.h"

static void
versions_are_compared_by_numbers(void **state)
{
	(void)state;
	assert_int_equal(vs_version_compare("3.0.9", "3.0.11"), -1);
	assert_int_equal(vs_version_compare("3.0.11", "3.0.9"), 1);
	assert_int_equal(vs_version_compare("3.0", "3.0.0"), 0);
	assert_int_equal(vs_version_compare("7.88.1-DEV", "7.88.1"), 0);
	assert_int_equal(vs_version_compare("", "0.0.1"), -1);
	assert_int_equal(vs_version_compare("2.13.1", "2.13"), 1);
}

static void
known_bad_ranges_are_found(void **state)
{
	static const struct {
		const char *library, *version;
		bool bad;
	} cases[] = {
		{"OpenSSL", "1.1.1w", true},
		{"OpenSSL", "3.0.0", true},
		{"OpenSSL", "3.0.7", true},
		{"OpenSSL", "3.0.11", true},
		{"OpenSSL", "3.0.12", false},
		{"OpenSSL", "3.1.3", true},
		{"OpenSSL", "3.1.4", false},
		{"OpenSSL", "3.5.0", false},
		{"libcurl", "7.84.0", true},
		{"libcurl", "7.85.0", false},
		{"libcurl", "8.10.1", false},
		{"jansson", "2.12", true},
		{"jansson", "2.13.1", false},
		{"jansson", "2.14", false},
		{"tpm2-tss", "3.2.0", true},
		{"tpm2-tss", "3.2.2", false},
		{"tpm2-tss", "4.0.0", true},
		{"tpm2-tss", "4.0.1", false},
		{"nobody", "0.0", false},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const struct vs_lib_range *bad = vs_lib_bad(cases[i].library, cases[i].version);
		if ((bad != NULL) != cases[i].bad)
			fail_msg("%s %s", cases[i].library, cases[i].version);
	}
}

static void
every_range_has_order_and_reason(void **state)
{
	(void)state;
	for (size_t i = 0; i < vs_n_lib_ranges; i++) {
		assert_true(vs_version_compare(vs_lib_ranges[i].first, vs_lib_ranges[i].last) <= 0);
		assert_true(vs_lib_ranges[i].why[0] != '\0');
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(versions_are_compared_by_numbers),
		cmocka_unit_test(known_bad_ranges_are_found),
		cmocka_unit_test(every_range_has_order_and_reason),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
