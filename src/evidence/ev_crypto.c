/* SPDX-License-Identifier: BSD-2-Clause */
#include "evidence/ev_crypto.h"

#include <pthread.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/provider.h>

/*
 * One library context for the process, never freed: made at first use, immutable afterwards.
 * fetched[] holds the hash functions, so that a replay of thousands of events looks nothing up.
 */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static OSSL_LIB_CTX *libctx;
static EVP_MD *fetched[VS_HASH_COUNT_];

static const struct {
	const char *name;
	size_t size;
} hashes[VS_HASH_COUNT_] = {
	[VS_HASH_SHA1] = {"SHA1", 20},
	[VS_HASH_SHA256] = {"SHA256", 32},
	[VS_HASH_SHA384] = {"SHA384", 48},
	[VS_HASH_SHA512] = {"SHA512", 64},
};

static void
start(void)
{
	OSSL_LIB_CTX *ctx = OSSL_LIB_CTX_new();
	if (ctx == NULL || OSSL_PROVIDER_load(ctx, "default") == NULL)
		return;
	libctx = ctx;
	for (size_t i = 0; i < VS_HASH_COUNT_; i++) {
		if (hashes[i].name != NULL)
			fetched[i] = EVP_MD_fetch(ctx, hashes[i].name, NULL);
	}
}

static vs_rc
ready(struct vs_err *err)
{
	if (pthread_once(&once, start) != 0 || libctx == NULL)
		VS_FAIL(err, CRYPTO, "libcrypto cannot be used for verifying evidence");
	return VS_OK;
}

size_t
vs_ev_hash_size(enum vs_hash h)
{
	return h < VS_HASH_COUNT_ ? hashes[h].size : 0;
}

static void
mdctx_done(EVP_MD_CTX **ctx)
{
	EVP_MD_CTX_free(*ctx);
}

vs_rc
vs_ev_hash(enum vs_hash h, const struct vs_bytes *parts, size_t n_parts, uint8_t *out,
	struct vs_err *err)
{
	VS_TRY(ready(err));
	VS_REQUIRE(err, vs_ev_hash_size(h) != 0 && fetched[h] != NULL);
	VS_CLEANUP(mdctx_done) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx != NULL && EVP_DigestInit_ex2(ctx, fetched[h], NULL) == 1;
	for (size_t i = 0; i < n_parts && ok; i++)
		ok = parts[i].n == 0 || EVP_DigestUpdate(ctx, parts[i].p, parts[i].n) == 1;
	if (!ok || EVP_DigestFinal_ex(ctx, out, NULL) != 1) {
		ERR_clear_error();
		VS_FAIL(err, CRYPTO, "%s failed", hashes[h].name);
	}
	return VS_OK;
}

vs_rc
vs_ev_sha256(struct vs_bytes in, uint8_t ret[32], struct vs_err *err)
{
	return vs_ev_hash(VS_HASH_SHA256, &in, 1, ret, err);
}
