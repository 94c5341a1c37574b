/* SPDX-License-Identifier: BSD-2-Clause */
/* Keys in the TPM: the attestation key signs, the transport key decrypts. */
#include "evidence/tpm.h"

#include <string.h>

#include <tss2/tss2_mu.h>

#include "evidence/tpm_impl.h"

enum { TRANSPORT_BITS = 2048, TRANSPORT_BYTES = 256, POLICY_TRIES = 8 };

static vs_rc
put_public(const TPM2B_PUBLIC *public, struct vs_buf *ret, struct vs_err *err)
{
	uint8_t bytes[sizeof *public];
	size_t n = 0;
	const TSS2_RC rc = Tss2_MU_TPM2B_PUBLIC_Marshal(public, bytes, sizeof bytes, &n);
	if (rc != TSS2_RC_SUCCESS)
		VS_FAIL_N(err, TPM, rc, "the TPM's public area cannot be written out");
	return vs_buf_set(ret, bytes, n, err);
}

vs_rc
vs_tpm_read_public(struct vs_tpm *tpm, uint32_t handle, struct vs_buf *ret_2b, struct vs_err *err)
{
	bool exists = true;
	if (handle >> 24 == TPM2_HT_PERSISTENT)
		VS_TRY(vs_tpm_exists(tpm, handle, &exists, err));
	if (!exists)
		VS_FAIL(err, NOT_FOUND, "there is no persistent key 0x%08X in this TPM", handle);
	TPM2B_PUBLIC public = {0};
	TPM2B_NAME name = {0}, qualified = {0};
	TSS2_RC rc;
	VS_TPM_RUN(tpm, rc,
		Tss2_Sys_ReadPublic(tpm->sys, handle, NULL, &public, &name, &qualified, NULL));
	if (rc != TSS2_RC_SUCCESS)
		return vs_tpm_fail(tpm, rc, "show a key", err);
	return put_public(&public, ret_2b, err);
}

/* Only what all our verifiers accept: RSASSA with SHA-256. */
static vs_rc
put_attest(const TPM2B_ATTEST *attest, const TPMT_SIGNATURE *sig, struct vs_buf *ret_attest,
	struct vs_buf *ret_sig, struct vs_err *err)
{
	if (sig->sigAlg != TPM2_ALG_RSASSA || sig->signature.rsassa.hash != TPM2_ALG_SHA256)
		VS_FAIL(err, EVIDENCE,
			"the attestation key signs with scheme %04x; RSASSA with SHA-256 is "
			"expected",
			sig->sigAlg);
	VS_TRY(vs_buf_set(ret_attest, attest->attestationData, attest->size, err));
	return vs_buf_set(
		ret_sig, sig->signature.rsassa.sig.buffer, sig->signature.rsassa.sig.size, err);
}

vs_rc
vs_tpm_quote(struct vs_tpm *tpm, uint32_t ak, uint32_t mask, struct vs_bytes qualifying,
	struct vs_buf *ret_attest, struct vs_buf *ret_sig, struct vs_err *err)
{
	TPM2B_DATA data = {.size = (UINT16)qualifying.n};
	VS_REQUIRE(err, qualifying.n <= sizeof data.buffer);
	if (qualifying.n != 0)
		memcpy(data.buffer, qualifying.p, qualifying.n);
	const TPMT_SIG_SCHEME scheme = {.scheme = TPM2_ALG_NULL};
	TPML_PCR_SELECTION selection;
	TPM2B_ATTEST attest = {0};
	TPMT_SIGNATURE sig = {0};
	TSS2L_SYS_AUTH_RESPONSE answers = {0};
	TSS2_RC rc;
	vs_tpm_select(mask, &selection);
	VS_TPM_RUN(tpm, rc,
		Tss2_Sys_Quote(tpm->sys, ak, &vs_tpm_password, &data, &scheme, &selection, &attest,
			&sig, &answers));
	if (rc != TSS2_RC_SUCCESS)
		return vs_tpm_fail(tpm, rc, "quote", err);
	return put_attest(&attest, &sig, ret_attest, ret_sig, err);
}

vs_rc
vs_tpm_certify(struct vs_tpm *tpm, uint32_t object, uint32_t ak, struct vs_bytes qualifying,
	struct vs_buf *ret_attest, struct vs_buf *ret_sig, struct vs_err *err)
{
	TPM2B_DATA data = {.size = (UINT16)qualifying.n};
	VS_REQUIRE(err, qualifying.n <= sizeof data.buffer);
	if (qualifying.n != 0)
		memcpy(data.buffer, qualifying.p, qualifying.n);
	const TPMT_SIG_SCHEME scheme = {.scheme = TPM2_ALG_NULL};
	TPM2B_ATTEST attest = {0};
	TPMT_SIGNATURE sig = {0};
	TSS2L_SYS_AUTH_RESPONSE answers = {0};
	TSS2_RC rc;
	VS_TPM_RUN(tpm, rc,
		Tss2_Sys_Certify(tpm->sys, object, ak, &vs_tpm_two_passwords, &data, &scheme,
			&attest, &sig, &answers));
	if (rc != TSS2_RC_SUCCESS)
		return vs_tpm_fail(tpm, rc, "certify the transport key", err);
	return put_attest(&attest, &sig, ret_attest, ret_sig, err);
}

vs_rc
vs_tpm_counter_certify(struct vs_tpm *tpm, uint32_t index, uint32_t ak, struct vs_bytes qualifying,
	struct vs_buf *ret_attest, struct vs_buf *ret_sig, struct vs_err *err)
{
	TPM2B_DATA data = {.size = (UINT16)qualifying.n};
	VS_REQUIRE(err, qualifying.n <= sizeof data.buffer);
	if (qualifying.n != 0)
		memcpy(data.buffer, qualifying.p, qualifying.n);
	const TPMT_SIG_SCHEME scheme = {.scheme = TPM2_ALG_NULL};
	TPM2B_ATTEST attest = {0};
	TPMT_SIGNATURE sig = {0};
	TSS2L_SYS_AUTH_RESPONSE answers = {0};
	TSS2_RC rc;
	VS_TPM_RUN(tpm, rc,
		Tss2_Sys_NV_Certify(tpm->sys, ak, TPM2_RH_OWNER, index, &vs_tpm_two_passwords,
			&data, &scheme, 8, 0, &attest, &sig, &answers));
	if (rc != TSS2_RC_SUCCESS)
		return vs_tpm_fail(tpm, rc, "certify a counter", err);
	return put_attest(&attest, &sig, ret_attest, ret_sig, err);
}

static void
fill_transport(const uint8_t policy[32], const uint8_t unique[256], TPM2B_PUBLIC *ret)
{
	*ret = (TPM2B_PUBLIC){
		.publicArea = {.type = TPM2_ALG_RSA,
			.nameAlg = TPM2_ALG_SHA256,
			.objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
				TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_NODA |
				TPMA_OBJECT_DECRYPT,
			.authPolicy = {.size = 32},
			.parameters.rsaDetail = {.symmetric = {.algorithm = TPM2_ALG_NULL},
				.scheme = {.scheme = TPM2_ALG_NULL},
				.keyBits = TRANSPORT_BITS},
			.unique.rsa = {.size = TRANSPORT_BYTES}},
	};
	memcpy(ret->publicArea.authPolicy.buffer, policy, 32);
	memcpy(ret->publicArea.unique.rsa.buffer, unique, TRANSPORT_BYTES);
}

vs_rc
vs_tpm_make_transport(struct vs_tpm *tpm, const uint8_t policy_digest[32],
	const uint8_t unique[256], uint32_t *ret_handle, struct vs_buf *ret_public_2b,
	struct vs_err *err)
{
	TPM2B_SENSITIVE_CREATE sensitive = {0};
	TPM2B_PUBLIC template, public = {0};
	const TPM2B_DATA outside = {0};
	const TPML_PCR_SELECTION no_pcrs = {0};
	TPM2_HANDLE handle = 0;
	TPM2B_CREATION_DATA creation = {0};
	TPM2B_DIGEST hash = {0};
	TPMT_TK_CREATION ticket = {0};
	TPM2B_NAME name = {0};
	TSS2L_SYS_AUTH_RESPONSE answers = {0};
	TSS2_RC rc;
	fill_transport(policy_digest, unique, &template);
	VS_TPM_RUN(tpm, rc,
		Tss2_Sys_CreatePrimary(tpm->sys, TPM2_RH_NULL, &vs_tpm_password, &sensitive,
			&template, &outside, &no_pcrs, &handle, &public, &creation, &hash, &ticket,
			&name, &answers));
	VS_TRY(vs_tpm_remember(tpm, rc, handle, "make the transport key", err));
	VS_TRY(put_public(&public, ret_public_2b, err));
	*ret_handle = handle;
	return VS_OK;
}

vs_rc
vs_tpm_context_save(struct vs_tpm *tpm, uint32_t handle, struct vs_buf *ret, struct vs_err *err)
{
	TPMS_CONTEXT context = {0};
	TSS2_RC rc;
	VS_TPM_RUN(tpm, rc, Tss2_Sys_ContextSave(tpm->sys, handle, &context));
	if (rc != TSS2_RC_SUCCESS)
		return vs_tpm_fail(tpm, rc, "save the transport key's context", err);
	uint8_t bytes[sizeof context];
	size_t n = 0;
	rc = Tss2_MU_TPMS_CONTEXT_Marshal(&context, bytes, sizeof bytes, &n);
	if (rc != TSS2_RC_SUCCESS)
		VS_FAIL_N(err, TPM, rc, "the TPM's saved context cannot be written out");
	return vs_buf_set(ret, bytes, n, err);
}

vs_rc
vs_tpm_context_load(
	struct vs_tpm *tpm, struct vs_bytes blob, uint32_t *ret_handle, struct vs_err *err)
{
	TPMS_CONTEXT context = {0};
	size_t n = 0;
	TPMI_DH_CONTEXT handle = 0;
	TSS2_RC rc = Tss2_MU_TPMS_CONTEXT_Unmarshal(blob.p, blob.n, &n, &context);
	VS_REQUIRE(err, rc == TSS2_RC_SUCCESS && n == blob.n);
	VS_TPM_RUN(tpm, rc, Tss2_Sys_ContextLoad(tpm->sys, &context, &handle));
	/* After a reset the context's integrity value no longer verifies: the key is gone for good.
	 */
	if (vs_tpm_code(rc) == 0x1DF || vs_tpm_code(rc) == 0x1CB)
		VS_FAIL_N(err, REFUSED_BINDING, rc,
			"the TPM was reset since the attestation: its transport key is gone, "
			"attest again");
	VS_TRY(vs_tpm_remember(tpm, rc, handle, "load the transport key again", err));
	*ret_handle = handle;
	return VS_OK;
}

/* A policy session that has seen the current PCRs; flushed at close at the latest. */
static vs_rc
start_policy(struct vs_tpm *tpm, uint32_t mask, TPMI_SH_AUTH_SESSION *ret, struct vs_err *err)
{
	/* The session carries no key and no authorisation value, so the caller's nonce protects
	 * nothing. */
	const TPM2B_NONCE caller = {.size = 32};
	const TPM2B_ENCRYPTED_SECRET salt = {0};
	const TPMT_SYM_DEF symmetric = {.algorithm = TPM2_ALG_NULL};
	const TPM2B_DIGEST current = {0};
	TPM2B_NONCE nonce = {0};
	TPML_PCR_SELECTION selection;
	TPMI_SH_AUTH_SESSION session = 0;
	TSS2_RC rc;
	VS_TPM_RUN(tpm, rc,
		Tss2_Sys_StartAuthSession(tpm->sys, TPM2_RH_NULL, TPM2_RH_NULL, NULL, &caller,
			&salt, TPM2_SE_POLICY, &symmetric, TPM2_ALG_SHA256, &session, &nonce,
			NULL));
	VS_TRY(vs_tpm_remember(tpm, rc, session, "start a policy session", err));
	vs_tpm_select(mask, &selection);
	VS_TPM_RUN(
		tpm, rc, Tss2_Sys_PolicyPCR(tpm->sys, session, NULL, &current, &selection, NULL));
	if (rc != TSS2_RC_SUCCESS)
		return vs_tpm_fail(tpm, rc, "bind a session to the PCRs", err);
	*ret = session;
	return VS_OK;
}

static bool
fill_scheme(enum vs_unwrap scheme, TPMT_RSA_DECRYPT *ret)
{
	*ret = (TPMT_RSA_DECRYPT){.scheme = TPM2_ALG_OAEP};
	switch (scheme) {
	case VS_UNWRAP_RSAES: ret->scheme = TPM2_ALG_RSAES; return true;
	case VS_UNWRAP_OAEP_SHA1: ret->details.oaep.hashAlg = TPM2_ALG_SHA1; return true;
	case VS_UNWRAP_OAEP_SHA256: ret->details.oaep.hashAlg = TPM2_ALG_SHA256; return true;
	case VS_UNWRAP_OAEP_SHA384: ret->details.oaep.hashAlg = TPM2_ALG_SHA384; return true;
	}
	return false;
}

static vs_rc
fail_decrypt(struct vs_tpm *tpm, TSS2_RC rc, struct vs_err *err)
{
	/* Format-one codes carry the parameter's number in bits 8-11 and, for sessions, bit 11. */
	const TSS2_RC code = vs_tpm_code(rc);
	if (code == TPM2_RC_PCR_CHANGED)
		VS_FAIL_N(err, TPM, rc,
			"PCRs are extended faster than the TPM uses the transport key (%d times in "
			"a row); try again",
			POLICY_TRIES);
	if ((code & ~0xF00U) == (TPM2_RC_POLICY_FAIL & ~0xF00U))
		VS_FAIL_N(err, REFUSED_BINDING, rc,
			"a PCR changed since the attestation: the machine is not any more in the "
			"state it "
			"proved, so the TPM does not use the transport key; attest again");
	const TSS2_RC base = code & 0xBF;
	if (code == TPM2_RC_FAILURE || base == TPM2_RC_VALUE || base == TPM2_RC_SIZE)
		VS_FAIL_N(err, DATA, rc,
			"the answer does not decrypt with this machine's transport key (wrong key, "
			"hash or "
			"damage)");
	return vs_tpm_fail(tpm, rc, "decrypt with the transport key", err);
}

vs_rc
vs_tpm_rsa_decrypt(struct vs_tpm *tpm, uint32_t key, uint32_t mask, enum vs_unwrap scheme,
	struct vs_bytes ciphertext, struct vs_arena *arena, struct vs_secret *ret,
	struct vs_err *err)
{
	TPMT_RSA_DECRYPT how;
	VS_REQUIRE(err, fill_scheme(scheme, &how));
	if (ciphertext.n != TRANSPORT_BYTES)
		VS_FAIL(err, DATA,
			"a ciphertext of %zu bytes cannot be for this machine's transport key",
			ciphertext.n);
	TPM2B_PUBLIC_KEY_RSA in = {.size = TRANSPORT_BYTES};
	memcpy(in.buffer, ciphertext.p, TRANSPORT_BYTES);
	const TPM2B_DATA label = {0};
	TPM2B_PUBLIC_KEY_RSA message = {0};
	TSS2L_SYS_AUTH_RESPONSE answers = {0};
	TSS2_RC rc = TPM2_RC_PCR_CHANGED;
	/* A session has seen all PCRs, so that one which is not ours ends it, too: see once more.
	 */
	for (int i = 0; i < POLICY_TRIES && vs_tpm_code(rc) == TPM2_RC_PCR_CHANGED; i++) {
		TPMI_SH_AUTH_SESSION session = 0;
		VS_TRY(start_policy(tpm, mask, &session, err));
		const TSS2L_SYS_AUTH_COMMAND auth = {
			.count = 1,
			.auths = {{.sessionHandle = session,
				.sessionAttributes = TPMA_SESSION_CONTINUESESSION}},
		};
		VS_TPM_RUN(tpm, rc,
			Tss2_Sys_RSA_Decrypt(
				tpm->sys, key, &auth, &in, &how, &label, &message, &answers));
		vs_tpm_flush(tpm, session);
	}
	vs_rc out = VS_OK;
	if (rc != TSS2_RC_SUCCESS)
		out = fail_decrypt(tpm, rc, err);
	else if (message.size == 0)
		out = vs_err_put(
			err, VS_E_DATA, __func__, __LINE__, 0, "the answer decrypts to nothing");
	else
		out = vs_secret_from(arena, message.buffer, message.size, ret, err);
	vs_wipe(&message, sizeof message);
	vs_wipe(tpm->response, sizeof tpm->response);
	return out;
}
