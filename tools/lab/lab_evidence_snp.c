/* SPDX-License-Identifier: BSD-2-Clause */
/* The hardware report: who signed it, about which chip and firmware, over which claims. */
#include <string.h>

#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>

#include "lab/lab_evidence.h"

enum { SNP_SIZE = 1184, SNP_SIGNED = 0x2a0, SNP_CHAIN_MAX = 4 };

struct certs {
	size_t n;
	X509 *cert[SNP_CHAIN_MAX];
};

static void
certs_done(struct certs *c)
{
	for (size_t i = 0; i < c->n; i++)
		X509_free(c->cert[i]);
}

/* One block at the head of the text; NULL when there is something else. */
static X509 *
next_cert(struct vs_bytes *pem)
{
	static const char begin[] = "-----BEGIN CERTIFICATE-----",
			  end[] = "-----END CERTIFICATE-----";
	while (pem->n > 0 && strchr(" \t\r\n", pem->p[0]) && pem->p[0] != '\0')
		*pem = vs_bytes_of(pem->p + 1, pem->n - 1);
	const uint8_t *tail = memmem(pem->p, pem->n, end, sizeof end - 1);
	if (!tail || memcmp(pem->p, begin, sizeof begin - 1) != 0)
		return NULL;
	const size_t n = (size_t)(tail - pem->p) + sizeof end - 1;
	/* base64 ends at a dash, so the next block would be passed over silently */
	if (memchr(pem->p + sizeof begin - 1, '-', n - (sizeof begin - 1) - (sizeof end - 1)))
		return NULL;
	BIO *bio = BIO_new_mem_buf(pem->p, (int)n);
	X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
	BIO_free(bio);
	*pem = vs_bytes_of(pem->p + n, pem->n - n);
	return cert;
}

/* VCEK first, then what stands between it and the root. More than a few is nonsense. */
static bool
read_chain(struct vs_bytes pem, struct certs *ret)
{
	X509 *cert = NULL;
	if (pem.n > 65536)
		return false;
	while (ret->n < SNP_CHAIN_MAX && (cert = next_cert(&pem)))
		ret->cert[ret->n++] = cert;
	ERR_clear_error();
	return ret->n >= 2 && pem.n == 0;
}

/* RSA-PSS with SHA-384, as the processor vendor signs. */
static bool
pss_sha384(X509 *cert)
{
	int md = 0, pk = 0;
	return X509_get_signature_info(cert, &md, &pk, NULL, NULL) == 1 && md == NID_sha384 &&
		pk == EVP_PKEY_RSA_PSS;
}

static bool
check_chain(const struct certs *c, const struct lab_anchors *a, struct lab_refusal *why)
{
	char reason[128] = "";
	char curve[32] = "";
	X509 *vcek = c->cert[0];
	if (!lab_chain_ok(vcek, a->ark, c->cert + 1, c->n - 1, a->now, reason, sizeof reason))
		return lab_refuse(why, LAB_CHECK_VCEK_CHAIN,
			"VcekCertChain does not lead to the LAB processor root: %s", reason);
	/* A root may come along, but it must be the one that is trusted anyway. */
	for (size_t i = 2; i < c->n; i++)
		if (X509_cmp(c->cert[i], a->ark) != 0)
			return lab_refuse(why, LAB_CHECK_VCEK_CHAIN,
				"VcekCertChain has a certificate that belongs to no chain");
	EVP_PKEY *key = X509_get0_pubkey(vcek);
	char cn[32] = "";
	X509_NAME_get_text_by_NID(X509_get_subject_name(vcek), NID_commonName, cn, sizeof cn);
	if (!pss_sha384(vcek) || !key || EVP_PKEY_get_base_id(key) != EVP_PKEY_EC ||
		EVP_PKEY_get_utf8_string_param(key, "group", curve, sizeof curve, NULL) != 1 ||
		strcmp(curve, "secp384r1") != 0 || strcmp(cn, "SEV-VCEK") != 0)
		return lab_refuse(
			why, LAB_CHECK_VCEK_CHAIN, "VcekCertChain does not begin with a VCEK");
	return true;
}

static bool
report_signature_ok(const uint8_t *report, EVP_PKEY *key)
{
	BIGNUM *r = BN_lebin2bn(report + 0x2a0, 72, NULL),
	       *s = BN_lebin2bn(report + 0x2e8, 72, NULL);
	ECDSA_SIG *sig = ECDSA_SIG_new();
	unsigned char *der = NULL;
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	bool ok = false;
	if (r && s && sig && md && ECDSA_SIG_set0(sig, r, s) == 1) {
		r = s = NULL;
		const int n = i2d_ECDSA_SIG(sig, &der);
		ok = n > 0 && EVP_DigestVerifyInit(md, NULL, EVP_sha384(), NULL, key) == 1 &&
			EVP_DigestVerify(md, der, (size_t)n, report, SNP_SIGNED) == 1;
	}
	OPENSSL_free(der);
	EVP_MD_CTX_free(md);
	ECDSA_SIG_free(sig);
	BN_free(r);
	BN_free(s);
	ERR_clear_error();
	return ok;
}

static uint32_t
le32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static bool
check_form(struct vs_bytes report, struct lab_refusal *why)
{
	const uint8_t *p = report.p;
	if (report.n != SNP_SIZE)
		return lab_refuse(why, LAB_CHECK_REPORT_FORM, "SnpReport has %zu bytes", report.n);
	if (le32(p) < 2 || le32(p) > 5 || le32(p + 0x34) != 1 || (le32(p + 0x48) & 0x1e) != 0)
		return lab_refuse(why, LAB_CHECK_REPORT_FORM,
			"SnpReport has version %u, algorithm %u, key info 0x%x", le32(p),
			le32(p + 0x34), le32(p + 0x48));
	for (size_t i = 0x330; i < SNP_SIZE; i++) {
		if (p[i] != 0)
			return lab_refuse(why, LAB_CHECK_REPORT_FORM,
				"SnpReport has something behind its signature");
	}
	if (le32(p) >= 3 && p[0x188] != 0x19)
		return lab_refuse(why, LAB_CHECK_REPORT_FORM,
			"SnpReport is of a processor family 0x%02x that this service does not know",
			p[0x188]);
	return true;
}

static struct vs_bytes
find_ext(X509 *cert, const char *oid)
{
	ASN1_OBJECT *obj = OBJ_txt2obj(oid, 1);
	const int at = obj ? X509_get_ext_by_OBJ(cert, obj, -1) : -1;
	ASN1_OBJECT_free(obj);
	if (at < 0)
		return vs_bytes_of(NULL, 0);
	const ASN1_OCTET_STRING *v = X509_EXTENSION_get_data(X509_get_ext(cert, at));
	return vs_bytes_of(ASN1_STRING_get0_data(v), (size_t)ASN1_STRING_length(v));
}

/* DER INTEGER 0..255. */
static int
ext_number(X509 *cert, const char *oid)
{
	const struct vs_bytes v = find_ext(cert, oid);
	if (v.n == 3 && v.p[0] == 2 && v.p[1] == 1 && v.p[2] < 0x80)
		return v.p[2];
	if (v.n == 4 && v.p[0] == 2 && v.p[1] == 2 && v.p[2] == 0 && v.p[3] >= 0x80)
		return v.p[3];
	return -1;
}

static bool
check_identity(const uint8_t *report, X509 *vcek, struct lab_refusal *why)
{
	struct vs_bytes hwid = find_ext(vcek, "1.3.6.1.4.1.3704.1.4");
	if (hwid.n == 66 && hwid.p[0] == 4 && hwid.p[1] == 64)
		hwid = vs_bytes_of(hwid.p + 2, 64);
	if (!vs_bytes_eq(hwid, vs_bytes_of(report + 0x1a0, 64)))
		return lab_refuse(
			why, LAB_CHECK_CHIP_ID, "the VCEK is for another chip than SnpReport");
	static const struct {
		const char *oid;
		size_t at;
	} parts[] = {
		{"1.3.6.1.4.1.3704.1.3.1", 0},
		{"1.3.6.1.4.1.3704.1.3.2", 1},
		{"1.3.6.1.4.1.3704.1.3.3", 6},
		{"1.3.6.1.4.1.3704.1.3.8", 7},
	};
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		const uint8_t reported = report[0x180 + parts[i].at];
		if (ext_number(vcek, parts[i].oid) != reported)
			return lab_refuse(why, LAB_CHECK_TCB,
				"the VCEK is for another firmware level than SnpReport reports");
		if (reported > report[0x38 + parts[i].at] ||
			report[0x1e0 + parts[i].at] > report[0x38 + parts[i].at])
			return lab_refuse(why, LAB_CHECK_TCB,
				"SnpReport reports or commits to newer firmware than is running");
	}
	return true;
}

static bool
check_data(const uint8_t *report, struct vs_bytes runtime, struct lab_refusal *why)
{
	uint8_t expected[64] = {0};
	if (!runtime.p)
		return true;
	SHA256(runtime.p, runtime.n, expected);
	if (memcmp(report + 0x50, expected, 64) != 0)
		return lab_refuse(why, LAB_CHECK_REPORT_DATA,
			"the report data of SnpReport is not the SHA-256 of RunTimeData");
	return true;
}

bool
lab_verify_snp(struct vs_bytes report, struct vs_bytes chain_pem, struct vs_bytes runtime,
	const struct lab_anchors *a, bool *compliant, struct lab_refusal *why)
{
	struct certs certs = {0};
	bool ok = read_chain(chain_pem, &certs) ||
		lab_refuse(why, LAB_CHECK_VCEK_CHAIN, "VcekCertChain has no chain of certificates");
	ok = ok && check_chain(&certs, a, why) && check_form(report, why);
	if (ok && !report_signature_ok(report.p, X509_get0_pubkey(certs.cert[0])))
		ok = lab_refuse(why, LAB_CHECK_REPORT_SIGNATURE,
			"SnpReport is not signed by the key of the VCEK");
	ok = ok && check_identity(report.p, certs.cert[0], why) &&
		check_data(report.p, runtime, why);
	if (ok)
		*compliant = memcmp(report.p + 0x90, a->measurement, 48) == 0 &&
			memcmp(report.p + 0xe0, a->id_key_digest, 48) == 0 &&
			le32(report.p + 0x30) == 0 && !(report.p[0x0a] & 0x0c);
	certs_done(&certs);
	return ok;
}
