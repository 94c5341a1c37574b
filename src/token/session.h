/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sessions: entries that never move, found by table index and 32-bit generation. Each has its own
 * lock, held during a whole call; threads in different sessions share no written memory.
 */
#ifndef VS_TOKEN_SESSION_H
#define VS_TOKEN_SESSION_H

#include "base/latch.h"
#include "token/op.h"

enum { VS_FIND_INLINE = 16, VS_FIND_MAX = 200000 };

struct vs_find {
	bool active;
	size_t n, at, cap;
	CK_OBJECT_HANDLE *found; /* inl, or on the heap */
	CK_OBJECT_HANDLE inl[VS_FIND_INLINE];
};

struct vs_session {
	struct vs_latch lock; /* 2 */
	_Atomic uint64_t word; /* generation << 1 | open */
	uint32_t index;
	struct vs_session *next_free;
	/* All below: under the lock. */
	CK_SESSION_HANDLE handle;
	struct vs_token *token;
	CK_FLAGS flags;
	struct vs_catalog *catalog; /* held across operations */
	uint64_t catalog_word; /* of the token when catalog was taken */
	uint32_t sweep_word;
	struct vs_boot_watch watch; /* for the steps of all its operations */
	bool made_objects;
	struct vs_find find;
	struct vs_op *op[VS_OP_COUNT_]; /* made at first use, kept for good */
} __attribute__((aligned(64)));

VS_CK
vs_session_open(struct vs_instance *inst, CK_SLOT_ID slot, CK_FLAGS flags, CK_SESSION_HANDLE *ret);
VS_CK vs_session_close(struct vs_instance *inst, CK_SESSION_HANDLE h);
VS_CK vs_session_close_all(struct vs_instance *inst, CK_SLOT_ID slot);
/* At the end: all of them, waiting for calls that are under way. */
void vs_session_shut(struct vs_instance *inst);
/* In a forked child: free with clearing what OpenSSL keeps, where no lock is held. */
void vs_session_abandon(struct vs_instance *inst);

/* The session with its lock held; CKR_SESSION_HANDLE_INVALID, CRYPTOKI_NOT_INITIALIZED. */
VS_CK vs_session_enter(struct vs_instance *inst, CK_SESSION_HANDLE h, struct vs_session **ret);
void vs_session_leave(struct vs_session *s);
void
vs_session_counts(struct vs_instance *inst, const struct vs_token *t, CK_ULONG *all, CK_ULONG *rw);
void vs_session_info(struct vs_session *s, CK_SESSION_INFO *ret);
VS_CK vs_session_login(struct vs_session *s, CK_USER_TYPE user, const void *pin, CK_ULONG pin_len);
VS_CK vs_session_logout(struct vs_session *s);
/* C_SessionCancel. */
VS_CK vs_session_cancel(struct vs_session *s, CK_FLAGS flags);
/* Drop contexts of swept keys in every session that is not busy. */
void vs_session_sweep(struct vs_instance *inst, struct vs_token *t, struct vs_session *self);

/* CKA_PRIVATE hides an object only on a token that has a login. */
bool vs_session_sees(const struct vs_session *s, const struct vs_object *o);
/* The object with this handle as this session may see it: a reference, or NULL. */
struct vs_object *vs_session_object(struct vs_session *s, CK_OBJECT_HANDLE h);

VS_CK vs_find_init(struct vs_session *s, const void *tmpl, CK_ULONG n);
VS_CK vs_find_next(struct vs_session *s, CK_OBJECT_HANDLE *out, CK_ULONG max, CK_ULONG *ret_n);
VS_CK vs_find_final(struct vs_session *s);
void vs_find_drop(struct vs_find *f);

#endif
