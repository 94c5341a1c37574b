/* SPDX-License-Identifier: BSD-2-Clause */
/* Library, slots, tokens, sessions, login. */
#include <string.h>

#include "module/api.h"

/*
 * Every legal combination is accepted. Mutex functions are looked at and not called: we lock with
 * the system's own primitives, which is what an application without CKF_OS_LOCKING_OK and with
 * functions of its own merely prefers not to rely on.
 */
static CK_RV
check_args(const void *args)
{
	CK_C_INITIALIZE_ARGS a;
	if (args == NULL)
		return CKR_OK;
	memcpy(&a, args, sizeof a);
	const int given = (a.CreateMutex != NULL) + (a.DestroyMutex != NULL) +
		(a.LockMutex != NULL) + (a.UnlockMutex != NULL);
	if (a.pReserved != NULL || (given != 0 && given != 4))
		return CKR_ARGUMENTS_BAD;
	return CKR_OK;
}

VS_ENTRY
C_Initialize(CK_VOID_PTR args)
{
	const int saved = errno;
	CK_RV rv = check_args(args);
	if (rv == CKR_OK)
		rv = vs_instance_init(&vs_module_instance);
	errno = saved;
	return rv;
}

VS_ENTRY
C_Finalize(CK_VOID_PTR reserved)
{
	const int saved = errno;
	if (reserved != NULL)
		return CKR_ARGUMENTS_BAD;
	const CK_RV rv = vs_instance_fini(atomic_load(&vs_module_instance));
	errno = saved;
	return rv;
}

static CK_RV
get_info(CK_INFO *ret)
{
	if (ret == NULL)
		return CKR_ARGUMENTS_BAD;
	vs_instance_info(ret);
	return CKR_OK;
}

VS_ENTRY
C_GetInfo(CK_INFO_PTR info)
{
	VS_IN_INSTANCE(get_info(info));
}

VS_ENTRY
C_GetSlotList(unsigned char present, CK_SLOT_ID_PTR list, CK_ULONG_PTR count)
{
	(void)present; /* a token is in every slot */
	VS_IN_INSTANCE(vs_instance_slots(inst, list, count));
}

static CK_RV
slot_info(struct vs_instance *inst, CK_SLOT_ID slot, CK_SLOT_INFO *ret)
{
	struct vs_token *t = NULL;
	if (ret == NULL)
		return CKR_ARGUMENTS_BAD;
	VS_CK_TRY(vs_instance_token(inst, slot, &t));
	vs_token_slot_info(t, ret);
	return CKR_OK;
}

VS_ENTRY
C_GetSlotInfo(CK_SLOT_ID slot, CK_SLOT_INFO_PTR info)
{
	VS_IN_INSTANCE(slot_info(inst, slot, info));
}

static CK_RV
token_info(struct vs_instance *inst, CK_SLOT_ID slot, CK_TOKEN_INFO *ret)
{
	struct vs_token *t = NULL;
	if (ret == NULL)
		return CKR_ARGUMENTS_BAD;
	VS_CK_TRY(vs_instance_token(inst, slot, &t));
	vs_token_info(t, ret);
	return CKR_OK;
}

VS_ENTRY
C_GetTokenInfo(CK_SLOT_ID slot, CK_TOKEN_INFO_PTR info)
{
	VS_IN_INSTANCE(token_info(inst, slot, info));
}

static CK_RV
wait_for_slot(CK_FLAGS flags, const CK_SLOT_ID *slot, const void *reserved)
{
	if (slot == NULL || reserved != NULL)
		return CKR_ARGUMENTS_BAD;
	/* Slots never change. A thread blocked here would only stand in the way of finalising. */
	return flags & CKF_DONT_BLOCK ? CKR_NO_EVENT : CKR_FUNCTION_NOT_SUPPORTED;
}

VS_ENTRY
C_WaitForSlotEvent(CK_FLAGS flags, CK_SLOT_ID_PTR slot, CK_VOID_PTR reserved)
{
	VS_IN_INSTANCE(wait_for_slot(flags, slot, reserved));
}

static CK_RV
mechanism_list(struct vs_instance *inst, CK_SLOT_ID slot, CK_MECHANISM_TYPE *list, CK_ULONG *count)
{
	struct vs_token *t = NULL;
	if (count == NULL)
		return CKR_ARGUMENTS_BAD;
	VS_CK_TRY(vs_instance_token(inst, slot, &t));
	const CK_ULONG room = *count;
	*count = vs_mech_count();
	if (list == NULL)
		return CKR_OK;
	if (room < vs_mech_count())
		return CKR_BUFFER_TOO_SMALL;
	for (size_t i = 0; i < vs_mech_count(); i++)
		list[i] = vs_mech_at(i)->type;
	return CKR_OK;
}

VS_ENTRY
C_GetMechanismList(CK_SLOT_ID slot, CK_MECHANISM_TYPE_PTR list, CK_ULONG_PTR count)
{
	VS_IN_INSTANCE(mechanism_list(inst, slot, list, count));
}

static CK_RV
mechanism_info(
	struct vs_instance *inst, CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *ret)
{
	struct vs_token *t = NULL;
	if (ret == NULL)
		return CKR_ARGUMENTS_BAD;
	VS_CK_TRY(vs_instance_token(inst, slot, &t));
	return vs_mech_info(type, ret);
}

VS_ENTRY
C_GetMechanismInfo(CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO_PTR info)
{
	VS_IN_INSTANCE(mechanism_info(inst, slot, type, info));
}

static CK_RV
write_protected(struct vs_instance *inst, CK_SLOT_ID slot)
{
	struct vs_token *t = NULL;
	VS_CK_TRY(vs_instance_token(inst, slot, &t));
	return CKR_TOKEN_WRITE_PROTECTED;
}

VS_ENTRY
C_InitToken(CK_SLOT_ID slot, CK_UTF8CHAR_PTR pin, CK_ULONG pin_len, CK_UTF8CHAR_PTR label)
{
	(void)pin;
	(void)pin_len;
	(void)label;
	VS_IN_INSTANCE(write_protected(inst, slot));
}

VS_ENTRY
C_InitPIN(CK_SESSION_HANDLE session, CK_UTF8CHAR_PTR pin, CK_ULONG pin_len)
{
	(void)pin;
	(void)pin_len;
	VS_IN_SESSION(session, CKR_TOKEN_WRITE_PROTECTED);
}

VS_ENTRY
C_SetPIN(CK_SESSION_HANDLE session, CK_UTF8CHAR_PTR old, CK_ULONG old_len, CK_UTF8CHAR_PTR new,
	CK_ULONG new_len)
{
	(void)old;
	(void)old_len;
	(void)new;
	(void)new_len;
	VS_IN_SESSION(session, CKR_TOKEN_WRITE_PROTECTED);
}

VS_ENTRY
C_OpenSession(CK_SLOT_ID slot, CK_FLAGS flags, CK_VOID_PTR application, CK_NOTIFY notify,
	CK_SESSION_HANDLE_PTR session)
{
	const int saved = errno;
	(void)application;
	(void)notify;
	const CK_RV rv = vs_session_open(atomic_load(&vs_module_instance), slot, flags, session);
	errno = saved;
	return rv;
}

VS_ENTRY
C_CloseSession(CK_SESSION_HANDLE session)
{
	const int saved = errno;
	const CK_RV rv = vs_session_close(atomic_load(&vs_module_instance), session);
	errno = saved;
	return rv;
}

VS_ENTRY
C_CloseAllSessions(CK_SLOT_ID slot)
{
	VS_IN_INSTANCE(vs_session_close_all(inst, slot));
}

static CK_RV
session_info(struct vs_session *s, CK_SESSION_INFO *ret)
{
	if (ret == NULL)
		return CKR_ARGUMENTS_BAD;
	vs_session_info(s, ret);
	return CKR_OK;
}

VS_ENTRY
C_GetSessionInfo(CK_SESSION_HANDLE session, CK_SESSION_INFO_PTR info)
{
	VS_IN_SESSION_TICK(session, session_info(s, info));
}

/*
 * No state is given out, for it would hold what a key made. Recovery and messages are nothing that
 * could be saved, says the standard: a session with only those has no operation.
 */
static VS_CK
operation_state(struct vs_session *s, const CK_ULONG *state_len)
{
	if (state_len == NULL)
		return CKR_ARGUMENTS_BAD;
	static const enum vs_op_kind savable[] = {
		VS_OP_SIGN, VS_OP_VERIFY, VS_OP_ENCRYPT, VS_OP_DECRYPT, VS_OP_DIGEST};
	for (size_t i = 0; i < sizeof savable / sizeof savable[0]; i++)
		if (vs_op_active(s, savable[i]))
			return CKR_STATE_UNSAVEABLE;
	return CKR_OPERATION_NOT_INITIALIZED;
}

VS_ENTRY
C_GetOperationState(CK_SESSION_HANDLE session, CK_BYTE_PTR state, CK_ULONG_PTR state_len)
{
	(void)state;
	VS_IN_SESSION(session, operation_state(s, state_len));
}

VS_ENTRY
C_SetOperationState(CK_SESSION_HANDLE session, CK_BYTE_PTR state, CK_ULONG state_len,
	CK_OBJECT_HANDLE encryption_key, CK_OBJECT_HANDLE authentication_key)
{
	(void)state_len;
	(void)encryption_key;
	(void)authentication_key;
	VS_IN_SESSION(session, state == NULL ? CKR_ARGUMENTS_BAD : CKR_SAVED_STATE_INVALID);
}

VS_ENTRY
C_Login(CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_UTF8CHAR_PTR pin, CK_ULONG pin_len)
{
	VS_IN_SESSION_TICK(session, vs_session_login(s, user, pin, pin_len));
}

VS_ENTRY
C_LoginUser(CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_UTF8CHAR_PTR pin, CK_ULONG pin_len,
	CK_UTF8CHAR_PTR name, CK_ULONG name_len)
{
	/* Tokens have one user; a name is of no use, and no reason to fail. */
	(void)name;
	(void)name_len;
	VS_IN_SESSION_TICK(session, vs_session_login(s, user, pin, pin_len));
}

VS_ENTRY
C_Logout(CK_SESSION_HANDLE session)
{
	VS_IN_SESSION(session, vs_session_logout(s));
}

VS_ENTRY
C_SessionCancel(CK_SESSION_HANDLE session, CK_FLAGS flags)
{
	VS_IN_SESSION(session, vs_session_cancel(s, flags));
}

VS_ENTRY
C_GetFunctionStatus(CK_SESSION_HANDLE session)
{
	VS_IN_SESSION(session, CKR_FUNCTION_NOT_PARALLEL);
}

VS_ENTRY
C_CancelFunction(CK_SESSION_HANDLE session)
{
	VS_IN_SESSION(session, CKR_FUNCTION_NOT_PARALLEL);
}
