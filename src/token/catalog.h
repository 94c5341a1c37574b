/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The objects of a token: an immutable set made from what the agent told, with indexes. A refresh
 * makes a new one; who still holds the old one may go on using it.
 */
#ifndef VS_TOKEN_CATALOG_H
#define VS_TOKEN_CATALOG_H

#include "token/objset.h"

struct vs_catalog {
	_Atomic uint32_t refs;
	uint64_t generation;
	struct vs_catalog_data *data; /* owned */
	size_t n;
	struct vs_object *objects;
	struct vs_objset set;
};

/* Handles of identities: they outlive every catalog and are never given to something else. */
struct vs_idmap;
struct vs_idmap *vs_idmap_new(void);
void vs_idmap_free(struct vs_idmap *m);

/*
 * Takes data over (also on failure). next is the source of new handles. HOST_MEMORY. The idmap is
 * protected by the caller.
 */
VS_CK vs_catalog_make(struct vs_catalog_data *data, struct vs_idmap *ids, _Atomic uint64_t *next,
	uint64_t seed, struct vs_catalog **ret);
struct vs_catalog *vs_catalog_ref(struct vs_catalog *c);
/* NULL-safe. */
void vs_catalog_unref(struct vs_catalog *c);

#endif
