/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A lock for something that hardly ever two threads want at a time. Giving a mutex back is a locked
 * instruction as taking it is; a spin lock is given back by a store, and a session is entered twice
 * for each short operation: the difference is a tenth of a digest of 64 octets. Nobody spins,
 * though: who finds it held sleeps, for longer each time, since an operation may take milliseconds.
 */
#ifndef VS_BASE_LATCH_H
#define VS_BASE_LATCH_H

#include <pthread.h>
#include <stdbool.h>

struct vs_latch {
	pthread_spinlock_t word;
};

static inline void
vs_latch_init(struct vs_latch *l)
{
	(void)pthread_spin_init(&l->word, PTHREAD_PROCESS_PRIVATE);
}

/* False when it is held. */
static inline bool
vs_latch_try(struct vs_latch *l)
{
	return pthread_spin_trylock(&l->word) == 0;
}

/* The slow half of vs_latch_lock(); errno stays. */
void vs_latch_wait(struct vs_latch *l);

static inline void
vs_latch_lock(struct vs_latch *l)
{
	if (!vs_latch_try(l))
		vs_latch_wait(l);
}

static inline void
vs_latch_unlock(struct vs_latch *l)
{
	(void)pthread_spin_unlock(&l->word);
}

#endif
