/* SPDX-License-Identifier: BSD-2-Clause */
/* Lists of revoked certificates, as AMD and Intel publish them for theirs. */
#ifndef VS_EVIDENCE_EV_CRL_H
#define VS_EVIDENCE_EV_CRL_H

#include "evidence/ev_cert.h"
#include "vouchsafe/provider.h"

struct vs_ev_crl;

enum { VS_EV_CRLS_MAX = 16, VS_EV_CRL_MAX = 1 << 20 };

/* Owned; empty with vs_ev_crls_done. */
struct vs_ev_crls {
	size_t n;
	struct vs_ev_crl *v[VS_EV_CRLS_MAX];
};

/*
 * One list, DER or PEM, nothing behind it. It is not believed yet: each check looks at its
 * signature. Errors: FORMAT, LIMIT, MEMORY.
 */
VS_RC vs_ev_crls_add(struct vs_ev_crls *crls, struct vs_bytes text, struct vs_err *err);
void vs_ev_crls_done(struct vs_ev_crls *crls);

/*
 * A list of this issuer: its name, its signature, an algorithm that is still good, this time
 * between the two dates it gives, no extension that limits what it is about.
 * Errors: REFUSED_EVIDENCE with the reason, MEMORY.
 */
VS_RC vs_ev_crl_check(const struct vs_ev_crl *crl, const struct vs_ev_cert *issuer, int64_t at_unix,
	struct vs_err *err);
/* thisUpdate <= at <= nextUpdate; no nextUpdate is no list. */
bool vs_ev_crl_is_current(const struct vs_ev_crl *crl, int64_t at_unix);
/* The issuer's common name as the list gives it. Returns out. */
char *vs_ev_crl_issuer(const struct vs_ev_crl *crl, char out[VS_EV_CERT_NAME_MAX]);

struct vs_revocation {
	const struct vs_ev_crls *crls; /* NULL: none */
	bool required; /* a list that is not at hand refuses */
};

/*
 * No certificate of the path is on its issuer's list. One check is added to v under that name.
 * from: the first certificate whose issuer publishes lists (0: the leaf); those before it are asked
 * about only if a list is at hand all the same. A list that is there and no good refuses, also
 * where none is required. Without any list the check passes as "not evaluated".
 */
void vs_revocation_check(const struct vs_ev_path *path, size_t from, const struct vs_revocation *x,
	int64_t at_unix, const char *name, struct vs_verdict *v);
/* The same as an error: REFUSED_EVIDENCE. */
VS_RC vs_revocation_require(const struct vs_ev_path *path, size_t from,
	const struct vs_revocation *x, int64_t at_unix, struct vs_err *err);

#endif
