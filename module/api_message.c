/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages of version 3.0: encryption, decryption, signatures. */
#include "module/api.h"

VS_ENTRY
C_MessageEncryptInit(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE key)
{
	VS_IN_SESSION(session, vs_op_init(s, VS_OP_MSG_ENCRYPT, mechanism, key));
}

VS_ENTRY
C_EncryptMessage(CK_SESSION_HANDLE session, CK_VOID_PTR parameter, CK_ULONG parameter_len,
	CK_BYTE_PTR aad, CK_ULONG aad_len, CK_BYTE_PTR in, CK_ULONG in_len, CK_BYTE_PTR out,
	CK_ULONG_PTR out_len)
{
	const struct vs_msg_args a = {
		parameter, parameter_len, aad, aad_len, in, in_len, out, out_len};
	VS_IN_SESSION(session, vs_op_message(s, VS_OP_MSG_ENCRYPT, &a));
}

VS_ENTRY
C_EncryptMessageBegin(CK_SESSION_HANDLE session, CK_VOID_PTR parameter, CK_ULONG parameter_len,
	CK_BYTE_PTR aad, CK_ULONG aad_len)
{
	const struct vs_msg_args a = {
		.parameter = parameter, .parameter_n = parameter_len, .aad = aad, .aad_n = aad_len};
	VS_IN_SESSION(session, vs_op_message_begin(s, VS_OP_MSG_ENCRYPT, &a));
}

VS_ENTRY
C_EncryptMessageNext(CK_SESSION_HANDLE session, CK_VOID_PTR parameter, CK_ULONG parameter_len,
	CK_BYTE_PTR in, CK_ULONG in_len, CK_BYTE_PTR out, CK_ULONG_PTR out_len, CK_FLAGS flags)
{
	const struct vs_msg_args a = {parameter, parameter_len, NULL, 0, in, in_len, out, out_len};
	VS_IN_SESSION(session, vs_op_message_next(s, VS_OP_MSG_ENCRYPT, &a, flags));
}

VS_ENTRY
C_MessageEncryptFinal(CK_SESSION_HANDLE session)
{
	VS_IN_SESSION(session, vs_op_message_final(s, VS_OP_MSG_ENCRYPT));
}

VS_ENTRY
C_MessageDecryptInit(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE key)
{
	VS_IN_SESSION(session, vs_op_init(s, VS_OP_MSG_DECRYPT, mechanism, key));
}

VS_ENTRY
C_DecryptMessage(CK_SESSION_HANDLE session, CK_VOID_PTR parameter, CK_ULONG parameter_len,
	CK_BYTE_PTR aad, CK_ULONG aad_len, CK_BYTE_PTR in, CK_ULONG in_len, CK_BYTE_PTR out,
	CK_ULONG_PTR out_len)
{
	const struct vs_msg_args a = {
		parameter, parameter_len, aad, aad_len, in, in_len, out, out_len};
	VS_IN_SESSION(session, vs_op_message(s, VS_OP_MSG_DECRYPT, &a));
}

VS_ENTRY
C_DecryptMessageBegin(CK_SESSION_HANDLE session, CK_VOID_PTR parameter, CK_ULONG parameter_len,
	CK_BYTE_PTR aad, CK_ULONG aad_len)
{
	const struct vs_msg_args a = {
		.parameter = parameter, .parameter_n = parameter_len, .aad = aad, .aad_n = aad_len};
	VS_IN_SESSION(session, vs_op_message_begin(s, VS_OP_MSG_DECRYPT, &a));
}

VS_ENTRY
C_DecryptMessageNext(CK_SESSION_HANDLE session, CK_VOID_PTR parameter, CK_ULONG parameter_len,
	CK_BYTE_PTR in, CK_ULONG in_len, CK_BYTE_PTR out, CK_ULONG_PTR out_len, CK_FLAGS flags)
{
	const struct vs_msg_args a = {parameter, parameter_len, NULL, 0, in, in_len, out, out_len};
	VS_IN_SESSION(session, vs_op_message_next(s, VS_OP_MSG_DECRYPT, &a, flags));
}

VS_ENTRY
C_MessageDecryptFinal(CK_SESSION_HANDLE session)
{
	VS_IN_SESSION(session, vs_op_message_final(s, VS_OP_MSG_DECRYPT));
}

VS_ENTRY
C_MessageSignInit(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE key)
{
	VS_IN_SESSION(session, vs_op_init(s, VS_OP_MSG_SIGN, mechanism, key));
}

VS_ENTRY
C_SignMessage(CK_SESSION_HANDLE session, CK_VOID_PTR parameter, CK_ULONG parameter_len,
	CK_BYTE_PTR data, CK_ULONG data_len, CK_BYTE_PTR signature, CK_ULONG_PTR signature_len)
{
	(void)parameter;
	VS_IN_SESSION(session,
		vs_op_sign_message(s, parameter_len, data, data_len, signature, signature_len));
}

VS_ENTRY
C_SignMessageBegin(CK_SESSION_HANDLE session, CK_VOID_PTR parameter, CK_ULONG parameter_len)
{
	(void)parameter;
	VS_IN_SESSION(session, vs_op_sign_message_begin(s, VS_OP_MSG_SIGN, parameter_len));
}

VS_ENTRY
C_SignMessageNext(CK_SESSION_HANDLE session, CK_VOID_PTR parameter, CK_ULONG parameter_len,
	CK_BYTE_PTR data, CK_ULONG data_len, CK_BYTE_PTR signature, CK_ULONG_PTR signature_len)
{
	(void)parameter;
	VS_IN_SESSION(session,
		vs_op_sign_message_next(
			s, parameter_len, data, data_len, signature, signature_len));
}

VS_ENTRY
C_MessageSignFinal(CK_SESSION_HANDLE session)
{
	VS_IN_SESSION(session, vs_op_message_final(s, VS_OP_MSG_SIGN));
}

VS_ENTRY
C_MessageVerifyInit(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE key)
{
	VS_IN_SESSION(session, vs_op_init(s, VS_OP_MSG_VERIFY, mechanism, key));
}

VS_ENTRY
C_VerifyMessage(CK_SESSION_HANDLE session, CK_VOID_PTR parameter, CK_ULONG parameter_len,
	CK_BYTE_PTR data, CK_ULONG data_len, CK_BYTE_PTR signature, CK_ULONG signature_len)
{
	(void)parameter;
	VS_IN_SESSION(session,
		vs_op_verify_message(s, parameter_len, data, data_len, signature, signature_len));
}

VS_ENTRY
C_VerifyMessageBegin(CK_SESSION_HANDLE session, CK_VOID_PTR parameter, CK_ULONG parameter_len)
{
	(void)parameter;
	VS_IN_SESSION(session, vs_op_sign_message_begin(s, VS_OP_MSG_VERIFY, parameter_len));
}

VS_ENTRY
C_VerifyMessageNext(CK_SESSION_HANDLE session, CK_VOID_PTR parameter, CK_ULONG parameter_len,
	CK_BYTE_PTR data, CK_ULONG data_len, CK_BYTE_PTR signature, CK_ULONG signature_len)
{
	(void)parameter;
	VS_IN_SESSION(session,
		vs_op_verify_message_next(
			s, parameter_len, data, data_len, signature, signature_len));
}

VS_ENTRY
C_MessageVerifyFinal(CK_SESSION_HANDLE session)
{
	VS_IN_SESSION(session, vs_op_message_final(s, VS_OP_MSG_VERIFY));
}
