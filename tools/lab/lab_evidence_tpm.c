/* SPDX-License-Identifier: BSD-2-Clause */
/* Attestation key, quote, certified key. Layouts: TPM 2.0 Part 2, as in facts about the vTPM. */
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>

#include "lab/lab_evidence.h"
#include "lab/lab_evidence_priv.h"

enum {
	ALG_RSA = 0x0001,
	ALG_SHA256 = 0x000b,
	ALG_NULL = 0x0010,
	ALG_RSASSA = 0x0014,
	ST_QUOTE = 0x8018,
	ST_CERTIFY = 0x8017,
	A_FIXED_TPM = 1 << 1,
	A_FIXED_PARENT = 1 << 4,
	A_SENSITIVE_ORIGIN = 1 << 5,
	A_USER_WITH_AUTH = 1 << 6,
	A_RESTRICTED = 1 << 16,
	A_DECRYPT = 1 << 17,
	A_SIGN = 1 << 18,
};

bool
lab_read_public(struct vs_bytes b, struct lab_public *ret)
{
	struct vs_reader outer = vs_reader_of(b);
	const struct vs_bytes area = vs_get_2b(&outer);
	return vs_reader_done(&outer) && lab_read_public_area(area, ret);
}

bool
lab_read_public_area(struct vs_bytes area, struct lab_public *ret)
{
	struct vs_reader r = vs_reader_of(area);
	const uint16_t type = vs_get_be16(&r), name_alg = vs_get_be16(&r);
	ret->attributes = vs_get_be32(&r);
	ret->policy = vs_get_2b(&r);
	const uint16_t symmetric = vs_get_be16(&r);
	ret->scheme = vs_get_be16(&r);
	ret->scheme_hash = ret->scheme == ALG_NULL ? ALG_NULL : vs_get_be16(&r);
	const uint16_t bits = vs_get_be16(&r);
	const uint32_t exponent = vs_get_be32(&r);
	ret->n = vs_get_2b(&r);
	ret->name[0] = ALG_SHA256 >> 8;
	ret->name[1] = ALG_SHA256 & 0xff;
	SHA256(area.p, area.n, ret->name + 2);
	return vs_reader_done(&r) && type == ALG_RSA && name_alg == ALG_SHA256 &&
		symmetric == ALG_NULL && bits == 2048 && (exponent == 0 || exponent == 65537) &&
		ret->n.n == LAB_RSA_BYTES && (ret->n.p[0] & 0x80) &&
		(ret->n.p[LAB_RSA_BYTES - 1] & 1);
}

bool
lab_read_attest(struct vs_bytes b, struct lab_attest *ret)
{
	struct vs_reader r = vs_reader_of(b);
	ret->magic = vs_get_be32(&r);
	ret->type = vs_get_be16(&r);
	ret->signer = vs_get_2b(&r);
	ret->extra = vs_get_2b(&r); /* any, as AzureGuest has it */
	(void)vs_get_be64(&r); /* clock */
	(void)vs_get_be64(&r); /* resetCount, restartCount */
	(void)vs_get_u8(&r); /* safe */
	(void)vs_get_be64(&r); /* firmware version */
	ret->rest = r;
	return !r.bad;
}

bool
lab_signature_ok(EVP_PKEY *key, struct vs_bytes message, struct vs_bytes sig)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	EVP_PKEY_CTX *ctx = NULL;
	const bool ok = md && sig.n == LAB_RSA_BYTES &&
		EVP_DigestVerifyInit(md, &ctx, EVP_sha256(), NULL, key) == 1 &&
		EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1 &&
		EVP_DigestVerify(md, sig.p, sig.n, message.p, message.n) == 1;
	EVP_MD_CTX_free(md);
	ERR_clear_error();
	return ok;
}

bool
lab_chain_ok(X509 *leaf, X509 *anchor, X509 *const *extra, size_t n_extra, int64_t now, char *why,
	size_t why_size)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	STACK_OF(X509) *chain = sk_X509_new_null();
	bool ok = store && ctx && chain && X509_STORE_add_cert(store, anchor) == 1;
	for (size_t i = 0; ok && i < n_extra; i++)
		ok = sk_X509_push(chain, extra[i]) > 0;
	ok = ok && X509_STORE_CTX_init(ctx, store, leaf, chain) == 1;
	if (ok) {
		X509_STORE_CTX_set_time(ctx, 0, (time_t)now);
		(void)X509_STORE_CTX_set_purpose(ctx, X509_PURPOSE_ANY);
		ok = X509_verify_cert(ctx) == 1;
		snprintf(why, why_size, "%s",
			X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)));
	} else
		snprintf(why, why_size, "out of memory");
	sk_X509_free(chain);
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	ERR_clear_error();
	return ok;
}

bool
lab_is_aik_cert(X509 *cert)
{
	EXTENDED_KEY_USAGE *eku = X509_get_ext_d2i(cert, NID_ext_key_usage, NULL, NULL);
	bool found = false;
	for (int i = 0; eku && i < sk_ASN1_OBJECT_num(eku); i++) {
		char oid[40] = "";
		OBJ_obj2txt(oid, sizeof oid, sk_ASN1_OBJECT_value(eku, i), 1);
		found = found || strcmp(oid, "2.23.133.8.3") == 0;
	}
	sk_ASN1_OBJECT_pop_free(eku, ASN1_OBJECT_free);
	return found && X509_check_ca(cert) == 0 &&
		(X509_get_key_usage(cert) & KU_DIGITAL_SIGNATURE);
}

X509 *
lab_read_cert(struct vs_bytes b)
{
	const unsigned char *p = b.p;
	X509 *cert = b.n > 0 && b.n <= 8192 ? d2i_X509(NULL, &p, (long)b.n) : NULL;
	for (; cert && p < b.p + b.n; p++) {
		if (*p != 0) {
			X509_free(cert);
			cert = NULL;
		}
	}
	ERR_clear_error();
	return cert;
}

static bool
check_aik(const struct lab_tpm_evidence *ev, const struct lab_anchors *a, X509 *cert,
	struct lab_public *aik, struct lab_refusal *why)
{
	char reason[128] = "it cannot be parsed";
	if (!cert ||
		!lab_chain_ok(cert, a->vtpm_root, &a->vtpm_ca, 1, a->now, reason, sizeof reason))
		return lab_refuse(why, LAB_CHECK_AIK_CERT_CHAIN,
			"AikCert does not lead to the LAB virtual TPM root: %s", reason);
	if (!lab_is_aik_cert(cert))
		return lab_refuse(why, LAB_CHECK_AIK_CERT_CHAIN,
			"AikCert is not a certificate for an attestation key");
	if (!lab_read_public(vs_buf_view(&ev->aik_pub), aik))
		return lab_refuse(why, LAB_CHECK_AIK_PUB, "AikPub is not an RSA-2048 TPM2B_PUBLIC");
	BIGNUM *n = NULL;
	uint8_t cert_n[LAB_RSA_BYTES] = {0};
	EVP_PKEY *key = X509_get0_pubkey(cert);
	const bool same = key && EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA &&
		EVP_PKEY_get_bn_param(key, "n", &n) == 1 &&
		BN_bn2binpad(n, cert_n, LAB_RSA_BYTES) == LAB_RSA_BYTES &&
		memcmp(cert_n, aik->n.p, LAB_RSA_BYTES) == 0;
	BN_free(n);
	ERR_clear_error();
	if (!same)
		return lab_refuse(
			why, LAB_CHECK_AIK_CERT_KEY, "AikCert is for another key than AikPub");
	const uint32_t must =
		A_FIXED_TPM | A_FIXED_PARENT | A_SENSITIVE_ORIGIN | A_RESTRICTED | A_SIGN;
	if ((aik->attributes & must) != must || (aik->attributes & A_DECRYPT) ||
		aik->scheme != ALG_RSASSA || aik->scheme_hash != ALG_SHA256)
		return lab_refuse(why, LAB_CHECK_AIK_ATTRIBUTES,
			"AikPub is not a restricted RSASSA SHA-256 signing key (attributes 0x%08x)",
			aik->attributes);
	return true;
}

/* One selection, SHA-256, exactly the PCRs of the request; its bytes are what PolicyPCR hashes. */
static bool
check_selection(struct vs_reader *r, uint32_t mask, struct vs_bytes *raw, struct lab_refusal *why)
{
	const uint8_t *at = r->p;
	const uint32_t count = vs_get_be32(r);
	const uint16_t alg = vs_get_be16(r);
	const struct vs_bytes map = vs_get_bytes(r, vs_get_u8(r));
	if (r->bad || count != 1 || alg != ALG_SHA256 || map.n != 3)
		return lab_refuse(why, LAB_CHECK_QUOTE_SELECTION,
			"the quote does not select PCRs of the SHA-256 bank and nothing else");
	const uint32_t selected = map.p[0] | (uint32_t)map.p[1] << 8 | (uint32_t)map.p[2] << 16;
	if (selected != mask)
		return lab_refuse(why, LAB_CHECK_QUOTE_SELECTION,
			"the quote covers PCRs 0x%06x, PcrSet names 0x%06x", selected, mask);
	*raw = vs_bytes_of(at, (size_t)(r->p - at));
	return true;
}

static void
pcr_digest(const struct lab_pcrs *pcrs, uint8_t out[32])
{
	uint8_t all[LAB_PCRS * 32];
	size_t n = 0;
	for (size_t i = 0; i < LAB_PCRS; i++) {
		if (pcrs->mask & (1u << i)) {
			memcpy(all + n, pcrs->value[i], 32);
			n += 32;
		}
	}
	SHA256(all, n, out);
}

/*
 * The signer calls itself by its qualified name: a primary of the endorsement hierarchy with just
 * this public area. So the attributes in AikPub, which nobody signed, are those the TPM knows.
 */
static bool
signer_is(const struct lab_attest *a, const struct lab_public *aik)
{
	uint8_t text[4 + 34] = {0x40, 0x00, 0x00, 0x0b},
			 name[34] = {ALG_SHA256 >> 8, ALG_SHA256 & 0xff};
	memcpy(text + 4, aik->name, 34);
	SHA256(text, sizeof text, name + 2);
	return vs_bytes_eq(a->signer, vs_bytes_of(name, sizeof name));
}

static bool
check_quote(const struct lab_tpm_evidence *ev, EVP_PKEY *aik, const struct lab_public *aik_pub,
	struct vs_bytes *selection, struct lab_refusal *why)
{
	struct lab_attest q;
	uint8_t digest[32];
	const struct vs_bytes quote = vs_buf_view(&ev->quote);
	if (!lab_signature_ok(aik, quote, vs_buf_view(&ev->quote_sig)))
		return lab_refuse(why, LAB_CHECK_QUOTE_SIGNATURE,
			"PcrSignature is not a signature of AikPub over PcrQuote");
	if (!lab_read_attest(quote, &q) || q.magic != 0xff544347 || q.type != ST_QUOTE)
		return lab_refuse(why, LAB_CHECK_QUOTE_FORM,
			"PcrQuote is not a quote that a TPM made (magic 0x%08x, type 0x%04x)",
			q.magic, q.type);
	if (!signer_is(&q, aik_pub))
		return lab_refuse(why, LAB_CHECK_QUOTE_SIGNER,
			"PcrQuote was made by a key with other properties than AikPub claims");
	if (!check_selection(&q.rest, ev->pcrs.mask, selection, why))
		return false;
	const struct vs_bytes signed_digest = vs_get_2b(&q.rest);
	if (!vs_reader_done(&q.rest))
		return lab_refuse(why, LAB_CHECK_QUOTE_FORM, "PcrQuote is cut off or too long");
	pcr_digest(&ev->pcrs, digest);
	if (!vs_bytes_eq(signed_digest, vs_bytes_of(digest, 32)))
		return lab_refuse(why, LAB_CHECK_QUOTE_DIGEST,
			"the quoted PCR digest is not the digest of PCRs");
	return true;
}

static bool
check_certified(const struct lab_tpm_evidence *ev, EVP_PKEY *aik, struct lab_public *enc,
	struct lab_refusal *why)
{
	struct lab_attest c;
	const struct vs_bytes certify = vs_buf_view(&ev->certify);
	if (!lab_read_public(vs_buf_view(&ev->enc_pub), enc))
		return lab_refuse(
			why, LAB_CHECK_ENC_KEY_PUB, "EncKeyPub is not an RSA-2048 TPM2B_PUBLIC");
	if (!lab_signature_ok(aik, certify, vs_buf_view(&ev->certify_sig)))
		return lab_refuse(why, LAB_CHECK_CERTIFY_SIGNATURE,
			"EncKeyCertifyInfoSignature is not a signature of AikPub over "
			"EncKeyCertifyInfo");
	if (!lab_read_attest(certify, &c) || c.magic != 0xff544347 || c.type != ST_CERTIFY)
		return lab_refuse(why, LAB_CHECK_CERTIFY_FORM,
			"EncKeyCertifyInfo is not a certification that a TPM made (magic 0x%08x, "
			"type "
			"0x%04x)",
			c.magic, c.type);
	const struct vs_bytes name = vs_get_2b(&c.rest);
	(void)vs_get_2b(&c.rest);
	if (!vs_reader_done(&c.rest))
		return lab_refuse(
			why, LAB_CHECK_CERTIFY_FORM, "EncKeyCertifyInfo is cut off or too long");
	if (!vs_bytes_eq(name, vs_bytes_of(enc->name, sizeof enc->name)))
		return lab_refuse(why, LAB_CHECK_CERTIFY_NAME,
			"EncKeyCertifyInfo certifies another key than EncKeyPub");
	const uint32_t must = A_FIXED_TPM | A_FIXED_PARENT | A_SENSITIVE_ORIGIN | A_DECRYPT;
	const uint32_t never = A_USER_WITH_AUTH | A_RESTRICTED | A_SIGN;
	if ((enc->attributes & must) != must || (enc->attributes & never))
		return lab_refuse(why, LAB_CHECK_ENC_KEY_ATTRIBUTES,
			"EncKeyPub is not a decryption key that only this TPM and its policy can "
			"use "
			"(attributes 0x%08x)",
			enc->attributes);
	return true;
}

/* PolicyPCR over the quoted selection and digest, and nothing else. */
static bool
check_policy(const struct lab_public *enc, const struct lab_pcrs *pcrs, struct vs_bytes selection,
	struct lab_refusal *why)
{
	uint8_t text[32 + 4 + 10 + 32] = {0}, expected[32];
	text[34] = 0x01;
	text[35] = 0x7f;
	if (selection.n == 10)
		memcpy(text + 36, selection.p, 10);
	pcr_digest(pcrs, text + 46);
	SHA256(text, sizeof text, expected);
	if (selection.n != 10 || !vs_bytes_eq(enc->policy, vs_bytes_of(expected, 32)))
		return lab_refuse(why, LAB_CHECK_ENC_KEY_POLICY,
			"EncKeyPub can be used in another state than the quoted PCRs");
	return true;
}

bool
lab_verify_tpm(const struct lab_tpm_evidence *ev, const struct lab_anchors *anchors,
	uint8_t aik_n[LAB_RSA_BYTES], uint8_t enc_n[LAB_RSA_BYTES], struct lab_refusal *why)
{
	struct lab_public aik = {0}, enc = {0};
	struct vs_bytes selection = {0};
	X509 *cert = lab_read_cert(vs_buf_view(&ev->aik_cert));
	const bool ok = check_aik(ev, anchors, cert, &aik, why) &&
		check_quote(ev, X509_get0_pubkey(cert), &aik, &selection, why) &&
		check_certified(ev, X509_get0_pubkey(cert), &enc, why) &&
		check_policy(&enc, &ev->pcrs, selection, why);
	if (ok) {
		memcpy(aik_n, aik.n.p, LAB_RSA_BYTES);
		memcpy(enc_n, enc.n.p, LAB_RSA_BYTES);
	}
	X509_free(cert);
	return ok;
}
