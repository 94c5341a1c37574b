/* SPDX-License-Identifier: BSD-2-Clause */
/* Classes 6 and 7: header members, key sets. */
#include "unit/token_cases.h"

/* Further members of a header, with a leading comma. */
static const struct {
	const char *members, *expect;
} members[] = {
	{"", ""},
	{",\"typ\":\"JWT\"", ""},
	{",\"typ\":\"jwt\"", ""},
	{",\"typ\":\"Jwt\"", ""},
	{",\"x5t\":\"abc\",\"x5t#S256\":\"def\",\"cty\":\"JWT\",\"unknown\":{\"a\":[1]}", ""},
	{",\"Crit\":[\"x\"],\"CRIT\":1,\"Jwk\":{}", ""},
	{",\"typ\":\"JWT \"", "A6"},
	{",\"typ\":\"\"", "A6"},
	{",\"typ\":\"JOSE\"", "A6"},
	{",\"typ\":\"at+jwt\"", "A6"},
	{",\"typ\":\"application/jwt\"", "A6"},
	{",\"typ\":null", "A6"},
	{",\"typ\":5", "A6"},
	{",\"typ\":[\"JWT\"]", "A6"},
	{",\"crit\":[]", "A6"},
	{",\"crit\":null", "A6"},
	{",\"crit\":\"\"", "A6"},
	{",\"crit\":[\"exp\"],\"exp\":1", "A6"},
	{",\"crit\":[\"b64\"],\"b64\":true", "A6"},
	{",\"crit\":[\"alg\"]", "A6"},
	{",\"crit\":[\"unknown\"]", "A6"},
	{",\"crit\":{}", "A6"},
	{",\"b64\":true", "A6"},
	{",\"b64\":false", "A6"},
	{",\"b64\":null", "A6"},
	{",\"zip\":\"DEF\"", "A6"},
	{",\"zip\":null", "A6"},
	{",\"enc\":\"A256GCM\"", "A6"},
	{",\"enc\":\"\"", "A6"},
	{",\"jwk\":{\"kty\":\"RSA\",\"n\":\"$n$\",\"e\":\"$e$\"}", "A6"},
	{",\"jwk\":{\"kty\":\"RSA\",\"n\":\"$n_foreign$\",\"e\":\"AQAB\"}", "A6"},
	{",\"jwk\":null", "A6"},
	{",\"x5c\":[\"$cert$\"]", "A6"},
	{",\"x5c\":[\"$cert_foreign$\"]", "A6"},
	{",\"x5c\":[]", "A6"},
	{",\"x5c\":null", "A6"},
	{",\"x5u\":\"" ISSUER "/cert\"", "A6"},
	{",\"x5u\":\"https://evil.example/cert\"", "A6"},
	{",\"x5u\":null", "A6"},
	/* jku */
	{",\"jku\":\"" ISSUER "/certs\"", ""},
	{",\"jku\":\"" ISSUER "\"", ""},
	{",\"jku\":\"" ISSUER ":443/certs\"", ""},
	{",\"jku\":\"" ISSUER "/a/b?c=d#e\"", ""},
	{",\"jku\":\"HTTPS://LAB7.weu.attest.EXAMPLE/certs\"", ""},
	{",\"jku\":\"https:\\/\\/lab7.weu.attest.example/certs\"", ""},
	{",\"jku\":\"http://lab7.weu.attest.example/certs\"", "A6"},
	{",\"jku\":\"ftp://lab7.weu.attest.example/certs\"", "A6"},
	{",\"jku\":\"file:///etc/passwd\"", "A6"},
	{",\"jku\":\"//lab7.weu.attest.example/certs\"", "A6"},
	{",\"jku\":\"lab7.weu.attest.example/certs\"", "A6"},
	{",\"jku\":\"/certs\"", "A6"},
	{",\"jku\":\"\"", "A6"},
	{",\"jku\":\"https://\"", "A6"},
	{",\"jku\":\"https:///certs\"", "A6"},
	{",\"jku\":\"https:lab7.weu.attest.example/certs\"", "A6"},
	{",\"jku\":\"https://evil.example/certs\"", "A6"},
	{",\"jku\":\"" ISSUER ".evil.example/certs\"", "A6"},
	{",\"jku\":\"" ISSUER "evil/certs\"", "A6"},
	{",\"jku\":\"" ISSUER "./certs\"", "A6"},
	{",\"jku\":\"" ISSUER "@evil.example/certs\"", "A6"},
	{",\"jku\":\"https://user@lab7.weu.attest.example/certs\"", "A6"},
	{",\"jku\":\"https://evil.example/" ISSUER "/certs\"", "A6"},
	{",\"jku\":\"https://evil.example#" ISSUER "\"", "A6"},
	{",\"jku\":\"https://evil.example\\\\@lab7.weu.attest.example/certs\"", "A6"},
	{",\"jku\":\"" ISSUER "\\\\.evil.example/certs\"", "A6"},
	{",\"jku\":\"" ISSUER ":8443/certs\"", "A6"},
	{",\"jku\":\"" ISSUER ":/certs\"", "A6"},
	{",\"jku\":\"" ISSUER ":0/certs\"", "A6"},
	{",\"jku\":\"" ISSUER ":65979/certs\"", "A6"},
	{",\"jku\":\"" ISSUER ":443x/certs\"", "A6"},
	{",\"jku\":\" " ISSUER "/certs\"", "A6"},
	{",\"jku\":\"" ISSUER "/certs \"", "A6"},
	{",\"jku\":\"" ISSUER "\\t/certs\"", "A6"},
	{",\"jku\":\"" ISSUER "\\r\\nHost: evil/certs\"", "A6"},
	{",\"jku\":\"https://lab7%2eweu.attest.example/certs\"", "A6"},
	{",\"jku\":\"https://lab7.weu.attest.ex\\u00e4mple/certs\"", "A6"},
	{",\"jku\":\"https://weu.attest.example/certs\"", "A6"},
	{",\"jku\":\"https://127.0.0.1/certs\"", "A6"},
	{",\"jku\":\"https://[::1]/certs\"", "A6"},
	{",\"jku\":null", "A6"},
	{",\"jku\":5", "A6"},
	{",\"jku\":[\"" ISSUER "/certs\"]", "A6"},
	{",\"jku\":{}", "A6"},
};

/* The value of kid; "" leaves it out. */
static const struct {
	const char *kid, *expect;
} kids[] = {
	{"\"" KID "\"", ""},
	{"\"kid\\u002b/good\\u003d\"", ""},
	{"", "A7"},
	{"null", "A7"},
	{"\"\"", "A7"},
	{"5", "A7"},
	{"true", "A7"},
	{"[\"" KID "\"]", "A7"},
	{"{\"kid\":\"" KID "\"}", "A7"},
	{"\"kid+/good\"", "A8"},
	{"\"kid+/good==\"", "A8"},
	{"\"KID+/GOOD=\"", "A8"},
	{"\"kid-_good=\"", "A8"},
	{"\"kid /good=\"", "A8"},
	{"\" " KID "\"", "A8"},
	{"\"" KID " \"", "A8"},
	{"\"" KID "\\n\"", "A8"},
	{"\"" KID "'\"", "A8"},
	{"\"other\"", "A8"},
	{"\"../../../../dev/null\"", "A8"},
	{"\"%s%s%n%n\"", "A8"},
	{"\"' OR 1=1 --\"", "A8"},
	{"\"$n$\"", "A8"},
	{"\"k\xcc\x8a"
	 "d\"",
		"A8"},
};

static void
kid_cases(void)
{
	for (size_t i = 0; i < sizeof kids / sizeof kids[0]; i++) {
		char text[200];
		snprintf(text, sizeof text, "{\"alg\":\"RS256\"%s%s}",
			kids[i].kid[0] != '\0' ? ",\"kid\":" : "", kids[i].kid);
		case_add((struct token_case){.name = numbered("kid", i),
			.expect = kids[i].expect,
			.token = signed_token(text, good_claims())});
	}
}

void
cases_header(void)
{
	for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
		char text[400];
		snprintf(text, sizeof text, "{\"alg\":\"RS256\",\"kid\":\"" KID "\"%s}",
			members[i].members);
		case_add((struct token_case){.name = numbered("header member", i),
			.expect = members[i].expect,
			.token = signed_token(text, good_claims())});
	}
	kid_cases();
}

/* ---- keys --------------------------------------------------------------------------------- */

#define K "\"kid\":\"" KID "\""
#define NE ",\"n\":\"$n$\",\"e\":\"$e$\""
#define GOOD_KEY "{\"kty\":\"RSA\"," K NE "}"

/* Entries of the set, and who signs. */
static const struct {
	const char *entries;
	enum forge_key key;
	const char *expect;
} sets[] = {
	{GOOD_KEY, FORGE_GOOD, ""},
	{"{\"kty\":\"RSA\"," K ",\"x5c\":[\"$cert$\"]}", FORGE_GOOD, ""},
	{"{\"kty\":\"RSA\"," K NE ",\"x5c\":[\"$cert$\"]}", FORGE_GOOD, ""},
	{"{\"kty\":\"RSA\"," K NE ",\"use\":\"sig\",\"alg\":\"RS256\",\"key_ops\":[\"verify\"]}",
		FORGE_GOOD, ""},
	{"{\"kty\":\"RSA\"," K NE ",\"key_ops\":[\"sign\",\"verify\"],\"x5t\":\"a\",\"ext\":true}",
		FORGE_GOOD, ""},
	{"{\"kty\":\"RSA\"," K ",\"n\":\"$n_big$\",\"e\":\"AQAB\"}", FORGE_BIG, ""},
	{"{\"kty\":\"RSA\"," K ",\"n\":\"$n_e17$\",\"e\":\"$e17$\"}", FORGE_E17BIT, ""},
	{"{\"kty\":\"RSA\"," K ",\"n\":\"$n$\",\"e\":\"$e_zeros$\"}", FORGE_GOOD, ""},
	{"{\"kty\":\"RSA\"," K ",\"x5c\":[\"$cert_until_now$\"]}", FORGE_GOOD, ""},
	{"{\"kty\":\"RSA\"," K ",\"x5c\":[\"$cert_from_now$\"]}", FORGE_GOOD, ""},
	{"{\"kty\":\"RSA\"," K ",\"x5c\":[\"$cert$\",\"not read\",5]}", FORGE_GOOD, ""},
	/* a good key among bad ones */
	{"{\"kty\":\"RSA\",\"kid\":\"w\",\"n\":\"$n_weak$\",\"e\":\"AQAB\"}," GOOD_KEY, FORGE_GOOD,
		""},
	{GOOD_KEY ",5,null,[],\"x\",{},{\"kty\":\"RSA\"}", FORGE_GOOD, ""},
	{"{\"kty\":\"oct\"," K ",\"k\":\"AAAA\"}," GOOD_KEY, FORGE_GOOD, ""},
	{"{\"kty\":\"RSA\"," K ",\"x5c\":[\"$cert_old$\"]}," GOOD_KEY, FORGE_GOOD, ""},
	{"{\"kty\":\"RSA\"," K ",\"n\":\"$n_weak$\",\"e\":\"AQAB\"}," GOOD_KEY, FORGE_GOOD, ""},
	{"{\"kty\":\"RSA\"," K ",\"n\":\"$n_foreign$\",\"e\":\"AQAB\"}," GOOD_KEY, FORGE_GOOD, ""},
	{GOOD_KEY "," GOOD_KEY, FORGE_GOOD, ""},
	/* none that fits */
	{"", FORGE_GOOD, "A8"},
	{"5,null,[],\"x\",{}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\",\"kid\":\"other\"" NE "}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\"" NE "}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\",\"kid\":null" NE "}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\",\"kid\":[\"" KID "\"]" NE "}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\",\"Kid\":\"" KID "\"" NE "}", FORGE_GOOD, "A8"},
	{"{" K NE "}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"rsa\"," K NE "}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"EC\"," K NE "}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"oct\"," K ",\"k\":\"$n$\"}", FORGE_GOOD, "A8"},
	{"{\"kty\":null," K NE "}", FORGE_GOOD, "A8"},
	{"{\"kty\":[\"RSA\"]," K NE "}", FORGE_GOOD, "A8"},
	/* size and exponent */
	{"{\"kty\":\"RSA\"," K ",\"n\":\"$n_weak$\",\"e\":\"AQAB\"}", FORGE_WEAK, "A8"},
	{"{\"kty\":\"RSA\"," K ",\"x5c\":[\"$cert_weak$\"]}", FORGE_WEAK, "A8"},
	{"{\"kty\":\"RSA\"," K ",\"n\":\"$n_2047$\",\"e\":\"AQAB\"}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\"," K ",\"n\":\"$n_8200$\",\"e\":\"AQAB\"}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\"," K ",\"n\":\"$n_8192$\",\"e\":\"AQAB\"}", FORGE_GOOD, "A9"},
	{"{\"kty\":\"RSA\"," K ",\"n\":\"$n_even$\",\"e\":\"AQAB\"}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\"," K ",\"n\":\"$n_e3$\",\"e\":\"$e3$\"}", FORGE_E3, "A8"},
	{"{\"kty\":\"RSA\"," K ",\"x5c\":[\"$cert_e3$\"]}", FORGE_E3, "A8"},
	{"{\"kty\":\"RSA\"," K ",\"n\":\"$n$\",\"e\":\"$e_one$\"}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\"," K ",\"n\":\"$n$\",\"e\":\"$e_even$\"}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\"," K ",\"n\":\"$n$\",\"e\":\"$e_72$\"}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\"," K ",\"n\":\"$n$\",\"e\":\"$e_64$\"}", FORGE_GOOD, "A9"},
	{"{\"kty\":\"RSA\"," K ",\"n\":\"$n$\",\"e\":\"\"}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\"," K ",\"n\":\"\",\"e\":\"AQAB\"}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\"," K ",\"n\":\"$n$\",\"e\":\"AAAA\"}", FORGE_GOOD, "A8"},
	/* form of the numbers */
	{"{\"kty\":\"RSA\"," K ",\"n\":\"$n$\"}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\"," K ",\"e\":\"AQAB\"}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\"," K ",\"n\":\"$n$=\",\"e\":\"AQAB\"}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\"," K ",\"n\":\"$n$\",\"e\":\"AQAB====\"}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\"," K ",\"n\":\" $n$\",\"e\":\"AQAB\"}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\"," K ",\"n\":\"$n$\",\"e\":65537}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\"," K ",\"n\":null,\"e\":\"AQAB\"}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\"," K ",\"n\":\"$n$\",\"e\":\"AQ+B\"}", FORGE_GOOD, "A8"},
	/* certificates */
	{"{\"kty\":\"RSA\"," K ",\"x5c\":[\"$cert_old$\"]}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\"," K ",\"x5c\":[\"$cert_new$\"]}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\"," K NE ",\"x5c\":[\"$cert_old$\"]}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\"," K NE ",\"x5c\":[\"$cert_foreign$\"]}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\"," K ",\"n\":\"$n_foreign$\",\"e\":\"AQAB\",\"x5c\":[\"$cert$\"]}",
		FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\"," K ",\"x5c\":[\"$cert_foreign$\",\"$cert$\"]}", FORGE_GOOD, "A9"},
	{"{\"kty\":\"RSA\"," K ",\"x5c\":[\"$cert_ec$\"]}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\"," K ",\"x5c\":[]}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\"," K NE ",\"x5c\":[]}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\"," K NE ",\"x5c\":null}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\"," K ",\"x5c\":\"$cert$\"}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\"," K ",\"x5c\":[5]}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\"," K ",\"x5c\":[\"\"]}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\"," K ",\"x5c\":[\"$cert_trailing$\"]}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\"," K ",\"x5c\":[\"$cert_shifted$\"]}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\"," K ",\"x5c\":[\"$cert_cut$\"]}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\"," K ",\"x5c\":[\"\\n$cert$\"]}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\"," K ",\"x5c\":[\"-----BEGIN CERTIFICATE-----$cert$\"]}", FORGE_GOOD,
		"A8"},
	/* usage */
	{"{\"kty\":\"RSA\"," K NE ",\"use\":\"enc\"}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\"," K NE ",\"use\":\"SIG\"}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\"," K NE ",\"use\":\"\"}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\"," K NE ",\"use\":null}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\"," K NE ",\"use\":[\"sig\"]}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\"," K NE ",\"alg\":\"RS384\"}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\"," K NE ",\"alg\":\"PS256\"}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\"," K NE ",\"alg\":\"rs256\"}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\"," K NE ",\"alg\":\"none\"}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\"," K NE ",\"alg\":null}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\"," K NE ",\"alg\":\"RSA-OAEP\"}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\"," K NE ",\"key_ops\":[\"sign\"]}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\"," K NE ",\"key_ops\":[\"encrypt\",\"wrapKey\"]}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\"," K NE ",\"key_ops\":[]}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\"," K NE ",\"key_ops\":\"verify\"}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\"," K NE ",\"key_ops\":[\"verify\",5]}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\"," K NE ",\"key_ops\":null}", FORGE_GOOD, "A8"},
	{"{\"kty\":\"RSA\"," K NE ",\"key_ops\":{\"verify\":true}}", FORGE_GOOD, "A8"},
	/* a good key, but not for this signature */
	{"{\"kty\":\"RSA\"," K ",\"n\":\"$n_foreign$\",\"e\":\"AQAB\"}", FORGE_GOOD, "A9"},
	{"{\"kty\":\"RSA\",\"kid\":\"w\"" NE "},{\"kty\":\"RSA\"," K
	 ",\"n\":\"$n_foreign$\",\"e\":\"AQAB\"}",
		FORGE_GOOD, "A9"},
	{"{\"kty\":\"RSA\"," K ",\"n\":\"$n$\",\"e\":\"$e17$\"}", FORGE_GOOD, "A9"},
};

void
cases_keys(void)
{
	for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
		const struct forge_var v[] = {{"set", sets[i].entries}};
		const struct vs_bytes text = forge_expand("{\"keys\":[$set$]}", v, 1);
		struct vs_buf b =
			forge_token(expand(HEADER), good_claims(), sets[i].key, FORGE_RS256);
		case_add((struct token_case){
			.name = numbered("key set", i),
			.expect = sets[i].expect,
			.token = keep_buf(&b),
			.jwks = jwks_of((const char *)text.p),
		});
	}
}
