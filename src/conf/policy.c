/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading a release-policy document (A17): one rule per function, and a place in every message. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "conf/policy_tree.h"
#include "jose/jose.h"

enum { PLACE_MAX = 512, CLAIM_MAX = 511, MAX_LEASE_S = 86400 };

static const struct op_row {
	const char *name;
	enum vs_policy_op op;
	bool local; /* vouchsafe-1 only */
} ops[] = {
	{"equals", VS_POLICY_EQUALS, false},
	{"notEquals", VS_POLICY_NOT_EQUALS, true},
	{"in", VS_POLICY_IN, true},
	{"atLeast", VS_POLICY_AT_LEAST, true},
	{"atMost", VS_POLICY_AT_MOST, true},
	{"exists", VS_POLICY_EXISTS, true},
};
enum { N_OPS = sizeof ops / sizeof ops[0] };

const char *
vs_policy_op_name(enum vs_policy_op op)
{
	for (size_t i = 0; i < N_OPS; i++)
		if (ops[i].op == op)
			return ops[i].name;
	return "none";
}

struct parser {
	struct vs_policy *policy;
	unsigned authority;
	struct vs_err *err;
};

/* ---- member names ------------------------------------------------------------------------- */

static VS_RC
unknown_member(const char *place, const char *name, const char *const *known, struct vs_err *err)
{
	char quoted[64];
	const char *best = NULL;
	unsigned best_distance = 5;
	vs_quote(vs_bytes_str(name), quoted, sizeof quoted);
	for (; *known != NULL; known++) {
		const unsigned d = vs_distance(name, *known);
		if (d < best_distance) {
			best_distance = d;
			best = *known;
		}
	}
	const char *where = place[0] != '\0' ? place : "document";
	if (best != NULL)
		VS_FAIL(err, POLICY_FILE, "%s: \"%s\" is not known here; did you mean \"%s\"?",
			where, quoted, best);
	VS_FAIL(err, POLICY_FILE, "%s: \"%s\" is not known here", where, quoted);
}

static VS_RC
check_members(const struct vs_json *object, const char *place, const char *const *known,
	struct vs_err *err)
{
	for (const void *it = vs_json_first(object); it != NULL; it = vs_json_next(object, it)) {
		const char *const *k = known;
		while (*k != NULL && strcmp(*k, vs_json_it_name(it)) != 0)
			k++;
		if (*k == NULL)
			return unknown_member(place, vs_json_it_name(it), known, err);
	}
	return VS_OK;
}

/* ---- conditions --------------------------------------------------------------------------- */

static VS_RC
add_node(struct parser *p, const char *place, unsigned depth, struct policy_node **ret)
{
	struct vs_policy *policy = p->policy;
	if (policy->n_nodes == VS_POLICY_CONDITIONS_MAX)
		VS_FAIL(p->err, POLICY_FILE, "more than %d conditions", VS_POLICY_CONDITIONS_MAX);
	if (policy->n_nodes == policy->cap_nodes) {
		const size_t cap = policy->cap_nodes != 0 ? policy->cap_nodes * 2 : 16;
		struct policy_node *grown = reallocarray(policy->nodes, cap, sizeof *grown);
		if (grown == NULL)
			VS_FAIL(p->err, MEMORY, "out of memory while reading the policy");
		policy->nodes = grown;
		policy->cap_nodes = cap;
	}
	struct policy_node *node = &policy->nodes[policy->n_nodes++];
	*node = (struct policy_node){
		.end = policy->n_nodes,
		.authority = p->authority,
		.depth = depth,
		.place = strdup(place),
	};
	if (node->place == NULL)
		VS_FAIL(p->err, MEMORY, "out of memory while reading the policy");
	*ret = node;
	return VS_OK;
}

static bool
is_scalar(const struct vs_json *v)
{
	const enum vs_json_kind kind = vs_json_kind(v);
	return kind == VS_JSON_STRING || kind == VS_JSON_BOOL || kind == VS_JSON_INT ||
		kind == VS_JSON_REAL;
}

static bool
is_list_of_scalars(const struct vs_json *v)
{
	if (vs_json_kind(v) != VS_JSON_ARRAY || vs_json_count(v) == 0)
		return false;
	for (size_t i = 0; i < vs_json_count(v); i++)
		if (!is_scalar(vs_json_at(v, i)))
			return false;
	return true;
}

static VS_RC
check_value(
	const struct op_row *row, const struct vs_json *v, const char *place, struct vs_err *err)
{
	const enum vs_json_kind kind = vs_json_kind(v);
	const char *wanted = NULL;
	switch (row->op) {
	case VS_POLICY_EQUALS:
	case VS_POLICY_NOT_EQUALS:
		wanted = is_scalar(v) ? NULL : "a string, a number or a boolean";
		break;
	case VS_POLICY_IN:
		wanted = is_list_of_scalars(v) ? NULL : "an array of strings, numbers or booleans";
		break;
	case VS_POLICY_AT_LEAST:
	case VS_POLICY_AT_MOST: wanted = kind == VS_JSON_INT ? NULL : "an integer"; break;
	case VS_POLICY_EXISTS: wanted = kind == VS_JSON_BOOL ? NULL : "a boolean"; break;
	case VS_POLICY_NONE:
	case VS_POLICY_OP_COUNT_: wanted = "nothing"; break;
	}
	if (wanted != NULL)
		VS_FAIL(err, POLICY_FILE, "%s: \"%s\" needs %s, not %s", place, row->name, wanted,
			vs_json_kind_name(kind));
	return VS_OK;
}

static VS_RC
check_claim(const struct vs_json *v, const char *place, const char **ret, struct vs_err *err)
{
	const char *claim = NULL;
	if (!vs_json_string(v, &claim))
		VS_FAIL(err, POLICY_FILE, "%s: \"claim\" needs a string, not %s", place,
			vs_json_kind_name(vs_json_kind(v)));
	const size_t n = strlen(claim);
	if (n == 0 || n > CLAIM_MAX || claim[0] == '.' || claim[n - 1] == '.' ||
		strstr(claim, "..") != NULL)
		VS_FAIL(err, POLICY_FILE, "%s: \"claim\" is not a path of names separated by dots",
			place);
	*ret = claim;
	return VS_OK;
}

static VS_RC
parse_claim(struct parser *p, const struct vs_json *c, const char *place, unsigned depth)
{
	static const char *const known_vault[] = {"claim", "equals", "allOf", "anyOf", NULL};
	static const char *const known_local[] = {"claim", "equals", "notEquals", "in", "atLeast",
		"atMost", "exists", "allOf", "anyOf", NULL};
	const struct op_row *row = NULL;
	struct policy_node *node = NULL;
	const char *claim = NULL;

	for (size_t i = 0; i < N_OPS; i++) {
		if (vs_json_get(c, ops[i].name) == NULL)
			continue;
		if (ops[i].local && !p->policy->local)
			VS_FAIL(p->err, POLICY_FILE,
				"%s: \"%s\" is for documents of version \"vouchsafe-1\" only; the "
				"vault does not know it",
				place, ops[i].name);
		if (row != NULL)
			VS_FAIL(p->err, POLICY_FILE, "%s: two operators in one condition", place);
		row = &ops[i];
	}
	VS_TRY(check_members(c, place, p->policy->local ? known_local : known_vault, p->err));
	if (vs_json_get(c, "claim") == NULL)
		VS_FAIL(p->err, POLICY_FILE, "%s: the condition has no \"claim\"", place);
	if (row == NULL)
		VS_FAIL(p->err, POLICY_FILE, "%s: the condition has no \"equals\"", place);
	VS_TRY(check_claim(vs_json_get(c, "claim"), place, &claim, p->err));
	const struct vs_json *value = vs_json_get(c, row->name);
	VS_TRY(check_value(row, value, place, p->err));
	VS_TRY(add_node(p, place, depth, &node));
	node->claim = claim;
	node->op = row->op;
	node->value = value;
	return VS_OK;
}

static VS_RC parse_group(
	struct parser *p, const struct vs_json *list, bool any, const char *place, unsigned depth);

/* One of {"claim", operator}, {"allOf"}, {"anyOf"}. Recursion is bounded by the reader's depth. */
static VS_RC
parse_condition(struct parser *p, const struct vs_json *c, const char *place, unsigned depth)
{
	static const char *const known_group[] = {"allOf", "anyOf", NULL};
	const struct vs_json *all = vs_json_get(c, "allOf"), *any = vs_json_get(c, "anyOf");
	if (vs_json_kind(c) != VS_JSON_OBJECT)
		VS_FAIL(p->err, POLICY_FILE, "%s: a condition is an object, not %s", place,
			vs_json_kind_name(vs_json_kind(c)));
	if (all == NULL && any == NULL)
		return parse_claim(p, c, place, depth);
	if (vs_json_count(c) != 1) {
		VS_TRY(check_members(c, place,
			vs_json_get(c, "claim") != NULL
				? (const char *const[]){"claim", "equals", "allOf", "anyOf", NULL}
				: known_group,
			p->err));
		VS_FAIL(p->err, POLICY_FILE, "%s: two kinds of condition in one object", place);
	}
	return parse_group(p, all != NULL ? all : any, all == NULL, place, depth);
}

static VS_RC
parse_group(
	struct parser *p, const struct vs_json *list, bool any, const char *place, unsigned depth)
{
	const char *name = any ? "anyOf" : "allOf";
	struct policy_node *node = NULL;
	if (vs_json_kind(list) != VS_JSON_ARRAY || vs_json_count(list) == 0)
		VS_FAIL(p->err, POLICY_FILE, "%s.%s: needs an array with at least one condition",
			place, name);
	VS_TRY(add_node(p, place, depth, &node));
	node->any = any;
	const size_t self = p->policy->n_nodes - 1;
	for (size_t i = 0; i < vs_json_count(list); i++) {
		char inner[PLACE_MAX];
		snprintf(inner, sizeof inner, "%s.%s[%zu]", place, name, i);
		VS_TRY(parse_condition(p, vs_json_at(list, i), inner, depth + 1));
	}
	p->policy->nodes[self].end = p->policy->n_nodes;
	return VS_OK;
}

/* ---- entries and document ----------------------------------------------------------------- */

static VS_RC
parse_entry(struct parser *p, const struct vs_json *e, struct policy_entry *entry)
{
	static const char *const known[] = {"authority", "allOf", "anyOf", NULL};
	char place[PLACE_MAX];
	const char *authority = NULL;
	const struct vs_json *all = vs_json_get(e, "allOf"), *any = vs_json_get(e, "anyOf");
	snprintf(place, sizeof place, "anyOf[%u]", p->authority);
	if (vs_json_kind(e) != VS_JSON_OBJECT)
		VS_FAIL(p->err, POLICY_FILE, "%s: an authority is an object, not %s", place,
			vs_json_kind_name(vs_json_kind(e)));
	VS_TRY(check_members(e, place, known, p->err));
	if (!vs_json_string(vs_json_get(e, "authority"), &authority) || authority[0] == '\0')
		VS_FAIL(p->err, POLICY_FILE,
			"%s: \"authority\" needs the address of an attestation provider", place);
	if ((all == NULL) == (any == NULL))
		VS_FAIL(p->err, POLICY_FILE, "%s: needs exactly one of \"allOf\" and \"anyOf\"",
			place);
	size_t n = strlen(authority);
	if (authority[n - 1] == '/')
		n--;
	entry->group = p->policy->n_nodes;
	entry->authority = strndup(authority, n);
	if (entry->authority == NULL)
		VS_FAIL(p->err, MEMORY, "out of memory while reading the policy");
	return parse_group(p, all != NULL ? all : any, all == NULL, place, 0);
}

static VS_RC
parse_head(struct vs_policy *policy, struct vs_err *err)
{
	static const char *const known[] = {"version", "anyOf", NULL};
	static const char *const known_local[] = {"version", "anyOf", "maxLease", NULL};
	const struct vs_json *version = vs_json_get(policy->root, "version");
	const struct vs_json *lease = vs_json_get(policy->root, "maxLease");
	policy->local = vs_json_is_string(version, "vouchsafe-1");
	VS_TRY(check_members(policy->root, "", policy->local ? known_local : known, err));
	if (version == NULL)
		VS_FAIL(err, POLICY_FILE, "document: \"version\" is missing; write \"1.0.0\"");
	if (vs_json_is_string(version, VS_POLICY_DRAFT))
		VS_FAIL(err, POLICY_FILE,
			"document: this is a draft that nobody has reviewed; read what it asks "
			"for, then set its \"version\" to \"1.0.0\"");
	if (!policy->local && !vs_json_is_string(version, "1.0.0"))
		VS_FAIL(err, POLICY_FILE,
			"document: this \"version\" is not known; \"1.0.0\" and \"vouchsafe-1\" "
			"are");
	if (lease != NULL &&
		(!vs_json_int(lease, &policy->max_lease_s) || policy->max_lease_s < 1 ||
			policy->max_lease_s > MAX_LEASE_S))
		VS_FAIL(err, POLICY_FILE, "document: \"maxLease\" needs 1 to %d seconds",
			MAX_LEASE_S);
	return VS_OK;
}

static VS_RC
parse_document(struct vs_policy *policy, struct vs_err *err)
{
	VS_TRY(parse_head(policy, err));
	const struct vs_json *list = vs_json_get(policy->root, "anyOf");
	const size_t n = vs_json_count(list);
	if (vs_json_kind(list) != VS_JSON_ARRAY || n == 0)
		VS_FAIL(err, POLICY_FILE,
			"document: \"anyOf\" needs an array with at least one authority");
	policy->entries = calloc(n, sizeof *policy->entries);
	if (policy->entries == NULL)
		VS_FAIL(err, MEMORY, "out of memory while reading the policy");
	for (size_t i = 0; i < n; i++) {
		struct parser p = {.policy = policy, .authority = (unsigned)i, .err = err};
		policy->n_entries = i + 1; /* counted first: it may stay half made */
		VS_TRY(parse_entry(&p, vs_json_at(list, i), &policy->entries[i]));
	}
	return VS_OK;
}

VS_RC
vs_policy_parse(struct vs_bytes text, struct vs_policy **ret, struct vs_err *err)
{
	uint8_t digest[32];
	struct vs_err why = {0};
	VS_CLEANUP(vs_policy_unrefp) struct vs_policy *policy = calloc(1, sizeof *policy);
	if (policy == NULL)
		VS_FAIL(err, MEMORY, "out of memory while reading the policy");
	atomic_init(&policy->refs, 1);
	const vs_rc rc =
		vs_json_load_object(text, VS_POLICY_TEXT_MAX, "policy", &policy->root, &why);
	if (rc.code == VS_E_FORMAT || rc.code == VS_E_LIMIT)
		VS_FAIL(err, POLICY_FILE, "%s", why.frames[0].text);
	if (vs_failed(rc))
		VS_FAIL(err, MEMORY, "out of memory while reading the policy");
	VS_TRY(parse_document(policy, err));
	VS_TRY(vs_sha256(text, digest, err));
	vs_hex_str(digest, sizeof digest, policy->text_sha256, sizeof policy->text_sha256);
	VS_TRY(policy_make_canonical(policy, err));
	*ret = VS_TAKE(policy);
	return VS_OK;
}

struct vs_policy *
vs_policy_ref(struct vs_policy *policy)
{
	atomic_fetch_add(&policy->refs, 1);
	return policy;
}

void
vs_policy_unref(struct vs_policy *policy)
{
	if (policy == NULL || atomic_fetch_sub(&policy->refs, 1) != 1)
		return;
	for (size_t i = 0; i < policy->n_nodes; i++)
		free(policy->nodes[i].place);
	for (size_t i = 0; i < policy->n_entries; i++)
		free(policy->entries[i].authority);
	free(policy->nodes);
	free(policy->entries);
	vs_buf_done(&policy->canonical);
	vs_json_free(policy->root);
	free(policy);
}

void
vs_policy_unrefp(struct vs_policy **policy)
{
	vs_policy_unref(*policy);
	*policy = NULL;
}
