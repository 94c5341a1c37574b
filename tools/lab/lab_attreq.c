/* SPDX-License-Identifier: BSD-2-Clause */
#include "lab/lab_attreq.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>

#include "base/codec.h"
#include "lab/lab_evidence_priv.h"
#include "lab/lab_maa_priv.h"
#include "lab/lab_machine_priv.h"

enum { PART_MAX = 1 << 20, ALG_SHA1 = 4, ALG_SHA256 = 11, CUSTOM_MAX = 64 };

void
lab_attreq_done(struct lab_attreq *r)
{
	json_decref(r->custom);
	json_decref(r->payload);
	vs_buf_done(&r->challenge);
	vs_buf_done(&r->jwk_text);
	vs_buf_done(&r->log_bytes);
	*r = (struct lab_attreq){0};
}

static bool
bytes_of(const json_t *o, const char *name, struct vs_buf *out)
{
	const json_t *v = json_object_get(o, name);
	out->max = PART_MAX;
	return json_is_string(v) &&
		!vs_failed(vs_b64_any_decode(
			vs_bytes_of(json_string_value(v), json_string_length(v)), out, NULL));
}

/* {"kty":"RSA","n","e"}: 2048 bits or more, 65537. */
static EVP_PKEY *
key_of(const json_t *jwk, struct vs_buf *n)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf e = {0};
	EVP_PKEY *key = NULL;
	const char *kty = json_string_value(json_object_get(jwk, "kty"));
	if (!kty || strcmp(kty, "RSA") != 0 || !bytes_of(jwk, "n", n) || !bytes_of(jwk, "e", &e) ||
		n->n < 256 || n->n > 512 || !(n->p[0] & 0x80) || !(n->p[n->n - 1] & 1) ||
		!vs_bytes_eq(vs_buf_view(&e), vs_bytes_of("\x01\x00\x01", 3)) ||
		vs_failed(lab_rsa_public(n->p, n->n, &key, NULL)))
		return NULL;
	return key;
}

/* ---- the JWS -------------------------------------------------------------------------------- */

/* The end of the JSON value at p; the text was parsed before. */
static const char *
value_end(const char *p, const char *end)
{
	int depth = 0;
	for (; p < end; p++) {
		if (*p == '"') {
			for (p++; p < end && *p != '"'; p++)
				p += *p == '\\';
			if (depth == 0)
				return p < end ? p + 1 : end;
		} else if (*p == '{' || *p == '[')
			depth++;
		else if ((*p == '}' || *p == ']') && --depth == 0)
			return p + 1;
		else if (depth <= 0 && (*p == ',' || *p == '}' || *p == ']'))
			return p;
	}
	return end;
}

/* The text of a member of the object at text, exactly as it was sent. */
static struct vs_bytes
raw_member(struct vs_bytes text, const char *name)
{
	const char *p = (const char *)text.p, *end = p + text.n;
	const size_t n = strlen(name);
	while (p < end && *p != '{')
		p++;
	for (p++; p < end; p++) {
		while (p < end && *p != '"')
			p++;
		const char *key = p, *key_end = p < end ? value_end(p, end) : end;
		for (p = key_end; p < end && *p != ':';)
			p++;
		for (p += p < end;
			p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r');)
			p++;
		const char *value = p;
		p = p < end ? value_end(p, end) : end;
		if ((size_t)(key_end - key) == n + 2 && memcmp(key + 1, name, n) == 0)
			return vs_bytes_of(value, (size_t)(p - value));
	}
	return vs_bytes_of(NULL, 0);
}

static bool
ps256_ok(EVP_PKEY *key, struct vs_bytes text, struct vs_bytes sig)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	EVP_PKEY_CTX *ctx = NULL;
	const bool ok = md && EVP_DigestVerifyInit(md, &ctx, EVP_sha256(), NULL, key) == 1 &&
		EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
		EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1 &&
		EVP_DigestVerify(md, sig.p, sig.n, text.p, text.n) == 1;
	EVP_MD_CTX_free(md);
	ERR_clear_error();
	return ok;
}

/* What a client says of itself; policies can tell it by its issuer. */
static bool
read_custom(const json_t *att, struct lab_attreq *r, struct lab_refusal *why)
{
	const json_t *list = json_object_get(att, "custom_claims");
	r->custom = json_object();
	bool ok = !list || (json_is_array(list) && json_array_size(list) <= CUSTOM_MAX);
	for (size_t i = 0; ok && i < json_array_size(list); i++) {
		const json_t *c = json_array_get(list, i), *v = json_object_get(c, "value");
		const char *name = json_string_value(json_object_get(c, "name"));
		const char *type = json_string_value(json_object_get(c, "value_type"));
		const char *text = json_string_value(v);
		json_t *value = NULL;
		ok = name && *name && type && (text || json_is_integer(v) || json_is_boolean(v));
		if (ok && strcasecmp(type, "String") == 0 && text)
			value = json_string(text);
		else if (ok)
			value = text ? json_loads(text, JSON_DECODE_ANY, NULL) : json_deep_copy(v);
		ok = ok && value &&
			((strcasecmp(type, "String") == 0 && json_is_string(value)) ||
				(strcasecmp(type, "Integer") == 0 && json_is_integer(value)) ||
				(strcasecmp(type, "Boolean") == 0 && json_is_boolean(value)));
		if (ok)
			json_object_set(r->custom, name, value);
		json_decref(value);
	}
	return ok || lab_refuse(why, LAB_CHECK_ATTREQ_FORM, "custom_claims are not claims");
}

/* Kinds of requests that exist, and that this machine cannot make. */
static bool
read_kind(const json_t *payload, struct lab_refusal *why)
{
	const char *type = json_string_value(json_object_get(payload, "att_type"));
	const json_t *att = json_object_get(payload, "att_data");
	if (type && strcmp(type, "vbs") == 0)
		return lab_refuse(why, LAB_CHECK_TEE_TYPE,
			"att_type vbs needs a report of a VBS enclave, which the lab does not "
			"judge");
	if (!type || strcmp(type, "basic") != 0 || !json_is_object(att))
		return lab_refuse(why, LAB_CHECK_ATTREQ_FORM,
			"att_type is not basic, or att_data is missing");
	const json_t *tpm = json_object_get(att, "tpm_att_data");
	if (!json_is_object(json_object_get(tpm, "current_attestation")))
		return lab_refuse(
			why, LAB_CHECK_ATTREQ_FORM, "tpm_att_data has no current_attestation");
	if (json_object_get(tpm, "boot_attestation") ||
		json_array_size(json_object_get(att, "other_keys")) > 0)
		return lab_refuse(why, LAB_CHECK_ATTREQ_FORM,
			"the lab does not judge boot_attestation and other_keys");
	return true;
}

static bool
read_payload(struct lab_attreq *r, struct lab_refusal *why)
{
	if (!json_is_object(r->payload))
		return lab_refuse(why, LAB_CHECK_ATTREQ_FORM, "the payload is not a JSON object");
	if (!read_kind(r->payload, why))
		return false;
	const json_t *att = json_object_get(r->payload, "att_data");
	const json_t *key = json_object_get(att, "request_key");
	r->jwk = json_object_get(key, "jwk");
	r->info = json_object_get(key, "info");
	r->rp_data = json_string_value(json_object_get(att, "rp_data"));
	r->service_context = json_string_value(json_object_get(att, "service_context"));
	if (!json_string_value(json_object_get(att, "rp_id")) || !r->rp_data ||
		!r->service_context || !json_is_object(r->jwk) || !json_is_object(r->info) ||
		!bytes_of(att, "challenge", &r->challenge) || r->challenge.n != LAB_CHALLENGE)
		return lab_refuse(why, LAB_CHECK_ATTREQ_FORM,
			"att_data lacks rp_id, rp_data, challenge, request_key or service_context");
	return read_custom(att, r, why);
}

static bool
header_ok(const json_t *header, struct lab_refusal *why)
{
	const char *alg = json_string_value(json_object_get(header, "alg"));
	const char *typ = json_string_value(json_object_get(header, "typ"));
	if (typ && strcmp(typ, "attReq") == 0)
		return lab_refuse(why, LAB_CHECK_ATTREQ_FORM,
			"attReq carries claims of Windows, which the lab does not judge; send "
			"attReqV2");
	if (!alg || strcmp(alg, "PS256") != 0 || !typ || strcmp(typ, "attReqV2") != 0)
		return lab_refuse(
			why, LAB_CHECK_ATTREQ_FORM, "the header is not that of a PS256 attReqV2");
	return true;
}

bool
lab_attreq_open(struct vs_bytes text, struct lab_attreq *ret, struct lab_refusal *why)
{
	VS_CLEANUP(lab_maa_jws_done) struct lab_maa_jws jws = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf n = {0}, payload = {.max = PART_MAX};
	if (!lab_maa_jws_open(text, &jws) || !jws.payload)
		return lab_refuse(why, LAB_CHECK_ATTREQ_FORM, "request is not a compact JWS");
	if (!header_ok(jws.header, why))
		return false;
	ret->payload = json_incref(jws.payload);
	if (!read_payload(ret, why))
		return false;
	EVP_PKEY *key = key_of(ret->jwk, &n);
	const bool ok = key && ps256_ok(key, jws.signed_part, vs_buf_view(&jws.sig));
	EVP_PKEY_free(key);
	if (!ok)
		return lab_refuse(why, LAB_CHECK_ATTREQ_SIGNATURE,
			"the request is not signed with PS256 by its own request_key");
	/* What the quote is about is the key's text exactly as it was sent. */
	const uint8_t *dot = memchr(text.p, '.', text.n);
	const size_t head = (size_t)(dot - text.p) + 1;
	if (vs_failed(vs_b64url_decode(
		    vs_bytes_of(text.p + head, jws.signed_part.n - head), &payload, NULL)))
		return lab_refuse(why, LAB_CHECK_ATTREQ_FORM, "the payload is not base64url");
	const struct vs_bytes jwk = raw_member(
		raw_member(raw_member(vs_buf_view(&payload), "att_data"), "request_key"), "jwk");
	return !vs_failed(vs_buf_add(&ret->jwk_text, jwk.p, jwk.n, NULL)) ||
		lab_refuse(why, LAB_CHECK_ATTREQ_FORM, "no memory");
}

/* ---- the TPM's evidence --------------------------------------------------------------------- */

static bool
read_bank(const json_t *bank, struct lab_attreq *r)
{
	const json_int_t alg = json_integer_value(json_object_get(bank, "algorithm"));
	const json_t *values = json_object_get(bank, "values");
	uint32_t *mask = alg == ALG_SHA256 ? &r->pcrs.mask : &r->sha1_mask;
	const size_t size = alg == ALG_SHA256 ? 32 : LAB_SHA1;
	if ((alg != ALG_SHA1 && alg != ALG_SHA256) || *mask != 0 || json_array_size(values) == 0)
		return false;
	for (size_t i = 0; i < json_array_size(values); i++) {
		VS_CLEANUP(vs_buf_done) struct vs_buf digest = {0};
		const json_t *v = json_array_get(values, i), *index = json_object_get(v, "index");
		const json_int_t at = json_integer_value(index);
		if (!json_is_integer(index) || at < 0 || at >= LAB_PCRS || (*mask >> at) != 0 ||
			!bytes_of(v, "digest", &digest) || digest.n != size)
			return false;
		memcpy(alg == ALG_SHA256 ? r->pcrs.value[at] : r->sha1[at], digest.p, size);
		*mask |= 1u << at;
	}
	return true;
}

static bool
read_pcrs(const json_t *now, struct lab_attreq *r, struct lab_refusal *why)
{
	const json_t *banks = json_object_get(now, "pcrs");
	bool ok = json_array_size(banks) > 0;
	for (size_t i = 0; ok && i < json_array_size(banks); i++)
		ok = read_bank(json_array_get(banks, i), r);
	return (ok && r->pcrs.mask) ||
		lab_refuse(why, LAB_CHECK_ATTREQ_FORM,
			"pcrs is not a list of banks with ascending indexes, SHA-256 among them");
}

/* The key that quotes; whether its certificate is any good is for the policy to judge. */
static EVP_PKEY *
read_aik(const json_t *now, const struct lab_anchors *a, struct lab_attreq *r)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf n = {0}, der = {0}, hash = {0};
	char reason[128];
	uint8_t digest[32];
	uint8_t *spki = NULL;
	EVP_PKEY *key = key_of(json_object_get(now, "aik_pub"), &n);
	if (!key)
		return NULL;
	const int size = i2d_PUBKEY(key, &spki);
	SHA256(spki, size > 0 ? (size_t)size : 0, digest);
	OPENSSL_free(spki);
	if (!vs_failed(vs_b64_encode(vs_bytes_of(digest, sizeof digest), &hash, NULL)))
		memcpy(r->aik_hash, vs_buf_cstr(&hash), hash.n + 1);
	X509 *cert = bytes_of(now, "aik_cert", &der) ? lab_read_cert(vs_buf_view(&der)) : NULL;
	r->aik_valid = cert && lab_is_aik_cert(cert) &&
		EVP_PKEY_eq(X509_get0_pubkey(cert), key) == 1 &&
		lab_chain_ok(cert, a->vtpm_root, &a->vtpm_ca, 1, a->now, reason, sizeof reason);
	X509_free(cert);
	ERR_clear_error();
	return key;
}

/* TPMT_SIGNATURE: RSASSA, SHA-256, the bytes. */
static bool
tpm_signature_ok(EVP_PKEY *key, const json_t *o, struct vs_bytes message)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf sig = {0};
	if (!bytes_of(o, "signature", &sig))
		return false;
	struct vs_reader r = vs_reader_of(vs_buf_view(&sig));
	const uint16_t scheme = vs_get_be16(&r), hash = vs_get_be16(&r);
	const struct vs_bytes raw = vs_get_2b(&r);
	return vs_reader_done(&r) && scheme == 0x0014 && hash == 0x000b &&
		lab_signature_ok(key, message, raw);
}

/* Every selected bank, in the order of the selection: what the quote's digest is made of. */
static bool
check_selection(struct vs_reader *q, const struct lab_attreq *r, uint8_t digest[32],
	struct lab_refusal *why)
{
	uint8_t all[LAB_PCRS * (32 + LAB_SHA1)];
	uint32_t wanted[2] = {r->pcrs.mask, r->sha1_mask};
	size_t n = 0;
	const uint32_t count = vs_get_be32(q);
	bool ok = count == 1u + (r->sha1_mask != 0);
	for (uint32_t i = 0; ok && i < count; i++) {
		const uint16_t alg = vs_get_be16(q);
		const struct vs_bytes map = vs_get_bytes(q, vs_get_u8(q));
		const bool sha256 = alg == ALG_SHA256;
		ok = !q->bad && (sha256 || alg == ALG_SHA1) && map.n == 3;
		const uint32_t mask =
			ok ? map.p[0] | (uint32_t)map.p[1] << 8 | (uint32_t)map.p[2] << 16 : 0;
		uint32_t *want = &wanted[!sha256];
		ok = ok && mask != 0 && mask == *want;
		*want = 0;
		for (size_t k = 0; ok && k < LAB_PCRS; k++) {
			const size_t size = sha256 ? 32 : LAB_SHA1;
			if (mask & (1u << k)) {
				memcpy(all + n, sha256 ? r->pcrs.value[k] : r->sha1[k], size);
				n += size;
			}
		}
	}
	SHA256(all, n, digest);
	return ok ||
		lab_refuse(why, LAB_CHECK_QUOTE_SELECTION,
			"the quote does not cover exactly the banks and indexes of pcrs");
}

static bool
check_quote(const json_t *now, EVP_PKEY *aik, const struct lab_attreq *r,
	const uint8_t *expected_extra, size_t n_extra, struct lab_refusal *why)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf quote = {0};
	struct lab_attest q = {0};
	uint8_t digest[32];
	if (!bytes_of(now, "quote", &quote) || !tpm_signature_ok(aik, now, vs_buf_view(&quote)))
		return lab_refuse(why, LAB_CHECK_QUOTE_SIGNATURE,
			"signature is not one of aik_pub over quote");
	if (!lab_read_attest(vs_buf_view(&quote), &q) || q.magic != LAB_TPM_GENERATED ||
		q.type != LAB_ST_QUOTE)
		return lab_refuse(
			why, LAB_CHECK_QUOTE_FORM, "quote is not a quote that a TPM made");
	if (!check_selection(&q.rest, r, digest, why))
		return false;
	const struct vs_bytes signed_digest = vs_get_2b(&q.rest);
	if (!vs_reader_done(&q.rest))
		return lab_refuse(why, LAB_CHECK_QUOTE_FORM, "quote is cut off or too long");
	if (!vs_bytes_eq(signed_digest, vs_bytes_of(digest, 32)))
		return lab_refuse(why, LAB_CHECK_QUOTE_DIGEST,
			"the quoted PCR digest is not the digest of pcrs");
	return vs_bytes_eq(q.extra, vs_bytes_of(expected_extra, n_extra)) ||
		lab_refuse(why, LAB_CHECK_REQUEST_KEY,
			"the quote is not about this request_key and this challenge");
}

/* The request key lives in the TPM: the attestation key certified it for this challenge. */
static bool
check_certified(
	const json_t *certify, EVP_PKEY *aik, const struct lab_attreq *r, struct lab_refusal *why)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf area = {0}, attest = {0}, n = {0};
	struct lab_public pub = {0};
	struct lab_attest c = {0};
	if (!bytes_of(certify, "public", &area) || !bytes_of(certify, "certification", &attest) ||
		!lab_read_public_area(vs_buf_view(&area), &pub) || !bytes_of(r->jwk, "n", &n) ||
		!vs_bytes_eq(vs_buf_view(&n), pub.n))
		return lab_refuse(why, LAB_CHECK_REQUEST_KEY,
			"tpm_certify is not about an RSA-2048 key, or not about request_key");
	if (!tpm_signature_ok(aik, certify, vs_buf_view(&attest)))
		return lab_refuse(why, LAB_CHECK_CERTIFY_SIGNATURE,
			"the signature of tpm_certify is not one of aik_pub over certification");
	if (!lab_read_attest(vs_buf_view(&attest), &c) || c.magic != LAB_TPM_GENERATED ||
		c.type != LAB_ST_CERTIFY)
		return lab_refuse(why, LAB_CHECK_CERTIFY_FORM,
			"certification is not a certification that a TPM made");
	const struct vs_bytes name = vs_get_2b(&c.rest);
	(void)vs_get_2b(&c.rest);
	if (!vs_reader_done(&c.rest))
		return lab_refuse(
			why, LAB_CHECK_CERTIFY_FORM, "certification is cut off or too long");
	if (!vs_bytes_eq(name, vs_bytes_of(pub.name, sizeof pub.name)))
		return lab_refuse(why, LAB_CHECK_CERTIFY_NAME,
			"certification is about another key than public");
	return vs_bytes_eq(c.extra, vs_buf_view(&r->challenge)) ||
		lab_refuse(why, LAB_CHECK_REQUEST_KEY, "certification is not about this challenge");
}

static bool
check_binding(const json_t *now, EVP_PKEY *aik, const struct lab_attreq *r, struct lab_refusal *why)
{
	const json_t *quoted = json_object_get(r->info, "tpm_quote");
	const json_t *certified = json_object_get(r->info, "tpm_certify");
	const char *alg = json_string_value(json_object_get(quoted, "hash_alg"));
	if (json_is_object(certified) && !quoted)
		return check_quote(now, aik, r, r->challenge.p, r->challenge.n, why) &&
			check_certified(certified, aik, r, why);
	if (!alg || strcmp(alg, "sha-256") != 0 || certified)
		return lab_refuse(why, LAB_CHECK_REQUEST_KEY,
			"info is neither tpm_quote with sha-256 nor tpm_certify");
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {0};
	uint8_t hash[32];
	if (vs_failed(vs_buf_add(&text, r->jwk_text.p, r->jwk_text.n, NULL)) ||
		vs_failed(vs_buf_add_u8(&text, 0, NULL)) ||
		vs_failed(vs_buf_add(&text, r->challenge.p, r->challenge.n, NULL)))
		return lab_refuse(why, LAB_CHECK_REQUEST_KEY, "no memory");
	SHA256(text.p, text.n, hash);
	return check_quote(now, aik, r, hash, sizeof hash, why);
}

static bool
read_log(const json_t *now, struct lab_attreq *r, struct lab_refusal *why)
{
	const json_t *logs = json_object_get(now, "logs"), *log = json_array_get(logs, 0);
	const char *type = json_string_value(json_object_get(log, "type"));
	if (json_array_size(logs) != 1 || !type || strcmp(type, "TCG") != 0)
		return lab_refuse(why, LAB_CHECK_LOG_FORM,
			"the lab judges one log, of type TCG, and no IMA list");
	return bytes_of(log, "log", &r->log_bytes) ||
		lab_refuse(why, LAB_CHECK_LOG_FORM, "the log is not base64url");
}

bool
lab_attreq_verify(struct lab_attreq *r, const struct lab_anchors *anchors, struct lab_refusal *why)
{
	const json_t *att = json_object_get(r->payload, "att_data");
	const json_t *now =
		json_object_get(json_object_get(att, "tpm_att_data"), "current_attestation");
	if (!read_pcrs(now, r, why) || !read_log(now, r, why))
		return false;
	EVP_PKEY *aik = read_aik(now, anchors, r);
	const bool ok = aik ? check_binding(now, aik, r, why)
			    : lab_refuse(why, LAB_CHECK_AIK_PUB,
				      "aik_pub is not an RSA key of 2048 bits or more");
	EVP_PKEY_free(aik);
	return ok && lab_verify_log(vs_buf_view(&r->log_bytes), &r->pcrs, anchors, &r->log, why);
}
