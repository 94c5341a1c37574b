/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Verification with recovery: what was signed comes out of the signature. A public operation, so
 * nothing here needs a lease. A wrong signature is said before a short buffer is.
 */
#include <string.h>

#include "crypto/rsa_pad.h"
#include "token/op.h"

static const struct vs_rsa_params raw = {.scheme = VS_RSA_RAW};

static VS_CK
check(const struct vs_op *op, const struct vs_key_desc *desc)
{
	return vs_ckrv(vs_sign_check(desc, &op->params.sign, NULL), VS_DOING_VERIFY);
}

static VS_CK
prepare(struct vs_op *op)
{
	if (op->rsa != NULL && vs_rsa_fits(op->rsa, op->key, &raw, true))
		return CKR_OK;
	vs_rsa_free(op->rsa);
	op->rsa = NULL;
	return vs_ckrv(vs_rsa_new(op->key, &raw, true, &op->rsa, NULL), VS_DOING_VERIFY);
}

static size_t
once_size(const struct vs_op *op, size_t in_n, bool *ret_exact)
{
	(void)in_n;
	*ret_exact = false;
	return vs_rsa_size(op->rsa);
}

static VS_CK
once(struct vs_op *op, struct vs_bytes in, uint8_t *out, size_t cap, size_t *ret_n)
{
	uint8_t em[VS_RSA_MAX_BYTES];
	size_t n = 0;
	if (in.n != vs_rsa_size(op->rsa))
		return CKR_SIGNATURE_LEN_RANGE;
	vs_rc rc = vs_rsa_encrypt(op->rsa, in, em, sizeof em, &n, NULL);
	struct vs_bytes data = {em, n};
	if (!vs_failed(rc) && op->params.sign.scheme == VS_SIGN_RSA_PKCS1)
		rc = vs_rsa_unpad_signature(data, &data, NULL);
	if (vs_failed(rc))
		return vs_ckrv(rc, VS_DOING_VERIFY);
	*ret_n = data.n;
	if (cap < data.n)
		return CKR_BUFFER_TOO_SMALL;
	if (data.n != 0)
		memcpy(out, data.p, data.n);
	return CKR_OK;
}

const struct vs_engine vs_engine_recover = {
	.name = "recover",
	.check = check,
	.prepare = prepare,
	.once_size = once_size,
	.once = once,
};
