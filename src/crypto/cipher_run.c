/* SPDX-License-Identifier: BSD-2-Clause */
/* Data through a started cipher: in pieces, at the end, or all at once. */
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/params.h>

#include "crypto/cipher_internal.h"

enum {
	CHUNK = 1 << 30, /* EVP counts in int; a multiple of the block */
	KEEP_DIRTY = 64 << 10,
};

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
	if (vs_cipher_holds(c)) {
		*ret_n = 0;
		return hold(c, in, err);
	}
	VS_TRY(count_ctr(c, in.n, err));
	if (c->pending != 0 && in.p == out)
		VS_TRY(feed_from_copy(c, in, out, ret_n, err));
	else
		VS_TRY(feed(c, in, out, ret_n, err));
	if (vs_cipher_is_block(c))
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
	uint8_t none[VS_AES_BLOCK];
	int n = 0;

	OSSL_TRY(err, EVP_EncryptFinal_ex(c->ctx, none, &n), "a cipher failed");
	/* what EVP_CTRL_AEAD_GET_TAG does, by a shorter way */
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, out, c->tag_bytes),
		OSSL_PARAM_construct_end()};
	OSSL_TRY(err, EVP_CIPHER_CTX_get_params(c->ctx, params), "a cipher failed");
	return VS_OK;
}

/* text may be decrypted in place; it is the caller's only after success. */
static vs_rc
gcm_open(struct vs_cipher *c, struct vs_bytes in, uint8_t *text, struct vs_err *err)
{
	uint8_t tag[VS_AES_BLOCK], none[VS_AES_BLOCK];
	size_t n = 0;
	int last = 0;

	if (in.n < c->tag_bytes)
		VS_FAIL(err, DATA_LEN, "the ciphertext is shorter than its tag");
	in.n -= c->tag_bytes;
	memcpy(tag, in.p + in.n, c->tag_bytes);
	VS_TRY(feed(c, in, text, &n, err));
	/* what EVP_CTRL_AEAD_SET_TAG does, by a shorter way */
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag, c->tag_bytes),
		OSSL_PARAM_construct_end()};
	OSSL_TRY(err, EVP_CIPHER_CTX_set_params(c->ctx, params), "a cipher failed");
	if (EVP_DecryptFinal_ex(c->ctx, none, &last) != 1)
		return refuse_tag(err);
	return VS_OK;
}

static vs_rc
ccm_run(struct vs_cipher *c, struct vs_bytes in, uint8_t *text, struct vs_err *err)
{
	uint8_t tag[VS_AES_BLOCK] = {0}, nothing[1] = {0};
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
	const size_t n = vs_cipher_held_out(c, c->hold.n);
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
final_block(struct vs_cipher *c, uint8_t out[VS_AES_BLOCK], size_t *ret_n, struct vs_err *err)
{
	uint8_t last[2 * VS_AES_BLOCK];
	int n = 0;

	if (c->pending % VS_AES_BLOCK != 0 && (!vs_cipher_pads(c) || !c->encrypt))
		VS_FAIL(err, DATA_LEN, "the data is not a multiple of 16 octets");
	if (vs_cipher_pads(c) && !c->encrypt && c->pending == 0)
		VS_FAIL(err, DATA_LEN, "padded data has at least 16 octets");
	OSSL_ENTER(err);
	if (EVP_CipherFinal_ex(c->ctx, last, &n) != 1) {
		if (vs_cipher_pads(c) && !c->encrypt)
			return refuse_tag(err);
		OSSL_FAIL(err, CRYPTO, "a cipher failed");
	}
	VS_REQUIRE(err, n >= 0 && n <= VS_AES_BLOCK);
	if (n > 0)
		memcpy(out, last, (size_t)n);
	vs_wipe(last, sizeof last);
	*ret_n = (size_t)n;
	return VS_OK;
}

static vs_rc
run_final(struct vs_cipher *c, uint8_t *out, size_t *ret_n, struct vs_err *err)
{
	if (vs_cipher_holds(c))
		return final_held(c, out, ret_n, err);
	if (vs_cipher_is_block(c))
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
	if (vs_cipher_pads(c) && !c->encrypt)
		return final_padded(c, out, cap, ret_n, err);
	VS_TRY(refuse_room(cap, vs_cipher_final_size(c), ret_n, err));
	c->started = false;
	const vs_rc rc = run_final(c, out, ret_n, err);
	if (c->hold.n != 0)
		vs_cipher_empty_hold(c);
	return rc;
}

/*
 * Into our own buffer first, so that out stays as it was when the answer is no. What was good the
 * application has now too; it is wiped with the context, not at each message.
 */
static vs_rc
once_held(struct vs_cipher *c, struct vs_bytes in, uint8_t *out, size_t *ret_n, struct vs_err *err)
{
	uint8_t *text = NULL;
	const size_t n = vs_cipher_held_out(c, in.n);

	if (in.n > VS_AEAD_HOLD_MAX + VS_AES_BLOCK)
		VS_FAIL(err, LIMIT, "at most %d octets can be held back until the tag is checked",
			(int)VS_AEAD_HOLD_MAX);
	/* growing would leave a copy behind */
	if (c->dirty != 0 && n >= c->hold.cap)
		vs_cipher_empty_hold(c);
	VS_TRY(vs_buf_room(&c->hold, n, &text, err));
	c->hold.n = n;
	VS_TRY(c->mode == VS_CIPHER_GCM ? gcm_open(c, in, text, err) : ccm_run(c, in, text, err));
	if (n != 0)
		memcpy(out, text, n);
	*ret_n = n;
	if (n <= KEEP_DIRTY) {
		c->dirty = n > c->dirty ? n : c->dirty;
		c->hold.n = 0;
	}
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
	VS_TRY(vs_buf_room(&c->hold, in.n + VS_AES_BLOCK, &text, err));
	c->hold.n = in.n + VS_AES_BLOCK;
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

/* The commonest message: one piece that an int can count. */
static vs_rc
gcm_seal_short(
	struct vs_cipher *c, struct vs_bytes in, uint8_t *out, size_t *ret_n, struct vs_err *err)
{
	int n = 0;

	OSSL_TRY(err, EVP_EncryptUpdate(c->ctx, out, &n, in.p, (int)in.n), "a cipher failed");
	*ret_n = in.n + c->tag_bytes;
	return gcm_tag(c, out + in.n, err);
}

static vs_rc
once_direct(
	struct vs_cipher *c, struct vs_bytes in, uint8_t *out, size_t *ret_n, struct vs_err *err)
{
	size_t n = 0, more = 0;

	if (c->mode == VS_CIPHER_GCM && in.n != 0 && in.n <= CHUNK)
		return gcm_seal_short(c, in, out, ret_n, err);
	if (vs_cipher_is_block(c) && !vs_cipher_pads(c) && in.n % VS_AES_BLOCK != 0)
		VS_FAIL(err, DATA_LEN, "the data is not a multiple of 16 octets");
	VS_TRY(count_ctr(c, in.n, err));
	VS_TRY(feed(c, in, out, &n, err));
	c->pending = in.n - n;
	if (c->mode == VS_CIPHER_GCM || vs_cipher_pads(c))
		VS_TRY(run_final(c, out + n, &more, err));
	*ret_n = n + more;
	return VS_OK;
}

vs_rc
vs_cipher_once(struct vs_cipher *c, struct vs_bytes in, uint8_t *out, size_t cap, size_t *ret_n,
	struct vs_err *err)
{
	const bool padded = vs_cipher_pads(c) && !c->encrypt;

	VS_TRY(refuse_started(c, err));
	if (c->pending != 0 || c->hold.n != 0 || c->last_ready)
		VS_FAIL(err, STATE, "the operation has already been given data");
	if (!padded)
		VS_TRY(refuse_room(cap, vs_cipher_once_size(c, in.n), ret_n, err));
	c->started = false;
	const vs_rc rc = padded      ? once_padded(c, in, out, cap, ret_n, err)
		: vs_cipher_holds(c) ? once_held(c, in, out, ret_n, err)
				     : once_direct(c, in, out, ret_n, err);
	if (c->hold.n != 0)
		vs_cipher_empty_hold(c);
	return rc;
}
