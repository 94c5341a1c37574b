/* SPDX-License-Identifier: BSD-2-Clause */
/* Where secrets are in this process's memory, and that they are nowhere when they are to be gone.
 */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/bn.h>
#include <openssl/evp.h>

#include "module/p11.h"

enum { MASK = 0x5a, SECRET = 32, AREA_MAX = 64 << 20 };

/* A secret that stands nowhere in memory as it is; most significant octet first. */
struct masked {
	uint8_t x[SECRET];
};

static void
new_secret(struct masked *m)
{
	FILE *f = fopen("/dev/urandom", "re");
	assert_non_null(f);
	setbuf(f, NULL);
	assert_int_equal(fread(m->x, 1, SECRET, f), SECRET);
	(void)fclose(f);
	m->x[0] &= 0x7f; /* below the order of P-256, also without its mask */
}

static void
unmask(const struct masked *m, uint8_t out[SECRET])
{
	for (size_t i = 0; i < SECRET; i++)
		out[i] = m->x[i] ^ MASK;
}

/* As octets, or as a number of OpenSSL's is kept: least significant octet first. */
__attribute__((no_sanitize("address"))) static bool
stands_at(const uint8_t *p, const struct masked *m)
{
	enum { ENOUGH = 16 };
	bool forth = true, back = true;
	for (size_t i = 0; i < ENOUGH && (forth || back); i++) {
		const uint8_t seen = p[i] ^ MASK;
		forth = forth && seen == m->x[i];
		back = back && seen == m->x[SECRET - 1 - i];
	}
	return forth || back;
}

__attribute__((no_sanitize("address"))) static size_t
count_in(const uint8_t *p, size_t n, const struct masked *m)
{
	size_t found = 0;
	for (size_t i = 0; i + SECRET <= n; i++)
		found += (p[i] == (m->x[0] ^ MASK) || p[i] == (m->x[SECRET - 1] ^ MASK)) &&
			stands_at(p + i, m);
	return found;
}

/* In everything that can be read here. */
static size_t
found_in_memory(const struct masked *m)
{
	char line[512], rights[8];
	size_t found = 0;
	FILE *f = fopen("/proc/self/maps", "re");
	assert_non_null(f);
	while (fgets(line, sizeof line, f)) {
		unsigned long from = 0, to = 0;
		if (sscanf(line, "%lx-%lx %7s", &from, &to, rights) != 3 || rights[0] != 'r' ||
			to - from > AREA_MAX || strstr(line, "[v"))
			continue;
		/* What a tool maps beside the program is not ours to read: it may be gone by now.
		 */
		found += count_in((const uint8_t *)from, to - from, m);
	}
	(void)fclose(f);
	return found;
}

static CK_OBJECT_HANDLE
make_hmac_key(CK_SESSION_HANDLE s, struct masked *m)
{
	const CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	const CK_KEY_TYPE type = CKK_GENERIC_SECRET;
	uint8_t value[SECRET];
	CK_OBJECT_HANDLE h = 0;
	new_secret(m);
	unmask(m, value);
	CK_ATTRIBUTE t[] = {
		ATTR(CKA_CLASS, class), ATTR(CKA_KEY_TYPE, type), BYTES(CKA_VALUE, value, SECRET)};
	assert_rv_ok(C_CreateObject(s, t, COUNT(t), &h));
	explicit_bzero(value, sizeof value);
	return h;
}

static CK_OBJECT_HANDLE
make_ec_key(CK_SESSION_HANDLE s, struct masked *m)
{
	static const uint8_t p256[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
	const CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
	const CK_KEY_TYPE type = CKK_EC;
	uint8_t value[SECRET];
	CK_OBJECT_HANDLE h = 0;
	new_secret(m);
	unmask(m, value);
	CK_ATTRIBUTE t[] = {ATTR(CKA_CLASS, class), ATTR(CKA_KEY_TYPE, type),
		BYTES(CKA_EC_PARAMS, p256, sizeof p256), BYTES(CKA_VALUE, value, SECRET)};
	assert_rv_ok(C_CreateObject(s, t, COUNT(t), &h));
	explicit_bzero(value, sizeof value);
	return h;
}

enum { N = 256, E = 3, D = 256, P = 128, Q = 128, RSA_OCTETS = N + E + D + P + Q };

/* By a child, so that no number of it is left here. */
static void
masked_rsa_key(uint8_t out[RSA_OCTETS])
{
	static const struct {
		const char *name;
		int n;
	} rows[] = {{"n", N}, {"e", E}, {"d", D}, {"rsa-factor1", P}, {"rsa-factor2", Q}};
	int ends[2];
	size_t got = 0;
	assert_int_equal(pipe(ends), 0);
	const pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		uint8_t all[RSA_OCTETS], *at = all;
		EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
		for (size_t i = 0; i < COUNT(rows); at += rows[i++].n) {
			BIGNUM *bn = NULL;
			if (EVP_PKEY_get_bn_param(key, rows[i].name, &bn) != 1 ||
				BN_bn2binpad(bn, at, rows[i].n) != rows[i].n)
				_exit(1);
		}
		for (size_t i = 0; i < sizeof all; i++)
			all[i] ^= MASK;
		_exit(write(ends[1], all, sizeof all) != (ssize_t)sizeof all);
	}
	(void)close(ends[1]);
	for (ssize_t n = 1; n > 0; got += (size_t)n)
		n = read(ends[0], out + got, RSA_OCTETS - got);
	(void)close(ends[0]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(got, RSA_OCTETS);
}

/* The secret to be looked for is the head of the first factor. */
static CK_OBJECT_HANDLE
make_rsa_key(CK_SESSION_HANDLE s, struct masked *m)
{
	const CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
	const CK_KEY_TYPE type = CKK_RSA;
	uint8_t v[RSA_OCTETS];
	CK_OBJECT_HANDLE h = 0;
	masked_rsa_key(v);
	memcpy(m->x, v + N + E + D, SECRET);
	for (size_t i = 0; i < sizeof v; i++)
		v[i] ^= MASK;
	CK_ATTRIBUTE t[] = {ATTR(CKA_CLASS, class), ATTR(CKA_KEY_TYPE, type),
		BYTES(CKA_MODULUS, v, N), BYTES(CKA_PUBLIC_EXPONENT, v + N, E),
		BYTES(CKA_PRIVATE_EXPONENT, v + N + E, D), BYTES(CKA_PRIME_1, v + N + E + D, P),
		BYTES(CKA_PRIME_2, v + N + E + D + P, Q)};
	assert_rv_ok(C_CreateObject(s, t, COUNT(t), &h));
	explicit_bzero(v, sizeof v);
	return h;
}

static void
sign_with(CK_SESSION_HANDLE s, CK_MECHANISM_TYPE type, CK_OBJECT_HANDLE key)
{
	uint8_t sig[256];
	CK_ULONG n = sizeof sig;
	assert_rv_ok(C_SignInit(s, MECH(type), key));
	assert_rv_ok(C_Sign(s, STR("abc"), 3, sig, &n));
}

static const struct {
	CK_OBJECT_HANDLE (*make)(CK_SESSION_HANDLE, struct masked *);
	CK_MECHANISM_TYPE type;
} kinds[] = {{make_hmac_key, CKM_SHA256_HMAC}, {make_ec_key, CKM_ECDSA_SHA256},
	{make_rsa_key, CKM_SHA256_RSA_PKCS}};

static void
a_destroyed_key_is_nowhere(void **state)
{
	(void)state;
	const CK_SESSION_HANDLE s = p11_open(), idle = p11_open();
	for (size_t i = 0; i < COUNT(kinds); i++) {
		struct masked m;
		const CK_OBJECT_HANDLE key = kinds[i].make(s, &m);
		sign_with(s, kinds[i].type, key);
		sign_with(idle, kinds[i].type, key);
		assert_true(found_in_memory(&m) > 0);
		assert_rv_ok(C_DestroyObject(s, key));
		assert_int_equal(found_in_memory(&m), 0);
	}
}

/* What another session has prepared with it does not keep it. */
static void
a_key_whose_session_was_closed_is_nowhere(void **state)
{
	(void)state;
	const CK_SESSION_HANDLE idle = p11_open();
	for (size_t i = 0; i < COUNT(kinds); i++) {
		const CK_SESSION_HANDLE s = p11_open();
		struct masked m;
		const CK_OBJECT_HANDLE key = kinds[i].make(s, &m);
		sign_with(s, kinds[i].type, key);
		sign_with(idle, kinds[i].type, key);
		assert_true(found_in_memory(&m) > 0);
		assert_rv_ok(C_CloseSession(s));
		assert_int_equal(found_in_memory(&m), 0);
	}
}

/* One under way goes on with the key it began with, and takes it along when it ends. */
static void
an_operation_under_way_is_the_last_to_have_a_key(void **state)
{
	(void)state;
	const CK_SESSION_HANDLE s = p11_open(), busy = p11_open();
	for (size_t i = 0; i < COUNT(kinds); i++) {
		struct masked m;
		uint8_t sig[256];
		CK_ULONG n = sizeof sig;
		const CK_OBJECT_HANDLE key = kinds[i].make(s, &m);
		assert_rv_ok(C_SignInit(busy, MECH(kinds[i].type), key));
		assert_rv_ok(C_DestroyObject(s, key));
		assert_rv_ok(C_SignUpdate(busy, STR("abc"), 3));
		assert_rv_ok(C_SignUpdate(busy, STR("def"), 3));
		assert_rv_ok(C_SignFinal(busy, sig, &n));
		assert_int_equal(found_in_memory(&m), 0);
	}
}

static void
after_the_end_no_key_is_anywhere(void **state)
{
	(void)state;
	struct masked m[COUNT(kinds)];
	const CK_SESSION_HANDLE s = p11_open();
	for (size_t i = 0; i < COUNT(kinds); i++) {
		sign_with(s, kinds[i].type, kinds[i].make(s, &m[i]));
		/* Left open, and with text inside. */
		assert_rv_ok(C_SignInit(s, MECH(kinds[i].type), kinds[i].make(s, &m[i])));
		assert_rv_ok(C_SignUpdate(s, STR("abc"), 3));
		assert_rv_ok(C_SessionCancel(s, CKF_SIGN));
		assert_true(found_in_memory(&m[i]) > 0);
	}
	assert_rv_ok(C_Finalize(NULL));
	for (size_t i = 0; i < COUNT(kinds); i++)
		assert_int_equal(found_in_memory(&m[i]), 0);
	assert_rv_ok(C_Initialize(NULL));
}

/* The child has the pages of the arena as zeros, and OpenSSL's copies until it initialises. */
static void
a_forked_child_that_initialises_has_no_key(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(kinds); i++) {
		const CK_SESSION_HANDLE s = p11_open();
		struct masked m;
		const CK_OBJECT_HANDLE key = kinds[i].make(s, &m);
		int status = 0;
		sign_with(s, kinds[i].type, key);
		const pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			if (C_Initialize(NULL) != CKR_OK)
				_exit(99);
			const size_t n = found_in_memory(&m);
			_exit(n < 99 ? (int)n : 98);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
		assert_true(found_in_memory(&m) > 0);
		sign_with(s, kinds[i].type, key);
	}
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, p11_setup, p11_teardown)
	const struct CMUnitTest tests[] = {
		T(a_destroyed_key_is_nowhere),
		T(a_key_whose_session_was_closed_is_nowhere),
		T(an_operation_under_way_is_the_last_to_have_a_key),
		T(after_the_end_no_key_is_anywhere),
		T(a_forked_child_that_initialises_has_no_key),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
