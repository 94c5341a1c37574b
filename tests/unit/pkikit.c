/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/pkikit.h"

#include "unit/unit.h"

#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

enum { YEAR = 365 * 86400, DAY = 86400 };

static void
add_ext(X509 *x, const X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509V3_set_ctx(&ctx, (X509 *)(uintptr_t)issuer, x, NULL, NULL, 0);
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert_non_null(e);
	assert_int_equal(X509_add_ext(x, e, -1), 1);
	X509_EXTENSION_free(e);
}

struct pki
pki_make(const struct pki_cert *c)
{
	struct pki p = {.x = X509_new()};
	struct vs_err err = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf der = {0};
	p.key = c->rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
	assert_non_null(p.key);
	const struct pki *by = c->issuer != NULL ? c->issuer : &p;
	assert_int_equal(X509_set_version(p.x, X509_VERSION_3), 1);
	assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(p.x), c->serial), 1);
	assert_non_null(ASN1_TIME_set(X509_getm_notBefore(p.x), PKI_AT - YEAR));
	assert_non_null(ASN1_TIME_set(X509_getm_notAfter(p.x), PKI_AT + YEAR));
	X509_NAME *name = X509_get_subject_name(p.x);
	assert_int_equal(X509_NAME_add_entry_by_txt(
				 name, "CN", MBSTRING_ASC, (const unsigned char *)c->cn, -1, -1, 0),
		1);
	assert_int_equal(X509_set_issuer_name(p.x, X509_get_subject_name(by->x)), 1);
	assert_int_equal(X509_set_pubkey(p.x, p.key), 1);
	add_ext(p.x, by->x, NID_basic_constraints, c->ca ? "critical,CA:TRUE" : "CA:FALSE");
	if (c->ca || c->key_usage != NULL)
		add_ext(p.x, by->x, NID_key_usage,
			c->key_usage != NULL ? c->key_usage : "critical,keyCertSign,cRLSign");
	if (c->eku != NULL)
		add_ext(p.x, by->x, NID_ext_key_usage, c->eku);
	if (c->ski != NULL)
		add_ext(p.x, by->x, NID_subject_key_identifier, c->ski);
	assert_true(X509_sign(p.x, by->key, EVP_sha256()) > 0);
	pki_der(&p, &der);
	assert_ok(vs_ev_cert_der(vs_buf_view(&der), &p.cert, &err), &err);
	return p;
}

void
pki_done(struct pki *p)
{
	X509_free(p->x);
	EVP_PKEY_free(p->key);
	vs_ev_cert_free(p->cert);
	*p = (struct pki){.x = NULL};
}

void
pki_der(const struct pki *p, struct vs_buf *out)
{
	unsigned char *der = NULL;
	struct vs_err err = {0};
	const int n = i2d_X509(p->x, &der);
	assert_true(n > 0);
	assert_ok(vs_buf_add(out, der, (size_t)n, &err), &err);
	OPENSSL_free(der);
}

static void
add_crl_ext(X509_CRL *x, int nid, const char *oid, bool critical)
{
	static const unsigned char number[] = {2, 1, 1};
	ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
	ASN1_OBJECT *o = oid != NULL ? OBJ_txt2obj(oid, 1) : OBJ_nid2obj(nid);
	assert_int_equal(ASN1_OCTET_STRING_set(value, number, sizeof number), 1);
	X509_EXTENSION *e = X509_EXTENSION_create_by_OBJ(NULL, o, critical, value);
	assert_non_null(e);
	assert_int_equal(X509_CRL_add_ext(x, e, -1), 1);
	X509_EXTENSION_free(e);
	ASN1_OCTET_STRING_free(value);
	if (oid != NULL)
		ASN1_OBJECT_free(o);
}

static void
sign_crl(const struct pki_crl *c, X509_CRL *x)
{
	EVP_PKEY *key = c->sign_with != NULL ? c->sign_with : c->issuer->key;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx = NULL;
	const EVP_MD *md = c->pss ? EVP_sha384() : EVP_sha256();
	assert_int_equal(EVP_DigestSignInit(ctx, &pctx, c->md != NULL ? c->md : md, NULL, key), 1);
	if (c->pss) {
		assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING), 1);
		assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, 48), 1);
	}
	assert_true(X509_CRL_sign_ctx(x, ctx) > 0);
	EVP_MD_CTX_free(ctx);
}

static X509_CRL *
new_crl(const struct pki_crl *c)
{
	X509_CRL *x = X509_CRL_new();
	const time_t at = c->at != 0 ? (time_t)c->at : PKI_AT;
	const bool usual = c->from == 0 && c->until == 0;
	ASN1_TIME *t = ASN1_TIME_set(NULL, at + (usual ? -DAY : c->from));
	assert_int_equal(X509_CRL_set_version(x, X509_CRL_VERSION_2), 1);
	assert_int_equal(X509_CRL_set_issuer_name(x, X509_get_subject_name(c->issuer->x)), 1);
	assert_int_equal(X509_CRL_set1_lastUpdate(x, t), 1);
	for (size_t i = 0; i < 4 && c->serials[i] != 0; i++) {
		X509_REVOKED *r = X509_REVOKED_new();
		ASN1_INTEGER *serial = ASN1_INTEGER_new();
		assert_int_equal(ASN1_INTEGER_set(serial, c->serials[i]), 1);
		assert_int_equal(X509_REVOKED_set_serialNumber(r, serial), 1);
		assert_int_equal(X509_REVOKED_set_revocationDate(r, t), 1);
		assert_int_equal(X509_CRL_add0_revoked(x, r), 1);
		ASN1_INTEGER_free(serial);
	}
	assert_non_null(ASN1_TIME_set(t, at + (usual ? DAY : c->until)));
	if (!c->no_until)
		assert_int_equal(X509_CRL_set1_nextUpdate(x, t), 1);
	ASN1_TIME_free(t);
	if (c->idp)
		add_crl_ext(x, NID_issuing_distribution_point, NULL, true);
	if (c->delta)
		add_crl_ext(x, NID_delta_crl, NULL, true);
	if (c->unknown)
		add_crl_ext(x, 0, "1.2.3.4.5", true);
	assert_int_equal(X509_CRL_sort(x), 1);
	sign_crl(c, x);
	return x;
}

void
pki_crl(const struct pki_crl *c, struct vs_buf *out)
{
	X509_CRL *x = new_crl(c);
	BIO *bio = BIO_new(BIO_s_mem());
	char *p = NULL;
	struct vs_err err = {0};
	assert_int_equal(c->pem ? PEM_write_bio_X509_CRL(bio, x) : i2d_X509_CRL_bio(bio, x), 1);
	const long n = BIO_get_mem_data(bio, &p);
	assert_ok(vs_buf_set(out, p, (size_t)n, &err), &err);
	BIO_free(bio);
	X509_CRL_free(x);
}

void
pki_add_crl(const struct pki_crl *c, struct vs_ev_crls *to)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf b = {0};
	struct vs_err err = {0};
	pki_crl(c, &b);
	assert_ok(vs_ev_crls_add(to, vs_buf_view(&b), &err), &err);
}
