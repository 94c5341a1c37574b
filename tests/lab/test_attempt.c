/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The whole way against the lab, with its TPM and its services: catalog, attestation, release.
 * Run by `vouchsafe-lab run`, which sets VOUCHSAFE_CONF.
 */
#include <time.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/clock.h"
#include "base/log.h"
#include "gate/attempt.h"
#include "net/http_curl.h"
#include "unit/unit.h"

struct world {
	struct vs_conf *conf;
	struct vs_arena *arena;
	struct vs_http_curl *http;
	struct vs_services *services;
	const struct vs_conf_token *token;
};

static struct world world;

static int64_t
in_s(int s)
{
	const struct vs_clock c = vs_clock_system();

	return c.ops->boot_ns(c.self) + (int64_t)s * 1000000000;
}

static double
ms_since(int64_t then_ns)
{
	return (double)(in_s(0) - then_ns) / 1e6;
}

static struct vs_services_env
env_for(const struct vs_conf_token *token)
{
	return (struct vs_services_env){
		.conf = world.conf,
		.token = token,
		.arena = world.arena,
		.clock = vs_clock_system(),
		.rng = vs_rng_system(),
		.log = vs_log_stderr(VS_LOG_WARN),
		.http = vs_http_curl_port(world.http),
	};
}

static int
group_up(void **state)
{
	const char *path = getenv("VOUCHSAFE_CONF");
	struct vs_err err = {0};

	(void)state;
	assert_non_null(path);
	assert_ok(vs_conf_load(path, &world.conf, &err), &err);
	assert_ok(vs_arena_new(1 << 18, 8 << 20, VS_LOCK_WARN, &world.arena, &err), &err);
	const struct vs_http_curl_env env = {
		.ca_bundle = world.conf->ca_bundle, .clock = vs_clock_system()};
	assert_ok(vs_http_curl_new(&env, &world.http, &err), &err);
	return 0;
}

static int
group_down(void **state)
{
	(void)state;
	vs_http_curl_free(world.http);
	vs_arena_free(world.arena);
	vs_conf_free(world.conf);
	return 0;
}

static void
check_pair(const struct vs_cat_entry *e, const struct vs_secret *key)
{
	const unsigned char *p = key->p;
	const unsigned char *q = e->spki.p;

	if (e->type == VS_KEY_AES) {
		assert_true(key->n == 16 || key->n == 24 || key->n == 32);
		return;
	}
	EVP_PKEY *priv = d2i_AutoPrivateKey(NULL, &p, (long)key->n);
	EVP_PKEY *pub = d2i_PUBKEY(NULL, &q, (long)e->spki.n);
	assert_non_null(priv);
	assert_non_null(pub);
	assert_int_equal(EVP_PKEY_eq(priv, pub), 1);
	EVP_PKEY_free(priv);
	EVP_PKEY_free(pub);
}

static void
release_all(struct vs_services *s, struct vs_attestation *a, const struct vs_catalog_data *c)
{
	struct vs_err err = {0};

	for (size_t i = 0; i < c->n; i++) {
		VS_CLEANUP(vs_secret_done) struct vs_secret key = {0};
		struct vs_release_info info = {0};
		const int64_t t = in_s(0);
		const vs_rc rc =
			vs_services_release(s, a, &c->entries[i], in_s(60), &key, &info, &err);
		assert_ok(rc, &err);
		check_pair(&c->entries[i], &key);
		assert_int_equal(strlen(info.policy_sha256), 64);
		assert_true(info.request_id[0] != '\0');
		print_message("  released %.*s in %.0f ms\n", (int)c->entries[i].name.n,
			(const char *)c->entries[i].name.p, ms_since(t));
	}
}

static void
attests_and_releases_every_key_of_every_token(void **state)
{
	(void)state;
	for (size_t i = 0; i < world.conf->n_tokens; i++) {
		const struct vs_services_env env = env_for(&world.conf->tokens[i]);
		struct vs_services *s = NULL;
		struct vs_catalog_data *c = NULL;
		struct vs_attestation *a = NULL;
		struct vs_verdict verdict = {0};
		struct vs_err err = {0};
		assert_ok(vs_services_new(&env, &s, &err), &err);
		int64_t t = in_s(0);
		assert_ok(vs_services_catalog(s, in_s(30), &c, &err), &err);
		print_message("%s: catalog of %zu keys in %.0f ms\n", env.token->label, c->n,
			ms_since(t));
		assert_true(c->n >= 4);
		t = in_s(0);
		assert_ok(vs_services_attest(s, in_s(30), &a, &verdict, &err), &err);
		print_message("%s: attested in %.0f ms, %zu checks\n", env.token->label,
			ms_since(t), verdict.n_checks);
		assert_true(verdict.passed);
		assert_string_equal(a->issuer, env.token->attestation);
		assert_true(a->exp_unix > time(NULL));
		release_all(s, a, c);
		vs_attestation_unref(a);
		vs_catalog_data_free(c);
		vs_services_free(s);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attests_and_releases_every_key_of_every_token),
	};

	return cmocka_run_group_tests(tests, group_up, group_down);
}
