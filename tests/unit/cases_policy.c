/* SPDX-License-Identifier: BSD-2-Clause */
/* Class 10: what policies make of claims. Documents that are not valid are in test_policy.c. */
#include "unit/token_cases.h"

/* The conditions of one entry; the token is the good one. */
static const struct {
	const char *kind, *conditions;
	const char *expect;
} evaluated[] = {
	{"allOf", "{\"claim\":\"secureboot\",\"equals\":true}", ""},
	{"allOf", "{\"claim\":\"secureboot\",\"equals\":\"true\"}", ""},
	{"anyOf", "{\"claim\":\"secureboot\",\"equals\":true}", ""},
	{"allOf", "{\"claim\":\"x-ms-azurevm-osversion-major\",\"equals\":12}", ""},
	{"allOf", "{\"claim\":\"x-ms-azurevm-osversion-major\",\"equals\":12.0}", ""},
	{"allOf", "{\"claim\":\"x-ms-azurevm-osversion-major\",\"equals\":1.2e1}", ""},
	{"allOf", "{\"claim\":\"x-ms-azurevm-osversion-major\",\"equals\":\"12\"}", ""},
	{"allOf", "{\"claim\":\"x-ms-isolation-tee.x-ms-sevsnpvm-vmpl\",\"equals\":\"0\"}", ""},
	{"allOf",
		"{\"claim\":\"x-ms-isolation-tee.x-ms-sevsnpvm-is-debuggable\",\"equals\":"
		"\"false\"}",
		""},
	{"allOf", "{\"claim\":\"x-ms-isolation-tee.x-ms-sevsnpvm-is-debuggable\",\"equals\":false}",
		""},
	{"allOf", "{\"claim\":\"x-ms-runtime.client-payload.nonce\",\"equals\":\"" NONCE_B64 "\"}",
		""},
	{"allOf", "{\"claim\":\"big\",\"equals\":9007199254740993}", ""},
	{"allOf", "{\"claim\":\"real\",\"equals\":1.5}", ""},
	{"allOf", "{\"claim\":\"zero\",\"equals\":0}", ""},
	{"allOf", "{\"claim\":\"empty\",\"equals\":\"\"}", ""},
	{"allOf", "{\"claim\":\"text\",\"equals\":\"\\u00e9\"}", ""},
	{"anyOf", "{\"claim\":\"nothing\",\"equals\":1},{\"claim\":\"secureboot\",\"equals\":true}",
		""},
	{"allOf",
		"{\"anyOf\":[{\"claim\":\"nothing\",\"equals\":1},{\"claim\":\"zero\",\"equals\":0}"
		"]}",
		""},
	{"anyOf",
		"{\"allOf\":[{\"claim\":\"nothing\",\"equals\":1},{\"claim\":\"zero\",\"equals\":0}"
		"]},"
		"{\"allOf\":[{\"claim\":\"zero\",\"equals\":0},{\"claim\":\"big\",\"equals\":"
		"9007199254740993}]}",
		""},
	{"allOf",
		"{\"allOf\":[{\"allOf\":[{\"allOf\":[{\"anyOf\":[{\"anyOf\":[{\"claim\":\"zero\","
		"\"equals\":0}]}]}]}]}]}",
		""},
	/* unsatisfied */
	{"allOf", "{\"claim\":\"secureboot\",\"equals\":false}", "A16"},
	{"allOf", "{\"claim\":\"secureboot\",\"equals\":\"false\"}", "A16"},
	{"allOf",
		"{\"claim\":\"secureboot\",\"equals\":true},{\"claim\":\"nothing\",\"equals\":"
		"true}",
		"A16"},
	{"anyOf",
		"{\"claim\":\"nothing\",\"equals\":1},{\"claim\":\"secureboot\",\"equals\":false}",
		"A16"},
	{"allOf",
		"{\"claim\":\"secureboot\",\"equals\":true},{\"anyOf\":[{\"claim\":\"nothing\","
		"\"equals\":1}]}",
		"A16"},
	{"allOf", "{\"claim\":\"x-ms-azurevm-osdistro\",\"equals\":\"debian\"}", "A16"},
	{"allOf", "{\"claim\":\"x-ms-azurevm-osdistro\",\"equals\":\"Debian \"}", "A16"},
	{"allOf", "{\"claim\":\"x-ms-azurevm-osdistro\",\"equals\":\"Debia\"}", "A16"},
	{"allOf", "{\"claim\":\"x-ms-azurevm-osdistro\",\"equals\":\"\"}", "A16"},
	{"allOf", "{\"claim\":\"x-ms-azurevm-osdistro\",\"equals\":\"*\"}", "A16"},
	/* wrongly typed */
	{"allOf", "{\"claim\":\"secureboot\",\"equals\":1}", "A16"},
	{"allOf", "{\"claim\":\"secureboot\",\"equals\":\"True\"}", "A16"},
	{"allOf", "{\"claim\":\"secureboot\",\"equals\":\"1\"}", "A16"},
	{"allOf", "{\"claim\":\"zero\",\"equals\":false}", "A16"},
	{"allOf", "{\"claim\":\"zero\",\"equals\":\"\"}", "A16"},
	{"allOf", "{\"claim\":\"zero\",\"equals\":\"00\"}", "A16"},
	{"allOf", "{\"claim\":\"zero\",\"equals\":\"-0\"}", "A16"},
	{"allOf", "{\"claim\":\"zero\",\"equals\":\"0.0\"}", "A16"},
	{"allOf", "{\"claim\":\"true-text\",\"equals\":true}", "A16"},
	{"allOf", "{\"claim\":\"zero-text\",\"equals\":0}", "A16"},
	{"allOf", "{\"claim\":\"empty\",\"equals\":false}", "A16"},
	{"allOf", "{\"claim\":\"real\",\"equals\":\"1.5\"}", "A16"},
	{"allOf", "{\"claim\":\"x-ms-azurevm-osversion-major\",\"equals\":\"12.0\"}", "A16"},
	{"allOf", "{\"claim\":\"x-ms-azurevm-osversion-major\",\"equals\":\" 12\"}", "A16"},
	{"allOf", "{\"claim\":\"x-ms-azurevm-osversion-major\",\"equals\":\"+12\"}", "A16"},
	{"allOf", "{\"claim\":\"x-ms-azurevm-osversion-major\",\"equals\":\"0xc\"}", "A16"},
	{"allOf", "{\"claim\":\"big\",\"equals\":9007199254740992}", "A16"},
	{"allOf", "{\"claim\":\"big\",\"equals\":9007199254740992.0}", "A16"},
	{"allOf", "{\"claim\":\"real\",\"equals\":1}", "A16"},
	/* null, objects, arrays */
	{"allOf", "{\"claim\":\"null\",\"equals\":\"null\"}", "A16"},
	{"allOf", "{\"claim\":\"null\",\"equals\":false}", "A16"},
	{"allOf", "{\"claim\":\"null\",\"equals\":0}", "A16"},
	{"allOf", "{\"claim\":\"null\",\"equals\":\"\"}", "A16"},
	{"allOf", "{\"claim\":\"x-ms-isolation-tee\",\"equals\":\"sevsnpvm\"}", "A16"},
	{"allOf", "{\"claim\":\"x-ms-isolation-tee\",\"equals\":true}", "A16"},
	{"allOf", "{\"claim\":\"x-ms-azurevm-attested-pcrs\",\"equals\":0}", "A16"},
	{"allOf", "{\"claim\":\"x-ms-azurevm-attested-pcrs\",\"equals\":\"[0,1,2,3,4,5,6,7]\"}",
		"A16"},
	{"allOf", "{\"claim\":\"x-ms-azurevm-attested-pcrs.0\",\"equals\":0}", "A16"},
	{"allOf", "{\"claim\":\"list.0.a\",\"equals\":1}", "A16"},
	{"allOf", "{\"claim\":\"list.a\",\"equals\":1}", "A16"},
	/* paths */
	{"allOf", "{\"claim\":\"a.b\",\"equals\":1}", "A16"},
	{"allOf", "{\"claim\":\"o.a.b\",\"equals\":1}", "A16"},
	{"allOf", "{\"claim\":\"sevsnpvm\",\"equals\":1}", "A16"},
	{"allOf", "{\"claim\":\"x-ms-compliance-status\",\"equals\":\"azure-compliant-cvm\"}",
		"A16"},
	{"allOf", "{\"claim\":\"SecureBoot\",\"equals\":true}", "A16"},
	{"allOf", "{\"claim\":\"secureboot.x\",\"equals\":true}", "A16"},
	{"allOf", "{\"claim\":\"x-ms-isolation-tee.secureboot\",\"equals\":true}", "A16"},
	{"allOf", "{\"claim\":\"x-ms-isolation-tee.x-ms-runtime.keys\",\"equals\":\"x\"}", "A16"},
	{"allOf", "{\"claim\":\"__proto__\",\"equals\":\"x\"}", "A16"},
};

static const struct claim shaped[] = {{"big", "9007199254740993"}, {"real", "1.5"}, {"zero", "0"},
	{"empty", "\"\""},
	{"text", "\"\xc3\xa9\",\"true-text\":\"true\",\"zero-text\":\"0\",\"a.b\":1"},
	{"null", "null"}, {"list", "[{\"a\":1}]"}, {"o", "{\"a.b\":1}"}};

static struct vs_policy *
policy_with(const char *authority, const char *kind, const char *conditions)
{
	const struct forge_var v[] = {{"a", authority}, {"k", kind}, {"c", conditions}};
	return policy_of((const char *)forge_expand(
		"{\"version\":\"1.0.0\",\"anyOf\":[{\"authority\":\"$a$\","
		"\"$k$\":[$c$]}]}",
		v, 3)
				 .p);
}

/* Who may issue: the entry's authority. */
static const struct {
	const char *authority, *expect;
} authorities[] = {
	{ISSUER, ""},
	{ISSUER "/", ""},
	{ISSUER "//", "A16"},
	{ISSUER "/x", "A16"},
	{"https://LAB7.weu.attest.example", "A16"},
	{"http://lab7.weu.attest.example", "A16"},
	{"lab7.weu.attest.example", "A16"},
	{"https://lab7.weu.attest", "A16"},
	{"https://weu.attest.example", "A16"},
	{"https://*.weu.attest.example", "A16"},
	{"*", "A16"},
	{"/", "A16"},
	{" " ISSUER, "A16"},
	{"https://other.attest.example", "A16"},
};

/* Claims that the attester plants where a searching evaluator would find them. */
static void
planted_cases(void)
{
	static const struct claim runtime = {"x-ms-runtime",
		"{\"client-payload\":{\"nonce\":\"" NONCE_B64 "\"},\"x-ms-compliance-status\":"
		"\"azure-compliant-cvm\",\"x-ms-isolation-tee\":{\"x-ms-attestation-type\":"
		"\"tdxvm\"}}"};
	const struct vs_bytes token = signed_token(HEADER, claims_with(&runtime, 1));
	case_add((struct token_case){.name = "planted compliance",
		.expect = "A16",
		.token = token,
		.policy = policy_with(ISSUER, "allOf",
			"{\"claim\":\"x-ms-compliance-status\",\"equals\":\"azure-compliant-"
			"cvm\"}")});
	case_add((struct token_case){.name = "planted type",
		.expect = "A16",
		.token = token,
		.policy = policy_with(ISSUER, "allOf",
			"{\"claim\":\"x-ms-isolation-tee.x-ms-attestation-type\",\"equals\":"
			"\"tdxvm\"}")});
	static const struct claim dotted[] = {{"x-ms-isolation-tee", NULL},
		{"x-ms-isolation-tee.x-ms-attestation-type", "\"sevsnpvm\""},
		{"x-ms-isolation-tee.x-ms-compliance-status", "\"azure-compliant-cvm\""}};
	case_add((struct token_case){.name = "planted dotted names",
		.expect = "A16",
		.token = signed_token(HEADER, claims_with(dotted, 3))});
}

void
cases_policy(void)
{
	const struct vs_bytes token = signed_token(HEADER, claims_with(shaped, 8));
	for (size_t i = 0; i < sizeof evaluated / sizeof evaluated[0]; i++)
		case_add((struct token_case){.name = numbered("policy", i),
			.expect = evaluated[i].expect,
			.token = token,
			.policy = policy_with(ISSUER, evaluated[i].kind, evaluated[i].conditions)});
	for (size_t i = 0; i < sizeof authorities / sizeof authorities[0]; i++)
		case_add((struct token_case){.name = numbered("authority", i),
			.expect = authorities[i].expect,
			.policy = policy_with(authorities[i].authority, "allOf",
				"{\"claim\":\"secureboot\",\"equals\":true}")});
	case_add((struct token_case){.name = "the right entry among others",
		.expect = "",
		.policy = policy_of(
			"{\"version\":\"1.0.0\",\"anyOf\":["
			"{\"authority\":\"https://"
			"o.example\",\"allOf\":[{\"claim\":\"secureboot\",\"equals\":true}]},"
			"{\"authority\":\"" ISSUER
			"/\",\"allOf\":[{\"claim\":\"secureboot\",\"equals\":false}]},"
			"{\"authority\":\"" ISSUER
			"\",\"allOf\":[{\"claim\":\"secureboot\",\"equals\":true}]}]}")});
	case_add((struct token_case){.name = "another authority's true entry",
		.expect = "A16",
		.policy = policy_of(
			"{\"version\":\"1.0.0\",\"anyOf\":["
			"{\"authority\":\"https://"
			"o.example\",\"allOf\":[{\"claim\":\"secureboot\",\"equals\":true}]},"
			"{\"authority\":\"" ISSUER
			"/\",\"allOf\":[{\"claim\":\"secureboot\",\"equals\":false}]}]}")});
	planted_cases();
}
