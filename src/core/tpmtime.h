/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The TPM's clock for audit records (T-U6). Asked at most every few seconds, and where there is no
 * TPM, or no right to use it, only now and then. Thread-safe.
 */
#ifndef VS_CORE_TPMTIME_H
#define VS_CORE_TPMTIME_H

#include "audit/audit.h"
#include "conf/conf.h"

struct vs_tpmtime;

enum {
	VS_TPMTIME_FRESH_S = 10, /* a reading serves so long */
	VS_TPMTIME_RETRY_S = 60, /* after none was to be had */
	VS_TPMTIME_WAIT_MS = 500, /* for a TPM that somebody else is using */
};

/* conf must outlive it. Asks nothing yet. */
VS_RC vs_tpmtime_new(const struct vs_conf *conf, struct vs_clock clock, struct vs_tpmtime **ret,
	struct vs_err *err);
void vs_tpmtime_free(struct vs_tpmtime *t); /* NULL-safe */
struct vs_audit_tpm vs_tpmtime_port(struct vs_tpmtime *t);

#endif
