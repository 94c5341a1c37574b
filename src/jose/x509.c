/* SPDX-License-Identifier: BSD-2-Clause */
#include "jose/x509.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "base/codec.h"
#include "jose/json.h"
#include "jose/lib.h"

enum { X5C_MAX = 10, SUBJECT_MAX = 512 };

struct vs_cert {
	atomic_uint refs;
	X509 *x;
	EVP_PKEY *key; /* borrowed from x */
	struct vs_buf der;
	int64_t not_before, not_after;
};

struct vs_certs {
	size_t n, cap;
	struct vs_cert **certs;
};

/* The caller's error queue stays as it was. */
static void
forget_errors(const int *marked)
{
	(void)marked;
	ERR_pop_to_mark();
}
#define KEEP_ERROR_QUEUE \
	VS_CLEANUP(forget_errors) const int keep_queue_ __attribute__((unused)) = ERR_set_mark()

/* ---- one certificate ---------------------------------------------------------------------- */

static VS_RC
unix_time(const ASN1_TIME *t, int64_t *ret, struct vs_err *err)
{
	struct tm tm = {0};
	if (ASN1_TIME_to_tm(t, &tm) != 1)
		VS_FAIL(err, FORMAT, "a certificate has a date that cannot be read");
	*ret = (int64_t)timegm(&tm);
	return VS_OK;
}

static VS_RC
read_der(struct vs_bytes der, struct vs_cert *cert, struct vs_err *err)
{
	OSSL_LIB_CTX *lib = NULL;
	VS_TRY(vs_jose_lib(&lib, err));
	cert->x = X509_new_ex(lib, NULL);
	if (cert->x == NULL)
		VS_FAIL(err, MEMORY, "out of memory while reading a certificate");
	const unsigned char *p = der.p;
	if (d2i_X509(&cert->x, &p, (long)der.n) == NULL)
		VS_FAIL(err, FORMAT, "a certificate is not readable DER");
	if (p != der.p + der.n)
		VS_FAIL(err, FORMAT, "a certificate is followed by other bytes");
	cert->key = X509_get0_pubkey(cert->x);
	if (cert->key == NULL)
		VS_FAIL(err, FORMAT, "a certificate's public key cannot be read");
	VS_TRY(unix_time(X509_get0_notBefore(cert->x), &cert->not_before, err));
	VS_TRY(unix_time(X509_get0_notAfter(cert->x), &cert->not_after, err));
	return VS_OK;
}

VS_RC
vs_cert_from_der(struct vs_bytes der, struct vs_cert **ret, struct vs_err *err)
{
	KEEP_ERROR_QUEUE;
	if (der.n == 0 || der.n > VS_CERT_DER_MAX)
		VS_FAIL(err, FORMAT, "a certificate has %zu bytes; 1 to %d are allowed", der.n,
			VS_CERT_DER_MAX);
	VS_CLEANUP(vs_cert_unrefp) struct vs_cert *cert = calloc(1, sizeof *cert);
	if (cert == NULL)
		VS_FAIL(err, MEMORY, "out of memory while reading a certificate");
	atomic_init(&cert->refs, 1);
	cert->der.max = VS_CERT_DER_MAX;
	VS_TRY(vs_buf_set(&cert->der, der.p, der.n, err));
	VS_TRY(read_der(der, cert, err));
	*ret = VS_TAKE(cert);
	return VS_OK;
}

struct vs_cert *
vs_cert_ref(struct vs_cert *cert)
{
	atomic_fetch_add(&cert->refs, 1);
	return cert;
}

void
vs_cert_unref(struct vs_cert *cert)
{
	if (cert == NULL || atomic_fetch_sub(&cert->refs, 1) != 1)
		return;
	X509_free(cert->x);
	vs_buf_done(&cert->der);
	free(cert);
}

void
vs_cert_unrefp(struct vs_cert **cert)
{
	vs_cert_unref(*cert);
	*cert = NULL;
}

bool
vs_cert_valid_at(const struct vs_cert *cert, int64_t at_unix)
{
	return cert->not_before <= at_unix && at_unix <= cert->not_after;
}

struct vs_bytes
vs_cert_der(const struct vs_cert *cert)
{
	return vs_buf_view(&cert->der);
}

struct evp_pkey_st *
vs_cert_key(const struct vs_cert *cert)
{
	return cert->key;
}

int64_t
vs_cert_not_before(const struct vs_cert *cert)
{
	return cert->not_before;
}

int64_t
vs_cert_not_after(const struct vs_cert *cert)
{
	return cert->not_after;
}

char *
vs_cert_subject(const struct vs_cert *cert, char *out, size_t out_size)
{
	KEEP_ERROR_QUEUE;
	char text[SUBJECT_MAX];
	int n = -1;
	BIO *bio = BIO_new(BIO_s_mem());
	if (bio != NULL &&
		X509_NAME_print_ex(bio, X509_get_subject_name(cert->x), 0, XN_FLAG_RFC2253) >= 0)
		n = BIO_read(bio, text, sizeof text);
	BIO_free(bio);
	return vs_quote(vs_bytes_of(text, n > 0 ? (size_t)n : 0), out, out_size);
}

bool
vs_cert_names_host(const struct vs_cert *cert, const char *host)
{
	KEEP_ERROR_QUEUE;
	const unsigned flags =
		X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS;
	return host[0] != '\0' && X509_check_host(cert->x, host, strlen(host), flags, NULL) == 1;
}

/* ---- lists -------------------------------------------------------------------------------- */

VS_RC
vs_certs_new(struct vs_certs **ret, struct vs_err *err)
{
	*ret = calloc(1, sizeof **ret);
	if (*ret == NULL)
		VS_FAIL(err, MEMORY, "out of memory for certificates");
	return VS_OK;
}

VS_RC
vs_certs_add(struct vs_certs *certs, struct vs_cert *cert, struct vs_err *err)
{
	if (certs->n == VS_CERTS_MAX)
		VS_FAIL(err, LIMIT, "more than %d certificates", VS_CERTS_MAX);
	if (certs->n == certs->cap) {
		const size_t cap = certs->cap != 0 ? certs->cap * 2 : 4;
		struct vs_cert **grown = reallocarray(certs->certs, cap, sizeof *grown);
		if (grown == NULL)
			VS_FAIL(err, MEMORY, "out of memory for certificates");
		certs->certs = grown;
		certs->cap = cap;
	}
	certs->certs[certs->n++] = vs_cert_ref(cert);
	return VS_OK;
}

void
vs_certs_free(struct vs_certs *certs)
{
	if (certs == NULL)
		return;
	for (size_t i = 0; i < certs->n; i++)
		vs_cert_unref(certs->certs[i]);
	free(certs->certs);
	free(certs);
}

void
vs_certs_freep(struct vs_certs **certs)
{
	vs_certs_free(*certs);
	*certs = NULL;
}

size_t
vs_certs_count(const struct vs_certs *certs)
{
	return certs != NULL ? certs->n : 0;
}

struct vs_cert *
vs_certs_at(const struct vs_certs *certs, size_t i)
{
	return i < vs_certs_count(certs) ? certs->certs[i] : NULL;
}

static VS_RC
add_der(struct vs_certs *certs, struct vs_bytes der, struct vs_err *err)
{
	VS_CLEANUP(vs_cert_unrefp) struct vs_cert *cert = NULL;
	VS_TRY(vs_cert_from_der(der, &cert, err));
	return vs_certs_add(certs, cert, err);
}

struct pem_block {
	char *name, *header;
	unsigned char *data;
	long n;
};

static void
pem_block_done(struct pem_block *b)
{
	OPENSSL_free(b->name);
	OPENSSL_free(b->header);
	OPENSSL_free(b->data);
	*b = (struct pem_block){0};
}

static VS_RC
add_pem_blocks(BIO *bio, struct vs_certs *certs, struct vs_err *err)
{
	for (;;) {
		VS_CLEANUP(pem_block_done) struct pem_block b = {0};
		if (PEM_read_bio(bio, &b.name, &b.header, &b.data, &b.n) != 1)
			break;
		if (strcmp(b.name, PEM_STRING_X509) == 0)
			VS_TRY(add_der(certs, vs_bytes_of(b.data, (size_t)b.n), err));
	}
	const unsigned long why = ERR_peek_last_error();
	if (ERR_GET_LIB(why) != ERR_LIB_PEM || ERR_GET_REASON(why) != PEM_R_NO_START_LINE)
		VS_FAIL(err, FORMAT, "a PEM block is damaged");
	return VS_OK;
}

static void
bio_freep(BIO **bio)
{
	BIO_free(*bio);
}

VS_RC
vs_certs_from_pem(struct vs_bytes pem, struct vs_certs **ret, struct vs_err *err)
{
	KEEP_ERROR_QUEUE;
	VS_CLEANUP(vs_certs_freep) struct vs_certs *certs = NULL;
	VS_TRY(vs_certs_new(&certs, err));
	if (pem.n == 0 || pem.n > INT32_MAX)
		VS_FAIL(err, FORMAT, "a PEM text has %zu bytes", pem.n);
	VS_CLEANUP(bio_freep) BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	if (bio == NULL)
		VS_FAIL(err, MEMORY, "out of memory while reading certificates");
	VS_TRY(add_pem_blocks(bio, certs, err));
	if (certs->n == 0)
		VS_FAIL(err, FORMAT, "there is no certificate in the PEM text");
	*ret = VS_TAKE(certs);
	return VS_OK;
}

VS_RC
vs_certs_from_x5c(const struct vs_json *x5c, struct vs_certs **ret, struct vs_err *err)
{
	const size_t n = vs_json_count(x5c);
	if (vs_json_kind(x5c) != VS_JSON_ARRAY || n == 0 || n > X5C_MAX)
		VS_FAIL(err, FORMAT, "x5c is not an array of 1 to %d certificates", X5C_MAX);
	VS_CLEANUP(vs_certs_freep) struct vs_certs *certs = NULL;
	VS_TRY(vs_certs_new(&certs, err));
	for (size_t i = 0; i < n; i++) {
		VS_CLEANUP(vs_buf_done) struct vs_buf der = {.max = VS_CERT_DER_MAX + 4};
		struct vs_bytes text = {0};
		if (!vs_json_bytes(vs_json_at(x5c, i), &text))
			VS_FAIL(err, FORMAT, "x5c contains something that is not a string");
		VS_TRY(vs_b64_decode(text, &der, err));
		VS_TRY(add_der(certs, vs_buf_view(&der), err));
	}
	*ret = VS_TAKE(certs);
	return VS_OK;
}

/* ---- chains ------------------------------------------------------------------------------- */

static void
stack_freep(STACK_OF(X509) * *sk)
{
	sk_X509_free(*sk); /* the certificates stay with their owners */
}

static void
ctx_freep(X509_STORE_CTX **ctx)
{
	X509_STORE_CTX_free(*ctx);
}

static STACK_OF(X509) * stack_of(const struct vs_certs *certs)
{
	STACK_OF(X509) *sk = sk_X509_new_null();
	for (size_t i = 0; sk != NULL && i < vs_certs_count(certs); i++) {
		if (sk_X509_push(sk, certs->certs[i]->x) <= 0) {
			sk_X509_free(sk);
			return NULL;
		}
	}
	return sk;
}

static bool
set_params(X509_STORE_CTX *ctx, const struct vs_chain_req *req)
{
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
	const int purpose =
		req->purpose == VS_PURPOSE_TLS_SERVER ? X509_PURPOSE_SSL_SERVER : X509_PURPOSE_ANY;
	X509_VERIFY_PARAM_set_time(param, (time_t)req->at_unix);
	X509_VERIFY_PARAM_set_depth(param, VS_CHAIN_DEPTH_MAX);
	/* Level 2 is 112 bits: no RSA below 2048, no EC below 224, no SHA-1 signatures. */
	X509_VERIFY_PARAM_set_auth_level(param, 2);
	return X509_VERIFY_PARAM_set_purpose(param, purpose) == 1 &&
		X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN) == 1;
}

static VS_RC
check_chain(const struct vs_cert *leaf, const struct vs_chain_req *req, struct vs_err *err)
{
	OSSL_LIB_CTX *lib = NULL;
	VS_TRY(vs_jose_lib(&lib, err));
	VS_CLEANUP(stack_freep) STACK_OF(X509) *anchors = stack_of(req->anchors);
	VS_CLEANUP(stack_freep) STACK_OF(X509) *middle = stack_of(req->intermediates);
	VS_CLEANUP(ctx_freep) X509_STORE_CTX *ctx = X509_STORE_CTX_new_ex(lib, NULL);
	if (anchors == NULL || middle == NULL || ctx == NULL ||
		X509_STORE_CTX_init(ctx, NULL, leaf->x, middle) != 1 || !set_params(ctx, req))
		VS_FAIL(err, MEMORY, "out of memory while checking a certificate chain");
	X509_STORE_CTX_set0_trusted_stack(ctx, anchors);
	if (X509_verify_cert(ctx) != 1) {
		char subject[128];
		const int why = X509_STORE_CTX_get_error(ctx);
		VS_FAIL_N(err, REFUSED_SIGNATURE, why,
			"the certificate of \"%s\" is not accepted: %s",
			vs_cert_subject(leaf, subject, sizeof subject),
			X509_verify_cert_error_string(why));
	}
	return VS_OK;
}

VS_RC
vs_cert_chain(const struct vs_cert *leaf, const struct vs_chain_req *req, struct vs_err *err)
{
	KEEP_ERROR_QUEUE;
	VS_REQUIRE(err, req->purpose == VS_PURPOSE_ANY || req->purpose == VS_PURPOSE_TLS_SERVER);
	if (vs_certs_count(req->anchors) == 0)
		VS_FAIL(err, REFUSED_SIGNATURE, "there is no trusted root to check against");
	VS_TRY(check_chain(leaf, req, err));
	if (req->host != NULL && !vs_cert_names_host(leaf, req->host)) {
		char subject[128], host[128];
		VS_FAIL(err, REFUSED_SIGNATURE, "the certificate of \"%s\" is not for host \"%s\"",
			vs_cert_subject(leaf, subject, sizeof subject),
			vs_quote(vs_bytes_str(req->host), host, sizeof host));
	}
	return VS_OK;
}
