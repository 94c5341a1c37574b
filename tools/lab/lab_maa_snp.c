/* SPDX-License-Identifier: BSD-2-Clause */
/* POST /attest/SevSnpVm: a bare hardware report, with or without the data it stands for. */
#include <string.h>

#include "base/codec.h"
#include "lab/lab_claims.h"
#include "lab/lab_machine.h"
#include "lab/lab_maa_priv.h"

struct snp_request {
	struct vs_buf report, chain, runtime;
	bool has_runtime, runtime_json;
};

static void
request_done(struct snp_request *r)
{
	vs_buf_done(&r->report);
	vs_buf_done(&r->chain);
	vs_buf_done(&r->runtime);
}

static bool
bytes_of(const json_t *o, const char *name, struct vs_buf *out)
{
	const json_t *v = json_object_get(o, name);
	return json_is_string(v) &&
		!vs_failed(vs_b64_any_decode(
			vs_bytes_of(json_string_value(v), json_string_length(v)), out, NULL));
}

static bool
read_request(const json_t *body, struct snp_request *r, struct lab_maa_error *e)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf outer = {0};
	json_t *o = NULL;
	if (bytes_of(body, "report", &outer))
		o = json_loadb((const char *)outer.p, outer.n, JSON_REJECT_DUPLICATES, NULL);
	const bool whole = o && bytes_of(o, "SnpReport", &r->report) &&
		bytes_of(o, "VcekCertChain", &r->chain);
	json_decref(o);
	if (!whole)
		return lab_maa_fail(e, 400, "InvalidParameter",
			"report is not base64url of a JSON object with SnpReport and "
			"VcekCertChain.");
	const json_t *runtime = json_object_get(body, "runtimeData");
	const char *type = json_string_value(json_object_get(runtime, "dataType"));
	r->has_runtime = runtime && !json_is_null(runtime);
	r->runtime_json = type && strcmp(type, "JSON") == 0;
	if (r->has_runtime &&
		(!bytes_of(runtime, "data", &r->runtime) ||
			(!r->runtime_json && !(type && strcmp(type, "Binary") == 0))))
		return lab_maa_fail(
			e, 400, "InvalidParameter", "runtimeData has no data or dataType.");
	if (json_object_get(body, "initTimeData"))
		return lab_maa_fail(
			e, 400, "InvalidParameter", "The lab's machines have no initTimeData.");
	return true;
}

static bool
runtime_claim(const struct snp_request *r, json_t *claims, struct lab_maa_error *e)
{
	if (!r->has_runtime || !r->runtime_json)
		return true;
	/* One NUL behind the text is tolerated and is part of the hash. */
	const size_t n = r->runtime.n - (r->runtime.n > 0 && r->runtime.p[r->runtime.n - 1] == 0);
	json_t *o = json_loadb((const char *)r->runtime.p, n, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(o)) {
		json_decref(o);
		return lab_maa_fail(
			e, 400, "InvalidParameter", "runtimeData is not a JSON object.");
	}
	json_object_set_new(claims, "x-ms-runtime", o);
	return true;
}

static bool
make_claims(struct lab_maa *maa, const json_t *body, json_t *claims, struct lab_maa_error *e)
{
	VS_CLEANUP(request_done) struct snp_request r = {0};
	struct lab_anchors anchors;
	struct lab_refusal why = {0};
	bool compliant = false;
	if (!read_request(body, &r, e))
		return false;
	if (vs_failed(lab_anchors_make(
		    lab_machine_roots(maa->lab->machine), lab_now(maa->lab), &anchors, NULL)))
		return lab_maa_fail(e, 500, "InternalError", "no memory");
	if (!lab_verify_snp(vs_buf_view(&r.report), vs_buf_view(&r.chain),
		    r.has_runtime ? vs_buf_view(&r.runtime) : vs_bytes_of(NULL, 0), &anchors,
		    &compliant, &why))
		return lab_maa_refused(e, &why);
	lab_claims_snp(claims, r.report.p);
	if (compliant && r.has_runtime)
		json_object_set_new(
			claims, "x-ms-compliance-status", json_string("azure-compliant-cvm"));
	const json_t *nonce = json_object_get(body, "nonce");
	if (json_is_string(nonce))
		json_object_set_new(claims, "nonce", json_copy((json_t *)(uintptr_t)nonce));
	return runtime_claim(&r, claims, e);
}

bool
lab_maa_attest_snp(
	struct lab_maa *maa, const json_t *body, struct vs_buf *token, struct lab_maa_error *e)
{
	const char *draft = json_string_value(json_object_get(body, "draftPolicyForAttestation"));
	json_t *claims = json_object();
	const bool ok = claims && make_claims(maa, body, claims, e) &&
		lab_maa_issue(maa, LAB_TEE_SEV_SNP_VM, claims, draft, lab_now(maa->lab), token, e);
	json_decref(claims);
	return ok;
}
