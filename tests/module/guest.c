/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The module as a guest of a host with habits. Usage: guest [FORKS [MODULE]]
 *
 * Loads and unloads it, forks among threads with handlers that call the module (as provider and
 * proxy libraries do), and calls everything with descriptors 0 to 2 closed, and with files there
 * that must stay empty; errno and OpenSSL's error queue are looked at after every call. MODULE is
 * a built module with a key "ec256" on a token "lab-vault"; without it the one over an agent made
 * of data, and only with that one the forks are done.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/err.h>

#include "token/ck.h"

static CK_FUNCTION_LIST *f;
static const char *path = VS_TEST_BUILDDIR "/tests/module/.libs/fake-pkcs11.so";
static int rounds = 10; /* with a real agent each is an attestation */
static int report = 2; /* where a failure is told when 2 is not ours to write to */

__attribute__((noreturn)) static void
die(const char *what, int line)
{
	(void)dprintf(report, "guest.c:%d: %s (errno %d)\n", line, what, errno);
	_Exit(1);
}

#define MUST(cond) \
	do { \
		if (!(cond)) \
			die(#cond, __LINE__); \
	} while (0)

/* The call gives rv, and leaves errno and the error queue alone. */
#define CALL(call, rv) \
	do { \
		errno = 4711; \
		const unsigned long queue_ = ERR_peek_last_error(); \
		const CK_RV got_ = (call); \
		if (got_ != (rv)) \
			(void)dprintf(report, "%s: 0x%lx\n", #call, (unsigned long)got_); \
		MUST(got_ == (rv)); \
		MUST(errno == 4711); \
		MUST(ERR_peek_last_error() == queue_); \
	} while (0)

static void *
load(void)
{
	CK_RV (*get)(CK_FUNCTION_LIST **) = NULL;
	void *so = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (so == NULL)
		(void)dprintf(report, "%s\n", dlerror());
	MUST(so != NULL);
	*(void **)&get = dlsym(so, "C_GetFunctionList");
	MUST(get != NULL);
	CALL(get(&f), CKR_OK);
	return so;
}

/* ---- some work
 * ----------------------------------------------------------------------------------- */

static CK_OBJECT_HANDLE
find(CK_SESSION_HANDLE s, CK_OBJECT_CLASS class, const char *label)
{
	CK_ATTRIBUTE t[] = {{CKA_CLASS, &class, sizeof class},
		{CKA_LABEL, (void *)(uintptr_t)label, strlen(label)}};
	CK_OBJECT_HANDLE h = 0;
	CK_ULONG n = 0;
	CALL(f->C_FindObjectsInit(s, t, 2), CKR_OK);
	CALL(f->C_FindObjects(s, &h, 1, &n), CKR_OK);
	CALL(f->C_FindObjectsFinal(s), CKR_OK);
	MUST(n == 1);
	return h;
}

/* Calls of every sort, good ones and bad ones. */
static void
work(void)
{
	CK_SESSION_HANDLE s = 0;
	CK_SLOT_ID slots[16];
	CK_TOKEN_INFO token;
	CK_ULONG n = 16;
	CK_BYTE sig[512], digest[32] = {1};
	CK_MECHANISM ecdsa = {CKM_ECDSA, NULL, 0}, sha = {CKM_SHA256, NULL, 0};
	CALL(f->C_GetSlotList(CK_TRUE, slots, &n), CKR_OK);
	CALL(f->C_GetTokenInfo(slots[0], &token), CKR_OK);
	CALL(f->C_OpenSession(slots[0], CKF_SERIAL_SESSION, NULL, NULL, &s), CKR_OK);
	CALL(f->C_Login(s, CKU_USER, NULL, 0), CKR_OK);
	const CK_OBJECT_HANDLE h = find(s, CKO_PRIVATE_KEY, "ec256");
	for (int i = 0; i < 3; i++) {
		CALL(f->C_SignInit(s, &ecdsa, h), CKR_OK);
		n = 1;
		CALL(f->C_Sign(s, digest, sizeof digest, sig, &n), CKR_BUFFER_TOO_SMALL);
		n = sizeof sig;
		CALL(f->C_Sign(s, digest, sizeof digest, sig, &n), CKR_OK);
		CALL(f->C_VerifyInit(s, &ecdsa, find(s, CKO_PUBLIC_KEY, "ec256")), CKR_OK);
		CALL(f->C_Verify(s, digest, sizeof digest, sig, n), CKR_OK);
		sig[7] ^= 1;
		CALL(f->C_VerifyInit(s, &ecdsa, find(s, CKO_PUBLIC_KEY, "ec256")), CKR_OK);
		CALL(f->C_Verify(s, digest, sizeof digest, sig, n), CKR_SIGNATURE_INVALID);
	}
	CALL(f->C_DigestInit(s, &sha), CKR_OK);
	n = sizeof sig;
	CALL(f->C_Digest(s, digest, sizeof digest, sig, &n), CKR_OK);
	CALL(f->C_GenerateRandom(s, sig, 64), CKR_OK);
	CALL(f->C_SignInit(s, &ecdsa, 4711), CKR_KEY_HANDLE_INVALID);
	CALL(f->C_CreateObject(s, NULL, 3, NULL), CKR_ARGUMENTS_BAD);
	CALL(f->C_CloseSession(s), CKR_OK);
	CALL(f->C_CloseSession(s), CKR_SESSION_HANDLE_INVALID);
}

/* ---- descriptors 0 to 2
 * ---------------------------------------------------------------------------- */

static void
with_closed_descriptors(bool files)
{
	static const char name[] = "/tmp/vs-guest.XXXXXX";
	struct stat st;
	char names[3][sizeof name];
	report = fcntl(2, F_DUPFD_CLOEXEC, 200);
	MUST(report >= 200);
	ERR_raise(ERR_LIB_USER, 42); /* something of the host's in its queue */
	for (int i = 0; i < 3; i++)
		MUST(close(i) == 0);
	for (int i = 0; files && i < 3; i++) {
		memcpy(names[i], name, sizeof name);
		MUST(mkstemp(names[i]) == i);
	}
	(void)load();
	CALL(f->C_Initialize(NULL), CKR_OK);
	work();
	CALL(f->C_Finalize(NULL), CKR_OK);
	for (int i = 0; i < 3; i++) {
		if (!files) {
			MUST(fcntl(i, F_GETFD) == -1 && errno == EBADF);
			continue;
		}
		MUST(fstat(i, &st) == 0 && st.st_size == 0);
		MUST(lseek(i, 0, SEEK_CUR) == 0);
		(void)unlink(names[i]);
	}
	_Exit(0);
}

static void
in_child(void (*what)(bool), bool arg)
{
	int status = 0;
	const pid_t pid = fork();
	MUST(pid >= 0);
	if (pid == 0)
		what(arg);
	MUST(waitpid(pid, &status, 0) == pid);
	MUST(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* ---- loading and unloading
 * ------------------------------------------------------------------------- */

static void *
open_and_close(void *arg)
{
	for (int i = 0; i < 200; i++) {
		void *so = dlopen(path, RTLD_NOW | RTLD_LOCAL);
		MUST(so != NULL && dlclose(so) == 0);
	}
	return arg;
}

static void
load_and_unload(bool unused)
{
	pthread_t t[3];
	(void)unused;
	for (int i = 0; i < 4 * rounds; i++) {
		void *so = load();
		/* It stays when it is unloaded without its end: so does what it knows. */
		CALL(f->C_Initialize(NULL), i % 4 == 3 ? CKR_CRYPTOKI_ALREADY_INITIALIZED : CKR_OK);
		work();
		if (i % 4 != 2)
			CALL(f->C_Finalize(NULL), CKR_OK);
		MUST(dlclose(so) == 0);
		/* Who kept a pointer finds code behind it. */
		CALL(f->C_GetInfo(NULL),
			i % 4 == 2 ? CKR_ARGUMENTS_BAD : CKR_CRYPTOKI_NOT_INITIALIZED);
	}
	for (size_t i = 0; i < 3; i++)
		MUST(pthread_create(&t[i], NULL, open_and_close, NULL) == 0);
	for (int i = 0; i < 2 * rounds; i++) {
		void *so = load();
		CALL(f->C_Initialize(NULL), CKR_OK);
		work();
		CALL(f->C_Finalize(NULL), CKR_OK);
		MUST(dlclose(so) == 0);
	}
	for (size_t i = 0; i < 3; i++)
		MUST(pthread_join(t[i], NULL) == 0);
	exit(0);
}

/* ---- forks
 * ----------------------------------------------------------------------------------------- */

static _Atomic bool over;
static CK_SESSION_HANDLE at_fork, of_child;

/*
 * No random numbers in the threads: OpenSSL 3.0 holds one lock of the whole process when it draws
 * some, and a fork at that instant leaves it locked in the child for every user of libcrypto.
 */
static void *
keep_encrypting(void *arg)
{
	CK_SESSION_HANDLE s = 0;
	CK_BYTE iv[16] = {0}, out[32];
	CK_MECHANISM cbc = {CKM_AES_CBC, iv, sizeof iv};
	MUST(f->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &s) == CKR_OK);
	const CK_OBJECT_HANDLE h = find(s, CKO_SECRET_KEY, "aes256");
	while (!atomic_load(&over)) {
		CK_ULONG n = sizeof out;
		MUST(f->C_EncryptInit(s, &cbc, h) == CKR_OK);
		MUST(f->C_Encrypt(s, iv, 16, out, &n) == CKR_OK);
	}
	return arg;
}

static void
digest(CK_SESSION_HANDLE s)
{
	CK_MECHANISM sha = {CKM_SHA256, NULL, 0};
	CK_BYTE out[32];
	CK_ULONG n = sizeof out;
	CALL(f->C_DigestInit(s, &sha), CKR_OK);
	CALL(f->C_Digest(s, out, 3, out, &n), CKR_OK);
}

/* In the middle of fork(), before and after it in the parent. */
static void
around_fork(void)
{
	digest(at_fork);
}

/* In the child before fork() returns, where pkcs11-provider and p11-kit's callers start anew. */
static void
in_forked_child(void)
{
	CK_INFO info;
	alarm(60); /* a lock that is held for ever would show */
	CALL(f->C_GetInfo(&info), CKR_CRYPTOKI_NOT_INITIALIZED);
	CALL(f->C_CloseSession(at_fork), CKR_CRYPTOKI_NOT_INITIALIZED);
	CALL(f->C_Initialize(NULL), CKR_OK);
	CALL(f->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &of_child), CKR_OK);
}

static void
child_works(bool much)
{
	CK_BYTE iv[16] = {0}, out[32];
	CK_ULONG n = sizeof out;
	CK_MECHANISM cbc = {CKM_AES_CBC, iv, sizeof iv};
	digest(of_child);
	if (much) {
		CALL(f->C_EncryptInit(of_child, &cbc, find(of_child, CKO_SECRET_KEY, "aes256")),
			CKR_OK);
		CALL(f->C_Encrypt(of_child, iv, 16, out, &n), CKR_OK);
	}
	CALL(f->C_Finalize(NULL), CKR_OK);
	_Exit(0);
}

static void
fork_among_threads(unsigned forks)
{
	pthread_t t[3];
	(void)load();
	CALL(f->C_Initialize(NULL), CKR_OK);
	CALL(f->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &at_fork), CKR_OK);
	for (size_t i = 0; i < 3; i++)
		MUST(pthread_create(&t[i], NULL, keep_encrypting, NULL) == 0);
	MUST(pthread_atfork(around_fork, around_fork, in_forked_child) == 0);
	for (unsigned i = 0; i < forks; i++)
		in_child(child_works, i % 8 == 0);
	atomic_store(&over, true);
	for (size_t i = 0; i < 3; i++)
		MUST(pthread_join(t[i], NULL) == 0);
	CALL(f->C_Finalize(NULL), CKR_OK);
	(void)printf("%u forks among threads, with handlers that call the module\n", forks);
}

int
main(int argc, char **argv)
{
	unsigned forks = 300;
	if (argc > 1 && sscanf(argv[1], "%u", &forks) != 1)
		die("usage: guest [FORKS [MODULE]]", __LINE__);
	if (argc > 2) {
		path = argv[2];
		rounds = 1;
	}
	in_child(with_closed_descriptors, false);
	in_child(with_closed_descriptors, true);
	(void)printf("descriptors 0 to 2 closed, and files there: nothing came\n");
	(void)fflush(stdout);
	in_child(load_and_unload, false);
	(void)printf("loaded and unloaded\n");
	(void)fflush(stdout);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	forks = 0; /* the checker's own allocator does not survive forks among threads */
#endif
	if (argc <= 2 && forks != 0)
		fork_among_threads(forks);
	return 0;
}
