/* SPDX-License-Identifier: BSD-2-Clause */
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "lab/lab.h"
#include "lab/lab_pki.h"

static bool
add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	const bool ok = ext != NULL && X509_add_ext(cert, ext, -1) == 1;
	X509_EXTENSION_free(ext);
	return ok;
}

static bool
set_serial(X509 *cert)
{
	uint8_t bytes[16] = {0};
	if (vs_failed(lab_random(bytes, sizeof(bytes), NULL)))
		return false;
	bytes[0] = (uint8_t)((bytes[0] & 0x7f) | 0x40);
	BIGNUM *bn = BN_bin2bn(bytes, sizeof(bytes), NULL);
	const bool ok = bn != NULL && BN_to_ASN1_INTEGER(bn, X509_get_serialNumber(cert)) != NULL;
	BN_free(bn);
	return ok;
}

static bool
set_name(X509 *cert, const char *cn)
{
	X509_NAME *name = X509_get_subject_name(cert);
	return X509_NAME_add_entry_by_txt(
		       name, "O", MBSTRING_ASC, (const uint8_t *)"Vouchsafe LAB", -1, -1, 0) == 1 &&
		X509_NAME_add_entry_by_txt(
			name, "CN", MBSTRING_UTF8, (const uint8_t *)cn, -1, -1, 0) == 1;
}

static bool
set_extensions(X509 *cert, X509 *issuer, const struct lab_cert_spec *spec)
{
	bool ok = add_extension(cert, issuer, NID_subject_key_identifier, "hash") &&
		add_extension(cert, issuer, NID_authority_key_identifier, "keyid");
	if (spec->ca)
		return ok &&
			add_extension(cert, issuer, NID_basic_constraints, "critical,CA:TRUE") &&
			add_extension(cert, issuer, NID_key_usage, "critical,keyCertSign,cRLSign");
	ok = ok && add_extension(cert, issuer, NID_basic_constraints, "critical,CA:FALSE");
	if (spec->san == NULL)
		return ok &&
			add_extension(cert, issuer, NID_key_usage, "critical,digitalSignature");
	return ok &&
		add_extension(
			cert, issuer, NID_key_usage, "critical,digitalSignature,keyEncipherment") &&
		add_extension(cert, issuer, NID_ext_key_usage, "serverAuth,clientAuth") &&
		add_extension(cert, issuer, NID_subject_alt_name, spec->san);
}

static bool
fill(X509 *cert, const struct lab_cert_spec *spec)
{
	X509 *issuer = spec->issuer != NULL ? spec->issuer : cert;
	EVP_PKEY *signer = spec->issuer_key != NULL ? spec->issuer_key : spec->subject_key;
	return X509_set_version(cert, X509_VERSION_3) == 1 && set_serial(cert) &&
		X509_gmtime_adj(X509_getm_notBefore(cert), (long)spec->not_before_s) != NULL &&
		X509_gmtime_adj(X509_getm_notAfter(cert), (long)spec->not_after_s) != NULL &&
		X509_set_pubkey(cert, spec->subject_key) == 1 && set_name(cert, spec->cn) &&
		X509_set_issuer_name(cert, X509_get_subject_name(issuer)) == 1 &&
		set_extensions(cert, issuer, spec) && X509_sign(cert, signer, EVP_sha256()) > 0;
}

VS_RC
lab_cert_make(const struct lab_cert_spec *spec, X509 **ret, struct vs_err *err)
{
	X509 *cert = X509_new();
	if (cert == NULL || !fill(cert, spec)) {
		X509_free(cert);
		VS_FAIL(err, CRYPTO, "the lab's certificate for %s could not be made", spec->cn);
	}
	*ret = cert;
	return VS_OK;
}

static VS_RC
take_bio(BIO *bio, bool ok, struct vs_buf *out, struct vs_err *err)
{
	char *p = NULL;
	const long n = bio != NULL && ok ? BIO_get_mem_data(bio, &p) : 0;
	vs_rc rc = VS_OK;
	if (n > 0)
		rc = vs_buf_add(out, p, (size_t)n, err);
	(void)BIO_free(bio);
	if (n <= 0)
		VS_FAIL(err, CRYPTO, "PEM could not be written");
	return rc;
}

VS_RC
lab_cert_pem(X509 *cert, struct vs_buf *out, struct vs_err *err)
{
	BIO *bio = BIO_new(BIO_s_mem());
	return take_bio(bio, bio != NULL && PEM_write_bio_X509(bio, cert) == 1, out, err);
}

VS_RC
lab_key_pem(EVP_PKEY *key, struct vs_buf *out, struct vs_err *err)
{
	BIO *bio = BIO_new(BIO_s_mem());
	const bool ok = bio != NULL &&
		PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1;
	return take_bio(bio, ok, out, err);
}

VS_RC
lab_cert_hash(X509 *cert, const char *md, struct vs_buf *out, struct vs_err *err)
{
	uint8_t hash[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	if (X509_digest(cert, EVP_get_digestbyname(md), hash, &n) != 1)
		VS_FAIL(err, CRYPTO, "a certificate could not be hashed");
	return vs_buf_add(out, hash, n, err);
}
