/* SPDX-License-Identifier: BSD-2-Clause */
/* The passphrase of a volume, wrapped to a token's RSA key and unwrapped by the released key. */
#ifndef TOOLS_VOLUME_KEY_H
#define TOOLS_VOLUME_KEY_H

#include "client/client.h"
#include "crypto/ossl.h"
#include "tools/volume_header.h"

struct vs_volume_way {
	const struct vs_profile *profile;
	struct vs_client *client;
	struct vs_arena *arena;
	struct vs_ossl *ossl;
	const char *device; /* for sentences */
	struct vs_bytes canonical; /* of the header: what is wrapped fits no other */
	int64_t until; /* boot clock, ns */
};

/*
 * Wrap passphrase to key name of the token label and describe that in e, but for the slot. Public
 * data only: needs no attestation. Errors: NOT_FOUND (token, key), LIMIT, the agent's.
 */
VS_RC vs_volume_wrap(const struct vs_volume_way *w, const char *label, const char *name,
	const struct vs_secret *passphrase, struct vs_volume_entry *e, struct vs_err *err);
/*
 * Have the key released and unwrap e's passphrase into a new secret. Errors: REFUSED_BINDING (not
 * wrapped for this header and key), those of attestation and release.
 */
VS_RC vs_volume_unwrap(const struct vs_volume_way *w, const struct vs_volume_entry *e,
	struct vs_secret *ret, struct vs_err *err);

#endif
