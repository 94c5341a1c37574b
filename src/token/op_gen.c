/* SPDX-License-Identifier: BSD-2-Clause */
/* Session objects: created, generated, copied, changed, destroyed. */
#include "token/make.h"

#include <string.h>

#include "token/schema.h"

/* A mechanism's own name for the kind of key it makes must not be contradicted. */
static VS_CK
check_type(const struct vs_tmpl *t, CK_OBJECT_CLASS class, CK_KEY_TYPE type)
{
	CK_ULONG c = class;
	CK_ULONG k = type;
	VS_CK_TRY(vs_tmpl_ulong(t, CKA_CLASS, &c));
	VS_CK_TRY(vs_tmpl_ulong(t, CKA_KEY_TYPE, &k));
	return c == class && k == type ? CKR_OK : CKR_TEMPLATE_INCONSISTENT;
}

VS_CK
vs_op_generate(struct vs_session *s, const void *mechanism, const void *tmpl, CK_ULONG n,
	CK_OBJECT_HANDLE *ret)
{
	const struct vs_mech *row = NULL;
	struct vs_params params = {0};
	struct vs_tmpl t;
	CK_ULONG len = 0;
	if (ret == NULL)
		return CKR_ARGUMENTS_BAD;
	VS_CK_TRY(vs_param_row(mechanism, CKF_GENERATE, &row));
	VS_CK_TRY(vs_param_parse(mechanism, row, VS_USE_CRYPT, &params));
	VS_CK_TRY(vs_tmpl_open_values(tmpl, n, &t));
	VS_CK_TRY(check_type(&t, CKO_SECRET_KEY, row->makes));
	VS_CK_TRY(vs_tmpl_ulong(&t, CKA_VALUE_LEN, &len));
	if (len == 0)
		return CKR_TEMPLATE_INCOMPLETE;
	if (len < row->min || len > row->max || (row->makes == CKK_AES && len % 8 != 0))
		return row->makes == CKK_AES ? CKR_ATTRIBUTE_VALUE_INVALID : CKR_KEY_SIZE_RANGE;

	VS_CLEANUP(vs_make_done) struct vs_make m = {0};
	VS_CK_TRY(vs_make_open(&m, s));
	VS_CK_TRY(vs_make_object(&m, vs_kind_of(CKO_SECRET_KEY, row->makes), row->makes));
	VS_CK_TRY(vs_schema_fill(m.object, &t, VS_MAKE_GENERATE, m.arena));
	const vs_rc rc = vs_pkey_generate_octets(m.ossl, m.arena,
		row->makes == CKK_AES ? VS_KEY_AES : VS_KEY_SECRET, len, &m.key, NULL);
	if (vs_failed(rc))
		return vs_ckrv(rc, VS_DOING_ANY);
	VS_CK_TRY(vs_make_from_key(&m, row->type, true));
	return vs_make_publish(&m, ret);
}

static VS_CK
generate_key(const struct vs_make *m, const struct vs_mech *row, const struct vs_tmpl *t,
	struct vs_pkey **ret)
{
	CK_ATTRIBUTE a;
	if (row->makes == CKK_RSA) {
		CK_ULONG bits = 0;
		struct vs_bytes e = {NULL, 0};
		VS_CK_TRY(vs_tmpl_ulong(t, CKA_MODULUS_BITS, &bits));
		if (bits == 0)
			return CKR_TEMPLATE_INCOMPLETE;
		if (bits < VS_RSA_MIN_BITS || bits > VS_RSA_MAX_BITS)
			return CKR_KEY_SIZE_RANGE;
		if (vs_tmpl_find(t, CKA_PUBLIC_EXPONENT, &a))
			e = (struct vs_bytes){a.pValue, a.ulValueLen};
		return vs_ckrv(vs_pkey_generate_rsa(m->ossl, (uint32_t)bits, e, ret, NULL),
			VS_DOING_CREATE);
	}
	if (!vs_tmpl_find(t, CKA_EC_PARAMS, &a))
		return CKR_TEMPLATE_INCOMPLETE;
	const enum vs_curve curve = vs_curve_from_params((struct vs_bytes){a.pValue, a.ulValueLen});
	if (curve == VS_CURVE_NONE)
		return CKR_CURVE_NOT_SUPPORTED;
	return vs_ckrv(vs_pkey_generate_ec(m->ossl, curve, ret, NULL), VS_DOING_CREATE);
}

static VS_CK
half(struct vs_make *m, const struct vs_mech *row, CK_OBJECT_CLASS class, const struct vs_tmpl *t)
{
	VS_CK_TRY(vs_make_object(m, vs_kind_of(class, row->makes), row->makes));
	VS_CK_TRY(vs_schema_fill(m->object, t, VS_MAKE_GENERATE, m->arena));
	return vs_make_from_key(m, row->type, true);
}

VS_CK
vs_op_generate_pair(struct vs_session *s, const void *mechanism, const void *pub_tmpl,
	CK_ULONG pub_n, const void *priv_tmpl, CK_ULONG priv_n, CK_OBJECT_HANDLE *ret_pub,
	CK_OBJECT_HANDLE *ret_priv)
{
	const struct vs_mech *row = NULL;
	struct vs_params params = {0};
	struct vs_tmpl pt, st;
	if (ret_pub == NULL || ret_priv == NULL)
		return CKR_ARGUMENTS_BAD;
	VS_CK_TRY(vs_param_row(mechanism, CKF_GENERATE_KEY_PAIR, &row));
	VS_CK_TRY(vs_param_parse(mechanism, row, VS_USE_CRYPT, &params));
	VS_CK_TRY(vs_tmpl_open_values(pub_tmpl, pub_n, &pt));
	VS_CK_TRY(vs_tmpl_open_values(priv_tmpl, priv_n, &st));
	VS_CK_TRY(check_type(&pt, CKO_PUBLIC_KEY, row->makes));
	VS_CK_TRY(check_type(&st, CKO_PRIVATE_KEY, row->makes));

	VS_CLEANUP(vs_make_done) struct vs_make pub = {0};
	VS_CLEANUP(vs_make_done) struct vs_make priv = {0};
	VS_CK_TRY(vs_make_open(&pub, s));
	VS_CK_TRY(vs_make_open(&priv, s));
	VS_CK_TRY(generate_key(&priv, row, &pt, &priv.key));
	const vs_rc rc = vs_pkey_public_half(priv.key, &pub.key, NULL);
	if (vs_failed(rc))
		return vs_ckrv(rc, VS_DOING_CREATE);
	VS_CK_TRY(half(&pub, row, CKO_PUBLIC_KEY, &pt));
	VS_CK_TRY(half(&priv, row, CKO_PRIVATE_KEY, &st));
	CK_OBJECT_HANDLE h = 0;
	VS_CK_TRY(vs_make_publish(&pub, &h));
	const CK_RV rv = vs_make_publish(&priv, ret_priv);
	if (rv != CKR_OK) /* both or none */
		return vs_store_remove(s->token, h) == CKR_OK ? rv : CKR_GENERAL_ERROR;
	*ret_pub = h;
	return CKR_OK;
}

/* ---- create
 * --------------------------------------------------------------------------------------- */

VS_CK
vs_op_create(struct vs_session *s, const void *tmpl, CK_ULONG n, CK_OBJECT_HANDLE *ret)
{
	struct vs_tmpl t;
	CK_ULONG class = CK_UNAVAILABLE_INFORMATION;
	CK_ULONG type = CK_UNAVAILABLE_INFORMATION;
	bool token = false;
	if (ret == NULL)
		return CKR_ARGUMENTS_BAD;
	VS_CK_TRY(vs_tmpl_open_values(tmpl, n, &t));
	VS_CK_TRY(vs_tmpl_bool(&t, CKA_TOKEN, &token));
	if (token)
		return CKR_TOKEN_WRITE_PROTECTED;
	VS_CK_TRY(vs_tmpl_ulong(&t, CKA_CLASS, &class));
	VS_CK_TRY(vs_tmpl_ulong(&t, CKA_KEY_TYPE, &type));
	if (class == CK_UNAVAILABLE_INFORMATION)
		return CKR_TEMPLATE_INCOMPLETE;
	const bool is_key =
		class == CKO_PUBLIC_KEY || class == CKO_PRIVATE_KEY || class == CKO_SECRET_KEY;
	if (is_key && type == CK_UNAVAILABLE_INFORMATION)
		return CKR_TEMPLATE_INCOMPLETE;
	const enum vs_kind kind = vs_kind_of(class, type);
	if (kind == VS_KIND_NONE)
		return CKR_ATTRIBUTE_VALUE_INVALID;

	VS_CLEANUP(vs_make_done) struct vs_make m = {0};
	VS_CK_TRY(vs_make_open(&m, s));
	VS_CK_TRY(vs_make_object(&m, kind, type));
	VS_CK_TRY(vs_schema_fill(m.object, &t, VS_MAKE_CREATE, m.arena));
	if (is_key) {
		VS_CK_TRY(vs_make_key(&m));
		VS_CK_TRY(vs_make_from_key(&m, CK_UNAVAILABLE_INFORMATION, false));
	} else if (kind == VS_KIND_CERT) {
		if (vs_attrs_ulong(&m.object->attrs, CKA_CERTIFICATE_TYPE, 0) != CKC_X_509)
			return CKR_ATTRIBUTE_VALUE_INVALID;
		if (vs_attrs_get(&m.object->attrs, CKA_CERTIFICATE_CATEGORY) == NULL)
			VS_CK_TRY(
				vs_attrs_set_ulong(&m.object->attrs, CKA_CERTIFICATE_CATEGORY, 0));
	}
	return vs_make_publish(&m, ret);
}

/* ---- copy, change, destroy
 * -------------------------------------------------------------------------- */

/* A new object with the old one's attributes and key. */
static VS_CK
twin(struct vs_make *m, const struct vs_object *old, const struct vs_tmpl *t, bool copy)
{
	VS_CK_TRY(vs_make_object(m, old->kind, CK_UNAVAILABLE_INFORMATION));
	VS_CK_TRY(vs_attrs_copy(&m->object->attrs, &old->attrs));
	struct vs_pkey *key = atomic_load(&old->pkey);
	if (key != NULL)
		atomic_store(&m->object->pkey, vs_pkey_ref(key));
	return vs_schema_change(m->object, t, copy, m->arena);
}

VS_CK
vs_op_copy(struct vs_session *s, CK_OBJECT_HANDLE h, const void *tmpl, CK_ULONG n,
	CK_OBJECT_HANDLE *ret)
{
	struct vs_tmpl t;
	if (ret == NULL)
		return CKR_ARGUMENTS_BAD;
	VS_CK_TRY(vs_tmpl_open_values(tmpl, n, &t));
	VS_CLEANUP(vs_make_object_done) struct vs_object *old = vs_session_object(s, h);
	if (old == NULL)
		return CKR_OBJECT_HANDLE_INVALID;
	/* A copy would outlive the lease (pkcs11-provider keeps such copies). */
	if (vs_object_is_token(old) || !vs_object_bool(old, CKA_COPYABLE, false))
		return CKR_ACTION_PROHIBITED;
	VS_CLEANUP(vs_make_done) struct vs_make m = {0};
	VS_CK_TRY(vs_make_open(&m, s));
	VS_CK_TRY(twin(&m, old, &t, true));
	return vs_make_publish(&m, ret);
}

VS_CK
vs_op_change(struct vs_session *s, CK_OBJECT_HANDLE h, const void *tmpl, CK_ULONG n)
{
	struct vs_tmpl t;
	VS_CK_TRY(vs_tmpl_open_values(tmpl, n, &t));
	VS_CLEANUP(vs_make_object_done) struct vs_object *old = vs_session_object(s, h);
	if (old == NULL)
		return CKR_OBJECT_HANDLE_INVALID;
	if (vs_object_is_token(old))
		return CKR_TOKEN_WRITE_PROTECTED;
	if (!vs_object_bool(old, CKA_MODIFIABLE, false))
		return CKR_ACTION_PROHIBITED;
	VS_CLEANUP(vs_make_done) struct vs_make m = {0};
	VS_CK_TRY(vs_make_open(&m, s));
	VS_CK_TRY(twin(&m, old, &t, false));
	VS_CK_TRY(vs_store_replace(s->token, old, m.object));
	m.object = NULL;
	return CKR_OK;
}

VS_CK
vs_op_destroy(struct vs_session *s, CK_OBJECT_HANDLE h)
{
	VS_CLEANUP(vs_make_object_done) struct vs_object *o = vs_session_object(s, h);
	if (o == NULL)
		return CKR_OBJECT_HANDLE_INVALID;
	if (vs_object_is_token(o) || !vs_object_bool(o, CKA_DESTROYABLE, false))
		return CKR_ACTION_PROHIBITED;
	VS_CK_TRY(vs_store_remove(s->token, h));
	/* What sessions keep for their next operation goes now, or as they leave. */
	atomic_fetch_add(&s->token->sweep_word, 1);
	if (atomic_load(&o->refs) > 1)
		vs_session_sweep(s->token->inst, s->token, s);
	return CKR_OK;
}
