/* SPDX-License-Identifier: BSD-2-Clause */
/* What only the files of this folder know: the structs, and how a call into libcrypto is framed. */
#ifndef VS_CRYPTO_INTERNAL_H
#define VS_CRYPTO_INTERNAL_H

#include <stdatomic.h>

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "base/secret.h"
#include "crypto/cipher.h"
#include "crypto/hash.h"
#include "crypto/ossl.h"
#include "crypto/pkey.h"

enum ossl_cipher {
	OSSL_AES_ECB = 0,
	OSSL_AES_CBC,
	OSSL_AES_CTR,
	OSSL_AES_GCM,
	OSSL_AES_CCM,
	OSSL_AES_KW,
	OSSL_AES_KWP,
	OSSL_CIPHER_COUNT_,
};

/* Fetched at first use, then kept until the end. Each slot goes from NULL to its value once. */
struct vs_ossl {
	atomic_uint refs;
	atomic_bool abandoned;
	OSSL_LIB_CTX *ctx;
	OSSL_PROVIDER *provider;
	_Atomic(EVP_MD *) md[VS_HASH_COUNT_];
	_Atomic(EVP_CIPHER *) cipher[OSSL_CIPHER_COUNT_][3];
	_Atomic(EVP_MAC *) hmac;
	_Atomic(EVP_MAC *) cmac;
};

struct vs_pkey {
	atomic_uint refs;
	struct vs_ossl *o;
	struct vs_key_desc desc;
	bool priv;
	EVP_PKEY *evp; /* RSA, EC */
	struct vs_buf pub; /* n then e, or x then y */
	size_t pub_first; /* length of n or x in pub */
	struct vs_secret octets; /* AES, SECRET */
	atomic_uint doubt; /* RSA: private operations whose result is checked, see vs_pkey_doubt */
};

enum { VS_DOUBT_OPERATIONS = 64 };

VS_RC vs_ossl_md(struct vs_ossl *o, enum vs_hash h, EVP_MD **ret, struct vs_err *err);
/* key_n is 16, 24 or 32. */
VS_RC vs_ossl_cipher(
	struct vs_ossl *o, enum ossl_cipher c, size_t key_n, EVP_CIPHER **ret, struct vs_err *err);
VS_RC vs_ossl_mac(struct vs_ossl *o, bool cmac, EVP_MAC **ret, struct vs_err *err);

/*
 * Before calling libcrypto: refuses when it is gone, and puts the error queue back at the end of
 * the scope. The inner loops of digests and ciphers leave the mark out: nothing they can be fed
 * makes OpenSSL push an error.
 */
#define OSSL_ENTER(err) \
	VS_TRY(vs_ossl_alive(err)); \
	VS_CLEANUP(vs_ossl_leave) int ossl_mark_ = ERR_set_mark(); \
	(void)ossl_mark_
VS_RC vs_ossl_alive(struct vs_err *err);
void vs_ossl_leave(int *mark);

/* An error whose cause is the newest entry of OpenSSL's queue. */
vs_rc
vs_ossl_put(struct vs_err *err, enum vs_code code, const char *func, int line, const char *what);
#define OSSL_FAIL(err, CODE, what) \
	return vs_ossl_put((err), VS_E_##CODE, __func__, __LINE__, (what))
/* A call of libcrypto that says 1 for yes; 0 and negative values are errors. */
#define OSSL_TRY(err, call, what) \
	do { \
		if ((call) != 1) \
			OSSL_FAIL(err, CRYPTO, what); \
	} while (0)

/* Cleanup functions; each leaves NULL behind and clears what may be secret. */
void vs_bn_done(BIGNUM **p);
void vs_bn_ctx_done(BN_CTX **p);
void vs_evp_pkey_done(EVP_PKEY **p);
/*
 * Kinds of keys for EVP_PKEY_CTX_new_from_name(). By "RSA" or "EC" it first asks for an ENGINE that
 * the host made its default, for this library context, too; that can be engine_pkcs11 above this
 * very module, and it has no keys from numbers. By their OIDs (providers' other names for
 * them) it goes to the provider.
 */
#define VS_OSSL_RSA "1.2.840.113549.1.1.1"
#define VS_OSSL_EC "1.2.840.10045.2.1"
void vs_evp_pkey_ctx_done(EVP_PKEY_CTX **p);
void vs_pkey_done(struct vs_pkey **p);

/* pkey.c: an empty key object with one reference. */
VS_RC vs_pkey_alloc(struct vs_ossl *o, enum vs_key_type type, bool priv, struct vs_pkey **ret,
	struct vs_err *err);
/* pkey.c: takes evp over, reads the public parts out of it. */
VS_RC vs_pkey_adopt(struct vs_ossl *o, enum vs_key_type type, bool priv, EVP_PKEY **evp,
	struct vs_pkey **ret, struct vs_err *err);
/* pkey_check.c: one property after the other, then a signature and its verification. */
VS_RC
vs_pkey_check_rsa_public(const BIGNUM *n, const BIGNUM *e, bool allow_weak, struct vs_err *err);
VS_RC vs_pkey_check_rsa_private(EVP_PKEY *evp, struct vs_err *err);
/* The same of numbers that were read before. */
VS_RC vs_pkey_check_rsa_parts(const struct vs_key_private *parts, struct vs_err *err);
VS_RC vs_pkey_check_round(struct vs_pkey *k, struct vs_err *err);
bool vs_pkey_is_roca(const BIGNUM *n);
/*
 * pkey_pkcs8.c: the numbers of a PrivateKeyInfo that fills der exactly, RSA with two factors or EC
 * on a curve that exists here. Views of der, and of ret for the point; p to qi are there for RSA,
 * the point only where der has it. Nothing is checked but the form. Errors: BAD_KEY, MEMORY.
 */
struct vs_pkcs8 {
	struct vs_key_private key;
	uint8_t x[66], y[66];
};
VS_RC
vs_pkcs8_read(struct vs_ossl *o, struct vs_bytes der, struct vs_pkcs8 *ret, struct vs_err *err);

/* pkey_make.c: a PKCS#8 structure with all numbers, from those that were given. */
struct vs_rsa_parts {
	uint8_t *room;
	size_t room_n;
	const uint8_t *der;
	size_t der_n;
};
void vs_rsa_parts_done(struct vs_rsa_parts *parts);
VS_RC vs_rsa_parts_complete(struct vs_ossl *o, const struct vs_key_private *parts,
	struct vs_rsa_parts *ret, struct vs_err *err);
/* curve.c */
const char *vs_curve_ossl_name(enum vs_curve c);
enum vs_curve vs_curve_from_ossl_name(const char *name);
int vs_curve_nid(enum vs_curve c);
/*
 * A failed private operation can leave OpenSSL's blinding of an RSA key half-updated (an allocation
 * failed between its two numbers); then results are wrong until the blinding is renewed, 32 uses
 * later. So after a failure the next results are checked before anybody gets them.
 */
void vs_pkey_doubt(struct vs_pkey *k);
bool vs_pkey_doubted(struct vs_pkey *k);
/* One checked result was right. */
void vs_pkey_trust(struct vs_pkey *k);
/* RSA: what is not below the modulus cannot be signed, encrypted or decrypted. */
bool vs_pkey_below_modulus(const struct vs_pkey *k, struct vs_bytes number);
/* An integer parameter of a key, as a secret big number. */
VS_RC vs_pkey_bn(const EVP_PKEY *evp, const char *name, BIGNUM **ret, struct vs_err *err);

#endif
