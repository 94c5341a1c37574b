/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading Project Wycheproof's files: one callback per test case. */
#ifndef TESTS_UNIT_WYCHEPROOF_H
#define TESTS_UNIT_WYCHEPROOF_H

#include <jansson.h>

#include "base/buf.h"
#include "base/secret.h"
#include "crypto/hash.h"
#include "crypto/ossl.h"
#include "unit/unit.h"

enum wp_result { WP_VALID, WP_INVALID, WP_ACCEPTABLE };

struct wp_case {
	struct vs_ossl *o;
	struct vs_arena *arena;
	json_t *group, *test;
	enum wp_result result;
	int id;
	const char *file;
};

/* What the code under test said: the data was taken (and right), refused, or not offered at all. */
enum wp_answer { WP_TOOK, WP_REFUSED, WP_NOT_OFFERED };

typedef enum wp_answer (*wp_fn)(const struct wp_case *c);

/*
 * Run every case of tests/data/wycheproof/<name>.json. Fails when a valid one is refused, an
 * invalid one taken, when fewer valid or invalid ones ran than the file must have, or more were not
 * offered than not_offered.
 */
void wp_run(const char *name, wp_fn fn, int not_offered);

/* A member in hex, of the test or of the group; freed by wp_run. */
struct vs_bytes wp_hex(const struct wp_case *c, const char *name);
struct vs_bytes wp_hex_of(json_t *object, const char *name);
int wp_int(const struct wp_case *c, const char *name);
const char *wp_str(const struct wp_case *c, const char *name);
bool wp_flag(const struct wp_case *c, const char *flag);
enum vs_hash wp_hash(const char *name);
/* Fails the test with file and number when a result differs from what the file says. */
void wp_same(const struct wp_case *c, const char *what, struct vs_bytes have, struct vs_bytes want);

#endif
