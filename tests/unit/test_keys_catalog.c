/* SPDX-License-Identifier: BSD-2-Clause */
/* The catalog of a token: which keys, their public parts, identities, certificates. */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/file.h"
#include "jose/json.h"
#include "keys/akv.h"
#include "keys/akv_impl.h"
#include "unit/netkit.h"
#include "unit/releasekit.h"
#include "unit/unit.h"
#include "unit/webkit.h"

static struct webkit web;
static struct vs_arena *arena;
static struct vs_conf_token token;
static char label[] = "t", resource[] = "https://vault.azure.net", contoso[] = RK_VAULT;

/* ---- a credential made of nothing ----------------------------------------------------------- */

static unsigned gets, fresh_gets;
static char asked_resource[128];

static vs_rc
cred_get(void *self, const char *res, bool force_fresh, int64_t deadline_boot_ns,
	struct vs_secret *ret, struct vs_err *err)
{
	(void)self;
	(void)deadline_boot_ns;
	__atomic_add_fetch(&gets, 1, __ATOMIC_RELAXED);
	if (force_fresh)
		__atomic_add_fetch(&fresh_gets, 1, __ATOMIC_RELAXED);
	(void)snprintf(asked_resource, sizeof asked_resource, "%s", res);
	return vs_secret_from(arena, force_fresh ? "fresh" : "old", force_fresh ? 5 : 3, ret, err);
}

static const struct vs_cred_ops cred_ops = {.name = "test", .version = 1, .get = cred_get};

static int
group_up(void **state)
{
	struct vs_err err = {0};

	(void)state;
	rk_up();
	assert_ok(vs_arena_new(65536, 4 << 20, VS_LOCK_WARN, &arena, &err), &err);
	return 0;
}

static int
group_down(void **state)
{
	(void)state;
	vs_arena_free(arena);
	rk_down();
	return 0;
}

static int
set_up(void **state)
{
	(void)state;
	token = (struct vs_conf_token){.label = label,
		.vault = contoso,
		.vault_kind = VS_VAULT_MHSM,
		.vault_resource = resource,
		.wrap = VS_WRAP_256};
	gets = fresh_gets = 0;
	webkit_init(&web, NULL, 0);
	return 0;
}

static struct vs_akv *
new_akv(void)
{
	struct vs_akv *akv = NULL;
	struct vs_err err = {0};
	const struct vs_akv_env env = {.token = &token, .net = web.net, .cred = {.ops = &cred_ops}};

	assert_ok(vs_akv_new(&env, &akv, &err), &err);
	return akv;
}

/* ---- catalogs ---------------------------------------------------------------------------------
 */

/* GET answer for a key of ours, from releasekit's own public part. */
static void
bundle(struct vs_buf *out, const char *name, const char *version, EVP_PKEY *key,
	const char *attributes, bool policy)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf no_ct = {0};
	struct rk_payload p;
	struct vs_err err = {0};

	rk_payload_new(&p, key, "x", &no_ct);
	vs_buf_reset(out);
	assert_ok(
		vs_buf_addf(out, &err,
			"{\"key\":{\"kid\":\"" RK_VAULT
			"/keys/%s/%s\",\"kty\":\"%s\",\"key_ops\":[\"sign\",\"decrypt\","
			"\"unwrapKey\",\"import\"]%s},\"attributes\":%s%s}",
			name, version, p.kty, p.pub, attributes,
			policy ? ",\"release_policy\":{\"data\":\"e30\",\"immutable\":false}" : ""),
		&err);
}

static void
add_get(struct vs_buf *body, const char *path)
{
	webkit_add(&web,
		(struct webkit_step){.match = path, .status = 200, .body = vs_buf_cstr(body)});
}

static struct vs_catalog_data *
catalog(void)
{
	struct vs_catalog_data *c = NULL;
	struct vs_err err = {0};
	struct vs_akv *akv = new_akv();

	assert_ok(vs_akv_catalog(akv, webkit_in_s(&web, 30), &c, &err), &err);
	vs_akv_free(akv);
	assert_int_equal(web.unexpected, 0);
	return c;
}

static const char exportable[] = "{\"enabled\":true,\"exportable\":true}";

/* The list of one vault client, read again and again. */
static void
what_the_list_calls_unchanged_is_not_fetched_again(void **state)
{
	static const char item[] = "{\"value\":[{\"kid\":\"" RK_VAULT
				   "/keys/a\",\"attributes\":{\"exportable\":true,\"enabled\":%s,"
				   "\"created\":%d,\"updated\":%d}}]}";
	/* Enabled; updated; seconds until the list is read; answers about the key so far. */
	static const struct {
		bool enabled;
		int updated, later_s;
		unsigned fetches;
	} rows[] = {
		{true, 1600000000, 3, 1}, /* new */
		{true, 1600000000, 3, 1}, /* unchanged */
		{true, 1600000000, 3, 1}, /* unchanged */
		{true, 1600000001, 3, 2}, /* updated */
		{true, 1600000001, 3, 2}, /* unchanged */
		{false, 1600000001, 3, 3}, /* disabled within the same second */
		{false, 1600000001, 400, 4}, /* unchanged, but for too long */
		{false, 1700000420, 3, 5}, /* updated just now: the second is not over */
		{false, 1700000420, 3, 6}, /* so once more */
		{false, 1700000420, 3, 6}, /* unchanged */
	};
	enum { N_ROWS = sizeof rows / sizeof rows[0] };
	char *patterns[] = {(char[]){"*"}, NULL};
	VS_CLEANUP(vs_buf_done) struct vs_buf b = {0};
	struct vs_err err = {0};
	char texts[N_ROWS][512];

	(void)state;
	token.keys = patterns;
	struct vs_akv *akv = new_akv();
	bundle(&b, "a", RK_VERSION, NULL, exportable, true);
	for (size_t i = 0; i < N_ROWS; i++) {
		struct vs_catalog_data *c = NULL;
		(void)snprintf(texts[i], sizeof texts[i], item, rows[i].enabled ? "true" : "false",
			1500000000, rows[i].updated);
		webkit_add(&web,
			(struct webkit_step){.match = "/keys?", .status = 200, .body = texts[i]});
		add_get(&b, "/keys/a?");
		web.wall_unix += rows[i].later_s;
		assert_ok(vs_akv_catalog(akv, webkit_in_s(&web, 30), &c, &err), &err);
		assert_int_equal(c->n, 1);
		unsigned fetches = 0;
		for (size_t j = 0; j <= i; j++)
			fetches += webkit_used(&web, 2 * j + 1);
		assert_int_equal(fetches, rows[i].fetches);
		vs_catalog_data_free(c);
	}
	vs_akv_free(akv);
}

static void
shows_keys_by_name_version_and_glob(void **state)
{
	char *patterns[] = {
		(char[]){"tls-2026"}, (char[]){"old/" RK_VERSION}, (char[]){"disk-*"}, NULL};
	struct vs_buf b[6] = {0};
	EVP_PKEY *rsa = netkit_new_rsa(2048);
	EVP_PKEY *ec = rk_new_ec("P-384");
	unsigned char point[97] = {4};
	unsigned char want[20];

	(void)state;
	token.keys = patterns;
	bundle(&b[0], "tls-2026", RK_VERSION, rsa, exportable, true);
	bundle(&b[1], "old", RK_VERSION, ec, exportable, true);
	bundle(&b[2], "Disk-1", RK_VERSION, NULL, "{\"enabled\":false,\"exportable\":true}", true);
	bundle(&b[3], "disk-2", RK_VERSION, NULL, exportable, false);
	add_get(&b[0], "/keys/tls-2026?api-version=7.4");
	add_get(&b[1], "/keys/old/" RK_VERSION "?api-version=7.4");
	add_get(&b[2], "/keys/Disk-1?api-version=7.4");
	add_get(&b[3], "/keys/disk-2?api-version=7.4");
	webkit_add(&web,
		(struct webkit_step){.match = "/keys?api-version",
			.status = 200,
			.body = "{\"value\":[{\"kid\":\"" RK_VAULT "/keys/"
				"Disk-1\",\"attributes\":{\"exportable\":true}},{\"kid\":"
				"\"" RK_VAULT "/keys/"
				"disk-2\",\"attributes\":{\"exportable\":true}},{"
				"\"kid\":\"" RK_VAULT "/keys/"
				"disk-3\",\"attributes\":{\"enabled\":true}},{\"kid\":\"" RK_VAULT
				"/keys/"
				"other\",\"attributes\":{\"exportable\":true}}],\"nextLink\":"
				"null}"});
	struct vs_catalog_data *c = catalog();
	/* disk-2 has no release policy, disk-3 is not exportable, other was not asked for. */
	assert_int_equal(c->n, 3);
	assert_true(c->generation != 0);
	assert_true(vs_bytes_eq_str(c->entries[0].name, "Disk-1"));
	assert_int_equal(c->entries[0].type, VS_KEY_AES);
	assert_false(c->entries[0].enabled);
	assert_int_equal(c->entries[0].id.n, 20);
	SHA1((const unsigned char *)RK_VAULT "/keys/Disk-1/" RK_VERSION,
		strlen(RK_VAULT "/keys/Disk-1/" RK_VERSION), want);
	assert_memory_equal(c->entries[0].id.p, want, 20);
	const struct vs_cat_entry *e = &c->entries[1];
	assert_true(vs_bytes_eq_str(e->name, "old"));
	assert_int_equal(e->type, VS_KEY_EC);
	assert_int_equal(e->curve, VS_CURVE_P384);
	assert_int_equal(e->bits, 384);
	assert_int_equal(e->x.n, 48);
	memcpy(point + 1, e->x.p, 48);
	memcpy(point + 49, e->y.p, 48);
	SHA1(point, sizeof point, want);
	assert_memory_equal(e->id.p, want, 20);
	e = &c->entries[2];
	assert_true(vs_bytes_eq_str(e->name, "tls-2026"));
	assert_true(vs_bytes_eq_str(e->version, RK_VERSION));
	assert_true(vs_bytes_eq_str(e->kid, RK_VAULT "/keys/tls-2026/" RK_VERSION));
	assert_int_equal(e->type, VS_KEY_RSA);
	assert_int_equal(e->bits, 2048);
	assert_int_equal(e->ops, VS_KOP_SIGN | VS_KOP_DECRYPT | VS_KOP_UNWRAP);
	assert_int_equal(e->n.n, 256);
	SHA1(e->n.p, e->n.n, want);
	assert_memory_equal(e->id.p, want, 20);
	const unsigned char *p = e->spki.p;
	EVP_PKEY *back = d2i_PUBKEY(NULL, &p, (long)e->spki.n);
	assert_non_null(back);
	assert_int_equal(EVP_PKEY_eq(back, rsa), 1);
	EVP_PKEY_free(back);
	assert_int_equal(e->cert.n, 0);
	vs_catalog_data_free(c);
	for (size_t i = 0; i < 6; i++)
		vs_buf_done(&b[i]);
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(ec);
}

static void
the_generation_says_whether_anything_changed(void **state)
{
	char *patterns[] = {(char[]){"k"}, NULL};
	VS_CLEANUP(vs_buf_done) struct vs_buf b = {0};
	EVP_PKEY *ec = rk_new_ec("P-256");
	uint64_t g[3];

	(void)state;
	token.keys = patterns;
	for (size_t i = 0; i < 3; i++) {
		bundle(&b, "k", RK_VERSION, ec,
			i < 2 ? exportable : "{\"enabled\":false,\"exportable\":true}", true);
		webkit_init(&web, NULL, 0);
		add_get(&b, "/keys/k?");
		struct vs_catalog_data *c = catalog();
		g[i] = c->generation;
		vs_catalog_data_free(c);
	}
	assert_true(g[0] == g[1]);
	assert_true(g[1] != g[2]);
	EVP_PKEY_free(ec);
}

static void
write_pem(const char *path, X509 *first, X509 *second)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(PEM_write_X509(f, first), 1);
	if (second != NULL)
		assert_int_equal(PEM_write_X509(f, second), 1);
	assert_int_equal(fclose(f), 0);
}

static void
pairs_certificates_with_their_keys(void **state)
{
	char *patterns[] = {(char[]){"k"}, NULL};
	static char path[] = "/tmp/vs-akv-cert.XXXXXX";
	struct vs_conf_cert configured = {.key = (char[]){"K"}, .path = path};
	VS_CLEANUP(vs_buf_done) struct vs_buf b = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf cert_body = {0};
	EVP_PKEY *ec = rk_new_ec("P-256");
	EVP_PKEY *other = rk_new_ec("P-256");
	X509 *cert = netkit_new_cert(ec, "leaf", "DNS:a.test", false, rk_ca(), NULL, -60, 3600);
	X509 *wrong = netkit_new_cert(other, "leaf", "DNS:a.test", false, rk_ca(), NULL, -60, 3600);
	unsigned char *der = NULL;
	const int n = i2d_X509(cert, &der);
	struct vs_err err = {0};

	(void)state;
	const int fd = mkstemp(path);
	assert_true(fd >= 0);
	(void)close(fd);
	token.keys = patterns;
	token.n_certs = 1;
	token.certs = &configured;
	bundle(&b, "k", RK_VERSION, ec, exportable, true);
	/* From a PEM file with its chain, from the vault; not when it is for another key. */
	for (int round = 0; round < 4; round++) {
		set_up(NULL);
		token.keys = patterns;
		add_get(&b, "/keys/k?");
		if (round < 2) {
			token.n_certs = 1;
			token.certs = &configured;
			write_pem(path, round == 0 ? cert : wrong, rk_ca());
		} else {
			token.vault_kind = VS_VAULT_AKV;
			vs_buf_reset(&cert_body);
			assert_ok(vs_buf_add_str(&cert_body, "{\"cer\":\"", &err), &err);
			assert_ok(
				vs_b64_encode(vs_bytes_of(der, (size_t)n), &cert_body, &err), &err);
			assert_ok(vs_buf_add_str(&cert_body, "\"}", &err), &err);
			webkit_add(&web,
				(struct webkit_step){.match = "/certificates?",
					.status = round == 2 ? 200 : 403,
					.body = "{\"value\":[{\"id\":\"" RK_VAULT
						"/certificates/k\"}]}"});
			add_get(&cert_body, "/certificates/k?");
		}
		struct vs_catalog_data *c = catalog();
		assert_int_equal(c->n, 1);
		const struct vs_cat_entry *e = &c->entries[0];
		if (round == 0 || round == 2) {
			assert_int_equal(e->cert.n, n);
			assert_memory_equal(e->cert.p, der, (size_t)n);
			const unsigned char *p = e->cert_subject.p;
			X509_NAME *name = d2i_X509_NAME(NULL, &p, (long)e->cert_subject.n);
			assert_int_equal(X509_NAME_cmp(name, X509_get_subject_name(cert)), 0);
			X509_NAME_free(name);
			p = e->cert_issuer.p;
			name = d2i_X509_NAME(NULL, &p, (long)e->cert_issuer.n);
			assert_int_equal(X509_NAME_cmp(name, X509_get_subject_name(rk_ca())), 0);
			X509_NAME_free(name);
			p = e->cert_serial.p;
			ASN1_INTEGER *serial = d2i_ASN1_INTEGER(NULL, &p, (long)e->cert_serial.n);
			assert_int_equal(ASN1_INTEGER_cmp(serial, X509_get_serialNumber(cert)), 0);
			ASN1_INTEGER_free(serial);
		} else {
			assert_int_equal(e->cert.n, 0);
		}
		vs_catalog_data_free(c);
	}
	(void)unlink(path);
	OPENSSL_free(der);
	X509_free(cert);
	X509_free(wrong);
	EVP_PKEY_free(ec);
	EVP_PKEY_free(other);
}

static void
one_bad_key_leaves_the_others_alone(void **state)
{
	char *patterns[] = {
		(char[]){"good"}, (char[]){"gone"}, (char[]){"weak"}, (char[]){"odd"}, NULL};
	VS_CLEANUP(vs_buf_done) struct vs_buf b = {0};
	EVP_PKEY *ec = rk_new_ec("P-256");

	(void)state;
	token.keys = patterns;
	bundle(&b, "good", RK_VERSION, ec, exportable, true);
	add_get(&b, "/keys/good?");
	webkit_add(&web, (struct webkit_step){.match = "/keys/gone?", .status = 404, .body = "{}"});
	webkit_add(&web,
		(struct webkit_step){.match = "/keys/weak?",
			.status = 200,
			.body = "{\"key\":{\"kid\":\"" RK_VAULT "/keys/weak/" RK_VERSION
				"\",\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"},\"attributes\":{"
				"\"enabled\":true,"
				"\"exportable\":true},\"release_policy\":{}}"});
	webkit_add(&web,
		(struct webkit_step){.match = "/keys/odd?",
			.status = 200,
			.body = "{\"key\":{\"kid\":\"" RK_VAULT "/keys/odd/" RK_VERSION
				"\",\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AQ\",\"y\":\"AQ\"},"
				"\"attributes\":{"
				"\"enabled\":true,\"exportable\":true},\"release_policy\":{}}"});
	struct vs_catalog_data *c = catalog();
	assert_int_equal(c->n, 1);
	assert_true(vs_bytes_eq_str(c->entries[0].name, "good"));
	vs_catalog_data_free(c);
	EVP_PKEY_free(ec);
}

static void
refuses_a_catalog_from_a_vault_that_mixes_keys_up(void **state)
{
	char *patterns[] = {(char[]){"k"}, NULL};
	char *versioned[] = {(char[]){"k/" RK_VERSION}, NULL};
	static const char *const kids[] = {
		RK_VAULT "/keys/l/" RK_VERSION,
		RK_VAULT "/keys/k",
		RK_VAULT "/keys/k/ffffffffffffffffffffffffffffffff",
		("https://evil.net/keys/k/" RK_VERSION),
		"k",
	};
	struct vs_catalog_data *c = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof kids / sizeof kids[0]; i++) {
		char body[512];
		set_up(NULL);
		token.keys = i == 2 ? versioned : patterns;
		(void)snprintf(body, sizeof body,
			"{\"key\":{\"kid\":\"%s\",\"kty\":\"oct\"},\"attributes\":{\"enabled\":"
			"true,\"exportable\":true},"
			"\"release_policy\":{}}",
			kids[i]);
		webkit_add(&web,
			(struct webkit_step){.match = "/keys/k", .status = 200, .body = body});
		struct vs_akv *akv = new_akv();
		assert_code(vs_akv_catalog(akv, webkit_in_s(&web, 30), &c, NULL), ANSWER);
		vs_akv_free(akv);
	}
	/* What concerns the whole vault is no empty catalog. */
	static const long statuses[] = {401, 403, 429, 500};
	static const enum vs_code codes[] = {
		VS_E_REFUSED_ACCESS, VS_E_REFUSED_ACCESS, VS_E_THROTTLED, VS_E_UNAVAILABLE};
	for (size_t i = 0; i < 4; i++) {
		set_up(NULL);
		token.keys = patterns;
		webkit_add(&web, (struct webkit_step){.status = statuses[i], .always = true});
		struct vs_akv *akv = new_akv();
		assert_int_equal(
			vs_akv_catalog(akv, webkit_in_s(&web, 30), &c, NULL).code, codes[i]);
		vs_akv_free(akv);
	}
}

static void
refuses_patterns_that_are_no_names(void **state)
{
	static const char *const bad[] = {
		"", "/", "a/", "a/b", "/" RK_VERSION, "a/" RK_VERSION "0"};
	struct vs_catalog_data *c = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		char text[80];
		char *patterns[] = {text, NULL};
		(void)snprintf(text, sizeof text, "%s", bad[i]);
		token.keys = patterns;
		struct vs_akv *akv = new_akv();
		assert_code(vs_akv_catalog(akv, webkit_in_s(&web, 30), &c, NULL), CONFIG_VALUE);
		vs_akv_free(akv);
	}
	assert_int_equal(web.requests, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(shows_keys_by_name_version_and_glob, set_up),
		cmocka_unit_test_setup(what_the_list_calls_unchanged_is_not_fetched_again, set_up),
		cmocka_unit_test_setup(the_generation_says_whether_anything_changed, set_up),
		cmocka_unit_test_setup(pairs_certificates_with_their_keys, set_up),
		cmocka_unit_test_setup(one_bad_key_leaves_the_others_alone, set_up),
		cmocka_unit_test_setup(refuses_a_catalog_from_a_vault_that_mixes_keys_up, set_up),
		cmocka_unit_test_setup(refuses_patterns_that_are_no_names, set_up),
	};

	return cmocka_run_group_tests(tests, group_up, group_down);
}
