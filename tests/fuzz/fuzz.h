/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One parser per file, each with the entry point that fuzzers call. Built with --enable-fuzzing it
 * links to the fuzzer; otherwise to replay.c, which runs the seeds and a fixed number of changes
 * to them, so that `make check` keeps every target alive.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* replay.c: what it does as a program, for a target that does more than that. */
int fuzz_replay(int argc, char **argv);

/* What must hold whatever the input is; ends the program. */
#define FUZZ_MUST(cond) \
	do { \
		if (!(cond)) \
			__builtin_trap(); \
	} while (0)

#endif
