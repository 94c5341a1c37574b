/* SPDX-License-Identifier: BSD-2-Clause */
/* An operation's struct and its key: finding, holding, and letting go of it. */
#include "token/op.h"

#include <stdlib.h>

#include "token/session.h"

/* ---- the struct ---------------------------------------------------------------------------- */

bool
vs_op_active(const struct vs_session *s, enum vs_op_kind kind)
{
	return s->op[kind] != NULL && s->op[kind]->phase != VS_PHASE_IDLE;
}

static void
forget_collected(struct vs_op *op)
{
	if (op->acc_n != 0)
		vs_wipe(op->acc, VS_RSA_MAX_BYTES);
	op->acc_n = 0;
}

void
vs_op_end(struct vs_op *op)
{
	op->phase = VS_PHASE_IDLE;
	op->stopped = VS_E_OK;
	op->counted = false;
	if (op->params.n_big != 0)
		vs_params_done(&op->params);
	forget_collected(op);
}

/* Contexts and key; the object stays. */
static void
drop_key(struct vs_op *op)
{
	vs_signer_free(op->signer);
	vs_cipher_free(op->cipher);
	vs_rsa_free(op->rsa);
	vs_pkey_unref(op->key);
	vs_ukey_unref(op->ukey);
	op->signer = NULL;
	op->cipher = NULL;
	op->rsa = NULL;
	op->key = NULL;
	op->ukey = NULL;
}

void
vs_op_stop(struct vs_op *op)
{
	op->stopped = vs_ukey_allows(op->ukey, true); /* of a dead key never VS_E_OK */
	drop_key(op);
	forget_collected(op);
}

void
vs_op_drop(struct vs_op *op)
{
	vs_op_end(op);
	drop_key(op);
	vs_digest_free(op->digest);
	op->digest = NULL;
	vs_object_unref(op->object);
	op->object = NULL;
	op->checked = NULL;
}

void
vs_op_abandon(struct vs_op *op)
{
	/* References that are never given back: the arena's pages are zero here anyway. */
	if (op->object != NULL && !vs_object_is_token(op->object))
		vs_object_ref(op->object);
	if (op->key != NULL && vs_pkey_octets(op->key).p != NULL)
		(void)vs_pkey_ref(op->key);
	vs_op_drop(op);
}

void
vs_op_free(struct vs_op *op)
{
	if (op == NULL)
		return;
	vs_op_drop(op);
	free(op->acc);
	free(op);
}

/* ---- the key ------------------------------------------------------------------------------- */

static unsigned
family_of(enum vs_kind kind)
{
	switch (kind) {
	case VS_KIND_PUB_RSA:
	case VS_KIND_PRIV_RSA: return VS_FAM_RSA;
	case VS_KIND_PUB_EC:
	case VS_KIND_PRIV_EC: return VS_FAM_EC;
	case VS_KIND_AES: return VS_FAM_AES;
	case VS_KIND_GENERIC: return VS_FAM_SECRET;
	case VS_KIND_NONE:
	case VS_KIND_DATA:
	case VS_KIND_CERT:
	case VS_KIND_PROFILE:
	case VS_KIND_COUNT_: break;
	}
	return 0;
}

/* CKA_ALLOWED_MECHANISMS, where an object has one. */
static bool
allows_mechanism(const struct vs_object *o, CK_MECHANISM_TYPE type)
{
	struct vs_value v;
	if (vs_object_get(o, CKA_ALLOWED_MECHANISMS, &v) != VS_GET_OK || v.n == 0)
		return true;
	for (size_t i = 0; i + sizeof type <= v.n; i += sizeof type) {
		if (vs_load_ulong(v.p + i) == type)
			return true;
	}
	return false;
}

/* The half of a pair that this use needs: signing and opening want the secret one. */
static unsigned
kinds_for(CK_ATTRIBUTE_TYPE usage)
{
	switch (usage) {
	case CKA_SIGN:
	case CKA_SIGN_RECOVER:
	case CKA_DECRYPT:
	case CKA_UNWRAP:
	case CKA_DERIVE: return VS_K_PRIV | VS_K_SECRET;
	default: return VS_K_PUB | VS_K_SECRET;
	}
}

static VS_CK
check_object(const struct vs_session *s, const struct vs_mech *row, const struct vs_object *o,
	CK_ATTRIBUTE_TYPE usage, CK_RV bad_type)
{
	if (!(family_of(o->kind) & row->family) || !((1u << o->kind) & kinds_for(usage)))
		return bad_type;
	if (!vs_object_bool(o, usage, false))
		return CKR_KEY_FUNCTION_NOT_PERMITTED;
	if (!allows_mechanism(o, row->type))
		return CKR_MECHANISM_INVALID;
	if (row->needs == VS_SWITCH_RAW_RSA && !vs_keyuse_raw_allowed(s->token, o, usage))
		return CKR_MECHANISM_INVALID;
	return CKR_OK;
}

/* The object of the last operation, if the handle still means it. */
static bool
same_object(const struct vs_session *s, const struct vs_op *op, CK_OBJECT_HANDLE h)
{
	const struct vs_object *o = op->object;
	if (o == NULL || o->handle != h || atomic_load_explicit(&o->dead, memory_order_acquire))
		return false;
	if (!vs_object_is_token(o))
		return s->token->conf->login == VS_LOGIN_NONE;
	return s->catalog == o->catalog &&
		s->catalog_word ==
		atomic_load_explicit(&s->token->catalog_word, memory_order_acquire);
}

VS_CK
vs_op_find(struct vs_session *s, struct vs_op *op, CK_OBJECT_HANDLE h, CK_ATTRIBUTE_TYPE usage,
	CK_RV bad_handle, CK_RV bad_type)
{
	if (!same_object(s, op, h)) {
		struct vs_object *o = vs_session_object(s, h);
		/* Nor is the handle of what is no key one of a key (PKCS#11 3.0 section 5.1.6). */
		if (o == NULL || !((1u << o->kind) & VS_K_KEYS)) {
			vs_object_unref(o);
			return bad_handle;
		}
		drop_key(op);
		vs_object_unref(op->object);
		op->object = o;
		op->checked = NULL;
	}
	if (op->checked != op->row)
		VS_CK_TRY(check_object(s, op->row, op->object, usage, bad_type));
	op->checked = op->row;
	return CKR_OK;
}

/* A key that is here already needs the second factor as much as one that is fetched. */
static bool
logged_out(const struct vs_session *s, const struct vs_op *op)
{
	return op->ukey != NULL && s->token->conf->login == VS_LOGIN_PIN &&
		!atomic_load(&s->token->logged_in);
}

VS_CK
vs_op_open(struct vs_session *s, struct vs_op *op)
{
	if (op->key != NULL && !logged_out(s, op) &&
		vs_ukey_allows_watched(op->ukey, false, &s->watch) == VS_E_OK)
		return CKR_OK;
	drop_key(op);
	return vs_keyuse_open(s->token, op->object, &op->key, &op->ukey);
}

/*
 * For the audit log. An operation in parts is one use, and so is one whose buffer was too short at
 * first; of messages under one key each is one. Counted before the step: what was not counted is
 * not done.
 */
static void
count_use(const struct vs_session *s, struct vs_op *op)
{
	const bool each = op->phase == VS_PHASE_IDLE || op->phase == VS_PHASE_MESSAGE;
	if (op->phase == VS_PHASE_MESSAGE_PARTS)
		return;
	op->counted = !each;
	vs_uses_add(op->ukey->uses, op->ukey->key_no, s->index);
}

/* Apart from the step itself, which is taken thousands of times and needs no room for errors. */
__attribute__((noinline, cold)) static VS_CK
refuse_step(struct vs_session *s, struct vs_op *op, enum vs_code code)
{
	struct vs_err err = {0};
	const vs_rc rc = vs_err_put(&err, code, __func__, __LINE__, 0, "%s", vs_code_text(code));
	vs_token_note(s->token, "an operation was stopped", rc, &err);
	vs_op_end(op);
	drop_key(op);
	vs_keyuse_sweep(s->token, s);
	return vs_ckrv_code(code, VS_DOING_ANY);
}

VS_CK
vs_op_allowed(struct vs_session *s, struct vs_op *op)
{
	if (op->ukey == NULL && op->stopped == VS_E_OK)
		return CKR_OK; /* no lease is needed */
	if (logged_out(s, op)) {
		vs_op_drop(op);
		return CKR_USER_NOT_LOGGED_IN;
	}
	const enum vs_code code = op->stopped != VS_E_OK
		? op->stopped
		: vs_ukey_allows_watched(op->ukey, true, &s->watch);
	if (code != VS_E_OK)
		return refuse_step(s, op, code);
	if (op->ukey != NULL && !op->counted)
		count_use(s, op);
	return CKR_OK;
}
