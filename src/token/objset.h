/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Indexes over objects: by handle, CKA_ID, CKA_LABEL, and class with type. The chains run through
 * the objects themselves. Locking is the owner's.
 */
#ifndef VS_TOKEN_OBJSET_H
#define VS_TOKEN_OBJSET_H

#include "token/object.h"

struct vs_objset {
	uint64_t seed;
	size_t n;
	size_t n_buckets; /* power of two */
	struct vs_object **bucket[VS_CHAIN_CLASS]; /* HANDLE, ID, LABEL */
	struct vs_object *class[VS_KIND_COUNT_];
};

/* Room for about n objects from the start. HOST_MEMORY. */
VS_CK vs_objset_init(struct vs_objset *s, uint64_t seed, size_t n);
/* Frees the tables, not the objects. */
void vs_objset_done(struct vs_objset *s);
/* At the front of its chains. HOST_MEMORY when the tables cannot grow and are overfull. */
VS_CK vs_objset_add(struct vs_objset *s, struct vs_object *o);
void vs_objset_remove(struct vs_objset *s, struct vs_object *o);
struct vs_object *vs_objset_by_handle(const struct vs_objset *s, CK_OBJECT_HANDLE h);

/* Return false to stop. */
typedef bool vs_objset_fn(void *arg, struct vs_object *o);
/* Each object that fits the template, through the narrowest index. False when stopped. */
bool
vs_objset_find(const struct vs_objset *s, const struct vs_tmpl *t, vs_objset_fn *fn, void *arg);

#endif
