/* SPDX-License-Identifier: BSD-2-Clause */
/* Two operations fed in one call: they give what each gives alone, and end or stay together. */
#include "module/p11.h"

static CK_BYTE iv[16] = {7};
static CK_MECHANISM cbc = {CKM_AES_CBC_PAD, iv, sizeof iv}, sha = {CKM_SHA256, NULL, 0},
		    ecdsa = {CKM_ECDSA_SHA256, NULL, 0};
static CK_SESSION_HANDLE s;
static CK_OBJECT_HANDLE aes;

static int
set_up(void **state)
{
	if (p11_setup(state) != 0)
		return -1;
	s = p11_open();
	aes = p11_find(s, CKO_SECRET_KEY, "aes256");
	return 0;
}

enum { TEXT = 50, PART = 30 };

static void
fill(CK_BYTE *text)
{
	for (int i = 0; i < TEXT; i++)
		text[i] = (CK_BYTE)(i * 7);
}

/* All at once, one after the other. */
static CK_ULONG
expected(CK_BYTE *text, CK_BYTE *ct, CK_BYTE *digest)
{
	CK_ULONG n = 96, digest_n = 32;
	fill(text);
	assert_rv_ok(C_EncryptInit(s, &cbc, aes));
	assert_rv_ok(C_Encrypt(s, text, TEXT, ct, &n));
	assert_rv_ok(C_DigestInit(s, &sha));
	assert_rv_ok(C_Digest(s, text, TEXT, digest, &digest_n));
	assert_int_equal(digest_n, 32);
	return n;
}

static void
digesting_and_ciphering_in_one_call_is_both(void **state)
{
	CK_BYTE text[TEXT], want[96], digest[32], got[96], got_digest[32], back[96];
	const CK_ULONG want_n = expected(text, want, digest);
	CK_ULONG n = 0, all = 0, digest_n = sizeof got_digest;
	(void)state;
	assert_rv_ok(C_EncryptInit(s, &cbc, aes));
	assert_rv_ok(C_DigestInit(s, &sha));
	/* A query and a buffer that is too small change nothing. */
	assert_rv_ok(C_DigestEncryptUpdate(s, text, PART, NULL, &n));
	assert_int_equal(n, 16);
	n = 15;
	assert_rv(C_DigestEncryptUpdate(s, text, PART, got, &n), CKR_BUFFER_TOO_SMALL);
	assert_int_equal(n, 16);
	/* In place, where the digest must come first. */
	memcpy(got, text, PART);
	n = sizeof got;
	assert_rv_ok(C_DigestEncryptUpdate(s, got, PART, got, &n));
	all = n;
	n = sizeof got - all;
	assert_rv_ok(C_DigestEncryptUpdate(s, text + PART, TEXT - PART, got + all, &n));
	all += n;
	n = sizeof got - all;
	assert_rv_ok(C_EncryptFinal(s, got + all, &n));
	all += n;
	assert_rv_ok(C_DigestFinal(s, got_digest, &digest_n));
	assert_int_equal(all, want_n);
	assert_memory_equal(got, want, want_n);
	assert_memory_equal(got_digest, digest, sizeof digest);
	/* And back; the last piece is the application's to feed on. */
	assert_rv_ok(C_DecryptInit(s, &cbc, aes));
	assert_rv_ok(C_DigestInit(s, &sha));
	n = sizeof back;
	assert_rv_ok(C_DecryptDigestUpdate(s, got, want_n, back, &n));
	all = n;
	n = sizeof back - all;
	assert_rv_ok(C_DecryptFinal(s, back + all, &n));
	assert_rv_ok(C_DigestUpdate(s, back + all, n));
	digest_n = sizeof got_digest;
	assert_rv_ok(C_DigestFinal(s, got_digest, &digest_n));
	assert_int_equal(all + n, TEXT);
	assert_memory_equal(back, text, TEXT);
	assert_memory_equal(got_digest, digest, sizeof digest);
}

static void
signing_and_ciphering_in_one_call_is_both(void **state)
{
	CK_BYTE text[TEXT], want[96], digest[32], got[96], sig[64], back[96];
	const CK_ULONG want_n = expected(text, want, digest);
	CK_ULONG n = sizeof got, all = 0, sig_n = sizeof sig;
	(void)state;
	for (int forged = 0; forged < 2; forged++) {
		assert_rv_ok(C_EncryptInit(s, &cbc, aes));
		assert_rv_ok(C_SignInit(s, &ecdsa, p11_find(s, CKO_PRIVATE_KEY, "ec256")));
		n = sizeof got;
		assert_rv_ok(C_SignEncryptUpdate(s, text, TEXT, got, &n));
		all = n;
		n = sizeof got - all;
		assert_rv_ok(C_EncryptFinal(s, got + all, &n));
		assert_rv_ok(C_SignFinal(s, sig, &sig_n));
		assert_int_equal(all + n, want_n);
		assert_memory_equal(got, want, want_n);
		got[0] ^= (CK_BYTE)forged;
		assert_rv_ok(C_DecryptInit(s, &cbc, aes));
		assert_rv_ok(C_VerifyInit(s, &ecdsa, p11_find(s, CKO_PUBLIC_KEY, "ec256")));
		n = sizeof back;
		assert_rv_ok(C_DecryptVerifyUpdate(s, got, want_n, back, &n));
		all = n;
		n = sizeof back - all;
		assert_rv_ok(C_DecryptFinal(s, back + all, &n));
		assert_rv_ok(C_VerifyUpdate(s, back + all, n));
		assert_rv(C_VerifyFinal(s, sig, sig_n), forged ? CKR_SIGNATURE_INVALID : CKR_OK);
	}
}

static void
one_operation_alone_is_not_enough(void **state)
{
	CK_BYTE text[TEXT] = {0}, out[96];
	CK_ULONG n = sizeof out;
	(void)state;
	assert_rv(C_DigestEncryptUpdate(s, text, TEXT, out, &n), CKR_OPERATION_NOT_INITIALIZED);
	assert_rv_ok(C_EncryptInit(s, &cbc, aes));
	assert_rv(C_DigestEncryptUpdate(s, text, TEXT, out, &n), CKR_OPERATION_NOT_INITIALIZED);
	assert_rv(C_SignEncryptUpdate(s, text, TEXT, out, &n), CKR_OPERATION_NOT_INITIALIZED);
	/* The one that is there goes on. */
	assert_rv_ok(C_Encrypt(s, text, TEXT, out, &n));
	assert_rv_ok(C_DigestInit(s, &sha));
	n = sizeof out;
	assert_rv(C_DecryptDigestUpdate(s, text, TEXT, out, &n), CKR_OPERATION_NOT_INITIALIZED);
	assert_rv(C_DecryptVerifyUpdate(s, text, TEXT, out, &n), CKR_OPERATION_NOT_INITIALIZED);
}

static void
an_error_ends_both(void **state)
{
	CK_BYTE text[TEXT] = {0}, out[96];
	CK_ULONG n = sizeof out;
	(void)state;
	assert_rv_ok(C_EncryptInit(s, &cbc, aes));
	assert_rv_ok(C_DigestInit(s, &sha));
	assert_rv(C_DigestEncryptUpdate(s, text, TEXT, out, NULL), CKR_ARGUMENTS_BAD);
	assert_rv(C_EncryptFinal(s, out, &n), CKR_OPERATION_NOT_INITIALIZED);
	assert_rv(C_DigestFinal(s, out, &n), CKR_OPERATION_NOT_INITIALIZED);
	/* A lease that is over stops both, too. */
	assert_rv_ok(C_EncryptInit(s, &cbc, aes));
	assert_rv_ok(C_DigestInit(s, &sha));
	fake_revoke(VS_E_REVOKED);
	assert_rv(C_DigestEncryptUpdate(s, text, TEXT, out, &n), CKR_DEVICE_REMOVED);
	assert_rv(C_DigestFinal(s, out, &n), CKR_OPERATION_NOT_INITIALIZED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			digesting_and_ciphering_in_one_call_is_both, set_up, p11_teardown),
		cmocka_unit_test_setup_teardown(
			signing_and_ciphering_in_one_call_is_both, set_up, p11_teardown),
		cmocka_unit_test_setup_teardown(
			one_operation_alone_is_not_enough, set_up, p11_teardown),
		cmocka_unit_test_setup_teardown(an_error_ends_both, set_up, p11_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
