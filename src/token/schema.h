/* SPDX-License-Identifier: BSD-2-Clause */
/* Which object has which attribute, where its value comes from, who may set it: one table. */
#ifndef VS_TOKEN_SCHEMA_H
#define VS_TOKEN_SCHEMA_H

#include "token/object.h"

enum vs_form {
	VS_FORM_BYTES = 0,
	VS_FORM_BOOL,
	VS_FORM_ULONG,
	VS_FORM_DATE,
	VS_FORM_MECHS,
	VS_FORM_TEMPLATE, /* nested.h */
};

/* Where a token object's value comes from. */
enum vs_src {
	VS_SRC_ABSENT = 0,
	VS_SRC_FALSE,
	VS_SRC_TRUE,
	VS_SRC_EMPTY,
	VS_SRC_CLASS,
	VS_SRC_KEY_TYPE,
	VS_SRC_NAME,
	VS_SRC_ID,
	VS_SRC_UNIQUE,
	VS_SRC_KID,
	VS_SRC_OP, /* a bit of the service's permitted operations: arg */
	VS_SRC_NUMBER, /* arg */
	VS_SRC_UNAVAILABLE,
	VS_SRC_MODULUS,
	VS_SRC_EXPONENT,
	VS_SRC_BITS,
	VS_SRC_VALUE_LEN,
	VS_SRC_EC_PARAMS,
	VS_SRC_EC_POINT,
	VS_SRC_SPKI,
	VS_SRC_CERT,
	VS_SRC_SUBJECT,
	VS_SRC_ISSUER,
	VS_SRC_SERIAL,
	VS_SRC_PROFILE,
	VS_SRC_SECRET, /* it exists, and is never given out */
	VS_SRC_COUNT_,
};

/* What a session object has when its template says nothing. */
enum vs_default {
	VS_DEF_ABSENT = 0,
	VS_DEF_FALSE,
	VS_DEF_TRUE,
	VS_DEF_EMPTY,
	VS_DEF_MADE, /* by the code that makes the object */
};

/* Rights, per way of making an object. */
enum {
	VS_MAY_CREATE = 1 << 0, /* C_CreateObject */
	VS_MUST_CREATE = 1 << 1,
	VS_MAY_MAKE = 1 << 2, /* C_Generate..., C_UnwrapKey, C_DeriveKey */
	VS_MAY_SET = 1 << 3, /* C_SetAttributeValue */
	VS_MAY_COPY = 1 << 4, /* C_CopyObject */
	VS_UP_ONLY = 1 << 5, /* set and copy: only towards true */
	VS_DOWN_ONLY = 1 << 6, /* set and copy: only towards false */
	VS_HIDDEN = 1 << 7, /* not readable when sensitive or not extractable */
};

struct vs_schema {
	CK_ATTRIBUTE_TYPE type;
	uint32_t kinds; /* VS_K() bits */
	uint8_t form;
	uint8_t src; /* of token objects */
	uint8_t def; /* of session objects */
	uint16_t rights;
	CK_ULONG arg;
};

/* NULL when such an object has no such attribute. */
const struct vs_schema *vs_schema_find(CK_ATTRIBUTE_TYPE type, enum vs_kind kind);
/* Rows one by one for a kind: start with *i = 0; NULL at the end. */
const struct vs_schema *vs_schema_next(enum vs_kind kind, size_t *i);

enum vs_way { VS_MAKE_CREATE = 0, VS_MAKE_GENERATE };
/*
 * Take a template over into a new session object's attributes: refuses unknown, foreign and
 * forbidden attributes, demands the mandatory ones, fills in what is missing, and keeps the trust
 * rules (T-P1): no wrap with decrypt, no unwrap with encrypt. Attributes the code itself makes are
 * left to it. secrets go into the arena.
 */
VS_CK vs_schema_fill(
	struct vs_object *o, const struct vs_tmpl *t, enum vs_way how, struct vs_arena *arena);
/* May this stand in a template inside a key, whatever the key is for? */
VS_CK vs_schema_inner(const CK_ATTRIBUTE *a);
/* Change (copy: false) or copy with changes: o holds the old attributes and gets the new ones. */
VS_CK
vs_schema_change(struct vs_object *o, const struct vs_tmpl *t, bool copy, struct vs_arena *arena);

#endif
