/* SPDX-License-Identifier: BSD-2-Clause */
#include "lab/lab_policy.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/sha.h>

#include "base/codec.h"
#include "lab/lab_policy_ast.h"

enum tok { T_END, T_IDENT, T_STRING, T_NUMBER, T_MARK };

struct parser {
	const char *p, *end, *line_start;
	unsigned line;
	struct vs_err *err;
	enum tok tok;
	const char *text; /* of the token; strings without quotes */
	size_t n;
	const char *last_end; /* end of the token before */
	unsigned minor; /* of the policy's version */
	unsigned calls; /* inside each other */
};

static vs_rc
offending(const struct parser *ps, const char *expected)
{
	char quoted[48];
	vs_quote(vs_bytes_of(ps->text, ps->n), quoted, sizeof quoted);
	return vs_err_put(ps->err, VS_E_FORMAT, __func__, __LINE__, 0,
		"Policy Parser Exception Thrown: Offending symbol: '%s' Line: '%u', Column: '%zu' "
		"Failure "
		"message: 'mismatched input '%s' expecting %s'",
		quoted, ps->line, (size_t)(ps->text - ps->line_start), quoted, expected);
}

static void
skip_blanks(struct parser *ps)
{
	while (ps->p < ps->end) {
		if (*ps->p == '\n') {
			ps->line++;
			ps->line_start = ps->p + 1;
		}
		if (isspace((unsigned char)*ps->p))
			ps->p++;
		else if (ps->end - ps->p >= 2 && ps->p[0] == '/' && ps->p[1] == '/') {
			while (ps->p < ps->end && *ps->p != '\n')
				ps->p++;
		} else
			return;
	}
}

static bool
ident_char(char c, bool first)
{
	return isalpha((unsigned char)c) || c == '_' || (!first && isdigit((unsigned char)c));
}

/* From 1.2 on a backslash lets a quotation mark or a backslash stand for itself. */
static vs_rc
lex_string(struct parser *ps)
{
	ps->tok = T_STRING;
	ps->text = ++ps->p;
	while (ps->p < ps->end && *ps->p != '"' && *ps->p != '\n') {
		if (ps->minor >= 2 && *ps->p == '\\' && ps->p + 1 < ps->end &&
			(ps->p[1] == '"' || ps->p[1] == '\\'))
			ps->p++;
		ps->p++;
	}
	ps->n = (size_t)(ps->p - ps->text);
	if (ps->p == ps->end || *ps->p != '"')
		return offending(ps, "'\"'");
	ps->p++;
	return VS_OK;
}

static vs_rc
next(struct parser *ps)
{
	static const char *const marks[] = {"=>", "==", "!=", "<=", ">=", "&&"};
	ps->last_end = ps->p;
	skip_blanks(ps);
	ps->text = ps->p;
	ps->n = 0;
	ps->tok = T_END;
	if (ps->p == ps->end)
		return VS_OK;
	if (*ps->p == '"')
		return lex_string(ps);
	if (ident_char(*ps->p, true)) {
		ps->tok = T_IDENT;
		while (ps->p < ps->end && ident_char(*ps->p, false))
			ps->p++;
	} else if (isdigit((unsigned char)*ps->p) ||
		(*ps->p == '-' && ps->p + 1 < ps->end && isdigit((unsigned char)ps->p[1]))) {
		ps->tok = T_NUMBER;
		for (ps->p++; ps->p < ps->end && isdigit((unsigned char)*ps->p);)
			ps->p++;
	} else {
		ps->tok = T_MARK;
		ps->p++;
		for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
			if (ps->end - ps->text >= 2 && memcmp(ps->text, marks[i], 2) == 0)
				ps->p = ps->text + 2;
		}
	}
	ps->n = (size_t)(ps->p - ps->text);
	return VS_OK;
}

static bool
at(const struct parser *ps, enum tok tok, const char *text)
{
	return ps->tok == tok && ps->n == strlen(text) && memcmp(ps->text, text, ps->n) == 0;
}

static vs_rc
expect(struct parser *ps, enum tok tok, const char *text)
{
	char quoted[40];
	snprintf(quoted, sizeof quoted, "'%s'", text);
	if (!at(ps, tok, text))
		return offending(ps, quoted);
	return next(ps);
}

static vs_rc
take_number(struct parser *ps, json_int_t *ret)
{
	char text[24], *end = NULL;
	if (ps->tok != T_NUMBER || ps->n >= sizeof text)
		return offending(ps, "a number");
	memcpy(text, ps->text, ps->n);
	text[ps->n] = '\0';
	errno = 0;
	*ret = strtoll(text, &end, 10);
	if (errno || *end)
		return offending(ps, "a number");
	return next(ps);
}

static bool
find_prop(const struct parser *ps, enum lab_prop *ret)
{
	static const char *const names[LAB_P_COUNT_] = {"type", "value", "valueType", "issuer"};
	for (unsigned i = 0; i < LAB_P_COUNT_; i++) {
		if (at(ps, T_IDENT, names[i])) {
			*ret = (enum lab_prop)i;
			return true;
		}
	}
	return false;
}

static vs_rc
take_prop(struct parser *ps, enum lab_prop *ret)
{
	if (!find_prop(ps, ret))
		return offending(ps, "type, value, valueType or issuer");
	return next(ps);
}

static vs_rc
take_cond_name(struct parser *ps, const struct lab_rule *rule, size_t *ret)
{
	for (size_t i = 0; i < rule->n_conds; i++) {
		if (rule->conds[i].ident[0] && !rule->conds[i].negated &&
			at(ps, T_IDENT, rule->conds[i].ident)) {
			*ret = i;
			return next(ps);
		}
	}
	return offending(ps, "the name of a condition of this rule");
}

static vs_rc
take_string(struct parser *ps, struct lab_expr *ret)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {0};
	VS_TRY(vs_buf_add_str(&text, "", ps->err));
	for (size_t i = 0; i < ps->n; i++) {
		if (ps->minor >= 2 && ps->text[i] == '\\' && i + 1 < ps->n &&
			(ps->text[i + 1] == '"' || ps->text[i + 1] == '\\'))
			i++;
		VS_TRY(vs_buf_add_u8(&text, (uint8_t)ps->text[i], ps->err));
	}
	ret->literal = json_stringn((const char *)text.p, text.n);
	if (!ret->literal)
		return offending(ps, "text in UTF-8");
	return next(ps);
}

static VS_RC take_expr(struct parser *ps, const struct lab_rule *rule, struct lab_expr *ret);

static vs_rc
take_call(struct parser *ps, const struct lab_rule *rule, enum lab_fn fn, struct lab_expr *ret)
{
	if (++ps->calls > LAB_CALLS_MAX)
		return offending(ps, "fewer calls inside each other");
	ret->call = calloc(1, sizeof *ret->call);
	if (!ret->call)
		VS_FAIL(ps->err, MEMORY, "out of memory");
	ret->call->fn = fn;
	VS_TRY(next(ps));
	VS_TRY(expect(ps, T_MARK, "("));
	for (unsigned i = 0; i < lab_fn_args(fn); i++) {
		if (i > 0)
			VS_TRY(expect(ps, T_MARK, ","));
		VS_TRY(take_expr(ps, rule, &ret->call->arg[i]));
	}
	ps->calls--;
	return expect(ps, T_MARK, ")");
}

static vs_rc
take_expr(struct parser *ps, const struct lab_rule *rule, struct lab_expr *ret)
{
	json_int_t number = 0;
	const enum lab_fn fn =
		ps->minor >= 2 && ps->tok == T_IDENT ? lab_fn_parse(ps->text, ps->n) : LAB_F_COUNT_;
	if (ps->tok == T_STRING)
		return take_string(ps, ret);
	if (fn != LAB_F_COUNT_)
		return take_call(ps, rule, fn, ret);
	if (ps->tok == T_NUMBER) {
		VS_TRY(take_number(ps, &number));
		ret->literal = json_integer(number);
		return VS_OK;
	}
	if (at(ps, T_IDENT, "true") || at(ps, T_IDENT, "false")) {
		ret->literal = json_boolean(at(ps, T_IDENT, "true"));
		return next(ps);
	}
	VS_TRY(take_cond_name(ps, rule, &ret->cond));
	VS_TRY(expect(ps, T_MARK, "."));
	return take_prop(ps, &ret->prop);
}

static vs_rc
take_test(struct parser *ps, const struct lab_rule *rule, struct lab_cond *cond)
{
	static const char *const ops[] = {"==", "!=", "<", "<=", ">", ">="};
	if (cond->n == LAB_TESTS_MAX)
		return offending(ps, "at most eight tests");
	struct lab_test *t = &cond->tests[cond->n++];
	VS_TRY(take_prop(ps, &t->prop));
	unsigned op = 0;
	while (op < 6 && !at(ps, T_MARK, ops[op]))
		op++;
	if (op == 6)
		return offending(ps, "a comparison");
	t->op = (enum lab_op)op;
	VS_TRY(next(ps));
	return take_expr(ps, rule, &t->expr);
}

static vs_rc
take_cond(struct parser *ps, struct lab_rule *rule)
{
	if (rule->n_conds == LAB_CONDS_MAX)
		return offending(ps, "at most eight conditions");
	struct lab_cond *c = &rule->conds[rule->n_conds];
	if (ps->minor >= 2 && at(ps, T_MARK, "!")) {
		c->negated = true;
		VS_TRY(next(ps));
	}
	if (ps->tok == T_IDENT) {
		if (ps->n >= sizeof c->ident)
			return offending(ps, "a shorter name");
		memcpy(c->ident, ps->text, ps->n);
		VS_TRY(next(ps));
		VS_TRY(expect(ps, T_MARK, ":"));
	}
	VS_TRY(expect(ps, T_MARK, "["));
	for (;;) {
		VS_TRY(take_test(ps, rule, c));
		if (!at(ps, T_MARK, ","))
			break;
		VS_TRY(next(ps));
	}
	rule->n_conds++; /* a condition may not refer to itself */
	return expect(ps, T_MARK, "]");
}

static vs_rc
take_assigns(struct parser *ps, struct lab_rule *rule)
{
	if (rule->action == LAB_A_ISSUE && at(ps, T_IDENT, "claim")) {
		VS_TRY(next(ps));
		VS_TRY(expect(ps, T_MARK, "="));
		rule->whole_claim = true;
		return take_cond_name(ps, rule, &rule->claim_cond);
	}
	bool refers = false;
	size_t cond = 0;
	for (;;) {
		enum lab_prop prop = LAB_P_TYPE;
		VS_TRY(take_prop(ps, &prop));
		if (rule->has[prop])
			return offending(ps, "each property once");
		VS_TRY(expect(ps, T_MARK, "="));
		VS_TRY(take_expr(ps, rule, &rule->assign[prop]));
		rule->has[prop] = true;
		if (!rule->assign[prop].literal && !rule->assign[prop].call) {
			if (refers && cond != rule->assign[prop].cond)
				return offending(ps, "properties of one condition only");
			refers = true;
			cond = rule->assign[prop].cond;
		}
		if (!at(ps, T_MARK, ","))
			break;
		VS_TRY(next(ps));
	}
	if (!rule->has[LAB_P_TYPE] || !rule->has[LAB_P_VALUE])
		return offending(ps, "type and value");
	return VS_OK;
}

static vs_rc
take_action(struct parser *ps, enum lab_section section, struct lab_rule *rule)
{
	static const struct {
		const char *name;
		enum lab_action action;
		unsigned sections; /* bit per section where it may stand */
	} actions[] = {
		{"permit", LAB_A_PERMIT, 1u << LAB_S_AUTHORIZATION},
		{"deny", LAB_A_DENY, 1u << LAB_S_AUTHORIZATION},
		{"add", LAB_A_ADD, 1u << LAB_S_AUTHORIZATION | 1u << LAB_S_ISSUANCE},
		{"issue", LAB_A_ISSUE, 1u << LAB_S_ISSUANCE},
		{"issueproperty", LAB_A_PROPERTY, 1u << LAB_S_CONFIGURATION | 1u << LAB_S_ISSUANCE},
	};
	size_t i = 0;
	while (i < 5 &&
		!(at(ps, T_IDENT, actions[i].name) && (actions[i].sections & (1u << section))))
		i++;
	if (i == 5)
		return offending(ps, "an action of this section");
	rule->action = actions[i].action;
	VS_TRY(next(ps));
	VS_TRY(expect(ps, T_MARK, "("));
	if (rule->action != LAB_A_PERMIT && rule->action != LAB_A_DENY)
		VS_TRY(take_assigns(ps, rule));
	return expect(ps, T_MARK, ")");
}

static vs_rc
take_rule(struct parser *ps, enum lab_section section, struct lab_policy *policy)
{
	const size_t n = policy->n[section];
	if (n == LAB_RULES_MAX)
		return offending(ps, "fewer rules");
	struct lab_rule *rules = realloc(policy->rules[section], (n + 1) * sizeof *rules);
	if (!rules)
		VS_FAIL(ps->err, MEMORY, "out of memory");
	policy->rules[section] = rules;
	struct lab_rule *rule = &rules[n];
	memset(rule, 0, sizeof *rule);
	policy->n[section]++;
	const char *start = ps->text;
	while (!at(ps, T_MARK, "=>")) {
		VS_TRY(take_cond(ps, rule));
		if (!at(ps, T_MARK, "&&"))
			break;
		VS_TRY(next(ps));
		if (at(ps, T_MARK, "=>"))
			return offending(ps, "'['");
	}
	VS_TRY(expect(ps, T_MARK, "=>"));
	VS_TRY(take_action(ps, section, rule));
	VS_TRY(expect(ps, T_MARK, ";"));
	snprintf(rule->text, sizeof rule->text, "%.*s", (int)(ps->last_end - start), start);
	return VS_OK;
}

static vs_rc
take_section(
	struct parser *ps, enum lab_section section, const char *name, struct lab_policy *policy)
{
	if (!at(ps, T_IDENT, name))
		return VS_OK;
	policy->present[section] = true;
	VS_TRY(next(ps));
	VS_TRY(expect(ps, T_MARK, "{"));
	while (!at(ps, T_MARK, "}"))
		VS_TRY(take_rule(ps, section, policy));
	VS_TRY(next(ps));
	return expect(ps, T_MARK, ";");
}

static vs_rc
take_policy(struct parser *ps, struct lab_policy *policy)
{
	json_int_t major = 0, minor = 0;
	VS_TRY(next(ps));
	VS_TRY(expect(ps, T_IDENT, "version"));
	VS_TRY(expect(ps, T_MARK, "="));
	VS_TRY(take_number(ps, &major));
	VS_TRY(expect(ps, T_MARK, "."));
	VS_TRY(take_number(ps, &minor));
	if (major != 1 || minor < 0 || minor > 2)
		return offending(ps, "version 1.0, 1.1 or 1.2");
	policy->minor = ps->minor = (unsigned)minor;
	VS_TRY(expect(ps, T_MARK, ";"));
	if (minor >= 1)
		VS_TRY(take_section(ps, LAB_S_CONFIGURATION, "configurationrules", policy));
	VS_TRY(take_section(ps, LAB_S_AUTHORIZATION, "authorizationrules", policy));
	if (!policy->present[LAB_S_AUTHORIZATION])
		return offending(ps, "'authorizationrules'");
	VS_TRY(take_section(ps, LAB_S_ISSUANCE, "issuancerules", policy));
	return ps->tok == T_END ? VS_OK : offending(ps, "the end");
}

vs_rc
lab_policy_parse(struct vs_bytes text, struct lab_policy **ret, struct vs_err *err)
{
	if (text.n > LAB_POLICY_MAX)
		VS_FAIL(err, LIMIT, "the policy is longer than %d bytes", LAB_POLICY_MAX);
	struct lab_policy *policy = calloc(1, sizeof *policy);
	if (!policy)
		VS_FAIL(err, MEMORY, "out of memory");
	struct parser ps = {.p = (const char *)text.p, .line = 1, .err = err};
	ps.end = ps.p + text.n;
	ps.line_start = ps.text = ps.last_end = ps.p;
	const vs_rc rc = take_policy(&ps, policy);
	if (vs_failed(rc)) {
		lab_policy_free(policy);
		return rc;
	}
	*ret = policy;
	return VS_OK;
}

static void
expr_done(struct lab_expr *e)
{
	json_decref(e->literal);
	for (size_t i = 0; e->call && i < 2; i++)
		expr_done(&e->call->arg[i]);
	free(e->call);
}

void
lab_policy_free(struct lab_policy *p)
{
	if (!p)
		return;
	for (size_t s = 0; s < LAB_S_COUNT_; s++) {
		for (size_t i = 0; i < p->n[s]; i++) {
			struct lab_rule *rule = &p->rules[s][i];
			for (size_t c = 0; c < LAB_CONDS_MAX; c++) {
				for (size_t t = 0; t < LAB_TESTS_MAX; t++)
					expr_done(&rule->conds[c].tests[t].expr);
			}
			for (size_t a = 0; a < LAB_P_COUNT_; a++)
				expr_done(&rule->assign[a]);
		}
		free(p->rules[s]);
	}
	free(p);
}

vs_rc
lab_policy_hash(struct vs_bytes text, struct vs_buf *out, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf inner = {0};
	uint8_t digest[32];
	VS_TRY(vs_b64url_encode(text, &inner, err));
	SHA256(inner.p, inner.n, digest);
	return vs_b64url_encode(vs_bytes_of(digest, sizeof digest), out, err);
}
