/* SPDX-License-Identifier: BSD-2-Clause */
/* What a session is to its user: its state, login and logout, and what is cancelled. */
#include "token/keyuse.h"
#include "token/session.h"

void
vs_session_info(struct vs_session *s, CK_SESSION_INFO *ret)
{
	const struct vs_token *t = s->token;
	/*
	 * facts/pkcs11-consumers section 3 would like a public session until somebody logs in;
	 * facts/consumer-traces demand 22 shows that pkcs11-provider in a forked nginx worker then
	 * asks its absent terminal for a PIN and every handshake fails. The second one is a
	 * working server, so a token without login reports its sessions as logged in.
	 */
	const bool user = t->conf->login == VS_LOGIN_NONE || atomic_load(&t->logged_in);
	const bool rw = (s->flags & CKF_RW_SESSION) != 0;
	ret->slotID = t->index;
	ret->flags = s->flags;
	if (user)
		ret->state = rw ? CKS_RW_USER_FUNCTIONS : CKS_RO_USER_FUNCTIONS;
	else
		ret->state = rw ? CKS_RW_PUBLIC_SESSION : CKS_RO_PUBLIC_SESSION;
	ret->ulDeviceError = atomic_load(&t->last_code);
}

/* There is no security officer; which of the reasons is said follows the order of the standard. */
static VS_CK
refuse_officer(const struct vs_session *s)
{
	CK_ULONG all = 0, rw = 0;
	vs_session_counts(s->token->inst, s->token, &all, &rw);
	/* This one is busy with our call, so it was not counted. */
	if (all > rw || !(s->flags & CKF_RW_SESSION))
		return CKR_SESSION_READ_ONLY_EXISTS;
	if (s->token->conf->login == VS_LOGIN_NONE || atomic_load(&s->token->logged_in))
		return CKR_USER_ANOTHER_ALREADY_LOGGED_IN;
	return CKR_USER_PIN_NOT_INITIALIZED;
}

VS_CK
vs_session_login(struct vs_session *s, CK_USER_TYPE user, const void *pin, CK_ULONG pin_len)
{
	enum { PIN_MAX = 256 };
	struct vs_token *t = s->token;
	if (user > CKU_CONTEXT_SPECIFIC)
		return CKR_USER_TYPE_INVALID;
	if (user == CKU_SO)
		return refuse_officer(s);
	/* No login needed: CKR_OK to anything, or pkcs11-tool --login and PyKCS11 give up. */
	if (t->conf->login == VS_LOGIN_NONE)
		return CKR_OK;
	if (user == CKU_CONTEXT_SPECIFIC)
		return CKR_OPERATION_NOT_INITIALIZED;
	if (pin_len > PIN_MAX || (pin == NULL && pin_len != 0))
		return pin_len > PIN_MAX ? CKR_PIN_LEN_RANGE : CKR_ARGUMENTS_BAD;
	if (atomic_load(&t->logged_in))
		return CKR_USER_ALREADY_LOGGED_IN;
	const bool with_pin = t->conf->login == VS_LOGIN_PIN;
	const CK_RV rv = vs_keyuse_login(t, with_pin ? pin : NULL, with_pin ? pin_len : 0);
	if (rv == CKR_OK || rv == CKR_PIN_INCORRECT)
		atomic_store(&t->wrong_pin, rv == CKR_PIN_INCORRECT);
	if (rv == CKR_OK)
		atomic_store(&t->logged_in, true);
	return rv;
}

VS_CK
vs_session_logout(struct vs_session *s)
{
	struct vs_token *t = s->token;
	if (t->conf->login == VS_LOGIN_NONE)
		return CKR_OK;
	if (!atomic_exchange(&t->logged_in, false))
		return CKR_USER_NOT_LOGGED_IN;
	vs_store_drop_private(t);
	/* Sessions that are busy let go of what was destroyed when they leave. */
	atomic_fetch_add(&t->sweep_word, 1);
	vs_session_sweep(t->inst, t, s);
	return CKR_OK;
}

VS_CK
vs_session_cancel(struct vs_session *s, CK_FLAGS flags)
{
	static const struct {
		CK_FLAGS flag;
		enum vs_op_kind kind;
	} table[] = {
		{CKF_SIGN, VS_OP_SIGN},
		{CKF_VERIFY, VS_OP_VERIFY},
		{CKF_ENCRYPT, VS_OP_ENCRYPT},
		{CKF_DECRYPT, VS_OP_DECRYPT},
		{CKF_DIGEST, VS_OP_DIGEST},
		{CKF_MESSAGE_ENCRYPT, VS_OP_MSG_ENCRYPT},
		{CKF_MESSAGE_DECRYPT, VS_OP_MSG_DECRYPT},
		{CKF_MESSAGE_SIGN, VS_OP_MSG_SIGN},
		{CKF_MESSAGE_VERIFY, VS_OP_MSG_VERIFY},
		{CKF_SIGN_RECOVER, VS_OP_SIGN_RECOVER},
		{CKF_VERIFY_RECOVER, VS_OP_VERIFY_RECOVER},
	};
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		if ((flags & table[i].flag) && s->op[table[i].kind] != NULL)
			vs_op_end(s->op[table[i].kind]);
	}
	if (flags & CKF_FIND_OBJECTS)
		vs_find_drop(&s->find);
	return CKR_OK;
}
