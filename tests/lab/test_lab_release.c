/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Release by the lab's vaults: the answers beside recordings, opened with OpenSSL alone, and every
 * kind of attestation that must not open anything.
 */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/codec.h"
#include "lab/labkit.h"
#include "lab/lab_jwt.h"
#include "unit/unit.h"

#define V labkit_var("VAULT_URL")
#define M labkit_var("MHSM_URL")
#define API "?api-version=7.4"
#define NOT_VERIFIED "AKV.SKR.2001: Target environment attestation statement cannot be verified."
#define NOT_MET \
	"AKV.SKR.2002: Target environment attestation does not meet key release policy " \
	"requirements."

static char *token; /* of the lab's attestation service, for software_key */
static EVP_PKEY *software_key;

static const char *
bearer_for(const char *base)
{
	return strcmp(base, M) == 0 ? mhsm_bearer() : vault_bearer();
}

static struct answer
release(const char *base, const char *path, const char *target, const char *enc)
{
	char whole[256];
	json_t *body = json_pack("{s:s}", "target", target);
	if (enc != NULL)
		json_object_set_new(body, "enc", json_string(enc));
	char *text = json_dumps(body, JSON_COMPACT);
	snprintf(whole, sizeof whole, "/keys/%s/release" API, path);
	struct answer a = http("POST", base, whole, bearer_for(base), text, NULL);
	free(text);
	json_decref(body);
	return a;
}

static void
expect_refusal(
	struct answer a, long status, const char *code, const char *message, const char *inner)
{
	if (a.status != status)
		fail_msg("status %ld: %s", a.status, a.body);
	assert_string_equal(answer_code(&a), code);
	if (strncmp(answer_message(&a), message, strlen(message)) != 0)
		fail_msg("message is: %s", answer_message(&a));
	assert_string_equal(answer_inner(&a), inner);
	answer_done(&a);
}

/* ---- opening an answer ---------------------------------------------------------------------- */

struct opened {
	json_t *header, *payload, *key_hsm;
	struct vs_buf clear; /* what came out of the wrap */
	size_t n_kwp;
};

static void
opened_done(struct opened *o)
{
	json_decref(o->header);
	json_decref(o->payload);
	json_decref(o->key_hsm);
	vs_buf_done(&o->clear);
}

static X509 *
certificate_of(const json_t *x5c, size_t i)
{
	struct vs_buf der = {0};
	const char *text = json_string_value(json_array_get(x5c, i));
	assert_non_null(text);
	assert_false(vs_failed(vs_b64_decode(vs_bytes_str(text), &der, NULL)));
	const uint8_t *p = der.p;
	X509 *cert = d2i_X509(NULL, &p, (long)der.n);
	assert_non_null(cert);
	vs_buf_done(&der);
	return cert;
}

static void
check_signature(const char *jws, const json_t *header)
{
	const json_t *x5c = json_object_get(header, "x5c");
	X509 *leaf = certificate_of(x5c, 0), *ca = certificate_of(x5c, 1),
	     *root = certificate_of(x5c, 2);
	const char *sig_text = strrchr(jws, '.') + 1;
	struct vs_buf sig = {0}, hash = {0}, says = {0};
	uint8_t digest[32];
	unsigned n = 0;
	assert_int_equal(json_array_size(x5c), 3);
	assert_false(vs_failed(vs_b64url_decode(vs_bytes_str(sig_text), &sig, NULL)));
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	assert_int_equal(
		EVP_DigestVerifyInit(md, NULL, EVP_sha256(), NULL, X509_get0_pubkey(leaf)), 1);
	assert_int_equal(EVP_DigestVerify(md, sig.p, sig.n, (const uint8_t *)jws,
				 (size_t)(sig_text - 1 - jws)),
		1);
	EVP_MD_CTX_free(md);
	assert_int_equal(X509_verify(leaf, X509_get0_pubkey(ca)), 1);
	assert_int_equal(X509_verify(ca, X509_get0_pubkey(root)), 1);
	assert_int_equal(X509_check_host(leaf, "localhost", 0, 0, NULL), 1);
	assert_int_equal(X509_digest(leaf, EVP_sha256(), digest, &n), 1);
	const char *x5t = json_string_value(json_object_get(header, "x5t#S256"));
	assert_false(vs_failed(vs_b64url_decode(vs_bytes_str(x5t), &says, NULL)));
	assert_true(vs_bytes_eq(vs_buf_view(&says), vs_bytes_of(digest, n)));
	vs_buf_done(&sig);
	vs_buf_done(&hash);
	vs_buf_done(&says);
	X509_free(leaf);
	X509_free(ca);
	X509_free(root);
}

static void
unwrap(const struct vs_buf *raw, const char *md_name, struct opened *o)
{
	uint8_t cek[512], out[8192];
	size_t n_cek = sizeof cek;
	int n = 0, last = 0;
	const EVP_MD *md = EVP_get_digestbyname(md_name);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(software_key, NULL);
	assert_true(raw->n > 256 + 8);
	assert_int_equal(EVP_PKEY_decrypt_init(ctx), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_oaep_md(ctx, md), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, md), 1);
	assert_int_equal(EVP_PKEY_decrypt(ctx, cek, &n_cek, raw->p, 256), 1);
	EVP_PKEY_CTX_free(ctx);
	assert_int_equal(n_cek, 32);
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	EVP_CIPHER_CTX_set_flags(c, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
	assert_int_equal(EVP_DecryptInit_ex(c, EVP_aes_256_wrap_pad(), NULL, cek, NULL), 1);
	o->n_kwp = raw->n - 256;
	assert_int_equal(EVP_DecryptUpdate(c, out, &n, raw->p + 256, (int)o->n_kwp), 1);
	assert_int_equal(EVP_DecryptFinal_ex(c, out + n, &last), 1);
	EVP_CIPHER_CTX_free(c);
	assert_false(vs_failed(vs_buf_set(&o->clear, out, (size_t)(n + last), NULL)));
}

static struct opened
open_answer(const struct answer *a, const char *md)
{
	struct opened o = {0};
	if (a->status != 200)
		fail_msg("status %ld: %s", a->status, a->body);
	const char *jws = json_string_value(json_object_get(a->json, "value"));
	const char *dot = strchr(jws, '.'), *dot2 = strrchr(jws, '.');
	o.header = json_of_b64url(jws, (size_t)(dot - jws));
	o.payload = json_of_b64url(dot + 1, (size_t)(dot2 - dot) - 1);
	check_signature(jws, o.header);
	const json_t *bundle = json_object_get(json_object_get(o.payload, "response"), "key");
	const char *key_hsm =
		json_string_value(json_object_get(json_object_get(bundle, "key"), "key_hsm"));
	o.key_hsm = json_of_b64url(key_hsm, strlen(key_hsm));
	struct vs_buf raw = {0};
	const char *ciphertext = json_string_value(json_object_get(o.key_hsm, "ciphertext"));
	assert_false(vs_failed(vs_b64url_decode(vs_bytes_str(ciphertext), &raw, NULL)));
	unwrap(&raw, md, &o);
	vs_buf_done(&raw);
	return o;
}

/* The private key that came out belongs to the x of the EC bundle, or the n of the RSA one. */
static void
check_key(const struct opened *o)
{
	const json_t *jwk = json_object_get(
		json_object_get(json_object_get(o->payload, "response"), "key"), "key");
	const char *x = json_string_value(json_object_get(jwk, "x"));
	const char *n = json_string_value(json_object_get(jwk, "n"));
	const uint8_t *p = o->clear.p;
	struct vs_buf want = {0};
	BIGNUM *bn = NULL;
	EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &p, (long)o->clear.n);
	assert_non_null(key);
	assert_int_equal(EVP_PKEY_get_bn_param(key,
				 x != NULL ? OSSL_PKEY_PARAM_EC_PUB_X : OSSL_PKEY_PARAM_RSA_N, &bn),
		1);
	assert_false(vs_failed(vs_b64url_decode(vs_bytes_str(x != NULL ? x : n), &want, NULL)));
	BIGNUM *has = BN_bin2bn(want.p, (int)want.n, NULL);
	assert_int_equal(BN_cmp(bn, has), 0);
	BN_free(bn);
	BN_free(has);
	vs_buf_done(&want);
	EVP_PKEY_free(key);
}

/* ---- good answers --------------------------------------------------------------------------- */

static const char *
recorded_jws(const json_t *list, const char *fixture)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *j = json_array_get(list, i);
		if (strcmp(json_string_value(json_object_get(j, "fixture")), fixture) == 0)
			return json_string_value(json_object_get(j, "value"));
	}
	fail_msg("no such recording: %s", fixture);
	return NULL;
}

static void
answers_have_the_recorded_shape_in_both_flavours(void **state)
{
	(void)state;
	json_t *all = recording("release-jws.json");
	static const char *const fixtures[] = {
		"release-akv-p256k-ckm-7.4.json", "release-mhsm-p256k-ckm-7.4.json"};
	LAB_DO("key", "create", "k1", "--type", "ec-p256k", "--immutable");
	LAB_DO("key", "create", "k1", "--type", "ec-p256k", "--vault", "mhsm", "--immutable");
	for (int mhsm = 0; mhsm < 2; mhsm++) {
		struct answer a = release(mhsm ? M : V, "k1", token, NULL);
		struct opened o = open_answer(&a, "SHA1");
		const char *jws = recorded_jws(all, fixtures[mhsm]);
		const char *dot = strchr(jws, '.'), *dot2 = strrchr(jws, '.');
		json_t *header = json_of_b64url(jws, (size_t)(dot - jws));
		json_t *payload = json_of_b64url(dot + 1, (size_t)(dot2 - dot) - 1);
		assert_same_shape(header, o.header, NULL);
		assert_same_shape(payload, o.payload, NULL);
		const char *recorded_hsm = json_string_value(json_object_get(
			json_object_get(
				json_object_get(json_object_get(payload, "response"), "key"),
				"key"),
			"key_hsm"));
		json_t *key_hsm = json_of_b64url(recorded_hsm, strlen(recorded_hsm));
		assert_same_shape(key_hsm, o.key_hsm, NULL);
		check_key(&o);
		json_decref(key_hsm);
		json_decref(header);
		json_decref(payload);
		opened_done(&o);
		answer_done(&a);
	}
	json_decref(all);
}

static void
each_wrap_algorithm_uses_its_hash(void **state)
{
	(void)state;
	static const char *const ways[][2] = {{"CKM_RSA_AES_KEY_WRAP", "SHA1"},
		{"RSA_AES_KEY_WRAP_256", "SHA256"}, {"RSA_AES_KEY_WRAP_384", "SHA384"}};
	for (size_t i = 0; i < 3; i++) {
		struct answer a = release(V, "rsa2048", token, ways[i][0]);
		struct opened o = open_answer(&a, ways[i][1]);
		assert_string_equal(json_string_value(json_object_get(
					    json_object_get(o.payload, "request"), "enc")),
			ways[i][0]);
		check_key(&o);
		opened_done(&o);
		answer_done(&a);
	}
	expect_refusal(release(V, "rsa2048", token, "RSA_AES_KEY_WRAP_512"), 400, "BadParameter",
		"Property enc", "");
}

/* Lengths of the AES-KWP part in the recordings: 80 and 296 (vault), 144 (Managed HSM). */
static void
private_keys_are_written_in_the_three_forms_that_were_seen(void **state)
{
	(void)state;
	static const struct {
		const char *name, *type, *form, *vault;
		size_t clear, kwp;
	} rows[] = {
		{"f1", "ec-p256", "auto", "akv", 67, 80},
		{"f2", "ec-p256k", "auto", "akv", 287, 296},
		{"f3", "ec-p256k", "auto", "mhsm", 135, 144},
		{"f4", "ec-p256", "public", "akv", 138, 152},
		{"f5", "ec-p256k", "named", "mhsm", 0, 0},
		{"f6", "ec-p384", "explicit", "akv", 0, 0},
		{"f7", "ec-p521", "auto", "mhsm", 241, 256},
		{"f8", "rsa-2048", "explicit", "akv", 0, 0},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		LAB_DO("key", "create", rows[i].name, "--type", rows[i].type, "--pkcs8",
			rows[i].form, "--vault", rows[i].vault);
		struct answer a = release(strcmp(rows[i].vault, "akv") == 0 ? V : M, rows[i].name,
			token, "RSA_AES_KEY_WRAP_256");
		struct opened o = open_answer(&a, "SHA256");
		if (rows[i].clear != 0) {
			assert_int_equal(o.clear.n, rows[i].clear);
			assert_int_equal(o.n_kwp, rows[i].kwp);
		}
		check_key(&o);
		opened_done(&o);
		answer_done(&a);
	}
	struct answer a = release(M, "aes256", token, "RSA_AES_KEY_WRAP_256");
	struct opened o = open_answer(&a, "SHA256");
	assert_int_equal(o.clear.n, 32);
	opened_done(&o);
	answer_done(&a);
}

static void
names_the_version_only_when_asked_by_version(void **state)
{
	(void)state;
	char path[256], want[512];
	struct answer a = http("GET", V, "/keys/ec256" API, vault_bearer(), NULL, NULL);
	const char *kid = json_string_value(json_object_get(json_object_get(a.json, "key"), "kid"));
	snprintf(want, sizeof want, "%s", kid);
	snprintf(path, sizeof path, "%s", strstr(kid, "/keys/") + 6);
	answer_done(&a);
	static const char *const unversioned[] = {"ec256", "ec256/"};
	a = release(V, path, token, NULL);
	struct opened o = open_answer(&a, "SHA1");
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(o.payload, "request"), "kid")),
		want);
	opened_done(&o);
	answer_done(&a);
	for (size_t i = 0; i < 2; i++) {
		a = release(V, unversioned[i], token, NULL);
		o = open_answer(&a, "SHA1");
		const char *kid2 = json_string_value(
			json_object_get(json_object_get(o.payload, "request"), "kid"));
		assert_int_equal(strlen(kid2), strlen(want) - 33);
		opened_done(&o);
		answer_done(&a);
	}
}

/* ---- refusals ------------------------------------------------------------------------------- */

static void
the_recorded_refusal_comes_back(void **state)
{
	(void)state;
	json_t *rec = recording("release-refused-akv-7.3-preview.json");
	const json_t *want = json_object_get(recorded_body(rec, "POST", "release", 0), "error");
	struct answer a =
		http("POST", V, "/keys/soft/create" API, vault_bearer(), "{\"kty\":\"RSA\"}", NULL);
	assert_int_equal(a.status, 200);
	answer_done(&a);
	a = release(V, "soft/", "target", NULL);
	json_t *error = json_object_get(a.json, "error");
	assert_int_equal(a.status, 403);
	/* but for the prefix, which tells it from refusals by access control */
	assert_int_equal(strncmp(answer_message(&a), "AKV.SKR.", 8), 0);
	json_object_set_new(error, "message", json_string(answer_message(&a) + 14));
	assert_true(json_equal(error, want));
	answer_done(&a);
	a = release(V, "soft", token, NULL);
	expect_refusal(
		a, 403, "Forbidden", "AKV.SKR.2003: The key is not exportable", "AccessDenied");
	json_decref(rec);
}

/* A token with another header, payload or signer. NULL: as in the good one. */
static char *
forge(const char *alg, const char *claim, json_t *value, EVP_PKEY *signer)
{
	const char *dot = strchr(token, '.'), *dot2 = strrchr(token, '.');
	json_t *header = json_of_b64url(token, (size_t)(dot - token));
	json_t *payload = json_of_b64url(dot + 1, (size_t)(dot2 - dot) - 1);
	struct vs_buf out = {0}, part = {0};
	struct vs_err err = {0};
	json_object_set_new(header, "alg", json_string(alg));
	if (claim != NULL)
		json_object_set_new(payload, claim, value);
	if (signer != NULL) {
		assert_ok(lab_jws_sign(signer, "RS256", header, payload, &out, &err), &err);
	} else {
		const json_t *parts[] = {header, payload};
		for (int i = 0; i < 2; i++) {
			char *text = json_dumps(parts[i], JSON_COMPACT);
			assert_ok(vs_b64url_encode(vs_bytes_str(text), &out, &err), &err);
			assert_ok(vs_buf_add_str(&out, i == 0 ? "." : dot2, &err), &err);
			free(text);
		}
	}
	vs_buf_done(&part);
	json_decref(header);
	json_decref(payload);
	return (char *)out.p;
}

static void
expect_not_verified(char *forged)
{
	expect_refusal(release(V, "rsa2048", forged, NULL), 403, "Forbidden", NOT_VERIFIED,
		"AccessDenied");
	free(forged);
}

static void
refuses_tokens_that_are_not_what_they_say(void **state)
{
	(void)state;
	int code = -1;
	EVP_PKEY *mine = EVP_RSA_gen(2048);
	char *other = NULL;
	expect_not_verified(strdup("not a token"));
	expect_not_verified(strdup("eyJhbGciOiJSUzI1NiJ9.e30.AAAA"));
	expect_not_verified(forge("none", NULL, NULL, NULL));
	expect_not_verified(forge("HS256", NULL, NULL, NULL));
	expect_not_verified(forge("RS256", "extra", json_true(), NULL));
	expect_not_verified(forge("RS256", NULL, NULL, mine));
	expect_not_verified(forge("RS256", "iss", json_string("https://localhost:1"), mine));
	expect_not_verified(forge("RS256", "iss", json_string(labkit_var("AUTHORITY_URL")), mine));
	other = strdup(token);
	char *sig = strrchr(other, '.') + 5;
	*sig = *sig == 'A' ? 'B' : 'A';
	expect_not_verified(other);
	other = LAB(&code, "token", "--expired");
	assert_int_equal(code, 0);
	other[strcspn(other, "\n")] = '\0';
	expect_not_verified(other);
	EVP_PKEY_free(mine);
}

static void
write_policy(const char *claim, const char *value, char path[128])
{
	snprintf(path, 128, "%s/certs/policy.test", labkit_var("DIR"));
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f,
		"{\"version\":\"1.0.0\",\"anyOf\":[{\"authority\":\"%s/"
		"\",\"allOf\":[{\"claim\":\"%s\","
		"\"equals\":%s}]}]}",
		labkit_var("MAA_URL"), claim, value);
	fclose(f);
}

static void
the_keys_policy_decides(void **state)
{
	(void)state;
	static const struct {
		const char *claim, *value;
		bool met;
	} rows[] = {
		{"secureboot", "true", true},
		{"secureboot", "\"true\"", true},
		{"secureboot", "\"True\"", false},
		{"secureboot", "false", false},
		{"secureboot", "1", false},
		{"x-ms-attestation-type", "\"azurevm\"", true},
		{"x-ms-attestation-type", "\"sevsnpvm\"", false},
		{"x-ms-isolation-tee.x-ms-attestation-type", "\"sevsnpvm\"", true},
		{"x-ms-isolation-tee.x-ms-sevsnpvm-vmpl", "\"0\"", true},
		{"x-ms-isolation-tee.x-ms-sevsnpvm-vmpl", "0", true},
		{"x-ms-isolation-tee.x-ms-sevsnpvm-vmpl", "1", false},
		{"x-ms-isolation-tee", "\"\"", false},
		{"no-such-claim", "\"\"", false},
		{"x-ms-runtime.keys", "\"\"", false},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char path[128], name[32];
		write_policy(rows[i].claim, rows[i].value, path);
		snprintf(name, sizeof name, "policy%zu", i);
		LAB_DO("key", "create", name, "--type", "ec-p256", "--policy", path);
		struct answer a = release(V, name, token, NULL);
		if ((a.status == 200) != rows[i].met)
			fail_msg("%s equals %s gives %ld", rows[i].claim, rows[i].value, a.status);
		if (rows[i].met)
			answer_done(&a);
		else
			expect_refusal(a, 403, "Forbidden", NOT_MET, "AccessDenied");
	}
}

static void
disabled_deleted_and_unknown_keys_stay(void **state)
{
	(void)state;
	LAB_DO("key", "create", "off", "--type", "ec-p256");
	LAB_DO("key", "disable", "off");
	expect_refusal(release(V, "off", token, NULL), 403, "Forbidden",
		"Operation release is not allowed on a disabled key.", "KeyDisabled");
	LAB_DO("key", "enable", "off");
	struct answer a = release(V, "off", token, NULL);
	assert_int_equal(a.status, 200);
	answer_done(&a);
	LAB_DO("key", "delete", "off");
	expect_refusal(release(V, "off", token, NULL), 404, "KeyNotFound", "A key with", "");
	expect_refusal(release(V, "never", token, NULL), 404, "KeyNotFound", "A key with", "");
	expect_refusal(release(V, "rsa2048/00000000000000000000000000000000", token, NULL), 404,
		"KeyNotFound", "A key with", "");
}

static void
refuses_bodies_without_a_target(void **state)
{
	(void)state;
	static const char *const bodies[] = {"{}", "{\"target\":\"\"}", "{\"target\":7}",
		"{\"target\":\"x\",\"nonce\":7}", "[]", "{", "",
		"{\"target\":\"a\",\"target\":\"b\"}"};
	for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
		struct answer a = http(
			"POST", V, "/keys/rsa2048/release" API, vault_bearer(), bodies[i], NULL);
		assert_int_equal(a.status, 400);
		answer_done(&a);
	}
	struct answer a = http("POST", V, "/keys/rsa2048/release" API, vault_bearer(),
		"{\"target\":\"x\"}", "Content-Type: text/plain");
	assert_int_equal(a.status, 400);
	answer_done(&a);
}

static void
the_vault_limits_ten_in_ten_seconds(void **state)
{
	(void)state;
	LAB_DO("throttle", "on");
	for (int i = 0; i < 10; i++) {
		struct answer a = release(V, "ec256", token, NULL);
		assert_int_equal(a.status, 200);
		answer_done(&a);
	}
	struct answer a = release(V, "ec256", token, NULL);
	assert_true(strtoul(answer_header(&a, "retry-after"), NULL, 10) >= 1);
	expect_refusal(
		a, 429, "Throttled", "Request was not processed", "VaultRequestTypeLimitReached");
	a = release(M, "ec256", token, NULL);
	assert_int_equal(a.status, 200);
	answer_done(&a);
	LAB_DO("throttle", "off");
}

static int
up(void **state)
{
	int code = -1;
	(void)state;
	labkit_up();
	LAB_DO("throttle", "off");
	char *text = LAB(&code, "token", "--software-key");
	json_t *j = json_loads(text, 0, NULL);
	free(text);
	if (code != 0 || j == NULL)
		return -1;
	const char *pem = json_string_value(json_object_get(j, "private_key_pem"));
	token = strdup(json_string_value(json_object_get(j, "token")));
	BIO *bio = BIO_new_mem_buf(pem, -1);
	software_key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	BIO_free(bio);
	json_decref(j);
	return software_key != NULL ? 0 : -1;
}

static int
down(void **state)
{
	(void)state;
	labkit_down();
	EVP_PKEY_free(software_key);
	free(token);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_have_the_recorded_shape_in_both_flavours),
		cmocka_unit_test(each_wrap_algorithm_uses_its_hash),
		cmocka_unit_test(private_keys_are_written_in_the_three_forms_that_were_seen),
		cmocka_unit_test(names_the_version_only_when_asked_by_version),
		cmocka_unit_test(the_recorded_refusal_comes_back),
		cmocka_unit_test(refuses_tokens_that_are_not_what_they_say),
		cmocka_unit_test(the_keys_policy_decides),
		cmocka_unit_test(disabled_deleted_and_unknown_keys_stay),
		cmocka_unit_test(refuses_bodies_without_a_target),
		cmocka_unit_test(the_vault_limits_ten_in_ten_seconds),
	};
	return cmocka_run_group_tests(tests, up, down);
}
