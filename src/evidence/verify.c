/* SPDX-License-Identifier: BSD-2-Clause */
#include "evidence/verify.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/codec.h"
#include "evidence/check.h"
#include "evidence/ev_crypto.h"
#include "evidence/hcl.h"
#include "evidence/verify_impl.h"

enum { TPM_RH_ENDORSEMENT_TOP = 0x40, AK_AREA = 280, AK_N_BITS = 2048 };

/* Required of an attestation key anywhere: restricted, signs only, never leaves, made inside. */
#define AK_MUST 0x00050032u
#define AK_MUST_NOT 0x00020000u

/* ---- hardware report and runtime data ------------------------------------------------------- */

static void
check_user_data(struct vs_verify *s)
{
	uint8_t expected[VS_USER_DATA_BYTES] = {0};
	char a[64], b[64];
	const struct vs_bytes nonce = s->x->nonce;
	const struct vs_bytes seen = vs_bytes_of(s->rt.user_data, VS_USER_DATA_BYTES);
	bool ok = s->rt.has_user_data && nonce.n != 0;
	switch (s->x->user_data) {
	case VS_USER_DATA_ANY:
		vs_check_add(s->v, "T-A8", "report is fresh", true, "not asked", "not evaluated");
		return;
	case VS_USER_DATA_RAW:
		ok = ok && nonce.n <= sizeof expected;
		if (ok)
			memcpy(expected, nonce.p, nonce.n);
		break;
	case VS_USER_DATA_HASH: ok = ok && !vs_failed(vs_ev_sha256(nonce, expected, NULL)); break;
	}
	vs_check_add(s->v, "T-A8", "report is fresh", ok && vs_ct_eq(expected, seen.p, seen.n),
		vs_check_hex(vs_bytes_of(expected, sizeof expected), a), "%s",
		s->rt.has_user_data ? vs_check_hex(seen, b) : "no user data");
}

static void
check_runtime(struct vs_verify *s)
{
	static const char *const words[] = {"not said", "off", "on"};
	vs_check_add(s->v, "T-A3", "attestation key in the runtime data", s->rt.ak_n_bytes != 0,
		"HCLAkPub", s->rt.ak_n_bytes != 0 ? "HCLAkPub" : "none");
	vs_check_add(s->v, "T-A6", "Secure Boot in the runtime data",
		s->rt.secure_boot == VS_YES || s->x->allow_insecure_boot, "on", "%s",
		words[s->rt.secure_boot]);
	if (s->x->vm_id != NULL)
		vs_check_add(s->v, "T-A2", "virtual machine",
			strcasecmp(s->x->vm_id, s->rt.vm_id) == 0, s->x->vm_id, "%s", s->rt.vm_id);
	check_user_data(s);
}

static vs_rc
check_snp(struct vs_verify *s, struct vs_err *err)
{
	struct vs_snp_report report;
	struct vs_err why = {0};
	if (!vs_check_rc(s->v, "T-A3", "SNP report", vs_snp_parse(s->hcl.report, &report, &why),
		    "a known form", &why))
		return VS_OK;
	VS_CLEANUP(vs_ev_certs_done) struct vs_ev_certs certs = {.n = 0};
	vs_rc rc = vs_ev_certs_pem(vs_buf_view(&s->ev->vcek_chain_pem), &certs, &why);
	if (rc.code == VS_E_MEMORY)
		return vs_err_while(rc, err, "reading AMD's certificates");
	const bool there = !vs_failed(rc) && certs.n != 0;
	if (!vs_check_add(s->v, "T-A3", "VCEK certificate", there, "with the evidence",
		    "%zu certificates", certs.n))
		return VS_OK;
	/* What came with the evidence after the first one may help, like our own; it is no anchor.
	 */
	struct vs_ev_certs helpers = {.n = 0};
	for (size_t i = 1; i < certs.n && helpers.n < VS_EV_CERTS_MAX; i++)
		helpers.v[helpers.n++] = certs.v[i];
	for (size_t i = 0; i < s->x->roots->amd_helpers.n && helpers.n < VS_EV_CERTS_MAX; i++)
		helpers.v[helpers.n++] = s->x->roots->amd_helpers.v[i];
	struct vs_snp_expect x = s->x->snp;
	x.at_unix = s->x->at_unix;
	x.roots = &s->x->roots->amd;
	x.helpers = &helpers;
	x.revocation =
		(struct vs_revocation){s->x->collateral != NULL ? &s->x->collateral->crls : NULL,
			s->x->collateral_required};
	return vs_snp_verify(&report, certs.v[0], &x, s->v, err);
}

static vs_rc
check_tdx(struct vs_verify *s, struct vs_err *err)
{
	struct vs_dcap_quote q;
	struct vs_err why = {0};
	char a[64], b[64];
	vs_rc rc = vs_dcap_parse(vs_buf_view(&s->ev->td_quote), &q, &why);
	if (!vs_check_rc(s->v, "T-A3", "TD quote", rc, "a known form", &why))
		return VS_OK;
	const struct vs_bytes wanted = vs_hcl_report_data(&s->hcl);
	vs_check_add(s->v, "T-A3", "TD quote's report data",
		q.tee == VS_DCAP_TDX && vs_bytes_eq(q.report_data, wanted), vs_check_hex(wanted, a),
		"%s", vs_check_hex(q.report_data, b));
	vs_td_report_check(s->hcl.report, &q, s->v);
	struct vs_dcap_collateral statements;
	uint8_t sig[2][64];
	bool has = false;
	if (s->x->collateral != NULL) {
		rc = vs_collateral_intel(s->x->collateral, sig, &statements, &has, &why);
		if (vs_failed(rc))
			vs_check_rc(s->v, "T-A6", "Intel's statements", rc, "a known form", &why);
	}
	const struct vs_dcap_expect x = {.at_unix = s->x->at_unix,
		.roots = &s->x->roots->intel,
		.allow_debug = s->x->snp.allow_debug,
		.collateral = has && !vs_failed(rc) ? &statements : NULL,
		.collateral_required = s->x->collateral_required,
		.crls = s->x->collateral != NULL ? &s->x->collateral->crls : NULL,
		.allowed_status = s->x->allowed_tcb_status};
	return vs_dcap_verify(&q, &x, s->v, err);
}

static vs_rc
check_hardware(struct vs_verify *s, struct vs_err *err)
{
	struct vs_err why = {0};
	vs_rc rc = vs_hcl_parse(vs_buf_view(&s->ev->hcl), &s->hcl, &why);
	if (!vs_check_rc(s->v, "T-A3", "paravisor's report", rc, "a known form", &why))
		return VS_OK;
	rc = vs_hcl_check_binding(&s->hcl, &why);
	vs_check_rc(s->v, "T-A3", "runtime data binding", rc, "report data is the hash", &why);
	/* Copies beside the report, where there are some, must be what the report has. */
	if (s->ev->runtime_json.n != 0 || s->ev->hw_report.n != 0)
		vs_check_add(s->v, "T-A3", "copies of the report",
			vs_bytes_eq(vs_buf_view(&s->ev->runtime_json), s->hcl.json) &&
				vs_bytes_eq(vs_buf_view(&s->ev->hw_report), s->hcl.report) &&
				s->ev->tee == s->hcl.tee,
			"the same bytes", "compared");
	rc = vs_runtime_parse(s->hcl.json, &s->rt, &why);
	if (rc.code == VS_E_MEMORY)
		return vs_err_while(rc, err, "reading the runtime data");
	if (!vs_check_rc(s->v, "T-A3", "runtime data", rc, "strict JSON of the known form", &why))
		return VS_OK;
	check_runtime(s);
	s->ak_n = vs_bytes_of(s->rt.ak_n, s->rt.ak_n_bytes);
	s->ak_e = s->rt.ak_e;
	return s->hcl.tee == VS_TEE_SNP ? check_snp(s, err) : check_tdx(s, err);
}

/* ---- attestation key ------------------------------------------------------------------------ */

/* The Name of this modulus under the platform's template (facts of nine captures). */
static vs_rc
template_name(struct vs_bytes n, uint8_t ret[VS_TPM_NAME_BYTES], struct vs_err *err)
{
	static const uint8_t head[] = {0, 1, 0, 0xb, 0, 5, 4, 0x72, 0, 0, 0, 0x10, 0, 0x14, 0, 0xb,
		8, 0, 0, 0, 0, 0, 1, 0};
	const struct vs_bytes area[] = {{head, sizeof head}, n};
	ret[0] = 0;
	ret[1] = 0xb;
	return vs_ev_hash(VS_HASH_SHA256, area, 2, ret + 2, err);
}

/* qualifiedSigner as it must be for HCLAkPub: a primary of the endorsement hierarchy. */
static vs_rc
qualified_signer(struct vs_bytes n, uint8_t ret[VS_TPM_NAME_BYTES], struct vs_err *err)
{
	static const uint8_t endorsement[] = {0x40, 0, 0, 0xb};
	uint8_t name[VS_TPM_NAME_BYTES];
	VS_TRY(template_name(n, name, err));
	const struct vs_bytes parts[] = {{endorsement, sizeof endorsement}, {name, sizeof name}};
	ret[0] = 0;
	ret[1] = 0xb;
	return vs_ev_hash(VS_HASH_SHA256, parts, 2, ret + 2, err);
}

/* What this machine's TPM shows at 0x81000003; the only source of the key on Trusted Launch. */
static void
check_ak_public(struct vs_verify *s)
{
	struct vs_tpm_public public;
	struct vs_err why = {0};
	const vs_rc rc = vs_tpm_public_parse(vs_buf_view(&s->ev->ak_public_2b), &public, &why);
	if (!vs_check_rc(
		    s->v, "T-A4", "attestation key's public area", rc, "an RSA signing key", &why))
		return;
	vs_check_add(s->v, "T-A4", "attestation key is restricted",
		(public.attributes & AK_MUST) == AK_MUST &&
			(public.attributes & AK_MUST_NOT) == 0 &&
			public.name_alg == VS_TPM_ALG_SHA256 &&
			public.scheme == VS_TPM_ALG_RSASSA &&
			public.scheme_hash == VS_TPM_ALG_SHA256,
		"restricted, fixed, signs with RSASSA and SHA-256", "attributes %08x, scheme %04x",
		public.attributes, public.scheme);
	if (!s->confidential) {
		s->ak_n = public.n;
		s->ak_e = public.exponent;
		return;
	}
	vs_check_add(s->v, "T-A3", "attestation key of this TPM",
		vs_bytes_eq(public.n, s->ak_n) && public.exponent == s->ak_e, "HCLAkPub",
		vs_bytes_eq(public.n, s->ak_n) ? "HCLAkPub" : "another key");
	uint8_t name[VS_TPM_NAME_BYTES] = {0}, expected[VS_TPM_NAME_BYTES] = {1};
	char p[64], q[64];
	const bool made = !vs_failed(vs_tpm_public_name(&public, name, NULL)) &&
		!vs_failed(template_name(s->ak_n, expected, NULL));
	vs_check_add(s->v, "T-A4", "attestation key's name",
		made && memcmp(name, expected, sizeof name) == 0,
		vs_check_hex(vs_bytes_of(expected, sizeof expected), p), "%s",
		vs_check_hex(vs_bytes_of(name, sizeof name), q));
}

static vs_rc
check_ak(struct vs_verify *s, struct vs_err *err)
{
	if (s->ev->ak_public_2b.n != 0 || !s->confidential)
		check_ak_public(s);
	if (s->ev->ak_cert.n != 0 || !s->confidential)
		return vs_akcert_check(vs_buf_view(&s->ev->ak_cert), s->ak_n, s->x->roots,
			s->x->collateral != NULL ? &s->x->collateral->vtpm_helpers : NULL,
			s->x->at_unix, !s->confidential, s->v, err);
	return VS_OK;
}

/* ---- quote ---------------------------------------------------------------------------------- */

static void
check_quote_fields(struct vs_verify *s, const struct vs_tpm_attest *a)
{
	char p[64], q[64];
	uint8_t digest[32] = {0}, signer[VS_TPM_NAME_BYTES] = {0};
	vs_check_add(s->v, "T-A1", "nonce in the quote",
		s->x->nonce.n != 0 && a->extra.n == s->x->nonce.n &&
			vs_ct_eq(a->extra.p, s->x->nonce.p, s->x->nonce.n),
		vs_check_hex(s->x->nonce, p), "%s", vs_check_hex(a->extra, q));
	s->selection_ok = a->n_banks == 1 && a->banks[0].alg == VS_TPM_ALG_SHA256 &&
		a->banks[0].mask == s->x->pcr_mask && s->ev->pcr_mask == s->x->pcr_mask;
	snprintf(p, sizeof p, "SHA-256, %06x", s->x->pcr_mask);
	vs_check_add(s->v, "T-A4", "PCR selection", s->selection_ok, p,
		"%zu banks, first %04x, %06x", a->n_banks, a->banks[0].alg, a->banks[0].mask);
	const vs_rc rc =
		vs_pcr_digest(s->x->pcr_mask, (const uint8_t(*)[32])s->ev->pcr, digest, NULL);
	s->pcrs_ok = vs_check_add(s->v, "T-A3", "PCR values",
		s->selection_ok && !vs_failed(rc) &&
			vs_bytes_eq(a->pcr_digest, vs_bytes_of(digest, 32)),
		vs_check_hex(a->pcr_digest, p), "%s", vs_check_hex(vs_bytes_of(digest, 32), q));
	memcpy(s->pcr_digest, digest, sizeof digest);
	vs_check_add(s->v, "T-A4", "TPM clock is safe", a->safe == 1, "1", "%u", a->safe);
	if (!s->confidential)
		return;
	const bool made = !vs_failed(qualified_signer(s->ak_n, signer, NULL));
	vs_check_add(s->v, "T-A4", "signer's qualified name",
		made && vs_bytes_eq(a->signer, vs_bytes_of(signer, sizeof signer)),
		vs_check_hex(vs_bytes_of(signer, sizeof signer), p), "%s",
		vs_check_hex(a->signer, q));
}

static void
check_quote(struct vs_verify *s)
{
	struct vs_tpm_attest a;
	struct vs_err why = {0};
	const struct vs_bytes quote = vs_buf_view(&s->ev->quote);
	vs_rc rc = vs_ev_rsa_verify(s->ak_n, s->ak_e, quote, vs_buf_view(&s->ev->quote_sig), &why);
	vs_check_rc(s->v, "T-A4", "quote's signature", rc, "by the attestation key", &why);
	rc = vs_tpm_attest_parse(quote, &a, &why);
	if (!vs_check_rc(s->v, "T-A4", "quote's form", rc, "TPMS_ATTEST", &why))
		return;
	vs_check_add(s->v, "T-A4", "quote's type", a.type == VS_ATTEST_QUOTE, "8018 (quote)",
		"%04x", a.type);
	if (a.type == VS_ATTEST_QUOTE)
		check_quote_fields(s, &a);
}

/* ---- transport key -------------------------------------------------------------------------- */

static void
check_transport(struct vs_verify *s)
{
	struct vs_tpm_public public;
	struct vs_tpm_attest a;
	struct vs_err why = {0};
	uint8_t name[VS_TPM_NAME_BYTES] = {0}, policy[32] = {0};
	char p[64], q[64];
	const struct vs_bytes certify = vs_buf_view(&s->ev->enc_certify);
	vs_rc rc = vs_tpm_public_parse(vs_buf_view(&s->ev->enc_public_2b), &public, &why);
	if (!vs_check_rc(s->v, "T-A2", "transport key's public area", rc, "an RSA key", &why))
		return;
	vs_check_add(s->v, "T-A2", "transport key's attributes",
		public.attributes == VS_TPM_TRANSPORT_ATTRIBUTES &&
			public.scheme == VS_TPM_ALG_NULL && public.bits >= AK_N_BITS,
		"00020432: decrypts only, never leaves, needs its policy", "%08x",
		public.attributes);
	const bool made = !vs_failed(vs_policy_pcr(s->x->pcr_mask, s->pcr_digest, policy, NULL));
	vs_check_add(s->v, "T-A2", "transport key's policy",
		made && s->pcrs_ok && vs_bytes_eq(public.policy, vs_bytes_of(policy, 32)),
		vs_check_hex(vs_bytes_of(policy, 32), p), "%s", vs_check_hex(public.policy, q));
	vs_check_add(s->v, "T-A2", "transport key's numbers",
		vs_bytes_eq(public.n, vs_buf_view(&s->ev->enc_n)) &&
			public.exponent == s->ev->enc_e,
		"those of the public area", "compared");
	rc = vs_ev_rsa_verify(
		s->ak_n, s->ak_e, certify, vs_buf_view(&s->ev->enc_certify_sig), &why);
	vs_check_rc(
		s->v, "T-A2", "transport key's certification", rc, "by the attestation key", &why);
	rc = vs_tpm_attest_parse(certify, &a, &why);
	if (!vs_check_rc(s->v, "T-A2", "certification's form", rc, "TPMS_ATTEST", &why))
		return;
	rc = vs_tpm_public_name(&public, name, &why);
	vs_check_add(s->v, "T-A2", "certified name",
		!vs_failed(rc) && a.type == VS_ATTEST_CERTIFY &&
			vs_bytes_eq(a.name, vs_bytes_of(name, sizeof name)),
		vs_check_hex(vs_bytes_of(name, sizeof name), p), "%s", vs_check_hex(a.name, q));
	vs_check_add(s->v, "T-A1", "nonce in the certification",
		s->x->nonce.n != 0 && vs_bytes_eq(a.extra, s->x->nonce),
		vs_check_hex(s->x->nonce, p), "%s", vs_check_hex(a.extra, q));
}

vs_rc
vs_evidence_verify(const struct vs_evidence *ev, const struct vs_evidence_expect *expect,
	struct vs_verdict *ret, struct vs_err *err)
{
	*ret = (struct vs_verdict){.n_checks = 0};
	VS_REQUIRE(err, expect->roots != NULL && expect->pcr_mask != 0);
	struct vs_verify s = {.ev = ev, .x = expect, .v = ret, .confidential = ev->hcl.n != 0};
	vs_check_add(ret, "T-A10", "kind of machine",
		s.confidential || expect->allow_trusted_launch,
		expect->allow_trusted_launch ? "confidential or Trusted Launch" : "confidential",
		"%s", s.confidential ? "confidential" : "no hardware report");
	if (s.confidential)
		VS_TRY(check_hardware(&s, err));
	else if (expect->vm_id != NULL)
		vs_check_add(ret, "T-A2", "virtual machine", false, expect->vm_id,
			"not said: there is no hardware report");
	VS_TRY(check_ak(&s, err));
	check_quote(&s);
	if (!expect->no_transport_key)
		check_transport(&s);
	VS_TRY(vs_verify_boot(&s, err));
	vs_check_finish(ret);
	if (ret->passed)
		return VS_OK;
	const struct vs_check *c = vs_check_first_failed(ret);
	VS_REQUIRE(err, c != NULL);
	VS_FAIL(err, REFUSED_EVIDENCE, "%s (%s): expected %s, seen %s", c->name, c->rule,
		c->expected, c->seen);
}
