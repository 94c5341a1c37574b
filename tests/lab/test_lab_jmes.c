/* SPDX-License-Identifier: BSD-2-Clause */
/* JMESPath, on the forms that the policies of the attestation service use and on hostile ones. */
#include "unit/unit.h"

#include <jansson.h>

#include "lab/lab_jmes.h"

static const char log_json[] =
	"{\"Events\":["
	"{\"EventTypeString\":\"EV_SEPARATOR\",\"PcrIndex\":7,\"EventSeq\":3},"
	"{\"EventTypeString\":\"EV_EVENT_TAG\",\"PcrIndex\":12,\"EventSeq\":4,\"ProcessedData\":"
	"{\"T\":{\"DEBUG\":false,\"MODULES\":[{\"PATH\":\"\\\\Windows\\\\a.sys\",\"OK\":true}],"
	"\"UNLOCK\":{\"Value\":0}}}},"
	"{\"EventTypeString\":\"EV_EVENT_TAG\",\"PcrIndex\":13,\"EventSeq\":9,\"ProcessedData\":"
	"{\"T\":{\"DEBUG\":true,\"MODULES\":[{\"PATH\":\"b\",\"OK\":false},{\"PATH\":\"c\"}],"
	"\"UNLOCK\":{\"Value\":5}}}}],"
	"\"PCRs\":[{\"Index\":0,\"Digests\":{\"SHA1\":\"KCk6Ow\"}},{\"Index\":1}],"
	"\"n\":{\"a\":1,\"b\":2.5,\"c\":null,\"odd name\":\"x\",\"e\":[],\"s\":\"\"},"
	"\"m\":[[0,1],[2,[3]],4],\"null\":7}";

static void
finds_what_a_query_names(void **state)
{
	(void)state;
	static const struct {
		const char *query, *result;
	} cases[] = {
		{"n.a", "1"},
		{"n.\"odd name\"", "\"x\""},
		{"nothing", "null"},
		{"nothing.at.all", "null"},
		{"@.n.b", "2.5"},
		{"m[0]", "[0,1]"},
		{"m[-1]", "4"},
		{"m[7]", "null"},
		{"m[0][1]", "1"},
		{"m[]", "[0,1,2,[3],4]"},
		{"m[][]", "[0,1,2,3,4]"},
		{"m[*][0]", "[0,2]"},
		{"m[:1]", "[[0,1]]"},
		{"m[1:]", "[[2,[3]],4]"},
		{"m[::-1]", "[4,[2,[3]],[0,1]]"},
		{"m[::2]", "[[0,1],4]"},
		{"m[5:1]", "[]"},
		{"n.*", "[1,2.5,\"x\",[],\"\"]"},
		{"Events[*].PcrIndex", "[7,12,13]"},
		{"Events[].PcrIndex | [0]", "7"},
		{"Events[?PcrIndex == `12`].EventSeq", "[4]"},
		{"Events[? EventTypeString == 'EV_EVENT_TAG' && (PcrIndex == `12` || PcrIndex == "
		 "`13`)].ProcessedData.T.DEBUG",
			"[false,true]"},
		{"Events[? EventTypeString == 'EV_EVENT_TAG'].ProcessedData.T | "
		 "[*].UNLOCK | @[? Value != `0`].Value | @[0]",
			"5"},
		{"Events[*].ProcessedData.T | [*].MODULES[] | [? OK == `true` && "
		 "equals_ignore_case(PATH, '\\windows\\A.SYS')] | @ != `null`",
			"true"},
		{"Events[? EventSeq < `4`] | @[0].EventSeq", "3"},
		{"Events[? `true` && PcrIndex == `12`] | length(@) == `1` && @[0] | "
		 "@.{Seq:EventSeq, Index:PcrIndex}",
			"{\"Seq\":4,\"Index\":12}"},
		{"Events[? ProcessedData.T.DEBUG != null] | length(@)", "2"},
		{"Events[? ProcessedData.T.DEBUG != `null`] | length(@)", "2"},
		{"PCRs[? Index == `0`].Digests.SHA1 | @[0] == `\"KCk6Ow\"`", "true"},
		{"PCRs[? Index == `0`].Digests.SHA1 | @[0] == `KCk6Ow`", "true"},
		{"PCRs[? Index == '0'].Digests.SHA1 | @[0] == 'KCk6Ow'", "false"},
		{"[n.a, n.b]", "[1,2.5]"},
		{"n.[a, b]", "[1,2.5]"},
		{"{x: n.a, \"y z\": m[2]}", "{\"x\":1,\"y z\":4}"},
		{"n.c || n.a", "1"},
		{"n.e || n.s || 'last'", "\"last\""},
		{"n.a && n.b", "2.5"},
		{"n.c && n.b", "null"},
		{"!(n.c)", "true"},
		{"!n.c", "null"}, /* "!" binds more tightly than "." */
		{"!(n.a) == `false`", "true"},
		{"n.a < n.b", "true"},
		{"n.a >= `1`", "true"},
		{"n.a == `1.0`", "true"},
		{"n.s < n.a", "null"},
		{"length(Events)", "3"},
		{"length('\xc3\xa4' )", "1"},
		{"keys(PCRs[0])", "[\"Index\",\"Digests\"]"},
		{"values(PCRs[0].Digests)", "[\"KCk6Ow\"]"},
		{"contains(m[0], `1`)", "true"},
		{"contains('abc', 'bc')", "true"},
		{"starts_with('abc', 'ab')", "true"},
		{"ends_with('abc', 'ab')", "false"},
		{"type(n.b)", "\"number\""},
		{"to_string(m[0])", "\"[0,1]\""},
		{"to_number('7')", "7"},
		{"to_number('x')", "null"},
		{"not_null(n.c, n.a)", "1"},
		{"reverse(m[0])", "[1,0]"},
		{"'it\\'s'", "\"it's\""},
		{"null", "7"},
	};
	json_t *doc = json_loads(log_json, 0, NULL);
	assert_non_null(doc);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char why[160] = "";
		json_t *got = NULL, *want = json_loads(cases[i].result, JSON_DECODE_ANY, NULL);
		if (!lab_jmes_search(doc, vs_bytes_str(cases[i].query), &got, why))
			fail_msg("%s: %s", cases[i].query, why);
		if (!json_equal(got, want)) {
			char *text = json_dumps(got, JSON_ENCODE_ANY);
			fail_msg("%s gives %s", cases[i].query, text);
		}
		json_decref(got);
		json_decref(want);
	}
	json_decref(doc);
}

static void
refuses_what_is_no_query(void **state)
{
	(void)state;
	static const char *const bad[] = {"", " ", ".", "a.", "a..b", "[", "a[", "a[0",
		"a[0:", "a[x]", "a[::0]", "a[1:2:3:4]", "a[1 2]", "a[?", "a[?b", "a[?]", "(a", "a)",
		"{a}", "{a:}", "{a:b", "{`1`:b}", "a b", "a 'b'", "'a", "`1", "\"a", "\"\\x\"",
		"a ||", "|| a", "a =", "a = b", "a === b", "a & b", "!", "&a", "1", "a < 20", "f(",
		"f(a", "a.'b'", "a.`1`", "-", "a[-]", "a[99999999999999999999]", "#", "\xff",
		"'\xff'", "f(a)", "length()", "length(a, b)", "length(@, @, @)", "length(`1`)",
		"contains(`1`, `1`)", "starts_with(`1`, 'a')", "ends_with('a', `1`)", "keys(`[]`)",
		"values('a')", "reverse('a')"};
	json_t *doc = json_object();
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		char why[160] = "";
		json_t *got = NULL;
		if (lab_jmes_search(doc, vs_bytes_str(bad[i]), &got, why))
			fail_msg("accepted: %s", bad[i]);
		assert_null(got);
		assert_non_null(strstr(why, "the query "));
	}
	json_decref(doc);
}

/* Every prefix of a long query is a query or is refused; none of them runs away. */
static void
survives_truncated_queries(void **state)
{
	(void)state;
	static const char query[] =
		"Events[*].ProcessedData.T | [*].MODULES[] | [? OK == `true` && "
		"equals_ignore_case(PATH, '\\windows\\A.SYS')] | @.{a: [0:2], \"b\": *.c} || !`1`";
	json_t *doc = json_loads(log_json, 0, NULL);
	for (size_t n = 0; n <= sizeof query - 1; n++) {
		char why[160] = "", *copy = malloc(n + 1);
		json_t *got = NULL;
		memcpy(copy, query, n);
		assert_true(lab_jmes_search(doc, vs_bytes_of(copy, n), &got, why) == (got != NULL));
		json_decref(got);
		free(copy);
	}
	json_decref(doc);
}

static void
repeat(char *out, size_t size, const char *part, size_t times)
{
	size_t n = 0;
	for (size_t i = 0; i < times; i++)
		n += (size_t)snprintf(out + n, size - n, "%s%s", i > 0 ? "|" : "", part);
	assert_true(n < size);
}

static void
refuses_queries_that_ask_for_too_much(void **state)
{
	(void)state;
	char query[LAB_JMES_QUERY_MAX + 2], why[160];
	json_t *doc = json_loads(log_json, 0, NULL), *got = NULL;
	/* each step doubles the result */
	repeat(query, sizeof query, "[@,@]", 41);
	assert_false(lab_jmes_search(doc, vs_bytes_str(query), &got, why));
	assert_non_null(strstr(why, "too many values"));
	repeat(query, sizeof query, "{a:@,b:@}", 21);
	assert_false(lab_jmes_search(doc, vs_bytes_str(query), &got, why));
	memset(query, '(', 100);
	query[100] = '\0';
	assert_false(lab_jmes_search(doc, vs_bytes_str(query), &got, why));
	assert_non_null(strstr(why, "too deeply"));
	memset(query, '!', 100);
	assert_false(lab_jmes_search(doc, vs_bytes_str(query), &got, why));
	memset(query, 'a', LAB_JMES_QUERY_MAX + 1);
	assert_false(lab_jmes_search(doc, vs_bytes_of(query, LAB_JMES_QUERY_MAX + 1), &got, why));
	assert_true(lab_jmes_search(doc, vs_bytes_of(query, LAB_JMES_QUERY_MAX), &got, why));
	json_decref(got);
	for (size_t i = 0; i + 1 < LAB_JMES_QUERY_MAX; i += 2)
		memcpy(query + i, "a.", 2);
	assert_false(lab_jmes_search(doc, vs_bytes_of(query, 2001), &got, why));
	assert_non_null(strstr(why, "too long"));
	json_decref(doc);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_what_a_query_names),
		cmocka_unit_test(refuses_what_is_no_query),
		cmocka_unit_test(survives_truncated_queries),
		cmocka_unit_test(refuses_queries_that_ask_for_too_much),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
