/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory for secrets: a type, not a habit. An arena is one private mapping between guard pages,
 * locked, left out of core dumps, zero in forked children, wiped on free by code that needs no
 * libcrypto. In libcrypto-free use only: mmap, mlock, madvise.
 */
#ifndef VS_BASE_SECRET_H
#define VS_BASE_SECRET_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "vouchsafe/err.h"

struct vs_arena;

enum vs_lock_mode { VS_LOCK_WARN = 0, VS_LOCK_REQUIRED };

/*
 * first_bytes  size of the first chunk, max_bytes total limit over all chunks
 * Error: MEMORY; LOCK_MEMORY when locking fails and mode is REQUIRED. vs_arena_locked() tells.
 * All functions here are thread-safe.
 */
VS_RC vs_arena_new(size_t first_bytes, size_t max_bytes, enum vs_lock_mode mode,
	struct vs_arena **ret, struct vs_err *err);
/* Wipes and unmaps everything, also secrets that are still held. NULL-safe. */
void vs_arena_free(struct vs_arena *arena);
/*
 * In a forked child, where the pages read as zero and the lock may be held by a thread that does
 * not exist: unmap without touching lock or bookkeeping. NULL-safe.
 */
void vs_arena_abandon(struct vs_arena *arena);
bool vs_arena_locked(const struct vs_arena *arena);

/* Zero-initialise. No copy by assignment: vs_secret_move. */
struct vs_secret {
	struct vs_arena *arena;
	uint8_t *p;
	size_t n; /* used */
	size_t cap; /* allocated */
};

/* n bytes, zeroed; n is both length and capacity. Error: MEMORY, LIMIT. */
VS_RC vs_secret_new(struct vs_arena *arena, size_t n, struct vs_secret *ret, struct vs_err *err);
VS_RC vs_secret_from(
	struct vs_arena *arena, const void *p, size_t n, struct vs_secret *ret, struct vs_err *err);
/* Wipes, gives back; leaves an empty struct. */
void vs_secret_done(struct vs_secret *s);
void vs_secret_move(struct vs_secret *dst, struct vs_secret *src);
bool vs_secret_eq(const struct vs_secret *a, const struct vs_secret *b);
struct vs_bytes vs_secret_view(const struct vs_secret *s);

/* Wipe plain memory; the compiler may not remove it. */
void vs_wipe(void *p, size_t n);

#endif
