/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/derive.h"

#include <string.h>

#include <openssl/ec.h>

#include "crypto/internal.h"

enum { Z_MAX = 66, HKDF_BLOCKS_MAX = 255 };

/* ---- ECDH -------------------------------------------------------------------------------- */

/* The x coordinate of the shared point, of the field's length. */
static vs_rc
shared_x(const struct vs_pkey *key, const struct vs_ecdh_params *p, uint8_t z[Z_MAX], size_t n,
	struct vs_err *err)
{
	struct vs_key_public pub = {.type = VS_KEY_EC, .curve = key->desc.curve};
	VS_TRY(vs_curve_split_point(pub.curve, p->point, &pub.x, &pub.y, err));
	VS_CLEANUP(vs_pkey_done) struct vs_pkey *peer = NULL;
	if (vs_failed(vs_pkey_from_public(key->o, &pub, false, &peer, NULL)))
		VS_FAIL(err, PARAM, "the other side's point is not on the curve");
	OSSL_ENTER(err);
	VS_CLEANUP(vs_evp_pkey_ctx_done)
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(key->o->ctx, key->evp, NULL);
	if (ctx == NULL)
		OSSL_FAIL(err, MEMORY, "no memory for a key agreement");
	OSSL_TRY(err, EVP_PKEY_derive_init(ctx), "a key agreement cannot be prepared");
	OSSL_TRY(err, EVP_PKEY_CTX_set_ecdh_cofactor_mode(ctx, p->cofactor ? 1 : 0),
		"a key agreement cannot be prepared");
	if (EVP_PKEY_derive_set_peer(ctx, peer->evp) != 1)
		VS_FAIL(err, PARAM, "the other side's point is not on the curve");
	size_t got = n;
	OSSL_TRY(err, EVP_PKEY_derive(ctx, z, &got), "a key agreement failed");
	VS_REQUIRE(err, got == n);
	uint8_t any = 0;
	for (size_t i = 0; i < n; i++)
		any |= z[i];
	if (any == 0)
		VS_FAIL(err, PARAM, "the other side's point gives a zero secret");
	return VS_OK;
}

static void
md_ctx_done(EVP_MD_CTX **p)
{
	EVP_MD_CTX_free(*p);
	*p = NULL;
}

/* ANSI X9.63: Hash(Z || counter || shared info), counter from 1. */
static vs_rc
x963(struct vs_ossl *o, enum vs_hash h, struct vs_bytes z, struct vs_bytes shared, uint8_t *out,
	size_t n, struct vs_err *err)
{
	uint8_t block[VS_HASH_MAX_BYTES];
	const size_t size = vs_hash_size(h);
	EVP_MD *md = NULL;

	OSSL_ENTER(err);
	VS_TRY(vs_ossl_md(o, h, &md, err));
	VS_CLEANUP(md_ctx_done) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	if (ctx == NULL)
		VS_FAIL(err, MEMORY, "no memory for a key derivation");
	for (uint32_t i = 1; n != 0; i++) {
		const uint8_t counter[4] = {
			(uint8_t)(i >> 24), (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};
		OSSL_TRY(err, EVP_DigestInit_ex2(ctx, md, NULL), "a key derivation failed");
		OSSL_TRY(err, EVP_DigestUpdate(ctx, z.p, z.n), "a key derivation failed");
		OSSL_TRY(err, EVP_DigestUpdate(ctx, counter, sizeof counter),
			"a key derivation failed");
		OSSL_TRY(err, EVP_DigestUpdate(ctx, shared.p, shared.n), "a key derivation failed");
		OSSL_TRY(err, EVP_DigestFinal_ex(ctx, block, NULL), "a key derivation failed");
		const size_t take = n < size ? n : size;
		memcpy(out, block, take);
		out += take;
		n -= take;
	}
	vs_wipe(block, sizeof block);
	return VS_OK;
}

static vs_rc
check_ecdh(
	const struct vs_pkey *key, const struct vs_ecdh_params *p, size_t out_n, struct vs_err *err)
{
	const size_t field = vs_curve_bytes(key->desc.curve);

	if (key->desc.type != VS_KEY_EC || !key->priv)
		VS_FAIL(err, KEY_KIND, "a key agreement needs an EC private key");
	if (p->kdf_hash == VS_HASH_NONE) {
		if (p->shared.n != 0)
			VS_FAIL(err, PARAM,
				"shared info has no meaning without a derivation function");
		if (out_n > field)
			VS_FAIL(err, DATA_LEN, "this key agreement gives %zu octets, not %zu",
				field, out_n);
		return VS_OK;
	}
	if (vs_hash_size(p->kdf_hash) == 0)
		VS_FAIL(err, PARAM, "the derivation's hash function is not known");
	if (p->shared.n > VS_DERIVE_INFO_MAX)
		VS_FAIL(err, PARAM, "shared info has at most %d octets", (int)VS_DERIVE_INFO_MAX);
	if (out_n == 0 || out_n > VS_DERIVE_MAX)
		VS_FAIL(err, DATA_LEN, "1 to %d octets can be derived", (int)VS_DERIVE_MAX);
	return VS_OK;
}

vs_rc
vs_derive_ecdh(const struct vs_pkey *key, const struct vs_ecdh_params *p, size_t out_n,
	struct vs_arena *arena, struct vs_secret *ret, struct vs_err *err)
{
	VS_TRY(check_ecdh(key, p, out_n, err));
	const size_t field = vs_curve_bytes(key->desc.curve);
	VS_CLEANUP(vs_secret_done) struct vs_secret z = {0}, out = {0};
	VS_TRY(vs_secret_new(arena, Z_MAX, &z, err));
	VS_TRY(shared_x(key, p, z.p, field, err));
	if (p->kdf_hash == VS_HASH_NONE) {
		const size_t n = out_n == 0 ? field : out_n;
		return vs_secret_from(arena, z.p + field - n, n, ret, err);
	}
	VS_TRY(vs_secret_new(arena, out_n, &out, err));
	VS_TRY(x963(key->o, p->kdf_hash, vs_bytes_of(z.p, field), p->shared, out.p, out_n, err));
	vs_secret_move(ret, &out);
	return VS_OK;
}

/* ---- HKDF (RFC 5869) ----------------------------------------------------------------------- */

static vs_rc
hkdf_expand(struct vs_ossl *o, enum vs_hash h, struct vs_bytes prk, struct vs_bytes info,
	uint8_t *out, size_t n, struct vs_err *err)
{
	uint8_t input[VS_HASH_MAX_BYTES + VS_DERIVE_INFO_MAX + 1], block[VS_HASH_MAX_BYTES];
	const size_t size = vs_hash_size(h);
	vs_rc rc = VS_OK;
	size_t before = 0;

	for (uint8_t i = 1; n != 0 && !vs_failed(rc); i++) {
		memcpy(input, block, before);
		if (info.n != 0)
			memcpy(input + before, info.p, info.n);
		input[before + info.n] = i;
		rc = vs_hmac_once(o, h, prk, vs_bytes_of(input, before + info.n + 1), block, err);
		before = size;
		const size_t take = n < size ? n : size;
		memcpy(out, block, take);
		out += take;
		n -= take;
	}
	vs_wipe(input, sizeof input);
	vs_wipe(block, sizeof block);
	return rc;
}

static vs_rc
check_hkdf(const struct vs_hkdf_params *p, size_t out_n, struct vs_err *err)
{
	const size_t size = vs_hash_size(p->hash);

	if (size == 0)
		VS_FAIL(err, PARAM, "HKDF needs a hash function");
	if (!p->extract && !p->expand)
		VS_FAIL(err, PARAM, "HKDF extracts, expands, or does both");
	if (p->salt.n > VS_DERIVE_INFO_MAX || p->info.n > VS_DERIVE_INFO_MAX)
		VS_FAIL(err, PARAM, "salt and info have at most %d octets",
			(int)VS_DERIVE_INFO_MAX);
	if (!p->expand && out_n != 0 && out_n != size)
		VS_FAIL(err, DATA_LEN, "extraction gives %zu octets, not %zu", size, out_n);
	if (p->expand && (out_n == 0 || out_n > HKDF_BLOCKS_MAX * size || out_n > VS_DERIVE_MAX))
		VS_FAIL(err, DATA_LEN, "HKDF cannot give %zu octets here", out_n);
	return VS_OK;
}

vs_rc
vs_derive_hkdf(struct vs_ossl *o, struct vs_bytes key, const struct vs_hkdf_params *p, size_t out_n,
	struct vs_arena *arena, struct vs_secret *ret, struct vs_err *err)
{
	static const uint8_t zeros[VS_HASH_MAX_BYTES];

	VS_TRY(check_hkdf(p, out_n, err));
	const size_t size = vs_hash_size(p->hash);
	VS_CLEANUP(vs_secret_done) struct vs_secret prk = {0}, out = {0};
	VS_TRY(vs_secret_new(arena, VS_HASH_MAX_BYTES, &prk, err));
	if (p->extract) {
		const struct vs_bytes salt = p->salt.n == 0 ? vs_bytes_of(zeros, size) : p->salt;
		VS_TRY(vs_hmac_once(o, p->hash, salt, key, prk.p, err));
		if (!p->expand)
			return vs_secret_from(arena, prk.p, size, ret, err);
		key = vs_bytes_of(prk.p, size);
	}
	VS_TRY(vs_secret_new(arena, out_n, &out, err));
	VS_TRY(hkdf_expand(o, p->hash, key, p->info, out.p, out_n, err));
	vs_secret_move(ret, &out);
	return VS_OK;
}
