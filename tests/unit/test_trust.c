/* SPDX-License-Identifier: BSD-2-Clause */
/* Signer snapshots: from the issuer only, for a day, refreshed within limits, one fetch at a time.
 */
#include "attest/trust.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/clock.h"
#include "unit/tokenkit.h"

static const char issuer[] = "https://sharedwus.wus.attest.azure.net";
static const char metadata[] =
	"{\"issuer\":\"https://sharedwus.wus.attest.azure.net\",\"jwks_uri\":"
	"\"https://sharedwus.wus.attest.azure.net/certs\"}";
static const char known_kid[] = "XxRc2vLh1E5FrsNawnRH3PzuFgqg3q7NvCdnjoJHBGE=";
enum { MINUTE = 60 };

/* A provider on the other side, and the clock. */
static struct {
	const char *metadata, *keys;
	const char *keys_type;
	long status;
	vs_rc fail;
	int pause_ms;
	atomic_int n_metadata, n_keys, n_elsewhere;
	int64_t boot_ns, started_ns, wall;
} world;

static VS_RC
perform(void *self, const struct vs_http_req *req, struct vs_http_res *ret, struct vs_err *err)
{
	char certs[256], meta[256];
	(void)self;
	snprintf(meta, sizeof meta, "%s/.well-known/openid-configuration", issuer);
	snprintf(certs, sizeof certs, "%s/certs", issuer);
	const bool is_meta = strcmp(req->url, meta) == 0, is_certs = strcmp(req->url, certs) == 0;
	atomic_fetch_add(is_meta   ? &world.n_metadata
			: is_certs ? &world.n_keys
				   : &world.n_elsewhere,
		1);
	assert_int_equal(req->method, VS_HTTP_GET);
	assert_null(req->bearer);
	if (world.pause_ms > 0)
		usleep((unsigned)world.pause_ms * 1000);
	if (vs_failed(world.fail))
		return vs_err_put(err, world.fail.code, __func__, __LINE__, 0, "as scripted");
	ret->status = world.status;
	ret->retry_after_s = -1;
	snprintf(ret->content_type, sizeof ret->content_type, "%s",
		is_certs ? world.keys_type : "application/json");
	return vs_buf_add_str(&ret->body, is_meta ? world.metadata : world.keys, err);
}

static int64_t
boot_ns(void *self)
{
	(void)self;
	return world.boot_ns;
}

static int64_t
wall_unix(void *self)
{
	(void)self;
	return world.wall;
}

static void
no_sleep(void *self, int ms)
{
	(void)self;
	world.boot_ns += (int64_t)ms * 1000000;
}

static const struct vs_http_ops http_ops = {.name = "scripted", .version = 1, .perform = perform};
static const struct vs_clock_ops clock_ops = {
	.name = "by hand", .version = 1, .wall_unix = wall_unix, .boot_ns = boot_ns};
static struct vs_buf real_keys;

static int
setup(void **state)
{
	struct vs_err err = {0};
	memset(&world, 0, sizeof world);
	world.metadata = metadata;
	world.keys = vs_buf_cstr(&real_keys);
	world.keys_type = "application/json";
	world.status = 200;
	world.boot_ns = 1000;
	world.wall = 1790000000;
	const struct vs_trust_env env = {
		.issuer = issuer,
		.net = {.http = {.ops = &http_ops},
			.clock = {.ops = &clock_ops},
			.rng = vs_rng_system(),
			.sleep_ms = no_sleep},
	};
	struct vs_trust *trust = NULL;
	assert_ok(vs_trust_new(&env, &trust, &err), &err);
	*state = trust;
	return 0;
}

static int
teardown(void **state)
{
	vs_trust_free(*state);
	return 0;
}

static void
pass_time(int64_t seconds)
{
	world.boot_ns += seconds * 1000000000;
}

static vs_rc
ask(struct vs_trust *trust, const char *kid, bool *ret_known)
{
	struct vs_err err = {0};
	VS_CLEANUP(vs_jwks_unrefp) struct vs_jwks *set = NULL;
	const struct vs_bytes b = vs_bytes_str(kid);
	const vs_rc rc =
		vs_trust_keys(trust, b, world.boot_ns + 30 * (int64_t)1000000000, &set, &err);
	if (ret_known != NULL)
		*ret_known = !vs_failed(rc) && vs_jwks_has_kid(set, b);
	assert_int_equal(vs_failed(rc), set == NULL);
	return rc;
}

static void
keys_come_from_the_issuer_and_stay_for_a_day(void **state)
{
	bool known = false;
	assert_false(vs_failed(ask(*state, known_kid, &known)));
	assert_true(known);
	for (int i = 0; i < 23; i++) {
		pass_time(60 * MINUTE);
		assert_false(vs_failed(ask(*state, known_kid, &known)));
		assert_true(known);
	}
	assert_int_equal(world.n_metadata, 1);
	assert_int_equal(world.n_keys, 1);
	pass_time(60 * MINUTE);
	assert_false(vs_failed(ask(*state, known_kid, &known)));
	assert_int_equal(world.n_keys, 2);
	assert_int_equal(world.n_elsewhere, 0);
}

static void
a_day_old_set_is_not_used_when_the_service_is_away(void **state)
{
	assert_false(vs_failed(ask(*state, known_kid, NULL)));
	world.fail = (vs_rc){.code = VS_E_CONNECT};
	pass_time(VS_TRUST_AGE_S - 1);
	assert_false(vs_failed(ask(*state, known_kid, NULL)));
	pass_time(1);
	assert_code(ask(*state, known_kid, NULL), CONNECT);
	world.fail = VS_OK;
	assert_false(vs_failed(ask(*state, known_kid, NULL)));
}

static void
an_unknown_kid_causes_one_fetch_per_window(void **state)
{
	char kid[32];
	bool known = true;
	for (int i = 0; i < 1000; i++) {
		snprintf(kid, sizeof kid, "kid-%d", i);
		assert_false(vs_failed(ask(*state, kid, &known)));
		assert_false(known);
	}
	assert_int_equal(world.n_keys, 1);
	pass_time(VS_TRUST_REFRESH_S);
	for (int i = 0; i < 1000; i++) {
		snprintf(kid, sizeof kid, "kid-%d", i);
		assert_false(vs_failed(ask(*state, kid, &known)));
	}
	assert_int_equal(world.n_keys, 2);
	pass_time(VS_TRUST_REFRESH_S - 1);
	assert_false(vs_failed(ask(*state, "kid-5", &known)));
	assert_int_equal(world.n_keys, 2);
}

static void
one_unknown_kid_is_asked_for_once(void **state)
{
	bool known = true;
	assert_false(vs_failed(ask(*state, known_kid, NULL)));
	for (int i = 0; i < 20; i++) {
		pass_time(VS_TRUST_REFRESH_S);
		assert_false(vs_failed(ask(*state, "nobody knows this", &known)));
	}
	assert_int_equal(world.n_keys, 2);
	/* and a flood of different ones is bounded for the day */
	for (int i = 0; i < 200; i++) {
		char kid[32];
		snprintf(kid, sizeof kid, "kid-%d", i);
		pass_time(VS_TRUST_REFRESH_S);
		assert_false(vs_failed(ask(*state, kid, &known)));
	}
	assert_int_equal(world.n_keys, 1 + VS_TRUST_ASKED_MAX);
}

static void
a_rotated_key_is_found(void **state)
{
	bool known = true;
	world.keys = "{\"keys\":[]}";
	assert_false(vs_failed(ask(*state, known_kid, &known)));
	assert_false(known);
	world.keys = vs_buf_cstr(&real_keys);
	pass_time(VS_TRUST_REFRESH_S);
	assert_false(vs_failed(ask(*state, known_kid, &known)));
	assert_true(known);
}

/* The service makes its certificates anew for the same key: the old one is no reason to refuse. */
static void
a_kid_whose_certificate_has_ended_is_asked_for_again(void **state)
{
	enum { YEAR = 365 * 24 * 60 * MINUTE };
	assert_false(vs_failed(ask(*state, known_kid, NULL)));
	world.wall += (int64_t)30 * YEAR;
	pass_time(VS_TRUST_REFRESH_S - 1);
	assert_false(vs_failed(ask(*state, known_kid, NULL)));
	assert_int_equal(world.n_keys, 1);
	for (int i = 0; i < 20; i++) {
		pass_time(VS_TRUST_REFRESH_S);
		assert_false(vs_failed(ask(*state, known_kid, NULL)));
	}
	/* Once, like a kid that is not there. */
	assert_int_equal(world.n_keys, 2);
}

static void
a_failed_refresh_keeps_the_set_at_hand(void **state)
{
	bool known = false;
	assert_false(vs_failed(ask(*state, known_kid, NULL)));
	pass_time(VS_TRUST_REFRESH_S);
	world.keys = "<html>";
	assert_false(vs_failed(ask(*state, "other", NULL)));
	assert_int_equal(world.n_keys, 2);
	assert_false(vs_failed(ask(*state, known_kid, &known)));
	assert_true(known);
}

static void
metadata_that_points_elsewhere_is_refused(void **state)
{
	static const char *const bad[] = {
		"{\"issuer\":\"https://sharedwus.wus.attest.azure.net\",\"jwks_uri\":\"https://"
		"evil.example/certs\"}",
		"{\"issuer\":\"https://sharedwus.wus.attest.azure.net\",\"jwks_uri\":\"http://"
		"sharedwus.wus.attest.azure.net/certs\"}",
		"{\"issuer\":\"https://sharedwus.wus.attest.azure.net\",\"jwks_uri\":\"https://"
		"sharedwus.wus.attest.azure.net:8443/certs\"}",
		"{\"issuer\":\"https://sharedwus.wus.attest.azure.net\",\"jwks_uri\":\"https://"
		"sharedwus.wus.attest.azure.net@evil.example/certs\"}",
		"{\"issuer\":\"https://sharedwus.wus.attest.azure.net\",\"jwks_uri\":\"file:///etc/"
		"passwd\"}",
		"{\"issuer\":\"https://sharedwus.wus.attest.azure.net\",\"jwks_uri\":5}",
		"{\"issuer\":\"https://sharedwus.wus.attest.azure.net\"}",
		"{\"issuer\":\"https://other.attest.azure.net\",\"jwks_uri\":\"https://"
		"sharedwus.wus.attest.azure.net/certs\"}",
		"{\"issuer\":\"https://sharedwus.wus.attest.azure.net/\",\"jwks_uri\":\"https://"
		"sharedwus.wus.attest.azure.net/certs\"}",
		"{\"jwks_uri\":\"https://sharedwus.wus.attest.azure.net/certs\"}",
		"[]",
		"",
		"null",
		"{\"issuer\":",
		"<html></html>",
	};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		world.metadata = bad[i];
		assert_code(ask(*state, known_kid, NULL), ANSWER);
	}
	assert_int_equal(world.n_keys, 0);
	assert_int_equal(world.n_elsewhere, 0);
}

static void
answers_that_are_no_key_set_are_refused(void **state)
{
	static const char *const bad[] = {"", "{}", "[]", "{\"keys\":{}}", "{\"keys\":[]", "<html>",
		"{\"keys\":[]}x", "{\"keys\":[],\"keys\":[]}"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		world.keys = bad[i];
		assert_code(ask(*state, known_kid, NULL), ANSWER);
	}
	world.keys = vs_buf_cstr(&real_keys);
	world.keys_type = "text/html";
	assert_code(ask(*state, known_kid, NULL), ANSWER);
	world.keys_type = "application/jwk-set+json";
	assert_false(vs_failed(ask(*state, known_kid, NULL)));
}

static void
other_statuses_are_no_keys(void **state)
{
	static const struct {
		long status;
		const char *code;
	} rows[] = {{204, "ANSWER"}, {301, "ANSWER"}, {302, "ANSWER"}, {307, "ANSWER"},
		{401, "ANSWER"}, {404, "ANSWER"}, {429, "THROTTLED"}, {500, "UNAVAILABLE"},
		{503, "UNAVAILABLE"}};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		world.status = rows[i].status;
		assert_string_equal(vs_code_name(ask(*state, known_kid, NULL).code), rows[i].code);
	}
}

static void *
ask_in_thread(void *trust)
{
	bool known = false;
	return vs_failed(ask(trust, known_kid, &known)) || !known ? trust : NULL;
}

static void
many_threads_cause_one_fetch(void **state)
{
	pthread_t t[16];
	world.pause_ms = 20;
	for (size_t i = 0; i < 16; i++)
		assert_int_equal(pthread_create(&t[i], NULL, ask_in_thread, *state), 0);
	for (size_t i = 0; i < 16; i++) {
		void *bad = NULL;
		pthread_join(t[i], &bad);
		assert_null(bad);
	}
	assert_int_equal(world.n_metadata, 1);
	assert_int_equal(world.n_keys, 1);
}

static void *
ask_and_fail(void *trust)
{
	return vs_failed(ask(trust, known_kid, NULL)) ? NULL : trust;
}

static void
waiting_ends_with_the_callers_deadline(void **state)
{
	struct vs_err err = {0};
	struct vs_jwks *set = NULL;
	pthread_t t;
	void *bad = NULL;
	world.pause_ms = 400;
	assert_int_equal(pthread_create(&t, NULL, ask_in_thread, *state), 0);
	while (atomic_load(&world.n_metadata) == 0)
		usleep(1000);
	assert_code(vs_trust_keys(
			    *state, vs_bytes_str(known_kid), world.boot_ns + 50000000, &set, &err),
		TIMEOUT);
	assert_null(set);
	pthread_join(t, &bad);
	assert_null(bad);
	assert_int_equal(world.n_keys, 1);
}

static void
threads_that_wait_get_the_same_failure(void **state)
{
	pthread_t t[8];
	world.pause_ms = 50;
	world.fail = (vs_rc){.code = VS_E_TLS};
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&t[i], NULL, ask_and_fail, *state), 0);
	for (size_t i = 0; i < 8; i++) {
		void *bad = NULL;
		pthread_join(t[i], &bad);
		assert_null(bad);
	}
	assert_true(world.n_metadata < 8);
}

static void
an_issuer_that_is_no_origin_is_a_configuration_error(void **state)
{
	static const char *const bad[] = {"http://sharedwus.wus.attest.azure.net", "sharedwus", "",
		"https://h/path", "https://h/", "https://u@h", "https://h?x"};
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct vs_err err = {0};
		struct vs_trust *trust = NULL;
		const struct vs_trust_env env = {.issuer = bad[i]};
		assert_code(vs_trust_new(&env, &trust, &err), CONFIG_VALUE);
	}
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(keys_come_from_the_issuer_and_stay_for_a_day),
		T(a_day_old_set_is_not_used_when_the_service_is_away),
		T(an_unknown_kid_causes_one_fetch_per_window),
		T(one_unknown_kid_is_asked_for_once),
		T(a_rotated_key_is_found),
		T(a_kid_whose_certificate_has_ended_is_asked_for_again),
		T(a_failed_refresh_keeps_the_set_at_hand),
		T(metadata_that_points_elsewhere_is_refused),
		T(answers_that_are_no_key_set_are_refused),
		T(other_statuses_are_no_keys),
		T(many_threads_cause_one_fetch),
		T(waiting_ends_with_the_callers_deadline),
		T(threads_that_wait_get_the_same_failure),
		T(an_issuer_that_is_no_origin_is_a_configuration_error),
	};
	real_keys = kit_data("maa/jwks/sharedwus-2022-11.json");
	const int failed = cmocka_run_group_tests(tests, NULL, NULL);
	vs_buf_done(&real_keys);
	return failed;
}
