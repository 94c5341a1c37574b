/* SPDX-License-Identifier: BSD-2-Clause */
/* Calls about the library, sessions, login, searches and objects; and a whole sequence. */
#include "fuzz/calls.h"

#include <stdio.h>
#include <string.h>

static CK_BBOOL no = CK_FALSE;
static CK_OBJECT_CLASS secret = CKO_SECRET_KEY;

unsigned
calls_draw(struct calls_input *in, unsigned below)
{
	if (in->n == 0)
		return 0;
	in->n--;
	return *in->p++ % below;
}

void
calls_differ(struct calls_run *r, const char *name, const char *what)
{
	r->differs = true;
	if (!r->quiet)
		(void)fprintf(stderr, "call %u: %s %s\n", r->calls, name, what);
}

bool
calls_check(struct calls_run *r, const char *name, CK_RV got, const struct calls_want *w)
{
	bool fine = w->n == 0 && got == CKR_OK;
	for (unsigned i = 0; i < w->n; i++)
		fine = fine || w->rv[i] == got;
	r->calls++;
	r->good += got == CKR_OK;
	if (fine)
		return true;
	calls_differ(r, name, "gives a code the model does not know here");
	if (r->quiet)
		return false;
	(void)fprintf(stderr, "  got 0x%lx, not", (unsigned long)got);
	for (unsigned i = 0; i < w->n; i++)
		(void)fprintf(stderr, " 0x%lx", (unsigned long)w->rv[i]);
	(void)fprintf(stderr, w->n == 0 ? " CKR_OK\n" : "\n");
	return false;
}

/* ---- handles -----------------------------------------------------------------------------------
 */

CK_SESSION_HANDLE
calls_session_handle(struct calls_run *r, unsigned *ret, struct calls_want *w)
{
	const unsigned other = calls_draw(&r->in, 4 * CALLS_SESSIONS);
	const unsigned first = other < CALLS_SESSIONS ? other : r->last_session;
	const unsigned how = calls_draw(&r->in, 32);
	*ret = CALLS_SESSIONS;
	for (unsigned i = 0; i < CALLS_SESSIONS && how > 2; i++) {
		const unsigned at = (first + i) % CALLS_SESSIONS;
		if (r->m.s[at].open) {
			*ret = r->last_session = at;
			return r->m.s[at].handle;
		}
	}
	calls_fault(w, true, r->m.live ? CKR_SESSION_HANDLE_INVALID : CKR_CRYPTOKI_NOT_INITIALIZED);
	if (how == 0)
		return CK_INVALID_HANDLE;
	/* One that was closed, or invented. */
	return !r->m.s[first].open && r->m.s[first].stale != 0 ? r->m.s[first].stale
							       : 0x5151515151UL;
}

CK_OBJECT_HANDLE
calls_key_handle(struct calls_run *r, unsigned session, unsigned types, unsigned *ret)
{
	const unsigned first = calls_draw(&r->in, CALLS_KEYS);
	const unsigned how = calls_draw(&r->in, 32);
	*ret = CALLS_KEYS;
	if (how < 8)
		types = ~0U;
	for (unsigned i = 0; i < CALLS_KEYS && how > 3 && session < CALLS_SESSIONS; i++) {
		const unsigned at = (first + i) % CALLS_KEYS;
		const struct calls_key *k = &r->m.key[at];
		if (k->slot == r->m.s[session].slot && calls_visible(&r->m, k) &&
			(types & (1U << k->type))) {
			*ret = at;
			return k->handle;
		}
	}
	/* Destroyed, hidden or of another slot; or none at all. */
	for (unsigned i = 0; i < CALLS_KEYS && how > 1 && session < CALLS_SESSIONS; i++) {
		const struct calls_key *k = &r->m.key[(first + i) % CALLS_KEYS];
		if (k->handle != 0 && (k->slot != r->m.s[session].slot || !calls_visible(&r->m, k)))
			return k->handle;
	}
	return how == 0 ? CK_INVALID_HANDLE : 0x77777777UL;
}

/* ---- library and sessions
 * ------------------------------------------------------------------------ */

static void
do_library(struct calls_run *r)
{
	struct calls_want w = {.n = 0};
	CK_C_INITIALIZE_ARGS args = {.flags = CKF_OS_LOCKING_OK};
	const unsigned how = calls_draw(&r->in, 8);
	const bool start = !r->m.live || how < 4;
	if (start) {
		args.pReserved = how == 0 ? &args : NULL;
		if (how == 1)
			args.LockMutex = (CK_LOCKMUTEX)(void (*)(void))calls_differ;
		calls_fault(&w, how < 2, CKR_ARGUMENTS_BAD);
		calls_fault(&w, r->m.live, CKR_CRYPTOKI_ALREADY_INITIALIZED);
		const CK_RV rv = r->f->C_Initialize(how == 2 ? NULL : &args);
		if (calls_check(r, "C_Initialize", rv, &w) && rv == CKR_OK)
			r->m.live = true;
		return;
	}
	calls_fault(&w, how == 4, CKR_ARGUMENTS_BAD);
	const CK_RV rv = r->f->C_Finalize(how == 4 ? &args : NULL);
	if (calls_check(r, "C_Finalize", rv, &w) && rv == CKR_OK)
		calls_finalize(&r->m);
}

static void
do_open(struct calls_run *r)
{
	struct calls_want w = {.n = 0};
	unsigned at = 0;
	while (at < CALLS_SESSIONS && r->m.s[at].open)
		at++;
	if (at == CALLS_SESSIONS)
		return;
	const unsigned how = calls_draw(&r->in, 16), slot = calls_draw(&r->in, CALLS_SLOTS);
	const bool rw = calls_draw(&r->in, 2);
	CK_SESSION_HANDLE h = 0;
	calls_fault(&w, !r->m.live, CKR_CRYPTOKI_NOT_INITIALIZED);
	calls_fault(&w, how == 0, CKR_SLOT_ID_INVALID);
	calls_fault(&w, how == 1, CKR_SESSION_PARALLEL_NOT_SUPPORTED);
	calls_fault(&w, how == 2, CKR_ARGUMENTS_BAD);
	const CK_RV rv = r->f->C_OpenSession(how == 0 ? 99 : slot,
		(how == 1 ? 0 : CKF_SERIAL_SESSION) | (rw ? CKF_RW_SESSION : 0), NULL, NULL,
		how == 2 ? NULL : &h);
	if (!calls_check(r, "C_OpenSession", rv, &w) || rv != CKR_OK)
		return;
	r->m.s[at] = (struct calls_session){.open = true, .rw = rw, .slot = slot, .handle = h};
	calls_learn_token_keys(r, at);
}

static void
do_close(struct calls_run *r)
{
	struct calls_want w = {.n = 0};
	unsigned at = CALLS_SESSIONS;
	if (calls_draw(&r->in, 6) != 0) {
		const CK_SESSION_HANDLE s = calls_session_handle(r, &at, &w);
		if (calls_check(r, "C_CloseSession", r->f->C_CloseSession(s), &w) &&
			at < CALLS_SESSIONS)
			calls_close(&r->m, at);
		return;
	}
	const unsigned slot = calls_draw(&r->in, CALLS_SLOTS + 1);
	calls_fault(&w, !r->m.live, CKR_CRYPTOKI_NOT_INITIALIZED);
	calls_fault(&w, slot == CALLS_SLOTS, CKR_SLOT_ID_INVALID);
	const CK_RV rv = r->f->C_CloseAllSessions(slot);
	if (!calls_check(r, "C_CloseAllSessions", rv, &w) || rv != CKR_OK)
		return;
	for (unsigned i = 0; i < CALLS_SESSIONS; i++) {
		if (r->m.s[i].open && r->m.s[i].slot == slot)
			calls_close(&r->m, i);
	}
}

static void
do_info(struct calls_run *r)
{
	struct calls_want w = {.n = 0};
	unsigned at = CALLS_SESSIONS;
	const CK_SESSION_HANDLE s = calls_session_handle(r, &at, &w);
	const bool null = calls_draw(&r->in, 8) == 0;
	CK_SESSION_INFO info = {0};
	calls_fault(&w, null, CKR_ARGUMENTS_BAD);
	const CK_RV rv = r->f->C_GetSessionInfo(s, null ? NULL : &info);
	if (!calls_check(r, "C_GetSessionInfo", rv, &w) || rv != CKR_OK)
		return;
	const struct calls_session *m = &r->m.s[at];
	const bool user = m->slot == 0 || r->m.logged_in[m->slot];
	const CK_STATE state = user ? (m->rw ? CKS_RW_USER_FUNCTIONS : CKS_RO_USER_FUNCTIONS)
				    : (m->rw ? CKS_RW_PUBLIC_SESSION : CKS_RO_PUBLIC_SESSION);
	if (info.slotID != m->slot || info.state != state ||
		info.flags != (CKF_SERIAL_SESSION | (m->rw ? CKF_RW_SESSION : 0)))
		calls_differ(r, "C_GetSessionInfo", "tells another slot, state or flags");
}

static void
do_login(struct calls_run *r)
{
	struct calls_want w = {.n = 0};
	unsigned at = CALLS_SESSIONS;
	const CK_SESSION_HANDLE s = calls_session_handle(r, &at, &w);
	const bool in = calls_draw(&r->in, 3) != 0, odd = calls_draw(&r->in, 12) == 0;
	const unsigned slot = at < CALLS_SESSIONS ? r->m.s[at].slot : 0;
	const bool was = r->m.logged_in[slot];
	if (!in) {
		calls_fault(&w, slot == 1 && !was, CKR_USER_NOT_LOGGED_IN);
		const CK_RV rv = r->f->C_Logout(s);
		if (calls_check(r, "C_Logout", rv, &w) && rv == CKR_OK && slot == 1)
			calls_log_out(&r->m, slot);
		return;
	}
	calls_fault(&w, odd, CKR_USER_TYPE_INVALID);
	calls_fault(&w, slot == 1 && was, CKR_USER_ALREADY_LOGGED_IN);
	calls_fault(&w, slot == 1 && r->m.refuses && w.n == 0, CKR_FUNCTION_REJECTED);
	const CK_RV rv = r->f->C_Login(s, odd ? 77 : CKU_USER, NULL, 0);
	if (!calls_check(r, "C_Login", rv, &w) || rv != CKR_OK || slot == 0)
		return;
	r->m.logged_in[1] = true;
	r->m.page_is_ours = false; /* the fake's page is now that of slot 1's lease */
}

/* ---- the agent
 * ----------------------------------------------------------------------------------- */

static void
do_agent(struct calls_run *r)
{
	if (calls_draw(&r->in, 2)) {
		r->m.refuses = !r->m.refuses;
		r->agent->need_code = r->m.refuses ? VS_E_REFUSED_POLICY : 0;
	} else if (r->m.lease && r->m.page_is_ours) {
		r->end_lease();
		r->m.lease = false;
		r->m.lease_no++;
	}
}

/* ---- objects
 * ------------------------------------------------------------------------------------- */

static void
do_find(struct calls_run *r)
{
	struct calls_want w = {.n = 0};
	unsigned at = CALLS_SESSIONS;
	const CK_SESSION_HANDLE s = calls_session_handle(r, &at, &w);
	CK_ATTRIBUTE t[] = {{CKA_TOKEN, &no, 1}, {CKA_CLASS, &secret, sizeof secret}};
	CK_OBJECT_HANDLE found[CALLS_KEYS + 4];
	CK_ULONG n = 0;
	struct calls_session *m = &r->m.s[at % CALLS_SESSIONS];
	const bool real = at < CALLS_SESSIONS;
	const unsigned how = calls_draw(&r->in, 8), max = calls_draw(&r->in, 5);
	if (how < 3) {
		calls_fault(&w, real && m->searching, CKR_OPERATION_ACTIVE);
		const CK_RV rv = r->f->C_FindObjectsInit(s, t, 2);
		if (!calls_check(r, "C_FindObjectsInit", rv, &w) || rv != CKR_OK)
			return;
		m->searching = true;
		m->to_find = 0;
		for (unsigned i = 0; i < CALLS_KEYS; i++)
			m->to_find += !r->m.key[i].token && r->m.key[i].type != CALLS_DATA &&
				r->m.key[i].slot == m->slot && calls_visible(&r->m, &r->m.key[i]);
		return;
	}
	calls_fault(&w, real && !m->searching, CKR_OPERATION_NOT_INITIALIZED);
	if (how < 6) {
		calls_fault(&w, how == 3, CKR_ARGUMENTS_BAD);
		const CK_RV rv = r->f->C_FindObjects(s, found, max, how == 3 ? NULL : &n);
		if (!calls_check(r, "C_FindObjects", rv, &w) || rv != CKR_OK)
			return;
		if (n != (max < m->to_find ? max : m->to_find))
			calls_differ(r, "C_FindObjects", "finds another number of objects");
		m->to_find -= n;
		return;
	}
	const CK_RV rv = r->f->C_FindObjectsFinal(s);
	if (calls_check(r, "C_FindObjectsFinal", rv, &w) && rv == CKR_OK)
		m->searching = false;
}

static void
do_cancel(struct calls_run *r)
{
	static const CK_FLAGS flags[CALLS_KINDS] = {CKF_ENCRYPT, CKF_DECRYPT, CKF_SIGN, CKF_VERIFY,
		CKF_DIGEST, CKF_SIGN_RECOVER, CKF_VERIFY_RECOVER, CKF_MESSAGE_ENCRYPT,
		CKF_MESSAGE_DECRYPT, CKF_MESSAGE_SIGN, CKF_MESSAGE_VERIFY};
	struct calls_want w = {.n = 0};
	unsigned at = CALLS_SESSIONS;
	const CK_SESSION_HANDLE s = calls_session_handle(r, &at, &w);
	const unsigned bits = calls_draw(&r->in, 256) << 4 ^ calls_draw(&r->in, 256);
	CK_FLAGS f = bits & 1U << CALLS_KINDS ? CKF_FIND_OBJECTS : 0;
	for (unsigned k = 0; k < CALLS_KINDS; k++)
		f |= bits & (1U << k) ? flags[k] : 0;
	const CK_RV rv = r->f->C_SessionCancel(s, f);
	if (!calls_check(r, "C_SessionCancel", rv, &w) || rv != CKR_OK)
		return;
	for (unsigned k = 0; k < CALLS_KINDS; k++) {
		if (f & flags[k])
			r->m.s[at].op[k].phase = CALLS_IDLE;
	}
	if (f & CKF_FIND_OBJECTS)
		r->m.s[at].searching = false;
}

/* ---- a sequence
 * ---------------------------------------------------------------------------------- */

bool
calls_play(struct calls_run *r)
{
	/* The model starts with nothing but what the module was left with. */
	while (r->in.n != 0 && !r->differs) {
		const unsigned what = calls_draw(&r->in, 64);
		if (what == 0 || (!r->m.live && what < 24))
			do_library(r);
		else if (what < 8)
			do_open(r);
		else if (what < 10)
			do_close(r);
		else if (what < 12)
			do_info(r);
		else if (what < 15)
			do_login(r);
		else if (what < 17)
			do_agent(r);
		else if (what < 22)
			calls_make(r);
		else if (what < 27)
			calls_object(r);
		else if (what < 30)
			do_find(r);
		else if (what < 31)
			do_cancel(r);
		else if (what < 32)
			calls_state(r);
		else if (what < 42)
			calls_message(r);
		else if (what < 45)
			calls_dual(r);
		else if (what < 48)
			calls_recover(r);
		else
			calls_operate(r);
	}
	return !r->differs;
}
