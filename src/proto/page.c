/* SPDX-License-Identifier: BSD-2-Clause */
#include "proto/page.h"

#include <stddef.h>
#include <time.h>

int64_t
vs_boot_now_ns(void)
{
	struct timespec ts = {0};
	/* Cannot fail on Linux; if it did, the end of time makes every lease ended. */
	if (clock_gettime(CLOCK_BOOTTIME, &ts) != 0)
		return INT64_MAX;
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

enum vs_code
vs_page_allows(const struct vs_page *page, uint32_t key, bool began)
{
	if (!page || key >= VS_PAGE_KEYS_MAX)
		return VS_E_REVOKED;
	switch (atomic_load_explicit(&page->state, memory_order_acquire)) {
	case VS_PAGE_LIVE: break;
	case VS_PAGE_ENDED: return VS_E_LEASE_ENDED;
	default: return VS_E_REVOKED;
	}
	if (atomic_load_explicit(&page->key[key], memory_order_acquire) != VS_PAGE_KEY_LIVE)
		return VS_E_KEY_GONE;
	const _Atomic int64_t *until =
		began ? &page->grace_until_boot_ns : &page->valid_until_boot_ns;
	if (vs_boot_now_ns() >= atomic_load_explicit(until, memory_order_acquire))
		return VS_E_LEASE_ENDED;
	return VS_E_OK;
}
