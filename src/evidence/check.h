/* SPDX-License-Identifier: BSD-2-Clause */
/* Adding checks to a verdict. */
#ifndef VS_EVIDENCE_CHECK_H
#define VS_EVIDENCE_CHECK_H

#include "vouchsafe/provider.h"

/*
 * Add one check; rule and name are string constants. More checks than fit make the verdict fail at
 * its end. Returns passed.
 */
__attribute__((format(printf, 6, 7))) bool vs_check_add(struct vs_verdict *v, const char *rule,
	const char *name, bool passed, const char *expected, const char *seen, ...);
/* The same with the outcome and the sentence of a function. */
bool vs_check_rc(struct vs_verdict *v, const char *rule, const char *name, vs_rc rc,
	const char *expected, const struct vs_err *err);
/* Append the checks of another verdict; advisory: those that failed do not refuse. */
void vs_check_append(struct vs_verdict *v, const struct vs_verdict *more, bool advisory);
/* Set v->passed: at least one check, none failed, none lost. */
void vs_check_finish(struct vs_verdict *v);
/* The first check that failed and is not advisory, or NULL. */
const struct vs_check *vs_check_first_failed(const struct vs_verdict *v);
/* Passed only because there was nothing to look at: what was seen begins with "not evaluated". */
bool vs_check_skipped(const struct vs_check *c);
/* Hexadecimal, at most 24 bytes, then "..."; returns out. */
char *vs_check_hex(struct vs_bytes b, char out[64]);

#endif
