/* SPDX-License-Identifier: BSD-2-Clause */
/* The lab's vaults beside recordings of the real ones: keys, lists, deletion, access, errors. */
#include "lab/labkit.h"
#include "base/codec.h"
#include "unit/unit.h"

#define V labkit_var("VAULT_URL")
#define M labkit_var("MHSM_URL")
#define API "?api-version=7.4"

/* The lab's default policy as a member for a request; immutable or not. */
static const char *
policy_member(const char *authority, const char *claim, const char *value, bool immutable)
{
	static char text[2048];
	char doc[1024];
	struct vs_buf b64 = {0};
	snprintf(doc, sizeof doc,
		"{\"version\":\"1.0.0\",\"anyOf\":[{\"authority\":\"%s\",\"anyOf\":[{\"claim\":\"%"
		"s\","
		"\"equals\":\"%s\"}]}]}",
		authority, claim, value);
	assert_false(vs_failed(vs_b64url_encode(vs_bytes_str(doc), &b64, NULL)));
	snprintf(text, sizeof text, "\"release_policy\":{\"data\":\"%s\",\"immutable\":%s}",
		vs_buf_cstr(&b64), immutable ? "true" : "false");
	vs_buf_done(&b64);
	return text;
}

static const char *
good_policy(bool immutable)
{
	return policy_member(labkit_var("MAA_URL"), "sdk-test", "true", immutable);
}

static struct answer
create(const char *base, const char *name, const char *members)
{
	char path[256], body[4096];
	const bool mhsm = strcmp(base, M) == 0;
	snprintf(path, sizeof path, "/keys/%s/create" API, name);
	snprintf(body, sizeof body, "{%s}", members);
	return http("POST", base, path, mhsm ? mhsm_bearer() : vault_bearer(), body, NULL);
}

static struct answer
vault_get(const char *path)
{
	return http("GET", V, path, vault_bearer(), NULL, NULL);
}

static void
expect_refusal(struct answer a, long status, const char *code, const char *message)
{
	assert_int_equal(a.status, status);
	assert_string_equal(answer_code(&a), code);
	if (strncmp(answer_message(&a), message, strlen(message)) != 0)
		fail_msg("message is: %s", answer_message(&a));
	assert_string_equal(answer_header(&a, "content-type"), "application/json; charset=utf-8");
	answer_done(&a);
}

/* ---- access --------------------------------------------------------------------------------- */

static void
challenges_before_the_body_is_read(void **state)
{
	(void)state;
	json_t *rec = recording("release-akv-p256k-version-7.3.json");
	struct answer a = http("POST", V, "/keys/x/create" API, NULL, NULL, NULL);
	char want[512];
	assert_int_equal(a.status, 401);
	assert_true(json_equal(a.json, recorded_body(rec, "POST", "/create", 0)));
	assert_int_equal(answer_count_header(&a, "www-authenticate"), 1);
	snprintf(want, sizeof want,
		"Bearer authorization=\"%s/%s\", resource=\"https://vault.azure.net\"",
		labkit_var("AUTHORITY_URL"), labkit_var("TENANT_ID"));
	assert_string_equal(answer_header(&a, "www-authenticate"), want);
	answer_done(&a);
	a = http("POST", V, "/keys/x/create" API, NULL, "this is not even JSON", NULL);
	assert_int_equal(a.status, 401);
	answer_done(&a);
	a = http("GET", M, "/keys" API, NULL, NULL, NULL);
	assert_int_equal(a.status, 401);
	assert_int_equal(a.n_body, 0);
	assert_non_null(strstr(answer_header(&a, "www-authenticate"),
		"resource=\"https://managedhsm.azure.net\""));
	answer_done(&a);
	json_decref(rec);
}

static void
refuses_access_tokens_that_are_not_for_it(void **state)
{
	(void)state;
	char forged[4096], *text = NULL;
	int code = -1;
	struct answer a = http("GET", V, "/keys" API, mhsm_bearer(), NULL, NULL);
	expect_refusal(a, 401, "Unauthorized",
		"AKV10022: Invalid audience. Expected https://vault.azure.net, found: "
		"https://managedhsm.azure.net");
	snprintf(forged, sizeof forged, "%s", vault_bearer());
	char *last = forged + strlen(forged) - 10;
	*last = *last == 'A' ? 'B' : 'A';
	expect_refusal(http("GET", V, "/keys" API, forged, NULL, NULL), 401, "Unauthorized",
		"AKV10001: Signature");
	/* alg none: header replaced, payload kept, no signature */
	const char *payload = strchr(vault_bearer(), '.') + 1;
	snprintf(forged, sizeof forged, "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.%.*s.",
		(int)strcspn(payload, "."), payload);
	expect_refusal(
		http("GET", V, "/keys" API, forged, NULL, NULL), 401, "Unauthorized", "AKV1000");
	text = LAB(&code, "access-token", "https://vault.azure.net", "--expired");
	text[strcspn(text, "\n")] = '\0';
	expect_refusal(http("GET", V, "/keys" API, text, NULL, NULL), 401, "Unauthorized",
		"AKV10001: The token has");
	free(text);
}

static void
wants_an_api_version_that_exists(void **state)
{
	(void)state;
	expect_refusal(vault_get("/keys"), 400, "BadParameter", "api-version must be specified");
	expect_refusal(
		vault_get("/keys?api-version=6.6"), 400, "BadParameter", "The specified version");
	struct answer a = vault_get("/keys/rsa2048/?api%2Dversion=2025-07-01");
	assert_int_equal(a.status, 200);
	answer_done(&a);
	a = vault_get("//keys/rsa2048" API);
	assert_int_equal(a.status, 200);
	answer_done(&a);
}

/* ---- shapes --------------------------------------------------------------------------------- */

static void
bundles_have_the_recorded_shape(void **state)
{
	(void)state;
	char members[3000];
	json_t *akv = recording("release-akv-p256k-version-7.3.json");
	json_t *mhsm = recording("release-mhsm-p256k-version-7.3.json");
	json_t *oct = recording("create-oct-mhsm-7.3-preview.json");
	json_t *soft = recording("list-keys-akv-7.3.json");
	snprintf(members, sizeof members,
		"\"attributes\":{\"exportable\":true},\"crv\":\"P-256K\",\"kty\":\"EC-HSM\",%s",
		good_policy(true));
	struct answer a = create(V, "shape-ec", members), b = create(M, "shape-ec", members);
	assert_int_equal(a.status, 200);
	assert_int_equal(b.status, 200);
	assert_same_shape(recorded_body(akv, "POST", "/create", 1), a.json, NULL);
	assert_same_shape(recorded_body(mhsm, "POST", "/create", 1), b.json, NULL);
	answer_done(&a);
	answer_done(&b);
	a = create(M, "shape-oct", "\"kty\":\"oct-HSM\",\"key_size\":256");
	assert_same_shape(recorded_body(oct, "POST", "/create", 1), a.json, NULL);
	assert_null(json_object_get(json_object_get(a.json, "key"), "k"));
	answer_done(&a);
	a = create(V, "shape-rsa", "\"kty\":\"RSA\"");
	assert_same_shape(recorded_body(soft, "POST", "/create", 1), a.json, NULL);
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(a.json, "key"), "kty")), "RSA");
	answer_done(&a);
	a = create(M, "shape-rsa", "\"kty\":\"RSA\"");
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(a.json, "key"), "kty")),
		"RSA-HSM");
	answer_done(&a);
	json_decref(akv);
	json_decref(mhsm);
	json_decref(oct);
	json_decref(soft);
}

/* Follows nextLink; counts items and pages. */
static void
walk(const char *base, const char *bearer, const char *first, size_t *items, size_t *pages,
	size_t *empty, bool *version_in_links)
{
	char path[1024];
	snprintf(path, sizeof path, "%s", first);
	*items = *pages = *empty = 0;
	*version_in_links = true;
	while (path[0] != '\0') {
		struct answer a = http("GET", base, path, bearer, NULL, NULL);
		assert_int_equal(a.status, 200);
		const json_t *value = json_object_get(a.json, "value");
		const char *next = json_string_value(json_object_get(a.json, "nextLink"));
		*items += json_array_size(value);
		*empty += json_array_size(value) == 0;
		assert_true(++*pages < 100);
		path[0] = '\0';
		if (next != NULL) {
			assert_int_equal(strncmp(next, base, strlen(base)), 0);
			snprintf(path, sizeof path, "%s", next + strlen(base));
			*version_in_links =
				*version_in_links && strstr(path, "api-version") != NULL;
		}
		answer_done(&a);
	}
}

static void
lists_come_by_the_page_with_the_services_habits(void **state)
{
	(void)state;
	size_t items = 0, pages = 0, empty = 0, all = 0;
	bool versions = false;
	json_t *rec = recording("list-keys-akv-7.3.json"),
	       *rec_m = recording("list-keys-mhsm-7.3.json");
	walk(V, vault_bearer(), "/keys" API, &all, &pages, &empty, &versions);
	walk(V, vault_bearer(), "/keys" API "&maxresults=1", &items, &pages, &empty, &versions);
	assert_int_equal(items, all);
	assert_true(items >= 4 && empty > 0 && versions);
	walk(M, mhsm_bearer(), "/keys" API "&maxresults=2", &items, &pages, &empty, &versions);
	assert_true(items >= 5 && empty == 0 && !versions);
	struct answer a = vault_get("/keys" API "&maxresults=1");
	assert_same_shape(recorded_body(rec, "GET", "maxresults", 0), a.json, NULL);
	answer_done(&a);
	a = vault_get("/keys" API);
	assert_true(json_is_null(json_object_get(a.json, "nextLink")));
	answer_done(&a);
	a = http("GET", M, "/keys" API, mhsm_bearer(), NULL, NULL);
	assert_null(json_object_get(a.json, "nextLink"));
	answer_done(&a);
	a = http("GET", M, "/keys" API "&maxresults=1", mhsm_bearer(), NULL, NULL);
	assert_same_shape(recorded_body(rec_m, "GET", "maxresults", 0), a.json, NULL);
	answer_done(&a);
	expect_refusal(vault_get("/keys" API "&maxresults=26"), 400, "BadParameter", "maxresults");
	expect_refusal(
		vault_get("/keys" API "&$skiptoken=bogus"), 400, "BadParameter", "maxresults");
	json_decref(rec);
	json_decref(rec_m);
}

static void
versions_are_listed_and_the_newest_is_current(void **state)
{
	(void)state;
	json_t *rec = recording("list-versions-akv-7.3.json");
	int code = -1;
	char *kid = NULL;
	LAB_DO("key", "create", "turn", "--type", "ec-p256");
	kid = LAB(&code, "key", "rotate", "turn");
	kid[strcspn(kid, "\n")] = '\0';
	struct answer a = vault_get("/keys/turn" API);
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(a.json, "key"), "kid")), kid);
	answer_done(&a);
	a = vault_get("/keys/turn/versions" API);
	assert_int_equal(json_array_size(json_object_get(a.json, "value")), 2);
	answer_done(&a);
	a = vault_get("/keys/turn/versions" API "&maxresults=1");
	assert_same_shape(recorded_body(rec, "GET", "/versions", 0), a.json, NULL);
	answer_done(&a);
	free(kid);
	json_decref(rec);
}

static void
deletion_takes_its_time_on_a_vault(void **state)
{
	(void)state;
	json_t *rec = recording("immutable-policy-akv-7.3.json");
	json_t *rec_m = recording("immutable-policy-mhsm-7.3.json");
	LAB_DO("key", "create", "gone", "--type", "rsa-2048");
	LAB_DO("key", "create", "gone", "--type", "rsa-2048", "--vault", "mhsm");
	struct answer a = http("DELETE", V, "/keys/gone" API, vault_bearer(), NULL, NULL);
	assert_same_shape(recorded_body(rec, "DELETE", "/keys/", 0), a.json, NULL);
	answer_done(&a);
	expect_refusal(
		vault_get("/keys/gone" API), 404, "KeyNotFound", "A key with (name/id) gone");
	expect_refusal(vault_get("/deletedkeys/gone" API), 404, "KeyNotFound",
		"Deleted Key not found: gone");
	for (int i = 0; i < 10; i++) {
		a = vault_get("/deletedkeys/gone" API);
		if (a.status == 200)
			break;
		answer_done(&a);
	}
	assert_same_shape(recorded_body(rec, "DELETE", "/keys/", 0), a.json, NULL);
	answer_done(&a);
	expect_refusal(
		create(V, "gone", "\"kty\":\"RSA\""), 409, "Conflict", "Key gone is currently");
	a = http("DELETE", V, "/deletedkeys/gone" API, vault_bearer(), NULL, NULL);
	assert_int_equal(a.status, 204);
	answer_done(&a);
	a = http("DELETE", M, "/keys/gone" API, mhsm_bearer(), NULL, NULL);
	assert_same_shape(recorded_body(rec_m, "DELETE", "/keys/", 0), a.json, NULL);
	answer_done(&a);
	a = http("GET", M, "/deletedkeys/gone" API, mhsm_bearer(), NULL, NULL);
	assert_int_equal(a.status, 200);
	answer_done(&a);
	a = http("POST", M, "/deletedkeys/gone/recover" API, mhsm_bearer(), NULL, NULL);
	assert_int_equal(a.status, 200);
	answer_done(&a);
	json_decref(rec);
	json_decref(rec_m);
}

/* ---- refusals ------------------------------------------------------------------------------- */

static void
refuses_what_the_services_refuse_at_creation(void **state)
{
	(void)state;
	char members[3000];
	json_t *rec = recording("authority-unreachable-akv-7.3.json");
	snprintf(members, sizeof members,
		"\"kty\":\"RSA-HSM\",\"attributes\":{\"exportable\":true},%s",
		policy_member("", "sdk-test", "true", true));
	struct answer a = create(V, "nowhere", members);
	assert_int_equal(a.status, 400);
	assert_true(json_equal(a.json, recorded_body(rec, "POST", "/create", 1)));
	answer_done(&a);
	snprintf(members, sizeof members,
		"\"kty\":\"EC-HSM\",\"attributes\":{\"exportable\":true},%s",
		policy_member("https://sharedweu.weu.attest.azure.net", "a", "b", false));
	expect_refusal(
		create(V, "nowhere", members), 400, "BadParameter", "AKV.SKR.1012: The specified");
	expect_refusal(create(V, "bare", "\"kty\":\"EC-HSM\",\"attributes\":{\"exportable\":true}"),
		400, "BadParameter", "AKV.SKR.1004: Exportable keys must have release policy.");
	expect_refusal(create(M, "bare", "\"kty\":\"EC-HSM\",\"attributes\":{\"exportable\":true}"),
		400, "BadParameter", "Exportable keys must have release policy (Activity ID: ");
	snprintf(members, sizeof members, "\"kty\":\"EC-HSM\",%s", good_policy(false));
	expect_refusal(
		create(V, "bare", members), 400, "BadParameter", "AKV.SKR.1005: Non-exportable");
	snprintf(members, sizeof members, "\"kty\":\"EC\",\"attributes\":{\"exportable\":true},%s",
		good_policy(false));
	expect_refusal(create(V, "bare", members), 400, "BadParameter", "AKV.SKR.1006: ");
	expect_refusal(create(V, "bare", "\"kty\":\"oct-HSM\""), 400, "BadParameter",
		"Property  has invalid value");
	expect_refusal(create(V, "bad_name", "\"kty\":\"RSA\""), 400, "BadParameter",
		"The request URI contains an invalid name: bad_name");
	expect_refusal(create(V, "bare", "\"kty\":\"RSA\",\"key_size\":1024"), 400, "BadParameter",
		"Property key_size");
	expect_refusal(create(V, "bare", "\"kty\":\"EC\",\"crv\":\"P-257\""), 400, "BadParameter",
		"Property crv");
	expect_refusal(create(V, "bare", "\"kty\":\"RSA\",\"kty\":\"RSA\""), 400, "BadParameter",
		"The request body");
	json_decref(rec);
}

/* Not the grammar of facts: unknown operators and members, empty lists, two kinds at once, depth.
 */
static void
refuses_policies_that_are_not_the_grammar(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"",
		"{",
		"[]",
		"{}",
		"{\"version\":\"1.0.0\"}",
		"{\"version\":\"1.0.0\",\"anyOf\":[]}",
		"{\"version\":\"2.0.0\",\"anyOf\":[{\"authority\":\"@\",\"allOf\":[{\"claim\":"
		"\"a\","
		"\"equals\":\"b\"}]}]}",
		"{\"version\":1,\"anyOf\":[{\"authority\":\"@\",\"allOf\":[{\"claim\":\"a\","
		"\"equals\":"
		"\"b\"}]}]}",
		"{\"version\":\"1.0.0\",\"extra\":1,\"anyOf\":[{\"authority\":\"@\",\"allOf\":[{"
		"\"claim\":"
		"\"a\",\"equals\":\"b\"}]}]}",
		"{\"version\":\"1.0.0\",\"anyOf\":[{\"allOf\":[{\"claim\":\"a\",\"equals\":\"b\"}]}"
		"]}",
		"{\"version\":\"1.0.0\",\"anyOf\":[{\"authority\":\"@\"}]}",
		"{\"version\":\"1.0.0\",\"anyOf\":[{\"authority\":\"@\",\"allOf\":[]}]}",
		"{\"version\":\"1.0.0\",\"anyOf\":[{\"authority\":\"@\",\"allOf\":[{\"claim\":"
		"\"a\","
		"\"equals\":\"b\"}],\"anyOf\":[{\"claim\":\"a\",\"equals\":\"b\"}]}]}",
		"{\"version\":\"1.0.0\",\"anyOf\":[{\"authority\":\"@\",\"allOf\":[{\"claim\":"
		"\"a\","
		"\"notEquals\":\"b\"}]}]}",
		"{\"version\":\"1.0.0\",\"anyOf\":[{\"authority\":\"@\",\"allOf\":[{\"claim\":"
		"\"a\","
		"\"equals\":\"b\",\"greater\":1}]}]}",
		"{\"version\":\"1.0.0\",\"anyOf\":[{\"authority\":\"@\",\"allOf\":[{\"claim\":"
		"\"a\","
		"\"equals\":null}]}]}",
		"{\"version\":\"1.0.0\",\"anyOf\":[{\"authority\":\"@\",\"allOf\":[{\"claim\":"
		"\"a\","
		"\"equals\":[\"b\"]}]}]}",
		"{\"version\":\"1.0.0\",\"anyOf\":[{\"authority\":\"@\",\"allOf\":[{\"claim\":\"a.."
		"b\","
		"\"equals\":1}]}]}",
		"{\"version\":\"1.0.0\",\"anyOf\":[{\"authority\":\"@\",\"allOf\":[{\"claim\":\"\","
		"\"equals\":1}]}]}",
		"{\"version\":\"1.0.0\",\"anyOf\":[{\"authority\":\"@\",\"allOf\":[{\"claim\":"
		"\"a\","
		"\"claim\":\"a\",\"equals\":1}]}]}",
		"{\"version\":\"1.0.0\",\"anyOf\":[{\"authority\":\"@\",\"allOf\":[{\"anyOf\":[]}]}"
		"]}",
		"{\"version\":\"1.0.0\",\"anyOf\":[{\"authority\":\"@\",\"allOf\":[7]}]}",
	};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		char members[3000], doc[1024] = "";
		struct vs_buf b64 = {0};
		const char *at = strchr(bad[i], '@');
		snprintf(doc, sizeof doc, "%.*s%s%s", at != NULL ? (int)(at - bad[i]) : 1000,
			bad[i], at != NULL ? labkit_var("MAA_URL") : "", at != NULL ? at + 1 : "");
		assert_false(vs_failed(vs_b64url_encode(vs_bytes_str(doc), &b64, NULL)));
		snprintf(members, sizeof members,
			"\"kty\":\"EC-HSM\",\"attributes\":{\"exportable\":true},\"release_"
			"policy\":"
			"{\"data\":\"%s\"}",
			vs_buf_cstr(&b64));
		vs_buf_done(&b64);
		struct answer a = create(V, "grammar", members);
		if (a.status != 400)
			fail_msg("policy %zu gives %ld", i, a.status);
		answer_done(&a);
	}
	struct answer a = vault_get("/keys/grammar" API);
	assert_int_equal(a.status, 404);
	answer_done(&a);
}

static void
an_immutable_policy_stays(void **state)
{
	(void)state;
	char body[4096], members[3000];
	json_t *rec = recording("immutable-policy-akv-7.3.json");
	json_t *rec_m = recording("immutable-policy-mhsm-7.3.json");
	const char *other = policy_member(labkit_var("MAA_URL"), "sdk-test", "false", true);
	snprintf(body, sizeof body, "{\"attributes\":{\"enabled\":true,\"exportable\":true},%s}",
		other);
	snprintf(members, sizeof members,
		"\"kty\":\"EC-HSM\",\"attributes\":{\"exportable\":true},%s", good_policy(true));
	struct answer a = create(V, "stays", members);
	assert_int_equal(a.status, 200);
	answer_done(&a);
	a = create(M, "stays", members);
	assert_int_equal(a.status, 200);
	answer_done(&a);
	a = http("PATCH", V, "/keys/stays/" API, vault_bearer(), body, NULL);
	assert_int_equal(a.status, 400);
	assert_true(json_equal(a.json, recorded_body(rec, "PATCH", "/keys/", 0)));
	answer_done(&a);
	const char *text = json_string_value(json_object_get(
		json_object_get(recorded_body(rec_m, "PATCH", "/keys/", 0), "error"), "message"));
	char want[200];
	snprintf(want, sizeof want, "%.*s", (int)(strstr(text, "ID: ") + 4 - text), text);
	expect_refusal(http("PATCH", M, "/keys/stays/" API, mhsm_bearer(), body, NULL), 400,
		"BadParameter", want);
	snprintf(members, sizeof members,
		"\"kty\":\"EC-HSM\",\"attributes\":{\"exportable\":true},%s",
		policy_member(labkit_var("MAA_URL"), "sdk-test", "false", true));
	expect_refusal(create(V, "stays", members), 400, "BadParameter", "AKV.SKR.1020: ");
	expect_refusal(http("PATCH", V, "/keys/stays/" API, vault_bearer(),
			       "{\"attributes\":{\"exportable\":false}}", NULL),
		400, "BadParameter", "AKV.SKR.1014: ");
	a = http("PATCH", V, "/keys/stays/" API, vault_bearer(),
		"{\"attributes\":{\"enabled\":false}}", NULL);
	assert_int_equal(a.status, 200);
	answer_done(&a);
	json_decref(rec);
	json_decref(rec_m);
}

static void
policies_are_written_in_the_flavours_order(void **state)
{
	(void)state;
	json_t *akv = recording("immutable-policy-akv-7.3.json");
	json_t *mhsm = recording("immutable-policy-mhsm-7.3.json");
	char members[3000];
	snprintf(members, sizeof members,
		"\"kty\":\"EC-HSM\",\"attributes\":{\"exportable\":true},%s", good_policy(false));
	const json_t *recorded[] = {recorded_body(akv, "POST", "/create", 1),
		recorded_body(mhsm, "POST", "/create", 1)};
	for (int i = 0; i < 2; i++) {
		struct answer a = create(i == 0 ? V : M, "order", members);
		const char *want = json_string_value(
			json_object_get(json_object_get(recorded[i], "release_policy"), "data"));
		const char *have = json_string_value(
			json_object_get(json_object_get(a.json, "release_policy"), "data"));
		json_t *w = json_of_b64url(want, strlen(want)),
		       *h = json_of_b64url(have, strlen(have));
		assert_same_shape(w, h, NULL);
		json_decref(w);
		json_decref(h);
		answer_done(&a);
	}
	json_decref(akv);
	json_decref(mhsm);
}

static void
imports_what_is_a_key(void **state)
{
	(void)state;
	struct answer a = http("PUT", M, "/keys/imported" API, mhsm_bearer(),
		"{\"Hsm\":true,\"key\":{\"kty\":\"oct-HSM\",\"key_ops\":[\"wrapKey\"],\"k\":"
		"\"AAECAwQFBgcICQoLDA0ODw\"}}",
		NULL);
	assert_int_equal(a.status, 200);
	answer_done(&a);
	a = http("PUT", V, "/keys/imported" API, vault_bearer(),
		"{\"hsm\":true,\"key\":{\"kty\":\"EC\",\"crv\":\"P-256\","
		"\"x\":\"gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0\","
		"\"y\":\"SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps\","
		"\"d\":\"0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo\"}}",
		NULL);
	assert_int_equal(a.status, 200);
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(a.json, "key"), "kty")),
		"EC-HSM");
	answer_done(&a);
	/* a private key that does not belong to the point */
	expect_refusal(http("PUT", V, "/keys/imported2" API, vault_bearer(),
			       "{\"key\":{\"kty\":\"EC\",\"crv\":\"P-256\","
			       "\"x\":\"gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0\","
			       "\"y\":\"SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps\","
			       "\"d\":\"0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIs\"}}",
			       NULL),
		400, "BadParameter", "JSON Web Key: the EC key");
	expect_refusal(http("PUT", M, "/keys/imported2" API, mhsm_bearer(),
			       "{\"key\":{\"kty\":\"oct-HSM\",\"k\":\""
			       "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
			       "AAAAAAAAAAAAAAA"
			       "AAAAAA\"}}",
			       NULL),
		400, "BadParameter", "JSON Web Key: k property of oct key is too large");
}

static void
certificates_are_read_through_the_vault(void **state)
{
	(void)state;
	struct answer a = vault_get("/certificates/rsa2048/" API);
	assert_int_equal(a.status, 200);
	assert_non_null(
		strstr(json_string_value(json_object_get(a.json, "kid")), "/keys/rsa2048/"));
	assert_non_null(json_object_get(a.json, "cer"));
	answer_done(&a);
	a = vault_get("/certificates" API);
	assert_int_equal(json_array_size(json_object_get(a.json, "value")), 2);
	answer_done(&a);
	LAB_DO("certificate", "issue", "rsa3072");
	a = vault_get("/certificates/rsa3072/" API);
	assert_int_equal(a.status, 200);
	answer_done(&a);
	expect_refusal(
		vault_get("/certificates/none/" API), 404, "CertificateNotFound", "A certificate");
	expect_refusal(http("GET", M, "/certificates" API, mhsm_bearer(), NULL, NULL), 404,
		"NotFound", "");
}

static int
up(void **state)
{
	(void)state;
	labkit_up();
	LAB_DO("throttle", "off");
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
		cmocka_unit_test(challenges_before_the_body_is_read),
		cmocka_unit_test(refuses_access_tokens_that_are_not_for_it),
		cmocka_unit_test(wants_an_api_version_that_exists),
		cmocka_unit_test(bundles_have_the_recorded_shape),
		cmocka_unit_test(lists_come_by_the_page_with_the_services_habits),
		cmocka_unit_test(versions_are_listed_and_the_newest_is_current),
		cmocka_unit_test(deletion_takes_its_time_on_a_vault),
		cmocka_unit_test(refuses_what_the_services_refuse_at_creation),
		cmocka_unit_test(refuses_policies_that_are_not_the_grammar),
		cmocka_unit_test(an_immutable_policy_stays),
		cmocka_unit_test(policies_are_written_in_the_flavours_order),
		cmocka_unit_test(imports_what_is_a_key),
		cmocka_unit_test(certificates_are_read_through_the_vault),
	};
	return cmocka_run_group_tests(tests, up, down);
}
