/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Many threads, each with a session of its own and a few that all of them share, do whatever
 * comes, while leases end and catalogs change: for TSan, and for results that are right. Usage:
 * stress [THREADS [OPERATIONS [SLOWER]]], with SLOWER for a checker that makes everything slower by
 * about this factor: leases and weather last that much longer.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/sha.h>

#include "fake/fake_client.h"
#include "token/ck.h"

enum { THREADS_MAX = 256, SHARED = 8, DATA = 100 };

static CK_SESSION_HANDLE shared[SHARED];
static _Atomic bool over;
static _Atomic unsigned long done, refused;
static unsigned n_operations, slower = 1;

#define MUST(cond) \
	do { \
		if (!(cond)) \
			die(#cond, __LINE__); \
	} while (0)

__attribute__((noreturn)) static void
die(const char *what, int line)
{
	(void)fprintf(stderr, "stress.c:%d: %s\n", line, what);
	_Exit(1);
}

struct thread {
	pthread_t id;
	uint64_t random;
	CK_SESSION_HANDLE own, s; /* s: the one of this operation */
	bool alone; /* s is own: what is expected is known exactly */
	CK_BYTE in[DATA], out[DATA + 512], back[DATA + 512];
};

static uint32_t
draw(struct thread *t, uint32_t below)
{
	t->random ^= t->random << 13;
	t->random ^= t->random >> 7;
	t->random ^= t->random << 17;
	return (uint32_t)(t->random >> 32) % below;
}

/*
 * What a call may say: with a session of one's own only that the lease has ended, the agent's
 * refusal, or that the key was not there when the catalog changed; in a shared one also that
 * somebody else is in the middle of something.
 */
static bool
fine(const struct thread *t, CK_RV rv)
{
	switch (rv) {
	case CKR_OK: return true;
	case CKR_FUNCTION_REJECTED:
	case CKR_DEVICE_ERROR:
	case CKR_DEVICE_REMOVED:
	case CKR_OBJECT_HANDLE_INVALID:
	case CKR_KEY_HANDLE_INVALID: atomic_fetch_add(&refused, 1); return false;
	case CKR_OPERATION_ACTIVE:
	case CKR_OPERATION_NOT_INITIALIZED:
	/* Somebody else's search was read, or somebody else's operation fed. */
	case CKR_KEY_TYPE_INCONSISTENT:
	case CKR_KEY_FUNCTION_NOT_PERMITTED:
	case CKR_SIGNATURE_INVALID:
	case CKR_SIGNATURE_LEN_RANGE:
	case CKR_ENCRYPTED_DATA_INVALID:
	case CKR_ENCRYPTED_DATA_LEN_RANGE:
		if (!t->alone)
			return false;
		break;
	default: break;
	}
	(void)fprintf(
		stderr, "rv 0x%lx, %s session\n", (unsigned long)rv, t->alone ? "own" : "shared");
	die("an answer that nothing explains", __LINE__);
}

/* 0: not found now. */
static CK_OBJECT_HANDLE
find(struct thread *t, CK_OBJECT_CLASS class, const char *label)
{
	CK_ATTRIBUTE wanted[] = {{CKA_CLASS, &class, sizeof class},
		{CKA_LABEL, (void *)(uintptr_t)label, strlen(label)}};
	CK_OBJECT_HANDLE h = 0;
	CK_ULONG n = 0;
	if (!fine(t, C_FindObjectsInit(t->s, wanted, 2)))
		return 0;
	const bool got = fine(t, C_FindObjects(t->s, &h, 1, &n));
	(void)fine(t, C_FindObjectsFinal(t->s));
	MUST(!t->alone || !got || n == 1);
	return got && n == 1 ? h : 0;
}

static void
do_digest(struct thread *t)
{
	CK_MECHANISM m = {CKM_SHA256, NULL, 0};
	CK_BYTE want[32];
	CK_ULONG n = sizeof t->out;
	if (!fine(t, C_DigestInit(t->s, &m)))
		return;
	const bool parts = draw(t, 2) == 0;
	if (parts && !fine(t, C_DigestUpdate(t->s, t->in, DATA)))
		return;
	const CK_RV rv =
		parts ? C_DigestFinal(t->s, t->out, &n) : C_Digest(t->s, t->in, DATA, t->out, &n);
	if (!fine(t, rv) || !t->alone)
		return;
	SHA256(t->in, DATA, want);
	MUST(n == sizeof want && memcmp(want, t->out, n) == 0);
}

static void
do_sign(struct thread *t)
{
	CK_MECHANISM m = {CKM_ECDSA_SHA256, NULL, 0};
	CK_ULONG n = sizeof t->out;
	const CK_OBJECT_HANDLE key = find(t, CKO_PRIVATE_KEY, "ec256"),
			       pub = find(t, CKO_PUBLIC_KEY, "ec256");
	if (key == 0 || pub == 0 || !fine(t, C_SignInit(t->s, &m, key)) ||
		!fine(t, C_Sign(t->s, t->in, DATA, t->out, &n)) ||
		!fine(t, C_VerifyInit(t->s, &m, pub)))
		return;
	(void)fine(t, C_Verify(t->s, t->in, DATA, t->out, n));
}

static void
do_cipher(struct thread *t)
{
	CK_BYTE iv[12];
	struct ck_gcm_params gcm = {
		.pIv = iv, .ulIvLen = sizeof iv, .ulIvBits = 96, .ulTagBits = 128};
	CK_MECHANISM m = {CKM_AES_GCM, &gcm, sizeof gcm};
	CK_ULONG n = sizeof t->out, back = sizeof t->back;
	const CK_OBJECT_HANDLE key = find(t, CKO_SECRET_KEY, "aes256");
	for (size_t i = 0; i < sizeof iv; i++)
		iv[i] = (CK_BYTE)draw(t, 256);
	if (key == 0 || !fine(t, C_EncryptInit(t->s, &m, key)) ||
		!fine(t, C_Encrypt(t->s, t->in, DATA, t->out, &n)) ||
		!fine(t, C_DecryptInit(t->s, &m, key)))
		return;
	if (fine(t, C_Decrypt(t->s, t->out, n, t->back, &back)) && t->alone)
		MUST(back == DATA && memcmp(t->in, t->back, DATA) == 0);
}

static void
do_objects(struct thread *t)
{
	CK_ULONG len = 32;
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_BYTE value[32];
	CK_MECHANISM gen = {CKM_AES_KEY_GEN, NULL, 0};
	CK_ATTRIBUTE key[] = {{CKA_VALUE_LEN, &len, sizeof len}, {CKA_SENSITIVE, &no, 1},
		{CKA_EXTRACTABLE, &yes, 1}},
		     get[] = {{CKA_VALUE, value, sizeof value}};
	CK_OBJECT_HANDLE h = 0, copy = 0;
	MUST(C_GenerateKey(t->s, &gen, key, 3, &h) == CKR_OK);
	MUST(C_GetAttributeValue(t->s, h, get, 1) == CKR_OK && get[0].ulValueLen == 32);
	MUST(C_CopyObject(t->s, h, NULL, 0, &copy) == CKR_OK);
	MUST(C_DestroyObject(t->s, h) == CKR_OK);
	MUST(C_GetAttributeValue(t->s, h, get, 1) == CKR_OBJECT_HANDLE_INVALID);
	MUST(C_DestroyObject(t->s, copy) == CKR_OK);
}

static void
do_sessions(struct thread *t)
{
	CK_SESSION_HANDLE s = 0;
	CK_SESSION_INFO info;
	CK_TOKEN_INFO token;
	(void)t;
	MUST(C_OpenSession(draw(t, 2), CKF_SERIAL_SESSION, NULL, NULL, &s) == CKR_OK);
	MUST(C_GetSessionInfo(s, &info) == CKR_OK);
	MUST(C_GetTokenInfo(info.slotID, &token) == CKR_OK);
	MUST(C_CloseSession(s) == CKR_OK);
	MUST(C_GetSessionInfo(s, &info) == CKR_SESSION_HANDLE_INVALID);
}

static void
do_small(struct thread *t)
{
	CK_MECHANISM_TYPE types[256];
	CK_ULONG n = sizeof types / sizeof types[0];
	MUST(C_GenerateRandom(t->s, t->in, DATA) == CKR_OK);
	MUST(C_GetMechanismList(0, types, &n) == CKR_OK);
	MUST(C_Login(t->s, CKU_USER, NULL, 0) == CKR_OK);
}

static void *
thread_main(void *arg)
{
	static void (*const jobs[])(struct thread *) = {do_digest, do_digest, do_digest, do_sign,
		do_cipher, do_cipher, do_objects, do_sessions, do_small, do_small};
	struct thread *t = arg;
	MUST(C_OpenSession(0, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &t->own) == CKR_OK);
	for (unsigned i = 0; i < n_operations; i++) {
		const unsigned which = draw(t, 4 * SHARED);
		t->alone = which >= SHARED;
		t->s = t->alone ? t->own : shared[which];
		jobs[draw(t, sizeof jobs / sizeof jobs[0])](t);
		atomic_fetch_add(&done, 1);
	}
	MUST(C_CloseSession(t->own) == CKR_OK);
	return NULL;
}

/* Leases are short, the agent refuses now and then, and the list of keys changes. */
static void *
weather_main(void *arg)
{
	struct fake_agent *a = fake_agent();
	const struct timespec pause = {.tv_sec = slower / 200, .tv_nsec = slower % 200 * 5000000L};
	(void)arg;
	for (unsigned i = 0; !atomic_load(&over); i++) {
		(void)nanosleep(&pause, NULL);
		a->generation++;
		a->need_code = i % 4 == 3 ? VS_E_REFUSED_POLICY : 0;
	}
	a->need_code = 0;
	return NULL;
}

/* Ends an operation that somebody left in the middle of a shared session. */
static void *
broom_main(void *arg)
{
	const struct timespec pause = {
		.tv_sec = slower / 1000, .tv_nsec = slower % 1000 * 1000000L};
	(void)arg;
	while (!atomic_load(&over)) {
		(void)nanosleep(&pause, NULL);
		for (size_t i = 0; i < SHARED; i++)
			(void)C_SessionCancel(shared[i],
				CKF_SIGN | CKF_VERIFY | CKF_ENCRYPT | CKF_DECRYPT | CKF_DIGEST |
					CKF_FIND_OBJECTS);
	}
	return NULL;
}

int
main(int argc, char **argv)
{
	static struct thread threads[THREADS_MAX];
	unsigned n = 16;
	pthread_t weather, broom;
	n_operations = 300;
	if ((argc > 1 && sscanf(argv[1], "%u", &n) != 1) ||
		(argc > 2 && sscanf(argv[2], "%u", &n_operations) != 1) ||
		(argc > 3 && sscanf(argv[3], "%u", &slower) != 1) || n > THREADS_MAX || slower == 0)
		die("usage: stress [THREADS [OPERATIONS [SLOWER]]]", __LINE__);
	fake_reset();
	fake_agent()->lease_ms = 40L * slower;
	MUST(C_Initialize(NULL) == CKR_OK);
	for (size_t i = 0; i < SHARED; i++)
		MUST(C_OpenSession(0, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL,
			     &shared[i]) == CKR_OK);
	MUST(pthread_create(&weather, NULL, weather_main, NULL) == 0);
	MUST(pthread_create(&broom, NULL, broom_main, NULL) == 0);
	for (unsigned i = 0; i < n; i++) {
		threads[i].random = 0x9e3779b97f4a7c15 * (i + 1);
		MUST(pthread_create(&threads[i].id, NULL, thread_main, &threads[i]) == 0);
	}
	for (unsigned i = 0; i < n; i++)
		MUST(pthread_join(threads[i].id, NULL) == 0);
	atomic_store(&over, true);
	MUST(pthread_join(weather, NULL) == 0 && pthread_join(broom, NULL) == 0);
	MUST(C_Finalize(NULL) == CKR_OK);
	(void)printf("%lu operations in %u threads, %lu refused\n", atomic_load(&done), n,
		atomic_load(&refused));
	MUST(atomic_load(&done) == (unsigned long)n * n_operations);
	/* Neither everything nor nothing may be refused: then the test would show nothing. */
	MUST(atomic_load(&refused) < atomic_load(&done));
	return 0;
}
