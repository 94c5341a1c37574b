/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Version 3.0 messages: one key, many AES-GCM messages, each in one call or in parts, the tag apart
 * from the text. Where asked the IV is made here: its fixed part kept, the rest random or counted.
 */
#include <stdlib.h>
#include <string.h>

#include "crypto/ossl.h"
#include "token/session.h"

enum { GCM_IV_MADE_MIN = 12 };

/* The tag's place is needed only where the message ends. IV rules are for making one. */
static VS_CK
load_params(
	enum vs_op_kind kind, const struct vs_msg_args *a, bool last, CK_GCM_MESSAGE_PARAMS *ret)
{
	if (a->parameter == NULL || a->parameter_n != sizeof *ret)
		return CKR_MECHANISM_PARAM_INVALID;
	memcpy(ret, a->parameter, sizeof *ret);
	if (ret->pIv == NULL || ret->ulIvLen == 0 || ret->ulIvLen > VS_AEAD_IV_MAX ||
		(last && ret->pTag == NULL) || ret->ulTagBits > 128 || ret->ulTagBits % 8 != 0)
		return CKR_MECHANISM_PARAM_INVALID;
	if (kind == VS_OP_MSG_ENCRYPT && ret->ulIvFixedBits > ret->ulIvLen * 8)
		return CKR_MECHANISM_PARAM_INVALID;
	return CKR_OK;
}

/* A counter at the end of the IV. False when it has no room there any more. */
static bool
put_count(uint8_t *to, size_t n, uint64_t count)
{
	for (size_t i = n; i > 0; i--) {
		to[i - 1] = (uint8_t)count;
		count >>= 8;
	}
	return count == 0;
}

/*
 * The IV for the next message; 96 bits at least, so that random ones do not meet. The counter
 * starts at zero, as the standard says, and goes on to the end of the session: a key may go and
 * come back, with a lease, a list of keys or another key between, and must not meet an IV again.
 */
static VS_CK
make_iv(struct vs_op *op, const CK_GCM_MESSAGE_PARAMS *p, uint8_t *iv)
{
	memcpy(iv, p->pIv, p->ulIvLen);
	const size_t fixed = (p->ulIvFixedBits + 7) / 8;
	switch (p->ivGenerator) {
	case CKG_NO_GENERATE: return CKR_OK;
	case CKG_GENERATE:
	case CKG_GENERATE_RANDOM:
		if (p->ulIvLen < GCM_IV_MADE_MIN || p->ulIvLen - fixed < 8)
			return CKR_MECHANISM_PARAM_INVALID;
		return vs_ckrv(vs_random(iv + fixed, p->ulIvLen - fixed, NULL), VS_DOING_ENCRYPT);
	case CKG_GENERATE_COUNTER:
		if (p->ulIvLen < GCM_IV_MADE_MIN || p->ulIvLen - fixed < 4 ||
			!put_count(iv + fixed, p->ulIvLen - fixed, op->msg_count))
			return CKR_MECHANISM_PARAM_INVALID;
		op->msg_count++;
		return CKR_OK;
	default: return CKR_MECHANISM_PARAM_INVALID;
	}
}

/* ---- in one call --------------------------------------------------------------------------- */

static VS_CK
seal(struct vs_op *op, const struct vs_msg_args *a, const CK_GCM_MESSAGE_PARAMS *p)
{
	uint8_t iv[VS_AEAD_IV_MAX];
	const size_t tag = p->ulTagBits / 8;
	VS_CK_TRY(make_iv(op, p, iv));
	const struct vs_cipher_params cp = {
		.iv = {iv, p->ulIvLen}, .aad = {a->aad, a->aad_n}, .tag_bytes = (uint32_t)tag};
	const vs_rc ok = vs_cipher_check(VS_CIPHER_GCM, &cp, NULL);
	if (vs_failed(ok))
		return vs_ckrv(ok, VS_DOING_ENCRYPT);
	uint8_t *both = malloc(a->in_n + tag);
	size_t n = 0;
	if (both == NULL)
		return CKR_HOST_MEMORY;
	vs_rc rc = vs_cipher_start(op->cipher, &cp, NULL);
	if (!vs_failed(rc))
		rc = vs_cipher_once(op->cipher, (struct vs_bytes){a->in, a->in_n}, both,
			a->in_n + tag, &n, NULL);
	if (!vs_failed(rc)) {
		if (a->in_n != 0)
			memcpy(a->out, both, a->in_n);
		memcpy(p->pTag, both + a->in_n, tag);
		memcpy(p->pIv, iv, p->ulIvLen);
		*a->out_n = a->in_n;
	}
	free(both);
	return vs_ckrv(rc, VS_DOING_ENCRYPT);
}

static VS_CK
unseal(struct vs_op *op, const struct vs_msg_args *a, const CK_GCM_MESSAGE_PARAMS *p)
{
	const size_t tag = p->ulTagBits / 8;
	const struct vs_cipher_params cp = {
		.iv = {p->pIv, p->ulIvLen}, .aad = {a->aad, a->aad_n}, .tag_bytes = (uint32_t)tag};
	const vs_rc ok = vs_cipher_check(VS_CIPHER_GCM, &cp, NULL);
	if (vs_failed(ok))
		return vs_ckrv(ok, VS_DOING_DECRYPT);
	uint8_t *both = malloc(a->in_n + tag);
	size_t n = 0;
	if (both == NULL)
		return CKR_HOST_MEMORY;
	if (a->in_n != 0)
		memcpy(both, a->in, a->in_n);
	memcpy(both + a->in_n, p->pTag, tag);
	vs_rc rc = vs_cipher_start(op->cipher, &cp, NULL);
	if (!vs_failed(rc))
		rc = vs_cipher_once(op->cipher, (struct vs_bytes){both, a->in_n + tag}, a->out,
			*a->out_n, &n, NULL);
	if (!vs_failed(rc))
		*a->out_n = n;
	free(both);
	/* Whoever uses this interface knows version 3.0's code for it. */
	return rc.code == VS_E_DATA ? CKR_AEAD_DECRYPT_FAILED : vs_ckrv(rc, VS_DOING_DECRYPT);
}

VS_CK
vs_op_message_get(
	struct vs_session *s, enum vs_op_kind kind, enum vs_phase want, struct vs_op **ret)
{
	struct vs_op *op = s->op[kind];
	if (op == NULL || op->phase == VS_PHASE_IDLE)
		return CKR_OPERATION_NOT_INITIALIZED;
	if (op->phase != want)
		return want == VS_PHASE_MESSAGE ? CKR_OPERATION_ACTIVE
						: CKR_OPERATION_NOT_INITIALIZED;
	if (op->stopped != VS_E_OK)
		return vs_op_allowed(s, op);
	*ret = op;
	return CKR_OK;
}

static bool
bad_args(const struct vs_msg_args *a)
{
	return vs_op_bad_input(a->in, a->in_n) || (a->aad == NULL && a->aad_n != 0) ||
		a->aad_n > VS_AEAD_AAD_MAX;
}

VS_CK
vs_op_message(struct vs_session *s, enum vs_op_kind kind, const struct vs_msg_args *a)
{
	CK_GCM_MESSAGE_PARAMS p;
	CK_RV rv = CKR_OK;
	struct vs_op *op = NULL;
	VS_CK_TRY(vs_op_message_get(s, kind, VS_PHASE_MESSAGE, &op));
	if (a->out_n == NULL || bad_args(a))
		return CKR_ARGUMENTS_BAD;
	VS_CK_TRY(load_params(kind, a, true, &p));
	if (!vs_op_room(a->in_n, true, a->out, a->out_n, &rv))
		return rv;
	VS_CK_TRY(vs_op_allowed(s, op));
	return kind == VS_OP_MSG_ENCRYPT ? seal(op, a, &p) : unseal(op, a, &p);
}

/* ---- in parts ------------------------------------------------------------------------------ */

VS_CK
vs_op_message_begin(struct vs_session *s, enum vs_op_kind kind, const struct vs_msg_args *a)
{
	CK_GCM_MESSAGE_PARAMS p;
	uint8_t iv[VS_AEAD_IV_MAX];
	struct vs_op *op = NULL;
	VS_CK_TRY(vs_op_message_get(s, kind, VS_PHASE_MESSAGE, &op));
	if (bad_args(a))
		return CKR_ARGUMENTS_BAD;
	VS_CK_TRY(load_params(kind, a, false, &p));
	const struct vs_cipher_params cp = {.iv = {iv, p.ulIvLen},
		.aad = {a->aad, a->aad_n},
		.tag_bytes = (uint32_t)(p.ulTagBits / 8)};
	memcpy(iv, p.pIv, p.ulIvLen);
	VS_CK_TRY(vs_ckrv(vs_cipher_check(VS_CIPHER_GCM, &cp, NULL), VS_DOING_ENCRYPT));
	VS_CK_TRY(vs_op_allowed(s, op));
	if (kind == VS_OP_MSG_ENCRYPT)
		VS_CK_TRY(make_iv(op, &p, iv));
	VS_CK_TRY(vs_ckrv(vs_cipher_start(op->cipher, &cp, NULL), VS_DOING_ENCRYPT));
	if (kind == VS_OP_MSG_ENCRYPT)
		memcpy(p.pIv, iv, p.ulIvLen);
	op->msg_tag = cp.tag_bytes;
	op->msg_held = 0;
	op->phase = VS_PHASE_MESSAGE_PARTS;
	return CKR_OK;
}

static VS_CK
seal_next(struct vs_op *op, const struct vs_msg_args *a, uint8_t *tag)
{
	uint8_t end[16];
	size_t n = 0, end_n = 0;
	vs_rc rc = vs_cipher_update(
		op->cipher, (struct vs_bytes){a->in, a->in_n}, a->out, *a->out_n, &n, NULL);
	if (!vs_failed(rc) && tag != NULL)
		rc = vs_cipher_final(op->cipher, end, sizeof end, &end_n, NULL);
	if (vs_failed(rc))
		return vs_ckrv(rc, VS_DOING_ENCRYPT);
	*a->out_n = n;
	if (tag != NULL)
		memcpy(tag, end, end_n);
	return CKR_OK;
}

/*
 * All of the text comes with the last part, when the tag has said that it is the sender's: before
 * that it could be anybody's, and an application would have acted on it.
 */
static VS_CK
unseal_next(struct vs_op *op, const struct vs_msg_args *a, const uint8_t *tag)
{
	size_t n = 0;
	vs_rc rc = vs_cipher_update(
		op->cipher, (struct vs_bytes){a->in, a->in_n}, a->out, *a->out_n, &n, NULL);
	if (!vs_failed(rc) && tag != NULL)
		rc = vs_cipher_update(op->cipher, (struct vs_bytes){tag, op->msg_tag}, a->out,
			*a->out_n, &n, NULL);
	if (!vs_failed(rc) && tag != NULL)
		rc = vs_cipher_final(op->cipher, a->out, *a->out_n, &n, NULL);
	if (rc.code == VS_E_DATA)
		return CKR_AEAD_DECRYPT_FAILED;
	if (vs_failed(rc))
		return vs_ckrv(rc, VS_DOING_DECRYPT);
	op->msg_held += a->in_n;
	*a->out_n = n;
	return CKR_OK;
}

static VS_CK
next(struct vs_session *s, struct vs_op *op, const struct vs_msg_args *a, CK_FLAGS flags,
	bool *ret_done)
{
	CK_GCM_MESSAGE_PARAMS p;
	CK_RV rv = CKR_OK;
	const bool last = (flags & CKF_END_OF_MESSAGE) != 0;
	const bool encrypt = op->kind == VS_OP_MSG_ENCRYPT;
	if (a->out_n == NULL || bad_args(a) || (flags & ~CKF_END_OF_MESSAGE) != 0)
		return CKR_ARGUMENTS_BAD;
	VS_CK_TRY(load_params(op->kind, a, last, &p));
	/* The tag's length was part of how the message began. */
	if (p.ulTagBits / 8 != op->msg_tag)
		return CKR_MECHANISM_PARAM_INVALID;
	const size_t need = encrypt ? a->in_n : last ? op->msg_held + a->in_n : 0;
	if (!vs_op_room(need, true, a->out, a->out_n, &rv))
		return rv;
	VS_CK_TRY(vs_op_allowed(s, op));
	*ret_done = last;
	return encrypt ? seal_next(op, a, last ? p.pTag : NULL)
		       : unseal_next(op, a, last ? p.pTag : NULL);
}

VS_CK
vs_op_message_next(
	struct vs_session *s, enum vs_op_kind kind, const struct vs_msg_args *a, CK_FLAGS flags)
{
	struct vs_op *op = NULL;
	bool done = false;
	VS_CK_TRY(vs_op_message_get(s, kind, VS_PHASE_MESSAGE_PARTS, &op));
	const CK_RV rv = next(s, op, a, flags, &done);
	if ((done || (rv != CKR_OK && rv != CKR_BUFFER_TOO_SMALL)) && op->phase != VS_PHASE_IDLE)
		op->phase = VS_PHASE_MESSAGE;
	return rv;
}

VS_CK
vs_op_message_final(struct vs_session *s, enum vs_op_kind kind)
{
	struct vs_op *op = NULL;
	VS_CK_TRY(vs_op_message_get(s, kind, VS_PHASE_MESSAGE, &op));
	vs_op_end(op);
	return CKR_OK;
}
