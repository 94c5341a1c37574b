/* SPDX-License-Identifier: BSD-2-Clause */
/* Signatures, key sets and release answers, on vectors and recordings of others. */
#include "jose/jose.h"

#include "base/codec.h"
#include "jose/json.h"
#include "unit/token_cases.h"
#include "unit/tokenkit.h"

/* ---- vectors ------------------------------------------------------------------------------ */

/* What our reader makes of a JWS with one set of keys: form, header, key, signature. */
static vs_rc
verify(struct vs_bytes text, const struct vs_jwks *set, struct vs_err *err)
{
	struct vs_jws_parts parts = {0};
	struct vs_bytes kid = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf raw = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf payload = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf signature = {0};
	VS_CLEANUP(vs_json_freep) struct vs_json *header = NULL;
	struct evp_pkey_st *keys[VS_JWKS_SAME_KID_MAX];
	size_t n = 0;
	VS_TRY(vs_jws_trim(text, VS_JWS_TEXT_MAX, &text, err));
	VS_TRY(vs_jws_split(text, &parts, err));
	VS_TRY(vs_jws_segment(parts.header, "header", &raw, err));
	VS_TRY(vs_jws_segment(parts.payload, "payload", &payload, err));
	VS_TRY(vs_jws_segment(parts.signature, "signature", &signature, err));
	VS_TRY(vs_json_load_object(vs_buf_view(&raw), VS_JWS_HEADER_MAX, "header", &header, err));
	VS_TRY(vs_jws_check_alg(header, err));
	VS_TRY(vs_jws_check_header(header, NULL, false, err));
	VS_TRY(vs_jws_kid(header, &kid, err));
	VS_TRY(vs_jwks_select(set, kid, NOW, keys, &n, err));
	vs_rc rc = {.code = VS_E_INTERNAL};
	for (size_t i = 0; i < n && vs_failed(rc); i++)
		rc = vs_rs256_verify(keys[i], parts.signed_text, vs_buf_view(&signature), err);
	return rc;
}

/* A group's key or keys as a set; a lone key gets its wrapper. */
static struct vs_jwks *
group_keys(const struct vs_json *group)
{
	struct vs_err err = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {0};
	struct vs_jwks *set = NULL;
	const struct vs_json *k = vs_json_get(group, "public");
	if (k == NULL)
		k = vs_json_get(group, "private");
	const bool lone = vs_json_get(k, "keys") == NULL;
	assert_ok(vs_buf_add_str(&text, lone ? "{\"keys\":[" : "", &err), &err);
	assert_ok(vs_json_dump(k, &text, &err), &err);
	assert_ok(vs_buf_add_str(&text, lone ? "]}" : "", &err), &err);
	assert_ok(vs_jwks_parse(vs_buf_view(&text), &set, &err), &err);
	return set;
}

struct tally {
	size_t accepted, refused;
};

/* ours: valid in the file, but not a shape that the profile takes. */
static bool
is_ours_to_accept(const struct vs_json *group, const struct vs_json *test)
{
	const struct vs_json *k = vs_json_get(group, "public");
	if (k == NULL)
		k = vs_json_get(group, "private");
	if (vs_json_get(k, "keys") != NULL)
		k = vs_json_at(vs_json_get(k, "keys"), 0);
	return vs_json_is_string(vs_json_get(test, "result"), "valid") &&
		vs_json_is_string(vs_json_get(k, "alg"), "RS256") &&
		/* A2 allows no empty segment */
		!vs_json_is_string(vs_json_get(test, "comment"), "emptyPayload");
}

static struct tally
run_vectors(const char *file)
{
	struct vs_err err = {0};
	struct tally t = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf text = kit_data(file);
	VS_CLEANUP(vs_json_freep) struct vs_json *root = NULL;
	assert_ok(vs_json_load(vs_buf_view(&text), 1 << 20, file, &root, &err), &err);
	const struct vs_json *groups = vs_json_get(root, "testGroups");
	for (size_t g = 0; g < vs_json_count(groups); g++) {
		const struct vs_json *group = vs_json_at(groups, g);
		const struct vs_json *tests = vs_json_get(group, "tests");
		VS_CLEANUP(vs_jwks_unrefp) struct vs_jwks *set = group_keys(group);
		for (size_t i = 0; i < vs_json_count(tests); i++) {
			const struct vs_json *test = vs_json_at(tests, i);
			struct vs_bytes jws = {0};
			int64_t id = 0;
			assert_true(vs_json_bytes(vs_json_get(test, "jws"), &jws));
			assert_true(vs_json_int(vs_json_get(test, "tcId"), &id));
			const bool accepted = !vs_failed(verify(jws, set, &err));
			if (accepted != is_ours_to_accept(group, test))
				fail_msg("%s, test %d: %s", file, (int)id,
					accepted ? "accepted" : "refused");
			t.accepted += accepted;
			t.refused += !accepted;
		}
	}
	return t;
}

static void
signature_vectors_get_their_verdicts(void **state)
{
	const struct tally t = run_vectors("wycheproof/json_web_signature_test.json");
	(void)state;
	assert_int_equal(t.accepted, 7);
	assert_int_equal(t.refused, 394);
}

static void
key_vectors_get_their_verdicts(void **state)
{
	const struct tally t = run_vectors("wycheproof/json_web_key_test.json");
	(void)state;
	assert_int_equal(t.accepted, 1);
	assert_int_equal(t.refused, 25);
}

/* ---- key sets ----------------------------------------------------------------------------- */

static void
texts_that_are_no_key_set_are_errors(void **state)
{
	static const char *const bad[] = {"", "{}", "[]", "null", "{\"keys\":null}",
		"{\"keys\":{}}", "{\"keys\":\"x\"}", "{\"keys\":5}", "{\"Keys\":[]}",
		"{\"keys\":[],\"keys\":[]}", "{\"keys\":[]}}", "{\"keys\":[", "[{\"kty\":\"RSA\"}]",
		"keys", "\xef\xbb\xbf{\"keys\":[]}"};
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct vs_err err = {0};
		struct vs_jwks *set = NULL;
		assert_code(vs_jwks_parse(vs_bytes_str(bad[i]), &set, &err), FORMAT);
		assert_null(set);
	}
	const char *set_text =
		(const char *)expand("{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"a\",\"n\":\"$n$\","
				     "\"e\":\"AQAB\"}]}")
			.p;
	for (size_t i = 0; i < json_texts_n; i++) {
		struct vs_err err = {0};
		VS_CLEANUP(vs_jwks_unrefp) struct vs_jwks *set = NULL;
		const vs_rc rc =
			vs_jwks_parse(json_text_around(&json_texts[i], set_text), &set, &err);
		assert_int_equal(!vs_failed(rc), json_texts[i].ok);
	}
}

static void
a_set_with_too_many_keys_is_an_error(void **state)
{
	(void)state;
	for (size_t n = VS_JWKS_KEYS_MAX; n <= VS_JWKS_KEYS_MAX + 1; n++) {
		struct vs_err err = {0};
		VS_CLEANUP(vs_buf_done) struct vs_buf text = {0};
		VS_CLEANUP(vs_jwks_unrefp) struct vs_jwks *set = NULL;
		assert_ok(vs_buf_add_str(&text, "{\"keys\":[{}", &err), &err);
		for (size_t i = 1; i < n; i++)
			assert_ok(vs_buf_add_str(&text, ",{}", &err), &err);
		assert_ok(vs_buf_add_str(&text, "]}", &err), &err);
		const vs_rc rc = vs_jwks_parse(vs_buf_view(&text), &set, &err);
		assert_int_equal(vs_failed(rc), n > VS_JWKS_KEYS_MAX);
	}
}

static void
real_sets_stay_usable_beside_their_bad_keys(void **state)
{
	static const struct {
		const char *file, *kid;
		int64_t at;
		bool usable;
	} rows[] = {
		{"maa/jwks/sharedwus-2022-11.json",
			"XxRc2vLh1E5FrsNawnRH3PzuFgqg3q7NvCdnjoJHBGE=", 1668649308, true},
		{"maa/jwks/sharedeus-2023-09.json",
			"rFl9xM+g7TvX63y0iseZtIn20MD5SYAnGblKFasau8I=", 1695737807, true},
		{"maa/jwks/sharedeus-2023-09.json",
			"lH/VQ9TLxFYVqd0KKjiQO6DHJX9Dn5NaMnZ1GZyVyOY=", 1695737807, false},
		{"maa/jwks/2020-get.certs.response.body.json", "KQFAHrk1", 1600000000, false},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct vs_err err = {0};
		struct evp_pkey_st *keys[VS_JWKS_SAME_KID_MAX];
		size_t n = 0;
		VS_CLEANUP(vs_buf_done) struct vs_buf text = kit_data(rows[i].file);
		VS_CLEANUP(vs_jwks_unrefp) struct vs_jwks *set = NULL;
		assert_ok(vs_jwks_parse(vs_buf_view(&text), &set, &err), &err);
		const vs_rc rc =
			vs_jwks_select(set, vs_bytes_str(rows[i].kid), rows[i].at, keys, &n, &err);
		assert_int_equal(!vs_failed(rc), rows[i].usable);
	}
}

/* The 1024-bit keys that the service really listed are never usable, whatever they are called. */
static void
short_keys_of_the_real_service_are_skipped(void **state)
{
	static const char *const files[] = {
		"maa/jwks/sharedeus-2023-09.json", "maa/jwks/2020-get.certs.response.body.json"};
	size_t skipped = 0;
	(void)state;
	for (size_t f = 0; f < 2; f++) {
		struct vs_err err = {0};
		VS_CLEANUP(vs_buf_done) struct vs_buf text = kit_data(files[f]);
		VS_CLEANUP(vs_json_freep) struct vs_json *root = NULL;
		VS_CLEANUP(vs_jwks_unrefp) struct vs_jwks *set = NULL;
		assert_ok(vs_json_load(vs_buf_view(&text), 1 << 20, "set", &root, &err), &err);
		assert_ok(vs_jwks_parse(vs_buf_view(&text), &set, &err), &err);
		const struct vs_json *keys = vs_json_get(root, "keys");
		for (size_t i = 0; i < vs_json_count(keys); i++) {
			struct evp_pkey_st *found[VS_JWKS_SAME_KID_MAX];
			size_t n = 0;
			struct vs_bytes kid = {0};
			char sentence[1600];
			if (!vs_json_bytes(vs_json_get(vs_json_at(keys, i), "kid"), &kid))
				continue;
			if (!vs_failed(vs_jwks_select(set, kid, 1600000000, found, &n, &err)))
				continue;
			vs_err_sentence(&err, sentence, sizeof sentence);
			skipped += strstr(sentence, "1024 bits") != NULL;
		}
	}
	assert_true(skipped >= 2);
}

/* ---- release answers ---------------------------------------------------------------------- */

static int64_t
unix_of(const struct vs_json *v)
{
	const char *s = NULL;
	struct tm tm = {0};
	assert_true(vs_json_string(v, &s));
	assert_non_null(strptime(s, "%Y-%m-%dT%H:%M:%S", &tm));
	return (int64_t)timegm(&tm);
}

/* The root that came with a recorded answer, as if a user had configured it. */
static struct vs_certs *
root_of(struct vs_bytes jws)
{
	struct vs_err err = {0};
	struct vs_jws_parts parts = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf raw = {0};
	VS_CLEANUP(vs_json_freep) struct vs_json *header = NULL;
	VS_CLEANUP(vs_certs_freep) struct vs_certs *chain = NULL;
	struct vs_certs *root = NULL;
	assert_ok(vs_jws_split(jws, &parts, &err), &err);
	assert_ok(vs_jws_segment(parts.header, "header", &raw, &err), &err);
	assert_ok(vs_json_load(vs_buf_view(&raw), 1 << 20, "header", &header, &err), &err);
	assert_ok(vs_certs_from_x5c(vs_json_get(header, "x5c"), &chain, &err), &err);
	assert_ok(vs_certs_new(&root, &err), &err);
	assert_ok(vs_certs_add(root, vs_certs_at(chain, vs_certs_count(chain) - 1), &err), &err);
	return root;
}

static const char *
host_of(const struct vs_json *row)
{
	const char *kid = NULL;
	assert_true(vs_json_string(vs_json_path(row, "request.kid"), &kid));
	kid += strlen("https://");
	return forge_keep(kid, strcspn(kid, "/"));
}

static void
try_answer(const struct vs_json *row, const struct vs_certs *foreign)
{
	struct vs_err err = {0};
	struct vs_bytes jws = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf payload = {.max = VS_JWS_RELEASE_MAX};
	assert_true(vs_json_bytes(vs_json_get(row, "value"), &jws));
	VS_CLEANUP(vs_certs_freep) struct vs_certs *root = root_of(jws);
	const int64_t from = unix_of(vs_json_get(row, "leaf_not_before"));
	const int64_t to = unix_of(vs_json_get(row, "leaf_not_after"));
	const char *host = host_of(row);

	assert_ok(vs_jws_open_x5c(jws, root, host, from + 86400, &payload, &err), &err);
	assert_int_equal(payload.p[0], '{');
	vs_buf_reset(&payload);
	assert_code(vs_jws_open_x5c(jws, root, host, from - 1, &payload, &err), REFUSED_ANSWER);
	assert_code(vs_jws_open_x5c(jws, root, host, to + 1, &payload, &err), REFUSED_ANSWER);
	assert_code(vs_jws_open_x5c(jws, root, "vault.example", from + 86400, &payload, &err),
		REFUSED_ANSWER);
	assert_code(vs_jws_open_x5c(jws, root, "a.b.vault.azure.net", from + 86400, &payload, &err),
		REFUSED_ANSWER);
	assert_code(
		vs_jws_open_x5c(jws, foreign, host, from + 86400, &payload, &err), REFUSED_ANSWER);
	assert_code(vs_jws_open_x5c(jws, NULL, host, from + 86400, &payload, &err), REFUSED_ANSWER);
	char *copy = forge_keep((const char *)jws.p, jws.n);
	for (size_t i = 0; i<jws.n; i += i> jws.n - 700 ? 1 : 97) {
		copy[i] ^= 0x01;
		assert_true(vs_failed(vs_jws_open_x5c(
			vs_bytes_of(copy, jws.n), root, host, from + 86400, &payload, &err)));
		copy[i] ^= 0x01;
	}
	assert_int_equal(payload.n, 0);
}

static void
recorded_release_answers_verify_with_their_root_only(void **state)
{
	struct vs_err err = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf text = kit_data("keyvault/release-jws.json");
	VS_CLEANUP(vs_json_freep) struct vs_json *rows = NULL;
	VS_CLEANUP(vs_certs_freep) struct vs_certs *foreign = NULL;
	VS_CLEANUP(vs_cert_unrefp) struct vs_cert *cert = NULL;
	VS_CLEANUP(vs_buf_done) struct vs_buf der = {0};
	(void)state;
	assert_ok(vs_json_load(vs_buf_view(&text), 1 << 20, "recordings", &rows, &err), &err);
	assert_ok(vs_b64_decode(expand("$cert$"), &der, &err), &err);
	assert_ok(vs_cert_from_der(vs_buf_view(&der), &cert, &err), &err);
	assert_ok(vs_certs_new(&foreign, &err), &err);
	assert_ok(vs_certs_add(foreign, cert, &err), &err);
	assert_int_equal(vs_json_count(rows), 5);
	for (size_t i = 0; i < vs_json_count(rows); i++)
		try_answer(vs_json_at(rows, i), foreign);
}

/* ---- numbers ------------------------------------------------------------------------------ */

static void
rsa_numbers_have_limits(void **state)
{
	uint8_t n[1026], e[9] = {0};
	struct vs_rsa_num num = {0};
	struct vs_err err = {0};
	(void)state;
	memset(n, 0xff, sizeof n);
	e[8] = 1;
	e[7] = 0;
	e[6] = 1;
	const struct vs_bytes good_e = vs_bytes_of(e + 6, 3);
	assert_ok(vs_rsa_num_set(vs_bytes_of(n, 256), good_e, &num, &err), &err);
	assert_ok(vs_rsa_num_set(vs_bytes_of(n, 1024), good_e, &num, &err), &err);
	assert_true(vs_rsa_num_eq(&num, &num));
	assert_code(vs_rsa_num_set(vs_bytes_of(n, 255), good_e, &num, &err), BAD_KEY);
	assert_code(vs_rsa_num_set(vs_bytes_of(n, 1025), good_e, &num, &err), BAD_KEY);
	assert_code(vs_rsa_num_set(vs_bytes_of(n, 0), good_e, &num, &err), BAD_KEY);
	assert_code(vs_rsa_num_set(vs_bytes_of(n, 256), vs_bytes_of(e, 0), &num, &err), BAD_KEY);
	assert_code(vs_rsa_num_set(vs_bytes_of(n, 256), vs_bytes_of(e, 6), &num, &err), BAD_KEY);
	assert_ok(vs_rsa_num_set(vs_bytes_of(n, 256), vs_bytes_of(e, 9), &num, &err), &err);
	e[0] = 1;
	assert_code(vs_rsa_num_set(vs_bytes_of(n, 256), vs_bytes_of(e, 9), &num, &err), BAD_KEY);
	n[255] = 0xfe;
	assert_code(vs_rsa_num_set(vs_bytes_of(n, 256), good_e, &num, &err), BAD_KEY);
	const struct vs_rsa_num empty = {0};
	assert_false(vs_rsa_num_eq(&empty, &empty));
}

static int
setup(void **state)
{
	(void)state;
	token_cases_init();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	token_cases_done();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signature_vectors_get_their_verdicts),
		cmocka_unit_test(key_vectors_get_their_verdicts),
		cmocka_unit_test(texts_that_are_no_key_set_are_errors),
		cmocka_unit_test(a_set_with_too_many_keys_is_an_error),
		cmocka_unit_test(real_sets_stay_usable_beside_their_bad_keys),
		cmocka_unit_test(short_keys_of_the_real_service_are_skipped),
		cmocka_unit_test(recorded_release_answers_verify_with_their_root_only),
		cmocka_unit_test(rsa_numbers_have_limits),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
