/* SPDX-License-Identifier: BSD-2-Clause */
/* C_FindObjects: everything is found at the start, so that a refresh cannot disturb a search. */
#include <stdlib.h>
#include <string.h>

#include "token/session.h"

void
vs_find_drop(struct vs_find *f)
{
	if (f->found != f->inl)
		free(f->found);
	f->found = NULL;
	f->active = false;
	f->n = f->at = f->cap = 0;
}

struct collect {
	struct vs_session *s;
	bool profiles; /* the class was asked for by name */
	bool full;
};

static bool
take_found(void *arg, struct vs_object *o)
{
	struct collect *c = arg;
	struct vs_find *f = &c->s->find;
	/* Profiles answer those who ask for them; in a listing of keys they only confuse. */
	if ((o->kind == VS_KIND_PROFILE && !c->profiles) || !vs_session_sees(c->s, o))
		return true;
	if (f->n == f->cap) {
		const size_t cap = f->cap * 4 < VS_FIND_MAX ? f->cap * 4 : VS_FIND_MAX;
		CK_OBJECT_HANDLE *more = f->n == cap ? NULL : malloc(cap * sizeof *more);
		if (more == NULL) {
			c->full = true;
			return false;
		}
		memcpy(more, f->found, f->n * sizeof *more);
		if (f->found != f->inl)
			free(f->found);
		f->found = more;
		f->cap = cap;
	}
	f->found[f->n++] = o->handle;
	return true;
}

VS_CK
vs_find_init(struct vs_session *s, const void *tmpl, CK_ULONG n)
{
	struct vs_tmpl t;
	struct vs_find *f = &s->find;
	if (f->active)
		return CKR_OPERATION_ACTIVE;
	VS_CK_TRY(vs_tmpl_open_values(tmpl, n, &t));
	struct vs_catalog *now = NULL;
	/* Read first: if the catalog changes meanwhile, the next look-up notices. */
	const uint64_t word = atomic_load(&s->token->catalog_word);
	VS_CK_TRY(vs_token_catalog(s->token, &now));
	vs_catalog_unref(s->catalog);
	s->catalog = now;
	s->catalog_word = word;
	f->found = f->inl;
	f->cap = VS_FIND_INLINE;
	f->n = f->at = 0;
	CK_ATTRIBUTE class;
	struct collect c = {.s = s, .profiles = vs_tmpl_find(&t, CKA_CLASS, &class)};
	(void)vs_objset_find(&now->set, &t, take_found, &c);
	(void)pthread_mutex_lock(&s->token->lock);
	(void)vs_objset_find(&s->token->store, &t, take_found, &c);
	(void)pthread_mutex_unlock(&s->token->lock);
	if (c.full) {
		vs_find_drop(f);
		return CKR_HOST_MEMORY;
	}
	f->active = true;
	return CKR_OK;
}

VS_CK
vs_find_next(struct vs_session *s, CK_OBJECT_HANDLE *out, CK_ULONG max, CK_ULONG *ret_n)
{
	struct vs_find *f = &s->find;
	if (!f->active)
		return CKR_OPERATION_NOT_INITIALIZED;
	if (ret_n == NULL || (out == NULL && max != 0))
		return CKR_ARGUMENTS_BAD;
	size_t n = f->n - f->at;
	if (n > max)
		n = max;
	if (n != 0)
		memcpy(out, f->found + f->at, n * sizeof *out);
	f->at += n;
	*ret_n = n;
	return CKR_OK;
}

VS_CK
vs_find_final(struct vs_session *s)
{
	if (!s->find.active)
		return CKR_OPERATION_NOT_INITIALIZED;
	vs_find_drop(&s->find);
	return CKR_OK;
}
