/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/cipher.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/cipher_internal.h"

enum { HOLD_KEEP = 256 << 10 }; /* a larger hold buffer is given back after its message */

bool
vs_cipher_pads(const struct vs_cipher *c)
{
	return c->mode == VS_CIPHER_CBC_PAD;
}

bool
vs_cipher_is_block(const struct vs_cipher *c)
{
	return c->mode == VS_CIPHER_ECB || c->mode == VS_CIPHER_CBC || c->mode == VS_CIPHER_CBC_PAD;
}

bool
vs_cipher_holds(const struct vs_cipher *c)
{
	return c->mode == VS_CIPHER_CCM || (c->mode == VS_CIPHER_GCM && !c->encrypt);
}

/* ---- parameters -------------------------------------------------------------------------- */

static vs_rc
check_ccm(const struct vs_cipher_params *p, struct vs_err *err)
{
	if (p->iv.n < 7 || p->iv.n > 13)
		VS_FAIL(err, PARAM, "a CCM nonce has 7 to 13 octets, not %zu", p->iv.n);
	if (p->tag_bytes < 4 || p->tag_bytes > 16 || p->tag_bytes % 2 != 0)
		VS_FAIL(err, PARAM, "a CCM tag has 4, 6, 8, 10, 12, 14 or 16 octets, not %u",
			(unsigned)p->tag_bytes);
	const size_t length_octets = 15 - p->iv.n;
	if (length_octets < 8 && p->data_bytes >> (8 * length_octets) != 0)
		VS_FAIL(err, PARAM, "the data is too long for a CCM nonce of %zu octets", p->iv.n);
	if (p->data_bytes > VS_AEAD_HOLD_MAX)
		VS_FAIL(err, LIMIT, "CCM takes at most %d octets at once", (int)VS_AEAD_HOLD_MAX);
	return VS_OK;
}

static vs_rc
check_gcm(const struct vs_cipher_params *p, struct vs_err *err)
{
	if (p->iv.n == 0)
		VS_FAIL(err, PARAM, "GCM needs an initialisation vector");
	if (p->iv.n > VS_AEAD_IV_MAX)
		VS_FAIL(err, PARAM, "a GCM initialisation vector has at most %d octets",
			(int)VS_AEAD_IV_MAX);
	if (p->tag_bytes > 16 || (p->tag_bytes < 12 && p->tag_bytes != 4 && p->tag_bytes != 8))
		VS_FAIL(err, PARAM, "a GCM tag has 4, 8 or 12 to 16 octets, not %u",
			(unsigned)p->tag_bytes);
	return VS_OK;
}

vs_rc
vs_cipher_check(enum vs_cipher_mode mode, const struct vs_cipher_params *p, struct vs_err *err)
{
	if (p->aad.n > VS_AEAD_AAD_MAX)
		VS_FAIL(err, PARAM, "at most %d octets of additional data are taken",
			(int)VS_AEAD_AAD_MAX);
	switch (mode) {
	case VS_CIPHER_ECB:
		if (p->iv.n != 0)
			VS_FAIL(err, PARAM, "ECB has no initialisation vector");
		return VS_OK;
	case VS_CIPHER_CTR:
		if (p->ctr_bits == 0 || p->ctr_bits > 128)
			VS_FAIL(err, PARAM, "a counter has 1 to 128 bits, not %u",
				(unsigned)p->ctr_bits);
		/* fall through */
	case VS_CIPHER_CBC:
	case VS_CIPHER_CBC_PAD:
		if (p->iv.n != VS_AES_BLOCK)
			VS_FAIL(err, PARAM, "the initialisation vector has %zu octets, not 16",
				p->iv.n);
		return VS_OK;
	case VS_CIPHER_GCM: return check_gcm(p, err);
	case VS_CIPHER_CCM: return check_ccm(p, err);
	case VS_CIPHER_NONE:
	case VS_CIPHER_COUNT_: break;
	}
	VS_FAIL(err, PARAM, "the cipher mode is not known");
}

/* ---- preparing --------------------------------------------------------------------------- */

static const enum ossl_cipher algs[VS_CIPHER_COUNT_] = {
	[VS_CIPHER_ECB] = OSSL_AES_ECB,
	[VS_CIPHER_CBC] = OSSL_AES_CBC,
	[VS_CIPHER_CBC_PAD] = OSSL_AES_CBC,
	[VS_CIPHER_CTR] = OSSL_AES_CTR,
	[VS_CIPHER_GCM] = OSSL_AES_GCM,
	[VS_CIPHER_CCM] = OSSL_AES_CCM,
};

static void
cipher_done(struct vs_cipher **p)
{
	vs_cipher_free(*p);
	*p = NULL;
}

vs_rc
vs_cipher_new(struct vs_pkey *key, enum vs_cipher_mode mode, bool encrypt, struct vs_cipher **ret,
	struct vs_err *err)
{
	if ((unsigned)mode >= VS_CIPHER_COUNT_ || mode == VS_CIPHER_NONE)
		VS_FAIL(err, PARAM, "the cipher mode is not known");
	if (key->desc.type != VS_KEY_AES)
		VS_FAIL(err, KEY_KIND, "this operation needs an AES key");
	OSSL_ENTER(err);
	VS_CLEANUP(cipher_done) struct vs_cipher *c = calloc(1, sizeof *c);
	if (c == NULL)
		VS_FAIL(err, MEMORY, "no memory for a cipher");
	c->key = vs_pkey_ref(key);
	c->mode = mode;
	c->encrypt = encrypt;
	c->aad.max = VS_AEAD_AAD_MAX;
	c->hold.max = VS_AEAD_HOLD_MAX + 4 * VS_AES_BLOCK;
	VS_TRY(vs_ossl_cipher(key->o, algs[mode], key->octets.n, &c->alg, err));
	c->ctx = EVP_CIPHER_CTX_new();
	if (c->ctx == NULL)
		VS_FAIL(err, MEMORY, "no memory for a cipher");
	/* CCM binds lengths to the key schedule, so it gets the key with each message. */
	OSSL_TRY(err,
		EVP_CipherInit_ex2(c->ctx, c->alg, mode == VS_CIPHER_CCM ? NULL : key->octets.p,
			NULL, encrypt, NULL),
		"a cipher cannot be prepared");
	if (vs_cipher_is_block(c))
		OSSL_TRY(err, EVP_CIPHER_CTX_set_padding(c->ctx, vs_cipher_pads(c)),
			"a cipher cannot be prepared");
	*ret = VS_TAKE(c);
	return VS_OK;
}

void
vs_cipher_empty_hold(struct vs_cipher *c)
{
	const size_t used = c->hold.n > c->dirty ? c->hold.n : c->dirty;
	if (c->hold.p != NULL)
		vs_wipe(c->hold.p, used);
	c->dirty = 0;
	vs_buf_reset(&c->hold);
	if (c->hold.cap > HOLD_KEEP) {
		const size_t max = c->hold.max;
		vs_buf_done(&c->hold);
		c->hold.max = max;
	}
}

void
vs_cipher_free(struct vs_cipher *c)
{
	if (c == NULL)
		return;
	if (!vs_ossl_gone())
		EVP_CIPHER_CTX_free(c->ctx);
	vs_cipher_empty_hold(c);
	vs_wipe(c->last, sizeof c->last);
	vs_buf_done(&c->hold);
	vs_buf_done(&c->aad);
	vs_pkey_unref(c->key);
	free(c);
}

bool
vs_cipher_fits(const struct vs_cipher *c, const struct vs_pkey *key, enum vs_cipher_mode mode,
	bool encrypt)
{
	return c != NULL && c->key == key && c->mode == mode && c->encrypt == encrypt;
}

/* ---- start ------------------------------------------------------------------------------- */

/* How many octets the low bits of the counter allow before they would carry into the rest. */
static uint64_t
ctr_octets(const uint8_t iv[VS_AES_BLOCK], uint32_t bits)
{
	uint64_t low = 0, high = 0;

	for (size_t i = 0; i < 8; i++) {
		high = high << 8 | iv[i];
		low = low << 8 | iv[8 + i];
	}
	uint64_t blocks;
	if (bits < 64) {
		blocks = ((uint64_t)1 << bits) - (low & (((uint64_t)1 << bits) - 1));
	} else {
		const uint32_t above = bits - 64;
		const uint64_t mask = above == 64 ? UINT64_MAX : ((uint64_t)1 << above) - 1;
		if ((high & mask) != mask || low == 0)
			return UINT64_MAX;
		blocks = 0 - low;
	}
	return blocks > UINT64_MAX / VS_AES_BLOCK ? UINT64_MAX : blocks * VS_AES_BLOCK;
}

static vs_rc
start_gcm(struct vs_cipher *c, const struct vs_cipher_params *p, struct vs_err *err)
{
	if (c->iv_n != p->iv.n) {
		OSSL_TRY(err,
			EVP_CIPHER_CTX_ctrl(c->ctx, EVP_CTRL_AEAD_SET_IVLEN, (int)p->iv.n, NULL),
			"an initialisation vector cannot be set");
		c->iv_n = p->iv.n;
	}
	c->tag_bytes = p->tag_bytes;
	OSSL_TRY(err, EVP_CipherInit_ex2(c->ctx, NULL, NULL, p->iv.p, -1, NULL),
		"a cipher cannot be started");
	int n = 0;
	if (p->aad.n != 0)
		OSSL_TRY(err, EVP_CipherUpdate(c->ctx, NULL, &n, p->aad.p, (int)p->aad.n),
			"additional data cannot be set");
	return VS_OK;
}

static vs_rc
start_ccm(struct vs_cipher *c, const struct vs_cipher_params *p, struct vs_err *err)
{
	memcpy(c->iv, p->iv.p, p->iv.n);
	c->iv_n = p->iv.n;
	c->tag_bytes = p->tag_bytes;
	c->data_bytes = p->data_bytes;
	VS_TRY(vs_buf_set(&c->aad, p->aad.p, p->aad.n, err));
	/* All at once, so that no half-filled copy is left behind by a growing buffer. */
	uint8_t *room = NULL;
	return vs_buf_room(&c->hold, (size_t)p->data_bytes + p->tag_bytes, &room, err);
}

vs_rc
vs_cipher_start(struct vs_cipher *c, const struct vs_cipher_params *p, struct vs_err *err)
{
	VS_TRY(vs_ossl_alive(err));
	c->started = false;
	c->pending = 0;
	c->last_ready = false;
	if (c->hold.n != 0)
		vs_cipher_empty_hold(c);
	VS_TRY(vs_cipher_check(c->mode, p, err));
	if (c->mode == VS_CIPHER_GCM) {
		VS_TRY(start_gcm(c, p, err));
	} else if (c->mode == VS_CIPHER_CCM) {
		VS_TRY(start_ccm(c, p, err));
	} else {
		if (c->mode == VS_CIPHER_CTR)
			c->ctr_left = ctr_octets(p->iv.p, p->ctr_bits);
		else if (vs_cipher_pads(c))
			memcpy(c->iv, p->iv.p, VS_AES_BLOCK);
		OSSL_TRY(err,
			EVP_CipherInit_ex2(c->ctx, NULL, NULL,
				c->mode == VS_CIPHER_ECB ? NULL : p->iv.p, -1, NULL),
			"a cipher cannot be started");
	}
	c->started = true;
	return VS_OK;
}

/* ---- sizes ------------------------------------------------------------------------------- */

size_t
vs_cipher_update_size(const struct vs_cipher *c, size_t in_n)
{
	if (vs_cipher_holds(c) || in_n == 0)
		return 0;
	if (!vs_cipher_is_block(c))
		return in_n;
	/* Decrypting with padding, the last whole block is kept back. */
	const size_t keep = vs_cipher_pads(c) && !c->encrypt ? 1 : 0;
	if (in_n > SIZE_MAX - c->pending)
		return SIZE_MAX;
	return (c->pending + in_n - keep) / VS_AES_BLOCK * VS_AES_BLOCK;
}

size_t
vs_cipher_held_out(const struct vs_cipher *c, size_t in_n)
{
	if (c->encrypt)
		return in_n > SIZE_MAX - c->tag_bytes ? SIZE_MAX : in_n + c->tag_bytes;
	return in_n < c->tag_bytes ? 0 : in_n - c->tag_bytes;
}

size_t
vs_cipher_final_size(const struct vs_cipher *c)
{
	if (vs_cipher_holds(c))
		return vs_cipher_held_out(c, c->hold.n);
	if (c->mode == VS_CIPHER_GCM)
		return c->tag_bytes;
	if (c->last_ready)
		return c->last_n;
	return vs_cipher_pads(c) ? VS_AES_BLOCK : 0;
}

size_t
vs_cipher_once_size(const struct vs_cipher *c, size_t in_n)
{
	if (c->mode == VS_CIPHER_GCM || c->mode == VS_CIPHER_CCM)
		return vs_cipher_held_out(c, in_n);
	if (vs_cipher_pads(c) && c->encrypt)
		return in_n > SIZE_MAX - VS_AES_BLOCK
			? SIZE_MAX
			: in_n / VS_AES_BLOCK * VS_AES_BLOCK + VS_AES_BLOCK;
	return in_n;
}
