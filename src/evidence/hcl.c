/* SPDX-License-Identifier: BSD-2-Clause */
/* Layout: facts of 11 captures and of the paravisor's source; little endian. */
#include "evidence/hcl.h"

#include <string.h>

#include "base/codec.h"
#include "evidence/ev_crypto.h"
#include "jose/json.h"

enum {
	SIGNATURE = 0x414C4348,
	HEAD_BYTES = 32,
	REPORT_AREA = 1184,
	CLAIMS_HEAD = 20,
	CLAIMS_AT = HEAD_BYTES + REPORT_AREA + CLAIMS_HEAD,
	REQUEST_TYPE = 2,
	CLAIMS_VERSION = 1,
	TYPE_SNP = 2,
	TYPE_TDX = 4,
	HASH_SHA256 = 1,
	SNP_REPORT_DATA_AT = 0x50,
	TD_REPORT_DATA_AT = 128,
	KEYS_MAX = 8,
};

static bool
all_zero(struct vs_bytes b)
{
	uint8_t x = 0;
	for (size_t i = 0; i < b.n; i++)
		x |= b.p[i];
	return x == 0;
}

/* The first 32 bytes; returns the size of all that is not padding. */
static vs_rc
parse_head(struct vs_reader *r, struct vs_hcl *h, uint32_t *ret_size, struct vs_err *err)
{
	if (vs_get_le32(r) != SIGNATURE)
		VS_FAIL(err, FORMAT, "the paravisor's report does not begin with its signature");
	h->version = vs_get_le32(r);
	*ret_size = vs_get_le32(r);
	const uint32_t request = vs_get_le32(r);
	const uint32_t status = vs_get_le32(r);
	const struct vs_bytes reserved = vs_get_bytes(r, 12);
	if (h->version != 1 && h->version != 2)
		VS_FAIL(err, FORMAT, "the paravisor's report has version %u; 1 and 2 are known",
			h->version);
	if (request != REQUEST_TYPE || status != 0 || !all_zero(reserved))
		VS_FAIL(err, FORMAT,
			"the paravisor's report has an unknown header (type %u, status %u)",
			request, status);
	return VS_OK;
}

vs_rc
vs_hcl_parse(struct vs_bytes nv, struct vs_hcl *ret, struct vs_err *err)
{
	if (nv.n < CLAIMS_AT || nv.n > VS_HCL_MAX)
		VS_FAIL(err, FORMAT, "the paravisor's report has %zu bytes; %d to %d are possible",
			nv.n, CLAIMS_AT, VS_HCL_MAX);
	struct vs_reader r = vs_reader_of(nv);
	struct vs_hcl h = {.tee = VS_TEE_NONE};
	uint32_t size = 0;
	VS_TRY(parse_head(&r, &h, &size, err));
	const struct vs_bytes area = vs_get_bytes(&r, REPORT_AREA);
	const uint32_t data_size = vs_get_le32(&r);
	const uint32_t version = vs_get_le32(&r);
	const uint32_t type = vs_get_le32(&r);
	const uint32_t hash = vs_get_le32(&r);
	const uint32_t claims = vs_get_le32(&r);
	/* The hash type is not signed: no choice may follow from it, so only one value is allowed.
	 */
	if (version != CLAIMS_VERSION || hash != HASH_SHA256)
		VS_FAIL(err, FORMAT,
			"the paravisor's claims have version %u and hash type %u; 1 and 1 "
			"are known",
			version, hash);
	if (claims == 0 || claims > nv.n - CLAIMS_AT || claims > VS_RUNTIME_MAX ||
		data_size != CLAIMS_HEAD + claims || size != CLAIMS_AT + claims)
		VS_FAIL(err, FORMAT,
			"the lengths in the paravisor's report do not agree (%u, %u, %u)", size,
			data_size, claims);
	h.json = vs_get_bytes(&r, claims);
	if (!all_zero(vs_get_bytes(&r, r.left)))
		VS_FAIL(err, FORMAT, "there are bytes behind the paravisor's claims");
	switch (type) {
	case TYPE_SNP:
		h.tee = VS_TEE_SNP;
		h.report = area;
		break;
	case TYPE_TDX:
		h.tee = VS_TEE_TDX;
		h.report = (struct vs_bytes){area.p, VS_TD_REPORT_BYTES};
		if (!all_zero((struct vs_bytes){
			    area.p + VS_TD_REPORT_BYTES, REPORT_AREA - VS_TD_REPORT_BYTES}))
			VS_FAIL(err, FORMAT, "there are bytes behind the TD report");
		break;
	default:
		VS_FAIL(err, FORMAT,
			"the paravisor's report is of type %u; SEV-SNP (2) and TDX (4) are known",
			type);
	}
	*ret = h;
	return VS_OK;
}

struct vs_bytes
vs_hcl_report_data(const struct vs_hcl *hcl)
{
	const size_t at = hcl->tee == VS_TEE_TDX ? TD_REPORT_DATA_AT : SNP_REPORT_DATA_AT;
	return (struct vs_bytes){hcl->report.p + at, 64};
}

vs_rc
vs_hcl_check_binding(const struct vs_hcl *hcl, struct vs_err *err)
{
	uint8_t expected[64] = {0};
	VS_TRY(vs_ev_sha256(hcl->json, expected, err));
	if (!vs_ct_eq(expected, vs_hcl_report_data(hcl).p, sizeof expected))
		VS_FAIL(err, REFUSED_EVIDENCE,
			"the hardware report is not about this runtime data: its report data is "
			"not the "
			"SHA-256 of the data");
	return VS_OK;
}

/* ---- runtime data --------------------------------------------------------------------------- */

static vs_rc
read_ak(const struct vs_json *key, struct vs_runtime *rt, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf n = {.max = VS_RSA_N_MAX + 8};
	VS_CLEANUP(vs_buf_done) struct vs_buf e = {.max = 16};
	struct vs_bytes text_n, text_e;
	if (rt->ak_n_bytes != 0)
		VS_FAIL(err, FORMAT, "the runtime data names two attestation keys");
	if (!vs_json_is_string(vs_json_get(key, "kty"), "RSA") ||
		!vs_json_bytes(vs_json_get(key, "n"), &text_n) ||
		!vs_json_bytes(vs_json_get(key, "e"), &text_e))
		VS_FAIL(err, FORMAT, "the runtime data's HCLAkPub is not an RSA key");
	VS_TRY(vs_b64url_decode(text_n, &n, err));
	VS_TRY(vs_b64url_decode(text_e, &e, err));
	if (n.n < 256 || n.n > sizeof rt->ak_n || (n.p[0] & 0x80) == 0 || e.n == 0 || e.n > 4)
		VS_FAIL(err, FORMAT, "the runtime data's HCLAkPub has an odd size");
	memcpy(rt->ak_n, n.p, n.n);
	rt->ak_n_bytes = n.n;
	for (size_t i = 0; i < e.n; i++)
		rt->ak_e = rt->ak_e << 8 | e.p[i];
	return VS_OK;
}

static vs_rc
read_user_data(const struct vs_json *v, struct vs_runtime *rt, struct vs_err *err)
{
	struct vs_bytes text;
	if (v == NULL)
		return VS_OK;
	/* Shorter where another program made the index shorter; what is missing is zero. */
	VS_CLEANUP(vs_buf_done) struct vs_buf data = {.max = VS_USER_DATA_BYTES};
	if (!vs_json_bytes(v, &text) || vs_failed(vs_hex_decode(text, &data, NULL)))
		VS_FAIL(err, FORMAT,
			"the runtime data's user-data is not up to 64 bytes in hexadecimal");
	if (data.n != 0)
		memcpy(rt->user_data, data.p, data.n);
	rt->has_user_data = true;
	return VS_OK;
}

static enum vs_tristate
read_flag(const struct vs_json *config, const char *name)
{
	bool b = false;
	if (!vs_json_bool(vs_json_get(config, name), &b))
		return VS_UNKNOWN;
	return b ? VS_YES : VS_NO;
}

static vs_rc
read_vm_id(const struct vs_json *config, struct vs_runtime *rt, struct vs_err *err)
{
	struct vs_bytes id;
	const struct vs_json *v = vs_json_get(config, "vmUniqueId");
	if (v == NULL)
		return VS_OK;
	if (!vs_json_bytes(v, &id) || id.n != sizeof rt->vm_id - 1)
		VS_FAIL(err, FORMAT, "the runtime data's vmUniqueId is not 36 characters");
	for (size_t i = 0; i < id.n; i++) {
		const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		const uint8_t c = id.p[i];
		const bool hex =
			(c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
		if (dash ? c != '-' : !hex)
			VS_FAIL(err, FORMAT, "the runtime data's vmUniqueId is not a UUID");
	}
	memcpy(rt->vm_id, id.p, id.n);
	return VS_OK;
}

vs_rc
vs_runtime_parse(struct vs_bytes json, struct vs_runtime *ret, struct vs_err *err)
{
	VS_CLEANUP(vs_json_freep) struct vs_json *root = NULL;
	VS_TRY(vs_json_load_object(json, VS_RUNTIME_MAX, "runtime data", &root, err));
	struct vs_runtime rt = {.ak_n_bytes = 0};
	const struct vs_json *keys = vs_json_get(root, "keys");
	const size_t n_keys = vs_json_count(keys);
	if (vs_json_kind(keys) != VS_JSON_ARRAY || n_keys > KEYS_MAX)
		VS_FAIL(err, FORMAT, "the runtime data has no list of keys");
	for (size_t i = 0; i < n_keys; i++) {
		const struct vs_json *key = vs_json_at(keys, i);
		if (vs_json_is_string(vs_json_get(key, "kid"), "HCLAkPub"))
			VS_TRY(read_ak(key, &rt, err));
	}
	const struct vs_json *config = vs_json_get(root, "vm-configuration");
	rt.secure_boot = read_flag(config, "secure-boot");
	rt.console = read_flag(config, "console-enabled");
	rt.tpm_enabled = read_flag(config, "tpm-enabled");
	rt.tpm_persisted = read_flag(config, "tpm-persisted");
	VS_TRY(read_vm_id(config, &rt, err));
	VS_TRY(read_user_data(vs_json_get(root, "user-data"), &rt, err));
	*ret = rt;
	return VS_OK;
}
