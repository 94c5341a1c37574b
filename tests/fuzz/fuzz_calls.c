/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * usage: fuzz_calls [SEQUENCES [FIRST]]; every sequence follows from its number. Afterwards each
 * deliberately wrong rule of the model must be noticed, and the seeds are replayed as those of every
 * target are. With --enable-fuzzing the fuzzer makes the sequences. The module is loaded as
 * applications do it, with an agent made of data inside.
 */
#include "fuzz/calls.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"

enum { SEQUENCE_MAX = 6000 };

static CK_FUNCTION_LIST_3_0 *list;
static struct fake_agent *(*agent)(void);
static void (*reset)(void), (*end_lease)(void);
static unsigned long calls, good;

static void
load(void)
{
	CK_RV (*get)(CK_UTF8CHAR *, CK_VERSION *, CK_INTERFACE **, CK_FLAGS) = NULL;
	CK_VERSION version = {3, 0};
	CK_INTERFACE *i = NULL;
	void *so =
		dlopen(VS_TEST_BUILDDIR "/tests/fuzz/.libs/calls-pkcs11.so", RTLD_NOW | RTLD_LOCAL);
	if (so == NULL) {
		(void)fprintf(stderr, "%s\n", dlerror());
		exit(2);
	}
	*(void **)&get = dlsym(so, "C_GetInterface");
	*(void **)&agent = dlsym(so, "calls_agent");
	*(void **)&reset = dlsym(so, "calls_reset");
	*(void **)&end_lease = dlsym(so, "calls_end_lease");
	FUZZ_MUST(get != NULL && agent != NULL && reset != NULL && end_lease != NULL);
	FUZZ_MUST(get(NULL, &version, &i, 0) == CKR_OK);
	list = i->pFunctionList;
	calls_rsa_load(agent());
}

static bool
play(const uint8_t *data, size_t size, bool quiet)
{
	static struct calls_run r;
	r = (struct calls_run){.in = {data, size},
		.f = list,
		.agent = agent(),
		.end_lease = end_lease,
		.quiet = quiet};
	reset();
	r.agent->profile.tokens[1].login = VS_LOGIN_ATTEST;
	const bool same = calls_play(&r);
	(void)list->C_Finalize(NULL);
	calls += r.calls;
	good += r.good;
	return same;
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	load();
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	FUZZ_MUST(play(data, size, false));
	return 0;
}

#ifndef VS_FUZZING
static bool
play_number(unsigned long number, bool quiet)
{
	static uint8_t data[SEQUENCE_MAX];
	uint64_t x = (number + 1) * 0x9e3779b97f4a7c15;
	for (size_t i = 0; i < sizeof data; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		data[i] = (uint8_t)(x >> 32);
	}
	return play(data, sizeof data, quiet);
}

/* A model with a wrong rule must differ from the module before long. */
static bool
is_noticed(enum calls_break rule)
{
	bool noticed = false;
	calls_broken = rule;
	for (unsigned long i = 0; i < 2000 && !noticed; i++)
		noticed = !play_number(i, true);
	calls_broken = CALLS_RIGHT;
	return noticed;
}

int
main(int argc, char **argv)
{
	unsigned long n = 2000, first = 0;
	if ((argc > 1 && sscanf(argv[1], "%lu", &n) != 1) ||
		(argc > 2 && sscanf(argv[2], "%lu", &first) != 1)) {
		(void)fprintf(stderr, "usage: fuzz_calls [SEQUENCES [FIRST]]\n");
		return 2;
	}
	load();
	for (unsigned long i = first; i < first + n; i++) {
		if (!play_number(i, false)) {
			(void)fprintf(stderr, "sequence %lu: module and model differ\n", i);
			return 1;
		}
	}
	(void)printf("%lu sequences, %lu calls, %lu of them did what was asked\n", n, calls, good);
	if (good < calls / 4) /* or little was tried at all */
		return 1;
	bool all = true;
	for (unsigned rule = CALLS_RIGHT + 1; rule < CALLS_BREAKS; rule++) {
		if (!is_noticed((enum calls_break)rule)) {
			(void)fprintf(stderr, "wrong rule %u of the model is not noticed\n", rule);
			all = false;
		}
	}
	if (!all)
		return 1;
	(void)printf("%d wrong rules of the model were noticed\n", CALLS_BREAKS - 1);
	return fuzz_replay(1, argv);
}
#endif
