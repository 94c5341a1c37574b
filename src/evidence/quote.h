/* SPDX-License-Identifier: BSD-2-Clause */
/* TPM structures as bytes: attestations, public areas, names, policies. Pure; no TPM. */
#ifndef VS_EVIDENCE_QUOTE_H
#define VS_EVIDENCE_QUOTE_H

#include "vouchsafe/provider.h"

enum {
	VS_TPM_NAME_BYTES = 34, /* algorithm and SHA-256 */
	VS_TPM_BANKS_MAX = 4,
	VS_TPM_ATTEST_MAX = 1024,
	VS_TPM_PUBLIC_MAX = 1024,
	VS_TPM_ALG_RSA = 0x0001,
	VS_TPM_ALG_SHA1 = 0x0004,
	VS_TPM_ALG_SHA256 = 0x000B,
	VS_TPM_ALG_SHA384 = 0x000C,
	VS_TPM_ALG_SHA512 = 0x000D,
	VS_TPM_ALG_NULL = 0x0010,
	VS_TPM_ALG_RSASSA = 0x0014,
};

/* Attributes of the Azure vTPM's attestation key and of our transport key. */
#define VS_TPM_AK_ATTRIBUTES 0x00050472u
#define VS_TPM_TRANSPORT_ATTRIBUTES 0x00020432u

/* An RSA public area; views into the caller's bytes. */
struct vs_tpm_public {
	struct vs_bytes area; /* TPMT_PUBLIC */
	uint16_t name_alg;
	uint32_t attributes;
	struct vs_bytes policy; /* authPolicy, may be empty */
	uint16_t symmetric, scheme, scheme_hash;
	uint16_t bits;
	uint32_t exponent; /* 0 in the structure is 65537 here */
	struct vs_bytes n;
};

/* TPM2B_PUBLIC, nothing behind it. Only RSA. Error: FORMAT. */
VS_RC vs_tpm_public_parse(struct vs_bytes public_2b, struct vs_tpm_public *ret, struct vs_err *err);
/* Name = algorithm, hash of the area. Only SHA-256. Errors: FORMAT, CRYPTO. */
VS_RC vs_tpm_public_name(
	const struct vs_tpm_public *public, uint8_t ret[VS_TPM_NAME_BYTES], struct vs_err *err);

enum vs_attest_type { VS_ATTEST_NONE = 0, VS_ATTEST_CERTIFY = 0x8017, VS_ATTEST_QUOTE = 0x8018 };

struct vs_tpm_bank {
	uint16_t alg;
	uint32_t mask;
};

/* TPMS_ATTEST of one of the two kinds; views into the caller's bytes. */
struct vs_tpm_attest {
	enum vs_attest_type type;
	struct vs_bytes signer; /* qualifiedSigner */
	struct vs_bytes extra; /* extraData: the nonce */
	uint64_t clock_ms, firmware;
	uint32_t reset_count, restart_count;
	uint8_t safe;
	size_t n_banks; /* quote: */
	struct vs_tpm_bank banks[VS_TPM_BANKS_MAX];
	struct vs_bytes pcr_digest;
	struct vs_bytes name, qualified_name; /* certify */
};

/* Magic, one of the two types, every length, nothing behind it. Error: FORMAT. */
VS_RC vs_tpm_attest_parse(struct vs_bytes attest, struct vs_tpm_attest *ret, struct vs_err *err);

/* SHA-256 of the selected values in ascending order. */
VS_RC vs_pcr_digest(
	uint32_t mask, const uint8_t pcr[VS_PCRS_MAX][32], uint8_t ret[32], struct vs_err *err);
/* Policy digest of a key that is bound by PolicyPCR to such a digest of SHA-256 PCRs. */
VS_RC
vs_policy_pcr(uint32_t mask, const uint8_t pcr_digest[32], uint8_t ret[32], struct vs_err *err);

#endif
