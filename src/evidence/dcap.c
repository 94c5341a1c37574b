/* SPDX-License-Identifier: BSD-2-Clause */
/* Intel "TDX DCAP quoting library API" and "SGX ECDSA quote library API", annexes on the format. */
#include "evidence/dcap.h"

#include <stdio.h>
#include <string.h>

#include "base/codec.h"
#include "evidence/check.h"
#include "evidence/ev_crypto.h"
#include "evidence/hcl.h"

enum {
	HEAD = 48,
	SGX_BODY = 384,
	TDX10_BODY = 584,
	TDX15_BODY = 648,
	KEY_TYPE_P256 = 2,
	TEE_SGX = 0,
	TEE_TDX = 0x81,
	BODY_SGX = 1,
	BODY_TDX10 = 2,
	BODY_TDX15 = 3,
	CERT_PCK_CHAIN = 5,
	CERT_QE_REPORT = 6,
	QE_AUTH_MAX = 1024,
	VENDOR_AT = 12,
	SGX_DEBUG = 2,
	/* TD attributes: the first byte says what may look into the TD, debuggers and profilers. */
	TD_UNDER_DEBUG = 0xFF,
	TD_MIGRATABLE_AT = 3,
	TD_MIGRATABLE = 0x20,
	TDQE_PROD_ID = 2,
	QE_PROD_ID = 1,
};

/* MRSIGNER of Intel's quoting enclaves, the same in every release. */
static const uint8_t qe_signer[32] = {0x8c, 0x4f, 0x57, 0x75, 0xd7, 0x96, 0x50, 0x3e, 0x96, 0x13,
	0x7f, 0x77, 0xc6, 0x8a, 0x82, 0x9a, 0x00, 0x56, 0xac, 0x8d, 0xed, 0x70, 0x14, 0x0b, 0x08,
	0x1b, 0x09, 0x44, 0x90, 0xc5, 0x7b, 0xff};
static const uint8_t tdqe_signer[32] = {0xdc, 0x9e, 0x2a, 0x7c, 0x6f, 0x94, 0x8f, 0x17, 0x47, 0x4e,
	0x34, 0xa7, 0xfc, 0x43, 0xed, 0x03, 0x0f, 0x7c, 0x15, 0x63, 0xf1, 0xba, 0xbd, 0xdf, 0x63,
	0x40, 0xc8, 0x2e, 0x0e, 0x54, 0xa8, 0xc5};
static const uint8_t vendor[16] = {0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9, 0x94, 0x0a, 0x0d,
	0xb3, 0x95, 0x7f, 0x06, 0x07};

static bool
all_zero(struct vs_bytes b)
{
	uint8_t x = 0;
	for (size_t i = 0; i < b.n; i++)
		x |= b.p[i];
	return x == 0;
}

/* b has 384 bytes. */
static struct vs_sgx_report
sgx_report(struct vs_bytes b)
{
	struct vs_reader r = vs_reader_of(b);
	struct vs_sgx_report q = {.all = b};
	q.cpusvn = vs_get_bytes(&r, 16);
	q.miscselect = vs_get_bytes(&r, 4);
	vs_get_bytes(&r, 28);
	q.attributes = vs_get_bytes(&r, 16);
	q.mrenclave = vs_get_bytes(&r, 32);
	vs_get_bytes(&r, 32);
	q.mrsigner = vs_get_bytes(&r, 32);
	vs_get_bytes(&r, 96);
	q.prod_id = vs_get_le16(&r);
	q.svn = vs_get_le16(&r);
	vs_get_bytes(&r, 60);
	q.report_data = vs_get_bytes(&r, 64);
	return q;
}

static void
tdx_body(struct vs_bytes b, struct vs_dcap_quote *q)
{
	struct vs_reader r = vs_reader_of(b);
	q->tcb_svn = vs_get_bytes(&r, 16);
	q->mrseam = vs_get_bytes(&r, 48);
	q->mrsignerseam = vs_get_bytes(&r, 48);
	q->seam_attributes = vs_get_bytes(&r, 8);
	q->td_attributes = vs_get_bytes(&r, 8);
	q->xfam = vs_get_bytes(&r, 8);
	q->mrtd = vs_get_bytes(&r, 48);
	q->mrconfigid = vs_get_bytes(&r, 48);
	q->mrowner = vs_get_bytes(&r, 48);
	q->mrownerconfig = vs_get_bytes(&r, 48);
	for (size_t i = 0; i < VS_DCAP_RTMRS; i++)
		q->rtmr[i] = vs_get_bytes(&r, 48);
	q->report_data = vs_get_bytes(&r, 64);
}

/* Which body follows the header; 0: none that we know. */
static size_t
body_size(struct vs_reader *r, const struct vs_dcap_quote *q, struct vs_bytes head)
{
	const uint32_t tee = (uint32_t)head.p[4] | (uint32_t)head.p[5] << 8 |
		(uint32_t)head.p[6] << 16 | (uint32_t)head.p[7] << 24;
	if (q->version == 3)
		return tee == TEE_SGX ? SGX_BODY : 0;
	if (q->version == 4)
		return tee == TEE_TDX ? TDX10_BODY : 0;
	const uint16_t type = vs_get_le16(r);
	const uint32_t size = vs_get_le32(r);
	if (type == BODY_SGX && size == SGX_BODY && tee == TEE_SGX)
		return SGX_BODY;
	if (type == BODY_TDX10 && size == TDX10_BODY && tee == TEE_TDX)
		return TDX10_BODY;
	if (type == BODY_TDX15 && size == TDX15_BODY && tee == TEE_TDX)
		return TDX15_BODY;
	return 0;
}

/* From the quoting enclave's report on; all of it must be used. */
static vs_rc
parse_qe(struct vs_reader *r, struct vs_dcap_quote *q, struct vs_err *err)
{
	const struct vs_bytes report = vs_get_bytes(r, SGX_BODY);
	q->qe_sig = vs_get_bytes(r, 64);
	q->qe_auth = vs_get_bytes(r, vs_get_le16(r));
	const uint16_t type = vs_get_le16(r);
	q->certs = vs_get_bytes(r, vs_get_le32(r));
	if (!vs_reader_done(r) || q->qe_auth.n > QE_AUTH_MAX)
		VS_FAIL(err, FORMAT, "a DCAP quote's certification data do not fit their lengths");
	if (type != CERT_PCK_CHAIN)
		VS_FAIL(err, FORMAT,
			"a DCAP quote with certification data of type %u; 5, a chain of "
			"certificates, is known",
			type);
	q->qe = sgx_report(report);
	return VS_OK;
}

static vs_rc
parse_signature(struct vs_bytes data, struct vs_dcap_quote *q, struct vs_err *err)
{
	struct vs_reader r = vs_reader_of(data);
	q->sig = vs_get_bytes(&r, 64);
	q->key = vs_get_bytes(&r, 64);
	if (q->version == 3)
		return parse_qe(&r, q, err);
	const uint16_t type = vs_get_le16(&r);
	struct vs_reader inner = vs_reader_of(vs_get_bytes(&r, vs_get_le32(&r)));
	if (!vs_reader_done(&r) || type != CERT_QE_REPORT)
		VS_FAIL(err, FORMAT,
			"a DCAP quote's signature data do not fit their lengths (type %u)", type);
	return parse_qe(&inner, q, err);
}

vs_rc
vs_dcap_parse(struct vs_bytes quote, struct vs_dcap_quote *ret, struct vs_err *err)
{
	if (quote.n > VS_DCAP_QUOTE_MAX)
		VS_FAIL(err, FORMAT, "a DCAP quote of %zu bytes is too long", quote.n);
	struct vs_reader r = vs_reader_of(quote);
	const struct vs_bytes head = vs_get_bytes(&r, HEAD);
	if (r.bad)
		VS_FAIL(err, FORMAT, "a DCAP quote is cut off in its header");
	struct vs_dcap_quote q = {.version = (uint16_t)(head.p[0] | head.p[1] << 8)};
	if (q.version < 3 || q.version > 5)
		VS_FAIL(err, FORMAT, "a DCAP quote of version %u; 3, 4 and 5 are known", q.version);
	if (head.p[2] != KEY_TYPE_P256 || head.p[3] != 0)
		VS_FAIL(err, FORMAT,
			"a DCAP quote with an attestation key of another type than P-256");
	if (memcmp(head.p + VENDOR_AT, vendor, sizeof vendor) != 0)
		VS_FAIL(err, FORMAT, "a DCAP quote of a quoting enclave that is not Intel's");
	const size_t size = body_size(&r, &q, head);
	if (size == 0)
		VS_FAIL(err, FORMAT, "a DCAP quote of an unknown kind of environment");
	const struct vs_bytes body = vs_get_bytes(&r, size);
	if (r.bad)
		VS_FAIL(err, FORMAT, "a DCAP quote is cut off in its body");
	q.signed_bytes = (struct vs_bytes){quote.p, (size_t)(body.p - quote.p) + size};
	if (size == SGX_BODY) {
		q.tee = VS_DCAP_SGX;
		q.sgx = sgx_report(body);
		q.report_data = q.sgx.report_data;
	} else {
		q.tee = VS_DCAP_TDX;
		tdx_body(body, &q);
	}
	const struct vs_bytes data = vs_get_bytes(&r, vs_get_le32(&r));
	if (r.bad)
		VS_FAIL(err, FORMAT, "a DCAP quote is cut off in its signature data");
	VS_TRY(parse_signature(data, &q, err));
	*ret = q;
	return VS_OK;
}

/* ---- verification --------------------------------------------------------------------------- */

/* The quoting enclave vouches for the attestation key by a hash in its own report. */
static void
check_qe(const struct vs_dcap_quote *q, struct vs_verdict *v)
{
	uint8_t expected[64] = {0};
	const struct vs_bytes parts[] = {q->key, q->qe_auth};
	struct vs_err why = {0};
	char a[64], b[64];
	const vs_rc rc = vs_ev_hash(VS_HASH_SHA256, parts, 2, expected, &why);
	vs_check_add(v, "T-A3", "quoting enclave's report data",
		!vs_failed(rc) && vs_ct_eq(expected, q->qe.report_data.p, 64),
		vs_check_hex(vs_bytes_of(expected, 32), a), "%s",
		vs_check_hex(q->qe.report_data, b));
	const bool tdx = q->tee == VS_DCAP_TDX;
	const struct vs_bytes signer = vs_bytes_of(tdx ? tdqe_signer : qe_signer, 32);
	vs_check_add(v, "T-A3", "quoting enclave's signer", vs_bytes_eq(q->qe.mrsigner, signer),
		vs_check_hex(signer, a), "%s", vs_check_hex(q->qe.mrsigner, b));
	vs_check_add(v, "T-A3", "quoting enclave's product",
		q->qe.prod_id == (tdx ? TDQE_PROD_ID : QE_PROD_ID), tdx ? "2" : "1", "%u",
		q->qe.prod_id);
	vs_check_add(v, "T-A6", "quoting enclave's debug bit",
		(q->qe.attributes.p[0] & SGX_DEBUG) == 0, "off", "attributes %02x",
		q->qe.attributes.p[0]);
}

static void
check_debug(const struct vs_dcap_quote *q, const struct vs_dcap_expect *x, struct vs_verdict *v)
{
	char hex[64];
	const bool tdx = q->tee == VS_DCAP_TDX;
	const uint8_t flags = tdx ? q->td_attributes.p[0] : q->sgx.attributes.p[0];
	const bool debug = (flags & (tdx ? TD_UNDER_DEBUG : SGX_DEBUG)) != 0;
	vs_check_add(v, "T-A6", tdx ? "TD debug" : "enclave debug", x->allow_debug || !debug, "off",
		"attributes %02x", flags);
	if (!tdx)
		return;
	/* Who binds a migration TD to it is not in the quote. */
	vs_check_add(v, "T-A6", "TD migration",
		x->allow_migration || (q->td_attributes.p[TD_MIGRATABLE_AT] & TD_MIGRATABLE) == 0,
		"no migration TD", "attributes %s", vs_check_hex(q->td_attributes, hex));
	vs_check_add(v, "T-A6", "TDX module's attributes", all_zero(q->seam_attributes), "0",
		"first byte %02x", q->seam_attributes.p[0]);
}

/*
 * Each certificate that the quote brings is part of the chain, or the root in one of its issues
 * (the same key with other dates): none is there that nobody vouches for.
 */
static void
check_no_stranger(const struct vs_ev_certs *certs, const struct vs_ev_path *path,
	const struct vs_ev_certs *roots, struct vs_verdict *v)
{
	size_t strangers = 0;
	for (size_t i = 0; i < certs->n; i++) {
		bool known = false;
		for (size_t k = 0; k < path->n && !known; k++)
			known = vs_ev_cert_same(certs->v[i], path->v[k]);
		for (size_t k = 0; k < roots->n && !known; k++)
			known = !vs_failed(vs_ev_cert_signed_by(certs->v[i], roots->v[k], NULL));
		strangers += !known;
	}
	vs_check_add(v, "T-A3", "PCK certificates are one chain", strangers == 0,
		"none that nobody vouches for", "%zu", strangers);
}

vs_rc
vs_dcap_verify(const struct vs_dcap_quote *quote, const struct vs_dcap_expect *expect,
	struct vs_verdict *v, struct vs_err *err)
{
	struct vs_err why = {0};
	vs_rc rc =
		vs_ev_ecdsa_verify(VS_EV_P256, quote->key, quote->signed_bytes, quote->sig, &why);
	vs_check_rc(v, "T-A3", "DCAP quote signature", rc, "signed by the attestation key", &why);
	check_qe(quote, v);
	VS_CLEANUP(vs_ev_certs_done) struct vs_ev_certs certs = {.n = 0};
	rc = vs_ev_certs_pem(quote->certs, &certs, &why);
	if (rc.code == VS_E_MEMORY)
		return vs_err_while(rc, err, "reading a DCAP quote's certificates");
	const bool there = !vs_failed(rc) && certs.n >= 2;
	vs_check_add(
		v, "T-A3", "PCK certificates", there, "PCK, its CA", "%zu certificates", certs.n);
	struct vs_dcap_pck pck = {.pce_svn = 0};
	const struct vs_revocation lists = {expect->crls, expect->collateral_required};
	if (there) {
		struct vs_ev_path path = {.n = 0};
		rc = vs_ev_cert_chain(
			certs.v[0], &certs, expect->roots, expect->at_unix, &path, &why);
		vs_check_rc(v, "T-A3", "PCK certificate chain", rc, "chain to Intel's root", &why);
		if (!vs_failed(rc))
			check_no_stranger(&certs, &path, expect->roots, v);
		if (!vs_failed(rc))
			vs_revocation_check(
				&path, 0, &lists, expect->at_unix, "PCK certificate revocation", v);
		rc = vs_ev_ecdsa_verify_key(
			VS_EV_P256, vs_ev_cert_key(certs.v[0]), quote->qe.all, quote->qe_sig, &why);
		vs_check_rc(
			v, "T-A3", "quoting enclave's signature", rc, "signed by the PCK", &why);
		vs_check_add(v, "T-A3", "PCK extensions", vs_dcap_pck_read(certs.v[0], &pck),
			"FMSPC, TCB, PCE", "read");
	}
	check_debug(quote, expect, v);
	return vs_dcap_check_tcb(quote, &pck, expect, v, err);
}

void
vs_td_report_check(
	struct vs_bytes td_report, const struct vs_dcap_quote *quote, struct vs_verdict *v)
{
	static const struct {
		size_t at, n;
	} hashed[] = {{512, 512}, {256, 239}};
	static const size_t digest_at[] = {80, 32};
	const uint8_t *p = td_report.p;
	if (td_report.n != VS_TD_REPORT_BYTES || quote->tee != VS_DCAP_TDX) {
		vs_check_add(v, "T-A3", "TD report", false, "1024 bytes", "%zu bytes", td_report.n);
		return;
	}
	/* CPUSVN and MAC are for the processor alone; the reserved bytes between them are zero. */
	bool inside = p[0] == TEE_TDX && all_zero((struct vs_bytes){p + 4, 12}) &&
		all_zero((struct vs_bytes){p + 192, 32});
	for (size_t i = 0; i < 2; i++) {
		uint8_t digest[48] = {0};
		const struct vs_bytes part = {p + hashed[i].at, hashed[i].n};
		inside = inside && !vs_failed(vs_ev_hash(VS_HASH_SHA384, &part, 1, digest, NULL)) &&
			memcmp(digest, p + digest_at[i], 48) == 0;
	}
	vs_check_add(
		v, "T-A3", "TD report's own hashes", inside, "fit", inside ? "fit" : "do not fit");
	struct pair {
		struct vs_bytes q;
		size_t at;
	} pairs[] = {{quote->report_data, 128}, {quote->td_attributes, 512}, {quote->xfam, 520},
		{quote->mrtd, 528}, {quote->mrconfigid, 576}, {quote->mrowner, 624},
		{quote->mrownerconfig, 672}, {quote->rtmr[0], 720}, {quote->rtmr[1], 768},
		{quote->rtmr[2], 816}, {quote->rtmr[3], 864}};
	bool same = true;
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
		same = same && memcmp(pairs[i].q.p, p + pairs[i].at, pairs[i].q.n) == 0;
	vs_check_add(v, "T-A3", "TD quote is of this TD report", same, "the same TD",
		same ? "the same TD" : "another TD");
}
