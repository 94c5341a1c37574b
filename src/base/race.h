/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What helgrind cannot see. It follows locks, and takes C11 atomics for plain memory: an order
 * that an atomic makes is told to it here. Empty but in a build with --enable-valgrind.
 */
#ifndef VS_BASE_RACE_H
#define VS_BASE_RACE_H

#include <stdatomic.h>
#include <stdbool.h>

#ifdef VS_VALGRIND
#include <valgrind/helgrind.h>
/* Before the store or the last decrement that hands p over; after the load that saw it. */
#define VS_RACE_GIVE(p) ANNOTATE_HAPPENS_BEFORE(p)
#define VS_RACE_TAKE(p) ANNOTATE_HAPPENS_AFTER(p)
/* x is an _Atomic that is read and written without a common lock. */
#define VS_RACE_ATOMIC(x) VALGRIND_HG_DISABLE_CHECKING(&(x), sizeof(x))
#else
#define VS_RACE_GIVE(p) ((void)(p))
#define VS_RACE_TAKE(p) ((void)(p))
#define VS_RACE_ATOMIC(x) ((void)&(x))
#endif

/* Gives a reference to p back. True: it was the last, and whatever others did with p is over. */
#define VS_LAST_REF(p) \
	__extension__({ \
		VS_RACE_GIVE(p); \
		const bool last_ = \
			atomic_fetch_sub_explicit(&(p)->refs, 1, memory_order_acq_rel) == 1; \
		if (last_) \
			VS_RACE_TAKE(p); \
		last_; \
	})

#endif
