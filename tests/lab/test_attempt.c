/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The whole way against the lab, with its TPM and its services: catalog, attestation, release; and
 * what becomes of each step when the machine, the policy or the key is not as it should be.
 * Runs inside `vouchsafe-lab run`, which sets VOUCHSAFE_CONF.
 */
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
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

static void
release_all(struct vs_services *s, struct vs_attestation *a, const struct vs_catalog_data *c)
{
	struct vs_err err = {0};

	for (size_t i = 0; i < c->n; i++) {
		VS_CLEANUP(vs_secret_done) struct vs_secret key = {0};
		struct vs_release_info info = {0};
		const int64_t t = ak_in_ms(0);
		assert_ok(vs_services_release(
				  s, a, &c->entries[i], ak_in_ms(60000), &key, &info, &err),
			&err);
		ak_check_pair(&c->entries[i], &key);
		assert_int_equal(strlen(info.policy_sha256), 64);
		assert_true(info.request_id[0] != '\0');
		print_message("  released %.*s in %.0f ms\n", (int)c->entries[i].name.n,
			(const char *)c->entries[i].name.p, ak_ms_since(t));
	}
}

static void
attests_and_releases_every_key_of_every_token(void **state)
{
	(void)state;
	for (size_t i = 0; i < ak_conf()->n_tokens; i++) {
		const struct vs_conf_token token = ak_conf()->tokens[i];
		struct vs_services *s = ak_services(&token, VS_LOG_ERROR);
		struct vs_catalog_data *c = NULL;
		struct vs_attestation *a = NULL;
		struct vs_verdict verdict = {0};
		struct vs_err err = {0};
		int64_t t = ak_in_ms(0);
		assert_ok(vs_services_catalog(s, ak_in_ms(30000), &c, &err), &err);
		print_message(
			"%s: catalog of %zu keys in %.0f ms\n", token.label, c->n, ak_ms_since(t));
		assert_true(c->n >= 4);
		t = ak_in_ms(0);
		assert_ok(vs_services_attest(s, ak_in_ms(30000), &a, &verdict, &err), &err);
		print_message("%s: attested in %.0f ms, %zu checks\n", token.label, ak_ms_since(t),
			verdict.n_checks);
		assert_true(verdict.passed);
		assert_string_equal(a->issuer, token.attestation);
		assert_true(a->exp_unix > time(NULL));
		release_all(s, a, c);
		vs_attestation_unref(a);
		vs_catalog_data_free(c);
		vs_services_free(s);
	}
}

struct one {
	struct vs_services *s;
	struct vs_attestation *a;
	const struct vs_cat_entry *e;
	vs_rc rc;
	struct vs_err err;
	pthread_t thread;
};

static void *
release_one(void *arg)
{
	struct one *o = arg;
	VS_CLEANUP(vs_secret_done) struct vs_secret key = {0};
	struct vs_release_info info = {0};

	o->rc = vs_services_release(o->s, o->a, o->e, ak_in_ms(60000), &key, &info, &o->err);
	return NULL;
}

static void
releases_keys_side_by_side(void **state)
{
	const struct vs_conf_token token = ak_token();
	struct vs_services *s = ak_services(&token, VS_LOG_ERROR);
	struct vs_catalog_data *c = NULL;
	struct vs_attestation *a = NULL;
	struct vs_verdict verdict = {0};
	struct vs_err err = {0};
	struct one o[4];

	(void)state;
	assert_ok(vs_services_catalog(s, ak_in_ms(30000), &c, &err), &err);
	assert_ok(vs_services_attest(s, ak_in_ms(30000), &a, &verdict, &err), &err);
	const int64_t t = ak_in_ms(0);
	for (size_t i = 0; i < 4; i++) {
		o[i] = (struct one){.s = s, .a = vs_attestation_ref(a), .e = &c->entries[i]};
		assert_int_equal(pthread_create(&o[i].thread, NULL, release_one, &o[i]), 0);
	}
	vs_attestation_unref(a);
	for (size_t i = 0; i < 4; i++) {
		pthread_join(o[i].thread, NULL);
		assert_ok(o[i].rc, &o[i].err);
		vs_attestation_unref(o[i].a);
	}
	print_message("4 keys side by side in %.0f ms\n", ak_ms_since(t));
	vs_catalog_data_free(c);
	vs_services_free(s);
}

/* The transport key is bound to the PCRs that were attested. */
static void
a_pcr_that_changes_later_makes_the_attestation_useless(void **state)
{
	const struct vs_conf_token token = ak_token();
	struct vs_services *s = ak_services(&token, VS_LOG_ERROR);
	VS_CLEANUP(vs_secret_done) struct vs_secret key = {0};
	struct vs_release_info info = {0};
	struct vs_catalog_data *c = NULL;
	struct vs_attestation *a = NULL;
	struct vs_verdict verdict = {0};
	struct vs_err err = {0};
	uint32_t reset[2] = {0};
	uint32_t restart[2] = {0};

	(void)state;
	assert_ok(vs_services_catalog(s, ak_in_ms(30000), &c, &err), &err);
	assert_ok(vs_services_attest(s, ak_in_ms(30000), &a, &verdict, &err), &err);
	assert_ok(vs_services_tpm_counts(s, &reset[0], &restart[0], &err), &err);
	assert_int_equal(reset[0], a->reset_count);
	AK_LAB("tamper", "pcr", "7");
	assert_code(vs_services_release(s, a, &c->entries[0], ak_in_ms(30000), &key, &info, &err),
		REFUSED_BINDING);
	vs_attestation_unref(a);
	a = NULL;
	/* And there is no new one. */
	assert_code(
		vs_services_attest(s, ak_in_ms(30000), &a, &verdict, &err), REFUSED_ATTESTATION);
	assert_null(a);
	AK_LAB("tamper", "undo");
	assert_ok(vs_services_tpm_counts(s, &reset[1], &restart[1], &err), &err);
	assert_true(reset[0] != reset[1] || restart[0] != restart[1]);
	assert_ok(vs_services_attest(s, ak_in_ms(30000), &a, &verdict, &err), &err);
	assert_ok(vs_services_release(s, a, &c->entries[0], ak_in_ms(30000), &key, &info, &err),
		&err);
	vs_attestation_unref(a);
	vs_catalog_data_free(c);
	vs_services_free(s);
}

static void
a_machine_that_was_tampered_with_is_refused(void **state)
{
	static const char *const kinds[][2] = {
		{"pcr", "0"},
		{"secure-boot", "off"},
		{"ak", NULL},
		{"ak", "unrestricted"},
		{"ak", "uncertified"},
		{"foreign-report", NULL},
		{"debug-bit", NULL},
		{"stale-report", NULL},
		{"event-log", "data"},
		{"event-log", "digest"},
		{"event-log", "drop"},
		{"ak-cert", NULL},
		{"ak-cert-foreign", NULL},
		{"vcek", NULL},
		{"clock", "-40000"},
		{"clock", "3600"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		const struct vs_conf_token token = ak_token();
		struct vs_services *s = ak_services(&token, VS_LOG_ERROR);
		struct vs_attestation *a = NULL;
		struct vs_verdict verdict = {0};
		struct vs_err err = {0};
		char text[1024];
		ak_lab((const char *const[]){"tamper", kinds[i][0], kinds[i][1], NULL});
		const vs_rc rc = vs_services_attest(s, ak_in_ms(3000), &a, &verdict, &err);
		vs_err_sentence(&err, text, sizeof text);
		print_message("%s %s: %s: %.200s\n", kinds[i][0],
			kinds[i][1] != NULL ? kinds[i][1] : "", vs_code_name(rc.code), text);
		assert_true(vs_failed(rc));
		assert_null(a);
		assert_false(verdict.passed);
		const enum vs_cat cat = vs_code_cat(rc.code);
		assert_true(cat == VS_CAT_POLICY || cat == VS_CAT_EVIDENCE);
		vs_services_free(s);
		AK_LAB("tamper", "undo");
	}
}

static void
local_policy_decides_whatever_the_service_says(void **state)
{
	static const char *const policies[] = {
		NULL,
		"{\"version\":\"1.0.0\",\"anyOf\":[{\"authority\":\"https://"
		"a.attest.azure.net\",\"allOf\":[{\"claim\":\"x\","
		"\"equals\":\"y\"}]}]}",
	};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct vs_conf_token token = ak_token();
		char path[1200] = "";
		struct vs_attestation *a = NULL;
		struct vs_verdict verdict = {0};
		struct vs_err err = {0};
		token.policy = NULL;
		if (policies[i] != NULL) {
			(void)snprintf(path, sizeof path, "%s",
				ak_write("other-policy.json", policies[i]));
			token.policy = path;
		}
		struct vs_services *s = ak_services(&token, VS_LOG_ERROR);
		assert_code(
			vs_services_attest(s, ak_in_ms(30000), &a, &verdict, &err), REFUSED_POLICY);
		assert_true(verdict.n_checks > 0);
		assert_false(verdict.passed);
		vs_services_free(s);
	}
}

/* An attempt, so that it has a verdict to record, and no more than that: mended, the next one is
 * made. */
static void
a_policy_that_cannot_be_read_refuses_the_attempt(void **state)
{
	static const struct {
		const char *text; /* NULL: no file */
		enum vs_code code;
	} cases[] = {{NULL, VS_E_CONFIG_FILE}, {"{\"anyOf\":[]}", VS_E_POLICY_FILE},
		{"{\"version\":", VS_E_POLICY_FILE}};
	VS_CLEANUP(vs_buf_done) struct vs_buf good = {.max = 1 << 16};
	struct vs_err err = {0};

	(void)state;
	assert_ok(vs_file_read(ak_token().policy, good.max, VS_FILE_TRUSTED, &good, &err), &err);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct vs_conf_token token = ak_token();
		char path[1200] = "";
		struct vs_attestation *a = NULL;
		struct vs_catalog_data *c = NULL;
		struct vs_verdict verdict = {0};
		(void)snprintf(path, sizeof path, "%s",
			ak_write("bad-policy.json", cases[i].text ? cases[i].text : ""));
		if (cases[i].text == NULL)
			assert_int_equal(unlink(path), 0);
		token.policy = path;
		struct vs_services *s = ak_services(&token, VS_LOG_ERROR);
		assert_ok(vs_services_catalog(s, ak_in_ms(30000), &c, &err), &err);
		vs_catalog_data_free(c);
		assert_int_equal(vs_services_attest(s, ak_in_ms(30000), &a, &verdict, NULL).code,
			cases[i].code);
		assert_null(a);
		assert_int_equal(verdict.n_checks, 1);
		assert_false(verdict.passed);
		assert_string_equal(verdict.checks[0].seen, "unreadable");
		(void)ak_write("bad-policy.json", vs_buf_cstr(&good));
		assert_ok(vs_services_attest(s, ak_in_ms(30000), &a, &verdict, &err), &err);
		vs_attestation_unref(a);
		vs_services_free(s);
	}
}

static void
tries_the_next_provider_when_one_is_away(void **state)
{
	struct vs_conf_token token = ak_token();
	char *fallback[] = {token.attestation, NULL};
	static char nobody[] = "https://localhost:1";
	struct vs_attestation *a = NULL;
	struct vs_verdict verdict = {0};
	struct vs_err err = {0};

	(void)state;
	token.attestation = nobody;
	token.attestation_fallback = fallback;
	struct vs_services *s = ak_services(&token, VS_LOG_ERROR);
	assert_ok(vs_services_attest(s, ak_in_ms(30000), &a, &verdict, &err), &err);
	assert_string_equal(a->issuer, fallback[0]);
	vs_attestation_unref(a);
	vs_services_free(s);
	token.attestation_fallback = NULL;
	s = ak_services(&token, VS_LOG_ERROR);
	a = NULL;
	assert_code(vs_services_attest(s, ak_in_ms(30000), &a, &verdict, &err), CONNECT);
	vs_services_free(s);
}

static void
a_key_that_is_disabled_or_deleted_is_gone(void **state)
{
	const struct vs_conf_token token = ak_token();
	struct vs_services *s = ak_services(&token, VS_LOG_ERROR);
	VS_CLEANUP(vs_secret_done) struct vs_secret key = {0};
	struct vs_release_info info = {0};
	struct vs_catalog_data *c = NULL;
	struct vs_attestation *a = NULL;
	struct vs_verdict verdict = {0};
	struct vs_err err = {0};

	(void)state;
	AK_LAB("key", "create", "short-lived", "--type", "ec-p256");
	assert_ok(vs_services_catalog(s, ak_in_ms(30000), &c, &err), &err);
	const struct vs_cat_entry *e = NULL;
	for (size_t i = 0; i < c->n; i++) {
		if (vs_bytes_eq_str(c->entries[i].name, "short-lived"))
			e = &c->entries[i];
	}
	assert_non_null(e);
	assert_ok(vs_services_attest(s, ak_in_ms(30000), &a, &verdict, &err), &err);
	AK_LAB("key", "disable", "short-lived");
	assert_code(vs_services_release(s, a, e, ak_in_ms(30000), &key, &info, &err), KEY_GONE);
	AK_LAB("key", "enable", "short-lived");
	assert_ok(vs_services_release(s, a, e, ak_in_ms(30000), &key, &info, &err), &err);
	ak_check_pair(e, &key);
	AK_LAB("key", "delete", "short-lived");
	assert_code(vs_services_release(s, a, e, ak_in_ms(30000), &key, &info, &err), KEY_GONE);
	vs_attestation_unref(a);
	vs_catalog_data_free(c);
	vs_services_free(s);
}

static char *
env_text(const char *name)
{
	char *value = getenv(name);

	assert_non_null(value);
	return value;
}

static void
every_kind_of_credential_opens_the_vault(void **state)
{
	static const enum vs_credential kinds[] = {
		VS_CRED_CLIENT_SECRET_FILE, VS_CRED_CLIENT_CERTIFICATE, VS_CRED_WORKLOAD_IDENTITY};
	static const char *const ids[] = {"CLIENT_ID", "CERT_CLIENT_ID", "WI_CLIENT_ID"};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct vs_conf_token token = ak_token();
		char secret[1200];
		struct vs_catalog_data *c = NULL;
		struct vs_err err = {0};
		token.credential = kinds[i];
		token.authority = env_text("AUTHORITY_URL");
		token.tenant_id = env_text("TENANT_ID");
		token.client_id = env_text(ids[i]);
		(void)snprintf(secret, sizeof secret, "%s",
			ak_write("one-secret", env_text("CLIENT_SECRET")));
		token.client_secret_file = secret;
		token.client_certificate_file = env_text("CLIENT_CERT_FILE");
		token.federated_token_file = env_text("FEDERATED_TOKEN_FILE");
		struct vs_services *s = ak_services(&token, VS_LOG_ERROR);
		assert_ok(vs_services_catalog(s, ak_in_ms(30000), &c, &err), &err);
		assert_true(c->n >= 4);
		vs_catalog_data_free(c);
		vs_services_free(s);
		/* The same with the identity of another kind is no identity. */
		token.client_id = env_text(ids[(i + 1) % 3]);
		s = ak_services(&token, VS_LOG_ERROR);
		assert_code(vs_services_catalog(s, ak_in_ms(30000), &c, &err), CREDENTIAL);
		vs_services_free(s);
	}
}

/* Every announced hash is undone inside the TPM, every form of private key is taken. */
static void
every_wrapping_and_every_form_is_opened(void **state)
{
	static const enum vs_wrap_alg wraps[] = {VS_WRAP_CKM, VS_WRAP_256, VS_WRAP_384};
	static const char *const forms[][3] = {{"f-named", "named", "ec-p256"},
		{"f-public", "public", "ec-p256k"}, {"f-explicit", "explicit", "ec-p256k"},
		{"f-explicit-384", "explicit", "ec-p384"}};

	(void)state;
	for (size_t i = 0; i < 4; i++)
		AK_LAB("key", "create", forms[i][0], "--type", forms[i][2], "--pkcs8", forms[i][1]);
	for (size_t i = 0; i < 3; i++) {
		struct vs_conf_token token = ak_token();
		struct vs_catalog_data *c = NULL;
		struct vs_attestation *a = NULL;
		struct vs_verdict verdict = {0};
		struct vs_err err = {0};
		token.wrap = wraps[i];
		struct vs_services *s = ak_services(&token, VS_LOG_ERROR);
		assert_ok(vs_services_catalog(s, ak_in_ms(30000), &c, &err), &err);
		assert_int_equal(c->n, 8);
		assert_ok(vs_services_attest(s, ak_in_ms(30000), &a, &verdict, &err), &err);
		release_all(s, a, c);
		vs_attestation_unref(a);
		vs_catalog_data_free(c);
		vs_services_free(s);
	}
	for (size_t i = 0; i < 4; i++)
		AK_LAB("key", "delete", forms[i][0]);
}

static void
settings_that_cannot_be_honoured_are_refused(void **state)
{
	struct vs_services *s = NULL;

	(void)state;
#define REFUSED(code_, change_) \
	do { \
		struct vs_conf_token token = ak_token(); \
		change_; \
		const struct vs_services_env env = ak_env(&token, VS_LOG_ERROR); \
		assert_code(vs_services_new(&env, &s, NULL), code_); \
		assert_null(s); \
	} while (0)
	REFUSED(CONFIG_MISSING, token.service_evidence = VS_REQUIRE_ON);
	REFUSED(CONFIG_VALUE, token.evidence = VS_EVIDENCE_SGX);
	REFUSED(CONFIG_MISSING, token.attestation = NULL);
	REFUSED(CONFIG_MISSING, token.credential = VS_CRED_NONE);
#undef REFUSED
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attests_and_releases_every_key_of_every_token),
		cmocka_unit_test(releases_keys_side_by_side),
		cmocka_unit_test_teardown(
			a_pcr_that_changes_later_makes_the_attestation_useless, undo),
		cmocka_unit_test_teardown(a_machine_that_was_tampered_with_is_refused, undo),
		cmocka_unit_test(local_policy_decides_whatever_the_service_says),
		cmocka_unit_test(a_policy_that_cannot_be_read_refuses_the_attempt),
		cmocka_unit_test(tries_the_next_provider_when_one_is_away),
		cmocka_unit_test(every_kind_of_credential_opens_the_vault),
		cmocka_unit_test(every_wrapping_and_every_form_is_opened),
		cmocka_unit_test(settings_that_cannot_be_honoured_are_refused),
		cmocka_unit_test(a_key_that_is_disabled_or_deleted_is_gone),
	};

	return cmocka_run_group_tests(tests, group_up, group_down);
}
