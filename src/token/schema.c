/* SPDX-License-Identifier: BSD-2-Clause */
#include "token/schema.h"

#include <string.h>

#include "token/nested.h"

/* Rights, in short. C create, CC create mandatory, M make, S set, P copy, U up only, D down only.
 */
#define C VS_MAY_CREATE
#define CC (VS_MAY_CREATE | VS_MUST_CREATE)
#define M VS_MAY_MAKE
#define S (VS_MAY_SET | VS_MAY_COPY)
#define P VS_MAY_COPY
#define U VS_UP_ONLY
#define D VS_DOWN_ONLY
#define H VS_HIDDEN
#define ROW(type, kinds, form, src, def, rights, arg) \
	{ \
		type, kinds, VS_FORM_##form, VS_SRC_##src, VS_DEF_##def, rights, arg \
	}

/*
 * Sorted by attribute type. PKCS#11 3.0 sections 4.4 to 4.10 and the key types' own sections.
 * Usage flags can be given when an object is made and never changed afterwards.
 */
static const struct vs_schema rows[] = {
	/* clang-format off */
	ROW(CKA_CLASS, VS_K_ALL, ULONG, CLASS, MADE, C | M, 0),
	ROW(CKA_TOKEN, VS_K_ALL, BOOL, TRUE, FALSE, C | M | P | D, 0),
	ROW(CKA_PRIVATE, VS_K_ALL, BOOL, FALSE, FALSE, C | M | P, 0),
	ROW(CKA_LABEL, VS_K_KEYS | VS_K(CERT), BYTES, NAME, EMPTY, C | M | S, 0),
	ROW(CKA_LABEL, VS_K(DATA), BYTES, ABSENT, EMPTY, C | S, 0),
	ROW(CKA_LABEL, VS_K(PROFILE), BYTES, EMPTY, ABSENT, 0, 0),
	ROW(CKA_UNIQUE_ID, VS_K_ALL, BYTES, UNIQUE, MADE, 0, 0),
	ROW(CKA_APPLICATION, VS_K(DATA), BYTES, ABSENT, EMPTY, C | S, 0),
	ROW(CKA_VALUE, VS_K(DATA), BYTES, ABSENT, EMPTY, C | S, 0),
	ROW(CKA_VALUE, VS_K(CERT), BYTES, CERT, ABSENT, CC, 0),
	ROW(CKA_VALUE, VS_K(PRIV_EC) | VS_K_SECRET, BYTES, SECRET, MADE, CC | H, 0),
	ROW(CKA_OBJECT_ID, VS_K(DATA), BYTES, ABSENT, EMPTY, C | S, 0),
	ROW(CKA_CERTIFICATE_TYPE, VS_K(CERT), ULONG, NUMBER, ABSENT, CC, CKC_X_509),
	ROW(CKA_ISSUER, VS_K(CERT), BYTES, ISSUER, EMPTY, C | S, 0),
	ROW(CKA_SERIAL_NUMBER, VS_K(CERT), BYTES, SERIAL, EMPTY, C | S, 0),
	ROW(CKA_TRUSTED, VS_K(CERT) | VS_K_PUB | VS_K_SECRET, BOOL, FALSE, FALSE, C | M | D, 0),
	ROW(CKA_CERTIFICATE_CATEGORY, VS_K(CERT), ULONG, NUMBER, MADE, C, CK_CERTIFICATE_CATEGORY_TOKEN_USER),
	ROW(CKA_URL, VS_K(CERT), BYTES, EMPTY, EMPTY, C, 0),
	ROW(CKA_CHECK_VALUE, VS_K(CERT) | VS_K_SECRET, BYTES, ABSENT, ABSENT, C | M, 0),
	ROW(CKA_KEY_TYPE, VS_K_KEYS, ULONG, KEY_TYPE, MADE, C | M, 0),
	ROW(CKA_SUBJECT, VS_K(CERT), BYTES, SUBJECT, ABSENT, CC, 0),
	ROW(CKA_SUBJECT, VS_K_PUB | VS_K_PRIV, BYTES, SUBJECT, EMPTY, C | M | S, 0),
	ROW(CKA_ID, VS_K_KEYS | VS_K(CERT), BYTES, ID, EMPTY, C | M | S, 0),
	ROW(CKA_SENSITIVE, VS_K_PRIV, BOOL, TRUE, TRUE, C | M | S | U, 0),
	ROW(CKA_SENSITIVE, VS_K_SECRET, BOOL, TRUE, FALSE, C | M | S | U, 0),
	/* A public key may do what its private half undoes. */
	ROW(CKA_ENCRYPT, VS_K(PUB_RSA), BOOL, OP, TRUE, C | M, VS_KOP_ENCRYPT | VS_KOP_DECRYPT),
	ROW(CKA_ENCRYPT, VS_K(AES), BOOL, OP, TRUE, C | M, VS_KOP_ENCRYPT),
	ROW(CKA_ENCRYPT, VS_K(PUB_EC) | VS_K(GENERIC), BOOL, FALSE, FALSE, C | M, 0),
	ROW(CKA_DECRYPT, VS_K(PRIV_RSA) | VS_K(AES), BOOL, OP, TRUE, C | M, VS_KOP_DECRYPT),
	ROW(CKA_DECRYPT, VS_K(PRIV_EC) | VS_K(GENERIC), BOOL, FALSE, FALSE, C | M, 0),
	ROW(CKA_WRAP, VS_K(PUB_RSA), BOOL, OP, FALSE, C | M, VS_KOP_WRAP | VS_KOP_UNWRAP),
	ROW(CKA_WRAP, VS_K_SECRET, BOOL, OP, FALSE, C | M, VS_KOP_WRAP),
	ROW(CKA_WRAP, VS_K(PUB_EC), BOOL, FALSE, FALSE, C | M, 0),
	ROW(CKA_UNWRAP, VS_K(PRIV_RSA) | VS_K_SECRET, BOOL, OP, FALSE, C | M, VS_KOP_UNWRAP),
	ROW(CKA_UNWRAP, VS_K(PRIV_EC), BOOL, FALSE, FALSE, C | M, 0),
	ROW(CKA_SIGN, VS_K_PRIV | VS_K_SECRET, BOOL, OP, TRUE, C | M, VS_KOP_SIGN),
	/* The same step with the key as a signature, and the same permission. */
	ROW(CKA_SIGN_RECOVER, VS_K(PRIV_RSA), BOOL, OP, TRUE, C | M, VS_KOP_SIGN),
	ROW(CKA_SIGN_RECOVER, VS_K(PRIV_EC), BOOL, FALSE, FALSE, C | M, 0),
	ROW(CKA_VERIFY, VS_K_PUB, BOOL, OP, TRUE, C | M, VS_KOP_SIGN | VS_KOP_VERIFY),
	ROW(CKA_VERIFY, VS_K_SECRET, BOOL, OP, TRUE, C | M, VS_KOP_VERIFY),
	ROW(CKA_VERIFY_RECOVER, VS_K(PUB_RSA), BOOL, OP, TRUE, C | M, VS_KOP_SIGN | VS_KOP_VERIFY),
	ROW(CKA_VERIFY_RECOVER, VS_K(PUB_EC), BOOL, FALSE, FALSE, C | M, 0),
	ROW(CKA_DERIVE, VS_K(PRIV_EC), BOOL, OP, TRUE, C | M, VS_KOP_DERIVE),
	ROW(CKA_DERIVE, VS_K_SECRET, BOOL, OP, TRUE, C | M, VS_KOP_DERIVE),
	ROW(CKA_DERIVE, VS_K_PUB | VS_K(PRIV_RSA), BOOL, FALSE, FALSE, C | M, 0),
	ROW(CKA_START_DATE, VS_K_KEYS | VS_K(CERT), DATE, EMPTY, EMPTY, C | M | S, 0),
	ROW(CKA_END_DATE, VS_K_KEYS | VS_K(CERT), DATE, EMPTY, EMPTY, C | M | S, 0),
	ROW(CKA_MODULUS, VS_K(PUB_RSA), BYTES, MODULUS, ABSENT, CC, 0),
	ROW(CKA_MODULUS, VS_K(PRIV_RSA), BYTES, MODULUS, MADE, CC, 0),
	ROW(CKA_MODULUS_BITS, VS_K(PUB_RSA), ULONG, BITS, MADE, M, 0),
	ROW(CKA_PUBLIC_EXPONENT, VS_K(PUB_RSA), BYTES, EXPONENT, ABSENT, CC | M, 0),
	ROW(CKA_PUBLIC_EXPONENT, VS_K(PRIV_RSA), BYTES, EXPONENT, MADE, C, 0),
	ROW(CKA_PRIVATE_EXPONENT, VS_K(PRIV_RSA), BYTES, SECRET, MADE, CC | H, 0),
	ROW(CKA_PRIME_1, VS_K(PRIV_RSA), BYTES, SECRET, MADE, C | H, 0),
	ROW(CKA_PRIME_2, VS_K(PRIV_RSA), BYTES, SECRET, MADE, C | H, 0),
	ROW(CKA_EXPONENT_1, VS_K(PRIV_RSA), BYTES, SECRET, MADE, C | H, 0),
	ROW(CKA_EXPONENT_2, VS_K(PRIV_RSA), BYTES, SECRET, MADE, C | H, 0),
	ROW(CKA_COEFFICIENT, VS_K(PRIV_RSA), BYTES, SECRET, MADE, C | H, 0),
	ROW(CKA_PUBLIC_KEY_INFO, VS_K_PUB | VS_K_PRIV | VS_K(CERT), BYTES, SPKI, MADE, C, 0),
	ROW(CKA_VALUE_LEN, VS_K_SECRET, ULONG, VALUE_LEN, MADE, M, 0),
	ROW(CKA_EXTRACTABLE, VS_K_PRIV, BOOL, FALSE, FALSE, C | M | S | D, 0),
	ROW(CKA_EXTRACTABLE, VS_K_SECRET, BOOL, FALSE, TRUE, C | M | S | D, 0),
	ROW(CKA_LOCAL, VS_K_KEYS, BOOL, FALSE, MADE, 0, 0),
	/* The key did leave the HSM to get here, so these two are not true of it. */
	ROW(CKA_NEVER_EXTRACTABLE, VS_K_PRIV | VS_K_SECRET, BOOL, FALSE, MADE, 0, 0),
	ROW(CKA_ALWAYS_SENSITIVE, VS_K_PRIV | VS_K_SECRET, BOOL, FALSE, MADE, 0, 0),
	ROW(CKA_KEY_GEN_MECHANISM, VS_K_KEYS, ULONG, UNAVAILABLE, MADE, 0, 0),
	ROW(CKA_MODIFIABLE, VS_K_ALL, BOOL, FALSE, TRUE, C | M | P | D, 0),
	ROW(CKA_COPYABLE, VS_K_ALL, BOOL, FALSE, TRUE, C | M | S | D, 0),
	ROW(CKA_DESTROYABLE, VS_K_ALL, BOOL, FALSE, TRUE, C | M | P, 0),
	ROW(CKA_EC_PARAMS, VS_K(PUB_EC), BYTES, EC_PARAMS, ABSENT, CC | M, 0),
	ROW(CKA_EC_PARAMS, VS_K(PRIV_EC), BYTES, EC_PARAMS, MADE, CC, 0),
	ROW(CKA_EC_POINT, VS_K(PUB_EC), BYTES, EC_POINT, MADE, CC, 0),
	ROW(CKA_EC_POINT, VS_K(PRIV_EC), BYTES, EC_POINT, MADE, C, 0),
	ROW(CKA_ALWAYS_AUTHENTICATE, VS_K_PRIV, BOOL, FALSE, FALSE, C | M | D, 0),
	ROW(CKA_WRAP_WITH_TRUSTED, VS_K_PRIV | VS_K_SECRET, BOOL, FALSE, FALSE, C | M | S | U, 0),
	ROW(CKA_PROFILE_ID, VS_K(PROFILE), ULONG, PROFILE, ABSENT, 0, 0),
	/* No footnote lets them be changed later, so neither can a copy shake them off. */
	ROW(CKA_WRAP_TEMPLATE, VS_K_PUB | VS_K_SECRET, TEMPLATE, ABSENT, ABSENT, C | M, 0),
	ROW(CKA_UNWRAP_TEMPLATE, VS_K_PRIV | VS_K_SECRET, TEMPLATE, ABSENT, ABSENT, C | M, 0),
	ROW(CKA_DERIVE_TEMPLATE, VS_K_PRIV | VS_K_SECRET, TEMPLATE, ABSENT, ABSENT, C | M, 0),
	ROW(CKA_ALLOWED_MECHANISMS, VS_K_KEYS, MECHS, ABSENT, ABSENT, C | M, 0),
	ROW(CKA_VS_KEY_IDENTIFIER, VS_K_KEYS | VS_K(CERT), BYTES, KID, ABSENT, 0, 0),
	/* clang-format on */
};
#undef C
#undef CC
#undef M
#undef S
#undef P
#undef U
#undef D
#undef H
enum { N_ROWS = sizeof rows / sizeof rows[0] };

const struct vs_schema *
vs_schema_find(CK_ATTRIBUTE_TYPE type, enum vs_kind kind)
{
	size_t lo = 0;
	size_t hi = N_ROWS;
	while (lo < hi) {
		const size_t mid = (lo + hi) / 2;
		if (rows[mid].type < type)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < N_ROWS && rows[lo].type == type; lo++) {
		if (rows[lo].kinds & (1u << kind))
			return &rows[lo];
	}
	return NULL;
}

const struct vs_schema *
vs_schema_next(enum vs_kind kind, size_t *i)
{
	while (*i < N_ROWS) {
		const struct vs_schema *row = &rows[(*i)++];
		if (row->kinds & (1u << kind))
			return row;
	}
	return NULL;
}

static VS_CK
check_form(const struct vs_schema *row, const CK_ATTRIBUTE *a)
{
	const size_t n = a->ulValueLen;
	bool ok = true;
	switch ((enum vs_form)row->form) {
	case VS_FORM_BYTES: break;
	case VS_FORM_BOOL: ok = n == 1 && *(const CK_BYTE *)a->pValue <= 1; break;
	case VS_FORM_ULONG: ok = n == sizeof(CK_ULONG); break;
	case VS_FORM_DATE: ok = n == 0 || n == sizeof(CK_DATE); break;
	case VS_FORM_MECHS: ok = n % sizeof(CK_MECHANISM_TYPE) == 0; break;
	case VS_FORM_TEMPLATE: ok = n % sizeof(CK_ATTRIBUTE) == 0; break;
	}
	return ok ? CKR_OK : CKR_ATTRIBUTE_VALUE_INVALID;
}

VS_CK
vs_schema_inner(const CK_ATTRIBUTE *a)
{
	const struct vs_schema *row = NULL;
	for (size_t i = 0; i < N_ROWS; i++) {
		if (rows[i].type != a->type)
			continue;
		/* What a key is made of is kept in the arena, and compared with nothing. */
		if ((rows[i].rights & VS_HIDDEN) || rows[i].form == VS_FORM_TEMPLATE)
			return CKR_TEMPLATE_INCONSISTENT;
		row = &rows[i];
	}
	return row == NULL ? CKR_ATTRIBUTE_TYPE_INVALID : check_form(row, a);
}

/* A bool that may only go one way: is this the other one? */
static bool
wrong_way(const struct vs_schema *row, const struct vs_attrs *have, const CK_ATTRIBUTE *a)
{
	if (!(row->rights & (VS_UP_ONLY | VS_DOWN_ONLY)))
		return false;
	const bool old = vs_attrs_bool(have, row->type, false);
	const bool now = *(const CK_BYTE *)a->pValue == CK_TRUE;
	return ((row->rights & VS_UP_ONLY) && old && !now) ||
		((row->rights & VS_DOWN_ONLY) && !old && now);
}

static VS_CK
store(struct vs_object *o, const struct vs_schema *row, const CK_ATTRIBUTE *a,
	struct vs_arena *arena)
{
	if (row->form == VS_FORM_TEMPLATE)
		return vs_nested_set(&o->attrs, a);
	return vs_attrs_set(&o->attrs, (row->rights & VS_HIDDEN) ? arena : NULL, row->type,
		a->pValue, a->ulValueLen);
}

/* One attribute of a template for a new object. */
static VS_CK
take_new(struct vs_object *o, const struct vs_tmpl *t, size_t i, enum vs_way how,
	struct vs_arena *arena)
{
	const CK_ATTRIBUTE a = vs_tmpl_at(t, i);
	const struct vs_schema *row = vs_schema_find(a.type, o->kind);
	if (row == NULL)
		return CKR_ATTRIBUTE_TYPE_INVALID;
	const unsigned right = how == VS_MAKE_CREATE ? VS_MAY_CREATE : VS_MAY_MAKE;
	if (!(row->rights & right))
		return how == VS_MAKE_CREATE && !(row->rights & VS_MAY_MAKE)
			? CKR_ATTRIBUTE_READ_ONLY
			: CKR_TEMPLATE_INCONSISTENT;
	VS_CK_TRY(check_form(row, &a));
	/* Of a short secret it would tell too much, so such keys have none; the standard says:
	 * ignore. */
	if (a.type == CKA_CHECK_VALUE && o->kind == VS_KIND_GENERIC)
		return CKR_OK;
	for (size_t j = 0; j < i; j++) {
		if (vs_tmpl_at(t, j).type == a.type)
			return CKR_TEMPLATE_INCONSISTENT;
	}
	const bool yes = row->form == VS_FORM_BOOL && *(const CK_BYTE *)a.pValue == CK_TRUE;
	if (a.type == CKA_TOKEN && yes)
		return CKR_TOKEN_WRITE_PROTECTED;
	/* Only a security officer could say so, and this token has none. */
	if ((a.type == CKA_TRUSTED || a.type == CKA_ALWAYS_AUTHENTICATE) && yes)
		return CKR_ATTRIBUTE_READ_ONLY;
	return store(o, row, &a, arena);
}

static VS_CK
set_default(struct vs_object *o, const struct vs_schema *row)
{
	switch ((enum vs_default)row->def) {
	case VS_DEF_FALSE: return vs_attrs_set_bool(&o->attrs, row->type, false);
	case VS_DEF_TRUE: return vs_attrs_set_bool(&o->attrs, row->type, true);
	case VS_DEF_EMPTY: return vs_attrs_set(&o->attrs, NULL, row->type, NULL, 0);
	case VS_DEF_ABSENT:
	case VS_DEF_MADE: break;
	}
	return CKR_OK;
}

/*
 * T-P1: a key that wraps and decrypts gives every extractable key away, one that unwraps and
 * encrypts lets anybody plant known keys. What was asked for decides, what is only a default gives
 * way, and asking for both is refused.
 */
static VS_CK
keep_apart(struct vs_object *o, CK_ATTRIBUTE_TYPE wrap, CK_ATTRIBUTE_TYPE crypt)
{
	const struct vs_attr *c = vs_attrs_get(&o->attrs, crypt);
	if (!vs_attrs_bool(&o->attrs, wrap, false))
		return CKR_OK;
	if (c == NULL)
		return vs_attrs_set_bool(&o->attrs, crypt, false);
	return vs_attrs_bool(&o->attrs, crypt, false) ? CKR_TEMPLATE_INCONSISTENT : CKR_OK;
}

/* T-P1 again: a key made as a sensitive one leaves, wrapped, only if its template says so. */
static VS_CK
keep_in(struct vs_object *o)
{
	if (vs_attrs_get(&o->attrs, CKA_EXTRACTABLE) != NULL ||
		!vs_attrs_bool(&o->attrs, CKA_SENSITIVE, false))
		return CKR_OK;
	return vs_attrs_set_bool(&o->attrs, CKA_EXTRACTABLE, false);
}

VS_CK
vs_schema_fill(
	struct vs_object *o, const struct vs_tmpl *t, enum vs_way how, struct vs_arena *arena)
{
	for (size_t i = 0; i < t->n; i++)
		VS_CK_TRY(take_new(o, t, i, how, arena));
	if ((1u << o->kind) & VS_K_SECRET) {
		VS_CK_TRY(keep_apart(o, CKA_WRAP, CKA_DECRYPT));
		VS_CK_TRY(keep_apart(o, CKA_UNWRAP, CKA_ENCRYPT));
		VS_CK_TRY(keep_in(o));
	}
	size_t at = 0;
	for (const struct vs_schema *row; (row = vs_schema_next(o->kind, &at)) != NULL;) {
		if (vs_attrs_get(&o->attrs, row->type) != NULL)
			continue;
		if (how == VS_MAKE_CREATE && (row->rights & VS_MUST_CREATE))
			return CKR_TEMPLATE_INCOMPLETE;
		VS_CK_TRY(set_default(o, row));
	}
	return vs_attrs_set_ulong(&o->attrs, CKA_CLASS, vs_kind_class(o->kind));
}

static VS_CK
change_one(struct vs_object *o, const CK_ATTRIBUTE *a, bool copy, struct vs_arena *arena)
{
	const struct vs_schema *row = vs_schema_find(a->type, o->kind);
	if (row == NULL)
		return CKR_ATTRIBUTE_TYPE_INVALID;
	VS_CK_TRY(check_form(row, a));
	const bool yes = row->form == VS_FORM_BOOL && *(const CK_BYTE *)a->pValue == CK_TRUE;
	if (copy && a->type == CKA_TOKEN && yes)
		return CKR_TOKEN_WRITE_PROTECTED;
	if (!(row->rights & (copy ? VS_MAY_COPY : VS_MAY_SET)) || wrong_way(row, &o->attrs, a))
		return CKR_ATTRIBUTE_READ_ONLY;
	return store(o, row, a, arena);
}

VS_CK
vs_schema_change(struct vs_object *o, const struct vs_tmpl *t, bool copy, struct vs_arena *arena)
{
	for (size_t i = 0; i < t->n; i++) {
		const CK_ATTRIBUTE a = vs_tmpl_at(t, i);
		VS_CK_TRY(change_one(o, &a, copy, arena));
	}
	return CKR_OK;
}
