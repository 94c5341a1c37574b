/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * usage: fuzz_NAME [FILE|FOLDER ...]; without arguments seeds/NAME and what the row NAME of the
 * file targets lists. Each seed runs as it is, cut at many places, and with changes that a fixed
 * generator picks: the same every time. Those that a campaign found, whose names are hashes, are
 * many, and changed already: a few changes will do.
 */
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz/fuzz.h"

enum { SEED_MAX = 1 << 20, ROUNDS = 400, ROUNDS_FOUND = 40, CUTS = 64, HASH_NAME = 40 };

static size_t runs, seeds;
static uint64_t state = 0x9e3779b97f4a7c15;

static uint32_t
next(uint32_t limit)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 20) % limit;
}

static void
run(const uint8_t *data, size_t n)
{
	/* An exact allocation, so that a sanitizer sees the first byte too many. */
	uint8_t *copy = malloc(n != 0 ? n : 1);
	if (copy == NULL)
		return;
	if (n != 0)
		memcpy(copy, data, n);
	(void)LLVMFuzzerTestOneInput(copy, n);
	free(copy);
	runs++;
}

static size_t
change(uint8_t *p, size_t n)
{
	static const char *const words[] = {"\"", "{", "}", "[", "]", ",", ":", "null", "1e400",
		"\\u0000", "\xff", "-", "_", "=", ".", "true", "9223372036854775808", "\\ud800"};
	for (uint32_t k = 1 + next(4); k > 0 && n > 0; k--) {
		const uint32_t at = next((uint32_t)n);
		switch (next(6)) {
		case 0: p[at] ^= (uint8_t)(1u << next(8)); break;
		case 1: p[at] = (uint8_t)next(256); break;
		case 2: n = at; break;
		case 3: memmove(p + at, p + at + 1, n - at - 1), n--; break;
		case 4: {
			const char *w = words[next(sizeof words / sizeof words[0])];
			const size_t m = strlen(w);
			memmove(p + at + m, p + at, n - at);
			memcpy(p + at, w, m);
			n += m;
			break;
		}
		default: {
			const uint32_t from = next((uint32_t)n);
			const size_t m = next(64) % (n - (from > at ? from : at) + 1);
			memmove(p + at, p + from, m);
		}
		}
	}
	return n;
}

static void
run_seed(const uint8_t *seed, size_t n, bool found)
{
	uint8_t *p = malloc(n + 1024);
	if (p == NULL)
		return;
	run(seed, n);
	for (size_t i = 0; i < CUTS && !found; i++)
		run(seed, n * i / CUTS);
	for (size_t i = 0; i < (found ? ROUNDS_FOUND : ROUNDS); i++) {
		memcpy(p, seed, n);
		run(p, change(p, n));
	}
	free(p);
	seeds++;
}

static bool
is_found(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash != NULL ? slash + 1 : path;
	return strlen(name) == HASH_NAME && strspn(name, "0123456789abcdef") == HASH_NAME;
}

static void
run_path(const char *path)
{
	char inner[1024];
	struct stat st;
	if (stat(path, &st) != 0)
		return;
	if (S_ISDIR(st.st_mode)) {
		struct dirent **names = NULL;
		const int n = scandir(path, &names, NULL, alphasort);
		for (int i = 0; i < n; i++) {
			snprintf(inner, sizeof inner, "%s/%s", path, names[i]->d_name);
			if (names[i]->d_name[0] != '.')
				run_path(inner);
			free(names[i]);
		}
		free(names);
		return;
	}
	FILE *f = fopen(path, "rb");
	uint8_t *data = malloc(SEED_MAX);
	if (f != NULL && data != NULL)
		run_seed(data, fread(data, 1, SEED_MAX, f), is_found(path));
	free(data);
	if (f != NULL)
		fclose(f);
}

/* The row of the table that is this program's; false: it has none. */
static bool
run_row(const char *name)
{
	char line[2048], path[1024];
	bool found = false;
	FILE *f = fopen(VS_TEST_SRCDIR "/tests/fuzz/targets", "r");
	while (f != NULL && fgets(line, sizeof line, f) != NULL) {
		char *save = NULL;
		const char *word = strtok_r(line, " \n", &save);
		if (word == NULL || strcmp(word, name) != 0)
			continue;
		found = true;
		snprintf(path, sizeof path, VS_TEST_SRCDIR "/tests/fuzz/seeds/%s", name);
		run_path(path);
		(void)strtok_r(NULL, " \n", &save);
		while ((word = strtok_r(NULL, " \n", &save)) != NULL) {
			snprintf(path, sizeof path, VS_TEST_SRCDIR "/%s", word);
			run_path(path);
		}
	}
	if (f != NULL)
		fclose(f);
	return found;
}

int
fuzz_replay(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		run_path(argv[i]);
	const char *name = strstr(argv[0], "fuzz_");
	for (const char *p = name; p != NULL; p = strstr(p + 1, "fuzz_"))
		name = p;
	if (argc < 2 && (name == NULL || !run_row(name + strlen("fuzz_")))) {
		fprintf(stderr, "%s: tests/fuzz/targets has no such row\n", argv[0]);
		return 1;
	}
	printf("%zu seeds, %zu runs\n", seeds, runs);
	/* A replay without seeds would be a test that cannot fail. */
	return seeds == 0;
}

#ifndef FUZZ_OWN_MAIN
int
main(int argc, char **argv)
{
	return fuzz_replay(argc, argv);
}
#endif
