/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One initialised module: slots, tokens, the session table, and what all tokens share. The shell
 * of an instance is kept for the next C_Initialize, so that a thread which comes in while another
 * one finalises finds locks and generations that still exist.
 *
 * Lock order: 1 instance, 2 session, 3 token, 5 leaves (shared, stripes).
 */
#ifndef VS_TOKEN_INSTANCE_H
#define VS_TOKEN_INSTANCE_H

#include <pthread.h>
#include <sys/types.h>

#include "client/client.h"
#include "token/catalog.h"

struct vs_instance;
struct vs_ossl;
struct vs_session;
struct vs_ukey;

enum {
	VS_ARENA_FIRST = 64 * 1024,
	VS_ARENA_MAX = 16 * 1024 * 1024, /* all secrets of one process */
	VS_SESSIONS_PER_CHUNK = 64,
	VS_SESSION_CHUNKS_MAX = 16384,
	VS_STRIPES = 16,
	VS_CATALOG_FRESH_S = 2, /* between two looks at the agent's catalog */
	VS_CATALOG_FRESH_ATTESTED_S = 2,
	VS_GATE_DEADLINE_S = 30,
	VS_CATALOG_DEADLINE_S = 15,
	VS_SESSION_OBJECTS_MAX = 100000, /* of one token */
};

struct vs_token {
	struct vs_instance *inst;
	size_t index;
	const struct vs_profile_token *conf;
	pthread_mutex_t lock; /* 3: everything down to keys */
	struct vs_catalog *catalog;
	struct vs_idmap *ids;
	struct vs_objset store; /* session objects */
	struct vs_grant *grant;
	struct vs_ukey *keys;
	_Atomic int64_t catalog_until_boot_ns; /* no need to ask the agent before */
	_Atomic uint64_t catalog_word; /* changes with the catalog; what sessions compare */
	_Atomic uint32_t sweep_word; /* changes when keys were dropped */
	_Atomic bool has_keys;
	_Atomic uint32_t last_code; /* vs_code number of the last reason */
	_Atomic bool logged_in;
	_Atomic bool wrong_pin; /* one came since the last login that was right */
	_Atomic uint32_t
		n_sessions; /* counted only where there is a login, which ends with the last */
};

struct vs_stripe {
	pthread_mutex_t lock;
	struct vs_session *free;
} __attribute__((aligned(64)));

enum vs_inst_state { VS_INST_NONE = 0, VS_INST_LIVE, VS_INST_CLOSING };

struct vs_instance {
	pthread_mutex_t lock; /* 1 */
	_Atomic uint32_t state; /* enum vs_inst_state */
	_Atomic uint32_t *alive; /* a page that a forked child sees as zero: live, made here */
	struct vs_profile *profile;
	uint64_t seed;
	size_t n_tokens;
	struct vs_token *tokens;
	_Atomic uint64_t next_number; /* of handles */

	pthread_mutex_t shared_lock; /* 5: the next three, made at first use */
	struct vs_arena *arena;
	struct vs_client *client;
	struct vs_ossl *ossl;
	int log_fd; /* -1: none; -2: not looked yet */
	dev_t log_dev; /* what log_fd was when we opened it */
	ino_t log_ino;
	char log_path[512];

	pthread_mutex_t grow_lock; /* 5: adding chunks */
	size_t n_chunks;
	struct vs_session *_Atomic chunks[VS_SESSION_CHUNKS_MAX];
	struct vs_stripe stripes[VS_STRIPES];
};

/*
 * C_Initialize behind the argument check: *slot is the process's one pointer. profile may be NULL:
 * then it is read, or, in a forked child, the parent's is used. Thread-safe.
 */
VS_CK vs_instance_init(struct vs_instance *_Atomic *slot);
VS_CK vs_instance_fini(struct vs_instance *inst);
/* Initialised, in this process. NULL-safe. */
static inline bool
vs_instance_live(const struct vs_instance *inst)
{
	return inst != NULL &&
		atomic_load_explicit(&inst->state, memory_order_acquire) == VS_INST_LIVE &&
		atomic_load_explicit(inst->alive, memory_order_relaxed) != 0;
}
VS_CK vs_instance_enter(struct vs_instance *inst); /* takes lock 1 when live */
void vs_instance_leave(struct vs_instance *inst);

VS_CK vs_instance_slots(struct vs_instance *inst, CK_SLOT_ID *list, CK_ULONG *n);
VS_CK vs_instance_token(struct vs_instance *inst, CK_SLOT_ID id, struct vs_token **ret);
void vs_token_slot_info(const struct vs_token *t, CK_SLOT_INFO *ret);
void vs_token_info(struct vs_token *t, CK_TOKEN_INFO *ret);
void vs_instance_info(CK_INFO *ret);

/* Shared things, made at first use. */
VS_RC vs_instance_arena(struct vs_instance *inst, struct vs_arena **ret, struct vs_err *err);
VS_RC vs_instance_client(struct vs_instance *inst, struct vs_client **ret, struct vs_err *err);
VS_RC vs_instance_ossl(struct vs_instance *inst, struct vs_ossl **ret, struct vs_err *err);

/* Remember and log why something was refused. */
void vs_token_note(struct vs_token *t, const char *what, vs_rc rc, const struct vs_err *err);

/*
 * The current catalog, fetched or refreshed if it is time. On success a reference. Takes the token
 * lock; waits for the agent without it.
 */
VS_CK vs_token_catalog(struct vs_token *t, struct vs_catalog **ret);

/* ---- session objects (store.c) -------------------------------------------------------------- */

/* Gives the handle, takes over the caller's reference on success. USER_NOT_LOGGED_IN if private. */
VS_CK vs_store_add(struct vs_token *t, struct vs_object *o, CK_OBJECT_HANDLE *ret);
/* A reference, or NULL. */
struct vs_object *vs_store_get(struct vs_token *t, CK_OBJECT_HANDLE h);
/* Swap old for made under old's handle; takes over made's reference on success. */
VS_CK vs_store_replace(struct vs_token *t, struct vs_object *old, struct vs_object *made);
VS_CK vs_store_remove(struct vs_token *t, CK_OBJECT_HANDLE h);
/* All objects of a session (0: of everybody). True: sessions have something prepared with them. */
bool vs_store_drop(struct vs_token *t, CK_SESSION_HANDLE owner);
/* The private ones of all sessions, when the user has logged out. */
void vs_store_drop_private(struct vs_token *t);

#endif
