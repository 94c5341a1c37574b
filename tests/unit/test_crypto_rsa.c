/* SPDX-License-Identifier: BSD-2-Clause */
/* RSA encryption; above all: wrong PKCS#1 v1.5 padding looks like any message (T-P4). */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "base/codec.h"
#include "base/file.h"
#include "crypto/ossl.h"
#include "crypto/rsa_crypt.h"
#include "crypto/rsa_pad.h"
#include "unit/unit.h"

enum { K = 256 };

static struct vs_ossl *o;
static struct vs_arena *arena;
static struct vs_pkey *key;

static int
group_setup(void **state)
{
	struct vs_err err = {0};
	uint8_t *der = NULL;

	(void)state;
	assert_ok(vs_ossl_new(&o, &err), &err);
	assert_ok(vs_arena_new(64 << 10, 1 << 20, VS_LOCK_WARN, &arena, &err), &err);
	FILE *f = fopen(VS_TEST_SRCDIR "/tests/data/rsa-implicit-rejection/key.pem", "re");
	assert_non_null(f);
	EVP_PKEY *evp = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	(void)fclose(f);
	assert_non_null(evp);
	PKCS8_PRIV_KEY_INFO *p8 = EVP_PKEY2PKCS8(evp);
	const int n = i2d_PKCS8_PRIV_KEY_INFO(p8, &der);
	assert_true(n > 0);
	assert_ok(vs_pkey_from_pkcs8(o, vs_bytes_of(der, (size_t)n), &key, &err), &err);
	OPENSSL_free(der);
	PKCS8_PRIV_KEY_INFO_free(p8);
	EVP_PKEY_free(evp);
	return 0;
}

static int
group_teardown(void **state)
{
	(void)state;
	vs_pkey_unref(key);
	vs_ossl_unref(o);
	vs_arena_free(arena);
	return 0;
}

static struct vs_rsa *
context(enum vs_rsa_scheme scheme, bool encrypt)
{
	const struct vs_rsa_params p = {
		.scheme = scheme, .hash = VS_HASH_SHA256, .mgf_hash = VS_HASH_SHA256};
	struct vs_rsa *r = NULL;
	struct vs_err err = {0};
	assert_ok(vs_rsa_new(key, &p, encrypt, &r, &err), &err);
	return r;
}

/* The ciphertext of a block of K octets as it is. */
static void
encrypt_block(const uint8_t em[K], uint8_t ct[K])
{
	struct vs_rsa *r = context(VS_RSA_RAW, true);
	struct vs_err err = {0};
	size_t n = 0;
	assert_ok(vs_rsa_encrypt(r, vs_bytes_of(em, K), ct, K, &n, &err), &err);
	assert_int_equal(n, K);
	vs_rsa_free(r);
}

static size_t
decrypt_pkcs1(const uint8_t ct[K], uint8_t out[K])
{
	struct vs_rsa *r = context(VS_RSA_PKCS1, false);
	struct vs_err err = {0};
	size_t n = 0;
	assert_ok(vs_rsa_decrypt(r, vs_bytes_of(ct, K), out, K, &n, &err), &err);
	vs_rsa_free(r);
	return n;
}

/* 00 02 PS 00 M */
static void
make_block(uint8_t em[K], size_t message_n)
{
	em[0] = 0;
	em[1] = 2;
	memset(em + 2, 0x5a, K - 3 - message_n);
	em[K - 1 - message_n] = 0;
	memset(em + K - message_n, 'm', message_n);
}

/* ---- implicit rejection ------------------------------------------------------------------ */

static void
rejection_gives_what_openssl_gives(void **state)
{
	struct vs_buf file = {.max = 65536}, ct = {.max = K}, want = {.max = K};
	struct vs_err err = {0};
	uint8_t out[K];
	int vectors = 0;

	(void)state;
	assert_ok(vs_file_read(VS_TEST_SRCDIR "/tests/data/rsa-implicit-rejection/vectors.txt",
			  65536, VS_FILE_ANY, &file, &err),
		&err);
	for (char *line = (char *)file.p; *line != 0; line = strchr(line, '\n') + 1) {
		if (*line == '#')
			continue;
		const size_t n = strcspn(line, " "), m = strcspn(line + n + 1, "\n");
		vs_buf_reset(&ct);
		vs_buf_reset(&want);
		assert_ok(vs_hex_decode(vs_bytes_of(line, n), &ct, &err), &err);
		if (line[n + 1] != '-')
			assert_ok(vs_hex_decode(vs_bytes_of(line + n + 1, m), &want, &err), &err);
		assert_int_equal(ct.n, K);
		const size_t got = decrypt_pkcs1(ct.p, out);
		assert_int_equal(got, want.n);
		if (got != 0)
			assert_memory_equal(out, want.p, got);
		vectors++;
	}
	assert_int_equal(vectors, 8);
	vs_buf_done(&file);
	vs_buf_done(&ct);
	vs_buf_done(&want);
}

static void
every_message_length_comes_back(void **state)
{
	uint8_t em[K], ct[K], out[K];

	(void)state;
	for (size_t n = 0; n <= K - 11; n++) {
		make_block(em, n);
		encrypt_block(em, ct);
		assert_int_equal(decrypt_pkcs1(ct, out), n);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(out[i], 'm');
	}
}

/* What each kind of wrong block has in common with a right one must not show. */
static void
every_kind_of_wrong_padding_gives_some_message(void **state)
{
	uint8_t em[K], ct[K], out[K], again[K];
	enum { KINDS = 14 };

	(void)state;
	for (int kind = 0; kind < KINDS; kind++) {
		make_block(em, 20);
		if (kind == 0)
			em[0] = 1;
		else if (kind == 1)
			em[1] = 1;
		else if (kind == 2)
			em[1] = 0;
		else if (kind == 3)
			em[K - 21] = 1; /* no zero at all */
		else if (kind == 4)
			em[1] = 0x82;
		else if (kind == 5)
			em[0] = 0x80;
		else
			em[2 + kind - 6] = 0; /* padding string of 0 .. 7 octets */
		encrypt_block(em, ct);
		const size_t n = decrypt_pkcs1(ct, out);
		assert_true(n <= K - 11);
		/* always the same, and nothing of what stood in the block */
		assert_int_equal(decrypt_pkcs1(ct, again), n);
		assert_memory_equal(out, again, n);
		for (size_t i = 0; i + 8 <= n; i++)
			assert_memory_not_equal(out + i, "mmmmmmmm", 8);
	}
	/* eight octets are enough */
	make_block(em, 20);
	em[2 + 8] = 0;
	encrypt_block(em, ct);
	assert_int_equal(decrypt_pkcs1(ct, out), K - 2 - 8 - 1);
}

static void
rejected_messages_have_many_lengths_and_depend_on_the_ciphertext(void **state)
{
	uint8_t em[K], ct[K], out[K], first[K];
	size_t lengths[K] = {0}, first_n = 0, different = 0;

	(void)state;
	make_block(em, 20);
	em[1] = 3;
	for (int i = 0; i < 200; i++) {
		em[5] = (uint8_t)(i + 1);
		encrypt_block(em, ct);
		const size_t n = decrypt_pkcs1(ct, out);
		lengths[n]++;
		if (i == 0) {
			first_n = n;
			memcpy(first, out, n);
		} else if (n != first_n || memcmp(out, first, n) != 0) {
			different++;
		}
	}
	size_t kinds = 0;
	for (size_t i = 0; i < K; i++)
		kinds += lengths[i] != 0;
	assert_true(kinds > 80);
	assert_true(different > 190);
}

static void
the_unpadding_looks_at_the_block_only(void **state)
{
	uint8_t secret[VS_RSA_PAD_SECRET_BYTES], other[VS_RSA_PAD_SECRET_BYTES], ct[K] = {1}, em[K],
										 a[K], b[K];
	struct vs_err err = {0};
	size_t n = 0, m = 0;

	(void)state;
	assert_ok(vs_rsa_pad_secret(o, vs_bytes_str("d"), K, secret, &err), &err);
	assert_ok(vs_rsa_pad_secret(o, vs_bytes_str("e"), K, other, &err), &err);
	make_block(em, 5);
	assert_ok(vs_rsa_unpad_implicit(o, secret, vs_bytes_of(ct, K), em, K, a, &n, &err), &err);
	assert_ok(vs_rsa_unpad_implicit(o, other, vs_bytes_of(ct, K), em, K, b, &m, &err), &err);
	assert_int_equal(n, 5);
	assert_int_equal(m, 5);
	assert_memory_equal(a, "mmmmm", 5);
	/* nothing is left behind the message */
	for (size_t i = 5; i < K; i++)
		assert_int_equal(a[i], 0);
	em[1] = 9;
	assert_ok(vs_rsa_unpad_implicit(o, secret, vs_bytes_of(ct, K), em, K, a, &n, &err), &err);
	assert_ok(vs_rsa_unpad_implicit(o, other, vs_bytes_of(ct, K), em, K, b, &m, &err), &err);
	assert_true(n != m || memcmp(a, b, n) != 0);
	assert_code(vs_rsa_unpad_implicit(o, secret, vs_bytes_of(ct, K - 1), em, K, a, &n, &err),
		INTERNAL);
}

/* ---- the rest of RSA --------------------------------------------------------------------- */

static void
oaep_says_the_same_whatever_is_wrong(void **state)
{
	struct vs_rsa *enc = context(VS_RSA_OAEP, true), *dec = context(VS_RSA_OAEP, false);
	struct vs_err err = {0};
	uint8_t ct[K], out[K], big[K];
	size_t n = 0, m = 0;

	(void)state;
	memset(big, 0xff, sizeof big);
	assert_ok(vs_rsa_encrypt(enc, vs_bytes_str("secret"), ct, sizeof ct, &n, &err), &err);
	assert_ok(vs_rsa_decrypt(dec, vs_bytes_of(ct, n), out, sizeof out, &m, &err), &err);
	assert_int_equal(m, 6);
	for (size_t i = 0; i < n; i += 5) {
		ct[i] ^= 1;
		memset(out, 0xa5, sizeof out);
		assert_code(
			vs_rsa_decrypt(dec, vs_bytes_of(ct, n), out, sizeof out, &m, &err), DATA);
		assert_string_equal(err.frames[0].text, "the data does not decrypt");
		assert_int_equal(out[0], 0xa5);
		ct[i] ^= 1;
	}
	assert_code(vs_rsa_decrypt(dec, vs_bytes_of(big, K), out, sizeof out, &m, &err), DATA);
	assert_string_equal(err.frames[0].text, "the data does not decrypt");
	assert_code(
		vs_rsa_decrypt(dec, vs_bytes_of(ct, n - 1), out, sizeof out, &m, &err), DATA_LEN);
	assert_code(vs_rsa_decrypt(dec, vs_bytes_of(ct, 0), out, sizeof out, &m, &err), DATA_LEN);
	vs_rsa_free(enc);
	vs_rsa_free(dec);
}

static void
a_short_buffer_gets_the_needed_length(void **state)
{
	struct vs_rsa *enc = context(VS_RSA_OAEP, true), *dec = context(VS_RSA_OAEP, false);
	struct vs_err err = {0};
	uint8_t ct[K], out[K];
	size_t n = 0, m = 0;

	(void)state;
	assert_code(vs_rsa_encrypt(enc, vs_bytes_str("x"), ct, K - 1, &n, &err), ROOM);
	assert_int_equal(n, K);
	assert_ok(vs_rsa_encrypt(enc, vs_bytes_str("secret"), ct, K, &n, &err), &err);
	assert_code(vs_rsa_decrypt(dec, vs_bytes_of(ct, n), out, 5, &m, &err), ROOM);
	assert_int_equal(m, 6);
	assert_ok(vs_rsa_decrypt(dec, vs_bytes_of(ct, n), out, 6, &m, &err), &err);
	assert_memory_equal(out, "secret", 6);
	vs_rsa_free(enc);
	vs_rsa_free(dec);
}

static void
too_long_plaintexts_and_wrong_keys_are_refused(void **state)
{
	static uint8_t data[K + 1];
	const struct vs_key_desc ec = {.type = VS_KEY_EC, .curve = VS_CURVE_P256, .bits = 256};
	const struct vs_key_desc small = {.type = VS_KEY_RSA, .bits = 1024};
	struct vs_rsa_params p = {
		.scheme = VS_RSA_OAEP, .hash = VS_HASH_SHA512, .mgf_hash = VS_HASH_SHA512};
	struct vs_pkey *pub = NULL;
	struct vs_err err = {0};
	uint8_t ct[K];
	size_t n = 0;

	(void)state;
	for (enum vs_rsa_scheme s = VS_RSA_OAEP; s <= VS_RSA_RAW; s++) {
		struct vs_rsa *r = context(s, true);
		const struct vs_rsa_params q = {
			.scheme = s, .hash = VS_HASH_SHA256, .mgf_hash = VS_HASH_SHA256};
		const struct vs_key_desc desc = vs_pkey_desc(key);
		const size_t max = vs_rsa_plain_max(&desc, &q);
		assert_int_equal(max, s == VS_RSA_OAEP ? 190 : s == VS_RSA_PKCS1 ? 245 : 256);
		assert_code(
			vs_rsa_encrypt(r, vs_bytes_of(data, max + 1), ct, K, &n, &err), DATA_LEN);
		assert_ok(vs_rsa_encrypt(r, vs_bytes_of(data, max), ct, K, &n, &err), &err);
		vs_rsa_free(r);
	}
	assert_code(vs_rsa_check(&ec, &p, &err), KEY_KIND);
	assert_code(vs_rsa_check(&small, &p, &err), KEY_SIZE);
	p.mgf_hash = VS_HASH_NONE;
	assert_code(vs_rsa_check(&small, &p, &err), PARAM);
	p.scheme = VS_RSA_NONE;
	assert_code(vs_rsa_check(&small, &p, &err), PARAM);
	p.scheme = VS_RSA_RAW;
	assert_ok(vs_pkey_public_half(key, &pub, &err), &err);
	struct vs_rsa *r = NULL;
	assert_code(vs_rsa_new(pub, &p, false, &r, &err), KEY_KIND);
	vs_pkey_unref(pub);
	memset(data, 0xff, sizeof data);
	r = context(VS_RSA_RAW, true);
	assert_code(vs_rsa_encrypt(r, vs_bytes_of(data, K), ct, K, &n, &err), DATA);
	vs_rsa_free(r);
}

static void
a_context_is_used_again_only_for_the_same(void **state)
{
	const uint8_t label[] = "label";
	struct vs_rsa_params p = {.scheme = VS_RSA_OAEP,
		.hash = VS_HASH_SHA1,
		.mgf_hash = VS_HASH_SHA1,
		.label = {label, 5}};
	struct vs_rsa *r = NULL;
	struct vs_err err = {0};

	(void)state;
	assert_ok(vs_rsa_new(key, &p, true, &r, &err), &err);
	assert_true(vs_rsa_fits(r, key, &p, true));
	assert_false(vs_rsa_fits(r, key, &p, false));
	assert_false(vs_rsa_fits(NULL, key, &p, true));
	p.label.n = 4;
	assert_false(vs_rsa_fits(r, key, &p, true));
	p.label.n = 5;
	p.mgf_hash = VS_HASH_SHA256;
	assert_false(vs_rsa_fits(r, key, &p, true));
	vs_rsa_free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rejection_gives_what_openssl_gives),
		cmocka_unit_test(every_message_length_comes_back),
		cmocka_unit_test(every_kind_of_wrong_padding_gives_some_message),
		cmocka_unit_test(rejected_messages_have_many_lengths_and_depend_on_the_ciphertext),
		cmocka_unit_test(the_unpadding_looks_at_the_block_only),
		cmocka_unit_test(oaep_says_the_same_whatever_is_wrong),
		cmocka_unit_test(a_short_buffer_gets_the_needed_length),
		cmocka_unit_test(too_long_plaintexts_and_wrong_keys_are_refused),
		cmocka_unit_test(a_context_is_used_again_only_for_the_same),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
