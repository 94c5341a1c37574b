/* SPDX-License-Identifier: BSD-2-Clause */
#include "token/op.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/ossl.h"
#include "token/session.h"

/* What each kind of operation asks of mechanism and key. */
static const struct {
	CK_FLAGS flag;
	CK_ATTRIBUTE_TYPE usage;
	enum vs_param_use use;
	enum vs_doing doing;
} facts[VS_OP_COUNT_] = {
	[VS_OP_SIGN] = {CKF_SIGN, CKA_SIGN, VS_USE_SIGN, VS_DOING_SIGN},
	[VS_OP_VERIFY] = {CKF_VERIFY, CKA_VERIFY, VS_USE_SIGN, VS_DOING_VERIFY},
	[VS_OP_ENCRYPT] = {CKF_ENCRYPT, CKA_ENCRYPT, VS_USE_CRYPT, VS_DOING_ENCRYPT},
	[VS_OP_DECRYPT] = {CKF_DECRYPT, CKA_DECRYPT, VS_USE_CRYPT, VS_DOING_DECRYPT},
	[VS_OP_DIGEST] = {CKF_DIGEST, 0, VS_USE_CRYPT, VS_DOING_ANY},
	[VS_OP_MSG_ENCRYPT] = {CKF_MESSAGE_ENCRYPT, CKA_ENCRYPT, VS_USE_CRYPT, VS_DOING_ENCRYPT},
	[VS_OP_MSG_DECRYPT] = {CKF_MESSAGE_DECRYPT, CKA_DECRYPT, VS_USE_CRYPT, VS_DOING_DECRYPT},
};

/* ---- the struct ---------------------------------------------------------------------------- */

static struct vs_op *
have_op(struct vs_session *s, enum vs_op_kind kind)
{
	if (s->op[kind] == NULL) {
		s->op[kind] = calloc(1, sizeof *s->op[kind]);
		if (s->op[kind] != NULL)
			*s->op[kind] = (struct vs_op){.inst = s->token->inst, .kind = kind};
	}
	return s->op[kind];
}

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
		if (o == NULL)
			return bad_handle;
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
	if (op->key != NULL && !logged_out(s, op) && vs_ukey_allows(op->ukey, false) == VS_E_OK)
		return CKR_OK;
	drop_key(op);
	return vs_keyuse_open(s->token, op->object, &op->key, &op->ukey);
}

/* ---- init ---------------------------------------------------------------------------------- */

static const struct vs_engine *
engine_for(enum vs_op_kind kind, const struct vs_mech *row)
{
	switch (kind) {
	case VS_OP_SIGN:
	case VS_OP_VERIFY: return &vs_engine_sign;
	case VS_OP_DIGEST: return &vs_engine_digest;
	case VS_OP_ENCRYPT:
	case VS_OP_DECRYPT:
	case VS_OP_MSG_ENCRYPT:
	case VS_OP_MSG_DECRYPT:
		return row->cipher != VS_CIPHER_NONE ? &vs_engine_cipher : &vs_engine_rsa;
	case VS_OP_COUNT_: break;
	}
	return NULL;
}

static VS_CK
set_up(struct vs_session *s, struct vs_op *op, const void *mechanism, CK_OBJECT_HANDLE key)
{
	const bool message = op->kind == VS_OP_MSG_ENCRYPT || op->kind == VS_OP_MSG_DECRYPT;
	/* op->row is the last one: mostly it is the same again. */
	VS_CK_TRY(vs_param_row(mechanism, facts[op->kind].flag, &op->row));
	op->engine = engine_for(op->kind, op->row);
	if (op->kind == VS_OP_DIGEST) {
		VS_CK_TRY(vs_param_parse(mechanism, op->row, VS_USE_CRYPT, &op->params));
		return op->engine->prepare(op);
	}
	VS_CK_TRY(vs_op_find(s, op, key, facts[op->kind].usage, CKR_KEY_HANDLE_INVALID,
		CKR_KEY_TYPE_INCONSISTENT));
	if (!message) {
		struct vs_key_desc desc;
		VS_CK_TRY(vs_param_parse(mechanism, op->row, facts[op->kind].use, &op->params));
		vs_keyuse_desc(op->object, &desc);
		VS_CK_TRY(op->engine->check(op, &desc));
	} else {
		/* Each message brings its own parameters. */
		op->params.row = op->row;
	}
	VS_CK_TRY(vs_op_open(s, op));
	return op->engine->prepare(op);
}

VS_CK
vs_op_init(struct vs_session *s, enum vs_op_kind kind, const void *mechanism, CK_OBJECT_HANDLE key)
{
	struct vs_op *op = have_op(s, kind);
	if (op == NULL)
		return CKR_HOST_MEMORY;
	if (op->phase != VS_PHASE_IDLE) {
		/* Version 3.0: no mechanism means "forget it". */
		if (mechanism == NULL) {
			vs_op_end(op);
			return CKR_OK;
		}
		return CKR_OPERATION_ACTIVE;
	}
	/* At the end of a process libcrypto goes first; a context that is left is of no use. */
	if (vs_ossl_gone())
		return vs_ckrv_code(VS_E_STATE, VS_DOING_ANY);
	const CK_RV rv = set_up(s, op, mechanism, key);
	if (rv != CKR_OK) {
		vs_op_end(op);
		return rv;
	}
	op->phase = kind == VS_OP_MSG_ENCRYPT || kind == VS_OP_MSG_DECRYPT ? VS_PHASE_MESSAGE
									   : VS_PHASE_READY;
	return CKR_OK;
}

/* ---- steps --------------------------------------------------------------------------------- */

bool
vs_op_room(size_t need, bool exact, const void *out, CK_ULONG *out_n, CK_RV *ret)
{
	if (out == NULL) {
		*out_n = need;
		*ret = CKR_OK;
		return false;
	}
	if (exact && *out_n < need) {
		*out_n = need;
		*ret = CKR_BUFFER_TOO_SMALL;
		return false;
	}
	return true;
}

VS_CK
vs_op_allowed(struct vs_session *s, struct vs_op *op)
{
	if (logged_out(s, op)) {
		vs_op_drop(op);
		return CKR_USER_NOT_LOGGED_IN;
	}
	const enum vs_code code =
		op->stopped != VS_E_OK ? op->stopped : vs_ukey_allows(op->ukey, true);
	if (code == VS_E_OK)
		return CKR_OK;
	struct vs_err err = {0};
	const vs_rc rc = vs_err_put(&err, code, __func__, __LINE__, 0, "%s", vs_code_text(code));
	vs_token_note(s->token, "an operation was stopped", rc, &err);
	vs_op_end(op);
	drop_key(op);
	vs_keyuse_sweep(s->token, s);
	return vs_ckrv_code(code, VS_DOING_ANY);
}

/* The operation, if it is in one of two phases. */
static VS_CK
get(struct vs_session *s, enum vs_op_kind kind, enum vs_phase a, enum vs_phase b,
	struct vs_op **ret)
{
	struct vs_op *op = s->op[kind];
	if (op == NULL || op->phase == VS_PHASE_IDLE)
		return CKR_OPERATION_NOT_INITIALIZED;
	if (op->phase != a && op->phase != b) {
		/* A single-part call cannot end what is in parts: like every error it ends it. */
		if (op->phase == VS_PHASE_MULTI)
			vs_op_end(op);
		return CKR_OPERATION_ACTIVE;
	}
	if (op->stopped != VS_E_OK)
		return vs_op_allowed(s, op);
	*ret = op;
	return CKR_OK;
}

static bool
bad_input(const void *in, CK_ULONG in_n)
{
	/* Half the address space is more than anybody has, and sums of sizes stay in range. */
	return (in == NULL && in_n != 0) || in_n > SIZE_MAX / 4;
}

/* After a step with output: a short buffer keeps the operation, all else ends it. */
static CK_RV
finish(struct vs_op *op, CK_RV rv, size_t n, CK_ULONG *out_n)
{
	if (rv == CKR_OK || rv == CKR_BUFFER_TOO_SMALL)
		*out_n = n;
	if (rv != CKR_BUFFER_TOO_SMALL)
		vs_op_end(op);
	return rv;
}

VS_CK
vs_op_once(struct vs_session *s, enum vs_op_kind kind, const void *in, CK_ULONG in_n, void *out,
	CK_ULONG *out_n)
{
	struct vs_op *op = NULL;
	CK_RV rv = CKR_OK;
	VS_CK_TRY(get(s, kind, VS_PHASE_READY, VS_PHASE_READY, &op));
	if (out_n == NULL || bad_input(in, in_n)) {
		vs_op_end(op);
		return CKR_ARGUMENTS_BAD;
	}
	bool exact = true;
	const size_t size = op->engine->once_size(op, in_n, &exact);
	if (!vs_op_room(size, exact, out, out_n, &rv))
		return rv;
	VS_CK_TRY(vs_op_allowed(s, op));
	size_t n = 0;
	rv = op->engine->once(op, (struct vs_bytes){in, in_n}, out, *out_n, &n);
	return finish(op, rv, n, out_n);
}

VS_CK
vs_op_update(struct vs_session *s, enum vs_op_kind kind, const void *in, CK_ULONG in_n, void *out,
	CK_ULONG *out_n)
{
	struct vs_op *op = NULL;
	CK_RV rv = CKR_OK;
	const bool gives = kind == VS_OP_ENCRYPT || kind == VS_OP_DECRYPT;
	VS_CK_TRY(get(s, kind, VS_PHASE_READY, VS_PHASE_MULTI, &op));
	if (bad_input(in, in_n) || (gives && out_n == NULL)) {
		vs_op_end(op);
		return CKR_ARGUMENTS_BAD;
	}
	if (op->phase == VS_PHASE_READY) {
		/* The query below needs a started context; starting again later costs nothing. */
		rv = op->engine->start(op);
		if (rv != CKR_OK) {
			vs_op_end(op);
			return rv;
		}
	}
	if (gives && !vs_op_room(op->engine->update_size(op, in_n), true, out, out_n, &rv))
		return rv;
	VS_CK_TRY(vs_op_allowed(s, op));
	size_t n = 0;
	rv = op->engine->update(op, (struct vs_bytes){in, in_n}, out, gives ? *out_n : 0, &n);
	if (rv != CKR_OK && rv != CKR_BUFFER_TOO_SMALL)
		vs_op_end(op);
	else if (rv == CKR_OK)
		op->phase = VS_PHASE_MULTI;
	if (gives && (rv == CKR_OK || rv == CKR_BUFFER_TOO_SMALL))
		*out_n = n;
	return rv;
}

VS_CK
vs_op_final(struct vs_session *s, enum vs_op_kind kind, void *out, CK_ULONG *out_n)
{
	struct vs_op *op = NULL;
	CK_RV rv = CKR_OK;
	VS_CK_TRY(get(s, kind, VS_PHASE_READY, VS_PHASE_MULTI, &op));
	if (out_n == NULL) {
		vs_op_end(op);
		return CKR_ARGUMENTS_BAD;
	}
	if (op->phase == VS_PHASE_READY) {
		/* No part came at all: the empty message. */
		rv = op->engine->start(op);
		if (rv != CKR_OK) {
			vs_op_end(op);
			return rv;
		}
		op->phase = VS_PHASE_MULTI;
	}
	bool exact = true;
	const size_t size = op->engine->final_size(op, &exact);
	if (!vs_op_room(size, exact, out, out_n, &rv))
		return rv;
	VS_CK_TRY(vs_op_allowed(s, op));
	size_t n = 0;
	rv = op->engine->final(op, out, *out_n, &n);
	return finish(op, rv, n, out_n);
}

VS_CK
vs_op_verify(struct vs_session *s, const void *in, CK_ULONG in_n, const void *sig, CK_ULONG sig_n)
{
	struct vs_op *op = NULL;
	VS_CK_TRY(get(s, VS_OP_VERIFY, VS_PHASE_READY, VS_PHASE_READY, &op));
	if (bad_input(in, in_n) || sig == NULL || bad_input(sig, sig_n)) {
		vs_op_end(op);
		return CKR_ARGUMENTS_BAD;
	}
	VS_CK_TRY(vs_op_allowed(s, op));
	const CK_RV rv = op->engine->verify_once(
		op, (struct vs_bytes){in, in_n}, (struct vs_bytes){sig, sig_n});
	vs_op_end(op);
	return rv;
}

VS_CK
vs_op_verify_final(struct vs_session *s, const void *sig, CK_ULONG sig_n)
{
	struct vs_op *op = NULL;
	CK_RV rv = CKR_OK;
	VS_CK_TRY(get(s, VS_OP_VERIFY, VS_PHASE_READY, VS_PHASE_MULTI, &op));
	if (sig == NULL || bad_input(sig, sig_n)) {
		vs_op_end(op);
		return CKR_ARGUMENTS_BAD;
	}
	VS_CK_TRY(vs_op_allowed(s, op));
	if (op->phase == VS_PHASE_READY)
		rv = op->engine->start(op);
	if (rv == CKR_OK)
		rv = op->engine->verify_final(op, (struct vs_bytes){sig, sig_n});
	vs_op_end(op);
	return rv;
}
