/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The keeper of one token: feeds the gate's table with events and carries out its actions; holds
 * lease, page and keyring. Everything here is called on the loop's thread; what blocks runs on
 * workers. Answers come by callback, possibly before the call returns.
 */
#ifndef VS_AGENT_KEEPER_H
#define VS_AGENT_KEEPER_H

#include "agent/pages.h"
#include "core/core.h"
#include "core/record.h"
#include "core/work.h"
#include "gate/gate.h"

struct vs_keeper;
struct vs_watch;

struct vs_keeper_env {
	struct vs_core *core;
	struct vs_loop *loop;
	struct vs_work *work;
	const struct vs_conf_token *token;
	struct vs_watch *watch; /* NULL: nobody watches */
};
VS_RC vs_keeper_new(const struct vs_keeper_env *env, struct vs_keeper **ret, struct vs_err *err);
/* No request may wait and no job run. Wipes. NULL-safe. */
void vs_keeper_free(struct vs_keeper *k);

/*
 * The lease ends now: the page is revoked with reason, the keyring wiped, who waits gets the
 * reason.
 */
void vs_keeper_reset(struct vs_keeper *k, const struct vs_err *reason);

/* ---- need ---------------------------------------------------------------------------------- */

struct vs_need;
/* page is NULL when rc is an error; borrowed for the call. */
typedef void vs_need_fn(
	struct vs_need *need, vs_rc rc, const struct vs_err *err, const struct vs_lease_page *page);

/* Embedded; zero-initialise, then set the first four. */
struct vs_need {
	int64_t deadline_boot_ns;
	struct vs_who who;
	vs_need_fn *fn;
	void *arg;
	struct vs_need *next; /* private from here on */
	struct vs_need **list;
	struct vs_keeper *keeper;
	struct vs_timer timer;
};
/* fn is called exactly once, unless it is cancelled before. */
void vs_keeper_need(struct vs_keeper *k, struct vs_need *need);
void vs_need_cancel(struct vs_need *need);

/* ---- key ----------------------------------------------------------------------------------- */

struct vs_key_ask;
/*
 * secret is borrowed for the call, and not to be copied out of arenas; uses_fd is ours: where its
 * process counts what it does with the key.
 */
typedef void vs_key_fn(struct vs_key_ask *ask, vs_rc rc, const struct vs_err *err, uint32_t key_no,
	const struct vs_secret *secret, int uses_fd);

struct vs_key_ask {
	int64_t deadline_boot_ns;
	struct vs_who who;
	int pid_fd; /* or -1; of the asker, as is what follows */
	const void *peer;
	uint8_t lease_id[VS_LEASE_ID_BYTES];
	vs_key_fn *fn;
	void *arg;
	struct vs_key_ask *next; /* private from here on */
	struct vs_keeper *keeper;
	struct vs_key_job *job; /* the hand-over being recorded */
	uint32_t no;
	struct vs_timer timer;
};
/* entry is borrowed for the call only. fn as above. */
void vs_keeper_key(struct vs_keeper *k, struct vs_key_ask *ask, const struct vs_cat_entry *entry);
void vs_key_ask_cancel(struct vs_key_ask *ask);

/* A connection has ended: no more will be counted for it. */
void vs_keeper_peer_gone(struct vs_keeper *k, const void *peer);
/* The agent ends: uses are recorded now. Blocks. */
void vs_keeper_flush_uses(struct vs_keeper *k);

/* ---- the rest ------------------------------------------------------------------------------ */

/* A peer begins or ceases to hold a grant: renewal happens only while somebody does. */
void vs_keeper_hold(struct vs_keeper *k, int change);

/* Record and log an event that nobody waits for: "peer-refused". */
void vs_keeper_note(
	struct vs_keeper *k, const char *event, struct vs_who who, const struct vs_err *reason);

struct vs_keeper_status {
	enum vs_gate_state state;
	int64_t lease_left_s; /* -1: none */
	uint32_t n_keys, n_holders;
	uint32_t code;
	int64_t wall_unix;
	const char *sentence;
};
void vs_keeper_status(const struct vs_keeper *k, struct vs_keeper_status *ret);
const struct vs_conf_token *vs_keeper_token(const struct vs_keeper *k);

#endif
