/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The gate of one token as a pure table: state and event give the next state and what is to be
 * done. Nothing here acts, waits or knows the time; core/keeper.c feeds events and carries out
 * actions in the order of their bits.
 */
#ifndef VS_GATE_GATE_H
#define VS_GATE_GATE_H

#include <stdint.h>

#include "vouchsafe/err.h"

enum vs_gate_state {
	VS_GATE_LOCKED = 0,
	VS_GATE_ATTESTING,
	VS_GATE_UNLOCKED,
	VS_GATE_RENEWING,
	VS_GATE_EXPIRED,
	VS_GATE_DENIED,
	VS_GATE_STATE_COUNT_,
};

enum vs_gate_event {
	VS_GATE_NEED = 0, /* somebody asks for the keys */
	VS_GATE_NEED_HELD, /* the same while a back-off or a refusal's hold runs */
	VS_GATE_GRANTED, /* the attempt in flight: accepted */
	VS_GATE_REFUSED, /* ... a check said no */
	VS_GATE_UNREACHABLE, /* ... no answer could be had, or its deadline passed */
	VS_GATE_HALF, /* time to renew, and somebody uses the keys */
	VS_GATE_END, /* valid-until has come */
	VS_GATE_RESET, /* settings or the TPM changed, or the agent ends */
	VS_GATE_EVENT_COUNT_,
};

enum vs_gate_action {
	VS_GATE_CANCEL = 1 << 0, /* forget the attempt in flight */
	VS_GATE_REVOKE = 1 << 1, /* page revoked with its reason */
	VS_GATE_FADE = 1 << 2, /* page left to its grace */
	VS_GATE_WIPE = 1 << 3, /* keyring and attestation */
	VS_GATE_NEW_LEASE = 1 << 4, /* page and lease from the attempt */
	VS_GATE_EXTEND = 1 << 5, /* valid-until moves, keys are those released again */
	VS_GATE_HOLD = 1 << 6, /* the verdict stands for a while */
	VS_GATE_BACKOFF = 1 << 7, /* the error stands for a while */
	VS_GATE_ANSWER_GRANT = 1 << 8, /* all waiters */
	VS_GATE_ANSWER_ERROR = 1 << 9, /* all waiters */
	VS_GATE_START = 1 << 10, /* an attempt, unless one is in flight */
	VS_GATE_JOIN = 1 << 11, /* the asker waits */
	VS_GATE_GRANT = 1 << 12, /* the asker gets the page */
	VS_GATE_STORED = 1 << 13, /* the asker gets the last error */
	VS_GATE_REPORT = 1 << 14, /* impossible: deny and report a bug */
};

struct vs_gate_step {
	enum vs_gate_state next;
	uint32_t actions;
};

/* Numbers out of range give a step to LOCKED that revokes, wipes and reports. */
struct vs_gate_step vs_gate_step(enum vs_gate_state state, enum vs_gate_event event);
/* Whether a key may be handed out in this state. */
bool vs_gate_open(enum vs_gate_state state);
const char *vs_gate_state_name(enum vs_gate_state state);

/* How an attempt that ended with this code counts: GRANTED, REFUSED or UNREACHABLE. */
enum vs_gate_event vs_gate_event_of(enum vs_code code);

#endif
