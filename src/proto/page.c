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

/* What the last tick left: a load from a page of the kernel's. -1 when it cannot be had. */
static int64_t
tick_ns(void)
{
	struct timespec ts = {0};
	if (clock_gettime(CLOCK_MONOTONIC_COARSE, &ts) != 0)
		return -1;
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static bool
is_over(int64_t until, struct vs_boot_watch *w)
{
	/* The tick before the clock: one between the two only makes the next look read again. */
	const int64_t tick = tick_ns();
	if (tick == w->tick_ns && w->left != 0 && until > VS_WATCH_MARGIN_NS &&
		w->boot_ns < until - VS_WATCH_MARGIN_NS) {
		w->left--;
		return false;
	}
	w->tick_ns = tick;
	w->left = tick < 0 ? 0 : VS_WATCH_LOOKS;
	w->boot_ns = vs_boot_now_ns();
	return w->boot_ns >= until;
}

enum vs_code
vs_page_allows_watched(
	const struct vs_page *page, uint32_t key, bool began, struct vs_boot_watch *watch)
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
	if (is_over(atomic_load_explicit(until, memory_order_acquire), watch))
		return VS_E_LEASE_ENDED;
	return VS_E_OK;
}

enum vs_code
vs_page_allows(const struct vs_page *page, uint32_t key, bool began)
{
	struct vs_boot_watch now = {0};
	return vs_page_allows_watched(page, key, began, &now);
}
