/* SPDX-License-Identifier: BSD-2-Clause */
/* What the module's tests share: an initialised module over the agent made of data. */
#ifndef TESTS_P11_H
#define TESTS_P11_H

#include "fake/fake_client.h"
#include "token/ck.h"
#include "unit/unit.h"

#define assert_rv(expr, CODE) assert_int_equal((expr), (CODE))
#define ATTR(type, value) \
	{ \
		(type), (void *)(uintptr_t) & (value), sizeof(value) \
	}
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#endif
