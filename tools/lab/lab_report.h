/* SPDX-License-Identifier: BSD-2-Clause */
/* The emulated processor and paravisor: runtime claims, SNP reports, the blob in the NV index. */
#ifndef LAB_LAB_REPORT_H
#define LAB_LAB_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/buf.h"
#include "vouchsafe/err.h"

struct lab_roots;

enum { LAB_SNP_SIZE = 1184, LAB_SNP_SIGNED = 0x2a0, LAB_CHIP_ID_SIZE = 64 };
#define LAB_SNP_POLICY 0x3001fULL
#define LAB_SNP_POLICY_MIGRATE (1ULL << 18)
#define LAB_SNP_POLICY_DEBUG (1ULL << 19)
/* boot loader 4, TEE 0, SNP 24, microcode 219: as bytes of TCB_VERSION, little endian */
#define LAB_TCB 0xdb18000000000004ULL

#define LAB_PARAVISOR "Vouchsafe LAB paravisor"
#define LAB_ID_KEY "Vouchsafe LAB id key"

struct lab_chip {
	EVP_PKEY *vcek_key;
	X509 *vcek;
	uint8_t id[LAB_CHIP_ID_SIZE];
};
VS_RC lab_chip_new(const struct lab_roots *roots, struct lab_chip **ret, struct vs_err *err);
void lab_chip_free(struct lab_chip *c);

struct lab_runtime {
	const uint8_t *ak_n; /* 256 bytes */
	bool secure_boot;
	const char *vm_id_upper;
	const uint8_t *user_data; /* 64 bytes */
};
/* The runtime claims, compact JSON, so that the whole blob fits 2048 bytes. */
VS_RC lab_runtime_json(const struct lab_runtime *rt, struct vs_buf *out, struct vs_err *err);

struct lab_snp {
	const struct lab_chip *chip;
	EVP_PKEY *sign_with; /* NULL: the chip's key */
	uint64_t policy;
	uint32_t vmpl;
	const char *paravisor; /* its measurement is the SHA-384 of this */
	struct vs_bytes runtime_json; /* its SHA-256 is the report data */
	const uint8_t *report_id; /* 32 bytes */
};
VS_RC lab_snp_report(const struct lab_snp *snp, uint8_t out[LAB_SNP_SIZE], struct vs_err *err);

/* Header, report, runtime claims: what NV 0x01400001 holds. */
VS_RC lab_hcl_blob(const uint8_t report[LAB_SNP_SIZE], struct vs_bytes runtime_json,
	struct vs_buf *out, struct vs_err *err);

/* {"vcekCert","tcbm","certificateChain","cacheControl"} of the IMDS. */
VS_RC lab_thim_json(const struct lab_roots *roots, const struct lab_chip *chip, struct vs_buf *out,
	struct vs_err *err);

#endif
