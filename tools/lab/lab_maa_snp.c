/* SPDX-License-Identifier: BSD-2-Clause */
/* POST /attest/SevSnpVm: a bare hardware report, with or without the data it stands for. */
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>

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

/* SHA-256 of the keys of AMD's roots: Milan, Genoa, Turin. */
static const char *const amd_roots[] = {
	"9f056bee44377e29308cb5ffa895bdfb62d18881fa6bed8d6f075b0204089cb9",
	"429a69c9422aa258ee4d8db5fcda9c6470ef15f8cd5a9cebd6cbc7d90b863831",
	"4f125410563a2ab9a50356f9243f6fe0b6f73de98603f53f90339c70e9d7ad08",
};

static bool
is_amd_root(X509 *cert)
{
	unsigned char *der = NULL;
	uint8_t digest[32];
	char hex[65];
	const int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
	if (n <= 0)
		return false;
	SHA256(der, (size_t)n, digest);
	OPENSSL_free(der);
	vs_hex_str(digest, sizeof digest, hex, sizeof hex);
	for (size_t i = 0; i < sizeof amd_roots / sizeof amd_roots[0]; i++)
		if (strcmp(hex, amd_roots[i]) == 0)
			return true;
	return false;
}

/*
 * A report of real hardware brings AMD's root along; it is then judged up to that root. It never
 * is one of the lab's machine, so no compliance is stated.
 */
static X509 *
amd_root_of(struct vs_bytes pem)
{
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	X509 *cert = NULL, *found = NULL;
	for (int i = 0; bio && !found && i < 4; i++) {
		cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
		if (cert && is_amd_root(cert))
			found = cert;
		else
			X509_free(cert);
	}
	BIO_free(bio);
	ERR_clear_error();
	return found;
}

static bool
verify(struct lab_maa *maa, const struct snp_request *r, bool *compliant, struct lab_maa_error *e)
{
	struct lab_anchors anchors;
	struct lab_refusal why = {0};
	if (vs_failed(lab_anchors_make(
		    lab_machine_roots(maa->lab->machine), lab_now(maa->lab), &anchors, NULL)))
		return lab_maa_fail(e, 500, "InternalError", "no memory");
	X509 *amd = amd_root_of(vs_buf_view(&r->chain));
	if (amd)
		anchors.ark = amd;
	const bool ok = lab_verify_snp(vs_buf_view(&r->report), vs_buf_view(&r->chain),
		r->runtime.there ? vs_buf_view(&r->runtime.bytes) : vs_bytes_of(NULL, 0), &anchors,
		compliant, &why);
	*compliant = *compliant && !amd;
	X509_free(amd);
	return ok || lab_maa_refused(e, &why);
}

static bool
make_claims(struct lab_maa *maa, const json_t *body, json_t *claims, struct lab_maa_error *e)
{
	VS_CLEANUP(request_done) struct snp_request r = {0};
	bool compliant = false;
	if (!read_request(body, &r, e) || !verify(maa, &r, &compliant, e))
		return false;
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
