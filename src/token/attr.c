/* SPDX-License-Identifier: BSD-2-Clause */
#include "token/attr.h"

#include <stdlib.h>
#include <string.h>

VS_CK
vs_tmpl_open(const void *base, CK_ULONG n, struct vs_tmpl *ret)
{
	if (n > VS_TMPL_MAX || (base == NULL && n != 0))
		return CKR_ARGUMENTS_BAD;
	*ret = (struct vs_tmpl){base, (size_t)n};
	return CKR_OK;
}

CK_ATTRIBUTE
vs_tmpl_at(const struct vs_tmpl *t, size_t i)
{
	CK_ATTRIBUTE a;
	memcpy(&a, (const uint8_t *)t->base + i * sizeof a, sizeof a);
	return a;
}

VS_CK
vs_tmpl_open_values(const void *base, CK_ULONG n, struct vs_tmpl *ret)
{
	struct vs_tmpl t;
	VS_CK_TRY(vs_tmpl_open(base, n, &t));
	for (size_t i = 0; i < t.n; i++) {
		const CK_ATTRIBUTE a = vs_tmpl_at(&t, i);
		if (a.ulValueLen > VS_ATTR_BYTES_MAX || (a.pValue == NULL && a.ulValueLen != 0))
			return CKR_ATTRIBUTE_VALUE_INVALID;
	}
	*ret = t;
	return CKR_OK;
}

bool
vs_tmpl_find(const struct vs_tmpl *t, CK_ATTRIBUTE_TYPE type, CK_ATTRIBUTE *ret)
{
	for (size_t i = 0; i < t->n; i++) {
		const CK_ATTRIBUTE a = vs_tmpl_at(t, i);
		if (a.type == type) {
			*ret = a;
			return true;
		}
	}
	return false;
}

VS_CK
vs_tmpl_ulong(const struct vs_tmpl *t, CK_ATTRIBUTE_TYPE type, CK_ULONG *io)
{
	CK_ATTRIBUTE a;
	if (!vs_tmpl_find(t, type, &a))
		return CKR_OK;
	if (a.ulValueLen != sizeof(CK_ULONG) || a.pValue == NULL)
		return CKR_ATTRIBUTE_VALUE_INVALID;
	*io = vs_load_ulong(a.pValue);
	return CKR_OK;
}

VS_CK
vs_tmpl_bool(const struct vs_tmpl *t, CK_ATTRIBUTE_TYPE type, bool *io)
{
	CK_ATTRIBUTE a;
	if (!vs_tmpl_find(t, type, &a))
		return CKR_OK;
	if (a.ulValueLen != sizeof(CK_BBOOL) || a.pValue == NULL)
		return CKR_ATTRIBUTE_VALUE_INVALID;
	const CK_BBOOL v = *(const CK_BBOOL *)a.pValue;
	if (v > 1)
		return CKR_ATTRIBUTE_VALUE_INVALID;
	*io = v == CK_TRUE;
	return CKR_OK;
}

static void
empty(struct vs_attr *a)
{
	free(a->heap);
	vs_secret_done(&a->secret);
	*a = (struct vs_attr){0};
}

void
vs_attrs_done(struct vs_attrs *as)
{
	for (size_t i = 0; i < as->n; i++)
		empty(&as->a[i]);
	free(as->a);
	*as = (struct vs_attrs){0};
}

/* Where the attribute is, or where it will be. */
static struct vs_attr *
place(struct vs_attrs *as, CK_ATTRIBUTE_TYPE type)
{
	for (size_t i = 0; i < as->n; i++) {
		if (as->a[i].type == type)
			return &as->a[i];
	}
	if (as->n >= VS_ATTRS_MAX)
		return NULL;
	if (as->n % 16 == 0) {
		struct vs_attr *a = calloc(as->n + 16, sizeof *a);
		if (a == NULL)
			return NULL;
		if (as->n != 0)
			memcpy(a, as->a, as->n * sizeof *a);
		free(as->a);
		as->a = a;
	}
	as->a[as->n] = (struct vs_attr){.type = type};
	return &as->a[as->n++];
}

VS_CK
vs_attrs_set(struct vs_attrs *as, struct vs_arena *arena, CK_ATTRIBUTE_TYPE type, const void *p,
	size_t n)
{
	struct vs_attr made = {.type = type, .n = n};
	if (arena != NULL && n != 0) {
		if (vs_failed(vs_secret_from(arena, p, n, &made.secret, NULL)))
			return CKR_HOST_MEMORY;
		made.p = made.secret.p;
	} else if (n != 0) {
		made.heap = malloc(n);
		if (made.heap == NULL)
			return CKR_HOST_MEMORY;
		memcpy(made.heap, p, n);
		made.p = made.heap;
	}
	struct vs_attr *a = place(as, type);
	if (a == NULL) {
		empty(&made);
		return CKR_HOST_MEMORY;
	}
	empty(a);
	a->type = type;
	a->p = made.p;
	a->n = made.n;
	a->heap = made.heap;
	vs_secret_move(&a->secret, &made.secret);
	return CKR_OK;
}

VS_CK
vs_attrs_set_bool(struct vs_attrs *as, CK_ATTRIBUTE_TYPE type, bool v)
{
	const CK_BBOOL b = v ? CK_TRUE : CK_FALSE;
	return vs_attrs_set(as, NULL, type, &b, sizeof b);
}

VS_CK
vs_attrs_set_ulong(struct vs_attrs *as, CK_ATTRIBUTE_TYPE type, CK_ULONG v)
{
	return vs_attrs_set(as, NULL, type, &v, sizeof v);
}

const struct vs_attr *
vs_attrs_get(const struct vs_attrs *as, CK_ATTRIBUTE_TYPE type)
{
	for (size_t i = 0; i < as->n; i++) {
		if (as->a[i].type == type)
			return &as->a[i];
	}
	return NULL;
}

bool
vs_attrs_bool(const struct vs_attrs *as, CK_ATTRIBUTE_TYPE type, bool otherwise)
{
	const struct vs_attr *a = vs_attrs_get(as, type);
	return a == NULL || a->n != sizeof(CK_BBOOL) ? otherwise : *a->p == CK_TRUE;
}

CK_ULONG
vs_attrs_ulong(const struct vs_attrs *as, CK_ATTRIBUTE_TYPE type, CK_ULONG otherwise)
{
	const struct vs_attr *a = vs_attrs_get(as, type);
	return a == NULL || a->n != sizeof(CK_ULONG) ? otherwise : vs_load_ulong(a->p);
}

VS_CK
vs_attrs_copy(struct vs_attrs *dst, const struct vs_attrs *src)
{
	for (size_t i = 0; i < src->n; i++) {
		const struct vs_attr *a = &src->a[i];
		VS_CK_TRY(vs_attrs_set(dst, a->secret.arena, a->type, a->p, a->n));
	}
	return CKR_OK;
}
