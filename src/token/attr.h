/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Attribute arrays: the caller's, which may be unaligned and full of nonsense and is therefore
 * only read by copy, and our own.
 */
#ifndef VS_TOKEN_ATTR_H
#define VS_TOKEN_ATTR_H

#include "base/secret.h"
#include "token/ck.h"

/* A CK_RV must be used. */
#define VS_CK __attribute__((warn_unused_result)) CK_RV
#define VS_CK_TRY(expr) \
	do { \
		const CK_RV vs_ck_try_rv_ = (expr); \
		if (vs_ck_try_rv_ != CKR_OK) \
			return vs_ck_try_rv_; \
	} while (0)

enum {
	VS_TMPL_MAX = 256, /* attributes in one template */
	VS_ATTR_BYTES_MAX = 1024 * 1024, /* one value given by a caller */
	VS_ATTRS_MAX = 64, /* attributes of one session object */
};

/* The caller's array. */
struct vs_tmpl {
	const void *base;
	size_t n;
};

/* ARGUMENTS_BAD when there are attributes but no array, or absurdly many. */
VS_CK vs_tmpl_open(const void *base, CK_ULONG n, struct vs_tmpl *ret);
/* Also: each attribute is readable (no length without a value, none over the maximum). */
VS_CK vs_tmpl_open_values(const void *base, CK_ULONG n, struct vs_tmpl *ret);
CK_ATTRIBUTE vs_tmpl_at(const struct vs_tmpl *t, size_t i);
/* First attribute of this type. */
bool vs_tmpl_find(const struct vs_tmpl *t, CK_ATTRIBUTE_TYPE type, CK_ATTRIBUTE *ret);
/*
 * Typed reading. Absent: the value stays what the caller set, CKR_OK. Wrong length or a bool that
 * is neither 0 nor 1: CKR_ATTRIBUTE_VALUE_INVALID.
 */
VS_CK vs_tmpl_ulong(const struct vs_tmpl *t, CK_ATTRIBUTE_TYPE type, CK_ULONG *io);
VS_CK vs_tmpl_bool(const struct vs_tmpl *t, CK_ATTRIBUTE_TYPE type, bool *io);

/* One attribute of ours. Secret values live in the arena, the others on the heap. */
struct vs_attr {
	CK_ATTRIBUTE_TYPE type;
	const uint8_t *p;
	size_t n;
	uint8_t *heap;
	struct vs_secret secret;
};

/* Zero-initialise. */
struct vs_attrs {
	size_t n;
	struct vs_attr *a;
};

void vs_attrs_done(struct vs_attrs *as);
/* Add or replace; arena is NULL for what is no secret. HOST_MEMORY. */
VS_CK vs_attrs_set(struct vs_attrs *as, struct vs_arena *arena, CK_ATTRIBUTE_TYPE type,
	const void *p, size_t n);
VS_CK vs_attrs_set_bool(struct vs_attrs *as, CK_ATTRIBUTE_TYPE type, bool v);
VS_CK vs_attrs_set_ulong(struct vs_attrs *as, CK_ATTRIBUTE_TYPE type, CK_ULONG v);
const struct vs_attr *vs_attrs_get(const struct vs_attrs *as, CK_ATTRIBUTE_TYPE type);
bool vs_attrs_bool(const struct vs_attrs *as, CK_ATTRIBUTE_TYPE type, bool otherwise);
CK_ULONG vs_attrs_ulong(const struct vs_attrs *as, CK_ATTRIBUTE_TYPE type, CK_ULONG otherwise);
/* Deep copy into an empty set; secrets go into the same arena. */
VS_CK vs_attrs_copy(struct vs_attrs *dst, const struct vs_attrs *src);

/* A number out of memory of any alignment. */
static inline CK_ULONG
vs_load_ulong(const void *p)
{
	CK_ULONG v;
	__builtin_memcpy(&v, p, sizeof v);
	return v;
}

#endif
