/* SPDX-License-Identifier: BSD-2-Clause */
/* Objects and searches. */
#include "module/api.h"

VS_ENTRY
C_CreateObject(CK_SESSION_HANDLE session, CK_ATTRIBUTE_PTR templ, CK_ULONG count,
	CK_OBJECT_HANDLE_PTR object)
{
	VS_IN_SESSION_TICK(session, vs_op_create(s, templ, count, object));
}

VS_ENTRY
C_CopyObject(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_PTR templ,
	CK_ULONG count, CK_OBJECT_HANDLE_PTR copy)
{
	VS_IN_SESSION_TICK(session, vs_op_copy(s, object, templ, count, copy));
}

VS_ENTRY
C_DestroyObject(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object)
{
	VS_IN_SESSION(session, vs_op_destroy(s, object));
}

static CK_RV
object_size(struct vs_session *s, CK_OBJECT_HANDLE h, CK_ULONG *ret)
{
	if (ret == NULL)
		return CKR_ARGUMENTS_BAD;
	struct vs_object *o = vs_session_object(s, h);
	if (o == NULL)
		return CKR_OBJECT_HANDLE_INVALID;
	*ret = vs_object_size(o);
	vs_object_unref(o);
	return CKR_OK;
}

VS_ENTRY
C_GetObjectSize(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ULONG_PTR size)
{
	VS_IN_SESSION_TICK(session, object_size(s, object, size));
}

static CK_RV
get_attributes(struct vs_session *s, CK_OBJECT_HANDLE h, void *templ, CK_ULONG count)
{
	struct vs_object *o = vs_session_object(s, h);
	if (o == NULL)
		return CKR_OBJECT_HANDLE_INVALID;
	const CK_RV rv = vs_object_copy_out(o, templ, count);
	vs_object_unref(o);
	return rv;
}

VS_ENTRY
C_GetAttributeValue(
	CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_PTR templ, CK_ULONG count)
{
	VS_IN_SESSION_TICK(session, get_attributes(s, object, templ, count));
}

VS_ENTRY
C_SetAttributeValue(
	CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_PTR templ, CK_ULONG count)
{
	VS_IN_SESSION_TICK(session, vs_op_change(s, object, templ, count));
}

VS_ENTRY
C_FindObjectsInit(CK_SESSION_HANDLE session, CK_ATTRIBUTE_PTR templ, CK_ULONG count)
{
	VS_IN_SESSION_TICK(session, vs_find_init(s, templ, count));
}

VS_ENTRY
C_FindObjects(
	CK_SESSION_HANDLE session, CK_OBJECT_HANDLE_PTR objects, CK_ULONG max, CK_ULONG_PTR count)
{
	VS_IN_SESSION(session, vs_find_next(s, objects, max, count));
}

VS_ENTRY
C_FindObjectsFinal(CK_SESSION_HANDLE session)
{
	VS_IN_SESSION(session, vs_find_final(s));
}
