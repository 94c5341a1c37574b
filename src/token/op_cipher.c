/* SPDX-License-Identifier: BSD-2-Clause */
/* AES modes. */
#include "token/op.h"

static bool
encrypts(const struct vs_op *op)
{
	return op->kind == VS_OP_ENCRYPT || op->kind == VS_OP_MSG_ENCRYPT;
}

static enum vs_doing
doing(const struct vs_op *op)
{
	return encrypts(op) ? VS_DOING_ENCRYPT : VS_DOING_DECRYPT;
}

static enum vs_cipher_mode
mode(const struct vs_op *op)
{
	return (enum vs_cipher_mode)op->row->cipher;
}

/* An AEAD's bad tag has a code of its own in version 3.0, but clients of 2.40 do not know it. */
static CK_RV
code(const struct vs_op *op, vs_rc rc)
{
	return vs_ckrv(rc, doing(op));
}

static VS_CK
check(const struct vs_op *op, const struct vs_key_desc *desc)
{
	(void)desc;
	return code(op, vs_cipher_check(mode(op), &op->params.cipher, NULL));
}

static VS_CK
prepare(struct vs_op *op)
{
	if (op->cipher != NULL && vs_cipher_fits(op->cipher, op->key, mode(op), encrypts(op)))
		return CKR_OK;
	vs_cipher_free(op->cipher);
	op->cipher = NULL;
	return code(op, vs_cipher_new(op->key, mode(op), encrypts(op), &op->cipher, NULL));
}

static bool
unpads(const struct vs_op *op)
{
	return !encrypts(op) && mode(op) == VS_CIPHER_CBC_PAD;
}

/* From the row and the parameters, because the context may not be started yet. */
static size_t
once_size(const struct vs_op *op, size_t in_n, bool *ret_exact)
{
	const size_t tag = op->params.cipher.tag_bytes;
	*ret_exact = !unpads(op);
	switch (mode(op)) {
	case VS_CIPHER_GCM:
	case VS_CIPHER_CCM:
		if (encrypts(op))
			return in_n + tag;
		return in_n > tag ? in_n - tag : 0;
	case VS_CIPHER_CBC_PAD: return encrypts(op) ? (in_n / 16 + 1) * 16 : in_n;
	case VS_CIPHER_NONE:
	case VS_CIPHER_ECB:
	case VS_CIPHER_CBC:
	case VS_CIPHER_CTR:
	case VS_CIPHER_COUNT_: break;
	}
	return in_n;
}

static VS_CK
start(struct vs_op *op)
{
	return code(op, vs_cipher_start(op->cipher, &op->params.cipher, NULL));
}

static VS_CK
once(struct vs_op *op, struct vs_bytes in, uint8_t *out, size_t cap, size_t *ret_n)
{
	VS_CK_TRY(start(op));
	return code(op, vs_cipher_once(op->cipher, in, out, cap, ret_n, NULL));
}

static size_t
update_size(const struct vs_op *op, size_t in_n)
{
	return vs_cipher_update_size(op->cipher, in_n);
}

static VS_CK
update(struct vs_op *op, struct vs_bytes in, uint8_t *out, size_t cap, size_t *ret_n)
{
	return code(op, vs_cipher_update(op->cipher, in, out, cap, ret_n, NULL));
}

static size_t
final_size(const struct vs_op *op, bool *ret_exact)
{
	*ret_exact = !unpads(op);
	return vs_cipher_final_size(op->cipher);
}

static VS_CK
final(struct vs_op *op, uint8_t *out, size_t cap, size_t *ret_n)
{
	return code(op, vs_cipher_final(op->cipher, out, cap, ret_n, NULL));
}

const struct vs_engine vs_engine_cipher = {
	.name = "cipher",
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
