/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sequences of PKCS#11 calls against a model. The model knows no code of the module: it follows
 * the standard, computes results with plain OpenSSL, and says beforehand which codes a call may
 * give. Where a call has several faults the standard leaves open which one is named, but where it
 * says that one goes before another (5.1), only that one is right.
 */
#ifndef TESTS_FUZZ_CALLS_H
#define TESTS_FUZZ_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fake/fake_client.h"
#include "token/ck.h"

enum {
	CALLS_SLOTS = 2, /* 0 has no login, 1 has one */
	CALLS_SESSIONS = 6,
	CALLS_TOKEN_KEYS = 3, /* the first of the keys: an AES key, an RSA pair */
	CALLS_KEYS = 16,
	CALLS_TEXT_MAX = 1024, /* of one operation */
	CALLS_RSA_BYTES = 256,
	CALLS_TEMPLATE_MAX = 20,
};

enum calls_kind {
	CALLS_ENCRYPT = 0,
	CALLS_DECRYPT,
	CALLS_SIGN,
	CALLS_VERIFY,
	CALLS_DIGEST,
	CALLS_SIGN_RECOVER,
	CALLS_VERIFY_RECOVER,
	CALLS_MSG_ENCRYPT,
	CALLS_MSG_DECRYPT,
	CALLS_MSG_SIGN,
	CALLS_MSG_VERIFY,
	CALLS_KINDS
};

/*
 * SINGLE: one call was asked for its size, so parts are shut out. Of messages: READY between two
 * of them, MULTI inside one.
 */
enum calls_phase { CALLS_IDLE = 0, CALLS_READY, CALLS_SINGLE, CALLS_MULTI };

enum calls_type { CALLS_AES = 0, CALLS_GENERIC, CALLS_RSA_PRIVATE, CALLS_RSA_PUBLIC, CALLS_DATA };
/* Sets of types. */
#define CALLS_T(type) (1U << CALLS_##type)
#define CALLS_T_SECRET (CALLS_T(AES) | CALLS_T(GENERIC))

/* What a key may be used for. */
enum calls_use {
	CALLS_MAY_ENCRYPT = 1 << 0,
	CALLS_MAY_DECRYPT = 1 << 1,
	CALLS_MAY_SIGN = 1 << 2,
	CALLS_MAY_VERIFY = 1 << 3,
	CALLS_MAY_WRAP = 1 << 4,
	CALLS_MAY_UNWRAP = 1 << 5,
	CALLS_MAY_DERIVE = 1 << 6,
	CALLS_MAY_RECOVER = 1 << 7,
	CALLS_USES = 7, /* of secret keys */
};

/* A template inside a key: one flag, and a key type, each or not. */
enum calls_inner_of { CALLS_INNER_WRAP = 0, CALLS_INNER_UNWRAP, CALLS_INNER_DERIVE, CALLS_INNERS };
struct calls_inner {
	bool there, with_type;
	CK_ATTRIBUTE_TYPE flag; /* CKA_SIGN, CKA_SENSITIVE, CKA_EXTRACTABLE; 0: none */
	CK_BBOOL yes;
	CK_KEY_TYPE type;
};

struct calls_key {
	bool alive, token, private;
	enum calls_type type;
	unsigned slot, owner; /* index of the session that made it */
	unsigned may;
	bool sensitive, extractable, always, never, local, copyable, modifiable, destroyable;
	struct calls_inner inner[CALLS_INNERS];
	CK_OBJECT_HANDLE handle;
	size_t n;
	uint8_t value[40];
};

struct calls_op {
	enum calls_phase phase;
	CK_MECHANISM_TYPE mech;
	struct calls_key key; /* as it was: an operation goes on with what it began with */
	unsigned lease_no; /* under which it began */
	uint8_t iv[16];
	size_t iv_n, tag_n, aad_n; /* of the message under way */
	bool counted; /* an IV was counted in this process */
	uint32_t count;
	size_t in_n, out_n; /* so far */
	uint8_t in[CALLS_TEXT_MAX], out[CALLS_TEXT_MAX + 64];
};

struct calls_session {
	bool open, rw, searching;
	unsigned slot;
	CK_SESSION_HANDLE handle, stale;
	size_t to_find;
	struct calls_op op[CALLS_KINDS];
};

struct calls_model {
	bool live, logged_in[CALLS_SLOTS];
	bool refuses; /* the agent, at the gate */
	unsigned lease_no;
	bool lease, page_is_ours; /* of slot 0's token keys; fake's page is that lease's */
	struct calls_session s[CALLS_SESSIONS];
	struct calls_key key[CALLS_KEYS];
};

/* Codes a call may give; none means CKR_OK. */
struct calls_want {
	CK_RV rv[16];
	unsigned n;
};
void calls_fault(struct calls_want *w, bool is, CK_RV rv);

/* Deliberately wrong rules: each must be noticed, or the model shows nothing. */
enum calls_break {
	CALLS_RIGHT = 0,
	CALLS_BREAK_ONE_CALL_KEEPS, /* a single call does not end its operation */
	CALLS_BREAK_SHORT_ENDS, /* a short buffer ends the operation */
	CALLS_BREAK_CLOSE_KEEPS, /* objects outlive their session */
	CALLS_BREAK_LOGOUT_KEEPS, /* private objects outlive the logout */
	CALLS_BREAK_ERROR_KEEPS, /* an error keeps the operation */
	CALLS_BREAK_LEASE, /* a lease never ends */
	CALLS_BREAK_PAD, /* CBC with padding pads nothing */
	CALLS_BREAK_USE, /* every key may be used for everything */
	CALLS_BREAK_TYPE, /* every key is of the right type */
	CALLS_BREAK_MESSAGE_ENDS, /* a wrong message ends all of them */
	CALLS_BREAK_PART_KEEPS, /* an error leaves a message in parts under way */
	CALLS_BREAK_TAG, /* a wrong tag is right */
	CALLS_BREAK_COUNT, /* counted IVs stay as they are */
	CALLS_BREAK_DUAL_FEEDS, /* a short buffer still feeds the second operation */
	CALLS_BREAK_DUAL_ONE, /* one operation of two will do */
	CALLS_BREAK_RECOVER, /* a wrong signature gives something */
	CALLS_BREAK_STATE, /* an operation's state can be saved */
	CALLS_BREAK_EXTRACT, /* every key can be wrapped */
	CALLS_BREAK_INNER_WRAP, /* templates inside keys: nobody looks at them */
	CALLS_BREAK_INNER_MERGE, /* the caller's template goes before */
	CALLS_BREAK_HISTORY, /* what is derived was always sensitive */
	CALLS_BREAK_LATCH, /* what is sensitive can be made readable */
	CALLS_BREAK_APART, /* a key may wrap and decrypt */
	CALLS_BREAK_COPY, /* what says it is no copy is copied */
	CALLS_BREAKS,
};
extern enum calls_break calls_broken;

/* ---- the model (calls_model.c) ------------------------------------------------------------- */

bool calls_visible(const struct calls_model *m, const struct calls_key *k);
void calls_close(struct calls_model *m, unsigned session);
void calls_log_out(struct calls_model *m, unsigned slot);
void calls_finalize(struct calls_model *m);
/* An error other than a short buffer, or the last part, has ended it. */
void calls_end(struct calls_op *op, CK_RV rv);
/* The types of key that a mechanism takes for this; 0: it cannot be used. */
unsigned calls_types(enum calls_kind kind, CK_MECHANISM_TYPE mech);
unsigned calls_use_for(enum calls_kind kind);
/* What is wrong with a key, with the priorities of 5.1.6. */
void calls_judge_key(struct calls_want *w, const struct calls_key *k, unsigned types, unsigned use,
	CK_RV bad_handle, CK_RV bad_type);
/* The whole result for all the input of op; false: the input is wrong, *fault is why. */
bool calls_result(
	enum calls_kind kind, const struct calls_op *op, uint8_t *out, size_t *n, CK_RV *fault);
/* How much of that is out after the input so far. */
size_t calls_emitted(enum calls_kind kind, const struct calls_op *op);

/* ---- plain OpenSSL (calls_plain.c) ----------------------------------------------------------- */

/* The text of a GCM message the other way, and its tag. */
void calls_gcm(
	const struct calls_op *op, const uint8_t *aad, bool encrypt, uint8_t *out, uint8_t tag[16]);
/* RFC 5649, and what it gives back; false: that was not wrapped so. */
size_t calls_wrap(const struct calls_key *with, const uint8_t *in, size_t n, uint8_t *out);
bool calls_unwrap(
	const struct calls_key *with, const uint8_t *in, size_t n, uint8_t *out, size_t *out_n);
/* The first n of at most 32 octets of HKDF's second half with SHA-256. */
void calls_expand(
	const struct calls_key *base, const uint8_t *info, size_t info_n, size_t n, uint8_t *out);
/* The token's RSA key: PKCS#1 type 1, made and taken off. */
void calls_rsa_load(const struct fake_agent *agent);
void calls_rsa_sign(const uint8_t *in, size_t n, uint8_t out[CALLS_RSA_BYTES]);

/* ---- one sequence (calls_play.c): false when module and model differ ------------------------ */

struct calls_input {
	const uint8_t *p;
	size_t n;
};
unsigned calls_draw(struct calls_input *in, unsigned below);
struct calls_run {
	struct calls_model m;
	struct calls_input in;
	CK_FUNCTION_LIST_3_0 *f;
	struct fake_agent *agent;
	void (*end_lease)(void);
	bool differs, quiet;
	unsigned calls, good;
	unsigned last_session, last_kind; /* of messages: mostly another call about the same */
};
/* Compare; says what differs. */
bool calls_check(struct calls_run *r, const char *name, CK_RV got, const struct calls_want *w);
void calls_differ(struct calls_run *r, const char *name, const char *what);
/* A handle, mostly of an open session (*ret its index), or one that is none (CALLS_SESSIONS). */
CK_SESSION_HANDLE calls_session_handle(struct calls_run *r, unsigned *ret, struct calls_want *w);
/* Mostly one of these types. */
CK_OBJECT_HANDLE
calls_key_handle(struct calls_run *r, unsigned session, unsigned types, unsigned *ret);
bool calls_play(struct calls_run *r);

/* ---- operations (calls_ops.c, calls_message.c, calls_dual.c) --------------------------------- */

/* Where one call's input and output live: exact allocations, so that a sanitizer sees the edge. */
struct calls_step {
	struct calls_run *r;
	enum calls_kind kind;
	struct calls_op *op;
	CK_SESSION_HANDLE s;
	unsigned session; /* its index; CALLS_SESSIONS: none */
	struct calls_want w;
	uint8_t *in, *out;
	size_t in_n, need, cap;
	CK_ULONG out_n;
	bool query, no_len, is_short;
	uint8_t expect[CALLS_TEXT_MAX + 64];
};
void calls_step_start(struct calls_step *t, struct calls_run *r, enum calls_kind kind, bool has_in);
void calls_step_done(struct calls_step *t);
/* Room for need octets: nothing, too little, just enough, or more. */
void calls_choose_room(struct calls_step *t);
/* A signature: the right one of expect, a changed one, or one of another length. */
void calls_choose_signature(struct calls_step *t, size_t right, bool good);
/* Has the lease of the key ended under the operation? */
bool calls_stopped(const struct calls_run *r, const struct calls_op *op);
/* Compare what came out, and what is said of its size. */
void calls_compare(struct calls_step *t, CK_RV rv, bool query);
/* What comes out by a part, with *next as the operation after it; false: nothing, by *fault. */
bool calls_expect_part(struct calls_step *t, struct calls_op *next, CK_RV *fault);
/* Neither one call nor parts can go on with what the other began. */
void calls_judge_mixed(struct calls_want *w, bool is);

/* Should it mostly be Init now, because nothing of this kind is under way? */
bool calls_first(struct calls_run *r, enum calls_kind kind);
/* The Init of any kind. */
void calls_init(struct calls_run *r, enum calls_kind kind);
/* Everything of the five kinds that version 2.40 has in parts. */
void calls_operate(struct calls_run *r);
void calls_message(struct calls_run *r);
void calls_dual(struct calls_run *r);
void calls_recover(struct calls_run *r);
void calls_state(struct calls_run *r);

/* ---- objects (calls_keys.c, calls_make.c) -----------------------------------------------------
 */

/* Called at the first session of slot 0. */
void calls_learn_token_keys(struct calls_run *r, unsigned session);
void calls_object(struct calls_run *r);
void calls_make(struct calls_run *r);
/* A place for another key; CALLS_KEYS: none. */
unsigned calls_room(const struct calls_model *m);
/* The attributes of a template of three at most in a key; the array lives as long as the key. */
CK_ULONG calls_inner_put(const struct calls_inner *inner, CK_ATTRIBUTE out[2]);
/* Does a key fit the template inside another? */
bool calls_inner_fits(const struct calls_inner *inner, const struct calls_key *k);
CK_KEY_TYPE calls_key_type(const struct calls_key *k);

#endif
