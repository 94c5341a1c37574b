/* SPDX-License-Identifier: BSD-2-Clause */
/* POST /attest/SevSnpVm: a bare hardware report, with or without the data it stands for. */
#include <string.h>

#include "base/codec.h"
#include "lab/lab_claims.h"
#include "lab/lab_machine.h"
#include "lab/lab_maa_priv.h"

struct snp_request {
	struct vs_buf report, chain;
	struct lab_maa_data runtime, init;
};

static void
request_done(struct snp_request *r)
{
	vs_buf_done(&r->report);
	vs_buf_done(&r->chain);
	lab_maa_data_done(&r->runtime);
	lab_maa_data_done(&r->init);
}

static bool
read_request(const json_t *body, struct snp_request *r, struct lab_maa_error *e)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf outer = {0};
	json_t *o = NULL;
	if (lab_maa_bytes(body, "report", &outer))
		o = json_loadb((const char *)outer.p, outer.n, JSON_REJECT_DUPLICATES, NULL);
	const bool whole = o && lab_maa_bytes(o, "SnpReport", &r->report) &&
		lab_maa_bytes(o, "VcekCertChain", &r->chain);
	json_decref(o);
	if (!whole)
		return lab_maa_fail(e, 400, "InvalidParameter",
			"report is not base64url of a JSON object with SnpReport and "
			"VcekCertChain.");
	return lab_maa_data_read(body, "runtimeData", &r->runtime, e) &&
		lab_maa_data_read(body, "initTimeData", &r->init, e);
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
		    r.runtime.there ? vs_buf_view(&r.runtime.bytes) : vs_bytes_of(NULL, 0),
		    &anchors, &compliant, &why))
		return lab_maa_refused(e, &why);
	lab_claims_snp(claims, r.report.p);
	if (compliant && r.runtime.there)
		json_object_set_new(
			claims, "x-ms-compliance-status", json_string("azure-compliant-cvm"));
	lab_maa_nonce(body, claims);
	return lab_maa_data_bound(&r.init, r.report.p + 0x0c0, LAB_CHECK_INIT_HASH, e) &&
		lab_maa_data_claim(&r.runtime, "runtimeData", "x-ms-runtime", claims, e) &&
		lab_maa_data_claim(&r.init, "initTimeData", "x-ms-inittime", claims, e);
}

bool
lab_maa_attest_snp(
	struct lab_maa *maa, const json_t *body, struct vs_buf *token, struct lab_maa_error *e)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf draft = {.max = LAB_POLICY_MAX};
	bool has_draft = false;
	if (!lab_maa_draft(body, &draft, &has_draft, e))
		return false;
	json_t *claims = json_object();
	const bool ok = claims && make_claims(maa, body, claims, e) &&
		lab_maa_issue(maa, LAB_TEE_SEV_SNP_VM, claims,
			has_draft ? vs_buf_cstr(&draft) : NULL, lab_now(maa->lab), token, e);
	json_decref(claims);
	return ok;
}
