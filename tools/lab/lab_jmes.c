/* SPDX-License-Identifier: BSD-2-Clause */
/* The parser: operator precedence, in the order that the language's own grammar gives. */
#include "lab/lab_jmes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lab/lab_jmes_ast.h"

/* How tightly a token binds what stands on its left; 0: it ends an expression. */
static const unsigned char power[LAB_JT_COUNT_] = {
	[LAB_JT_PIPE] = 1,
	[LAB_JT_OR] = 2,
	[LAB_JT_AND] = 3,
	[LAB_JT_COMPARE] = 5,
	[LAB_JT_FLATTEN] = 9,
	[LAB_JT_STAR] = 20,
	[LAB_JT_FILTER] = 21,
	[LAB_JT_DOT] = 40,
	[LAB_JT_NOT] = 45,
	[LAB_JT_LBRACE] = 50,
	[LAB_JT_LBRACKET] = 55,
	[LAB_JT_LPAREN] = 60,
};
enum { PROJECTION_STOP = 10 };

struct parser {
	struct lab_jmes_token tokens[LAB_JMES_TOKENS_MAX];
	size_t n, at;
	unsigned depth;
	bool bad;
	struct lab_jmes *query;
	char *why;
};

static bool
fail(struct parser *ps, const char *what, const struct lab_jmes_token *t)
{
	if (!ps->bad)
		lab_jmes_offending(what, t, ps->why);
	ps->bad = true;
	return false;
}

static unsigned parse(struct parser *ps, unsigned min);

static enum lab_jmes_tok
ahead(const struct parser *ps, size_t i)
{
	return ps->at + i < ps->n ? ps->tokens[ps->at + i].kind : LAB_JT_END;
}

static const struct lab_jmes_token *
next(struct parser *ps)
{
	return &ps->tokens[ps->at < ps->n - 1 ? ps->at++ : ps->at];
}

static bool
expect(struct parser *ps, enum lab_jmes_tok kind, const char *what)
{
	if (ahead(ps, 0) != kind)
		return fail(ps, what, &ps->tokens[ps->at]);
	(void)next(ps);
	return true;
}

/* Node 0, the current value, stands for a failure as well: then bad is set. */
static unsigned
make(struct parser *ps, struct lab_jmes_node node)
{
	if (ps->bad)
		return 0;
	if (ps->query->n == LAB_JMES_NODES_MAX) {
		fail(ps, "too long", NULL);
		return 0;
	}
	json_incref(node.text);
	ps->query->nodes[ps->query->n] = node;
	return ps->query->n++;
}

/* Expressions up to the end mark; members: each with a name and a colon in front. */
static unsigned
children(struct parser *ps, enum lab_jmes_tok end, bool members)
{
	unsigned first = 0, last = 0;
	while (!ps->bad) {
		json_t *name = NULL;
		if (members) {
			const struct lab_jmes_token *t = next(ps);
			name = t->kind == LAB_JT_NAME || t->kind == LAB_JT_QUOTED ? t->value : NULL;
			if (!name)
				fail(ps, "a member's name is missing", t);
			expect(ps, LAB_JT_COLON, "':' is missing");
		}
		unsigned item = parse(ps, 0);
		/* A list needs nodes of its own to be chained. */
		item = make(
			ps, (struct lab_jmes_node){.kind = LAB_J_MEMBER, .text = name, .a = item});
		if (last)
			ps->query->nodes[last].next = item;
		else
			first = item;
		last = item;
		if (ahead(ps, 0) != LAB_JT_COMMA)
			break;
		(void)next(ps);
	}
	expect(ps, end, "a list without end");
	return first;
}

static unsigned
multi(struct parser *ps, bool hash)
{
	const unsigned first = children(ps, hash ? LAB_JT_RBRACE : LAB_JT_RBRACKET, hash);
	return make(ps, (struct lab_jmes_node){.kind = hash ? LAB_J_HASH : LAB_J_LIST, .a = first});
}

static unsigned
after_dot(struct parser *ps, unsigned min)
{
	const enum lab_jmes_tok kind = ahead(ps, 0);
	if (kind == LAB_JT_NAME || kind == LAB_JT_QUOTED || kind == LAB_JT_STAR)
		return parse(ps, min);
	if (kind == LAB_JT_LBRACKET || kind == LAB_JT_LBRACE) {
		(void)next(ps);
		return multi(ps, kind == LAB_JT_LBRACE);
	}
	fail(ps, "nothing can be taken", &ps->tokens[ps->at]);
	return 0;
}

/* What is done with each element of a projection. */
static unsigned
projected(struct parser *ps, unsigned min)
{
	const enum lab_jmes_tok kind = ahead(ps, 0);
	if (power[kind] < PROJECTION_STOP)
		return 0;
	if (kind == LAB_JT_LBRACKET || kind == LAB_JT_FILTER)
		return parse(ps, min);
	if (expect(ps, LAB_JT_DOT, "no projection"))
		return after_dot(ps, min);
	return 0;
}

/* [N], [A:B:C] or [*], of left. */
static unsigned
bracket(struct parser *ps, unsigned left)
{
	struct lab_jmes_node node = {.kind = LAB_J_INDEX};
	if (ahead(ps, 0) == LAB_JT_STAR) {
		(void)next(ps);
		expect(ps, LAB_JT_RBRACKET, "']' is missing");
		return make(ps,
			(struct lab_jmes_node){.kind = LAB_J_PROJECT,
				.a = left,
				.b = projected(ps, power[LAB_JT_STAR])});
	}
	unsigned part = 0;
	for (; ahead(ps, 0) == LAB_JT_NUMBER || ahead(ps, 0) == LAB_JT_COLON; (void)next(ps)) {
		const struct lab_jmes_token *t = &ps->tokens[ps->at];
		if (t->kind == LAB_JT_COLON) {
			node.kind = LAB_J_SLICE;
			part++;
		} else if (part < 3 && !node.has[part]) {
			node.number[part] = t->number;
			node.has[part] = true;
		} else
			fail(ps, "no index", t);
	}
	if (part > 2 || (node.kind == LAB_J_INDEX && !node.has[0]) ||
		(node.has[2] && node.number[2] == 0))
		fail(ps, "no index", &ps->tokens[ps->at]);
	expect(ps, LAB_JT_RBRACKET, "']' is missing");
	const bool slice = node.kind == LAB_J_SLICE;
	const unsigned taken = make(ps, node);
	const unsigned of =
		make(ps, (struct lab_jmes_node){.kind = LAB_J_SUB, .a = left, .b = taken});
	if (!slice)
		return of;
	return make(ps,
		(struct lab_jmes_node){
			.kind = LAB_J_PROJECT, .a = of, .b = projected(ps, power[LAB_JT_STAR])});
}

static unsigned
filter(struct parser *ps, unsigned left)
{
	const unsigned condition = parse(ps, 0);
	expect(ps, LAB_JT_RBRACKET, "']' is missing");
	const unsigned each =
		ahead(ps, 0) == LAB_JT_FLATTEN ? 0 : projected(ps, power[LAB_JT_FILTER]);
	return make(ps,
		(struct lab_jmes_node){.kind = LAB_J_FILTER, .a = left, .b = each, .c = condition});
}

static unsigned
flatten(struct parser *ps, unsigned left)
{
	const unsigned flat = make(ps, (struct lab_jmes_node){.kind = LAB_J_FLATTEN, .a = left});
	return make(ps,
		(struct lab_jmes_node){.kind = LAB_J_PROJECT,
			.a = flat,
			.b = projected(ps, power[LAB_JT_FLATTEN])});
}

/* The beginning of an expression. */
static unsigned
prefix(struct parser *ps)
{
	const struct lab_jmes_token *t = next(ps);
	unsigned inner = 0;
	switch ((int)t->kind) {
	case LAB_JT_LITERAL:
		return make(ps, (struct lab_jmes_node){.kind = LAB_J_LITERAL, .text = t->value});
	case LAB_JT_NAME:
		if (ahead(ps, 0) == LAB_JT_LPAREN) {
			(void)next(ps);
			inner = children(ps, LAB_JT_RPAREN, false);
			return make(ps,
				(struct lab_jmes_node){
					.kind = LAB_J_CALL, .text = t->value, .a = inner});
		}
		return make(ps, (struct lab_jmes_node){.kind = LAB_J_FIELD, .text = t->value});
	case LAB_JT_QUOTED:
		return make(ps, (struct lab_jmes_node){.kind = LAB_J_FIELD, .text = t->value});
	case LAB_JT_STAR:
		inner = ahead(ps, 0) == LAB_JT_RBRACKET ? 0 : projected(ps, power[LAB_JT_STAR]);
		return make(ps, (struct lab_jmes_node){.kind = LAB_J_VALUES, .b = inner});
	case LAB_JT_CURRENT: return make(ps, (struct lab_jmes_node){.kind = LAB_J_CURRENT});
	case LAB_JT_FILTER: return filter(ps, 0);
	case LAB_JT_FLATTEN: return flatten(ps, 0);
	case LAB_JT_LBRACE: return multi(ps, true);
	case LAB_JT_NOT:
		inner = parse(ps, power[LAB_JT_NOT]);
		return make(ps, (struct lab_jmes_node){.kind = LAB_J_NOT, .a = inner});
	case LAB_JT_LPAREN:
		inner = parse(ps, 0);
		expect(ps, LAB_JT_RPAREN, "')' is missing");
		return inner;
	case LAB_JT_LBRACKET:
		if (ahead(ps, 0) == LAB_JT_NUMBER || ahead(ps, 0) == LAB_JT_COLON ||
			(ahead(ps, 0) == LAB_JT_STAR && ahead(ps, 1) == LAB_JT_RBRACKET))
			return bracket(ps, 0);
		return multi(ps, false);
	default: break;
	}
	fail(ps, "an expression is missing", t);
	return 0;
}

/* What follows on left. */
static unsigned
infix(struct parser *ps, unsigned left)
{
	const struct lab_jmes_token *t = next(ps);
	struct lab_jmes_node node = {.a = left, .op = t->op};
	switch ((int)t->kind) {
	case LAB_JT_DOT:
		if (ahead(ps, 0) == LAB_JT_STAR) {
			(void)next(ps);
			node.kind = LAB_J_VALUES;
			node.b = projected(ps, power[LAB_JT_STAR]);
		} else {
			node.kind = LAB_J_SUB;
			node.b = after_dot(ps, power[LAB_JT_DOT]);
		}
		return make(ps, node);
	case LAB_JT_PIPE: node.kind = LAB_J_SUB; break;
	case LAB_JT_OR: node.kind = LAB_J_OR; break;
	case LAB_JT_AND: node.kind = LAB_J_AND; break;
	case LAB_JT_COMPARE: node.kind = LAB_J_COMPARE; break;
	case LAB_JT_FILTER: return filter(ps, left);
	case LAB_JT_FLATTEN: return flatten(ps, left);
	case LAB_JT_LBRACKET: return bracket(ps, left);
	default: fail(ps, "the end is missing", t); return 0;
	}
	node.b = parse(ps, power[t->kind]);
	return make(ps, node);
}

static unsigned
parse(struct parser *ps, unsigned min)
{
	if (++ps->depth > LAB_JMES_DEPTH_MAX)
		fail(ps, "nested too deeply", NULL);
	unsigned left = ps->bad ? 0 : prefix(ps);
	while (!ps->bad && min < power[ahead(ps, 0)])
		left = infix(ps, left);
	ps->depth--;
	return left;
}

bool
lab_jmes_search(const json_t *doc, struct vs_bytes query, json_t **ret, char why[160])
{
	struct lab_jmes *q = calloc(1, sizeof *q);
	struct parser *ps = calloc(1, sizeof *ps);
	*ret = NULL;
	snprintf(why, 160, "out of memory");
	if (q && ps) {
		ps->query = q;
		ps->why = why;
		q->n = 1;
		if (query.n == 0 || query.n > LAB_JMES_QUERY_MAX)
			fail(ps, query.n ? "too long" : "empty", NULL);
		else if (lab_jmes_lex(query, ps->tokens, &ps->n, why)) {
			q->root = parse(ps, 0);
			if (ahead(ps, 0) != LAB_JT_END)
				fail(ps, "the end is missing", &ps->tokens[ps->at]);
		} else
			ps->bad = true;
		if (!ps->bad)
			*ret = lab_jmes_run(q, doc, why);
		for (size_t i = 0; i < ps->n; i++)
			json_decref(ps->tokens[i].value);
		for (unsigned i = 0; i < q->n; i++)
			json_decref(q->nodes[i].text);
	}
	free(ps);
	free(q);
	return *ret != NULL;
}
