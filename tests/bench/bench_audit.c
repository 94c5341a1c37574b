/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the audit log costs: how often something waits for the disk. The agent runs with syncs.so
 * preloaded, which counts. Usage, in a lab with an agent (VOUCHSAFE_CONF, P11_MODULE, VS_SYNCS):
 *   bench_audit [--strict] [--minute]     --minute: also wait for the record of uses
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/bench.h"
#include "client/client.h"
#include "token/ck.h"

enum { SIGNATURES = 5000, PROCESSES = 20, MINUTE_MAX_S = 75 };

#define OK(call) \
	do { \
		const CK_RV rv_ = (call); \
		if (rv_ != CKR_OK) \
			bench_die("%s: 0x%lx", #call, (unsigned long)rv_); \
	} while (0)

static const _Atomic uint64_t *syncs;

static uint64_t
so_far(void)
{
	return atomic_load(syncs);
}

static void
open_counter(void)
{
	const char *path = getenv("VS_SYNCS");
	if (path == NULL)
		bench_die("VS_SYNCS is not set");
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	BENCH_REQUIRE(fd >= 0);
	void *p = mmap(NULL, sizeof(uint64_t), PROT_READ, MAP_SHARED, fd, 0);
	BENCH_REQUIRE(p != MAP_FAILED);
	(void)close(fd);
	syncs = p;
	/* The agent has written its start: else nothing is being counted. */
	if (so_far() == 0)
		bench_die("nothing was counted: is syncs.so preloaded into the agent?");
}

/* ---- the gate, by the client alone ------------------------------------------------------------
 */

struct asker {
	struct vs_profile *profile;
	struct vs_arena *arena;
	struct vs_client *client;
	struct vs_grant *grant;
};

static int64_t
deadline(void)
{
	return vs_boot_now_ns() + INT64_C(30000000000);
}

static void
ask_for_grant(struct asker *a)
{
	struct vs_err err = {0};
	char why[512];
	vs_rc rc = vs_profile_load(&a->profile, &err);
	if (!vs_failed(rc))
		rc = vs_arena_new(65536, 1 << 20, VS_LOCK_WARN, &a->arena, &err);
	if (!vs_failed(rc))
		rc = vs_client_new(a->profile, a->arena, &a->client, &err);
	if (!vs_failed(rc))
		rc = vs_client_need(a->client, 0, NULL, 0, deadline(), &a->grant, &err);
	vs_err_sentence(&err, why, sizeof why);
	if (vs_failed(rc))
		bench_die("no grant: %s", why);
}

static void
ask_for_key(struct asker *a, const char *name)
{
	struct vs_err err = {0};
	struct vs_secret secret = {0};
	uint32_t no = 0;
	if (vs_failed(vs_client_key(a->client, a->grant, vs_bytes_str(name), vs_bytes_str(""),
		    deadline(), NULL, &secret, &no, &err)))
		bench_die("no key %s", name);
	vs_secret_done(&secret);
}

/* Another process that asks for a key that is here. */
static void
another_process(void)
{
	int status = 0;
	const pid_t pid = fork();
	BENCH_REQUIRE(pid >= 0);
	if (pid == 0) {
		struct asker a = {0};
		ask_for_grant(&a);
		ask_for_key(&a, "ec256");
		_exit(0);
	}
	BENCH_REQUIRE(waitpid(pid, &status, 0) == pid && status == 0);
}

/* ---- the module -------------------------------------------------------------------------------
 */

struct signer {
	CK_FUNCTION_LIST *f;
	CK_SESSION_HANDLE s;
	CK_OBJECT_HANDLE key;
};

static void
open_module(struct signer *x, const char *label)
{
	CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
	CK_ATTRIBUTE t[] = {{CKA_CLASS, &class, sizeof class},
		{CKA_LABEL, (void *)(uintptr_t)label, strlen(label)}};
	CK_RV (*get)(CK_FUNCTION_LIST **);
	CK_SLOT_ID slots[8];
	CK_ULONG n = 8;
	void *so = dlopen(getenv("P11_MODULE"), RTLD_NOW | RTLD_LOCAL);
	if (so == NULL)
		bench_die("%s", dlerror());
	*(void **)&get = dlsym(so, "C_GetFunctionList");
	OK(get(&x->f));
	OK(x->f->C_Initialize(NULL));
	OK(x->f->C_GetSlotList(CK_TRUE, slots, &n));
	OK(x->f->C_OpenSession(slots[0], CKF_SERIAL_SESSION, NULL, NULL, &x->s));
	OK(x->f->C_FindObjectsInit(x->s, t, 2));
	OK(x->f->C_FindObjects(x->s, &x->key, 1, &n));
	OK(x->f->C_FindObjectsFinal(x->s));
	BENCH_REQUIRE(n == 1);
}

static void
sign(const struct signer *x)
{
	CK_MECHANISM m = {CKM_ECDSA_SHA256, NULL, 0};
	CK_BYTE text[32] = {1}, sig[64];
	CK_ULONG n = sizeof sig;
	OK(x->f->C_SignInit(x->s, &m, x->key));
	OK(x->f->C_Sign(x->s, text, sizeof text, sig, &n));
}

/* The minute's record, however many keys were used how often. */
static double
wait_for_minute(void)
{
	const uint64_t before = so_far();
	const struct timespec second = {.tv_sec = 1};
	for (int i = 0; i < MINUTE_MAX_S && so_far() == before; i++)
		(void)nanosleep(&second, NULL);
	(void)nanosleep(&second, NULL);
	return (double)(so_far() - before);
}

int
main(int argc, char **argv)
{
	struct asker a = {0};
	struct signer x = {0};
	bool good = true, strict = false, minute = false;
	for (int i = 1; i < argc; i++) {
		strict = strict || strcmp(argv[i], "--strict") == 0;
		minute = minute || strcmp(argv[i], "--minute") == 0;
	}
	open_counter();
	bench_head("audit: how often the disk is waited for");
	uint64_t n = so_far();
	ask_for_grant(&a);
	good &= bench_figure("a grant (attestation)", (double)(so_far() - n), "fsync", 1);
	n = so_far();
	ask_for_key(&a, "ec256");
	good &= bench_figure(
		"a key's release, and its hand-over", (double)(so_far() - n), "fsync", 2);
	n = so_far();
	another_process();
	good &= bench_figure("the key for another process", (double)(so_far() - n), "fsync", 1);
	open_module(&x, "ec256");
	n = so_far();
	sign(&x);
	good &= bench_figure(
		"the key for a process that has it", (double)(so_far() - n), "fsync", 0.5);
	n = so_far();
	for (int i = 0; i < SIGNATURES; i++)
		sign(&x);
	good &= bench_figure("5000 signatures", (double)(so_far() - n), "fsync", 0.5);
	if (minute)
		good &= bench_figure(
			"a minute of uses, all keys and processes", wait_for_minute(), "fsync", 1);
	return good || !strict ? 0 : 1;
}
