/* SPDX-License-Identifier: BSD-2-Clause */
/* The lab's attestation service as its clients see it: answers, tokens, key set, policies. */
#include "unit/unit.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <sys/stat.h>
#include <time.h>

#include "base/codec.h"
#include "lab/lab_entra.h"
#include "lab/lab_fixture.h"
#include "lab/lab_maa.h"
#include "lab/lab_policy.h"

static struct fixture f;

static int
start(void **state)
{
	(void)state;
	struct vs_err err = {0};
	struct lab_keygen_job jobs[4];
	struct lab_keygen_pool *pool = NULL;
	size_t n = 0;
	fixture_start(&f, "maa");
	assert_ok(lab_maa_new(&f.lab, &f.lab.maa, &err), &err);
	assert_ok(lab_entra_alloc(&f.lab.entra, jobs, &n, &err), &err);
	assert_ok(lab_keygen_start(jobs, n, &pool, &err), &err);
	assert_ok(lab_keygen_wait(pool, &err), &err);
	char secrets[300];
	snprintf(secrets, sizeof secrets, "%s/secrets", f.lab.dir);
	assert_int_equal(mkdir(secrets, 0700), 0);
	assert_ok(lab_entra_ready(&f.lab, &err), &err);
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	lab_maa_free(f.lab.maa);
	lab_entra_free(f.lab.entra);
	fixture_stop(&f);
	return 0;
}

/* One request to the service. */
struct call {
	const char *method, *path, *version, *bearer;
	struct vs_bytes body;
	struct lab_resp resp;
};

static void
call_done(struct call *c)
{
	lab_resp_done(&c->resp);
}

static json_t *
call(struct call *c)
{
	struct lab_req req = {.service = LAB_MAA,
		.method = c->method,
		.path = c->path,
		.target = c->path,
		.body = c->body};
	if (c->version)
		req.query[req.n_query++] = (struct lab_pair){"api-version", c->version};
	if (c->bearer)
		req.headers[req.n_headers++] = (struct lab_pair){"authorization", c->bearer};
	lab_resp_done(&c->resp);
	memset(&c->resp, 0, sizeof c->resp);
	lab_maa_handle(&f.lab, &req, &c->resp);
	assert_string_equal(c->resp.content_type, "application/json; charset=utf-8");
	json_t *o = json_loadb((const char *)c->resp.body.p, c->resp.body.n, 0, NULL);
	assert_non_null(o);
	return o;
}

static const char *
error_of(const json_t *o, const char *member)
{
	const char *s = json_string_value(json_object_get(json_object_get(o, "error"), member));
	return s ? s : "";
}

/* Part of a compact token as text. */
static struct vs_buf
part_of(const char *token, int n)
{
	struct vs_err err = {0};
	struct vs_buf out = {0};
	for (; n > 0; n--) {
		token = strchr(token, '.');
		assert_non_null(token);
		token++;
	}
	assert_ok(vs_b64url_decode(vs_bytes_of(token, strcspn(token, ".")), &out, &err), &err);
	return out;
}

static json_t *
json_of(const char *token, int n)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf b = part_of(token, n);
	json_t *o = json_loadb((const char *)b.p, b.n, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(o);
	return o;
}

static json_t *
jwks(void)
{
	VS_CLEANUP(call_done) struct call c = {.method = "GET", .path = "/certs"};
	json_t *o = call(&c);
	assert_int_equal(c.resp.status, 200);
	return o;
}

/* The key of the set that the token names, from its certificate. */
static EVP_PKEY *
key_of(const char *token)
{
	json_t *head = json_of(token, 0), *set = jwks(), *keys = json_object_get(set, "keys");
	const char *kid = json_string_value(json_object_get(head, "kid"));
	EVP_PKEY *key = NULL;
	for (size_t i = 0; i < json_array_size(keys); i++) {
		const json_t *k = json_array_get(keys, i);
		if (strcmp(json_string_value(json_object_get(k, "kid")), kid) != 0)
			continue;
		VS_CLEANUP(vs_buf_done) struct vs_buf der = {0};
		const char *x5c = json_string_value(json_array_get(json_object_get(k, "x5c"), 0));
		assert_false(vs_failed(vs_b64_decode(vs_bytes_str(x5c), &der, NULL)));
		const unsigned char *p = der.p;
		X509 *cert = d2i_X509(NULL, &p, (long)der.n);
		assert_non_null(cert);
		assert_int_equal(X509_cmp_current_time(X509_get0_notAfter(cert)), 1);
		key = X509_get_pubkey(cert);
		X509_free(cert);
	}
	json_decref(head);
	json_decref(set);
	assert_non_null(key);
	return key;
}

static void
assert_signed(const char *token)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf sig = part_of(token, 2);
	EVP_PKEY *key = key_of(token);
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	assert_true(EVP_PKEY_get_bits(key) >= 2048);
	assert_int_equal(EVP_DigestVerifyInit(md, NULL, EVP_sha256(), NULL, key), 1);
	assert_int_equal(EVP_DigestVerify(md, sig.p, sig.n, (const uint8_t *)token,
				 (size_t)(strrchr(token, '.') - token)),
		1);
	EVP_MD_CTX_free(md);
	EVP_PKEY_free(key);
}

/* {"AttestationInfo":...} of a JSON object. */
static char *
body_of(const json_t *info, const char *member)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf b = {.max = 4 << 20};
	char *text = json_dumps(info, JSON_COMPACT);
	assert_false(vs_failed(vs_b64url_encode(vs_bytes_str(text), &b, NULL)));
	free(text);
	json_t *o = json_pack("{s:s}", member, vs_buf_cstr(&b));
	text = json_dumps(o, 0);
	json_decref(o);
	return text;
}

/* Attest as a guest: the whole way to the token; NULL when refused, and then error has the code. */
static char *
attest(const char *member, char error[64])
{
	struct vs_err err = {0};
	struct lab_guest *guest = NULL;
	json_t *info = NULL;
	static const uint8_t nonce[32] = {0xfb, 0xff, 0xbf, 7};
	VS_CLEANUP(vs_buf_done) struct vs_buf token = {0};
	assert_ok(lab_guest_start(f.lab.machine, &guest, &err), &err);
	assert_ok(
		lab_guest_collect(guest, &(struct lab_guest_options){.nonce = nonce}, &info, &err),
		&err);
	char *body = body_of(info, member);
	VS_CLEANUP(call_done)
	struct call c = {.method = "POST",
		.path = "/attest/AzureGuest",
		.version = "2020-10-01",
		.body = vs_bytes_str(body)};
	json_t *o = call(&c);
	if (c.resp.status == 200)
		assert_ok(lab_guest_unwrap(guest, vs_buf_view(&c.resp.body), &token, &err), &err);
	else
		snprintf(error, 64, "%d %s", c.resp.status, error_of(o, "code"));
	json_decref(o);
	json_decref(info);
	free(body);
	lab_guest_stop(guest);
	return token.n ? strdup(vs_buf_cstr(&token)) : NULL;
}

static void
gives_a_token_that_only_the_machine_can_open(void **state)
{
	(void)state;
	char error[64] = "";
	char *token = attest("AttestationInfo", error);
	assert_string_equal(error, "");
	assert_signed(token);
	json_t *head = json_of(token, 0), *claims = json_of(token, 1);
	assert_string_equal(json_string_value(json_object_get(head, "alg")), "RS256");
	assert_string_equal(
		json_string_value(json_object_get(head, "jku")), "https://localhost:4711/certs");
	const json_t *payload =
		json_object_get(json_object_get(claims, "x-ms-runtime"), "client-payload");
	assert_string_equal(json_string_value(json_object_get(payload, "nonce")),
		"+/+/BwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
	assert_string_equal(
		json_string_value(json_object_get(claims, "iss")), "https://localhost:4711");
	assert_true(json_is_true(json_object_get(claims, "vouchsafe-lab")));
	assert_true(json_is_true(
		json_object_get(json_object_get(claims, "x-ms-policy"), "vouchsafe-lab")));
	const json_int_t iat = json_integer_value(json_object_get(claims, "iat"));
	assert_int_equal(json_integer_value(json_object_get(claims, "exp")), iat + 28800);
	assert_int_equal(json_integer_value(json_object_get(claims, "nbf")), iat);
	assert_int_equal(json_string_length(json_object_get(claims, "jti")), 64);
	/* Compact, members sorted, as the service writes it. */
	VS_CLEANUP(vs_buf_done) struct vs_buf text = part_of(token, 1);
	char *sorted = json_dumps(claims, JSON_COMPACT | JSON_SORT_KEYS);
	assert_string_equal(sorted, vs_buf_cstr(&text));
	free(sorted);
	json_decref(head);
	json_decref(claims);
	free(token);
	/* Member names are matched without case. */
	token = attest("attestationInfo", error);
	assert_non_null(token);
	free(token);
}

/* Each member of the real token is there with the same type; ours that are not there are known. */
static void
same_shape(const json_t *real, const json_t *ours, const char *path, const char *const *extra)
{
	const char *name = NULL;
	json_t *v = NULL;
	char at[256];
	json_object_foreach ((json_t *)(uintptr_t)real, name, v) {
		const json_t *mine = json_object_get(ours, name);
		snprintf(at, sizeof at, "%s/%s", path, name);
		if (!mine ||
			(json_typeof(mine) != json_typeof(v) &&
				!(json_is_boolean(mine) && json_is_boolean(v))))
			fail_msg("%s is missing or has another type", at);
		same_shape(v, mine, at, extra);
		if (json_is_array(v))
			same_shape(json_array_get(v, 0), json_array_get(mine, 0), at, extra);
	}
	json_object_foreach ((json_t *)(uintptr_t)ours, name, v) {
		bool known = json_object_get(real, name) != NULL;
		snprintf(at, sizeof at, "%s/%s", path, name);
		for (size_t i = 0; extra[i] && !known; i++)
			known = strncmp(at, extra[i], strlen(extra[i])) == 0;
		if (!known)
			fail_msg("%s is not in the real token", at);
	}
}

static void
writes_tokens_like_the_real_ones(void **state)
{
	(void)state;
	/* Documented additions since those tokens were issued, and the lab's mark. */
	static const char *const extra[] = {"/vouchsafe-lab", "/x-ms-policy",
		"/x-ms-azurevm-attested-pcr-values",
		"/x-ms-isolation-tee/x-ms-sevsnpvm-chip-family",
		"/x-ms-isolation-tee/x-ms-sevsnpvm-chipid",
		"/x-ms-isolation-tee/x-ms-sevsnpvm-ciphertext-hiding-dram-enabled",
		"/x-ms-isolation-tee/x-ms-sevsnpvm-cxl-allowed",
		"/x-ms-isolation-tee/x-ms-sevsnpvm-mem-aes256-xts-required",
		"/x-ms-isolation-tee/x-ms-sevsnpvm-page-swap-disabled",
		"/x-ms-isolation-tee/x-ms-sevsnpvm-rapl-disabled",
		"/x-ms-isolation-tee/x-ms-sevsnpvm-singlesocket",
		"/x-ms-isolation-tee/x-ms-runtime/user-data",
		"/x-ms-isolation-tee/x-ms-runtime/vm-configuration/tpm-persisted", NULL};
	static const char *const files[] = {"maa/tokens/azurevm-linux-snp-sharedwus-2022-09-07.jwt",
		"maa/tokens/azurevm-windows-snp-sharedweu-2023-03-30.jwt"};
	char error[64] = "";
	char *token = attest("AttestationInfo", error);
	json_t *ours = json_of(token, 1), *our_head = json_of(token, 0);
	for (size_t i = 0; i < 2; i++) {
		VS_CLEANUP(vs_buf_done) struct vs_buf text = fixture_file(files[i]);
		json_t *real = json_of(vs_buf_cstr(&text), 1),
		       *head = json_of(vs_buf_cstr(&text), 0);
		/* The time of the report went out of the runtime claims with the next paravisor. */
		json_object_del(
			json_object_get(json_object_get(json_object_get(real, "x-ms-isolation-tee"),
						"x-ms-runtime"),
				"vm-configuration"),
			"current-time");
		same_shape(real, ours, "", extra);
		same_shape(head, our_head, "", extra);
		VS_CLEANUP(vs_buf_done) struct vs_buf head_text = part_of(vs_buf_cstr(&text), 0);
		assert_memory_equal(head_text.p, "{\"alg\":\"RS256\",\"jku\":\"https://", 30);
		json_decref(real);
		json_decref(head);
	}
	json_decref(ours);
	json_decref(our_head);
	free(token);
}

static void
lists_a_short_and_an_expired_key_beside_the_good_one(void **state)
{
	(void)state;
	json_t *set = jwks(), *keys = json_object_get(set, "keys");
	bool is_short = false, expired = false, good = false;
	assert_int_equal(json_array_size(keys), 3);
	for (size_t i = 0; i < 3; i++) {
		const json_t *k = json_array_get(keys, i);
		VS_CLEANUP(vs_buf_done) struct vs_buf der = {0}, kid = {0}, n = {0};
		uint8_t digest[32], modulus[512];
		const char *x5c = json_string_value(json_array_get(json_object_get(k, "x5c"), 0));
		assert_false(vs_failed(vs_b64_decode(vs_bytes_str(x5c), &der, NULL)));
		const unsigned char *p = der.p;
		X509 *cert = d2i_X509(NULL, &p, (long)der.n);
		EVP_PKEY *key = X509_get0_pubkey(cert);
		BIO *bio = BIO_new(BIO_s_mem());
		char *pem = NULL;
		assert_int_equal(PEM_write_bio_PUBKEY(bio, key), 1);
		const long pem_n = BIO_get_mem_data(bio, &pem);
		char *with_nul = calloc(1, (size_t)pem_n + 1);
		memcpy(with_nul, pem, (size_t)pem_n);
		SHA256((const uint8_t *)with_nul, (size_t)pem_n + 1, digest);
		free(with_nul);
		BIO_free(bio);
		assert_false(vs_failed(vs_b64_encode(vs_bytes_of(digest, 32), &kid, NULL)));
		assert_string_equal(
			json_string_value(json_object_get(k, "kid")), vs_buf_cstr(&kid));
		BIGNUM *bn = NULL;
		assert_int_equal(EVP_PKEY_get_bn_param(key, "n", &bn), 1);
		const size_t bytes = (size_t)BN_bn2bin(bn, modulus);
		BN_free(bn);
		assert_false(vs_failed(vs_b64url_encode(vs_bytes_of(modulus, bytes), &n, NULL)));
		assert_string_equal(json_string_value(json_object_get(k, "n")), vs_buf_cstr(&n));
		char cn[64] = "";
		X509_NAME_get_text_by_NID(
			X509_get_subject_name(cert), NID_commonName, cn, sizeof cn);
		assert_string_equal(cn, "https://localhost:4711");
		assert_int_equal(X509_verify(cert, key), 1);
		const bool ended = X509_cmp_current_time(X509_get0_notAfter(cert)) < 0;
		is_short = is_short || bytes == 128;
		expired = expired || (ended && bytes == 256);
		good = good || (!ended && bytes == 256);
		X509_free(cert);
	}
	assert_true(is_short && expired && good);
	json_decref(set);
}

static void
can_show_the_key_set_of_before_2026(void **state)
{
	(void)state;
	lab_maa_set_jwk_full(f.lab.maa, false);
	json_t *set = jwks();
	const json_t *k = json_array_get(json_object_get(set, "keys"), 1);
	assert_int_equal(json_object_size(k), 3);
	assert_true(json_object_get(k, "x5c") && json_object_get(k, "kid") &&
		json_object_get(k, "kty"));
	json_decref(set);
	lab_maa_set_jwk_full(f.lab.maa, true);
	set = jwks();
	assert_int_equal(json_object_size(json_array_get(json_object_get(set, "keys"), 1)), 7);
	json_decref(set);
}

static void
describes_itself(void **state)
{
	(void)state;
	VS_CLEANUP(call_done)
	struct call c = {.method = "GET", .path = "/.well-known/openid-configuration"};
	json_t *o = call(&c);
	assert_string_equal(
		json_string_value(json_object_get(o, "issuer")), "https://localhost:4711");
	assert_string_equal(
		json_string_value(json_object_get(o, "jwks_uri")), "https://localhost:4711/certs");
	assert_int_equal(json_object_size(o), 6);
	assert_non_null(strstr(vs_buf_cstr(&c.resp.head), "Server: Kestrel\r\n"));
	assert_non_null(strstr(vs_buf_cstr(&c.resp.head), "x-ms-request-id: 00-"));
	assert_non_null(strstr(vs_buf_cstr(&c.resp.head), "x-ms-maa-service-version: "));
	json_decref(o);
}

static void
expect_error(const char *method, const char *path, const char *version, const char *body,
	int status, const char *code)
{
	VS_CLEANUP(call_done)
	struct call c = {
		.method = method, .path = path, .version = version, .body = vs_bytes_str(body)};
	json_t *o = call(&c);
	assert_int_equal(c.resp.status, status);
	assert_string_equal(error_of(o, "code"), code);
	assert_true(strlen(error_of(o, "message")) > 10);
	assert_true(c.resp.chunked);
	json_decref(o);
}

static void
refuses_requests_that_are_none(void **state)
{
	(void)state;
	static const char path[] = "/attest/AzureGuest", v[] = "2025-06-01",
			  code[] = "InvalidParameter";
	expect_error("POST", path, NULL, "{}", 400, code);
	expect_error("POST", path, "2019-01-01", "{}", 400, code);
	expect_error("GET", path, v, "", 405, "MethodNotAllowed");
	expect_error("POST", path, v, "", 400, code);
	expect_error("POST", path, v, "[]", 400, code);
	expect_error("POST", path, v, "{\"AttestationInfo\":1}", 400, code);
	expect_error("POST", path, v, "{\"AttestationInfo\":\"?\"}", 400, code);
	expect_error("POST", path, v, "{\"AttestationInfo\":\"e30\"}", 400, code);
	expect_error("POST", path, v, "{\"AttestationInfo\":\"e30\",\"AttestationInfo\":\"e30\"}",
		400, code);
	expect_error("POST", path, v, "{\"AttestationInfo\":\"bm8gSlNPTg\"}", 400, code);
	expect_error("POST", "/attest/Tpm", v, "{}", 404, "NotFound");
	expect_error("POST", "/attest/", v, "{}", 404, "NotFound");
	expect_error("GET", "/nothing", v, "", 404, "NotFound");
	expect_error("POST", "/certs", v, "", 404, "NotFound");
}

static void
names_the_check_that_failed(void **state)
{
	(void)state;
	json_t *info =
		fixture_collect(f.lab.machine, &(struct lab_guest_options){.weak_policy = true});
	char *body = body_of(info, "AttestationInfo");
	VS_CLEANUP(call_done)
	struct call c = {.method = "POST",
		.path = "/attest/azureguest",
		.version = "2020-10-01",
		.body = vs_bytes_str(body)};
	json_t *o = call(&c);
	assert_int_equal(c.resp.status, 400);
	assert_string_equal(error_of(o, "code"), "InvalidParameter");
	assert_non_null(strstr(error_of(o, "message"), "Check EncKeyPolicy failed: "));
	const json_t *inner = json_object_get(json_object_get(o, "error"), "innererror");
	assert_string_equal(json_string_value(json_object_get(inner, "code")), "EncKeyPolicy");
	json_decref(o);
	json_decref(info);
	free(body);
}

/* The answer is useless in another state than the attested one. */
static void
cannot_be_opened_after_a_pcr_changed(void **state)
{
	(void)state;
	struct vs_err err = {0};
	struct lab_guest *guest = NULL;
	json_t *info = NULL;
	VS_CLEANUP(vs_buf_done) struct vs_buf token = {0};
	assert_ok(lab_guest_start(f.lab.machine, &guest, &err), &err);
	assert_ok(lab_guest_collect(guest, &(struct lab_guest_options){0}, &info, &err), &err);
	char *body = body_of(info, "AttestationInfo");
	VS_CLEANUP(call_done)
	struct call c = {.method = "POST",
		.path = "/attest/AzureGuest",
		.version = "2020-10-01",
		.body = vs_bytes_str(body)};
	json_decref(call(&c));
	assert_int_equal(c.resp.status, 200);
	fixture_tamper(&f, "pcr 5");
	assert_code(lab_guest_unwrap(guest, vs_buf_view(&c.resp.body), &token, &err), TPM);
	lab_guest_stop(guest);
	json_decref(info);
	free(body);
	fixture_tamper(&f, "undo");
}

static void
asks_its_policy(void **state)
{
	(void)state;
	struct vs_err err = {0};
	char error[64] = "";
	static const char text[] =
		"version= 1.0;authorizationrules{"
		"[type==\"x-ms-sevsnpvm-is-debuggable\", value==false] && "
		"[type==\"x-ms-attestation-type\", value==\"azurevm\"] => permit();};"
		"issuancerules{c:[type==\"x-ms-azurevm-vmid\"] => issue(type=\"vm\", "
		"value=c.value);};";
	assert_ok(lab_maa_set_policy(f.lab.maa, "azureguest", text, &err), &err);
	char *token = attest("AttestationInfo", error);
	json_t *claims = json_of(token, 1);
	VS_CLEANUP(vs_buf_done) struct vs_buf hash = {0};
	assert_ok(lab_policy_hash(vs_bytes_str(text), &hash, &err), &err);
	assert_string_equal(
		json_string_value(json_object_get(claims, "x-ms-policy-hash")), vs_buf_cstr(&hash));
	static const char vm[] = "D3FD4B09-37A3-40D5-8F2A-EA80762213CC";
	assert_string_equal(json_string_value(json_object_get(claims, "vm")), vm);
	assert_null(json_object_get(claims, "vouchsafe-lab"));
	json_decref(claims);
	free(token);
	fixture_tamper(&f, "debug-bit");
	assert_null(attest("AttestationInfo", error));
	assert_string_equal(error, "400 PolicyEvaluationError");
	fixture_tamper(&f, "undo");
	assert_ok(lab_maa_set_policy(f.lab.maa, "AzureGuest",
			  "version=1.0;authorizationrules{=>permit();=>deny();};", &err),
		&err);
	assert_null(attest("AttestationInfo", error));
	assert_string_equal(error, "400 PolicyValidationFailure");
	assert_code(lab_maa_set_policy(f.lab.maa, "AzureGuest", "version=1.0;", &err), FORMAT);
	assert_code(lab_maa_set_policy(f.lab.maa, "Nothing", NULL, &err), USAGE);
	assert_ok(lab_maa_set_policy(f.lab.maa, "AzureGuest", NULL, &err), &err);
	token = attest("AttestationInfo", error);
	assert_non_null(token);
	free(token);
}

/* A policy cannot give a claim another value than the service found. */
static void
keeps_its_own_claims_from_the_policy(void **state)
{
	(void)state;
	struct vs_err err = {0};
	char error[64] = "";
	assert_ok(lab_maa_set_policy(f.lab.maa, "AzureGuest",
			  "version=1.0;authorizationrules{=>permit();};issuancerules{"
			  "=>issue(type=\"secureboot\", value=false);=>issue(type=\"exp\", "
			  "value=1);};",
			  &err),
		&err);
	char *token = attest("AttestationInfo", error);
	json_t *claims = json_of(token, 1);
	assert_true(json_is_true(json_object_get(claims, "secureboot")));
	assert_true(json_integer_value(json_object_get(claims, "exp")) > 1);
	json_decref(claims);
	free(token);
	assert_ok(lab_maa_set_policy(f.lab.maa, "AzureGuest", NULL, &err), &err);
}

static void
gives_tokens_for_clients_without_a_tpm(void **state)
{
	(void)state;
	struct vs_err err = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf out = {0}, expired = {0};
	assert_ok(lab_maa_token(f.lab.maa, false, true, &out, &err), &err);
	json_t *o = json_loadb((const char *)out.p, out.n, 0, NULL);
	const char *token = json_string_value(json_object_get(o, "token"));
	const char *pem = json_string_value(json_object_get(o, "private_key_pem"));
	assert_signed(token);
	json_t *claims = json_of(token, 1);
	const json_t *k =
		json_array_get(json_object_get(json_object_get(claims, "x-ms-runtime"), "keys"), 0);
	BIO *bio = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	BIGNUM *n = NULL;
	uint8_t modulus[256];
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {0};
	assert_int_equal(EVP_PKEY_get_bn_param(key, "n", &n), 1);
	assert_int_equal(BN_bn2bin(n, modulus), 256);
	assert_false(vs_failed(vs_b64url_encode(vs_bytes_of(modulus, 256), &text, NULL)));
	assert_string_equal(json_string_value(json_object_get(k, "n")), vs_buf_cstr(&text));
	assert_string_equal(
		json_string_value(json_object_get(k, "kid")), "TpmEphemeralEncryptionKey");
	BN_free(n);
	EVP_PKEY_free(key);
	BIO_free(bio);
	json_decref(claims);
	json_decref(o);
	assert_ok(lab_maa_token(f.lab.maa, true, false, &expired, &err), &err);
	assert_signed(vs_buf_cstr(&expired));
	claims = json_of(vs_buf_cstr(&expired), 1);
	assert_true(json_integer_value(json_object_get(claims, "exp")) < time(NULL) - 3000);
	json_decref(claims);
	fixture_tamper(&f, "pcr 0");
	VS_CLEANUP(vs_buf_done) struct vs_buf none = {0};
	assert_code(lab_maa_token(f.lab.maa, false, true, &none, &err), REFUSED_ATTESTATION);
	assert_int_equal(none.n, 0);
	fixture_tamper(&f, "undo");
}

static void
follows_a_wrong_clock(void **state)
{
	(void)state;
	char error[64] = "";
	static const char *const shifts[] = {"clock +86400", "clock -86400"};
	for (int i = 0; i < 2; i++) {
		fixture_tamper(&f, shifts[i]);
		char *token = attest("AttestationInfo", error);
		json_t *claims = json_of(token, 1);
		const json_int_t off =
			json_integer_value(json_object_get(claims, "iat")) - time(NULL);
		assert_true(i == 0 ? off > 86000 : off < -86000);
		json_decref(claims);
		free(token);
	}
	fixture_tamper(&f, "undo");
}

/* The answer of a policy call is a token, too. */
static json_t *
policy_call(struct call *c)
{
	json_t *o = call(c);
	if (c->resp.status != 200)
		fail_msg("%d %s: %s", c->resp.status, error_of(o, "code"), error_of(o, "message"));
	const char *token = json_string_value(json_object_get(o, "token"));
	assert_signed(token);
	json_t *claims = json_of(token, 1);
	const json_int_t iat = json_integer_value(json_object_get(claims, "iat"));
	assert_int_equal(json_integer_value(json_object_get(claims, "exp")), iat + 3600);
	json_decref(o);
	return claims;
}

static void
lets_its_policies_be_read_and_changed_with_a_bearer(void **state)
{
	(void)state;
	struct vs_err err = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf bearer = {0}, hash = {0};
	VS_CLEANUP(vs_buf_done)
	struct vs_buf jws = fixture_file("lab/policies/default-sgxenclave-v1.1-shared-2022-11.jws");
	static const char path[] = "/policies/SgxEnclave", v[] = "2020-10-01";
	expect_error("GET", path, v, "", 401, "Unauthorized");
	expect_error("PUT", path, v, vs_buf_cstr(&jws), 401, "Unauthorized");
	assert_ok(vs_buf_add_str(&bearer, "Bearer ", &err), &err);
	assert_ok(lab_entra_token(
			  &f.lab, LAB_ID_SECRET, "https://attest.azure.net", 600, &bearer, &err),
		&err);
	while (jws.n > 0 && jws.p[jws.n - 1] == '\n')
		jws.n--;
	VS_CLEANUP(call_done)
	struct call c = {.method = "PUT",
		.path = path,
		.version = v,
		.bearer = vs_buf_cstr(&bearer),
		.body = vs_buf_view(&jws)};
	json_t *claims = policy_call(&c);
	uint8_t digest[32];
	SHA256(jws.p, jws.n, digest);
	assert_ok(vs_b64url_encode(vs_bytes_of(digest, 32), &hash, &err), &err);
	assert_string_equal(
		json_string_value(json_object_get(claims, "x-ms-policy-result")), "Updated");
	assert_string_equal(json_string_value(json_object_get(claims, "x-ms-policy-token-hash")),
		vs_buf_cstr(&hash));
	json_decref(claims);
	c.method = "GET";
	claims = policy_call(&c);
	assert_int_equal(json_string_length(json_object_get(claims, "x-ms-policy")), jws.n);
	json_decref(claims);
	c.method = "POST";
	c.path = "/policies/sgxenclave:reset";
	c.body = vs_bytes_str("eyJhbGciOiJub25lIn0..");
	claims = policy_call(&c);
	assert_string_equal(
		json_string_value(json_object_get(claims, "x-ms-policy-result")), "Removed");
	json_decref(claims);
	/* Not a JWS, an unsigned one with a signature, a text that does not parse. */
	c.method = "PUT";
	c.path = path;
	static const char *const bad[] = {"", "a.b", "eyJhbGciOiJub25lIn0.e30.",
		"eyJhbGciOiJub25lIn0.eyJBdHRlc3RhdGlvblBvbGljeSI6ImRtVnljMmx2YmowIn0.AAAA",
		"eyJhbGciOiJSUzI1NiJ9.eyJBdHRlc3RhdGlvblBvbGljeSI6ImRtVnljMmx2YmowIn0.AAAA",
		"eyJhbGciOiJub25lIn0.eyJBdHRlc3RhdGlvblBvbGljeSI6ImRtVnljMmx2YmowIn0."};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		c.body = vs_bytes_str(bad[i]);
		json_decref(call(&c));
		assert_int_equal(c.resp.status, 400);
	}
}

/* SevSnpVm: the machine's own report. */
static json_t *
snp_body(const json_t *info, const char *data_type)
{
	const json_t *ev = json_object_get(json_object_get(info, "IsolationInfo"), "Evidence");
	json_t *o = json_pack("{s:O}", "report", json_object_get(ev, "Proof"));
	if (data_type)
		json_object_set_new(o, "runtimeData",
			json_pack("{s:O,s:s}", "data", json_object_get(ev, "RunTimeData"),
				"dataType", data_type));
	return o;
}

static json_t *
snp_call(const json_t *body, int status, const char *inner)
{
	char *text = json_dumps(body, 0);
	VS_CLEANUP(call_done)
	struct call c = {.method = "POST",
		.path = "/attest/SevSnpVm",
		.version = "2022-08-01",
		.body = vs_bytes_str(text)};
	json_t *o = call(&c), *claims = NULL;
	if (c.resp.status != status)
		fail_msg("%d %s: %s", c.resp.status, error_of(o, "code"), error_of(o, "message"));
	if (status == 200) {
		const char *token = json_string_value(json_object_get(o, "token"));
		if (!json_object_get(body, "draftPolicyForAttestation"))
			assert_signed(token);
		else
			assert_int_equal(token[strlen(token) - 1], '.');
		claims = json_of(token, 1);
	} else if (inner) {
		const json_t *i = json_object_get(json_object_get(o, "error"), "innererror");
		assert_string_equal(json_string_value(json_object_get(i, "code")), inner);
	}
	json_decref(o);
	free(text);
	return claims;
}

static void
attests_bare_hardware_reports(void **state)
{
	(void)state;
	json_t *info = fixture_collect(f.lab.machine, &(struct lab_guest_options){0});
	json_t *body = snp_body(info, "JSON");
	json_object_set_new(body, "nonce", json_string("n-1"));
	json_t *claims = snp_call(body, 200, NULL);
	assert_string_equal(
		json_string_value(json_object_get(claims, "x-ms-attestation-type")), "sevsnpvm");
	assert_string_equal(json_string_value(json_object_get(claims, "x-ms-compliance-status")),
		"azure-compliant-cvm");
	assert_string_equal(json_string_value(json_object_get(claims, "nonce")), "n-1");
	assert_non_null(json_object_get(json_object_get(claims, "x-ms-runtime"), "keys"));
	assert_true(json_is_true(json_object_get(claims, "vouchsafe-lab")));
	json_decref(claims);
	json_object_set_new(body, "draftPolicyForAttestation",
		json_string("version= 1.0;authorizationrules{=> permit();};"));
	claims = snp_call(body, 200, NULL);
	assert_null(json_object_get(claims, "vouchsafe-lab"));
	json_decref(claims);
	json_object_set_new(body, "draftPolicyForAttestation",
		json_string("version= 1.0;authorizationrules{[type==\"x-ms-sevsnpvm-vmpl\", "
			    "value>0] => "
			    "permit();};"));
	json_decref(snp_call(body, 400, NULL));
	json_decref(body);
	body = snp_body(info, NULL);
	claims = snp_call(body, 200, NULL);
	assert_null(json_object_get(claims, "x-ms-runtime"));
	assert_null(json_object_get(claims, "x-ms-compliance-status"));
	json_decref(claims);
	json_object_set_new(
		body, "runtimeData", json_pack("{s:s,s:s}", "data", "e30", "dataType", "JSON"));
	snp_call(body, 400, "SnpReportData");
	json_object_set_new(body, "runtimeData", json_pack("{s:s}", "data", "e30"));
	snp_call(body, 400, NULL);
	json_object_set_new(body, "report", json_string("e30"));
	snp_call(body, 400, NULL);
	json_decref(body);
	json_decref(info);
	fixture_tamper(&f, "vcek");
	info = fixture_collect(f.lab.machine, &(struct lab_guest_options){0});
	body = snp_body(info, "JSON");
	snp_call(body, 400, "SnpReportSignature");
	json_decref(body);
	json_decref(info);
	fixture_tamper(&f, "undo");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_a_token_that_only_the_machine_can_open),
		cmocka_unit_test(writes_tokens_like_the_real_ones),
		cmocka_unit_test(lists_a_short_and_an_expired_key_beside_the_good_one),
		cmocka_unit_test(can_show_the_key_set_of_before_2026),
		cmocka_unit_test(describes_itself),
		cmocka_unit_test(refuses_requests_that_are_none),
		cmocka_unit_test(names_the_check_that_failed),
		cmocka_unit_test(cannot_be_opened_after_a_pcr_changed),
		cmocka_unit_test(asks_its_policy),
		cmocka_unit_test(keeps_its_own_claims_from_the_policy),
		cmocka_unit_test(gives_tokens_for_clients_without_a_tpm),
		cmocka_unit_test(follows_a_wrong_clock),
		cmocka_unit_test(lets_its_policies_be_read_and_changed_with_a_bearer),
		cmocka_unit_test(attests_bare_hardware_reports),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
