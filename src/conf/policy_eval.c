/* SPDX-License-Identifier: BSD-2-Clause */
/* Evaluating a policy (A16). Every condition is evaluated, so that one answer shows all reasons. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "conf/policy_tree.h"

/* A policy string also stands for the boolean or integer of that canonical text, as the vault
 * treats it (DESIGN 6). */
static bool
text_equals(const char *text, const struct vs_json *claim)
{
	char canonical[32];
	bool b = false;
	int64_t i = 0;
	if (vs_json_bool(claim, &b))
		return strcmp(text, b ? "true" : "false") == 0;
	if (!vs_json_int(claim, &i))
		return false;
	snprintf(canonical, sizeof canonical, "%" PRId64, i);
	return strcmp(text, canonical) == 0;
}

static bool
equals(const struct vs_json *wanted, const struct vs_json *claim)
{
	struct vs_bytes a = {0}, b = {0};
	const char *text = NULL;
	bool wb = false, cb = false;
	if (vs_json_bytes(wanted, &a) && vs_json_bytes(claim, &b))
		return vs_bytes_eq(a, b);
	if (vs_json_string(wanted, &text))
		return text_equals(text, claim);
	if (vs_json_bool(wanted, &wb))
		return vs_json_bool(claim, &cb) && wb == cb;
	return vs_json_number_same(wanted, claim);
}

static bool
is_scalar(const struct vs_json *v)
{
	const enum vs_json_kind kind = vs_json_kind(v);
	return kind == VS_JSON_STRING || kind == VS_JSON_BOOL || kind == VS_JSON_INT ||
		kind == VS_JSON_REAL;
}

static bool
is_listed(const struct vs_json *list, const struct vs_json *claim)
{
	for (size_t i = 0; i < vs_json_count(list); i++)
		if (equals(vs_json_at(list, i), claim))
			return true;
	return false;
}

static bool
condition_holds(const struct policy_node *node, const struct vs_json *claim)
{
	int64_t limit = 0, seen = 0;
	bool wanted = false;
	const enum vs_json_kind kind = vs_json_kind(claim);
	switch (node->op) {
	case VS_POLICY_EQUALS: return is_scalar(claim) && equals(node->value, claim);
	case VS_POLICY_NOT_EQUALS: return is_scalar(claim) && !equals(node->value, claim);
	case VS_POLICY_IN: return is_scalar(claim) && is_listed(node->value, claim);
	case VS_POLICY_AT_LEAST:
		return vs_json_int(node->value, &limit) && vs_json_int(claim, &seen) &&
			seen >= limit;
	case VS_POLICY_AT_MOST:
		return vs_json_int(node->value, &limit) && vs_json_int(claim, &seen) &&
			seen <= limit;
	case VS_POLICY_EXISTS:
		return vs_json_bool(node->value, &wanted) &&
			wanted == (kind != VS_JSON_NONE && kind != VS_JSON_NULL);
	case VS_POLICY_NONE:
	case VS_POLICY_OP_COUNT_: return false;
	}
	return false;
}

/* ---- words -------------------------------------------------------------------------------- */

static VS_RC
put_text(struct vs_buf *out, const struct vs_json *v, struct vs_err *err)
{
	struct vs_bytes text = {0};
	/* Not the library's writer: it lets control characters beyond ASCII through. */
	return vs_json_bytes(v, &text) ? vs_json_put_string(out, text, err)
				       : vs_json_dump(v, out, err);
}

VS_RC
policy_put_value(struct vs_buf *out, const struct vs_json *value, struct vs_err *err)
{
	switch (vs_json_kind(value)) {
	case VS_JSON_NONE: return vs_buf_add_str(out, "absent", err);
	case VS_JSON_OBJECT: return vs_buf_add_str(out, "an object", err);
	case VS_JSON_NULL:
	case VS_JSON_BOOL:
	case VS_JSON_INT:
	case VS_JSON_REAL:
	case VS_JSON_STRING:
	case VS_JSON_COUNT_: return put_text(out, value, err);
	case VS_JSON_ARRAY: break;
	}
	VS_TRY(vs_buf_add_str(out, "[", err));
	for (size_t i = 0; i < vs_json_count(value); i++) {
		VS_TRY(vs_buf_add_str(out, i > 0 ? "," : "", err));
		VS_TRY(put_text(out, vs_json_at(value, i), err));
	}
	return vs_buf_add_str(out, "]", err);
}

/* Cut to the field, control characters removed. */
static VS_RC
put_words(const char *before, const struct vs_json *value, char *out, size_t out_size,
	struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {0};
	VS_TRY(vs_buf_add_str(&text, before, err));
	VS_TRY(policy_put_value(&text, value, err));
	size_t n = 0;
	for (size_t i = 0; i < text.n && n + 4 < out_size; i++)
		out[n++] = text.p[i] >= 0x20 && text.p[i] < 0x7f ? (char)text.p[i] : '?';
	if (n < text.n)
		for (size_t i = 0; i < 3; i++)
			out[n++] = '.';
	out[n] = '\0';
	return VS_OK;
}

static VS_RC
describe(const struct policy_node *node, const struct vs_json *claim, struct vs_policy_result *r,
	struct vs_err *err)
{
	static const char *const before[VS_POLICY_OP_COUNT_] = {
		[VS_POLICY_NONE] = "",
		[VS_POLICY_EQUALS] = "",
		[VS_POLICY_NOT_EQUALS] = "not ",
		[VS_POLICY_IN] = "one of ",
		[VS_POLICY_AT_LEAST] = "at least ",
		[VS_POLICY_AT_MOST] = "at most ",
		[VS_POLICY_EXISTS] = "exists: ",
	};
	VS_TRY(put_words(before[node->op], node->value, r->expected, sizeof r->expected, err));
	return put_words("", claim, r->seen, sizeof r->seen, err);
}

/* ---- the tree ----------------------------------------------------------------------------- */

struct evaluation {
	const struct vs_policy *policy;
	const struct vs_json *claims;
	struct vs_policy_result *results;
	struct vs_err *err;
};

/* Recursion is bounded by the depth of the document. */
static VS_RC
eval_node(struct evaluation *ev, size_t i, bool *ret)
{
	const struct policy_node *node = &ev->policy->nodes[i];
	struct vs_policy_result *r = &ev->results[i];
	*r = (struct vs_policy_result){
		.authority = node->authority,
		.depth = node->depth,
		.place = node->place,
		.claim = node->claim,
		.group = node->claim != NULL ? NULL
			: node->any          ? "anyOf"
					     : "allOf",
		.op = node->op,
	};
	if (node->claim != NULL) {
		const struct vs_json *claim = vs_json_path(ev->claims, node->claim);
		r->holds = condition_holds(node, claim);
		VS_TRY(describe(node, claim, r, ev->err));
		*ret = r->holds;
		return VS_OK;
	}
	bool all = true, any = false;
	for (size_t k = i + 1; k < node->end; k = ev->policy->nodes[k].end) {
		bool holds = false;
		VS_TRY(eval_node(ev, k, &holds));
		all = all && holds;
		any = any || holds;
	}
	r->holds = node->any ? any : all;
	*ret = r->holds;
	return VS_OK;
}

VS_RC
vs_policy_eval(const struct vs_policy *policy, const struct vs_json *claims, const char *iss,
	struct vs_policy_report *ret, struct vs_err *err)
{
	VS_CLEANUP(vs_policy_report_done) struct vs_policy_report report = {0};
	report.results = calloc(policy->n_nodes, sizeof *report.results);
	if (report.results == NULL)
		VS_FAIL(err, MEMORY, "out of memory while evaluating the policy");
	report.n = policy->n_nodes;
	struct evaluation ev = {
		.policy = policy, .claims = claims, .results = report.results, .err = err};
	for (size_t i = 0; i < policy->n_entries; i++) {
		bool holds = false;
		const bool ours = iss != NULL && strcmp(policy->entries[i].authority, iss) == 0;
		VS_TRY(eval_node(&ev, policy->entries[i].group, &holds));
		report.authority_known = report.authority_known || ours;
		report.allowed = report.allowed || (ours && holds);
	}
	*ret = report;
	report = (struct vs_policy_report){0};
	return VS_OK;
}

void
vs_policy_report_done(struct vs_policy_report *report)
{
	free(report->results);
	*report = (struct vs_policy_report){0};
}
