/* SPDX-License-Identifier: BSD-2-Clause */
/* What a certificate is inside. For the ev_*.c files only. */
#ifndef VS_EVIDENCE_EV_CERT_IMPL_H
#define VS_EVIDENCE_EV_CERT_IMPL_H

#include <openssl/x509.h>

#include "evidence/ev_cert.h"

struct vs_ev_cert {
	X509 *x;
	EVP_PKEY *key;
};

/* RSA-PSS with SHA-384, MGF1 with SHA-384, salt of 48 bytes. */
bool vs_ev_alg_is_pss384(const X509_ALGOR *alg);
/* The common name, cut; empty when there is none. Returns out. */
char *vs_ev_name_text(const X509_NAME *name, char out[VS_EV_CERT_NAME_MAX]);

#endif
