/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <string.h>

#include "base/codec.h"

static uint64_t
fnv1a(uint64_t hash, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		hash = (hash ^ (uint8_t)s[i]) * UINT64_C(0x100000001b3);
	return hash;
}

void
vs_serial16(const char *label, const char *vault, char out[17])
{
	size_t n = strlen(vault);
	if (n > 0 && vault[n - 1] == '/')
		n--;
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	hash = fnv1a(hash, label, strlen(label));
	hash = fnv1a(hash, "\n", 1);
	hash = fnv1a(hash, vault, n);
	snprintf(out, 17, "%016llx", (unsigned long long)hash);
}
