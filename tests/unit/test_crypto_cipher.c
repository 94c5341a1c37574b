/* SPDX-License-Identifier: BSD-2-Clause */
/* Ciphers beyond their vectors: pieces, in place, room, limits, failure (T-P3, T-P11). */
#include <openssl/err.h>

#include "crypto/cipher.h"
#include "crypto/ossl.h"
#include "unit/unit.h"

static struct vs_ossl *o;
static struct vs_arena *arena;
static struct vs_pkey *key;
static const uint8_t iv[16] = {1, 2, 3};

static int
group_setup(void **state)
{
	struct vs_err err = {0};

	(void)state;
	assert_ok(vs_ossl_new(&o, &err), &err);
	assert_ok(vs_arena_new(64 << 10, 1 << 20, VS_LOCK_WARN, &arena, &err), &err);
	assert_ok(vs_pkey_generate_octets(o, arena, VS_KEY_AES, 32, &key, &err), &err);
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

static struct vs_cipher *
context(enum vs_cipher_mode mode, bool encrypt)
{
	struct vs_cipher *c = NULL;
	struct vs_err err = {0};
	assert_ok(vs_cipher_new(key, mode, encrypt, &c, &err), &err);
	return c;
}

static struct vs_cipher_params
params(enum vs_cipher_mode mode, size_t data_n)
{
	const size_t iv_n = mode == VS_CIPHER_ECB                ? 0
		: mode == VS_CIPHER_GCM || mode == VS_CIPHER_CCM ? 12
								 : 16;
	return (struct vs_cipher_params){
		.iv = vs_bytes_of(iv, iv_n),
		.aad = mode == VS_CIPHER_GCM || mode == VS_CIPHER_CCM ? vs_bytes_str("header")
								      : vs_bytes_of(NULL, 0),
		.tag_bytes = 16,
		.ctr_bits = 128,
		.data_bytes = data_n,
	};
}

static void
start(struct vs_cipher *c, enum vs_cipher_mode mode, size_t data_n)
{
	const struct vs_cipher_params p = params(mode, data_n);
	struct vs_err err = {0};
	assert_ok(vs_cipher_start(c, &p, &err), &err);
}

/* In pieces of pseudo-random length, each in place if asked. */
static size_t
run_pieces(struct vs_cipher *c, struct vs_bytes in, uint8_t *out, size_t cap, unsigned seed,
	bool in_place)
{
	static uint8_t piece[4096];
	struct vs_err err = {0};
	size_t total = 0, n = 0;

	while (in.n != 0) {
		seed = seed * 1103515245 + 12345;
		size_t take = 1 + (seed >> 16) % 70;
		take = take < in.n ? take : in.n;
		memcpy(piece, in.p, take);
		uint8_t other[256];
		uint8_t *to = in_place ? piece : other;
		assert_ok(vs_cipher_update(c, vs_bytes_of(piece, take), to, sizeof other, &n, &err),
			&err);
		assert_true(total + n <= cap);
		memcpy(out + total, to, n);
		total += n;
		in = vs_bytes_of(in.p + take, in.n - take);
	}
	assert_ok(vs_cipher_final(c, out + total, cap - total, &n, &err), &err);
	return total + n;
}

static void
pieces_and_one_go_give_the_same_in_every_mode(void **state)
{
	static uint8_t plain[1024], once[1100], pieces[1100], back[1100];
	struct vs_err err = {0};

	(void)state;
	for (size_t i = 0; i < sizeof plain; i++)
		plain[i] = (uint8_t)(i * 7);
	for (enum vs_cipher_mode mode = VS_CIPHER_ECB; mode < VS_CIPHER_COUNT_; mode++) {
		struct vs_cipher *enc = context(mode, true), *dec = context(mode, false);
		const bool blocks = mode == VS_CIPHER_ECB || mode == VS_CIPHER_CBC;
		for (size_t n = 0; n < 200; n += blocks ? 16 : 1) {
			const struct vs_bytes in = vs_bytes_of(plain, n);
			size_t once_n = 0, back_n = 0;
			start(enc, mode, n);
			assert_ok(vs_cipher_once(enc, in, once, sizeof once, &once_n, &err), &err);
			for (int in_place = 0; in_place < 2; in_place++) {
				start(enc, mode, n);
				const size_t m = run_pieces(
					enc, in, pieces, sizeof pieces, (unsigned)n, in_place != 0);
				assert_int_equal(m, once_n);
				assert_memory_equal(pieces, once, m);
				start(dec, mode, n);
				const size_t b = run_pieces(dec, vs_bytes_of(once, once_n), back,
					sizeof back, (unsigned)n, in_place != 0);
				assert_int_equal(b, n);
				assert_memory_equal(back, plain, n);
			}
			/* the whole message in place */
			memcpy(pieces, plain, n);
			start(enc, mode, n);
			assert_ok(vs_cipher_once(enc, vs_bytes_of(pieces, n), pieces, sizeof pieces,
					  &back_n, &err),
				&err);
			assert_memory_equal(pieces, once, once_n);
			start(dec, mode, n);
			assert_ok(vs_cipher_once(dec, vs_bytes_of(pieces, once_n), pieces,
					  sizeof pieces, &back_n, &err),
				&err);
			assert_int_equal(back_n, n);
			assert_memory_equal(pieces, plain, n);
		}
		vs_cipher_free(enc);
		vs_cipher_free(dec);
	}
}

static void
a_short_buffer_costs_nothing_but_the_call(void **state)
{
	static uint8_t plain[100], ct[200], out[200];
	struct vs_err err = {0};

	(void)state;
	for (enum vs_cipher_mode mode = VS_CIPHER_ECB; mode < VS_CIPHER_COUNT_; mode++) {
		struct vs_cipher *enc = context(mode, true), *dec = context(mode, false);
		const size_t n = mode == VS_CIPHER_ECB || mode == VS_CIPHER_CBC ? 96 : 100;
		size_t ct_n = 0, m = 0;
		start(enc, mode, n);
		assert_code(vs_cipher_once(enc, vs_bytes_of(plain, n), ct, n - 1, &m, &err), ROOM);
		assert_int_equal(m, vs_cipher_once_size(enc, n));
		assert_ok(vs_cipher_once(enc, vs_bytes_of(plain, n), ct, m, &ct_n, &err), &err);
		assert_int_equal(ct_n, m);
		start(dec, mode, n);
		for (int i = 0; i < 2; i++) {
			assert_code(
				vs_cipher_once(dec, vs_bytes_of(ct, ct_n), out, n - 1, &m, &err),
				ROOM);
			assert_int_equal(m, n);
		}
		/* a buffer of exactly the plaintext's length is enough, also with padding */
		assert_ok(vs_cipher_once(dec, vs_bytes_of(ct, ct_n), out, n, &m, &err), &err);
		assert_int_equal(m, n);
		assert_memory_equal(out, plain, n);
		assert_code(vs_cipher_once(dec, vs_bytes_of(ct, ct_n), out, n, &m, &err), STATE);
		/* and in pieces */
		start(dec, mode, n);
		const size_t first = vs_cipher_update_size(dec, ct_n);
		if (first != 0) {
			assert_code(vs_cipher_update(
					    dec, vs_bytes_of(ct, ct_n), out, first - 1, &m, &err),
				ROOM);
			assert_int_equal(m, first);
		}
		assert_ok(vs_cipher_update(dec, vs_bytes_of(ct, ct_n), out, first, &m, &err), &err);
		if (first < n) {
			assert_code(
				vs_cipher_final(dec, out + first, n - first - 1, &m, &err), ROOM);
			assert_int_equal(m, n - first);
			assert_int_equal(vs_cipher_final_size(dec), n - first);
		}
		assert_ok(vs_cipher_final(dec, out + first, n - first, &m, &err), &err);
		assert_memory_equal(out, plain, n);
		vs_cipher_free(enc);
		vs_cipher_free(dec);
	}
}

static void
parameters_are_bounded(void **state)
{
	static uint8_t many[VS_AEAD_IV_MAX + 1];
	struct vs_err err = {0};
	struct vs_cipher *gcm = context(VS_CIPHER_GCM, true), *ccm = context(VS_CIPHER_CCM, true);

	(void)state;
	struct vs_cipher_params p = params(VS_CIPHER_GCM, 0);
	p.iv.n = 0;
	assert_code(vs_cipher_start(gcm, &p, &err), PARAM);
	p.iv = vs_bytes_of(many, sizeof many);
	assert_code(vs_cipher_start(gcm, &p, &err), PARAM);
	p.iv = vs_bytes_of(iv, 12);
	for (uint32_t tag = 0; tag < 20; tag++) {
		p.tag_bytes = tag;
		const vs_rc rc = vs_cipher_start(gcm, &p, &err);
		if (tag == 4 || tag == 8 || (tag >= 12 && tag <= 16))
			assert_ok(rc, &err);
		else
			assert_code(rc, PARAM);
	}
	p.tag_bytes = 16;
	p.aad = vs_bytes_of(many, (size_t)VS_AEAD_AAD_MAX + 1);
	assert_code(vs_cipher_start(gcm, &p, &err), PARAM);
	p = params(VS_CIPHER_CCM, 65536);
	p.iv = vs_bytes_of(iv, 13);
	assert_code(vs_cipher_start(ccm, &p, &err), PARAM);
	p.data_bytes = 65535;
	assert_ok(vs_cipher_start(ccm, &p, &err), &err);
	p.tag_bytes = 5;
	assert_code(vs_cipher_start(ccm, &p, &err), PARAM);
	p = params(VS_CIPHER_CBC, 0);
	p.iv.n = 15;
	assert_code(vs_cipher_check(VS_CIPHER_CBC, &p, &err), PARAM);
	assert_code(vs_cipher_check(VS_CIPHER_ECB, &p, &err), PARAM);
	p.iv.n = 16;
	p.ctr_bits = 129;
	assert_code(vs_cipher_check(VS_CIPHER_CTR, &p, &err), PARAM);
	p.ctr_bits = 0;
	assert_code(vs_cipher_check(VS_CIPHER_CTR, &p, &err), PARAM);
	assert_code(vs_cipher_check(VS_CIPHER_NONE, &p, &err), PARAM);
	vs_cipher_free(gcm);
	vs_cipher_free(ccm);
}

static void
the_counter_never_wraps(void **state)
{
	static const struct {
		uint8_t tail[9]; /* last octets of the counter block; the rest is 0xff */
		uint32_t bits;
		size_t blocks;
	} rows[] = {
		{{0, 0, 0, 0, 0, 0, 0, 0, 0}, 4, 16},
		{{0, 0, 0, 0, 0, 0, 0, 0, 0xf0}, 4, 16},
		{{0, 0, 0, 0, 0, 0, 0, 0, 0x0d}, 4, 3},
		{{0, 0, 0, 0, 0, 0, 0, 0, 0xff}, 8, 1},
		{{0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xfe}, 32, 2},
		{{0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe}, 64, 2},
		{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe}, 128, 2},
		{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfd}, 72, 3},
	};
	static uint8_t in[1024], out[1024];
	struct vs_err err = {0};
	struct vs_cipher *c = context(VS_CIPHER_CTR, true);
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		uint8_t block[16];
		memset(block, 0xff, sizeof block);
		memcpy(block + 7, rows[i].tail, 9);
		const struct vs_cipher_params p = {
			.iv = vs_bytes_of(block, 16), .ctr_bits = rows[i].bits};
		const size_t room = rows[i].blocks * 16;
		assert_ok(vs_cipher_start(c, &p, &err), &err);
		assert_code(vs_cipher_once(c, vs_bytes_of(in, room + 1), out, sizeof out, &n, &err),
			DATA_LEN);
		assert_ok(vs_cipher_start(c, &p, &err), &err);
		assert_ok(vs_cipher_update(c, vs_bytes_of(in, room - 1), out, sizeof out, &n, &err),
			&err);
		assert_ok(vs_cipher_update(c, vs_bytes_of(in, 1), out, sizeof out, &n, &err), &err);
		assert_code(vs_cipher_update(c, vs_bytes_of(in, 1), out, sizeof out, &n, &err),
			DATA_LEN);
	}
	vs_cipher_free(c);
}

static void
nothing_is_given_out_before_the_tag_is_checked(void **state)
{
	static const enum vs_cipher_mode modes[] = {VS_CIPHER_GCM, VS_CIPHER_CCM};
	static uint8_t plain[64], ct[80], out[80];
	struct vs_err err = {0};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct vs_cipher *enc = context(modes[i], true), *dec = context(modes[i], false);
		size_t n = 0, m = 0;
		start(enc, modes[i], sizeof plain);
		assert_ok(vs_cipher_once(
				  enc, vs_bytes_of(plain, sizeof plain), ct, sizeof ct, &n, &err),
			&err);
		for (size_t at = 0; at < n; at++) {
			ct[at] ^= 1;
			memset(out, 0xa5, sizeof out);
			start(dec, modes[i], sizeof plain);
			assert_code(
				vs_cipher_once(dec, vs_bytes_of(ct, n), out, sizeof out, &m, &err),
				DATA);
			assert_string_equal(err.frames[0].text, "the data does not decrypt");
			start(dec, modes[i], sizeof plain);
			assert_ok(vs_cipher_update(
					  dec, vs_bytes_of(ct, n), out, sizeof out, &m, &err),
				&err);
			assert_int_equal(m, 0);
			assert_code(vs_cipher_final(dec, out, sizeof out, &m, &err), DATA);
			for (size_t k = 0; k < sizeof out; k++)
				assert_int_equal(out[k], 0xa5);
			ct[at] ^= 1;
			/* the context is good for the next message */
			start(dec, modes[i], sizeof plain);
			assert_ok(
				vs_cipher_once(dec, vs_bytes_of(ct, n), out, sizeof out, &m, &err),
				&err);
			assert_memory_equal(out, plain, sizeof plain);
		}
		vs_cipher_free(enc);
		vs_cipher_free(dec);
	}
}

static void
what_is_held_back_has_a_limit(void **state)
{
	static uint8_t chunk[1 << 20];
	struct vs_cipher *c = context(VS_CIPHER_GCM, false);
	struct vs_err err = {0};
	size_t n = 0, fed = 0;
	vs_rc rc = VS_OK;

	(void)state;
	start(c, VS_CIPHER_GCM, 0);
	while (!vs_failed(rc) && fed < (size_t)VS_AEAD_HOLD_MAX + 2 * sizeof chunk) {
		rc = vs_cipher_update(c, vs_bytes_of(chunk, sizeof chunk), NULL, 0, &n, &err);
		fed += sizeof chunk;
	}
	assert_code(rc, LIMIT);
	assert_int_equal(fed, (size_t)VS_AEAD_HOLD_MAX + sizeof chunk);
	assert_code(vs_cipher_final(c, chunk, sizeof chunk, &n, &err), STATE);
	vs_cipher_free(c);
	c = context(VS_CIPHER_CCM, true);
	start(c, VS_CIPHER_CCM, 10);
	assert_code(vs_cipher_update(c, vs_bytes_of(chunk, 11), NULL, 0, &n, &err), DATA_LEN);
	start(c, VS_CIPHER_CCM, 10);
	assert_ok(vs_cipher_update(c, vs_bytes_of(chunk, 9), NULL, 0, &n, &err), &err);
	assert_code(vs_cipher_final(c, chunk, sizeof chunk, &n, &err), DATA_LEN);
	vs_cipher_free(c);
}

static void
lengths_that_are_no_blocks_are_refused(void **state)
{
	static uint8_t data[64];
	static const enum vs_cipher_mode modes[] = {VS_CIPHER_ECB, VS_CIPHER_CBC};
	struct vs_err err = {0};
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct vs_cipher *c = context(modes[i / 2], i % 2 == 0);
		start(c, modes[i / 2], 0);
		assert_code(vs_cipher_once(c, vs_bytes_of(data, 17), data, sizeof data, &n, &err),
			DATA_LEN);
		start(c, modes[i / 2], 0);
		assert_ok(vs_cipher_update(c, vs_bytes_of(data, 17), data, sizeof data, &n, &err),
			&err);
		assert_code(vs_cipher_final(c, data, sizeof data, &n, &err), DATA_LEN);
		vs_cipher_free(c);
	}
	struct vs_cipher *c = context(VS_CIPHER_CBC_PAD, false);
	start(c, VS_CIPHER_CBC_PAD, 0);
	assert_code(vs_cipher_once(c, vs_bytes_of(data, 0), data, sizeof data, &n, &err), DATA_LEN);
	start(c, VS_CIPHER_CBC_PAD, 0);
	assert_code(
		vs_cipher_once(c, vs_bytes_of(data, 20), data, sizeof data, &n, &err), DATA_LEN);
	start(c, VS_CIPHER_CBC_PAD, 0);
	assert_code(vs_cipher_final(c, data, sizeof data, &n, &err), DATA_LEN);
	vs_cipher_free(c);
}

static void
only_aes_keys_encrypt_and_contexts_fit_exactly(void **state)
{
	struct vs_pkey *other = NULL;
	struct vs_cipher *c = NULL;
	struct vs_err err = {0};

	(void)state;
	assert_ok(vs_pkey_generate_octets(o, arena, VS_KEY_SECRET, 32, &other, &err), &err);
	assert_code(vs_cipher_new(other, VS_CIPHER_GCM, true, &c, &err), KEY_KIND);
	assert_code(vs_cipher_new(key, VS_CIPHER_NONE, true, &c, &err), PARAM);
	c = context(VS_CIPHER_GCM, true);
	assert_true(vs_cipher_fits(c, key, VS_CIPHER_GCM, true));
	assert_false(vs_cipher_fits(c, key, VS_CIPHER_GCM, false));
	assert_false(vs_cipher_fits(c, key, VS_CIPHER_CTR, true));
	assert_false(vs_cipher_fits(c, other, VS_CIPHER_GCM, true));
	assert_false(vs_cipher_fits(NULL, key, VS_CIPHER_GCM, true));
	size_t n = 0;
	uint8_t out[32];
	assert_code(vs_cipher_update(c, vs_bytes_str("x"), out, sizeof out, &n, &err), STATE);
	vs_cipher_free(c);
	vs_pkey_unref(other);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_and_one_go_give_the_same_in_every_mode),
		cmocka_unit_test(a_short_buffer_costs_nothing_but_the_call),
		cmocka_unit_test(parameters_are_bounded),
		cmocka_unit_test(the_counter_never_wraps),
		cmocka_unit_test(nothing_is_given_out_before_the_tag_is_checked),
		cmocka_unit_test(what_is_held_back_has_a_limit),
		cmocka_unit_test(lengths_that_are_no_blocks_are_refused),
		cmocka_unit_test(only_aes_keys_encrypt_and_contexts_fit_exactly),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
