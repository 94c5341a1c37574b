/* SPDX-License-Identifier: BSD-2-Clause */
#include "token/catalog.h"

#include <stdlib.h>
#include <string.h>

#include "base/race.h"
#include "crypto/pkey.h"

/* ---- identities ----------------------------------------------------------------------------- */

enum { IDS_MAX = 1 << 20 };

struct identity {
	struct identity *next;
	uint64_t number;
	size_t n;
	uint8_t key[]; /* identifier and CKA_ID: another public key is another identity */
};

struct vs_idmap {
	size_t n, n_buckets;
	struct identity **buckets;
};

struct vs_idmap *
vs_idmap_new(void)
{
	struct vs_idmap *m = calloc(1, sizeof *m);
	if (m == NULL)
		return NULL;
	m->n_buckets = 64;
	m->buckets = calloc(m->n_buckets, sizeof(struct identity *));
	if (m->buckets == NULL) {
		free(m);
		return NULL;
	}
	return m;
}

void
vs_idmap_free(struct vs_idmap *m)
{
	if (m == NULL)
		return;
	for (size_t i = 0; i < m->n_buckets; i++) {
		for (struct identity *id = m->buckets[i], *next; id != NULL; id = next) {
			next = id->next;
			free(id);
		}
	}
	free(m->buckets);
	free(m);
}

static size_t
spot(const struct vs_idmap *m, const uint8_t *p, size_t n)
{
	/* The names come from the vault's owner; FNV-1a will do. */
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * UINT64_C(0x100000001b3);
	return (size_t)(h ^ (h >> 32)) & (m->n_buckets - 1);
}

static void
grow(struct vs_idmap *m)
{
	const size_t old_n = m->n_buckets;
	struct identity **old = m->buckets;
	struct identity **buckets = calloc(old_n * 2, sizeof(struct identity *));
	if (buckets == NULL)
		return; /* longer chains, nothing worse */
	m->buckets = buckets;
	m->n_buckets = old_n * 2;
	for (size_t i = 0; i < old_n; i++) {
		for (struct identity *id = old[i], *next; id != NULL; id = next) {
			next = id->next;
			const size_t at = spot(m, id->key, id->n);
			id->next = buckets[at];
			buckets[at] = id;
		}
	}
	free(old);
}

/* 0 without memory. */
static uint64_t
number_of(struct vs_idmap *m, const struct vs_cat_entry *e, _Atomic uint64_t *next)
{
	struct identity *made = malloc(sizeof *made + e->kid.n + e->id.n);
	if (made == NULL || m->n >= IDS_MAX) {
		free(made);
		return 0;
	}
	made->n = e->kid.n + e->id.n;
	if (e->kid.n != 0)
		memcpy(made->key, e->kid.p, e->kid.n);
	if (e->id.n != 0)
		memcpy(made->key + e->kid.n, e->id.p, e->id.n);
	size_t at = spot(m, made->key, made->n);
	for (struct identity *id = m->buckets[at]; id != NULL; id = id->next) {
		if (id->n == made->n && memcmp(id->key, made->key, id->n) == 0) {
			free(made);
			return id->number;
		}
	}
	if (m->n >= m->n_buckets) {
		grow(m);
		at = spot(m, made->key, made->n);
	}
	made->number = atomic_fetch_add(next, 1);
	made->next = m->buckets[at];
	m->buckets[at] = made;
	m->n++;
	return made->number;
}

/* ---- the catalog ---------------------------------------------------------------------------- */

struct vs_catalog *
vs_catalog_ref(struct vs_catalog *c)
{
	atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
	return c;
}

void
vs_catalog_unref(struct vs_catalog *c)
{
	if (c == NULL || !VS_LAST_REF(c))
		return;
	for (size_t i = 0; i < c->n; i++)
		vs_pkey_unref(atomic_load(&c->objects[i].pkey));
	vs_objset_done(&c->set);
	free(c->objects);
	vs_catalog_data_free(c->data);
	free(c);
}

static void
add(struct vs_catalog *c, enum vs_kind kind, const struct vs_cat_entry *e, CK_OBJECT_HANDLE handle)
{
	struct vs_object *o = &c->objects[c->n++];
	o->kind = kind;
	o->handle = handle;
	o->catalog = c;
	o->entry = e;
}

static CK_RV
add_entry(struct vs_catalog *c, const struct vs_cat_entry *e, struct vs_idmap *ids,
	_Atomic uint64_t *next)
{
	static const struct {
		enum vs_kind key, public;
	} by_type[VS_KEY_COUNT_] = {
		[VS_KEY_RSA] = {VS_KIND_PRIV_RSA, VS_KIND_PUB_RSA},
		[VS_KEY_EC] = {VS_KIND_PRIV_EC, VS_KIND_PUB_EC},
		[VS_KEY_AES] = {VS_KIND_AES, VS_KIND_NONE},
		[VS_KEY_SECRET] = {VS_KIND_NONE, VS_KIND_NONE},
	};
	if ((unsigned)e->type >= VS_KEY_COUNT_ || by_type[e->type].key == VS_KIND_NONE)
		return CKR_OK; /* a kind of key we cannot show */
	const uint64_t number = number_of(ids, e, next);
	if (number == 0)
		return CKR_HOST_MEMORY;
	const CK_OBJECT_HANDLE base = number << VS_HANDLE_SHIFT;
	add(c, by_type[e->type].key, e, base | VS_HANDLE_KEY);
	if (by_type[e->type].public != VS_KIND_NONE)
		add(c, by_type[e->type].public, e, base | VS_HANDLE_PUBLIC);
	if (e->cert.n != 0)
		add(c, VS_KIND_CERT, e, base | VS_HANDLE_CERT);
	return CKR_OK;
}

static CK_RV
fill(struct vs_catalog *c, struct vs_idmap *ids, _Atomic uint64_t *next, uint64_t seed)
{
	static const CK_ULONG profiles[] = {CKP_BASELINE_PROVIDER, CKP_EXTENDED_PROVIDER,
		CKP_AUTHENTICATION_TOKEN, CKP_PUBLIC_CERTIFICATES_TOKEN};
	enum { N_PROFILES = sizeof profiles / sizeof profiles[0] };
	c->objects = calloc(c->data->n * 3 + N_PROFILES, sizeof *c->objects);
	if (c->objects == NULL)
		return CKR_HOST_MEMORY;
	for (size_t i = 0; i < c->data->n; i++)
		VS_CK_TRY(add_entry(c, &c->data->entries[i], ids, next));
	for (size_t i = 0; i < N_PROFILES; i++) {
		add(c, VS_KIND_PROFILE, NULL, ((i + 1) << VS_HANDLE_SHIFT) | VS_HANDLE_PROFILE);
		c->objects[c->n - 1].profile = profiles[i];
	}
	VS_CK_TRY(vs_objset_init(&c->set, seed, c->n));
	/* Backwards, because each goes to the front of its chains: found in the agent's order. */
	for (size_t i = c->n; i-- > 0;)
		VS_CK_TRY(vs_objset_add(&c->set, &c->objects[i]));
	return CKR_OK;
}

VS_CK
vs_catalog_make(struct vs_catalog_data *data, struct vs_idmap *ids, _Atomic uint64_t *next,
	uint64_t seed, struct vs_catalog **ret)
{
	struct vs_catalog *c = calloc(1, sizeof *c);
	if (c == NULL) {
		vs_catalog_data_free(data);
		return CKR_HOST_MEMORY;
	}
	atomic_init(&c->refs, 1);
	c->data = data;
	c->generation = data->generation;
	const CK_RV rv = fill(c, ids, next, seed);
	if (rv != CKR_OK) {
		vs_catalog_unref(c);
		return rv;
	}
	*ret = c;
	return CKR_OK;
}
