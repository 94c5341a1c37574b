/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A long-lived application: loads the module like any other, keeps its session and handles, and
 * does what it is told on standard input, one command a line, one answer a line:
 *
 *   open TOKEN          find the token, open a session        CKR
 *   find LABEL          private key by label                  CKR and "found" or "none"
 *   sign MECH           MECH: rsa, pss, ecdsa; by the key found   CKR and the length
 *   init MECH           C_SignInit only                       CKR
 *   final               C_Sign after init                     CKR and the length
 *   device              C_GetSessionInfo.ulDeviceError        number
 *   scan FILE           is this file's content in our memory  "absent" or "present N"
 *   fork-scan FILE          the same in a child after fork     "absent" or "present N"
 *   fork-init-scan FILE     the same after its C_Initialize    "absent" or "present N"
 *   finalize, initialize    C_Finalize; C_Initialize           CKR
 *   crash                   abort(), for a core dump           none
 *   sleep MS
 */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <p11-kit/pkcs11.h>

struct state {
	CK_FUNCTION_LIST *f;
	CK_SESSION_HANDLE session;
	CK_OBJECT_HANDLE key;
};

static const char *
name_of(CK_RV rv)
{
	static char other[32];
	static const struct {
		CK_RV rv;
		const char *name;
	} names[] = {{CKR_OK, "CKR_OK"}, {CKR_FUNCTION_REJECTED, "CKR_FUNCTION_REJECTED"},
		{CKR_DEVICE_ERROR, "CKR_DEVICE_ERROR"}, {CKR_DEVICE_REMOVED, "CKR_DEVICE_REMOVED"},
		{CKR_FUNCTION_FAILED, "CKR_FUNCTION_FAILED"},
		{CKR_TOKEN_NOT_PRESENT, "CKR_TOKEN_NOT_PRESENT"},
		{CKR_OPERATION_NOT_INITIALIZED, "CKR_OPERATION_NOT_INITIALIZED"},
		{CKR_KEY_HANDLE_INVALID, "CKR_KEY_HANDLE_INVALID"},
		{CKR_HOST_MEMORY, "CKR_HOST_MEMORY"}, {CKR_GENERAL_ERROR, "CKR_GENERAL_ERROR"}};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (names[i].rv == rv)
			return names[i].name;
	(void)snprintf(other, sizeof other, "0x%lx", (unsigned long)rv);
	return other;
}

static CK_RV
open_token(struct state *s, const char *label)
{
	CK_SLOT_ID slots[64];
	CK_ULONG n = 64;
	const CK_RV rv = s->f->C_GetSlotList(CK_TRUE, slots, &n);
	for (CK_ULONG i = 0; rv == CKR_OK && i < n; i++) {
		CK_TOKEN_INFO info;
		if (s->f->C_GetTokenInfo(slots[i], &info) == CKR_OK &&
			strncmp((const char *)info.label, label, strlen(label)) == 0 &&
			(strlen(label) == 32 || info.label[strlen(label)] == ' '))
			return s->f->C_OpenSession(
				slots[i], CKF_SERIAL_SESSION, NULL, NULL, &s->session);
	}
	return rv == CKR_OK ? CKR_TOKEN_NOT_PRESENT : rv;
}

static CK_RV
find_key(struct state *s, char *label, CK_ULONG *n)
{
	CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
	CK_ATTRIBUTE t[] = {{CKA_CLASS, &class, sizeof class}, {CKA_LABEL, label, strlen(label)}};
	CK_RV rv = s->f->C_FindObjectsInit(s->session, t, 2);
	if (rv != CKR_OK)
		return rv;
	rv = s->f->C_FindObjects(s->session, &s->key, 1, n);
	(void)s->f->C_FindObjectsFinal(s->session);
	return rv;
}

static CK_RV
sign_init(struct state *s, const char *mech)
{
	CK_RSA_PKCS_PSS_PARAMS pss = {CKM_SHA256, CKG_MGF1_SHA256, 32};
	CK_MECHANISM m = {CKM_SHA256_RSA_PKCS, NULL, 0};
	if (strcmp(mech, "pss") == 0)
		m = (CK_MECHANISM){CKM_SHA256_RSA_PKCS_PSS, &pss, sizeof pss};
	else if (strcmp(mech, "ecdsa") == 0)
		m = (CK_MECHANISM){CKM_ECDSA_SHA256, NULL, 0};
	return s->f->C_SignInit(s->session, &m, s->key);
}

static CK_RV
sign_final(struct state *s, CK_ULONG *len)
{
	CK_BYTE sig[1024], data[17] = "data to be signed";
	*len = sizeof sig;
	return s->f->C_Sign(s->session, data, sizeof data, sig, len);
}

/* Does the file's content stand anywhere in our readable memory, but in the buffer we look with? */
static void
scan(const char *path)
{
	static unsigned char want[8192], part[1 << 20];
	FILE *f = fopen(path, "rb");
	const size_t n = f ? fread(want, 1, sizeof want, f) : 0;
	if (f)
		(void)fclose(f);
	FILE *maps = fopen("/proc/self/maps", "r"), *mem = fopen("/proc/self/mem", "rb");
	if (n < 16 || !maps || !mem) {
		printf("cannot scan\n");
		return;
	}
	unsigned hits = 0;
	char line[512];
	while (fgets(line, sizeof line, maps)) {
		unsigned long from, to;
		char mode[8];
		if (sscanf(line, "%lx-%lx %7s", &from, &to, mode) != 3 || mode[0] != 'r' ||
			strstr(line, "[v"))
			continue;
		for (unsigned long at = from; at < to;) {
			const size_t len = to - at < sizeof part ? to - at : sizeof part;
			if (fseek(mem, (long)at, SEEK_SET) != 0)
				break;
			const size_t got = fread(part, 1, len, mem);
			for (unsigned char *p = part;
				(p = memmem(p, got - (size_t)(p - part), want, n)); p++) {
				const uintptr_t where = at + (uintptr_t)(p - part);
				const bool own = (where >= (uintptr_t)want &&
							 where < (uintptr_t)want + sizeof want) ||
					(where >= (uintptr_t)part &&
						where < (uintptr_t)part + sizeof part);
				hits += !own;
			}
			if (got < len || len <= n)
				break;
			at += at + len >= to ? len : len - n;
		}
	}
	(void)fclose(maps);
	(void)fclose(mem);
	if (hits)
		printf("present %u\n", hits);
	else
		printf("absent\n");
}

/* A child looks at what it inherited, as it is or after it has initialised the module. */
static void
fork_scan(struct state *s, const char *path, bool init)
{
	(void)fflush(stdout);
	const pid_t child = fork();
	if (child == 0) {
		if (init && s->f->C_Initialize(NULL) != CKR_OK)
			_exit(1);
		scan(path);
		(void)fflush(stdout);
		_exit(0);
	}
	int status = -1;
	if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
		printf("the child failed\n");
}

static void
command(struct state *s, char *word, char *arg)
{
	CK_ULONG n = 0;
	CK_RV rv;
	CK_SESSION_INFO info;
	if (strcmp(word, "open") == 0) {
		printf("%s\n", name_of(open_token(s, arg)));
	} else if (strcmp(word, "find") == 0) {
		rv = find_key(s, arg, &n);
		printf("%s %s\n", name_of(rv), n ? "found" : "none");
	} else if (strcmp(word, "sign") == 0) {
		rv = sign_init(s, arg);
		if (rv == CKR_OK)
			rv = sign_final(s, &n);
		printf("%s %lu\n", name_of(rv), rv == CKR_OK ? n : 0);
	} else if (strcmp(word, "init") == 0) {
		printf("%s\n", name_of(sign_init(s, arg)));
	} else if (strcmp(word, "final") == 0) {
		rv = sign_final(s, &n);
		printf("%s %lu\n", name_of(rv), rv == CKR_OK ? n : 0);
	} else if (strcmp(word, "device") == 0) {
		rv = s->f->C_GetSessionInfo(s->session, &info);
		printf("%s %lu\n", name_of(rv), rv == CKR_OK ? info.ulDeviceError : 0);
	} else if (strcmp(word, "scan") == 0) {
		scan(arg);
	} else if (strcmp(word, "fork-scan") == 0) {
		fork_scan(s, arg, false);
	} else if (strcmp(word, "fork-init-scan") == 0) {
		fork_scan(s, arg, true);
	} else if (strcmp(word, "finalize") == 0) {
		printf("%s\n", name_of(s->f->C_Finalize(NULL)));
	} else if (strcmp(word, "initialize") == 0) {
		printf("%s\n", name_of(s->f->C_Initialize(NULL)));
	} else if (strcmp(word, "crash") == 0) {
		abort();
	} else if (strcmp(word, "sleep") == 0) {
		long ms = 0;
		if (sscanf(arg, "%ld", &ms) != 1)
			ms = 0;
		nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000},
			NULL);
		printf("slept\n");
	} else {
		printf("unknown command\n");
	}
}

int
main(int argc, char **argv)
{
	struct state s = {0};
	void *dl = argc == 2 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
	if (!dl) {
		(void)fprintf(stderr, "usage: client MODULE (%s)\n", argc == 2 ? dlerror() : "");
		return 2;
	}
	CK_C_GetFunctionList get;
	*(void **)&get = dlsym(dl, "C_GetFunctionList");
	if (!get || get(&s.f) != CKR_OK || s.f->C_Initialize(NULL) != CKR_OK)
		return 2;
	char line[512];
	while (fgets(line, sizeof line, stdin)) {
		line[strcspn(line, "\n")] = '\0';
		char *arg = strchr(line, ' ');
		if (arg)
			*arg++ = '\0';
		command(&s, line, arg ? arg : line + strlen(line));
		(void)fflush(stdout);
	}
	return s.f->C_Finalize(NULL) == CKR_OK ? 0 : 1;
}
