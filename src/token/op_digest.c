/* SPDX-License-Identifier: BSD-2-Clause */
/* Digests, keys into digests, random numbers: nothing here needs a lease. */
#include "crypto/ossl.h"
#include "token/session.h"

/* A digest has no key: its context needs the library context only. */
static VS_CK
prepare(struct vs_op *op)
{
	const enum vs_hash hash = (enum vs_hash)op->row->hash;
	if (op->digest != NULL && vs_digest_hash(op->digest) == hash)
		return CKR_OK;
	vs_digest_free(op->digest);
	op->digest = NULL;
	struct vs_ossl *ossl = NULL;
	const vs_rc rc = vs_instance_ossl(op->inst, &ossl, NULL);
	if (vs_failed(rc))
		return vs_ckrv(rc, VS_DOING_ANY);
	return vs_ckrv(vs_digest_new(ossl, hash, &op->digest, NULL), VS_DOING_ANY);
}

static VS_CK
check(const struct vs_op *op, const struct vs_key_desc *desc)
{
	(void)op;
	(void)desc;
	return CKR_OK;
}

static size_t
size(const struct vs_op *op)
{
	return vs_hash_size((enum vs_hash)op->row->hash);
}

static size_t
once_size(const struct vs_op *op, size_t in_n, bool *ret_exact)
{
	(void)in_n;
	*ret_exact = true;
	return size(op);
}

static VS_CK
once(struct vs_op *op, struct vs_bytes in, uint8_t *out, size_t cap, size_t *ret_n)
{
	(void)cap;
	*ret_n = size(op);
	return vs_ckrv(vs_digest_once(op->digest, in, out, NULL), VS_DOING_ANY);
}

static VS_CK
start(struct vs_op *op)
{
	return vs_ckrv(vs_digest_start(op->digest, NULL), VS_DOING_ANY);
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
	return vs_ckrv(vs_digest_update(op->digest, in, NULL), VS_DOING_ANY);
}

static size_t
final_size(const struct vs_op *op, bool *ret_exact)
{
	*ret_exact = true;
	return size(op);
}

static VS_CK
final(struct vs_op *op, uint8_t *out, size_t cap, size_t *ret_n)
{
	(void)cap;
	*ret_n = size(op);
	return vs_ckrv(vs_digest_final(op->digest, out, NULL), VS_DOING_ANY);
}

const struct vs_engine vs_engine_digest = {
	.name = "digest",
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

/* Only what could be read anyway is digested: the value of a short secret is its digest's secret.
 */
VS_CK
vs_op_digest_key(struct vs_session *s, CK_OBJECT_HANDLE key)
{
	if (!vs_op_active(s, VS_OP_DIGEST))
		return CKR_OPERATION_NOT_INITIALIZED;
	struct vs_object *o = vs_session_object(s, key);
	if (o == NULL || !((1u << o->kind) & VS_K_KEYS)) {
		vs_object_unref(o);
		return CKR_KEY_HANDLE_INVALID;
	}
	struct vs_value v = {0};
	const bool secret = ((1u << o->kind) & VS_K_SECRET) && !vs_object_is_token(o);
	CK_RV rv = CKR_KEY_INDIGESTIBLE;
	if (secret && vs_object_get(o, CKA_VALUE, &v) == VS_GET_OK)
		rv = vs_op_update(s, VS_OP_DIGEST, v.p, v.n, NULL, NULL);
	vs_object_unref(o);
	return rv;
}

VS_CK
vs_op_random(void *out, CK_ULONG n)
{
	enum { RANDOM_MAX = 64 << 20 };
	if ((out == NULL && n != 0) || n > RANDOM_MAX)
		return CKR_ARGUMENTS_BAD;
	return vs_ckrv(vs_random(out, n, NULL), VS_DOING_ANY);
}
