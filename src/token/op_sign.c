/* SPDX-License-Identifier: BSD-2-Clause */
/* Signatures and MACs, made and checked. */
#include "token/op.h"

static bool
verifies(const struct vs_op *op)
{
	return op->kind == VS_OP_VERIFY || op->kind == VS_OP_MSG_VERIFY;
}

static enum vs_doing
doing(const struct vs_op *op)
{
	return verifies(op) ? VS_DOING_VERIFY : VS_DOING_SIGN;
}

static VS_CK
check(const struct vs_op *op, const struct vs_key_desc *desc)
{
	return vs_ckrv(vs_sign_check(desc, &op->params.sign, NULL), doing(op));
}

static VS_CK
prepare(struct vs_op *op)
{
	const bool verify = verifies(op);
	if (op->signer != NULL && vs_signer_fits(op->signer, op->key, &op->params.sign, verify))
		return CKR_OK;
	vs_signer_free(op->signer);
	op->signer = NULL;
	return vs_ckrv(
		vs_signer_new(op->key, &op->params.sign, verify, &op->signer, NULL), doing(op));
}

static size_t
once_size(const struct vs_op *op, size_t in_n, bool *ret_exact)
{
	(void)in_n;
	*ret_exact = true;
	return vs_signer_size(op->signer);
}

static VS_CK
once(struct vs_op *op, struct vs_bytes in, uint8_t *out, size_t cap, size_t *ret_n)
{
	return vs_ckrv(vs_signer_sign_once(op->signer, in, out, cap, ret_n, NULL), VS_DOING_SIGN);
}

static VS_CK
start(struct vs_op *op)
{
	return vs_ckrv(vs_signer_start(op->signer, NULL), doing(op));
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
	return vs_ckrv(vs_signer_update(op->signer, in, NULL), doing(op));
}

static size_t
final_size(const struct vs_op *op, bool *ret_exact)
{
	*ret_exact = true;
	return vs_signer_size(op->signer);
}

static VS_CK
final(struct vs_op *op, uint8_t *out, size_t cap, size_t *ret_n)
{
	return vs_ckrv(vs_signer_sign(op->signer, out, cap, ret_n, NULL), VS_DOING_SIGN);
}

static VS_CK
verify_once(struct vs_op *op, struct vs_bytes in, struct vs_bytes sig)
{
	return vs_ckrv(vs_signer_verify_once(op->signer, in, sig, NULL), VS_DOING_VERIFY);
}

static VS_CK
verify_final(struct vs_op *op, struct vs_bytes sig)
{
	return vs_ckrv(vs_signer_verify(op->signer, sig, NULL), VS_DOING_VERIFY);
}

const struct vs_engine vs_engine_sign = {
	.name = "sign",
	.check = check,
	.prepare = prepare,
	.once_size = once_size,
	.once = once,
	.start = start,
	.update_size = update_size,
	.update = update,
	.final_size = final_size,
	.final = final,
	.verify_once = verify_once,
	.verify_final = verify_final,
};
