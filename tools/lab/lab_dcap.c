/* SPDX-License-Identifier: BSD-2-Clause */
#include "lab/lab_dcap.h"

#include <string.h>
#include <time.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509_vfy.h>

#include "base/codec.h"

enum {
	HEADER = 48,
	P256_SIG = 64,
	P256_KEY = 64,
	QE_REPORT = 384,
	AUTH_MAX = 1024,
	CERTS = 3,
	TEE_TDX = 0x81,
	DATA_QE_REPORT = 6,
	DATA_PCK_CHAIN = 5,
};

/* Two certificates exist for this key, so the key is what is trusted. */
static const char intel_root[] =
	"040ba9c4c0c0c86193a3fe23d6b02cda10a8bbd4e88e48b4458561a36e705525f5"
	"67918e2edc88e40d860bd0cc4ee26aacc988e505a953558c453f6b0904ae7394";
static const char qe_signer_sgx[] =
	"8c4f5775d796503e96137f77c68a829a0056ac8ded70140b081b094490c57bff";
static const char qe_signer_tdx[] =
	"dc9e2a7c6f948f17474e34a7fc43ed030f7c1563f1babddf6340c82e0e54a8c5";
static const char intel_vendor[] = "939a7233f79c4ca9940a0db3957f0607";

/* A quote taken apart; views into the caller's bytes. */
struct parts {
	struct vs_bytes signed_part, sig, key, qe_report, qe_sig, auth, chain;
};

struct reader {
	const uint8_t *p;
	size_t left;
	bool bad;
};

static struct vs_bytes
take(struct reader *r, size_t n)
{
	if (r->bad || n > r->left) {
		r->bad = true;
		return vs_bytes_of(NULL, 0);
	}
	const struct vs_bytes b = vs_bytes_of(r->p, n);
	r->p += n;
	r->left -= n;
	return b;
}

static uint32_t
take_le(struct reader *r, size_t n)
{
	const struct vs_bytes b = take(r, n);
	uint32_t v = 0;
	for (size_t i = 0; i < b.n; i++)
		v |= (uint32_t)b.p[i] << (8 * i);
	return v;
}

/* Where the report of a domain stands and how long it is; version 5 says it itself. */
static bool
take_body(struct reader *r, struct lab_quote *q)
{
	size_t n = q->tdx ? LAB_TD_BODY : LAB_SGX_BODY;
	if (q->version == 5) {
		const uint32_t type = take_le(r, 2), said = take_le(r, 4);
		n = type == 3 ? LAB_TD15_BODY : type == 2 ? LAB_TD_BODY : 0;
		if (n == 0 || said != n)
			return false;
	}
	q->body = take(r, n);
	return !r->bad;
}

static bool
take_signature(struct reader *r, bool tdx, struct parts *p)
{
	struct reader s = {0};
	const struct vs_bytes data = take(r, take_le(r, 4));
	s.p = data.p;
	s.left = data.n;
	p->sig = take(&s, P256_SIG);
	p->key = take(&s, P256_KEY);
	if (tdx) {
		if (take_le(&s, 2) != DATA_QE_REPORT || take_le(&s, 4) != s.left)
			return false;
	}
	p->qe_report = take(&s, QE_REPORT);
	p->qe_sig = take(&s, P256_SIG);
	const uint32_t n_auth = take_le(&s, 2);
	p->auth = take(&s, n_auth <= AUTH_MAX ? n_auth : SIZE_MAX);
	if (take_le(&s, 2) != DATA_PCK_CHAIN)
		return false;
	p->chain = take(&s, take_le(&s, 4));
	return !r->bad && !s.bad && s.left == 0;
}

static bool
is_hex(const uint8_t *p, size_t n, const char *want)
{
	char hex[2 * 32 + 1];
	vs_hex_str(p, n, hex, sizeof(hex));
	return strcmp(hex, want) == 0;
}

static bool
take_apart(struct vs_bytes quote, struct lab_quote *q, struct parts *p)
{
	struct reader r = {.p = quote.p, .left = quote.n};
	const uint32_t version = take_le(&r, 2), key_type = take_le(&r, 2), tee = take_le(&r, 4);
	take(&r, 4);
	const struct vs_bytes vendor = take(&r, 16);
	take(&r, 20);
	if (r.bad || key_type != 2 || !is_hex(vendor.p, 16, intel_vendor))
		return false;
	q->version = version;
	q->tdx = version >= 4;
	/* In version 3 the four bytes are reserved. */
	if (version < 3 || version > 5 || tee != (q->tdx ? (uint32_t)TEE_TDX : 0))
		return false;
	if (!take_body(&r, q))
		return false;
	p->signed_part = vs_bytes_of(quote.p, quote.n - r.left);
	if (!take_signature(&r, q->tdx, p))
		return false;
	/* Domains hand out quotes in a buffer of fixed size. */
	for (size_t i = 0; i < r.left; i++)
		if (r.p[i] != 0)
			return false;
	return q->tdx || r.left == 0;
}

/* ---- signatures ----------------------------------------------------------------------------- */

static EVP_PKEY *
p256_of(const uint8_t xy[P256_KEY])
{
	uint8_t point[1 + P256_KEY] = {4};
	EVP_PKEY *key = NULL;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	char group[] = "P-256";
	memcpy(point + 1, xy, P256_KEY);
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)),
		OSSL_PARAM_construct_end()};
	if (ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
		EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	return key;
}

/* r and s big endian, as the quoting enclave writes them. */
static bool
ecdsa_ok(EVP_PKEY *key, struct vs_bytes data, struct vs_bytes sig)
{
	ECDSA_SIG *es = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(sig.p, 32, NULL), *s = BN_bin2bn(sig.p + 32, 32, NULL);
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	unsigned char *der = NULL;
	bool ok = false;
	if (key != NULL && es != NULL && r != NULL && s != NULL && md != NULL &&
		ECDSA_SIG_set0(es, r, s) == 1) {
		r = s = NULL;
		const int n = i2d_ECDSA_SIG(es, &der);
		ok = n > 0 && EVP_DigestVerifyInit(md, NULL, EVP_sha256(), NULL, key) == 1 &&
			EVP_DigestVerify(md, der, (size_t)n, data.p, data.n) == 1;
	}
	OPENSSL_free(der);
	BN_free(r);
	BN_free(s);
	ECDSA_SIG_free(es);
	EVP_MD_CTX_free(md);
	ERR_clear_error();
	return ok;
}

/* ---- certificates --------------------------------------------------------------------------- */

static size_t
read_certs(struct vs_bytes pem, X509 *certs[CERTS])
{
	size_t n = 0;
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	while (bio != NULL && n < CERTS &&
		(certs[n] = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
		n++;
	BIO_free(bio);
	ERR_clear_error();
	return n;
}

static bool
is_intel_root(X509 *cert)
{
	uint8_t point[65];
	size_t n = 0;
	char hex[131] = "";
	EVP_PKEY *key = X509_get0_pubkey(cert);
	if (key == NULL || EVP_PKEY_get_base_id(key) != EVP_PKEY_EC ||
		EVP_PKEY_get_octet_string_param(
			key, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point), &n) != 1 ||
		n != sizeof(point))
		return false;
	vs_hex_str(point, n, hex, sizeof(hex));
	return strcmp(hex, intel_root) == 0;
}

static bool
chain_verifies(X509 *const certs[CERTS])
{
	struct tm tm = {0};
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	STACK_OF(X509) *between = sk_X509_new_null();
	bool ok = false;
	if (store != NULL && ctx != NULL && between != NULL &&
		sk_X509_push(between, certs[1]) > 0 && X509_STORE_add_cert(store, certs[2]) == 1 &&
		ASN1_TIME_to_tm(X509_get0_notBefore(certs[0]), &tm) == 1 &&
		X509_STORE_CTX_init(ctx, store, certs[0], between) == 1) {
		X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_CHECK_SS_SIGNATURE);
		X509_STORE_CTX_set_time(ctx, 0, timegm(&tm) + 1);
		ok = X509_verify_cert(ctx) == 1;
	}
	sk_X509_free(between);
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	ERR_clear_error();
	return ok;
}

static bool
check_chain(struct vs_bytes pem, EVP_PKEY **pck, struct lab_refusal *why)
{
	X509 *certs[CERTS] = {NULL};
	char cn[64] = "";
	const size_t n = read_certs(pem, certs);
	if (n > 0)
		X509_NAME_get_text_by_NID(
			X509_get_subject_name(certs[0]), NID_commonName, cn, sizeof(cn));
	const bool ok = n == CERTS && is_intel_root(certs[2]) && chain_verifies(certs) &&
		strcmp(cn, "Intel SGX PCK Certificate") == 0;
	if (ok)
		*pck = X509_get_pubkey(certs[0]);
	for (size_t i = 0; i < n; i++)
		X509_free(certs[i]);
	return ok ||
		lab_refuse(why, LAB_CHECK_PCK_CHAIN,
			"the quote's certificates do not lead from a platform to Intel's root");
}

static bool
check_qe(const struct parts *p, bool tdx, struct lab_refusal *why)
{
	uint8_t want[64] = {0};
	const uint8_t *report = p->qe_report.p;
	uint8_t both[P256_KEY + AUTH_MAX];
	const unsigned product = report[256] | (unsigned)report[257] << 8;
	if (!is_hex(report + 128, 32, tdx ? qe_signer_tdx : qe_signer_sgx) ||
		product != (tdx ? 2u : 1u) || (report[48] & 2) != 0)
		return lab_refuse(why, LAB_CHECK_QE_IDENTITY,
			"the report is not one of Intel's quoting enclave");
	memcpy(both, p->key.p, p->key.n);
	if (p->auth.n > 0)
		memcpy(both + p->key.n, p->auth.p, p->auth.n);
	SHA256(both, p->key.n + p->auth.n, want);
	if (memcmp(want, report + 320, sizeof(want)) != 0)
		return lab_refuse(why, LAB_CHECK_QE_BINDING,
			"the quoting enclave does not vouch for the key that signed");
	return true;
}

bool
lab_dcap_verify(struct vs_bytes quote, struct lab_quote *ret, struct lab_refusal *why)
{
	struct parts p = {0};
	EVP_PKEY *pck = NULL;
	*ret = (struct lab_quote){0};
	if (quote.n > LAB_QUOTE_MAX || !take_apart(quote, ret, &p))
		return lab_refuse(why, LAB_CHECK_DCAP_FORM,
			"this is no quote of version 3, 4 or 5 with a certificate chain");
	if (!check_chain(p.chain, &pck, why))
		return false;
	const bool reported = ecdsa_ok(pck, p.qe_report, p.qe_sig);
	EVP_PKEY_free(pck);
	if (!reported)
		return lab_refuse(why, LAB_CHECK_QE_SIGNATURE,
			"the platform's key did not sign the quoting enclave's report");
	if (!check_qe(&p, ret->tdx, why))
		return false;
	EVP_PKEY *key = p256_of(p.key.p);
	const bool quoted = ecdsa_ok(key, p.signed_part, p.sig);
	EVP_PKEY_free(key);
	return quoted ||
		lab_refuse(why, LAB_CHECK_DCAP_SIGNATURE, "the quote's signature does not verify");
}
