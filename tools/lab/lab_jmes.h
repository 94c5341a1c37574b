/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * JMESPath, as attestation policies of version 1.2 use it: the whole expression language without
 * expression references, the functions that policies need, and equals_ignore_case, which is the
 * service's own. Work and result are bounded, whatever the query.
 */
#ifndef LAB_LAB_JMES_H
#define LAB_LAB_JMES_H

#include <stdbool.h>

#include <jansson.h>

#include "base/buf.h"

enum {
	LAB_JMES_QUERY_MAX = 4096,
	LAB_JMES_NODES_MAX = 256,
	LAB_JMES_DEPTH_MAX = 32,
	LAB_JMES_WORK_MAX = 1 << 20, /* values looked at or made */
};

/* A new reference in *ret, JSON null where nothing was found. False: why says what is wrong. */
bool lab_jmes_search(const json_t *doc, struct vs_bytes query, json_t **ret, char why[160]);

#endif
