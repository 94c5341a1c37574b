/* SPDX-License-Identifier: BSD-2-Clause */
/* What tpm.c, tpm_nv.c and tpm_key.c share. Not for others: this header needs tpm2-tss. */
#ifndef VS_EVIDENCE_TPM_IMPL_H
#define VS_EVIDENCE_TPM_IMPL_H

#include <tss2/tss2_sys.h>

#include "evidence/tpm.h"
#include "evidence/tpm_link.h"

enum { VS_TPM_LOADED_MAX = 6 };

/* The transport as the library wants to see it; must start with the library's own struct. */
struct vs_tpm_tcti {
	TSS2_TCTI_CONTEXT_COMMON_V1 v1;
	struct vs_tpm *tpm;
};

struct vs_tpm {
	struct vs_tpm_tcti tcti;
	struct vs_tpm_link *link;
	TSS2_SYS_CONTEXT *sys;
	size_t sys_size;
	struct vs_clock clock;
	int64_t deadline_boot_ns;
	const struct vs_tpm_fault *fault;
	int lock_fd;
	uint8_t command[VS_TPM_MSG_MAX], response[VS_TPM_MSG_MAX];
	size_t command_n;
	struct vs_err io_err; /* why the transport failed, when it did */
	unsigned n_loaded;
	uint32_t loaded[VS_TPM_LOADED_MAX]; /* flushed at close */
	bool lost; /* something was loaded and its handle did not arrive */
	uint16_t nv_chunk; /* 0: not asked yet */
};

extern const TSS2L_SYS_AUTH_COMMAND vs_tpm_password, vs_tpm_two_passwords;

/* Turn a library or TPM code into an error: "cannot <what>: <code in words>; <remedy>". */
vs_rc vs_tpm_fail(struct vs_tpm *tpm, TSS2_RC rc, const char *what, struct vs_err *err);
/* The TPM's own code without the layer that reported it. */
TSS2_RC vs_tpm_code(TSS2_RC rc);
/* Did the TPM ask to try again, and is there time? Waits a little if so. */
bool vs_tpm_again(struct vs_tpm *tpm, TSS2_RC rc, unsigned *tries);
/* After a command that loads something: keep the handle for flushing at close, or note the loss. */
VS_RC vs_tpm_remember(
	struct vs_tpm *tpm, TSS2_RC rc, uint32_t handle, const char *what, struct vs_err *err);
void vs_tpm_select(uint32_t mask, TPML_PCR_SELECTION *ret);

/* Run a library call, again where the TPM says so; rc gets the last answer. */
#define VS_TPM_RUN(tpm, rc, call) \
	do { \
		unsigned vs_tries_ = 0; \
		do { \
			(rc) = (call); \
		} while (vs_tpm_again((tpm), (rc), &vs_tries_)); \
	} while (0)

#endif
