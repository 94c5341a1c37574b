/* SPDX-License-Identifier: BSD-2-Clause */
/* Certificates, lists of revoked ones and their keys, made for a test. */
#ifndef TESTS_UNIT_PKIKIT_H
#define TESTS_UNIT_PKIKIT_H

#include <openssl/x509.h>

#include "base/buf.h"
#include "evidence/ev_cert.h"
#include "evidence/ev_crl.h"

/* Everything made here is valid a year before and after this time. */
#define PKI_AT 1786752000

struct pki {
	X509 *x;
	EVP_PKEY *key;
	struct vs_ev_cert *cert;
};

struct pki_cert {
	const char *cn;
	const struct pki *issuer; /* NULL: itself */
	long serial;
	bool ca, rsa; /* rsa: 2048 bits, else P-256 */
	const char *key_usage, *eku; /* NULL: for a CA keyCertSign, cRLSign; for a leaf none */
	const char *ski; /* "hash": with a subject key identifier */
};

struct pki pki_make(const struct pki_cert *c);
void pki_done(struct pki *p);
/* The DER, appended. */
void pki_der(const struct pki *p, struct vs_buf *out);

struct pki_crl {
	const struct pki *issuer; /* whose name it has */
	EVP_PKEY *sign_with; /* NULL: the issuer's key */
	const EVP_MD *md; /* NULL: SHA-256 */
	long serials[4]; /* 0 ends */
	long from, until; /* seconds from at; 0, 0: a day around it */
	int64_t at; /* 0: PKI_AT */
	bool no_until, idp, delta, unknown; /* unknown: a critical extension nobody knows */
	bool pem, pss; /* pss: as AMD signs */
};
/* Replaces out. */
void pki_crl(const struct pki_crl *c, struct vs_buf *out);
void pki_add_crl(const struct pki_crl *c, struct vs_ev_crls *to);

#endif
