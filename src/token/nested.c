/* SPDX-License-Identifier: BSD-2-Clause */
#include "token/nested.h"

#include <stdlib.h>
#include <string.h>

#include "token/schema.h"

/* ---- what is kept: type, length, value, one after the other ---------------------------------- */

enum { HEAD_BYTES = sizeof(CK_ATTRIBUTE_TYPE) + sizeof(CK_ULONG) };

static size_t
unpack(struct vs_bytes kept, CK_ATTRIBUTE ret[VS_NESTED_MAX])
{
	size_t n = 0, at = 0;
	while (n < VS_NESTED_MAX && kept.n - at >= HEAD_BYTES) {
		const CK_ULONG len = vs_load_ulong(kept.p + at + sizeof(CK_ATTRIBUTE_TYPE));
		ret[n++] = (CK_ATTRIBUTE){vs_load_ulong(kept.p + at),
			(void *)(uintptr_t)(kept.p + at + HEAD_BYTES), len};
		at += HEAD_BYTES + len;
	}
	return n;
}

static bool
same_value(const CK_ATTRIBUTE *a, const CK_ATTRIBUTE *b)
{
	return a->ulValueLen == b->ulValueLen && (b->pValue != NULL || b->ulValueLen == 0) &&
		(a->ulValueLen == 0 || memcmp(a->pValue, b->pValue, a->ulValueLen) == 0);
}

/* ---- the caller's ---------------------------------------------------------------------------- */

/* The array by copy, once: what was looked at is what is taken. */
static VS_CK
load(const CK_ATTRIBUTE *a, CK_ATTRIBUTE ret[VS_NESTED_MAX], size_t *ret_n)
{
	const size_t n = a->ulValueLen / sizeof *ret;
	if (a->ulValueLen % sizeof *ret != 0 || (a->pValue == NULL && n != 0))
		return CKR_ATTRIBUTE_VALUE_INVALID;
	if (n > VS_NESTED_MAX)
		return CKR_TEMPLATE_INCONSISTENT;
	if (n != 0)
		memcpy(ret, a->pValue, n * sizeof *ret);
	*ret_n = n;
	return CKR_OK;
}

static VS_CK
check(const CK_ATTRIBUTE in[VS_NESTED_MAX], size_t n, size_t *ret_bytes)
{
	size_t sum = 0;
	for (size_t i = 0; i < n; i++) {
		const size_t len = in[i].ulValueLen;
		if (in[i].pValue == NULL && len != 0)
			return CKR_ATTRIBUTE_VALUE_INVALID;
		if (len > VS_NESTED_BYTES_MAX - sum)
			return len > VS_ATTR_BYTES_MAX ? CKR_ATTRIBUTE_VALUE_INVALID
						       : CKR_TEMPLATE_INCONSISTENT;
		sum += len;
		VS_CK_TRY(vs_schema_inner(&in[i]));
		for (size_t j = 0; j < i; j++) {
			if (in[j].type == in[i].type)
				return CKR_TEMPLATE_INCONSISTENT;
		}
	}
	*ret_bytes = sum + n * HEAD_BYTES;
	return CKR_OK;
}

VS_CK
vs_nested_set(struct vs_attrs *as, const CK_ATTRIBUTE *a)
{
	CK_ATTRIBUTE in[VS_NESTED_MAX];
	size_t n = 0, bytes = 0, at = 0;
	VS_CK_TRY(load(a, in, &n));
	VS_CK_TRY(check(in, n, &bytes));
	uint8_t *p = malloc(bytes + 1);
	if (p == NULL)
		return CKR_HOST_MEMORY;
	for (size_t i = 0; i < n; i++) {
		memcpy(p + at, &in[i].type, sizeof in[i].type);
		at += sizeof in[i].type;
		memcpy(p + at, &in[i].ulValueLen, sizeof in[i].ulValueLen);
		at += sizeof in[i].ulValueLen;
		if (in[i].ulValueLen != 0)
			memcpy(p + at, in[i].pValue, in[i].ulValueLen);
		at += in[i].ulValueLen;
	}
	const CK_RV rv = vs_attrs_set(as, NULL, a->type, p, at);
	free(p);
	return rv;
}

/* PKCS#11 3.0 section 5.7.5, the special case of an array of attributes. */
static CK_RV
copy_inner(const CK_ATTRIBUTE *from, CK_ATTRIBUTE *to)
{
	to->type = from->type;
	if (to->pValue != NULL && to->ulValueLen < from->ulValueLen) {
		to->ulValueLen = CK_UNAVAILABLE_INFORMATION;
		return CKR_BUFFER_TOO_SMALL;
	}
	if (to->pValue != NULL && from->ulValueLen != 0)
		memcpy(to->pValue, from->pValue, from->ulValueLen);
	to->ulValueLen = from->ulValueLen;
	return CKR_OK;
}

CK_RV
vs_nested_copy_out(struct vs_bytes kept, CK_ATTRIBUTE *a)
{
	CK_ATTRIBUTE have[VS_NESTED_MAX], to;
	const size_t n = unpack(kept, have);
	CK_RV worst = CKR_OK;
	if (a->pValue != NULL && a->ulValueLen < n * sizeof to) {
		a->ulValueLen = CK_UNAVAILABLE_INFORMATION;
		return CKR_BUFFER_TOO_SMALL;
	}
	for (size_t i = 0; a->pValue != NULL && i < n; i++) {
		uint8_t *place = (uint8_t *)a->pValue + i * sizeof to;
		memcpy(&to, place, sizeof to);
		const CK_RV rv = copy_inner(&have[i], &to);
		memcpy(place, &to, sizeof to);
		worst = rv != CKR_OK ? rv : worst;
	}
	a->ulValueLen = n * sizeof to;
	return worst;
}

bool
vs_nested_equal(struct vs_bytes kept, const CK_ATTRIBUTE *a)
{
	CK_ATTRIBUTE have[VS_NESTED_MAX], want[VS_NESTED_MAX];
	size_t n = 0, bytes = 0;
	const size_t have_n = unpack(kept, have);
	if (load(a, want, &n) != CKR_OK || n != have_n || check(want, n, &bytes) != CKR_OK)
		return false;
	/* Of equally many, none twice: found all is found the same. */
	for (size_t i = 0; i < n; i++) {
		bool found = false;
		for (size_t j = 0; j < n && !found; j++)
			found = want[j].type == have[i].type && same_value(&have[i], &want[j]);
		if (!found)
			return false;
	}
	return true;
}

/* ---- what they do ---------------------------------------------------------------------------- */

/* None is in no object of the token. */
static size_t
of_key(const struct vs_object *key, CK_ATTRIBUTE_TYPE which, CK_ATTRIBUTE ret[VS_NESTED_MAX])
{
	const struct vs_attr *a = vs_attrs_get(&key->attrs, which);
	return a == NULL ? 0 : unpack((struct vs_bytes){a->p, a->n}, ret);
}

bool
vs_nested_admits(
	const struct vs_object *key, CK_ATTRIBUTE_TYPE which, const struct vs_object *other)
{
	CK_ATTRIBUTE have[VS_NESTED_MAX];
	const struct vs_tmpl t = {have, of_key(key, which, have)};
	return vs_object_matches(other, &t);
}

VS_CK
vs_nested_merge(const struct vs_object *key, CK_ATTRIBUTE_TYPE which, const struct vs_tmpl *given,
	struct vs_merged *ret)
{
	CK_ATTRIBUTE a;
	const size_t kept = of_key(key, which, ret->a);
	size_t n = kept;
	for (size_t i = 0; i < given->n; i++) {
		bool there = false;
		a = vs_tmpl_at(given, i);
		for (size_t j = 0; j < kept && !there; j++) {
			there = ret->a[j].type == a.type;
			if (there && !same_value(&ret->a[j], &a))
				return CKR_TEMPLATE_INCONSISTENT;
		}
		if (!there)
			ret->a[n++] = a;
	}
	ret->t = (struct vs_tmpl){ret->a, n};
	return CKR_OK;
}
