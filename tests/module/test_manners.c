/* SPDX-License-Identifier: BSD-2-Clause */
/* The module as a guest: at the end of a process, with hostile arguments, with threads and forks.
 */
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "module/api.h"
#include "module/p11.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CHECKED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CHECKED
#endif
#endif

/* Runs fn in a child; its exit status, or 128 + signal. */
static int
in_child(void (*fn)(void))
{
	const pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		fn();
		exit(0);
	}
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static CK_SESSION_HANDLE late;
static CK_OBJECT_HANDLE late_object;

/* Called after libcrypto's own handler, as engines and providers do it. */
static void
after_openssl(void)
{
	uint8_t sig[256];
	CK_ULONG n = sizeof sig;
	/* An operation that was prepared must fail, and not crash. */
	if (C_Sign(late, STR("x"), 1, sig, &n) == CKR_OK)
		_exit(11);
	if (C_SignInit(late, MECH(CKM_SHA256_RSA_PKCS), late_object) == CKR_OK)
		_exit(12);
	if (C_DigestInit(late, MECH(CKM_SHA256)) == CKR_OK)
		_exit(13);
	if (C_CloseSession(late) != CKR_OK)
		_exit(14);
	/* What only libcrypto could free stays; a leak checker need not hear of it. */
	_exit(C_Finalize(NULL) == CKR_OK ? 0 : 15);
}

static void
use_everything_then_end(void)
{
	uint8_t iv[16] = {0}, d[64];
	CK_ULONG n = sizeof d;
	/* Before anything of libcrypto runs: handlers go last in, first out. */
	atexit(after_openssl);
	OPENSSL_init_crypto(0, NULL);
	fake_reset();
	if (C_Initialize(NULL) != CKR_OK)
		_exit(2);
	late = p11_open();
	late_object = p11_find(late, CKO_PRIVATE_KEY, "rsa2048");
	if (C_DigestInit(late, MECH(CKM_SHA256)) || C_Digest(late, STR("x"), 1, d, &n))
		_exit(3);
	if (C_EncryptInit(
		    late, MECH_P(CKM_AES_CBC_PAD, iv), p11_find(late, CKO_SECRET_KEY, "aes256")))
		_exit(4);
	if (C_SignInit(late, MECH(CKM_SHA256_RSA_PKCS), late_object))
		_exit(5);
}

static void
finalizing_after_openssl_has_cleaned_up_is_safe(void **state)
{
	(void)state;
	assert_int_equal(in_child(use_everything_then_end), 0);
}

static uint64_t seed = 88172645463325252ull;

static uint64_t
next(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* A number that likes the edges. */
static CK_ULONG
edge(void)
{
	static const CK_ULONG edges[] = {
		0, 1, 2, 3, 7, 8, 11, 12, 13, 16, 17, 24, 32, 40, 48, 64, 255, 256, 257, 4096};
	const uint64_t r = next();
	return r % 8 == 0 ? (CK_ULONG)-1 : edges[(r >> 8) % COUNT(edges)];
}

/*
 * Any bytes as the parameter of any mechanism, on every operation. Structures with pointers get
 * pointers into one buffer, with lengths that stay inside it or are absurd.
 */
static void
no_parameter_crashes_any_mechanism(void **state)
{
	(void)state;
	enum { ROOM = 8192 };
	const CK_SESSION_HANDLE s = p11_open();
	static const struct {
		CK_OBJECT_CLASS class;
		const char *label;
	} keys[] = {{CKO_PRIVATE_KEY, "rsa2048"}, {CKO_PUBLIC_KEY, "rsa2048"},
		{CKO_PRIVATE_KEY, "ec256"}, {CKO_PUBLIC_KEY, "ec256"}, {CKO_SECRET_KEY, "aes256"},
		{CKO_SECRET_KEY, "aes-wrap"}, {CKO_CERTIFICATE, "ec256"}};
	CK_OBJECT_HANDLE h[COUNT(keys)];
	uint8_t *room = calloc(1, ROOM), *out = malloc(ROOM);
	unsigned good = 0;
	for (size_t i = 0; i < COUNT(keys); i++)
		h[i] = p11_find(s, keys[i].class, keys[i].label);
	for (int round = 0; round < 60000; round++) {
		union {
			CK_ULONG words[10];
			uint8_t bytes[80];
		} p;
		for (size_t i = 0; i < COUNT(p.words); i++) {
			const uint64_t r = next();
			p.words[i] = r % 3 == 0 ? (CK_ULONG)(uintptr_t)room : edge();
			if (p.words[i] > ROOM && r % 3 != 0)
				p.words[i] = (CK_ULONG)-1;
			if (r % 11 == 0)
				p.words[i] = CKM_SHA256;
		}
		const struct vs_mech *row = vs_mech_at(next() % vs_mech_count());
		CK_MECHANISM m = {row->type, &p, next() % 4 == 0 ? 0 : next() % (sizeof p + 1)};
		const CK_OBJECT_HANDLE key = h[next() % COUNT(h)];
		CK_ULONG n = next() % 3 ? ROOM : edge() % ROOM;
		CK_OBJECT_HANDLE made = 0;
		CK_ULONG in_n = edge();
		if (in_n > ROOM)
			in_n = 5;
		CK_RV rv = CKR_OK;
		switch (next() % 12) {
		case 8:
			rv = C_SignRecoverInit(s, &m, key);
			(void)C_SignRecover(s, room, in_n, next() % 5 ? out : NULL, &n);
			break;
		case 9:
			rv = C_VerifyRecoverInit(s, &m, key);
			(void)C_VerifyRecover(s, room, in_n, next() % 5 ? out : NULL, &n);
			break;
		case 10:
			rv = C_MessageSignInit(s, &m, key);
			(void)C_SignMessageBegin(s, room, next() % 2);
			(void)C_SignMessageNext(
				s, NULL, 0, room, in_n, out, next() % 2 ? &n : NULL);
			(void)C_SignMessage(s, NULL, 0, room, in_n, out, &n);
			break;
		case 11:
			rv = C_MessageVerifyInit(s, &m, key);
			(void)C_VerifyMessage(s, NULL, 0, room, in_n, out, n);
			(void)C_VerifyMessageBegin(s, NULL, 0);
			(void)C_VerifyMessageNext(
				s, NULL, 0, room, in_n, next() % 2 ? out : NULL, n);
			break;
		case 0:
			rv = C_SignInit(s, &m, key);
			(void)C_Sign(s, room, in_n, next() % 5 ? out : NULL, &n);
			break;
		case 1:
			rv = C_VerifyInit(s, &m, key);
			(void)C_Verify(s, room, in_n, out, n);
			break;
		case 2:
			rv = C_EncryptInit(s, &m, key);
			(void)C_EncryptUpdate(s, room, in_n, out, &n);
			n = ROOM;
			(void)C_EncryptFinal(s, out, &n);
			break;
		case 3:
			rv = C_DecryptInit(s, &m, key);
			(void)C_Decrypt(s, room, in_n, out, &n);
			break;
		case 4: rv = C_DeriveKey(s, &m, key, NULL, 0, &made); break;
		case 5: rv = C_WrapKey(s, &m, key, h[next() % COUNT(h)], out, &n); break;
		case 6: rv = C_UnwrapKey(s, &m, key, room, in_n, NULL, 0, &made); break;
		default: rv = C_GenerateKey(s, &m, NULL, 0, &made); break;
		}
		good += rv == CKR_OK;
		(void)C_SessionCancel(s, ~0UL);
	}
	assert_true(good > 100); /* or nothing was tried at all */
	free(room);
	free(out);
}

/* Templates of any types and lengths. */
static void
no_template_crashes_anything(void **state)
{
	(void)state;
	const CK_SESSION_HANDLE s = p11_open();
	static const CK_ATTRIBUTE_TYPE types[] = {CKA_CLASS, CKA_KEY_TYPE, CKA_TOKEN, CKA_VALUE,
		CKA_VALUE_LEN, CKA_LABEL, CKA_ID, CKA_MODULUS, CKA_PUBLIC_EXPONENT,
		CKA_PRIVATE_EXPONENT, CKA_PRIME_1, CKA_EC_PARAMS, CKA_EC_POINT, CKA_SENSITIVE,
		CKA_WRAP, CKA_DECRYPT, CKA_ALLOWED_MECHANISMS, CKA_START_DATE, CKA_CERTIFICATE_TYPE,
		CKA_SUBJECT, CKA_UNWRAP_TEMPLATE, CKA_MODULUS_BITS, CKA_EXTRACTABLE};
	unsigned made = 0;
	for (int round = 0; round < 60000; round++) {
		CK_ATTRIBUTE t[8];
		CK_ULONG v[8];
		uint8_t raw[64];
		const CK_ULONG n = next() % 9;
		for (size_t i = 0; i < sizeof raw; i++)
			raw[i] = (uint8_t)next();
		for (size_t i = 0; i < n; i++) {
			v[i] = next() % 2 ? next() % 5 : CKK_AES;
			t[i].type = types[next() % COUNT(types)];
			t[i].pValue = next() % 3 ? (void *)&v[i] : (void *)raw;
			t[i].ulValueLen =
				t[i].pValue == (void *)raw ? next() % 65 : (next() % 2 ? 8 : 1);
			if (next() % 40 == 0)
				t[i].ulValueLen = (CK_ULONG)-1;
			if (next() % 40 == 0)
				t[i].pValue = NULL;
		}
		if (n > 2) { /* often something that could be right */
			t[0] = (CK_ATTRIBUTE)ATTR(CKA_CLASS, v[0]);
			v[0] = next() % 5;
			t[1] = (CK_ATTRIBUTE)ATTR(CKA_KEY_TYPE, v[1]);
			v[1] = next() % 2 ? CKK_GENERIC_SECRET : next() % 4;
			t[2] = (CK_ATTRIBUTE)BYTES(CKA_VALUE, raw, 1 + next() % 32);
		}
		CK_OBJECT_HANDLE h = 0;
		if (C_CreateObject(s, t, n, &h) == CKR_OK) {
			made++;
			(void)C_SetAttributeValue(s, h, t, n);
			(void)C_CopyObject(s, h, t, n, &h);
			assert_rv_ok(C_DestroyObject(s, h));
		}
		if (C_FindObjectsInit(s, t, n) == CKR_OK)
			assert_rv_ok(C_FindObjectsFinal(s));
	}
	assert_true(made > 100);
}

static void
no_handle_crashes_anything(void **state)
{
	(void)state;
	const CK_SESSION_HANDLE s = p11_open();
	CK_SESSION_INFO info;
	CK_ULONG size;
	for (int i = 0; i < 100000; i++) {
		const CK_SESSION_HANDLE guess = next() % 2 ? next() : s ^ (1ul << (next() % 64));
		if (guess != s)
			assert_rv(C_GetSessionInfo(guess, &info), CKR_SESSION_HANDLE_INVALID);
		const CK_OBJECT_HANDLE o = next() % 2 ? next() : next() % 64;
		const CK_RV rv = C_GetObjectSize(s, o, &size);
		assert_true(rv == CKR_OK || rv == CKR_OBJECT_HANDLE_INVALID);
	}
}

static _Atomic bool stop;

/*
 * No random numbers in these threads: OpenSSL 3.0 takes one lock of the whole process whenever
 * it draws some (RAND_get_rand_method), and a fork at that instant leaves it locked in the child
 * for every user of libcrypto. That is the host's to avoid; what is shown here are our own locks.
 */
static void *
keep_encrypting(void *arg)
{
	CK_SESSION_HANDLE s = 0;
	const CK_OBJECT_HANDLE h = *(const CK_OBJECT_HANDLE *)arg;
	uint8_t out[128], iv[16] = {0};
	CK_MECHANISM cbc = {CKM_AES_CBC, iv, sizeof iv};
	if (C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &s))
		return (void *)1;
	while (!stop) {
		CK_ULONG n = sizeof out;
		if (C_EncryptInit(s, &cbc, h) || C_Encrypt(s, iv, 16, out, &n))
			return (void *)2;
	}
	return NULL;
}

static void
child_of_threads(void)
{
	uint8_t sig[128];
	CK_ULONG n = sizeof sig;
	CK_SESSION_HANDLE s = 0;
	alarm(20); /* a lock that is held for ever would show */
	if (C_GetInfo(NULL) != CKR_CRYPTOKI_NOT_INITIALIZED)
		_exit(2);
	if (C_Initialize(NULL) || C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &s))
		_exit(3);
	if (C_SignInit(s, MECH(CKM_ECDSA), p11_find(s, CKO_PRIVATE_KEY, "ec256")) ||
		C_Sign(s, sig, 16, sig, &n))
		_exit(4);
	if (C_Finalize(NULL))
		_exit(5);
	_exit(0);
}

static void
a_fork_among_threads_leaves_no_lock_held(void **state)
{
	(void)state;
#ifdef CHECKED
	skip(); /* the checker's own allocator does not survive this */
#endif
	const CK_SESSION_HANDLE s = p11_open();
	CK_OBJECT_HANDLE h = p11_find(s, CKO_SECRET_KEY, "aes256");
	pthread_t t[3];
	stop = false;
	for (size_t i = 0; i < COUNT(t); i++)
		assert_int_equal(pthread_create(&t[i], NULL, keep_encrypting, &h), 0);
	for (int i = 0; i < 40; i++)
		assert_int_equal(in_child(child_of_threads), 0);
	stop = true;
	for (size_t i = 0; i < COUNT(t); i++) {
		void *r = NULL;
		pthread_join(t[i], &r);
		assert_null(r);
	}
}

static void *
initialise(void *barrier)
{
	(void)pthread_barrier_wait(barrier);
	const CK_RV rv = C_Initialize(NULL);
	return rv == CKR_OK || rv == CKR_CRYPTOKI_ALREADY_INITIALIZED ? NULL : barrier;
}

/* Slots, or 99 after an error. */
static int
slots_of_two_threads(void)
{
	pthread_barrier_t barrier;
	pthread_t other;
	void *bad = NULL;
	CK_ULONG n = 99;
	(void)pthread_barrier_init(&barrier, NULL, 2);
	if (pthread_create(&other, NULL, initialise, &barrier) != 0)
		return 98;
	const bool mine = initialise(&barrier) != NULL;
	(void)pthread_join(other, &bad);
	return mine || bad != NULL || C_GetSlotList(CK_TRUE, NULL, &n) != CKR_OK ? 99 : (int)n;
}

/* Tools that keep books of all memory need the address space for themselves. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__clang__) && !defined(VS_VALGRIND)
#define CAN_RUN_OUT_OF_MEMORY

/* The first time there is no memory, the second time there is. */
static int
slots_at_the_second_try(void)
{
	const struct rlimit none = {.rlim_cur = 4096, .rlim_max = RLIM_INFINITY};
	struct rlimit before;
	CK_ULONG n = 99;
	if (getrlimit(RLIMIT_AS, &before) != 0 || setrlimit(RLIMIT_AS, &none) != 0)
		return 98;
	const CK_RV rv = C_Initialize(NULL);
	if (setrlimit(RLIMIT_AS, &before) != 0 || rv != CKR_HOST_MEMORY)
		return 97;
	return C_Initialize(NULL) == CKR_OK && C_GetSlotList(CK_TRUE, NULL, &n) == CKR_OK ? (int)n
											  : 99;
}

#endif

static int
in_child_without_configuration(int (*fn)(void))
{
	int status = 0;
	const pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		/* Whoever reads it now finds nothing: only what was remembered counts. */
		fake_agent()->profile.n_tokens = 0;
		_exit(fn());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
a_child_remembers_its_parents_profile_whoever_initialises_when(void **state)
{
	CK_ULONG n = 0;
	(void)state;
	assert_rv_ok(C_GetSlotList(CK_TRUE, NULL, &n));
	assert_true(n > 0);
#ifdef CAN_RUN_OUT_OF_MEMORY
	assert_int_equal(in_child_without_configuration(slots_at_the_second_try), n);
#endif
	for (int i = 0; i < 200; i++)
		assert_int_equal(in_child_without_configuration(slots_of_two_threads), n);
}

static void
the_log_says_why_and_only_where_it_was_asked_to(void **state)
{
	(void)state;
	char dir[] = "/tmp/vs-module-log.XXXXXX";
	char path[64], line[600] = "";
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof path, "%s/log", dir);
	setenv("VOUCHSAFE_LOG", path, 1);
	fake_reset();
	assert_rv_ok(C_Initialize(NULL));
	unsetenv("VOUCHSAFE_LOG");
	const CK_SESSION_HANDLE s = p11_open();
	struct stat st;
	assert_int_equal(stat(path, &st), -1); /* silent while nothing is to be said */
	fake_agent()->need_code = VS_E_REFUSED_FLOOR;
	assert_rv(C_SignInit(s, MECH(CKM_ECDSA), p11_find(s, CKO_PRIVATE_KEY, "ec256")),
		CKR_FUNCTION_REJECTED);
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	assert_non_null(fgets(line, sizeof line, f));
	fclose(f);
	assert_non_null(strstr(line, "lab-vault"));
	assert_non_null(strstr(line, "was told to say so"));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_rv_ok(C_Finalize(NULL));
	/* A relative name is not a place. */
	setenv("VOUCHSAFE_LOG", "vs-module-log-relative", 1);
	assert_rv_ok(C_Initialize(NULL));
	unsetenv("VOUCHSAFE_LOG");
	assert_rv(C_SignInit(p11_open(), MECH(CKM_ECDSA), 4711), CKR_KEY_HANDLE_INVALID);
	assert_int_equal(stat("vs-module-log-relative", &st), -1);
	assert_rv_ok(C_Finalize(NULL));
	unlink(path);
	rmdir(dir);
}

static off_t
size_of(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 ? st.st_size : -1;
}

/* A daemon closes everything and opens its own files where our log was. */
static void
the_log_is_never_written_into_the_hosts_files(void **state)
{
	(void)state;
	char dir[] = "/tmp/vs-module-log.XXXXXX";
	char path[64], own[64];
	struct stat log, st;
	int at = -1;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof path, "%s/log", dir);
	(void)snprintf(own, sizeof own, "%s/own", dir);
	setenv("VOUCHSAFE_LOG", path, 1);
	fake_reset();
	assert_rv_ok(C_Initialize(NULL));
	unsetenv("VOUCHSAFE_LOG");
	const CK_SESSION_HANDLE s = p11_open();
	const CK_OBJECT_HANDLE h = p11_find(s, CKO_PRIVATE_KEY, "ec256");
	fake_agent()->need_code = VS_E_REFUSED_FLOOR;
	assert_rv(C_SignInit(s, MECH(CKM_ECDSA), h), CKR_FUNCTION_REJECTED);
	const off_t before = size_of(path);
	assert_true(before > 0);
	assert_int_equal(stat(path, &log), 0);
	for (int i = 3; i < 256 && at < 0; i++) {
		if (fstat(i, &st) == 0 && st.st_dev == log.st_dev && st.st_ino == log.st_ino)
			at = i;
	}
	assert_true(at >= 3);
	const int fd = open(own, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(dup2(fd, at), at);
	assert_rv(C_SignInit(s, MECH(CKM_ECDSA), h), CKR_FUNCTION_REJECTED);
	assert_int_equal(size_of(own), 0);
	assert_true(size_of(path) > before);
	assert_int_equal(dup2(fd, at), at);
	assert_rv_ok(C_Finalize(NULL));
	/* Nor is it closed. */
	assert_int_equal(fstat(at, &st), 0);
	assert_true(write(at, "x", 1) == 1);
	close(at);
	close(fd);
	/* A pipe could block its writer, or kill it. */
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	setenv("VOUCHSAFE_LOG", path, 1);
	assert_rv_ok(C_Initialize(NULL));
	unsetenv("VOUCHSAFE_LOG");
	assert_rv(C_SignInit(p11_open(), MECH(CKM_ECDSA), h), CKR_KEY_HANDLE_INVALID);
	const CK_SESSION_HANDLE again = p11_open();
	assert_rv(C_SignInit(again, MECH(CKM_ECDSA), p11_find(again, CKO_PRIVATE_KEY, "ec256")),
		CKR_FUNCTION_REJECTED);
	assert_rv_ok(C_Finalize(NULL));
	unlink(path);
	unlink(own);
	rmdir(dir);
}

static void
raw_rsa_decryption_wants_its_switch(void **state)
{
	(void)state;
	fake_reset();
	fake_agent()->profile.tokens[0].raw_rsa_decrypt = true;
	assert_rv_ok(C_Initialize(NULL));
	const CK_SESSION_HANDLE s = p11_open();
	uint8_t in[256] = {0}, ct[256], out[256];
	CK_ULONG n = sizeof ct;
	in[255] = 7;
	assert_rv_ok(C_EncryptInit(s, MECH(CKM_RSA_X_509), p11_find(s, CKO_PUBLIC_KEY, "rsa2048")));
	assert_rv_ok(C_Encrypt(s, in, 256, ct, &n));
	assert_rv_ok(
		C_DecryptInit(s, MECH(CKM_RSA_X_509), p11_find(s, CKO_PRIVATE_KEY, "rsa2048")));
	n = sizeof out;
	assert_rv_ok(C_Decrypt(s, ct, 256, out, &n));
	assert_int_equal(n, 256);
	assert_memory_equal(out, in, 256);
	/* A raw signature is the same operation, so it has the same switch. */
	n = sizeof out;
	assert_rv_ok(C_SignInit(s, MECH(CKM_RSA_X_509), p11_find(s, CKO_PRIVATE_KEY, "rsa2048")));
	assert_rv_ok(C_Sign(s, ct, 256, out, &n));
	assert_memory_equal(out, in, 256);
	/* The other token has no such switch. */
	CK_SESSION_HANDLE other = 0;
	assert_rv_ok(C_OpenSession(1, CKF_SERIAL_SESSION, NULL, NULL, &other));
	assert_rv(C_DecryptInit(
			  other, MECH(CKM_RSA_X_509), p11_find(other, CKO_PRIVATE_KEY, "rsa2048")),
		CKR_MECHANISM_INVALID);
	assert_rv(
		C_SignInit(other, MECH(CKM_RSA_X_509), p11_find(other, CKO_PRIVATE_KEY, "rsa2048")),
		CKR_MECHANISM_INVALID);
	assert_rv_ok(C_Finalize(NULL));
}

/* What is shown changes under a key that is here already: it must not be used under that face. */
static void
a_catalog_that_changes_its_face_is_refused(void **state)
{
	(void)state;
	const CK_SESSION_HANDLE s = p11_open();
	struct fake_agent *a = fake_agent();
	assert_rv_ok(C_SignInit(s, MECH(CKM_ECDSA), p11_find(s, CKO_PRIVATE_KEY, "ec256")));
	(void)C_SessionCancel(s, CKF_SIGN);
	struct fake_key *k = (struct fake_key *)(uintptr_t)p11_key("ec256");
	const struct fake_key before = *k;
	uint8_t other[32];
	memset(other, 0x11, sizeof other);
	k->x = (struct vs_bytes){other, 32};
	k->id[0] ^= 1;
	a->generation = 77;
	atomic_store(&atomic_load(&vs_module_instance)->tokens[0].catalog_until_boot_ns, 0);
	const CK_OBJECT_HANDLE h = p11_find(s, CKO_PRIVATE_KEY, "ec256");
	const CK_RV rv = C_SignInit(s, MECH(CKM_ECDSA), h);
	*k = before;
	assert_rv(rv, CKR_FUNCTION_REJECTED);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, p11_setup, p11_teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finalizing_after_openssl_has_cleaned_up_is_safe),
		T(no_parameter_crashes_any_mechanism),
		T(no_template_crashes_anything),
		T(no_handle_crashes_anything),
		T(a_fork_among_threads_leaves_no_lock_held),
		T(a_child_remembers_its_parents_profile_whoever_initialises_when),
		cmocka_unit_test(the_log_says_why_and_only_where_it_was_asked_to),
		cmocka_unit_test(the_log_is_never_written_into_the_hosts_files),
		cmocka_unit_test(raw_rsa_decryption_wants_its_switch),
		T(a_catalog_that_changes_its_face_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
