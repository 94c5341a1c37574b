/* SPDX-License-Identifier: BSD-2-Clause */
/* Keys: generate, wrap, unwrap, derive; messages of version 3.0. */
#include "module/api.h"

VS_ENTRY
C_GenerateKey(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_ATTRIBUTE_PTR templ,
	CK_ULONG count, CK_OBJECT_HANDLE_PTR key)
{
	VS_IN_SESSION_TICK(session, vs_op_generate(s, mechanism, templ, count, key));
}

VS_ENTRY
C_GenerateKeyPair(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism,
	CK_ATTRIBUTE_PTR public_templ, CK_ULONG public_count, CK_ATTRIBUTE_PTR private_templ,
	CK_ULONG private_count, CK_OBJECT_HANDLE_PTR public_key, CK_OBJECT_HANDLE_PTR private_key)
{
	VS_IN_SESSION_TICK(session,
		vs_op_generate_pair(s, mechanism, public_templ, public_count, private_templ,
			private_count, public_key, private_key));
}

VS_ENTRY
C_WrapKey(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE wrapping,
	CK_OBJECT_HANDLE key, CK_BYTE_PTR out, CK_ULONG_PTR out_len)
{
	VS_IN_SESSION_TICK(session, vs_op_wrap(s, mechanism, wrapping, key, out, out_len));
}

VS_ENTRY
C_UnwrapKey(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE unwrapping,
	CK_BYTE_PTR in, CK_ULONG in_len, CK_ATTRIBUTE_PTR templ, CK_ULONG count,
	CK_OBJECT_HANDLE_PTR key)
{
	VS_IN_SESSION_TICK(
		session, vs_op_unwrap(s, mechanism, unwrapping, in, in_len, templ, count, key));
}

VS_ENTRY
C_DeriveKey(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE base,
	CK_ATTRIBUTE_PTR templ, CK_ULONG count, CK_OBJECT_HANDLE_PTR key)
{
	VS_IN_SESSION_TICK(session, vs_op_derive(s, mechanism, base, templ, count, key));
}
