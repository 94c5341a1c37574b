/* SPDX-License-Identifier: BSD-2-Clause */
/* Function lists, interfaces, and the one global pointer. */
#include <string.h>

#include "module/api.h"

struct vs_instance *_Atomic vs_module_instance;

static const CK_VERSION list_2_40_version = {2, 40};

/* Who took the list of 2.40 wants to hear of 2.40, */
static CK_RV
info_2_40(CK_INFO_PTR info)
{
	const CK_RV rv = C_GetInfo(info);
	if (rv == CKR_OK)
		info->cryptokiVersion = list_2_40_version;
	return rv;
}

/* and knows no flags of later versions. */
static CK_RV
mechanism_info_2_40(CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO_PTR info)
{
	enum {
		LATER = CKF_MESSAGE_ENCRYPT | CKF_MESSAGE_DECRYPT | CKF_MESSAGE_SIGN |
			CKF_MESSAGE_VERIFY | CKF_MULTI_MESSAGE
	};
	const CK_RV rv = C_GetMechanismInfo(slot, type, info);
	if (rv == CKR_OK)
		info->flags &= ~(CK_FLAGS)LATER;
	return rv;
}

/* In the order of the structure. */
#define ENTRY(name) name,
#define C_GetInfo info_2_40
#define C_GetMechanismInfo mechanism_info_2_40
static CK_FUNCTION_LIST list_2_40 = {{2, 40}, VS_CK_LIST_2_40(ENTRY)};
#undef C_GetInfo
#undef C_GetMechanismInfo
#undef ENTRY
#define FIELD(name) .name = name,
static CK_FUNCTION_LIST_3_0 list_3_0 = {
	.version = {3, 0}, VS_CK_LIST_2_40(FIELD) VS_CK_LIST_3_0(FIELD)};
#undef FIELD

static CK_UTF8CHAR name_pkcs11[] = "PKCS 11";
/* The default first: without a version asked for, clients get the newest. */
static CK_INTERFACE interfaces[] = {
	{name_pkcs11, &list_3_0, CKF_INTERFACE_FORK_SAFE},
	{name_pkcs11, &list_2_40, CKF_INTERFACE_FORK_SAFE},
};
enum { N_INTERFACES = sizeof interfaces / sizeof interfaces[0] };

VS_ENTRY
C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR ret)
{
	if (ret == NULL)
		return CKR_ARGUMENTS_BAD;
	*ret = &list_2_40;
	return CKR_OK;
}

VS_ENTRY
C_GetInterfaceList(CK_INTERFACE_PTR list, CK_ULONG_PTR count)
{
	if (count == NULL)
		return CKR_ARGUMENTS_BAD;
	const CK_ULONG room = *count;
	*count = N_INTERFACES;
	if (list == NULL)
		return CKR_OK;
	if (room < N_INTERFACES)
		return CKR_BUFFER_TOO_SMALL;
	memcpy(list, interfaces, sizeof interfaces);
	return CKR_OK;
}

VS_ENTRY
C_GetInterface(
	CK_UTF8CHAR_PTR name, CK_VERSION_PTR version, CK_INTERFACE_PTR_PTR ret, CK_FLAGS flags)
{
	if (ret == NULL)
		return CKR_ARGUMENTS_BAD;
	for (size_t i = 0; i < N_INTERFACES; i++) {
		const CK_VERSION *have = interfaces[i].pFunctionList;
		if (name != NULL &&
			strcmp((const char *)name, (const char *)interfaces[i].pInterfaceName) != 0)
			continue;
		if (version != NULL && memcmp(version, have, sizeof *version) != 0)
			continue;
		if ((flags & interfaces[i].flags) != flags)
			continue;
		*ret = &interfaces[i];
		return CKR_OK;
	}
	return CKR_ARGUMENTS_BAD;
}
