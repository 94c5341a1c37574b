/* SPDX-License-Identifier: BSD-2-Clause */
/* A parsed policy from the inside; private to src/conf/policy*.c. */
#ifndef VS_CONF_POLICY_TREE_H
#define VS_CONF_POLICY_TREE_H

#include <stdatomic.h>

#include "conf/policy.h"
#include "jose/json.h"

/* Conditions and groups in document order; a group's members follow it, up to end. */
struct policy_node {
	size_t end; /* index behind the last node of this one's subtree */
	unsigned authority; /* index of the entry */
	unsigned depth; /* 0: the entry's own group */
	char *place; /* "anyOf[0].allOf[2]" */
	bool any; /* a group: one member suffices */
	const char *claim; /* NULL for a group */
	enum vs_policy_op op;
	const struct vs_json *value;
};

struct policy_entry {
	char *authority; /* without trailing slash */
	size_t group; /* index of its node */
};

struct vs_policy {
	atomic_uint refs;
	struct vs_json *root;
	bool local;
	int64_t max_lease_s;
	size_t n_entries, n_nodes, cap_nodes;
	struct policy_entry *entries;
	struct policy_node *nodes;
	struct vs_buf canonical;
	char text_sha256[65], sha256[65];
};

/* Appends a value the way people read it: "text", 5, true, an array. */
VS_RC policy_put_value(struct vs_buf *out, const struct vs_json *value, struct vs_err *err);
/* Fills canonical and sha256. */
VS_RC policy_make_canonical(struct vs_policy *policy, struct vs_err *err);

#endif
