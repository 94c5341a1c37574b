/* SPDX-License-Identifier: BSD-2-Clause */
/* What the module should have computed, by plain OpenSSL. */
#include "fuzz/calls.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

static void
must(bool is)
{
	if (!is)
		abort();
}

static const EVP_CIPHER *
gcm_of(size_t n)
{
	return n == 16 ? EVP_aes_128_gcm() : n == 24 ? EVP_aes_192_gcm() : EVP_aes_256_gcm();
}

static void
gcm_pass(const struct calls_op *op, const uint8_t *aad, bool encrypt, const uint8_t *in,
	uint8_t *out, uint8_t tag[16])
{
	int n = 0;
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	must(EVP_CipherInit_ex(c, gcm_of(op->key.n), NULL, NULL, NULL, encrypt) == 1 &&
		EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_IVLEN, (int)op->iv_n, NULL) == 1 &&
		EVP_CipherInit_ex(c, NULL, NULL, op->key.value, op->iv, encrypt) == 1 &&
		(op->aad_n == 0 || EVP_CipherUpdate(c, NULL, &n, aad, (int)op->aad_n) == 1) &&
		EVP_CipherUpdate(c, out, &n, in, (int)op->in_n) == 1);
	if (encrypt)
		must(EVP_CipherFinal_ex(c, out + n, &n) == 1 &&
			EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, 16, tag) == 1);
	EVP_CIPHER_CTX_free(c);
}

void
calls_gcm(
	const struct calls_op *op, const uint8_t *aad, bool encrypt, uint8_t *out, uint8_t tag[16])
{
	uint8_t again[CALLS_TEXT_MAX + 64];
	gcm_pass(op, aad, encrypt, op->in, out, tag);
	/* The tag of whatever ciphertext this is: of what it would decipher to. */
	if (!encrypt)
		gcm_pass(op, aad, true, out, again, tag);
}

static EVP_CIPHER_CTX *
kwp(const struct calls_key *with, bool wrap)
{
	const EVP_CIPHER *how = with->n == 16 ? EVP_aes_128_wrap_pad()
		: with->n == 24               ? EVP_aes_192_wrap_pad()
					      : EVP_aes_256_wrap_pad();
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	EVP_CIPHER_CTX_set_flags(c, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
	must(EVP_CipherInit_ex(c, how, NULL, with->value, NULL, wrap) == 1);
	return c;
}

size_t
calls_wrap(const struct calls_key *with, const uint8_t *in, size_t n, uint8_t *out)
{
	int out_n = 0;
	EVP_CIPHER_CTX *c = kwp(with, true);
	must(EVP_CipherUpdate(c, out, &out_n, in, (int)n) == 1);
	EVP_CIPHER_CTX_free(c);
	return (size_t)out_n;
}

bool
calls_unwrap(const struct calls_key *with, const uint8_t *in, size_t n, uint8_t *out, size_t *out_n)
{
	int got = 0;
	EVP_CIPHER_CTX *c = kwp(with, false);
	const bool good = EVP_CipherUpdate(c, out, &got, in, (int)n) == 1;
	EVP_CIPHER_CTX_free(c);
	*out_n = good ? (size_t)got : 0;
	return good;
}

void
calls_expand(
	const struct calls_key *base, const uint8_t *info, size_t info_n, size_t n, uint8_t *out)
{
	uint8_t in[64], block[32];
	memcpy(in, info, info_n);
	in[info_n] = 1;
	must(n <= sizeof block &&
		HMAC(EVP_sha256(), base->value, (int)base->n, in, info_n + 1, block, NULL) != NULL);
	memcpy(out, block, n);
}

static EVP_PKEY *rsa;

void
calls_rsa_load(const struct fake_agent *agent)
{
	const uint8_t *p = agent->keys[0].secret.p;
	if (rsa == NULL)
		rsa = d2i_AutoPrivateKey(NULL, &p, (long)agent->keys[0].secret.n);
	must(rsa != NULL && EVP_PKEY_get_size(rsa) == CALLS_RSA_BYTES);
}

void
calls_rsa_sign(const uint8_t *in, size_t n, uint8_t out[CALLS_RSA_BYTES])
{
	size_t out_n = CALLS_RSA_BYTES;
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(rsa, NULL);
	must(c != NULL && EVP_PKEY_sign_init(c) == 1 &&
		EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PADDING) == 1 &&
		EVP_PKEY_sign(c, out, &out_n, in, n) == 1 && out_n == CALLS_RSA_BYTES);
	EVP_PKEY_CTX_free(c);
}
