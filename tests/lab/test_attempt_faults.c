/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every fault of the lab's network matrix against every step of an attempt: the step fails with a
 * code of the right category, in bounded time, and works again when the fault is gone.
 */
#include "lab/attemptkit.h"
#include "unit/unit.h"

enum { REQUEST_MS = 700, DEADLINE_MS = 1500, SLACK_MS = 1500 };

/* What must come of it. Passing: one such answer, then a good one, is success. */
enum outcome { UNREACHABLE, TLS_NO, NO_ANSWER, BUSY, ANY_FAILURE };

static const struct {
	const char *kind, *value;
	enum outcome outcome;
	bool tls_only; /* needs TLS */
} faults[] = {
	{"refused", NULL, UNREACHABLE, false},
	{"reset", NULL, UNREACHABLE, false},
	{"silent", NULL, UNREACHABLE, false},
	{"not-tls", NULL, TLS_NO, true},
	{"tls-alert", NULL, TLS_NO, true},
	{"tls-self-signed", NULL, TLS_NO, true},
	{"tls-unknown-ca", NULL, TLS_NO, true},
	{"tls-expired", NULL, TLS_NO, true},
	{"tls-future", NULL, TLS_NO, true},
	{"tls-wrong-name", NULL, TLS_NO, true},
	{"tls-incomplete", NULL, TLS_NO, true},
	{"tls-old", NULL, TLS_NO, true},
	{"reset-answer", NULL, UNREACHABLE, false},
	{"close", NULL, UNREACHABLE, false},
	{"stall", NULL, UNREACHABLE, false},
	{"drip", NULL, UNREACHABLE, false},
	{"cut", "10", NO_ANSWER, false},
	{"length-long", NULL, NO_ANSWER, false},
	{"length-short", NULL, NO_ANSWER, false},
	{"length-twice", NULL, NO_ANSWER, false},
	{"chunk-cut", NULL, NO_ANSWER, false},
	{"garbage", NULL, NO_ANSWER, false},
	{"headers", NULL, NO_ANSWER, false},
	{"empty", NULL, NO_ANSWER, false},
	{"html", NULL, NO_ANSWER, false},
	{"type", NULL, NO_ANSWER, false},
	{"encoded", NULL, NO_ANSWER, false},
	{"not-json", NULL, NO_ANSWER, false},
	{"truncated", NULL, NO_ANSWER, false},
	{"trailing", NULL, NO_ANSWER, false},
	{"oversized", NULL, NO_ANSWER, false},
	{"301", "https://localhost:1/", NO_ANSWER, false},
	{"302", "http://169.254.169.254/", NO_ANSWER, false},
	{"307", "file:///etc/passwd", NO_ANSWER, false},
	{"308", "https://localhost:1/", NO_ANSWER, false},
	{"400", NULL, ANY_FAILURE, false},
	{"401", NULL, ANY_FAILURE, false},
	{"403", NULL, ANY_FAILURE, false},
	{"404", NULL, ANY_FAILURE, false},
	{"408", NULL, BUSY, false},
	{"410", NULL, ANY_FAILURE, false},
	{"429", "120", BUSY, false},
	{"429", "garbage", BUSY, false},
	{"500", NULL, BUSY, false},
	{"502", NULL, BUSY, false},
	{"503", "Fri, 31 Dec 9999 23:59:59 GMT", BUSY, false},
	{"504", NULL, BUSY, false},
};
enum { N_FAULTS = sizeof faults / sizeof faults[0] };

static struct vs_conf_token token;

static int
group_up(void **state)
{
	(void)state;
	ak_up(REQUEST_MS);
	token = ak_token();
	return 0;
}

static int
group_down(void **state)
{
	(void)state;
	ak_down();
	return 0;
}

static int
clear(void **state)
{
	(void)state;
	AK_LAB("fault", "clear");
	return 0;
}

static bool
is_right(enum outcome outcome, vs_rc rc)
{
	switch (outcome) {
	case UNREACHABLE: return rc.code == VS_E_CONNECT || rc.code == VS_E_TIMEOUT;
	case TLS_NO: return rc.code == VS_E_TLS;
	case NO_ANSWER: return rc.code == VS_E_ANSWER;
	case BUSY: return rc.code == VS_E_UNAVAILABLE || rc.code == VS_E_THROTTLED;
	case ANY_FAILURE: return vs_failed(rc);
	}
	return false;
}

typedef vs_rc step_fn(struct vs_services *s, void *arg, struct vs_err *err);

static vs_rc
step_attest(struct vs_services *s, void *arg, struct vs_err *err)
{
	struct vs_attestation *a = NULL;
	struct vs_verdict verdict = {0};

	(void)arg;
	const vs_rc rc = vs_services_attest(s, ak_in_ms(DEADLINE_MS), &a, &verdict, err);
	assert_int_equal(vs_failed(rc), a == NULL);
	assert_int_equal(vs_failed(rc), !verdict.passed);
	vs_attestation_unref(a);
	return rc;
}

static vs_rc
step_catalog(struct vs_services *s, void *arg, struct vs_err *err)
{
	struct vs_catalog_data *c = NULL;

	(void)arg;
	const vs_rc rc = vs_services_catalog(s, ak_in_ms(DEADLINE_MS), &c, err);
	assert_int_equal(vs_failed(rc), c == NULL);
	if (c != NULL)
		assert_true(c->n >= 4);
	vs_catalog_data_free(c);
	return rc;
}

struct release_arg {
	struct vs_attestation *a;
	const struct vs_cat_entry *e;
};

static vs_rc
step_release(struct vs_services *s, void *arg, struct vs_err *err)
{
	const struct release_arg *r = arg;
	VS_CLEANUP(vs_secret_done) struct vs_secret key = {0};
	struct vs_release_info info = {0};
	const vs_rc rc =
		vs_services_release(s, r->a, r->e, ak_in_ms(DEADLINE_MS), &key, &info, err);

	assert_int_equal(vs_failed(rc), key.n == 0);
	return rc;
}

/* Faults of the connection come before any path is known. */
static bool
is_early(const char *kind)
{
	static const char *const kinds[] = {"refused", "reset", "silent", "not-tls"};

	for (size_t i = 0; i < 4; i++) {
		if (strcmp(kind, kinds[i]) == 0)
			return true;
	}
	return strncmp(kind, "tls-", 4) == 0;
}

/* One fault at one place; client and services are made anew, so that nothing is cached or warm. */
static void
run_one(const char *service, const char *path, size_t i, step_fn *step, void *arg)
{
	const char *words[10] = {"fault", service, faults[i].kind};
	size_t n = 3;
	struct vs_err err = {0};
	char text[1024];

	ak_cold();
	struct vs_services *s = ak_services(&token, VS_LOG_ERROR);
	if (!is_early(faults[i].kind)) {
		words[n++] = "--path";
		words[n++] = path;
	}
	if (faults[i].value != NULL) {
		words[n++] = "--value";
		words[n++] = faults[i].value;
	}
	ak_lab(words);
	const int64_t t = ak_in_ms(0);
	const vs_rc rc = step(s, arg, &err);
	const double ms = ak_ms_since(t);
	vs_err_sentence(&err, text, sizeof text);
	AK_LAB("fault", "clear");
	if (!is_right(faults[i].outcome, rc) || ms > DEADLINE_MS + SLACK_MS)
		fail_msg("%s %s %s on %s: %s after %.0f ms: %s", service, faults[i].kind,
			faults[i].value != NULL ? faults[i].value : "", path, vs_code_name(rc.code),
			ms, text);
	vs_services_free(s);
}

static void
attesting_survives_every_fault_of_the_attestation_service(void **state)
{
	struct vs_err err = {0};

	(void)state;
	for (size_t i = 0; i < N_FAULTS; i++)
		run_one("maa", "/attest/", i, step_attest, NULL);
	struct vs_services *s = ak_services(&token, VS_LOG_ERROR);
	assert_ok(step_attest(s, NULL, &err), &err);
	vs_services_free(s);
}

static void
attesting_survives_every_fault_of_the_signing_keys(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_FAULTS; i++)
		run_one("maa", "/certs", i, step_attest, NULL);
}

static void
attesting_survives_every_fault_of_the_hardware_certificates(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_FAULTS; i++) {
		if (!faults[i].tls_only)
			run_one("imds", "/THIM/", i, step_attest, NULL);
	}
}

static void
catalogs_survive_every_fault_of_the_vault(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_FAULTS; i++)
		run_one("vault", "/keys", i, step_catalog, NULL);
}

static void
catalogs_survive_every_fault_of_the_identity(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_FAULTS; i++) {
		if (!faults[i].tls_only)
			run_one("imds", "/identity/", i, step_catalog, NULL);
	}
}

static void
releases_survive_every_fault_of_the_vault(void **state)
{
	struct vs_services *s = ak_services(&token, VS_LOG_ERROR);
	struct vs_catalog_data *c = NULL;
	struct release_arg arg = {0};
	struct vs_verdict verdict = {0};
	struct vs_err err = {0};

	(void)state;
	assert_ok(vs_services_catalog(s, ak_in_ms(9000), &c, &err), &err);
	assert_ok(vs_services_attest(s, ak_in_ms(9000), &arg.a, &verdict, &err), &err);
	arg.e = &c->entries[0];
	for (size_t i = 0; i < N_FAULTS; i++)
		run_one("vault", "/release", i, step_release, &arg);
	vs_services_free(s);
	s = ak_services(&token, VS_LOG_ERROR);
	assert_ok(step_release(s, &arg, &err), &err);
	vs_attestation_unref(arg.a);
	vs_catalog_data_free(c);
	vs_services_free(s);
}

static void
one_fault(const char *service, const char *kind, const char *path)
{
	const char *const late[] = {"fault", service, kind, "--count", "1", "--path", path, NULL};
	const char *const early[] = {"fault", service, kind, "--count", "1", NULL};

	ak_lab(is_early(kind) ? early : late);
}

static void
one_passing_fault_does_not_matter(void **state)
{
	static const char *const kinds[] = {"reset", "close", "429", "500", "503"};
	struct vs_err err = {0};

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		ak_cold();
		struct vs_services *s = ak_services(&token, VS_LOG_ERROR);
		one_fault("maa", kinds[i], "/attest/");
		assert_ok(step_attest(s, NULL, &err), &err);
		AK_LAB("fault", "clear");
		one_fault("vault", kinds[i], "/keys");
		assert_ok(step_catalog(s, NULL, &err), &err);
		AK_LAB("fault", "clear");
		vs_services_free(s);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(
			attesting_survives_every_fault_of_the_attestation_service, clear),
		cmocka_unit_test_teardown(
			attesting_survives_every_fault_of_the_signing_keys, clear),
		cmocka_unit_test_teardown(
			attesting_survives_every_fault_of_the_hardware_certificates, clear),
		cmocka_unit_test_teardown(catalogs_survive_every_fault_of_the_vault, clear),
		cmocka_unit_test_teardown(catalogs_survive_every_fault_of_the_identity, clear),
		cmocka_unit_test_teardown(releases_survive_every_fault_of_the_vault, clear),
		cmocka_unit_test_teardown(one_passing_fault_does_not_matter, clear),
	};

	return cmocka_run_group_tests(tests, group_up, group_down);
}
