/* SPDX-License-Identifier: BSD-2-Clause */
/* Searches among ten and ten thousand token keys; the agent behind the module is made of data. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "fake/fake_client.h"
#include "token/ck.h"

enum { LIMIT_NS = 3000, FEW = 10, MANY = 10000 };

static CK_SESSION_HANDLE session;

#define OK(call) \
	do { \
		const CK_RV rv_ = (call); \
		if (rv_ != CKR_OK) \
			bench_die("%s: 0x%lx", #call, (unsigned long)rv_); \
	} while (0)

struct work {
	CK_SESSION_HANDLE session;
	CK_OBJECT_CLASS class;
	char label[32];
	CK_BYTE id[20];
	CK_ATTRIBUTE wanted[2];
	unsigned n_wanted;
};

/* The key that is listed last, so that walking from either end would show. */
static struct work *
new_work(void)
{
	struct work *w = calloc(1, sizeof *w);
	const size_t last = fake_agent()->n_extra / 2;
	BENCH_REQUIRE(w != NULL);
	OK(C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &w->session));
	w->class = CKO_PRIVATE_KEY;
	w->wanted[0] = (CK_ATTRIBUTE){CKA_CLASS, &w->class, sizeof w->class};
	(void)snprintf(w->label, sizeof w->label, "extra-%zu", last);
	w->id[0] = 0x5a;
	memcpy(w->id + 1, &last, sizeof last);
	w->n_wanted = 2;
	return w;
}

static void *
by_label(void)
{
	struct work *w = new_work();
	w->wanted[1] = (CK_ATTRIBUTE){CKA_LABEL, w->label, strlen(w->label)};
	return w;
}

static void *
by_id(void)
{
	struct work *w = new_work();
	w->wanted[1] = (CK_ATTRIBUTE){CKA_ID, w->id, sizeof w->id};
	return w;
}

static void
run(void *work, unsigned n)
{
	struct work *w = work;
	CK_OBJECT_HANDLE h[2];
	while (n-- != 0) {
		CK_ULONG found = 0;
		OK(C_FindObjectsInit(w->session, w->wanted, w->n_wanted));
		OK(C_FindObjects(w->session, h, 2, &found));
		OK(C_FindObjectsFinal(w->session));
		BENCH_REQUIRE(found == 1);
	}
}

static void
drop(void *work)
{
	struct work *w = work;
	OK(C_CloseSession(w->session));
	free(w);
}

static const struct bench_op ops[] = {{by_label, run, drop}, {by_id, run, drop}};

static bool
measure(size_t n_keys)
{
	static const char *const names[] = {"label", "CKA_ID"};
	bool good = true;
	char line[64];
	fake_reset();
	fake_agent()->n_extra = n_keys - fake_agent()->n_keys;
	OK(C_Initialize(NULL));
	/* Keeps the token's objects. */
	OK(C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &session));
	/* The first search asks the agent and builds the indexes. */
	struct work *w = by_label();
	const double start = bench_now_ns();
	run(w, 1);
	(void)snprintf(line, sizeof line, "first search among %zu", n_keys);
	(void)bench_figure(line, (bench_now_ns() - start) / 1e3, "us", 0);
	drop(w);
	for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
		(void)snprintf(line, sizeof line, "find a key by %s among %zu", names[i], n_keys);
		good = bench_figure(line, bench_alone(&ops[i], 1), "ns", LIMIT_NS) && good;
	}
	OK(C_Finalize(NULL));
	return good;
}

int
main(int argc, char **argv)
{
	const bool strict = argc > 1 && strcmp(argv[1], "--strict") == 0;
	bool good = measure(FEW);
	good = measure(MANY) && good;
	return strict && !good ? 1 : 0;
}
