/* SPDX-License-Identifier: BSD-2-Clause */
/* What every unit test includes: cmocka with its prerequisites, and our error helpers. */
#ifndef TESTS_UNIT_H
#define TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "vouchsafe/err.h"

/* Succeeds, or fails the test with the whole sentence. */
#define assert_ok(rc, err) \
	do { \
		const vs_rc unit_rc_ = (rc); \
		if (vs_failed(unit_rc_)) { \
			char unit_s_[1600]; \
			vs_err_sentence((err), unit_s_, sizeof unit_s_); \
			fail_msg("%s: %s", vs_code_name(unit_rc_.code), unit_s_); \
		} \
	} while (0)
/* Fails with exactly this code, for example assert_code(f(&err), FORMAT). */
#define assert_code(rc, CODE) assert_string_equal(vs_code_name((rc).code), #CODE)

#endif
