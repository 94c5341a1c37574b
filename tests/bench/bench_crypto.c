/* SPDX-License-Identifier: BSD-2-Clause */
/* The cryptography layer against plain EVP. Usage: bench_crypto [--strict] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "crypto/cipher.h"
#include "crypto/ossl.h"
#include "crypto/rsa_crypt.h"
#include "crypto/sign.h"

static struct vs_ossl *o;
static struct vs_arena *arena;
static struct vs_pkey *rsa, *ec, *aes, *secret;

struct work {
	struct vs_signer *signer;
	struct vs_rsa *rsa;
	struct vs_cipher *cipher;
	struct vs_digest *digest;
	size_t in_n;
	uint8_t in[BENCH_BIG + 16], out[BENCH_BIG + 16];
};

static const uint8_t iv[16];

static void
must(vs_rc rc)
{
	if (vs_failed(rc))
		bench_die("an operation failed: %s", vs_code_name(rc.code));
}

static struct work *
new_work(void)
{
	struct work *w = calloc(1, sizeof *w);
	BENCH_REQUIRE(w != NULL);
	return w;
}

static void
drop(void *work)
{
	struct work *w = work;
	vs_signer_free(w->signer);
	vs_rsa_free(w->rsa);
	vs_cipher_free(w->cipher);
	vs_digest_free(w->digest);
	free(w);
}

static void *
make_signer(struct vs_pkey *key, struct vs_sign_params p, size_t in_n)
{
	struct work *w = new_work();
	must(vs_signer_new(key, &p, false, &w->signer, NULL));
	w->in_n = in_n;
	return w;
}

static void *
make_pkcs1(void)
{
	return make_signer(rsa,
		(struct vs_sign_params){.scheme = VS_SIGN_RSA_PKCS1, .hash = VS_HASH_SHA256},
		BENCH_TINY);
}

static void *
make_pss(void)
{
	return make_signer(rsa,
		(struct vs_sign_params){.scheme = VS_SIGN_RSA_PSS,
			.hash = VS_HASH_SHA256,
			.pss_hash = VS_HASH_SHA256,
			.mgf_hash = VS_HASH_SHA256,
			.salt_bytes = 32},
		BENCH_TINY);
}

static void *
make_ecdsa(void)
{
	return make_signer(ec,
		(struct vs_sign_params){.scheme = VS_SIGN_ECDSA, .hash = VS_HASH_SHA256},
		BENCH_TINY);
}

static void *
make_hmac(void)
{
	return make_signer(secret,
		(struct vs_sign_params){.scheme = VS_SIGN_HMAC, .hash = VS_HASH_SHA256},
		BENCH_SMALL);
}

static void
run_sign(void *work, unsigned n)
{
	struct work *w = work;
	size_t got = 0;
	while (n-- != 0)
		must(vs_signer_sign_once(
			w->signer, vs_bytes_of(w->in, w->in_n), w->out, sizeof w->out, &got, NULL));
}

static const struct vs_rsa_params oaep = {
	.scheme = VS_RSA_OAEP, .hash = VS_HASH_SHA256, .mgf_hash = VS_HASH_SHA256};
static const struct vs_rsa_params pkcs1 = {.scheme = VS_RSA_PKCS1};

static void *
make_decrypter(const struct vs_rsa_params *p)
{
	struct work *w = new_work();
	struct vs_rsa *enc = NULL;
	must(vs_rsa_new(rsa, p, true, &enc, NULL));
	must(vs_rsa_encrypt(enc, vs_bytes_of(w->out, 32), w->in, sizeof w->in, &w->in_n, NULL));
	vs_rsa_free(enc);
	must(vs_rsa_new(rsa, p, false, &w->rsa, NULL));
	return w;
}

static void *
make_oaep(void)
{
	return make_decrypter(&oaep);
}

static void *
make_pkcs1_decrypt(void)
{
	return make_decrypter(&pkcs1);
}

static void
run_decrypt(void *work, unsigned n)
{
	struct work *w = work;
	size_t got = 0;
	while (n-- != 0)
		must(vs_rsa_decrypt(
			w->rsa, vs_bytes_of(w->in, w->in_n), w->out, sizeof w->out, &got, NULL));
}

static void *
make_cipher(enum vs_cipher_mode mode, bool encrypt, size_t in_n)
{
	struct work *w = new_work();
	must(vs_cipher_new(aes, mode, encrypt, &w->cipher, NULL));
	w->in_n = in_n;
	return w;
}

static void *
make_gcm_big(void)
{
	return make_cipher(VS_CIPHER_GCM, true, BENCH_BIG);
}

static void *
make_gcm_small(void)
{
	return make_cipher(VS_CIPHER_GCM, true, BENCH_SMALL);
}

static void
run_gcm(void *work, unsigned n)
{
	struct work *w = work;
	const struct vs_cipher_params p = {.iv = vs_bytes_of(iv, 12), .tag_bytes = 16};
	size_t got = 0;
	while (n-- != 0) {
		must(vs_cipher_start(w->cipher, &p, NULL));
		must(vs_cipher_once(
			w->cipher, vs_bytes_of(w->in, w->in_n), w->out, sizeof w->out, &got, NULL));
	}
}

static void *
make_gcm_open(void)
{
	struct work *seal = make_gcm_big(), *w = make_cipher(VS_CIPHER_GCM, false, BENCH_BIG + 16);
	run_gcm(seal, 1);
	memcpy(w->in, seal->out, w->in_n);
	drop(seal);
	return w;
}

static void *
make_cbc(void)
{
	return make_cipher(VS_CIPHER_CBC_PAD, true, BENCH_BIG - 16);
}

static void
run_cbc(void *work, unsigned n)
{
	struct work *w = work;
	const struct vs_cipher_params p = {.iv = vs_bytes_of(iv, 16)};
	size_t got = 0;
	while (n-- != 0) {
		must(vs_cipher_start(w->cipher, &p, NULL));
		must(vs_cipher_once(
			w->cipher, vs_bytes_of(w->in, w->in_n), w->out, sizeof w->out, &got, NULL));
	}
}

static void *
make_digest(void)
{
	struct work *w = new_work();
	must(vs_digest_new(o, VS_HASH_SHA256, &w->digest, NULL));
	return w;
}

static void
run_digest(void *work, unsigned n)
{
	struct work *w = work;
	while (n-- != 0)
		must(vs_digest_once(w->digest, vs_bytes_of(w->in, BENCH_SMALL), w->out, NULL));
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
		must(vs_random(w->out, BENCH_TINY, NULL));
}

static const struct bench_op our_pkcs1 = {make_pkcs1, run_sign, drop},
			     our_pss = {make_pss, run_sign, drop},
			     our_ecdsa = {make_ecdsa, run_sign, drop},
			     our_hmac = {make_hmac, run_sign, drop},
			     our_oaep = {make_oaep, run_decrypt, drop},
			     our_pkcs1_decrypt = {make_pkcs1_decrypt, run_decrypt, drop},
			     our_gcm_16k = {make_gcm_big, run_gcm, drop},
			     our_gcm_64 = {make_gcm_small, run_gcm, drop},
			     our_gcm_open = {make_gcm_open, run_gcm, drop},
			     our_cbc = {make_cbc, run_cbc, drop},
			     our_sha256 = {make_digest, run_digest, drop},
			     our_random = {make_nothing, run_random, drop};

static const struct bench_row rows[] = {
	{"RSA-2048 sign, PKCS#1 SHA-256", &our_pkcs1, &raw_rsa_pkcs1, 0.97},
	{"RSA-2048 sign, PSS SHA-256", &our_pss, &raw_rsa_pss, 0.97},
	{"RSA-2048 decrypt, OAEP SHA-256", &our_oaep, &raw_oaep, 0.97},
	{"RSA-2048 decrypt, PKCS#1 (raw: OAEP)", &our_pkcs1_decrypt, &raw_oaep, 0},
	{"ECDSA P-256 sign, SHA-256", &our_ecdsa, &raw_ecdsa, 0.92},
	{"AES-256-GCM encrypt, 16 KiB", &our_gcm_16k, &raw_gcm_16k, 0.95},
	{"AES-256-GCM decrypt, 16 KiB", &our_gcm_open, &raw_gcm_16k_open, 0},
	{"AES-256-GCM encrypt, 64 B", &our_gcm_64, &raw_gcm_64, 0.60},
	{"AES-256-CBC-PAD encrypt, 16 KiB", &our_cbc, &raw_cbc_16k, 0},
	{"SHA-256, 64 B", &our_sha256, &raw_sha256, 0.70},
	{"HMAC-SHA-256, 64 B", &our_hmac, &raw_hmac, 0},
	{"random, 32 B", &our_random, &raw_random, 0.70},
};

int
main(int argc, char **argv)
{
	static const unsigned threads[] = {1, 2};
	bool good = true;

	bench_raw_init();
	must(vs_ossl_new(&o, NULL));
	must(vs_arena_new(64 << 10, 1 << 20, VS_LOCK_WARN, &arena, NULL));
	must(vs_pkey_generate_rsa(o, 2048, vs_bytes_of(NULL, 0), &rsa, NULL));
	must(vs_pkey_generate_ec(o, VS_CURVE_P256, &ec, NULL));
	must(vs_pkey_generate_octets(o, arena, VS_KEY_AES, 32, &aes, NULL));
	must(vs_pkey_generate_octets(o, arena, VS_KEY_SECRET, 32, &secret, NULL));
	bench_head("cryptography layer");
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		good = bench_compare(&rows[i], threads, 2) && good;
	vs_pkey_unref(rsa);
	vs_pkey_unref(ec);
	vs_pkey_unref(aes);
	vs_pkey_unref(secret);
	vs_ossl_unref(o);
	vs_arena_free(arena);
	return argc > 1 && strcmp(argv[1], "--strict") == 0 && !good ? 1 : 0;
}
