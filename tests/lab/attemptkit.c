/* SPDX-License-Identifier: BSD-2-Clause */
#include "lab/attemptkit.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/http_curl.h"
#include "unit/unit.h"

extern char **environ;

static struct vs_conf *conf;
static struct vs_arena *arena;
static struct vs_http_curl *http;
static int64_t request_limit_ms;

void
ak_up(int64_t request_ms)
{
	const char *path = getenv("VOUCHSAFE_CONF");
	struct vs_err err = {0};

	assert_non_null(path);
	assert_ok(vs_conf_load(path, &conf, &err), &err);
	assert_ok(vs_arena_new(1 << 18, 8 << 20, VS_LOCK_WARN, &arena, &err), &err);
	request_limit_ms = request_ms;
	ak_cold();
}

void
ak_cold(void)
{
	struct vs_err err = {0};
	const struct vs_http_curl_env env = {.ca_bundle = conf->ca_bundle,
		.clock = vs_clock_system(),
		.request_timeout_ms = request_limit_ms};

	vs_http_curl_free(http);
	http = NULL;
	assert_ok(vs_http_curl_new(&env, &http, &err), &err);
}

void
ak_down(void)
{
	vs_http_curl_free(http);
	vs_arena_free(arena);
	vs_conf_free(conf);
}

const struct vs_conf *
ak_conf(void)
{
	return conf;
}

struct vs_conf_token
ak_token(void)
{
	return conf->tokens[0];
}

struct vs_services_env
ak_env(const struct vs_conf_token *token, enum vs_log_level level)
{
	return (struct vs_services_env){
		.conf = conf,
		.token = token,
		.arena = arena,
		.clock = vs_clock_system(),
		.rng = vs_rng_system(),
		.log = vs_log_stderr(level),
		.http = vs_http_curl_port(http),
	};
}

struct vs_services *
ak_services(const struct vs_conf_token *token, enum vs_log_level level)
{
	const struct vs_services_env env = ak_env(token, level);
	struct vs_services *s = NULL;
	struct vs_err err = {0};

	assert_ok(vs_services_new(&env, &s, &err), &err);
	return s;
}

int64_t
ak_in_ms(int64_t ms)
{
	const struct vs_clock c = vs_clock_system();

	return c.ops->boot_ns(c.self) + ms * 1000000;
}

double
ak_ms_since(int64_t then_boot_ns)
{
	return (double)(ak_in_ms(0) - then_boot_ns) / 1e6;
}

void
ak_lab(const char *const *words)
{
	const char *build = getenv("VS_BUILDDIR");
	char program[1024];
	char *argv[12] = {program};
	posix_spawn_file_actions_t quiet;
	pid_t pid = 0;
	int status = 0;

	(void)snprintf(program, sizeof program, "%s/vouchsafe-lab",
		build != NULL ? build : VS_TEST_BUILDDIR);
	for (size_t i = 0; words[i] != NULL; i++) {
		assert_true(i < 10);
		argv[i + 1] = strdup(words[i]);
	}
	assert_int_equal(posix_spawn_file_actions_init(&quiet), 0);
	assert_int_equal(posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0), 0);
	assert_int_equal(posix_spawn(&pid, program, &quiet, NULL, argv, environ), 0);
	posix_spawn_file_actions_destroy(&quiet);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail_msg("vouchsafe-lab %s %s: status %d", words[0], words[1], status);
	for (size_t i = 1; argv[i] != NULL; i++)
		free(argv[i]);
}

void
ak_check_pair(const struct vs_cat_entry *e, const struct vs_secret *key)
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

const char *
ak_write(const char *name, const char *text)
{
	static char path[1200];
	const char *dir = getenv("VOUCHSAFE_LAB");

	assert_non_null(dir);
	(void)snprintf(path, sizeof path, "%s/%s", dir, name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0600), 0);
	return path;
}
