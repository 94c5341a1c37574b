/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two operations in one call (PKCS#11 3.0 section 5.17), keys into digests (5.12), recovery (5.13,
 * 5.15), and what an operation's state is (5.6).
 */
#include "fuzz/calls.h"

#include <stdlib.h>
#include <string.h>

/* ---- two in one ------------------------------------------------------------------------------ */

static const struct pair {
	enum calls_kind cipher, other;
} pairs[] = {{CALLS_ENCRYPT, CALLS_DIGEST}, {CALLS_ENCRYPT, CALLS_SIGN},
	{CALLS_DECRYPT, CALLS_DIGEST}, {CALLS_DECRYPT, CALLS_VERIFY}};

static CK_RV
call_pair(struct calls_step *t, unsigned which)
{
	CK_FUNCTION_LIST_3_0 *f = t->r->f;
	CK_BYTE *out = t->query ? NULL : t->out;
	CK_ULONG *n = t->no_len ? NULL : &t->out_n;
	switch (which) {
	case 0: return f->C_DigestEncryptUpdate(t->s, t->in, t->in_n, out, n);
	case 1: return f->C_SignEncryptUpdate(t->s, t->in, t->in_n, out, n);
	case 2: return f->C_DecryptDigestUpdate(t->s, t->in, t->in_n, out, n);
	default: return f->C_DecryptVerifyUpdate(t->s, t->in, t->in_n, out, n);
	}
}

/* Both must be under way and in parts, or about to be. */
static bool
judge_pair(struct calls_step *t, const struct calls_op *other)
{
	const bool all = t->op->phase != CALLS_IDLE && other->phase != CALLS_IDLE;
	const bool one = t->op->phase != CALLS_IDLE && calls_broken == CALLS_BREAK_DUAL_ONE;
	calls_fault(
		&t->w, t->session < CALLS_SESSIONS && !all && !one, CKR_OPERATION_NOT_INITIALIZED);
	if (!all)
		return false;
	calls_judge_mixed(&t->w, t->op->phase == CALLS_SINGLE);
	calls_judge_mixed(&t->w, other->phase == CALLS_SINGLE);
	calls_fault(&t->w, calls_stopped(t->r, t->op), CKR_DEVICE_ERROR);
	return true;
}

/* The other one gets the text, whichever side of the cipher that is. */
static void
feed(struct calls_op *other, const uint8_t *p, size_t n)
{
	if (n != 0)
		memcpy(other->in + other->in_n, p, n);
	other->in_n += n;
	other->phase = CALLS_MULTI;
}

static void
settle_pair(struct calls_step *t, struct calls_op *other, CK_RV rv, const struct calls_op *next)
{
	const bool encrypt = t->kind == CALLS_ENCRYPT;
	const uint8_t *text = encrypt ? t->in : t->out;
	const size_t n = encrypt ? t->in_n : t->need;
	const bool asked = t->query && rv == CKR_OK;
	if (rv == CKR_OK || rv == CKR_BUFFER_TOO_SMALL)
		calls_compare(t, rv, asked);
	if (asked || rv == CKR_BUFFER_TOO_SMALL) {
		/* "No plaintext is passed to the active operation." */
		if (calls_broken == CALLS_BREAK_DUAL_FEEDS && encrypt && t->in != NULL)
			feed(other, t->in, t->in_n);
		return;
	}
	if (rv != CKR_OK) {
		calls_end(t->op, rv);
		calls_end(other, rv);
		return;
	}
	feed(other, text, n);
	*t->op = *next;
	t->op->phase = CALLS_MULTI;
}

void
calls_dual(struct calls_run *r)
{
	static struct calls_op none;
	const unsigned which = calls_draw(&r->in, sizeof pairs / sizeof pairs[0]);
	struct calls_step t;
	CK_RV fault = CKR_GENERAL_ERROR;
	none = (struct calls_op){0};
	calls_step_start(&t, r, pairs[which].cipher, true);
	struct calls_op *other =
		t.session < CALLS_SESSIONS ? &r->m.s[t.session].op[pairs[which].other] : &none;
	struct calls_op next = *t.op;
	if (next.in_n + t.in_n <= CALLS_TEXT_MAX && other->in_n + t.in_n + 16 <= CALLS_TEXT_MAX) {
		(void)calls_expect_part(&t, &next, &fault);
		const bool live = judge_pair(&t, other);
		const unsigned before = t.w.n;
		calls_choose_room(&t);
		/* Asking for the size, nobody need look at the second, nor at the lease. */
		if (live && t.query && t.in != NULL && !t.no_len && before != 0)
			calls_fault(&t.w, t.op->phase != CALLS_SINGLE, CKR_OK);
		if (live && t.is_short && !t.query && t.op->phase != CALLS_SINGLE && t.in != NULL &&
			!t.no_len)
			calls_fault(&t.w, true, CKR_BUFFER_TOO_SMALL);
		const CK_RV rv = call_pair(&t, which);
		if (calls_check(r, "two in one", rv, &t.w) && live)
			settle_pair(&t, other, rv, &next);
	}
	calls_step_done(&t);
}

/* ---- a key into a digest --------------------------------------------------------------------- */

static void
do_digest_key(struct calls_run *r)
{
	struct calls_want w = {.n = 0};
	unsigned at = CALLS_SESSIONS, key = CALLS_KEYS;
	const CK_SESSION_HANDLE s = calls_session_handle(r, &at, &w);
	const CK_OBJECT_HANDLE h = calls_key_handle(r, at, CALLS_T_SECRET, &key);
	struct calls_op *op = at < CALLS_SESSIONS ? &r->m.s[at].op[CALLS_DIGEST] : NULL;
	const struct calls_key *k = key < CALLS_KEYS ? &r->m.key[key] : NULL;
	if (op != NULL && op->in_n + sizeof k->value > CALLS_TEXT_MAX)
		return;
	const bool secret = k != NULL && (k->type == CALLS_AES || k->type == CALLS_GENERIC);
	const bool readable = secret && !k->token && !k->sensitive && k->extractable;
	if (op != NULL) {
		calls_fault(&w, op->phase == CALLS_IDLE, CKR_OPERATION_NOT_INITIALIZED);
		calls_fault(&w, k == NULL || k->type == CALLS_DATA, CKR_KEY_HANDLE_INVALID);
		calls_fault(
			&w, k != NULL && k->type != CALLS_DATA && !readable, CKR_KEY_INDIGESTIBLE);
		calls_judge_mixed(&w, op->phase == CALLS_SINGLE);
	}
	const CK_RV rv = r->f->C_DigestKey(s, h);
	if (!calls_check(r, "C_DigestKey", rv, &w) || op == NULL)
		return;
	if (rv == CKR_OK) {
		feed(op, k->value, k->n);
	} else if (op->phase == CALLS_SINGLE &&
		(rv == CKR_OPERATION_ACTIVE || rv == CKR_OPERATION_NOT_INITIALIZED)) {
		calls_end(op, rv);
	}
}

/* ---- recovery -------------------------------------------------------------------------------- */

/* What is signed, and its signatures, made once. */
static const size_t lengths[] = {0, 1, 20, 64, 245, 246};
enum { N_LENGTHS = sizeof lengths / sizeof lengths[0], MOST = 245 };
static uint8_t texts[256];

static const uint8_t *
signature_of(size_t which)
{
	static uint8_t made[N_LENGTHS][CALLS_RSA_BYTES];
	static bool there[N_LENGTHS];
	if (!there[which])
		calls_rsa_sign(texts, lengths[which], made[which]);
	there[which] = true;
	return made[which];
}

/* PKCS#1 type 1 takes up to 245 octets; signing is deterministic. */
static void
prepare_sign(struct calls_step *t, size_t which)
{
	const bool good = lengths[which] <= MOST;
	t->in_n = lengths[which];
	memcpy(t->in, texts, t->in_n);
	t->need = CALLS_RSA_BYTES;
	if (good)
		memcpy(t->expect, signature_of(which), CALLS_RSA_BYTES);
	calls_choose_room(t);
	if (t->op->phase == CALLS_IDLE || t->query)
		return;
	calls_fault(&t->w, !good, CKR_DATA_LEN_RANGE);
	calls_fault(&t->w, t->is_short && (t->w.n == 0 || !good), CKR_BUFFER_TOO_SMALL);
}

/* A wrong signature is said before a short buffer is (5.15, C_VerifyRecover). */
static void
prepare_verify(struct calls_step *t, size_t which)
{
	const unsigned how = calls_draw(&t->r->in, 4);
	which = lengths[which] > MOST ? 0 : which;
	t->in_n = how == 0 ? 255 : CALLS_RSA_BYTES;
	memcpy(t->in, signature_of(which), t->in_n);
	t->in[9] ^= how == 1;
	t->need = lengths[which];
	memcpy(t->expect, texts, t->need);
	calls_choose_room(t);
	if (t->op->phase == CALLS_IDLE || t->query)
		return;
	if (calls_broken != CALLS_BREAK_RECOVER) {
		calls_fault(&t->w, how == 0, CKR_SIGNATURE_LEN_RANGE);
		calls_fault(&t->w, how == 1, CKR_SIGNATURE_INVALID);
	}
	if (t->w.n == 0)
		calls_fault(&t->w, t->is_short, CKR_BUFFER_TOO_SMALL);
}

static void
do_recover(struct calls_run *r, enum calls_kind kind)
{
	struct calls_step t;
	calls_step_start(&t, r, kind, false);
	free(t.in);
	t.in = malloc(CALLS_RSA_BYTES);
	if (t.in == NULL)
		abort();
	const size_t which = calls_draw(&r->in, N_LENGTHS);
	const bool live = t.op->phase != CALLS_IDLE, end = live && calls_stopped(r, t.op);
	calls_fault(&t.w, t.session < CALLS_SESSIONS && !live, CKR_OPERATION_NOT_INITIALIZED);
	calls_fault(&t.w, end, CKR_DEVICE_ERROR);
	if (kind == CALLS_SIGN_RECOVER)
		prepare_sign(&t, which);
	else
		prepare_verify(&t, which);
	calls_fault(&t.w, end && t.query && !t.no_len, CKR_OK);
	calls_fault(&t.w, end && t.is_short, CKR_BUFFER_TOO_SMALL);
	CK_BYTE *out = t.query ? NULL : t.out;
	CK_ULONG *n = t.no_len ? NULL : &t.out_n;
	const CK_RV rv = kind == CALLS_SIGN_RECOVER
		? r->f->C_SignRecover(t.s, t.in, t.in_n, out, n)
		: r->f->C_VerifyRecover(t.s, t.in, t.in_n, out, n);
	if (calls_check(r, "recovery", rv, &t.w) && live) {
		const bool asked = t.query && rv == CKR_OK;
		if (asked && t.out_n != CALLS_RSA_BYTES)
			calls_differ(r, "recovery", "asks for another room than the modulus");
		if (!asked && (rv == CKR_OK || rv == CKR_BUFFER_TOO_SMALL))
			calls_compare(&t, rv, false);
		if (asked || rv == CKR_BUFFER_TOO_SMALL)
			t.op->phase = CALLS_SINGLE;
		if (!asked)
			calls_end(t.op, rv);
	}
	calls_step_done(&t);
}

void
calls_recover(struct calls_run *r)
{
	const unsigned what = calls_draw(&r->in, 8);
	for (size_t i = 0; i < sizeof texts; i++)
		texts[i] = (uint8_t)(i + 1);
	const enum calls_kind kind = what < 2 ? CALLS_SIGN_RECOVER : CALLS_VERIFY_RECOVER;
	if (what > 5)
		do_digest_key(r);
	else if (calls_first(r, kind))
		calls_init(r, kind);
	else
		do_recover(r, kind);
}

/* ---- state ----------------------------------------------------------------------------------- */

/*
 * 5.6, C_GetOperationState: encryption, decryption, digesting, signing and verification without
 * recovery could be saved, and nothing else; what this token has cannot leave it. Its own state is
 * no state that C_SetOperationState knows.
 */
void
calls_state(struct calls_run *r)
{
	struct calls_want w = {.n = 0};
	unsigned at = CALLS_SESSIONS;
	const CK_SESSION_HANDLE s = calls_session_handle(r, &at, &w);
	const unsigned how = calls_draw(&r->in, 8);
	CK_ULONG n = sizeof w;
	CK_BYTE state[16] = {1};
	bool savable = false;
	if (how < 2) {
		calls_fault(&w, how == 0, CKR_ARGUMENTS_BAD);
		calls_fault(&w, at < CALLS_SESSIONS && how != 0, CKR_SAVED_STATE_INVALID);
		calls_check(r, "C_SetOperationState",
			r->f->C_SetOperationState(s, how == 0 ? NULL : state, sizeof state, 0, 0),
			&w);
		return;
	}
	for (unsigned k = CALLS_ENCRYPT; at < CALLS_SESSIONS && k <= CALLS_DIGEST; k++)
		savable = savable || r->m.s[at].op[k].phase != CALLS_IDLE;
	calls_fault(&w, how == 2, CKR_ARGUMENTS_BAD);
	if (at < CALLS_SESSIONS)
		calls_fault(&w, savable ? calls_broken != CALLS_BREAK_STATE : true,
			savable ? CKR_STATE_UNSAVEABLE : CKR_OPERATION_NOT_INITIALIZED);
	calls_check(r, "C_GetOperationState",
		r->f->C_GetOperationState(s, how & 1 ? state : NULL, how == 2 ? NULL : &n), &w);
}
