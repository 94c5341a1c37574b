/* SPDX-License-Identifier: BSD-2-Clause */
/* Private keys that come as JWK, for import. */
#ifndef LAB_LAB_JWK_H
#define LAB_LAB_JWK_H

#include <stdint.h>

#include "lab/lab_keygen.h"

struct json_t;

struct lab_jwk_key {
	enum lab_key_type type;
	struct evp_pkey_st *pkey;
	uint8_t oct[64];
	size_t n_oct;
};

/* base: "RSA", "EC" or "oct". NULL on success, else what is wrong with it. */
const char *lab_jwk_read(const char *base, const struct json_t *jwk, struct lab_jwk_key *ret);

#endif
