/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Releasing again, at a renewal, all keys in use: the attempt's worker does it, with helpers from
 * the same pool for as long as there are keys that nobody has begun. Helpers that come too late
 * find nothing to do; so the attempt never waits for a place in the pool.
 */
#include <pthread.h>
#include <stdlib.h>

#include "agent/keeper_impl.h"

enum { HELPERS_MAX = 3 };

struct crew {
	pthread_mutex_t lock;
	pthread_cond_t idle; /* active has become 0 */
	unsigned refs, active;
	size_t next; /* the first key that nobody has begun */
	bool closed; /* a and services may be gone */
	struct vs_attempt *a;
	struct vs_services *services;
	vs_rc rc; /* the first error that ends the renewal */
	struct vs_err err;
};

struct helper {
	struct vs_job job;
	struct crew *crew;
};

static void
crew_unref(struct crew **crew)
{
	struct crew *c = *crew;
	*crew = NULL;
	if (!c)
		return;
	(void)pthread_mutex_lock(&c->lock);
	const bool last = --c->refs == 0;
	(void)pthread_mutex_unlock(&c->lock);
	if (!last)
		return;
	(void)pthread_cond_destroy(&c->idle);
	(void)pthread_mutex_destroy(&c->lock);
	free(c);
}

/*
 * Where the vault cannot be asked, the whole renewal counts as unreachable, so that no key outlives
 * the lease it was released under; where the machine's state has changed since it was attested a
 * moment ago, as refused. Another refusal is this key's own matter.
 */
static VS_RC
release_one(
	struct vs_attempt *a, struct vs_services *services, struct vs_rekey *k, struct vs_err *err)
{
	const struct vs_cat_entry *entry = &k->item->entries[0];
	k->rc = vs_services_release(services, a->attestation, entry, a->deadline_boot_ns,
		&k->secret, &k->info, &k->err);
	VS_TRY(vs_record_release(
		a->core, a->token, a->lease_hex, a->who, entry, k->rc, &k->err, &k->info, err));
	if (vs_gate_event_of(k->rc.code) == VS_GATE_UNREACHABLE ||
		k->rc.code == VS_E_REFUSED_BINDING) {
		*err = k->err;
		return k->rc;
	}
	return VS_OK;
}

/* Lock held; released while a key is released. */
static void
take_keys(struct crew *c)
{
	while (!c->closed && !vs_failed(c->rc) && c->next < c->a->n_keys) {
		struct vs_rekey *k = &c->a->keys[c->next++];
		struct vs_err err = {0};
		c->active++;
		(void)pthread_mutex_unlock(&c->lock);
		const vs_rc rc = release_one(c->a, c->services, k, &err);
		(void)pthread_mutex_lock(&c->lock);
		c->active--;
		if (vs_failed(rc) && !vs_failed(c->rc)) {
			c->rc = rc;
			c->err = err;
		}
	}
	if (c->active == 0)
		(void)pthread_cond_broadcast(&c->idle);
}

static void
help_run(struct vs_job *job)
{
	struct crew *c = ((struct helper *)job)->crew;
	(void)pthread_mutex_lock(&c->lock);
	take_keys(c);
	(void)pthread_mutex_unlock(&c->lock);
}

static void
help_done(struct vs_job *job)
{
	struct helper *h = (struct helper *)job;
	crew_unref(&h->crew);
	free(h);
}

/* Without helpers it only takes longer. */
static void
call_helper(struct crew *c, struct vs_work *work)
{
	struct vs_err err = {0};
	struct helper *h = calloc(1, sizeof *h);
	if (!h)
		return;
	h->job = (struct vs_job){.run = help_run, .done = help_done};
	h->crew = c;
	(void)pthread_mutex_lock(&c->lock);
	c->refs++;
	(void)pthread_mutex_unlock(&c->lock);
	if (vs_failed(vs_work_post(work, &h->job, &err)))
		help_done(&h->job);
}

VS_RC
vs_attempt_release_again(struct vs_attempt *a, struct vs_services *services, struct vs_err *err)
{
	struct vs_work *work = a->job.work;
	if (a->n_keys == 0)
		return VS_OK;
	VS_CLEANUP(crew_unref) struct crew *c = calloc(1, sizeof *c);
	if (!c)
		VS_FAIL(err, MEMORY, "out of memory");
	(void)pthread_mutex_init(&c->lock, NULL);
	(void)pthread_cond_init(&c->idle, NULL);
	c->refs = 1;
	c->a = a;
	c->services = services;
	for (size_t i = 1; i < a->n_keys && i <= HELPERS_MAX; i++)
		call_helper(c, work);
	(void)pthread_mutex_lock(&c->lock);
	take_keys(c);
	while (c->active > 0)
		(void)pthread_cond_wait(&c->idle, &c->lock);
	c->closed = true;
	const vs_rc rc = c->rc;
	if (vs_failed(rc))
		*err = c->err;
	(void)pthread_mutex_unlock(&c->lock);
	return rc;
}
