/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Key release policies as the vaults take, store and evaluate them. Written for the lab alone: the
 * product's evaluator is not used, so that each shows the other's mistakes.
 */
#ifndef LAB_LAB_SKR_H
#define LAB_LAB_SKR_H

#include "base/buf.h"
#include "vouchsafe/err.h"

struct json_t;

enum { LAB_SKR_MAX = 64 * 1024, LAB_SKR_DEPTH_MAX = 32 };

/*
 * Check the grammar and write the document anew in the flavour's member order.
 * ret: new reference. Error: POLICY_FILE with a sentence.
 */
VS_RC lab_skr_parse(struct vs_bytes text, bool mhsm, struct json_t **ret, struct vs_err *err);
/* Whether an authority of the policy is the issuer of these claims. */
bool lab_skr_knows(const struct json_t *policy, const struct json_t *claims);
/* Whether an authority that is the issuer has its conditions met. */
bool lab_skr_met(const struct json_t *policy, const struct json_t *claims);

#endif
