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
};

enum lab_prop { LAB_P_TYPE, LAB_P_VALUE, LAB_P_VALUE_TYPE, LAB_P_ISSUER, LAB_P_COUNT_ };
enum lab_op { LAB_OP_EQ, LAB_OP_NE, LAB_OP_LT, LAB_OP_LE, LAB_OP_GT, LAB_OP_GE };
enum lab_section { LAB_S_CONFIGURATION, LAB_S_AUTHORIZATION, LAB_S_ISSUANCE, LAB_S_COUNT_ };
enum lab_action { LAB_A_PERMIT, LAB_A_DENY, LAB_A_ADD, LAB_A_ISSUE, LAB_A_PROPERTY };

/* A literal, or a property of the claims that a condition of the rule matched. */
struct lab_expr {
	json_t *literal; /* string, integer or boolean; NULL: reference */
	size_t cond;
	enum lab_prop prop;
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

#endif
