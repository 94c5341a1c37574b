/* SPDX-License-Identifier: BSD-2-Clause */
/* AMD SEV-SNP attestation reports, versions 2 to 5, and their certificates. Pure. */
#ifndef VS_EVIDENCE_SNP_H
#define VS_EVIDENCE_SNP_H

#include "evidence/ev_crl.h"
#include "vouchsafe/provider.h"

enum vs_snp_gen { VS_SNP_GEN_NONE = 0, VS_SNP_MILAN, VS_SNP_GENOA, VS_SNP_TURIN };
enum vs_snp_signer { VS_SNP_VCEK = 0, VS_SNP_VLEK = 1, VS_SNP_UNSIGNED = 7 };

/* Security version of each firmware; fmc is 0 before Turin. */
struct vs_snp_tcb {
	uint8_t fmc, boot_loader, tee, snp, microcode;
};

/* Views into the caller's 1184 bytes. */
struct vs_snp_report {
	struct vs_bytes signed_bytes, sig_r, sig_s; /* r, s: 72 bytes, little endian */
	uint32_t version, guest_svn, vmpl;
	uint64_t policy, platform_info;
	uint32_t key_info;
	enum vs_snp_signer signer;
	bool chip_masked, author_key;
	struct vs_bytes report_data, measurement, host_data, id_key_digest, author_key_digest;
	struct vs_bytes report_id, chip_id;
	struct vs_bytes current_tcb, reported_tcb, committed_tcb, launch_tcb; /* 8 bytes each */
	enum vs_snp_gen gen; /* from the processor's bytes; NONE in version 2 */
};

/* Bits of the guest policy. */
#define VS_SNP_POLICY_MIGRATE (1ULL << 18)
#define VS_SNP_POLICY_DEBUG (1ULL << 19)

/*
 * Length, known version, algorithm, processor, signer; every reserved byte zero. Says nothing about
 * the signature. Error: FORMAT.
 */
VS_RC vs_snp_parse(struct vs_bytes report, struct vs_snp_report *ret, struct vs_err *err);
struct vs_snp_tcb vs_snp_tcb_of(enum vs_snp_gen gen, struct vs_bytes raw);
/* Every component of a is at most that of b. */
bool vs_snp_tcb_le(const struct vs_snp_tcb *a, const struct vs_snp_tcb *b);
const char *vs_snp_gen_name(enum vs_snp_gen gen);
/* The product that a VCEK or VLEK says it is of; NONE when it says nothing known. */
enum vs_snp_gen vs_snp_product(const struct vs_ev_cert *signer);

struct vs_snp_expect {
	int64_t at_unix;
	const struct vs_ev_certs *roots; /* pinned ARKs */
	const struct vs_ev_certs *helpers; /* ASK, ASVK: from anywhere */
	bool allow_vlek; /* VLEK-signed reports, any VMPL: not Azure's way */
	bool allow_debug;
	uint32_t min_guest_svn;
	bool has_min_tcb;
	struct vs_snp_tcb min_tcb;
	/* Lists of 48-byte values; empty: not asked. */
	size_t n_measurements, n_id_keys;
	const uint8_t (*measurements)[48];
	const uint8_t (*id_keys)[48];
	struct vs_bytes host_data; /* 32 bytes; empty: not asked */
	struct vs_revocation revocation; /* AMD lists ASKs and ASVKs, no leaves */
};

/*
 * Add to v: the chain to a pinned root, chip, product and TCB of the certificate, the signature,
 * the guest policy. Each check is made, whatever the others say. Error: MEMORY.
 */
VS_RC vs_snp_verify(const struct vs_snp_report *report, const struct vs_ev_cert *signer,
	const struct vs_snp_expect *expect, struct vs_verdict *v, struct vs_err *err);

#endif
