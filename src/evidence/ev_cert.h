/* SPDX-License-Identifier: BSD-2-Clause */
/* X.509 certificates of hardware vendors: pinned roots, odd extensions. */
#ifndef VS_EVIDENCE_EV_CERT_H
#define VS_EVIDENCE_EV_CERT_H

#include "base/buf.h"

struct vs_ev_cert;
struct evp_pkey_st;

enum {
	VS_EV_CERTS_MAX = 12,
	VS_EV_CERT_DER_MAX = 128 * 1024,
	VS_EV_CERT_NAME_MAX = 128,
	VS_EV_PATH_MAX = 6,
};

/* Owned; empty with vs_ev_certs_done. */
struct vs_ev_certs {
	size_t n;
	struct vs_ev_cert *v[VS_EV_CERTS_MAX];
};

/* One certificate, nothing behind it. Errors: FORMAT, MEMORY. */
VS_RC vs_ev_cert_der(struct vs_bytes der, struct vs_ev_cert **ret, struct vs_err *err);
void vs_ev_cert_free(struct vs_ev_cert *cert);
void vs_ev_cert_freep(struct vs_ev_cert **cert);
/*
 * Append every CERTIFICATE block of a PEM text; bytes between and behind the blocks are skipped.
 * Errors: FORMAT (a block that is not readable), LIMIT, MEMORY.
 */
VS_RC vs_ev_certs_pem(struct vs_bytes pem, struct vs_ev_certs *ret, struct vs_err *err);
/* Takes cert over, also on failure. Error: LIMIT. */
VS_RC vs_ev_certs_add(struct vs_ev_certs *certs, struct vs_ev_cert *cert, struct vs_err *err);
void vs_ev_certs_done(struct vs_ev_certs *certs);

/* A chain that was verified: the leaf first, the pinned root last. Borrowed. */
struct vs_ev_path {
	size_t n;
	const struct vs_ev_cert *v[VS_EV_PATH_MAX];
};

/*
 * leaf <- intermediates <- one of roots, each valid at that time, CA flags and key usages right.
 * helpers are never trusted by themselves. ret may be NULL. Nothing is asked about revocation here.
 * Errors: REFUSED_EVIDENCE with the reason, MEMORY.
 */
VS_RC vs_ev_cert_chain(const struct vs_ev_cert *leaf, const struct vs_ev_certs *helpers,
	const struct vs_ev_certs *roots, int64_t at_unix, struct vs_ev_path *ret,
	struct vs_err *err);

/* Value of an extension (what its OCTET STRING holds); empty when absent. Borrowed. */
struct vs_bytes vs_ev_cert_ext(const struct vs_ev_cert *cert, const char *oid);
/* An extension that is one DER INTEGER from 0 to 255. */
bool vs_ev_cert_ext_u8(const struct vs_ev_cert *cert, const char *oid, uint8_t *ret);
bool vs_ev_cert_has_eku(const struct vs_ev_cert *cert, const char *oid);
/* Signed with RSA-PSS, SHA-384, MGF1 with SHA-384, salt of 48 bytes. */
bool vs_ev_cert_signed_pss384(const struct vs_ev_cert *cert);
/* Common names, cut; empty when there is none. Return out. */
char *vs_ev_cert_subject(const struct vs_ev_cert *cert, char out[VS_EV_CERT_NAME_MAX]);
char *vs_ev_cert_issuer(const struct vs_ev_cert *cert, char out[VS_EV_CERT_NAME_MAX]);
/* Modulus of an RSA key, big endian, appended. Error: FORMAT for other keys. */
VS_RC vs_ev_cert_rsa_n(const struct vs_ev_cert *cert, struct vs_buf *ret, struct vs_err *err);
/* The DER of the SubjectPublicKeyInfo, appended. Errors: FORMAT, MEMORY. */
VS_RC vs_ev_cert_spki(const struct vs_ev_cert *cert, struct vs_buf *ret, struct vs_err *err);
/* The DER of the certificate, appended. Errors: FORMAT, MEMORY. */
VS_RC vs_ev_cert_to_der(const struct vs_ev_cert *cert, struct vs_buf *ret, struct vs_err *err);
/* Signed by the issuer's key, whatever its name. Error: REFUSED_EVIDENCE. */
VS_RC vs_ev_cert_signed_by(
	const struct vs_ev_cert *cert, const struct vs_ev_cert *issuer, struct vs_err *err);
/* Borrowed, never NULL. */
struct evp_pkey_st *vs_ev_cert_key(const struct vs_ev_cert *cert);
bool vs_ev_cert_same(const struct vs_ev_cert *a, const struct vs_ev_cert *b);
/* May it sign certificates, as its basic constraints say? */
bool vs_ev_cert_is_ca(const struct vs_ev_cert *cert);
/* Start of its validity; INT64_MAX when that cannot be read. */
int64_t vs_ev_cert_not_before(const struct vs_ev_cert *cert);
/* notBefore <= at <= notAfter */
bool vs_ev_cert_valid_at(const struct vs_ev_cert *cert, int64_t at_unix);

#endif
