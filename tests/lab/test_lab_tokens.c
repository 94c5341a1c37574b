/* SPDX-License-Identifier: BSD-2-Clause */
/* Tokens and key set of the lab's attestation service, beside the real ones. */
#include "unit/unit.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <time.h>

#include "base/codec.h"
#include "lab/maa_client.h"

static void
gives_a_token_that_only_the_machine_can_open(void **state)
{
	(void)state;
	char error[64] = "";
	char *token = maa_attest("AttestationInfo", error);
	assert_string_equal(error, "");
	maa_assert_signed(token);
	json_t *head = maa_json(token, 0), *claims = maa_json(token, 1);
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
	assert_null(json_object_get(claims, "x-ms-policy"));
	const json_int_t iat = json_integer_value(json_object_get(claims, "iat"));
	assert_int_equal(json_integer_value(json_object_get(claims, "exp")), iat + 28800);
	assert_int_equal(json_integer_value(json_object_get(claims, "nbf")), iat);
	assert_int_equal(json_string_length(json_object_get(claims, "jti")), 64);
	/* Compact, members sorted, as the service writes it. */
	VS_CLEANUP(vs_buf_done) struct vs_buf text = maa_part(token, 1);
	char *sorted = json_dumps(claims, JSON_COMPACT | JSON_SORT_KEYS);
	assert_string_equal(sorted, vs_buf_cstr(&text));
	free(sorted);
	json_decref(head);
	json_decref(claims);
	free(token);
	/* Member names are matched without case. */
	token = maa_attest("attestationInfo", error);
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
	static const char *const extra[] = {"/vouchsafe-lab", "/x-ms-azurevm-attested-pcr-values",
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
	char *token = maa_attest("AttestationInfo", error);
	json_t *ours = maa_json(token, 1), *our_head = maa_json(token, 0);
	for (size_t i = 0; i < 2; i++) {
		VS_CLEANUP(vs_buf_done) struct vs_buf text = fixture_file(files[i]);
		json_t *real = maa_json(vs_buf_cstr(&text), 1),
		       *head = maa_json(vs_buf_cstr(&text), 0);
		/* The time of the report went out of the runtime claims with the next paravisor. */
		json_object_del(
			json_object_get(json_object_get(json_object_get(real, "x-ms-isolation-tee"),
						"x-ms-runtime"),
				"vm-configuration"),
			"current-time");
		same_shape(real, ours, "", extra);
		same_shape(head, our_head, "", extra);
		VS_CLEANUP(vs_buf_done) struct vs_buf head_text = maa_part(vs_buf_cstr(&text), 0);
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
	json_t *set = maa_jwks(), *keys = json_object_get(set, "keys");
	bool is_short = false, expired = false, good = false;
	/* the last one is the key with a chain, which signs reports about TPMs */
	assert_int_equal(json_array_size(keys), 4);
	assert_int_equal(json_array_size(json_object_get(json_array_get(keys, 3), "x5c")), 3);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(
			json_array_size(json_object_get(json_array_get(keys, i), "x5c")), 1);
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
	lab_maa_set_jwk_full(maa_fixture.lab.maa, false);
	json_t *set = maa_jwks();
	const json_t *k = json_array_get(json_object_get(set, "keys"), 1);
	assert_int_equal(json_object_size(k), 3);
	assert_true(json_object_get(k, "x5c") && json_object_get(k, "kid") &&
		json_object_get(k, "kty"));
	json_decref(set);
	lab_maa_set_jwk_full(maa_fixture.lab.maa, true);
	set = maa_jwks();
	assert_int_equal(json_object_size(json_array_get(json_object_get(set, "keys"), 1)), 7);
	json_decref(set);
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
	assert_ok(lab_guest_start(maa_fixture.lab.machine, &guest, &err), &err);
	assert_ok(lab_guest_collect(guest, &(struct lab_guest_options){0}, &info, &err), &err);
	char *body = maa_body(info, "AttestationInfo");
	VS_CLEANUP(maa_call_done)
	struct maa_call c = {.method = "POST",
		.path = "/attest/AzureGuest",
		.version = "2020-10-01",
		.body = vs_bytes_str(body)};
	json_decref(maa_call(&c));
	assert_int_equal(c.resp.status, 200);
	fixture_tamper(&maa_fixture, "pcr 5");
	assert_code(lab_guest_unwrap(guest, vs_buf_view(&c.resp.body), &token, &err), TPM);
	lab_guest_stop(guest);
	json_decref(info);
	free(body);
	fixture_tamper(&maa_fixture, "undo");
}

static void
gives_tokens_for_clients_without_a_tpm(void **state)
{
	(void)state;
	struct vs_err err = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf out = {0}, expired = {0};
	assert_ok(lab_maa_token(maa_fixture.lab.maa, false, true, &out, &err), &err);
	json_t *o = json_loadb((const char *)out.p, out.n, 0, NULL);
	const char *token = json_string_value(json_object_get(o, "token"));
	const char *pem = json_string_value(json_object_get(o, "private_key_pem"));
	maa_assert_signed(token);
	json_t *claims = maa_json(token, 1);
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
	assert_ok(lab_maa_token(maa_fixture.lab.maa, true, false, &expired, &err), &err);
	maa_assert_signed(vs_buf_cstr(&expired));
	claims = maa_json(vs_buf_cstr(&expired), 1);
	assert_true(json_integer_value(json_object_get(claims, "exp")) < time(NULL) - 3000);
	json_decref(claims);
	fixture_tamper(&maa_fixture, "pcr 0");
	VS_CLEANUP(vs_buf_done) struct vs_buf none = {0};
	assert_code(
		lab_maa_token(maa_fixture.lab.maa, false, true, &none, &err), REFUSED_ATTESTATION);
	assert_int_equal(none.n, 0);
	fixture_tamper(&maa_fixture, "undo");
}

static void
follows_a_wrong_clock(void **state)
{
	(void)state;
	char error[64] = "";
	static const char *const shifts[] = {"clock +86400", "clock -86400"};
	for (int i = 0; i < 2; i++) {
		fixture_tamper(&maa_fixture, shifts[i]);
		char *token = maa_attest("AttestationInfo", error);
		json_t *claims = maa_json(token, 1);
		const json_int_t off =
			json_integer_value(json_object_get(claims, "iat")) - time(NULL);
		assert_true(i == 0 ? off > 86000 : off < -86000);
		json_decref(claims);
		free(token);
	}
	fixture_tamper(&maa_fixture, "undo");
}

/* Each defect is there, and there is no other. */
static void
issues_tokens_with_one_defect_on_demand(void **state)
{
	(void)state;
	static const char *const defects[] = {"short-key", "expired-key", "unknown-key",
		"wrong-key", "alg-none", "nonce", "other-key", "issuer", "kind"};
	char error[64] = "", words[40];
	char *good = maa_attest("AttestationInfo", error);
	json_t *good_head = maa_json(good, 0), *good_claims = maa_json(good, 1);
	const char *kid = json_string_value(json_object_get(good_head, "kid"));
	for (size_t i = 0; i < sizeof defects / sizeof *defects; i++) {
		snprintf(words, sizeof words, "token %s", defects[i]);
		fixture_tamper(&maa_fixture, words);
		char *token = maa_attest("AttestationInfo", error);
		json_t *head = maa_json(token, 0), *claims = maa_json(token, 1);
		const bool same_kid =
			strcmp(kid, json_string_value(json_object_get(head, "kid"))) == 0;
		const json_t *rt = json_object_get(claims, "x-ms-runtime");
		const json_t *nonce =
			json_object_get(json_object_get(rt, "client-payload"), "nonce");
		const json_t *good_nonce = json_object_get(
			json_object_get(
				json_object_get(good_claims, "x-ms-runtime"), "client-payload"),
			"nonce");
		assert_int_equal(same_kid, i >= 3);
		assert_int_equal(
			strcmp(json_string_value(json_object_get(head, "alg")), "none") == 0,
			i == 4);
		assert_int_equal(json_equal(nonce, good_nonce), i != 5);
		assert_int_equal(json_equal(json_object_get(claims, "iss"),
					 json_object_get(good_claims, "iss")),
			i != 7);
		assert_int_equal(json_equal(json_object_get(claims, "x-ms-attestation-type"),
					 json_object_get(good_claims, "x-ms-attestation-type")),
			i != 8);
		if (i >= 5)
			maa_assert_signed(token);
		json_decref(head);
		json_decref(claims);
		free(token);
	}
	fixture_tamper(&maa_fixture, "token none");
	char *token = maa_attest("AttestationInfo", error);
	maa_assert_signed(token);
	free(token);
	json_decref(good_head);
	json_decref(good_claims);
	free(good);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_a_token_that_only_the_machine_can_open),
		cmocka_unit_test(writes_tokens_like_the_real_ones),
		cmocka_unit_test(lists_a_short_and_an_expired_key_beside_the_good_one),
		cmocka_unit_test(can_show_the_key_set_of_before_2026),
		cmocka_unit_test(cannot_be_opened_after_a_pcr_changed),
		cmocka_unit_test(gives_tokens_for_clients_without_a_tpm),
		cmocka_unit_test(follows_a_wrong_clock),
		cmocka_unit_test(issues_tokens_with_one_defect_on_demand),
	};
	return cmocka_run_group_tests(tests, maa_start, maa_stop);
}
