/* SPDX-License-Identifier: BSD-2-Clause */
/* Objects that are there (PKCS#11 3.0 sections 4.1.2, 4.1.3, 5.7): read, changed, copied, gone. */
#include "fuzz/calls.h"

#include <string.h>

static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;

unsigned
calls_room(const struct calls_model *m)
{
	unsigned room = CALLS_TOKEN_KEYS;
	while (room < CALLS_KEYS && m->key[room].alive)
		room++;
	return room;
}

CK_KEY_TYPE
calls_key_type(const struct calls_key *k)
{
	switch (k->type) {
	case CALLS_AES: return CKK_AES;
	case CALLS_GENERIC: return CKK_GENERIC_SECRET;
	case CALLS_RSA_PRIVATE:
	case CALLS_RSA_PUBLIC: return CKK_RSA;
	case CALLS_DATA: break;
	}
	return CK_UNAVAILABLE_INFORMATION;
}

/* ---- templates inside keys ------------------------------------------------------------------- */

CK_ULONG
calls_inner_put(const struct calls_inner *inner, CK_ATTRIBUTE out[2])
{
	CK_ULONG n = 0;
	if (inner->flag != 0)
		out[n++] = (CK_ATTRIBUTE){inner->flag, (void *)(uintptr_t)&inner->yes, 1};
	if (inner->with_type)
		out[n++] = (CK_ATTRIBUTE){
			CKA_KEY_TYPE, (void *)(uintptr_t)&inner->type, sizeof inner->type};
	return n;
}

bool
calls_inner_fits(const struct calls_inner *inner, const struct calls_key *k)
{
	const bool is = inner->yes == CK_TRUE;
	if (!inner->there || calls_broken == CALLS_BREAK_INNER_WRAP)
		return true;
	if (inner->with_type && inner->type != calls_key_type(k))
		return false;
	switch (inner->flag) {
	case CKA_SIGN: return is == ((k->may & CALLS_MAY_SIGN) != 0);
	case CKA_SENSITIVE: return is == k->sensitive;
	case CKA_EXTRACTABLE: return is == k->extractable;
	default: return true;
	}
}

/* 5.7.5: types are set, lengths said, values copied where there is room. */
static void
read_inner(struct calls_run *r, CK_SESSION_HANDLE s, CK_OBJECT_HANDLE h, const struct calls_key *k)
{
	static const CK_ATTRIBUTE_TYPE types[CALLS_INNERS] = {
		CKA_WRAP_TEMPLATE, CKA_UNWRAP_TEMPLATE, CKA_DERIVE_TEMPLATE};
	struct calls_want w = {.n = 0};
	uint8_t values[2][8];
	CK_ATTRIBUTE got[2], have[2];
	const unsigned which = calls_draw(&r->in, CALLS_INNERS), how = calls_draw(&r->in, 5);
	const CK_ULONG n = calls_inner_put(&k->inner[which], have);
	CK_ATTRIBUTE a = {types[which], how == 0 ? NULL : got, n * sizeof *got};
	bool lacks = how == 2 && n != 0;
	for (CK_ULONG i = 0; i < n; i++) {
		got[i] = (CK_ATTRIBUTE){4711, how == 1 ? NULL : values[i], how == 3 ? 0 : 8};
		lacks = lacks || how == 3;
	}
	if (how == 2)
		a.ulValueLen -= n != 0;
	calls_fault(&w, !k->inner[which].there, CKR_ATTRIBUTE_TYPE_INVALID);
	calls_fault(&w, w.n == 0 && lacks, CKR_BUFFER_TOO_SMALL);
	const CK_RV rv = r->f->C_GetAttributeValue(s, h, &a, 1);
	if (!calls_check(r, "template inside", rv, &w))
		return;
	const bool none = rv == CKR_ATTRIBUTE_TYPE_INVALID || (rv != CKR_OK && how == 2);
	if (a.ulValueLen != (none ? CK_UNAVAILABLE_INFORMATION : n * sizeof *got))
		calls_differ(r, "template inside", "has another length");
	for (CK_ULONG i = 0; i < n && how != 0 && !none; i++) {
		if (got[i].type != have[i].type ||
			got[i].ulValueLen !=
				(how == 3 ? CK_UNAVAILABLE_INFORMATION : have[i].ulValueLen) ||
			(how == 4 && memcmp(values[i], have[i].pValue, have[i].ulValueLen) != 0))
			calls_differ(r, "template inside", "is not what was given");
	}
}

/* ---- reading --------------------------------------------------------------------------------- */

static void
read_value(struct calls_run *r, CK_SESSION_HANDLE s, CK_OBJECT_HANDLE h, const struct calls_key *k)
{
	struct calls_want w = {.n = 0};
	uint8_t value[64];
	CK_ATTRIBUTE t = {CKA_VALUE, value, sizeof value};
	const bool is_short = calls_draw(&r->in, 4) == 0;
	const bool rsa = k->type == CALLS_RSA_PUBLIC || k->type == CALLS_RSA_PRIVATE;
	if (is_short)
		t.ulValueLen = k->n != 0 ? 3 : 0;
	calls_fault(&w, rsa, CKR_ATTRIBUTE_TYPE_INVALID);
	calls_fault(&w, !rsa && k->type != CALLS_DATA && (k->sensitive || !k->extractable),
		CKR_ATTRIBUTE_SENSITIVE);
	calls_fault(&w, w.n == 0 && is_short && k->n != 0, CKR_BUFFER_TOO_SMALL);
	const CK_RV rv = r->f->C_GetAttributeValue(s, h, &t, 1);
	if (!calls_check(r, "CKA_VALUE", rv, &w))
		return;
	if (rv != CKR_OK && t.ulValueLen != CK_UNAVAILABLE_INFORMATION)
		calls_differ(r, "CKA_VALUE", "gives a length for what it does not give");
	if (rv == CKR_OK && (t.ulValueLen != k->n || memcmp(value, k->value, k->n) != 0))
		calls_differ(r, "CKA_VALUE", "is another one");
}

/* Flags of a secret key, of which some say what was. */
static void
read_flags(struct calls_run *r, CK_SESSION_HANDLE s, CK_OBJECT_HANDLE h, const struct calls_key *k)
{
	static const CK_ATTRIBUTE_TYPE types[] = {CKA_SENSITIVE, CKA_EXTRACTABLE,
		CKA_ALWAYS_SENSITIVE, CKA_NEVER_EXTRACTABLE, CKA_LOCAL, CKA_PRIVATE, CKA_COPYABLE,
		CKA_MODIFIABLE, CKA_DESTROYABLE, CKA_ENCRYPT, CKA_DECRYPT, CKA_SIGN, CKA_VERIFY,
		CKA_WRAP, CKA_UNWRAP, CKA_DERIVE};
	enum { N = sizeof types / sizeof types[0], USES_AT = 9 };
	const bool want[N] = {k->sensitive, k->extractable, k->always, k->never, k->local,
		k->private, k->copyable, k->modifiable, k->destroyable, k->may & CALLS_MAY_ENCRYPT,
		k->may & CALLS_MAY_DECRYPT, k->may & CALLS_MAY_SIGN, k->may & CALLS_MAY_VERIFY,
		k->may & CALLS_MAY_WRAP, k->may & CALLS_MAY_UNWRAP, k->may & CALLS_MAY_DERIVE};
	const struct calls_want none = {.n = 0};
	CK_BBOOL got[N];
	CK_ATTRIBUTE t[N];
	for (unsigned i = 0; i < N; i++)
		t[i] = (CK_ATTRIBUTE){types[i], &got[i], 1};
	if (!calls_check(r, "flags", r->f->C_GetAttributeValue(s, h, t, N), &none))
		return;
	for (unsigned i = 0; i < N; i++) {
		if (t[i].ulValueLen != 1 || got[i] != (want[i] ? CK_TRUE : CK_FALSE))
			calls_differ(r, "flags", "are not what they should be");
	}
}

static void
do_read(struct calls_run *r)
{
	struct calls_want w = {.n = 0};
	unsigned at = CALLS_SESSIONS, key = CALLS_KEYS;
	const CK_SESSION_HANDLE s = calls_session_handle(r, &at, &w);
	const CK_OBJECT_HANDLE h = calls_key_handle(r, at, ~0U, &key);
	const unsigned what = calls_draw(&r->in, 3);
	CK_ATTRIBUTE t = {CKA_TOKEN, NULL, 0};
	CK_ULONG size = 0;
	calls_fault(&w, w.n == 0 && key == CALLS_KEYS, CKR_OBJECT_HANDLE_INVALID);
	if (w.n != 0) {
		calls_check(r, "C_GetAttributeValue", r->f->C_GetAttributeValue(s, h, &t, 1), &w);
		calls_check(r, "C_GetObjectSize", r->f->C_GetObjectSize(s, h, &size), &w);
		return;
	}
	const struct calls_key *k = &r->m.key[key];
	const bool secret = k->type == CALLS_AES || k->type == CALLS_GENERIC;
	if (what == 0 || !secret)
		read_value(r, s, h, k);
	else if (what == 1)
		read_flags(r, s, h, k);
	else
		read_inner(r, s, h, k);
}

/* ---- changing and copying -------------------------------------------------------------------- */

/* Change one attribute of k as a copy or in place would; false: not at all. */
static void
change(struct calls_run *r, struct calls_key *k, bool copy, CK_ATTRIBUTE *a, struct calls_want *w)
{
	const bool latch = calls_broken != CALLS_BREAK_LATCH, up = calls_draw(&r->in, 2);
	const bool data = k->type == CALLS_DATA;
	const CK_RV read_only = data ? CKR_ATTRIBUTE_TYPE_INVALID : CKR_ATTRIBUTE_READ_ONLY;
	void *is = up ? &yes : &no;
	switch (calls_draw(&r->in, 10)) {
	case 0:
		*a = (CK_ATTRIBUTE){CKA_SENSITIVE, is, 1};
		calls_fault(w, data, CKR_ATTRIBUTE_TYPE_INVALID);
		calls_fault(w, !data && k->sensitive && !up && latch, CKR_ATTRIBUTE_READ_ONLY);
		k->sensitive = up;
		break;
	case 1:
		*a = (CK_ATTRIBUTE){CKA_EXTRACTABLE, is, 1};
		calls_fault(w, data, CKR_ATTRIBUTE_TYPE_INVALID);
		calls_fault(w, !data && !k->extractable && up && latch, CKR_ATTRIBUTE_READ_ONLY);
		k->extractable = up;
		break;
	case 2:
		*a = (CK_ATTRIBUTE){CKA_SIGN, is, 1};
		calls_fault(w, true, read_only);
		break;
	case 3:
		*a = (CK_ATTRIBUTE){CKA_UNWRAP_TEMPLATE, NULL, 0};
		calls_fault(w, true, read_only);
		break;
	case 4:
		*a = (CK_ATTRIBUTE){CKA_LOCAL, is, 1};
		calls_fault(w, true, read_only);
		break;
	case 5:
		*a = (CK_ATTRIBUTE){0x12345678UL, is, 1};
		calls_fault(w, true, CKR_ATTRIBUTE_TYPE_INVALID);
		break;
	case 6:
		*a = (CK_ATTRIBUTE){CKA_PRIVATE, is, 1};
		calls_fault(w, !copy, CKR_ATTRIBUTE_READ_ONLY);
		calls_fault(w, copy && up && k->slot == 1 && !r->m.logged_in[1],
			CKR_USER_NOT_LOGGED_IN);
		k->private = up;
		break;
	case 7:
		*a = (CK_ATTRIBUTE){CKA_DESTROYABLE, is, 1};
		calls_fault(w, !copy, CKR_ATTRIBUTE_READ_ONLY);
		k->destroyable = up;
		break;
	case 8:
		*a = (CK_ATTRIBUTE){CKA_TOKEN, &yes, 1};
		calls_fault(w, true, copy ? CKR_TOKEN_WRITE_PROTECTED : CKR_ATTRIBUTE_READ_ONLY);
		break;
	default: *a = (CK_ATTRIBUTE){CKA_LABEL, &yes, 1}; break;
	}
}

static void
do_change(struct calls_run *r, bool copy)
{
	struct calls_want w = {.n = 0};
	unsigned at = CALLS_SESSIONS, key = CALLS_KEYS;
	const CK_SESSION_HANDLE s = calls_session_handle(r, &at, &w);
	const CK_OBJECT_HANDLE h = calls_key_handle(r, at, CALLS_T_SECRET, &key);
	const unsigned room = calls_room(&r->m);
	const bool null = copy && calls_draw(&r->in, 16) == 0;
	struct calls_key k = key < CALLS_KEYS ? r->m.key[key] : (struct calls_key){0};
	CK_ATTRIBUTE a;
	if (copy && room == CALLS_KEYS)
		return;
	calls_fault(&w, at < CALLS_SESSIONS && key == CALLS_KEYS, CKR_OBJECT_HANDLE_INVALID);
	calls_fault(&w, null, CKR_ARGUMENTS_BAD);
	const bool there = key < CALLS_KEYS;
	if (copy)
		calls_fault(&w, there && !k.copyable && calls_broken != CALLS_BREAK_COPY,
			CKR_ACTION_PROHIBITED);
	else
		calls_fault(&w, there && (k.token || !k.modifiable),
			k.token ? CKR_TOKEN_WRITE_PROTECTED : CKR_ACTION_PROHIBITED);
	if (there && !k.token)
		change(r, &k, copy, &a, &w);
	else
		a = (CK_ATTRIBUTE){CKA_LABEL, &yes, 1};
	if (!copy) {
		const CK_RV rv = r->f->C_SetAttributeValue(s, h, &a, 1);
		if (calls_check(r, "C_SetAttributeValue", rv, &w) && rv == CKR_OK)
			r->m.key[key] = k;
		return;
	}
	const CK_RV rv = r->f->C_CopyObject(s, h, &a, 1, null ? NULL : &k.handle);
	if (calls_check(r, "C_CopyObject", rv, &w) && rv == CKR_OK) {
		k.owner = at;
		r->m.key[room] = k;
	}
}

static void
do_destroy(struct calls_run *r)
{
	struct calls_want w = {.n = 0};
	unsigned at = CALLS_SESSIONS, key = CALLS_KEYS;
	const CK_SESSION_HANDLE s = calls_session_handle(r, &at, &w);
	const CK_OBJECT_HANDLE h = calls_key_handle(r, at, ~0U, &key);
	calls_fault(&w, at < CALLS_SESSIONS && key == CALLS_KEYS, CKR_OBJECT_HANDLE_INVALID);
	calls_fault(&w, key < CALLS_KEYS && !r->m.key[key].destroyable, CKR_ACTION_PROHIBITED);
	const CK_RV rv = r->f->C_DestroyObject(s, h);
	if (calls_check(r, "C_DestroyObject", rv, &w) && rv == CKR_OK)
		r->m.key[key].alive = false;
}

void
calls_object(struct calls_run *r)
{
	switch (calls_draw(&r->in, 8)) {
	case 0:
	case 1: do_destroy(r); break;
	case 2: do_change(r, true); break;
	case 3:
	case 4: do_change(r, false); break;
	default: do_read(r); break;
	}
}

/* ---- the token's own ------------------------------------------------------------------------- */

static void
learn(struct calls_run *r, CK_SESSION_HANDLE s, struct calls_key *k, CK_OBJECT_CLASS class,
	const char *label)
{
	const struct calls_want w = {.n = 0};
	CK_ATTRIBUTE t[] = {{CKA_CLASS, &class, sizeof class},
		{CKA_LABEL, (void *)(uintptr_t)label, strlen(label)}};
	CK_ULONG n = 0;
	calls_check(r, "C_FindObjectsInit", r->f->C_FindObjectsInit(s, t, 2), &w);
	calls_check(r, "C_FindObjects", r->f->C_FindObjects(s, &k->handle, 1, &n), &w);
	calls_check(r, "C_FindObjectsFinal", r->f->C_FindObjectsFinal(s), &w);
	if (n != 1)
		calls_differ(r, label, "is not there");
}

void
calls_learn_token_keys(struct calls_run *r, unsigned session)
{
	const CK_SESSION_HANDLE s = r->m.s[session].handle;
	struct calls_key *k = r->m.key;
	if (r->m.s[session].slot != 0 || k->alive)
		return;
	/* They were elsewhere before, and the vault says what they may do. */
	k[0] = (struct calls_key){.alive = true,
		.token = true,
		.type = CALLS_AES,
		.sensitive = true,
		.n = 32,
		.may = CALLS_MAY_ENCRYPT | CALLS_MAY_DECRYPT | CALLS_MAY_DERIVE};
	for (unsigned i = 0; i < 32; i++)
		k[0].value[i] = (uint8_t)(i + 32);
	k[1] = (struct calls_key){.alive = true,
		.token = true,
		.type = CALLS_RSA_PRIVATE,
		.sensitive = true,
		.may = CALLS_MAY_RECOVER | CALLS_MAY_SIGN | CALLS_MAY_DECRYPT | CALLS_MAY_UNWRAP};
	k[2] = (struct calls_key){.alive = true,
		.token = true,
		.type = CALLS_RSA_PUBLIC,
		.may = CALLS_MAY_RECOVER | CALLS_MAY_VERIFY | CALLS_MAY_ENCRYPT | CALLS_MAY_WRAP};
	learn(r, s, &k[0], CKO_SECRET_KEY, "aes256");
	learn(r, s, &k[1], CKO_PRIVATE_KEY, "rsa2048");
	learn(r, s, &k[2], CKO_PUBLIC_KEY, "rsa2048");
}
