/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages (PKCS#11 3.0 sections 5.9, 5.11, 5.14, 5.16): between Init and Final any number of them,
 * whole or in parts. A mistake with one ends that one at most. AES-GCM (mechanisms, 2.11.3): the IV
 * is the caller's or made there, no text comes before its tag was right.
 */
#include "fuzz/calls.h"

#include <string.h>

enum how { WHOLE = 0, BEGIN, NEXT, LAST };

struct message {
	struct calls_step t;
	enum how how;
	CK_GCM_MESSAGE_PARAMS p;
	void *param; /* NULL, or &p */
	CK_ULONG param_n, aad_n;
	const uint8_t *aad;
	uint8_t iv[16], before[16], tag[16], right[16];
	bool bad_tag, bad_generator;
};

static const uint8_t some_aad[] = "associated";

static bool
encrypts(const struct message *m)
{
	return m->t.kind == CALLS_MSG_ENCRYPT;
}

/* Which calls the phase allows; a call at the wrong time changes nothing. True: this one. */
static bool
judge_phase(struct calls_step *t, enum how how)
{
	const enum calls_phase p = t->op->phase;
	const bool first = how == WHOLE || how == BEGIN;
	if (t->session == CALLS_SESSIONS)
		return false;
	calls_fault(&t->w, p == CALLS_IDLE, CKR_OPERATION_NOT_INITIALIZED);
	calls_fault(&t->w, p == CALLS_READY && !first, CKR_OPERATION_NOT_INITIALIZED);
	calls_fault(&t->w, p == CALLS_MULTI && first, CKR_OPERATION_ACTIVE);
	calls_fault(&t->w, p != CALLS_IDLE && calls_stopped(t->r, t->op), CKR_DEVICE_ERROR);
	return p == (first ? CALLS_READY : CALLS_MULTI);
}

/* What is left after an answer. */
static void
settle(struct calls_step *t, enum how how, bool live, CK_RV rv, bool asked)
{
	const bool wrong = rv != CKR_OK && rv != CKR_BUFFER_TOO_SMALL;
	if (rv == CKR_DEVICE_ERROR || (live && wrong && calls_broken == CALLS_BREAK_MESSAGE_ENDS)) {
		t->op->phase = CALLS_IDLE;
	} else if (live && how == BEGIN && rv == CKR_OK) {
		t->op->phase = CALLS_MULTI;
		t->op->in_n = 0;
	} else if (live && (how == NEXT || how == LAST) && wrong) {
		if (calls_broken != CALLS_BREAK_PART_KEEPS)
			t->op->phase = CALLS_READY;
	} else if (live && how == LAST && rv == CKR_OK && !asked) {
		t->op->phase = CALLS_READY;
	}
}

/* ---- AES-GCM --------------------------------------------------------------------------------- */

static void
spoil_params(struct message *m)
{
	struct calls_want *w = &m->t.w;
	const bool made = encrypts(m) && (m->how == WHOLE || m->how == BEGIN);
	const bool has_aad = m->how == WHOLE || m->how == BEGIN;
	bool wrong = true;
	switch (calls_draw(&m->t.r->in, 20)) {
	case 0: m->param = NULL; break;
	case 1: m->param_n--; break;
	case 2: m->p.pIv = NULL; break;
	case 3: m->p.ulIvLen = 0; break;
	case 4: m->p.ulTagBits = 127; break;
	case 5: m->p.ulTagBits = 136; break;
	case 6:
		m->p.pTag = NULL;
		wrong = m->how == WHOLE || m->how == LAST;
		break;
	case 7:
		m->p.ulIvFixedBits = 8 * m->p.ulIvLen + 1;
		wrong = encrypts(m); /* ignored otherwise */
		break;
	case 8:
		m->p.ivGenerator = 99;
		wrong = m->bad_generator = made;
		break;
	case 9:
		m->p.ulTagBits = m->p.ulTagBits == 128 ? 96 : 128;
		wrong = m->how == NEXT || m->how == LAST;
		break;
	case 10:
		m->aad = NULL;
		m->aad_n = sizeof some_aad;
		calls_fault(w, has_aad, CKR_ARGUMENTS_BAD);
		wrong = false;
		break;
	default: wrong = false; break;
	}
	calls_fault(w, wrong, CKR_MECHANISM_PARAM_INVALID);
}

static void
choose_params(struct message *m)
{
	static const CK_ULONG generators[] = {CKG_GENERATE_COUNTER, CKG_NO_GENERATE,
		CKG_GENERATE_COUNTER, CKG_GENERATE, CKG_GENERATE_COUNTER, CKG_GENERATE_RANDOM,
		CKG_GENERATE_COUNTER, CKG_GENERATE_COUNTER};
	struct calls_input *in = &m->t.r->in;
	const bool begun = m->how == NEXT || m->how == LAST;
	const unsigned bits = calls_draw(in, 256);
	for (size_t i = 0; i < sizeof m->iv; i++)
		m->iv[i] = m->before[i] = (uint8_t)(bits + i);
	m->aad_n = bits & 1 ? sizeof some_aad : 0;
	m->aad = m->aad_n != 0 ? some_aad : NULL;
	m->p = (CK_GCM_MESSAGE_PARAMS){m->iv, bits & 2 ? 12 : 16, bits & 4 ? 32 : 0,
		generators[calls_draw(in, 8)], m->tag, bits & 8 ? 128 : 96};
	if (begun)
		m->p.ulTagBits = m->t.op->tag_n * 8;
	m->param = &m->p;
	m->param_n = sizeof m->p;
	spoil_params(m);
}

static CK_RV
call_gcm(struct message *m)
{
	struct calls_step *t = &m->t;
	CK_FUNCTION_LIST_3_0 *f = t->r->f;
	CK_BYTE *aad = (CK_BYTE *)(uintptr_t)m->aad;
	CK_BYTE *out = t->query ? NULL : t->out;
	CK_ULONG *n = t->no_len ? NULL : &t->out_n;
	const CK_FLAGS end = m->how == LAST ? CKF_END_OF_MESSAGE : 0;
	if (m->how == WHOLE)
		return (encrypts(m) ? f->C_EncryptMessage : f->C_DecryptMessage)(
			t->s, m->param, m->param_n, aad, m->aad_n, t->in, t->in_n, out, n);
	if (m->how == BEGIN)
		return (encrypts(m) ? f->C_EncryptMessageBegin : f->C_DecryptMessageBegin)(
			t->s, m->param, m->param_n, aad, m->aad_n);
	return (encrypts(m) ? f->C_EncryptMessageNext : f->C_DecryptMessageNext)(
		t->s, m->param, m->param_n, t->in, t->in_n, out, n, end);
}

/* The IV that was made: its fixed part as it was, a counter one more than the last. */
static void
check_iv(struct message *m)
{
	const size_t n = m->p.ulIvLen, fixed = m->p.ulIvFixedBits / 8;
	struct calls_op *op = m->t.op;
	const size_t keep = m->p.ivGenerator == CKG_NO_GENERATE ? n : fixed;
	if (memcmp(m->iv, m->before, keep) != 0 || memcmp(m->iv + n, m->before + n, 16 - n) != 0)
		calls_differ(m->t.r, "IV", "was changed where it is not generated");
	if (m->p.ivGenerator != CKG_GENERATE_COUNTER)
		return;
	uint32_t count = 0;
	for (size_t i = n - 4; i < n; i++)
		count = count << 8 | m->iv[i];
	const uint32_t step = calls_broken == CALLS_BREAK_COUNT ? 0 : 1;
	if (op->counted && count != op->count + step)
		calls_differ(m->t.r, "IV", "is not the next one counted");
	op->counted = true;
	op->count = count;
}

/* What the text so far and this part give: whole text, and tag. */
static void
whole_text(struct message *m, struct calls_op *next, uint8_t *out)
{
	struct calls_step *t = &m->t;
	if (m->how == WHOLE) {
		next->in_n = 0;
		next->iv_n = m->p.ulIvLen;
		next->aad_n = m->aad_n;
		memcpy(next->iv, m->iv, sizeof next->iv);
	}
	if (t->in != NULL)
		memcpy(next->in + next->in_n, t->in, t->in_n);
	next->in_n += t->in_n;
	calls_gcm(next, some_aad, encrypts(m), out, m->right);
}

/* A tag that is right, or not, for what is deciphered. */
static void
give_tag(struct message *m, const struct calls_op *op)
{
	struct calls_op next = *op;
	uint8_t text[CALLS_TEXT_MAX + 64];
	whole_text(m, &next, text);
	memcpy(m->tag, m->right, sizeof m->tag);
	m->bad_tag = calls_draw(&m->t.r->in, 4) == 0;
	m->tag[3] ^= m->bad_tag;
}

static void
judge_gcm(struct message *m, bool live)
{
	struct calls_step *t = &m->t;
	const bool last = m->how == WHOLE || m->how == LAST;
	const bool end = calls_stopped(t->r, t->op);
	const size_t held = m->how == LAST ? t->op->in_n : 0;
	if (m->how == BEGIN)
		return;
	t->need = encrypts(m) ? t->in_n : last ? held + t->in_n : 0;
	calls_choose_room(t);
	/* An IV is made, and a lease needed, when something is enciphered, not when a size is said.
	 */
	const bool later = (end || m->bad_generator) && t->w.n == (unsigned)end + m->bad_generator;
	if (t->query || !live) {
		calls_fault(&t->w, live && later, CKR_OK);
		return;
	}
	calls_fault(&t->w, later && t->is_short, CKR_BUFFER_TOO_SMALL);
	if (!encrypts(m) && last && t->w.n == 0) {
		give_tag(m, t->op);
		if (m->bad_tag && t->is_short)
			calls_fault(&t->w, true, CKR_BUFFER_TOO_SMALL);
		calls_fault(&t->w, m->bad_tag && calls_broken != CALLS_BREAK_TAG,
			CKR_AEAD_DECRYPT_FAILED);
	}
	if (t->w.n == 0)
		calls_fault(&t->w, t->is_short, CKR_BUFFER_TOO_SMALL);
}

/* After success: is it what plain OpenSSL gives? */
static void
compare_gcm(struct message *m)
{
	struct calls_step *t = &m->t;
	struct calls_op next = *t->op;
	uint8_t text[CALLS_TEXT_MAX + 64];
	const size_t before = m->how == WHOLE ? 0 : next.in_n;
	const bool last = m->how == WHOLE || m->how == LAST;
	whole_text(m, &next, text);
	memcpy(t->expect, text + (encrypts(m) ? before : 0), t->need);
	calls_compare(t, CKR_OK, false);
	if (encrypts(m) && last && memcmp(m->tag, m->right, m->p.ulTagBits / 8) != 0)
		calls_differ(t->r, "tag", "is not what plain OpenSSL gives");
	if (m->how == NEXT)
		*t->op = next;
}

static void
do_gcm(struct calls_run *r, enum calls_kind kind, enum how how)
{
	static const char *const names[] = {
		"message", "message Begin", "message Next", "last Next"};
	struct message m = {.how = how};
	struct calls_step *t = &m.t;
	calls_step_start(t, r, kind, how != BEGIN);
	choose_params(&m);
	const bool live = judge_phase(t, how);
	if (t->op->in_n + t->in_n <= CALLS_TEXT_MAX) {
		judge_gcm(&m, live);
		const CK_RV rv = call_gcm(&m);
		const bool asked = how != BEGIN && t->query && rv == CKR_OK;
		if (calls_check(r, names[how], rv, &t->w)) {
			const bool made = rv == CKR_OK && !asked && (how == WHOLE || how == BEGIN);
			if (made && encrypts(&m))
				check_iv(&m);
			if (how != BEGIN && (asked || rv == CKR_BUFFER_TOO_SMALL))
				calls_compare(t, rv, asked);
			else if (how != BEGIN && rv == CKR_OK)
				compare_gcm(&m);
			if (made && how == BEGIN) {
				memcpy(t->op->iv, m.iv, sizeof m.iv);
				t->op->iv_n = m.p.ulIvLen;
				t->op->tag_n = m.p.ulTagBits / 8;
				t->op->aad_n = m.aad_n;
			}
			settle(t, how, live, rv, asked);
		}
	}
	calls_step_done(t);
}

/* ---- MACs ------------------------------------------------------------------------------------ */

static CK_RV
call_mac(struct calls_step *t, enum how how, CK_ULONG param_n, bool no_sig)
{
	CK_FUNCTION_LIST_3_0 *f = t->r->f;
	CK_BYTE *out = t->query ? NULL : t->out;
	if (t->kind == CALLS_MSG_SIGN) {
		if (how == BEGIN)
			return f->C_SignMessageBegin(t->s, NULL, param_n);
		if (how == WHOLE)
			return f->C_SignMessage(t->s, NULL, param_n, t->in, t->in_n, out,
				t->no_len ? NULL : &t->out_n);
		return f->C_SignMessageNext(
			t->s, NULL, param_n, t->in, t->in_n, out, how == NEXT ? NULL : &t->out_n);
	}
	if (how == BEGIN)
		return f->C_VerifyMessageBegin(t->s, NULL, param_n);
	return (how == WHOLE ? f->C_VerifyMessage : f->C_VerifyMessageNext)(
		t->s, NULL, param_n, t->in, t->in_n, no_sig ? NULL : t->out, no_sig ? 0 : t->cap);
}

/* The signature of the whole text, given or wanted. */
static void
judge_mac(struct calls_step *t, enum how *how, bool live, bool *no_sig)
{
	struct calls_op next = *t->op;
	CK_RV fault = CKR_OK;
	if (*how == BEGIN || *how == NEXT) {
		*no_sig = true;
		return;
	}
	if (*how == WHOLE)
		next.in_n = 0;
	if (t->in != NULL)
		memcpy(next.in + next.in_n, t->in, t->in_n);
	next.in_n += t->in_n;
	if (live)
		(void)calls_result(t->kind, &next, t->expect, &t->need, &fault);
	t->need = 32;
	if (t->kind == CALLS_MSG_VERIFY) {
		*no_sig = *how == WHOLE && calls_draw(&t->r->in, 16) == 0;
		calls_choose_signature(t, 32, live && t->w.n == 0 && !*no_sig);
		calls_fault(&t->w, *no_sig, CKR_ARGUMENTS_BAD);
		return;
	}
	calls_choose_room(t);
	if (*how == LAST && t->no_len) { /* which says that more is to come */
		t->w.n--;
		*how = NEXT;
	}
	if (t->w.n == 0 && !t->query && *how != NEXT)
		calls_fault(&t->w, t->is_short, CKR_BUFFER_TOO_SMALL);
}

static void
do_mac(struct calls_run *r, enum calls_kind kind, enum how how)
{
	static const char *const names[] = {"MAC", "MAC Begin", "MAC Next", "last MAC Next"};
	struct calls_step t;
	bool no_sig = false;
	calls_step_start(&t, r, kind, how != BEGIN);
	const CK_ULONG param_n = calls_draw(&r->in, 24) == 0 ? 4 : 0;
	calls_fault(&t.w, param_n != 0, CKR_MECHANISM_PARAM_INVALID);
	const bool live = judge_phase(&t, how);
	if (t.op->in_n + t.in_n <= CALLS_TEXT_MAX) {
		judge_mac(&t, &how, live, &no_sig);
		const bool gives = kind == CALLS_MSG_SIGN && (how == WHOLE || how == LAST);
		const CK_RV rv = call_mac(&t, how, param_n, no_sig);
		const bool asked = gives && t.query && rv == CKR_OK;
		if (calls_check(r, names[how], rv, &t.w)) {
			if (gives && (rv == CKR_OK || rv == CKR_BUFFER_TOO_SMALL))
				calls_compare(&t, rv, asked);
			if (live && how == NEXT && rv == CKR_OK) {
				if (t.in_n != 0)
					memcpy(t.op->in + t.op->in_n, t.in, t.in_n);
				t.op->in_n += t.in_n;
			}
			settle(&t, how, live, rv, asked);
		}
	}
	calls_step_done(&t);
}

/* ---- the end --------------------------------------------------------------------------------- */

static void
do_final(struct calls_run *r, enum calls_kind kind)
{
	struct calls_step t;
	calls_step_start(&t, r, kind, false);
	const enum calls_phase p = t.op->phase;
	const bool end = p != CALLS_IDLE && calls_stopped(r, t.op);
	calls_fault(
		&t.w, t.session < CALLS_SESSIONS && p == CALLS_IDLE, CKR_OPERATION_NOT_INITIALIZED);
	calls_fault(&t.w, p == CALLS_MULTI, CKR_OPERATION_ACTIVE);
	calls_fault(&t.w, end, CKR_DEVICE_ERROR);
	calls_fault(&t.w, end && p == CALLS_READY, CKR_OK);
	CK_RV(*const finals[])
	(CK_SESSION_HANDLE) = {r->f->C_MessageEncryptFinal, r->f->C_MessageDecryptFinal,
		r->f->C_MessageSignFinal, r->f->C_MessageVerifyFinal};
	const CK_RV rv = finals[kind - CALLS_MSG_ENCRYPT](t.s);
	if (calls_check(r, "message Final", rv, &t.w) && (rv == CKR_OK || rv == CKR_DEVICE_ERROR))
		t.op->phase = CALLS_IDLE;
	calls_step_done(&t);
}

void
calls_message(struct calls_run *r)
{
	static const enum how hows[] = {WHOLE, WHOLE, BEGIN, BEGIN, NEXT, NEXT, NEXT, LAST};
	const unsigned other = calls_draw(&r->in, 8);
	if (other < 4)
		r->last_kind = other;
	const enum calls_kind kind = (enum calls_kind)(CALLS_MSG_ENCRYPT + r->last_kind);
	const unsigned what = calls_draw(&r->in, 12);
	if (what == 0 || calls_first(r, kind))
		calls_init(r, kind);
	else if (what == 1)
		do_final(r, kind);
	else if (kind == CALLS_MSG_ENCRYPT || kind == CALLS_MSG_DECRYPT)
		do_gcm(r, kind, hows[what % 8]);
	else
		do_mac(r, kind, hows[what % 8]);
}
