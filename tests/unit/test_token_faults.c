/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory that runs out at every single allocation, one run per allocation: ours, the JSON library's
 * and libcrypto's. Nothing is accepted that would not be accepted otherwise, nothing half made is
 * handed out, and a good token is either accepted or answered with an error.
 */
#include <openssl/crypto.h>

#include <jansson.h>

#include "unit/token_cases.h"

static size_t left = SIZE_MAX; /* allocations until one fails */
static bool failed;

static bool
fails_now(void)
{
	if (left == SIZE_MAX)
		return false;
	if (left-- != 0)
		return false;
	left = SIZE_MAX;
	failed = true;
	return true;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t m);
void *__real_realloc(void *p, size_t n);
void *__real_reallocarray(void *p, size_t n, size_t m);
char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t m);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_reallocarray(void *p, size_t n, size_t m);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);

void *
__wrap_malloc(size_t n)
{
	return fails_now() ? NULL : __real_malloc(n);
}

void *
__wrap_calloc(size_t n, size_t m)
{
	return fails_now() ? NULL : __real_calloc(n, m);
}

void *
__wrap_realloc(void *p, size_t n)
{
	return fails_now() ? NULL : __real_realloc(p, n);
}

void *
__wrap_reallocarray(void *p, size_t n, size_t m)
{
	return fails_now() ? NULL : __real_reallocarray(p, n, m);
}

char *
__wrap_strdup(const char *s)
{
	return fails_now() ? NULL : __real_strdup(s);
}

char *
__wrap_strndup(const char *s, size_t n)
{
	return fails_now() ? NULL : __real_strndup(s, n);
}

static void *
crypto_malloc(size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	return n == 0 || fails_now() ? NULL : __real_malloc(n);
}

static void *
crypto_realloc(void *p, size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	if (n == 0) {
		free(p);
		return NULL;
	}
	return fails_now() ? NULL : __real_realloc(p, n);
}

static void
crypto_free(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	free(p);
}

/* ---- one judgement from the texts on ------------------------------------------------------ */

static vs_rc
judge(const struct token_case *c, struct vs_err *err)
{
	VS_CLEANUP(vs_jwks_unrefp) struct vs_jwks *jwks = NULL;
	VS_CLEANUP(vs_policy_unrefp) struct vs_policy *policy = NULL;
	VS_CLEANUP(vs_token_facts_done) struct vs_token_facts facts = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf hex = {0};
	struct vs_verdict verdict = {0};
	struct vs_policy_report report = {0};
	struct vs_validate_in in = {0};
	const struct vs_bytes jwks_bytes = jwks_text(c->jwks),
			      policy_bytes = policy_text(c->policy);

	VS_TRY(vs_jwks_parse(jwks_bytes, &jwks, err));
	VS_TRY(vs_policy_parse(policy_bytes, &policy, err));
	in.token = c->token;
	in.jwks = jwks;
	in.policy = policy;
	in.issuer = c->issuer;
	in.at_unix = c->at;
	in.skew_s = 60;
	VS_TRY(vs_nonce_from_text(c->nonce, &hex, &in, err));
	const vs_rc rc = vs_validate(&in, &facts, &verdict, &report, err);
	assert_true(!vs_failed(rc) || facts.claims.p == NULL);
	assert_true(vs_failed(rc) || verdict.passed);
	vs_policy_report_done(&report);
	return rc;
}

/* How many allocations one judgement makes, and what it says with all of them. */
static size_t
run_all(const struct token_case *c, bool good)
{
	size_t n = 0;
	for (;; n++) {
		struct vs_err err = {0};
		failed = false;
		left = n;
		const vs_rc rc = judge(c, &err);
		left = SIZE_MAX;
		if (!failed) {
			assert_int_equal(!vs_failed(rc), good);
			return n;
		}
		if (!good)
			assert_true(vs_failed(rc));
		assert_true(!vs_failed(rc) || err.n_frames > 0);
	}
}

static void
a_good_token_is_accepted_or_an_error(void **state)
{
	(void)state;
	const size_t n = run_all(&token_cases[0], true);
	print_message("%zu allocations failed one by one\n", n);
	assert_true(n > 100);
}

static void
a_bad_token_is_never_accepted(void **state)
{
	size_t done = 0;
	(void)state;
	for (size_t i = 0; i < token_cases_n && done < 40; i += 23) {
		const struct token_case *c = &token_cases[i];
		if (c->expect[0] == '\0' || c->ask_key || c->world != VS_WORLD_PRODUCTION)
			continue;
		(void)run_all(c, false);
		done++;
	}
	assert_int_equal(done, 40);
}

static int
setup(void **state)
{
	(void)state;
	token_cases_init();
	struct vs_err err = {0};
	/* Algorithms that are fetched at first use are not what this is about. */
	assert_ok(judge(&token_cases[0], &err), &err);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	token_cases_done();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_token_is_accepted_or_an_error),
		cmocka_unit_test(a_bad_token_is_never_accepted),
	};
	if (CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc, crypto_free) != 1)
		return 1;
	json_set_alloc_funcs(__wrap_malloc, free);
	return cmocka_run_group_tests(tests, setup, teardown);
}
