/* SPDX-License-Identifier: BSD-2-Clause */
/* Certificates of the lab's keys. */
#ifndef LAB_LAB_CERTS_H
#define LAB_LAB_CERTS_H

#include "lab/lab_vault.h"

/*
 * Issue a certificate for a key's current version: into the vault and D/certs/FILE.pem.
 * Errors: NOT_FOUND, CRYPTO, FILE.
 */
VS_RC lab_certs_issue(struct lab_vault *v, const char *name, const char *file, struct vs_err *err);

#endif
