/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One conversation with a TPM 2.0: opened under a lock, bounded by a deadline, everything that was
 * loaded is flushed at the end. Structures go in and out as the TPM's own bytes, so no header of
 * the TPM library is needed by callers.
 *
 * Built on the system API of tpm2-tss over our own transport: nothing is loaded by name, nothing
 * is read from the environment, and a TPM error is a value, not a line on somebody's stderr. Every
 * response passes the checks of tpm_link.h before the library sees it (T-A11).
 */
#ifndef VS_EVIDENCE_TPM_H
#define VS_EVIDENCE_TPM_H

#include "vouchsafe/ports.h"
#include "vouchsafe/provider.h"

struct vs_tpm;
struct vs_tpm_fault;

enum {
	VS_TPM_NV_HCL = 0x01400001, /* hardware report, made by the paravisor */
	VS_TPM_NV_USER_DATA = 0x01400002, /* 64 bytes of the guest, hashed into the report */
	VS_TPM_NV_AK_CERT = 0x01C101D0,
	VS_TPM_USER_DATA_BYTES = 64,
	VS_TPM_NV_MAX = 16 * 1024, /* largest index we read */
	VS_TPM_BLOB_MAX = 4096, /* largest single response */
};
#define VS_TPM_AK_HANDLE 0x81000003u

struct vs_tpm_env {
	const char *tcti; /* device:/dev/PATH | swtpm:path=/P | swtpm|mssim:host=LOOPBACK,port=N */
	const char *lock_path; /* NULL: none */
	struct vs_clock clock;
	const struct vs_tpm_fault *fault; /* tests only */
};

/* Is this configuration string one that vs_tpm_open would try? Error: CONFIG_VALUE. */
VS_RC vs_tpm_tcti_check(const char *tcti, struct vs_err *err);

/*
 * Take the lock, connect. The deadline holds for everything done with ret.
 * Errors: TPM_ABSENT (no device, no rights, nobody listens: err says which and what to do), TPM
 * (lock not free in time, TPM in use), CONFIG_VALUE, MEMORY.
 */
VS_RC vs_tpm_open(const struct vs_tpm_env *env, int64_t deadline_boot_ns, struct vs_tpm **ret,
	struct vs_err *err);
/* Flushes all that was loaded, disconnects, frees the lock. NULL-safe. */
void vs_tpm_close(struct vs_tpm *tpm);

/* Errors of all functions below: TPM (foreign = the TPM's code), MEMORY, LIMIT; others as said. */

/* Is an NV index, or a persistent object, defined? Asks for the list, so "no" is not an error. */
VS_RC vs_tpm_exists(struct vs_tpm *tpm, uint32_t handle, bool *ret, struct vs_err *err);
/*
 * A whole index by its public size, with owner authorisation, in chunks from offset 0.
 * Errors also: NOT_FOUND (not defined), EVIDENCE (defined but not yet written).
 */
VS_RC vs_tpm_nv_read(struct vs_tpm *tpm, uint32_t index, struct vs_buf *ret, struct vs_err *err);
/* Write 64 bytes to VS_TPM_NV_USER_DATA, defining it first where it is absent. */
VS_RC vs_tpm_write_user_data(
	struct vs_tpm *tpm, const uint8_t data[VS_TPM_USER_DATA_BYTES], struct vs_err *err);
/*
 * A counter in an NV index of the owner: it only grows, and one that is removed and defined again
 * starts above all that this TPM has ever counted. *ret_exists is false where there is none, or one
 * that was never raised. Error also: EVIDENCE (the index is something else).
 */
VS_RC vs_tpm_counter_read(
	struct vs_tpm *tpm, uint32_t index, bool *ret_exists, uint64_t *ret, struct vs_err *err);
/* Raise it by one, defining it first where it is absent. Error also: EVIDENCE. */
VS_RC vs_tpm_counter_raise(struct vs_tpm *tpm, uint32_t index, struct vs_err *err);
/*
 * The TPM says what the counter is and signs it: ret_attest: TPMS_ATTEST of kind NV; ret_sig as of
 * a quote. The counter exists.
 */
VS_RC
vs_tpm_counter_certify(struct vs_tpm *tpm, uint32_t index, uint32_t ak, struct vs_bytes qualifying,
	struct vs_buf *ret_attest, struct vs_buf *ret_sig, struct vs_err *err);
/* TPM2B_PUBLIC of an object. NOT_FOUND when a persistent handle is empty. */
VS_RC
vs_tpm_read_public(struct vs_tpm *tpm, uint32_t handle, struct vs_buf *ret_2b, struct vs_err *err);
/* SHA-256 bank; ret is valid where mask says so. EVIDENCE when the bank is not there. */
VS_RC vs_tpm_pcr_read(
	struct vs_tpm *tpm, uint32_t mask, uint8_t ret[VS_PCRS_MAX][32], struct vs_err *err);
/* ret_attest: TPMS_ATTEST; ret_sig: the bare RSASSA/SHA-256 signature. */
VS_RC vs_tpm_quote(struct vs_tpm *tpm, uint32_t ak, uint32_t mask, struct vs_bytes qualifying,
	struct vs_buf *ret_attest, struct vs_buf *ret_sig, struct vs_err *err);
/*
 * RSA-2048 decryption key, primary in the NULL hierarchy: fixedTPM, fixedParent,
 * sensitiveDataOrigin, noDA, decrypt; usable under policy_digest only. unique makes it another key
 * than all before; it is not a secret.
 */
VS_RC vs_tpm_make_transport(struct vs_tpm *tpm, const uint8_t policy_digest[32],
	const uint8_t unique[256], uint32_t *ret_handle, struct vs_buf *ret_public_2b,
	struct vs_err *err);
VS_RC vs_tpm_certify(struct vs_tpm *tpm, uint32_t object, uint32_t ak, struct vs_bytes qualifying,
	struct vs_buf *ret_attest, struct vs_buf *ret_sig, struct vs_err *err);
/* A loaded object as a blob that only this TPM, until its next reset, can load again. */
VS_RC
vs_tpm_context_save(struct vs_tpm *tpm, uint32_t handle, struct vs_buf *ret, struct vs_err *err);
VS_RC vs_tpm_context_load(
	struct vs_tpm *tpm, struct vs_bytes blob, uint32_t *ret_handle, struct vs_err *err);
/*
 * RSA decryption under a policy session with PolicyPCR over mask.
 * Errors also: REFUSED_BINDING when the PCRs are not those of the key's policy; DATA when the
 * ciphertext does not decrypt.
 */
VS_RC vs_tpm_rsa_decrypt(struct vs_tpm *tpm, uint32_t key, uint32_t mask, enum vs_unwrap scheme,
	struct vs_bytes ciphertext, struct vs_arena *arena, struct vs_secret *ret,
	struct vs_err *err);
/* Its clock in ms (it stands still without power), and how often it was reset and restarted. */
VS_RC vs_tpm_clock(struct vs_tpm *tpm, uint64_t *ret_ms, uint32_t *ret_reset, uint32_t *ret_restart,
	struct vs_err *err);
VS_RC
vs_tpm_counts(struct vs_tpm *tpm, uint32_t *ret_reset, uint32_t *ret_restart, struct vs_err *err);
void vs_tpm_flush(struct vs_tpm *tpm, uint32_t handle);
/* Time left, for callers that wait between commands. */
int vs_tpm_left_ms(const struct vs_tpm *tpm);

#endif
