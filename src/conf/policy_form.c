/* SPDX-License-Identifier: BSD-2-Clause */
/* What a policy says as a whole: canonical form, comparison, and what it demands. */
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "conf/policy_tree.h"
#include "jose/jose.h"

/* ---- canonical form ----------------------------------------------------------------------- */

static const struct vs_json *
entry_json(const struct vs_policy *policy, size_t i)
{
	return vs_json_at(vs_json_get(policy->root, "anyOf"), i);
}

/* Without its trailing slash, but so that reading it again does not drop another one. */
static VS_RC
put_authority(const char *authority, struct vs_buf *out, struct vs_err *err)
{
	const size_t n = strlen(authority);
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {0};
	VS_TRY(vs_buf_add(&text, authority, n, err));
	if (n == 0 || authority[n - 1] == '/')
		VS_TRY(vs_buf_add_str(&text, "/", err));
	return vs_json_put_string(out, vs_buf_view(&text), err);
}

static VS_RC
put_entry(const struct vs_policy *policy, size_t i, struct vs_buf *out, struct vs_err *err)
{
	const bool any = policy->nodes[policy->entries[i].group].any;
	const char *name = any ? "anyOf" : "allOf";
	VS_TRY(vs_buf_addf(out, err, "%s{\"%s\":", i > 0 ? "," : "", name));
	VS_TRY(vs_json_dump_sorted(vs_json_get(entry_json(policy, i), name), out, err));
	VS_TRY(vs_buf_add_str(out, ",\"authority\":", err));
	VS_TRY(put_authority(policy->entries[i].authority, out, err));
	return vs_buf_add_str(out, "}", err);
}

VS_RC
policy_make_canonical(struct vs_policy *policy, struct vs_err *err)
{
	struct vs_buf *out = &policy->canonical;
	uint8_t digest[32];
	VS_TRY(vs_buf_add_str(out, "{\"anyOf\":[", err));
	for (size_t i = 0; i < policy->n_entries; i++)
		VS_TRY(put_entry(policy, i, out, err));
	VS_TRY(vs_buf_add_str(out, "]", err));
	if (policy->max_lease_s != 0)
		VS_TRY(vs_buf_addf(out, err, ",\"maxLease\":%lld", (long long)policy->max_lease_s));
	VS_TRY(vs_buf_addf(
		out, err, ",\"version\":\"%s\"}", policy->local ? "vouchsafe-1" : "1.0.0"));
	VS_TRY(vs_sha256(vs_buf_view(out), digest, err));
	vs_hex_str(digest, sizeof digest, policy->sha256, sizeof policy->sha256);
	return VS_OK;
}

bool
vs_policy_is_local(const struct vs_policy *policy)
{
	return policy->local;
}

int64_t
vs_policy_max_lease_s(const struct vs_policy *policy)
{
	return policy->max_lease_s;
}

const char *
vs_policy_text_sha256(const struct vs_policy *policy)
{
	return policy->text_sha256;
}

const char *
vs_policy_sha256(const struct vs_policy *policy)
{
	return policy->sha256;
}

struct vs_bytes
vs_policy_canonical(const struct vs_policy *policy)
{
	return vs_buf_view(&policy->canonical);
}

size_t
vs_policy_authorities(const struct vs_policy *policy)
{
	return policy->n_entries;
}

const char *
vs_policy_authority(const struct vs_policy *policy, size_t i)
{
	return i < policy->n_entries ? policy->entries[i].authority : NULL;
}

/* ---- what it demands ---------------------------------------------------------------------- */

static bool
starts_with(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

const char *
vs_policy_planted_claim(const struct vs_policy *policy)
{
	static const char *const roots[] = {"x-ms-runtime", "client-payload", "nonce"};
	for (size_t i = 0; i < policy->n_nodes; i++) {
		const char *claim = policy->nodes[i].claim;
		for (size_t r = 0; claim != NULL && r < sizeof roots / sizeof roots[0]; r++) {
			const size_t n = strlen(roots[r]);
			if (starts_with(claim, roots[r]) && (claim[n] == '\0' || claim[n] == '.'))
				return claim;
		}
	}
	return NULL;
}

static bool
names_tee(const struct policy_node *node)
{
	static const char *const prefixes[] = {
		"x-ms-isolation-tee.", "x-ms-sevsnpvm-", "tdx_", "x-ms-sgx-"};
	static const char *const types[] = {"sevsnpvm", "tdxvm", "sgx"};
	bool wanted = true;
	if (node->op == VS_POLICY_NOT_EQUALS)
		return false;
	if (node->op == VS_POLICY_EXISTS && vs_json_bool(node->value, &wanted) && !wanted)
		return false;
	for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
		if (starts_with(node->claim, prefixes[i]))
			return true;
	if (strcmp(node->claim, "x-ms-compliance-status") == 0)
		return true;
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
		if (strcmp(node->claim, "x-ms-attestation-type") == 0 &&
			vs_json_is_string(node->value, types[i]))
			return true;
	return false;
}

/* Recursion is bounded by the depth of the document. */
static bool
node_demands_tee(const struct vs_policy *policy, size_t i)
{
	const struct policy_node *node = &policy->nodes[i];
	if (node->claim != NULL)
		return names_tee(node);
	bool all = true, any = false;
	for (size_t k = i + 1; k < node->end; k = policy->nodes[k].end) {
		const bool demands = node_demands_tee(policy, k);
		all = all && demands;
		any = any || demands;
	}
	return node->any ? all : any;
}

bool
vs_policy_demands_tee(const struct vs_policy *policy)
{
	for (size_t i = 0; i < policy->n_entries; i++)
		if (!node_demands_tee(policy, policy->entries[i].group))
			return false;
	return policy->n_entries > 0;
}

/* ---- comparison --------------------------------------------------------------------------- */

/* Lines of text, sorted: the order of conditions does not count. */
struct lines {
	size_t n, cap;
	char **line;
};

static void
lines_done(struct lines *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->line[i]);
	free(l->line);
	*l = (struct lines){0};
}

static VS_RC
lines_add(struct lines *l, const struct vs_buf *text, struct vs_err *err)
{
	if (l->n == l->cap) {
		const size_t cap = l->cap != 0 ? l->cap * 2 : 8;
		char **grown = reallocarray(l->line, cap, sizeof *grown);
		if (grown == NULL)
			VS_FAIL(err, MEMORY, "out of memory while comparing policies");
		l->line = grown;
		l->cap = cap;
	}
	l->line[l->n] = strdup(vs_buf_cstr(text));
	if (l->line[l->n] == NULL)
		VS_FAIL(err, MEMORY, "out of memory while comparing policies");
	l->n++;
	return VS_OK;
}

static int
by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static VS_RC
render(const struct vs_policy *policy, size_t i, struct vs_buf *out, struct vs_err *err);

static VS_RC
render_members(const struct vs_policy *policy, size_t group, struct lines *ret, struct vs_err *err)
{
	const struct policy_node *node = &policy->nodes[group];
	for (size_t k = group + 1; k < node->end; k = policy->nodes[k].end) {
		VS_CLEANUP(vs_buf_done) struct vs_buf text = {0};
		VS_TRY(render(policy, k, &text, err));
		VS_TRY(lines_add(ret, &text, err));
	}
	qsort(ret->line, ret->n, sizeof *ret->line, by_text);
	return VS_OK;
}

/* "claim equals value", or "allOf(a, b)" with its members sorted. Bounded by the depth. */
static VS_RC
render(const struct vs_policy *policy, size_t i, struct vs_buf *out, struct vs_err *err)
{
	const struct policy_node *node = &policy->nodes[i];
	if (node->claim != NULL) {
		VS_TRY(vs_json_put_string(out, vs_bytes_str(node->claim), err));
		VS_TRY(vs_buf_addf(out, err, " %s ", vs_policy_op_name(node->op)));
		return policy_put_value(out, node->value, err);
	}
	VS_CLEANUP(lines_done) struct lines members = {0};
	VS_TRY(render_members(policy, i, &members, err));
	VS_TRY(vs_buf_add_str(out, node->any ? "anyOf(" : "allOf(", err));
	for (size_t k = 0; k < members.n; k++)
		VS_TRY(vs_buf_addf(out, err, "%s%s", k > 0 ? ", " : "", members.line[k]));
	return vs_buf_add_str(out, ")", err);
}

/* Lines of the sorted list a that the sorted list b does not have. */
static VS_RC
put_only(char sign, const char *before, const struct lines *a, const struct lines *b,
	struct vs_buf *out, struct vs_err *err)
{
	for (size_t i = 0, k = 0; i < a->n; i++) {
		while (k < b->n && strcmp(b->line[k], a->line[i]) < 0)
			k++;
		if (k < b->n && strcmp(b->line[k], a->line[i]) == 0)
			k++;
		else
			VS_TRY(vs_buf_addf(out, err, "%c %s%s\n", sign, before, a->line[i]));
	}
	return VS_OK;
}

static VS_RC
put_difference(const char *before, const struct lines *a, const struct lines *b, struct vs_buf *out,
	struct vs_err *err)
{
	VS_TRY(put_only('-', before, a, b, out, err));
	return put_only('+', before, b, a, out, err);
}

/* An entry as one line; two entries of one authority must stay apart. */
static VS_RC
render_entries(const struct vs_policy *policy, struct lines *ret, struct vs_err *err)
{
	for (size_t i = 0; i < policy->n_entries; i++) {
		VS_CLEANUP(vs_buf_done) struct vs_buf text = {0};
		VS_TRY(vs_json_put_string(&text, vs_bytes_str(policy->entries[i].authority), err));
		VS_TRY(vs_buf_add_str(&text, ": ", err));
		VS_TRY(render(policy, policy->entries[i].group, &text, err));
		VS_TRY(lines_add(ret, &text, err));
	}
	qsort(ret->line, ret->n, sizeof *ret->line, by_text);
	return VS_OK;
}

/* The only entry of that authority; false when there are none or several. */
static bool
only_entry(const struct vs_policy *policy, const char *authority, size_t *ret)
{
	size_t n = 0;
	for (size_t i = 0; i < policy->n_entries; i++) {
		if (strcmp(policy->entries[i].authority, authority) != 0)
			continue;
		*ret = policy->entries[i].group;
		n++;
	}
	return n == 1;
}

/* With one entry per authority on both sides, condition by condition is what people want to see. */
static VS_RC
diff_by_condition(const struct vs_policy *a, const struct vs_policy *b, bool *ret_done,
	struct vs_buf *out, struct vs_err *err)
{
	if (a->n_entries != b->n_entries)
		return VS_OK;
	for (size_t i = 0; i < a->n_entries; i++) {
		size_t ga = 0, gb = 0;
		if (!only_entry(a, a->entries[i].authority, &ga) ||
			!only_entry(b, a->entries[i].authority, &gb) ||
			a->nodes[ga].any != b->nodes[gb].any)
			return VS_OK;
	}
	*ret_done = true;
	for (size_t i = 0; i < a->n_entries; i++) {
		VS_CLEANUP(lines_done) struct lines la = {0};
		VS_CLEANUP(lines_done) struct lines lb = {0};
		VS_CLEANUP(vs_buf_done) struct vs_buf before = {0};
		size_t gb = 0;
		(void)only_entry(b, a->entries[i].authority, &gb);
		char name[300];
		VS_TRY(vs_buf_addf(&before, err, "%s: ",
			vs_quote(vs_bytes_str(a->entries[i].authority), name, sizeof name)));
		VS_TRY(render_members(a, a->entries[i].group, &la, err));
		VS_TRY(render_members(b, gb, &lb, err));
		VS_TRY(put_difference(vs_buf_cstr(&before), &la, &lb, out, err));
	}
	return VS_OK;
}

VS_RC
vs_policy_diff(const struct vs_policy *a, const struct vs_policy *b, struct vs_buf *out,
	struct vs_err *err)
{
	VS_CLEANUP(lines_done) struct lines la = {0};
	VS_CLEANUP(lines_done) struct lines lb = {0};
	bool done = false;
	if (a->local != b->local)
		VS_TRY(vs_buf_addf(out, err, "- version %s\n+ version %s\n",
			a->local ? "vouchsafe-1" : "1.0.0", b->local ? "vouchsafe-1" : "1.0.0"));
	if (a->max_lease_s != b->max_lease_s)
		VS_TRY(vs_buf_addf(out, err, "- maxLease %lld\n+ maxLease %lld\n",
			(long long)a->max_lease_s, (long long)b->max_lease_s));
	VS_TRY(diff_by_condition(a, b, &done, out, err));
	if (done)
		return VS_OK;
	VS_TRY(render_entries(a, &la, err));
	VS_TRY(render_entries(b, &lb, err));
	return put_difference("", &la, &lb, out, err);
}
