/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A lock that is let go of by a plain store. Taking a mutex and giving it back are two locked
 * instructions; a session is entered twice for each short operation, and the second of each pair is
 * a tenth of a digest of 64 octets. The price: a mark that somebody waits, set between the owner's
 * look and its store, is overwritten. Who set it finds another value than it sleeps on and tries
 * again; only when the owner was stopped between those two instructions would it sleep on. So
 * nobody sleeps longer than a moment without looking.
 *
 * All zero is free. The memory must outlive every thread that may still be letting go.
 */
#ifndef VS_BASE_LATCH_H
#define VS_BASE_LATCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/race.h"

enum { VS_LATCH_FREE = 0, VS_LATCH_HELD = 1, VS_LATCH_WANTED = 2 };
struct vs_latch {
	_Atomic uint32_t word; /* WANTED: held, and somebody may be asleep */
};

/* What helgrind has to know of it before its first use. */
static inline void
vs_latch_init(struct vs_latch *l)
{
	atomic_init(&l->word, VS_LATCH_FREE);
	VS_RACE_ATOMIC(*l);
	VS_RACE_LOCK_MADE(l);
}

/* The slow halves; errno stays. */
void vs_latch_wait(struct vs_latch *l);
void vs_latch_wake(struct vs_latch *l);

/* False when it is held. */
static inline bool
vs_latch_try(struct vs_latch *l)
{
	uint32_t was = VS_LATCH_FREE;
	if (!atomic_compare_exchange_strong_explicit(
		    &l->word, &was, VS_LATCH_HELD, memory_order_acquire, memory_order_relaxed))
		return false;
	VS_RACE_LOCKED(l);
	return true;
}

static inline void
vs_latch_lock(struct vs_latch *l)
{
	if (!vs_latch_try(l))
		vs_latch_wait(l);
}

static inline void
vs_latch_unlock(struct vs_latch *l)
{
	VS_RACE_UNLOCKS(l);
	if (atomic_load_explicit(&l->word, memory_order_relaxed) == VS_LATCH_HELD)
		atomic_store_explicit(&l->word, VS_LATCH_FREE, memory_order_release);
	else
		vs_latch_wake(l);
}

#endif
