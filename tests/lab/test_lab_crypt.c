/* SPDX-License-Identifier: BSD-2-Clause */
/* Remote cryptography, backups, rotation policies and key attestation, on the wire. */
#include "base/codec.h"
#include "lab/labkit.h"
#include "unit/unit.h"

#define V labkit_var("VAULT_URL")
#define M labkit_var("MHSM_URL")
#define API "?api-version=7.4"
#define HASH "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8" /* 32 bytes */

static struct answer
call(const char *base, const char *method, const char *path, const char *body)
{
	return http(method, base, path, strcmp(base, M) == 0 ? mhsm_bearer() : vault_bearer(), body,
		NULL);
}

/* POST; the text member of the answer, to free. */
static char *
done(const char *base, const char *path, const char *body, const char *member)
{
	struct answer a = call(base, "POST", path, body);
	if (a.status != 200)
		fail_msg("%s: %ld %s", path, a.status, a.body);
	const char *text = json_string_value(json_object_get(a.json, member));
	assert_non_null(text);
	char *copy = strdup(text);
	answer_done(&a);
	return copy;
}

static void
refused(const char *base, const char *method, const char *path, const char *body, long status,
	const char *code, const char *inner)
{
	struct answer a = call(base, method, path, body);
	if (a.status != status || strcmp(answer_code(&a), code) != 0 ||
		strcmp(answer_inner(&a), inner) != 0)
		fail_msg("%s %s %s: %ld %s", method, path, body != NULL ? body : "", a.status,
			a.body);
	answer_done(&a);
}

static void
set(const char *base, const char *name, const char *members)
{
	char path[128];
	snprintf(path, sizeof path, "/keys/%s" API, name);
	struct answer a = call(base, "PATCH", path, members);
	assert_int_equal(a.status, 200);
	answer_done(&a);
}

static void
signs_with_and_without_a_version_in_the_path(void **state)
{
	(void)state;
	static const char *const paths[] = {"/keys/rsa2048/sign" API, "/keys/rsa2048//sign" API,
		"/keys/RSA2048/sign?api%2Dversion=7.4"};
	const char *const bases[] = {V, M};
	for (size_t b = 0; b < 2; b++) {
		char *first = NULL;
		for (size_t i = 0; i < 3; i++) {
			char *kid = done(bases[b], paths[i],
				"{\"alg\":\"RS256\",\"value\":\"" HASH "\"}", "kid");
			char *value = done(bases[b], paths[i],
				"{\"alg\":\"RS256\",\"value\":\"" HASH "\"}", "value");
			assert_non_null(strstr(kid, "/keys/rsa2048/"));
			if (first == NULL)
				first = strdup(value);
			assert_string_equal(value, first);
			free(kid);
			free(value);
		}
		free(first);
	}
}

static void
refuses_requests_that_do_not_fit_the_key(void **state)
{
	(void)state;
	static const struct {
		const char *path, *body;
	} cases[] = {
		{"/keys/rsa2048/sign" API, "{\"value\":\"" HASH "\"}"},
		{"/keys/rsa2048/sign" API, "{\"alg\":\"RS257\",\"value\":\"" HASH "\"}"},
		{"/keys/rsa2048/sign" API, "{\"alg\":\"ES256\",\"value\":\"" HASH "\"}"},
		{"/keys/rsa2048/sign" API, "{\"alg\":\"RSA-OAEP\",\"value\":\"" HASH "\"}"},
		{"/keys/rsa2048/sign" API, "{\"alg\":\"RS384\",\"value\":\"" HASH "\"}"},
		{"/keys/rsa2048/sign" API, "{\"alg\":\"RS256\",\"value\":\"\"}"},
		{"/keys/rsa2048/sign" API, "{\"alg\":\"RS256\",\"value\":7}"},
		{"/keys/rsa2048/sign" API, "{\"alg\":\"RS256\",\"value\":\"!\"}"},
		{"/keys/rsa2048/verify" API, "{\"alg\":\"RS256\",\"value\":\"" HASH "\"}"},
		{"/keys/rsa2048/encrypt" API, "{\"alg\":\"RS256\",\"value\":\"" HASH "\"}"},
		{"/keys/rsa2048/encrypt" API, "{\"alg\":\"A256GCM\",\"value\":\"" HASH "\"}"},
		{"/keys/rsa2048/wrapkey" API, "{\"alg\":\"A256KW\",\"value\":\"" HASH "\"}"},
		{"/keys/rsa2048/decrypt" API, "{\"alg\":\"RSA-OAEP\",\"value\":\"" HASH "\"}"},
		{"/keys/rsa2048/unwrapkey" API, "{\"alg\":\"RSA1_5\",\"value\":\"" HASH "\"}"},
		{"/keys/rsa2048/sign" API, "[]"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		refused(V, "POST", cases[i].path, cases[i].body, 400, "BadParameter", "");
	refused(M, "POST", "/keys/aes256/encrypt" API,
		"{\"alg\":\"A256CBC\",\"value\":\"AAAA\",\"iv\":\"AAAAAAAAAAAAAAAAAAAAAA\"}", 400,
		"BadParameter", ""); /* not whole blocks */
	refused(M, "POST", "/keys/aes256/encrypt" API,
		"{\"alg\":\"A256CBC\",\"value\":\"AAAAAAAAAAAAAAAAAAAAAA\"}", 400, "BadParameter",
		"");
	refused(M, "POST", "/keys/aes256/decrypt" API,
		"{\"alg\":\"A256GCM\",\"value\":\"AAAA\",\"iv\":\"AAAAAAAAAAAAAAAA\"}", 400,
		"BadParameter", "");
	refused(M, "POST", "/keys/aes256/encrypt" API, "{\"alg\":\"A128GCM\",\"value\":\"AAAA\"}",
		400, "BadParameter", "");
	refused(V, "POST", "/keys/nothing/sign" API, "{\"alg\":\"RS256\",\"value\":\"" HASH "\"}",
		404, "KeyNotFound", "");
	refused(V, "POST", "/keys/rsa2048/bend" API, "{}", 404, "NotFound", "");
	refused(V, "POST", "/keys/rsa2048/0123/4/sign" API, "{}", 404, "NotFound", "");
	struct answer a = http("POST", V, "/keys/rsa2048/sign" API, NULL,
		"{\"alg\":\"RS256\",\"value\":\"" HASH "\"}", NULL);
	assert_int_equal(a.status, 401);
	answer_done(&a);
}

/* Outside its time a key undoes what it did; a disabled one does nothing. */
static void
keys_that_may_not_refuse(void **state)
{
	(void)state;
	static const char sign[] = "{\"alg\":\"RS256\",\"value\":\"" HASH "\"}";
	char body[1024];
	char *sealed = done(V, "/keys/rsa2048/encrypt" API,
		"{\"alg\":\"RSA-OAEP-256\",\"value\":\"AQID\"}", "value");
	snprintf(body, sizeof body, "{\"alg\":\"RSA-OAEP-256\",\"value\":\"%s\"}", sealed);
	free(sealed);
	static const char *const times[] = {"{\"attributes\":{\"exp\":1000}}",
		"{\"attributes\":{\"exp\":9999999999,\"nbf\":9999999998}}"};
	static const char *const inner[] = {"KeyExpired", "KeyNotYetValid"};
	for (size_t i = 0; i < 2; i++) {
		set(V, "rsa2048", times[i]);
		refused(V, "POST", "/keys/rsa2048/sign" API, sign, 403, "Forbidden", inner[i]);
		refused(V, "POST", "/keys/rsa2048/encrypt" API, body, 403, "Forbidden", inner[i]);
		char *clear = done(V, "/keys/rsa2048/decrypt" API, body, "value");
		assert_string_equal(clear, "AQID");
		free(clear);
	}
	set(V, "rsa2048", "{\"attributes\":{\"nbf\":1,\"enabled\":false}}");
	refused(V, "POST", "/keys/rsa2048/sign" API, sign, 403, "Forbidden", "KeyDisabled");
	refused(V, "POST", "/keys/rsa2048/decrypt" API, body, 403, "Forbidden", "KeyDisabled");
	set(V, "rsa2048", "{\"attributes\":{\"enabled\":true},\"key_ops\":[\"verify\"]}");
	refused(V, "POST", "/keys/rsa2048/sign" API, sign, 403, "Forbidden",
		"KeyOperationForbidden");
	set(V, "rsa2048", "{\"attributes\":{},\"key_ops\":[\"sign\",\"verify\"]}");
	free(done(V, "/keys/rsa2048/sign" API, sign, "value"));
}

static void
backups_open_in_their_own_vault_only(void **state)
{
	(void)state;
	char body[65536];
	char *value = done(V, "/keys/ec256/backup" API, "{}", "value");
	refused(V, "POST", "/keys/nothing/backup" API, "{}", 404, "KeyNotFound", "");
	snprintf(body, sizeof body, "{\"value\":\"%s\"}", value);
	refused(V, "POST", "/keys/restore" API, body, 409, "Conflict", "");
	refused(M, "POST", "/keys/restore" API, body, 400, "BadParameter", "");
	refused(V, "POST", "/keys/restore" API, "{\"value\":\"AAAA\"}", 400, "BadParameter", "");
	refused(V, "POST", "/keys/restore" API, "{}", 400, "BadParameter", "");
	value[strlen(value) / 2] ^= 1;
	snprintf(body, sizeof body, "{\"value\":\"%s\"}", value);
	refused(V, "POST", "/keys/restore" API, body, 400, "BadParameter", "");
	free(value);
}

/* Nothing appears in a key that came back from its backup. */
static void
a_restored_key_is_the_one_that_was_saved(void **state)
{
	(void)state;
	char body[65536];
	struct answer a = call(V, "POST", "/keys/saved/create" API, "{\"kty\":\"RSA\"}");
	assert_int_equal(a.status, 200);
	json_t *was = json_incref(a.json);
	answer_done(&a);
	char *value = done(V, "/keys/saved/backup" API, "{}", "value");
	a = call(V, "DELETE", "/keys/saved" API, NULL);
	assert_int_equal(a.status, 200);
	answer_done(&a);
	long status = 0;
	for (int i = 0; i < 5 && status != 204; i++) { /* a vault takes its time */
		a = call(V, "DELETE", "/deletedkeys/saved" API, NULL);
		status = a.status;
		answer_done(&a);
	}
	assert_int_equal(status, 204);
	snprintf(body, sizeof body, "{\"value\":\"%s\"}", value);
	a = call(V, "POST", "/keys/restore" API, body);
	assert_int_equal(a.status, 200);
	if (!json_equal(a.json, was))
		fail_msg("%s", a.body);
	answer_done(&a);
	json_decref(was);
	free(value);
}

static const char *
platform(const char *base, const char *path)
{
	static char text[8];
	struct answer a = call(base, "GET", path, NULL);
	if (a.status != 200)
		fail_msg("%s: %s", path, a.body);
	const json_t *list = json_object_get(a.json, "value");
	const json_t *o = list ? json_array_get(list, 0) : a.json;
	const char *s =
		json_string_value(json_object_get(json_object_get(o, "attributes"), "hsmPlatform"));
	snprintf(text, sizeof text, "%s", s ? s : "");
	answer_done(&a);
	return text;
}

static void
names_the_platform_from_7_5_on(void **state)
{
	(void)state;
	static const char *const old[] = {"7.0", "7.3-preview", "7.3", "7.4"};
	static const char *const since[] = {"7.5", "7.6", "2025-07-01"};
	char path[128];
	struct answer a = call(V, "POST", "/keys/soft/create" API, "{\"kty\":\"RSA\"}");
	assert_int_equal(a.status, 200);
	answer_done(&a);
	for (size_t i = 0; i < 8; i++) {
		const char *base = i % 2 ? M : V;
		snprintf(path, sizeof path, "/keys/ec256?api-version=%s", old[i / 2]);
		assert_string_equal(platform(base, path), "");
		snprintf(path, sizeof path, "/keys?api-version=%s", old[i / 2]);
		assert_string_equal(platform(base, path), "");
	}
	for (size_t i = 0; i < 6; i++) {
		const char *base = i % 2 ? M : V;
		snprintf(path, sizeof path, "/keys/ec256?api-version=%s", since[i / 2]);
		assert_string_equal(platform(base, path), "2");
		snprintf(path, sizeof path, "/keys?api-version=%s", since[i / 2]);
		assert_string_equal(platform(base, path), "2");
	}
	assert_string_equal(platform(V, "/keys/soft?api-version=7.6"), "0");
}

static void
rotation_policies_are_read_strictly(void **state)
{
	(void)state;
	static const char path[] = "/keys/ec256/rotationpolicy" API;
	static const char *const bad[] = {
		"{\"attributes\":{\"expiryTime\":\"P\"}}",
		"{\"attributes\":{\"expiryTime\":\"90D\"}}",
		"{\"attributes\":{\"expiryTime\":\"PT1H\"}}",
		"{\"attributes\":{\"expiryTime\":7}}",
		"{\"lifetimeActions\":{}}",
		"{\"lifetimeActions\":[{\"action\":{\"type\":\"Rotate\"}}]}",
		"{\"lifetimeActions\":[{\"trigger\":{},\"action\":{\"type\":\"Rotate\"}}]}",
		"{\"lifetimeActions\":[{\"trigger\":{\"timeAfterCreate\":\"P1D\"},\"action\":{"
		"\"type\":"
		"\"Burn\"}}]}",
		"{\"lifetimeActions\":[{\"trigger\":{\"timeAfterCreate\":\"P1D\","
		"\"timeBeforeExpiry\":"
		"\"P1D\"},\"action\":{\"type\":\"Rotate\"}}]}",
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		refused(V, "PUT", path, bad[i], 400, "BadParameter", "");
	struct answer a = call(V, "PUT", path,
		"{\"lifetimeActions\":[{\"trigger\":{\"timeAfterCreate\":\"P1Y6M\"},\"action\":{"
		"\"type\":"
		"\"Rotate\"}}],\"attributes\":{\"expiryTime\":\"P2Y\"}}");
	assert_int_equal(a.status, 200);
	answer_done(&a);
	a = call(V, "GET", path, NULL);
	assert_non_null(strstr(a.body, "P1Y6M"));
	assert_non_null(strstr(a.body, "\"expiryTime\":\"P2Y\""));
	answer_done(&a);
	refused(V, "GET", "/keys/nothing/rotationpolicy" API, NULL, 404, "KeyNotFound", "");
}

static void
only_a_managed_hsm_attests_and_gives_random_bytes(void **state)
{
	(void)state;
	struct answer a = call(M, "GET", "/keys/aes256/attestation?api-version=7.6", NULL);
	assert_int_equal(a.status, 200);
	const json_t *at = json_object_get(json_object_get(a.json, "attributes"), "attestation");
	assert_non_null(json_object_get(at, "privateKeyAttestation"));
	assert_null(json_object_get(at, "publicKeyAttestation"));
	answer_done(&a);
	a = call(M, "GET", "/keys/ec256/attestation?api-version=2025-07-01", NULL);
	at = json_object_get(json_object_get(a.json, "attributes"), "attestation");
	assert_non_null(json_object_get(at, "publicKeyAttestation"));
	answer_done(&a);
	refused(M, "GET", "/keys/ec256/attestation" API, NULL, 400, "BadParameter", "");
	refused(V, "GET", "/keys/ec256/attestation?api-version=7.6", NULL, 400, "BadParameter", "");
	refused(M, "GET", "/keys/nothing/attestation?api-version=7.6", NULL, 404, "KeyNotFound",
		"");
	free(done(M, "/rng" API, "{\"count\":128}", "value"));
	refused(M, "POST", "/rng" API, "{\"count\":129}", 400, "BadParameter", "");
	refused(M, "POST", "/rng" API, "{\"count\":0}", 400, "BadParameter", "");
	refused(M, "POST", "/rng" API, "{}", 400, "BadParameter", "");
	refused(V, "POST", "/rng" API, "{\"count\":8}", 404, "NotFound", "");
}

static int
up(void **state)
{
	(void)state;
	labkit_up();
	return 0;
}

static int
down(void **state)
{
	(void)state;
	labkit_down();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signs_with_and_without_a_version_in_the_path),
		cmocka_unit_test(refuses_requests_that_do_not_fit_the_key),
		cmocka_unit_test(keys_that_may_not_refuse),
		cmocka_unit_test(backups_open_in_their_own_vault_only),
		cmocka_unit_test(a_restored_key_is_the_one_that_was_saved),
		cmocka_unit_test(names_the_platform_from_7_5_on),
		cmocka_unit_test(rotation_policies_are_read_strictly),
		cmocka_unit_test(only_a_managed_hsm_attests_and_gives_random_bytes),
	};
	return cmocka_run_group_tests(tests, up, down);
}
