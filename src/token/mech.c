/* SPDX-License-Identifier: BSD-2-Clause */
#include "token/mech.h"

#define SV \
	(CKF_SIGN | CKF_VERIFY | CKF_MESSAGE_SIGN | CKF_MESSAGE_VERIFY | CKF_MULTI_MESSAGE)
#define RECOVER (CKF_SIGN_RECOVER | CKF_VERIFY_RECOVER)
#define ED (CKF_ENCRYPT | CKF_DECRYPT)
#define WU (CKF_WRAP | CKF_UNWRAP)
#define EC_FLAGS (CKF_EC_F_P | CKF_EC_NAMEDCURVE | CKF_EC_UNCOMPRESS)
#define MSG (CKF_MESSAGE_ENCRYPT | CKF_MESSAGE_DECRYPT | CKF_MULTI_MESSAGE)
#define RSA_SIZE .min = VS_RSA_MIN_BITS, .max = VS_RSA_MAX_BITS
#define EC_SIZE .min = 256, .max = 521
#define AES_SIZE .min = 16, .max = 32
#define SECRET_SIZE .min = 1, .max = VS_SECRET_KEY_MAX

/* clang-format off */
#define RSA_HASH(hash_, ckm, sec) \
	{.type = ckm, .name = #ckm, .flags = SV, .family = VS_FAM_RSA, .hash = VS_HASH_##hash_, \
	 .sign = VS_SIGN_RSA_PKCS1, RSA_SIZE, .section = sec}
#define PSS_HASH(hash_, ckm, sec) \
	{.type = ckm, .name = #ckm, .flags = SV, .family = VS_FAM_RSA, .hash = VS_HASH_##hash_, \
	 .sign = VS_SIGN_RSA_PSS, .param = VS_PARAM_PSS, RSA_SIZE, .section = sec}
#define ECDSA_HASH(hash_, ckm) \
	{.type = ckm, .name = #ckm, .flags = SV | EC_FLAGS, .family = VS_FAM_EC, .hash = VS_HASH_##hash_, \
	 .sign = VS_SIGN_ECDSA, EC_SIZE, .section = "2.3.6"}
#define DIGEST(hash_, ckm, sec) \
	{.type = ckm, .name = #ckm, .flags = CKF_DIGEST, .hash = VS_HASH_##hash_, .section = sec}
#define HMAC(hash_, ckm, sec) \
	{.type = ckm, .name = #ckm, .flags = SV, .family = VS_FAM_SECRET, .hash = VS_HASH_##hash_, \
	 .sign = VS_SIGN_HMAC, SECRET_SIZE, .section = sec}, \
	{.type = ckm##_GENERAL, .name = #ckm "_GENERAL", .flags = SV, .family = VS_FAM_SECRET, \
	 .hash = VS_HASH_##hash_, .sign = VS_SIGN_HMAC, .param = VS_PARAM_MAC_LENGTH, SECRET_SIZE, .section = sec}
#define KEY_GEN(ckm, ckk, fam, size, sec) \
	{.type = ckm, .name = #ckm, .flags = CKF_GENERATE, .family = fam, .makes = ckk, size, .section = sec}

/* Sorted by type. */
static const struct vs_mech rows[] = {
	{.type = CKM_RSA_PKCS_KEY_PAIR_GEN, .name = "CKM_RSA_PKCS_KEY_PAIR_GEN", .flags = CKF_GENERATE_KEY_PAIR,
	 .family = VS_FAM_RSA, .makes = CKK_RSA, RSA_SIZE, .section = "2.1.4"},
	{.type = CKM_RSA_PKCS, .name = "CKM_RSA_PKCS", .flags = SV | RECOVER | ED | WU, .family = VS_FAM_RSA,
	 .sign = VS_SIGN_RSA_PKCS1, .rsa = VS_RSA_PKCS1, RSA_SIZE, .section = "2.1.6"},
	{.type = CKM_RSA_X_509, .name = "CKM_RSA_X_509", .flags = SV | RECOVER | ED, .family = VS_FAM_RSA,
	 .sign = VS_SIGN_RSA_RAW, .rsa = VS_RSA_RAW, .needs = VS_SWITCH_RAW_RSA, RSA_SIZE, .section = "2.1.9"},
	RSA_HASH(SHA1, CKM_SHA1_RSA_PKCS, "2.1.11"),
	{.type = CKM_RSA_PKCS_OAEP, .name = "CKM_RSA_PKCS_OAEP", .flags = ED | WU, .family = VS_FAM_RSA,
	 .rsa = VS_RSA_OAEP, .param = VS_PARAM_OAEP, RSA_SIZE, .section = "2.1.8"},
	{.type = CKM_RSA_PKCS_PSS, .name = "CKM_RSA_PKCS_PSS", .flags = SV, .family = VS_FAM_RSA,
	 .sign = VS_SIGN_RSA_PSS, .param = VS_PARAM_PSS, RSA_SIZE, .section = "2.1.10"},
	PSS_HASH(SHA1, CKM_SHA1_RSA_PKCS_PSS, "2.1.12"),
	RSA_HASH(SHA256, CKM_SHA256_RSA_PKCS, "2.1.11"),
	RSA_HASH(SHA384, CKM_SHA384_RSA_PKCS, "2.1.11"),
	RSA_HASH(SHA512, CKM_SHA512_RSA_PKCS, "2.1.11"),
	PSS_HASH(SHA256, CKM_SHA256_RSA_PKCS_PSS, "2.1.12"),
	PSS_HASH(SHA384, CKM_SHA384_RSA_PKCS_PSS, "2.1.12"),
	PSS_HASH(SHA512, CKM_SHA512_RSA_PKCS_PSS, "2.1.12"),
	RSA_HASH(SHA224, CKM_SHA224_RSA_PKCS, "2.1.11"),
	PSS_HASH(SHA224, CKM_SHA224_RSA_PKCS_PSS, "2.1.12"),
	DIGEST(SHA512_224, CKM_SHA512_224, "2.24.2"),
	HMAC(SHA512_224, CKM_SHA512_224_HMAC, "2.24.3"),
	DIGEST(SHA512_256, CKM_SHA512_256, "2.25.2"),
	HMAC(SHA512_256, CKM_SHA512_256_HMAC, "2.25.3"),
	RSA_HASH(SHA3_256, CKM_SHA3_256_RSA_PKCS, "2.1.13"),
	RSA_HASH(SHA3_384, CKM_SHA3_384_RSA_PKCS, "2.1.13"),
	RSA_HASH(SHA3_512, CKM_SHA3_512_RSA_PKCS, "2.1.13"),
	PSS_HASH(SHA3_256, CKM_SHA3_256_RSA_PKCS_PSS, "2.1.13"),
	PSS_HASH(SHA3_384, CKM_SHA3_384_RSA_PKCS_PSS, "2.1.13"),
	PSS_HASH(SHA3_512, CKM_SHA3_512_RSA_PKCS_PSS, "2.1.13"),
	RSA_HASH(SHA3_224, CKM_SHA3_224_RSA_PKCS, "2.1.13"),
	PSS_HASH(SHA3_224, CKM_SHA3_224_RSA_PKCS_PSS, "2.1.13"),
	DIGEST(SHA1, CKM_SHA_1, "2.20.2"),
	HMAC(SHA1, CKM_SHA_1_HMAC, "2.20.3"),
	DIGEST(SHA256, CKM_SHA256, "2.22.2"),
	HMAC(SHA256, CKM_SHA256_HMAC, "2.22.3"),
	DIGEST(SHA224, CKM_SHA224, "2.21.2"),
	HMAC(SHA224, CKM_SHA224_HMAC, "2.21.3"),
	DIGEST(SHA384, CKM_SHA384, "2.23.2"),
	HMAC(SHA384, CKM_SHA384_HMAC, "2.23.3"),
	DIGEST(SHA512, CKM_SHA512, "2.24.2"),
	HMAC(SHA512, CKM_SHA512_HMAC, "2.24.3"),
	DIGEST(SHA3_256, CKM_SHA3_256, "2.28.2"),
	HMAC(SHA3_256, CKM_SHA3_256_HMAC, "2.28.3"),
	KEY_GEN(CKM_SHA3_256_KEY_GEN, CKK_SHA3_256_HMAC, VS_FAM_SECRET, SECRET_SIZE, "2.28.6"),
	DIGEST(SHA3_224, CKM_SHA3_224, "2.27.2"),
	HMAC(SHA3_224, CKM_SHA3_224_HMAC, "2.27.3"),
	KEY_GEN(CKM_SHA3_224_KEY_GEN, CKK_SHA3_224_HMAC, VS_FAM_SECRET, SECRET_SIZE, "2.27.6"),
	DIGEST(SHA3_384, CKM_SHA3_384, "2.29.2"),
	HMAC(SHA3_384, CKM_SHA3_384_HMAC, "2.29.3"),
	KEY_GEN(CKM_SHA3_384_KEY_GEN, CKK_SHA3_384_HMAC, VS_FAM_SECRET, SECRET_SIZE, "2.29.6"),
	DIGEST(SHA3_512, CKM_SHA3_512, "2.30.2"),
	HMAC(SHA3_512, CKM_SHA3_512_HMAC, "2.30.3"),
	KEY_GEN(CKM_SHA3_512_KEY_GEN, CKK_SHA3_512_HMAC, VS_FAM_SECRET, SECRET_SIZE, "2.30.6"),
	KEY_GEN(CKM_GENERIC_SECRET_KEY_GEN, CKK_GENERIC_SECRET, VS_FAM_SECRET, SECRET_SIZE, "2.17.4"),
	{.type = CKM_EC_KEY_PAIR_GEN, .name = "CKM_EC_KEY_PAIR_GEN", .flags = CKF_GENERATE_KEY_PAIR | EC_FLAGS,
	 .family = VS_FAM_EC, .makes = CKK_EC, EC_SIZE, .section = "2.3.5"},
	{.type = CKM_ECDSA, .name = "CKM_ECDSA", .flags = SV | EC_FLAGS, .family = VS_FAM_EC,
	 .sign = VS_SIGN_ECDSA, EC_SIZE, .section = "2.3.6"},
	ECDSA_HASH(SHA1, CKM_ECDSA_SHA1),
	ECDSA_HASH(SHA224, CKM_ECDSA_SHA224),
	ECDSA_HASH(SHA256, CKM_ECDSA_SHA256),
	ECDSA_HASH(SHA384, CKM_ECDSA_SHA384),
	ECDSA_HASH(SHA512, CKM_ECDSA_SHA512),
	ECDSA_HASH(SHA3_224, CKM_ECDSA_SHA3_224),
	ECDSA_HASH(SHA3_256, CKM_ECDSA_SHA3_256),
	ECDSA_HASH(SHA3_384, CKM_ECDSA_SHA3_384),
	ECDSA_HASH(SHA3_512, CKM_ECDSA_SHA3_512),
	{.type = CKM_ECDH1_DERIVE, .name = "CKM_ECDH1_DERIVE", .flags = CKF_DERIVE | EC_FLAGS,
	 .family = VS_FAM_EC, .param = VS_PARAM_ECDH, .derive = VS_DERIVE_ECDH, EC_SIZE, .section = "2.3.17"},
	{.type = CKM_ECDH1_COFACTOR_DERIVE, .name = "CKM_ECDH1_COFACTOR_DERIVE", .flags = CKF_DERIVE | EC_FLAGS,
	 .family = VS_FAM_EC, .param = VS_PARAM_ECDH, .derive = VS_DERIVE_ECDH_COFACTOR, EC_SIZE,
	 .section = "2.3.18"},
	{.type = CKM_RSA_AES_KEY_WRAP, .name = "CKM_RSA_AES_KEY_WRAP", .flags = WU, .family = VS_FAM_RSA,
	 .param = VS_PARAM_RSA_AES, RSA_SIZE, .section = "2.1.22"},
	KEY_GEN(CKM_AES_KEY_GEN, CKK_AES, VS_FAM_AES, AES_SIZE, "2.9.3"),
	{.type = CKM_AES_ECB, .name = "CKM_AES_ECB", .flags = ED, .family = VS_FAM_AES,
	 .cipher = VS_CIPHER_ECB, AES_SIZE, .section = "2.9.4"},
	{.type = CKM_AES_CBC, .name = "CKM_AES_CBC", .flags = ED | WU, .family = VS_FAM_AES,
	 .cipher = VS_CIPHER_CBC, .param = VS_PARAM_IV16, AES_SIZE, .section = "2.9.5"},
	{.type = CKM_AES_CBC_PAD, .name = "CKM_AES_CBC_PAD", .flags = ED | WU, .family = VS_FAM_AES,
	 .cipher = VS_CIPHER_CBC_PAD, .param = VS_PARAM_IV16, AES_SIZE, .section = "2.9.6"},
	{.type = CKM_AES_CTR, .name = "CKM_AES_CTR", .flags = ED, .family = VS_FAM_AES,
	 .cipher = VS_CIPHER_CTR, .param = VS_PARAM_CTR, AES_SIZE, .section = "2.10.3"},
	{.type = CKM_AES_GCM, .name = "CKM_AES_GCM", .flags = ED | WU | MSG, .family = VS_FAM_AES,
	 .cipher = VS_CIPHER_GCM, .param = VS_PARAM_GCM, AES_SIZE, .section = "2.11.3"},
	{.type = CKM_AES_CCM, .name = "CKM_AES_CCM", .flags = ED, .family = VS_FAM_AES,
	 .cipher = VS_CIPHER_CCM, .param = VS_PARAM_CCM, AES_SIZE, .section = "2.11.4"},
	{.type = CKM_AES_CMAC, .name = "CKM_AES_CMAC", .flags = SV, .family = VS_FAM_AES,
	 .sign = VS_SIGN_CMAC, AES_SIZE, .section = "2.12.4"},
	{.type = CKM_AES_CMAC_GENERAL, .name = "CKM_AES_CMAC_GENERAL", .flags = SV, .family = VS_FAM_AES,
	 .sign = VS_SIGN_CMAC, .param = VS_PARAM_MAC_LENGTH, AES_SIZE, .section = "2.12.3"},
	{.type = CKM_AES_KEY_WRAP, .name = "CKM_AES_KEY_WRAP", .flags = WU, .family = VS_FAM_AES,
	 .wrap = VS_WRAP_KW, .param = VS_PARAM_KW_IV, AES_SIZE, .section = "2.13.3"},
	/* Both names mean RFC 5649 here; the older one is read differently by a few modules. */
	{.type = CKM_AES_KEY_WRAP_PAD, .name = "CKM_AES_KEY_WRAP_PAD", .flags = WU, .family = VS_FAM_AES,
	 .wrap = VS_WRAP_KWP, .param = VS_PARAM_KWP_IV, AES_SIZE, .section = "2.13.3"},
	{.type = CKM_AES_KEY_WRAP_KWP, .name = "CKM_AES_KEY_WRAP_KWP", .flags = WU, .family = VS_FAM_AES,
	 .wrap = VS_WRAP_KWP, .param = VS_PARAM_KWP_IV, AES_SIZE, .section = "2.13.3"},
	KEY_GEN(CKM_SHA_1_KEY_GEN, CKK_SHA_1_HMAC, VS_FAM_SECRET, SECRET_SIZE, "2.20.6"),
	KEY_GEN(CKM_SHA224_KEY_GEN, CKK_SHA224_HMAC, VS_FAM_SECRET, SECRET_SIZE, "2.21.6"),
	KEY_GEN(CKM_SHA256_KEY_GEN, CKK_SHA256_HMAC, VS_FAM_SECRET, SECRET_SIZE, "2.22.6"),
	KEY_GEN(CKM_SHA384_KEY_GEN, CKK_SHA384_HMAC, VS_FAM_SECRET, SECRET_SIZE, "2.23.6"),
	KEY_GEN(CKM_SHA512_KEY_GEN, CKK_SHA512_HMAC, VS_FAM_SECRET, SECRET_SIZE, "2.24.6"),
	KEY_GEN(CKM_SHA512_224_KEY_GEN, CKK_SHA512_224_HMAC, VS_FAM_SECRET, SECRET_SIZE, "2.24.6"),
	KEY_GEN(CKM_SHA512_256_KEY_GEN, CKK_SHA512_256_HMAC, VS_FAM_SECRET, SECRET_SIZE, "2.25.6"),
	{.type = CKM_HKDF_DERIVE, .name = "CKM_HKDF_DERIVE", .flags = CKF_DERIVE,
	 .family = VS_FAM_SECRET | VS_FAM_AES, .param = VS_PARAM_HKDF, .derive = VS_DERIVE_HKDF, SECRET_SIZE,
	 .section = "2.62.4"},
	{.type = CKM_HKDF_DATA, .name = "CKM_HKDF_DATA", .flags = CKF_DERIVE,
	 .family = VS_FAM_SECRET | VS_FAM_AES, .param = VS_PARAM_HKDF, .derive = VS_DERIVE_HKDF_DATA, SECRET_SIZE,
	 .section = "2.62.5"},
	KEY_GEN(CKM_HKDF_KEY_GEN, CKK_HKDF, VS_FAM_SECRET, SECRET_SIZE, "2.62.6"),
};
/* clang-format on */
enum { N_ROWS = sizeof rows / sizeof rows[0] };

const struct vs_mech *
vs_mech_find(CK_MECHANISM_TYPE type)
{
	size_t lo = 0;
	size_t hi = N_ROWS;
	while (lo < hi) {
		const size_t mid = (lo + hi) / 2;
		if (rows[mid].type == type)
			return &rows[mid];
		if (rows[mid].type < type)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

size_t
vs_mech_count(void)
{
	return N_ROWS;
}

const struct vs_mech *
vs_mech_at(size_t i)
{
	return i < N_ROWS ? &rows[i] : NULL;
}

enum vs_hash
vs_mech_hash(CK_MECHANISM_TYPE digest)
{
	const struct vs_mech *row = vs_mech_find(digest);
	return row != NULL && (row->flags & CKF_DIGEST) ? (enum vs_hash)row->hash : VS_HASH_NONE;
}

CK_RV
vs_mech_info(CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *ret)
{
	const struct vs_mech *row = vs_mech_find(type);
	if (row == NULL)
		return CKR_MECHANISM_INVALID;
	/* pkcs11-tool passes over mechanisms without CKF_HW when it chooses one. */
	*ret = (CK_MECHANISM_INFO){row->min, row->max, row->flags | CKF_HW};
	return CKR_OK;
}
