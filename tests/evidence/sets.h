/* SPDX-License-Identifier: BSD-2-Clause */
/* Every captured set of evidence that a machine's TPM has signed, ready to be judged. */
#ifndef TESTS_EVIDENCE_SETS_H
#define TESTS_EVIDENCE_SETS_H

#include "evidence/data.h"
#include "evidence/verify.h"

enum { SETS_MAX = 16, SET_FAILED_MAX = 4 };

struct set {
	const char *name; /* its folder */
	struct vs_evidence ev;
	struct vs_evidence_expect x;
	struct vs_buf nonce;
	/* Checks that the set as it was captured does not pass; NULL ends. */
	const char *const *failed;
};

/* Every set; fails the test where one does not conclude as the table says. Empty with sets_done. */
size_t sets_load(struct set ret[SETS_MAX]);
void sets_done(struct set *sets, size_t n);
/* Does no check fail but those that fail for the untouched set? Unusable evidence is refused. */
bool set_accepts(const struct set *s);
/* The same for other evidence under this set's expectations. */
bool set_accepts_as(const struct set *s, const struct vs_evidence *ev);
/* Bytes of the quoted PCRs: they are the first ones in all sets. */
size_t set_pcr_bytes(const struct set *s);

#endif
