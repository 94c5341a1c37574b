/* SPDX-License-Identifier: BSD-2-Clause */
/* The lab's attestation service as its clients see it: requests, refusals, policies. */
#include "unit/unit.h"

#include <openssl/sha.h>

#include "base/codec.h"
#include "lab/lab_entra.h"
#include "lab/lab_policy.h"
#include "lab/lab_roots.h"
#include "lab/maa_client.h"

static void
describes_itself(void **state)
{
	(void)state;
	VS_CLEANUP(maa_call_done)
	struct maa_call c = {.method = "GET", .path = "/.well-known/openid-configuration"};
	json_t *o = maa_call(&c);
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
	VS_CLEANUP(maa_call_done)
	struct maa_call c = {
		.method = method, .path = path, .version = version, .body = vs_bytes_str(body)};
	json_t *o = maa_call(&c);
	assert_int_equal(c.resp.status, status);
	assert_string_equal(maa_error(o, "code"), code);
	assert_true(strlen(maa_error(o, "message")) > 10);
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
	expect_error("POST", "/attest/Tpm", v, "{}", 401, "Unauthorized");
	expect_error("POST", "/attest/SgxEnclave", v, "{}", 400, code);
	expect_error("POST", "/attest/OpenEnclave", v, "{\"report\":\"AAAA\"}", 400, code);
	expect_error("POST", "/attest/TdxVm", v, "{\"quote\":\"AAAA\"}", 400, code);
	expect_error("GET", "/certificates", v, "", 401, "Unauthorized");
	expect_error("POST", "/attest/", v, "{}", 404, "NotFound");
	expect_error("GET", "/nothing", v, "", 404, "NotFound");
	expect_error("POST", "/certs", v, "", 404, "NotFound");
}

static void
names_the_check_that_failed(void **state)
{
	(void)state;
	json_t *info = fixture_collect(
		maa_fixture.lab.machine, &(struct lab_guest_options){.weak_policy = true});
	char *body = maa_body(info, "AttestationInfo");
	VS_CLEANUP(maa_call_done)
	struct maa_call c = {.method = "POST",
		.path = "/attest/azureguest",
		.version = "2020-10-01",
		.body = vs_bytes_str(body)};
	json_t *o = maa_call(&c);
	assert_int_equal(c.resp.status, 400);
	assert_string_equal(maa_error(o, "code"), "InvalidParameter");
	assert_non_null(strstr(maa_error(o, "message"), "Check EncKeyPolicy failed: "));
	const json_t *inner = json_object_get(json_object_get(o, "error"), "innererror");
	assert_string_equal(json_string_value(json_object_get(inner, "code")), "EncKeyPolicy");
	json_decref(o);
	json_decref(info);
	free(body);
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
	assert_ok(lab_maa_set_policy(maa_fixture.lab.maa, "azureguest", text, &err), &err);
	char *token = maa_attest("AttestationInfo", error);
	json_t *claims = maa_json(token, 1);
	VS_CLEANUP(vs_buf_done) struct vs_buf hash = {0};
	assert_ok(lab_policy_hash(vs_bytes_str(text), &hash, &err), &err);
	assert_string_equal(
		json_string_value(json_object_get(claims, "x-ms-policy-hash")), vs_buf_cstr(&hash));
	static const char vm[] = "D3FD4B09-37A3-40D5-8F2A-EA80762213CC";
	assert_string_equal(json_string_value(json_object_get(claims, "vm")), vm);
	assert_true(json_is_true(json_object_get(claims, "vouchsafe-lab")));
	json_decref(claims);
	free(token);
	fixture_tamper(&maa_fixture, "debug-bit");
	assert_null(maa_attest("AttestationInfo", error));
	assert_string_equal(error, "400 PolicyEvaluationError");
	fixture_tamper(&maa_fixture, "undo");
	assert_ok(lab_maa_set_policy(maa_fixture.lab.maa, "AzureGuest",
			  "version=1.0;authorizationrules{=>permit();=>deny();};", &err),
		&err);
	assert_null(maa_attest("AttestationInfo", error));
	assert_string_equal(error, "400 PolicyValidationFailure");
	assert_code(lab_maa_set_policy(maa_fixture.lab.maa, "AzureGuest", "version=1.0;", &err),
		FORMAT);
	assert_code(lab_maa_set_policy(maa_fixture.lab.maa, "Nothing", NULL, &err), USAGE);
	assert_ok(lab_maa_set_policy(maa_fixture.lab.maa, "AzureGuest", NULL, &err), &err);
	token = maa_attest("AttestationInfo", error);
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
	assert_ok(lab_maa_set_policy(maa_fixture.lab.maa, "AzureGuest",
			  "version=1.0;authorizationrules{=>permit();};issuancerules{"
			  "=>issue(type=\"secureboot\", value=false);=>issue(type=\"exp\", "
			  "value=1);};",
			  &err),
		&err);
	char *token = maa_attest("AttestationInfo", error);
	json_t *claims = maa_json(token, 1);
	assert_true(json_is_true(json_object_get(claims, "secureboot")));
	assert_true(json_integer_value(json_object_get(claims, "exp")) > 1);
	json_decref(claims);
	free(token);
	assert_ok(lab_maa_set_policy(maa_fixture.lab.maa, "AzureGuest", NULL, &err), &err);
}

/* The answer of a policy call is a token, too. */
static json_t *
policy_call(struct maa_call *c)
{
	json_t *o = maa_call(c);
	if (c->resp.status != 200)
		fail_msg(
			"%d %s: %s", c->resp.status, maa_error(o, "code"), maa_error(o, "message"));
	const char *token = json_string_value(json_object_get(o, "token"));
	maa_assert_signed(token);
	json_t *claims = maa_json(token, 1);
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
	assert_ok(lab_entra_token(&maa_fixture.lab, LAB_ID_SECRET, "https://attest.azure.net", 600,
			  &bearer, &err),
		&err);
	while (jws.n > 0 && jws.p[jws.n - 1] == '\n')
		jws.n--;
	VS_CLEANUP(maa_call_done)
	struct maa_call c = {.method = "PUT",
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
		json_decref(maa_call(&c));
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
	VS_CLEANUP(maa_call_done)
	struct maa_call c = {.method = "POST",
		.path = "/attest/SevSnpVm",
		.version = "2022-08-01",
		.body = vs_bytes_str(text)};
	json_t *o = maa_call(&c), *claims = NULL;
	if (c.resp.status != status)
		fail_msg("%d %s: %s", c.resp.status, maa_error(o, "code"), maa_error(o, "message"));
	if (status == 200) {
		const char *token = json_string_value(json_object_get(o, "token"));
		if (!json_object_get(body, "draftPolicyForAttestation"))
			maa_assert_signed(token);
		else
			assert_int_equal(token[strlen(token) - 1], '.');
		claims = maa_json(token, 1);
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
	json_t *info = fixture_collect(maa_fixture.lab.machine, &(struct lab_guest_options){0});
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
	assert_true(json_is_true(json_object_get(claims, "vouchsafe-lab")));
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
	fixture_tamper(&maa_fixture, "vcek");
	info = fixture_collect(maa_fixture.lab.machine, &(struct lab_guest_options){0});
	body = snp_body(info, "JSON");
	snp_call(body, 400, "SnpReportSignature");
	json_decref(body);
	json_decref(info);
	fixture_tamper(&maa_fixture, "undo");
}

/* b64url of bytes as a JSON string. */
static json_t *
b64u(struct vs_bytes b)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {0};
	assert_false(vs_failed(vs_b64url_encode(b, &text, NULL)));
	return json_string(vs_buf_cstr(&text));
}

/* A report of real hardware, with its chain, as a client would send it. */
static json_t *
real_snp_body(size_t flip)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf report = fixture_file("lab/snp/snp_report.bin");
	VS_CLEANUP(vs_buf_done) struct vs_buf runtime = fixture_file("lab/snp/runtime.json");
	VS_CLEANUP(vs_buf_done) struct vs_buf ca = fixture_file("lab/snp/ask_ark_milan.pem");
	VS_CLEANUP(vs_buf_done) struct vs_buf der = fixture_file("lab/snp/vcek.der");
	VS_CLEANUP(vs_buf_done) struct vs_buf chain = {0};
	const unsigned char *p = der.p;
	struct vs_err err = {0};
	X509 *vcek = d2i_X509(NULL, &p, (long)der.n);
	assert_ok(lab_hwcert_pem(vcek, &chain, &err), &err);
	assert_ok(vs_buf_add(&chain, ca.p, ca.n, &err), &err);
	X509_free(vcek);
	report.p[flip] ^= flip != 0;
	json_t *inner = json_pack("{s:o,s:o}", "SnpReport", b64u(vs_buf_view(&report)),
		"VcekCertChain", b64u(vs_buf_view(&chain)));
	char *text = json_dumps(inner, JSON_COMPACT);
	json_t *body = json_pack("{s:o,s:{s:o,s:s}}", "report", b64u(vs_bytes_str(text)),
		"runtimeData", "data", b64u(vs_buf_view(&runtime)), "dataType", "JSON");
	free(text);
	json_decref(inner);
	return body;
}

static void
attests_reports_of_real_hardware(void **state)
{
	(void)state;
	json_t *body = real_snp_body(0), *claims = snp_call(body, 200, NULL);
	assert_non_null(json_object_get(json_object_get(claims, "x-ms-runtime"), "keys"));
	assert_null(json_object_get(claims, "x-ms-compliance-status"));
	assert_true(json_is_true(json_object_get(claims, "vouchsafe-lab")));
	json_decref(claims);
	json_decref(body);
	body = real_snp_body(0x90);
	snp_call(body, 400, "SnpReportSignature");
	json_decref(body);
}

static json_t *
quote_call(const char *type, const char *member, struct vs_bytes quote, int status)
{
	char path[40];
	json_t *body = json_object(), *claims = NULL;
	json_object_set_new(body, member, b64u(quote));
	char *text = json_dumps(body, 0);
	snprintf(path, sizeof path, "/attest/%s", type);
	VS_CLEANUP(maa_call_done)
	struct maa_call c = {.method = "POST",
		.path = path,
		.version = "2023-04-01-preview",
		.body = vs_bytes_str(text)};
	json_t *o = maa_call(&c);
	if (c.resp.status != status)
		fail_msg("%d %s: %s", c.resp.status, maa_error(o, "code"), maa_error(o, "message"));
	if (status == 200) {
		maa_assert_signed(json_string_value(json_object_get(o, "token")));
		claims = maa_json(json_string_value(json_object_get(o, "token")), 1);
	}
	json_decref(o);
	json_decref(body);
	free(text);
	return claims;
}

static const char *
text_of(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));
	return s ? s : "";
}

static void
attests_trust_domains(void **state)
{
	(void)state;
	VS_CLEANUP(vs_buf_done) struct vs_buf q = fixture_file("maa/evidence/td_quote_v4.dat");
	json_t *c = quote_call("TdxVm", "quote", vs_buf_view(&q), 200);
	assert_string_equal(text_of(c, "x-ms-attestation-type"), "tdxvm");
	assert_string_equal(text_of(c, "eat_profile"), "https://aka.ms/maa-eat-profile-tdxvm");
	assert_int_equal(strlen(text_of(c, "tdx_mrtd")), 96);
	assert_int_equal(strlen(text_of(c, "tdx_report_data")), 128);
	assert_int_equal(strlen(text_of(c, "tdx_td_attributes")), 16);
	assert_string_equal(text_of(c, "dbgstat"), "disabled");
	assert_true(json_is_false(json_object_get(c, "tdx_td_attributes_debug")));
	/* Nothing is known about the firmware's standing, and the lab does not make it up. */
	assert_string_equal(text_of(c, "attester_tcb_status"), "OutOfDate");
	assert_null(json_object_get(c, "x-ms-compliance-status"));
	json_decref(c);
	quote_call("SgxEnclave", "quote", vs_buf_view(&q), 400);
	q.p[48 + 136] ^= 1;
	quote_call("TdxVm", "quote", vs_buf_view(&q), 400);
	VS_CLEANUP(vs_buf_done)
	struct vs_buf sgx = fixture_file("evidence/intel/sgx-v3/sgx_quote");
	json_decref(quote_call("SgxEnclave", "quote", vs_buf_view(&sgx), 200));
	quote_call("TdxVm", "quote", vs_buf_view(&sgx), 400);
	quote_call("OpenEnclave", "report", vs_buf_view(&sgx), 400);
}

/* A rotated key signs; the old one stays until it is forgotten. */
static void
rotates_its_key(void **state)
{
	(void)state;
	char error[64] = "";
	struct vs_err err = {0};
	size_t before = 0;
	for (int i = 0; i < 3; i++) {
		json_t *jwks = maa_jwks();
		const size_t n = json_array_size(json_object_get(jwks, "keys"));
		assert_int_equal(n, i == 1 ? 5 : 4);
		assert_true(n != before);
		before = n;
		json_decref(jwks);
		char *token = maa_attest("AttestationInfo", error);
		assert_non_null(token);
		maa_assert_signed(token);
		assert_ok(lab_maa_rotate(maa_fixture.lab.maa, i == 1, &err), &err);
		json_t *head = maa_json(token, 0);
		jwks = maa_jwks();
		char *now = json_dumps(jwks, JSON_COMPACT | JSON_SORT_KEYS);
		assert_int_equal(strstr(now, text_of(head, "kid")) != NULL, i != 1);
		free(now);
		json_decref(jwks);
		json_decref(head);
		free(token);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(describes_itself),
		cmocka_unit_test(refuses_requests_that_are_none),
		cmocka_unit_test(names_the_check_that_failed),
		cmocka_unit_test(asks_its_policy),
		cmocka_unit_test(keeps_its_own_claims_from_the_policy),
		cmocka_unit_test(lets_its_policies_be_read_and_changed_with_a_bearer),
		cmocka_unit_test(attests_bare_hardware_reports),
		cmocka_unit_test(attests_reports_of_real_hardware),
		cmocka_unit_test(attests_trust_domains),
		cmocka_unit_test(rotates_its_key),
	};
	return cmocka_run_group_tests(tests, maa_start, maa_stop);
}
