/* SPDX-License-Identifier: BSD-2-Clause */
#include "token/objset.h"

#include <stdlib.h>
#include <string.h>

enum { BUCKETS_MIN = 16, BUCKETS_MAX = 1 << 20 };

static uint64_t
mix(uint64_t a, uint64_t b)
{
	const unsigned __int128 m = (unsigned __int128)a * b;
	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

/* Seeded, so that nobody can choose names that all fall into one chain. */
static uint64_t
hash_bytes(uint64_t seed, const uint8_t *p, size_t n)
{
	uint64_t h = seed ^ mix(n + 1, UINT64_C(0x9e3779b97f4a7c15));
	while (n > 0) {
		const size_t k = n < 8 ? n : 8;
		uint64_t w = 0;
		memcpy(&w, p, k);
		h = mix(h ^ w, seed ^ UINT64_C(0xd6e8feb86659fd93));
		p += k;
		n -= k;
	}
	return mix(h, UINT64_C(0xa0761d6478bd642f) ^ seed);
}

/* False: there is no such value, and nobody looks for it by this chain. */
static bool
hash_of(const struct vs_objset *s, const struct vs_object *o, enum vs_chain chain, uint64_t *ret)
{
	struct vs_value v;
	if (chain == VS_CHAIN_HANDLE) {
		*ret = hash_bytes(s->seed, (const uint8_t *)&o->handle, sizeof o->handle);
		return true;
	}
	if (vs_object_get(o, chain == VS_CHAIN_ID ? CKA_ID : CKA_LABEL, &v) != VS_GET_OK ||
		v.n == 0)
		return false;
	*ret = hash_bytes(s->seed, v.p, v.n);
	return true;
}

/* NULL: it is in no chain of this kind. */
static struct vs_object **
head(const struct vs_objset *s, const struct vs_object *o, enum vs_chain chain)
{
	uint64_t hash = 0;
	if (!hash_of(s, o, chain, &hash))
		return NULL;
	return &s->bucket[chain][hash & (s->n_buckets - 1)];
}

VS_CK
vs_objset_init(struct vs_objset *s, uint64_t seed, size_t n)
{
	size_t buckets = BUCKETS_MIN;
	while (buckets < n && buckets < BUCKETS_MAX)
		buckets *= 2;
	*s = (struct vs_objset){.seed = seed, .n_buckets = buckets};
	for (unsigned c = 0; c < VS_CHAIN_CLASS; c++) {
		s->bucket[c] = calloc(buckets, sizeof(struct vs_object *));
		if (s->bucket[c] == NULL) {
			vs_objset_done(s);
			return CKR_HOST_MEMORY;
		}
	}
	return CKR_OK;
}

void
vs_objset_done(struct vs_objset *s)
{
	for (unsigned c = 0; c < VS_CHAIN_CLASS; c++)
		free(s->bucket[c]);
	*s = (struct vs_objset){0};
}

static void
link_in(struct vs_objset *s, struct vs_object *o)
{
	for (unsigned c = 0; c < VS_CHAIN_CLASS; c++) {
		struct vs_object **at = head(s, o, (enum vs_chain)c);
		if (at == NULL)
			continue;
		o->next[c] = *at;
		*at = o;
	}
}

/*
 * Those of one bucket go to two, each in its order: the newest stay in front, where those that go
 * all at once are taken out.
 */
static void
split(const struct vs_objset *old, const struct vs_objset *big, enum vs_chain chain, size_t bucket)
{
	struct vs_object **low = &big->bucket[chain][bucket];
	struct vs_object **high = &big->bucket[chain][bucket + old->n_buckets];
	for (struct vs_object *o = old->bucket[chain][bucket], *next; o != NULL; o = next) {
		struct vs_object ***end =
			head(big, o, chain) == &big->bucket[chain][bucket] ? &low : &high;
		next = o->next[chain];
		o->next[chain] = NULL;
		**end = o;
		*end = &o->next[chain];
	}
}

/* Twice the buckets; when there is no memory for that the chains only get longer. */
static void
grow(struct vs_objset *s)
{
	struct vs_objset big;
	if (s->n_buckets >= BUCKETS_MAX ||
		vs_objset_init(&big, s->seed, s->n_buckets * 2) != CKR_OK)
		return;
	big.n = s->n;
	memcpy(big.class, s->class, sizeof big.class);
	for (unsigned c = 0; c < VS_CHAIN_CLASS; c++) {
		for (size_t b = 0; b < s->n_buckets; b++)
			split(s, &big, (enum vs_chain)c, b);
		free(s->bucket[c]);
	}
	*s = big;
}

VS_CK
vs_objset_add(struct vs_objset *s, struct vs_object *o)
{
	if (s->n >= s->n_buckets * 2)
		grow(s);
	link_in(s, o);
	o->next[VS_CHAIN_CLASS] = s->class[o->kind];
	s->class[o->kind] = o;
	s->n++;
	return CKR_OK;
}

static void
cut_out(struct vs_object **at, const struct vs_object *o, enum vs_chain chain)
{
	for (; at != NULL && *at != NULL; at = &(*at)->next[chain]) {
		if (*at == o) {
			*at = o->next[chain];
			return;
		}
	}
}

void
vs_objset_remove(struct vs_objset *s, struct vs_object *o)
{
	for (unsigned c = 0; c < VS_CHAIN_CLASS; c++)
		cut_out(head(s, o, (enum vs_chain)c), o, (enum vs_chain)c);
	cut_out(&s->class[o->kind], o, VS_CHAIN_CLASS);
	s->n--;
}

struct vs_object *
vs_objset_by_handle(const struct vs_objset *s, CK_OBJECT_HANDLE h)
{
	if (s->n_buckets == 0)
		return NULL;
	const uint64_t hash = hash_bytes(s->seed, (const uint8_t *)&h, sizeof h);
	struct vs_object *o = s->bucket[VS_CHAIN_HANDLE][hash & (s->n_buckets - 1)];
	while (o != NULL && o->handle != h)
		o = o->next[VS_CHAIN_HANDLE];
	return o;
}

static bool
walk(struct vs_object *o, enum vs_chain chain, const struct vs_tmpl *t, vs_objset_fn *fn, void *arg)
{
	for (; o != NULL; o = o->next[chain]) {
		if (vs_object_matches(o, t) && !fn(arg, o))
			return false;
	}
	return true;
}

/* An indexed attribute with a value is in the template. */
static bool
indexed(const struct vs_tmpl *t, CK_ATTRIBUTE_TYPE type, CK_ATTRIBUTE *ret)
{
	return vs_tmpl_find(t, type, ret) && ret->pValue != NULL && ret->ulValueLen != 0 &&
		ret->ulValueLen <= VS_ATTR_BYTES_MAX;
}

bool
vs_objset_find(const struct vs_objset *s, const struct vs_tmpl *t, vs_objset_fn *fn, void *arg)
{
	CK_ATTRIBUTE a;
	enum vs_chain chain = VS_CHAIN_CLASS;
	if (s->n_buckets == 0)
		return true;
	if (indexed(t, CKA_ID, &a))
		chain = VS_CHAIN_ID;
	else if (indexed(t, CKA_LABEL, &a))
		chain = VS_CHAIN_LABEL;
	if (chain != VS_CHAIN_CLASS) {
		const uint64_t hash = hash_bytes(s->seed, a.pValue, a.ulValueLen);
		return walk(s->bucket[chain][hash & (s->n_buckets - 1)], chain, t, fn, arg);
	}
	CK_ULONG class = CK_UNAVAILABLE_INFORMATION;
	if (vs_tmpl_ulong(t, CKA_CLASS, &class) != CKR_OK)
		return true; /* a class of a strange length equals no class */
	for (unsigned k = 1; k < VS_KIND_COUNT_; k++) {
		if (class != CK_UNAVAILABLE_INFORMATION && class != vs_kind_class((enum vs_kind)k))
			continue;
		if (!walk(s->class[k], VS_CHAIN_CLASS, t, fn, arg))
			return false;
	}
	return true;
}
