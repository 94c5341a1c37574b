/* SPDX-License-Identifier: BSD-2-Clause */
/* Hash functions: what exists, one-shot, and a reusable context. */
#ifndef VS_CRYPTO_HASH_H
#define VS_CRYPTO_HASH_H

#include "base/buf.h"
#include "vouchsafe/err.h"

struct vs_ossl;

enum vs_hash {
	VS_HASH_NONE = 0,
	VS_HASH_SHA1,
	VS_HASH_SHA224,
	VS_HASH_SHA256,
	VS_HASH_SHA384,
	VS_HASH_SHA512,
	VS_HASH_SHA512_224,
	VS_HASH_SHA512_256,
	VS_HASH_SHA3_224,
	VS_HASH_SHA3_256,
	VS_HASH_SHA3_384,
	VS_HASH_SHA3_512,
	VS_HASH_COUNT_,
};

enum { VS_HASH_MAX_BYTES = 64 };

/* Output length in bytes, block length in bytes, name as OpenSSL spells it; 0, 0, "" for NONE. */
size_t vs_hash_size(enum vs_hash h);
size_t vs_hash_block(enum vs_hash h);
const char *vs_hash_name(enum vs_hash h);

/* out has vs_hash_size(h) bytes. Errors: PARAM for NONE, CRYPTO. Thread-safe. */
VS_RC vs_hash_once(
	struct vs_ossl *o, enum vs_hash h, struct vs_bytes in, uint8_t *out, struct vs_err *err);
/* HMAC one-shot; out has vs_hash_size(h) bytes. */
VS_RC vs_hmac_once(struct vs_ossl *o, enum vs_hash h, struct vs_bytes key, struct vs_bytes in,
	uint8_t *out, struct vs_err *err);

/*
 * A context for one thread at a time, reusable for any number of messages: start, update...,
 * final; or once. After final, once or an error only start (or once) makes sense.
 */
struct vs_digest;
VS_RC vs_digest_new(struct vs_ossl *o, enum vs_hash h, struct vs_digest **ret, struct vs_err *err);
void vs_digest_free(struct vs_digest *d);
enum vs_hash vs_digest_hash(const struct vs_digest *d);
VS_RC vs_digest_start(struct vs_digest *d, struct vs_err *err);
VS_RC vs_digest_update(struct vs_digest *d, struct vs_bytes in, struct vs_err *err);
VS_RC vs_digest_final(struct vs_digest *d, uint8_t *out, struct vs_err *err);
VS_RC vs_digest_once(struct vs_digest *d, struct vs_bytes in, uint8_t *out, struct vs_err *err);
/* A second context in the same state, for C_DigestKey-like and state-copying uses. */
VS_RC vs_digest_copy(const struct vs_digest *d, struct vs_digest **ret, struct vs_err *err);

#endif
