/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/sign.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/rsa.h>

#include "base/codec.h"
#include "crypto/ecdsa.h"
#include "crypto/internal.h"

enum {
	CMAC_BYTES = 16,
	PKCS1_OVERHEAD = 11,
};

struct vs_signer {
	struct vs_pkey *key;
	struct vs_sign_params params;
	bool verify;
	bool started;
	size_t size;
	EVP_PKEY_CTX *pctx; /* RSA, ECDSA */
	EVP_MD_CTX *mdctx; /* hash of the message */
	EVP_MAC_CTX *mac; /* HMAC, CMAC */
	size_t held_n; /* hash NONE: what came so far */
	uint8_t held[VS_SIGN_MAX_BYTES];
};

/* ---- what fits what ---------------------------------------------------------------------- */

static vs_rc
check_pss(const struct vs_key_desc *desc, const struct vs_sign_params *p, struct vs_err *err)
{
	if (vs_hash_size(p->pss_hash) == 0 || vs_hash_size(p->mgf_hash) == 0)
		VS_FAIL(err, PARAM, "PSS needs a hash function and one for its mask");
	if (p->hash != VS_HASH_NONE && p->hash != p->pss_hash)
		VS_FAIL(err, PARAM, "PSS is asked for %s, but the mechanism hashes with %s",
			vs_hash_name(p->pss_hash), vs_hash_name(p->hash));
	/* RFC 8017 9.1.1: emBits is one less than the modulus */
	const size_t em = (desc->bits - 1 + 7) / 8;
	if (p->salt_bytes > em || vs_hash_size(p->pss_hash) + p->salt_bytes + 2 > em)
		VS_FAIL(err, KEY_SIZE,
			"the modulus has no room for this hash and a salt of %u octets",
			(unsigned)p->salt_bytes);
	return VS_OK;
}

static vs_rc
check_rsa(const struct vs_key_desc *desc, const struct vs_sign_params *p, struct vs_err *err)
{
	if (desc->type != VS_KEY_RSA)
		VS_FAIL(err, KEY_KIND, "this operation needs an RSA key");
	if (p->scheme == VS_SIGN_RSA_PSS)
		return check_pss(desc, p, err);
	if (p->scheme == VS_SIGN_RSA_RAW && p->hash != VS_HASH_NONE)
		VS_FAIL(err, PARAM, "raw RSA does not hash");
	return VS_OK;
}

static vs_rc
check_mac(const struct vs_key_desc *desc, const struct vs_sign_params *p, struct vs_err *err)
{
	if (p->scheme == VS_SIGN_CMAC) {
		if (desc->type != VS_KEY_AES)
			VS_FAIL(err, KEY_KIND, "CMAC needs an AES key");
		if (p->mac_bytes > CMAC_BYTES)
			VS_FAIL(err, PARAM, "a CMAC has at most %d octets", (int)CMAC_BYTES);
		return VS_OK;
	}
	if (desc->type != VS_KEY_SECRET && desc->type != VS_KEY_AES)
		VS_FAIL(err, KEY_KIND, "HMAC needs a secret key");
	if (vs_hash_size(p->hash) == 0)
		VS_FAIL(err, PARAM, "HMAC needs a hash function");
	if (p->mac_bytes > vs_hash_size(p->hash))
		VS_FAIL(err, PARAM, "this HMAC has at most %zu octets", vs_hash_size(p->hash));
	return VS_OK;
}

vs_rc
vs_sign_check(const struct vs_key_desc *desc, const struct vs_sign_params *p, struct vs_err *err)
{
	if ((unsigned)p->hash >= VS_HASH_COUNT_)
		VS_FAIL(err, PARAM, "the hash function is not known");
	switch (p->scheme) {
	case VS_SIGN_RSA_PKCS1:
	case VS_SIGN_RSA_PSS:
	case VS_SIGN_RSA_RAW: return check_rsa(desc, p, err);
	case VS_SIGN_ECDSA:
		if (desc->type != VS_KEY_EC)
			VS_FAIL(err, KEY_KIND, "this operation needs an EC key");
		return VS_OK;
	case VS_SIGN_HMAC:
	case VS_SIGN_CMAC: return check_mac(desc, p, err);
	case VS_SIGN_NONE:
	case VS_SIGN_COUNT_: break;
	}
	VS_FAIL(err, PARAM, "the signature scheme is not known");
}

size_t
vs_sign_size(const struct vs_key_desc *desc, const struct vs_sign_params *p)
{
	if (vs_failed(vs_sign_check(desc, p, NULL)))
		return 0;
	switch (p->scheme) {
	case VS_SIGN_RSA_PKCS1:
	case VS_SIGN_RSA_PSS:
	case VS_SIGN_RSA_RAW: return (desc->bits + 7) / 8;
	case VS_SIGN_ECDSA: return 2 * vs_curve_bytes(desc->curve);
	case VS_SIGN_HMAC: return p->mac_bytes == 0 ? vs_hash_size(p->hash) : p->mac_bytes;
	case VS_SIGN_CMAC: return p->mac_bytes == 0 ? CMAC_BYTES : p->mac_bytes;
	case VS_SIGN_NONE:
	case VS_SIGN_COUNT_: break;
	}
	return 0;
}

/* ---- preparing --------------------------------------------------------------------------- */

static bool
is_mac(const struct vs_signer *s)
{
	return s->params.scheme == VS_SIGN_HMAC || s->params.scheme == VS_SIGN_CMAC;
}

static vs_rc
prepare_pkey(struct vs_signer *s, struct vs_err *err)
{
	const struct vs_sign_params *p = &s->params;
	struct vs_ossl *o = s->key->o;

	s->pctx = EVP_PKEY_CTX_new_from_pkey(o->ctx, s->key->evp, NULL);
	if (s->pctx == NULL)
		OSSL_FAIL(err, MEMORY, "no memory for a signature");
	OSSL_TRY(err, s->verify ? EVP_PKEY_verify_init(s->pctx) : EVP_PKEY_sign_init(s->pctx),
		"a signature cannot be prepared");
	if (p->scheme == VS_SIGN_ECDSA)
		return VS_OK;
	const int padding = p->scheme == VS_SIGN_RSA_PSS ? RSA_PKCS1_PSS_PADDING
		: p->scheme == VS_SIGN_RSA_RAW           ? RSA_NO_PADDING
							 : RSA_PKCS1_PADDING;
	OSSL_TRY(err, EVP_PKEY_CTX_set_rsa_padding(s->pctx, padding),
		"a signature cannot be prepared");
	const enum vs_hash h = p->scheme == VS_SIGN_RSA_PSS ? p->pss_hash : p->hash;
	EVP_MD *md = NULL;
	if (h != VS_HASH_NONE) {
		VS_TRY(vs_ossl_md(o, h, &md, err));
		OSSL_TRY(err, EVP_PKEY_CTX_set_signature_md(s->pctx, md),
			"a signature cannot be prepared");
	}
	if (p->scheme == VS_SIGN_RSA_PSS) {
		VS_TRY(vs_ossl_md(o, p->mgf_hash, &md, err));
		OSSL_TRY(err, EVP_PKEY_CTX_set_rsa_mgf1_md(s->pctx, md),
			"a signature cannot be prepared");
		OSSL_TRY(err, EVP_PKEY_CTX_set_rsa_pss_saltlen(s->pctx, (int)p->salt_bytes),
			"a signature cannot be prepared");
	}
	return VS_OK;
}

static vs_rc
prepare_mac(struct vs_signer *s, struct vs_err *err)
{
	const bool cmac = s->params.scheme == VS_SIGN_CMAC;
	const struct vs_bytes key = vs_secret_view(&s->key->octets);
	EVP_MAC *mac = NULL;
	char name[16];

	VS_TRY(vs_ossl_mac(s->key->o, cmac, &mac, err));
	s->mac = EVP_MAC_CTX_new(mac);
	if (s->mac == NULL)
		OSSL_FAIL(err, MEMORY, "no memory for a MAC");
	if (cmac)
		(void)snprintf(name, sizeof name, "AES-%u-CBC", (unsigned)s->key->desc.bits);
	else
		(void)snprintf(name, sizeof name, "%s", vs_hash_name(s->params.hash));
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(
			cmac ? OSSL_MAC_PARAM_CIPHER : OSSL_MAC_PARAM_DIGEST, name, 0),
		OSSL_PARAM_END,
	};
	OSSL_TRY(err, EVP_MAC_init(s->mac, key.p, key.n, params), "a MAC cannot be prepared");
	return VS_OK;
}

static void
signer_done(struct vs_signer **p)
{
	vs_signer_free(*p);
	*p = NULL;
}

vs_rc
vs_signer_new(struct vs_pkey *key, const struct vs_sign_params *params, bool verify,
	struct vs_signer **ret, struct vs_err *err)
{
	VS_TRY(vs_sign_check(&key->desc, params, err));
	if (!verify && !key->priv)
		VS_FAIL(err, KEY_KIND, "a public key cannot sign");
	OSSL_ENTER(err);
	VS_CLEANUP(signer_done) struct vs_signer *s = calloc(1, sizeof *s);
	if (s == NULL)
		VS_FAIL(err, MEMORY, "no memory for a signature");
	s->key = vs_pkey_ref(key);
	s->params = *params;
	s->verify = verify;
	s->size = vs_sign_size(&key->desc, params);
	VS_REQUIRE(err, s->size != 0 && s->size <= sizeof s->held);
	VS_TRY(is_mac(s) ? prepare_mac(s, err) : prepare_pkey(s, err));
	if (!is_mac(s) && params->hash != VS_HASH_NONE) {
		EVP_MD *md = NULL;
		VS_TRY(vs_ossl_md(key->o, params->hash, &md, err));
		s->mdctx = EVP_MD_CTX_new();
		if (s->mdctx == NULL)
			VS_FAIL(err, MEMORY, "no memory for a signature");
		OSSL_TRY(err, EVP_DigestInit_ex2(s->mdctx, md, NULL), "a digest cannot be started");
	}
	*ret = VS_TAKE(s);
	return VS_OK;
}

void
vs_signer_free(struct vs_signer *s)
{
	if (s == NULL)
		return;
	if (!vs_ossl_gone()) {
		EVP_PKEY_CTX_free(s->pctx);
		EVP_MD_CTX_free(s->mdctx);
		EVP_MAC_CTX_free(s->mac);
	}
	vs_pkey_unref(s->key);
	vs_wipe(s->held, sizeof s->held);
	free(s);
}

bool
vs_signer_fits(const struct vs_signer *s, const struct vs_pkey *key, const struct vs_sign_params *p,
	bool verify)
{
	return s != NULL && s->key == key && s->verify == verify && s->params.scheme == p->scheme &&
		s->params.hash == p->hash && s->params.pss_hash == p->pss_hash &&
		s->params.mgf_hash == p->mgf_hash && s->params.salt_bytes == p->salt_bytes &&
		s->params.mac_bytes == p->mac_bytes;
}

size_t
vs_signer_size(const struct vs_signer *s)
{
	return s->size;
}

/* ---- one message ------------------------------------------------------------------------- */

vs_rc
vs_signer_start(struct vs_signer *s, struct vs_err *err)
{
	VS_TRY(vs_ossl_alive(err));
	s->started = false;
	s->held_n = 0;
	if (s->mac != NULL)
		OSSL_TRY(err, EVP_MAC_init(s->mac, NULL, 0, NULL), "a MAC cannot be started");
	else if (s->mdctx != NULL)
		OSSL_TRY(err, EVP_DigestInit_ex2(s->mdctx, NULL, NULL),
			"a digest cannot be started");
	s->started = true;
	return VS_OK;
}

/* How much may come where nothing hashes it. */
static size_t
raw_max(const struct vs_signer *s)
{
	switch (s->params.scheme) {
	case VS_SIGN_RSA_PKCS1: return s->size - PKCS1_OVERHEAD;
	case VS_SIGN_RSA_PSS: return vs_hash_size(s->params.pss_hash);
	case VS_SIGN_RSA_RAW: return s->size;
	case VS_SIGN_ECDSA: return sizeof s->held;
	case VS_SIGN_HMAC:
	case VS_SIGN_CMAC:
	case VS_SIGN_NONE:
	case VS_SIGN_COUNT_: break;
	}
	return 0;
}

vs_rc
vs_signer_update(struct vs_signer *s, struct vs_bytes in, struct vs_err *err)
{
	VS_TRY(vs_ossl_alive(err));
	if (!s->started)
		VS_FAIL(err, STATE, "no signature has been started");
	if (in.n == 0)
		return VS_OK;
	if (s->mac != NULL) {
		s->started = EVP_MAC_update(s->mac, in.p, in.n) == 1;
	} else if (s->mdctx != NULL) {
		s->started = EVP_DigestUpdate(s->mdctx, in.p, in.n) == 1;
	} else {
		const size_t max = raw_max(s);
		if (in.n > max - s->held_n) {
			s->started = false;
			VS_FAIL(err, DATA_LEN, "at most %zu octets can be signed with this key",
				max);
		}
		memcpy(s->held + s->held_n, in.p, in.n);
		s->held_n += in.n;
	}
	if (!s->started)
		OSSL_FAIL(err, CRYPTO, "a digest failed");
	return VS_OK;
}

/* What goes into the key: the digest, or what was held, brought to the length the scheme wants. */
static vs_rc
finish_input(struct vs_signer *s, struct vs_bytes *ret, struct vs_err *err)
{
	if (!s->started)
		VS_FAIL(err, STATE, "no signature has been started");
	s->started = false;
	if (s->mdctx != NULL) {
		OSSL_TRY(err, EVP_DigestFinal_ex(s->mdctx, s->held, NULL), "a digest failed");
		s->held_n = vs_hash_size(s->params.hash);
	} else if (s->params.scheme == VS_SIGN_RSA_RAW) {
		memmove(s->held + s->size - s->held_n, s->held, s->held_n);
		memset(s->held, 0, s->size - s->held_n);
		s->held_n = s->size;
	} else if (s->params.scheme == VS_SIGN_RSA_PSS &&
		s->held_n != vs_hash_size(s->params.pss_hash)) {
		VS_FAIL(err, DATA_LEN, "a digest of %zu octets is needed",
			vs_hash_size(s->params.pss_hash));
	} else if (s->params.scheme == VS_SIGN_ECDSA && s->held_n == 0) {
		VS_FAIL(err, DATA_LEN, "there is nothing to sign");
	}
	*ret = vs_bytes_of(s->held, s->held_n);
	return VS_OK;
}

/* ---- end of a message -------------------------------------------------------------------- */

static vs_rc
mac_final(struct vs_signer *s, uint8_t out[VS_HASH_MAX_BYTES], struct vs_err *err)
{
	size_t n = 0;

	if (!s->started)
		VS_FAIL(err, STATE, "no signature has been started");
	s->started = false;
	OSSL_TRY(err, EVP_MAC_final(s->mac, out, &n, VS_HASH_MAX_BYTES), "a MAC failed");
	VS_REQUIRE(err, n >= s->size);
	return VS_OK;
}

static vs_rc
sign_ecdsa(struct vs_signer *s, struct vs_bytes in, uint8_t *out, struct vs_err *err)
{
	uint8_t der[VS_ECDSA_DER_MAX];
	size_t n = sizeof der;

	OSSL_TRY(err, EVP_PKEY_sign(s->pctx, der, &n, in.p, in.n), "a signature failed");
	/* OpenSSL says yes with an impossible length when it had no memory to encode. */
	if (n > sizeof der || !vs_ecdsa_from_der(vs_bytes_of(der, n), out, s->size / 2))
		VS_FAIL(err, CRYPTO, "a signature failed");
	return VS_OK;
}

/* See vs_pkey_doubt. */
static vs_rc
check_signature(struct vs_signer *s, struct vs_bytes in, uint8_t *sig, struct vs_err *err)
{
	struct vs_signer v = {.key = s->key, .params = s->params, .verify = true, .size = s->size};
	vs_rc rc = prepare_pkey(&v, err);

	if (!vs_failed(rc) && EVP_PKEY_verify(v.pctx, sig, s->size, in.p, in.n) != 1)
		rc = vs_err_put(
			err, VS_E_CRYPTO, __func__, __LINE__, 0, "a signature came out wrong");
	EVP_PKEY_CTX_free(v.pctx);
	if (vs_failed(rc))
		vs_wipe(sig, s->size);
	else
		vs_pkey_trust(s->key);
	return rc;
}

static vs_rc
pkey_sign(struct vs_signer *s, struct vs_bytes in, uint8_t *out, struct vs_err *err)
{
	OSSL_ENTER(err);
	if (s->params.scheme == VS_SIGN_ECDSA)
		return sign_ecdsa(s, in, out, err);
	if (s->params.scheme == VS_SIGN_RSA_RAW && !vs_pkey_below_modulus(s->key, in))
		VS_FAIL(err, DATA, "the number to be signed is not below the modulus");
	size_t n = s->size;
	if (EVP_PKEY_sign(s->pctx, out, &n, in.p, in.n) != 1 || n != s->size) {
		vs_pkey_doubt(s->key);
		OSSL_FAIL(err, CRYPTO, "a signature failed");
	}
	return vs_pkey_doubted(s->key) ? check_signature(s, in, out, err) : VS_OK;
}

vs_rc
vs_signer_sign(struct vs_signer *s, uint8_t *out, size_t cap, size_t *ret_n, struct vs_err *err)
{
	VS_TRY(vs_ossl_alive(err));
	VS_REQUIRE(err, !s->verify);
	if (cap < s->size)
		VS_FAIL(err, ROOM, "the signature has %zu octets", s->size);
	if (s->mac != NULL) {
		uint8_t mac[VS_HASH_MAX_BYTES];
		VS_TRY(mac_final(s, mac, err));
		memcpy(out, mac, s->size);
	} else {
		struct vs_bytes in;
		VS_TRY(finish_input(s, &in, err));
		VS_TRY(pkey_sign(s, in, out, err));
	}
	*ret_n = s->size;
	return VS_OK;
}

static vs_rc
pkey_verify(struct vs_signer *s, struct vs_bytes in, struct vs_bytes sig, struct vs_err *err)
{
	uint8_t der[VS_ECDSA_DER_MAX];

	OSSL_ENTER(err);
	if (s->params.scheme == VS_SIGN_ECDSA)
		sig = vs_bytes_of(der, vs_ecdsa_to_der(sig.p, s->size / 2, der));
	/* 0 and negative values all mean that it is not accepted */
	if (EVP_PKEY_verify(s->pctx, sig.p, sig.n, in.p, in.n) != 1)
		VS_FAIL(err, SIGNATURE, "the signature does not verify");
	return VS_OK;
}

vs_rc
vs_signer_verify(struct vs_signer *s, struct vs_bytes sig, struct vs_err *err)
{
	VS_TRY(vs_ossl_alive(err));
	VS_REQUIRE(err, s->verify);
	if (sig.n != s->size) {
		s->started = false;
		VS_FAIL(err, SIGNATURE_LEN, "the signature has %zu octets where %zu are right",
			sig.n, s->size);
	}
	if (s->mac != NULL) {
		uint8_t mac[VS_HASH_MAX_BYTES];
		VS_TRY(mac_final(s, mac, err));
		const bool same = vs_ct_eq(mac, sig.p, s->size);
		vs_wipe(mac, sizeof mac);
		if (!same)
			VS_FAIL(err, SIGNATURE, "the MAC does not verify");
		return VS_OK;
	}
	struct vs_bytes in;
	VS_TRY(finish_input(s, &in, err));
	return pkey_verify(s, in, sig, err);
}

vs_rc
vs_signer_sign_once(struct vs_signer *s, struct vs_bytes in, uint8_t *out, size_t cap,
	size_t *ret_n, struct vs_err *err)
{
	VS_TRY(vs_signer_start(s, err));
	VS_TRY(vs_signer_update(s, in, err));
	return vs_signer_sign(s, out, cap, ret_n, err);
}

vs_rc
vs_signer_verify_once(
	struct vs_signer *s, struct vs_bytes in, struct vs_bytes sig, struct vs_err *err)
{
	VS_TRY(vs_signer_start(s, err));
	VS_TRY(vs_signer_update(s, in, err));
	return vs_signer_verify(s, sig, err);
}
