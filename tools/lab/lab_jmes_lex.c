/* SPDX-License-Identifier: BSD-2-Clause */
/* The words of a query. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "lab/lab_jmes_ast.h"

bool
lab_jmes_offending(const char *what, const struct lab_jmes_token *t, char why[160])
{
	char quoted[40] = "";
	if (t)
		vs_quote(vs_bytes_of(t->p, t->n < 24 ? t->n : 24), quoted, sizeof quoted);
	(void)snprintf(why, 160, "the query is not JMESPath: %s%s%s%s", what, t ? " at \"" : "",
		quoted, t ? "\"" : "");
	return false;
}

/* The text up to an unescaped end mark, without the backslash of an escaped one. */
static bool
take_quoted(const char **p, const char *end, char mark, char *out, size_t *n)
{
	size_t i = 0;
	for ((*p)++; *p < end && **p != mark; (*p)++) {
		if (**p == '\\' && *p + 1 < end) {
			if ((*p)[1] != mark || mark == '"')
				out[i++] = '\\';
			(*p)++;
		}
		out[i++] = **p;
	}
	*n = i;
	return (*p)++ < end;
}

/* `JSON`; what is no JSON is a string, as the language's older form has it. */
static json_t *
literal(const char *text, size_t n)
{
	while (n > 0 && isspace((unsigned char)*text)) {
		text++;
		n--;
	}
	json_t *v = json_loadb(text, n, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
	return v ? v : json_stringn(text, n);
}

static bool
lex_text(struct lab_jmes_token *t, const char **p, const char *end, char why[160])
{
	char text[LAB_JMES_QUERY_MAX + 2];
	size_t n = 0;
	const char mark = **p;
	text[0] = '"';
	if (!take_quoted(p, end, mark, text + 1, &n))
		return lab_jmes_offending("a quotation without end", t, why);
	text[n + 1] = '"';
	t->kind = mark == '"' ? LAB_JT_QUOTED : LAB_JT_LITERAL;
	t->value = mark == '"' ? json_loadb(text, n + 2, JSON_DECODE_ANY, NULL)
		: mark == '`'  ? literal(text + 1, n)
			       : json_stringn(text + 1, n);
	return t->value || lab_jmes_offending("a text that is not UTF-8", t, why);
}

static bool
lex_number(struct lab_jmes_token *t, const char **p, const char *end, char why[160])
{
	char text[20] = "";
	size_t n = 0;
	do
		text[n++] = *(*p)++;
	while (*p < end && isdigit((unsigned char)**p) && n < sizeof text - 1);
	errno = 0;
	t->kind = LAB_JT_NUMBER;
	t->number = strtoll(text, NULL, 10);
	return (errno == 0 && isdigit((unsigned char)text[n - 1]) && n < 12) ||
		lab_jmes_offending("a number that is none", t, why);
}

static bool
lex_mark(struct lab_jmes_token *t, const char **p, const char *end, char why[160])
{
	static const struct {
		char text[3];
		enum lab_jmes_tok kind;
		enum lab_jmes_op op;
	} marks[] = {
		{"[?", LAB_JT_FILTER, LAB_JO_EQ},
		{"[]", LAB_JT_FLATTEN, LAB_JO_EQ},
		{"||", LAB_JT_OR, LAB_JO_EQ},
		{"&&", LAB_JT_AND, LAB_JO_EQ},
		{"==", LAB_JT_COMPARE, LAB_JO_EQ},
		{"!=", LAB_JT_COMPARE, LAB_JO_NE},
		{"<=", LAB_JT_COMPARE, LAB_JO_LE},
		{">=", LAB_JT_COMPARE, LAB_JO_GE},
		{"<", LAB_JT_COMPARE, LAB_JO_LT},
		{">", LAB_JT_COMPARE, LAB_JO_GT},
		{"!", LAB_JT_NOT, LAB_JO_EQ},
		{"|", LAB_JT_PIPE, LAB_JO_EQ},
		{"*", LAB_JT_STAR, LAB_JO_EQ},
		{"@", LAB_JT_CURRENT, LAB_JO_EQ},
		{"[", LAB_JT_LBRACKET, LAB_JO_EQ},
		{"]", LAB_JT_RBRACKET, LAB_JO_EQ},
		{"(", LAB_JT_LPAREN, LAB_JO_EQ},
		{")", LAB_JT_RPAREN, LAB_JO_EQ},
		{"{", LAB_JT_LBRACE, LAB_JO_EQ},
		{"}", LAB_JT_RBRACE, LAB_JO_EQ},
		{",", LAB_JT_COMMA, LAB_JO_EQ},
		{":", LAB_JT_COLON, LAB_JO_EQ},
		{".", LAB_JT_DOT, LAB_JO_EQ},
	};
	for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
		const size_t n = strlen(marks[i].text);
		if ((size_t)(end - *p) >= n && memcmp(*p, marks[i].text, n) == 0) {
			t->kind = marks[i].kind;
			t->op = marks[i].op;
			*p += n;
			return true;
		}
	}
	t->n = 1;
	return lab_jmes_offending("an unknown mark", t, why);
}

bool
lab_jmes_lex(struct vs_bytes text, struct lab_jmes_token *tokens, size_t *n, char why[160])
{
	const char *p = (const char *)text.p, *end = p + text.n;
	for (*n = 0; *n < LAB_JMES_TOKENS_MAX;) {
		while (p < end && isspace((unsigned char)*p))
			p++;
		struct lab_jmes_token *t = &tokens[(*n)++];
		*t = (struct lab_jmes_token){.p = p, .n = (size_t)(end - p)};
		if (p == end)
			return true;
		bool ok = true;
		if (isalpha((unsigned char)*p) || *p == '_') {
			while (p < end && (isalnum((unsigned char)*p) || *p == '_'))
				p++;
			t->kind = LAB_JT_NAME;
			t->value = json_stringn(t->p, (size_t)(p - t->p));
		} else if (*p == '"' || *p == '\'' || *p == '`')
			ok = lex_text(t, &p, end, why);
		else if (isdigit((unsigned char)*p) || *p == '-')
			ok = lex_number(t, &p, end, why);
		else
			ok = lex_mark(t, &p, end, why);
		if (!ok)
			return false;
	}
	return lab_jmes_offending("too long", NULL, why);
}
