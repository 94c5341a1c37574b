/* SPDX-License-Identifier: BSD-2-Clause */
/* What the readers of TPM structures and logs share; for lab_evidence*.c and lab_attreq.c. */
#ifndef LAB_LAB_EVIDENCE_PRIV_H
#define LAB_LAB_EVIDENCE_PRIV_H

#include <openssl/evp.h>

#include "lab/lab_evidence.h"

struct lab_public {
	uint32_t attributes;
	struct vs_bytes policy, n;
	uint16_t scheme, scheme_hash;
	uint8_t name[34];
};

struct lab_attest {
	uint32_t magic;
	uint16_t type;
	struct vs_bytes signer; /* qualified name */
	struct vs_bytes extra; /* qualifying data */
	struct vs_reader rest; /* what was attested */
};

enum { LAB_ST_CERTIFY = 0x8017, LAB_ST_QUOTE = 0x8018 };
#define LAB_TPM_GENERATED 0xff544347u

/* TPM2B_PUBLIC, or the TPMT_PUBLIC in it, of an RSA-2048 key with exponent 65537 and nothing behind
 * it. */
bool lab_read_public(struct vs_bytes b, struct lab_public *ret);
bool lab_read_public_area(struct vs_bytes area, struct lab_public *ret);
bool lab_read_attest(struct vs_bytes b, struct lab_attest *ret);
/* RSASSA-PKCS1-v1_5 with SHA-256. */
bool lab_signature_ok(EVP_PKEY *key, struct vs_bytes message, struct vs_bytes sig);
/* May be padded with zeros up to the size of its NV index. NULL: not a certificate. */
X509 *lab_read_cert(struct vs_bytes b);
bool lab_is_aik_cert(X509 *cert);

struct lab_event {
	uint32_t pcr, type;
	const uint8_t *digest; /* SHA-256 */
	struct vs_bytes data;
};
typedef bool lab_event_fn(void *ctx, const struct lab_event *e);
/* Calls fn for every event until it says no; false then, or where the log is malformed. */
bool lab_log_walk(struct vs_bytes log, lab_event_fn *fn, void *ctx, struct lab_refusal *why);
/* UEFI_VARIABLE_DATA with an ASCII name. */
bool
lab_log_variable(struct vs_bytes data, const uint8_t **guid, char name[32], struct vs_bytes *value);
/* Whether the data are what was measured. */
bool lab_log_bound(const struct lab_event *e);

#endif
