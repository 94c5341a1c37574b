/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sequences of PKCS#11 calls against a model. The model knows no code of the module: it follows
 * the standard, computes results with plain OpenSSL, and says beforehand which codes a call may
 * give. Where a call has several faults the standard leaves open which one is named.
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
	CALLS_KEYS = 12,
	CALLS_TEXT_MAX = 2048, /* of one operation */
};

enum calls_kind {
	CALLS_ENCRYPT = 0,
	CALLS_DECRYPT,
	CALLS_SIGN,
	CALLS_VERIFY,
	CALLS_DIGEST,
	CALLS_KINDS
};

/* SINGLE: one call was asked for its size, so parts are shut out. */
enum calls_phase { CALLS_IDLE = 0, CALLS_READY, CALLS_SINGLE, CALLS_MULTI };

struct calls_key {
	bool alive, token, aes, private;
	bool may[CALLS_KINDS];
	unsigned slot, owner; /* index of the session that made it */
	CK_OBJECT_HANDLE handle;
	size_t n;
	uint8_t value[32];
};

struct calls_op {
	enum calls_phase phase;
	CK_MECHANISM_TYPE mech;
	struct calls_key key; /* as it was: an operation goes on with what it began with */
	unsigned lease_no; /* under which it began */
	uint8_t iv[16];
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
	bool lease, page_is_ours; /* of slot 0's token key; fake's page is that lease's */
	struct calls_session s[CALLS_SESSIONS];
	struct calls_key key[CALLS_KEYS];
};

/* Codes a call may give; none means CKR_OK. */
struct calls_want {
	CK_RV rv[10];
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
bool calls_mech_fits(enum calls_kind kind, CK_MECHANISM_TYPE mech, bool aes);
/* The whole result for all the input of op; false: the input is wrong, *fault is why. */
bool calls_result(
	enum calls_kind kind, const struct calls_op *op, uint8_t *out, size_t *n, CK_RV *fault);
/* How much of that is out after the input so far. */
size_t calls_emitted(enum calls_kind kind, const struct calls_op *op);

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
};
/* Compare; says what differs. */
bool calls_check(struct calls_run *r, const char *name, CK_RV got, const struct calls_want *w);
void calls_differ(struct calls_run *r, const char *name, const char *what);
/* A handle, mostly of an open session (*ret its index), or one that is none (CALLS_SESSIONS). */
CK_SESSION_HANDLE calls_session_handle(struct calls_run *r, unsigned *ret, struct calls_want *w);
CK_OBJECT_HANDLE calls_key_handle(struct calls_run *r, unsigned session, unsigned *ret);
void calls_operate(struct calls_run *r); /* calls_ops.c: a call about an operation */
bool calls_play(struct calls_run *r);

#endif
