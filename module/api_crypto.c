/* SPDX-License-Identifier: BSD-2-Clause */
/* Operations: each entry point is one edge of op.c. */
#include "module/api.h"

VS_ENTRY
C_EncryptInit(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE key)
{
	VS_IN_SESSION(session, vs_op_init(s, VS_OP_ENCRYPT, mechanism, key));
}

VS_ENTRY
C_Encrypt(CK_SESSION_HANDLE session, CK_BYTE_PTR in, CK_ULONG in_len, CK_BYTE_PTR out,
	CK_ULONG_PTR out_len)
{
	VS_IN_SESSION(session, vs_op_once(s, VS_OP_ENCRYPT, in, in_len, out, out_len));
}

VS_ENTRY
C_EncryptUpdate(CK_SESSION_HANDLE session, CK_BYTE_PTR in, CK_ULONG in_len, CK_BYTE_PTR out,
	CK_ULONG_PTR out_len)
{
	VS_IN_SESSION(session, vs_op_update(s, VS_OP_ENCRYPT, in, in_len, out, out_len));
}

VS_ENTRY
C_EncryptFinal(CK_SESSION_HANDLE session, CK_BYTE_PTR out, CK_ULONG_PTR out_len)
{
	VS_IN_SESSION(session, vs_op_final(s, VS_OP_ENCRYPT, out, out_len));
}

VS_ENTRY
C_DecryptInit(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE key)
{
	VS_IN_SESSION(session, vs_op_init(s, VS_OP_DECRYPT, mechanism, key));
}

VS_ENTRY
C_Decrypt(CK_SESSION_HANDLE session, CK_BYTE_PTR in, CK_ULONG in_len, CK_BYTE_PTR out,
	CK_ULONG_PTR out_len)
{
	VS_IN_SESSION(session, vs_op_once(s, VS_OP_DECRYPT, in, in_len, out, out_len));
}

VS_ENTRY
C_DecryptUpdate(CK_SESSION_HANDLE session, CK_BYTE_PTR in, CK_ULONG in_len, CK_BYTE_PTR out,
	CK_ULONG_PTR out_len)
{
	VS_IN_SESSION(session, vs_op_update(s, VS_OP_DECRYPT, in, in_len, out, out_len));
}

VS_ENTRY
C_DecryptFinal(CK_SESSION_HANDLE session, CK_BYTE_PTR out, CK_ULONG_PTR out_len)
{
	VS_IN_SESSION(session, vs_op_final(s, VS_OP_DECRYPT, out, out_len));
}

VS_ENTRY
C_DigestInit(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism)
{
	VS_IN_SESSION(session, vs_op_init(s, VS_OP_DIGEST, mechanism, CK_INVALID_HANDLE));
}

VS_ENTRY
C_Digest(CK_SESSION_HANDLE session, CK_BYTE_PTR in, CK_ULONG in_len, CK_BYTE_PTR out,
	CK_ULONG_PTR out_len)
{
	VS_IN_SESSION(session, vs_op_once(s, VS_OP_DIGEST, in, in_len, out, out_len));
}

VS_ENTRY
C_DigestUpdate(CK_SESSION_HANDLE session, CK_BYTE_PTR in, CK_ULONG in_len)
{
	VS_IN_SESSION(session, vs_op_update(s, VS_OP_DIGEST, in, in_len, NULL, NULL));
}

VS_ENTRY
C_DigestKey(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key)
{
	VS_IN_SESSION(session, vs_op_digest_key(s, key));
}

VS_ENTRY
C_DigestFinal(CK_SESSION_HANDLE session, CK_BYTE_PTR out, CK_ULONG_PTR out_len)
{
	VS_IN_SESSION(session, vs_op_final(s, VS_OP_DIGEST, out, out_len));
}

VS_ENTRY
C_SignInit(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE key)
{
	VS_IN_SESSION(session, vs_op_init(s, VS_OP_SIGN, mechanism, key));
}

VS_ENTRY
C_Sign(CK_SESSION_HANDLE session, CK_BYTE_PTR in, CK_ULONG in_len, CK_BYTE_PTR out,
	CK_ULONG_PTR out_len)
{
	VS_IN_SESSION(session, vs_op_once(s, VS_OP_SIGN, in, in_len, out, out_len));
}

VS_ENTRY
C_SignUpdate(CK_SESSION_HANDLE session, CK_BYTE_PTR in, CK_ULONG in_len)
{
	VS_IN_SESSION(session, vs_op_update(s, VS_OP_SIGN, in, in_len, NULL, NULL));
}

VS_ENTRY
C_SignFinal(CK_SESSION_HANDLE session, CK_BYTE_PTR out, CK_ULONG_PTR out_len)
{
	VS_IN_SESSION(session, vs_op_final(s, VS_OP_SIGN, out, out_len));
}

VS_ENTRY
C_VerifyInit(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE key)
{
	VS_IN_SESSION(session, vs_op_init(s, VS_OP_VERIFY, mechanism, key));
}

VS_ENTRY
C_Verify(CK_SESSION_HANDLE session, CK_BYTE_PTR in, CK_ULONG in_len, CK_BYTE_PTR sig,
	CK_ULONG sig_len)
{
	VS_IN_SESSION(session, vs_op_verify(s, in, in_len, sig, sig_len));
}

VS_ENTRY
C_VerifyUpdate(CK_SESSION_HANDLE session, CK_BYTE_PTR in, CK_ULONG in_len)
{
	VS_IN_SESSION(session, vs_op_update(s, VS_OP_VERIFY, in, in_len, NULL, NULL));
}

VS_ENTRY
C_VerifyFinal(CK_SESSION_HANDLE session, CK_BYTE_PTR sig, CK_ULONG sig_len)
{
	VS_IN_SESSION(session, vs_op_verify_final(s, sig, sig_len));
}

static CK_RV
random_bytes(struct vs_session *s, void *out, CK_ULONG n)
{
	(void)s;
	return vs_op_random(out, n);
}

VS_ENTRY
C_GenerateRandom(CK_SESSION_HANDLE session, CK_BYTE_PTR out, CK_ULONG n)
{
	VS_IN_SESSION(session, random_bytes(s, out, n));
}

VS_ENTRY
C_SeedRandom(CK_SESSION_HANDLE session, CK_BYTE_PTR seed, CK_ULONG n)
{
	VS_IN_SESSION(session,
		seed == NULL && n != 0 ? CKR_ARGUMENTS_BAD : CKR_RANDOM_SEED_NOT_SUPPORTED);
}

VS_ENTRY
C_DigestEncryptUpdate(CK_SESSION_HANDLE session, CK_BYTE_PTR in, CK_ULONG in_len, CK_BYTE_PTR out,
	CK_ULONG_PTR out_len)
{
	VS_IN_SESSION(session, vs_op_dual_encrypt(s, VS_OP_DIGEST, in, in_len, out, out_len));
}

VS_ENTRY
C_DecryptDigestUpdate(CK_SESSION_HANDLE session, CK_BYTE_PTR in, CK_ULONG in_len, CK_BYTE_PTR out,
	CK_ULONG_PTR out_len)
{
	VS_IN_SESSION(session, vs_op_dual_decrypt(s, VS_OP_DIGEST, in, in_len, out, out_len));
}

VS_ENTRY
C_SignEncryptUpdate(CK_SESSION_HANDLE session, CK_BYTE_PTR in, CK_ULONG in_len, CK_BYTE_PTR out,
	CK_ULONG_PTR out_len)
{
	VS_IN_SESSION(session, vs_op_dual_encrypt(s, VS_OP_SIGN, in, in_len, out, out_len));
}

VS_ENTRY
C_DecryptVerifyUpdate(CK_SESSION_HANDLE session, CK_BYTE_PTR in, CK_ULONG in_len, CK_BYTE_PTR out,
	CK_ULONG_PTR out_len)
{
	VS_IN_SESSION(session, vs_op_dual_decrypt(s, VS_OP_VERIFY, in, in_len, out, out_len));
}

VS_ENTRY
C_SignRecoverInit(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE key)
{
	VS_IN_SESSION(session, vs_op_init(s, VS_OP_SIGN_RECOVER, mechanism, key));
}

VS_ENTRY
C_SignRecover(CK_SESSION_HANDLE session, CK_BYTE_PTR in, CK_ULONG in_len, CK_BYTE_PTR out,
	CK_ULONG_PTR out_len)
{
	VS_IN_SESSION(session, vs_op_once(s, VS_OP_SIGN_RECOVER, in, in_len, out, out_len));
}

VS_ENTRY
C_VerifyRecoverInit(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE key)
{
	VS_IN_SESSION(session, vs_op_init(s, VS_OP_VERIFY_RECOVER, mechanism, key));
}

VS_ENTRY
C_VerifyRecover(CK_SESSION_HANDLE session, CK_BYTE_PTR in, CK_ULONG in_len, CK_BYTE_PTR out,
	CK_ULONG_PTR out_len)
{
	VS_IN_SESSION(session, vs_op_once(s, VS_OP_VERIFY_RECOVER, in, in_len, out, out_len));
}
