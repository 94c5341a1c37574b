/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Settings local-evidence and service-evidence against the lab: what a machine can know about
 * itself is known before the service is asked. Runs inside `vouchsafe-lab run`.
 */
#include "lab/attemptkit.h"
#include "unit/unit.h"

static int
group_up(void **state)
{
	(void)state;
	ak_up(0);
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
undo(void **state)
{
	(void)state;
	AK_LAB("tamper", "undo");
	return 0;
}

static const struct vs_check *
find_check(const struct vs_verdict *v, const char *name)
{
	for (size_t i = 0; i < v->n_checks; i++)
		if (strcmp(v->checks[i].name, name) == 0)
			return &v->checks[i];
	return NULL;
}

static void
this_machines_evidence_is_checked_here_too(void **state)
{
	struct vs_conf_token token = ak_token();
	struct vs_attestation *a = NULL;
	struct vs_verdict verdict = {0};
	struct vs_err err = {0};

	(void)state;
	token.local_evidence = VS_REQUIRE_ON;
	struct vs_services *s = ak_services(&token, VS_LOG_WARN);
	assert_ok(vs_services_attest(s, ak_in_ms(30000), &a, &verdict, &err), &err);
	assert_true(verdict.passed);
	static const char *const made[] = {"runtime data binding", "quote's signature",
		"nonce in the quote", "attestation key of this TPM", "SNP report signature",
		"SNP certificate chain", "event log explains the PCRs",
		"Secure Boot in the event log", "transport key's policy", "our key in the token"};
	for (size_t i = 0; i < sizeof made / sizeof made[0]; i++) {
		const struct vs_check *c = find_check(&verdict, made[i]);
		if (c == NULL)
			fail_msg("no check: %s", made[i]);
		assert_true(c->passed);
	}
	assert_int_equal(a->verdict.n_checks, verdict.n_checks);
	vs_attestation_unref(a);
	vs_services_free(s);
}

/* Each one is found before anything is sent to the service, by the check that is about it. */
static void
each_tampering_is_found_here_before_the_service_is_asked(void **state)
{
	static const struct {
		const char *word, *how, *check;
	} kinds[] = {
		{"pcr", "0", "event log explains the PCRs"},
		{"secure-boot", "off", "Secure Boot in the runtime data"},
		{"ak", NULL, "attestation key of this TPM"},
		{"ak", "unrestricted", "attestation key of this TPM"},
		{"foreign-report", NULL, NULL},
		{"debug-bit", NULL, "SNP debug"},
		{"stale-report", NULL, NULL},
		{"event-log", "data", NULL},
		{"event-log", "digest", NULL},
		{"event-log", "drop", NULL},
		{"event-log", "cut", NULL},
		{"event-log", "missing", "event log"},
		{"ak-cert", NULL, NULL},
		{"ak-cert-foreign", NULL, NULL},
		{"vcek", NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		struct vs_conf_token token = ak_token();
		struct vs_attestation *a = NULL;
		struct vs_verdict verdict = {0};
		struct vs_err err = {0};
		char text[1024];
		token.local_evidence = VS_REQUIRE_ON;
		struct vs_services *s = ak_services(&token, VS_LOG_ERROR);
		ak_lab((const char *const[]){"tamper", kinds[i].word, kinds[i].how, NULL});
		const vs_rc rc = vs_services_attest(s, ak_in_ms(6000), &a, &verdict, &err);
		vs_err_sentence(&err, text, sizeof text);
		print_message("%s %s: %s: %.200s\n", kinds[i].word,
			kinds[i].how != NULL ? kinds[i].how : "", vs_code_name(rc.code), text);
		assert_null(a);
		assert_false(verdict.passed);
		assert_true(rc.code == VS_E_REFUSED_EVIDENCE || rc.code == VS_E_EVIDENCE_STALE ||
			rc.code == VS_E_EVIDENCE);
		assert_null(find_check(&verdict, "our key in the token"));
		if (kinds[i].check != NULL) {
			const struct vs_check *c = find_check(&verdict, kinds[i].check);
			assert_non_null(c);
			assert_false(c->passed);
		}
		vs_services_free(s);
		AK_LAB("tamper", "undo");
	}
}

/* With warn the checks are made and recorded, and the service alone decides. */
static void
with_warn_a_failed_local_check_only_stands_in_the_verdict(void **state)
{
	struct vs_conf_token token = ak_token();
	struct vs_conf conf = *ak_conf();
	struct vs_attestation *a = NULL;
	struct vs_verdict verdict = {0};
	struct vs_err err = {0};
	struct vs_services *s = NULL;

	(void)state;
	conf.evidence_roots = NULL; /* the vendors' roots, which no lab leads to */
	token.local_evidence = VS_WARN;
	struct vs_services_env env = ak_env(&token, VS_LOG_ERROR);
	env.conf = &conf;
	assert_ok(vs_services_new(&env, &s, &err), &err);
	assert_ok(vs_services_attest(s, ak_in_ms(30000), &a, &verdict, &err), &err);
	const struct vs_check *c = find_check(&verdict, "SNP certificate chain");
	assert_non_null(c);
	assert_false(c->passed);
	assert_true(c->advisory);
	assert_true(verdict.passed);
	vs_attestation_unref(a);
	a = NULL;
	vs_services_free(s);
	token.local_evidence = VS_REQUIRE_ON;
	assert_ok(vs_services_new(&env, &s, &err), &err);
	assert_code(vs_services_attest(s, ak_in_ms(30000), &a, &verdict, &err), REFUSED_EVIDENCE);
	assert_null(a);
	assert_false(find_check(&verdict, "SNP certificate chain")->advisory);
	vs_services_free(s);
	/* Production never takes its roots from a setting. */
	conf = *ak_conf();
	conf.lab = false;
	s = NULL;
	assert_code(vs_services_new(&env, &s, &err), CONFIG_MODE);
}

/* The first check of this name fails, and the attempt with it; nothing was asked of the service. */
static void
expect_refusal(const struct vs_services_env *env, const char *name)
{
	struct vs_attestation *a = NULL;
	struct vs_verdict verdict = {0};
	struct vs_services *s = NULL;
	struct vs_err err = {0};

	assert_ok(vs_services_new(env, &s, &err), &err);
	assert_code(vs_services_attest(s, ak_in_ms(30000), &a, &verdict, &err), REFUSED_EVIDENCE);
	assert_null(a);
	const struct vs_check *c = find_check(&verdict, name);
	if (c == NULL || c->passed)
		fail_msg("%s: %s", name, c == NULL ? "no such check" : c->seen);
	vs_services_free(s);
}

static void
what_the_settings_ask_for_and_is_not_there_refuses(void **state)
{
	struct vs_conf_token token = ak_token();
	struct vs_conf conf = *ak_conf();
	char junk[512];

	(void)state;
	token.local_evidence = VS_REQUIRE_ON;
	struct vs_services_env env = ak_env(&token, VS_LOG_ERROR);
	env.conf = &conf;
	token.collateral_required = true;
	expect_refusal(&env, "SNP certificate revocation");
	token.collateral_required = false;
	token.ima = VS_CONF_IMA_LIST;
	conf.ima_log = (char *)(uintptr_t) "/nonexistent";
	expect_refusal(&env, "list of measured files");
	(void)snprintf(junk, sizeof junk, "%s", ak_write("ima", "no list at all"));
	conf.ima_log = junk;
	expect_refusal(&env, "list of measured files: form");
}

static void
a_lab_service_has_no_evidence_of_its_own(void **state)
{
	static char value[] = "0178240eff4ef968efdcd735b8bcee63578c4eb9e4264178f747df149bf57bff";
	char *list[] = {value, NULL};
	struct vs_conf_token token = ak_token();
	struct vs_attestation *a = NULL;
	struct vs_verdict verdict = {0};
	struct vs_err err = {0};
	char text[1024];

	(void)state;
	token.service_evidence = VS_REQUIRE_ON;
	token.service_measurements = list;
	struct vs_services *s = ak_services(&token, VS_LOG_ERROR);
	assert_code(vs_services_attest(s, ak_in_ms(30000), &a, &verdict, &err), REFUSED_EVIDENCE);
	vs_err_sentence(&err, text, sizeof text);
	print_message("%s\n", text);
	assert_non_null(strstr(text, "the attestation service's evidence"));
	assert_null(a);
	assert_false(verdict.passed);
	assert_true(find_check(&verdict, "our key in the token")->passed);
	vs_services_free(s);
	token.service_evidence = VS_WARN;
	s = ak_services(&token, VS_LOG_ERROR);
	assert_ok(vs_services_attest(s, ak_in_ms(30000), &a, &verdict, &err), &err);
	assert_true(verdict.passed);
	vs_attestation_unref(a);
	vs_services_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(this_machines_evidence_is_checked_here_too),
		cmocka_unit_test_teardown(
			each_tampering_is_found_here_before_the_service_is_asked, undo),
		cmocka_unit_test(with_warn_a_failed_local_check_only_stands_in_the_verdict),
		cmocka_unit_test(what_the_settings_ask_for_and_is_not_there_refuses),
		cmocka_unit_test(a_lab_service_has_no_evidence_of_its_own),
	};

	return cmocka_run_group_tests(tests, group_up, group_down);
}
