/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The emulated machine: an swtpm that is dressed up like the vTPM of a confidential VM, with a
 * measured boot, a paravisor that refreshes the hardware report, and an attacker at the console.
 *
 * The guest talks to D/tpm.sock (TCTI "swtpm:path=D/tpm.sock"), behind which the lab forwards
 * command by command to the swtpm in D/machine; the event log of the boot is D/eventlog.bin.
 */
#ifndef LAB_LAB_MACHINE_H
#define LAB_LAB_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "vouchsafe/err.h"

struct lab;
struct lab_machine;
struct lab_roots; /* lab_roots.h */

/*
 * Make keys and roots, start the swtpm, provision it, boot. Uses lab->dir, lab->vm_id and
 * lab->id. Errors: AGENT when swtpm cannot be started, TPM, FILE, MEMORY.
 */
VS_RC lab_machine_start(struct lab *lab, struct lab_machine **ret, struct vs_err *err);
/* Shuts the TPM down, ends swtpm (by its id) and the threads. NULL-safe. */
void lab_machine_stop(struct lab_machine *m);

/* "swtpm:path=D/tpm.sock", D/eventlog.bin. */
const char *lab_machine_tcti(const struct lab_machine *m);
const char *lab_machine_event_log(const struct lab_machine *m);
/* Process id of the swtpm, for the lab's status. */
int lab_machine_pid(const struct lab_machine *m);

/*
 * Body of GET /metadata/THIM/amd/certification: vcekCert, certificateChain, tcbm, cacheControl.
 * Appends to json. Thread-safe.
 */
VS_RC lab_machine_thim(struct lab_machine *m, struct vs_buf *json, struct vs_err *err);

/*
 * What an attacker would do, one by one. words: the kind and its arguments, NULL-terminated; said
 * gets a sentence about what was done.
 *
 *   pcr N                extend PCR N (0-15, 23) in all banks
 *   secure-boot off      boot again with Secure Boot switched off
 *   ak [unrestricted|uncertified]   replace the key at 0x81000003, with a certificate of its own
 *   foreign-report       the report of another machine
 *   debug-bit            the report of a machine whose memory the host may read
 *   migratable           ... or which may be moved by a migration agent
 *   vmpl N               ... or which is made for another privilege level
 *   paravisor            ... or of a machine started with other firmware
 *   stale-report [N]     the report is not made anew (for the next N readings)
 *   event-log [data|digest|drop|cut|missing]   edit the log, not the PCRs
 *   ak-missing           no key at 0x81000003
 *   trusted-launch       boot as a machine without a TEE
 *   ak-cert missing      the certificate's index was never written
 *   ak-cert              the certificate of another key at 0x01C101D0
 *   ak-cert-foreign      a certificate for this key from a CA nobody knows
 *   vcek                 a report signed by a key that the certificate does not name
 *   token WHAT           the attestation service turns bad: enum lab_token_defect
 *   clock +S|-S          shift the clock of the lab's services by S seconds (lab->clock_offset_s)
 *   reboot               TPM reset and boot; what was tampered with stays
 *   undo                 take everything back; a reboot of the machine
 *
 * Errors: USAGE with a sentence for an unknown kind or argument; TPM.
 */
VS_RC lab_machine_tamper(
	struct lab_machine *m, char *const *words, struct vs_buf *said, struct vs_err *err);
/* A line for each kind: name, arguments, what it does; NULL-terminated. Not thread-safe. */
const char *const *lab_machine_tamper_help(void);

/* What is wrong with the tokens of the attestation service; "token none" ends it. */
#define LAB_TOKEN_DEFECTS(X) \
	X(NONE, "none") \
	X(SHORT_KEY, "short-key") /* signed with the 1024-bit key of the set */ \
	X(EXPIRED_KEY, "expired-key") /* with the key whose certificate has ended */ \
	X(UNKNOWN_KEY, "unknown-key") /* with a key that is in no set */ \
	X(WRONG_KEY, "wrong-key") /* names the good key, signed with another */ \
	X(ALG_NONE, "alg-none") /* not signed at all */ \
	X(NONCE, "nonce") /* the nonce of another exchange */ \
	X(OTHER_KEY, "other-key") /* names another transport key than ours */ \
	X(ISSUER, "issuer") /* another issuer */ \
	X(KIND, "kind") /* of a bare report, not of a virtual machine */
enum lab_token_defect {
#define LAB_TOKEN_DEFECT_ENUM(name, text) LAB_TOKEN_##name,
	LAB_TOKEN_DEFECTS(LAB_TOKEN_DEFECT_ENUM)
#undef LAB_TOKEN_DEFECT_ENUM
		LAB_TOKEN_COUNT_,
};
enum lab_token_defect lab_machine_token_defect(const struct lab_machine *m);

/* A second machine of the same cloud (same roots): for relay tests. dir must exist. */
VS_RC lab_machine_start_beside(const struct lab_machine *first, const char *dir, const char *vm_id,
	struct lab_machine **ret, struct vs_err *err);
/* The roots that the lab's attestation service trusts. Borrowed. */
const struct lab_roots *lab_machine_roots(const struct lab_machine *m);
/* Root i as a file below D: its name, and its PEM text appended. *ret_name is NULL behind the last.
 */
VS_RC lab_machine_root_file(const struct lab_machine *m, size_t i, const char **ret_name,
	struct vs_buf *pem, struct vs_err *err);

#endif
