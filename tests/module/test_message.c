/* SPDX-License-Identifier: BSD-2-Clause */
/* Version 3.0: signatures of messages, and AES-GCM messages in parts. */
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <time.h>

#include "module/p11.h"

static const char text[] = "The token's keys exist only while this machine can prove what it is.";
enum { TEXT = sizeof text - 1, CUT = 20 };

static CK_SESSION_HANDLE s;

static int
set_up(void **state)
{
	if (p11_setup(state) != 0)
		return -1;
	s = p11_open();
	return 0;
}

/* ---- signatures ------------------------------------------------------------------------------ */

static CK_ULONG
sign_in_parts(uint8_t *sig)
{
	CK_ULONG n = 0;
	assert_rv_ok(C_SignMessageBegin(s, NULL, 0));
	assert_rv_ok(C_SignMessageNext(s, NULL, 0, STR(text), CUT, NULL, NULL));
	/* A query and a short buffer leave the message, and this part unread. */
	assert_rv_ok(C_SignMessageNext(s, NULL, 0, STR(text + CUT), TEXT - CUT, NULL, &n));
	const CK_ULONG want = n;
	n--;
	assert_rv(C_SignMessageNext(s, NULL, 0, STR(text + CUT), TEXT - CUT, sig, &n),
		CKR_BUFFER_TOO_SMALL);
	assert_int_equal(n, want);
	assert_rv_ok(C_SignMessageNext(s, NULL, 0, STR(text + CUT), TEXT - CUT, sig, &n));
	return n;
}

static void
one_init_signs_many_messages_as_others_verify(void **state)
{
	static const struct {
		const char *label;
		CK_MECHANISM_TYPE type;
	} rows[] = {{"rsa2048", CKM_SHA256_RSA_PKCS}, {"ec256", CKM_ECDSA_SHA256}};
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct fake_key *k = p11_key(rows[i].label);
		const CK_OBJECT_HANDLE key = p11_find(s, CKO_PRIVATE_KEY, rows[i].label);
		uint8_t sig[256];
		CK_ULONG n = 0;
		assert_rv_ok(C_MessageSignInit(s, MECH(rows[i].type), key));
		assert_rv_ok(C_SignMessage(s, NULL, 0, STR(text), TEXT, NULL, &n));
		n--;
		assert_rv(
			C_SignMessage(s, NULL, 0, STR(text), TEXT, sig, &n), CKR_BUFFER_TOO_SMALL);
		for (CK_ULONG m = 0; m < 3; m++) {
			n = sizeof sig;
			assert_rv_ok(C_SignMessage(s, NULL, 0, STR(text), TEXT - m, sig, &n));
			assert_true(
				p11_verify(k, "SHA256", RSA_PKCS1_PADDING, text, TEXT - m, sig, n));
			n = sign_in_parts(sig);
			assert_true(p11_verify(k, "SHA256", RSA_PKCS1_PADDING, text, TEXT, sig, n));
		}
		assert_rv_ok(C_MessageSignFinal(s));
		assert_rv(C_MessageSignFinal(s), CKR_OPERATION_NOT_INITIALIZED);
	}
	assert_int_equal(fake_agent()->n_key, 2);
}

static void
one_init_verifies_many_messages(void **state)
{
	const CK_OBJECT_HANDLE key = p11_find(s, CKO_PRIVATE_KEY, "ec256");
	const CK_OBJECT_HANDLE pub = p11_find(s, CKO_PUBLIC_KEY, "ec256");
	uint8_t sig[64];
	CK_ULONG n = sizeof sig;
	(void)state;
	assert_rv_ok(C_SignInit(s, MECH(CKM_ECDSA_SHA256), key));
	assert_rv_ok(C_Sign(s, STR(text), TEXT, sig, &n));
	assert_rv_ok(C_MessageVerifyInit(s, MECH(CKM_ECDSA_SHA256), pub));
	for (int i = 0; i < 2; i++) {
		assert_rv_ok(C_VerifyMessage(s, NULL, 0, STR(text), TEXT, sig, n));
		assert_rv(C_VerifyMessage(s, NULL, 0, STR(text), TEXT - 1, sig, n),
			CKR_SIGNATURE_INVALID);
		assert_rv(C_VerifyMessage(s, NULL, 0, STR(text), TEXT, sig, n - 1),
			CKR_SIGNATURE_LEN_RANGE);
		assert_rv_ok(C_VerifyMessageBegin(s, NULL, 0));
		assert_rv_ok(C_VerifyMessageNext(s, NULL, 0, STR(text), CUT, NULL, 0));
		assert_rv_ok(C_VerifyMessageNext(
			s, NULL, 0, STR(text + CUT), TEXT - CUT, sig, sizeof sig));
		assert_rv_ok(C_VerifyMessageBegin(s, NULL, 0));
		assert_rv(C_VerifyMessageNext(s, NULL, 0, STR(text), CUT, sig, sizeof sig),
			CKR_SIGNATURE_INVALID);
		/* In any of these cases the message is over. */
		assert_rv(C_VerifyMessageNext(s, NULL, 0, STR(text), CUT, sig, sizeof sig),
			CKR_OPERATION_NOT_INITIALIZED);
	}
	assert_rv_ok(C_MessageVerifyFinal(s));
}

/* What the calls say in each state, and that a wrong call changes nothing. */
static void
message_signatures_out_of_order_are_refused(void **state)
{
	const CK_OBJECT_HANDLE key = p11_find(s, CKO_PRIVATE_KEY, "ec256");
	uint8_t sig[64], param[8] = {0};
	CK_ULONG n = sizeof sig;
	(void)state;
	assert_rv(C_SignMessage(s, NULL, 0, STR(text), 1, sig, &n), CKR_OPERATION_NOT_INITIALIZED);
	assert_rv(C_SignMessageBegin(s, NULL, 0), CKR_OPERATION_NOT_INITIALIZED);
	assert_rv(C_SignMessageNext(s, NULL, 0, STR(text), 1, NULL, NULL),
		CKR_OPERATION_NOT_INITIALIZED);
	assert_rv(C_VerifyMessage(s, NULL, 0, STR(text), 1, sig, n), CKR_OPERATION_NOT_INITIALIZED);
	assert_rv(C_MessageSignInit(s, MECH(CKM_SHA256), key), CKR_MECHANISM_INVALID);
	assert_rv(C_MessageSignInit(s, MECH(CKM_ECDSA_SHA256), 0), CKR_KEY_HANDLE_INVALID);
	assert_rv(C_MessageSignInit(s, MECH(CKM_SHA256_RSA_PKCS), key), CKR_KEY_TYPE_INCONSISTENT);
	assert_rv(C_MessageSignInit(s, NULL, key), CKR_ARGUMENTS_BAD);
	assert_rv_ok(C_MessageSignInit(s, MECH(CKM_ECDSA_SHA256), key));
	assert_rv(C_MessageSignInit(s, MECH(CKM_ECDSA_SHA256), key), CKR_OPERATION_ACTIVE);
	/* Another kind of operation: this one is not that one. */
	assert_rv(C_Sign(s, STR(text), 1, sig, &n), CKR_OPERATION_NOT_INITIALIZED);
	assert_rv(C_SignMessageNext(s, NULL, 0, STR(text), 1, sig, &n),
		CKR_OPERATION_NOT_INITIALIZED);
	assert_rv_ok(C_SignMessageBegin(s, NULL, 0));
	assert_rv(C_SignMessageBegin(s, NULL, 0), CKR_OPERATION_ACTIVE);
	assert_rv(C_SignMessage(s, NULL, 0, STR(text), 1, sig, &n), CKR_OPERATION_ACTIVE);
	assert_rv(C_MessageSignFinal(s), CKR_OPERATION_ACTIVE);
	assert_rv_ok(C_SignMessageNext(s, NULL, 0, STR(text), TEXT, sig, &n));
	assert_true(p11_verify(p11_key("ec256"), "SHA256", 0, text, TEXT, sig, n));
	/* Bad arguments: the message ends, the next one may follow. */
	assert_rv(C_SignMessage(s, NULL, 0, NULL, 1, sig, &n), CKR_ARGUMENTS_BAD);
	assert_rv(C_SignMessage(s, NULL, 0, STR(text), 1, sig, NULL), CKR_ARGUMENTS_BAD);
	assert_rv(C_SignMessage(s, NULL, 0, STR(text), (CK_ULONG)-1, sig, &n), CKR_ARGUMENTS_BAD);
	assert_rv(C_SignMessage(s, param, sizeof param, STR(text), 1, sig, &n),
		CKR_MECHANISM_PARAM_INVALID);
	assert_rv(C_SignMessageBegin(s, param, sizeof param), CKR_MECHANISM_PARAM_INVALID);
	assert_rv_ok(C_SignMessageBegin(s, NULL, 0));
	assert_rv(C_SignMessageNext(s, NULL, 0, NULL, 1, NULL, NULL), CKR_ARGUMENTS_BAD);
	assert_rv(C_SignMessageNext(s, NULL, 0, STR(text), 1, NULL, NULL),
		CKR_OPERATION_NOT_INITIALIZED);
	n = sizeof sig;
	assert_rv_ok(C_SignMessage(s, NULL, 0, STR(text), TEXT, sig, &n));
	/* No mechanism forgets it, in the middle of a message too; so does C_SessionCancel. */
	assert_rv_ok(C_SignMessageBegin(s, NULL, 0));
	assert_rv_ok(C_MessageSignInit(s, NULL, 0));
	assert_rv(C_MessageSignFinal(s), CKR_OPERATION_NOT_INITIALIZED);
	assert_rv_ok(C_MessageSignInit(s, MECH(CKM_ECDSA_SHA256), key));
	assert_rv_ok(C_SignMessageBegin(s, NULL, 0));
	assert_rv_ok(C_SessionCancel(s, CKF_MESSAGE_SIGN));
	assert_rv(C_MessageSignFinal(s), CKR_OPERATION_NOT_INITIALIZED);
}

static void
message_verification_with_bad_arguments_is_refused(void **state)
{
	const CK_OBJECT_HANDLE pub = p11_find(s, CKO_PUBLIC_KEY, "ec256");
	uint8_t sig[64] = {1};
	(void)state;
	assert_rv(C_MessageVerifyInit(
			  s, MECH(CKM_ECDSA_SHA256), p11_find(s, CKO_PRIVATE_KEY, "ec256")),
		CKR_KEY_TYPE_INCONSISTENT);
	assert_rv_ok(C_MessageVerifyInit(s, MECH(CKM_ECDSA_SHA256), pub));
	assert_rv(C_VerifyMessage(s, NULL, 0, STR(text), 1, NULL, 0), CKR_ARGUMENTS_BAD);
	assert_rv(C_VerifyMessage(s, NULL, 0, STR(text), 1, sig, (CK_ULONG)-1), CKR_ARGUMENTS_BAD);
	assert_rv(C_VerifyMessage(s, sig, 1, STR(text), 1, sig, 64), CKR_MECHANISM_PARAM_INVALID);
	assert_rv(C_VerifyMessageNext(s, NULL, 0, STR(text), 1, NULL, 0),
		CKR_OPERATION_NOT_INITIALIZED);
	assert_rv_ok(C_VerifyMessageBegin(s, NULL, 0));
	assert_rv(C_VerifyMessage(s, NULL, 0, STR(text), 1, sig, 64), CKR_OPERATION_ACTIVE);
	assert_rv(C_MessageVerifyFinal(s), CKR_OPERATION_ACTIVE);
	assert_rv(C_VerifyMessageNext(s, NULL, 0, STR(text), 1, NULL, 5), CKR_ARGUMENTS_BAD);
	assert_rv(C_VerifyMessageNext(s, NULL, 0, STR(text), 1, sig, 64),
		CKR_OPERATION_NOT_INITIALIZED);
	assert_rv_ok(C_VerifyMessageBegin(s, NULL, 0));
	assert_rv(
		C_VerifyMessageNext(s, sig, 1, STR(text), 1, sig, 64), CKR_MECHANISM_PARAM_INVALID);
	assert_rv_ok(C_SessionCancel(s, CKF_MESSAGE_VERIFY));
	assert_rv(C_MessageVerifyFinal(s), CKR_OPERATION_NOT_INITIALIZED);
}

/* The gate stands before each of the new doors too. */
static void
a_closed_gate_refuses_messages_and_recovery(void **state)
{
	const CK_OBJECT_HANDLE rsa = p11_find(s, CKO_PRIVATE_KEY, "rsa2048");
	const CK_OBJECT_HANDLE aes = p11_find(s, CKO_SECRET_KEY, "aes256");
	(void)state;
	fake_agent()->need_code = VS_E_REFUSED_POLICY;
	assert_rv(C_MessageSignInit(s, MECH(CKM_SHA256_RSA_PKCS), rsa), CKR_FUNCTION_REJECTED);
	assert_rv(C_SignRecoverInit(s, MECH(CKM_RSA_PKCS), rsa), CKR_FUNCTION_REJECTED);
	assert_rv(C_MessageEncryptInit(s, MECH(CKM_AES_GCM), aes), CKR_FUNCTION_REJECTED);
	assert_rv(C_MessageDecryptInit(s, MECH(CKM_AES_GCM), aes), CKR_FUNCTION_REJECTED);
	assert_rv(
		C_SignMessage(s, NULL, 0, STR(text), 1, NULL, NULL), CKR_OPERATION_NOT_INITIALIZED);
	/* With the public key nothing is asked. */
	assert_rv_ok(C_MessageVerifyInit(
		s, MECH(CKM_SHA256_RSA_PKCS), p11_find(s, CKO_PUBLIC_KEY, "rsa2048")));
}

static void
a_revoked_key_ends_a_message_under_way(void **state)
{
	const CK_OBJECT_HANDLE rsa = p11_find(s, CKO_PRIVATE_KEY, "rsa2048");
	const CK_OBJECT_HANDLE aes = p11_find(s, CKO_SECRET_KEY, "aes256");
	uint8_t sig[256], iv[12] = {0}, tag[16];
	CK_GCM_MESSAGE_PARAMS p = {iv, 12, 0, CKG_NO_GENERATE, tag, 128};
	CK_ULONG n = sizeof sig;
	(void)state;
	assert_rv_ok(C_MessageSignInit(s, MECH(CKM_SHA256_RSA_PKCS), rsa));
	assert_rv_ok(C_SignMessageBegin(s, NULL, 0));
	assert_rv_ok(C_MessageEncryptInit(s, MECH(CKM_AES_GCM), aes));
	assert_rv_ok(C_EncryptMessageBegin(s, &p, sizeof p, NULL, 0));
	fake_revoke(VS_E_REVOKED);
	assert_rv(C_SignMessageNext(s, NULL, 0, STR(text), TEXT, sig, &n), CKR_DEVICE_REMOVED);
	assert_rv(C_SignMessageNext(s, NULL, 0, STR(text), TEXT, sig, &n),
		CKR_OPERATION_NOT_INITIALIZED);
	assert_rv(
		C_EncryptMessageNext(s, &p, sizeof p, STR(text), TEXT, sig, &n, CKF_END_OF_MESSAGE),
		CKR_DEVICE_REMOVED);
	assert_rv(C_MessageEncryptFinal(s), CKR_OPERATION_NOT_INITIALIZED);
}

/* ---- AES-GCM in parts ------------------------------------------------------------------------ */

/* What plain OpenSSL makes of text. */
static void
gcm(const uint8_t *iv, uint8_t *ct, uint8_t *tag)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	int n = 0;
	assert_int_equal(
		EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, p11_key("aes256")->secret.p, iv), 1);
	assert_int_equal(EVP_EncryptUpdate(c, NULL, &n, (const uint8_t *)"aad", 3), 1);
	assert_int_equal(EVP_EncryptUpdate(c, ct, &n, (const uint8_t *)text, TEXT), 1);
	assert_int_equal(EVP_EncryptFinal_ex(c, ct + n, &n), 1);
	assert_int_equal(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, 16, tag), 1);
	EVP_CIPHER_CTX_free(c);
}

static void
encrypting_in_parts_is_what_one_call_makes(void **state)
{
	const CK_OBJECT_HANDLE key = p11_find(s, CKO_SECRET_KEY, "aes256");
	uint8_t iv[12], tag[16], want[TEXT], want_tag[16], ct[TEXT];
	CK_GCM_MESSAGE_PARAMS p = {iv, 12, 32, CKG_GENERATE, NULL, 128};
	(void)state;
	assert_rv_ok(C_MessageEncryptInit(s, MECH(CKM_AES_GCM), key));
	for (CK_ULONG cut = 0; cut <= TEXT; cut += 17) {
		CK_ULONG n = 0;
		memset(iv, 4, sizeof iv);
		p.pTag = NULL; /* needed with the last part only */
		assert_rv_ok(C_EncryptMessageBegin(s, &p, sizeof p, STR("aad"), 3));
		assert_memory_equal(iv, "\4\4\4\4", 4);
		assert_memory_not_equal(iv + 4, "\4\4\4\4\4\4\4\4", 8);
		gcm(iv, want, want_tag);
		assert_rv_ok(C_EncryptMessageNext(s, &p, sizeof p, STR(text), TEXT, NULL, &n, 0));
		assert_int_equal(n, TEXT);
		n = cut;
		assert_rv_ok(C_EncryptMessageNext(s, &p, sizeof p, STR(text), cut, ct, &n, 0));
		assert_int_equal(n, cut);
		/* The end in place. */
		p.pTag = tag;
		memcpy(ct + cut, text + cut, TEXT - cut);
		n = TEXT - cut;
		if (n != 0) {
			n--;
			assert_rv(C_EncryptMessageNext(s, &p, sizeof p, ct + cut, TEXT - cut,
					  ct + cut, &n, CKF_END_OF_MESSAGE),
				CKR_BUFFER_TOO_SMALL);
		}
		assert_int_equal(n, TEXT - cut);
		assert_rv_ok(C_EncryptMessageNext(
			s, &p, sizeof p, ct + cut, TEXT - cut, ct + cut, &n, CKF_END_OF_MESSAGE));
		assert_memory_equal(ct, want, TEXT);
		assert_memory_equal(tag, want_tag, 16);
	}
	assert_rv_ok(C_MessageEncryptFinal(s));
}

static void
decrypting_in_parts_gives_all_text_with_the_last(void **state)
{
	const CK_OBJECT_HANDLE key = p11_find(s, CKO_SECRET_KEY, "aes256");
	uint8_t iv[12] = {9}, tag[16], ct[TEXT], out[TEXT + 8];
	CK_GCM_MESSAGE_PARAMS p = {iv, 12, 999, 77, tag, 128}; /* both ignored here */
	(void)state;
	gcm(iv, ct, tag);
	assert_rv_ok(C_MessageDecryptInit(s, MECH(CKM_AES_GCM), key));
	for (CK_ULONG cut = 0; cut <= TEXT; cut += 17) {
		CK_ULONG n = sizeof out;
		memset(out, 0xaa, sizeof out);
		assert_rv_ok(C_DecryptMessageBegin(s, &p, sizeof p, STR("aad"), 3));
		p.pTag = NULL;
		assert_rv_ok(C_DecryptMessageNext(s, &p, sizeof p, ct, cut, out, &n, 0));
		assert_int_equal(n, 0);
		p.pTag = tag;
		assert_rv_ok(C_DecryptMessageNext(
			s, &p, sizeof p, ct + cut, TEXT - cut, NULL, &n, CKF_END_OF_MESSAGE));
		assert_int_equal(n, TEXT);
		n = TEXT - 1;
		assert_rv(C_DecryptMessageNext(s, &p, sizeof p, ct + cut, TEXT - cut, out, &n,
				  CKF_END_OF_MESSAGE),
			CKR_BUFFER_TOO_SMALL);
		assert_int_equal(n, TEXT);
		assert_int_equal(out[0], 0xaa);
		assert_rv_ok(C_DecryptMessageNext(
			s, &p, sizeof p, ct + cut, TEXT - cut, out, &n, CKF_END_OF_MESSAGE));
		assert_int_equal(n, TEXT);
		assert_memory_equal(out, text, TEXT);
	}
	assert_rv_ok(C_MessageDecryptFinal(s));
}

/* A wrong octet anywhere, and not one octet of text comes out. */
static void
a_forged_message_in_parts_gives_nothing(void **state)
{
	const CK_OBJECT_HANDLE key = p11_find(s, CKO_SECRET_KEY, "aes256");
	uint8_t iv[12] = {9}, tag[16], ct[TEXT], out[TEXT];
	CK_GCM_MESSAGE_PARAMS p = {iv, 12, 0, CKG_NO_GENERATE, tag, 128};
	uint8_t *const spoil[] = {&ct[0], &ct[TEXT - 1], &tag[0], &tag[15], &iv[0], NULL};
	(void)state;
	gcm(iv, ct, tag);
	assert_rv_ok(C_MessageDecryptInit(s, MECH(CKM_AES_GCM), key));
	for (size_t i = 0; i < COUNT(spoil); i++) {
		CK_ULONG n = sizeof out;
		if (spoil[i] != NULL)
			*spoil[i] ^= 1;
		memset(out, 0xaa, sizeof out);
		/* The last round has other associated data. */
		assert_rv_ok(C_DecryptMessageBegin(
			s, &p, sizeof p, STR(spoil[i] != NULL ? "aad" : "aae"), 3));
		assert_rv_ok(C_DecryptMessageNext(s, &p, sizeof p, ct, CUT, out, &n, 0));
		n = sizeof out;
		assert_rv(C_DecryptMessageNext(s, &p, sizeof p, ct + CUT, TEXT - CUT, out, &n,
				  CKF_END_OF_MESSAGE),
			CKR_AEAD_DECRYPT_FAILED);
		for (size_t j = 0; j < sizeof out; j++)
			assert_int_equal(out[j], 0xaa);
		if (spoil[i] != NULL)
			*spoil[i] ^= 1;
		/* The message is over; the next is taken. */
		assert_rv(C_DecryptMessageNext(
				  s, &p, sizeof p, ct, TEXT, out, &n, CKF_END_OF_MESSAGE),
			CKR_OPERATION_NOT_INITIALIZED);
		n = sizeof out;
		assert_rv_ok(C_DecryptMessage(s, &p, sizeof p, STR("aad"), 3, ct, TEXT, out, &n));
	}
}

static void
parts_with_hostile_arguments_are_refused(void **state)
{
	const CK_OBJECT_HANDLE key = p11_find(s, CKO_SECRET_KEY, "aes256");
	uint8_t iv[12] = {0}, tag[16], out[TEXT];
	const CK_GCM_MESSAGE_PARAMS good = {iv, 12, 0, CKG_GENERATE, tag, 128};
	CK_GCM_MESSAGE_PARAMS p = good;
	const CK_GCM_MESSAGE_PARAMS bad[] = {
		{NULL, 12, 0, CKG_GENERATE, tag, 128},
		{iv, 0, 0, CKG_GENERATE, tag, 128},
		{iv, 129, 0, CKG_GENERATE, tag, 128},
		{iv, (CK_ULONG)-1, 0, CKG_GENERATE, tag, 128},
		{iv, 12, 97, CKG_GENERATE, tag, 128},
		{iv, 12, (CK_ULONG)-1, CKG_GENERATE, tag, 128},
		{iv, 12, 96, CKG_GENERATE, tag, 128},
		{iv, 12, 72, CKG_GENERATE_COUNTER, tag, 128},
		{iv, 11, 0, CKG_GENERATE, tag, 128},
		{iv, 12, 0, 4, tag, 128}, /* a counter put over the IV */
		{iv, 12, 0, 99, tag, 128},
		{iv, 12, 0, CKG_GENERATE, tag, 127},
		{iv, 12, 0, CKG_GENERATE, tag, 8},
		{iv, 12, 0, CKG_GENERATE, tag, 136},
		{iv, 12, 0, CKG_GENERATE, tag, (CK_ULONG)-8},
	};
	CK_ULONG n = sizeof out;
	(void)state;
	assert_rv(C_EncryptMessageBegin(s, &p, sizeof p, NULL, 0), CKR_OPERATION_NOT_INITIALIZED);
	assert_rv_ok(C_MessageEncryptInit(s, MECH(CKM_AES_GCM), key));
	assert_rv(C_EncryptMessageNext(s, &p, sizeof p, STR(text), 1, out, &n, 0),
		CKR_OPERATION_NOT_INITIALIZED);
	for (size_t i = 0; i < COUNT(bad); i++) {
		p = bad[i];
		assert_rv(C_EncryptMessageBegin(s, &p, sizeof p, NULL, 0),
			CKR_MECHANISM_PARAM_INVALID);
	}
	p = good;
	assert_rv(C_EncryptMessageBegin(s, NULL, sizeof p, NULL, 0), CKR_MECHANISM_PARAM_INVALID);
	assert_rv(C_EncryptMessageBegin(s, &p, 0, NULL, 0), CKR_MECHANISM_PARAM_INVALID);
	assert_rv(C_EncryptMessageBegin(s, &p, sizeof p, NULL, 1), CKR_ARGUMENTS_BAD);
	assert_rv(C_EncryptMessageBegin(s, &p, sizeof p, iv, (CK_ULONG)-1), CKR_ARGUMENTS_BAD);
	const struct {
		CK_VOID_PTR p, in, n;
		CK_ULONG p_n, in_n;
		CK_FLAGS flags;
		CK_RV rv;
	} calls[] = {
		{&p, iv, NULL, sizeof p, 1, 0, CKR_ARGUMENTS_BAD},
		{&p, NULL, &n, sizeof p, 1, 0, CKR_ARGUMENTS_BAD},
		{&p, iv, &n, sizeof p, (CK_ULONG)-1, 0, CKR_ARGUMENTS_BAD},
		{&p, iv, &n, sizeof p, 1, 2, CKR_ARGUMENTS_BAD},
		{&p, iv, &n, sizeof p - 1, 1, 0, CKR_MECHANISM_PARAM_INVALID},
		{NULL, iv, &n, sizeof p, 1, 0, CKR_MECHANISM_PARAM_INVALID},
	};
	for (size_t i = 0; i < COUNT(calls); i++) {
		n = sizeof out;
		assert_rv_ok(C_EncryptMessageBegin(s, &p, sizeof p, NULL, 0));
		assert_rv(C_EncryptMessageBegin(s, &p, sizeof p, NULL, 0), CKR_OPERATION_ACTIVE);
		assert_rv(C_EncryptMessage(s, &p, sizeof p, NULL, 0, iv, 1, out, &n),
			CKR_OPERATION_ACTIVE);
		assert_rv(C_MessageEncryptFinal(s), CKR_OPERATION_ACTIVE);
		assert_rv(C_EncryptMessageNext(s, calls[i].p, calls[i].p_n, calls[i].in,
				  calls[i].in_n, out, calls[i].n, calls[i].flags),
			calls[i].rv);
		assert_rv(C_EncryptMessageNext(s, &p, sizeof p, iv, 1, out, &n, 0),
			CKR_OPERATION_NOT_INITIALIZED);
	}
	/* The tag's length changes under way, or its place is missing at the end. */
	assert_rv_ok(C_EncryptMessageBegin(s, &p, sizeof p, NULL, 0));
	p.ulTagBits = 96;
	assert_rv(C_EncryptMessageNext(s, &p, sizeof p, iv, 1, out, &n, 0),
		CKR_MECHANISM_PARAM_INVALID);
	p = good;
	assert_rv_ok(C_EncryptMessageBegin(s, &p, sizeof p, NULL, 0));
	p.pTag = NULL;
	assert_rv(C_EncryptMessageNext(s, &p, sizeof p, iv, 1, out, &n, CKF_END_OF_MESSAGE),
		CKR_MECHANISM_PARAM_INVALID);
}

/* The counter starts at zero and goes on over the end of a process with the same key. */
static void
counted_ivs_do_not_come_again(void **state)
{
	const CK_OBJECT_HANDLE key = p11_find(s, CKO_SECRET_KEY, "aes256");
	uint8_t iv[12], tag[16], out[4];
	CK_GCM_MESSAGE_PARAMS p = {iv, 12, 64, CKG_GENERATE_COUNTER, tag, 128};
	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		CK_ULONG n = sizeof out;
		if (i % 2 == 0)
			assert_rv_ok(C_MessageEncryptInit(s, MECH(CKM_AES_GCM), key));
		memset(iv, 0xee, sizeof iv);
		if (i % 3 == 0) {
			assert_rv_ok(C_EncryptMessageBegin(s, &p, sizeof p, NULL, 0));
			assert_rv_ok(C_EncryptMessageNext(
				s, &p, sizeof p, STR("abcd"), 4, out, &n, CKF_END_OF_MESSAGE));
		} else {
			assert_rv_ok(C_EncryptMessage(
				s, &p, sizeof p, NULL, 0, STR("abcd"), 4, out, &n));
		}
		assert_memory_equal(iv, "\xee\xee\xee\xee\xee\xee\xee\xee", 8);
		const uint8_t want[4] = {0, 0, 0, (uint8_t)i};
		assert_memory_equal(iv + 8, want, 4);
		if (i % 2 == 1)
			assert_rv_ok(C_MessageEncryptFinal(s));
	}
}

static uint32_t
next_counted(CK_OBJECT_HANDLE key)
{
	uint8_t iv[12] = {0}, tag[16], out[4];
	CK_GCM_MESSAGE_PARAMS p = {iv, 12, 64, CKG_GENERATE_COUNTER, tag, 128};
	CK_ULONG n = sizeof out;
	assert_rv_ok(C_MessageEncryptInit(s, MECH(CKM_AES_GCM), key));
	assert_rv_ok(C_EncryptMessage(s, &p, sizeof p, NULL, 0, STR("abcd"), 4, out, &n));
	assert_rv_ok(C_MessageEncryptFinal(s));
	return (uint32_t)iv[10] << 8 | iv[11];
}

/* One IV twice under one key gives the key of the tag away. */
static void
no_counted_iv_comes_again_whatever_happens_to_the_key_meanwhile(void **state)
{
	const CK_OBJECT_HANDLE key = p11_find(s, CKO_SECRET_KEY, "aes256");
	const CK_ULONG bytes = 16;
	CK_ATTRIBUTE t[] = {ATTR(CKA_VALUE_LEN, bytes)};
	CK_OBJECT_HANDLE other = 0;
	uint32_t seen[5];
	(void)state;
	assert_rv_ok(C_GenerateKey(s, MECH(CKM_AES_KEY_GEN), t, COUNT(t), &other));
	seen[0] = next_counted(key);
	assert_int_equal(seen[0], 0);
	(void)next_counted(other);
	seen[1] = next_counted(key);
	fake_end_lease();
	seen[2] = next_counted(key);
	/* The lease ends while nobody works, and what was prepared is swept. */
	fake_end_lease();
	assert_rv_ok(C_FindObjectsInit(s, NULL, 0));
	assert_rv_ok(C_FindObjectsFinal(s));
	seen[3] = next_counted(key);
	/* The vault has a new list, in which this key still is. */
	struct fake_agent *a = fake_agent();
	const unsigned asked = a->n_catalog;
	a->generation = 99;
	for (int i = 0; i < 400 && a->n_catalog == asked; i++) {
		assert_rv_ok(C_FindObjectsInit(s, NULL, 0));
		assert_rv_ok(C_FindObjectsFinal(s));
		(void)nanosleep(&(const struct timespec){.tv_nsec = 10000000}, NULL);
	}
	assert_true(a->n_catalog > asked);
	seen[4] = next_counted(key);
	for (size_t i = 0; i < COUNT(seen); i++)
		for (size_t j = 0; j < i; j++)
			assert_int_not_equal(seen[i], seen[j]);
	/* Another session has messages of its own to count. */
	assert_rv_ok(C_CloseSession(s));
	s = p11_open();
	assert_int_equal(next_counted(key), 0);
}

/* ---- random order ---------------------------------------------------------------------------- */

enum phase { IDLE, BETWEEN, INSIDE };

static uint32_t
roll(uint32_t n)
{
	static uint32_t x = 2463534242u;
	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return x % n;
}

static uint8_t room[64], tag_room[16], iv_room[12];
static CK_OBJECT_HANDLE key_of[2];

/* One call of either family; bad makes one argument wrong. */
static CK_RV
call(unsigned family, unsigned what, bool bad, bool last, CK_ULONG *n)
{
	CK_GCM_MESSAGE_PARAMS p = {iv_room, 12, 0, CKG_GENERATE, tag_room, 128};
	const CK_ULONG p_n = bad ? 3 : sizeof p, no = bad ? 1 : 0;
	switch (what) {
	case 0:
		return family
			? C_MessageSignInit(s, MECH(bad ? CKM_SHA256 : CKM_ECDSA_SHA256), key_of[1])
			: C_MessageEncryptInit(s, MECH(bad ? CKM_AES_CBC : CKM_AES_GCM), key_of[0]);
	case 1:
		return family ? C_SignMessage(s, NULL, no, STR(text), 16, room, n)
			      : C_EncryptMessage(s, &p, p_n, NULL, 0, STR(text), 16, room, n);
	case 2:
		return family ? C_SignMessageBegin(s, NULL, no)
			      : C_EncryptMessageBegin(s, &p, p_n, NULL, 0);
	case 3:
		return family ? C_SignMessageNext(s, NULL, no, STR(text), 16, room, last ? n : NULL)
			      : C_EncryptMessageNext(s, &p, p_n, STR(text), 16, room, n,
					last ? CKF_END_OF_MESSAGE : 0);
	default: return family ? C_MessageSignFinal(s) : C_MessageEncryptFinal(s);
	}
}

/* What the standard has for it; *io becomes the next phase. */
static CK_RV
standard(enum phase *io, unsigned what, bool bad, bool last, bool small)
{
	const CK_RV wrong = what == 0 ? CKR_MECHANISM_INVALID : CKR_MECHANISM_PARAM_INVALID;
	if (what == 0) {
		if (*io != IDLE)
			return CKR_OPERATION_ACTIVE;
		*io = bad ? IDLE : BETWEEN;
		return bad ? wrong : CKR_OK;
	}
	if (*io == IDLE || (what == 3 && *io == BETWEEN))
		return CKR_OPERATION_NOT_INITIALIZED;
	if (what != 3 && *io == INSIDE)
		return CKR_OPERATION_ACTIVE;
	if (what == 4) {
		*io = IDLE;
		return CKR_OK;
	}
	if (bad) {
		*io = BETWEEN;
		return wrong;
	}
	if (small && what != 2)
		return CKR_BUFFER_TOO_SMALL;
	*io = what == 2 || (what == 3 && !last) ? INSIDE : BETWEEN;
	return CKR_OK;
}

static void
any_order_of_calls_gives_the_codes_of_the_standard(void **state)
{
	enum phase phase[2] = {IDLE, IDLE};
	unsigned good = 0;
	(void)state;
	key_of[0] = p11_find(s, CKO_SECRET_KEY, "aes256");
	key_of[1] = p11_find(s, CKO_PRIVATE_KEY, "ec256");
	for (unsigned i = 0; i < 6000; i++) {
		const unsigned family = roll(2), what = roll(5);
		const bool bad = roll(5) == 0, last = roll(2) == 0;
		const bool small = roll(6) == 0 && !(what == 3 && family && !last);
		/* A part that is signed has no output unless it is the last. */
		CK_ULONG n = small ? 15 : sizeof room;
		const enum phase before = phase[family];
		const CK_RV want = standard(&phase[family], what, bad, last, small);
		const CK_RV rv = call(family, what, bad, last, &n);
		if (rv != want)
			fail_msg("round %u: call %u of family %u in phase %d: 0x%lx, not 0x%lx", i,
				what, family, (int)before, rv, want);
		good += rv == CKR_OK;
	}
	assert_true(good > 1000);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, p11_teardown)
	const struct CMUnitTest tests[] = {
		T(one_init_signs_many_messages_as_others_verify),
		T(one_init_verifies_many_messages),
		T(message_signatures_out_of_order_are_refused),
		T(message_verification_with_bad_arguments_is_refused),
		T(a_closed_gate_refuses_messages_and_recovery),
		T(a_revoked_key_ends_a_message_under_way),
		T(encrypting_in_parts_is_what_one_call_makes),
		T(decrypting_in_parts_gives_all_text_with_the_last),
		T(a_forged_message_in_parts_gives_nothing),
		T(parts_with_hostile_arguments_are_refused),
		T(counted_ivs_do_not_come_again),
		T(no_counted_iv_comes_again_whatever_happens_to_the_key_meanwhile),
		T(any_order_of_calls_gives_the_codes_of_the_standard),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
