/* SPDX-License-Identifier: BSD-2-Clause */
#include "token/make.h"

#include <string.h>

#include "crypto/cipher.h"
#include "crypto/hash.h"
#include "token/schema.h"

void
vs_make_object_done(struct vs_object **o)
{
	vs_object_unref(*o);
}

void
vs_make_done(struct vs_make *m)
{
	vs_object_unref(m->object);
	vs_pkey_unref(m->key);
	*m = (struct vs_make){0};
}

VS_CK
vs_make_open(struct vs_make *m, struct vs_session *s)
{
	struct vs_instance *inst = s->token->inst;
	m->session = s;
	vs_rc rc = vs_instance_arena(inst, &m->arena, NULL);
	if (!vs_failed(rc))
		rc = vs_instance_ossl(inst, &m->ossl, NULL);
	return vs_ckrv(rc, VS_DOING_ANY);
}

VS_CK
vs_make_object(struct vs_make *m, enum vs_kind kind, CK_KEY_TYPE type)
{
	if (kind == VS_KIND_NONE)
		return CKR_TEMPLATE_INCONSISTENT;
	m->object = vs_object_new(kind);
	if (m->object == NULL)
		return CKR_HOST_MEMORY;
	m->object->owner = m->session->handle;
	if (type == CK_UNAVAILABLE_INFORMATION || !((1u << kind) & VS_K_KEYS))
		return CKR_OK;
	return vs_attrs_set_ulong(&m->object->attrs, CKA_KEY_TYPE, type);
}

/* ---- from attributes to a key ------------------------------------------------------------------
 */

static struct vs_bytes
bytes(const struct vs_object *o, CK_ATTRIBUTE_TYPE type)
{
	const struct vs_attr *a = vs_attrs_get(&o->attrs, type);
	return a == NULL ? (struct vs_bytes){NULL, 0} : (struct vs_bytes){a->p, a->n};
}

static VS_CK
ec_public(const struct vs_object *o, struct vs_key_public *ret)
{
	const struct vs_bytes point = bytes(o, CKA_EC_POINT);
	ret->type = VS_KEY_EC;
	ret->curve = vs_curve_from_params(bytes(o, CKA_EC_PARAMS));
	if (ret->curve == VS_CURVE_NONE)
		return CKR_CURVE_NOT_SUPPORTED;
	if (point.n == 0)
		return CKR_OK;
	return vs_ckrv(
		vs_curve_split_point(ret->curve, point, &ret->x, &ret->y, NULL), VS_DOING_CREATE);
}

static struct vs_key_public
rsa_public(const struct vs_object *o)
{
	return (struct vs_key_public){
		.type = VS_KEY_RSA, .n = bytes(o, CKA_MODULUS), .e = bytes(o, CKA_PUBLIC_EXPONENT)};
}

static VS_CK
private_key(struct vs_make *m)
{
	const struct vs_object *o = m->object;
	struct vs_key_private parts = {0};
	if (o->kind == VS_KIND_PRIV_RSA) {
		parts = (struct vs_key_private){
			.pub = rsa_public(o),
			.d = bytes(o, CKA_PRIVATE_EXPONENT),
			.p = bytes(o, CKA_PRIME_1),
			.q = bytes(o, CKA_PRIME_2),
			.dp = bytes(o, CKA_EXPONENT_1),
			.dq = bytes(o, CKA_EXPONENT_2),
			.qi = bytes(o, CKA_COEFFICIENT),
		};
	} else {
		VS_CK_TRY(ec_public(o, &parts.pub));
		parts.d = bytes(o, CKA_VALUE);
	}
	return vs_ckrv(vs_pkey_from_private(m->ossl, &parts, &m->key, NULL), VS_DOING_CREATE);
}

VS_CK
vs_make_key(struct vs_make *m)
{
	struct vs_key_public pub = {0};
	switch (m->object->kind) {
	case VS_KIND_PUB_RSA:
		pub = rsa_public(m->object);
		return vs_ckrv(
			vs_pkey_from_public(m->ossl, &pub, true, &m->key, NULL), VS_DOING_CREATE);
	case VS_KIND_PUB_EC:
		VS_CK_TRY(ec_public(m->object, &pub));
		return vs_ckrv(
			vs_pkey_from_public(m->ossl, &pub, true, &m->key, NULL), VS_DOING_CREATE);
	case VS_KIND_PRIV_RSA:
	case VS_KIND_PRIV_EC: return private_key(m);
	case VS_KIND_AES:
	case VS_KIND_GENERIC:
		return vs_ckrv(vs_pkey_from_octets(m->ossl, m->arena,
				       m->object->kind == VS_KIND_AES ? VS_KEY_AES : VS_KEY_SECRET,
				       bytes(m->object, CKA_VALUE), &m->key, NULL),
			VS_DOING_CREATE);
	case VS_KIND_NONE:
	case VS_KIND_DATA:
	case VS_KIND_CERT:
	case VS_KIND_PROFILE:
	case VS_KIND_COUNT_: break;
	}
	return CKR_TEMPLATE_INCONSISTENT;
}

/* ---- from a key to attributes ------------------------------------------------------------------
 */

static VS_CK
set(struct vs_make *m, CK_ATTRIBUTE_TYPE type, struct vs_bytes v, bool secret)
{
	return vs_attrs_set(&m->object->attrs, secret ? m->arena : NULL, type, v.p, v.n);
}

/* DER OCTET STRING around the uncompressed point. */
static VS_CK
set_point(struct vs_make *m)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf raw = {.max = 256};
	uint8_t der[260];
	size_t at = 0;
	const vs_rc rc = vs_pkey_ec_point(m->key, &raw, NULL);
	if (vs_failed(rc) || raw.n > 255)
		return vs_failed(rc) ? vs_ckrv(rc, VS_DOING_CREATE) : CKR_GENERAL_ERROR;
	der[at++] = 0x04;
	if (raw.n > 127)
		der[at++] = 0x81;
	der[at++] = (uint8_t)raw.n;
	memcpy(der + at, raw.p, raw.n);
	return set(m, CKA_EC_POINT, (struct vs_bytes){der, at + raw.n}, false);
}

static VS_CK
set_public(struct vs_make *m)
{
	const struct vs_key_desc desc = vs_pkey_desc(m->key);
	const struct vs_key_public pub = vs_pkey_public(m->key);
	VS_CLEANUP(vs_buf_done) struct vs_buf spki = {.max = VS_PKCS8_MAX};
	const vs_rc rc = vs_pkey_spki(m->key, &spki, NULL);
	if (vs_failed(rc))
		return vs_ckrv(rc, VS_DOING_CREATE);
	VS_CK_TRY(set(m, CKA_PUBLIC_KEY_INFO, vs_buf_view(&spki), false));
	if (desc.type == VS_KEY_RSA) {
		VS_CK_TRY(set(m, CKA_MODULUS, pub.n, false));
		if (m->object->kind == VS_KIND_PUB_RSA)
			VS_CK_TRY(
				vs_attrs_set_ulong(&m->object->attrs, CKA_MODULUS_BITS, desc.bits));
		return set(m, CKA_PUBLIC_EXPONENT, pub.e, false);
	}
	VS_CK_TRY(set(m, CKA_EC_PARAMS, vs_curve_oid_der(desc.curve), false));
	return set_point(m);
}

static VS_CK
set_private(struct vs_make *m)
{
	VS_CLEANUP(vs_secret_done) struct vs_secret store = {0};
	struct vs_key_private parts = {0};
	const vs_rc rc = vs_pkey_private(m->key, m->arena, &store, &parts, NULL);
	if (vs_failed(rc))
		return vs_ckrv(rc, VS_DOING_CREATE);
	if (m->object->kind == VS_KIND_PRIV_EC)
		return set(m, CKA_VALUE, parts.d, true);
	const struct {
		CK_ATTRIBUTE_TYPE type;
		struct vs_bytes v;
	} table[] = {
		{CKA_PRIVATE_EXPONENT, parts.d},
		{CKA_PRIME_1, parts.p},
		{CKA_PRIME_2, parts.q},
		{CKA_EXPONENT_1, parts.dp},
		{CKA_EXPONENT_2, parts.dq},
		{CKA_COEFFICIENT, parts.qi},
	};
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		VS_CK_TRY(set(m, table[i].type, table[i].v, true));
	return CKR_OK;
}

VS_CK
vs_make_history(struct vs_make *m, bool always_sensitive, bool never_extractable)
{
	struct vs_attrs *as = &m->object->attrs;
	if (!((1u << m->object->kind) & (VS_K_PRIV | VS_K_SECRET)))
		return CKR_OK;
	VS_CK_TRY(vs_attrs_set_bool(as, CKA_ALWAYS_SENSITIVE,
		always_sensitive && vs_attrs_bool(as, CKA_SENSITIVE, false)));
	return vs_attrs_set_bool(as, CKA_NEVER_EXTRACTABLE,
		never_extractable && !vs_attrs_bool(as, CKA_EXTRACTABLE, true));
}

VS_CK
vs_make_from_key(struct vs_make *m, CK_MECHANISM_TYPE mechanism, bool local)
{
	struct vs_attrs *as = &m->object->attrs;
	const unsigned kind = 1u << m->object->kind;
	VS_CK_TRY(vs_attrs_set_bool(as, CKA_LOCAL, local));
	VS_CK_TRY(vs_attrs_set_ulong(as, CKA_KEY_GEN_MECHANISM, mechanism));
	VS_CK_TRY(vs_make_history(m, local, local));
	if (kind & VS_K_SECRET) {
		const struct vs_bytes octets = vs_pkey_octets(m->key);
		VS_CK_TRY(set(m, CKA_VALUE, octets, true));
		VS_CK_TRY(vs_attrs_set_ulong(as, CKA_VALUE_LEN, octets.n));
	} else {
		VS_CK_TRY(set_public(m));
		if (kind & VS_K_PRIV)
			VS_CK_TRY(set_private(m));
	}
	atomic_store(&m->object->pkey, vs_pkey_ref(m->key));
	return CKR_OK;
}

VS_CK
vs_make_secret(struct vs_make *m, const struct vs_tmpl *t, CK_KEY_TYPE otherwise,
	struct vs_bytes octets, enum vs_doing doing)
{
	CK_ULONG class = CKO_SECRET_KEY;
	CK_ULONG type = otherwise;
	VS_CK_TRY(vs_tmpl_ulong(t, CKA_CLASS, &class));
	VS_CK_TRY(vs_tmpl_ulong(t, CKA_KEY_TYPE, &type));
	if (class != CKO_SECRET_KEY)
		return CKR_TEMPLATE_INCONSISTENT;
	VS_CK_TRY(vs_make_object(m, vs_kind_of(class, type), type));
	VS_CK_TRY(vs_schema_fill(m->object, t, VS_MAKE_GENERATE, m->arena));
	const vs_rc rc = vs_pkey_from_octets(m->ossl, m->arena,
		m->object->kind == VS_KIND_AES ? VS_KEY_AES : VS_KEY_SECRET, octets, &m->key, NULL);
	if (vs_failed(rc))
		return doing == VS_DOING_UNWRAP ? CKR_WRAPPED_KEY_INVALID : vs_ckrv(rc, doing);
	return vs_make_from_key(m, CK_UNAVAILABLE_INFORMATION, false);
}

static void
cipher_done(struct vs_cipher **c)
{
	vs_cipher_free(*c);
}

static void
digest_done(struct vs_digest **d)
{
	vs_digest_free(*d);
}

/* Three octets: of an encrypted block of zeros, or of a certificate's SHA-1. */
static VS_RC
check_octets(struct vs_make *m, uint8_t out[VS_HASH_MAX_BYTES])
{
	static const uint8_t zeros[16];
	struct vs_pkey *key = atomic_load(&m->object->pkey);
	VS_CLEANUP(cipher_done) struct vs_cipher *c = NULL;
	VS_CLEANUP(digest_done) struct vs_digest *d = NULL;
	const struct vs_cipher_params none = {0};
	size_t n = 0;
	if (m->object->kind == VS_KIND_CERT) {
		VS_TRY(vs_digest_new(m->ossl, VS_HASH_SHA1, &d, NULL));
		return vs_digest_once(d, bytes(m->object, CKA_VALUE), out, NULL);
	}
	VS_REQUIRE(NULL, key != NULL);
	VS_TRY(vs_cipher_new(key, VS_CIPHER_ECB, true, &c, NULL));
	VS_TRY(vs_cipher_start(c, &none, NULL));
	return vs_cipher_once(
		c, (struct vs_bytes){zeros, sizeof zeros}, out, sizeof zeros, &n, NULL);
}

/* What the template gave must be right; an empty one means that none is wanted. */
static VS_CK
check_value(struct vs_make *m)
{
	enum { CHECK_BYTES = 3 };
	uint8_t out[VS_HASH_MAX_BYTES];
	const struct vs_attr *given = vs_attrs_get(&m->object->attrs, CKA_CHECK_VALUE);
	if (m->object->kind != VS_KIND_AES && m->object->kind != VS_KIND_CERT)
		return CKR_OK;
	if (given != NULL && given->n == 0)
		return CKR_OK;
	VS_CK_TRY(vs_ckrv(check_octets(m, out), VS_DOING_CREATE));
	if (given != NULL && (given->n != CHECK_BYTES || memcmp(given->p, out, CHECK_BYTES) != 0))
		return CKR_ATTRIBUTE_VALUE_INVALID;
	return vs_attrs_set(&m->object->attrs, NULL, CKA_CHECK_VALUE, out, CHECK_BYTES);
}

VS_CK
vs_make_publish(struct vs_make *m, CK_OBJECT_HANDLE *ret)
{
	VS_CK_TRY(check_value(m));
	m->session->made_objects = true;
	VS_CK_TRY(vs_store_add(m->session->token, m->object, ret));
	m->object = NULL;
	return CKR_OK;
}
