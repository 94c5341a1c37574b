/* SPDX-License-Identifier: BSD-2-Clause */
/* Strict reading and canonical writing on jansson: the only file that includes it. */
#include "jose/json.h"

#include <string.h>

#include <jansson.h>

#include "base/codec.h"

enum { NAME_MAX_BYTES = 512 };

static const json_t *
in(const struct vs_json *v)
{
	return (const json_t *)v;
}

static const struct vs_json *
out_of(const json_t *v)
{
	return (const struct vs_json *)v;
}

/* ---- reading ------------------------------------------------------------------------------ */

/* jansson's own sentences quote the text, which may be a token: ours do not. */
static const char *
defect(enum json_error_code code)
{
	static const struct {
		enum json_error_code code;
		const char *text;
	} rows[] = {
		{json_error_out_of_memory, "out of memory"},
		{json_error_stack_overflow, "nested too deeply"},
		{json_error_invalid_utf8, "not UTF-8"},
		{json_error_premature_end_of_input, "ends too early"},
		{json_error_end_of_input_expected, "more bytes after the value"},
		{json_error_invalid_syntax, "syntax error"},
		{json_error_invalid_format, "neither an object nor an array"},
		{json_error_null_character, "contains a NUL character"},
		{json_error_null_byte_in_key, "a member name contains NUL"},
		{json_error_duplicate_key, "a member name occurs twice in one object"},
		{json_error_numeric_overflow, "a number is out of range"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (rows[i].code == code)
			return rows[i].text;
	return "not JSON";
}

/* Nesting is judged on the bytes, because the parser below would recurse first (A4). */
static bool
too_deep(struct vs_bytes text)
{
	unsigned depth = 0;
	bool quoted = false;
	for (size_t i = 0; i < text.n; i++) {
		const uint8_t c = text.p[i];
		if (quoted) {
			if (c == '\\')
				i++;
			else if (c == '"')
				quoted = false;
		} else if (c == '"') {
			quoted = true;
		} else if (c == '{' || c == '[') {
			if (++depth > VS_JSON_DEPTH_MAX)
				return true;
		} else if ((c == '}' || c == ']') && depth > 0) {
			depth--;
		}
	}
	return false;
}

VS_RC
vs_json_load(struct vs_bytes text, size_t max, const char *what, struct vs_json **ret,
	struct vs_err *err)
{
	if (text.n > max)
		VS_FAIL(err, LIMIT, "the %s has %zu bytes; %zu are allowed", what, text.n, max);
	if (text.n == 0)
		VS_FAIL(err, FORMAT, "the %s is empty", what);
	if (too_deep(text))
		VS_FAIL(err, FORMAT, "the %s is nested more than %d levels deep", what,
			VS_JSON_DEPTH_MAX);

	json_error_t e = {0};
	json_t *root = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, &e);
	if (root == NULL && json_error_code(&e) == json_error_out_of_memory)
		VS_FAIL(err, MEMORY, "out of memory while reading the %s", what);
	if (root == NULL)
		VS_FAIL(err, FORMAT, "the %s is not usable JSON: %s (line %d, column %d)", what,
			defect(json_error_code(&e)), e.line, e.column);
	*ret = (struct vs_json *)root;
	return VS_OK;
}

VS_RC
vs_json_load_object(struct vs_bytes text, size_t max, const char *what, struct vs_json **ret,
	struct vs_err *err)
{
	VS_CLEANUP(vs_json_freep) struct vs_json *v = NULL;
	VS_TRY(vs_json_load(text, max, what, &v, err));
	if (vs_json_kind(v) != VS_JSON_OBJECT)
		VS_FAIL(err, FORMAT, "the %s is not a JSON object", what);
	*ret = VS_TAKE(v);
	return VS_OK;
}

void
vs_json_free(struct vs_json *root)
{
	json_decref((json_t *)root);
}

void
vs_json_freep(struct vs_json **root)
{
	vs_json_free(*root);
	*root = NULL;
}

enum vs_json_kind
vs_json_kind(const struct vs_json *v)
{
	if (v == NULL)
		return VS_JSON_NONE;
	switch (json_typeof(in(v))) {
	case JSON_OBJECT: return VS_JSON_OBJECT;
	case JSON_ARRAY: return VS_JSON_ARRAY;
	case JSON_STRING: return VS_JSON_STRING;
	case JSON_INTEGER: return VS_JSON_INT;
	case JSON_REAL: return VS_JSON_REAL;
	case JSON_TRUE:
	case JSON_FALSE: return VS_JSON_BOOL;
	case JSON_NULL: return VS_JSON_NULL;
	}
	return VS_JSON_NONE;
}

const char *
vs_json_kind_name(enum vs_json_kind kind)
{
	static const char *const names[VS_JSON_COUNT_] = {
		[VS_JSON_NONE] = "nothing",
		[VS_JSON_NULL] = "null",
		[VS_JSON_BOOL] = "boolean",
		[VS_JSON_INT] = "integer",
		[VS_JSON_REAL] = "real number",
		[VS_JSON_STRING] = "string",
		[VS_JSON_ARRAY] = "array",
		[VS_JSON_OBJECT] = "object",
	};
	return kind < VS_JSON_COUNT_ ? names[kind] : "nothing";
}

const struct vs_json *
vs_json_get(const struct vs_json *v, const char *name)
{
	if (v == NULL || !json_is_object(in(v)))
		return NULL;
	return out_of(json_object_get(in(v), name));
}

const struct vs_json *
vs_json_path(const struct vs_json *v, const char *dotted)
{
	char name[NAME_MAX_BYTES];
	const char *rest = dotted;
	for (;;) {
		const size_t n = strcspn(rest, ".");
		if (n == 0 || n >= sizeof name)
			return NULL;
		memcpy(name, rest, n);
		name[n] = '\0';
		v = vs_json_get(v, name);
		if (v == NULL || rest[n] == '\0')
			return v;
		rest += n + 1;
	}
}

size_t
vs_json_count(const struct vs_json *v)
{
	if (v != NULL && json_is_array(in(v)))
		return json_array_size(in(v));
	return v != NULL && json_is_object(in(v)) ? json_object_size(in(v)) : 0;
}

const struct vs_json *
vs_json_at(const struct vs_json *array, size_t i)
{
	if (array == NULL || !json_is_array(in(array)))
		return NULL;
	return out_of(json_array_get(in(array), i));
}

/* Iterators only read, whatever the library's prototypes say. */
static json_t *
unconst(const struct vs_json *v)
{
	union {
		const struct vs_json *from;
		json_t *to;
	} u = {.from = v};
	return u.to;
}

static void *
unconst_it(const void *it)
{
	union {
		const void *from;
		void *to;
	} u = {.from = it};
	return u.to;
}

const void *
vs_json_first(const struct vs_json *object)
{
	if (vs_json_kind(object) != VS_JSON_OBJECT)
		return NULL;
	return json_object_iter(unconst(object));
}

const void *
vs_json_next(const struct vs_json *object, const void *it)
{
	return json_object_iter_next(unconst(object), unconst_it(it));
}

const char *
vs_json_it_name(const void *it)
{
	return json_object_iter_key(unconst_it(it));
}

const struct vs_json *
vs_json_it_value(const void *it)
{
	return out_of(json_object_iter_value(unconst_it(it)));
}

bool
vs_json_string(const struct vs_json *v, const char **ret)
{
	if (vs_json_kind(v) != VS_JSON_STRING)
		return false;
	*ret = json_string_value(in(v));
	return true;
}

bool
vs_json_bytes(const struct vs_json *v, struct vs_bytes *ret)
{
	if (vs_json_kind(v) != VS_JSON_STRING)
		return false;
	*ret = vs_bytes_of(json_string_value(in(v)), json_string_length(in(v)));
	return true;
}

bool
vs_json_int(const struct vs_json *v, int64_t *ret)
{
	if (vs_json_kind(v) != VS_JSON_INT)
		return false;
	*ret = json_integer_value(in(v));
	return true;
}

bool
vs_json_real(const struct vs_json *v, double *ret)
{
	if (vs_json_kind(v) != VS_JSON_REAL)
		return false;
	*ret = json_real_value(in(v));
	return true;
}

bool
vs_json_bool(const struct vs_json *v, bool *ret)
{
	if (vs_json_kind(v) != VS_JSON_BOOL)
		return false;
	*ret = json_is_true(in(v));
	return true;
}

bool
vs_json_is_string(const struct vs_json *v, const char *text)
{
	struct vs_bytes b = {0};
	return vs_json_bytes(v, &b) && vs_bytes_eq_str(b, text);
}

static bool
int_is_real(int64_t i, double d)
{
	/* Outside this range the conversion back is undefined, and no int64 is meant. */
	if (!(d >= -9223372036854775808.0 && d < 9223372036854775808.0))
		return false;
	const int64_t back = (int64_t)d;
	return (double)back == d && back == i;
}

bool
vs_json_number_same(const struct vs_json *a, const struct vs_json *b)
{
	int64_t ia = 0, ib = 0;
	double da = 0, db = 0;
	const bool a_int = vs_json_int(a, &ia), b_int = vs_json_int(b, &ib);
	if (!a_int && !vs_json_real(a, &da))
		return false;
	if (!b_int && !vs_json_real(b, &db))
		return false;
	if (a_int && b_int)
		return ia == ib;
	if (a_int)
		return int_is_real(ia, db);
	return b_int ? int_is_real(ib, da) : da == db;
}

static bool
same_members(const struct vs_json *a, const struct vs_json *b)
{
	for (const void *it = vs_json_first(a); it != NULL; it = vs_json_next(a, it)) {
		const struct vs_json *other = vs_json_get(b, vs_json_it_name(it));
		if (other == NULL || !vs_json_same(vs_json_it_value(it), other))
			return false;
	}
	return true;
}

bool
vs_json_same(const struct vs_json *a, const struct vs_json *b)
{
	const enum vs_json_kind ka = vs_json_kind(a), kb = vs_json_kind(b);
	if (ka == VS_JSON_INT || ka == VS_JSON_REAL)
		return vs_json_number_same(a, b);
	if (ka != kb || ka == VS_JSON_NONE || vs_json_count(a) != vs_json_count(b))
		return false;
	if (ka == VS_JSON_OBJECT)
		return same_members(a, b);
	if (ka != VS_JSON_ARRAY)
		return json_equal(in(a), in(b)) == 1;
	for (size_t i = 0; i < vs_json_count(a); i++)
		if (!vs_json_same(vs_json_at(a, i), vs_json_at(b, i)))
			return false;
	return true;
}

/* ---- writing ------------------------------------------------------------------------------ */

struct sink {
	struct vs_buf *out;
	vs_rc rc;
	struct vs_err *err;
};

static int
add_to_sink(const char *p, size_t n, void *arg)
{
	struct sink *sink = arg;
	sink->rc = vs_buf_add(sink->out, p, n, sink->err);
	return vs_failed(sink->rc) ? -1 : 0;
}

static VS_RC
dump(const struct vs_json *v, size_t flags, struct vs_buf *out, struct vs_err *err)
{
	struct sink sink = {.out = out, .rc = VS_OK, .err = err};
	VS_REQUIRE(err, v != NULL);
	const size_t before = out->n;
	const int r = json_dump_callback(
		in(v), add_to_sink, &sink, flags | JSON_COMPACT | JSON_ENCODE_ANY);
	if (r != 0)
		out->n = before;
	VS_TRY(sink.rc);
	if (r != 0)
		VS_FAIL(err, MEMORY, "out of memory while writing JSON");
	return VS_OK;
}

VS_RC
vs_json_dump(const struct vs_json *v, struct vs_buf *out, struct vs_err *err)
{
	return dump(v, 0, out, err);
}

VS_RC
vs_json_dump_sorted(const struct vs_json *v, struct vs_buf *out, struct vs_err *err)
{
	return dump(v, JSON_SORT_KEYS, out, err);
}

static VS_RC
made(json_t *v, struct vs_json **ret, struct vs_err *err)
{
	if (v == NULL)
		VS_FAIL(err, MEMORY, "out of memory while building JSON");
	*ret = (struct vs_json *)v;
	return VS_OK;
}

VS_RC
vs_json_new_object(struct vs_json **ret, struct vs_err *err)
{
	return made(json_object(), ret, err);
}

VS_RC
vs_json_new_array(struct vs_json **ret, struct vs_err *err)
{
	return made(json_array(), ret, err);
}

VS_RC
vs_json_set(struct vs_json *object, const char *name, struct vs_json *child, struct vs_err *err)
{
	VS_CLEANUP(vs_json_freep) struct vs_json *owned = child;
	if (child == NULL)
		VS_FAIL(err, MEMORY, "out of memory while building JSON");
	VS_REQUIRE(err, vs_json_kind(object) == VS_JSON_OBJECT);
	VS_REQUIRE(err, vs_json_get(object, name) == NULL);
	if (json_object_set_new((json_t *)object, name, (json_t *)VS_TAKE(owned)) != 0)
		VS_FAIL(err, MEMORY, "out of memory while building JSON");
	return VS_OK;
}

static VS_RC
new_string(struct vs_bytes text, struct vs_json **ret, struct vs_err *err)
{
	if (!vs_utf8_ok(text))
		VS_FAIL(err, FORMAT, "a text for JSON is not UTF-8");
	return made(json_stringn((const char *)text.p, text.n), ret, err);
}

VS_RC
vs_json_set_bytes(
	struct vs_json *object, const char *name, struct vs_bytes text, struct vs_err *err)
{
	struct vs_json *child = NULL;
	VS_TRY(new_string(text, &child, err));
	return vs_json_set(object, name, child, err);
}

VS_RC
vs_json_set_string(struct vs_json *object, const char *name, const char *text, struct vs_err *err)
{
	return vs_json_set_bytes(object, name, vs_bytes_str(text), err);
}

VS_RC
vs_json_set_int(struct vs_json *object, const char *name, int64_t value, struct vs_err *err)
{
	return vs_json_set(object, name, (struct vs_json *)json_integer(value), err);
}

VS_RC
vs_json_set_bool(struct vs_json *object, const char *name, bool value, struct vs_err *err)
{
	return vs_json_set(object, name, (struct vs_json *)json_boolean(value), err);
}

VS_RC
vs_json_set_copy(
	struct vs_json *object, const char *name, const struct vs_json *value, struct vs_err *err)
{
	VS_REQUIRE(err, value != NULL);
	return vs_json_set(object, name, (struct vs_json *)json_deep_copy(in(value)), err);
}

VS_RC
vs_json_append(struct vs_json *array, struct vs_json *child, struct vs_err *err)
{
	VS_CLEANUP(vs_json_freep) struct vs_json *owned = child;
	if (child == NULL)
		VS_FAIL(err, MEMORY, "out of memory while building JSON");
	VS_REQUIRE(err, vs_json_kind(array) == VS_JSON_ARRAY);
	if (json_array_append_new((json_t *)array, (json_t *)VS_TAKE(owned)) != 0)
		VS_FAIL(err, MEMORY, "out of memory while building JSON");
	return VS_OK;
}

VS_RC
vs_json_append_string(struct vs_json *array, const char *text, struct vs_err *err)
{
	struct vs_json *child = NULL;
	VS_TRY(new_string(vs_bytes_str(text), &child, err));
	return vs_json_append(array, child, err);
}
