/* SPDX-License-Identifier: BSD-2-Clause */
/* Compact JWS, written and verified with the lab's own code. */
#ifndef LAB_LAB_JWT_H
#define LAB_LAB_JWT_H

#include "base/buf.h"
#include "vouchsafe/err.h"

struct evp_pkey_st;
struct json_t;

/*
 * Sign: alg "RS256" or "PS256". Member order is that of the objects. Appends to out.
 * Errors: CRYPTO, MEMORY.
 */
VS_RC lab_jws_sign(struct evp_pkey_st *key, const char *alg, const struct json_t *header,
	const struct json_t *payload, struct vs_buf *out, struct vs_err *err);

/* A token taken apart; nothing in it is true before lab_jwt_verify. Zero-initialise. */
struct lab_jwt {
	struct json_t *header, *payload; /* objects */
	struct vs_buf signature;
	struct vs_bytes input; /* what was signed; borrowed from the text */
};

void lab_jwt_done(struct lab_jwt *t);
/* Three segments, strict base64url, strict JSON objects. text must outlive ret. Error: FORMAT. */
VS_RC lab_jwt_open(struct vs_bytes text, struct lab_jwt *ret, struct vs_err *err);
/* alg must be exactly this one and the signature good. Error: REFUSED_SIGNATURE. */
VS_RC lab_jwt_verify(
	const struct lab_jwt *t, const char *alg, struct evp_pkey_st *key, struct vs_err *err);

/* A member that is a string, or NULL. */
const char *lab_json_text(const struct json_t *object, const char *name);

#endif
