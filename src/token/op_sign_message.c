/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Version 3.0 signatures of messages: one key and mechanism, many messages, each in one call or in
 * parts. A mistake with one message ends that message; the next may follow.
 */
#include "token/session.h"

/* The message is over, if the operation still is. */
static void
leave_message(struct vs_op *op)
{
	if (op->phase == VS_PHASE_MESSAGE_PARTS)
		op->phase = VS_PHASE_MESSAGE;
}

static VS_CK
check_args(CK_ULONG parameter_n, const void *in, CK_ULONG in_n)
{
	if (parameter_n != 0)
		return CKR_MECHANISM_PARAM_INVALID;
	return vs_op_bad_input(in, in_n) ? CKR_ARGUMENTS_BAD : CKR_OK;
}

VS_CK
vs_op_sign_message(struct vs_session *s, CK_ULONG parameter_n, const void *in, CK_ULONG in_n,
	void *sig, CK_ULONG *sig_n)
{
	struct vs_op *op = NULL;
	CK_RV rv = CKR_OK;
	bool exact = true;
	size_t n = 0;
	VS_CK_TRY(vs_op_message_get(s, VS_OP_MSG_SIGN, VS_PHASE_MESSAGE, &op));
	VS_CK_TRY(check_args(parameter_n, in, in_n));
	if (sig_n == NULL)
		return CKR_ARGUMENTS_BAD;
	if (!vs_op_room(op->engine->once_size(op, in_n, &exact), exact, sig, sig_n, &rv))
		return rv;
	VS_CK_TRY(vs_op_allowed(s, op));
	rv = op->engine->once(op, (struct vs_bytes){in, in_n}, sig, *sig_n, &n);
	if (rv == CKR_OK)
		*sig_n = n;
	return rv;
}

VS_CK
vs_op_sign_message_begin(struct vs_session *s, enum vs_op_kind kind, CK_ULONG parameter_n)
{
	struct vs_op *op = NULL;
	VS_CK_TRY(vs_op_message_get(s, kind, VS_PHASE_MESSAGE, &op));
	VS_CK_TRY(check_args(parameter_n, NULL, 0));
	VS_CK_TRY(vs_op_allowed(s, op));
	VS_CK_TRY(op->engine->start(op));
	op->phase = VS_PHASE_MESSAGE_PARTS;
	return CKR_OK;
}

/* Another part; where more is to come, an error ends the message. */
static VS_CK
feed(struct vs_session *s, struct vs_op *op, CK_ULONG parameter_n, const void *in, CK_ULONG in_n)
{
	size_t none = 0;
	VS_CK_TRY(check_args(parameter_n, in, in_n));
	VS_CK_TRY(vs_op_allowed(s, op));
	return op->engine->update(op, (struct vs_bytes){in, in_n}, NULL, 0, &none);
}

VS_CK
vs_op_sign_message_next(struct vs_session *s, CK_ULONG parameter_n, const void *in, CK_ULONG in_n,
	void *sig, CK_ULONG *sig_n)
{
	struct vs_op *op = NULL;
	CK_RV rv = CKR_OK;
	bool exact = true;
	size_t n = 0;
	VS_CK_TRY(vs_op_message_get(s, VS_OP_MSG_SIGN, VS_PHASE_MESSAGE_PARTS, &op));
	/* A query and a short buffer leave the message, and this part unread. */
	if (sig_n != NULL && check_args(parameter_n, in, in_n) == CKR_OK &&
		!vs_op_room(op->engine->final_size(op, &exact), exact, sig, sig_n, &rv))
		return rv;
	rv = feed(s, op, parameter_n, in, in_n);
	if (rv == CKR_OK && sig_n == NULL)
		return CKR_OK;
	if (rv == CKR_OK)
		rv = op->engine->final(op, sig, *sig_n, &n);
	if (rv == CKR_OK)
		*sig_n = n;
	leave_message(op);
	return rv;
}

VS_CK
vs_op_verify_message(struct vs_session *s, CK_ULONG parameter_n, const void *in, CK_ULONG in_n,
	const void *sig, CK_ULONG sig_n)
{
	struct vs_op *op = NULL;
	VS_CK_TRY(vs_op_message_get(s, VS_OP_MSG_VERIFY, VS_PHASE_MESSAGE, &op));
	VS_CK_TRY(check_args(parameter_n, in, in_n));
	if (sig == NULL || vs_op_bad_input(sig, sig_n))
		return CKR_ARGUMENTS_BAD;
	VS_CK_TRY(vs_op_allowed(s, op));
	return op->engine->verify_once(
		op, (struct vs_bytes){in, in_n}, (struct vs_bytes){sig, sig_n});
}

VS_CK
vs_op_verify_message_next(struct vs_session *s, CK_ULONG parameter_n, const void *in, CK_ULONG in_n,
	const void *sig, CK_ULONG sig_n)
{
	struct vs_op *op = NULL;
	VS_CK_TRY(vs_op_message_get(s, VS_OP_MSG_VERIFY, VS_PHASE_MESSAGE_PARTS, &op));
	CK_RV rv = feed(s, op, parameter_n, in, in_n);
	if (rv == CKR_OK && vs_op_bad_input(sig, sig_n))
		rv = CKR_ARGUMENTS_BAD;
	if (rv == CKR_OK && sig == NULL)
		return CKR_OK;
	if (rv == CKR_OK)
		rv = op->engine->verify_final(op, (struct vs_bytes){sig, sig_n});
	leave_message(op);
	return rv;
}
