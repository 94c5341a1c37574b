/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The module's side of the agent socket. One connection serves all threads: whoever finds nobody
 * reading reads for all. Needs no libcrypto. Nothing here is used by a forked child: it calls
 * vs_client_abandon() on what it inherited and makes its own.
 */
#ifndef VS_CLIENT_CLIENT_H
#define VS_CLIENT_CLIENT_H

#include "base/secret.h"
#include "client/profile.h"
#include "proto/catalog.h"
#include "proto/page.h"
#include "proto/uses.h"
#include "vouchsafe/err.h"

struct vs_client;

/* Does no I/O: connecting happens at the first request. profile and arena must outlive it. */
VS_RC vs_client_new(const struct vs_profile *profile, struct vs_arena *arena,
	struct vs_client **ret, struct vs_err *err);
/* Closes the connection (only if the descriptor is still ours). NULL-safe. */
void vs_client_free(struct vs_client *c);
/* In a forked child: forget everything, touch no lock, close the inherited descriptor if ours. */
void vs_client_abandon(struct vs_client *c);

/*
 * Public data of a token (index into profile->tokens). *ret is NULL when the agent's generation is
 * still `known` (0: nothing known). Never attests unless visible = attested.
 * Errors: AGENT, TIMEOUT, WIRE, CONFIG_*, and whatever the agent reports (its sentence included).
 */
VS_RC vs_client_catalog(struct vs_client *c, size_t token, uint64_t known, int64_t deadline_boot_ns,
	struct vs_catalog_data **ret, struct vs_err *err);

/* A live lease as seen from here: the mapped page. Counted; thread-safe. */
struct vs_grant;
/*
 * Ask for permission to use a token's keys; the agent attests if necessary. Blocks in poll only.
 * pin may be NULL. Errors: any refusal of the agent (category POLICY with the checks in the
 * sentence), REMOTE, CONFIG, GONE, AGENT, RESOURCE.
 */
VS_RC vs_client_need(struct vs_client *c, size_t token, const char *pin, size_t pin_len,
	int64_t deadline_boot_ns, struct vs_grant **ret, struct vs_err *err);
struct vs_grant *vs_grant_ref(struct vs_grant *g);
void vs_grant_unref(struct vs_grant *g);
const struct vs_page *vs_grant_page(const struct vs_grant *g);

/* Where uses of the lease's keys are counted; NULL before a key has come. */
struct vs_uses *vs_grant_uses(const struct vs_grant *g);

/*
 * The released key of a live lease into the caller's arena: PKCS#8 DER for RSA and EC, raw octets
 * for AES. *ret_key_no is its number in the page. Errors as need.
 * The agent may have to ask the vault, and it writes a record to the disk: what the caller can
 * prepare in that time it does in meanwhile (may be NULL), which is called at most once.
 */
struct vs_meanwhile {
	void (*fn)(void *arg);
	void *arg;
};
VS_RC vs_client_key(struct vs_client *c, struct vs_grant *g, struct vs_bytes name,
	struct vs_bytes version, int64_t deadline_boot_ns, const struct vs_meanwhile *meanwhile,
	struct vs_secret *ret, uint32_t *ret_key_no, struct vs_err *err);

/* State and last reason in words, for `vouchsafe status` and ulDeviceError. */
struct vs_token_status {
	char label[VS_LABEL_MAX + 1];
	char state[16]; /* LOCKED, ATTESTING, UNLOCKED, RENEWING, EXPIRED, DENIED */
	bool lab;
	int64_t lease_left_s; /* -1: none */
	uint32_t n_keys_released;
	uint32_t n_peers;
	uint32_t last_code; /* vs_code number, 0: none */
	int64_t last_wall_unix; /* when */
	char last_sentence[1024];
};
VS_RC vs_client_status(struct vs_client *c, size_t token, int64_t deadline_boot_ns,
	struct vs_token_status *ret, struct vs_err *err);

#endif
