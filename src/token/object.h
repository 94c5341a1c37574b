/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Objects: those of the token, which read their attributes from the catalog as the schema says,
 * and session objects, which hold theirs. Published objects do not change.
 */
#ifndef VS_TOKEN_OBJECT_H
#define VS_TOKEN_OBJECT_H

#include <stdatomic.h>

#include "proto/catalog.h"
#include "token/attr.h"

struct vs_catalog;
struct vs_pkey;

enum vs_kind {
	VS_KIND_NONE = 0,
	VS_KIND_DATA,
	VS_KIND_CERT,
	VS_KIND_PUB_RSA,
	VS_KIND_PUB_EC,
	VS_KIND_PRIV_RSA,
	VS_KIND_PRIV_EC,
	VS_KIND_AES,
	VS_KIND_GENERIC, /* generic secrets, HMAC and HKDF keys */
	VS_KIND_PROFILE,
	VS_KIND_COUNT_,
};
#define VS_K(kind) (1u << VS_KIND_##kind)
#define VS_K_PUB (VS_K(PUB_RSA) | VS_K(PUB_EC))
#define VS_K_PRIV (VS_K(PRIV_RSA) | VS_K(PRIV_EC))
#define VS_K_SECRET (VS_K(AES) | VS_K(GENERIC))
#define VS_K_KEYS (VS_K_PUB | VS_K_PRIV | VS_K_SECRET)
#define VS_K_ALL (VS_K_KEYS | VS_K(DATA) | VS_K(CERT) | VS_K(PROFILE))

/* Chains an object hangs in (objset.h). */
enum vs_chain { VS_CHAIN_HANDLE = 0, VS_CHAIN_ID, VS_CHAIN_LABEL, VS_CHAIN_CLASS, VS_CHAIN_COUNT_ };

/* The low bits of a handle tell where to look; the rest is a number that is never used again. */
enum {
	VS_HANDLE_KEY = 0,
	VS_HANDLE_PUBLIC = 1,
	VS_HANDLE_CERT = 2,
	VS_HANDLE_PROFILE = 3,
	VS_HANDLE_SESSION = 4,
	VS_HANDLE_MASK = 7,
	VS_HANDLE_SHIFT = 3,
};

struct vs_object {
	enum vs_kind kind;
	CK_OBJECT_HANDLE handle;
	struct vs_catalog *catalog; /* token objects: owns this object */
	const struct vs_cat_entry *entry; /* token objects but profiles */
	CK_ULONG profile;
	CK_SESSION_HANDLE owner; /* session objects: goes with this session */
	CK_SESSION_HANDLE owner_index; /* its place in the session table */
	struct vs_attrs attrs; /* session objects */
	_Atomic uint32_t refs; /* session objects */
	_Atomic bool dead; /* destroyed or replaced */
	_Atomic(struct vs_pkey *) pkey; /* public and session keys: built at first use */
	struct vs_object *next[VS_CHAIN_COUNT_];
};

struct vs_object *vs_object_ref(struct vs_object *o);
/* NULL-safe. */
void vs_object_unref(struct vs_object *o);
/* An empty session object with one reference; NULL without memory. */
struct vs_object *vs_object_new(enum vs_kind kind);
static inline bool
vs_object_is_token(const struct vs_object *o)
{
	return o->catalog != NULL;
}

CK_OBJECT_CLASS vs_kind_class(enum vs_kind kind);
/* CKK_ of kinds that have one fixed; CK_UNAVAILABLE_INFORMATION otherwise. */
CK_KEY_TYPE vs_kind_key_type(enum vs_kind kind);
/* NONE when we know no such objects. */
enum vs_kind vs_kind_of(CK_OBJECT_CLASS class, CK_KEY_TYPE key_type);

enum { VS_VALUE_SCRATCH = 168 };
/* A value, made in scratch where it is not stored as such. */
struct vs_value {
	const uint8_t *p;
	size_t n;
	uint8_t scratch[VS_VALUE_SCRATCH];
};

enum vs_get { VS_GET_OK = 0, VS_GET_ABSENT, VS_GET_SENSITIVE };
enum vs_get vs_object_get(const struct vs_object *o, CK_ATTRIBUTE_TYPE type, struct vs_value *ret);
bool vs_object_bool(const struct vs_object *o, CK_ATTRIBUTE_TYPE type, bool otherwise);
CK_ULONG vs_object_ulong(const struct vs_object *o, CK_ATTRIBUTE_TYPE type, CK_ULONG otherwise);
/* Every attribute of the template is there, readable, and equal as a whole. */
bool vs_object_matches(const struct vs_object *o, const struct vs_tmpl *t);
/* C_GetAttributeValue: each attribute is looked at, the worst code is returned. */
VS_CK vs_object_copy_out(const struct vs_object *o, void *base, CK_ULONG n);
/* Bytes of all readable attributes, for C_GetObjectSize. */
CK_ULONG vs_object_size(const struct vs_object *o);

#endif
