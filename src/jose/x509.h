/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Certificates: read from DER with every byte consumed, chained to given anchors at a given time.
 * Nothing is looked up: no system store, no revocation, no network, no clock.
 */
#ifndef VS_JOSE_X509_H
#define VS_JOSE_X509_H

#include <stdint.h>

#include "base/buf.h"

struct vs_json;
struct evp_pkey_st; /* EVP_PKEY */

struct vs_cert; /* immutable, counted; a reference may be used by any thread */
struct vs_certs; /* a list of certificates in order */

enum { VS_CERT_DER_MAX = 128 * 1024, VS_CERTS_MAX = 1024, VS_CHAIN_DEPTH_MAX = 8 };

/* Errors: FORMAT, MEMORY. */
VS_RC vs_cert_from_der(struct vs_bytes der, struct vs_cert **ret, struct vs_err *err);
struct vs_cert *vs_cert_ref(struct vs_cert *cert);
void vs_cert_unref(struct vs_cert *cert);
void vs_cert_unrefp(struct vs_cert **cert);
/* notBefore <= at <= notAfter */
bool vs_cert_valid_at(const struct vs_cert *cert, int64_t at_unix);
struct vs_bytes vs_cert_der(const struct vs_cert *cert);
/* Borrowed; never NULL. */
struct evp_pkey_st *vs_cert_key(const struct vs_cert *cert);
/* One line for people, RFC 2253 order, cut. Returns out. */
char *vs_cert_subject(const struct vs_cert *cert, char *out, size_t out_size);
int64_t vs_cert_not_before(const struct vs_cert *cert);
int64_t vs_cert_not_after(const struct vs_cert *cert);

VS_RC vs_certs_new(struct vs_certs **ret, struct vs_err *err);
/* Takes its own reference. Errors: LIMIT, MEMORY. */
VS_RC vs_certs_add(struct vs_certs *certs, struct vs_cert *cert, struct vs_err *err);
/* Every CERTIFICATE block of a PEM text (a CA bundle); other text is skipped. At least one must be
 * there, and each must be readable. Errors: FORMAT, LIMIT, MEMORY. */
VS_RC vs_certs_from_pem(struct vs_bytes pem, struct vs_certs **ret, struct vs_err *err);
/* A JOSE x5c value: array of 1 to 10 strings in canonical standard base64. Errors: FORMAT, MEMORY.
 */
VS_RC vs_certs_from_x5c(const struct vs_json *x5c, struct vs_certs **ret, struct vs_err *err);
void vs_certs_free(struct vs_certs *certs);
void vs_certs_freep(struct vs_certs **certs);
size_t vs_certs_count(const struct vs_certs *certs);
struct vs_cert *vs_certs_at(const struct vs_certs *certs, size_t i); /* borrowed */

enum vs_purpose { VS_PURPOSE_NONE = 0, VS_PURPOSE_ANY, VS_PURPOSE_TLS_SERVER };

struct vs_chain_req {
	const struct vs_certs *anchors; /* self-signed roots or pinned intermediates */
	const struct vs_certs *intermediates; /* may be NULL; never trusted by themselves */
	int64_t at_unix; /* every certificate must be valid then */
	enum vs_purpose purpose;
	const char *host; /* DNS name in the leaf's SAN; NULL: no name check */
};

/*
 * Build and check a chain from leaf to an anchor: signatures, validity, basic constraints, key
 * usage, path length, purpose, name. Keys below 2048 bits RSA / 224 bits EC and SHA-1 signatures
 * are refused. Errors: REFUSED_SIGNATURE with the reason, MEMORY.
 */
VS_RC vs_cert_chain(const struct vs_cert *leaf, const struct vs_chain_req *req, struct vs_err *err);
/* "vault.contoso.net": name equals a SAN DNS entry, wildcards in the left-most label only. */
bool vs_cert_names_host(const struct vs_cert *cert, const char *host);

#endif
