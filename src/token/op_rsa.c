/* SPDX-License-Identifier: BSD-2-Clause */
/* RSA encryption and decryption. In parts they are only collected: the work is done at the end. */
#include <stdlib.h>
#include <string.h>

#include "token/op.h"

static bool
encrypts(const struct vs_op *op)
{
	return op->kind == VS_OP_ENCRYPT;
}

static CK_RV
code(const struct vs_op *op, vs_rc rc)
{
	return vs_ckrv(rc, encrypts(op) ? VS_DOING_ENCRYPT : VS_DOING_DECRYPT);
}

static VS_CK
check(const struct vs_op *op, const struct vs_key_desc *desc)
{
	return code(op, vs_rsa_check(desc, &op->params.rsa, NULL));
}

static VS_CK
prepare(struct vs_op *op)
{
	if (op->rsa != NULL && vs_rsa_fits(op->rsa, op->key, &op->params.rsa, encrypts(op)))
		return CKR_OK;
	vs_rsa_free(op->rsa);
	op->rsa = NULL;
	return code(op, vs_rsa_new(op->key, &op->params.rsa, encrypts(op), &op->rsa, NULL));
}

/* Decrypting: an upper bound that tells nothing of the padding. */
static size_t
once_size(const struct vs_op *op, size_t in_n, bool *ret_exact)
{
	(void)in_n;
	*ret_exact = encrypts(op);
	return vs_rsa_size(op->rsa);
}

static VS_CK
once(struct vs_op *op, struct vs_bytes in, uint8_t *out, size_t cap, size_t *ret_n)
{
	if (encrypts(op))
		return code(op, vs_rsa_encrypt(op->rsa, in, out, cap, ret_n, NULL));
	return code(op, vs_rsa_decrypt(op->rsa, in, out, cap, ret_n, NULL));
}

static VS_CK
start(struct vs_op *op)
{
	if (op->acc == NULL)
		op->acc = malloc(VS_RSA_MAX_BYTES);
	op->acc_n = 0;
	return op->acc == NULL ? CKR_HOST_MEMORY : CKR_OK;
}

static size_t
update_size(const struct vs_op *op, size_t in_n)
{
	(void)op;
	(void)in_n;
	return 0;
}

static VS_CK
update(struct vs_op *op, struct vs_bytes in, uint8_t *out, size_t cap, size_t *ret_n)
{
	(void)out;
	(void)cap;
	*ret_n = 0;
	if (in.n > VS_RSA_MAX_BYTES - op->acc_n)
		return encrypts(op) ? CKR_DATA_LEN_RANGE : CKR_ENCRYPTED_DATA_LEN_RANGE;
	if (in.n != 0)
		memcpy(op->acc + op->acc_n, in.p, in.n);
	op->acc_n += in.n;
	return CKR_OK;
}

static size_t
final_size(const struct vs_op *op, bool *ret_exact)
{
	return once_size(op, op->acc_n, ret_exact);
}

static VS_CK
final(struct vs_op *op, uint8_t *out, size_t cap, size_t *ret_n)
{
	return once(op, (struct vs_bytes){op->acc, op->acc_n}, out, cap, ret_n);
}

const struct vs_engine vs_engine_rsa = {
	.name = "rsa",
	.check = check,
	.prepare = prepare,
	.once_size = once_size,
	.once = once,
	.start = start,
	.update_size = update_size,
	.update = update,
	.final_size = final_size,
	.final = final,
};
