/* SPDX-License-Identifier: BSD-2-Clause */
/* Inside the emulated machine; for lab_machine.c and lab_machine_tamper.c. */
#ifndef LAB_LAB_MACHINE_PRIV_H
#define LAB_LAB_MACHINE_PRIV_H

#include <pthread.h>
#include <stdbool.h>

#include "lab/lab_log.h"
#include "lab/lab_proxy.h"
#include "lab/lab_report.h"
#include "lab/lab_rm.h"
#include "lab/lab_roots.h"
#include "lab/lab_tpm.h"
#include "lab/lab_vm.h"

struct lab;

struct lab_identity {
	char vm_id_upper[37];
	uint8_t report_id[32];
	uint8_t ak_n[256]; /* what the hardware says the attestation key is */
	struct lab_chip *chip;
};

struct lab_machine {
	struct lab *lab;
	char dir[256], tpm_dir[256], socket[256], tcti[256], event_log[256];
	struct lab_roots *roots;
	struct lab_tpm *tpm;
	struct lab_proxy *proxy;
	struct lab_vm *vm; /* a real machine's door to the TPM, or NULL */
	pthread_mutex_t lock; /* everything below, and the platform's conversation with the TPM */
	struct lab_identity self;
	struct lab_boot boot;
	bool secure_boot;
	struct lab_rm rm;
	bool stale_forever, debug, migratable, other_paravisor; /* tampered with */
	bool trusted_launch; /* no TEE: the report's index is not there */
	bool ak_cert_missing; /* its index was never written */
	unsigned stale_readings; /* to be answered with the old report */
	uint32_t vmpl;
	int token_defect; /* atomic; the attestation service asks */
	struct lab_identity *foreign; /* whose report is shown, or NULL */
	EVP_PKEY *sign_with; /* instead of the chip's key, or NULL */
};

/* All of these with the lock held, or before the proxy runs. */
VS_RC lab_machine_refresh(struct lab_machine *m, struct vs_err *err);
VS_RC lab_machine_boot(struct lab_machine *m, struct vs_err *err);
VS_RC lab_machine_reboot(struct lab_machine *m, struct vs_err *err);
VS_RC lab_machine_write_log(struct lab_machine *m, struct vs_bytes log, struct vs_err *err);
VS_RC lab_machine_install_ak(
	struct lab_machine *m, enum lab_ak_kind kind, uint8_t n[256], struct vs_err *err);
VS_RC lab_machine_certify_ak(struct lab_machine *m, const uint8_t n[256], struct vs_err *err);
VS_RC lab_rsa_public(const uint8_t *n, size_t size, EVP_PKEY **ret, struct vs_err *err);
void lab_identity_free(struct lab_identity *id);

#endif
