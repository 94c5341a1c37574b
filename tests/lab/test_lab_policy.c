/* SPDX-License-Identifier: BSD-2-Clause */
/* The attestation policy language: parsed strictly, evaluated, not matched by pattern. */
#include "unit/unit.h"

#include <jansson.h>

#include "lab/lab_fixture.h"
#include "lab/lab_policy.h"

static struct lab_policy_result
run(const char *text, const char *claims_json)
{
	struct vs_err err = {0};
	struct lab_policy *p = NULL;
	struct lab_policy_result r;
	json_t *claims = json_loads(claims_json, 0, NULL);
	assert_non_null(claims);
	assert_ok(lab_policy_parse(vs_bytes_str(text), &p, &err), &err);
	assert_ok(lab_policy_run(p, claims, &r, &err), &err);
	lab_policy_free(p);
	json_decref(claims);
	return r;
}

static void
expect(const char *text, const char *claims, enum lab_decision decision, const char *issued)
{
	struct lab_policy_result r = run(text, claims);
	assert_int_equal(r.decision, decision);
	json_t *want = issued ? json_loads(issued, 0, NULL) : NULL;
	if (!json_equal(r.issued, want) && !(!r.issued && !want)) {
		char *got = r.issued ? json_dumps(r.issued, JSON_SORT_KEYS) : NULL;
		fail_msg("issued %s", got ? got : "nothing");
	}
	json_decref(want);
	lab_policy_result_done(&r);
}

#define HEAD "version=1.0;authorizationrules{"
#define PERMIT HEAD "=>permit();};issuancerules{"

static void
permits_only_with_a_permit_and_without_a_deny(void **state)
{
	(void)state;
	expect(HEAD "=>permit();};", "{}", LAB_PERMIT, NULL);
	expect(HEAD "};", "{}", LAB_DENY_NO_PERMIT, NULL);
	expect(HEAD "=>deny();};", "{}", LAB_DENY, NULL);
	expect(HEAD "=>permit();=>deny();};", "{}", LAB_DENY, NULL);
	expect(HEAD "=>deny();=>permit();};", "{}", LAB_DENY, NULL);
	struct lab_policy_result r = run(HEAD
		"[type==\"a\"] => permit(); [type==\"secureboot\", value==false] => deny();};",
		"{\"a\":1,\"secureboot\":false}");
	assert_int_equal(r.decision, LAB_DENY);
	assert_string_equal(r.denied_by, "[type==\"secureboot\", value==false] => deny();");
	lab_policy_result_done(&r);
}

static void
compares_values_with_their_types(void **state)
{
	(void)state;
	static const char claims[] = "{\"b\":true,\"t\":\"true\",\"n\":7,\"s\":\"7\"}";
	static const struct {
		const char *cond;
		bool holds;
	} cases[] = {
		{"[type==\"b\", value==true]", true},
		{"[type==\"b\", value==\"true\"]", false},
		{"[type==\"t\", value==true]", false},
		{"[type==\"t\", value==\"true\"]", true},
		{"[type==\"n\", value==7]", true},
		{"[type==\"n\", value==\"7\"]", false},
		{"[type==\"n\", value!=8]", true},
		{"[type==\"n\", value>6]", true},
		{"[type==\"n\", value>7]", false},
		{"[type==\"n\", value>=7]", true},
		{"[type==\"n\", value<7]", false},
		{"[type==\"n\", value<=7]", true},
		{"[type==\"n\", value>-1]", true},
		{"[type==\"s\", value>6]", false},
		{"[type==\"b\", valueType==\"Boolean\"]", true},
		{"[type==\"n\", valueType==\"Integer\"]", true},
		{"[type==\"s\", valueType==\"Integer\"]", false},
		{"[type==\"s\", issuer==\"AttestationService\"]", true},
		{"[type==\"s\", issuer==\"AttestationPolicy\"]", false},
		{"[type==\"none\"]", false},
		{"[type==\"b\"] && [type==\"n\"]", true},
		{"[type==\"b\"] && [type==\"none\"]", false},
		{"[value==7, type==\"b\"]", false}, /* not two claims together */
		{"c:[type==\"n\"] && [type==\"n\", value==c.value]", true},
		{"c:[type==\"n\"] && [type==\"s\", value==c.value]", false},
		{"c:[type==\"n\"] && [type==\"b\", issuer==c.issuer]", true},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[256];
		snprintf(text, sizeof text, HEAD "%s => permit();};", cases[i].cond);
		struct lab_policy_result r = run(text, claims);
		if ((r.decision == LAB_PERMIT) != cases[i].holds)
			fail_msg("%s", cases[i].cond);
		lab_policy_result_done(&r);
	}
}

static void
conditions_can_be_negated(void **state)
{
	(void)state;
	static const char claims[] = "{\"b\":true,\"n\":7}";
	static const struct {
		const char *cond;
		bool holds;
	} cases[] = {
		{"![type==\"none\"]", true},
		{"![type==\"n\"]", false},
		{"![type==\"n\", value==8]", true},
		{"![type==\"n\", value==7]", false},
		{"![type==\"none\"] && [type==\"n\"]", true},
		{"[type==\"n\"] && ![type==\"b\"]", false},
		{"!c:[type==\"none\"] && d:[type==\"n\"] && [value==d.value]", true},
		{"d:[type==\"n\"] && ![type==\"b\", value==d.value]", true},
		{"! [ value==7 ] ", false},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[256];
		snprintf(text, sizeof text, "version=1.2;authorizationrules{%s => permit();};",
			cases[i].cond);
		struct lab_policy_result r = run(text, claims);
		if ((r.decision == LAB_PERMIT) != cases[i].holds)
			fail_msg("%s", cases[i].cond);
		lab_policy_result_done(&r);
	}
}

static void
issues_claims(void **state)
{
	(void)state;
	expect(PERMIT "=> issue(type=\"x\", value=100);};", "{}", LAB_PERMIT, "{\"x\":100}");
	expect(PERMIT "=> issue(type=\"x\", value=true);=> issue(type=\"y\",value=\"z\");};", "{}",
		LAB_PERMIT, "{\"x\":true,\"y\":\"z\"}");
	expect(PERMIT "c:[type==\"a\"] => issue(type=\"b\", value=c.value);};", "{\"a\":\"v\"}",
		LAB_PERMIT, "{\"b\":\"v\"}");
	expect(PERMIT "c:[type==\"a\"] => issue(claim=c);};", "{\"a\":5}", LAB_PERMIT, "{\"a\":5}");
	expect(PERMIT "c:[type==\"q\"] => issue(claim=c);};", "{\"a\":5}", LAB_PERMIT, NULL);
	/* add is seen by later rules, but not issued; several claims of one type make a list */
	expect(PERMIT "=> add(type=\"t\", value=1);=> add(type=\"t\", value=2);"
		      "c:[type==\"t\"] => issue(type=\"u\", value=c.value);};",
		"{}", LAB_PERMIT, "{\"u\":[1,2]}");
	/* added in the authorization rules */
	expect(HEAD "[type==\"a\", value>3] => add(type=\"big\", value=true);"
		    "[type==\"big\", issuer==\"AttestationPolicy\"] => permit();};",
		"{\"a\":5}", LAB_PERMIT, NULL);
	expect(HEAD "[type==\"a\", value>3] => add(type=\"big\", value=true);"
		    "[type==\"big\"] => permit();};",
		"{\"a\":3}", LAB_DENY_NO_PERMIT, NULL);
	/* a refused call issues what it issues; nobody sees it */
	expect(HEAD "=>deny();};issuancerules{=>issue(type=\"x\",value=1);};", "{}", LAB_DENY,
		"{\"x\":1}");
}

static void
keeps_properties_apart_from_claims(void **state)
{
	(void)state;
	struct lab_policy_result r =
		run("version= 1.1;configurationrules{=> issueproperty(type=\"p\", value=\"v\");};"
		    "authorizationrules{=> permit();};",
			"{}");
	assert_int_equal(r.decision, LAB_PERMIT);
	assert_null(r.issued);
	assert_string_equal(json_string_value(json_object_get(r.properties, "p")), "v");
	lab_policy_result_done(&r);
}

static void
takes_comments_and_any_white_space(void **state)
{
	(void)state;
	expect("// first\nversion\t=\r\n1 . 0 ; authorizationrules // all\n{\n=>\tpermit ( ) ;\n} "
	       "; // end",
		"{}", LAB_PERMIT, NULL);
	expect(PERMIT "=> issue(type=\"//\", value=\"// no comment\");};", "{}", LAB_PERMIT,
		"{\"//\":\"// no comment\"}");
}

static void
refuses_what_is_not_a_policy_and_says_where(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"",
		"authorizationrules{=>permit();};",
		"version=1.0",
		"version=1.0;",
		"version=1.0;authorizationrules{=>permit();}",
		"version=2.0;authorizationrules{=>permit();};",
		"version=1.3;authorizationrules{=>permit();};",
		"version=1.1;authorizationrules{![type==\"a\"]=>permit();};",
		"version=1.2;authorizationrules{!=>permit();};",
		"version=1.2;authorizationrules{!![type==\"a\"]=>permit();};",
		"version=1.2;authorizationrules{=>permit();};issuancerules{"
		"!c:[type==\"a\"]=>issue(type=\"b\", value=c.value);};",
		"version=1.2;authorizationrules{!c:[type==\"a\"]=>permit();};issuancerules{"
		"=>issue(type=\"b\", value=NegateBool(true));};",
		"version=1.0;configurationrules{};authorizationrules{=>permit();};",
		HEAD "=>permit()};",
		HEAD "permit();};",
		HEAD "=>allow();};",
		HEAD "=>issue(type=\"a\", value=1);};",
		HEAD "[type=\"a\"]=>permit();};",
		HEAD "[type==\"a\" value==1]=>permit();};",
		HEAD "[type==\"a]=>permit();};",
		HEAD "[type==\"a\"] && =>permit();};",
		HEAD "[kind==\"a\"]=>permit();};",
		HEAD "[type==c.value]=>permit();};",
		HEAD "c:[type==c.type]=>permit();};",
		HEAD "[type==\"a\", value==99999999999999999999]=>permit();};",
		HEAD "=>permit();};issuancerules{=>permit();};",
		PERMIT "=>issue(type=\"a\");};",
		PERMIT "=>issue(type=\"a\", value=1, value=2);};",
		PERMIT "=>issue(claim=c);};",
		PERMIT "c:[type==\"a\"]&&d:[type==\"b\"]=>issue(type=c.value, value=d.value);};",
		HEAD "=>permit();};;",
		HEAD "=>permit();};issuancerules{};issuancerules{};",
		HEAD "![type==\"a\"]=>permit();};",
		HEAD "[]=>permit();};",
		HEAD "\xff=>permit();};",
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct vs_err err = {0};
		struct lab_policy *p = NULL;
		const vs_rc rc = lab_policy_parse(vs_bytes_str(bad[i]), &p, &err);
		if (!vs_failed(rc))
			fail_msg("accepted: %s", bad[i]);
		assert_code(rc, FORMAT);
		assert_non_null(strstr(err.frames[0].text, "Offending symbol: '"));
		assert_non_null(strstr(err.frames[0].text, "Line: '1'"));
	}
	struct vs_err err = {0};
	struct lab_policy *p = NULL;
	assert_code(
		lab_policy_parse(vs_bytes_str("version=1.0;\n[authorizationrules{};"), &p, &err),
		FORMAT);
	assert_non_null(strstr(err.frames[0].text, "Offending symbol: '[' Line: '2', Column: '0'"));
}

/* The service's own policies and the hashes its tokens name. */
static void
hashes_like_the_service(void **state)
{
	(void)state;
	static const struct {
		const char *file, *hash;
	} cases[] = {
		{"lab/policies/default-sevsnpvm-tdxvm-v1.0.txt",
			"9NY0VnTQ-IiBriBplVUpFbczcDaEBUwsiFYAzHu_gco"},
		{"lab/policies/default-sgxenclave-v1.1-shared-2022-11.txt",
			"ViVGS4BYl70X8eUrgryHg0TtbEk9WtIc6DtTBEFxaWc"},
		{"lab/policies/default-sgxenclave-v1.1-tcb10-2023.txt",
			"OwEvpSVEWA5eisCEncBt8NSZFLYDRKoLaoONPrZgoeY"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct vs_err err = {0};
		VS_CLEANUP(vs_buf_done)
		struct vs_buf text = fixture_file(cases[i].file), hash = {0};
		assert_ok(lab_policy_hash(vs_buf_view(&text), &hash, &err), &err);
		assert_string_equal(vs_buf_cstr(&hash), cases[i].hash);
	}
}

static void
runs_the_services_own_policies(void **state)
{
	(void)state;
	static const char sgx[] = "{\"x-ms-sgx-is-debuggable\":false,\"x-ms-sgx-mrsigner\":\"ab\","
				  "\"x-ms-sgx-mrenclave\":\"cd\",\"x-ms-sgx-product-id\":1,"
				  "\"x-ms-sgx-svn\":2,\"x-ms-attestation-type\":\"sgx\"}";
	VS_CLEANUP(vs_buf_done)
	struct vs_buf text =
		fixture_file("lab/policies/default-sgxenclave-v1.1-shared-2022-11.txt");
	expect(vs_buf_cstr(&text), sgx, LAB_PERMIT,
		"{\"is-debuggable\":false,\"sgx-mrsigner\":\"ab\",\"sgx-mrenclave\":\"cd\","
		"\"product-id\":1,\"svn\":2,\"tee\":\"sgx\"}");
	VS_CLEANUP(vs_buf_done)
	struct vs_buf deny = fixture_file("lab/policies/azure-samples-deny.all.txt");
	expect(vs_buf_cstr(&deny), sgx, LAB_DENY, NULL);
	VS_CLEANUP(vs_buf_done)
	struct vs_buf boot = fixture_file("lab/policies/azure-samples-permit.secure.boot.txt");
	expect(vs_buf_cstr(&boot), "{\"secureBootEnabled\":true}", LAB_PERMIT, NULL);
	expect(vs_buf_cstr(&boot), "{\"secureBootEnabled\":false}", LAB_DENY_NO_PERMIT, NULL);
	expect(vs_buf_cstr(&boot), "{\"secureBootEnabled\":\"true\"}", LAB_DENY_NO_PERMIT, NULL);
	VS_CLEANUP(vs_buf_done)
	struct vs_buf custom = fixture_file("lab/policies/azure-samples-add.custom.claim.txt");
	expect(vs_buf_cstr(&custom), "{\"secureBootEnabled\":true}", LAB_PERMIT,
		"{\"SecurityLevelValue\":100}");
}

static void
denies_when_there_are_more_claims_than_it_can_hold(void **state)
{
	(void)state;
	json_t *many = json_object();
	for (int i = 0; i < 600; i++) {
		char name[16];
		snprintf(name, sizeof name, "c%d", i);
		json_object_set_new(many, name, json_integer(i));
	}
	char *text = json_dumps(many, 0);
	expect(HEAD "=>permit();};", text, LAB_DENY_LIMIT, NULL);
	free(text);
	json_decref(many);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(permits_only_with_a_permit_and_without_a_deny),
		cmocka_unit_test(compares_values_with_their_types),
		cmocka_unit_test(conditions_can_be_negated),
		cmocka_unit_test(issues_claims),
		cmocka_unit_test(keeps_properties_apart_from_claims),
		cmocka_unit_test(takes_comments_and_any_white_space),
		cmocka_unit_test(refuses_what_is_not_a_policy_and_says_where),
		cmocka_unit_test(hashes_like_the_service),
		cmocka_unit_test(runs_the_services_own_policies),
		cmocka_unit_test(denies_when_there_are_more_claims_than_it_can_hold),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
