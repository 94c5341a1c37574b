/* SPDX-License-Identifier: BSD-2-Clause */
#include "gate/keyring.h"

#include <stdlib.h>

static void
key_free(struct vs_ring_key *k)
{
	vs_secret_done(&k->secret);
	vs_catalog_data_free(k->item);
	free(k);
}

void
vs_keyring_done(struct vs_keyring *ring)
{
	for (size_t i = 0; i < ring->n; i++)
		key_free(ring->keys[i]);
	free(ring->keys);
	*ring = (struct vs_keyring){0};
}

struct vs_ring_key *
vs_keyring_at(const struct vs_keyring *ring, uint32_t no)
{
	return no < ring->n ? ring->keys[no] : NULL;
}

struct vs_ring_key *
vs_keyring_find(const struct vs_keyring *ring, struct vs_bytes name, struct vs_bytes version)
{
	for (size_t i = 0; i < ring->n; i++) {
		const struct vs_cat_entry *e = &ring->keys[i]->item->entries[0];
		if (vs_bytes_eq(e->name, name) && vs_bytes_eq(e->version, version))
			return ring->keys[i];
	}
	return NULL;
}

size_t
vs_keyring_live(const struct vs_keyring *ring)
{
	size_t n = 0;
	for (size_t i = 0; i < ring->n; i++)
		n += ring->keys[i]->state == VS_RING_LIVE;
	return n;
}

VS_RC
vs_catalog_item(const struct vs_cat_entry *entry, struct vs_catalog_data **ret, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf bytes = {0};
	struct vs_cat_entry copy = *entry;
	const struct vs_catalog_data one = {.generation = 1, .n = 1, .entries = &copy};
	VS_TRY(vs_catalog_encode(&one, &bytes, err));
	return vs_catalog_decode(&bytes, ret, err);
}

VS_RC
vs_keyring_add(struct vs_keyring *ring, const struct vs_cat_entry *entry, struct vs_ring_key **ret,
	struct vs_err *err)
{
	if (ring->n >= VS_RING_KEYS_MAX)
		VS_FAIL(err, LIMIT, "more than %d keys of one token are in use", VS_RING_KEYS_MAX);
	struct vs_ring_key **more = realloc(ring->keys, (ring->n + 1) * sizeof *more);
	if (!more)
		VS_FAIL(err, MEMORY, "out of memory");
	ring->keys = more;
	struct vs_ring_key *k = calloc(1, sizeof *k);
	if (!k)
		VS_FAIL(err, MEMORY, "out of memory");
	const vs_rc rc = vs_catalog_item(entry, &k->item, err);
	if (vs_failed(rc)) {
		free(k);
		return rc;
	}
	k->no = (uint32_t)ring->n;
	k->state = VS_RING_RELEASING;
	ring->keys[ring->n++] = k;
	*ret = k;
	return VS_OK;
}
