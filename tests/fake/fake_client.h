/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An agent made of data: the functions of client/client.h and client/profile.h with keys in
 * memory, so that the module is tested without any process beside it. The knobs are plain fields.
 */
#ifndef TESTS_FAKE_CLIENT_H
#define TESTS_FAKE_CLIENT_H

#include <stdatomic.h>

#include "client/client.h"

enum { FAKE_KEYS_MAX = 16 };

struct fake_key {
	const char *name;
	enum vs_key_type type;
	enum vs_curve curve;
	uint32_t bits;
	uint32_t ops;
	struct vs_bytes n, e, x, y, spki, cert, subject, issuer, serial;
	struct vs_bytes secret; /* what a release gives */
	uint8_t id[20];
};

struct fake_agent {
	/* What the next calls answer; 0 is "works". */
	_Atomic int catalog_code;
	_Atomic int need_code;
	_Atomic int key_code;
	_Atomic bool lie; /* release another key than the one that is shown */
	_Atomic bool garbage; /* release bytes that are no key */
	_Atomic int64_t lease_ms; /* 0: one hour */
	_Atomic int need_delay_ms;
	/* What happened. */
	_Atomic unsigned n_new, n_catalog, n_need, n_key;
	char last_pin[64];
	_Atomic uint64_t generation;
	size_t n_keys;
	struct fake_key keys[FAKE_KEYS_MAX];
	size_t n_extra; /* further public-only RSA entries, for searches among many */
	struct vs_profile profile; /* what vs_profile_load gives; set before C_Initialize */
	struct vs_page *page; /* of the last lease */
	struct vs_uses *uses; /* counted under it */
};

/* The one agent; keys and certificates are made at first use. */
struct fake_agent *fake_agent(void);
/* Knobs back to "works", counters to 0, no lease, the usual profile. */
void fake_reset(void);
/* The lease's end, as the agent would write it. */
void fake_revoke(enum vs_code reason);
void fake_end_lease(void);
/* Unmap the pages of all leases so far; nobody may look at one any more. */
void fake_forget_leases(void);
void fake_extend_lease(int64_t ms);
/* How often the module says it used this key under the last lease. */
uint64_t fake_uses(const char *name);
void fake_key_gone(const char *name);

#endif
