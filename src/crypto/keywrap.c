/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/keywrap.h"

#include <string.h>

#include "crypto/internal.h"
#include "crypto/rsa_crypt.h"

enum { BLOCK = 8, KEK_BYTES = 32, KW_MIN_PLAIN = 16, KW_MIN_WRAPPED = 24, KWP_MIN_WRAPPED = 16 };

/* The one answer to whatever is wrong with wrapped data. */
static vs_rc
refuse_wrapped(struct vs_err *err)
{
	VS_FAIL(err, DATA, "the wrapped key does not unwrap");
}

size_t
vs_wrap_size(enum vs_wrap_mode mode, size_t n)
{
	if (n == 0 || n > VS_WRAP_MAX - 2 * BLOCK)
		return 0;
	if (mode == VS_WRAP_KW)
		return n % BLOCK != 0 || n < KW_MIN_PLAIN ? 0 : n + BLOCK;
	if (mode == VS_WRAP_KWP)
		return (n + BLOCK - 1) / BLOCK * BLOCK + BLOCK;
	return 0;
}

static void
cipher_ctx_done(EVP_CIPHER_CTX **p)
{
	EVP_CIPHER_CTX_free(*p);
	*p = NULL;
}

static vs_rc
start(struct vs_ossl *o, struct vs_bytes key, enum vs_wrap_mode mode, struct vs_bytes iv,
	bool encrypt, EVP_CIPHER_CTX **ret, struct vs_err *err)
{
	if (mode != VS_WRAP_KW && mode != VS_WRAP_KWP)
		VS_FAIL(err, PARAM, "the wrapping mode is not known");
	if (iv.n != 0 && iv.n != (mode == VS_WRAP_KW ? 8 : 4))
		VS_FAIL(err, PARAM, "the initial value has %zu octets where %d are right", iv.n,
			mode == VS_WRAP_KW ? 8 : 4);
	EVP_CIPHER *cipher = NULL;
	VS_TRY(vs_ossl_cipher(
		o, mode == VS_WRAP_KW ? OSSL_AES_KW : OSSL_AES_KWP, key.n, &cipher, err));
	VS_CLEANUP(cipher_ctx_done) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	if (ctx == NULL)
		VS_FAIL(err, MEMORY, "no memory for a key wrap");
	EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
	OSSL_TRY(err,
		EVP_CipherInit_ex2(ctx, cipher, key.p, iv.n == 0 ? NULL : iv.p, encrypt, NULL),
		"a key wrap cannot be prepared");
	*ret = VS_TAKE(ctx);
	return VS_OK;
}

static vs_rc
unwrap(struct vs_ossl *o, struct vs_bytes key, enum vs_wrap_mode mode, struct vs_bytes iv,
	struct vs_bytes wrapped, struct vs_arena *arena, struct vs_secret *ret, struct vs_err *err)
{
	OSSL_ENTER(err);
	VS_CLEANUP(cipher_ctx_done) EVP_CIPHER_CTX *ctx = NULL;
	VS_TRY(start(o, key, mode, iv, false, &ctx, err));
	const size_t least = mode == VS_WRAP_KW ? KW_MIN_WRAPPED : KWP_MIN_WRAPPED;
	if (wrapped.n < least || wrapped.n > VS_WRAP_MAX || wrapped.n % BLOCK != 0)
		return refuse_wrapped(err);
	/* OpenSSL writes the padded text before it knows the length: give it room for all of it. */
	VS_CLEANUP(vs_secret_done) struct vs_secret clear = {0};
	VS_TRY(vs_secret_new(arena, wrapped.n, &clear, err));
	int n = 0;
	if (EVP_DecryptUpdate(ctx, clear.p, &n, wrapped.p, (int)wrapped.n) != 1)
		return refuse_wrapped(err);
	if (n <= 0 || (size_t)n > wrapped.n - BLOCK)
		return refuse_wrapped(err);
	return vs_secret_from(arena, clear.p, (size_t)n, ret, err);
}

vs_rc
vs_release_unwrap(struct vs_ossl *o, const struct vs_secret *kek, struct vs_bytes wrapped,
	struct vs_arena *arena, struct vs_secret *ret, struct vs_err *err)
{
	if (kek->n != KEK_BYTES)
		return refuse_wrapped(err);
	return unwrap(o, vs_secret_view(kek), VS_WRAP_KWP, vs_bytes_of(NULL, 0), wrapped, arena,
		ret, err);
}

vs_rc
vs_unwrap(const struct vs_pkey *key, enum vs_wrap_mode mode, struct vs_bytes iv,
	struct vs_bytes wrapped, struct vs_arena *arena, struct vs_secret *ret, struct vs_err *err)
{
	if (key->desc.type != VS_KEY_AES)
		VS_FAIL(err, KEY_KIND, "a key wrap needs an AES key");
	return unwrap(key->o, vs_secret_view(&key->octets), mode, iv, wrapped, arena, ret, err);
}

static vs_rc
wrap(struct vs_ossl *o, struct vs_bytes key, enum vs_wrap_mode mode, struct vs_bytes iv,
	struct vs_bytes plain, struct vs_buf *out, struct vs_err *err)
{
	OSSL_ENTER(err);
	VS_CLEANUP(cipher_ctx_done) EVP_CIPHER_CTX *ctx = NULL;
	VS_TRY(start(o, key, mode, iv, true, &ctx, err));
	const size_t size = vs_wrap_size(mode, plain.n);
	if (size == 0)
		VS_FAIL(err, DATA_LEN, "%zu octets cannot be wrapped in this way", plain.n);
	uint8_t *room = NULL;
	int n = 0;
	VS_TRY(vs_buf_room(out, size, &room, err));
	OSSL_TRY(err, EVP_EncryptUpdate(ctx, room, &n, plain.p, (int)plain.n), "a key wrap failed");
	VS_REQUIRE(err, n >= 0 && (size_t)n == size);
	out->n += size;
	return VS_OK;
}

vs_rc
vs_wrap(const struct vs_pkey *key, enum vs_wrap_mode mode, struct vs_bytes iv,
	struct vs_bytes plain, struct vs_buf *out, struct vs_err *err)
{
	if (key->desc.type != VS_KEY_AES)
		VS_FAIL(err, KEY_KIND, "a key wrap needs an AES key");
	return wrap(key->o, vs_secret_view(&key->octets), mode, iv, plain, out, err);
}

/* ---- CKM_RSA_AES_KEY_WRAP ------------------------------------------------------------------ */

static void
rsa_done(struct vs_rsa **p)
{
	vs_rsa_free(*p);
	*p = NULL;
}

static vs_rc
check_aes_bits(uint32_t aes_bits, struct vs_err *err)
{
	if (aes_bits != 128 && aes_bits != 192 && aes_bits != 256)
		VS_FAIL(err, PARAM, "the wrapping AES key has 128, 192 or 256 bits, not %u",
			(unsigned)aes_bits);
	return VS_OK;
}

vs_rc
vs_rsa_aes_wrap(const struct vs_pkey *pub, uint32_t aes_bits, enum vs_hash hash, enum vs_hash mgf,
	struct vs_bytes label, struct vs_bytes plain, struct vs_arena *arena, struct vs_buf *out,
	struct vs_err *err)
{
	const struct vs_rsa_params params = {
		.scheme = VS_RSA_OAEP, .hash = hash, .mgf_hash = mgf, .label = label};

	VS_TRY(check_aes_bits(aes_bits, err));
	VS_CLEANUP(vs_secret_done) struct vs_secret kek = {0};
	VS_TRY(vs_secret_new(arena, aes_bits / 8, &kek, err));
	VS_TRY(vs_random(kek.p, kek.n, err));
	/* A counted object is const to callers; making a context of it only counts. */
	VS_CLEANUP(rsa_done) struct vs_rsa *r = NULL;
	VS_TRY(vs_rsa_new((struct vs_pkey *)(uintptr_t)pub, &params, true, &r, err));
	uint8_t block[VS_RSA_MAX_BITS / 8];
	size_t n = 0;
	VS_TRY(vs_rsa_encrypt(r, vs_secret_view(&kek), block, sizeof block, &n, err));
	VS_TRY(vs_buf_add(out, block, n, err));
	const vs_rc rc = wrap(
		pub->o, vs_secret_view(&kek), VS_WRAP_KWP, vs_bytes_of(NULL, 0), plain, out, err);
	if (vs_failed(rc))
		out->n -= n;
	return rc;
}

vs_rc
vs_rsa_aes_unwrap(const struct vs_pkey *priv, uint32_t aes_bits, enum vs_hash hash,
	enum vs_hash mgf, struct vs_bytes label, struct vs_bytes wrapped, struct vs_arena *arena,
	struct vs_secret *ret, struct vs_err *err)
{
	const struct vs_rsa_params params = {
		.scheme = VS_RSA_OAEP, .hash = hash, .mgf_hash = mgf, .label = label};
	const size_t k = (priv->desc.bits + 7) / 8;

	VS_TRY(check_aes_bits(aes_bits, err));
	VS_CLEANUP(rsa_done) struct vs_rsa *r = NULL;
	VS_TRY(vs_rsa_new((struct vs_pkey *)(uintptr_t)priv, &params, false, &r, err));
	if (wrapped.n < k)
		return refuse_wrapped(err);
	/* When OAEP says no, go on with a key nobody knows: the second step takes its time either
	 * way. */
	VS_CLEANUP(vs_secret_done) struct vs_secret kek = {0}, other = {0};
	VS_TRY(vs_secret_new(arena, aes_bits / 8, &other, err));
	VS_TRY(vs_random(other.p, other.n, err));
	const vs_rc oaep = vs_rsa_decrypt_secret(r, vs_bytes_of(wrapped.p, k), arena, &kek, err);
	if (vs_failed(oaep) && oaep.code != VS_E_DATA)
		return oaep;
	const bool usable = !vs_failed(oaep) && kek.n == other.n;
	return unwrap(priv->o, vs_secret_view(usable ? &kek : &other), VS_WRAP_KWP,
		vs_bytes_of(NULL, 0), vs_bytes_of(wrapped.p + k, wrapped.n - k), arena, ret, err);
}
