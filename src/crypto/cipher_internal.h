/* SPDX-License-Identifier: BSD-2-Clause */
/* The context of cipher.c and cipher_run.c. */
#ifndef VS_CRYPTO_CIPHER_INTERNAL_H
#define VS_CRYPTO_CIPHER_INTERNAL_H

#include "crypto/cipher.h"
#include "crypto/internal.h"

enum { VS_AES_BLOCK = 16 };

struct vs_cipher {
	struct vs_pkey *key;
	EVP_CIPHER *alg; /* borrowed from the library context */
	EVP_CIPHER_CTX *ctx;
	enum vs_cipher_mode mode;
	bool encrypt;
	bool started;
	size_t iv_n; /* GCM: length that ctx is set to */
	uint32_t tag_bytes;
	size_t pending; /* block modes: octets that EVP keeps back */
	uint64_t ctr_left; /* CTR: octets until the counter would overflow */
	uint64_t data_bytes; /* CCM */
	uint8_t iv[VS_AES_BLOCK]; /* CCM, CBC_PAD */
	uint8_t last[VS_AES_BLOCK]; /* CBC_PAD decryption: end of the text, until there is room for
				       it */
	size_t last_n;
	bool last_ready;
	struct vs_buf aad; /* CCM */
	size_t dirty; /* octets of hold that hold good text of earlier messages */
	struct vs_buf hold; /* AEAD: what must not be given out or is needed as a whole */
};

/* CBC with padding; a mode of whole blocks; everything is collected and given out at the end. */
bool vs_cipher_pads(const struct vs_cipher *c);
bool vs_cipher_is_block(const struct vs_cipher *c);
bool vs_cipher_holds(const struct vs_cipher *c);
/* AEAD: length of the result for in_n octets. */
size_t vs_cipher_held_out(const struct vs_cipher *c, size_t in_n);
/* Wipes what was held back. */
void vs_cipher_empty_hold(struct vs_cipher *c);

#endif
