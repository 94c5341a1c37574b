/* SPDX-License-Identifier: BSD-2-Clause */
#include "gate/service_evidence.h"

#include <stdlib.h>
#include <string.h>

#include "attest/validate.h"
#include "base/codec.h"
#include "evidence/check.h"
#include "evidence/dcap.h"
#include "evidence/ev_crypto.h"
#include "evidence/snp.h"
#include "jose/json.h"

#define RULE "service"
#define OID_SGX "1.3.6.1.4.1.311.105.1"
#define OID_SGX_OLD "1.2.840.113556.10.1.1"
#define OID_SNP "1.3.6.1.4.1.311.105.1000.1"
#define OID_SNP_KIND "1.3.6.1.4.1.311.105.1000.2"

enum {
	PEM_COLUMNS = 64,
	DIGEST_BYTES = 32,
	TAG_OCTETS = 0x04,
	TAG_UTF8 = 0x0C,
	OE_HEADER = 16,
	ENCLAVE_PRODUCT = 1,
	SNP_JSON_MAX = 128 * 1024,
};

struct look {
	const struct vs_service_expect *x;
	struct vs_verdict *v;
	uint8_t binding[2 * DIGEST_BYTES]; /* what report data must be: hash of the key, zeros */
};

/* ---- the key -------------------------------------------------------------------------------- */

static VS_RC
add_pem(struct vs_bytes der, const char *label, struct vs_buf *out, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {0};

	VS_TRY(vs_b64_encode(der, &text, err));
	VS_TRY(vs_buf_addf(out, err, "-----BEGIN %s-----\n", label));
	for (size_t i = 0; i < text.n; i += PEM_COLUMNS) {
		const size_t n = text.n - i < PEM_COLUMNS ? text.n - i : PEM_COLUMNS;
		VS_TRY(vs_buf_add(out, text.p + i, n, err));
		VS_TRY(vs_buf_add_u8(out, '\n', err));
	}
	return vs_buf_addf(out, err, "-----END %s-----\n", label);
}

/* SHA-256 of the key's PEM text with the NUL that ends it as a C string. */
static VS_RC
key_hash(const struct vs_ev_cert *cert, uint8_t ret[DIGEST_BYTES], struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf der = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf pem = {0};

	VS_TRY(vs_ev_cert_spki(cert, &der, err));
	VS_TRY(add_pem(vs_buf_view(&der), "PUBLIC KEY", &pem, err));
	VS_TRY(vs_buf_add_u8(&pem, 0, err));
	return vs_ev_sha256(vs_buf_view(&pem), ret, err);
}

static VS_RC
check_key(struct look *k, const struct vs_ev_cert *cert, struct vs_bytes kid, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf name = {0};
	struct vs_err why = {0};
	char seen[64];

	VS_TRY(key_hash(cert, k->binding, err));
	VS_TRY(vs_b64_encode(vs_bytes_of(k->binding, DIGEST_BYTES), &name, err));
	vs_check_add(k->v, RULE, "service key's identifier", vs_bytes_eq(kid, vs_buf_view(&name)),
		vs_buf_cstr(&name), "%s", vs_quote(kid, seen, sizeof seen));
	const vs_rc rc = vs_ev_cert_signed_by(cert, cert, &why);
	vs_check_rc(k->v, RULE, "service certificate's signature", rc, "by its own key", &why);
	return VS_OK;
}

static void
check_binding(struct look *k, struct vs_bytes report_data)
{
	char a[64], b[64];

	vs_check_add(k->v, RULE, "service evidence names the key",
		vs_bytes_eq(report_data, vs_bytes_of(k->binding, sizeof k->binding)),
		vs_check_hex(vs_bytes_of(k->binding, DIGEST_BYTES), a), "%s",
		vs_check_hex(report_data, b));
}

/* One of the configured values; the one seen is given whole, so that it can be configured. */
static bool
check_listed(struct look *k, const char *name, struct vs_bytes value)
{
	char hex[97];
	bool listed = false;

	vs_hex_str(value.p, value.n, hex, sizeof hex);
	for (char *const *m = k->x->measurements; m != NULL && *m != NULL; m++)
		listed = listed || strcmp(*m, hex) == 0;
	return vs_check_add(k->v, RULE, name, listed, "a value of service-measurements", "%s", hex);
}

/* ---- SGX ------------------------------------------------------------------------------------ */

/* The content of a DER value that fills the whole of b; lengths in their shortest form. */
static bool
der_content(struct vs_bytes b, uint8_t tag, struct vs_bytes *ret)
{
	struct vs_reader r = vs_reader_of(b);
	const bool tagged = vs_get_u8(&r) == tag;
	const uint8_t first = vs_get_u8(&r);
	size_t n = first, shortest = 0;

	if (first == 0x81) {
		n = vs_get_u8(&r);
		shortest = 0x80;
	} else if (first == 0x82) {
		n = vs_get_be16(&r);
		shortest = 0x100;
	} else if (first == 0x83) {
		n = (size_t)vs_get_u8(&r) << 16;
		n |= vs_get_be16(&r);
		shortest = 0x10000;
	} else if (first >= 0x80) {
		return false;
	}
	*ret = vs_get_bytes(&r, n);
	return tagged && n >= shortest && vs_reader_done(&r);
}

/* Version 1, type 2, and a length that is the rest. */
static bool
skip_oe_header(struct vs_bytes *b)
{
	struct vs_reader r = vs_reader_of(*b);

	if (vs_get_le32(&r) != 1 || vs_get_le32(&r) != 2 || vs_get_le64(&r) != r.left || r.bad)
		return false;
	*b = vs_bytes_of(b->p + OE_HEADER, b->n - OE_HEADER);
	return true;
}

/* The text is these certificates and nothing else; one NUL may end it. */
static VS_RC
is_exact_pem(struct vs_bytes text, const struct vs_ev_certs *certs, bool *ret, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf again = {0};

	for (size_t i = 0; i < certs->n; i++) {
		VS_CLEANUP(vs_buf_done) struct vs_buf der = {0};
		VS_TRY(vs_ev_cert_to_der(certs->v[i], &der, err));
		VS_TRY(add_pem(vs_buf_view(&der), "CERTIFICATE", &again, err));
	}
	if (text.n != 0 && text.p[text.n - 1] == '\0')
		text.n--;
	*ret = vs_bytes_eq(text, vs_buf_view(&again));
	return VS_OK;
}

/* Each certificate in the quote is used: none is there that nobody vouches for. */
static VS_RC
check_whole_chain(struct look *k, struct vs_bytes text, struct vs_err *err)
{
	VS_CLEANUP(vs_ev_certs_done) struct vs_ev_certs certs = {.n = 0};
	const struct vs_ev_certs *roots = &k->x->roots->intel;
	struct vs_err why = {0};
	bool exact = false;
	vs_rc rc = vs_ev_certs_pem(text, &certs, &why);

	if (rc.code == VS_E_MEMORY)
		return vs_err_while(rc, err, "reading the certificates of the service's quote");
	if (!vs_failed(rc))
		VS_TRY(is_exact_pem(text, &certs, &exact, err));
	vs_check_add(k->v, RULE, "service quote's certificates", exact && certs.n == 3,
		"PCK, its CA, Intel's root", "%zu certificates", certs.n);
	if (!exact || certs.n != 3)
		return VS_OK;
	bool linked = !vs_failed(vs_ev_cert_signed_by(certs.v[0], certs.v[1], NULL)) &&
		!vs_failed(vs_ev_cert_signed_by(certs.v[1], certs.v[2], NULL));
	bool pinned = false;
	for (size_t i = 0; i < roots->n; i++)
		pinned = pinned || !vs_failed(vs_ev_cert_signed_by(certs.v[2], roots->v[i], NULL));
	vs_check_add(k->v, RULE, "service quote's chain is one", linked && pinned,
		"each signed by the next, the last by Intel's pinned key", "%s, %s",
		linked ? "linked" : "not linked", pinned ? "pinned" : "not pinned");
	return VS_OK;
}

static VS_RC
check_sgx(struct look *k, struct vs_bytes value, bool old, struct vs_err *err)
{
	struct vs_dcap_quote q = {0};
	struct vs_err why = {0};
	struct vs_bytes inner = {0};
	bool known = true;

	if (old && value.n != 0 && value.p[0] == TAG_OCTETS) {
		known = der_content(value, TAG_OCTETS, &inner);
		value = inner;
	} else {
		known = skip_oe_header(&value);
	}
	if (!vs_check_add(k->v, RULE, "service quote's wrapping", known,
		    "Open Enclave header or OCTET STRING", "%zu bytes", value.n))
		return VS_OK;
	const vs_rc rc = vs_dcap_parse(value, &q, &why);
	if (!vs_check_rc(k->v, RULE, "service quote", rc, "a known form", &why))
		return VS_OK;
	vs_check_add(k->v, RULE, "service quote's kind and length",
		q.tee == VS_DCAP_SGX && q.certs.p + q.certs.n == value.p + value.n,
		"SGX, nothing behind it", "version %u, %zu bytes", q.version, value.n);
	if (q.tee != VS_DCAP_SGX)
		return VS_OK;
	const struct vs_dcap_expect dx = {.at_unix = k->x->at_unix,
		.roots = &k->x->roots->intel,
		.crls = k->x->collateral != NULL ? &k->x->collateral->crls : NULL,
		.allow_debug = k->x->allow_debug};
	VS_TRY(vs_dcap_verify(&q, &dx, k->v, err));
	VS_TRY(check_whole_chain(k, q.certs, err));
	check_binding(k, q.report_data);
	vs_check_add(k->v, RULE, "service enclave's product", q.sgx.prod_id == ENCLAVE_PRODUCT, "1",
		"%u", q.sgx.prod_id);
	(void)check_listed(k, "service enclave's signer", q.sgx.mrsigner);
	return VS_OK;
}

/* ---- SEV-SNP -------------------------------------------------------------------------------- */

static VS_RC
json_blob(const struct vs_json *o, const char *name, struct vs_buf *out, struct vs_err *err)
{
	struct vs_bytes text = {0};

	if (!vs_json_bytes(vs_json_get(o, name), &text))
		VS_FAIL(err, FORMAT, "the service's evidence has no %s", name);
	const vs_rc rc = vs_b64url_decode(text, out, err);
	return vs_failed(rc) ? vs_err_while(rc, err, "reading %s", name) : rc;
}

/* {"Uvm":[one endorsement]}; none leaves ret empty, for the measurement may be listed. */
static VS_RC
read_endorsement(const struct vs_json *o, struct vs_buf *ret, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf raw = {.max = SNP_JSON_MAX};
	VS_CLEANUP(vs_json_freep) struct vs_json *e = NULL;
	struct vs_bytes text = {0};

	if (vs_json_get(o, "Endorsements") == NULL)
		return VS_OK;
	VS_TRY(json_blob(o, "Endorsements", &raw, err));
	VS_TRY(vs_json_load_object(
		vs_buf_view(&raw), SNP_JSON_MAX, "service's endorsements", &e, err));
	const struct vs_json *list = vs_json_get(e, "Uvm");
	if (list == NULL)
		return VS_OK;
	if (vs_json_kind(list) != VS_JSON_ARRAY || vs_json_count(list) != 1 ||
		!vs_json_bytes(vs_json_at(list, 0), &text))
		VS_FAIL(err, FORMAT, "the service's evidence does not have one endorsement");
	const vs_rc rc = vs_b64url_decode(text, ret, err);
	return vs_failed(rc) ? vs_err_while(rc, err, "reading an endorsement") : rc;
}

static VS_RC
read_snp(struct vs_bytes value, struct vs_buf *report, struct vs_buf *pem, struct vs_buf *cose,
	struct vs_err *err)
{
	VS_CLEANUP(vs_json_freep) struct vs_json *o = NULL;
	struct vs_bytes text = {0};

	if (!der_content(value, TAG_UTF8, &text))
		VS_FAIL(err, FORMAT, "the service's evidence is no UTF8String");
	VS_TRY(vs_json_load_object(text, SNP_JSON_MAX, "service's evidence", &o, err));
	VS_TRY(json_blob(o, "SnpReport", report, err));
	VS_TRY(read_endorsement(o, cose, err));
	return json_blob(o, "VcekCertChain", pem, err);
}

static VS_RC
verify_snp(
	struct look *k, const struct vs_snp_report *report, struct vs_bytes pem, struct vs_err *err)
{
	VS_CLEANUP(vs_ev_certs_done) struct vs_ev_certs certs = {.n = 0};
	const struct vs_roots *roots = k->x->roots;
	struct vs_ev_certs helpers = {.n = 0}; /* borrowed */
	struct vs_err why = {0};
	const vs_rc rc = vs_ev_certs_pem(pem, &certs, &why);

	if (rc.code == VS_E_MEMORY)
		return vs_err_while(rc, err, "reading the certificates of the service's report");
	if (!vs_check_add(k->v, RULE, "service report's certificates",
		    !vs_failed(rc) && certs.n != 0, "VCEK and its chain", "%zu certificates",
		    certs.n))
		return VS_OK;
	for (size_t i = 1; i < certs.n && helpers.n < VS_EV_CERTS_MAX; i++)
		helpers.v[helpers.n++] = certs.v[i];
	for (size_t i = 0; i < roots->amd_helpers.n && helpers.n < VS_EV_CERTS_MAX; i++)
		helpers.v[helpers.n++] = roots->amd_helpers.v[i];
	const struct vs_snp_expect sx = {.at_unix = k->x->at_unix,
		.roots = &roots->amd,
		.helpers = &helpers,
		.revocation = {k->x->collateral != NULL ? &k->x->collateral->crls : NULL, false},
		.allow_debug = k->x->allow_debug};
	return vs_snp_verify(report, certs.v[0], &sx, k->v, err);
}

/*
 * Listed by hand, or endorsed by whom it must be. An endorsement that is there and wrong refuses,
 * whatever is listed: the service would not send one.
 */
static VS_RC
check_measurement(
	struct look *k, struct vs_bytes measurement, struct vs_bytes cose, struct vs_err *err)
{
	struct vs_uvm uvm = {.svn = 0};
	struct vs_err why = {0};
	char a[64], b[64];

	if (cose.n == 0) {
		(void)check_listed(k, "service container's measurement", measurement);
		return VS_OK;
	}
	const vs_rc rc = vs_uvm_verify(cose, &k->x->uvm, &uvm, &why);
	if (rc.code == VS_E_MEMORY || rc.code == VS_E_CRYPTO)
		return vs_err_while(rc, err, "reading the endorsement of the service's container");
	if (!vs_check_rc(k->v, RULE, "service container's endorsement", rc,
		    "signed by Microsoft's issuer for utility VMs", &why))
		return VS_OK;
	vs_check_add(k->v, RULE, "service container's measurement",
		vs_bytes_eq(measurement, vs_bytes_of(uvm.measurement, sizeof uvm.measurement)),
		vs_check_hex(vs_bytes_of(uvm.measurement, sizeof uvm.measurement), a),
		"%s (endorsed as version %u)", vs_check_hex(measurement, b), uvm.svn);
	return VS_OK;
}

static VS_RC
check_snp(struct look *k, struct vs_bytes value, struct vs_bytes kind, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf raw = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf pem = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf cose = {.max = VS_UVM_MAX};
	struct vs_snp_report report = {0};
	struct vs_bytes word = {0};
	struct vs_err why = {0};

	vs_check_add(k->v, RULE, "service evidence's kind",
		der_content(kind, TAG_UTF8, &word) && vs_bytes_eq_str(word, "acisevsnp"),
		"acisevsnp", "%zu bytes", kind.n);
	vs_rc rc = read_snp(value, &raw, &pem, &cose, &why);
	if (rc.code == VS_E_MEMORY)
		return vs_err_while(rc, err, "reading the service's evidence");
	if (!vs_check_rc(k->v, RULE, "service evidence's form", rc, "JSON as it is known", &why))
		return VS_OK;
	rc = vs_snp_parse(vs_buf_view(&raw), &report, &why);
	if (!vs_check_rc(k->v, RULE, "service report", rc, "a known form", &why))
		return VS_OK;
	VS_TRY(verify_snp(k, &report, vs_buf_view(&pem), err));
	check_binding(k, report.report_data);
	/* HOST_DATA is the host's word; only a known guest image makes it the container policy's
	 * hash. */
	(void)check_listed(k, "service container's host data", report.host_data);
	return check_measurement(k, report.measurement, vs_buf_view(&cose), err);
}

/* ---- certificate, token -----------------------------------------------------------------------
 */

vs_rc
vs_service_cert_check(struct vs_bytes der, struct vs_bytes kid, const struct vs_service_expect *x,
	struct vs_verdict *v, struct vs_err *err)
{
	VS_CLEANUP(vs_ev_cert_freep) struct vs_ev_cert *cert = NULL;
	struct look k = {.x = x, .v = v};
	struct vs_err why = {0};
	const vs_rc rc = vs_ev_cert_der(der, &cert, &why);

	if (rc.code == VS_E_MEMORY)
		return vs_err_while(rc, err, "reading the service's certificate");
	if (!vs_check_rc(v, RULE, "service certificate", rc, "an X.509 certificate", &why))
		return VS_OK;
	VS_TRY(check_key(&k, cert, kid, err));
	const struct vs_bytes sgx = vs_ev_cert_ext(cert, OID_SGX);
	const struct vs_bytes sgx_old = vs_ev_cert_ext(cert, OID_SGX_OLD);
	const struct vs_bytes snp = vs_ev_cert_ext(cert, OID_SNP);
	const int kinds = (sgx.n != 0) + (sgx_old.n != 0) + (snp.n != 0);
	/* Two kinds could be of two machines. */
	if (!vs_check_add(v, RULE, "service's evidence", kinds == 1,
		    "one SGX quote or SEV-SNP report in the signing certificate", "%s",
		    kinds == 0           ? "none"
			    : kinds > 1  ? "several"
			    : snp.n != 0 ? "an SEV-SNP report"
					 : "an SGX quote"))
		return VS_OK;
	if (snp.n != 0)
		return check_snp(&k, snp, vs_ev_cert_ext(cert, OID_SNP_KIND), err);
	return check_sgx(&k, sgx.n != 0 ? sgx : sgx_old, sgx.n == 0, err);
}

static VS_RC
read_signature(
	struct vs_bytes token, struct vs_bytes *ret_text, struct vs_buf *ret, struct vs_err *err)
{
	struct vs_jws_parts parts = {0};

	VS_TRY(vs_jws_trim(token, VS_JWS_TEXT_MAX, &token, err));
	VS_TRY(vs_jws_split(token, &parts, err));
	*ret_text = parts.signed_text;
	return vs_jws_segment(parts.signature, "signature", ret, err);
}

/* Checks of a certificate that is fine, or else those of the first one that is not. */
static VS_RC
check_candidate(const struct vs_cert *cert, struct vs_bytes kid, const struct vs_service_expect *x,
	struct vs_verdict *best, struct vs_err *err)
{
	struct vs_verdict *v = calloc(1, sizeof *v);
	vs_rc rc = VS_OK;

	if (v == NULL)
		VS_FAIL(err, MEMORY, "no memory for checking the service's evidence");
	if (cert == NULL)
		vs_check_add(
			v, RULE, "service certificate", false, "beside the signing key", "none");
	else
		rc = vs_service_cert_check(vs_cert_der(cert), kid, x, v, err);
	/* The machine's own report has checks of the same names: these are about the service. */
	for (size_t i = 0; i < v->n_checks; i++)
		v->checks[i].rule = RULE;
	vs_check_finish(v);
	if (!vs_failed(rc) && (v->passed || best->n_checks == 0))
		*best = *v;
	free(v);
	return rc;
}

static VS_RC
check_all(struct vs_bytes token, const struct vs_jwks *jwks, const struct vs_service_expect *x,
	struct vs_verdict *best, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf signature = {.max = VS_JWS_TEXT_MAX};
	struct evp_pkey_st *keys[VS_JWKS_SAME_KID_MAX];
	const struct vs_cert *certs[VS_JWKS_SAME_KID_MAX];
	struct vs_bytes text = {0};
	char kid[256];
	size_t n = 0;

	VS_TRY(vs_token_peek_kid(token, kid, sizeof kid, err));
	VS_TRY(read_signature(token, &text, &signature, err));
	VS_TRY(vs_jwks_select_certs(jwks, vs_bytes_str(kid), x->at_unix, keys, certs, &n, err));
	for (size_t i = 0; i < n && !best->passed; i++) {
		if (vs_failed(vs_rs256_verify(keys[i], text, vs_buf_view(&signature), NULL)))
			continue;
		VS_TRY(check_candidate(certs[i], vs_bytes_str(kid), x, best, err));
	}
	if (best->n_checks == 0)
		vs_check_add(best, RULE, "service certificate", false,
			"of the key that signed the token", "no such key");
	return VS_OK;
}

vs_rc
vs_service_evidence_check(struct vs_bytes token, const struct vs_jwks *jwks,
	const struct vs_service_expect *x, struct vs_verdict *v, struct vs_err *err)
{
	struct vs_verdict *best = calloc(1, sizeof *best);

	if (best == NULL)
		VS_FAIL(err, MEMORY, "no memory for checking the service's evidence");
	const vs_rc rc = check_all(token, jwks, x, best, err);
	if (!vs_failed(rc))
		vs_check_append(v, best, false);
	free(best);
	return rc;
}
