/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Starting and waiting: what a process pays before its first signature, and the agent for many
 * processes. Usage, in a lab (VOUCHSAFE_LAB, VOUCHSAFE_CONF, P11_MODULE set):
 *   bench_start warm AGENT-SOCKET [--strict]   with a machine agent
 *   bench_start cold LAB-PROGRAM [--strict]    without one: each process unlocks for itself
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"
#include "client/client.h"
#include "token/ck.h"

enum { RUNS = 31, COLD_RUNS = 7, DELAY_MS = 50, IDLE_S = 3 };

extern char **environ;

#define OK(call) \
	do { \
		const CK_RV rv_ = (call); \
		if (rv_ != CKR_OK) \
			bench_die("%s: 0x%lx", #call, (unsigned long)rv_); \
	} while (0)

/* ---- the measured process ------------------------------------------------------------------- */

struct result {
	double resident_kib;
	double find_ms, use_ms; /* from C_Initialize to the key; from there to the signature */
};

static double
status_kib(long pid, const char *field)
{
	char path[64], line[256];
	long kib = -1;
	(void)snprintf(path, sizeof path, "/proc/%ld/status", pid);
	FILE *f = fopen(path, "re");
	BENCH_REQUIRE(f != NULL);
	while (kib < 0 && fgets(line, sizeof line, f) != NULL)
		if (strncmp(line, field, strlen(field)) == 0)
			(void)sscanf(line + strlen(field), "%ld", &kib);
	(void)fclose(f);
	BENCH_REQUIRE(kib >= 0);
	return (double)kib;
}

static CK_OBJECT_HANDLE
find_key(CK_FUNCTION_LIST *f, CK_SESSION_HANDLE s, const char *label)
{
	CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
	CK_OBJECT_HANDLE h = 0;
	CK_ULONG n = 0;
	CK_ATTRIBUTE t[] = {{CKA_CLASS, &class, sizeof class},
		{CKA_LABEL, (void *)(uintptr_t)label, strlen(label)}};
	OK(f->C_FindObjectsInit(s, t, 2));
	OK(f->C_FindObjects(s, &h, 1, &n));
	OK(f->C_FindObjectsFinal(s));
	BENCH_REQUIRE(n == 1);
	return h;
}

static void
use_module(const char *what, struct result *r)
{
	void *so = dlopen(getenv("P11_MODULE"), RTLD_NOW | RTLD_LOCAL);
	CK_RV (*get)(CK_FUNCTION_LIST **);
	CK_FUNCTION_LIST *f = NULL;
	CK_SESSION_HANDLE s = 0;
	CK_SLOT_ID slots[8];
	CK_ULONG n_slots = 8;
	if (so == NULL)
		bench_die("%s", dlerror());
	*(void **)&get = dlsym(so, "C_GetFunctionList");
	BENCH_REQUIRE(get != NULL);
	OK(get(&f));
	const double start = bench_now_ns();
	OK(f->C_Initialize(NULL));
	if (strcmp(what, "init") == 0)
		return;
	OK(f->C_GetSlotList(CK_TRUE, slots, &n_slots));
	BENCH_REQUIRE(n_slots > 0);
	OK(f->C_OpenSession(slots[0], CKF_SERIAL_SESSION, NULL, NULL, &s));
	const CK_OBJECT_HANDLE key = find_key(f, s, what);
	const double found = bench_now_ns();
	CK_MECHANISM m = {what[0] == 'r' ? CKM_SHA256_RSA_PKCS : CKM_ECDSA_SHA256, NULL, 0};
	CK_BYTE text[32] = {1}, sig[512];
	CK_ULONG sig_n = sizeof sig;
	OK(f->C_SignInit(s, &m, key));
	OK(f->C_Sign(s, text, sizeof text, sig, &sig_n));
	r->find_ms = (found - start) / 1e6;
	r->use_ms = (bench_now_ns() - found) / 1e6;
}

/* ---- starting others ------------------------------------------------------------------------ */

static pid_t
start(char *const argv[], int out)
{
	pid_t pid = 0;
	posix_spawn_file_actions_t acts;
	BENCH_REQUIRE(posix_spawn_file_actions_init(&acts) == 0);
	if (out >= 0)
		BENCH_REQUIRE(posix_spawn_file_actions_adddup2(&acts, out, 1) == 0);
	BENCH_REQUIRE(posix_spawn(&pid, argv[0], &acts, NULL, argv, environ) == 0);
	(void)posix_spawn_file_actions_destroy(&acts);
	return pid;
}

static void
finish(pid_t pid, const char *what)
{
	int status = 0;
	BENCH_REQUIRE(waitpid(pid, &status, 0) == pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		bench_die("%s has failed", what);
}

static struct result
child(const char *what)
{
	char self[] = "/proc/self/exe", mode[] = "child", arg[32];
	struct result r = {0};
	int fds[2];
	(void)snprintf(arg, sizeof arg, "%s", what);
	BENCH_REQUIRE(pipe2(fds, O_CLOEXEC) == 0);
	const pid_t pid = start((char *const[]){self, mode, arg, NULL}, fds[1]);
	(void)close(fds[1]);
	BENCH_REQUIRE(read(fds[0], &r, sizeof r) == sizeof r);
	(void)close(fds[0]);
	finish(pid, what);
	return r;
}

static int
by_size(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

/* ---- with a machine agent ------------------------------------------------------------------- */

static bool
footprint(void)
{
	double with[RUNS], without[RUNS];
	for (size_t i = 0; i < RUNS; i++) {
		without[i] = child("nothing").resident_kib;
		with[i] = child("init").resident_kib;
	}
	qsort(with, RUNS, sizeof *with, by_size);
	qsort(without, RUNS, sizeof *without, by_size);
	(void)bench_figure("process without the module", without[RUNS / 2], "KiB", 0);
	(void)bench_figure("the same after C_Initialize", with[RUNS / 2], "KiB", 0);
	return bench_figure("the module's part", with[RUNS / 2] - without[RUNS / 2], "KiB", 2048);
}

static bool
first_signature(const char *key)
{
	double ms[RUNS];
	char line[64];
	(void)child(key); /* the lease and the key are there now */
	for (size_t i = 0; i < RUNS; i++) {
		const struct result r = child(key);
		ms[i] = r.find_ms + r.use_ms;
	}
	qsort(ms, RUNS, sizeof *ms, by_size);
	(void)snprintf(line, sizeof line, "first %s signature, median", key);
	const bool good = bench_figure(line, ms[RUNS / 2], "ms", 5);
	(void)snprintf(line, sizeof line, "first %s signature, 9 of 10 within", key);
	(void)bench_figure(line, ms[RUNS * 9 / 10], "ms", 0);
	return good;
}

static long
agent_pid(const char *socket_path)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	struct ucred peer = {0};
	socklen_t n = sizeof peer;
	BENCH_REQUIRE(strlen(socket_path) < sizeof at.sun_path);
	memcpy(at.sun_path, socket_path, strlen(socket_path) + 1);
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	BENCH_REQUIRE(fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof at) == 0);
	BENCH_REQUIRE(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) == 0);
	(void)close(fd);
	return peer.pid;
}

/* Ticks of processor time. */
static unsigned long
agent_ticks(long pid)
{
	char path[64];
	unsigned long user = 0, sys = 0;
	(void)snprintf(path, sizeof path, "/proc/%ld/stat", pid);
	FILE *f = fopen(path, "re");
	BENCH_REQUIRE(f != NULL &&
		fscanf(f, "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
			&sys) == 2);
	(void)fclose(f);
	return user + sys;
}

/* Each a connection with a grant, as a process that has used a key. */
static void
connect_many(struct vs_client **clients, size_t from, size_t to, struct vs_arena *arena,
	const struct vs_profile *profile)
{
	struct vs_err err = {0};
	char text[1600];
	for (size_t i = from; i < to; i++) {
		struct vs_grant *g = NULL;
		const vs_rc made = vs_client_new(profile, arena, &clients[i], &err);
		const vs_rc rc = vs_failed(made)
			? made
			: vs_client_need(
				  clients[i], 0, NULL, 0, vs_boot_now_ns() + 30000000000, &g, &err);
		if (vs_failed(rc)) {
			vs_err_sentence(&err, text, sizeof text);
			bench_die("connection %zu: %s", i + 1, text);
		}
		vs_grant_unref(g);
	}
}

static bool
agent_memory(const char *socket_path)
{
	static struct vs_client *clients[1000];
	static const size_t steps[] = {1, 100, 1000};
	struct rlimit files = {0};
	struct vs_profile *profile = NULL;
	struct vs_arena *arena = NULL;
	struct vs_err err = {0};
	size_t have = 0;
	bool good = true;
	BENCH_REQUIRE(getrlimit(RLIMIT_NOFILE, &files) == 0);
	files.rlim_cur = files.rlim_max < 4096 ? files.rlim_max : 4096;
	BENCH_REQUIRE(setrlimit(RLIMIT_NOFILE, &files) == 0);
	BENCH_REQUIRE(!vs_failed(vs_profile_load(&profile, &err)));
	BENCH_REQUIRE(!vs_failed(vs_arena_new(1 << 16, 1 << 24, VS_LOCK_WARN, &arena, &err)));
	const long pid = agent_pid(socket_path);
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		char line[64];
		connect_many(clients, have, steps[i], arena, profile);
		have = steps[i];
		(void)snprintf(
			line, sizeof line, "agent at %zu connection%s", have, have == 1 ? "" : "s");
		(void)bench_figure(line, status_kib(pid, "VmRSS:"), "KiB", 0);
	}
	good = bench_figure("agent's peak", status_kib(pid, "VmHWM:"), "KiB", 16384);
	const unsigned long before = agent_ticks(pid);
	(void)sleep(IDLE_S);
	good = bench_figure("agent's processor time while idle",
		       (double)(agent_ticks(pid) - before) * 1000 / (double)sysconf(_SC_CLK_TCK) /
			       IDLE_S,
		       "ms/s", 1) &&
		good;
	for (size_t i = 0; i < have; i++)
		vs_client_free(clients[i]);
	vs_arena_free(arena);
	vs_profile_free(profile);
	return good;
}

/* ---- without a machine agent ---------------------------------------------------------------- */

static void
slow_services(const char *lab, bool slow)
{
	static const char *const services[] = {"imds", "entra", "maa", "vault"};
	char program[1024], verb[] = "fault", kind[] = "slow", value[] = "--value", ms[16],
			    clear[] = "clear", name[16];
	(void)snprintf(program, sizeof program, "%s", lab);
	const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	finish(start((char *const[]){program, verb, clear, NULL}, null), "fault clear");
	(void)snprintf(ms, sizeof ms, "%d", DELAY_MS);
	for (size_t i = 0; slow && i < sizeof services / sizeof services[0]; i++) {
		(void)snprintf(name, sizeof name, "%s", services[i]);
		finish(start((char *const[]){program, verb, name, kind, value, ms, NULL}, null),
			"fault slow");
	}
	(void)close(null);
}

static struct result
median_of_cold(void)
{
	double find[COLD_RUNS], use[COLD_RUNS];
	for (size_t i = 0; i < COLD_RUNS; i++) {
		const struct result r = child("rsa2048");
		find[i] = r.find_ms;
		use[i] = r.use_ms;
	}
	qsort(find, COLD_RUNS, sizeof *find, by_size);
	qsort(use, COLD_RUNS, sizeof *use, by_size);
	return (struct result){.find_ms = find[COLD_RUNS / 2], .use_ms = use[COLD_RUNS / 2]};
}

/* How many answers were waited for one after the other: what a delay of each adds. */
static bool
unlock(const char *lab)
{
	slow_services(lab, false);
	const struct result quick = median_of_cold();
	slow_services(lab, true);
	const struct result slow = median_of_cold();
	slow_services(lab, false);
	(void)bench_figure("cold start: to the list of keys", quick.find_ms, "ms", 0);
	(void)bench_figure("cold start: from there to the signature", quick.use_ms, "ms", 0);
	(void)bench_figure("with 50 ms more for each answer: list", slow.find_ms, "ms", 0);
	(void)bench_figure("with 50 ms more for each answer: signature", slow.use_ms, "ms", 0);
	(void)bench_figure(
		"answers in sequence: list", (slow.find_ms - quick.find_ms) / DELAY_MS, "", 0);
	/* Half an answer more is what two medians may differ by. */
	return bench_figure("answers in sequence: unlock to signature",
		(slow.use_ms - quick.use_ms) / DELAY_MS, "", 3.5);
}

int
main(int argc, char **argv)
{
	const bool strict = argc > 3 && strcmp(argv[3], "--strict") == 0;
	bool good = true;
	if (argc == 3 && strcmp(argv[1], "child") == 0) {
		struct result r = {0};
		if (strcmp(argv[2], "nothing") != 0)
			use_module(argv[2], &r);
		r.resident_kib = status_kib(getpid(), "VmRSS:");
		return write(1, &r, sizeof r) == sizeof r ? 0 : 1;
	}
	if (argc >= 3 && strcmp(argv[1], "warm") == 0) {
		(void)printf("\nwith a machine agent\n");
		good = footprint() && good;
		good = first_signature("ec256") && good;
		good = first_signature("rsa2048") && good;
		good = agent_memory(argv[2]) && good;
	} else if (argc >= 3 && strcmp(argv[1], "cold") == 0) {
		(void)printf("\nwithout a machine agent\n");
		good = unlock(argv[2]);
	} else {
		bench_die("usage: bench_start warm AGENT-SOCKET | cold LAB-PROGRAM [--strict]");
	}
	return strict && !good ? 1 : 0;
}
