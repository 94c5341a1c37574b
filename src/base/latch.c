/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/latch.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { FIRST_NS = 8000000, LONGEST_NS = 64000000 };

void
vs_latch_wait(struct vs_latch *l)
{
	const int saved = errno;
	long ns = FIRST_NS;

	/* Who had to wait leaves the mark: others may be asleep, too. */
	while (atomic_exchange_explicit(&l->word, VS_LATCH_WANTED, memory_order_acquire) !=
		VS_LATCH_FREE) {
		const struct timespec moment = {0, ns};
		(void)syscall(
			SYS_futex, &l->word, FUTEX_WAIT_PRIVATE, VS_LATCH_WANTED, &moment, NULL, 0);
		/* A missed wake is over after the first; later ones are for locks held long. */
		if (ns < LONGEST_NS)
			ns *= 2;
	}
	VS_RACE_LOCKED(l);
	errno = saved;
}

void
vs_latch_wake(struct vs_latch *l)
{
	const int saved = errno;
	atomic_store_explicit(&l->word, VS_LATCH_FREE, memory_order_release);
	(void)syscall(SYS_futex, &l->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	errno = saved;
}
