/* SPDX-License-Identifier: BSD-2-Clause */
/* What factory, firmware and paravisor do with the TPM: keys, indices, measurements. */
#include <string.h>

#include <openssl/rand.h>

#include "lab/lab_tpm.h"

static void
flush(ESYS_CONTEXT *e, ESYS_TR *tr)
{
	if (*tr != ESYS_TR_NONE)
		(void)Esys_FlushContext(e, *tr);
	*tr = ESYS_TR_NONE;
}

static void
drop_persistent(struct lab_tpm *t, uint32_t handle)
{
	ESYS_TR old = ESYS_TR_NONE, gone = ESYS_TR_NONE;
	if (Esys_TR_FromTPMPublic(
		    lab_tpm_esys(t), handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &old))
		return;
	(void)Esys_EvictControl(lab_tpm_esys(t), ESYS_TR_RH_OWNER, old, ESYS_TR_PASSWORD,
		ESYS_TR_NONE, ESYS_TR_NONE, handle, &gone);
}

void
lab_tpm_drop_ak(struct lab_tpm *t)
{
	drop_persistent(t, LAB_HANDLE_AK);
}

vs_rc
lab_tpm_set_ak(struct lab_tpm *t, enum lab_ak_kind kind, TPM2B_PUBLIC *ret, struct vs_err *err)
{
	TPM2B_PUBLIC in = {
		.publicArea = {
			.type = TPM2_ALG_RSA,
			.nameAlg = TPM2_ALG_SHA256,
			.objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
				TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |
				TPMA_OBJECT_NODA | TPMA_OBJECT_SIGN_ENCRYPT |
				(kind == LAB_AK_UNRESTRICTED ? 0 : TPMA_OBJECT_RESTRICTED),
			.parameters.rsaDetail = {.symmetric.algorithm = TPM2_ALG_NULL,
				.scheme = {.scheme = TPM2_ALG_RSASSA,
					.details.rsassa.hashAlg = TPM2_ALG_SHA256},
				.keyBits = 2048},
		}};
	if (kind != LAB_AK_GENUINE) {
		in.publicArea.unique.rsa.size = 32;
		if (RAND_bytes(in.publicArea.unique.rsa.buffer, 32) != 1)
			VS_FAIL(err, CRYPTO, "no random bytes");
	}
	const TPM2B_SENSITIVE_CREATE sensitive = {0};
	const TPM2B_DATA outside = {0};
	const TPML_PCR_SELECTION pcrs = {0};
	ESYS_TR primary = ESYS_TR_NONE, kept = ESYS_TR_NONE;
	TPM2B_PUBLIC *pub = NULL;
	LAB_TPM(err, "creating the attestation key",
		Esys_CreatePrimary(lab_tpm_esys(t), ESYS_TR_RH_ENDORSEMENT, ESYS_TR_PASSWORD,
			ESYS_TR_NONE, ESYS_TR_NONE, &sensitive, &in, &outside, &pcrs, &primary,
			&pub, NULL, NULL, NULL));
	*ret = *pub;
	Esys_Free(pub);
	drop_persistent(t, LAB_HANDLE_AK);
	const TSS2_RC rc = Esys_EvictControl(lab_tpm_esys(t), ESYS_TR_RH_OWNER, primary,
		ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, LAB_HANDLE_AK, &kept);
	flush(lab_tpm_esys(t), &primary);
	return lab_tpm_rc(rc, "making the attestation key persistent", err);
}

vs_rc
lab_tpm_define_platform(struct lab_tpm *t, uint32_t index, struct vs_err *err)
{
	const TPM2B_NV_PUBLIC pub = {
		.nvPublic = {
			.nvIndex = index,
			.nameAlg = TPM2_ALG_SHA256,
			.attributes = TPMA_NV_AUTHREAD | TPMA_NV_AUTHWRITE | TPMA_NV_OWNERREAD |
				TPMA_NV_PLATFORMCREATE | TPMA_NV_NO_DA,
			.dataSize = LAB_NV_SIZE,
		}};
	ESYS_TR nv = ESYS_TR_NONE;
	LAB_TPM(err, "defining a platform index",
		Esys_NV_DefineSpace(lab_tpm_esys(t), ESYS_TR_RH_PLATFORM, ESYS_TR_PASSWORD,
			ESYS_TR_NONE, ESYS_TR_NONE, lab_tpm_nv_auth(t), &pub, &nv));
	(void)Esys_TR_Close(lab_tpm_esys(t), &nv);
	return VS_OK;
}

bool
lab_tpm_has_index(struct lab_tpm *t, uint32_t index)
{
	ESYS_TR nv = ESYS_TR_NONE;
	if (Esys_TR_FromTPMPublic(lab_tpm_esys(t), index, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
		    &nv) != TSS2_RC_SUCCESS)
		return false;
	(void)Esys_TR_Close(lab_tpm_esys(t), &nv);
	return true;
}

vs_rc
lab_tpm_renew_platform(struct lab_tpm *t, uint32_t index, bool there, struct vs_err *err)
{
	ESYS_TR nv = ESYS_TR_NONE;
	if (Esys_TR_FromTPMPublic(lab_tpm_esys(t), index, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
		    &nv) == TSS2_RC_SUCCESS)
		LAB_TPM(err, "undefining a platform index",
			Esys_NV_UndefineSpace(lab_tpm_esys(t), ESYS_TR_RH_PLATFORM, nv,
				ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE));
	return there ? lab_tpm_define_platform(t, index, err) : VS_OK;
}

vs_rc
lab_tpm_write_platform(struct lab_tpm *t, uint32_t index, struct vs_bytes data, struct vs_err *err)
{
	if (data.n > LAB_NV_SIZE)
		VS_FAIL(err, LIMIT, "%zu bytes do not fit the index 0x%08x", data.n, index);
	ESYS_TR nv = ESYS_TR_NONE;
	LAB_TPM(err, "opening a platform index",
		Esys_TR_FromTPMPublic(
			lab_tpm_esys(t), index, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &nv));
	TSS2_RC rc = Esys_TR_SetAuth(lab_tpm_esys(t), nv, lab_tpm_nv_auth(t));
	for (uint16_t at = 0; at < LAB_NV_SIZE && rc == TSS2_RC_SUCCESS;
		at = (uint16_t)(at + 1024)) {
		TPM2B_MAX_NV_BUFFER chunk = {.size = 1024};
		const size_t left = data.n > at ? data.n - at : 0;
		if (left > 0)
			memcpy(chunk.buffer, data.p + at, left < 1024 ? left : 1024);
		rc = Esys_NV_Write(lab_tpm_esys(t), nv, nv, ESYS_TR_PASSWORD, ESYS_TR_NONE,
			ESYS_TR_NONE, &chunk, at);
	}
	(void)Esys_TR_Close(lab_tpm_esys(t), &nv);
	return lab_tpm_rc(rc, "writing a platform index", err);
}

vs_rc
lab_tpm_read_user_data(struct lab_tpm *t, uint8_t out[LAB_USER_DATA_SIZE], struct vs_err *err)
{
	(void)err;
	memset(out, 0, LAB_USER_DATA_SIZE);
	ESYS_TR nv = ESYS_TR_NONE;
	TPM2B_NV_PUBLIC *pub = NULL;
	TPM2B_MAX_NV_BUFFER *data = NULL;
	if (Esys_TR_FromTPMPublic(lab_tpm_esys(t), LAB_NV_USER_DATA, ESYS_TR_NONE, ESYS_TR_NONE,
		    ESYS_TR_NONE, &nv))
		return VS_OK;
	if (Esys_NV_ReadPublic(lab_tpm_esys(t), nv, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &pub,
		    NULL) == TSS2_RC_SUCCESS) {
		const uint16_t n = pub->nvPublic.dataSize < LAB_USER_DATA_SIZE
			? pub->nvPublic.dataSize
			: LAB_USER_DATA_SIZE;
		if (Esys_NV_Read(lab_tpm_esys(t), ESYS_TR_RH_OWNER, nv, ESYS_TR_PASSWORD,
			    ESYS_TR_NONE, ESYS_TR_NONE, n, 0, &data) == TSS2_RC_SUCCESS &&
			data->size <= LAB_USER_DATA_SIZE)
			memcpy(out, data->buffer, data->size);
	}
	Esys_Free(pub);
	Esys_Free(data);
	(void)Esys_TR_Close(lab_tpm_esys(t), &nv);
	return VS_OK;
}

vs_rc
lab_tpm_banks(struct lab_tpm *t, uint16_t algs[LAB_BANKS_MAX], size_t *n, struct vs_err *err)
{
	TPMS_CAPABILITY_DATA *cap = NULL;
	LAB_TPM(err, "reading the PCR banks",
		Esys_GetCapability(lab_tpm_esys(t), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
			TPM2_CAP_PCRS, 0, 1, NULL, &cap));
	const TPML_PCR_SELECTION *banks = &cap->data.assignedPCR;
	*n = 0;
	for (uint32_t i = 0; i < banks->count && *n < LAB_BANKS_MAX; i++) {
		if (banks->pcrSelections[i].pcrSelect[0] == 0xff)
			algs[(*n)++] = banks->pcrSelections[i].hash;
	}
	Esys_Free(cap);
	return VS_OK;
}

vs_rc
lab_tpm_extend(
	struct lab_tpm *t, uint32_t pcr, const TPML_DIGEST_VALUES *digests, struct vs_err *err)
{
	LAB_TPM(err, "extending a PCR",
		Esys_PCR_Extend(lab_tpm_esys(t), (ESYS_TR)pcr, ESYS_TR_PASSWORD, ESYS_TR_NONE,
			ESYS_TR_NONE, digests));
	return VS_OK;
}

vs_rc
lab_tpm_lock_platform(struct lab_tpm *t, struct vs_err *err)
{
	TPM2B_AUTH auth = {.size = 32};
	if (RAND_bytes(auth.buffer, auth.size) != 1)
		VS_FAIL(err, CRYPTO, "no random bytes");
	LAB_TPM(err, "locking the platform hierarchy",
		Esys_HierarchyChangeAuth(lab_tpm_esys(t), ESYS_TR_RH_PLATFORM, ESYS_TR_PASSWORD,
			ESYS_TR_NONE, ESYS_TR_NONE, &auth));
	return VS_OK;
}
