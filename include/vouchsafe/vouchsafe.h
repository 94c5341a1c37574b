/* SPDX-License-Identifier: BSD-2-Clause */
/* The façade: what agent and tools do with a configuration, in their own process. Blocking. */
#ifndef VOUCHSAFE_VOUCHSAFE_H
#define VOUCHSAFE_VOUCHSAFE_H

#include "base/secret.h"
#include "vouchsafe/err.h"
#include "vouchsafe/ports.h"
#include "vouchsafe/provider.h"

struct vs_attestation;
struct vs_catalog_data;
struct vs_cat_entry;
struct vs_conf;
struct vs_core;
struct vs_release_info;

enum { VS_CORE_ARENA_FIRST_BYTES = 256 * 1024, VS_CORE_ARENA_MAX_BYTES = 16 << 20 };

struct vs_core_env {
	const char *conf_path;
	const char *writer; /* of audit records: "vouchsafe-agent", "vouchsafe" */
	struct vs_log log;
	bool log_from_conf; /* the level is the setting log-level, not log.max */
};

/*
 * Load the configuration, make arena and HTTP client. No network, no TPM, no audit record.
 * Errors: CONFIG, MEMORY, LOCK_MEMORY.
 */
VS_RC vs_core_open(const struct vs_core_env *env, struct vs_core **ret, struct vs_err *err);
/* Wipes everything. No call may be running. NULL-safe. */
void vs_core_close(struct vs_core *core);

const struct vs_conf *vs_core_conf(const struct vs_core *core);
const struct vs_log *vs_core_log(const struct vs_core *core);
const char *vs_core_agent_socket(const struct vs_core *core);

/*
 * Attest now for a token and record the outcome; as the agent does, but without a lease.
 * *ret_verdict is always written. Give the attestation back with vs_attestation_unref().
 */
VS_RC vs_core_attest(struct vs_core *core, const char *label, int64_t deadline_boot_ns,
	struct vs_attestation **ret, struct vs_verdict *ret_verdict, struct vs_err *err);
/* Public data of a token, from the vault. Free with vs_catalog_data_free(). */
VS_RC vs_core_catalog(struct vs_core *core, const char *label, int64_t deadline_boot_ns,
	struct vs_catalog_data **ret, struct vs_err *err);
/* Release one key with an attestation and record it before the bytes are handed out. */
VS_RC vs_core_release(struct vs_core *core, const char *label, struct vs_attestation *attestation,
	const struct vs_cat_entry *entry, int64_t deadline_boot_ns, struct vs_secret *ret,
	struct vs_release_info *ret_info, struct vs_err *err);

#endif
