/* SPDX-License-Identifier: BSD-2-Clause */
/* A parsed attestation policy; between lab_policy.c (parser) and lab_policy_run.c. */
#ifndef LAB_LAB_POLICY_AST_H
#define LAB_LAB_POLICY_AST_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

enum {
	LAB_RULES_MAX = 128,
	LAB_CONDS_MAX = 8,
	LAB_TESTS_MAX = 8,
	LAB_ASSIGNS_MAX = 4,
	LAB_IDENT_MAX = 32,
	LAB_RULE_TEXT_MAX = 160,
	LAB_CALLS_MAX = 8, /* inside each other */
};

enum lab_prop { LAB_P_TYPE, LAB_P_VALUE, LAB_P_VALUE_TYPE, LAB_P_ISSUER, LAB_P_COUNT_ };
enum lab_op { LAB_OP_EQ, LAB_OP_NE, LAB_OP_LT, LAB_OP_LE, LAB_OP_GT, LAB_OP_GE };
enum lab_section { LAB_S_CONFIGURATION, LAB_S_AUTHORIZATION, LAB_S_ISSUANCE, LAB_S_COUNT_ };
enum lab_action { LAB_A_PERMIT, LAB_A_DENY, LAB_A_ADD, LAB_A_ISSUE, LAB_A_PROPERTY };

/* The functions of version 1.2. */
enum lab_fn {
	LAB_F_JMES_PATH,
	LAB_F_JSON_TO_CLAIM_VALUE,
	LAB_F_IS_SUBSET_OF,
	LAB_F_APPEND_STRING,
	LAB_F_NEGATE_BOOL,
	LAB_F_CONTAINS_ONLY_VALUE,
	LAB_F_COUNT_,
};

struct lab_call;

/* A literal, a call, or a property of the claims that a condition of the rule matched. */
struct lab_expr {
	json_t *literal; /* string, integer or boolean; NULL: call or reference */
	struct lab_call *call; /* NULL: reference */
	size_t cond;
	enum lab_prop prop;
};

struct lab_call {
	enum lab_fn fn;
	struct lab_expr arg[2]; /* as many as the function has */
};

struct lab_test {
	enum lab_prop prop;
	enum lab_op op;
	struct lab_expr expr;
};

struct lab_cond {
	char ident[LAB_IDENT_MAX];
	bool negated; /* 1.2: holds if no claim satisfies the tests; stands for no claim */
	size_t n;
	struct lab_test tests[LAB_TESTS_MAX];
};

struct lab_rule {
	char text[LAB_RULE_TEXT_MAX];
	size_t n_conds;
	struct lab_cond conds[LAB_CONDS_MAX];
	enum lab_action action;
	bool whole_claim; /* issue(claim = c) */
	size_t claim_cond;
	bool has[LAB_P_COUNT_];
	struct lab_expr assign[LAB_P_COUNT_];
};

struct lab_policy {
	unsigned minor; /* version 1.minor */
	bool present[LAB_S_COUNT_];
	size_t n[LAB_S_COUNT_];
	struct lab_rule *rules[LAB_S_COUNT_];
};

/* A value as expressions have it: of a claim, or made of such values. */
struct lab_value {
	json_t *v;
	bool read_only; /* comes from claims that may not be issued */
};

enum { LAB_VALUES_MAX = 512 };
struct lab_values {
	size_t n;
	struct lab_value at[LAB_VALUES_MAX];
};
void lab_values_done(struct lab_values *s);
/* Takes v. False: the set is full, or v is NULL. */
bool lab_values_add(struct lab_values *s, json_t *v, bool read_only);

/* lab_policy_fn.c: how many arguments, which function; LAB_F_COUNT_ when there is none. */
unsigned lab_fn_args(enum lab_fn fn);
enum lab_fn lab_fn_parse(const char *name, size_t n);
/* ret is empty before. False: why says what the arguments must be. */
bool lab_fn_call(enum lab_fn fn, const struct lab_values *a, const struct lab_values *b,
	struct lab_values *ret, char why[160]);

#endif
