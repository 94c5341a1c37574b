/* SPDX-License-Identifier: BSD-2-Clause */
#include "module/p11.h"

#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

CK_BBOOL ck_true = CK_TRUE, ck_false = CK_FALSE;

int
p11_setup(void **state)
{
	(void)state;
	fake_reset();
	return C_Initialize(NULL) == CKR_OK ? 0 : -1;
}

int
p11_teardown(void **state)
{
	(void)state;
	(void)C_Finalize(NULL);
	return 0;
}

CK_SESSION_HANDLE
p11_open(void)
{
	CK_SESSION_HANDLE s = 0;
	assert_rv_ok(C_OpenSession(0, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &s));
	return s;
}

CK_OBJECT_HANDLE
p11_find(CK_SESSION_HANDLE s, CK_OBJECT_CLASS class, const char *label)
{
	CK_ATTRIBUTE t[] = {ATTR(CKA_CLASS, class), BYTES(CKA_LABEL, label, strlen(label))};
	CK_OBJECT_HANDLE h[2] = {0};
	CK_ULONG n = 0;
	assert_rv_ok(C_FindObjectsInit(s, t, COUNT(t)));
	assert_rv_ok(C_FindObjects(s, h, 2, &n));
	assert_rv_ok(C_FindObjectsFinal(s));
	assert_int_equal(n, 1);
	return h[0];
}

size_t
p11_count(CK_SESSION_HANDLE s, CK_ATTRIBUTE *t, CK_ULONG n)
{
	CK_OBJECT_HANDLE h[7];
	CK_ULONG got = 0;
	size_t sum = 0;
	assert_rv_ok(C_FindObjectsInit(s, t, n));
	do {
		assert_rv_ok(C_FindObjects(s, h, COUNT(h), &got));
		sum += got;
	} while (got != 0);
	assert_rv_ok(C_FindObjectsFinal(s));
	return sum;
}

const struct fake_key *
p11_key(const char *name)
{
	const struct fake_agent *a = fake_agent();
	for (size_t i = 0; i < a->n_keys; i++) {
		if (strcmp(a->keys[i].name, name) == 0)
			return &a->keys[i];
	}
	fail_msg("no key %s", name);
	return NULL;
}

bool
p11_verify(const struct fake_key *k, const char *digest, int pad, const void *msg, size_t n,
	const uint8_t *sig, size_t sig_n)
{
	const uint8_t *der = k->spki.p;
	uint8_t *ecsig = NULL;
	EVP_PKEY_CTX *pctx = NULL;
	EVP_PKEY *key = d2i_PUBKEY(NULL, &der, (long)k->spki.n);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	assert_non_null(key);
	assert_int_equal(
		EVP_DigestVerifyInit(ctx, &pctx, EVP_get_digestbyname(digest), NULL, key), 1);
	if (k->type == VS_KEY_RSA) {
		EVP_PKEY_CTX_set_rsa_padding(pctx, pad);
		if (pad == RSA_PKCS1_PSS_PADDING)
			EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST);
	} else {
		ECDSA_SIG *es = ECDSA_SIG_new();
		ECDSA_SIG_set0(es, BN_bin2bn(sig, (int)sig_n / 2, NULL),
			BN_bin2bn(sig + sig_n / 2, (int)sig_n / 2, NULL));
		sig_n = (size_t)i2d_ECDSA_SIG(es, &ecsig);
		ECDSA_SIG_free(es);
	}
	const int ok = EVP_DigestVerify(ctx, ecsig ? ecsig : sig, sig_n, msg, n);
	OPENSSL_free(ecsig);
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	return ok == 1;
}
