/* SPDX-License-Identifier: BSD-2-Clause */
/* Endorsements of utility VMs, made for a test, and spoilt in one way each. */
#ifndef TESTS_UNIT_COSEKIT_H
#define TESTS_UNIT_COSEKIT_H

#include "unit/pkikit.h"

struct cose {
	const struct pki *chain[4]; /* leaf first */
	const char *did, *feed, *payload;
	EVP_PKEY *sign_with; /* NULL: the leaf's key */
	int alg; /* 0: -38 */
	long signed_at; /* 0: PKI_AT */
	bool numeric; /* labels 391, 392 */
	bool no_time, no_feed, twice_feed, crit, bad_thumb, other_content;
	bool long_length; /* a length that is not the shortest */
	bool pkcs1; /* another padding */
	bool behind; /* a byte behind it */
	bool extra_unprotected;
};

void cose_make(const struct cose *c, struct vs_buf *out);
/* did:x509 for this root and EKU. */
void cose_did(const struct pki *root, const char *eku, char out[160]);

#endif
