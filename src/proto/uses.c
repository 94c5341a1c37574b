/* SPDX-License-Identifier: BSD-2-Clause */
#include "proto/uses.h"

#include <stddef.h>

void
vs_uses_add(struct vs_uses *u, uint32_t key, uint32_t stripe)
{
	if (u == NULL || key >= VS_USES_KEYS_MAX)
		return;
	atomic_fetch_add_explicit(
		&u->n[key / VS_USES_LINE][stripe % VS_USES_STRIPES][key % VS_USES_LINE], 1,
		memory_order_relaxed);
}

uint64_t
vs_uses_sum(const struct vs_uses *u, uint32_t key)
{
	uint64_t n = 0;

	if (key >= VS_USES_KEYS_MAX)
		return 0;
	for (unsigned i = 0; i < VS_USES_STRIPES; i++)
		n += atomic_load_explicit(
			&u->n[key / VS_USES_LINE][i][key % VS_USES_LINE], memory_order_relaxed);
	return n;
}
