/* SPDX-License-Identifier: BSD-2-Clause */
/* Sentences of the standard that no application of ours happens to lean on, one test for each. */
#include "module/p11.h"

static CK_SESSION_HANDLE s;

static int
set_up(void **state)
{
	if (p11_setup(state) != 0)
		return -1;
	s = p11_open();
	return 0;
}

/* ---- profiles, mechanisms ----------------------------------------------------------------------
 */

static void
profiles_are_found_by_their_class_only(void **state)
{
	CK_OBJECT_CLASS class = CKO_PROFILE;
	CK_ATTRIBUTE t[] = {ATTR(CKA_CLASS, class)};
	CK_OBJECT_HANDLE h[8];
	CK_ULONG n = 0, seen = 0;
	(void)state;
	assert_rv_ok(C_FindObjectsInit(s, t, 1));
	assert_rv_ok(C_FindObjects(s, h, COUNT(h), &n));
	assert_rv_ok(C_FindObjectsFinal(s));
	assert_int_equal(n, 4);
	for (CK_ULONG i = 0; i < n; i++) {
		CK_ULONG id = 0;
		CK_BBOOL token = CK_FALSE, private = CK_TRUE, change = CK_TRUE;
		CK_ATTRIBUTE a[] = {ATTR(CKA_PROFILE_ID, id), ATTR(CKA_TOKEN, token),
			ATTR(CKA_PRIVATE, private), ATTR(CKA_MODIFIABLE, change)};
		assert_rv_ok(C_GetAttributeValue(s, h[i], a, COUNT(a)));
		assert_true(token && !private && !change);
		assert_in_range(id, CKP_BASELINE_PROVIDER, CKP_PUBLIC_CERTIFICATES_TOKEN);
		seen |= 1ul << id;
		CK_ATTRIBUTE by_id[] = {ATTR(CKA_CLASS, class), ATTR(CKA_PROFILE_ID, id)};
		assert_int_equal(p11_count(s, by_id, 2), 1);
		assert_rv(C_SetAttributeValue(s, h[i], by_id, 2), CKR_TOKEN_WRITE_PROTECTED);
		assert_rv(C_DestroyObject(s, h[i]), CKR_ACTION_PROHIBITED);
		assert_rv(C_SignInit(s, MECH(CKM_RSA_PKCS), h[i]), CKR_KEY_HANDLE_INVALID);
	}
	assert_int_equal(seen, 0x1e);
	CK_OBJECT_HANDLE made = 0;
	CK_ULONG id = CKP_BASELINE_PROVIDER;
	CK_ATTRIBUTE new[] = {ATTR(CKA_CLASS, class), ATTR(CKA_PROFILE_ID, id)};
	assert_true(C_CreateObject(s, new, 2, &made) != CKR_OK);
	/* In a listing of everything they would only confuse. */
	CK_ATTRIBUTE all[] = {ATTR(CKA_TOKEN, ck_true)};
	assert_rv_ok(C_FindObjectsInit(s, all, 1));
	do {
		assert_rv_ok(C_FindObjects(s, h, COUNT(h), &n));
		for (CK_ULONG i = 0; i < n; i++) {
			CK_ATTRIBUTE a = ATTR(CKA_CLASS, class);
			assert_rv_ok(C_GetAttributeValue(s, h[i], &a, 1));
			assert_int_not_equal(class, CKO_PROFILE);
		}
	} while (n != 0);
	assert_rv_ok(C_FindObjectsFinal(s));
}

/* A list of 2.40 knows no flags of 3.0; the rest is the same. */
static void
flags_are_those_of_the_list_that_was_taken(void **state)
{
	CK_FUNCTION_LIST *old = NULL;
	CK_INTERFACE *new = NULL;
	CK_MECHANISM_TYPE types[256];
	CK_ULONG n = COUNT(types);
	const CK_FLAGS later = CKF_MESSAGE_ENCRYPT | CKF_MESSAGE_DECRYPT | CKF_MESSAGE_SIGN |
		CKF_MESSAGE_VERIFY | CKF_MULTI_MESSAGE;
	size_t with = 0;
	(void)state;
	assert_rv_ok(C_GetFunctionList(&old));
	assert_rv_ok(C_GetInterface(NULL, NULL, &new, 0));
	const CK_FUNCTION_LIST_3_0 *f = new->pFunctionList;
	assert_int_equal(f->version.major, 3);
	assert_rv_ok(C_GetMechanismList(0, types, &n));
	for (CK_ULONG i = 0; i < n; i++) {
		CK_MECHANISM_INFO a, b;
		assert_rv_ok(old->C_GetMechanismInfo(0, types[i], &a));
		assert_rv_ok(f->C_GetMechanismInfo(0, types[i], &b));
		assert_int_equal(a.flags, b.flags & ~later);
		assert_int_equal(a.ulMaxKeySize, b.ulMaxKeySize);
		const bool signs = (b.flags & CKF_SIGN) != 0;
		assert_int_equal(signs, (b.flags & CKF_MESSAGE_SIGN) != 0);
		assert_int_equal(signs, (b.flags & CKF_MESSAGE_VERIFY) != 0);
		assert_int_equal((b.flags & later) != 0, (b.flags & CKF_MULTI_MESSAGE) != 0);
		with += signs;
	}
	assert_true(with > 30);
	CK_INFO about;
	assert_rv_ok(old->C_GetInfo(&about));
	assert_true(about.cryptokiVersion.major == 2 && about.cryptokiVersion.minor == 40);
	assert_rv_ok(f->C_GetInfo(&about));
	assert_true(about.cryptokiVersion.major == 3 && about.cryptokiVersion.minor == 0);
	assert_rv(old->C_GetInfo(NULL), CKR_ARGUMENTS_BAD);
	CK_MECHANISM_INFO info;
	assert_rv(old->C_GetMechanismInfo(0, CKM_MD5, &info), CKR_MECHANISM_INVALID);
	assert_rv(old->C_GetMechanismInfo(99, CKM_SHA256, &info), CKR_SLOT_ID_INVALID);
	assert_rv(old->C_GetMechanismInfo(0, CKM_SHA256, NULL), CKR_ARGUMENTS_BAD);
}

/* ---- operations --------------------------------------------------------------------------------
 */

/* Having asked one call for a size, the operation belongs to that call. */
static void
a_size_asked_in_one_call_shuts_out_parts(void **state)
{
	const CK_OBJECT_HANDLE aes = p11_find(s, CKO_SECRET_KEY, "aes256");
	const CK_OBJECT_HANDLE rsa = p11_find(s, CKO_PRIVATE_KEY, "rsa2048");
	uint8_t out[256];
	CK_ULONG n = 0;
	(void)state;
	assert_rv_ok(C_EncryptInit(s, MECH(CKM_AES_ECB), aes));
	assert_rv_ok(C_Encrypt(s, STR("0123456789abcdef"), 16, NULL, &n));
	n = 15;
	assert_rv(C_Encrypt(s, STR("0123456789abcdef"), 16, out, &n), CKR_BUFFER_TOO_SMALL);
	/* Again, and the call itself, are fine. */
	assert_rv_ok(C_Encrypt(s, STR("0123456789abcdef"), 16, NULL, &n));
	assert_rv_ok(C_Encrypt(s, STR("0123456789abcdef"), 16, out, &n));
	assert_rv_ok(C_EncryptInit(s, MECH(CKM_AES_ECB), aes));
	assert_rv_ok(C_Encrypt(s, STR("0123456789abcdef"), 16, NULL, &n));
	assert_rv(C_EncryptUpdate(s, STR("0123456789abcdef"), 16, out, &n), CKR_OPERATION_ACTIVE);
	assert_rv(C_EncryptFinal(s, out, &n), CKR_OPERATION_NOT_INITIALIZED);
	assert_rv_ok(C_DigestInit(s, MECH(CKM_SHA256)));
	assert_rv_ok(C_Digest(s, STR("x"), 1, NULL, &n));
	assert_rv(C_DigestFinal(s, out, &n), CKR_OPERATION_ACTIVE);
	assert_rv(C_Digest(s, STR("x"), 1, out, &n), CKR_OPERATION_NOT_INITIALIZED);
	assert_rv_ok(C_SignInit(s, MECH(CKM_SHA256_RSA_PKCS), rsa));
	assert_rv_ok(C_Sign(s, STR("x"), 1, NULL, &n));
	assert_rv(C_SignUpdate(s, STR("x"), 1), CKR_OPERATION_ACTIVE);
	assert_rv(C_Sign(s, STR("x"), 1, out, &n), CKR_OPERATION_NOT_INITIALIZED);
	/* Asked of a part it may go on in parts. */
	assert_rv_ok(C_EncryptInit(s, MECH(CKM_AES_ECB), aes));
	assert_rv_ok(C_EncryptUpdate(s, STR("0123456789abcdef"), 16, NULL, &n));
	assert_rv_ok(C_EncryptUpdate(s, STR("0123456789abcdef"), 16, out, &n));
	assert_rv_ok(C_EncryptFinal(s, out, &n));
}

/* Every kind of operation is another: each may be under way, and each is cancelled by its flag. */
static void
all_kinds_stand_beside_each_other_and_are_cancelled_one_by_one(void **state)
{
	const CK_OBJECT_HANDLE aes = p11_find(s, CKO_SECRET_KEY, "aes256");
	const CK_OBJECT_HANDLE rsa = p11_find(s, CKO_PRIVATE_KEY, "rsa2048");
	const CK_OBJECT_HANDLE pub = p11_find(s, CKO_PUBLIC_KEY, "rsa2048");
	const struct {
		CK_RV (*init)(CK_SESSION_HANDLE, CK_MECHANISM *, CK_OBJECT_HANDLE);
		CK_MECHANISM_TYPE type;
		CK_OBJECT_HANDLE key;
		CK_FLAGS flag;
	} kinds[] = {
		{C_EncryptInit, CKM_AES_ECB, aes, CKF_ENCRYPT},
		{C_DecryptInit, CKM_AES_ECB, aes, CKF_DECRYPT},
		{C_SignInit, CKM_RSA_PKCS, rsa, CKF_SIGN},
		{C_VerifyInit, CKM_RSA_PKCS, pub, CKF_VERIFY},
		{C_SignRecoverInit, CKM_RSA_PKCS, rsa, CKF_SIGN_RECOVER},
		{C_VerifyRecoverInit, CKM_RSA_PKCS, pub, CKF_VERIFY_RECOVER},
		{C_MessageEncryptInit, CKM_AES_GCM, aes, CKF_MESSAGE_ENCRYPT},
		{C_MessageDecryptInit, CKM_AES_GCM, aes, CKF_MESSAGE_DECRYPT},
		{C_MessageSignInit, CKM_RSA_PKCS, rsa, CKF_MESSAGE_SIGN},
		{C_MessageVerifyInit, CKM_RSA_PKCS, pub, CKF_MESSAGE_VERIFY},
	};
	CK_ULONG n = 0;
	(void)state;
	assert_rv(C_GetOperationState(s, NULL, &n), CKR_OPERATION_NOT_INITIALIZED);
	/* The last six are no operations whose state could be saved; each of the others is. */
	for (size_t i = COUNT(kinds); i > 0; i--) {
		assert_rv_ok(kinds[i - 1].init(s, MECH(kinds[i - 1].type), kinds[i - 1].key));
		assert_rv(C_GetOperationState(s, NULL, &n),
			i > 4 ? CKR_OPERATION_NOT_INITIALIZED : CKR_STATE_UNSAVEABLE);
	}
	for (size_t i = 0; i < COUNT(kinds); i++) {
		for (size_t j = i; j < COUNT(kinds); j++)
			assert_rv(kinds[j].init(s, MECH(kinds[j].type), kinds[j].key),
				CKR_OPERATION_ACTIVE);
		assert_rv_ok(C_SessionCancel(s, kinds[i].flag));
		/* It is gone: no mechanism is now a bad argument. */
		assert_rv(kinds[i].init(s, NULL, kinds[i].key), CKR_ARGUMENTS_BAD);
	}
	assert_rv(C_GetOperationState(s, NULL, &n), CKR_OPERATION_NOT_INITIALIZED);
	assert_rv(C_GetOperationState(s, NULL, NULL), CKR_ARGUMENTS_BAD);
	assert_rv(C_SetOperationState(s, (CK_BYTE_PTR)&n, sizeof n, 0, 0), CKR_SAVED_STATE_INVALID);
	assert_rv(C_SetOperationState(s, NULL, 0, 0, 0), CKR_ARGUMENTS_BAD);
}

/* ---- login -------------------------------------------------------------------------------------
 */

static void
nobody_logs_in_as_security_officer(void **state)
{
	CK_SESSION_HANDLE ro = 0;
	(void)state;
	assert_rv(C_Login(s, CKU_SO, STR("1"), 1), CKR_USER_ANOTHER_ALREADY_LOGGED_IN);
	assert_rv_ok(C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &ro));
	assert_rv(C_Login(s, CKU_SO, STR("1"), 1), CKR_SESSION_READ_ONLY_EXISTS);
	assert_rv(C_Login(ro, CKU_SO, STR("1"), 1), CKR_SESSION_READ_ONLY_EXISTS);
	assert_rv_ok(C_CloseSession(ro));
	assert_rv(C_LoginUser(s, CKU_SO, STR("1"), 1, NULL, 0), CKR_USER_ANOTHER_ALREADY_LOGGED_IN);
	assert_rv_ok(C_Finalize(NULL));
	fake_agent()->profile.tokens[0].login = VS_LOGIN_ATTEST;
	assert_rv_ok(C_Initialize(NULL));
	s = p11_open();
	assert_rv(C_Login(s, CKU_SO, STR("1"), 1), CKR_USER_PIN_NOT_INITIALIZED);
	assert_rv_ok(C_Login(s, CKU_USER, NULL, 0));
	assert_rv(C_Login(s, CKU_USER, NULL, 0), CKR_USER_ALREADY_LOGGED_IN);
	assert_rv(C_Login(s, CKU_SO, STR("1"), 1), CKR_USER_ANOTHER_ALREADY_LOGGED_IN);
	assert_rv_ok(C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &ro));
	assert_rv(C_Login(s, CKU_SO, STR("1"), 1), CKR_SESSION_READ_ONLY_EXISTS);
}

/* A wrong PIN shows in the token's flags until one was right. */
static void
a_wrong_pin_is_remembered_until_a_right_one(void **state)
{
	CK_TOKEN_INFO info;
	(void)state;
	assert_rv_ok(C_Finalize(NULL));
	fake_agent()->profile.tokens[0].login = VS_LOGIN_PIN;
	assert_rv_ok(C_Initialize(NULL));
	s = p11_open();
	assert_rv_ok(C_GetTokenInfo(0, &info));
	assert_false(info.flags & CKF_USER_PIN_COUNT_LOW);
	fake_agent()->need_code = VS_E_PIN;
	assert_rv(C_Login(s, CKU_USER, STR("no"), 2), CKR_PIN_INCORRECT);
	assert_rv_ok(C_GetTokenInfo(0, &info));
	assert_true(info.flags & CKF_USER_PIN_COUNT_LOW);
	/* Another failure says nothing about PINs. */
	fake_agent()->need_code = VS_E_CONNECT;
	assert_rv(C_Login(s, CKU_USER, STR("no"), 2), CKR_DEVICE_ERROR);
	assert_rv_ok(C_GetTokenInfo(0, &info));
	assert_true(info.flags & CKF_USER_PIN_COUNT_LOW);
	fake_agent()->need_code = 0;
	assert_rv_ok(C_Login(s, CKU_USER, STR("yes"), 3));
	assert_rv_ok(C_GetTokenInfo(0, &info));
	assert_false(info.flags & CKF_USER_PIN_COUNT_LOW);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, p11_teardown)
	const struct CMUnitTest tests[] = {
		T(profiles_are_found_by_their_class_only),
		T(flags_are_those_of_the_list_that_was_taken),
		T(a_size_asked_in_one_call_shuts_out_parts),
		T(all_kinds_stand_beside_each_other_and_are_cancelled_one_by_one),
		T(nobody_logs_in_as_security_officer),
		T(a_wrong_pin_is_remembered_until_a_right_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
