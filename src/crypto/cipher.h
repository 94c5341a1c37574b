/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AES modes as prepared contexts: made once for a key, a mode and a direction; each message only
 * sets what changed. One thread at a time.
 */
#ifndef VS_CRYPTO_CIPHER_H
#define VS_CRYPTO_CIPHER_H

#include "crypto/pkey.h"

struct vs_cipher;

enum vs_cipher_mode {
	VS_CIPHER_NONE = 0,
	VS_CIPHER_ECB,
	VS_CIPHER_CBC,
	VS_CIPHER_CBC_PAD,
	VS_CIPHER_CTR,
	VS_CIPHER_GCM,
	VS_CIPHER_CCM,
	VS_CIPHER_COUNT_,
};

enum {
	VS_AEAD_IV_MAX = 128, /* octets of a GCM IV */
	VS_AEAD_AAD_MAX = 1 << 20, /* octets of additional data kept from start to final */
	VS_AEAD_HOLD_MAX = 64 << 20, /* octets held back until the tag is checked */
};

/* Borrowed until start returns. */
struct vs_cipher_params {
	struct vs_bytes iv; /* CBC, CTR: 16 octets; GCM: 1..128; CCM: 7..13 */
	struct vs_bytes aad; /* GCM, CCM */
	uint32_t tag_bytes; /* GCM: 4, 8, 12..16; CCM: 4, 6, 8 .. 16 */
	uint32_t ctr_bits; /* CTR: how many low bits count, 1..128; overflow is refused */
	uint64_t data_bytes; /* CCM: length of the plaintext */
};

VS_RC vs_cipher_check(
	enum vs_cipher_mode mode, const struct vs_cipher_params *params, struct vs_err *err);

VS_RC vs_cipher_new(struct vs_pkey *key, enum vs_cipher_mode mode, bool encrypt,
	struct vs_cipher **ret, struct vs_err *err);
void vs_cipher_free(struct vs_cipher *c);
bool vs_cipher_fits(const struct vs_cipher *c, const struct vs_pkey *key, enum vs_cipher_mode mode,
	bool encrypt);

/* A new message; also after a failure or an abandoned one. Errors: PARAM, CRYPTO, MEMORY. */
VS_RC
vs_cipher_start(struct vs_cipher *c, const struct vs_cipher_params *params, struct vs_err *err);

/* Upper bounds of what the next call gives out; exact except for CBC_PAD decryption. */
size_t vs_cipher_update_size(const struct vs_cipher *c, size_t in_n);
size_t vs_cipher_final_size(const struct vs_cipher *c);
size_t vs_cipher_once_size(const struct vs_cipher *c, size_t in_n);

/*
 * out may be exactly where in is, or must not overlap. GCM and CCM: the tag is the end of the
 * ciphertext; decryption gives nothing before final has checked the tag. On failure out is as it
 * was. Errors: ROOM (nothing is consumed); DATA_LEN; DATA (bad padding or tag, one sentence); LIMIT
 * (more than VS_AEAD_HOLD_MAX to hold back); STATE.
 */
VS_RC vs_cipher_update(struct vs_cipher *c, struct vs_bytes in, uint8_t *out, size_t cap,
	size_t *ret_n, struct vs_err *err);
VS_RC
vs_cipher_final(struct vs_cipher *c, uint8_t *out, size_t cap, size_t *ret_n, struct vs_err *err);
/* update and final in one, after start. */
VS_RC vs_cipher_once(struct vs_cipher *c, struct vs_bytes in, uint8_t *out, size_t cap,
	size_t *ret_n, struct vs_err *err);

#endif
