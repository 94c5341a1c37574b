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
	assert_ok(lab_policy_run(p, claims, NULL, &r, &err), &err);
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
		"=>issue(type=\"b\", value=NegateBool());};",
		"version=1.1;authorizationrules{=>permit();};issuancerules{"
		"=>issue(type=\"b\", value=NegateBool(true));};",
		"version=1.2;authorizationrules{=>permit();};issuancerules{"
		"=>issue(type=\"b\", value=NegateBool(true, true));};",
		"version=1.2;authorizationrules{=>permit();};issuancerules{"
		"=>issue(type=\"b\", value=AppendString(\"a\"));};",
		"version=1.2;authorizationrules{=>permit();};issuancerules{"
		"=>issue(type=\"b\", value=negatebool(true));};",
		"version=1.2;authorizationrules{=>permit();};issuancerules{"
		"=>issue(type=\"b\", value=Sha256(\"a\"));};",
		"version=1.2;authorizationrules{=>permit();};issuancerules{=>issue(type=\"b\", "
		"value=NegateBool(NegateBool(NegateBool(NegateBool(NegateBool(NegateBool("
		"NegateBool(NegateBool(NegateBool(true))))))))));};",
		"version=1.2;authorizationrules{[type==\"a\\\"]=>permit();};",
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

#define HEAD12 "version=1.2;authorizationrules{=>permit();};issuancerules{"

static void
functions_work_on_values(void **state)
{
	(void)state;
	static const char claims[] = "{\"j\":\"{\\\"foo\\\":[0,\\\"x\\\",true,null]}\","
				     "\"q\":\"foo[1]\",\"b\":false,\"s\":[1,2],\"t\":[2,1,3]}";
	static const struct {
		const char *rules, *issued;
	} cases[] = {
		{"=>issue(type=\"r\", value=JmesPath(\"{\\\"foo\\\":\\\"bar\\\"}\", \"foo\"));",
			"{\"r\":\"\\\"bar\\\"\"}"},
		{"=>issue(type=\"r\", value=JsonToClaimValue(JmesPath(\"{\\\"f\\\":\\\"b\\\"}\", "
		 "\"f\")));",
			"{\"r\":\"b\"}"},
		{"c:[type==\"j\"] && d:[type==\"q\"] => issue(type=\"r\", "
		 "value=JsonToClaimValue(JmesPath(c.value, d.value)));",
			"{\"r\":\"x\"}"},
		{"c:[type==\"j\"] => issue(type=\"r\", value=JsonToClaimValue(JmesPath(c.value, "
		 "\"foo\")));",
			"{\"r\":[0,\"x\",true]}"},
		{"=>issue(type=\"r\", value=JsonToClaimValue(\"100\"));", "{\"r\":100}"},
		{"=>issue(type=\"r\", value=JsonToClaimValue(\"null\"));", NULL},
		{"=>issue(type=\"r\", value=JsonToClaimValue(\"[]\"));", NULL},
		{"c:[type==\"s\"] && d:[type==\"t\"] => issue(type=\"r\", "
		 "value=IsSubsetOf(c.value, "
		 "d.value));",
			"{\"r\":true}"},
		{"c:[type==\"t\"] && d:[type==\"s\"] => issue(type=\"r\", "
		 "value=IsSubsetOf(c.value, "
		 "d.value));",
			"{\"r\":false}"},
		{"=>issue(type=\"r\", value=IsSubsetOf(JsonToClaimValue(\"null\"), 1));",
			"{\"r\":true}"},
		{"c:[type==\"q\"] => issue(type=\"r\", value=AppendString(AppendString(\"<\", "
		 "c.value), \"\"));",
			"{\"r\":\"<foo[1]\"}"},
		{"c:[type==\"b\"] => issue(type=\"r\", value=NegateBool(c.value));",
			"{\"r\":true}"},
		{"c:[type==\"s\"] => issue(type=\"r\", value=ContainsOnlyValue(c.value, 1));",
			"{\"r\":false}"},
		{"c:[type==\"s\", value<2] => issue(type=\"r\", value=ContainsOnlyValue(c.value, "
		 "1));",
			"{\"r\":true}"},
		{"=>issue(type=\"r\", value=ContainsOnlyValue(JsonToClaimValue(\"null\"), 1));",
			"{\"r\":false}"},
		/* in a test of a condition, and what a rule added is seen by the next */
		{"[type==\"q\", value==JsonToClaimValue(\"\\\"foo[1]\\\"\")] => issue(type=\"r\", "
		 "value=1);",
			"{\"r\":1}"},
		{"c:[type==\"j\"]=>add(type=\"n\", value=JmesPath(c.value, \"length(foo)\")); "
		 "[type==\"n\", value==\"4\"]=>issue(type=\"r\", value=4);",
			"{\"r\":4}"},
		{"=>issue(type=AppendString(\"r\", \"2\"), value=\"a\\\\b\");",
			"{\"r2\":\"a\\\\b\"}"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[512];
		snprintf(text, sizeof text, HEAD12 "%s};", cases[i].rules);
		print_message("%s\n", cases[i].rules);
		expect(text, claims, LAB_PERMIT, cases[i].issued);
	}
}

static void
a_call_with_wrong_arguments_denies(void **state)
{
	(void)state;
	static const char claims[] = "{\"s\":[1,2],\"t\":\"x\",\"b\":true}";
	static const char *const calls[] = {
		"JmesPath(\"\", \"a\")",
		"JmesPath(\"{}\", \"\")",
		"JmesPath(\"{\", \"a\")",
		"JmesPath(\"{}\", \"a[\")",
		"JmesPath(1, \"a\")",
		"JmesPath(c.value, \"a\")", /* two values */
		"JsonToClaimValue(\"abc\")",
		"JsonToClaimValue(\"{}\")",
		"JsonToClaimValue(\"1.5\")",
		"JsonToClaimValue(\"[[1]]\")",
		"JsonToClaimValue(\"[1,{}]\")",
		"JsonToClaimValue(1)",
		"AppendString(\"a\", 1)",
		"AppendString(c.value, \"a\")",
		"NegateBool(\"true\")",
		"NegateBool(0)",
		"NegateBool(c.value)",
		"ContainsOnlyValue(1, c.value)",
	};
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		char text[256];
		snprintf(text, sizeof text,
			HEAD12 "c:[type==\"s\"]=>issue(type=\"r\", value=%s);};", calls[i]);
		struct lab_policy_result r = run(text, claims);
		if (r.decision != LAB_DENY_ERROR || !r.error[0])
			fail_msg("%s", calls[i]);
		lab_policy_result_done(&r);
		/* ... where nothing matches, nothing is called */
		snprintf(text, sizeof text,
			HEAD12 "[type==\"none\"]&&c:[type==\"s\"]=>issue(type=\"r\", value=%s);};",
			calls[i]);
		expect(text, claims, LAB_PERMIT, NULL);
	}
}

/* PCR values may decide, but not be issued, and nothing that is made of them. */
static void
read_only_values_are_not_issued(void **state)
{
	(void)state;
	static const char claims[] =
		"{\"pcrs\":\"{\\\"PCRs\\\":[{\\\"Index\\\":0,\\\"Digests\\\":{\\\"SHA256\\\":"
		"\\\"ab\\\"}}]}\"}";
	static const char good[] =
		"c:[type==\"pcrs\", issuer==\"AttestationService\"] => add(type=\"ok\", "
		"value=JsonToClaimValue(JmesPath(c.value, "
		"\"PCRs[? Index == `0`].Digests.SHA256 | @[0] == 'ab'\")));";
	char text[512];
	snprintf(text, sizeof text,
		"version=1.2;authorizationrules{%s[type==\"ok\", value==true]=>permit();};", good);
	expect(text, claims, LAB_PERMIT, NULL);
	snprintf(text, sizeof text,
		HEAD12 "%s[type==\"ok\", value==true]=>issue(type=\"r\", value=true);};", good);
	expect(text, claims, LAB_PERMIT, "{\"r\":true}");
	snprintf(text, sizeof text,
		HEAD12 "%sc:[type==\"ok\"]=>issue(type=\"r\", value=IsSubsetOf(c.value, true));};",
		good);
	expect(text, claims, LAB_PERMIT, "{\"r\":true}");
	static const char *const bad[] = {
		"c:[type==\"pcrs\"]=>issue(claim=c);",
		"c:[type==\"pcrs\"]=>issue(type=\"r\", value=c.value);",
		"c:[type==\"pcrs\"]=>issueproperty(type=\"r\", value=c.value);",
		"c:[type==\"ok\"]=>issue(type=\"r\", value=c.value);",
		"c:[type==\"ok\"]=>issue(type=\"r\", value=NegateBool(c.value));",
		"c:[type==\"pcrs\"]=>issue(type=\"r\", value=AppendString(c.value, \"x\"));",
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		snprintf(text, sizeof text, HEAD12 "%s%s};", good, bad[i]);
		struct lab_policy_result r = run(text, claims);
		assert_int_equal(r.decision, LAB_DENY_ERROR);
		assert_non_null(strstr(r.error, "read-only"));
		lab_policy_result_done(&r);
	}
}

/* Claims that a client sends are told apart by their issuer. */
static void
claims_of_the_client_are_its_own(void **state)
{
	(void)state;
	struct vs_err err = {0};
	struct lab_policy *p = NULL;
	struct lab_policy_result r;
	json_t *claims = json_pack("{s:b}", "aikValidated", 0);
	json_t *custom = json_pack("{s:b,s:s}", "aikValidated", 1, "x", "y");
	assert_ok(lab_policy_parse(vs_bytes_str("version=1.2;authorizationrules{"
						"[type==\"aikValidated\", value==true, "
						"issuer==\"AttestationService\"]=>permit();};"
						"issuancerules{c:[issuer==\"CustomClaim\"]=>"
						"issue(claim=c);};"),
			  &p, &err),
		&err);
	assert_ok(lab_policy_run(p, claims, custom, &r, &err), &err);
	assert_int_equal(r.decision, LAB_DENY_NO_PERMIT);
	assert_int_equal(json_object_size(r.issued), 2);
	lab_policy_result_done(&r);
	lab_policy_free(p);
	json_decref(claims);
	json_decref(custom);
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
		cmocka_unit_test(functions_work_on_values),
		cmocka_unit_test(a_call_with_wrong_arguments_denies),
		cmocka_unit_test(read_only_values_are_not_issued),
		cmocka_unit_test(claims_of_the_client_are_its_own),
		cmocka_unit_test(hashes_like_the_service),
		cmocka_unit_test(runs_the_services_own_policies),
		cmocka_unit_test(denies_when_there_are_more_claims_than_it_can_hold),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
