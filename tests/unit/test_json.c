/* SPDX-License-Identifier: BSD-2-Clause */
/* The strict reader by itself: what is refused, what is read, and what is written. */
#include "jose/json.h"

#include "base/codec.h"
#include "unit/token_cases.h"

static vs_rc
load(const char *text, struct vs_json **ret)
{
	struct vs_err err = {0};
	return vs_json_load(vs_bytes_str(text), 4096, "text", ret, &err);
}

static struct vs_json *
must(const char *text)
{
	struct vs_json *v = NULL;
	assert_false(vs_failed(load(text, &v)));
	return v;
}

static void
texts_of_the_catalogue_are_judged_alone(void **state)
{
	(void)state;
	for (size_t i = 0; i < json_texts_n; i++) {
		struct vs_err err = {0};
		VS_CLEANUP(vs_json_freep) struct vs_json *v = NULL;
		const struct vs_bytes t =
			json_text_around(&json_texts[i], "{\"a\":[1,{\"b\":\"c\"}]}");
		const vs_rc rc = vs_json_load_object(t, 4096, "text", &v, &err);
		if (vs_failed(rc) == json_texts[i].ok)
			fail_msg("text #%zu: %s", i, vs_failed(rc) ? "refused" : "read");
		assert_true(!vs_failed(rc) || rc.code == VS_E_FORMAT);
	}
}

static void
cut_texts_are_refused(void **state)
{
	static const char text[] = "{\"a\":[1,2.5,true,null,\"x\\u00e9\"],\"b\":{\"c\":-7}}";
	(void)state;
	for (size_t n = 0; n < sizeof text - 1; n++) {
		struct vs_err err = {0};
		struct vs_json *v = NULL;
		assert_code(vs_json_load(vs_bytes_of(text, n), 4096, "text", &v, &err), FORMAT);
		assert_null(v);
	}
}

static void
long_texts_are_refused(void **state)
{
	struct vs_err err = {0};
	struct vs_json *v = NULL;
	(void)state;
	assert_code(vs_json_load(vs_bytes_str("{\"a\":1}"), 6, "text", &v, &err), LIMIT);
	assert_ok(vs_json_load(vs_bytes_str("{\"a\":1}"), 7, "text", &v, &err), &err);
	vs_json_free(v);
}

static void
messages_carry_nothing_of_the_text(void **state)
{
	struct vs_err err = {0};
	struct vs_json *v = NULL;
	char s[1600];
	(void)state;
	assert_code(
		vs_json_load(vs_bytes_str("{\"a\":SECRETWORD}"), 100, "text", &v, &err), FORMAT);
	vs_err_sentence(&err, s, sizeof s);
	assert_null(strstr(s, "SECRET"));
	assert_non_null(strstr(s, "line 1"));
}

static void
getters_take_only_their_kind(void **state)
{
	VS_CLEANUP(vs_json_freep)
	struct vs_json *v = must("{\"s\":\"t\",\"i\":5,\"r\":1.5,\"b\":true,\"n\":null,\"a\":[1],"
				 "\"o\":{\"x\":{\"y\":2}}}");
	const char *names[] = {"s", "i", "r", "b", "n", "a", "o", "none"};
	const enum vs_json_kind kinds[] = {VS_JSON_STRING, VS_JSON_INT, VS_JSON_REAL, VS_JSON_BOOL,
		VS_JSON_NULL, VS_JSON_ARRAY, VS_JSON_OBJECT, VS_JSON_NONE};
	(void)state;
	for (size_t i = 0; i < 8; i++) {
		const struct vs_json *m = vs_json_get(v, names[i]);
		const char *s = NULL;
		struct vs_bytes b = {0};
		int64_t n = 0;
		double d = 0;
		bool t = false;
		assert_int_equal(vs_json_kind(m), kinds[i]);
		assert_int_equal(vs_json_string(m, &s), kinds[i] == VS_JSON_STRING);
		assert_int_equal(vs_json_bytes(m, &b), kinds[i] == VS_JSON_STRING);
		assert_int_equal(vs_json_int(m, &n), kinds[i] == VS_JSON_INT);
		assert_int_equal(vs_json_real(m, &d), kinds[i] == VS_JSON_REAL);
		assert_int_equal(vs_json_bool(m, &t), kinds[i] == VS_JSON_BOOL);
		assert_string_not_equal(vs_json_kind_name(kinds[i]), "");
	}
	assert_int_equal(vs_json_count(vs_json_get(v, "a")), 1);
	assert_int_equal(vs_json_count(v), 7);
	assert_int_equal(vs_json_count(vs_json_get(v, "s")), 0);
	assert_null(vs_json_at(vs_json_get(v, "a"), 1));
	assert_null(vs_json_at(v, 0));
	assert_null(vs_json_get(vs_json_get(v, "a"), "0"));
	assert_true(vs_json_is_string(vs_json_get(v, "s"), "t"));
	assert_false(vs_json_is_string(vs_json_get(v, "s"), "T"));
	assert_false(vs_json_is_string(vs_json_get(v, "i"), "5"));
}

static void
paths_walk_objects_only(void **state)
{
	VS_CLEANUP(vs_json_freep)
	struct vs_json *v = must(
		"{\"a\":{\"b\":{\"c\":1},\"b.c\":2},\"a.b\":3,\"l\":[{\"x\":1}],\"\":{\"\":4}}");
	static const char *const nothing[] = {"", ".", "a.", ".a", "a..b", "a.b.c.d", "a.b.x",
		"l.0", "l.x", "l.0.x", "A", "a.b.c.", " a"};
	int64_t n = 0;
	(void)state;
	assert_true(vs_json_int(vs_json_path(v, "a.b.c"), &n) && n == 1);
	assert_int_equal(vs_json_kind(vs_json_path(v, "a.b")), VS_JSON_OBJECT);
	for (size_t i = 0; i < sizeof nothing / sizeof nothing[0]; i++)
		assert_null(vs_json_path(v, nothing[i]));
	char longest[2000];
	memset(longest, 'a', sizeof longest);
	longest[sizeof longest - 1] = '\0';
	assert_null(vs_json_path(v, longest));
}

static void
numbers_are_compared_by_exact_value(void **state)
{
	static const struct {
		const char *a, *b;
		bool same;
	} rows[] = {
		{"1", "1", true},
		{"1", "1.0", true},
		{"1.0", "1", true},
		{"1", "2", false},
		{"-0", "0", true},
		{"-0.0", "0", true},
		{"0.5", "0", false},
		{"1e2", "100", true},
		{"9007199254740993", "9007199254740993", true},
		{"9007199254740993", "9007199254740992", false},
		{"9007199254740993", "9007199254740992.0", false},
		{"9007199254740992", "9007199254740992.0", true},
		{"9223372036854775807", "9223372036854775808.0", false},
		{"-9223372036854775808", "-9223372036854775808.0", true},
		{"9223372036854775807", "1e300", false},
		{"-1", "-1e300", false},
		{"1", "true", false},
		{"0", "false", false},
		{"1", "\"1\"", false},
		{"0", "null", false},
		{"true", "true", false},
		{"0", "[]", false},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char text[100];
		snprintf(text, sizeof text, "[%s,%s]", rows[i].a, rows[i].b);
		VS_CLEANUP(vs_json_freep) struct vs_json *v = must(text);
		const struct vs_json *a = vs_json_at(v, 0), *b = vs_json_at(v, 1);
		assert_int_equal(vs_json_number_same(a, b), rows[i].same);
		assert_int_equal(vs_json_number_same(b, a), rows[i].same);
	}
	assert_false(vs_json_number_same(NULL, NULL));
}

static void
structures_are_compared_without_order_of_members(void **state)
{
	static const struct {
		const char *a, *b;
		bool same;
	} rows[] = {
		{"{\"a\":1,\"b\":[1,2]}", "{\"b\":[1,2.0],\"a\":1}", true},
		{"{\"a\":1}", "{\"a\":1,\"b\":1}", false},
		{"{\"a\":1}", "{\"b\":1}", false},
		{"[1,2]", "[2,1]", false},
		{"[1]", "[1,1]", false},
		{"{}", "[]", false},
		{"{\"a\":\"1\"}", "{\"a\":1}", false},
		{"{\"a\":null}", "{\"a\":false}", false},
		{"{\"a\":null}", "{\"a\":null}", true},
		{"{\"a\":true}", "{\"a\":false}", false},
		{"{\"a\":{\"b\":[{}]}}", "{\"a\":{\"b\":[{}]}}", true},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		VS_CLEANUP(vs_json_freep) struct vs_json *a = must(rows[i].a);
		VS_CLEANUP(vs_json_freep) struct vs_json *b = must(rows[i].b);
		assert_int_equal(vs_json_same(a, b), rows[i].same);
		assert_int_equal(vs_json_same(b, a), rows[i].same);
	}
	assert_false(vs_json_same(NULL, NULL));
}

static void
what_is_built_is_what_is_written(void **state)
{
	struct vs_err err = {0};
	VS_CLEANUP(vs_json_freep) struct vs_json *o = NULL;
	VS_CLEANUP(vs_buf_done) struct vs_buf out = {0};
	struct vs_json *list = NULL;
	(void)state;
	assert_ok(vs_json_new_object(&o, &err), &err);
	assert_ok(vs_json_set_string(o, "z", "t\"\n", &err), &err);
	assert_ok(vs_json_set_int(o, "a", INT64_MIN, &err), &err);
	assert_ok(vs_json_set_bool(o, "b", false, &err), &err);
	assert_ok(vs_json_new_array(&list, &err), &err);
	assert_ok(vs_json_append_string(list, "x", &err), &err);
	assert_ok(vs_json_set(o, "l", list, &err), &err);
	assert_ok(vs_json_set_copy(o, "c", vs_json_get(o, "l"), &err), &err);
	assert_ok(vs_json_dump(o, &out, &err), &err);
	assert_string_equal(vs_buf_cstr(&out),
		"{\"z\":\"t\\\"\\n\",\"a\":-9223372036854775808,"
		"\"b\":false,\"l\":[\"x\"],\"c\":[\"x\"]}");
	vs_buf_reset(&out);
	assert_ok(vs_json_dump_sorted(o, &out, &err), &err);
	assert_string_equal(vs_buf_cstr(&out),
		"{\"a\":-9223372036854775808,\"b\":false,"
		"\"c\":[\"x\"],\"l\":[\"x\"],\"z\":\"t\\\"\\n\"}");
	assert_code(vs_json_set_int(o, "a", 1, &err), INTERNAL);
	assert_code(vs_json_set_string(o, "u", "\xff", &err), FORMAT);
	assert_code(vs_json_set_int(list, "a", 1, &err), INTERNAL);
	struct vs_buf small = {.max = 10};
	assert_code(vs_json_dump(o, &small, &err), LIMIT);
	assert_int_equal(small.n, 0);
	vs_buf_done(&small);
}

static void
strings_are_written_so_that_they_are_read_again(void **state)
{
	static const char *const texts[] = {"", "plain", "\"\\/", "\x01\x1f\x7f\t\r\n", "\xc3\xa9",
		"\xf0\x9f\x98\x80", "a\xff z", "\xc3", "\xed\xa0\x80"};
	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct vs_err err = {0};
		VS_CLEANUP(vs_buf_done) struct vs_buf out = {0};
		const char *back = NULL;
		assert_ok(vs_buf_add_str(&out, "[", &err), &err);
		assert_ok(vs_json_put_string(&out, vs_bytes_str(texts[i]), &err), &err);
		assert_ok(vs_buf_add_str(&out, "]", &err), &err);
		VS_CLEANUP(vs_json_freep) struct vs_json *v = must(vs_buf_cstr(&out));
		assert_true(vs_json_string(vs_json_at(v, 0), &back));
		if (vs_utf8_ok(vs_bytes_str(texts[i])))
			assert_string_equal(back, texts[i]);
		else
			assert_non_null(strstr(back, "\xef\xbf\xbd"));
	}
}

static void
members_come_in_the_order_of_the_document(void **state)
{
	VS_CLEANUP(vs_json_freep) struct vs_json *v = must("{\"z\":1,\"a\":2,\"m\":3}");
	char names[8] = "";
	(void)state;
	for (const void *it = vs_json_first(v); it != NULL; it = vs_json_next(v, it))
		strncat(names, vs_json_it_name(it), 1);
	assert_string_equal(names, "zam");
	assert_null(vs_json_first(NULL));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_of_the_catalogue_are_judged_alone),
		cmocka_unit_test(cut_texts_are_refused),
		cmocka_unit_test(long_texts_are_refused),
		cmocka_unit_test(messages_carry_nothing_of_the_text),
		cmocka_unit_test(getters_take_only_their_kind),
		cmocka_unit_test(paths_walk_objects_only),
		cmocka_unit_test(numbers_are_compared_by_exact_value),
		cmocka_unit_test(structures_are_compared_without_order_of_members),
		cmocka_unit_test(what_is_built_is_what_is_written),
		cmocka_unit_test(strings_are_written_so_that_they_are_read_again),
		cmocka_unit_test(members_come_in_the_order_of_the_document),
	};
	const int failed = cmocka_run_group_tests(tests, NULL, NULL);
	forge_done();
	return failed;
}
