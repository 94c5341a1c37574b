/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/wycheproof.h"

#include "base/codec.h"

enum { VIEWS_MAX = 64 };

/* Decoded members live until the next case. */
static struct vs_buf views[VIEWS_MAX];
static size_t n_views;

static void
drop_views(void)
{
	for (size_t i = 0; i < n_views; i++)
		vs_buf_done(&views[i]);
	n_views = 0;
}

struct vs_bytes
wp_hex_of(json_t *object, const char *name)
{
	struct vs_err err = {0};
	const char *s = json_string_value(json_object_get(object, name));

	assert_non_null(s);
	assert_true(n_views < VIEWS_MAX);
	struct vs_buf *b = &views[n_views++];
	*b = (struct vs_buf){0};
	assert_ok(vs_hex_decode(vs_bytes_str(s), b, &err), &err);
	return vs_buf_view(b);
}

static json_t *
member(const struct wp_case *c, const char *name)
{
	json_t *v = json_object_get(c->test, name);
	return v != NULL ? v : json_object_get(c->group, name);
}

struct vs_bytes
wp_hex(const struct wp_case *c, const char *name)
{
	return wp_hex_of(json_object_get(c->test, name) != NULL ? c->test : c->group, name);
}

int
wp_int(const struct wp_case *c, const char *name)
{
	json_t *v = member(c, name);
	assert_true(json_is_integer(v));
	return (int)json_integer_value(v);
}

const char *
wp_str(const struct wp_case *c, const char *name)
{
	const char *s = json_string_value(member(c, name));
	assert_non_null(s);
	return s;
}

bool
wp_flag(const struct wp_case *c, const char *flag)
{
	size_t i;
	json_t *v;

	json_array_foreach (json_object_get(c->test, "flags"), i, v) {
		if (strcmp(json_string_value(v), flag) == 0)
			return true;
	}
	return false;
}

enum vs_hash
wp_hash(const char *name)
{
	static const struct {
		const char *name;
		enum vs_hash hash;
	} rows[] = {
		{"SHA-1", VS_HASH_SHA1},
		{"SHA-224", VS_HASH_SHA224},
		{"SHA-256", VS_HASH_SHA256},
		{"SHA-384", VS_HASH_SHA384},
		{"SHA-512", VS_HASH_SHA512},
		{"SHA-512/224", VS_HASH_SHA512_224},
		{"SHA-512/256", VS_HASH_SHA512_256},
		{"SHA3-224", VS_HASH_SHA3_224},
		{"SHA3-256", VS_HASH_SHA3_256},
		{"SHA3-384", VS_HASH_SHA3_384},
		{"SHA3-512", VS_HASH_SHA3_512},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (strcmp(name, rows[i].name) == 0)
			return rows[i].hash;
	fail_msg("the hash %s is not known", name);
	return VS_HASH_NONE;
}

void
wp_same(const struct wp_case *c, const char *what, struct vs_bytes have, struct vs_bytes want)
{
	if (!vs_bytes_eq(have, want))
		fail_msg("%s, case %d: %s differs", c->file, c->id, what);
}

static enum wp_result
result_of(json_t *test)
{
	const char *s = json_string_value(json_object_get(test, "result"));

	assert_non_null(s);
	if (strcmp(s, "valid") == 0)
		return WP_VALID;
	if (strcmp(s, "invalid") == 0)
		return WP_INVALID;
	assert_string_equal(s, "acceptable");
	return WP_ACCEPTABLE;
}

void
wp_run(const char *name, wp_fn fn, int not_offered)
{
	char path[512];
	struct vs_err err = {0};
	json_error_t jerr;
	size_t i, j;
	struct wp_case c = {.file = name};
	int ran = 0, taken = 0, skipped = 0;

	(void)snprintf(path, sizeof path, VS_TEST_SRCDIR "/tests/data/wycheproof/%s.json", name);
	json_t *file = json_load_file(path, JSON_REJECT_DUPLICATES, &jerr);
	if (file == NULL)
		fail_msg("%s: %s", path, jerr.text);
	assert_ok(vs_ossl_new(&c.o, &err), &err);
	assert_ok(vs_arena_new(64 << 10, 1 << 20, VS_LOCK_WARN, &c.arena, &err), &err);
	json_array_foreach (json_object_get(file, "testGroups"), i, c.group) {
		json_array_foreach (json_object_get(c.group, "tests"), j, c.test) {
			c.id = (int)json_integer_value(json_object_get(c.test, "tcId"));
			c.result = result_of(c.test);
			const enum wp_answer answer = fn(&c);
			drop_views();
			ran++;
			if (answer == WP_NOT_OFFERED) {
				skipped++;
				continue;
			}
			taken += answer == WP_TOOK;
			if (c.result == WP_VALID && answer != WP_TOOK)
				fail_msg("%s, case %d: valid, but refused", name, c.id);
			if (c.result == WP_INVALID && answer != WP_REFUSED)
				fail_msg("%s, case %d: invalid, but taken", name, c.id);
		}
	}
	assert_int_equal(ran, json_integer_value(json_object_get(file, "numberOfTests")));
	assert_true(taken > 0);
	if (skipped != not_offered)
		fail_msg("%s: %d cases are not offered, %d were expected", name, skipped,
			not_offered);
	json_decref(file);
	vs_ossl_unref(c.o);
	vs_arena_free(c.arena);
}
