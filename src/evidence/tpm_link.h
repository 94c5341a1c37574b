/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bytes to and from a TPM: a character device, a swtpm data channel or a simulator socket, and the
 * checks that every response must pass before anything parses it (T-A11).
 */
#ifndef VS_EVIDENCE_TPM_LINK_H
#define VS_EVIDENCE_TPM_LINK_H

#include "vouchsafe/ports.h"

#include "base/buf.h"

enum { VS_TPM_MSG_MAX = 4096, VS_TPM_MSG_MIN = 10 };

/* Tests: sees each response before it is checked and may change buffer and length (up to cap). */
struct vs_tpm_fault {
	void (*response)(void *self, struct vs_bytes command, uint8_t *buf, size_t *n, size_t cap);
	void *self;
};

struct vs_tpm_link;

/* Errors: CONFIG_VALUE, TPM_ABSENT, MEMORY. */
VS_RC vs_tpm_link_open(const char *tcti, const struct vs_clock *clock, int64_t deadline_boot_ns,
	struct vs_tpm_link **ret, struct vs_err *err);
void vs_tpm_link_close(struct vs_tpm_link *link);
void vs_tpm_link_closep(struct vs_tpm_link **link);
VS_RC vs_tpm_link_send(struct vs_tpm_link *link, struct vs_bytes command, struct vs_err *err);
/* One whole response into buf (at least VS_TPM_MSG_MAX bytes), unchecked. */
VS_RC
vs_tpm_link_receive(struct vs_tpm_link *link, uint8_t *buf, size_t *ret_n, struct vs_err *err);

/* For cleaning up: a new deadline, and a new connection where an exchange was cut. */
VS_RC vs_tpm_link_renew(struct vs_tpm_link *link, int64_t deadline_boot_ns, struct vs_err *err);
/* Whoever opens it again finds loaded objects and sessions of before: no resource manager. */
bool vs_tpm_link_raw(const struct vs_tpm_link *link);

/*
 * Is this a well-formed answer to this command? Tag as in the command (errors: ten bytes, tag
 * NO_SESSIONS), size in the header equal to the bytes received, parameter area inside and exactly
 * filled by the fields that this command returns, session area behind it made of whole entries.
 * Commands that we never send are refused. Pure. Error: TPM.
 */
VS_RC vs_tpm_response_check(struct vs_bytes command, struct vs_bytes response, struct vs_err *err);

#endif
