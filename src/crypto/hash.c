/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/hash.h"

#include <stdlib.h>

#include <openssl/core_names.h>

#include "crypto/internal.h"

static const struct {
	const char *name;
	size_t size, block;
} hashes[VS_HASH_COUNT_] = {
	[VS_HASH_NONE] = {"", 0, 0},
	[VS_HASH_SHA1] = {"SHA1", 20, 64},
	[VS_HASH_SHA224] = {"SHA2-224", 28, 64},
	[VS_HASH_SHA256] = {"SHA2-256", 32, 64},
	[VS_HASH_SHA384] = {"SHA2-384", 48, 128},
	[VS_HASH_SHA512] = {"SHA2-512", 64, 128},
	[VS_HASH_SHA512_224] = {"SHA2-512/224", 28, 128},
	[VS_HASH_SHA512_256] = {"SHA2-512/256", 32, 128},
	[VS_HASH_SHA3_224] = {"SHA3-224", 28, 144},
	[VS_HASH_SHA3_256] = {"SHA3-256", 32, 136},
	[VS_HASH_SHA3_384] = {"SHA3-384", 48, 104},
	[VS_HASH_SHA3_512] = {"SHA3-512", 64, 72},
};

struct vs_digest {
	struct vs_ossl *o;
	EVP_MD_CTX *ctx;
	enum vs_hash hash;
	bool started;
};

size_t
vs_hash_size(enum vs_hash h)
{
	return (unsigned)h < VS_HASH_COUNT_ ? hashes[h].size : 0;
}

size_t
vs_hash_block(enum vs_hash h)
{
	return (unsigned)h < VS_HASH_COUNT_ ? hashes[h].block : 0;
}

const char *
vs_hash_name(enum vs_hash h)
{
	return (unsigned)h < VS_HASH_COUNT_ ? hashes[h].name : "";
}

vs_rc
vs_hash_once(
	struct vs_ossl *o, enum vs_hash h, struct vs_bytes in, uint8_t *out, struct vs_err *err)
{
	OSSL_ENTER(err);
	EVP_MD *md = NULL;
	VS_TRY(vs_ossl_md(o, h, &md, err));
	OSSL_TRY(err, EVP_Digest(in.p, in.n, out, NULL, md, NULL), "a digest failed");
	return VS_OK;
}

static void
mac_ctx_done(EVP_MAC_CTX **p)
{
	EVP_MAC_CTX_free(*p);
	*p = NULL;
}

vs_rc
vs_hmac_once(struct vs_ossl *o, enum vs_hash h, struct vs_bytes key, struct vs_bytes in,
	uint8_t *out, struct vs_err *err)
{
	/* EVP_MAC_init reads a NULL key as "the same key again". */
	static const uint8_t empty[1];
	if (vs_hash_size(h) == 0)
		VS_FAIL(err, PARAM, "a hash function is needed here");
	OSSL_ENTER(err);
	EVP_MAC *mac = NULL;
	VS_TRY(vs_ossl_mac(o, false, &mac, err));
	VS_CLEANUP(mac_ctx_done) EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(mac);
	if (ctx == NULL)
		OSSL_FAIL(err, MEMORY, "no memory for an HMAC");
	char name[16];
	(void)snprintf(name, sizeof name, "%s", vs_hash_name(h));
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0), OSSL_PARAM_END};
	OSSL_TRY(err, EVP_MAC_init(ctx, key.n == 0 ? empty : key.p, key.n, params),
		"an HMAC failed");
	OSSL_TRY(err, EVP_MAC_update(ctx, in.p, in.n), "an HMAC failed");
	size_t n = 0;
	OSSL_TRY(err, EVP_MAC_final(ctx, out, &n, vs_hash_size(h)), "an HMAC failed");
	VS_REQUIRE(err, n == vs_hash_size(h));
	return VS_OK;
}

/* ---- prepared context -------------------------------------------------------------------- */

void
vs_digest_free(struct vs_digest *d)
{
	if (d == NULL)
		return;
	if (!vs_ossl_gone())
		EVP_MD_CTX_free(d->ctx);
	vs_ossl_unref(d->o);
	free(d);
}

static void
digest_done(struct vs_digest **p)
{
	vs_digest_free(*p);
	*p = NULL;
}

static vs_rc
digest_alloc(struct vs_ossl *o, enum vs_hash h, struct vs_digest **ret, struct vs_err *err)
{
	VS_CLEANUP(digest_done) struct vs_digest *d = calloc(1, sizeof *d);
	if (d == NULL)
		VS_FAIL(err, MEMORY, "no memory for a digest");
	d->o = vs_ossl_ref(o);
	d->hash = h;
	d->ctx = EVP_MD_CTX_new();
	if (d->ctx == NULL)
		VS_FAIL(err, MEMORY, "no memory for a digest");
	*ret = VS_TAKE(d);
	return VS_OK;
}

vs_rc
vs_digest_new(struct vs_ossl *o, enum vs_hash h, struct vs_digest **ret, struct vs_err *err)
{
	OSSL_ENTER(err);
	EVP_MD *md = NULL;
	VS_TRY(vs_ossl_md(o, h, &md, err));
	VS_CLEANUP(digest_done) struct vs_digest *d = NULL;
	VS_TRY(digest_alloc(o, h, &d, err));
	OSSL_TRY(err, EVP_DigestInit_ex2(d->ctx, md, NULL), "a digest cannot be started");
	*ret = VS_TAKE(d);
	return VS_OK;
}

vs_rc
vs_digest_copy(const struct vs_digest *from, struct vs_digest **ret, struct vs_err *err)
{
	OSSL_ENTER(err);
	VS_CLEANUP(digest_done) struct vs_digest *d = NULL;
	VS_TRY(digest_alloc(from->o, from->hash, &d, err));
	OSSL_TRY(err, EVP_MD_CTX_copy_ex(d->ctx, from->ctx), "a digest cannot be copied");
	d->started = from->started;
	*ret = VS_TAKE(d);
	return VS_OK;
}

enum vs_hash
vs_digest_hash(const struct vs_digest *d)
{
	return d->hash;
}

vs_rc
vs_digest_start(struct vs_digest *d, struct vs_err *err)
{
	VS_TRY(vs_ossl_alive(err));
	d->started = false;
	OSSL_TRY(err, EVP_DigestInit_ex2(d->ctx, NULL, NULL), "a digest cannot be started");
	d->started = true;
	return VS_OK;
}

vs_rc
vs_digest_update(struct vs_digest *d, struct vs_bytes in, struct vs_err *err)
{
	VS_TRY(vs_ossl_alive(err));
	if (!d->started)
		VS_FAIL(err, STATE, "no digest has been started");
	if (in.n != 0 && EVP_DigestUpdate(d->ctx, in.p, in.n) != 1) {
		d->started = false;
		OSSL_FAIL(err, CRYPTO, "a digest failed");
	}
	return VS_OK;
}

vs_rc
vs_digest_final(struct vs_digest *d, uint8_t *out, struct vs_err *err)
{
	VS_TRY(vs_ossl_alive(err));
	if (!d->started)
		VS_FAIL(err, STATE, "no digest has been started");
	d->started = false;
	OSSL_TRY(err, EVP_DigestFinal_ex(d->ctx, out, NULL), "a digest failed");
	return VS_OK;
}

vs_rc
vs_digest_once(struct vs_digest *d, struct vs_bytes in, uint8_t *out, struct vs_err *err)
{
	VS_TRY(vs_ossl_alive(err));
	d->started = false;
	if (EVP_DigestInit_ex2(d->ctx, NULL, NULL) != 1 ||
		(in.n != 0 && EVP_DigestUpdate(d->ctx, in.p, in.n) != 1) ||
		EVP_DigestFinal_ex(d->ctx, out, NULL) != 1)
		OSSL_FAIL(err, CRYPTO, "a digest failed");
	return VS_OK;
}
