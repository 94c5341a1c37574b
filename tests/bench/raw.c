/* SPDX-License-Identifier: BSD-2-Clause */
/* The other side of every comparison: libcrypto's EVP functions alone. */
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

#include "bench/bench.h"

static EVP_PKEY *rsa, *ec;
static EVP_MD *sha256;
static EVP_CIPHER *gcm, *cbc;
static EVP_MAC *hmac;
static uint8_t oaep_ct[256];
static size_t oaep_n = sizeof oaep_ct;

struct work {
	uint8_t in[BENCH_ROOM], out[BENCH_ROOM]; /* first, as in bench_module.c */
	EVP_PKEY_CTX *pctx;
	EVP_MD_CTX *md;
	EVP_CIPHER_CTX *cipher;
	EVP_MAC_CTX *mac;
	uint8_t tag[16], key[32], iv[16];
};

static struct work *
new_work(void)
{
	return bench_alloc(sizeof(struct work));
}

static void
drop(void *work)
{
	struct work *w = work;
	EVP_PKEY_CTX_free(w->pctx);
	EVP_MD_CTX_free(w->md);
	EVP_CIPHER_CTX_free(w->cipher);
	EVP_MAC_CTX_free(w->mac);
	free(w);
}

void
bench_raw_init(void)
{
	struct work *w = new_work();

	rsa = EVP_RSA_gen(2048);
	ec = EVP_EC_gen("P-256");
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	cbc = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
	hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	BENCH_REQUIRE(rsa && ec && sha256 && gcm && cbc && hmac);
	w->pctx = EVP_PKEY_CTX_new(rsa, NULL);
	BENCH_REQUIRE(EVP_PKEY_encrypt_init(w->pctx) == 1);
	BENCH_REQUIRE(EVP_PKEY_CTX_set_rsa_padding(w->pctx, RSA_PKCS1_OAEP_PADDING) == 1);
	BENCH_REQUIRE(EVP_PKEY_CTX_set_rsa_oaep_md(w->pctx, sha256) == 1);
	BENCH_REQUIRE(EVP_PKEY_encrypt(w->pctx, oaep_ct, &oaep_n, w->in, 32) == 1);
	drop(w);
}

/* ---- public keys ------------------------------------------------------------------------- */

static void *
make_sign(EVP_PKEY *key, int padding)
{
	struct work *w = new_work();

	w->pctx = EVP_PKEY_CTX_new(key, NULL);
	w->md = EVP_MD_CTX_new();
	BENCH_REQUIRE(w->pctx && w->md && EVP_PKEY_sign_init(w->pctx) == 1);
	BENCH_REQUIRE(EVP_DigestInit_ex2(w->md, sha256, NULL) == 1);
	BENCH_REQUIRE(padding == 0 || EVP_PKEY_CTX_set_rsa_padding(w->pctx, padding) == 1);
	BENCH_REQUIRE(EVP_PKEY_CTX_set_signature_md(w->pctx, sha256) == 1);
	if (padding == RSA_PKCS1_PSS_PADDING)
		BENCH_REQUIRE(EVP_PKEY_CTX_set_rsa_pss_saltlen(w->pctx, 32) == 1);
	return w;
}

static void *
make_pkcs1(void)
{
	return make_sign(rsa, RSA_PKCS1_PADDING);
}

static void *
make_pss(void)
{
	return make_sign(rsa, RSA_PKCS1_PSS_PADDING);
}

static void *
make_ecdsa(void)
{
	return make_sign(ec, 0);
}

/* Hash 32 octets, sign. */
static void
run_sign(void *work, unsigned n)
{
	struct work *w = work;
	uint8_t digest[32];

	while (n-- != 0) {
		size_t sig_n = sizeof w->out;
		BENCH_REQUIRE(EVP_DigestInit_ex2(w->md, NULL, NULL) == 1);
		BENCH_REQUIRE(EVP_DigestUpdate(w->md, w->in, BENCH_TINY) == 1);
		BENCH_REQUIRE(EVP_DigestFinal_ex(w->md, digest, NULL) == 1);
		BENCH_REQUIRE(EVP_PKEY_sign(w->pctx, w->out, &sig_n, digest, sizeof digest) == 1);
	}
}

static void *
make_oaep(void)
{
	struct work *w = new_work();

	w->pctx = EVP_PKEY_CTX_new(rsa, NULL);
	BENCH_REQUIRE(w->pctx && EVP_PKEY_decrypt_init(w->pctx) == 1);
	BENCH_REQUIRE(EVP_PKEY_CTX_set_rsa_padding(w->pctx, RSA_PKCS1_OAEP_PADDING) == 1);
	BENCH_REQUIRE(EVP_PKEY_CTX_set_rsa_oaep_md(w->pctx, sha256) == 1);
	return w;
}

static void
run_oaep(void *work, unsigned n)
{
	struct work *w = work;

	while (n-- != 0) {
		size_t out_n = sizeof w->out;
		BENCH_REQUIRE(EVP_PKEY_decrypt(w->pctx, w->out, &out_n, oaep_ct, oaep_n) == 1 &&
			out_n == 32);
	}
}

/* ---- ciphers ----------------------------------------------------------------------------- */

static void *
make_cipher(const EVP_CIPHER *c, int encrypt)
{
	struct work *w = new_work();
	w->cipher = EVP_CIPHER_CTX_new();
	BENCH_REQUIRE(
		w->cipher && EVP_CipherInit_ex2(w->cipher, c, w->key, w->iv, encrypt, NULL) == 1);
	return w;
}

static void *
make_seal(void)
{
	return make_cipher(gcm, 1);
}

static void
seal(struct work *w, int size)
{
	int n = 0;
	BENCH_REQUIRE(EVP_EncryptInit_ex2(w->cipher, NULL, NULL, w->iv, NULL) == 1);
	BENCH_REQUIRE(EVP_EncryptUpdate(w->cipher, w->out, &n, w->in, size) == 1);
	BENCH_REQUIRE(EVP_EncryptFinal_ex(w->cipher, w->out + n, &n) == 1);
	BENCH_REQUIRE(EVP_CIPHER_CTX_ctrl(w->cipher, EVP_CTRL_AEAD_GET_TAG, 16, w->tag) == 1);
}

static void
run_seal_big(void *work, unsigned n)
{
	while (n-- != 0)
		seal(work, BENCH_BIG);
}

static void
run_seal_small(void *work, unsigned n)
{
	while (n-- != 0)
		seal(work, BENCH_SMALL);
}

static void *
make_open(void)
{
	struct work *sealing = make_seal(), *w = make_cipher(gcm, 0);
	seal(sealing, BENCH_BIG);
	memcpy(w->in, sealing->out, BENCH_BIG);
	memcpy(w->tag, sealing->tag, 16);
	drop(sealing);
	return w;
}

static void
run_open(void *work, unsigned n)
{
	struct work *w = work;
	int got = 0;

	while (n-- != 0) {
		BENCH_REQUIRE(EVP_DecryptInit_ex2(w->cipher, NULL, NULL, w->iv, NULL) == 1);
		BENCH_REQUIRE(EVP_DecryptUpdate(w->cipher, w->out, &got, w->in, BENCH_BIG) == 1);
		BENCH_REQUIRE(
			EVP_CIPHER_CTX_ctrl(w->cipher, EVP_CTRL_AEAD_SET_TAG, 16, w->tag) == 1);
		BENCH_REQUIRE(EVP_DecryptFinal_ex(w->cipher, w->out + got, &got) == 1);
	}
}

static void *
make_cbc(void)
{
	return make_cipher(cbc, 1);
}

static void
run_cbc(void *work, unsigned n)
{
	struct work *w = work;
	int got = 0;

	while (n-- != 0) {
		BENCH_REQUIRE(EVP_EncryptInit_ex2(w->cipher, NULL, NULL, w->iv, NULL) == 1);
		BENCH_REQUIRE(
			EVP_EncryptUpdate(w->cipher, w->out, &got, w->in, BENCH_BIG - 16) == 1);
		BENCH_REQUIRE(EVP_EncryptFinal_ex(w->cipher, w->out + got, &got) == 1);
	}
}

/* ---- the rest ---------------------------------------------------------------------------- */

static void *
make_digest(void)
{
	struct work *w = new_work();
	w->md = EVP_MD_CTX_new();
	BENCH_REQUIRE(w->md && EVP_DigestInit_ex2(w->md, sha256, NULL) == 1);
	return w;
}

static void
run_digest(void *work, unsigned n)
{
	struct work *w = work;

	while (n-- != 0) {
		BENCH_REQUIRE(EVP_DigestInit_ex2(w->md, NULL, NULL) == 1);
		BENCH_REQUIRE(EVP_DigestUpdate(w->md, w->in, BENCH_SMALL) == 1);
		BENCH_REQUIRE(EVP_DigestFinal_ex(w->md, w->out, NULL) == 1);
	}
}

static void *
make_mac(void)
{
	struct work *w = new_work();
	char name[] = "SHA256";
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0), OSSL_PARAM_END};
	w->mac = EVP_MAC_CTX_new(hmac);
	BENCH_REQUIRE(w->mac && EVP_MAC_init(w->mac, w->key, sizeof w->key, params) == 1);
	return w;
}

static void
run_mac(void *work, unsigned n)
{
	struct work *w = work;
	size_t got = 0;

	while (n-- != 0) {
		BENCH_REQUIRE(EVP_MAC_init(w->mac, NULL, 0, NULL) == 1);
		BENCH_REQUIRE(EVP_MAC_update(w->mac, w->in, BENCH_SMALL) == 1);
		BENCH_REQUIRE(EVP_MAC_final(w->mac, w->out, &got, sizeof w->out) == 1);
	}
}

static void *
make_nothing(void)
{
	return new_work();
}

static void
run_random(void *work, unsigned n)
{
	struct work *w = work;
	while (n-- != 0)
		BENCH_REQUIRE(RAND_bytes(w->out, BENCH_TINY) == 1);
}

const struct bench_op raw_rsa_pkcs1 = {make_pkcs1, run_sign, drop};
const struct bench_op raw_rsa_pss = {make_pss, run_sign, drop};
const struct bench_op raw_ecdsa = {make_ecdsa, run_sign, drop};
const struct bench_op raw_oaep = {make_oaep, run_oaep, drop};
const struct bench_op raw_gcm_16k = {make_seal, run_seal_big, drop};
const struct bench_op raw_gcm_64 = {make_seal, run_seal_small, drop};
const struct bench_op raw_gcm_16k_open = {make_open, run_open, drop};
const struct bench_op raw_cbc_16k = {make_cbc, run_cbc, drop};
const struct bench_op raw_sha256 = {make_digest, run_digest, drop};
const struct bench_op raw_hmac = {make_mac, run_mac, drop};
const struct bench_op raw_random = {make_nothing, run_random, drop};
