/* SPDX-License-Identifier: BSD-2-Clause */
#include "token/object.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/race.h"
#include "crypto/pkey.h"
#include "token/catalog.h"
#include "token/nested.h"
#include "token/schema.h"

static const struct {
	CK_OBJECT_CLASS class;
	CK_KEY_TYPE key_type;
} kinds[VS_KIND_COUNT_] = {
	[VS_KIND_NONE] = {CK_UNAVAILABLE_INFORMATION, CK_UNAVAILABLE_INFORMATION},
	[VS_KIND_DATA] = {CKO_DATA, CK_UNAVAILABLE_INFORMATION},
	[VS_KIND_CERT] = {CKO_CERTIFICATE, CK_UNAVAILABLE_INFORMATION},
	[VS_KIND_PUB_RSA] = {CKO_PUBLIC_KEY, CKK_RSA},
	[VS_KIND_PUB_EC] = {CKO_PUBLIC_KEY, CKK_EC},
	[VS_KIND_PRIV_RSA] = {CKO_PRIVATE_KEY, CKK_RSA},
	[VS_KIND_PRIV_EC] = {CKO_PRIVATE_KEY, CKK_EC},
	[VS_KIND_AES] = {CKO_SECRET_KEY, CKK_AES},
	[VS_KIND_GENERIC] = {CKO_SECRET_KEY, CK_UNAVAILABLE_INFORMATION},
	[VS_KIND_PROFILE] = {CKO_PROFILE, CK_UNAVAILABLE_INFORMATION},
};

CK_OBJECT_CLASS
vs_kind_class(enum vs_kind kind)
{
	return kinds[kind].class;
}

CK_KEY_TYPE
vs_kind_key_type(enum vs_kind kind)
{
	return kinds[kind].key_type;
}

/* Key types whose value is just octets. */
static bool
is_generic(CK_KEY_TYPE t)
{
	switch (t) {
	case CKK_GENERIC_SECRET:
	case CKK_SHA_1_HMAC:
	case CKK_SHA224_HMAC:
	case CKK_SHA256_HMAC:
	case CKK_SHA384_HMAC:
	case CKK_SHA512_HMAC:
	case CKK_SHA512_224_HMAC:
	case CKK_SHA512_256_HMAC:
	case CKK_SHA3_224_HMAC:
	case CKK_SHA3_256_HMAC:
	case CKK_SHA3_384_HMAC:
	case CKK_SHA3_512_HMAC:
	case CKK_HKDF: return true;
	default: return false;
	}
}

enum vs_kind
vs_kind_of(CK_OBJECT_CLASS class, CK_KEY_TYPE key_type)
{
	if (class == CKO_SECRET_KEY && is_generic(key_type))
		return VS_KIND_GENERIC;
	for (unsigned k = 1; k < VS_KIND_COUNT_; k++) {
		if (k == VS_KIND_GENERIC || k == VS_KIND_PROFILE || kinds[k].class != class)
			continue;
		if (kinds[k].key_type == CK_UNAVAILABLE_INFORMATION ||
			kinds[k].key_type == key_type)
			return (enum vs_kind)k;
	}
	return VS_KIND_NONE;
}

struct vs_object *
vs_object_new(enum vs_kind kind)
{
	struct vs_object *o = calloc(1, sizeof *o);
	if (o != NULL) {
		o->kind = kind;
		atomic_init(&o->refs, 1);
	}
	return o;
}

struct vs_object *
vs_object_ref(struct vs_object *o)
{
	if (o->catalog != NULL)
		vs_catalog_ref(o->catalog);
	else
		atomic_fetch_add_explicit(&o->refs, 1, memory_order_relaxed);
	return o;
}

void
vs_object_unref(struct vs_object *o)
{
	if (o == NULL)
		return;
	if (o->catalog != NULL) {
		vs_catalog_unref(o->catalog);
		return;
	}
	if (!VS_LAST_REF(o))
		return;
	vs_pkey_unref(atomic_load(&o->pkey));
	vs_attrs_done(&o->attrs);
	free(o);
}

/* ---- values of token objects ---------------------------------------------------------------- */

static void
give_bool(struct vs_value *v, bool b)
{
	v->scratch[0] = b ? CK_TRUE : CK_FALSE;
	v->p = v->scratch;
	v->n = sizeof(CK_BBOOL);
}

static void
give_ulong(struct vs_value *v, CK_ULONG n)
{
	memcpy(v->scratch, &n, sizeof n);
	v->p = v->scratch;
	v->n = sizeof n;
}

static enum vs_get
give_bytes(struct vs_value *v, struct vs_bytes b)
{
	v->p = b.p;
	v->n = b.n;
	return VS_GET_OK;
}

/* DER OCTET STRING of the uncompressed point. */
static enum vs_get
give_point(struct vs_value *v, const struct vs_cat_entry *e)
{
	const size_t n = 1 + e->x.n + e->y.n;
	size_t at = 0;
	if (n > 255 || n + 3 > sizeof v->scratch)
		return VS_GET_ABSENT;
	v->scratch[at++] = 0x04;
	if (n > 127)
		v->scratch[at++] = 0x81;
	v->scratch[at++] = (uint8_t)n;
	v->scratch[at++] = 0x04;
	memcpy(v->scratch + at, e->x.p, e->x.n);
	memcpy(v->scratch + at + e->x.n, e->y.p, e->y.n);
	v->p = v->scratch;
	v->n = at + e->x.n + e->y.n;
	return VS_GET_OK;
}

static enum vs_get
give_unique(struct vs_value *v, const struct vs_object *o)
{
	char id[129] = "";
	if (o->entry != NULL && o->entry->id.n <= 64)
		vs_hex_str(o->entry->id.p, o->entry->id.n, id, sizeof id);
	const int n = snprintf((char *)v->scratch, sizeof v->scratch, "%s-%lx", id,
		o->entry != NULL ? kinds[o->kind].class : o->handle);
	v->p = v->scratch;
	v->n = n < 0 ? 0 : (size_t)n;
	return VS_GET_OK;
}

/*
 * The service's permitted operations. A secret key that may decrypt does not also wrap, one that
 * may encrypt does not also unwrap (T-P1): the plain use wins.
 */
static bool
may(const struct vs_object *o, CK_ATTRIBUTE_TYPE type, CK_ULONG bits)
{
	const uint32_t ops = o->entry->ops;
	if (((1u << o->kind) & VS_K_SECRET) &&
		((type == CKA_WRAP && (ops & VS_KOP_DECRYPT)) ||
			(type == CKA_UNWRAP && (ops & VS_KOP_ENCRYPT))))
		return false;
	return (ops & bits) != 0;
}

static enum vs_get
from_entry(const struct vs_object *o, const struct vs_schema *row, struct vs_value *v)
{
	const struct vs_cat_entry *e = o->entry;
	switch ((enum vs_src)row->src) {
	case VS_SRC_NAME: return give_bytes(v, e->name);
	case VS_SRC_ID: return give_bytes(v, e->id);
	case VS_SRC_KID: return give_bytes(v, e->kid);
	case VS_SRC_OP: give_bool(v, may(o, row->type, row->arg)); return VS_GET_OK;
	case VS_SRC_MODULUS: return give_bytes(v, e->n);
	case VS_SRC_EXPONENT: return give_bytes(v, e->e);
	case VS_SRC_BITS: give_ulong(v, e->bits); return VS_GET_OK;
	case VS_SRC_VALUE_LEN:
		/* Some vaults do not tell the length before they release the key. */
		give_ulong(v, e->bits ? e->bits / 8 : 32);
		return VS_GET_OK;
	case VS_SRC_EC_PARAMS: return give_bytes(v, vs_curve_oid_der(e->curve));
	case VS_SRC_EC_POINT: return give_point(v, e);
	case VS_SRC_SPKI: return give_bytes(v, e->spki);
	case VS_SRC_CERT: return give_bytes(v, e->cert);
	case VS_SRC_SUBJECT: return give_bytes(v, e->cert_subject);
	case VS_SRC_ISSUER: return give_bytes(v, e->cert_issuer);
	case VS_SRC_SERIAL: return give_bytes(v, e->cert_serial);
	case VS_SRC_ABSENT:
	case VS_SRC_FALSE:
	case VS_SRC_TRUE:
	case VS_SRC_EMPTY:
	case VS_SRC_CLASS:
	case VS_SRC_KEY_TYPE:
	case VS_SRC_UNIQUE:
	case VS_SRC_NUMBER:
	case VS_SRC_UNAVAILABLE:
	case VS_SRC_PROFILE:
	case VS_SRC_SECRET:
	case VS_SRC_COUNT_: break;
	}
	return VS_GET_ABSENT;
}

static enum vs_get
token_value(const struct vs_object *o, const struct vs_schema *row, struct vs_value *v)
{
	switch (row->src) {
	case VS_SRC_ABSENT: return VS_GET_ABSENT;
	case VS_SRC_SECRET: return VS_GET_SENSITIVE;
	case VS_SRC_FALSE: give_bool(v, false); return VS_GET_OK;
	case VS_SRC_TRUE: give_bool(v, true); return VS_GET_OK;
	case VS_SRC_EMPTY: return give_bytes(v, (struct vs_bytes){NULL, 0});
	case VS_SRC_CLASS: give_ulong(v, kinds[o->kind].class); return VS_GET_OK;
	case VS_SRC_KEY_TYPE: give_ulong(v, kinds[o->kind].key_type); return VS_GET_OK;
	case VS_SRC_UNIQUE: return give_unique(v, o);
	case VS_SRC_NUMBER: give_ulong(v, row->arg); return VS_GET_OK;
	case VS_SRC_UNAVAILABLE: give_ulong(v, CK_UNAVAILABLE_INFORMATION); return VS_GET_OK;
	case VS_SRC_PROFILE: give_ulong(v, o->profile); return VS_GET_OK;
	default: return o->entry == NULL ? VS_GET_ABSENT : from_entry(o, row, v);
	}
}

static bool
is_hidden(const struct vs_object *o)
{
	return vs_attrs_bool(&o->attrs, CKA_SENSITIVE, true) ||
		!vs_attrs_bool(&o->attrs, CKA_EXTRACTABLE, false);
}

enum vs_get
vs_object_get(const struct vs_object *o, CK_ATTRIBUTE_TYPE type, struct vs_value *ret)
{
	const struct vs_schema *row = vs_schema_find(type, o->kind);
	ret->p = NULL;
	ret->n = 0;
	if (row == NULL)
		return VS_GET_ABSENT;
	if (o->catalog != NULL)
		return token_value(o, row, ret);
	if (type == CKA_UNIQUE_ID)
		return give_unique(ret, o);
	if ((row->rights & VS_HIDDEN) && is_hidden(o))
		return VS_GET_SENSITIVE;
	const struct vs_attr *a = vs_attrs_get(&o->attrs, type);
	return a == NULL ? VS_GET_ABSENT : give_bytes(ret, (struct vs_bytes){a->p, a->n});
}

bool
vs_object_bool(const struct vs_object *o, CK_ATTRIBUTE_TYPE type, bool otherwise)
{
	struct vs_value v;
	if (vs_object_get(o, type, &v) != VS_GET_OK || v.n != sizeof(CK_BBOOL))
		return otherwise;
	return *v.p == CK_TRUE;
}

CK_ULONG
vs_object_ulong(const struct vs_object *o, CK_ATTRIBUTE_TYPE type, CK_ULONG otherwise)
{
	struct vs_value v;
	if (vs_object_get(o, type, &v) != VS_GET_OK || v.n != sizeof(CK_ULONG))
		return otherwise;
	return vs_load_ulong(v.p);
}

bool
vs_object_matches(const struct vs_object *o, const struct vs_tmpl *t)
{
	for (size_t i = 0; i < t->n; i++) {
		const CK_ATTRIBUTE a = vs_tmpl_at(t, i);
		struct vs_value v;
		if (vs_object_get(o, a.type, &v) != VS_GET_OK)
			return false;
		if (vs_nested_is(a.type)) {
			if (!vs_nested_equal((struct vs_bytes){v.p, v.n}, &a))
				return false;
			continue;
		}
		if (v.n != a.ulValueLen)
			return false;
		if (v.n != 0 && (a.pValue == NULL || memcmp(v.p, a.pValue, v.n) != 0))
			return false;
	}
	return true;
}

/* PKCS#11 3.0, C_GetAttributeValue: the five cases for one attribute. */
static CK_RV
copy_one(const struct vs_object *o, CK_ATTRIBUTE *a)
{
	struct vs_value v;
	const enum vs_get got = vs_object_get(o, a->type, &v);
	if (got != VS_GET_OK) {
		a->ulValueLen = CK_UNAVAILABLE_INFORMATION;
		return got == VS_GET_SENSITIVE ? CKR_ATTRIBUTE_SENSITIVE
					       : CKR_ATTRIBUTE_TYPE_INVALID;
	}
	if (vs_nested_is(a->type))
		return vs_nested_copy_out((struct vs_bytes){v.p, v.n}, a);
	if (a->pValue != NULL && a->ulValueLen < v.n) {
		a->ulValueLen = CK_UNAVAILABLE_INFORMATION;
		return CKR_BUFFER_TOO_SMALL;
	}
	if (a->pValue != NULL && v.n != 0)
		memcpy(a->pValue, v.p, v.n);
	a->ulValueLen = v.n;
	return CKR_OK;
}

VS_CK
vs_object_copy_out(const struct vs_object *o, void *base, CK_ULONG n)
{
	CK_RV worst = CKR_OK;
	struct vs_tmpl t;
	VS_CK_TRY(vs_tmpl_open(base, n, &t));
	for (size_t i = 0; i < t.n; i++) {
		CK_ATTRIBUTE a = vs_tmpl_at(&t, i);
		const CK_RV rv = copy_one(o, &a);
		memcpy((uint8_t *)base + i * sizeof a, &a, sizeof a);
		/* Sensitive says most, then an unknown type, then a short buffer. */
		if (rv == CKR_ATTRIBUTE_SENSITIVE || worst == CKR_OK ||
			(rv == CKR_ATTRIBUTE_TYPE_INVALID && worst == CKR_BUFFER_TOO_SMALL))
			worst = rv;
	}
	return worst;
}

CK_ULONG
vs_object_size(const struct vs_object *o)
{
	CK_ULONG sum = 0;
	size_t at = 0;
	for (const struct vs_schema *row; (row = vs_schema_next(o->kind, &at)) != NULL;) {
		struct vs_value v;
		if (vs_object_get(o, row->type, &v) == VS_GET_OK)
			sum += v.n;
	}
	return sum;
}
