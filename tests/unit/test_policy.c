/* SPDX-License-Identifier: BSD-2-Clause */
/* Release policies: documents that are refused with place and remedy, evaluation, comparison. */
#include "conf/policy.h"

#include "jose/json.h"
#include "unit/token_cases.h"
#include "unit/tokenkit.h"

#define DOC(entries) "{\"version\":\"1.0.0\",\"anyOf\":[" entries "]}"
#define LOCAL(entries) "{\"version\":\"vouchsafe-1\",\"anyOf\":[" entries "]}"
#define ENTRY(conditions) "{\"authority\":\"https://a.example\",\"allOf\":[" conditions "]}"
#define OK_COND "{\"claim\":\"a\",\"equals\":\"x\"}"

/* Documents that are not valid, and what the message must say. */
static const struct {
	const char *text, *says;
} invalid[] = {
	/* version */
	{"{\"anyOf\":[" ENTRY(OK_COND) "]}", "\"version\" is missing"},
	{"{\"version\":\"1.0\",\"anyOf\":[" ENTRY(OK_COND) "]}", "version"},
	{"{\"version\":\"1.0.1\",\"anyOf\":[" ENTRY(OK_COND) "]}", "version"},
	{"{\"version\":\"2.0.0\",\"anyOf\":[" ENTRY(OK_COND) "]}", "version"},
	{"{\"version\":1,\"anyOf\":[" ENTRY(OK_COND) "]}", "version"},
	{"{\"version\":null,\"anyOf\":[" ENTRY(OK_COND) "]}", "version"},
	{"{\"version\":[\"1.0.0\"],\"anyOf\":[" ENTRY(OK_COND) "]}", "version"},
	{"{\"version\":\"1.0.0 \",\"anyOf\":[" ENTRY(OK_COND) "]}", "version"},
	{"{\"version\":\"vouchsafe-2\",\"anyOf\":[" ENTRY(OK_COND) "]}", "version"},
	{"{\"Version\":\"1.0.0\",\"anyOf\":[" ENTRY(OK_COND) "]}", "did you mean \"version\""},
	{"{\"verison\":\"1.0.0\",\"anyOf\":[" ENTRY(OK_COND) "]}", "did you mean \"version\""},
	/* top */
	{"{\"version\":\"1.0.0\"}", "anyOf"},
	{DOC(""), "at least one authority"},
	{"{\"version\":\"1.0.0\",\"anyOf\":{}}", "anyOf"},
	{"{\"version\":\"1.0.0\",\"anyOf\":null}", "anyOf"},
	{"{\"version\":\"1.0.0\",\"anyOf\":\"x\"}", "anyOf"},
	{"{\"version\":\"1.0.0\",\"allOf\":[" ENTRY(OK_COND) "]}", "allOf"},
	{"{\"version\":\"1.0.0\",\"anyof\":[" ENTRY(OK_COND) "]}", "did you mean \"anyOf\""},
	{"{\"version\":\"1.0.0\",\"anyOf\":[" ENTRY(OK_COND) "],\"x\":1}", "\"x\" is not known"},
	{"{\"version\":\"1.0.0\",\"anyOf\":[" ENTRY(OK_COND) "],\"maxLease\":60}", "maxLease"},
	{"[]", "not a JSON object"},
	{"{}", "version"},
	{"", "empty"},
	/* entries */
	{DOC("5"), "anyOf[0]"},
	{DOC("null"), "anyOf[0]"},
	{DOC("[]"), "anyOf[0]"},
	{DOC("{}"), "authority"},
	{DOC("{\"allOf\":[" OK_COND "]}"), "authority"},
	{DOC("{\"authority\":5,\"allOf\":[" OK_COND "]}"), "authority"},
	{DOC("{\"authority\":null,\"allOf\":[" OK_COND "]}"), "authority"},
	{DOC("{\"authority\":\"\",\"allOf\":[" OK_COND "]}"), "authority"},
	{DOC("{\"authority\":\"https://a.example\"}"), "exactly one"},
	{DOC("{\"authority\":\"https://a.example\",\"allOf\":[" OK_COND "],\"anyOf\":[" OK_COND
	     "]}"),
		"exactly one"},
	{DOC("{\"authority\":\"https://a.example\",\"allOf\":[]}"), "anyOf[0].allOf"},
	{DOC("{\"authority\":\"https://a.example\",\"anyOf\":[]}"), "anyOf[0].anyOf"},
	{DOC("{\"authority\":\"https://a.example\",\"allOf\":{}}"), "anyOf[0].allOf"},
	{DOC("{\"authority\":\"https://a.example\",\"allOf\":" OK_COND "}"), "anyOf[0].allOf"},
	{DOC("{\"authority\":\"https://a.example\",\"allOf\":null}"), "anyOf[0].allOf"},
	{DOC("{\"authority\":\"https://a.example\",\"allof\":[" OK_COND "]}"),
		"did you mean \"allOf\""},
	{DOC("{\"authorty\":\"https://a.example\",\"allOf\":[" OK_COND "]}"),
		"did you mean \"authority\""},
	{DOC("{\"authority\":\"https://a.example\",\"claim\":\"a\",\"equals\":\"x\"}"), "anyOf[0]"},
	/* a bad entry behind a good one spoils all */
	{DOC(ENTRY(OK_COND) ",{}"), "anyOf[1]"},
	{DOC(ENTRY(OK_COND) "," ENTRY("{\"claim\":\"a\"}")), "anyOf[1].allOf[0]"},
	/* conditions */
	{DOC(ENTRY("5")), "anyOf[0].allOf[0]"},
	{DOC(ENTRY("\"a\"")), "anyOf[0].allOf[0]"},
	{DOC(ENTRY("[]")), "anyOf[0].allOf[0]"},
	{DOC(ENTRY("null")), "anyOf[0].allOf[0]"},
	{DOC(ENTRY("{}")), "no \"claim\""},
	{DOC(ENTRY("{\"claim\":\"a\"}")), "no \"equals\""},
	{DOC(ENTRY("{\"equals\":\"x\"}")), "no \"claim\""},
	{DOC(ENTRY("{\"claim\":\"a\",\"equal\":\"x\"}")), "did you mean \"equals\""},
	{DOC(ENTRY("{\"claim\":\"a\",\"Equals\":\"x\"}")), "did you mean \"equals\""},
	{DOC(ENTRY("{\"cliam\":\"a\",\"equals\":\"x\"}")), "did you mean \"claim\""},
	{DOC(ENTRY("{\"claim\":\"a\",\"equals\":\"x\",\"comment\":\"y\"}")),
		"\"comment\" is not known"},
	{DOC(ENTRY("{\"claim\":\"a\",\"condition\":\"equals\",\"value\":\"x\"}")), "not known"},
	{DOC(ENTRY("{\"claim\":\"a\",\"equals\":null}")), "needs a string, a number or a boolean"},
	{DOC(ENTRY("{\"claim\":\"a\",\"equals\":[]}")), "needs a string"},
	{DOC(ENTRY("{\"claim\":\"a\",\"equals\":[\"x\"]}")), "needs a string"},
	{DOC(ENTRY("{\"claim\":\"a\",\"equals\":{}}")), "needs a string"},
	{DOC(ENTRY("{\"claim\":null,\"equals\":\"x\"}")), "\"claim\" needs a string"},
	{DOC(ENTRY("{\"claim\":5,\"equals\":\"x\"}")), "\"claim\" needs a string"},
	{DOC(ENTRY("{\"claim\":[\"a\"],\"equals\":\"x\"}")), "\"claim\" needs a string"},
	{DOC(ENTRY("{\"claim\":\"\",\"equals\":\"x\"}")), "path of names"},
	{DOC(ENTRY("{\"claim\":\".\",\"equals\":\"x\"}")), "path of names"},
	{DOC(ENTRY("{\"claim\":\".a\",\"equals\":\"x\"}")), "path of names"},
	{DOC(ENTRY("{\"claim\":\"a.\",\"equals\":\"x\"}")), "path of names"},
	{DOC(ENTRY("{\"claim\":\"a..b\",\"equals\":\"x\"}")), "path of names"},
	/* operators of the superset in a document for the vault */
	{DOC(ENTRY("{\"claim\":\"a\",\"notEquals\":\"x\"}")), "vouchsafe-1"},
	{DOC(ENTRY("{\"claim\":\"a\",\"in\":[\"x\"]}")), "vouchsafe-1"},
	{DOC(ENTRY("{\"claim\":\"a\",\"atLeast\":1}")), "vouchsafe-1"},
	{DOC(ENTRY("{\"claim\":\"a\",\"atMost\":1}")), "vouchsafe-1"},
	{DOC(ENTRY("{\"claim\":\"a\",\"exists\":true}")), "vouchsafe-1"},
	{DOC(ENTRY("{\"claim\":\"a\",\"greater\":1}")), "\"greater\" is not known"},
	{DOC(ENTRY("{\"claim\":\"a\",\"less\":1}")), "\"less\" is not known"},
	{DOC(ENTRY("{\"claim\":\"a\",\"matches\":\"x\"}")), "\"matches\" is not known"},
	{DOC(ENTRY("{\"not\":[" OK_COND "]}")), "\"not\" is not known"},
	/* groups */
	{DOC(ENTRY("{\"allOf\":[]}")), "anyOf[0].allOf[0].allOf"},
	{DOC(ENTRY("{\"anyOf\":[]}")), "anyOf[0].allOf[0].anyOf"},
	{DOC(ENTRY("{\"anyOf\":{}}")), "anyOf[0].allOf[0].anyOf"},
	{DOC(ENTRY("{\"anyOf\":[5]}")), "anyOf[0].allOf[0].anyOf[0]"},
	{DOC(ENTRY("{\"allOf\":[" OK_COND "],\"anyOf\":[" OK_COND "]}")), "two kinds"},
	{DOC(ENTRY("{\"allOf\":[" OK_COND "],\"claim\":\"a\"}")), "two kinds"},
	{DOC(ENTRY("{\"allOf\":[" OK_COND "],\"claim\":\"a\",\"equals\":\"x\"}")), "two kinds"},
	{DOC(ENTRY("{\"allOf\":[" OK_COND "],\"x\":1}")), "\"x\" is not known"},
	{DOC(ENTRY("{\"allOf\":[" OK_COND "],\"authority\":\"https://b\"}")), "not known"},
	/* another part would have been true */
	{DOC("{\"authority\":\"https://a.example\",\"anyOf\":[" OK_COND
	     ",{\"claim\":\"a\",\"equals\":null}]}"),
		"anyOf[0].anyOf[1]"},
	/* the superset's own rules */
	{LOCAL(ENTRY("{\"claim\":\"a\",\"equals\":\"x\",\"in\":[\"x\"]}")), "two operators"},
	{LOCAL(ENTRY("{\"claim\":\"a\",\"in\":[]}")), "\"in\" needs an array"},
	{LOCAL(ENTRY("{\"claim\":\"a\",\"in\":\"x\"}")), "\"in\" needs an array"},
	{LOCAL(ENTRY("{\"claim\":\"a\",\"in\":[null]}")), "\"in\" needs an array"},
	{LOCAL(ENTRY("{\"claim\":\"a\",\"in\":[[1]]}")), "\"in\" needs an array"},
	{LOCAL(ENTRY("{\"claim\":\"a\",\"atLeast\":\"1\"}")), "needs an integer"},
	{LOCAL(ENTRY("{\"claim\":\"a\",\"atLeast\":1.5}")), "needs an integer"},
	{LOCAL(ENTRY("{\"claim\":\"a\",\"atMost\":null}")), "needs an integer"},
	{LOCAL(ENTRY("{\"claim\":\"a\",\"exists\":\"true\"}")), "needs a boolean"},
	{LOCAL(ENTRY("{\"claim\":\"a\",\"exists\":1}")), "needs a boolean"},
	{LOCAL(ENTRY("{\"claim\":\"a\",\"notEqual\":\"x\"}")), "did you mean \"notEquals\""},
	{LOCAL(ENTRY("{\"claim\":\"a\",\"atleast\":1}")), "did you mean \"atLeast\""},
	{LOCAL(ENTRY("{\"claim\":\"a\",\"notEquals\":null}")), "needs a string"},
	{"{\"version\":\"vouchsafe-1\",\"maxLease\":0,\"anyOf\":[" ENTRY(OK_COND) "]}", "maxLease"},
	{"{\"version\":\"vouchsafe-1\",\"maxLease\":86401,\"anyOf\":[" ENTRY(OK_COND) "]}",
		"maxLease"},
	{"{\"version\":\"vouchsafe-1\",\"maxLease\":\"1h\",\"anyOf\":[" ENTRY(OK_COND) "]}",
		"maxLease"},
	{"{\"version\":\"vouchsafe-1\",\"maxlease\":60,\"anyOf\":[" ENTRY(OK_COND) "]}",
		"did you mean \"maxLease\""},
};

static void
documents_that_are_not_valid_are_refused_with_their_place(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof invalid / sizeof invalid[0]; i++) {
		struct vs_err err = {0};
		struct vs_policy *policy = NULL;
		char s[1600];
		const vs_rc rc = vs_policy_parse(vs_bytes_str(invalid[i].text), &policy, &err);
		vs_err_sentence(&err, s, sizeof s);
		if (rc.code != VS_E_POLICY_FILE || strstr(s, invalid[i].says) == NULL)
			fail_msg("#%zu %s: %s: %s", i, invalid[i].text, vs_code_name(rc.code), s);
		assert_null(policy);
	}
}

static void
texts_that_are_no_strict_json_are_refused(void **state)
{
	static const char text[] = DOC(ENTRY(OK_COND));
	(void)state;
	/* all of them: further members make a policy invalid, even where the JSON is fine */
	for (size_t i = 0; i < json_texts_n; i++) {
		struct vs_err err = {0};
		VS_CLEANUP(vs_policy_unrefp) struct vs_policy *policy = NULL;
		const struct vs_bytes t = json_text_around(&json_texts[i], text);
		const vs_rc rc = vs_policy_parse(t, &policy, &err);
		assert_int_equal(vs_failed(rc),
			strstr(json_texts[i].text, "$A$ \t") == NULL &&
				strstr(json_texts[i].text, "\n$A$\n") == NULL);
	}
	for (size_t n = 0; n < sizeof text - 1; n++) {
		struct vs_err err = {0};
		struct vs_policy *policy = NULL;
		assert_code(vs_policy_parse(vs_bytes_of(text, n), &policy, &err), POLICY_FILE);
	}
}

static void
long_documents_are_refused(void **state)
{
	static char text[VS_POLICY_TEXT_MAX + 2];
	static const char doc[] = DOC(ENTRY(OK_COND));
	(void)state;
	memset(text, ' ', sizeof text);
	memcpy(text, doc, sizeof doc - 1);
	for (size_t n = VS_POLICY_TEXT_MAX; n <= VS_POLICY_TEXT_MAX + 1; n++) {
		struct vs_err err = {0};
		VS_CLEANUP(vs_policy_unrefp) struct vs_policy *policy = NULL;
		const vs_rc rc = vs_policy_parse(vs_bytes_of(text, n), &policy, &err);
		assert_int_equal(vs_failed(rc), n > VS_POLICY_TEXT_MAX);
	}
}

/* ---- the superset ------------------------------------------------------------------------- */

static const struct {
	const char *condition;
	bool holds;
} local[] = {
	{"{\"claim\":\"s\",\"notEquals\":\"y\"}", true},
	{"{\"claim\":\"s\",\"notEquals\":\"x\"}", false},
	{"{\"claim\":\"i\",\"notEquals\":\"5\"}", false},
	{"{\"claim\":\"i\",\"notEquals\":5.0}", false},
	{"{\"claim\":\"none\",\"notEquals\":\"x\"}", false},
	{"{\"claim\":\"n\",\"notEquals\":\"x\"}", false},
	{"{\"claim\":\"o\",\"notEquals\":\"x\"}", false},
	{"{\"claim\":\"l\",\"notEquals\":\"x\"}", false},
	{"{\"claim\":\"s\",\"in\":[\"a\",\"x\"]}", true},
	{"{\"claim\":\"s\",\"in\":[\"a\",\"X\"]}", false},
	{"{\"claim\":\"i\",\"in\":[4,5]}", true},
	{"{\"claim\":\"i\",\"in\":[\"5\"]}", true},
	{"{\"claim\":\"b\",\"in\":[1,\"1\"]}", false},
	{"{\"claim\":\"none\",\"in\":[\"\"]}", false},
	{"{\"claim\":\"l\",\"in\":[1]}", false},
	{"{\"claim\":\"i\",\"atLeast\":5}", true},
	{"{\"claim\":\"i\",\"atLeast\":6}", false},
	{"{\"claim\":\"i\",\"atMost\":5}", true},
	{"{\"claim\":\"i\",\"atMost\":4}", false},
	{"{\"claim\":\"big\",\"atLeast\":9223372036854775807}", true},
	{"{\"claim\":\"big\",\"atMost\":9223372036854775806}", false},
	{"{\"claim\":\"neg\",\"atMost\":-1}", true},
	{"{\"claim\":\"neg\",\"atLeast\":0}", false},
	{"{\"claim\":\"it\",\"atLeast\":1}", false},
	{"{\"claim\":\"r\",\"atLeast\":1}", false},
	{"{\"claim\":\"b\",\"atLeast\":0}", false},
	{"{\"claim\":\"none\",\"atMost\":10}", false},
	{"{\"claim\":\"none\",\"atLeast\":-10}", false},
	{"{\"claim\":\"n\",\"atMost\":10}", false},
	{"{\"claim\":\"s\",\"exists\":true}", true},
	{"{\"claim\":\"s\",\"exists\":false}", false},
	{"{\"claim\":\"none\",\"exists\":true}", false},
	{"{\"claim\":\"none\",\"exists\":false}", true},
	{"{\"claim\":\"n\",\"exists\":true}", false},
	{"{\"claim\":\"n\",\"exists\":false}", true},
	{"{\"claim\":\"o\",\"exists\":true}", true},
	{"{\"claim\":\"o.x\",\"exists\":true}", true},
	{"{\"claim\":\"l.0\",\"exists\":false}", true},
	{"{\"allOf\":[{\"claim\":\"i\",\"atLeast\":1},{\"claim\":\"i\",\"atMost\":9}]}", true},
};

static void
local_operators_mean_what_they_say(void **state)
{
	static const char claims_text[] =
		"{\"s\":\"x\",\"i\":5,\"b\":true,\"n\":null,\"o\":{\"x\":1},\"l\":[1],\"r\":5.0,"
		"\"it\":\"5\",\"big\":9223372036854775807,\"neg\":-1}";
	struct vs_err err = {0};
	VS_CLEANUP(vs_json_freep) struct vs_json *claims = NULL;
	(void)state;
	assert_ok(vs_json_load(vs_bytes_str(claims_text), 4096, "claims", &claims, &err), &err);
	for (size_t i = 0; i < sizeof local / sizeof local[0]; i++) {
		char text[512];
		VS_CLEANUP(vs_policy_unrefp) struct vs_policy *policy = NULL;
		VS_CLEANUP(vs_policy_report_done) struct vs_policy_report report = {0};
		snprintf(text, sizeof text, LOCAL(ENTRY("%s")), local[i].condition);
		assert_ok(vs_policy_parse(vs_bytes_str(text), &policy, &err), &err);
		assert_true(vs_policy_is_local(policy));
		assert_ok(vs_policy_eval(policy, claims, "https://a.example", &report, &err), &err);
		if (report.allowed != local[i].holds)
			fail_msg("%s: %s", local[i].condition,
				report.allowed ? "holds" : "does not hold");
	}
}

static void
reports_show_every_condition_with_what_was_seen(void **state)
{
	static const char text[] = DOC("{\"authority\":\"https://"
				       "a.example\",\"anyOf\":[{\"claim\":\"a\",\"equals\":\"x\"},"
				       "{\"allOf\":[{\"claim\":\"b.c\",\"equals\":5},{\"claim\":"
				       "\"d\",\"equals\":true}]}]},"
				       "{\"authority\":\"https://b.example/"
				       "\",\"allOf\":[{\"claim\":\"a\",\"equals\":\"y\"}]}");
	static const struct {
		const char *place, *claim, *expected, *seen;
		bool holds;
	} rows[] = {
		{"anyOf[0]", NULL, "", "", true},
		{"anyOf[0].anyOf[0]", "a", "\"x\"", "\"y\\u0001\\u007f\"", false},
		{"anyOf[0].anyOf[1]", NULL, "", "", true},
		{"anyOf[0].anyOf[1].allOf[0]", "b.c", "5", "5", true},
		{"anyOf[0].anyOf[1].allOf[1]", "d", "true", "true", true},
		{"anyOf[1]", NULL, "", "", false},
		{"anyOf[1].allOf[0]", "a", "\"y\"", "\"y\\u0001\\u007f\"", false},
	};
	struct vs_err err = {0};
	VS_CLEANUP(vs_json_freep) struct vs_json *claims = NULL;
	VS_CLEANUP(vs_policy_unrefp) struct vs_policy *policy = NULL;
	VS_CLEANUP(vs_policy_report_done) struct vs_policy_report report = {0};
	(void)state;
	assert_ok(vs_json_load(vs_bytes_str("{\"a\":\"y\\u0001\x7f\",\"b\":{\"c\":5},\"d\":true}"),
			  4096, "claims", &claims, &err),
		&err);
	assert_ok(vs_policy_parse(vs_bytes_str(text), &policy, &err), &err);
	assert_ok(vs_policy_eval(policy, claims, "https://a.example", &report, &err), &err);
	assert_true(report.allowed && report.authority_known);
	assert_int_equal(report.n, sizeof rows / sizeof rows[0]);
	for (size_t i = 0; i < report.n; i++) {
		assert_string_equal(report.results[i].place, rows[i].place);
		assert_int_equal(report.results[i].holds, rows[i].holds);
		if (rows[i].claim == NULL)
			continue;
		assert_string_equal(report.results[i].claim, rows[i].claim);
		assert_string_equal(report.results[i].expected, rows[i].expected);
		assert_string_equal(report.results[i].seen, rows[i].seen);
	}
	vs_policy_report_done(&report);
	assert_ok(vs_policy_eval(policy, claims, "https://b.example/", &report, &err), &err);
	assert_false(report.allowed || report.authority_known);
	vs_policy_report_done(&report);
	assert_ok(vs_policy_eval(policy, claims, NULL, &report, &err), &err);
	assert_false(report.allowed || report.authority_known);
}

/* ---- form --------------------------------------------------------------------------------- */

static struct vs_policy *
parsed(const char *text)
{
	struct vs_err err = {0};
	struct vs_policy *policy = NULL;
	assert_ok(vs_policy_parse(vs_bytes_str(text), &policy, &err), &err);
	return policy;
}

static void
canonical_form_survives_rewriting(void **state)
{
	VS_CLEANUP(vs_policy_unrefp)
	struct vs_policy *a =
		parsed("{ \"version\" : \"1.0.0\",\n \"anyOf\" : [ { \"authority\" : "
		       "\"https:\\/\\/a.example/\",\n"
		       " \"allOf\" : [ { \"equals\" : \"\\u0078\", \"claim\" : \"a\" } ] } ] }\n");
	VS_CLEANUP(vs_policy_unrefp) struct vs_policy *b = parsed(DOC(ENTRY(OK_COND)));
	VS_CLEANUP(vs_policy_unrefp)
	struct vs_policy *c = parsed(DOC(ENTRY("{\"claim\":\"a\",\"equals\":\"X\"}")));
	(void)state;
	assert_string_equal(vs_policy_sha256(a), vs_policy_sha256(b));
	assert_string_not_equal(vs_policy_text_sha256(a), vs_policy_text_sha256(b));
	assert_string_not_equal(vs_policy_sha256(b), vs_policy_sha256(c));
	assert_true(vs_bytes_eq_str(vs_policy_canonical(a),
		"{\"anyOf\":[{\"allOf\":[{\"claim\":\"a\",\"equals\":\"x\"}],\"authority\":"
		"\"https://a.example\"}],\"version\":\"1.0.0\"}"));
	/* and is a valid document of the same meaning */
	struct vs_err err = {0};
	VS_CLEANUP(vs_policy_unrefp) struct vs_policy *again = NULL;
	assert_ok(vs_policy_parse(vs_policy_canonical(a), &again, &err), &err);
	assert_string_equal(vs_policy_sha256(again), vs_policy_sha256(a));
	static const char *const odd[] = {"https://a.example//", "https://a.example///", "/", "//"};
	for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
		char text[200];
		snprintf(text, sizeof text, DOC("{\"authority\":\"%s\",\"allOf\":[" OK_COND "]}"),
			odd[i]);
		VS_CLEANUP(vs_policy_unrefp) struct vs_policy *first = parsed(text);
		VS_CLEANUP(vs_policy_unrefp) struct vs_policy *second = NULL;
		assert_ok(vs_policy_parse(vs_policy_canonical(first), &second, &err), &err);
		assert_string_equal(vs_policy_authority(first, 0), vs_policy_authority(second, 0));
		assert_string_equal(vs_policy_sha256(first), vs_policy_sha256(second));
	}
	assert_string_equal(vs_policy_authority(a, 0), "https://a.example");
	assert_null(vs_policy_authority(a, 1));
	assert_int_equal(vs_policy_authorities(a), 1);
}

static void
leases_can_be_limited_by_a_local_policy(void **state)
{
	VS_CLEANUP(vs_policy_unrefp)
	struct vs_policy *a = parsed(
		"{\"version\":\"vouchsafe-1\",\"maxLease\":600,\"anyOf\":[" ENTRY(OK_COND) "]}");
	VS_CLEANUP(vs_policy_unrefp) struct vs_policy *b = parsed(LOCAL(ENTRY(OK_COND)));
	(void)state;
	assert_int_equal(vs_policy_max_lease_s(a), 600);
	assert_int_equal(vs_policy_max_lease_s(b), 0);
	assert_string_not_equal(vs_policy_sha256(a), vs_policy_sha256(b));
}

#define C(n, v) "{\"claim\":\"" n "\",\"equals\":" v "}"
static const struct {
	const char *a, *b, *diff;
} diffs[] = {
	{DOC(ENTRY(C("a", "1"))), DOC(ENTRY(C("a", "1"))), ""},
	{DOC(ENTRY(C("a", "1") "," C("b", "2"))), DOC(ENTRY(C("b", "2") "," C("a", "1"))), ""},
	{DOC(ENTRY("{\"anyOf\":[" C("a", "1") "," C("b", "2") "]}")),
		DOC(ENTRY("{\"anyOf\":[" C("b", "2") "," C("a", "1") "]}")), ""},
	{DOC("{\"authority\":\"https://a\",\"allOf\":[" C(
		 "a", "1") "]},{\"authority\":\"https://b\",\"allOf\":[" C("b", "1") "]}"),
		DOC("{\"authority\":\"https://b/\",\"allOf\":[" C(
			"b", "1") "]},{\"authority\":\"https://a/\",\"allOf\":[" C("a", "1") "]}"),
		""},
	{DOC(ENTRY(C("a", "1"))), DOC(ENTRY(C("a", "2"))),
		"- https://a.example: \"a\" equals 1\n+ https://a.example: \"a\" equals 2\n"},
	{DOC(ENTRY(C("a", "1"))), DOC(ENTRY(C("a", "\"1\""))),
		"- https://a.example: \"a\" equals 1\n+ https://a.example: \"a\" equals \"1\"\n"},
	{DOC(ENTRY(C("a", "1") "," C("b", "2"))), DOC(ENTRY(C("a", "1"))),
		"- https://a.example: \"b\" equals 2\n"},
	{DOC(ENTRY(C("a", "1"))), DOC(ENTRY(C("a", "1") "," C("b", "2"))),
		"+ https://a.example: \"b\" equals 2\n"},
	{DOC(ENTRY("{\"anyOf\":[" C("a", "1") "]}")), DOC(ENTRY("{\"allOf\":[" C("a", "1") "]}")),
		"- https://a.example: anyOf(\"a\" equals 1)\n+ https://a.example: allOf(\"a\" "
		"equals 1)\n"},
	{DOC(ENTRY(C("a", "1"))), DOC("{\"authority\":\"https://b\",\"allOf\":[" C("a", "1") "]}"),
		"- \"https://a.example\": allOf(\"a\" equals 1)\n+ \"https://b\": allOf(\"a\" "
		"equals 1)\n"},
	{DOC(ENTRY(C("a", "1"))),
		DOC("{\"authority\":\"https://a.example\",\"anyOf\":[" C("a", "1") "]}"),
		"- \"https://a.example\": allOf(\"a\" equals 1)\n+ \"https://a.example\": "
		"anyOf(\"a\" equals 1)\n"},
	/* the same lines, but grouped otherwise */
	{DOC(ENTRY(C("a", "1") "," C("b", "2")) "," ENTRY(C("c", "3"))),
		DOC(ENTRY(C("a", "1")) "," ENTRY(C("b", "2") "," C("c", "3"))),
		"- \"https://a.example\": allOf(\"a\" equals 1, \"b\" equals 2)\n"
		"- \"https://a.example\": allOf(\"c\" equals 3)\n"
		"+ \"https://a.example\": allOf(\"a\" equals 1)\n"
		"+ \"https://a.example\": allOf(\"b\" equals 2, \"c\" equals 3)\n"},
	{DOC(ENTRY(C("a", "1"))), LOCAL(ENTRY(C("a", "1"))),
		"- version 1.0.0\n+ version vouchsafe-1\n"},
};

static void
differences_are_named_one_by_one(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof diffs / sizeof diffs[0]; i++) {
		struct vs_err err = {0};
		VS_CLEANUP(vs_policy_unrefp) struct vs_policy *a = parsed(diffs[i].a);
		VS_CLEANUP(vs_policy_unrefp) struct vs_policy *b = parsed(diffs[i].b);
		VS_CLEANUP(vs_buf_done) struct vs_buf out = {0};
		assert_ok(vs_policy_diff(a, b, &out, &err), &err);
		assert_string_equal(out.n == 0 ? "" : vs_buf_cstr(&out), diffs[i].diff);
	}
}

static void
weak_documents_are_recognised(void **state)
{
	static const struct {
		const char *text;
		bool tee;
		const char *planted;
	} rows[] = {
		{DOC(ENTRY(C("secureboot", "true"))), false, NULL},
		{DOC(ENTRY(C("x-ms-attestation-type", "\"azurevm\""))), false, NULL},
		{DOC(ENTRY(C("x-ms-attestation-type", "\"sevsnpvm\""))), true, NULL},
		{DOC(ENTRY(C("x-ms-isolation-tee.x-ms-attestation-type", "\"tdxvm\""))), true,
			NULL},
		{DOC(ENTRY(C("secureboot", "true") "," C(
			 "x-ms-compliance-status", "\"azure-compliant-cvm\""))),
			true, NULL},
		{DOC("{\"authority\":\"https://a\",\"anyOf\":[" C("secureboot", "true") "," C(
			 "tdx_mrtd", "\"00\"") "]}"),
			false, NULL},
		{DOC(ENTRY("{\"anyOf\":[" C("tdx_mrtd", "\"00\"") "," C(
			 "x-ms-sgx-mrsigner", "\"00\"") "]}")),
			true, NULL},
		{DOC(ENTRY(C("tdx_mrtd", "\"00\"")) "," ENTRY(C("secureboot", "true"))), false,
			NULL},
		{LOCAL(ENTRY("{\"claim\":\"x-ms-isolation-tee.x\",\"exists\":false}")), false,
			NULL},
		{LOCAL(ENTRY("{\"claim\":\"x-ms-isolation-tee.x\",\"exists\":true}")), true, NULL},
		{LOCAL(ENTRY("{\"claim\":\"tdx_mrtd\",\"notEquals\":\"00\"}")), false, NULL},
		{DOC(ENTRY(C("x-ms-runtime.a", "1"))), false, "x-ms-runtime.a"},
		{DOC(ENTRY(C("x-ms-runtime-x", "1"))), false, NULL},
		{DOC(ENTRY(C("a", "1") ",{\"anyOf\":[" C("nonce", "\"x\"") "]}")), false, "nonce"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		VS_CLEANUP(vs_policy_unrefp) struct vs_policy *p = parsed(rows[i].text);
		assert_int_equal(vs_policy_demands_tee(p), rows[i].tee);
		const char *planted = vs_policy_planted_claim(p);
		assert_int_equal(planted == NULL, rows[i].planted == NULL);
		if (planted != NULL)
			assert_string_equal(planted, rows[i].planted);
	}
}

/* The documents that the manual shows, and the sample that is installed. */
static void
documents_of_the_manual_are_valid(void **state)
{
	struct vs_err err = {0};
	char path[1024];
	size_t n = 0;
	(void)state;
	snprintf(path, sizeof path, "%s/conf/man/vouchsafe-policy.5", VS_TEST_SRCDIR);
	VS_CLEANUP(vs_buf_done) struct vs_buf page = kit_file(path);
	for (const char *at = vs_buf_cstr(&page); (at = strstr(at, "\n{\n")) != NULL; n++) {
		const char *end = strstr(at, "\n.Ed");
		VS_CLEANUP(vs_policy_unrefp) struct vs_policy *policy = NULL;
		assert_non_null(end);
		assert_ok(
			vs_policy_parse(vs_bytes_of(at, (size_t)(end - at)), &policy, &err), &err);
		assert_int_equal(vs_policy_is_local(policy), n == 1);
		assert_int_equal(vs_policy_max_lease_s(policy), n == 1 ? 900 : 0);
		assert_true(vs_policy_demands_tee(policy));
		at = end;
	}
	assert_int_equal(n, 2);
	snprintf(path, sizeof path, "%s/conf/policy/azure-cvm-snp.json", VS_TEST_SRCDIR);
	VS_CLEANUP(vs_buf_done) struct vs_buf sample = kit_file(path);
	VS_CLEANUP(vs_policy_unrefp) struct vs_policy *policy = NULL;
	assert_ok(vs_policy_parse(vs_buf_view(&sample), &policy, &err), &err);
	assert_false(vs_policy_is_local(policy));
	assert_true(vs_policy_demands_tee(policy));
	assert_null(vs_policy_planted_claim(policy));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(documents_that_are_not_valid_are_refused_with_their_place),
		cmocka_unit_test(texts_that_are_no_strict_json_are_refused),
		cmocka_unit_test(long_documents_are_refused),
		cmocka_unit_test(local_operators_mean_what_they_say),
		cmocka_unit_test(reports_show_every_condition_with_what_was_seen),
		cmocka_unit_test(canonical_form_survives_rewriting),
		cmocka_unit_test(leases_can_be_limited_by_a_local_policy),
		cmocka_unit_test(differences_are_named_one_by_one),
		cmocka_unit_test(weak_documents_are_recognised),
		cmocka_unit_test(documents_of_the_manual_are_valid),
	};
	const int failed = cmocka_run_group_tests(tests, NULL, NULL);
	forge_done();
	return failed;
}
