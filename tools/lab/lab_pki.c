/* SPDX-License-Identifier: BSD-2-Clause */
#include "lab/lab_pki.h"

#include <jansson.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/codec.h"
#include "lab/lab.h"

_Static_assert(LAB_SERVICES_COUNT_ == 7, "one key and certificate per service");

#define SERVER_SAN "DNS:localhost,DNS:*.localhost,IP:127.0.0.1"

enum { HOUR = 3600, DAY = 24 * HOUR, YEAR = 365 * DAY };

VS_RC
lab_pki_alloc(struct lab_pki **ret, struct lab_keygen_job jobs[8], size_t *n, struct vs_err *err)
{
	struct lab_pki *pki = calloc(1, sizeof(*pki));
	if (pki == NULL)
		VS_FAIL(err, MEMORY, "out of memory");
	*n = 0;
	jobs[(*n)++] = (struct lab_keygen_job){LAB_KEY_RSA2048, &pki->key[LAB_VAULT]};
	jobs[(*n)++] = (struct lab_keygen_job){LAB_KEY_RSA2048, &pki->key[LAB_MHSM]};
	jobs[(*n)++] = (struct lab_keygen_job){LAB_KEY_P256, &pki->root_key};
	jobs[(*n)++] = (struct lab_keygen_job){LAB_KEY_P256, &pki->ca_key};
	jobs[(*n)++] = (struct lab_keygen_job){LAB_KEY_P256, &pki->key[LAB_ENTRA]};
	jobs[(*n)++] = (struct lab_keygen_job){LAB_KEY_P256, &pki->key[LAB_MAA]};
	*ret = pki;
	return VS_OK;
}

static VS_RC
issue_server(struct lab *lab, int service, struct vs_err *err)
{
	struct lab_pki *pki = lab->pki;
	char cn[64] = "";
	(void)snprintf(
		cn, sizeof(cn), "%s LAB %s", lab_service_name((enum lab_service)service), lab->id);
	const struct lab_cert_spec spec = {.cn = cn,
		.subject_key = pki->key[service],
		.issuer = pki->ca,
		.issuer_key = pki->ca_key,
		.san = SERVER_SAN,
		.not_before_s = -HOUR,
		.not_after_s = YEAR};
	return lab_cert_make(&spec, &pki->cert[service], err);
}

VS_RC
lab_pki_issue_all(struct lab *lab, struct vs_err *err)
{
	struct lab_pki *pki = lab->pki;
	char cn[64] = "";
	struct lab_cert_spec spec = {.cn = cn,
		.subject_key = pki->root_key,
		.not_before_s = -HOUR,
		.not_after_s = YEAR,
		.ca = true};
	(void)snprintf(cn, sizeof(cn), "Vouchsafe LAB Root CA %s", lab->id);
	VS_TRY(lab_cert_make(&spec, &pki->root, err));
	(void)snprintf(cn, sizeof(cn), "Vouchsafe LAB Issuing CA %s", lab->id);
	spec.subject_key = pki->ca_key;
	spec.issuer = pki->root;
	spec.issuer_key = pki->root_key;
	VS_TRY(lab_cert_make(&spec, &pki->ca, err));
	for (int i = LAB_MAA_SHARED; i <= LAB_MAA_ISOLATED; i++) {
		EVP_PKEY_up_ref(pki->key[LAB_MAA]);
		pki->key[i] = pki->key[LAB_MAA];
	}
	for (int i = LAB_ENTRA; i < LAB_SERVICES_COUNT_; i++)
		VS_TRY(issue_server(lab, i, err));
	return VS_OK;
}

void
lab_pki_free(struct lab_pki *pki)
{
	if (pki == NULL)
		return;
	EVP_PKEY_free(pki->root_key);
	EVP_PKEY_free(pki->ca_key);
	X509_free(pki->root);
	X509_free(pki->ca);
	for (int i = 0; i < LAB_SERVICES_COUNT_; i++) {
		EVP_PKEY_free(pki->key[i]);
		X509_free(pki->cert[i]);
	}
	free(pki);
}

VS_RC
lab_pki_bundle(const struct lab_pki *pki, struct vs_buf *out, struct vs_err *err)
{
	VS_TRY(lab_cert_pem(pki->root, out, err));
	return lab_cert_pem(pki->ca, out, err);
}

static bool
append_b64_der(json_t *array, X509 *cert)
{
	uint8_t *der = NULL;
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {0};
	const int n = i2d_X509(cert, &der);
	const bool ok = n > 0 &&
		!vs_failed(vs_b64_encode(vs_bytes_of(der, (size_t)n), &text, NULL)) &&
		json_array_append_new(array, json_string(vs_buf_cstr(&text))) == 0;
	OPENSSL_free(der);
	return ok;
}

json_t *
lab_pki_x5c(const struct lab_pki *pki, X509 *leaf)
{
	json_t *x5c = json_array();
	if (x5c != NULL && append_b64_der(x5c, leaf) && append_b64_der(x5c, pki->ca) &&
		append_b64_der(x5c, pki->root))
		return x5c;
	json_decref(x5c);
	return NULL;
}

/* ---- TLS ------------------------------------------------------------------------------------ */

/* chain may be NULL: nothing but the leaf is sent. */
static SSL_CTX *
server_ctx(EVP_PKEY *key, X509 *cert, X509 *chain)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	if (ctx != NULL && SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
		SSL_CTX_use_certificate(ctx, cert) == 1 && SSL_CTX_use_PrivateKey(ctx, key) == 1 &&
		(chain == NULL || SSL_CTX_add1_chain_cert(ctx, chain) == 1))
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}

VS_RC
lab_pki_tls(struct lab *lab, int service, SSL_CTX **ret, struct vs_err *err)
{
	SSL_CTX *ctx = server_ctx(lab->pki->key[service], lab->pki->cert[service], lab->pki->ca);
	if (ctx == NULL)
		VS_FAIL(err, CRYPTO, "no TLS context for %s",
			lab_service_name((enum lab_service)service));
	*ret = ctx;
	return VS_OK;
}

VS_RC
lab_pki_client(struct lab *lab, SSL_CTX **ret, struct vs_err *err)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	if (ctx == NULL || SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
		X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), lab->pki->root) != 1) {
		SSL_CTX_free(ctx);
		VS_FAIL(err, CRYPTO, "no TLS context for the lab's own requests");
	}
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	*ret = ctx;
	return VS_OK;
}

/* An authority between the lab's and the leaf; unknown: one that has nothing to do with the lab. */
static X509 *
make_other_ca(struct lab_pki *pki, EVP_PKEY *key, bool unknown)
{
	X509 *ca = NULL;
	const struct lab_cert_spec spec = {.cn = "Vouchsafe LAB Other CA",
		.subject_key = key,
		.issuer = unknown ? NULL : pki->ca,
		.issuer_key = unknown ? NULL : pki->ca_key,
		.not_before_s = -HOUR,
		.not_after_s = YEAR,
		.ca = true};
	return vs_failed(lab_cert_make(&spec, &ca, NULL)) ? NULL : ca;
}

static void
describe_defect(struct lab_cert_spec *spec, enum lab_fault_kind kind)
{
	if (kind == LAB_FAULT_TLS_EXPIRED) {
		spec->not_before_s = -30 * DAY;
		spec->not_after_s = -DAY;
	} else if (kind == LAB_FAULT_TLS_FUTURE) {
		spec->not_before_s = DAY;
		spec->not_after_s = 30 * DAY;
	} else if (kind == LAB_FAULT_TLS_WRONG_NAME) {
		spec->san = "DNS:other.example,DNS:*.example,DNS:localhost.example,IP:127.0.0.2";
	} else if (kind == LAB_FAULT_TLS_WILDCARD) {
		spec->san = "DNS:*,DNS:*.localhost,DNS:local*,DNS:*.0.0.1";
	} else if (kind == LAB_FAULT_TLS_SELF_SIGNED) {
		spec->issuer = NULL;
		spec->issuer_key = NULL;
	}
}

SSL_CTX *
lab_pki_tls_spoilt(struct lab *lab, enum lab_fault_kind kind)
{
	struct lab_pki *pki = lab->pki;
	const bool other = kind == LAB_FAULT_TLS_UNKNOWN_CA || kind == LAB_FAULT_TLS_INCOMPLETE;
	EVP_PKEY *key = lab_keygen(LAB_KEY_P256), *ca_key = other ? lab_keygen(LAB_KEY_P256) : NULL;
	X509 *ca = ca_key != NULL ? make_other_ca(pki, ca_key, kind == LAB_FAULT_TLS_UNKNOWN_CA)
				  : NULL;
	X509 *cert = NULL;
	SSL_CTX *ctx = NULL;
	struct lab_cert_spec spec = {.cn = "localhost",
		.subject_key = key,
		.issuer = ca != NULL ? ca : pki->ca,
		.issuer_key = ca != NULL ? ca_key : pki->ca_key,
		.san = SERVER_SAN,
		.not_before_s = -HOUR,
		.not_after_s = YEAR};
	describe_defect(&spec, kind);
	if (key != NULL && (ca != NULL || !other) && !vs_failed(lab_cert_make(&spec, &cert, NULL)))
		ctx = server_ctx(key, cert, kind == LAB_FAULT_TLS_INCOMPLETE ? NULL : spec.issuer);
	if (ctx != NULL && kind == LAB_FAULT_TLS_OLD) {
		(void)SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION);
		(void)SSL_CTX_set_max_proto_version(ctx, TLS1_1_VERSION);
		(void)SSL_CTX_set_cipher_list(ctx, "ALL:@SECLEVEL=0");
	}
	X509_free(cert);
	X509_free(ca);
	EVP_PKEY_free(ca_key);
	EVP_PKEY_free(key);
	return ctx;
}
