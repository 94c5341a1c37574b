/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lab's own certificate authority. Made for one lab, signs with keys that exist in its memory
 * only, and says LAB in every name.
 */
#ifndef LAB_LAB_PKI_H
#define LAB_LAB_PKI_H

#include "lab/lab_fault.h"
#include "lab/lab_keygen.h"
#include "vouchsafe/err.h"

struct lab;
struct evp_pkey_st;
struct json_t;
struct ssl_ctx_st;
struct x509_st;
struct stack_st_X509;

struct lab_pki {
	struct evp_pkey_st *root_key, *ca_key;
	struct x509_st *root, *ca;
	/* by enum lab_service; the vaults' are RSA-2048, they sign release answers, too */
	struct evp_pkey_st *key[7];
	struct x509_st *cert[7];
};

/* Where lab_keygen is to put the keys that lab_pki_new needs; at most 8. */
VS_RC
lab_pki_alloc(struct lab_pki **ret, struct lab_keygen_job jobs[8], size_t *n, struct vs_err *err);
/* Certificates, when the keys are there. Errors: CRYPTO, MEMORY. */
VS_RC lab_pki_issue_all(struct lab *lab, struct vs_err *err);
void lab_pki_free(struct lab_pki *pki);

/* Server side of one service: TLS 1.2 and later. Error: CRYPTO. */
VS_RC lab_pki_tls(struct lab *lab, int service, struct ssl_ctx_st **ret, struct vs_err *err);
/* A server context with the defect that the fault names; NULL: the right one is to be used. */
struct ssl_ctx_st *lab_pki_tls_spoilt(struct lab *lab, enum lab_fault_kind kind);
/* Client side that trusts this lab alone. */
VS_RC lab_pki_client(struct lab *lab, struct ssl_ctx_st **ret, struct vs_err *err);
/* Root and issuing certificate as PEM. */
VS_RC lab_pki_bundle(const struct lab_pki *pki, struct vs_buf *out, struct vs_err *err);
/* x5c: leaf, issuing, root as standard base64. New reference, NULL when out of memory. */
struct json_t *lab_pki_x5c(const struct lab_pki *pki, struct x509_st *leaf);

struct lab_cert_spec {
	const char *cn; /* put behind O=Vouchsafe LAB */
	struct evp_pkey_st *subject_key;
	struct x509_st *issuer; /* NULL: self-signed */
	struct evp_pkey_st *issuer_key;
	const char *san; /* "DNS:localhost,IP:127.0.0.1" or NULL */
	int64_t not_before_s, not_after_s; /* relative to now */
	bool ca;
};

/* Error: CRYPTO. */
VS_RC lab_cert_make(const struct lab_cert_spec *spec, struct x509_st **ret, struct vs_err *err);
/* PEM of a certificate, of a private key (PKCS#8); appended. */
VS_RC lab_cert_pem(struct x509_st *cert, struct vs_buf *out, struct vs_err *err);
VS_RC lab_key_pem(struct evp_pkey_st *key, struct vs_buf *out, struct vs_err *err);
/* SHA-1 or SHA-256 of the certificate's DER. */
VS_RC lab_cert_hash(struct x509_st *cert, const char *md, struct vs_buf *out, struct vs_err *err);

#endif
