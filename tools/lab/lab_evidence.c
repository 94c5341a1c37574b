/* SPDX-License-Identifier: BSD-2-Clause */
#include "lab/lab_evidence.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"

enum { PART_MAX = 1 << 20, RUNTIME_MAX = 16384 };

const char *
lab_check_name(enum lab_check check)
{
	static const char *const names[] = {"None",
#define LAB_CHECK_TEXT(name, text) text,
		LAB_CHECKS(LAB_CHECK_TEXT)
#undef LAB_CHECK_TEXT
	};
	return check < LAB_CHECK_COUNT_ ? names[check] : names[0];
}

bool
lab_refuse(struct lab_refusal *why, enum lab_check check, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	why->check = check;
	vsnprintf(why->text, sizeof why->text, fmt, ap);
	va_end(ap);
	return false;
}

void
lab_facts_done(struct lab_facts *f)
{
	json_decref(f->payload);
	json_decref(f->runtime);
	*f = (struct lab_facts){0};
}

/* A member with bytes in either alphabet of base64, padded or not. */
static bool
get_bytes(const json_t *o, const char *name, struct vs_buf *out, struct lab_refusal *why,
	enum lab_check check)
{
	const json_t *v = json_object_get(o, name);
	out->max = PART_MAX;
	if (!json_is_string(v) ||
		vs_failed(vs_b64_any_decode(
			vs_bytes_of(json_string_value(v), json_string_length(v)), out, NULL)) ||
		out->n == 0)
		return lab_refuse(why, check, "%s is missing or not base64", name);
	return true;
}

static json_t *
parse_object(struct vs_bytes text)
{
	json_t *o = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(o)) {
		json_decref(o);
		return NULL;
	}
	return o;
}

/* PcrSet and PCRs must name the same PCRs once, in ascending order, 0-7 among them. */
static bool
get_pcrs(const json_t *tpm, struct lab_pcrs *ret, struct lab_refusal *why)
{
	const json_t *set = json_object_get(tpm, "PcrSet"), *pcrs = json_object_get(tpm, "PCRs");
	const size_t n = json_array_size(set);
	if (n == 0 || n > LAB_PCRS || json_array_size(pcrs) != n)
		return lab_refuse(why, LAB_CHECK_REQUEST, "PcrSet and PCRs do not go together");
	json_int_t last = -1;
	for (size_t i = 0; i < n; i++) {
		const json_t *index = json_array_get(set, i), *pcr = json_array_get(pcrs, i);
		const json_int_t at = json_integer_value(index);
		VS_CLEANUP(vs_buf_done) struct vs_buf digest = {0};
		if (!json_is_integer(index) || at <= last || at >= LAB_PCRS ||
			!json_is_integer(json_object_get(pcr, "Index")) ||
			json_integer_value(json_object_get(pcr, "Index")) != at)
			return lab_refuse(
				why, LAB_CHECK_REQUEST, "PcrSet and PCRs do not go together");
		if (!get_bytes(pcr, "Digest", &digest, why, LAB_CHECK_REQUEST))
			return false;
		if (digest.n != 32)
			return lab_refuse(why, LAB_CHECK_REQUEST, "a PCR's Digest is not 32 bytes");
		memcpy(ret->value[at], digest.p, 32);
		ret->mask |= 1u << at;
		last = at;
	}
	if ((ret->mask & 0xff) != 0xff)
		return lab_refuse(why, LAB_CHECK_REQUEST, "PcrSet lacks one of the PCRs 0 to 7");
	return true;
}

static void
tpm_evidence_done(struct lab_tpm_evidence *ev)
{
	vs_buf_done(&ev->aik_cert);
	vs_buf_done(&ev->aik_pub);
	vs_buf_done(&ev->quote);
	vs_buf_done(&ev->quote_sig);
	vs_buf_done(&ev->enc_pub);
	vs_buf_done(&ev->certify);
	vs_buf_done(&ev->certify_sig);
}

static bool
verify_tpm_info(const json_t *tpm, const struct lab_anchors *anchors, struct lab_facts *f,
	uint8_t aik_n[LAB_RSA_BYTES], struct lab_refusal *why)
{
	VS_CLEANUP(tpm_evidence_done) struct lab_tpm_evidence ev = {0};
	const enum lab_check c = LAB_CHECK_REQUEST;
	if (!get_bytes(tpm, "AikCert", &ev.aik_cert, why, c) ||
		!get_bytes(tpm, "AikPub", &ev.aik_pub, why, c) ||
		!get_bytes(tpm, "PcrQuote", &ev.quote, why, c) ||
		!get_bytes(tpm, "PcrSignature", &ev.quote_sig, why, c) ||
		!get_bytes(tpm, "EncKeyPub", &ev.enc_pub, why, c) ||
		!get_bytes(tpm, "EncKeyCertifyInfo", &ev.certify, why, c) ||
		!get_bytes(tpm, "EncKeyCertifyInfoSignature", &ev.certify_sig, why, c) ||
		!get_pcrs(tpm, &ev.pcrs, why))
		return false;
	f->pcrs = ev.pcrs;
	return lab_verify_tpm(&ev, anchors, aik_n, f->enc_n, why);
}

/* The claims that the hardware signed: exactly one HCLAkPub, and it is the key that quoted. */
static bool
verify_runtime(json_t *rt, const struct lab_anchors *anchors, const uint8_t aik_n[LAB_RSA_BYTES],
	struct lab_facts *f, struct lab_refusal *why)
{
	const json_t *keys = json_object_get(rt, "keys"), *ak = NULL;
	const json_t *vm = json_object_get(rt, "vm-configuration");
	size_t found = 0;
	for (size_t i = 0; i < json_array_size(keys); i++) {
		const json_t *key = json_array_get(keys, i);
		const char *kid = json_string_value(json_object_get(key, "kid"));
		if (kid && strcmp(kid, "HCLAkPub") == 0) {
			ak = key;
			found++;
		}
	}
	VS_CLEANUP(vs_buf_done) struct vs_buf n = {0}, e = {0};
	if (found != 1 || !get_bytes(ak, "n", &n, why, LAB_CHECK_HCL_AK) ||
		!get_bytes(ak, "e", &e, why, LAB_CHECK_HCL_AK))
		return lab_refuse(why, LAB_CHECK_HCL_AK, "RunTimeData does not name one HCLAkPub");
	if (!vs_bytes_eq(vs_buf_view(&n), vs_bytes_of(aik_n, LAB_RSA_BYTES)) ||
		!vs_bytes_eq(vs_buf_view(&e), vs_bytes_of("\x01\x00\x01", 3)))
		return lab_refuse(why, LAB_CHECK_HCL_AK,
			"AikPub is not the HCLAkPub that the hardware report vouches for");
	const char *id = json_string_value(json_object_get(vm, "vmUniqueId"));
	if (!id || strlen(id) != 36)
		return lab_refuse(why, LAB_CHECK_RUNTIME_DATA, "RunTimeData has no vmUniqueId");
	for (size_t i = 0; i < sizeof f->vm_id; i++)
		f->vm_id[i] = id[i] >= 'a' && id[i] <= 'f' ? (char)(id[i] - 'a' + 'A') : id[i];
	const bool nameless = anchors->nameless && !f->log.vm_id[0];
	if (!nameless && strcmp(f->log.vm_id, f->vm_id) != 0)
		return lab_refuse(why, LAB_CHECK_VM_ID,
			"PCR 6 names another machine than the hardware report");
	if (json_is_true(json_object_get(vm, "secure-boot")) != f->log.secure_boot)
		return lab_refuse(why, LAB_CHECK_SECURE_BOOT,
			"the hardware report and PCR 7 disagree about Secure Boot");
	return true;
}

static bool
verify_snp(const json_t *evidence, const struct lab_anchors *anchors,
	const uint8_t aik_n[LAB_RSA_BYTES], struct lab_facts *f, struct lab_refusal *why)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf proof = {0}, runtime = {0}, report = {0}, chain = {0};
	if (!get_bytes(evidence, "Proof", &proof, why, LAB_CHECK_TEE_PROOF) ||
		!get_bytes(evidence, "RunTimeData", &runtime, why, LAB_CHECK_TEE_PROOF))
		return false;
	json_t *o = parse_object(vs_buf_view(&proof));
	const bool parsed = o && get_bytes(o, "SnpReport", &report, why, LAB_CHECK_TEE_PROOF) &&
		get_bytes(o, "VcekCertChain", &chain, why, LAB_CHECK_TEE_PROOF);
	json_decref(o);
	if (!parsed)
		return lab_refuse(why, LAB_CHECK_TEE_PROOF,
			"Proof is not a report with its certificate chain");
	if (!lab_verify_snp(vs_buf_view(&report), vs_buf_view(&chain), vs_buf_view(&runtime),
		    anchors, &f->compliant, why))
		return false;
	f->runtime = runtime.n <= RUNTIME_MAX ? parse_object(vs_buf_view(&runtime)) : NULL;
	if (!f->runtime)
		return lab_refuse(why, LAB_CHECK_RUNTIME_DATA, "RunTimeData is not a JSON object");
	memcpy(f->report, report.p, sizeof f->report);
	f->tee = true;
	return verify_runtime(f->runtime, anchors, aik_n, f, why);
}

static bool
verify_isolation(const json_t *info, const struct lab_anchors *anchors,
	const uint8_t aik_n[LAB_RSA_BYTES], struct lab_facts *f, struct lab_refusal *why)
{
	const json_t *isolation = json_object_get(info, "IsolationInfo");
	const char *type = json_string_value(json_object_get(isolation, "Type"));
	if (type && strcmp(type, "TrustedLaunch") == 0) {
		memcpy(f->vm_id, f->log.vm_id, sizeof f->vm_id);
		return true;
	}
	if (!type || strcmp(type, "SevSnp") != 0)
		return lab_refuse(why, LAB_CHECK_TEE_TYPE,
			"IsolationInfo.Type is not SevSnp or TrustedLaunch, which is what the lab "
			"has");
	return verify_snp(json_object_get(isolation, "Evidence"), anchors, aik_n, f, why);
}

/* Base64 text chosen by the guest. */
static bool
get_text(const json_t *o, const char *name, char out[64], struct lab_refusal *why)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf b = {0};
	if (!get_bytes(o, name, &b, why, LAB_CHECK_REQUEST))
		return false;
	if (b.n >= 64 || !vs_utf8_ok(vs_buf_view(&b)))
		return lab_refuse(why, LAB_CHECK_REQUEST, "%s is too long or not text", name);
	memcpy(out, b.p, b.n);
	out[b.n] = '\0';
	return true;
}

/* An integer, or its decimal text as one client writes it. */
static bool
get_number(const json_t *o, const char *name, long *ret, struct lab_refusal *why)
{
	const json_t *v = json_object_get(o, name);
	const char *text = json_string_value(v);
	char *end = NULL;
	const long long n = text ? strtoll(text, &end, 10) : json_integer_value(v);
	if ((!text && !json_is_integer(v)) || (text && (end == text || *end)) || n < 0 ||
		n > 1000000)
		return lab_refuse(why, LAB_CHECK_REQUEST, "%s is missing or not a number", name);
	*ret = (long)n;
	return true;
}

static bool
get_guest_words(const json_t *info, struct lab_facts *f, struct lab_refusal *why)
{
	const char *protocol =
		json_string_value(json_object_get(info, "AttestationProtocolVersion"));
	if (!protocol || strlen(protocol) >= sizeof f->protocol)
		return lab_refuse(why, LAB_CHECK_REQUEST, "AttestationProtocolVersion is missing");
	memcpy(f->protocol, protocol, strlen(protocol) + 1);
	json_t *payload = json_object_get(info, "ClientPayload");
	if (payload && !json_is_object(payload))
		return lab_refuse(why, LAB_CHECK_REQUEST, "ClientPayload is not an object");
	if (json_object_size(payload) > 0)
		f->payload = json_incref(payload);
	return get_text(info, "OSType", f->os_type, why) &&
		get_text(info, "OSDistro", f->os_distro, why) &&
		get_text(info, "OSBuild", f->os_build, why) &&
		get_number(info, "OSVersionMajor", &f->os_major, why) &&
		get_number(info, "OSVersionMinor", &f->os_minor, why);
}

static bool
verify(const json_t *info, const struct lab_anchors *anchors, struct lab_facts *f,
	struct lab_refusal *why)
{
	uint8_t aik_n[LAB_RSA_BYTES];
	VS_CLEANUP(vs_buf_done) struct vs_buf log = {0};
	const json_t *tpm = json_object_get(info, "TpmInfo");
	if (!json_is_object(tpm))
		return lab_refuse(why, LAB_CHECK_REQUEST, "TpmInfo is missing");
	return get_guest_words(info, f, why) &&
		get_bytes(info, "TcgLogs", &log, why, LAB_CHECK_REQUEST) &&
		verify_tpm_info(tpm, anchors, f, aik_n, why) &&
		lab_verify_log(vs_buf_view(&log), &f->pcrs, anchors, &f->log, why) &&
		verify_isolation(info, anchors, aik_n, f, why);
}

bool
lab_evidence_verify(struct vs_bytes text, const struct lab_anchors *anchors,
	struct lab_facts *facts, struct lab_refusal *why)
{
	*facts = (struct lab_facts){0};
	*why = (struct lab_refusal){0};
	json_t *info = parse_object(text);
	const bool ok = info ? verify(info, anchors, facts, why)
			     : lab_refuse(why, LAB_CHECK_REQUEST,
				       "AttestationInfo is not base64 of a JSON object");
	json_decref(info);
	if (!ok)
		lab_facts_done(facts);
	return ok;
}
