/* SPDX-License-Identifier: BSD-2-Clause */
/* Calls about operations: Init, one call, parts, and what the model says of them. */
#include "fuzz/calls.h"

#include <stdlib.h>
#include <string.h>

void
calls_step_done(struct calls_step *t)
{
	free(t->in);
	free(t->out);
	t->in = t->out = NULL;
}

void
calls_step_start(struct calls_step *t, struct calls_run *r, enum calls_kind kind, bool has_in)
{
	static const size_t sizes[] = {0, 1, 15, 16, 17, 31, 32, 33, 48, 64, 100};
	static struct calls_op none;
	*t = (struct calls_step){.r = r, .kind = kind};
	t->s = calls_session_handle(r, &t->session, &t->w);
	none = (struct calls_op){0};
	t->op = t->session < CALLS_SESSIONS ? &r->m.s[t->session].op[kind] : &none;
	t->in_n = sizes[calls_draw(&r->in, sizeof sizes / sizeof sizes[0])];
	t->in = malloc(t->in_n + 1);
	if (t->in == NULL)
		abort();
	for (size_t i = 0; i < t->in_n; i++)
		t->in[i] = (uint8_t)calls_draw(&r->in, 256);
	/* Sometimes no input where there is said to be some. */
	if (has_in && t->in_n != 0 && calls_draw(&r->in, 24) == 0) {
		free(t->in);
		t->in = NULL;
	}
	calls_fault(&t->w, t->in == NULL, CKR_ARGUMENTS_BAD);
}

void
calls_choose_room(struct calls_step *t)
{
	const unsigned how = calls_draw(&t->r->in, 8);
	t->query = how == 0;
	t->is_short = how == 1 && t->need != 0;
	t->no_len = how == 2 && calls_draw(&t->r->in, 4) == 0;
	t->cap = t->need + (how == 3 ? 40 : 0);
	if (t->is_short)
		t->cap = calls_draw(&t->r->in, 2) ? t->need - 1 : 0;
	t->out = malloc(t->cap + 1);
	if (t->out == NULL)
		abort();
	memset(t->out, 0xa5, t->cap + 1);
	t->out_n = t->cap;
	calls_fault(&t->w, t->no_len, CKR_ARGUMENTS_BAD);
}

bool
calls_stopped(const struct calls_run *r, const struct calls_op *op)
{
	return op->key.token && op->key.type != CALLS_RSA_PUBLIC &&
		(!r->m.lease || op->lease_no != r->m.lease_no) && calls_broken != CALLS_BREAK_LEASE;
}

static bool
stopped(const struct calls_step *t)
{
	return calls_stopped(t->r, t->op);
}

/* ---- Init ------------------------------------------------------------------------------------ */

static CK_RV
call_init(struct calls_step *t, CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
	CK_FUNCTION_LIST_3_0 *f = t->r->f;
	switch (t->kind) {
	case CALLS_ENCRYPT: return f->C_EncryptInit(t->s, m, key);
	case CALLS_DECRYPT: return f->C_DecryptInit(t->s, m, key);
	case CALLS_SIGN: return f->C_SignInit(t->s, m, key);
	case CALLS_VERIFY: return f->C_VerifyInit(t->s, m, key);
	case CALLS_DIGEST: return f->C_DigestInit(t->s, m);
	case CALLS_SIGN_RECOVER: return f->C_SignRecoverInit(t->s, m, key);
	case CALLS_VERIFY_RECOVER: return f->C_VerifyRecoverInit(t->s, m, key);
	case CALLS_MSG_ENCRYPT: return f->C_MessageEncryptInit(t->s, m, key);
	case CALLS_MSG_DECRYPT: return f->C_MessageDecryptInit(t->s, m, key);
	case CALLS_MSG_SIGN: return f->C_MessageSignInit(t->s, m, key);
	case CALLS_MSG_VERIFY: return f->C_MessageVerifyInit(t->s, m, key);
	case CALLS_KINDS: break;
	}
	return CKR_GENERAL_ERROR;
}

static CK_MECHANISM_TYPE
choose_mechanism(struct calls_step *t)
{
	static const CK_MECHANISM_TYPE any[] = {CKM_SHA256, CKM_SHA256_HMAC, CKM_AES_ECB,
		CKM_AES_CBC, CKM_AES_CBC_PAD, CKM_RSA_PKCS_KEY_PAIR_GEN, 0x80001234UL};
	static const CK_MECHANISM_TYPE aes[] = {CKM_AES_ECB, CKM_AES_CBC, CKM_AES_CBC_PAD};
	if (calls_draw(&t->r->in, 12) == 0)
		return any[calls_draw(&t->r->in, 7)];
	switch (t->kind) {
	case CALLS_DIGEST: return CKM_SHA256;
	case CALLS_SIGN:
	case CALLS_VERIFY:
	case CALLS_MSG_SIGN:
	case CALLS_MSG_VERIFY: return CKM_SHA256_HMAC;
	case CALLS_SIGN_RECOVER:
	case CALLS_VERIFY_RECOVER: return CKM_RSA_PKCS;
	case CALLS_MSG_ENCRYPT:
	case CALLS_MSG_DECRYPT: return CKM_AES_GCM;
	case CALLS_ENCRYPT:
	case CALLS_DECRYPT:
	case CALLS_KINDS: break;
	}
	return aes[calls_draw(&t->r->in, 3)];
}

/* What is wrong with mechanism, parameter and key. */
static void
judge_init(struct calls_step *t, const CK_MECHANISM *m, unsigned key, CK_ULONG iv_n)
{
	const struct calls_model *model = &t->r->m;
	const unsigned types = calls_types(t->kind, m->mechanism);
	const bool iv = m->mechanism == CKM_AES_CBC || m->mechanism == CKM_AES_CBC_PAD;
	calls_fault(&t->w, types == 0, CKR_MECHANISM_INVALID);
	calls_fault(&t->w, iv && iv_n != 16, CKR_MECHANISM_PARAM_INVALID);
	if (t->kind == CALLS_DIGEST)
		return;
	calls_fault(&t->w, key == CALLS_KEYS, CKR_KEY_HANDLE_INVALID);
	if (key == CALLS_KEYS || types == 0)
		return;
	const struct calls_key *k = &model->key[key];
	calls_judge_key(&t->w, k, types, calls_use_for(t->kind), CKR_KEY_HANDLE_INVALID,
		CKR_KEY_TYPE_INCONSISTENT);
	if (t->w.n == 0)
		calls_fault(&t->w,
			k->token && k->type != CALLS_RSA_PUBLIC && !model->lease && model->refuses,
			CKR_FUNCTION_REJECTED);
}

static void
do_init(struct calls_run *r, enum calls_kind kind)
{
	struct calls_step t;
	unsigned key = CALLS_KEYS;
	calls_step_start(&t, r, kind, false);
	uint8_t iv[16];
	for (size_t i = 0; i < sizeof iv; i++)
		iv[i] = (uint8_t)calls_draw(&r->in, 256);
	const CK_ULONG iv_n = calls_draw(&r->in, 10) == 0 ? calls_draw(&r->in, 17) : 16;
	CK_MECHANISM m = {choose_mechanism(&t), NULL, 0};
	if (m.mechanism == CKM_AES_CBC || m.mechanism == CKM_AES_CBC_PAD)
		m = (CK_MECHANISM){m.mechanism, iv, iv_n};
	const CK_OBJECT_HANDLE h =
		calls_key_handle(r, t.session, calls_types(kind, m.mechanism), &key);
	const bool none = calls_draw(&r->in, 16) == 0;
	const bool active = t.op->phase != CALLS_IDLE;
	if (none) /* 3.0: no mechanism ends an operation */
		calls_fault(&t.w, !active, CKR_ARGUMENTS_BAD);
	else if (active)
		calls_fault(&t.w, true, CKR_OPERATION_ACTIVE);
	else if (t.w.n == 0)
		judge_init(&t, &m, key, iv_n);
	const CK_RV rv = call_init(&t, none ? NULL : &m, h);
	if (calls_check(r, "Init", rv, &t.w) && rv == CKR_OK && none) {
		t.op->phase = CALLS_IDLE;
	} else if (rv == CKR_OK && !r->differs) {
		*t.op = (struct calls_op){.phase = CALLS_READY, .mech = m.mechanism};
		memcpy(t.op->iv, iv, sizeof iv);
		if (kind != CALLS_DIGEST)
			t.op->key = r->m.key[key];
		if (t.op->key.token && kind != CALLS_VERIFY_RECOVER && !r->m.lease)
			r->m.lease = r->m.page_is_ours = true;
		t.op->lease_no = r->m.lease_no;
	}
	calls_step_done(&t);
}

/* ---- one call, parts, the last part ------------------------------------------------------------
 */

enum part { ONE, UPDATE, FINAL };

static CK_RV
call_part(struct calls_step *t, enum part part)
{
	CK_FUNCTION_LIST_3_0 *f = t->r->f;
	CK_BYTE *out = t->query ? NULL : t->out;
	CK_ULONG *n = t->no_len ? NULL : &t->out_n;
	switch ((unsigned)t->kind * 3 + (unsigned)part) {
	case CALLS_ENCRYPT * 3 + ONE: return f->C_Encrypt(t->s, t->in, t->in_n, out, n);
	case CALLS_ENCRYPT * 3 + UPDATE: return f->C_EncryptUpdate(t->s, t->in, t->in_n, out, n);
	case CALLS_ENCRYPT * 3 + FINAL: return f->C_EncryptFinal(t->s, out, n);
	case CALLS_DECRYPT * 3 + ONE: return f->C_Decrypt(t->s, t->in, t->in_n, out, n);
	case CALLS_DECRYPT * 3 + UPDATE: return f->C_DecryptUpdate(t->s, t->in, t->in_n, out, n);
	case CALLS_DECRYPT * 3 + FINAL: return f->C_DecryptFinal(t->s, out, n);
	case CALLS_SIGN * 3 + ONE: return f->C_Sign(t->s, t->in, t->in_n, out, n);
	case CALLS_SIGN * 3 + UPDATE: return f->C_SignUpdate(t->s, t->in, t->in_n);
	case CALLS_SIGN * 3 + FINAL: return f->C_SignFinal(t->s, out, n);
	case CALLS_VERIFY * 3 + ONE: return f->C_Verify(t->s, t->in, t->in_n, t->out, t->cap);
	case CALLS_VERIFY * 3 + UPDATE: return f->C_VerifyUpdate(t->s, t->in, t->in_n);
	case CALLS_VERIFY * 3 + FINAL: return f->C_VerifyFinal(t->s, t->out, t->cap);
	case CALLS_DIGEST * 3 + ONE: return f->C_Digest(t->s, t->in, t->in_n, out, n);
	case CALLS_DIGEST * 3 + UPDATE: return f->C_DigestUpdate(t->s, t->in, t->in_n);
	case CALLS_DIGEST * 3 + FINAL: return f->C_DigestFinal(t->s, out, n);
	default: return CKR_GENERAL_ERROR;
	}
}

void
calls_judge_mixed(struct calls_want *w, bool is)
{
	/* The standard names no code for mixing one call with parts; these two are in use. */
	calls_fault(w, is, CKR_OPERATION_ACTIVE);
	calls_fault(w, is, CKR_OPERATION_NOT_INITIALIZED);
}

/* What the phase says; true if the operation ends by it. */
static bool
judge_phase(struct calls_step *t, enum part part)
{
	const enum calls_phase p = t->op->phase;
	calls_fault(&t->w, p == CALLS_IDLE && t->session < CALLS_SESSIONS,
		CKR_OPERATION_NOT_INITIALIZED);
	calls_judge_mixed(&t->w, part == ONE ? p == CALLS_MULTI : p == CALLS_SINGLE);
	calls_fault(&t->w, p != CALLS_IDLE && stopped(t), CKR_DEVICE_ERROR);
	return p != CALLS_IDLE;
}

void
calls_choose_signature(struct calls_step *t, size_t right, bool good)
{
	const unsigned how = calls_draw(&t->r->in, 4);
	t->cap = how == 2 ? calls_draw(&t->r->in, 40) : right;
	t->out = calloc(1, right + 64);
	if (t->out == NULL)
		abort();
	memcpy(t->out, t->expect, right);
	t->out[5] ^= how == 1;
	if (!good)
		return;
	calls_fault(&t->w, t->cap == right && how == 1, CKR_SIGNATURE_INVALID);
	calls_fault(&t->w, t->cap != right, CKR_SIGNATURE_LEN_RANGE);
}

void
calls_compare(struct calls_step *t, CK_RV rv, bool query)
{
	/* Unpadding is not known beforehand: up to a block more may be asked for. */
	const size_t slack = t->kind == CALLS_DECRYPT && t->op->mech == CKM_AES_CBC_PAD ? 32 : 0;
	if (rv == CKR_BUFFER_TOO_SMALL || query) {
		if (t->out_n < t->need || t->out_n > t->need + slack)
			calls_differ(t->r, "size", "asked for is not the size needed");
		return;
	}
	if (t->out_n != t->need || memcmp(t->out, t->expect, t->need) != 0)
		calls_differ(t->r, "output", "is not what plain OpenSSL gives");
	if (t->out[t->cap] != 0xa5)
		calls_differ(t->r, "output", "went past its buffer");
}

static void
give_out(struct calls_step *t, enum part part, bool good, CK_RV fault)
{
	const bool live = judge_phase(t, part);
	const bool pad_open = t->kind == CALLS_DECRYPT && t->op->mech == CKM_AES_CBC_PAD;
	if (t->kind == CALLS_VERIFY && part != UPDATE)
		calls_choose_signature(t, 32, good);
	else if (t->kind != CALLS_SIGN && t->kind != CALLS_VERIFY && t->kind != CALLS_DIGEST)
		calls_choose_room(t);
	else if (part != UPDATE)
		calls_choose_room(t);
	if (t->kind != CALLS_VERIFY && part != UPDATE)
		calls_fault(&t->w, !good && live, fault);
	/* Padding is judged after the room for the most that can come, or before. */
	calls_fault(&t->w, !good && live && pad_open, CKR_ENCRYPTED_DATA_LEN_RANGE);
	/* So may the length of what cannot be right anyway. */
	calls_fault(&t->w, !good && live && t->cap < t->op->in_n + t->in_n, CKR_BUFFER_TOO_SMALL);
	calls_fault(&t->w, live && stopped(t) && (t->is_short || pad_open), CKR_BUFFER_TOO_SMALL);
	/* Asking for a size may look at the input and the lease, or not. */
	if (t->query && live && t->w.n != 0 && (!good || stopped(t)) && t->in != NULL && !t->no_len)
		calls_fault(&t->w, true, CKR_OK);
	if (t->w.n == 0 && t->is_short && !t->query)
		calls_fault(&t->w, true, CKR_BUFFER_TOO_SMALL);
	if (t->w.n == 0 && pad_open && !t->query) {
		calls_fault(&t->w, true, CKR_BUFFER_TOO_SMALL);
		calls_fault(&t->w, true, CKR_OK);
	}
}

/* What there is to come out now: *next is the operation with this input. */
static bool
expect(struct calls_step *t, enum part part, struct calls_op *next, CK_RV *fault)
{
	const size_t before = part == ONE ? 0 : t->op->out_n;
	size_t whole = 0;
	bool good = true;
	if (part == ONE)
		next->in_n = next->out_n = 0;
	if (t->in != NULL)
		memcpy(next->in + next->in_n, t->in, t->in_n);
	next->in_n += t->in_n;
	if (next->phase == CALLS_IDLE)
		return true;
	if (part == UPDATE) {
		/* What is out is the beginning of what whole blocks without padding give. */
		struct calls_op blocks = *next;
		blocks.in_n = calls_emitted(t->kind, next);
		blocks.mech = next->mech == CKM_AES_CBC_PAD ? CKM_AES_CBC : next->mech;
		if (blocks.in_n != 0)
			good = calls_result(t->kind, &blocks, t->expect, &whole, fault);
	} else {
		good = calls_result(t->kind, next, t->expect, &whole, fault);
	}
	t->need = good && whole > before ? whole - before : 0;
	if (t->kind == CALLS_ENCRYPT || t->kind == CALLS_DECRYPT)
		memmove(t->expect, t->expect + before, t->need);
	next->out_n = before + t->need;
	return good;
}

bool
calls_expect_part(struct calls_step *t, struct calls_op *next, CK_RV *fault)
{
	return expect(t, UPDATE, next, fault);
}

/* The model's operation after an answer that it knows. */
static void
settle(struct calls_step *t, enum part part, bool good, CK_RV rv, const struct calls_op *next)
{
	const bool has_out = t->kind != CALLS_VERIFY &&
		(part != UPDATE || t->kind == CALLS_ENCRYPT || t->kind == CALLS_DECRYPT);
	const bool asked = t->query && has_out && rv == CKR_OK;
	if (has_out && good && (rv == CKR_OK || rv == CKR_BUFFER_TOO_SMALL))
		calls_compare(t, rv, asked);
	if (asked || rv == CKR_BUFFER_TOO_SMALL) {
		/* Asked of one call it belongs to that, asked of the end to parts. */
		if (part != UPDATE)
			t->op->phase = part == ONE ? CALLS_SINGLE : CALLS_MULTI;
		if (!asked)
			calls_end(t->op, rv);
	} else if (rv != CKR_OK || part != UPDATE) {
		calls_end(t->op, rv);
	} else {
		*t->op = *next;
		t->op->phase = CALLS_MULTI;
	}
}

static void
do_part(struct calls_run *r, enum calls_kind kind, enum part part)
{
	static const char *const names[] = {"one call", "Update", "Final"};
	struct calls_step t;
	CK_RV fault = CKR_GENERAL_ERROR;
	calls_step_start(&t, r, kind, part != FINAL);
	if (part == FINAL)
		t.in_n = 0;
	struct calls_op next = *t.op;
	if (next.in_n + t.in_n <= CALLS_TEXT_MAX) {
		const bool good = expect(&t, part, &next, &fault);
		give_out(&t, part, good, fault);
		const CK_RV rv = call_part(&t, part);
		if (calls_check(r, names[part], rv, &t.w) && t.op->phase != CALLS_IDLE)
			settle(&t, part, good, rv, &next);
	}
	calls_step_done(&t);
}

bool
calls_first(struct calls_run *r, enum calls_kind kind)
{
	const struct calls_session *s = &r->m.s[r->last_session];
	return s->op[kind].phase == CALLS_IDLE && calls_draw(&r->in, 4) != 0;
}

void
calls_init(struct calls_run *r, enum calls_kind kind)
{
	do_init(r, kind);
}

void
calls_operate(struct calls_run *r)
{
	const enum calls_kind kind = (enum calls_kind)calls_draw(&r->in, CALLS_SIGN_RECOVER);
	switch (calls_first(r, kind) ? 0 : calls_draw(&r->in, 8)) {
	case 0: do_init(r, kind); break;
	case 1:
	case 2:
	case 3: do_part(r, kind, ONE); break;
	case 4:
	case 5:
	case 6: do_part(r, kind, UPDATE); break;
	default: do_part(r, kind, FINAL); break;
	}
}
