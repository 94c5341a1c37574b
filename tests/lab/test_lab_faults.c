/* SPDX-License-Identifier: BSD-2-Clause */
/* The lab's server: what it takes, and that each fault is what its name says. */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lab/labkit.h"
#include "unit/unit.h"

#define V labkit_var("VAULT_URL")
#define KEYS "/keys?api-version=7.4"

static struct answer
get_keys(void)
{
	return http("GET", V, KEYS, vault_bearer(), NULL, NULL);
}

static void
expect_health(void)
{
	struct answer a = get_keys();
	if (a.status != 200 || a.json == NULL)
		fail_msg("curl %d, status %ld after the fault", a.error, a.status);
	answer_done(&a);
}

/* ---- plain bytes to IMDS -------------------------------------------------------------------- */

static int
connect_imds(void)
{
	const char *port = strrchr(labkit_var("IMDS_URL"), ':') + 1;
	struct sockaddr_in at = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons((uint16_t)strtoul(port, NULL, 10))};
	const struct timeval wait = {.tv_sec = 5};
	const int fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
	return fd;
}

/* Everything that comes back until the end of the connection. */
static char *
exchange(const char *bytes, size_t n)
{
	static char answer[1 << 16];
	const int fd = connect_imds();
	size_t got = 0;
	ssize_t r = 0;
	assert_int_equal(send(fd, bytes, n, MSG_NOSIGNAL), n);
	shutdown(fd, SHUT_WR);
	while ((r = recv(fd, answer + got, sizeof answer - 1 - got, 0)) > 0)
		got += (size_t)r;
	answer[got] = '\0';
	close(fd);
	return answer;
}

static void
requests_that_are_not_http_get_400(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"GET / HTTP/1.1\r\n\r\n", /* no Host */
		"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
		"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
		"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
		"get / HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /?a=%4 HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
		"GET / HTTP/1.1\nHost: a\n\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX: \001\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: "
		"chunked\r\n\r\nx",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
		"chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
		"\r\n\r\n",
		"/\r\n\r\n",
	};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		const char *answer = exchange(bad[i], strlen(bad[i]));
		if (strncmp(answer, "HTTP/1.1 400 ", 13) != 0)
			fail_msg("request %zu gets: %.60s", i, answer);
	}
}

static void
cut_and_endless_heads_harm_nobody(void **state)
{
	(void)state;
	static const char whole[] = "GET /metadata/instance?api-version=2021-02-01 HTTP/1.1\r\n"
				    "Host: a\r\nMetadata: true\r\nConnection: close\r\n\r\n";
	for (size_t n = 1; n < sizeof whole - 1; n++)
		assert_string_equal(exchange(whole, n), "");
	assert_int_equal(strncmp(exchange(whole, sizeof whole - 1), "HTTP/1.1 200 ", 13), 0);
	char *big = malloc(200000);
	memset(big, 'a', 200000);
	memcpy(big, "GET /", 5);
	const int fd = connect_imds();
	(void)!send(fd, big, 200000, MSG_NOSIGNAL);
	char text[16] = "";
	(void)!recv(fd, text, sizeof text - 1, 0); /* 400 or reset, but an end */
	close(fd);
	free(big);
	expect_health();
}

static void
connections_are_kept_and_bodies_may_be_chunked(void **state)
{
	(void)state;
	static const char two[] = "POST /acc/tdquote HTTP/1.1\r\nHost: a\r\nMetadata: "
				  "true\r\nTransfer-Encoding: chunked\r\n\r\n"
				  "3\r\nabc\r\n0\r\n\r\n"
				  "GET /metadata/instance?api-version=2021-02-01 HTTP/1.1\r\nHost: "
				  "a\r\nMetadata: true\r\n\r\n";
	const char *answer = exchange(two, sizeof two - 1);
	assert_int_equal(strncmp(answer, "HTTP/1.1 404 ", 13), 0);
	assert_non_null(strstr(answer, "HTTP/1.1 200 "));
}

/* ---- faults --------------------------------------------------------------------------------- */

static void
each_fault_is_what_its_name_says(void **state)
{
	(void)state;
	static const struct {
		const char *kind, *value;
		int curl; /* expected CURLcode, -1: any failure */
		long status; /* when curl is 0 */
	} rows[] = {
		{"reset", NULL, -1, 0},
		{"not-tls", NULL, CURLE_SSL_CONNECT_ERROR, 0},
		{"tls-alert", NULL, CURLE_SSL_CONNECT_ERROR, 0},
		{"tls-self-signed", NULL, CURLE_PEER_FAILED_VERIFICATION, 0},
		{"tls-unknown-ca", NULL, CURLE_PEER_FAILED_VERIFICATION, 0},
		{"tls-expired", NULL, CURLE_PEER_FAILED_VERIFICATION, 0},
		{"tls-future", NULL, CURLE_PEER_FAILED_VERIFICATION, 0},
		{"tls-wrong-name", NULL, CURLE_PEER_FAILED_VERIFICATION, 0},
		{"tls-wildcard", NULL, CURLE_PEER_FAILED_VERIFICATION, 0},
		{"tls-incomplete", NULL, CURLE_PEER_FAILED_VERIFICATION, 0},
		{"tls-old", NULL, CURLE_SSL_CONNECT_ERROR, 0},
		{"reset-answer", NULL, -1, 0},
		{"close", NULL, CURLE_GOT_NOTHING, 0},
		{"cut", "10", -1, 0},
		{"length-long", NULL, -1, 0},
		{"chunk-cut", NULL, -1, 0},
		{"garbage", NULL, -1, 0},
		{"headers", NULL, -1, 0},
		{"empty", NULL, 0, 204},
		{"html", NULL, 0, 200},
		{"type", NULL, 0, 200},
		{"encoded", NULL, 0, 200},
		{"not-json", NULL, 0, 200},
		{"truncated", NULL, 0, 200},
		{"trailing", NULL, 0, 200},
		{"oversized", NULL, 0, 200},
		{"301", NULL, 0, 301},
		{"302", "https://localhost:1/", 0, 302},
		{"308", NULL, 0, 308},
		{"410", NULL, 0, 410},
		{"429", "7", 0, 429},
		{"forbidden-rbac", NULL, 0, 403},
		{"500", NULL, 0, 500},
		{"503", "Wed, 21 Oct 2015 07:28:00 GMT", 0, 503},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (rows[i].value != NULL)
			LAB_DO("fault", "vault", rows[i].kind, "--count", "1", "--value",
				rows[i].value);
		else
			LAB_DO("fault", "vault", rows[i].kind, "--count=1");
		struct answer a = get_keys();
		if (rows[i].curl == -1 ? a.error == 0 : a.error != rows[i].curl)
			fail_msg("%s: curl says %d", rows[i].kind, a.error);
		if (a.error == 0 && a.status != rows[i].status)
			fail_msg("%s: status %ld", rows[i].kind, a.status);
		answer_done(&a);
		expect_health();
	}
}

static void
spoilt_contents_are_spoilt(void **state)
{
	(void)state;
	static const char *const not_json[] = {"html", "not-json", "truncated", "trailing"};
	for (size_t i = 0; i < 4; i++) {
		LAB_DO("fault", "vault", not_json[i], "--count", "1");
		struct answer a = get_keys();
		assert_null(a.json);
		answer_done(&a);
	}
	LAB_DO("fault", "vault", "oversized", "--count", "1");
	struct answer a = get_keys();
	assert_true(a.n_body > 8 << 20);
	answer_done(&a);
	LAB_DO("fault", "vault", "429", "--count", "1", "--value", "-5");
	a = get_keys();
	assert_string_equal(answer_header(&a, "retry-after"), "-5");
	answer_done(&a);
	LAB_DO("fault", "vault", "forbidden-firewall", "--count", "1");
	a = get_keys();
	assert_string_equal(answer_code(&a), "Forbidden");
	assert_string_equal(answer_inner(&a), "ForbiddenByFirewall");
	answer_done(&a);
	LAB_DO("fault", "vault", "length-twice", "--count", "1");
	a = get_keys();
	assert_true(a.error != 0 || answer_count_header(&a, "content-length") == 2);
	answer_done(&a);
	expect_health();
}

static void
silence_is_silent_and_drips_are_slow(void **state)
{
	(void)state;
	LAB_DO("fault", "vault", "silent", "--count", "1");
	struct answer a = get_keys();
	assert_int_equal(a.error, CURLE_OPERATION_TIMEDOUT);
	answer_done(&a);
	LAB_DO("fault", "vault", "stall", "--count", "1");
	a = get_keys();
	assert_int_equal(a.error, CURLE_OPERATION_TIMEDOUT);
	answer_done(&a);
	struct timespec t0, t1;
	LAB_DO("fault", "vault", "drip", "--count", "1", "--value", "1");
	clock_gettime(CLOCK_MONOTONIC, &t0);
	a = get_keys();
	clock_gettime(CLOCK_MONOTONIC, &t1);
	const long ms = (t1.tv_sec - t0.tv_sec) * 1000 + (t1.tv_nsec - t0.tv_nsec) / 1000000;
	assert_true(ms > 500);
	answer_done(&a);
	LAB_DO("fault", "vault", "slow", "--count", "1", "--value", "300");
	clock_gettime(CLOCK_MONOTONIC, &t0);
	a = get_keys();
	clock_gettime(CLOCK_MONOTONIC, &t1);
	assert_int_equal(a.status, 200);
	assert_true((t1.tv_sec - t0.tv_sec) * 1000 + (t1.tv_nsec - t0.tv_nsec) / 1000000 >= 300);
	answer_done(&a);
	expect_health();
}

static void
refused_means_nobody_listens(void **state)
{
	(void)state;
	LAB_DO("fault", "vault", "refused");
	for (int i = 0; i < 3; i++) {
		struct answer a = get_keys();
		assert_int_equal(a.error, CURLE_COULDNT_CONNECT);
		answer_done(&a);
	}
	struct answer a = http("GET", labkit_var("MAA_URL"), "/certs", NULL, NULL, NULL);
	assert_int_equal(a.status, 200);
	answer_done(&a);
	LAB_DO("fault", "clear");
	expect_health();
}

static void
faults_count_down_and_keep_to_their_path(void **state)
{
	(void)state;
	LAB_DO("fault", "vault", "500", "--count", "2", "--path", "/keys/rsa2048");
	for (int i = 0; i < 4; i++) {
		expect_health();
		struct answer a =
			http("GET", V, "/keys/rsa2048?api-version=7.4", vault_bearer(), NULL, NULL);
		assert_int_equal(a.status, i < 2 ? 500 : 200);
		answer_done(&a);
	}
}

static void
wrong_fault_commands_are_refused(void **state)
{
	(void)state;
	static const char *const bad[][6] = {
		{"fault", "vault", "nonsense", NULL},
		{"fault", "nobody", "500", NULL},
		{"fault", "vault", NULL},
		{"fault", "imds", "tls-old", NULL},
		{"fault", "vault", "cut", NULL},
		{"fault", "vault", "500", "--count", "x", NULL},
		{"fault", "vault", "reset", "--path", "x", NULL},
		{"fault", "vault", "500", "--bogus", NULL},
		{"key", "create", "bad_name", NULL},
		{"key", "create", "n", "--type", "rsa-1", NULL},
		{"key", "create", "n", "--type", "oct-256", NULL},
		{"key", "disable", "nobody", NULL},
		{"certificate", "issue", "nobody", NULL},
		{"tamper", "nonsense", NULL},
		{"nonsense", NULL},
	};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		int code = 0;
		free(labkit_cmd(&code, bad[i]));
		if (code != 2)
			fail_msg("command %zu exits with %d", i, code);
	}
	expect_health();
}

static int
up(void **state)
{
	(void)state;
	labkit_up();
	return 0;
}

static int
down(void **state)
{
	(void)state;
	labkit_down();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_that_are_not_http_get_400),
		cmocka_unit_test(cut_and_endless_heads_harm_nobody),
		cmocka_unit_test(connections_are_kept_and_bodies_may_be_chunked),
		cmocka_unit_test(each_fault_is_what_its_name_says),
		cmocka_unit_test(spoilt_contents_are_spoilt),
		cmocka_unit_test(silence_is_silent_and_drips_are_slow),
		cmocka_unit_test(refused_means_nobody_listens),
		cmocka_unit_test(faults_count_down_and_keep_to_their_path),
		cmocka_unit_test(wrong_fault_commands_are_refused),
	};
	return cmocka_run_group_tests(tests, up, down);
}
