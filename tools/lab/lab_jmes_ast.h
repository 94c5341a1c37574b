/* SPDX-License-Identifier: BSD-2-Clause */
/* A parsed JMESPath query; between lab_jmes.c (parser) and lab_jmes_run.c. */
#ifndef LAB_LAB_JMES_AST_H
#define LAB_LAB_JMES_AST_H

#include "lab/lab_jmes.h"

enum lab_jmes_kind {
	LAB_J_CURRENT,
	LAB_J_FIELD, /* text */
	LAB_J_INDEX, /* number[0] */
	LAB_J_SLICE, /* number, has */
	LAB_J_SUB, /* b of what a gives */
	LAB_J_PROJECT, /* b of each element of a */
	LAB_J_VALUES, /* b of each member of a */
	LAB_J_FILTER, /* b of each element of a for which c holds */
	LAB_J_FLATTEN, /* a */
	LAB_J_OR,
	LAB_J_AND,
	LAB_J_NOT,
	LAB_J_COMPARE, /* a op b */
	LAB_J_LITERAL, /* text */
	LAB_J_LIST, /* children of a */
	LAB_J_HASH, /* children of a, each a LAB_J_MEMBER */
	LAB_J_MEMBER, /* text: a */
	LAB_J_CALL, /* text(children of a) */
};

enum lab_jmes_op { LAB_JO_EQ, LAB_JO_NE, LAB_JO_LT, LAB_JO_LE, LAB_JO_GT, LAB_JO_GE };

struct lab_jmes_node {
	enum lab_jmes_kind kind;
	unsigned a, b, c; /* nodes; 0: none */
	unsigned next; /* sibling in a list of children */
	json_t *text; /* a name, or the literal */
	json_int_t number[3];
	bool has[3];
	enum lab_jmes_op op;
};

struct lab_jmes {
	unsigned n; /* node 0 is LAB_J_CURRENT */
	struct lab_jmes_node nodes[LAB_JMES_NODES_MAX];
	unsigned root;
};

enum lab_jmes_tok {
	LAB_JT_END,
	LAB_JT_NAME,
	LAB_JT_QUOTED,
	LAB_JT_LITERAL,
	LAB_JT_NUMBER,
	LAB_JT_STAR,
	LAB_JT_CURRENT,
	LAB_JT_LBRACKET,
	LAB_JT_RBRACKET,
	LAB_JT_LPAREN,
	LAB_JT_RPAREN,
	LAB_JT_LBRACE,
	LAB_JT_RBRACE,
	LAB_JT_COMMA,
	LAB_JT_COLON,
	LAB_JT_DOT,
	LAB_JT_PIPE,
	LAB_JT_OR,
	LAB_JT_AND,
	LAB_JT_NOT,
	LAB_JT_COMPARE,
	LAB_JT_FLATTEN,
	LAB_JT_FILTER,
	LAB_JT_COUNT_,
};

enum { LAB_JMES_TOKENS_MAX = 512 };

struct lab_jmes_token {
	enum lab_jmes_tok kind;
	enum lab_jmes_op op;
	const char *p;
	size_t n;
	json_t *value; /* of a name or literal */
	json_int_t number;
};

/* lab_jmes_lex.c: tokens, of which the last is LAB_JT_END. False: why says what is wrong. */
bool lab_jmes_lex(struct vs_bytes text, struct lab_jmes_token *tokens, size_t *n, char why[160]);
/* Writes what is wrong at t (or NULL) to why; always false. */
bool lab_jmes_offending(const char *what, const struct lab_jmes_token *t, char why[160]);

/* lab_jmes_run.c; a new reference, or NULL and why. */
json_t *lab_jmes_run(const struct lab_jmes *query, const json_t *doc, char why[160]);

#endif
