/* SPDX-License-Identifier: BSD-2-Clause */
#include "token/session.h"

#include <stdlib.h>
#include <string.h>

#include "base/race.h"

/* ---- the table ------------------------------------------------------------------------------ */

/* Threads tend to different stripes; which one only matters for speed. */
static struct vs_stripe *
my_stripe(struct vs_instance *inst)
{
	const uint64_t self = (uint64_t)(uintptr_t)pthread_self();
	return &inst->stripes[(self * UINT64_C(0x9e3779b97f4a7c15)) >> 60];
}
_Static_assert(VS_STRIPES == 16, "my_stripe takes four bits");

static struct vs_session *
at(struct vs_instance *inst, uint32_t index)
{
	const uint32_t chunk = index / VS_SESSIONS_PER_CHUNK;
	if (chunk >= VS_SESSION_CHUNKS_MAX)
		return NULL;
	struct vs_session *base = atomic_load_explicit(&inst->chunks[chunk], memory_order_acquire);
	if (base == NULL)
		return NULL;
	VS_RACE_TAKE(base);
	return base + index % VS_SESSIONS_PER_CHUNK;
}

static CK_SESSION_HANDLE
handle_of(const struct vs_session *s, uint64_t word)
{
	return (CK_SESSION_HANDLE)((word >> 1) << 32) | (s->index + 1);
}

/* A chunk of closed entries in front of the stripe's list. */
static VS_CK
add_chunk(struct vs_instance *inst, struct vs_stripe *stripe)
{
	struct vs_session *chunk = NULL;
	const size_t bytes = VS_SESSIONS_PER_CHUNK * sizeof *chunk;
	chunk = aligned_alloc(64, bytes);
	if (chunk == NULL)
		return CKR_HOST_MEMORY;
	memset(chunk, 0, bytes);
	(void)pthread_mutex_lock(&inst->grow_lock);
	const size_t no = inst->n_chunks;
	if (no >= VS_SESSION_CHUNKS_MAX) {
		(void)pthread_mutex_unlock(&inst->grow_lock);
		free(chunk);
		return CKR_SESSION_COUNT;
	}
	for (size_t i = 0; i < VS_SESSIONS_PER_CHUNK; i++) {
		struct vs_session *s = &chunk[i];
		s->index = (uint32_t)(no * VS_SESSIONS_PER_CHUNK + i);
		/* Generations start somewhere, so that a handle cannot be guessed from another. */
		VS_RACE_ATOMIC(s->word);
		atomic_init(&s->word, ((inst->seed * (s->index + UINT64_C(1))) & 0x7fffffff) << 1);
		vs_latch_init(&s->lock);
		s->next_free = i + 1 < VS_SESSIONS_PER_CHUNK ? &chunk[i + 1] : NULL;
	}
	/* In one total order with the state: a finaliser sees this chunk, or we see that it closes.
	 */
	VS_RACE_GIVE(chunk);
	atomic_store(&inst->chunks[no], chunk);
	inst->n_chunks = no + 1;
	(void)pthread_mutex_unlock(&inst->grow_lock);
	(void)pthread_mutex_lock(&stripe->lock);
	chunk[VS_SESSIONS_PER_CHUNK - 1].next_free = stripe->free;
	stripe->free = chunk;
	(void)pthread_mutex_unlock(&stripe->lock);
	return CKR_OK;
}

static struct vs_session *
take_free(struct vs_stripe *stripe)
{
	(void)pthread_mutex_lock(&stripe->lock);
	struct vs_session *s = stripe->free;
	if (s != NULL)
		stripe->free = s->next_free;
	(void)pthread_mutex_unlock(&stripe->lock);
	return s;
}

/*
 * Sessions that one thread opens and another closes gather in the other's stripe: what is free
 * anywhere is used before the table grows.
 */
static struct vs_session *
take_any(struct vs_instance *inst, struct vs_stripe *mine)
{
	struct vs_session *s = take_free(mine);
	for (size_t i = 0; i < VS_STRIPES && s == NULL; i++)
		s = take_free(&inst->stripes[i]);
	return s;
}

static void
give_free(struct vs_stripe *stripe, struct vs_session *s)
{
	(void)pthread_mutex_lock(&stripe->lock);
	s->next_free = stripe->free;
	stripe->free = s;
	(void)pthread_mutex_unlock(&stripe->lock);
}

/* ---- open and close ------------------------------------------------------------------------- */

VS_CK
vs_session_open(struct vs_instance *inst, CK_SLOT_ID slot, CK_FLAGS flags, CK_SESSION_HANDLE *ret)
{
	if (!vs_instance_live(inst))
		return CKR_CRYPTOKI_NOT_INITIALIZED;
	if (!(flags & CKF_SERIAL_SESSION))
		return CKR_SESSION_PARALLEL_NOT_SUPPORTED;
	if (ret == NULL || (flags & ~(CKF_SERIAL_SESSION | CKF_RW_SESSION)))
		return CKR_ARGUMENTS_BAD;
	struct vs_stripe *stripe = my_stripe(inst);
	struct vs_session *s = take_any(inst, stripe);
	while (s == NULL) {
		VS_CK_TRY(add_chunk(inst, stripe));
		s = take_any(inst, stripe);
	}
	vs_latch_lock(&s->lock);
	/*
	 * Finalising takes every entry's lock after it has changed the state: what is live here
	 * stays until we let go, and the tokens may be looked at.
	 */
	const bool live = atomic_load(&inst->state) == VS_INST_LIVE;
	if (!live || slot >= inst->n_tokens) {
		vs_latch_unlock(&s->lock);
		give_free(stripe, s);
		return live ? CKR_SLOT_ID_INVALID : CKR_CRYPTOKI_NOT_INITIALIZED;
	}
	s->token = &inst->tokens[slot];
	s->flags = flags;
	s->made_objects = false;
	if (s->token->conf->login != VS_LOGIN_NONE)
		atomic_fetch_add(&s->token->n_sessions, 1);
	s->sweep_word = atomic_load_explicit(&s->token->sweep_word, memory_order_relaxed);
	const uint64_t word = atomic_load_explicit(&s->word, memory_order_relaxed) | 1;
	s->handle = handle_of(s, word);
	atomic_store_explicit(&s->word, word, memory_order_release);
	*ret = s->handle;
	vs_latch_unlock(&s->lock);
	return CKR_OK;
}

/* Under the session's lock; afterwards its handle is dead for good. */
static void
empty(struct vs_session *s)
{
	vs_find_drop(&s->find);
	for (unsigned k = 0; k < VS_OP_COUNT_; k++) {
		if (s->op[k] != NULL) {
			vs_op_drop(s->op[k]);
			s->op[k]->msg_count = 0;
		}
	}
	vs_catalog_unref(s->catalog);
	s->catalog = NULL;
	s->catalog_word = 0;
	/* What other sessions have prepared with its keys goes with them. */
	if (s->made_objects && vs_store_drop(s->token, s->handle)) {
		atomic_fetch_add(&s->token->sweep_word, 1);
		vs_session_sweep(s->token->inst, s->token, s);
	}
	if (s->token->conf->login != VS_LOGIN_NONE &&
		atomic_fetch_sub(&s->token->n_sessions, 1) == 1)
		atomic_store(&s->token->logged_in, false);
	const uint64_t word = atomic_load_explicit(&s->word, memory_order_relaxed);
	/* The next generation, closed; 32 bits of it. */
	atomic_store_explicit(
		&s->word, (((word >> 1) + 1) & UINT64_C(0xffffffff)) << 1, memory_order_release);
}

VS_CK
vs_session_enter(struct vs_instance *inst, CK_SESSION_HANDLE h, struct vs_session **ret)
{
	if (!vs_instance_live(inst))
		return CKR_CRYPTOKI_NOT_INITIALIZED;
	const uint32_t low = (uint32_t)(h & 0xffffffff);
	struct vs_session *s = low == 0 ? NULL : at(inst, low - 1);
	const uint64_t want = ((uint64_t)h >> 32) << 1 | 1;
	if (s == NULL || atomic_load_explicit(&s->word, memory_order_acquire) != want)
		return CKR_SESSION_HANDLE_INVALID;
	vs_latch_lock(&s->lock);
	if (atomic_load_explicit(&s->word, memory_order_relaxed) != want) {
		vs_latch_unlock(&s->lock);
		return vs_instance_live(inst) ? CKR_SESSION_HANDLE_INVALID
					      : CKR_CRYPTOKI_NOT_INITIALIZED;
	}
	*ret = s;
	return CKR_OK;
}

/*
 * Does only this operation keep a session object alive? One under way goes on with the object it
 * began with, unless the user to whom it was private has logged out.
 */
static bool
is_destroyed(const struct vs_session *s, const struct vs_op *op)
{
	const struct vs_object *o = op->object;
	return o != NULL && !vs_object_is_token(o) && atomic_load(&o->dead) &&
		(op->phase == VS_PHASE_IDLE || !vs_session_sees(s, o));
}

/* False: an operation under way has something that is to be dropped when it ends. */
static bool
drop_dead(struct vs_session *s)
{
	bool all = true;
	for (unsigned k = 0; k < VS_OP_COUNT_; k++) {
		struct vs_op *op = s->op[k];
		if (op == NULL)
			continue;
		if (is_destroyed(s, op)) {
			vs_op_drop(op);
			continue;
		}
		all = all &&
			(op->object == NULL || vs_object_is_token(op->object) ||
				!atomic_load(&op->object->dead));
		if (op->ukey == NULL || !atomic_load(&op->ukey->dead))
			continue;
		/* An operation under way says so at its next step, if there ever is one. */
		if (op->phase == VS_PHASE_IDLE)
			vs_op_drop(op);
		else
			vs_op_stop(op);
	}
	return all;
}

void
vs_session_leave(struct vs_session *s)
{
	const uint32_t word = atomic_load_explicit(&s->token->sweep_word, memory_order_relaxed);
	if (word != s->sweep_word && drop_dead(s))
		s->sweep_word = word;
	vs_latch_unlock(&s->lock);
}

VS_CK
vs_session_close(struct vs_instance *inst, CK_SESSION_HANDLE h)
{
	struct vs_session *s = NULL;
	VS_CK_TRY(vs_session_enter(inst, h, &s));
	empty(s);
	vs_latch_unlock(&s->lock);
	give_free(my_stripe(inst), s);
	return CKR_OK;
}

/* Close every session of a token, or of all when t is NULL. */
static void
close_each(struct vs_instance *inst, const struct vs_token *t)
{
	for (size_t c = 0; c < VS_SESSION_CHUNKS_MAX; c++) {
		struct vs_session *chunk = atomic_load(&inst->chunks[c]);
		if (chunk == NULL)
			return;
		VS_RACE_TAKE(chunk);
		for (size_t i = 0; i < VS_SESSIONS_PER_CHUNK; i++) {
			struct vs_session *s = &chunk[i];
			vs_latch_lock(&s->lock);
			const bool mine =
				(atomic_load(&s->word) & 1) && (t == NULL || s->token == t);
			if (mine)
				empty(s);
			vs_latch_unlock(&s->lock);
			if (mine)
				give_free(my_stripe(inst), s);
		}
	}
}

VS_CK
vs_session_close_all(struct vs_instance *inst, CK_SLOT_ID slot)
{
	if (!vs_instance_live(inst))
		return CKR_CRYPTOKI_NOT_INITIALIZED;
	if (slot >= inst->n_tokens)
		return CKR_SLOT_ID_INVALID;
	close_each(inst, &inst->tokens[slot]);
	atomic_store(&inst->tokens[slot].logged_in, false);
	return CKR_OK;
}

void
vs_session_shut(struct vs_instance *inst)
{
	close_each(inst, NULL);
}

void
vs_session_abandon(struct vs_instance *inst)
{
	for (size_t c = 0; c < VS_SESSION_CHUNKS_MAX; c++) {
		struct vs_session *chunk = atomic_load(&inst->chunks[c]);
		if (chunk == NULL)
			return;
		VS_RACE_TAKE(chunk);
		for (size_t i = 0; i < VS_SESSIONS_PER_CHUNK; i++) {
			/* Held by a thread that does not exist here: its state may be half made. */
			if (!vs_latch_try(&chunk[i].lock))
				continue;
			for (unsigned k = 0; k < VS_OP_COUNT_; k++) {
				if (chunk[i].op[k] != NULL)
					vs_op_abandon(chunk[i].op[k]);
			}
			vs_latch_unlock(&chunk[i].lock);
		}
	}
}

void
vs_session_sweep(struct vs_instance *inst, struct vs_token *t, struct vs_session *self)
{
	for (size_t c = 0; c < VS_SESSION_CHUNKS_MAX; c++) {
		struct vs_session *chunk =
			atomic_load_explicit(&inst->chunks[c], memory_order_acquire);
		if (chunk == NULL)
			return;
		VS_RACE_TAKE(chunk);
		for (size_t i = 0; i < VS_SESSIONS_PER_CHUNK; i++) {
			struct vs_session *s = &chunk[i];
			if (s == self ||
				!(atomic_load_explicit(&s->word, memory_order_relaxed) & 1) ||
				!vs_latch_try(&s->lock))
				continue;
			if (s->token == t)
				(void)drop_dead(s);
			vs_latch_unlock(&s->lock);
		}
	}
	if (self != NULL)
		(void)drop_dead(self);
}

void
vs_session_counts(struct vs_instance *inst, const struct vs_token *t, CK_ULONG *all, CK_ULONG *rw)
{
	*all = *rw = 0;
	for (size_t c = 0; c < VS_SESSION_CHUNKS_MAX; c++) {
		struct vs_session *chunk =
			atomic_load_explicit(&inst->chunks[c], memory_order_acquire);
		if (chunk == NULL)
			return;
		VS_RACE_TAKE(chunk);
		for (size_t i = 0; i < VS_SESSIONS_PER_CHUNK; i++) {
			struct vs_session *s = &chunk[i];
			if (!(atomic_load_explicit(&s->word, memory_order_relaxed) & 1) ||
				!vs_latch_try(&s->lock))
				continue;
			const bool mine = (atomic_load(&s->word) & 1) && s->token == t;
			*all += mine;
			*rw += mine && (s->flags & CKF_RW_SESSION);
			vs_latch_unlock(&s->lock);
		}
	}
}

/* ---- objects -------------------------------------------------------------------------------- */

/* The catalog this session works with: one relaxed load when nothing has changed. */
static void
refresh_catalog(struct vs_session *s)
{
	struct vs_token *t = s->token;
	if (s->catalog_word == atomic_load_explicit(&t->catalog_word, memory_order_acquire))
		return;
	(void)pthread_mutex_lock(&t->lock);
	struct vs_catalog *now = t->catalog == NULL ? NULL : vs_catalog_ref(t->catalog);
	const uint64_t word = atomic_load(&t->catalog_word);
	(void)pthread_mutex_unlock(&t->lock);
	vs_catalog_unref(s->catalog);
	s->catalog = now;
	s->catalog_word = word;
}

bool
vs_session_sees(const struct vs_session *s, const struct vs_object *o)
{
	return s->token->conf->login == VS_LOGIN_NONE || atomic_load(&s->token->logged_in) ||
		!vs_object_bool(o, CKA_PRIVATE, false);
}

struct vs_object *
vs_session_object(struct vs_session *s, CK_OBJECT_HANDLE h)
{
	struct vs_object *o = NULL;
	if ((h & VS_HANDLE_MASK) == VS_HANDLE_SESSION) {
		o = vs_store_get(s->token, h);
	} else {
		refresh_catalog(s);
		if (s->catalog != NULL)
			o = vs_objset_by_handle(&s->catalog->set, h);
		if (o != NULL)
			vs_object_ref(o);
	}
	if (o != NULL && !vs_session_sees(s, o)) {
		vs_object_unref(o);
		return NULL;
	}
	return o;
}
