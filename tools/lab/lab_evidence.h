/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the lab's attestation service believes about a machine, and why it does not: an own reading
 * of TPM structures, event logs and SNP reports that shares nothing with src/evidence (T-L2).
 */
#ifndef LAB_LAB_EVIDENCE_H
#define LAB_LAB_EVIDENCE_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>
#include <openssl/x509.h>

#include "base/buf.h"

/* Each check, in the order in which they are made: name on the wire. */
#define LAB_CHECKS(X) \
	X(REQUEST, "Request") \
	X(AIK_CERT_CHAIN, "AikCertChain") \
	X(AIK_PUB, "AikPub") \
	X(AIK_CERT_KEY, "AikCertKey") \
	X(AIK_ATTRIBUTES, "AikAttributes") \
	X(QUOTE_SIGNATURE, "QuoteSignature") \
	X(QUOTE_FORM, "QuoteForm") \
	X(QUOTE_SIGNER, "QuoteSigner") \
	X(QUOTE_SELECTION, "QuoteSelection") \
	X(QUOTE_DIGEST, "QuoteDigest") \
	X(ENC_KEY_PUB, "EncKeyPub") \
	X(CERTIFY_SIGNATURE, "CertifySignature") \
	X(CERTIFY_FORM, "CertifyForm") \
	X(CERTIFY_NAME, "CertifyName") \
	X(ENC_KEY_ATTRIBUTES, "EncKeyAttributes") \
	X(ENC_KEY_POLICY, "EncKeyPolicy") \
	X(LOG_FORM, "TcgLogForm") \
	X(LOG_REPLAY, "TcgLogReplay") \
	X(LOG_DATA, "TcgLogData") \
	X(TEE_TYPE, "IsolationType") \
	X(TEE_PROOF, "IsolationProof") \
	X(VCEK_CHAIN, "VcekChain") \
	X(REPORT_FORM, "SnpReportForm") \
	X(REPORT_SIGNATURE, "SnpReportSignature") \
	X(CHIP_ID, "SnpChipId") \
	X(TCB, "SnpTcb") \
	X(REPORT_DATA, "SnpReportData") \
	X(RUNTIME_DATA, "RunTimeData") \
	X(HCL_AK, "HCLAkPub") \
	X(VM_ID, "VmUniqueId") \
	X(SECURE_BOOT, "SecureBootState") \
	X(DCAP_FORM, "QuoteStructure") \
	X(PCK_CHAIN, "PckChain") \
	X(QE_SIGNATURE, "QeReportSignature") \
	X(QE_IDENTITY, "QeIdentity") \
	X(QE_BINDING, "QeReportData") \
	X(DCAP_SIGNATURE, "EcdsaQuoteSignature") \
	X(REPORT_HASH, "ReportData") \
	X(INIT_HASH, "InitTimeData") \
	X(ATTREQ_FORM, "RequestForm") \
	X(ATTREQ_SIGNATURE, "RequestSignature") \
	X(CHALLENGE, "Challenge") \
	X(REQUEST_KEY, "RequestKey")

enum lab_check {
	LAB_CHECK_NONE = 0,
#define LAB_CHECK_ENUM(name, text) LAB_CHECK_##name,
	LAB_CHECKS(LAB_CHECK_ENUM)
#undef LAB_CHECK_ENUM
		LAB_CHECK_COUNT_,
};
const char *lab_check_name(enum lab_check check);

struct lab_refusal {
	enum lab_check check;
	char text[256];
};
/* Records the refusal; always false. */
__attribute__((format(printf, 3, 4))) bool
lab_refuse(struct lab_refusal *why, enum lab_check check, const char *fmt, ...);

struct lab_anchors {
	X509 *vtpm_root, *vtpm_ca, *ark;
	uint8_t db_sha256[32], dbx_sha256[32]; /* variables of the firmware vendor */
	uint8_t measurement[48], id_key_digest[48]; /* of the paravisor */
	int64_t now;
	bool nameless; /* firmware that does not measure the machine's name into PCR 6 is taken */
};

struct lab_roots;
/* What the lab's service trusts: these roots, their firmware keys, the lab's paravisor. */
VS_RC lab_anchors_make(
	const struct lab_roots *roots, int64_t now, struct lab_anchors *ret, struct vs_err *err);

enum { LAB_PCRS = 24, LAB_RSA_BYTES = 256 };

struct lab_pcrs {
	uint32_t mask;
	uint8_t value[LAB_PCRS][32];
};

/* What the event log proves, because the quoted PCRs do. */
struct lab_log_facts {
	bool secure_boot;
	bool keys_validated, db_validated, dbx_validated;
	bool debuggers_disabled;
	char vm_id[37]; /* empty: the log does not name it */
};

struct lab_facts {
	struct lab_pcrs pcrs;
	struct lab_log_facts log;
	uint8_t enc_n[LAB_RSA_BYTES];
	json_t *payload; /* client-payload, or NULL */
	char protocol[8], os_type[64], os_distro[64], os_build[64];
	long os_major, os_minor;
	bool tee; /* report and runtime are there */
	bool compliant;
	uint8_t report[1184];
	json_t *runtime;
	char vm_id[37];
};
void lab_facts_done(struct lab_facts *f);

/* info: the JSON text inside AttestationInfo. On false why names the check; facts are empty. */
bool lab_evidence_verify(struct vs_bytes info, const struct lab_anchors *anchors,
	struct lab_facts *facts, struct lab_refusal *why);

/* lab_evidence_tpm.c */
struct lab_tpm_evidence {
	struct vs_buf aik_cert, aik_pub, quote, quote_sig, enc_pub, certify, certify_sig;
	struct lab_pcrs pcrs;
};
/* aik_n gets the modulus of the attestation key. */
bool lab_verify_tpm(const struct lab_tpm_evidence *ev, const struct lab_anchors *anchors,
	uint8_t aik_n[LAB_RSA_BYTES], uint8_t enc_n[LAB_RSA_BYTES], struct lab_refusal *why);
/* lab_evidence_log.c */
bool lab_verify_log(struct vs_bytes log, const struct lab_pcrs *pcrs,
	const struct lab_anchors *anchors, struct lab_log_facts *facts, struct lab_refusal *why);
/* lab_evidence_snp.c: chain, signature, identity, TCB, report data (runtime.p NULL: not asked). */
bool lab_verify_snp(struct vs_bytes report, struct vs_bytes chain_pem, struct vs_bytes runtime,
	const struct lab_anchors *anchors, bool *compliant, struct lab_refusal *why);

/* A chain to exactly one anchor at a time; extra are intermediates. */
bool lab_chain_ok(X509 *leaf, X509 *anchor, X509 *const *extra, size_t n_extra, int64_t now,
	char *why, size_t why_size);

#endif
