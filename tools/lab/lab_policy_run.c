/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lab/lab_policy.h"
#include "lab/lab_policy_ast.h"

enum { CLAIMS_MAX = 512 };

struct claim {
	json_t *prop[LAB_P_COUNT_];
	bool read_only; /* its value may not be issued */
};

struct set {
	size_t n;
	struct claim claims[CLAIMS_MAX];
};

struct run {
	struct set in; /* what conditions see */
	struct lab_policy_result *result;
	bool permitted, denied, overflow, failed;
};

static const char *
value_type(const json_t *v)
{
	return json_is_integer(v) ? "Integer" : json_is_boolean(v) ? "Boolean" : "String";
}

static bool
same(const struct claim *a, const struct claim *b)
{
	for (size_t i = 0; i < LAB_P_COUNT_; i++) {
		if (!json_equal(a->prop[i], b->prop[i]))
			return false;
	}
	return true;
}

static void
claim_done(struct claim *c)
{
	for (size_t i = 0; i < LAB_P_COUNT_; i++)
		json_decref(c->prop[i]);
}

/* Takes the claim; a claim that is there already is not added again. */
static void
add_claim(struct run *run, struct claim c)
{
	bool whole = true, known = false;
	for (size_t i = 0; i < LAB_P_COUNT_; i++)
		whole = whole && c.prop[i];
	for (size_t i = 0; whole && i < run->in.n; i++)
		known = known || same(&run->in.claims[i], &c);
	if (!whole || known || run->in.n == CLAIMS_MAX) {
		run->overflow = run->overflow || !whole || run->in.n == CLAIMS_MAX;
		claim_done(&c);
		return;
	}
	run->in.claims[run->in.n++] = c;
}

static bool
compare(const json_t *a, enum lab_op op, const json_t *b)
{
	if (op == LAB_OP_EQ)
		return json_equal(a, b);
	if (op == LAB_OP_NE)
		return !json_equal(a, b);
	if (!json_is_integer(a) || !json_is_integer(b))
		return false;
	const json_int_t x = json_integer_value(a), y = json_integer_value(b);
	switch (op) {
	case LAB_OP_LT: return x < y;
	case LAB_OP_LE: return x <= y;
	case LAB_OP_GT: return x > y;
	case LAB_OP_GE: return x >= y;
	case LAB_OP_EQ:
	case LAB_OP_NE: break;
	}
	return false;
}

/* Which claims each condition of the rule matched. */
struct matches {
	size_t n[LAB_CONDS_MAX];
	size_t at[LAB_CONDS_MAX][CLAIMS_MAX];
};

static void
fail(struct run *run, const char *why)
{
	if (!run->failed)
		snprintf(run->result->error, sizeof run->result->error, "%s", why);
	run->failed = true;
}

/* The set of values that an expression stands for; empty when the evaluation failed. */
static struct lab_values *
eval_set(struct run *run, const struct matches *m, const struct lab_expr *e)
{
	struct lab_values *ret = calloc(1, sizeof *ret), *a = NULL, *b = NULL;
	char why[160] = "out of memory";
	bool ok = ret != NULL;
	if (ok && e->literal)
		ok = lab_values_add(ret, json_incref(e->literal), false);
	else if (ok && e->call) {
		a = eval_set(run, m, &e->call->arg[0]);
		b = lab_fn_args(e->call->fn) > 1 ? eval_set(run, m, &e->call->arg[1]) : NULL;
		ok = a && !run->failed && lab_fn_call(e->call->fn, a, b, ret, why);
	} else
		for (size_t i = 0; ok && i < m->n[e->cond]; i++) {
			const struct claim *c = &run->in.claims[m->at[e->cond][i]];
			ok = lab_values_add(ret, json_incref(c->prop[e->prop]),
				c->read_only && e->prop == LAB_P_VALUE);
		}
	if (!ok)
		fail(run, why);
	if (a)
		lab_values_done(a);
	if (b)
		lab_values_done(b);
	free(a);
	free(b);
	return ret;
}

static void
set_free(struct lab_values *s)
{
	if (s)
		lab_values_done(s);
	free(s);
}

static bool
test_holds(
	struct run *run, const struct matches *m, const struct lab_test *t, const struct claim *c)
{
	if (t->expr.literal)
		return compare(c->prop[t->prop], t->op, t->expr.literal);
	if (t->expr.call) {
		struct lab_values *set = eval_set(run, m, &t->expr);
		bool holds = false;
		for (size_t i = 0; set && !run->failed && i < set->n; i++)
			holds = holds || compare(c->prop[t->prop], t->op, set->at[i].v);
		set_free(set);
		return holds;
	}
	for (size_t i = 0; i < m->n[t->expr.cond]; i++) {
		const struct claim *other = &run->in.claims[m->at[t->expr.cond][i]];
		if (compare(c->prop[t->prop], t->op, other->prop[t->expr.prop]))
			return true;
	}
	return false;
}

static bool
rule_matches(struct run *run, const struct lab_rule *rule, struct matches *m)
{
	for (size_t k = 0; k < rule->n_conds; k++) {
		m->n[k] = 0;
		for (size_t i = 0; i < run->in.n; i++) {
			bool all = true;
			for (size_t t = 0; all && t < rule->conds[k].n; t++)
				all = test_holds(
					run, m, &rule->conds[k].tests[t], &run->in.claims[i]);
			if (all)
				m->at[k][m->n[k]++] = i;
		}
		if ((m->n[k] == 0) != rule->conds[k].negated)
			return false;
	}
	return true;
}

/* One value is itself, more are an array. */
static void
emit(json_t **object, const json_t *type, json_t *value)
{
	const char *name = json_string_value(type);
	if (!name)
		return;
	if (!*object)
		*object = json_object();
	json_t *old = json_object_get(*object, name);
	if (!old)
		json_object_set(*object, name, value);
	else if (json_is_array(old))
		json_array_append(old, value);
	else if (!json_equal(old, value))
		json_object_set_new(*object, name, json_pack("[O,O]", old, value));
}

static json_t *
eval(const struct lab_expr *e, const struct claim *source)
{
	return json_incref(e->literal ? e->literal : source ? source->prop[e->prop] : NULL);
}

/* Does with a claim what the rule says; takes it. */
static void
complete(struct run *run, const struct lab_rule *rule, struct claim c)
{
	if (c.read_only && rule->action != LAB_A_ADD)
		fail(run, "a value that comes from read-only claims cannot be issued");
	if (run->failed) {
		claim_done(&c);
		return;
	}
	if (!c.prop[LAB_P_VALUE_TYPE])
		c.prop[LAB_P_VALUE_TYPE] = json_string(value_type(c.prop[LAB_P_VALUE]));
	if (!c.prop[LAB_P_ISSUER])
		c.prop[LAB_P_ISSUER] = json_string("AttestationPolicy");
	if (rule->action == LAB_A_ISSUE)
		emit(&run->result->issued, c.prop[LAB_P_TYPE], c.prop[LAB_P_VALUE]);
	if (rule->action == LAB_A_PROPERTY)
		emit(&run->result->properties, c.prop[LAB_P_TYPE], c.prop[LAB_P_VALUE]);
	add_claim(run, c);
}

static void
produce(struct run *run, const struct lab_rule *rule, const struct claim *source)
{
	struct claim c = {.read_only = source && source->read_only};
	for (size_t i = 0; i < LAB_P_COUNT_; i++) {
		if (rule->whole_claim)
			c.prop[i] = json_incref(source->prop[i]);
		else if (rule->has[i])
			c.prop[i] = eval(&rule->assign[i], source);
	}
	complete(run, rule, c);
}

/* A rule with calls: every value makes a claim, no value none; all else must be one value. */
static void
produce_called(struct run *run, const struct lab_rule *rule, const struct matches *m)
{
	struct lab_values *set[LAB_P_COUNT_] = {NULL};
	for (size_t i = 0; i < LAB_P_COUNT_; i++) {
		if (rule->has[i])
			set[i] = eval_set(run, m, &rule->assign[i]);
		if (set[i] && i != LAB_P_VALUE && set[i]->n != 1)
			fail(run, "type, valueType and issuer must be one value each");
	}
	for (size_t k = 0; !run->failed && k < set[LAB_P_VALUE]->n; k++) {
		struct claim c = {.read_only = set[LAB_P_VALUE]->at[k].read_only};
		for (size_t i = 0; i < LAB_P_COUNT_; i++)
			if (set[i])
				c.prop[i] = json_incref(set[i]->at[i == LAB_P_VALUE ? k : 0].v);
		complete(run, rule, c);
	}
	for (size_t i = 0; i < LAB_P_COUNT_; i++)
		set_free(set[i]);
}

static bool
has_call(const struct lab_rule *rule)
{
	bool found = false;
	for (size_t i = 0; i < LAB_P_COUNT_; i++)
		found = found || (rule->has[i] && rule->assign[i].call);
	return found;
}

static void
act(struct run *run, const struct lab_rule *rule, const struct matches *m)
{
	if (rule->action == LAB_A_PERMIT) {
		run->permitted = true;
		return;
	}
	if (rule->action == LAB_A_DENY) {
		if (!run->denied)
			snprintf(run->result->denied_by, sizeof run->result->denied_by, "%s",
				rule->text);
		run->denied = true;
		return;
	}
	if (has_call(rule)) {
		produce_called(run, rule, m);
		return;
	}
	size_t cond = rule->claim_cond;
	bool refers = rule->whole_claim;
	for (size_t i = 0; i < LAB_P_COUNT_; i++) {
		if (rule->has[i] && !rule->assign[i].literal) {
			refers = true;
			cond = rule->assign[i].cond;
		}
	}
	if (!refers)
		produce(run, rule, NULL);
	for (size_t i = 0; refers && i < m->n[cond]; i++) {
		const struct claim source = run->in.claims[m->at[cond][i]];
		produce(run, rule, &source);
	}
}

static void
add_incoming(struct run *run, const char *name, json_t *v, const char *issuer)
{
	size_t i = 0;
	json_t *e = NULL;
	if (json_is_array(v))
		json_array_foreach (v, i, e)
			if (!json_is_array(e))
				add_incoming(run, name, e, issuer);
	if (!json_is_string(v) && !json_is_integer(v) && !json_is_boolean(v))
		return;
	add_claim(run,
		(struct claim){.prop = {json_string(name), json_incref(v),
				       json_string(value_type(v)), json_string(issuer)},
			.read_only = strcmp(name, "pcrs") == 0});
}

static void
add_claims(struct run *run, const json_t *claims, const char *issuer)
{
	const char *name = NULL;
	json_t *v = NULL;
	json_object_foreach ((json_t *)(uintptr_t)claims, name, v)
		add_incoming(run, name, v, issuer);
}

vs_rc
lab_policy_run(const struct lab_policy *p, const json_t *claims, const json_t *custom,
	struct lab_policy_result *ret, struct vs_err *err)
{
	*ret = (struct lab_policy_result){.decision = LAB_DENY_NO_PERMIT};
	struct run *run = calloc(1, sizeof *run);
	struct matches *m = calloc(1, sizeof *m);
	if (!run || !m) {
		free(run);
		free(m);
		VS_FAIL(err, MEMORY, "out of memory");
	}
	run->result = ret;
	add_claims(run, claims, "AttestationService");
	add_claims(run, custom, "CustomClaim");
	for (size_t s = 0; s < LAB_S_COUNT_; s++) {
		for (size_t i = 0; i < p->n[s]; i++) {
			if (rule_matches(run, &p->rules[s][i], m) && !run->failed)
				act(run, &p->rules[s][i], m);
		}
	}
	ret->decision = run->failed ? LAB_DENY_ERROR
		: run->denied       ? LAB_DENY
		: run->overflow     ? LAB_DENY_LIMIT
		: run->permitted    ? LAB_PERMIT
				    : LAB_DENY_NO_PERMIT;
	for (size_t i = 0; i < run->in.n; i++)
		claim_done(&run->in.claims[i]);
	free(run);
	free(m);
	return VS_OK;
}

void
lab_policy_result_done(struct lab_policy_result *r)
{
	json_decref(r->issued);
	json_decref(r->properties);
	*r = (struct lab_policy_result){0};
}
