/* SPDX-License-Identifier: BSD-2-Clause */
#include "evidence/ev_cert.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/asn1t.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/codec.h"
#include "evidence/ev_cert_impl.h"
#include "evidence/ev_crypto.h"

enum { PEM_MAX = 256 * 1024 };

static vs_rc
wrap(X509 *x, struct vs_ev_cert **ret, struct vs_err *err)
{
	struct vs_ev_cert *cert = calloc(1, sizeof *cert);
	EVP_PKEY *key = X509_get0_pubkey(x);
	if (cert == NULL || key == NULL) {
		free(cert);
		X509_free(x);
		ERR_clear_error();
		VS_FAIL(err, FORMAT, "a certificate has a key that cannot be used");
	}
	*cert = (struct vs_ev_cert){.x = x, .key = key};
	*ret = cert;
	return VS_OK;
}

vs_rc
vs_ev_cert_der(struct vs_bytes der, struct vs_ev_cert **ret, struct vs_err *err)
{
	if (vs_ev_libctx() == NULL)
		VS_FAIL(err, CRYPTO, "libcrypto cannot be used for verifying evidence");
	if (der.n == 0 || der.n > VS_EV_CERT_DER_MAX)
		VS_FAIL(err, FORMAT, "a certificate of %zu bytes", der.n);
	const uint8_t *p = der.p;
	X509 *x = X509_new_ex(vs_ev_libctx(), NULL);
	if (x == NULL)
		VS_FAIL(err, MEMORY, "no memory for a certificate");
	if (d2i_X509(&x, &p, (long)der.n) == NULL || p != der.p + der.n) {
		X509_free(x);
		ERR_clear_error();
		VS_FAIL(err, FORMAT,
			"a certificate is not readable (DER), or something stands behind it");
	}
	return wrap(x, ret, err);
}

void
vs_ev_cert_free(struct vs_ev_cert *cert)
{
	if (cert == NULL)
		return;
	X509_free(cert->x);
	free(cert);
}

void
vs_ev_cert_freep(struct vs_ev_cert **cert)
{
	vs_ev_cert_free(*cert);
}

vs_rc
vs_ev_certs_add(struct vs_ev_certs *certs, struct vs_ev_cert *cert, struct vs_err *err)
{
	if (certs->n == VS_EV_CERTS_MAX) {
		vs_ev_cert_free(cert);
		VS_FAIL(err, LIMIT, "more than %d certificates", VS_EV_CERTS_MAX);
	}
	certs->v[certs->n++] = cert;
	return VS_OK;
}

void
vs_ev_certs_done(struct vs_ev_certs *certs)
{
	for (size_t i = 0; i < certs->n; i++)
		vs_ev_cert_free(certs->v[i]);
	certs->n = 0;
}

static void
bio_done(BIO **bio)
{
	BIO_free(*bio);
}

vs_rc
vs_ev_certs_pem(struct vs_bytes pem, struct vs_ev_certs *ret, struct vs_err *err)
{
	if (pem.n == 0)
		return VS_OK;
	if (pem.n > PEM_MAX)
		VS_FAIL(err, LIMIT, "certificates of %zu bytes", pem.n);
	VS_CLEANUP(bio_done) BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	if (bio == NULL)
		VS_FAIL(err, MEMORY, "no memory for certificates");
	for (;;) {
		char *name = NULL, *header = NULL;
		unsigned char *data = NULL;
		long n = 0;
		if (PEM_read_bio(bio, &name, &header, &data, &n) != 1) {
			const unsigned long e = ERR_peek_last_error();
			ERR_clear_error();
			if (ERR_GET_REASON(e) == PEM_R_NO_START_LINE)
				return VS_OK;
			VS_FAIL(err, FORMAT, "a PEM text of certificates is damaged");
		}
		vs_rc rc = VS_OK;
		struct vs_ev_cert *cert = NULL;
		if (strcmp(name, "CERTIFICATE") == 0)
			rc = vs_ev_cert_der((struct vs_bytes){data, (size_t)n}, &cert, err);
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_free(data);
		VS_TRY(rc);
		if (cert != NULL)
			VS_TRY(vs_ev_certs_add(ret, cert, err));
	}
}

/* ---- fields --------------------------------------------------------------------------------- */

static void
object_done(ASN1_OBJECT **o)
{
	ASN1_OBJECT_free(*o);
}

struct vs_bytes
vs_ev_cert_ext(const struct vs_ev_cert *cert, const char *oid)
{
	VS_CLEANUP(object_done) ASN1_OBJECT *o = OBJ_txt2obj(oid, 1);
	const struct vs_bytes none = {NULL, 0};
	const int at = o != NULL ? X509_get_ext_by_OBJ(cert->x, o, -1) : -1;
	/* The same extension twice would let two readers see two values. */
	if (at < 0 || X509_get_ext_by_OBJ(cert->x, o, at) >= 0)
		return none;
	const ASN1_OCTET_STRING *v = X509_EXTENSION_get_data(X509_get_ext(cert->x, at));
	return (struct vs_bytes){ASN1_STRING_get0_data(v), (size_t)ASN1_STRING_length(v)};
}

bool
vs_ev_cert_ext_u8(const struct vs_ev_cert *cert, const char *oid, uint8_t *ret)
{
	const struct vs_bytes v = vs_ev_cert_ext(cert, oid);
	if (v.n == 3 && v.p[0] == 2 && v.p[1] == 1 && v.p[2] < 0x80)
		*ret = v.p[2];
	else if (v.n == 4 && v.p[0] == 2 && v.p[1] == 2 && v.p[2] == 0 && v.p[3] >= 0x80)
		*ret = v.p[3];
	else
		return false;
	return true;
}

static void
eku_done(EXTENDED_KEY_USAGE **eku)
{
	EXTENDED_KEY_USAGE_free(*eku);
}

bool
vs_ev_cert_has_eku(const struct vs_ev_cert *cert, const char *oid)
{
	VS_CLEANUP(object_done) ASN1_OBJECT *o = OBJ_txt2obj(oid, 1);
	VS_CLEANUP(eku_done)
	EXTENDED_KEY_USAGE *eku = X509_get_ext_d2i(cert->x, NID_ext_key_usage, NULL, NULL);
	ERR_clear_error();
	for (int i = 0; o != NULL && eku != NULL && i < sk_ASN1_OBJECT_num(eku); i++) {
		if (OBJ_cmp(sk_ASN1_OBJECT_value(eku, i), o) == 0)
			return true;
	}
	return false;
}

static void
pss_done(RSA_PSS_PARAMS **pss)
{
	RSA_PSS_PARAMS_free(*pss);
}

static void
algor_done(X509_ALGOR **a)
{
	X509_ALGOR_free(*a);
}

static bool
is_sha384(const X509_ALGOR *a)
{
	const ASN1_OBJECT *o = NULL;
	if (a == NULL)
		return false;
	X509_ALGOR_get0(&o, NULL, NULL, a);
	return OBJ_obj2nid(o) == NID_sha384;
}

bool
vs_ev_cert_signed_pss384(const struct vs_ev_cert *cert)
{
	const X509_ALGOR *alg = NULL;
	X509_get0_signature(NULL, &alg, cert->x);
	return vs_ev_alg_is_pss384(alg);
}

bool
vs_ev_alg_is_pss384(const X509_ALGOR *alg)
{
	const ASN1_OBJECT *o = NULL;
	const void *value = NULL;
	int type = 0;
	X509_ALGOR_get0(&o, &type, &value, alg);
	if (OBJ_obj2nid(o) != NID_rsassaPss || type != V_ASN1_SEQUENCE)
		return false;
	const ASN1_STRING *seq = value;
	const uint8_t *p = ASN1_STRING_get0_data(seq);
	VS_CLEANUP(pss_done)
	RSA_PSS_PARAMS *pss = d2i_RSA_PSS_PARAMS(NULL, &p, ASN1_STRING_length(seq));
	ERR_clear_error();
	if (pss == NULL || !is_sha384(pss->hashAlgorithm) || pss->maskGenAlgorithm == NULL ||
		pss->saltLength == NULL || ASN1_INTEGER_get(pss->saltLength) != 48 ||
		(pss->trailerField != NULL && ASN1_INTEGER_get(pss->trailerField) != 1))
		return false;
	X509_ALGOR_get0(&o, &type, &value, pss->maskGenAlgorithm);
	if (OBJ_obj2nid(o) != NID_mgf1 || type != V_ASN1_SEQUENCE)
		return false;
	seq = value;
	p = ASN1_STRING_get0_data(seq);
	VS_CLEANUP(algor_done) X509_ALGOR *mask = d2i_X509_ALGOR(NULL, &p, ASN1_STRING_length(seq));
	ERR_clear_error();
	return is_sha384(mask);
}

char *
vs_ev_name_text(const X509_NAME *name, char out[VS_EV_CERT_NAME_MAX])
{
	out[0] = '\0';
	const int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
	if (at < 0)
		return out;
	const ASN1_STRING *s = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
	const struct vs_bytes b = {ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s)};
	return vs_quote(b, out, VS_EV_CERT_NAME_MAX);
}

char *
vs_ev_cert_subject(const struct vs_ev_cert *cert, char out[VS_EV_CERT_NAME_MAX])
{
	return vs_ev_name_text(X509_get_subject_name(cert->x), out);
}

char *
vs_ev_cert_issuer(const struct vs_ev_cert *cert, char out[VS_EV_CERT_NAME_MAX])
{
	return vs_ev_name_text(X509_get_issuer_name(cert->x), out);
}

static void
bn_done(BIGNUM **n)
{
	BN_free(*n);
}

vs_rc
vs_ev_cert_rsa_n(const struct vs_ev_cert *cert, struct vs_buf *ret, struct vs_err *err)
{
	VS_CLEANUP(bn_done) BIGNUM *n = NULL;
	if (EVP_PKEY_get_base_id(cert->key) != EVP_PKEY_RSA ||
		EVP_PKEY_get_bn_param(cert->key, OSSL_PKEY_PARAM_RSA_N, &n) != 1)
		VS_FAIL(err, FORMAT, "the certificate's key is not RSA");
	uint8_t *to = NULL;
	const size_t size = (size_t)BN_num_bytes(n);
	VS_TRY(vs_buf_room(ret, size, &to, err));
	(void)BN_bn2bin(n, to);
	ret->n += size;
	return VS_OK;
}

static vs_rc
add_openssl(uint8_t *der, int n, struct vs_buf *ret, struct vs_err *err)
{
	if (n <= 0) {
		ERR_clear_error();
		VS_FAIL(err, FORMAT, "a certificate cannot be written again");
	}
	const vs_rc rc = vs_buf_add(ret, der, (size_t)n, err);
	OPENSSL_free(der);
	return rc;
}

vs_rc
vs_ev_cert_spki(const struct vs_ev_cert *cert, struct vs_buf *ret, struct vs_err *err)
{
	uint8_t *der = NULL;
	const int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert->x), &der);
	return add_openssl(der, n, ret, err);
}

vs_rc
vs_ev_cert_to_der(const struct vs_ev_cert *cert, struct vs_buf *ret, struct vs_err *err)
{
	uint8_t *der = NULL;
	const int n = i2d_X509(cert->x, &der);
	return add_openssl(der, n, ret, err);
}

vs_rc
vs_ev_cert_signed_by(
	const struct vs_ev_cert *cert, const struct vs_ev_cert *issuer, struct vs_err *err)
{
	char name[VS_EV_CERT_NAME_MAX];
	const int ok = X509_verify(cert->x, issuer->key);
	ERR_clear_error();
	if (ok != 1)
		VS_FAIL(err, REFUSED_EVIDENCE,
			"the certificate \"%s\" is not signed by the key it should be",
			vs_ev_cert_subject(cert, name));
	return VS_OK;
}

struct evp_pkey_st *
vs_ev_cert_key(const struct vs_ev_cert *cert)
{
	return cert->key;
}

bool
vs_ev_cert_same(const struct vs_ev_cert *a, const struct vs_ev_cert *b)
{
	return X509_cmp(a->x, b->x) == 0;
}

bool
vs_ev_cert_valid_at(const struct vs_ev_cert *cert, int64_t at_unix)
{
	time_t at = (time_t)at_unix;
	return X509_cmp_time(X509_get0_notBefore(cert->x), &at) < 0 &&
		X509_cmp_time(X509_get0_notAfter(cert->x), &at) > 0;
}

bool
vs_ev_cert_is_ca(const struct vs_ev_cert *cert)
{
	return X509_check_ca(cert->x) != 0;
}

int64_t
vs_ev_cert_not_before(const struct vs_ev_cert *cert)
{
	struct tm tm = {0};
	if (ASN1_TIME_to_tm(X509_get0_notBefore(cert->x), &tm) != 1) {
		ERR_clear_error();
		return INT64_MAX;
	}
	return (int64_t)timegm(&tm);
}
