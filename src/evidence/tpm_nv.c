/* SPDX-License-Identifier: BSD-2-Clause */
/* NV indices: read with owner authorisation; user data and counters are written by the guest. */
#include "evidence/tpm.h"

#include <string.h>

#include "evidence/tpm_impl.h"

enum { CHUNK_MIN = 64, CHUNK_MAX = 1024 };

static vs_rc
read_nv_public(struct vs_tpm *tpm, uint32_t index, TPMS_NV_PUBLIC *ret, struct vs_err *err)
{
	TPM2B_NV_PUBLIC public = {0};
	TPM2B_NAME name = {0};
	TSS2_RC rc;
	VS_TPM_RUN(tpm, rc, Tss2_Sys_NV_ReadPublic(tpm->sys, index, NULL, &public, &name, NULL));
	if (rc != TSS2_RC_SUCCESS)
		return vs_tpm_fail(tpm, rc, "show an NV index", err);
	if (public.nvPublic.nvIndex != index)
		VS_FAIL(err, TPM, "asked for NV 0x%08X the TPM shows 0x%08X", index,
			public.nvPublic.nvIndex);
	*ret = public.nvPublic;
	return VS_OK;
}

/* The largest piece one NV_Read may ask for. */
static vs_rc
ask_chunk(struct vs_tpm *tpm, struct vs_err *err)
{
	if (tpm->nv_chunk != 0)
		return VS_OK;
	TPMI_YES_NO more = 0;
	TPMS_CAPABILITY_DATA data = {0};
	TSS2_RC rc;
	VS_TPM_RUN(tpm, rc,
		Tss2_Sys_GetCapability(tpm->sys, NULL, TPM2_CAP_TPM_PROPERTIES,
			TPM2_PT_NV_BUFFER_MAX, 1, &more, &data, NULL));
	if (rc != TSS2_RC_SUCCESS)
		return vs_tpm_fail(tpm, rc, "tell its limits", err);
	const TPML_TAGGED_TPM_PROPERTY *list = &data.data.tpmProperties;
	UINT32 value = CHUNK_MIN;
	if (data.capability == TPM2_CAP_TPM_PROPERTIES && list->count >= 1 &&
		list->tpmProperty[0].property == TPM2_PT_NV_BUFFER_MAX)
		value = list->tpmProperty[0].value;
	if (value < CHUNK_MIN)
		value = CHUNK_MIN;
	tpm->nv_chunk = (uint16_t)(value > CHUNK_MAX ? CHUNK_MAX : value);
	return VS_OK;
}

static vs_rc
read_chunk(struct vs_tpm *tpm, uint32_t auth, uint32_t index, uint16_t offset, uint16_t size,
	struct vs_buf *out, struct vs_err *err)
{
	TPM2B_MAX_NV_BUFFER data = {0};
	TSS2L_SYS_AUTH_RESPONSE answers = {0};
	TSS2_RC rc;
	VS_TPM_RUN(tpm, rc,
		Tss2_Sys_NV_Read(
			tpm->sys, auth, index, &vs_tpm_password, size, offset, &data, &answers));
	if (vs_tpm_code(rc) == TPM2_RC_NV_UNINITIALIZED)
		VS_FAIL_N(err, EVIDENCE, rc,
			"NV 0x%08X is defined but not yet written: the platform provisions it "
			"after the "
			"first start, try again in a minute",
			index);
	if (rc != TSS2_RC_SUCCESS)
		return vs_tpm_fail(tpm, rc, "read an NV index", err);
	if (data.size != size)
		VS_FAIL(err, TPM, "asked for %u bytes of NV 0x%08X the TPM gave %u", size, index,
			data.size);
	return vs_buf_add(out, data.buffer, data.size, err);
}

vs_rc
vs_tpm_nv_read(struct vs_tpm *tpm, uint32_t index, struct vs_buf *ret, struct vs_err *err)
{
	bool exists = false;
	VS_TRY(vs_tpm_exists(tpm, index, &exists, err));
	if (!exists)
		VS_FAIL(err, NOT_FOUND, "NV 0x%08X is not defined in this TPM", index);
	TPMS_NV_PUBLIC public = {0};
	VS_TRY(read_nv_public(tpm, index, &public, err));
	if ((public.attributes & TPMA_NV_WRITTEN) == 0)
		VS_FAIL_N(err, EVIDENCE, TPM2_RC_NV_UNINITIALIZED,
			"NV 0x%08X is defined but not yet written: the platform provisions it "
			"after the "
			"first start, try again in a minute",
			index);
	if (public.dataSize == 0 || public.dataSize > VS_TPM_NV_MAX)
		VS_FAIL(err, LIMIT, "NV 0x%08X has %u bytes; up to %d are accepted", index,
			public.dataSize, VS_TPM_NV_MAX);
	VS_TRY(ask_chunk(tpm, err));
	const bool owner = (public.attributes & TPMA_NV_OWNERREAD) != 0;
	VS_CLEANUP(vs_buf_done) struct vs_buf out = {.max = VS_TPM_NV_MAX};
	uint16_t at = 0;
	while (at < public.dataSize) {
		const uint16_t left = (uint16_t)(public.dataSize - at);
		const uint16_t size = left < tpm->nv_chunk ? left : tpm->nv_chunk;
		VS_TRY(read_chunk(tpm, owner ? TPM2_RH_OWNER : index, index, at, size, &out, err));
		at = (uint16_t)(at + size);
	}
	vs_buf_move(ret, &out);
	return VS_OK;
}

static vs_rc
define_user_data(struct vs_tpm *tpm, struct vs_err *err)
{
	const TPM2B_AUTH auth = {0};
	const TPM2B_NV_PUBLIC public = {
		.nvPublic = {.nvIndex = VS_TPM_NV_USER_DATA,
			.nameAlg = TPM2_ALG_SHA256,
			.attributes = TPMA_NV_OWNERREAD | TPMA_NV_OWNERWRITE | TPMA_NV_AUTHREAD |
				TPMA_NV_AUTHWRITE | TPMA_NV_NO_DA,
			.dataSize = VS_TPM_USER_DATA_BYTES},
	};
	TSS2L_SYS_AUTH_RESPONSE answers = {0};
	TSS2_RC rc;
	VS_TPM_RUN(tpm, rc,
		Tss2_Sys_NV_DefineSpace(
			tpm->sys, TPM2_RH_OWNER, &vs_tpm_password, &auth, &public, &answers));
	if (rc != TSS2_RC_SUCCESS)
		return vs_tpm_fail(tpm, rc, "define the index for user data", err);
	return VS_OK;
}

/* Other programs size the index to what they write; ours is always 64 bytes. */
static vs_rc
prepare_user_data(struct vs_tpm *tpm, uint32_t *ret_auth, struct vs_err *err)
{
	bool exists = false;
	*ret_auth = TPM2_RH_OWNER;
	VS_TRY(vs_tpm_exists(tpm, VS_TPM_NV_USER_DATA, &exists, err));
	if (!exists)
		return define_user_data(tpm, err);
	TPMS_NV_PUBLIC public = {0};
	VS_TRY(read_nv_public(tpm, VS_TPM_NV_USER_DATA, &public, err));
	if (public.dataSize >= VS_TPM_USER_DATA_BYTES) {
		if ((public.attributes & TPMA_NV_OWNERWRITE) == 0)
			*ret_auth = VS_TPM_NV_USER_DATA;
		return VS_OK;
	}
	TSS2L_SYS_AUTH_RESPONSE answers = {0};
	TSS2_RC rc;
	VS_TPM_RUN(tpm, rc,
		Tss2_Sys_NV_UndefineSpace(
			tpm->sys, TPM2_RH_OWNER, VS_TPM_NV_USER_DATA, &vs_tpm_password, &answers));
	if (rc != TSS2_RC_SUCCESS)
		return vs_tpm_fail(
			tpm, rc, "remove the index for user data, which is too small", err);
	return define_user_data(tpm, err);
}

vs_rc
vs_tpm_write_user_data(
	struct vs_tpm *tpm, const uint8_t data[VS_TPM_USER_DATA_BYTES], struct vs_err *err)
{
	uint32_t auth = 0;
	VS_TRY(prepare_user_data(tpm, &auth, err));
	TPM2B_MAX_NV_BUFFER in = {.size = VS_TPM_USER_DATA_BYTES};
	memcpy(in.buffer, data, VS_TPM_USER_DATA_BYTES);
	TSS2L_SYS_AUTH_RESPONSE answers = {0};
	TSS2_RC rc;
	VS_TPM_RUN(tpm, rc,
		Tss2_Sys_NV_Write(
			tpm->sys, auth, VS_TPM_NV_USER_DATA, &vs_tpm_password, &in, 0, &answers));
	if (rc != TSS2_RC_SUCCESS)
		return vs_tpm_fail(tpm, rc, "write the index for user data", err);
	return VS_OK;
}

/* ---- counters ------------------------------------------------------------------------------- */

enum { COUNTER_BYTES = 8 };
#define COUNTER_TYPE ((TPMA_NV)TPM2_NT_COUNTER << TPMA_NV_TPM2_NT_SHIFT)

/* attributes are 0 where the index is not defined. */
static vs_rc
look_at_counter(struct vs_tpm *tpm, uint32_t index, TPMA_NV *ret_attributes, struct vs_err *err)
{
	TPMS_NV_PUBLIC public = {0};
	bool exists = false;
	*ret_attributes = 0;
	VS_TRY(vs_tpm_exists(tpm, index, &exists, err));
	if (!exists)
		return VS_OK;
	VS_TRY(read_nv_public(tpm, index, &public, err));
	if ((public.attributes & TPMA_NV_TPM2_NT_MASK) != COUNTER_TYPE ||
		public.dataSize != COUNTER_BYTES || (public.attributes & TPMA_NV_OWNERREAD) == 0 ||
		(public.attributes & TPMA_NV_OWNERWRITE) == 0)
		VS_FAIL(err, EVIDENCE,
			"NV 0x%08X is not a counter of ours: another program uses it", index);
	*ret_attributes = public.attributes;
	return VS_OK;
}

static vs_rc
define_counter(struct vs_tpm *tpm, uint32_t index, struct vs_err *err)
{
	const TPM2B_AUTH auth = {0};
	const TPM2B_NV_PUBLIC public = {
		.nvPublic = {.nvIndex = index,
			.nameAlg = TPM2_ALG_SHA256,
			.attributes = TPMA_NV_OWNERREAD | TPMA_NV_OWNERWRITE | TPMA_NV_NO_DA |
				COUNTER_TYPE,
			.dataSize = COUNTER_BYTES},
	};
	TSS2L_SYS_AUTH_RESPONSE answers = {0};
	TSS2_RC rc;
	VS_TPM_RUN(tpm, rc,
		Tss2_Sys_NV_DefineSpace(
			tpm->sys, TPM2_RH_OWNER, &vs_tpm_password, &auth, &public, &answers));
	if (rc != TSS2_RC_SUCCESS)
		return vs_tpm_fail(tpm, rc, "define a counter", err);
	return VS_OK;
}

vs_rc
vs_tpm_counter_read(
	struct vs_tpm *tpm, uint32_t index, bool *ret_exists, uint64_t *ret, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf out = {.max = COUNTER_BYTES};
	TPMA_NV attributes = 0;
	*ret_exists = false;
	*ret = 0;
	VS_TRY(look_at_counter(tpm, index, &attributes, err));
	if ((attributes & TPMA_NV_WRITTEN) == 0)
		return VS_OK;
	VS_TRY(read_chunk(tpm, TPM2_RH_OWNER, index, 0, COUNTER_BYTES, &out, err));
	struct vs_reader r = vs_reader_of(vs_buf_view(&out));
	*ret = vs_get_be64(&r);
	*ret_exists = true;
	return VS_OK;
}

vs_rc
vs_tpm_counter_raise(struct vs_tpm *tpm, uint32_t index, struct vs_err *err)
{
	TSS2L_SYS_AUTH_RESPONSE answers = {0};
	TPMA_NV attributes = 0;
	TSS2_RC rc;
	VS_TRY(look_at_counter(tpm, index, &attributes, err));
	if (attributes == 0)
		VS_TRY(define_counter(tpm, index, err));
	/* Not run again by itself: whether it was raised is then to be read. */
	rc = Tss2_Sys_NV_Increment(tpm->sys, TPM2_RH_OWNER, index, &vs_tpm_password, &answers);
	if (rc != TSS2_RC_SUCCESS)
		return vs_tpm_fail(tpm, rc, "raise a counter", err);
	return VS_OK;
}
