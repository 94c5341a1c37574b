/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An audit bundle as an attacker with a signing key of the TPM would like to make it: what is
 * signed is put together here, so that each thing but the signature can be wrong by itself.
 */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/bundle.h"
#include "unit/audit_world.h"

enum { NV = 0x018156c3 };

struct world2 {
	struct world *w;
	char dir[128];
	EVP_PKEY *key;
	struct vs_buf pem; /* of the key: whom the reader believes */
};

/* What the TPM is made to say. */
struct say {
	uint32_t magic;
	uint16_t type;
	uint32_t attributes; /* of the index in its name */
	uint16_t offset;
	uint64_t counter;
	size_t tail; /* octets behind it */
	bool other_manifest;
};

static const struct say truth = {
	.magic = 0xff544347, .type = 0x8014, .attributes = 0x22020012, .counter = 9};

static void
put(const struct world2 *x, const char *name, struct vs_bytes b)
{
	char path[256];
	(void)snprintf(path, sizeof path, "%s/%s", x->dir, name);
	overwrite(path, b);
}

static void
be(struct vs_buf *b, uint64_t v, int octets)
{
	while (octets-- > 0)
		assert_false(vs_failed(vs_buf_add_u8(b, (uint8_t)(v >> 8 * octets), NULL)));
}

static void
statement(const struct say *s, struct vs_bytes manifest, struct vs_buf *out)
{
	uint8_t hash[32], name[32];
	struct vs_buf public = {.max = 64};
	SHA256(manifest.p, manifest.n, hash);
	hash[0] ^= s->other_manifest;
	be(&public, NV, 4);
	be(&public, 0x000b, 2);
	be(&public, s->attributes, 4);
	be(&public, 0, 2);
	be(&public, 8, 2);
	SHA256(public.p, public.n, name);
	vs_buf_done(&public);
	be(out, s->magic, 4);
	be(out, s->type, 2);
	be(out, 34, 2);
	for (int i = 0; i < 34; i++)
		be(out, 0x55, 1);
	be(out, 32, 2);
	assert_false(vs_failed(vs_buf_add(out, hash, 32, NULL)));
	be(out, 123456, 8);
	be(out, 7, 4);
	be(out, 2, 4);
	be(out, 1, 1);
	be(out, 4711, 8);
	be(out, 34, 2);
	be(out, 0x000b, 2);
	assert_false(vs_failed(vs_buf_add(out, name, 32, NULL)));
	be(out, s->offset, 2);
	be(out, 8, 2);
	be(out, s->counter, 8);
	be(out, 0, (int)s->tail);
}

static void
sign(const struct world2 *x, const struct vs_buf *b)
{
	uint8_t sig[512];
	size_t n = sizeof sig;
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	assert_int_equal(EVP_DigestSignInit(c, NULL, EVP_sha256(), NULL, x->key), 1);
	assert_int_equal(EVP_DigestSign(c, sig, &n, b->p, b->n), 1);
	EVP_MD_CTX_free(c);
	put(x, "statement.bin", vs_buf_view(b));
	put(x, "statement.sig", vs_bytes_of(sig, n));
}

static void
hex_of(struct vs_bytes b, char out[65])
{
	uint8_t hash[32];
	SHA256(b.p, b.n, hash);
	for (int i = 0; i < 32; i++)
		(void)snprintf(out + 2 * i, 3, "%02x", hash[i]);
}

/* The log with a last record that says this counter; then everything else around it. */
static void
make(struct world2 *x, int64_t logged, bool checkpoint_last, const struct say *s)
{
	struct vs_audit_rec *r = NULL;
	struct vs_err err = {0};
	char hash[65], text[1024];
	(void)unlink(x->w->path);
	struct vs_audit *a = open_log(x->w);
	add_n(a, 2);
	assert_ok(vs_audit_begin(a, "checkpoint", &r, &err), &err);
	vs_audit_int(r, "counter", logged);
	vs_audit_bool(r, "new", true);
	assert_ok(vs_audit_commit(a, r, in_ms(5000), &err), &err);
	if (!checkpoint_last)
		add_n(a, 1);
	vs_audit_close(a);
	const struct vs_audit_report report = report_of(x->w);
	struct vs_buf log = contents(x->w->path);
	put(x, "0001.log", vs_buf_view(&log));
	hex_of(vs_buf_view(&log), hash);
	vs_buf_done(&log);
	(void)snprintf(text, sizeof text,
		"vouchsafe-audit-bundle 1\nmade 2026-11-22T00:00:00Z\nhost test\nmode "
		"production\nlog %s\nrecords %lu\nlast %lu:%s\nnv 018156c3\ncounter 9\nfile "
		"0001.log "
		"sha256 %s\n",
		report.last_log_id, (unsigned long)report.n_records, (unsigned long)report.last_seq,
		report.last_hash, hash);
	put(x, "manifest.txt", vs_bytes_str(text));
	struct vs_buf said = {.max = 1024};
	statement(s, vs_bytes_str(text), &said);
	sign(x, &said);
	vs_buf_done(&said);
	put(x, "ak.pub.pem", vs_buf_view(&x->pem));
}

static int
setup(void **state)
{
	struct world2 *x = calloc(1, sizeof *x);
	BIO *bio = BIO_new(BIO_s_mem());
	char *p = NULL;
	if (world_setup((void **)&x->w) != 0)
		return 1;
	(void)snprintf(x->dir, sizeof x->dir, "%s/bundle", x->w->dir);
	assert_int_equal(mkdir(x->dir, 0700), 0);
	x->key = EVP_RSA_gen(2048);
	assert_int_equal(PEM_write_bio_PUBKEY(bio, x->key), 1);
	const long n = BIO_get_mem_data(bio, &p);
	x->pem.max = 4096;
	assert_false(vs_failed(vs_buf_add(&x->pem, p, (size_t)n, NULL)));
	BIO_free(bio);
	*state = x;
	return 0;
}

static int
teardown(void **state)
{
	static const char *const names[] = {
		"0001.log", "manifest.txt", "statement.bin", "statement.sig", "ak.pub.pem"};
	struct world2 *x = *state;
	char path[256];
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		(void)snprintf(path, sizeof path, "%s/%s", x->dir, names[i]);
		(void)unlink(path);
	}
	assert_int_equal(rmdir(x->dir), 0);
	EVP_PKEY_free(x->key);
	vs_buf_done(&x->pem);
	void *w = x->w;
	free(x);
	return world_teardown(&w);
}

static vs_rc
check(const struct world2 *x, struct vs_bundle_report *r)
{
	const struct vs_bundle_trust trust = {
		.signer = vs_buf_view(&x->pem), .at_unix = 1790000000};
	*r = (struct vs_bundle_report){0};
	return vs_bundle_verify(x->dir, &trust, r, NULL);
}

static void
a_bundle_made_by_hand_is_accepted(void **state)
{
	struct world2 *x = *state;
	struct vs_bundle_report r;
	make(x, 9, true, &truth);
	assert_false(vs_failed(check(x, &r)));
	if (!r.ok)
		fail_msg("%s", r.reason);
	assert_int_equal(r.counter, 9);
	assert_int_equal(r.clock_ms, 123456);
	assert_int_equal(r.resets, 7);
	assert_int_equal(r.log.n_records, 4);
	const struct vs_bundle_trust nobody = {.at_unix = 1790000000};
	assert_false(vs_failed(vs_bundle_verify(x->dir, &nobody, &r, NULL)));
	assert_false(r.ok);
}

static void
what_the_tpm_did_not_say_of_a_counter_is_refused_though_signed(void **state)
{
	struct world2 *x = *state;
	static const struct {
		struct say say;
		const char *why;
	} rows[] = {
		{{0xff544348, 0x8014, 0x22020012, 0, 9, 0, false}, "not what a TPM says"},
		{{0xff544347, 0x8018, 0x22020012, 0, 9, 0, false}, "not what a TPM says"},
		{{0xff544347, 0x8017, 0x22020012, 0, 9, 0, false}, "not what a TPM says"},
		{{0xff544347, 0x8014, 0x22020012, 1, 9, 0, false}, "not what a TPM says"},
		{{0xff544347, 0x8014, 0x22020012, 0, 9, 1, false}, "not what a TPM says"},
		/* An ordinary index, that holds what its owner wrote; a counter never raised. */
		{{0xff544347, 0x8014, 0x22020002, 0, 9, 0, false}, "another NV index"},
		{{0xff544347, 0x8014, 0x02020012, 0, 9, 0, false}, "another NV index"},
		{{0xff544347, 0x8014, 0x22020012, 0, 10, 0, false}, "the manifest says 9"},
		{{0xff544347, 0x8014, 0x22020012, 0, 9, 0, true}, "another manifest"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct vs_bundle_report r;
		make(x, 9, true, &rows[i].say);
		assert_false(vs_failed(check(x, &r)));
		assert_false(r.ok);
		if (strstr(r.reason, rows[i].why) == NULL)
			fail_msg("row %zu: %s", i, r.reason);
	}
}

static void
a_log_that_the_tpm_did_not_count_is_refused(void **state)
{
	struct world2 *x = *state;
	struct vs_bundle_report r;
	make(x, 8, true, &truth);
	assert_false(vs_failed(check(x, &r)));
	assert_false(r.ok);
	assert_non_null(strstr(r.reason, "old copy"));
	make(x, 10, true, &truth);
	assert_false(vs_failed(check(x, &r)));
	assert_false(r.ok);
	make(x, 9, false, &truth);
	assert_false(vs_failed(check(x, &r)));
	assert_false(r.ok);
	assert_non_null(strstr(r.reason, "last record is not the checkpoint"));
}

/* Each octet flipped: refused or unusable, never accepted. */
static void
every_changed_byte_of_every_part_is_found(void **state)
{
	static const char *const names[] = {
		"manifest.txt", "statement.bin", "statement.sig", "0001.log"};
	struct world2 *x = *state;
	make(x, 9, true, &truth);
	for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
		char path[256];
		(void)snprintf(path, sizeof path, "%s/%s", x->dir, names[k]);
		struct vs_buf b = contents(path);
		for (size_t i = 0; i < b.n; i += k == 3 ? 7 : 1) {
			struct vs_bundle_report r;
			b.p[i] ^= 1;
			overwrite(path, vs_buf_view(&b));
			if (!vs_failed(check(x, &r)) && r.ok)
				fail_msg("%s: octet %zu is not covered", names[k], i);
			b.p[i] ^= 1;
		}
		for (size_t n = 0; n < b.n; n += k == 3 ? 97 : 1) {
			struct vs_bundle_report r;
			overwrite(path, vs_bytes_of(b.p, n));
			if (!vs_failed(check(x, &r)) && r.ok)
				fail_msg("%s: cut at %zu", names[k], n);
		}
		overwrite(path, vs_buf_view(&b));
		vs_buf_done(&b);
	}
	struct vs_bundle_report r;
	assert_false(vs_failed(check(x, &r)));
	assert_true(r.ok);
}

static void
keys_of_other_kinds_are_not_read(void **state)
{
	struct world2 *x = *state;
	static const char *const kinds[] = {"RSA 1024", "EC", "exponent 3"};
	for (int i = 0; i < 3; i++) {
		EVP_PKEY *key = i == 1 ? EVP_EC_gen("P-256") : NULL;
		BIO *bio = BIO_new(BIO_s_mem());
		struct vs_bundle_report r;
		char *p = NULL;
		if (i != 1) {
			EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
			BIGNUM *e = BN_new();
			assert_true(EVP_PKEY_keygen_init(c) == 1 && BN_set_word(e, 3) == 1);
			assert_true(EVP_PKEY_CTX_set_rsa_keygen_bits(c, i == 0 ? 1024 : 2048) == 1);
			if (i == 2)
				assert_true(EVP_PKEY_CTX_set1_rsa_keygen_pubexp(c, e) == 1);
			assert_int_equal(EVP_PKEY_keygen(c, &key), 1);
			BN_free(e);
			EVP_PKEY_CTX_free(c);
		}
		make(x, 9, true, &truth);
		assert_int_equal(PEM_write_bio_PUBKEY(bio, key), 1);
		const long n = BIO_get_mem_data(bio, &p);
		put(x, "ak.pub.pem", vs_bytes_of(p, (size_t)n));
		if (check(x, &r).code != VS_E_FORMAT)
			fail_msg("%s was read", kinds[i]);
		BIO_free(bio);
		EVP_PKEY_free(key);
	}
}

int
main(void)
{
#define BUNDLE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		BUNDLE_TEST(a_bundle_made_by_hand_is_accepted),
		BUNDLE_TEST(what_the_tpm_did_not_say_of_a_counter_is_refused_though_signed),
		BUNDLE_TEST(a_log_that_the_tpm_did_not_count_is_refused),
		BUNDLE_TEST(every_changed_byte_of_every_part_is_found),
		BUNDLE_TEST(keys_of_other_kinds_are_not_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
