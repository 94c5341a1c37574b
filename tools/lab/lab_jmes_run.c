/* SPDX-License-Identifier: BSD-2-Clause */
/* The evaluator. Results are trees of their own, and each value made is counted. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lab/lab_jmes_ast.h"

struct run {
	const struct lab_jmes *q;
	size_t work;
	bool bad;
	char *why;
};

static json_t *eval(struct run *r, unsigned at, json_t *of);

static void
fail(struct run *r, const char *what, const char *name)
{
	if (!r->bad)
		(void)snprintf(r->why, 160, "the query cannot be evaluated: %s%.40s", what, name);
	r->bad = true;
}

static bool
spend(struct run *r, size_t n)
{
	r->work += n;
	if (r->work > LAB_JMES_WORK_MAX)
		fail(r, "it makes too many values", "");
	return !r->bad;
}

static size_t
size_of(const json_t *v)
{
	size_t n = 1, i = 0;
	const char *name = NULL;
	json_t *e = NULL;
	json_object_foreach ((json_t *)(uintptr_t)v, name, e)
		n += size_of(e);
	if (json_is_array(v))
		json_array_foreach ((json_t *)(uintptr_t)v, i, e)
			n += size_of(e);
	return n;
}

/* A copy, so that no value stands in two places of a result. */
static json_t *
own(struct run *r, json_t *v)
{
	return spend(r, size_of(v)) ? json_deep_copy(v) : NULL;
}

static bool
truth(const json_t *v)
{
	return !(json_is_null(v) || json_is_false(v) ||
		(json_is_string(v) && json_string_length(v) == 0) ||
		(json_is_array(v) && json_array_size(v) == 0) ||
		(json_is_object(v) && json_object_size(v) == 0));
}

static bool
same(const json_t *a, const json_t *b)
{
	if (json_is_number(a) && json_is_number(b) && json_typeof(a) != json_typeof(b))
		return json_number_value(a) >= json_number_value(b) &&
			json_number_value(a) <= json_number_value(b);
	return json_equal(a, b) == 1;
}

static json_t *
compare(struct run *r, enum lab_jmes_op op, const json_t *a, const json_t *b)
{
	if (!spend(r, size_of(a) + size_of(b)))
		return NULL;
	if (op == LAB_JO_EQ || op == LAB_JO_NE)
		return json_boolean(same(a, b) == (op == LAB_JO_EQ));
	if (!json_is_number(a) || !json_is_number(b))
		return json_null();
	const bool whole = json_is_integer(a) && json_is_integer(b);
	const bool lt = whole ? json_integer_value(a) < json_integer_value(b)
			      : json_number_value(a) < json_number_value(b);
	const bool gt = whole ? json_integer_value(a) > json_integer_value(b)
			      : json_number_value(a) > json_number_value(b);
	switch (op) {
	case LAB_JO_LT: return json_boolean(lt);
	case LAB_JO_LE: return json_boolean(!gt);
	case LAB_JO_GT: return json_boolean(gt);
	case LAB_JO_GE: return json_boolean(!lt);
	case LAB_JO_EQ:
	case LAB_JO_NE: break;
	}
	return json_null();
}

/* ---- functions ------------------------------------------------------------------------------ */

static json_t *
fn_length(json_t *const *v)
{
	if (json_is_string(v[0])) {
		size_t n = 0;
		for (const char *p = json_string_value(v[0]); *p; p++)
			n += ((unsigned char)*p & 0xc0) != 0x80;
		return json_integer((json_int_t)n);
	}
	if (json_is_array(v[0]))
		return json_integer((json_int_t)json_array_size(v[0]));
	return json_is_object(v[0]) ? json_integer((json_int_t)json_object_size(v[0])) : NULL;
}

static json_t *
fn_contains(json_t *const *v)
{
	size_t i = 0;
	json_t *e = NULL;
	if (json_is_string(v[0]) && json_is_string(v[1]))
		return json_boolean(
			strstr(json_string_value(v[0]), json_string_value(v[1])) != NULL);
	if (!json_is_array(v[0]))
		return NULL;
	json_array_foreach (v[0], i, e)
		if (same(e, v[1]))
			return json_true();
	return json_false();
}

static json_t *
fn_starts_with(json_t *const *v)
{
	if (!json_is_string(v[0]) || !json_is_string(v[1]))
		return NULL;
	return json_boolean(strncmp(json_string_value(v[0]), json_string_value(v[1]),
				    strlen(json_string_value(v[1]))) == 0);
}

static json_t *
fn_ends_with(json_t *const *v)
{
	const char *s = json_string_value(v[0]), *end = json_string_value(v[1]);
	if (!s || !end)
		return NULL;
	const size_t n = strlen(s), k = strlen(end);
	return json_boolean(n >= k && strcmp(s + n - k, end) == 0);
}

static json_t *
fn_equals_ignore_case(json_t *const *v)
{
	if (!json_is_string(v[0]) || !json_is_string(v[1]))
		return json_false();
	return json_boolean(strcasecmp(json_string_value(v[0]), json_string_value(v[1])) == 0);
}

static json_t *
fn_keys(json_t *const *v)
{
	const char *name = NULL;
	json_t *e = NULL, *out = json_array();
	json_object_foreach (v[0], name, e)
		json_array_append_new(out, json_string(name));
	if (json_is_object(v[0]))
		return out;
	json_decref(out);
	return NULL;
}

static json_t *
fn_values(json_t *const *v)
{
	const char *name = NULL;
	json_t *e = NULL, *out = json_array();
	json_object_foreach (v[0], name, e)
		json_array_append_new(out, json_deep_copy(e));
	if (json_is_object(v[0]))
		return out;
	json_decref(out);
	return NULL;
}

static json_t *
fn_type(json_t *const *v)
{
	static const char *const names[] = {
		"object", "array", "string", "number", "number", "boolean", "boolean", "null"};
	return json_string(names[json_typeof(v[0])]);
}

static json_t *
fn_to_string(json_t *const *v)
{
	if (json_is_string(v[0]))
		return json_incref(v[0]);
	char *text = json_dumps(v[0], JSON_COMPACT | JSON_ENCODE_ANY);
	json_t *out = json_string(text ? text : "");
	free(text);
	return out;
}

static json_t *
fn_to_number(json_t *const *v)
{
	const char *s = json_string_value(v[0]);
	if (json_is_number(v[0]))
		return json_incref(v[0]);
	json_t *out = s ? json_loads(s, JSON_DECODE_ANY, NULL) : NULL;
	if (json_is_number(out))
		return out;
	json_decref(out);
	return json_null();
}

static json_t *
fn_not_null(json_t *const *v)
{
	return json_incref(json_is_null(v[0]) ? v[1] : v[0]);
}

static json_t *
fn_reverse(json_t *const *v)
{
	if (!json_is_array(v[0]))
		return NULL;
	json_t *out = json_array();
	for (size_t i = json_array_size(v[0]); i-- > 0;)
		json_array_append_new(out, json_deep_copy(json_array_get(v[0], i)));
	return out;
}

static json_t *
call(struct run *r, const struct lab_jmes_node *node, json_t *of)
{
	static const struct {
		const char *name;
		unsigned args;
		json_t *(*fn)(json_t *const *v);
	} fns[] = {
		{"length", 1, fn_length},
		{"contains", 2, fn_contains},
		{"starts_with", 2, fn_starts_with},
		{"ends_with", 2, fn_ends_with},
		{"equals_ignore_case", 2, fn_equals_ignore_case},
		{"keys", 1, fn_keys},
		{"values", 1, fn_values},
		{"type", 1, fn_type},
		{"to_string", 1, fn_to_string},
		{"to_number", 1, fn_to_number},
		{"not_null", 2, fn_not_null},
		{"reverse", 1, fn_reverse},
	};
	const char *name = json_string_value(node->text);
	json_t *v[2] = {NULL, NULL}, *out = NULL;
	unsigned n = 0;
	size_t i = 0;
	while (i < sizeof fns / sizeof *fns && strcmp(fns[i].name, name) != 0)
		i++;
	if (i == sizeof fns / sizeof *fns) {
		fail(r, "there is no function ", name);
		return NULL;
	}
	for (unsigned c = node->a; c != 0 && !r->bad; c = r->q->nodes[c].next, n++)
		if (n < 2)
			v[n] = eval(r, r->q->nodes[c].a, of);
	if (n != fns[i].args)
		fail(r, "another number of arguments is needed by ", name);
	if (!r->bad && spend(r, size_of(v[0]) + size_of(v[1])))
		out = fns[i].fn(v);
	if (!out)
		fail(r, "a value of another type is needed by ", name);
	json_decref(v[0]);
	json_decref(v[1]);
	return out;
}

/* ---- expressions ---------------------------------------------------------------------------- */

static json_t *
element(const json_t *of, json_int_t i)
{
	const json_int_t n = (json_int_t)json_array_size(of);
	json_t *e = i >= -n && i < n ? json_array_get(of, (size_t)(i < 0 ? i + n : i)) : NULL;
	return e ? json_incref(e) : json_null();
}

static json_int_t
bound(json_int_t i, json_int_t n, bool down)
{
	if (i < 0)
		i += n;
	if (i < 0)
		return down ? -1 : 0;
	return i >= n ? (down ? n - 1 : n) : i;
}

static json_t *
slice(struct run *r, const struct lab_jmes_node *node, const json_t *of)
{
	const json_int_t n = (json_int_t)json_array_size(of),
			 step = node->has[2] ? node->number[2] : 1;
	const bool down = step < 0;
	if (!json_is_array(of))
		return json_null();
	json_int_t i = node->has[0] ? bound(node->number[0], n, down) : down ? n - 1 : 0;
	const json_int_t end = node->has[1] ? bound(node->number[1], n, down) : down ? -1 : n;
	json_t *out = json_array();
	for (; (down ? i > end : i < end) && spend(r, 1); i += step)
		json_array_append(out, json_array_get(of, (size_t)i));
	return out;
}

static json_t *
flatten(struct run *r, const json_t *of)
{
	size_t i = 0, k = 0;
	json_t *e = NULL, *inner = NULL;
	if (!json_is_array(of))
		return json_null();
	json_t *out = json_array();
	json_array_foreach ((json_t *)(uintptr_t)of, i, e) {
		if (!json_is_array(e) && spend(r, 1))
			json_array_append(out, e);
		if (json_is_array(e))
			json_array_foreach (e, k, inner)
				if (spend(r, 1))
					json_array_append(out, inner);
	}
	return out;
}

/* b of e, unless that is nothing. */
static void
project_one(struct run *r, const struct lab_jmes_node *node, json_t *e, json_t *out)
{
	json_t *held = node->kind == LAB_J_FILTER ? eval(r, node->c, e) : NULL;
	const bool wanted = node->kind != LAB_J_FILTER || (held && truth(held));
	json_decref(held);
	if (!wanted || r->bad)
		return;
	json_t *v = eval(r, node->b, e);
	if (v && !json_is_null(v))
		json_array_append(out, v);
	json_decref(v);
}

static json_t *
project(struct run *r, const struct lab_jmes_node *node, json_t *of)
{
	size_t i = 0;
	const char *name = NULL;
	json_t *e = NULL, *base = eval(r, node->a, of);
	const bool values = node->kind == LAB_J_VALUES;
	if (!base || (values ? !json_is_object(base) : !json_is_array(base))) {
		json_decref(base);
		return r->bad ? NULL : json_null();
	}
	json_t *out = json_array();
	if (values)
		json_object_foreach (base, name, e)
			project_one(r, node, e, out);
	else
		json_array_foreach (base, i, e)
			project_one(r, node, e, out);
	json_decref(base);
	return out;
}

static json_t *
multi(struct run *r, const struct lab_jmes_node *node, json_t *of)
{
	if (json_is_null(of))
		return json_null();
	json_t *out = node->kind == LAB_J_HASH ? json_object() : json_array();
	for (unsigned c = node->a; c != 0 && !r->bad; c = r->q->nodes[c].next) {
		const struct lab_jmes_node *child = &r->q->nodes[c];
		json_t *v = eval(r, child->a, of);
		if (v && node->kind == LAB_J_HASH)
			json_object_set_new(out, json_string_value(child->text), own(r, v));
		else if (v)
			json_array_append_new(out, own(r, v));
		json_decref(v);
	}
	return out;
}

static json_t *
binary(struct run *r, const struct lab_jmes_node *node, json_t *of)
{
	json_t *a = eval(r, node->a, of), *out = NULL;
	if (!a)
		return NULL;
	const bool yes = truth(a);
	if (node->kind == LAB_J_NOT)
		out = json_boolean(!yes);
	else if (node->kind == LAB_J_SUB)
		out = eval(r, node->b, a);
	else if (node->kind == LAB_J_COMPARE) {
		json_t *b = eval(r, node->b, of);
		out = b ? compare(r, node->op, a, b) : NULL;
		json_decref(b);
	} else if (yes == (node->kind == LAB_J_OR))
		out = json_incref(a);
	else
		out = eval(r, node->b, of);
	json_decref(a);
	return out;
}

/* A new reference; NULL only when bad is set. */
static json_t *
eval(struct run *r, unsigned at, json_t *of)
{
	const struct lab_jmes_node *node = &r->q->nodes[at];
	json_t *v = NULL, *out = NULL;
	if (!spend(r, 1))
		return NULL;
	switch (node->kind) {
	case LAB_J_CURRENT: return json_incref(of);
	case LAB_J_LITERAL: return json_incref(node->text);
	case LAB_J_FIELD:
		v = json_object_get(of, json_string_value(node->text));
		return v ? json_incref(v) : json_null();
	case LAB_J_INDEX: return element(of, node->number[0]);
	case LAB_J_SLICE: return slice(r, node, of);
	case LAB_J_FLATTEN:
		v = eval(r, node->a, of);
		out = v ? flatten(r, v) : NULL;
		json_decref(v);
		return out;
	case LAB_J_PROJECT:
	case LAB_J_VALUES:
	case LAB_J_FILTER: return project(r, node, of);
	case LAB_J_LIST:
	case LAB_J_HASH: return multi(r, node, of);
	case LAB_J_CALL: return call(r, node, of);
	case LAB_J_SUB:
	case LAB_J_OR:
	case LAB_J_AND:
	case LAB_J_NOT:
	case LAB_J_COMPARE: return binary(r, node, of);
	case LAB_J_MEMBER: break;
	}
	fail(r, "a part is not an expression", "");
	return NULL;
}

json_t *
lab_jmes_run(const struct lab_jmes *query, const json_t *doc, char why[160])
{
	struct run r = {.q = query, .why = why};
	json_t *out = eval(&r, query->root, (json_t *)(uintptr_t)doc);
	if (!r.bad)
		return out;
	json_decref(out);
	return NULL;
}
