/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/unit.h"

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <sys/stat.h>

#include "base/codec.h"
#include "lab/lab_entra.h"
#include "lab/lab_fault.h"
#include "lab/maa_client.h"

struct fixture maa_fixture;

int
maa_start(void **state)
{
	(void)state;
	struct vs_err err = {0};
	struct lab_keygen_job jobs[4];
	struct lab_keygen_pool *pool = NULL;
	size_t n = 0;
	fixture_start(&maa_fixture, "maa");
	assert_ok(lab_faults_new(&maa_fixture.lab.faults, &err), &err);
	assert_ok(lab_maa_new(&maa_fixture.lab, &maa_fixture.lab.maa, &err), &err);
	assert_ok(lab_entra_alloc(&maa_fixture.lab.entra, jobs, &n, &err), &err);
	assert_ok(lab_keygen_start(jobs, n, &pool, &err), &err);
	assert_ok(lab_keygen_wait(pool, &err), &err);
	char secrets[300];
	snprintf(secrets, sizeof secrets, "%s/secrets", maa_fixture.lab.dir);
	assert_int_equal(mkdir(secrets, 0700), 0);
	assert_ok(lab_entra_ready(&maa_fixture.lab, &err), &err);
	return 0;
}

int
maa_stop(void **state)
{
	(void)state;
	lab_maa_free(maa_fixture.lab.maa);
	lab_entra_free(maa_fixture.lab.entra);
	lab_faults_free(maa_fixture.lab.faults);
	fixture_stop(&maa_fixture);
	return 0;
}

void
maa_call_done(struct maa_call *c)
{
	lab_resp_done(&c->resp);
}

json_t *
maa_call(struct maa_call *c)
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
	lab_maa_handle(&maa_fixture.lab, &req, &c->resp);
	assert_string_equal(c->resp.content_type, "application/json; charset=utf-8");
	json_t *o = json_loadb((const char *)c->resp.body.p, c->resp.body.n, JSON_DECODE_ANY, NULL);
	assert_non_null(o);
	return o;
}

const char *
maa_error(const json_t *o, const char *member)
{
	const char *s = json_string_value(json_object_get(json_object_get(o, "error"), member));
	return s ? s : "";
}

/* Part of a compact token as text. */
struct vs_buf
maa_part(const char *token, int n)
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

json_t *
maa_json(const char *token, int n)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf b = maa_part(token, n);
	json_t *o = json_loadb((const char *)b.p, b.n, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(o);
	return o;
}

json_t *
maa_jwks(void)
{
	VS_CLEANUP(maa_call_done) struct maa_call c = {.method = "GET", .path = "/certs"};
	json_t *o = maa_call(&c);
	assert_int_equal(c.resp.status, 200);
	return o;
}

/* The key of the set that the token names, from its certificate. */
static EVP_PKEY *
key_of(const char *token)
{
	json_t *head = maa_json(token, 0), *set = maa_jwks(), *keys = json_object_get(set, "keys");
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

void
maa_assert_signed(const char *token)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf sig = maa_part(token, 2);
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
char *
maa_body(const json_t *info, const char *member)
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
char *
maa_attest(const char *member, char error[64])
{
	struct vs_err err = {0};
	struct lab_guest *guest = NULL;
	json_t *info = NULL;
	static const uint8_t nonce[32] = {0xfb, 0xff, 0xbf, 7};
	VS_CLEANUP(vs_buf_done) struct vs_buf token = {0};
	assert_ok(lab_guest_start(maa_fixture.lab.machine, &guest, &err), &err);
	assert_ok(
		lab_guest_collect(guest, &(struct lab_guest_options){.nonce = nonce}, &info, &err),
		&err);
	char *body = maa_body(info, member);
	VS_CLEANUP(maa_call_done)
	struct maa_call c = {.method = "POST",
		.path = "/attest/AzureGuest",
		.version = "2020-10-01",
		.body = vs_bytes_str(body)};
	json_t *o = maa_call(&c);
	if (c.resp.status == 200)
		assert_ok(lab_guest_unwrap(guest, vs_buf_view(&c.resp.body), &token, &err), &err);
	else
		snprintf(error, 64, "%d %s", c.resp.status, maa_error(o, "code"));
	json_decref(o);
	json_decref(info);
	free(body);
	lab_guest_stop(guest);
	return token.n ? strdup(vs_buf_cstr(&token)) : NULL;
}
