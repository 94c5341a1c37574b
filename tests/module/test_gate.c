/* SPDX-License-Identifier: BSD-2-Clause */
/* When the gate is asked, what a refusal looks like, and what a lease's end does. */
#include <pthread.h>
#include <time.h>

#include "module/api.h"
#include "module/p11.h"

static CK_RV
sign_init(CK_SESSION_HANDLE s, const char *label)
{
	return C_SignInit(s, MECH(CKM_SHA256_RSA_PKCS), p11_find(s, CKO_PRIVATE_KEY, label));
}

static CK_RV
sign(CK_SESSION_HANDLE s)
{
	uint8_t sig[256];
	CK_ULONG n = sizeof sig;
	return C_Sign(s, STR("abc"), 3, sig, &n);
}

static CK_ULONG
device_error(CK_SESSION_HANDLE s)
{
	CK_SESSION_INFO info;
	assert_rv_ok(C_GetSessionInfo(s, &info));
	return info.ulDeviceError;
}

static void
public_operations_never_open_the_gate(void **state)
{
	(void)state;
	const CK_SESSION_HANDLE s = p11_open();
	uint8_t buf[512] = {0}, d[64];
	CK_ULONG n = sizeof buf;
	fake_agent()->need_code = VS_E_REFUSED_POLICY;
	const CK_OBJECT_HANDLE pub = p11_find(s, CKO_PUBLIC_KEY, "rsa2048");
	assert_rv_ok(C_EncryptInit(s, MECH(CKM_RSA_PKCS), pub));
	assert_rv_ok(C_Encrypt(s, STR("abc"), 3, buf, &n));
	assert_rv_ok(C_VerifyInit(s, MECH(CKM_SHA256_RSA_PKCS), pub));
	assert_rv(C_Verify(s, STR("abc"), 3, buf, 256), CKR_SIGNATURE_INVALID);
	n = sizeof d;
	assert_rv_ok(C_DigestInit(s, MECH(CKM_SHA256)));
	assert_rv_ok(C_Digest(s, STR("abc"), 3, d, &n));
	assert_rv_ok(C_GenerateRandom(s, d, sizeof d));
	assert_int_equal(fake_agent()->n_need, 0);
	assert_int_equal(fake_agent()->n_key, 0);
}

static void
bad_arguments_never_open_the_gate(void **state)
{
	(void)state;
	const CK_SESSION_HANDLE s = p11_open();
	const CK_OBJECT_HANDLE rsa = p11_find(s, CKO_PRIVATE_KEY, "rsa2048");
	const CK_OBJECT_HANDLE ec = p11_find(s, CKO_PRIVATE_KEY, "ec256");
	const CK_OBJECT_HANDLE only = p11_find(s, CKO_PRIVATE_KEY, "rsa-sign");
	const CK_OBJECT_HANDLE aes = p11_find(s, CKO_SECRET_KEY, "aes256");
	const CK_OBJECT_HANDLE wrap = p11_find(s, CKO_SECRET_KEY, "aes-wrap");
	uint8_t iv[15];
	CK_RSA_PKCS_PSS_PARAMS pss = {CKM_SHA256, CKG_MGF1_SHA256, 400};
	assert_rv(C_SignInit(s, NULL, rsa), CKR_ARGUMENTS_BAD);
	assert_rv(C_SignInit(s, MECH(0x4711), rsa), CKR_MECHANISM_INVALID);
	assert_rv(C_SignInit(s, MECH(CKM_AES_CBC), rsa), CKR_MECHANISM_INVALID);
	assert_rv(C_SignInit(s, MECH(CKM_ECDSA), 4711), CKR_KEY_HANDLE_INVALID);
	assert_rv(C_SignInit(s, MECH(CKM_ECDSA), rsa), CKR_KEY_TYPE_INCONSISTENT);
	assert_rv(C_SignInit(s, MECH(CKM_SHA256_RSA_PKCS), ec), CKR_KEY_TYPE_INCONSISTENT);
	assert_rv(C_SignInit(s, MECH(CKM_RSA_PKCS), p11_find(s, CKO_PUBLIC_KEY, "rsa2048")),
		CKR_KEY_TYPE_INCONSISTENT);
	assert_rv(C_SignInit(s, MECH(CKM_RSA_PKCS), p11_find(s, CKO_CERTIFICATE, "rsa2048")),
		CKR_KEY_HANDLE_INVALID);
	assert_rv(C_SignInit(s, MECH(CKM_RSA_PKCS_PSS), rsa), CKR_MECHANISM_PARAM_INVALID);
	assert_true(C_SignInit(s, MECH_P(CKM_RSA_PKCS_PSS, pss), rsa) != CKR_OK);
	assert_rv(C_DecryptInit(s, MECH(CKM_RSA_PKCS), only), CKR_KEY_FUNCTION_NOT_PERMITTED);
	assert_rv(C_DecryptInit(s, MECH(CKM_RSA_X_509), rsa), CKR_MECHANISM_INVALID);
	assert_rv(C_EncryptInit(s, MECH_P(CKM_AES_CBC, iv), aes), CKR_MECHANISM_PARAM_INVALID);
	assert_rv(C_EncryptInit(s, MECH(CKM_AES_ECB), wrap), CKR_KEY_FUNCTION_NOT_PERMITTED);
	assert_int_equal(fake_agent()->n_need, 0);
	/* A failed Init leaves nothing behind. */
	assert_rv(sign(s), CKR_OPERATION_NOT_INITIALIZED);
}

static void
each_reason_has_its_code_and_its_number(void **state)
{
	(void)state;
	static const struct {
		enum vs_code why;
		CK_RV rv;
	} table[] = {
		{VS_E_REFUSED_POLICY, CKR_FUNCTION_REJECTED},
		{VS_E_REFUSED_FLOOR, CKR_FUNCTION_REJECTED},
		{VS_E_REFUSED_RELEASE, CKR_FUNCTION_REJECTED},
		{VS_E_REFUSED_PEER, CKR_FUNCTION_REJECTED},
		{VS_E_CONNECT, CKR_DEVICE_ERROR},
		{VS_E_TIMEOUT, CKR_DEVICE_ERROR},
		{VS_E_AGENT, CKR_DEVICE_ERROR},
		{VS_E_TPM, CKR_DEVICE_ERROR},
		{VS_E_ANSWER, CKR_DEVICE_ERROR},
		{VS_E_CONFIG_VALUE, CKR_FUNCTION_FAILED},
		{VS_E_POLICY_FILE, CKR_FUNCTION_FAILED},
		{VS_E_KEY_GONE, CKR_DEVICE_REMOVED},
		{VS_E_MEMORY, CKR_HOST_MEMORY},
		{VS_E_INTERNAL, CKR_GENERAL_ERROR},
	};
	const CK_SESSION_HANDLE s = p11_open();
	for (size_t i = 0; i < COUNT(table); i++) {
		fake_agent()->need_code = (int)table[i].why;
		fake_agent()->key_code = 0;
		assert_rv(sign_init(s, "rsa2048"), table[i].rv);
		assert_int_equal(device_error(s), table[i].why);
		assert_rv(sign(s), CKR_OPERATION_NOT_INITIALIZED);
	}
	fake_agent()->need_code = 0;
	fake_agent()->key_code = VS_E_REFUSED_RELEASE;
	assert_rv(sign_init(s, "rsa2048"), CKR_FUNCTION_REJECTED);
	/* And the session goes on when the machine is trusted again. */
	fake_agent()->key_code = 0;
	assert_rv_ok(sign_init(s, "rsa2048"));
	assert_rv_ok(sign(s));
}

static void
asked_once_for_a_lease_and_once_for_a_key(void **state)
{
	(void)state;
	const CK_SESSION_HANDLE a = p11_open();
	const CK_SESSION_HANDLE b = p11_open();
	for (int i = 0; i < 5; i++) {
		assert_rv_ok(sign_init(a, "rsa2048"));
		assert_rv_ok(sign(a));
		assert_rv_ok(sign_init(b, "rsa2048"));
		assert_rv_ok(sign(b));
		assert_rv_ok(sign_init(b, "rsa-sign"));
		assert_rv_ok(sign(b));
	}
	assert_int_equal(fake_agent()->n_need, 1);
	assert_int_equal(fake_agent()->n_key, 2);
}

static void
a_size_query_keeps_the_operation(void **state)
{
	(void)state;
	const CK_SESSION_HANDLE s = p11_open();
	uint8_t sig[256];
	CK_ULONG n = 0;
	assert_rv_ok(sign_init(s, "rsa2048"));
	assert_rv(sign_init(s, "rsa2048"), CKR_OPERATION_ACTIVE);
	assert_rv_ok(C_Sign(s, STR("abc"), 3, NULL, &n));
	assert_int_equal(n, 256);
	n = 255;
	assert_rv(C_Sign(s, STR("abc"), 3, sig, &n), CKR_BUFFER_TOO_SMALL);
	assert_int_equal(n, 256);
	assert_rv_ok(C_Sign(s, STR("abc"), 3, sig, &n));
	assert_rv(C_Sign(s, STR("abc"), 3, sig, &n), CKR_OPERATION_NOT_INITIALIZED);
	assert_rv_ok(sign_init(s, "rsa2048"));
	assert_rv(C_Sign(s, NULL, 3, sig, &n), CKR_ARGUMENTS_BAD);
	assert_rv(sign(s), CKR_OPERATION_NOT_INITIALIZED);
}

static void
a_lease_that_ended_is_renewed_inside_the_next_init(void **state)
{
	(void)state;
	const CK_SESSION_HANDLE s = p11_open();
	assert_rv_ok(sign_init(s, "rsa2048"));
	assert_rv_ok(sign(s));
	fake_end_lease();
	assert_rv_ok(sign_init(s, "rsa2048"));
	assert_rv_ok(sign(s));
	assert_int_equal(fake_agent()->n_need, 2);
	assert_int_equal(fake_agent()->n_key, 2);
	fake_end_lease();
	fake_agent()->need_code = VS_E_REFUSED_EVIDENCE;
	assert_rv(sign_init(s, "rsa2048"), CKR_FUNCTION_REJECTED);
	fake_agent()->need_code = VS_E_CONNECT;
	assert_rv(sign_init(s, "rsa2048"), CKR_DEVICE_ERROR);
	assert_int_equal(fake_agent()->n_key, 2);
}

static void
an_operation_under_way_has_the_grace_and_no_more(void **state)
{
	(void)state;
	const CK_SESSION_HANDLE s = p11_open();
	assert_rv_ok(sign_init(s, "rsa2048"));
	/* Valid-until is over, the grace is not. */
	fake_agent()->page->valid_until_boot_ns = vs_boot_now_ns() - 1;
	assert_rv_ok(sign(s));
	/* No new operation from here on without asking. */
	fake_agent()->need_code = VS_E_CONNECT;
	assert_rv(sign_init(s, "rsa2048"), CKR_DEVICE_ERROR);
	fake_agent()->need_code = 0;
	assert_rv_ok(sign_init(s, "rsa2048"));
	assert_rv_ok(C_SignUpdate(s, STR("abc"), 3));
	fake_end_lease();
	uint8_t sig[256];
	CK_ULONG n = sizeof sig;
	assert_rv(C_SignFinal(s, sig, &n), CKR_DEVICE_ERROR);
	assert_int_equal(device_error(s), VS_E_LEASE_ENDED);
	assert_rv(C_SignFinal(s, sig, &n), CKR_OPERATION_NOT_INITIALIZED);
}

static void
revocation_stops_every_session_at_once(void **state)
{
	(void)state;
	const CK_SESSION_HANDLE a = p11_open();
	const CK_SESSION_HANDLE b = p11_open();
	assert_rv_ok(sign_init(a, "rsa2048"));
	assert_rv_ok(sign_init(b, "rsa2048"));
	fake_revoke(VS_E_REFUSED_POLICY);
	fake_agent()->need_code = VS_E_REFUSED_POLICY;
	assert_rv(sign(a), CKR_DEVICE_REMOVED);
	assert_int_equal(device_error(a), VS_E_REVOKED);
	assert_rv(sign(b), CKR_DEVICE_REMOVED);
	assert_rv(sign_init(a, "rsa2048"), CKR_FUNCTION_REJECTED);
	assert_rv(sign_init(b, "rsa2048"), CKR_FUNCTION_REJECTED);
	/* Public things go on, and handles stay. */
	assert_rv_ok(
		C_VerifyInit(a, MECH(CKM_SHA256_RSA_PKCS), p11_find(a, CKO_PUBLIC_KEY, "rsa2048")));
}

static void
a_key_that_is_gone_takes_only_itself_away(void **state)
{
	(void)state;
	const CK_SESSION_HANDLE s = p11_open();
	const CK_SESSION_HANDLE other = p11_open();
	assert_rv_ok(sign_init(other, "rsa-sign"));
	assert_rv_ok(sign_init(s, "rsa2048"));
	fake_key_gone("rsa2048");
	assert_rv(sign(s), CKR_DEVICE_REMOVED);
	assert_rv(sign_init(s, "rsa2048"), CKR_DEVICE_REMOVED);
	assert_int_equal(device_error(s), VS_E_KEY_GONE);
	assert_rv_ok(sign(other));
	assert_int_equal(fake_agent()->n_need, 1);
}

static void
a_key_that_is_not_the_one_shown_is_refused(void **state)
{
	(void)state;
	const CK_SESSION_HANDLE s = p11_open();
	uint8_t iv[16] = {0};
	fake_agent()->lie = true;
	assert_rv(sign_init(s, "rsa2048"), CKR_FUNCTION_REJECTED);
	assert_int_equal(device_error(s), VS_E_REFUSED_KEY);
	assert_rv(sign(s), CKR_OPERATION_NOT_INITIALIZED);
	assert_rv(C_SignInit(s, MECH(CKM_ECDSA), p11_find(s, CKO_PRIVATE_KEY, "ec256")),
		CKR_FUNCTION_REJECTED);
	assert_rv(C_EncryptInit(s, MECH_P(CKM_AES_CBC, iv), p11_find(s, CKO_SECRET_KEY, "aes256")),
		CKR_FUNCTION_REJECTED);
	fake_agent()->lie = false;
	fake_agent()->garbage = true;
	assert_rv(sign_init(s, "rsa2048"), CKR_FUNCTION_REJECTED);
	assert_rv(C_EncryptInit(s, MECH_P(CKM_AES_CBC, iv), p11_find(s, CKO_SECRET_KEY, "aes256")),
		CKR_FUNCTION_REJECTED);
	fake_agent()->garbage = false;
	assert_rv_ok(sign_init(s, "rsa2048"));
	assert_rv_ok(sign(s));
}

static void *
init_and_sign(void *arg)
{
	const CK_OBJECT_HANDLE h = *(const CK_OBJECT_HANDLE *)arg;
	CK_SESSION_HANDLE s = 0;
	uint8_t sig[256];
	CK_ULONG n = sizeof sig;
	if (C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &s) != CKR_OK)
		return (void *)1;
	CK_RV rv = C_SignInit(s, MECH(CKM_SHA256_RSA_PKCS), h);
	if (rv == CKR_OK)
		rv = C_Sign(s, STR("abc"), 3, sig, &n);
	return (void *)rv;
}

static void
other_sessions_work_while_one_waits_for_the_gate(void **state)
{
	(void)state;
	const CK_SESSION_HANDLE s = p11_open();
	CK_OBJECT_HANDLE h = p11_find(s, CKO_PRIVATE_KEY, "rsa2048");
	pthread_t t[4];
	fake_agent()->need_delay_ms = 400;
	struct timespec a, b;
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (size_t i = 0; i < COUNT(t); i++)
		assert_int_equal(pthread_create(&t[i], NULL, init_and_sign, &h), 0);
	uint8_t d[32];
	CK_ULONG n = sizeof d;
	for (int i = 0; i < 100; i++) {
		assert_int_equal(p11_count(s, NULL, 0), 14);
		assert_rv_ok(C_DigestInit(s, MECH(CKM_SHA256)));
		assert_rv_ok(C_Digest(s, STR("abc"), 3, d, &n));
	}
	clock_gettime(CLOCK_MONOTONIC, &b);
	assert_true((b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000 < 350);
	for (size_t i = 0; i < COUNT(t); i++) {
		void *r = NULL;
		pthread_join(t[i], &r);
		assert_null(r);
	}
	/* Whoever came later found the key that another one had brought. */
	assert_true(fake_agent()->n_need <= 4);
	assert_rv_ok(sign_init(s, "rsa2048"));
	assert_true(fake_agent()->n_need <= 4);
}

static void
ended_keys_are_dropped_at_the_next_call(void **state)
{
	(void)state;
	const CK_SESSION_HANDLE s = p11_open();
	const CK_SESSION_HANDLE other = p11_open();
	struct vs_token *t = &atomic_load(&vs_module_instance)->tokens[0];
	assert_rv_ok(sign_init(s, "rsa2048"));
	assert_rv_ok(sign(s));
	assert_true(t->has_keys);
	fake_end_lease();
	(void)device_error(other); /* any call, of any session */
	assert_false(t->has_keys);
	assert_null(t->keys);
	struct vs_session *inside = NULL;
	assert_rv_ok(vs_session_enter(atomic_load(&vs_module_instance), s, &inside));
	assert_null(inside->op[VS_OP_SIGN]->signer);
	assert_null(inside->op[VS_OP_SIGN]->key);
	vs_session_leave(inside);
}

static void
an_operation_left_open_does_not_keep_its_key(void **state)
{
	(void)state;
	const CK_SESSION_HANDLE s = p11_open();
	const CK_SESSION_HANDLE other = p11_open();
	uint8_t sig[256], iv[12] = {0}, tag[16], text[16] = {0};
	CK_ULONG n = sizeof sig;
	CK_GCM_MESSAGE_PARAMS p = {iv, 12, 0, CKG_NO_GENERATE, tag, 128};
	const CK_OBJECT_HANDLE aes = p11_find(s, CKO_SECRET_KEY, "aes256");
	assert_rv_ok(sign_init(s, "rsa2048"));
	assert_rv_ok(C_SignUpdate(s, STR("abc"), 3));
	assert_rv_ok(C_MessageEncryptInit(s, MECH(CKM_AES_GCM), aes));
	fake_end_lease();
	(void)device_error(other);
	struct vs_session *inside = NULL;
	assert_rv_ok(vs_session_enter(atomic_load(&vs_module_instance), s, &inside));
	for (int i = 0; i < 2; i++) {
		const struct vs_op *op = inside->op[i == 0 ? VS_OP_SIGN : VS_OP_MSG_ENCRYPT];
		assert_true(op->signer == NULL && op->cipher == NULL);
		assert_null(op->key);
		assert_null(op->ukey);
	}
	vs_session_leave(inside);
	/* It is still under way, and says why it cannot go on: once, also when asked for a size. */
	assert_rv(sign_init(s, "rsa2048"), CKR_OPERATION_ACTIVE);
	assert_rv(C_SignFinal(s, NULL, &n), CKR_DEVICE_ERROR);
	assert_int_equal(device_error(s), VS_E_LEASE_ENDED);
	assert_rv(C_SignFinal(s, sig, &n), CKR_OPERATION_NOT_INITIALIZED);
	n = sizeof text;
	assert_rv(C_EncryptMessage(s, &p, sizeof p, NULL, 0, text, 16, text, &n), CKR_DEVICE_ERROR);
	assert_rv(C_MessageEncryptFinal(s), CKR_OPERATION_NOT_INITIALIZED);
	assert_rv_ok(sign_init(s, "rsa2048"));
	assert_rv_ok(sign(s));
}

/* For the audit log: one for each operation, however many calls it takes. */
static void
each_operation_is_counted_once_as_a_use_of_its_key(void **state)
{
	(void)state;
	const CK_SESSION_HANDLE s = p11_open(), other = p11_open();
	uint8_t out[512], iv[16] = {0}, tag[16], text[3] = {1, 2, 3};
	CK_ULONG n = sizeof out;
	assert_rv_ok(sign_init(s, "rsa2048"));
	assert_int_equal(fake_uses("rsa2048"), 0);
	assert_rv_ok(C_Sign(s, STR("abc"), 3, NULL, &n));
	n = 5;
	assert_rv(C_Sign(s, STR("abc"), 3, out, &n), CKR_BUFFER_TOO_SMALL);
	assert_int_equal(fake_uses("rsa2048"), 0);
	assert_rv_ok(sign(s));
	assert_int_equal(fake_uses("rsa2048"), 1);
	/* In parts, in another session. */
	assert_rv_ok(sign_init(other, "rsa2048"));
	for (int i = 0; i < 5; i++)
		assert_rv_ok(C_SignUpdate(other, STR("abc"), 3));
	n = sizeof out;
	assert_rv_ok(C_SignFinal(other, out, &n));
	assert_int_equal(fake_uses("rsa2048"), 2);
	/* The empty message, and one after the other with what was prepared. */
	for (int i = 0; i < 3; i++) {
		assert_rv_ok(sign_init(s, "rsa2048"));
		n = sizeof out;
		assert_rv_ok(C_SignFinal(s, out, &n));
	}
	assert_int_equal(fake_uses("rsa2048"), 5);
	/* Opening what somebody sealed with the public key: only the opening is a use. */
	n = sizeof out;
	assert_rv_ok(C_EncryptInit(s, MECH(CKM_RSA_PKCS), p11_find(s, CKO_PUBLIC_KEY, "rsa2048")));
	assert_rv_ok(C_Encrypt(s, STR("abc"), 3, out, &n));
	assert_int_equal(fake_uses("rsa2048"), 5);
	uint8_t plain[256];
	CK_ULONG m = 1;
	assert_rv_ok(C_DecryptInit(s, MECH(CKM_RSA_PKCS), p11_find(s, CKO_PRIVATE_KEY, "rsa2048")));
	assert_rv(C_Decrypt(s, out, n, plain, &m), CKR_BUFFER_TOO_SMALL);
	m = sizeof plain;
	assert_rv_ok(C_Decrypt(s, out, n, plain, &m));
	assert_int_equal(fake_uses("rsa2048"), 6);
	/* Another key has a count of its own; each message is a use. */
	const CK_OBJECT_HANDLE aes = p11_find(s, CKO_SECRET_KEY, "aes256");
	CK_GCM_MESSAGE_PARAMS gcm = {.pIv = iv, .ulIvLen = 12, .pTag = tag, .ulTagBits = 128};
	assert_rv_ok(C_MessageEncryptInit(s, MECH(CKM_AES_GCM), aes));
	for (int i = 0; i < 4; i++) {
		n = sizeof out;
		assert_rv_ok(
			C_EncryptMessage(s, &gcm, sizeof gcm, NULL, 0, text, sizeof text, out, &n));
	}
	assert_rv_ok(C_MessageEncryptFinal(s));
	assert_int_equal(fake_uses("aes256"), 4);
	assert_int_equal(fake_uses("rsa2048"), 6);
	/* What is refused is not used. */
	assert_rv_ok(sign_init(s, "rsa2048"));
	fake_revoke(VS_E_REVOKED);
	assert_rv(sign(s), CKR_DEVICE_REMOVED);
	assert_int_equal(fake_uses("rsa2048"), 6);
}

static void
login_attest_asks_the_gate_and_says_so(void **state)
{
	(void)state;
	CK_TOKEN_INFO ti;
	CK_SESSION_INFO info;
	fake_reset();
	fake_agent()->profile.tokens[0].login = VS_LOGIN_ATTEST;
	assert_rv_ok(C_Initialize(NULL));
	const CK_SESSION_HANDLE s = p11_open();
	assert_rv_ok(C_GetTokenInfo(0, &ti));
	assert_true(ti.flags & CKF_LOGIN_REQUIRED);
	assert_true(ti.flags & CKF_PROTECTED_AUTHENTICATION_PATH);
	assert_rv_ok(C_GetSessionInfo(s, &info));
	assert_int_equal(info.state, CKS_RW_PUBLIC_SESSION);
	fake_agent()->need_code = VS_E_REFUSED_FLOOR;
	assert_rv(C_Login(s, CKU_USER, NULL, 0), CKR_FUNCTION_REJECTED);
	fake_agent()->need_code = 0;
	assert_rv_ok(C_Login(s, CKU_USER, STR("any"), 3));
	assert_string_equal(fake_agent()->last_pin, "");
	assert_rv_ok(C_GetSessionInfo(s, &info));
	assert_int_equal(info.state, CKS_RW_USER_FUNCTIONS);
	assert_rv(C_Login(s, CKU_USER, NULL, 0), CKR_USER_ALREADY_LOGGED_IN);
	assert_rv_ok(C_Logout(s));
	assert_rv(C_Logout(s), CKR_USER_NOT_LOGGED_IN);
	/* A login ends with the last session. */
	const CK_SESSION_HANDLE second = p11_open();
	assert_rv_ok(C_Login(second, CKU_USER, NULL, 0));
	assert_rv_ok(C_CloseSession(s));
	assert_rv_ok(C_GetSessionInfo(second, &info));
	assert_int_equal(info.state, CKS_RW_USER_FUNCTIONS);
	assert_rv_ok(C_CloseSession(second));
	assert_rv_ok(C_GetSessionInfo(p11_open(), &info));
	assert_int_equal(info.state, CKS_RW_PUBLIC_SESSION);
	assert_rv_ok(C_Finalize(NULL));
}

static void
login_pin_sends_the_pin_and_guards_the_keys(void **state)
{
	(void)state;
	fake_reset();
	fake_agent()->profile.tokens[0].login = VS_LOGIN_PIN;
	assert_rv_ok(C_Initialize(NULL));
	const CK_SESSION_HANDLE s = p11_open();
	assert_rv(sign_init(s, "rsa2048"), CKR_USER_NOT_LOGGED_IN);
	assert_int_equal(fake_agent()->n_need, 0);
	fake_agent()->need_code = VS_E_PIN;
	assert_rv(C_Login(s, CKU_USER, STR("0000"), 4), CKR_PIN_INCORRECT);
	fake_agent()->need_code = 0;
	assert_rv(C_Login(s, CKU_USER, STR("x"), 100000), CKR_PIN_LEN_RANGE);
	assert_rv_ok(C_Login(s, CKU_USER, STR("1234"), 4));
	assert_string_equal(fake_agent()->last_pin, "1234");
	assert_rv_ok(sign_init(s, "rsa2048"));
	assert_rv_ok(sign(s));
	assert_rv_ok(C_Finalize(NULL));
}

/* The session still has the key of its last operation, and another one has begun to use it. */
static void
logout_ends_what_the_pin_had_opened(void **state)
{
	(void)state;
	fake_reset();
	fake_agent()->profile.tokens[0].login = VS_LOGIN_PIN;
	assert_rv_ok(C_Initialize(NULL));
	const CK_SESSION_HANDLE s = p11_open();
	const CK_SESSION_HANDLE begun = p11_open();
	assert_rv_ok(C_Login(s, CKU_USER, STR("1234"), 4));
	assert_rv_ok(sign_init(s, "rsa2048"));
	assert_rv_ok(sign(s));
	assert_rv_ok(sign_init(begun, "rsa2048"));
	const CK_OBJECT_HANDLE pub = p11_find(s, CKO_PUBLIC_KEY, "rsa2048");
	assert_rv_ok(C_Logout(s));
	assert_rv(sign_init(s, "rsa2048"), CKR_USER_NOT_LOGGED_IN);
	assert_rv(sign(begun), CKR_USER_NOT_LOGGED_IN);
	assert_rv(sign(begun), CKR_OPERATION_NOT_INITIALIZED);
	/* What needs no key of the token goes on. */
	assert_rv_ok(C_VerifyInit(s, MECH(CKM_SHA256_RSA_PKCS), pub));
	assert_rv_ok(C_Login(begun, CKU_USER, STR("1234"), 4));
	assert_rv_ok(sign_init(begun, "rsa2048"));
	assert_rv_ok(sign(begun));
	assert_rv_ok(C_Finalize(NULL));
}

static void
visible_attested_hides_what_was_shown(void **state)
{
	(void)state;
	fake_reset();
	fake_agent()->profile.tokens[0].visible_attested = true;
	assert_rv_ok(C_Initialize(NULL));
	const CK_SESSION_HANDLE s = p11_open();
	fake_agent()->catalog_code = VS_E_REFUSED_POLICY;
	assert_rv(C_FindObjectsInit(s, NULL, 0), CKR_FUNCTION_REJECTED);
	fake_agent()->catalog_code = 0;
	assert_int_equal(p11_count(s, NULL, 0), 14);
	const CK_OBJECT_HANDLE h = p11_find(s, CKO_PRIVATE_KEY, "ec256");
	fake_agent()->catalog_code = VS_E_REFUSED_POLICY;
	atomic_store(&atomic_load(&vs_module_instance)->tokens[0].catalog_until_boot_ns, 0);
	assert_rv(C_FindObjectsInit(s, NULL, 0), CKR_FUNCTION_REJECTED);
	assert_rv(C_SignInit(s, MECH(CKM_ECDSA), h), CKR_KEY_HANDLE_INVALID);
	assert_rv_ok(C_Finalize(NULL));
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, p11_setup, p11_teardown)
	const struct CMUnitTest tests[] = {
		T(public_operations_never_open_the_gate),
		T(bad_arguments_never_open_the_gate),
		T(each_reason_has_its_code_and_its_number),
		T(asked_once_for_a_lease_and_once_for_a_key),
		T(a_size_query_keeps_the_operation),
		T(a_lease_that_ended_is_renewed_inside_the_next_init),
		T(an_operation_under_way_has_the_grace_and_no_more),
		T(revocation_stops_every_session_at_once),
		T(a_key_that_is_gone_takes_only_itself_away),
		T(a_key_that_is_not_the_one_shown_is_refused),
		T(other_sessions_work_while_one_waits_for_the_gate),
		T(ended_keys_are_dropped_at_the_next_call),
		T(an_operation_left_open_does_not_keep_its_key),
		T(each_operation_is_counted_once_as_a_use_of_its_key),
		cmocka_unit_test(login_attest_asks_the_gate_and_says_so),
		cmocka_unit_test(login_pin_sends_the_pin_and_guards_the_keys),
		cmocka_unit_test(logout_ends_what_the_pin_had_opened),
		cmocka_unit_test(visible_attested_hides_what_was_shown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
