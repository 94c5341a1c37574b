/* SPDX-License-Identifier: BSD-2-Clause */
/* RSA encryption and decryption as prepared contexts. One thread at a time. */
#ifndef VS_CRYPTO_RSA_CRYPT_H
#define VS_CRYPTO_RSA_CRYPT_H

#include "crypto/hash.h"
#include "crypto/pkey.h"

struct vs_rsa;

enum vs_rsa_scheme {
	VS_RSA_NONE = 0,
	VS_RSA_OAEP,
	VS_RSA_PKCS1, /* decryption with implicit rejection: see rsa_pad.h */
	VS_RSA_RAW, /* no padding: k octets; shorter input is left-padded when encrypting */
	VS_RSA_COUNT_,
};

enum { VS_RSA_LABEL_MAX = 4096 };

struct vs_rsa_params {
	enum vs_rsa_scheme scheme;
	enum vs_hash hash, mgf_hash; /* OAEP */
	struct vs_bytes label; /* OAEP; copied */
};

/* Errors: PARAM, KEY_KIND, KEY_SIZE. */
VS_RC vs_rsa_check(
	const struct vs_key_desc *desc, const struct vs_rsa_params *params, struct vs_err *err);
/* Longest plaintext. */
size_t vs_rsa_plain_max(const struct vs_key_desc *desc, const struct vs_rsa_params *params);

VS_RC vs_rsa_new(struct vs_pkey *key, const struct vs_rsa_params *params, bool encrypt,
	struct vs_rsa **ret, struct vs_err *err);
void vs_rsa_free(struct vs_rsa *r);
bool vs_rsa_fits(const struct vs_rsa *r, const struct vs_pkey *key,
	const struct vs_rsa_params *params, bool encrypt);
/* Encrypting: the modulus's length. Decrypting: vs_rsa_plain_max, an upper bound. */
size_t vs_rsa_size(const struct vs_rsa *r);

/* Errors: DATA_LEN, ROOM, CRYPTO. out may be where in is. */
VS_RC vs_rsa_encrypt(struct vs_rsa *r, struct vs_bytes in, uint8_t *out, size_t cap, size_t *ret_n,
	struct vs_err *err);
/*
 * Errors: DATA_LEN (ciphertext is not as long as the modulus), DATA (OAEP: one error whatever is
 * wrong; also ciphertext not below the modulus), ROOM. With PKCS1 a wrong padding is no error.
 * On ROOM *ret_n is the needed length, and asking again costs a decryption again.
 */
VS_RC vs_rsa_decrypt(struct vs_rsa *r, struct vs_bytes in, uint8_t *out, size_t cap, size_t *ret_n,
	struct vs_err *err);
/* The same straight into a secret, for unwrapping. */
VS_RC vs_rsa_decrypt_secret(struct vs_rsa *r, struct vs_bytes in, struct vs_arena *arena,
	struct vs_secret *ret, struct vs_err *err);

#endif
