/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Templates inside keys: CKA_WRAP_TEMPLATE, CKA_UNWRAP_TEMPLATE, CKA_DERIVE_TEMPLATE. A key keeps
 * one as a string of octets of our own, since what came was full of the caller's addresses. None
 * holds another template, nor the value of a key.
 */
#ifndef VS_TOKEN_NESTED_H
#define VS_TOKEN_NESTED_H

#include "token/object.h"

enum {
	VS_NESTED_MAX = 32, /* attributes in one */
	VS_NESTED_BYTES_MAX = 16 * 1024, /* of their values together */
};

static inline bool
vs_nested_is(CK_ATTRIBUTE_TYPE type)
{
	return type == CKA_WRAP_TEMPLATE || type == CKA_UNWRAP_TEMPLATE ||
		type == CKA_DERIVE_TEMPLATE;
}

/*
 * Take the array over that a points to. CKR_ATTRIBUTE_TYPE_INVALID, CKR_ATTRIBUTE_VALUE_INVALID as
 * in every template; CKR_TEMPLATE_INCONSISTENT for what is right but not taken (PKCS#11 3.2 names
 * that code; before, none was): too many, the same twice, a template, a secret.
 */
VS_CK vs_nested_set(struct vs_attrs *as, const CK_ATTRIBUTE *a);
/* C_GetAttributeValue of one: size, types, and the values for which the caller has room. */
CK_RV vs_nested_copy_out(struct vs_bytes kept, CK_ATTRIBUTE *a);
/* The same attributes with the same values, in any order. */
bool vs_nested_equal(struct vs_bytes kept, const CK_ATTRIBUTE *a);

/* Does other fit the template that key has for this? Without one everything does. */
bool vs_nested_admits(
	const struct vs_object *key, CK_ATTRIBUTE_TYPE which, const struct vs_object *other);

struct vs_merged {
	struct vs_tmpl t;
	CK_ATTRIBUTE a[VS_TMPL_MAX + VS_NESTED_MAX];
};
/*
 * The template that key has for this and the caller's, as one; good as long as both are.
 * CKR_TEMPLATE_INCONSISTENT where they contradict each other.
 */
VS_CK vs_nested_merge(const struct vs_object *key, CK_ATTRIBUTE_TYPE which,
	const struct vs_tmpl *given, struct vs_merged *ret);

#endif
