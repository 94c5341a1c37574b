/* SPDX-License-Identifier: BSD-2-Clause */
/* POST /attest/SgxEnclave, /attest/OpenEnclave, /attest/TdxVm: quotes of Intel's processors. */
#include <stdio.h>
#include <string.h>

#include <openssl/sha.h>

#include "base/codec.h"
#include "lab/lab_dcap.h"
#include "lab/lab_maa_priv.h"

enum { OE_HEADER = 16, SGX_REPORT_DATA = 320, SGX_CONFIG_ID = 192, TD_REPORT_DATA = 520 };

static unsigned
le16(const uint8_t *p)
{
	return p[0] | (unsigned)p[1] << 8;
}

static void
set_hex(json_t *o, const char *name, const uint8_t *p, size_t n)
{
	char hex[2 * 64 + 1];
	vs_hex_str(p, n, hex, sizeof hex);
	json_object_set_new(o, name, json_string(hex));
}

static void
set_hash(json_t *o, const char *name, const void *p, size_t n)
{
	uint8_t digest[32];
	SHA256(p, n, digest);
	set_hex(o, name, digest, sizeof digest);
}

/* quotehash is true; the lab has no collateral of Intel's, so the others are hashes of that text.
 */
static json_t *
collateral(struct vs_bytes submitted)
{
	static const char *const names[] = {"qeidcertshash", "qeidcrlhash", "qeidhash",
		"tcbinfocertshash", "tcbinfocrlhash", "tcbinfohash"};
	json_t *o = json_object();
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char text[64];
		snprintf(text, sizeof text, "Vouchsafe LAB: no collateral: %s", names[i]);
		set_hash(o, names[i], text, strlen(text));
	}
	set_hash(o, "quotehash", submitted.p, submitted.n);
	return o;
}

static bool
held_data_claims(const struct lab_maa_data *d, json_t *o)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {0};
	if (!d->there || d->json)
		return true;
	if (vs_failed(vs_b64url_encode(vs_buf_view(&d->bytes), &text, NULL)))
		return false;
	json_t *v = json_string(vs_buf_cstr(&text));
	json_object_set(o, "x-ms-sgx-ehd", v);
	json_object_set(o, "maa-ehd", v);
	return json_object_set_new(o, "aas-ehd", v) == 0;
}

static void
sgx_claims(json_t *o, const uint8_t *r, struct vs_bytes submitted)
{
	json_t *c = collateral(submitted);
	json_object_set_new(o, "x-ms-attestation-type", json_string("sgx"));
	json_object_set_new(o, "x-ms-sgx-is-debuggable", json_boolean(r[48] & 2));
	set_hex(o, "x-ms-sgx-mrenclave", r + 64, 32);
	set_hex(o, "x-ms-sgx-mrsigner", r + 128, 32);
	json_object_set_new(o, "x-ms-sgx-product-id", json_integer(le16(r + 256)));
	json_object_set_new(o, "x-ms-sgx-svn", json_integer(le16(r + 258)));
	set_hex(o, "x-ms-sgx-report-data", r + SGX_REPORT_DATA, 64);
	json_object_set(o, "x-ms-sgx-collateral", c);
	json_object_set_new(o, "maa-attestationcollateral", c);
}

static void
td_attribute_claims(json_t *o, const uint8_t *attributes, const uint8_t *xfam)
{
	static const struct {
		const char *name;
		unsigned bit;
	} flags[] = {
		{"debug", 0},
		{"hgs_plus_prof", 4},
		{"perf_prof", 5},
		{"pmt_prof", 6},
		{"icssd", 16},
		{"septve_disable", 28},
		{"migratable", 29},
		{"protection_keys", 30},
		{"key_locker", 31},
		{"perfmon", 63},
	};
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
		char name[64];
		snprintf(name, sizeof name, "tdx_td_attributes_%s", flags[i].name);
		json_object_set_new(o, name,
			json_boolean(attributes[flags[i].bit / 8] >> flags[i].bit % 8 & 1));
	}
	json_object_set_new(o, "tdx_xfam_cet_u", json_boolean(xfam[1] >> 3 & 1));
	json_object_set_new(o, "tdx_xfam_cet_s", json_boolean(xfam[1] >> 4 & 1));
}

/* Without collateral the platform is not called up to date, and no image is known as Azure's. */
static void
td_claims(json_t *o, const uint8_t *r)
{
	static const struct {
		const char *name;
		size_t at, n;
	} fields[] = {
		{"tdx_tee_tcb_svn", 0, 16},
		{"tdx_mrseam", 16, 48},
		{"tdx_mrsignerseam", 64, 48},
		{"tdx_seam_attributes", 112, 8},
		{"tdx_td_attributes", 120, 8},
		{"tdx_xfam", 128, 8},
		{"tdx_mrtd", 136, 48},
		{"tdx_mrconfigid", 184, 48},
		{"tdx_mrowner", 232, 48},
		{"tdx_mrownerconfig", 280, 48},
		{"tdx_rtmr0", 328, 48},
		{"tdx_rtmr1", 376, 48},
		{"tdx_rtmr2", 424, 48},
		{"tdx_rtmr3", 472, 48},
		{"tdx_report_data", TD_REPORT_DATA, 64},
	};
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		set_hex(o, fields[i].name, r + fields[i].at, fields[i].n);
	td_attribute_claims(o, r + 120, r + 128);
	json_object_set_new(o, "tdx_seamsvn", json_integer(le16(r)));
	json_object_set_new(o, "attester_tcb_status", json_string("OutOfDate"));
	json_object_set_new(o, "dbgstat", json_string(r[120] & 1 ? "enabled" : "disabled"));
	json_object_set_new(o, "eat_profile", json_string("https://aka.ms/maa-eat-profile-tdxvm"));
	json_object_set_new(o, "intuse", json_string("generic"));
	json_object_set_new(o, "x-ms-attestation-type", json_string("tdxvm"));
}

/* The quote inside what was sent: OpenEnclave puts 16 bytes in front of it. */
static bool
inner_quote(enum lab_tee_type t, struct vs_bytes sent, struct vs_bytes *quote)
{
	static const uint8_t head[8] = {1, 0, 0, 0, 2, 0, 0, 0};
	*quote = sent;
	if (t != LAB_TEE_OPEN_ENCLAVE)
		return true;
	if (sent.n < OE_HEADER || memcmp(sent.p, head, sizeof head) != 0)
		return false;
	uint64_t size = 0;
	for (size_t i = 0; i < 8; i++)
		size |= (uint64_t)sent.p[8 + i] << (8 * i);
	*quote = vs_bytes_of(sent.p + OE_HEADER, sent.n - OE_HEADER);
	return size == quote->n;
}

static bool
verify(enum lab_tee_type t, struct vs_bytes sent, struct lab_quote *q, struct lab_maa_error *e)
{
	struct lab_refusal why = {0};
	struct vs_bytes quote;
	if (!inner_quote(t, sent, &quote)) {
		lab_refuse(&why, LAB_CHECK_DCAP_FORM, "the report's header is not OpenEnclave's");
		return lab_maa_refused(e, &why);
	}
	if (!lab_dcap_verify(quote, q, &why))
		return lab_maa_refused(e, &why);
	if (q->tdx != (t == LAB_TEE_TDX_VM)) {
		lab_refuse(&why, LAB_CHECK_DCAP_FORM, "the quote is one of the other technology");
		return lab_maa_refused(e, &why);
	}
	return true;
}

bool
lab_maa_quote_claims(
	enum lab_tee_type t, const json_t *body, json_t *claims, struct lab_maa_error *e)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf sent = {.max = LAB_QUOTE_MAX};
	VS_CLEANUP(lab_maa_data_done) struct lab_maa_data runtime = {0}, init = {0};
	struct lab_quote q;
	const char *member = t == LAB_TEE_OPEN_ENCLAVE ? "report" : "quote";
	if (!lab_maa_bytes(body, member, &sent))
		return lab_maa_fail(
			e, 400, "InvalidParameter", "%s is missing or not base64url.", member);
	if (!lab_maa_data_read(body, "runtimeData", &runtime, e) ||
		!lab_maa_data_read(body, "initTimeData", &init, e) ||
		!verify(t, vs_buf_view(&sent), &q, e))
		return false;
	const bool td = t == LAB_TEE_TDX_VM;
	if (!lab_maa_data_bound(&runtime, q.body.p + (td ? TD_REPORT_DATA : SGX_REPORT_DATA),
		    LAB_CHECK_REPORT_HASH, e) ||
		!lab_maa_data_bound(
			&init, q.body.p + (td ? 184 : SGX_CONFIG_ID), LAB_CHECK_INIT_HASH, e) ||
		!lab_maa_data_claim(&runtime, "runtimeData", "x-ms-runtime", claims, e) ||
		!lab_maa_data_claim(&init, "initTimeData", "x-ms-inittime", claims, e))
		return false;
	if (td)
		td_claims(claims, q.body.p);
	else
		sgx_claims(claims, q.body.p, vs_buf_view(&sent));
	lab_maa_nonce(body, claims);
	return td || held_data_claims(&runtime, claims) ||
		lab_maa_fail(e, 500, "InternalError", "no memory");
}

bool
lab_maa_attest_quote(struct lab_maa *maa, enum lab_tee_type t, const json_t *body,
	struct vs_buf *token, struct lab_maa_error *e)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf draft = {.max = LAB_POLICY_MAX};
	bool has_draft = false;
	if (!lab_maa_draft(body, &draft, &has_draft, e))
		return false;
	if (has_draft && t == LAB_TEE_TDX_VM)
		return lab_maa_fail(
			e, 400, "InvalidParameter", "TdxVm has no draftPolicyForAttestation.");
	json_t *claims = json_object();
	const bool ok = lab_maa_quote_claims(t, body, claims, e) &&
		lab_maa_issue(maa, t, claims, has_draft ? vs_buf_cstr(&draft) : NULL,
			lab_now(maa->lab), token, e);
	json_decref(claims);
	return ok;
}
