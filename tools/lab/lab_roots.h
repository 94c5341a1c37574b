/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who vouches for the emulated hardware: a virtual TPM CA, a processor vendor, a firmware vendor.
 * All keys are made for one lab and every name says LAB. The real vendors' RSA keys have 4096
 * bits; the lab's have 2048, so that a lab is up in a second or two.
 */
#ifndef LAB_LAB_ROOTS_H
#define LAB_LAB_ROOTS_H

#include <stdbool.h>
#include <stdint.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/buf.h"
#include "vouchsafe/err.h"

struct lab_signer {
	EVP_PKEY *key;
	X509 *cert;
};

struct lab_roots {
	struct lab_signer vtpm_root; /* "Vouchsafe LAB Virtual TPM Root CA" */
	struct lab_signer vtpm_ca; /* "Vouchsafe LAB Virtual TPM CA - 01" */
	struct lab_signer ark, ask; /* "ARK-LAB", "SEV-LAB" */
	struct lab_signer firmware; /* whose signatures Secure Boot accepts */
	uint8_t owner_guid[16]; /* signature owner in PK, KEK, db, dbx */
	int refs;
};

VS_RC lab_roots_new(struct lab_roots **ret, struct vs_err *err);
struct lab_roots *lab_roots_ref(struct lab_roots *r);
void lab_roots_free(struct lab_roots *r);

/* One extension: an OpenSSL configuration value ("critical,CA:TRUE"), or raw DER. */
struct lab_ext {
	const char *oid; /* short name or dotted */
	const char *conf; /* NULL: der */
	struct vs_bytes der;
};

struct lab_hwcert {
	const char *organization; /* NULL: "Vouchsafe LAB" */
	const char *cn;
	EVP_PKEY *key; /* the subject's */
	const struct lab_signer *issuer; /* NULL: self-signed with key */
	long serial; /* -1: random */
	int64_t not_before, not_after; /* Unix seconds; 0, 0: since 30 days, for ten years */
	bool pss; /* RSA-PSS, SHA-384, salt 48; otherwise SHA-256 */
	const struct lab_ext *ext; /* ended by oid NULL; or NULL */
};
VS_RC lab_hwcert_new(const struct lab_hwcert *spec, X509 **ret, struct vs_err *err);

VS_RC lab_hwcert_der(X509 *cert, struct vs_buf *out, struct vs_err *err);
VS_RC lab_hwcert_pem(X509 *cert, struct vs_buf *out, struct vs_err *err);

/* The certificate of a vTPM's attestation key: key usage digitalSignature, EKU tcg-kp-AIK. */
VS_RC
lab_roots_ak_cert(const struct lab_roots *r, EVP_PKEY *ak, struct vs_buf *der, struct vs_err *err);

/* Content of the Secure Boot variables with the lab's keys: EFI signature lists. */
VS_RC lab_roots_signature_db(const struct lab_roots *r, struct vs_buf *out, struct vs_err *err);
VS_RC lab_roots_signature_dbx(const struct lab_roots *r, struct vs_buf *out, struct vs_err *err);

/* Many keys at once, each in its own thread. bits 0 means P-256, 384 means P-384. */
struct lab_new_key {
	unsigned bits;
	EVP_PKEY *key;
};
VS_RC lab_new_keys(struct lab_new_key *jobs, size_t n, struct vs_err *err);

/* "what: OpenSSL's reason" as an error; empties OpenSSL's queue. */
vs_rc lab_ossl_fail(const char *what, struct vs_err *err);

#endif
