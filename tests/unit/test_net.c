/* SPDX-License-Identifier: BSD-2-Clause */
/* Addresses, headers, retries: without any network. */
#include "net/head.h"
#include "net/http.h"
#include "net/url.h"
#include "unit/unit.h"
#include "unit/webkit.h"

static struct webkit web;

static void
reads_addresses(void **state)
{
	struct vs_url u = {0};
	struct vs_url v = {0};
	struct vs_err err = {0};

	(void)state;
	assert_ok(vs_url_parse("https://Contoso.Vault.Azure.NET/keys/a?b=c", &u, &err), &err);
	assert_true(u.https);
	assert_string_equal(u.host, "contoso.vault.azure.net");
	assert_int_equal(u.port, 443);
	assert_string_equal(u.target, "/keys/a?b=c");
	assert_ok(vs_url_parse("https://contoso.vault.azure.net:443", &v, &err), &err);
	assert_true(vs_url_same_origin(&u, &v));
	assert_ok(vs_url_parse("https://contoso.vault.azure.net:8443/", &v, &err), &err);
	assert_false(vs_url_same_origin(&u, &v));
	assert_ok(vs_url_parse("http://[::1]:80/x", &v, &err), &err);
	assert_true(vs_url_is_loopback(&v));
	assert_ok(vs_url_parse("http://169.254.169.254/metadata", &v, &err), &err);
	assert_true(vs_url_plain_allowed(&v));
	assert_false(vs_url_is_loopback(&v));
	assert_ok(vs_url_parse("http://127.example.org/", &v, &err), &err);
	assert_false(vs_url_is_loopback(&v));
	assert_ok(vs_url_parse("https://h/keys?api-version=7.3&$skiptoken=eyJ.a_b~c%3D", &v, &err),
		&err);
}

static void
refuses_addresses_that_can_be_read_in_two_ways(void **state)
{
	static const char *const bad[] = {"", "https://", "ftp://a/", "HTTPS//a", "https:/a",
		"//a/", "a.b", "https://user@a/", "https://user:pw@a/", "https://a@b/",
		"https://a\\b/", "https://a b/", "https://a/ b", "https://a/\r\nHost: x",
		"https://a\n/", "https://a/#x", "https://a/%", "https://a/%2", "https://a/%zz",
		"https://a/../b", "https://a/x/..", "https://a/./b", "https://a/%2e%2e/b",
		"https://a/.%2E/b", "https://a/%2E", "https://a:/", "https://a:0/",
		"https://a:65536/", "https://a:99999/", "https://a:4x/", "https://a:-1/",
		"https://.a/", "https://a./", "https://a..b/", "https://-a/", "https://a-/",
		"https://a-.b/", "https://a_b/", "https://\xc3\xa9.fr/", "https://a/\xc3\xa9",
		"https://a%2eb/", "https://2130706433/", "https://0x7f.1/", "https://127.1/",
		"https://127.0.0.256/", "https://127.0.0.01/", "https://1.2.3.4.5/",
		"https://[::1/", "https://[::g]/", "https://[]/", "https://[::1]x/",
		"https://[fe80::1%25eth0]/", "https://a/\"", "https://a/<x>", "https://a/`",
		"https://a/{x}", "https://a/|", "https://a/^", "https://a\t/"};
	struct vs_url u = {0};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		if (!vs_failed(vs_url_parse(bad[i], &u, NULL)))
			fail_msg("taken: \"%s\" as %s %s", bad[i], u.host, u.target);
	}
	char *longest = malloc(VS_URL_MAX + 20);
	assert_non_null(longest);
	memset(longest, 'a', VS_URL_MAX + 19);
	memcpy(longest, "https://h/", 10);
	longest[VS_URL_MAX + 1] = '\0';
	assert_code(vs_url_parse(longest, &u, NULL), USAGE);
	longest[VS_URL_MAX] = '\0';
	assert_false(vs_failed(vs_url_parse(longest, &u, NULL)));
	free(longest);
}

static void
encodes_what_comes_from_elsewhere(void **state)
{
	static const char *const bad[] = {
		"", ".", "..", "a\r\nb", "a\x7f", "a\x01", "\xff", "\xc3"};
	VS_CLEANUP(vs_buf_done) struct vs_buf b = {0};
	struct vs_err err = {0};

	(void)state;
	assert_ok(vs_buf_add_str(&b, "https://h", &err), &err);
	assert_ok(vs_url_add_segment(&b, vs_bytes_str("a/../b?c#d%2f@\xc3\xa9"), &err), &err);
	assert_ok(vs_url_add_query(&b, "x", vs_bytes_str("1&y=2 +"), &err), &err);
	assert_ok(vs_url_add_query(&b, "z", vs_bytes_str("https://vault.azure.net"), &err), &err);
	assert_string_equal(vs_buf_cstr(&b),
		"https://h/"
		"a%2F..%2Fb%3Fc%23d%252f%40%C3%A9?x=1%26y%3D2%20%2B&z=https%3A%2F%2Fvault.azure."
		"net");
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_code(vs_url_add_segment(&b, vs_bytes_str(bad[i]), NULL), USAGE);
	assert_code(vs_url_add_segment(&b, vs_bytes_of("a\0b", 3), NULL), USAGE);
	assert_code(vs_url_add_query(&b, "x", vs_bytes_str("a\nb"), NULL), USAGE);
}

static void
reads_retry_after(void **state)
{
	static const struct {
		const char *text;
		int64_t s;
	} cases[] = {
		{"0", 0},
		{"1", 1},
		{"60", 60},
		{"61", 60},
		{"99999999999999999999999999", 60},
		{"-1", -1},
		{"", -1},
		{"1.5", -1},
		{"soon", -1},
		{" 5", -1},
		{"5s", -1},
		{"0x5", -1},
		{"Tue, 14 Nov 2023 22:13:50 GMT", 30},
		{"Tue, 14 Nov 2023 22:13:20 GMT", 0},
		{"Mon, 13 Nov 2023 22:13:20 GMT", 0},
		{"Wed, 15 Nov 2023 22:13:20 GMT", 60},
		{"Tue, 14 Nov 2023 22:13:50 CET", -1},
		{"Tue, 14 Nox 2023 22:13:50 GMT", -1},
		{"Tue, 32 Nov 2023 22:13:50 GMT", -1},
		{"Tue, 14 Nov 2023 24:13:50 GMT", -1},
		{"Tue, 14 Nov 2023 22:60:50 GMT", -1},
		{"Tue, 14 Nov 20a3 22:13:50 GMT", -1},
		{"Tue, 14 Nov 2023 22:13:50 GMT ", -1},
		{"Tuesday, 14-Nov-23 22:13:50 GMT", -1},
		{"Tue, 14 Nov 9999 22:13:50 GMT", 60},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const int64_t s = vs_http_retry_after(vs_bytes_str(cases[i].text), 1700000000);
		if (s != cases[i].s)
			fail_msg("\"%s\": %ld", cases[i].text, (long)s);
	}
}

static void
reads_heads(void **state)
{
	VS_CLEANUP(vs_http_res_done) struct vs_http_res res = {0};
	struct vs_http_head h = {0};

	(void)state;
#define LINE(text_) vs_http_head_line(&h, vs_bytes_str(text_), 1700000000, &res)
	LINE("HTTP/1.1 401 Unauthorized\r\n");
	LINE("WWW-AUTHENTICATE:  Bearer authorization=\"x\" \r\n");
	LINE("x-ms-request-id: a\x01"
	     "b\"c\r\n");
	LINE("Content-Type: text/HTML;x\r\n");
	LINE("Retry-After:7\r\n");
	LINE("Date: Tue, 14 Nov 2023 22:13:50 GMT\r\n");
	LINE("content-length: 3\r\n");
	LINE("TCB-Info-Issuer-Chain: -----BEGIN%20CERTIFICATE-----%0A\r\n");
	assert_null(h.defect);
	LINE("\r\n");
	assert_true(vs_http_head_framed(&h, 401));
	assert_string_equal(res.www_authenticate, "Bearer authorization=\"x\"");
	assert_string_equal(res.content_type, "text/html");
	assert_int_equal(res.date_unix, 1700000030);
	assert_string_equal(res.request_id, "a\\x01b\\x22c");
	assert_int_equal(res.retry_after_s, 7);
	assert_string_equal(vs_buf_cstr(&res.issuer_chain), "-----BEGIN%20CERTIFICATE-----%0A");
	/* Trailers change nothing. */
	LINE("SGX-Enclave-Identity-Issuer-Chain: x\r\n");
	assert_int_equal(res.issuer_chain.p[0], '-');
	LINE("Retry-After: 50\r\n");
	LINE("Content-Type: application/json\r\n");
	LINE("Content-Encoding: gzip\r\n");
	assert_null(h.defect);
	assert_int_equal(res.retry_after_s, 7);
	assert_string_equal(res.content_type, "text/html");
	h = (struct vs_http_head){0};
	assert_false(vs_http_head_framed(&h, 200));
	assert_true(vs_http_head_framed(&h, 204));
	LINE("Content-Encoding: identity\r\n");
	assert_null(h.defect);
	LINE("Content-Encoding: br\r\n");
	assert_non_null(h.defect);
#undef LINE
}

static vs_rc
call(const struct vs_http_retry *retry, int64_t deadline_s, struct vs_http_res *res,
	struct vs_err *err)
{
	const struct vs_http_req req = {
		.method = VS_HTTP_GET,
		.url = "https://contoso.vault.azure.net/keys",
		.deadline_boot_ns = webkit_in_s(&web, deadline_s),
	};

	return vs_net_call(&web.net, &req, retry, "the vault", res, err);
}

static void
tries_again_after_passing_trouble(void **state)
{
	static const long statuses[] = {408, 429, 500, 502, 503, 504};
	struct vs_err err = {0};

	(void)state;
	for (size_t i = 0; i <= 6; i++) {
		VS_CLEANUP(vs_http_res_done) struct vs_http_res res = {0};
		const struct webkit_step steps[] = {
			i < 6 ? (struct webkit_step){.status = statuses[i]}
			      : (struct webkit_step){.code = VS_E_CONNECT},
			{.status = 200, .body = "{}"},
		};
		webkit_init(&web, steps, 2);
		assert_ok(call(&vs_http_retry_service, 30, &res, &err), &err);
		assert_int_equal(res.status, 200);
		assert_int_equal(web.requests, 2);
		assert_int_equal(web.sleeps, 1);
		assert_true(web.slept_ms >= 500 && web.slept_ms <= 750);
	}
}

static void
does_not_try_again_what_will_not_change(void **state)
{
	static const struct webkit_step steps[] = {{.status = 200}, {.status = 301},
		{.status = 400}, {.status = 401}, {.status = 403}, {.status = 404}, {.status = 410},
		{.code = VS_E_TLS}, {.code = VS_E_TIMEOUT}, {.code = VS_E_ANSWER},
		{.code = VS_E_USAGE}};

	(void)state;
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		VS_CLEANUP(vs_http_res_done) struct vs_http_res res = {0};
		webkit_init(&web, &steps[i], 1);
		const vs_rc rc = call(&vs_http_retry_service, 30, &res, NULL);
		assert_int_equal(rc.code, steps[i].code);
		assert_int_equal(web.requests, 1);
		assert_int_equal(web.sleeps, 0);
	}
}

static void
stops_after_the_allowed_tries(void **state)
{
	VS_CLEANUP(vs_http_res_done) struct vs_http_res res = {0};
	const struct webkit_step busy = {.status = 503, .always = true};
	const struct webkit_step dead = {.code = VS_E_CONNECT, .always = true};
	struct vs_err err = {0};

	(void)state;
	webkit_init(&web, &busy, 1);
	assert_ok(call(&vs_http_retry_service, 100, &res, &err), &err);
	assert_int_equal(res.status, 503);
	assert_int_equal(web.requests, 3);
	assert_code(vs_http_fail(&res, "x", NULL), UNAVAILABLE);
	vs_http_res_done(&res);
	webkit_init(&web, &dead, 1);
	assert_code(call(&vs_http_retry_service, 100, &res, NULL), CONNECT);
	assert_int_equal(web.requests, 3);
}

static void
honours_retry_after_within_the_deadline(void **state)
{
	VS_CLEANUP(vs_http_res_done) struct vs_http_res res = {0};
	const struct webkit_step steps[] = {{.status = 429, .retry_after_s = 20}, {.status = 200}};
	struct vs_err err = {0};

	(void)state;
	webkit_init(&web, steps, 2);
	assert_ok(call(&vs_http_retry_service, 60, &res, &err), &err);
	assert_int_equal(res.status, 200);
	assert_true(web.slept_ms >= 20000 && web.slept_ms <= 30000);
	vs_http_res_done(&res);
	/* A pause that would pass the deadline is not begun. */
	webkit_init(&web, steps, 2);
	assert_ok(call(&vs_http_retry_service, 15, &res, &err), &err);
	assert_int_equal(res.status, 429);
	assert_int_equal(web.sleeps, 0);
	assert_code(vs_http_fail(&res, "x", NULL), THROTTLED);
}

/* A busy machine wakes us late: what the service said is told, not that no time is left. */
static void
an_answer_is_not_lost_by_sleeping_too_long(void **state)
{
	VS_CLEANUP(vs_http_res_done) struct vs_http_res res = {0};
	const struct webkit_step steps[] = {{.status = 504}, {.code = VS_E_TIMEOUT}};
	struct vs_err err = {0};

	(void)state;
	webkit_init(&web, steps, 2);
	web.oversleep_ms = 30000;
	assert_ok(call(&vs_http_retry_service, 30, &res, &err), &err);
	assert_int_equal(res.status, 504);
	assert_int_equal(web.requests, 1);
	assert_int_equal(web.sleeps, 1);
}

static void
is_patient_with_the_metadata_service(void **state)
{
	VS_CLEANUP(vs_http_res_done) struct vs_http_res res = {0};
	const struct webkit_step gone = {.status = 410, .always = true};
	const struct webkit_step missing[] = {{.status = 404}, {.status = 404}, {.status = 200}};
	struct vs_err err = {0};

	(void)state;
	webkit_init(&web, &gone, 1);
	assert_ok(call(&vs_http_retry_imds, 300, &res, &err), &err);
	assert_int_equal(res.status, 410);
	assert_int_equal(web.requests, 8);
	assert_true(web.slept_ms >= 70000);
	vs_http_res_done(&res);
	webkit_init(&web, missing, 3);
	assert_ok(call(&vs_http_retry_imds, 300, &res, &err), &err);
	assert_int_equal(res.status, 200);
}

static void
wants_json_where_json_is_due(void **state)
{
	struct vs_http_res res = {.status = 200};

	(void)state;
	assert_code(vs_http_require_json(&res, "x", NULL), ANSWER);
	(void)snprintf(res.content_type, sizeof res.content_type, "text/html");
	assert_code(vs_http_require_json(&res, "x", NULL), ANSWER);
	(void)snprintf(res.content_type, sizeof res.content_type, "application/json");
	assert_false(vs_failed(vs_http_require_json(&res, "x", NULL)));
	res.status = 204;
	assert_code(vs_http_require_json(&res, "x", NULL), ANSWER);
	res.status = 302;
	assert_code(vs_http_require_json(&res, "x", NULL), ANSWER);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_addresses),
		cmocka_unit_test(refuses_addresses_that_can_be_read_in_two_ways),
		cmocka_unit_test(encodes_what_comes_from_elsewhere),
		cmocka_unit_test(reads_retry_after),
		cmocka_unit_test(reads_heads),
		cmocka_unit_test(tries_again_after_passing_trouble),
		cmocka_unit_test(does_not_try_again_what_will_not_change),
		cmocka_unit_test(stops_after_the_allowed_tries),
		cmocka_unit_test(honours_retry_after_within_the_deadline),
		cmocka_unit_test(an_answer_is_not_lost_by_sleeping_too_long),
		cmocka_unit_test(is_patient_with_the_metadata_service),
		cmocka_unit_test(wants_json_where_json_is_due),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
