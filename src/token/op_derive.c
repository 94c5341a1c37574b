/* SPDX-License-Identifier: BSD-2-Clause */
/* C_DeriveKey. What comes out is the application's from then on and does not end with the lease. */
#include "token/make.h"
#include "token/nested.h"
#include "token/schema.h"

#include <stdlib.h>

/* For the one call: an operation that no session keeps. */
static void
op_free(struct vs_op **op)
{
	vs_op_free(*op);
}

/* How long the result is to be; 0: as it comes. */
static VS_CK
wanted(const struct vs_tmpl *t, CK_ULONG *ret)
{
	*ret = 0;
	VS_CK_TRY(vs_tmpl_ulong(t, CKA_VALUE_LEN, ret));
	return *ret > VS_DERIVE_MAX ? CKR_KEY_SIZE_RANGE : CKR_OK;
}

/* HKDF's salt may be a key of its own: a session object's, because it is read here. */
static VS_CK
salt_key(struct vs_session *s, struct vs_params *p, struct vs_pkey **ret)
{
	if (p->hkdf_salt_key == 0)
		return CKR_OK;
	VS_CLEANUP(vs_make_object_done)
	struct vs_object *o = vs_session_object(s, p->hkdf_salt_key);
	if (o == NULL || !((1u << o->kind) & VS_K_KEYS))
		return CKR_KEY_HANDLE_INVALID;
	struct vs_pkey *key = atomic_load(&o->pkey);
	if (vs_object_is_token(o) || key == NULL || vs_pkey_octets(key).p == NULL ||
		!vs_object_bool(o, CKA_DERIVE, false))
		return CKR_KEY_TYPE_INCONSISTENT;
	*ret = vs_pkey_ref(key);
	p->hkdf.salt = vs_pkey_octets(key);
	return CKR_OK;
}

static void
pkey_done(struct vs_pkey **k)
{
	vs_pkey_unref(*k);
}

static VS_CK
run(struct vs_session *s, struct vs_op *op, struct vs_make *m, CK_ULONG len, struct vs_secret *ret)
{
	struct vs_params *p = &op->params;
	VS_CLEANUP(pkey_done) struct vs_pkey *salt = NULL;
	vs_rc rc;
	if (op->row->param == VS_PARAM_ECDH) {
		rc = vs_derive_ecdh(op->key, &p->ecdh, len, m->arena, ret, NULL);
	} else {
		VS_CK_TRY(salt_key(s, p, &salt));
		if (p->hkdf.expand && len == 0)
			return CKR_TEMPLATE_INCOMPLETE;
		rc = vs_derive_hkdf(
			m->ossl, vs_pkey_octets(op->key), &p->hkdf, len, m->arena, ret, NULL);
	}
	return vs_ckrv(rc, VS_DOING_DERIVE);
}

/*
 * What of the template is a data object's: applications give key type and use, too, as they do for
 * keys. The value is what is derived and nobody's to give.
 */
static VS_CK
for_data(const struct vs_tmpl *t, struct vs_merged *ret)
{
	size_t n = 0;
	for (size_t i = 0; i < t->n; i++) {
		const CK_ATTRIBUTE a = vs_tmpl_at(t, i);
		if (a.type == CKA_VALUE)
			return CKR_TEMPLATE_INCONSISTENT;
		if (vs_schema_find(a.type, VS_KIND_DATA) != NULL)
			ret->a[n++] = a;
		else if (vs_schema_find(a.type, VS_KIND_GENERIC) == NULL)
			return CKR_ATTRIBUTE_TYPE_INVALID;
	}
	ret->t = (struct vs_tmpl){ret->a, n};
	return CKR_OK;
}

/* CKM_HKDF_DATA gives a data object. */
static VS_CK
make_data(struct vs_make *m, const struct vs_tmpl *t, struct vs_bytes octets)
{
	CK_ULONG class = CKO_DATA;
	struct vs_merged mine;
	VS_CK_TRY(vs_tmpl_ulong(t, CKA_CLASS, &class));
	if (class != CKO_DATA)
		return CKR_TEMPLATE_INCONSISTENT;
	VS_CK_TRY(for_data(t, &mine));
	VS_CK_TRY(vs_make_object(m, VS_KIND_DATA, CK_UNAVAILABLE_INFORMATION));
	VS_CK_TRY(vs_schema_fill(m->object, &mine.t, VS_MAKE_CREATE, m->arena));
	return vs_attrs_set(&m->object->attrs, NULL, CKA_VALUE, octets.p, octets.n);
}

VS_CK
vs_op_derive(struct vs_session *s, const void *mechanism, CK_OBJECT_HANDLE base, const void *tmpl,
	CK_ULONG n, CK_OBJECT_HANDLE *ret)
{
	struct vs_tmpl given;
	struct vs_merged all;
	const struct vs_tmpl *t = &all.t;
	CK_ULONG len = 0;
	if (ret == NULL)
		return CKR_ARGUMENTS_BAD;
	VS_CLEANUP(op_free) struct vs_op *op = calloc(1, sizeof *op);
	VS_CLEANUP(vs_make_done) struct vs_make m = {0};
	VS_CLEANUP(vs_secret_done) struct vs_secret octets = {0};
	if (op == NULL)
		return CKR_HOST_MEMORY;
	VS_CK_TRY(vs_param_row(mechanism, CKF_DERIVE, &op->row));
	VS_CK_TRY(vs_param_parse(mechanism, op->row, VS_USE_DERIVE, &op->params));
	VS_CK_TRY(vs_tmpl_open_values(tmpl, n, &given));
	VS_CK_TRY(vs_make_open(&m, s));
	VS_CK_TRY(vs_op_find(
		s, op, base, CKA_DERIVE, CKR_KEY_HANDLE_INVALID, CKR_KEY_TYPE_INCONSISTENT));
	VS_CK_TRY(vs_nested_merge(op->object, CKA_DERIVE_TEMPLATE, &given, &all));
	VS_CK_TRY(wanted(t, &len));
	VS_CK_TRY(vs_op_open(s, op));
	VS_CK_TRY(vs_op_allowed(s, op));
	VS_CK_TRY(run(s, op, &m, len, &octets));
	if (op->row->derive == VS_DERIVE_HKDF_DATA) {
		VS_CK_TRY(make_data(&m, t, vs_secret_view(&octets)));
		return vs_make_publish(&m, ret);
	}
	VS_CK_TRY(vs_make_secret(
		&m, t, CKK_GENERIC_SECRET, vs_secret_view(&octets), VS_DOING_DERIVE));
	VS_CK_TRY(vs_make_history(&m, vs_object_bool(op->object, CKA_ALWAYS_SENSITIVE, false),
		vs_object_bool(op->object, CKA_NEVER_EXTRACTABLE, false)));
	return vs_make_publish(&m, ret);
}
