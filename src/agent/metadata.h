/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Public data of one token: what the vault lists, kept in memory and, for times without network,
 * in a cache file. Never attests. On the loop's thread.
 */
#ifndef VS_AGENT_METADATA_H
#define VS_AGENT_METADATA_H

#include "agent/keeper.h"
#include "proto/catalog.h"

enum {
	VS_METADATA_FRESH_S =
		2, /* answered without a second thought; then the vault's list is read */
	VS_METADATA_USABLE_S = 300, /* answered at once, and asked for again behind the scenes */
	VS_METADATA_WAIT_MS = 30000,
	VS_METADATA_HOLD_MS = 1000, /* after a list that could not be had */
};

struct vs_metadata;

VS_RC
vs_metadata_new(const struct vs_keeper_env *env, struct vs_metadata **ret, struct vs_err *err);
/* Nobody may wait and no job run. NULL-safe. */
void vs_metadata_free(struct vs_metadata *m);

struct vs_meta_ask;
/* data and bytes (its encoded form) are borrowed for the call; NULL when rc is an error. */
typedef void vs_meta_fn(struct vs_meta_ask *ask, vs_rc rc, const struct vs_err *err,
	const struct vs_catalog_data *data, struct vs_bytes bytes);
struct vs_meta_ask {
	vs_meta_fn *fn;
	void *arg;
	struct vs_meta_ask *next; /* private from here on */
	struct vs_metadata *metadata;
	struct vs_timer timer;
};
/* fn is called exactly once, perhaps at once, unless cancelled. */
void vs_metadata_get(struct vs_metadata *m, struct vs_meta_ask *ask);
/*
 * The same for whoever looks for one key: anything will do, of whatever age, but the generation
 * that was not enough (0: none was).
 */
void vs_metadata_find(struct vs_metadata *m, struct vs_meta_ask *ask, uint64_t not_enough);
/* Somebody will soon ask: fetch beside what else is to be done, if nothing is known. */
void vs_metadata_prepare(struct vs_metadata *m);
void vs_meta_ask_cancel(struct vs_meta_ask *ask);

#endif
