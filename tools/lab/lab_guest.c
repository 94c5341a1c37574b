/* SPDX-License-Identifier: BSD-2-Clause */
#include "lab/lab_guest.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <tss2/tss2_esys.h>
#include <tss2/tss2_mu.h>
#include <tss2/tss2_tctildr.h>

#include "base/codec.h"
#include "base/file.h"
#include "lab/lab_machine.h"
#include "lab/lab_tpm.h"

struct lab_guest {
	struct lab_machine *machine;
	TSS2_TCTI_CONTEXT *tcti;
	ESYS_CONTEXT *esys;
	ESYS_TR ak, key;
	TPML_PCR_SELECTION selection; /* of the key's policy */
};

#define NO3 ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE
#define PW ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE

vs_rc
lab_guest_start(struct lab_machine *m, struct lab_guest **ret, struct vs_err *err)
{
	struct lab_guest *g = calloc(1, sizeof *g);
	if (!g)
		VS_FAIL(err, MEMORY, "out of memory");
	g->machine = m;
	g->ak = g->key = ESYS_TR_NONE;
	vs_rc rc = lab_tpm_rc(
		Tss2_TctiLdr_Initialize(lab_machine_tcti(m), &g->tcti), "opening the TPM", err);
	if (!vs_failed(rc))
		rc = lab_tpm_rc(Esys_Initialize(&g->esys, g->tcti, NULL), "Esys_Initialize", err);
	if (!vs_failed(rc))
		rc = lab_tpm_rc(Esys_TR_FromTPMPublic(g->esys, LAB_HANDLE_AK, NO3, &g->ak),
			"opening the attestation key", err);
	if (vs_failed(rc)) {
		lab_guest_stop(g);
		return rc;
	}
	*ret = g;
	return VS_OK;
}

static void
drop_key(struct lab_guest *g)
{
	if (g->key != ESYS_TR_NONE)
		(void)Esys_FlushContext(g->esys, g->key);
	g->key = ESYS_TR_NONE;
}

void
lab_guest_stop(struct lab_guest *g)
{
	if (!g)
		return;
	if (g->esys) {
		drop_key(g);
		Esys_Finalize(&g->esys);
	}
	if (g->tcti)
		Tss2_TctiLdr_Finalize(&g->tcti);
	free(g);
}

static json_t *
b64(const void *p, size_t n)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf out = {.max = 4 << 20};
	if (vs_failed(vs_b64_encode(vs_bytes_of(p, n), &out, NULL)))
		return NULL;
	return json_string(vs_buf_cstr(&out));
}

/* Replaces the member; a failure leaves it missing and the request is refused. */
static void
put_b64(json_t *o, const char *name, const void *p, size_t n)
{
	json_object_set_new(o, name, b64(p, n));
}

static vs_rc
read_nv(struct lab_guest *g, uint32_t index, struct vs_buf *out, struct vs_err *err)
{
	ESYS_TR nv = ESYS_TR_NONE;
	TPM2B_NV_PUBLIC *pub = NULL;
	LAB_TPM(err, "opening an index", Esys_TR_FromTPMPublic(g->esys, index, NO3, &nv));
	TSS2_RC rc = Esys_NV_ReadPublic(g->esys, nv, NO3, &pub, NULL);
	const uint16_t size = rc == TSS2_RC_SUCCESS ? pub->nvPublic.dataSize : 0;
	Esys_Free(pub);
	for (uint16_t at = 0; at < size && rc == TSS2_RC_SUCCESS; at = (uint16_t)(at + 1024)) {
		TPM2B_MAX_NV_BUFFER *data = NULL;
		const uint16_t n = (uint16_t)(size - at) < 1024 ? (uint16_t)(size - at) : 1024;
		rc = Esys_NV_Read(g->esys, ESYS_TR_RH_OWNER, nv, PW, n, at, &data);
		if (rc == TSS2_RC_SUCCESS &&
			vs_failed(vs_buf_add(out, data->buffer, data->size, err)))
			rc = TSS2_BASE_RC_MEMORY;
		Esys_Free(data);
	}
	(void)Esys_TR_Close(g->esys, &nv);
	return lab_tpm_rc(rc, "reading an index", err);
}

static vs_rc
write_user_data(struct lab_guest *g, const uint8_t data[64], struct vs_err *err)
{
	ESYS_TR nv = ESYS_TR_NONE;
	const TPM2B_NV_PUBLIC pub = {
		.nvPublic = {.nvIndex = LAB_NV_USER_DATA,
			.nameAlg = TPM2_ALG_SHA256,
			.attributes = TPMA_NV_OWNERREAD | TPMA_NV_OWNERWRITE | TPMA_NV_AUTHREAD |
				TPMA_NV_AUTHWRITE | TPMA_NV_NO_DA,
			.dataSize = 64}};
	const TPM2B_AUTH auth = {0};
	TPM2B_MAX_NV_BUFFER buffer = {.size = 64};
	memcpy(buffer.buffer, data, 64);
	if (Esys_TR_FromTPMPublic(g->esys, LAB_NV_USER_DATA, NO3, &nv) != TSS2_RC_SUCCESS)
		LAB_TPM(err, "defining the user data",
			Esys_NV_DefineSpace(g->esys, ESYS_TR_RH_OWNER, PW, &auth, &pub, &nv));
	const TSS2_RC rc = Esys_NV_Write(g->esys, ESYS_TR_RH_OWNER, nv, PW, &buffer, 0);
	(void)Esys_TR_Close(g->esys, &nv);
	return lab_tpm_rc(rc, "writing the user data", err);
}

static TPML_PCR_SELECTION
select_pcrs(uint32_t mask, uint16_t alg)
{
	return (TPML_PCR_SELECTION){.count = 1,
		.pcrSelections = {{.hash = alg,
			.sizeofSelect = 3,
			.pcrSelect = {
				(uint8_t)mask, (uint8_t)(mask >> 8), (uint8_t)(mask >> 16)}}}};
}

static vs_rc
start_session(struct lab_guest *g, TPM2_SE type, ESYS_TR *ret, struct vs_err *err)
{
	const TPMT_SYM_DEF none = {.algorithm = TPM2_ALG_NULL};
	LAB_TPM(err, "starting a session",
		Esys_StartAuthSession(g->esys, ESYS_TR_NONE, ESYS_TR_NONE, NO3, NULL, type, &none,
			TPM2_ALG_SHA256, ret));
	LAB_TPM(err, "PolicyPCR", Esys_PolicyPCR(g->esys, *ret, NO3, NULL, &g->selection));
	return VS_OK;
}

static vs_rc
pcr_policy(struct lab_guest *g, TPM2B_DIGEST *ret, struct vs_err *err)
{
	ESYS_TR session = ESYS_TR_NONE;
	TPM2B_DIGEST *digest = NULL;
	VS_TRY(start_session(g, TPM2_SE_TRIAL, &session, err));
	const TSS2_RC rc = Esys_PolicyGetDigest(g->esys, session, NO3, &digest);
	(void)Esys_FlushContext(g->esys, session);
	if (rc == TSS2_RC_SUCCESS)
		*ret = *digest;
	Esys_Free(digest);
	return lab_tpm_rc(rc, "reading a policy digest", err);
}

static vs_rc
put_public(json_t *tpm, const char *name, const TPM2B_PUBLIC *pub, struct vs_err *err)
{
	uint8_t out[sizeof *pub];
	size_t n = 0;
	LAB_TPM(err, "encoding a public area",
		Tss2_MU_TPM2B_PUBLIC_Marshal(pub, out, sizeof out, &n));
	put_b64(tpm, name, out, n);
	return VS_OK;
}

static vs_rc
make_key(struct lab_guest *g, const struct lab_guest_options *o, json_t *tpm, struct vs_err *err)
{
	TPM2B_PUBLIC in = {
		.publicArea = {
			.type = TPM2_ALG_RSA,
			.nameAlg = TPM2_ALG_SHA256,
			.objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
				TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_NODA |
				TPMA_OBJECT_DECRYPT | (o->with_auth ? TPMA_OBJECT_USERWITHAUTH : 0),
			.parameters.rsaDetail = {.symmetric.algorithm = TPM2_ALG_NULL,
				.scheme.scheme = TPM2_ALG_NULL,
				.keyBits = 2048},
			.unique.rsa.size = 32,
		}};
	const TPM2B_SENSITIVE_CREATE sensitive = {0};
	const TPM2B_DATA outside = {0};
	const TPML_PCR_SELECTION none = {0};
	TPM2B_DIGEST *random = NULL;
	TPM2B_PUBLIC *pub = NULL;
	drop_key(g);
	g->selection = select_pcrs(o->weak_policy ? 1u << 16 : o->pcrs, TPM2_ALG_SHA256);
	VS_TRY(pcr_policy(g, &in.publicArea.authPolicy, err));
	LAB_TPM(err, "GetRandom", Esys_GetRandom(g->esys, NO3, 32, &random));
	memcpy(in.publicArea.unique.rsa.buffer, random->buffer, 32);
	Esys_Free(random);
	LAB_TPM(err, "creating the transport key",
		Esys_CreatePrimary(g->esys, ESYS_TR_RH_NULL, PW, &sensitive, &in, &outside, &none,
			&g->key, &pub, NULL, NULL, NULL));
	const vs_rc rc = put_public(tpm, "EncKeyPub", pub, err);
	Esys_Free(pub);
	return rc;
}

static void
put_attest(json_t *tpm, const char *what, const char *sig_name, const TPM2B_ATTEST *attest,
	const TPMT_SIGNATURE *sig)
{
	put_b64(tpm, what, attest->attestationData, attest->size);
	put_b64(tpm, sig_name, sig->signature.rsassa.sig.buffer, sig->signature.rsassa.sig.size);
}

static vs_rc
certify_key(struct lab_guest *g, json_t *tpm, struct vs_err *err)
{
	const TPM2B_DATA none = {0};
	const TPMT_SIG_SCHEME scheme = {.scheme = TPM2_ALG_NULL};
	TPM2B_ATTEST *attest = NULL;
	TPMT_SIGNATURE *sig = NULL;
	LAB_TPM(err, "certifying the transport key",
		Esys_Certify(g->esys, g->key, g->ak, ESYS_TR_PASSWORD, ESYS_TR_PASSWORD,
			ESYS_TR_NONE, &none, &scheme, &attest, &sig));
	put_attest(tpm, "EncKeyCertifyInfo", "EncKeyCertifyInfoSignature", attest, sig);
	Esys_Free(attest);
	Esys_Free(sig);
	return VS_OK;
}

static vs_rc
quote(struct lab_guest *g, const struct lab_guest_options *o, json_t *tpm, struct vs_err *err)
{
	TPM2B_DATA data = {0};
	const TPMT_SIG_SCHEME scheme = {.scheme = TPM2_ALG_NULL};
	const TPML_PCR_SELECTION sel =
		select_pcrs(o->pcrs, o->sha1_bank ? TPM2_ALG_SHA1 : TPM2_ALG_SHA256);
	TPM2B_ATTEST *attest = NULL;
	TPMT_SIGNATURE *sig = NULL;
	if (o->nonce) {
		data.size = 32;
		memcpy(data.buffer, o->nonce, 32);
	}
	LAB_TPM(err, "quoting",
		Esys_Quote(g->esys, g->ak, PW, &data, &scheme, &sel, &attest, &sig));
	put_attest(tpm, "PcrQuote", "PcrSignature", attest, sig);
	Esys_Free(attest);
	Esys_Free(sig);
	return VS_OK;
}

static vs_rc
read_pcrs(struct lab_guest *g, uint32_t mask, json_t *tpm, struct vs_err *err)
{
	json_t *set = json_array(), *pcrs = json_array();
	json_object_set_new(tpm, "PcrSet", set);
	json_object_set_new(tpm, "PCRs", pcrs);
	for (uint32_t i = 0; i < 24; i++) {
		if (!(mask & (1u << i)))
			continue;
		const TPML_PCR_SELECTION one = select_pcrs(1u << i, TPM2_ALG_SHA256);
		TPML_DIGEST *values = NULL;
		LAB_TPM(err, "reading a PCR",
			Esys_PCR_Read(g->esys, NO3, &one, NULL, NULL, &values));
		json_array_append_new(set, json_integer(i));
		json_array_append_new(pcrs,
			json_pack("{s:i,s:o}", "Index", (int)i, "Digest",
				b64(values->digests[0].buffer, values->digests[0].size)));
		Esys_Free(values);
	}
	return VS_OK;
}

static vs_rc
collect_tpm(struct lab_guest *g, const struct lab_guest_options *o, json_t *tpm, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf cert = {0};
	TPM2B_PUBLIC *ak = NULL;
	VS_TRY(read_nv(g, LAB_NV_AK_CERT, &cert, err));
	put_b64(tpm, "AikCert", cert.p, cert.n);
	LAB_TPM(err, "reading the attestation key",
		Esys_ReadPublic(g->esys, g->ak, NO3, &ak, NULL, NULL));
	const vs_rc rc = put_public(tpm, "AikPub", ak, err);
	Esys_Free(ak);
	VS_TRY(rc);
	VS_TRY(make_key(g, o, tpm, err));
	VS_TRY(certify_key(g, tpm, err));
	VS_TRY(read_pcrs(g, o->pcrs, tpm, err));
	return quote(g, o, tpm, err);
}

static vs_rc
collect_isolation(struct lab_guest *g, const struct lab_guest_options *o, json_t *isolation,
	struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf hcl = {0}, thim = {0}, chain = {0};
	if (o->trusted_launch) {
		json_object_set_new(isolation, "Type", json_string("TrustedLaunch"));
		return VS_OK;
	}
	if (o->user_data)
		VS_TRY(write_user_data(g, o->user_data, err));
	VS_TRY(read_nv(g, LAB_NV_REPORT, &hcl, err));
	VS_TRY(lab_machine_thim(g->machine, &thim, err));
	const size_t at = 32 + 1184 + 20;
	const size_t n = hcl.n > at ? (size_t)hcl.p[at - 4] | (size_t)hcl.p[at - 3] << 8 : 0;
	if (n == 0 || at + n > hcl.n)
		VS_FAIL(err, FORMAT, "the hardware report's index is not usable");
	json_t *certs = json_loadb((const char *)thim.p, thim.n, 0, NULL);
	const char *vcek = json_string_value(json_object_get(certs, "vcekCert"));
	const char *rest = json_string_value(json_object_get(certs, "certificateChain"));
	vs_rc rc = vs_buf_addf(&chain, err, "%s%s", vcek ? vcek : "", rest ? rest : "");
	json_decref(certs);
	VS_TRY(rc);
	json_t *proof = json_object();
	put_b64(proof, "SnpReport", hcl.p + 32, 1184);
	put_b64(proof, "VcekCertChain", chain.p, chain.n);
	char *text = json_dumps(proof, JSON_COMPACT);
	json_decref(proof);
	json_t *evidence = json_object();
	put_b64(evidence, "Proof", text ? text : "", text ? strlen(text) : 0);
	put_b64(evidence, "RunTimeData", hcl.p + at, n);
	free(text);
	json_object_set_new(isolation, "Type", json_string("SevSnp"));
	json_object_set_new(isolation, "Evidence", evidence);
	return VS_OK;
}

static vs_rc
collect(struct lab_guest *g, const struct lab_guest_options *o, json_t *info, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf log = {0};
	json_t *tpm = json_object(), *isolation = json_object(), *payload = json_object();
	json_object_set_new(info, "TpmInfo", tpm);
	json_object_set_new(info, "IsolationInfo", isolation);
	json_object_set_new(info, "ClientPayload", payload);
	if (o->nonce)
		put_b64(payload, "nonce", o->nonce, 32);
	VS_TRY(vs_file_read(lab_machine_event_log(g->machine), 1 << 20, VS_FILE_ANY, &log, err));
	put_b64(info, "TcgLogs", log.p, log.n);
	put_b64(info, "OSType", "Linux", 5);
	put_b64(info, "OSDistro", "Vouchsafe LAB", 13);
	put_b64(info, "OSBuild", "NotApplication", 14);
	VS_TRY(collect_isolation(g, o, isolation, err));
	return collect_tpm(g, o, tpm, err);
}

vs_rc
lab_guest_collect(struct lab_guest *g, const struct lab_guest_options *options, json_t **ret,
	struct vs_err *err)
{
	struct lab_guest_options o = *options;
	if (o.pcrs == 0)
		o.pcrs = 0xff;
	json_t *info = json_pack("{s:s,s:i,s:i}", "AttestationProtocolVersion", "2.0",
		"OSVersionMajor", 12, "OSVersionMinor", 0);
	if (!info)
		VS_FAIL(err, MEMORY, "out of memory");
	const vs_rc rc = collect(g, &o, info, err);
	if (vs_failed(rc)) {
		json_decref(info);
		return rc;
	}
	*ret = info;
	return VS_OK;
}

static vs_rc
rsa_decrypt(struct lab_guest *g, struct vs_bytes wrapped, uint8_t key[32], struct vs_err *err)
{
	ESYS_TR session = ESYS_TR_NONE;
	TPM2B_PUBLIC_KEY_RSA in = {.size = 256}, *out = NULL;
	const TPMT_RSA_DECRYPT scheme = {.scheme = TPM2_ALG_RSAES};
	const TPM2B_DATA label = {0};
	if (wrapped.n != 256)
		VS_FAIL(err, FORMAT, "EncryptedInnerKey has %zu bytes", wrapped.n);
	memcpy(in.buffer, wrapped.p, 256);
	VS_TRY(start_session(g, TPM2_SE_POLICY, &session, err));
	TSS2_RC rc = Esys_RSA_Decrypt(
		g->esys, g->key, session, ESYS_TR_NONE, ESYS_TR_NONE, &in, &scheme, &label, &out);
	(void)Esys_FlushContext(g->esys, session);
	const bool whole = rc == TSS2_RC_SUCCESS && out->size == 32;
	if (whole)
		memcpy(key, out->buffer, 32);
	Esys_Free(out);
	VS_TRY(lab_tpm_rc(rc, "decrypting the inner key", err));
	if (!whole)
		VS_FAIL(err, FORMAT, "the inner key is not 32 bytes");
	return VS_OK;
}

static vs_rc
gcm_open(const uint8_t key[32], struct vs_bytes iv, struct vs_bytes text, struct vs_bytes tag,
	struct vs_buf *out, struct vs_err *err)
{
	uint8_t *room = NULL;
	int n = 0, end = 0;
	if (iv.n != 12 || tag.n != 16)
		VS_FAIL(err, FORMAT, "the envelope's Iv or AuthenticationData has another length");
	VS_TRY(vs_buf_room(out, text.n + 16, &room, err));
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	const bool ok = c && EVP_DecryptInit_ex(c, EVP_aes_256_gcm(), NULL, key, iv.p) == 1 &&
		EVP_DecryptUpdate(c, NULL, &n, (const uint8_t *)"Transport Key", 13) == 1 &&
		EVP_DecryptUpdate(c, room, &n, text.p, (int)text.n) == 1 &&
		EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, 16, (void *)(uintptr_t)tag.p) == 1 &&
		EVP_DecryptFinal_ex(c, room + n, &end) == 1;
	EVP_CIPHER_CTX_free(c);
	if (!ok)
		VS_FAIL(err, DATA, "the envelope does not decrypt");
	out->n += (size_t)n;
	out->p[out->n] = '\0';
	return VS_OK;
}

static vs_rc
member(const json_t *o, const char *name, struct vs_buf *out, struct vs_err *err)
{
	const char *text = json_string_value(json_object_get(o, name));
	if (!text)
		VS_FAIL(err, FORMAT, "%s is missing from the envelope", name);
	return vs_b64_any_decode(vs_bytes_str(text), out, err);
}

static vs_rc
unwrap_object(struct lab_guest *g, const json_t *o, struct vs_buf *token, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf jwt = {0}, wrapped = {0}, iv = {0}, tag = {0};
	uint8_t key[32];
	VS_TRY(member(o, "Jwt", &jwt, err));
	VS_TRY(member(o, "EncryptedInnerKey", &wrapped, err));
	VS_TRY(member(json_object_get(o, "EncryptionParams"), "Iv", &iv, err));
	VS_TRY(member(o, "AuthenticationData", &tag, err));
	VS_TRY(rsa_decrypt(g, vs_buf_view(&wrapped), key, err));
	return gcm_open(key, vs_buf_view(&iv), vs_buf_view(&jwt), vs_buf_view(&tag), token, err);
}

vs_rc
lab_guest_unwrap(
	struct lab_guest *g, struct vs_bytes answer, struct vs_buf *token, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf inner = {0};
	json_t *outer = json_loadb((const char *)answer.p, answer.n, 0, NULL), *o = NULL;
	vs_rc rc = member(outer, "token", &inner, err);
	if (!vs_failed(rc)) {
		o = json_loadb((const char *)inner.p, inner.n, 0, NULL);
		rc = unwrap_object(g, o, token, err);
	}
	json_decref(outer);
	json_decref(o);
	return rc;
}
