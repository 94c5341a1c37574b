/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The released keys of one lease, by number: the number is the key's byte in the lease page.
 * Belongs to the loop thread. Secrets are in the arena and wiped with the ring.
 */
#ifndef VS_GATE_KEYRING_H
#define VS_GATE_KEYRING_H

#include "base/secret.h"
#include "gate/attempt.h"
#include "proto/catalog.h"

enum vs_ring_state {
	VS_RING_NONE = 0,
	VS_RING_RELEASING, /* one release is in flight; others wait for it */
	VS_RING_LIVE,
	VS_RING_FAILED, /* the error stands until held_until */
	VS_RING_GONE, /* the vault releases it no more */
	VS_RING_COUNT_,
};

enum { VS_RING_KEYS_MAX = 1024 };

struct vs_ring_key {
	uint32_t no;
	enum vs_ring_state state;
	struct vs_catalog_data *item; /* exactly one entry, our own copy */
	struct vs_secret secret;
	struct vs_release_info info;
	struct vs_err err; /* FAILED, GONE */
	int64_t held_until_boot_ns;
};

struct vs_keyring {
	size_t n;
	struct vs_ring_key **keys; /* by number; entries do not move */
};

void vs_keyring_done(struct vs_keyring *ring); /* wipes all; leaves an empty ring */
/* NULL when it was never asked for. */
struct vs_ring_key *
vs_keyring_find(const struct vs_keyring *ring, struct vs_bytes name, struct vs_bytes version);
struct vs_ring_key *vs_keyring_at(const struct vs_keyring *ring, uint32_t no);
/* A new key in state RELEASING with a copy of entry. Errors: LIMIT, MEMORY. */
VS_RC vs_keyring_add(struct vs_keyring *ring, const struct vs_cat_entry *entry,
	struct vs_ring_key **ret, struct vs_err *err);
size_t vs_keyring_live(const struct vs_keyring *ring);

/* A catalog of this one entry, with bytes of its own. */
VS_RC
vs_catalog_item(const struct vs_cat_entry *entry, struct vs_catalog_data **ret, struct vs_err *err);

#endif
