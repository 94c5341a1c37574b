/* SPDX-License-Identifier: BSD-2-Clause */
/* A guest's manners: no power to the host's configuration, no traces in the host's OpenSSL, fork
 * and end of process. */
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <sys/inotify.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crypto/cipher.h"
#include "crypto/derive.h"
#include "crypto/hash.h"
#include "crypto/keywrap.h"
#include "crypto/ossl.h"
#include "crypto/rsa_crypt.h"
#include "crypto/sign.h"
#include "unit/unit.h"

static const struct vs_sign_params ecdsa = {.scheme = VS_SIGN_ECDSA, .hash = VS_HASH_SHA256};

/* Something of everything, also operations that fail. */
static void
use_everything(struct vs_ossl *o, struct vs_arena *arena)
{
	struct vs_pkey *rsa = NULL, *ec = NULL, *aes = NULL, *bad = NULL;
	struct vs_secret der = {0}, out = {0};
	struct vs_buf point = {.max = 256};
	struct vs_err err = {0};
	uint8_t buf[1024], digest[64];
	size_t n = 0;

	assert_ok(vs_pkey_generate_rsa(o, 2048, vs_bytes_of(NULL, 0), &rsa, &err), &err);
	assert_ok(vs_pkey_generate_ec(o, VS_CURVE_P256, &ec, &err), &err);
	assert_ok(vs_pkey_generate_octets(o, arena, VS_KEY_AES, 32, &aes, &err), &err);
	assert_ok(vs_pkey_export(rsa, arena, &der, &err), &err);
	struct vs_pkey *again = NULL;
	assert_ok(vs_pkey_from_pkcs8(o, vs_secret_view(&der), &again, &err), &err);
	der.p[40] ^= 1;
	assert_true(vs_failed(vs_pkey_from_pkcs8(o, vs_secret_view(&der), &bad, &err)));
	assert_true(vs_failed(vs_pkey_from_pkcs8(o, vs_bytes_str("garbage"), &bad, &err)));
	assert_true(vs_failed(vs_pkey_from_spki(o, vs_bytes_str("garbage"), &bad, &err)));
	vs_pkey_unref(again);

	struct vs_signer *s = NULL;
	assert_ok(vs_signer_new(ec, &ecdsa, false, &s, &err), &err);
	assert_ok(vs_signer_sign_once(s, vs_bytes_str("m"), buf, sizeof buf, &n, &err), &err);
	vs_signer_free(s);
	assert_ok(vs_signer_new(ec, &ecdsa, true, &s, &err), &err);
	buf[3] ^= 1;
	assert_code(
		vs_signer_verify_once(s, vs_bytes_str("m"), vs_bytes_of(buf, n), &err), SIGNATURE);
	vs_signer_free(s);

	for (enum vs_rsa_scheme scheme = VS_RSA_OAEP; scheme <= VS_RSA_PKCS1; scheme++) {
		const struct vs_rsa_params p = {
			.scheme = scheme, .hash = VS_HASH_SHA1, .mgf_hash = VS_HASH_SHA1};
		struct vs_rsa *r = NULL;
		assert_ok(vs_rsa_new(rsa, &p, false, &r, &err), &err);
		memset(buf, 0x11, 256);
		assert_true(vs_failed(vs_rsa_decrypt(r, vs_bytes_of(buf, 256), buf, sizeof buf, &n,
				    &err)) == (scheme == VS_RSA_OAEP));
		vs_rsa_free(r);
	}
	static const enum vs_cipher_mode modes[] = {
		VS_CIPHER_GCM, VS_CIPHER_CCM, VS_CIPHER_CBC_PAD};
	for (size_t i = 0; i < 3; i++) {
		const struct vs_cipher_params p = {
			.iv = vs_bytes_of(buf, i < 2 ? 12 : 16), .tag_bytes = 16, .data_bytes = 32};
		struct vs_cipher *c = NULL;
		assert_ok(vs_cipher_new(aes, modes[i], false, &c, &err), &err);
		assert_ok(vs_cipher_start(c, &p, &err), &err);
		assert_code(
			vs_cipher_once(c, vs_bytes_of(buf, 48), buf, sizeof buf, &n, &err), DATA);
		vs_cipher_free(c);
	}
	assert_code(vs_unwrap(aes, VS_WRAP_KWP, vs_bytes_of(NULL, 0), vs_bytes_of(buf, 32), arena,
			    &out, &err),
		DATA);
	assert_ok(vs_hash_once(o, VS_HASH_SHA3_512, vs_bytes_str("x"), digest, &err), &err);
	assert_ok(
		vs_hmac_once(o, VS_HASH_SHA256, vs_bytes_str(""), vs_bytes_str("x"), digest, &err),
		&err);
	assert_ok(vs_pkey_ec_point(ec, &point, &err), &err);
	point.p[9] ^= 1;
	const struct vs_ecdh_params ecdh = {.point = vs_buf_view(&point)};
	assert_code(vs_derive_ecdh(ec, &ecdh, 0, arena, &out, &err), PARAM);
	vs_buf_done(&point);
	vs_secret_done(&der);
	vs_pkey_unref(rsa);
	vs_pkey_unref(ec);
	vs_pkey_unref(aes);
}

static void
world(struct vs_ossl **o, struct vs_arena **arena)
{
	struct vs_err err = {0};
	assert_ok(vs_ossl_new(o, &err), &err);
	assert_ok(vs_arena_new(64 << 10, 1 << 20, VS_LOCK_WARN, arena, &err), &err);
}

/* A configuration that makes the default context useless: everything must be FIPS, nothing is. */
static const char hostile[] =
	"openssl_conf = init\n[init]\nalg_section = algs\nproviders = provs\n"
	"[algs]\ndefault_properties = fips=yes\n"
	"[provs]\nnothing = none\n[none]\nmodule = /nonexistent/evil.so\nactivate = 1\n";

static void
use_symmetric(struct vs_ossl *o)
{
	struct vs_err err = {0};
	uint8_t digest[64];

	for (enum vs_hash h = VS_HASH_SHA1; h < VS_HASH_COUNT_; h++) {
		assert_ok(vs_hash_once(o, h, vs_bytes_str("x"), digest, &err), &err);
		assert_ok(vs_hmac_once(o, h, vs_bytes_str("k"), vs_bytes_str("x"), digest, &err),
			&err);
	}
}

/* Runs first: a process loads its configuration once. */
static void
the_hosts_configuration_has_no_power_over_us(void **state)
{
	char dir[] = "/tmp/vs-ossl-XXXXXX", path[64], events[4096];
	struct vs_ossl *o = NULL;
	struct vs_arena *arena = NULL;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof path, "%s/openssl.cnf", dir);
	const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, hostile, sizeof hostile - 1), sizeof hostile - 1);
	assert_int_equal(close(fd), 0);
	assert_int_equal(setenv("OPENSSL_CONF", path, 1), 0);
	const int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	assert_true(inotify_add_watch(watch, path, IN_OPEN) >= 0);
	world(&o, &arena);
	assert_true(read(watch, events, sizeof events) > 0); /* at a known place */
	use_symmetric(o);
	use_everything(o, arena);
	/* the default context is under its spell, we are not */
	ERR_set_mark();
	assert_null(EVP_MD_fetch(NULL, "SHA256", NULL));
	ERR_pop_to_mark();
	use_everything(o, arena);
	use_symmetric(o);
	assert_int_equal(EVP_set_default_properties(NULL, ""), 1);
	vs_ossl_unref(o);
	vs_arena_free(arena);
	assert_int_equal(close(watch), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
}

static void
the_error_queue_is_left_alone(void **state)
{
	struct vs_ossl *o = NULL;
	struct vs_arena *arena = NULL;

	(void)state;
	ERR_clear_error();
	world(&o, &arena);
	use_everything(o, arena);
	assert_int_equal(ERR_peek_error(), 0);
	ERR_raise(ERR_LIB_USER, 17);
	ERR_raise(ERR_LIB_USER, 18);
	use_everything(o, arena);
	vs_ossl_unref(o);
	vs_arena_free(arena);
	assert_int_equal(ERR_GET_REASON(ERR_get_error()), 17);
	assert_int_equal(ERR_GET_REASON(ERR_get_error()), 18);
	assert_int_equal(ERR_get_error(), 0);
}

static void
keys_and_contexts_outlive_the_library_handle(void **state)
{
	struct vs_ossl *o = NULL;
	struct vs_arena *arena = NULL;
	struct vs_pkey *ec = NULL;
	struct vs_signer *s = NULL;
	struct vs_err err = {0};
	uint8_t sig[64];
	size_t n = 0;

	(void)state;
	world(&o, &arena);
	assert_ok(vs_pkey_generate_ec(o, VS_CURVE_P256, &ec, &err), &err);
	assert_ok(vs_signer_new(ec, &ecdsa, false, &s, &err), &err);
	vs_ossl_unref(o);
	vs_pkey_unref(ec);
	assert_ok(vs_signer_sign_once(s, vs_bytes_str("m"), sig, sizeof sig, &n, &err), &err);
	vs_signer_free(s);
	vs_signer_free(NULL);
	vs_cipher_free(NULL);
	vs_digest_free(NULL);
	vs_rsa_free(NULL);
	vs_pkey_unref(NULL);
	vs_ossl_unref(NULL);
	vs_arena_free(arena);
}

static struct vs_pkey *shared_key;

static char fail_text[] = "failed";

static void *
sign_many(void *arg)
{
	struct vs_signer *s = NULL, *v = NULL;
	uint8_t sig[64];
	size_t n = 0;

	for (int i = 0; i < 50; i++) {
		if (vs_failed(vs_signer_new(shared_key, &ecdsa, false, &s, NULL)) ||
			vs_failed(vs_signer_new(shared_key, &ecdsa, true, &v, NULL)))
			return fail_text;
		for (int k = 0; k < 4; k++)
			if (vs_failed(vs_signer_sign_once(
				    s, vs_bytes_str("m"), sig, sizeof sig, &n, NULL)) ||
				vs_failed(vs_signer_verify_once(
					v, vs_bytes_str("m"), vs_bytes_of(sig, n), NULL)))
				return fail_text;
		vs_signer_free(s);
		vs_signer_free(v);
	}
	return arg;
}

static void
threads_share_a_key(void **state)
{
	enum { THREADS = 4 };
	pthread_t threads[THREADS];
	struct vs_ossl *o = NULL;
	struct vs_arena *arena = NULL;
	struct vs_err err = {0};

	(void)state;
	world(&o, &arena);
	assert_ok(vs_pkey_generate_ec(o, VS_CURVE_P256, &shared_key, &err), &err);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, sign_many, NULL), 0);
	for (int i = 0; i < THREADS; i++) {
		void *said = NULL;
		assert_int_equal(pthread_join(threads[i], &said), 0);
		assert_null(said);
	}
	vs_pkey_unref(shared_key);
	vs_ossl_unref(o);
	vs_arena_free(arena);
}

/* Runs in a child; the status is the line that failed. */
#define CHILD_REQUIRE(cond) \
	do { \
		if (!(cond)) \
			_exit(__LINE__ % 250 + 1); \
	} while (0)

static void
assert_child(pid_t child)
{
	int status = 0;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void
a_forked_child_drops_the_old_and_makes_a_new_one(void **state)
{
	struct vs_ossl *o = NULL;
	struct vs_arena *arena = NULL;
	struct vs_pkey *ec = NULL, *aes = NULL;
	struct vs_signer *s = NULL;
	struct vs_err err = {0};

	(void)state;
	world(&o, &arena);
	assert_ok(vs_pkey_generate_ec(o, VS_CURVE_P256, &ec, &err), &err);
	assert_ok(vs_pkey_generate_octets(o, arena, VS_KEY_AES, 32, &aes, &err), &err);
	assert_ok(vs_signer_new(ec, &ecdsa, false, &s, &err), &err);
	const pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		(void)alarm(20);
		vs_ossl_abandon(o);
		vs_arena_abandon(arena);
		vs_signer_free(s);
		vs_pkey_unref(ec);
		vs_pkey_unref(aes);
		vs_ossl_unref(o);
		struct vs_ossl *mine = NULL;
		struct vs_pkey *k = NULL;
		struct vs_signer *own = NULL;
		uint8_t sig[64];
		size_t n = 0;
		CHILD_REQUIRE(!vs_failed(vs_ossl_new(&mine, &err)));
		CHILD_REQUIRE(!vs_failed(vs_pkey_generate_ec(mine, VS_CURVE_P256, &k, &err)));
		CHILD_REQUIRE(!vs_failed(vs_signer_new(k, &ecdsa, false, &own, &err)));
		CHILD_REQUIRE(!vs_failed(
			vs_signer_sign_once(own, vs_bytes_str("m"), sig, sizeof sig, &n, &err)));
		vs_signer_free(own);
		vs_pkey_unref(k);
		vs_ossl_unref(mine);
		_exit(0);
	}
	assert_child(child);
	uint8_t sig[64];
	size_t n = 0;
	assert_ok(vs_signer_sign_once(s, vs_bytes_str("m"), sig, sizeof sig, &n, &err), &err);
	vs_signer_free(s);
	vs_pkey_unref(ec);
	vs_pkey_unref(aes);
	vs_ossl_unref(o);
	vs_arena_free(arena);
}

static void
after_libcrypto_has_ended_only_plain_memory_is_freed(void **state)
{
	struct vs_ossl *o = NULL;
	struct vs_arena *arena = NULL;
	struct vs_err err = {0};

	(void)state;
	world(&o, &arena);
	const pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		(void)alarm(20);
		struct vs_pkey *ec = NULL, *aes = NULL;
		struct vs_signer *s = NULL;
		struct vs_cipher *c = NULL;
		struct vs_digest *d = NULL;
		struct vs_ossl *mine = NULL, *late = NULL;
		uint8_t out[64];
		size_t n = 0;
		CHILD_REQUIRE(!vs_failed(vs_ossl_new(&mine, &err)));
		CHILD_REQUIRE(
			!vs_failed(vs_arena_new(64 << 10, 1 << 20, VS_LOCK_WARN, &arena, &err)));
		CHILD_REQUIRE(!vs_failed(vs_pkey_generate_ec(mine, VS_CURVE_P256, &ec, &err)));
		CHILD_REQUIRE(!vs_failed(
			vs_pkey_generate_octets(mine, arena, VS_KEY_AES, 32, &aes, &err)));
		CHILD_REQUIRE(!vs_failed(vs_signer_new(ec, &ecdsa, false, &s, &err)));
		CHILD_REQUIRE(!vs_failed(vs_cipher_new(aes, VS_CIPHER_GCM, true, &c, &err)));
		CHILD_REQUIRE(!vs_failed(vs_digest_new(mine, VS_HASH_SHA256, &d, &err)));
		CHILD_REQUIRE(!vs_ossl_gone());
		OPENSSL_cleanup();
		CHILD_REQUIRE(vs_ossl_gone());
		CHILD_REQUIRE(
			vs_signer_sign_once(s, vs_bytes_str("m"), out, sizeof out, &n, &err).code ==
			VS_E_STATE);
		CHILD_REQUIRE(vs_digest_start(d, &err).code == VS_E_STATE);
		CHILD_REQUIRE(vs_ossl_new(&late, &err).code == VS_E_STATE);
		vs_signer_free(s);
		vs_cipher_free(c);
		vs_digest_free(d);
		vs_pkey_unref(ec);
		vs_pkey_unref(aes);
		vs_ossl_unref(mine);
		vs_arena_free(arena);
		_exit(0);
	}
	assert_child(child);
	vs_ossl_unref(o);
	vs_arena_free(arena);
}

static void
random_bytes_do_not_repeat_in_a_child(void **state)
{
	uint8_t ours[32], theirs[32];
	struct vs_err err = {0};
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_ok(vs_random(ours, sizeof ours, &err), &err);
	const pid_t child = fork();
	if (child == 0) {
		CHILD_REQUIRE(!vs_failed(vs_random(theirs, sizeof theirs, NULL)));
		CHILD_REQUIRE(write(fds[1], theirs, sizeof theirs) == sizeof theirs);
		_exit(0);
	}
	assert_child(child);
	assert_ok(vs_random(ours, sizeof ours, &err), &err);
	assert_int_equal(read(fds[0], theirs, sizeof theirs), sizeof theirs);
	assert_memory_not_equal(ours, theirs, sizeof ours);
	assert_int_equal(close(fds[0]) | close(fds[1]), 0);
}

static void
a_digest_can_be_copied_and_used_again(void **state)
{
	struct vs_ossl *o = NULL;
	struct vs_digest *d = NULL, *copy = NULL;
	struct vs_err err = {0};
	uint8_t a[64], b[64], c[64];

	(void)state;
	assert_ok(vs_ossl_new(&o, &err), &err);
	for (enum vs_hash h = VS_HASH_SHA1; h < VS_HASH_COUNT_; h++) {
		assert_ok(vs_digest_new(o, h, &d, &err), &err);
		assert_int_equal(vs_digest_hash(d), h);
		assert_code(vs_digest_update(d, vs_bytes_str("x"), &err), STATE);
		assert_code(vs_digest_final(d, a, &err), STATE);
		assert_ok(vs_digest_start(d, &err), &err);
		assert_ok(vs_digest_update(d, vs_bytes_str("one "), &err), &err);
		assert_ok(vs_digest_copy(d, &copy, &err), &err);
		assert_ok(vs_digest_update(d, vs_bytes_str("two"), &err), &err);
		assert_ok(vs_digest_update(copy, vs_bytes_str("two"), &err), &err);
		assert_ok(vs_digest_final(d, a, &err), &err);
		assert_ok(vs_digest_final(copy, b, &err), &err);
		assert_ok(vs_digest_once(d, vs_bytes_str("one two"), c, &err), &err);
		assert_memory_equal(a, b, vs_hash_size(h));
		assert_memory_equal(a, c, vs_hash_size(h));
		EVP_MD *md = EVP_MD_fetch(vs_ossl_libctx(o), vs_hash_name(h), NULL);
		assert_int_equal(EVP_MD_get_size(md), vs_hash_size(h));
		assert_int_equal(EVP_MD_get_block_size(md), vs_hash_block(h));
		EVP_MD_free(md);
		vs_digest_free(d);
		vs_digest_free(copy);
	}
	assert_code(vs_digest_new(o, VS_HASH_NONE, &d, &err), PARAM);
	assert_code(vs_hash_once(o, VS_HASH_COUNT_, vs_bytes_str(""), a, &err), PARAM);
	vs_ossl_unref(o);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_hosts_configuration_has_no_power_over_us),
		cmocka_unit_test(the_error_queue_is_left_alone),
		cmocka_unit_test(keys_and_contexts_outlive_the_library_handle),
		cmocka_unit_test(threads_share_a_key),
		cmocka_unit_test(a_forked_child_drops_the_old_and_makes_a_new_one),
		cmocka_unit_test(after_libcrypto_has_ended_only_plain_memory_is_freed),
		cmocka_unit_test(random_bytes_do_not_repeat_in_a_child),
		cmocka_unit_test(a_digest_can_be_copied_and_used_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
