/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signatures of files in the list of measured files: a captured list of 1083 entries, whose
 * 1024-bit key is too short for us but where the test allows it, and made lists with keys that are
 * not.
 */
#include "unit/pkikit.h"
#include "unit/unit.h"

#include <openssl/rsa.h>
#include <openssl/sha.h>

#include "base/codec.h"
#include "evidence/data.h"
#include "evidence/ima.h"

static void
a_captured_list_has_the_signatures_that_are_known_of_it(void **state)
{
	(void)state;
	struct vs_buf b = data_load("ima/acs/imasig.log"), der = data_load("ima/acs/imakey.der");
	struct vs_ev_certs certs = {.n = 0}, none = {.n = 0};
	struct vs_ima_files f;
	struct vs_ev_cert *cert = NULL;
	struct vs_err err = {0};
	assert_ok(vs_ev_cert_der(vs_buf_view(&der), &cert, &err), &err);
	assert_ok(vs_ev_certs_add(&certs, cert, &err), &err);
	struct vs_ima_keys keys = {.certs = &certs, .min_rsa_bits = 1024};
	assert_ok(vs_ima_check_files(vs_buf_view(&b), 2000, &keys, &f, &err), &err);
	/* 896 by that key with SHA-256; 591 damaged, 1081 and 1082 bad, one of them with SHA-1. */
	assert_int_equal(f.n_files, 1082);
	assert_int_equal(f.n_signed + f.n_unsigned + f.n_bad, f.n_files);
	assert_int_equal(f.n_unsigned, 183);
	assert_int_equal(f.n_bad, f.n_files - f.n_signed - f.n_unsigned);
	assert_true(f.n_signed >= 895 && f.n_bad <= 4 && f.n_bad >= 3);
	assert_int_equal(f.n_other, 1);
	/* Only the first 100 of them: what comes later has not been quoted. */
	assert_ok(vs_ima_check_files(vs_buf_view(&b), 100, &keys, &f, &err), &err);
	assert_int_equal(f.n_files + f.n_other, 100);
	/* 1024 bits are not enough by themselves, and no key at all is not either. */
	keys.min_rsa_bits = 0;
	assert_ok(vs_ima_check_files(vs_buf_view(&b), 2000, &keys, &f, &err), &err);
	assert_int_equal(f.n_signed, 0);
	keys = (struct vs_ima_keys){.certs = &none, .min_rsa_bits = 1024};
	assert_ok(vs_ima_check_files(vs_buf_view(&b), 2000, &keys, &f, &err), &err);
	assert_int_equal(f.n_signed, 0);
	vs_ev_certs_done(&certs);
	vs_buf_done(&der);
	vs_buf_done(&b);
}

/* ---- made lists ----------------------------------------------------------------------------- */

static struct pki rsa, ec, other;

struct entry {
	const char *name; /* template; NULL: ima-sig */
	const char *path;
	const struct pki *key; /* NULL: not signed */
	const struct pki *id_of; /* whose identifier it names; NULL: the key's */
	uint8_t hash, version, type; /* 0: 4, 2, 3 */
	const char *algorithm; /* of the digest; NULL: "sha256:" */
	bool flip, wrong_template, violation, cut;
};

static void
put_field(struct vs_buf *b, struct vs_bytes v)
{
	struct vs_err err = {0};
	const uint8_t n[4] = {(uint8_t)v.n, (uint8_t)(v.n >> 8), (uint8_t)(v.n >> 16), 0};
	assert_ok(vs_buf_add(b, n, 4, &err), &err);
	if (v.n != 0)
		assert_ok(vs_buf_add(b, v.p, v.n, &err), &err);
}

static void
put_signature(const struct entry *e, const uint8_t digest[32], struct vs_buf *out)
{
	const struct pki *id_of = e->id_of != NULL ? e->id_of : e->key;
	const struct vs_bytes ski = vs_ev_cert_ext(id_of->cert, "2.5.29.14");
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(e->key->key, NULL);
	uint8_t sig[512],
		head[] = {e->type != 0 ? e->type : 3, e->version != 0 ? e->version : 2,
			e->hash != 0 ? e->hash : 4};
	size_t n = sizeof sig;
	struct vs_err err = {0};
	assert_true(ski.n > 4);
	assert_int_equal(EVP_PKEY_sign_init(ctx), 1);
	if (EVP_PKEY_get_base_id(e->key->key) == EVP_PKEY_RSA)
		assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING), 1);
	assert_int_equal(EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()), 1);
	assert_int_equal(EVP_PKEY_sign(ctx, sig, &n, digest, 32), 1);
	EVP_PKEY_CTX_free(ctx);
	sig[n / 2] ^= e->flip;
	assert_ok(vs_buf_add(out, head, sizeof head, &err), &err);
	assert_ok(vs_buf_add(out, ski.p + ski.n - 4, 4, &err), &err);
	assert_ok(vs_buf_add_be16(out, (uint16_t)n, &err), &err);
	assert_ok(vs_buf_add(out, sig, n - e->cut, &err), &err);
}

static void
put_entry(const struct entry *e, struct vs_buf *list)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf data = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf field = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf sig = {0};
	const char *name = e->name != NULL ? e->name : "ima-sig";
	uint8_t digest[32], hash[20] = {0};
	struct vs_err err = {0};
	SHA256((const uint8_t *)e->path, strlen(e->path), digest);
	assert_ok(vs_buf_addf(&field, &err, "%s", e->algorithm != NULL ? e->algorithm : "sha256:"),
		&err);
	assert_ok(vs_buf_add_u8(&field, 0, &err), &err);
	assert_ok(vs_buf_add(&field, digest, 32, &err), &err);
	put_field(&data, vs_buf_view(&field));
	put_field(&data, vs_bytes_of(e->path, strlen(e->path) + 1));
	if (e->key != NULL)
		put_signature(e, digest, &sig);
	if (strcmp(name, "ima-ng") != 0)
		put_field(&data, vs_buf_view(&sig));
	if (!e->violation)
		SHA1(data.p, data.n, hash);
	hash[3] ^= e->wrong_template;
	const uint8_t pcr[4] = {10, 0, 0, 0};
	assert_ok(vs_buf_add(list, pcr, 4, &err), &err);
	assert_ok(vs_buf_add(list, hash, 20, &err), &err);
	put_field(list, vs_bytes_str(name));
	put_field(list, vs_buf_view(&data));
}

static void
each_way_of_not_being_signed_is_told(void **state)
{
	(void)state;
	const struct pki *const r = &rsa;
	const struct {
		struct entry e;
		char what; /* s signed, u unsigned, b bad, o no file */
	} cases[] = {
		{{.path = "/bin/a", .key = r}, 's'},
		{{.path = "/bin/a", .key = &ec}, 's'},
		{{.name = "ima-modsig", .path = "/bin/a", .key = r}, 's'},
		{{.name = "ima-sigv2", .path = "/bin/a", .key = r, .algorithm = "ima:sha256:"},
			's'},
		{{.name = "ima-sigv2", .path = "/bin/a", .key = r}, 'b'},
		{{.name = "ima-sigv2", .path = "/bin/a", .key = r, .algorithm = "verity:sha256:"},
			'b'},
		{{.path = "/bin/a", .key = r, .algorithm = "ima:sha256:"}, 'b'},
		{{.path = "/bin/a", .key = r, .algorithm = "sha1:"}, 'b'},
		{{.path = "/bin/a", .key = r, .algorithm = "sha256"}, 'b'},
		{{.path = "/bin/a"}, 'u'},
		{{.name = "ima-ng", .path = "/bin/a"}, 'u'},
		{{.path = "/bin/a", .key = r, .flip = true}, 'b'},
		{{.path = "/bin/a", .key = &ec, .flip = true}, 'b'},
		{{.path = "/bin/a", .key = r, .cut = true}, 'b'},
		{{.path = "/bin/a", .key = &other}, 'b'},
		{{.path = "/bin/a", .key = &other, .id_of = r}, 'b'},
		{{.path = "/bin/a", .key = r, .id_of = &ec}, 'b'},
		{{.path = "/bin/a", .key = r, .hash = 2}, 'b'},
		{{.path = "/bin/a", .key = r, .hash = 6}, 'b'},
		{{.path = "/bin/a", .key = r, .version = 1}, 'b'},
		{{.path = "/bin/a", .key = r, .version = 3}, 'b'},
		{{.path = "/bin/a", .key = r, .type = 5}, 'b'},
		{{.path = "/bin/a", .key = r, .wrong_template = true}, 'b'},
		{{.path = "/bin/a", .key = r, .violation = true}, 'b'},
		{{.path = "boot_aggregate"}, 'o'},
		/* Nothing vouches for the template's name: it excuses nothing. */
		{{.name = "ima-buf", .path = "/bin/a"}, 'u'},
		{{.name = "ima-buf", .path = "/bin/a", .key = r}, 'u'},
	};
	const struct vs_ev_certs certs = {.n = 2, .v = {rsa.cert, ec.cert}};
	const struct vs_ima_keys keys = {.certs = &certs};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		VS_CLEANUP(vs_buf_done) struct vs_buf list = {0};
		struct vs_ima_files f;
		struct vs_err err = {0};
		put_entry(&cases[i].e, &list);
		assert_ok(vs_ima_check_files(vs_buf_view(&list), 1, &keys, &f, &err), &err);
		const char seen = f.n_signed ? 's' : f.n_unsigned ? 'u' : f.n_bad ? 'b' : 'o';
		if (seen != cases[i].what)
			fail_msg("case %zu: %c", i, seen);
		if (seen == 'u' || seen == 'b')
			assert_string_equal(f.first, "/bin/a");
	}
	/* Only the first entry is the kernel's own. */
	VS_CLEANUP(vs_buf_done) struct vs_buf list = {0};
	struct vs_ima_files f;
	struct vs_err err = {0};
	put_entry(&(struct entry){.path = "/bin/a", .key = &rsa}, &list);
	put_entry(&(struct entry){.path = "boot_aggregate"}, &list);
	assert_ok(vs_ima_check_files(vs_buf_view(&list), 2, &keys, &f, &err), &err);
	assert_int_equal(f.n_unsigned, 1);
}

static void
a_beginning_of_the_list_leads_to_the_quoted_digest(void **state)
{
	(void)state;
	VS_CLEANUP(vs_buf_done) struct vs_buf list = {0};
	struct vs_ima_replay r;
	struct vs_err err = {0};
	uint8_t digest[32];
	size_t two = 0;
	for (int i = 0; i < 4; i++) {
		put_entry(&(struct entry){.path = i % 2 ? "/bin/a" : "/bin/b", .key = &rsa}, &list);
		if (i == 1)
			two = list.n;
	}
	assert_ok(vs_ima_replay(
			  vs_bytes_of(list.p, two), VS_HASH_SHA256, (struct vs_bytes){0}, &r, &err),
		&err);
	SHA256(r.last, 32, digest);
	assert_ok(vs_ima_replay_digest(
			  vs_buf_view(&list), VS_HASH_SHA256, vs_bytes_of(digest, 32), &r, &err),
		&err);
	assert_true(r.matched);
	assert_int_equal(r.n_covered, 2);
	digest[0] ^= 1;
	assert_ok(vs_ima_replay_digest(
			  vs_buf_view(&list), VS_HASH_SHA256, vs_bytes_of(digest, 32), &r, &err),
		&err);
	assert_false(r.matched);
	/* The value is not its digest. */
	assert_ok(vs_ima_replay_digest(
			  vs_buf_view(&list), VS_HASH_SHA256, vs_bytes_of(r.last, 32), &r, &err),
		&err);
	assert_false(r.matched);
}

static int
set_up(void **state)
{
	(void)state;
	rsa = pki_make(&(struct pki_cert){.cn = "IMA", .serial = 1, .rsa = true, .ski = "hash"});
	ec = pki_make(&(struct pki_cert){.cn = "IMA EC", .serial = 2, .ski = "hash"});
	other = pki_make(
		&(struct pki_cert){.cn = "Other", .serial = 3, .rsa = true, .ski = "hash"});
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	pki_done(&rsa);
	pki_done(&ec);
	pki_done(&other);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_captured_list_has_the_signatures_that_are_known_of_it),
		cmocka_unit_test(each_way_of_not_being_signed_is_told),
		cmocka_unit_test(a_beginning_of_the_list_leads_to_the_quoted_digest),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
