/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PKCS#11 names. p11-kit's header gives version 2.40; what version 3.0 adds and what that
 * header lacks of 2.40 stands here, with the numbers of the OASIS specifications.
 */
#ifndef VS_TOKEN_CK_H
#define VS_TOKEN_CK_H

#undef CRYPTOKI_GNU
/* The entry points are the only symbols of the module that anybody outside may see. */
#pragma GCC visibility push(default)
#include <p11-kit/pkcs11.h>
#pragma GCC visibility pop

/* The header leaves these field aliases behind; they would rename fields of ours. */
#undef hash_alg
#undef s_len
#undef source_data
#undef source_data_len
#undef counter_bits
#undef iv_ptr
#undef iv_len
#undef iv_bits
#undef aad_ptr
#undef aad_len
#undef tag_bits
#undef shared_data_len
#undef shared_data
#undef public_data_len
#undef public_data
#undef string_data
#undef string_data_len
#undef data_params
#undef ck_rsa_pkcs_mgf_type_t
#undef ck_rsa_pkcs_oaep_source_type_t
#undef ck_createmutex_t
#undef ck_destroymutex_t
#undef ck_lockmutex_t
#undef ck_unlockmutex_t

/* ---- classes, key types, attributes ------------------------------------------------------ */

#define CKO_PROFILE 0x09UL
#define CKK_HKDF 0x42UL
#define CKK_SHA512_224_HMAC 0x43UL
#define CKK_SHA512_256_HMAC 0x44UL
#define CKK_SHA3_224_HMAC 0x33UL
#define CKK_SHA3_256_HMAC 0x34UL
#define CKK_SHA3_384_HMAC 0x35UL
#define CKK_SHA3_512_HMAC 0x36UL
#define CKA_UNIQUE_ID 0x04UL
#define CKA_PROFILE_ID 0x601UL
#define CKP_BASELINE_PROVIDER 0x01UL
#define CKP_EXTENDED_PROVIDER 0x02UL
#define CKP_AUTHENTICATION_TOKEN 0x03UL
#define CKP_PUBLIC_CERTIFICATES_TOKEN 0x04UL
#define CK_CERTIFICATE_CATEGORY_TOKEN_USER 1UL
/* Ours: the service's full identifier of the key, with host and version. */
#define CKA_VS_KEY_IDENTIFIER (CKA_VENDOR_DEFINED | 0x56534b49UL)

/* ---- mechanisms --------------------------------------------------------------------------- */

#define CKM_SHA3_256_RSA_PKCS 0x60UL
#define CKM_SHA3_384_RSA_PKCS 0x61UL
#define CKM_SHA3_512_RSA_PKCS 0x62UL
#define CKM_SHA3_256_RSA_PKCS_PSS 0x63UL
#define CKM_SHA3_384_RSA_PKCS_PSS 0x64UL
#define CKM_SHA3_512_RSA_PKCS_PSS 0x65UL
#define CKM_SHA3_224_RSA_PKCS 0x66UL
#define CKM_SHA3_224_RSA_PKCS_PSS 0x67UL
#define CKM_SHA3_256 0x2b0UL
#define CKM_SHA3_256_HMAC 0x2b1UL
#define CKM_SHA3_256_HMAC_GENERAL 0x2b2UL
#define CKM_SHA3_256_KEY_GEN 0x2b3UL
#define CKM_SHA3_224 0x2b5UL
#define CKM_SHA3_224_HMAC 0x2b6UL
#define CKM_SHA3_224_HMAC_GENERAL 0x2b7UL
#define CKM_SHA3_224_KEY_GEN 0x2b8UL
#define CKM_SHA3_384 0x2c0UL
#define CKM_SHA3_384_HMAC 0x2c1UL
#define CKM_SHA3_384_HMAC_GENERAL 0x2c2UL
#define CKM_SHA3_384_KEY_GEN 0x2c3UL
#define CKM_SHA3_512 0x2d0UL
#define CKM_SHA3_512_HMAC 0x2d1UL
#define CKM_SHA3_512_HMAC_GENERAL 0x2d2UL
#define CKM_SHA3_512_KEY_GEN 0x2d3UL
#define CKM_ECDSA_SHA3_224 0x1047UL
#define CKM_ECDSA_SHA3_256 0x1048UL
#define CKM_ECDSA_SHA3_384 0x1049UL
#define CKM_ECDSA_SHA3_512 0x104aUL
#define CKM_AES_KEY_WRAP_KWP 0x210bUL
#define CKM_SHA_1_KEY_GEN 0x4003UL
#define CKM_SHA224_KEY_GEN 0x4004UL
#define CKM_SHA256_KEY_GEN 0x4005UL
#define CKM_SHA384_KEY_GEN 0x4006UL
#define CKM_SHA512_KEY_GEN 0x4007UL
#define CKM_SHA512_224_KEY_GEN 0x4008UL
#define CKM_SHA512_256_KEY_GEN 0x4009UL
#define CKM_HKDF_DERIVE 0x402aUL
#define CKM_HKDF_DATA 0x402bUL
#define CKM_HKDF_KEY_GEN 0x402cUL

#define CKG_MGF1_SHA3_224 0x06UL
#define CKG_MGF1_SHA3_256 0x07UL
#define CKG_MGF1_SHA3_384 0x08UL
#define CKG_MGF1_SHA3_512 0x09UL
#define CKD_SHA3_224_KDF 0x0aUL
#define CKD_SHA3_256_KDF 0x0bUL
#define CKD_SHA3_384_KDF 0x0cUL
#define CKD_SHA3_512_KDF 0x0dUL
#define CKF_HKDF_SALT_NULL 0x01UL
#define CKF_HKDF_SALT_DATA 0x02UL
#define CKF_HKDF_SALT_KEY 0x04UL

/* ---- flags and codes ---------------------------------------------------------------------- */

#define CKF_MESSAGE_ENCRYPT (1UL << 1)
#define CKF_MESSAGE_DECRYPT (1UL << 2)
#define CKF_MESSAGE_SIGN (1UL << 3)
#define CKF_MESSAGE_VERIFY (1UL << 4)
#define CKF_MULTI_MESSAGE (1UL << 5)
#define CKF_FIND_OBJECTS (1UL << 6)
#define CKF_END_OF_MESSAGE 1UL
#define CKF_INTERFACE_FORK_SAFE 1UL
#define CKG_NO_GENERATE 0UL
#define CKG_GENERATE 1UL
#define CKG_GENERATE_COUNTER 2UL
#define CKG_GENERATE_RANDOM 3UL
#define CKG_GENERATE_COUNTER_XOR 4UL
#define CKR_AEAD_DECRYPT_FAILED 0x42UL
#define CKR_OPERATION_CANCEL_FAILED 0x202UL

/* ---- parameters that the header lacks ----------------------------------------------------- */

typedef struct {
	CK_ULONG ulDataLen;
	CK_BYTE_PTR pNonce;
	CK_ULONG ulNonceLen;
	CK_BYTE_PTR pAAD;
	CK_ULONG ulAADLen;
	CK_ULONG ulMACLen;
} CK_CCM_PARAMS;

typedef struct {
	CK_ULONG ulAESKeyBits;
	CK_RSA_PKCS_OAEP_PARAMS_PTR pOAEPParams;
} CK_RSA_AES_KEY_WRAP_PARAMS;

typedef struct {
	CK_BBOOL bExtract;
	CK_BBOOL bExpand;
	CK_MECHANISM_TYPE prfHashMechanism;
	CK_ULONG ulSaltType;
	CK_BYTE_PTR pSalt;
	CK_ULONG ulSaltLen;
	CK_OBJECT_HANDLE hSaltKey;
	CK_BYTE_PTR pInfo;
	CK_ULONG ulInfoLen;
} CK_HKDF_PARAMS;

typedef CK_ULONG CK_GENERATOR_FUNCTION;

typedef struct {
	CK_BYTE_PTR pIv;
	CK_ULONG ulIvLen;
	CK_ULONG ulIvFixedBits;
	CK_GENERATOR_FUNCTION ivGenerator;
	CK_BYTE_PTR pTag;
	CK_ULONG ulTagBits;
} CK_GCM_MESSAGE_PARAMS;

/* The structure of version 2.11 to 2.30 and of Java's first attempt: no ulIvBits. */
struct vs_ck_gcm_params_short {
	CK_BYTE_PTR pIv;
	CK_ULONG ulIvLen;
	CK_BYTE_PTR pAAD;
	CK_ULONG ulAADLen;
	CK_ULONG ulTagBits;
};

/* ---- version 3.0 functions ---------------------------------------------------------------- */

typedef struct CK_INTERFACE {
	CK_UTF8CHAR_PTR pInterfaceName;
	CK_VOID_PTR pFunctionList;
	CK_FLAGS flags;
} CK_INTERFACE;
typedef CK_INTERFACE *CK_INTERFACE_PTR;
typedef CK_INTERFACE_PTR *CK_INTERFACE_PTR_PTR;

#define VS_CK_3_0(name, args) \
	typedef CK_RV(*CK_##name) args; \
	__attribute__((visibility("default"))) CK_RV name args

VS_CK_3_0(C_GetInterfaceList, (CK_INTERFACE_PTR list, CK_ULONG_PTR count));
VS_CK_3_0(C_GetInterface,
	(CK_UTF8CHAR_PTR name, CK_VERSION_PTR version, CK_INTERFACE_PTR_PTR ret, CK_FLAGS flags));
VS_CK_3_0(C_LoginUser,
	(CK_SESSION_HANDLE session, CK_ULONG user_type, CK_UTF8CHAR_PTR pin, CK_ULONG pin_len,
		CK_UTF8CHAR_PTR user, CK_ULONG user_len));
VS_CK_3_0(C_SessionCancel, (CK_SESSION_HANDLE session, CK_FLAGS flags));
#define VS_CK_MESSAGE_CRYPT(Init, One, Begin, Next, Final) \
	VS_CK_3_0(Init, \
		(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE key)); \
	VS_CK_3_0(One, \
		(CK_SESSION_HANDLE session, CK_VOID_PTR parameter, CK_ULONG parameter_len, \
			CK_BYTE_PTR aad, CK_ULONG aad_len, CK_BYTE_PTR in, CK_ULONG in_len, \
			CK_BYTE_PTR out, CK_ULONG_PTR out_len)); \
	VS_CK_3_0(Begin, \
		(CK_SESSION_HANDLE session, CK_VOID_PTR parameter, CK_ULONG parameter_len, \
			CK_BYTE_PTR aad, CK_ULONG aad_len)); \
	VS_CK_3_0(Next, \
		(CK_SESSION_HANDLE session, CK_VOID_PTR parameter, CK_ULONG parameter_len, \
			CK_BYTE_PTR in, CK_ULONG in_len, CK_BYTE_PTR out, CK_ULONG_PTR out_len, \
			CK_FLAGS flags)); \
	VS_CK_3_0(Final, (CK_SESSION_HANDLE session))
VS_CK_MESSAGE_CRYPT(C_MessageEncryptInit, C_EncryptMessage, C_EncryptMessageBegin,
	C_EncryptMessageNext, C_MessageEncryptFinal);
VS_CK_MESSAGE_CRYPT(C_MessageDecryptInit, C_DecryptMessage, C_DecryptMessageBegin,
	C_DecryptMessageNext, C_MessageDecryptFinal);
VS_CK_3_0(C_MessageSignInit,
	(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE key));
VS_CK_3_0(C_SignMessage,
	(CK_SESSION_HANDLE session, CK_VOID_PTR parameter, CK_ULONG parameter_len, CK_BYTE_PTR data,
		CK_ULONG data_len, CK_BYTE_PTR signature, CK_ULONG_PTR signature_len));
VS_CK_3_0(C_SignMessageBegin,
	(CK_SESSION_HANDLE session, CK_VOID_PTR parameter, CK_ULONG parameter_len));
VS_CK_3_0(C_SignMessageNext,
	(CK_SESSION_HANDLE session, CK_VOID_PTR parameter, CK_ULONG parameter_len, CK_BYTE_PTR data,
		CK_ULONG data_len, CK_BYTE_PTR signature, CK_ULONG_PTR signature_len));
VS_CK_3_0(C_MessageSignFinal, (CK_SESSION_HANDLE session));
VS_CK_3_0(C_MessageVerifyInit,
	(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE key));
VS_CK_3_0(C_VerifyMessage,
	(CK_SESSION_HANDLE session, CK_VOID_PTR parameter, CK_ULONG parameter_len, CK_BYTE_PTR data,
		CK_ULONG data_len, CK_BYTE_PTR signature, CK_ULONG signature_len));
VS_CK_3_0(C_VerifyMessageBegin,
	(CK_SESSION_HANDLE session, CK_VOID_PTR parameter, CK_ULONG parameter_len));
VS_CK_3_0(C_VerifyMessageNext,
	(CK_SESSION_HANDLE session, CK_VOID_PTR parameter, CK_ULONG parameter_len, CK_BYTE_PTR data,
		CK_ULONG data_len, CK_BYTE_PTR signature, CK_ULONG signature_len));
VS_CK_3_0(C_MessageVerifyFinal, (CK_SESSION_HANDLE session));

/*
 * Names of all functions in the order of CK_FUNCTION_LIST_3_0: the first list is the 2.40 list.
 * Both tables of entry.c and the structure below come from here.
 */
#define VS_CK_LIST_2_40(X) \
	X(C_Initialize) \
	X(C_Finalize) \
	X(C_GetInfo) \
	X(C_GetFunctionList) \
	X(C_GetSlotList) \
	X(C_GetSlotInfo) \
	X(C_GetTokenInfo) X(C_GetMechanismList) X(C_GetMechanismInfo) X(C_InitToken) X(C_InitPIN) X( \
		C_SetPIN) X(C_OpenSession) X(C_CloseSession) X(C_CloseAllSessions) X(C_GetSessionInfo) \
		X(C_GetOperationState) X(C_SetOperationState) X(C_Login) X(C_Logout) X(C_CreateObject) X( \
			C_CopyObject) X(C_DestroyObject) X(C_GetObjectSize) X(C_GetAttributeValue) \
			X(C_SetAttributeValue) X(C_FindObjectsInit) X(C_FindObjects) X( \
				C_FindObjectsFinal) X(C_EncryptInit) X(C_Encrypt) X(C_EncryptUpdate) \
				X(C_EncryptFinal) X(C_DecryptInit) X(C_Decrypt) X(C_DecryptUpdate) X( \
					C_DecryptFinal) X(C_DigestInit) X(C_Digest) X(C_DigestUpdate) \
					X(C_DigestKey) X(C_DigestFinal) X(C_SignInit) X(C_Sign) X( \
						C_SignUpdate) X(C_SignFinal) X(C_SignRecoverInit) \
						X(C_SignRecover) X(C_VerifyInit) X(C_Verify) X( \
							C_VerifyUpdate) X(C_VerifyFinal) X(C_VerifyRecoverInit) \
							X(C_VerifyRecover) X(C_DigestEncryptUpdate) X( \
								C_DecryptDigestUpdate) X(C_SignEncryptUpdate) \
								X(C_DecryptVerifyUpdate) X( \
									C_GenerateKey) X(C_GenerateKeyPair) \
									X(C_WrapKey) X(C_UnwrapKey) X( \
										C_DeriveKey) X(C_SeedRandom) \
										X(C_GenerateRandom) X( \
											C_GetFunctionStatus) \
											X(C_CancelFunction) \
												X(C_WaitForSlotEvent)
#define VS_CK_LIST_3_0(X) \
	X(C_GetInterfaceList) \
	X(C_GetInterface) \
	X(C_LoginUser) \
	X(C_SessionCancel) \
	X(C_MessageEncryptInit) \
	X(C_EncryptMessage) \
	X(C_EncryptMessageBegin) X(C_EncryptMessageNext) X(C_MessageEncryptFinal) \
		X(C_MessageDecryptInit) X(C_DecryptMessage) X(C_DecryptMessageBegin) \
			X(C_DecryptMessageNext) X(C_MessageDecryptFinal) X(C_MessageSignInit) \
				X(C_SignMessage) X(C_SignMessageBegin) X(C_SignMessageNext) \
					X(C_MessageSignFinal) X(C_MessageVerifyInit) \
						X(C_VerifyMessage) X(C_VerifyMessageBegin) \
							X(C_VerifyMessageNext) \
								X(C_MessageVerifyFinal)

typedef struct CK_FUNCTION_LIST_3_0 {
	CK_VERSION version;
#define VS_CK_FIELD_(name) CK_##name name;
	VS_CK_LIST_2_40(VS_CK_FIELD_) VS_CK_LIST_3_0(VS_CK_FIELD_)
#undef VS_CK_FIELD_
} CK_FUNCTION_LIST_3_0;

/* A session handle is a table index and a 32-bit generation. */
_Static_assert(sizeof(CK_ULONG) == 8, "handles need 64-bit CK_ULONG");

#endif
