/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vault's side of a release, in software: signs answers with a certificate of its own CA, wraps
 * keys for a wrapping key whose private part stands in for the TPM's. Everything is made per run
 * with OpenSSL directly, none of the code under test is used.
 */
#ifndef TESTS_RELEASEKIT_H
#define TESTS_RELEASEKIT_H

#include <openssl/types.h>

#include "proto/catalog.h"
#include "vouchsafe/provider.h"

#define RK_HOST "contoso.vault.azure.net"
#define RK_VAULT "https://" RK_HOST
#define RK_NAME "tls-2026"
#define RK_VERSION "0123456789abcdef0123456789abcdef"
#define RK_KID RK_VAULT "/keys/" RK_NAME "/" RK_VERSION
#define RK_POLICY \
	"{\"version\":\"1.0.0\",\"anyOf\":[{\"authority\":\"https://" \
	"a.attest.azure.net\",\"allOf\":[{" \
	"\"claim\":\"x-ms-attestation-type\",\"equals\":\"sevsnpvm\"}]}]}"

void rk_up(void);
void rk_down(void);
struct vs_certs;
const struct vs_certs *rk_anchors(void); /* the CA that signs */
const struct vs_certs *rk_other_anchors(void);
EVP_PKEY *rk_wrap_key(void);
X509 *rk_leaf(void);
EVP_PKEY *rk_leaf_key(void);
X509 *rk_ca(void);

/* PKCS#8 in the forms that services use. */
enum rk_form { RK_WITH_PUBLIC, RK_WITHOUT_PUBLIC, RK_EXPLICIT };
void rk_pkcs8(EVP_PKEY *key, enum rk_form form, struct vs_buf *out);
EVP_PKEY *rk_new_ec(const char *group);

/* OAEP(hash) of a fresh AES-256 key, then AES-KWP; hash "SHA1", "SHA256", "SHA384". */
void rk_wrap(const char *hash, struct vs_bytes clear, struct vs_buf *out);

/* What an answer says; a NULL member is left as rk_payload_new set it. */
struct rk_payload {
	const char *enc, *inner_enc, *schema, *alg;
	const char *request_kid, *kid, *kty;
	const char *pub; /* members of the public part with a comma in front, or "" */
	const char *attributes; /* JSON object */
	const char *policy; /* JSON object of release_policy */
	const struct vs_buf *ciphertext;
};
/* Sets all for this key and entry; the texts live until the next call. */
void rk_payload_new(
	struct rk_payload *p, EVP_PKEY *key, const char *enc, const struct vs_buf *ciphertext);
void rk_payload_text(const struct rk_payload *p, struct vs_buf *out);
/* Compact JWS over payload; header NULL: RS256 with leaf and CA in x5c. signer NULL: the leaf's
 * key. */
void rk_sign(const char *header, struct vs_bytes payload, EVP_PKEY *signer, struct vs_buf *out);
void rk_header(X509 *leaf, X509 *ca, const char *alg, struct vs_buf *out);

/* The entry that a catalog would show for this key; key NULL: AES. Views live until the next call.
 */
void rk_entry(struct vs_cat_entry *e, EVP_PKEY *key);

/* unwrap in software with rk_wrap_key(); counts calls, can fail as told. */
struct rk_tpm {
	unsigned unwraps;
	enum vs_code fail; /* VS_E_OK: works */
	size_t give; /* != 0: gives so many bytes instead of the right ones */
};
struct vs_evidence_src rk_tpm_src(struct rk_tpm *tpm);

#endif
