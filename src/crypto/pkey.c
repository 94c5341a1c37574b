/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/pkey.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>

#include "base/codec.h"
#include "base/race.h"
#include "crypto/der.h"
#include "crypto/internal.h"

vs_rc
vs_pkey_alloc(struct vs_ossl *o, enum vs_key_type type, bool priv, struct vs_pkey **ret,
	struct vs_err *err)
{
	struct vs_pkey *k = calloc(1, sizeof *k);

	if (k == NULL)
		VS_FAIL(err, MEMORY, "no memory for a key");
	atomic_init(&k->refs, 1);
	k->o = vs_ossl_ref(o);
	k->desc.type = type;
	k->priv = priv;
	k->pub.max = 2 * (VS_RSA_MAX_BITS / 8);
	*ret = k;
	return VS_OK;
}

struct vs_pkey *
vs_pkey_ref(struct vs_pkey *k)
{
	atomic_fetch_add_explicit(&k->refs, 1, memory_order_relaxed);
	return k;
}

void
vs_pkey_unref(struct vs_pkey *k)
{
	if (k == NULL || !VS_LAST_REF(k))
		return;
	if (!vs_ossl_gone())
		EVP_PKEY_free(k->evp);
	/* A forked child's arena is already unmapped, and its pages were zero. */
	if (!atomic_load(&k->o->abandoned))
		vs_secret_done(&k->octets);
	vs_buf_done(&k->pub);
	vs_ossl_unref(k->o);
	free(k);
}

void
vs_pkey_done(struct vs_pkey **p)
{
	vs_pkey_unref(*p);
	*p = NULL;
}

struct vs_key_desc
vs_pkey_desc(const struct vs_pkey *k)
{
	return k->desc;
}

bool
vs_pkey_is_private(const struct vs_pkey *k)
{
	return k->priv;
}

struct vs_ossl *
vs_pkey_ossl(const struct vs_pkey *k)
{
	return k->o;
}

struct vs_bytes
vs_pkey_octets(const struct vs_pkey *k)
{
	return vs_secret_view(&k->octets);
}

/* ---- public part ------------------------------------------------------------------------- */

struct vs_key_public
vs_pkey_public(const struct vs_pkey *k)
{
	struct vs_key_public pub = {.type = k->desc.type, .curve = k->desc.curve};

	if (k->evp == NULL)
		return pub;
	const struct vs_bytes first = vs_bytes_of(k->pub.p, k->pub_first);
	const struct vs_bytes second =
		vs_bytes_of(k->pub.p + k->pub_first, k->pub.n - k->pub_first);
	if (k->desc.type == VS_KEY_RSA) {
		pub.n = first;
		pub.e = second;
	} else {
		pub.x = first;
		pub.y = second;
	}
	return pub;
}

static bool
same_number(struct vs_bytes a, struct vs_bytes b)
{
	a = vs_der_strip(a);
	b = vs_der_strip(b);
	return a.n != 0 && vs_bytes_eq(a, b);
}

bool
vs_pkey_matches_public(const struct vs_pkey *k, const struct vs_key_public *want)
{
	const struct vs_key_public have = vs_pkey_public(k);

	if (have.type != want->type || have.curve != want->curve)
		return false;
	if (have.type == VS_KEY_RSA)
		return same_number(have.n, want->n) && same_number(have.e, want->e);
	if (have.type == VS_KEY_EC)
		return same_number(have.x, want->x) && same_number(have.y, want->y);
	return false;
}

void
vs_pkey_doubt(struct vs_pkey *k)
{
	atomic_store(&k->doubt, VS_DOUBT_OPERATIONS);
}

bool
vs_pkey_doubted(struct vs_pkey *k)
{
	return atomic_load_explicit(&k->doubt, memory_order_relaxed) != 0;
}

void
vs_pkey_trust(struct vs_pkey *k)
{
	unsigned left = atomic_load(&k->doubt);
	while (left != 0 && !atomic_compare_exchange_weak(&k->doubt, &left, left - 1))
		;
}

bool
vs_pkey_below_modulus(const struct vs_pkey *k, struct vs_bytes number)
{
	const struct vs_bytes n = vs_pkey_public(k).n;
	number = vs_der_strip(number);
	return number.n < n.n || (number.n == n.n && memcmp(number.p, n.p, n.n) < 0);
}

vs_rc
vs_pkey_bn(const EVP_PKEY *evp, const char *name, BIGNUM **ret, struct vs_err *err)
{
	BIGNUM *bn = BN_secure_new();

	if (bn == NULL)
		VS_FAIL(err, MEMORY, "no memory for a number");
	BN_set_flags(bn, BN_FLG_CONSTTIME);
	if (EVP_PKEY_get_bn_param(evp, name, &bn) != 1) {
		BN_clear_free(bn);
		VS_FAIL(err, BAD_KEY, "the key has no part \"%s\"", name);
	}
	*ret = bn;
	return VS_OK;
}

static vs_rc
add_number(struct vs_pkey *k, const char *name, size_t width, struct vs_err *err)
{
	VS_CLEANUP(vs_bn_done) BIGNUM *bn = NULL;
	VS_TRY(vs_pkey_bn(k->evp, name, &bn, err));
	const size_t n = width == 0 ? (size_t)BN_num_bytes(bn) : width;
	uint8_t *p = NULL;
	VS_TRY(vs_buf_room(&k->pub, n, &p, err));
	if (n > VS_RSA_MAX_BITS / 8 || BN_bn2binpad(bn, p, (int)n) != (int)n)
		VS_FAIL(err, BAD_KEY, "the key's part \"%s\" is too long", name);
	k->pub.n += n;
	return VS_OK;
}

static vs_rc
read_rsa(struct vs_pkey *k, struct vs_err *err)
{
	VS_TRY(add_number(k, OSSL_PKEY_PARAM_RSA_N, 0, err));
	k->pub_first = k->pub.n;
	VS_TRY(add_number(k, OSSL_PKEY_PARAM_RSA_E, 0, err));
	if (k->pub_first == 0 || k->pub_first == k->pub.n)
		VS_FAIL(err, BAD_KEY, "a number of the RSA key is zero");
	uint32_t bits = (uint32_t)k->pub_first * 8;
	for (uint8_t top = k->pub.p[0]; (top & 0x80) == 0; top = (uint8_t)(top << 1))
		bits--;
	k->desc.bits = bits;
	return VS_OK;
}

static vs_rc
read_ec(struct vs_pkey *k, struct vs_err *err)
{
	char group[64];

	if (EVP_PKEY_get_group_name(k->evp, group, sizeof group, NULL) != 1)
		VS_FAIL(err, BAD_KEY, "the key's curve has no name");
	k->desc.curve = vs_curve_from_ossl_name(group);
	if (k->desc.curve == VS_CURVE_NONE)
		VS_FAIL(err, BAD_KEY, "the key's curve %s is not offered here", group);
	const size_t n = vs_curve_bytes(k->desc.curve);
	VS_TRY(add_number(k, OSSL_PKEY_PARAM_EC_PUB_X, n, err));
	k->pub_first = n;
	VS_TRY(add_number(k, OSSL_PKEY_PARAM_EC_PUB_Y, n, err));
	k->desc.bits = vs_curve_bits(k->desc.curve);
	return VS_OK;
}

vs_rc
vs_pkey_adopt(struct vs_ossl *o, enum vs_key_type type, bool priv, EVP_PKEY **evp,
	struct vs_pkey **ret, struct vs_err *err)
{
	VS_CLEANUP(vs_pkey_done) struct vs_pkey *k = NULL;
	VS_TRY(vs_pkey_alloc(o, type, priv, &k, err));
	k->evp = VS_TAKE(*evp);
	VS_TRY(type == VS_KEY_RSA ? read_rsa(k, err) : read_ec(k, err));
	/* OpenSSL notes the size when a key is made, and goes on without when it cannot. */
	if (EVP_PKEY_get_bits(k->evp) != (int)k->desc.bits)
		VS_FAIL(err, MEMORY, "no memory for a key");
	*ret = VS_TAKE(k);
	return VS_OK;
}

/* ---- symmetric --------------------------------------------------------------------------- */

static vs_rc
check_octets(enum vs_key_type type, size_t n, struct vs_err *err)
{
	if (type == VS_KEY_AES) {
		if (n != 16 && n != 24 && n != 32)
			VS_FAIL(err, KEY_SIZE, "an AES key has 16, 24 or 32 octets, not %zu", n);
	} else if (type == VS_KEY_SECRET) {
		if (n == 0 || n > VS_SECRET_KEY_MAX)
			VS_FAIL(err, KEY_SIZE, "a generic secret has 1 to %d octets, not %zu",
				(int)VS_SECRET_KEY_MAX, n);
	} else {
		VS_FAIL(err, KEY_KIND, "octets make a symmetric key only");
	}
	return VS_OK;
}

vs_rc
vs_pkey_from_octets(struct vs_ossl *o, struct vs_arena *arena, enum vs_key_type type,
	struct vs_bytes octets, struct vs_pkey **ret, struct vs_err *err)
{
	VS_TRY(check_octets(type, octets.n, err));
	VS_CLEANUP(vs_pkey_done) struct vs_pkey *k = NULL;
	VS_TRY(vs_pkey_alloc(o, type, true, &k, err));
	VS_TRY(vs_secret_from(arena, octets.p, octets.n, &k->octets, err));
	k->desc.bits = (uint32_t)(octets.n * 8);
	*ret = VS_TAKE(k);
	return VS_OK;
}

vs_rc
vs_pkey_generate_octets(struct vs_ossl *o, struct vs_arena *arena, enum vs_key_type type, size_t n,
	struct vs_pkey **ret, struct vs_err *err)
{
	VS_TRY(check_octets(type, n, err));
	VS_CLEANUP(vs_pkey_done) struct vs_pkey *k = NULL;
	VS_TRY(vs_pkey_alloc(o, type, true, &k, err));
	VS_TRY(vs_secret_new(arena, n, &k->octets, err));
	VS_TRY(vs_random(k->octets.p, n, err));
	k->desc.bits = (uint32_t)(n * 8);
	*ret = VS_TAKE(k);
	return VS_OK;
}

/* ---- exports ----------------------------------------------------------------------------- */

vs_rc
vs_pkey_ec_point(const struct vs_pkey *k, struct vs_buf *out, struct vs_err *err)
{
	if (k->desc.type != VS_KEY_EC)
		VS_FAIL(err, KEY_KIND, "only an EC key has a point");
	VS_TRY(vs_buf_add_u8(out, 0x04, err));
	return vs_buf_add(out, k->pub.p, k->pub.n, err);
}

vs_rc
vs_pkey_spki(const struct vs_pkey *k, struct vs_buf *out, struct vs_err *err)
{
	uint8_t room[2 * (VS_RSA_MAX_BITS / 8) + 64];
	struct vs_der d = vs_der_of(room, sizeof room);

	if (k->evp == NULL)
		VS_FAIL(err, KEY_KIND, "a symmetric key has no public part");
	const struct vs_key_public pub = vs_pkey_public(k);
	vs_der_spki(&d, &pub);
	VS_REQUIRE(err, !d.bad);
	const struct vs_bytes der = vs_der_view(&d);
	return vs_buf_add(out, der.p, der.n, err);
}

/* One number behind what store holds already; n octets, left-padded. */
static vs_rc
store_number(const struct vs_pkey *k, const char *name, size_t n, struct vs_secret *store,
	size_t *used, struct vs_bytes *ret, struct vs_err *err)
{
	VS_CLEANUP(vs_bn_done) BIGNUM *bn = NULL;
	VS_TRY(vs_pkey_bn(k->evp, name, &bn, err));
	if (n == 0)
		n = (size_t)BN_num_bytes(bn);
	VS_REQUIRE(err, n <= store->n - *used);
	VS_REQUIRE(err, BN_bn2binpad(bn, store->p + *used, (int)n) == (int)n);
	*ret = vs_bytes_of(store->p + *used, n);
	*used += n;
	return VS_OK;
}

vs_rc
vs_pkey_private(const struct vs_pkey *k, struct vs_arena *arena, struct vs_secret *ret_store,
	struct vs_key_private *ret, struct vs_err *err)
{
	if (!k->priv || k->evp == NULL)
		VS_FAIL(err, KEY_KIND, "the key has no private components");
	OSSL_ENTER(err);
	const size_t bytes = (k->desc.bits + 7) / 8;
	VS_CLEANUP(vs_secret_done) struct vs_secret store = {0};
	struct vs_key_private parts = {.pub = vs_pkey_public(k)};
	size_t used = 0;

	/* d, then p, q, dp, dq, qi of which none is longer than the modulus */
	VS_TRY(vs_secret_new(arena, k->desc.type == VS_KEY_RSA ? 6 * bytes : bytes, &store, err));
	if (k->desc.type == VS_KEY_EC) {
		VS_TRY(store_number(
			k, OSSL_PKEY_PARAM_PRIV_KEY, bytes, &store, &used, &parts.d, err));
	} else {
		const struct {
			const char *name;
			struct vs_bytes *to;
		} rows[] = {
			{OSSL_PKEY_PARAM_RSA_D, &parts.d},
			{OSSL_PKEY_PARAM_RSA_FACTOR1, &parts.p},
			{OSSL_PKEY_PARAM_RSA_FACTOR2, &parts.q},
			{OSSL_PKEY_PARAM_RSA_EXPONENT1, &parts.dp},
			{OSSL_PKEY_PARAM_RSA_EXPONENT2, &parts.dq},
			{OSSL_PKEY_PARAM_RSA_COEFFICIENT1, &parts.qi},
		};
		for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
			VS_TRY(store_number(k, rows[i].name, 0, &store, &used, rows[i].to, err));
		/* Without memory OpenSSL can take one number for another. */
		VS_TRY(vs_pkey_check_rsa_parts(&parts, err));
	}
	vs_secret_done(ret_store);
	vs_secret_move(ret_store, &store);
	*ret = parts;
	return VS_OK;
}

vs_rc
vs_pkey_export(
	const struct vs_pkey *k, struct vs_arena *arena, struct vs_secret *ret, struct vs_err *err)
{
	if (!k->priv)
		VS_FAIL(err, KEY_KIND, "a public key cannot be wrapped");
	if (k->evp == NULL)
		return vs_secret_from(arena, k->octets.p, k->octets.n, ret, err);
	VS_CLEANUP(vs_secret_done) struct vs_secret store = {0}, der = {0};
	struct vs_key_private parts;
	VS_TRY(vs_pkey_private(k, arena, &store, &parts, err));
	VS_TRY(vs_secret_new(arena, store.n + 2 * k->pub.n + 128, &der, err));
	struct vs_der d = vs_der_of(der.p, der.n);
	vs_der_pkcs8(&d, &parts);
	VS_REQUIRE(err, !d.bad);
	const struct vs_bytes view = vs_der_view(&d);
	return vs_secret_from(arena, view.p, view.n, ret, err);
}
