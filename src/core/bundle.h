/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The audit log as a signed bundle for an auditor: a folder with the files of the log up to a
 * checkpoint, a manifest with their hashes, and the TPM's statement (TPM2_NV_Certify) that carries
 * the manifest's hash and the counter of checkpoints, signed by the attestation key. One RSA
 * signature and some hashes: an auditor needs openssl and nothing of ours.
 *
 *   manifest.txt, 0001.log .., statement.bin, statement.sig, ak.pub.pem, [ak.cert.pem,] README.txt
 */
#ifndef VS_CORE_BUNDLE_H
#define VS_CORE_BUNDLE_H

#include "audit/verify.h"
#include "core/checkpoint.h"

enum {
	VS_BUNDLE_FILES_MAX = 1000,
	VS_BUNDLE_MANIFEST_MAX = 256 * 1024,
	VS_BUNDLE_SMALL_MAX = 16 * 1024, /* keys, certificate, statement, signature */
	VS_BUNDLE_VERSION = 1,
};

struct vs_bundle_env {
	struct vs_checkpoint_env checkpoint;
	struct vs_audit *audit;
	const char *const *paths; /* oldest first; the last one is the live log */
	size_t n;
	const char *dir; /* is made; must not be there */
};

struct vs_bundle_made {
	struct vs_audit_report log;
	uint64_t counter;
	uint8_t signer_sha256[32]; /* of the key's DER, as `openssl pkey -pubin -outform DER` */
	bool certificate; /* the TPM had one for the key */
};
/*
 * Makes a checkpoint first. Errors: TPM, TPM_ABSENT, EVIDENCE, AUDIT, FILE, MEMORY; STATE when the
 * log is not whole or moved meanwhile.
 */
VS_RC
vs_bundle_write(const struct vs_bundle_env *env, struct vs_bundle_made *ret, struct vs_err *err);

/* Whose signature is believed: one of the first two. */
struct vs_bundle_trust {
	struct vs_bytes signer; /* PEM: the attestation key or its certificate */
	struct vs_bytes ca; /* PEM: who signs certificates of attestation keys */
	int64_t at_unix;
	const struct vs_audit_checkpoint *earlier; /* or NULL: must be in the log */
};

struct vs_bundle_report {
	bool ok;
	char reason[400]; /* when not */
	struct vs_audit_report log;
	uint64_t counter, clock_ms;
	uint32_t resets, restarts;
	uint8_t signer_sha256[32];
	char made[40], host[80];
};
/* A bundle that is not as it should be is no error of this function. Errors: FILE, FORMAT, MEMORY.
 */
VS_RC vs_bundle_verify(const char *dir, const struct vs_bundle_trust *trust,
	struct vs_bundle_report *ret, struct vs_err *err);

#endif
