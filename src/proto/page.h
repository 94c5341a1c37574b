/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lease page: a sealed memfd that the agent writes and applications map read-only. An
 * application looks at it before every private step: no system call, no lock.
 *
 * Writer order: everything else first, then `state` and `valid_until_boot_ns` by release stores.
 * The agent extends by moving valid_until, revokes by changing state. A dead agent can extend
 * nothing. There is one page per lease (token and agent), shared by all its readers.
 */
#ifndef VS_PROTO_PAGE_H
#define VS_PROTO_PAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "vouchsafe/err.h"

enum { VS_PAGE_BYTES = 4096, VS_PAGE_KEYS_MAX = 3072, VS_PAGE_VERSION = 1 };
#define VS_PAGE_MAGIC UINT64_C(0x7673706167653031) /* "vspage01" */

enum vs_page_state { VS_PAGE_NONE = 0, VS_PAGE_LIVE = 1, VS_PAGE_REVOKED = 2, VS_PAGE_ENDED = 3 };
enum vs_page_key { VS_PAGE_KEY_FREE = 0, VS_PAGE_KEY_LIVE = 1, VS_PAGE_KEY_GONE = 2 };

struct vs_page {
	uint64_t magic;
	uint32_t version;
	uint32_t n_keys;
	uint8_t lease_id[16];
	_Atomic int64_t valid_until_boot_ns; /* no new operation from here on */
	_Atomic int64_t
		grace_until_boot_ns; /* an operation already initialised may finish until here */
	_Atomic uint32_t state; /* enum vs_page_state */
	_Atomic uint32_t reason; /* vs_code number of the last reason */
	uint8_t reserved[64];
	_Atomic uint8_t key[VS_PAGE_KEYS_MAX]; /* by key number of this lease: enum vs_page_key */
};
_Static_assert(sizeof(struct vs_page) <= VS_PAGE_BYTES, "page layout");

/*
 * May a private step with key number `key` be made now? began: the operation was initialised
 * while the lease was live (then the grace counts). Reads the boot clock by the vDSO.
 * VS_E_OK, VS_E_LEASE_ENDED, VS_E_REVOKED or VS_E_KEY_GONE. A NULL page is REVOKED.
 */
enum vs_code vs_page_allows(const struct vs_page *page, uint32_t key, bool began);

/*
 * A reading of the boot clock that serves again: each costs 20 ns, a tenth of a short cipher's
 * time. It serves while the kernel's tick stands where it stood (suspending moves it, too), for so
 * many looks and no more (should the tick be stuck), and only for an end that is much farther away
 * than a tick lasts. State and key are looked at each time. All zero at first; its owner's lock
 * guards it.
 */
struct vs_boot_watch {
	int64_t tick_ns; /* the tick's clock when boot_ns was read */
	int64_t boot_ns;
	uint32_t left;
};
enum { VS_WATCH_LOOKS = 64 };
#define VS_WATCH_MARGIN_NS INT64_C(1000000000)
enum vs_code vs_page_allows_watched(
	const struct vs_page *page, uint32_t key, bool began, struct vs_boot_watch *watch);

/* CLOCK_BOOTTIME in ns. */
int64_t vs_boot_now_ns(void);

#endif
