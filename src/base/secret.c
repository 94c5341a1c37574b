/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A chunk is one anonymous mapping: guard page, data pages, guard page. Blocks are handed out in
 * units of UNIT bytes from a bitmap that lives outside the mapping, so no book-keeping that an
 * overflow could reach. Allocation is rare (a few secrets a lease), so first fit is enough.
 */
#include "base/secret.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { UNIT = 64, CHUNKS_MAX = 64 };

struct chunk {
	uint8_t *map; /* whole mapping with guards */
	size_t map_n;
	uint8_t *data;
	size_t units;
	uint8_t *used; /* one byte a unit: 1 in use */
};

struct vs_arena {
	pthread_mutex_t lock;
	size_t page;
	size_t chunk_bytes;
	size_t max_bytes;
	size_t total_bytes;
	enum vs_lock_mode mode;
	bool locked; /* every chunk so far could be locked */
	size_t n_chunks;
	struct chunk chunks[CHUNKS_MAX];
};

void
vs_wipe(void *p, size_t n)
{
	if (n)
		explicit_bzero(p, n);
}

static void
chunk_unmap(struct chunk *c)
{
	if (c->map) {
		(void)munlock(c->data, c->units * UNIT);
		(void)munmap(c->map, c->map_n);
	}
	free(c->used);
	*c = (struct chunk){0};
}

static VS_RC
chunk_map(struct vs_arena *a, size_t bytes, struct chunk *ret, struct vs_err *err)
{
	const size_t data_n = (bytes + a->page - 1) / a->page * a->page;
	if (data_n < bytes || a->total_bytes > a->max_bytes ||
		data_n > a->max_bytes - a->total_bytes)
		VS_FAIL(err, LIMIT, "memory for secrets is used up (limit %zu bytes)",
			a->max_bytes);
	struct chunk c = {.map_n = data_n + 2 * a->page, .units = data_n / UNIT};
	c.used = calloc(c.units, 1);
	if (!c.used)
		VS_FAIL(err, MEMORY, "out of memory");
	void *map = mmap(NULL, c.map_n, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED) {
		free(c.used);
		VS_FAIL_N(err, MEMORY, errno, "out of memory for secrets");
	}
	c.map = map;
	c.data = c.map + a->page;
	/* Wiping in children and leaving out of dumps are promises: without them no secret goes in.
	 */
	if (mprotect(c.data, data_n, PROT_READ | PROT_WRITE) != 0 ||
		madvise(c.data, data_n, MADV_DONTDUMP) != 0 ||
		madvise(c.data, data_n, MADV_WIPEONFORK) != 0) {
		const int e = errno;
		chunk_unmap(&c);
		VS_FAIL_N(err, MEMORY, e, "memory for secrets cannot be protected");
	}
	if (mlock(c.data, data_n) != 0) {
		const int e = errno;
		if (a->mode == VS_LOCK_REQUIRED) {
			chunk_unmap(&c);
			VS_FAIL_N(err, LOCK_MEMORY, e,
				"memory for secrets cannot be locked; raise the memory-lock limit "
				"(ulimit -l, LimitMEMLOCK=) or set memory-lock = warn");
		}
		a->locked = false;
	}
	a->total_bytes += data_n;
	*ret = c;
	return VS_OK;
}

VS_RC
vs_arena_new(size_t first_bytes, size_t max_bytes, enum vs_lock_mode mode, struct vs_arena **ret,
	struct vs_err *err)
{
	struct vs_arena *a = calloc(1, sizeof *a);
	if (!a)
		VS_FAIL(err, MEMORY, "out of memory");
	a->page = (size_t)sysconf(_SC_PAGESIZE);
	a->chunk_bytes = first_bytes;
	a->max_bytes = max_bytes;
	a->mode = mode;
	a->locked = true;
	if (pthread_mutex_init(&a->lock, NULL) != 0) {
		free(a);
		VS_FAIL(err, MEMORY, "out of memory");
	}
	const vs_rc rc = chunk_map(a, first_bytes, &a->chunks[0], err);
	if (vs_failed(rc)) {
		(void)pthread_mutex_destroy(&a->lock);
		free(a);
		return rc;
	}
	a->n_chunks = 1;
	*ret = a;
	return VS_OK;
}

void
vs_arena_free(struct vs_arena *a)
{
	if (!a)
		return;
	for (size_t i = 0; i < a->n_chunks; i++) {
		vs_wipe(a->chunks[i].data, a->chunks[i].units * UNIT);
		chunk_unmap(&a->chunks[i]);
	}
	(void)pthread_mutex_destroy(&a->lock);
	free(a);
}

void
vs_arena_abandon(struct vs_arena *a)
{
	if (!a)
		return;
	for (size_t i = 0; i < a->n_chunks; i++)
		chunk_unmap(&a->chunks[i]);
	free(a);
}

bool
vs_arena_locked(const struct vs_arena *a)
{
	return a->locked;
}

/* First run of `units` free units, or NULL. */
static uint8_t *
chunk_take(struct chunk *c, size_t units)
{
	size_t run = 0;
	for (size_t i = 0; i < c->units; i++) {
		run = c->used[i] ? 0 : run + 1;
		if (run == units) {
			const size_t first = i + 1 - units;
			memset(c->used + first, 1, units);
			return c->data + first * UNIT;
		}
	}
	return NULL;
}

static VS_RC
take_locked(struct vs_arena *a, size_t units, uint8_t **ret, struct vs_err *err)
{
	for (size_t i = 0; i < a->n_chunks; i++) {
		uint8_t *p = chunk_take(&a->chunks[i], units);
		if (p) {
			*ret = p;
			return VS_OK;
		}
	}
	if (a->n_chunks == CHUNKS_MAX)
		VS_FAIL(err, LIMIT, "memory for secrets is used up");
	const size_t want = units * UNIT > a->chunk_bytes ? units * UNIT : a->chunk_bytes;
	VS_TRY(chunk_map(a, want, &a->chunks[a->n_chunks], err));
	a->n_chunks++;
	*ret = chunk_take(&a->chunks[a->n_chunks - 1], units);
	VS_REQUIRE(err, *ret);
	return VS_OK;
}

VS_RC
vs_secret_new(struct vs_arena *a, size_t n, struct vs_secret *ret, struct vs_err *err)
{
	VS_REQUIRE(err, a);
	if (n > a->max_bytes)
		VS_FAIL(err, LIMIT, "a secret of %zu bytes is longer than allowed", n);
	const size_t units = n ? (n + UNIT - 1) / UNIT : 1;
	uint8_t *p = NULL;
	(void)pthread_mutex_lock(&a->lock);
	const vs_rc rc = take_locked(a, units, &p, err);
	(void)pthread_mutex_unlock(&a->lock);
	VS_TRY(rc);
	*ret = (struct vs_secret){.arena = a, .p = p, .n = n, .cap = n};
	return VS_OK;
}

VS_RC
vs_secret_from(
	struct vs_arena *a, const void *p, size_t n, struct vs_secret *ret, struct vs_err *err)
{
	VS_TRY(vs_secret_new(a, n, ret, err));
	if (n)
		memcpy(ret->p, p, n);
	return VS_OK;
}

void
vs_secret_done(struct vs_secret *s)
{
	struct vs_arena *a = s->arena;
	if (a && s->p) {
		const size_t units = s->cap ? (s->cap + UNIT - 1) / UNIT : 1;
		vs_wipe(s->p, units * UNIT);
		(void)pthread_mutex_lock(&a->lock);
		for (size_t i = 0; i < a->n_chunks; i++) {
			struct chunk *c = &a->chunks[i];
			if (s->p >= c->data && s->p < c->data + c->units * UNIT)
				memset(c->used + (size_t)(s->p - c->data) / UNIT, 0, units);
		}
		(void)pthread_mutex_unlock(&a->lock);
	}
	*s = (struct vs_secret){0};
}

void
vs_secret_move(struct vs_secret *dst, struct vs_secret *src)
{
	if (dst == src)
		return;
	vs_secret_done(dst);
	*dst = *src;
	*src = (struct vs_secret){0};
}

bool
vs_secret_eq(const struct vs_secret *a, const struct vs_secret *b)
{
	uint8_t d = 0;
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		d |= (uint8_t)(((const volatile uint8_t *)a->p)[i] ^
			((const volatile uint8_t *)b->p)[i]);
	return d == 0;
}

struct vs_bytes
vs_secret_view(const struct vs_secret *s)
{
	return vs_bytes_of(s->p, s->n);
}
