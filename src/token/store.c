/* SPDX-License-Identifier: BSD-2-Clause */
#include "token/instance.h"

/* PKCS#11 3.0 section 5.6.9: what is private exists only while somebody is logged in. */
static bool
may_be(const struct vs_token *t, const struct vs_object *o)
{
	return t->conf->login == VS_LOGIN_NONE || atomic_load(&t->logged_in) ||
		!vs_object_bool(o, CKA_PRIVATE, false);
}

VS_CK
vs_store_add(struct vs_token *t, struct vs_object *o, CK_OBJECT_HANDLE *ret)
{
	CK_RV rv = CKR_HOST_MEMORY;
	o->handle =
		(atomic_fetch_add(&t->inst->next_number, 1) << VS_HANDLE_SHIFT) | VS_HANDLE_SESSION;
	(void)pthread_mutex_lock(&t->lock);
	/* Under the lock that a logout takes after it has closed the door: none slips through. */
	if (!may_be(t, o))
		rv = CKR_USER_NOT_LOGGED_IN;
	else if (t->store.n < VS_SESSION_OBJECTS_MAX)
		rv = vs_objset_add(&t->store, o);
	(void)pthread_mutex_unlock(&t->lock);
	if (rv == CKR_OK)
		*ret = o->handle;
	return rv;
}

struct vs_object *
vs_store_get(struct vs_token *t, CK_OBJECT_HANDLE h)
{
	(void)pthread_mutex_lock(&t->lock);
	struct vs_object *o = vs_objset_by_handle(&t->store, h);
	if (o != NULL)
		vs_object_ref(o);
	(void)pthread_mutex_unlock(&t->lock);
	return o;
}

VS_CK
vs_store_replace(struct vs_token *t, struct vs_object *old, struct vs_object *made)
{
	CK_RV rv = CKR_OBJECT_HANDLE_INVALID;
	made->handle = old->handle;
	made->owner = old->owner;
	(void)pthread_mutex_lock(&t->lock);
	/* Somebody else may have destroyed or changed it since the caller looked. */
	if (vs_objset_by_handle(&t->store, old->handle) == old) {
		vs_objset_remove(&t->store, old);
		atomic_store(&old->dead, true);
		rv = vs_objset_add(&t->store, made);
	}
	(void)pthread_mutex_unlock(&t->lock);
	if (rv == CKR_OK)
		vs_object_unref(old);
	return rv;
}

VS_CK
vs_store_remove(struct vs_token *t, CK_OBJECT_HANDLE h)
{
	(void)pthread_mutex_lock(&t->lock);
	struct vs_object *o = vs_objset_by_handle(&t->store, h);
	if (o != NULL) {
		vs_objset_remove(&t->store, o);
		atomic_store(&o->dead, true);
	}
	(void)pthread_mutex_unlock(&t->lock);
	vs_object_unref(o);
	return o == NULL ? CKR_OBJECT_HANDLE_INVALID : CKR_OK;
}

/*
 * Objects of owner (0: of everybody), private ones only if that is said. True: a session has
 * prepared something with one of them.
 */
static bool
drop(struct vs_token *t, CK_SESSION_HANDLE owner, bool private_only)
{
	struct vs_object *gone = NULL;
	bool held = false;
	(void)pthread_mutex_lock(&t->lock);
	for (unsigned k = 0; k < VS_KIND_COUNT_; k++) {
		for (struct vs_object *o = t->store.class[k], *next; o != NULL; o = next) {
			next = o->next[VS_CHAIN_CLASS];
			if ((owner != 0 && o->owner != owner) ||
				(private_only && !vs_object_bool(o, CKA_PRIVATE, false)))
				continue;
			vs_objset_remove(&t->store, o);
			atomic_store(&o->dead, true);
			o->next[VS_CHAIN_CLASS] = gone;
			gone = o;
		}
	}
	(void)pthread_mutex_unlock(&t->lock);
	while (gone != NULL) {
		struct vs_object *next = gone->next[VS_CHAIN_CLASS];
		held = held || atomic_load(&gone->refs) > 1;
		vs_object_unref(gone);
		gone = next;
	}
	return held;
}

bool
vs_store_drop(struct vs_token *t, CK_SESSION_HANDLE owner)
{
	return drop(t, owner, false);
}

void
vs_store_drop_private(struct vs_token *t)
{
	(void)drop(t, 0, true);
}
