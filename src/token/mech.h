/* SPDX-License-Identifier: BSD-2-Clause */
/* The mechanism table: everything that depends on a CKM is a field of its row. */
#ifndef VS_TOKEN_MECH_H
#define VS_TOKEN_MECH_H

#include "crypto/cipher.h"
#include "crypto/hash.h"
#include "crypto/keywrap.h"
#include "crypto/rsa_crypt.h"
#include "crypto/sign.h"
#include "token/ck.h"

/* Shape of the parameter. */
enum vs_param {
	VS_PARAM_NONE = 0, /* must be absent */
	VS_PARAM_PSS,
	VS_PARAM_OAEP,
	VS_PARAM_IV16,
	VS_PARAM_CTR,
	VS_PARAM_GCM,
	VS_PARAM_CCM,
	VS_PARAM_MAC_LENGTH, /* CK_MAC_GENERAL_PARAMS */
	VS_PARAM_KW_IV, /* absent, or 8 octets */
	VS_PARAM_KWP_IV, /* absent, or 4 octets */
	VS_PARAM_RSA_AES,
	VS_PARAM_ECDH,
	VS_PARAM_HKDF,
	VS_PARAM_COUNT_,
};

enum vs_derive {
	VS_DERIVE_NONE = 0,
	VS_DERIVE_ECDH,
	VS_DERIVE_ECDH_COFACTOR,
	VS_DERIVE_HKDF,
	VS_DERIVE_HKDF_DATA
};
enum vs_switch { VS_SWITCH_NONE = 0, VS_SWITCH_RAW_RSA }; /* off unless the profile says so */

/* Key families, as bits. */
enum { VS_FAM_RSA = 1, VS_FAM_EC = 2, VS_FAM_AES = 4, VS_FAM_SECRET = 8 };

struct vs_mech {
	CK_MECHANISM_TYPE type;
	const char *name;
	CK_FLAGS flags; /* CKF_SIGN and so on; CKF_HW is added for everybody */
	uint8_t family; /* VS_FAM_ bits of the keys it works with */
	uint8_t param; /* enum vs_param */
	uint8_t hash; /* inside the mechanism, enum vs_hash */
	uint8_t sign; /* engine of sign and verify, enum vs_sign_scheme */
	uint8_t rsa; /* engine of encrypt, wrap and back, enum vs_rsa_scheme */
	uint8_t cipher; /* engine of encrypt, wrap and back, enum vs_cipher_mode */
	uint8_t wrap; /* engine of wrap and unwrap, enum vs_wrap_mode */
	uint8_t derive; /* enum vs_derive */
	uint8_t needs; /* enum vs_switch, for decryption only */
	CK_ULONG min, max; /* in the unit PKCS#11 has for it */
	CK_KEY_TYPE makes; /* key type of what it generates */
	const char *section; /* of the PKCS#11 3.0 mechanisms document */
};

/* NULL when unknown. */
const struct vs_mech *vs_mech_find(CK_MECHANISM_TYPE type);
size_t vs_mech_count(void);
const struct vs_mech *vs_mech_at(size_t i);
/* NONE when it is not a digest. */
enum vs_hash vs_mech_hash(CK_MECHANISM_TYPE digest);
CK_RV vs_mech_info(CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *ret);

#endif
