/* SPDX-License-Identifier: BSD-2-Clause */
/* RSA PKCS#1 v1.5: no code of C_Decrypt or C_UnwrapKey tells a wrong padding from a right one. */
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "module/p11.h"

enum { K = 256, KINDS = 7, EACH = 40 };
static CK_OBJECT_CLASS secret = CKO_SECRET_KEY;
static CK_KEY_TYPE type_aes = CKK_AES, type_generic = CKK_GENERIC_SECRET;

/* The block as it is, through the public key. */
static void
seal_block(const uint8_t em[K], uint8_t ct[K])
{
	const struct fake_key *k = p11_key("rsa2048");
	const uint8_t *der = k->spki.p;
	size_t n = K;
	EVP_PKEY *key = d2i_PUBKEY(NULL, &der, (long)k->spki.n);
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key, NULL);
	assert_int_equal(EVP_PKEY_encrypt_init(c), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(c, RSA_NO_PADDING), 1);
	assert_int_equal(EVP_PKEY_encrypt(c, ct, &n, em, K), 1);
	EVP_PKEY_CTX_free(c);
	EVP_PKEY_free(key);
}

/* A right block around a message of text_n octets; then what is wrong in it, 0 for nothing. */
static void
make(unsigned kind, size_t text_n, unsigned seed, uint8_t ct[K])
{
	uint8_t em[K];
	for (size_t i = 0; i < K; i++)
		em[i] = (uint8_t)(1 + (i * 7 + seed * 31) % 255);
	em[0] = 0;
	em[1] = 2;
	em[K - text_n - 1] = 0;
	switch (kind) {
	case 0: break;
	case 1: em[0] = 1; break;
	case 2: em[1] = 1; break;
	case 3: em[1] = 0; break;
	case 4: em[2 + seed % 8] = 0; break; /* padding of less than eight */
	case 5: em[K - text_n - 1] = 9; break; /* nothing ends it */
	case 6: em[0] = 1, em[1] = 7; break;
	default: fail();
	}
	seal_block(em, ct);
}

static void
decrypt_gives_a_message_for_every_block(void **state)
{
	const CK_SESSION_HANDLE s = p11_open();
	const CK_OBJECT_HANDLE key = p11_find(s, CKO_PRIVATE_KEY, "rsa2048");
	uint8_t ct[K], out[K];
	(void)state;
	for (unsigned kind = 0; kind < KINDS; kind++) {
		for (unsigned i = 0; i < EACH; i++) {
			CK_ULONG n = 0;
			make(kind, 32, i, ct);
			assert_rv_ok(C_DecryptInit(s, MECH(CKM_RSA_PKCS), key));
			assert_rv_ok(C_Decrypt(s, ct, K, NULL, &n));
			assert_int_equal(n, K - 11); /* the size is no news, either */
			n = sizeof out;
			assert_rv_ok(C_Decrypt(s, ct, K, out, &n));
			assert_true(kind != 0 || n == 32);
			assert_rv(C_Decrypt(s, ct, K, out, &n), CKR_OPERATION_NOT_INITIALIZED);
		}
	}
}

static CK_RV
unwrap(CK_SESSION_HANDLE s, uint8_t ct[K], CK_KEY_TYPE *type, CK_ULONG len)
{
	const CK_OBJECT_HANDLE key = p11_find(s, CKO_PRIVATE_KEY, "rsa2048");
	CK_OBJECT_HANDLE h = 0;
	CK_ATTRIBUTE t[] = {ATTR(CKA_CLASS, secret), {CKA_KEY_TYPE, type, sizeof *type},
		ATTR(CKA_VALUE_LEN, len)};
	const CK_RV rv = C_UnwrapKey(s, MECH(CKM_RSA_PKCS), key, ct, K, t, len == 0 ? 2 : 3, &h);
	if (rv == CKR_OK)
		assert_rv_ok(C_DestroyObject(s, h));
	return rv;
}

/* With a length in the template there is always a key of that length. */
static void
unwrap_with_a_length_gives_a_key_for_every_block(void **state)
{
	const CK_SESSION_HANDLE s = p11_open();
	uint8_t ct[K];
	(void)state;
	for (unsigned kind = 0; kind < KINDS; kind++) {
		for (unsigned i = 0; i < EACH; i++) {
			make(kind, i % 2 ? 32 : 5 + i, i, ct);
			assert_rv_ok(unwrap(s, ct, &type_aes, 32));
			assert_rv_ok(unwrap(s, ct, &type_generic, 48));
		}
	}
}

/*
 * Without one the message's length decides, and a wrong padding gives messages of all lengths: so
 * no code is new, and keys come of both.
 */
static void
unwrap_without_a_length_gives_the_codes_of_right_blocks(void **state)
{
	const CK_SESSION_HANDLE s = p11_open();
	uint8_t ct[K];
	unsigned keys = 0;
	make(0, 32, 1, ct);
	(void)state;
	assert_rv_ok(unwrap(s, ct, &type_aes, 0));
	make(0, 33, 1, ct);
	const CK_RV other_length = unwrap(s, ct, &type_aes, 0);
	assert_int_not_equal(other_length, CKR_OK);
	for (unsigned kind = 1; kind < KINDS; kind++) {
		for (unsigned i = 0; i < EACH; i++) {
			make(kind, 32, i, ct);
			const CK_RV rv = unwrap(s, ct, &type_aes, 0);
			assert_true(rv == CKR_OK || rv == other_length);
			keys += unwrap(s, ct, &type_generic, 0) == CKR_OK;
		}
	}
	assert_true(keys > (KINDS - 1) * EACH * 9 / 10);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, p11_setup, p11_teardown)
	const struct CMUnitTest tests[] = {
		T(decrypt_gives_a_message_for_every_block),
		T(unwrap_with_a_length_gives_a_key_for_every_block),
		T(unwrap_without_a_length_gives_the_codes_of_right_blocks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
