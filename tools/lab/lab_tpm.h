/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The swtpm process behind the emulated machine, one connection to it, and the platform's own
 * conversation with it (ESYS). Everybody else's commands come through lab_tpm_exchange.
 *
 * Nothing here but lab_tpm_exchange may be called from two threads at once.
 */
#ifndef LAB_LAB_TPM_H
#define LAB_LAB_TPM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <tss2/tss2_esys.h>

#include "base/buf.h"
#include "vouchsafe/err.h"

struct lab_tpm;

enum {
	LAB_TPM_MESSAGE_MAX = 4096,
	LAB_NV_REPORT = 0x01400001,
	LAB_NV_USER_DATA = 0x01400002,
	LAB_NV_AK_CERT = 0x01C101D0,
	LAB_NV_SIZE = 2048, /* the longest index that libtpms 0.9 can hold */
	LAB_USER_DATA_SIZE = 64,
	LAB_BANKS_MAX = 5,
};
#define LAB_HANDLE_AK 0x81000003u

/* Starts swtpm with its state and its sockets in dir. Errors: AGENT, TPM, MEMORY. */
VS_RC lab_tpm_start(const char *dir, struct lab_tpm **ret, struct vs_err *err);
/* Orderly shutdown, a new process on the same state: a TPM reset. */
VS_RC lab_tpm_reset(struct lab_tpm *t, struct vs_err *err);
void lab_tpm_stop(struct lab_tpm *t);
pid_t lab_tpm_pid(const struct lab_tpm *t);

/* One raw command; *rsp_n is the room in rsp and then the length. Thread-safe. Errors: TPM. */
VS_RC lab_tpm_exchange(struct lab_tpm *t, const uint8_t *cmd, size_t n, uint8_t *rsp, size_t *rsp_n,
	struct vs_err *err);
/* The platform's ESYS context. */
ESYS_CONTEXT *lab_tpm_esys(struct lab_tpm *t);

/* Authorisation of the platform's indices. */
const TPM2B_AUTH *lab_tpm_nv_auth(const struct lab_tpm *t);

/* VS_E_TPM with the TPM's own words, or VS_OK. */
VS_RC lab_tpm_rc(TSS2_RC rc, const char *what, struct vs_err *err);
#define LAB_TPM(err, what, call) VS_TRY(lab_tpm_rc((call), (what), (err)))

enum lab_ak_kind {
	LAB_AK_GENUINE, /* restricted signing key of Azure's template; the same each time */
	LAB_AK_OTHER, /* the same attributes, another key */
	LAB_AK_UNRESTRICTED, /* signs anything */
};
/* Create the key and make it persistent at 0x81000003 in place of what is there. */
VS_RC
lab_tpm_set_ak(struct lab_tpm *t, enum lab_ak_kind kind, TPM2B_PUBLIC *ret, struct vs_err *err);

/* Take the key at 0x81000003 away. */
void lab_tpm_drop_ak(struct lab_tpm *t);

/* A platform index of LAB_NV_SIZE bytes which only the platform can write. */
VS_RC lab_tpm_define_platform(struct lab_tpm *t, uint32_t index, struct vs_err *err);
/* Make it there, never written, or not there. Only before the platform is locked. */
VS_RC lab_tpm_renew_platform(struct lab_tpm *t, uint32_t index, bool there, struct vs_err *err);
bool lab_tpm_has_index(struct lab_tpm *t, uint32_t index);
/* Replace its content, padded with zeros. */
VS_RC
lab_tpm_write_platform(struct lab_tpm *t, uint32_t index, struct vs_bytes data, struct vs_err *err);
/* User data of the guest; 64 zero bytes where it is not defined or was never written. */
VS_RC
lab_tpm_read_user_data(struct lab_tpm *t, uint8_t out[LAB_USER_DATA_SIZE], struct vs_err *err);

/* Active banks. */
VS_RC lab_tpm_banks(struct lab_tpm *t, uint16_t algs[LAB_BANKS_MAX], size_t *n, struct vs_err *err);
VS_RC lab_tpm_extend(
	struct lab_tpm *t, uint32_t pcr, const TPML_DIGEST_VALUES *digests, struct vs_err *err);
/* The platform hierarchy gets an authorisation that nobody knows: end of the firmware's work. */
VS_RC lab_tpm_lock_platform(struct lab_tpm *t, struct vs_err *err);

#endif
