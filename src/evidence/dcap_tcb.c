/* SPDX-License-Identifier: BSD-2-Clause */
/* Versions of an Intel platform, judged by Intel's signed statements ("collateral"). */
#include "evidence/dcap.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/codec.h"
#include "evidence/check.h"
#include "evidence/ev_crypto.h"
#include "jose/json.h"

enum { COLLATERAL_MAX = 256 * 1024, COMPONENTS = 16, LEVELS_MAX = 256, OID_TCB_LAST = 17 };
#define OID_SGX "1.2.840.113741.1.13.1"

static const char *const status_names[VS_TCB_COUNT_] = {
	[VS_TCB_NONE] = "not recognised",
	[VS_TCB_UP_TO_DATE] = "UpToDate",
	[VS_TCB_SW_HARDENING] = "SWHardeningNeeded",
	[VS_TCB_CONFIGURATION] = "ConfigurationNeeded",
	[VS_TCB_CONFIGURATION_AND_SW_HARDENING] = "ConfigurationAndSWHardeningNeeded",
	[VS_TCB_OUT_OF_DATE] = "OutOfDate",
	[VS_TCB_OUT_OF_DATE_CONFIGURATION] = "OutOfDateConfigurationNeeded",
	[VS_TCB_REVOKED] = "Revoked",
};

const char *
vs_tcb_status_name(enum vs_tcb_status s)
{
	return status_names[s < VS_TCB_COUNT_ ? s : VS_TCB_NONE];
}

/* ---- the PCK certificate's extension: SEQUENCE OF SEQUENCE { OID, value } -------------------- */

static bool
take_tlv(struct vs_reader *r, uint8_t *ret_tag, struct vs_bytes *ret)
{
	*ret_tag = vs_get_u8(r);
	size_t n = vs_get_u8(r);
	if (n == 0x81)
		n = vs_get_u8(r);
	else if (n == 0x82)
		n = vs_get_be16(r);
	else if (n > 0x80)
		return false;
	*ret = vs_get_bytes(r, n);
	return !r->bad;
}

static bool
take_uint(struct vs_bytes v, uint32_t max, uint32_t *ret)
{
	uint32_t x = 0;
	if (v.n == 0 || v.n > 3 || (v.p[0] & 0x80) != 0)
		return false;
	for (size_t i = 0; i < v.n; i++)
		x = x << 8 | v.p[i];
	*ret = x;
	return x <= max;
}

static bool
read_tcb_sequence(struct vs_bytes list, struct vs_dcap_pck *pck, uint32_t *seen)
{
	struct vs_reader r = vs_reader_of(list);
	while (r.left != 0) {
		uint8_t tag = 0;
		struct vs_bytes entry, oid, value;
		uint32_t x = 0;
		if (!take_tlv(&r, &tag, &entry) || tag != 0x30)
			return false;
		struct vs_reader e = vs_reader_of(entry);
		if (!take_tlv(&e, &tag, &oid) || tag != 6 || oid.n == 0)
			return false;
		const uint8_t which = oid.p[oid.n - 1];
		if (!take_tlv(&e, &tag, &value) || which == 0 || which > OID_TCB_LAST || tag != 2)
			continue;
		if (!take_uint(value, which == OID_TCB_LAST ? 0xFFFF : 0xFF, &x) ||
			(*seen >> which & 1) != 0)
			return false;
		*seen |= 1U << which;
		if (which == OID_TCB_LAST)
			pck->pce_svn = (uint16_t)x;
		else
			pck->svn[which - 1] = (uint8_t)x;
	}
	return true;
}

bool
vs_dcap_pck_read(const struct vs_ev_cert *pck, struct vs_dcap_pck *ret)
{
	struct vs_dcap_pck p = {.pce_svn = 0};
	struct vs_reader outer = vs_reader_of(vs_ev_cert_ext(pck, OID_SGX));
	struct vs_bytes list, entry, oid, value;
	uint8_t tag = 0;
	uint32_t seen = 0;
	bool fmspc = false, pce_id = false;
	if (!take_tlv(&outer, &tag, &list) || tag != 0x30 || outer.left != 0)
		return false;
	struct vs_reader r = vs_reader_of(list);
	while (r.left != 0) {
		if (!take_tlv(&r, &tag, &entry) || tag != 0x30)
			return false;
		struct vs_reader e = vs_reader_of(entry);
		if (!take_tlv(&e, &tag, &oid) || tag != 6 || oid.n == 0 ||
			!take_tlv(&e, &tag, &value))
			return false;
		const uint8_t which = oid.p[oid.n - 1];
		if (which == 2 && tag == 0x30 && !read_tcb_sequence(value, &p, &seen))
			return false;
		if (which == 3 && tag == 4 && value.n == sizeof p.pce_id) {
			memcpy(p.pce_id, value.p, value.n);
			pce_id = true;
		}
		if (which == 4 && tag == 4 && value.n == sizeof p.fmspc) {
			memcpy(p.fmspc, value.p, value.n);
			fmspc = true;
		}
	}
	*ret = p;
	return fmspc && pce_id && seen == 0x3FFFE;
}

/* ---- collateral ----------------------------------------------------------------------------- */

vs_rc
vs_dcap_split_collateral(struct vs_bytes response, const char *name, struct vs_bytes *ret,
	uint8_t ret_sig[64], struct vs_err *err)
{
	/* Signed are the bytes between {"name": and ,"signature":"<128 digits>"}: written so by
	 * Intel. */
	char head[64];
	static const char middle[] = ",\"signature\":\"";
	const int head_n = snprintf(head, sizeof head, "{\"%s\":", name);
	size_t n = response.n;
	while (n != 0 && (response.p[n - 1] == '\n' || response.p[n - 1] == '\r'))
		n--;
	const size_t tail_n = sizeof middle - 1 + 128 + 2;
	if (head_n < 0 || n < (size_t)head_n + tail_n + 2 || n > COLLATERAL_MAX ||
		memcmp(response.p, head, (size_t)head_n) != 0 ||
		memcmp(response.p + n - tail_n, middle, sizeof middle - 1) != 0 ||
		memcmp(response.p + n - 2, "\"}", 2) != 0)
		VS_FAIL(err, FORMAT, "this is no signed \"%s\" object", name);
	VS_CLEANUP(vs_buf_done) struct vs_buf sig = {.max = 64};
	VS_TRY(vs_hex_decode((struct vs_bytes){response.p + n - 130, 128}, &sig, err));
	memcpy(ret_sig, sig.p, 64);
	*ret = (struct vs_bytes){response.p + head_n, n - tail_n - (size_t)head_n};
	return VS_OK;
}

/* "2025-06-19T10:16:03Z" */
static bool
read_time(const struct vs_json *v, int64_t *ret)
{
	const char *s = NULL;
	struct tm tm = {0};
	if (!vs_json_string(v, &s) || strlen(s) != 20)
		return false;
	const char *end = strptime(s, "%Y-%m-%dT%H:%M:%SZ", &tm);
	if (end == NULL || *end != '\0')
		return false;
	*ret = (int64_t)timegm(&tm);
	return true;
}

static bool
hex_is(const struct vs_json *v, const uint8_t *p, size_t n)
{
	struct vs_bytes text;
	VS_CLEANUP(vs_buf_done) struct vs_buf b = {.max = 64};
	return vs_json_bytes(v, &text) && text.n == 2 * n &&
		!vs_failed(vs_hex_decode(text, &b, NULL)) && memcmp(b.p, p, n) == 0;
}

bool
vs_dcap_statement_current(
	struct vs_bytes response, const char *name, const uint8_t fmspc[6], int64_t at_unix)
{
	VS_CLEANUP(vs_json_freep) struct vs_json *o = NULL;
	struct vs_bytes inner;
	uint8_t sig[64];
	int64_t from = 0, until = 0;
	return !vs_failed(vs_dcap_split_collateral(response, name, &inner, sig, NULL)) &&
		!vs_failed(vs_json_load_object(inner, COLLATERAL_MAX, "statement", &o, NULL)) &&
		read_time(vs_json_get(o, "issueDate"), &from) &&
		read_time(vs_json_get(o, "nextUpdate"), &until) && from <= at_unix &&
		at_unix <= until && (fmspc == NULL || hex_is(vs_json_get(o, "fmspc"), fmspc, 6));
}

/* (value & mask) == (given & mask), all in hexadecimal of n bytes. */
static bool
masked_is(const struct vs_json *given, const struct vs_json *mask, struct vs_bytes value)
{
	struct vs_bytes g, m;
	VS_CLEANUP(vs_buf_done) struct vs_buf gb = {.max = 64};
	VS_CLEANUP(vs_buf_done) struct vs_buf mb = {.max = 64};
	if (!vs_json_bytes(given, &g) || !vs_json_bytes(mask, &m) || g.n != 2 * value.n ||
		m.n != g.n || vs_failed(vs_hex_decode(g, &gb, NULL)) ||
		vs_failed(vs_hex_decode(m, &mb, NULL)))
		return false;
	for (size_t i = 0; i < value.n; i++) {
		if ((value.p[i] & mb.p[i]) != (gb.p[i] & mb.p[i]))
			return false;
	}
	return true;
}

static enum vs_tcb_status
status_of(const struct vs_json *level)
{
	const struct vs_json *v = vs_json_get(level, "tcbStatus");
	for (int i = VS_TCB_UP_TO_DATE; i < VS_TCB_COUNT_; i++) {
		if (vs_json_is_string(v, status_names[i]))
			return (enum vs_tcb_status)i;
	}
	return VS_TCB_REVOKED; /* a status we do not know is the worst one */
}

static bool
components_le(const struct vs_json *list, const uint8_t svn[COMPONENTS], size_t first)
{
	if (vs_json_count(list) != COMPONENTS)
		return false;
	for (size_t i = first; i < COMPONENTS; i++) {
		int64_t x = -1;
		if (!vs_json_int(vs_json_get(vs_json_at(list, i), "svn"), &x) || x < 0 ||
			x > svn[i])
			return false;
	}
	return true;
}

static bool
level_fits(const struct vs_json *tcb, const struct vs_dcap_quote *q, const struct vs_dcap_pck *pck)
{
	int64_t pce = -1;
	if (!components_le(vs_json_get(tcb, "sgxtcbcomponents"), pck->svn, 0) ||
		!vs_json_int(vs_json_get(tcb, "pcesvn"), &pce) || pce < 0 || pce > pck->pce_svn)
		return false;
	/* With a module version above 0 the first two components are the module's own business. */
	return q->tee == VS_DCAP_SGX ||
		components_le(vs_json_get(tcb, "tdxtcbcomponents"), q->tcb_svn.p,
			q->tcb_svn.p[1] > 0 ? 2 : 0);
}

static enum vs_tcb_status
platform_status(
	const struct vs_json *info, const struct vs_dcap_quote *q, const struct vs_dcap_pck *pck)
{
	const struct vs_json *levels = vs_json_get(info, "tcbLevels");
	const size_t n = vs_json_count(levels);
	for (size_t i = 0; i < n && i < LEVELS_MAX; i++) {
		const struct vs_json *level = vs_json_at(levels, i);
		if (level_fits(vs_json_get(level, "tcb"), q, pck))
			return status_of(level);
	}
	return VS_TCB_NONE;
}

static enum vs_tcb_status
svn_status(const struct vs_json *levels, uint32_t svn)
{
	const size_t n = vs_json_count(levels);
	for (size_t i = 0; i < n && i < LEVELS_MAX; i++) {
		const struct vs_json *level = vs_json_at(levels, i);
		int64_t x = -1;
		if (vs_json_int(vs_json_path(level, "tcb.isvsvn"), &x) && x >= 0 &&
			x <= (int64_t)svn)
			return status_of(level);
	}
	return VS_TCB_NONE;
}

/* The module's identity: by version number in newer statements, else the one at the top. */
static enum vs_tcb_status
module_status(const struct vs_json *info, const struct vs_dcap_quote *q)
{
	const uint8_t version = q->tcb_svn.p[1];
	if (version == 0) {
		const struct vs_json *m = vs_json_get(info, "tdxModule");
		return hex_is(vs_json_get(m, "mrsigner"), q->mrsignerseam.p, 48) &&
				masked_is(vs_json_get(m, "attributes"),
					vs_json_get(m, "attributesMask"), q->seam_attributes)
			? VS_TCB_UP_TO_DATE
			: VS_TCB_NONE;
	}
	char id[16];
	snprintf(id, sizeof id, "TDX_%02X", version);
	const struct vs_json *list = vs_json_get(info, "tdxModuleIdentities");
	for (size_t i = 0; i < vs_json_count(list) && i < LEVELS_MAX; i++) {
		const struct vs_json *m = vs_json_at(list, i);
		if (!vs_json_is_string(vs_json_get(m, "id"), id))
			continue;
		if (!hex_is(vs_json_get(m, "mrsigner"), q->mrsignerseam.p, 48) ||
			!masked_is(vs_json_get(m, "attributes"), vs_json_get(m, "attributesMask"),
				q->seam_attributes))
			return VS_TCB_NONE;
		return svn_status(vs_json_get(m, "tcbLevels"), q->tcb_svn.p[0]);
	}
	return VS_TCB_NONE;
}

static void
add_status(struct vs_verdict *v, const char *name, enum vs_tcb_status s, uint32_t allowed)
{
	if (allowed == 0)
		allowed = 1U << VS_TCB_UP_TO_DATE;
	/* "Not recognised" cannot be allowed. */
	const bool ok = s != VS_TCB_NONE && (allowed >> s & 1) != 0;
	vs_check_add(v, "T-A6", name, ok, "an allowed status", "%s", vs_tcb_status_name(s));
}

/* Parsed only after its signature was seen to be good. */
static vs_rc
open_signed(struct vs_bytes json, struct vs_bytes sig, struct vs_bytes chain_pem,
	const struct vs_dcap_expect *x, struct vs_json **ret, struct vs_err *err)
{
	VS_CLEANUP(vs_ev_certs_done) struct vs_ev_certs certs = {.n = 0};
	struct vs_ev_path path = {.n = 0};
	char name[VS_EV_CERT_NAME_MAX];
	VS_TRY(vs_ev_certs_pem(chain_pem, &certs, err));
	if (certs.n == 0 ||
		strcmp(vs_ev_cert_subject(certs.v[0], name), "Intel SGX TCB Signing") != 0)
		VS_FAIL(err, REFUSED_EVIDENCE,
			"Intel's statement comes without its signing certificate");
	VS_TRY(vs_ev_cert_chain(certs.v[0], &certs, x->roots, x->at_unix, &path, err));
	VS_TRY(vs_revocation_require(&path, 0,
		&(struct vs_revocation){x->crls, x->collateral_required}, x->at_unix, err));
	VS_TRY(vs_ev_ecdsa_verify_key(VS_EV_P256, vs_ev_cert_key(certs.v[0]), json, sig, err));
	VS_CLEANUP(vs_json_freep) struct vs_json *root = NULL;
	VS_TRY(vs_json_load_object(json, COLLATERAL_MAX, "Intel's statement", &root, err));
	int64_t from = 0, until = 0;
	if (!read_time(vs_json_get(root, "issueDate"), &from) ||
		!read_time(vs_json_get(root, "nextUpdate"), &until) || x->at_unix < from ||
		x->at_unix > until)
		VS_FAIL(err, REFUSED_EVIDENCE, "Intel's statement is not of this time");
	*ret = VS_TAKE(root);
	return VS_OK;
}

static void
check_tcb_info(const struct vs_json *info, const struct vs_dcap_quote *q,
	const struct vs_dcap_pck *pck, const struct vs_dcap_expect *x, struct vs_verdict *v)
{
	const bool tdx = q->tee == VS_DCAP_TDX;
	int64_t version = 0;
	const bool about = vs_json_is_string(vs_json_get(info, "id"), tdx ? "TDX" : "SGX") &&
		vs_json_int(vs_json_get(info, "version"), &version) && version == 3 &&
		hex_is(vs_json_get(info, "fmspc"), pck->fmspc, sizeof pck->fmspc) &&
		hex_is(vs_json_get(info, "pceId"), pck->pce_id, sizeof pck->pce_id);
	vs_check_add(v, "T-A6", "TCB information is about this platform", about,
		"FMSPC and PCE of the PCK", about ? "the same" : "another platform");
	add_status(v, "platform TCB", platform_status(info, q, pck), x->allowed_status);
	if (tdx)
		add_status(v, "TDX module TCB", module_status(info, q), x->allowed_status);
}

static void
check_qe_identity(const struct vs_json *id, const struct vs_dcap_quote *q,
	const struct vs_dcap_expect *x, struct vs_verdict *v)
{
	int64_t prod = -1;
	const bool is =
		vs_json_is_string(vs_json_get(id, "id"), q->tee == VS_DCAP_TDX ? "TD_QE" : "QE") &&
		hex_is(vs_json_get(id, "mrsigner"), q->qe.mrsigner.p, 32) &&
		vs_json_int(vs_json_get(id, "isvprodid"), &prod) && prod == q->qe.prod_id &&
		masked_is(vs_json_get(id, "miscselect"), vs_json_get(id, "miscselectMask"),
			q->qe.miscselect) &&
		masked_is(vs_json_get(id, "attributes"), vs_json_get(id, "attributesMask"),
			q->qe.attributes);
	vs_check_add(v, "T-A6", "quoting enclave's identity", is, "as Intel states",
		is ? "as Intel states" : "another enclave");
	add_status(v, "quoting enclave TCB", svn_status(vs_json_get(id, "tcbLevels"), q->qe.svn),
		x->allowed_status);
}

vs_rc
vs_dcap_check_tcb(const struct vs_dcap_quote *quote, const struct vs_dcap_pck *pck,
	const struct vs_dcap_expect *expect, struct vs_verdict *v, struct vs_err *err)
{
	const struct vs_dcap_collateral *c = expect->collateral;
	if (c == NULL) {
		vs_check_add(v, "T-A6", "TCB level", !expect->collateral_required,
			"an allowed status", "not evaluated: Intel's statements are not at hand");
		return VS_OK;
	}
	VS_CLEANUP(vs_json_freep) struct vs_json *info = NULL;
	VS_CLEANUP(vs_json_freep) struct vs_json *id = NULL;
	struct vs_err why = {0};
	vs_rc rc = open_signed(c->tcb_info, c->tcb_info_sig, c->chain_pem, expect, &info, &why);
	if (rc.code == VS_E_MEMORY)
		return vs_err_while(rc, err, "reading TCB information");
	if (vs_check_rc(v, "T-A6", "TCB information", rc, "signed by Intel, of this time", &why))
		check_tcb_info(info, quote, pck, expect, v);
	rc = open_signed(c->qe_identity, c->qe_identity_sig, c->chain_pem, expect, &id, &why);
	if (rc.code == VS_E_MEMORY)
		return vs_err_while(rc, err, "reading the quoting enclave's identity");
	if (vs_check_rc(v, "T-A6", "quoting enclave statement", rc, "signed by Intel, of this time",
		    &why))
		check_qe_identity(id, quote, expect, v);
	return VS_OK;
}
