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
	[VS_OP_SIGN_RECOVER] = {CKF_SIGN_RECOVER, CKA_SIGN_RECOVER, VS_USE_SIGN, VS_DOING_SIGN},
	[VS_OP_VERIFY_RECOVER] = {CKF_VERIFY_RECOVER, CKA_VERIFY_RECOVER, VS_USE_SIGN,
		VS_DOING_VERIFY},
	[VS_OP_MSG_SIGN] = {CKF_MESSAGE_SIGN, CKA_SIGN, VS_USE_SIGN, VS_DOING_SIGN},
	[VS_OP_MSG_VERIFY] = {CKF_MESSAGE_VERIFY, CKA_VERIFY, VS_USE_SIGN, VS_DOING_VERIFY},
};

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

/* ---- init ---------------------------------------------------------------------------------- */

static const struct vs_engine *
engine_for(enum vs_op_kind kind, const struct vs_mech *row)
{
	switch (kind) {
	case VS_OP_SIGN:
	case VS_OP_VERIFY:
	case VS_OP_SIGN_RECOVER:
	case VS_OP_MSG_SIGN:
	case VS_OP_MSG_VERIFY: return &vs_engine_sign;
	case VS_OP_VERIFY_RECOVER: return &vs_engine_recover;
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

/* Each message brings its own. */
static bool
own_parameters(enum vs_op_kind kind)
{
	return kind == VS_OP_MSG_ENCRYPT || kind == VS_OP_MSG_DECRYPT;
}

static bool
is_message(enum vs_op_kind kind)
{
	return own_parameters(kind) || kind == VS_OP_MSG_SIGN || kind == VS_OP_MSG_VERIFY;
}

static VS_CK
set_up(struct vs_session *s, struct vs_op *op, const void *mechanism, CK_OBJECT_HANDLE key)
{
	/* op->row is the last one: mostly it is the same again. */
	VS_CK_TRY(vs_param_row(mechanism, facts[op->kind].flag, &op->row));
	op->engine = engine_for(op->kind, op->row);
	if (op->kind == VS_OP_DIGEST) {
		VS_CK_TRY(vs_param_none(mechanism)); /* no digest has one */
		return op->engine->prepare(op);
	}
	VS_CK_TRY(vs_op_find(s, op, key, facts[op->kind].usage, CKR_KEY_HANDLE_INVALID,
		CKR_KEY_TYPE_INCONSISTENT));
	if (!own_parameters(op->kind)) {
		struct vs_key_desc desc;
		VS_CK_TRY(vs_param_parse(mechanism, op->row, facts[op->kind].use, &op->params));
		vs_keyuse_desc(op->object, &desc);
		VS_CK_TRY(op->engine->check(op, &desc));
	} else {
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
	op->phase = is_message(kind) ? VS_PHASE_MESSAGE : VS_PHASE_READY;
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

/* The operation, if it is in one of two phases. */
static VS_CK
get(struct vs_session *s, enum vs_op_kind kind, enum vs_phase a, enum vs_phase b,
	struct vs_op **ret)
{
	struct vs_op *op = s->op[kind];
	if (op == NULL || op->phase == VS_PHASE_IDLE)
		return CKR_OPERATION_NOT_INITIALIZED;
	if (op->phase != a && op->phase != b) {
		/* One call cannot end what is in parts, nor parts what one call began; like every
		 * error it ends it. */
		if (op->phase == VS_PHASE_MULTI || op->phase == VS_PHASE_ONCE)
			vs_op_end(op);
		return CKR_OPERATION_ACTIVE;
	}
	if (op->stopped != VS_E_OK)
		return vs_op_allowed(s, op);
	*ret = op;
	return CKR_OK;
}

bool
vs_op_bad_input(const void *in, CK_ULONG in_n)
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
	VS_CK_TRY(get(s, kind, VS_PHASE_READY, VS_PHASE_ONCE, &op));
	if (out_n == NULL || vs_op_bad_input(in, in_n)) {
		vs_op_end(op);
		return CKR_ARGUMENTS_BAD;
	}
	bool exact = true;
	const size_t size = op->engine->once_size(op, in_n, &exact);
	op->phase = VS_PHASE_ONCE;
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
	if (vs_op_bad_input(in, in_n) || (gives && out_n == NULL)) {
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
	if (vs_op_bad_input(in, in_n) || sig == NULL || vs_op_bad_input(sig, sig_n)) {
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
	if (sig == NULL || vs_op_bad_input(sig, sig_n)) {
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
