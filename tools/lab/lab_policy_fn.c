/* SPDX-License-Identifier: BSD-2-Clause */
/* The functions of the policy language 1.2, from sets of values to sets of values. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lab/lab_jmes.h"
#include "lab/lab_policy_ast.h"

enum { TEXT_MAX = 4 << 20 };

static const struct {
	const char *name;
	unsigned args;
} fns[LAB_F_COUNT_] = {
	[LAB_F_JMES_PATH] = {"JmesPath", 2},
	[LAB_F_JSON_TO_CLAIM_VALUE] = {"JsonToClaimValue", 1},
	[LAB_F_IS_SUBSET_OF] = {"IsSubsetOf", 2},
	[LAB_F_APPEND_STRING] = {"AppendString", 2},
	[LAB_F_NEGATE_BOOL] = {"NegateBool", 1},
	[LAB_F_CONTAINS_ONLY_VALUE] = {"ContainsOnlyValue", 2},
};

unsigned
lab_fn_args(enum lab_fn fn)
{
	return fns[fn].args;
}

enum lab_fn
lab_fn_parse(const char *name, size_t n)
{
	unsigned i = 0;
	while (i < LAB_F_COUNT_ && !(strlen(fns[i].name) == n && memcmp(fns[i].name, name, n) == 0))
		i++;
	return (enum lab_fn)i;
}

void
lab_values_done(struct lab_values *s)
{
	for (size_t i = 0; i < s->n; i++)
		json_decref(s->at[i].v);
	s->n = 0;
}

bool
lab_values_add(struct lab_values *s, json_t *v, bool read_only)
{
	if (!v || s->n == LAB_VALUES_MAX) {
		json_decref(v);
		return false;
	}
	s->at[s->n++] = (struct lab_value){.v = v, .read_only = read_only};
	return true;
}

static bool
has(const struct lab_values *s, const json_t *v)
{
	for (size_t i = 0; i < s->n; i++)
		if (json_equal(s->at[i].v, v))
			return true;
	return false;
}

/* The only value of a set, if it is a string. */
static const char *
text_of(const struct lab_values *s, size_t *n)
{
	const json_t *v = s->n == 1 ? s->at[0].v : NULL;
	*n = json_string_length(v);
	return json_string_value(v);
}

static bool
fail(enum lab_fn fn, const char *what, char why[160])
{
	snprintf(why, 160, "%s: %s", fns[fn].name, what);
	return false;
}

static bool
jmes_path(const struct lab_values *a, const struct lab_values *b, struct lab_values *ret,
	char why[160])
{
	size_t n = 0, query_n = 0;
	const char *text = text_of(a, &n), *query = text_of(b, &query_n);
	json_t *found = NULL;
	if (!text || n == 0 || !query || query_n == 0)
		return fail(LAB_F_JMES_PATH, "two strings that are not empty are needed", why);
	json_t *doc = json_loadb(text, n, JSON_DECODE_ANY, NULL);
	if (!doc)
		return fail(LAB_F_JMES_PATH, "the first argument is not JSON", why);
	const bool ok = lab_jmes_search(doc, vs_bytes_of(query, query_n), &found, why);
	json_decref(doc);
	char *out = ok ? json_dumps(found, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
	json_decref(found);
	const bool kept = out && strlen(out) <= TEXT_MAX &&
		lab_values_add(ret, json_string(out), a->at[0].read_only || b->at[0].read_only);
	free(out);
	return kept || (ok ? fail(LAB_F_JMES_PATH, "the result is too long", why) : false);
}

static bool
add_primitive(json_t *v, bool read_only, struct lab_values *ret, char why[160])
{
	if (json_is_null(v))
		return true;
	if (!json_is_integer(v) && !json_is_boolean(v) && !json_is_string(v))
		return fail(LAB_F_JSON_TO_CLAIM_VALUE,
			"an object, a fraction or an array inside an array is no claim's value",
			why);
	return lab_values_add(ret, json_incref(v), read_only) ||
		fail(LAB_F_JSON_TO_CLAIM_VALUE, "too many values", why);
}

static bool
json_to_claim_value(const struct lab_values *a, struct lab_values *ret, char why[160])
{
	size_t n = 0, i = 0;
	const char *text = text_of(a, &n);
	json_t *v = text ? json_loadb(text, n, JSON_DECODE_ANY, NULL) : NULL, *e = NULL;
	bool ok = true;
	if (!v)
		return fail(LAB_F_JSON_TO_CLAIM_VALUE, "the argument is not JSON", why);
	const bool read_only = a->at[0].read_only;
	if (!json_is_array(v))
		ok = add_primitive(v, read_only, ret, why);
	else
		json_array_foreach (v, i, e)
			ok = ok && add_primitive(e, read_only, ret, why);
	json_decref(v);
	return ok;
}

static bool
append_string(const struct lab_values *a, const struct lab_values *b, struct lab_values *ret,
	char why[160])
{
	size_t n = 0, m = 0;
	const char *first = text_of(a, &n), *second = text_of(b, &m);
	if (!first || !second || n + m > TEXT_MAX)
		return fail(LAB_F_APPEND_STRING, "two strings are needed", why);
	char *both = malloc(n + m + 1);
	if (!both)
		return fail(LAB_F_APPEND_STRING, "out of memory", why);
	memcpy(both, first, n);
	memcpy(both + n, second, m);
	json_t *v = json_stringn(both, n + m);
	free(both);
	return lab_values_add(ret, v, a->at[0].read_only || b->at[0].read_only);
}

static bool
is_subset_of(const struct lab_values *a, const struct lab_values *b)
{
	for (size_t i = 0; i < a->n; i++)
		if (!has(b, a->at[i].v))
			return false;
	return true;
}

static bool
only_value(const struct lab_values *a, const struct lab_values *b, struct lab_values *ret,
	char why[160])
{
	if (b->n != 1)
		return fail(LAB_F_CONTAINS_ONLY_VALUE, "the second argument is not one value", why);
	bool only = a->n > 0;
	for (size_t i = 0; i < a->n; i++)
		only = only && json_equal(a->at[i].v, b->at[0].v);
	return lab_values_add(ret, json_boolean(only), false);
}

bool
lab_fn_call(enum lab_fn fn, const struct lab_values *a, const struct lab_values *b,
	struct lab_values *ret, char why[160])
{
	switch (fn) {
	case LAB_F_JMES_PATH: return jmes_path(a, b, ret, why);
	case LAB_F_JSON_TO_CLAIM_VALUE: return json_to_claim_value(a, ret, why);
	case LAB_F_IS_SUBSET_OF:
		return lab_values_add(ret, json_boolean(is_subset_of(a, b)), false);
	case LAB_F_APPEND_STRING: return append_string(a, b, ret, why);
	case LAB_F_NEGATE_BOOL:
		if (a->n != 1 || !json_is_boolean(a->at[0].v))
			return fail(fn, "one boolean is needed", why);
		return lab_values_add(
			ret, json_boolean(!json_is_true(a->at[0].v)), a->at[0].read_only);
	case LAB_F_CONTAINS_ONLY_VALUE: return only_value(a, b, ret, why);
	case LAB_F_COUNT_: break;
	}
	return fail(LAB_F_JMES_PATH, "there is no such function", why);
}
