/* SPDX-License-Identifier: BSD-2-Clause */
/* Key pairs, made side by side: RSA takes its time and the lab wants to be up at once. */
#ifndef LAB_LAB_KEYGEN_H
#define LAB_LAB_KEYGEN_H

#include "vouchsafe/err.h"

struct evp_pkey_st;

enum lab_key_type {
	LAB_KEY_NONE = 0,
	LAB_KEY_RSA2048,
	LAB_KEY_RSA3072,
	LAB_KEY_RSA4096,
	LAB_KEY_P256,
	LAB_KEY_P256K,
	LAB_KEY_P384,
	LAB_KEY_P521,
	LAB_KEY_OCT128,
	LAB_KEY_OCT192,
	LAB_KEY_OCT256,
	LAB_KEY_COUNT_,
};

struct lab_key_row {
	const char *name; /* of the command line: "rsa-2048" */
	const char *kty; /* "RSA", "EC", "oct" */
	unsigned bits; /* RSA, oct */
	const char *crv; /* EC: the vault's name of the curve */
	const char *group; /* EC: OpenSSL's name */
};

/* NULL for a type that does not exist. */
const struct lab_key_row *lab_key_row(enum lab_key_type type);
enum lab_key_type lab_key_type_parse(const char *name);
enum lab_key_type lab_key_type_find(const char *kty, unsigned bits, const char *crv);

/* NULL when it fails; not for oct. */
struct evp_pkey_st *lab_keygen(enum lab_key_type type);

struct lab_keygen_job {
	enum lab_key_type type;
	struct evp_pkey_st **ret; /* NULL until done, and when it failed */
};

struct lab_keygen_pool;

/* Start making all of them; jobs is copied, the targets must live until _wait. */
VS_RC lab_keygen_start(const struct lab_keygen_job *jobs, size_t n, struct lab_keygen_pool **ret,
	struct vs_err *err);
/* Wait, free the pool. Error: CRYPTO when one failed. */
VS_RC lab_keygen_wait(struct lab_keygen_pool *pool, struct vs_err *err);

#endif
