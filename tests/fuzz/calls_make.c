/* SPDX-License-Identifier: BSD-2-Clause */
/* Keys that come into being (PKCS#11 3.0 sections 4.1.1, 5.7.1, 5.18), and leave wrapped. */
#include "fuzz/calls.h"

#include <stdlib.h>
#include <string.h>

static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
static CK_OBJECT_CLASS class_secret = CKO_SECRET_KEY, class_data = CKO_DATA;
static CK_KEY_TYPE type_aes = CKK_AES, type_generic = CKK_GENERIC_SECRET;

/* A key to be, and the template that asks for it. */
struct made {
	struct calls_key k;
	bool omits; /* SIGN, SENSITIVE and EXTRACTABLE are not said */
	CK_ULONG n;
	CK_ATTRIBUTE t[CALLS_TEMPLATE_MAX + 4];
	CK_ATTRIBUTE inner[CALLS_INNERS][2];
	CK_ULONG len;
	uint8_t value[40];
};

static void
put(struct made *m, CK_ATTRIBUTE_TYPE type, const void *p, CK_ULONG n)
{
	m->t[m->n++] = (CK_ATTRIBUTE){type, (void *)(uintptr_t)p, n};
}

static void
put_bool(struct made *m, CK_ATTRIBUTE_TYPE type, bool is)
{
	put(m, type, is ? &yes : &no, 1);
}

static void
draw_inner(struct calls_run *r, struct calls_inner *inner)
{
	static const CK_ATTRIBUTE_TYPE flags[] = {0, CKA_SIGN, CKA_SENSITIVE, CKA_EXTRACTABLE};
	const unsigned bits = calls_draw(&r->in, 256);
	*inner = (struct calls_inner){.there = true,
		.with_type = bits & 1,
		.type = bits & 2 ? CKK_AES : CKK_GENERIC_SECRET,
		.flag = flags[bits >> 2 & 3],
		.yes = bits & 16 ? CK_TRUE : CK_FALSE};
}

/* The last of the uses contradict each other. */
static unsigned
draw_uses(struct calls_run *r, enum calls_type type)
{
	static const unsigned aes[] = {CALLS_MAY_ENCRYPT | CALLS_MAY_DECRYPT,
		CALLS_MAY_ENCRYPT | CALLS_MAY_DECRYPT | CALLS_MAY_DERIVE,
		CALLS_MAY_WRAP | CALLS_MAY_UNWRAP | CALLS_MAY_DERIVE,
		CALLS_MAY_WRAP | CALLS_MAY_UNWRAP | CALLS_MAY_SIGN, CALLS_MAY_ENCRYPT,
		CALLS_MAY_DECRYPT | CALLS_MAY_UNWRAP, CALLS_MAY_WRAP | CALLS_MAY_DECRYPT,
		CALLS_MAY_UNWRAP | CALLS_MAY_ENCRYPT};
	static const unsigned generic[] = {CALLS_MAY_SIGN | CALLS_MAY_VERIFY,
		CALLS_MAY_SIGN | CALLS_MAY_VERIFY, CALLS_MAY_SIGN | CALLS_MAY_DERIVE,
		CALLS_MAY_VERIFY, CALLS_MAY_DERIVE, 0,
		CALLS_MAY_SIGN | CALLS_MAY_VERIFY | CALLS_MAY_DERIVE, CALLS_MAY_SIGN};
	const unsigned which = calls_draw(&r->in, 8);
	return type == CALLS_AES ? aes[which] : type == CALLS_GENERIC ? generic[which] : 0;
}

static void
put_uses(struct made *m)
{
	static const CK_ATTRIBUTE_TYPE types[CALLS_USES] = {
		CKA_ENCRYPT, CKA_DECRYPT, CKA_SIGN, CKA_VERIFY, CKA_WRAP, CKA_UNWRAP, CKA_DERIVE};
	for (unsigned i = 0; i < CALLS_USES; i++) {
		if (types[i] != CKA_SIGN || !m->omits)
			put_bool(m, types[i], m->k.may & (1U << i));
	}
	if (m->omits)
		return;
	put_bool(m, CKA_SENSITIVE, m->k.sensitive);
	put_bool(m, CKA_EXTRACTABLE, m->k.extractable);
}

static void
draw_made(struct calls_run *r, struct made *m, unsigned session, bool may_be_data)
{
	static const CK_ATTRIBUTE_TYPE inners[CALLS_INNERS] = {
		CKA_WRAP_TEMPLATE, CKA_UNWRAP_TEMPLATE, CKA_DERIVE_TEMPLATE};
	static const size_t lengths[] = {16, 32, 24, 32};
	struct calls_input *in = &r->in;
	const unsigned bits = calls_draw(in, 256), more = calls_draw(in, 256);
	const unsigned inner = calls_draw(in, 8);
	*m = (struct made){.omits = more & 16};
	struct calls_key *k = &m->k;
	*k = (struct calls_key){.alive = true,
		.type = may_be_data && more >> 5 == 7 ? CALLS_DATA
			: bits & 1                    ? CALLS_AES
						      : CALLS_GENERIC,
		.private = bits & 2,
		.owner = session,
		.slot = session < CALLS_SESSIONS ? r->m.s[session].slot : 0,
		.sensitive = (bits >> 4 & 7) == 1 || (bits >> 4 & 7) == 2,
		.extractable = (bits >> 4 & 7) != 2 && (bits >> 4 & 7) != 3,
		.copyable = (more & 15) != 1,
		.modifiable = (more & 15) != 2,
		.destroyable = (more & 15) != 3,
		.n = lengths[bits >> 2 & 3]};
	k->may = draw_uses(r, k->type);
	const bool data = k->type == CALLS_DATA;
	put(m, CKA_CLASS, data ? &class_data : &class_secret, sizeof class_data);
	if (!data)
		put(m, CKA_KEY_TYPE, k->type == CALLS_AES ? &type_aes : &type_generic,
			sizeof type_aes);
	put_bool(m, CKA_PRIVATE, k->private);
	put_bool(m, CKA_TOKEN, false);
	put_bool(m, CKA_COPYABLE, k->copyable);
	put_bool(m, CKA_MODIFIABLE, k->modifiable);
	put_bool(m, CKA_DESTROYABLE, k->destroyable);
	if (data)
		return;
	put_uses(m);
	if (inner < CALLS_INNERS) {
		draw_inner(r, &k->inner[inner]);
		const CK_ULONG n = calls_inner_put(&k->inner[inner], m->inner[inner]);
		put(m, inners[inner], m->inner[inner], n * sizeof(CK_ATTRIBUTE));
	}
}

/*
 * What is not said: first the template inside the key that is used says it, then the default.
 * Contradictions are CKR_TEMPLATE_INCONSISTENT (5.18.4, 5.18.5).
 */
static void
complete(struct made *m, const struct calls_inner *inner, struct calls_want *w)
{
	struct calls_key *k = &m->k;
	const bool there = inner != NULL && inner->there && calls_broken != CALLS_BREAK_INNER_MERGE;
	const CK_ATTRIBUTE_TYPE flag = there ? inner->flag : 0;
	const bool is = there && inner->yes == CK_TRUE;
	calls_fault(w, there && inner->with_type && inner->type != calls_key_type(k),
		CKR_TEMPLATE_INCONSISTENT);
	if (!m->omits) {
		calls_fault(w, flag == CKA_SIGN && is != ((k->may & CALLS_MAY_SIGN) != 0),
			CKR_TEMPLATE_INCONSISTENT);
		calls_fault(
			w, flag == CKA_SENSITIVE && is != k->sensitive, CKR_TEMPLATE_INCONSISTENT);
		calls_fault(w, flag == CKA_EXTRACTABLE && is != k->extractable,
			CKR_TEMPLATE_INCONSISTENT);
		return;
	}
	k->may |= CALLS_MAY_SIGN;
	if (flag == CKA_SIGN && !is)
		k->may &= ~(unsigned)CALLS_MAY_SIGN;
	k->sensitive = flag == CKA_SENSITIVE && is;
	/* A sensitive one leaves only if somebody said so. */
	k->extractable = flag == CKA_EXTRACTABLE ? is : !k->sensitive;
}

/* One thing wrong with the template, or nothing. */
static void
spoil(struct calls_run *r, struct made *m, struct calls_want *w)
{
	static CK_ATTRIBUTE nested[2];
	nested[0] = (CK_ATTRIBUTE){CKA_UNWRAP_TEMPLATE, NULL, 0};
	nested[1] = (CK_ATTRIBUTE){CKA_VALUE, &yes, 1};
	const bool data = m->k.type == CALLS_DATA;
	CK_RV rv = CKR_OK;
	switch (calls_draw(&r->in, 32)) {
	case 0:
		m->t[data ? 1 : 2].ulValueLen = 3; /* PRIVATE */
		rv = CKR_ATTRIBUTE_VALUE_INVALID;
		break;
	case 1:
		m->t[data ? 2 : 3].pValue = &yes; /* TOKEN */
		rv = CKR_TOKEN_WRITE_PROTECTED;
		calls_fault(w, m->k.owner < CALLS_SESSIONS && !r->m.s[m->k.owner].rw,
			CKR_SESSION_READ_ONLY);
		break;
	case 2:
		put(m, 0x12345678UL, &yes, 1);
		rv = CKR_ATTRIBUTE_TYPE_INVALID;
		break;
	case 3:
		put_bool(m, CKA_LOCAL, true);
		calls_fault(w, true, CKR_TEMPLATE_INCONSISTENT);
		calls_fault(w, data, CKR_ATTRIBUTE_TYPE_INVALID);
		rv = CKR_ATTRIBUTE_READ_ONLY;
		break;
	case 4:
		put_bool(m, CKA_COPYABLE, !m->k.copyable);
		rv = CKR_TEMPLATE_INCONSISTENT;
		break;
	case 5: /* an array that is none, of a type that is left */
	case 6:
	case 7: {
		const unsigned how = calls_draw(&r->in, 3);
		if (data || m->k.inner[CALLS_INNER_WRAP].there)
			return;
		put(m, CKA_WRAP_TEMPLATE, nested + (how == 1),
			how == 2 ? sizeof *nested + 1 : sizeof *nested);
		rv = how == 2 ? CKR_ATTRIBUTE_VALUE_INVALID : CKR_TEMPLATE_INCONSISTENT;
		break;
	}
	case 8:
		put_bool(m, CKA_TRUSTED, true);
		calls_fault(w, data, CKR_ATTRIBUTE_TYPE_INVALID);
		rv = CKR_ATTRIBUTE_READ_ONLY;
		break;
	default: return;
	}
	calls_fault(w, true, rv);
}

static void
judge_made(struct calls_run *r, struct made *m, struct calls_want *w)
{
	const unsigned may = m->k.may;
	const bool apart = ((may & CALLS_MAY_WRAP) && (may & CALLS_MAY_DECRYPT)) ||
		((may & CALLS_MAY_UNWRAP) && (may & CALLS_MAY_ENCRYPT));
	/* Known attacks need a key that does both; the token does not make one (4.1.1, 5). */
	calls_fault(w, apart && calls_broken != CALLS_BREAK_APART, CKR_TEMPLATE_INCONSISTENT);
	calls_fault(
		w, m->k.private && m->k.slot == 1 && !r->m.logged_in[1], CKR_USER_NOT_LOGGED_IN);
	spoil(r, m, w);
}

/* ---- create, generate ------------------------------------------------------------------------ */

static void
do_create(struct calls_run *r, unsigned room)
{
	struct calls_want w = {.n = 0};
	struct made m;
	unsigned at = CALLS_SESSIONS;
	CK_OBJECT_HANDLE h = 0;
	const CK_SESSION_HANDLE s = calls_session_handle(r, &at, &w);
	draw_made(r, &m, at, true);
	for (size_t i = 0; i < m.k.n; i++)
		m.k.value[i] = (uint8_t)calls_draw(&r->in, 256);
	complete(&m, NULL, &w);
	judge_made(r, &m, &w);
	const unsigned wrong = calls_draw(&r->in, 32);
	put(&m, CKA_VALUE, m.k.value, wrong == 0 ? 17 : m.k.n);
	calls_fault(&w, wrong == 0 && m.k.type == CALLS_AES, CKR_ATTRIBUTE_VALUE_INVALID);
	if (wrong == 0)
		m.k.n = 17;
	calls_fault(&w, wrong == 1, CKR_ARGUMENTS_BAD);
	calls_fault(&w, wrong == 2, CKR_TEMPLATE_INCOMPLETE);
	calls_fault(&w, wrong == 3 && m.k.type != CALLS_DATA, CKR_TEMPLATE_INCOMPLETE);
	const CK_ULONG n = m.n - (wrong == 2) - (wrong == 3);
	const CK_RV rv =
		r->f->C_CreateObject(s, wrong == 2 ? m.t + 1 : m.t, n, wrong == 1 ? NULL : &h);
	if (!calls_check(r, "C_CreateObject", rv, &w) || rv != CKR_OK)
		return;
	if (wrong == 3)
		m.k.n = 0;
	m.k.handle = h;
	r->m.key[room] = m.k;
}

/* What nobody can read cannot be computed with here: it is looked at, and destroyed. */
static void
settle_generated(struct calls_run *r, CK_SESSION_HANDLE s, struct made *m, unsigned room)
{
	struct calls_want none = {.n = 0};
	CK_BBOOL got[3] = {9, 9, 9};
	CK_ATTRIBUTE t[] = {{CKA_ALWAYS_SENSITIVE, &got[0], 1}, {CKA_NEVER_EXTRACTABLE, &got[1], 1},
		{CKA_LOCAL, &got[2], 1}};
	CK_ATTRIBUTE value = {CKA_VALUE, m->k.value, sizeof m->k.value};
	m->k.always = m->k.sensitive;
	m->k.never = !m->k.extractable;
	m->k.local = true;
	calls_check(
		r, "of a generated key", r->f->C_GetAttributeValue(s, m->k.handle, t, 3), &none);
	if (got[0] != m->k.always || got[1] != m->k.never || got[2] != CK_TRUE)
		calls_differ(r, "generated key", "has another history");
	if (m->k.sensitive || !m->k.extractable) {
		calls_check(r, "C_DestroyObject", r->f->C_DestroyObject(s, m->k.handle), &none);
		return;
	}
	calls_check(r, "its value", r->f->C_GetAttributeValue(s, m->k.handle, &value, 1), &none);
	if (value.ulValueLen != m->k.n)
		calls_differ(r, "generated key", "has another length");
	r->m.key[room] = m->k;
}

static void
do_generate(struct calls_run *r, unsigned room)
{
	struct calls_want w = {.n = 0};
	struct made m;
	unsigned at = CALLS_SESSIONS;
	const CK_SESSION_HANDLE s = calls_session_handle(r, &at, &w);
	draw_made(r, &m, at, false);
	m.k.destroyable = true;
	m.t[6].pValue = &yes;
	complete(&m, NULL, &w);
	judge_made(r, &m, &w);
	const unsigned wrong = calls_draw(&r->in, 32);
	const bool aes = m.k.type == CALLS_AES;
	CK_MECHANISM mech = {aes ? CKM_AES_KEY_GEN : CKM_GENERIC_SECRET_KEY_GEN, NULL, 0};
	m.len = wrong == 0 ? 17 : m.k.n;
	m.k.n = m.len;
	if (wrong != 1)
		put(&m, CKA_VALUE_LEN, &m.len, sizeof m.len);
	if (wrong == 2)
		put(&m, CKA_VALUE, &yes, 1);
	if (wrong == 3)
		mech.mechanism = CKM_AES_CBC;
	if (wrong == 4)
		mech = (CK_MECHANISM){mech.mechanism, &m.len, sizeof m.len};
	if (wrong == 5)
		m.t[1].pValue = aes ? &type_generic : &type_aes;
	calls_fault(&w, wrong == 0 && aes, CKR_ATTRIBUTE_VALUE_INVALID);
	calls_fault(&w, wrong == 1, CKR_TEMPLATE_INCOMPLETE);
	calls_fault(&w, wrong == 2 || wrong == 5, CKR_TEMPLATE_INCONSISTENT);
	calls_fault(&w, wrong == 3, CKR_MECHANISM_INVALID);
	calls_fault(&w, wrong == 4, CKR_MECHANISM_PARAM_INVALID);
	calls_fault(&w, wrong == 6 || wrong == 7, CKR_ARGUMENTS_BAD);
	const CK_RV rv = r->f->C_GenerateKey(
		s, wrong == 6 ? NULL : &mech, m.t, m.n, wrong == 7 ? NULL : &m.k.handle);
	if (calls_check(r, "C_GenerateKey", rv, &w) && rv == CKR_OK)
		settle_generated(r, s, &m, room);
}

/* ---- derive ---------------------------------------------------------------------------------- */

static void
do_derive(struct calls_run *r, unsigned room)
{
	struct calls_want w = {.n = 0};
	struct made m;
	unsigned at = CALLS_SESSIONS, base = CALLS_KEYS;
	uint8_t info[8];
	const CK_SESSION_HANDLE s = calls_session_handle(r, &at, &w);
	const CK_OBJECT_HANDLE h = calls_key_handle(r, at, CALLS_T_SECRET, &base);
	const struct calls_key *b = base < CALLS_KEYS ? &r->m.key[base] : NULL;
	draw_made(r, &m, at, false);
	memset(info, (int)calls_draw(&r->in, 256), sizeof info);
	CK_HKDF_PARAMS p = {.bExpand = CK_TRUE,
		.prfHashMechanism = CKM_SHA256,
		.pInfo = info,
		.ulInfoLen = sizeof info};
	CK_MECHANISM mech = {CKM_HKDF_DERIVE, &p, sizeof p};
	const unsigned wrong = calls_draw(&r->in, 32);
	complete(&m, b != NULL ? &b->inner[CALLS_INNER_DERIVE] : NULL, &w);
	judge_made(r, &m, &w);
	m.len = m.k.n;
	if (wrong != 0)
		put(&m, CKA_VALUE_LEN, &m.len, sizeof m.len);
	if (wrong == 1)
		mech.ulParameterLen--;
	if (wrong == 2)
		p.prfHashMechanism = CKM_AES_ECB;
	if (wrong == 3)
		mech.mechanism = CKM_SHA256_HMAC;
	calls_fault(&w, wrong == 0, CKR_TEMPLATE_INCOMPLETE);
	calls_fault(&w, wrong == 1 || wrong == 2, CKR_MECHANISM_PARAM_INVALID);
	calls_fault(&w, wrong == 3, CKR_MECHANISM_INVALID);
	calls_fault(&w, wrong == 4 || wrong == 5, CKR_ARGUMENTS_BAD);
	calls_fault(&w, b == NULL, CKR_KEY_HANDLE_INVALID);
	if (b != NULL)
		calls_judge_key(&w, b, CALLS_T_SECRET, CALLS_MAY_DERIVE, CKR_KEY_HANDLE_INVALID,
			CKR_KEY_TYPE_INCONSISTENT);
	calls_fault(
		&w, b != NULL && b->token && !r->m.lease && r->m.refuses, CKR_FUNCTION_REJECTED);
	const struct vs_page *page = r->agent->page;
	const CK_RV rv = r->f->C_DeriveKey(
		s, wrong == 4 ? NULL : &mech, h, m.t, m.n, wrong == 5 ? NULL : &m.k.handle);
	/* A key may have been fetched before something else was found wrong. */
	if (r->agent->page != page)
		r->m.lease = r->m.page_is_ours = true;
	if (!calls_check(r, "C_DeriveKey", rv, &w) || rv != CKR_OK || b == NULL)
		return;
	m.k.always = m.k.sensitive && (b->always || calls_broken == CALLS_BREAK_HISTORY);
	m.k.never = b->never && !m.k.extractable;
	calls_expand(b, info, sizeof info, m.k.n, m.k.value);
	r->m.key[room] = m.k;
}

/* ---- unwrap, wrap ---------------------------------------------------------------------------- */

static void
do_unwrap(struct calls_run *r, unsigned room)
{
	struct calls_want w = {.n = 0};
	struct made m;
	unsigned at = CALLS_SESSIONS, with = CALLS_KEYS;
	uint8_t in[64] = {0};
	const CK_SESSION_HANDLE s = calls_session_handle(r, &at, &w);
	const CK_OBJECT_HANDLE h = calls_key_handle(r, at, CALLS_T(AES), &with);
	const struct calls_key *u = with < CALLS_KEYS ? &r->m.key[with] : NULL;
	draw_made(r, &m, at, false);
	const unsigned wrong = calls_draw(&r->in, 40);
	if (wrong == 0)
		m.k.n = 5;
	for (size_t i = 0; i < m.k.n; i++)
		m.k.value[i] = (uint8_t)calls_draw(&r->in, 256);
	static const struct calls_key zero = {.n = 16};
	const bool fits = u != NULL && u->type == CALLS_AES;
	CK_ULONG n = calls_wrap(fits ? u : &zero, m.k.value, m.k.n, in);
	complete(&m, u != NULL ? &u->inner[CALLS_INNER_UNWRAP] : NULL, &w);
	judge_made(r, &m, &w);
	calls_fault(&w, u == NULL, CKR_UNWRAPPING_KEY_HANDLE_INVALID);
	if (u != NULL)
		calls_judge_key(&w, u, CALLS_T(AES), CALLS_MAY_UNWRAP,
			CKR_UNWRAPPING_KEY_HANDLE_INVALID, CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT);
	CK_MECHANISM mech = {CKM_AES_KEY_WRAP_KWP, NULL, 0};
	in[3] ^= wrong == 1;
	n -= wrong == 2;
	if (wrong == 3)
		n = 0;
	if (wrong == 4)
		mech.mechanism = CKM_AES_ECB;
	/* A length that cannot be goes before a value that cannot be (5.1.6). */
	calls_fault(&w, wrong == 1, CKR_WRAPPED_KEY_INVALID);
	calls_fault(&w, wrong == 0 && m.k.type == CALLS_AES, CKR_WRAPPED_KEY_INVALID);
	calls_fault(&w, wrong == 2 || wrong == 3, CKR_WRAPPED_KEY_LEN_RANGE);
	calls_fault(&w, wrong == 4, CKR_MECHANISM_INVALID);
	calls_fault(&w, wrong >= 5 && wrong <= 7, CKR_ARGUMENTS_BAD);
	calls_fault(&w, wrong == 8, CKR_TEMPLATE_INCOMPLETE);
	const CK_RV rv = r->f->C_UnwrapKey(s, wrong == 5 ? NULL : &mech, h, wrong == 6 ? NULL : in,
		n, wrong == 8 ? m.t + 1 : m.t, m.n - (wrong == 8), wrong == 7 ? NULL : &m.k.handle);
	if (calls_check(r, "C_UnwrapKey", rv, &w) && rv == CKR_OK)
		r->m.key[room] = m.k;
}

static void
judge_wrapped(struct calls_want *w, const struct calls_key *with, const struct calls_key *k)
{
	calls_fault(w, k == NULL || k->type == CALLS_DATA, CKR_KEY_HANDLE_INVALID);
	if (k == NULL || k->type == CALLS_DATA)
		return;
	calls_fault(w, k->type == CALLS_RSA_PUBLIC, CKR_KEY_NOT_WRAPPABLE);
	if (k->type == CALLS_RSA_PUBLIC)
		return;
	calls_fault(
		w, !k->extractable && calls_broken != CALLS_BREAK_EXTRACT, CKR_KEY_UNEXTRACTABLE);
	calls_fault(w, with != NULL && !calls_inner_fits(&with->inner[CALLS_INNER_WRAP], k),
		CKR_KEY_HANDLE_INVALID);
}

static void
do_wrap(struct calls_run *r)
{
	struct calls_step t = {.r = r, .kind = CALLS_ENCRYPT};
	struct calls_op none = {0};
	unsigned with = CALLS_KEYS, key = CALLS_KEYS;
	t.op = &none;
	t.s = calls_session_handle(r, &t.session, &t.w);
	const CK_OBJECT_HANDLE h = calls_key_handle(r, t.session, CALLS_T(AES), &with);
	const CK_OBJECT_HANDLE what = calls_key_handle(r, t.session, CALLS_T_SECRET, &key);
	const struct calls_key *u = with < CALLS_KEYS ? &r->m.key[with] : NULL;
	const struct calls_key *k = key < CALLS_KEYS ? &r->m.key[key] : NULL;
	const unsigned wrong = calls_draw(&r->in, 32);
	CK_MECHANISM mech = {wrong == 0 ? CKM_AES_ECB : CKM_AES_KEY_WRAP_KWP, NULL, 0};
	if (wrong == 1)
		mech = (CK_MECHANISM){mech.mechanism, &none, 3};
	calls_fault(&t.w, wrong == 0, CKR_MECHANISM_INVALID);
	calls_fault(&t.w, wrong == 1, CKR_MECHANISM_PARAM_INVALID);
	calls_fault(&t.w, wrong == 2, CKR_ARGUMENTS_BAD);
	calls_fault(&t.w, u == NULL, CKR_WRAPPING_KEY_HANDLE_INVALID);
	if (u != NULL)
		calls_judge_key(&t.w, u, CALLS_T(AES), CALLS_MAY_WRAP,
			CKR_WRAPPING_KEY_HANDLE_INVALID, CKR_WRAPPING_KEY_TYPE_INCONSISTENT);
	judge_wrapped(&t.w, u, k);
	/* An empty generic secret is nothing that could be wrapped. */
	calls_fault(&t.w, k != NULL && k->n == 0, CKR_KEY_SIZE_RANGE);
	if (t.w.n == 0)
		t.need = calls_wrap(u, k->value, k->n, t.expect);
	calls_choose_room(&t);
	if (t.w.n == 0 && !t.query)
		calls_fault(&t.w, t.is_short, CKR_BUFFER_TOO_SMALL);
	const CK_RV rv = r->f->C_WrapKey(t.s, wrong == 2 ? NULL : &mech, h, what,
		t.query ? NULL : t.out, t.no_len ? NULL : &t.out_n);
	if (calls_check(r, "C_WrapKey", rv, &t.w) && (rv == CKR_OK || rv == CKR_BUFFER_TOO_SMALL))
		calls_compare(&t, rv, t.query && rv == CKR_OK);
	calls_step_done(&t);
}

void
calls_make(struct calls_run *r)
{
	const unsigned room = calls_room(&r->m), what = calls_draw(&r->in, 12);
	if (what < 3)
		do_wrap(r);
	else if (room == CALLS_KEYS)
		return;
	else if (what < 7)
		do_create(r, room);
	else if (what < 8)
		do_generate(r, room);
	else if (what < 10)
		do_derive(r, room);
	else
		do_unwrap(r, room);
}
