/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Release-policy documents: the very file that is given to the vault when a key is made (version
 * 1.0.0, threat model A16, A17), and our local superset of it (version vouchsafe-1, DESIGN 6).
 */
#ifndef VS_CONF_POLICY_H
#define VS_CONF_POLICY_H

#include <stdint.h>

#include "base/buf.h"

struct vs_json;
struct vs_policy; /* immutable after parsing, counted, any thread */

enum {
	VS_POLICY_TEXT_MAX = 65536,
	VS_POLICY_CONDITIONS_MAX = 4096,
	VS_POLICY_RESULTS_MAX = 4096,
};

enum vs_policy_op {
	VS_POLICY_NONE = 0,
	VS_POLICY_EQUALS,
	VS_POLICY_NOT_EQUALS, /* from here on vouchsafe-1 only */
	VS_POLICY_IN,
	VS_POLICY_AT_LEAST,
	VS_POLICY_AT_MOST,
	VS_POLICY_EXISTS,
	VS_POLICY_OP_COUNT_,
};

/* The version of what `policy record` writes: refused until somebody has read it. */
#define VS_POLICY_DRAFT "draft"

/* Error: POLICY_FILE; the sentence gives the place ("anyOf[0].allOf[2]") and, for a member that is
 * not known, the nearest one that is. Also LIMIT, MEMORY. */
VS_RC vs_policy_parse(struct vs_bytes text, struct vs_policy **ret, struct vs_err *err);
struct vs_policy *vs_policy_ref(struct vs_policy *policy);
void vs_policy_unref(struct vs_policy *policy);
void vs_policy_unrefp(struct vs_policy **policy);

bool vs_policy_is_local(const struct vs_policy *policy); /* vouchsafe-1 */
int64_t vs_policy_max_lease_s(const struct vs_policy *policy); /* 0: no limit of its own */
const char *vs_policy_text_sha256(const struct vs_policy *policy); /* hex, of the bytes given */
const char *vs_policy_sha256(const struct vs_policy *policy); /* hex, of the canonical form */
/* Compact, members sorted, authorities without trailing slash, arrays in their order. */
struct vs_bytes vs_policy_canonical(const struct vs_policy *policy);
size_t vs_policy_authorities(const struct vs_policy *policy);
const char *vs_policy_authority(const struct vs_policy *policy, size_t i);
/* Some condition names a claim that the attester chooses itself (x-ms-runtime...): T-A7. */
const char *vs_policy_planted_claim(const struct vs_policy *policy); /* NULL: none */
/* Every way through the document demands a claim that only a TEE's evidence can give (T-K4). */
bool vs_policy_demands_tee(const struct vs_policy *policy);

/* One condition of one authority, as it was seen. */
struct vs_policy_result {
	unsigned authority; /* index of the entry */
	unsigned depth; /* nesting, for indentation */
	const char *place; /* "anyOf[0].allOf[2]": borrowed from the policy */
	const char *claim; /* borrowed; NULL for a group */
	const char *group; /* "allOf" or "anyOf" for a group, else NULL */
	enum vs_policy_op op;
	char expected[160];
	char seen[160]; /* "absent" when there is none */
	bool holds;
};

struct vs_policy_report {
	bool allowed;
	bool authority_known; /* some entry names this issuer */
	size_t n;
	struct vs_policy_result *results; /* document order; every condition of every entry */
};
void vs_policy_report_done(struct vs_policy_report *report);

/* A16. iss is the claim of the verified token. Errors: MEMORY. "Not allowed" is no error. */
VS_RC vs_policy_eval(const struct vs_policy *policy, const struct vs_json *claims, const char *iss,
	struct vs_policy_report *ret, struct vs_err *err);

/* What differs between two documents, as lines for people ("anyOf[0].allOf[1].equals: a / b");
 * out stays empty when they say the same. Order of members does not count, order of conditions in
 * one group does not count. Errors: LIMIT, MEMORY. */
VS_RC vs_policy_diff(const struct vs_policy *a, const struct vs_policy *b, struct vs_buf *out,
	struct vs_err *err);
const char *vs_policy_op_name(enum vs_policy_op op);

#endif
