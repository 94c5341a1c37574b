/* SPDX-License-Identifier: BSD-2-Clause */
/* The attestation API of 2018, with a request and a token of May 2020. */
#include "unit/unit.h"

#include <openssl/sha.h>

#include "base/codec.h"
#include "lab/lab_entra.h"
#include "lab/maa_client.h"

#define OPEN "/attest/Tee/OpenEnclave"
#define OLD "2018-09-01-preview"
/* What a default policy was then; its hash is in the recorded token. */
#define ISSUE(old, now) "c:[type==\"$" old "\"] => issue(type=\"" now "\", value=c.value);"
#define POLICY \
	"version= 1.0;authorizationrules{c:[type==\"$is-debuggable\"] => permit();};" \
	"issuancerules{" ISSUE("is-debuggable", "is-debuggable") \
		ISSUE("sgx-mrsigner", "sgx-mrsigner") ISSUE("sgx-mrenclave", "sgx-mrenclave") \
			ISSUE("product-id", "product-id") ISSUE("svn", "svn") \
				ISSUE("tee", "tee") "};"

static json_t *
recorded(void)
{
	VS_CLEANUP(vs_buf_done)
	struct vs_buf b = fixture_file("maa/exchanges/2020-post.attest.body.json");
	json_t *o = json_loadb((const char *)b.p, b.n, 0, NULL);
	assert_non_null(o);
	return o;
}

static json_t *
send(const char *path, const char *version, const json_t *body, bool bearer, struct maa_call *c)
{
	struct vs_err err = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf token = {0};
	char *text = json_dumps(body, JSON_COMPACT);
	assert_ok(vs_buf_add_str(&token, "Bearer ", &err), &err);
	assert_ok(lab_entra_token(&maa_fixture.lab, LAB_ID_SECRET, "https://attest.azure.net", 600,
			  &token, &err),
		&err);
	c->method = "POST";
	c->path = path;
	c->version = version;
	c->bearer = bearer ? vs_buf_cstr(&token) : NULL;
	c->body = vs_bytes_str(text);
	json_t *o = maa_call(c);
	free(text);
	return o;
}

static void
expect_refusal(
	const char *path, const char *version, const json_t *body, int status, const char *inner)
{
	VS_CLEANUP(maa_call_done) struct maa_call c = {0};
	json_t *o = send(path, version, body, true, &c);
	const json_t *i = json_object_get(json_object_get(o, "error"), "innererror");
	const char *code = json_string_value(json_object_get(i, "code"));
	if (c.resp.status != status || strcmp(code ? code : "", inner) != 0)
		fail_msg("%d %.*s", c.resp.status, (int)c.resp.body.n, (const char *)c.resp.body.p);
	json_decref(o);
}

static void
set_policy(const char *text)
{
	struct vs_err err = {0};
	assert_ok(lab_maa_set_policy(maa_fixture.lab.maa, "OpenEnclave", text, &err), &err);
}

static void
answers_with_the_token_alone(void **state)
{
	(void)state;
	VS_CLEANUP(maa_call_done) struct maa_call c = {0};
	json_t *body = recorded();
	set_policy(POLICY);
	json_t *o = send(OPEN, OLD, body, true, &c);
	if (!json_is_string(o))
		fail_msg("%.*s", (int)c.resp.body.n, (const char *)c.resp.body.p);
	maa_assert_signed(json_string_value(o));
	json_t *claims = maa_json(json_string_value(o), 1);
	/* As in the recorded token. */
	assert_string_equal(json_string_value(json_object_get(claims, "maa-policyHash")),
		"200e2717392bfb187b89c7c498b8e5ebcd6ad136dc0cdb5b897fdb13e344ca40");
	assert_string_equal(
		json_string_value(json_object_get(
			json_object_get(claims, "maa-attestationcollateral"), "maa-quotehash")),
		"e2e7d0d775f53b47b9bc9c579565cd5bca0cd0c51ccb9a99c1f076e1730607df");
	assert_int_equal(json_integer_value(json_object_get(claims, "svn")), 8888);
	assert_true(json_is_false(json_object_get(claims, "is-debuggable")));
	assert_true(json_equal(
		json_object_get(claims, "maa-ehd"), json_object_get(body, "EnclaveHeldData")));
	assert_null(json_object_get(claims, "x-ms-ver"));
	assert_true(json_is_true(json_object_get(claims, "vouchsafe-lab")));
	json_decref(claims);
	json_decref(o);
	json_decref(body);
}

static void
asks_for_a_bearer(void **state)
{
	(void)state;
	VS_CLEANUP(maa_call_done) struct maa_call c = {0};
	json_t *body = recorded(), *o = send(OPEN, OLD, body, false, &c);
	assert_int_equal(c.resp.status, 401);
	assert_string_equal(maa_error(o, "code"), "Unauthorized");
	assert_non_null(
		strstr(vs_buf_cstr(&c.resp.head), "WWW-Authenticate: Bearer authorization_uri=\""));
	assert_non_null(
		strstr(vs_buf_cstr(&c.resp.head), "resource=\"https://attest.azure.net\"\r\n"));
	json_decref(o);
	json_decref(body);
}

/* The recorded request with one member changed. */
static json_t *
with(const char *name, json_t *v)
{
	json_t *body = recorded();
	if (v)
		json_object_set_new(body, name, v);
	else
		json_object_del(body, name);
	return body;
}

static json_t *
flipped(const char *name, size_t at)
{
	json_t *body = recorded(), *v = NULL;
	char *text = strdup(json_string_value(json_object_get(body, name)));
	assert_true(text && at < strlen(text));
	text[at] = text[at] == 'A' ? 'B' : 'A';
	v = json_string(text);
	free(text);
	json_object_set_new(body, name, v);
	return body;
}

static void
believes_no_changed_evidence(void **state)
{
	(void)state;
	const struct {
		json_t *body;
		const char *inner;
	} rows[] = {
		{flipped("EnclaveHeldData", 40), "ReportData"},
		{flipped("Quote", 2), "QuoteStructure"}, /* OpenEnclave's header */
		{flipped("Quote", 300), "EcdsaQuoteSignature"},
		{with("Quote", NULL), "InvalidParameter"},
		{with("Quote", json_integer(7)), "InvalidParameter"},
		{with("EnclaveHeldData", json_string("%%")), "InvalidParameter"},
		{with("DraftPolicyForAttestation",
			 json_string("version= 1.0;authorizationrules{=> deny();};")),
			"PolicyEvaluationError"},
	};
	set_policy(POLICY);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		expect_refusal(OPEN, OLD, rows[i].body, 400, rows[i].inner);
		json_decref(rows[i].body);
	}
}

static void
keeps_the_versions_apart(void **state)
{
	(void)state;
	json_t *body = recorded();
	/* Today's service knows neither these members nor this path. */
	expect_refusal("/attest/OpenEnclave", "2020-10-01", body, 400, "InvalidParameter");
	expect_refusal(OPEN, "2020-10-01", body, 404, "NotFound");
	expect_refusal(OPEN, "2022-08-01", body, 404, "NotFound");
	/* And a quote of another SDK is none of OpenEnclave's. */
	expect_refusal("/attest/Tee/SgxEnclave", OLD, body, 400, "QuoteStructure");
	json_decref(body);
}

static void
gives_unsecured_tokens_for_drafts(void **state)
{
	(void)state;
	VS_CLEANUP(maa_call_done) struct maa_call c = {0};
	json_t *body = with("DraftPolicyForAttestation",
		json_string("version= 1.0;"
			    "authorizationrules{=> "
			    "permit();};"));
	json_t *o = send(OPEN, OLD, body, true, &c), *head = NULL, *claims = NULL;
	const char *token = json_string_value(o);
	assert_non_null(token);
	head = maa_json(token, 0);
	claims = maa_json(token, 1);
	assert_string_equal(json_string_value(json_object_get(head, "alg")), "none");
	assert_int_equal(token[strlen(token) - 1], '.');
	assert_null(json_object_get(claims, "svn")); /* the draft issues nothing */
	json_decref(head);
	json_decref(claims);
	json_decref(o);
	json_decref(body);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_with_the_token_alone),
		cmocka_unit_test(asks_for_a_bearer),
		cmocka_unit_test(believes_no_changed_evidence),
		cmocka_unit_test(keeps_the_versions_apart),
		cmocka_unit_test(gives_unsecured_tokens_for_drafts),
	};
	return cmocka_run_group_tests(tests, maa_start, maa_stop);
}
