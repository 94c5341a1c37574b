/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a vault does with an attestation token: it asks the issuer itself, over TLS, for metadata
 * and keys, and verifies with code that the product does not share.
 */
#ifndef LAB_LAB_AUTHORITY_H
#define LAB_LAB_AUTHORITY_H

#include "lab/lab.h"

struct json_t;
struct evp_pkey_st;

/*
 * GET of a JSON document from an https origin on loopback, the lab's CA only. ret: new reference.
 * Errors: CONNECT, TLS, ANSWER.
 */
VS_RC lab_authority_get(struct lab *lab, const char *url, struct json_t **ret, struct vs_err *err);
/* The authority has OpenID metadata that name it and its keys. Error: CONNECT, ANSWER. */
VS_RC lab_authority_reach(struct lab *lab, const char *authority, struct vs_err *err);
/*
 * Claims of a token whose issuer's policy entry exists, whose signature verifies and whose times
 * are right. policy NULL: any issuer that can be reached. claims: new reference.
 * Errors: FORMAT, REFUSED_*, CONNECT, ANSWER.
 */
VS_RC lab_authority_verify(struct lab *lab, struct vs_bytes token, const struct json_t *policy,
	struct json_t **claims, struct vs_err *err);
/* The first RSA key of the top-level x-ms-runtime that may encrypt. Error: REFUSED_BINDING. */
VS_RC lab_authority_wrap_key(const struct json_t *claims, struct evp_pkey_st **ret, char *kid,
	size_t kid_size, struct vs_err *err);

#endif
