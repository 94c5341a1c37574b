/* SPDX-License-Identifier: BSD-2-Clause */
/* The real HTTP client against a server that sends what it is told to. More than 500
 * lines because each case stands beside its script. */
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/http.h"
#include "net/http_curl.h"
#include "unit/netkit.h"
#include "unit/unit.h"

#define OK_HEAD "HTTP/1.1 200 OK\r\nContent-Type: Application/JSON; charset=utf-8\r\n"
#define OK_ANSWER OK_HEAD "x-ms-request-id: abc-1\r\nContent-Length: 7\r\n\r\n{\"a\":1}"

static struct vs_http_curl *client;
static struct vs_http http;
static struct vs_arena *arena;
static char keylog[128];

static int
group_up(void **state)
{
	struct vs_err err = {0};

	(void)state;
	netkit_up();
	/* libcurl looks at it once, when it is initialised. */
	(void)snprintf(keylog, sizeof keylog, "%s/keylog", netkit_dir());
	assert_int_equal(setenv("SSLKEYLOGFILE", keylog, 1), 0);
	const struct vs_http_curl_env env = {.ca_bundle = netkit_ca_file(),
		.clock = vs_clock_system(),
		.connect_timeout_ms = 2000};
	assert_ok(vs_http_curl_new(&env, &client, &err), &err);
	http = vs_http_curl_port(client);
	assert_ok(vs_arena_new(65536, 1 << 20, VS_LOCK_WARN, &arena, &err), &err);
	return 0;
}

static int
group_down(void **state)
{
	(void)state;
	vs_http_curl_free(client);
	vs_arena_free(arena);
	netkit_down();
	return 0;
}

static vs_rc
ask(const struct netkit_server *s, const char *path, struct vs_http_res *res, struct vs_err *err)
{
	const struct vs_http_req req = {
		.method = VS_HTTP_GET,
		.url = netkit_url(s, path),
		.allow_plain = true,
		.deadline_boot_ns = netkit_in_ms(4000),
	};

	return http.ops->perform(http.self, &req, res, err);
}

/* One answer, one verdict; the text of the error must name the reason. */
static void
expect(const char *answer, enum vs_code code, const char *reason)
{
	VS_CLEANUP(vs_http_res_done) struct vs_http_res res = {0};
	struct netkit_server s;
	struct vs_err err = {0};
	char text[1024];

	netkit_start(&s, NETKIT_PLAIN, false);
	netkit_say(&s, answer);
	s.close_after = true;
	const vs_rc rc = ask(&s, "/", &res, &err);
	netkit_stop(&s);
	vs_err_sentence(&err, text, sizeof text);
	if (rc.code != code || (reason != NULL && strstr(text, reason) == NULL))
		fail_msg("expected %s \"%s\", got %s \"%s\" for %.60s", vs_code_name(code), reason,
			vs_code_name(rc.code), text, answer);
}

static void
takes_an_answer_over_tls(void **state)
{
	VS_CLEANUP(vs_http_res_done) struct vs_http_res res = {0};
	struct netkit_server s;
	struct vs_err err = {0};

	(void)state;
	netkit_start(&s, NETKIT_GOOD, false);
	netkit_say(&s, OK_ANSWER);
	assert_ok(ask(&s, "/keys?api-version=7.4", &res, &err), &err);
	netkit_stop(&s);
	assert_int_equal(res.status, 200);
	assert_string_equal(res.content_type, "application/json");
	assert_string_equal(res.request_id, "abc-1");
	assert_int_equal(res.retry_after_s, -1);
	assert_true(vs_bytes_eq_str(vs_buf_view(&res.body), "{\"a\":1}"));
	assert_non_null(strstr(s.last, "GET /keys?api-version=7.4 HTTP/1.1\r\n"));
	assert_null(strcasestr(s.last, "accept-encoding"));
	assert_null(strcasestr(s.last, "cookie"));
}

static void
sends_body_and_bearer(void **state)
{
	VS_CLEANUP(vs_http_res_done) struct vs_http_res res = {0};
	VS_CLEANUP(vs_secret_done) struct vs_secret bearer = {0};
	struct netkit_server s;
	struct vs_err err = {0};

	(void)state;
	assert_ok(vs_secret_from(arena, "tok.en-1", 8, &bearer, &err), &err);
	netkit_start(&s, NETKIT_GOOD, false);
	netkit_say(&s,
		"HTTP/1.1 100 Continue\r\nRetry-After: 9\r\n\r\nHTTP/1.1 403 No\r\nContent-Length: "
		"0\r\n\r\n");
	const struct vs_http_req req = {
		.method = VS_HTTP_POST,
		.url = netkit_url(&s, "/release"),
		.bearer = &bearer,
		.body = vs_bytes_str("{\"target\":1}"),
		.deadline_boot_ns = netkit_in_ms(4000),
	};
	assert_ok(http.ops->perform(http.self, &req, &res, &err), &err);
	netkit_stop(&s);
	assert_int_equal(res.status, 403);
	assert_int_equal(res.retry_after_s, -1);
	assert_int_equal(res.body.n, 0);
	assert_non_null(strstr(s.last, "\r\nAuthorization: Bearer tok.en-1\r\n"));
	assert_non_null(strstr(s.last, "\r\nContent-Type: application/json\r\n"));
	assert_non_null(strstr(s.last, "\r\n\r\n{\"target\":1}"));
	assert_null(strcasestr(s.last, "Expect:"));
}

static void
refuses_an_answer_cut_at_any_byte(void **state)
{
	static const char *const answers[] = {OK_ANSWER,
		OK_HEAD "Transfer-Encoding: chunked\r\n\r\n3\r\n{\"a\r\n4\r\n\":1}\r\n0\r\n\r\n"};
	struct netkit_server s;

	(void)state;
	netkit_start(&s, NETKIT_PLAIN, false);
	for (size_t i = 0; i < 2; i++) {
		for (size_t cut = 0; cut <= strlen(answers[i]); cut++) {
			VS_CLEANUP(vs_http_res_done) struct vs_http_res res = {0};
			struct vs_err err = {0};
			netkit_say(&s, answers[i]);
			s.cut = cut;
			const vs_rc rc = ask(&s, "/", &res, &err);
			/* The last line feed behind the final chunk says nothing more. */
			if (cut >= strlen(answers[i]) - i)
				assert_ok(rc, &err);
			else if (rc.code != VS_E_CONNECT && rc.code != VS_E_ANSWER)
				fail_msg("cut at %zu of %zu: %s", cut, strlen(answers[i]),
					vs_code_name(rc.code));
		}
	}
	netkit_stop(&s);
}

static void
refuses_a_tls_answer_cut_in_the_body(void **state)
{
	VS_CLEANUP(vs_http_res_done) struct vs_http_res res = {0};
	struct netkit_server s;

	(void)state;
	netkit_start(&s, NETKIT_GOOD, false);
	netkit_say(&s, OK_ANSWER);
	s.cut = strlen(OK_ANSWER) - 1;
	assert_code(ask(&s, "/", &res, NULL), ANSWER);
	netkit_stop(&s);
}

static void
refuses_unclear_lengths_and_encodings(void **state)
{
	(void)state;
	expect(OK_HEAD "Content-Length: 7\r\nContent-Length: 8\r\n\r\n{\"a\":1}x", VS_E_ANSWER,
		"length twice");
	expect(OK_HEAD "Content-Length: 7\r\nContent-Length: 7\r\n\r\n{\"a\":1}", VS_E_ANSWER,
		"length twice");
	expect(OK_HEAD "Content-Length: 7\r\nTransfer-Encoding: "
		       "chunked\r\n\r\n7\r\n{\"a\":1}\r\n0\r\n\r\n",
		VS_E_ANSWER, "length twice");
	expect(OK_HEAD "\r\n{\"a\":1}", VS_E_ANSWER, "does not state its length");
	expect(OK_HEAD "Content-Length: -1\r\n\r\n{\"a\":1}", VS_E_ANSWER, NULL);
	expect(OK_HEAD "Content-Length: 99999999999999999999\r\n\r\n{\"a\":1}", VS_E_ANSWER, NULL);
	expect(OK_HEAD "Content-Encoding: gzip\r\nContent-Length: 7\r\n\r\n{\"a\":1}", VS_E_ANSWER,
		"compressed");
	expect(OK_HEAD "Transfer-Encoding: gzip, chunked\r\n\r\n7\r\n{\"a\":1}\r\n0\r\n\r\n",
		VS_E_ANSWER, NULL);
	expect("{\"a\":1}", VS_E_ANSWER, NULL);
	expect("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{}", VS_E_ANSWER, "ended too early");
}

static void
refuses_what_is_too_long(void **state)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf a = {.max = 4 << 20};
	struct vs_err err = {0};

	(void)state;
	expect(OK_HEAD "Content-Length: 1048577\r\n\r\nx", VS_E_ANSWER, NULL);
	assert_ok(vs_buf_add_str(&a, OK_HEAD "Transfer-Encoding: chunked\r\n\r\n", &err), &err);
	for (int i = 0; i < 20; i++) {
		assert_ok(vs_buf_add_str(&a, "10000\r\n", &err), &err);
		for (int j = 0; j < 65536 / 16; j++)
			assert_ok(vs_buf_add(&a, "0123456789abcdef", 16, &err), &err);
		assert_ok(vs_buf_add_str(&a, "\r\n", &err), &err);
	}
	expect(vs_buf_cstr(&a), VS_E_ANSWER, "longer than allowed");
	vs_buf_reset(&a);
	assert_ok(vs_buf_add_str(&a, OK_HEAD, &err), &err);
	for (int i = 0; i < 3000; i++)
		assert_ok(vs_buf_addf(&a, &err, "X-%d: 0123456789abcdef\r\n", i), &err);
	assert_ok(vs_buf_add_str(&a, "Content-Length: 2\r\n\r\n{}", &err), &err);
	expect(vs_buf_cstr(&a), VS_E_ANSWER, "too many headers");
}

static void
keeps_to_the_callers_own_limit(void **state)
{
	struct netkit_server s;

	(void)state;
	netkit_start(&s, NETKIT_PLAIN, false);
	for (size_t max = 6; max <= 7; max++) {
		VS_CLEANUP(vs_http_res_done) struct vs_http_res res = {0};
		struct vs_err err = {0};
		netkit_say(&s, OK_ANSWER);
		const struct vs_http_req req = {
			.method = VS_HTTP_GET,
			.url = netkit_url(&s, "/"),
			.allow_plain = true,
			.max_body = max,
			.deadline_boot_ns = netkit_in_ms(4000),
		};
		const vs_rc rc = http.ops->perform(http.self, &req, &res, &err);
		if (max == 7)
			assert_ok(rc, &err);
		else
			assert_code(rc, ANSWER);
	}
	netkit_stop(&s);
}

static void
never_follows_a_redirect(void **state)
{
	static const long statuses[] = {301, 302, 303, 307, 308};
	struct netkit_server s;
	struct netkit_server trap;

	(void)state;
	netkit_start(&s, NETKIT_GOOD, false);
	netkit_start(&trap, NETKIT_GOOD, false);
	netkit_say(&trap, OK_ANSWER);
	for (size_t i = 0; i < 5; i++) {
		VS_CLEANUP(vs_http_res_done) struct vs_http_res res = {0};
		struct vs_err err = {0};
		char answer[256];
		(void)snprintf(answer, sizeof answer,
			"HTTP/1.1 %ld x\r\nLocation: https://localhost:%d/\r\nContent-Length: "
			"0\r\n\r\n",
			statuses[i], trap.port);
		netkit_say(&s, answer);
		assert_ok(ask(&s, "/", &res, &err), &err);
		assert_int_equal(res.status, statuses[i]);
		assert_code(vs_http_fail(&res, "x", NULL), ANSWER);
	}
	assert_int_equal(trap.connections, 0);
	netkit_stop(&s);
	netkit_stop(&trap);
}

static void
refuses_every_wrong_tls_identity(void **state)
{
	(void)state;
	for (int c = NETKIT_GOOD; c < NETKIT_CERT_COUNT_; c++) {
		VS_CLEANUP(vs_http_res_done) struct vs_http_res res = {0};
		struct netkit_server s;
		struct vs_err err = {0};
		netkit_start(&s, (enum netkit_cert)c, false);
		netkit_say(&s, OK_ANSWER);
		const vs_rc rc = ask(&s, "/", &res, &err);
		netkit_stop(&s);
		if (c == NETKIT_GOOD) {
			assert_ok(rc, &err);
			continue;
		}
		if (rc.code != VS_E_TLS)
			fail_msg("certificate %d: %s", c, vs_code_name(rc.code));
		assert_int_equal(s.requests, 0);
	}
}

static void
refuses_old_tls(void **state)
{
	VS_CLEANUP(vs_http_res_done) struct vs_http_res res = {0};
	struct netkit_server s;

	(void)state;
	netkit_start(&s, NETKIT_GOOD, true);
	netkit_say(&s, OK_ANSWER);
	assert_code(ask(&s, "/", &res, NULL), TLS);
	assert_int_equal(s.requests, 0);
	netkit_stop(&s);
}

static void
gives_up_on_the_deadline(void **state)
{
	VS_CLEANUP(vs_http_res_done) struct vs_http_res res = {0};
	struct netkit_server s;
	const int64_t before = netkit_in_ms(0);

	(void)state;
	netkit_start(&s, NETKIT_PLAIN, false);
	netkit_say(&s, OK_ANSWER);
	s.pause_ms = 50;
	const struct vs_http_req req = {
		.method = VS_HTTP_GET,
		.url = netkit_url(&s, "/"),
		.allow_plain = true,
		.deadline_boot_ns = netkit_in_ms(300),
	};
	assert_code(http.ops->perform(http.self, &req, &res, NULL), TIMEOUT);
	assert_true(netkit_in_ms(0) - before < 2000 * INT64_C(1000000));
	const struct vs_http_req late = {.method = VS_HTTP_GET,
		.url = netkit_url(&s, "/"),
		.allow_plain = true,
		.deadline_boot_ns = netkit_in_ms(-1)};
	assert_code(http.ops->perform(http.self, &late, &res, NULL), TIMEOUT);
	netkit_stop(&s);
}

static void
reports_that_nobody_listens(void **state)
{
	VS_CLEANUP(vs_http_res_done) struct vs_http_res res = {0};
	struct netkit_server s;

	(void)state;
	netkit_start(&s, NETKIT_GOOD, false);
	netkit_stop(&s);
	assert_code(ask(&s, "/", &res, NULL), CONNECT);
}

/* A name that there is not, and that never will be (RFC 6761). */
static void
reports_a_name_that_does_not_resolve(void **state)
{
	VS_CLEANUP(vs_http_res_done) struct vs_http_res res = {0};
	const int64_t before = netkit_in_ms(0);
	const struct vs_http_req req = {.method = VS_HTTP_GET,
		.url = "https://contoso.vault.invalid/keys",
		.deadline_boot_ns = netkit_in_ms(4000)};
	const vs_rc rc = http.ops->perform(http.self, &req, &res, NULL);

	(void)state;
	/* Where a resolver does not answer at all the time limit ends it. */
	if (rc.code != VS_E_CONNECT && rc.code != VS_E_TIMEOUT)
		fail_msg("%s", vs_code_name(rc.code));
	assert_int_equal(res.status, 0);
	assert_true(netkit_in_ms(0) - before < 6000 * INT64_C(1000000));
}

static void
keeps_connections_warm(void **state)
{
	struct netkit_server s;
	struct vs_err err = {0};

	(void)state;
	netkit_start(&s, NETKIT_GOOD, false);
	netkit_say(&s, OK_ANSWER);
	for (int i = 0; i < 5; i++) {
		VS_CLEANUP(vs_http_res_done) struct vs_http_res res = {0};
		assert_ok(ask(&s, "/", &res, &err), &err);
	}
	assert_int_equal(s.connections, 1);
	assert_int_equal(s.requests, 5);
	/* A connection that the server closed meanwhile is no failure. */
	s.close_after = true;
	for (int i = 0; i < 3; i++) {
		VS_CLEANUP(vs_http_res_done) struct vs_http_res res = {0};
		assert_ok(ask(&s, "/", &res, &err), &err);
	}
	netkit_stop(&s);
}

static void *
ask_often(void *arg)
{
	const struct netkit_server *s = arg;

	for (int i = 0; i < 20; i++) {
		VS_CLEANUP(vs_http_res_done) struct vs_http_res res = {0};
		struct vs_err err = {0};
		if (vs_failed(ask(s, "/", &res, &err)) || res.status != 200 || res.body.n != 7)
			return arg;
	}
	return NULL;
}

static void
serves_several_threads(void **state)
{
	struct netkit_server s;
	pthread_t t[6];

	(void)state;
	netkit_start(&s, NETKIT_GOOD, false);
	netkit_say(&s, OK_ANSWER);
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(pthread_create(&t[i], NULL, ask_often, &s), 0);
	for (size_t i = 0; i < 6; i++) {
		void *failed = NULL;
		pthread_join(t[i], &failed);
		assert_null(failed);
	}
	assert_int_equal(s.requests, 120);
	assert_true(s.connections <= 6);
	netkit_stop(&s);
}

/* Its own client, made after the variables were set. */
static void
does_not_listen_to_the_environment(void **state)
{
	VS_CLEANUP(vs_http_res_done) struct vs_http_res res = {0};
	static const char *const proxies[] = {
		"http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"};
	struct vs_http_curl *own = NULL;
	struct netkit_server s;
	struct netkit_server proxy;
	struct vs_err err = {0};
	char value[64];

	(void)state;
	netkit_start(&proxy, NETKIT_PLAIN, false);
	netkit_say(&proxy, OK_ANSWER);
	(void)snprintf(value, sizeof value, "http://127.0.0.1:%d", proxy.port);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(setenv(proxies[i], value, 1), 0);
	assert_int_equal(setenv("SSL_CERT_FILE", "/nonexistent", 1), 0);
	assert_int_equal(setenv("CURL_CA_BUNDLE", "/nonexistent", 1), 0);
	const struct vs_http_curl_env env = {
		.ca_bundle = netkit_ca_file(), .clock = vs_clock_system()};
	assert_ok(vs_http_curl_new(&env, &own, &err), &err);
	const struct vs_http port = vs_http_curl_port(own);
	for (int tls = 0; tls < 2; tls++) {
		netkit_start(&s, tls ? NETKIT_GOOD : NETKIT_PLAIN, false);
		netkit_say(&s, OK_ANSWER);
		const struct vs_http_req req = {
			.method = VS_HTTP_GET,
			.url = netkit_url(&s, "/"),
			.allow_plain = true,
			.deadline_boot_ns = netkit_in_ms(4000),
		};
		assert_ok(port.ops->perform(port.self, &req, &res, &err), &err);
		assert_int_equal(s.requests, 1);
		vs_http_res_done(&res);
		netkit_stop(&s);
	}
	vs_http_curl_free(own);
	assert_int_equal(proxy.connections, 0);
	netkit_stop(&proxy);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(unsetenv(proxies[i]), 0);
}

/* Runs after all tests with TLS. */
static void
leaves_the_key_log_file_empty(void **state)
{
	struct stat st = {0};

	(void)state;
	if (stat(keylog, &st) == 0)
		assert_int_equal(st.st_size, 0);
	(void)unlink(keylog);
}

static void
uses_a_proxy_from_the_settings_but_not_for_the_metadata_service(void **state)
{
	struct vs_http_curl *own = NULL;
	struct netkit_server s;
	struct netkit_server proxy;
	struct vs_err err = {0};
	char value[64];

	(void)state;
	netkit_start(&proxy, NETKIT_PLAIN, false);
	netkit_start(&s, NETKIT_PLAIN, false);
	netkit_say(&proxy, OK_ANSWER);
	netkit_say(&s, OK_ANSWER);
	(void)snprintf(value, sizeof value, "http://127.0.0.1:%d", proxy.port);
	const struct vs_http_curl_env env = {
		.ca_bundle = netkit_ca_file(), .proxy = value, .clock = vs_clock_system()};
	assert_ok(vs_http_curl_new(&env, &own, &err), &err);
	const struct vs_http port = vs_http_curl_port(own);
	for (int direct = 0; direct < 2; direct++) {
		VS_CLEANUP(vs_http_res_done) struct vs_http_res res = {0};
		const struct vs_http_req req = {
			.method = VS_HTTP_GET,
			.url = netkit_url(&s, "/"),
			.allow_plain = true,
			.no_proxy = direct != 0,
			.deadline_boot_ns = netkit_in_ms(4000),
		};
		assert_ok(port.ops->perform(port.self, &req, &res, &err), &err);
	}
	assert_int_equal(proxy.requests, 1);
	assert_int_equal(s.requests, 1);
	vs_http_curl_free(own);
	netkit_stop(&s);
	netkit_stop(&proxy);
}

static void
refuses_requests_that_could_leak(void **state)
{
	VS_CLEANUP(vs_http_res_done) struct vs_http_res res = {0};
	VS_CLEANUP(vs_secret_done) struct vs_secret bearer = {0};
	VS_CLEANUP(vs_secret_done) struct vs_secret bad = {0};
	static const char *const split[] = {"X-A: b\r\nHost: evil", NULL};
	static const char *const no_colon[] = {"X-A", NULL};
	struct vs_err err = {0};
	struct vs_http_req req = {.method = VS_HTTP_GET, .deadline_boot_ns = netkit_in_ms(1000)};

	(void)state;
	assert_ok(vs_secret_from(arena, "token", 5, &bearer, &err), &err);
	assert_ok(vs_secret_from(arena, "to\r\nX: y", 8, &bad, &err), &err);
	req.url = "http://contoso.vault.azure.net/";
	req.allow_plain = true;
	assert_code(http.ops->perform(http.self, &req, &res, NULL), USAGE);
	req.url = "http://127.0.0.1:1/";
	req.allow_plain = false;
	assert_code(http.ops->perform(http.self, &req, &res, NULL), USAGE);
	req.allow_plain = true;
	req.bearer = &bearer;
	assert_code(http.ops->perform(http.self, &req, &res, NULL), USAGE);
	req.url = "https://localhost:1/";
	req.bearer = &bad;
	assert_code(http.ops->perform(http.self, &req, &res, NULL), USAGE);
	req.bearer = NULL;
	req.headers = split;
	assert_code(http.ops->perform(http.self, &req, &res, NULL), USAGE);
	req.headers = no_colon;
	assert_code(http.ops->perform(http.self, &req, &res, NULL), USAGE);
	req.headers = NULL;
	req.url = "https://user:pw@localhost:1/";
	assert_code(http.ops->perform(http.self, &req, &res, NULL), USAGE);
	req.url = "file:///etc/passwd";
	assert_code(http.ops->perform(http.self, &req, &res, NULL), USAGE);
	req.url = "https://localhost:1/";
	req.body = vs_bytes_str("x");
	assert_code(http.ops->perform(http.self, &req, &res, NULL), USAGE);
}

static void
refuses_a_ca_file_without_certificates(void **state)
{
	struct vs_http_curl *own = NULL;
	char path[128];

	(void)state;
	struct vs_http_curl_env env = {
		.ca_bundle = "/nonexistent/ca.pem", .clock = vs_clock_system()};
	assert_code(vs_http_curl_new(&env, &own, NULL), CONFIG_FILE);
	(void)snprintf(path, sizeof path, "%s/empty.pem", netkit_dir());
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs("nothing here\n", f) >= 0);
	assert_int_equal(fclose(f), 0);
	env.ca_bundle = path;
	assert_code(vs_http_curl_new(&env, &own, NULL), CONFIG_FILE);
	/* A good one that others can write. */
	env.ca_bundle = netkit_ca_file();
	assert_int_equal(chmod(env.ca_bundle, 0664), 0);
	assert_code(vs_http_curl_new(&env, &own, NULL), CONFIG_FILE);
	assert_int_equal(chmod(env.ca_bundle, 0644), 0);
	(void)unlink(path);
	vs_http_curl_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_an_answer_over_tls),
		cmocka_unit_test(sends_body_and_bearer),
		cmocka_unit_test(refuses_an_answer_cut_at_any_byte),
		cmocka_unit_test(refuses_a_tls_answer_cut_in_the_body),
		cmocka_unit_test(refuses_unclear_lengths_and_encodings),
		cmocka_unit_test(refuses_what_is_too_long),
		cmocka_unit_test(keeps_to_the_callers_own_limit),
		cmocka_unit_test(never_follows_a_redirect),
		cmocka_unit_test(refuses_every_wrong_tls_identity),
		cmocka_unit_test(refuses_old_tls),
		cmocka_unit_test(gives_up_on_the_deadline),
		cmocka_unit_test(reports_that_nobody_listens),
		cmocka_unit_test(reports_a_name_that_does_not_resolve),
		cmocka_unit_test(keeps_connections_warm),
		cmocka_unit_test(serves_several_threads),
		cmocka_unit_test(does_not_listen_to_the_environment),
		cmocka_unit_test(uses_a_proxy_from_the_settings_but_not_for_the_metadata_service),
		cmocka_unit_test(refuses_requests_that_could_leak),
		cmocka_unit_test(refuses_a_ca_file_without_certificates),
		cmocka_unit_test(leaves_the_key_log_file_empty),
	};

	return cmocka_run_group_tests(tests, group_up, group_down);
}
