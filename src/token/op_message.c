/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Version 3.0 messages: one key, many AES-GCM messages, the tag apart from the text. Where asked
 * the IV is made here: random, or its fixed part kept and the rest random or counted.
 */
#include <stdlib.h>
#include <string.h>

#include "crypto/ossl.h"
#include "token/session.h"

enum { GCM_IV_MADE_MIN = 12 };

static VS_CK
load_params(const struct vs_msg_args *a, CK_GCM_MESSAGE_PARAMS *ret)
{
	if (a->parameter == NULL || a->parameter_n != sizeof *ret)
		return CKR_MECHANISM_PARAM_INVALID;
	memcpy(ret, a->parameter, sizeof *ret);
	if (ret->pIv == NULL || ret->pTag == NULL || ret->ulIvLen == 0 ||
		ret->ulIvLen > VS_AEAD_IV_MAX || ret->ulTagBits > 128 || ret->ulTagBits % 8 != 0 ||
		ret->ulIvFixedBits > ret->ulIvLen * 8)
		return CKR_MECHANISM_PARAM_INVALID;
	return CKR_OK;
}

/* Count up the last octets of the IV, not into its fixed part. False when they ran over. */
static bool
count_up(uint8_t *iv, size_t n, size_t fixed)
{
	for (size_t i = n; i > fixed; i--) {
		if (++iv[i - 1] != 0)
			return true;
	}
	return false;
}

/*
 * The IV for the next message. A generator that counts starts from what the caller's buffer
 * holds, which is where the last call left it; 96 bits at least, so that random ones do not meet.
 */
static VS_CK
make_iv(const CK_GCM_MESSAGE_PARAMS *p, uint8_t *iv)
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
		if (p->ulIvLen < GCM_IV_MADE_MIN || p->ulIvLen - fixed < 4)
			return CKR_MECHANISM_PARAM_INVALID;
		return count_up(iv, p->ulIvLen, fixed) ? CKR_OK : CKR_MECHANISM_PARAM_INVALID;
	default: return CKR_MECHANISM_PARAM_INVALID;
	}
}

static VS_CK
seal(struct vs_op *op, const struct vs_msg_args *a, const CK_GCM_MESSAGE_PARAMS *p)
{
	uint8_t iv[VS_AEAD_IV_MAX];
	const size_t tag = p->ulTagBits / 8;
	VS_CK_TRY(make_iv(p, iv));
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
vs_op_message(struct vs_session *s, enum vs_op_kind kind, const struct vs_msg_args *a)
{
	CK_GCM_MESSAGE_PARAMS p;
	CK_RV rv = CKR_OK;
	struct vs_op *op = s->op[kind];
	if (op == NULL || op->phase != VS_PHASE_MESSAGE)
		return CKR_OPERATION_NOT_INITIALIZED;
	if (op->stopped != VS_E_OK)
		return vs_op_allowed(s, op);
	if (a->out_n == NULL || (a->in == NULL && a->in_n != 0) ||
		(a->aad == NULL && a->aad_n != 0) || a->in_n > SIZE_MAX / 4 ||
		a->aad_n > VS_AEAD_AAD_MAX)
		return CKR_ARGUMENTS_BAD;
	VS_CK_TRY(load_params(a, &p));
	if (!vs_op_room(a->in_n, true, a->out, a->out_n, &rv))
		return rv;
	VS_CK_TRY(vs_op_allowed(s, op));
	return kind == VS_OP_MSG_ENCRYPT ? seal(op, a, &p) : unseal(op, a, &p);
}

VS_CK
vs_op_message_final(struct vs_session *s, enum vs_op_kind kind)
{
	struct vs_op *op = s->op[kind];
	if (op == NULL || op->phase != VS_PHASE_MESSAGE)
		return CKR_OPERATION_NOT_INITIALIZED;
	vs_op_end(op);
	return CKR_OK;
}
