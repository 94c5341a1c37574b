/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/cipher.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/internal.h"

enum {
	BLOCK = 16,
	CHUNK = 1 << 30, /* EVP counts in int; a multiple of the block */
	HOLD_KEEP = 256 << 10, /* a larger hold buffer is given back after its message */
};

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
	uint8_t iv[BLOCK]; /* CCM, CBC_PAD */
	uint8_t last[BLOCK]; /* CBC_PAD decryption: end of the text, until there is room for it */
	size_t last_n;
	bool last_ready;
	struct vs_buf aad; /* CCM */
	struct vs_buf hold; /* AEAD: what must not be given out or is needed as a whole */
};

static bool
pads(const struct vs_cipher *c)
{
	return c->mode == VS_CIPHER_CBC_PAD;
}

static bool
block_mode(const struct vs_cipher *c)
{
	return c->mode == VS_CIPHER_ECB || c->mode == VS_CIPHER_CBC || c->mode == VS_CIPHER_CBC_PAD;
}

/* Everything is collected and given out at the end. */
static bool
holds(const struct vs_cipher *c)
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
		if (p->iv.n != BLOCK)
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
	c->hold.max = VS_AEAD_HOLD_MAX + 4 * BLOCK;
	VS_TRY(vs_ossl_cipher(key->o, algs[mode], key->octets.n, &c->alg, err));
	c->ctx = EVP_CIPHER_CTX_new();
	if (c->ctx == NULL)
		VS_FAIL(err, MEMORY, "no memory for a cipher");
	/* CCM binds lengths to the key schedule, so it gets the key with each message. */
	OSSL_TRY(err,
		EVP_CipherInit_ex2(c->ctx, c->alg, mode == VS_CIPHER_CCM ? NULL : key->octets.p,
			NULL, encrypt, NULL),
		"a cipher cannot be prepared");
	if (block_mode(c))
		OSSL_TRY(err, EVP_CIPHER_CTX_set_padding(c->ctx, pads(c)),
			"a cipher cannot be prepared");
	*ret = VS_TAKE(c);
	return VS_OK;
}

static void
empty_hold(struct vs_cipher *c)
{
	if (c->hold.p != NULL)
		vs_wipe(c->hold.p, c->hold.n);
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
	empty_hold(c);
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
ctr_octets(const uint8_t iv[BLOCK], uint32_t bits)
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
	return blocks > UINT64_MAX / BLOCK ? UINT64_MAX : blocks * BLOCK;
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
	empty_hold(c);
	VS_TRY(vs_cipher_check(c->mode, p, err));
	if (c->mode == VS_CIPHER_GCM) {
		VS_TRY(start_gcm(c, p, err));
	} else if (c->mode == VS_CIPHER_CCM) {
		VS_TRY(start_ccm(c, p, err));
	} else {
		if (c->mode == VS_CIPHER_CTR)
			c->ctr_left = ctr_octets(p->iv.p, p->ctr_bits);
		else if (pads(c))
			memcpy(c->iv, p->iv.p, BLOCK);
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
	if (holds(c) || in_n == 0)
		return 0;
	if (!block_mode(c))
		return in_n;
	/* Decrypting with padding, the last whole block is kept back. */
	const size_t keep = pads(c) && !c->encrypt ? 1 : 0;
	if (in_n > SIZE_MAX - c->pending)
		return SIZE_MAX;
	return (c->pending + in_n - keep) / BLOCK * BLOCK;
}

static size_t
held_out(const struct vs_cipher *c, size_t in_n)
{
	if (c->encrypt)
		return in_n > SIZE_MAX - c->tag_bytes ? SIZE_MAX : in_n + c->tag_bytes;
	return in_n < c->tag_bytes ? 0 : in_n - c->tag_bytes;
}

size_t
vs_cipher_final_size(const struct vs_cipher *c)
{
	if (holds(c))
		return held_out(c, c->hold.n);
	if (c->mode == VS_CIPHER_GCM)
		return c->tag_bytes;
	if (c->last_ready)
		return c->last_n;
	return pads(c) ? BLOCK : 0;
}

size_t
vs_cipher_once_size(const struct vs_cipher *c, size_t in_n)
{
	if (c->mode == VS_CIPHER_GCM || c->mode == VS_CIPHER_CCM)
		return held_out(c, in_n);
	if (pads(c) && c->encrypt)
		return in_n > SIZE_MAX - BLOCK ? SIZE_MAX : in_n / BLOCK * BLOCK + BLOCK;
	return in_n;
}

/* ---- data -------------------------------------------------------------------------------- */

static vs_rc
refuse_started(const struct vs_cipher *c, struct vs_err *err)
{
	VS_TRY(vs_ossl_alive(err));
	if (!c->started)
		VS_FAIL(err, STATE, "no cipher operation has been started");
	return VS_OK;
}

static vs_rc
refuse_room(size_t cap, size_t need, size_t *ret_n, struct vs_err *err)
{
	if (cap < need) {
		*ret_n = need;
		VS_FAIL(err, ROOM, "the result needs %zu octets", need);
	}
	return VS_OK;
}

/* EVP_CipherUpdate in pieces that an int can count. */
static vs_rc
feed(struct vs_cipher *c, struct vs_bytes in, uint8_t *out, size_t *ret_n, struct vs_err *err)
{
	size_t done = 0;

	while (in.n != 0) {
		const size_t n = in.n > CHUNK ? CHUNK : in.n;
		int written = 0;
		OSSL_TRY(err, EVP_CipherUpdate(c->ctx, out + done, &written, in.p, (int)n),
			"a cipher failed");
		done += (size_t)written;
		in.p += n;
		in.n -= n;
	}
	*ret_n = done;
	return VS_OK;
}

/*
 * In place with octets kept back, EVP would write ahead of where it reads; then the input is
 * copied first.
 */
static vs_rc
feed_from_copy(
	struct vs_cipher *c, struct vs_bytes in, uint8_t *out, size_t *ret_n, struct vs_err *err)
{
	uint8_t *copy = malloc(in.n);
	if (copy == NULL)
		VS_FAIL(err, MEMORY, "no memory for a cipher");
	memcpy(copy, in.p, in.n);
	const vs_rc rc = feed(c, vs_bytes_of(copy, in.n), out, ret_n, err);
	vs_wipe(copy, in.n);
	free(copy);
	return rc;
}

static vs_rc
count_ctr(struct vs_cipher *c, size_t n, struct vs_err *err)
{
	if (c->mode != VS_CIPHER_CTR)
		return VS_OK;
	if (n > c->ctr_left)
		VS_FAIL(err, DATA_LEN, "the counter would overflow");
	if (c->ctr_left != UINT64_MAX)
		c->ctr_left -= n;
	return VS_OK;
}

static vs_rc
hold(struct vs_cipher *c, struct vs_bytes in, struct vs_err *err)
{
	const uint64_t max = c->mode == VS_CIPHER_CCM
		? c->data_bytes + (c->encrypt ? 0 : c->tag_bytes)
		: (uint64_t)VS_AEAD_HOLD_MAX + c->tag_bytes;

	if (in.n > max - c->hold.n) {
		if (c->mode == VS_CIPHER_CCM)
			VS_FAIL(err, DATA_LEN, "more data comes than CCM was told");
		VS_FAIL(err, LIMIT, "at most %d octets can be held back until the tag is checked",
			(int)VS_AEAD_HOLD_MAX);
	}
	return vs_buf_add(&c->hold, in.p, in.n, err);
}

static vs_rc
run_update(struct vs_cipher *c, struct vs_bytes in, uint8_t *out, size_t *ret_n, struct vs_err *err)
{
	if (holds(c)) {
		*ret_n = 0;
		return hold(c, in, err);
	}
	VS_TRY(count_ctr(c, in.n, err));
	if (c->pending != 0 && in.p == out)
		VS_TRY(feed_from_copy(c, in, out, ret_n, err));
	else
		VS_TRY(feed(c, in, out, ret_n, err));
	if (block_mode(c))
		c->pending += in.n - *ret_n;
	return VS_OK;
}

vs_rc
vs_cipher_update(struct vs_cipher *c, struct vs_bytes in, uint8_t *out, size_t cap, size_t *ret_n,
	struct vs_err *err)
{
	size_t n = 0;

	VS_TRY(refuse_started(c, err));
	VS_REQUIRE(err, !c->last_ready);
	VS_TRY(refuse_room(cap, vs_cipher_update_size(c, in.n), ret_n, err));
	if (in.n != 0) {
		c->started = false;
		VS_TRY(run_update(c, in, out, &n, err));
		c->started = true;
	}
	*ret_n = n;
	return VS_OK;
}

/* ---- AEAD as a whole --------------------------------------------------------------------- */

static vs_rc
refuse_tag(struct vs_err *err)
{
	VS_FAIL(err, DATA, "the data does not decrypt");
}

static vs_rc
gcm_tag(struct vs_cipher *c, uint8_t *out, struct vs_err *err)
{
	uint8_t none[BLOCK];
	int n = 0;

	OSSL_TRY(err, EVP_EncryptFinal_ex(c->ctx, none, &n), "a cipher failed");
	OSSL_TRY(err, EVP_CIPHER_CTX_ctrl(c->ctx, EVP_CTRL_AEAD_GET_TAG, (int)c->tag_bytes, out),
		"a cipher failed");
	return VS_OK;
}

/* text may be decrypted in place; it is the caller's only after success. */
static vs_rc
gcm_open(struct vs_cipher *c, struct vs_bytes in, uint8_t *text, struct vs_err *err)
{
	uint8_t tag[BLOCK], none[BLOCK];
	size_t n = 0;
	int last = 0;

	if (in.n < c->tag_bytes)
		VS_FAIL(err, DATA_LEN, "the ciphertext is shorter than its tag");
	in.n -= c->tag_bytes;
	memcpy(tag, in.p + in.n, c->tag_bytes);
	VS_TRY(feed(c, in, text, &n, err));
	OSSL_TRY(err, EVP_CIPHER_CTX_ctrl(c->ctx, EVP_CTRL_AEAD_SET_TAG, (int)c->tag_bytes, tag),
		"a cipher failed");
	if (EVP_DecryptFinal_ex(c->ctx, none, &last) != 1)
		return refuse_tag(err);
	return VS_OK;
}

static vs_rc
ccm_run(struct vs_cipher *c, struct vs_bytes in, uint8_t *text, struct vs_err *err)
{
	uint8_t tag[BLOCK] = {0}, nothing[1] = {0};
	int n = 0;

	if (!c->encrypt) {
		if (in.n < c->tag_bytes)
			VS_FAIL(err, DATA_LEN, "the ciphertext is shorter than its tag");
		in.n -= c->tag_bytes;
		memcpy(tag, in.p + in.n, c->tag_bytes);
	}
	if (in.n != c->data_bytes)
		VS_FAIL(err, DATA_LEN, "CCM was told %llu octets of data, but %zu came",
			(unsigned long long)c->data_bytes, in.n);
	OSSL_ENTER(err);
	OSSL_TRY(err, EVP_CipherInit_ex2(c->ctx, c->alg, NULL, NULL, c->encrypt, NULL),
		"a cipher failed");
	OSSL_TRY(err, EVP_CIPHER_CTX_ctrl(c->ctx, EVP_CTRL_AEAD_SET_IVLEN, (int)c->iv_n, NULL),
		"a cipher failed");
	OSSL_TRY(err,
		EVP_CIPHER_CTX_ctrl(
			c->ctx, EVP_CTRL_AEAD_SET_TAG, (int)c->tag_bytes, c->encrypt ? NULL : tag),
		"a cipher failed");
	OSSL_TRY(err, EVP_CipherInit_ex2(c->ctx, NULL, c->key->octets.p, c->iv, -1, NULL),
		"a cipher failed");
	OSSL_TRY(err, EVP_CipherUpdate(c->ctx, NULL, &n, NULL, (int)in.n), "a cipher failed");
	if (c->aad.n != 0)
		OSSL_TRY(err, EVP_CipherUpdate(c->ctx, NULL, &n, c->aad.p, (int)c->aad.n),
			"a cipher failed");
	const uint8_t *from = in.n == 0 ? nothing : in.p;
	if (EVP_CipherUpdate(c->ctx, in.n == 0 ? nothing : text, &n, from, (int)in.n) != 1) {
		if (!c->encrypt)
			return refuse_tag(err);
		OSSL_FAIL(err, CRYPTO, "a cipher failed");
	}
	if (c->encrypt)
		OSSL_TRY(err,
			EVP_CIPHER_CTX_ctrl(
				c->ctx, EVP_CTRL_AEAD_GET_TAG, (int)c->tag_bytes, text + in.n),
			"a cipher failed");
	return VS_OK;
}

/* ---- final and one-shot ------------------------------------------------------------------ */

/* What was held becomes the result in place, and is copied out when it is known to be good. */
static vs_rc
final_held(struct vs_cipher *c, uint8_t *out, size_t *ret_n, struct vs_err *err)
{
	const size_t n = held_out(c, c->hold.n);
	const struct vs_bytes in = vs_buf_view(&c->hold);

	VS_TRY(c->mode == VS_CIPHER_GCM ? gcm_open(c, in, c->hold.p, err)
					: ccm_run(c, in, c->hold.p, err));
	if (n != 0)
		memcpy(out, c->hold.p, n);
	if (c->hold.n < n)
		c->hold.n = n;
	*ret_n = n;
	return VS_OK;
}

static vs_rc
final_block(struct vs_cipher *c, uint8_t out[BLOCK], size_t *ret_n, struct vs_err *err)
{
	uint8_t last[2 * BLOCK];
	int n = 0;

	if (c->pending % BLOCK != 0 && (!pads(c) || !c->encrypt))
		VS_FAIL(err, DATA_LEN, "the data is not a multiple of 16 octets");
	if (pads(c) && !c->encrypt && c->pending == 0)
		VS_FAIL(err, DATA_LEN, "padded data has at least 16 octets");
	OSSL_ENTER(err);
	if (EVP_CipherFinal_ex(c->ctx, last, &n) != 1) {
		if (pads(c) && !c->encrypt)
			return refuse_tag(err);
		OSSL_FAIL(err, CRYPTO, "a cipher failed");
	}
	VS_REQUIRE(err, n >= 0 && n <= BLOCK);
	if (n > 0)
		memcpy(out, last, (size_t)n);
	vs_wipe(last, sizeof last);
	*ret_n = (size_t)n;
	return VS_OK;
}

static vs_rc
run_final(struct vs_cipher *c, uint8_t *out, size_t *ret_n, struct vs_err *err)
{
	if (holds(c))
		return final_held(c, out, ret_n, err);
	if (block_mode(c))
		return final_block(c, out, ret_n, err);
	*ret_n = 0;
	if (c->mode == VS_CIPHER_GCM) {
		*ret_n = c->tag_bytes;
		return gcm_tag(c, out, err);
	}
	return VS_OK;
}

/* The end of padded text has a length that is known only after decryption. */
static vs_rc
final_padded(struct vs_cipher *c, uint8_t *out, size_t cap, size_t *ret_n, struct vs_err *err)
{
	if (!c->last_ready) {
		c->started = false;
		VS_TRY(final_block(c, c->last, &c->last_n, err));
		c->last_ready = true;
		c->started = true;
	}
	VS_TRY(refuse_room(cap, c->last_n, ret_n, err));
	if (c->last_n != 0)
		memcpy(out, c->last, c->last_n);
	*ret_n = c->last_n;
	vs_wipe(c->last, sizeof c->last);
	c->started = c->last_ready = false;
	return VS_OK;
}

vs_rc
vs_cipher_final(struct vs_cipher *c, uint8_t *out, size_t cap, size_t *ret_n, struct vs_err *err)
{
	VS_TRY(refuse_started(c, err));
	if (pads(c) && !c->encrypt)
		return final_padded(c, out, cap, ret_n, err);
	VS_TRY(refuse_room(cap, vs_cipher_final_size(c), ret_n, err));
	c->started = false;
	const vs_rc rc = run_final(c, out, ret_n, err);
	if (c->hold.n != 0)
		empty_hold(c);
	return rc;
}

/* Into our own buffer first, so that out stays as it was when the answer is no. */
static vs_rc
once_held(struct vs_cipher *c, struct vs_bytes in, uint8_t *out, size_t *ret_n, struct vs_err *err)
{
	uint8_t *text = NULL;
	const size_t n = held_out(c, in.n);

	if (in.n > VS_AEAD_HOLD_MAX + BLOCK)
		VS_FAIL(err, LIMIT, "at most %d octets can be held back until the tag is checked",
			(int)VS_AEAD_HOLD_MAX);
	VS_TRY(vs_buf_room(&c->hold, n, &text, err));
	c->hold.n = n;
	VS_TRY(c->mode == VS_CIPHER_GCM ? gcm_open(c, in, text, err) : ccm_run(c, in, text, err));
	if (n != 0)
		memcpy(out, text, n);
	*ret_n = n;
	return VS_OK;
}

/* The same for padded text; when there is no room the message can be given once more. */
static vs_rc
once_padded(struct vs_cipher *c, struct vs_bytes in, uint8_t *out, size_t cap, size_t *ret_n,
	struct vs_err *err)
{
	uint8_t *text = NULL;
	size_t n = 0, more = 0;

	if (in.n > VS_AEAD_HOLD_MAX)
		VS_FAIL(err, LIMIT,
			"at most %d octets can be held back until the padding is checked",
			(int)VS_AEAD_HOLD_MAX);
	VS_TRY(vs_buf_room(&c->hold, in.n + BLOCK, &text, err));
	c->hold.n = in.n + BLOCK;
	VS_TRY(feed(c, in, text, &n, err));
	c->pending = in.n - n;
	VS_TRY(final_block(c, text + n, &more, err));
	n += more;
	c->pending = 0;
	if (cap < n) {
		OSSL_TRY(err, EVP_CipherInit_ex2(c->ctx, NULL, NULL, c->iv, -1, NULL),
			"a cipher failed");
		c->started = true;
		return refuse_room(cap, n, ret_n, err);
	}
	if (n != 0)
		memcpy(out, text, n);
	*ret_n = n;
	return VS_OK;
}

static vs_rc
once_direct(
	struct vs_cipher *c, struct vs_bytes in, uint8_t *out, size_t *ret_n, struct vs_err *err)
{
	size_t n = 0, more = 0;

	if (block_mode(c) && !pads(c) && in.n % BLOCK != 0)
		VS_FAIL(err, DATA_LEN, "the data is not a multiple of 16 octets");
	VS_TRY(count_ctr(c, in.n, err));
	VS_TRY(feed(c, in, out, &n, err));
	c->pending = in.n - n;
	if (c->mode == VS_CIPHER_GCM || pads(c))
		VS_TRY(run_final(c, out + n, &more, err));
	*ret_n = n + more;
	return VS_OK;
}

vs_rc
vs_cipher_once(struct vs_cipher *c, struct vs_bytes in, uint8_t *out, size_t cap, size_t *ret_n,
	struct vs_err *err)
{
	const bool padded = pads(c) && !c->encrypt;

	VS_TRY(refuse_started(c, err));
	if (c->pending != 0 || c->hold.n != 0 || c->last_ready)
		VS_FAIL(err, STATE, "the operation has already been given data");
	if (!padded)
		VS_TRY(refuse_room(cap, vs_cipher_once_size(c, in.n), ret_n, err));
	c->started = false;
	const vs_rc rc = padded ? once_padded(c, in, out, cap, ret_n, err)
		: holds(c)      ? once_held(c, in, out, ret_n, err)
				: once_direct(c, in, out, ret_n, err);
	if (c->hold.n != 0)
		empty_hold(c);
	return rc;
}
