/* SPDX-License-Identifier: BSD-2-Clause */
/* C_WrapKey and C_UnwrapKey. Keys of the token are never wrapped: they are not extractable. */
#include "token/make.h"
#include "token/nested.h"
#include "token/schema.h"

#include <stdlib.h>
#include <string.h>

static void
op_free(struct vs_op **op)
{
	vs_op_free(*op);
}

static struct vs_op *
new_op(struct vs_session *s)
{
	struct vs_op *op = calloc(1, sizeof *op);
	if (op != NULL)
		op->inst = s->token->inst;
	return op;
}

/* ---- wrap
 * ------------------------------------------------------------------------------------------ */

/* The key to be wrapped: a session object that may leave. */
static VS_CK
wrappable(struct vs_session *s, const struct vs_op *op, CK_OBJECT_HANDLE h, struct vs_arena *arena,
	struct vs_secret *ret)
{
	VS_CLEANUP(vs_make_object_done) struct vs_object *o = vs_session_object(s, h);
	if (o == NULL || !((1u << o->kind) & VS_K_KEYS))
		return CKR_KEY_HANDLE_INVALID;
	if (!((1u << o->kind) & (VS_K_SECRET | VS_K_PRIV)))
		return CKR_KEY_NOT_WRAPPABLE;
	if (vs_object_is_token(o) || !vs_object_bool(o, CKA_EXTRACTABLE, false))
		return CKR_KEY_UNEXTRACTABLE;
	if (vs_object_bool(o, CKA_WRAP_WITH_TRUSTED, false) &&
		!vs_object_bool(op->object, CKA_TRUSTED, false))
		return CKR_KEY_NOT_WRAPPABLE;
	/* PKCS#11 3.0 section 5.18.3 has this code for it. */
	if (!vs_nested_admits(op->object, CKA_WRAP_TEMPLATE, o))
		return CKR_KEY_HANDLE_INVALID;
	const struct vs_pkey *key = atomic_load(&o->pkey);
	if (key == NULL)
		return CKR_KEY_NOT_WRAPPABLE;
	return vs_ckrv(vs_pkey_export(key, arena, ret, NULL), VS_DOING_WRAP);
}

static void
cipher_done(struct vs_cipher **c)
{
	vs_cipher_free(*c);
}

static void
rsa_done(struct vs_rsa **r)
{
	vs_rsa_free(*r);
}

static VS_RC
wrap_cipher(const struct vs_op *op, struct vs_bytes plain, struct vs_buf *out, struct vs_err *err)
{
	VS_CLEANUP(cipher_done) struct vs_cipher *c = NULL;
	uint8_t *room = NULL;
	size_t n = 0;
	VS_TRY(vs_cipher_new(op->key, (enum vs_cipher_mode)op->row->cipher, true, &c, err));
	VS_TRY(vs_cipher_start(c, &op->params.cipher, err));
	const size_t size = vs_cipher_once_size(c, plain.n);
	VS_TRY(vs_buf_room(out, size, &room, err));
	VS_TRY(vs_cipher_once(c, plain, room, size, &n, err));
	out->n += n;
	return VS_OK;
}

static VS_RC
wrap_rsa(const struct vs_op *op, struct vs_bytes plain, struct vs_buf *out, struct vs_err *err)
{
	VS_CLEANUP(rsa_done) struct vs_rsa *r = NULL;
	uint8_t *room = NULL;
	size_t n = 0;
	VS_TRY(vs_rsa_new(op->key, &op->params.rsa, true, &r, err));
	VS_TRY(vs_buf_room(out, vs_rsa_size(r), &room, err));
	VS_TRY(vs_rsa_encrypt(r, plain, room, vs_rsa_size(r), &n, err));
	out->n += n;
	return VS_OK;
}

static VS_RC
wrap(const struct vs_op *op, struct vs_bytes plain, struct vs_arena *arena, struct vs_buf *out,
	struct vs_err *err)
{
	const struct vs_params *p = &op->params;
	if (op->row->wrap != VS_WRAP_NONE)
		return vs_wrap(
			op->key, (enum vs_wrap_mode)op->row->wrap, p->wrap_iv, plain, out, err);
	if (op->row->cipher != VS_CIPHER_NONE)
		return wrap_cipher(op, plain, out, err);
	if (op->row->param == VS_PARAM_RSA_AES)
		return vs_rsa_aes_wrap(op->key, p->aes_bits, p->rsa.hash, p->rsa.mgf_hash,
			p->rsa.label, plain, arena, out, err);
	return wrap_rsa(op, plain, out, err);
}

/* From the row, the public description and the length: the gate is not asked for a size. */
static size_t
wrapped_size(const struct vs_op *op, size_t n)
{
	struct vs_key_desc desc;
	vs_keyuse_desc(op->object, &desc);
	if (op->row->wrap != VS_WRAP_NONE)
		return vs_wrap_size((enum vs_wrap_mode)op->row->wrap, n);
	if (op->row->param == VS_PARAM_RSA_AES)
		return (desc.bits + 7) / 8 + vs_wrap_size(VS_WRAP_KWP, n);
	switch ((enum vs_cipher_mode)op->row->cipher) {
	case VS_CIPHER_NONE: return (desc.bits + 7) / 8;
	case VS_CIPHER_CBC_PAD: return (n / 16 + 1) * 16;
	case VS_CIPHER_GCM:
	case VS_CIPHER_CCM: return n + op->params.cipher.tag_bytes;
	case VS_CIPHER_ECB:
	case VS_CIPHER_CBC:
	case VS_CIPHER_CTR:
	case VS_CIPHER_COUNT_: break;
	}
	return n;
}

VS_CK
vs_op_wrap(struct vs_session *s, const void *mechanism, CK_OBJECT_HANDLE wrapping,
	CK_OBJECT_HANDLE key, void *out, CK_ULONG *out_n)
{
	VS_CLEANUP(op_free) struct vs_op *op = new_op(s);
	VS_CLEANUP(vs_make_done) struct vs_make m = {0};
	VS_CLEANUP(vs_secret_done) struct vs_secret plain = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf wrapped = {.max = VS_WRAP_MAX + VS_RSA_MAX_BYTES};
	CK_RV rv = CKR_OK;
	if (op == NULL)
		return CKR_HOST_MEMORY;
	if (out_n == NULL)
		return CKR_ARGUMENTS_BAD;
	VS_CK_TRY(vs_param_row(mechanism, CKF_WRAP, &op->row));
	VS_CK_TRY(vs_param_parse(mechanism, op->row, VS_USE_WRAP, &op->params));
	VS_CK_TRY(vs_make_open(&m, s));
	VS_CK_TRY(vs_op_find(s, op, wrapping, CKA_WRAP, CKR_WRAPPING_KEY_HANDLE_INVALID,
		CKR_WRAPPING_KEY_TYPE_INCONSISTENT));
	VS_CK_TRY(wrappable(s, op, key, m.arena, &plain));
	if (!vs_op_room(wrapped_size(op, plain.n), true, out, out_n, &rv))
		return rv;
	VS_CK_TRY(vs_op_open(s, op));
	VS_CK_TRY(vs_op_allowed(s, op));
	const vs_rc rc = wrap(op, vs_secret_view(&plain), m.arena, &wrapped, NULL);
	if (vs_failed(rc))
		return vs_ckrv(rc, VS_DOING_WRAP);
	if (wrapped.n > *out_n)
		return CKR_GENERAL_ERROR;
	memcpy(out, wrapped.p, wrapped.n);
	*out_n = wrapped.n;
	return CKR_OK;
}

/* ---- unwrap
 * ---------------------------------------------------------------------------------------- */

static VS_RC
unwrap_cipher(const struct vs_op *op, struct vs_bytes in, struct vs_arena *arena,
	struct vs_secret *ret, struct vs_err *err)
{
	VS_CLEANUP(cipher_done) struct vs_cipher *c = NULL;
	VS_CLEANUP(vs_secret_done) struct vs_secret plain = {0};
	size_t n = 0;
	VS_TRY(vs_cipher_new(op->key, (enum vs_cipher_mode)op->row->cipher, false, &c, err));
	VS_TRY(vs_cipher_start(c, &op->params.cipher, err));
	VS_TRY(vs_secret_new(arena, in.n, &plain, err));
	VS_TRY(vs_cipher_once(c, in, plain.p, plain.n, &n, err));
	plain.n = n;
	vs_secret_move(ret, &plain);
	return VS_OK;
}

static VS_RC
unwrap(const struct vs_op *op, struct vs_bytes in, struct vs_arena *arena, struct vs_secret *ret,
	struct vs_err *err)
{
	const struct vs_params *p = &op->params;
	VS_CLEANUP(rsa_done) struct vs_rsa *r = NULL;
	if (op->row->wrap != VS_WRAP_NONE)
		return vs_unwrap(
			op->key, (enum vs_wrap_mode)op->row->wrap, p->wrap_iv, in, arena, ret, err);
	if (op->row->cipher != VS_CIPHER_NONE)
		return unwrap_cipher(op, in, arena, ret, err);
	if (op->row->param == VS_PARAM_RSA_AES)
		return vs_rsa_aes_unwrap(op->key, p->aes_bits, p->rsa.hash, p->rsa.mgf_hash,
			p->rsa.label, in, arena, ret, err);
	VS_TRY(vs_rsa_new(op->key, &p->rsa, false, &r, err));
	return vs_rsa_decrypt_secret(r, in, arena, ret, err);
}

static VS_CK
make_private(struct vs_make *m, const struct vs_tmpl *t, struct vs_bytes der)
{
	CK_ULONG type = CK_UNAVAILABLE_INFORMATION;
	VS_CK_TRY(vs_tmpl_ulong(t, CKA_KEY_TYPE, &type));
	if (type == CK_UNAVAILABLE_INFORMATION)
		return CKR_TEMPLATE_INCOMPLETE;
	VS_CK_TRY(vs_make_object(m, vs_kind_of(CKO_PRIVATE_KEY, type), type));
	VS_CK_TRY(vs_schema_fill(m->object, t, VS_MAKE_GENERATE, m->arena));
	const vs_rc rc = vs_pkey_from_pkcs8(m->ossl, der, &m->key, NULL);
	if (vs_failed(rc))
		return vs_code_cat(rc.code) == VS_CAT_CRYPTO ? CKR_WRAPPED_KEY_INVALID
							     : vs_ckrv(rc, VS_DOING_UNWRAP);
	const enum vs_key_type want = m->object->kind == VS_KIND_PRIV_RSA ? VS_KEY_RSA : VS_KEY_EC;
	if (vs_pkey_desc(m->key).type != want)
		return CKR_WRAPPED_KEY_INVALID;
	return vs_make_from_key(m, CK_UNAVAILABLE_INFORMATION, false);
}

/*
 * RSA PKCS#1 v1.5 gives something for every ciphertext; a length other than the template's is
 * then the only difference an attacker could see. Cutting or filling up to the wanted length
 * leaves none (T-P4).
 */
static VS_CK
even_out(const struct vs_op *op, const struct vs_tmpl *t, struct vs_arena *arena,
	struct vs_secret *octets)
{
	CK_ULONG len = 0;
	VS_CK_TRY(vs_tmpl_ulong(t, CKA_VALUE_LEN, &len));
	if (len == 0 || len == octets->n)
		return CKR_OK;
	if (op->row->cipher == VS_CIPHER_CBC && len < octets->n) {
		octets->n = len; /* what stands behind is the fill of the last block */
		return CKR_OK;
	}
	if (op->row->rsa != VS_RSA_PKCS1 || len > VS_SECRET_KEY_MAX)
		return CKR_WRAPPED_KEY_LEN_RANGE;
	VS_CLEANUP(vs_secret_done) struct vs_secret even = {0};
	const vs_rc rc = vs_secret_new(arena, len, &even, NULL);
	if (vs_failed(rc))
		return vs_ckrv(rc, VS_DOING_UNWRAP);
	memcpy(even.p, octets->p, len < octets->n ? len : octets->n);
	vs_secret_move(octets, &even);
	return CKR_OK;
}

/*
 * Is there a key whose wrapping has this length? Everybody knows it, so it is said apart from what is
 * only known when it is unwrapped; 5.1.6 wants it said first.
 */
static bool
length_can_be(const struct vs_op *op, size_t n)
{
	const enum vs_wrap_mode mode = (enum vs_wrap_mode)op->row->wrap;
	return mode == VS_WRAP_NONE || (n > 8 && vs_wrap_size(mode, n - 8) == n);
}

/* What kind of key it is has to be said, by the caller or by the unwrapping key. */
static VS_CK
is_complete(const struct vs_tmpl *t)
{
	CK_ATTRIBUTE a;
	return vs_tmpl_find(t, CKA_CLASS, &a) && vs_tmpl_find(t, CKA_KEY_TYPE, &a)
		? CKR_OK
		: CKR_TEMPLATE_INCOMPLETE;
}

static VS_CK
make_unwrapped(const struct vs_op *op, struct vs_make *m, const struct vs_tmpl *t,
	struct vs_secret *octets)
{
	CK_ULONG class = CK_UNAVAILABLE_INFORMATION;
	CK_ULONG type = CK_UNAVAILABLE_INFORMATION;
	VS_CK_TRY(vs_tmpl_ulong(t, CKA_CLASS, &class));
	VS_CK_TRY(vs_tmpl_ulong(t, CKA_KEY_TYPE, &type));
	if (class == CKO_PRIVATE_KEY)
		return make_private(m, t, vs_secret_view(octets));
	VS_CK_TRY(even_out(op, t, m->arena, octets));
	return vs_make_secret(m, t, type, vs_secret_view(octets), VS_DOING_UNWRAP);
}

VS_CK
vs_op_unwrap(struct vs_session *s, const void *mechanism, CK_OBJECT_HANDLE unwrapping,
	const void *in, CK_ULONG in_n, const void *tmpl, CK_ULONG n, CK_OBJECT_HANDLE *ret)
{
	VS_CLEANUP(op_free) struct vs_op *op = new_op(s);
	VS_CLEANUP(vs_make_done) struct vs_make m = {0};
	VS_CLEANUP(vs_secret_done) struct vs_secret octets = {0};
	struct vs_merged all;
	struct vs_tmpl t;
	if (op == NULL)
		return CKR_HOST_MEMORY;
	if (ret == NULL || in == NULL)
		return CKR_ARGUMENTS_BAD;
	if (in_n == 0 || in_n > VS_WRAP_MAX + VS_RSA_MAX_BYTES)
		return CKR_WRAPPED_KEY_LEN_RANGE;
	VS_CK_TRY(vs_param_row(mechanism, CKF_UNWRAP, &op->row));
	VS_CK_TRY(vs_param_parse(mechanism, op->row, VS_USE_WRAP, &op->params));
	VS_CK_TRY(vs_tmpl_open_values(tmpl, n, &t));
	VS_CK_TRY(vs_make_open(&m, s));
	VS_CK_TRY(vs_op_find(s, op, unwrapping, CKA_UNWRAP, CKR_UNWRAPPING_KEY_HANDLE_INVALID,
		CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT));
	VS_CK_TRY(vs_nested_merge(op->object, CKA_UNWRAP_TEMPLATE, &t, &all));
	VS_CK_TRY(is_complete(&all.t));
	if (!length_can_be(op, in_n))
		return CKR_WRAPPED_KEY_LEN_RANGE;
	VS_CK_TRY(vs_op_open(s, op));
	VS_CK_TRY(vs_op_allowed(s, op));
	const vs_rc rc = unwrap(op, (struct vs_bytes){in, in_n}, m.arena, &octets, NULL);
	if (vs_failed(rc))
		return vs_ckrv(rc, VS_DOING_UNWRAP);
	VS_CK_TRY(make_unwrapped(op, &m, &all.t, &octets));
	return vs_make_publish(&m, ret);
}
