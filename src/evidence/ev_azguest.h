/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Evidence of an Azure virtual machine: its vTPM, the hardware report that the paravisor keeps in
 * NV 0x01400001 (confidential VM), or the vTPM alone (Trusted Launch).
 */
#ifndef VS_EVIDENCE_EV_AZGUEST_H
#define VS_EVIDENCE_EV_AZGUEST_H

#include "vouchsafe/ports.h"
#include "vouchsafe/provider.h"

struct vs_tpm_fault;

struct vs_azguest_env {
	const char *tcti; /* "device:/dev/tpmrm0", "swtpm:...", "mssim:...": see evidence/tpm.h */
	const char *lock_path; /* flock(2) while the TPM is in use; NULL: none */
	const char *event_log; /* the TCG log's path; NULL or absent file: empty log */
	const char *ima_log; /* the list of measured files; NULL: not wanted, PCR 10 not quoted */
	uint32_t pcr_mask; /* 0: PCR 0-7 */
	struct vs_clock clock;
	struct vs_rng rng;
	struct vs_log log;
	const struct vs_tpm_fault *fault; /* tests only: a liar between us and the TPM */
};

/*
 * Checks the settings and copies the strings; touches no TPM. Nothing is kept open between the
 * calls of the result: each opens the TPM under the lock, works, flushes and closes. The transport
 * key lives as a saved context in memory. ret->ops->close frees it.
 *
 * collect may be called again: the new key replaces the old one. unwrap before a successful
 * collect is STATE. unwrap and counts may be called by several
 * threads at once, collect by one alone.
 * Errors: CONFIG_VALUE, MEMORY.
 */
VS_RC
vs_azguest_open(const struct vs_azguest_env *env, struct vs_evidence_src *ret, struct vs_err *err);

#endif
