/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The module called as the worst host could while it keeps to C: any order, any handle, length,
 * template and mechanism parameter, with memory that is as large as it says and no larger. The
 * agent behind it is made of data. The input is a list of steps, each with what it needs.
 */
#include <stdlib.h>
#include <string.h>

#include "fake/fake_client.h"
#include "fuzz/fuzz.h"
#include "token/ck.h"

enum { STEPS_MAX = 24, OBJECTS_MAX = 128, HELD_MAX = 1024, OUT_MAX = 1024, SESSIONS = 3 };

static struct vs_reader in;
static void *held[HELD_MAX];
static size_t n_held;
static CK_SESSION_HANDLE sessions[SESSIONS];
static CK_OBJECT_HANDLE objects[OBJECTS_MAX];
static CK_ULONG n_objects, n_fixed;
static CK_MECHANISM_TYPE mechs[256];
static CK_ULONG n_mechs;

static const CK_ATTRIBUTE_TYPE types[] = {CKA_CLASS, CKA_TOKEN, CKA_PRIVATE, CKA_LABEL,
	CKA_UNIQUE_ID, CKA_APPLICATION, CKA_VALUE, CKA_OBJECT_ID, CKA_CERTIFICATE_TYPE, CKA_ISSUER,
	CKA_SERIAL_NUMBER, CKA_TRUSTED, CKA_CHECK_VALUE, CKA_KEY_TYPE, CKA_SUBJECT, CKA_ID,
	CKA_SENSITIVE, CKA_ENCRYPT, CKA_DECRYPT, CKA_WRAP, CKA_UNWRAP, CKA_SIGN, CKA_SIGN_RECOVER,
	CKA_VERIFY, CKA_VERIFY_RECOVER, CKA_DERIVE, CKA_START_DATE, CKA_END_DATE, CKA_MODULUS,
	CKA_MODULUS_BITS, CKA_PUBLIC_EXPONENT, CKA_PRIVATE_EXPONENT, CKA_PRIME_1, CKA_PRIME_2,
	CKA_EXPONENT_1, CKA_EXPONENT_2, CKA_COEFFICIENT, CKA_VALUE_LEN, CKA_EXTRACTABLE, CKA_LOCAL,
	CKA_NEVER_EXTRACTABLE, CKA_ALWAYS_SENSITIVE, CKA_KEY_GEN_MECHANISM, CKA_MODIFIABLE,
	CKA_COPYABLE, CKA_DESTROYABLE, CKA_EC_PARAMS, CKA_EC_POINT, CKA_ALWAYS_AUTHENTICATE,
	CKA_WRAP_WITH_TRUSTED, CKA_ALLOWED_MECHANISMS, CKA_WRAP_TEMPLATE, CKA_UNWRAP_TEMPLATE,
	CKA_PUBLIC_KEY_INFO, CKA_PROFILE_ID, CKA_VS_KEY_IDENTIFIER};

/* ---- arguments ------------------------------------------------------------------------------ */

/* Exactly so many bytes, so that a sanitizer sees the first one too many. */
static void *
hold(const void *p, size_t n)
{
	void *copy = malloc(n);
	FUZZ_MUST(n_held < HELD_MAX);
	held[n_held++] = copy;
	if (n != 0 && p != NULL)
		memcpy(copy, p, n);
	else if (n != 0)
		memset(copy, 0xA5, n);
	return copy;
}

static CK_BYTE_PTR
bytes(CK_ULONG *n)
{
	const struct vs_bytes b = vs_get_bytes(&in, vs_get_u8(&in));
	*n = in.bad ? 0 : b.n;
	return hold(in.bad ? NULL : b.p, *n);
}

/* Where something is written to: nothing, or memory of this size. */
static CK_BYTE_PTR
room(CK_ULONG *n)
{
	*n = vs_get_be16(&in) % (OUT_MAX + 1);
	return *n % 7 == 3 ? NULL : hold(NULL, *n);
}

static CK_SESSION_HANDLE
session(void)
{
	const uint8_t i = vs_get_u8(&in);
	return i < 0xF0 ? sessions[i % SESSIONS] : i;
}

static CK_OBJECT_HANDLE
object(void)
{
	const uint8_t i = vs_get_u8(&in);
	return i < 0xF8 && n_objects > 0 ? objects[i % n_objects] : i;
}

static void
keep(CK_RV rv, CK_OBJECT_HANDLE h)
{
	if (rv == CKR_OK && n_objects < OBJECTS_MAX)
		objects[n_objects++] = h;
}

static CK_ATTRIBUTE_PTR template(CK_ULONG *n)
{
	const uint8_t count = vs_get_u8(&in) % 12;
	CK_ATTRIBUTE_PTR t = hold(NULL, count * sizeof *t);
	for (uint8_t i = 0; i < count; i++) {
		const uint8_t type = vs_get_u8(&in), kind = vs_get_u8(&in);
		const CK_ULONG number = kind >> 3;
		t[i].type = type < sizeof types / sizeof types[0] ? types[type] : type * 0x101UL;
		switch (kind & 7) {
		case 0: t[i].pValue = bytes(&t[i].ulValueLen); continue;
		case 1: t[i].pValue = hold(&number, t[i].ulValueLen = sizeof number); continue;
		case 2: t[i].pValue = hold(&(CK_BBOOL){CK_TRUE}, t[i].ulValueLen = 1); continue;
		case 3: t[i].pValue = hold(&(CK_BBOOL){CK_FALSE}, t[i].ulValueLen = 1); continue;
		case 4: t[i].pValue = NULL, t[i].ulValueLen = number; continue;
		case 5: t[i].pValue = NULL, t[i].ulValueLen = (CK_ULONG)-1 - number; continue;
		case 6: t[i].pValue = room(&t[i].ulValueLen); continue;
		default:
			t[i].pValue = hold(&(CK_ATTRIBUTE){types[number], NULL, 0}, sizeof *t);
			t[i].ulValueLen = sizeof *t;
		}
	}
	*n = count;
	return t;
}

/* Hash and mask function from the list that belongs together, or not. */
static CK_MECHANISM_TYPE
hash(void)
{
	static const CK_MECHANISM_TYPE hashes[] = {
		CKM_SHA_1, CKM_SHA224, CKM_SHA256, CKM_SHA384, CKM_SHA512, CKM_MD5, 0};
	return hashes[vs_get_u8(&in) % 7];
}

static void *
rsa_params(unsigned kind, CK_ULONG *n)
{
	if (kind == 3) {
		CK_RSA_PKCS_PSS_PARAMS pss = {
			.hashAlg = hash(), .mgf = vs_get_u8(&in) % 8, .sLen = vs_get_u8(&in)};
		return hold(&pss, *n = sizeof pss);
	}
	CK_RSA_PKCS_OAEP_PARAMS *oaep = hold(NULL, sizeof *oaep);
	*oaep = (CK_RSA_PKCS_OAEP_PARAMS){
		.hashAlg = hash(), .mgf = vs_get_u8(&in) % 8, .source = vs_get_u8(&in) % 3};
	oaep->pSourceData = bytes(&oaep->ulSourceDataLen);
	if (kind == 4) {
		*n = sizeof *oaep;
		return oaep;
	}
	CK_RSA_AES_KEY_WRAP_PARAMS wrap = {
		.ulAESKeyBits = vs_get_u8(&in) * 8UL, .pOAEPParams = oaep};
	return hold(&wrap, *n = sizeof wrap);
}

static void *
aes_params(unsigned kind, CK_ULONG *n)
{
	if (kind == 6) {
		CK_GCM_PARAMS gcm = {.ulIvBits = vs_get_u8(&in), .ulTagBits = vs_get_u8(&in)};
		gcm.pIv = bytes(&gcm.ulIvLen);
		gcm.pAAD = bytes(&gcm.ulAADLen);
		return hold(&gcm, *n = sizeof gcm);
	}
	if (kind == 7) {
		CK_CCM_PARAMS ccm = {.ulDataLen = vs_get_u8(&in), .ulMACLen = vs_get_u8(&in)};
		ccm.pNonce = bytes(&ccm.ulNonceLen);
		ccm.pAAD = bytes(&ccm.ulAADLen);
		return hold(&ccm, *n = sizeof ccm);
	}
	CK_AES_CTR_PARAMS ctr = {.ulCounterBits = vs_get_u8(&in)};
	return hold(&ctr, *n = sizeof ctr);
}

static void *
derive_params(unsigned kind, CK_ULONG *n)
{
	if (kind == 9) {
		CK_ECDH1_DERIVE_PARAMS ecdh = {.kdf = vs_get_u8(&in) % 10};
		ecdh.pSharedData = bytes(&ecdh.ulSharedDataLen);
		ecdh.pPublicData = bytes(&ecdh.ulPublicDataLen);
		return hold(&ecdh, *n = sizeof ecdh);
	}
	CK_HKDF_PARAMS hkdf = {.bExtract = vs_get_u8(&in) % 3,
		.bExpand = vs_get_u8(&in) % 3,
		.prfHashMechanism = hash(),
		.ulSaltType = vs_get_u8(&in) % 6,
		.hSaltKey = object()};
	hkdf.pSalt = bytes(&hkdf.ulSaltLen);
	hkdf.pInfo = bytes(&hkdf.ulInfoLen);
	return hold(&hkdf, *n = sizeof hkdf);
}

/* No host hands over addresses that are none: such a structure is of the mechanism's own kind. */
static bool
has_bad_addresses(const CK_MECHANISM *m, unsigned kind)
{
	static const struct {
		CK_MECHANISM_TYPE type;
		unsigned kind;
		CK_ULONG n;
	} rows[] = {{CKM_RSA_PKCS_OAEP, 4, sizeof(CK_RSA_PKCS_OAEP_PARAMS)},
		{CKM_RSA_AES_KEY_WRAP, 5, sizeof(CK_RSA_AES_KEY_WRAP_PARAMS)},
		{CKM_AES_GCM, 6, sizeof(CK_GCM_PARAMS)},
		/* The structure without ulIvBits. */
		{CKM_AES_GCM, 99, sizeof(CK_GCM_PARAMS) - sizeof(CK_ULONG)},
		{CKM_AES_CCM, 7, sizeof(CK_CCM_PARAMS)},
		{CKM_ECDH1_DERIVE, 9, sizeof(CK_ECDH1_DERIVE_PARAMS)},
		{CKM_ECDH1_COFACTOR_DERIVE, 9, sizeof(CK_ECDH1_DERIVE_PARAMS)},
		{CKM_HKDF_DERIVE, 10, sizeof(CK_HKDF_PARAMS)},
		{CKM_HKDF_DATA, 10, sizeof(CK_HKDF_PARAMS)}};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (rows[i].type == m->mechanism && rows[i].n == m->ulParameterLen)
			return rows[i].kind != kind;
	return false;
}

static CK_MECHANISM_PTR
mechanism(void)
{
	const uint8_t i = vs_get_u8(&in);
	const unsigned kind = vs_get_u8(&in) % 12;
	CK_MECHANISM m = {.mechanism = i < n_mechs ? mechs[i] : i * 0x1001UL};
	switch (kind) {
	case 0: break;
	case 1: m.pParameter = bytes(&m.ulParameterLen); break;
	case 2: m.ulParameterLen = i; break;
	case 3:
	case 4:
	case 5: m.pParameter = rsa_params(kind, &m.ulParameterLen); break;
	case 6:
	case 7:
	case 8: m.pParameter = aes_params(kind, &m.ulParameterLen); break;
	case 9:
	case 10: m.pParameter = derive_params(kind, &m.ulParameterLen); break;
	default: m.pParameter = hold(NULL, m.ulParameterLen = 16); break;
	}
	if (has_bad_addresses(&m, kind))
		m.pParameter = NULL;
	return hold(&m, sizeof m);
}

/* ---- steps ---------------------------------------------------------------------------------- */

typedef CK_RV init_fn(CK_SESSION_HANDLE, CK_MECHANISM_PTR, CK_OBJECT_HANDLE);
typedef CK_RV once_fn(CK_SESSION_HANDLE, CK_BYTE_PTR, CK_ULONG, CK_BYTE_PTR, CK_ULONG_PTR);
typedef CK_RV feed_fn(CK_SESSION_HANDLE, CK_BYTE_PTR, CK_ULONG);
typedef CK_RV final_fn(CK_SESSION_HANDLE, CK_BYTE_PTR, CK_ULONG_PTR);
typedef CK_RV judge_fn(CK_SESSION_HANDLE, CK_BYTE_PTR, CK_ULONG, CK_BYTE_PTR, CK_ULONG);

static init_fn *const inits[] = {C_EncryptInit, C_DecryptInit, C_SignInit, C_VerifyInit,
	C_SignRecoverInit, C_VerifyRecoverInit, C_MessageEncryptInit, C_MessageDecryptInit,
	C_MessageSignInit, C_MessageVerifyInit};
static once_fn *const onces[] = {C_Encrypt, C_Decrypt, C_Sign, C_Digest, C_SignRecover,
	C_VerifyRecover, C_EncryptUpdate, C_DecryptUpdate, C_DigestEncryptUpdate,
	C_DecryptDigestUpdate, C_SignEncryptUpdate, C_DecryptVerifyUpdate};
static feed_fn *const feeds[] = {
	C_SignUpdate, C_VerifyUpdate, C_DigestUpdate, C_VerifyFinal, C_SeedRandom};
static final_fn *const finals[] = {
	C_EncryptFinal, C_DecryptFinal, C_SignFinal, C_DigestFinal, C_GetOperationState};

/* What was written is no more than there was room for. */
static CK_RV
bounded(CK_RV rv, CK_BYTE_PTR out, CK_ULONG had, const CK_ULONG *n)
{
	FUZZ_MUST(rv != CKR_OK || out == NULL || *n <= had);
	FUZZ_MUST(rv != CKR_BUFFER_TOO_SMALL || *n > had);
	return rv;
}

static CK_RV
use_operation(uint8_t step)
{
	const CK_SESSION_HANDLE s = session();
	const uint8_t which = vs_get_u8(&in);
	CK_ULONG n = 0, m = 0, had = 0;
	switch (step) {
	case 0: {
		CK_MECHANISM_PTR mech = mechanism();
		return inits[which % 10](s, mech, object());
	}
	case 1: {
		CK_BYTE_PTR p = bytes(&n), out = room(&m);
		had = m;
		const CK_RV rv = onces[which % 12](s, p, n, out, &m);
		return bounded(rv, out, had, &m);
	}
	case 2: {
		CK_BYTE_PTR p = bytes(&n);
		return feeds[which % 5](s, p, n);
	}
	case 3: {
		CK_BYTE_PTR out = room(&m);
		had = m;
		const CK_RV rv = finals[which % 5](s, out, &m);
		return bounded(rv, out, had, &m);
	}
	case 4: {
		CK_BYTE_PTR p = bytes(&n), sig = bytes(&m);
		return C_Verify(s, p, n, sig, m);
	}
	case 5: return C_DigestInit(s, mechanism());
	case 6: return C_DigestKey(s, object());
	default: return C_SessionCancel(s, which);
	}
}

/* Nothing gives what must never leave. */
static void
check_secret(CK_OBJECT_HANDLE h, const CK_ATTRIBUTE *t, CK_ULONG n)
{
	bool fixed = false;
	for (CK_ULONG i = 0; i < n_fixed; i++)
		fixed = fixed || objects[i] == h;
	for (CK_ULONG i = 0; fixed && i < n; i++)
		if (t[i].type == CKA_PRIVATE_EXPONENT || t[i].type == CKA_PRIME_1 ||
			t[i].type == CKA_PRIME_2 || t[i].type == CKA_EXPONENT_1 ||
			t[i].type == CKA_EXPONENT_2 || t[i].type == CKA_COEFFICIENT)
			FUZZ_MUST(t[i].ulValueLen == CK_UNAVAILABLE_INFORMATION);
}

static CK_RV
use_objects(uint8_t step)
{
	const CK_SESSION_HANDLE s = session();
	CK_ATTRIBUTE_PTR t = NULL;
	CK_ULONG n = 0, size = 0;
	CK_OBJECT_HANDLE h = 0, found[4];
	CK_RV rv = CKR_OK;
	switch (step) {
	case 0: t = template(&n), rv = C_CreateObject(s, t, n, &h), keep(rv, h); return rv;
	case 1: {
		const CK_OBJECT_HANDLE from = object();
		t = template(&n), rv = C_CopyObject(s, from, t, n, &h), keep(rv, h);
		return rv;
	}
	case 2: return C_DestroyObject(s, object());
	case 3:
		h = object(), t = template(&n), rv = C_GetAttributeValue(s, h, t, n);
		if (rv == CKR_OK || rv == CKR_ATTRIBUTE_SENSITIVE)
			check_secret(h, t, n);
		return rv;
	case 4: h = object(), t = template(&n); return C_SetAttributeValue(s, h, t, n);
	case 5: t = template(&n); return C_FindObjectsInit(s, t, n);
	case 6:
		rv = C_FindObjects(s, found, vs_get_u8(&in) % 5, &n);
		FUZZ_MUST(rv != CKR_OK || n <= 4);
		return rv;
	case 7: return C_FindObjectsFinal(s);
	default: return C_GetObjectSize(s, object(), &size);
	}
}

static CK_RV
use_keys(uint8_t step)
{
	const CK_SESSION_HANDLE s = session();
	CK_MECHANISM_PTR m = mechanism();
	CK_OBJECT_HANDLE h = 0, h2 = 0;
	CK_ULONG n = 0, n2 = 0;
	CK_RV rv = CKR_OK;
	/* Takes longer than a thousand of all other steps. */
	if (m->mechanism == CKM_RSA_PKCS_KEY_PAIR_GEN)
		m->mechanism = CKM_EC_KEY_PAIR_GEN;
	CK_ATTRIBUTE_PTR t = template(&n), t2 = step == 1 ? template(&n2) : NULL;
	switch (step) {
	case 0: rv = C_GenerateKey(s, m, t, n, &h); break;
	case 1: rv = C_GenerateKeyPair(s, m, t, n, t2, n2, &h, &h2), keep(rv, h2); break;
	case 2: {
		const CK_OBJECT_HANDLE wrapping = object(), key = object();
		CK_BYTE_PTR out = room(&n2);
		const CK_ULONG had = n2;
		rv = bounded(C_WrapKey(s, m, wrapping, key, out, &n2), out, had, &n2);
		for (CK_ULONG i = 0; i < n_fixed; i++)
			FUZZ_MUST(rv != CKR_OK || key != objects[i]);
		return rv;
	}
	case 3: {
		const CK_OBJECT_HANDLE wrapping = object();
		CK_BYTE_PTR p = bytes(&n2);
		rv = C_UnwrapKey(s, m, wrapping, p, n2, t, n, &h);
		break;
	}
	default: rv = C_DeriveKey(s, m, object(), t, n, &h); break;
	}
	keep(rv, h);
	return rv;
}

static CK_RV
use_messages(uint8_t step)
{
	const CK_SESSION_HANDLE s = session();
	CK_GCM_MESSAGE_PARAMS gcm = {.ulIvFixedBits = vs_get_u8(&in),
		.ivGenerator = vs_get_u8(&in) % 5,
		.ulTagBits = vs_get_u8(&in)};
	CK_ULONG aad_n = 0, n = 0, m = 0, tag_n = 0;
	gcm.pIv = bytes(&gcm.ulIvLen);
	gcm.pTag = hold(NULL, tag_n = 16);
	if (gcm.ulTagBits > 8 * tag_n)
		gcm.ulTagBits = 8 * tag_n;
	CK_BYTE_PTR aad = bytes(&aad_n), p = bytes(&n), out = room(&m);
	const CK_ULONG had = m;
	switch (step) {
	case 0:
		return bounded(C_EncryptMessage(s, &gcm, sizeof gcm, aad, aad_n, p, n, out, &m),
			out, had, &m);
	case 1:
		return bounded(C_DecryptMessage(s, &gcm, sizeof gcm, aad, aad_n, p, n, out, &m),
			out, had, &m);
	case 2: return C_EncryptMessageBegin(s, &gcm, sizeof gcm, aad, aad_n);
	case 3:
		return bounded(C_EncryptMessageNext(s, &gcm, sizeof gcm, p, n, out, &m, aad_n & 1),
			out, had, &m);
	case 4: return bounded(C_SignMessage(s, NULL, 0, p, n, out, &m), out, had, &m);
	default: return C_VerifyMessage(s, NULL, 0, p, n, aad, aad_n);
	}
}

static CK_RV
use_world(uint8_t step)
{
	CK_ULONG n = 0;
	CK_BYTE_PTR p = NULL;
	CK_SESSION_INFO info;
	switch (step) {
	case 0:
		if (fake_agent()->page != NULL)
			fake_end_lease();
		return CKR_OK;
	case 1:
		if (fake_agent()->page != NULL)
			fake_revoke(VS_E_REVOKED);
		return CKR_OK;
	case 2: fake_agent()->generation++; return CKR_OK;
	case 3: {
		const CK_USER_TYPE user = vs_get_u8(&in) % 4;
		p = bytes(&n);
		return C_Login(session(), user, p, n);
	}
	case 4: return C_Logout(session());
	case 5: p = room(&n); return C_GenerateRandom(session(), p, n);
	default: return C_GetSessionInfo(session(), &info);
	}
}

static CK_RV
one_step(void)
{
	const uint8_t step = vs_get_u8(&in);
	switch (step >> 5) {
	case 0:
	case 1: return use_operation(step % 8);
	case 2:
	case 3: return use_objects(step % 9);
	case 4: return use_messages(step % 6);
	case 5: return use_world(step % 7);
	default: return use_keys(step % 5);
	}
}

/* ---- before and after ----------------------------------------------------------------------- */

static void
set_up(void)
{
	CK_SESSION_HANDLE s = 0;
	if (n_mechs != 0)
		return;
	fake_reset();
	n_mechs = sizeof mechs / sizeof mechs[0];
	FUZZ_MUST(C_Initialize(NULL) == CKR_OK &&
		C_GetMechanismList(0, mechs, &n_mechs) == CKR_OK &&
		C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &s) == CKR_OK &&
		C_FindObjectsInit(s, NULL, 0) == CKR_OK &&
		C_FindObjects(s, objects, OBJECTS_MAX / 2, &n_fixed) == CKR_OK);
	FUZZ_MUST(n_fixed > 5 && n_mechs > 50 && n_mechs < 250);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	set_up();
	in = vs_reader_of(vs_bytes_of(data, size));
	n_objects = n_fixed;
	for (size_t i = 0; i < SESSIONS; i++)
		FUZZ_MUST(C_OpenSession(i == 2 ? 1 : 0,
				  CKF_SERIAL_SESSION | (i == 1 ? 0 : CKF_RW_SESSION), NULL, NULL,
				  &sessions[i]) == CKR_OK);
	for (unsigned i = 0; i < STEPS_MAX && !in.bad && in.left > 0; i++) {
		const CK_RV rv = one_step();
		/* These would mean that we did something wrong. */
		FUZZ_MUST(rv != CKR_GENERAL_ERROR && rv != CKR_HOST_MEMORY &&
			rv != CKR_FUNCTION_FAILED && rv < CKR_VENDOR_DEFINED);
	}
	FUZZ_MUST(C_CloseAllSessions(0) == CKR_OK && C_CloseAllSessions(1) == CKR_OK);
	while (n_held > 0)
		free(held[--n_held]);
	return 0;
}
